/* SPDX-License-Identifier: Apache-2.0
 * digest.h - HMAC-SHA256 under one key, many times. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define AUTH_DIGEST_BYTES 32u

struct auth_digest;

struct auth_digest_part {
    const void *data;
    size_t len;
};

/* The key is copied; any length but 0. */
struct auth_digest *auth_digest_new(const void *key, size_t len);
struct auth_digest *auth_digest_free(struct auth_digest *d);
/* Of the parts one behind the other. */
void auth_digest(struct auth_digest *d, const struct auth_digest_part *parts, size_t count, uint8_t out[AUTH_DIGEST_BYTES]);
