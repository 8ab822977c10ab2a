/* SPDX-License-Identifier: Apache-2.0
 * client.c - calls: requests put into bytes, pools of connections, time-outs, the end of a call. */
#include "common/http/client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"
#include "common/http/client_internal.h"

#define CONNECT_TIMEOUT_MS 5000
#define TIMEOUT_MS 30000
#define COUNTED_MAX 64u /* calls on the way to one address, see client.h */
#define READ_SIZE (64u << 10)
#define HEAD_BYTES_MAX (64u << 10)

/* --- timers --- */

void client_schedule_work(struct http_client *c)
{
    if (!loop_timer_is_active(c->work_timer))
        loop_timer_start(c->work_timer, 0);
}

void client_arm(struct http_client *c)
{
    int64_t first = INT64_MAX;
    const struct heap_node *call = heap_peek(&c->call_deadlines), *idle = heap_peek(&c->idle_deadlines);
    if (call != NULL)
        first = call->key_ms;
    if (idle != NULL && idle->key_ms < first)
        first = idle->key_ms;
    if (first >= c->deadline_armed_ms)
        return; /* it may fire for nothing: cheaper than moving it at every call */
    c->deadline_armed_ms = first;
    loop_timer_start(c->deadline_timer, first - loop_now_ms(c->loop));
}

void client_watch_call(struct http_call *call)
{
    int64_t deadline = call->deadline_ms;
    bool is_connecting = call->connection != NULL && call->connection->is_connecting;
    if (is_connecting && call->connect_deadline_ms < deadline)
        deadline = call->connect_deadline_ms;
    heap_set(&call->client->call_deadlines, &call->deadline, deadline);
    client_arm(call->client);
}

/* --- pools --- */

static int fill_address(struct client_pool *pool, const struct http_request *request)
{
    if (request->unix_path != NULL) {
        if (strlen(request->unix_path) >= sizeof(pool->address.local.sun_path))
            return -ENAMETOOLONG;
        pool->address.local.sun_family = AF_UNIX;
        strcpy(pool->address.local.sun_path, request->unix_path);
        pool->address_len = sizeof(pool->address.local);
    } else if (request->ip != NULL && inet_pton(AF_INET, request->ip, &pool->address.v4.sin_addr) == 1) {
        pool->address.v4.sin_family = AF_INET;
        pool->address.v4.sin_port = htons(request->port);
        pool->address_len = sizeof(pool->address.v4);
    } else if (request->ip != NULL && inet_pton(AF_INET6, request->ip, &pool->address.v6.sin6_addr) == 1) {
        pool->address.v6.sin6_family = AF_INET6;
        pool->address.v6.sin6_port = htons(request->port);
        pool->address_len = sizeof(pool->address.v6);
    } else {
        return -EINVAL;
    }
    return 0;
}

static struct client_pool *find_pool(struct http_client *c, const struct http_request *request)
{
    struct client_pool fresh = {0};
    if (fill_address(&fresh, request) != 0)
        return NULL;
    char key[160];
    (void)snprintf(key, sizeof(key), "%s %u", request->unix_path ? request->unix_path : request->ip,
                   request->unix_path ? 0u : request->port); /* fits: fill_address bounds both forms */
    struct client_pool *pool = map_get(&c->pools, key);
    if (pool != NULL)
        return pool;
    pool = xmemdup(&fresh, sizeof(fresh));
    pool->client = c;
    pool->key = xstrdup(key);
    list_init(&pool->idle);
    list_init(&pool->waiting);
    (void)map_put(&c->pools, key, pool); /* it was not there */
    return pool;
}

void client_pool_drop_if_unused(struct client_pool *pool)
{
    if (pool->connections > 0 || pool->calls > 0)
        return;
    (void)map_remove(&pool->client->pools, pool->key); /* which is this pool */
    free(pool->key);
    free(pool);
}

/* --- dispatch --- */

static void fail_later(struct http_call *call, int error, const char *text)
{
    call->error = error;
    call->text = text;
    list_push_back(&call->client->failed, &call->in_failed);
    client_schedule_work(call->client);
}

void client_dispatch(struct http_call *call)
{
    struct client_pool *pool = call->pool;
    bool is_counted = !call->is_fresh && !call->is_stream;
    if (is_counted && pool->counted >= COUNTED_MAX) {
        list_push_back(&pool->waiting, &call->in_waiting);
        client_watch_call(call);
        return;
    }
    while (is_counted && !call->is_retry && !list_is_empty(&pool->idle)) {
        struct client_connection *k = container_of(pool->idle.next, struct client_connection, in_pool);
        if (client_connection_is_quiet(k)) {
            client_connection_assign(k, call);
            return;
        }
        client_connection_kill(k);
    }
    const char *text = NULL;
    int rc = client_connection_open(call, &text);
    if (rc != 0)
        fail_later(call, rc, text);
}

void client_dispatch_waiting(struct client_pool *pool)
{
    while (pool->counted < COUNTED_MAX && !list_is_empty(&pool->waiting)) {
        struct list *it = list_pop_front(&pool->waiting);
        client_dispatch(container_of(it, struct http_call, in_waiting));
    }
}

/* --- end of calls --- */

static void free_call(struct http_call *call)
{
    list_remove(&call->in_client);
    list_remove(&call->in_waiting);
    list_remove(&call->in_failed);
    heap_remove(&call->client->call_deadlines, &call->deadline);
    if (call->connection != NULL) {
        call->connection->call = NULL;
        client_connection_kill(call->connection);
    }
    if (call->pool != NULL) {
        call->pool->calls--;
        client_pool_drop_if_unused(call->pool);
    }
    free(call->bytes);
    free(call);
}

void client_finish(struct http_call *call, const struct http_message *response, int error, const char *text)
{
    struct http_client *c = call->client;
    struct http_callbacks callbacks = call->callbacks;
    void *ctx = call->ctx;
    /* When the answer is there the connection has its own way: pooled or dead. */
    call->connection = NULL;
    free_call(call);
    if (callbacks.done == NULL)
        return;
    c->depth++;
    callbacks.done(ctx, response, error, text);
    c->depth--;
}

void http_call_cancel(struct http_call *call)
{
    if (call != NULL)
        free_call(call);
}

static void on_work(void *ctx)
{
    struct http_client *c = ctx;
    struct list now, *it;
    list_init(&now);
    while ((it = list_pop_front(&c->failed)) != NULL)
        list_push_back(&now, it);
    while ((it = list_pop_front(&now)) != NULL) {
        struct http_call *call = container_of(it, struct http_call, in_failed);
        client_finish(call, NULL, call->error, call->text);
    }
    while ((it = list_pop_front(&c->dead)) != NULL)
        client_connection_free(container_of(it, struct client_connection, in_dead));
}

static void on_deadline(void *ctx)
{
    struct http_client *c = ctx;
    int64_t now = loop_now_ms(c->loop);
    struct heap_node *node;
    while ((node = heap_pop_due(&c->idle_deadlines, now)) != NULL)
        client_connection_kill(container_of(node, struct client_connection, idle_deadline));
    while ((node = heap_pop_due(&c->call_deadlines, now)) != NULL) {
        struct http_call *call = container_of(node, struct http_call, deadline);
        const char *text = "no answer in time";
        if (call->connection != NULL) {
            text = call->connection->is_connecting ? "no connection in time" : text;
            call->connection->call = NULL;
            client_connection_kill(call->connection);
        }
        client_finish(call, NULL, -ETIMEDOUT, text);
    }
    c->deadline_armed_ms = INT64_MAX;
    client_arm(c);
}

/* --- start --- */

static bool is_one_of(const char *method, const char *const *methods)
{
    for (; *methods != NULL; methods++) {
        if (strcmp(method, *methods) == 0)
            return true;
    }
    return false;
}

static bool is_plain(const char *s)
{
    if (s == NULL || *s == '\0')
        return false;
    for (; *s != '\0'; s++) {
        if ((unsigned char)*s <= ' ' || *s == 0x7f)
            return false;
    }
    return true;
}

/* Puts the request into bytes: head and body in one piece, so that they are sent in one. */
static int encode(struct http_call *call, const struct http_request *request)
{
    if (!is_plain(request->method) || !is_plain(request->target))
        return -EINVAL;
    struct buf head;
    buf_init(&head, HEAD_BYTES_MAX);
    int rc = buf_printf(&head, "%s %s HTTP/1.1\r\n", request->method, request->target);
    if (request->unix_path != NULL)
        rc = rc ? rc : buf_append_str(&head, "Host: localhost\r\n");
    else
        rc = rc ? rc
                : buf_printf(&head, strchr(request->ip, ':') ? "Host: [%s]:%u\r\n" : "Host: %s:%u\r\n", request->ip,
                             request->port);
    if (request->body_streams)
        rc = rc ? rc : buf_append_str(&head, "Transfer-Encoding: chunked\r\n");
    else if (request->body_len > 0 || is_one_of(request->method, (const char *const[]){"POST", "PUT", "PATCH", NULL}))
        rc = rc ? rc : buf_printf(&head, "Content-Length: %zu\r\n", request->body_len);
    if (request->content_type != NULL)
        rc = rc ? rc : http_put_header(&head, "Content-Type", request->content_type);
    for (size_t i = 0; i < request->header_count; i++)
        rc = rc ? rc : http_put_header(&head, request->headers[i].name, request->headers[i].value);
    rc = rc ? rc : buf_append_str(&head, "\r\n");
    if (rc == 0) {
        size_t body_len = request->body_streams ? 0 : request->body_len;
        call->len = buf_len(&head) + body_len;
        call->bytes = xmalloc(call->len);
        memcpy(call->bytes, buf_data(&head), buf_len(&head));
        if (body_len > 0)
            memcpy(call->bytes + buf_len(&head), request->body, body_len);
    }
    buf_deinit(&head);
    return rc;
}

struct http_call *http_call_start(struct http_client *c, const struct http_request *request,
                                  const struct http_callbacks *callbacks, void *ctx)
{
    struct http_call *call = xcalloc(1, sizeof(*call));
    call->client = c;
    call->callbacks = *callbacks;
    call->ctx = ctx;
    call->body_bytes_max = request->body_bytes_max ? request->body_bytes_max : HTTP_BODY_BYTES_MAX;
    call->is_stream = callbacks->headers_done != NULL || callbacks->data != NULL;
    call->is_fresh = request->fresh_connection || callbacks->upgraded != NULL || request->body_streams;
    call->has_open_body = request->body_streams;
    list_init(&call->in_waiting);
    list_init(&call->in_failed);
    list_push_back(&c->calls, &call->in_client);
    int64_t now = loop_now_ms(c->loop);
    call->connect_deadline_ms = now + (request->connect_timeout_ms ? request->connect_timeout_ms : CONNECT_TIMEOUT_MS);
    call->deadline_ms = now + (request->timeout_ms ? request->timeout_ms : TIMEOUT_MS);
    call->pool = find_pool(c, request);
    if (call->pool == NULL) {
        fail_later(call, -EINVAL, "not a numeric address, or the path of the socket is too long");
        return call;
    }
    call->pool->calls++;
    int rc = encode(call, request);
    if (rc != 0) {
        fail_later(call, rc, "the request cannot be sent: bad method or target, or too many headers");
        return call;
    }
    call->is_head = strcmp(request->method, "HEAD") == 0;
    call->is_idempotent = is_one_of(request->method, (const char *const[]){"GET", "HEAD", "PUT", "DELETE", NULL});
    client_dispatch(call);
    return call;
}

/* --- streamed bodies --- */

static void append(struct http_call *call, const void *data, size_t len)
{
    if (call->sent == call->len)
        call->sent = call->len = 0;
    call->bytes = xrealloc(call->bytes, call->len + len);
    memcpy(call->bytes + call->len, data, len);
    call->len += len;
}

static void send_more(struct http_call *call)
{
    if (call->connection != NULL)
        client_connection_send(call->connection);
}

void http_call_send(struct http_call *call, const void *data, size_t len)
{
    char line[24];
    CHECK(call->has_open_body);
    if (len == 0)
        return; /* an empty chunk would end the body */
    append(call, line, (size_t)snprintf(line, sizeof(line), "%zx\r\n", len));
    append(call, data, len);
    append(call, "\r\n", 2);
    send_more(call);
}

void http_call_end_body(struct http_call *call)
{
    CHECK(call->has_open_body);
    call->has_open_body = false;
    append(call, "0\r\n\r\n", 5);
    send_more(call);
}

size_t http_call_unsent(const struct http_call *call)
{
    return call->len - call->sent;
}

/* --- life --- */

struct http_client *http_client_new(struct loop *loop)
{
    struct http_client *c = xcalloc(1, sizeof(*c));
    c->loop = loop;
    map_init(&c->pools);
    list_init(&c->calls);
    list_init(&c->failed);
    list_init(&c->dead);
    heap_init(&c->call_deadlines);
    heap_init(&c->idle_deadlines);
    c->deadline_armed_ms = INT64_MAX;
    c->work_timer = loop_timer_add(loop, on_work, c);
    c->deadline_timer = loop_timer_add(loop, on_deadline, c);
    c->read_buffer = xmalloc(READ_SIZE);
    return c;
}

struct http_client *http_client_free(struct http_client *c)
{
    if (c == NULL)
        return NULL;
    CHECK(c->depth == 0);
    while (!list_is_empty(&c->calls))
        free_call(container_of(c->calls.next, struct http_call, in_client));
    for (struct map_entry *e = map_first(&c->pools); e != NULL; e = map_next(e)) {
        struct client_pool *pool = map_value(e);
        while (!list_is_empty(&pool->idle))
            client_connection_kill(container_of(pool->idle.next, struct client_connection, in_pool));
    }
    struct list *it;
    while ((it = list_pop_front(&c->dead)) != NULL)
        client_connection_free(container_of(it, struct client_connection, in_dead));
    CHECK(map_count(&c->pools) == 0);
    map_deinit(&c->pools);
    loop_timer_remove(c->work_timer);
    loop_timer_remove(c->deadline_timer);
    heap_deinit(&c->call_deadlines);
    heap_deinit(&c->idle_deadlines);
    free(c->read_buffer);
    free(c);
    return NULL;
}
