/* SPDX-License-Identifier: Apache-2.0
 * ranges.h - sorted, coalesced sets of inclusive uint64 ranges (facts: mesos 6.1). One range, the usual case, needs no
 * allocation. Internal to common/resource. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/resource/resource.h"

struct ranges {
    uint32_t count;
    uint32_t capacity; /* of `many`; 0: the range is `one` */
    union {
        struct resource_range one;
        struct resource_range *many;
    };
};

static inline void ranges_init(struct ranges *r)
{
    *r = (struct ranges){0};
}
void ranges_deinit(struct ranges *r);
void ranges_copy(struct ranges *to, const struct ranges *from); /* `to` is overwritten, not released */

static inline const struct resource_range *ranges_items(const struct ranges *r)
{
    return r->capacity == 0 ? &r->one : r->many;
}

/* begin <= end. */
void ranges_add_one(struct ranges *r, uint64_t begin, uint64_t end);
void ranges_subtract_one(struct ranges *r, uint64_t begin, uint64_t end);

void ranges_add(struct ranges *to, const struct ranges *what);
void ranges_subtract(struct ranges *from, const struct ranges *what);
bool ranges_contains(const struct ranges *outer, const struct ranges *inner);
bool ranges_equal(const struct ranges *a, const struct ranges *b);
/* Number of values, UINT64_MAX when it does not fit. */
uint64_t ranges_values(const struct ranges *r);
