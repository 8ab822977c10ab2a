/* SPDX-License-Identifier: Apache-2.0
 * api_info.c - what the process says about itself: ping, info, leader, metrics (facts: net-cron D.1, D.10). */
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "common/base/json.h"
#include "frameworks/cron/shell.h"

#define VERSION "0.6.44" /* of the API spoken here; clients compare it */
#define LIBRARY_VERSION "1.11.24"

static void send(struct http_exchange *x, struct buf *b)
{
    kit_send(x, 200, (const char *)buf_data(b), buf_len(b));
    buf_deinit(b);
}

static void info(struct cron_shell *s, struct http_exchange *x)
{
    const struct cron_shell_options *o = &s->options;
    const char *framework_id = cron_framework_id(s->kit->core);
    struct buf b;
    struct json_writer w;
    buf_init(&b, 0);
    json_writer_init(&w, &b);
    json_begin_object(&w);
    json_kv_string(&w, "version", VERSION);
    json_kv_string(&w, "libVersion", LIBRARY_VERSION);
    json_kv_string(&w, "name", "muster cron");
    json_kv_string(&w, "musterVersion", MUSTER_VERSION);
    if (framework_id)
        json_kv_string(&w, "frameworkId", framework_id);
    json_put_key(&w, "config");
    json_begin_object(&w);
    json_kv_string(&w, "mesosMaster", o->kit.master);
    json_kv_string(&w, "frameworkName", o->kit.framework_name);
    json_kv_string(&w, "mesosRole", o->kit.mesos_role);
    json_kv_int(&w, "failoverTimeout", o->kit.failover_timeout_s);
    json_kv_int(&w, "historyCount", o->history_count);
    json_kv_int(&w, "taskLaunchTimeout", o->task_launch_timeout);
    json_kv_int(&w, "reconciliationInterval", o->reconciliation_interval);
    json_end_object(&w);
    json_end_object(&w);
    send(x, &b);
}

static void leader(struct cron_shell *s, struct http_exchange *x)
{
    struct buf b;
    struct json_writer w;
    buf_init(&b, 0);
    json_writer_init(&w, &b);
    json_begin_object(&w);
    json_kv_string(&w, "leader", s->kit->address);
    json_end_object(&w);
    send(x, &b);
}

static const struct {
    const char *name;
    bool is_counter;
    size_t offset;
} metric_table[] = {
    {"metronome.jobs.known", false, offsetof(struct cron_counts, jobs)},
    {"metronome.jobs.scheduled", false, offsetof(struct cron_counts, scheduled)},
    {"metronome.jobs.active", false, offsetof(struct cron_counts, runs)},
    {"metronome.jobs.queued", false, offsetof(struct cron_counts, queued)},
    {"metronome.tasks.active", false, offsetof(struct cron_counts, tasks)},
    {"metronome.graphs.active", false, offsetof(struct cron_counts, graphs)},
    {"metronome.jobs.started", true, offsetof(struct cron_counts, runs_started_total)},
    {"metronome.jobs.succeeded", true, offsetof(struct cron_counts, runs_succeeded_total)},
    {"metronome.jobs.failed", true, offsetof(struct cron_counts, runs_failed_total)},
    {"metronome.moments.skipped", true, offsetof(struct cron_counts, moments_skipped_total)},
    {"metronome.tasks.launched", true, offsetof(struct cron_counts, launches_total)},
    {"metronome.tasks.killed", true, offsetof(struct cron_counts, kills_total)},
    {"metronome.offers.incoming", true, offsetof(struct cron_counts, offers_total)},
    {"metronome.offers.declined", true, offsetof(struct cron_counts, declines_total)},
};
#define METRIC_COUNT (sizeof(metric_table) / sizeof(metric_table[0]))

static uint64_t value_of(const struct cron_counts *counts, size_t k)
{
    return *(const uint64_t *)(const void *)((const char *)counts + metric_table[k].offset);
}

static void put_kind(struct cron_shell *s, const struct cron_counts *counts, bool is_counter, struct json_writer *w)
{
    char name[96];
    json_put_key(w, is_counter ? "counters" : "gauges");
    json_begin_object(w);
    for (size_t k = 0; k < METRIC_COUNT; k++) {
        if (metric_table[k].is_counter != is_counter)
            continue;
        (void)snprintf(name, sizeof(name), "%s.%s", metric_table[k].name, is_counter ? "counter" : "gauge"); /* fits */
        json_put_key(w, name);
        json_begin_object(w);
        json_kv_uint(w, is_counter ? "count" : "value", value_of(counts, k));
        json_end_object(w);
    }
    if (!is_counter) {
        json_put_key(w, "metronome.uptime.gauge.seconds");
        json_begin_object(w);
        json_kv_number(w, "value", (double)(loop_wall_ms(s->kit->loop) - s->started_ms) / 1000);
        json_end_object(w);
    }
    json_end_object(w);
}

/* The form of Dropwizard's registry. */
static void metrics(struct cron_shell *s, struct http_exchange *x)
{
    struct cron_counts counts;
    struct buf b;
    struct json_writer w;
    cron_get_counts(s->kit->core, &counts);
    buf_init(&b, 0);
    json_writer_init(&w, &b);
    json_begin_object(&w);
    json_kv_string(&w, "version", "4.0.0");
    put_kind(s, &counts, false, &w);
    put_kind(s, &counts, true, &w);
    static const char *const empty[] = {"histograms", "meters", "timers"};
    for (size_t k = 0; k < 3; k++) {
        json_put_key(&w, empty[k]);
        json_begin_object(&w);
        json_end_object(&w);
    }
    json_end_object(&w);
    send(x, &b);
}

static void prometheus(struct cron_shell *s, struct http_exchange *x)
{
    struct cron_counts counts;
    struct buf b;
    cron_get_counts(s->kit->core, &counts);
    buf_init(&b, 0);
    for (size_t k = 0; k < METRIC_COUNT; k++) {
        char name[96];
        (void)snprintf(name, sizeof(name), "%s%s", metric_table[k].name, metric_table[k].is_counter ? "_total" : "");
        for (char *at = name; *at; at++)
            *at = *at == '.' ? '_' : *at;
        (void)buf_printf(&b, "# TYPE %s %s\n%s %llu\n", name, metric_table[k].is_counter ? "counter" : "gauge", name,
                         (unsigned long long)value_of(&counts, k)); /* far below the bound */
    }
    http_reply(x, 200, "text/plain; version=0.0.4", buf_data(&b), buf_len(&b));
    buf_deinit(&b);
}

bool cron_api_route_info(struct cron_shell *s, struct http_exchange *x, const struct http_message *m, const char *path)
{
    if (strcmp(m->method, "GET") != 0 && strcmp(m->method, "HEAD") != 0)
        return false;
    if (strcmp(path, "/ping") == 0)
        http_reply(x, 200, "text/plain;charset=utf-8", "pong", 4);
    else if (strcmp(path, "/info") == 0 || strcmp(path, "/v1/info") == 0)
        info(s, x);
    else if (strcmp(path, "/leader") == 0)
        leader(s, x);
    else if (strcmp(path, "/v1/metrics") == 0 || strcmp(path, "/metrics") == 0)
        metrics(s, x);
    else if (strcmp(path, "/metrics/prometheus") == 0)
        prometheus(s, x);
    else
        return false;
    return true;
}
