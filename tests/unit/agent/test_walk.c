/* SPDX-License-Identifier: Apache-2.0
 * test_walk.c - random walks: a master, executors, launcher, disk and clock that do anything at any time, crashes included.
 * After every step the core checks itself; at the end of a walk faults stop and everything must come to rest. */
#include "rig.h"

#include "agent/state.h"
#include "common/base/rng.h"

#define STEPS 5000
#define SEEDS 25
#define TASKS 12
#define EXECUTORS 4

struct container { /* as the launcher knows it */
    char id[40];
    bool used, started;
};

struct walk {
    struct rig *r;
    struct rng rng;
    struct container containers[64];
    stream_id next_stream;
    uint64_t next_task;
    struct agent_counts seen; /* over all lives of the agent */
};

static uint64_t below(struct walk *w, uint64_t n)
{
    return rng_below(&w->rng, n);
}

static const char *some_task(struct walk *w)
{
    uint64_t back = below(w, TASKS) + 1;
    return arena_printf(w->r->arena, "t%llu", (unsigned long long)(w->next_task > back ? w->next_task - back : 0));
}

static const char *some_executor(struct walk *w)
{
    return below(w, 2) ? arena_printf(w->r->arena, "e%llu", (unsigned long long)below(w, EXECUTORS)) : some_task(w);
}

/* Containers follow launches: the rig's table names them all. */
static struct container *some_container(struct walk *w)
{
    size_t n = 0;
    for (struct map_entry *e = map_first(&w->r->a->containers); e != NULL; e = map_next(e)) {
        const struct agent_executor *x = map_value(e);
        if (x->launched && n < 64)
            snprintf(w->containers[n++].id, sizeof(w->containers[0].id), "%s", map_key(e));
    }
    return n ? &w->containers[below(w, n)] : NULL;
}

static void container_event(struct walk *w)
{
    const struct container *c = some_container(w);
    if (c == NULL)
        return;
    struct launcher_end end = {
        .reason = (enum launcher_end_reason)below(w, LAUNCHER_END_LOST + 1), .status = 0, .message = "m"};
    struct agent_event in = {.type = below(w, 6) ? AGENT_IN_CONTAINER_STARTED : AGENT_IN_CONTAINER_ENDED};
    if (in.type == AGENT_IN_CONTAINER_STARTED)
        in.container.pid = 7;
    else
        in.container.end = &end;
    in.container.id = c->id;
    rig_step(w->r, &in);
}

static void link_event(struct walk *w)
{
    struct rig *r = w->r;
    switch (r->a->session.state) {
    case AGENT_SESSION_CONNECTING:
        if (below(w, 3))
            rig_link_up(r);
        else
            rig_link_down(r);
        return;
    case AGENT_SESSION_REGISTERING:
        if (below(w, 4))
            rig_registered(r, r->a->id != NULL);
        else
            rig_link_down(r);
        return;
    default:
        break;
    }
    if (below(w, 20) == 0)
        rig_link_down(r);
    else if (below(w, 3) == 0)
        rig_ping(r, 1, below(w, 20) != 0);
    else
        rig_wait(r, (int64_t)below(w, 3000));
}

static void master_order(struct walk *w)
{
    struct rig *r = w->r;
    if (!agent_is_registered(r->a))
        return;
    const char *id = arena_printf(r->arena, "t%llu", (unsigned long long)w->next_task);
    switch (below(w, 9)) {
    case 0:
    case 1:
        w->next_task++;
        rig_run_command(r, id);
        break;
    case 2:
    case 3:
        w->next_task++;
        rig_run_custom(r, id, arena_printf(r->arena, "e%llu", (unsigned long long)below(w, EXECUTORS)));
        break;
    case 4: {
        Mesos__V1__TaskInfo *tasks[] = {rig_task(r, id, ",\"command\":{\"value\":\"a\"}"),
                                        rig_task(r, arena_printf(r->arena, "%sb", id), ",\"command\":{\"value\":\"b\"}")};
        w->next_task++;
        rig_run(r, tasks, 2, arena_printf(r->arena, "p%llu", (unsigned long long)below(w, 2)));
        break;
    }
    case 5:
    case 6:
        rig_kill(r, some_task(w));
        break;
    case 7:
        rig_shutdown_executor(r, some_executor(w));
        break;
    default:
        if (below(w, 12) == 0)
            rig_shutdown_framework(r);
        break;
    }
}

static void executor_event(struct walk *w)
{
    static const char *const states[] = {"STARTING", "RUNNING", "KILLING", "FINISHED", "FAILED", "KILLED"};
    struct rig *r = w->r;
    if (r->a->phase < AGENT_PHASE_EXECUTORS || r->a->id == NULL)
        return;
    const char *task = some_task(w);
    const struct agent_framework *f = map_get(&r->a->frameworks, RIG_FRAMEWORK);
    uint64_t n = f ? map_count(&f->tasks) : 0;
    const struct agent_task *t = NULL;
    if (n > 0 && below(w, 8)) { /* mostly one that is here */
        const struct map_entry *e = map_first(&f->tasks);
        for (uint64_t skip = below(w, n); skip > 0; skip--)
            e = map_next(e);
        t = map_value(e);
        task = arena_strdup(r->arena, t->id);
    }
    const char *executor = t && t->executor && below(w, 8) ? arena_strdup(r->arena, t->executor->id) : some_executor(w);
    if (t && t->executor && t->executor->stream == 0 && below(w, 2)) {
        rig_subscribe(r, executor, ++w->next_stream + 1000000);
        return;
    }
    switch (below(w, 12)) {
    case 0:
        rig_subscribe(r, executor, ++w->next_stream + 1000000);
        break;
    case 1:
        rig_subscribe_with(
            r, executor, ++w->next_stream + 1000000,
            arena_printf(r->arena, "{\"name\":\"n\",\"task_id\":{\"value\":\"%s\"},\"agent_id\":{\"value\":\"a\"}}", task),
            arena_printf(r->arena, "{\"status\":%s}", rig_status_json(r, task, "RUNNING", ++r->next_uuid)));
        break;
    case 2:
        rig_stream_closed(r, w->next_stream + 1000000 - below(w, 8));
        break;
    default:
        rig_update(r, executor, task, states[below(w, 8) % 6]);
        break;
    }
}

static void acknowledge_some(struct walk *w)
{
    struct rig *r = w->r;
    while (r->uuid_count > 400 || (r->uuid_count > 0 && below(w, 2))) {
        char task[64];
        snprintf(task, sizeof(task), "%s", r->uuid_tasks[below(w, r->uuid_count)]);
        if (agent_is_registered(r->a)) {
            rig_acknowledge(r, task);
        } else {
            r->uuid_count = 0;
        }
    }
}

/* A walk must get somewhere to be worth its steps. */
static void remember(struct walk *w)
{
    struct agent_counts c;
    agent_count(w->r->a, &c);
    w->seen.finished += c.finished;
    w->seen.failed += c.failed;
    w->seen.killed += c.killed;
    w->seen.dropped += c.dropped;
    w->seen.lost += c.lost;
    w->seen.gone += c.gone;
    w->seen.valid_updates += c.valid_updates;
}

static void restart(struct walk *w)
{
    struct rig *r = w->r;
    remember(w);
    rig_crash(r);
    if (below(w, 8) == 0)
        r->boot_id = r->boot_id[5] == '1' ? "boot-2" : "boot-1";
    rig_boot(r);
    assert_false(r->ended);
}

static void random_step(struct walk *w)
{
    struct rig *r = w->r;
    if (r->held_count > 200 || (r->hold_store && below(w, 6) == 0))
        rig_stored(r);
    switch (below(w, 14)) {
    case 0:
        if (r->a->phase == AGENT_PHASE_CONTAINERS)
            rig_recovered(r);
        break;
    case 1:
    case 2:
        container_event(w);
        break;
    case 3:
    case 4:
        link_event(w);
        break;
    case 5:
    case 6:
    case 7:
        master_order(w);
        break;
    case 8:
    case 9:
    case 10:
        executor_event(w);
        break;
    case 11:
        acknowledge_some(w);
        break;
    case 12:
        if (r->hold_store)
            rig_stored(r);
        else
            r->hold_store = true;
        break;
    default:
        if (below(w, 20) == 0)
            restart(w);
        break;
    }
    rig_forget_trace(r);
}

/* Faults off: the disk answers, the link stands, every container ends, everything is acknowledged. */
static void settle(struct walk *w)
{
    struct rig *r = w->r;
    rig_stored(r);
    if (r->a->phase == AGENT_PHASE_CONTAINERS)
        rig_recovered(r);
    for (int round = 0; round < 2000; round++) {
        if (r->a->session.state == AGENT_SESSION_CONNECTING)
            rig_link_up(r);
        if (r->a->session.state == AGENT_SESSION_REGISTERING)
            rig_registered(r, r->a->id != NULL);
        const struct container *c = some_container(w);
        if (c != NULL) {
            struct launcher_end end = {.reason = LAUNCHER_END_EXITED, .status = 0, .message = "m"};
            struct agent_event in = {.type = AGENT_IN_CONTAINER_ENDED, .container = {.id = c->id, .end = &end}};
            rig_step(r, &in);
        }
        while (r->uuid_count > 0 && agent_is_registered(r->a)) {
            char task[64];
            snprintf(task, sizeof(task), "%s", r->uuid_tasks[0]);
            rig_acknowledge(r, task);
        }
        if (agent_is_registered(r->a))
            rig_ping(r, 1, true);
        rig_forget_trace(r);
        rig_wait(r, 1000);
    }
    struct agent_counts counts;
    agent_count(r->a, &counts);
    assert_true(agent_is_registered(r->a));
    assert_int_equal(counts.frameworks, 0);
    assert_int_equal(counts.updates_pending, 0);
    for (struct map_entry *e = map_first(&r->disk); e != NULL; e = map_next(e)) {
        if (strncmp(map_key(e), "sandbox/", 8) != 0 && strcmp(map_key(e), "agent") != 0 && strcmp(map_key(e), "boot") != 0)
            fail_msg("left on the disk: %s", map_key(e));
    }
}

static void test_walk__invariants_hold_and_everything_settles(void **state)
{
    (void)state;
    struct agent_counts seen = {0};
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct walk w = {.r = rig_new(), .seen = seen};
        rng_seed(&w.rng, seed);
        w.r->partition_aware = seed % 2;
        rig_boot(w.r);
        for (int i = 0; i < STEPS; i++)
            random_step(&w);
        settle(&w);
        remember(&w);
        seen = w.seen;
        rig_free(w.r);
    }
    assert_true(seen.finished > 40 && seen.failed > 100 && seen.killed > 100 && seen.dropped > 100);
    assert_true(seen.lost > 10 && seen.gone > 10 && seen.valid_updates > 300);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_walk__invariants_hold_and_everything_settles),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
