/* SPDX-License-Identifier: Apache-2.0
 * match.h - does a task fit into what an offer still has? Pure functions: the caller keeps a pool per offer
 * (sdk_match_pool) and takes from it for each task; equal seeds give equal ports. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/base/err.h"
#include "common/base/rng.h"
#include "common/resource/resource.h"
#include "mesos/v1/mesos.pb-c.h"

#define SDK_MATCH_PORTS_MAX 256

struct sdk_need {
    int64_t cpus_millis, mem_millis, disk_millis, gpus_millis; /* thousandths of a CPU, MB, MB, GPU; 0: none */
    const uint32_t *ports;                                     /* fixed host ports; 0: any port of the offer */
    size_t port_count;                                         /* <= SDK_MATCH_PORTS_MAX */
};

/* The first thing missing, in this order. */
enum sdk_match {
    SDK_MATCH_FITS = 0,
    SDK_MATCH_E_CPUS,
    SDK_MATCH_E_MEM,
    SDK_MATCH_E_DISK,
    SDK_MATCH_E_GPUS,
    SDK_MATCH_E_PORTS,
};

/* The resources of an offer as a pool. NULL with a text when the offer is malformed. The caller frees with resources_free.
 */
struct resources *sdk_match_pool(const Mesos__V1__Offer *offer, struct err *err);

/* Takes the need out of the pool: resources reserved to `role` first, then unreserved ones. On SDK_MATCH_FITS *taken is
 * what to put into the TaskInfo (caller frees), ports_out[i] the port for need->ports[i], and the pool is smaller;
 * otherwise nothing has changed. ports_out has room for need->port_count; it and rng may be NULL when no port is
 * needed. */
enum sdk_match sdk_match_take(struct resources *pool, const struct sdk_need *need, const char *role, struct rng *rng,
                              uint32_t *ports_out, struct resources **taken);

/* Chooses ports from sorted, disjoint ranges: fixed ones must lie inside a range, the others are consecutive ports of the
 * ranges in shuffled order from a random start, wrapping around, without the fixed ones (facts: marathon 4.6). 0, or
 * SDK_MATCH_E_PORTS when there are too few or a fixed one is not offered or asked for twice. */
enum sdk_match sdk_match_ports(const struct resource_range *ranges, size_t range_count, const uint32_t *wanted,
                               size_t count, struct rng *rng, uint32_t *out);
