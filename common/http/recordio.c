/* SPDX-License-Identifier: Apache-2.0 */
#include "common/http/recordio.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define RECORD_BYTES_MAX (8u << 20)
#define LENGTH_DIGITS_MAX 20

int recordio_append(struct buf *out, const void *record, size_t len)
{
    char line[LENGTH_DIGITS_MAX + 2];
    int n = snprintf(line, sizeof(line), "%zu\n", len);
    /* All or nothing: half a record would break every one behind it. */
    if (buf_reserve(out, (size_t)n + len) == NULL)
        return -ENOBUFS;
    int rc = buf_append(out, line, (size_t)n);
    return rc ? rc : buf_append(out, record, len);
}

void recordio_reader_init(struct recordio_reader *r, size_t record_bytes_max)
{
    r->record_bytes_max = record_bytes_max ? record_bytes_max : RECORD_BYTES_MAX;
    buf_init(&r->pending, r->record_bytes_max + LENGTH_DIGITS_MAX + 1);
}

void recordio_reader_deinit(struct recordio_reader *r)
{
    buf_deinit(&r->pending);
}

/* Reads the length line. Returns its bytes with the newline, 0 when it is not complete, -EPROTO or -EMSGSIZE. */
static int read_length(const struct recordio_reader *r, const uint8_t *data, size_t len, size_t *record_len)
{
    size_t value = 0;
    for (size_t i = 0; i < len; i++) {
        if (data[i] == '\n') {
            if (i == 0)
                return -EPROTO;
            *record_len = value;
            return (int)i + 1;
        }
        if (data[i] < '0' || data[i] > '9' || i == LENGTH_DIGITS_MAX)
            return -EPROTO;
        /* The limit keeps this from running over: it is far below SIZE_MAX / 10. */
        value = value * 10 + (size_t)(data[i] - '0');
        if (value > r->record_bytes_max)
            return -EMSGSIZE;
    }
    return 0;
}

/* Calls record for the complete records at the front of data. 0 or what ended it; *used is what was read. */
static int read_records(const struct recordio_reader *r, const uint8_t *data, size_t len, size_t *used,
                        int (*record)(void *ctx, const void *data, size_t len), void *ctx)
{
    for (;;) {
        size_t record_len = 0;
        int n = read_length(r, data + *used, len - *used, &record_len);
        if (n < 0)
            return n;
        if (n == 0 || len - *used - (size_t)n < record_len)
            return 0;
        const uint8_t *start = data + *used + n;
        *used += (size_t)n + record_len;
        int rc = record(ctx, start, record_len);
        if (rc != 0)
            return rc;
    }
}

/* Completes the record that is in pending with the next bytes. Returns what it took of them or -EPROTO, -EMSGSIZE. */
static long fill_pending(struct recordio_reader *r, const uint8_t *data, size_t len)
{
    size_t taken = 0, record_len = 0;
    int n;
    while ((n = read_length(r, buf_data(&r->pending), buf_len(&r->pending), &record_len)) == 0) {
        if (taken == len)
            return (long)taken;
        if (buf_append(&r->pending, data + taken++, 1) != 0)
            return -EPROTO;
    }
    if (n < 0)
        return n;
    size_t missing = (size_t)n + record_len - buf_len(&r->pending);
    size_t take = len - taken < missing ? len - taken : missing;
    if (buf_append(&r->pending, data + taken, take) != 0)
        return -EMSGSIZE;
    return (long)(taken + take);
}

int recordio_feed(struct recordio_reader *r, const void *data, size_t len,
                  int (*record)(void *ctx, const void *data, size_t len), void *ctx)
{
    const uint8_t *at = data;
    while (len > 0) {
        if (buf_len(&r->pending) > 0) {
            long taken = fill_pending(r, at, len);
            if (taken < 0)
                return (int)taken;
            at += taken;
            len -= (size_t)taken;
            size_t used = 0;
            int rc = read_records(r, buf_data(&r->pending), buf_len(&r->pending), &used, record, ctx);
            if (used > 0)
                buf_clear(&r->pending);
            if (rc != 0)
                return rc;
            if (used == 0)
                return 0; /* took everything and the record is still not complete */
            continue;
        }
        size_t used = 0;
        int rc = read_records(r, at, len, &used, record, ctx);
        if (rc != 0)
            return rc;
        return buf_append(&r->pending, at + used, len - used) == 0 ? 0 : -EMSGSIZE;
    }
    return 0;
}
