/* SPDX-License-Identifier: Apache-2.0
 * kind.h - everything about a resource but its amount: name, type, allocation role, reservation stack, disk, revocable,
 * shared, provider. Kinds are interned and counted, so equal metadata is one pointer and an entry of a set stays small.
 *
 * The table belongs to the process and is used from one thread, that of the loop. What it holds is bounded by the entries
 * that are alive. Internal to common/resource. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/resource/resource.h"

struct resource_kind {
    uint32_t refs;  /* unused when pinned */
    bool is_pinned; /* cpus, mem, disk, gpus, ports: never freed */
    bool is_revocable;
    bool is_shared;    /* counted by uses */
    bool is_exclusive; /* used whole: never merged, never divided (facts 6.1) */
    Mesos__V1__Value__Type type;
    const char *name;
    const char *allocation_role; /* NULL: not allocated */
    const char *quantity;        /* interned name for struct quantities, NULL until asked for */
    /* The same without allocation, NULL if this is it. Holds a reference. */
    struct resource_kind *base;
    /* Stands for all kinds that count as equal: without disk.volume and persistence.principal, which say how a volume is
     * used and not which one it is. This kind itself in most cases, else a counted reference. */
    struct resource_kind *identity;
    /* Metadata in post-refinement form without value and allocation; NULL for kinds of only name and type. */
    const Mesos__V1__Resource *detail;
    uint8_t *key;
    size_t key_len;
};

/* All of these return a counted reference. */
struct resource_kind *resource_kind_plain(const char *name, Mesos__V1__Value__Type type);
/* Of a validated resource in any form, allocation included. */
struct resource_kind *resource_kind_from_wire(const Mesos__V1__Resource *r);
/* The same with this allocation role, NULL: without. */
struct resource_kind *resource_kind_allocated(struct resource_kind *k, const char *role);
struct resource_kind *resource_kind_without_reservations(struct resource_kind *k);
/* Without the last reservation, of which there must be one. */
struct resource_kind *resource_kind_popped(struct resource_kind *k);
/* The disk that a persistent volume is made of: its source is kept. */
struct resource_kind *resource_kind_without_volume(struct resource_kind *k);

static inline struct resource_kind *resource_kind_ref(struct resource_kind *k)
{
    k->refs++;
    return k;
}
void resource_kind_destroy(struct resource_kind *k);
static inline void resource_kind_unref(struct resource_kind *k)
{
    if (--k->refs == 0 && !k->is_pinned)
        resource_kind_destroy(k);
}

static inline bool resource_kind_is_same(const struct resource_kind *a, const struct resource_kind *b)
{
    return a->identity == b->identity;
}
static inline size_t resource_kind_stack(const struct resource_kind *k)
{
    return k->detail ? k->detail->n_reservations : 0;
}
static inline bool resource_kind_is_volume(const struct resource_kind *k)
{
    return k->detail != NULL && k->detail->disk != NULL && k->detail->disk->persistence != NULL;
}
/* Is the last reservation a dynamic one? */
static inline bool resource_kind_is_dynamic(const struct resource_kind *k)
{
    size_t n = resource_kind_stack(k);
    return n > 0 && k->detail->reservations[n - 1]->type == MESOS__V1__RESOURCE__RESERVATION_INFO__TYPE__DYNAMIC;
}
/* Role of the last reservation, NULL if unreserved. */
const char *resource_kind_reserved_role(const struct resource_kind *k);
/* Number of interned kinds that are not pinned; for tests of leaks. */
size_t resource_kind_count(void);
