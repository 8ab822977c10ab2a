/* SPDX-License-Identifier: Apache-2.0
 * chronos_stats.c - how long the runs of jobs take: Chronos's histograms, of the runs since this process started, and its
 * list of the last tasks of a job. */
#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"
#include "frameworks/cron/chronos_core.h"

#define BODY_BYTES_MAX (64u << 20)

/* Also their names in the path of /stats, with "mean" added. */
static const struct quantile {
    const char *name;
    double q;
} quantiles[] = {{"75thPercentile", 0.75},
                 {"95thPercentile", 0.95},
                 {"98thPercentile", 0.98},
                 {"99thPercentile", 0.99},
                 {"median", 0.5}};
#define QUANTILE_COUNT (sizeof(quantiles) / sizeof(quantiles[0]))

static void write_histogram(const struct durations *d, struct json_writer *w)
{
    json_put_key(w, "histogram");
    json_begin_object(w);
    for (size_t i = 0; i < QUANTILE_COUNT; i++)
        json_kv_double(w, quantiles[i].name, durations_quantile(d, quantiles[i].q));
    json_kv_double(w, "mean", durations_mean(d));
    json_kv_int(w, "count", (int64_t)durations_count(d));
    json_end_object(w);
}

void chronos_on_job_stat(struct cron *c, const struct cron_request *r, const struct entry *e)
{
    struct json_writer w;
    struct buf body;
    buf_init(&body, 0);
    json_writer_init(&w, &body);
    json_begin_object(&w);
    write_histogram(e->durations, &w);
    json_put_key(&w, "taskStatHistory");
    json_begin_array(&w);
    json_end_array(&w);
    json_end_object(&w);
    cron_reply(c, r, 200, &body, false);
}

/* -- all jobs, slowest first ------------------------------------------------------------------------------------- */

struct timed {
    const char *id;
    double ms;
};

static int compare(const void *a, const void *b)
{
    const struct timed *x = a, *y = b;
    return x->ms != y->ms ? (x->ms < y->ms) - (x->ms > y->ms) : strcmp(x->id, y->id);
}

static double value_of(const struct durations *d, const char *name)
{
    for (size_t i = 0; i < QUANTILE_COUNT; i++) {
        if (strcmp(name, quantiles[i].name) == 0)
            return durations_quantile(d, quantiles[i].q);
    }
    return durations_mean(d);
}

static bool is_known(const char *name)
{
    bool known = strcmp(name, "mean") == 0;
    for (size_t i = 0; i < QUANTILE_COUNT; i++)
        known = known || strcmp(name, quantiles[i].name) == 0;
    return known;
}

void chronos_on_stats(struct cron *c, const struct cron_request *r)
{
    const char *name = r->chronos->quantile;
    size_t count = 0;
    struct timed *all = xcalloc(map_count(&c->entries) + 1, sizeof(*all));
    for (struct map_entry *m = map_first(&c->entries); is_known(name) && m != NULL; m = map_next(m)) {
        const struct entry *e = map_value(m);
        if (!e->is_deleted)
            all[count++] = (struct timed){e->job->id, value_of(e->durations, name)};
    }
    qsort(all, count, sizeof(*all), compare);
    struct json_writer w;
    struct buf body;
    buf_init(&body, BODY_BYTES_MAX);
    json_writer_init(&w, &body);
    json_begin_array(&w);
    for (size_t i = 0; i < count; i++) {
        json_begin_object(&w);
        json_kv_string(&w, "jobNameLabel", all[i].id);
        json_kv_double(&w, "time", all[i].ms / 1000);
        json_end_object(&w);
    }
    json_end_array(&w);
    free(all);
    cron_reply(c, r, 200, &body, false);
}
