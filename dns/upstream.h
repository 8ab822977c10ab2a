/* SPDX-License-Identifier: Apache-2.0
 * upstream.h - the sockets behind forward.h: one for each attempt, on a port of its own that the kernel draws, connected so
 * that only the server asked can answer. On the loop. */
#pragma once

#include "common/port/loop.h"
#include "dns/forward.h"

struct upstream;

struct upstream_handler {
    void (*answer)(void *ctx, uint64_t attempt, const uint8_t *packet, size_t len);
    void (*failed)(void *ctx, uint64_t attempt);
    void *ctx;
};

struct upstream *upstream_new(struct loop *loop, const struct upstream_handler *handler);
struct upstream *upstream_free(struct upstream *u);
/* Never calls back at once. */
void upstream_send(struct upstream *u, const struct forward_effect *effect);
void upstream_close(struct upstream *u, uint64_t attempt); /* nothing is heard of it any more */
