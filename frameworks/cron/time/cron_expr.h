/* SPDX-License-Identifier: Apache-2.0
 * cron_expr.h - cron schedules in Metronome's dialect (facts: net-cron D.7): minute hour day-of-month month day-of-week and
 * an optional year. Day of month AND day of week must both hold. A plain value: parse once, copy freely.
 *
 *     minute 0-59 | hour 0-23 | day 1-31, L, nW | month 1-12, JAN-DEC | weekday 0-7 (0 and 7 Sunday), SUN-SAT, nL, n#k |
 * year everywhere: *   a   a-b   a/n   a-b/n   * /n (without the blank), and lists of these
 *
 * L: the last day of the month; nL: the last such weekday of the month; n#k: the k-th; nW: the weekday (Monday to Friday)
 * nearest to day n within the month. A range that runs backwards (FRI-MON) is refused, but for 7 as its end.
 *
 * Clock changes. Times are local times of the schedule's zone.
 * - Schedules of fixed hours: a local time that does not exist runs at the first instant after the gap (several of them,
 * and one that is due then anyway, are one run); a local time that exists twice runs once, the first time.
 * - Schedules of every hour (the hour field allows all 24) mean an interval rather than a time of day: each local minute
 * that exists and fits runs, both times if it exists twice, and none is made up for a gap. So "*" "/15 * * * *" is every
 * real quarter of an hour through any change of whole quarters, with neither a hole of an hour nor two runs at once. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "frameworks/cron/time/zone.h"

#define CRON_EXPR_TEXT_MAX 1024 /* bytes of text */
#define CRON_EXPR_YEAR_MIN 1970
#define CRON_EXPR_YEAR_MAX 2099
#define CRON_EXPR_NONE INT64_MAX

struct cron_expr {
    uint64_t minutes;   /* bit per minute */
    uint32_t hours;     /* bit per hour */
    uint32_t days;      /* bit per day of the month, 1..31 */
    uint32_t near_days; /* nW: the weekday nearest to that day; bits 1..31 */
    uint16_t months;    /* bits 1..12 */
    uint8_t weekdays;   /* bits 0..6 */
    uint8_t last_weekdays;
    uint8_t nth_weekdays[5]; /* n#k at [k - 1] */
    bool last_day;
    uint64_t years[3]; /* bits from CRON_EXPR_YEAR_MIN on */
};

/* 0, or -EINVAL with the field and the reason in err. Dates that never are (0 0 31 2 *) are refused. */
int cron_expr_parse(const char *text, struct cron_expr *out, struct err *err);

/* The text as Metronome gives it back: blanks single, names as numbers, a step of 1 left out. Appends to out; -EINVAL as
 * cron_expr_parse. */
int cron_expr_normalise(const char *text, struct buf *out, struct err *err);

/* The first instant after after_ms at which the schedule is due, CRON_EXPR_NONE when there is none up to the year
 * CRON_EXPR_YEAR_MAX. Whole minutes of local time. Goes field by field: bounded by the number of months, not of minutes. */
int64_t cron_expr_next(const struct cron_expr *e, const struct zone *zone, int64_t after_ms);

/* Does this local time (see zone.h) fit the fields? Seconds are ignored. */
bool cron_expr_fits(const struct cron_expr *e, int64_t local_ms);
