/* SPDX-License-Identifier: Apache-2.0
 * fuzz_iso8601.c - "schedule" or "schedule|zone": what is taken has moments in order and a text that reads back as the
 * same. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"
#include "frameworks/cron/time/iso8601.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define NOW_MS INT64_C(1774742400000)

static void check_moments(const struct iso8601_interval *i)
{
    int64_t before = INT64_MIN;
    for (int64_t k = 0; k < 5; k++) {
        int64_t ms = iso8601_interval_moment(i, k);
        CHECK(ms >= before);
        before = ms;
    }
    int64_t k = iso8601_interval_index_after(i, NOW_MS);
    CHECK(k == ISO8601_NONE || iso8601_interval_moment(i, k) > NOW_MS);
    CHECK(k == ISO8601_NONE || k == 0 || iso8601_interval_moment(i, k - 1) <= NOW_MS);
}

static void check_text(const struct iso8601_interval *i, struct zones *zones)
{
    struct iso8601_interval again;
    struct buf text;
    buf_init(&text, 0);
    CHECK(iso8601_interval_format(i, 0, i->count, NULL, &text) == 0);
    char *s = buf_steal_str(&text);
    /* Not the same instant where the local time is in a gap, exists twice, or the offset has seconds. */
    if (zone_to_utc(i->zone, i->start_local_ms).kind == ZONE_LOCAL_ONCE && i->start_ms > 0) {
        CHECK(iso8601_interval_parse(s, NULL, zones, zones_utc(zones), NOW_MS, &again, NULL) == 0);
        CHECK(again.start_ms == i->start_ms && again.count == i->count);
        CHECK(memcmp(&again.period, &i->period, sizeof(i->period)) == 0);
    }
    free(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct zones *zones;
    struct iso8601_interval i;
    struct iso8601_time t;
    struct err err = {""};
    char *s = xstrndup((const char *)data, size), *zone_name = strchr(s, '|');
    if (zones == NULL)
        zones = zones_new(zone_read_system, NULL);
    (void)iso8601_time_parse(s, &t, NULL); /* for what the sanitizers say */
    if (zone_name != NULL)
        *zone_name++ = '\0';
    if (iso8601_interval_parse(s, zone_name, zones, zones_utc(zones), NOW_MS, &i, &err) != 0) {
        CHECK(err.text[0] != '\0');
    } else {
        check_moments(&i);
        check_text(&i, zones);
    }
    free(s);
    return 0;
}
