/* SPDX-License-Identifier: Apache-2.0
 * iso8601.h - ISO 8601 times, periods and Chronos's repeating intervals "Rn/start/period" (facts: net-cron E.3).
 *
 * The moments of an interval are counted from its start: moment k is start + k * period, months and days in local time of
 * the schedule's zone, hours and less in real time. So 31 January + P1M is the last day of February and then 31 March
 * again: nothing drifts. Who wants Chronos's repeated addition moves the start itself, with iso8601_interval_rebase, at
 * each run. A local time that does not exist is the first instant after the gap; one that exists twice is the first. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "frameworks/cron/time/zone.h"

#define ISO8601_TEXT_MAX 256        /* bytes of any text that is read */
#define ISO8601_FOREVER (-1)        /* count of "R" without a number */
#define ISO8601_COUNT_MAX INT32_MAX /* of "Rn" */
#define ISO8601_NONE INT64_MAX

/* Years and months are one unit, weeks and days another, everything below a third. Never negative. */
struct iso8601_period {
    int32_t months;
    int32_t days;
    int64_t ms;
};

/* `PnYnMnWnDTnHnMnS`, the last number with a fraction if it is seconds; units in order, each at most once; a lone "P" and
 * "PT0S" are zero. 0, or -EINVAL with the reason in err. */
int iso8601_period_parse(const char *text, struct iso8601_period *out, struct err *err);
bool iso8601_period_is_zero(const struct iso8601_period *p);
/* Canonical: "P1Y2M1DT1H0.500S"; zero is "PT0S". */
int iso8601_period_format(const struct iso8601_period *p, struct buf *out);

enum iso8601_zone_kind {
    ISO8601_ZONE_NONE,   /* nothing in the text */
    ISO8601_ZONE_OFFSET, /* Z or +hh:mm, +hhmm, +hh */
};
struct iso8601_time {
    int64_t local_ms; /* the fields, see zone.h */
    enum iso8601_zone_kind zone_kind;
    int32_t offset_s;
};
/* `yyyy[-MM[-dd]][THH[:mm[:ss[.fraction]]]][zone]`, years of four digits; a fraction is cut at milliseconds; 24:00 is
 * refused, and so is a second of 60. */
int iso8601_time_parse(const char *text, struct iso8601_time *out, struct err *err);

struct iso8601_interval {
    int64_t count;           /* runs in all, ISO8601_FOREVER, 0: none ("R1" is one run, not one repetition) */
    int64_t start_ms;        /* moment 0 */
    int64_t start_local_ms;  /* its fields as asked for, which a gap may have moved */
    const struct zone *zone; /* of the arithmetic; belongs to its table */
    struct iso8601_period period;
};

/* zone_name "" or NULL: the offset of the text, else default_zone. Otherwise a name for zones_find_java: the fields stay
 * and the zone takes the place of whatever the text says. An empty start is now_ms - 1000. 0, or -EINVAL with the reason in
 * err. */
int iso8601_interval_parse(const char *text, const char *zone_name, struct zones *zones, const struct zone *default_zone,
                           int64_t now_ms, struct iso8601_interval *out, struct err *err);

/* Moment k >= 0. The count plays no part in this: it is for the caller to count runs. ISO8601_NONE when it is after the
 * year 9999. With a period of zero there is only moment 0. Moments never decrease; two are equal only across a gap of a
 * day. */
int64_t iso8601_interval_moment(const struct iso8601_interval *i, int64_t k);
/* The smallest k whose moment is after after_ms; ISO8601_NONE when there is none. Logarithmic in k. */
int64_t iso8601_interval_index_after(const struct iso8601_interval *i, int64_t after_ms);
/* Moves the start to moment k, which must exist. What it was counted from (a month's end) is forgotten by this. */
void iso8601_interval_rebase(struct iso8601_interval *i, int64_t k);

/* "R3/2026-01-31T00:00:00.000+01:00/P1M": count (or ISO8601_FOREVER) runs from moment k on. period_text NULL: canonical,
 * else what it was read from. 0, or -ENOBUFS. */
int iso8601_interval_format(const struct iso8601_interval *i, int64_t k, int64_t count, const char *period_text,
                            struct buf *out);
/* One instant as local time of the zone, `yyyy-MM-ddTHH:mm:ss.SSS` and Z or +hh:mm, as Joda writes it. */
int iso8601_instant_format(int64_t utc_ms, const struct zone *zone, struct buf *out);
