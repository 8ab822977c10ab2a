/* SPDX-License-Identifier: Apache-2.0
 * quantities.c - vectors of scalar amounts by interned name. There are never more names than a vector has places, so sums
 * always fit. */
#include <errno.h>
#include <string.h>

#include "common/base/check.h"
#include "common/resource/set.h"

const char *quantities_intern(const char *name)
{
    static char *names[QUANTITIES_MAX];
    for (size_t i = 0; i < QUANTITIES_MAX; i++) {
        if (names[i] == NULL)
            names[i] = xstrdup(name);
        if (strcmp(names[i], name) == 0)
            return names[i];
    }
    return NULL;
}

static int64_t *slot(struct quantities *q, const char *interned)
{
    for (size_t i = 0; i < q->count; i++)
        if (q->item[i].name == interned)
            return &q->item[i].millis;
    CHECK(q->count < QUANTITIES_MAX);
    q->item[q->count].name = interned;
    q->item[q->count].millis = 0;
    return &q->item[q->count++].millis;
}

int64_t quantities_get(const struct quantities *q, const char *name)
{
    for (size_t i = 0; i < q->count; i++)
        if (q->item[i].name == name || strcmp(q->item[i].name, name) == 0)
            return q->item[i].millis;
    return 0;
}

static int64_t saturating_add(int64_t a, int64_t b)
{
    int64_t sum;
    if (!__builtin_add_overflow(a, b, &sum))
        return sum;
    return a < 0 ? INT64_MIN : INT64_MAX;
}

void quantities_add(struct quantities *to, const struct quantities *what)
{
    for (size_t i = 0; i < what->count; i++) {
        int64_t *millis = slot(to, what->item[i].name);
        *millis = saturating_add(*millis, what->item[i].millis);
    }
}

void quantities_subtract(struct quantities *from, const struct quantities *what)
{
    for (size_t i = 0; i < what->count; i++) {
        int64_t *millis = slot(from, what->item[i].name), difference;
        if (__builtin_sub_overflow(*millis, what->item[i].millis, &difference))
            difference = *millis < 0 ? INT64_MIN : INT64_MAX;
        *millis = difference;
    }
}

bool quantities_contains(const struct quantities *outer, const struct quantities *inner)
{
    for (size_t i = 0; i < inner->count; i++)
        if (quantities_get(outer, inner->item[i].name) < inner->item[i].millis)
            return false;
    return true;
}

int resources_quantities(const struct resources *r, struct quantities *out)
{
    struct quantities sum = {0};
    for (uint32_t i = 0; i < r->count; i++) {
        const struct resource_entry *e = &r->entries[i];
        if (e->kind->type != MESOS__V1__VALUE__TYPE__SCALAR)
            continue;
        if (e->kind->quantity == NULL && (e->kind->quantity = quantities_intern(e->kind->name)) == NULL)
            return -ENOSPC;
        int64_t *millis = slot(&sum, e->kind->quantity), amount;
        uint32_t times = e->kind->is_shared ? 1 : e->scalar.pieces;
        if (__builtin_mul_overflow(e->scalar.millis, times, &amount))
            amount = INT64_MAX;
        *millis = saturating_add(*millis, amount);
    }
    *out = sum;
    return 0;
}
