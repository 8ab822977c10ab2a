/* SPDX-License-Identifier: Apache-2.0
 * api_operator.c - POST /api/v1 (facts: mesos 3): questions answered from the core's state, the event stream, and the
 * changes that go to the core. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"
#include "common/base/log.h"
#include "common/http/recordio.h"
#include "common/wire/mesos_version.h"
#include "master/answer.h"
#include "master/maintenance.h"
#include "master/shell.h"
#include "master/snapshot.h"

#define ANSWER_BYTES_MAX ((size_t)1 << 31)
#define SNAPSHOT_BYTES_MAX ((size_t)1 << 32)

/* -- answers ---------------------------------------------------------------------------------------------------- */

static void reply_buf(struct http_exchange *x, enum wire_format format, struct buf *body, int result)
{
    if (result < 0)
        http_reply_text(x, 500, "The answer is too large");
    else
        http_reply(x, 200, wire_media_type(format), buf_data(body), buf_len(body));
    buf_deinit(body);
}

static void reply_message(struct http_exchange *x, enum wire_format format, const ProtobufCMessage *message)
{
    struct buf body;
    buf_init(&body, ANSWER_BYTES_MAX);
    reply_buf(x, format, &body, wire_encode(format, message, &body));
}

struct question {
    struct master_shell *s;
    const struct master_view *view;
    struct arena *arena; /* of this answer alone */
    const Mesos__V1__Master__Call *call;
    Mesos__V1__Master__Response *response;
};

#define NEW(q, Type, var, kind)                                                                                            \
    Type *var = arena_new_one((q)->arena, Type);                                                                           \
    kind##__init(var)

static void get_health(struct question *q)
{
    NEW(q, Mesos__V1__Master__Response__GetHealth, body, mesos__v1__master__response__get_health);
    body->healthy = true;
    q->response->get_health = body;
}

static void add_flag(void *ctx, const char *name, const char *value)
{
    struct question *q = ctx;
    Mesos__V1__Master__Response__GetFlags *body = q->response->get_flags;
    NEW(q, Mesos__V1__Flag, flag, mesos__v1__flag);
    flag->name = arena_strdup(q->arena, name);
    flag->value = arena_strdup(q->arena, value);
    body->flags[body->n_flags++] = flag;
}

static void get_flags(struct question *q)
{
    NEW(q, Mesos__V1__Master__Response__GetFlags, body, mesos__v1__master__response__get_flags);
    body->flags = arena_new_array(q->arena, Mesos__V1__Flag *, master_option_count);
    q->response->get_flags = body;
    options_each(master_option_defs, master_option_count, q->s->options, add_flag, q);
}

static void get_version(struct question *q)
{
    NEW(q, Mesos__V1__VersionInfo, info, mesos__v1__version_info);
    NEW(q, Mesos__V1__Master__Response__GetVersion, body, mesos__v1__master__response__get_version);
    info->version = (char *)q->s->core->config.version;
    info->build_date = (char *)MESOS_BUILD_DATE;
    info->build_user = (char *)MESOS_BUILD_USER;
    info->has_build_time = true;
    info->build_time = MESOS_BUILD_TIME;
    info->git_tag = (char *)"muster-" MUSTER_VERSION;
    body->version_info = info;
    q->response->get_version = body;
}

struct metric_walk {
    struct question *q;
    size_t capacity;
};

static void add_metric(void *ctx, const char *name, double value)
{
    struct metric_walk *walk = ctx;
    Mesos__V1__Master__Response__GetMetrics *body = walk->q->response->get_metrics;
    if (body->n_metrics == walk->capacity) {
        Mesos__V1__Metric **old = body->metrics;
        walk->capacity = walk->capacity ? walk->capacity * 2 : 256;
        body->metrics = arena_new_array(walk->q->arena, Mesos__V1__Metric *, walk->capacity);
        if (body->n_metrics > 0)
            memcpy(body->metrics, old, body->n_metrics * sizeof(*old));
    }
    NEW(walk->q, Mesos__V1__Metric, metric, mesos__v1__metric);
    metric->name = arena_strdup(walk->q->arena, name);
    metric->has_value = true;
    metric->value = value;
    body->metrics[body->n_metrics++] = metric;
}

static void get_metrics(struct question *q)
{
    NEW(q, Mesos__V1__Master__Response__GetMetrics, body, mesos__v1__master__response__get_metrics);
    q->response->get_metrics = body;
    struct metric_walk walk = {.q = q};
    metrics_each(q->s->metrics, add_metric, &walk);
}

static void get_logging_level(struct question *q)
{
    NEW(q, Mesos__V1__Master__Response__GetLoggingLevel, body, mesos__v1__master__response__get_logging_level);
    body->level = logging_toggle_level(q->s->logging);
    q->response->get_logging_level = body;
}

static void get_agents(struct question *q)
{
    q->response->get_agents = master_view_agents(q->view, q->arena);
}

static void get_frameworks(struct question *q)
{
    q->response->get_frameworks = master_snapshot_frameworks(q->view, q->arena);
}

static void get_executors(struct question *q)
{
    q->response->get_executors = master_snapshot_executors(q->view, q->arena);
}

static void get_operations(struct question *q)
{
    q->response->get_operations = master_view_operations(q->view, q->arena);
}

static void get_roles(struct question *q)
{
    q->response->get_roles = master_snapshot_roles(q->view, q->arena);
}

static void get_weights(struct question *q)
{
    q->response->get_weights = master_view_weights(q->view, q->arena);
}

static void get_quota(struct question *q)
{
    NEW(q, Mesos__V1__Master__Response__GetQuota, body, mesos__v1__master__response__get_quota);
    body->status = master_view_quota(q->view, q->arena);
    q->response->get_quota = body;
}

static void get_maintenance_schedule(struct question *q)
{
    NEW(q, Mesos__V1__Master__Response__GetMaintenanceSchedule, body,
        mesos__v1__master__response__get_maintenance_schedule);
    body->schedule = (Mesos__V1__Maintenance__Schedule *)master_maintenance_schedule(q->s->core, q->arena);
    q->response->get_maintenance_schedule = body;
}

static void get_maintenance_status(struct question *q)
{
    NEW(q, Mesos__V1__Master__Response__GetMaintenanceStatus, body, mesos__v1__master__response__get_maintenance_status);
    body->status = master_maintenance_status(q->s->core, q->arena);
    q->response->get_maintenance_status = body;
}

static void get_master(struct question *q)
{
    NEW(q, Mesos__V1__Master__Response__GetMaster, body, mesos__v1__master__response__get_master);
    body->master_info = q->s->core->info;
    body->has_start_time = body->has_elected_time = true;
    body->start_time = body->elected_time = (double)q->s->started_wall_ms / 1000;
    q->response->get_master = body;
}

/* Questions and the Response each fills. */
static const struct {
    Mesos__V1__Master__Call__Type call;
    Mesos__V1__Master__Response__Type response;
    void (*fill)(struct question *q);
} questions[] = {
    {MESOS__V1__MASTER__CALL__TYPE__GET_HEALTH, MESOS__V1__MASTER__RESPONSE__TYPE__GET_HEALTH, get_health},
    {MESOS__V1__MASTER__CALL__TYPE__GET_FLAGS, MESOS__V1__MASTER__RESPONSE__TYPE__GET_FLAGS, get_flags},
    {MESOS__V1__MASTER__CALL__TYPE__GET_VERSION, MESOS__V1__MASTER__RESPONSE__TYPE__GET_VERSION, get_version},
    {MESOS__V1__MASTER__CALL__TYPE__GET_METRICS, MESOS__V1__MASTER__RESPONSE__TYPE__GET_METRICS, get_metrics},
    {MESOS__V1__MASTER__CALL__TYPE__GET_LOGGING_LEVEL, MESOS__V1__MASTER__RESPONSE__TYPE__GET_LOGGING_LEVEL,
     get_logging_level},
    {MESOS__V1__MASTER__CALL__TYPE__GET_AGENTS, MESOS__V1__MASTER__RESPONSE__TYPE__GET_AGENTS, get_agents},
    {MESOS__V1__MASTER__CALL__TYPE__GET_FRAMEWORKS, MESOS__V1__MASTER__RESPONSE__TYPE__GET_FRAMEWORKS, get_frameworks},
    {MESOS__V1__MASTER__CALL__TYPE__GET_EXECUTORS, MESOS__V1__MASTER__RESPONSE__TYPE__GET_EXECUTORS, get_executors},
    {MESOS__V1__MASTER__CALL__TYPE__GET_OPERATIONS, MESOS__V1__MASTER__RESPONSE__TYPE__GET_OPERATIONS, get_operations},
    {MESOS__V1__MASTER__CALL__TYPE__GET_ROLES, MESOS__V1__MASTER__RESPONSE__TYPE__GET_ROLES, get_roles},
    {MESOS__V1__MASTER__CALL__TYPE__GET_WEIGHTS, MESOS__V1__MASTER__RESPONSE__TYPE__GET_WEIGHTS, get_weights},
    {MESOS__V1__MASTER__CALL__TYPE__GET_QUOTA, MESOS__V1__MASTER__RESPONSE__TYPE__GET_QUOTA, get_quota},
    {MESOS__V1__MASTER__CALL__TYPE__GET_MAINTENANCE_SCHEDULE, MESOS__V1__MASTER__RESPONSE__TYPE__GET_MAINTENANCE_SCHEDULE,
     get_maintenance_schedule},
    {MESOS__V1__MASTER__CALL__TYPE__GET_MAINTENANCE_STATUS, MESOS__V1__MASTER__RESPONSE__TYPE__GET_MAINTENANCE_STATUS,
     get_maintenance_status},
    {MESOS__V1__MASTER__CALL__TYPE__GET_MASTER, MESOS__V1__MASTER__RESPONSE__TYPE__GET_MASTER, get_master},
};

static bool answer_question(struct master_shell *s, const struct master_view *view, struct http_exchange *x,
                            enum wire_format format, const Mesos__V1__Master__Call *call)
{
    for (size_t i = 0; i < sizeof(questions) / sizeof(questions[0]); i++) {
        if (questions[i].call != call->type)
            continue;
        Mesos__V1__Master__Response response = MESOS__V1__MASTER__RESPONSE__INIT;
        struct question q = {
            .s = s, .view = view, .arena = arena_new(SNAPSHOT_BYTES_MAX), .call = call, .response = &response};
        response.has_type = true;
        response.type = questions[i].response;
        questions[i].fill(&q);
        reply_message(x, format, &response.base);
        arena_free(q.arena);
        return true;
    }
    return false;
}

/* -- large answers ---------------------------------------------------------------------------------------------- */

struct large {
    struct master_shell *s;
    enum wire_format format;
    char *principal; /* NULL: nobody in particular */
    int (*fill)(const struct master_view *v, enum wire_format format, struct arena *arena, struct master_picture *p);
};

static int fill_large(void *ctx, struct master_picture *p)
{
    struct large *l = ctx;
    struct master_view view = master_view(l->s->core, l->principal);
    struct arena *arena = arena_new(SNAPSHOT_BYTES_MAX);
    int r = l->fill(&view, l->format, arena, p);
    arena_free(arena);
    return r;
}

static void free_large(void *ctx)
{
    struct large *l = ctx;
    free(l->principal);
    free(l);
}

static void answer_large(struct master_shell *s, struct http_exchange *x, enum wire_format format, const char *name,
                         int (*fill)(const struct master_view *v, enum wire_format format, struct arena *arena,
                                     struct master_picture *p))
{
    struct large *l = xcalloc(1, sizeof(*l));
    const char *principal = auth_subject_of(x)->principal;
    *l = (struct large){.s = s, .format = format, .fill = fill, .principal = principal != NULL ? xstrdup(principal) : NULL};
    const struct master_read read = {.name = name,
                                     .media_type = wire_media_type(format),
                                     .principal = principal,
                                     .is_small = master_is_small(s->core),
                                     .fill = fill_large,
                                     .release = free_large,
                                     .ctx = l};
    master_reads_answer(s->reads, x, &read);
}

static void set_logging_level(struct master_shell *s, struct http_exchange *x,
                              const Mesos__V1__Master__Call__SetLoggingLevel *call)
{
    struct err err;
    if (logging_toggle_set(s->logging, call->level, call->duration->nanoseconds, &err) < 0)
        http_reply_text(x, 400, "%s", err.text);
    else
        http_reply(x, 200, NULL, NULL, 0);
}

/* -- event stream ----------------------------------------------------------------------------------------------- */

static void tell_count(struct master_shell *s)
{
    struct master_event in = {.type = MASTER_EVENT_OBSERVERS, .observers = {.count = s->observer_count}};
    master_shell_step(s, &in);
}

static void forget_observer(struct master_shell_observer *o)
{
    o->shell->observer_count--;
    list_remove(&o->node);
    free(o->principal);
    free(o);
}

static void on_observer_closed(void *ctx, struct http_exchange *x)
{
    struct master_shell_observer *o = ctx;
    struct master_shell *s = o->shell;
    (void)x;
    forget_observer(o);
    tell_count(s);
}

static void close_oldest(struct master_shell *s)
{
    struct master_shell_observer *o = container_of(s->observers.next, struct master_shell_observer, node);
    struct http_exchange *x = o->exchange;
    http_exchange_on_closed(x, NULL, NULL);
    forget_observer(o);
    http_stream_end(x);
}

static void subscribe(struct master_shell *s, const struct master_view *view, struct http_exchange *x,
                      enum wire_format format)
{
    struct buf message, record;
    struct arena *arena = arena_new(SNAPSHOT_BYTES_MAX);
    buf_init(&message, ANSWER_BYTES_MAX);
    buf_init(&record, ANSWER_BYTES_MAX + 32);
    int r = master_answer_subscribed(view, format, arena, &message);
    arena_free(arena);
    if (r == 0)
        r = recordio_append(&record, buf_data(&message), buf_len(&message));
    buf_deinit(&message);
    if (r < 0) {
        http_reply_text(x, 500, "The state is too large");
        buf_deinit(&record);
        return;
    }
    if (s->observer_count >= (size_t)s->options->max_operator_event_stream_subscribers)
        close_oldest(s);
    struct master_shell_observer *o = xcalloc(1, sizeof(*o));
    o->shell = s;
    o->exchange = x;
    o->format = format;
    const char *principal = auth_subject_of(x)->principal;
    o->principal = principal != NULL ? xstrdup(principal) : NULL;
    o->view = master_view(s->core, o->principal);
    list_push_back(&s->observers, &o->node);
    s->observer_count++;
    http_stream_begin(x, 200, wire_media_type(format), buf_len(&record) + MASTER_STREAM_BYTES_MAX);
    http_exchange_on_closed(x, on_observer_closed, o);
    (void)http_stream_write(x, buf_data(&record), buf_len(&record)); /* a cut-off stream is told by closed */
    buf_deinit(&record);
    Mesos__V1__Master__Event heartbeat = MESOS__V1__MASTER__EVENT__INIT;
    heartbeat.has_type = true;
    heartbeat.type = MESOS__V1__MASTER__EVENT__TYPE__HEARTBEAT;
    (void)master_shell_write_record(s, x, format, &heartbeat.base); /* it is small */
    if (!loop_timer_is_active(s->heartbeat))
        loop_timer_start(s->heartbeat, MASTER_HEARTBEAT_MS);
    tell_count(s);
}

void master_shell_observers_send(struct master_shell *s, const struct master_effect *e)
{
    list_for_each(it, &s->observers)
    {
        struct master_shell_observer *o = container_of(it, struct master_shell_observer, node);
        if (o->is_broken || !master_sees_event(&o->view, e))
            continue;
        if (!master_shell_write_record(s, o->exchange, o->format, &e->operator_event->base))
            o->is_broken = true; /* the reader must not go on as if it had seen everything */
    }
}

void master_shell_observers_end_broken(struct master_shell *s)
{
    list_for_each(it, &s->observers)
    {
        struct master_shell_observer *o = container_of(it, struct master_shell_observer, node);
        if (!o->is_broken)
            continue;
        http_exchange_abort(o->exchange);
        on_observer_closed(o, NULL);
    }
}

void master_shell_observers_free(struct master_shell *s)
{
    list_for_each(it, &s->observers)
    {
        struct master_shell_observer *o = container_of(it, struct master_shell_observer, node);
        http_exchange_on_closed(o->exchange, NULL, NULL);
        forget_observer(o);
    }
}

/* -- dispatch --------------------------------------------------------------------------------------------------- */

void master_shell_on_operator(struct master_shell *s, struct http_exchange *x, const struct http_message *request)
{
    struct err err;
    enum wire_format format;
    const Mesos__V1__Master__Call *call =
        (const void *)master_shell_read_call(s, x, request, &mesos__v1__master__call__descriptor);
    if (call == NULL)
        return;
    int status = master_operator_call_check(call, &err);
    if (status != 0) {
        http_reply_text(x, status, "Failed to validate master::Call: %s", err.text);
        return;
    }
    if (!master_shell_accept(x, request, &format))
        return;
    const char *principal = auth_subject_of(x)->principal;
    struct master_view view = master_view(s->core, principal);
    if (!master_may_operate(s->core, principal, call)) {
        http_reply_text(x, 403, "403 Forbidden");
    } else if (call->type == MESOS__V1__MASTER__CALL__TYPE__GET_TASKS) {
        answer_large(s, x, format, "GET_TASKS", master_answer_tasks);
    } else if (call->type == MESOS__V1__MASTER__CALL__TYPE__GET_STATE) {
        answer_large(s, x, format, "GET_STATE", master_answer_state);
    } else if (call->type == MESOS__V1__MASTER__CALL__TYPE__SUBSCRIBE) {
        subscribe(s, &view, x, format);
    } else if (call->type == MESOS__V1__MASTER__CALL__TYPE__SET_LOGGING_LEVEL) {
        set_logging_level(s, x, call->set_logging_level);
    } else if (call->type == MESOS__V1__MASTER__CALL__TYPE__LIST_FILES ||
               call->type == MESOS__V1__MASTER__CALL__TYPE__READ_FILE) {
        http_reply_text(x, 404, "The master has no such file"); /* its log goes to its standard error */
    } else if (!answer_question(s, &view, x, format, call)) {
        struct master_event in = {.type = MASTER_EVENT_OPERATOR_CALL,
                                  .operator_call = {.request = ++s->next_id, .principal = principal, .call = call}};
        master_shell_step_request(s, &in, in.operator_call.request, x);
    }
}
