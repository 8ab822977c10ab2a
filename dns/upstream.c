/* SPDX-License-Identifier: Apache-2.0
 * upstream.c - see upstream.h. How long an attempt may take is the core's matter: it closes it. */
#include "dns/upstream.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/check.h"
#include "common/base/map.h"

struct connection {
    struct dns_upstream *owner;
    uint64_t attempt;
    int fd;
    bool is_tcp;
    struct loop_fd *watch;
    struct loop_timer *failure; /* tells of an error in a later turn */
    uint8_t *out;               /* TCP: what is not written yet */
    size_t out_len, out_at;
    uint8_t *in; /* TCP: length and message */
    size_t in_len, in_capacity;
};

struct dns_upstream {
    struct loop *loop;
    struct dns_upstream_handler handler;
    struct map connections; /* by attempt */
    uint8_t packet[DNS_MESSAGE_MAX];
};

struct dns_upstream *dns_upstream_new(struct loop *loop, const struct dns_upstream_handler *handler)
{
    struct dns_upstream *u = xcalloc(1, sizeof(*u));
    u->loop = loop;
    u->handler = *handler;
    map_init(&u->connections);
    return u;
}

static void connection_free(struct connection *c)
{
    (void)map_remove_n(&c->owner->connections, &c->attempt, sizeof(c->attempt));
    loop_fd_remove(c->watch);
    loop_timer_remove(c->failure);
    if (c->fd >= 0)
        (void)close(c->fd);
    free(c->out);
    free(c->in);
    free(c);
}

struct dns_upstream *dns_upstream_free(struct dns_upstream *u)
{
    if (!u)
        return NULL;
    for (struct map_entry *e = map_first(&u->connections), *next; e; e = next) {
        next = map_next(e);
        connection_free(map_value(e));
    }
    map_deinit(&u->connections);
    free(u);
    return NULL;
}

void dns_upstream_close(struct dns_upstream *u, uint64_t attempt)
{
    struct connection *c = map_get_n(&u->connections, &attempt, sizeof(attempt));
    if (c)
        connection_free(c);
}

/* Ends the connection, then tells. */
static void fail(struct connection *c)
{
    struct dns_upstream *u = c->owner;
    uint64_t attempt = c->attempt;
    connection_free(c);
    u->handler.failed(u->handler.ctx, attempt);
}

static void on_failure(void *ctx)
{
    fail(ctx);
}

static void read_udp(struct connection *c)
{
    struct dns_upstream *u = c->owner;
    uint64_t attempt = c->attempt;
    /* Wrong answers may come before the right one; what is not read now wakes us up again. */
    ssize_t n = recv(c->fd, u->packet, sizeof(u->packet), MSG_DONTWAIT);
    if (n > 0)
        u->handler.answer(u->handler.ctx, attempt, u->packet, (size_t)n);
    else if (n < 0 && errno != EAGAIN && errno != EINTR)
        fail(c);
}

static void write_tcp(struct connection *c)
{
    ssize_t n = send(c->fd, c->out + c->out_at, c->out_len - c->out_at, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN && errno != EINTR) {
        fail(c);
        return;
    }
    c->out_at += n > 0 ? (size_t)n : 0;
    if (c->out_at == c->out_len)
        loop_fd_set(c->watch, LOOP_READ);
}

static void read_tcp(struct connection *c)
{
    struct dns_upstream *u = c->owner;
    size_t wanted = c->in_len < 2 ? 2 : 2 + (size_t)dns_get16(c->in);
    if (c->in_capacity < wanted) {
        c->in = xrealloc(c->in, wanted);
        c->in_capacity = wanted;
    }
    ssize_t n = recv(c->fd, c->in + c->in_len, wanted - c->in_len, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        fail(c);
        return;
    }
    c->in_len += (size_t)n;
    if (c->in_len < 2 || c->in_len < 2 + (size_t)dns_get16(c->in))
        return;
    uint64_t attempt = c->attempt;
    size_t len = c->in_len - 2;
    memcpy(u->packet, c->in + 2, len);
    connection_free(c); /* one question, one answer */
    u->handler.answer(u->handler.ctx, attempt, u->packet, len);
}

static void on_ready(void *ctx, int fd, unsigned ready)
{
    struct connection *c = ctx;
    (void)fd;
    if (!c->is_tcp)
        read_udp(c);
    else if ((ready & LOOP_WRITE) && c->out_at < c->out_len)
        write_tcp(c);
    else
        read_tcp(c);
}

static int open_connection(struct connection *c, const struct dns_forward_effect *effect)
{
    union dns_serve_address address;
    socklen_t len = dns_serve_sockaddr(&effect->server->ip, effect->server->port, &address);
    c->fd = socket(address.any.sa_family, (c->is_tcp ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (c->fd < 0)
        return -errno;
    if (connect(c->fd, &address.any, len) < 0 && errno != EINPROGRESS)
        return -errno;
    if (!c->is_tcp && send(c->fd, effect->packet, effect->len, MSG_DONTWAIT) < 0 && errno != EAGAIN)
        return -errno;
    return 0;
}

void dns_upstream_send(struct dns_upstream *u, const struct dns_forward_effect *effect)
{
    struct connection *c = xcalloc(1, sizeof(*c));
    c->owner = u;
    c->attempt = effect->attempt;
    c->is_tcp = effect->is_tcp;
    (void)map_put_n(&u->connections, &c->attempt, sizeof(c->attempt), c);
    if (open_connection(c, effect) < 0) {
        c->failure = loop_timer_add(u->loop, on_failure, c);
        loop_timer_start(c->failure, 0);
        return;
    }
    if (c->is_tcp) {
        c->out = xmalloc(effect->len + 2);
        dns_put16(c->out, (unsigned)effect->len);
        memcpy(c->out + 2, effect->packet, effect->len);
        c->out_len = effect->len + 2;
    }
    c->watch = loop_fd_add(u->loop, c->fd, c->is_tcp ? LOOP_WRITE : LOOP_READ, on_ready, c);
}
