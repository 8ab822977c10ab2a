/* SPDX-License-Identifier: Apache-2.0
 * usage.h - a container's counters, read from its control groups. */
#pragma once

#include "agent/container/shared/cgroup.h"
#include "common/port/launcher.h"

/* Fills what the present controllers know, with has_cpu and has_memory telling which; the timestamp is the caller's. */
void container_usage_read(const struct container_cgroups *g, const char *id, struct launcher_usage *out);

/* The most memory that was ever in use, 0 if unknown; and how many processes were killed for want of memory. */
uint64_t container_usage_memory_peak(const struct container_cgroups *g, const char *id);
uint64_t container_usage_memory_kills(const struct container_cgroups *g, const char *id);
uint64_t container_usage_memory_limit(const struct container_cgroups *g, const char *id); /* UINT64_MAX: none */
