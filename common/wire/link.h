/* SPDX-License-Identifier: Apache-2.0
 * link.h - frames of muster-link/1 (proto/muster/link.proto) over a connected descriptor: 4-byte big-endian length, then a
 * packed message. Used by master and agent shells after the HTTP upgrade. */
#pragma once

#include "common/base/arena.h"
#include "common/base/err.h"
#include "common/port/loop.h"

#include <protobuf-c/protobuf-c.h>

#define LINK_FRAME_BYTES_MAX (8u << 20)
#define LINK_PROTOCOL "muster-link/1"

struct link;

struct link_callbacks {
    /* One received frame, decoded into an arena that lives for the call. */
    void (*message)(void *ctx, const ProtobufCMessage *message);
    /* The link is gone (peer closed, bad frame, too much unsent): text says why. The link is freed after the call. */
    void (*closed)(void *ctx, const char *why);
};

/* Takes ownership of fd (made non-blocking, TCP_NODELAY). `rest` are bytes read beyond the upgrade; copied. Received
 * frames are decoded as `type`. pending_bytes_max bounds unsent output, 0: 64 MiB. Callbacks come in later turns. */
struct link *link_new(struct loop *loop, int fd, const void *rest, size_t rest_len, const ProtobufCMessageDescriptor *type,
                      size_t pending_bytes_max, const struct link_callbacks *callbacks, void *ctx);
/* Queues one frame; all frames of a turn go out in one write. The packed message has 1 .. LINK_FRAME_BYTES_MAX bytes. 0, or
 * -EPIPE when the link is being closed. */
int link_send(struct link *l, const ProtobufCMessage *message);
size_t link_pending(const struct link *l);
/* Closes without callback. Frames that the socket takes at once still go out, others are lost. Allowed inside the
 * callbacks. Accepts NULL, returns NULL. */
struct link *link_free(struct link *l);
