/* SPDX-License-Identifier: Apache-2.0
 * resolver.h - names of agents to addresses without blocking the loop: numeric ones at once, others on a thread of its own,
 * remembered for a minute. */
#pragma once

#include <stdint.h>

#include "common/port/loop.h"

#define RESOLVER_ADDRESS_SIZE 64
#define RESOLVER_NAMES_MAX 65536 /* remembered */
#define RESOLVER_KEEP_MS 60000

struct resolver;
/* address is NULL when the name has none; why says more. Called in a later turn, or at once for numeric and remembered
 * names. */
typedef void (*resolver_done_fn)(void *ctx, const char *address, const char *why);

struct resolver *resolver_new(struct loop *loop);
/* Waits for the look-up under way. Callbacks that have not come are dropped. Accepts NULL, returns NULL. */
struct resolver *resolver_free(struct resolver *r);
void resolver_find(struct resolver *r, const char *name, resolver_done_fn done, void *ctx);
