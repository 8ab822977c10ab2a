/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/container/shared/usage.h"

#include <string.h>
#include <unistd.h>

#include "agent/container/shared/file.h"

enum { TEXT_SIZE = 8192 };

static uint64_t number_in(const char *text, const char *key)
{
    uint64_t n = 0;
    (void)container_file_find(text, key, &n); /* absent: 0 */
    return n;
}

static uint64_t number_of(const struct container_hierarchy *h, const char *id, const char *file, uint64_t otherwise)
{
    uint64_t n = otherwise;
    (void)container_cgroup_read_number(h, id, file, &n);
    return n;
}

static void read_cpu_time(const struct container_hierarchy *h, const char *id, struct launcher_usage *out)
{
    char text[TEXT_SIZE];
    if (container_cgroup_read(h, id, h->v2 ? "cpu.stat" : "cpuacct.stat", text, sizeof(text)) < 0)
        return;
    out->has_cpu = true;
    if (h->v2) {
        out->cpu_user_secs = (double)number_in(text, "user_usec") / 1e6;
        out->cpu_system_secs = (double)number_in(text, "system_usec") / 1e6;
    } else {
        double ticks = (double)sysconf(_SC_CLK_TCK);
        out->cpu_user_secs = (double)number_in(text, "user") / ticks;
        out->cpu_system_secs = (double)number_in(text, "system") / ticks;
    }
}

static void read_throttling(const struct container_hierarchy *h, const char *id, struct launcher_usage *out)
{
    char text[TEXT_SIZE];
    if (container_cgroup_read(h, id, "cpu.stat", text, sizeof(text)) < 0)
        return;
    out->cpu_periods = number_in(text, "nr_periods");
    out->cpu_throttled = number_in(text, "nr_throttled");
    out->cpu_throttled_secs =
        h->v2 ? (double)number_in(text, "throttled_usec") / 1e6 : (double)number_in(text, "throttled_time") / 1e9;
}

static void read_memory(const struct container_hierarchy *h, const char *id, struct launcher_usage *out)
{
    char text[TEXT_SIZE];
    if (container_cgroup_read(h, id, "memory.stat", text, sizeof(text)) < 0)
        return;
    out->has_memory = true;
    out->memory_rss_bytes = number_in(text, h->v2 ? "anon" : "total_rss");
    out->memory_cache_bytes = number_in(text, h->v2 ? "file" : "total_cache");
    out->memory_total_bytes = number_of(h, id, h->v2 ? "memory.current" : "memory.usage_in_bytes", 0);
    out->memory_limit_bytes = number_of(h, id, h->v2 ? "memory.max" : "memory.limit_in_bytes", UINT64_MAX);
    out->memory_soft_limit_bytes = number_of(h, id, h->v2 ? "memory.low" : "memory.soft_limit_in_bytes", 0);
}

static uint64_t count_lines(const struct container_hierarchy *h, const char *id, const char *file)
{
    char text[64 * 1024];
    uint64_t lines = 0;
    if (container_cgroup_read(h, id, file, text, sizeof(text)) < 0)
        return 0;
    for (const char *at = text; (at = strchr(at, '\n')) != NULL; at++)
        lines++;
    return lines;
}

void container_usage_read(const struct container_cgroups *g, const char *id, struct launcher_usage *out)
{
    const struct container_hierarchy *h = container_cgroups_find(g, CONTAINER_CGROUP_CPUACCT);
    if (h != NULL)
        read_cpu_time(h, id, out);
    if ((h = container_cgroups_find(g, CONTAINER_CGROUP_CPU)) != NULL)
        read_throttling(h, id, out);
    if ((h = container_cgroups_find(g, CONTAINER_CGROUP_MEMORY)) != NULL)
        read_memory(h, id, out);
    if ((h = container_cgroups_find(g, CONTAINER_CGROUP_PIDS)) != NULL) {
        out->processes = count_lines(h, id, "cgroup.procs");
        out->threads = number_of(h, id, "pids.current", 0);
    }
}

uint64_t container_usage_memory_peak(const struct container_cgroups *g, const char *id)
{
    const struct container_hierarchy *h = container_cgroups_find(g, CONTAINER_CGROUP_MEMORY);
    return h == NULL ? 0 : number_of(h, id, h->v2 ? "memory.peak" : "memory.max_usage_in_bytes", 0);
}

uint64_t container_usage_memory_kills(const struct container_cgroups *g, const char *id)
{
    const struct container_hierarchy *h = container_cgroups_find(g, CONTAINER_CGROUP_MEMORY);
    char text[512];
    if (h == NULL || container_cgroup_read(h, id, h->v2 ? "memory.events" : "memory.oom_control", text, sizeof(text)) < 0)
        return 0;
    return number_in(text, "oom_kill");
}

uint64_t container_usage_memory_limit(const struct container_cgroups *g, const char *id)
{
    const struct container_hierarchy *h = container_cgroups_find(g, CONTAINER_CGROUP_MEMORY);
    return h == NULL ? UINT64_MAX : number_of(h, id, h->v2 ? "memory.max" : "memory.limit_in_bytes", UINT64_MAX);
}
