/* SPDX-License-Identifier: Apache-2.0 */
#include "master/departed.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"
#include "master/registry.h"

/* The values of both maps are times, in the order of departure. */
static void put(struct map *to, const char *id, int64_t departed_ms)
{
    free(map_put(to, id, xmemdup(&departed_ms, sizeof(departed_ms))));
}

static void trim(struct master *m, struct map *of, size_t max)
{
    while (map_count(of) > max) {
        const char *oldest = map_key(map_first(of));
        master_registry_delete_departed(m, master_registry_begin(m, MASTER_WRITE_RECORD, oldest));
        free(map_remove(of, oldest));
    }
}

void master_departed_add(struct master *m, const char *id, bool gone)
{
    put(gone ? &m->gone : &m->removed, id, m->wall_ms);
    trim(m, &m->removed, MASTER_REMOVED_AGENTS_MAX);
    trim(m, &m->gone, MASTER_GONE_AGENTS_MAX);
}

bool master_departed_is_removed(const struct master *m, const char *id)
{
    return map_get(&m->removed, id) != NULL;
}

bool master_departed_is_gone(const struct master *m, const char *id)
{
    return map_get(&m->gone, id) != NULL;
}

void master_departed_recover(struct master *m, const char *id, int64_t departed_ms, bool gone)
{
    put(gone ? &m->gone : &m->removed, id, departed_ms);
}

struct departed {
    char *id;
    int64_t ms;
};

static int compare(const void *a, const void *b)
{
    const struct departed *x = a, *y = b;
    if (x->ms != y->ms)
        return x->ms < y->ms ? -1 : 1;
    return strcmp(x->id, y->id);
}

/* The store gives records in the order of their keys. */
static void sort(struct map *of)
{
    size_t n = 0, count = map_count(of);
    struct departed *list = xcalloc(count + 1, sizeof(*list));
    for (struct map_entry *e = map_first(of); e != NULL; e = map_next(e), n++)
        list[n] = (struct departed){xstrdup(map_key(e)), *(const int64_t *)map_value(e)};
    qsort(list, count, sizeof(*list), compare);
    for (size_t i = 0; i < count; i++) {
        void *value = map_remove(of, list[i].id);
        (void)map_put(of, list[i].id, value); /* it was just removed */
        free(list[i].id);
    }
    free(list);
}

void master_departed_sort(struct master *m)
{
    sort(&m->removed);
    sort(&m->gone);
}

void master_departed_deinit(struct master *m)
{
    struct map *maps[] = {&m->removed, &m->gone};
    for (size_t i = 0; i < 2; i++) {
        for (struct map_entry *e = map_first(maps[i]); e != NULL; e = map_next(e))
            free(map_value(e));
        map_deinit(maps[i]);
    }
}
