/* SPDX-License-Identifier: Apache-2.0
 * serve_tcp.c - TCP, on the loop: questions one after the other on a connection, answers as they are ready (RFC 7766), in
 * any order when some are forwarded. A connection that is silent, or does not read, is closed; when there are too many the
 * one that has been silent longest makes room. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/buf.h"
#include "common/base/check.h"
#include "common/base/heap.h"
#include "common/base/map.h"
#include "dns/serve.h"

#define READ_BYTES 16384
#define QUERIES_PER_TURN 64 /* of one connection, then others have their turn */

struct connection {
    struct dns_serve_tcp *owner;
    uint64_t id;
    int fd;
    struct loop_fd *watch;
    struct heap_node idle; /* when it is closed */
    struct buf in, out;
    unsigned pending; /* forwarded questions */
    bool is_allowed;
    bool has_ended; /* the client sends no more; answers still go out */
};

struct dns_serve_tcp {
    struct dns_serve_config config;
    int fd;
    struct loop_fd *watch;
    struct loop_timer *timer, *again;
    struct map connections; /* by id */
    struct heap idle;
    uint64_t last_id;
    struct dns_query_engine engine;
    struct dns_serve_counts counts;
    uint8_t answer[DNS_MESSAGE_MAX];
};

static void connection_close(struct connection *c)
{
    struct dns_serve_tcp *s = c->owner;
    (void)map_remove_n(&s->connections, &c->id, sizeof(c->id));
    heap_remove(&s->idle, &c->idle);
    loop_fd_remove(c->watch);
    (void)close(c->fd);
    buf_deinit(&c->in);
    buf_deinit(&c->out);
    free(c);
}

static void start_timer(struct dns_serve_tcp *s)
{
    const struct heap_node *node = heap_peek(&s->idle);
    if (!node) {
        loop_timer_stop(s->timer);
        return;
    }
    int64_t delay = node->key_ms - loop_now_ms(s->config.loop);
    if (!loop_timer_is_active(s->timer))
        loop_timer_start(s->timer, delay > 0 ? delay : 0);
}

static void on_timer(void *ctx)
{
    struct dns_serve_tcp *s = ctx;
    struct heap_node *node;
    while ((node = heap_pop_due(&s->idle, loop_now_ms(s->config.loop))) != NULL)
        connection_close(container_of(node, struct connection, idle));
    start_timer(s);
}

static void touch(struct connection *c)
{
    heap_set(&c->owner->idle, &c->idle, loop_now_ms(c->owner->config.loop) + c->owner->config.idle_timeout_ms);
}

static bool may_answer(const struct connection *c)
{
    return c->pending < SERVE_TCP_PENDING_MAX && buf_len(&c->out) < SERVE_TCP_OUTPUT_MAX;
}

static bool may_read(const struct connection *c)
{
    return !c->has_ended && may_answer(c);
}

static bool has_message(const struct connection *c)
{
    return buf_len(&c->in) >= 2 && buf_len(&c->in) >= 2 + (size_t)dns_get16(buf_data(&c->in));
}

static int put_answer(struct connection *c, const void *packet, size_t len)
{
    uint8_t prefix[2];
    dns_put16(prefix, (unsigned)len);
    int result = buf_append(&c->out, prefix, 2);
    return result < 0 ? result : buf_append(&c->out, packet, len);
}

/* Writes what the socket takes. False when the connection is gone. */
static bool flush(struct connection *c)
{
    while (buf_len(&c->out) > 0) {
        ssize_t n = send(c->fd, buf_data(&c->out), buf_len(&c->out), MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n > 0) {
            buf_consume(&c->out, (size_t)n);
            touch(c);
        } else if (n < 0 && errno == EAGAIN) {
            break;
        } else if (n < 0 && errno != EINTR) {
            connection_close(c);
            return false;
        }
    }
    if (c->has_ended && buf_len(&c->out) == 0 && c->pending == 0 && !has_message(c)) {
        connection_close(c);
        return false;
    }
    loop_fd_set(c->watch, (may_read(c) ? LOOP_READ : 0u) | (buf_len(&c->out) > 0 ? LOOP_WRITE : 0u));
    return true;
}

/* One message. False when the connection is gone. */
static bool answer_one(struct connection *c, const uint8_t *packet, size_t len)
{
    struct dns_serve_tcp *s = c->owner;
    struct dns_question q;
    size_t out_len = 0;
    enum dns_query_verdict verdict = QUERY_ANSWER;
    s->counts.queries++;
    if (!c->is_allowed) {
        s->counts.refused++;
        if (dns_question_parse(packet, len, &q) == DNS_E_DROP)
            verdict = QUERY_DROP;
        else
            out_len = dns_answer_error(packet, &q, 0, DNS_REFUSED, s->answer);
    } else {
        const struct dns_zone_snapshot *snapshot = dns_zone_enter(s->config.publisher, s->config.reader);
        verdict = dns_query_answer(&s->engine, snapshot, packet, len, true, s->answer, &out_len, &q);
        dns_zone_leave(s->config.publisher, s->config.reader);
    }
    if (verdict == QUERY_DROP || (verdict == QUERY_ANSWER && put_answer(c, s->answer, out_len) < 0)) {
        s->counts.dropped++;
        connection_close(c); /* who sends no questions has no business here */
        return false;
    }
    if (verdict == QUERY_FORWARD) {
        struct dns_serve_question question = {
            .client = {.is_tcp = true, .connection = c->id}, .q = q, .packet = packet, .len = len};
        uint64_t id = c->id;
        s->counts.forwarded++;
        c->pending++;
        s->config.forward(s->config.ctx, &question); /* may answer at once, and close it */
        return map_get_n(&s->connections, &id, sizeof(id)) != NULL;
    }
    return true;
}

/* Takes the messages that are there. False when the connection is gone. */
static bool answer_all(struct connection *c)
{
    uint8_t packet[DNS_MESSAGE_MAX];
    for (unsigned i = 0; has_message(c) && may_answer(c); i++) {
        if (i == QUERIES_PER_TURN) {
            loop_timer_start(c->owner->again, 0);
            break;
        }
        size_t len = dns_get16(buf_data(&c->in));
        memcpy(packet, buf_data(&c->in) + 2, len);
        buf_consume(&c->in, 2 + len);
        if (!answer_one(c, packet, len))
            return false;
    }
    return flush(c);
}

static void on_again(void *ctx)
{
    struct dns_serve_tcp *s = ctx;
    for (struct map_entry *e = map_first(&s->connections), *next; e; e = next) {
        next = map_next(e);
        if (has_message(map_value(e)))
            (void)answer_all(map_value(e)); /* closes that connection only */
    }
}

static void on_ready(void *ctx, int fd, unsigned ready)
{
    struct connection *c = ctx;
    if ((ready & LOOP_WRITE) && !(has_message(c) ? answer_all(c) : flush(c)))
        return;
    if (!(ready & LOOP_READ) || !may_read(c))
        return;
    uint8_t *room = buf_reserve(&c->in, READ_BYTES);
    if (!room) { /* a message waits to be answered first */
        (void)answer_all(c);
        return;
    }
    ssize_t n = recv(fd, room, READ_BYTES, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n < 0) {
        connection_close(c);
        return;
    }
    if (n == 0) {
        c->has_ended = true;
        (void)answer_all(c);
        return;
    }
    buf_commit(&c->in, (size_t)n);
    touch(c);
    (void)answer_all(c); /* c may be gone; the timer is of the connection silent longest, whoever that is */
}

static void on_accept(void *ctx, int fd, unsigned ready)
{
    struct dns_serve_tcp *s = ctx;
    union dns_serve_address peer;
    socklen_t len = sizeof(peer);
    (void)ready;
    int client = accept4(fd, &peer.any, &len, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (client < 0) {
        /* The client went away; or descriptors are short, and then the one silent longest makes room. */
        if ((errno == EMFILE || errno == ENFILE) && heap_peek(&s->idle))
            connection_close(container_of(heap_peek(&s->idle), struct connection, idle));
        return;
    }
    if (map_count(&s->connections) >= s->config.connections_max)
        connection_close(container_of(heap_peek(&s->idle), struct connection, idle));
    struct connection *c = xcalloc(1, sizeof(*c));
    struct dns_ip ip = dns_serve_ip(&peer);
    int on = 1;
    (void)setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)); /* slower without */
    c->owner = s;
    c->id = ++s->last_id;
    c->fd = client;
    c->is_allowed = dns_network_has(s->config.allow, s->config.allow_count, &ip);
    buf_init(&c->in, 2 + DNS_MESSAGE_MAX + READ_BYTES);
    buf_init(&c->out, SERVE_TCP_OUTPUT_MAX + 2 * (DNS_MESSAGE_MAX + 2) + SERVE_TCP_PENDING_MAX * (DNS_MESSAGE_MAX + 2));
    (void)map_put_n(&s->connections, &c->id, sizeof(c->id), c);
    c->watch = loop_fd_add(s->config.loop, client, LOOP_READ, on_ready, c);
    touch(c);
    start_timer(s);
}

void dns_serve_tcp_send(struct dns_serve_tcp *s, const struct dns_serve_client *client, const void *packet, size_t len)
{
    struct connection *c = map_get_n(&s->connections, &client->connection, sizeof(client->connection));
    if (!c)
        return;
    c->pending--;
    if (put_answer(c, packet, len) < 0) {
        connection_close(c);
        return;
    }
    if (!flush(c))
        return;
    if (has_message(c))
        loop_timer_start(s->again, 0);
}

int dns_serve_tcp_start(const struct dns_serve_config *config, struct dns_serve_tcp **out, struct err *err)
{
    union dns_serve_address address;
    socklen_t len = dns_serve_sockaddr(&config->ip, config->port, &address);
    int on = 1, off = 0, fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return err_sys(err, -errno, "TCP socket");
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)); /* bind says so if it matters */
    if (config->ip.size == 16)
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off)); /* IPv4 as well where the system allows it */
    if (bind(fd, &address.any, len) < 0 || listen(fd, 512) < 0) {
        int result = -errno;
        char text[64];
        (void)inet_ntop(address.any.sa_family, config->ip.bytes, text, sizeof(text)); /* cannot fail */
        (void)close(fd);
        return err_sys(err, result, "TCP %s port %u", text, config->port);
    }
    struct dns_serve_tcp *s = xcalloc(1, sizeof(*s));
    s->config = *config;
    s->fd = fd;
    s->engine.config = config->query;
    rng_seed(&s->engine.rng, config->seed ^ UINT64_C(0x7463700000000000));
    map_init(&s->connections);
    heap_init(&s->idle);
    s->timer = loop_timer_add(config->loop, on_timer, s);
    s->again = loop_timer_add(config->loop, on_again, s);
    s->watch = loop_fd_add(config->loop, fd, LOOP_READ, on_accept, s);
    *out = s;
    return 0;
}

struct dns_serve_tcp *dns_serve_tcp_stop(struct dns_serve_tcp *s)
{
    if (!s)
        return NULL;
    for (struct map_entry *e = map_first(&s->connections), *next; e; e = next) {
        next = map_next(e);
        connection_close(map_value(e));
    }
    loop_fd_remove(s->watch);
    loop_timer_remove(s->timer);
    loop_timer_remove(s->again);
    (void)close(s->fd);
    map_deinit(&s->connections);
    heap_deinit(&s->idle);
    free(s);
    return NULL;
}

void dns_serve_tcp_counts(const struct dns_serve_tcp *s, struct dns_serve_counts *out)
{
    *out = s->counts;
    out->answers = s->engine.answers;
    out->denials = s->engine.denials;
    out->errors = s->engine.errors;
}

size_t dns_serve_tcp_connections(const struct dns_serve_tcp *s)
{
    return map_count(&s->connections);
}
