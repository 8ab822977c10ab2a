/* SPDX-License-Identifier: Apache-2.0
 * stream.h - the subscription to the master's operator event stream on a loop: finds the leader among the masters, looks
 * their names up, keeps the stream open by the rules of follow.h. What the records say is the owner's matter. */
#pragma once

#include "common/base/err.h"
#include "common/follow/follow.h"
#include "common/follow/lookup.h"
#include "common/follow/picture.h"
#include "common/port/loop.h"

#define MASTER_RECORD_BYTES_MAX (1u << 30) /* the state of a whole cluster */

enum master_stream_change {
    MASTER_STREAM_CURRENT,   /* a complete picture was received */
    MASTER_STREAM_LOST,      /* the stream that was current broke */
    MASTER_STREAM_ADDRESSES, /* the name of a master was looked up */
};

struct master_stream_config {
    struct loop *loop;
    const struct master_list *masters; /* copied */
    const char *principal, *secret;    /* NULL: no authentication */
    uint64_t seed;
    /* One record of the stream. 0 with what it was in told, or -EPROTO with the reason: subscribe again. */
    int (*record)(void *ctx, enum wire_format format, const void *data, size_t len, struct picture_told *told,
                  struct err *err);
    void (*changed)(void *ctx, enum master_stream_change change);
    void *ctx;
};

struct master_stream;

/* The first connection is tried in a following turn. */
struct master_stream *master_stream_new(const struct master_stream_config *config);
/* Accepts NULL, returns NULL. Not inside its callbacks. */
struct master_stream *master_stream_free(struct master_stream *s);

bool master_stream_is_current(const struct master_stream *s);
/* host:port of the master that is followed or asked. */
const char *master_stream_address(const struct master_stream *s);
/* Address and port of a host:port. False when the host is a name that is not known (yet). */
bool master_stream_find(const struct master_stream *s, const char *address, struct host_ip *ip, uint16_t *port);
/* Since the picture was last known to be right; NaN before there was one. */
double master_stream_age_seconds(const struct master_stream *s);

struct master_stream_counts {
    uint64_t records, attempts;
};
struct master_stream_counts master_stream_get_counts(const struct master_stream *s);
