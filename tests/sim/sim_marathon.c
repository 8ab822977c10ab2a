/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/sim_marathon.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"
#include "common/base/json.h"
#include "frameworks/sdk/calls.h"
#include "sim/check.h"
#include "sim/sim_session.h"

#define OPERATOR_MS 5000

/* What the core wants from its session. Done after the step: the session may answer with events for the core at once. */
struct order {
    struct list link;
    enum kit_effect_type type;
    char *framework_id;
    bool want;
    uint8_t *call;
    size_t call_len;
};

struct sim_marathon {
    struct sim_node node;
    struct sim_node *master;
    struct marathon *core;
    struct sim_session *session;
    struct sim_store *store;
    struct list orders;
    bool is_ordering, is_ending;
    int wanted[SIM_MARATHON_APPS];
    bool is_confirmed[SIM_MARATHON_APPS];
    request_id request_of[SIM_MARATHON_APPS]; /* the newest */
    int asked[SIM_MARATHON_APPS];             /* instances in it */
    request_id next_request;
    bool has_operator;
};

static void step(struct sim_marathon *m, struct kit_event *in);

/* -- the session ---------------------------------------------------------------------------------------------- */

static void tell_tasks(struct sim_marathon *m)
{
    struct arena *a = arena_new(0);
    const struct sdk_task *known;
    size_t count = marathon_known_tasks(m->core, a, &known);
    struct sdk_task *list = arena_new_array(a, struct sdk_task, count + 1);
    for (size_t i = 0; i < count; i++)
        list[i] = (struct sdk_task){known[i].task_id, known[i].agent_id};
    struct sdk_event in = {.type = SDK_EVENT_TASKS, .tasks = {list, count}};
    (void)sim_session_step(m->session, &in); /* a full queue shows in not settling */
    arena_free(a);
}

static void on_update(struct sim_marathon *m, const Mesos__V1__TaskStatus *status)
{
    struct world *w = m->node.world;
    world_log(w, m->node.name, "sees %s %s", status->task_id->value,
              wire_enum_name(&mesos__v1__task_state__descriptor, (int)status->state));
    struct sim_seen seen = {.type = SIM_SEEN_FRAMEWORK_UPDATE,
                            .node = &m->node,
                            .framework_id = marathon_framework_id(m->core),
                            .task_id = status->task_id->value,
                            .status = status};
    world_seen(w, &seen);
    struct kit_event in = {.type = KIT_EVENT_UPDATE, .update = status};
    step(m, &in);
}

static void on_session_event(struct sim_marathon *m, const Mesos__V1__Scheduler__Event *event)
{
    struct kit_event in = {.type = KIT_EVENT_OFFERS};
    if (event->offers != NULL) {
        in.offers.offers = event->offers->offers;
        in.offers.count = event->offers->n_offers;
    } else if (event->rescind != NULL) {
        in.type = KIT_EVENT_RESCIND;
        in.rescind = event->rescind->offer_id->value;
    } else if (event->update != NULL) {
        on_update(m, event->update->status);
        return;
    } else if (event->failure != NULL) {
        in.type = KIT_EVENT_FAILURE;
        in.failure.agent_id = event->failure->agent_id ? event->failure->agent_id->value : NULL;
        in.failure.executor_id = event->failure->executor_id ? event->failure->executor_id->value : NULL;
    } else {
        return;
    }
    step(m, &in);
}

static void on_effect(struct sim_node *n, const struct sdk_effect *e)
{
    struct sim_marathon *m = (struct sim_marathon *)n;
    struct kit_event in = {.type = KIT_EVENT_SUBSCRIBED};
    switch (e->type) {
    case SDK_EFFECT_SUBSCRIBED:
        world_log(n->world, n->name, "is subscribed as %s", e->subscribed.framework_id);
        in.subscribed.framework_id = e->subscribed.framework_id;
        in.subscribed.master = "master:5050";
        step(m, &in);
        tell_tasks(m);
        break;
    case SDK_EFFECT_DISCONNECTED:
        world_log(n->world, n->name, "is disconnected: %s", e->disconnected.text ? e->disconnected.text : "");
        in.type = KIT_EVENT_DISCONNECTED;
        step(m, &in);
        break;
    case SDK_EFFECT_EVENT:
        on_session_event(m, e->event);
        break;
    case SDK_EFFECT_SETTLED:
        in.type = KIT_EVENT_SETTLED;
        step(m, &in);
        break;
    case SDK_EFFECT_CALL_REFUSED:
        world_log(n->world, n->name, "call %d refused: %d %s", (int)e->refused.call, e->refused.status,
                  e->refused.text ? e->refused.text : "");
        break;
    case SDK_EFFECT_ERROR:
        world_violate(n->world, "4", "%s is ended by the master: %s", n->name, e->error.text);
        break;
    default:
        break;
    }
}

static void start_session(struct sim_marathon *m, const char *framework_id)
{
    CHECK(m->session == NULL);
    struct arena *a = arena_new(0);
    Mesos__V1__FrameworkInfo info;
    mesos__v1__framework_info__init(&info);
    Mesos__V1__FrameworkInfo__Capability multi, partition, refinement, *capabilities[] = {&multi, &partition, &refinement};
    for (size_t i = 0; i < 3; i++) {
        mesos__v1__framework_info__capability__init(capabilities[i]);
        capabilities[i]->has_type = 1;
    }
    multi.type = MESOS__V1__FRAMEWORK_INFO__CAPABILITY__TYPE__MULTI_ROLE;
    partition.type = MESOS__V1__FRAMEWORK_INFO__CAPABILITY__TYPE__PARTITION_AWARE;
    refinement.type = MESOS__V1__FRAMEWORK_INFO__CAPABILITY__TYPE__RESERVATION_REFINEMENT;
    char *roles[] = {arena_strdup(a, "*")};
    info.user = arena_strdup(a, "nobody");
    info.name = arena_strdup(a, "marathon");
    info.n_roles = 1;
    info.roles = roles;
    info.n_capabilities = 3;
    info.capabilities = capabilities;
    info.has_failover_timeout = 1;
    info.failover_timeout = 7 * 24 * 3600;
    info.has_checkpoint = 1;
    info.checkpoint = 1;
    const char *const masters[] = {"master:5050"};
    struct sdk_session_config config = {.masters = masters,
                                        .master_count = 1,
                                        .framework = &info,
                                        .framework_id = framework_id,
                                        .format = WIRE_PROTOBUF,
                                        .offers_wanted = false,
                                        .seed = rng_next(&m->node.world->rng)};
    m->session = sim_session_new(&m->node, m->master, &config, on_effect);
    arena_free(a);
    struct sdk_event in = {.type = SDK_EVENT_START};
    (void)sim_session_step(m->session, &in); /* 0 for this event */
}

/* -- orders --------------------------------------------------------------------------------------------------- */

static void free_order(struct order *o)
{
    list_remove(&o->link);
    free(o->framework_id);
    free(o->call);
    free(o);
}

static struct order *new_order(struct sim_marathon *m, enum kit_effect_type type)
{
    struct order *o = xcalloc(1, sizeof(*o));
    o->type = type;
    list_push_back(&m->orders, &o->link);
    return o;
}

static void order_call(struct sim_marathon *m, const Mesos__V1__Scheduler__Call *call)
{
    struct order *o = new_order(m, KIT_EFFECT_CALL);
    o->call = wire_pack(&call->base, &o->call_len);
}

static void order_acknowledge(struct sim_marathon *m, const struct kit_effect *e)
{
    struct arena *a = arena_new(0);
    Mesos__V1__TaskStatus status;
    Mesos__V1__TaskID task_id;
    Mesos__V1__AgentID agent_id;
    mesos__v1__task_status__init(&status);
    mesos__v1__task_id__init(&task_id);
    mesos__v1__agent_id__init(&agent_id);
    task_id.value = (char *)e->acknowledge.task_id;
    agent_id.value = (char *)e->acknowledge.agent_id;
    status.task_id = &task_id;
    status.agent_id = &agent_id;
    status.has_uuid = 1;
    status.uuid.data = (uint8_t *)e->acknowledge.uuid;
    status.uuid.len = e->acknowledge.uuid_len;
    order_call(m, sdk_call_acknowledge(a, &status));
    arena_free(a);
}

static void do_order(struct sim_marathon *m, const struct order *o)
{
    if (o->type == KIT_EFFECT_START_SCHEDULER) {
        start_session(m, o->framework_id);
    } else if (m->session != NULL && o->type == KIT_EFFECT_WANT_OFFERS) {
        struct sdk_event in = {.type = o->want ? SDK_EVENT_WANT : SDK_EVENT_UNWANT};
        (void)sim_session_step(m->session, &in); /* 0 for these events */
    } else if (m->session != NULL && o->type == KIT_EFFECT_CALL) {
        struct arena *a = arena_new(0);
        const Mesos__V1__Scheduler__Call *call = (const Mesos__V1__Scheduler__Call *)wire_unpack(
            &mesos__v1__scheduler__call__descriptor, o->call, o->call_len, a, NULL);
        CHECK(call != NULL);
        (void)sim_session_call(m->session, call); /* a lost call is for the core's own time-outs */
        arena_free(a);
    }
}

/* -- stepping ------------------------------------------------------------------------------------------------- */

struct probe {
    struct sim_marathon *marathon;
    uint64_t id;
};

static void on_probe(void *ctx)
{
    struct probe *p = ctx;
    struct sim_marathon *m = p->marathon;
    bool is_success = !world_chance(m->node.world, m->node.world->faults.launch_fail_ppm);
    struct marathon_probe_result result = {.probe_id = p->id,
                                           .is_success = is_success,
                                           .http_status = is_success ? 200 : 500,
                                           .cause = is_success ? NULL : "500"};
    struct kit_event in = {.type = KIT_EVENT_OWN, .own = &result};
    free(p);
    step(m, &in);
}

static void on_reply(struct sim_marathon *m, const struct kit_effect *e)
{
    if (e->reply.status >= 300)
        world_log(m->node.world, m->node.name, "answers %d %.*s", e->reply.status, (int)e->reply.body_len,
                  e->reply.body ? e->reply.body : "");
    for (int i = 0; i < SIM_MARATHON_APPS; i++)
        if (m->request_of[i] == e->reply.id)
            m->is_confirmed[i] = e->reply.status < 300 && m->asked[i] == m->wanted[i];
}

static void put_writes(struct sim_marathon *m, const struct kit_effect *e)
{
    struct store_write *writes = xcalloc(e->store.count + 1, sizeof(*writes));
    for (size_t i = 0; i < e->store.count; i++)
        writes[i] = (struct store_write){e->store.writes[i].key, strlen(e->store.writes[i].key), e->store.writes[i].value,
                                         e->store.writes[i].value_len};
    sim_store_put(m->store, writes, e->store.count, e->store.token);
    free(writes);
}

static void carry_out(struct sim_marathon *m, const struct kit_effect *e)
{
    struct world *w = m->node.world;
    struct order *o;
    struct probe *p;
    switch (e->type) {
    case KIT_EFFECT_START_SCHEDULER:
        o = new_order(m, e->type);
        o->framework_id = e->framework_id ? xstrdup(e->framework_id) : NULL;
        break;
    case KIT_EFFECT_CALL:
        order_call(m, e->call);
        break;
    case KIT_EFFECT_ACKNOWLEDGE:
        order_acknowledge(m, e);
        break;
    case KIT_EFFECT_WANT_OFFERS:
        o = new_order(m, e->type);
        o->want = e->want_offers;
        break;
    case KIT_EFFECT_STORE:
        put_writes(m, e);
        break;
    case KIT_EFFECT_REPLY:
        on_reply(m, e);
        break;
    case KIT_EFFECT_OWN:
        p = xcalloc(1, sizeof(*p));
        *p = (struct probe){m, ((const struct marathon_probe *)e->own)->probe_id};
        world_after(w, world_draw(w, 1, 50), &m->node, on_probe, free, p);
        break;
    case KIT_EFFECT_PUBLISH:
    case KIT_EFFECT_READ: /* it does not read */
        break;
    case KIT_EFFECT_TRACE:
        world_log(w, m->node.name, "%s", e->text);
        break;
    case KIT_EFFECT_FATAL:
        world_log(w, m->node.name, "fatal: %s", e->text);
        m->is_ending = true;
        break;
    }
}

static void end_now(void *ctx)
{
    struct sim_marathon *m = ctx;
    world_restart_node(&m->node, world_draw(m->node.world, 100, 3000));
}

static void step(struct sim_marathon *m, struct kit_event *in)
{
    if (m->is_ending)
        return;
    struct world *w = m->node.world;
    in->now_ms = w->now_ms;
    in->wall_ms = WORLD_WALL_MS + w->now_ms;
    struct kit_effects out;
    (void)marathon_step(m->core, in, &out); /* an error comes with a FATAL effect */
    marathon_check_invariants(m->core);
    for (size_t i = 0; i < out.count; i++)
        carry_out(m, &out.items[i]);
    if (m->is_ending) {
        world_after(w, 0, &m->node, end_now, NULL, m);
        return;
    }
    if (!m->is_ordering) {
        m->is_ordering = true;
        while (!list_is_empty(&m->orders) && !m->is_ending) {
            struct order *o = container_of(m->orders.next, struct order, link);
            list_remove(&o->link);
            do_order(m, o);
            free_order(o);
        }
        m->is_ordering = false;
    }
    world_rearm(&m->node);
}

static void on_stored(struct sim_node *n, uint64_t token, int result)
{
    struct kit_event in = {.type = KIT_EVENT_STORE_DONE, .store_done = {token, result}};
    step((struct sim_marathon *)n, &in);
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
    step(m, &in);
    json_decref(body);
}

static void on_operator(void *ctx)
{
    struct sim_marathon *m = ctx;
    for (int i = 0; i < SIM_MARATHON_APPS && m->node.is_up; i++)
        if (!m->is_confirmed[i])
            put_app(m, i);
    world_after(m->node.world, OPERATOR_MS, NULL, on_operator, NULL, m);
}

void sim_marathon_set_wanted(struct sim_marathon *m, int app, int instances)
{
    world_log(m->node.world, m->node.name, "the operator wants %d of /app%d", instances, app);
    m->wanted[app] = instances;
    m->is_confirmed[app] = false;
    if (!m->has_operator)
        world_after(m->node.world, 100, NULL, on_operator, NULL, m);
    m->has_operator = true;
}

/* -- life ----------------------------------------------------------------------------------------------------- */

static void on_tick(struct sim_node *n)
{
    struct sim_marathon *m = (struct sim_marathon *)n;
    if (m->session != NULL && sim_session_next_deadline(m->session) <= n->world->now_ms) {
        struct sdk_event in = {.type = SDK_EVENT_TICK};
        (void)sim_session_step(m->session, &in); /* 0 for this event */
    }
    if (marathon_next_deadline(m->core) <= n->world->now_ms) {
        struct kit_event in = {.type = KIT_EVENT_TICK};
        step(m, &in);
    }
}

static int64_t next_deadline(const struct sim_node *n)
{
    const struct sim_marathon *m = (const struct sim_marathon *)n;
    if (m->is_ending || m->core == NULL)
        return INT64_MAX;
    int64_t due = marathon_next_deadline(m->core), session = m->session ? sim_session_next_deadline(m->session) : INT64_MAX;
    return session < due ? session : due;
}

static void on_accept(struct sim_node *n, struct sim_conn *c, const struct sim_message *first)
{
    (void)n;
    (void)c;
    (void)first; /* refused */
}

static void on_start(struct sim_node *n)
{
    struct sim_marathon *m = (struct sim_marathon *)n;
    struct marathon_config config = {.hostname = n->name, .seed = rng_next(&n->world->rng)};
    m->core = marathon_new(&config);
    m->is_ending = m->is_ordering = false;
    const struct sim_item *items;
    size_t count = sim_store_items(m->store, &items);
    struct kit_item *copy = xcalloc(count + 1, sizeof(*copy));
    for (size_t i = 0; i < count; i++)
        copy[i] = (struct kit_item){items[i].key, items[i].key_len, items[i].value, items[i].value_len};
    struct kit_event in = {.type = KIT_EVENT_STARTED, .started = {copy, count}};
    step(m, &in);
    free(copy);
}

static void on_crash(struct sim_node *n)
{
    struct sim_marathon *m = (struct sim_marathon *)n;
    m->session = sim_session_free(m->session);
    m->core = marathon_free(m->core);
    sim_store_crash(m->store);
    while (!list_is_empty(&m->orders))
        free_order(container_of(m->orders.next, struct order, link));
    for (int i = 0; i < SIM_MARATHON_APPS; i++)
        m->request_of[i] = 0; /* never answered */
}

static void on_free(struct sim_node *n)
{
    struct sim_marathon *m = (struct sim_marathon *)n;
    m->store = sim_store_free(m->store);
    free(m);
}

static const struct sim_node_ops marathon_ops = {on_tick, next_deadline, on_accept, on_crash, on_start, on_free};

struct sim_marathon *sim_marathon_new(struct world *w, const char *name, struct sim_node *master)
{
    struct sim_marathon *m = xcalloc(1, sizeof(*m));
    m->master = master;
    list_init(&m->orders);
    world_add_node(w, &m->node, &marathon_ops, name);
    m->store = sim_store_new(&m->node, on_stored);
    return m;
}

struct sim_node *sim_marathon_node(struct sim_marathon *m)
{
    return &m->node;
}

struct sim_store *sim_marathon_store(struct sim_marathon *m)
{
    return m->store;
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
    if (!m->node.is_up || m->core == NULL)
        why = "is down";
    else if (m->session == NULL || !sdk_session_is_settled(sim_session_core(m->session)))
        why = "is not subscribed and reconciled";
    for (int i = 0; i < SIM_MARATHON_APPS && why == NULL; i++)
        if (!m->is_confirmed[i] && m->has_operator)
            why = "has not accepted what the operator wants";
    size_t wanted = sim_marathon_wanted(m);
    if (why == NULL) {
        marathon_get_counts(m->core, &n);
        if (n.deployments != 0)
            why = "has a deployment";
        else if (n.instances != wanted || n.running != wanted)
            why = "has not what is wanted";
    }
    if (why != NULL)
        snprintf(text, 256, "%s %s (%zu wanted, %llu instances, %llu running, %llu deployments)", m->node.name, why, wanted,
                 (unsigned long long)n.instances, (unsigned long long)n.running, (unsigned long long)n.deployments);
    return why == NULL;
}

const char *sim_marathon_framework_id(const struct sim_marathon *m)
{
    return m->core ? marathon_framework_id(m->core) : NULL;
}

bool sim_marathon_knows(const struct sim_marathon *m, const char *task_id)
{
    if (m->core == NULL)
        return false;
    struct arena *a = arena_new(0);
    const struct sdk_task *known;
    size_t count = marathon_known_tasks(m->core, a, &known);
    bool is_known = false;
    for (size_t i = 0; i < count; i++)
        is_known |= strcmp(known[i].task_id, task_id) == 0;
    arena_free(a);
    return is_known;
}
