/* SPDX-License-Identifier: Apache-2.0
 * executors.c - the life of an executor: its container on one side, its stream on the other (calls.c reads what it says).
 * A lost stream is not its end: what should have been said waits until it subscribes again. A lost container is its end,
 * whatever the stream says. */
#include "agent/executors.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "agent/checkpoint.h"
#include "agent/frameworks.h"
#include "agent/launch.h"
#include "agent/sandboxes.h"
#include "agent/session.h"
#include "agent/tasks.h"
#include "agent/updates.h"
#include "common/base/check.h"
#include "common/wire/codec.h"

const char *agent_executor_state_name(enum agent_executor_state state)
{
    static const char *const names[] = {"REGISTERING", "RUNNING", "TERMINATING", "TERMINATED", "COMPLETED"};
    return names[state];
}

struct agent_executor *agent_executor_find(const struct agent *a, const char *framework_id, const char *executor_id)
{
    struct agent_framework *f = agent_framework_find(a, framework_id);
    return f ? map_get(&f->executors, executor_id) : NULL;
}

static char *directory_of(const struct agent *a, const struct agent_executor *e)
{
    return xstrdup(arena_printf(a->out->arena, "slaves/%s/frameworks/%s/executors/%s/runs/%s", a->id, e->framework->id,
                                e->id, e->container_id));
}

struct agent_executor *agent_executor_new(struct agent *a, struct agent_framework *f, const Mesos__V1__ExecutorInfo *info,
                                          const void *packed, size_t len, bool command, bool builtin,
                                          const char *container_id, const char *directory)
{
    struct agent_executor *e = xcalloc(1, sizeof(*e));
    e->id = xstrdup(info->executor_id->value);
    e->framework = f;
    if (container_id != NULL)
        memcpy(e->container_id, container_id, UUID_TEXT_SIZE);
    else
        rng_uuid(&a->rng, NULL, e->container_id);
    e->directory = directory ? xstrdup(directory) : directory_of(a, e);
    e->info = xmemdup(packed, len);
    e->info_len = len;
    e->command = command;
    e->builtin = builtin;
    e->demand = agent_demand_of(info->resources, info->n_resources, NULL);
    e->shutdown_grace_ms = a->config.executor_shutdown_grace_ms;
    if (info->shutdown_grace_period != NULL && info->shutdown_grace_period->nanoseconds >= 0)
        e->shutdown_grace_ms = info->shutdown_grace_period->nanoseconds / 1000000;
    e->deadline.kind = AGENT_TIMER_DEADLINE;
    e->heartbeat.kind = AGENT_TIMER_HEARTBEAT;
    map_init(&e->tasks);
    list_init(&e->queue);
    list_init(&e->completed_tasks);
    list_init(&e->completed_link);
    list_init(&e->total_link);
    void *before = map_put(&f->executors, e->id, e);
    CHECK(before == NULL);
    before = map_put(&a->containers, e->container_id, e);
    CHECK(before == NULL);
    a->executor_count++;
    return e;
}

struct agent_executor *agent_executor_free(struct agent *a, struct agent_executor *e)
{
    if (e == NULL)
        return NULL;
    if (a != NULL) {
        agent_timer_stop(a, &e->deadline);
        agent_timer_stop(a, &e->heartbeat);
        list_remove(&e->total_link);
    }
    for (struct list *it; (it = list_pop_front(&e->completed_tasks)) != NULL;)
        free(container_of(it, struct agent_completed_task, link));
    map_deinit(&e->tasks);
    free(e->cause.message);
    free(e->directory);
    free(e->info);
    free(e->id);
    free(e);
    return NULL;
}

/* -- the stream ----------------------------------------------------------------------------------------------- */

static Mesos__V1__Executor__Event event_of(Mesos__V1__Executor__Event__Type type)
{
    Mesos__V1__Executor__Event event = MESOS__V1__EXECUTOR__EVENT__INIT;
    event.has_type = true;
    event.type = type;
    return event;
}

static void drop_stream(struct agent *a, struct agent_executor *e)
{
    if (e->stream == 0)
        return;
    (void)map_remove_n(&a->streams, &e->stream, sizeof(e->stream));
    e->stream = 0;
    agent_timer_stop(a, &e->heartbeat);
}

static void close_stream(struct agent *a, struct agent_executor *e)
{
    if (e->stream == 0)
        return;
    agent_emit(a, AGENT_OUT_STREAM_CLOSE)->stream.stream = e->stream;
    drop_stream(a, e);
}

void agent_executor_take_stream(struct agent *a, struct agent_executor *e, stream_id stream, request_id request)
{
    close_stream(a, e);
    e->stream = stream;
    (void)map_put_n(&a->streams, &e->stream, sizeof(e->stream), e);
    struct agent_effect *effect = agent_emit(a, AGENT_OUT_STREAM_OPEN);
    effect->stream.stream = stream;
    effect->stream.request = request;
    agent_timer_set(a, &e->heartbeat, AGENT_EXECUTOR_HEARTBEAT_MS);
}

void agent_on_stream_closed(struct agent *a, stream_id stream)
{
    struct agent_executor *e = map_get_n(&a->streams, &stream, sizeof(stream));
    if (e == NULL)
        return;
    agent_trace(a, LOG_LEVEL_INFO, "executor %s of framework %s disconnected", e->id, e->framework->id);
    drop_stream(a, e);
}

void agent_on_executor_heartbeat(struct agent *a, struct agent_executor *e)
{
    if (e->stream == 0)
        return;
    Mesos__V1__Executor__Event event = event_of(MESOS__V1__EXECUTOR__EVENT__TYPE__HEARTBEAT);
    agent_send_event(a, e, &event);
    agent_timer_set(a, &e->heartbeat, AGENT_EXECUTOR_HEARTBEAT_MS);
}

void agent_executor_send_acknowledged(struct agent *a, struct agent_executor *e, const char *task_id, const uint8_t *uuid)
{
    if (e->stream == 0)
        return; /* it reports again what it has no acknowledgement of */
    struct arena *arena = a->out->arena;
    Mesos__V1__Executor__Event event = event_of(MESOS__V1__EXECUTOR__EVENT__TYPE__ACKNOWLEDGED);
    event.acknowledged = arena_new_one(arena, Mesos__V1__Executor__Event__Acknowledged);
    *event.acknowledged = (Mesos__V1__Executor__Event__Acknowledged)MESOS__V1__EXECUTOR__EVENT__ACKNOWLEDGED__INIT;
    event.acknowledged->task_id = agent_wire_task_id(arena, task_id);
    event.acknowledged->uuid = agent_wire_bytes(arena, uuid, AGENT_UPDATE_UUID_SIZE);
    agent_send_event(a, e, &event);
}

void agent_executor_send_kill(struct agent *a, struct agent_executor *e, const struct agent_task *t)
{
    if (e->stream == 0 || e->state != AGENT_EXECUTOR_RUNNING)
        return;
    struct arena *arena = a->out->arena;
    Mesos__V1__Executor__Event event = event_of(MESOS__V1__EXECUTOR__EVENT__TYPE__KILL);
    event.kill = arena_new_one(arena, Mesos__V1__Executor__Event__Kill);
    *event.kill = (Mesos__V1__Executor__Event__Kill)MESOS__V1__EXECUTOR__EVENT__KILL__INIT;
    event.kill->task_id = agent_wire_task_id(arena, t->id);
    if (t->has_kill_grace) {
        Mesos__V1__DurationInfo *grace = arena_new_one(arena, Mesos__V1__DurationInfo);
        *grace = (Mesos__V1__DurationInfo)MESOS__V1__DURATION_INFO__INIT;
        grace->nanoseconds = t->kill_grace_ns;
        event.kill->kill_policy = arena_new_one(arena, Mesos__V1__KillPolicy);
        *event.kill->kill_policy = (Mesos__V1__KillPolicy)MESOS__V1__KILL_POLICY__INIT;
        event.kill->kill_policy->grace_period = grace;
    }
    agent_send_event(a, e, &event);
}

void agent_on_framework_message(struct agent *a, const Muster__Link__ExecutorMessage *message)
{
    struct agent_executor *e = agent_executor_find(a, message->framework_id->value, message->executor_id->value);
    if (e == NULL || e->state != AGENT_EXECUTOR_RUNNING || e->stream == 0) {
        a->counts.invalid_messages++; /* never queued (facts: mesos 1.13) */
        return;
    }
    a->counts.valid_messages++;
    struct arena *arena = a->out->arena;
    Mesos__V1__Executor__Event event = event_of(MESOS__V1__EXECUTOR__EVENT__TYPE__MESSAGE);
    event.message = arena_new_one(arena, Mesos__V1__Executor__Event__Message);
    *event.message = (Mesos__V1__Executor__Event__Message)MESOS__V1__EXECUTOR__EVENT__MESSAGE__INIT;
    event.message->data = agent_wire_bytes(arena, message->data.data, message->data.len);
    agent_send_event(a, e, &event);
}

/* -- serving what is queued ----------------------------------------------------------------------------------- */

static void send_launch(struct agent *a, struct agent_executor *e, struct agent_task *t)
{
    struct arena *arena = a->out->arena;
    Mesos__V1__Executor__Event event = event_of(MESOS__V1__EXECUTOR__EVENT__TYPE__LAUNCH);
    event.launch = arena_new_one(arena, Mesos__V1__Executor__Event__Launch);
    *event.launch = (Mesos__V1__Executor__Event__Launch)MESOS__V1__EXECUTOR__EVENT__LAUNCH__INIT;
    event.launch->task = agent_unpack(&mesos__v1__task_info__descriptor, t->info, t->info_len, arena);
    list_remove(&t->queue_link);
    t->sent = true;
    agent_send_event(a, e, &event);
}

/* The group at the head of the queue, if all of it is on disk. */
static bool send_group(struct agent *a, struct agent_executor *e, uint64_t group)
{
    struct arena *arena = a->out->arena;
    size_t n = 0;
    list_for_each(it, &e->queue)
    {
        const struct agent_task *t = container_of(it, struct agent_task, queue_link);
        if (t->group != group)
            break;
        if (!t->stored)
            return false;
        n++;
    }
    Mesos__V1__Executor__Event event = event_of(MESOS__V1__EXECUTOR__EVENT__TYPE__LAUNCH_GROUP);
    event.launch_group = arena_new_one(arena, Mesos__V1__Executor__Event__LaunchGroup);
    *event.launch_group = (Mesos__V1__Executor__Event__LaunchGroup)MESOS__V1__EXECUTOR__EVENT__LAUNCH_GROUP__INIT;
    Mesos__V1__TaskGroupInfo *info = arena_new_one(arena, Mesos__V1__TaskGroupInfo);
    *info = (Mesos__V1__TaskGroupInfo)MESOS__V1__TASK_GROUP_INFO__INIT;
    info->tasks = arena_new_array(arena, Mesos__V1__TaskInfo *, n);
    for (size_t i = 0; i < n; i++) {
        struct agent_task *t = container_of(list_pop_front(&e->queue), struct agent_task, queue_link);
        info->tasks[i] = agent_unpack(&mesos__v1__task_info__descriptor, t->info, t->info_len, arena);
        t->sent = true;
    }
    info->n_tasks = n;
    event.launch_group->task_group = info;
    agent_send_event(a, e, &event);
    return true;
}

void agent_executor_deliver(struct agent *a, struct agent_executor *e)
{
    while (!list_is_empty(&e->queue)) {
        struct agent_task *t = container_of(e->queue.next, struct agent_task, queue_link);
        if (t->group != 0 ? !send_group(a, e, t->group) : !t->stored)
            return;
        if (t->group == 0)
            send_launch(a, e, t);
        e->served = true;
    }
}

static void launch(struct agent *a, struct agent_executor *e)
{
    e->launched = true;
    const struct launcher_spec *spec = agent_launch_spec(a, e, a->out->arena);
    e->limits = spec->limits;
    agent_emit(a, AGENT_OUT_LAUNCH)->launch = spec;
}

void agent_executor_act(struct agent *a, struct agent_executor *e)
{
    if (e->state == AGENT_EXECUTOR_REGISTERING && !e->launched) {
        launch(a, e);
    } else if (e->state == AGENT_EXECUTOR_REGISTERING || e->state == AGENT_EXECUTOR_RUNNING) {
        agent_executor_resize(a, e);
        if (e->state == AGENT_EXECUTOR_RUNNING && e->stream != 0)
            agent_executor_deliver(a, e);
    }
}

static bool same_limits(const struct launcher_limits *a, const struct launcher_limits *b)
{
    return a->cpu_millis == b->cpu_millis && a->cpu_quota_millis == b->cpu_quota_millis &&
           a->memory_soft_bytes == b->memory_soft_bytes && a->memory_hard_bytes == b->memory_hard_bytes &&
           a->pids_max == b->pids_max;
}

void agent_executor_resize(struct agent *a, struct agent_executor *e)
{
    if (!e->started || e->state > AGENT_EXECUTOR_RUNNING)
        return; /* what comes while it is being started is made good when it has */
    struct launcher_limits limits = agent_launch_limits(a, e);
    if (same_limits(&limits, &e->limits))
        return;
    e->limits = limits;
    struct agent_effect *effect = agent_emit(a, AGENT_OUT_UPDATE_LIMITS);
    effect->update_limits.container_id = arena_strdup(a->out->arena, e->container_id);
    effect->update_limits.limits = limits;
}

/* -- the end -------------------------------------------------------------------------------------------------- */

static void set_cause(struct agent_executor *e, int state, int aware_state, int reason, const char *message)
{
    if (e->has_cause)
        return;
    e->has_cause = true;
    e->cause =
        (struct agent_cause){.state = state, .aware_state = aware_state, .reason = reason, .message = xstrdup(message)};
}

void agent_executor_tell_exited(struct agent *a, const char *framework_id, const char *executor_id, int status)
{
    if (!agent_session_is_up(a))
        return; /* the next reregistration does not list it any more */
    struct arena *arena = a->out->arena;
    Muster__Link__ExitedExecutor *exited = arena_new_one(arena, Muster__Link__ExitedExecutor);
    *exited = (Muster__Link__ExitedExecutor)MUSTER__LINK__EXITED_EXECUTOR__INIT;
    exited->framework_id = agent_wire_framework_id(arena, framework_id);
    exited->executor_id = agent_wire_executor_id(arena, executor_id);
    exited->status = status;
    Muster__Link__AgentToMaster message = MUSTER__LINK__AGENT_TO_MASTER__INIT;
    message.exited_executor = exited;
    agent_link_send(a, &message);
}

void agent_executor_no_longer_recovering(struct agent *a, struct agent_executor *e)
{
    if (!e->recovered)
        return;
    e->recovered = false;
    CHECK(a->recovering > 0);
    a->recovering--;
}

/* What is left of a run once its container is gone. The cause is set. */
static void terminated(struct agent *a, struct agent_executor *e, int status, Mesos__V1__TaskResourceLimitation *limitation)
{
    if (!e->command)
        agent_executor_tell_exited(a, e->framework->id, e->id, status);
    agent_executor_no_longer_recovering(a, e);
    close_stream(a, e);
    agent_timer_stop(a, &e->deadline);
    (void)map_remove(&a->containers, e->container_id);
    e->state = AGENT_EXECUTOR_TERMINATED;
    list_init(&e->queue); /* their links are set right below: every task is dropped, or ends by an update */
    for (struct map_entry *it = map_first(&e->tasks), *next; it != NULL; it = next) {
        next = map_next(it);
        struct agent_task *t = map_value(it);
        list_init(&t->queue_link);
        int state = e->framework->partition_aware ? e->cause.aware_state : e->cause.state;
        if (e->framework->terminating)
            agent_task_drop(a, t);
        else
            agent_updates_generate(a, t, state, e->cause.reason, e->cause.message, limitation);
    }
    agent_checkpoint_executor(a, e);
    if (e->launched)
        agent_sandbox_retire(a, e->container_id, e->directory);
    struct agent_framework *f = e->framework;
    agent_executor_settle(a, e);
    agent_framework_settle(a, f);
}

void agent_executor_destroy(struct agent *a, struct agent_executor *e, int state, int aware_state, int reason,
                            const char *message)
{
    if (e->state >= AGENT_EXECUTOR_TERMINATED)
        return;
    set_cause(e, state, aware_state, reason, message);
    e->state = AGENT_EXECUTOR_TERMINATING;
    agent_timer_stop(a, &e->deadline);
    if (!e->launched) {
        terminated(a, e, -1, NULL);
        return;
    }
    agent_emit(a, AGENT_OUT_DESTROY)->destroy = arena_strdup(a->out->arena, e->container_id);
}

void agent_executor_drop_staging(struct agent *a, struct agent_executor *e)
{
    for (struct map_entry *it = map_first(&e->tasks); it != NULL; it = map_next(it)) {
        struct agent_task *t = map_value(it);
        if (t->accepted_state == AGENT_STATE(STAGING) && !e->framework->terminating)
            agent_updates_lose(a, t, AGENT_STATE(DROPPED), AGENT_REASON(AGENT_RESTARTED),
                               "the agent restarted before the task was started");
    }
}

void agent_executor_lost(struct agent *a, struct agent_executor *e, int state, int aware_state, int reason,
                         const char *message)
{
    set_cause(e, state, aware_state, reason, message);
    terminated(a, e, -1, NULL);
}

/* Only updates are left of it, and nobody will acknowledge them. */
static void drop_tasks(struct agent *a, struct agent_executor *e)
{
    for (struct map_entry *it = map_first(&e->tasks), *next; it != NULL; it = next) {
        next = map_next(it);
        agent_task_drop(a, map_value(it));
    }
    agent_executor_settle(a, e);
}

void agent_executor_shutdown(struct agent *a, struct agent_executor *e)
{
    if (e->state == AGENT_EXECUTOR_TERMINATED && e->framework->terminating)
        drop_tasks(a, e);
    if (e->state >= AGENT_EXECUTOR_TERMINATING)
        return;
    set_cause(e, AGENT_STATE(FAILED), AGENT_STATE(FAILED), AGENT_REASON(EXECUTOR_TERMINATED), "the executor was shut down");
    /* one that never subscribed has nothing to wind up, unless it is one of before that may be on its way back */
    if (e->state == AGENT_EXECUTOR_REGISTERING && !e->recovered) {
        agent_executor_destroy(a, e, 0, 0, 0, "");
        return;
    }
    e->state = AGENT_EXECUTOR_TERMINATING;
    if (e->stream != 0) {
        Mesos__V1__Executor__Event event = event_of(MESOS__V1__EXECUTOR__EVENT__TYPE__SHUTDOWN);
        agent_send_event(a, e, &event);
    }
    agent_timer_set(a, &e->deadline, e->shutdown_grace_ms);
}

/* An executor that was told to kill may not get to it: a task that forks without end leaves it hardly any time. */
#define KILL_MARGIN_MS 10000

static bool has_task_to_kill(const struct agent_executor *e)
{
    for (struct map_entry *it = map_first(&e->tasks); it != NULL; it = map_next(it)) {
        const struct agent_task *t = map_value(it);
        if (t->kill_wanted && !agent_state_is_terminal(t->accepted_state))
            return true;
    }
    return false;
}

void agent_executor_expect_kill(struct agent *a, struct agent_executor *e, const struct agent_task *t)
{
    if (!e->command || e->state != AGENT_EXECUTOR_RUNNING || heap_is_in(&e->deadline.node))
        return;
    int64_t grace_ms = t->has_kill_grace && t->kill_grace_ns >= 0 ? t->kill_grace_ns / 1000000 : e->shutdown_grace_ms;
    agent_timer_set(a, &e->deadline, grace_ms + KILL_MARGIN_MS);
}

void agent_on_executor_deadline(struct agent *a, struct agent_executor *e)
{
    if (e->state == AGENT_EXECUTOR_TERMINATING) {
        agent_trace(a, LOG_LEVEL_INFO, "executor %s of framework %s did not end in time, destroying it", e->id,
                    e->framework->id);
        agent_executor_destroy(a, e, 0, 0, 0, "");
    } else if (e->state == AGENT_EXECUTOR_RUNNING) {
        if (has_task_to_kill(e))
            agent_executor_destroy(a, e, AGENT_STATE(KILLED), AGENT_STATE(KILLED), AGENT_REASON(EXECUTOR_TERMINATED),
                                   "killed with its container: its executor did not end it in time");
    } else if (e->state == AGENT_EXECUTOR_REGISTERING) {
        agent_executor_destroy(a, e, AGENT_STATE(FAILED), AGENT_STATE(FAILED), AGENT_REASON(EXECUTOR_REGISTRATION_TIMEOUT),
                               "the executor did not subscribe in time");
    }
}

void agent_on_shutdown_executor(struct agent *a, const Muster__Link__ShutdownExecutor *message)
{
    struct agent_executor *e = agent_executor_find(a, message->framework_id->value, message->executor_id->value);
    if (e != NULL)
        agent_executor_shutdown(a, e);
}

void agent_on_container_started(struct agent *a, const char *id, int pid)
{
    struct agent_executor *e = map_get(&a->containers, id);
    if (e == NULL || !e->launched || e->started)
        return;
    e->started = true;
    e->pid = pid;
    /* fetching is over: only now does the time to subscribe run. One of before has the recovery's time instead. */
    if (e->state == AGENT_EXECUTOR_REGISTERING && !e->recovered)
        agent_timer_set(a, &e->deadline, a->config.executor_registration_timeout_ms);
    agent_executor_resize(a, e);
}

static Mesos__V1__TaskResourceLimitation *memory_limitation(struct agent *a, const struct launcher_end *end)
{
    struct arena *arena = a->out->arena;
    Mesos__V1__Resource *mem = arena_new_one(arena, Mesos__V1__Resource);
    *mem = (Mesos__V1__Resource)MESOS__V1__RESOURCE__INIT;
    mem->name = arena_strdup(arena, "mem");
    mem->type = MESOS__V1__VALUE__TYPE__SCALAR;
    mem->scalar = arena_new_one(arena, Mesos__V1__Value__Scalar);
    *mem->scalar = (Mesos__V1__Value__Scalar)MESOS__V1__VALUE__SCALAR__INIT;
    mem->scalar->value = (double)end->memory_limit_bytes / (double)(1 << 20);
    Mesos__V1__TaskResourceLimitation *limitation = arena_new_one(arena, Mesos__V1__TaskResourceLimitation);
    *limitation = (Mesos__V1__TaskResourceLimitation)MESOS__V1__TASK_RESOURCE_LIMITATION__INIT;
    limitation->n_resources = 1;
    limitation->resources = arena_new_one(arena, Mesos__V1__Resource *);
    limitation->resources[0] = mem;
    return limitation;
}

/* The launcher says how the program ended; the status speaks for one that says nothing. */
static const char *end_text(struct arena *arena, const struct launcher_end *end)
{
    if (end->message != NULL && end->message[0] != '\0')
        return arena_printf(arena, "the executor ended: %s", end->message);
    if (end->status == -1)
        return "the executor ended";
    if (WIFSIGNALED(end->status))
        return arena_printf(arena, "the executor was ended by signal %s", strsignal(WTERMSIG(end->status)));
    return arena_printf(arena, "the executor exited with status %d", WEXITSTATUS(end->status));
}

/* The launcher's reason, where it knows better than the cause noted when the end was ordered. */
static void cause_of_end(struct agent *a, struct agent_executor *e, const struct launcher_end *end)
{
    int failed = AGENT_STATE(FAILED);
    if (end->reason == LAUNCHER_END_MEMORY || end->reason == LAUNCHER_END_LAUNCH_FAILED) {
        free(e->cause.message);
        e->has_cause = false;
        e->cause.message = NULL;
    }
    switch (end->reason) {
    case LAUNCHER_END_MEMORY:
        set_cause(e, failed, failed, AGENT_REASON(CONTAINER_LIMITATION_MEMORY), end->message);
        break;
    case LAUNCHER_END_LAUNCH_FAILED:
        a->counts.launch_errors++;
        set_cause(e, failed, failed, AGENT_REASON(CONTAINER_LAUNCH_FAILED), end->message);
        break;
    case LAUNCHER_END_PIDS:
        set_cause(e, failed, failed, AGENT_REASON(CONTAINER_LIMITATION), end->message);
        break;
    case LAUNCHER_END_EXITED:
    case LAUNCHER_END_DESTROYED:
    case LAUNCHER_END_LOST:
        set_cause(e, failed, failed, AGENT_REASON(EXECUTOR_TERMINATED), end_text(a->out->arena, end));
        break;
    }
}

void agent_on_container_ended(struct agent *a, const char *id, const struct launcher_end *end)
{
    struct agent_executor *e = map_get(&a->containers, id);
    if (e == NULL || !e->launched)
        return;
    cause_of_end(a, e, end);
    agent_trace(a, LOG_LEVEL_INFO, "container %s of executor %s of framework %s ended: %s", e->container_id, e->id,
                e->framework->id, end_text(a->out->arena, end));
    terminated(a, e, end->status, end->reason == LAUNCHER_END_MEMORY ? memory_limitation(a, end) : NULL);
}

static void forget_completed(struct agent *a, struct agent_executor *e)
{
    list_remove(&e->completed_link);
    e->framework->completed_executor_count--;
    a->completed_executor_count--;
    (void)agent_executor_free(a, e);
}

static bool has_live_tasks(const struct agent_executor *e)
{
    for (struct map_entry *it = map_first(&e->tasks); it != NULL; it = map_next(it)) {
        if (!agent_state_is_terminal(((const struct agent_task *)map_value(it))->accepted_state))
            return true;
    }
    return false;
}

void agent_executor_settle(struct agent *a, struct agent_executor *e)
{
    if (e->state == AGENT_EXECUTOR_RUNNING && !e->served && !has_live_tasks(e)) {
        agent_executor_shutdown(a, e);
        return;
    }
    if (e->state != AGENT_EXECUTOR_TERMINATED || map_count(&e->tasks) != 0)
        return;
    struct agent_framework *f = e->framework;
    agent_checkpoint_forget_executor(a, e);
    (void)map_remove(&f->executors, e->id);
    a->executor_count--;
    e->state = AGENT_EXECUTOR_COMPLETED;
    list_push_back(&f->completed_executors, &e->completed_link);
    list_push_back(&a->completed_executors, &e->total_link);
    f->completed_executor_count++;
    a->completed_executor_count++;
    if (f->completed_executor_count > AGENT_COMPLETED_EXECUTORS_MAX)
        forget_completed(a, container_of(f->completed_executors.next, struct agent_executor, completed_link));
    if (a->completed_executor_count > AGENT_COMPLETED_TOTAL_MAX)
        forget_completed(a, container_of(a->completed_executors.next, struct agent_executor, total_link));
}
