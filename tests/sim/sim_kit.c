/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/sim_kit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"
#include "frameworks/sdk/calls.h"
#include "sim/check.h"
#include "sim/sim_session.h"

/* What the core wants from its session. Done after the step: the session may answer with events for the core at once. */
struct order {
    struct list link;
    enum kit_effect_type type;
    char *framework_id;
    bool want;
    uint8_t *call;
    size_t call_len;
};

/* -- the session ---------------------------------------------------------------------------------------------- */

static void tell_tasks(struct sim_kit *m)
{
    struct arena *a = arena_new(0);
    const struct sdk_task *known;
    size_t count = m->ops->known_tasks(m->core, a, &known);
    struct sdk_task *list = arena_new_array(a, struct sdk_task, count + 1);
    for (size_t i = 0; i < count; i++)
        list[i] = (struct sdk_task){known[i].task_id, known[i].agent_id};
    struct sdk_event in = {.type = SDK_EVENT_TASKS, .tasks = {list, count}};
    (void)sim_session_step(m->session, &in); /* a full queue shows in not settling */
    arena_free(a);
}

static void on_update(struct sim_kit *m, const Mesos__V1__TaskStatus *status)
{
    struct world *w = m->node.world;
    world_log(w, m->node.name, "sees %s %s", status->task_id->value,
              wire_enum_name(&mesos__v1__task_state__descriptor, (int)status->state));
    struct sim_seen seen = {.type = SIM_SEEN_FRAMEWORK_UPDATE,
                            .node = &m->node,
                            .framework_id = m->ops->framework_id(m->core),
                            .task_id = status->task_id->value,
                            .status = status};
    world_seen(w, &seen);
    struct kit_event in = {.type = KIT_EVENT_UPDATE, .update = status};
    sim_kit_step(m, &in);
}

static void on_session_event(struct sim_kit *m, const Mesos__V1__Scheduler__Event *event)
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
    sim_kit_step(m, &in);
}

static void on_effect(struct sim_node *n, const struct sdk_effect *e)
{
    struct sim_kit *m = (struct sim_kit *)n;
    struct kit_event in = {.type = KIT_EVENT_SUBSCRIBED};
    switch (e->type) {
    case SDK_EFFECT_SUBSCRIBED:
        world_log(n->world, n->name, "is subscribed as %s", e->subscribed.framework_id);
        in.subscribed.framework_id = e->subscribed.framework_id;
        in.subscribed.master = "master:5050";
        sim_kit_step(m, &in);
        tell_tasks(m);
        break;
    case SDK_EFFECT_DISCONNECTED:
        world_log(n->world, n->name, "is disconnected: %s", e->disconnected.text ? e->disconnected.text : "");
        in.type = KIT_EVENT_DISCONNECTED;
        sim_kit_step(m, &in);
        break;
    case SDK_EFFECT_EVENT:
        on_session_event(m, e->event);
        break;
    case SDK_EFFECT_SETTLED:
        in.type = KIT_EVENT_SETTLED;
        sim_kit_step(m, &in);
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

static void start_session(struct sim_kit *m, const char *framework_id)
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
    info.name = arena_strdup(a, m->node.name);
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

static struct order *new_order(struct sim_kit *m, enum kit_effect_type type)
{
    struct order *o = xcalloc(1, sizeof(*o));
    o->type = type;
    list_push_back(&m->orders, &o->link);
    return o;
}

static void order_call(struct sim_kit *m, const Mesos__V1__Scheduler__Call *call)
{
    struct order *o = new_order(m, KIT_EFFECT_CALL);
    o->call = wire_pack(&call->base, &o->call_len);
}

static void order_acknowledge(struct sim_kit *m, const struct kit_effect *e)
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

static void do_order(struct sim_kit *m, const struct order *o)
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
        struct sim_seen seen = {.type = SIM_SEEN_FRAMEWORK_CALLS, .node = &m->node, .call = call};
        world_seen(m->node.world, &seen);
        (void)sim_session_call(m->session, call); /* a lost call is for the core's own time-outs */
        arena_free(a);
    }
}

/* -- stepping ------------------------------------------------------------------------------------------------- */

static void put_writes(struct sim_kit *m, const struct kit_effect *e)
{
    struct store_write *writes = xcalloc(e->store.count + 1, sizeof(*writes));
    for (size_t i = 0; i < e->store.count; i++)
        writes[i] = (struct store_write){e->store.writes[i].key, strlen(e->store.writes[i].key), e->store.writes[i].value,
                                         e->store.writes[i].value_len};
    sim_store_put(m->store, writes, e->store.count, e->store.token);
    free(writes);
}

static void carry_out(struct sim_kit *m, const struct kit_effect *e)
{
    struct world *w = m->node.world;
    struct order *o;
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
        m->ops->reply(m, e);
        break;
    case KIT_EFFECT_OWN:
        m->ops->own(m, e->own);
        break;
    case KIT_EFFECT_PUBLISH:
    case KIT_EFFECT_READ: /* nobody asks for it here */
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
    struct sim_kit *m = ctx;
    world_restart_node(&m->node, world_draw(m->node.world, 100, 3000));
}

void sim_kit_step(struct sim_kit *m, struct kit_event *in)
{
    if (m->is_ending)
        return;
    struct world *w = m->node.world;
    in->now_ms = w->now_ms;
    in->wall_ms = sim_kit_wall_ms(m);
    struct kit_effects out;
    (void)m->ops->step(m->core, in, &out); /* an error comes with a FATAL effect */
    m->ops->check(m->core);
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
    sim_kit_step((struct sim_kit *)n, &in);
}

/* -- life ----------------------------------------------------------------------------------------------------- */

static void on_tick(struct sim_node *n)
{
    struct sim_kit *m = (struct sim_kit *)n;
    if (m->session != NULL && sim_session_next_deadline(m->session) <= n->world->now_ms) {
        struct sdk_event in = {.type = SDK_EVENT_TICK};
        (void)sim_session_step(m->session, &in); /* 0 for this event */
    }
    if (m->ops->next_deadline(m->core) <= n->world->now_ms) {
        struct kit_event in = {.type = KIT_EVENT_TICK};
        sim_kit_step(m, &in);
    }
}

static int64_t next_deadline(const struct sim_node *n)
{
    const struct sim_kit *m = (const struct sim_kit *)n;
    if (m->is_ending || m->core == NULL)
        return INT64_MAX;
    int64_t due = m->ops->next_deadline(m->core), session = m->session ? sim_session_next_deadline(m->session) : INT64_MAX;
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
    struct sim_kit *m = (struct sim_kit *)n;
    m->core = m->ops->new_core(m);
    m->is_ending = m->is_ordering = false;
    const struct sim_item *items;
    size_t count = sim_store_items(m->store, &items), kept = 0, n_prefix = strlen(m->ops->store_prefix);
    struct kit_item *copy = xcalloc(count + 1, sizeof(*copy));
    for (size_t i = 0; i < count; i++)
        if (items[i].key_len >= n_prefix && memcmp(items[i].key, m->ops->store_prefix, n_prefix) == 0)
            copy[kept++] = (struct kit_item){items[i].key, items[i].key_len, items[i].value, items[i].value_len};
    struct kit_event in = {.type = KIT_EVENT_STARTED, .started = {copy, kept}};
    sim_kit_step(m, &in);
    free(copy);
}

static void on_crash(struct sim_node *n)
{
    struct sim_kit *m = (struct sim_kit *)n;
    m->session = sim_session_free(m->session);
    m->core = m->ops->free_core(m->core);
    sim_store_crash(m->store);
    while (!list_is_empty(&m->orders))
        free_order(container_of(m->orders.next, struct order, link));
    m->ops->crashed(m);
}

static void on_free(struct sim_node *n)
{
    struct sim_kit *m = (struct sim_kit *)n;
    m->store = sim_store_free(m->store);
    if (m->ops->freed)
        m->ops->freed(m);
    free(m);
}

static const struct sim_node_ops kit_ops = {on_tick, next_deadline, on_accept, on_crash, on_start, on_free};

void sim_kit_init(struct sim_kit *m, struct world *w, const char *name, struct sim_node *master,
                  const struct sim_kit_ops *ops)
{
    m->master = master;
    m->ops = ops;
    list_init(&m->orders);
    world_add_node(w, &m->node, &kit_ops, name);
    m->store = sim_store_new(&m->node, on_stored);
}

bool sim_kit_is_settled(const struct sim_kit *m)
{
    return m->session != NULL && sdk_session_is_settled(sim_session_core(m->session));
}

bool sim_kit_knows(const struct sim_kit *m, const char *task_id)
{
    if (m->core == NULL)
        return false;
    struct arena *a = arena_new(0);
    const struct sdk_task *known;
    size_t count = m->ops->known_tasks(m->core, a, &known);
    bool is_known = false;
    for (size_t i = 0; i < count; i++)
        is_known |= strcmp(known[i].task_id, task_id) == 0;
    arena_free(a);
    return is_known;
}
