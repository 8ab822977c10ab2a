/* SPDX-License-Identifier: Apache-2.0
 * test_nft.c - the kernel-NAT plane. Slots alone first; then the real kernel, in network namespaces of the test's own that
 * have a loopback interface only. Without root these are skipped, and say so. */
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

/* -- slots ------------------------------------------------------------------------------------------------------- */

static void test_classes(void **state)
{
    (void)state;
    assert_int_equal(nft_class_slots(0), 1);
    assert_int_equal(nft_class_slots(63), 64);
    assert_int_equal(nft_class_slots(64), 2048);
    assert_int_equal(nft_class_slots(NFT_CLASSES - 1), NFT_SLOTS_MAX);
    assert_int_equal(nft_slots_for(0), 0);
    assert_int_equal(nft_slots_for(64), 64);
    assert_int_equal(nft_slots_for(65), 2048);
    assert_int_equal(nft_slots_for(128), 2048);
    assert_int_equal(nft_slots_for(129), 4096);
    assert_int_equal(nft_slots_for(4096), 65536);
    assert_int_equal(nft_slots_for(70000), 65536);
    for (size_t n = 1; n <= 5000; n++) { /* every answer is a class */
        bool is_class = false;
        for (unsigned i = 0; i < NFT_CLASSES; i++)
            is_class |= nft_class_slots(i) == nft_slots_for(n);
        assert_true(is_class);
    }
}

static size_t make_backends(struct lb_backend *out, const uint16_t *ports, size_t count)
{
    for (size_t i = 0; i < count; i++)
        out[i] = (struct lb_backend){.at = lb_endpoint_of_ipv4(LB_TCP, 0x7f000001, ports[i])};
    return count;
}

static void test_places_are_kept(void **state)
{
    struct lb_backend b[4];
    (void)state;
    struct nft_target *first = nft_target_new(b, make_backends(b, (uint16_t[]){10, 20, 30, 40}, 4), NULL);
    assert_int_equal(first->slots, 4);
    b[1].is_draining = true; /* the last one takes its place */
    struct nft_target *second = nft_target_new(b, 4, first);
    assert_int_equal(second->count, 3);
    assert_int_equal(nft_target_slot(second, 0)->port, 10);
    assert_int_equal(nft_target_slot(second, 1)->port, 40);
    assert_int_equal(nft_target_slot(second, 2)->port, 30);
    assert_null(nft_target_slot(second, 3));
    assert_false(nft_target_has(second, &b[1].at));
    struct nft_target *third = nft_target_new(b, make_backends(b, (uint16_t[]){5, 10, 30, 40}, 4), second);
    assert_int_equal(nft_target_slot(third, 0)->port, 10);
    assert_int_equal(nft_target_slot(third, 1)->port, 40);
    assert_int_equal(nft_target_slot(third, 2)->port, 30);
    assert_int_equal(nft_target_slot(third, 3)->port, 5);
    for (size_t i = 0; i < 4; i++)
        b[i].is_draining = true;
    struct nft_target *none = nft_target_new(b, 4, third);
    assert_int_equal(none->slots, 0);
    assert_null(nft_target_slot(none, 0));
    free(first);
    free(second);
    free(third);
    free(none);
}

static void test_many_share_evenly(void **state)
{
    enum { COUNT = 100 };
    struct lb_backend b[COUNT];
    unsigned hits[COUNT] = {0};
    (void)state;
    for (size_t i = 0; i < COUNT; i++)
        b[i] = (struct lb_backend){.at = lb_endpoint_of_ipv4(LB_TCP, 0x7f000001, (uint16_t)(1000 + i))};
    struct nft_target *t = nft_target_new(b, COUNT, NULL);
    for (uint32_t i = 0; i < t->slots; i++)
        hits[nft_target_slot(t, i)->port - 1000]++;
    for (size_t i = 0; i < COUNT; i++)
        assert_in_range(hits[i], t->slots / COUNT, t->slots / COUNT + 1);
    assert_true(t->slots / COUNT >= 16);
    free(t);
}

/* -- the kernel -------------------------------------------------------------------------------------------------- */

static bool enter_namespace(void)
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

static struct lb_plane *open_plane(const char *instance)
{
    struct err err = {0};
    struct lb_plane *p = NULL;
    int result = lb_plane_nft_new(&(struct lb_nft_config){.instance = instance, .udp_timeout_ms = 60000}, &p, &err);
    if (result < 0)
        fail_msg("%s", err.text);
    return p;
}

static struct lb_routes *vip_routes(void)
{
    struct lb_prefix four = {.bits = 24, .ip = {11, 0, 0, 0}};
    struct lb_prefix six = {.is_ipv6 = 1, .bits = 64, .ip = {0xfd, 1, 0, 0xc}};
    struct lb_routes *r = NULL;
    struct err err = {0};
    if (lb_routes_new("t", &r, &err) < 0 || lb_routes_add(r, &four, &err) < 0 || lb_routes_add(r, &six, &err) < 0)
        fail_msg("%s", err.text);
    return r;
}

static struct lb_endpoint endpoint(enum lb_protocol protocol, const char *ip, uint16_t port)
{
    struct lb_endpoint e = {.protocol = (uint8_t)protocol, .port = port};
    assert_int_equal(lb_endpoint_parse_ip(ip, &e), 0);
    return e;
}

static int open_socket(const struct lb_endpoint *at, bool is_server)
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

static void start_servers(struct servers *s, enum lb_protocol protocol, const char *ip, size_t count)
{
    *s = (struct servers){.count = count};
    for (size_t i = 0; i < count; i++) {
        s->backends[i].at = endpoint(protocol, ip, (uint16_t)(7001 + i));
        s->fds[i] = open_socket(&s->backends[i].at, true);
    }
}

static void stop_servers(struct servers *s)
{
    for (size_t i = 0; i < s->count; i++)
        close(s->fds[i]);
}

static int ready_one(const struct servers *s)
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

static void apply_one(struct lb_plane *p, const struct lb_endpoint *vip, const struct servers *s)
{
    struct lb_change c = {.vip = *vip, .name = "t", .backends = s ? s->backends : NULL, .backend_count = s ? s->count : 0};
    p->ops->apply(p, &c, 1);
    const char *problem = p->ops->problem(p, vip);
    if (problem != NULL)
        fail_msg("%s", problem);
}

static void remove_one(struct lb_plane *p, const struct lb_endpoint *vip)
{
    struct lb_change c = {.vip = *vip, .name = "t", .is_removed = true};
    p->ops->apply(p, &c, 1);
}

static void echo_over(int client, int server)
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
static int connect_through(const struct lb_endpoint *vip, const struct servers *s, int *client, int *server)
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

static int exchange_udp(int client, const struct servers *s)
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

static void tcp_works(const char *vip_ip, const char *backend_ip)
{
    struct servers s;
    struct lb_plane *p = open_plane("t");
    struct lb_routes *routes = vip_routes();
    struct lb_endpoint vip = endpoint(LB_TCP, vip_ip, 80);
    int client, server;
    start_servers(&s, LB_TCP, backend_ip, 3);
    apply_one(p, &vip, &s);
    unsigned hits[3] = {0};
    for (int i = 0; i < 150; i++)
        hits[connect_through(&vip, &s, NULL, NULL)]++;
    for (int i = 0; i < 3; i++)
        assert_in_range(hits[i], 20, 90);                    /* 50 each; six sigma */
    int which = connect_through(&vip, &s, &client, &server); /* stays open while its back end drains */
    s.backends[which].is_draining = true;
    apply_one(p, &vip, &s);
    for (int i = 0; i < 30; i++)
        assert_int_not_equal(connect_through(&vip, &s, NULL, NULL), which);
    echo_over(client, server);
    for (int i = 0; i < 3; i++)
        s.backends[i].is_draining = true;
    apply_one(p, &vip, &s);
    assert_int_equal(open_socket(&vip, false), -ECONNREFUSED);
    echo_over(client, server);
    remove_one(p, &vip);
    assert_int_equal(open_socket(&vip, false), -ECONNREFUSED); /* nobody listens there */
    echo_over(client, server);
    assert_int_equal(p->ops->repair(p, NULL), 0);
    close(client);
    close(server);
    stop_servers(&s);
    p->ops->close(p, true);
    (void)lb_routes_free(routes, true);
}

static void test_tcp(void **state)
{
    (void)state;
    if (enter_namespace())
        tcp_works("11.0.0.1", "127.0.0.1");
}

static void test_tcp_ipv6(void **state)
{
    (void)state;
    if (enter_namespace())
        tcp_works("fd01:c::1", "::1");
}

static void udp_works(const char *vip_ip, const char *backend_ip)
{
    struct servers s;
    char byte = 'u';
    struct lb_plane *p = open_plane("t");
    struct lb_routes *routes = vip_routes();
    struct lb_endpoint vip = endpoint(LB_UDP, vip_ip, 53);
    int client = open_socket(&vip, false);
    assert_int_equal(send(client, &byte, 1, 0), 1); /* a flow to nowhere, from before there was the VIP */
    (void)recv(client, &byte, 1, 0);
    start_servers(&s, LB_UDP, backend_ip, 2);
    apply_one(p, &vip, &s);
    int which = exchange_udp(client, &s);
    for (int i = 0; i < 10; i++)
        assert_int_equal(exchange_udp(client, &s), which);
    s.backends[which].is_draining = true; /* the flow goes to the other at once */
    apply_one(p, &vip, &s);
    assert_int_equal(exchange_udp(client, &s), 1 - which);
    apply_one(p, &vip, NULL);
    assert_int_equal(send(client, &byte, 1, 0), -1); /* a packet that is refused before it has left tells its sender so */
    assert_int_equal(errno, EPERM);
    close(client);
    stop_servers(&s);
    p->ops->close(p, true);
    (void)lb_routes_free(routes, true);
}

static void test_udp(void **state)
{
    (void)state;
    if (enter_namespace())
        udp_works("11.0.0.2", "127.0.0.1");
}

static void test_udp_ipv6(void **state)
{
    (void)state;
    if (enter_namespace())
        udp_works("fd01:c::2", "::1");
}

/* -- others, and former ones ------------------------------------------------------------------------------------- */

static int count_table(void *ctx, const struct nlmsghdr *m)
{
    (void)m;
    ++*(int *)ctx;
    return 0;
}

static int tables(void)
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
static void meddle(const char *table, const char *map)
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

static bool is_readable(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return poll(&p, 1, 0) == 1;
}

static void test_repair(void **state)
{
    struct servers s;
    int client, server;
    (void)state;
    if (!enter_namespace())
        return;
    struct lb_plane *p = open_plane("t");
    struct lb_routes *routes = vip_routes();
    struct lb_endpoint vip = endpoint(LB_TCP, "11.0.0.1", 80);
    assert_int_equal(tables(), 0); /* nothing before the first apply */
    start_servers(&s, LB_TCP, "127.0.0.1", 2);
    apply_one(p, &vip, &s);
    int watch = p->ops->watch_fd(p);
    assert_true(watch >= 0);
    assert_false(is_readable(watch)); /* our own changes are no news */
    (void)connect_through(&vip, &s, &client, &server);
    meddle("somebody_else", NULL); /* is theirs */
    assert_true(is_readable(watch));
    assert_int_equal(p->ops->repair(p, NULL), 0);
    assert_false(is_readable(watch));
    meddle("muster_t", NULL);
    assert_true(is_readable(watch));
    assert_int_equal(open_socket(&vip, false), -ECONNREFUSED);
    assert_int_equal(p->ops->repair(p, NULL), 1 + 1 + 2); /* the fixed part, a VIP, its slots */
    (void)connect_through(&vip, &s, NULL, NULL);
    assert_int_equal(p->ops->repair(p, NULL), 0);
    meddle("muster_t", "slot4");
    assert_int_equal(p->ops->repair(p, NULL), 2);
    meddle("muster_t", "vip4");
    assert_int_equal(p->ops->repair(p, NULL), 1);
    meddle("muster_t", "class");
    assert_int_equal(p->ops->repair(p, NULL), 4);
    (void)connect_through(&vip, &s, NULL, NULL);
    meddle("muster_t", NULL); /* an apply finds out by itself */
    s.count = 1;
    apply_one(p, &vip, &s);
    assert_int_equal(connect_through(&vip, &s, NULL, NULL), 0);
    echo_over(client, server);
    close(client);
    close(server);
    s.count = 2;
    stop_servers(&s);
    p->ops->close(p, true);
    assert_int_equal(tables(), 0);
    (void)lb_routes_free(routes, true);
}

/* An lb that is killed leaves its table. Another process, so that it is really killed. */
static void leave_behind(const struct lb_endpoint *vips, size_t count, const struct servers *s)
{
    int ready[2];
    char byte = 0;
    assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        struct lb_plane *p = open_plane("t");
        for (size_t i = 0; i < count; i++)
            apply_one(p, &vips[i], s);
        (void)!write(ready[1], &byte, 1);
        for (;;)
            pause();
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    close(ready[0]);
    close(ready[1]);
}

static void test_take_over(void **state)
{
    struct servers s;
    struct err err = {0};
    int client, server;
    (void)state;
    if (!enter_namespace())
        return;
    struct lb_endpoint vips[] = {endpoint(LB_TCP, "11.0.0.1", 80), endpoint(LB_TCP, "11.0.0.2", 80)};
    struct lb_routes *routes = vip_routes();
    start_servers(&s, LB_TCP, "127.0.0.1", 3);
    leave_behind(vips, 2, &s);
    (void)connect_through(&vips[0], &s, &client, &server);
    struct lb_plane *p = open_plane("t");
    (void)connect_through(&vips[1], &s, NULL, NULL); /* before the plan is known */
    apply_one(p, &vips[0], &s);                      /* the whole plan: the other one is not wanted any more */
    assert_int_equal(open_socket(&vips[1], false), -ECONNREFUSED);
    (void)connect_through(&vips[0], &s, NULL, NULL);
    assert_int_equal(p->ops->repair(p, NULL), 0);
    p->ops->close(p, false);
    (void)connect_through(&vips[0], &s, NULL, NULL); /* goes on without us */
    p = open_plane("t");
    p->ops->apply(p, NULL, 0); /* an empty plan */
    assert_int_equal(open_socket(&vips[0], false), -ECONNREFUSED);
    echo_over(client, server); /* the last one: without a table the kernel translates nothing any more */
    p->ops->close(p, false);
    assert_int_equal(tables(), 1);
    assert_int_equal(lb_plane_nft_clean("t", &err), 0);
    assert_int_equal(tables(), 0);
    assert_int_equal(lb_plane_nft_clean("t", &err), 0);
    close(client);
    close(server);
    stop_servers(&s);
    (void)lb_routes_free(routes, true);
}

static void test_two_instances(void **state)
{
    struct servers s;
    (void)state;
    if (!enter_namespace())
        return;
    struct lb_endpoint vips[] = {endpoint(LB_TCP, "11.0.0.1", 80), endpoint(LB_TCP, "11.0.0.2", 80)};
    struct lb_routes *routes = vip_routes();
    struct lb_plane *a = open_plane("a"), *b = open_plane("b");
    start_servers(&s, LB_TCP, "127.0.0.1", 2);
    apply_one(a, &vips[0], &s);
    apply_one(b, &vips[1], &s);
    (void)connect_through(&vips[0], &s, NULL, NULL);
    (void)connect_through(&vips[1], &s, NULL, NULL);
    assert_int_equal(a->ops->repair(a, NULL), 0);
    assert_int_equal(b->ops->repair(b, NULL), 0);
    a->ops->close(a, true);
    assert_int_equal(open_socket(&vips[0], false), -ECONNREFUSED);
    (void)connect_through(&vips[1], &s, NULL, NULL);
    b->ops->close(b, true);
    assert_int_equal(tables(), 0);
    stop_servers(&s);
    (void)lb_routes_free(routes, true);
}

static void test_refusals(void **state)
{
    struct err err = {0};
    struct lb_plane *p = NULL;
    (void)state;
    assert_int_equal(lb_plane_nft_new(&(struct lb_nft_config){.instance = "a-b"}, &p, &err), -EINVAL);
    assert_int_equal(lb_plane_nft_clean("", &err), -EINVAL);
    if (!enter_namespace())
        return;
    pid_t pid = fork(); /* without the privilege, in a process that ends */
    assert_true(pid >= 0);
    if (pid == 0)
        _exit(setresuid(65534, 65534, 65534) == 0 &&
                      lb_plane_nft_new(&(struct lb_nft_config){.instance = "a"}, &p, &err) == -EPERM &&
                      strstr(err.text, "CAP_NET_ADMIN") != NULL
                  ? 0
                  : 1);
    int status = 1;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

/* -- another machine --------------------------------------------------------------------------------------------- */

/* The peer of a pair of interfaces lives in a process with a namespace of its own: another machine, with the back end. It
 * has no route to anything but its own network, so an answer comes only to an address of this machine's interface. */
static pid_t start_machine(int *to_machine)
{
    int ready[2], go[2];
    char byte = 0;
    assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
    assert_int_equal(pipe2(go, O_CLOEXEC), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        int result = unshare(CLONE_NEWNET);
        if (write(ready[1], &byte, 1) != 1 || read(go[0], &byte, 1) != 1 || result < 0 ||
            system("ip addr add 192.0.2.2/24 dev there && ip link set there up") != 0)
            _exit(1);
        struct lb_endpoint at = endpoint(LB_TCP, "192.0.2.2", 7001);
        int fd = open_socket(&at, true);
        (void)!write(ready[1], &byte, 1);
        for (int client; (client = accept(fd, NULL, NULL)) >= 0; close(client))
            (void)!write(client, "m", 1);
        _exit(0);
    }
    char command[128];
    assert_int_equal(read(ready[0], &byte, 1), 1);
    (void)snprintf(command, sizeof(command),
                   "ip link add here type veth peer name there netns %d && ip addr add 192.0.2.1/24 dev here && "
                   "ip link set here up",
                   (int)pid);
    assert_int_equal(system(command), 0);
    assert_int_equal(write(go[1], &byte, 1), 1);
    close(ready[1]);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    close(go[0]);
    *to_machine = go[1];
    return pid;
}

static void test_another_machine(void **state)
{
    struct lb_backend far = {.at = endpoint(LB_TCP, "192.0.2.2", 7001)};
    struct lb_endpoint vip = endpoint(LB_TCP, "11.0.0.1", 80);
    struct lb_change c = {.vip = vip, .name = "t", .backends = &far, .backend_count = 1};
    int to_machine;
    (void)state;
    if (system("ip -V >/dev/null 2>&1") != 0) {
        printf("skipped: no ip command\n");
        return;
    }
    if (!enter_namespace())
        return;
    struct lb_routes *routes = vip_routes();
    pid_t machine = start_machine(&to_machine);
    struct lb_plane *p = open_plane("t");
    p->ops->apply(p, &c, 1);
    for (int i = 0; i < 10; i++) {
        char byte = 0;
        int fd = open_socket(&vip, false);
        assert_true(fd >= 0);
        assert_int_equal(recv(fd, &byte, 1, 0), 1);
        assert_int_equal(byte, 'm');
        close(fd);
    }
    p->ops->close(p, true);
    assert_int_equal(kill(machine, SIGKILL), 0);
    assert_int_equal(waitpid(machine, NULL, 0), machine);
    close(to_machine);
    (void)lb_routes_free(routes, true);
}

/* Many large messages that fail: the answer is why, not that there was no room for so many answers. */
static void test_the_first_error_is_told(void **state)
{
    struct nft_socket socket;
    struct nft_batch batch;
    struct err err = {0};
    static const uint8_t padding[40000];
    (void)state;
    if (!enter_namespace())
        return;
    assert_int_equal(nft_socket_open(&socket, &err), 0);
    nft_batch_init(&batch);
    for (int i = 0; i < 40; i++) {
        struct nlmsghdr *m = nft_batch_message(&batch, NFT_MSG_DELSETELEM, 0);
        mnl_attr_put_strz(m, NFTA_SET_ELEM_LIST_TABLE, "muster_nobody");
        mnl_attr_put_strz(m, NFTA_SET_ELEM_LIST_SET, "vip4");
        mnl_attr_put(m, NFTA_SET_ELEM_LIST_ELEMENTS | NLA_F_NESTED, sizeof(padding), padding);
        nft_batch_end_message(&batch);
    }
    assert_int_equal(nft_batch_send(&socket, &batch, false, &err), -ENOENT);
    assert_non_null(strstr(err.text, "vip4"));
    nft_batch_deinit(&batch);
    nft_socket_close(&socket);
}

/* -- many -------------------------------------------------------------------------------------------------------- */

static double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void test_many(void **state)
{
    enum { VIPS = 10000, BACKENDS = 10 };
    struct servers s;
    int client, server;
    (void)state;
    if (!enter_namespace())
        return;
    struct lb_change *changes = calloc(VIPS, sizeof(*changes));
    struct lb_backend *backends = calloc((size_t)VIPS * BACKENDS, sizeof(*backends));
    for (uint32_t i = 0; i < VIPS; i++) {
        for (uint32_t k = 0; k < BACKENDS; k++)
            backends[i * BACKENDS + k].at = lb_endpoint_of_ipv4(LB_TCP, 0x0a000001 + i, (uint16_t)(30000 + k));
        changes[i] = (struct lb_change){.vip = lb_endpoint_of_ipv4(LB_TCP, 0x0b010000 + i, 80),
                                        .name = "x",
                                        .backends = &backends[i * BACKENDS],
                                        .backend_count = BACKENDS};
    }
    struct lb_plane *p = open_plane("t");
    struct lb_routes *routes = vip_routes();
    struct lb_endpoint vip = endpoint(LB_TCP, "11.0.0.1", 80);
    start_servers(&s, LB_TCP, "127.0.0.1", 2);
    apply_one(p, &vip, &s);
    (void)connect_through(&vip, &s, &client, &server);
    double started = now_ms();
    p->ops->apply(p, changes, VIPS);
    double took = now_ms() - started;
    assert_null(p->ops->problem(p, &changes[0].vip));
    printf("%d VIPs with %d back ends applied in %.0f ms\n", VIPS, VIPS * BACKENDS, took);
    started = now_ms();
    for (int i = 0; i < 20; i++) {
        s.backends[i % 2].is_draining = i < 18;
        s.backends[1 - i % 2].is_draining = false;
        apply_one(p, &vip, &s);
    }
    printf("one VIP's change beside them: %.2f ms\n", (now_ms() - started) / 20);
    (void)connect_through(&vip, &s, NULL, NULL);
    started = now_ms();
    assert_int_equal(p->ops->repair(p, NULL), 0);
    printf("repair when nothing happened: %.2f ms\n", now_ms() - started);
    meddle("muster_t", "vip4");
    started = now_ms();
    struct err why = {0};
    int mended = p->ops->repair(p, &why);
    if (mended < 0)
        fail_msg("%s", why.text);
    assert_int_equal(mended, VIPS + 1);
    printf("repair of a map that was emptied: %.0f ms\n", now_ms() - started);
    meddle("muster_t", NULL);
    started = now_ms();
    assert_int_equal(p->ops->repair(p, NULL), 1 + VIPS * (1 + BACKENDS) + 3);
    printf("repair of a table that was deleted: %.0f ms\n", now_ms() - started);
    p->ops->close(p, false);
    p = open_plane("t");
    started = now_ms();
    p->ops->apply(p, changes, VIPS);
    printf("take-over of all: %.0f ms\n", now_ms() - started);
    echo_over(client, server);
    assert_int_equal(open_socket(&vip, false), -ECONNREFUSED);
    started = now_ms();
    p->ops->close(p, true);
    printf("removal: %.0f ms\n", now_ms() - started);
    close(client);
    close(server);
    stop_servers(&s);
    (void)lb_routes_free(routes, true);
    free(changes);
    free(backends);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_classes),
        cmocka_unit_test(test_places_are_kept),
        cmocka_unit_test(test_many_share_evenly),
        cmocka_unit_test(test_tcp),
        cmocka_unit_test(test_tcp_ipv6),
        cmocka_unit_test(test_udp),
        cmocka_unit_test(test_udp_ipv6),
        cmocka_unit_test(test_repair),
        cmocka_unit_test(test_take_over),
        cmocka_unit_test(test_two_instances),
        cmocka_unit_test(test_another_machine),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_the_first_error_is_told),
        cmocka_unit_test(test_many),
    };
    return cmocka_run_group_tests_name("nft", tests, NULL, NULL);
}
