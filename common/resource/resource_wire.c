/* SPDX-License-Identifier: Apache-2.0
 * resource_wire.c - resources from and to their wire forms (facts: mesos 6.2 to 6.4). Nothing that passes validation can
 * hurt the sets; everything else is refused with a text that names the resource. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"
#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "common/resource/set.h"

#define SCALAR_MAX 1e12 /* thousands of such amounts can be summed in 64 bits */

#define TYPE_STATIC MESOS__V1__RESOURCE__RESERVATION_INFO__TYPE__STATIC
#define TYPE_DYNAMIC MESOS__V1__RESOURCE__RESERVATION_INFO__TYPE__DYNAMIC

/* -- validation ----------------------------------------------------------------------------------------------- */

static int check_scalar(const Mesos__V1__Resource *r, struct err *err)
{
    double value = r->scalar->value;
    if (!isfinite(value) || value > SCALAR_MAX)
        return err_set(err, -EINVAL, "%s: amount is out of range", r->name);
    if (value < 0 || (value > 0 && llround(value * 1000) == 0))
        return err_set(err, -EINVAL, "%s: amount %g is below zero or too small to count", r->name, value);
    if (strcmp(r->name, "gpus") == 0 && llround(value * 1000) % 1000 != 0)
        return err_set(err, -EINVAL, "gpus: %g is not a whole number", value);
    return 0;
}

static int compare_ranges(const void *a, const void *b)
{
    const Mesos__V1__Value__Range *x = *(Mesos__V1__Value__Range *const *)a, *y = *(Mesos__V1__Value__Range *const *)b;
    return (x->begin > y->begin) - (x->begin < y->begin);
}

static int check_ranges(const Mesos__V1__Resource *r, struct err *err)
{
    size_t n = r->ranges->n_range;
    for (size_t i = 0; i < n; i++)
        if (r->ranges->range[i]->begin > r->ranges->range[i]->end)
            return err_set(err, -EINVAL, "%s: range %zu ends before it begins", r->name, i);
    if (n < 2)
        return 0;
    cleanup_free Mesos__V1__Value__Range **sorted = xmemdup(r->ranges->range, n * sizeof(*sorted));
    qsort(sorted, n, sizeof(*sorted), compare_ranges);
    for (size_t i = 1; i < n; i++)
        if (sorted[i]->begin <= sorted[i - 1]->end)
            return err_set(err, -EINVAL, "%s: ranges overlap", r->name);
    return 0;
}

static int compare_items(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int check_set(const Mesos__V1__Resource *r, struct err *err)
{
    size_t n = r->set->n_item;
    if (n < 2)
        return 0;
    cleanup_free char **sorted = xmemdup(r->set->item, n * sizeof(*sorted));
    qsort(sorted, n, sizeof(*sorted), compare_items);
    for (size_t i = 1; i < n; i++)
        if (strcmp(sorted[i], sorted[i - 1]) == 0)
            return err_set(err, -EINVAL, "%s: an item is in the set twice", r->name);
    return 0;
}

static int check_value(const Mesos__V1__Resource *r, struct err *err)
{
    bool has_scalar = r->scalar != NULL, has_ranges = r->ranges != NULL, has_set = r->set != NULL;
    switch (r->type) {
    case MESOS__V1__VALUE__TYPE__SCALAR:
        if (!has_scalar || has_ranges || has_set)
            return err_set(err, -EINVAL, "%s: a SCALAR has a scalar and nothing else", r->name);
        return check_scalar(r, err);
    case MESOS__V1__VALUE__TYPE__RANGES:
        if (has_scalar || !has_ranges || has_set)
            return err_set(err, -EINVAL, "%s: RANGES have ranges and nothing else", r->name);
        return check_ranges(r, err);
    case MESOS__V1__VALUE__TYPE__SET:
        if (has_scalar || has_ranges || !has_set)
            return err_set(err, -EINVAL, "%s: a SET has a set and nothing else", r->name);
        return check_set(r, err);
    default:
        return err_set(err, -EINVAL, "%s: type is not SCALAR, RANGES or SET", r->name);
    }
}

static int check_disk(const Mesos__V1__Resource *r, struct err *err)
{
    const Mesos__V1__Resource__DiskInfo *d = r->disk;
    if (d == NULL)
        return 0;
    if (strcmp(r->name, "disk") != 0)
        return err_set(err, -EINVAL, "%s: only disk resources have disk information", r->name);
    if (r->type != MESOS__V1__VALUE__TYPE__SCALAR)
        return err_set(err, -EINVAL, "disk: must be a SCALAR");
    if (d->persistence != NULL && !text_is_valid_id(d->persistence->id))
        return err_set(err, -EINVAL, "disk: persistence id is not valid");
    const Mesos__V1__Resource__DiskInfo__Source *s = d->source;
    if (s == NULL)
        return 0;
    bool may_path = false, may_mount = false;
    switch (s->type) {
    case MESOS__V1__RESOURCE__DISK_INFO__SOURCE__TYPE__PATH:
        may_path = true;
        break;
    case MESOS__V1__RESOURCE__DISK_INFO__SOURCE__TYPE__MOUNT:
        may_mount = true;
        break;
    case MESOS__V1__RESOURCE__DISK_INFO__SOURCE__TYPE__BLOCK:
    case MESOS__V1__RESOURCE__DISK_INFO__SOURCE__TYPE__RAW:
        break;
    default:
        return err_set(err, -EINVAL, "disk: source type is not known");
    }
    if (s->path != NULL && !may_path)
        return err_set(err, -EINVAL, "disk: source has a path but is not of type PATH");
    if (s->mount != NULL && !may_mount)
        return err_set(err, -EINVAL, "disk: source has a mount but is not of type MOUNT");
    return 0;
}

static bool is_strict_sub_role(const char *role, const char *of)
{
    size_t len = strlen(of);
    return strncmp(role, of, len) == 0 && role[len] == '/';
}

static int check_stack(const Mesos__V1__Resource *r, struct err *err)
{
    for (size_t i = 0; i < r->n_reservations; i++) {
        const Mesos__V1__Resource__ReservationInfo *one = r->reservations[i];
        if (!one->has_type || (one->type != TYPE_STATIC && one->type != TYPE_DYNAMIC))
            return err_set(err, -EINVAL, "%s: reservation %zu has no type", r->name, i);
        if (one->role == NULL || strcmp(one->role, "*") == 0 || !text_is_valid_role(one->role))
            return err_set(err, -EINVAL, "%s: role of reservation %zu is missing or not valid", r->name, i);
        if (i > 0 && one->type == TYPE_STATIC)
            return err_set(err, -EINVAL, "%s: only the first reservation can be STATIC", r->name);
        if (i > 0 && !is_strict_sub_role(one->role, r->reservations[i - 1]->role))
            return err_set(err, -EINVAL, "%s: role '%.100s' does not refine '%.100s'", r->name, one->role,
                           r->reservations[i - 1]->role);
    }
    return 0;
}

static bool same_text(const char *a, const char *b)
{
    return strcmp(a ? a : "", b ? b : "") == 0;
}

/* Old fields: alone, or saying the same as the only entry of the stack (facts 6.2). */
static int check_legacy(const Mesos__V1__Resource *r, struct err *err)
{
    const Mesos__V1__Resource__ReservationInfo *old = r->reservation;
    const char *role = r->role ? r->role : "*";
    bool has_role = strcmp(role, "*") != 0;
    if (!text_is_valid_role(role))
        return err_set(err, -EINVAL, "%s: role is not valid", r->name);
    if (r->n_reservations == 0) {
        if (old != NULL && !has_role)
            return err_set(err, -EINVAL, "%s: role * cannot be reserved", r->name);
        if (old != NULL && (old->has_type || old->role != NULL))
            return err_set(err, -EINVAL, "%s: reservation has type or role, which belong into reservations", r->name);
        return 0;
    }
    if (!has_role && old == NULL)
        return 0;
    const Mesos__V1__Resource__ReservationInfo *only = r->reservations[0];
    if (r->n_reservations > 1 || !has_role || strcmp(role, only->role) != 0 ||
        (old != NULL) != (only->type == TYPE_DYNAMIC) ||
        (old != NULL && (old->has_type || old->role != NULL || !same_text(old->principal, only->principal))))
        return err_set(err, -EINVAL, "%s: role and reservation disagree with reservations", r->name);
    return 0;
}

static bool is_dynamic(const Mesos__V1__Resource *r)
{
    if (r->reservation != NULL)
        return true;
    return r->n_reservations > 0 && r->reservations[r->n_reservations - 1]->type == TYPE_DYNAMIC;
}

static int check_one(const Mesos__V1__Resource *r, struct err *err)
{
    if (r->name == NULL || r->name[0] == '\0')
        return err_set(err, -EINVAL, "no name");
    int rc = check_value(r, err);
    rc = rc ? rc : check_disk(r, err);
    rc = rc ? rc : check_stack(r, err);
    rc = rc ? rc : check_legacy(r, err);
    if (rc != 0)
        return rc;
    bool is_persistent = r->disk != NULL && r->disk->persistence != NULL;
    if (r->revocable != NULL && (is_persistent || is_dynamic(r)))
        return err_set(err, -EINVAL, "%s: revocable resources cannot be reserved or persistent", r->name);
    if (r->shared != NULL && !is_persistent)
        return err_set(err, -EINVAL, "%s: only persistent volumes can be shared", r->name);
    if (r->allocation_info != NULL && r->allocation_info->role != NULL && !text_is_valid_role(r->allocation_info->role))
        return err_set(err, -EINVAL, "%s: allocation role is not valid", r->name);
    return 0;
}

int resources_validate_wire(Mesos__V1__Resource *const *list, size_t n, struct err *err)
{
    for (size_t i = 0; i < n; i++)
        if (check_one(list[i], err) != 0)
            return err_wrap(err, -EINVAL, "resource %zu", i);
    return 0;
}

/* -- in ------------------------------------------------------------------------------------------------------- */

static void add_one(struct resources *r, const Mesos__V1__Resource *wire)
{
    struct resource_entry e = resource_entry_of(resource_kind_from_wire(wire));
    if (wire->type == MESOS__V1__VALUE__TYPE__SCALAR) {
        e.scalar = (struct resource_scalar){llround(wire->scalar->value * 1000), 1};
    } else if (wire->type == MESOS__V1__VALUE__TYPE__RANGES) {
        size_t n = wire->ranges->n_range;
        cleanup_free Mesos__V1__Value__Range **sorted = n > 1 ? xmemdup(wire->ranges->range, n * sizeof(*sorted)) : NULL;
        if (n > 1)
            qsort(sorted, n, sizeof(*sorted), compare_ranges); /* each add is at the end then */
        for (size_t i = 0; i < n; i++) {
            const Mesos__V1__Value__Range *range = n > 1 ? sorted[i] : wire->ranges->range[i];
            ranges_add_one(&e.ranges, range->begin, range->end);
        }
    } else {
        cleanup_free char **sorted =
            wire->set->n_item ? xmemdup(wire->set->item, wire->set->n_item * sizeof(*sorted)) : NULL;
        if (sorted != NULL)
            qsort(sorted, wire->set->n_item, sizeof(*sorted), compare_items);
        for (size_t i = 0; i < wire->set->n_item; i++)
            resource_items_add(&e.items, sorted[i]);
    }
    resources_put(r, &e);
}

int resources_add_wire(struct resources *r, Mesos__V1__Resource *const *list, size_t n, struct err *err)
{
    int rc = resources_validate_wire(list, n, err);
    if (rc != 0)
        return rc;
    for (size_t i = 0; i < n; i++)
        add_one(r, list[i]);
    return 0;
}

/* -- out ------------------------------------------------------------------------------------------------------ */

static char *text_or_null(struct arena *a, const char *s)
{
    return s ? arena_strdup(a, s) : NULL;
}

/* A copy of the metadata that does not borrow from the kind, which may be gone before the arena. */
static Mesos__V1__Resource *copy_detail(const struct resource_kind *k, struct arena *a)
{
    const Mesos__V1__Resource *detail = k->base ? k->base->detail : k->detail;
    const uint8_t *packed = (k->base ? k->base->key : k->key) + 1;
    size_t len = (k->base ? k->base->key_len : k->key_len) - 1;
    CHECK(detail != NULL);
    Mesos__V1__Resource *out = mesos__v1__resource__unpack(arena_pb(a), len, packed);
    CHECK(out != NULL);
    return out;
}

static Mesos__V1__Resource *new_wire(const struct resource_kind *k, struct arena *a)
{
    Mesos__V1__Resource *out;
    if (k->detail != NULL) {
        out = copy_detail(k, a);
    } else {
        out = arena_new_one(a, Mesos__V1__Resource);
        mesos__v1__resource__init(out);
        out->name = arena_strdup(a, k->name);
        out->type = k->type;
    }
    if (k->allocation_role != NULL) {
        out->allocation_info = arena_new_one(a, Mesos__V1__Resource__AllocationInfo);
        mesos__v1__resource__allocation_info__init(out->allocation_info);
        out->allocation_info->role = arena_strdup(a, k->allocation_role);
    }
    return out;
}

static void put_value(const struct resource_entry *e, Mesos__V1__Resource *out, struct arena *a)
{
    if (out->type == MESOS__V1__VALUE__TYPE__SCALAR) {
        out->scalar = arena_new_one(a, Mesos__V1__Value__Scalar);
        mesos__v1__value__scalar__init(out->scalar);
        out->scalar->value = (double)e->scalar.millis / 1000;
    } else if (out->type == MESOS__V1__VALUE__TYPE__RANGES) {
        size_t n = e->ranges.count;
        out->ranges = arena_new_one(a, Mesos__V1__Value__Ranges);
        mesos__v1__value__ranges__init(out->ranges);
        out->ranges->n_range = n;
        out->ranges->range = arena_new_array(a, Mesos__V1__Value__Range *, n);
        Mesos__V1__Value__Range *all = arena_new_array(a, Mesos__V1__Value__Range, n);
        for (size_t i = 0; i < n; i++) {
            mesos__v1__value__range__init(&all[i]);
            all[i].begin = ranges_items(&e->ranges)[i].begin;
            all[i].end = ranges_items(&e->ranges)[i].end;
            out->ranges->range[i] = &all[i];
        }
    } else {
        out->set = arena_new_one(a, Mesos__V1__Value__Set);
        mesos__v1__value__set__init(out->set);
        out->set->n_item = e->items.count;
        out->set->item = arena_new_array(a, char *, e->items.count);
        for (size_t i = 0; i < e->items.count; i++)
            out->set->item[i] = arena_strdup(a, e->items.item[i]);
    }
}

/* role and reservation as they were before stacks. An own "*": the default value of the field would not be sent. */
static void put_legacy(Mesos__V1__Resource *out, struct arena *a)
{
    if (out->n_reservations == 0) {
        out->role = arena_strdup(a, "*");
        return;
    }
    const Mesos__V1__Resource__ReservationInfo *only = out->reservations[0];
    out->role = arena_strdup(a, only->role);
    if (only->type == TYPE_DYNAMIC) {
        out->reservation = arena_new_one(a, Mesos__V1__Resource__ReservationInfo);
        mesos__v1__resource__reservation_info__init(out->reservation);
        out->reservation->principal = text_or_null(a, only->principal);
        out->reservation->labels = only->labels; /* in the same arena */
    }
}

size_t resources_to_wire(const struct resources *r, enum resource_form form, struct arena *a, Mesos__V1__Resource ***out)
{
    size_t most = 0, count = 0;
    for (uint32_t i = 0; i < r->count; i++)
        most += resource_kind_is_whole(r->entries[i].kind) ? r->entries[i].scalar.pieces : 1;
    Mesos__V1__Resource **list = arena_new_array(a, Mesos__V1__Resource *, most);
    for (uint32_t i = 0; i < r->count; i++) {
        const struct resource_entry *e = &r->entries[i];
        size_t stack = resource_kind_stack(e->kind);
        if (form == RESOURCE_PRE_REFINEMENT && stack > 1)
            continue;
        Mesos__V1__Resource *wire = new_wire(e->kind, a);
        put_value(e, wire, a);
        if (form != RESOURCE_POST_REFINEMENT && stack <= 1)
            put_legacy(wire, a);
        if (form == RESOURCE_PRE_REFINEMENT) {
            wire->n_reservations = 0;
            wire->reservations = NULL;
        }
        size_t times = resource_kind_is_whole(e->kind) ? e->scalar.pieces : 1;
        for (size_t t = 0; t < times; t++)
            list[count++] = wire; /* equal pieces, written once each */
    }
    *out = list;
    return count;
}
