/* SPDX-License-Identifier: Apache-2.0
 * reads.c - answers that need ended runs, which are in the store only. A request becomes a chain of reads, one job after
 * the other, and is answered when the last one is done. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"
#include "frameworks/cron/chronos_core.h"
#include "frameworks/cron/requests.h"

#define PAGE_DEFAULT 100
#define PAGE_MAX 1000
#define FIND_PAGE 100
#define RUN_ID_LEN 19
#define FIND_MARGIN_MS 3600000 /* for clocks that were set back */
#define READS_MAX 256          /* requests that wait for the store at a time */

struct read {
    uint64_t token;
    struct cron_request request; /* strings owned */
    struct buf body;
    struct json_writer writer;
    char *job_id;     /* of the present read */
    char *after_key;  /* where it begins, NULL: at the newest */
    int64_t left;     /* of the page */
    bool is_array;    /* the answer is one */
    int64_t since_ms; /* of a search: what ended before is not it */
};

static char *copy_or_null(const char *s)
{
    return s ? xstrdup(s) : NULL;
}

static void read_free(struct cron *c, struct read *r)
{
    (void)map_remove_n(&c->reads, &r->token, sizeof(r->token)); /* may not be in it any more */
    free((char *)r->request.job_id);
    free((char *)r->request.run_id);
    free((char *)r->request.after);
    free(r->job_id);
    free(r->after_key);
    buf_deinit(&r->body);
    free(r);
}

void cron_reads_free(struct cron *c)
{
    for (struct map_entry *m; (m = map_first(&c->reads)) != NULL;)
        read_free(c, map_value(m));
}

static struct read *read_new(struct cron *c, const struct cron_request *r)
{
    struct read *read = xcalloc(1, sizeof(*read));
    read->request = (struct cron_request){.id = r->id, .type = r->type, .embed = r->embed, .limit = r->limit};
    read->request.job_id = copy_or_null(r->job_id);
    read->request.run_id = copy_or_null(r->run_id);
    read->request.after = copy_or_null(r->after);
    cron_body_begin(&read->body, &read->writer);
    (void)c;
    return read;
}

static const char *prefix_of(struct cron *c, const char *job_id)
{
    return arena_printf(outbox_now_arena(c->outbox), CRON_HISTORY_PREFIX "%02x/%s/", cron_bucket(job_id), job_id);
}

/* Asks for ended runs of a job, newest first. limit 0: all that are kept. */
static void ask(struct cron *c, struct read *r, const char *job_id, size_t limit)
{
    char *own = xstrdup(job_id);
    free(r->job_id);
    r->job_id = own;
    r->token = ++c->last_read;
    (void)map_put_n(&c->reads, &r->token, sizeof(r->token), r); /* tokens are new */
    struct kit_effect e = {.type = KIT_EFFECT_READ};
    e.read.token = r->token;
    e.read.prefix = prefix_of(c, own); /* job_id may have been the one of the read before */
    e.read.limit = limit;
    if (r->after_key)
        e.read.after = arena_printf(outbox_now_arena(c->outbox), "%s%s", e.read.prefix, r->after_key);
    outbox_now(c->outbox, &e);
}

static void finish(struct cron *c, struct read *r)
{
    cron_reply_body(c, &r->request, 200, &r->body, false);
    buf_init(&r->body, 0);
    read_free(c, r);
}

/* -- Metronome's history of a job (facts: net-cron D.6) -------------------------------------------------------------- */

static void put_copy(struct json_writer *w, const char *to, const json_t *record, const char *from)
{
    const json_t *v = json_object_get(record, from);
    json_put_key(w, to);
    if (v)
        json_put_value(w, v);
    else
        json_put_null(w);
}

static void put_finished(struct json_writer *w, const json_t *record)
{
    size_t i;
    json_t *task;
    json_begin_object(w);
    put_copy(w, "id", record, "id");
    put_copy(w, "createdAt", record, "createdAt");
    put_copy(w, "finishedAt", record, "completedAt");
    json_put_key(w, "tasks");
    json_begin_array(w);
    json_array_foreach(json_object_get(record, "tasks"), i, task)
    {
        const char *id = json_string_value(json_object_get(task, "id"));
        if (id)
            json_put_string(w, id);
    }
    json_end_array(w);
    json_end_object(w);
}

static void put_list(struct json_writer *w, const char *key, const json_t *records, const char *status)
{
    size_t i;
    json_t *record;
    json_put_key(w, key);
    json_begin_array(w);
    json_array_foreach(records, i, record)
    {
        const char *s = json_string_value(json_object_get(record, "status"));
        if (s && strcmp(s, status) == 0)
            put_finished(w, record);
    }
    json_end_array(w);
}

/* A job as it is now. The records of its history are added by end_job() when they have been read: what ends in between is
 * in neither part, so that the counts and the lists tell of the same runs. */
static void begin_job(struct cron *c, struct read *r, const struct entry *e)
{
    struct json_writer *w = &r->writer;
    json_begin_object(w);
    cron_view_job_members(c, e, r->request.embed, r->is_array, w);
    json_put_key(w, "history");
    json_begin_object(w);
    json_kv_int(w, "successCount", e->successes);
    json_kv_int(w, "failureCount", e->failures);
    cron_put_time(w, "lastSuccessAt", e->last_success_ms);
    cron_put_time(w, "lastFailureAt", e->last_failure_ms);
    r->left--;
}

static void end_job(struct read *r, const struct kit_item *items, size_t count)
{
    json_t *records = json_array();
    CHECK(records != NULL);
    for (size_t i = 0; i < count; i++) {
        json_t *record = json_read(items[i].value, items[i].value_len, NULL);
        if (record)
            CHECK(json_array_append_new(records, record) == 0);
    }
    put_list(&r->writer, "successfulFinishedRuns", records, "SUCCESS");
    put_list(&r->writer, "failedFinishedRuns", records, "FAILED");
    json_end_object(&r->writer);
    json_end_object(&r->writer);
    json_decref(records);
}

/* The jobs from m on; those without ended runs need no read. */
static void go_on_with_jobs(struct cron *c, struct read *r, struct map_entry *m)
{
    for (; m && r->left > 0; m = map_next(m)) {
        const struct entry *e = map_value(m);
        if (e->is_deleted)
            continue;
        begin_job(c, r, e);
        if (e->history_count > 0) {
            ask(c, r, e->job->id, 0);
            return;
        }
        end_job(r, NULL, 0);
    }
    json_end_array(&r->writer);
    finish(c, r);
}

/* -- pages of records ------------------------------------------------------------------------------------------------ */

static void put_record(struct read *r, const struct kit_item *item)
{
    json_put_raw(&r->writer, item->value, item->value_len);
    r->left--;
}

static void end_page(struct cron *c, struct read *r, const char *next)
{
    json_end_array(&r->writer);
    json_put_key(&r->writer, "next");
    if (next)
        json_put_string(&r->writer, next);
    else
        json_put_null(&r->writer);
    json_end_object(&r->writer);
    finish(c, r);
}

static void begin_page(struct read *r)
{
    r->left = r->request.limit <= 0 ? PAGE_DEFAULT : r->request.limit < PAGE_MAX ? r->request.limit : PAGE_MAX;
    json_begin_object(&r->writer);
    json_put_key(&r->writer, "runs");
    json_begin_array(&r->writer);
}

/* The last part of a key: where the next page begins. */
static const char *position_of(struct cron *c, const struct kit_item *item)
{
    char *key = arena_strdup(outbox_now_arena(c->outbox), arena_printf(outbox_now_arena(c->outbox), "%.*s",
                                                                       (int)item->key_len, (const char *)item->key));
    return strrchr(key, '/') + 1;
}

/* Jobs from m on: live runs, then ended ones. */
static void go_on_with_runs(struct cron *c, struct read *r, struct map_entry *m)
{
    for (; m; m = map_next(m)) {
        struct entry *e = map_value(m);
        if (r->left <= 0) {
            end_page(c, r, arena_printf(outbox_now_arena(c->outbox), "%s/", e->job->id));
            return;
        }
        if (r->after_key == NULL) {
            list_for_each(node, &e->runs)
            {
                cron_view_run(c, container_of(node, struct run, link), &r->writer);
                r->left--;
            }
        }
        if (!e->is_deleted && e->history_count > 0) {
            ask(c, r, e->job->id, r->left > 0 ? (size_t)r->left + 1 : 1);
            return;
        }
    }
    end_page(c, r, NULL);
}

static void on_records(struct cron *c, struct read *r, const struct kit_item *items, size_t count)
{
    bool is_one_job = r->request.type == CRON_GET_HISTORY;
    size_t i = 0;
    for (; i < count && r->left > 0; i++)
        put_record(r, &items[i]);
    struct map_entry *m = map_find(&c->entries, r->job_id);
    if (i < count && i > 0) {
        const char *position = position_of(c, &items[i - 1]);
        end_page(c, r, is_one_job ? position : arena_printf(outbox_now_arena(c->outbox), "%s/%s", r->job_id, position));
    } else if (i < count) { /* live runs filled the page: the newest record is the next */
        end_page(c, r, arena_printf(outbox_now_arena(c->outbox), "%s/!", r->job_id));
    } else if (is_one_job) {
        end_page(c, r, NULL);
    } else if (m == NULL) {
        cron_reply_message(c, &r->request, 503, "Jobs were removed while they were read: ask again");
        read_free(c, r);
    } else {
        free(r->after_key);
        r->after_key = NULL;
        go_on_with_runs(c, r, map_next(m));
    }
}

static void start_all_runs(struct cron *c, struct read *r)
{
    struct map_entry *m = map_first(&c->entries);
    begin_page(r);
    if (r->request
            .after) { /* <job id>/<position>, the position empty: from its live runs on; "!": from its newest record */
        char *job_id = arena_strdup(outbox_now_arena(c->outbox), r->request.after);
        char *slash = strchr(job_id, '/');
        if (slash) {
            *slash = '\0';
            m = map_find(&c->entries, job_id);
            r->after_key = slash[1] ? xstrdup(slash + 1) : NULL;
        }
        if (slash == NULL || m == NULL) {
            cron_reply_message(c, &r->request, 400, "There is no page behind %s", r->request.after);
            read_free(c, r);
            return;
        }
    }
    go_on_with_runs(c, r, m);
}

/* -- one ended run --------------------------------------------------------------------------------------------------- */

static void on_one_record(struct cron *c, struct read *r, const struct kit_item *items, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        json_t *record = json_read(items[i].value, items[i].value_len, NULL);
        const char *id = json_string_value(json_object_get(record, "id"));
        bool is_it = id && strcmp(id, r->request.run_id) == 0;
        json_decref(record);
        if (!is_it)
            continue;
        json_put_raw(&r->writer, items[i].value, items[i].value_len);
        finish(c, r);
        return;
    }
    (void)cron_need_run(c, &r->request); /* answers that there is none; it could only have come to life just now */
    read_free(c, r);
}

/* -- a run of whichever job -------------------------------------------------------------------------------------------- */

/* The second in which a run was made is the beginning of its id; 0: not an id of ours. */
static int64_t made_at(const char *id)
{
    struct iso8601_time t;
    char text[TEXT_TIME_SIZE];
    if (strlen(id) != RUN_ID_LEN || strspn(id, "0123456789") < 14)
        return 0;
    (void)snprintf(text, sizeof(text), "%.4s-%.2s-%.2sT%.2s:%.2s:%.2sZ", id, id + 4, id + 6, id + 8, id + 10,
                   id + 12); /* fits */
    return iso8601_time_parse(text, &t, NULL) == 0 ? t.local_ms : 0;
}

static void not_found(struct cron *c, struct read *r)
{
    buf_deinit(&r->body);
    cron_body_begin(&r->body, &r->writer);
    json_begin_object(&r->writer);
    json_kv_string(&r->writer, "id", r->request.run_id);
    json_kv_string(&r->writer, "message", "Job Run not found");
    json_end_object(&r->writer);
    cron_reply(c, &r->request, 404, &r->body, false);
    buf_init(&r->body, 0);
    read_free(c, r);
}

/* The jobs from m on, those that have made no run since then left out. */
static void go_on_finding(struct cron *c, struct read *r, struct map_entry *m)
{
    for (; m; m = map_next(m)) {
        const struct entry *e = map_value(m);
        if (!e->is_deleted && e->history_count > 0 && e->last_started_ms >= r->since_ms) {
            ask(c, r, e->job->id, FIND_PAGE);
            return;
        }
    }
    not_found(c, r);
}

static int64_t ended_ms(const struct kit_item *item)
{
    struct iso8601_time t;
    json_t *record = json_read(item->value, item->value_len, NULL);
    const char *text = json_string_value(json_object_get(record, "completedAt"));
    int64_t ms = text && iso8601_time_parse(text, &t, NULL) == 0 ? t.local_ms : INT64_MAX; /* told as UTC */
    json_decref(record);
    return ms;
}

/* Records are in the order in which runs ended: behind one that ended before the run was made there is nothing to find. */
static void on_found_records(struct cron *c, struct read *r, const struct kit_item *items, size_t count)
{
    char quoted[RUN_ID_SIZE + 8];
    (void)snprintf(quoted, sizeof(quoted), "{\"id\":\"%s\"", r->request.run_id); /* fits: see made_at() */
    for (size_t i = 0; i < count; i++) {
        if (items[i].value_len < strlen(quoted) || memcmp(items[i].value, quoted, strlen(quoted)) != 0)
            continue;
        json_put_raw(&r->writer, items[i].value, items[i].value_len);
        finish(c, r);
        return;
    }
    struct map_entry *m = map_find(&c->entries, r->job_id);
    bool is_behind = count < FIND_PAGE || ended_ms(&items[count - 1]) < r->since_ms;
    char *position = is_behind ? NULL : xstrdup(position_of(c, &items[count - 1]));
    free(r->after_key);
    r->after_key = position;
    if (m == NULL) {
        cron_reply_message(c, &r->request, 503, "Jobs were removed while they were read: ask again");
        read_free(c, r);
    } else if (position) {
        ask(c, r, r->job_id, FIND_PAGE);
    } else {
        go_on_finding(c, r, map_next(m));
    }
}

static void start_finding(struct cron *c, struct read *r)
{
    const struct run *live = map_get(&c->runs, r->request.run_id);
    int64_t made_ms = made_at(r->request.run_id);
    r->since_ms = made_ms - FIND_MARGIN_MS;
    if (live) {
        cron_view_run(c, live, &r->writer);
        finish(c, r);
    } else if (made_ms == 0) {
        not_found(c, r);
    } else {
        go_on_finding(c, r, map_first(&c->entries));
    }
}

/* -- all ------------------------------------------------------------------------------------------------------------- */

static void start_jobs(struct cron *c, struct read *r)
{
    struct map_entry *m = map_first(&c->entries);
    r->is_array = true;
    r->left = r->request.limit > 0 ? r->request.limit : INT64_MAX;
    json_begin_array(&r->writer);
    if (r->request.after)
        m = map_find(&c->entries, r->request.after);
    go_on_with_jobs(c, r, m && r->request.after ? map_next(m) : m);
}

static void start_page(struct cron *c, struct read *r)
{
    begin_page(r);
    r->after_key = copy_or_null(r->request.after);
    ask(c, r, r->request.job_id, (size_t)r->left + 1);
}

void cron_read_for(struct cron *c, const struct cron_request *request)
{
    bool is_one = request->type == CRON_GET_HISTORY && request->run_id;
    if (map_count(&c->reads) >= READS_MAX) {
        cron_reply_message(c, request, 503, "Too many requests wait for the history");
        return;
    }
    struct entry *e = request->job_id ? cron_need_job(c, request) : NULL;
    if (request->job_id && e == NULL)
        return;
    struct run *live = is_one ? cron_run_find(c, e, request->run_id) : NULL;
    struct read *r = read_new(c, request);
    if (live) {
        cron_view_run(c, live, &r->writer);
        finish(c, r);
    } else if (is_one) {
        ask(c, r, request->job_id, 0);
    } else if (request->type == CRON_GET_JOB) {
        begin_job(c, r, e);
        ask(c, r, request->job_id, 0);
    } else if (request->type == CRON_GET_HISTORY) {
        start_page(c, r);
    } else if (request->type == CRON_CHRONOS) {
        ask(c, r, request->job_id, CHRONOS_STAT_RUNS);
    } else if (request->type == CRON_LIST_JOBS) {
        start_jobs(c, r);
    } else if (request->type == CRON_FIND_RUN) {
        start_finding(c, r);
    } else {
        start_all_runs(c, r);
    }
}

void cron_on_read_done(struct cron *c, const struct kit_event *in)
{
    uint64_t token = in->read_done.token;
    struct read *r = map_remove_n(&c->reads, &token, sizeof(token));
    CHECK(r != NULL);
    if (in->read_done.result != 0) {
        cron_reply_message(c, &r->request, 500, "The history cannot be read");
        read_free(c, r);
        return;
    }
    const struct kit_item *items = in->read_done.items;
    size_t count = in->read_done.item_count;
    if (r->request.type == CRON_GET_HISTORY && r->request.run_id) {
        on_one_record(c, r, items, count);
    } else if (r->request.type == CRON_GET_HISTORY || r->request.type == CRON_LIST_ALL_RUNS) {
        on_records(c, r, items, count);
    } else if (r->request.type == CRON_FIND_RUN) {
        on_found_records(c, r, items, count);
    } else if (r->request.type == CRON_CHRONOS) {
        chronos_on_stat_records(c, &r->request, items, count);
        read_free(c, r);
    } else if (r->request.type == CRON_GET_JOB) {
        if (cron_need_job(c, &r->request)) {
            end_job(r, items, count);
            finish(c, r);
        } else {
            read_free(c, r);
        }
    } else {
        struct map_entry *m = map_find(&c->entries, r->job_id);
        if (m) {
            end_job(r, items, count);
            go_on_with_jobs(c, r, map_next(m));
        } else {
            cron_reply_message(c, &r->request, 503, "Jobs were removed while they were read: ask again");
            read_free(c, r);
        }
    }
}
