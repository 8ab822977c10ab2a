/* SPDX-License-Identifier: Apache-2.0
 * launch.c - the offers of an ACCEPT are put together and its operations use them up in order; one that fails does not stop
 * the next. What is left goes back to the agent. */
#include "master/launch.h"

#include <string.h>

#include "common/base/check.h"
#include "master/allocator.h"
#include "master/authorize.h"
#include "master/offers.h"
#include "master/operations.h"
#include "master/roles.h"
#include "master/send.h"
#include "master/snapshot.h"
#include "master/tasks.h"
#include "master/validate.h"

/* A refusal of 0 seconds is no filter, but the same offer is not made again at once for ever: facts 7.3, where it waits for
 * the next batch. */
#define COOL_DOWN_MS 1000

/* Frames to agents have a limit (common/wire/link.h): a long LAUNCH goes in several, a task or group fits into one. */
#define TASK_BYTES_MAX (2u << 20)
#define RUN_BYTES_MAX (4u << 20)

struct accept {
    struct master *m;
    struct master_framework *f;
    struct master_client *client;
    struct master_agent *agent;
    struct resources *remaining; /* allocated to the role, charged to the client */
    const char *role;
};

/* -- answers for what cannot be --------------------------------------------------------------------------------- */

static void send_task_failure(struct master *m, struct master_framework *f, const Mesos__V1__TaskInfo *task,
                              Mesos__V1__TaskState state, Mesos__V1__TaskStatus__Reason reason, const char *why)
{
    Mesos__V1__TaskStatus *status = master_status_new(m, task->task_id->value, state, (int)reason, why);
    status->agent_id = task->agent_id;
    m->counters.tasks_ended[state]++;
    master_send_update(m, f, status);
}

/* The tasks of a LAUNCH or LAUNCH_GROUP. */
static size_t tasks_of(const Mesos__V1__Offer__Operation *op, Mesos__V1__TaskInfo ***tasks)
{
    if (op->type == MESOS__V1__OFFER__OPERATION__TYPE__LAUNCH && op->launch != NULL) {
        *tasks = op->launch->task_infos;
        return op->launch->n_task_infos;
    }
    if (op->type == MESOS__V1__OFFER__OPERATION__TYPE__LAUNCH_GROUP && op->launch_group != NULL) {
        *tasks = op->launch_group->task_group->tasks;
        return op->launch_group->task_group->n_tasks;
    }
    return 0;
}

static void fail_all(struct master *m, struct master_framework *f, const Mesos__V1__Offer__Operation *op,
                     Mesos__V1__TaskState state, Mesos__V1__TaskStatus__Reason reason, const char *why)
{
    Mesos__V1__TaskInfo **tasks;
    size_t n = tasks_of(op, &tasks);
    for (size_t i = 0; i < n; i++)
        send_task_failure(m, f, tasks[i], state, reason, why);
}

/* -- one task --------------------------------------------------------------------------------------------------- */

/* A task on its way through: normalised, and what it takes. */
struct candidate {
    Mesos__V1__TaskInfo *info;
    struct resources *resources; /* NULL when refused */
};

static void normalise_health_check(struct master *m, Mesos__V1__TaskInfo *info)
{
    const Mesos__V1__HealthCheck *h = info->health_check;
    if (h == NULL || h->has_type || (h->command != NULL) == (h->http != NULL))
        return;
    Mesos__V1__HealthCheck *typed = arena_memdup(m->out->arena, h, sizeof(*h));
    typed->has_type = true;
    typed->type = h->command != NULL ? MESOS__V1__HEALTH_CHECK__TYPE__COMMAND : MESOS__V1__HEALTH_CHECK__TYPE__HTTP;
    info->health_check = typed;
}

/* In allocated form; the lists were validated. The wire list is replaced by the normal form. */
static struct resources *take_wire(struct accept *x, Mesos__V1__Resource ***list, size_t *n)
{
    struct resources *set = resources_new();
    struct err err;
    CHECK(resources_add_wire(set, *list, *n, &err) == 0); /* validated before */
    resources_allocate(set, x->role);
    *n = resources_to_wire(set, RESOURCE_POST_REFINEMENT, x->m->out->arena, list);
    return set;
}

/* A use of a shared volume takes it from nobody, but is one more that the role is charged for. */
static void charge_shared(struct accept *x, const struct resources *set, bool is_release)
{
    if (!resources_has_shared(set))
        return;
    struct resources *shared = resources_shared(set);
    struct quantities amounts;
    CHECK(resources_quantities(shared, &amounts) == 0); /* of the agent's total */
    if (is_release) {
        resources_subtract(x->remaining, shared);
        share_release(&x->client->node, &amounts, &x->m->total);
    } else {
        resources_add(x->remaining, shared);
        share_charge(&x->client->node, &amounts, &x->m->total);
    }
    resources_free(shared);
}

/* Moves what is asked for out of the remainder. */
static bool use(struct accept *x, struct resources *set)
{
    if (!resources_contains(x->remaining, set))
        return false;
    resources_adopt_volumes(set, x->remaining); /* a task says how it uses a volume, not whose it is */
    resources_subtract(x->remaining, set);
    charge_shared(x, set, false);
    return true;
}

static void unuse(struct accept *x, const struct resources *set)
{
    charge_shared(x, set, true);
    resources_add(x->remaining, set);
}

static const char *not_enough(struct accept *x, const struct resources *set, const char *who)
{
    struct buf want, have;
    buf_init(&want, 256);
    buf_init(&have, 256);
    resources_format(set, &want);
    resources_format(x->remaining, &have);
    const char *why = arena_printf(x->m->out->arena, "%s asks for more than is left of the offers: %.*s of %.*s", who,
                                   (int)buf_len(&want), (const char *)buf_data(&want), (int)buf_len(&have),
                                   (const char *)buf_data(&have));
    buf_deinit(&want);
    buf_deinit(&have);
    return why;
}

/* The executor as it is to run, or NULL with *why when it is not the one that runs under this id. *is_new: it is not there
 * yet, then *set is what it takes from the remainder. */
static Mesos__V1__ExecutorInfo *prepare_executor(struct accept *x, const Mesos__V1__ExecutorInfo *asked,
                                                 struct master_executor **present, struct resources **set, const char **why)
{
    struct master *m = x->m;
    Mesos__V1__ExecutorInfo *info = arena_memdup(m->out->arena, asked, sizeof(*asked));
    struct err err;
    *why = NULL;
    *set = NULL;
    if (resources_validate_wire(info->resources, info->n_resources, &err) < 0) {
        *why = arena_printf(m->out->arena, "executor resources: %s", err.text);
        return NULL;
    }
    struct resources *wanted = take_wire(x, &info->resources, &info->n_resources);
    *present = master_executor_find(x->agent, x->f, info->executor_id->value);
    if (*present == NULL) {
        *set = wanted;
        return info;
    }
    resources_free(wanted);
    size_t len = protobuf_c_message_get_packed_size(&info->base);
    uint8_t *packed = arena_must_alloc(m->out->arena, len + 1);
    (void)protobuf_c_message_pack(&info->base, packed); /* the size is known */
    if (len != (*present)->packed_len || memcmp(packed, (*present)->packed, len) != 0)
        *why =
            arena_printf(m->out->arena, "another executor runs under the id '%s' on this agent", info->executor_id->value);
    return *why == NULL ? info : NULL;
}

static Mesos__V1__Task *describe(struct accept *x, const Mesos__V1__TaskInfo *info, Mesos__V1__ExecutorID *executor_id)
{
    MASTER_WIRE(x->m, Mesos__V1__Task, task, mesos__v1__task);
    task->name = info->name;
    task->task_id = info->task_id;
    task->framework_id = x->f->info->id;
    task->executor_id = executor_id;
    task->agent_id = info->agent_id;
    task->state = MESOS__V1__TASK_STATE__TASK_STAGING;
    task->n_resources = info->n_resources;
    task->resources = info->resources;
    task->labels = info->labels;
    task->discovery = info->discovery;
    task->container = info->container;
    task->health_check = info->health_check;
    task->kill_policy = info->kill_policy;
    task->n_limits = info->n_limits;
    task->limits = (Mesos__V1__Task__LimitsEntry **)info->limits; /* the same wire form; packing asks each entry */
    if (info->command != NULL)
        task->user = info->command->user;
    else if (info->executor != NULL && info->executor->command != NULL)
        task->user = info->executor->command->user;
    return task;
}

static ProtobufCBinaryData pack(struct master *m, const ProtobufCMessage *message)
{
    ProtobufCBinaryData out = {.len = protobuf_c_message_get_packed_size(message)};
    out.data = arena_must_alloc(m->out->arena, out.len + 1);
    (void)protobuf_c_message_pack(message, out.data); /* the size is known */
    return out;
}

static void start_task(struct accept *x, const struct candidate *c, Mesos__V1__ExecutorID *executor_id,
                       struct master_executor *executor, Muster__Link__RunTasks *run)
{
    struct master_task *t =
        master_task_new(x->m, x->f, x->agent, x->client, executor, c->resources, true, describe(x, c->info, executor_id));
    run->tasks[run->n_tasks++] = pack(x->m, &c->info->base);
    master_snapshot_send_task_added(x->m, t);
}

static Muster__Link__RunTasks *new_run(struct accept *x, size_t tasks_max)
{
    MASTER_WIRE(x->m, Muster__Link__RunTasks, run, muster__link__run_tasks);
    run->framework_info.len = x->f->packed_info_len;
    run->framework_info.data = x->f->packed_info;
    run->tasks = arena_new_array(x->m->out->arena, ProtobufCBinaryData, tasks_max);
    return run;
}

static void send_run(struct accept *x, Muster__Link__RunTasks *run)
{
    if (run->n_tasks == 0)
        return;
    Muster__Link__MasterToAgent *message = master_send_agent(x->m, x->agent);
    CHECK(message != NULL); /* only connected agents have offers */
    message->run_tasks = run;
}

/* -- LAUNCH ----------------------------------------------------------------------------------------------------- */

static const char *launch_one(struct accept *x, const Mesos__V1__TaskInfo *asked, Muster__Link__RunTasks *run)
{
    struct arena *arena = x->m->out->arena;
    struct candidate c = {.info = arena_memdup(arena, asked, sizeof(*asked))};
    Mesos__V1__ExecutorInfo *executor_info = NULL;
    struct master_executor *executor = NULL;
    struct resources *executor_set = NULL;
    normalise_health_check(x->m, c.info);
    if (asked->executor != NULL && asked->executor->framework_id == NULL) {
        c.info->executor = arena_memdup(arena, asked->executor, sizeof(*asked->executor));
        c.info->executor->framework_id = x->f->info->id;
    }
    const char *why = master_validate_task(x->f, x->agent, c.info, x->role, arena);
    if (why == NULL)
        why = master_validate_launch(x->f, c.info, arena);
    if (why == NULL && c.info->executor != NULL) {
        executor_info = prepare_executor(x, c.info->executor, &executor, &executor_set, &why);
        if (why == NULL)
            c.info->executor = executor_info;
    }
    if (why != NULL)
        return why;
    c.resources = take_wire(x, &c.info->resources, &c.info->n_resources);
    if (!use(x, c.resources)) {
        why = not_enough(x, c.resources, "the task");
    } else if (executor_set != NULL && !use(x, executor_set)) {
        why = not_enough(x, executor_set, "the executor");
        unuse(x, c.resources);
    }
    if (why != NULL) {
        resources_free(c.resources);
        resources_free(executor_set);
        return why;
    }
    if (executor_set != NULL)
        executor = master_executor_new(x->m, x->f, x->agent, x->client, executor_set, true, executor_info);
    start_task(x, &c, executor_info != NULL ? executor_info->executor_id : NULL, executor, run);
    return NULL;
}

static void launch(struct accept *x, const Mesos__V1__Offer__Operation *op)
{
    Mesos__V1__TaskInfo **tasks;
    size_t n = tasks_of(op, &tasks);
    Muster__Link__RunTasks *run = new_run(x, n);
    size_t run_bytes = 0;
    for (size_t i = 0; i < n; i++) {
        size_t bytes = protobuf_c_message_get_packed_size(&tasks[i]->base);
        const char *forbidden = master_forbidden_user(x->m, x->f->info, tasks[i], NULL);
        if (forbidden != NULL) {
            send_task_failure(x->m, x->f, tasks[i], MESOS__V1__TASK_STATE__TASK_ERROR,
                              MESOS__V1__TASK_STATUS__REASON__REASON_TASK_UNAUTHORIZED,
                              arena_printf(x->m->out->arena, "Not authorized to launch as user '%.300s'", forbidden));
            continue;
        }
        const char *why = op->id != NULL ? "LAUNCH takes no operation id" : NULL;
        if (why == NULL && bytes > TASK_BYTES_MAX)
            why = arena_printf(x->m->out->arena, "the task has more than %u bytes", TASK_BYTES_MAX);
        if (run_bytes + bytes > RUN_BYTES_MAX) {
            send_run(x, run);
            run = new_run(x, n - i);
            run_bytes = 0;
        }
        if (why == NULL)
            why = launch_one(x, tasks[i], run);
        run_bytes += bytes;
        if (why != NULL)
            send_task_failure(x->m, x->f, tasks[i], MESOS__V1__TASK_STATE__TASK_ERROR,
                              MESOS__V1__TASK_STATUS__REASON__REASON_TASK_INVALID, why);
    }
    send_run(x, run);
}

/* -- LAUNCH_GROUP ----------------------------------------------------------------------------------------------- */

static const char *check_group(struct accept *x, const Mesos__V1__ExecutorInfo *executor, struct candidate *list,
                               Mesos__V1__TaskInfo *const *tasks, size_t n)
{
    struct arena *arena = x->m->out->arena;
    struct map seen;
    const char *why = n == 0 ? "the group has no tasks" : master_validate_group_executor(x->f, executor, arena);
    map_init(&seen);
    for (size_t i = 0; why == NULL && i < n; i++) {
        list[i].info = arena_memdup(arena, tasks[i], sizeof(*tasks[i]));
        normalise_health_check(x->m, list[i].info);
        why = master_validate_task(x->f, x->agent, list[i].info, x->role, arena);
        if (why == NULL)
            why = master_validate_group_task(list[i].info, executor, arena);
        if (why == NULL && map_put(&seen, list[i].info->task_id->value, x) != NULL)
            why = arena_printf(arena, "the group names the task '%s' twice", list[i].info->task_id->value);
    }
    map_deinit(&seen);
    return why;
}

/* Takes the resources of everything out of the remainder, or of nothing. */
static const char *use_group(struct accept *x, struct candidate *list, size_t n, struct resources *executor_set)
{
    const char *why = NULL;
    bool has_executor = executor_set != NULL && use(x, executor_set);
    size_t used = 0;
    if (executor_set != NULL && !has_executor)
        why = not_enough(x, executor_set, "the executor");
    while (why == NULL && used < n) {
        struct resources *set = take_wire(x, &list[used].info->resources, &list[used].info->n_resources);
        if (use(x, set)) {
            list[used++].resources = set;
        } else {
            why = not_enough(x, set, "the group");
            resources_free(set);
        }
    }
    if (why == NULL)
        return NULL;
    while (used-- > 0) {
        unuse(x, list[used].resources);
        list[used].resources = resources_free(list[used].resources);
    }
    if (has_executor)
        unuse(x, executor_set);
    return why;
}

static const char *launch_whole_group(struct accept *x, const Mesos__V1__Offer__Operation__LaunchGroup *group)
{
    Mesos__V1__TaskInfo **tasks = group->task_group->tasks;
    size_t n = group->task_group->n_tasks;
    struct candidate *list = arena_new_array(x->m->out->arena, struct candidate, n);
    struct master_executor *executor = NULL;
    struct resources *executor_set = NULL;
    size_t bytes = protobuf_c_message_get_packed_size(&group->base);
    const char *why = bytes > RUN_BYTES_MAX
                          ? arena_printf(x->m->out->arena, "the group has more than %u bytes", RUN_BYTES_MAX)
                          : check_group(x, group->executor, list, tasks, n);
    if (why != NULL)
        return why;
    Mesos__V1__ExecutorInfo *info = prepare_executor(x, group->executor, &executor, &executor_set, &why);
    if (why == NULL)
        why = use_group(x, list, n, executor_set);
    if (why != NULL) {
        resources_free(executor_set);
        return why;
    }
    if (executor == NULL)
        executor = master_executor_new(x->m, x->f, x->agent, x->client, executor_set, true, info);
    Muster__Link__RunTasks *run = new_run(x, n);
    run->has_executor = true;
    run->executor = pack(x->m, &info->base);
    run->has_group = true;
    run->group = true;
    for (size_t i = 0; i < n; i++)
        start_task(x, &list[i], info->executor_id, executor, run);
    send_run(x, run);
    return NULL;
}

/* The first user that a task of the group may not run as. */
static const char *forbidden_in_group(struct accept *x, const Mesos__V1__Offer__Operation__LaunchGroup *group)
{
    const char *user = NULL;
    for (size_t i = 0; group != NULL && user == NULL && i < group->task_group->n_tasks; i++)
        user = master_forbidden_user(x->m, x->f->info, group->task_group->tasks[i], group->executor);
    return user;
}

static void launch_group(struct accept *x, const Mesos__V1__Offer__Operation *op)
{
    const char *why, *forbidden = forbidden_in_group(x, op->launch_group);
    if (forbidden != NULL) {
        fail_all(x->m, x->f, op, MESOS__V1__TASK_STATE__TASK_ERROR,
                 MESOS__V1__TASK_STATUS__REASON__REASON_TASK_GROUP_UNAUTHORIZED,
                 arena_printf(x->m->out->arena, "Not authorized to launch as user '%.300s'", forbidden));
        return;
    }
    if (op->id != NULL)
        why = "LAUNCH_GROUP takes no operation id";
    else
        why = op->launch_group != NULL ? launch_whole_group(x, op->launch_group) : NULL;
    if (why != NULL)
        fail_all(x->m, x->f, op, MESOS__V1__TASK_STATE__TASK_ERROR,
                 MESOS__V1__TASK_STATUS__REASON__REASON_TASK_GROUP_INVALID, why);
}

/* -- ACCEPT ----------------------------------------------------------------------------------------------------- */

static bool is_task_operation(const Mesos__V1__Offer__Operation *op)
{
    return op->has_type && (op->type == MESOS__V1__OFFER__OPERATION__TYPE__LAUNCH ||
                            op->type == MESOS__V1__OFFER__OPERATION__TYPE__LAUNCH_GROUP);
}

/* Why these offers cannot be used together, NULL if they can; then *first is one of them and all are marked. */
static const char *check_offers(struct master *m, struct master_framework *f,
                                const Mesos__V1__Scheduler__Call__Accept *accept, struct master_offer **first)
{
    *first = NULL;
    if (accept->n_offer_ids == 0)
        return "no offer is named";
    for (size_t i = 0; i < accept->n_offer_ids; i++) {
        struct master_offer *o = master_offer_find(m, accept->offer_ids[i]->value);
        if (o == NULL || o->client->framework != f)
            return arena_printf(m->out->arena, "offer %.300s is no longer valid", accept->offer_ids[i]->value);
        if (o->is_named)
            return arena_printf(m->out->arena, "offer %s is named twice", accept->offer_ids[i]->value);
        if (*first == NULL)
            *first = o;
        if (o->client != (*first)->client)
            return "the offers are for different roles";
        if (o->agent != (*first)->agent)
            return "the offers are of different agents";
        o->is_named = true;
    }
    return NULL;
}

static void refuse_accept(struct master *m, struct master_framework *f, const Mesos__V1__Scheduler__Call__Accept *accept,
                          const char *why)
{
    for (size_t i = 0; i < accept->n_offer_ids; i++) {
        struct master_offer *o = master_offer_find(m, accept->offer_ids[i]->value);
        if (o != NULL && o->client->framework == f)
            master_offer_return(m, o, false, false);
    }
    bool aware = (f->capabilities & MASTER_CAN_PARTITION) != 0;
    Mesos__V1__TaskState state = aware ? MESOS__V1__TASK_STATE__TASK_DROPPED : MESOS__V1__TASK_STATE__TASK_LOST;
    for (size_t i = 0; i < accept->n_operations; i++) {
        if (is_task_operation(accept->operations[i]))
            fail_all(m, f, accept->operations[i], state, MESOS__V1__TASK_STATUS__REASON__REASON_INVALID_OFFERS, why);
        else
            master_operation_refuse(m, f, accept->operations[i], why);
    }
}

static void take_offers(struct accept *x, const Mesos__V1__Scheduler__Call__Accept *accept)
{
    for (size_t i = 0; i < accept->n_offer_ids; i++) {
        struct master_offer *o = master_offer_find(x->m, accept->offer_ids[i]->value);
        struct resources *resources = master_offer_take(x->m, o);
        if (x->remaining == NULL) {
            x->remaining = resources;
            continue;
        }
        resources_add(x->remaining, resources);
        resources_free(resources);
    }
}

/* What the operations left goes back, refused for a while by this client unless it says 0. */
static void return_rest(struct accept *x, const Mesos__V1__Filters *filters)
{
    struct quantities amounts;
    CHECK(resources_quantities(x->remaining, &amounts) == 0); /* names known from the agent's total */
    share_release(&x->client->node, &amounts, &x->m->total);
    resources_unallocate(x->remaining);
    int64_t timeout_ms = master_filter_timeout_ms(x->m, filters);
    if (timeout_ms > 0 && !resources_is_empty(x->remaining))
        master_filter_add(x->m, x->client, x->agent, resources_copy(x->remaining), timeout_ms);
    master_allocator_give_back(x->m, x->agent, x->remaining, timeout_ms > 0);
    x->remaining = NULL;
}

void master_on_accept(struct master *m, struct master_framework *f, const Mesos__V1__Scheduler__Call__Accept *accept)
{
    struct master_offer *first;
    const char *why = check_offers(m, f, accept, &first);
    if (why != NULL) {
        refuse_accept(m, f, accept, why);
        return;
    }
    m->counters.offers_accepted += accept->n_offer_ids;
    struct accept x = {.m = m, .f = f, .client = first->client, .agent = first->agent, .role = first->client->role->name};
    x.client->held++; /* it may be a role that was dropped: it lives until this is done */
    take_offers(&x, accept);
    for (size_t i = 0; i < accept->n_operations; i++) {
        const Mesos__V1__Offer__Operation *op = accept->operations[i];
        if (op->has_type && op->type == MESOS__V1__OFFER__OPERATION__TYPE__LAUNCH)
            launch(&x, op);
        else if (op->has_type && op->type == MESOS__V1__OFFER__OPERATION__TYPE__LAUNCH_GROUP)
            launch_group(&x, op);
        else if ((why = master_operation_accept(m, x.client, x.agent, x.remaining, op)) != NULL)
            master_operation_refuse(m, f, op, why);
    }
    return_rest(&x, accept->filters);
    master_client_unhold(m, x.client);
}

/* -- DECLINE ---------------------------------------------------------------------------------------------------- */

void master_on_decline(struct master *m, struct master_framework *f, const Mesos__V1__Scheduler__Call__Decline *decline)
{
    int64_t timeout_ms = master_filter_timeout_ms(m, decline->filters);
    if (timeout_ms == 0)
        timeout_ms = COOL_DOWN_MS;
    for (size_t i = 0; i < decline->n_offer_ids; i++) {
        struct master_offer *o = master_offer_find(m, decline->offer_ids[i]->value);
        if (o == NULL || o->client->framework != f)
            continue;
        m->counters.offers_declined++;
        struct resources *refused = resources_copy(o->resources);
        resources_unallocate(refused);
        if (o->client->is_subscribed)
            master_filter_add(m, o->client, o->agent, refused, timeout_ms);
        else
            resources_free(refused);
        master_offer_return(m, o, false, true);
    }
}
