/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/arena.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"

#define BLOCK_SIZE (16u << 10)
#define KEEP_MAX (256u << 10) /* a first block up to this size survives a reset */

struct block {
    struct block *next;
    size_t size;
    _Alignas(16) unsigned char data[];
};

struct arena {
    struct block *head; /* block being filled, the others behind it are full */
    size_t used;        /* in head */
    size_t total;       /* handed out since the last reset */
    size_t bytes_max;
    ProtobufCAllocator pb;
};

static void *pb_alloc(void *data, size_t size)
{
    return arena_alloc(data, size);
}

static void pb_free(void *data, void *pointer)
{
    (void)data;
    (void)pointer;
}

struct arena *arena_new(size_t bytes_max)
{
    struct arena *a = xcalloc(1, sizeof(*a));
    a->bytes_max = bytes_max ? bytes_max : (64u << 20);
    a->pb = (ProtobufCAllocator){.alloc = pb_alloc, .free = pb_free, .allocator_data = a};
    return a;
}

struct arena *arena_free(struct arena *a)
{
    if (a == NULL)
        return NULL;
    for (struct block *b = a->head, *next; b != NULL; b = next) {
        next = b->next;
        free(b);
    }
    free(a);
    return NULL;
}

void arena_reset(struct arena *a)
{
    struct block *keep = NULL;
    for (struct block *b = a->head, *next; b != NULL; b = next) {
        next = b->next;
        if (keep == NULL && b->size <= KEEP_MAX) {
            keep = b;
            keep->next = NULL;
        } else {
            free(b);
        }
    }
    a->head = keep;
    a->used = 0;
    a->total = 0;
}

void *arena_alloc(struct arena *a, size_t size)
{
    if (size > a->bytes_max)
        return NULL;
    size = (size + 15) & ~(size_t)15;
    if (a->total + size > a->bytes_max)
        return NULL;
    if (a->head == NULL || a->head->size - a->used < size) {
        size_t want = size > BLOCK_SIZE ? size : BLOCK_SIZE;
        struct block *b = xmalloc(sizeof(*b) + want);
        b->size = want;
        b->next = a->head;
        a->head = b;
        a->used = 0;
    }
    void *p = a->head->data + a->used;
    a->used += size;
    a->total += size;
    memset(p, 0, size);
    return p;
}

void *arena_must_alloc(struct arena *a, size_t size)
{
    void *p = arena_alloc(a, size);
    CHECK(p != NULL);
    return p;
}

char *arena_strdup(struct arena *a, const char *s)
{
    return arena_memdup(a, s, strlen(s) + 1);
}

void *arena_memdup(struct arena *a, const void *data, size_t len)
{
    void *p = arena_must_alloc(a, len);
    if (len > 0)
        memcpy(p, data, len);
    return p;
}

char *arena_printf(struct arena *a, const char *fmt, ...)
{
    va_list ap, again;
    va_start(ap, fmt);
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    CHECK(n >= 0);
    char *s = arena_must_alloc(a, (size_t)n + 1);
    (void)vsnprintf(s, (size_t)n + 1, fmt, again); /* same length as measured */
    va_end(again);
    va_end(ap);
    return s;
}

ProtobufCAllocator *arena_pb(struct arena *a)
{
    return &a->pb;
}
