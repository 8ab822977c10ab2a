/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/err.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/log.h"

static void test_err__texts_grow_to_the_left(void **state)
{
    (void)state;
    struct err err;
    assert_int_equal(err_sys(&err, -ENOENT, "open %s", "/x"), -ENOENT);
    assert_string_equal(err.text, "open /x: No such file or directory");
    assert_int_equal(err_wrap(&err, -EINVAL, "agent %d", 7), -EINVAL);
    assert_string_equal(err.text, "agent 7: open /x: No such file or directory");
    assert_int_equal(err_set(&err, 3, "%s", "other"), 3);
    assert_string_equal(err.text, "other");
}

static void test_err__long_texts_are_cut_and_null_is_allowed(void **state)
{
    (void)state;
    struct err err;
    char text[2000];
    memset(text, 'x', sizeof(text));
    text[sizeof(text) - 1] = '\0';
    assert_int_equal(err_set(&err, -1, "%s", text), -1);
    assert_int_equal(strlen(err.text), sizeof(err.text) - 1);
    assert_int_equal(err_wrap(&err, -1, "a"), -1);
    assert_true(strncmp(err.text, "a: xxx", 6) == 0 && strlen(err.text) == sizeof(err.text) - 1);
    assert_int_equal(err_wrap(&err, -1, "%s", text), -1);
    assert_int_equal(strlen(err.text), sizeof(err.text) - 1);
    assert_int_equal(err_set(NULL, -5, "x"), -5);
    assert_int_equal(err_sys(NULL, -5, "x"), -5);
    assert_int_equal(err_wrap(NULL, -5, "x"), -5);
}

static void test_log__levels_by_name(void **state)
{
    (void)state;
    enum log_level level = LOG_LEVEL_INFO;
    assert_int_equal(log_parse_level("WARN", &level), 0);
    assert_int_equal(level, LOG_LEVEL_WARNING);
    assert_int_equal(log_parse_level("warning", &level), 0);
    assert_int_equal(log_parse_level("debug", &level), 0);
    assert_int_equal(level, LOG_LEVEL_DEBUG);
    assert_int_equal(log_parse_level("loud", &level), -EINVAL);
    assert_int_equal(level, LOG_LEVEL_DEBUG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_err__texts_grow_to_the_left),
        cmocka_unit_test(test_err__long_texts_are_cut_and_null_is_allowed),
        cmocka_unit_test(test_log__levels_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
