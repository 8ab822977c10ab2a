/* SPDX-License-Identifier: Apache-2.0
 * sim_store.h - durable keys of one node. Writes are applied in order after a delay; a crash keeps some first part of those
 * under way. A failed write may be on disk or not, and every later one fails. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/port/store.h"
#include "sim/world.h"

struct sim_store;

struct sim_item {
    const void *key;
    size_t key_len;
    const void *value;
    size_t value_len;
};

/* Called on a later turn, only while the node's incarnation lives. */
typedef void (*sim_store_done_fn)(struct sim_node *n, uint64_t token, int result);

struct sim_store *sim_store_new(struct sim_node *n, sim_store_done_fn done);
struct sim_store *sim_store_free(struct sim_store *s);
void sim_store_put(struct sim_store *s, const struct store_write *writes, size_t count, uint64_t token);
/* All items in key order; valid until the next turn. */
size_t sim_store_items(struct sim_store *s, const struct sim_item **items);
/* The node has crashed. */
void sim_store_crash(struct sim_store *s);
/* The next write fails. */
void sim_store_fail_next(struct sim_store *s);
/* Nothing written before this time completes earlier. */
void sim_store_stall(struct sim_store *s, int64_t until_ms);
