/* SPDX-License-Identifier: Apache-2.0
 * rolling.h - arithmetic of a rolling restart: how many old instances may go and how many new ones may come
 * (facts: marathon 4.4). Pure; asked again after every change, so that nothing depends on counting events. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct rolling_limits {
    int64_t healthy_min;  /* never fewer healthy instances because of us */
    int64_t capacity_max; /* never more instances than this, those that are dying included */
};

/* instances, minimum_health and maximum_over of the new definition; healthy: instances that are healthy when it starts. */
struct rolling_limits rolling_limits(int64_t instances, double minimum_health, double maximum_over, int64_t healthy);

/* More are healthy by now than at the start: room to move that was not given then is given now. Called before each
 * decision. */
void rolling_note_healthy(struct rolling_limits *limits, int64_t healthy);

struct rolling_state {
    int64_t instances;     /* wanted */
    int64_t old_healthy;   /* not told to end yet */
    int64_t old_unhealthy; /* the same; also those that never came up */
    int64_t old_stuck;     /* of the unhealthy ones: known to be bad or not running, not just without a result yet */
    int64_t dying;         /* told to end, still there, old or new */
    int64_t fresh;         /* of the new definition, scheduled ones included */
    int64_t fresh_healthy; /* ... healthy and ready */
};

struct rolling_decision {
    int64_t kill_old;   /* unhealthy ones first */
    int64_t kill_fresh; /* more of them than wanted */
    int64_t launch;
    bool is_done;
};

struct rolling_decision rolling_decide(const struct rolling_limits *limits, const struct rolling_state *state);
