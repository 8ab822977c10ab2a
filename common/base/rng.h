/* SPDX-License-Identifier: Apache-2.0
 * rng.h - seeded random numbers for decisions, never for secrets. The same seed gives the same numbers everywhere. */
#pragma once

#include <stdint.h>

struct rng {
    uint64_t state[4];
};

void rng_seed(struct rng *r, uint64_t seed);
uint64_t rng_next(struct rng *r);
/* Uniform in [0, bound), bound > 0. */
uint64_t rng_below(struct rng *r, uint64_t bound);
double rng_unit(struct rng *r); /* [0, 1) */

#define UUID_TEXT_SIZE 37
/* A version 4 UUID: 16 bytes, and its 36 characters with the terminator. Either may be NULL. */
void rng_uuid(struct rng *r, uint8_t bytes[16], char text[UUID_TEXT_SIZE]);
