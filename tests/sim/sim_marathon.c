/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/sim_marathon.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"
#include "common/base/json.h"
#include "sim/sim_kit.h"

#define OPERATOR_MS 5000

struct sim_marathon {
    struct sim_kit kit;
    int wanted[SIM_MARATHON_APPS];
    bool is_confirmed[SIM_MARATHON_APPS];
    request_id request_of[SIM_MARATHON_APPS]; /* the newest */
    int asked[SIM_MARATHON_APPS];             /* instances in it */
    request_id next_request;
    bool has_operator;
};

/* -- probes and answers --------------------------------------------------------------------------------------- */

struct probe {
    struct sim_marathon *marathon;
    uint64_t id;
};

static void on_probe(void *ctx)
{
    struct probe *p = ctx;
    struct sim_marathon *m = p->marathon;
    bool is_success = !world_chance(m->kit.node.world, m->kit.node.world->faults.launch_fail_ppm);
    struct marathon_probe_result result = {.probe_id = p->id,
                                           .is_success = is_success,
                                           .http_status = is_success ? 200 : 500,
                                           .cause = is_success ? NULL : "500"};
    struct kit_event in = {.type = KIT_EVENT_OWN, .own = &result};
    free(p);
    sim_kit_step(&m->kit, &in);
}

static void on_probe_wanted(struct sim_kit *k, const void *effect)
{
    struct world *w = k->node.world;
    struct probe *p = xcalloc(1, sizeof(*p));
    *p = (struct probe){(struct sim_marathon *)k, ((const struct marathon_probe *)effect)->probe_id};
    world_after(w, world_draw(w, 1, 50), &k->node, on_probe, free, p);
}

static void on_reply(struct sim_kit *k, const struct kit_effect *e)
{
    struct sim_marathon *m = (struct sim_marathon *)k;
    if (e->reply.status >= 300)
        world_log(m->kit.node.world, m->kit.node.name, "answers %d %.*s", e->reply.status, (int)e->reply.body_len,
                  e->reply.body ? e->reply.body : "");
    for (int i = 0; i < SIM_MARATHON_APPS; i++)
        if (m->request_of[i] == e->reply.id)
            m->is_confirmed[i] = e->reply.status < 300 && m->asked[i] == m->wanted[i];
}

static void on_crashed(struct sim_kit *k)
{
    struct sim_marathon *m = (struct sim_marathon *)k;
    for (int i = 0; i < SIM_MARATHON_APPS; i++)
        m->request_of[i] = 0; /* never answered */
}

/* -- the operator --------------------------------------------------------------------------------------------- */

static void put_app(struct sim_marathon *m, int app)
{
    static const char health[] = ",\"healthChecks\":[{\"protocol\":\"HTTP\",\"path\":\"/\",\"portIndex\":0,"
                                 "\"gracePeriodSeconds\":20,\"intervalSeconds\":10,\"timeoutSeconds\":5,"
                                 "\"maxConsecutiveFailures\":3}]";
    char id[16], text[640];
    struct err err = {""};
    snprintf(id, sizeof(id), "/app%d", app);
    snprintf(text, sizeof(text),
             "{\"id\":\"%s\",\"cmd\":\"sleep 1000000\",\"cpus\":0.2,\"mem\":32,\"instances\":%d,"
             "\"backoffSeconds\":1,\"backoffFactor\":1.1,\"maxLaunchDelaySeconds\":10%s}",
             id, m->wanted[app], app == 1 ? health : "");
    json_t *body = json_read(text, strlen(text), &err);
    CHECK(body != NULL);
    struct marathon_request request = {
        .id = ++m->next_request, .type = MARATHON_PUT_APP, .app_id = id, .body = body, .force = true};
    m->request_of[app] = request.id;
    m->asked[app] = m->wanted[app];
    struct kit_event in = {.type = KIT_EVENT_REQUEST, .request = &request};
    sim_kit_step(&m->kit, &in);
    json_decref(body);
}

static void on_operator(void *ctx)
{
    struct sim_marathon *m = ctx;
    for (int i = 0; i < SIM_MARATHON_APPS && m->kit.node.is_up; i++)
        if (!m->is_confirmed[i])
            put_app(m, i);
    world_after(m->kit.node.world, OPERATOR_MS, NULL, on_operator, NULL, m);
}

void sim_marathon_set_wanted(struct sim_marathon *m, int app, int instances)
{
    world_log(m->kit.node.world, m->kit.node.name, "the operator wants %d of /app%d", instances, app);
    m->wanted[app] = instances;
    m->is_confirmed[app] = false;
    if (!m->has_operator)
        world_after(m->kit.node.world, 100, NULL, on_operator, NULL, m);
    m->has_operator = true;
}

/* -- life ----------------------------------------------------------------------------------------------------- */

static void *new_core(struct sim_kit *k)
{
    struct marathon_config config = {.hostname = k->node.name, .seed = rng_next(&k->node.world->rng)};
    return marathon_new(&config);
}

static void *free_core(void *core)
{
    return marathon_free(core);
}

static int step(void *core, const struct kit_event *in, struct kit_effects *out)
{
    return marathon_step(core, in, out);
}

static int64_t next_deadline(const void *core)
{
    return marathon_next_deadline(core);
}

static size_t known_tasks(const void *core, struct arena *a, const struct sdk_task **out)
{
    return marathon_known_tasks(core, a, out);
}

static const char *framework_id(const void *core)
{
    return marathon_framework_id(core);
}

static void check(const void *core)
{
    marathon_check_invariants(core);
}

static const struct sim_kit_ops ops = {.store_prefix = MARATHON_STORE_PREFIX,
                                       .new_core = new_core,
                                       .free_core = free_core,
                                       .step = step,
                                       .next_deadline = next_deadline,
                                       .known_tasks = known_tasks,
                                       .framework_id = framework_id,
                                       .check = check,
                                       .reply = on_reply,
                                       .own = on_probe_wanted,
                                       .crashed = on_crashed};

struct sim_marathon *sim_marathon_new(struct world *w, const char *name, struct sim_node *master)
{
    struct sim_marathon *m = xcalloc(1, sizeof(*m));
    sim_kit_init(&m->kit, w, name, master, &ops);
    return m;
}

struct sim_node *sim_marathon_node(struct sim_marathon *m)
{
    return &m->kit.node;
}

struct sim_store *sim_marathon_store(struct sim_marathon *m)
{
    return m->kit.store;
}

size_t sim_marathon_wanted(const struct sim_marathon *m)
{
    size_t sum = 0;
    for (int i = 0; i < SIM_MARATHON_APPS; i++)
        sum += (size_t)m->wanted[i];
    return sum;
}

bool sim_marathon_is_settled(const struct sim_marathon *m, char text[256])
{
    const char *why = NULL;
    struct marathon_counts n = {0};
    if (!m->kit.node.is_up || m->kit.core == NULL)
        why = "is down";
    else if (!sim_kit_is_settled(&m->kit))
        why = "is not subscribed and reconciled";
    for (int i = 0; i < SIM_MARATHON_APPS && why == NULL; i++)
        if (!m->is_confirmed[i] && m->has_operator)
            why = "has not accepted what the operator wants";
    size_t wanted = sim_marathon_wanted(m);
    if (why == NULL) {
        marathon_get_counts(m->kit.core, &n);
        if (n.deployments != 0)
            why = "has a deployment";
        else if (n.instances != wanted || n.running != wanted)
            why = "has not what is wanted";
    }
    if (why != NULL)
        snprintf(text, 256, "%s %s (%zu wanted, %llu instances, %llu running, %llu deployments)", m->kit.node.name, why,
                 wanted, (unsigned long long)n.instances, (unsigned long long)n.running, (unsigned long long)n.deployments);
    return why == NULL;
}

const char *sim_marathon_framework_id(const struct sim_marathon *m)
{
    return m->kit.core ? marathon_framework_id(m->kit.core) : NULL;
}

bool sim_marathon_knows(const struct sim_marathon *m, const char *task_id)
{
    return sim_kit_knows(&m->kit, task_id);
}
