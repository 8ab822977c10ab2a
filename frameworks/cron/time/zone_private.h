/* SPDX-License-Identifier: Apache-2.0
 * zone_private.h - what a zone is made of: a table of offset changes, and a yearly rule for the time behind the table. */
#pragma once

#include "frameworks/cron/time/zone.h"

#define ZONE_OFFSET_LIMIT_S 93599 /* 25:59:59: of offsets in files, as RFC 8536 recommends */

enum zone_day_kind { ZONE_DAY_JULIAN, ZONE_DAY_ZERO_BASED, ZONE_DAY_MONTH_WEEK };

/* A day of the year and the local time on it at which a change happens. */
struct zone_rule_day {
    enum zone_day_kind kind;
    int day;   /* JULIAN 1..365 without 29 February; ZERO_BASED 0..365; MONTH_WEEK 0..6 */
    int week;  /* 1..5, 5 the last */
    int month; /* 1..12 */
    int32_t time_s;
};

struct zone_rule {
    bool exists;  /* false: the last offset of the table for ever */
    bool has_dst; /* false: standard_s for ever */
    int32_t standard_s, dst_s;
    struct zone_rule_day dst_begin, dst_end;
};

struct zone_change {
    int64_t at_s;     /* seconds since 1970 UTC, ascending */
    int32_t offset_s; /* from then on; differs from the one before */
};

struct zone {
    char name[ZONE_NAME_MAX + 1];
    int32_t first_offset_s; /* before the first change */
    size_t change_count;
    struct zone_change *changes;
    int64_t rule_from_s; /* the rule holds from here on, INT64_MIN: always */
    struct zone_rule rule;
};

/* A POSIX TZ string with RFC 8536's extension of times to +-167 hours. 0 or -1. */
int zone_rule_parse(const char *text, size_t len, struct zone_rule *out);
int32_t zone_rule_offset_s(const struct zone_rule *rule, int64_t at_s);
/* The first change after at_s, INT64_MAX if there is none. */
int64_t zone_rule_next_change_s(const struct zone_rule *rule, int64_t at_s);
