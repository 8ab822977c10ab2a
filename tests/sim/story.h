/* SPDX-License-Identifier: Apache-2.0
 * story.h - what scripted scenarios share: a cluster, counts of what happened in it, and a report when it goes wrong. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"
#include "sim/check.h"
#include "sim/cluster.h"
#include "sim/sim_net.h"

#define SECOND 1000
#define MINUTE (60 * SECOND)

struct story_counts {
    int containers_started, containers_ended;
    int updates, repeated_running;
    int states[16];  /* updates by state */
    int last_reason; /* of the newest terminal update */
};
static struct story_counts counts; /* one cluster at a time */

static inline void *counts_new(struct world *w)
{
    (void)w;
    counts = (struct story_counts){.last_reason = -1};
    return &counts;
}

static inline void counts_free(void *state)
{
    (void)state;
}

static inline void counts_seen(void *state, const struct sim_seen *s)
{
    struct story_counts *c = state;
    if (s->type == SIM_SEEN_CONTAINER_STARTED)
        c->containers_started++;
    if (s->type == SIM_SEEN_CONTAINER_ENDED)
        c->containers_ended++;
    if (s->type != SIM_SEEN_FRAMEWORK_UPDATE)
        return;
    c->updates++;
    c->states[s->status->state]++;
    if (sim_state_is_terminal(s->status->state))
        c->last_reason = s->status->has_reason ? (int)s->status->reason : -1;
}

static const struct sim_check story_counter = {
    .name = "counts", .new = counts_new, .free = counts_free, .seen = counts_seen};

static inline void must_hold(struct cluster *c)
{
    if (!c->world->is_broken)
        return;
    world_report(c->world, stderr);
    fail_msg("%s", c->world->violation);
}

/* Runs on until all has settled, or fails. */
static inline void must_settle(struct cluster *c, int64_t limit_ms)
{
    cluster_settle(c, limit_ms);
    must_hold(c);
}

static inline void run_for(struct cluster *c, int64_t ms)
{
    world_run_until(c->world, c->world->now_ms + ms);
    must_hold(c);
}

/* A cluster that has settled with all its tasks running. */
static inline struct cluster *story_begin(int agents, int frameworks, size_t wanted)
{
    struct cluster *c = cluster_new(1, agents, frameworks, wanted);
    world_add_check(c->world, &story_counter);
    must_settle(c, MINUTE);
    assert_int_equal(counts.containers_started, (int)wanted * frameworks);
    return c;
}

static inline void story_end(struct cluster *c)
{
    (void)cluster_free(c); /* always NULL */
}
