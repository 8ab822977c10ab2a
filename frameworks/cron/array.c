/* SPDX-License-Identifier: Apache-2.0
 * array.c - progress of an array run. What is kept grows with what is under way and with what failed, not with the count:
 * an index below `next` that is neither live nor waiting has ended, well unless its bit is set. */
#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"
#include "frameworks/cron/core.h"

#define CHUNK_BYTES (ARRAY_CHUNK / 8)

static size_t chunk_count(const struct array *a)
{
    return (size_t)((a->count + ARRAY_CHUNK - 1) / ARRAY_CHUNK);
}

struct array *array_new(int64_t count, int64_t parallel)
{
    struct array *a = xcalloc(1, sizeof(*a));
    a->count = count;
    a->parallel = parallel;
    heap_init(&a->waiting);
    list_init(&a->ready);
    a->failed_bits = xcalloc(chunk_count(a), sizeof(a->failed_bits[0]));
    return a;
}

struct array *array_free(struct array *a)
{
    if (a == NULL)
        return NULL;
    array_wake(a, INT64_MAX);
    for (struct list *node; (node = list_pop_front(&a->ready)) != NULL;)
        free(container_of(node, struct array_retry, link));
    heap_deinit(&a->waiting);
    for (size_t i = 0; i < chunk_count(a); i++)
        free(a->failed_bits[i]);
    free(a->failed_bits);
    free(a);
    return NULL;
}

bool array_has_next(const struct array *a, size_t live)
{
    if ((int64_t)live >= a->parallel)
        return false;
    if (a->ready_count > 0)
        return true;
    return a->next < a->count && (int64_t)(live + a->waiting.count) < a->parallel;
}

int64_t array_take(struct array *a, unsigned *attempt)
{
    struct list *node = list_pop_front(&a->ready);
    if (node == NULL) {
        CHECK(a->next < a->count);
        *attempt = 1;
        return a->next++;
    }
    struct array_retry *r = container_of(node, struct array_retry, link);
    int64_t index = r->index;
    *attempt = r->attempt + 1;
    a->ready_count--;
    free(r);
    return index;
}

void array_retry(struct array *a, int64_t index, unsigned attempt, int64_t at_ms)
{
    struct array_retry *r = xcalloc(1, sizeof(*r));
    r->index = index;
    r->attempt = attempt;
    list_init(&r->link);
    heap_set(&a->waiting, &r->node, at_ms);
}

int64_t array_retry_ms(const struct array *a)
{
    const struct heap_node *first = heap_peek(&a->waiting);
    return first ? first->key_ms : INT64_MAX;
}

void array_wake(struct array *a, int64_t now_ms)
{
    for (struct heap_node *node; (node = heap_pop_due(&a->waiting, now_ms)) != NULL; a->ready_count++)
        list_push_back(&a->ready, &container_of(node, struct array_retry, node)->link);
}

void array_fail(struct array *a, int64_t index)
{
    uint8_t **chunk = &a->failed_bits[index / ARRAY_CHUNK];
    if (*chunk == NULL)
        *chunk = xcalloc(1, CHUNK_BYTES);
    (*chunk)[index % ARRAY_CHUNK / 8] |= (uint8_t)(1u << (index % 8));
    a->failed++;
}

const uint8_t *array_chunk(const struct array *a, int64_t index)
{
    return a->failed_bits[index / ARRAY_CHUNK];
}

bool array_has_failed(const struct array *a, int64_t index)
{
    const uint8_t *chunk = array_chunk(a, index);
    return chunk && chunk[index % ARRAY_CHUNK / 8] >> (index % 8) & 1;
}

void array_load_chunk(struct array *a, int64_t chunk, const uint8_t *bits)
{
    free(a->failed_bits[chunk]);
    a->failed_bits[chunk] = xmemdup(bits, CHUNK_BYTES);
}

bool array_is_done(const struct array *a, size_t live)
{
    return live == 0 && a->next == a->count && a->ready_count == 0 && a->waiting.count == 0;
}
