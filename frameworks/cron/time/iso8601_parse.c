/* SPDX-License-Identifier: Apache-2.0
 * iso8601_parse.c - times, periods and intervals from text, and periods back. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "frameworks/cron/time/calendar.h"
#include "frameworks/cron/time/iso8601.h"

#define PERIOD_MS_MAX (INT64_C(10000) * 366 * CALENDAR_DAY_MS)
#define PERIOD_DAYS_MAX (10000 * 366)
#define PERIOD_MONTHS_MAX (10000 * 12)

/* -- times ------------------------------------------------------------------------------------------------------ */

/* Exactly count digits. */
static bool read_digits(const char **at, int count, int *out)
{
    int v = 0;
    for (int i = 0; i < count; i++) {
        if ((*at)[i] < '0' || (*at)[i] > '9')
            return false;
        v = v * 10 + ((*at)[i] - '0');
    }
    *at += count;
    *out = v;
    return true;
}

static bool take(const char **at, char c)
{
    if (**at != c)
        return false;
    (*at)++;
    return true;
}

static bool read_date(const char **at, int64_t *days)
{
    int year, month = 1, day = 1;
    if (!read_digits(at, 4, &year))
        return false;
    if (take(at, '-')) {
        if (!read_digits(at, 2, &month) || (take(at, '-') && !read_digits(at, 2, &day)))
            return false;
    }
    if (month < 1 || month > 12 || day < 1 || day > calendar_month_days(year, month))
        return false;
    *days = calendar_days(year, month, day);
    return true;
}

/* Milliseconds of `.digits` (or with a comma), cut. */
static bool read_fraction(const char **at, int *out)
{
    int scale = 100, ms = 0;
    if (!isdigit((unsigned char)**at))
        return false;
    for (; isdigit((unsigned char)**at); (*at)++, scale /= 10)
        ms += (**at - '0') * scale;
    *out = ms;
    return true;
}

static bool read_clock(const char **at, int64_t *ms)
{
    int hour, minute = 0, second = 0, fraction = 0;
    if (!read_digits(at, 2, &hour))
        return false;
    if (take(at, ':')) {
        if (!read_digits(at, 2, &minute))
            return false;
        if (take(at, ':')) {
            if (!read_digits(at, 2, &second))
                return false;
            if ((take(at, '.') || take(at, ',')) && !read_fraction(at, &fraction))
                return false;
        }
    }
    if (hour > 23 || minute > 59 || second > 59)
        return false;
    *ms = ((hour * INT64_C(60) + minute) * 60 + second) * 1000 + fraction;
    return true;
}

/* Z, +hh, +hhmm, +hh:mm, or nothing. */
static bool read_zone(const char **at, struct iso8601_time *out)
{
    int hours, minutes = 0;
    if (**at == '\0')
        return true;
    out->zone_kind = ISO8601_ZONE_OFFSET;
    if (take(at, 'Z'))
        return true;
    char sign = **at;
    if (sign != '+' && sign != '-')
        return false;
    (*at)++;
    if (!read_digits(at, 2, &hours))
        return false;
    if (**at != '\0') {
        (void)take(at, ':'); /* may be there */
        if (!read_digits(at, 2, &minutes))
            return false;
    }
    out->offset_s = (hours * 60 + minutes) * 60;
    if (minutes > 59 || out->offset_s > ZONE_OFFSET_MAX_S)
        return false;
    if (sign == '-')
        out->offset_s = -out->offset_s;
    return true;
}

int iso8601_time_parse(const char *text, struct iso8601_time *out, struct err *err)
{
    struct iso8601_time t = {0, ISO8601_ZONE_NONE, 0};
    const char *at = text;
    int64_t days, ms = 0;
    if (!read_date(&at, &days) || (take(&at, 'T') && !read_clock(&at, &ms)) || !read_zone(&at, &t) || *at != '\0')
        return err_set(err, -EINVAL, "\"%.64s\" is not a time like 2026-03-01T13:00:00Z", text);
    t.local_ms = days * CALENDAR_DAY_MS + ms;
    *out = t;
    return 0;
}

/* -- periods ---------------------------------------------------------------------------------------------------- */

/* One number of a period with its unit's letter: 0, or false. fraction_ms is of seconds, -1 without a fraction. */
static bool read_amount(const char **at, int64_t *value, int *fraction_ms, char *unit)
{
    const char *begin = *at;
    int64_t v = 0;
    for (; isdigit((unsigned char)**at); (*at)++) {
        if (*at - begin == 15)
            return false;
        v = v * 10 + (**at - '0');
    }
    if (*at == begin)
        return false;
    *fraction_ms = -1;
    if ((take(at, '.') || take(at, ',')) && !read_fraction(at, fraction_ms))
        return false;
    *value = v;
    *unit = **at;
    if (*unit == '\0')
        return false;
    (*at)++;
    return *fraction_ms < 0 || *unit == 'S';
}

static bool add_amount(int64_t *sum, int64_t value, int64_t factor, int64_t max)
{
    int64_t product;
    if (__builtin_mul_overflow(value, factor, &product) || product > max - *sum)
        return false;
    *sum += product;
    return true;
}

struct unit {
    char letter;
    int64_t factor;
};
static const struct unit date_units[] = {{'Y', 12}, {'M', 1}, {'W', 7}, {'D', 1}};
static const struct unit time_units[] = {{'H', 3600000}, {'M', 60000}, {'S', 1000}};

/* The units from *next on, in order; false when the letter is none of them. */
static bool find_unit(const struct unit *units, size_t count, size_t *next, char letter, size_t *found)
{
    for (size_t i = *next; i < count; i++) {
        if (units[i].letter == letter) {
            *found = i;
            *next = i + 1;
            return true;
        }
    }
    return false;
}

static bool read_period(const char *at, struct iso8601_period *out)
{
    int64_t months = 0, days = 0, ms = 0, value;
    size_t next = 0, found;
    int fraction;
    char letter;
    if (!take(&at, 'P'))
        return false;
    while (*at != '\0' && *at != 'T') {
        if (!read_amount(&at, &value, &fraction, &letter) || !find_unit(date_units, 4, &next, letter, &found))
            return false;
        if (!(found < 2 ? add_amount(&months, value, date_units[found].factor, PERIOD_MONTHS_MAX)
                        : add_amount(&days, value, date_units[found].factor, PERIOD_DAYS_MAX)))
            return false;
    }
    if (take(&at, 'T')) {
        if (*at == '\0')
            return false; /* a T announces something */
        for (next = 0; *at != '\0';) {
            if (!read_amount(&at, &value, &fraction, &letter) || !find_unit(time_units, 3, &next, letter, &found) ||
                !add_amount(&ms, value, time_units[found].factor, PERIOD_MS_MAX) ||
                (fraction > 0 && !add_amount(&ms, fraction, 1, PERIOD_MS_MAX)))
                return false;
        }
    }
    *out = (struct iso8601_period){(int32_t)months, (int32_t)days, ms};
    return true;
}

int iso8601_period_parse(const char *text, struct iso8601_period *out, struct err *err)
{
    if (!read_period(text, out))
        return err_set(err, -EINVAL, "\"%.64s\" is not a period like P1D, PT15M or P1Y2M3W4DT5H6M7.5S", text);
    return 0;
}

static int put_amount(struct buf *out, int64_t value, char letter)
{
    return value != 0 ? buf_printf(out, "%lld%c", (long long)value, letter) : 0;
}

int iso8601_period_format(const struct iso8601_period *p, struct buf *out)
{
    int64_t seconds = p->ms / 1000;
    int rc = buf_append_str(out, iso8601_period_is_zero(p) ? "PT0S" : "P");
    if (rc != 0 || iso8601_period_is_zero(p))
        return rc;
    rc = put_amount(out, p->months / 12, 'Y');
    if (rc == 0)
        rc = put_amount(out, p->months % 12, 'M');
    if (rc == 0)
        rc = put_amount(out, p->days, 'D');
    if (rc != 0 || p->ms == 0)
        return rc;
    rc = buf_append_char(out, 'T');
    if (rc == 0)
        rc = put_amount(out, seconds / 3600, 'H');
    if (rc == 0)
        rc = put_amount(out, seconds / 60 % 60, 'M');
    if (rc == 0 && p->ms % 1000 != 0)
        return buf_printf(out, "%d.%03dS", (int)(seconds % 60), (int)(p->ms % 1000));
    return rc == 0 ? put_amount(out, seconds % 60, 'S') : rc;
}

/* -- intervals -------------------------------------------------------------------------------------------------- */

static int read_count(const char *text, size_t len, int64_t *out, struct err *err)
{
    int64_t v = 0;
    for (size_t i = 0; i < len; i++) {
        if (!isdigit((unsigned char)text[i]))
            return err_set(err, -EINVAL, "the repetitions are not R or R and a number");
        v = v * 10 + (text[i] - '0');
        if (v > ISO8601_COUNT_MAX)
            return err_set(err, -EINVAL, "more than %d repetitions; R without a number repeats for ever",
                           ISO8601_COUNT_MAX);
    }
    *out = len > 0 ? v : ISO8601_FOREVER;
    return 0;
}

static int read_start(const char *text, const struct zone *named, struct zones *zones, const struct zone *default_zone,
                      int64_t now_ms, struct iso8601_interval *out, struct err *err)
{
    struct iso8601_time t;
    if (*text == '\0') {
        out->zone = named != NULL ? named : default_zone;
        out->start_ms = now_ms - 1000;
        out->start_local_ms = zone_to_local_ms(out->zone, out->start_ms);
        return 0;
    }
    int rc = iso8601_time_parse(text, &t, err);
    if (rc != 0)
        return rc;
    out->zone = named != NULL ? named : default_zone;
    if (named == NULL && t.zone_kind == ISO8601_ZONE_OFFSET && zones_find_offset(zones, t.offset_s, &out->zone) != 0)
        return err_set(err, -EINVAL, "too many time zones are in use");
    out->start_local_ms = t.local_ms;
    out->start_ms = zone_to_utc(out->zone, t.local_ms).first_ms;
    return 0;
}

int iso8601_interval_parse(const char *text, const char *zone_name, struct zones *zones, const struct zone *default_zone,
                           int64_t now_ms, struct iso8601_interval *out, struct err *err)
{
    char copy[ISO8601_TEXT_MAX + 1];
    struct iso8601_interval i;
    const struct zone *named = NULL;
    size_t len = strlen(text);
    if (len > ISO8601_TEXT_MAX)
        return err_set(err, -EINVAL, "a schedule has at most %d characters", ISO8601_TEXT_MAX);
    memcpy(copy, text, len + 1);
    char *start = strchr(copy, '/'), *period = strrchr(copy, '/');
    if (copy[0] != 'R' || start == NULL || start == period || period[1] != 'P')
        return err_set(err, -EINVAL,
                       "\"%.64s\" is not a schedule like R/2026-03-01T13:00:00Z/P1D (repetitions/start/period)", text);
    *start++ = '\0';
    *period++ = '\0';
    int rc = read_count(copy + 1, strlen(copy + 1), &i.count, err);
    if (rc == 0)
        rc = iso8601_period_parse(period, &i.period, err);
    if (rc == 0 && zone_name != NULL && *zone_name != '\0' && zones_find_java(zones, zone_name, &named, err) != 0)
        rc = -EINVAL;
    if (rc == 0)
        rc = read_start(start, named, zones, default_zone, now_ms, &i, err);
    if (rc == 0)
        *out = i;
    return rc;
}
