/* SPDX-License-Identifier: Apache-2.0
 * test_ebpf.c - the connect-time plane. Sets alone first; then the real kernel: this process moves into a control group and
 * a network namespace of its own, so that nobody else meets the programs. Without root, or without a cgroup v2, these are
 * skipped, and say so. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lb/plane.h"

#ifdef HAVE_LB_EBPF

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lb/ebpf_cgroup.h"
#include "lb/ebpf_set.h"

#define PATIENCE_MS 5000

/* -- sets -------------------------------------------------------------------------------------------------------- */

static void test_sets(void **state)
{
    struct lb_backend b[4];
    struct ebpf_backend_key keys[4];
    struct ebpf_backend values[4];
    uint64_t next = 10;
    (void)state;
    for (uint16_t i = 0; i < 4; i++)
        b[i] = (struct lb_backend){.at = lb_endpoint_of_ipv4(LB_TCP, 0x7f000001, (uint16_t)(7001 + i))};
    struct ebpf_set *first = ebpf_set_new(b, 3, NULL, &next);
    assert_int_equal(next, 13);
    ebpf_set_write(first, 5, NULL, keys, values);
    assert_int_equal(first->revision, 5);
    b[0].is_draining = true; /* goes behind the open ones, and keeps its flows */
    struct ebpf_set *second = ebpf_set_new(b, 4, first, &next);
    assert_false(ebpf_set_is_same(first, second));
    ebpf_set_write(second, 6, first, keys, values);
    assert_int_equal(second->open, 3);
    assert_int_equal(second->revision, 5);
    assert_int_equal(values[3].counter, 10);
    assert_int_equal(values[3].at.port, htons(7001));
    struct ebpf_vip vip = {.block = 6, .revision = 5, .open = 3, .total = 4};
    struct ebpf_set *read = ebpf_set_read(&vip, keys, values, 4);
    assert_non_null(read);
    assert_true(ebpf_set_is_same(read, second));
    assert_null(ebpf_set_read(&vip, keys, values, 3));
    keys[2].index = 7;
    assert_null(ebpf_set_read(&vip, keys, values, 4));
    struct ebpf_set *third = ebpf_set_new(b + 1, 3, second, &next); /* one left: flows are led anew */
    ebpf_set_write(third, 7, second, keys, values);
    assert_int_equal(third->revision, 7);
    assert_int_equal(next, 14);
    free(first);
    free(second);
    free(third);
    free(read);
}

static void test_places(void **state)
{
    struct lb_endpoint at = {.protocol = LB_UDP, .is_ipv6 = 1, .port = 53, .ip = {0xfd, 1, [15] = 9}}, back;
    struct ebpf_place place = ebpf_place_of(&at);
    (void)state;
    assert_true(ebpf_place_read(&place, &back));
    assert_int_equal(lb_endpoint_compare(&at, &back), 0);
    place.protocol = IPPROTO_ICMP;
    assert_false(ebpf_place_read(&place, &back));
}

/* -- a place of our own ------------------------------------------------------------------------------------------ */

static char group[4200]; /* "": none, the reason has been printed */
static char group_before[4200];

static bool find_group(char *out, size_t size)
{
    char line[4096], root[1024], at[1024];
    FILE *file = fopen("/proc/self/mountinfo", "re");
    bool is_found = false;
    while (file != NULL && !is_found && fgets(line, sizeof(line), file) != NULL)
        is_found = strstr(line, " - cgroup2 ") != NULL && sscanf(line, "%*s %*s %*s %1023s %1023s", root, at) == 2;
    if (file != NULL)
        fclose(file);
    if (is_found)
        snprintf(out, size, "%s", at);
    return is_found;
}

static bool move_to(const char *folder)
{
    char path[4300];
    snprintf(path, sizeof(path), "%s/cgroup.procs", folder);
    FILE *file = fopen(path, "we");
    if (file == NULL)
        return false;
    bool is_done = fprintf(file, "%d\n", (int)getpid()) > 0;
    return fclose(file) == 0 && is_done;
}

static int make_group(void **state)
{
    char root[2048], line[1024];
    (void)state;
    if (geteuid() != 0 || !find_group(root, sizeof(root))) {
        printf("skipped: the kernel's part needs %s\n", geteuid() != 0 ? "root" : "a mounted cgroup v2");
        return 0;
    }
    snprintf(group_before, sizeof(group_before), "%s", root);
    FILE *file = fopen("/proc/self/cgroup", "re");
    while (file != NULL && fgets(line, sizeof(line), file) != NULL)
        if (strncmp(line, "0::/", 4) == 0) {
            line[strcspn(line, "\n")] = '\0';
            snprintf(group_before, sizeof(group_before), "%s%s", root, line + 3);
        }
    if (file != NULL)
        fclose(file);
    snprintf(group, sizeof(group), "%s/muster_test_%d", root, (int)getpid());
    if (mkdir(group, 0755) < 0 || !move_to(group)) {
        printf("skipped: no control group of its own (%s)\n", strerror(errno));
        rmdir(group);
        group[0] = '\0';
    }
    return 0;
}

static int remove_group(void **state)
{
    (void)state;
    if (group[0] != '\0' && (!move_to(group_before) || rmdir(group) < 0)) {
        printf("%s stays: %s\n", group, strerror(errno));
        return -1;
    }
    return 0;
}

static bool enter_namespace(void)
{
    struct ifreq up = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
    struct lb_plane *p = NULL;
    struct err err = {0};
    if (group[0] == '\0')
        return false;
    if (unshare(CLONE_NEWNET) < 0) {
        printf("skipped: no network namespace of its own (%s)\n", strerror(errno));
        return false;
    }
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_int_equal(ioctl(fd, SIOCSIFFLAGS, &up), 0);
    close(fd);
    int result = lb_plane_ebpf_new(&(struct lb_ebpf_config){.instance = "probe", .cgroup = group}, &p, &err);
    if (result == -EPERM || result == -EOPNOTSUPP) {
        printf("skipped: %s\n", err.text);
        return false;
    }
    assert_int_equal(result, 0);
    p->ops->close(p, true);
    return true;
}

static struct lb_plane *open_plane(const char *instance)
{
    struct err err = {0};
    struct lb_plane *p = NULL;
    if (lb_plane_ebpf_new(&(struct lb_ebpf_config){.instance = instance, .cgroup = group}, &p, &err) < 0)
        fail_msg("%s", err.text);
    return p;
}

static bool is_attached(const char *instance)
{
    struct ebpf_owner owner;
    struct err err = {0};
    int cgroup = ebpf_cgroup_open(group, &err);
    assert_true(cgroup >= 0);
    assert_int_equal(ebpf_owner_init(&owner, instance, &err), 0);
    int result = ebpf_cgroup_find(cgroup, &owner, &err);
    assert_true(result >= 0 || result == -ENOENT);
    if (result >= 0)
        close(result);
    close(cgroup);
    return result >= 0;
}

static struct lb_endpoint endpoint(enum lb_protocol protocol, const char *ip, uint16_t port)
{
    struct lb_endpoint e = {.protocol = (uint8_t)protocol, .port = port};
    assert_int_equal(lb_endpoint_parse_ip(ip, &e), 0);
    return e;
}

/* is_mapped: an IPv4 address in IPv6's form. */
static socklen_t address_of(const struct lb_endpoint *at, bool is_mapped, struct sockaddr_storage *out)
{
    if (!is_mapped)
        return lb_endpoint_to_sockaddr(at, out);
    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons(at->port)};
    six.sin6_addr.s6_addr[10] = six.sin6_addr.s6_addr[11] = 0xff;
    memcpy(&six.sin6_addr.s6_addr[12], at->ip, 4);
    memset(out, 0, sizeof(*out));
    memcpy(out, &six, sizeof(six));
    return sizeof(six);
}

static int new_socket(int family, uint8_t protocol)
{
    struct timeval patience = {.tv_sec = PATIENCE_MS / 1000};
    int fd = socket(family, (protocol == LB_UDP ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)), 0);
    return fd;
}

static int listen_at(const struct lb_endpoint *at)
{
    struct sockaddr_storage a;
    socklen_t len = lb_endpoint_to_sockaddr(at, &a);
    int on = 1, fd = new_socket(a.ss_family, at->protocol);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)), 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, len), 0);
    if (at->protocol == LB_TCP)
        assert_int_equal(listen(fd, 4096), 0);
    return fd;
}

static int connect_to(const struct lb_endpoint *at, bool is_mapped)
{
    struct sockaddr_storage a;
    socklen_t len = address_of(at, is_mapped, &a);
    int fd = new_socket(a.ss_family, at->protocol);
    if (connect(fd, (struct sockaddr *)&a, len) == 0)
        return fd;
    int result = -errno;
    close(fd);
    return result;
}

static void assert_address(const struct sockaddr_storage *a, const struct lb_endpoint *at, bool is_mapped)
{
    struct sockaddr_storage wanted;
    address_of(at, is_mapped, &wanted);
    assert_int_equal(a->ss_family, wanted.ss_family);
    if (a->ss_family == AF_INET) {
        const struct sockaddr_in *x = (const void *)a, *y = (const void *)&wanted;
        assert_int_equal(x->sin_port, y->sin_port);
        assert_int_equal(x->sin_addr.s_addr, y->sin_addr.s_addr);
    } else {
        const struct sockaddr_in6 *x = (const void *)a, *y = (const void *)&wanted;
        assert_int_equal(x->sin6_port, y->sin6_port);
        assert_memory_equal(&x->sin6_addr, &y->sin6_addr, sizeof(x->sin6_addr));
    }
}

static void assert_peer(int fd, const struct lb_endpoint *at, bool is_mapped)
{
    struct sockaddr_storage a;
    socklen_t len = sizeof(a);
    assert_int_equal(getpeername(fd, (struct sockaddr *)&a, &len), 0);
    assert_address(&a, at, is_mapped);
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
        s->fds[i] = listen_at(&s->backends[i].at);
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

static void apply_first(struct lb_plane *p, const struct lb_endpoint *vip, const struct servers *s, size_t count)
{
    struct lb_change c = {.vip = *vip, .name = "t", .backends = s != NULL ? s->backends : NULL, .backend_count = count};
    p->ops->apply(p, &c, 1);
    const char *problem = p->ops->problem(p, vip);
    if (problem != NULL)
        fail_msg("%s", problem);
}

static void apply_one(struct lb_plane *p, const struct lb_endpoint *vip, const struct servers *s)
{
    apply_first(p, vip, s, s != NULL ? s->count : 0);
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

/* Connects through the VIP; which server got it. */
static int connect_through(const struct lb_endpoint *vip, bool is_mapped, const struct servers *s, int *client, int *server)
{
    int fd = connect_to(vip, is_mapped);
    if (fd < 0)
        fail_msg("connect: %s", strerror(-fd));
    assert_peer(fd, vip, is_mapped);
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

/* -- TCP --------------------------------------------------------------------------------------------------------- */

struct told {
    uint64_t connections, failures, of_backends;
};

static void on_counters(void *ctx, const struct lb_endpoint *backend, const struct lb_counters *counters)
{
    struct told *told = ctx;
    if (backend != NULL) {
        told->of_backends += counters->connections;
        return;
    }
    told->connections = counters->connections;
    told->failures = counters->failures;
}

static void tcp_works(const char *vip_ip, const char *backend_ip, bool is_mapped)
{
    struct servers s;
    struct lb_plane *p = open_plane("t");
    struct lb_endpoint vip = endpoint(LB_TCP, vip_ip, 80);
    int client, server;
    start_servers(&s, LB_TCP, backend_ip, 3);
    apply_one(p, &vip, &s);
    unsigned hits[3] = {0};
    for (int i = 0; i < 150; i++)
        hits[connect_through(&vip, is_mapped, &s, NULL, NULL)]++;
    for (int i = 0; i < 3; i++)
        assert_in_range(hits[i], 20, 90);                               /* 50 each; six sigma */
    int which = connect_through(&vip, is_mapped, &s, &client, &server); /* stays open while its back end drains */
    s.backends[which].is_draining = true;
    apply_one(p, &vip, &s);
    for (int i = 0; i < 30; i++)
        assert_int_not_equal(connect_through(&vip, is_mapped, &s, NULL, NULL), which);
    echo_over(client, server);
    struct told told = {0};
    p->ops->counters(p, &vip, on_counters, &told);
    assert_int_equal(told.connections, 181);
    assert_int_equal(told.of_backends, 181);
    for (int i = 0; i < 3; i++)
        s.backends[i].is_draining = true;
    apply_one(p, &vip, &s);
    assert_int_equal(connect_to(&vip, is_mapped), -ECONNREFUSED);
    p->ops->counters(p, &vip, on_counters, &told);
    assert_int_equal(told.failures, 1);
    apply_one(p, &vip, NULL);
    assert_int_equal(connect_to(&vip, is_mapped), -ECONNREFUSED);
    echo_over(client, server);
    assert_peer(client, &vip, is_mapped);
    remove_one(p, &vip);
    assert_true(connect_to(&vip, is_mapped) < 0); /* no route, or nobody there */
    assert_int_equal(p->ops->repair(p, NULL), 0);
    close(client);
    close(server);
    stop_servers(&s);
    p->ops->close(p, true);
    assert_false(is_attached("t"));
}

static void test_tcp(void **state)
{
    (void)state;
    if (!enter_namespace())
        return;
    tcp_works("11.0.0.1", "127.0.0.1", false);
    tcp_works("11.0.0.1", "127.0.0.1", true);
    tcp_works("fd01:c::1", "::1", false);
}

/* -- UDP --------------------------------------------------------------------------------------------------------- */

/* Sends without being connected (client < 0 makes one), or on the connected socket when at is NULL. */
static int exchange(int client, const struct lb_endpoint *at, bool is_mapped, const struct lb_endpoint *vip,
                    const struct servers *s)
{
    struct sockaddr_storage from, to;
    socklen_t len = sizeof(from), to_len = at != NULL ? address_of(at, is_mapped, &to) : 0;
    char byte = 'u';
    assert_int_equal(sendto(client, &byte, 1, 0, at != NULL ? (struct sockaddr *)&to : NULL, to_len), 1);
    int which = ready_one(s);
    assert_true(which >= 0);
    assert_int_equal(recvfrom(s->fds[which], &byte, 1, 0, (struct sockaddr *)&from, &len), 1);
    assert_int_equal(sendto(s->fds[which], &byte, 1, 0, (struct sockaddr *)&from, len), 1);
    len = sizeof(from);
    assert_int_equal(recvfrom(client, &byte, 1, 0, (struct sockaddr *)&from, &len), 1);
    assert_address(&from, vip, is_mapped);
    return which;
}

static void udp_works(const char *vip_ip, const char *backend_ip, bool is_mapped)
{
    struct servers s;
    struct sockaddr_storage to;
    struct lb_plane *p = open_plane("t");
    struct lb_endpoint vip = endpoint(LB_UDP, vip_ip, 53), second = endpoint(LB_UDP, vip_ip, 54);
    int family = vip.is_ipv6 || is_mapped ? AF_INET6 : AF_INET;
    start_servers(&s, LB_UDP, backend_ip, 3);
    apply_one(p, &vip, &s);
    apply_one(p, &second, &s);
    unsigned hits[3] = {0};
    for (int i = 0; i < 150; i++) {
        int fd = connect_to(&vip, is_mapped);
        assert_true(fd >= 0);
        assert_peer(fd, &vip, is_mapped);
        int which = exchange(fd, NULL, is_mapped, &vip, &s);
        assert_int_equal(exchange(fd, NULL, is_mapped, &vip, &s), which);
        hits[which]++;
        close(fd);
    }
    for (int i = 0; i < 3; i++)
        assert_in_range(hits[i], 20, 90);
    int fd = new_socket(family, LB_UDP), which = exchange(fd, &vip, is_mapped, &vip, &s);
    for (int i = 0; i < 10; i++)
        assert_int_equal(exchange(fd, &vip, is_mapped, &vip, &s), which);
    s.backends[which].is_draining = true; /* keeps what it has */
    apply_one(p, &vip, &s);
    for (int i = 0; i < 10; i++)
        assert_int_equal(exchange(fd, &vip, is_mapped, &vip, &s), which);
    struct servers fewer = s;
    fewer.count = 0;
    for (size_t i = 0; i < s.count; i++)
        if ((int)i != which)
            fewer.backends[fewer.count++] = s.backends[i];
    apply_one(p, &vip, &fewer);
    for (int i = 0; i < 10; i++)
        assert_int_not_equal(exchange(fd, &vip, is_mapped, &vip, &s), which);
    apply_one(p, &vip, NULL);
    char byte = 'u';
    socklen_t len = address_of(&vip, is_mapped, &to);
    assert_int_equal(sendto(fd, &byte, 1, 0, (struct sockaddr *)&to, len), -1);
    assert_int_equal(errno, ECONNREFUSED);
    close(fd);
    stop_servers(&s);
    p->ops->close(p, true);
}

static void test_udp(void **state)
{
    (void)state;
    if (!enter_namespace())
        return;
    udp_works("11.0.0.1", "127.0.0.1", false);
    udp_works("11.0.0.1", "127.0.0.1", true);
    udp_works("fd01:c::1", "::1", false);
}

/* Nothing changes for sockets that have nothing to do with VIPs, also after they had. */
static void test_others_are_left_alone(void **state)
{
    struct servers s;
    (void)state;
    if (!enter_namespace())
        return;
    struct lb_plane *p = open_plane("t");
    struct lb_endpoint vip = endpoint(LB_UDP, "11.0.0.1", 53), same_port = endpoint(LB_TCP, "11.0.0.1", 53);
    struct sockaddr_storage a;
    start_servers(&s, LB_UDP, "127.0.0.1", 1);
    apply_one(p, &vip, &s);
    int fd = connect_to(&vip, false);
    assert_peer(fd, &vip, false);
    socklen_t len = address_of(&s.backends[0].at, false, &a);
    assert_int_equal(connect(fd, (struct sockaddr *)&a, len), 0);
    assert_peer(fd, &s.backends[0].at, false);
    assert_int_equal(exchange(fd, NULL, false, &s.backends[0].at, &s), 0);
    close(fd);
    assert_true(connect_to(&same_port, false) < 0); /* of the other protocol */
    stop_servers(&s);
    p->ops->close(p, true);
}

/* -- life -------------------------------------------------------------------------------------------------------- */

static void wait_for(pid_t pid, int wanted)
{
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, wanted);
}

/* A process that applies and is killed. */
static void leave_behind(const char *instance, const struct lb_endpoint *vip, const struct servers *s)
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        apply_one(open_plane(instance), vip, s);
        raise(SIGKILL);
    }
    wait_for(pid, SIGKILL);
}

static void test_take_over(void **state)
{
    struct servers s;
    (void)state;
    if (!enter_namespace())
        return;
    struct lb_endpoint vip = endpoint(LB_TCP, "11.0.0.1", 80), udp = endpoint(LB_UDP, "11.0.0.9", 80);
    int client, server;
    start_servers(&s, LB_TCP, "127.0.0.1", 3);
    leave_behind("t", &vip, &s);
    assert_true(is_attached("t"));
    connect_through(&vip, false, &s, &client, &server);
    struct lb_plane *p = open_plane("t"); /* nothing of it is changed yet */
    for (int i = 0; i < 10; i++)
        connect_through(&vip, false, &s, NULL, NULL);
    apply_first(p, &vip, &s, 1);
    for (int i = 0; i < 10; i++)
        assert_int_equal(connect_through(&vip, false, &s, NULL, NULL), 0);
    assert_peer(client, &vip, false); /* of before */
    struct told told = {0};
    p->ops->counters(p, &vip, on_counters, &told);
    assert_int_equal(told.connections, 21);
    assert_int_equal(p->ops->repair(p, NULL), 0);
    p->ops->close(p, false);
    assert_int_equal(connect_through(&vip, false, &s, NULL, NULL), 0);
    p = open_plane("t"); /* what the first plan does not have goes */
    apply_one(p, &udp, NULL);
    assert_true(connect_to(&vip, false) < 0);
    p->ops->close(p, true);
    assert_false(is_attached("t"));
    echo_over(client, server);
    close(client);
    close(server);
    stop_servers(&s);
}

/* Maps of another size are not taken over: new ones come in their place, filled before. */
static void test_other_maps_are_replaced(void **state)
{
    struct servers s;
    struct err err = {0};
    struct lb_plane *p = NULL;
    (void)state;
    if (!enter_namespace())
        return;
    struct lb_endpoint vip = endpoint(LB_TCP, "11.0.0.1", 80), other = endpoint(LB_TCP, "11.0.0.2", 80);
    start_servers(&s, LB_TCP, "127.0.0.1", 3);
    leave_behind("t", &vip, &s);
    struct lb_ebpf_config config = {.instance = "t", .cgroup = group, .vips_max = 1, .backends_max = 4};
    assert_int_equal(lb_plane_ebpf_new(&config, &p, &err), 0);
    connect_through(&vip, false, &s, NULL, NULL);
    apply_one(p, &vip, &s);
    connect_through(&vip, false, &s, NULL, NULL);
    struct lb_change c = {.vip = other, .name = "t", .backends = s.backends, .backend_count = 1};
    p->ops->apply(p, &c, 1);
    assert_non_null(p->ops->problem(p, &other));
    assert_non_null(strstr(p->ops->problem(p, &other), "full"));
    assert_null(p->ops->problem(p, &vip));
    c = (struct lb_change){.vip = vip, .name = "t", .backends = s.backends, .backend_count = 2};
    p->ops->apply(p, &c, 1); /* no room for it beside the three */
    assert_non_null(p->ops->problem(p, &vip));
    connect_through(&vip, false, &s, NULL, NULL);
    c.backend_count = 1;
    p->ops->apply(p, &c, 1);
    assert_null(p->ops->problem(p, &vip));
    assert_int_equal(connect_through(&vip, false, &s, NULL, NULL), 0);
    remove_one(p, &vip);
    assert_true(p->ops->repair(p, NULL) >= 0);
    assert_null(p->ops->problem(p, &other)); /* its turn */
    assert_int_equal(connect_through(&other, false, &s, NULL, NULL), 0);
    p->ops->close(p, true);
    stop_servers(&s);
}

static void test_clean(void **state)
{
    struct servers s;
    struct err err = {0};
    (void)state;
    if (!enter_namespace())
        return;
    struct lb_endpoint vip = endpoint(LB_TCP, "11.0.0.1", 80);
    start_servers(&s, LB_TCP, "127.0.0.1", 1);
    leave_behind("t", &vip, &s);
    assert_int_equal(lb_plane_ebpf_clean("other", group, &err), 0);
    connect_through(&vip, false, &s, NULL, NULL);
    assert_int_equal(lb_plane_ebpf_clean("t", group, &err), 0);
    assert_false(is_attached("t"));
    assert_true(connect_to(&vip, false) < 0);
    assert_int_equal(lb_plane_ebpf_clean("t", group, &err), 0);
    assert_int_equal(lb_plane_ebpf_clean("t", "/nonexistent", &err), 0);
    stop_servers(&s);
}

static void test_two_instances(void **state)
{
    struct servers s;
    (void)state;
    if (!enter_namespace())
        return;
    struct lb_endpoint vips[2] = {endpoint(LB_TCP, "11.0.0.1", 80), endpoint(LB_TCP, "11.0.0.2", 80)};
    start_servers(&s, LB_TCP, "127.0.0.1", 2);
    struct lb_plane *a = open_plane("a"), *b = open_plane("b");
    apply_one(a, &vips[0], &s);
    apply_one(b, &vips[1], &s);
    for (int i = 0; i < 10; i++)
        connect_through(&vips[i % 2], false, &s, NULL, NULL);
    a->ops->close(a, true);
    assert_false(is_attached("a"));
    assert_true(connect_to(&vips[0], false) < 0);
    connect_through(&vips[1], false, &s, NULL, NULL);
    assert_int_equal(b->ops->repair(b, NULL), 0);
    b->ops->close(b, true);
    stop_servers(&s);
}

/* The same instance in two network namespaces is two, on the same control group. */
static void test_another_namespace_is_another_node(void **state)
{
    struct servers s, t;
    (void)state;
    if (!enter_namespace())
        return;
    int here = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    struct lb_endpoint vip = endpoint(LB_TCP, "11.0.0.1", 80);
    start_servers(&s, LB_TCP, "127.0.0.1", 1);
    struct lb_plane *first = open_plane("t");
    apply_one(first, &vip, &s);
    assert_true(enter_namespace());
    assert_true(connect_to(&vip, false) < 0); /* not ours: the first one's programs leave it alone */
    assert_false(is_attached("t"));
    start_servers(&t, LB_TCP, "127.0.0.1", 1);
    struct lb_plane *second = open_plane("t");
    apply_one(second, &vip, &t);
    connect_through(&vip, false, &t, NULL, NULL);
    assert_int_equal(lb_plane_ebpf_clean("t", group, NULL), 0);
    assert_true(connect_to(&vip, false) < 0);
    assert_int_equal(setns(here, CLONE_NEWNET), 0);
    connect_through(&vip, false, &s, NULL, NULL);
    second->ops->close(second, false);
    first->ops->close(first, true);
    close(here);
    stop_servers(&s);
    stop_servers(&t);
}

/* What somebody else took away comes back. */
static void test_repair(void **state)
{
    struct servers s;
    struct ebpf_owner owner;
    (void)state;
    if (!enter_namespace())
        return;
    struct lb_endpoint vip = endpoint(LB_TCP, "11.0.0.1", 80);
    start_servers(&s, LB_TCP, "127.0.0.1", 2);
    struct lb_plane *p = open_plane("t");
    apply_one(p, &vip, &s);
    assert_int_equal(p->ops->repair(p, NULL), 0);
    int cgroup = ebpf_cgroup_open(group, NULL);
    assert_int_equal(ebpf_owner_init(&owner, "t", NULL), 0);
    assert_int_equal(ebpf_cgroup_detach(cgroup, &owner, NULL), EBPF_HOOKS);
    assert_true(connect_to(&vip, false) < 0);
    assert_int_equal(p->ops->repair(p, NULL), EBPF_HOOKS);
    connect_through(&vip, false, &s, NULL, NULL);
    struct lb_plane *thief = open_plane("t"); /* takes the maps over, and empties them */
    thief->ops->apply(thief, NULL, 0);
    assert_true(connect_to(&vip, false) < 0);
    thief->ops->close(thief, false);
    assert_true(p->ops->repair(p, NULL) > 0);
    connect_through(&vip, false, &s, NULL, NULL);
    assert_int_equal(p->ops->repair(p, NULL), 0);
    close(cgroup);
    p->ops->close(p, true);
    stop_servers(&s);
}

/* -- under load -------------------------------------------------------------------------------------------------- */

static int64_t now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* Connects until it is told to end, by a byte; ends with 0 when every one was answered. */
static pid_t start_client(const struct lb_endpoint *vip, int stop)
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid != 0)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    struct pollfd told = {.fd = stop, .events = POLLIN};
    struct linger reset = {.l_onoff = 1}; /* leaves no ports behind */
    int failed = 0;
    while (failed == 0 && poll(&told, 1, 0) == 0) {
        int fd = connect_to(vip, false);
        failed = fd < 0 ? -fd : 0;
        if (fd >= 0) {
            (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
            close(fd);
        }
    }
    _exit(failed != 0);
}

static void test_swaps_under_load(void **state)
{
    struct servers s;
    int stop[2];
    (void)state;
    if (!enter_namespace())
        return;
    struct lb_endpoint vip = endpoint(LB_TCP, "11.0.0.1", 80), other = endpoint(LB_TCP, "11.0.0.2", 80), nowhere;
    nowhere = endpoint(LB_TCP, "127.0.0.1", 9); /* whoever gets a back end of the other VIP fails */
    start_servers(&s, LB_TCP, "127.0.0.1", 4);
    struct lb_plane *p = open_plane("t");
    struct lb_backend bad = {.at = nowhere};
    apply_one(p, &vip, &s);
    assert_int_equal(pipe2(stop, O_CLOEXEC), 0);
    pid_t clients[2] = {start_client(&vip, stop[0]), start_client(&vip, stop[0])};
    int64_t end = now_us() + 1500000;
    unsigned swaps = 0;
    for (; now_us() < end; swaps++) {
        apply_first(p, &vip, &s, 1 + swaps % 4);
        struct lb_change c = {.vip = other, .name = "t", .backends = &bad, .backend_count = swaps % 2};
        p->ops->apply(p, &c, 1);
        if (swaps % 500 == 0) { /* programs are replaced as well */
            p->ops->close(p, false);
            p = open_plane("t");
        }
        for (size_t i = 0; i < s.count; i++)
            for (struct pollfd q = {.fd = s.fds[i], .events = POLLIN}; poll(&q, 1, 0) == 1;)
                close(accept(s.fds[i], NULL, NULL));
    }
    assert_int_equal(write(stop[1], "x", 1), 1);
    wait_for(clients[0], 0);
    wait_for(clients[1], 0);
    apply_one(p, &vip, &s); /* it may have been opened just now */
    struct told told = {0};
    p->ops->counters(p, &vip, on_counters, &told);
    printf("%u swaps, %llu connects, none failed\n", swaps, (unsigned long long)told.connections);
    assert_true(told.connections > 100);
    p->ops->close(p, true);
    close(stop[0]);
    close(stop[1]);
    stop_servers(&s);
}

static void test_many(void **state)
{
    enum { VIPS = 10000, EACH = 10 };
    (void)state;
    if (!enter_namespace())
        return;
    struct lb_change *changes = calloc(VIPS, sizeof(*changes));
    struct lb_backend *backends = calloc((size_t)VIPS * EACH, sizeof(*backends));
    for (uint32_t i = 0; i < VIPS; i++) {
        for (uint32_t b = 0; b < EACH; b++)
            backends[i * EACH + b].at = lb_endpoint_of_ipv4(LB_TCP, 0x0a000000 + i, (uint16_t)(7001 + b));
        changes[i] = (struct lb_change){.vip = lb_endpoint_of_ipv4(LB_TCP, 0x0b000000 + i, 80),
                                        .name = "t",
                                        .backends = &backends[i * EACH],
                                        .backend_count = EACH};
    }
    struct lb_plane *p = open_plane("t");
    int64_t t0 = now_us();
    p->ops->apply(p, changes, VIPS);
    int64_t t1 = now_us();
    for (uint32_t i = 0; i < VIPS; i++)
        assert_null(p->ops->problem(p, &changes[i].vip));
    int64_t t2 = now_us();
    assert_int_equal(p->ops->repair(p, NULL), 0);
    int64_t t3 = now_us();
    changes[77].backend_count = 9;
    p->ops->apply(p, &changes[77], 1);
    int64_t t4 = now_us();
    p->ops->close(p, false);
    p = open_plane("t");
    int64_t t5 = now_us();
    p->ops->apply(p, changes, VIPS);
    int64_t t6 = now_us();
    printf("%d VIPs with %d back ends: apply %.0f ms, compare %.0f ms, one change %.2f ms, take over %.0f ms\n", VIPS,
           VIPS * EACH, (double)(t1 - t0) / 1e3, (double)(t3 - t2) / 1e3, (double)(t4 - t3) / 1e3, (double)(t6 - t5) / 1e3);
    assert_int_equal(p->ops->repair(p, NULL), 0);
    p->ops->close(p, true);
    free(changes);
    free(backends);
}

static void test_no_privilege(void **state)
{
    (void)state;
    if (group[0] == '\0')
        return;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct err err = {0};
        struct lb_plane *p = NULL;
        if (setuid(65534) < 0)
            _exit(2);
        int result = lb_plane_ebpf_new(&(struct lb_ebpf_config){.instance = "t", .cgroup = group}, &p, &err);
        _exit(result == -EPERM && strstr(err.text, "CAP_") != NULL ? 0 : 1);
    }
    wait_for(pid, 0);
}

static void test_bad_places(void **state)
{
    struct err err = {0};
    struct lb_plane *p = NULL;
    (void)state;
    assert_int_equal(lb_plane_ebpf_new(&(struct lb_ebpf_config){.instance = "a b"}, &p, &err), -EINVAL);
    assert_int_equal(lb_plane_ebpf_new(&(struct lb_ebpf_config){.instance = "t", .cgroup = "/tmp"}, &p, &err), -EINVAL);
    assert_int_equal(lb_plane_ebpf_new(&(struct lb_ebpf_config){.instance = "t", .cgroup = "/nonexistent"}, &p, &err),
                     -ENOENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sets),
        cmocka_unit_test(test_places),
        cmocka_unit_test(test_bad_places),
        cmocka_unit_test(test_tcp),
        cmocka_unit_test(test_udp),
        cmocka_unit_test(test_others_are_left_alone),
        cmocka_unit_test(test_take_over),
        cmocka_unit_test(test_other_maps_are_replaced),
        cmocka_unit_test(test_clean),
        cmocka_unit_test(test_two_instances),
        cmocka_unit_test(test_another_namespace_is_another_node),
        cmocka_unit_test(test_repair),
        cmocka_unit_test(test_swaps_under_load),
        cmocka_unit_test(test_many),
        cmocka_unit_test(test_no_privilege),
    };
    return cmocka_run_group_tests(tests, make_group, remove_group);
}

#else

int main(void)
{
    printf("skipped: built without the data plane ebpf\n");
    return 0;
}

#endif
