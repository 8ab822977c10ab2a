/* SPDX-License-Identifier: Apache-2.0
 * tasks.c - a task's way through the agent: ordered by the master, written down, queued for its executor, sent, reported on
 * (updates.c), forgotten. An order that cannot be followed still gets a record, because the refusal is an update that must
 * reach the scheduler like every other. */
#include "agent/tasks.h"

#include <stdlib.h>
#include <string.h>

#include "agent/checkpoint.h"
#include "agent/executors.h"
#include "agent/frameworks.h"
#include "agent/launch.h"
#include "agent/operations.h"
#include "agent/session.h"
#include "agent/updates.h"
#include "common/base/check.h"
#include "common/base/text.h"
#include "common/wire/codec.h"

struct agent_task *agent_task_find(const struct agent *a, const char *framework_id, const char *task_id)
{
    struct agent_framework *f = agent_framework_find(a, framework_id);
    return f ? map_get(&f->tasks, task_id) : NULL;
}

struct agent_task *agent_task_new(struct agent_framework *f, const Mesos__V1__TaskInfo *info, const void *packed,
                                  size_t len)
{
    struct agent_task *t = xcalloc(1, sizeof(*t));
    t->id = xstrdup(info->task_id->value);
    t->framework = f;
    t->info = xmemdup(packed, len);
    t->info_len = len;
    t->demand = agent_demand_of(info->resources, info->n_resources, info);
    t->state = t->accepted_state = AGENT_STATE(STAGING);
    t->retry.kind = AGENT_TIMER_RETRY;
    list_init(&t->queue_link);
    list_init(&t->updates);
    list_init(&t->history);
    void *before = map_put(&f->tasks, t->id, t);
    CHECK(before == NULL);
    return t;
}

void agent_task_attach(struct agent_task *t, struct agent_executor *e)
{
    t->executor = e;
    void *before = map_put(&e->tasks, t->id, t);
    CHECK(before == NULL);
}

struct agent_task *agent_task_free(struct agent_task *t)
{
    if (t == NULL)
        return NULL;
    agent_updates_clear(NULL, t);
    free(t->info);
    free(t->id);
    free(t);
    return NULL;
}

/* Out of every table. The caller settles the executor and the framework. */
static void detach(struct agent *a, struct agent_task *t)
{
    agent_checkpoint_forget_task(a, t);
    agent_timer_stop(a, &t->retry);
    list_remove(&t->queue_link);
    (void)map_remove(&t->framework->tasks, t->id);
    if (t->executor != NULL)
        (void)map_remove(&t->executor->tasks, t->id);
}

void agent_task_ended(struct agent *a, struct agent_task *t)
{
    list_remove(&t->queue_link);
    if (t->executor != NULL)
        agent_executor_resize(a, t->executor);
}

static void keep_completed(struct agent *a, struct agent_executor *e, const struct agent_task *t)
{
    const Mesos__V1__Task *task = agent_task_to_wire(a, t, a->out->arena);
    size_t len = protobuf_c_message_get_packed_size(&task->base);
    struct agent_completed_task *c = xcalloc(1, sizeof(*c) + len);
    c->len = len;
    (void)protobuf_c_message_pack(&task->base, c->task);
    list_push_back(&e->completed_tasks, &c->link);
    if (++e->completed_task_count > AGENT_COMPLETED_TASKS_MAX) {
        free(container_of(list_pop_front(&e->completed_tasks), struct agent_completed_task, link));
        e->completed_task_count--;
    }
}

void agent_task_complete(struct agent *a, struct agent_task *t)
{
    struct agent_framework *f = t->framework;
    struct agent_executor *e = t->executor;
    if (e != NULL) {
        keep_completed(a, e, t);
        e->served = true;
        if (!e->served_saved && !e->command) {
            agent_checkpoint_executor(a, e);
            e->served_saved = true;
        }
    }
    detach(a, t);
    (void)agent_task_free(t);
    if (e != NULL)
        agent_executor_settle(a, e);
    agent_framework_settle(a, f);
}

void agent_task_drop(struct agent *a, struct agent_task *t)
{
    detach(a, t);
    (void)agent_task_free(t);
}

/* -- launching ------------------------------------------------------------------------------------------------ */

struct order { /* one task of a RunTasks message */
    const Mesos__V1__TaskInfo *info;
    ProtobufCBinaryData packed;
    const Mesos__V1__ExecutorInfo *executor;
    bool command; /* executor is made for it */
    bool too_large;
};

static struct agent_task *record(struct agent *a, struct agent_framework *f, const struct order *o,
                                 struct agent_executor *e)
{
    struct agent_task *t = agent_task_new(f, o->info, o->packed.data, o->packed.len);
    if (e != NULL) {
        agent_task_attach(t, e);
        list_push_back(&e->queue, &t->queue_link);
    }
    agent_checkpoint_task(a, t);
    agent_checkpoint_then(a, AGENT_PENDING_TASK, f->id, e ? e->id : NULL, t->id, 0);
    return t;
}

static void refuse(struct agent *a, struct agent_framework *f, const struct order *o, const char *why)
{
    agent_trace(a, LOG_LEVEL_WARNING, "task %s of framework %s refused: %s", o->info->task_id->value, f->id, why);
    a->counts.launch_errors++;
    const char *executor_id = o->executor->executor_id->value;
    if (!o->command && map_get(&f->executors, executor_id) == NULL)
        agent_executor_tell_exited(a, f->id, executor_id, -1);
    struct agent_task *t = record(a, f, o, NULL);
    agent_updates_generate(a, t, AGENT_STATE(FAILED), AGENT_REASON(CONTAINER_LAUNCH_FAILED), why, NULL);
}

static struct agent_executor *executor_for(struct agent *a, struct agent_framework *f, const struct order *o)
{
    struct agent_executor *e = map_get(&f->executors, o->executor->executor_id->value);
    if (e != NULL)
        return e;
    size_t len = protobuf_c_message_get_packed_size(&o->executor->base);
    uint8_t *packed = arena_must_alloc(a->out->arena, len);
    (void)protobuf_c_message_pack(&o->executor->base, packed);
    bool builtin = o->command || (o->executor->has_type && o->executor->type == MESOS__V1__EXECUTOR_INFO__TYPE__DEFAULT);
    e = agent_executor_new(a, f, o->executor, packed, len, o->command, builtin, NULL, NULL);
    agent_trace(a, LOG_LEVEL_INFO, "launching executor %s of framework %s in container %s", e->id, f->id, e->container_id);
    return e;
}

static const char *unknown_resources(struct agent *a, const struct order *orders, size_t n)
{
    const Mesos__V1__ExecutorInfo *executor = orders[0].executor;
    const char *why = agent_operations_unknown(a, executor->resources, executor->n_resources, a->out->arena);
    for (size_t i = 0; i < n && why == NULL; i++)
        why = agent_operations_unknown(a, orders[i].info->resources, orders[i].info->n_resources, a->out->arena);
    return why;
}

/* Places tasks that share an executor. */
static void place(struct agent *a, struct agent_framework *f, const struct order *orders, size_t n, bool group)
{
    for (size_t i = 0; i < n; i++) {
        const char *why = orders[i].too_large ? "the task is larger than 6 MiB" : NULL;
        if (why == NULL)
            why =
                agent_launch_refusal(orders[i].info, orders[i].executor, orders[i].command, group, f->user, a->out->arena);
        if (why == NULL)
            continue;
        for (size_t j = 0; j < n; j++)
            refuse(a, f, &orders[j], why);
        agent_framework_settle(a, f);
        return;
    }
    const char *unknown = unknown_resources(a, orders, n);
    if (unknown != NULL) {
        for (size_t i = 0; i < n; i++) {
            struct agent_task *t = record(a, f, &orders[i], NULL);
            agent_updates_lose(a, t, AGENT_STATE(DROPPED), AGENT_REASON(RESOURCES_UNKNOWN), unknown);
        }
        return;
    }
    struct agent_executor *e = map_get(&f->executors, orders[0].executor->executor_id->value);
    if (e != NULL && e->command) {
        for (size_t i = 0; i < n; i++)
            refuse(a, f, &orders[i], "the executor id is that of a command task which is still here");
        return;
    }
    if (e != NULL && e->state >= AGENT_EXECUTOR_TERMINATING) {
        for (size_t i = 0; i < n; i++) {
            struct agent_task *t = record(a, f, &orders[i], NULL);
            agent_updates_lose(a, t, AGENT_STATE(DROPPED), AGENT_REASON(EXECUTOR_TERMINATED),
                               "the executor is being terminated");
        }
        return;
    }
    uint64_t number = group ? ++a->next_group : 0;
    for (size_t i = 0; i < n; i++) {
        e = executor_for(a, f, &orders[i]);
        struct agent_task *t = record(a, f, &orders[i], e);
        t->group = number;
    }
    int64_t memory_hard_bytes = agent_launch_limits(a, e).memory_hard_bytes;
    if (!e->launched || e->memory_hard_bytes != memory_hard_bytes) { /* a new one, or one that grows beyond what it was */
        e->memory_hard_bytes = memory_hard_bytes;
        agent_checkpoint_executor(a, e);
    }
}

/* What the record of a refusal needs of a task that is too large to be kept. */
static void reduce(struct order *o, struct arena *arena)
{
    Mesos__V1__TaskInfo small = MESOS__V1__TASK_INFO__INIT;
    small.name = arena_strdup(arena, "");
    small.task_id = o->info->task_id;
    small.agent_id = o->info->agent_id;
    size_t len = protobuf_c_message_get_packed_size(&small.base);
    o->packed = (ProtobufCBinaryData){.data = arena_must_alloc(arena, len), .len = len};
    (void)protobuf_c_message_pack(&small.base, o->packed.data);
    o->too_large = true;
}

/* False when the order cannot be followed at all: nothing is known under that id then. */
static bool read_order(struct agent *a, struct agent_framework *f, const ProtobufCBinaryData *packed,
                       const Mesos__V1__ExecutorInfo *executor, struct order *o)
{
    struct err err = {""};
    const Mesos__V1__TaskInfo *info =
        (const void *)wire_unpack(&mesos__v1__task_info__descriptor, packed->data, packed->len, a->out->arena, &err);
    if (info == NULL || !text_is_valid_id(info->task_id->value)) {
        agent_trace(a, LOG_LEVEL_ERROR, "the master sent a task of framework %s that cannot be read: %s", f->id, err.text);
        return false;
    }
    if (map_get(&f->tasks, info->task_id->value) != NULL) {
        agent_trace(a, LOG_LEVEL_WARNING, "task %s of framework %s is here already", info->task_id->value, f->id);
        return false;
    }
    *o = (struct order){.info = info, .packed = *packed, .executor = executor ? executor : info->executor};
    if (o->executor == NULL) {
        o->executor = agent_launch_command_executor(a, info, f->id, a->out->arena);
        o->command = true;
    }
    if (!text_is_valid_id(o->executor->executor_id->value)) {
        agent_trace(a, LOG_LEVEL_ERROR, "the master sent a task with an executor id that is none");
        return false;
    }
    if (packed->len > AGENT_TASK_BYTES_MAX)
        reduce(o, a->out->arena);
    return true;
}

void agent_on_run_tasks(struct agent *a, const Muster__Link__RunTasks *message)
{
    struct arena *arena = a->out->arena;
    struct err err = {""};
    ProtobufCBinaryData packed = message->framework_info;
    const Mesos__V1__FrameworkInfo *info =
        (const void *)wire_unpack(&mesos__v1__framework_info__descriptor, packed.data, packed.len, arena, &err);
    const Mesos__V1__ExecutorInfo *executor = NULL;
    if (info != NULL && message->has_executor)
        executor = (const void *)wire_unpack(&mesos__v1__executor_info__descriptor, message->executor.data,
                                             message->executor.len, arena, &err);
    if (info == NULL || info->id == NULL || !text_is_valid_id(info->id->value) ||
        (message->has_executor && executor == NULL)) {
        agent_trace(a, LOG_LEVEL_ERROR, "the master sent tasks that cannot be read: %s", err.text);
        return;
    }
    struct agent_framework *f = agent_framework_find(a, info->id->value);
    if (a->phase != AGENT_PHASE_RUNNING || (f != NULL && f->terminating)) {
        agent_trace(a, LOG_LEVEL_INFO, "ignoring tasks of framework %s: it, or the agent, is being shut down",
                    info->id->value);
        return;
    }
    f = agent_framework_open(a, info, packed.data, packed.len);
    struct order *orders = arena_new_array(arena, struct order, message->n_tasks + 1);
    size_t n = 0;
    for (size_t i = 0; i < message->n_tasks; i++)
        n += read_order(a, f, &message->tasks[i], executor, &orders[n]);
    if (message->group && n > 0)
        place(a, f, orders, n, true);
    for (size_t i = 0; !message->group && i < n; i++) {
        if (map_get(&f->tasks, orders[i].info->task_id->value) == NULL) /* not twice in one message */
            place(a, f, &orders[i], 1, false);
    }
    agent_framework_settle(a, f);
}

/* -- killing -------------------------------------------------------------------------------------------------- */

/* A group that was not delivered dies as one. */
static void kill_queued(struct agent *a, struct agent_task *t)
{
    struct agent_executor *e = t->executor;
    uint64_t group = t->group;
    list_for_each(it, &e->queue)
    {
        struct agent_task *other = container_of(it, struct agent_task, queue_link);
        if (other != t && (group == 0 || other->group != group))
            continue;
        list_remove(&other->queue_link);
        agent_updates_generate(a, other, AGENT_STATE(KILLED), AGENT_REASON(TASK_KILLED_DURING_LAUNCH),
                               "killed before it was given to its executor", NULL);
    }
    /* an executor that was never given a task and has none waiting is of no use */
    if (!e->served && list_is_empty(&e->queue))
        agent_executor_shutdown(a, e);
}

void agent_task_kill(struct agent *a, struct agent_task *t, bool has_grace, int64_t grace_ns)
{
    if (agent_state_is_terminal(t->accepted_state) || t->executor == NULL)
        return;
    if (!t->sent) {
        kill_queued(a, t);
        return;
    }
    t->kill_wanted = true;
    t->has_kill_grace = has_grace;
    t->kill_grace_ns = grace_ns;
    agent_executor_send_kill(a, t->executor, t);
    agent_executor_expect_kill(a, t->executor, t);
}

void agent_on_kill_task(struct agent *a, const Muster__Link__KillTask *message)
{
    const char *framework_id = message->framework_id->value, *task_id = message->task_id->value;
    struct agent_framework *f = agent_framework_find(a, framework_id);
    if (f != NULL && f->terminating)
        return;
    struct agent_task *t = f ? map_get(&f->tasks, task_id) : NULL;
    if (t == NULL) {
        agent_trace(a, LOG_LEVEL_WARNING, "asked to kill task %s of framework %s, which is not here", task_id,
                    framework_id);
        /* without a record of the framework its capabilities are unknown: LOST is understood by all */
        agent_updates_disown(a, framework_id, task_id, f != NULL && f->partition_aware, AGENT_REASON(EXECUTOR_TERMINATED),
                             "the agent has no such task");
        return;
    }
    bool has_grace = message->kill_policy != NULL && message->kill_policy->grace_period != NULL;
    agent_task_kill(a, t, has_grace, has_grace ? message->kill_policy->grace_period->nanoseconds : 0);
}

/* -- wire form ------------------------------------------------------------------------------------------------ */

static size_t copy_statuses(const struct agent_task *t, Mesos__V1__TaskStatus **out, struct arena *arena)
{
    const struct list *lists[] = {&t->history, &t->updates};
    size_t n = 0;
    for (size_t i = 0; i < 2; i++) {
        for (const struct list *it = lists[i]->next; it != lists[i]; it = it->next) {
            const struct agent_update *u = container_of(it, struct agent_update, link);
            if (!u->durable)
                continue;
            Mesos__V1__TaskStatus *status = agent_unpack(&mesos__v1__task_status__descriptor, u->status, u->len, arena);
            status->has_data = false;
            if (n > 0 && out[n - 1]->state == status->state)
                n--; /* one per run of equal states */
            out[n++] = status;
        }
    }
    return n;
}

Mesos__V1__Task *agent_task_to_wire(const struct agent *a, const struct agent_task *t, struct arena *arena)
{
    const Mesos__V1__TaskInfo *info = agent_unpack(&mesos__v1__task_info__descriptor, t->info, t->info_len, arena);
    Mesos__V1__Task *task = arena_new_one(arena, Mesos__V1__Task);
    *task = (Mesos__V1__Task)MESOS__V1__TASK__INIT;
    task->name = info->name;
    task->task_id = info->task_id;
    task->framework_id = agent_wire_framework_id(arena, t->framework->id);
    task->agent_id = agent_wire_agent_id(arena, a->id ? a->id : "");
    if (t->executor != NULL && !t->executor->command)
        task->executor_id = agent_wire_executor_id(arena, t->executor->id);
    task->state = (Mesos__V1__TaskState)t->state;
    task->n_resources = info->n_resources;
    task->resources = info->resources;
    task->statuses = arena_new_array(arena, Mesos__V1__TaskStatus *, t->update_count + t->history_count + 1);
    task->n_statuses = copy_statuses(t, task->statuses, arena);
    const struct agent_update *u =
        list_is_empty(&t->updates) ? NULL : container_of(t->updates.next, struct agent_update, link);
    if (u != NULL && u->durable) {
        task->has_status_update_state = true;
        task->status_update_state = (Mesos__V1__TaskState)u->state;
        task->has_status_update_uuid = true;
        task->status_update_uuid = agent_wire_bytes(arena, u->uuid, AGENT_UPDATE_UUID_SIZE);
    }
    task->labels = info->labels;
    task->discovery = info->discovery;
    task->container = info->container;
    task->health_check = info->health_check;
    task->kill_policy = info->kill_policy;
    if (info->command != NULL && info->command->user != NULL)
        task->user = info->command->user;
    task->n_limits = info->n_limits;
    task->limits = arena_new_array(arena, Mesos__V1__Task__LimitsEntry *, info->n_limits + 1);
    for (size_t i = 0; i < info->n_limits; i++) {
        Mesos__V1__Task__LimitsEntry *entry = arena_new_one(arena, Mesos__V1__Task__LimitsEntry);
        *entry = (Mesos__V1__Task__LimitsEntry)MESOS__V1__TASK__LIMITS_ENTRY__INIT;
        entry->key = info->limits[i]->key;
        entry->value = info->limits[i]->value;
        task->limits[i] = entry;
    }
    return task;
}
