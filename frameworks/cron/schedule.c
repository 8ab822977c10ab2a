/* SPDX-License-Identifier: Apache-2.0
 * schedule.c - the moments of a schedule, whichever way it is written. */
#include <string.h>

#include "common/base/check.h"
#include "frameworks/cron/job.h"

#define FIRST_WINDOW_MS 60000 /* cron's grain */

int64_t schedule_next(const struct schedule *s, int64_t after_ms)
{
    if (s->kind == SCHEDULE_CRON) {
        int64_t next = cron_expr_next(&s->cron, s->zone, after_ms);
        return next == CRON_EXPR_NONE ? JOB_NEVER : next;
    }
    int64_t k = iso8601_interval_index_after(&s->interval, after_ms);
    int64_t next = k == ISO8601_NONE ? ISO8601_NONE : iso8601_interval_moment(&s->interval, k);
    return next == ISO8601_NONE ? JOB_NEVER : next;
}

static uint64_t between_interval(const struct schedule *s, int64_t after_ms, int64_t until_ms, int64_t *newest)
{
    const struct iso8601_interval *i = &s->interval;
    int64_t first = iso8601_interval_index_after(i, after_ms);
    if (first == ISO8601_NONE || iso8601_interval_moment(i, first) > until_ms)
        return 0;
    int64_t end = iso8601_interval_index_after(i, until_ms);
    if (end == ISO8601_NONE) /* a period of zero, or the end of time */
        end = first + 1;
    *newest = iso8601_interval_moment(i, end - 1);
    return (uint64_t)(end - first);
}

/* The last moment that is <= until_ms, where one behind lo exists: by halves, because there may be a million. */
static int64_t newest_of(const struct schedule *s, int64_t lo, int64_t until_ms)
{
    for (int64_t window = FIRST_WINDOW_MS; until_ms - window > lo; window *= 2) {
        if (schedule_next(s, until_ms - window) <= until_ms) {
            lo = until_ms - window;
            break;
        }
    }
    int64_t hi = until_ms;
    while (hi - lo > 1) {
        int64_t middle = lo + (hi - lo) / 2;
        if (schedule_next(s, middle) <= until_ms)
            lo = middle;
        else
            hi = middle;
    }
    return schedule_next(s, lo);
}

uint64_t schedule_between(const struct schedule *s, int64_t after_ms, int64_t until_ms, uint64_t most, int64_t *newest,
                          bool *is_exact)
{
    *is_exact = true;
    if (s->kind == SCHEDULE_INTERVAL)
        return between_interval(s, after_ms, until_ms, newest);
    uint64_t count = 0;
    for (int64_t at = after_ms;; count++) {
        int64_t next = schedule_next(s, at);
        if (next == JOB_NEVER || next > until_ms)
            return count;
        if (count == most)
            break;
        *newest = at = next;
    }
    *is_exact = false;
    *newest = newest_of(s, *newest, until_ms);
    return count + 1;
}

bool schedule_has_same_moments(const struct schedule *a, const struct schedule *b)
{
    return a->kind == b->kind && strcmp(a->text, b->text) == 0 && strcmp(a->timezone, b->timezone) == 0;
}
