/* SPDX-License-Identifier: Apache-2.0
 * build.h - short builders of resources for tests. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "common/base/arena.h"
#include "common/resource/resource.h"

static inline Mesos__V1__Resource *wire_scalar(struct arena *a, const char *name, double value)
{
    Mesos__V1__Resource *r = arena_new_one(a, Mesos__V1__Resource);
    mesos__v1__resource__init(r);
    r->name = arena_strdup(a, name);
    r->scalar = arena_new_one(a, Mesos__V1__Value__Scalar);
    mesos__v1__value__scalar__init(r->scalar);
    r->scalar->value = value;
    return r;
}

static inline Mesos__V1__Resource *wire_ranges(struct arena *a, const char *name, size_t n,
                                               const struct resource_range *list)
{
    Mesos__V1__Resource *r = arena_new_one(a, Mesos__V1__Resource);
    mesos__v1__resource__init(r);
    r->name = arena_strdup(a, name);
    r->type = MESOS__V1__VALUE__TYPE__RANGES;
    r->ranges = arena_new_one(a, Mesos__V1__Value__Ranges);
    mesos__v1__value__ranges__init(r->ranges);
    r->ranges->n_range = n;
    r->ranges->range = arena_new_array(a, Mesos__V1__Value__Range *, n);
    for (size_t i = 0; i < n; i++) {
        r->ranges->range[i] = arena_new_one(a, Mesos__V1__Value__Range);
        mesos__v1__value__range__init(r->ranges->range[i]);
        r->ranges->range[i]->begin = list[i].begin;
        r->ranges->range[i]->end = list[i].end;
    }
    return r;
}

static inline Mesos__V1__Resource *wire_set(struct arena *a, const char *name, size_t n, char **items)
{
    Mesos__V1__Resource *r = arena_new_one(a, Mesos__V1__Resource);
    mesos__v1__resource__init(r);
    r->name = arena_strdup(a, name);
    r->type = MESOS__V1__VALUE__TYPE__SET;
    r->set = arena_new_one(a, Mesos__V1__Value__Set);
    mesos__v1__value__set__init(r->set);
    r->set->n_item = n;
    r->set->item = items;
    return r;
}

#define RESERVE_STATIC MESOS__V1__RESOURCE__RESERVATION_INFO__TYPE__STATIC
#define RESERVE_DYNAMIC MESOS__V1__RESOURCE__RESERVATION_INFO__TYPE__DYNAMIC

/* Pushes on the reservation stack. */
static inline Mesos__V1__Resource__ReservationInfo *
wire_reserve(struct arena *a, Mesos__V1__Resource *r, Mesos__V1__Resource__ReservationInfo__Type type, const char *role)
{
    Mesos__V1__Resource__ReservationInfo **list =
        arena_new_array(a, Mesos__V1__Resource__ReservationInfo *, r->n_reservations + 1);
    if (r->n_reservations > 0)
        memcpy(list, r->reservations, r->n_reservations * sizeof(*list));
    Mesos__V1__Resource__ReservationInfo *one = arena_new_one(a, Mesos__V1__Resource__ReservationInfo);
    mesos__v1__resource__reservation_info__init(one);
    one->has_type = 1;
    one->type = type;
    one->role = arena_strdup(a, role);
    list[r->n_reservations++] = one;
    r->reservations = list;
    return one;
}

/* A persistent volume of mb megabytes, reserved to role, mounted at path. */
static inline Mesos__V1__Resource *wire_volume(struct arena *a, double mb, const char *role, const char *id,
                                               const char *path)
{
    Mesos__V1__Resource *r = wire_scalar(a, "disk", mb);
    wire_reserve(a, r, RESERVE_DYNAMIC, role);
    r->disk = arena_new_one(a, Mesos__V1__Resource__DiskInfo);
    mesos__v1__resource__disk_info__init(r->disk);
    r->disk->persistence = arena_new_one(a, Mesos__V1__Resource__DiskInfo__Persistence);
    mesos__v1__resource__disk_info__persistence__init(r->disk->persistence);
    r->disk->persistence->id = arena_strdup(a, id);
    r->disk->volume = arena_new_one(a, Mesos__V1__Volume);
    mesos__v1__volume__init(r->disk->volume);
    r->disk->volume->container_path = arena_strdup(a, path);
    r->disk->volume->mode = MESOS__V1__VOLUME__MODE__RW;
    return r;
}

static inline Mesos__V1__Resource *wire_shared(struct arena *a, Mesos__V1__Resource *r)
{
    r->shared = arena_new_one(a, Mesos__V1__Resource__SharedInfo);
    mesos__v1__resource__shared_info__init(r->shared);
    return r;
}

static inline Mesos__V1__Resource *wire_revocable(struct arena *a, Mesos__V1__Resource *r)
{
    r->revocable = arena_new_one(a, Mesos__V1__Resource__RevocableInfo);
    mesos__v1__resource__revocable_info__init(r->revocable);
    return r;
}

static inline struct resources *of_wire(Mesos__V1__Resource *const *list, size_t n)
{
    struct resources *r = resources_new();
    struct err err = {""};
    if (resources_add_wire(r, list, n, &err) != 0)
        fail_msg("%s", err.text);
    return r;
}

static inline struct resources *of_one(Mesos__V1__Resource *one)
{
    return of_wire(&one, 1);
}

static inline void assert_format(const struct resources *r, const char *expected)
{
    struct buf text;
    buf_init(&text, 0);
    resources_format(r, &text);
    assert_int_equal(buf_append_char(&text, '\0'), 0);
    assert_string_equal((const char *)buf_data(&text), expected);
    buf_deinit(&text);
}
