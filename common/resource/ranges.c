/* SPDX-License-Identifier: Apache-2.0
 * ranges.c - algebra of sorted, coalesced ranges. Small operands are worked in one at a time, large ones in one merge, so
 * that no input makes an operation quadratic. */
#include "common/resource/ranges.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"

#define ONE_BY_ONE_MAX 4

void ranges_deinit(struct ranges *r)
{
    if (r->capacity != 0)
        free(r->many);
    ranges_init(r);
}

void ranges_copy(struct ranges *to, const struct ranges *from)
{
    ranges_init(to);
    to->count = from->count;
    if (from->count > 1) {
        to->many = xmemdup(from->many, from->count * sizeof(from->many[0]));
        to->capacity = from->count;
    } else if (from->count == 1) {
        to->one = ranges_items(from)[0];
    }
}

static struct resource_range *writable(struct ranges *r)
{
    return r->capacity == 0 ? &r->one : r->many;
}

/* Goes back to the inline form when one range or none is left. */
static void shrink(struct ranges *r)
{
    if (r->count > 1 || r->capacity == 0)
        return;
    struct resource_range *many = r->many;
    struct resource_range one = many[0];
    r->capacity = 0;
    r->one = one;
    free(many);
}

/* Replaces `drop` ranges from index `at` on by the `count` given ones. */
static void splice(struct ranges *r, uint32_t at, uint32_t drop, const struct resource_range *put, uint32_t count)
{
    uint32_t total = r->count - drop + count;
    if (total > 1 && total > r->capacity) {
        uint32_t capacity = total < 4 ? 4 : total + total / 2;
        struct resource_range *many = xmalloc(capacity * sizeof(*many));
        memcpy(many, ranges_items(r), r->count * sizeof(*many));
        if (r->capacity != 0)
            free(r->many);
        r->many = many;
        r->capacity = capacity;
    }
    struct resource_range *items = writable(r);
    if (drop != count)
        memmove(items + at + count, items + at + drop, (r->count - at - drop) * sizeof(*items));
    if (count > 0)
        memcpy(items + at, put, count * sizeof(*items));
    r->count = total;
    shrink(r);
}

/* Index of the first range whose end is >= value. */
static uint32_t first_ending_at(const struct ranges *r, uint64_t value)
{
    const struct resource_range *items = ranges_items(r);
    uint32_t low = 0, high = r->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (items[middle].end < value)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

void ranges_add_one(struct ranges *r, uint64_t begin, uint64_t end)
{
    CHECK(begin <= end);
    const struct resource_range *items = ranges_items(r);
    uint32_t from = first_ending_at(r, begin == 0 ? 0 : begin - 1); /* a neighbour is joined too */
    uint32_t to = from;
    struct resource_range joined = {begin, end};
    uint64_t reach = end == UINT64_MAX ? end : end + 1;
    for (; to < r->count && items[to].begin <= reach; to++) {
        joined.begin = items[to].begin < joined.begin ? items[to].begin : joined.begin;
        joined.end = items[to].end > joined.end ? items[to].end : joined.end;
    }
    splice(r, from, to - from, &joined, 1);
}

void ranges_subtract_one(struct ranges *r, uint64_t begin, uint64_t end)
{
    CHECK(begin <= end);
    const struct resource_range *items = ranges_items(r);
    uint32_t from = first_ending_at(r, begin), to = from, left = 0;
    struct resource_range rest[2];
    for (; to < r->count && items[to].begin <= end; to++) {
        if (items[to].begin < begin)
            rest[left++] = (struct resource_range){items[to].begin, begin - 1};
        if (items[to].end > end)
            rest[left++] = (struct resource_range){end + 1, items[to].end};
    }
    if (to > from)
        splice(r, from, to - from, rest, left);
}

/* Takes over a malloc'd result. */
static void assign(struct ranges *r, struct resource_range *items, size_t count, size_t capacity)
{
    ranges_deinit(r);
    CHECK(capacity <= UINT32_MAX);
    r->many = items;
    r->count = (uint32_t)count;
    r->capacity = (uint32_t)capacity;
    shrink(r);
}

void ranges_add(struct ranges *to, const struct ranges *what)
{
    const struct resource_range *a = ranges_items(to), *b = ranges_items(what);
    if (what->count <= ONE_BY_ONE_MAX) {
        for (uint32_t i = 0; i < what->count; i++)
            ranges_add_one(to, b[i].begin, b[i].end);
        return;
    }
    size_t capacity = (size_t)to->count + what->count, count = 0;
    struct resource_range *out = xmalloc(capacity * sizeof(*out));
    for (uint32_t i = 0, j = 0; i < to->count || j < what->count;) {
        bool take_a = j == what->count || (i < to->count && a[i].begin <= b[j].begin);
        struct resource_range next = take_a ? a[i++] : b[j++];
        if (count > 0 && (next.begin == 0 || next.begin - 1 <= out[count - 1].end)) {
            if (next.end > out[count - 1].end)
                out[count - 1].end = next.end;
        } else {
            out[count++] = next;
        }
    }
    assign(to, out, count, capacity);
}

void ranges_subtract(struct ranges *from, const struct ranges *what)
{
    const struct resource_range *a = ranges_items(from), *b = ranges_items(what);
    if (what->count <= ONE_BY_ONE_MAX) {
        for (uint32_t i = 0; i < what->count; i++)
            ranges_subtract_one(from, b[i].begin, b[i].end);
        return;
    }
    size_t capacity = (size_t)from->count + what->count, count = 0;
    struct resource_range *out = xmalloc(capacity * sizeof(*out));
    uint32_t j = 0;
    for (uint32_t i = 0; i < from->count; i++) {
        struct resource_range rest = a[i];
        bool is_left = true;
        while (j < what->count && b[j].end < rest.begin)
            j++;
        for (uint32_t k = j; is_left && k < what->count && b[k].begin <= rest.end; k++) {
            if (b[k].begin > rest.begin)
                out[count++] = (struct resource_range){rest.begin, b[k].begin - 1};
            is_left = b[k].end < rest.end;
            if (is_left) {
                rest.begin = b[k].end + 1;
                j = k + 1;
            }
        }
        if (is_left)
            out[count++] = rest;
    }
    assign(from, out, count, capacity);
}

bool ranges_contains(const struct ranges *outer, const struct ranges *inner)
{
    const struct resource_range *a = ranges_items(outer), *b = ranges_items(inner);
    if (inner->count <= ONE_BY_ONE_MAX) {
        for (uint32_t j = 0; j < inner->count; j++) {
            uint32_t i = first_ending_at(outer, b[j].begin);
            if (i == outer->count || a[i].begin > b[j].begin || a[i].end < b[j].end)
                return false;
        }
        return true;
    }
    uint32_t i = 0;
    for (uint32_t j = 0; j < inner->count; j++) {
        while (i < outer->count && a[i].end < b[j].begin)
            i++;
        if (i == outer->count || a[i].begin > b[j].begin || a[i].end < b[j].end)
            return false;
    }
    return true;
}

bool ranges_equal(const struct ranges *a, const struct ranges *b)
{
    return a->count == b->count &&
           (a->count == 0 || memcmp(ranges_items(a), ranges_items(b), a->count * sizeof(struct resource_range)) == 0);
}

uint64_t ranges_values(const struct ranges *r)
{
    uint64_t sum = 0;
    const struct resource_range *items = ranges_items(r);
    for (uint32_t i = 0; i < r->count; i++) {
        uint64_t span = items[i].end - items[i].begin;
        if (span == UINT64_MAX || __builtin_add_overflow(sum, span + 1, &sum))
            return UINT64_MAX;
    }
    return sum;
}
