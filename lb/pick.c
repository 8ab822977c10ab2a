/* SPDX-License-Identifier: Apache-2.0 */
#include "lb/pick.h"

/* Both draws met ones that should not be taken: look at all of them, from a random start so that no neighbour of theirs
 * gets more than its share. */
static size_t scan(size_t count, size_t start, uint32_t (*cost)(void *ctx, size_t i), void *ctx)
{
    size_t best = LB_PICK_NONE;
    uint32_t best_cost = LB_PICK_NEVER;
    for (size_t k = 0; k < count; k++) {
        size_t i = (start + k) % count;
        uint32_t c = cost(ctx, i);
        if (c < best_cost) {
            best = i;
            best_cost = c;
        }
    }
    return best;
}

size_t lb_pick(size_t count, struct rng *rng, uint32_t (*cost)(void *ctx, size_t i), void *ctx)
{
    if (count == 0)
        return LB_PICK_NONE;
    uint64_t random = rng_next(rng);
    size_t first = (size_t)((random >> 32) % count);
    if (count == 1)
        return cost(ctx, 0) == LB_PICK_NEVER ? LB_PICK_NONE : 0;
    size_t second = (size_t)((random & UINT32_MAX) % (count - 1));
    second += second >= first;
    uint32_t first_cost = cost(ctx, first), second_cost = cost(ctx, second);
    size_t chosen = second_cost < first_cost ? second : first;
    if ((second_cost < first_cost ? second_cost : first_cost) < LB_PICK_LAST)
        return chosen;
    return scan(count, first, cost, ctx);
}
