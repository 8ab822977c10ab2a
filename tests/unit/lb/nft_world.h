/* SPDX-License-Identifier: Apache-2.0
 * nft_world.h - tests of the kernel-NAT plane: network namespaces of their own that have a loopback interface only, VIPs
 * that are routed there, back ends that are sockets of the test itself. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lb/nft_rules.h"
#include "lb/plane.h"
#include "lb/route.h"

#define PATIENCE_MS 5000

static inline bool enter_namespace(void)
{
    struct ifreq up = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
    if (geteuid() != 0 || unshare(CLONE_NEWNET) < 0) {
        printf("skipped: no network namespace of its own (%s)\n", geteuid() != 0 ? "not root" : strerror(errno));
        return false;
    }
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_int_equal(ioctl(fd, SIOCSIFFLAGS, &up), 0);
    close(fd);
    return true;
}

static inline struct lb_plane *open_plane(const char *instance)
{
    struct err err = {0};
    struct lb_plane *p = NULL;
    int result = lb_plane_nft_new(&(struct lb_nft_config){.instance = instance, .udp_timeout_ms = 60000}, &p, &err);
    if (result < 0)
        fail_msg("%s", err.text);
    return p;
}

static inline struct lb_routes *vip_routes(void)
{
    struct lb_prefix four = {.bits = 24, .ip = {11, 0, 0, 0}};
    struct lb_prefix six = {.is_ipv6 = 1, .bits = 64, .ip = {0xfd, 1, 0, 0xc}};
    struct lb_routes *r = NULL;
    struct err err = {0};
    if (lb_routes_new("t", &r, &err) < 0 || lb_routes_add(r, &four, &err) < 0 || lb_routes_add(r, &six, &err) < 0)
        fail_msg("%s", err.text);
    return r;
}

static inline struct lb_endpoint endpoint(enum lb_protocol protocol, const char *ip, uint16_t port)
{
    struct lb_endpoint e = {.protocol = (uint8_t)protocol, .port = port};
    assert_int_equal(lb_endpoint_parse_ip(ip, &e), 0);
    return e;
}

static inline int open_socket(const struct lb_endpoint *at, bool is_server)
{
    struct sockaddr_storage a;
    socklen_t len = lb_endpoint_to_sockaddr(at, &a);
    int on = 1, fd = socket(a.ss_family, (at->protocol == LB_UDP ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC, 0);
    struct timeval patience = {.tv_sec = PATIENCE_MS / 1000};
    assert_true(fd >= 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)), 0);
    if (is_server) {
        assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)), 0);
        assert_int_equal(bind(fd, (struct sockaddr *)&a, len), 0);
        if (at->protocol == LB_TCP)
            assert_int_equal(listen(fd, 100), 0);
        return fd;
    }
    if (connect(fd, (struct sockaddr *)&a, len) == 0)
        return fd;
    int result = -errno;
    close(fd);
    return result;
}

/* Back ends are sockets of this process: who got a client is who can accept it. */
struct servers {
    struct lb_backend backends[4];
    int fds[4];
    size_t count;
};

static inline void start_servers(struct servers *s, enum lb_protocol protocol, const char *ip, size_t count)
{
    *s = (struct servers){.count = count};
    for (size_t i = 0; i < count; i++) {
        s->backends[i].at = endpoint(protocol, ip, (uint16_t)(7001 + i));
        s->fds[i] = open_socket(&s->backends[i].at, true);
    }
}

static inline void stop_servers(struct servers *s)
{
    for (size_t i = 0; i < s->count; i++)
        close(s->fds[i]);
}

static inline int ready_one(const struct servers *s)
{
    struct pollfd p[4];
    for (size_t i = 0; i < s->count; i++)
        p[i] = (struct pollfd){.fd = s->fds[i], .events = POLLIN};
    if (poll(p, s->count, PATIENCE_MS) <= 0)
        return -1;
    for (size_t i = 0; i < s->count; i++)
        if (p[i].revents & POLLIN)
            return (int)i;
    return -1;
}

static inline void apply_one(struct lb_plane *p, const struct lb_endpoint *vip, const struct servers *s)
{
    struct lb_change c = {.vip = *vip, .name = "t", .backends = s ? s->backends : NULL, .backend_count = s ? s->count : 0};
    p->ops->apply(p, &c, 1);
    const char *problem = p->ops->problem(p, vip);
    if (problem != NULL)
        fail_msg("%s", problem);
}

static inline void remove_one(struct lb_plane *p, const struct lb_endpoint *vip)
{
    struct lb_change c = {.vip = *vip, .name = "t", .is_removed = true};
    p->ops->apply(p, &c, 1);
}

static inline bool is_readable(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return poll(&p, 1, 0) == 1;
}

/* What is done in slices, to its end. How many there were. */
static inline unsigned advance_all(struct lb_plane *p)
{
    unsigned slices = 0;
    while (is_readable(p->ops->watch_fd(p))) {
        assert_false(p->ops->advance(p));
        assert_true(++slices < 100000);
    }
    return slices;
}

static inline void echo_over(int client, int server)
{
    char byte = 'x', got = 0;
    assert_int_equal(send(client, &byte, 1, MSG_NOSIGNAL), 1);
    assert_int_equal(recv(server, &got, 1, 0), 1);
    assert_int_equal(send(server, &byte, 1, MSG_NOSIGNAL), 1);
    got = 0;
    assert_int_equal(recv(client, &got, 1, 0), 1);
    assert_int_equal(got, 'x');
}

/* Connects through the VIP; which server got it, its connection in *server if wanted, the client's in *client. */
static inline int connect_through(const struct lb_endpoint *vip, const struct servers *s, int *client, int *server)
{
    int fd = open_socket(vip, false);
    if (fd < 0)
        fail_msg("connect: %s", strerror(-fd));
    int which = ready_one(s);
    assert_true(which >= 0);
    int other = accept(s->fds[which], NULL, NULL);
    assert_true(other >= 0);
    echo_over(fd, other);
    if (client != NULL)
        *client = fd;
    else
        close(fd);
    if (server != NULL)
        *server = other;
    else
        close(other);
    return which;
}

static inline int exchange_udp(int client, const struct servers *s)
{
    struct sockaddr_storage from;
    socklen_t len = sizeof(from);
    char byte = 'u';
    assert_int_equal(send(client, &byte, 1, 0), 1);
    int which = ready_one(s);
    assert_true(which >= 0);
    assert_int_equal(recvfrom(s->fds[which], &byte, 1, 0, (struct sockaddr *)&from, &len), 1);
    assert_int_equal(sendto(s->fds[which], &byte, 1, 0, (struct sockaddr *)&from, len), 1);
    assert_int_equal(recv(client, &byte, 1, 0), 1);
    return which;
}

static inline int count_table(void *ctx, const struct nlmsghdr *m)
{
    (void)m;
    ++*(int *)ctx;
    return 0;
}

static inline int tables(void)
{
    char buffer[NFT_REQUEST_BYTES];
    struct nft_socket s;
    int count = 0;
    assert_int_equal(nft_socket_open(&s, NULL), 0);
    assert_int_equal(
        nft_ask(&s, nft_request(&s, NFNL_SUBSYS_NFTABLES, NFT_MSG_GETTABLE, 0, NLM_F_DUMP, buffer), count_table, &count),
        0);
    nft_socket_close(&s);
    return count;
}

/* What somebody else does to our table. */
static inline void meddle(const char *table, const char *map)
{
    struct nft_socket s;
    struct nft_batch b;
    struct err err = {0};
    nft_batch_init(&b);
    if (map == NULL) {
        nft_rules_put_removal(&b, table);
    } else { /* all elements of a map go */
        struct nlmsghdr *m = nft_batch_message(&b, NFT_MSG_DELSETELEM, 0);
        mnl_attr_put_strz(m, NFTA_SET_ELEM_LIST_TABLE, table);
        mnl_attr_put_strz(m, NFTA_SET_ELEM_LIST_SET, map);
        nft_batch_end_message(&b);
    }
    assert_int_equal(nft_socket_open(&s, &err), 0);
    if (nft_batch_send(&s, &b, false, &err) < 0)
        fail_msg("%s", err.text);
    nft_batch_deinit(&b);
    nft_socket_close(&s);
}

/* -- counters ---------------------------------------------------------------------------------------------------- */

struct numbers {
    struct lb_counters vip;
    struct {
        struct lb_endpoint at;
        uint64_t connections;
    } backends[8];
    size_t count;
};

static inline void take_numbers(void *ctx, const struct lb_endpoint *backend, const struct lb_counters *c)
{
    struct numbers *n = ctx;
    if (backend == NULL) {
        n->vip = *c;
        return;
    }
    assert_true(n->count < 8);
    n->backends[n->count].at = *backend;
    n->backends[n->count++].connections = c->connections;
}

static inline struct numbers read_numbers(struct lb_plane *p, const struct lb_endpoint *vip)
{
    struct numbers n = {.count = 0};
    p->ops->counters(p, vip, take_numbers, &n);
    return n;
}

static inline uint64_t connections_of(const struct numbers *n, const struct lb_endpoint *backend)
{
    for (size_t i = 0; i < n->count; i++)
        if (lb_endpoint_compare(&n->backends[i].at, backend) == 0)
            return n->backends[i].connections;
    return UINT64_MAX; /* is not told */
}
