/* SPDX-License-Identifier: Apache-2.0
 * validate_operations.c - may this operation be carried out? What its resources convert to is asked of common/resource;
 * here is who may ask for what (facts: mesos 1.9, 3.1). */
#include <string.h>

#include "common/base/text.h"
#include "master/validate.h"

#define VOLUME_NAME_MAX 255 /* of a directory */

const char *master_operation_resources(const Mesos__V1__Offer__Operation *op, Mesos__V1__Resource ***list, size_t *n)
{
    *n = 0;
    switch (op->has_type ? op->type : MESOS__V1__OFFER__OPERATION__TYPE__UNKNOWN) {
    case MESOS__V1__OFFER__OPERATION__TYPE__RESERVE:
        if (op->reserve == NULL)
            return "Expecting 'reserve' to be present";
        *list = op->reserve->resources;
        *n = op->reserve->n_resources;
        return NULL;
    case MESOS__V1__OFFER__OPERATION__TYPE__UNRESERVE:
        if (op->unreserve == NULL)
            return "Expecting 'unreserve' to be present";
        *list = op->unreserve->resources;
        *n = op->unreserve->n_resources;
        return NULL;
    case MESOS__V1__OFFER__OPERATION__TYPE__CREATE:
        if (op->create == NULL)
            return "Expecting 'create' to be present";
        *list = op->create->volumes;
        *n = op->create->n_volumes;
        return NULL;
    case MESOS__V1__OFFER__OPERATION__TYPE__DESTROY:
        if (op->destroy == NULL)
            return "Expecting 'destroy' to be present";
        *list = op->destroy->volumes;
        *n = op->destroy->n_volumes;
        return NULL;
    case MESOS__V1__OFFER__OPERATION__TYPE__GROW_VOLUME:
        if (op->grow_volume == NULL)
            return "Expecting 'grow_volume' to be present";
        *list = &op->grow_volume->volume;
        *n = 1;
        return NULL;
    case MESOS__V1__OFFER__OPERATION__TYPE__SHRINK_VOLUME:
        if (op->shrink_volume == NULL)
            return "Expecting 'shrink_volume' to be present";
        *list = &op->shrink_volume->volume;
        *n = 1;
        return NULL;
    case MESOS__V1__OFFER__OPERATION__TYPE__CREATE_DISK:
    case MESOS__V1__OFFER__OPERATION__TYPE__DESTROY_DISK:
        return "disks of resource providers (CSI) are not supported by this cluster";
    default:
        return "the type of the operation is not known";
    }
}

/* The last reservation in any form; NULL: unreserved, or static in the old form. */
static const Mesos__V1__Resource__ReservationInfo *last_reservation(const Mesos__V1__Resource *r, const char **role)
{
    if (r->n_reservations > 0) {
        *role = r->reservations[r->n_reservations - 1]->role;
        return r->reservations[r->n_reservations - 1];
    }
    *role = r->role;
    return r->reservation;
}

static const char *check_principal(const char *what, const char *given, const char *own, struct arena *arena)
{
    if (own == NULL || (given != NULL && strcmp(given, own) == 0))
        return NULL;
    if (given == NULL)
        return arena_printf(arena, "%s has no principal, it must be '%.300s'", what, own);
    return arena_printf(arena, "%s has the principal '%.300s', it must be '%.300s'", what, given, own);
}

static const char *check_reserve(const struct master_asker *by, const Mesos__V1__Resource *r, struct arena *arena)
{
    const char *role;
    const Mesos__V1__Resource__ReservationInfo *last = last_reservation(r, &role);
    if (last == NULL)
        return arena_printf(arena, "%.100s is not dynamically reserved", r->name);
    if (by->role != NULL && (role == NULL || strcmp(role, by->role) != 0))
        return arena_printf(arena, "%.100s is to be reserved to '%.300s', the offer is for '%.300s'", r->name,
                            role != NULL ? role : "*", by->role);
    if (r->n_reservations > 1 && !by->may_refine)
        return "a framework without RESERVATION_REFINEMENT cannot refine reservations";
    return check_principal("the reservation", last->principal, by->principal, arena);
}

static const char *check_create(const struct master_asker *by, const struct master_agent *a, const Mesos__V1__Resource *r,
                                struct arena *arena)
{
    const char *role;
    (void)last_reservation(r, &role);
    if (r->disk == NULL || r->disk->persistence == NULL)
        return arena_printf(arena, "%.100s is not a persistent volume", r->name);
    const char *id = r->disk->persistence->id;
    if (role == NULL || strcmp(role, "*") == 0)
        return arena_printf(arena, "persistent volume '%.300s' is not reserved", id);
    if (strlen(role) > VOLUME_NAME_MAX)
        return "the role of a persistent volume is too long";
    if (r->disk->volume == NULL)
        return arena_printf(arena, "persistent volume '%.300s' has no 'volume'", id);
    if (r->disk->volume->mode != MESOS__V1__VOLUME__MODE__RW)
        return arena_printf(arena, "persistent volume '%.300s' is not RW", id);
    if (r->disk->volume->host_path != NULL)
        return arena_printf(arena, "persistent volume '%.300s' has a host_path", id);
    if (r->disk->source != NULL && r->disk->source->type != MESOS__V1__RESOURCE__DISK_INFO__SOURCE__TYPE__PATH &&
        r->disk->source->type != MESOS__V1__RESOURCE__DISK_INFO__SOURCE__TYPE__MOUNT)
        return "persistent volumes are made on ROOT, PATH and MOUNT disks only";
    if (r->shared != NULL && !by->may_share)
        return "a framework without SHARED_RESOURCES cannot create shared volumes";
    if (resources_has_volume(a->total, role, id))
        return arena_printf(arena, "there is a persistent volume '%.300s' of role '%.300s' on this agent already", id,
                            role);
    return check_principal("the volume", r->disk->persistence->principal, by->principal, arena);
}

const char *master_validate_operation(const struct master_asker *by, const struct master_agent *a,
                                      const Mesos__V1__Offer__Operation *op, struct arena *arena)
{
    Mesos__V1__Resource **list;
    size_t n;
    struct err err;
    const char *why = master_operation_resources(op, &list, &n);
    if (why != NULL)
        return why;
    if (op->id != NULL && !text_is_valid_id(op->id->value))
        return "the id of the operation is not valid";
    if (op->type == MESOS__V1__OFFER__OPERATION__TYPE__RESERVE && op->reserve->n_source > 0)
        return "'reserve.source' is not supported";
    if (resources_validate_wire(list, n, &err) < 0)
        return arena_strdup(arena, err.text);
    for (size_t i = 0; i < n && why == NULL; i++) {
        const char *role = list[i]->allocation_info != NULL ? list[i]->allocation_info->role : NULL;
        if (role != NULL && by->role == NULL)
            return "resources of an operator carry no allocation_info";
        if (role != NULL && strcmp(role, by->role) != 0)
            return arena_printf(arena, "resource '%.100s' is allocated to role '%.300s', the offer to '%s'", list[i]->name,
                                role, by->role);
        if (op->type == MESOS__V1__OFFER__OPERATION__TYPE__RESERVE)
            why = check_reserve(by, list[i], arena);
        else if (op->type == MESOS__V1__OFFER__OPERATION__TYPE__CREATE)
            why = check_create(by, a, list[i], arena);
    }
    return why;
}

/* -- allocation ------------------------------------------------------------------------------------------------- */

static Mesos__V1__Resource *allocated(const Mesos__V1__Resource *r, const char *role, struct arena *arena)
{
    Mesos__V1__Resource *copy = arena_memdup(arena, r, sizeof(*r));
    copy->allocation_info = arena_new_one(arena, Mesos__V1__Resource__AllocationInfo);
    mesos__v1__resource__allocation_info__init(copy->allocation_info);
    copy->allocation_info->role = (char *)role;
    return copy;
}

Mesos__V1__Offer__Operation *master_operation_allocated(const Mesos__V1__Offer__Operation *op, const char *role,
                                                        struct arena *arena)
{
    Mesos__V1__Offer__Operation *out = arena_memdup(arena, op, sizeof(*op));
    if (op->type == MESOS__V1__OFFER__OPERATION__TYPE__GROW_VOLUME) {
        out->grow_volume = arena_memdup(arena, op->grow_volume, sizeof(*op->grow_volume));
        out->grow_volume->volume = allocated(op->grow_volume->volume, role, arena);
        out->grow_volume->addition = allocated(op->grow_volume->addition, role, arena);
        return out;
    }
    if (op->type == MESOS__V1__OFFER__OPERATION__TYPE__SHRINK_VOLUME) {
        out->shrink_volume = arena_memdup(arena, op->shrink_volume, sizeof(*op->shrink_volume));
        out->shrink_volume->volume = allocated(op->shrink_volume->volume, role, arena);
        return out;
    }
    Mesos__V1__Resource **list = NULL;
    size_t n;
    (void)master_operation_resources(op, &list, &n); /* was asked before */
    Mesos__V1__Resource **copies = arena_new_array(arena, Mesos__V1__Resource *, n);
    for (size_t i = 0; i < n; i++)
        copies[i] = allocated(list[i], role, arena);
    switch (op->type) {
    case MESOS__V1__OFFER__OPERATION__TYPE__RESERVE:
        out->reserve = arena_memdup(arena, op->reserve, sizeof(*op->reserve));
        out->reserve->resources = copies;
        break;
    case MESOS__V1__OFFER__OPERATION__TYPE__UNRESERVE:
        out->unreserve = arena_memdup(arena, op->unreserve, sizeof(*op->unreserve));
        out->unreserve->resources = copies;
        break;
    case MESOS__V1__OFFER__OPERATION__TYPE__CREATE:
        out->create = arena_memdup(arena, op->create, sizeof(*op->create));
        out->create->volumes = copies;
        break;
    default:
        out->destroy = arena_memdup(arena, op->destroy, sizeof(*op->destroy));
        out->destroy->volumes = copies;
        break;
    }
    return out;
}
