/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/map.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "common/base/check.h"

/* Keys come from outside (task ids, roles, hosts), so the hash is SipHash-1-3 (Aumasson and Bernstein) with a key that
 * nobody else knows: otherwise a client could send keys that all meet in one bucket. Decisions do not depend on it, since
 * iteration is in insertion order. */
static uint64_t hash_key[2];

__attribute__((constructor)) static void draw_hash_key(void)
{
    if (getrandom(hash_key, sizeof(hash_key), GRND_NONBLOCK) == (ssize_t)sizeof(hash_key))
        return;
    struct timespec now; /* early in the boot of a machine, or no such call: better than a constant */
    (void)clock_gettime(CLOCK_REALTIME, &now);
    hash_key[0] = (uint64_t)now.tv_sec << 30 ^ (uint64_t)now.tv_nsec;
    hash_key[1] = (uint64_t)(uintptr_t)&now ^ (uint64_t)getpid() << 32;
}

static inline uint64_t rotate(uint64_t x, int bits)
{
    return x << bits | x >> (64 - bits);
}

static inline void sip_round(uint64_t v[4])
{
    v[0] += v[1];
    v[1] = rotate(v[1], 13) ^ v[0];
    v[0] = rotate(v[0], 32);
    v[2] += v[3];
    v[3] = rotate(v[3], 16) ^ v[2];
    v[0] += v[3];
    v[3] = rotate(v[3], 21) ^ v[0];
    v[2] += v[1];
    v[1] = rotate(v[1], 17) ^ v[2];
    v[2] = rotate(v[2], 32);
}

static unsigned hash_bytes(const void *data, size_t len)
{
    const uint8_t *p = data;
    uint64_t v[4] = {hash_key[0] ^ UINT64_C(0x736f6d6570736575), hash_key[1] ^ UINT64_C(0x646f72616e646f6d),
                     hash_key[0] ^ UINT64_C(0x6c7967656e657261), hash_key[1] ^ UINT64_C(0x7465646279746573)};
    uint64_t word = 0;
    size_t whole = len & ~(size_t)7;
    for (size_t i = 0; i < whole; i += 8) {
        memcpy(&word, p + i, 8);
        v[3] ^= word;
        sip_round(v);
        v[0] ^= word;
    }
    word = (uint64_t)len << 56;
    for (size_t i = whole; i < len; i++)
        word |= (uint64_t)p[i] << (8 * (i - whole));
    v[3] ^= word;
    sip_round(v);
    v[0] ^= word;
    v[2] ^= 0xff;
    for (int i = 0; i < 3; i++)
        sip_round(v);
    uint64_t hash = v[0] ^ v[1] ^ v[2] ^ v[3];
    return (unsigned)(hash ^ hash >> 32);
}

#define uthash_fatal(msg) check_failed(__FILE__, __LINE__, msg)
#define HASH_FUNCTION(keyptr, keylen, hashv) ((hashv) = hash_bytes((keyptr), (keylen)))
#include <uthash.h>

struct map_entry {
    UT_hash_handle hh;
    void *value;
    char key[];
};

void map_init(struct map *m)
{
    m->entries = NULL;
}

void map_deinit(struct map *m)
{
    struct map_entry *e, *tmp;
    HASH_ITER(hh, m->entries, e, tmp)
    {
        HASH_DEL(m->entries, e);
        free(e);
    }
}

size_t map_count(const struct map *m)
{
    return HASH_COUNT(m->entries);
}

struct map_entry *map_find(const struct map *m, const char *key)
{
    struct map_entry *e;
    HASH_FIND(hh, m->entries, key, (unsigned)strlen(key), e);
    return e;
}

void *map_get_n(const struct map *m, const void *key, size_t len)
{
    struct map_entry *e;
    HASH_FIND(hh, m->entries, key, (unsigned)len, e);
    return e ? e->value : NULL;
}

void *map_get(const struct map *m, const char *key)
{
    return map_get_n(m, key, strlen(key));
}

void *map_put_n(struct map *m, const void *key, size_t len, void *value)
{
    CHECK(value != NULL);
    struct map_entry *e;
    unsigned hash = hash_bytes(key, len);
    HASH_FIND_BYHASHVALUE(hh, m->entries, key, (unsigned)len, hash, e);
    if (e != NULL) {
        void *old = e->value;
        e->value = value;
        return old;
    }
    e = xmalloc(sizeof(*e) + len + 1);
    e->value = value;
    memcpy(e->key, key, len);
    e->key[len] = '\0';
    HASH_ADD_KEYPTR_BYHASHVALUE(hh, m->entries, e->key, (unsigned)len, hash, e);
    return NULL;
}

void *map_put(struct map *m, const char *key, void *value)
{
    return map_put_n(m, key, strlen(key), value);
}

void *map_remove_n(struct map *m, const void *key, size_t len)
{
    struct map_entry *e;
    HASH_FIND(hh, m->entries, key, (unsigned)len, e);
    if (e == NULL)
        return NULL;
    void *value = e->value;
    HASH_DEL(m->entries, e);
    free(e);
    return value;
}

void *map_remove(struct map *m, const char *key)
{
    return map_remove_n(m, key, strlen(key));
}

#define COMPARE_VALUES(left, right) compare((left)->value, (right)->value)

void map_sort(struct map *m, int (*compare)(const void *left, const void *right))
{
    HASH_SRT(hh, m->entries, COMPARE_VALUES);
}

struct map_entry *map_first(const struct map *m)
{
    return m->entries;
}

struct map_entry *map_next(const struct map_entry *e)
{
    return e->hh.next;
}

const char *map_key(const struct map_entry *e)
{
    return e->key;
}

void *map_value(const struct map_entry *e)
{
    return e->value;
}
