/* SPDX-License-Identifier: Apache-2.0
 * durations.h - how long the last runs of a job took. Made at the first run and grown as more come, because most jobs of a
 * large set have run a few times at most. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define DURATIONS_MAX 64 /* the newest are kept */

struct durations;

/* *d NULL: made. Negative ones count as 0. */
void durations_add(struct durations **d, int64_t ms);
struct durations *durations_free(struct durations *d); /* accepts NULL, returns NULL */

/* All of these take NULL for none. */
size_t durations_count(const struct durations *d);
/* q within 0..1, between two values by their distance; 0 without runs. Milliseconds. */
double durations_quantile(const struct durations *d, double q);
double durations_mean(const struct durations *d);
