/* SPDX-License-Identifier: Apache-2.0
 * metrics_system.c - what the operating system says about the machine and this process. */
#include <dirent.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <time.h>
#include <unistd.h>

#include "common/base/metrics.h"

static double cpus_total(void *ctx)
{
    (void)ctx;
    return (double)sysconf(_SC_NPROCESSORS_ONLN);
}

static double load(int i)
{
    double loads[3];
    return getloadavg(loads, 3) == 3 ? loads[i] : (double)NAN;
}

static double load_1min(void *ctx)
{
    (void)ctx;
    return load(0);
}

static double load_5min(void *ctx)
{
    (void)ctx;
    return load(1);
}

static double load_15min(void *ctx)
{
    (void)ctx;
    return load(2);
}

static double mem_total(void *ctx)
{
    struct sysinfo info;
    (void)ctx;
    return sysinfo(&info) == 0 ? (double)info.totalram * info.mem_unit : (double)NAN;
}

static double mem_free(void *ctx)
{
    struct sysinfo info;
    (void)ctx;
    return sysinfo(&info) == 0 ? (double)info.freeram * info.mem_unit : (double)NAN;
}

static double resident_bytes(void *ctx)
{
    (void)ctx;
    FILE *f = fopen("/proc/self/statm", "re");
    if (f == NULL)
        return (double)NAN;
    unsigned long long pages;
    double bytes = (double)NAN;
    if (fscanf(f, "%*u %llu", &pages) == 1)
        bytes = (double)pages * (double)sysconf(_SC_PAGESIZE);
    (void)fclose(f); /* read only */
    return bytes;
}

/* Linux 6.2 gives the number as the size of the directory; before that it has to be read, entry by entry. */
static double open_fds(void *ctx)
{
    struct stat st;
    (void)ctx;
    if (stat("/proc/self/fd", &st) == 0 && st.st_size > 0)
        return (double)st.st_size;
    DIR *dir = opendir("/proc/self/fd");
    if (dir == NULL)
        return (double)NAN;
    double count = -1; /* the directory's own descriptor is not counted */
    for (struct dirent *e; (e = readdir(dir)) != NULL;)
        count += e->d_name[0] != '.';
    (void)closedir(dir); /* read only */
    return count;
}

static double cpu_seconds(void *ctx)
{
    struct timespec t;
    (void)ctx;
    return clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t) == 0 ? (double)t.tv_sec + (double)t.tv_nsec / 1e9 : (double)NAN;
}

void metrics_add_system(struct metrics *m)
{
    static const struct {
        const char *name;
        enum metric_kind kind;
        const char *help;
        double (*read)(void *ctx);
    } all[] = {
        {"system/cpus_total", METRIC_GAUGE, "Processors online.", cpus_total},
        {"system/load_1min", METRIC_GAUGE, "Load average over one minute.", load_1min},
        {"system/load_5min", METRIC_GAUGE, "Load average over five minutes.", load_5min},
        {"system/load_15min", METRIC_GAUGE, "Load average over fifteen minutes.", load_15min},
        {"system/mem_total_bytes", METRIC_GAUGE, "Memory of the machine.", mem_total},
        {"system/mem_free_bytes", METRIC_GAUGE, "Memory of the machine that nobody uses.", mem_free},
        {"process/resident_bytes", METRIC_GAUGE, "Resident memory of this process.", resident_bytes},
        {"process/open_fds", METRIC_GAUGE, "Open descriptors of this process.", open_fds},
        {"process/cpu_seconds", METRIC_COUNTER, "Processor time used by this process.", cpu_seconds},
    };
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        metrics_add_function(m, all[i].name, all[i].kind, all[i].help, all[i].read, NULL);
}
