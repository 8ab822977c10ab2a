/* SPDX-License-Identifier: Apache-2.0
 * durations.c - see durations.h. Sorted at each question: they are few, and seldom asked for. */
#include "frameworks/cron/durations.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"

struct durations {
    uint16_t count, capacity, next; /* next: where the oldest is, once all places are taken */
    uint32_t ms[];                  /* up to 49 days, longer ones are cut to that */
};

void durations_add(struct durations **d, int64_t ms)
{
    struct durations *a = *d;
    uint32_t value = ms < 0 ? 0 : ms > UINT32_MAX ? UINT32_MAX : (uint32_t)ms;
    if (a == NULL || (a->count == a->capacity && a->capacity < DURATIONS_MAX)) {
        uint16_t capacity = a == NULL ? 2 : (uint16_t)(a->capacity * 2);
        a = xrealloc(a, sizeof(*a) + capacity * sizeof(a->ms[0]));
        if (*d == NULL)
            a->count = a->next = 0;
        a->capacity = capacity;
        *d = a;
    }
    if (a->count < a->capacity) {
        a->ms[a->count++] = value;
        return;
    }
    a->ms[a->next] = value;
    a->next = (uint16_t)((a->next + 1) % a->capacity);
}

struct durations *durations_free(struct durations *d)
{
    free(d);
    return NULL;
}

size_t durations_count(const struct durations *d)
{
    return d != NULL ? d->count : 0;
}

static int compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

double durations_quantile(const struct durations *d, double q)
{
    uint32_t sorted[DURATIONS_MAX];
    size_t n = durations_count(d);
    if (n == 0)
        return 0;
    memcpy(sorted, d->ms, n * sizeof(sorted[0]));
    qsort(sorted, n, sizeof(sorted[0]), compare);
    double position = q * (double)(n + 1);
    if (position < 1)
        return sorted[0];
    if (position >= (double)n)
        return sorted[n - 1];
    size_t below = (size_t)position;
    return sorted[below - 1] + (position - (double)below) * ((double)sorted[below] - sorted[below - 1]);
}

double durations_mean(const struct durations *d)
{
    double sum = 0;
    size_t n = durations_count(d);
    for (size_t i = 0; i < n; i++)
        sum += d->ms[i];
    return n > 0 ? sum / (double)n : 0;
}
