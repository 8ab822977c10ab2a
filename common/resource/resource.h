/* SPDX-License-Identifier: Apache-2.0
 * resource.h - the resource model (facts: mesos 6): amounts in thousandths, ranges, sets, roles, reservations, disks.
 *
 * struct resources is a normalised set: entries of equal metadata (name, type, allocation role, reservation stack, disk,
 * revocable, shared, provider) are merged, empty ones are gone. It owns its memory. All wire forms are accepted and turned
 * into the post-refinement form (facts 6.4); wire forms are produced on the way out.
 *
 * Fast path: most cluster decisions are about scalars. struct quantities is a small vector of (interned name, thousandths)
 * for sums, shares and limits, without metadata. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/arena.h"
#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/json.h"
#include "mesos/v1/mesos.pb-c.h"

struct resources; /* opaque */

struct resources *resources_new(void);
struct resources *resources_free(struct resources *r); /* accepts NULL, returns NULL */
struct resources *resources_copy(const struct resources *r);
void resources_clear(struct resources *r);
bool resources_is_empty(const struct resources *r);
bool resources_equal(const struct resources *a, const struct resources *b);

/* Validates each (facts 6.2) and adds all, or adds nothing and returns -EINVAL with the index and reason in err. */
int resources_add_wire(struct resources *r, Mesos__V1__Resource *const *list, size_t n, struct err *err);
/* Validation alone, including rules across the list (unique persistence ids are the caller's). */
int resources_validate_wire(Mesos__V1__Resource *const *list, size_t n, struct err *err);

void resources_add(struct resources *to, const struct resources *what);
/* Takes away what is there; entries never go below zero. */
void resources_subtract(struct resources *from, const struct resources *what);
bool resources_contains(const struct resources *outer, const struct resources *inner);

/* Sets or clears allocation_info.role of every entry. */
void resources_allocate(struct resources *r, const char *role);
void resources_unallocate(struct resources *r);

/* The part that may be offered to `role`: unreserved, reserved to it or to an ancestor (facts 6.4). Caller frees. */
struct resources *resources_allocatable_to(const struct resources *r, const char *role);
struct resources *resources_unreserved(const struct resources *r);
struct resources *resources_reserved_to(const struct resources *r, const char *role); /* NULL: to any role */
struct resources *resources_without_revocable(const struct resources *r);
struct resources *resources_without_reservations(const struct resources *r); /* stacks dropped, amounts kept */
/* Takes from `pool` what `wanted` asks for (names and amounts; wanted has no metadata), reserved to `role` first, then
 * unreserved; the result keeps the pool's metadata. NULL when the pool has not enough. Caller frees. */
struct resources *resources_find(const struct resources *pool, const struct resources *wanted, const char *role);

/* -- operations (facts: mesos 1.9) ------------------------------------------------------------------------------ */

/* What RESERVE, UNRESERVE, CREATE, DESTROY, GROW_VOLUME or SHRINK_VOLUME takes and what it gives for it, in the form of the
 * operation's own resources (allocated or not). Volumes that are in `pool` keep the metadata they have there, whatever the
 * operation says of them. Replaces both. -EINVAL: it converts nothing, for this reason; then both are empty. */
int resources_conversion(const Mesos__V1__Offer__Operation *op, const struct resources *pool, struct resources *consumed,
                         struct resources *converted, struct err *err);
/* False, and nothing is changed, when the pool has not all that is consumed. */
bool resources_convert(struct resources *pool, const struct resources *consumed, const struct resources *converted);
/* What operations have made: dynamic reservations and persistent volumes. Not allocated. */
struct resources *resources_dynamic(const struct resources *r);
/* Turns parts of base into `dynamic` ones. -EINVAL, base unchanged, when it has not what they were made of. */
int resources_restore_dynamic(struct resources *base, const struct resources *dynamic, struct err *err);
bool resources_has_volume(const struct resources *r, const char *role, const char *persistence_id);
/* Volumes that are in pool, too, get the metadata they have there; the others stay. */
void resources_adopt_volumes(struct resources *r, const struct resources *pool);
/* Shared volumes, and all but them. */
struct resources *resources_shared(const struct resources *r);
bool resources_has_shared(const struct resources *r);
void resources_drop_shared(struct resources *r);
/* All with more than one reservation, which the pre-refinement form cannot say. */
void resources_drop_refined(struct resources *r);

/* Sum of a scalar over all entries in thousandths, 0 if absent. */
int64_t resources_scalar_millis(const struct resources *r, const char *name);
/* Number of ports (or other range values) under a name. */
uint64_t resources_range_count(const struct resources *r, const char *name);
struct resource_range {
    uint64_t begin, end; /* inclusive */
};
/* Sorted, coalesced union of the ranges under a name, into the arena. */
size_t resources_ranges(const struct resources *r, const char *name, struct arena *a, struct resource_range **out);
/* Adds plain unreserved entries. */
void resources_add_scalar(struct resources *r, const char *name, int64_t millis);
void resources_add_range(struct resources *r, const char *name, uint64_t begin, uint64_t end);

enum resource_form {
    RESOURCE_POST_REFINEMENT, /* internal, and for capable frameworks */
    RESOURCE_PRE_REFINEMENT,  /* refined entries are left out */
    RESOURCE_ENDPOINT,        /* post form plus the legacy fields when the stack has at most one entry */
};
/* Wire form into the arena. */
size_t resources_to_wire(const struct resources *r, enum resource_form form, struct arena *a, Mesos__V1__Resource ***out);
/* One merged old-endpoint object {cpus, gpus, mem, disk, "ports":"[1-2]"} (facts 5.2). */
void resources_write_legacy(const struct resources *r, struct json_writer *w);
/* `cpus:4;mem:1024;ports:[31000-32000]` for people and logs. */
void resources_format(const struct resources *r, struct buf *out);

/* Agent flag --resources: text or JSON (facts 6.7); default_role for entries without a role. */
int resources_parse_flag(const char *text, const char *default_role, struct resources *out, struct err *err);
/* Agent flag --attributes into wire attributes in the arena. */
int attributes_parse_flag(const char *text, struct arena *a, Mesos__V1__Attribute ***out, size_t *n, struct err *err);
/* {name: number|string} object of old endpoints. */
void attributes_write_legacy(Mesos__V1__Attribute *const *list, size_t n, struct json_writer *w);
/* Text of an attribute as Marathon's constraints see it: scalar 0.###, ranges [b-e,...], set {a,b}, text. */
void attribute_format(const Mesos__V1__Attribute *attribute, struct buf *out);

/* -- quantities ----------------------------------------------------------------------------------------------- */

/* Distinct scalar names in one process. Names are interned for good, so only those of admitted agents should get here: ask
 * for quantities of what an agent has (offers, allocations), not of what somebody wants. */
#define QUANTITIES_MAX 16

struct quantities {
    uint8_t count;
    struct {
        const char *name; /* interned for the life of the process */
        int64_t millis;
    } item[QUANTITIES_MAX];
};

const char *quantities_intern(const char *name); /* NULL when there are QUANTITIES_MAX others already */
int64_t quantities_get(const struct quantities *q, const char *name);
void quantities_add(struct quantities *to, const struct quantities *what);
void quantities_subtract(struct quantities *from, const struct quantities *what); /* may go below zero */
bool quantities_contains(const struct quantities *outer, const struct quantities *inner);
/* All scalar amounts of r summed by name. 0 or -ENOSPC. */
int resources_quantities(const struct resources *r, struct quantities *out);
