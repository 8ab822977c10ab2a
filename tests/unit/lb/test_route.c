/* SPDX-License-Identifier: Apache-2.0
 * test_route.c - ranges as prefixes, and local routes in a network namespace of the test's own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <errno.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lb/route.h"

/* -- ranges ------------------------------------------------------------------------------------------------------ */

static const char *prefixes_of(const char *text)
{
    static char out[4096];
    struct lb_prefix prefixes[LB_RANGE_PREFIXES_MAX];
    struct vip_range range;
    assert_int_equal(vip_range_parse(text, &range), 0);
    size_t count = lb_range_prefixes(range, prefixes), len = 0;
    out[0] = '\0';
    for (size_t i = 0; i < count; i++) {
        char ip[INET_ADDRSTRLEN];
        (void)inet_ntop(AF_INET, prefixes[i].ip, ip, sizeof(ip));
        len += (size_t)snprintf(out + len, sizeof(out) - len, "%s%s/%u", i ? " " : "", ip, prefixes[i].bits);
    }
    return out;
}

static void test_range_prefixes(void **state)
{
    struct lb_prefix prefixes[LB_RANGE_PREFIXES_MAX];
    (void)state;
    assert_string_equal(prefixes_of("11.0.0.0/8"), "11.0.0.0/8");
    assert_string_equal(prefixes_of("127.64.0.0/10"), "");
    assert_string_equal(prefixes_of("10.0.0.0-10.0.0.255"), "10.0.0.0/24");
    assert_string_equal(prefixes_of("10.0.0.1-10.0.0.16"), "10.0.0.1/32 10.0.0.2/31 10.0.0.4/30 10.0.0.8/29 10.0.0.16/32");
    assert_string_equal(prefixes_of("126.255.255.240-128.0.0.15"), "126.255.255.240/28 128.0.0.0/28");
    /* The worst there is still fits. */
    assert_true(lb_range_prefixes((struct vip_range){1, UINT32_MAX - 1}, prefixes) < LB_RANGE_PREFIXES_MAX);
}

/* -- routes ------------------------------------------------------------------------------------------------------ */

static bool is_local(const char *ip)
{
    struct sockaddr_in a = {.sin_family = AF_INET};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_int_equal(inet_pton(AF_INET, ip, &a.sin_addr), 1);
    int result = bind(fd, (struct sockaddr *)&a, sizeof(a));
    if (result < 0)
        assert_int_equal(errno, EADDRNOTAVAIL);
    close(fd);
    return result == 0;
}

/* By its having a route: there is no other one here. */
static bool is_local6(const char *ip)
{
    struct sockaddr_in6 a = {.sin6_family = AF_INET6, .sin6_port = htons(9)};
    int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_int_equal(inet_pton(AF_INET6, ip, &a.sin6_addr), 1);
    int result = fd >= 0 ? connect(fd, (struct sockaddr *)&a, sizeof(a)) : -1;
    if (fd >= 0)
        close(fd);
    return result == 0;
}

static struct lb_prefix prefix4(const char *ip, uint8_t bits)
{
    struct lb_prefix p = {.bits = bits};
    assert_int_equal(inet_pton(AF_INET, ip, p.ip), 1);
    return p;
}

static bool enter_namespace(void)
{
    struct ifreq lo = {.ifr_flags = IFF_UP, .ifr_name = "lo"};
    if (unshare(CLONE_NEWNET) < 0 && unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0)
        return false;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_int_equal(ioctl(fd, SIOCSIFFLAGS, &lo), 0);
    close(fd);
    return true;
}

static void test_routes(void **state)
{
    struct lb_routes *a, *b;
    struct err err;
    struct lb_prefix range = prefix4("11.0.0.0", 8), host = prefix4("1.2.3.4", 32), other = prefix4("1.2.3.5", 32);
    struct lb_prefix six = {.is_ipv6 = 1, .bits = 64, .ip = {0xfd, 1, 0, 0xc}};
    (void)state;
    if (!enter_namespace()) {
        print_message("no network namespaces here: test is left out\n");
        skip();
    }
    assert_false(is_local("11.1.2.3"));
    assert_int_equal(lb_routes_new("a", &a, &err), 0);
    if (lb_routes_add(a, &range, &err) != 0)
        fail_msg("%s", err.text);
    assert_int_equal(lb_routes_add(a, &host, &err), 0);
    assert_int_equal(lb_routes_add(a, &host, &err), 0);
    assert_false(is_local6("fd01:c::9"));
    bool has_ipv6 = lb_routes_add(a, &six, &err) == 0;
    assert_int_equal(is_local6("fd01:c::9"), has_ipv6);
    assert_true(is_local("11.1.2.3") && is_local("1.2.3.4") && !is_local("1.2.3.5"));
    lb_routes_remove(a, &host);
    assert_true(is_local("1.2.3.4")); /* one more wants it */
    assert_int_equal(lb_routes_repair(a, &err), 0);

    /* Another instance has its own, and does not touch these. */
    assert_int_equal(lb_routes_new("b", &b, &err), 0);
    assert_int_equal(lb_routes_add(b, &range, &err), 0);
    assert_int_equal(lb_routes_repair(b, &err), 0);
    assert_int_equal(lb_routes_clean("a", &err), 0);
    assert_true(is_local("11.1.2.3") && !is_local("1.2.3.4"));
    assert_int_equal(lb_routes_repair(a, &err), 2 + has_ipv6); /* somebody took a's away */
    assert_true(is_local("1.2.3.4"));
    (void)lb_routes_free(b, true);
    assert_true(is_local("11.1.2.3"));

    /* A killed one: the next knows what it left, and keeps what it wants too. */
    (void)lb_routes_free(a, false);
    assert_true(is_local("1.2.3.4"));
    assert_int_equal(lb_routes_new("a", &a, &err), 0);
    assert_int_equal(lb_routes_add(a, &range, &err), 0);
    assert_int_equal(lb_routes_add(a, &other, &err), 0);
    assert_true(lb_routes_repair(a, &err) >= 1);
    assert_true(is_local("11.1.2.3") && !is_local("1.2.3.4") && is_local("1.2.3.5"));
    assert_int_equal(lb_routes_count(a), 2);
    (void)lb_routes_free(a, true);
    assert_false(is_local("11.1.2.3") || is_local("1.2.3.5"));
    assert_int_equal(lb_routes_clean("a", &err), 0); /* nothing is there */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_range_prefixes),
        cmocka_unit_test(test_routes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
