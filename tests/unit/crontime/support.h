/* SPDX-License-Identifier: Apache-2.0
 * support.h - instants and zones for the tests of the cron framework's time. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "frameworks/cron/time/iso8601.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static inline const struct zone *zone_named(struct zones *zones, const char *name)
{
    const struct zone *z = NULL;
    struct err err = {""};
    if (zones_find(zones, name, &z, &err) != 0)
        fail_msg("%s", err.text);
    return z;
}

/* "2026-03-29T01:30:00Z" */
static inline int64_t at(const char *text)
{
    struct iso8601_time t;
    struct err err = {""};
    if (iso8601_time_parse(text, &t, &err) != 0)
        fail_msg("%s", err.text);
    return t.local_ms - t.offset_s * INT64_C(1000);
}

/* The same in UTC, in one of a few static texts. */
static inline const char *text_of(int64_t ms)
{
    static char texts[4][48];
    static int next;
    if (ms == INT64_MAX)
        return "none";
    struct zones *zones = zones_new(zone_read_system, NULL);
    struct buf b;
    buf_init(&b, 0);
    assert_int_equal(iso8601_instant_format(ms, zones_utc(zones), &b), 0);
    char *out = texts[next++ % 4];
    (void)snprintf(out, sizeof(texts[0]), "%.*s", (int)buf_len(&b), (const char *)buf_data(&b));
    buf_deinit(&b);
    zones_free(zones);
    return out;
}
