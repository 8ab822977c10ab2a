/* SPDX-License-Identifier: Apache-2.0
 * recordio.h - `<decimal length>\n<bytes>` records (facts: mesos 0.5). */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/base/buf.h"

/* Appends one record to out. 0 or -ENOBUFS. */
int recordio_append(struct buf *out, const void *record, size_t len);

struct recordio_reader {
    struct buf pending;
    size_t record_bytes_max;
};

/* record_bytes_max 0: 8 MiB. */
void recordio_reader_init(struct recordio_reader *r, size_t record_bytes_max);
void recordio_reader_deinit(struct recordio_reader *r);
/* Feeds bytes and calls record for each complete record in order; stops early when record returns non-zero and returns
 * that. -EPROTO for a bad length line, -EMSGSIZE for a record over the limit; the reader is unusable after an error. */
int recordio_feed(struct recordio_reader *r, const void *data, size_t len,
                  int (*record)(void *ctx, const void *data, size_t len), void *ctx);
