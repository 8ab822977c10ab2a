/* SPDX-License-Identifier: Apache-2.0
 * calls.c - what executors say: SUBSCRIBE, UPDATE, MESSAGE, HEARTBEAT, with the answers of facts: mesos 2.1 and the order
 * of facts: mesos 2.4. An executor is a stranger's program: nothing it says is believed beyond its own tasks. */
#include <stdio.h>
#include <string.h>

#include "agent/executors.h"
#include "agent/session.h"
#include "agent/tasks.h"
#include "agent/updates.h"
#include "common/base/check.h"

typedef Mesos__V1__Executor__Call Call; /* long names of generated code, short ones here */
typedef Mesos__V1__TaskStatus Status;

#define CALL(x) MESOS__V1__EXECUTOR__CALL__TYPE__##x
#define EVENT(x) MESOS__V1__EXECUTOR__EVENT__TYPE__##x

static bool check_status_fits(const Mesos__V1__CheckStatusInfo *c)
{
    if (!c->has_type)
        return false;
    switch (c->type) {
    case MESOS__V1__CHECK_INFO__TYPE__COMMAND:
        return c->command != NULL;
    case MESOS__V1__CHECK_INFO__TYPE__HTTP:
        return c->http != NULL;
    case MESOS__V1__CHECK_INFO__TYPE__TCP:
        return c->tcp != NULL;
    default:
        return false;
    }
}

/* NULL, or why the status is refused (facts: mesos 2.1). */
static const char *bad_status(const struct agent *a, const struct agent_executor *e, const Status *s)
{
    if (!s->has_uuid || s->uuid.len != AGENT_UPDATE_UUID_SIZE)
        return "Expecting 'uuid' of 16 bytes to be present";
    if (s->executor_id != NULL && strcmp(s->executor_id->value, e->id) != 0)
        return "ExecutorID in Call does not match ExecutorID in TaskStatus";
    if (!s->has_source || s->source != MESOS__V1__TASK_STATUS__SOURCE__SOURCE_EXECUTOR)
        return "Received Call from executor with unexpected source; expecting SOURCE_EXECUTOR";
    if (s->agent_id != NULL && strcmp(s->agent_id->value, a->id) != 0)
        return "AgentID in TaskStatus is not that of this agent";
    switch ((int)s->state) {
    case AGENT_STATE(STAGING):
    case AGENT_STATE(UNREACHABLE):
    case AGENT_STATE(GONE_BY_OPERATOR):
    case AGENT_STATE(UNKNOWN):
        return "Executors cannot send this task state";
    default:
        break;
    }
    if (s->check_status != NULL && !check_status_fits(s->check_status))
        return "Expecting 'check_status' to have a type and the member of that type";
    return NULL;
}

/* The status is valid. Gives the HTTP status of an answer, and its text. */
static int take_status(struct agent *a, struct agent_executor *e, const Status *s, const char **text)
{
    struct agent_task *t = map_get(&e->tasks, s->task_id->value);
    if (t != NULL && !t->sent)
        t = NULL; /* it cannot know of it yet */
    int rc = AGENT_UPDATES_E_DUPLICATE;
    if (t != NULL && !e->framework->terminating)
        rc = agent_updates_accept(a, t, s);
    switch (rc) {
    case 0:
        a->counts.valid_updates++;
        break;
    case AGENT_UPDATES_E_DUPLICATE:
        /* late, or for a task that has ended: an executor must stop repeating it either way */
        if (t == NULL)
            a->counts.invalid_updates++;
        agent_executor_send_acknowledged(a, e, s->task_id->value, s->uuid.data);
        break;
    case AGENT_UPDATES_E_PENDING:
        break;
    case AGENT_UPDATES_E_FULL:
        a->counts.invalid_updates++;
        *text = "Too many updates of this task wait for the scheduler";
        return 503;
    default:
        a->counts.invalid_updates++;
        *text = "The status is too large";
        return 400;
    }
    return 202;
}

static void on_update(struct agent *a, struct agent_executor *e, request_id request, const Status *s)
{
    const char *text = bad_status(a, e, s);
    if (text != NULL) {
        a->counts.invalid_updates++;
        agent_reply(a, request, 400, text);
        return;
    }
    int status = take_status(a, e, s, &text);
    agent_reply(a, request, status, text);
}

static void on_message(struct agent *a, struct agent_executor *e, request_id request,
                       const Mesos__V1__Executor__Call__Message *m)
{
    agent_reply(a, request, 202, NULL);
    if (!agent_session_is_up(a)) {
        a->counts.invalid_messages++; /* never queued */
        return;
    }
    a->counts.valid_messages++;
    struct arena *arena = a->out->arena;
    Muster__Link__ExecutorMessage *message = arena_new_one(arena, Muster__Link__ExecutorMessage);
    *message = (Muster__Link__ExecutorMessage)MUSTER__LINK__EXECUTOR_MESSAGE__INIT;
    message->framework_id = agent_wire_framework_id(arena, e->framework->id);
    message->executor_id = agent_wire_executor_id(arena, e->id);
    message->data = agent_wire_bytes(arena, m->data.data, m->data.len);
    Muster__Link__AgentToMaster out = MUSTER__LINK__AGENT_TO_MASTER__INIT;
    out.executor_message = message;
    agent_link_send(a, &out);
}

/* -- SUBSCRIBE ------------------------------------------------------------------------------------------------ */

/* A stream that says SHUTDOWN and nothing else. */
static void turn_away(struct agent *a, const struct agent_event *in)
{
    struct agent_effect *effect = agent_emit(a, AGENT_OUT_STREAM_OPEN);
    effect->stream.stream = in->executor.stream;
    effect->stream.request = in->executor.request;
    Mesos__V1__Executor__Event *event = arena_new_one(a->out->arena, Mesos__V1__Executor__Event);
    *event = (Mesos__V1__Executor__Event)MESOS__V1__EXECUTOR__EVENT__INIT;
    event->has_type = true;
    event->type = EVENT(SHUTDOWN);
    effect = agent_emit(a, AGENT_OUT_STREAM_SEND);
    effect->stream.stream = in->executor.stream;
    effect->stream.event = event;
    agent_emit(a, AGENT_OUT_STREAM_CLOSE)->stream.stream = in->executor.stream;
}

static void send_subscribed(struct agent *a, struct agent_executor *e)
{
    struct arena *arena = a->out->arena;
    Mesos__V1__Executor__Event event = MESOS__V1__EXECUTOR__EVENT__INIT;
    event.has_type = true;
    event.type = EVENT(SUBSCRIBED);
    event.subscribed = arena_new_one(arena, Mesos__V1__Executor__Event__Subscribed);
    *event.subscribed = (Mesos__V1__Executor__Event__Subscribed)MESOS__V1__EXECUTOR__EVENT__SUBSCRIBED__INIT;
    event.subscribed->executor_info = agent_unpack(&mesos__v1__executor_info__descriptor, e->info, e->info_len, arena);
    event.subscribed->framework_info =
        agent_unpack(&mesos__v1__framework_info__descriptor, e->framework->info, e->framework->info_len, arena);
    event.subscribed->agent_info = a->info;
    event.subscribed->container_id = agent_wire_container_id(arena, e->container_id);
    agent_send_event(a, e, &event);
}

/* Tasks that were sent but that the executor does not know: it never got them. Within one life of the agent they are sent
 * again; over a restart the agent cannot tell and gives them up (facts: mesos 2.4 step 5). */
static void settle_unknown(struct agent *a, struct agent_executor *e, const Mesos__V1__Executor__Call__Subscribe *s,
                           bool recovered)
{
    struct map known;
    map_init(&known);
    for (size_t i = 0; i < s->n_unacknowledged_tasks; i++)
        (void)map_put(&known, s->unacknowledged_tasks[i]->task_id->value, e);
    struct list *front = e->queue.next;
    for (struct map_entry *it = map_first(&e->tasks); it != NULL; it = map_next(it)) {
        struct agent_task *t = map_value(it);
        if (!t->sent || t->accepted_state != AGENT_STATE(STAGING) || map_get(&known, t->id) != NULL)
            continue;
        if (recovered) {
            agent_updates_lose(a, t, AGENT_STATE(DROPPED), AGENT_REASON(AGENT_RESTARTED),
                               "the agent restarted before the task was given to its executor");
        } else if (t->kill_wanted) {
            agent_updates_generate(a, t, AGENT_STATE(KILLED), AGENT_REASON(TASK_KILLED_DURING_LAUNCH),
                                   "killed before it was given to its executor", NULL);
        } else {
            t->sent = false;
            list_insert_before(front, &t->queue_link);
        }
    }
    map_deinit(&known);
}

static void subscribe(struct agent *a, struct agent_executor *e, const struct agent_event *in)
{
    static const Mesos__V1__Executor__Call__Subscribe nothing = MESOS__V1__EXECUTOR__CALL__SUBSCRIBE__INIT;
    const Mesos__V1__Executor__Call__Subscribe *s = in->executor.call->subscribe;
    if (s == NULL)
        s = &nothing;
    bool recovered = e->recovered;
    agent_trace(a, LOG_LEVEL_INFO, "executor %s of framework %s subscribed", e->id, e->framework->id);
    agent_executor_no_longer_recovering(a, e);
    agent_executor_take_stream(a, e, in->executor.stream, in->executor.request);
    agent_timer_stop(a, &e->deadline);
    e->state = AGENT_EXECUTOR_RUNNING;
    send_subscribed(a, e);
    for (size_t i = 0; i < s->n_unacknowledged_updates; i++) {
        const Status *status = s->unacknowledged_updates[i]->status;
        const char *text = bad_status(a, e, status);
        if (text == NULL)
            (void)take_status(a, e, status, &text); /* a refused one comes again by UPDATE */
        if (text != NULL)
            agent_trace(a, LOG_LEVEL_WARNING, "an unacknowledged update of executor %s was not taken: %s", e->id, text);
    }
    for (struct map_entry *it = map_first(&e->tasks); recovered && it != NULL; it = map_next(it))
        e->served |= ((const struct agent_task *)map_value(it))->accepted_state != AGENT_STATE(STAGING);
    e->served |= s->n_unacknowledged_tasks > 0;
    settle_unknown(a, e, s, recovered);
    for (struct map_entry *it = map_first(&e->tasks); it != NULL; it = map_next(it)) {
        const struct agent_task *t = map_value(it);
        if (t->kill_wanted && t->sent && !agent_state_is_terminal(t->accepted_state))
            agent_executor_send_kill(a, e, t);
    }
    agent_executor_settle(a, e);
    agent_executor_act(a, e);
}

static void on_subscribe(struct agent *a, struct agent_executor *e, const struct agent_event *in)
{
    if (in->executor.stream == 0 || !e->launched) {
        agent_reply(a, in->executor.request, 403, "Executor was not launched");
        return;
    }
    if (a->phase == AGENT_PHASE_LEAVING || e->framework->terminating || e->state >= AGENT_EXECUTOR_TERMINATING) {
        agent_executor_no_longer_recovering(a, e);
        turn_away(a, in);
        return;
    }
    subscribe(a, e, in);
}

/* -- dispatch ------------------------------------------------------------------------------------------------- */

/* SUBSCRIBE may do without: all that is in it are lists, and the executors of mesos-framework (npm) leave it out. */
static const char *missing_member(const Call *c)
{
    switch (c->type) {
    case CALL(UPDATE):
        return c->update == NULL ? "Expecting 'update' to be present" : NULL;
    case CALL(MESSAGE):
        return c->message == NULL ? "Expecting 'message' to be present" : NULL;
    default:
        return NULL;
    }
}

void agent_on_executor_call(struct agent *a, const struct agent_event *in)
{
    const Call *c = in->executor.call;
    request_id request = in->executor.request;
    if (a->phase < AGENT_PHASE_EXECUTORS || a->id == NULL) {
        agent_reply(a, request, 503, "Agent has not finished recovery");
        return;
    }
    const char *text = c->has_type ? missing_member(c) : "Expecting 'type' to be present";
    if (text != NULL) {
        agent_reply(a, request, 400, text);
        return;
    }
    if (c->type == CALL(HEARTBEAT)) {
        agent_reply(a, request, 202, NULL);
        return;
    }
    if (c->type == CALL(UNKNOWN)) {
        agent_reply(a, request, 501, "Received an unknown call");
        return;
    }
    struct agent_executor *e = agent_executor_find(a, c->framework_id->value, c->executor_id->value);
    if (e == NULL) {
        agent_reply(a, request, 400, "Framework or executor cannot be found");
        return;
    }
    if (c->type == CALL(SUBSCRIBE)) {
        on_subscribe(a, e, in);
        return;
    }
    if (a->phase == AGENT_PHASE_EXECUTORS) {
        agent_reply(a, request, 503, "Agent has not finished recovery");
        return;
    }
    if (e->state == AGENT_EXECUTOR_REGISTERING) {
        agent_reply(a, request, 403, "Executor is not subscribed");
        return;
    }
    if (c->type == CALL(UPDATE))
        on_update(a, e, request, c->update->status);
    else
        on_message(a, e, request, c->message);
}
