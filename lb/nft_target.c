/* SPDX-License-Identifier: Apache-2.0
 * nft_target.c - see nft_target.h. */
#include "lb/nft_target.h"

#include <stdlib.h>

#include "common/base/check.h"

#define SLOTS_PER_BACKEND 16u /* above the exact classes, while there are enough */
#define FIRST_POWER 2048u

uint32_t nft_class_slots(unsigned i)
{
    CHECK(i < NFT_CLASSES);
    return i < NFT_SLOTS_EXACT_MAX ? i + 1 : FIRST_POWER << (i - NFT_SLOTS_EXACT_MAX);
}

uint32_t nft_slots_for(size_t backends)
{
    if (backends <= NFT_SLOTS_EXACT_MAX)
        return (uint32_t)backends;
    uint32_t slots = FIRST_POWER;
    while (slots < NFT_SLOTS_MAX && slots < SLOTS_PER_BACKEND * backends)
        slots *= 2;
    return slots;
}

static int compare(const void *a, const void *b)
{
    return lb_endpoint_compare(a, b);
}

/* The places of the former order stay where they can: what left is replaced by what is new, then by what was last. */
static void keep_places(struct nft_target *t, const struct nft_target *former)
{
    struct lb_endpoint *ordered = xcalloc(t->count, sizeof(*ordered));
    bool *is_placed = xcalloc(t->count, sizeof(*is_placed)), *is_taken = xcalloc(t->count, sizeof(*is_taken));
    for (uint32_t i = 0; i < t->count && i < former->count; i++) {
        const struct lb_endpoint *kept = bsearch(&former->at[i], t->at, t->count, sizeof(t->at[0]), compare);
        if (kept == NULL || is_placed[kept - t->at])
            continue;
        is_placed[kept - t->at] = is_taken[i] = true;
        ordered[i] = *kept;
    }
    uint32_t from = 0;
    for (uint32_t i = 0; i < t->count; i++) {
        if (is_taken[i])
            continue;
        while (is_placed[from])
            from++; /* as many are left as places are free */
        ordered[i] = t->at[from++];
    }
    memcpy(t->at, ordered, t->count * sizeof(t->at[0]));
    free(ordered);
    free(is_placed);
    free(is_taken);
}

struct nft_target *nft_target_new(const struct lb_backend *backends, size_t count, const struct nft_target *former)
{
    size_t open = 0;
    for (size_t i = 0; i < count; i++)
        open += !backends[i].is_draining;
    open = open < NFT_SLOTS_MAX ? open : NFT_SLOTS_MAX;
    struct nft_target *t = xcalloc(1, sizeof(*t) + count * sizeof(t->at[0]));
    t->slots = t->class_number = nft_slots_for(open);
    for (size_t i = 0; i < count && t->count < open; i++)
        if (!backends[i].is_draining)
            t->at[t->count++] = backends[i].at;
    t->known = t->count;
    for (size_t i = 0; i < count; i++)
        if (backends[i].is_draining)
            t->at[t->known++] = backends[i].at;
    if (former != NULL && t->count > 0)
        keep_places(t, former);
    return t;
}

const struct lb_endpoint *nft_target_slot(const struct nft_target *t, uint32_t slot)
{
    static const struct lb_endpoint nothing;
    if (t == NULL || slot >= t->slots)
        return NULL;
    const struct lb_endpoint *at = &t->at[slot % t->count];
    return lb_endpoint_compare(at, &nothing) == 0 ? NULL : at;
}

bool nft_target_has(const struct nft_target *t, const struct lb_endpoint *backend)
{
    for (uint32_t i = 0; t != NULL && i < t->count; i++)
        if (lb_endpoint_compare(&t->at[i], backend) == 0)
            return true;
    return false;
}
