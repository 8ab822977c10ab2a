/* SPDX-License-Identifier: Apache-2.0
 * views.c - JSON of jobs, schedules, runs and records (facts: net-cron D.3 to D.6). */
#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"
#include "frameworks/cron/core.h"
#include "frameworks/cron/job_json.h"

/* As Java's yyyy-MM-dd'T'HH:mm:ss.SSSZ: with +0000 for Z. */
void cron_put_time(struct json_writer *w, const char *key, int64_t wall_ms)
{
    char text[TEXT_TIME_SIZE + 8];
    json_put_key(w, key);
    if (wall_ms == 0) {
        json_put_null(w);
        return;
    }
    text_format_time_ms(wall_ms, text);
    size_t n = strlen(text);
    if (n > 0 && text[n - 1] == 'Z')
        memcpy(text + n - 1, "+0000", 6);
    json_put_string(w, text);
}

static void put_time_if(struct json_writer *w, const char *key, int64_t wall_ms)
{
    if (wall_ms != 0)
        cron_put_time(w, key, wall_ms);
}

static void put_text(struct json_writer *w, const char *key, const char *text)
{
    if (text)
        json_kv_string(w, key, text);
}

/* Where the sandbox can be read through the agent's API, now and after the end. */
static void put_sandbox(const struct cron *c, struct json_writer *w, const char *task_id, const char *container_id,
                        const char *agent_address)
{
    struct buf b;
    if (agent_address == NULL || c->framework_id == NULL)
        return;
    buf_init(&b, 0);
    (void)buf_printf(&b, "http://%s/files/browse?path=/frameworks/%s/executors/%s/runs/%s", agent_address, c->framework_id,
                     task_id, container_id ? container_id : "latest"); /* bounded by the lengths of ids */
    char *url = buf_steal_str(&b);
    json_kv_string(w, "sandbox", url);
    free(url);
    buf_deinit(&b);
}

static void put_live_task(const struct cron *c, const struct task *t, struct json_writer *w)
{
    json_begin_object(w);
    json_kv_string(w, "id", t->id);
    cron_put_time(w, "startedAt", t->started_ms ? t->started_ms : t->launched_ms);
    json_kv_string(w, "status", cron_task_state_name(t));
    json_kv_string(w, "agentId", t->agent_id);
    json_kv_string(w, "host", t->hostname);
    if (t->run->array)
        json_kv_int(w, "index", t->index);
    put_sandbox(c, w, t->id, t->container_id, t->agent_address);
    json_end_object(w);
}

static void put_ended_task(const struct cron *c, const struct run *r, const struct ended_task *t, struct json_writer *w)
{
    json_begin_object(w);
    json_kv_string(w, "id", t->id);
    put_time_if(w, "startedAt", t->started_ms);
    cron_put_time(w, "completedAt", t->ended_ms);
    json_kv_string(w, "status", cron_task_end_name(t->how));
    put_text(w, "agentId", t->agent_id);
    put_text(w, "host", t->hostname);
    put_text(w, "message", t->message);
    if (r->array)
        json_kv_int(w, "index", t->index);
    if (t->elements_processed)
        json_kv_int(w, "numElementsProcessed", t->elements_processed);
    put_sandbox(c, w, t->id, t->container_id, t->agent_address);
    json_end_object(w);
}

static void put_tasks(const struct cron *c, const struct run *r, struct json_writer *w)
{
    json_put_key(w, "tasks");
    json_begin_array(w);
    for (size_t i = 0; i < r->ended_count; i++)
        put_ended_task(c, r, &r->ended[i], w);
    list_for_each(node, &r->tasks)
    {
        put_live_task(c, container_of(node, struct task, link), w);
    }
    json_end_array(w);
}

static void put_array(const struct run *r, struct json_writer *w)
{
    const struct array *a = r->array;
    if (a == NULL)
        return;
    json_put_key(w, "array");
    json_begin_object(w);
    json_kv_int(w, "count", a->count);
    json_kv_int(w, "parallel", a->parallel);
    json_kv_int(w, "running", (int64_t)r->task_count);
    json_kv_int(w, "succeeded", a->succeeded);
    json_kv_int(w, "failed", a->failed);
    json_end_object(w);
}

/* What Metronome does not tell. */
static void put_more(const struct run *r, struct json_writer *w)
{
    json_kv_string(w, "trigger", cron_run_trigger_name(r->trigger));
    json_kv_int(w, "ordinal", r->ordinal);
    put_time_if(w, "dueAt", r->due_ms);
    put_time_if(w, "intervalStart", r->interval_start_ms);
    put_time_if(w, "intervalEnd", r->interval_end_ms);
    put_text(w, "graph", r->graph ? r->graph->id : NULL);
    put_array(r, w);
}

void cron_view_run(const struct cron *c, const struct run *r, struct json_writer *w)
{
    json_begin_object(w);
    json_kv_string(w, "id", r->id);
    json_kv_string(w, "jobId", r->entry->job->id);
    json_kv_string(w, "status", cron_run_state_name(r->state));
    cron_put_time(w, "createdAt", r->created_ms);
    cron_put_time(w, "completedAt", 0);
    put_tasks(c, r, w);
    put_text(w, "reason", r->is_stopping ? r->stop_reason : NULL);
    put_more(r, w);
    json_end_object(w);
}

void cron_view_ended_run(const struct cron *c, const struct run *r, enum run_state state, const char *reason,
                         struct json_writer *w)
{
    json_begin_object(w);
    json_kv_string(w, "id", r->id);
    json_kv_string(w, "jobId", r->entry->job->id);
    json_kv_string(w, "status", cron_run_state_name(state));
    cron_put_time(w, "createdAt", r->created_ms);
    put_time_if(w, "startedAt", r->started_ms);
    cron_put_time(w, "completedAt", c->wall_ms);
    if (r->started_ms)
        json_kv_int(w, "durationMs", c->wall_ms > r->started_ms ? c->wall_ms - r->started_ms : 0);
    put_text(w, "reason", reason);
    put_tasks(c, r, w);
    put_more(r, w);
    json_end_object(w);
}

void cron_view_skip(const struct cron *c, const struct entry *e, const struct skip *s, int64_t ordinal,
                    struct json_writer *w)
{
    json_begin_object(w);
    json_kv_string(w, "jobId", e->job->id);
    json_kv_string(w, "status", cron_run_state_name(RUN_SKIPPED));
    cron_put_time(w, "createdAt", c->wall_ms);
    cron_put_time(w, "completedAt", c->wall_ms);
    json_kv_string(w, "reason", s->reason);
    json_kv_int(w, "ordinal", ordinal);
    put_time_if(w, "firstDueAt", s->first_due_ms);
    put_time_if(w, "lastDueAt", s->last_due_ms);
    json_kv_uint(w, "count", s->count);
    json_kv_bool(w, "isCountExact", s->is_count_exact);
    put_text(w, "graph", s->graph ? s->graph->id : NULL);
    json_end_object(w);
}

void cron_view_schedule(const struct entry *e, struct json_writer *w)
{
    json_begin_object(w);
    schedule_write_members(e->job->schedule, w);
    int64_t next = cron_entry_next_due(e);
    if (next != JOB_NEVER)
        cron_put_time(w, "nextRunAt", next);
    json_end_object(w);
}

static void put_summary(const struct entry *e, struct json_writer *w)
{
    json_put_key(w, "historySummary");
    json_begin_object(w);
    json_kv_int(w, "successCount", e->successes);
    json_kv_int(w, "failureCount", e->failures);
    cron_put_time(w, "lastSuccessAt", e->last_success_ms);
    cron_put_time(w, "lastFailureAt", e->last_failure_ms);
    json_end_object(w);
}

static void put_active_runs(const struct cron *c, const struct entry *e, struct json_writer *w)
{
    json_put_key(w, "activeRuns");
    cron_view_runs(c, e, w);
}

void cron_view_runs(const struct cron *c, const struct entry *e, struct json_writer *w)
{
    json_begin_array(w);
    list_for_each(node, &e->runs)
    {
        cron_view_run(c, container_of(node, struct run, link), w);
    }
    json_end_array(w);
}

void cron_view_job_members(const struct cron *c, const struct entry *e, unsigned embed, bool is_list, struct json_writer *w)
{
    job_write_members(e->job, w);
    json_put_key(w, "schedules");
    json_begin_array(w);
    if (e->job->schedule)
        cron_view_schedule(e, w);
    json_end_array(w);
    if ((embed & CRON_EMBED_ACTIVE_RUNS) && (e->run_count > 0 || !is_list))
        put_active_runs(c, e, w);
    if (embed & CRON_EMBED_HISTORY_SUMMARY)
        put_summary(e, w);
}

void cron_view_job(const struct cron *c, const struct entry *e, unsigned embed, bool is_list, struct json_writer *w)
{
    json_begin_object(w);
    cron_view_job_members(c, e, embed, is_list, w);
    json_end_object(w);
}
