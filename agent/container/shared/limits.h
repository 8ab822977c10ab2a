/* SPDX-License-Identifier: Apache-2.0
 * limits.h - amounts of a container turned into cgroup settings (facts: mesos 9.3). */
#pragma once

#include "agent/container/shared/cgroup.h"
#include "common/port/launcher.h"

enum { CONTAINER_PIDS_MAX_DEFAULT = 4096 }; /* when limits.pids_max is 0 */

uint64_t container_limits_cpu_shares(int64_t cpu_millis);   /* v1: 1024 per CPU, at least 2 */
uint64_t container_limits_cpu_weight(int64_t cpu_millis);   /* v2: 100 per CPU, 1 to 10000 */
uint64_t container_limits_cpu_quota_us(int64_t cpu_millis); /* per 100 ms, at least 1 ms */
uint64_t container_limits_memory(int64_t bytes);            /* at least 32 MiB */

/* first: at creation. Later the hard memory limit is only raised: a container that shrinks is not killed for what it had.
 * Limits without a controller are skipped; that they are missing is known since container_cgroups_detect. */
int container_limits_apply(const struct container_cgroups *g, const char *id, const struct launcher_limits *limits,
                           bool first, struct err *err);
