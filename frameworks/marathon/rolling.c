/* SPDX-License-Identifier: Apache-2.0 */
#include "frameworks/marathon/rolling.h"

#include <math.h>

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t most(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

struct rolling_limits rolling_limits(int64_t instances, double minimum_health, double maximum_over, int64_t healthy)
{
    /* Double arithmetic and its rounding errors are part of the contract: 100 * 0.07 rounds up to 8, 100 * 1.15 down to
     * 114. */
    double n = (double)instances;
    struct rolling_limits l = {.healthy_min = (int64_t)ceil(n * minimum_health),
                               .capacity_max = (int64_t)(n * (1 + maximum_over))};
    rolling_note_healthy(&l, healthy);
    return l;
}

void rolling_note_healthy(struct rolling_limits *l, int64_t healthy)
{
    if (l->healthy_min == l->capacity_max && l->capacity_max <= healthy)
        l->capacity_max++; /* no room to move otherwise */
}

struct rolling_decision rolling_decide(const struct rolling_limits *limits, const struct rolling_state *s)
{
    struct rolling_decision d = {0};
    int64_t old = s->old_healthy + s->old_unhealthy;
    int64_t spare = most(0, s->old_healthy + s->fresh_healthy - limits->healthy_min);
    d.kill_old = least(old, most(spare, old - s->instances));
    d.kill_fresh = most(0, s->fresh - s->instances);
    int64_t total = old + s->dying + s->fresh;
    int64_t missing = most(0, s->instances - s->fresh);
    d.launch = most(0, least(missing, limits->capacity_max - total));
    /* Old instances that are bad must not block the way for ever: they give up their room, which costs no health. */
    if (missing > 0 && d.launch == 0 && d.kill_old == 0 && s->dying == 0)
        d.kill_old = least(s->old_stuck, missing);
    d.is_done = old == 0 && s->dying == 0 && s->fresh == s->instances && s->fresh_healthy == s->fresh;
    return d;
}
