/* SPDX-License-Identifier: Apache-2.0
 * buf.h - growing bytes with a cap: append at the end, consume at the front. Contents are not terminated. */
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf {
    uint8_t *base; /* allocation */
    size_t start;  /* consumed bytes in front */
    size_t end;    /* end of contents */
    size_t capacity;
    size_t bytes_max; /* contents never grow beyond this */
    bool overflowed;  /* an append was refused; sticky until buf_clear */
};

/* bytes_max is the limit of the contents, 0 means 8 MiB. */
void buf_init(struct buf *b, size_t bytes_max);
void buf_deinit(struct buf *b);
void buf_clear(struct buf *b);

static inline const uint8_t *buf_data(const struct buf *b)
{
    return b->start > 0 ? b->base + b->start : b->base; /* no arithmetic on the NULL of an empty buffer */
}
static inline size_t buf_len(const struct buf *b)
{
    return b->end - b->start;
}

/* All appends: 0, or -ENOBUFS when the limit would be passed (nothing is appended, overflowed is set). */
int buf_append(struct buf *b, const void *data, size_t len);
int buf_append_str(struct buf *b, const char *s);
int buf_append_char(struct buf *b, char c);
int buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int buf_vprintf(struct buf *b, const char *fmt, va_list ap);

/* Makes room for len more bytes and returns where to write them, NULL at the limit; buf_commit what was written. */
uint8_t *buf_reserve(struct buf *b, size_t len);
void buf_commit(struct buf *b, size_t len);

/* Drops len bytes at the front, len <= buf_len. */
void buf_consume(struct buf *b, size_t len);

/* The contents as a malloc'd terminated string. Caller frees. The buffer is empty afterwards and owns nothing, so that it
 * needs no buf_deinit unless it is used again. */
char *buf_steal_str(struct buf *b);
