/* SPDX-License-Identifier: Apache-2.0
 * api_scheduler.c - POST /api/v1/scheduler (facts: mesos 1.1, 1.2): what can be refused before the core knows of it, the
 * streams, and their ids. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"
#include "master/shell.h"

static struct master_shell_stream *find_stream(struct master_shell *s, stream_id id)
{
    struct master_shell_stream *t = NULL;
    HASH_FIND(hh, s->streams, &id, sizeof(id), t);
    return t;
}

static void forget_stream(struct master_shell *s, struct master_shell_stream *t)
{
    HASH_DELETE(hh, s->streams, t);
    HASH_DELETE(hh_text, s->streams_by_text, t);
    free(t);
}

static void on_stream_closed(void *ctx, struct http_exchange *x)
{
    struct master_shell_stream *t = ctx;
    struct master_shell *s = t->shell;
    struct master_event in = {.type = MASTER_EVENT_STREAM_CLOSED, .stream_closed = {.stream = t->id}};
    (void)x;
    forget_stream(s, t);
    master_shell_step(s, &in);
}

static void subscribe(struct master_shell *s, struct http_exchange *x, const struct http_message *request,
                      const Mesos__V1__Scheduler__Call *call)
{
    enum wire_format format;
    if (!master_shell_accept(x, request, &format))
        return;
    if (http_header(request, "Mesos-Stream-Id") != NULL) {
        http_reply_text(x, 400, "Subscribe calls should not include the 'Mesos-Stream-Id' header");
        return;
    }
    struct master_shell_stream *t = xcalloc(1, sizeof(*t));
    t->id = ++s->next_id;
    t->shell = s;
    t->exchange = x;
    t->format = format;
    master_shell_draw_uuid(t->text);
    HASH_ADD(hh, s->streams, id, sizeof(t->id), t);
    HASH_ADD_KEYPTR(hh_text, s->streams_by_text, t->text, strlen(t->text), t);
    http_add_header(x, "Mesos-Stream-Id", t->text);
    http_stream_begin(x, 200, wire_media_type(format), MASTER_STREAM_BYTES_MAX);
    http_exchange_on_closed(x, on_stream_closed, t);
    struct master_event in = {.type = MASTER_EVENT_SUBSCRIBE,
                              .subscribe = {.stream = t->id, .principal = auth_subject_of(x)->principal, .call = call}};
    master_shell_step(s, &in);
}

void master_shell_on_scheduler(struct master_shell *s, struct http_exchange *x, const struct http_message *request)
{
    const Mesos__V1__Scheduler__Call *call =
        (const void *)master_shell_read_call(s, x, request, &mesos__v1__scheduler__call__descriptor);
    if (call == NULL)
        return;
    struct err err;
    int status = master_call_check(call, auth_subject_of(x)->principal, &err);
    if (status != 0) {
        http_reply_text(x, status, "Failed to validate scheduler::Call: %s", err.text);
        return;
    }
    if (call->type == MESOS__V1__SCHEDULER__CALL__TYPE__SUBSCRIBE) {
        subscribe(s, x, request, call);
        return;
    }
    enum wire_format format;
    if (call->type == MESOS__V1__SCHEDULER__CALL__TYPE__RECONCILE_OPERATIONS && !master_shell_accept(x, request, &format))
        return;
    const char *text = http_header(request, "Mesos-Stream-Id");
    struct master_shell_stream *t = NULL;
    if (text != NULL)
        HASH_FIND(hh_text, s->streams_by_text, text, strlen(text), t);
    struct master_event in = {.type = MASTER_EVENT_CALL,
                              .call = {.request = ++s->next_id,
                                       .stream = t != NULL ? t->id : 0,
                                       .has_stream_header = text != NULL,
                                       .principal = auth_subject_of(x)->principal,
                                       .call = call}};
    master_shell_step_request(s, &in, in.call.request, x);
}

void master_shell_stream_send(struct master_shell *s, stream_id id, const Mesos__V1__Scheduler__Event *event)
{
    struct master_shell_stream *t = find_stream(s, id);
    if (t == NULL || t->is_broken)
        return; /* it closed in this turn, the core will hear of it */
    if (!master_shell_write_record(s, t->exchange, t->format, &event->base)) {
        t->is_broken = true; /* the reader must not go on as if it had seen everything */
        return;
    }
    if (!t->under_pressure && !loop_timer_is_active(s->pressure) &&
        http_stream_pending(t->exchange) > MASTER_STREAM_PRESSURE_BYTES)
        loop_timer_start(s->pressure, 0); /* a step may be under way: the core hears of it in the next turn */
}

void master_shell_stream_close(struct master_shell *s, stream_id id)
{
    struct master_shell_stream *t = find_stream(s, id);
    if (t == NULL)
        return;
    struct http_exchange *x = t->exchange;
    forget_stream(s, t);
    http_exchange_on_closed(x, NULL, NULL);
    http_stream_end(x);
}

void master_shell_streams_end_broken(struct master_shell *s)
{
    for (struct master_shell_stream *t = s->streams, *next; t != NULL; t = next) {
        next = t->hh.next;
        if (!t->is_broken)
            continue;
        http_exchange_abort(t->exchange);
        on_stream_closed(t, NULL);
    }
}

void master_shell_streams_free(struct master_shell *s)
{
    struct master_shell_stream *t, *next;
    HASH_ITER(hh, s->streams, t, next)
    {
        http_exchange_on_closed(t->exchange, NULL, NULL);
        forget_stream(s, t);
    }
}
