/* SPDX-License-Identifier: Apache-2.0
 * exchange.c - answers: whole ones, streams, errors, upgrades. */
#include "common/http/server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/base/check.h"
#include "common/http/server_internal.h"

#define GZIP_FROM 1024u       /* facts: mesos 0.2 */
#define GZIP_UP_TO (1u << 20) /* compressing holds up the loop, about 5 ms for this */
#define STREAM_PENDING_MAX (8u << 20)
#define ADDED_HEADERS_MAX (32u << 10)
#define CHUNK_FRAME_MAX 20u /* size line and the line end behind the data */

/* --- life --- */

struct http_exchange *exchange_new(struct connection *c)
{
    struct http_server *s = c->server;
    struct http_exchange *x;
    if (s->spare_count > 0) {
        x = s->spare[--s->spare_count];
    } else {
        x = xcalloc(1, sizeof(*x));
        buf_init(&x->headers, ADDED_HEADERS_MAX);
    }
    x->connection = c;
    x->state = EXCHANGE_WAITING;
    list_push_back(&c->exchanges, &x->in_connection);
    c->exchange_count++;
    return x;
}

/* Takes x out of its connection. What it allocated is kept for the next exchange if it is small. */
void exchange_recycle(struct http_exchange *x)
{
    struct connection *c = x->connection;
    struct http_server *s = c->server;
    list_remove(&x->in_connection);
    if (c->receiver == x)
        connection_drop_body(c);
    c->exchange_count--;
    c->stream_count -= x->is_stream;
    s->buffered_bytes -= x->counted_bytes;
    free(x->memory);
    buf_deinit(&x->body);
    output_clear(&x->out);
    buf_clear(&x->headers);
    struct arena *arena = x->arena;
    if (arena != NULL)
        arena_reset(arena);
    struct buf headers = x->headers;
    *x = (struct http_exchange){.arena = arena, .headers = headers};
    if (s->spare_count < SPARE_EXCHANGES_MAX) {
        s->spare[s->spare_count++] = x;
        return;
    }
    arena_free(x->arena);
    buf_deinit(&x->headers);
    free(x);
}

static struct output *output_of(struct http_exchange *x)
{
    struct connection *c = x->connection;
    return connection_first(c) == x && !c->is_closing ? &c->out : &x->out;
}

/* The answer is complete. x is gone after it or will be when it is its turn. */
static void finish(struct http_exchange *x)
{
    struct connection *c = x->connection;
    x->state = EXCHANGE_DONE;
    x->closed = NULL;
    if (c->receiver == x)
        connection_drop_body(c);
    if (c->is_doomed || c->is_closing) {
        exchange_recycle(x);
        return;
    }
    connection_mark_dirty(c);
    if (connection_first(c) == x)
        connection_advance(c);
}

/* --- questions --- */

struct arena *http_exchange_arena(struct http_exchange *x)
{
    if (x->arena == NULL)
        x->arena = arena_new(0);
    return x->arena;
}

static const char *format_address(struct arena *a, const struct sockaddr *address)
{
    char ip[INET6_ADDRSTRLEN] = "?";
    if (address->sa_family == AF_INET) {
        const struct sockaddr_in *v4 = (const void *)address;
        (void)inet_ntop(AF_INET, &v4->sin_addr, ip, sizeof(ip)); /* cannot fail: family and room are right */
        return arena_printf(a, "%s:%u", ip, ntohs(v4->sin_port));
    }
    if (address->sa_family == AF_INET6) {
        const struct sockaddr_in6 *v6 = (const void *)address;
        (void)inet_ntop(AF_INET6, &v6->sin6_addr, ip, sizeof(ip));
        return arena_printf(a, "[%s]:%u", ip, ntohs(v6->sin6_port));
    }
    return "unix";
}

const char *http_exchange_peer(const struct http_exchange *x)
{
    return format_address(http_exchange_arena((struct http_exchange *)x), &x->connection->peer.any);
}

const char *http_exchange_local(const struct http_exchange *x)
{
    struct sockaddr_storage address = {0};
    socklen_t len = sizeof(address);
    if (getsockname(x->connection->fd, (struct sockaddr *)&address, &len) != 0)
        address.ss_family = AF_UNSPEC; /* the connection is broken: there is no better answer */
    return format_address(http_exchange_arena((struct http_exchange *)x), (struct sockaddr *)&address);
}

void http_exchange_set_user(struct http_exchange *x, const void *user)
{
    x->user = user;
}

const void *http_exchange_user(const struct http_exchange *x)
{
    return x->user;
}

void http_exchange_on_closed(struct http_exchange *x, void (*closed)(void *ctx, struct http_exchange *x), void *ctx)
{
    x->closed = closed;
    x->closed_ctx = ctx;
}

/* --- streamed bodies --- */

bool http_exchange_on_body(struct http_exchange *x, http_body_fn body, void *ctx)
{
    if (x->connection->receiver != x)
        return false;
    x->body_fn = body;
    x->body_ctx = ctx;
    return true;
}

void http_exchange_pause_body(struct http_exchange *x, bool is_paused)
{
    struct connection *c = x->connection;
    if (c->receiver != x || c->is_doomed)
        return;
    c->is_body_paused = is_paused;
    connection_plan_resume(c);
    connection_update(c);
}

/* --- heads --- */

void http_add_header(struct http_exchange *x, const char *name, const char *value)
{
    (void)http_put_header(&x->headers, name, value); /* beyond 32 KiB of headers no client would read the answer */
}

static bool has_added_header(const struct http_exchange *x, const char *name)
{
    size_t name_len = strlen(name);
    const char *at = (const char *)buf_data(&x->headers), *end = at + buf_len(&x->headers);
    while (at < end) {
        if ((size_t)(end - at) > name_len && at[name_len] == ':' && strncasecmp(at, name, name_len) == 0)
            return true;
        at = (const char *)memchr(at, '\n', (size_t)(end - at)) + 1; /* each line was written with its end */
    }
    return false;
}

enum framing { FRAMING_LENGTH, FRAMING_CHUNKED, FRAMING_CLOSE, FRAMING_NONE };

struct head {
    int status;
    const char *content_type;
    enum framing framing;
    size_t length;
    bool is_gzip;
};

static size_t head_size_max(const struct http_exchange *x, const struct head *h)
{
    return 320 + (h->content_type ? strlen(h->content_type) : 0) + buf_len(&x->headers);
}

static char *put(char *to, const char *s)
{
    size_t len = strlen(s);
    memcpy(to, s, len);
    return to + len;
}

static char *put_decimal(char *to, size_t v)
{
    char digits[24];
    int n = 0;
    do
        digits[n++] = (char)('0' + v % 10);
    while ((v /= 10) > 0);
    while (n > 0)
        *to++ = digits[--n];
    return to;
}

/* Writes the head into the room of head_size_max and returns its end. */
static char *put_head(struct http_exchange *x, const struct head *h, char *to)
{
    to = put(to, "HTTP/1.1 ");
    to = put_decimal(to, (size_t)h->status);
    *to++ = ' ';
    to = put(to, http_reason(h->status));
    to = put(to, "\r\nDate: ");
    to = put(to, server_date(x->connection->server));
    to = put(to, "\r\n");
    if (h->content_type != NULL) {
        to = put(to, "Content-Type: ");
        to = put(to, h->content_type);
        to = put(to, "\r\n");
    }
    if (h->framing == FRAMING_LENGTH) {
        to = put(to, "Content-Length: ");
        to = put_decimal(to, h->length);
        to = put(to, "\r\n");
    } else if (h->framing == FRAMING_CHUNKED) {
        to = put(to, "Transfer-Encoding: chunked\r\n");
    }
    if (h->is_gzip)
        to = put(to, "Content-Encoding: gzip\r\n");
    if (!x->keep_alive)
        to = put(to, "Connection: close\r\n");
    else if (x->is_http10)
        to = put(to, "Connection: keep-alive\r\n");
    if (buf_len(&x->headers) > 0) {
        memcpy(to, buf_data(&x->headers), buf_len(&x->headers));
        to += buf_len(&x->headers);
    }
    return put(to, "\r\n");
}

/* Appends the head and, in the same piece of memory, the body if there is one. */
static void append_answer(struct http_exchange *x, const struct head *h, const void *body, size_t len)
{
    struct output *out = output_of(x);
    if (x->connection->receiver == x)
        x->keep_alive = false; /* whether its body will be read to the end is not known */
    size_t room = head_size_max(x, h) + len;
    char *start = (char *)output_reserve(out, room), *end = put_head(x, h, start);
    if (len > 0)
        memcpy(end, body, len);
    output_commit(out, (size_t)(end - start) + len);
}

/* --- whole answers --- */

static bool wants_gzip(const struct http_exchange *x, size_t len)
{
    if (len < GZIP_FROM || len > GZIP_UP_TO || x->is_head || x->message.header_count == 0)
        return false;
    int allowed = http_list_allows(&x->message, "Accept-Encoding", "gzip");
    if (allowed < 0)
        allowed = http_list_allows(&x->message, "Accept-Encoding", "*");
    return allowed > 0 && !has_added_header(x, "Content-Encoding");
}

void http_reply(struct http_exchange *x, int status, const char *content_type, const void *body, size_t len)
{
    CHECK(x->state == EXCHANGE_WAITING);
    struct connection *c = x->connection;
    if (c->is_doomed) {
        finish(x);
        return;
    }
    bool has_no_body = status == 204 || status == 304;
    struct head h = {status, content_type, has_no_body ? FRAMING_NONE : FRAMING_LENGTH, len, false};
    if (!has_no_body && wants_gzip(x, len)) {
        if (c->server->gzip == NULL)
            c->server->gzip = gzip_new();
        struct output packed = {0};
        gzip_compress(c->server->gzip, body, len, &packed);
        h.is_gzip = true;
        h.length = packed.bytes;
        append_answer(x, &h, NULL, 0);
        output_splice(output_of(x), &packed);
    } else {
        append_answer(x, &h, body, x->is_head || has_no_body ? 0 : len);
    }
    finish(x);
}

void http_reply_text(struct http_exchange *x, int status, const char *fmt, ...)
{
    struct buf text;
    buf_init(&text, 0);
    va_list ap;
    va_start(ap, fmt);
    int rc = buf_vprintf(&text, fmt, ap);
    va_end(ap);
    CHECK(rc == 0 || text.overflowed);
    if (buf_len(&text) == 0)
        http_reply(x, status, NULL, NULL, 0);
    else
        http_reply(x, status, "text/plain; charset=utf-8", buf_data(&text), buf_len(&text));
    buf_deinit(&text);
}

void exchange_send_continue(struct connection *c)
{
    static const char line[] = "HTTP/1.1 100 Continue\r\n\r\n";
    if (list_is_empty(&c->exchanges)) {
        output_append(&c->out, line, sizeof(line) - 1);
    } else {
        /* Behind the answers that are still to come: an exchange of its own that is done already. */
        struct http_exchange *x = exchange_new(c);
        x->state = EXCHANGE_DONE;
        x->keep_alive = true;
        output_append(&x->out, line, sizeof(line) - 1);
    }
    connection_mark_dirty(c);
}

/* --- streams --- */

void http_stream_begin(struct http_exchange *x, int status, const char *content_type, size_t pending_bytes_max)
{
    CHECK(x->state == EXCHANGE_WAITING);
    struct connection *c = x->connection;
    x->state = EXCHANGE_STREAMING;
    x->is_stream = true;
    c->stream_count++;
    x->pending_bytes_max = pending_bytes_max ? pending_bytes_max : STREAM_PENDING_MAX;
    if (c->is_doomed)
        return;
    if (x->is_http10)
        x->keep_alive = false; /* no chunks there: the end of the connection is the end of the stream */
    struct head h = {status, content_type, x->is_http10 ? FRAMING_CLOSE : FRAMING_CHUNKED, 0, false};
    append_answer(x, &h, NULL, 0);
    connection_mark_dirty(c);
}

/* Makes room under the bound or cuts the stream off. */
static int ensure_room(struct http_exchange *x, size_t len)
{
    struct connection *c = x->connection;
    struct output *out = output_of(x);
    if (len > x->pending_bytes_max || out->bytes > x->pending_bytes_max - len) {
        if (out == &c->out && !c->is_blocked)
            connection_flush(c);
        if (!c->is_doomed && (len > x->pending_bytes_max || out->bytes > x->pending_bytes_max - len))
            connection_doom(c);
    }
    return c->is_doomed ? -EPIPE : 0;
}

static char *put_hex(char *to, size_t v)
{
    char digits[16];
    int n = 0;
    do
        digits[n++] = "0123456789abcdef"[v & 15];
    while ((v >>= 4) > 0);
    while (n > 0)
        *to++ = digits[--n];
    return to;
}

int http_stream_write(struct http_exchange *x, const void *data, size_t len)
{
    CHECK(x->state == EXCHANGE_STREAMING);
    struct connection *c = x->connection;
    if (c->is_doomed)
        return -EPIPE;
    if (len == 0 || x->is_head)
        return 0; /* an empty chunk would end the stream */
    int rc = ensure_room(x, len + CHUNK_FRAME_MAX);
    if (rc != 0)
        return rc;
    struct output *out = output_of(x);
    char *start = (char *)output_reserve(out, len + CHUNK_FRAME_MAX), *to = start;
    if (!x->is_http10)
        to = put(put_hex(to, len), "\r\n");
    memcpy(to, data, len);
    to += len;
    if (!x->is_http10)
        to = put(to, "\r\n");
    output_commit(out, (size_t)(to - start));
    connection_mark_dirty(c);
    if (out == &c->out && out->bytes >= FLUSH_ABOVE && !c->is_blocked)
        connection_flush(c);
    return c->is_doomed ? -EPIPE : 0;
}

void http_stream_on_drained(struct http_exchange *x, void (*drained)(void *ctx, struct http_exchange *x), void *ctx)
{
    CHECK(x->state == EXCHANGE_STREAMING);
    x->drained = drained;
    x->drained_ctx = ctx;
    connection_check_drained(x->connection);
}

size_t http_stream_pending(const struct http_exchange *x)
{
    return output_of((struct http_exchange *)x)->bytes;
}

void http_stream_end(struct http_exchange *x)
{
    CHECK(x->state == EXCHANGE_STREAMING);
    if (!x->connection->is_doomed && !x->is_http10 && !x->is_head)
        output_append(output_of(x), "0\r\n\r\n", 5);
    finish(x);
}

void http_exchange_abort(struct http_exchange *x)
{
    struct connection *c = x->connection;
    connection_doom(c);
    exchange_recycle(x);
}

/* --- upgrades --- */

int http_upgrade(struct http_exchange *x, const char *protocol, int *fd, void **rest, size_t *rest_len)
{
    CHECK(x->state == EXCHANGE_WAITING);
    struct connection *c = x->connection;
    if (!x->message.upgrade)
        return -EINVAL;
    if (c->is_doomed)
        return -EPIPE;
    if (connection_first(c) != x)
        return -EBUSY;
    connection_flush(c);
    if (c->is_doomed)
        return -EPIPE;
    if (c->out.bytes > 0)
        return -EBUSY;
    size_t room = 128 + strlen(protocol) + buf_len(&x->headers);
    char *start = xmalloc(room), *to = put(start, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ");
    to = put(put(to, protocol), "\r\n");
    if (buf_len(&x->headers) > 0) {
        memcpy(to, buf_data(&x->headers), buf_len(&x->headers));
        to += buf_len(&x->headers);
    }
    to = put(to, "\r\n");
    /* Nothing is queued in front of it, so the kernel has room for these bytes or the connection is broken. */
    ssize_t n = send(c->fd, start, (size_t)(to - start), MSG_NOSIGNAL);
    bool is_sent = n == to - start;
    free(start);
    if (!is_sent) {
        connection_doom(c);
        return -EPIPE;
    }
    *fd = c->fd;
    *rest_len = buf_len(&c->unread);
    *rest = *rest_len > 0 ? xmemdup(buf_data(&c->unread), *rest_len) : NULL;
    buf_clear(&c->unread);
    connection_doom(c); /* which leaves nothing but the empty shell: the descriptor has gone */
    c->fd = -1;
    exchange_recycle(x);
    return 0;
}
