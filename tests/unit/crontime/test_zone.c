/* SPDX-License-Identifier: Apache-2.0 */
#include "frameworks/cron/time/zone.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>

#include "common/base/check.h"
#include "frameworks/cron/time/zone_private.h"
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

static void test_names__pattern(void **state)
{
    (void)state;
    static const char *const good[] = {"UTC",        "Europe/Rome", "America/Argentina/Buenos_Aires", "Etc/GMT+5",
                                       "Etc/GMT-14", "GMT0",        "America/Port-au-Prince",         "EST5EDT",
                                       "NZ-CHAT",    "PST8PDT"};
    static const char *const bad[] = {"",
                                      "/",
                                      "/etc/passwd",
                                      "../UTC",
                                      "Europe/../UTC",
                                      "Europe//Rome",
                                      "Europe/",
                                      "Europe/Rome ",
                                      " UTC",
                                      "posix/UTC",
                                      "right/UTC",
                                      "localtime",
                                      "posixrules",
                                      "Factory",
                                      "+02:00",
                                      "UTC+02:00",
                                      "zone.tab",
                                      "Europe/R\xc3\xb6m",
                                      "A2345678901234567890123456789012345678901234567890123456789012345"};
    for (size_t i = 0; i < COUNT(good); i++)
        assert_true(zone_name_is_valid(good[i]));
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_false(zone_name_is_valid(bad[i]));
}

static void test_find__refusals_say_why(void **state)
{
    const struct zone *z = NULL;
    struct err err = {""};
    static const char *const unknown[] = {"Europe/Atlantis", "Europe", "+02:00", "Z", "europe/rome", "../../../etc/passwd"};
    for (size_t i = 0; i < COUNT(unknown); i++) {
        assert_int_equal(zones_find(*state, unknown[i], &z, &err), ZONE_E_NAME);
        assert_non_null(strstr(err.text, unknown[i]));
    }
    assert_int_equal(zones_find(*state, "leapseconds", &z, &err), ZONE_E_FILE);
    assert_null(z);
}

static void test_find__one_object_a_name(void **state)
{
    assert_ptr_equal(zone_named(*state, "Europe/Rome"), zone_named(*state, "Europe/Rome"));
    assert_string_equal(zone_name(zone_named(*state, "Europe/Rome")), "Europe/Rome");
    assert_ptr_equal(zone_named(*state, "UTC"), zones_utc(*state));
}

/* What happens at each change of the clocks: the instant, and the offsets before and from it on, in minutes. */
static void test_offset__around_changes(void **state)
{
    static const struct {
        const char *zone, *change;
        int before, after;
    } table[] = {
        {"Europe/Rome", "2026-03-29T01:00:00Z", 60, 120},
        {"Europe/Rome", "2026-10-25T01:00:00Z", 120, 60},
        {"Europe/Rome", "2061-03-27T01:00:00Z", 60, 120}, /* behind the table: by the rule */
        {"America/New_York", "2026-03-08T07:00:00Z", -300, -240},
        {"America/New_York", "2026-11-01T06:00:00Z", -240, -300},
        {"America/New_York", "2099-11-01T06:00:00Z", -240, -300},
        {"Australia/Lord_Howe", "2026-04-04T15:00:00Z", 660, 630},
        {"Australia/Lord_Howe", "2026-10-03T15:30:00Z", 630, 660},
        {"Australia/Lord_Howe", "2071-10-03T15:30:00Z", 630, 660},
        {"Pacific/Apia", "2011-12-30T10:00:00Z", -600, 840}, /* a day that never was */
        {"Europe/Dublin", "2040-03-25T01:00:00Z", 0, 60},    /* "negative summer time" in winter */
        {"Africa/Casablanca", "2026-02-15T02:00:00Z", 60, 0},
        {"America/St_Johns", "2050-03-13T05:30:00Z", -210, -150},
    };
    for (size_t i = 0; i < COUNT(table); i++) {
        const struct zone *z = zone_named(*state, table[i].zone);
        int64_t change = at(table[i].change);
        assert_int_equal(zone_offset_s(z, change - 1), table[i].before * 60);
        assert_int_equal(zone_offset_s(z, change), table[i].after * 60);
        assert_string_equal(text_of(zone_next_change_ms(z, change - 1)), text_of(change));
        assert_true(zone_next_change_ms(z, change) > change);
    }
    assert_int_equal(zone_next_change_ms(zones_utc(*state), 0), INT64_MAX);
    assert_int_equal(zone_next_change_ms(zone_named(*state, "Asia/Tokyo"), at("2000-01-01T00:00:00Z")), INT64_MAX);
}

static void test_to_utc__gaps_and_overlaps(void **state)
{
    static const struct {
        const char *zone, *local, *first, *second;
        enum zone_local_kind kind;
    } table[] = {
        {"Europe/Rome", "2026-03-29T01:59", "2026-03-29T00:59:00.000Z", NULL, ZONE_LOCAL_ONCE},
        {"Europe/Rome", "2026-03-29T02:00", "2026-03-29T01:00:00.000Z", NULL, ZONE_LOCAL_GAP},
        {"Europe/Rome", "2026-03-29T02:59", "2026-03-29T01:00:00.000Z", NULL, ZONE_LOCAL_GAP},
        {"Europe/Rome", "2026-03-29T03:00", "2026-03-29T01:00:00.000Z", NULL, ZONE_LOCAL_ONCE},
        {"Europe/Rome", "2026-10-25T01:59", "2026-10-24T23:59:00.000Z", NULL, ZONE_LOCAL_ONCE},
        {"Europe/Rome", "2026-10-25T02:00", "2026-10-25T00:00:00.000Z", "2026-10-25T01:00:00.000Z", ZONE_LOCAL_TWICE},
        {"Europe/Rome", "2026-10-25T02:59", "2026-10-25T00:59:00.000Z", "2026-10-25T01:59:00.000Z", ZONE_LOCAL_TWICE},
        {"Europe/Rome", "2026-10-25T03:00", "2026-10-25T02:00:00.000Z", NULL, ZONE_LOCAL_ONCE},
        {"Australia/Lord_Howe", "2026-04-05T01:29", "2026-04-04T14:29:00.000Z", NULL, ZONE_LOCAL_ONCE},
        {"Australia/Lord_Howe", "2026-04-05T01:30", "2026-04-04T14:30:00.000Z", "2026-04-04T15:00:00.000Z",
         ZONE_LOCAL_TWICE},
        {"Australia/Lord_Howe", "2026-04-05T02:00", "2026-04-04T15:30:00.000Z", NULL, ZONE_LOCAL_ONCE},
        {"Australia/Lord_Howe", "2026-10-04T02:15", "2026-10-03T15:30:00.000Z", NULL, ZONE_LOCAL_GAP},
        {"Australia/Lord_Howe", "2026-10-04T02:30", "2026-10-03T15:30:00.000Z", NULL, ZONE_LOCAL_ONCE},
        {"Pacific/Apia", "2011-12-30T12:00", "2011-12-30T10:00:00.000Z", NULL, ZONE_LOCAL_GAP},
        {"UTC", "2026-03-29T02:30", "2026-03-29T02:30:00.000Z", NULL, ZONE_LOCAL_ONCE},
    };
    for (size_t i = 0; i < COUNT(table); i++) {
        struct zone_instant u = zone_to_utc(zone_named(*state, table[i].zone), at(table[i].local));
        assert_int_equal(u.kind, table[i].kind);
        assert_string_equal(text_of(u.first_ms), table[i].first);
        assert_string_equal(text_of(u.second_ms), table[i].second ? table[i].second : table[i].first);
    }
}

static void test_java__old_ids_and_offsets(void **state)
{
    static const struct {
        const char *name;
        int winter_minutes; /* 2026-01-15 */
    } table[] = {{"PST", -480},    {"BST", 360},      {"Europe/Paris", 60}, {"EST", -300},     {"MST", -420},
                 {"HST", -600},    {"JST", 540},      {"GMT", 0},           {"UTC", 0},        {"GMT+2", 120},
                 {"GMT-08", -480}, {"GMT+5:30", 330}, {"GMT-03:30", -210},  {"GMT+0545", 345}, {"GMT+130", 90}};
    const struct zone *z;
    struct err err = {""};
    for (size_t i = 0; i < COUNT(table); i++) {
        assert_int_equal(zones_find_java(*state, table[i].name, &z, &err), 0);
        assert_int_equal(zone_offset_s(z, at("2026-01-15T12:00:00Z")), table[i].winter_minutes * 60);
    }
    static const char *const bad[] = {"GMT+",      "GMT+19",    "GMT+1:2",  "GMT+12:60",
                                      "GMT+12345", "GMT+1:234", "nonsense", "+02:00"};
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_int_equal(zones_find_java(*state, bad[i], &z, &err), ZONE_E_NAME);
}

static void test_offsets__bounded(void **state)
{
    const struct zone *z;
    assert_int_equal(zones_find_offset(*state, 7200, &z), 0);
    assert_string_equal(zone_name(z), "+02:00");
    assert_int_equal(zones_find_offset(*state, -34200, &z), 0);
    assert_string_equal(zone_name(z), "-09:30");
    assert_int_equal(zones_find_offset(*state, 0, &z), 0);
    assert_string_equal(zone_name(z), "UTC");
    assert_int_equal(zones_find_offset(*state, 64860, &z), ZONE_E_NAME);
    assert_int_equal(zones_find_offset(*state, 61, &z), ZONE_E_NAME);
    for (int32_t s = -ZONE_OFFSET_MAX_S; s <= ZONE_OFFSET_MAX_S; s += 60)
        assert_int_equal(zones_find_offset(*state, s, &z), 0);
}

/* All forms of a rule, in a year with and one without a leap day: the two changes and the offsets behind them, in minutes.
 */
static void test_rule__forms(void **state)
{
    (void)state;
    static const struct {
        const char *rule, *after, *first, *second;
        int first_minutes, second_minutes;
    } table[] = {
        {"CET-1CEST,M3.5.0,M10.5.0/3", "2026-01-01T00:00Z", "2026-03-29T01:00:00.000Z", "2026-10-25T01:00:00.000Z", 120,
         60},
        {"A1-1B1", "", NULL, NULL, 0, 0},
        {"AAA0BBB,J59/0,J60/0", "2023-01-01T00:00Z", "2023-02-28T00:00:00.000Z", "2023-02-28T23:00:00.000Z", 60, 0},
        {"AAA0BBB,J59/0,J60/0", "2024-01-01T00:00Z", "2024-02-28T00:00:00.000Z", "2024-02-29T23:00:00.000Z", 60, 0},
        {"AAA0BBB,59/0,60/0", "2024-01-01T00:00Z", "2024-02-29T00:00:00.000Z", "2024-02-29T23:00:00.000Z", 60, 0},
        {"AAA0BBB,59/0,60/0", "2023-01-01T00:00Z", "2023-03-01T00:00:00.000Z", "2023-03-01T23:00:00.000Z", 60, 0},
        {"<-02>2<-01>,M3.5.0/-1,M10.5.0/0", "2026-01-01T00:00Z", "2026-03-29T01:00:00.000Z", "2026-10-25T01:00:00.000Z",
         -60, -120},
        {"IST-1GMT0,M10.5.0,M3.5.0/1", "2026-01-01T00:00Z", "2026-03-29T01:00:00.000Z", "2026-10-25T01:00:00.000Z", 60, 0},
        {"XXX-2:30:15YYY-3:30:15,M1.1.1/-24,M12.5.6/167", "2026-01-10T00:00Z", "2027-01-01T19:29:45.000Z",
         "2027-01-02T21:29:45.000Z", 150, 210},
        {"AAA0BBB", "", NULL, NULL, 0, 0},
        {"AA0", "", NULL, NULL, 0, 0},
        {"AAA", "", NULL, NULL, 0, 0},
        {"AAA26", "", NULL, NULL, 0, 0},
        {"AAA0BBB,M13.1.0,M1.1.0", "", NULL, NULL, 0, 0},
        {"AAA0BBB,M3.6.0,M1.1.0", "", NULL, NULL, 0, 0},
        {"AAA0BBB,M3.1.7,M1.1.0", "", NULL, NULL, 0, 0},
        {"AAA0BBB,J0,J1", "", NULL, NULL, 0, 0},
        {"AAA0BBB,J1/168,J2", "", NULL, NULL, 0, 0},
        {"AAA0BBB,J1,J2 ", "", NULL, NULL, 0, 0},
        {"<AAA0", "", NULL, NULL, 0, 0},
    };
    for (size_t i = 0; i < COUNT(table); i++) {
        struct zone_rule rule;
        int rc = zone_rule_parse(table[i].rule, strlen(table[i].rule), &rule);
        assert_int_equal(rc, table[i].first != NULL ? 0 : -1);
        if (rc != 0)
            continue;
        int64_t first = zone_rule_next_change_s(&rule, at(table[i].after) / 1000),
                second = zone_rule_next_change_s(&rule, first);
        assert_string_equal(text_of(first * 1000), table[i].first);
        assert_string_equal(text_of(second * 1000), table[i].second);
        assert_int_equal(zone_rule_offset_s(&rule, first) / 60, table[i].first_minutes);
        assert_int_equal(zone_rule_offset_s(&rule, second) / 60, table[i].second_minutes);
    }
    struct zone_rule always;
    assert_int_equal(zone_rule_parse("EST5EDT,0/0,J365/25", 19, &always), 0);
    assert_int_equal(zone_rule_next_change_s(&always, 0), INT64_MAX);
    for (int64_t s = 0; s < 5 * 366 * 86400; s += 3601)
        assert_int_equal(zone_rule_offset_s(&always, s), -4 * 3600);
}

/* A reader that says yes to every name: the table stays bounded. */
static int64_t read_any(void *ctx, const char *name, uint8_t *data, size_t size)
{
    (void)name;
    return zone_read_system(ctx, "Europe/Rome", data, size);
}

static void test_table__is_bounded(void **state)
{
    (void)state;
    struct zones *zones = zones_new(read_any, NULL);
    const struct zone *z;
    int rc = 0;
    for (int i = 0; i < ZONES_MAX + 10 && rc == 0; i++) {
        char name[16];
        (void)snprintf(name, sizeof(name), "Zone%d", i);
        rc = zones_find(zones, name, &z, NULL);
        assert_true(rc == 0 || i == ZONES_MAX - 1);
    }
    assert_int_equal(rc, ZONE_E_FULL);
    zones_free(zones);
}

/* Every zone of the system can be read; there and back again gives the same, hour by hour over some years. */
static void check_round_trip(const struct zone *z)
{
    int64_t change = zone_next_change_ms(z, at("2025-01-01T00:00:00Z"));
    for (int64_t u = at("2025-01-01T00:30:00Z"); u < at("2027-01-01T00:00:00Z"); u += 3600000 * 5) {
        struct zone_instant i = zone_to_utc(z, zone_to_local_ms(z, u));
        assert_true(i.kind != ZONE_LOCAL_GAP && (i.first_ms == u || i.second_ms == u));
    }
    for (int n = 0; n < 6 && change != INT64_MAX; n++, change = zone_next_change_ms(z, change)) {
        assert_int_not_equal(zone_offset_s(z, change - 1), zone_offset_s(z, change));
        for (int64_t u = change - 3 * 3600000; u <= change + 3 * 3600000; u += 900000) {
            struct zone_instant i = zone_to_utc(z, zone_to_local_ms(z, u));
            assert_true(i.kind != ZONE_LOCAL_GAP && (i.first_ms == u || i.second_ms == u) && i.first_ms <= i.second_ms);
        }
    }
}

static void walk(struct zones *zones, const char *prefix, int *count)
{
    char path[512], name[300];
    (void)snprintf(path, sizeof(path), "/usr/share/zoneinfo/%s", prefix);
    DIR *folder = opendir(path);
    assert_non_null(folder);
    for (struct dirent *e = readdir(folder); e != NULL; e = readdir(folder)) {
        if (e->d_name[0] == '.' ||
            (prefix[0] == '\0' && (strcmp(e->d_name, "posix") == 0 || strcmp(e->d_name, "right") == 0)))
            continue;
        (void)snprintf(name, sizeof(name), "%.30s%s%.255s", prefix, prefix[0] ? "/" : "", e->d_name);
        if (e->d_type == DT_DIR && strlen(name) < 40) {
            walk(zones, name, count);
            continue;
        }
        const struct zone *z;
        if (zone_name_is_valid(name) && zones_find(zones, name, &z, NULL) == 0) {
            check_round_trip(z);
            (*count)++;
        }
    }
    closedir(folder);
}

static void test_all_zones__round_trip(void **state)
{
    int count = 0;
    walk(*state, "", &count);
    assert_in_range(count, 300, 1000);
}

/* Every prefix of a file and every single changed byte is either refused or a zone that can be asked. */
static void test_parse__damaged_files(void **state)
{
    (void)state;
    uint8_t *data = xmalloc(ZONE_FILE_BYTES_MAX);
    int64_t len = zone_read_system(NULL, "Australia/Lord_Howe", data, ZONE_FILE_BYTES_MAX);
    struct zone *z;
    struct err err = {""};
    assert_true(len > 500);
    assert_int_equal(zone_parse("x", data, (size_t)len, &z, &err), 0);
    zone_free(z);
    for (int64_t cut = 0; cut < len; cut++) {
        uint8_t *copy = xmemdup(data, (size_t)cut + (cut == 0));
        assert_int_equal(zone_parse("x", copy, (size_t)cut, &z, &err), ZONE_E_FILE);
        assert_non_null(strstr(err.text, "time zone x"));
        free(copy);
    }
    for (int64_t i = 0; i < len; i++) {
        uint8_t old = data[i];
        data[i] ^= 0xff;
        if (zone_parse("x", data, (size_t)len, &z, NULL) == 0) {
            (void)zone_to_utc(z, zone_to_local_ms(z, at("2026-04-04T15:00:00Z")));
            zone_free(z);
        }
        data[i] = old;
    }
    free(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names__pattern),
        cmocka_unit_test_setup_teardown(test_find__refusals_say_why, make, drop),
        cmocka_unit_test_setup_teardown(test_find__one_object_a_name, make, drop),
        cmocka_unit_test_setup_teardown(test_offset__around_changes, make, drop),
        cmocka_unit_test_setup_teardown(test_to_utc__gaps_and_overlaps, make, drop),
        cmocka_unit_test_setup_teardown(test_java__old_ids_and_offsets, make, drop),
        cmocka_unit_test_setup_teardown(test_offsets__bounded, make, drop),
        cmocka_unit_test(test_rule__forms),
        cmocka_unit_test(test_table__is_bounded),
        cmocka_unit_test_setup_teardown(test_all_zones__round_trip, make, drop),
        cmocka_unit_test(test_parse__damaged_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
