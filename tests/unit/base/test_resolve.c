/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "common/base/resolve.h"

static void test_resolve__addresses_are_themselves(void **state)
{
    (void)state;
    char ip[RESOLVE_IP_SIZE];
    assert_int_equal(resolve_host("192.0.2.7", ip, NULL), 0);
    assert_string_equal(ip, "192.0.2.7");
    assert_int_equal(resolve_host("::1", ip, NULL), 0);
    assert_string_equal(ip, "::1");
}

static void test_resolve__localhost_is_the_address_we_listen_on(void **state)
{
    (void)state;
    char ip[RESOLVE_IP_SIZE];
    assert_int_equal(resolve_host("localhost", ip, NULL), 0);
    assert_string_equal(ip, "127.0.0.1");
}

static void test_resolve__unknown_name_is_in_the_error(void **state)
{
    (void)state;
    char ip[RESOLVE_IP_SIZE];
    struct err err;
    assert_int_equal(resolve_host("no such host", ip, &err), -EHOSTUNREACH);
    assert_non_null(strstr(err.text, "no such host"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_resolve__addresses_are_themselves),
        cmocka_unit_test(test_resolve__localhost_is_the_address_we_listen_on),
        cmocka_unit_test(test_resolve__unknown_name_is_in_the_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
