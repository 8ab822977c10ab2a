/* SPDX-License-Identifier: Apache-2.0
 * test_address.c - lists of masters. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>

#include "common/follow/address.h"

static void test_master_list__is_taken_apart(void **state)
{
    struct master_list list;
    char host[FOLLOW_ADDRESS_SIZE];
    uint16_t port;
    (void)state;
    assert_int_equal(master_list_parse(" 10.0.0.1:5050 ,master.example:5051,\t[fd00::1]:80", &list, NULL), 0);
    assert_int_equal(list.count, 3);
    assert_string_equal(list.items[0], "10.0.0.1:5050");
    assert_string_equal(list.items[1], "master.example:5051");
    assert_true(host_port_split(list.items[2], host, &port));
    assert_string_equal(host, "fd00::1");
    assert_int_equal(port, 80);
}

static void test_master_list__refuses_what_is_no_list_of_masters(void **state)
{
    static const char *const bad[] = {"",
                                      ",",
                                      "a",
                                      "a:",
                                      ":5050",
                                      "a:0",
                                      "a:65536",
                                      "a:5050,",
                                      "a:5050,A:5050",
                                      "[fd00::1]:80,[fd00:0::1]:80",
                                      "fd00::1:80",
                                      "[a]:80",
                                      "[]:80",
                                      "a:-1"};
    struct master_list list;
    struct err err;
    char text[FOLLOW_ADDRESS_SIZE + 16];
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (master_list_parse(bad[i], &list, &err) != -EINVAL)
            fail_msg("'%s' was taken", bad[i]);
        assert_non_null(strstr(err.text, "--master"));
    }
    memset(text, 'a', sizeof(text));
    strcpy(text + FOLLOW_ADDRESS_SIZE - 2, ":80");
    assert_int_equal(master_list_parse(text, &list, &err), -EINVAL);
}

static void test_master_list__has_a_limit(void **state)
{
    char text[64 * 17] = "";
    struct master_list list;
    (void)state;
    for (int i = 0; i < 17; i++) {
        char one[32] = {'h', (char)('a' + i), ':', '8', '0', i < 16 ? ',' : '\0'};
        strcat(text, one);
    }
    assert_int_equal(master_list_parse(text, &list, NULL), -EINVAL);
    text[strlen(text) - 6] = '\0';
    assert_int_equal(master_list_parse(text, &list, NULL), 0);
    assert_int_equal(list.count, 16);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_master_list__is_taken_apart),
        cmocka_unit_test(test_master_list__refuses_what_is_no_list_of_masters),
        cmocka_unit_test(test_master_list__has_a_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
