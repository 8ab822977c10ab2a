/* SPDX-License-Identifier: Apache-2.0
 * proxy_world.h - for tests of the user-space plane: real sockets, VIPs on 127.64.x.y, back ends on 127.0.0.1; the test is
 * client and server at once while the proxy has threads of its own. Every wait is bounded by the sockets' time-outs.
 * Include after cmocka.h. */
#pragma once

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "lb/plane.h"

#define BACKENDS 4
#define WAIT_S 10

#define WAIT_S 10

struct world {
    struct lb_plane *plane;
    struct lb_endpoint vip, udp_vip;
    int servers[BACKENDS]; /* listeners */
    struct lb_backend backends[BACKENDS];
};

/* -- sockets ----------------------------------------------------------------------------------------------------- */

static inline void set_timeouts(int fd)
{
    struct timeval wait = {.tv_sec = WAIT_S};
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)), 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait)), 0);
}

static inline int bound(const char *ip, int type, struct lb_endpoint *at)
{
    struct sockaddr_storage address;
    socklen_t len = sizeof(address);
    memset(at, 0, sizeof(*at));
    at->protocol = type == SOCK_DGRAM ? LB_UDP : LB_TCP;
    assert_int_equal(lb_endpoint_parse_ip(ip, at), 0);
    int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);
    len = lb_endpoint_to_sockaddr(at, &address);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, len), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    lb_endpoint_from_sockaddr(&address, at);
    set_timeouts(fd);
    return fd;
}

/* An address of our own with a port that is free just now. */
static inline struct lb_endpoint free_vip(int type)
{
    char ip[32];
    struct lb_endpoint at;
    (void)snprintf(ip, sizeof(ip), "127.64.%u.%u", (unsigned)getpid() >> 8 & 255, 1 + (unsigned)getpid() % 254);
    (void)close(bound(ip, type, &at));
    return at;
}

static inline int try_connect(const struct lb_endpoint *to)
{
    struct sockaddr_storage address;
    socklen_t len = lb_endpoint_to_sockaddr(to, &address);
    int fd = socket(AF_INET, (to->protocol == LB_UDP ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    set_timeouts(fd);
    if (connect(fd, (struct sockaddr *)&address, len) == 0)
        return fd;
    int result = -errno;
    (void)close(fd);
    return result;
}

static inline int connect_to(const struct lb_endpoint *to)
{
    int fd = try_connect(to);
    assert_true(fd >= 0);
    return fd;
}

/* Accepts at whichever of the back ends a connection comes to. */
static inline int accept_any(struct world *w, int *which)
{
    struct pollfd fds[BACKENDS];
    for (int i = 0; i < BACKENDS; i++)
        fds[i] = (struct pollfd){.fd = w->servers[i], .events = POLLIN};
    assert_true(poll(fds, BACKENDS, WAIT_S * 1000) > 0);
    for (int i = 0; i < BACKENDS; i++)
        if (fds[i].revents & POLLIN) {
            int fd = accept4(w->servers[i], NULL, NULL, SOCK_CLOEXEC);
            assert_true(fd >= 0);
            set_timeouts(fd);
            if (which)
                *which = i;
            return fd;
        }
    fail_msg("nobody came");
    return -1;
}

static inline void send_text(int fd, const char *text)
{
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

static inline void expect_text(int fd, const char *text)
{
    char got[256] = "";
    assert_int_equal(recv(fd, got, strlen(text), MSG_WAITALL), strlen(text));
    assert_string_equal(got, text);
}

static inline void expect_end(int fd)
{
    char c;
    assert_int_equal(recv(fd, &c, 1, 0), 0);
}

static inline void expect_reset(int fd)
{
    char c;
    assert_int_equal(recv(fd, &c, 1, 0), -1);
    assert_int_equal(errno, ECONNRESET);
}

static inline void close_reset(int fd)
{
    struct linger linger = {.l_onoff = 1};
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)), 0);
    (void)close(fd);
}

/* A client, the back end's side of its connection, and words that went both ways. */
static inline void open_pair(struct world *w, int *client, int *server, int *which)
{
    *client = connect_to(&w->vip);
    *server = accept_any(w, which);
    send_text(*client, "ping");
    expect_text(*server, "ping");
    send_text(*server, "pong");
    expect_text(*client, "pong");
}

/* -- the plane --------------------------------------------------------------------------------------------------- */

static inline void apply(struct world *w, const struct lb_endpoint *vip, const struct lb_backend *backends, size_t count)
{
    struct lb_change change = {.vip = *vip, .name = "x", .backends = backends, .backend_count = count};
    w->plane->ops->apply(w->plane, &change, 1);
}

static inline void apply_removal(struct world *w, const struct lb_endpoint *vip)
{
    struct lb_change change = {.vip = *vip, .name = "x", .is_removed = true};
    w->plane->ops->apply(w->plane, &change, 1);
}

struct numbers {
    struct lb_counters vip, backends[BACKENDS];
    struct world *w;
};

static inline void note_numbers(void *ctx, const struct lb_endpoint *backend, const struct lb_counters *counters)
{
    struct numbers *n = ctx;
    if (backend == NULL)
        n->vip = *counters;
    for (int i = 0; backend != NULL && i < BACKENDS; i++)
        if (lb_endpoint_compare(backend, &n->w->backends[i].at) == 0)
            n->backends[i] = *counters;
}

static inline struct numbers numbers(struct world *w, const struct lb_endpoint *vip)
{
    struct numbers n = {.w = w};
    w->plane->ops->counters(w->plane, vip, note_numbers, &n);
    return n;
}

/* The proxy ends connections a moment after we did. */
static inline void wait_until_idle(struct world *w, const struct lb_endpoint *vip)
{
    for (int i = 0; i < 5000 && numbers(w, vip).vip.active > 0; i++)
        (void)poll(NULL, 0, 1);
    assert_int_equal(numbers(w, vip).vip.active, 0);
}

static inline int setup_with(void **state, struct lb_proxy_config config)
{
    struct world *w = calloc(1, sizeof(*w));
    struct err err = {0};
    config.threads = 2;
    config.seed = 1;
    if (lb_plane_proxy_new(&config, &w->plane, &err) != 0)
        fail_msg("%s", err.text);
    w->vip = free_vip(SOCK_STREAM);
    w->udp_vip = free_vip(SOCK_DGRAM);
    for (int i = 0; i < BACKENDS; i++) {
        w->servers[i] = bound("127.0.0.1", SOCK_STREAM, &w->backends[i].at);
        assert_int_equal(listen(w->servers[i], 1024), 0);
    }
    *state = w;
    return 0;
}

static inline int setup(void **state)
{
    return setup_with(state, (struct lb_proxy_config){.connect_timeout_ms = 150, .udp_timeout_ms = 60000});
}

static inline int setup_impatient(void **state)
{
    return setup_with(state, (struct lb_proxy_config){.udp_timeout_ms = 50});
}

static inline int setup_narrow(void **state)
{
    return setup_with(state, (struct lb_proxy_config){.descriptors_max = 1 + 2 * 8});
}

static inline int teardown(void **state)
{
    struct world *w = *state;
    w->plane->ops->close(w->plane, true);
    for (int i = 0; i < BACKENDS; i++)
        (void)close(w->servers[i]);
    free(w);
    return 0;
}
