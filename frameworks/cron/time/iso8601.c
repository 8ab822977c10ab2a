/* SPDX-License-Identifier: Apache-2.0
 * iso8601.c - the moments of an interval, and the text of one. See iso8601.h. */
#include "frameworks/cron/time/iso8601.h"

#include <errno.h>
#include <stdlib.h>

#include "common/base/check.h"
#include "frameworks/cron/time/calendar.h"

#define LAST_MS ((calendar_days(CALENDAR_YEAR_MAX + 1, 1, 1) - 2) * CALENDAR_DAY_MS) /* in any zone */

bool iso8601_period_is_zero(const struct iso8601_period *p)
{
    return p->months == 0 && p->days == 0 && p->ms == 0;
}

/* Local time of the start's fields, k times the months and days later. False when it is out of range. */
static bool add_dates(const struct iso8601_interval *i, int64_t k, int64_t *out)
{
    int64_t months, days;
    if (__builtin_mul_overflow(k, (int64_t)i->period.months, &months) ||
        __builtin_mul_overflow(k, (int64_t)i->period.days, &days))
        return false;
    if (months > INT64_C(12) * 2 * CALENDAR_YEAR_MAX || days > INT64_C(366) * 2 * CALENDAR_YEAR_MAX)
        return false;
    int64_t start_days = calendar_floor_div(i->start_local_ms, CALENDAR_DAY_MS);
    struct calendar_date d = calendar_date(start_days);
    months += d.year * INT64_C(12) + d.month - 1;
    int64_t year = calendar_floor_div(months, 12);
    int month = (int)calendar_floor_mod(months, 12) + 1, month_days = calendar_month_days(year, month);
    int64_t to_days = calendar_days(year, month, d.day < month_days ? d.day : month_days) + days;
    *out = i->start_local_ms + (to_days - start_days) * CALENDAR_DAY_MS;
    return true;
}

int64_t iso8601_interval_moment(const struct iso8601_interval *i, int64_t k)
{
    int64_t base_ms = i->start_ms, local_ms, more_ms, ms;
    CHECK(k >= 0);
    if (k == 0)
        return i->start_ms;
    if (iso8601_period_is_zero(&i->period))
        return ISO8601_NONE;
    if (i->period.months != 0 || i->period.days != 0) {
        if (!add_dates(i, k, &local_ms) || local_ms > LAST_MS)
            return ISO8601_NONE;
        base_ms = zone_to_utc(i->zone, local_ms).first_ms;
    }
    if (__builtin_mul_overflow(k, i->period.ms, &more_ms) || __builtin_add_overflow(base_ms, more_ms, &ms) || ms > LAST_MS)
        return ISO8601_NONE;
    return ms;
}

int64_t iso8601_interval_index_after(const struct iso8601_interval *i, int64_t after_ms)
{
    if (i->start_ms > after_ms)
        return 0;
    if (after_ms >= LAST_MS || iso8601_period_is_zero(&i->period))
        return ISO8601_NONE;
    int64_t low = 0, high = 1; /* moment low is not after, moment high is (once the first loop ends) */
    while (iso8601_interval_moment(i, high) <= after_ms) {
        low = high;
        high *= 2; /* ends long before an overflow: a moment is at least k milliseconds after the start */
    }
    while (high - low > 1) {
        int64_t middle = low + (high - low) / 2;
        if (iso8601_interval_moment(i, middle) <= after_ms)
            low = middle;
        else
            high = middle;
    }
    return iso8601_interval_moment(i, high) == ISO8601_NONE ? ISO8601_NONE : high;
}

void iso8601_interval_rebase(struct iso8601_interval *i, int64_t k)
{
    int64_t ms = iso8601_interval_moment(i, k);
    CHECK(ms != ISO8601_NONE);
    i->start_ms = ms;
    i->start_local_ms = zone_to_local_ms(i->zone, ms);
}

int iso8601_instant_format(int64_t utc_ms, const struct zone *zone, struct buf *out)
{
    int32_t offset_s = zone_offset_s(zone, utc_ms);
    int minutes = abs(offset_s / 60);
    int64_t local_ms = zone_to_local_ms(zone, utc_ms), days = calendar_floor_div(local_ms, CALENDAR_DAY_MS);
    int ms = (int)(local_ms - days * CALENDAR_DAY_MS);
    struct calendar_date d = calendar_date(days);
    int rc = buf_printf(out, "%04d-%02d-%02dT%02d:%02d:%02d.%03d", d.year, d.month, d.day, ms / 3600000, ms / 60000 % 60,
                        ms / 1000 % 60, ms % 1000);
    if (rc != 0)
        return rc;
    if (offset_s == 0)
        return buf_append_char(out, 'Z');
    rc = buf_printf(out, "%c%02d:%02d", offset_s < 0 ? '-' : '+', minutes / 60, minutes % 60);
    if (rc == 0 && offset_s % 60 != 0) /* local mean time, before there were zones */
        rc = buf_printf(out, ":%02d", abs(offset_s) % 60);
    return rc;
}

int iso8601_interval_format(const struct iso8601_interval *i, int64_t k, int64_t count, const char *period_text,
                            struct buf *out)
{
    int64_t ms = iso8601_interval_moment(i, k);
    CHECK(ms != ISO8601_NONE);
    int rc = count == ISO8601_FOREVER ? buf_append_str(out, "R/") : buf_printf(out, "R%lld/", (long long)count);
    if (rc == 0)
        rc = iso8601_instant_format(ms, i->zone, out);
    if (rc == 0)
        rc = buf_append_char(out, '/');
    if (rc == 0)
        rc = period_text != NULL ? buf_append_str(out, period_text) : iso8601_period_format(&i->period, out);
    return rc;
}
