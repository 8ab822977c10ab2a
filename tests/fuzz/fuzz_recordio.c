/* SPDX-License-Identifier: Apache-2.0
 * RecordIO: the same records however the bytes are split, and what is written is read back. */
#include <stdint.h>
#include <string.h>

#include "common/base/check.h"
#include "common/http/recordio.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int on_record(void *ctx, const void *data, size_t len)
{
    CHECK(len <= 1000);
    CHECK(recordio_append(ctx, data, len) == 0);
    return 0;
}

/* The records put together again, in the plainest spelling of their lengths. */
static int read_all(const uint8_t *data, size_t size, size_t piece, struct buf *out)
{
    struct recordio_reader r;
    recordio_reader_init(&r, 1000);
    buf_init(out, 0);
    int rc = 0;
    for (size_t at = 0; at < size && rc == 0; at += piece)
        rc = recordio_feed(&r, data + at, size - at < piece ? size - at : piece, on_record, out);
    recordio_reader_deinit(&r);
    return rc;
}

static void check_same(const struct buf *a, const struct buf *b)
{
    CHECK(buf_len(a) == buf_len(b));
    CHECK(buf_len(a) == 0 || memcmp(buf_data(a), buf_data(b), buf_len(a)) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    struct buf whole, split, again;
    int rc = read_all(data + 1, size - 1, size, &whole);
    CHECK(read_all(data + 1, size - 1, 1 + data[0] % 32u, &split) == rc);
    check_same(&whole, &split);
    if (buf_len(&whole) > 0) {
        CHECK(read_all(buf_data(&whole), buf_len(&whole), 7, &again) == 0);
        check_same(&whole, &again);
        buf_deinit(&again);
    }
    buf_deinit(&whole);
    buf_deinit(&split);
    return 0;
}
