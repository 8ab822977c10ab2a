/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/container/shared/limits.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define CPU_PERIOD_US 100000

uint64_t container_limits_cpu_shares(int64_t cpu_millis)
{
    uint64_t shares = (uint64_t)cpu_millis * 1024 / 1000;
    return shares < 2 ? 2 : shares;
}

uint64_t container_limits_cpu_weight(int64_t cpu_millis)
{
    uint64_t weight = (uint64_t)cpu_millis / 10;
    return weight < 1 ? 1 : weight > 10000 ? 10000 : weight;
}

uint64_t container_limits_cpu_quota_us(int64_t cpu_millis)
{
    uint64_t quota = (uint64_t)cpu_millis * (CPU_PERIOD_US / 1000);
    return quota < 1000 ? 1000 : quota;
}

uint64_t container_limits_memory(int64_t bytes)
{
    uint64_t least = UINT64_C(32) << 20;
    return (uint64_t)bytes < least ? least : (uint64_t)bytes;
}

static int write_number(const struct container_hierarchy *h, const char *id, const char *file, uint64_t value,
                        struct err *err)
{
    char text[32];
    (void)snprintf(text, sizeof(text), "%" PRIu64, value);
    return container_cgroup_write(h, id, file, text, err);
}

static int apply_cpu(const struct container_hierarchy *h, const char *id, const struct launcher_limits *l, struct err *err)
{
    int rc = 0;
    if (l->cpu_millis >= 0)
        rc = h->v2 ? write_number(h, id, "cpu.weight", container_limits_cpu_weight(l->cpu_millis), err)
                   : write_number(h, id, "cpu.shares", container_limits_cpu_shares(l->cpu_millis), err);
    if (rc < 0)
        return rc;
    char quota[64];
    if (l->cpu_quota_millis < 0)
        (void)snprintf(quota, sizeof(quota), "%s", h->v2 ? "max" : "-1");
    else if (h->v2)
        (void)snprintf(quota, sizeof(quota), "%" PRIu64 " %d", container_limits_cpu_quota_us(l->cpu_quota_millis),
                       CPU_PERIOD_US);
    else
        (void)snprintf(quota, sizeof(quota), "%" PRIu64, container_limits_cpu_quota_us(l->cpu_quota_millis));
    /* The period is 100 ms by default in both versions. */
    return container_cgroup_write(h, id, h->v2 ? "cpu.max" : "cpu.cfs_quota_us", quota, err);
}

/* Memory together with swap: the same amount, so that a limit is not escaped into swap. A kernel without accounting of
 * swap has no such file, which is fine. */
static int apply_swap(const struct container_hierarchy *h, const char *id, const char *hard, struct err *err)
{
    int rc =
        container_cgroup_write(h, id, h->v2 ? "memory.swap.max" : "memory.memsw.limit_in_bytes", h->v2 ? "0" : hard, err);
    return rc == -ENOENT || rc == -EACCES ? 0 : rc;
}

static int apply_hard(const struct container_hierarchy *h, const char *id, const struct launcher_limits *l, bool first,
                      struct err *err)
{
    const char *file = h->v2 ? "memory.max" : "memory.limit_in_bytes";
    uint64_t now = UINT64_MAX,
             wanted = l->memory_hard_bytes < 0 ? UINT64_MAX : container_limits_memory(l->memory_hard_bytes);
    if (first ? wanted == UINT64_MAX : container_cgroup_read_number(h, id, file, &now) == 0 && wanted <= now)
        return 0;
    char text[32];
    if (wanted == UINT64_MAX)
        (void)snprintf(text, sizeof(text), "%s", h->v2 ? "max" : "-1");
    else
        (void)snprintf(text, sizeof(text), "%" PRIu64, wanted);
    /* v1 wants memory <= memory with swap at every moment: raise the outer one first, lower it last. */
    int rc = !first && !h->v2 ? apply_swap(h, id, text, err) : 0;
    if (rc == 0)
        rc = container_cgroup_write(h, id, file, text, err);
    return rc == 0 && first ? apply_swap(h, id, text, err) : rc;
}

static int apply_memory(const struct container_hierarchy *h, const char *id, const struct launcher_limits *l, bool first,
                        struct err *err)
{
    int rc = 0;
    if (l->memory_soft_bytes >= 0)
        rc = write_number(h, id, h->v2 ? "memory.low" : "memory.soft_limit_in_bytes",
                          container_limits_memory(l->memory_soft_bytes), err);
    if (rc == 0 && first && h->v2)
        rc = container_cgroup_write(h, id, "memory.oom.group", "1", err); /* over the limit everything ends, at once */
    return rc == 0 ? apply_hard(h, id, l, first, err) : rc;
}

static int apply_pids(const struct container_hierarchy *h, const char *id, const struct launcher_limits *l, struct err *err)
{
    if (l->pids_max < 0)
        return container_cgroup_write(h, id, "pids.max", "max", err);
    return write_number(h, id, "pids.max", l->pids_max == 0 ? CONTAINER_PIDS_MAX_DEFAULT : (uint64_t)l->pids_max, err);
}

int container_limits_apply(const struct container_cgroups *g, const char *id, const struct launcher_limits *limits,
                           bool first, struct err *err)
{
    const struct container_hierarchy *h = container_cgroups_find(g, CONTAINER_CGROUP_CPU);
    int rc = h == NULL ? 0 : apply_cpu(h, id, limits, err);
    h = container_cgroups_find(g, CONTAINER_CGROUP_MEMORY);
    if (rc == 0 && h != NULL)
        rc = apply_memory(h, id, limits, first, err);
    h = container_cgroups_find(g, CONTAINER_CGROUP_PIDS);
    if (rc == 0 && h != NULL)
        rc = apply_pids(h, id, limits, err);
    return rc;
}
