/* SPDX-License-Identifier: Apache-2.0 */
#include "frameworks/cron/durations.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_quantiles__of_none(void **state)
{
    (void)state;
    assert_int_equal(durations_count(NULL), 0);
    assert_true(durations_quantile(NULL, 0.5) == 0 && durations_mean(NULL) == 0);
    assert_null(durations_free(NULL));
}

static void test_quantiles__between_values(void **state)
{
    (void)state;
    struct durations *d = NULL;
    static const int64_t values[] = {400, 100, 300, 200};
    for (size_t i = 0; i < 4; i++)
        durations_add(&d, values[i]);
    assert_int_equal(durations_count(d), 4);
    assert_true(durations_quantile(d, 0.5) == 250 && durations_mean(d) == 250);
    assert_true(durations_quantile(d, 0.75) == 375 && durations_quantile(d, 0.99) == 400 &&
                durations_quantile(d, 0) == 100);
    durations_free(d);
}

static void test_add__keeps_the_newest(void **state)
{
    (void)state;
    struct durations *d = NULL;
    for (int64_t i = 1; i <= 1000; i++)
        durations_add(&d, i);
    assert_int_equal(durations_count(d), DURATIONS_MAX);
    assert_true(durations_quantile(d, 0) == 1000 - DURATIONS_MAX + 1 && durations_quantile(d, 1) == 1000);
    durations_add(&d, -5);
    durations_add(&d, INT64_MAX);
    assert_true(durations_quantile(d, 0) == 0 && durations_quantile(d, 1) == UINT32_MAX);
    durations_free(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_quantiles__of_none),
        cmocka_unit_test(test_quantiles__between_values),
        cmocka_unit_test(test_add__keeps_the_newest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
