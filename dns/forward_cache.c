/* SPDX-License-Identifier: Apache-2.0
 * forward_cache.c - see forward_cache.h. */
#include "dns/forward_cache.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"
#include "common/base/list.h"
#include "common/base/map.h"
#include "dns/forward.h"

struct entry {
    struct list used; /* oldest first */
    int64_t stored_ms, expires_ms;
    size_t len, key_len;
    uint8_t bytes[]; /* the answer, then the key */
};

struct dns_forward_cache {
    struct map entries;
    struct list used;
    size_t count, max;
    int64_t ttl_max_ms;
};

struct dns_forward_cache *dns_forward_cache_new(size_t entries_max, int64_t ttl_max_ms)
{
    struct dns_forward_cache *c = xcalloc(1, sizeof(*c));
    map_init(&c->entries);
    list_init(&c->used);
    c->max = entries_max;
    c->ttl_max_ms = ttl_max_ms;
    return c;
}

static void drop(struct dns_forward_cache *c, struct entry *e)
{
    (void)map_remove_n(&c->entries, e->bytes + e->len, e->key_len);
    list_remove(&e->used);
    free(e);
    c->count--;
}

struct dns_forward_cache *dns_forward_cache_free(struct dns_forward_cache *c)
{
    if (!c)
        return NULL;
    while (!list_is_empty(&c->used))
        drop(c, container_of(c->used.next, struct entry, used));
    map_deinit(&c->entries);
    free(c);
    return NULL;
}

/* Calls for each record of the answer and authority sections, and of the additional one. False when it is malformed. */
static bool each_record(uint8_t *answer, size_t len, bool (*fn)(void *ctx, uint8_t *answer, const struct dns_record *r),
                        void *ctx)
{
    size_t at = dns_name_skip(answer, len, DNS_HEADER_BYTES);
    unsigned count = (unsigned)dns_get16(answer + 6) + dns_get16(answer + 8) + dns_get16(answer + 10);
    if (at == 0 || at + 4 > len)
        return false;
    at += 4;
    for (unsigned i = 0; i < count; i++) {
        struct dns_record r;
        if (dns_record_read(answer, len, at, &r) < 0 || !fn(ctx, answer, &r))
            return false;
        at = r.end;
    }
    return true;
}

struct lifetime {
    uint32_t ttl;
    bool has_soa;
};

static bool shorten(void *ctx, uint8_t *answer, const struct dns_record *r)
{
    struct lifetime *life = ctx;
    uint32_t ttl = r->ttl > INT32_MAX ? 0 : r->ttl; /* RFC 2181 8 */
    if (r->type == DNS_TYPE_SOA && r->data_len >= 20) {
        uint32_t minimum = dns_get32(answer + r->end - 4);
        life->has_soa = true;
        ttl = minimum < ttl ? minimum : ttl;
    }
    life->ttl = ttl < life->ttl ? ttl : life->ttl;
    return true;
}

static bool age(void *ctx, uint8_t *answer, const struct dns_record *r)
{
    uint32_t seconds = *(const uint32_t *)ctx;
    dns_put32(answer + r->fixed + 4, r->ttl > seconds ? r->ttl - seconds : 0);
    return true;
}

void dns_forward_cache_put(struct dns_forward_cache *c, const void *key, size_t key_len, const uint8_t *answer, size_t len,
                           int64_t now_ms)
{
    unsigned flags = dns_get16(answer + 2), rcode = flags & DNS_RCODE;
    struct lifetime life = {.ttl = UINT32_MAX};
    if (c->max == 0 || len > FORWARD_CACHED_BYTES_MAX || (flags & DNS_TC) ||
        (rcode != DNS_NOERROR && rcode != DNS_NXDOMAIN))
        return;
    struct entry *e = xmalloc(sizeof(*e) + len + key_len), *old;
    memcpy(e->bytes, answer, len);
    bool is_denial = dns_get16(answer + 6) == 0;
    if (!each_record(e->bytes, len, shorten, &life) || life.ttl == 0 || life.ttl == UINT32_MAX ||
        (is_denial && !life.has_soa)) {
        free(e);
        return;
    }
    int64_t keep_ms = (int64_t)life.ttl * 1000;
    e->stored_ms = now_ms;
    e->expires_ms = now_ms + (keep_ms < c->ttl_max_ms ? keep_ms : c->ttl_max_ms);
    e->len = len;
    e->key_len = key_len;
    memcpy(e->bytes + len, key, key_len);
    if ((old = map_get_n(&c->entries, key, key_len)) != NULL)
        drop(c, old);
    else if (c->count == c->max)
        drop(c, container_of(c->used.next, struct entry, used));
    (void)map_put_n(&c->entries, key, key_len, e);
    list_push_back(&c->used, &e->used);
    c->count++;
}

size_t dns_forward_cache_get(struct dns_forward_cache *c, const void *key, size_t key_len, int64_t now_ms, uint8_t *out)
{
    struct entry *e = map_get_n(&c->entries, key, key_len);
    if (!e)
        return 0;
    if (now_ms >= e->expires_ms) {
        drop(c, e);
        return 0;
    }
    uint32_t seconds = (uint32_t)((now_ms - e->stored_ms) / 1000);
    memcpy(out, e->bytes, e->len);
    (void)each_record(out, e->len, age, &seconds); /* it was read once */
    list_remove(&e->used);
    list_push_back(&c->used, &e->used);
    return e->len;
}

size_t dns_forward_cache_count(const struct dns_forward_cache *c)
{
    return c->count;
}
