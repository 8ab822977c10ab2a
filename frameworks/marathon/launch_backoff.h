/* SPDX-License-Identifier: Apache-2.0
 * launch_backoff.h - delay before the next launch of an app whose tasks keep ending (facts: marathon 4.7). Pure. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct launch_backoff {
    int64_t delay_ms;     /* 0: none */
    int64_t reference_ms; /* the delay runs from here */
};

void launch_backoff_add(struct launch_backoff *b, int64_t first_ms, double factor, int64_t max_ms, int64_t now_ms);
/* A launch came one step further: the delay counts from now, its size stays. */
void launch_backoff_advance(struct launch_backoff *b, int64_t now_ms);
void launch_backoff_reset(struct launch_backoff *b);
/* When the next launch may be, 0: at once. Forgets a delay that was not renewed for max_ms. */
int64_t launch_backoff_until(struct launch_backoff *b, int64_t max_ms, int64_t now_ms);
