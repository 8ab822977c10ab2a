/* SPDX-License-Identifier: Apache-2.0 */
#include "common/http/gzip.h"

#include <stdlib.h>
#include <zlib.h>

#include "common/base/check.h"

#define PIECE_SIZE (16u << 10)
#define GZIP_WINDOW_BITS (15 + 16) /* zlib's way to ask for the gzip format */

struct gzip {
    z_stream stream;
};

struct gzip *gzip_new(void)
{
    struct gzip *z = xcalloc(1, sizeof(*z));
    /* Speed before size: this runs on the loop's thread. */
    CHECK(deflateInit2(&z->stream, Z_BEST_SPEED, Z_DEFLATED, GZIP_WINDOW_BITS, 8, Z_DEFAULT_STRATEGY) == Z_OK);
    return z;
}

struct gzip *gzip_free(struct gzip *z)
{
    if (z != NULL)
        (void)deflateEnd(&z->stream); /* complains about unfinished data only */
    free(z);
    return NULL;
}

void gzip_compress(struct gzip *z, const void *data, size_t len, struct output *out)
{
    CHECK(len <= UINT32_MAX && deflateReset(&z->stream) == Z_OK);
    z->stream.next_in = (z_const Bytef *)data;
    z->stream.avail_in = (uInt)len;
    int rc;
    do {
        z->stream.next_out = output_reserve(out, PIECE_SIZE);
        z->stream.avail_out = PIECE_SIZE;
        rc = deflate(&z->stream, Z_FINISH);
        CHECK(rc == Z_OK || rc == Z_STREAM_END);
        output_commit(out, PIECE_SIZE - z->stream.avail_out);
    } while (rc != Z_STREAM_END);
}
