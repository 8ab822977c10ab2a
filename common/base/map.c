/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/map.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"

#define uthash_fatal(msg) check_failed(__FILE__, __LINE__, msg)
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
    HASH_FIND(hh, m->entries, key, (unsigned)len, e);
    if (e != NULL) {
        void *old = e->value;
        e->value = value;
        return old;
    }
    e = xmalloc(sizeof(*e) + len + 1);
    e->value = value;
    memcpy(e->key, key, len);
    e->key[len] = '\0';
    HASH_ADD_KEYPTR(hh, m->entries, e->key, (unsigned)len, e);
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
