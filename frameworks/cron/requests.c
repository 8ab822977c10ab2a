/* SPDX-License-Identifier: Apache-2.0
 * requests.c - which part answers an API call, how answers leave, and the calls that change nothing. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"
#include "frameworks/cron/core.h"
#include "frameworks/cron/requests.h"

#define NEXT_DEFAULT 5
#define NEXT_MAX 100
#define BODY_BYTES_MAX (256u << 20) /* of answers: lists of all jobs */

void cron_reply_typed(struct cron *c, const struct cron_request *r, int status, const char *content_type, struct buf *body,
                      bool is_change)
{
    struct outbox_reply reply = {
        .id = r->id, .status = status, .body = body, .content_type = content_type, .is_change = is_change};
    outbox_reply(c->outbox, &reply);
}

void cron_reply(struct cron *c, const struct cron_request *r, int status, struct buf *body, bool is_change)
{
    cron_reply_typed(c, r, status, NULL, body, is_change);
}

void cron_reply_message(struct cron *c, const struct cron_request *r, int status, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    outbox_reply_message(c->outbox, r->id, status, fmt, ap);
    va_end(ap);
}

void cron_body_begin(struct buf *b, struct json_writer *w)
{
    buf_init(b, BODY_BYTES_MAX);
    json_writer_init(w, b);
}

void cron_reply_body(struct cron *c, const struct cron_request *r, int status, struct buf *b, bool is_change)
{
    if (b->overflowed) {
        buf_deinit(b);
        cron_reply_message(c, r, 500, "The answer is too large: ask for a part of it with limit and after");
        return;
    }
    cron_reply(c, r, status, b, is_change);
}

/* -- what is not there ---------------------------------------------------------------------------------------------- */

static void not_found(struct cron *c, const struct cron_request *r, const char *id, const char *message)
{
    struct buf b;
    struct json_writer w;
    cron_body_begin(&b, &w);
    json_begin_object(&w);
    json_kv_string(&w, "id", id);
    json_kv_string(&w, "message", message);
    json_end_object(&w);
    cron_reply(c, r, 404, &b, false);
}

struct entry *cron_need_job(struct cron *c, const struct cron_request *r)
{
    struct entry *e = cron_entry_find(c, r->job_id);
    if (e == NULL)
        not_found(c, r, r->job_id, "Job not found");
    return e;
}

struct entry *cron_need_schedule(struct cron *c, const struct cron_request *r)
{
    struct entry *e = cron_need_job(c, r);
    if (e == NULL)
        return NULL;
    if (e->job->schedule && strcmp(e->job->schedule->id, r->schedule_id) == 0)
        return e;
    not_found(c, r, r->schedule_id, "Schedule not found");
    return NULL;
}

struct run *cron_need_run(struct cron *c, const struct cron_request *r)
{
    struct entry *e = cron_need_job(c, r);
    if (e == NULL)
        return NULL;
    struct run *run = cron_run_find(c, e, r->run_id);
    if (run)
        return run;
    struct buf b;
    struct json_writer w;
    cron_body_begin(&b, &w);
    json_begin_object(&w);
    json_kv_string(&w, "jobSpec", r->job_id);
    json_kv_string(&w, "id", r->run_id);
    json_kv_string(&w, "message", "Job Run not found");
    json_end_object(&w);
    cron_reply(c, r, 404, &b, false);
    return NULL;
}

/* -- lists ---------------------------------------------------------------------------------------------------------- */

static void list_jobs(struct cron *c, const struct cron_request *r)
{
    struct buf b;
    struct json_writer w;
    bool is_behind = r->after == NULL;
    int64_t left = r->limit > 0 ? r->limit : INT64_MAX;
    cron_body_begin(&b, &w);
    json_begin_array(&w);
    for (struct map_entry *m = map_first(&c->entries); m && left > 0; m = map_next(m)) {
        const struct entry *e = map_value(m);
        if (!is_behind) {
            is_behind = strcmp(map_key(m), r->after) == 0;
            continue;
        }
        if (e->is_deleted)
            continue;
        cron_view_job(c, e, r->embed, true, &w);
        left--;
    }
    json_end_array(&w);
    cron_reply_body(c, r, 200, &b, false);
}

static void get_job(struct cron *c, const struct cron_request *r)
{
    struct buf b;
    struct json_writer w;
    const struct entry *e = cron_need_job(c, r);
    if (e == NULL)
        return;
    cron_body_begin(&b, &w);
    cron_view_job(c, e, r->embed, false, &w);
    cron_reply_body(c, r, 200, &b, false);
}

static void get_schedules(struct cron *c, const struct cron_request *r, bool is_list)
{
    struct buf b;
    struct json_writer w;
    const struct entry *e = is_list ? cron_need_job(c, r) : cron_need_schedule(c, r);
    if (e == NULL)
        return;
    cron_body_begin(&b, &w);
    if (is_list)
        json_begin_array(&w);
    if (e->job->schedule)
        cron_view_schedule(e, &w);
    if (is_list)
        json_end_array(&w);
    cron_reply(c, r, 200, &b, false);
}

static void list_runs(struct cron *c, const struct cron_request *r)
{
    struct buf b;
    struct json_writer w;
    const struct entry *e = cron_need_job(c, r);
    if (e == NULL)
        return;
    cron_body_begin(&b, &w);
    cron_view_runs(c, e, &w);
    cron_reply_body(c, r, 200, &b, false);
}

static void get_run(struct cron *c, const struct cron_request *r)
{
    struct buf b;
    struct json_writer w;
    const struct run *run = cron_need_run(c, r);
    if (run == NULL)
        return;
    cron_body_begin(&b, &w);
    cron_view_run(c, run, &w);
    cron_reply_body(c, r, 200, &b, false);
}

/* Runs that wait for an offer, by job. */
static void get_queue(struct cron *c, const struct cron_request *r)
{
    struct list *queues[] = {&c->queue_high, &c->queue};
    struct buf b;
    struct json_writer w;
    struct map seen;
    map_init(&seen);
    cron_body_begin(&b, &w);
    json_begin_array(&w);
    for (int q = 0; q < 2; q++) {
        list_for_each(node, queues[q])
        {
            struct entry *e = container_of(node, struct run, queue_link)->entry;
            if (map_put(&seen, e->job->id, e) != NULL)
                continue;
            json_begin_object(&w);
            json_kv_string(&w, "jobId", e->job->id);
            json_put_key(&w, "runs");
            json_begin_array(&w);
            list_for_each(run_node, &e->runs)
            {
                const struct run *run = container_of(run_node, struct run, link);
                if (list_is_empty((struct list *)&run->queue_link))
                    continue;
                json_begin_object(&w);
                json_kv_string(&w, "runId", run->id);
                json_end_object(&w);
            }
            json_end_array(&w);
            json_end_object(&w);
        }
    }
    json_end_array(&w);
    map_deinit(&seen);
    cron_reply_body(c, r, 200, &b, false);
}

/* -- what will be --------------------------------------------------------------------------------------------------- */

void cron_put_next(const struct schedule *s, int64_t after_ms, int64_t remaining, int64_t limit, struct json_writer *w)
{
    int64_t most = limit <= 0 ? NEXT_DEFAULT : limit < NEXT_MAX ? limit : NEXT_MAX;
    if (remaining >= 0 && remaining < most)
        most = remaining;
    json_put_key(w, "next");
    json_begin_array(w);
    for (int64_t at = after_ms; s && most > 0; most--) {
        char text[TEXT_TIME_SIZE];
        at = schedule_next(s, at);
        if (at == JOB_NEVER)
            break;
        text_format_time_ms(at, text);
        json_put_string(w, text);
    }
    json_end_array(w);
}

static void get_next(struct cron *c, const struct cron_request *r)
{
    struct buf b;
    struct json_writer w;
    const struct entry *e = cron_need_job(c, r);
    if (e == NULL)
        return;
    cron_body_begin(&b, &w);
    json_begin_object(&w);
    json_kv_string(&w, "jobId", e->job->id);
    json_kv_bool(&w, "enabled", e->job->schedule && e->job->schedule->is_enabled);
    cron_put_next(e->job->schedule, e->decided_ms, e->remaining, r->limit, &w);
    json_end_object(&w);
    cron_reply(c, r, 200, &b, false);
}

/* -- graphs --------------------------------------------------------------------------------------------------------- */

static const char *node_name(enum node_state s)
{
    static const char *const names[] = {"WAITING", "STARTED", "SUCCESS", "FAILED", "SKIPPED"};
    return names[s];
}

/* The job and everything below it, each once, parents before those that they alone lead to. */
static void collect(const struct entry *root, struct map *below)
{
    (void)map_put(below, root->job->id, (void *)root); /* the first */
    for (struct map_entry *m = map_first(below); m; m = map_next(m)) {
        const struct entry *e = map_value(m);
        for (size_t i = 0; i < e->child_count; i++) {
            if (map_get(below, e->children[i]->job->id) == NULL)
                (void)map_put(below, e->children[i]->job->id, e->children[i]); /* was not there */
        }
    }
}

static void put_instances(const struct cron *c, const char *root, const struct map *below, struct json_writer *w)
{
    size_t n = strlen(root);
    json_put_key(w, "instances");
    json_begin_array(w);
    for (struct map_entry *m = map_first(&c->graphs); m; m = map_next(m)) {
        const struct graph *g = map_value(m);
        if (strncmp(g->id, root, n) != 0 || g->id[n] != '/')
            continue;
        json_begin_object(w);
        json_kv_string(w, "id", g->id);
        json_put_key(w, "jobs");
        json_begin_object(w);
        for (struct map_entry *k = map_first(below); k; k = map_next(k))
            json_kv_string(w, map_key(k), node_name((enum node_state)(uintptr_t)map_get(&g->nodes, map_key(k))));
        json_end_object(w);
        json_end_object(w);
    }
    json_end_array(w);
}

static void get_graph(struct cron *c, const struct cron_request *r)
{
    struct buf b;
    struct json_writer w;
    const struct entry *e = cron_need_job(c, r);
    struct map below;
    if (e == NULL)
        return;
    map_init(&below);
    collect(e, &below);
    cron_body_begin(&b, &w);
    json_begin_object(&w);
    json_kv_string(&w, "jobId", e->job->id);
    json_put_key(&w, "nodes");
    json_begin_array(&w);
    for (struct map_entry *m = map_first(&below); m; m = map_next(m)) {
        const struct job *j = ((const struct entry *)map_value(m))->job;
        json_begin_object(&w);
        json_kv_string(&w, "id", j->id);
        json_put_key(&w, "parents");
        json_begin_array(&w);
        for (size_t i = 0; i < j->parent_count; i++)
            json_put_string(&w, j->parents[i]);
        json_end_array(&w);
        json_end_object(&w);
    }
    json_end_array(&w);
    put_instances(c, e->job->id, &below, &w);
    json_end_object(&w);
    map_deinit(&below);
    cron_reply_body(c, r, 200, &b, false);
}

/* -- all ------------------------------------------------------------------------------------------------------------ */

void cron_on_request(struct cron *c, const struct cron_request *r)
{
    if (!c->is_loaded) {
        cron_reply_message(c, r, 503, "The stored state is still being read");
        return;
    }
    bool wants_history = (r->embed & CRON_EMBED_HISTORY) != 0;
    switch (r->type) {
    case CRON_LIST_JOBS:
        (wants_history ? cron_read_for : list_jobs)(c, r);
        return;
    case CRON_GET_JOB:
        (wants_history ? cron_read_for : get_job)(c, r);
        return;
    case CRON_LIST_SCHEDULES:
        get_schedules(c, r, true);
        return;
    case CRON_GET_SCHEDULE:
        get_schedules(c, r, false);
        return;
    case CRON_LIST_RUNS:
        list_runs(c, r);
        return;
    case CRON_GET_RUN:
        get_run(c, r);
        return;
    case CRON_GET_QUEUE:
        get_queue(c, r);
        return;
    case CRON_GET_NEXT:
        get_next(c, r);
        return;
    case CRON_GET_GRAPH:
        get_graph(c, r);
        return;
    case CRON_GET_HISTORY:
    case CRON_LIST_ALL_RUNS:
    case CRON_FIND_RUN:
        cron_read_for(c, r);
        return;
    case CRON_CREATE_JOB:
    case CRON_PUT_JOB:
    case CRON_DELETE_JOB:
    case CRON_CREATE_SCHEDULE:
    case CRON_PUT_SCHEDULE:
    case CRON_DELETE_SCHEDULE:
    case CRON_CREATE_RUN:
    case CRON_STOP_RUN:
        cron_request_write(c, r);
        return;
    case CRON_CHRONOS:
        cron_chronos_on_request(c, r);
        return;
    }
    CHECK(!"type of a request");
}
