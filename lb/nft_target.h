/* SPDX-License-Identifier: Apache-2.0
 * nft_target.h - which back end each slot of a VIP leads to. A new connection draws one of the VIP's slots; how many there
 * may be is given by a fixed list of classes, because the kernel takes the number to draw from out of a rule only. Pure.
 *
 * Up to 64 back ends there is one slot each, so all get the same share. Above, the slots are a power of two of at least 16
 * for each back end: one may get up to a sixteenth more than another. Above 4,096 back ends that grows up to double. */
#pragma once

#include "lb/event.h"

#define NFT_SLOTS_EXACT_MAX 64u
#define NFT_SLOTS_MAX 65536u
#define NFT_CLASS_NONE UINT32_MAX /* the VIP has no entry */
#define NFT_CLASSES 70u           /* 1..64, 2048, 4096, ... 65536 */

/* The slots of class i < NFT_CLASSES, in growing order. */
uint32_t nft_class_slots(unsigned i);
/* How many slots for this many open back ends: one of the classes, or 0 for none. */
uint32_t nft_slots_for(size_t backends);

struct nft_target {
    uint32_t class_number; /* what the VIP's entry says; the plan's own have slots here */
    uint32_t slots;
    uint32_t count;          /* slot i leads to at[i % count]; 0 only without slots */
    uint32_t known;          /* behind those are draining ones, up to here */
    struct lb_endpoint at[]; /* as found in the kernel: all zero where an entry is missing */
};

/* What a VIP with these back ends should lead to. Draining ones get nothing. Back ends that former (or NULL) has keep their
 * places, so that little changes. The caller frees it. */
struct nft_target *nft_target_new(const struct lb_backend *backends, size_t count, const struct nft_target *former);
/* NULL: nothing is there. */
const struct lb_endpoint *nft_target_slot(const struct nft_target *t, uint32_t slot);
bool nft_target_has(const struct nft_target *t, const struct lb_endpoint *backend);
