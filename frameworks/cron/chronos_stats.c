/* SPDX-License-Identifier: Apache-2.0
 * chronos_stats.c - how long the runs of jobs take: Chronos's histograms, of the runs since this process started, and its
 * list of the last tasks of a job. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"
#include "frameworks/cron/chronos_core.h"
#include "frameworks/cron/requests.h"
#include "frameworks/cron/time/calendar.h"

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
    const struct cron_request read = {.id = r->id, .type = CRON_CHRONOS, .job_id = e->job->id};
    cron_read_for(c, &read);
}

/* -- the last tasks of a job ------------------------------------------------------------------------------------- */

/* MM/dd/yy HH:mm:ss, in UTC; 0: N/A. */
static void put_stat_time(struct json_writer *w, const char *key, int64_t wall_ms)
{
    char text[48] = "N/A";
    if (wall_ms != 0) {
        int64_t days = calendar_floor_div(wall_ms, CALENDAR_DAY_MS);
        int second = (int)((wall_ms - days * CALENDAR_DAY_MS) / 1000);
        struct calendar_date d = calendar_date(days);
        (void)snprintf(text, sizeof(text), "%02d/%02d/%02d %02d:%02d:%02d", d.month, d.day, d.year % 100, second / 3600,
                       second / 60 % 60, second % 60); /* fits */
    }
    json_kv_string(w, key, text);
}

struct task_stat {
    const char *task_id, *agent_id, *status;
    int64_t started_ms, ended_ms, elements;
};

static void put_task_stat(const char *job_id, const struct task_stat *t, struct json_writer *w)
{
    json_begin_object(w);
    json_kv_string(w, "taskId", t->task_id);
    json_kv_string(w, "jobName", job_id);
    json_kv_string(w, "slaveId", t->agent_id != NULL ? t->agent_id : "");
    put_stat_time(w, "startTime", t->started_ms);
    put_stat_time(w, "endTime", t->ended_ms);
    if (t->started_ms != 0 && t->ended_ms >= t->started_ms) {
        static const int64_t sizes[] = {86400, 3600, 60};
        int64_t left = (t->ended_ms - t->started_ms) / 1000;
        char text[64];
        size_t len = 0;
        for (size_t i = 0; i < 3; left %= sizes[i++]) {
            if (left >= sizes[i])
                len += (size_t)snprintf(text + len, sizeof(text) - len, "%lld%c", (long long)(left / sizes[i]), "dhm"[i]);
        }
        (void)snprintf(text + len, sizeof(text) - len, "%llds", (long long)left); /* all of it is short */
        json_kv_string(w, "duration", text);
    }
    json_kv_string(w, "status", t->status);
    json_kv_int(w, "numElementsProcessed", t->elements);
    json_end_object(w);
}

static void put_live_tasks(const struct entry *e, struct json_writer *w)
{
    list_for_each(l, &e->runs)
    {
        const struct run *r = container_of(l, struct run, link);
        list_for_each(k, (struct list *)&r->tasks)
        {
            const struct task *t = container_of(k, struct task, link);
            put_task_stat(e->job->id,
                          &(struct task_stat){t->id, t->agent_id, t->started_ms != 0 ? "Running" : "Idle", t->started_ms, 0,
                                              t->elements_processed},
                          w);
        }
    }
}

static int64_t time_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    struct iso8601_time t;
    return text != NULL && iso8601_time_parse(text, &t, NULL) == 0 ? t.local_ms - t.offset_s * INT64_C(1000) : 0;
}

/* The tasks of one record of the history, newest first. */
static void put_record(const char *job_id, const struct kit_item *item, struct json_writer *w)
{
    json_t *record = json_read(item->value, item->value_len, NULL);
    const json_t *tasks = json_object_get(record, "tasks");
    for (size_t i = json_array_size(tasks); i-- > 0;) {
        const json_t *t = json_array_get(tasks, i);
        const char *id = json_string_value(json_object_get(t, "id"));
        const char *status = json_string_value(json_object_get(t, "status"));
        struct task_stat stat = {.task_id = id != NULL ? id : "",
                                 .agent_id = json_string_value(json_object_get(t, "agentId")),
                                 .status = status != NULL && strcmp(status, "TASK_FINISHED") == 0 ? "Success" : "Fail",
                                 .started_ms = time_of(t, "startedAt"),
                                 .ended_ms = time_of(t, "completedAt"),
                                 .elements = json_integer_value(json_object_get(t, "numElementsProcessed"))};
        put_task_stat(job_id, &stat, w);
    }
    json_decref(record);
}

void chronos_on_stat_records(struct cron *c, const struct cron_request *r, const struct kit_item *items, size_t count)
{
    const struct entry *e = cron_entry_find(c, r->job_id);
    struct json_writer w;
    struct buf body;
    if (e == NULL) {
        chronos_reply_error(c, r, 400, "Job '%s' not found", r->job_id);
        return;
    }
    buf_init(&body, 0);
    json_writer_init(&w, &body);
    json_begin_object(&w);
    write_histogram(e->durations, &w);
    json_put_key(&w, "taskStatHistory");
    json_begin_array(&w);
    put_live_tasks(e, &w);
    for (size_t i = 0; i < count; i++)
        put_record(e->job->id, &items[i], &w);
    json_end_array(&w);
    json_end_object(&w);
    cron_reply_body(c, r, 200, &body, false);
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
    cron_reply_body(c, r, 200, &body, false);
}
