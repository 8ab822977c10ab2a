/* SPDX-License-Identifier: Apache-2.0 */
#include "common/http/output.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"

#define FIRST_SIZE (2u << 10) /* most answers fit; a busy queue gets larger ones */
#define NEXT_SIZE (16u << 10)

struct output_segment {
    struct output_segment *next;
    size_t start, end, size;
    uint8_t data[];
};

uint8_t *output_reserve(struct output *o, size_t len)
{
    struct output_segment *s = o->last;
    if (s != NULL && s->size - s->end >= len)
        return s->data + s->end;
    size_t size = (s == NULL ? FIRST_SIZE : NEXT_SIZE) - sizeof(*s);
    if (size < len)
        size = len;
    s = xmalloc(sizeof(*s) + size);
    *s = (struct output_segment){.size = size};
    if (o->last)
        o->last->next = s;
    else
        o->first = s;
    o->last = s;
    return s->data;
}

void output_commit(struct output *o, size_t len)
{
    CHECK(o->last != NULL && len <= o->last->size - o->last->end);
    o->last->end += len;
    o->bytes += len;
}

void output_append(struct output *o, const void *data, size_t len)
{
    if (len == 0)
        return;
    memcpy(output_reserve(o, len), data, len);
    output_commit(o, len);
}

void output_splice(struct output *o, struct output *from)
{
    if (from->first == NULL)
        return;
    if (o->last)
        o->last->next = from->first;
    else
        o->first = from->first;
    o->last = from->last;
    o->bytes += from->bytes;
    *from = (struct output){0};
}

int output_iov(const struct output *o, struct iovec *iov, int max)
{
    int n = 0;
    for (struct output_segment *s = o->first; s != NULL && n < max; s = s->next) {
        if (s->end > s->start)
            iov[n++] = (struct iovec){.iov_base = s->data + s->start, .iov_len = s->end - s->start};
    }
    return n;
}

void output_consume(struct output *o, size_t len)
{
    CHECK(len <= o->bytes);
    o->bytes -= len;
    while (o->first != NULL) {
        struct output_segment *s = o->first;
        size_t here = s->end - s->start;
        if (here > len) {
            s->start += len;
            return;
        }
        len -= here;
        o->first = s->next;
        free(s);
    }
    o->last = NULL;
}

void output_clear(struct output *o)
{
    output_consume(o, o->bytes);
}
