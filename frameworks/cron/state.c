/* SPDX-License-Identifier: Apache-2.0
 * state.c - what is written to the store (facts: lessons of flat directories, net-cron G.3). BB is a bucket of job ids, so
 * that a store with directories has no large ones. Below CRON_STORE_PREFIX, read at the start:
 *
 *   framework                      {"id"}
 *   job/BB/<id>                    present definition
 *   progress/BB/<id>               what its schedule has decided, counts and results
 *   spec/BB/<id>@<version>         an older definition, kept until its last run has ended
 *   run/BB/<id>/<run>              live run, with its task if it is no array
 *   task/BB/<id>/<run>/<index>     live task of an array run, or a failed index that waits for another
 *   failed/BB/<id>/<run>/<chunk>   bits of failed indices of an array run
 *   graph/BB/<root id>/<root run>  how the jobs of a graph ended
 *
 * Below CRON_HISTORY_PREFIX, read on demand, newest first:
 *
 *   BB/<id>/<16 hex digits that fall>  an ended run, or moments that did not run */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"
#include "frameworks/cron/core.h"
#include "frameworks/cron/job_json.h"

#define RECORD_BYTES_MAX (512u << 10)

unsigned cron_bucket(const char *job_id)
{
    uint32_t h = 2166136261u; /* FNV-1a */
    for (; *job_id; job_id++)
        h = (h ^ (unsigned char)*job_id) * 16777619u;
    return (h ^ h >> 8 ^ h >> 16 ^ h >> 24) & 0xff;
}

static const char *key_of(struct cron *c, const char *kind, const char *id)
{
    return arena_printf(outbox_now_arena(c->outbox), "%s/%02x/%s", kind, cron_bucket(id), id);
}

static void begin(struct buf *b, struct json_writer *w)
{
    buf_init(b, RECORD_BYTES_MAX);
    json_writer_init(w, b);
    json_begin_object(w);
}

static void end(struct cron *c, const char *key, struct buf *b, struct json_writer *w)
{
    json_end_object(w);
    CHECK(!b->overflowed); /* definitions are bounded, and so are texts of runs */
    outbox_write(c->outbox, key, buf_data(b), buf_len(b));
    buf_deinit(b);
}

static void forget(struct cron *c, const char *key)
{
    outbox_write(c->outbox, key, NULL, 0);
}

static void put_text(struct json_writer *w, const char *key, const char *text)
{
    if (text)
        json_kv_string(w, key, text);
}

static void put_int(struct json_writer *w, const char *key, int64_t value)
{
    if (value != 0)
        json_kv_int(w, key, value);
}

static void put_bool(struct json_writer *w, const char *key, bool value)
{
    if (value)
        json_kv_bool(w, key, true);
}

/* -- jobs ----------------------------------------------------------------------------------------------------------- */

void cron_store_framework(struct cron *c)
{
    struct buf b;
    struct json_writer w;
    begin(&b, &w);
    json_kv_string(&w, "id", c->framework_id);
    end(c, "framework", &b, &w);
}

static void write_definition(struct cron *c, const char *key, const struct job *j)
{
    struct buf b;
    struct json_writer w;
    buf_init(&b, RECORD_BYTES_MAX);
    json_writer_init(&w, &b);
    job_write_stored(j, &w);
    CHECK(!b.overflowed); /* bounded when it was accepted */
    outbox_write(c->outbox, key, buf_data(&b), buf_len(&b));
    buf_deinit(&b);
}

void cron_store_job(struct cron *c, const struct entry *e)
{
    write_definition(c, key_of(c, "job", e->job->id), e->job);
}

static const char *history_key(struct cron *c, const struct entry *e, int64_t number)
{
    return arena_printf(outbox_now_arena(c->outbox), CRON_HISTORY_PREFIX "%02x/%s/%016llx", cron_bucket(e->job->id),
                        e->job->id, (unsigned long long)(INT64_MAX - number));
}

void cron_forget_job(struct cron *c, struct entry *e)
{
    forget(c, key_of(c, "job", e->job->id));
    forget(c, key_of(c, "progress", e->job->id));
    for (; e->history_count > 0; e->history_count--)
        outbox_write_at(c->outbox, history_key(c, e, e->history_next - e->history_count), NULL, 0);
    e->history_next = 0;
}

static const char *spec_key(struct cron *c, const struct job *j)
{
    return arena_printf(outbox_now_arena(c->outbox), "%s@%lld", key_of(c, "spec", j->id), (long long)j->version_ms);
}

void cron_store_old_spec(struct cron *c, const struct job *j)
{
    write_definition(c, spec_key(c, j), j);
}

void cron_forget_old_spec(struct cron *c, const struct job *j)
{
    forget(c, spec_key(c, j));
}

static void store_progress(struct cron *c, const struct entry *e)
{
    struct buf b;
    struct json_writer w;
    begin(&b, &w);
    put_int(&w, "created", e->created);
    put_int(&w, "decided", e->decided_ms);
    put_int(&w, "lastDue", e->last_due_ms);
    json_kv_int(&w, "remaining", e->remaining);
    json_kv_int(&w, "ordinal", e->next_ordinal);
    put_int(&w, "historyNext", e->history_next);
    put_int(&w, "history", e->history_count);
    put_int(&w, "successes", e->successes);
    put_int(&w, "failures", e->failures);
    put_int(&w, "failuresInRow", e->failures_in_row);
    put_int(&w, "lastSuccess", e->last_success_ms);
    put_int(&w, "lastFailure", e->last_failure_ms);
    put_int(&w, "lastStarted", e->last_started_ms);
    if (map_count(&e->consumed) > 0) {
        json_put_key(&w, "consumed");
        json_begin_object(&w);
        for (struct map_entry *m = map_first(&e->consumed); m; m = map_next(m))
            json_kv_int(&w, map_key(m), *(const int64_t *)map_value(m));
        json_end_object(&w);
    }
    end(c, key_of(c, "progress", e->job->id), &b, &w);
}

/* -- runs ----------------------------------------------------------------------------------------------------------- */

static void put_task(struct json_writer *w, const struct task *t)
{
    json_kv_string(w, "id", t->id);
    json_kv_int(w, "attempt", t->attempt);
    put_int(w, "state", t->state);
    json_kv_string(w, "agent", t->agent_id);
    json_kv_string(w, "host", t->hostname);
    put_text(w, "container", t->container_id);
    put_text(w, "address", t->agent_address);
    put_int(w, "launched", t->launched_ms);
    put_int(w, "started", t->started_ms);
    put_int(w, "unreachable", t->unreachable_ms);
    put_int(w, "elements", t->elements_processed);
    put_bool(w, "heard", t->is_heard);
    put_bool(w, "killed", t->is_killed);
    put_bool(w, "timedOut", t->is_timed_out);
}

static void put_ended(struct json_writer *w, const struct run *r)
{
    if (r->ended_count == 0)
        return;
    json_put_key(w, "ended");
    json_begin_array(w);
    for (size_t i = 0; i < r->ended_count; i++) {
        const struct ended_task *t = &r->ended[i];
        json_begin_object(w);
        json_kv_string(w, "id", t->id);
        put_text(w, "agent", t->agent_id);
        put_text(w, "host", t->hostname);
        put_text(w, "container", t->container_id);
        put_text(w, "address", t->agent_address);
        put_text(w, "message", t->message);
        put_int(w, "index", t->index);
        put_int(w, "started", t->started_ms);
        put_int(w, "at", t->ended_ms);
        put_int(w, "how", t->how);
        put_int(w, "elements", t->elements_processed);
        json_end_object(w);
    }
    json_end_array(w);
}

static const char *run_key(struct cron *c, const char *kind, const struct run *r)
{
    return arena_printf(outbox_now_arena(c->outbox), "%s/%s", key_of(c, kind, r->entry->job->id), r->id);
}

static void put_parameters(struct json_writer *w, const struct run *r)
{
    if (r->arg_count > 0) {
        json_put_key(w, "args");
        json_begin_array(w);
        for (size_t i = 0; i < r->arg_count; i++)
            json_put_string(w, r->args[i]);
        json_end_array(w);
    }
    if (r->env.count > 0) {
        json_put_key(w, "env");
        pairs_write(&r->env, w);
    }
}

static void store_run(struct cron *c, struct run *r)
{
    struct buf b;
    struct json_writer w;
    begin(&b, &w);
    json_kv_int(&w, "version", r->spec->version_ms);
    json_kv_int(&w, "ordinal", r->ordinal);
    put_int(&w, "trigger", r->trigger);
    put_int(&w, "due", r->due_ms);
    put_int(&w, "from", r->interval_start_ms);
    put_int(&w, "to", r->interval_end_ms);
    put_int(&w, "created", r->created_ms);
    put_int(&w, "started", r->started_ms);
    put_int(&w, "attempts", r->attempts);
    put_int(&w, "relaunches", r->relaunches);
    put_bool(&w, "waits", r->waits_for_older);
    put_text(&w, "graph", r->graph ? r->graph->id : NULL);
    put_text(&w, "stop", r->is_stopping ? r->stop_reason : NULL);
    if (r->not_before_ms)
        json_kv_int(&w, "notBefore", c->wall_ms + (r->not_before_ms - c->now_ms));
    put_parameters(&w, r);
    put_ended(&w, r);
    if (r->array) {
        put_int(&w, "next", r->array->next);
        put_int(&w, "succeeded", r->array->succeeded);
        put_int(&w, "failed", r->array->failed);
    } else if (!list_is_empty(&r->tasks)) {
        json_put_key(&w, "task");
        json_begin_object(&w);
        put_task(&w, container_of(r->tasks.next, struct task, link));
        json_end_object(&w);
    }
    r->is_stored = true;
    end(c, run_key(c, "run", r), &b, &w);
}

void cron_forget_run(struct cron *c, struct run *r)
{
    if (!r->is_stored)
        return; /* made and ended in one step */
    forget(c, run_key(c, "run", r));
    if (r->array == NULL)
        return;
    for (int64_t i = 0; i < r->array->count; i += ARRAY_CHUNK) {
        if (array_chunk(r->array, i))
            forget(c, arena_printf(outbox_now_arena(c->outbox), "%s/%lld", run_key(c, "failed", r),
                                   (long long)(i / ARRAY_CHUNK)));
    }
    array_wake(r->array, INT64_MAX);
    list_for_each(node, &r->array->ready)
    {
        cron_forget_index(c, r, container_of(node, struct array_retry, link)->index);
    }
}

/* -- arrays --------------------------------------------------------------------------------------------------------- */

static const char *index_key(struct cron *c, const struct run *r, int64_t index)
{
    return arena_printf(outbox_now_arena(c->outbox), "%s/%lld", run_key(c, "task", r), (long long)index);
}

void cron_store_task(struct cron *c, const struct task *t)
{
    struct buf b;
    struct json_writer w;
    begin(&b, &w);
    put_task(&w, t);
    end(c, index_key(c, t->run, t->index), &b, &w);
}

void cron_forget_index(struct cron *c, const struct run *r, int64_t index)
{
    forget(c, index_key(c, r, index));
}

void cron_forget_task(struct cron *c, const struct task *t)
{
    cron_forget_index(c, t->run, t->index);
}

void cron_store_array_retry(struct cron *c, const struct run *r, int64_t index, unsigned attempt)
{
    struct buf b;
    struct json_writer w;
    begin(&b, &w);
    json_kv_bool(&w, "retry", true);
    json_kv_int(&w, "attempt", attempt);
    end(c, index_key(c, r, index), &b, &w);
}

void cron_store_array_chunk(struct cron *c, const struct run *r, int64_t index)
{
    const char *key =
        arena_printf(outbox_now_arena(c->outbox), "%s/%lld", run_key(c, "failed", r), (long long)(index / ARRAY_CHUNK));
    outbox_write(c->outbox, key, array_chunk(r->array, index), ARRAY_CHUNK / 8);
}

/* -- graphs --------------------------------------------------------------------------------------------------------- */

static const char *graph_key(struct cron *c, const struct graph *g)
{
    char root[JOB_ID_MAX + 1];
    (void)snprintf(root, sizeof(root), "%.*s", (int)strcspn(g->id, "/"), g->id); /* an id of a job fits */
    return arena_printf(outbox_now_arena(c->outbox), "graph/%02x/%s", cron_bucket(root), g->id);
}

static void store_graph(struct cron *c, struct graph *g)
{
    struct buf b;
    struct json_writer w;
    begin(&b, &w);
    for (struct map_entry *m = map_first(&g->nodes); m; m = map_next(m))
        json_kv_int(&w, map_key(m), (int64_t)(uintptr_t)map_value(m));
    g->is_stored = true;
    end(c, graph_key(c, g), &b, &w);
}

void cron_forget_graph(struct cron *c, const struct graph *g)
{
    if (g->is_stored)
        forget(c, graph_key(c, g));
}

/* -- the end of a step ---------------------------------------------------------------------------------------------- */

void cron_store_dirty(struct cron *c)
{
    for (struct list *node; (node = list_pop_front(&c->dirty_graphs)) != NULL;)
        store_graph(c, container_of(node, struct graph, dirty_link));
    for (struct list *node; (node = list_pop_front(&c->dirty_runs)) != NULL;)
        store_run(c, container_of(node, struct run, dirty_link));
    for (struct list *node; (node = list_pop_front(&c->dirty_entries)) != NULL;) {
        struct entry *e = container_of(node, struct entry, dirty_link);
        e->is_dirty = false;
        if (!e->is_deleted)
            store_progress(c, e);
    }
}

void cron_store_history(struct cron *c, struct entry *e, struct buf *record)
{
    if (!record->overflowed) { /* what is in it is bounded far below */
        outbox_write_at(c->outbox, history_key(c, e, e->history_next++), buf_data(record), buf_len(record));
        e->history_count++;
    }
    buf_deinit(record);
    for (; e->history_count > c->config.history_count; e->history_count--)
        outbox_write_at(c->outbox, history_key(c, e, e->history_next - e->history_count), NULL, 0);
    cron_entry_changed(c, e);
}
