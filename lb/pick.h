/* SPDX-License-Identifier: Apache-2.0
 * pick.h - which back end gets a new connection: of two drawn at random the one with fewer connections. That is within a
 * constant of the least loaded of all, needs no order kept, and does not send everybody to the newest (facts: net-cron
 * C.9). */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/base/rng.h"

#define LB_PICK_NONE SIZE_MAX
#define LB_PICK_LAST (UINT32_C(1) << 31) /* a cost from here on: only when nobody cheaper is there */
#define LB_PICK_NEVER UINT32_MAX

/* cost(ctx, i) for i < count, usually the number of connections. An index, or LB_PICK_NONE when all are NEVER. */
size_t lb_pick(size_t count, struct rng *rng, uint32_t (*cost)(void *ctx, size_t i), void *ctx);
