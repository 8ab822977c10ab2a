/* SPDX-License-Identifier: Apache-2.0
 * publish.c - events for the event stream, with the names of Metronome's internal bus (facts: net-cron D.9). They go out
 * after what they tell is durable. */
#include "frameworks/cron/core.h"

static void begin(struct cron *c, const char *type, struct buf *b, struct json_writer *w)
{
    buf_init(b, 0);
    json_writer_init(w, b);
    json_begin_object(w);
    json_kv_string(w, "eventType", type);
    cron_put_time(w, "timestamp", c->wall_ms);
}

static void end(struct cron *c, const char *type, struct buf *b, struct json_writer *w)
{
    json_end_object(w);
    outbox_publish(c->outbox, type, b);
}

void cron_publish_job(struct cron *c, const char *type, const struct entry *e)
{
    struct buf b;
    struct json_writer w;
    begin(c, type, &b, &w);
    json_put_key(&w, "job");
    cron_view_job(c, e, 0, false, &w);
    end(c, type, &b, &w);
}

void cron_publish_run(struct cron *c, const char *type, const struct run *r, enum run_state state, const char *reason)
{
    struct buf b;
    struct json_writer w;
    begin(c, type, &b, &w);
    json_kv_string(&w, "jobId", r->entry->job->id);
    json_kv_string(&w, "runId", r->id);
    json_kv_string(&w, "status", cron_run_state_name(state));
    json_kv_string(&w, "trigger", cron_run_trigger_name(r->trigger));
    if (r->due_ms)
        cron_put_time(&w, "dueAt", r->due_ms);
    if (reason)
        json_kv_string(&w, "reason", reason);
    end(c, type, &b, &w);
}

void cron_publish_skip(struct cron *c, const struct entry *e, const struct skip *s)
{
    struct buf b;
    struct json_writer w;
    begin(c, "job_run_skipped", &b, &w);
    json_kv_string(&w, "jobId", e->job->id);
    json_kv_string(&w, "reason", s->reason);
    json_kv_uint(&w, "count", s->count);
    if (s->first_due_ms) {
        cron_put_time(&w, "firstDueAt", s->first_due_ms);
        cron_put_time(&w, "lastDueAt", s->last_due_ms);
    }
    end(c, "job_run_skipped", &b, &w);
}
