/* SPDX-License-Identifier: Apache-2.0
 * test_pick.c - properties of the choice among back ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "lb/pick.h"

#define MANY 50

struct costs {
    uint32_t of[MANY];
};

static uint32_t cost(void *ctx, size_t i)
{
    return ((struct costs *)ctx)->of[i];
}

static void test_pick__nobody_there(void **state)
{
    struct costs costs = {.of = {LB_PICK_NEVER, LB_PICK_NEVER}};
    struct rng rng;
    (void)state;
    rng_seed(&rng, 1);
    for (size_t count = 0; count <= 2; count++)
        assert_true(lb_pick(count, &rng, cost, &costs) == LB_PICK_NONE);
}

static void test_pick__of_two_the_less_loaded(void **state)
{
    struct costs costs = {.of = {5, 4}};
    struct rng rng;
    (void)state;
    rng_seed(&rng, 2);
    for (int i = 0; i < 100; i++)
        assert_int_equal(lb_pick(2, &rng, cost, &costs), 1);
}

static void test_pick__never_means_never_and_last_only_when_alone(void **state)
{
    struct rng rng;
    (void)state;
    rng_seed(&rng, 3);
    for (int round = 0; round < 2000; round++) {
        struct costs costs;
        size_t count = 1 + (size_t)rng_below(&rng, MANY), usable = 0, last = 0;
        for (size_t i = 0; i < count; i++) {
            uint64_t kind = rng_below(&rng, 8);
            costs.of[i] = kind < 5 ? LB_PICK_NEVER : kind < 7 ? LB_PICK_LAST + 1 : (uint32_t)rng_below(&rng, 10);
            usable += kind == 7;
            last += kind == 5 || kind == 6;
        }
        size_t chosen = lb_pick(count, &rng, cost, &costs);
        if (usable + last == 0) {
            assert_true(chosen == LB_PICK_NONE);
            continue;
        }
        assert_true(chosen < count);
        assert_true(costs.of[chosen] != LB_PICK_NEVER);
        assert_int_equal(costs.of[chosen]<LB_PICK_LAST, usable> 0);
    }
}

/* Connections that stay: the fullest is hardly fuller than the average, and a newcomer is not flooded. */
static void test_pick__loads_stay_even(void **state)
{
    struct costs costs = {0};
    struct rng rng;
    (void)state;
    rng_seed(&rng, 4);
    for (int i = 0; i < MANY * 100; i++)
        costs.of[lb_pick(MANY, &rng, cost, &costs)]++;
    for (size_t i = 0; i < MANY; i++)
        assert_in_range(costs.of[i], 94, 106);
    costs.of[0] = 0;
    uint32_t others = 0;
    for (int i = 0; i < MANY; i++) {
        size_t chosen = lb_pick(MANY, &rng, cost, &costs);
        costs.of[chosen]++;
        others += chosen != 0;
    }
    assert_true(others > MANY * 8 / 10);
}

static void test_pick__equal_ones_share_alike(void **state)
{
    struct costs costs = {0};
    size_t hits[3] = {0};
    struct rng rng;
    (void)state;
    rng_seed(&rng, 5);
    for (int i = 0; i < 3000; i++)
        hits[lb_pick(3, &rng, cost, &costs)]++;
    for (size_t i = 0; i < 3; i++)
        assert_in_range(hits[i], 900, 1100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pick__nobody_there),
        cmocka_unit_test(test_pick__of_two_the_less_loaded),
        cmocka_unit_test(test_pick__never_means_never_and_last_only_when_alone),
        cmocka_unit_test(test_pick__loads_stay_even),
        cmocka_unit_test(test_pick__equal_ones_share_alike),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
