/* SPDX-License-Identifier: Apache-2.0
 * Chance stories: users, master and crashes do anything in any order; the invariants hold after every step, and once the
 * faults stop everything comes to rest as it was wanted. A failing seed is printed and replays exactly. */
#include "common/base/rng.h"
#include "tests/unit/marathon/world.h"

#define SEEDS 40
#define STEPS 400

static const char *const ids[] = {"/a", "/b", "/g/c", "/g/d"};
static const char *const strategies[] = {
    "{\"minimumHealthCapacity\":1,\"maximumOverCapacity\":1}", "{\"minimumHealthCapacity\":1,\"maximumOverCapacity\":0}",
    "{\"minimumHealthCapacity\":0.5,\"maximumOverCapacity\":0}", "{\"minimumHealthCapacity\":0,\"maximumOverCapacity\":0}"};
static const char *const unreachables[] = {"\"disabled\"", "{\"inactiveAfterSeconds\":0,\"expungeAfterSeconds\":0}",
                                           "{\"inactiveAfterSeconds\":5,\"expungeAfterSeconds\":20}",
                                           "{\"inactiveAfterSeconds\":0,\"expungeAfterSeconds\":30}"};
static const char *const checks[] = {"[]", "[{\"protocol\":\"TCP\",\"intervalSeconds\":3,\"gracePeriodSeconds\":5}]",
                                     "[{\"protocol\":\"COMMAND\",\"command\":{\"value\":\"true\"}}]"};

static void definition(struct rng *r, const char *id, char *out, size_t size)
{
    (void)snprintf(out, size,
                   "{\"id\":\"%s\",\"cmd\":\"run %u\",\"cpus\":0.1,\"mem\":10,\"instances\":%u,\"upgradeStrategy\":%s,"
                   "\"unreachableStrategy\":%s,\"healthChecks\":%s%s%s}",
                   id, (unsigned)rng_below(r, 3), (unsigned)rng_below(r, 5), strategies[rng_below(r, 4)],
                   unreachables[rng_below(r, 4)], checks[rng_below(r, 3)],
                   rng_below(r, 4) ? "" : ",\"constraints\":[[\"hostname\",\"MAX_PER\",\"2\"]]",
                   strcmp(id, "/b") == 0 && rng_below(r, 2) ? ",\"dependencies\":[\"/a\"]" : "");
}

static struct world_task *any_task(struct world *w, struct rng *r)
{
    size_t alive = world_alive(w);
    return alive ? world_task(w, rng_below(r, alive)) : NULL;
}

static void any_request(struct world *w, struct rng *r)
{
    char body[1024];
    const char *id = ids[rng_below(r, 4)];
    struct marathon_request q = {.app_id = id, .force = rng_below(r, 2), .partial = rng_below(r, 2)};
    struct world_task *t = any_task(w, r);
    switch (rng_below(r, 9)) {
    case 0:
    case 1:
        q.type = MARATHON_PUT_APP;
        definition(r, id, body, sizeof(body));
        world_request(w, &q, body);
        return;
    case 2:
        q.type = MARATHON_PATCH_APP;
        (void)snprintf(body, sizeof(body), "{\"instances\":%u}", (unsigned)rng_below(r, 6));
        world_request(w, &q, body);
        return;
    case 3:
        q.type = MARATHON_DELETE_APP;
        world_request(w, &q, NULL);
        return;
    case 4:
        q.type = MARATHON_RESTART_APP;
        world_request(w, &q, NULL);
        return;
    case 5:
        q.type = MARATHON_KILL_APP_TASKS;
        q.wipe = rng_below(r, 2);
        q.scale = !q.wipe && rng_below(r, 2);
        world_request(w, &q, NULL);
        return;
    case 6:
        q.type = MARATHON_KILL_TASKS;
        q.scale = rng_below(r, 2);
        (void)snprintf(body, sizeof(body), "{\"ids\":[\"%s\"]}", t ? t->id : "x.y");
        world_request(w, &q, body);
        return;
    case 7:
        q.type = MARATHON_DELETE_DEPLOYMENT;
        q.deployment_id = w->deployment ? w->deployment : "none";
        world_request(w, &q, NULL);
        return;
    default:
        q.type = MARATHON_RESET_DELAY;
        world_request(w, &q, NULL);
        return;
    }
}

static void any_update(struct world *w, struct rng *r)
{
    static const Mesos__V1__TaskState states[] = {
        MESOS__V1__TASK_STATE__TASK_STARTING, MESOS__V1__TASK_STATE__TASK_RUNNING,     MESOS__V1__TASK_STATE__TASK_RUNNING,
        MESOS__V1__TASK_STATE__TASK_RUNNING,  MESOS__V1__TASK_STATE__TASK_FAILED,      MESOS__V1__TASK_STATE__TASK_FINISHED,
        MESOS__V1__TASK_STATE__TASK_LOST,     MESOS__V1__TASK_STATE__TASK_UNREACHABLE, MESOS__V1__TASK_STATE__TASK_KILLING,
        MESOS__V1__TASK_STATE__TASK_DROPPED,  MESOS__V1__TASK_STATE__TASK_GONE,        MESOS__V1__TASK_STATE__TASK_STAGING};
    struct world_task *t = any_task(w, r);
    if (t == NULL)
        return;
    if (t->is_kill_asked && rng_below(r, 2))
        world_update(w, t, MESOS__V1__TASK_STATE__TASK_KILLED);
    else if (t->state == MESOS__V1__TASK_STATE__TASK_RUNNING && rng_below(r, 2))
        world_tell(w, t->id, t->agent, t->state, rng_below(r, 4) != 0);
    else
        world_update(w, t, states[rng_below(r, 12)]);
}

static void any_probe(struct world *w, struct rng *r)
{
    if (w->probe_count == 0)
        return;
    struct marathon_probe_result result = {.probe_id = w->probes[--w->probe_count]};
    result.is_success = rng_below(r, 3) != 0;
    struct kit_event in = {.type = KIT_EVENT_OWN, .own = &result};
    world_step(w, &in);
}

static void any_step(struct world *w, struct rng *r)
{
    char host[8];
    (void)snprintf(host, sizeof(host), "h%u", (unsigned)rng_below(r, 4));
    switch (rng_below(r, 12)) {
    case 0:
    case 1:
        any_request(w, r);
        return;
    case 2:
    case 3:
    case 4:
        any_update(w, r);
        return;
    case 5:
    case 6:
        if (w->wants_offers && w->is_up)
            world_offer(w, host, 0.1 + 0.1 * (double)rng_below(r, 4), 1000);
        return;
    case 7:
        world_run_all(w);
        return;
    case 8:
        world_pass(w, (int64_t)rng_below(r, 8000));
        return;
    case 9:
        any_probe(w, r);
        return;
    case 10:
        if (rng_below(r, 6) == 0)
            world_restart(w, rng_below(r, 2));
        return;
    default:
        if (!w->is_up) {
            world_up(w);
        } else if (rng_below(r, 8) == 0) {
            struct kit_event in = {.type = KIT_EVENT_DISCONNECTED};
            w->is_up = false;
            world_step(w, &in);
        }
        return;
    }
}

/* What reconciliation tells after the faults: the true state of every task. */
static void reconcile(struct world *w)
{
    for (size_t k = 0; k < w->task_count; k++) {
        struct world_task *t = &w->tasks[k];
        if (t->is_over)
            world_tell(w, t->id, t->agent, t->state, -1);
        else if (t->state != MESOS__V1__TASK_STATE__TASK_STAGING)
            world_update(w, t, MESOS__V1__TASK_STATE__TASK_RUNNING);
    }
}

static void come_to_rest(struct world *w)
{
    if (!w->is_up)
        world_up(w);
    w->answers_probes = true;
    reconcile(w);
    for (int round = 0; round < 60; round++) {
        for (int h = 0; h < 6 && w->wants_offers; h++) {
            char host[16];
            (void)snprintf(host, sizeof(host), "h%d", h);
            world_offer(w, host, 10, 10000);
        }
        world_run_all(w);
        for (size_t k = 0; k < w->task_count; k++) {
            struct world_task *t = &w->tasks[k];
            if (!t->is_over)
                world_tell(w, t->id, t->agent, t->state, t->state == MESOS__V1__TASK_STATE__TASK_RUNNING ? 1 : -1);
        }
        world_pass(w, 10000);
    }
}

static void expect_rest(struct world *w, unsigned seed)
{
    int64_t wanted = 0;
    world_get(w, MARATHON_LIST_APPS, NULL);
    json_t *apps = json_loads(w->body, 0, NULL);
    size_t k;
    json_t *app;
    json_array_foreach(json_object_get(apps, "apps"), k, app)
    {
        int64_t instances = json_integer_value(json_object_get(app, "instances"));
        int64_t running = json_integer_value(json_object_get(app, "tasksRunning"));
        if (instances != running || json_array_size(json_object_get(app, "deployments")) > 0)
            fail_msg("seed %u: %s runs %lld of %lld, deployments %s", seed, json_string_value(json_object_get(app, "id")),
                     (long long)running, (long long)instances, json_dumps(json_object_get(app, "deployments"), 0));
        wanted += instances;
    }
    json_decref(apps);
    if ((int64_t)world_alive(w) != wanted)
        fail_msg("seed %u: %zu tasks live, %lld are wanted", seed, world_alive(w), (long long)wanted);
    world_get(w, MARATHON_LIST_DEPLOYMENTS, NULL);
    assert_string_equal(w->body, "[]");
}

static void test_random__everything_settles(void **state)
{
    (void)state;
    const char *first = getenv("SEED"), *count = getenv("SEEDS");
    unsigned begin = first ? (unsigned)atoi(first) : 1;
    unsigned end = begin + (count ? (unsigned)atoi(count) : first ? 1 : SEEDS);
    for (unsigned seed = begin; seed < end; seed++) {
        struct rng r;
        struct world w;
        rng_seed(&r, seed);
        world_init(&w);
        for (int step = 0; step < STEPS; step++)
            any_step(&w, &r);
        come_to_rest(&w);
        expect_rest(&w, seed);
        assert_null(w.fatal);
        world_restart(&w, true); /* what is stored says the same */
        come_to_rest(&w);
        expect_rest(&w, seed);
        world_deinit(&w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random__everything_settles),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
