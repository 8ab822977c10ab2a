/* SPDX-License-Identifier: Apache-2.0
 * zone_rule.c - the footer of a zoneinfo file: a POSIX TZ string that says how the offset changes in every year to come. */
#include <string.h>

#include "frameworks/cron/time/calendar.h"
#include "frameworks/cron/time/zone_private.h"

#define RULE_HOURS_MAX 167 /* of the time of a change */
#define OFFSET_HOURS_MAX 25

/* -- reading ---------------------------------------------------------------------------------------------------- */

struct reader {
    const char *at, *end;
};

static bool take(struct reader *r, char c)
{
    if (r->at == r->end || *r->at != c)
        return false;
    r->at++;
    return true;
}

static bool is_digit(const struct reader *r)
{
    return r->at != r->end && *r->at >= '0' && *r->at <= '9';
}

static bool read_number(struct reader *r, int max, int *out)
{
    int value = 0;
    if (!is_digit(r))
        return false;
    while (is_digit(r)) {
        value = value * 10 + (*r->at++ - '0');
        if (value > max)
            return false;
    }
    *out = value;
    return true;
}

/* Three letters or more, or anything of letters, digits and signs in angle brackets. */
static bool skip_name(struct reader *r)
{
    const char *begin = r->at;
    if (take(r, '<')) {
        while (r->at != r->end && *r->at != '>')
            r->at++;
        return take(r, '>');
    }
    while (r->at != r->end && ((*r->at >= 'A' && *r->at <= 'Z') || (*r->at >= 'a' && *r->at <= 'z')))
        r->at++;
    return r->at - begin >= 3;
}

/* [+-]hh[:mm[:ss]] */
static bool read_time(struct reader *r, int hours_max, int32_t *out)
{
    int hours, minutes = 0, seconds = 0;
    bool negative = take(r, '-');
    if (!negative)
        (void)take(r, '+'); /* may be there */
    if (!read_number(r, hours_max, &hours))
        return false;
    if (take(r, ':')) {
        if (!read_number(r, 59, &minutes) || (take(r, ':') && !read_number(r, 59, &seconds)))
            return false;
    }
    *out = hours * 3600 + minutes * 60 + seconds;
    if (negative)
        *out = -*out;
    return true;
}

static bool read_day(struct reader *r, struct zone_rule_day *out)
{
    bool ok;
    if (take(r, 'M')) {
        out->kind = ZONE_DAY_MONTH_WEEK;
        ok = read_number(r, 12, &out->month) && out->month >= 1 && take(r, '.') && read_number(r, 5, &out->week) &&
             out->week >= 1 && take(r, '.') && read_number(r, 6, &out->day);
    } else if (take(r, 'J')) {
        out->kind = ZONE_DAY_JULIAN;
        ok = read_number(r, 365, &out->day) && out->day >= 1;
    } else {
        out->kind = ZONE_DAY_ZERO_BASED;
        ok = read_number(r, 365, &out->day);
    }
    out->time_s = 7200;
    return ok && (!take(r, '/') || read_time(r, RULE_HOURS_MAX, &out->time_s));
}

int zone_rule_parse(const char *text, size_t len, struct zone_rule *out)
{
    struct reader r = {text, text + len};
    struct zone_rule rule;
    memset(&rule, 0, sizeof(rule));
    if (len == 0) {
        *out = rule;
        return 0;
    }
    rule.exists = true;
    if (!skip_name(&r) || !read_time(&r, OFFSET_HOURS_MAX, &rule.standard_s))
        return -1;
    rule.standard_s = -rule.standard_s; /* POSIX counts west of Greenwich */
    if (r.at != r.end) {
        rule.has_dst = true;
        rule.dst_s = rule.standard_s + 3600;
        if (!skip_name(&r))
            return -1;
        if (r.at != r.end && *r.at != ',') {
            if (!read_time(&r, OFFSET_HOURS_MAX, &rule.dst_s))
                return -1;
            rule.dst_s = -rule.dst_s;
        }
        if (!take(&r, ',') || !read_day(&r, &rule.dst_begin) || !take(&r, ',') || !read_day(&r, &rule.dst_end) ||
            r.at != r.end)
            return -1;
    }
    if (rule.dst_s > ZONE_OFFSET_LIMIT_S || rule.dst_s < -ZONE_OFFSET_LIMIT_S)
        return -1;
    *out = rule;
    return 0;
}

/* -- the changes of a year -------------------------------------------------------------------------------------- */

/* Local seconds since 1970. */
static int64_t rule_day_at(const struct zone_rule_day *d, int64_t year)
{
    int64_t days = calendar_days(year, 1, 1);
    switch (d->kind) {
    case ZONE_DAY_JULIAN:
        days += d->day - 1 + (d->day >= 60 && calendar_is_leap(year));
        break;
    case ZONE_DAY_ZERO_BASED:
        days += d->day;
        break;
    case ZONE_DAY_MONTH_WEEK: {
        int64_t first = calendar_days(year, d->month, 1);
        int day = 1 + (d->day - calendar_weekday(first) + 7) % 7 + (d->week - 1) * 7;
        if (day > calendar_month_days(year, d->month))
            day -= 7;
        days = first + day - 1;
        break;
    }
    }
    return days * 86400 + d->time_s;
}

#define RULE_YEARS 5
#define RULE_CHANGES (2 * RULE_YEARS)

/* The changes of the years around at_s, from two before, in order of time. Of two at the same instant the later entry
 * holds: a summer that ends as the next begins is no change. */
static void rule_changes(const struct zone_rule *rule, int64_t at_s, struct zone_change out[RULE_CHANGES])
{
    int64_t year = calendar_date(calendar_floor_div(at_s, 86400)).year;
    int n = 0;
    for (int64_t y = year - 2; y < year - 2 + RULE_YEARS; y++) {
        struct zone_change begin = {rule_day_at(&rule->dst_begin, y) - rule->standard_s, rule->dst_s};
        struct zone_change end = {rule_day_at(&rule->dst_end, y) - rule->dst_s, rule->standard_s};
        bool begin_first = begin.at_s <= end.at_s;
        out[n++] = begin_first ? begin : end;
        out[n++] = begin_first ? end : begin;
    }
    for (int i = 1; i < RULE_CHANGES; i++) { /* nearly sorted; times of up to a week around the new year */
        struct zone_change c = out[i];
        int j = i;
        for (; j > 0 && out[j - 1].at_s > c.at_s; j--)
            out[j] = out[j - 1];
        out[j] = c;
    }
}

int32_t zone_rule_offset_s(const struct zone_rule *rule, int64_t at_s)
{
    if (!rule->has_dst)
        return rule->standard_s;
    struct zone_change changes[RULE_CHANGES];
    rule_changes(rule, at_s, changes);
    int32_t offset = rule->standard_s;
    for (int i = 0; i < RULE_CHANGES && changes[i].at_s <= at_s; i++)
        offset = changes[i].offset_s;
    return offset;
}

int64_t zone_rule_next_change_s(const struct zone_rule *rule, int64_t at_s)
{
    if (!rule->has_dst || rule->standard_s == rule->dst_s)
        return INT64_MAX;
    struct zone_change changes[RULE_CHANGES];
    rule_changes(rule, at_s, changes);
    int32_t now = zone_rule_offset_s(rule, at_s);
    for (int i = 0; i < RULE_CHANGES - 2; i++) { /* the last year only shows what the one before it runs into */
        bool is_last_of_instant = changes[i + 1].at_s > changes[i].at_s;
        if (changes[i].at_s > at_s && is_last_of_instant && changes[i].offset_s != now)
            return changes[i].at_s;
    }
    return INT64_MAX;
}
