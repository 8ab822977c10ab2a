/* SPDX-License-Identifier: Apache-2.0
 * resource_text.c - resources written for people and logs, and as the one object of old endpoints (facts: mesos 5.2). Every
 * append may fail by the buffer's limit, which the buffer's owner sees in its overflowed. */
#include <string.h>

#include "common/resource/set.h"

static void write_millis(int64_t millis, struct buf *out)
{
    (void)buf_printf(out, "%lld", (long long)(millis / 1000));
    int rest = (int)(millis % 1000);
    if (rest % 100 == 0 && rest != 0)
        (void)buf_printf(out, ".%d", rest / 100);
    else if (rest % 10 == 0 && rest != 0)
        (void)buf_printf(out, ".%02d", rest / 10);
    else if (rest != 0)
        (void)buf_printf(out, ".%03d", rest);
}

static void write_ranges(const struct ranges *r, const char *separator, struct buf *out)
{
    const struct resource_range *items = ranges_items(r);
    (void)buf_append_char(out, '[');
    for (uint32_t i = 0; i < r->count; i++)
        (void)buf_printf(out, "%s%llu-%llu", i ? separator : "", (unsigned long long)items[i].begin,
                         (unsigned long long)items[i].end);
    (void)buf_append_char(out, ']');
}

static void write_items(const struct resource_items *s, const char *separator, struct buf *out)
{
    (void)buf_append_char(out, '{');
    for (size_t i = 0; i < s->count; i++) {
        (void)buf_append_str(out, i ? separator : "");
        (void)buf_append_str(out, s->item[i]);
    }
    (void)buf_append_char(out, '}');
}

static void write_entry(const struct resource_entry *e, struct buf *out)
{
    const struct resource_kind *k = e->kind;
    (void)buf_append_str(out, k->name);
    if (resource_kind_reserved_role(k) != NULL)
        (void)buf_printf(out, "(%s)", resource_kind_reserved_role(k));
    if (k->detail != NULL && k->detail->disk != NULL && k->detail->disk->persistence != NULL)
        (void)buf_printf(out, "[%s]", k->detail->disk->persistence->id);
    if (k->is_revocable)
        (void)buf_append_str(out, "{REV}");
    (void)buf_append_char(out, ':');
    if (k->type == MESOS__V1__VALUE__TYPE__SCALAR)
        write_millis(e->scalar.millis, out);
    else if (k->type == MESOS__V1__VALUE__TYPE__RANGES)
        write_ranges(&e->ranges, ",", out);
    else
        write_items(&e->items, ",", out);
    if (resource_kind_is_whole(k) && e->scalar.pieces > 1)
        (void)buf_printf(out, "<%u>", e->scalar.pieces);
}

void resources_format(const struct resources *r, struct buf *out)
{
    for (uint32_t i = 0; i < r->count; i++) {
        if (i > 0)
            (void)buf_append_char(out, ';');
        write_entry(&r->entries[i], out);
    }
}

static void put_buf(struct json_writer *w, struct buf *text)
{
    json_put_string_n(w, (const char *)buf_data(text), buf_len(text));
    buf_clear(text);
}

/* One key of the old object: all entries of this name and revocability together. */
static void write_legacy_key(const struct resources *r, uint32_t first, struct json_writer *w)
{
    const struct resource_kind *k = r->entries[first].kind;
    struct buf text;
    buf_init(&text, 0);
    (void)buf_printf(&text, "%s%s", k->name, k->is_revocable ? "_revocable" : "");
    (void)buf_append_char(&text, '\0');
    json_put_key(w, (const char *)buf_data(&text));
    buf_clear(&text);
    struct resources *all = resources_new();
    for (uint32_t i = first; i < r->count; i++) {
        const struct resource_entry *e = &r->entries[i];
        if (e->kind->type != k->type || e->kind->is_revocable != k->is_revocable || strcmp(e->kind->name, k->name) != 0)
            continue;
        struct resource_entry plain = resource_entry_of(resource_kind_plain(k->name, k->type));
        if (k->type == MESOS__V1__VALUE__TYPE__SCALAR) {
            uint32_t times = e->kind->is_shared ? 1 : e->scalar.pieces;
            for (uint32_t t = 1; t < times; t++)
                resources_add_scalar(all, k->name, e->scalar.millis);
            plain.scalar = (struct resource_scalar){e->scalar.millis, 1};
        } else if (k->type == MESOS__V1__VALUE__TYPE__RANGES) {
            ranges_add(&plain.ranges, &e->ranges);
        } else {
            for (size_t t = 0; t < e->items.count; t++)
                resource_items_add(&plain.items, e->items.item[t]);
        }
        resources_put(all, &plain);
    }
    const struct resource_entry *sum = &all->entries[0];
    if (k->type == MESOS__V1__VALUE__TYPE__SCALAR) {
        json_put_double(w, (double)sum->scalar.millis / 1000);
    } else {
        if (k->type == MESOS__V1__VALUE__TYPE__RANGES)
            write_ranges(&sum->ranges, ", ", &text);
        else
            write_items(&sum->items, ", ", &text);
        put_buf(w, &text);
    }
    all = resources_free(all);
    buf_deinit(&text);
}

static bool is_first_of_its_key(const struct resources *r, uint32_t at)
{
    const struct resource_kind *k = r->entries[at].kind;
    for (uint32_t i = 0; i < at; i++)
        if (r->entries[i].kind->is_revocable == k->is_revocable && strcmp(r->entries[i].kind->name, k->name) == 0)
            return false; /* the first type of a name wins: a key appears once */
    return true;
}

void resources_write_legacy(const struct resources *r, struct json_writer *w)
{
    static const char *const always[] = {"cpus", "gpus", "mem", "disk"};
    json_begin_object(w);
    for (size_t i = 0; i < sizeof(always) / sizeof(always[0]); i++) {
        bool is_there = false;
        for (uint32_t j = 0; j < r->count && !is_there; j++)
            is_there = !r->entries[j].kind->is_revocable && strcmp(r->entries[j].kind->name, always[i]) == 0;
        if (!is_there)
            json_kv_double(w, always[i], 0);
    }
    for (uint32_t i = 0; i < r->count; i++)
        if (is_first_of_its_key(r, i))
            write_legacy_key(r, i, w);
    json_end_object(w);
}
