/* SPDX-License-Identifier: Apache-2.0 */
#include "frameworks/cron/time/calendar.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void test_days__both_ways_over_all_years(void **state)
{
    (void)state;
    int year = CALENDAR_YEAR_MIN, month = 1, day = 1;
    int64_t first = calendar_days(year, month, day);
    for (int64_t days = first; year <= CALENDAR_YEAR_MAX; days++) {
        struct calendar_date d = calendar_date(days);
        if (d.year != year || d.month != month || d.day != day || calendar_days(year, month, day) != days)
            fail_msg("day %lld is %d-%d-%d, not %d-%d-%d", (long long)days, d.year, d.month, d.day, year, month, day);
        if (++day > calendar_month_days(year, month)) {
            day = 1;
            year += month == 12;
            month = month % 12 + 1;
        }
    }
}

static void test_days__known_ones(void **state)
{
    (void)state;
    assert_int_equal(calendar_days(1970, 1, 1), 0);
    assert_int_equal(calendar_days(2000, 3, 1), 11017);
    assert_int_equal(calendar_days(2017, 10, 2), 17441);
    assert_int_equal(calendar_weekday(calendar_days(2017, 10, 2)), 1);
    assert_int_equal(calendar_weekday(calendar_days(1969, 12, 28)), 0);
    assert_int_equal(calendar_weekday(calendar_days(2000, 2, 29)), 2);
    assert_true(calendar_is_leap(2000) && calendar_is_leap(2024) && !calendar_is_leap(1900) && !calendar_is_leap(2023));
    assert_int_equal(calendar_month_days(2024, 2), 29);
    assert_int_equal(calendar_month_days(2023, 2), 28);
    assert_int_equal(calendar_floor_div(-1, 1000), -1);
    assert_int_equal(calendar_floor_mod(-1, 1000), 999);
    assert_int_equal(calendar_floor_div(-2000, 1000), -2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_days__both_ways_over_all_years),
        cmocka_unit_test(test_days__known_ones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
