/* SPDX-License-Identifier: Apache-2.0
 * match.c - see match.h. */
#include "frameworks/sdk/match.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/arena.h"
#include "common/base/check.h"

struct resources *sdk_match_pool(const Mesos__V1__Offer *offer, struct err *err)
{
    struct resources *pool = resources_new();
    if (resources_add_wire(pool, offer->resources, offer->n_resources, err) < 0) {
        err_wrap(err, -EINVAL, "offer %s", offer->id ? offer->id->value : "?");
        return resources_free(pool);
    }
    return pool;
}

/* -- ports ------------------------------------------------------------------------------------------------------ */

static uint64_t range_size(const struct resource_range *range)
{
    return range->end - range->begin + 1;
}

static bool is_offered(const struct resource_range *ranges, size_t count, uint64_t port)
{
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (port > ranges[middle].end)
            low = middle + 1;
        else
            high = middle;
    }
    return low < count && port >= ranges[low].begin;
}

static bool is_fixed(const uint32_t *wanted, size_t count, uint64_t port)
{
    for (size_t i = 0; i < count; i++)
        if (wanted[i] == port)
            return true;
    return false;
}

static bool fixed_are_offered(const struct resource_range *ranges, size_t range_count, const uint32_t *wanted, size_t count,
                              size_t *dynamic_count)
{
    *dynamic_count = 0;
    for (size_t i = 0; i < count; i++) {
        if (wanted[i] == 0)
            (*dynamic_count)++;
        else if (!is_offered(ranges, range_count, wanted[i]) || is_fixed(wanted, i, wanted[i]))
            return false;
    }
    return true;
}

/* Port number `index` of the ranges put one after the other in the given order. */
static uint64_t port_at(const struct resource_range *ranges, const size_t *order, size_t range_count, uint64_t index)
{
    for (size_t i = 0; i < range_count; i++) {
        uint64_t size = range_size(&ranges[order[i]]);
        if (index < size)
            return ranges[order[i]].begin + index;
        index -= size;
    }
    CHECK(false); /* index is below the sum */
    return 0;
}

static void shuffled_order(size_t *order, size_t count, struct rng *rng)
{
    for (size_t i = 0; i < count; i++) {
        size_t j = (size_t)rng_below(rng, i + 1);
        order[i] = order[j];
        order[j] = i;
    }
}

enum sdk_match sdk_match_ports(const struct resource_range *ranges, size_t range_count, const uint32_t *wanted,
                               size_t count, struct rng *rng, uint32_t *out)
{
    CHECK(count <= SDK_MATCH_PORTS_MAX);
    size_t dynamic_count;
    if (!fixed_are_offered(ranges, range_count, wanted, count, &dynamic_count))
        return SDK_MATCH_E_PORTS;
    uint64_t total = 0;
    for (size_t i = 0; i < range_count; i++) {
        if (ranges[i].end > UINT16_MAX)
            return SDK_MATCH_E_PORTS; /* no port numbers */
        total += range_size(&ranges[i]);
    }
    if (total < count)
        return SDK_MATCH_E_PORTS;
    if (dynamic_count == 0) {
        for (size_t i = 0; i < count; i++)
            out[i] = wanted[i];
        return SDK_MATCH_FITS;
    }
    size_t *order = xcalloc(range_count, sizeof(*order));
    shuffled_order(order, range_count, rng);
    uint64_t index = rng_below(rng, total);
    uint32_t chosen[SDK_MATCH_PORTS_MAX];
    /* At most `count` steps are lost to fixed ports, and total >= count: this ends before it comes around. */
    for (size_t i = 0; i < count; i++) {
        chosen[i] = wanted[i];
        while (chosen[i] == 0) {
            uint64_t port = port_at(ranges, order, range_count, index);
            index = (index + 1) % total;
            if (!is_fixed(wanted, count, port))
                chosen[i] = (uint32_t)port;
        }
    }
    free(order);
    memcpy(out, chosen, count * sizeof(*out));
    return SDK_MATCH_FITS;
}

/* -- everything together ---------------------------------------------------------------------------------------- */

/* Port 0 cannot be bound: an offer that starts there has one port less. */
static size_t offered_ports(const struct resources *pool, struct arena *arena, struct resource_range **ranges)
{
    size_t count = resources_ranges(pool, "ports", arena, ranges);
    if (count > 0 && (*ranges)[0].begin == 0) {
        if ((*ranges)[0].end == 0) {
            (*ranges)++;
            count--;
        } else {
            (*ranges)[0].begin = 1;
        }
    }
    return count;
}

/* What cannot be used is not seen: reserved to other roles, or in ranges that are no ports. */
static struct resources *usable(const struct resources *pool, const char *role)
{
    struct resources *reserved = resources_reserved_to(pool, role);
    struct resources *rest = resources_unreserved(pool);
    resources_add(reserved, rest);
    resources_free(rest);
    return reserved;
}

static enum sdk_match match_scalars(const struct resources *pool, const struct sdk_need *need, struct resources *wanted)
{
    const struct {
        const char *name;
        int64_t millis;
        enum sdk_match missing;
    } scalars[] = {
        {"cpus", need->cpus_millis, SDK_MATCH_E_CPUS},
        {"mem", need->mem_millis, SDK_MATCH_E_MEM},
        {"disk", need->disk_millis, SDK_MATCH_E_DISK},
        {"gpus", need->gpus_millis, SDK_MATCH_E_GPUS},
    };
    for (size_t i = 0; i < sizeof(scalars) / sizeof(scalars[0]); i++) {
        if (scalars[i].millis <= 0)
            continue;
        if (resources_scalar_millis(pool, scalars[i].name) < scalars[i].millis)
            return scalars[i].missing;
        resources_add_scalar(wanted, scalars[i].name, scalars[i].millis);
    }
    return SDK_MATCH_FITS;
}

static enum sdk_match match_ports(const struct resources *pool, const struct sdk_need *need, struct rng *rng,
                                  uint32_t *ports, struct resources *wanted)
{
    if (need->port_count == 0)
        return SDK_MATCH_FITS;
    if (need->port_count > SDK_MATCH_PORTS_MAX)
        return SDK_MATCH_E_PORTS;
    struct arena *arena = arena_new(0);
    struct resource_range *ranges;
    size_t count = offered_ports(pool, arena, &ranges);
    enum sdk_match result = sdk_match_ports(ranges, count, need->ports, need->port_count, rng, ports);
    arena_free(arena);
    for (size_t i = 0; result == SDK_MATCH_FITS && i < need->port_count; i++)
        resources_add_range(wanted, "ports", ports[i], ports[i]);
    return result;
}

enum sdk_match sdk_match_take(struct resources *pool, const struct sdk_need *need, const char *role, struct rng *rng,
                              uint32_t *ports_out, struct resources **taken)
{
    uint32_t ports[SDK_MATCH_PORTS_MAX];
    struct resources *seen = usable(pool, role);
    struct resources *wanted = resources_new();
    enum sdk_match result = match_scalars(seen, need, wanted);
    if (result == SDK_MATCH_FITS)
        result = match_ports(seen, need, rng, ports, wanted);
    if (result == SDK_MATCH_FITS) {
        struct resources *found = resources_find(seen, wanted, role);
        if (found) {
            resources_subtract(pool, found);
            if (need->port_count > 0)
                memcpy(ports_out, ports, need->port_count * sizeof(*ports_out));
            *taken = found;
        } else {
            result = SDK_MATCH_E_DISK; /* the sums suffice, the kinds do not: only disks have kinds that cannot be mixed */
        }
    }
    resources_free(wanted);
    resources_free(seen);
    return result;
}
