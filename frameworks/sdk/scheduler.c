/* SPDX-License-Identifier: Apache-2.0
 * scheduler.c - sdk_scheduler: the session on a loop. What a step asks of the transport is done at once; what it tells the
 * framework is queued, because callbacks make calls, and those are steps again. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "common/base/check.h"
#include "common/base/list.h"
#include "frameworks/sdk/calls.h"
#include "frameworks/sdk/sdk.h"
#include "frameworks/sdk/transport.h"

/* The effects of one step. */
struct batch {
    struct list in_list;
    struct sdk_effects effects;
};

struct sdk_scheduler {
    struct loop *loop;
    struct sdk_session *session;
    struct sdk_transport *transport;
    struct loop_timer *timer;
    struct sdk_callbacks callbacks;
    void *ctx;
    struct list told;    /* batches whose callbacks are due, oldest first */
    struct list spare;   /* batches for reuse */
    struct arena *arena; /* of the call that is being built */
    bool is_started, is_telling;
};

/* -- telling the framework -------------------------------------------------------------------------------------- */

static void tell_event(struct sdk_scheduler *s, const Mesos__V1__Scheduler__Event *event)
{
    const struct sdk_callbacks *c = &s->callbacks;
    switch (event->type) {
    case MESOS__V1__SCHEDULER__EVENT__TYPE__OFFERS:
        if (c->offers)
            c->offers(s->ctx, event->offers->offers, event->offers->n_offers);
        break;
    case MESOS__V1__SCHEDULER__EVENT__TYPE__RESCIND:
        if (c->rescind)
            c->rescind(s->ctx, event->rescind->offer_id->value);
        break;
    case MESOS__V1__SCHEDULER__EVENT__TYPE__UPDATE:
        if (c->update)
            c->update(s->ctx, event->update->status);
        break;
    case MESOS__V1__SCHEDULER__EVENT__TYPE__MESSAGE:
        if (c->message)
            c->message(s->ctx, event->message->agent_id->value, event->message->executor_id->value,
                       event->message->data.data, event->message->data.len);
        break;
    case MESOS__V1__SCHEDULER__EVENT__TYPE__FAILURE:
        if (c->failure)
            c->failure(s->ctx, event->failure->agent_id ? event->failure->agent_id->value : NULL,
                       event->failure->executor_id ? event->failure->executor_id->value : NULL,
                       event->failure->has_status ? event->failure->status : -1);
        break;
    default:
        if (c->other)
            c->other(s->ctx, event);
    }
}

static void reconcile_known(struct sdk_scheduler *s)
{
    struct arena *arena = arena_new(0);
    const struct sdk_task *tasks = NULL;
    size_t count = s->callbacks.known_tasks ? s->callbacks.known_tasks(s->ctx, arena, &tasks) : 0;
    /* When the connection is lost again the next subscription asks again. Invalid ids are the framework's own mistake. */
    CHECK(sdk_scheduler_reconcile(s, tasks, count) != SDK_E_INVALID);
    arena_free(arena);
}

static void tell(struct sdk_scheduler *s, const struct sdk_effect *effect)
{
    const struct sdk_callbacks *c = &s->callbacks;
    switch (effect->type) {
    case SDK_EFFECT_SUBSCRIBED:
        if (c->subscribed)
            c->subscribed(s->ctx, effect->subscribed.framework_id, effect->subscribed.master);
        if (sdk_session_is_subscribed(s->session))
            reconcile_known(s);
        break;
    case SDK_EFFECT_DISCONNECTED:
        if (c->disconnected)
            c->disconnected(s->ctx, effect->disconnected.text);
        break;
    case SDK_EFFECT_EVENT:
        tell_event(s, effect->event);
        break;
    case SDK_EFFECT_SETTLED:
        if (c->settled)
            c->settled(s->ctx);
        break;
    case SDK_EFFECT_CALL_REFUSED:
        if (c->call_refused)
            c->call_refused(s->ctx, effect->refused.call, effect->refused.status, effect->refused.text);
        break;
    case SDK_EFFECT_ERROR:
        if (c->error)
            c->error(s->ctx, effect->error.text);
        break;
    case SDK_EFFECT_STOPPED:
        if (c->stopped)
            c->stopped(s->ctx);
        break;
    case SDK_EFFECT_CONNECT:
    case SDK_EFFECT_CLOSE:
    case SDK_EFFECT_SEND:
        break; /* done already */
    }
}

static void tell_all(struct sdk_scheduler *s)
{
    if (s->is_telling)
        return; /* the outer one goes on */
    s->is_telling = true;
    for (struct list *it; (it = list_pop_front(&s->told)) != NULL;) {
        struct batch *batch = container_of(it, struct batch, in_list);
        for (size_t i = 0; i < batch->effects.count; i++)
            tell(s, &batch->effects.items[i]);
        list_push_back(&s->spare, it);
    }
    s->is_telling = false;
}

/* -- steps ------------------------------------------------------------------------------------------------------ */

/* Returns whether something is left to tell. */
static bool apply_transport(struct sdk_scheduler *s, const struct sdk_effects *effects)
{
    bool is_left = false;
    for (size_t i = 0; i < effects->count; i++) {
        const struct sdk_effect *effect = &effects->items[i];
        if (effect->type == SDK_EFFECT_CONNECT)
            sdk_transport_connect(s->transport, effect);
        else if (effect->type == SDK_EFFECT_CLOSE)
            sdk_transport_close(s->transport);
        else if (effect->type == SDK_EFFECT_SEND)
            sdk_transport_send(s->transport, effect);
        else
            is_left = true;
    }
    return is_left;
}

static void arm_timer(struct sdk_scheduler *s)
{
    int64_t deadline = sdk_session_next_deadline(s->session), now = loop_now_ms(s->loop);
    if (deadline == INT64_MAX)
        loop_timer_stop(s->timer);
    else
        loop_timer_start(s->timer, deadline > now ? deadline - now : 0);
}

static int step(struct sdk_scheduler *s, struct sdk_event *event)
{
    struct list *it = list_pop_front(&s->spare);
    struct batch *batch = it ? container_of(it, struct batch, in_list) : NULL;
    if (!batch) {
        batch = xcalloc(1, sizeof(*batch));
        list_init(&batch->in_list);
        sdk_effects_init(&batch->effects);
    }
    event->now_ms = loop_now_ms(s->loop);
    int result = sdk_session_step(s->session, event, &batch->effects);
    list_push_back(apply_transport(s, &batch->effects) ? &s->told : &s->spare, &batch->in_list);
    if (s->is_started)
        arm_timer(s);
    tell_all(s);
    return result;
}

static void on_transport(void *ctx, struct sdk_event *event)
{
    struct sdk_scheduler *s = ctx;
    (void)step(s, event); /* only calls have results */
}

static void on_timer(void *ctx)
{
    struct sdk_scheduler *s = ctx;
    struct sdk_event event = {.type = s->is_started ? SDK_EVENT_TICK : SDK_EVENT_START};
    s->is_started = true;
    (void)step(s, &event); /* only calls have results */
}

/* -- calls ------------------------------------------------------------------------------------------------------ */

int sdk_scheduler_call(struct sdk_scheduler *s, const Mesos__V1__Scheduler__Call *call)
{
    struct sdk_event event = {.type = SDK_EVENT_CALL, .call = call};
    return step(s, &event);
}

/* The builders allocate in the arena, the session encodes at once. */
static int call_and_reset(struct sdk_scheduler *s, const Mesos__V1__Scheduler__Call *call)
{
    int result = sdk_scheduler_call(s, call);
    arena_reset(s->arena);
    return result;
}

int sdk_scheduler_accept(struct sdk_scheduler *s, const char *const *offer_ids, size_t offer_count,
                         Mesos__V1__Offer__Operation *const *operations, size_t operation_count, double refuse_seconds)
{
    return call_and_reset(s,
                          sdk_call_accept(s->arena, offer_ids, offer_count, operations, operation_count, refuse_seconds));
}

int sdk_scheduler_decline(struct sdk_scheduler *s, const char *const *offer_ids, size_t offer_count, double refuse_seconds)
{
    return call_and_reset(s, sdk_call_decline(s->arena, offer_ids, offer_count, refuse_seconds));
}

int sdk_scheduler_kill(struct sdk_scheduler *s, const char *task_id, const char *agent_id, int64_t grace_ms)
{
    return call_and_reset(s, sdk_call_kill(s->arena, task_id, agent_id, grace_ms));
}

int sdk_scheduler_acknowledge(struct sdk_scheduler *s, const Mesos__V1__TaskStatus *status)
{
    const Mesos__V1__Scheduler__Call *call = sdk_call_acknowledge(s->arena, status);
    return call ? call_and_reset(s, call) : 0;
}

int sdk_scheduler_reconcile(struct sdk_scheduler *s, const struct sdk_task *tasks, size_t count)
{
    struct sdk_event event = {.type = SDK_EVENT_TASKS, .tasks = {.list = tasks, .count = count}};
    return step(s, &event);
}

int sdk_scheduler_message(struct sdk_scheduler *s, const char *agent_id, const char *executor_id, const void *data,
                          size_t len)
{
    if (len > WIRE_MESSAGE_BYTES_MAX)
        return SDK_E_INVALID;
    return call_and_reset(s, sdk_call_message(s->arena, agent_id, executor_id, data, len));
}

int sdk_scheduler_shutdown(struct sdk_scheduler *s, const char *executor_id, const char *agent_id)
{
    return call_and_reset(s, sdk_call_shutdown(s->arena, executor_id, agent_id));
}

int sdk_scheduler_teardown(struct sdk_scheduler *s)
{
    return call_and_reset(s, sdk_call_teardown(s->arena));
}

void sdk_scheduler_revive(struct sdk_scheduler *s)
{
    struct sdk_event event = {.type = SDK_EVENT_WANT};
    (void)step(s, &event); /* only calls have results */
}

void sdk_scheduler_suppress(struct sdk_scheduler *s)
{
    struct sdk_event event = {.type = SDK_EVENT_UNWANT};
    (void)step(s, &event); /* only calls have results */
}

void sdk_scheduler_stop(struct sdk_scheduler *s)
{
    struct sdk_event event = {.type = SDK_EVENT_STOP};
    if (!s->is_started) {
        s->is_started = true; /* the timer must not start it after all */
        loop_timer_stop(s->timer);
    }
    (void)step(s, &event); /* only calls have results */
}

bool sdk_scheduler_is_settled(const struct sdk_scheduler *s)
{
    return sdk_session_is_settled(s->session);
}

const char *sdk_scheduler_framework_id(const struct sdk_scheduler *s)
{
    return sdk_session_framework_id(s->session);
}

/* -- life cycle ------------------------------------------------------------------------------------------------- */

struct sdk_scheduler *sdk_scheduler_new(struct loop *loop, const struct sdk_config *config,
                                        const struct sdk_callbacks *callbacks, void *ctx, struct err *err)
{
    struct sdk_session_config session = config->session;
    if (session.seed == 0 && getrandom(&session.seed, sizeof(session.seed), 0) != (ssize_t)sizeof(session.seed)) {
        err_sys(err, -errno, "getrandom");
        return NULL;
    }
    struct sdk_scheduler *s = xcalloc(1, sizeof(*s));
    list_init(&s->told);
    list_init(&s->spare);
    s->loop = loop;
    s->callbacks = *callbacks;
    s->ctx = ctx;
    s->session = sdk_session_new(&session, err);
    if (s->session)
        s->transport = sdk_transport_new(loop, session.masters, session.master_count, session.format, config->principal,
                                         config->secret, on_transport, s, err);
    if (!s->transport)
        return sdk_scheduler_free(s);
    s->arena = arena_new(0);
    s->timer = loop_timer_add(loop, on_timer, s);
    loop_timer_start(s->timer, 0);
    return s;
}

struct sdk_scheduler *sdk_scheduler_free(struct sdk_scheduler *s)
{
    if (!s)
        return NULL;
    CHECK(!s->is_telling);
    sdk_transport_free(s->transport);
    sdk_session_free(s->session);
    loop_timer_remove(s->timer);
    arena_free(s->arena);
    for (struct list *it; (it = list_pop_front(&s->spare)) != NULL;) {
        struct batch *batch = container_of(it, struct batch, in_list);
        sdk_effects_deinit(&batch->effects);
        free(batch);
    }
    free(s);
    return NULL;
}
