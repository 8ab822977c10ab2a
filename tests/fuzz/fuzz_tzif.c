/* SPDX-License-Identifier: Apache-2.0
 * fuzz_tzif.c - a zoneinfo file: what is taken is one function of time, and local times lead back to their instants. */
#include <stdint.h>
#include <stdlib.h>

#include "common/base/check.h"
#include "frameworks/cron/time/calendar.h"
#include "frameworks/cron/time/zone.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_instant(const struct zone *z, int64_t u)
{
    struct zone_instant i = zone_to_utc(z, zone_to_local_ms(z, u));
    CHECK(i.kind != ZONE_LOCAL_GAP);
    CHECK(i.first_ms <= u && i.second_ms >= i.first_ms);
    if (i.kind == ZONE_LOCAL_ONCE)
        CHECK(i.first_ms == u);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct zone *z;
    struct err err = {""};
    if (zone_parse("x", data, size, &z, &err) != 0) {
        CHECK(err.text[0] != '\0');
        return 0;
    }
    for (int64_t u = INT64_C(-4000000000000); u < INT64_C(8000000000000); u += INT64_C(999999999999))
        check_instant(z, u);
    int64_t change = zone_next_change_ms(z, INT64_C(-4000000000000));
    for (int n = 0; n < 40 && change != INT64_MAX; n++) {
        CHECK(zone_offset_s(z, change - 1) != zone_offset_s(z, change));
        check_instant(z, change - 1);
        check_instant(z, change);
        int64_t next = zone_next_change_ms(z, change);
        CHECK(next > change);
        change = next;
    }
    (void)zone_to_utc(z, INT64_MAX); /* for what the sanitizers say */
    (void)zone_to_utc(z, INT64_MIN);
    zone_free(z);
    return 0;
}
