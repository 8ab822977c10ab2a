/* SPDX-License-Identifier: Apache-2.0
 * calendar.c - see calendar.h. Years are counted from March, so that the leap day is the last day of its year and month
 * lengths follow one linear formula. */
#include "frameworks/cron/time/calendar.h"

#define DAYS_OF_400_YEARS 146097
#define DAYS_TO_1970 719468 /* from 1 March of the year 0 */

int64_t calendar_days(int64_t year, int month, int day)
{
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t era = calendar_floor_div(y, 400), year_of_era = y - era * 400;
    int month_from_march = (month + 9) % 12;
    int64_t day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    return era * DAYS_OF_400_YEARS + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - DAYS_TO_1970;
}

struct calendar_date calendar_date(int64_t days)
{
    int64_t shifted = days + DAYS_TO_1970, era = calendar_floor_div(shifted, DAYS_OF_400_YEARS);
    int64_t day_of_era = shifted - era * DAYS_OF_400_YEARS;
    int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t month_from_march = (5 * day_of_year + 2) / 153;
    struct calendar_date out;
    out.day = (int32_t)(day_of_year - (153 * month_from_march + 2) / 5 + 1);
    out.month = (int32_t)(month_from_march < 10 ? month_from_march + 3 : month_from_march - 9);
    out.year = (int32_t)(era * 400 + year_of_era + (out.month <= 2));
    return out;
}

bool calendar_is_leap(int64_t year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

int calendar_month_days(int64_t year, int month)
{
    static const uint8_t lengths[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return lengths[month - 1] + (month == 2 && calendar_is_leap(year));
}

int calendar_weekday(int64_t days)
{
    return (int)calendar_floor_mod(days + 4, 7); /* 1 January 1970 was a Thursday */
}
