/* SPDX-License-Identifier: Apache-2.0
 * Operations as conversions: what each takes and gives, what is refused, that amounts are conserved, and that what was made
 * is found again after a restart. */
#include "unit/resource/build.h"

#include <errno.h>

typedef Mesos__V1__Offer__Operation Op;
#define OP(x) MESOS__V1__OFFER__OPERATION__TYPE__##x

struct rig {
    struct arena *a;
    struct resources *pool, *consumed, *converted;
};

static struct rig rig_new(void)
{
    struct rig r = {.a = arena_new(0), .pool = resources_new(), .consumed = resources_new(), .converted = resources_new()};
    resources_add_scalar(r.pool, "cpus", 4000);
    resources_add_scalar(r.pool, "disk", 1000000);
    resources_add_range(r.pool, "ports", 1, 100);
    return r;
}

static void rig_free(struct rig *r)
{
    resources_free(r->pool);
    resources_free(r->consumed);
    resources_free(r->converted);
    arena_free(r->a);
}

static Op *op_of(struct arena *a, Mesos__V1__Offer__Operation__Type type, Mesos__V1__Resource *one)
{
    Op *op = arena_new_one(a, Op);
    mesos__v1__offer__operation__init(op);
    op->has_type = true;
    op->type = type;
    Mesos__V1__Resource **list = arena_new_array(a, Mesos__V1__Resource *, 1);
    list[0] = one;
    op->reserve = arena_new_one(a, Mesos__V1__Offer__Operation__Reserve);
    mesos__v1__offer__operation__reserve__init(op->reserve);
    op->unreserve = arena_new_one(a, Mesos__V1__Offer__Operation__Unreserve);
    mesos__v1__offer__operation__unreserve__init(op->unreserve);
    op->create = arena_new_one(a, Mesos__V1__Offer__Operation__Create);
    mesos__v1__offer__operation__create__init(op->create);
    op->destroy = arena_new_one(a, Mesos__V1__Offer__Operation__Destroy);
    mesos__v1__offer__operation__destroy__init(op->destroy);
    op->reserve->n_resources = op->unreserve->n_resources = op->create->n_volumes = op->destroy->n_volumes = 1;
    op->reserve->resources = op->unreserve->resources = op->create->volumes = op->destroy->volumes = list;
    op->grow_volume = arena_new_one(a, Mesos__V1__Offer__Operation__GrowVolume);
    mesos__v1__offer__operation__grow_volume__init(op->grow_volume);
    op->grow_volume->volume = one;
    op->shrink_volume = arena_new_one(a, Mesos__V1__Offer__Operation__ShrinkVolume);
    mesos__v1__offer__operation__shrink_volume__init(op->shrink_volume);
    op->shrink_volume->volume = one;
    op->shrink_volume->subtract = arena_new_one(a, Mesos__V1__Value__Scalar);
    mesos__v1__value__scalar__init(op->shrink_volume->subtract);
    return op;
}

static void apply(struct rig *r, const Op *op)
{
    struct err err = {""};
    if (resources_conversion(op, r->pool, r->consumed, r->converted, &err) != 0)
        fail_msg("%s", err.text);
    struct quantities before, after;
    assert_int_equal(resources_quantities(r->pool, &before), 0);
    assert_true(resources_convert(r->pool, r->consumed, r->converted));
    assert_int_equal(resources_quantities(r->pool, &after), 0);
    assert_true(quantities_contains(&before, &after) && quantities_contains(&after, &before));
}

static void assert_refused(struct rig *r, const Op *op, const char *part_of_text)
{
    struct err err = {""};
    assert_int_equal(resources_conversion(op, r->pool, r->consumed, r->converted, &err), -EINVAL);
    if (strstr(err.text, part_of_text) == NULL)
        fail_msg("'%s' does not say '%s'", err.text, part_of_text);
    assert_true(resources_is_empty(r->consumed) && resources_is_empty(r->converted));
}

static Mesos__V1__Resource *reserved(struct arena *a, const char *name, double value, const char *role)
{
    Mesos__V1__Resource *r = wire_scalar(a, name, value);
    wire_reserve(a, r, RESERVE_DYNAMIC, role);
    return r;
}

static void test_conversion__reserve_refine_and_back(void **state)
{
    (void)state;
    struct rig r = rig_new();
    struct resources *start = resources_copy(r.pool);
    apply(&r, op_of(r.a, OP(RESERVE), reserved(r.a, "cpus", 1, "eng")));
    assert_format(r.pool, "cpus:3;disk:1000;ports:[1-100];cpus(eng):1");
    Mesos__V1__Resource *refined = reserved(r.a, "cpus", 0.25, "eng");
    wire_reserve(r.a, refined, RESERVE_DYNAMIC, "eng/fe");
    apply(&r, op_of(r.a, OP(RESERVE), refined));
    assert_int_equal(resources_scalar_millis(r.pool, "cpus"), 4000);
    struct resources *to_eng = resources_reserved_to(r.pool, "eng"), *to_fe = resources_reserved_to(r.pool, "eng/fe");
    assert_int_equal(resources_scalar_millis(to_eng, "cpus"), 750);
    assert_int_equal(resources_scalar_millis(to_fe, "cpus"), 250);
    apply(&r, op_of(r.a, OP(UNRESERVE), refined));
    apply(&r, op_of(r.a, OP(UNRESERVE), reserved(r.a, "cpus", 1, "eng")));
    assert_true(resources_equal(r.pool, start));
    resources_free(to_eng);
    resources_free(to_fe);
    resources_free(start);
    rig_free(&r);
}

static void test_conversion__the_old_form_is_the_new_one(void **state)
{
    (void)state;
    struct rig r = rig_new();
    Mesos__V1__Resource *old = wire_scalar(r.a, "cpus", 1);
    old->role = arena_strdup(r.a, "eng");
    old->reservation = arena_new_one(r.a, Mesos__V1__Resource__ReservationInfo);
    mesos__v1__resource__reservation_info__init(old->reservation);
    apply(&r, op_of(r.a, OP(RESERVE), old));
    apply(&r, op_of(r.a, OP(UNRESERVE), reserved(r.a, "cpus", 1, "eng")));
    rig_free(&r);
}

static void test_conversion__allocated_resources_stay_allocated(void **state)
{
    (void)state;
    struct rig r = rig_new();
    resources_allocate(r.pool, "eng");
    Mesos__V1__Resource *one = reserved(r.a, "cpus", 1, "eng");
    assert_int_equal(resources_conversion(op_of(r.a, OP(RESERVE), one), r.pool, r.consumed, r.converted, NULL), 0);
    assert_false(resources_convert(r.pool, r.consumed, r.converted));
    one->allocation_info = arena_new_one(r.a, Mesos__V1__Resource__AllocationInfo);
    mesos__v1__resource__allocation_info__init(one->allocation_info);
    one->allocation_info->role = arena_strdup(r.a, "eng");
    apply(&r, op_of(r.a, OP(RESERVE), one));
    rig_free(&r);
}

static void test_conversion__volumes_come_go_and_change_size(void **state)
{
    (void)state;
    struct rig r = rig_new();
    apply(&r, op_of(r.a, OP(RESERVE), reserved(r.a, "disk", 500, "eng")));
    struct resources *before = resources_copy(r.pool);
    apply(&r, op_of(r.a, OP(CREATE), wire_volume(r.a, 100, "eng", "v1", "data")));
    assert_true(resources_has_volume(r.pool, "eng", "v1"));
    assert_false(resources_has_volume(r.pool, "eng/fe", "v1"));
    Op *grow = op_of(r.a, OP(GROW_VOLUME), wire_volume(r.a, 100, "eng", "v1", "elsewhere"));
    grow->grow_volume->addition = reserved(r.a, "disk", 20, "eng");
    apply(&r, grow);
    Mesos__V1__Resource **wire;
    size_t n = resources_to_wire(r.pool, RESOURCE_POST_REFINEMENT, r.a, &wire);
    for (size_t i = 0; i < n; i++)
        if (wire[i]->disk != NULL) {
            assert_true(wire[i]->scalar->value == 120);
            assert_string_equal(wire[i]->disk->volume->container_path, "data"); /* not what GROW said of it */
        }
    Op *shrink = op_of(r.a, OP(SHRINK_VOLUME), wire_volume(r.a, 120, "eng", "v1", "data"));
    shrink->shrink_volume->subtract->value = 119;
    apply(&r, shrink);
    apply(&r, op_of(r.a, OP(DESTROY), wire_volume(r.a, 1, "eng", "v1", "other/path")));
    assert_true(resources_equal(r.pool, before));
    resources_free(before);
    rig_free(&r);
}

static void test_conversion__what_makes_no_sense_is_refused(void **state)
{
    (void)state;
    struct rig r = rig_new();
    struct arena *a = r.a;
    Mesos__V1__Resource *plain = wire_scalar(a, "disk", 1), *fixed = wire_scalar(a, "disk", 1);
    wire_reserve(a, fixed, RESERVE_STATIC, "eng");
    Mesos__V1__Resource *volume = wire_volume(a, 10, "eng", "v1", "d");
    assert_refused(&r, op_of(a, OP(RESERVE), plain), "not dynamically");
    assert_refused(&r, op_of(a, OP(UNRESERVE), fixed), "not dynamically");
    assert_refused(&r, op_of(a, OP(UNRESERVE), volume), "persistent volume");
    assert_refused(&r, op_of(a, OP(RESERVE), reserved(a, "cpus", 0, "eng")), "zero");
    assert_refused(&r, op_of(a, OP(CREATE), plain), "not a persistent volume");
    assert_refused(&r, op_of(a, OP(CREATE), wire_volume(a, 10, "eng", "..", "d")), "persistence id");
    assert_refused(&r, op_of(a, OP(CREATE), wire_volume(a, 10, "eng", "a/b", "d")), "persistence id");
    assert_refused(&r, op_of(a, OP(CREATE_DISK), plain), "CSI");
    assert_refused(&r, op_of(a, OP(UNKNOWN), plain), "not known");
    Op *shrink = op_of(a, OP(SHRINK_VOLUME), volume);
    shrink->shrink_volume->subtract->value = 10;
    assert_refused(&r, shrink, "less than the size");
    shrink->shrink_volume->subtract->value = -1;
    assert_refused(&r, shrink, "above zero");
    Op *grow = op_of(a, OP(GROW_VOLUME), volume);
    grow->grow_volume->addition = reserved(a, "disk", 1, "ops");
    assert_refused(&r, grow, "kind of disk");
    grow->grow_volume->volume = wire_shared(a, wire_volume(a, 10, "eng", "v1", "d"));
    assert_refused(&r, grow, "shared");
    Op *twice = op_of(a, OP(CREATE), volume);
    Mesos__V1__Resource *both[] = {volume, wire_volume(a, 11, "eng", "v1", "e")};
    twice->create->volumes = both;
    twice->create->n_volumes = 2;
    assert_refused(&r, twice, "twice");
    Op *none = op_of(a, OP(CREATE), volume);
    none->create->n_volumes = 0;
    assert_refused(&r, none, "no resources");
    rig_free(&r);
}

static void test_conversion__what_was_made_is_restored(void **state)
{
    (void)state;
    struct rig r = rig_new();
    struct resources *base = resources_copy(r.pool);
    apply(&r, op_of(r.a, OP(RESERVE), reserved(r.a, "disk", 500, "eng")));
    apply(&r, op_of(r.a, OP(CREATE), wire_shared(r.a, wire_volume(r.a, 100, "eng", "v1", "data"))));
    struct resources *dynamic = resources_dynamic(r.pool);
    assert_int_equal(resources_restore_dynamic(base, dynamic, NULL), 0);
    assert_true(resources_equal(base, r.pool));
    struct resources *small = resources_new();
    resources_add_scalar(small, "disk", 499000);
    struct err err;
    assert_int_equal(resources_restore_dynamic(small, dynamic, &err), -EINVAL);
    assert_int_equal(resources_scalar_millis(small, "disk"), 499000);
    resources_free(small);
    resources_free(dynamic);
    resources_free(base);
    rig_free(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conversion__reserve_refine_and_back),
        cmocka_unit_test(test_conversion__the_old_form_is_the_new_one),
        cmocka_unit_test(test_conversion__allocated_resources_stay_allocated),
        cmocka_unit_test(test_conversion__volumes_come_go_and_change_size),
        cmocka_unit_test(test_conversion__what_makes_no_sense_is_refused),
        cmocka_unit_test(test_conversion__what_was_made_is_restored),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
