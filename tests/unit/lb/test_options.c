/* SPDX-License-Identifier: Apache-2.0
 * test_options.c - the flags of muster lb. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>

#include "lb/options.h"

static struct lb_options o;
static struct err err;

/* Words with blanks between. */
static int parse(const char *text)
{
    static char copy[1024], program[] = "lb";
    char *argv[32] = {program}, *save = NULL;
    int argc = 1;
    options_free(lb_option_defs, lb_option_count, &o);
    memset(&o, 0, sizeof(o));
    (void)snprintf(copy, sizeof(copy), "%s", text);
    for (char *word = strtok_r(copy, " ", &save); word; word = strtok_r(NULL, " ", &save))
        argv[argc++] = word;
    int result = options_parse(lb_option_defs, lb_option_count, &o, argc, argv, NULL, NULL, &err);
    return result == 0 ? lb_options_check(&o, &err) : result;
}

static void test_options__defaults(void **state)
{
    (void)state;
    assert_int_equal(parse("--master=10.0.0.1:5050,m2:5050"), 0);
    assert_int_equal(o.masters.count, 2);
    assert_int_equal(o.range.first, 0x0b000000);
    assert_int_equal(o.range.last, 0x0bffffff);
    assert_int_equal(o.port, 62080);
    assert_int_equal(o.route, LB_ROUTE_AUTO);
    assert_int_equal(o.check_interval_ms, 0);
    assert_string_equal(o.plane, "auto");
    assert_false(o.keep_on_exit);
    assert_false(o.ipv6);
}

static void test_options__are_taken(void **state)
{
    (void)state;
    assert_int_equal(parse("--master m:1 --vip_range 127.64.0.0/10 --plane proxy --local_route on --instance a_1 --ipv6 "
                           "--check_interval 100ms --keep-on-exit --port 0 --udp_timeout 2secs"),
                     0);
    assert_int_equal(o.range.first, 0x7f400000);
    assert_int_equal(o.route, LB_ROUTE_ON);
    assert_int_equal(o.check_interval_ms, 100);
    assert_int_equal(o.udp_timeout_ms, 2000);
    assert_true(o.keep_on_exit && o.ipv6);
    assert_int_equal(parse("--clean"), 0); /* needs no master */
}

static void test_options__bad_ones_name_their_flag(void **state)
{
    static const char *const bad[][2] = {
        {"", "--master"},
        {"--master=m", "--master"},
        {"--master=zk://m:2181/mesos", "--master"},
        {"--master=m:1,m:1", "--master"},
        {"--master=m:1 --plane=ipvs", "--plane"},
        {"--master=m:1 --local_route=maybe", "--local_route"},
        {"--master=m:1 --instance=A", "--instance"},
        {"--master=m:1 --instance=", "--instance"},
        {"--clean --instance=a;b", "--instance"},
        {"--master=m:1 --instance=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "--instance"},
        {"--master=m:1 --vip_range=11.0.0.0", "--vip_range"},
        {"--master=m:1 --vip_range=11.0.0.0/30", "--vip_range"},
        {"--master=m:1 --vip_range=127.0.0.0/8", "--vip_range"},
        {"--master=m:1 --vip_range=0.0.0.0/8", "--vip_range"},
        {"--master=m:1 --vip_range=224.0.0.0/8", "--vip_range"},
        {"--master=m:1 --ip=localhost", "--ip"},
        {"--master=m:1 --check_interval=10ms", "--check_interval"},
        {"--master=m:1 --proxy_threads=65", "proxy_threads"},
        {"--master=m:1 --port=65536", "port"},
        {"--master=m:1 --logging_level=loud", "--logging_level"},
        {"--master=m:1 --nonsense=1", "nonsense"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (parse(bad[i][0]) != -EINVAL)
            fail_msg("'%s' was taken", bad[i][0]);
        if (strstr(err.text, bad[i][1]) == NULL)
            fail_msg("'%s' gave: %s", bad[i][0], err.text);
    }
}

static int teardown(void **state)
{
    (void)state;
    options_free(lb_option_defs, lb_option_count, &o);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_options__defaults),
        cmocka_unit_test(test_options__are_taken),
        cmocka_unit_test(test_options__bad_ones_name_their_flag),
    };
    return cmocka_run_group_tests(tests, NULL, teardown);
}
