/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/shell.h"

#define SET(s, field, value) ((s)->has_##field = true, (s)->field = (value))

Mesos__V1__ResourceStatistics *agent_statistics(struct agent_shell *shell, const struct agent_executor *e,
                                                struct arena *arena)
{
    struct launcher_usage u = {0};
    if (shell->launcher->ops->usage(shell->launcher, e->container_id, &u) != 0)
        return NULL;
    Mesos__V1__ResourceStatistics *s = arena_new_one(arena, Mesos__V1__ResourceStatistics);
    *s = (Mesos__V1__ResourceStatistics)MESOS__V1__RESOURCE_STATISTICS__INIT;
    s->timestamp = u.timestamp;
    SET(s, processes, (uint32_t)u.processes);
    SET(s, threads, (uint32_t)u.threads);
    SET(s, cpus_soft_limit, (double)e->limits.cpu_millis / 1000.0);
    SET(s, cpus_limit,
        (double)(e->limits.cpu_quota_millis > 0 ? e->limits.cpu_quota_millis : e->limits.cpu_millis) / 1000.0);
    if (u.has_cpu) {
        SET(s, cpus_user_time_secs, u.cpu_user_secs);
        SET(s, cpus_system_time_secs, u.cpu_system_secs);
        SET(s, cpus_nr_periods, (uint32_t)u.cpu_periods);
        SET(s, cpus_nr_throttled, (uint32_t)u.cpu_throttled);
        SET(s, cpus_throttled_time_secs, u.cpu_throttled_secs);
    }
    if (u.has_memory) {
        SET(s, mem_total_bytes, u.memory_total_bytes);
        SET(s, mem_rss_bytes, u.memory_rss_bytes);
        SET(s, mem_anon_bytes, u.memory_rss_bytes);
        SET(s, mem_cache_bytes, u.memory_cache_bytes);
        SET(s, mem_file_bytes, u.memory_cache_bytes);
        SET(s, mem_limit_bytes, u.memory_limit_bytes);
        SET(s, mem_soft_limit_bytes, u.memory_soft_limit_bytes);
    }
    return s;
}
