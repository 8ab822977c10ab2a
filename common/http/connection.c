/* SPDX-License-Identifier: Apache-2.0
 * connection.c - one connection of the server: bytes in, requests out to the handler, answers to the socket, time-outs.
 *
 *      reading --(request complete)--> exchange --(answered)--> out --(sent)--> reading
 *         |                                                      |
 *         +--(malformed, too large, half: error answer)----------+--(not keep-alive)--> lingering --> taken down
 *
 * Any error of the socket dooms the connection at once. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/check.h"
#include "common/http/server_internal.h"

#define IOV_PIECES 64
#define DRAINED_BYTES (64u << 10)

static int64_t now_ms(const struct connection *c)
{
    return loop_now_ms(c->server->loop);
}

/* May more be parsed? Of a streamed body unless its receiver wants to wait. The next request not during a stream, not
 * before an upgrade request was answered. */
static bool is_paused(struct connection *c)
{
    if (c->receiver != NULL)
        return c->is_body_paused;
    if (c->exchange_count >= PIPELINE_MAX || c->stream_count > 0)
        return true;
    const struct http_exchange *newest = connection_newest(c);
    return newest != NULL && newest->message.upgrade && newest->state == EXCHANGE_WAITING;
}

/* --- time-outs --- */

static bool is_inside_request(struct connection *c)
{
    return http_parse_is_inside(&c->parse) && !c->no_more_requests && !is_paused(c) && c->receiver == NULL;
}

static int64_t deadline_of(struct connection *c)
{
    const struct http_server_config *config = &c->server->config;
    if (c->is_lingering)
        return c->linger_start_ms + LINGER_MS;
    int64_t deadline = INT64_MAX;
    if (c->is_blocked)
        deadline = c->progress_ms + config->write_timeout_ms;
    if (is_inside_request(c)) {
        int64_t end = c->request_start_ms + config->header_timeout_ms;
        deadline = end < deadline ? end : deadline;
    } else if (c->exchange_count == 0 && c->out.bytes == 0) {
        deadline = c->idle_start_ms + config->idle_timeout_ms;
    }
    return deadline;
}

static bool wants_to_read(const struct connection *c)
{
    if (c->is_lingering)
        return true;
    return !c->is_at_eof && c->discarded_bytes < UNREAD_BYTES_MAX && buf_len(&c->unread) < UNREAD_BYTES_MAX;
}

static bool is_idle(const struct connection *c)
{
    return c->exchange_count == 0 && c->out.bytes == 0 && !c->is_lingering && !http_parse_is_inside(&c->parse);
}

void connection_update(struct connection *c)
{
    if (c->is_doomed)
        return;
    if (!is_idle(c))
        list_remove(&c->in_idle);
    else if (c->in_idle.next == &c->in_idle)
        list_push_back(&c->server->idle, &c->in_idle);
    loop_fd_set(c->watch, (wants_to_read(c) ? LOOP_READ : 0u) | (c->is_blocked ? LOOP_WRITE : 0u));
    int64_t deadline = deadline_of(c);
    if (deadline != INT64_MAX)
        server_watch_deadline(c->server, c, deadline);
}

/* --- end --- */

void connection_doom(struct connection *c)
{
    if (c->is_doomed)
        return;
    c->is_doomed = true;
    c->watch = loop_fd_remove(c->watch);
    heap_remove(&c->server->deadlines, &c->deadline);
    list_remove(&c->in_idle);
    list_remove(&c->in_dirty);
    list_remove(&c->in_work);
    list_push_back(&c->server->work, &c->in_work);
    server_schedule_work(c->server);
}

void connection_take_down(struct connection *c)
{
    struct http_server *s = c->server;
    connection_doom(c);
    s->depth++;
    for (struct http_exchange *x; (x = connection_first(c)) != NULL;) {
        void (*closed)(void *, struct http_exchange *) = x->closed;
        x->closed = NULL;
        if (closed != NULL)
            closed(x->closed_ctx, x);
        if (connection_first(c) == x) /* the owner may have ended it in the call */
            exchange_recycle(x);
    }
    s->depth--;
    list_remove(&c->in_work);
    list_remove(&c->in_server);
    s->connection_count--;
    s->buffered_bytes -= c->counted_bytes;
    if (c->fd >= 0)
        (void)close(c->fd); /* everything of worth was sent and flushed before */
    http_parse_deinit(&c->parse);
    buf_deinit(&c->unread);
    output_clear(&c->out);
    free(c);
}

/* All answers are in the socket. The client closes first, so that the kernel does not answer bytes that we never read with
 * a reset which would take the last answer away from it. */
static void begin_linger(struct connection *c)
{
    if (c->is_at_eof || shutdown(c->fd, SHUT_WR) != 0) {
        connection_doom(c);
        return;
    }
    c->is_lingering = true;
    c->no_more_requests = true;
    c->linger_start_ms = now_ms(c);
    buf_deinit(&c->unread);
}

/* --- output --- */

void connection_mark_dirty(struct connection *c)
{
    struct http_server *s = c->server;
    if (c->is_doomed || c->in_dirty.next != &c->in_dirty)
        return;
    list_push_back(&s->dirty, &c->in_dirty);
    /* Written after the flush of this turn, by somebody else's before-sleep callback: then the timer makes another turn. */
    server_schedule_work(s);
}

/* Sends until the queue is empty or the socket is full. False: the connection is broken. */
static bool send_out(struct connection *c)
{
    c->is_blocked = false;
    while (c->out.bytes > 0 && !c->is_blocked) {
        struct iovec iov[IOV_PIECES];
        struct msghdr message = {.msg_iov = iov, .msg_iovlen = (size_t)output_iov(&c->out, iov, IOV_PIECES)};
        size_t total = 0;
        for (size_t i = 0; i < message.msg_iovlen; i++)
            total += iov[i].iov_len;
        ssize_t n = sendmsg(c->fd, &message, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno != EAGAIN && errno != ENOBUFS)
            return false;
        if (n > 0) {
            output_consume(&c->out, (size_t)n);
            c->progress_ms = now_ms(c);
        }
        c->is_blocked = n < 0 || (size_t)n < total;
    }
    return true;
}

static bool has_drained(struct connection *c)
{
    const struct http_exchange *x = connection_first(c);
    return !c->is_doomed && x != NULL && x->drained != NULL && x->state == EXCHANGE_STREAMING &&
           c->out.bytes <= DRAINED_BYTES;
}

void connection_check_drained(struct connection *c)
{
    if (!has_drained(c))
        return;
    list_remove(&c->in_work);
    list_push_back(&c->server->work, &c->in_work);
    server_schedule_work(c->server);
}

void connection_tell_drained(struct connection *c)
{
    if (!has_drained(c))
        return;
    struct http_exchange *x = connection_first(c);
    void (*drained)(void *, struct http_exchange *) = x->drained;
    x->drained = NULL;
    c->server->depth++;
    drained(x->drained_ctx, x);
    c->server->depth--;
}

void connection_flush(struct connection *c)
{
    if (c->is_doomed)
        return;
    bool was_blocked = c->is_blocked;
    if (!send_out(c)) {
        connection_doom(c);
        return;
    }
    if (c->is_blocked && !was_blocked)
        c->progress_ms = now_ms(c);
    if (c->out.bytes == 0 && c->is_closing && !c->is_lingering)
        begin_linger(c);
    connection_check_drained(c);
    connection_update(c);
}

void connection_plan_resume(struct connection *c)
{
    if (buf_len(&c->unread) > 0 && !is_paused(c) && c->in_work.next == &c->in_work) {
        list_push_back(&c->server->work, &c->in_work);
        server_schedule_work(c->server);
    }
}

void connection_advance(struct connection *c)
{
    struct http_exchange *x;
    while ((x = connection_first(c)) != NULL && x->state == EXCHANGE_DONE) {
        bool is_last = !x->keep_alive;
        exchange_recycle(x);
        if (is_last) {
            c->is_closing = c->no_more_requests = true;
            return;
        }
        struct http_exchange *next = connection_first(c);
        if (next != NULL)
            output_splice(&c->out, &next->out);
    }
    if (c->exchange_count == 0)
        c->idle_start_ms = now_ms(c);
    if (http_parse_is_inside(&c->parse))
        c->request_start_ms = now_ms(c); /* it was not read while a stream went on */
    connection_plan_resume(c);
}

/* --- input --- */

static void reply_error(struct connection *c, int status, const char *text)
{
    c->no_more_requests = true;
    buf_deinit(&c->unread);
    http_parse_next(&c->parse);
    struct http_exchange *x = exchange_new(c);
    x->keep_alive = false;
    http_reply_text(x, status, "%s", text);
}

static void dispatch(struct connection *c)
{
    struct http_server *s = c->server;
    struct http_exchange *x = exchange_new(c);
    x->is_http10 = c->parse.is_http10;
    http_parse_take(&c->parse, &x->message, &x->memory, &x->body);
    x->counted_bytes = c->counted_bytes;
    c->counted_bytes = 0;
    x->keep_alive = x->message.keep_alive;
    x->is_head = strcmp(x->message.method, "HEAD") == 0;
    if (!x->keep_alive)
        c->no_more_requests = true;
    s->depth++;
    s->handler(s->ctx, x, &x->message);
    s->depth--;
}

void connection_drop_body(struct connection *c)
{
    c->receiver = NULL;
    c->is_body_paused = false;
    c->no_more_requests = true;
    buf_deinit(&c->unread);
}

static bool receive_body(void *ctx, const uint8_t *data, size_t len)
{
    struct connection *c = ctx;
    struct http_exchange *x = c->receiver;
    if (x == NULL)
        return false; /* it was answered in the middle */
    if (x->body_fn != NULL)
        x->body_fn(x->body_ctx, x, data, len);
    return c->receiver != NULL;
}

/* The head is complete: the handler gets the request now and the body piece by piece. */
static void dispatch_head(struct connection *c)
{
    struct http_server *s = c->server;
    if (c->parse.expects_continue) {
        c->parse.expects_continue = false;
        exchange_send_continue(c);
    }
    struct http_exchange *x = exchange_new(c);
    x->is_http10 = c->parse.is_http10;
    http_parse_take_head(&c->parse, receive_body, c, &x->message, &x->memory);
    x->keep_alive = x->message.keep_alive;
    c->receiver = x;
    s->depth++;
    s->handler(s->ctx, x, &x->message);
    s->depth--;
}

static void on_streamed_body(struct connection *c)
{
    if (c->parse.state != HTTP_PARSE_COMPLETE)
        return;
    struct http_exchange *x = c->receiver;
    c->receiver = NULL;
    c->is_body_paused = false;
    c->parse.on_body = NULL;
    http_parse_next(&c->parse);
    if (!x->keep_alive)
        c->no_more_requests = true;
    c->server->depth++;
    if (x->body_fn != NULL)
        x->body_fn(x->body_ctx, x, NULL, 0);
    c->server->depth--;
}

static void on_body_progress(struct connection *c)
{
    struct http_server *s = c->server;
    s->buffered_bytes += c->parse.body_bytes - c->counted_bytes;
    c->counted_bytes = c->parse.body_bytes;
    if (s->buffered_bytes > s->config.buffered_bytes_max && c->parse.state == HTTP_PARSE_BODY)
        reply_error(c, 503, "Too many large requests at the same time");
}

static void on_parsed(struct connection *c)
{
    if (c->is_doomed || c->no_more_requests)
        return; /* in the middle of a body somebody had enough of it */
    if (c->parse.state == HTTP_PARSE_FAILED) {
        if (c->receiver != NULL)
            connection_doom(c); /* the answer to this request may have begun */
        else
            reply_error(c, c->parse.status, c->parse.text);
        return;
    }
    if (c->receiver != NULL) {
        on_streamed_body(c);
        return;
    }
    on_body_progress(c);
    if (c->parse.state == HTTP_PARSE_COMPLETE) {
        dispatch(c);
    } else if (c->parse.state == HTTP_PARSE_BODY && c->parse.body_bytes == 0 && c->server->config.streams_body != NULL &&
               c->server->config.streams_body(c->server->ctx, &c->parse.message)) {
        dispatch_head(c);
    } else if (c->parse.state == HTTP_PARSE_BODY && c->parse.expects_continue) {
        c->parse.expects_continue = false;
        exchange_send_continue(c);
    }
}

/* For a later turn. */
static void put_aside(struct connection *c, const uint8_t *data, size_t len)
{
    if (c->no_more_requests)
        c->discarded_bytes += len;
    else if (buf_append(&c->unread, data, len) != 0 ||
             (c->stream_count > 0 && c->receiver == NULL && buf_len(&c->unread) >= UNREAD_BYTES_MAX))
        connection_doom(c); /* a stream's end must be seen, so its client cannot be left unread */
}

static void process(struct connection *c, const uint8_t *data, size_t len)
{
    list_remove(&c->in_idle); /* goes to the end of the line, if it is idle again at the end of the turn */
    while (len > 0 && !c->is_doomed && !c->no_more_requests && !is_paused(c)) {
        if (!http_parse_is_inside(&c->parse))
            c->request_start_ms = now_ms(c);
        size_t n = http_parse_feed(&c->parse, data, len);
        data += n;
        len -= n;
        if (c->parse.state == HTTP_PARSE_COMPLETE && c->parse.message.upgrade) {
            /* The handler may take over the connection with what was received beyond the request. */
            if (buf_append(&c->unread, data, len) != 0)
                connection_doom(c);
            len = 0;
        }
        on_parsed(c);
    }
    if (len > 0 && !c->is_doomed)
        put_aside(c, data, len);
}

void connection_resume(struct connection *c)
{
    if (c->is_doomed || is_paused(c))
        return;
    struct buf input = c->unread;
    buf_init(&c->unread, input.bytes_max);
    c->request_start_ms = now_ms(c);
    process(c, buf_data(&input), buf_len(&input));
    buf_deinit(&input);
    connection_update(c);
}

static void on_eof(struct connection *c)
{
    c->is_at_eof = true;
    connection_flush(c);
    if (c->is_doomed)
        return;
    if (c->exchange_count > 0 || c->out.bytes == 0 || c->is_lingering)
        connection_doom(c);
    else
        c->is_closing = true;
}

static void on_readable(struct connection *c)
{
    struct http_server *s = c->server;
    ssize_t n = recv(c->fd, s->read_buffer, READ_SIZE, 0);
    if (n == 0) {
        on_eof(c);
    } else if (n > 0) {
        if (c->is_lingering)
            return;
        if (buf_len(&c->unread) > 0) /* these bytes come first, in the turn that is planned or when nothing is in the way */
            put_aside(c, s->read_buffer, (size_t)n);
        else
            process(c, s->read_buffer, (size_t)n);
    } else if (errno != EAGAIN && errno != EINTR) {
        connection_doom(c);
    }
}

static void on_ready(void *ctx, int fd, unsigned ready)
{
    (void)fd;
    struct connection *c = ctx;
    if (ready & LOOP_WRITE)
        connection_flush(c);
    if ((ready & LOOP_READ) && !c->is_doomed)
        on_readable(c);
    connection_update(c);
}

/* --- life --- */

struct connection *connection_new(struct http_server *s, int fd, const struct sockaddr *peer, socklen_t peer_len)
{
    struct connection *c = xcalloc(1, sizeof(*c));
    c->server = s;
    c->fd = fd;
    memcpy(&c->peer, peer, peer_len < sizeof(c->peer) ? peer_len : sizeof(c->peer));
    if (s->config.unix_path != NULL)
        c->peer.any.sa_family = AF_UNIX;
    list_init(&c->in_dirty);
    list_init(&c->in_work);
    list_init(&c->exchanges);
    http_parse_init(&c->parse, true, s->config.body_bytes_max);
    buf_init(&c->unread, UNREAD_BYTES_MAX + READ_SIZE);
    list_init(&c->in_idle);
    c->idle_start_ms = now_ms(c);
    list_push_back(&s->connections, &c->in_server);
    s->connection_count++;
    c->watch = loop_fd_add(s->loop, fd, LOOP_READ, on_ready, c);
    connection_update(c);
    return c;
}

void connection_on_deadline(struct connection *c, int64_t now)
{
    int64_t deadline = deadline_of(c);
    if (deadline > now) {
        if (deadline != INT64_MAX)
            server_watch_deadline(c->server, c, deadline); /* it moved while the node stayed where it was */
        return;
    }
    bool is_stuck = c->is_blocked && c->progress_ms + c->server->config.write_timeout_ms <= now;
    if (!c->is_lingering && !is_stuck && is_inside_request(c))
        reply_error(c, 408, "The request did not arrive in time");
    else
        connection_doom(c);
    connection_update(c);
}
