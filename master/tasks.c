/* SPDX-License-Identifier: Apache-2.0 */
#include "master/tasks.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"
#include "common/wire/codec.h"
#include "master/agents.h"
#include "master/allocator.h"
#include "master/calls.h"
#include "master/drain.h"
#include "master/frameworks.h"
#include "master/roles.h"
#include "master/send.h"
#include "master/snapshot.h"

bool master_task_state_is_terminal(int state)
{
    switch (state) {
    case MESOS__V1__TASK_STATE__TASK_FINISHED:
    case MESOS__V1__TASK_STATE__TASK_FAILED:
    case MESOS__V1__TASK_STATE__TASK_KILLED:
    case MESOS__V1__TASK_STATE__TASK_LOST:
    case MESOS__V1__TASK_STATE__TASK_ERROR:
    case MESOS__V1__TASK_STATE__TASK_DROPPED:
    case MESOS__V1__TASK_STATE__TASK_GONE:
    case MESOS__V1__TASK_STATE__TASK_GONE_BY_OPERATOR:
        return true;
    default:
        return false;
    }
}

static bool is_state(int state)
{
    return state >= 0 && state < MASTER_TASK_STATE_COUNT;
}

struct master_task *master_task_find(const struct master_framework *f, const char *id)
{
    struct master_task *t = NULL;
    HASH_FIND_STR(f->tasks, id, t);
    return t;
}

struct master_task *master_task_find_unreachable(const struct master_framework *f, const char *id)
{
    struct master_task *t = NULL;
    HASH_FIND_STR(f->unreachable, id, t);
    return t;
}

/* -- the object ------------------------------------------------------------------------------------------------- */

static void set_state(struct master_task *t, int state)
{
    t->framework->state_counts[t->state]--;
    t->framework->state_counts[state]++;
    t->state = (uint8_t)state;
}

/* Keeps the newest status of each run of equal states, without its data (facts: mesos 1.11). */
static void record_status(struct master_task *t, const Mesos__V1__TaskStatus *status)
{
    Mesos__V1__TaskStatus kept = *status;
    kept.has_data = false;
    uint32_t len = (uint32_t)protobuf_c_message_get_packed_size(&kept.base);
    uint32_t at = t->statuses_len > 0 && t->update_state == status->state ? t->last_status : t->statuses_len;
    t->statuses = xrealloc(t->statuses, at + sizeof(len) + len);
    memcpy(t->statuses + at, &len, sizeof(len));
    (void)protobuf_c_message_pack(&kept.base, t->statuses + at + sizeof(len)); /* the size is known */
    t->last_status = at;
    t->statuses_len = at + (uint32_t)sizeof(len) + len;
    t->update_state = (uint8_t)status->state;
}

/* How many of the reported statuses the stream of updates has come to. Those behind are known to the agent alone: a
 * scheduler that heard of them by reconciliation would see older states after them. */
static size_t told_statuses(const Mesos__V1__Task *reported)
{
    if (reported->has_status_update_state)
        for (size_t n = reported->n_statuses; n > 0; n--)
            if (reported->statuses[n - 1]->state == reported->status_update_state)
                return n;
    return reported->n_statuses;
}

struct master_task *master_task_new(struct master *m, struct master_framework *f, struct master_agent *a,
                                    struct master_client *c, struct master_executor *e, struct resources *resources,
                                    bool is_charged, const Mesos__V1__Task *wire)
{
    size_t id_len = strlen(wire->task_id->value);
    struct master_task *t = xcalloc(1, sizeof(*t) + id_len + 1);
    memcpy(t->id, wire->task_id->value, id_len);
    t->framework = f;
    t->agent = a;
    t->executor = e;
    t->state = (uint8_t)wire->state;
    t->update_state = MESOS__V1__TASK_STATE__TASK_STAGING;
    if (wire->n_statuses == 0 && wire->has_status_update_state && is_state((int)wire->status_update_state))
        t->update_state = (uint8_t)wire->status_update_state;
    f->state_counts[t->state]++;
    Mesos__V1__Task kept = *wire;
    kept.n_statuses = 0;
    kept.has_status_update_state = kept.has_status_update_uuid = false;
    size_t packed_len = protobuf_c_message_get_packed_size(&kept.base);
    t->packed = xmalloc(packed_len);
    (void)protobuf_c_message_pack(&kept.base, t->packed); /* the size is known */
    t->packed_len = (uint32_t)packed_len;
    for (size_t i = 0, told = told_statuses(wire); i < told; i++)
        if (is_state((int)wire->statuses[i]->state))
            record_status(t, wire->statuses[i]);
    HASH_ADD_KEYPTR(hh, f->tasks, t->id, id_len, t);
    list_push_back(&a->tasks, &t->node);
    if (resources == NULL || resources_is_empty(resources)) {
        resources_free(resources);
        return t;
    }
    CHECK(c != NULL);
    t->resources = resources;
    t->client = c;
    c->held++;
    if (!is_charged) {
        struct quantities amounts;
        CHECK(resources_quantities(resources, &amounts) == 0); /* names known from the agent's total */
        share_charge(&c->node, &amounts, &m->total);
    }
    return t;
}

/* Its resources are its agent's again. */
static void release(struct master *m, struct master_task *t)
{
    if (t->resources == NULL)
        return;
    struct quantities amounts;
    CHECK(resources_quantities(t->resources, &amounts) == 0); /* as when it was charged */
    share_release(&t->client->node, &amounts, &m->total);
    struct resources *resources = t->resources;
    t->resources = NULL;
    resources_unallocate(resources);
    resources_drop_shared(resources); /* they are free, or in an offer, all the time */
    if (t->agent != NULL && t->agent->total != NULL)
        master_allocator_give_back(m, t->agent, resources, false);
    else
        resources_free(resources);
    master_client_unhold(m, t->client);
    t->client = NULL;
}

/* No longer in any table; the owner of the pointer is the caller. */
static void unlink_live(struct master_task *t)
{
    master_reconcile_skip(t);
    HASH_DEL(t->framework->tasks, t);
    list_remove(&t->node);
    t->agent = NULL;
    t->executor = NULL;
}

static void free_task(struct master_task *t)
{
    CHECK(t->resources == NULL);
    t->framework->state_counts[t->state]--;
    free(t->packed);
    free(t->statuses);
    free(t);
}

static void push_completed(struct master *m, struct master_task *t)
{
    struct master_framework *f = t->framework;
    list_push_back(&f->completed, &t->node);
    f->completed_count++;
    while (f->completed_count > m->config.max_completed_tasks_per_framework) {
        f->completed_count--;
        free_task(container_of(list_pop_front(&f->completed), struct master_task, node));
    }
}

static void complete(struct master *m, struct master_task *t)
{
    struct master_agent *a = t->agent;
    release(m, t);
    unlink_live(t);
    push_completed(m, t);
    master_drain_settle(m, a);
}

/* -- statuses --------------------------------------------------------------------------------------------------- */

Mesos__V1__TaskStatus *master_status_new(struct master *m, const char *task_id, Mesos__V1__TaskState state, int reason,
                                         const char *message)
{
    MASTER_WIRE(m, Mesos__V1__TaskStatus, status, mesos__v1__task_status);
    status->task_id = master_wire_task_id(m, arena_strdup(m->out->arena, task_id));
    status->state = state;
    status->has_source = true;
    status->source = MESOS__V1__TASK_STATUS__SOURCE__SOURCE_MASTER;
    status->has_reason = reason >= 0;
    status->reason = reason >= 0 ? (Mesos__V1__TaskStatus__Reason)reason : 0;
    status->message = (char *)message;
    status->has_timestamp = true;
    status->timestamp = (double)m->wall_ms / 1000;
    return status;
}

Mesos__V1__TaskStatus *master_task_last_status(const struct master_task *t, struct arena *arena)
{
    if (t->statuses_len == 0)
        return NULL;
    uint32_t len;
    memcpy(&len, t->statuses + t->last_status, sizeof(len));
    struct err err;
    return (void *)wire_unpack(&mesos__v1__task_status__descriptor, t->statuses + t->last_status + sizeof(len), len, arena,
                               &err);
}

/* The newest state is known: counts, and gives the resources back at an end. */
static void advance(struct master *m, struct master_task *t, int state)
{
    if (master_task_state_is_terminal(t->state) || t->state == state)
        return;
    set_state(t, state);
    if (master_task_state_is_terminal(state)) {
        m->counters.tasks_ended[state]++;
        release(m, t);
    }
}

/* A status of the task is recorded and its watchers are told; sending it to the scheduler is the caller's. */
static void apply(struct master *m, struct master_task *t, const Mesos__V1__TaskStatus *status, int latest)
{
    bool is_news =
        t->statuses_len == 0 || t->update_state != status->state || status->has_healthy || status->check_status != NULL;
    record_status(t, status);
    t->has_uuid = status->has_uuid && status->uuid.len == sizeof(t->uuid);
    if (t->has_uuid)
        memcpy(t->uuid, status->uuid.data, sizeof(t->uuid));
    advance(m, t, latest);
    if (is_news)
        master_snapshot_send_task_updated(m, t, status);
}

/* -- messages --------------------------------------------------------------------------------------------------- */

static void acknowledge_to_agent(struct master *m, struct master_agent *a, const char *framework_id, const char *task_id,
                                 ProtobufCBinaryData uuid)
{
    Muster__Link__MasterToAgent *message = master_send_agent(m, a);
    if (message == NULL)
        return;
    MASTER_WIRE(m, Muster__Link__AcknowledgeUpdate, body, muster__link__acknowledge_update);
    body->framework_id = master_wire_framework_id(m, framework_id);
    body->task_id = master_wire_task_id(m, task_id);
    body->uuid = uuid;
    message->acknowledge_update = body;
}

static void shut_down_unknown(struct master *m, struct master_agent *a, const char *framework_id)
{
    Muster__Link__MasterToAgent *message = master_send_agent(m, a);
    if (message == NULL)
        return;
    MASTER_WIRE(m, Muster__Link__ShutdownFramework, body, muster__link__shutdown_framework);
    body->framework_id = master_wire_framework_id(m, framework_id);
    message->shutdown_framework = body;
}

void master_tasks_on_status_update(struct master *m, struct master_agent *a, const Muster__Link__StatusUpdate *update)
{
    const Mesos__V1__TaskStatus *status = update->status;
    const char *framework_id = update->framework_id->value;
    struct master_framework *f = master_framework_find(m, framework_id);
    int latest = update->has_latest_state ? (int)update->latest_state : (int)status->state;
    m->counters.messages_status_update++;
    if (!is_state((int)status->state) || !is_state(latest) || !status->has_uuid || status->uuid.len != 16) {
        m->counters.invalid_status_updates++;
        master_trace_warning(m, "agent %s sent an invalid status update", a->id);
        return;
    }
    if (f == NULL) {
        m->counters.invalid_status_updates++;
        shut_down_unknown(m, a, framework_id);
        return;
    }
    struct master_task *t = master_task_find(f, status->task_id->value);
    if (t != NULL && t->agent != a) {
        m->counters.invalid_status_updates++;
        master_trace_warning(m, "agent %s sent an update of task %s, which is on agent %s", a->id, t->id, t->agent->id);
        return;
    }
    if (t != NULL && master_task_state_is_terminal(t->update_state) && (int)status->state != t->update_state) {
        /* The framework saw its end: nothing may come after it (design 10.3). The agent should stop repeating it. */
        m->counters.invalid_status_updates++;
        acknowledge_to_agent(m, a, f->id, status->task_id->value, status->uuid);
        return;
    }
    m->counters.valid_status_updates++;
    Mesos__V1__TaskStatus *forwarded = (Mesos__V1__TaskStatus *)status;
    bool is_too_large = status->has_data && status->data.len > MASTER_DATA_BYTES_MAX;
    if (status->agent_id == NULL || strcmp(status->agent_id->value, a->id) != 0 || is_too_large) {
        forwarded = arena_memdup(m->out->arena, status, sizeof(*status));
        forwarded->agent_id = a->info->id;
        forwarded->has_data = status->has_data && !is_too_large;
    }
    if (t != NULL)
        apply(m, t, forwarded, latest);
    /* Without a scheduler the agent is left to repeat it. */
    master_send_update(m, f, forwarded);
}

void master_tasks_on_acknowledge(struct master *m, struct master_framework *f,
                                 const Mesos__V1__Scheduler__Call__Acknowledge *acknowledge)
{
    struct master_agent *a = master_agent_find(m, acknowledge->agent_id->value);
    if (a == NULL || a->state != MASTER_AGENT_CONNECTED) {
        m->counters.invalid_acknowledgements++; /* the agent will send the update again */
        return;
    }
    m->counters.valid_acknowledgements++;
    acknowledge_to_agent(m, a, f->id, acknowledge->task_id->value, acknowledge->uuid);
    struct master_task *t = master_task_find(f, acknowledge->task_id->value);
    if (t != NULL && t->agent == a && master_task_state_is_terminal(t->update_state) && t->has_uuid &&
        memcmp(t->uuid, acknowledge->uuid.data, sizeof(t->uuid)) == 0)
        complete(m, t);
}

/* -- an agent that came back ------------------------------------------------------------------------------------ */

bool master_task_is_on(const struct master_task *t, const struct master_agent *a)
{
    return t->agent == a;
}

void master_task_update_from_agent(struct master *m, struct master_task *t, const Mesos__V1__Task *reported)
{
    size_t told = told_statuses(reported);
    const Mesos__V1__TaskStatus *last = told > 0 ? reported->statuses[told - 1] : NULL;
    if (is_state((int)reported->state))
        advance(m, t, (int)reported->state);
    if (last != NULL && is_state((int)last->state) && !master_task_state_is_terminal(t->update_state) &&
        (t->statuses_len == 0 || (int)last->state != t->update_state) && !master_task_state_is_terminal((int)last->state))
        apply(m, t, last, t->state);
}

void master_task_is_missing(struct master *m, struct master_task *t)
{
    if (master_task_state_is_terminal(t->update_state)) {
        complete(m, t);
        return;
    }
    struct master_framework *f = t->framework;
    bool aware = (f->capabilities & MASTER_CAN_PARTITION) != 0;
    Mesos__V1__TaskStatus *status =
        master_status_new(m, t->id, aware ? MESOS__V1__TASK_STATE__TASK_DROPPED : MESOS__V1__TASK_STATE__TASK_LOST,
                          MESOS__V1__TASK_STATUS__REASON__REASON_RECONCILIATION, "the agent came back without this task");
    status->agent_id = t->agent->info->id;
    apply(m, t, status, (int)status->state);
    master_send_update(m, f, status);
    complete(m, t);
}

void master_task_forget_unreachable(struct master *m, struct master_task *t)
{
    (void)m;
    HASH_DEL(t->framework->unreachable, t);
    list_remove(&t->node);
    free_task(t);
}

void master_tasks_missing_after_return(struct master *m, struct master_agent *a)
{
    struct list *node;
    while ((node = list_pop_front(&a->unreachable_tasks)) != NULL) {
        struct master_task *t = container_of(node, struct master_task, node);
        struct master_framework *f = t->framework;
        bool aware = (f->capabilities & MASTER_CAN_PARTITION) != 0;
        Mesos__V1__TaskStatus *status = master_status_new(
            m, t->id, aware ? MESOS__V1__TASK_STATE__TASK_GONE : MESOS__V1__TASK_STATE__TASK_LOST,
            MESOS__V1__TASK_STATUS__REASON__REASON_RECONCILIATION, "the unreachable agent came back without this task");
        status->agent_id = a->info->id;
        apply(m, t, status, (int)status->state);
        master_send_update(m, f, status);
        HASH_DEL(f->unreachable, t);
        push_completed(m, t);
    }
}

/* -- ends ------------------------------------------------------------------------------------------------------- */

static void become_unreachable(struct master *m, struct master_task *t, struct master_agent *a)
{
    struct master_framework *f = t->framework;
    release(m, t);
    unlink_live(t);
    list_push_back(&a->unreachable_tasks, &t->node);
    HASH_ADD_KEYPTR(hh, f->unreachable, t->id, strlen(t->id), t);
    while (HASH_COUNT(f->unreachable) > m->config.max_unreachable_tasks_per_framework)
        master_task_forget_unreachable(m, f->unreachable); /* the oldest: the table keeps the order of insertion */
}

/* Facts: mesos 1.11. */
static const struct {
    Mesos__V1__TaskState state, aware_state;
    Mesos__V1__TaskStatus__Reason reason, aware_reason;
    const char *message;
} agent_ends[] = {
    [MASTER_AGENT_END_UNREACHABLE] = {MESOS__V1__TASK_STATE__TASK_LOST, MESOS__V1__TASK_STATE__TASK_UNREACHABLE,
                                      MESOS__V1__TASK_STATUS__REASON__REASON_AGENT_REMOVED,
                                      MESOS__V1__TASK_STATUS__REASON__REASON_AGENT_REMOVED, "the agent is unreachable"},
    [MASTER_AGENT_END_REMOVED] = {MESOS__V1__TASK_STATE__TASK_LOST, MESOS__V1__TASK_STATE__TASK_LOST,
                                  MESOS__V1__TASK_STATUS__REASON__REASON_AGENT_REMOVED,
                                  MESOS__V1__TASK_STATUS__REASON__REASON_AGENT_REMOVED, "the agent was removed"},
    [MASTER_AGENT_END_GONE] = {MESOS__V1__TASK_STATE__TASK_LOST, MESOS__V1__TASK_STATE__TASK_GONE_BY_OPERATOR,
                               MESOS__V1__TASK_STATUS__REASON__REASON_AGENT_REMOVED,
                               MESOS__V1__TASK_STATUS__REASON__REASON_AGENT_REMOVED_BY_OPERATOR,
                               "the agent was marked gone by an operator"},
};

/* Tells of the task's end with its agent; where it goes is the caller's. */
static void tell_agent_end(struct master *m, struct master_task *t, const struct master_agent *a, enum master_agent_end how)
{
    bool aware = (t->framework->capabilities & MASTER_CAN_PARTITION) != 0;
    Mesos__V1__TaskStatus *status =
        master_status_new(m, t->id, aware ? agent_ends[how].aware_state : agent_ends[how].state,
                          (int)(aware ? agent_ends[how].aware_reason : agent_ends[how].reason), agent_ends[how].message);
    status->agent_id = master_wire_agent_id(m, arena_strdup(m->out->arena, a->id));
    if (how == MASTER_AGENT_END_UNREACHABLE)
        status->unreachable_time = master_wire_time(m->out->arena, m->wall_ms);
    t->has_uuid = false;
    apply(m, t, status, (int)status->state);
    master_send_update(m, t->framework, status);
}

static void end_with_agent(struct master *m, struct master_task *t, struct master_agent *a, enum master_agent_end how)
{
    if (master_task_state_is_terminal(t->update_state)) {
        complete(m, t);
        return;
    }
    tell_agent_end(m, t, a, how);
    if (how == MASTER_AGENT_END_UNREACHABLE)
        become_unreachable(m, t, a);
    else
        complete(m, t);
}

void master_tasks_end_of_agent(struct master *m, struct master_agent *a, enum master_agent_end how)
{
    while (!list_is_empty(&a->tasks))
        end_with_agent(m, container_of(a->tasks.next, struct master_task, node), a, how);
    while (a->executors != NULL)
        master_executor_remove(m, a->executors);
}

void master_tasks_gone_with_agent(struct master *m, struct master_agent *a)
{
    struct list *node;
    while ((node = list_pop_front(&a->unreachable_tasks)) != NULL) {
        struct master_task *t = container_of(node, struct master_task, node);
        if (!master_task_state_is_terminal(t->update_state)) /* else its scheduler was told of its end: LOST */
            tell_agent_end(m, t, a, MASTER_AGENT_END_GONE);
        HASH_DEL(t->framework->unreachable, t);
        push_completed(m, t);
    }
}

void master_tasks_end_of_framework(struct master *m, struct master_framework *f)
{
    while (f->tasks != NULL) {
        struct master_task *t = f->tasks;
        if (!master_task_state_is_terminal(t->update_state)) {
            Mesos__V1__TaskStatus *status =
                master_status_new(m, t->id, MESOS__V1__TASK_STATE__TASK_KILLED,
                                  MESOS__V1__TASK_STATUS__REASON__REASON_FRAMEWORK_REMOVED, "the framework was removed");
            status->agent_id = master_wire_agent_id(m, arena_strdup(m->out->arena, t->agent->id));
            apply(m, t, status, (int)status->state);
        }
        complete(m, t);
    }
    while (!list_is_empty(&f->executors))
        master_executor_remove(m, container_of(f->executors.next, struct master_executor, framework_node));
}

void master_tasks_forget_all(struct master *m, struct master_framework *f)
{
    while (f->tasks != NULL) {
        struct master_task *t = f->tasks;
        release(m, t);
        unlink_live(t);
        free_task(t);
    }
    while (f->unreachable != NULL)
        master_task_forget_unreachable(m, f->unreachable);
    struct list *node;
    while ((node = list_pop_front(&f->completed)) != NULL)
        free_task(container_of(node, struct master_task, node));
    f->completed_count = 0;
    while (!list_is_empty(&f->executors))
        master_executor_remove(m, container_of(f->executors.next, struct master_executor, framework_node));
}
