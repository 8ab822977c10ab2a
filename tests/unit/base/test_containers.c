/* SPDX-License-Identifier: Apache-2.0
 * test_containers.c - buf, arena, heap, map, list, rng against simple models of themselves. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/arena.h"
#include "common/base/buf.h"
#include "common/base/heap.h"
#include "common/base/list.h"
#include "common/base/map.h"
#include "common/base/rng.h"

static void test_buf__append_and_consume_like_a_queue(void **state)
{
    (void)state;
    struct rng r;
    struct buf b;
    rng_seed(&r, 3);
    buf_init(&b, 5000);
    uint8_t written = 0, expected = 0;
    size_t length = 0;
    for (int i = 0; i < 20000; i++) {
        size_t n = (size_t)rng_below(&r, 300);
        if (rng_below(&r, 2) == 0) {
            uint8_t chunk[300];
            for (size_t j = 0; j < n; j++)
                chunk[j] = (uint8_t)(written + j);
            int rc = buf_append(&b, chunk, n);
            assert_int_equal(rc, length + n > 5000 ? -ENOBUFS : 0);
            if (rc == 0) {
                written = (uint8_t)(written + n);
                length += n;
            }
        } else {
            n = n < length ? n : length;
            for (size_t j = 0; j < n; j++)
                assert_int_equal(buf_data(&b)[j], (uint8_t)(expected + j));
            buf_consume(&b, n);
            expected = (uint8_t)(expected + n);
            length -= n;
        }
        assert_int_equal(buf_len(&b), length);
        assert_true(b.capacity <= 16384);
    }
    buf_deinit(&b);
}

static void test_buf__nearly_full_queue_is_not_copied_at_every_append(void **state)
{
    (void)state;
    struct buf b;
    static const char chunk[4090];
    buf_init(&b, 1 << 20);
    assert_int_equal(buf_append(&b, chunk, sizeof(chunk)), 0);
    const uint8_t *base = b.base;
    int moves = 0;
    for (int i = 0; i < 1000; i++) {
        buf_consume(&b, 10);
        assert_int_equal(buf_append(&b, chunk, 10), 0);
        moves += b.base != base;
        base = b.base;
    }
    assert_in_range(moves, 0, 5);
    buf_deinit(&b);
}

static void test_buf__refused_append_changes_nothing_but_the_flag(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 4);
    assert_int_equal(buf_append_str(&b, "abc"), 0);
    assert_int_equal(buf_append_str(&b, "de"), -ENOBUFS);
    assert_int_equal(buf_printf(&b, "%d", 12345), -ENOBUFS);
    assert_null(buf_reserve(&b, SIZE_MAX));
    assert_true(b.overflowed);
    assert_int_equal(buf_append_char(&b, 'd'), 0);
    assert_true(b.overflowed);
    char *text = buf_steal_str(&b);
    assert_string_equal(text, "abcd");
    free(text);
    assert_false(b.overflowed);
    assert_int_equal(buf_len(&b), 0);
    buf_deinit(&b);
}

static void test_buf__printf_of_any_length(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 0);
    for (int width = 250; width < 262; width++) {
        assert_int_equal(buf_printf(&b, "%*d", width, 7), 0);
        assert_int_equal(buf_len(&b), width);
        assert_int_equal(buf_data(&b)[width - 1], '7');
        buf_clear(&b);
    }
    buf_deinit(&b);
}

static void test_arena__memory_is_aligned_zeroed_and_apart(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    struct rng r;
    rng_seed(&r, 4);
    for (int round = 0; round < 3; round++) {
        char *blocks[500];
        size_t sizes[500];
        for (int i = 0; i < 500; i++) {
            sizes[i] = (size_t)rng_below(&r, i % 50 == 0 ? 50000 : 200);
            blocks[i] = arena_alloc(a, sizes[i]);
            assert_non_null(blocks[i]);
            assert_int_equal((uintptr_t)blocks[i] % 16, 0);
            for (size_t j = 0; j < sizes[i]; j++)
                assert_int_equal(blocks[i][j], 0);
            memset(blocks[i], i + 1, sizes[i]);
        }
        for (int i = 0; i < 500; i++)
            for (size_t j = 0; j < sizes[i]; j++)
                assert_int_equal(blocks[i][j], (char)(i + 1));
        arena_reset(a);
    }
    assert_string_equal(arena_strdup(a, "text"), "text");
    assert_string_equal(arena_printf(a, "%s-%d", "x", 5), "x-5");
    assert_memory_equal(arena_memdup(a, "a\0b", 3), "a\0b", 3);
    ProtobufCAllocator *pb = arena_pb(a);
    pb->free(pb->allocator_data, pb->alloc(pb->allocator_data, 10));
    assert_null(arena_free(a));
    assert_null(arena_free(NULL));
}

static void test_arena__bound_holds_until_the_reset(void **state)
{
    (void)state;
    struct arena *a = arena_new(1000);
    assert_null(arena_alloc(a, 1001));
    assert_null(arena_alloc(a, SIZE_MAX));
    assert_non_null(arena_alloc(a, 900));
    assert_null(arena_alloc(a, 101));
    assert_non_null(arena_alloc(a, 64));
    arena_reset(a);
    assert_non_null(arena_alloc(a, 992));
    arena_free(a);
}

struct timer_model {
    struct heap_node node;
    int64_t due; /* -1: not set */
    uint64_t order;
};

static void test_heap__pops_like_a_sorted_list(void **state)
{
    (void)state;
    enum { TIMERS = 40 };
    struct timer_model timers[TIMERS] = {0};
    struct heap h;
    struct rng r;
    uint64_t next = 0;
    rng_seed(&r, 5);
    heap_init(&h);
    for (int i = 0; i < TIMERS; i++)
        timers[i].due = -1;
    for (int i = 0; i < 20000; i++) {
        struct timer_model *t = &timers[rng_below(&r, TIMERS)];
        uint64_t what = rng_below(&r, 4);
        if (what < 2) {
            t->due = (int64_t)rng_below(&r, 20);
            t->order = next++;
            heap_set(&h, &t->node, t->due);
        } else if (what == 2) {
            t->due = -1;
            heap_remove(&h, &t->node);
        } else {
            struct timer_model *first = NULL;
            for (int j = 0; j < TIMERS; j++)
                if (timers[j].due >= 0 && (first == NULL || timers[j].due < first->due ||
                                           (timers[j].due == first->due && timers[j].order < first->order)))
                    first = &timers[j];
            assert_ptr_equal(heap_peek(&h), first != NULL ? &first->node : NULL);
            if (first != NULL)
                assert_null(heap_pop_due(&h, first->due - 1));
            struct heap_node *popped = heap_pop_due(&h, INT64_MAX);
            assert_ptr_equal(popped, first != NULL ? &first->node : NULL);
            if (first != NULL)
                first->due = -1;
        }
        assert_int_equal(heap_is_in(&t->node), t->due >= 0);
    }
    heap_deinit(&h);
}

static void test_map__keeps_the_order_of_insertion(void **state)
{
    (void)state;
    struct map m;
    int a = 1, b = 2, c = 3;
    map_init(&m);
    assert_null(map_first(&m));
    assert_null(map_put(&m, "z", &a));
    assert_null(map_put(&m, "", &b));
    assert_null(map_put_n(&m, "z\0y", 3, &c));
    assert_ptr_equal(map_put(&m, "z", &c), &a);
    assert_int_equal(map_count(&m), 3);
    assert_ptr_equal(map_get(&m, "z"), &c);
    assert_ptr_equal(map_get_n(&m, "z\0y", 3), &c);
    assert_null(map_get(&m, "y"));
    struct map_entry *e = map_first(&m);
    assert_string_equal(map_key(e), "z");
    e = map_next(e);
    assert_string_equal(map_key(e), "");
    assert_ptr_equal(map_value(e), &b);
    assert_ptr_equal(map_remove(&m, "z"), &c);
    assert_null(map_remove(&m, "z"));
    assert_null(map_put(&m, "z", &a)); /* now the last */
    e = map_first(&m);
    assert_string_equal(map_key(e), "");
    assert_string_equal(map_key(map_next(map_next(e))), "z");
    assert_null(map_next(map_next(map_next(e))));
    assert_ptr_equal(map_remove_n(&m, "z\0y", 3), &c);
    map_deinit(&m);
    assert_int_equal(map_count(&m), 0);
}

static void test_map__many_keys(void **state)
{
    (void)state;
    struct map m;
    char key[16];
    static int values[5000];
    map_init(&m);
    for (int i = 0; i < 5000; i++) {
        (void)snprintf(key, sizeof(key), "task-%d", i);
        assert_null(map_put(&m, key, &values[i]));
    }
    int i = 0;
    for (struct map_entry *e = map_first(&m), *next; e != NULL; e = next, i++) {
        next = map_next(e);
        assert_ptr_equal(map_value(e), &values[i]);
        if (i % 2 == 0)
            assert_ptr_equal(map_remove(&m, map_key(e)), &values[i]);
    }
    assert_int_equal(i, 5000);
    assert_int_equal(map_count(&m), 2500);
    assert_ptr_equal(map_get(&m, "task-4999"), &values[4999]);
    assert_null(map_get(&m, "task-4998"));
    map_deinit(&m);
}

struct item {
    struct list link;
    int number;
};

static void test_list__order_and_removal_while_walking(void **state)
{
    (void)state;
    struct list l;
    struct item items[5];
    list_init(&l);
    assert_true(list_is_empty(&l));
    assert_null(list_pop_front(&l));
    for (int i = 0; i < 5; i++) {
        items[i].number = i;
        if (i == 3)
            list_push_front(&l, &items[i].link);
        else
            list_push_back(&l, &items[i].link);
    }
    int seen[5], count = 0;
    list_for_each(it, &l)
    {
        struct item *item = container_of(it, struct item, link);
        seen[count++] = item->number;
        if (item->number % 2 == 1)
            list_remove(it);
    }
    assert_int_equal(count, 5);
    assert_memory_equal(seen, ((int[]){3, 0, 1, 2, 4}), sizeof(seen));
    list_remove(&items[1].link); /* out already: stays so */
    assert_ptr_equal(list_pop_front(&l), &items[0].link);
    assert_ptr_equal(list_pop_front(&l), &items[2].link);
    assert_ptr_equal(list_pop_front(&l), &items[4].link);
    assert_true(list_is_empty(&l));
}

static void test_rng__same_seed_same_numbers(void **state)
{
    (void)state;
    struct rng a, b;
    rng_seed(&a, 0);
    rng_seed(&b, 0);
    size_t buckets[10] = {0};
    for (int i = 0; i < 100000; i++) {
        uint64_t v = rng_below(&a, 10);
        assert_true(v < 10 && v == rng_below(&b, 10));
        buckets[v]++;
        double u = rng_unit(&a);
        assert_true(u >= 0 && u < 1 && u == rng_unit(&b));
    }
    for (int i = 0; i < 10; i++)
        assert_in_range(buckets[i], 9500, 10500);
    assert_int_equal(rng_below(&a, 1), 0);
    rng_seed(&b, 1);
    assert_true(rng_next(&a) != rng_next(&b));
}

static void test_rng__uuid_is_a_version_4_one(void **state)
{
    (void)state;
    struct rng r;
    char text[UUID_TEXT_SIZE], other[UUID_TEXT_SIZE];
    uint8_t bytes[16];
    rng_seed(&r, 9);
    rng_uuid(&r, bytes, text);
    assert_int_equal(strlen(text), 36);
    assert_int_equal(strspn(text, "0123456789abcdef-"), 36);
    assert_true(text[8] == '-' && text[13] == '-' && text[18] == '-' && text[23] == '-');
    assert_int_equal(text[14], '4');
    assert_non_null(strchr("89ab", text[19]));
    assert_int_equal(bytes[15], strtoul(text + 34, NULL, 16));
    rng_uuid(&r, NULL, other);
    assert_string_not_equal(text, other);
    rng_uuid(&r, bytes, NULL);
}

static int compare_tens(const void *left, const void *right)
{
    return (*(const int *)left / 10 > *(const int *)right / 10) - (*(const int *)left / 10 < *(const int *)right / 10);
}

static void test_map__sorts_by_value_and_keeps_the_order_of_equals(void **state)
{
    static int values[] = {35, 11, 30, 19, 12, 20};
    static const char *const keys[] = {"f", "e", "d", "c", "b", "a"};
    static const int expected[] = {11, 19, 12, 20, 35, 30};
    (void)state;
    struct map m;
    map_init(&m);
    map_sort(&m, compare_tens); /* of nothing */
    for (size_t k = 0; k < 6; k++)
        assert_null(map_put(&m, keys[k], &values[k]));
    map_sort(&m, compare_tens);
    size_t n = 0;
    for (struct map_entry *e = map_first(&m); e; e = map_next(e))
        assert_int_equal(*(int *)map_value(e), expected[n++]);
    assert_int_equal(n, 6);
    for (size_t k = 0; k < 6; k++)
        assert_ptr_equal(map_remove(&m, keys[k]), &values[k]);
    map_deinit(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_map__sorts_by_value_and_keeps_the_order_of_equals),
        cmocka_unit_test(test_buf__append_and_consume_like_a_queue),
        cmocka_unit_test(test_buf__nearly_full_queue_is_not_copied_at_every_append),
        cmocka_unit_test(test_buf__refused_append_changes_nothing_but_the_flag),
        cmocka_unit_test(test_buf__printf_of_any_length),
        cmocka_unit_test(test_arena__memory_is_aligned_zeroed_and_apart),
        cmocka_unit_test(test_arena__bound_holds_until_the_reset),
        cmocka_unit_test(test_heap__pops_like_a_sorted_list),
        cmocka_unit_test(test_map__keeps_the_order_of_insertion),
        cmocka_unit_test(test_map__many_keys),
        cmocka_unit_test(test_list__order_and_removal_while_walking),
        cmocka_unit_test(test_rng__same_seed_same_numbers),
        cmocka_unit_test(test_rng__uuid_is_a_version_4_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
