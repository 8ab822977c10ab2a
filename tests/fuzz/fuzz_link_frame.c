/* SPDX-License-Identifier: Apache-2.0
 * Frames of muster-link/1: the same frames however the bytes are split, and decoding copes with what is in them. */
#include <stdint.h>
#include <string.h>

#include "common/base/check.h"
#include "common/wire/codec.h"
#include "common/wire/link.h"
#include "common/wire/link_frames.h"
#include "muster/link.pb-c.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct reading {
    struct buf frames;
    struct arena *arena; /* NULL: do not decode */
};

static int on_frame(void *ctx, const uint8_t *data, size_t len)
{
    struct reading *r = ctx;
    CHECK(len > 0 && len <= LINK_FRAME_BYTES_MAX);
    CHECK(buf_append(&r->frames, data, len) == 0 && buf_append(&r->frames, "\n", 1) == 0);
    if (r->arena != NULL) {
        (void)wire_unpack(&muster__link__agent_to_master__descriptor, data, len, r->arena, NULL); /* NULL is an answer */
        (void)wire_unpack(&muster__link__master_to_agent__descriptor, data, len, r->arena, NULL);
        arena_reset(r->arena);
    }
    return 0;
}

static int read_all(const uint8_t *data, size_t size, size_t piece, struct reading *r)
{
    struct link_frames frames;
    link_frames_init(&frames);
    buf_init(&r->frames, 0);
    int rc = 0;
    for (size_t at = 0; at < size && rc == 0; at += piece)
        rc = link_frames_feed(&frames, data + at, size - at < piece ? size - at : piece, on_frame, r);
    link_frames_deinit(&frames);
    return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    struct reading whole = {.arena = arena_new(64u << 20)}, split = {0};
    int rc = read_all(data + 1, size - 1, size, &whole);
    CHECK(read_all(data + 1, size - 1, 1 + data[0] % 16u, &split) == rc);
    size_t len = buf_len(&whole.frames);
    CHECK(len == buf_len(&split.frames));
    CHECK(len == 0 || memcmp(buf_data(&whole.frames), buf_data(&split.frames), len) == 0);
    buf_deinit(&whole.frames);
    buf_deinit(&split.frames);
    arena_free(whole.arena);
    return 0;
}
