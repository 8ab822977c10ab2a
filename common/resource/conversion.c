/* SPDX-License-Identifier: Apache-2.0
 * conversion.c - offer operations as pairs of sets: what is consumed and what comes of it (facts: mesos 1.9, 6.4, 6.5). Who
 * may ask for it is decided elsewhere. */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "common/base/check.h"
#include "common/resource/set.h"

#define OPERATION_RESOURCES_MAX 1000
#define SHRINK_MAX 1e15

static struct resource_entry entry_dup(const struct resource_entry *from)
{
    /* by way of a set of one, which knows how to copy values */
    struct resource_entry *shell = (struct resource_entry *)(uintptr_t)from; /* only read */
    struct resources one = {.count = 1, .capacity = 1, .entries = shell};
    struct resources *copy = resources_copy(&one);
    struct resource_entry out = copy->entries[0];
    copy->count = 0; /* moved out */
    resources_free(copy);
    return out;
}

/* Puts a copy of e with another kind, whose reference is taken over. */
static void put_as(struct resources *to, const struct resource_entry *e, struct resource_kind *kind)
{
    struct resource_entry copy = entry_dup(e);
    resource_kind_unref(copy.kind);
    copy.kind = kind;
    resources_put(to, &copy);
}

static void put_scalar(struct resources *to, struct resource_kind *kind, int64_t millis)
{
    struct resource_entry e = resource_entry_of(kind);
    e.scalar = (struct resource_scalar){millis, 1};
    resources_put(to, &e);
}

/* The kind under which the pool has this very volume; else its own. */
static struct resource_kind *kind_in_pool(const struct resources *pool, const struct resource_entry *e)
{
    for (uint32_t i = 0; pool != NULL && i < pool->count; i++)
        if (resource_kind_is_same(pool->entries[i].kind, e->kind))
            return pool->entries[i].kind;
    return e->kind;
}

static int read_list(Mesos__V1__Resource *const *list, size_t n, struct resources *out, struct err *err)
{
    if (n == 0)
        return err_set(err, -EINVAL, "no resources are named");
    if (n > OPERATION_RESOURCES_MAX)
        return err_set(err, -EINVAL, "more than %d resources are named", OPERATION_RESOURCES_MAX);
    for (size_t i = 0; i < n; i++)
        if (list[i]->provider_id != NULL)
            return err_set(err, -EINVAL, "resources of a resource provider: this cluster has none");
    int rc = resources_add_wire(out, list, n, err);
    if (rc == 0 && out->count == 0)
        return err_set(err, -EINVAL, "all amounts are zero");
    return rc;
}

static int check_reserved(const struct resources *r, struct err *err)
{
    for (uint32_t i = 0; i < r->count; i++) {
        const struct resource_kind *k = r->entries[i].kind;
        if (!resource_kind_is_dynamic(k))
            return err_set(err, -EINVAL, "%s is not dynamically reserved", k->name);
        if (resource_kind_is_volume(k))
            return err_set(err, -EINVAL, "persistent volume '%s' cannot be part of a reservation that changes",
                           k->detail->disk->persistence->id);
    }
    return 0;
}

static void pop_all(const struct resources *from, struct resources *to)
{
    for (uint32_t i = 0; i < from->count; i++)
        put_as(to, &from->entries[i], resource_kind_popped(from->entries[i].kind));
}

static void strip_all(const struct resources *from, struct resources *to)
{
    for (uint32_t i = 0; i < from->count; i++)
        put_as(to, &from->entries[i], resource_kind_without_volume(from->entries[i].kind));
}

static int check_volumes(const struct resources *r, struct err *err)
{
    for (uint32_t i = 0; i < r->count; i++) {
        const struct resource_kind *k = r->entries[i].kind;
        if (!resource_kind_is_volume(k))
            return err_set(err, -EINVAL, "%s is not a persistent volume", k->name);
        if (resource_kind_stack(k) == 0)
            return err_set(err, -EINVAL, "persistent volume '%s' is not reserved", k->detail->disk->persistence->id);
        if (r->entries[i].scalar.pieces != 1)
            return err_set(err, -EINVAL, "persistent volume '%s' is named twice", k->detail->disk->persistence->id);
    }
    return 0;
}

static int check_distinct(const struct resources *volumes, struct err *err)
{
    for (uint32_t i = 0; i < volumes->count; i++) {
        const struct resource_kind *k = volumes->entries[i].kind;
        const char *id = k->detail->disk->persistence->id;
        const struct resources before = {.count = i, .capacity = i, .entries = volumes->entries};
        if (resources_has_volume(&before, resource_kind_reserved_role(k), id))
            return err_set(err, -EINVAL, "persistent volume '%s' is named twice", id);
    }
    return 0;
}

/* -- volumes that change their size --------------------------------------------------------------------------- */

/* One volume that may be resized, in `volume`; its entry keeps the pool's kind. */
static int read_resized(Mesos__V1__Resource *wire, const struct resources *pool, struct resources *volume, struct err *err)
{
    struct resources *asked = resources_new();
    int rc = read_list(&wire, 1, asked, err);
    rc = rc ? rc : check_volumes(asked, err);
    if (rc == 0 && asked->entries[0].kind->is_shared)
        rc = err_set(err, -EINVAL, "a shared volume cannot be resized");
    if (rc == 0)
        put_as(volume, &asked->entries[0], resource_kind_ref(kind_in_pool(pool, &asked->entries[0])));
    resources_free(asked);
    return rc;
}

static int grow(const Mesos__V1__Offer__Operation__GrowVolume *op, const struct resources *pool, struct resources *consumed,
                struct resources *converted, struct err *err)
{
    struct resources *addition = resources_new();
    int rc = read_resized(op->volume, pool, consumed, err);
    rc = rc ? rc : read_list(&op->addition, 1, addition, err);
    if (rc == 0) {
        const struct resource_entry *volume = &consumed->entries[0];
        struct resource_kind *disk = resource_kind_without_volume(volume->kind);
        int64_t sum;
        if (disk != addition->entries[0].kind || disk->is_exclusive)
            rc = err_set(err, -EINVAL, "the addition is not of the kind of disk that the volume is made of");
        else if (__builtin_add_overflow(volume->scalar.millis, addition->entries[0].scalar.millis, &sum))
            rc = err_set(err, -EINVAL, "the volume would be too large");
        else
            put_scalar(converted, resource_kind_ref(volume->kind), sum);
        resource_kind_unref(disk);
    }
    if (rc == 0)
        resources_add(consumed, addition);
    resources_free(addition);
    return rc;
}

static int shrink(const Mesos__V1__Offer__Operation__ShrinkVolume *op, const struct resources *pool,
                  struct resources *consumed, struct resources *converted, struct err *err)
{
    int rc = read_resized(op->volume, pool, consumed, err);
    double subtract = op->subtract->value;
    if (rc == 0 && (!isfinite(subtract) || subtract > SHRINK_MAX || subtract < 0 || llround(subtract * 1000) <= 0))
        rc = err_set(err, -EINVAL, "the amount to subtract must be above zero");
    if (rc != 0)
        return rc;
    const struct resource_entry *volume = &consumed->entries[0];
    int64_t less = llround(subtract * 1000);
    struct resource_kind *disk = resource_kind_without_volume(volume->kind);
    if (less >= volume->scalar.millis) {
        rc = err_set(err, -EINVAL, "the amount to subtract must be less than the size of the volume");
    } else if (disk->is_exclusive) {
        rc = err_set(err, -EINVAL, "a volume on a MOUNT disk cannot be resized");
    } else {
        put_scalar(converted, resource_kind_ref(volume->kind), volume->scalar.millis - less);
        put_scalar(converted, resource_kind_ref(disk), less);
    }
    resource_kind_unref(disk);
    return rc;
}

/* -- all ------------------------------------------------------------------------------------------------------ */

static int convert(const Mesos__V1__Offer__Operation *op, const struct resources *pool, struct resources *consumed,
                   struct resources *converted, struct err *err)
{
    int rc;
    switch (op->has_type ? op->type : MESOS__V1__OFFER__OPERATION__TYPE__UNKNOWN) {
    case MESOS__V1__OFFER__OPERATION__TYPE__RESERVE:
        if (op->reserve == NULL)
            return err_set(err, -EINVAL, "Expecting 'reserve' to be present");
        if ((rc = read_list(op->reserve->resources, op->reserve->n_resources, converted, err)) == 0 &&
            (rc = check_reserved(converted, err)) == 0)
            pop_all(converted, consumed);
        return rc;
    case MESOS__V1__OFFER__OPERATION__TYPE__UNRESERVE:
        if (op->unreserve == NULL)
            return err_set(err, -EINVAL, "Expecting 'unreserve' to be present");
        if ((rc = read_list(op->unreserve->resources, op->unreserve->n_resources, consumed, err)) == 0 &&
            (rc = check_reserved(consumed, err)) == 0)
            pop_all(consumed, converted);
        return rc;
    case MESOS__V1__OFFER__OPERATION__TYPE__CREATE:
        if (op->create == NULL)
            return err_set(err, -EINVAL, "Expecting 'create' to be present");
        if ((rc = read_list(op->create->volumes, op->create->n_volumes, converted, err)) == 0 &&
            (rc = check_volumes(converted, err)) == 0 && (rc = check_distinct(converted, err)) == 0)
            strip_all(converted, consumed);
        return rc;
    case MESOS__V1__OFFER__OPERATION__TYPE__DESTROY:
        if (op->destroy == NULL)
            return err_set(err, -EINVAL, "Expecting 'destroy' to be present");
        if ((rc = read_list(op->destroy->volumes, op->destroy->n_volumes, consumed, err)) == 0 &&
            (rc = check_volumes(consumed, err)) == 0) {
            if (pool != NULL)
                resources_adopt_volumes(consumed, pool);
            strip_all(consumed, converted);
        }
        return rc;
    case MESOS__V1__OFFER__OPERATION__TYPE__GROW_VOLUME:
        if (op->grow_volume == NULL)
            return err_set(err, -EINVAL, "Expecting 'grow_volume' to be present");
        return grow(op->grow_volume, pool, consumed, converted, err);
    case MESOS__V1__OFFER__OPERATION__TYPE__SHRINK_VOLUME:
        if (op->shrink_volume == NULL)
            return err_set(err, -EINVAL, "Expecting 'shrink_volume' to be present");
        return shrink(op->shrink_volume, pool, consumed, converted, err);
    case MESOS__V1__OFFER__OPERATION__TYPE__CREATE_DISK:
    case MESOS__V1__OFFER__OPERATION__TYPE__DESTROY_DISK:
        return err_set(err, -EINVAL, "disks of resource providers (CSI) are not supported by this cluster");
    default:
        return err_set(err, -EINVAL, "the type of the operation is not known");
    }
}

int resources_conversion(const Mesos__V1__Offer__Operation *op, const struct resources *pool, struct resources *consumed,
                         struct resources *converted, struct err *err)
{
    resources_clear(consumed);
    resources_clear(converted);
    int rc = convert(op, pool, consumed, converted, err);
    if (rc != 0) {
        resources_clear(consumed);
        resources_clear(converted);
    }
    return rc;
}

bool resources_convert(struct resources *pool, const struct resources *consumed, const struct resources *converted)
{
    if (!resources_contains(pool, consumed))
        return false;
    resources_subtract(pool, consumed);
    resources_add(pool, converted);
    return true;
}

/* -- what is kept --------------------------------------------------------------------------------------------- */

static bool is_dynamic(const struct resource_kind *k)
{
    return resource_kind_is_dynamic(k) || resource_kind_is_volume(k);
}

struct resources *resources_dynamic(const struct resources *r)
{
    struct resources *out = resources_new();
    for (uint32_t i = 0; i < r->count; i++)
        if (is_dynamic(r->entries[i].kind))
            put_as(out, &r->entries[i], resource_kind_allocated(r->entries[i].kind, NULL));
    return out;
}

int resources_restore_dynamic(struct resources *base, const struct resources *dynamic, struct err *err)
{
    struct resources *made_of = resources_new();
    for (uint32_t i = 0; i < dynamic->count; i++) {
        struct resource_kind *k = resource_kind_without_volume(dynamic->entries[i].kind);
        while (resource_kind_is_dynamic(k)) {
            struct resource_kind *popped = resource_kind_popped(k);
            resource_kind_unref(k);
            k = popped;
        }
        put_as(made_of, &dynamic->entries[i], k);
    }
    int rc = 0;
    if (!resources_convert(base, made_of, dynamic)) {
        struct buf text;
        buf_init(&text, 0);
        resources_format(made_of, &text);
        rc = err_set(err, -EINVAL, "%.*s are reserved or in volumes, which is more than there is", (int)buf_len(&text),
                     (const char *)buf_data(&text));
        buf_deinit(&text);
    }
    resources_free(made_of);
    return rc;
}

bool resources_has_volume(const struct resources *r, const char *role, const char *persistence_id)
{
    for (uint32_t i = 0; i < r->count; i++) {
        const struct resource_kind *k = r->entries[i].kind;
        if (resource_kind_is_volume(k) && strcmp(k->detail->disk->persistence->id, persistence_id) == 0 &&
            resource_kind_stack(k) > 0 && strcmp(resource_kind_reserved_role(k), role) == 0)
            return true;
    }
    return false;
}

void resources_adopt_volumes(struct resources *r, const struct resources *pool)
{
    for (uint32_t i = 0; i < r->count; i++) {
        struct resource_kind *k = r->entries[i].kind;
        if (!resource_kind_is_volume(k))
            continue;
        r->entries[i].kind = resource_kind_ref(kind_in_pool(pool, &r->entries[i]));
        resource_kind_unref(k);
    }
}

/* -- parts ---------------------------------------------------------------------------------------------------- */

bool resources_has_shared(const struct resources *r)
{
    for (uint32_t i = 0; i < r->count; i++)
        if (r->entries[i].kind->is_shared)
            return true;
    return false;
}

static bool is_shared(const struct resource_kind *k)
{
    return k->is_shared;
}

static bool is_refined(const struct resource_kind *k)
{
    return resource_kind_stack(k) > 1;
}

static struct resources *part_of(const struct resources *r, bool (*fits)(const struct resource_kind *))
{
    struct resources *out = resources_new();
    for (uint32_t i = 0; i < r->count; i++)
        if (fits(r->entries[i].kind))
            put_as(out, &r->entries[i], resource_kind_ref(r->entries[i].kind));
    return out;
}

static void drop(struct resources *r, bool (*fits)(const struct resource_kind *))
{
    bool any = false;
    for (uint32_t i = 0; i < r->count && !any; i++)
        any = fits(r->entries[i].kind);
    if (!any)
        return;
    struct resources *part = part_of(r, fits);
    resources_subtract(r, part);
    resources_free(part);
}

struct resources *resources_shared(const struct resources *r)
{
    return part_of(r, is_shared);
}

void resources_drop_shared(struct resources *r)
{
    drop(r, is_shared);
}

void resources_drop_refined(struct resources *r)
{
    drop(r, is_refined);
}
