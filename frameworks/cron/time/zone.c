/* SPDX-License-Identifier: Apache-2.0
 * zone.c - offsets at instants and instants of local times. See zone.h. */
#include "frameworks/cron/time/zone.h"

#include "frameworks/cron/time/calendar.h"
#include "frameworks/cron/time/zone_private.h"

#define RANGE_MS (INT64_C(10000) * 366 * CALENDAR_DAY_MS) /* what is beyond is taken for its end */

static int64_t clamp_ms(int64_t ms)
{
    return ms > RANGE_MS ? RANGE_MS : ms < -RANGE_MS ? -RANGE_MS : ms;
}

const char *zone_name(const struct zone *z)
{
    return z->name;
}

/* How many changes of the table are at or before at_s. */
static size_t changes_until(const struct zone *z, int64_t at_s)
{
    size_t low = 0, high = z->change_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (z->changes[middle].at_s <= at_s)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static int32_t offset_at_s(const struct zone *z, int64_t at_s)
{
    if (z->rule.exists && at_s >= z->rule_from_s)
        return zone_rule_offset_s(&z->rule, at_s);
    size_t n = changes_until(z, at_s);
    return n > 0 ? z->changes[n - 1].offset_s : z->first_offset_s;
}

static int64_t next_change_s(const struct zone *z, int64_t at_s)
{
    if (z->rule.exists && at_s >= z->rule_from_s)
        return zone_rule_next_change_s(&z->rule, at_s);
    size_t n = changes_until(z, at_s);
    if (n < z->change_count)
        return z->changes[n].at_s;
    /* Only when the last change of the table is none of the offset. */
    return z->rule.exists ? zone_rule_next_change_s(&z->rule, z->rule_from_s) : INT64_MAX;
}

int32_t zone_offset_s(const struct zone *z, int64_t utc_ms)
{
    return offset_at_s(z, calendar_floor_div(clamp_ms(utc_ms), 1000));
}

int64_t zone_to_local_ms(const struct zone *z, int64_t utc_ms)
{
    return clamp_ms(utc_ms) + zone_offset_s(z, utc_ms) * INT64_C(1000);
}

int64_t zone_next_change_ms(const struct zone *z, int64_t utc_ms)
{
    int64_t at_s = next_change_s(z, calendar_floor_div(clamp_ms(utc_ms), 1000));
    return at_s > RANGE_MS / 1000 ? INT64_MAX : at_s * 1000;
}

/* Walks the stretches of constant offset that can hold this local time. Almost always there is one or two. */
struct zone_instant zone_to_utc(const struct zone *z, int64_t local_ms)
{
    int64_t local = clamp_ms(local_ms);
    int64_t from_s = calendar_floor_div(local, 1000) - ZONE_OFFSET_LIMIT_S - 1,
            until_s = from_s + 2 * (ZONE_OFFSET_LIMIT_S + 1);
    struct zone_instant out = {ZONE_LOCAL_GAP, 0, 0};
    bool found = false, has_gap = false;
    for (int64_t begin_s = from_s; begin_s <= until_s;) {
        int32_t offset_s = offset_at_s(z, begin_s);
        int64_t end_s = next_change_s(z, begin_s), utc = local - offset_s * INT64_C(1000);
        bool is_before_end = end_s > until_s || utc < end_s * 1000;
        if (utc >= begin_s * 1000 && is_before_end) {
            if (found) {
                out.kind = ZONE_LOCAL_TWICE;
                out.second_ms = utc;
                return out;
            }
            out = (struct zone_instant){ZONE_LOCAL_ONCE, utc, utc};
            found = true;
        } else if (!found && !has_gap && utc < begin_s * 1000) {
            out.first_ms = out.second_ms = begin_s * 1000; /* the clock stands behind it already, and never showed it */
            has_gap = true;
        }
        if (end_s > until_s)
            break;
        begin_s = end_s;
    }
    return out;
}
