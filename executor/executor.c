/* SPDX-License-Identifier: Apache-2.0
 * executor.c - the step: takes events apart, decides when the work is done. See executor.h. */
#include "executor/executor.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"
#include "executor/state.h"

void executor_check_invariants(const struct executor *e)
{
    size_t count = 0, updates = 0, promised = 0;
    list_for_each(it, &e->tasks)
    {
        const struct executor_task *task = container_of(it, struct executor_task, in_tasks);
        count++;
        promised += task->update_count;
        CHECK((task->state == EXECUTOR_TASK_KILLING) || task->sigkill_ms == INT64_MAX);
        CHECK(task->state != EXECUTOR_TASK_RUNNING || task->pid > 0);
        CHECK(task->state != EXECUTOR_TASK_ENDED || task->update_count > 0);
        for (int i = 0; i < EXECUTOR_CHECKERS; i++)
            CHECK(task->state == EXECUTOR_TASK_RUNNING || task->checkers[i].run == 0);
    }
    list_for_each(it, &e->updates)
    {
        const struct executor_update *update = container_of(it, struct executor_update, in_updates);
        CHECK(executor_tasks_find(e, update->task->id) == update->task);
        updates++;
    }
    CHECK(count == e->task_count && updates == promised);
    CHECK(!e->is_call_out || e->link == EXECUTOR_LINK_SUBSCRIBED);
    CHECK(e->is_exiting || e->ack_end_ms == INT64_MAX || executor_tasks_alive(e) == 0);
}

/* -- effects ---------------------------------------------------------------------------------------------------- */

void executor_effects_init(struct executor_effects *out)
{
    *out = (struct executor_effects){.arena = arena_new(0)};
}

void executor_effects_deinit(struct executor_effects *out)
{
    out->arena = arena_free(out->arena);
    free(out->items);
    out->items = NULL;
    out->count = out->capacity = 0;
}

struct executor_effect *executor_add_effect(struct executor *e, enum executor_effect_type type)
{
    struct executor_effects *out = e->out;
    if (out->count == out->capacity) {
        out->capacity = out->capacity ? out->capacity * 2 : 8;
        out->items = xrealloc(out->items, out->capacity * sizeof(*out->items));
    }
    struct executor_effect *effect = &out->items[out->count++];
    *effect = (struct executor_effect){.type = type, .connection = e->connection};
    return effect;
}

void executor_log(struct executor *e, const char *fmt, ...)
{
    char text[512];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap); /* long texts are cut */
    va_end(ap);
    executor_add_effect(e, EXECUTOR_EFFECT_LOG)->log = arena_printf(e->out->arena, "%s", text);
}

/* -- the end ---------------------------------------------------------------------------------------------------- */

static void shut_down(struct executor *e)
{
    if (e->is_shutdown)
        return;
    e->is_shutdown = true;
    int64_t grace = e->config.shutdown_grace_ms - EXECUTOR_SHUTDOWN_MARGIN_MS;
    executor_tasks_kill_all(e, grace > 0 ? grace : 0);
}

static void finish(struct executor *e, int status)
{
    e->is_exiting = true;
    executor_add_effect(e, EXECUTOR_EFFECT_EXIT)->exit_status = status;
}

/* Ends when every task has ended and the agent has stored what became of them. An agent that is away for a restart is
 * waited for as long as tasks would be kept (link.c gives up then): the result of a task must not be lost by a restart. */
static void finish_if_done(struct executor *e)
{
    if (e->is_exiting || executor_tasks_alive(e) > 0 || !(e->has_launched || e->is_shutdown)) {
        e->ack_end_ms = INT64_MAX;
        return;
    }
    if (list_is_empty(&e->updates) || (e->is_shutdown && e->link != EXECUTOR_LINK_SUBSCRIBED)) {
        finish(e, 0);
        return;
    }
    if (e->link != EXECUTOR_LINK_SUBSCRIBED) {
        e->ack_end_ms = INT64_MAX;
        return;
    }
    if (e->ack_end_ms == INT64_MAX)
        e->ack_end_ms = e->now_ms + EXECUTOR_ACK_WAIT_MS;
    if (e->now_ms >= e->ack_end_ms) {
        executor_log(e, "the agent did not acknowledge the last updates in time");
        finish(e, 0);
    }
}

/* End of patience with an agent that is not there. */
static void give_up_if_due(struct executor *e)
{
    if (e->link == EXECUTOR_LINK_SUBSCRIBED || e->link == EXECUTOR_LINK_IDLE || e->now_ms < e->give_up_ms || e->is_shutdown)
        return;
    executor_log(e, "no connection to the agent in time, shutting down");
    shut_down(e);
    if (!e->was_subscribed && executor_tasks_alive(e) == 0)
        finish(e, 1);
}

/* -- events of the agent ---------------------------------------------------------------------------------------- */

static void on_subscribed(struct executor *e, const Mesos__V1__Executor__Event__Subscribed *subscribed)
{
    if (e->link != EXECUTOR_LINK_CONNECTING || !subscribed) {
        executor_link_lose(e, true, "SUBSCRIBED out of place");
        return;
    }
    const Mesos__V1__ExecutorInfo *executor = subscribed->executor_info;
    const Mesos__V1__FrameworkInfo *framework = subscribed->framework_info;
    e->link = EXECUTOR_LINK_SUBSCRIBED;
    e->was_subscribed = true;
    e->heartbeat_ms = e->now_ms + EXECUTOR_HEARTBEAT_MS;
    e->is_default = executor->has_type && executor->type == MESOS__V1__EXECUTOR_INFO__TYPE__DEFAULT;
    e->has_killing_state = false;
    for (size_t i = 0; i < framework->n_capabilities; i++)
        if (framework->capabilities[i]->has_type &&
            framework->capabilities[i]->type == MESOS__V1__FRAMEWORK_INFO__CAPABILITY__TYPE__TASK_KILLING_STATE)
            e->has_killing_state = true;
    free(e->container_id);
    e->container_id = xstrdup(subscribed->container_id ? subscribed->container_id->value : "");
}

static void on_kill(struct executor *e, const Mesos__V1__Executor__Event__Kill *kill)
{
    struct executor_task *task = kill ? executor_tasks_find(e, kill->task_id->value) : NULL;
    if (!task || task->state == EXECUTOR_TASK_ENDED)
        return; /* its terminal update is on the way, or the agent knows better */
    int64_t grace = task->kill_grace_ms;
    if (kill->kill_policy && kill->kill_policy->grace_period) {
        int64_t nanoseconds = kill->kill_policy->grace_period->nanoseconds;
        grace = nanoseconds > 0 ? nanoseconds / 1000000 : 0;
    }
    executor_tasks_kill(e, task, grace);
}

static void on_launch(struct executor *e, const Mesos__V1__Executor__Event *event)
{
    if (e->is_shutdown) {
        executor_log(e, "launch ignored: shutting down"); /* the agent ends what it had queued for us */
        return;
    }
    if (event->type == MESOS__V1__EXECUTOR__EVENT__TYPE__LAUNCH && event->launch)
        executor_tasks_launch(e, &event->launch->task, 1, false);
    else if (event->type == MESOS__V1__EXECUTOR__EVENT__TYPE__LAUNCH_GROUP && event->launch_group)
        executor_tasks_launch(e, event->launch_group->task_group->tasks, event->launch_group->task_group->n_tasks, true);
}

static void on_received(struct executor *e, const Mesos__V1__Executor__Event *event)
{
    if (e->link != EXECUTOR_LINK_CONNECTING && e->link != EXECUTOR_LINK_SUBSCRIBED)
        return;
    Mesos__V1__Executor__Event__Type type = event->has_type ? event->type : MESOS__V1__EXECUTOR__EVENT__TYPE__UNKNOWN;
    /* The agent may send SHUTDOWN or ERROR instead of SUBSCRIBED (facts: mesos 2.4); anything else must follow it. */
    if (e->link == EXECUTOR_LINK_CONNECTING && type != MESOS__V1__EXECUTOR__EVENT__TYPE__SUBSCRIBED &&
        type != MESOS__V1__EXECUTOR__EVENT__TYPE__SHUTDOWN && type != MESOS__V1__EXECUTOR__EVENT__TYPE__ERROR) {
        executor_link_lose(e, true, "stream that does not start with SUBSCRIBED");
        return;
    }
    switch (type) {
    case MESOS__V1__EXECUTOR__EVENT__TYPE__SUBSCRIBED:
        on_subscribed(e, event->subscribed);
        break;
    case MESOS__V1__EXECUTOR__EVENT__TYPE__LAUNCH:
    case MESOS__V1__EXECUTOR__EVENT__TYPE__LAUNCH_GROUP:
        on_launch(e, event);
        break;
    case MESOS__V1__EXECUTOR__EVENT__TYPE__KILL:
        on_kill(e, event->kill);
        break;
    case MESOS__V1__EXECUTOR__EVENT__TYPE__ACKNOWLEDGED:
        if (event->acknowledged)
            executor_updates_acknowledge(e, event->acknowledged->task_id->value, event->acknowledged->uuid.data,
                                         event->acknowledged->uuid.len);
        break;
    case MESOS__V1__EXECUTOR__EVENT__TYPE__ERROR:
        executor_log(e, "the agent says: %.300s", event->error ? event->error->message : "error");
        shut_down(e);
        break;
    case MESOS__V1__EXECUTOR__EVENT__TYPE__SHUTDOWN:
        shut_down(e);
        break;
    default:
        break; /* HEARTBEAT, MESSAGE (nobody to read it here), types of newer agents */
    }
}

static void on_closed(struct executor *e, const char *text)
{
    if (e->link != EXECUTOR_LINK_CONNECTING && e->link != EXECUTOR_LINK_SUBSCRIBED)
        return;
    executor_link_lose(e, false, text ? text : "the stream ended");
}

/* -- step ------------------------------------------------------------------------------------------------------- */

static bool is_stale(const struct executor *e, const struct executor_event *in)
{
    switch (in->type) {
    case EXECUTOR_EVENT_STREAM_ANSWER:
    case EXECUTOR_EVENT_STREAM_RECEIVED:
    case EXECUTOR_EVENT_STREAM_CLOSED:
    case EXECUTOR_EVENT_CALL_DONE:
        return in->connection != e->connection;
    default:
        return false;
    }
}

static void dispatch(struct executor *e, const struct executor_event *in)
{
    switch (in->type) {
    case EXECUTOR_EVENT_START:
        if (e->link == EXECUTOR_LINK_IDLE) {
            e->give_up_ms = e->now_ms + EXECUTOR_REGISTRATION_MS;
            executor_link_connect(e);
        }
        break;
    case EXECUTOR_EVENT_TICK:
        break;
    case EXECUTOR_EVENT_STREAM_ANSWER:
        executor_link_answer(e, in->answer.status, in->answer.text);
        break;
    case EXECUTOR_EVENT_STREAM_RECEIVED:
        on_received(e, in->received);
        break;
    case EXECUTOR_EVENT_STREAM_CLOSED:
        on_closed(e, in->done.text);
        break;
    case EXECUTOR_EVENT_CALL_DONE:
        executor_link_call_done(e, in->done.status, in->done.text);
        break;
    case EXECUTOR_EVENT_PROCESS_STARTED:
        executor_tasks_started(e, in->process.id, in->process.pid);
        break;
    case EXECUTOR_EVENT_PROCESS_FAILED:
        executor_tasks_failed(e, in->process.id, in->process.text);
        break;
    case EXECUTOR_EVENT_PROCESS_EXITED:
        executor_tasks_exited(e, in->process.id, in->process.status);
        break;
    case EXECUTOR_EVENT_CHECK_DONE:
        executor_checks_done(e, in->check.id, in->check.result, in->check.value, in->check.text);
        break;
    case EXECUTOR_EVENT_TERMINATE:
        shut_down(e);
        break;
    }
}

int executor_step(struct executor *e, const struct executor_event *in, struct executor_effects *out)
{
    arena_reset(out->arena);
    out->count = 0;
    e->out = out;
    e->now_ms = in->now_ms;
    e->wall_ms = in->wall_ms;
    if (!e->is_exiting && !is_stale(e, in)) {
        dispatch(e, in);
        /* Without checkpoints the tasks go with the connection (facts: mesos 2.7). */
        if (e->was_subscribed && e->link != EXECUTOR_LINK_SUBSCRIBED && !e->config.checkpoint)
            shut_down(e);
        executor_link_run_due(e);
        executor_tasks_run_due(e);
        give_up_if_due(e);
        executor_link_send(e);
        finish_if_done(e);
    }
    e->out = NULL;
    return 0;
}

int64_t executor_next_deadline(const struct executor *e)
{
    if (e->is_exiting)
        return INT64_MAX;
    int64_t first = executor_link_next_deadline(e);
    int64_t tasks = executor_tasks_next_deadline(e);
    if (tasks < first)
        first = tasks;
    return e->ack_end_ms < first ? e->ack_end_ms : first;
}

/* -- life cycle ------------------------------------------------------------------------------------------------- */

struct executor *executor_new(const struct executor_config *config)
{
    struct executor *e = xcalloc(1, sizeof(*e));
    e->config = *config;
    e->config.framework_id = xstrdup(config->framework_id);
    e->config.executor_id = xstrdup(config->executor_id);
    e->config.sandbox = xstrdup(config->sandbox);
    e->config.container_ip = config->container_ip ? xstrdup(config->container_ip) : NULL;
    if (e->config.backoff_max_ms <= 0)
        e->config.backoff_max_ms = EXECUTOR_RETRY_MS;
    size_t count = 0;
    while (config->environment && config->environment[count])
        count++;
    e->environment = xcalloc(count + 1, sizeof(*e->environment));
    for (size_t i = 0; i < count; i++)
        e->environment[i] = xstrdup(config->environment[i]);
    e->config.environment = NULL;
    rng_seed(&e->rng, config->seed);
    list_init(&e->tasks);
    list_init(&e->updates);
    e->container_id = xstrdup("");
    e->give_up_ms = e->ack_end_ms = INT64_MAX;
    return e;
}

struct executor *executor_free(struct executor *e)
{
    if (!e)
        return NULL;
    list_for_each(it, &e->updates) executor_updates_drop(e, container_of(it, struct executor_update, in_updates));
    list_for_each(it, &e->tasks) executor_tasks_free(e, container_of(it, struct executor_task, in_tasks));
    for (size_t i = 0; e->environment[i]; i++)
        free(e->environment[i]);
    free(e->environment);
    free((char *)e->config.framework_id);
    free((char *)e->config.executor_id);
    free((char *)e->config.sandbox);
    free((char *)e->config.container_ip);
    free(e->container_id);
    free(e);
    return NULL;
}
