/* SPDX-License-Identifier: Apache-2.0
 * The server's connections as a state machine: the input is a list of operations of a client (send, read, close), of the
 * handlers (answer, stream, abort, upgrade) and of the clock, on a loop of this file that steps when told. Whatever the
 * order, every exchange ends once and nothing is left behind. */
#include <poll.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/check.h"
#include "common/http/server_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* --- a loop with a clock of its own --- */

struct loop {
    struct list fds, timers, idles;
    int64_t now_ms;
};
struct loop_fd {
    struct list in_loop;
    struct loop *loop;
    int fd;
    unsigned events;
    loop_fd_fn fn;
    void *ctx;
};
struct loop_timer {
    struct list in_loop;
    struct loop *loop;
    int64_t due_ms; /* INT64_MAX: stopped */
    loop_timer_fn fn;
    void *ctx;
};
struct loop_idle {
    struct list in_loop;
    void (*fn)(void *ctx);
    void *ctx;
};

int64_t loop_now_ms(struct loop *l)
{
    return l->now_ms;
}
int64_t loop_wall_ms(struct loop *l)
{
    return l->now_ms;
}
struct loop_fd *loop_fd_add(struct loop *l, int fd, unsigned events, loop_fd_fn fn, void *ctx)
{
    struct loop_fd *w = xcalloc(1, sizeof(*w));
    *w = (struct loop_fd){.loop = l, .fd = fd, .events = events, .fn = fn, .ctx = ctx};
    list_push_back(&l->fds, &w->in_loop);
    return w;
}
void loop_fd_set(struct loop_fd *w, unsigned events)
{
    w->events = events;
}
struct loop_fd *loop_fd_remove(struct loop_fd *w)
{
    if (w != NULL)
        list_remove(&w->in_loop);
    free(w);
    return NULL;
}
struct loop_timer *loop_timer_add(struct loop *l, loop_timer_fn fn, void *ctx)
{
    struct loop_timer *t = xcalloc(1, sizeof(*t));
    *t = (struct loop_timer){.loop = l, .due_ms = INT64_MAX, .fn = fn, .ctx = ctx};
    list_push_back(&l->timers, &t->in_loop);
    return t;
}
void loop_timer_start(struct loop_timer *t, int64_t delay_ms)
{
    t->due_ms = t->loop->now_ms + (delay_ms > 0 ? delay_ms : 0);
}
void loop_timer_stop(struct loop_timer *t)
{
    t->due_ms = INT64_MAX;
}
bool loop_timer_is_active(const struct loop_timer *t)
{
    return t->due_ms != INT64_MAX;
}
struct loop_timer *loop_timer_remove(struct loop_timer *t)
{
    if (t != NULL)
        list_remove(&t->in_loop);
    free(t);
    return NULL;
}
struct loop_idle *loop_before_sleep_add(struct loop *l, void (*fn)(void *ctx), void *ctx)
{
    struct loop_idle *i = xcalloc(1, sizeof(*i));
    i->fn = fn;
    i->ctx = ctx;
    list_push_back(&l->idles, &i->in_loop);
    return i;
}
struct loop_idle *loop_before_sleep_remove(struct loop_idle *i)
{
    if (i != NULL)
        list_remove(&i->in_loop);
    free(i);
    return NULL;
}

/* One turn for one connection: its descriptor, the timers, the flush. */
static void turn(struct loop *l)
{
    struct list *last = l->fds.prev; /* the connection's; the listener is never ready */
    if (last != &l->fds) {
        struct loop_fd *w = container_of(last, struct loop_fd, in_loop);
        struct pollfd p = {
            .fd = w->fd, .events = (short)((w->events & LOOP_READ ? POLLIN : 0) | (w->events & LOOP_WRITE ? POLLOUT : 0))};
        if (w->events != 0 && poll(&p, 1, 0) > 0) {
            bool broken = p.revents & (POLLERR | POLLHUP);
            unsigned ready =
                (p.revents & POLLIN || broken ? LOOP_READ : 0u) | (p.revents & POLLOUT || broken ? LOOP_WRITE : 0u);
            if ((ready & w->events) != 0)
                w->fn(w->ctx, w->fd, ready & w->events);
        }
    }
    list_for_each(it, &l->timers)
    {
        struct loop_timer *t = container_of(it, struct loop_timer, in_loop);
        if (t->due_ms <= l->now_ms) {
            t->due_ms = INT64_MAX;
            t->fn(t->ctx);
        }
    }
    list_for_each(it, &l->idles) container_of(it, struct loop_idle, in_loop)
        ->fn(container_of(it, struct loop_idle, in_loop)->ctx);
}

/* --- the handlers' side --- */

#define LIVE_MAX 64

struct live {
    struct http_exchange *x;
    bool is_stream;
};

static struct loop loop;
static struct http_server *server;
static struct live live[LIVE_MAX];
static size_t live_count;

static void forget(size_t i)
{
    memmove(&live[i], &live[i + 1], (--live_count - i) * sizeof(live[0]));
}

static void on_closed(void *ctx, struct http_exchange *x)
{
    (void)ctx;
    for (size_t i = 0; i < live_count; i++) {
        if (live[i].x == x) {
            forget(i);
            return;
        }
    }
    CHECK(!"an exchange was closed that is not alive");
}

static void handle(void *ctx, struct http_exchange *x, const struct http_message *m)
{
    (void)ctx;
    CHECK(live_count < LIVE_MAX);
    if (m->path[1] == 'n') {
        http_reply(x, 200, "text/plain", m->body, m->body_len);
        return;
    }
    http_exchange_on_closed(x, on_closed, NULL);
    live[live_count++] = (struct live){x, false};
}

static const char filler[300000];

static void act(uint8_t what, uint8_t which, uint8_t amount)
{
    if (live_count == 0)
        return;
    size_t i = which % live_count;
    struct http_exchange *x = live[i].x;
    if (live[i].is_stream) {
        if (what % 4 == 0)
            http_stream_end(x);
        else if (what % 4 == 1)
            http_exchange_abort(x);
        else
            (void)http_stream_write(x, filler, amount * 1000u); /* cut off or not: closed tells */
        if (what % 4 < 2)
            forget(i);
        return;
    }
    switch (what % 4) {
    case 0:
        http_add_header(x, "X", "y");
        forget(i); /* before the answer: no closed call may follow */
        http_reply(x, amount % 16 == 0 ? 204 : 200, "text/plain", filler, amount * 1000u);
        break;
    case 1:
        http_stream_begin(x, 200, "application/json", 400000);
        live[i].is_stream = true;
        break;
    case 2: {
        int fd;
        void *rest;
        size_t rest_len;
        if (http_upgrade(x, "muster-link/1", &fd, &rest, &rest_len) == 0) {
            forget(i);
            free(rest);
            close(fd);
        }
        break;
    }
    default:
        forget(i);
        http_exchange_abort(x);
    }
}

/* --- the client's side --- */

static const char *const canned[] = {
    "GET /later HTTP/1.1\r\nHost: t\r\n\r\n",
    "GET /now HTTP/1.1\r\nHost: t\r\n\r\n",
    "POST /now HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    "POST /later HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\n\r\n",
    "HEAD /later HTTP/1.1\r\nHost: t\r\n\r\n",
    "GET /later HTTP/1.0\r\n\r\n",
    "POST /now HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n",
    "GET /later HTTP/1.1\r\nHost: t\r\nConnection: Upgrade\r\nUpgrade: muster-link/1\r\n\r\n",
    "GET /later HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n",
    "GET /later HTTP/1.1\r\nHost: t\r\nAccept-Encoding: gzip\r\n\r\n",
};

static void client_send(int fd, const void *data, size_t len)
{
    (void)!send(fd, data, len, MSG_NOSIGNAL | MSG_DONTWAIT); /* a closed or full peer is part of the game */
}

static void start_server(void)
{
    list_init(&loop.fds);
    list_init(&loop.timers);
    list_init(&loop.idles);
    loop.now_ms = 1000000;
    struct http_server_config config = {.ip = "127.0.0.1", .body_bytes_max = 5000};
    CHECK(http_server_start(&loop, &config, handle, NULL, &server, NULL) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (server == NULL)
        start_server();
    int pair[2];
    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0);
    struct sockaddr_un peer = {.sun_family = AF_UNIX};
    (void)connection_new(server, pair[0], (struct sockaddr *)&peer, sizeof(peer));
    size_t at = 0;
#define NEXT (at < size ? data[at++] : 0)
    while (at < size) {
        uint8_t op = NEXT;
        if (op < 64) {
            size_t len = op < size - at ? op : size - at;
            client_send(pair[1], data + at, len);
            at += len;
        } else if (op < 128) {
            const char *request = canned[op % (sizeof(canned) / sizeof(canned[0]))];
            client_send(pair[1], request, strlen(request));
        } else if (op < 192) {
            uint8_t which = NEXT;
            act(op, which, NEXT);
        } else if (op < 208) {
            char taken[65536];
            (void)!recv(pair[1], taken, sizeof(taken), MSG_DONTWAIT); /* reads what there is */
        } else if (op < 224) {
            loop.now_ms += (op - 207) * 5000;
        } else if (op < 232) {
            shutdown(pair[1], SHUT_WR);
        } else if (op < 240) {
            client_send(pair[1], filler, 70000);
        }
        size_t idle = 0;
        list_for_each(it, &server->idle)
            CHECK(++idle == 1); /* there is one connection: it is in the line once or not at all */
        if (op < 248)           /* several operations may happen in one turn */
            turn(&loop);
    }
#undef NEXT
    close(pair[1]);
    for (int i = 0; i < 4; i++)
        turn(&loop);
    if (http_server_connections(server) > 0) { /* it reads nothing more: time or an answer ends it */
        while (live_count > 0)
            http_exchange_abort(live[--live_count].x);
        for (int i = 0; i < 4; i++) {
            turn(&loop);
            loop.now_ms += 200000;
        }
    }
    CHECK(http_server_connections(server) == 0 && live_count == 0);
    CHECK(server->buffered_bytes == 0 && server->deadlines.count == 0);
    CHECK(list_is_empty(&server->dirty) && list_is_empty(&server->work));
    return 0;
}
