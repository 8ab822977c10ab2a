/* SPDX-License-Identifier: Apache-2.0
 * client_connection.c - one connection of the client: connect, send, read the answer, back to the pool. */
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/check.h"
#include "common/base/cleanup.h"
#include "common/http/client_internal.h"

#define READ_SIZE (64u << 10)
#define IDLE_MAX 16u  /* kept per address */
#define IDLE_MS 30000 /* below what servers usually grant, so that they seldom close first */

/* --- end --- */

void client_connection_kill(struct client_connection *k)
{
    if (k->is_dead)
        return;
    struct client_pool *pool = k->pool;
    struct http_client *c = pool->client;
    if (k->in_pool.next != &k->in_pool)
        pool->idle_count--;
    list_remove(&k->in_pool);
    heap_remove(&c->idle_deadlines, &k->idle_deadline);
    k->is_dead = true;
    k->watch = loop_fd_remove(k->watch);
    if (k->fd >= 0)
        (void)close(k->fd); /* nothing is unsent that anybody still waits for */
    k->fd = -1;
    pool->counted -= k->is_counted;
    k->is_counted = false;
    list_push_back(&c->dead, &k->in_dead);
    client_schedule_work(c);
}

void client_connection_free(struct client_connection *k)
{
    struct client_pool *pool = k->pool;
    list_remove(&k->in_dead);
    http_parse_deinit(&k->parse);
    free(k);
    pool->connections--;
    client_dispatch_waiting(pool);
    client_pool_drop_if_unused(pool);
}

/* The call on this connection cannot go on. A connection that had served before may have been closed by the server at the
 * very moment: then the call gets one more try where that cannot do a thing twice. */
static void fail_call(struct client_connection *k, int error, const char *text)
{
    struct http_call *call = k->call;
    k->call = NULL;
    client_connection_kill(k);
    if (call == NULL)
        return;
    call->connection = NULL;
    bool may_repeat = k->was_used && !k->has_answer_bytes && !call->is_retry && (call->is_idempotent || call->sent == 0);
    if (may_repeat && (error == -ECONNRESET || error == -EPIPE)) {
        call->is_retry = true;
        call->sent = 0;
        client_dispatch(call);
        return;
    }
    client_finish(call, NULL, error, text);
}

/* The answer is complete; the rest of the connection is of no use if more came than was asked for. */
static void complete_call(struct client_connection *k, bool has_more)
{
    struct http_call *call = k->call;
    struct http_client *c = k->pool->client;
    struct http_message response;
    void *memory;
    struct buf body;
    http_parse_take(&k->parse, &response, &memory, &body);
    k->call = NULL;
    k->was_used = true;
    bool is_reusable = response.keep_alive && !has_more && !call->is_fresh && !call->is_stream && call->sent == call->len &&
                       k->pool->idle_count < IDLE_MAX;
    if (is_reusable) {
        list_push_front(&k->pool->idle, &k->in_pool);
        k->pool->idle_count++;
        k->pool->counted -= k->is_counted;
        k->is_counted = false;
        loop_fd_set(k->watch, LOOP_READ); /* sees the server close it */
        heap_set(&c->idle_deadlines, &k->idle_deadline, loop_now_ms(c->loop) + IDLE_MS);
        client_arm(c);
        client_dispatch_waiting(k->pool);
    } else {
        client_connection_kill(k);
    }
    client_finish(call, &response, 0, NULL);
    free(memory);
    buf_deinit(&body);
}

static void hand_over(struct client_connection *k, const uint8_t *data, size_t len)
{
    struct http_call *call = k->call;
    struct http_client *c = k->pool->client;
    struct http_callbacks callbacks = call->callbacks;
    void *ctx = call->ctx;
    struct http_message response;
    void *memory, *rest = len > 0 ? xmemdup(data, len) : NULL;
    struct buf body;
    http_parse_take(&k->parse, &response, &memory, &body);
    k->call = NULL;
    k->watch = loop_fd_remove(k->watch);
    int fd = steal_fd(&k->fd);
    client_connection_kill(k);
    call->callbacks = (struct http_callbacks){0};
    client_finish(call, NULL, 0, NULL); /* frees it */
    c->depth++;
    callbacks.upgraded(ctx, &response, fd, rest, len);
    c->depth--;
    free(memory);
    buf_deinit(&body);
}

/* --- reading --- */

static bool on_stream_data(void *ctx, const uint8_t *data, size_t len)
{
    struct client_connection *k = ctx;
    struct http_call *call = k->call;
    if (call->callbacks.data == NULL)
        return true;
    call->client->depth++;
    bool go_on = call->callbacks.data(call->ctx, data, len);
    k->pool->client->depth--;
    return go_on && k->call != NULL; /* it may have been cancelled in the call */
}

/* False: the receiver does not want the stream. */
static bool tell_head(struct client_connection *k)
{
    struct http_call *call = k->call;
    if (call->has_head || !call->is_stream)
        return true;
    call->has_head = true;
    call->deadline_ms = call->connect_deadline_ms = INT64_MAX;
    heap_remove(&call->client->call_deadlines, &call->deadline);
    if (call->callbacks.headers_done == NULL)
        return true;
    call->client->depth++;
    bool go_on = call->callbacks.headers_done(call->ctx, &k->parse.message);
    k->pool->client->depth--;
    return go_on;
}

static void fail_parse(struct client_connection *k)
{
    int status = k->parse.status;
    if (status == 0)
        fail_call(k, -ECANCELED, "ended by the receiver");
    else if (status == 413 || status == 431)
        fail_call(k, -EMSGSIZE, k->parse.text);
    else
        fail_call(k, -EPROTO, k->parse.text);
}

/* Deals with what the parser has reached. True: go on with the bytes behind it. */
static bool on_parsed(struct client_connection *k, const uint8_t *rest, size_t rest_len)
{
    if (k->parse.state == HTTP_PARSE_FAILED) {
        fail_parse(k);
        return false;
    }
    if (k->parse.state == HTTP_PARSE_HEAD)
        return true;
    int status = k->parse.message.status;
    if (k->parse.state == HTTP_PARSE_COMPLETE && status == 101) {
        if (k->call->callbacks.upgraded != NULL)
            hand_over(k, rest, rest_len);
        else
            fail_call(k, -EPROTO, "the server switched to another protocol without being asked");
        return false;
    }
    if (status / 100 == 1) {
        if (k->parse.state == HTTP_PARSE_COMPLETE) {
            http_parse_next(&k->parse); /* 100 Continue and the like: the answer follows */
            k->parse.no_body = k->call->is_head;
        }
        return true;
    }
    if (!tell_head(k)) {
        if (k->call != NULL)
            fail_call(k, -ECANCELED, "ended by the receiver");
        return false;
    }
    if (k->call == NULL)
        return false;
    if (k->parse.state == HTTP_PARSE_COMPLETE) {
        complete_call(k, rest_len > 0);
        return false;
    }
    return true;
}

static void on_answer(struct client_connection *k, const uint8_t *data, size_t len)
{
    k->has_answer_bytes = true;
    while (len > 0) {
        size_t n = http_parse_feed(&k->parse, data, len);
        data += n;
        len -= n;
        if (k->call == NULL || k->is_dead || !on_parsed(k, data, len))
            return;
    }
}

static void on_eof(struct client_connection *k)
{
    http_parse_eof(&k->parse);
    if (k->parse.state == HTTP_PARSE_COMPLETE && k->call != NULL)
        complete_call(k, true);
    else if (k->parse.status == 0 && k->parse.state == HTTP_PARSE_FAILED)
        fail_parse(k);
    else
        fail_call(k, -ECONNRESET, "the server closed the connection before the answer was complete");
}

static void on_readable(struct client_connection *k)
{
    uint8_t *buffer = k->pool->client->read_buffer;
    ssize_t n = recv(k->fd, buffer, READ_SIZE, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (k->call == NULL)
        client_connection_kill(k); /* idle: closed by the server, or it talks out of turn */
    else if (n > 0)
        on_answer(k, buffer, (size_t)n);
    else if (n == 0)
        on_eof(k);
    else
        fail_call(k, errno == EPIPE ? -ECONNRESET : -errno, "the connection broke");
}

/* --- sending --- */

/* Sends what the socket takes. False: the connection broke; the reason shows when it is read. */
static bool send_request(struct client_connection *k)
{
    struct http_call *call = k->call;
    while (call->sent < call->len) {
        ssize_t n = send(k->fd, call->bytes + call->sent, call->len - call->sent, MSG_NOSIGNAL);
        if (n > 0)
            call->sent += (size_t)n;
        else if (errno == EAGAIN)
            break;
        else if (errno != EINTR)
            return false;
    }
    loop_fd_set(k->watch, LOOP_READ | (call->sent < call->len ? LOOP_WRITE : 0u));
    return true;
}

void client_connection_send(struct client_connection *k)
{
    if (!k->is_connecting && !k->is_dead && !send_request(k))
        loop_fd_set(k->watch, LOOP_READ); /* a break shows as readiness to read, in a later turn */
}

static void on_connected(struct client_connection *k)
{
    int error = 0;
    socklen_t len = sizeof(error);
    if (getsockopt(k->fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0)
        error = errno;
    if (error != 0) {
        fail_call(k, -error, strerrordesc_np(error));
        return;
    }
    k->is_connecting = false;
    client_watch_call(k->call);
    if (!send_request(k))
        fail_call(k, -ECONNRESET, "the connection broke while the request was sent");
}

/* To who gives a body piece by piece, when everything that waited has gone. */
static void tell_sent(struct client_connection *k)
{
    struct http_call *call = k->is_dead ? NULL : k->call;
    if (call == NULL || call->sent < call->len || !call->has_open_body || call->callbacks.sent == NULL)
        return;
    struct http_client *c = call->client;
    c->depth++;
    call->callbacks.sent(call->ctx);
    c->depth--;
}

static void on_ready(void *ctx, int fd, unsigned ready)
{
    (void)fd;
    struct client_connection *k = ctx;
    if (k->is_connecting) {
        on_connected(k);
        tell_sent(k);
        return;
    }
    /* An answer may come before the request is through (an error, say): read first. */
    if (ready & LOOP_READ)
        on_readable(k);
    if ((ready & LOOP_WRITE) && !k->is_dead && k->call != NULL && k->call->sent < k->call->len) {
        client_connection_send(k);
        tell_sent(k);
    }
}

bool client_connection_is_quiet(const struct client_connection *k)
{
    char c;
    return recv(k->fd, &c, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

void client_connection_assign(struct client_connection *k, struct http_call *call)
{
    struct client_pool *pool = k->pool;
    if (k->in_pool.next != &k->in_pool) {
        list_remove(&k->in_pool);
        pool->idle_count--;
        heap_remove(&pool->client->idle_deadlines, &k->idle_deadline);
    }
    k->call = call;
    k->has_answer_bytes = false;
    k->is_counted = !call->is_stream && !call->is_fresh;
    pool->counted += k->is_counted;
    call->connection = k;
    http_parse_next(&k->parse);
    k->parse.no_body = call->is_head;
    http_parse_set_body_max(&k->parse, call->is_stream ? SIZE_MAX : call->body_bytes_max);
    k->parse.on_body = call->is_stream ? on_stream_data : NULL;
    k->parse.ctx = k;
    client_watch_call(call);
    client_connection_send(k);
}

int client_connection_open(struct http_call *call, const char **text)
{
    struct client_pool *pool = call->pool;
    cleanup_close int fd = socket(pool->address.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        *text = "no socket";
        return -errno;
    }
    int one = 1;
    if (pool->address.any.sa_family != AF_UNIX)
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)); /* slower without it, not wrong */
    bool is_connecting = false;
    if (connect(fd, &pool->address.any, pool->address_len) != 0) {
        if (errno != EINPROGRESS) {
            *text = strerrordesc_np(errno);
            return -errno;
        }
        is_connecting = true;
    }
    struct client_connection *k = xcalloc(1, sizeof(*k));
    k->pool = pool;
    pool->connections++;
    k->fd = steal_fd(&fd);
    k->is_connecting = is_connecting;
    list_init(&k->in_pool);
    list_init(&k->in_dead);
    http_parse_init(&k->parse, false, 0);
    k->watch = loop_fd_add(pool->client->loop, k->fd, is_connecting ? LOOP_WRITE : LOOP_READ, on_ready, k);
    client_connection_assign(k, call);
    return 0;
}
