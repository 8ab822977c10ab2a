/* SPDX-License-Identifier: Apache-2.0
 * cron_expr.h - cron schedules in Metronome's dialect (facts: net-cron D.7): minute, hour, day of month, month, day of week
 * and an optional year. Day of month AND day of week must both hold. A plain value: parse once, copy freely.
 *
 *     minute   0-59
 *     hour     0-23
 *     day      1-31, L (last day of the month), L-n (n days before it), nW (the weekday nearest to day n, within the month)
 *     month    1-12, JAN-DEC
 *     weekday  0-7 (0 and 7 Sunday), SUN-SAT, nL (the last such day of the month), n#k (the k-th)
 *     year     1970-2099
 *
 * Everywhere a star, a, a-b, each with a step behind a slash, and lists of these. a/n runs to the end of the field. Names
 * in any case. Not in the dialect: ?, LW, @daily, ranges that run backwards. Metronome also takes W for weekdays and # for
 * days of the month and never runs them; and it refuses `0 0 31 2-3 *` although there is a 31 March. Here what can never
 * run is refused, what can is taken.
 *
 * Clock changes. Times are local times of the schedule's zone.
 * - Schedules of some hours mean a time of day: a local time that does not exist runs at the first instant after the gap
 *   (several such times, and one that is due then anyway, are one run); one that exists twice runs once, the first time.
 * - Schedules of every hour (the hour field allows all 24) mean an interval: each local minute that exists and fits runs,
 * both times if it exists twice, and none is made up for a gap. So a quarter-hourly schedule runs every real quarter of an
 * hour through any change of whole quarters, with neither an hour's hole nor two runs at once. */
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
    uint32_t near_days; /* nW; bits 1..31 */
    uint32_t end_days;  /* L and L-n; bit 0 is the last day, 1 the one before */
    uint16_t months;    /* bits 1..12 */
    uint8_t weekdays;   /* bits 0..6 */
    uint8_t last_weekdays;
    uint8_t nth_weekdays[5]; /* n#k at [k - 1] */
    uint64_t years[3];       /* bits from CRON_EXPR_YEAR_MIN on */
};

/* 0, or -EINVAL with the field and the reason in err. What can never be due (`0 0 31 2 *`) is refused, what was due in the
 * past only is not. */
int cron_expr_parse(const char *text, struct cron_expr *out, struct err *err);

/* The text as Metronome gives it back: blanks single, names as numbers, a step of 1 left out. Appends to out; -EINVAL as
 * cron_expr_parse. */
int cron_expr_normalise(const char *text, struct buf *out, struct err *err);

/* The first instant after after_ms at which the schedule is due, CRON_EXPR_NONE when there is none up to the year
 * CRON_EXPR_YEAR_MAX. Whole minutes of local time. Goes field by field: bounded by the number of months, not of minutes. */
int64_t cron_expr_next(const struct cron_expr *e, const struct zone *zone, int64_t after_ms);

/* Is there any year in which it is due? */
bool cron_expr_can_be_due(const struct cron_expr *e);
/* Does this local time (see zone.h) fit the fields? Seconds are ignored. */
bool cron_expr_fits(const struct cron_expr *e, int64_t local_ms);
