/* SPDX-License-Identifier: Apache-2.0
 * link_frames.h - takes the frames of muster-link/1 out of a stream of bytes. Internal to common/wire. */
#pragma once

#include "common/base/buf.h"

struct link_frames {
    struct buf pending; /* an incomplete frame with its length */
};

void link_frames_init(struct link_frames *r);
void link_frames_deinit(struct link_frames *r);
/* Calls frame for each complete frame in order; stops early when it returns non-zero and returns that. -EMSGSIZE for a
 * length of 0 or above LINK_FRAME_BYTES_MAX. After anything but 0 the reader is of no more use. */
int link_frames_feed(struct link_frames *r, const void *data, size_t len,
                     int (*frame)(void *ctx, const uint8_t *data, size_t len), void *ctx);
