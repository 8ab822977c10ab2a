/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/buf.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"

#define DEFAULT_BYTES_MAX (8u << 20)
#define SHRINK_ABOVE (64u << 10) /* an emptied buffer larger than this gives its memory back */

void buf_init(struct buf *b, size_t bytes_max)
{
    memset(b, 0, sizeof(*b));
    b->bytes_max = bytes_max ? bytes_max : DEFAULT_BYTES_MAX;
}

void buf_deinit(struct buf *b)
{
    free(b->base);
    b->base = NULL;
    b->start = b->end = b->capacity = 0;
}

void buf_clear(struct buf *b)
{
    b->start = b->end = 0;
    b->overflowed = false;
    if (b->capacity > SHRINK_ABOVE)
        buf_deinit(b);
}

uint8_t *buf_reserve(struct buf *b, size_t len)
{
    size_t used = b->end - b->start;
    if (len > b->bytes_max || used > b->bytes_max - len) {
        b->overflowed = true;
        return NULL;
    }
    if (b->capacity - b->end >= len && b->base != NULL)
        return b->base + b->end;
    /* Moving pays when the hole in front is at least as large as what has to be moved. */
    if (b->start >= used && b->capacity - used >= len && b->base != NULL) {
        memmove(b->base, b->base + b->start, used);
    } else {
        size_t want = b->capacity ? b->capacity : 256;
        if (used > want / 2)
            want *= 2; /* else a buffer that stays nearly full would be copied at every append */
        while (want < used + len)
            want *= 2;
        if (b->start == 0) {
            b->base = xrealloc(b->base, want); /* large ones are moved by the page tables, not copied */
        } else {
            uint8_t *fresh = xmalloc(want);
            if (used > 0)
                memcpy(fresh, b->base + b->start, used);
            free(b->base);
            b->base = fresh;
        }
        b->capacity = want;
    }
    b->start = 0;
    b->end = used;
    return b->base + b->end;
}

void buf_commit(struct buf *b, size_t len)
{
    CHECK(len <= b->capacity - b->end);
    b->end += len;
}

int buf_append(struct buf *b, const void *data, size_t len)
{
    if (len == 0)
        return 0;
    uint8_t *to = buf_reserve(b, len);
    if (to == NULL)
        return -ENOBUFS;
    memcpy(to, data, len);
    b->end += len;
    return 0;
}

int buf_append_str(struct buf *b, const char *s)
{
    return buf_append(b, s, strlen(s));
}

int buf_append_char(struct buf *b, char c)
{
    return buf_append(b, &c, 1);
}

int buf_vprintf(struct buf *b, const char *fmt, va_list ap)
{
    char small[256];
    va_list again;
    va_copy(again, ap);
    int n = vsnprintf(small, sizeof(small), fmt, ap);
    CHECK(n >= 0);
    int rc;
    if ((size_t)n < sizeof(small)) {
        rc = buf_append(b, small, (size_t)n);
    } else {
        uint8_t *to = buf_reserve(b, (size_t)n + 1);
        rc = to == NULL ? -ENOBUFS : 0;
        if (to != NULL) {
            (void)vsnprintf((char *)to, (size_t)n + 1, fmt, again); /* same length as measured */
            b->end += (size_t)n;
        }
    }
    va_end(again);
    return rc;
}

int buf_printf(struct buf *b, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int rc = buf_vprintf(b, fmt, ap);
    va_end(ap);
    return rc;
}

void buf_consume(struct buf *b, size_t len)
{
    CHECK(len <= b->end - b->start);
    b->start += len;
    if (b->start == b->end) {
        b->start = b->end = 0;
        if (b->capacity > SHRINK_ABOVE)
            buf_deinit(b);
    }
}

char *buf_steal_str(struct buf *b)
{
    char *s = xstrndup(b->base ? (const char *)buf_data(b) : "", buf_len(b));
    size_t bytes_max = b->bytes_max;
    buf_deinit(b);
    buf_init(b, bytes_max);
    return s;
}
