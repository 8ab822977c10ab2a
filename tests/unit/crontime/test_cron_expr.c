/* SPDX-License-Identifier: Apache-2.0 */
#include "frameworks/cron/time/cron_expr.h"

#include <errno.h>
#include <stdlib.h>

#include "common/base/rng.h"
#include "frameworks/cron/time/calendar.h"
#include "support.h"

static int make(void **state)
{
    *state = zones_new(zone_read_system, NULL);
    return 0;
}

static int drop(void **state)
{
    zones_free(*state);
    return 0;
}

static struct cron_expr parsed(const char *text)
{
    struct cron_expr e;
    struct err err = {""};
    if (cron_expr_parse(text, &e, &err) != 0)
        fail_msg("\"%s\": %s", text, err.text);
    return e;
}

/* The moments that follow one another, from after on. Facts: net-cron D.7, and the specials. */
static void test_next__table(void **state)
{
    static const struct {
        const char *cron, *zone, *after, *next[4];
    } table[] = {
        {"0 9 1-7 * 1", "UTC", "2017-10-02T10:00Z", {"2017-11-06T09:00:00.000Z", "2017-12-04T09:00:00.000Z"}},
        {"0 9 1-7 * 1-5", "UTC", "2017-10-02T10:00Z", {"2017-10-03T09:00:00.000Z", "2017-10-04T09:00:00.000Z"}},
        {"0 9 1-7 * 6-7", "UTC", "2017-10-02T10:00Z", {"2017-10-07T09:00:00.000Z", "2017-11-04T09:00:00.000Z"}},
        {"0 9 8-14 * 1-5", "UTC", "2017-10-02T10:00Z", {"2017-10-09T09:00:00.000Z"}},
        {"0 9 22-28 * 6-7", "UTC", "2017-10-02T10:00Z", {"2017-10-22T09:00:00.000Z", "2017-10-28T09:00:00.000Z"}},
        {"* * * * 3", "UTC", "2017-10-02T10:00Z", {"2017-10-04T00:00:00.000Z", "2017-10-04T00:01:00.000Z"}},
        {"* * */1 * 3", "UTC", "2017-10-02T10:00Z", {"2017-10-04T00:00:00.000Z"}},
        {"0 0 20-31 2 *", "UTC", "2017-10-02T10:00Z", {"2018-02-20T00:00:00.000Z"}},
        {"0 0 29 2 *", "UTC", "2017-10-02T10:00Z", {"2020-02-29T00:00:00.000Z", "2024-02-29T00:00:00.000Z"}},
        {"0 0 31 2-3 *", "UTC", "2017-10-02T10:00Z", {"2018-03-31T00:00:00.000Z"}},
        {"* * * * 1", "UTC", "2017-04-25T00:00Z", {"2017-05-01T00:00:00.000Z"}},
        {"* * * * 1", "UTC", "2017-07-28T00:00Z", {"2017-07-31T00:00:00.000Z"}},
        {"* * * * 1", "UTC", "2017-12-27T00:00Z", {"2018-01-01T00:00:00.000Z"}},
        {"* * * * 1", "UTC", "2018-04-29T00:00Z", {"2018-04-30T00:00:00.000Z"}},
        {"* * * * 1", "UTC", "2018-09-30T00:00Z", {"2018-10-01T00:00:00.000Z"}},
        {"* * * * 1", "UTC", "2018-12-26T00:00Z", {"2018-12-31T00:00:00.000Z"}},
        {"55 23 * * *", "Europe/Rome", "2019-03-30T22:55Z", {"2019-03-31T21:55:00.000Z", "2019-04-01T21:55:00.000Z"}},
        {"0 0 L * *", "UTC", "2024-01-31T00:00Z", {"2024-02-29T00:00:00.000Z", "2024-03-31T00:00:00.000Z"}},
        {"0 0 L-2 * *", "UTC", "2023-02-01T00:00Z", {"2023-02-26T00:00:00.000Z", "2023-03-29T00:00:00.000Z"}},
        {"0 0 15W * *", "UTC", "2026-01-01T00:00Z", {"2026-01-15T00:00:00.000Z", "2026-02-16T00:00:00.000Z"}},
        {"0 0 1W 8 *", "UTC", "2026-01-01T00:00Z", {"2026-08-03T00:00:00.000Z"}},  /* Saturday the 1st: not in July */
        {"0 0 31W 1 *", "UTC", "2026-02-01T00:00Z", {"2027-01-29T00:00:00.000Z"}}, /* Sunday the 31st: not in February */
        {"0 0 * * 5L", "UTC", "2026-01-01T00:00Z", {"2026-01-30T00:00:00.000Z", "2026-02-27T00:00:00.000Z"}},
        {"0 0 * * 1#2", "UTC", "2026-01-01T00:00Z", {"2026-01-12T00:00:00.000Z", "2026-02-09T00:00:00.000Z"}},
        {"0 0 * * 7#5", "UTC", "2026-01-01T00:00Z", {"2026-03-29T00:00:00.000Z", "2026-05-31T00:00:00.000Z"}},
        {"0 0 L * 1-5", "UTC", "2026-01-01T00:00Z", {"2026-03-31T00:00:00.000Z", "2026-04-30T00:00:00.000Z"}},
        {"30 4 1 1 * 2030", "UTC", "2026-01-01T00:00Z", {"2030-01-01T04:30:00.000Z", "none"}},
        {"0 0 1 1 * 2030-2040/5",
         "UTC",
         "2031-01-01T00:00Z",
         {"2035-01-01T00:00:00.000Z", "2040-01-01T00:00:00.000Z", "none"}},
        {"0 0 1 1 * 2001", "UTC", "2026-01-01T00:00Z", {"none"}},
        {"59 23 31 12 *", "UTC", "2099-12-31T23:58Z", {"2099-12-31T23:59:00.000Z", "none"}},
        {"0,15,45 1 * * *", "UTC", "2026-01-01T01:15Z", {"2026-01-01T01:45:00.000Z", "2026-01-02T01:00:00.000Z"}},
        {"10/20 * * * *", "UTC", "2026-01-01T00:00Z", {"2026-01-01T00:10:00.000Z", "2026-01-01T00:30:00.000Z"}},
        {"50-55/5 6/9 * * *",
         "UTC",
         "2026-01-01T00:00Z",
         {"2026-01-01T06:50:00.000Z", "2026-01-01T06:55:00.000Z", "2026-01-01T15:50:00.000Z"}},
        {"* * * * *", "UTC", "2026-01-01T00:00:59.999Z", {"2026-01-01T00:01:00.000Z"}},
        {"* * * * *", "UTC", "2026-01-01T00:01:00Z", {"2026-01-01T00:02:00.000Z"}},
        {"0 0 1 1 *", "UTC", "1960-01-01T00:00Z", {"1970-01-01T00:00:00.000Z"}},
        {"0 12 * * sun", "UTC", "2026-01-01T00:00Z", {"2026-01-04T12:00:00.000Z"}},
    };
    for (size_t i = 0; i < COUNT(table); i++) {
        struct cron_expr e = parsed(table[i].cron);
        int64_t ms = at(table[i].after);
        for (size_t n = 0; n < 4 && table[i].next[n] != NULL; n++) {
            ms = cron_expr_next(&e, zone_named(*state, table[i].zone), ms);
            if (strcmp(text_of(ms), table[i].next[n]) != 0)
                fail_msg("%s: %s, not %s", table[i].cron, text_of(ms), table[i].next[n]);
        }
    }
}

/* The rules for clock changes of cron_expr.h. */
static void test_next__clock_changes(void **state)
{
    static const struct {
        const char *cron, *zone, *after, *next[5];
    } table[] = {
        /* a gap: once, at its end, together with what is due there */
        {"30 2 * * *", "Europe/Rome", "2026-03-28T12:00Z", {"2026-03-29T01:00:00.000Z", "2026-03-30T00:30:00.000Z"}},
        {"0,30 2-3 * * *",
         "Europe/Rome",
         "2026-03-28T12:00Z",
         {"2026-03-29T01:00:00.000Z", "2026-03-29T01:30:00.000Z", "2026-03-30T00:00:00.000Z"}},
        {"30 2 29 3 *", "Europe/Rome", "2026-03-28T12:00Z", {"2026-03-29T01:00:00.000Z", "2027-03-29T00:30:00.000Z"}},
        {"15 2 * * *",
         "Australia/Lord_Howe",
         "2026-10-03T00:00Z",
         {"2026-10-03T15:30:00.000Z", "2026-10-04T15:15:00.000Z"}},
        {"0 12 * * *", "Pacific/Apia", "2011-12-29T22:00Z", {"2011-12-30T10:00:00.000Z", "2011-12-30T22:00:00.000Z"}},
        /* an hour twice: the first time only */
        {"30 2 * * *", "Europe/Rome", "2026-10-24T12:00Z", {"2026-10-25T00:30:00.000Z", "2026-10-26T01:30:00.000Z"}},
        {"*/30 1-3 * * *",
         "Europe/Rome",
         "2026-10-24T23:00Z",
         {"2026-10-24T23:30:00.000Z", "2026-10-25T00:00:00.000Z", "2026-10-25T00:30:00.000Z", "2026-10-25T02:00:00.000Z"}},
        {"30 2 * * *", "Europe/Rome", "2026-10-25T01:10Z", {"2026-10-26T01:30:00.000Z"}}, /* asked in the second pass */
        {"45 1 * * *",
         "Australia/Lord_Howe",
         "2026-04-04T00:00Z",
         {"2026-04-04T14:45:00.000Z", "2026-04-05T15:15:00.000Z"}},
        /* every hour: real time */
        {"*/30 * * * *",
         "Europe/Rome",
         "2026-10-25T00:10Z",
         {"2026-10-25T00:30:00.000Z", "2026-10-25T01:00:00.000Z", "2026-10-25T01:30:00.000Z", "2026-10-25T02:00:00.000Z"}},
        {"*/30 * * * *",
         "Europe/Rome",
         "2026-03-29T00:10Z",
         {"2026-03-29T00:30:00.000Z", "2026-03-29T01:00:00.000Z", "2026-03-29T01:30:00.000Z"}},
        {"30 * * * *", "Europe/Rome", "2026-03-29T00:10Z", {"2026-03-29T00:30:00.000Z", "2026-03-29T01:30:00.000Z"}},
        {"*/15 * * * *",
         "Australia/Lord_Howe",
         "2026-10-03T15:10Z",
         {"2026-10-03T15:15:00.000Z", "2026-10-03T15:30:00.000Z", "2026-10-03T15:45:00.000Z", "2026-10-03T16:00:00.000Z"}},
        {"*/15 * * * *",
         "Australia/Lord_Howe",
         "2026-04-04T14:40Z",
         {"2026-04-04T14:45:00.000Z", "2026-04-04T15:00:00.000Z", "2026-04-04T15:15:00.000Z", "2026-04-04T15:30:00.000Z"}},
    };
    for (size_t i = 0; i < COUNT(table); i++) {
        struct cron_expr e = parsed(table[i].cron);
        int64_t ms = at(table[i].after);
        for (size_t n = 0; n < 5 && table[i].next[n] != NULL; n++) {
            ms = cron_expr_next(&e, zone_named(*state, table[i].zone), ms);
            if (strcmp(text_of(ms), table[i].next[n]) != 0)
                fail_msg("%s in %s: %s, not %s", table[i].cron, table[i].zone, text_of(ms), table[i].next[n]);
        }
    }
}

static void test_parse__refusals_name_the_field(void **state)
{
    (void)state;
    static const struct {
        const char *text, *says;
    } table[] = {
        {"", "5 or 6 fields"},
        {"* * * *", "has 4"},
        {"* * * * * * *", "more"},
        {"60 * * * *", "minute: 60"},
        {"-1 * * * *", "minute"},
        {"* 24 * * *", "hour: 24"},
        {"* * 0 * *", "day of month: 0"},
        {"* * 32 * *", "day of month: 32"},
        {"* * * 13 *", "month: 13"},
        {"* * * 0 *", "month: 0"},
        {"* * * FOO *", "month: unknown name"},
        {"* * * * 8", "day of week: 8"},
        {"* * * * * 1969", "year: 1969"},
        {"* * * * * 2100", "year: 2100"},
        {"*/0 * * * *", "step of 0"},
        {"*/61 * * * *", "step of 61"},
        {"5-1 * * * *", "runs backwards"},
        {"* * * * FRI-MON", "runs backwards"},
        {"1,, * * * *", "minute"},
        {", * * * *", "minute"},
        {"1- * * * *", "a value is missing"},
        {"1/ * * * *", "a value is missing"},
        {"/5 * * * *", "unexpected character"},
        {"? * * * *", "unexpected character"},
        {"* * ? * *", "unexpected character"},
        {"@daily", "minute"},
        {"* * LW * *", "LW is not supported"},
        {"* * L-31 * *", "L-n"},
        {"* * * * L", "needs a weekday"},
        {"* * 5L * *", "L goes behind a weekday"},
        {"* * * * 5W", "W goes behind a day"},
        {"* * 5#2 * *", "# goes behind a weekday"},
        {"* * * * 1#6", "within 1-5"},
        {"* * * * 1#0", "within 1-5"},
        {"5# * * * *", "# goes behind"},
        {"0 0 31 2 *", "never due"},
        {"0 0 30-31 2 *", "never due"},
        {"0 0 31 4,6,9,11 *", "never due"},
        {"0 0 29 2 * 2023", "never due"},
        {"0 0 1-7 * 1#2", "never due"},
        {"0 0 L-30 2 *", "never due"},
        {"99999999999 * * * *", "too large"},
        {"*\n* * * *", "unexpected character"},
        {"1.5 * * * *", "unexpected character"},
        {"* * * * MONDAY", "unexpected character"},
    };
    for (size_t i = 0; i < COUNT(table); i++) {
        struct cron_expr e;
        struct err err = {""};
        int rc = cron_expr_parse(table[i].text, &e, &err);
        if (rc != -EINVAL || strstr(err.text, table[i].says) == NULL)
            fail_msg("\"%s\": %d \"%s\" does not say \"%s\"", table[i].text, rc, err.text, table[i].says);
    }
    char longest[CRON_EXPR_TEXT_MAX + 2];
    memset(longest, ' ', sizeof(longest));
    longest[sizeof(longest) - 1] = '\0';
    struct cron_expr e;
    assert_int_equal(cron_expr_parse(longest, &e, NULL), -EINVAL);
}

static void test_normalise(void **state)
{
    (void)state;
    static const char *const table[][2] = {
        {"*/1 * * * *", "* * * * *"},
        {"* * */1 * 3", "* * * * 3"},
        {"*/2 * * * *", "*/2 * * * *"},
        {"  0\t9   1-7 *  1 ", "0 9 1-7 * 1"},
        {"0 0 * JAN-MAR mon,Wed,FRI", "0 0 * 1-3 1,3,5"},
        {"0 0 * * 7", "0 0 * * 0"},
        {"0 0 * * 6-7", "0 0 * * 6-7"},
        {"0 0 * * SUN", "0 0 * * 0"},
        {"1-5/1 5/1 5/2 * *", "1-5 5/1 5/2 * *"},
        {"0 0 l,15w,L-3 * 5l,1#2", "0 0 L,15W,L-3 * 5L,1#2"},
        {"0 0 1 1 * 2030", "0 0 1 1 * 2030"},
        {"00 007 * * *", "0 7 * * *"},
    };
    for (size_t i = 0; i < COUNT(table); i++) {
        struct buf out;
        buf_init(&out, 0);
        assert_int_equal(cron_expr_normalise(table[i][0], &out, NULL), 0);
        char *text = buf_steal_str(&out);
        assert_string_equal(text, table[i][1]);
        struct cron_expr a = parsed(table[i][0]), b = parsed(text);
        assert_memory_equal(&a, &b, sizeof(a));
        free(text);
    }
    struct buf out;
    buf_init(&out, 0);
    assert_int_equal(cron_expr_normalise("* * * * 8", &out, NULL), -EINVAL);
    assert_int_equal(buf_len(&out), 0);
    buf_deinit(&out);
}

/* -- properties ------------------------------------------------------------------------------------------------- */

static void random_field(struct rng *rng, int min, int max, char *out, size_t size)
{
    int a = min + (int)rng_below(rng, (uint64_t)(max - min + 1)), b = a + (int)rng_below(rng, (uint64_t)(max - a + 1));
    int step = 1 + (int)rng_below(rng, 10);
    switch (rng_below(rng, 8)) {
    case 0:
        (void)snprintf(out, size, "%d", a);
        break;
    case 1:
        (void)snprintf(out, size, "%d-%d", a, b);
        break;
    case 2:
        (void)snprintf(out, size, "*/%d", step > max - min ? 2 : step);
        break;
    case 3:
        (void)snprintf(out, size, "%d,%d", b, a);
        break;
    case 4:
        (void)snprintf(out, size, "%d/%d", a, step > max - min ? 2 : step);
        break;
    default:
        (void)snprintf(out, size, "*");
        break;
    }
}

/* The moments of a stretch of time by the definition in the header: minute after minute. Local time that goes back is
 * looked at once only, local time that is jumped over counts at the instant after it; unless the schedule is of every hour.
 */
static int64_t brute_force(const struct cron_expr *e, const struct zone *z, int64_t after, int64_t until)
{
    int64_t start = after - after % 60000 - 30 * 3600000, seen = INT64_MIN, previous = zone_to_local_ms(z, start);
    bool every_hour = e->hours == 0xffffff;
    for (int64_t u = start + 60000; u <= until; u += 60000) {
        int64_t local = zone_to_local_ms(z, u);
        bool due = false;
        if (every_hour) {
            due = cron_expr_fits(e, local);
        } else {
            for (int64_t l = local < previous + 60000 ? local : previous + 60000; l <= local; l += 60000)
                due |= l > seen && cron_expr_fits(e, l);
        }
        seen = local > seen ? local : seen;
        previous = local;
        if (due && u > after)
            return u;
    }
    return CRON_EXPR_NONE;
}

static void test_next__no_moment_is_skipped_or_made_up(void **state)
{
    static const char *const zones[] = {"UTC",          "Europe/Rome",      "America/New_York", "Australia/Lord_Howe",
                                        "Pacific/Apia", "Africa/Casablanca"};
    struct rng rng;
    rng_seed(&rng, 4);
    for (int n = 0; n < 1500; n++) {
        const struct zone *z = zone_named(*state, zones[n % COUNT(zones)]);
        char minute[16], hour[16], day[16], month[16], weekday[16], text[96];
        random_field(&rng, 0, 59, minute, sizeof(minute));
        random_field(&rng, 0, 23, hour, sizeof(hour));
        random_field(&rng, 1, 31, day, sizeof(day));
        random_field(&rng, 1, 12, month, sizeof(month));
        random_field(&rng, 0, 6, weekday, sizeof(weekday));
        if (n % 3 == 0)
            (void)snprintf(text, sizeof(text), "%s %s * * *", minute, hour);
        else
            (void)snprintf(text, sizeof(text), "%s %s %s %s %s", minute, hour, day, month, weekday);
        struct cron_expr e;
        if (cron_expr_parse(text, &e, NULL) != 0)
            continue; /* a day that never is */
        int64_t anywhere = at("2011-01-01T00:00Z") + (int64_t)rng_below(&rng, UINT64_C(30) * 365 * 86400000);
        int64_t change = zone_next_change_ms(z, anywhere);
        int64_t ms = change == INT64_MAX ? anywhere : change - (int64_t)rng_below(&rng, 8 * 3600000);
        for (int k = 0; k < 6; k++) {
            int64_t until = ms + 2 * CALENDAR_DAY_MS, want = brute_force(&e, z, ms, until);
            int64_t got = cron_expr_next(&e, z, ms);
            if (want != CRON_EXPR_NONE ? got != want : got <= until)
                fail_msg("\"%s\" in %s after %s: %s, not %s", text, zone_name(z), text_of(ms), text_of(got), text_of(want));
            ms = want != CRON_EXPR_NONE ? want : until;
        }
    }
}

/* The worst there is: a date that is rare, asked for in a zone that changes its clocks. Ends, and soon. */
static void test_next__rare_dates_end(void **state)
{
    struct cron_expr e = parsed("0 0 29 2 1 2096,2072"), every = parsed("* * 29 2 1 2096,2072");
    const struct zone *rome = zone_named(*state, "Europe/Rome");
    assert_string_equal(text_of(cron_expr_next(&e, rome, at("1970-01-01T00:00Z"))), "2072-02-28T23:00:00.000Z");
    assert_string_equal(text_of(cron_expr_next(&every, rome, at("1970-01-01T00:00Z"))), "2072-02-28T23:00:00.000Z");
    assert_string_equal(text_of(cron_expr_next(&every, rome, at("2072-03-01T00:00Z"))), "none");
    assert_string_equal(text_of(cron_expr_next(&every, rome, INT64_MAX)), "none");
    assert_string_equal(text_of(cron_expr_next(&every, rome, INT64_MIN)), "2072-02-28T23:00:00.000Z");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_next__table, make, drop),
        cmocka_unit_test_setup_teardown(test_next__clock_changes, make, drop),
        cmocka_unit_test(test_parse__refusals_name_the_field),
        cmocka_unit_test(test_normalise),
        cmocka_unit_test_setup_teardown(test_next__no_moment_is_skipped_or_made_up, make, drop),
        cmocka_unit_test_setup_teardown(test_next__rare_dates_end, make, drop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
