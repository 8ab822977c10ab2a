/* SPDX-License-Identifier: Apache-2.0
 * output.h - bytes waiting to be sent on one connection: a list of segments, each byte copied in once, sent by writev.
 * Internal to common/http. An empty queue holds no memory. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

struct output_segment;
struct output {
    struct output_segment *first, *last;
    size_t bytes;
};

/* Contiguous room for len bytes; output_commit what was written of it before any other call. */
uint8_t *output_reserve(struct output *o, size_t len);
void output_commit(struct output *o, size_t len);
void output_append(struct output *o, const void *data, size_t len);
/* Moves everything of from behind what is in o. */
void output_splice(struct output *o, struct output *from);
/* Describes the front in up to max pieces, returns their number. */
int output_iov(const struct output *o, struct iovec *iov, int max);
void output_consume(struct output *o, size_t len);
void output_clear(struct output *o);
