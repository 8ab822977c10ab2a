/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/sim_framework.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"
#include "common/base/map.h"
#include "common/resource/resource.h"
#include "frameworks/sdk/calls.h"
#include "frameworks/sdk/match.h"
#include "sim/check.h"
#include "sim/sim_session.h"

#define TASK_PREFIX "task/"
#define SURPLUS_MS 10000        /* between two attempts to kill what is too much */
#define GIVE_UP_MS (120 * 1000) /* after this long out of reach a task is replaced; should it come back, it is killed */

struct task {
    char *id, *agent_id;
    int state; /* newest seen, -1 none */
    bool is_given_up;
    int64_t unreachable_ms; /* since when, 0: it is not */
    uint64_t token;         /* of the write before its launch */
    bool is_pending;        /* not launched yet: to kill it or to ask for it would be too early */
};

/* What waits for a write: an ACCEPT to send, or an update to acknowledge. */
struct waiting {
    struct list link;
    uint64_t token;
    uint32_t connection; /* of the subscription it belongs to */
    uint8_t *call;       /* packed */
    size_t call_len;
    char *forget_id; /* the task that ended */
    bool is_launch;
};

struct sim_framework {
    struct sim_node node;
    struct sim_node *master;
    char role[32];
    size_t wanted;
    enum wire_format format;
    double failover_timeout;
    struct sim_session *session;
    struct sim_store *store;
    struct map tasks;
    struct list waiting;
    char *framework_id;
    bool is_id_stored, is_subscribed, is_settled, is_wanting, is_operating;
    uint32_t subscriptions;
    uint64_t next_token, next_task, next_operation;
    int64_t surplus_ms; /* next attempt, INT64_MAX: none */
    int64_t give_up_ms; /* next look at tasks out of reach, INT64_MAX: none */
};

static void on_effect(struct sim_node *n, const struct sdk_effect *e);

/* -- books ---------------------------------------------------------------------------------------------------- */

static struct task *add_task(struct sim_framework *f, const char *id, const char *agent_id)
{
    struct task *t = xcalloc(1, sizeof(*t));
    t->id = xstrdup(id);
    t->agent_id = xstrdup(agent_id);
    t->state = -1;
    CHECK(map_put(&f->tasks, id, t) == NULL);
    return t;
}

static void free_task(struct task *t)
{
    free(t->id);
    free(t->agent_id);
    free(t);
}

static void forget_task(struct sim_framework *f, const char *id)
{
    struct task *t = map_remove(&f->tasks, id);
    if (t != NULL)
        free_task(t);
}

static void free_waiting(struct waiting *x)
{
    list_remove(&x->link);
    free(x->call);
    free(x->forget_id);
    free(x);
}

static struct waiting *write_down(struct sim_framework *f, const struct store_write *writes, size_t count,
                                  const Mesos__V1__Scheduler__Call *call)
{
    struct waiting *x = xcalloc(1, sizeof(*x));
    x->token = ++f->next_token;
    x->connection = f->subscriptions;
    if (call != NULL)
        x->call = wire_pack(&call->base, &x->call_len);
    list_push_back(&f->waiting, &x->link);
    sim_store_put(f->store, writes, count, x->token);
    return x;
}

static size_t live_count(const struct sim_framework *f)
{
    size_t count = 0;
    for (struct map_entry *e = map_first(&f->tasks); e != NULL; e = map_next(e))
        count += !((const struct task *)map_value(e))->is_given_up;
    return count;
}

/* More or fewer offers, and a look at what is too much. */
static void review(struct sim_framework *f)
{
    if (!f->is_subscribed)
        return;
    size_t have = live_count(f);
    bool wants = have < f->wanted;
    if (wants != f->is_wanting) {
        f->is_wanting = wants;
        struct sdk_event in = {.type = wants ? SDK_EVENT_WANT : SDK_EVENT_UNWANT};
        (void)sim_session_step(f->session, &in); /* 0 for these events */
    }
    if (have > f->wanted && f->surplus_ms == INT64_MAX)
        f->surplus_ms = f->node.world->now_ms;
    world_rearm(&f->node);
}

static int kill_task(struct sim_framework *f, const struct task *t)
{
    struct arena *a = arena_new(0);
    world_log(f->node.world, f->node.name, "kills %s", t->id);
    int rc = sim_session_call(f->session, sdk_call_kill(a, t->id, t->agent_id, -1));
    arena_free(a);
    return rc;
}

/* Kills are tried again until the task has ended: they may be lost. */
static void kill_surplus(struct sim_framework *f)
{
    size_t kept = 0, killed = 0;
    f->surplus_ms = INT64_MAX;
    for (struct map_entry *e = map_first(&f->tasks); e != NULL; e = map_next(e)) {
        const struct task *t = map_value(e);
        bool is_surplus = t->is_given_up ? t->unreachable_ms == 0 : kept++ >= f->wanted;
        if (!is_surplus)
            continue;
        killed++;
        if (f->is_settled && !t->is_pending)
            (void)kill_task(f, t); /* see above */
    }
    if (killed > 0)
        f->surplus_ms = f->node.world->now_ms + SURPLUS_MS;
}

static void give_up(struct sim_framework *f)
{
    int64_t now = f->node.world->now_ms;
    f->give_up_ms = INT64_MAX;
    for (struct map_entry *e = map_first(&f->tasks); e != NULL; e = map_next(e)) {
        struct task *t = map_value(e);
        if (t->unreachable_ms == 0 || t->is_given_up)
            continue;
        t->is_given_up = t->unreachable_ms + GIVE_UP_MS <= now;
        if (t->is_given_up)
            world_log(f->node.world, f->node.name, "gives up %s", t->id);
        else if (t->unreachable_ms + GIVE_UP_MS < f->give_up_ms)
            f->give_up_ms = t->unreachable_ms + GIVE_UP_MS;
    }
    review(f);
}

/* The agent is out of reach, or there again. */
static void note_reach(struct sim_framework *f, struct task *t, bool is_unreachable)
{
    int64_t now = f->node.world->now_ms;
    if (is_unreachable && t->unreachable_ms == 0) {
        t->unreachable_ms = now;
        if (now + GIVE_UP_MS < f->give_up_ms)
            f->give_up_ms = now + GIVE_UP_MS;
    } else if (!is_unreachable) {
        t->unreachable_ms = 0;
        if (t->is_given_up && f->surplus_ms == INT64_MAX)
            f->surplus_ms = now;
    }
}

/* -- offers --------------------------------------------------------------------------------------------------- */

static Mesos__V1__TaskInfo *new_task_info(struct arena *a, const char *id, const Mesos__V1__Offer *offer,
                                          const struct resources *taken)
{
    Mesos__V1__TaskInfo *t = arena_new_one(a, Mesos__V1__TaskInfo);
    mesos__v1__task_info__init(t);
    t->name = arena_strdup(a, "sleeper");
    t->task_id = arena_new_one(a, Mesos__V1__TaskID);
    mesos__v1__task_id__init(t->task_id);
    t->task_id->value = arena_strdup(a, id);
    t->agent_id = offer->agent_id;
    t->command = arena_new_one(a, Mesos__V1__CommandInfo);
    mesos__v1__command_info__init(t->command);
    t->command->value = arena_strdup(a, "sleep 1000000");
    t->n_resources = resources_to_wire(taken, RESOURCE_POST_REFINEMENT, a, &t->resources);
    return t;
}

static void decline(struct sim_framework *f, const Mesos__V1__Offer *offer)
{
    struct arena *a = arena_new(0);
    const char *id = offer->id->value;
    (void)sim_session_call(f->session, sdk_call_decline(a, &id, 1, 5)); /* lost ones come back with the offer's end */
    arena_free(a);
}

/* Writes down the tasks that fit into the offer; they are launched when that is durable. */
static bool use_offer(struct sim_framework *f, const Mesos__V1__Offer *offer)
{
    enum { TASKS_PER_OFFER = 3 };
    if (!f->is_settled || !f->is_id_stored || live_count(f) >= f->wanted)
        return false;
    struct world *w = f->node.world;
    struct resources *pool = sdk_match_pool(offer, NULL);
    if (pool == NULL)
        return false;
    struct arena *a = arena_new(0);
    Mesos__V1__TaskInfo *tasks[TASKS_PER_OFFER];
    struct store_write writes[TASKS_PER_OFFER];
    size_t count = 0;
    while (count < TASKS_PER_OFFER && live_count(f) < f->wanted) {
        static const uint32_t any_port[] = {0};
        struct sdk_need need = {.cpus_millis = 100 * world_draw(w, 1, 5),
                                .mem_millis = 32000 * world_draw(w, 1, 3),
                                .ports = any_port,
                                .port_count = (size_t)world_draw(w, 0, 1)};
        struct resources *taken;
        uint32_t port;
        if (sdk_match_take(pool, &need, f->role, &w->rng, &port, &taken) != SDK_MATCH_FITS)
            break;
        char *id = arena_printf(a, "%s-%u-%llu", f->node.name, f->node.incarnation, (unsigned long long)++f->next_task);
        tasks[count] = new_task_info(a, id, offer, taken);
        char *key = arena_printf(a, TASK_PREFIX "%s", id);
        writes[count] = (struct store_write){key, strlen(key), offer->agent_id->value, strlen(offer->agent_id->value)};
        count++;
        struct task *t = add_task(f, id, offer->agent_id->value);
        t->is_pending = true;
        t->token = f->next_token + 1; /* of the write below */
        struct sim_seen seen = {
            .type = SIM_SEEN_FRAMEWORK_WANTS, .node = &f->node, .framework_id = f->framework_id, .task_id = id};
        world_seen(w, &seen);
        taken = resources_free(taken);
    }
    if (count > 0) {
        const char *id = offer->id->value;
        Mesos__V1__Offer__Operation *launch = sdk_operation_launch(a, tasks, count);
        write_down(f, writes, count, sdk_call_accept(a, &id, 1, &launch, 1, 0))->is_launch = true;
    }
    pool = resources_free(pool);
    arena_free(a);
    return count > 0;
}

/* -- operations ----------------------------------------------------------------------------------------------- */

static Mesos__V1__Resource *reserved(struct sim_framework *f, struct arena *a, const char *name, double value)
{
    Mesos__V1__Resource *r = arena_new_one(a, Mesos__V1__Resource);
    mesos__v1__resource__init(r);
    r->name = arena_strdup(a, name);
    r->scalar = arena_new_one(a, Mesos__V1__Value__Scalar);
    mesos__v1__value__scalar__init(r->scalar);
    r->scalar->value = value;
    r->n_reservations = 1;
    r->reservations = arena_new_array(a, Mesos__V1__Resource__ReservationInfo *, 1);
    r->reservations[0] = arena_new_one(a, Mesos__V1__Resource__ReservationInfo);
    mesos__v1__resource__reservation_info__init(r->reservations[0]);
    r->reservations[0]->has_type = true;
    r->reservations[0]->type = MESOS__V1__RESOURCE__RESERVATION_INFO__TYPE__DYNAMIC;
    r->reservations[0]->role = f->role;
    return r;
}

static Mesos__V1__Resource *volume(struct sim_framework *f, struct arena *a, double value, const char *id)
{
    Mesos__V1__Resource *r = reserved(f, a, "disk", value);
    r->disk = arena_new_one(a, Mesos__V1__Resource__DiskInfo);
    mesos__v1__resource__disk_info__init(r->disk);
    r->disk->persistence = arena_new_one(a, Mesos__V1__Resource__DiskInfo__Persistence);
    mesos__v1__resource__disk_info__persistence__init(r->disk->persistence);
    r->disk->persistence->id = arena_strdup(a, id);
    r->disk->volume = arena_new_one(a, Mesos__V1__Volume);
    mesos__v1__volume__init(r->disk->volume);
    r->disk->volume->container_path = arena_strdup(a, "data");
    r->disk->volume->mode = MESOS__V1__VOLUME__MODE__RW;
    return r;
}

static Mesos__V1__Offer__Operation *operation(struct sim_framework *f, struct arena *a,
                                              Mesos__V1__Offer__Operation__Type type, Mesos__V1__Resource *one)
{
    Mesos__V1__Offer__Operation *op = arena_new_one(a, Mesos__V1__Offer__Operation);
    mesos__v1__offer__operation__init(op);
    op->has_type = true;
    op->type = type;
    if (world_draw(f->node.world, 0, 1)) { /* with and without feedback */
        op->id = arena_new_one(a, Mesos__V1__OperationID);
        mesos__v1__operation_id__init(op->id);
        op->id->value =
            arena_printf(a, "%s-%u-op%llu", f->node.name, f->node.incarnation, (unsigned long long)++f->next_operation);
    }
    Mesos__V1__Resource **list = arena_new_array(a, Mesos__V1__Resource *, 1);
    list[0] = one;
    switch (type) {
    case MESOS__V1__OFFER__OPERATION__TYPE__RESERVE:
        op->reserve = arena_new_one(a, Mesos__V1__Offer__Operation__Reserve);
        mesos__v1__offer__operation__reserve__init(op->reserve);
        op->reserve->resources = list;
        op->reserve->n_resources = 1;
        break;
    case MESOS__V1__OFFER__OPERATION__TYPE__UNRESERVE:
        op->unreserve = arena_new_one(a, Mesos__V1__Offer__Operation__Unreserve);
        mesos__v1__offer__operation__unreserve__init(op->unreserve);
        op->unreserve->resources = list;
        op->unreserve->n_resources = 1;
        break;
    case MESOS__V1__OFFER__OPERATION__TYPE__CREATE:
        op->create = arena_new_one(a, Mesos__V1__Offer__Operation__Create);
        mesos__v1__offer__operation__create__init(op->create);
        op->create->volumes = list;
        op->create->n_volumes = 1;
        break;
    default:
        op->destroy = arena_new_one(a, Mesos__V1__Offer__Operation__Destroy);
        mesos__v1__offer__operation__destroy__init(op->destroy);
        op->destroy->volumes = list;
        op->destroy->n_volumes = 1;
        break;
    }
    return op;
}

static Mesos__V1__Resource *find_reserved(const Mesos__V1__Offer *offer, bool is_volume)
{
    for (size_t i = 0; i < offer->n_resources; i++)
        if (offer->resources[i]->n_reservations > 0 && (offer->resources[i]->disk != NULL) == is_volume)
            return offer->resources[i];
    return NULL;
}

/* Now and then: reserves, makes a volume, or gives one of them back. */
static bool operate(struct sim_framework *f, const Mesos__V1__Offer *offer)
{
    struct world *w = f->node.world;
    if (!f->is_operating || !f->is_settled || world_draw(w, 0, 3) != 0)
        return false;
    struct arena *a = arena_new(0);
    Mesos__V1__Offer__Operation *ops[2];
    Mesos__V1__Resource *found;
    size_t n = 0;
    double amount = (double)world_draw(w, 1, 20);
    switch (world_draw(w, 0, 3)) {
    case 0:
        ops[n++] = operation(f, a, MESOS__V1__OFFER__OPERATION__TYPE__RESERVE, reserved(f, a, "cpus", amount / 20));
        break;
    case 1:
        ops[n++] = operation(f, a, MESOS__V1__OFFER__OPERATION__TYPE__RESERVE, reserved(f, a, "disk", amount));
        ops[n++] = operation(f, a, MESOS__V1__OFFER__OPERATION__TYPE__CREATE,
                             volume(f, a, amount,
                                    arena_printf(a, "%s-%u-v%llu", f->node.name, f->node.incarnation,
                                                 (unsigned long long)++f->next_operation)));
        break;
    case 2:
        if ((found = find_reserved(offer, false)) != NULL)
            ops[n++] = operation(f, a, MESOS__V1__OFFER__OPERATION__TYPE__UNRESERVE, found);
        break;
    default:
        if ((found = find_reserved(offer, true)) != NULL)
            ops[n++] = operation(f, a, MESOS__V1__OFFER__OPERATION__TYPE__DESTROY, found);
        break;
    }
    const char *id = offer->id->value;
    if (n > 0)
        (void)sim_session_call(f->session, sdk_call_accept(a, &id, 1, ops, n, 0)); /* lost ones: the offer ends */
    arena_free(a);
    return n > 0;
}

static void on_operation_status(struct sim_framework *f, const Mesos__V1__OperationStatus *status)
{
    world_log(f->node.world, f->node.name, "sees operation %s %s: %s", status->operation_id->value,
              wire_enum_name(&mesos__v1__operation_state__descriptor, (int)status->state),
              status->message != NULL ? status->message : "");
    if (status->uuid == NULL)
        return;
    Mesos__V1__Scheduler__Call call = MESOS__V1__SCHEDULER__CALL__INIT;
    Mesos__V1__FrameworkID id = MESOS__V1__FRAMEWORK_ID__INIT;
    Mesos__V1__Scheduler__Call__AcknowledgeOperationStatus body =
        MESOS__V1__SCHEDULER__CALL__ACKNOWLEDGE_OPERATION_STATUS__INIT;
    id.value = f->framework_id;
    call.has_type = true;
    call.type = MESOS__V1__SCHEDULER__CALL__TYPE__ACKNOWLEDGE_OPERATION_STATUS;
    call.framework_id = &id;
    call.acknowledge_operation_status = &body;
    body.agent_id = status->agent_id;
    body.operation_id = status->operation_id;
    body.uuid = status->uuid->value;
    (void)sim_session_call(f->session, &call); /* lost ones: the agent sends the status again */
}

static void on_offers(struct sim_framework *f, const Mesos__V1__Scheduler__Event__Offers *offers)
{
    for (size_t i = 0; i < offers->n_offers; i++)
        if (!operate(f, offers->offers[i]) && !use_offer(f, offers->offers[i]))
            decline(f, offers->offers[i]);
    review(f);
}

/* -- updates -------------------------------------------------------------------------------------------------- */

static void on_update(struct sim_framework *f, const Mesos__V1__TaskStatus *status)
{
    struct world *w = f->node.world;
    const char *id = status->task_id->value;
    bool is_over = sim_state_is_terminal(status->state) || status->state == MESOS__V1__TASK_STATE__TASK_UNKNOWN;
    world_log(w, f->node.name, "sees %s %s%s%s", id, wire_enum_name(&mesos__v1__task_state__descriptor, (int)status->state),
              status->has_uuid ? "" : " from the master: ",
              status->has_uuid ? "" : wire_enum_name(&mesos__v1__task_status__reason__descriptor, (int)status->reason));
    struct sim_seen seen = {.type = SIM_SEEN_FRAMEWORK_UPDATE,
                            .node = &f->node,
                            .framework_id = f->framework_id,
                            .task_id = id,
                            .status = status};
    world_seen(w, &seen);
    struct task *t = map_get(&f->tasks, id);
    if (t == NULL && !is_over && status->state != MESOS__V1__TASK_STATE__TASK_UNREACHABLE && status->agent_id != NULL) {
        t = add_task(f, id, status->agent_id->value); /* lost once and here again: it has been replaced, away with it */
        t->is_given_up = true;
    }
    if (t != NULL) {
        t->state = (int)status->state;
        note_reach(f, t, status->state == MESOS__V1__TASK_STATE__TASK_UNREACHABLE);
    }
    struct arena *a = arena_new(0);
    char *key = arena_printf(a, TASK_PREFIX "%s", id);
    struct store_write gone = {key, strlen(key), NULL, 0};
    struct waiting *x = write_down(f, &gone, is_over ? 1 : 0, sdk_call_acknowledge(a, status));
    if (is_over)
        x->forget_id = xstrdup(id);
    arena_free(a);
}

static void on_stored(struct sim_node *n, uint64_t token, int result)
{
    struct sim_framework *f = (struct sim_framework *)n;
    if (result != 0) {
        world_restart_node(n, world_draw(n->world, 100, 3000));
        return;
    }
    CHECK(!list_is_empty(&f->waiting));
    struct waiting *x = container_of(f->waiting.next, struct waiting, link);
    CHECK(x->token == token); /* in order */
    if (x->forget_id != NULL)
        forget_task(f, x->forget_id);
    for (struct map_entry *e = x->is_launch ? map_first(&f->tasks) : NULL; e != NULL; e = map_next(e))
        if (((struct task *)map_value(e))->token == token)
            ((struct task *)map_value(e))->is_pending = false;
    if (x->call != NULL && f->is_subscribed && x->connection == f->subscriptions) {
        struct arena *a = arena_new(0);
        const Mesos__V1__Scheduler__Call *call = (const Mesos__V1__Scheduler__Call *)wire_unpack(
            &mesos__v1__scheduler__call__descriptor, x->call, x->call_len, a, NULL);
        CHECK(call != NULL);
        (void)sim_session_call(f->session, call); /* lost ones are found by reconciliation, or repeated by the agent */
        arena_free(a);
    }
    if (x->call == NULL && x->forget_id == NULL)
        f->is_id_stored = true; /* or an update without an end: harmless, the id was written before it */
    free_waiting(x);
    review(f);
}

/* -- the session ---------------------------------------------------------------------------------------------- */

static void tell_tasks(struct sim_framework *f)
{
    size_t count = 0;
    struct sdk_task *list = xcalloc(map_count(&f->tasks) + 1, sizeof(*list));
    for (struct map_entry *e = map_first(&f->tasks); e != NULL; e = map_next(e)) {
        const struct task *t = map_value(e);
        list[count++] = (struct sdk_task){t->id, t->agent_id};
    }
    struct sdk_event in = {.type = SDK_EVENT_TASKS, .tasks = {list, count}};
    (void)sim_session_step(f->session, &in); /* a full queue shows in not settling */
    free(list);
}

static void on_subscribed(struct sim_framework *f, const char *framework_id)
{
    world_log(f->node.world, f->node.name, "is subscribed as %s", framework_id);
    if (f->framework_id != NULL && strcmp(f->framework_id, framework_id) != 0)
        world_violate(f->node.world, "4", "%s was %s and is subscribed as %s", f->node.name, f->framework_id, framework_id);
    f->is_subscribed = true;
    f->is_settled = false;
    f->subscriptions++;
    if (f->framework_id == NULL) {
        f->framework_id = xstrdup(framework_id);
        struct store_write id = {"id", 2, framework_id, strlen(framework_id)};
        (void)write_down(f, &id, 1, NULL);
    }
    tell_tasks(f);
}

static void on_effect(struct sim_node *n, const struct sdk_effect *e)
{
    struct sim_framework *f = (struct sim_framework *)n;
    struct world *w = n->world;
    switch (e->type) {
    case SDK_EFFECT_SUBSCRIBED:
        on_subscribed(f, e->subscribed.framework_id);
        break;
    case SDK_EFFECT_DISCONNECTED:
        world_log(w, n->name, "is disconnected: %s", e->disconnected.text ? e->disconnected.text : "");
        f->is_subscribed = f->is_settled = false;
        break;
    case SDK_EFFECT_EVENT:
        if (e->event->offers != NULL)
            on_offers(f, e->event->offers);
        else if (e->event->update != NULL)
            on_update(f, e->event->update->status);
        else if (e->event->update_operation_status != NULL)
            on_operation_status(f, e->event->update_operation_status->status);
        break;
    case SDK_EFFECT_SETTLED:
        world_log(w, n->name, "is settled with %zu tasks", map_count(&f->tasks));
        f->is_settled = true;
        review(f);
        break;
    case SDK_EFFECT_CALL_REFUSED:
        world_log(w, n->name, "call %d refused: %d %s", (int)e->refused.call, e->refused.status,
                  e->refused.text ? e->refused.text : "");
        break;
    case SDK_EFFECT_ERROR:
        world_violate(w, "4", "%s is ended by the master: %s", n->name, e->error.text);
        break;
    default:
        break;
    }
}

/* -- life ----------------------------------------------------------------------------------------------------- */

static void on_tick(struct sim_node *n)
{
    struct sim_framework *f = (struct sim_framework *)n;
    if (f->surplus_ms <= n->world->now_ms)
        kill_surplus(f);
    if (f->give_up_ms <= n->world->now_ms)
        give_up(f);
    struct sdk_event in = {.type = SDK_EVENT_TICK};
    (void)sim_session_step(f->session, &in); /* 0 for this event */
}

static int64_t next_deadline(const struct sim_node *n)
{
    const struct sim_framework *f = (const struct sim_framework *)n;
    int64_t due = sim_session_next_deadline(f->session);
    due = f->surplus_ms < due ? f->surplus_ms : due;
    return f->give_up_ms < due ? f->give_up_ms : due;
}

static void on_accept(struct sim_node *n, struct sim_conn *c, const struct sim_message *first)
{
    (void)n;
    (void)c;
    (void)first; /* refused */
}

static void recover(struct sim_framework *f)
{
    const struct sim_item *items;
    size_t count = sim_store_items(f->store, &items);
    for (size_t i = 0; i < count; i++) {
        char *key = xstrndup(items[i].key, items[i].key_len), *value = xstrndup(items[i].value, items[i].value_len);
        if (strcmp(key, "id") == 0)
            f->framework_id = xstrdup(value);
        else
            (void)add_task(f, key + strlen(TASK_PREFIX), value);
        free(key);
        free(value);
    }
    f->is_id_stored = f->framework_id != NULL;
}

static void on_start(struct sim_node *n)
{
    struct sim_framework *f = (struct sim_framework *)n;
    map_init(&f->tasks);
    list_init(&f->waiting);
    f->is_subscribed = f->is_settled = false;
    f->is_wanting = true; /* as the session is told below; it remembers over disconnections */
    f->surplus_ms = f->give_up_ms = INT64_MAX;
    recover(f);
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
    char *roles[] = {f->role};
    info.user = arena_strdup(a, "nobody");
    info.name = f->node.name;
    info.n_roles = 1;
    info.roles = roles;
    info.n_capabilities = 3;
    info.capabilities = capabilities;
    info.has_failover_timeout = 1;
    info.failover_timeout = f->failover_timeout;
    info.has_checkpoint = 1;
    info.checkpoint = 1;
    const char *const masters[] = {"master:5050"};
    struct sdk_session_config config = {.masters = masters,
                                        .master_count = 1,
                                        .framework = &info,
                                        .framework_id = f->framework_id,
                                        .format = f->format,
                                        .offers_wanted = true,
                                        .seed = rng_next(&n->world->rng)};
    f->session = sim_session_new(n, f->master, &config, on_effect);
    arena_free(a);
    struct sdk_event in = {.type = SDK_EVENT_START};
    (void)sim_session_step(f->session, &in); /* 0 for this event */
}

static void on_crash(struct sim_node *n)
{
    struct sim_framework *f = (struct sim_framework *)n;
    f->session = sim_session_free(f->session);
    sim_store_crash(f->store);
    while (!list_is_empty(&f->waiting))
        free_waiting(container_of(f->waiting.next, struct waiting, link));
    for (struct map_entry *e = map_first(&f->tasks); e != NULL; e = map_next(e))
        free_task(map_value(e));
    map_deinit(&f->tasks);
    free(f->framework_id);
    f->framework_id = NULL;
}

static void on_free(struct sim_node *n)
{
    struct sim_framework *f = (struct sim_framework *)n;
    f->store = sim_store_free(f->store);
    free(f);
}

static const struct sim_node_ops framework_ops = {on_tick, next_deadline, on_accept, on_crash, on_start, on_free};

struct sim_framework *sim_framework_new(struct world *w, const struct sim_framework_config *config, struct sim_node *master)
{
    struct sim_framework *f = xcalloc(1, sizeof(*f));
    snprintf(f->role, sizeof(f->role), "%s", config->role);
    f->master = master;
    f->wanted = config->wanted;
    f->format = config->format;
    f->failover_timeout = config->failover_timeout;
    world_add_node(w, &f->node, &framework_ops, config->name);
    f->store = sim_store_new(&f->node, on_stored);
    return f;
}

struct sim_node *sim_framework_node(struct sim_framework *f)
{
    return &f->node;
}

struct sim_store *sim_framework_store(struct sim_framework *f)
{
    return f->store;
}

void sim_framework_set_operating(struct sim_framework *f, bool on)
{
    f->is_operating = on;
}

void sim_framework_set_wanted(struct sim_framework *f, size_t wanted)
{
    world_log(f->node.world, f->node.name, "wants %zu tasks", wanted);
    f->wanted = wanted;
    if (f->node.is_up)
        review(f);
}

bool sim_framework_kill_one(struct sim_framework *f)
{
    if (!f->node.is_up || !f->is_subscribed || map_count(&f->tasks) == 0)
        return false;
    int64_t chosen = world_draw(f->node.world, 0, (int64_t)map_count(&f->tasks) - 1);
    struct map_entry *e = map_first(&f->tasks);
    for (; chosen > 0; chosen--)
        e = map_next(e);
    struct task *t = map_value(e);
    return !t->is_pending && kill_task(f, t) == 0;
}

void sim_framework_count(const struct sim_framework *f, struct sim_framework_counts *out)
{
    *out = (struct sim_framework_counts){.wanted = f->wanted};
    if (!f->node.is_up)
        return;
    out->believed = live_count(f);
    out->is_settled = f->is_subscribed && f->is_settled && list_is_empty(&f->waiting);
    for (struct map_entry *e = map_first(&f->tasks); e != NULL; e = map_next(e))
        out->running += !((const struct task *)map_value(e))->is_given_up &&
                        ((const struct task *)map_value(e))->state == MESOS__V1__TASK_STATE__TASK_RUNNING;
}

const char *sim_framework_id(const struct sim_framework *f)
{
    return f->framework_id;
}

int sim_framework_task_state(const struct sim_framework *f, const char *task_id)
{
    const struct task *t = f->node.is_up ? map_get(&f->tasks, task_id) : NULL;
    return t ? t->state : -1;
}

const char *sim_framework_first_task(const struct sim_framework *f)
{
    const struct map_entry *e = f->node.is_up ? map_first(&f->tasks) : NULL;
    return e ? map_key(e) : NULL;
}
