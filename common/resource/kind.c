/* SPDX-License-Identifier: Apache-2.0
 * kind.c - the table of resource metadata. A key is a tag and, by the tag: type and name; the packed canonical message; or
 * the unallocated kind's address and the role. Canonical means post-refinement form with sorted labels. */
#include "common/resource/kind.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/arena.h"
#include "common/base/check.h"
#include "common/base/map.h"

enum key_tag { KEY_PLAIN = 1, KEY_DETAIL, KEY_ALLOCATED };

static struct map kinds;

/* What nearly every resource is: found without hashing. */
static struct resource_kind pinned[] = {
    {.is_pinned = true, .name = "cpus", .type = MESOS__V1__VALUE__TYPE__SCALAR, .identity = &pinned[0]},
    {.is_pinned = true, .name = "mem", .type = MESOS__V1__VALUE__TYPE__SCALAR, .identity = &pinned[1]},
    {.is_pinned = true, .name = "disk", .type = MESOS__V1__VALUE__TYPE__SCALAR, .identity = &pinned[2]},
    {.is_pinned = true, .name = "ports", .type = MESOS__V1__VALUE__TYPE__RANGES, .identity = &pinned[3]},
    {.is_pinned = true, .name = "gpus", .type = MESOS__V1__VALUE__TYPE__SCALAR, .identity = &pinned[4]},
};

size_t resource_kind_count(void)
{
    return map_count(&kinds);
}

/* Puts a new kind with one reference under a copy of the key. */
static struct resource_kind *kind_new(const uint8_t *key, size_t key_len)
{
    struct resource_kind *k = xcalloc(1, sizeof(*k));
    k->refs = 1;
    k->key = xmemdup(key, key_len);
    k->key_len = key_len;
    k->identity = k;
    CHECK(map_put_n(&kinds, key, key_len, k) == NULL);
    return k;
}

void resource_kind_destroy(struct resource_kind *k)
{
    CHECK(map_remove_n(&kinds, k->key, k->key_len) == k);
    if (k->identity != k)
        resource_kind_unref(k->identity);
    if (k->base != NULL)
        resource_kind_unref(k->base); /* detail and name are the base's */
    else if (k->detail != NULL)
        protobuf_c_message_free_unpacked((ProtobufCMessage *)k->detail, NULL);
    free(k->key);
    free(k);
}

struct resource_kind *resource_kind_plain(const char *name, Mesos__V1__Value__Type type)
{
    for (size_t i = 0; i < sizeof(pinned) / sizeof(pinned[0]); i++)
        if (pinned[i].type == type && strcmp(pinned[i].name, name) == 0)
            return resource_kind_ref(&pinned[i]);
    size_t len = strlen(name);
    uint8_t *key = xmalloc(len + 3); /* the name in it stays terminated */
    key[0] = KEY_PLAIN;
    key[1] = (uint8_t)type;
    memcpy(key + 2, name, len + 1);
    struct resource_kind *k = map_get_n(&kinds, key, len + 3);
    if (k != NULL) {
        resource_kind_ref(k);
    } else {
        k = kind_new(key, len + 3);
        k->type = type;
        k->name = (const char *)k->key + 2;
    }
    free(key);
    return k;
}

static int compare_labels(const void *a, const void *b)
{
    const Mesos__V1__Label *x = *(Mesos__V1__Label *const *)a, *y = *(Mesos__V1__Label *const *)b;
    int order = strcmp(x->key, y->key);
    if (order != 0)
        return order;
    if (x->value == NULL || y->value == NULL)
        return (x->value != NULL) - (y->value != NULL);
    return strcmp(x->value, y->value);
}

static Mesos__V1__Labels *sorted_labels(const Mesos__V1__Labels *labels, struct arena *a)
{
    if (labels == NULL || labels->n_labels == 0)
        return NULL; /* empty means none */
    Mesos__V1__Labels *out = arena_new_one(a, Mesos__V1__Labels);
    mesos__v1__labels__init(out);
    out->n_labels = labels->n_labels;
    out->labels = arena_memdup(a, labels->labels, labels->n_labels * sizeof(out->labels[0]));
    qsort(out->labels, out->n_labels, sizeof(out->labels[0]), compare_labels);
    return out;
}

static Mesos__V1__Resource__ReservationInfo *canonical_reservation(const Mesos__V1__Resource__ReservationInfo *from,
                                                                   struct arena *a)
{
    Mesos__V1__Resource__ReservationInfo *out = arena_new_one(a, Mesos__V1__Resource__ReservationInfo);
    mesos__v1__resource__reservation_info__init(out);
    out->has_type = from->has_type;
    out->type = from->type;
    out->role = from->role;
    out->principal = from->principal;
    out->labels = sorted_labels(from->labels, a);
    return out;
}

/* The reservation stack of any accepted form (facts 6.4). */
static void canonical_stack(const Mesos__V1__Resource *r, const char *role, Mesos__V1__Resource *out, struct arena *a)
{
    bool is_legacy = r->n_reservations == 0 && role != NULL && strcmp(role, "*") != 0;
    size_t count = is_legacy ? 1 : r->n_reservations;
    if (count == 0)
        return;
    out->n_reservations = count;
    out->reservations = arena_new_array(a, Mesos__V1__Resource__ReservationInfo *, count);
    for (size_t i = 0; i < r->n_reservations; i++)
        out->reservations[i] = canonical_reservation(r->reservations[i], a);
    if (is_legacy) {
        Mesos__V1__Resource__ReservationInfo only;
        mesos__v1__resource__reservation_info__init(&only);
        only.has_type = 1;
        only.type = r->reservation ? MESOS__V1__RESOURCE__RESERVATION_INFO__TYPE__DYNAMIC
                                   : MESOS__V1__RESOURCE__RESERVATION_INFO__TYPE__STATIC;
        only.role = (char *)role;
        if (r->reservation != NULL) {
            only.principal = r->reservation->principal;
            only.labels = r->reservation->labels;
        }
        out->reservations[0] = canonical_reservation(&only, a);
    }
}

static bool disk_is_exclusive(const Mesos__V1__Resource__DiskInfo *d)
{
    if (d == NULL)
        return false;
    if (d->persistence != NULL)
        return true;
    if (d->source == NULL)
        return false;
    switch (d->source->type) {
    case MESOS__V1__RESOURCE__DISK_INFO__SOURCE__TYPE__MOUNT:
    case MESOS__V1__RESOURCE__DISK_INFO__SOURCE__TYPE__BLOCK:
        return true;
    case MESOS__V1__RESOURCE__DISK_INFO__SOURCE__TYPE__RAW:
        return d->source->id != NULL;
    default:
        return false;
    }
}

static struct resource_kind *kind_of_canonical(const Mesos__V1__Resource *canonical);

/* The kind that stands for all uses of one volume, or NULL when canonical is that already. */
static struct resource_kind *identity_of(const Mesos__V1__Resource *canonical)
{
    const Mesos__V1__Resource__DiskInfo *d = canonical->disk;
    if (d == NULL || (d->volume == NULL && (d->persistence == NULL || d->persistence->principal == NULL)))
        return NULL;
    Mesos__V1__Resource bare = *canonical;
    Mesos__V1__Resource__DiskInfo disk = *d;
    Mesos__V1__Resource__DiskInfo__Persistence persistence;
    disk.volume = NULL;
    if (d->persistence != NULL) {
        persistence = *d->persistence;
        persistence.principal = NULL;
        disk.persistence = &persistence;
    }
    bare.disk = &disk;
    return kind_of_canonical(&bare);
}

static bool is_plain(const Mesos__V1__Resource *canonical)
{
    return canonical->n_reservations == 0 && canonical->disk == NULL && canonical->provider_id == NULL &&
           canonical->revocable == NULL && canonical->shared == NULL;
}

static struct resource_kind *kind_of_canonical(const Mesos__V1__Resource *canonical)
{
    if (is_plain(canonical))
        return resource_kind_plain(canonical->name, canonical->type);
    size_t len = mesos__v1__resource__get_packed_size(canonical);
    uint8_t *key = xmalloc(len + 1);
    key[0] = KEY_DETAIL;
    CHECK(mesos__v1__resource__pack(canonical, key + 1) == len);
    struct resource_kind *k = map_get_n(&kinds, key, len + 1);
    if (k != NULL) {
        resource_kind_ref(k);
    } else {
        k = kind_new(key, len + 1);
        Mesos__V1__Resource *detail = mesos__v1__resource__unpack(NULL, len, key + 1);
        CHECK(detail != NULL);
        k->detail = detail;
        k->name = detail->name;
        k->type = detail->type;
        k->is_revocable = detail->revocable != NULL;
        k->is_shared = detail->shared != NULL;
        k->is_exclusive = disk_is_exclusive(detail->disk);
        struct resource_kind *identity = identity_of(detail);
        if (identity != NULL)
            k->identity = identity;
    }
    free(key);
    return k;
}

struct resource_kind *resource_kind_allocated(struct resource_kind *k, const char *role)
{
    struct resource_kind *base = k->base ? k->base : k;
    if (role == NULL)
        return resource_kind_ref(base);
    if (k->allocation_role != NULL && strcmp(k->allocation_role, role) == 0)
        return resource_kind_ref(k);
    uint8_t small[128], *key = small;
    size_t head = 1 + sizeof(base), len = strlen(role) + 1;
    if (head + len > sizeof(small))
        key = xmalloc(head + len);
    key[0] = KEY_ALLOCATED;
    memcpy(key + 1, &base, sizeof(base));
    memcpy(key + head, role, len);
    struct resource_kind *found = map_get_n(&kinds, key, head + len);
    if (found != NULL) {
        resource_kind_ref(found);
    } else {
        found = kind_new(key, head + len);
        found->base = resource_kind_ref(base);
        found->allocation_role = (const char *)found->key + head;
        found->type = base->type;
        found->name = base->name;
        found->detail = base->detail;
        found->is_revocable = base->is_revocable;
        found->is_shared = base->is_shared;
        found->is_exclusive = base->is_exclusive;
        if (base->identity != base)
            found->identity = resource_kind_allocated(base->identity, role);
    }
    if (key != small)
        free(key);
    return found;
}

struct resource_kind *resource_kind_from_wire(const Mesos__V1__Resource *r)
{
    const char *role = r->role;
    struct resource_kind *base;
    if (is_plain(r) && r->reservation == NULL && (role == NULL || strcmp(role, "*") == 0)) {
        base = resource_kind_plain(r->name, r->type);
    } else {
        struct arena *a = arena_new(0);
        Mesos__V1__Resource canonical;
        mesos__v1__resource__init(&canonical);
        canonical.name = r->name;
        canonical.type = r->type;
        canonical.provider_id = r->provider_id;
        canonical.disk = r->disk;
        canonical.revocable = r->revocable;
        canonical.shared = r->shared;
        canonical_stack(r, role, &canonical, a);
        base = kind_of_canonical(&canonical);
        arena_free(a);
    }
    if (r->allocation_info == NULL || r->allocation_info->role == NULL)
        return base;
    struct resource_kind *k = resource_kind_allocated(base, r->allocation_info->role);
    resource_kind_unref(base);
    return k;
}

/* The kind of a changed copy of k's metadata, allocated as k is. */
static struct resource_kind *kind_of_changed(const struct resource_kind *k, const Mesos__V1__Resource *changed)
{
    struct resource_kind *base = kind_of_canonical(changed);
    struct resource_kind *out = resource_kind_allocated(base, k->allocation_role);
    resource_kind_unref(base);
    return out;
}

struct resource_kind *resource_kind_without_reservations(struct resource_kind *k)
{
    if (resource_kind_stack(k) == 0)
        return resource_kind_ref(k);
    Mesos__V1__Resource bare = *k->detail;
    bare.n_reservations = 0;
    bare.reservations = NULL;
    return kind_of_changed(k, &bare);
}

struct resource_kind *resource_kind_popped(struct resource_kind *k)
{
    CHECK(resource_kind_stack(k) > 0);
    Mesos__V1__Resource popped = *k->detail;
    popped.n_reservations--;
    return kind_of_changed(k, &popped);
}

struct resource_kind *resource_kind_without_volume(struct resource_kind *k)
{
    if (!resource_kind_is_volume(k))
        return resource_kind_ref(k);
    Mesos__V1__Resource bare = *k->detail;
    Mesos__V1__Resource__DiskInfo disk = *bare.disk;
    disk.persistence = NULL;
    disk.volume = NULL;
    bare.disk = disk.source != NULL ? &disk : NULL;
    bare.shared = NULL;
    return kind_of_changed(k, &bare);
}

const char *resource_kind_reserved_role(const struct resource_kind *k)
{
    size_t stack = resource_kind_stack(k);
    return stack > 0 ? k->detail->reservations[stack - 1]->role : NULL;
}
