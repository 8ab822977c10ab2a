/* SPDX-License-Identifier: Apache-2.0
 * sha1.h - SHA-1 of short texts, for names that other systems derive the same way (facts: net-cron A.2, C.3). Not for
 * anything that must resist forgery. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define SHA1_BYTES 20

void sha1(const void *data, size_t len, uint8_t out[SHA1_BYTES]);
