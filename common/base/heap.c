/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/heap.h"

#include <stdlib.h>

#include "common/base/check.h"

static bool before(const struct heap_node *a, const struct heap_node *b)
{
    return a->key_ms != b->key_ms ? a->key_ms < b->key_ms : a->sequence < b->sequence;
}

static void place(struct heap *h, size_t i, struct heap_node *n)
{
    h->nodes[i] = n;
    n->index = i + 1;
}

static size_t sift_up(struct heap *h, size_t i, struct heap_node *n)
{
    while (i > 0) {
        size_t parent = (i - 1) / 2;
        if (!before(n, h->nodes[parent]))
            break;
        place(h, i, h->nodes[parent]);
        i = parent;
    }
    return i;
}

static size_t sift_down(struct heap *h, size_t i, struct heap_node *n)
{
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= h->count)
            break;
        if (child + 1 < h->count && before(h->nodes[child + 1], h->nodes[child]))
            child++;
        if (!before(h->nodes[child], n))
            break;
        place(h, i, h->nodes[child]);
        i = child;
    }
    return i;
}

void heap_init(struct heap *h)
{
    *h = (struct heap){0};
}

void heap_deinit(struct heap *h)
{
    free(h->nodes);
    *h = (struct heap){0};
}

void heap_set(struct heap *h, struct heap_node *n, int64_t key_ms)
{
    heap_remove(h, n);
    if (h->count == h->capacity) {
        h->capacity = h->capacity ? h->capacity * 2 : 16;
        h->nodes = xrealloc(h->nodes, h->capacity * sizeof(*h->nodes));
    }
    n->key_ms = key_ms;
    n->sequence = h->next_sequence++;
    size_t i = sift_up(h, h->count++, n);
    place(h, i, n);
}

void heap_remove(struct heap *h, struct heap_node *n)
{
    if (n->index == 0)
        return;
    size_t i = n->index - 1;
    CHECK(i < h->count && h->nodes[i] == n);
    n->index = 0;
    struct heap_node *last = h->nodes[--h->count];
    if (last == n)
        return;
    size_t to = sift_up(h, i, last);
    if (to == i)
        to = sift_down(h, i, last);
    place(h, to, last);
}

struct heap_node *heap_pop_due(struct heap *h, int64_t now_ms)
{
    struct heap_node *n = heap_peek(h);
    if (n == NULL || n->key_ms > now_ms)
        return NULL;
    heap_remove(h, n);
    return n;
}
