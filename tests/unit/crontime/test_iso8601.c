/* SPDX-License-Identifier: Apache-2.0 */
#include "frameworks/cron/time/iso8601.h"

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

static struct iso8601_interval parsed(struct zones *zones, const char *text, const char *zone)
{
    struct iso8601_interval i;
    struct err err = {""};
    if (iso8601_interval_parse(text, zone, zones, zones_utc(zones), at("2026-06-15T12:00:00Z"), &i, &err) != 0)
        fail_msg("\"%s\": %s", text, err.text);
    return i;
}

/* Facts: net-cron E.3. */
static void test_interval__table(void **state)
{
    static const struct {
        const char *text, *zone;
        int64_t count;
        const char *start;
        struct iso8601_period period;
    } table[] = {
        {"R5/2008-03-01T13:00:00Z/P1D", "", 5, "2008-03-01T13:00:00.000Z", {0, 1, 0}},
        {"R/2008-03-01T13:00:00Z/P1D", NULL, -1, "2008-03-01T13:00:00.000Z", {0, 1, 0}},
        {"R0/2008-03-01T13:00:00Z/P1D", NULL, 0, "2008-03-01T13:00:00.000Z", {0, 1, 0}},
        {"R1//P1D", NULL, 1, "2026-06-15T11:59:59.000Z", {0, 1, 0}},
        {"R1//P1D", "Europe/Rome", 1, "2026-06-15T11:59:59.000Z", {0, 1, 0}},
        {"R1//P", NULL, 1, "2026-06-15T11:59:59.000Z", {0, 0, 0}},
        {"R1//PT0S", NULL, 1, "2026-06-15T11:59:59.000Z", {0, 0, 0}},
        {"R/2008-03-01T13:00:00Z/P1D", "BST", -1, "2008-03-01T07:00:00.000Z", {0, 1, 0}},
        {"R/2008-03-01T13:00:00Z/P1D", "PST", -1, "2008-03-01T21:00:00.000Z", {0, 1, 0}},
        {"R/2008-03-01T13:00:00Z/P1D", "Europe/Paris", -1, "2008-03-01T12:00:00.000Z", {0, 1, 0}},
        {"R/2008-03-01T13:00:00-04:00/P1D", "PST", -1, "2008-03-01T21:00:00.000Z", {0, 1, 0}},
        {"R/2008-03-01/P1D", "PST", -1, "2008-03-01T08:00:00.000Z", {0, 1, 0}},
        {"R/2008-03-01T13:00:00+02:00/P1D", NULL, -1, "2008-03-01T11:00:00.000Z", {0, 1, 0}},
        {"R/2008-03-01T13:00:00.250-0330/PT1.5S", NULL, -1, "2008-03-01T16:30:00.250Z", {0, 0, 1500}},
        {"R/2008-03-01T13:00/PT36H", NULL, -1, "2008-03-01T13:00:00.000Z", {0, 0, 36 * 3600000}},
        {"R/2008/P1Y2M3W4DT5H6M7.008S", NULL, -1, "2008-01-01T00:00:00.000Z", {14, 25, 18367008}},
    };
    for (size_t n = 0; n < COUNT(table); n++) {
        struct iso8601_interval i = parsed(*state, table[n].text, table[n].zone);
        assert_int_equal(i.count, table[n].count);
        assert_string_equal(text_of(i.start_ms), table[n].start);
        assert_memory_equal(&i.period, &table[n].period, sizeof(i.period));
        assert_int_equal(iso8601_interval_moment(&i, 0), i.start_ms);
    }
}

static void test_interval__refusals(void **state)
{
    static const char *const bad[] = {"",
                                      "FOO",
                                      "R",
                                      "R/",
                                      "R//",
                                      "R/2008-03-01T13:00:00Z",
                                      "R/2008-03-01T13:00:00Z/",
                                      "R/2008-03-01T13:00:00Z/2009-03-01T13:00:00Z",
                                      "R/P1D/2008-03-01T13:00:00Z",
                                      "5/2008-03-01T13:00:00Z/P1D",
                                      "R-1/2008-03-01T13:00:00Z/P1D",
                                      "R1x/2008-03-01T13:00:00Z/P1D",
                                      "R99999999999/2008-03-01T13:00:00Z/P1D",
                                      "R/2008-13-01T13:00:00Z/P1D",
                                      "R/2008-02-30T13:00:00Z/P1D",
                                      "R/2007-02-29/P1D",
                                      "R/2008-03-01T24:00:00Z/P1D",
                                      "R/2008-03-01T23:60:00Z/P1D",
                                      "R/2008-03-01T23:59:60Z/P1D",
                                      "R/2008-03-01T13:00:00X/P1D",
                                      "R/2008-03-01T13:00:00+25:00/P1D",
                                      "R/2008-03-01T13:00:00+2/P1D",
                                      "R/2008-03-01T13:00:00Z /P1D",
                                      "R/08-03-01/P1D",
                                      "R/2008-03-01T/P1D",
                                      "R/a/b/P1D",
                                      "R//P1",
                                      "R//P-1D",
                                      "R//PD",
                                      "R//P1D1Y",
                                      "R//P1D1D",
                                      "R//PT",
                                      "R//P1DT",
                                      "R//P1H",
                                      "R//PT1D",
                                      "R//P1.5D",
                                      "R//PT1.S",
                                      "R//P1X",
                                      "R//P999999Y",
                                      "R//P9999999999999999999999D",
                                      "R//PT999999999999999H",
                                      "r//P1D"};
    struct iso8601_interval i;
    for (size_t n = 0; n < COUNT(bad); n++) {
        struct err err = {""};
        if (iso8601_interval_parse(bad[n], "", *state, zones_utc(*state), 0, &i, &err) != -EINVAL || err.text[0] == '\0')
            fail_msg("\"%s\" was taken", bad[n]);
    }
    assert_int_equal(iso8601_interval_parse("R//P1D", "Mars/Olympus", *state, zones_utc(*state), 0, &i, NULL), -EINVAL);
}

/* Moments in order from the start on. */
static void test_moments__table(void **state)
{
    static const struct {
        const char *text, *zone, *moments[6];
    } table[] = {
        /* month ends do not drift */
        {"R/2026-01-31T00:00:00Z/P1M",
         NULL,
         {"2026-01-31T00:00:00.000Z", "2026-02-28T00:00:00.000Z", "2026-03-31T00:00:00.000Z", "2026-04-30T00:00:00.000Z",
          "2026-05-31T00:00:00.000Z"}},
        {"R/2024-02-29T00:00:00Z/P1Y",
         NULL,
         {"2024-02-29T00:00:00.000Z", "2025-02-28T00:00:00.000Z", "2026-02-28T00:00:00.000Z", "2027-02-28T00:00:00.000Z",
          "2028-02-29T00:00:00.000Z"}},
        /* days are of the calendar, hours are real */
        {"R/2026-03-28T12:00:00/P1D",
         "Europe/Rome",
         {"2026-03-28T11:00:00.000Z", "2026-03-29T10:00:00.000Z", "2026-03-30T10:00:00.000Z"}},
        {"R/2026-03-28T12:00:00/PT24H",
         "Europe/Rome",
         {"2026-03-28T11:00:00.000Z", "2026-03-29T11:00:00.000Z", "2026-03-30T11:00:00.000Z"}},
        {"R/2026-03-28T12:00:00+01:00/P1D",
         NULL, /* an offset has no summer time */
         {"2026-03-28T11:00:00.000Z", "2026-03-29T11:00:00.000Z"}},
        /* a gap moves one moment and none that follow; an hour that exists twice counts once */
        {"R/2026-03-28T02:30:00/P1D",
         "Europe/Rome",
         {"2026-03-28T01:30:00.000Z", "2026-03-29T01:00:00.000Z", "2026-03-30T00:30:00.000Z"}},
        {"R/2026-03-29T02:30:00/P1D", "Europe/Rome", {"2026-03-29T01:00:00.000Z", "2026-03-30T00:30:00.000Z"}},
        {"R/2026-10-24T02:30:00/P1D",
         "Europe/Rome",
         {"2026-10-24T00:30:00.000Z", "2026-10-25T00:30:00.000Z", "2026-10-26T01:30:00.000Z"}},
        {"R/2026-10-03T02:15:00/P1D",
         "Australia/Lord_Howe",
         {"2026-10-02T15:45:00.000Z", "2026-10-03T15:30:00.000Z", "2026-10-04T15:15:00.000Z"}},
        {"R/2026-01-31T10:00:00Z/P1M1DT1H",
         NULL,
         {"2026-01-31T10:00:00.000Z", "2026-03-01T11:00:00.000Z", "2026-04-02T12:00:00.000Z"}},
        {"R/2026-01-31T10:00:00Z/P1W", NULL, {"2026-01-31T10:00:00.000Z", "2026-02-07T10:00:00.000Z"}},
        {"R/2026-01-31T10:00:00Z/P", NULL, {"2026-01-31T10:00:00.000Z", "none", "none"}},
        {"R/9999-12-01T10:00:00Z/P1M", NULL, {"9999-12-01T10:00:00.000Z", "none"}},
    };
    for (size_t n = 0; n < COUNT(table); n++) {
        struct iso8601_interval i = parsed(*state, table[n].text, table[n].zone);
        for (int64_t k = 0; k < 6 && table[n].moments[k] != NULL; k++) {
            const char *got = text_of(iso8601_interval_moment(&i, k));
            if (strcmp(got, table[n].moments[k]) != 0)
                fail_msg("%s, moment %d: %s, not %s", table[n].text, (int)k, got, table[n].moments[k]);
        }
    }
}

static void test_index_after__is_the_smallest(void **state)
{
    static const char *const texts[] = {"R/2026-01-31T00:00:00Z/P1M", "R/2026-03-28T02:30:00/P1D",
                                        "R/2026-01-01T00:00:00/PT7M", "R/1999-12-31T23:59:59.999/PT0.001S",
                                        "R/2020-02-29T12:00/P1Y",     "R/2026-01-31T10:00:00/P1M1DT1H",
                                        "R/2026-01-01/P1DT1H"};
    struct rng rng;
    rng_seed(&rng, 7);
    for (size_t n = 0; n < COUNT(texts); n++) {
        struct iso8601_interval i = parsed(*state, texts[n], n % 2 ? "Europe/Rome" : NULL);
        for (int t = 0; t < 300; t++) {
            int64_t after = i.start_ms - 1000 + (int64_t)rng_below(&rng, UINT64_C(1) << (t % 42));
            int64_t k = iso8601_interval_index_after(&i, after);
            assert_true(k >= 0 && k != ISO8601_NONE && iso8601_interval_moment(&i, k) > after);
            assert_true(k == 0 || iso8601_interval_moment(&i, k - 1) <= after);
            int64_t exact = iso8601_interval_moment(&i, k);
            assert_true(iso8601_interval_index_after(&i, exact) > k);
        }
        assert_int_equal(iso8601_interval_index_after(&i, INT64_MAX), ISO8601_NONE);
        assert_int_equal(iso8601_interval_index_after(&i, INT64_MIN), 0);
    }
    struct iso8601_interval once = parsed(*state, "R3/2026-01-01T00:00:00Z/PT0S", NULL);
    assert_int_equal(iso8601_interval_index_after(&once, once.start_ms - 1), 0);
    assert_int_equal(iso8601_interval_index_after(&once, once.start_ms), ISO8601_NONE);
}

static void test_rebase__forgets_the_month_end(void **state)
{
    struct iso8601_interval i = parsed(*state, "R/2026-01-31T00:00:00Z/P1M", NULL);
    iso8601_interval_rebase(&i, 1);
    assert_string_equal(text_of(iso8601_interval_moment(&i, 0)), "2026-02-28T00:00:00.000Z");
    assert_string_equal(text_of(iso8601_interval_moment(&i, 1)), "2026-03-28T00:00:00.000Z");
}

static void test_format(void **state)
{
    static const struct {
        const char *text, *zone;
        int64_t k, count;
        const char *period_text, *want;
    } table[] = {
        {"R/2026-01-31T00:00:00Z/P1M", NULL, 1, ISO8601_FOREVER, NULL, "R/2026-02-28T00:00:00.000Z/P1M"},
        {"R5/2026-01-31T00:00:00Z/P14M", NULL, 0, 5, "P14M", "R5/2026-01-31T00:00:00.000Z/P14M"},
        {"R5/2026-01-31T00:00:00Z/P14M", NULL, 0, 5, NULL, "R5/2026-01-31T00:00:00.000Z/P1Y2M"},
        {"R/2026-07-01T00:00:00.123/PT90M", "Europe/Rome", 1, 2, NULL, "R2/2026-07-01T01:30:00.123+02:00/PT1H30M"},
        {"R/2026-07-01T00:00:00-03:30/PT0.25S", NULL, 0, 0, NULL, "R0/2026-07-01T00:00:00.000-03:30/PT0.250S"},
        {"R/2026-07-01T00:00:00Z/P", NULL, 0, -1, NULL, "R/2026-07-01T00:00:00.000Z/PT0S"},
        {"R/2026-07-01T00:00:00Z/P1WT61S", NULL, 0, -1, NULL, "R/2026-07-01T00:00:00.000Z/P7DT1M1S"},
    };
    for (size_t n = 0; n < COUNT(table); n++) {
        struct iso8601_interval i = parsed(*state, table[n].text, table[n].zone), again;
        struct buf out;
        buf_init(&out, 0);
        assert_int_equal(iso8601_interval_format(&i, table[n].k, table[n].count, table[n].period_text, &out), 0);
        char *text = buf_steal_str(&out);
        assert_string_equal(text, table[n].want);
        again = parsed(*state, text, table[n].zone);
        assert_int_equal(again.start_ms, iso8601_interval_moment(&i, table[n].k));
        assert_memory_equal(&again.period, &i.period, sizeof(i.period));
        free(text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_interval__table, make, drop),
        cmocka_unit_test_setup_teardown(test_interval__refusals, make, drop),
        cmocka_unit_test_setup_teardown(test_moments__table, make, drop),
        cmocka_unit_test_setup_teardown(test_index_after__is_the_smallest, make, drop),
        cmocka_unit_test_setup_teardown(test_rebase__forgets_the_month_end, make, drop),
        cmocka_unit_test_setup_teardown(test_format, make, drop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
