/* SPDX-License-Identifier: Apache-2.0
 * upstream.h - the sockets behind forward.h: one for each attempt, on a port of its own that the kernel draws, connected so
 * that only the server asked can answer. On the loop. */
#pragma once

#include "common/port/loop.h"
#include "dns/forward.h"

struct dns_upstream;

struct dns_upstream_handler {
    void (*answer)(void *ctx, uint64_t attempt, const uint8_t *packet, size_t len);
    void (*failed)(void *ctx, uint64_t attempt);
    void *ctx;
};

struct dns_upstream *dns_upstream_new(struct loop *loop, const struct dns_upstream_handler *handler);
struct dns_upstream *dns_upstream_free(struct dns_upstream *u);
/* Never calls back at once. */
void dns_upstream_send(struct dns_upstream *u, const struct dns_forward_effect *effect);
void dns_upstream_close(struct dns_upstream *u, uint64_t attempt); /* nothing is heard of it any more */
