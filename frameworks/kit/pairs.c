/* SPDX-License-Identifier: Apache-2.0 */
#include "frameworks/kit/pairs.h"

#include <stdlib.h>
#include <string.h>

static int compare(const void *left, const void *right)
{
    return strcmp(((const struct pair *)left)->key, ((const struct pair *)right)->key);
}

struct pairs pairs_read(struct chunks *c, const json_t *object)
{
    struct pairs out = {0};
    if (json_object_size(object) == 0)
        return out;
    out.items = chunks_alloc(c, sizeof(out.items[0]) * json_object_size(object));
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)object, name, value)
    {
        if (json_is_string(value))
            out.items[out.count++] = (struct pair){chunks_strdup(c, name), chunks_strdup(c, json_string_value(value))};
    }
    qsort(out.items, out.count, sizeof(out.items[0]), compare);
    return out;
}

const char *pairs_get(const struct pairs *p, const char *key)
{
    struct pair wanted = {.key = key};
    if (p->count == 0)
        return NULL;
    const struct pair *found = bsearch(&wanted, p->items, p->count, sizeof(p->items[0]), compare);
    return found ? found->value : NULL;
}

void pairs_write(const struct pairs *p, struct json_writer *w)
{
    json_begin_object(w);
    for (size_t i = 0; i < p->count; i++)
        json_kv_string(w, p->items[i].key, p->items[i].value);
    json_end_object(w);
}
