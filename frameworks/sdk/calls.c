/* SPDX-License-Identifier: Apache-2.0
 * calls.c - see calls.h. */
#include "frameworks/sdk/calls.h"

#include <string.h>

/* A message of `type` in the arena, set to its INIT value. */
#define new_message(pointer, a, type, init)                                                                                \
    do {                                                                                                                   \
        (pointer) = arena_new_one((a), type);                                                                              \
        *(pointer) = (type)init;                                                                                           \
    } while (0)

/* Copies into the arena; what callers give is bounded by them. */
static void *copy_bytes(struct arena *a, const void *data, size_t len)
{
    char *copy = arena_must_alloc(a, len + 1); /* zeroed: text stays terminated */
    if (len > 0)
        memcpy(copy, data, len);
    return copy;
}

static char *copy_string(struct arena *a, const char *s)
{
    return copy_bytes(a, s, strlen(s));
}

static Mesos__V1__TaskID *new_task_id(struct arena *a, const char *value)
{
    Mesos__V1__TaskID *id;
    new_message(id, a, Mesos__V1__TaskID, MESOS__V1__TASK_ID__INIT);
    id->value = copy_string(a, value);
    return id;
}

static Mesos__V1__AgentID *new_agent_id(struct arena *a, const char *value)
{
    Mesos__V1__AgentID *id;
    new_message(id, a, Mesos__V1__AgentID, MESOS__V1__AGENT_ID__INIT);
    id->value = copy_string(a, value);
    return id;
}

static Mesos__V1__ExecutorID *new_executor_id(struct arena *a, const char *value)
{
    Mesos__V1__ExecutorID *id;
    new_message(id, a, Mesos__V1__ExecutorID, MESOS__V1__EXECUTOR_ID__INIT);
    id->value = copy_string(a, value);
    return id;
}

static Mesos__V1__OfferID **new_offer_ids(struct arena *a, const char *const *values, size_t count)
{
    Mesos__V1__OfferID **ids = arena_new_array(a, Mesos__V1__OfferID *, count);
    for (size_t i = 0; i < count; i++) {
        new_message(ids[i], a, Mesos__V1__OfferID, MESOS__V1__OFFER_ID__INIT);
        ids[i]->value = copy_string(a, values[i]);
    }
    return ids;
}

static char **copy_strings(struct arena *a, const char *const *values, size_t count)
{
    char **copies = arena_new_array(a, char *, count);
    for (size_t i = 0; i < count; i++)
        copies[i] = copy_string(a, values[i]);
    return copies;
}

static Mesos__V1__Filters *new_filters(struct arena *a, double refuse_seconds)
{
    if (!(refuse_seconds >= 0))
        return NULL;
    Mesos__V1__Filters *filters;
    new_message(filters, a, Mesos__V1__Filters, MESOS__V1__FILTERS__INIT);
    filters->has_refuse_seconds = true;
    filters->refuse_seconds = refuse_seconds;
    return filters;
}

static Mesos__V1__Scheduler__Call *new_call(struct arena *a, Mesos__V1__Scheduler__Call__Type type)
{
    Mesos__V1__Scheduler__Call *call;
    new_message(call, a, Mesos__V1__Scheduler__Call, MESOS__V1__SCHEDULER__CALL__INIT);
    call->has_type = true;
    call->type = type;
    return call;
}

Mesos__V1__Scheduler__Call *sdk_call_accept(struct arena *a, const char *const *offer_ids, size_t offer_count,
                                            Mesos__V1__Offer__Operation *const *operations, size_t operation_count,
                                            double refuse_seconds)
{
    Mesos__V1__Scheduler__Call *call = new_call(a, MESOS__V1__SCHEDULER__CALL__TYPE__ACCEPT);
    new_message(call->accept, a, Mesos__V1__Scheduler__Call__Accept, MESOS__V1__SCHEDULER__CALL__ACCEPT__INIT);
    call->accept->offer_ids = new_offer_ids(a, offer_ids, offer_count);
    call->accept->n_offer_ids = offer_count;
    call->accept->operations = (Mesos__V1__Offer__Operation **)operations; /* read only by the encoder */
    call->accept->n_operations = operation_count;
    call->accept->filters = new_filters(a, refuse_seconds);
    return call;
}

Mesos__V1__Scheduler__Call *sdk_call_decline(struct arena *a, const char *const *offer_ids, size_t offer_count,
                                             double refuse_seconds)
{
    Mesos__V1__Scheduler__Call *call = new_call(a, MESOS__V1__SCHEDULER__CALL__TYPE__DECLINE);
    new_message(call->decline, a, Mesos__V1__Scheduler__Call__Decline, MESOS__V1__SCHEDULER__CALL__DECLINE__INIT);
    call->decline->offer_ids = new_offer_ids(a, offer_ids, offer_count);
    call->decline->n_offer_ids = offer_count;
    call->decline->filters = new_filters(a, refuse_seconds);
    return call;
}

Mesos__V1__Scheduler__Call *sdk_call_kill(struct arena *a, const char *task_id, const char *agent_id, int64_t grace_ms)
{
    Mesos__V1__Scheduler__Call *call = new_call(a, MESOS__V1__SCHEDULER__CALL__TYPE__KILL);
    new_message(call->kill, a, Mesos__V1__Scheduler__Call__Kill, MESOS__V1__SCHEDULER__CALL__KILL__INIT);
    call->kill->task_id = new_task_id(a, task_id);
    call->kill->agent_id = agent_id ? new_agent_id(a, agent_id) : NULL;
    if (grace_ms >= 0) {
        Mesos__V1__KillPolicy *policy;
        new_message(policy, a, Mesos__V1__KillPolicy, MESOS__V1__KILL_POLICY__INIT);
        new_message(policy->grace_period, a, Mesos__V1__DurationInfo, MESOS__V1__DURATION_INFO__INIT);
        policy->grace_period->nanoseconds = grace_ms < INT64_MAX / 1000000 ? grace_ms * 1000000 : INT64_MAX;
        call->kill->kill_policy = policy;
    }
    return call;
}

Mesos__V1__Scheduler__Call *sdk_call_acknowledge(struct arena *a, const Mesos__V1__TaskStatus *status)
{
    if (!status->has_uuid || status->uuid.len == 0 || !status->agent_id)
        return NULL;
    Mesos__V1__Scheduler__Call *call = new_call(a, MESOS__V1__SCHEDULER__CALL__TYPE__ACKNOWLEDGE);
    Mesos__V1__Scheduler__Call__Acknowledge *acknowledge;
    new_message(acknowledge, a, Mesos__V1__Scheduler__Call__Acknowledge, MESOS__V1__SCHEDULER__CALL__ACKNOWLEDGE__INIT);
    acknowledge->agent_id = new_agent_id(a, status->agent_id->value);
    acknowledge->task_id = new_task_id(a, status->task_id->value);
    acknowledge->uuid.len = status->uuid.len;
    acknowledge->uuid.data = copy_bytes(a, status->uuid.data, status->uuid.len);
    call->acknowledge = acknowledge;
    return call;
}

Mesos__V1__Scheduler__Call *sdk_call_reconcile(struct arena *a, const struct sdk_task *tasks, size_t count)
{
    Mesos__V1__Scheduler__Call *call = new_call(a, MESOS__V1__SCHEDULER__CALL__TYPE__RECONCILE);
    new_message(call->reconcile, a, Mesos__V1__Scheduler__Call__Reconcile, MESOS__V1__SCHEDULER__CALL__RECONCILE__INIT);
    Mesos__V1__Scheduler__Call__Reconcile__Task **list =
        arena_new_array(a, Mesos__V1__Scheduler__Call__Reconcile__Task *, count);
    for (size_t i = 0; i < count; i++) {
        new_message(list[i], a, Mesos__V1__Scheduler__Call__Reconcile__Task,
                    MESOS__V1__SCHEDULER__CALL__RECONCILE__TASK__INIT);
        list[i]->task_id = new_task_id(a, tasks[i].task_id);
        list[i]->agent_id = tasks[i].agent_id ? new_agent_id(a, tasks[i].agent_id) : NULL;
    }
    call->reconcile->tasks = list;
    call->reconcile->n_tasks = count;
    return call;
}

Mesos__V1__Scheduler__Call *sdk_call_message(struct arena *a, const char *agent_id, const char *executor_id,
                                             const void *data, size_t len)
{
    Mesos__V1__Scheduler__Call *call = new_call(a, MESOS__V1__SCHEDULER__CALL__TYPE__MESSAGE);
    new_message(call->message, a, Mesos__V1__Scheduler__Call__Message, MESOS__V1__SCHEDULER__CALL__MESSAGE__INIT);
    call->message->agent_id = new_agent_id(a, agent_id);
    call->message->executor_id = new_executor_id(a, executor_id);
    call->message->data.data = copy_bytes(a, data, len);
    call->message->data.len = len;
    return call;
}

Mesos__V1__Scheduler__Call *sdk_call_shutdown(struct arena *a, const char *executor_id, const char *agent_id)
{
    Mesos__V1__Scheduler__Call *call = new_call(a, MESOS__V1__SCHEDULER__CALL__TYPE__SHUTDOWN);
    new_message(call->shutdown, a, Mesos__V1__Scheduler__Call__Shutdown, MESOS__V1__SCHEDULER__CALL__SHUTDOWN__INIT);
    call->shutdown->executor_id = new_executor_id(a, executor_id);
    call->shutdown->agent_id = new_agent_id(a, agent_id);
    return call;
}

Mesos__V1__Scheduler__Call *sdk_call_revive(struct arena *a, const char *const *roles, size_t count)
{
    Mesos__V1__Scheduler__Call *call = new_call(a, MESOS__V1__SCHEDULER__CALL__TYPE__REVIVE);
    new_message(call->revive, a, Mesos__V1__Scheduler__Call__Revive, MESOS__V1__SCHEDULER__CALL__REVIVE__INIT);
    call->revive->roles = copy_strings(a, roles, count);
    call->revive->n_roles = count;
    return call;
}

Mesos__V1__Scheduler__Call *sdk_call_suppress(struct arena *a, const char *const *roles, size_t count)
{
    Mesos__V1__Scheduler__Call *call = new_call(a, MESOS__V1__SCHEDULER__CALL__TYPE__SUPPRESS);
    new_message(call->suppress, a, Mesos__V1__Scheduler__Call__Suppress, MESOS__V1__SCHEDULER__CALL__SUPPRESS__INIT);
    call->suppress->roles = copy_strings(a, roles, count);
    call->suppress->n_roles = count;
    return call;
}

Mesos__V1__Scheduler__Call *sdk_call_teardown(struct arena *a)
{
    return new_call(a, MESOS__V1__SCHEDULER__CALL__TYPE__TEARDOWN);
}

/* -- operations ------------------------------------------------------------------------------------------------- */

static Mesos__V1__Offer__Operation *new_operation(struct arena *a, Mesos__V1__Offer__Operation__Type type)
{
    Mesos__V1__Offer__Operation *operation;
    new_message(operation, a, Mesos__V1__Offer__Operation, MESOS__V1__OFFER__OPERATION__INIT);
    operation->has_type = true;
    operation->type = type;
    return operation;
}

Mesos__V1__Offer__Operation *sdk_operation_launch(struct arena *a, Mesos__V1__TaskInfo *const *tasks, size_t count)
{
    Mesos__V1__Offer__Operation *operation = new_operation(a, MESOS__V1__OFFER__OPERATION__TYPE__LAUNCH);
    new_message(operation->launch, a, Mesos__V1__Offer__Operation__Launch, MESOS__V1__OFFER__OPERATION__LAUNCH__INIT);
    operation->launch->task_infos = (Mesos__V1__TaskInfo **)tasks; /* read only by the encoder */
    operation->launch->n_task_infos = count;
    return operation;
}

Mesos__V1__Offer__Operation *sdk_operation_launch_group(struct arena *a, Mesos__V1__ExecutorInfo *executor,
                                                        Mesos__V1__TaskInfo *const *tasks, size_t count)
{
    Mesos__V1__Offer__Operation *operation = new_operation(a, MESOS__V1__OFFER__OPERATION__TYPE__LAUNCH_GROUP);
    Mesos__V1__Offer__Operation__LaunchGroup *launch;
    new_message(launch, a, Mesos__V1__Offer__Operation__LaunchGroup, MESOS__V1__OFFER__OPERATION__LAUNCH_GROUP__INIT);
    launch->executor = executor;
    new_message(launch->task_group, a, Mesos__V1__TaskGroupInfo, MESOS__V1__TASK_GROUP_INFO__INIT);
    launch->task_group->tasks = (Mesos__V1__TaskInfo **)tasks;
    launch->task_group->n_tasks = count;
    operation->launch_group = launch;
    return operation;
}
