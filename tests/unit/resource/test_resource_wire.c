/* SPDX-License-Identifier: Apache-2.0
 * Wire forms of resources: what is refused, the three forms out and back in, exact amounts. */
#include "unit/resource/build.h"

#include <errno.h>
#include <math.h>

#include "common/base/rng.h"

static void assert_refused(Mesos__V1__Resource *r, const char *part_of_text)
{
    struct err err = {""};
    struct resources *set = resources_new();
    assert_int_equal(resources_add_wire(set, &r, 1, &err), -EINVAL);
    if (strstr(err.text, part_of_text) == NULL)
        fail_msg("'%s' does not say '%s'", err.text, part_of_text);
    assert_true(resources_is_empty(set));
    resources_free(set);
}

static void test_resources_wire__bad_values_are_refused(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    assert_refused(wire_scalar(a, "", 1), "no name");
    assert_refused(wire_scalar(a, "cpus", -1), "below zero");
    assert_refused(wire_scalar(a, "cpus", 0.0004), "too small");
    assert_refused(wire_scalar(a, "cpus", NAN), "out of range");
    assert_refused(wire_scalar(a, "cpus", INFINITY), "out of range");
    assert_refused(wire_scalar(a, "cpus", 1e300), "out of range");
    assert_refused(wire_scalar(a, "gpus", 0.5), "whole");
    Mesos__V1__Resource *r = wire_scalar(a, "cpus", 1);
    r->type = MESOS__V1__VALUE__TYPE__RANGES;
    assert_refused(r, "RANGES");
    r->type = MESOS__V1__VALUE__TYPE__TEXT;
    assert_refused(r, "not SCALAR");
    assert_refused(wire_ranges(a, "ports", 1, &(struct resource_range){2, 1}), "ends before");
    assert_refused(wire_ranges(a, "ports", 2, (struct resource_range[]){{5, 9}, {1, 5}}), "overlap");
    char *twice[] = {arena_strdup(a, "x"), arena_strdup(a, "x")};
    assert_refused(wire_set(a, "zones", 2, twice), "twice");
    arena_free(a);
}

static void test_resources_wire__bad_metadata_is_refused(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    Mesos__V1__Resource *r = wire_scalar(a, "mem", 1);
    r->disk = wire_volume(a, 1, "r", "id", "p")->disk;
    assert_refused(r, "only disk");
    assert_refused(wire_shared(a, wire_scalar(a, "disk", 1)), "shared");
    assert_refused(wire_revocable(a, wire_volume(a, 1, "r", "id", "p")), "revocable");
    assert_refused(wire_volume(a, 1, "r", "../id", "p"), "persistence id");
    r = wire_scalar(a, "mem", 1);
    wire_reserve(a, r, RESERVE_STATIC, "*");
    assert_refused(r, "role of reservation");
    r = wire_scalar(a, "mem", 1);
    wire_reserve(a, r, RESERVE_DYNAMIC, "eng");
    wire_reserve(a, r, RESERVE_STATIC, "eng/x");
    assert_refused(r, "first reservation");
    r = wire_scalar(a, "mem", 1);
    wire_reserve(a, r, RESERVE_STATIC, "eng");
    wire_reserve(a, r, RESERVE_DYNAMIC, "engine");
    assert_refused(r, "refine");
    r = wire_scalar(a, "mem", 1);
    r->role = arena_strdup(a, "a//b");
    assert_refused(r, "role is not valid");
    r = wire_scalar(a, "mem", 1);
    wire_reserve(a, r, RESERVE_STATIC, "eng");
    r->role = arena_strdup(a, "ops");
    assert_refused(r, "disagree");
    r = wire_scalar(a, "mem", 1);
    r->reservation = arena_new_one(a, Mesos__V1__Resource__ReservationInfo);
    mesos__v1__resource__reservation_info__init(r->reservation);
    assert_refused(r, "cannot be reserved");
    arena_free(a);
}

static void test_resources_wire__bad_one_in_a_list_adds_nothing(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    Mesos__V1__Resource *list[] = {wire_scalar(a, "cpus", 1), wire_scalar(a, "mem", -1)};
    struct resources *r = resources_new();
    struct err err = {""};
    assert_int_equal(resources_add_wire(r, list, 2, &err), -EINVAL);
    assert_non_null(strstr(err.text, "resource 1: mem"));
    assert_true(resources_is_empty(r));
    resources_free(r);
    arena_free(a);
}

static void test_resources_wire__amounts_are_thousandths(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    struct resources *r = resources_new();
    for (int i = 0; i < 10; i++) {
        Mesos__V1__Resource *one = wire_scalar(a, "cpus", 0.1);
        assert_int_equal(resources_add_wire(r, &one, 1, NULL), 0);
    }
    assert_int_equal(resources_scalar_millis(r, "cpus"), 1000);
    Mesos__V1__Resource *zero = wire_scalar(a, "mem", 0), *odd = wire_scalar(a, "disk", 0.0005), **wire;
    assert_int_equal(resources_add_wire(r, &zero, 1, NULL), 0);
    assert_int_equal(resources_add_wire(r, &odd, 1, NULL), 0);
    assert_format(r, "cpus:1;disk:0.001");
    assert_int_equal(resources_to_wire(r, RESOURCE_POST_REFINEMENT, a, &wire), 2);
    assert_true(wire[0]->scalar->value == 1.0 && wire[1]->scalar->value == 0.001);
    resources_free(r);
    arena_free(a);
}

/* Every form reads back as the same set, but for refined entries, which old frameworks do not see. */
static void test_resources_wire__forms_out_and_in(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    Mesos__V1__Resource *list[] = {
        wire_scalar(a, "cpus", 1), wire_scalar(a, "mem", 2),
        wire_scalar(a, "disk", 3), wire_volume(a, 4, "r", "v", "p"),
        wire_scalar(a, "mem", 5),  wire_ranges(a, "ports", 1, &(struct resource_range){1, 2}),
    };
    wire_reserve(a, list[1], RESERVE_STATIC, "eng");
    wire_reserve(a, list[2], RESERVE_DYNAMIC, "eng")->principal = arena_strdup(a, "p");
    struct resources *flat = of_wire(list, 6);
    wire_reserve(a, list[4], RESERVE_STATIC, "eng");
    wire_reserve(a, list[4], RESERVE_DYNAMIC, "eng/fe");
    struct resources *all = of_wire(list, 6), *back;
    resources_allocate(all, "eng");
    Mesos__V1__Resource **wire;

    size_t n = resources_to_wire(all, RESOURCE_POST_REFINEMENT, a, &wire);
    assert_int_equal(n, 6);
    for (size_t i = 0; i < n; i++) {
        assert_true(wire[i]->role == NULL || wire[i]->role == mesos__v1__resource__role__default_value);
        assert_null(wire[i]->reservation);
        assert_string_equal(wire[i]->allocation_info->role, "eng");
    }
    back = of_wire(wire, n);
    assert_true(resources_equal(back, all));
    back = resources_free(back);

    n = resources_to_wire(all, RESOURCE_ENDPOINT, a, &wire);
    back = of_wire(wire, n);
    assert_true(resources_equal(back, all));
    assert_string_equal(wire[0]->role, "*");
    assert_string_equal(wire[2]->role, "eng");
    assert_string_equal(wire[2]->reservation->principal, "p");
    assert_int_equal(wire[4]->n_reservations, 2);
    back = resources_free(back);

    resources_unallocate(all);
    n = resources_to_wire(all, RESOURCE_PRE_REFINEMENT, a, &wire);
    assert_int_equal(n, 5);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(wire[i]->n_reservations, 0);
    back = of_wire(wire, n);
    struct resources *refined = resources_reserved_to(all, "eng/fe");
    resources_add(back, refined);
    assert_true(resources_equal(back, all));
    assert_false(resources_equal(back, flat));
    resources_free(back), resources_free(all), resources_free(flat), resources_free(refined);
    arena_free(a);
}

static void test_resources_wire__output_outlives_the_set(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    struct resources *r = of_one(wire_volume(a, 4, "r", "volume", "p"));
    resources_allocate(r, "role");
    struct arena *out = arena_new(0);
    Mesos__V1__Resource **wire;
    assert_int_equal(resources_to_wire(r, RESOURCE_ENDPOINT, out, &wire), 1);
    resources_free(r);
    arena_free(a);
    assert_string_equal(wire[0]->disk->persistence->id, "volume");
    assert_string_equal(wire[0]->allocation_info->role, "role");
    arena_free(out);
}

/* As many ranges as fit in a message are sorted, not inserted one before the other. */
static void test_resources_wire__many_ranges_are_fast(void **state)
{
    (void)state;
    enum { COUNT = 200000 };
    struct arena *a = arena_new(0);
    struct resource_range *list = arena_new_array(a, struct resource_range, COUNT);
    for (uint64_t i = 0; i < COUNT; i++)
        list[i] = (struct resource_range){(COUNT - i) * 4, (COUNT - i) * 4 + 1};
    struct resources *r = of_one(wire_ranges(a, "ports", COUNT, list)), *other = resources_copy(r);
    resources_add(other, r);
    assert_int_equal(resources_range_count(other, "ports"), 2 * COUNT);
    assert_true(resources_contains(other, r));
    resources_subtract(other, r);
    assert_true(resources_is_empty(other));
    resources_free(r), resources_free(other);
    arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_resources_wire__bad_values_are_refused),
        cmocka_unit_test(test_resources_wire__bad_metadata_is_refused),
        cmocka_unit_test(test_resources_wire__bad_one_in_a_list_adds_nothing),
        cmocka_unit_test(test_resources_wire__amounts_are_thousandths),
        cmocka_unit_test(test_resources_wire__forms_out_and_in),
        cmocka_unit_test(test_resources_wire__output_outlives_the_set),
        cmocka_unit_test(test_resources_wire__many_ranges_are_fast),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
