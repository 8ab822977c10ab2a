/* SPDX-License-Identifier: Apache-2.0
 * cron_expr.c - when is a schedule due next. Months that fit are walked, days are a mask a month, hours and minutes are
 * masks. All in local time; the two rules for clock changes (see cron_expr.h) turn that into instants. */
#include "frameworks/cron/time/cron_expr.h"

#include "frameworks/cron/time/calendar.h"

#define ALL_HOURS UINT32_C(0xffffff)
#define ALL_WEEKDAYS 0x7f
#define MINUTE_MS INT64_C(60000)
#define NONE INT64_MIN /* no local time; minutes of local time since 1970 otherwise */
#define END_OF_YEARS (calendar_days(CRON_EXPR_YEAR_MAX + 1, 1, 1) * 1440)

/* -- days ------------------------------------------------------------------------------------------------------- */

static bool has_year(const struct cron_expr *e, int64_t year)
{
    int64_t n = year - CRON_EXPR_YEAR_MIN;
    return n >= 0 && year <= CRON_EXPR_YEAR_MAX && (e->years[n / 64] >> n % 64 & 1) != 0;
}

/* The weekday (Monday to Friday) nearest to a day, which does not leave the month. */
static int near_weekday(int day, int month_days, int first_weekday)
{
    if (day > month_days)
        return 0;
    switch ((first_weekday + day - 1) % 7) {
    case 6:
        return day > 1 ? day - 1 : day + 2;
    case 0:
        return day < month_days ? day + 1 : day - 2;
    default:
        return day;
    }
}

/* Bits 1..31 of the days of this month that fit both day fields. */
static uint32_t month_mask(const struct cron_expr *e, int64_t year, int month)
{
    int month_days = calendar_month_days(year, month), first = calendar_weekday(calendar_days(year, month, 1));
    uint32_t all = (uint32_t)(UINT64_C(2) << month_days) - 2, days = e->days & all, by_week = 0;
    for (int before = 0; e->end_days >> before != 0 && before < month_days; before++) {
        if (e->end_days >> before & 1)
            days |= UINT32_C(1) << (month_days - before);
    }
    for (int day = 1; e->near_days != 0 && day <= 31; day++) {
        if (e->near_days >> day & 1)
            days |= UINT32_C(1) << near_weekday(day, month_days, first);
    }
    if (e->weekdays == ALL_WEEKDAYS)
        return days & all;
    for (int day = 1; day <= month_days; day++) {
        int bit = 1 << (first + day - 1) % 7;
        bool fits = (e->weekdays & bit) || (e->nth_weekdays[(day - 1) / 7] & bit) ||
                    (day + 7 > month_days && (e->last_weekdays & bit));
        by_week |= (uint32_t)fits << day;
    }
    return days & by_week & all;
}

bool cron_expr_fits(const struct cron_expr *e, int64_t local_ms)
{
    int64_t minutes = calendar_floor_div(local_ms, MINUTE_MS), days = calendar_floor_div(minutes, 1440);
    int64_t minute_of_day = minutes - days * 1440;
    struct calendar_date d = calendar_date(days);
    return (e->minutes >> minute_of_day % 60 & 1) && (e->hours >> minute_of_day / 60 & 1) && has_year(e, d.year) &&
           (e->months >> d.month & 1) && (month_mask(e, d.year, d.month) >> d.day & 1);
}

/* -- local time ------------------------------------------------------------------------------------------------- */

static int lowest_from(uint64_t mask, int from)
{
    mask = from < 64 ? mask >> from << from : 0;
    return mask != 0 ? __builtin_ctzll(mask) : -1;
}

/* The first fitting minute of the day from `from` on, -1 if none is left. */
static int day_minute(const struct cron_expr *e, int from)
{
    int hour = lowest_from(e->hours, from / 60);
    if (hour == from / 60) {
        int minute = lowest_from(e->minutes, from % 60);
        if (minute >= 0)
            return hour * 60 + minute;
        hour = lowest_from(e->hours, from / 60 + 1);
    }
    return hour >= 0 ? hour * 60 + lowest_from(e->minutes, 0) : -1;
}

/* The first fitting minute of the month from that day and minute on, or NONE. */
static int64_t month_next(const struct cron_expr *e, int64_t year, int month, int from_day, int from_minute)
{
    uint32_t mask = month_mask(e, year, month);
    for (int day = lowest_from(mask, from_day); day >= 0; day = lowest_from(mask, day + 1)) {
        int minute = day_minute(e, day == from_day ? from_minute : 0);
        if (minute >= 0)
            return calendar_days(year, month, day) * 1440 + minute;
    }
    return NONE;
}

/* The first fitting local minute from `from` on and before `until`, or NONE. */
static int64_t local_next(const struct cron_expr *e, int64_t from, int64_t until)
{
    if (from < 0)
        from = 0; /* before the first year there is */
    struct calendar_date d = calendar_date(from / 1440);
    int64_t first = d.year * INT64_C(12) + d.month - 1;
    for (int64_t n = first; n < (CRON_EXPR_YEAR_MAX + 1) * INT64_C(12); n++) {
        int64_t year = n / 12;
        int month = (int)(n % 12) + 1;
        if (calendar_days(year, month, 1) * 1440 >= until)
            return NONE;
        if (!has_year(e, year) || !(e->months >> month & 1))
            continue;
        int64_t found =
            n == first ? month_next(e, year, month, d.day, (int)(from % 1440)) : month_next(e, year, month, 1, 0);
        if (found != NONE)
            return found < until ? found : NONE;
    }
    return NONE;
}

bool cron_expr_can_be_due(const struct cron_expr *e)
{
    return local_next(e, 0, END_OF_YEARS) != NONE;
}

/* -- instants --------------------------------------------------------------------------------------------------- */

/* A time of day. zone_to_utc never decreases, so nothing up to the local time of after_ms can be due later. What follows it
 * directly can have been due before: in the second pass of an hour that exists twice. */
static int64_t next_of_some_hours(const struct cron_expr *e, const struct zone *zone, int64_t after_ms)
{
    int64_t from = calendar_floor_div(zone_to_local_ms(zone, after_ms), MINUTE_MS) + 1;
    for (;;) {
        int64_t local = local_next(e, from, END_OF_YEARS);
        if (local == NONE)
            return CRON_EXPR_NONE;
        int64_t due_ms = zone_to_utc(zone, local * MINUTE_MS).first_ms;
        if (due_ms > after_ms)
            return due_ms;
        from = local + 1;
    }
}

/* An interval. Each stretch between two changes of the clock is searched for itself. */
static int64_t next_of_every_hour(const struct cron_expr *e, const struct zone *zone, int64_t after_ms)
{
    for (int64_t begin_ms = after_ms + 1;;) {
        int64_t offset_ms = zone_offset_s(zone, begin_ms) * INT64_C(1000), end_ms = zone_next_change_ms(zone, begin_ms);
        int64_t until = end_ms == INT64_MAX ? END_OF_YEARS : -calendar_floor_div(-(end_ms + offset_ms), MINUTE_MS);
        int64_t local = local_next(e, -calendar_floor_div(-(begin_ms + offset_ms), MINUTE_MS), until);
        if (local != NONE)
            return local * MINUTE_MS - offset_ms;
        if (until >= END_OF_YEARS)
            return CRON_EXPR_NONE;
        begin_ms = end_ms;
    }
}

int64_t cron_expr_next(const struct cron_expr *e, const struct zone *zone, int64_t after_ms)
{
    if (after_ms >= END_OF_YEARS * MINUTE_MS + CALENDAR_DAY_MS)
        return CRON_EXPR_NONE;
    if (after_ms < -2 * CALENDAR_DAY_MS)
        after_ms = -2 * CALENDAR_DAY_MS; /* before 1970 anywhere on earth */
    return e->hours == ALL_HOURS ? next_of_every_hour(e, zone, after_ms) : next_of_some_hours(e, zone, after_ms);
}
