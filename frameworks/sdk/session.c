/* SPDX-License-Identifier: Apache-2.0
 * session.c - see session.h. A queue of encoded calls, one of them out at a time, and one of acknowledgements,
 * of which several are out: there are two or three for each task, and an answer takes a turn of two processes' loops.
 * Everything else is a handful of deadlines that every step looks at (run_due). */
#include "frameworks/sdk/session.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"
#include "common/base/list.h"
#include "common/base/map.h"
#include "common/base/rng.h"
#include "frameworks/sdk/calls.h"

enum session_state { SESSION_IDLE, SESSION_CONNECTING, SESSION_WAITING, SESSION_SUBSCRIBED, SESSION_STOPPED };

struct waiting_call {
    struct list in_queue;
    Mesos__V1__Scheduler__Call__Type type;
    uint8_t *body;
    size_t body_len;
};

struct sdk_session {
    enum session_state state;
    enum wire_format format;
    struct rng rng;

    char *masters[SDK_MASTERS_MAX];
    size_t master_count, master_next; /* the one to try next */
    char *address;                    /* in use, or to be tried next after a redirect */
    int redirects;                    /* followed since the last other answer */

    uint8_t *framework; /* packed FrameworkInfo without id */
    size_t framework_len;
    char *framework_id; /* "" unknown */
    char **roles;
    size_t role_count;

    uint64_t connection; /* number of the newest one */
    char *stream_id;     /* NULL until the stream's headers came */
    int64_t backoff_ms;
    int64_t retry_ms;     /* WAITING: when to connect */
    int64_t answer_ms;    /* CONNECTING: when to give up */
    int64_t heartbeat_ms; /* SUBSCRIBED: when the stream counts as dead */
    int64_t heartbeat_interval_ms;
    int64_t subscribed_ms;

    struct list calls, acknowledgements;      /* struct waiting_call, not out yet */
    struct waiting_call *out[SDK_CALL_SLOTS]; /* by slot, NULL: free */
    size_t call_count, call_bytes, calls_max, call_bytes_max;

    struct map unanswered; /* task id -> malloc'd agent id ("" unknown) that reconciliation waits for */
    bool is_reconciling;
    bool is_settled;      /* a round was completed in this subscription */
    int64_t reconcile_ms; /* next repetition */
    int64_t reconcile_delay_ms;

    bool wanted;        /* the framework wants offers */
    bool is_suppressed; /* what the master was told last */
    bool has_demand;    /* a REVIVE is due */
    int64_t revive_ms;  /* not before */
    int64_t revive_interval_ms;
};

static void measure(const struct list *queue, size_t *count, size_t *bytes)
{
    list_for_each(it, queue)
    {
        (*count)++;
        *bytes += container_of(it, struct waiting_call, in_queue)->body_len;
    }
}

void sdk_session_check_invariants(const struct sdk_session *s)
{
    size_t count = 0, bytes = 0;
    measure(&s->calls, &count, &bytes);
    measure(&s->acknowledgements, &count, &bytes);
    for (size_t i = 0; i < SDK_CALL_SLOTS; i++) {
        count += s->out[i] != NULL;
        bytes += s->out[i] ? s->out[i]->body_len : 0;
    }
    CHECK(count == s->call_count && bytes == s->call_bytes);
    CHECK(s->state == SESSION_SUBSCRIBED || count == 0);
    CHECK(s->state != SESSION_SUBSCRIBED || (s->stream_id && s->framework_id[0]));
    CHECK(s->is_reconciling || map_count(&s->unanswered) == 0);
    CHECK(!s->is_reconciling || map_count(&s->unanswered) > 0);
    CHECK(s->state == SESSION_SUBSCRIBED || !(s->is_settled || s->is_reconciling));
    CHECK(s->backoff_ms >= SDK_BACKOFF_MS_MIN && s->backoff_ms <= SDK_BACKOFF_MS_MAX);
    CHECK(s->redirects <= SDK_REDIRECTS_MAX);
}

/* -- effects ---------------------------------------------------------------------------------------------------- */

void sdk_effects_init(struct sdk_effects *out)
{
    *out = (struct sdk_effects){.arena = arena_new(0)};
}

void sdk_effects_deinit(struct sdk_effects *out)
{
    out->arena = arena_free(out->arena);
    free(out->items);
    out->items = NULL;
    out->count = out->capacity = 0;
}

static struct sdk_effect *add_effect(struct sdk_session *s, struct sdk_effects *out, enum sdk_effect_type type)
{
    if (out->count == out->capacity) {
        out->capacity = out->capacity ? out->capacity * 2 : 8;
        out->items = xrealloc(out->items, out->capacity * sizeof(*out->items));
    }
    struct sdk_effect *effect = &out->items[out->count++];
    *effect = (struct sdk_effect){.type = type, .connection = s->connection};
    return effect;
}

static const char *copy_text(struct sdk_effects *out, const char *text, const char *otherwise)
{
    return arena_printf(out->arena, "%.400s", text && text[0] ? text : otherwise);
}

/* -- waiting calls ---------------------------------------------------------------------------------------------- */

static void drop_call(struct sdk_session *s, struct waiting_call *call)
{
    list_remove(&call->in_queue);
    s->call_count--;
    s->call_bytes -= call->body_len;
    free(call->body);
    free(call);
}

static void drop_calls(struct sdk_session *s)
{
    list_for_each(it, &s->calls) drop_call(s, container_of(it, struct waiting_call, in_queue));
    list_for_each(it, &s->acknowledgements) drop_call(s, container_of(it, struct waiting_call, in_queue));
    for (size_t i = 0; i < SDK_CALL_SLOTS; i++) {
        if (s->out[i])
            drop_call(s, s->out[i]);
        s->out[i] = NULL;
    }
}

static void send_in(struct sdk_session *s, unsigned slot, struct list *queue, struct sdk_effects *out)
{
    if (s->out[slot] || list_is_empty(queue))
        return;
    struct waiting_call *call = container_of(list_pop_front(queue), struct waiting_call, in_queue);
    struct sdk_effect *effect = add_effect(s, out, SDK_EFFECT_SEND);
    effect->send.address = s->address;
    effect->send.stream_id = s->stream_id;
    effect->send.call = call->type;
    effect->send.body = call->body;
    effect->send.body_len = call->body_len;
    effect->send.slot = slot;
    s->out[slot] = call;
}

static void send_next(struct sdk_session *s, struct sdk_effects *out)
{
    if (s->state != SESSION_SUBSCRIBED)
        return;
    send_in(s, 0, &s->calls, out);
    for (unsigned slot = 1; slot < SDK_CALL_SLOTS; slot++)
        send_in(s, slot, &s->acknowledgements, out);
}

static int encode_call(struct sdk_session *s, const Mesos__V1__Scheduler__Call *call, uint8_t **body, size_t *len)
{
    Mesos__V1__FrameworkID id = MESOS__V1__FRAMEWORK_ID__INIT;
    id.value = s->framework_id;
    Mesos__V1__Scheduler__Call copy = *call;
    copy.framework_id = s->framework_id[0] ? &id : NULL;
    struct buf bytes;
    buf_init(&bytes, WIRE_MESSAGE_BYTES_MAX);
    int result = wire_encode(s->format, &copy.base, &bytes);
    if (result == 0) {
        *len = buf_len(&bytes);
        *body = xmemdup(buf_data(&bytes), *len ? *len : 1);
    }
    buf_deinit(&bytes);
    return result;
}

/* The session's own calls (reconcile, revive, suppress) are few and pass over the bounds. */
static int queue_call(struct sdk_session *s, const Mesos__V1__Scheduler__Call *call, bool is_own)
{
    if (!is_own && s->call_count >= s->calls_max)
        return SDK_E_FULL;
    uint8_t *body;
    size_t len;
    if (encode_call(s, call, &body, &len) < 0)
        return SDK_E_INVALID; /* larger than the master takes */
    if (!is_own && s->call_bytes + len > s->call_bytes_max) {
        free(body);
        return SDK_E_FULL;
    }
    struct waiting_call *waiting = xcalloc(1, sizeof(*waiting));
    waiting->type = call->type;
    waiting->body = body;
    waiting->body_len = len;
    bool needs_order = call->type != MESOS__V1__SCHEDULER__CALL__TYPE__ACKNOWLEDGE;
    list_push_back(needs_order ? &s->calls : &s->acknowledgements, &waiting->in_queue);
    s->call_count++;
    s->call_bytes += len;
    return 0;
}

static void queue_own_call(struct sdk_session *s, const Mesos__V1__Scheduler__Call *call)
{
    int result = queue_call(s, call, true);
    CHECK(result == 0); /* batches are far below the message limit: ids have at most 255 bytes */
}

/* Facts: mesos 1.2: calls without their body would be a 400. */
static bool has_body(const Mesos__V1__Scheduler__Call *call)
{
    switch (call->type) {
    case MESOS__V1__SCHEDULER__CALL__TYPE__TEARDOWN:
    case MESOS__V1__SCHEDULER__CALL__TYPE__REVIVE:
    case MESOS__V1__SCHEDULER__CALL__TYPE__SUPPRESS:
        return true;
    case MESOS__V1__SCHEDULER__CALL__TYPE__ACCEPT:
        return call->accept;
    case MESOS__V1__SCHEDULER__CALL__TYPE__DECLINE:
        return call->decline;
    case MESOS__V1__SCHEDULER__CALL__TYPE__ACCEPT_INVERSE_OFFERS:
        return call->accept_inverse_offers;
    case MESOS__V1__SCHEDULER__CALL__TYPE__DECLINE_INVERSE_OFFERS:
        return call->decline_inverse_offers;
    case MESOS__V1__SCHEDULER__CALL__TYPE__KILL:
        return call->kill;
    case MESOS__V1__SCHEDULER__CALL__TYPE__SHUTDOWN:
        return call->shutdown;
    case MESOS__V1__SCHEDULER__CALL__TYPE__ACKNOWLEDGE:
        return call->acknowledge && call->acknowledge->uuid.len == 16;
    case MESOS__V1__SCHEDULER__CALL__TYPE__ACKNOWLEDGE_OPERATION_STATUS:
        return call->acknowledge_operation_status && call->acknowledge_operation_status->uuid.len == 16;
    case MESOS__V1__SCHEDULER__CALL__TYPE__RECONCILE:
        return call->reconcile;
    case MESOS__V1__SCHEDULER__CALL__TYPE__RECONCILE_OPERATIONS:
        return call->reconcile_operations;
    case MESOS__V1__SCHEDULER__CALL__TYPE__MESSAGE:
        return call->message;
    case MESOS__V1__SCHEDULER__CALL__TYPE__REQUEST:
        return call->request;
    case MESOS__V1__SCHEDULER__CALL__TYPE__UPDATE_FRAMEWORK:
        return call->update_framework;
    default:
        return false; /* SUBSCRIBE is the session's own */
    }
}

/* -- connecting ------------------------------------------------------------------------------------------------- */

static void forget_tasks(struct sdk_session *s)
{
    for (struct map_entry *e = map_first(&s->unanswered), *next; e; e = next) {
        next = map_next(e);
        free(map_remove(&s->unanswered, map_key(e)));
    }
    s->is_reconciling = false;
    s->reconcile_ms = INT64_MAX;
}

static void connect_now(struct sdk_session *s, int64_t now_ms, struct sdk_effects *out)
{
    struct err err = {0};
    Mesos__V1__FrameworkInfo *info = (Mesos__V1__FrameworkInfo *)wire_unpack(
        &mesos__v1__framework_info__descriptor, s->framework, s->framework_len, out->arena, &err);
    CHECK(info); /* we packed it ourselves */
    Mesos__V1__FrameworkID id = MESOS__V1__FRAMEWORK_ID__INIT;
    id.value = s->framework_id;
    info->id = s->framework_id[0] ? &id : NULL;
    Mesos__V1__Scheduler__Call__Subscribe subscribe = MESOS__V1__SCHEDULER__CALL__SUBSCRIBE__INIT;
    subscribe.framework_info = info;
    if (!s->wanted) {
        subscribe.suppressed_roles = s->roles;
        subscribe.n_suppressed_roles = s->role_count;
    }
    Mesos__V1__Scheduler__Call call = MESOS__V1__SCHEDULER__CALL__INIT;
    call.has_type = true;
    call.type = MESOS__V1__SCHEDULER__CALL__TYPE__SUBSCRIBE;
    call.subscribe = &subscribe;

    uint8_t *body;
    size_t len;
    int result = encode_call(s, &call, &body, &len);
    CHECK(result == 0); /* sdk_session_new has measured it */
    if (!s->address) {
        s->address = xstrdup(s->masters[s->master_next]);
        s->master_next = (s->master_next + 1) % s->master_count;
    }
    s->state = SESSION_CONNECTING;
    s->connection++;
    s->answer_ms = now_ms + SDK_SUBSCRIBE_TIMEOUT_MS;
    s->is_suppressed = !s->wanted;
    struct sdk_effect *effect = add_effect(s, out, SDK_EFFECT_CONNECT);
    effect->connect.address = arena_strdup(out->arena, s->address);
    effect->connect.body = arena_memdup(out->arena, body, len);
    effect->connect.body_len = len;
    CHECK(effect->connect.address && effect->connect.body);
    free(body);
}

/* Leaves the present connection without deciding what comes next. */
static void leave_connection(struct sdk_session *s, bool is_open, struct sdk_effects *out)
{
    if (is_open)
        add_effect(s, out, SDK_EFFECT_CLOSE);
    s->connection++; /* late events of the old one do not match any more */
    drop_calls(s);
    forget_tasks(s);
    s->is_settled = false;
    free(s->stream_id);
    s->stream_id = NULL;
}

static void lose_connection(struct sdk_session *s, int64_t now_ms, bool is_open, const char *text, struct sdk_effects *out)
{
    if (s->state == SESSION_SUBSCRIBED && now_ms - s->subscribed_ms >= SDK_BACKOFF_MS_MAX)
        s->backoff_ms =
            SDK_BACKOFF_MS_MIN; /* it had worked; one that always ends at once must not be retried at full speed */
    leave_connection(s, is_open, out);
    struct sdk_effect *effect = add_effect(s, out, SDK_EFFECT_DISCONNECTED);
    effect->disconnected.text = arena_printf(out->arena, "master %s: %.400s", s->address ? s->address : "?", text);
    free(s->address);
    s->address = NULL;
    s->redirects = 0;
    s->state = SESSION_WAITING;
    s->retry_ms = now_ms + s->backoff_ms / 2 + (int64_t)rng_below(&s->rng, (uint64_t)s->backoff_ms / 2 + 1);
    s->backoff_ms = s->backoff_ms * 2 < SDK_BACKOFF_MS_MAX ? s->backoff_ms * 2 : SDK_BACKOFF_MS_MAX;
}

static void stop(struct sdk_session *s, bool is_open, struct sdk_effects *out, enum sdk_effect_type last, const char *text)
{
    leave_connection(s, is_open, out);
    s->state = SESSION_STOPPED;
    struct sdk_effect *effect = add_effect(s, out, last);
    if (last == SDK_EFFECT_ERROR)
        effect->error.text = copy_text(out, text, "the master gave no reason");
}

/* "//host:port/path" and "http://host:port/path" (facts: mesos 0.3, 13.1 rule 10). NULL: unusable. */
static char *redirect_address(const char *location)
{
    if (!location)
        return NULL;
    if (strncmp(location, "http://", 7) == 0)
        location += 5;
    if (strncmp(location, "//", 2) != 0)
        return NULL;
    location += 2;
    size_t len = strcspn(location, "/?#");
    const char *colon = memrchr(location, ':', len);
    if (len == 0 || len > 270 || !colon || colon == location || colon == location + len - 1)
        return NULL;
    return xstrndup(location, len);
}

static void on_redirect(struct sdk_session *s, const struct sdk_event *in, struct sdk_effects *out)
{
    char *address = redirect_address(in->answer.location);
    if (!address || s->redirects == SDK_REDIRECTS_MAX) {
        free(address);
        lose_connection(s, in->now_ms, true, address ? "too many redirects" : "redirect without a usable Location", out);
        return;
    }
    int redirects = s->redirects + 1;
    leave_connection(s, true, out);
    free(s->address);
    s->address = address;
    s->redirects = redirects;
    connect_now(s, in->now_ms, out);
}

static void on_answer(struct sdk_session *s, const struct sdk_event *in, struct sdk_effects *out)
{
    if (s->state != SESSION_CONNECTING || s->stream_id)
        return;
    int status = in->answer.status;
    if (status == 200) {
        if (!in->answer.stream_id || !in->answer.stream_id[0] || strlen(in->answer.stream_id) > 128) {
            lose_connection(s, in->now_ms, true, "answer without a Mesos-Stream-Id", out);
            return;
        }
        s->stream_id = xstrdup(in->answer.stream_id);
        return;
    }
    if (status == 307 || status == 302 || status == 301 || status == 308) {
        on_redirect(s, in, out);
        return;
    }
    const char *text = arena_printf(out->arena, "status %d: %.300s", status, in->answer.text ? in->answer.text : "");
    /* These say that this request will never be right; waiting would only hide it. */
    if (status == 400 || status == 401 || status == 403 || status == 405 || status == 406 || status == 415)
        stop(s, true, out, SDK_EFFECT_ERROR, text);
    else
        lose_connection(s, in->now_ms, true, text, out);
}

/* -- reconciliation --------------------------------------------------------------------------------------------- */

/* Asks for every task that has no answer yet, in batches. */
static void queue_reconcile(struct sdk_session *s)
{
    struct sdk_task tasks[SDK_RECONCILE_BATCH];
    struct arena *arena = arena_new(0); /* of one batch: all of them together could pass the bound of a step */
    size_t filled = 0;
    for (struct map_entry *e = map_first(&s->unanswered); e;) {
        const char *agent_id = map_value(e);
        tasks[filled++] = (struct sdk_task){.task_id = map_key(e), .agent_id = agent_id[0] ? agent_id : NULL};
        e = map_next(e);
        if (filled == SDK_RECONCILE_BATCH || !e) {
            queue_own_call(s, sdk_call_reconcile(arena, tasks, filled));
            arena_reset(arena);
            filled = 0;
        }
    }
    arena_free(arena);
}

static void check_settled(struct sdk_session *s, struct sdk_effects *out)
{
    if (!s->is_reconciling || map_count(&s->unanswered) > 0)
        return;
    s->is_reconciling = false;
    s->is_settled = true;
    s->reconcile_ms = INT64_MAX;
    add_effect(s, out, SDK_EFFECT_SETTLED);
}

static int on_tasks(struct sdk_session *s, const struct sdk_event *in, struct sdk_effects *out)
{
    if (s->state != SESSION_SUBSCRIBED)
        return SDK_E_DISCONNECTED;
    for (size_t i = 0; i < in->tasks.count; i++) {
        const struct sdk_task *task = &in->tasks.list[i];
        if (!task->task_id || !task->task_id[0] || strlen(task->task_id) > 255 ||
            (task->agent_id && strlen(task->agent_id) > 255))
            return SDK_E_INVALID;
    }
    forget_tasks(s);
    s->is_reconciling = true;
    for (size_t i = 0; i < in->tasks.count; i++) {
        const struct sdk_task *task = &in->tasks.list[i];
        free(map_put(&s->unanswered, task->task_id, xstrdup(task->agent_id ? task->agent_id : "")));
    }
    queue_reconcile(s);
    queue_own_call(s, sdk_call_reconcile(out->arena, NULL, 0)); /* tasks that the framework does not know about */
    s->reconcile_delay_ms = SDK_RECONCILE_MS_MIN;
    s->reconcile_ms = in->now_ms + s->reconcile_delay_ms;
    check_settled(s, out);
    return 0;
}

/* -- the stream ------------------------------------------------------------------------------------------------- */

static void on_subscribed(struct sdk_session *s, const struct sdk_event *in, struct sdk_effects *out)
{
    const Mesos__V1__Scheduler__Event__Subscribed *subscribed = in->received->subscribed;
    if (s->state != SESSION_CONNECTING || !s->stream_id || !subscribed || !subscribed->framework_id ||
        !subscribed->framework_id->value[0]) {
        lose_connection(s, in->now_ms, true, "SUBSCRIBED event that is incomplete or out of place", out);
        return;
    }
    if (strcmp(s->framework_id, subscribed->framework_id->value) != 0) {
        free(s->framework_id);
        s->framework_id = xstrdup(subscribed->framework_id->value);
    }
    double interval = subscribed->has_heartbeat_interval_seconds ? subscribed->heartbeat_interval_seconds : 15.0;
    if (!(interval >= 0.1))
        interval = 0.1;
    if (interval > 3600)
        interval = 3600;
    s->heartbeat_interval_ms = (int64_t)(interval * 1000);
    s->state = SESSION_SUBSCRIBED;
    s->subscribed_ms = in->now_ms;
    s->redirects = 0;
    if (!s->wanted && !s->is_suppressed) { /* changed its mind while the request was out */
        queue_own_call(s, sdk_call_suppress(out->arena, NULL, 0));
        s->is_suppressed = true;
    }
    struct sdk_effect *effect = add_effect(s, out, SDK_EFFECT_SUBSCRIBED);
    effect->subscribed.framework_id = arena_strdup(out->arena, s->framework_id);
    effect->subscribed.master = subscribed->master_info;
}

static void pass_event(struct sdk_session *s, const struct sdk_event *in, struct sdk_effects *out)
{
    if (s->state != SESSION_SUBSCRIBED) {
        lose_connection(s, in->now_ms, true, "stream that does not start with SUBSCRIBED", out);
        return;
    }
    const Mesos__V1__Scheduler__Event *event = in->received;
    bool is_complete;
    switch (event->type) {
    case MESOS__V1__SCHEDULER__EVENT__TYPE__OFFERS:
        is_complete = event->offers;
        break;
    case MESOS__V1__SCHEDULER__EVENT__TYPE__INVERSE_OFFERS:
        is_complete = event->inverse_offers;
        break;
    case MESOS__V1__SCHEDULER__EVENT__TYPE__RESCIND:
        is_complete = event->rescind;
        break;
    case MESOS__V1__SCHEDULER__EVENT__TYPE__RESCIND_INVERSE_OFFER:
        is_complete = event->rescind_inverse_offer;
        break;
    case MESOS__V1__SCHEDULER__EVENT__TYPE__UPDATE:
        is_complete = event->update;
        break;
    case MESOS__V1__SCHEDULER__EVENT__TYPE__UPDATE_OPERATION_STATUS:
        is_complete = event->update_operation_status;
        break;
    case MESOS__V1__SCHEDULER__EVENT__TYPE__MESSAGE:
        is_complete = event->message;
        break;
    case MESOS__V1__SCHEDULER__EVENT__TYPE__FAILURE:
        is_complete = event->failure;
        break;
    default:
        is_complete = false; /* of a newer master: nothing we could do with it */
    }
    if (!is_complete)
        return;
    add_effect(s, out, SDK_EFFECT_EVENT)->event = event;
    if (event->type == MESOS__V1__SCHEDULER__EVENT__TYPE__UPDATE) {
        free(map_remove(&s->unanswered, event->update->status->task_id->value));
        check_settled(s, out);
    }
}

static void on_received(struct sdk_session *s, const struct sdk_event *in, struct sdk_effects *out)
{
    if (s->state != SESSION_SUBSCRIBED && s->state != SESSION_CONNECTING)
        return;
    const Mesos__V1__Scheduler__Event *event = in->received;
    switch (event->has_type ? event->type : MESOS__V1__SCHEDULER__EVENT__TYPE__UNKNOWN) {
    case MESOS__V1__SCHEDULER__EVENT__TYPE__SUBSCRIBED:
        on_subscribed(s, in, out);
        break;
    case MESOS__V1__SCHEDULER__EVENT__TYPE__HEARTBEAT:
    case MESOS__V1__SCHEDULER__EVENT__TYPE__UNKNOWN:
        break;
    case MESOS__V1__SCHEDULER__EVENT__TYPE__ERROR:
        stop(s, true, out, SDK_EFFECT_ERROR, event->error ? event->error->message : NULL);
        return;
    default:
        pass_event(s, in, out);
    }
    if (s->state == SESSION_SUBSCRIBED)
        s->heartbeat_ms = in->now_ms + SDK_HEARTBEATS_MISSED_MAX * s->heartbeat_interval_ms;
}

/* -- answers to calls ------------------------------------------------------------------------------------------- */

static void on_call_done(struct sdk_session *s, const struct sdk_event *in, struct sdk_effects *out)
{
    unsigned slot = in->call_done.slot;
    CHECK(slot < SDK_CALL_SLOTS);
    struct waiting_call *call = s->out[slot];
    if (s->state != SESSION_SUBSCRIBED || call == NULL)
        return;
    Mesos__V1__Scheduler__Call__Type type = call->type;
    int status = in->call_done.status;
    s->out[slot] = NULL;
    drop_call(s, call);
    if (status >= 200 && status < 300) {
        if (type == MESOS__V1__SCHEDULER__CALL__TYPE__TEARDOWN)
            stop(s, true, out, SDK_EFFECT_STOPPED, NULL);
        return;
    }
    if (status >= 400 && status < 500) {
        struct sdk_effect *effect = add_effect(s, out, SDK_EFFECT_CALL_REFUSED);
        effect->refused.call = type;
        effect->refused.status = status;
        effect->refused.text = copy_text(out, in->call_done.text, "no reason given");
        /* 403: the master does not count us as subscribed, whatever the stream looks like. */
        if (status == 403)
            lose_connection(s, in->now_ms, true, "calls are refused: not subscribed", out);
        return;
    }
    /* It may or may not have been done: only a new subscription with reconciliation tells. */
    const char *why = status ? arena_printf(out->arena, "a call was answered with status %d", status)
                             : arena_printf(out->arena, "a call got no answer: %.300s",
                                            in->call_done.text ? in->call_done.text : strerror(-in->call_done.error));
    lose_connection(s, in->now_ms, true, why, out);
}

static int on_call(struct sdk_session *s, const struct sdk_event *in)
{
    if (!in->call->has_type || !has_body(in->call))
        return SDK_E_INVALID;
    if (s->state != SESSION_SUBSCRIBED)
        return SDK_E_DISCONNECTED;
    return queue_call(s, in->call, false);
}

/* -- demand ----------------------------------------------------------------------------------------------------- */

static void on_unwant(struct sdk_session *s, struct sdk_effects *out)
{
    s->wanted = s->has_demand = false;
    if (s->state == SESSION_SUBSCRIBED && !s->is_suppressed) {
        queue_own_call(s, sdk_call_suppress(out->arena, NULL, 0));
        s->is_suppressed = true;
    }
}

static void revive_if_due(struct sdk_session *s, int64_t now_ms, struct sdk_effects *out)
{
    if (s->state != SESSION_SUBSCRIBED || !s->has_demand || now_ms < s->revive_ms)
        return;
    queue_own_call(s, sdk_call_revive(out->arena, NULL, 0));
    s->has_demand = s->is_suppressed = false;
    s->revive_ms = now_ms + s->revive_interval_ms;
}

/* -- time ------------------------------------------------------------------------------------------------------- */

static void run_due(struct sdk_session *s, int64_t now_ms, struct sdk_effects *out)
{
    if (s->state == SESSION_WAITING && now_ms >= s->retry_ms)
        connect_now(s, now_ms, out);
    if (s->state == SESSION_CONNECTING && now_ms >= s->answer_ms)
        lose_connection(s, now_ms, true, "no answer to the subscription in time", out);
    if (s->state != SESSION_SUBSCRIBED)
        return;
    if (now_ms >= s->heartbeat_ms) {
        lose_connection(s, now_ms, true, "no heartbeats", out);
        return;
    }
    if (now_ms >= s->reconcile_ms) {
        queue_reconcile(s);
        s->reconcile_delay_ms *= 2;
        if (s->reconcile_delay_ms > SDK_RECONCILE_MS_MAX)
            s->reconcile_delay_ms = SDK_RECONCILE_MS_MAX;
        s->reconcile_ms = now_ms + s->reconcile_delay_ms;
    }
    revive_if_due(s, now_ms, out);
    send_next(s, out);
}

int64_t sdk_session_next_deadline(const struct sdk_session *s)
{
    switch (s->state) {
    case SESSION_WAITING:
        return s->retry_ms;
    case SESSION_CONNECTING:
        return s->answer_ms;
    case SESSION_SUBSCRIBED: {
        int64_t first = s->heartbeat_ms < s->reconcile_ms ? s->heartbeat_ms : s->reconcile_ms;
        return s->has_demand && s->revive_ms < first ? s->revive_ms : first;
    }
    default:
        return INT64_MAX;
    }
}

int sdk_session_step(struct sdk_session *s, const struct sdk_event *in, struct sdk_effects *out)
{
    int result = 0;
    arena_reset(out->arena);
    out->count = 0;
    bool is_of_connection = in->type == SDK_EVENT_ANSWER || in->type == SDK_EVENT_RECEIVED ||
                            in->type == SDK_EVENT_CLOSED || in->type == SDK_EVENT_CALL_DONE;
    if (s->state == SESSION_STOPPED || (is_of_connection && in->connection != s->connection))
        return in->type == SDK_EVENT_CALL || in->type == SDK_EVENT_TASKS ? SDK_E_DISCONNECTED : 0;
    switch (in->type) {
    case SDK_EVENT_START:
        if (s->state == SESSION_IDLE)
            connect_now(s, in->now_ms, out);
        break;
    case SDK_EVENT_TICK:
        break;
    case SDK_EVENT_ANSWER:
        on_answer(s, in, out);
        break;
    case SDK_EVENT_RECEIVED:
        on_received(s, in, out);
        break;
    case SDK_EVENT_CLOSED:
        if (s->state == SESSION_CONNECTING || s->state == SESSION_SUBSCRIBED)
            lose_connection(s, in->now_ms, false,
                            in->closed.text ? in->closed.text
                                            : (in->closed.error ? strerror(-in->closed.error) : "the stream ended"),
                            out);
        break;
    case SDK_EVENT_CALL_DONE:
        on_call_done(s, in, out);
        break;
    case SDK_EVENT_CALL:
        result = on_call(s, in);
        break;
    case SDK_EVENT_TASKS:
        result = on_tasks(s, in, out);
        break;
    case SDK_EVENT_WANT:
        s->wanted = s->has_demand = true;
        break;
    case SDK_EVENT_UNWANT:
        on_unwant(s, out);
        break;
    case SDK_EVENT_STOP:
        stop(s, s->state == SESSION_CONNECTING || s->state == SESSION_SUBSCRIBED, out, SDK_EFFECT_STOPPED, NULL);
        break;
    }
    run_due(s, in->now_ms, out);
    return result;
}

/* -- life cycle ------------------------------------------------------------------------------------------------- */

/* Without MULTI_ROLE there is one role, "*" unless named (facts: mesos 1.5). */
static void copy_roles(struct sdk_session *s, const Mesos__V1__FrameworkInfo *framework)
{
    bool is_multi = false;
    for (size_t i = 0; i < framework->n_capabilities; i++)
        is_multi =
            is_multi || (framework->capabilities[i]->has_type &&
                         framework->capabilities[i]->type == MESOS__V1__FRAMEWORK_INFO__CAPABILITY__TYPE__MULTI_ROLE);
    s->role_count = is_multi ? framework->n_roles : 1;
    s->roles = xcalloc(s->role_count ? s->role_count : 1, sizeof(*s->roles));
    for (size_t i = 0; i < s->role_count; i++)
        s->roles[i] =
            xstrdup(is_multi ? framework->roles[i] : (framework->role && framework->role[0] ? framework->role : "*"));
}

static int check_config(const struct sdk_session_config *config, struct err *err)
{
    if (config->master_count == 0 || config->master_count > SDK_MASTERS_MAX)
        return err_set(err, -EINVAL, "between 1 and %d master addresses are needed, got %zu", SDK_MASTERS_MAX,
                       config->master_count);
    for (size_t i = 0; i < config->master_count; i++) {
        const char *colon = strrchr(config->masters[i], ':');
        if (!colon || colon == config->masters[i] || !colon[1] || strlen(config->masters[i]) > 270)
            return err_set(err, -EINVAL, "master address %.300s: must be host:port", config->masters[i]);
    }
    const Mesos__V1__FrameworkInfo *framework = config->framework;
    if (!framework || !framework->user || !framework->user[0] || !framework->name || !framework->name[0])
        return err_set(err, -EINVAL, "FrameworkInfo needs a user and a name");
    if (mesos__v1__framework_info__get_packed_size(framework) > WIRE_MESSAGE_BYTES_MAX / 4)
        return err_set(err, -EINVAL, "FrameworkInfo is too large");
    if (config->framework_id && strlen(config->framework_id) > 255)
        return err_set(err, -EINVAL, "framework id is longer than 255 bytes");
    return 0;
}

struct sdk_session *sdk_session_new(const struct sdk_session_config *config, struct err *err)
{
    if (check_config(config, err) < 0)
        return NULL;
    struct sdk_session *s = xcalloc(1, sizeof(*s));
    s->format = config->format;
    rng_seed(&s->rng, config->seed);
    s->master_count = config->master_count;
    for (size_t i = 0; i < config->master_count; i++)
        s->masters[i] = xstrdup(config->masters[i]);
    Mesos__V1__FrameworkInfo framework = *config->framework;
    framework.id = NULL;
    s->framework = wire_pack(&framework.base, &s->framework_len);
    s->framework_id = xstrdup(config->framework_id ? config->framework_id : "");
    copy_roles(s, config->framework);
    s->backoff_ms = SDK_BACKOFF_MS_MIN;
    s->reconcile_ms = INT64_MAX;
    list_init(&s->calls);
    list_init(&s->acknowledgements);
    map_init(&s->unanswered);
    s->calls_max = config->calls_max ? config->calls_max : 4096;
    s->call_bytes_max = config->call_bytes_max ? config->call_bytes_max : 64u << 20;
    s->wanted = config->offers_wanted;
    s->revive_interval_ms = config->revive_interval_ms > 0 ? config->revive_interval_ms : 1000;
    s->revive_ms = INT64_MIN;
    return s;
}

struct sdk_session *sdk_session_free(struct sdk_session *s)
{
    if (!s)
        return NULL;
    drop_calls(s);
    forget_tasks(s);
    map_deinit(&s->unanswered);
    for (size_t i = 0; i < s->master_count; i++)
        free(s->masters[i]);
    for (size_t i = 0; i < s->role_count; i++)
        free(s->roles[i]);
    free(s->roles);
    free(s->address);
    free(s->framework);
    free(s->framework_id);
    free(s->stream_id);
    free(s);
    return NULL;
}

bool sdk_session_is_subscribed(const struct sdk_session *s)
{
    return s->state == SESSION_SUBSCRIBED;
}

bool sdk_session_is_settled(const struct sdk_session *s)
{
    return s->is_settled;
}

bool sdk_session_is_stopped(const struct sdk_session *s)
{
    return s->state == SESSION_STOPPED;
}

const char *sdk_session_framework_id(const struct sdk_session *s)
{
    return s->framework_id;
}

size_t sdk_session_calls_waiting(const struct sdk_session *s)
{
    return s->call_count;
}
