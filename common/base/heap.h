/* SPDX-License-Identifier: Apache-2.0
 * heap.h - intrusive min-heap for deadlines. Equal deadlines come out in the order they were put in. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct heap_node {
    int64_t key_ms;
    uint64_t sequence;
    size_t index; /* 0: not in a heap, else position + 1 */
};

struct heap {
    struct heap_node **nodes;
    size_t count, capacity;
    uint64_t next_sequence;
};

void heap_init(struct heap *h);
void heap_deinit(struct heap *h); /* the nodes belong to their owners */

/* Inserts or moves the node to key_ms. */
void heap_set(struct heap *h, struct heap_node *node, int64_t key_ms);
/* Takes the node out; nothing happens when it is not in. */
void heap_remove(struct heap *h, struct heap_node *node);
static inline bool heap_is_in(const struct heap_node *node)
{
    return node->index != 0;
}
static inline struct heap_node *heap_peek(const struct heap *h)
{
    return h->count ? h->nodes[0] : NULL;
}
/* Takes out the first node whose key is <= now_ms, or NULL. */
struct heap_node *heap_pop_due(struct heap *h, int64_t now_ms);
