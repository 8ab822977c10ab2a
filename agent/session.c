/* SPDX-License-Identifier: Apache-2.0
 * session.c - one connection to the leading master:
 *
 *     IDLE --wait--> CONNECTING --link up--> REGISTERING --registered--> REGISTERED
 *      ^---------------- link down, refused, no answer, no ping ----------'
 *
 * The wait is random below a bound that doubles with every failure, so that many agents do not come at once to a master
 * that has just been elected. */
#include "agent/session.h"

#include <stdlib.h>
#include <string.h>

#include "agent/checkpoint.h"
#include "agent/drain.h"
#include "agent/executors.h"
#include "agent/frameworks.h"
#include "agent/operations.h"
#include "agent/tasks.h"
#include "agent/updates.h"
#include "common/base/check.h"
#include "common/base/text.h"
#include "common/wire/codec.h"
#include "common/wire/link.h"

#define BACKOFF_MAX_MS 60000
#define ANSWER_TIMEOUT_MS 60000
#define PING_TIMEOUT_MIN_MS 1000
#define LINK_VERSION 1

bool agent_session_is_up(const struct agent *a)
{
    return a->session.state == AGENT_SESSION_REGISTERED;
}

void agent_on_connect_timer(struct agent *a)
{
    struct agent_session *s = &a->session;
    if (s->state != AGENT_SESSION_IDLE || a->phase != AGENT_PHASE_RUNNING)
        return;
    s->state = AGENT_SESSION_CONNECTING;
    s->link = ++s->next_link;
    agent_emit(a, AGENT_OUT_LINK_OPEN)->link.link = s->link;
    agent_timer_set(a, &s->watchdog, ANSWER_TIMEOUT_MS);
}

void agent_session_start(struct agent *a)
{
    a->session.backoff_ms = a->config.registration_backoff_ms;
    agent_on_connect_timer(a);
}

static void idle(struct agent *a)
{
    a->session.state = AGENT_SESSION_IDLE;
    a->session.link = 0;
    agent_timer_stop(a, &a->session.watchdog);
}

static void try_again(struct agent *a)
{
    struct agent_session *s = &a->session;
    idle(a);
    if (a->phase != AGENT_PHASE_RUNNING)
        return;
    agent_timer_set(a, &s->connect, (int64_t)rng_below(&a->rng, (uint64_t)s->backoff_ms + 1));
    s->backoff_ms = s->backoff_ms * 2 < BACKOFF_MAX_MS ? s->backoff_ms * 2 : BACKOFF_MAX_MS;
}

static void hang_up(struct agent *a)
{
    if (a->session.link != 0)
        agent_emit(a, AGENT_OUT_LINK_CLOSE)->link.link = a->session.link;
    try_again(a);
}

void agent_session_stop(struct agent *a)
{
    if (a->session.link != 0)
        agent_emit(a, AGENT_OUT_LINK_CLOSE)->link.link = a->session.link;
    idle(a);
    agent_timer_stop(a, &a->session.connect);
}

void agent_on_link_timer(struct agent *a)
{
    static const char *const missing[] = {"", "a connection", "an answer to the registration", "a ping"};
    agent_trace(a, LOG_LEVEL_WARNING, "no sign of the master (%s), looking for it again", missing[a->session.state]);
    hang_up(a);
}

/* -- joining -------------------------------------------------------------------------------------------------- */

static void send_register(struct agent *a)
{
    Muster__Link__Register *r = arena_new_one(a->out->arena, Muster__Link__Register);
    *r = (Muster__Link__Register)MUSTER__LINK__REGISTER__INIT;
    r->agent_info = a->info;
    r->version = (char *)(uintptr_t)a->config.version;
    r->boot_id = a->boot_id;
    r->n_total = agent_operations_total(a, a->out->arena, &r->total);
    Muster__Link__AgentToMaster message = MUSTER__LINK__AGENT_TO_MASTER__INIT;
    message.register_ = r;
    agent_link_send(a, &message);
}

static ProtobufCBinaryData pack(struct agent *a, const ProtobufCMessage *message)
{
    size_t len = protobuf_c_message_get_packed_size(message);
    uint8_t *bytes = arena_must_alloc(a->out->arena, len ? len : 1);
    (void)protobuf_c_message_pack(message, bytes);
    return (ProtobufCBinaryData){.data = bytes, .len = len};
}

static void add_framework(struct agent *a, Muster__Link__Reregister *r, const struct agent_framework *f)
{
    struct arena *arena = a->out->arena;
    r->frameworks[r->n_frameworks++] = agent_wire_bytes(arena, f->info, f->info_len);
    for (struct map_entry *it = map_first(&f->executors); it != NULL; it = map_next(it)) {
        const struct agent_executor *e = map_value(it);
        if (e->command || e->state >= AGENT_EXECUTOR_TERMINATED)
            continue;
        Muster__Link__ExecutorEntry *entry = arena_new_one(arena, Muster__Link__ExecutorEntry);
        *entry = (Muster__Link__ExecutorEntry)MUSTER__LINK__EXECUTOR_ENTRY__INIT;
        entry->framework_id = agent_wire_framework_id(arena, f->id);
        entry->executor_info = agent_wire_bytes(arena, e->info, e->info_len);
        r->executors[r->n_executors++] = entry;
    }
    for (struct map_entry *it = map_first(&f->tasks); it != NULL; it = map_next(it)) {
        const Mesos__V1__Task *task = agent_task_to_wire(a, map_value(it), arena);
        r->tasks[r->n_tasks++] = pack(a, &task->base);
    }
}

static void send_reregister(struct agent *a)
{
    struct arena *arena = a->out->arena;
    size_t tasks = 0;
    for (struct map_entry *it = map_first(&a->frameworks); it != NULL; it = map_next(it))
        tasks += map_count(&((const struct agent_framework *)map_value(it))->tasks);
    Muster__Link__Reregister *r = arena_new_one(arena, Muster__Link__Reregister);
    *r = (Muster__Link__Reregister)MUSTER__LINK__REREGISTER__INIT;
    r->agent_info = a->info;
    r->version = (char *)(uintptr_t)a->config.version;
    r->boot_id = a->boot_id;
    r->frameworks = arena_new_array(arena, ProtobufCBinaryData, map_count(&a->frameworks) + 1);
    r->executors = arena_new_array(arena, Muster__Link__ExecutorEntry *, a->executor_count + 1);
    r->tasks = arena_new_array(arena, ProtobufCBinaryData, tasks + 1);
    for (struct map_entry *it = map_first(&a->frameworks); it != NULL; it = map_next(it)) {
        const struct agent_framework *f = map_value(it);
        if (!f->completed && !f->terminating)
            add_framework(a, r, f);
    }
    r->n_total = agent_operations_total(a, arena, &r->total);
    r->n_operations = agent_operations_report(a, arena, &r->operations);
    Muster__Link__AgentToMaster message = MUSTER__LINK__AGENT_TO_MASTER__INIT;
    message.reregister = r;
    agent_link_send(a, &message);
}

static void join(struct agent *a)
{
    a->session.state = AGENT_SESSION_REGISTERING;
    agent_timer_set(a, &a->session.watchdog, ANSWER_TIMEOUT_MS);
    if (a->id == NULL)
        send_register(a);
    else
        send_reregister(a);
}

void agent_on_link_up(struct agent *a, link_id link)
{
    if (link != a->session.link || a->session.state != AGENT_SESSION_CONNECTING)
        return;
    Muster__Link__Hello *hello = arena_new_one(a->out->arena, Muster__Link__Hello);
    *hello = (Muster__Link__Hello)MUSTER__LINK__HELLO__INIT;
    hello->version = (char *)(uintptr_t)a->config.version;
    hello->link_version = LINK_VERSION;
    Muster__Link__AgentToMaster message = MUSTER__LINK__AGENT_TO_MASTER__INIT;
    message.hello = hello;
    agent_link_send(a, &message);
    join(a);
}

void agent_on_link_down(struct agent *a, link_id link, const char *text)
{
    if (link != a->session.link || link == 0)
        return;
    agent_trace(a, LOG_LEVEL_WARNING, "no link to the master: %s", text ? text : "closed");
    try_again(a);
}

/* -- what the master says ------------------------------------------------------------------------------------- */

static void on_joined(struct agent *a, const Muster__Link__Registered *r, bool again)
{
    struct agent_session *s = &a->session;
    const char *id = r->agent_id->value;
    if (s->state != AGENT_SESSION_REGISTERING || again != (a->id != NULL) || !text_is_valid_id(id) ||
        (again && strcmp(id, a->id) != 0)) {
        agent_trace(a, LOG_LEVEL_ERROR, "the master registered an agent that this is not: %s", id);
        hang_up(a);
        return;
    }
    if (!again) {
        a->id = xstrdup(id);
        a->info->id = agent_wire_agent_id(a->config_arena, id);
        agent_checkpoint_agent(a);
    }
    s->state = AGENT_SESSION_REGISTERED;
    s->backoff_ms = a->config.registration_backoff_ms;
    s->ping_timeout_ms = r->ping_timeout_total_ms > PING_TIMEOUT_MIN_MS ? r->ping_timeout_total_ms : PING_TIMEOUT_MIN_MS;
    free(s->master_hostname);
    s->master_hostname = r->master_info && r->master_info->hostname ? xstrdup(r->master_info->hostname) : NULL;
    agent_timer_set(a, &s->watchdog, s->ping_timeout_ms);
    agent_trace(a, LOG_LEVEL_INFO, "%s with the master as agent %s", again ? "reregistered" : "registered", id);
    agent_updates_resend_all(a);
    agent_operations_resend_all(a);
    if (r->drain)
        agent_on_drain(a, r->drain);
    else
        agent_on_stop_draining(a);
}

static void on_ping(struct agent *a, const Muster__Link__Ping *ping)
{
    struct agent_session *s = &a->session;
    Muster__Link__Pong *pong = arena_new_one(a->out->arena, Muster__Link__Pong);
    *pong = (Muster__Link__Pong)MUSTER__LINK__PONG__INIT;
    pong->sequence = ping->sequence;
    Muster__Link__AgentToMaster message = MUSTER__LINK__AGENT_TO_MASTER__INIT;
    message.pong = pong;
    agent_link_send(a, &message);
    if (s->state != AGENT_SESSION_REGISTERED)
        return;
    if (ping->has_connected && !ping->connected)
        join(a);
    else
        agent_timer_set(a, &s->watchdog, s->ping_timeout_ms);
}

static void on_refused(struct agent *a, const Muster__Link__Refused *refused)
{
    agent_trace(a, LOG_LEVEL_ERROR, "the master refused this agent: %s", refused->message);
    if (refused->has_shutdown && refused->shutdown)
        agent_session_leave(a, 1,
                            arena_printf(a->out->arena, "the master refused this agent for good: %s", refused->message));
    else
        hang_up(a);
}

static void on_update_framework(struct agent *a, const Muster__Link__UpdateFramework *m)
{
    const Mesos__V1__FrameworkInfo *info = (const void *)wire_unpack(
        &mesos__v1__framework_info__descriptor, m->framework_info.data, m->framework_info.len, a->out->arena, NULL);
    if (info == NULL || info->id == NULL)
        agent_trace(a, LOG_LEVEL_ERROR, "the master sent a framework that cannot be read");
    else
        agent_framework_update(a, info, m->framework_info.data, m->framework_info.len);
}

static void on_work(struct agent *a, const Muster__Link__MasterToAgent *m)
{
    if (m->run_tasks)
        agent_on_run_tasks(a, m->run_tasks);
    if (m->run_tasks)
        agent_drain_kill_all(a); /* they crossed the order to drain */
    if (m->kill_task)
        agent_on_kill_task(a, m->kill_task);
    if (m->drain)
        agent_on_drain(a, m->drain);
    if (m->stop_draining)
        agent_on_stop_draining(a);
    if (m->shutdown_executor)
        agent_on_shutdown_executor(a, m->shutdown_executor);
    if (m->shutdown_framework) {
        struct agent_framework *f = agent_framework_find(a, m->shutdown_framework->framework_id->value);
        if (f != NULL && !f->terminating)
            agent_framework_shutdown(a, f);
    }
    if (m->update_framework)
        on_update_framework(a, m->update_framework);
    if (m->acknowledge_update)
        agent_on_acknowledge(a, m->acknowledge_update);
    if (m->apply_operation)
        agent_on_apply_operation(a, m->apply_operation);
    if (m->acknowledge_operation)
        agent_on_acknowledge_operation(a, m->acknowledge_operation);
    if (m->framework_message)
        agent_on_framework_message(a, m->framework_message);
}

void agent_on_link_message(struct agent *a, link_id link, const Muster__Link__MasterToAgent *m)
{
    if (link != a->session.link || link == 0 || a->session.state < AGENT_SESSION_REGISTERING ||
        a->phase != AGENT_PHASE_RUNNING)
        return;
    if (m->registered)
        on_joined(a, m->registered, false);
    else if (m->reregistered)
        on_joined(a, m->reregistered, true);
    else if (m->refused)
        on_refused(a, m->refused);
    else if (m->ping)
        on_ping(a, m->ping);
    else if (a->session.state == AGENT_SESSION_REGISTERED)
        on_work(a, m);
}

/* -- leaving -------------------------------------------------------------------------------------------------- */

void agent_session_leave(struct agent *a, int status, const char *text)
{
    if (a->phase >= AGENT_PHASE_LEAVING)
        return;
    agent_trace(a, LOG_LEVEL_INFO, "leaving the cluster: %s", text);
    a->exit_status = status;
    a->exit_text = xstrdup(text);
    a->phase = AGENT_PHASE_LEAVING;
    agent_timer_stop(a, &a->executors_timer);
    agent_timer_stop(a, &a->session.connect);
    agent_timer_stop(a, &a->session.watchdog);
    if (agent_session_is_up(a) && status == 0) {
        Muster__Link__Unregister *unregister = arena_new_one(a->out->arena, Muster__Link__Unregister);
        *unregister = (Muster__Link__Unregister)MUSTER__LINK__UNREGISTER__INIT;
        Muster__Link__AgentToMaster message = MUSTER__LINK__AGENT_TO_MASTER__INIT;
        message.unregister = unregister;
        agent_link_send(a, &message);
    } else {
        agent_session_stop(a);
    }
    for (struct map_entry *it = map_first(&a->frameworks), *next; it != NULL; it = next) {
        next = map_next(it);
        struct agent_framework *f = map_value(it);
        if (!f->completed && !f->terminating)
            agent_framework_shutdown(a, f);
    }
    agent_session_settle(a);
}

void agent_session_settle(struct agent *a)
{
    if (a->phase != AGENT_PHASE_LEAVING || a->wiping || map_count(&a->frameworks) > a->completed_framework_count)
        return;
    a->wiping = true;
    agent_checkpoint_forget_agent(a);
    agent_checkpoint_then(a, AGENT_PENDING_WIPED, NULL, NULL, NULL, 0);
}
