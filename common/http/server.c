/* SPDX-License-Identifier: Apache-2.0
 * server.c - listener, caps, the shared timers and the two passes over connections: flushing before sleep, and work
 * (taking down, parsing on) at the start of a turn. */
#include "common/http/server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/base/check.h"
#include "common/base/cleanup.h"
#include "common/http/server_internal.h"

#define CONNECTIONS_MAX 4096
#define HEADER_TIMEOUT_MS 10000
#define IDLE_TIMEOUT_MS 75000
#define WRITE_TIMEOUT_MS 60000
#define BUFFERED_BYTES_MAX (512u << 20)
#define BACKLOG 1024
#define ACCEPTS_PER_TURN 64 /* a flood of connections must not keep the others waiting */
#define ACCEPT_RETRY_MS 100 /* after the kernel had no memory or descriptors */

const char *server_date(struct http_server *s)
{
    int64_t second = loop_wall_ms(s->loop) / 1000;
    if (second != s->date_second) {
        time_t t = (time_t)second;
        struct tm tm;
        CHECK(gmtime_r(&t, &tm) != NULL);
        CHECK(strftime(s->date, sizeof(s->date), "%a, %d %b %Y %H:%M:%S GMT", &tm) > 0);
        s->date_second = second;
    }
    return s->date;
}

/* --- passes --- */

void server_schedule_work(struct http_server *s)
{
    if (!loop_timer_is_active(s->work_timer))
        loop_timer_start(s->work_timer, 0);
}

static void flush_dirty(struct http_server *s)
{
    struct list *it;
    while ((it = list_pop_front(&s->dirty)) != NULL)
        connection_flush(container_of(it, struct connection, in_dirty));
}

static void on_before_sleep(void *ctx)
{
    struct http_server *s = ctx;
    flush_dirty(s);
    if (list_is_empty(&s->work))
        loop_timer_stop(s->work_timer);
}

static void on_work(void *ctx)
{
    struct http_server *s = ctx;
    struct list now, *it;
    list_init(&now);
    while ((it = list_pop_front(&s->work)) != NULL) /* what is added from here on belongs to the next turn */
        list_push_back(&now, it);
    while ((it = list_pop_front(&now)) != NULL) {
        struct connection *c = container_of(it, struct connection, in_work);
        if (c->is_doomed) {
            connection_take_down(c);
            continue;
        }
        connection_tell_drained(c);
        if (!c->is_doomed) /* else it is on the list again */
            connection_resume(c);
    }
}

static void arm_deadlines(struct http_server *s)
{
    const struct heap_node *first = heap_peek(&s->deadlines);
    if (first == NULL || first->key_ms >= s->deadline_armed_ms)
        return;
    s->deadline_armed_ms = first->key_ms;
    loop_timer_start(s->deadline_timer, first->key_ms - loop_now_ms(s->loop));
}

void server_watch_deadline(struct http_server *s, struct connection *c, int64_t deadline_ms)
{
    if (heap_is_in(&c->deadline) && c->deadline.key_ms <= deadline_ms)
        return;
    heap_set(&s->deadlines, &c->deadline, deadline_ms);
    arm_deadlines(s);
}

static void on_deadline(void *ctx)
{
    struct http_server *s = ctx;
    int64_t now = loop_now_ms(s->loop);
    struct heap_node *node;
    while ((node = heap_pop_due(&s->deadlines, now)) != NULL)
        connection_on_deadline(container_of(node, struct connection, deadline), now);
    s->deadline_armed_ms = INT64_MAX;
    arm_deadlines(s);
}

/* --- listener --- */

static void pause_accepting(struct http_server *s)
{
    loop_fd_set(s->listen_watch, 0);
    loop_timer_start(s->accept_again, ACCEPT_RETRY_MS);
}

static void on_accept_again(void *ctx)
{
    struct http_server *s = ctx;
    loop_fd_set(s->listen_watch, LOOP_READ);
}

/* No descriptor is left: the spare one makes room to take the connection off the backlog and close it, so that its client
 * knows and the listener does not stay ready for ever. */
static void refuse_one(struct http_server *s)
{
    if (s->spare_fd >= 0) {
        (void)close(s->spare_fd);
        int fd = accept4(s->listen_fd, NULL, NULL, SOCK_CLOEXEC);
        if (fd >= 0)
            (void)close(fd);
    }
    s->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (s->spare_fd < 0)
        pause_accepting(s);
}

/* At the cap: clients that keep connections for nothing must not shut out those who want something. */
static bool make_room(struct http_server *s)
{
    if (s->connection_count < s->config.connections_max)
        return true;
    struct list *it = list_pop_front(&s->idle);
    if (it == NULL)
        return false;
    connection_doom(container_of(it, struct connection, in_idle));
    return true;
}

static void on_listen(void *ctx, int listen_fd, unsigned ready)
{
    (void)ready;
    struct http_server *s = ctx;
    for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
        struct sockaddr_storage peer = {0};
        socklen_t peer_len = sizeof(peer);
        int fd = accept4(listen_fd, (struct sockaddr *)&peer, &peer_len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            if (errno == EMFILE || errno == ENFILE)
                refuse_one(s);
            else if (errno == ENOBUFS || errno == ENOMEM)
                pause_accepting(s);
            else if (errno != EAGAIN)
                continue; /* an error of that connection, not of the listener: accept(2) */
            return;
        }
        if (make_room(s))
            (void)connection_new(s, fd, (struct sockaddr *)&peer, peer_len);
        else
            (void)close(fd); /* all are busy */
    }
}

static int listen_unix(const char *path, struct err *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof(address.sun_path))
        return err_set(err, -ENAMETOOLONG, "socket %s: the path is longer than %zu bytes", path,
                       sizeof(address.sun_path) - 1);
    strcpy(address.sun_path, path);
    struct stat st;
    if (lstat(path, &st) == 0) {
        if (!S_ISSOCK(st.st_mode))
            return err_set(err, -EEXIST, "socket %s: something that is not a socket is there", path);
        if (unlink(path) != 0)
            return err_sys(err, -errno, "socket %s: remove the old one", path);
    }
    cleanup_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    /* The mode of the unbound socket becomes that of the file, so there is no moment in which others could connect. */
    if (fd < 0 || fchmod(fd, 0600) != 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0 ||
        chmod(path, 0600) != 0 || listen(fd, BACKLOG) != 0)
        return err_sys(err, -errno, "listen on socket %s", path);
    return steal_fd(&fd);
}

static int set_option(int fd, int level, int name, int value)
{
    return setsockopt(fd, level, name, &value, sizeof(value));
}

static int listen_tcp(const char *ip, uint16_t port, uint16_t *bound_port, struct err *err)
{
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } address = {0};
    socklen_t len = sizeof(address.v4);
    if (inet_pton(AF_INET, ip, &address.v4.sin_addr) == 1) {
        address.v4.sin_family = AF_INET;
        address.v4.sin_port = htons(port);
    } else if (inet_pton(AF_INET6, ip, &address.v6.sin6_addr) == 1) {
        address.v6.sin6_family = AF_INET6;
        address.v6.sin6_port = htons(port);
        len = sizeof(address.v6);
    } else {
        return err_set(err, -EINVAL, "listen on %s: not a numeric address", ip);
    }
    cleanup_close int fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    /* Accepted sockets inherit these: answers go out at once, and a peer that vanished without a word is noticed. */
    if (fd < 0 || set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1) != 0 || set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1) != 0 ||
        set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1) != 0 || set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, 60) != 0 ||
        set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, 15) != 0 || set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, 4) != 0 ||
        bind(fd, &address.any, len) != 0 || listen(fd, BACKLOG) != 0 || getsockname(fd, &address.any, &len) != 0)
        return err_sys(err, -errno, "listen on %s:%u", ip, port);
    *bound_port = ntohs(address.any.sa_family == AF_INET ? address.v4.sin_port : address.v6.sin6_port);
    return steal_fd(&fd);
}

/* --- life --- */

int http_server_start(struct loop *loop, const struct http_server_config *config, http_handler_fn handler, void *ctx,
                      struct http_server **out, struct err *err)
{
    uint16_t port = 0;
    int fd = config->unix_path ? listen_unix(config->unix_path, err) : listen_tcp(config->ip, config->port, &port, err);
    if (fd < 0)
        return fd;
    struct http_server *s = xcalloc(1, sizeof(*s));
    s->loop = loop;
    s->config = *config;
    s->config.connections_max = config->connections_max ? config->connections_max : CONNECTIONS_MAX;
    s->config.header_timeout_ms = config->header_timeout_ms ? config->header_timeout_ms : HEADER_TIMEOUT_MS;
    s->config.idle_timeout_ms = config->idle_timeout_ms ? config->idle_timeout_ms : IDLE_TIMEOUT_MS;
    s->config.write_timeout_ms = config->write_timeout_ms ? config->write_timeout_ms : WRITE_TIMEOUT_MS;
    s->config.buffered_bytes_max = config->buffered_bytes_max ? config->buffered_bytes_max : BUFFERED_BYTES_MAX;
    s->unix_path = config->unix_path ? xstrdup(config->unix_path) : NULL;
    s->config.unix_path = s->unix_path;
    s->config.ip = NULL; /* borrowed */
    s->handler = handler;
    s->ctx = ctx;
    s->listen_fd = fd;
    s->port = port;
    s->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    list_init(&s->connections);
    list_init(&s->idle);
    list_init(&s->dirty);
    list_init(&s->work);
    heap_init(&s->deadlines);
    s->deadline_armed_ms = INT64_MAX;
    s->read_buffer = xmalloc(READ_SIZE);
    s->before_sleep = loop_before_sleep_add(loop, on_before_sleep, s);
    s->work_timer = loop_timer_add(loop, on_work, s);
    s->deadline_timer = loop_timer_add(loop, on_deadline, s);
    s->accept_again = loop_timer_add(loop, on_accept_again, s);
    s->listen_watch = loop_fd_add(loop, fd, LOOP_READ, on_listen, s);
    *out = s;
    return 0;
}

uint16_t http_server_port(const struct http_server *s)
{
    return s->port;
}

size_t http_server_connections(const struct http_server *s)
{
    return s->connection_count;
}

struct http_server *http_server_stop(struct http_server *s)
{
    if (s == NULL)
        return NULL;
    CHECK(s->depth == 0);
    s->listen_watch = loop_fd_remove(s->listen_watch);
    (void)close(s->listen_fd); /* a listener has nothing to lose */
    if (s->spare_fd >= 0)
        (void)close(s->spare_fd);
    if (s->unix_path != NULL)
        (void)unlink(s->unix_path); /* the next start replaces what is left */
    while (!list_is_empty(&s->connections))
        connection_take_down(container_of(s->connections.next, struct connection, in_server));
    for (size_t i = 0; i < s->spare_count; i++) {
        arena_free(s->spare[i]->arena);
        buf_deinit(&s->spare[i]->headers);
        free(s->spare[i]);
    }
    loop_before_sleep_remove(s->before_sleep);
    loop_timer_remove(s->work_timer);
    loop_timer_remove(s->deadline_timer);
    loop_timer_remove(s->accept_again);
    heap_deinit(&s->deadlines);
    gzip_free(s->gzip);
    free(s->read_buffer);
    free(s->unix_path);
    free(s);
    return NULL;
}
