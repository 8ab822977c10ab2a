/* SPDX-License-Identifier: Apache-2.0
 * calendar.h - the proleptic Gregorian calendar as arithmetic: days since 1970 and fields, both ways. Knows no time zones
 * and no leap seconds. Years are bounded so that milliseconds since 1970 and sums of them never overflow. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define CALENDAR_YEAR_MIN (-9999)
#define CALENDAR_YEAR_MAX 9999
#define CALENDAR_DAY_MS INT64_C(86400000)

struct calendar_date {
    int32_t year;
    int32_t month; /* 1..12 */
    int32_t day;   /* 1..31 */
};

/* Any year that fits; month and day must be in range (days beyond the month's end run into the next one). */
int64_t calendar_days(int64_t year, int month, int day);
struct calendar_date calendar_date(int64_t days);

bool calendar_is_leap(int64_t year);
int calendar_month_days(int64_t year, int month); /* 28..31 */
int calendar_weekday(int64_t days);               /* 0 Sunday .. 6 Saturday */

/* Quotient rounded down, b > 0; the remainder is never negative. */
static inline int64_t calendar_floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}
static inline int64_t calendar_floor_mod(int64_t a, int64_t b)
{
    return a % b < 0 ? a % b + b : a % b;
}
