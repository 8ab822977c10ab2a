/* SPDX-License-Identifier: Apache-2.0
 * agent_stream.c - see agent_stream.h. */
#include "executor/agent_stream.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"
#include "common/http/recordio.h"
#include "common/wire/codec.h"

/* One subscription. It outlives agent_stream_close by a callback when it is closed inside one of its own. */
struct subscription {
    struct agent_stream *owner; /* NULL: closed, waits for done */
    uint64_t connection;
    struct http_call *call;
    struct recordio_reader reader;
    bool is_in_callback;
};

struct agent_stream {
    struct http_client *http;
    char *ip, *socket, *authorization;
    uint16_t port;
    agent_stream_fn fn;
    void *ctx;
    struct subscription *subscription; /* NULL: none */
    struct http_call *call;            /* the one call that is out, NULL: none */
    uint64_t call_connection;
    struct arena *arena; /* of the event that is being handled */
};

static void give(struct agent_stream *s, uint64_t connection, struct executor_event *event)
{
    event->connection = connection;
    s->fn(s->ctx, event);
}

static void subscription_free(struct subscription *sub)
{
    recordio_reader_deinit(&sub->reader);
    free(sub);
}

static bool on_headers(void *ctx, const struct http_message *response)
{
    struct subscription *sub = ctx;
    struct executor_event event = {.type = EXECUTOR_EVENT_STREAM_ANSWER, .answer = {.status = response->status}};
    sub->is_in_callback = true;
    give(sub->owner, sub->connection, &event);
    sub->is_in_callback = false;
    return sub->owner != NULL;
}

static int on_record(void *ctx, const void *data, size_t len)
{
    struct subscription *sub = ctx;
    struct agent_stream *s = sub->owner;
    struct executor_event event = {.type = EXECUTOR_EVENT_STREAM_RECEIVED};
    struct err err = {0};
    arena_reset(s->arena);
    event.received =
        (const Mesos__V1__Executor__Event *)wire_unpack(&mesos__v1__executor__event__descriptor, data, len, s->arena, &err);
    if (!event.received)
        return -EPROTO;
    give(s, sub->connection, &event);
    return sub->owner ? 0 : 1;
}

static bool on_data(void *ctx, const void *data, size_t len)
{
    struct subscription *sub = ctx;
    sub->is_in_callback = true;
    int result = recordio_feed(&sub->reader, data, len, on_record, sub);
    sub->is_in_callback = false;
    return result == 0 && sub->owner; /* a broken stream ends here, and done tells */
}

static void on_stream_done(void *ctx, const struct http_message *response, int error, const char *text)
{
    struct subscription *sub = ctx;
    struct agent_stream *s = sub->owner;
    (void)response;
    if (s) {
        struct executor_event event = {.type = EXECUTOR_EVENT_STREAM_CLOSED, .done = {.text = text}};
        if (!text && error)
            event.done.text = strerror(-error);
        uint64_t connection = sub->connection;
        s->subscription = NULL;
        subscription_free(sub);
        give(s, connection, &event);
        return;
    }
    subscription_free(sub);
}

static void on_call_done(void *ctx, const struct http_message *response, int error, const char *text)
{
    struct agent_stream *s = ctx;
    char body[256] = "";
    struct executor_event event = {.type = EXECUTOR_EVENT_CALL_DONE};
    s->call = NULL;
    if (response) {
        event.done.status = response->status;
        (void)snprintf(body, sizeof(body), "%.*s", (int)(response->body_len < 200 ? response->body_len : 200),
                       response->body ? (const char *)response->body : ""); /* long texts are cut */
        event.done.text = body;
    } else {
        event.done.text = text ? text : strerror(-error);
    }
    give(s, s->call_connection, &event);
}

static struct http_call *post(struct agent_stream *s, const void *body, size_t len, const struct http_callbacks *callbacks,
                              void *ctx)
{
    struct http_header headers[2] = {{"Accept", wire_media_type(WIRE_PROTOBUF)}, {"Authorization", s->authorization}};
    struct http_request request = {.ip = s->ip,
                                   .port = s->port,
                                   .unix_path = s->socket,
                                   .method = "POST",
                                   .target = "/api/v1/executor",
                                   .headers = headers,
                                   .header_count = s->authorization ? 2 : 1,
                                   .content_type = wire_media_type(WIRE_PROTOBUF),
                                   .body = body,
                                   .body_len = len};
    return http_call_start(s->http, &request, callbacks, ctx);
}

void agent_stream_connect(struct agent_stream *s, uint64_t connection, const void *body, size_t len)
{
    static const struct http_callbacks callbacks = {.done = on_stream_done, .headers_done = on_headers, .data = on_data};
    CHECK(!s->subscription);
    struct subscription *sub = xcalloc(1, sizeof(*sub));
    sub->owner = s;
    sub->connection = connection;
    recordio_reader_init(&sub->reader, 0);
    s->subscription = sub;
    sub->call = post(s, body, len, &callbacks, sub);
}

void agent_stream_send(struct agent_stream *s, uint64_t connection, const void *body, size_t len)
{
    static const struct http_callbacks callbacks = {.done = on_call_done};
    CHECK(!s->call);
    s->call_connection = connection;
    s->call = post(s, body, len, &callbacks, s);
}

void agent_stream_close(struct agent_stream *s)
{
    struct subscription *sub = s->subscription;
    s->subscription = NULL;
    if (s->call) {
        http_call_cancel(s->call);
        s->call = NULL;
    }
    if (!sub)
        return;
    sub->owner = NULL;
    if (!sub->is_in_callback) {
        http_call_cancel(sub->call);
        subscription_free(sub);
    }
}

struct agent_stream *agent_stream_new(struct http_client *http, const struct executor_shell_config *config,
                                      agent_stream_fn fn, void *ctx)
{
    struct agent_stream *s = xcalloc(1, sizeof(*s));
    s->http = http;
    s->ip = config->agent_ip ? xstrdup(config->agent_ip) : NULL;
    s->socket = config->agent_socket ? xstrdup(config->agent_socket) : NULL;
    s->port = config->agent_port;
    if (config->token) {
        size_t size = strlen(config->token) + sizeof("Bearer ");
        s->authorization = xmalloc(size);
        (void)snprintf(s->authorization, size, "Bearer %s", config->token); /* fits */
    }
    s->fn = fn;
    s->ctx = ctx;
    s->arena = arena_new(0);
    return s;
}

struct agent_stream *agent_stream_free(struct agent_stream *s)
{
    if (!s)
        return NULL;
    agent_stream_close(s);
    arena_free(s->arena);
    free(s->ip);
    free(s->socket);
    free(s->authorization);
    free(s);
    return NULL;
}
