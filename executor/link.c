/* SPDX-License-Identifier: Apache-2.0
 * link.c - the conversation with the agent: subscribe, tell it what it may have missed, retry, one call at a time
 * (facts: mesos 2.1-2.4, 2.7). */
#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"
#include "common/wire/codec.h"
#include "executor/state.h"

static void set_body(struct executor *e, struct executor_effect *effect, Mesos__V1__Executor__Call *call)
{
    Mesos__V1__ExecutorID executor_id = MESOS__V1__EXECUTOR_ID__INIT;
    Mesos__V1__FrameworkID framework_id = MESOS__V1__FRAMEWORK_ID__INIT;
    executor_id.value = (char *)e->config.executor_id;
    framework_id.value = (char *)e->config.framework_id;
    call->executor_id = &executor_id;
    call->framework_id = &framework_id;
    call->has_type = true;
    size_t len = mesos__v1__executor__call__get_packed_size(call);
    uint8_t *body = arena_must_alloc(e->out->arena, len ? len : 1);
    effect->send.body = body;
    effect->send.body_len = mesos__v1__executor__call__pack(call, body);
}

static Mesos__V1__Executor__Call__Update *unpack_update(struct executor *e, const struct executor_update *update)
{
    struct err err;
    Mesos__V1__Executor__Call__Update *wire = arena_new_one(e->out->arena, Mesos__V1__Executor__Call__Update);
    *wire = (Mesos__V1__Executor__Call__Update)MESOS__V1__EXECUTOR__CALL__UPDATE__INIT;
    wire->status = (Mesos__V1__TaskStatus *)wire_unpack(&mesos__v1__task_status__descriptor, update->status,
                                                        update->status_len, e->out->arena, &err);
    CHECK(wire->status); /* we packed it */
    return wire;
}

/* Everything the agent may not have: tasks of which it acknowledged no update, and updates it did not acknowledge. */
void executor_link_connect(struct executor *e)
{
    struct arena *arena = e->out->arena;
    Mesos__V1__Executor__Call__Subscribe subscribe = MESOS__V1__EXECUTOR__CALL__SUBSCRIBE__INIT;
    size_t update_count = 0;
    list_for_each(it, &e->updates) update_count++;
    subscribe.unacknowledged_tasks = arena_new_array(arena, Mesos__V1__TaskInfo *, e->task_count + 1);
    subscribe.unacknowledged_updates = arena_new_array(arena, Mesos__V1__Executor__Call__Update *, update_count + 1);
    e->connection++;
    list_for_each(it, &e->tasks)
    {
        struct executor_task *task = container_of(it, struct executor_task, in_tasks);
        if (!task->is_acknowledged)
            subscribe.unacknowledged_tasks[subscribe.n_unacknowledged_tasks++] = executor_task_info(e, task);
    }
    list_for_each(it, &e->updates)
    {
        struct executor_update *update = container_of(it, struct executor_update, in_updates);
        subscribe.unacknowledged_updates[subscribe.n_unacknowledged_updates++] = unpack_update(e, update);
        update->told = e->connection;
    }
    Mesos__V1__Executor__Call call = MESOS__V1__EXECUTOR__CALL__INIT;
    call.type = MESOS__V1__EXECUTOR__CALL__TYPE__SUBSCRIBE;
    call.subscribe = &subscribe;
    e->link = EXECUTOR_LINK_CONNECTING;
    set_body(e, executor_add_effect(e, EXECUTOR_EFFECT_CONNECT), &call);
}

void executor_link_lose(struct executor *e, bool is_open, const char *why)
{
    executor_log(e, "connection to the agent: %.300s", why);
    if (is_open)
        executor_add_effect(e, EXECUTOR_EFFECT_CLOSE);
    if (e->link == EXECUTOR_LINK_SUBSCRIBED)
        e->give_up_ms = e->now_ms + e->config.recovery_timeout_ms;
    e->connection++; /* late events of the old one do not match any more */
    e->is_call_out = false;
    e->call_update = NULL;
    list_for_each(it, &e->updates) container_of(it, struct executor_update, in_updates)->told = 0;
    e->link = EXECUTOR_LINK_WAITING;
    e->retry_ms = e->now_ms + 1 + (int64_t)rng_below(&e->rng, (uint64_t)e->config.backoff_max_ms);
}

void executor_link_answer(struct executor *e, int status, const char *text)
{
    if (e->link != EXECUTOR_LINK_CONNECTING || status == 200)
        return;
    /* 503 while the agent recovers, 400 or 403 while it does not know us yet: patience is bounded by give_up_ms. */
    executor_link_lose(
        e, true, arena_printf(e->out->arena, "subscription answered with status %d: %.200s", status, text ? text : ""));
}

void executor_link_call_done(struct executor *e, int status, const char *text)
{
    if (!e->is_call_out)
        return;
    struct executor_update *update = e->call_update;
    e->is_call_out = false;
    e->call_update = NULL;
    if (status >= 200 && status < 300)
        return;
    if (status == 400) {
        /* Would be refused again and again, and everything behind it would wait. */
        executor_log(e, "the agent refused a call: %.200s", text ? text : "no reason given");
        if (update) {
            struct executor_task *task = update->task;
            executor_updates_drop(e, update);
            executor_tasks_forget_done(e, task);
        }
        return;
    }
    executor_link_lose(e, true, arena_printf(e->out->arena, "a call got status %d: %.200s", status, text ? text : ""));
}

/* The oldest update that this connection has not carried, else a heartbeat that is due. */
void executor_link_send(struct executor *e)
{
    if (e->link != EXECUTOR_LINK_SUBSCRIBED || e->is_call_out)
        return;
    Mesos__V1__Executor__Call call = MESOS__V1__EXECUTOR__CALL__INIT;
    list_for_each(it, &e->updates)
    {
        struct executor_update *update = container_of(it, struct executor_update, in_updates);
        if (update->told == e->connection)
            continue;
        call.type = MESOS__V1__EXECUTOR__CALL__TYPE__UPDATE;
        call.update = unpack_update(e, update);
        update->told = e->connection;
        e->call_update = update;
        break;
    }
    if (!call.update) {
        if (e->now_ms < e->heartbeat_ms)
            return;
        call.type = MESOS__V1__EXECUTOR__CALL__TYPE__HEARTBEAT;
        e->heartbeat_ms = e->now_ms + EXECUTOR_HEARTBEAT_MS;
    }
    e->is_call_out = true;
    set_body(e, executor_add_effect(e, EXECUTOR_EFFECT_SEND), &call);
}

void executor_link_run_due(struct executor *e)
{
    if (e->link == EXECUTOR_LINK_WAITING && !e->is_shutdown && e->now_ms >= e->retry_ms)
        executor_link_connect(e);
}

int64_t executor_link_next_deadline(const struct executor *e)
{
    switch (e->link) {
    case EXECUTOR_LINK_CONNECTING:
        return e->is_shutdown ? INT64_MAX : e->give_up_ms;
    case EXECUTOR_LINK_WAITING:
        if (e->is_shutdown)
            return INT64_MAX;
        return e->retry_ms < e->give_up_ms ? e->retry_ms : e->give_up_ms;
    case EXECUTOR_LINK_SUBSCRIBED:
        return e->is_call_out ? INT64_MAX : e->heartbeat_ms;
    default:
        return INT64_MAX;
    }
}
