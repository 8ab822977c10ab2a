/* SPDX-License-Identifier: Apache-2.0
 * Ranges against a bitmap of a small universe, and at the ends of the large one. */
#include "unit/resource/build.h"

#include "common/base/rng.h"
#include "common/resource/ranges.h"

#define UNIVERSE 96

static struct ranges from_bits(const bool bits[UNIVERSE])
{
    struct ranges r;
    ranges_init(&r);
    for (uint64_t i = 0; i < UNIVERSE; i++)
        if (bits[i])
            ranges_add_one(&r, i, i);
    return r;
}

static void assert_bits(const struct ranges *r, const bool bits[UNIVERSE])
{
    const struct resource_range *items = ranges_items(r);
    bool seen[UNIVERSE] = {false};
    uint64_t count = 0;
    for (uint32_t i = 0; i < r->count; i++) {
        assert_true(items[i].begin <= items[i].end && items[i].end < UNIVERSE);
        if (i > 0)
            assert_true(items[i].begin > items[i - 1].end + 1); /* sorted, neighbours joined */
        for (uint64_t v = items[i].begin; v <= items[i].end; v++, count++)
            seen[v] = true;
    }
    assert_memory_equal(seen, bits, sizeof(seen));
    assert_int_equal(ranges_values(r), count);
}

static void random_bits(struct rng *rng, bool bits[UNIVERSE])
{
    uint64_t density = rng_below(rng, 5); /* some draws are nearly empty or full: few ranges, and many */
    for (size_t i = 0; i < UNIVERSE; i++)
        bits[i] = rng_below(rng, 4) < density;
}

static void test_ranges__algebra_is_that_of_sets(void **state)
{
    (void)state;
    struct rng rng;
    rng_seed(&rng, 7);
    for (int round = 0; round < 3000; round++) {
        bool a[UNIVERSE], b[UNIVERSE], either[UNIVERSE], only_a[UNIVERSE], inside = true, same = true;
        random_bits(&rng, a);
        random_bits(&rng, b);
        for (size_t i = 0; i < UNIVERSE; i++) {
            either[i] = a[i] || b[i];
            only_a[i] = a[i] && !b[i];
            inside &= a[i] || !b[i];
            same &= a[i] == b[i];
        }
        struct ranges ra = from_bits(a), rb = from_bits(b), sum, difference;
        assert_bits(&ra, a);
        ranges_copy(&sum, &ra);
        ranges_copy(&difference, &ra);
        ranges_add(&sum, &rb);
        ranges_subtract(&difference, &rb);
        assert_bits(&sum, either);
        assert_bits(&difference, only_a);
        assert_int_equal(ranges_contains(&ra, &rb), inside);
        assert_int_equal(ranges_equal(&ra, &rb), same);
        assert_true(ranges_contains(&sum, &ra) && ranges_contains(&sum, &rb));
        ranges_deinit(&ra);
        ranges_deinit(&rb);
        ranges_deinit(&sum);
        ranges_deinit(&difference);
    }
}

static void test_ranges__ends_of_the_number_line_do_not_overflow(void **state)
{
    (void)state;
    struct ranges r, all;
    ranges_init(&r);
    ranges_init(&all);
    ranges_add_one(&r, UINT64_MAX, UINT64_MAX);
    ranges_add_one(&r, 0, 0);
    assert_int_equal(r.count, 2);
    ranges_add_one(&r, 1, 1);
    ranges_add_one(&r, UINT64_MAX - 1, UINT64_MAX - 1);
    assert_int_equal(r.count, 2);
    assert_int_equal(ranges_values(&r), 4);
    ranges_add_one(&all, 0, UINT64_MAX);
    assert_true(ranges_values(&all) == UINT64_MAX);
    assert_true(ranges_contains(&all, &r));
    ranges_subtract(&all, &r);
    assert_int_equal(all.count, 1);
    assert_int_equal(ranges_items(&all)[0].begin, 2);
    assert_true(ranges_items(&all)[0].end == UINT64_MAX - 2);
    ranges_add(&all, &r);
    assert_true(all.count == 1 && all.capacity == 0);
    ranges_subtract_one(&all, 0, UINT64_MAX);
    assert_int_equal(all.count, 0);
    ranges_deinit(&r);
    ranges_deinit(&all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ranges__algebra_is_that_of_sets),
        cmocka_unit_test(test_ranges__ends_of_the_number_line_do_not_overflow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
