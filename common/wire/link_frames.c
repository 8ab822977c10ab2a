/* SPDX-License-Identifier: Apache-2.0 */
#include "common/wire/link_frames.h"

#include <errno.h>

#include "common/wire/link.h"

#define LENGTH_SIZE 4u

void link_frames_init(struct link_frames *r)
{
    buf_init(&r->pending, LENGTH_SIZE + LINK_FRAME_BYTES_MAX);
}

void link_frames_deinit(struct link_frames *r)
{
    buf_deinit(&r->pending);
}

/* Length of the whole frame at data, which has at least LENGTH_SIZE bytes, or -EMSGSIZE. */
static long frame_size(const uint8_t *data)
{
    uint32_t len = (uint32_t)data[0] << 24 | (uint32_t)data[1] << 16 | (uint32_t)data[2] << 8 | data[3];
    return len == 0 || len > LINK_FRAME_BYTES_MAX ? -EMSGSIZE : (long)(LENGTH_SIZE + len);
}

/* How many bytes the frame in pending still needs, as far as it is known; 0: complete. */
static long missing(const struct link_frames *r)
{
    size_t have = buf_len(&r->pending);
    if (have < LENGTH_SIZE)
        return (long)(LENGTH_SIZE - have);
    long size = frame_size(buf_data(&r->pending));
    return size < 0 ? size : size - (long)have;
}

static int complete_pending(struct link_frames *r, const uint8_t **at, size_t *len,
                            int (*frame)(void *ctx, const uint8_t *data, size_t len), void *ctx)
{
    long need;
    while ((need = missing(r)) > 0 && *len > 0) {
        size_t take = (size_t)need < *len ? (size_t)need : *len;
        int rc = buf_append(&r->pending, *at, take);
        if (rc != 0)
            return rc;
        *at += take;
        *len -= take;
    }
    if (need != 0)
        return need < 0 ? (int)need : 0;
    int rc = frame(ctx, buf_data(&r->pending) + LENGTH_SIZE, buf_len(&r->pending) - LENGTH_SIZE);
    buf_clear(&r->pending);
    return rc;
}

int link_frames_feed(struct link_frames *r, const void *data, size_t len,
                     int (*frame)(void *ctx, const uint8_t *data, size_t len), void *ctx)
{
    const uint8_t *at = data;
    if (buf_len(&r->pending) > 0) {
        int rc = complete_pending(r, &at, &len, frame, ctx);
        if (rc != 0)
            return rc;
    }
    /* Complete frames are read where they are. */
    while (len >= LENGTH_SIZE) {
        long size = frame_size(at);
        if (size < 0)
            return (int)size;
        if ((size_t)size > len)
            break;
        int rc = frame(ctx, at + LENGTH_SIZE, (size_t)size - LENGTH_SIZE);
        if (rc != 0)
            return rc;
        at += size;
        len -= (size_t)size;
    }
    return buf_append(&r->pending, at, len);
}
