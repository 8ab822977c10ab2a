/* SPDX-License-Identifier: Apache-2.0 */
#include "frameworks/kit/chunks.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"

#define CHUNK_SIZE_FIRST 256 /* most definitions are small */
#define CHUNK_SIZE_MAX 1024  /* of those that follow, each twice as large as the one before */

struct chunk {
    struct chunk *next;
    size_t used, size;
    _Alignas(16) unsigned char data[];
};

void *chunks_alloc(struct chunks *owner, size_t size)
{
    size = (size + 15) & ~(size_t)15;
    struct chunk *c = owner->first;
    if (c == NULL || c->size - c->used < size) {
        size_t usual = c == NULL ? CHUNK_SIZE_FIRST : 2 * c->size < CHUNK_SIZE_MAX ? 2 * c->size : CHUNK_SIZE_MAX;
        size_t room = size > usual / 2 ? size : usual;
        struct chunk *fresh = xcalloc(1, sizeof(*fresh) + room);
        fresh->size = room;
        if (c != NULL && room == size && c->used < c->size) { /* keep filling the present one */
            fresh->next = c->next;
            c->next = fresh;
        } else {
            fresh->next = c;
            owner->first = fresh;
        }
        c = fresh;
    }
    void *p = c->data + c->used;
    c->used += size;
    return p;
}

char *chunks_strdup(struct chunks *c, const char *s)
{
    size_t n = strlen(s) + 1;
    return memcpy(chunks_alloc(c, n), s, n);
}

void chunks_free(struct chunks *owner)
{
    for (struct chunk *c = owner->first, *next; c != NULL; c = next) {
        next = c->next;
        free(c);
    }
    owner->first = NULL;
}
