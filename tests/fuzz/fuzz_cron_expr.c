/* SPDX-License-Identifier: Apache-2.0
 * fuzz_cron_expr.c - a cron expression: what is taken is normalised to the same schedule, is due at times that fit it, and
 * ends. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"
#include "frameworks/cron/time/cron_expr.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct zones *zones;

static void check_moments(const struct cron_expr *e, const struct zone *zone)
{
    int64_t after = INT64_C(1774742400000), due; /* 2026-03-29, the day of a change in Rome */
    for (int n = 0; n < 4; n++, after = due) {
        due = cron_expr_next(e, zone, after);
        CHECK(due > after);
        if (due == CRON_EXPR_NONE)
            return;
        struct zone_instant again = zone_to_utc(zone, zone_to_local_ms(zone, due));
        CHECK(again.kind != ZONE_LOCAL_GAP);
        CHECK(cron_expr_fits(e, zone_to_local_ms(zone, due)) ||
              zone_next_change_ms(zone, due - 1) == due); /* or moved here */
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cron_expr e, again;
    struct err err = {""};
    struct buf text;
    char *s = xstrndup((const char *)data, size);
    if (zones == NULL)
        zones = zones_new(zone_read_system, NULL);
    buf_init(&text, 0);
    int rc = cron_expr_parse(s, &e, &err);
    CHECK((rc == 0) == (cron_expr_normalise(s, &text, NULL) == 0));
    if (rc != 0) {
        CHECK(err.text[0] != '\0');
    } else {
        char *normal = buf_steal_str(&text);
        const struct zone *zone;
        CHECK(strlen(normal) > CRON_EXPR_TEXT_MAX || cron_expr_parse(normal, &again, NULL) == 0);
        CHECK(strlen(normal) > CRON_EXPR_TEXT_MAX || memcmp(&e, &again, sizeof(e)) == 0);
        check_moments(&e, zones_utc(zones));
        if (zones_find(zones, "Europe/Rome", &zone, NULL) == 0)
            check_moments(&e, zone);
        free(normal);
    }
    buf_deinit(&text);
    free(s);
    return 0;
}
