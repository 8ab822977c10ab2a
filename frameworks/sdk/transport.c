/* SPDX-License-Identifier: Apache-2.0
 * transport.c - see transport.h. */
#include "frameworks/sdk/transport.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/base/buf.h"
#include "common/base/check.h"
#include "common/base/resolve.h"
#include "common/base/text.h"
#include "common/http/client.h"
#include "common/http/recordio.h"

#define ERROR_TEXT_MAX 1024

/* One subscription. It outlives sdk_transport_close by a callback when it is closed inside one of its own. */
struct stream {
    struct sdk_transport *owner; /* NULL: closed, waits for done */
    uint64_t connection;
    struct http_call *call;
    struct recordio_reader reader;
    enum wire_format format;
    bool is_in_callback;
    int status; /* not 200: the answer is given when its text is complete */
    char *location;
    struct buf text;
};

struct slot { /* one call on its way */
    struct sdk_transport *owner;
    struct http_call *call; /* NULL: free */
    uint64_t connection;
};

struct known_host { /* a name of the master list */
    char *host;
    char ip[RESOLVE_IP_SIZE];
};

struct sdk_transport {
    struct loop *loop;
    struct http_client *http;
    enum wire_format format;
    char *authorization;
    struct known_host hosts[SDK_MASTERS_MAX];
    size_t host_count;
    sdk_transport_fn fn;
    void *ctx;
    struct stream *stream;
    struct slot slots[SDK_CALL_SLOTS];
    struct arena *arena;            /* of the event that is being handled */
    struct loop_timer *unreachable; /* tells of an address that cannot be used, in a later turn */
    uint64_t unreachable_connection;
    char unreachable_text[ERROR_TEXT_MAX];
};

static void give(struct sdk_transport *t, uint64_t connection, struct sdk_event *event)
{
    event->connection = connection;
    t->fn(t->ctx, event);
}

/* -- addresses -------------------------------------------------------------------------------------------------- */

/* Splits "host:port" and "[v6]:port". */
static int split_address(const char *address, char host[256], uint16_t *port)
{
    const char *colon = strrchr(address, ':');
    int64_t number;
    if (!colon || text_to_int64(colon + 1, &number) < 0 || number < 1 || number > UINT16_MAX)
        return -EINVAL;
    size_t len = (size_t)(colon - address);
    bool has_brackets = len > 2 && address[0] == '[' && address[len - 1] == ']';
    if (has_brackets) {
        address++;
        len -= 2;
    }
    if (len == 0 || len >= 256)
        return -EINVAL;
    memcpy(host, address, len);
    host[len] = '\0';
    *port = (uint16_t)number;
    return 0;
}

static bool is_numeric(const char *host)
{
    unsigned char binary[16];
    return inet_pton(AF_INET, host, binary) == 1 || inet_pton(AF_INET6, host, binary) == 1;
}

static int learn_hosts(struct sdk_transport *t, const char *const *masters, size_t count, struct err *err)
{
    for (size_t i = 0; i < count && i < SDK_MASTERS_MAX; i++) {
        char host[256], ip[RESOLVE_IP_SIZE];
        uint16_t port;
        if (split_address(masters[i], host, &port) < 0)
            return err_set(err, -EINVAL, "master address %.200s: must be host:port", masters[i]);
        if (is_numeric(host))
            continue;
        struct err inner;
        int result = resolve_host(host, ip, &inner);
        if (result < 0)
            return err_set(err, result, "master %s", inner.text);
        struct known_host *known = &t->hosts[t->host_count++];
        known->host = xstrdup(host);
        memcpy(known->ip, ip, sizeof(known->ip));
    }
    return 0;
}

/* NULL: not an address we may use without asking a name server, which would block. */
static const char *find_ip(struct sdk_transport *t, const char *address, char host[256], uint16_t *port)
{
    if (split_address(address, host, port) < 0)
        return NULL;
    if (is_numeric(host))
        return host;
    for (size_t i = 0; i < t->host_count; i++)
        if (strcasecmp(t->hosts[i].host, host) == 0)
            return t->hosts[i].ip;
    return strcasecmp(host, "localhost") == 0 ? "127.0.0.1" : NULL;
}

/* -- the stream ------------------------------------------------------------------------------------------------- */

static void stream_free(struct stream *stream)
{
    recordio_reader_deinit(&stream->reader);
    buf_deinit(&stream->text);
    free(stream->location);
    free(stream);
}

static bool on_headers(void *ctx, const struct http_message *response)
{
    struct stream *stream = ctx;
    const char *type = http_header(response, "Content-Type"), *location = http_header(response, "Location");
    if (response->status != 200) {
        stream->status = response->status;
        stream->location = location ? xstrdup(location) : NULL;
        return true; /* the body says why */
    }
    if (type && strncmp(type, wire_media_type(WIRE_JSON), strlen(wire_media_type(WIRE_JSON))) == 0)
        stream->format = WIRE_JSON;
    struct sdk_event event = {.type = SDK_EVENT_ANSWER,
                              .answer = {.status = 200, .stream_id = http_header(response, "Mesos-Stream-Id")}};
    stream->is_in_callback = true;
    give(stream->owner, stream->connection, &event);
    stream->is_in_callback = false;
    return stream->owner != NULL;
}

static int on_record(void *ctx, const void *data, size_t len)
{
    struct stream *stream = ctx;
    struct sdk_transport *t = stream->owner;
    struct sdk_event event = {.type = SDK_EVENT_RECEIVED};
    struct err err = {0};
    arena_reset(t->arena);
    event.received = (const Mesos__V1__Scheduler__Event *)wire_decode(
        stream->format, &mesos__v1__scheduler__event__descriptor, data, len, t->arena, &err);
    if (!event.received)
        return -EPROTO;
    give(t, stream->connection, &event);
    return stream->owner ? 0 : 1;
}

static bool on_data(void *ctx, const void *data, size_t len)
{
    struct stream *stream = ctx;
    if (stream->status != 0) {
        size_t room = ERROR_TEXT_MAX - buf_len(&stream->text);
        (void)buf_append(&stream->text, data, len < room ? len : room); /* within its limit */
        return room > len;
    }
    stream->is_in_callback = true;
    int result = recordio_feed(&stream->reader, data, len, on_record, stream);
    stream->is_in_callback = false;
    return result == 0 && stream->owner; /* a broken stream ends here, and done tells */
}

static void on_stream_done(void *ctx, const struct http_message *response, int error, const char *text)
{
    struct stream *stream = ctx;
    struct sdk_transport *t = stream->owner;
    (void)response;
    if (t) {
        struct sdk_event event = {.type = SDK_EVENT_CLOSED, .closed = {.error = error, .text = text}};
        if (stream->status != 0) {
            (void)buf_append_char(&stream->text, '\0'); /* room is left for it */
            event.type = SDK_EVENT_ANSWER;
            event.answer.status = stream->status;
            event.answer.location = stream->location;
            event.answer.stream_id = NULL;
            event.answer.text = (const char *)buf_data(&stream->text);
        }
        t->stream = NULL;
        stream->owner = NULL;
        give(t, stream->connection, &event);
    }
    stream_free(stream);
}

/* -- calls ------------------------------------------------------------------------------------------------------ */

static void on_call_done(void *ctx, const struct http_message *response, int error, const char *text)
{
    struct slot *slot = ctx;
    struct sdk_transport *t = slot->owner;
    char body[ERROR_TEXT_MAX] = "";
    struct sdk_event event = {.type = SDK_EVENT_CALL_DONE, .call_done = {.error = error, .text = text}};
    event.call_done.slot = (unsigned)(slot - t->slots);
    slot->call = NULL;
    if (response) {
        event.call_done.status = response->status;
        if (response->body_len > 0)
            (void)snprintf(body, sizeof(body), "%.*s", (int)(response->body_len < 500 ? response->body_len : 500),
                           (const char *)response->body); /* long texts are cut */
        event.call_done.text = body;
    }
    give(t, slot->connection, &event);
}

static struct http_call *post(struct sdk_transport *t, const char *ip, uint16_t port, const char *stream_id,
                              const void *body, size_t len, const struct http_callbacks *callbacks, void *ctx)
{
    struct http_header headers[3];
    size_t count = 0;
    headers[count++] = (struct http_header){"Accept", wire_media_type(t->format)};
    if (stream_id)
        headers[count++] = (struct http_header){"Mesos-Stream-Id", stream_id};
    if (t->authorization)
        headers[count++] = (struct http_header){"Authorization", t->authorization};
    struct http_request request = {.ip = ip,
                                   .port = port,
                                   .method = "POST",
                                   .target = "/api/v1/scheduler",
                                   .headers = headers,
                                   .header_count = count,
                                   .content_type = wire_media_type(t->format),
                                   .body = body,
                                   .body_len = len};
    return http_call_start(t->http, &request, callbacks, ctx);
}

static void on_unreachable(void *ctx)
{
    struct sdk_transport *t = ctx;
    struct sdk_event event = {.type = SDK_EVENT_CLOSED, .closed = {.error = -EHOSTUNREACH, .text = t->unreachable_text}};
    give(t, t->unreachable_connection, &event);
}

void sdk_transport_connect(struct sdk_transport *t, const struct sdk_effect *effect)
{
    static const struct http_callbacks callbacks = {.done = on_stream_done, .headers_done = on_headers, .data = on_data};
    char host[256];
    uint16_t port;
    CHECK(!t->stream);
    const char *ip = find_ip(t, effect->connect.address, host, &port);
    if (!ip) {
        (void)snprintf(t->unreachable_text, sizeof(t->unreachable_text),
                       "address %.270s is neither numeric nor in the list of masters", effect->connect.address); /* fits */
        t->unreachable_connection = effect->connection;
        loop_timer_start(t->unreachable, 0);
        return;
    }
    struct stream *stream = xcalloc(1, sizeof(*stream));
    stream->owner = t;
    stream->connection = effect->connection;
    stream->format = t->format;
    recordio_reader_init(&stream->reader, 0);
    buf_init(&stream->text, ERROR_TEXT_MAX + 1);
    t->stream = stream;
    stream->call = post(t, ip, port, NULL, effect->connect.body, effect->connect.body_len, &callbacks, stream);
}

void sdk_transport_send(struct sdk_transport *t, const struct sdk_effect *effect)
{
    static const struct http_callbacks callbacks = {.done = on_call_done};
    char host[256];
    uint16_t port;
    struct slot *slot = &t->slots[effect->send.slot];
    http_call_cancel(slot->call); /* of an earlier connection, if any: its answer interests nobody */
    const char *ip = find_ip(t, effect->send.address, host, &port);
    CHECK(ip); /* the stream is connected to it */
    *slot = (struct slot){.owner = t, .connection = effect->connection};
    slot->call = post(t, ip, port, effect->send.stream_id, effect->send.body, effect->send.body_len, &callbacks, slot);
}

void sdk_transport_close(struct sdk_transport *t)
{
    struct stream *stream = t->stream;
    t->stream = NULL;
    loop_timer_stop(t->unreachable);
    for (size_t i = 0; i < SDK_CALL_SLOTS; i++) {
        http_call_cancel(t->slots[i].call);
        t->slots[i].call = NULL;
    }
    if (!stream)
        return;
    stream->owner = NULL;
    if (!stream->is_in_callback) {
        http_call_cancel(stream->call);
        stream_free(stream);
    }
}

/* -- life cycle ------------------------------------------------------------------------------------------------- */

static char *basic_authorization(const char *principal, const char *secret)
{
    struct buf plain, header;
    buf_init(&plain, 0);
    buf_init(&header, 0);
    (void)buf_printf(&plain, "%s:%s", principal, secret ? secret : ""); /* far below its limit */
    (void)buf_append_str(&header, "Basic ");
    text_base64_encode(buf_data(&plain), buf_len(&plain), &header);
    char *text = buf_steal_str(&header);
    buf_deinit(&plain);
    buf_deinit(&header);
    return text;
}

struct sdk_transport *sdk_transport_new(struct loop *loop, const char *const *masters, size_t master_count,
                                        enum wire_format format, const char *principal, const char *secret,
                                        sdk_transport_fn fn, void *ctx, struct err *err)
{
    struct sdk_transport *t = xcalloc(1, sizeof(*t));
    t->loop = loop;
    t->format = format;
    t->fn = fn;
    t->ctx = ctx;
    if (learn_hosts(t, masters, master_count, err) < 0)
        return sdk_transport_free(t);
    t->http = http_client_new(loop);
    t->arena = arena_new(0);
    t->unreachable = loop_timer_add(loop, on_unreachable, t);
    t->authorization = principal ? basic_authorization(principal, secret) : NULL;
    return t;
}

struct sdk_transport *sdk_transport_free(struct sdk_transport *t)
{
    if (!t)
        return NULL;
    if (t->http) {
        sdk_transport_close(t);
        http_client_free(t->http);
        arena_free(t->arena);
        loop_timer_remove(t->unreachable);
    }
    for (size_t i = 0; i < t->host_count; i++)
        free(t->hosts[i].host);
    free(t->authorization);
    free(t);
    return NULL;
}
