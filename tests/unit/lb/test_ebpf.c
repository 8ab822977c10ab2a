/* SPDX-License-Identifier: Apache-2.0
 * test_ebpf.c - the programs in the kernel, on sockets of this process in a network namespace and a control group of its
 * own. Needs root and a mounted cgroup v2; says so where it has none. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "lb/plane.h"

#define INSTANCE "unit_ebpf"

static char cgroup[512], procs_before[512];
static const char *const roots[] = {"/sys/fs/cgroup/unified", "/sys/fs/cgroup"};

static int write_pid(const char *folder)
{
    char path[600], text[32];
    (void)snprintf(path, sizeof(path), "%s/cgroup.procs", folder);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    int len = snprintf(text, sizeof(text), "%d", (int)getpid());
    ssize_t n = fd < 0 ? -1 : write(fd, text, (size_t)len);
    if (fd >= 0)
        (void)close(fd);
    return n == len ? 0 : -1;
}

/* NULL: all is there. */
static const char *prepare(void)
{
    struct ifreq up = {.ifr_name = "lo", .ifr_flags = IFF_UP};
    struct lb_plane *plane;
    struct err err = {0};
    static char text[600];
    if (unshare(CLONE_NEWNET) < 0)
        return "no network namespace of its own";
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0 && ioctl(fd, SIOCSIFFLAGS, &up) == 0);
    (void)close(fd);
    for (size_t i = 0; i < 2 && cgroup[0] == '\0'; i++) {
        char path[300];
        (void)snprintf(path, sizeof(path), "%s/muster-test-%d", roots[i], (int)getpid());
        if (mkdir(path, 0755) < 0)
            continue;
        if (write_pid(path) == 0) {
            (void)snprintf(cgroup, sizeof(cgroup), "%s", path);
            (void)snprintf(procs_before, sizeof(procs_before), "%s", roots[i]);
        } else {
            (void)rmdir(path);
        }
    }
    if (cgroup[0] == '\0')
        return "no control group of version 2";
    struct lb_ebpf_config config = {.instance = INSTANCE, .cgroup = cgroup};
    if (lb_plane_ebpf_new(&config, &plane, &err) < 0) {
        (void)snprintf(text, sizeof(text), "%s", err.text);
        return text;
    }
    plane->ops->close(plane, true);
    return NULL;
}

static struct lb_plane *start(void)
{
    struct lb_plane *plane;
    struct err err = {0};
    struct lb_ebpf_config config = {.instance = INSTANCE, .cgroup = cgroup};
    if (lb_plane_ebpf_new(&config, &plane, &err) < 0)
        fail_msg("%s", err.text);
    return plane;
}

static struct lb_endpoint at(enum lb_protocol protocol, const char *ip, uint16_t port)
{
    struct lb_endpoint e = {.protocol = (uint8_t)protocol};
    assert_int_equal(lb_endpoint_parse_ip(ip, &e), 0);
    e.protocol = (uint8_t)protocol;
    e.port = port;
    return e;
}

static void set(struct lb_plane *plane, struct lb_endpoint vip, const struct lb_backend *backends, size_t count)
{
    struct lb_change change = {.vip = vip, .name = "x", .backends = backends, .backend_count = count};
    plane->ops->apply(plane, &change, 1);
    assert_null(plane->ops->problem(plane, &vip));
}

/* A socket bound to any port of the address; fills in the port. */
static int serve(struct lb_endpoint *e)
{
    struct sockaddr_storage address;
    socklen_t len = lb_endpoint_to_sockaddr(e, &address);
    int fd = socket(address.ss_family, (e->protocol == LB_TCP ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0 && bind(fd, (struct sockaddr *)&address, len) == 0);
    if (e->protocol == LB_TCP)
        assert_int_equal(listen(fd, 100), 0);
    len = sizeof(address);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    lb_endpoint_from_sockaddr(&address, e);
    return fd;
}

/* A connected socket, or a negative errno. */
static int dial(struct lb_endpoint vip)
{
    struct sockaddr_storage address;
    socklen_t len = lb_endpoint_to_sockaddr(&vip, &address);
    int fd = socket(address.ss_family, (vip.protocol == LB_TCP ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    if (connect(fd, (struct sockaddr *)&address, len) == 0)
        return fd;
    int result = -errno;
    (void)close(fd);
    return result;
}

static struct lb_endpoint peer_of(int fd, enum lb_protocol protocol)
{
    struct sockaddr_storage address;
    socklen_t len = sizeof(address);
    struct lb_endpoint e = {.protocol = (uint8_t)protocol};
    assert_int_equal(getpeername(fd, (struct sockaddr *)&address, &len), 0);
    lb_endpoint_from_sockaddr(&address, &e);
    return e;
}

static void check_tcp(const char *vip_ip, const char *ip)
{
    struct lb_plane *plane = start();
    struct lb_endpoint vip = at(LB_TCP, vip_ip, 80);
    struct lb_backend backends[2] = {{.at = at(LB_TCP, ip, 0)}, {.at = at(LB_TCP, ip, 0)}};
    int a = serve(&backends[0].at), b = serve(&backends[1].at);
    if (lb_endpoint_compare(&backends[0].at, &backends[1].at) > 0) {
        struct lb_backend first = backends[1];
        int fd = b;
        backends[1] = backends[0], b = a;
        backends[0] = first, a = fd;
    }
    set(plane, vip, backends, 2);
    for (int i = 0; i < 50; i++) {
        int fd = dial(vip);
        assert_true(fd >= 0);
        struct lb_endpoint peer = peer_of(fd, LB_TCP);
        assert_int_equal(lb_endpoint_compare(&peer, &vip), 0); /* the client sees whom it called */
        (void)close(fd);
    }
    backends[0].is_draining = true;
    set(plane, vip, backends, 2);
    int flags = fcntl(a, F_GETFL);
    assert_int_equal(fcntl(a, F_SETFL, flags | O_NONBLOCK), 0);
    for (int fd; (fd = accept(a, NULL, NULL)) >= 0;)
        (void)close(fd);
    for (int i = 0; i < 20; i++) {
        int fd = dial(vip);
        assert_true(fd >= 0);
        (void)close(fd);
    }
    assert_int_equal(accept(a, NULL, NULL), -1); /* a draining one gets nobody */
    set(plane, vip, NULL, 0);
    assert_int_equal(dial(vip), -ECONNREFUSED);
    plane->ops->close(plane, true);
    (void)close(a);
    (void)close(b);
}

static void test_tcp__is_balanced_drained_refused(void **state)
{
    (void)state;
    check_tcp("11.1.2.3", "127.0.0.1");
    check_tcp("fd01:c::5", "::1");
}

static void test_tcp__an_ipv4_vip_in_an_ipv6_socket(void **state)
{
    (void)state;
    struct lb_plane *plane = start();
    struct lb_endpoint vip = at(LB_TCP, "11.1.2.3", 80), mapped = at(LB_TCP, "::ffff:11.1.2.3", 80);
    struct lb_backend backend = {.at = at(LB_TCP, "127.0.0.1", 0)};
    int server = serve(&backend.at);
    set(plane, vip, &backend, 1);
    int fd = dial(mapped);
    assert_true(fd >= 0);
    struct lb_endpoint peer = peer_of(fd, LB_TCP);
    assert_int_equal(lb_endpoint_compare(&peer, &mapped), 0);
    (void)close(fd);
    (void)close(server);
    plane->ops->close(plane, true);
}

static void test_udp__answers_come_from_the_vip(void **state)
{
    (void)state;
    struct lb_plane *plane = start();
    struct lb_endpoint vip = at(LB_UDP, "11.1.2.3", 53), client = at(LB_UDP, "127.0.0.1", 0);
    struct lb_backend backend = {.at = at(LB_UDP, "127.0.0.1", 0)};
    struct sockaddr_storage to, from;
    socklen_t len = lb_endpoint_to_sockaddr(&vip, &to), from_len = sizeof(from);
    int server = serve(&backend.at), fd = serve(&client);
    char text[8];
    set(plane, vip, &backend, 1);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(sendto(fd, "?", 1, 0, (struct sockaddr *)&to, len), 1);
        from_len = sizeof(from);
        assert_int_equal(recvfrom(server, text, sizeof(text), 0, (struct sockaddr *)&from, &from_len), 1);
        assert_int_equal(sendto(server, "!", 1, 0, (struct sockaddr *)&from, from_len), 1);
        from_len = sizeof(from);
        assert_int_equal(recvfrom(fd, text, sizeof(text), 0, (struct sockaddr *)&from, &from_len), 1);
        struct lb_endpoint source = {.protocol = LB_UDP};
        lb_endpoint_from_sockaddr(&from, &source);
        assert_int_equal(lb_endpoint_compare(&source, &vip), 0);
    }
    plane->ops->close(plane, true);
    (void)close(server);
    (void)close(fd);
}

static void test_take_over__works_on_and_nothing_is_left(void **state)
{
    (void)state;
    struct err err = {0};
    struct lb_endpoint vip = at(LB_TCP, "11.1.2.3", 80);
    struct lb_backend backend = {.at = at(LB_TCP, "127.0.0.1", 0)};
    int server = serve(&backend.at);
    struct lb_plane *first = start();
    set(first, vip, &backend, 1);
    first->ops->close(first, false); /* as a killed one */
    int fd = dial(vip);
    assert_true(fd >= 0);
    struct lb_plane *second = start();
    struct lb_endpoint peer = peer_of(fd, LB_TCP);
    assert_int_equal(lb_endpoint_compare(&peer, &vip), 0);
    set(second, vip, &backend, 1);
    peer = peer_of(fd, LB_TCP); /* by the new programs, of a socket that the old ones saw */
    assert_int_equal(lb_endpoint_compare(&peer, &vip), 0);
    assert_int_equal(second->ops->repair(second, &err), 0);
    second->ops->close(second, false);
    assert_int_equal(lb_plane_ebpf_clean(INSTANCE, cgroup, &err), 0);
    (void)close(fd);
    assert_true(dial(vip) < 0);
    (void)close(server);
}

static void test_repair__attaches_again(void **state)
{
    (void)state;
    struct err err = {0};
    struct lb_plane *plane = start();
    struct lb_endpoint vip = at(LB_TCP, "11.1.2.3", 80);
    struct lb_backend backend = {.at = at(LB_TCP, "127.0.0.1", 0)};
    int server = serve(&backend.at);
    set(plane, vip, &backend, 1);
    assert_int_equal(lb_plane_ebpf_clean(INSTANCE, cgroup, &err), 0);
    assert_true(dial(vip) < 0);
    assert_int_equal(plane->ops->repair(plane, &err), 8);
    int fd = dial(vip);
    assert_true(fd >= 0);
    (void)close(fd);
    (void)close(server);
    plane->ops->close(plane, true);
}

static void test_apply__ten_thousand_vips(void **state)
{
    (void)state;
    enum { VIPS = 10000, BACKENDS = 10 };
    struct lb_plane *plane = start();
    struct lb_change *changes = calloc(VIPS, sizeof(*changes));
    struct lb_backend *backends = calloc((size_t)VIPS * BACKENDS, sizeof(*backends));
    struct timespec a, b;
    assert_true(changes && backends);
    for (uint32_t i = 0; i < VIPS; i++) {
        for (uint32_t k = 0; k < BACKENDS; k++)
            backends[i * BACKENDS + k].at = lb_endpoint_of_ipv4(LB_TCP, 0x0a000000 + i, (uint16_t)(31000 + k));
        changes[i] = (struct lb_change){.vip = lb_endpoint_of_ipv4(LB_TCP, 0x0b000000 + i, 80),
                                        .name = "x",
                                        .backends = &backends[i * BACKENDS],
                                        .backend_count = BACKENDS};
    }
    (void)clock_gettime(CLOCK_MONOTONIC, &a);
    plane->ops->apply(plane, changes, VIPS);
    (void)clock_gettime(CLOCK_MONOTONIC, &b);
    printf("10,000 VIPs with 100,000 back ends: %.0f ms\n",
           (double)(b.tv_sec - a.tv_sec) * 1e3 + (double)(b.tv_nsec - a.tv_nsec) / 1e6);
    for (uint32_t i = 0; i < VIPS; i += 777)
        assert_null(plane->ops->problem(plane, &changes[i].vip));
    plane->ops->close(plane, true);
    free(changes);
    free(backends);
}

static int leave(void **state)
{
    (void)state;
    if (write_pid(procs_before) == 0)
        (void)rmdir(cgroup);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tcp__is_balanced_drained_refused),
        cmocka_unit_test(test_tcp__an_ipv4_vip_in_an_ipv6_socket),
        cmocka_unit_test(test_udp__answers_come_from_the_vip),
        cmocka_unit_test(test_take_over__works_on_and_nothing_is_left),
        cmocka_unit_test(test_repair__attaches_again),
        cmocka_unit_test(test_apply__ten_thousand_vips),
    };
    const char *why = prepare();
    if (why != NULL) {
        printf("SKIP test_ebpf: %s\n", why);
        if (cgroup[0] != '\0')
            (void)leave(NULL);
        return 77;
    }
    return cmocka_run_group_tests(tests, NULL, leave);
}
