/* SPDX-License-Identifier: Apache-2.0
 * chunks.h - memory of one definition (an app, a job): many small pieces that are born and die together. Smaller and
 * without the bounds of an arena: there may be 100,000 definitions. Zero is an empty one. */
#pragma once

#include <stddef.h>

struct chunk;
struct chunks {
    struct chunk *first;
};

void *chunks_alloc(struct chunks *c, size_t size); /* zeroed, 16-byte aligned */
char *chunks_strdup(struct chunks *c, const char *s);
void chunks_free(struct chunks *c);
