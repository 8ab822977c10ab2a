/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/metrics.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"
#include "common/base/map.h"

#define TIMER_SAMPLES 1024
#define NAME_SIZE 512

struct timer {
    double samples[TIMER_SAMPLES]; /* a ring, newest at (total - 1) % TIMER_SAMPLES */
    uint64_t total;
    double sum;
};

struct metric {
    char *name;
    char *help;
    enum metric_kind kind;
    double value;
    double (*read)(void *ctx); /* NULL: value */
    void *ctx;
    struct timer *timer; /* NULL: a single number */
};

struct metrics {
    struct metric **list; /* in the order of adding */
    size_t count, capacity;
    struct map by_name;
};

struct metrics *metrics_new(void)
{
    struct metrics *m = xcalloc(1, sizeof(*m));
    map_init(&m->by_name);
    return m;
}

struct metrics *metrics_free(struct metrics *m)
{
    if (m == NULL)
        return NULL;
    for (size_t i = 0; i < m->count; i++) {
        free(m->list[i]->name);
        free(m->list[i]->help);
        free(m->list[i]->timer);
        free(m->list[i]);
    }
    map_deinit(&m->by_name);
    free(m->list);
    free(m);
    return NULL;
}

struct metric *metrics_add(struct metrics *m, const char *name, enum metric_kind kind, const char *help)
{
    struct metric *metric = map_get(&m->by_name, name);
    if (metric != NULL)
        return metric;
    metric = xcalloc(1, sizeof(*metric));
    metric->name = xstrdup(name);
    metric->help = xstrdup(help);
    metric->kind = kind;
    (void)map_put(&m->by_name, name, metric); /* was not there */
    if (m->count == m->capacity) {
        m->capacity = m->capacity > 0 ? 2 * m->capacity : 32;
        m->list = xrealloc(m->list, m->capacity * sizeof(struct metric *));
    }
    m->list[m->count++] = metric;
    return metric;
}

void metric_increment(struct metric *c, uint64_t by)
{
    c->value += (double)by;
}

void metric_set(struct metric *g, double value)
{
    g->value = value;
}

double metric_get(const struct metric *g)
{
    return g->read != NULL ? g->read(g->ctx) : g->value;
}

void metrics_add_function(struct metrics *m, const char *name, enum metric_kind kind, const char *help,
                          double (*read)(void *ctx), void *ctx)
{
    struct metric *metric = metrics_add(m, name, kind, help);
    CHECK(metric->timer == NULL);
    metric->read = read;
    metric->ctx = ctx;
}

struct metric *metrics_add_timer(struct metrics *m, const char *name, const char *help)
{
    struct metric *metric = metrics_add(m, name, METRIC_GAUGE, help);
    if (metric->timer == NULL)
        metric->timer = xcalloc(1, sizeof(*metric->timer));
    return metric;
}

void metric_sample_ms(struct metric *t, double ms)
{
    t->timer->samples[t->timer->total++ % TIMER_SAMPLES] = ms;
    t->timer->sum += ms;
    t->value = ms;
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* The samples in ascending order; returns how many. */
static size_t sort_samples(const struct timer *t, double sorted[TIMER_SAMPLES])
{
    size_t count = t->total < TIMER_SAMPLES ? (size_t)t->total : TIMER_SAMPLES;
    memcpy(sorted, t->samples, count * sizeof(*sorted));
    qsort(sorted, count, sizeof(*sorted), compare_doubles);
    return count;
}

/* Between two samples the straight line counts. */
static double percentile(const double *sorted, size_t count, double p)
{
    double place = p * (double)(count - 1);
    size_t below = (size_t)place;
    if (below + 1 >= count)
        return sorted[count - 1];
    return sorted[below] + (place - (double)below) * (sorted[below + 1] - sorted[below]);
}

static const struct {
    const char *name;  /* behind the slash */
    const char *label; /* of Prometheus */
    double p;
} percentiles[] = {{"p50", "0.5", 0.5},   {"p90", "0.9", 0.9},      {"p95", "0.95", 0.95},
                   {"p99", "0.99", 0.99}, {"p999", "0.999", 0.999}, {"p9999", "0.9999", 0.9999}};
#define PERCENTILE_COUNT (sizeof(percentiles) / sizeof(percentiles[0]))

static void each_of_timer(const struct metric *t, void (*fn)(void *ctx, const char *name, double value), void *ctx)
{
    double sorted[TIMER_SAMPLES];
    char name[NAME_SIZE];
    if (t->timer->total == 0)
        return;
    size_t count = sort_samples(t->timer, sorted);
    fn(ctx, t->name, t->value);
    const struct {
        const char *name;
        double value;
    } plain[] = {{"count", (double)count}, {"max", sorted[count - 1]}, {"min", sorted[0]}};
    for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++) {
        (void)snprintf(name, sizeof(name), "%s/%s", t->name, plain[i].name); /* names are ours and short */
        fn(ctx, name, plain[i].value);
    }
    for (size_t i = 0; i < PERCENTILE_COUNT; i++) {
        (void)snprintf(name, sizeof(name), "%s/%s", t->name, percentiles[i].name);
        fn(ctx, name, percentile(sorted, count, percentiles[i].p));
    }
}

void metrics_each(struct metrics *m, void (*fn)(void *ctx, const char *name, double value), void *ctx)
{
    for (size_t i = 0; i < m->count; i++) {
        const struct metric *metric = m->list[i];
        if (metric->timer != NULL) {
            each_of_timer(metric, fn, ctx);
            continue;
        }
        double value = metric_get(metric);
        if (!isnan(value))
            fn(ctx, metric->name, value);
    }
}

static void write_json_member(void *ctx, const char *name, double value)
{
    json_kv_double((struct json_writer *)ctx, name, value);
}

void metrics_write_json(struct metrics *m, struct json_writer *w)
{
    json_begin_object(w);
    metrics_each(m, write_json_member, w);
    json_end_object(w);
}

/* [a-zA-Z0-9_], whatever the name holds. */
static void prometheus_name(const char *name, char out[NAME_SIZE])
{
    (void)snprintf(out, NAME_SIZE, "muster_%s", name); /* a longer name is cut */
    for (char *c = out; *c != '\0'; c++)
        if (!((*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9')))
            *c = '_';
}

/* Overflow of out shows in out, in all that follows. */
static void put_header(const struct metric *metric, const char *name, const char *type, struct buf *out)
{
    (void)buf_printf(out, "# HELP %s ", name);
    for (const char *c = metric->help; *c != '\0'; c++)
        (void)buf_append_str(out, *c == '\\' ? "\\\\" : *c == '\n' ? "\\n" : (char[]){*c, '\0'});
    (void)buf_printf(out, "\n# TYPE %s %s\n", name, type);
}

static void put_sample(const char *name, const char *suffix, double value, struct buf *out)
{
    (void)buf_printf(out, "%s%s ", name, suffix);
    if (isinf(value)) {
        (void)buf_append_str(out, value > 0 ? "+Inf" : "-Inf");
    } else {
        struct json_writer w;
        json_writer_init(&w, out);
        json_put_number(&w, value);
    }
    (void)buf_append_char(out, '\n');
}

static void put_summary(const struct metric *t, const char *name, struct buf *out)
{
    double sorted[TIMER_SAMPLES];
    char label[32];
    if (t->timer->total == 0)
        return;
    size_t count = sort_samples(t->timer, sorted);
    put_header(t, name, "summary", out);
    for (size_t i = 0; i < PERCENTILE_COUNT; i++) {
        (void)snprintf(label, sizeof(label), "{quantile=\"%s\"}", percentiles[i].label);
        put_sample(name, label, percentile(sorted, count, percentiles[i].p), out);
    }
    put_sample(name, "_sum", t->timer->sum, out);
    put_sample(name, "_count", (double)t->timer->total, out);
}

void metrics_write_prometheus(struct metrics *m, struct buf *out)
{
    for (size_t i = 0; i < m->count; i++) {
        const struct metric *metric = m->list[i];
        char name[NAME_SIZE];
        prometheus_name(metric->name, name);
        if (metric->timer != NULL) {
            put_summary(metric, name, out);
            continue;
        }
        double value = metric_get(metric);
        if (isnan(value))
            continue;
        put_header(metric, name, metric->kind == METRIC_COUNTER ? "counter" : "gauge", out);
        put_sample(name, "", value, out);
    }
}
