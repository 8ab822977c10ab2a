/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "master/share_drf.h"

static struct quantities amounts(int64_t cpus, int64_t mem)
{
    struct quantities q = {0};
    q.item[0].name = quantities_intern("cpus");
    q.item[0].millis = cpus;
    q.item[1].name = quantities_intern("mem");
    q.item[1].millis = mem;
    q.count = 2;
    return q;
}

static void test_share_value__table(void **state)
{
    (void)state;
    static const struct {
        int64_t cpus, mem, total_cpus, total_mem;
        double weight, share;
    } cases[] = {
        {0, 0, 10, 10, 1, 0},  {5, 1, 10, 10, 1, 0.5}, {1, 5, 10, 10, 1, 0.5},  {5, 1, 10, 10, 2, 0.25},
        {5, 5, 0, 10, 1, 0.5}, {5, 5, 0, 0, 1, 0},     {-5, 1, 10, 10, 1, 0.1}, {10, 10, 10, 10, 0.5, 2},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct quantities allocated = amounts(cases[i].cpus, cases[i].mem),
                          total = amounts(cases[i].total_cpus, cases[i].total_mem);
        assert_float_equal(share_value(&allocated, &total, cases[i].weight), cases[i].share, 1e-9);
    }
}

static void test_share_compare__first_difference_decides(void **state)
{
    (void)state;
    static const struct {
        size_t active_a, active_b;
        double share_a, share_b;
        uint64_t allocations_a, allocations_b;
        const char *name_a, *name_b;
        int sign;
    } cases[] = {
        {1, 0, 9, 0, 9, 0, "z", "a", -1},     {0, 1, 0, 9, 0, 9, "a", "z", 1},      {1, 1, 0.1, 0.2, 9, 0, "z", "a", -1},
        {1, 1, 0.2, 0.2, 1, 2, "z", "a", -1}, {1, 1, 0.2, 0.2, 2, 2, "a", "b", -1}, {1, 1, 0.2, 0.2, 2, 2, "a", "a", 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct share_node a = {.active = cases[i].active_a,
                               .share = cases[i].share_a,
                               .allocations = cases[i].allocations_a,
                               .name = cases[i].name_a};
        struct share_node b = {.active = cases[i].active_b,
                               .share = cases[i].share_b,
                               .allocations = cases[i].allocations_b,
                               .name = cases[i].name_b};
        int r = share_compare(&a, &b);
        assert_int_equal((r > 0) - (r < 0), cases[i].sign);
        r = share_compare(&b, &a);
        assert_int_equal((r > 0) - (r < 0), -cases[i].sign);
    }
}

static bool note(void *ctx, struct share_node *leaf)
{
    strcat(ctx, leaf->name);
    return false;
}

static bool charge_first(void *ctx, struct share_node *leaf)
{
    struct quantities total = amounts(100, 100), what = amounts(3, 0);
    (void)ctx;
    share_charge(leaf, &what, &total);
    share_count(leaf);
    return true;
}

/* Two roles, one with twice the weight: of nine equal pieces it gets six. */
static void test_share_walk__weights_and_hierarchy(void **state)
{
    (void)state;
    struct quantities total = amounts(100, 100);
    struct share_node root, a, b, x, y, z;
    char order[16] = "";
    share_init(&root, "", 1, false);
    share_init(&a, "a", 2, false);
    share_init(&b, "b", 1, false);
    share_init(&x, "x", 1, true);
    share_init(&y, "y", 1, true);
    share_init(&z, "z", 1, true);
    share_attach(&root, &a);
    share_attach(&root, &b);
    share_attach(&a, &x);
    share_attach(&a, &y);
    share_attach(&b, &z);
    share_set_active(&x, true);
    share_set_active(&y, true);
    share_set_active(&z, true);
    for (int i = 0; i < 9; i++)
        assert_true(share_walk(&root, charge_first, NULL));
    assert_int_equal(quantities_get(&a.allocated, "cpus"), 18);
    assert_int_equal(quantities_get(&b.allocated, "cpus"), 9);
    assert_int_equal(quantities_get(&x.allocated, "cpus"), 9);
    assert_int_equal(quantities_get(&y.allocated, "cpus"), 9);

    share_set_active(&x, false);
    assert_false(share_walk(&root, note, order));
    assert_string_equal(order, "zy"); /* equal shares: b was given to less often */
    struct quantities nine = amounts(9, 0);
    share_release(&y, &nine, &total);
    order[0] = '\0';
    assert_false(share_walk(&root, note, order));
    assert_string_equal(order, "yz");
    share_charge(&y, &nine, &total);

    struct quantities half = amounts(9, 100);
    share_recompute(&root, &half);
    assert_float_equal(a.share, 1.0, 1e-9);
    share_set_active(&y, false);
    share_set_active(&z, false);
    assert_false(share_walk(&root, note, order));
    share_detach(&x);
    share_detach(&y);
    share_detach(&z);
    share_detach(&a);
    share_detach(&b);
    share_deinit(&a);
    share_deinit(&b);
    share_deinit(&root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_share_value__table),
        cmocka_unit_test(test_share_compare__first_difference_decides),
        cmocka_unit_test(test_share_walk__weights_and_hierarchy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
