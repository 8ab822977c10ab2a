/* SPDX-License-Identifier: Apache-2.0
 * reads.h - large answers of the master, given without holding up its loop.
 *
 * A question waits until it is its turn; then a picture of the state is taken, and the answer is rendered and sent in
 * pieces. Everybody who asked the same with the same rights before the picture was taken is served from it; who asks later
 * gets a newer one. Whoever reads slowly goes on at his own pace: a piece that is no longer at hand is rendered again.
 *
 * Bounds. Of the loop's time readers get all while nothing else is to be done, else READS_SHARE_PERCENT. There are at most
 * READS_PICTURES_MAX pictures at a time; for one that is wanted beyond that, the readers of the oldest are cut off once it
 * is READS_GRACE_MS old. No picture gets older than READS_AGE_MAX_MS. READS_MAX readers; a further one gets 503. */
#pragma once

#include <stdbool.h>

#include "common/http/server.h"
#include "common/port/loop.h"
#include "master/picture.h"

#define READS_SHARE_PERCENT 15
#define READS_SLICE_US 1500     /* of a turn of the loop that has nothing else to do */
#define READS_SLICE_MAX_US 5000 /* of one that had much to do */
#define READS_PICTURES_MAX 4
#define READS_GRACE_MS 10000
#define READS_AGE_MAX_MS 120000
#define READS_MAX 512
/* Written to one reader and not yet taken by its socket. A piece follows only when nearly nothing is pending, so this is
 * the largest piece: usually 25 KB, more only when a single task is larger. */
#define READS_PENDING_BYTES_MAX (257u << 20)

struct master_reads;
/* grace_ms: 0 for READS_GRACE_MS. */
struct master_reads *master_reads_new(struct loop *loop, int64_t grace_ms);
/* Before the server is stopped: the readers are cut off. */
struct master_reads *master_reads_free(struct master_reads *r);

struct master_read {
    /* Two questions of equal name, media type and principal (or none) have the same answer. Copied. */
    const char *name, *media_type, *principal;
    bool is_small; /* answered at once */
    /* Initialises and fills the picture: now, or later, or never. 0, or -ENOBUFS; it is deinitialised in either case. */
    int (*fill)(void *ctx, struct master_picture *p);
    void (*release)(void *ctx); /* once, when fill will not be called any more */
    void *ctx;
};

void master_reads_answer(struct master_reads *r, struct http_exchange *x, const struct master_read *read);
