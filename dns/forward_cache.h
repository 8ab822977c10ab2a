/* SPDX-License-Identifier: Apache-2.0
 * forward_cache.h - answers of other name servers, kept by question for as long as they allow, at most so many, the least
 * recently used one goes first. No clock. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct dns_forward_cache;

struct dns_forward_cache *dns_forward_cache_new(size_t entries_max, int64_t ttl_max_ms);
struct dns_forward_cache *dns_forward_cache_free(struct dns_forward_cache *c);
/* Keeps an answer without OPT if it may be kept: complete, no failure, a TTL (of a denial: with its SOA). */
void dns_forward_cache_put(struct dns_forward_cache *c, const void *key, size_t key_len, const uint8_t *answer, size_t len,
                           int64_t now_ms);
/* Copies the answer with what is left of its TTLs into out (as large as FORWARD_CACHED_BYTES_MAX); its length or 0. */
size_t dns_forward_cache_get(struct dns_forward_cache *c, const void *key, size_t key_len, int64_t now_ms, uint8_t *out);
size_t dns_forward_cache_count(const struct dns_forward_cache *c);
