/* SPDX-License-Identifier: Apache-2.0
 * set.h - layout of struct resources. A set holds at most one entry per kind, and per kind and amount where the kind is
 * exclusive or shared: such entries count how many equal ones there are. Internal to common/resource. */
#pragma once

#include "common/resource/kind.h"
#include "common/resource/ranges.h"
#include "common/resource/resource.h"

#define RESOURCES_INLINE 4 /* cpus, mem, disk, ports */

struct resource_scalar {
    int64_t millis;
    uint32_t pieces; /* uses of a shared one, number of equal exclusive ones, else 1 */
};

struct resource_items {
    char **item; /* sorted, distinct, each malloc'd */
    size_t count;
};

struct resource_entry {
    struct resource_kind *kind;
    union {
        struct resource_scalar scalar;
        struct ranges ranges;
        struct resource_items items;
    };
};
_Static_assert(sizeof(struct resource_entry) == 32, "a task's resources stay small");

struct resources {
    uint32_t count;
    uint32_t capacity;              /* of entries */
    struct resource_entry *entries; /* `inlined` until it is too small */
    struct resource_entry inlined[];
};

/* Merges one entry in. Takes over what `e` owns, its reference to the kind too. */
void resources_put(struct resources *r, struct resource_entry *e);
/* An entry with this kind (the reference is taken over) and an amount of nothing. */
static inline struct resource_entry resource_entry_of(struct resource_kind *kind)
{
    return (struct resource_entry){.kind = kind};
}
static inline bool resource_kind_is_whole(const struct resource_kind *k)
{
    return k->is_exclusive || k->is_shared;
}
/* Adds a copy of the item; nothing happens when it is there. */
void resource_items_add(struct resource_items *s, const char *item);
