/* SPDX-License-Identifier: Apache-2.0
 * The algebra of resource sets: laws over random sets, and the special kinds one by one. */
#include "unit/resource/build.h"

#include <errno.h>
#include <stdio.h>

#include "common/base/rng.h"
#include "common/resource/kind.h"

static Mesos__V1__Resource *random_resource(struct rng *rng, struct arena *a)
{
    static const char *const scalars[] = {"cpus", "mem", "disk", "bandwidth"};
    char *items[] = {arena_strdup(a, "a"), arena_strdup(a, "b"), arena_strdup(a, "c")};
    Mesos__V1__Resource *r;
    switch (rng_below(rng, 6)) {
    case 0: {
        uint64_t begin = rng_below(rng, 1000);
        r = wire_ranges(a, "ports", 1, &(struct resource_range){begin, begin + rng_below(rng, 20)});
        break;
    }
    case 1:
        r = wire_set(a, "zones", 1 + rng_below(rng, 3), arena_memdup(a, items, sizeof(items)));
        break;
    case 2:
        r = wire_volume(a, 1 + (double)rng_below(rng, 2), "eng", rng_below(rng, 2) ? "v1" : "v2", "data");
        return rng_below(rng, 2) ? wire_shared(a, r) : r;
    default:
        r = wire_scalar(a, scalars[rng_below(rng, 4)], (double)(1 + rng_below(rng, 5000)) / 1000);
        break;
    }
    if (rng_below(rng, 3) == 0)
        wire_reserve(a, r, RESERVE_STATIC, "eng");
    else if (rng_below(rng, 6) == 0)
        return wire_revocable(a, r);
    if (rng_below(rng, 4) == 0)
        wire_reserve(a, r, RESERVE_DYNAMIC, "eng/fe")->principal = rng_below(rng, 2) ? arena_strdup(a, "p") : NULL;
    return r;
}

static struct resources *random_set(struct rng *rng, struct arena *a)
{
    struct resources *r = resources_new();
    for (uint64_t n = rng_below(rng, 9); n > 0; n--) {
        Mesos__V1__Resource *one = random_resource(rng, a);
        assert_int_equal(resources_add_wire(r, &one, 1, NULL), 0);
    }
    if (rng_below(rng, 3) == 0)
        resources_allocate(r, rng_below(rng, 2) ? "eng" : "web");
    return r;
}

/* Adding b and taking it away again gives a, where a and b share no range or set values (those unite). */
static void test_resources__sum_minus_part_is_the_rest(void **state)
{
    (void)state;
    struct rng rng;
    rng_seed(&rng, 11);
    struct arena *arena = arena_new(0);
    for (int round = 0; round < 4000; round++) {
        struct resources *a = random_set(&rng, arena), *b = random_set(&rng, arena);
        struct resources *sum = resources_copy(a), *rest = resources_copy(a), *alone;
        resources_add(sum, b);
        assert_true(resources_contains(sum, a) && resources_contains(sum, b));
        static const char *const names[] = {"cpus", "mem", "bandwidth"};
        for (size_t i = 0; i < 3; i++)
            assert_int_equal(resources_scalar_millis(sum, names[i]),
                             resources_scalar_millis(a, names[i]) + resources_scalar_millis(b, names[i]));
        resources_subtract(rest, b); /* a without what b has: disjoint from b in ranges and sets only if b had them */
        alone = resources_copy(rest);
        resources_add(alone, b);
        assert_true(resources_contains(alone, b) && resources_contains(alone, rest));
        resources_subtract(alone, b);
        assert_true(resources_contains(rest, alone));
        assert_int_equal(resources_contains(a, b), (resources_add(rest, b), resources_equal(rest, a)));
        /* Order of adding does not matter. */
        struct resources *other = resources_copy(b);
        resources_add(other, a);
        assert_true(resources_equal(sum, other));
        resources_subtract(sum, sum);
        assert_true(resources_is_empty(sum));
        resources_free(a), resources_free(b), resources_free(sum), resources_free(rest), resources_free(alone);
        resources_free(other);
        arena_reset(arena);
    }
    arena_free(arena);
    assert_int_equal(resource_kind_count(), 0);
}

/* A pool is dealt out and taken back in random order: nothing is lost to the thousandth, at any time. */
static void test_resources__dealing_out_conserves_to_the_thousandth(void **state)
{
    (void)state;
    enum { HANDS = 40 };
    struct rng rng;
    rng_seed(&rng, 3);
    struct resources *total = resources_new(), *hands[HANDS] = {NULL};
    resources_add_scalar(total, "cpus", 64001);
    resources_add_scalar(total, "mem", 999999);
    resources_add_range(total, "ports", 31000, 32000);
    struct resources *left = resources_copy(total);
    for (int round = 0; round < 20000; round++) {
        size_t i = rng_below(&rng, HANDS);
        if (hands[i] != NULL) {
            resources_add(left, hands[i]);
            hands[i] = resources_free(hands[i]);
        } else {
            hands[i] = resources_new();
            resources_add_scalar(hands[i], "cpus", (int64_t)rng_below(&rng, 4001));
            resources_add_scalar(hands[i], "mem", (int64_t)rng_below(&rng, 40001));
            uint64_t port = 31000 + rng_below(&rng, 1001);
            resources_add_range(hands[i], "ports", port, port);
            if (resources_contains(left, hands[i]))
                resources_subtract(left, hands[i]);
            else
                hands[i] = resources_free(hands[i]);
        }
        struct resources *sum = resources_copy(left);
        for (size_t h = 0; h < HANDS && round % 64 == 0; h++)
            if (hands[h] != NULL)
                resources_add(sum, hands[h]);
        if (round % 64 == 0)
            assert_true(resources_equal(sum, total));
        resources_free(sum);
    }
    for (size_t h = 0; h < HANDS; h++)
        resources_free(hands[h]);
    resources_free(left), resources_free(total);
}

static void test_resources__subtracting_more_than_there_is_leaves_nothing(void **state)
{
    (void)state;
    struct resources *a = resources_new(), *b = resources_new();
    resources_add_scalar(a, "cpus", 1000);
    resources_add_scalar(b, "cpus", 1001);
    resources_add_scalar(b, "mem", 1);
    assert_false(resources_contains(a, b));
    resources_subtract(a, b);
    assert_true(resources_is_empty(a));
    resources_free(a), resources_free(b);
}

static void test_resources__metadata_keeps_amounts_apart(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    Mesos__V1__Resource *list[] = {
        wire_scalar(a, "cpus", 1),  wire_scalar(a, "cpus", 2),  wire_scalar(a, "cpus", 4),  wire_scalar(a, "cpus", 8),
        wire_scalar(a, "cpus", 16), wire_scalar(a, "cpus", 32), wire_scalar(a, "cpus", 64),
    };
    wire_reserve(a, list[1], RESERVE_STATIC, "eng");
    wire_reserve(a, list[2], RESERVE_DYNAMIC, "eng");
    wire_reserve(a, list[3], RESERVE_DYNAMIC, "eng")->principal = arena_strdup(a, "p");
    wire_reserve(a, list[4], RESERVE_STATIC, "eng");
    wire_reserve(a, list[4], RESERVE_DYNAMIC, "eng/fe");
    wire_revocable(a, list[5]);
    list[6]->provider_id = arena_new_one(a, Mesos__V1__ResourceProviderID);
    mesos__v1__resource_provider_id__init(list[6]->provider_id);
    list[6]->provider_id->value = arena_strdup(a, "rp");
    struct resources *all = of_wire(list, 7);
    assert_format(all, "cpus:1;cpus(eng):2;cpus(eng):4;cpus(eng):8;cpus(eng/fe):16;cpus{REV}:32;cpus:64");
    assert_int_equal(resources_scalar_millis(all, "cpus"), 127000);

    struct resources *fe = resources_allocatable_to(all, "eng/fe"), *web = resources_allocatable_to(all, "web");
    struct resources *eng = resources_allocatable_to(all, "eng"), *engine = resources_allocatable_to(all, "engine");
    assert_int_equal(resources_scalar_millis(fe, "cpus"), 127000);
    assert_int_equal(resources_scalar_millis(eng, "cpus"), 111000);
    assert_int_equal(resources_scalar_millis(web, "cpus"), 97000);
    assert_true(resources_equal(web, engine)); /* a longer name is not a sub-role */
    struct resources *flat = resources_without_reservations(all), *firm = resources_without_revocable(all);
    assert_format(flat, "cpus:31;cpus{REV}:32;cpus:64");
    assert_int_equal(resources_scalar_millis(firm, "cpus"), 95000);
    struct resources *reserved = resources_reserved_to(all, NULL), *to_eng = resources_reserved_to(all, "eng");
    assert_int_equal(resources_scalar_millis(reserved, "cpus"), 30000);
    assert_int_equal(resources_scalar_millis(to_eng, "cpus"), 14000);
    resources_free(all), resources_free(fe), resources_free(web), resources_free(eng), resources_free(engine);
    resources_free(flat), resources_free(firm), resources_free(reserved), resources_free(to_eng);
    arena_free(a);
    assert_int_equal(resource_kind_count(), 0);
}

static void test_resources__order_of_labels_does_not_matter(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    Mesos__V1__Label x = MESOS__V1__LABEL__INIT, y = MESOS__V1__LABEL__INIT;
    x.key = arena_strdup(a, "x"), y.key = arena_strdup(a, "y"), y.value = arena_strdup(a, "1");
    Mesos__V1__Label *xy[] = {&x, &y}, *yx[] = {&y, &x};
    Mesos__V1__Labels one = MESOS__V1__LABELS__INIT, two = MESOS__V1__LABELS__INIT;
    one.n_labels = two.n_labels = 2;
    one.labels = xy, two.labels = yx;
    Mesos__V1__Resource *list[] = {wire_scalar(a, "mem", 1), wire_scalar(a, "mem", 2)};
    wire_reserve(a, list[0], RESERVE_DYNAMIC, "r")->labels = &one;
    wire_reserve(a, list[1], RESERVE_DYNAMIC, "r")->labels = &two;
    struct resources *r = of_wire(list, 2);
    assert_format(r, "mem(r):3");
    resources_free(r);
    arena_free(a);
}

static void test_resources__allocation_separates_and_unallocation_joins(void **state)
{
    (void)state;
    struct resources *web = resources_new(), *ops = resources_new();
    resources_add_scalar(web, "cpus", 1000);
    resources_add_range(web, "ports", 1, 2);
    resources_add_scalar(ops, "cpus", 2000);
    resources_add_range(ops, "ports", 3, 4);
    resources_allocate(web, "web");
    resources_allocate(ops, "ops");
    assert_false(resources_contains(web, ops));
    resources_add(web, ops);
    assert_format(web, "cpus:1;ports:[1-2];cpus:2;ports:[3-4]");
    resources_unallocate(web);
    assert_format(web, "cpus:3;ports:[1-4]");
    resources_free(web), resources_free(ops);
    assert_int_equal(resource_kind_count(), 0);
}

static void test_resources__volumes_are_used_whole(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    struct resources *all = of_one(wire_volume(a, 100, "eng", "v", "data"));
    struct resources *half = of_one(wire_volume(a, 50, "eng", "v", "data"));
    struct resources *elsewhere = of_one(wire_volume(a, 100, "eng", "v", "other/path"));
    assert_false(resources_contains(all, half));
    assert_true(resources_contains(all, elsewhere)); /* where it is mounted is not which volume it is */
    resources_subtract(all, half);
    assert_int_equal(resources_scalar_millis(all, "disk"), 100000);
    resources_subtract(all, elsewhere);
    assert_true(resources_is_empty(all));
    resources_free(all), resources_free(half), resources_free(elsewhere);
    arena_free(a);
    assert_int_equal(resource_kind_count(), 0);
}

static void test_resources__shared_volumes_count_their_uses(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    struct resources *one = of_one(wire_shared(a, wire_volume(a, 100, "eng", "v", "data")));
    struct resources *uses = resources_copy(one);
    resources_add(uses, one);
    assert_int_equal(resources_scalar_millis(uses, "disk"), 100000);
    assert_true(resources_contains(uses, one));
    assert_false(resources_contains(one, uses));
    Mesos__V1__Resource **wire;
    assert_int_equal(resources_to_wire(uses, RESOURCE_POST_REFINEMENT, a, &wire), 2);
    resources_subtract(uses, one);
    assert_true(resources_equal(uses, one));
    resources_subtract(uses, one);
    assert_true(resources_is_empty(uses));
    resources_free(one), resources_free(uses);
    arena_free(a);
}

static void test_resources_find__takes_reserved_then_free(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    Mesos__V1__Resource *list[] = {
        wire_scalar(a, "cpus", 4),
        wire_scalar(a, "cpus", 2),
        wire_scalar(a, "cpus", 1),
        wire_scalar(a, "cpus", 8),
        wire_ranges(a, "ports", 1, &(struct resource_range){10, 20}),
        wire_volume(a, 100, "eng/fe", "v", "data"),
    };
    wire_reserve(a, list[1], RESERVE_STATIC, "eng");
    wire_reserve(a, list[2], RESERVE_STATIC, "eng/fe");
    wire_reserve(a, list[3], RESERVE_STATIC, "web");
    struct resources *pool = of_wire(list, 6), *wanted = resources_new();
    resources_add_scalar(wanted, "cpus", 3500);
    resources_add_range(wanted, "ports", 12, 13);
    struct resources *got = resources_find(pool, wanted, "eng/fe");
    assert_format(got, "cpus(eng/fe):1;cpus(eng):2;cpus:0.5;ports:[12-13]");
    assert_true(resources_contains(pool, got));
    got = resources_free(got);
    resources_add_scalar(wanted, "cpus", 4000);
    assert_null(resources_find(pool, wanted, "eng/fe"));
    resources_clear(wanted);
    resources_add_scalar(wanted, "disk", 1); /* a volume is no free disk */
    assert_null(resources_find(pool, wanted, "eng/fe"));
    resources_free(pool), resources_free(wanted);
    arena_free(a);
    assert_int_equal(resource_kind_count(), 0);
}

static void test_quantities__sum_and_compare(void **state)
{
    (void)state;
    struct resources *r = resources_new();
    resources_add_scalar(r, "cpus", 1500);
    resources_add_scalar(r, "mem", 128000);
    resources_add_range(r, "ports", 1, 5);
    resources_allocate(r, "web");
    struct quantities one, all = {0};
    assert_int_equal(resources_quantities(r, &one), 0);
    assert_int_equal(one.count, 2);
    assert_int_equal(quantities_get(&one, "cpus"), 1500);
    assert_int_equal(quantities_get(&one, "ports"), 0);
    quantities_add(&all, &one);
    quantities_add(&all, &one);
    assert_true(quantities_contains(&all, &one));
    assert_false(quantities_contains(&one, &all));
    quantities_subtract(&one, &all);
    assert_int_equal(quantities_get(&one, "mem"), -128000);
    for (int i = 0; i < 2 * QUANTITIES_MAX; i++) {
        char name[16];
        snprintf(name, sizeof(name), "name%d", i);
        resources_add_scalar(r, name, 1);
    }
    assert_int_equal(resources_quantities(r, &one), -ENOSPC);
    assert_int_equal(resources_scalar_millis(r, "name7"), 1);
    resources_free(r);
}

static void test_resources__ranges_of_all_kinds_unite(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    Mesos__V1__Resource *list[] = {
        wire_ranges(a, "ports", 2, (struct resource_range[]){{8, 9}, {1, 3}}),
        wire_ranges(a, "ports", 1, &(struct resource_range){4, 6}),
    };
    wire_reserve(a, list[1], RESERVE_STATIC, "eng");
    struct resources *r = of_wire(list, 2);
    struct resource_range *ranges;
    assert_int_equal(resources_range_count(r, "ports"), 8);
    assert_int_equal(resources_ranges(r, "ports", a, &ranges), 2);
    assert_int_equal(ranges[0].end, 6);
    assert_int_equal(resources_ranges(r, "other", a, &ranges), 0);
    resources_free(r);
    arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_resources__sum_minus_part_is_the_rest),
        cmocka_unit_test(test_resources__dealing_out_conserves_to_the_thousandth),
        cmocka_unit_test(test_resources__subtracting_more_than_there_is_leaves_nothing),
        cmocka_unit_test(test_resources__metadata_keeps_amounts_apart),
        cmocka_unit_test(test_resources__order_of_labels_does_not_matter),
        cmocka_unit_test(test_resources__allocation_separates_and_unallocation_joins),
        cmocka_unit_test(test_resources__volumes_are_used_whole),
        cmocka_unit_test(test_resources__shared_volumes_count_their_uses),
        cmocka_unit_test(test_resources_find__takes_reserved_then_free),
        cmocka_unit_test(test_quantities__sum_and_compare),
        cmocka_unit_test(test_resources__ranges_of_all_kinds_unite),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
