/* SPDX-License-Identifier: Apache-2.0
 * metrics.h - counters, gauges and timers of one process. One registry per component, owned by its main.c; cores keep
 * plain integers and the shell reads them through gauge functions. Names are Mesos's (`master/tasks_running`); the
 * Prometheus form is derived: `muster_` in front, every other character than [a-zA-Z0-9_] becomes '_'. */
#pragma once

#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/json.h"

struct metrics;
struct metric;

struct metrics *metrics_new(void);
struct metrics *metrics_free(struct metrics *m);

enum metric_kind { METRIC_COUNTER, METRIC_GAUGE };

/* name and help are copied. A name that exists already gives the same metric. Owned by the registry. */
struct metric *metrics_add(struct metrics *m, const char *name, enum metric_kind kind, const char *help);
void metric_increment(struct metric *c, uint64_t by);
void metric_set(struct metric *g, double value);
double metric_get(const struct metric *g);

/* A metric that is asked when the metrics are written; NaN means that it has no value now and is left out. A name that
 * exists already gets this function. */
void metrics_add_function(struct metrics *m, const char *name, enum metric_kind kind, const char *help,
                          double (*read)(void *ctx), void *ctx);

/* A timer keeps the newest 1024 samples in milliseconds; once it has one, it is written as <name> (last), /count /max /min
 * /p50 /p90 /p95 /p99 /p999 /p9999 of those, and as a Prometheus summary whose _sum and _count are of all samples. */
struct metric *metrics_add_timer(struct metrics *m, const char *name, const char *help);
void metric_sample_ms(struct metric *t, double ms);

/* Adds system/cpus_total, load_1min, load_5min, load_15min, mem_total_bytes, mem_free_bytes, and of this process
 * process/resident_bytes, process/open_fds, process/cpu_seconds. */
void metrics_add_system(struct metrics *m);

/* Calls fn for each name and value, in the order of adding. */
void metrics_each(struct metrics *m, void (*fn)(void *ctx, const char *name, double value), void *ctx);
void metrics_write_json(struct metrics *m, struct json_writer *w); /* flat object, /metrics/snapshot */
void metrics_write_prometheus(struct metrics *m, struct buf *out); /* text format 0.0.4, /metrics */
