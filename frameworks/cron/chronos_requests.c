/* SPDX-License-Identifier: Apache-2.0
 * chronos_requests.c - carries out the requests of Chronos's API (facts: net-cron E.1, E.7). An unknown job is 400 here,
 * never 404; a cycle is 500. Two deviations, on purpose: a parent that does not exist is refused (Chronos 3 takes such a
 * job and then never shows it), and a job that inherits the schedule of its removed parent keeps all its fields. */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/base/check.h"
#include "frameworks/cron/chronos_core.h"
#include "frameworks/cron/job_json.h"
#include "frameworks/cron/requests.h"

#define BODY_BYTES_MAX (256u << 20) /* 100,000 jobs in full */

/* -- answers ----------------------------------------------------------------------------------------------------- */

void chronos_reply_error(struct cron *c, const struct cron_request *r, int status, const char *fmt, ...)
{
    struct buf text, body;
    struct json_writer w;
    va_list ap;
    buf_init(&text, 0);
    buf_init(&body, 0);
    va_start(ap, fmt);
    (void)buf_vprintf(&text, fmt, ap); /* short */
    va_end(ap);
    json_writer_init(&w, &body);
    json_begin_object(&w);
    json_kv_string(&w, "status",
                   status == 400   ? "Bad Request"
                   : status == 503 ? "Service Unavailable"
                                   : "Internal Server Error");
    json_put_key(&w, "message");
    json_put_string_n(&w, (const char *)buf_data(&text), buf_len(&text));
    json_end_object(&w);
    buf_deinit(&text);
    cron_reply(c, r, status, &body, false);
}

/* 204, when what was changed is stored. */
static void reply_done(struct cron *c, const struct cron_request *r)
{
    cron_reply(c, r, 204, NULL, true);
}

static struct entry *find_job(struct cron *c, const struct cron_request *r)
{
    struct entry *e = cron_entry_find(c, r->chronos->name);
    if (e == NULL)
        chronos_reply_error(c, r, 400, "Job '%s' not found", r->chronos->name);
    return e;
}

/* -- definitions ------------------------------------------------------------------------------------------------- */

static bool check_parents(struct cron *c, const struct cron_request *r, const struct job *job)
{
    const char *unknown = NULL;
    if (r->chronos->is_dependent && job->parent_count == 0) {
        chronos_reply_error(c, r, 400, "Error, parent does not exist");
        return false;
    }
    switch (cron_entry_check_parents(c, job, &unknown)) {
    case PARENTS_E_UNKNOWN:
        chronos_reply_error(c, r, 400, "Error, parent does not exist: '%s'", unknown);
        return false;
    case PARENTS_E_CYCLE:
        chronos_reply_error(c, r, 500, "Cycle found: the parents of '%s' would depend on it", job->id);
        return false;
    default:
        return true;
    }
}

static void on_put_job(struct cron *c, const struct cron_request *r)
{
    const struct chronos_request *q = r->chronos;
    const char *name = json_string_value(json_object_get(q->body, "name"));
    struct entry *old = name != NULL ? cron_entry_find(c, name) : NULL;
    struct err err = {""};
    struct job *job = chronos_read_job(c, q->body, old, q->is_version_2, &err);
    if (job == NULL) {
        chronos_reply_error(c, r, 400, "%s", err.text);
        return;
    }
    if (!check_parents(c, r, job)) {
        job_unref(job);
        return;
    }
    bool is_enabled_again = old != NULL && old->job->is_disabled && !job->is_disabled;
    struct entry *e = cron_entry_put(c, job);
    if (old == NULL)
        chronos_read_counts(q->body, e);
    else if (is_enabled_again)
        e->failures_in_row = 0; /* or its next failure would disable it */
    cron_entry_changed(c, e);
    reply_done(c, r);
}

/* -- removal ----------------------------------------------------------------------------------------------------- */

static bool has_parent(const struct job *j, const char *id)
{
    for (size_t i = 0; i < j->parent_count; i++) {
        if (strcmp(j->parents[i], id) == 0)
            return true;
    }
    return false;
}

/* The child without this parent: with the parent's schedule if it has one, with the parent's parents if not. */
static struct job *adopt(const struct cron *c, const struct job *child, const struct job *parent)
{
    const struct job_reading how = {.zones = c->config.zones, .wall_ms = c->wall_ms, .with_schedules = true};
    struct job *j = job_copy(child, &how);
    size_t kept = 0;
    if (parent->schedule != NULL) {
        j->parent_count = 0;
        j->schedule = schedule_copy(parent->schedule, &j->chunks);
        if (j->chronos != NULL)
            j->schedule->concurrency = j->chronos->is_concurrent ? CONCURRENCY_ALLOW : CONCURRENCY_FORBID;
        j->schedule->is_enabled = !j->is_disabled;
        return j;
    }
    const char **parents = chunks_alloc(&j->chunks, sizeof(*parents) * (child->parent_count + parent->parent_count));
    for (size_t i = 0; i < j->parent_count; i++) {
        if (strcmp(j->parents[i], parent->id) != 0)
            parents[kept++] = j->parents[i];
    }
    for (size_t i = 0; i < parent->parent_count; i++) {
        if (!has_parent(child, parent->parents[i]))
            parents[kept++] = chunks_strdup(&j->chunks, parent->parents[i]);
    }
    j->parents = parents;
    j->parent_count = kept;
    return j;
}

static void stop_runs(struct cron *c, struct entry *e, const char *reason)
{
    list_for_each(l, &e->runs) cron_run_stop(c, container_of(l, struct run, link), reason);
}

static void on_delete_job(struct cron *c, const struct cron_request *r, struct entry *e)
{
    struct job *parent = job_ref(e->job);
    size_t count = e->child_count;
    struct entry **children = xmemdup(e->children, sizeof(*children) * count);
    for (size_t i = 0; i < count; i++)
        (void)cron_entry_put(c, adopt(c, children[i]->job, parent)); /* the entry it had */
    free(children);
    stop_runs(c, e, "its job was removed");
    cron_entry_remove(c, e);
    job_unref(parent);
    reply_done(c, r);
}

/* -- lists ------------------------------------------------------------------------------------------------------- */

static bool contains(const char *text, const char *part)
{
    return strcasestr(text, part) != NULL;
}

static bool is_set(const char *filter)
{
    return filter != NULL && filter[0] != '\0';
}

static bool is_found(const struct chronos_request *q, const struct job *j)
{
    const char *command = chronos_command(j);
    bool any = is_set(q->search_any) && (contains(j->id, q->search_any) || contains(command, q->search_any));
    if (!is_set(q->search_name) && !is_set(q->search_command))
        return any || !is_set(q->search_any);
    return any || ((!is_set(q->search_name) || contains(j->id, q->search_name)) &&
                   (!is_set(q->search_command) || contains(command, q->search_command)));
}

static const struct entry *shown(const struct map_entry *m)
{
    const struct entry *e = map_value(m);
    return !e->is_deleted && chronos_can_show(e) ? e : NULL;
}

static void on_list(struct cron *c, const struct cron_request *r)
{
    const struct chronos_request *q = r->chronos;
    bool is_search = q->type == CHRONOS_SEARCH;
    int64_t skip = is_search ? q->offset : 0, left = is_search ? q->limit : INT64_MAX;
    struct json_writer w;
    struct buf body;
    buf_init(&body, BODY_BYTES_MAX);
    json_writer_init(&w, &body);
    json_begin_array(&w);
    for (struct map_entry *m = map_first(&c->entries); m != NULL && left > 0; m = map_next(m)) {
        const struct entry *e = shown(m);
        if (e == NULL || (is_search && !is_found(q, e->job)) || skip-- > 0)
            continue;
        chronos_write_job(c, e, q->is_version_2, !is_search, &w);
        left--;
    }
    json_end_array(&w);
    cron_reply_body(c, r, 200, &body, false);
}

static void write_summary(const struct entry *e, struct json_writer *w)
{
    char state[32];
    struct buf schedule;
    buf_init(&schedule, 0);
    if (e->job->schedule != NULL)
        chronos_schedule_text(e, &schedule);
    chronos_state(e, state, sizeof(state));
    json_begin_object(w);
    json_kv_string(w, "name", e->job->id);
    json_kv_string(w, "status", chronos_last_state(e));
    json_kv_string(w, "state", state);
    json_put_key(w, "schedule");
    json_put_string_n(w, (const char *)buf_data(&schedule), buf_len(&schedule));
    json_put_key(w, "parents");
    json_begin_array(w);
    for (size_t i = 0; i < e->job->parent_count; i++)
        json_put_string(w, e->job->parents[i]);
    json_end_array(w);
    json_kv_bool(w, "disabled", chronos_is_disabled(e));
    json_end_object(w);
    buf_deinit(&schedule);
}

static void on_summary(struct cron *c, const struct cron_request *r)
{
    struct json_writer w;
    struct buf body;
    buf_init(&body, BODY_BYTES_MAX);
    json_writer_init(&w, &body);
    json_begin_object(&w);
    json_put_key(&w, "jobs");
    json_begin_array(&w);
    for (struct map_entry *m = map_first(&c->entries); m != NULL; m = map_next(m)) {
        const struct entry *e = shown(m);
        if (e != NULL)
            write_summary(e, &w);
    }
    json_end_array(&w);
    json_end_object(&w);
    cron_reply_body(c, r, 200, &body, false);
}

static void on_get_job(struct cron *c, const struct cron_request *r, const struct entry *e)
{
    struct json_writer w;
    struct buf body;
    if (!chronos_can_show(e)) {
        chronos_reply_error(c, r, 400, "Job '%s' has a schedule that cannot be shown here; see /v1/jobs/%s", e->job->id,
                            e->job->id);
        return;
    }
    buf_init(&body, 0);
    json_writer_init(&w, &body);
    chronos_write_job(c, e, r->chronos->is_version_2, false, &w);
    cron_reply_body(c, r, 200, &body, false);
}

static void on_graph(struct cron *c, const struct cron_request *r)
{
    struct buf body;
    buf_init(&body, BODY_BYTES_MAX);
    if (r->chronos->type == CHRONOS_GRAPH_DOT)
        chronos_graph_dot(c, &body);
    else
        chronos_graph_csv(c, &body);
    cron_reply_typed(c, r, 200, "text/plain", &body, false);
}

/* -- runs -------------------------------------------------------------------------------------------------------- */

static void on_run_job(struct cron *c, const struct cron_request *r, struct entry *e)
{
    const char *arguments = r->chronos->arguments;
    if (c->run_count >= (size_t)c->config.runs_max) {
        chronos_reply_error(c, r, 503, "there are %zu runs already", c->run_count);
        return;
    }
    bool is_concurrent = e->job->chronos == NULL || e->job->chronos->is_concurrent;
    if (!is_concurrent && e->run_count > 0) { /* taken, as Chronos does it, and dropped: but not without a trace */
        struct skip skip = {.reason = "an earlier run was active, and the job is not concurrent"};
        cron_run_skip(c, e, &skip);
    } else {
        json_t *args = arguments != NULL && arguments[0] != '\0' ? json_pack("[s]", arguments) : NULL;
        struct run_options options = {.trigger = TRIGGER_MANUAL, .args = args};
        (void)cron_run_start(c, e, &options); /* within the bound */
        json_decref(args);
    }
    reply_done(c, r);
}

static void count_success(struct cron *c, struct entry *e)
{
    e->successes++;
    e->failures_in_row = 0;
    e->last_success_ms = c->wall_ms;
    cron_entry_changed(c, e);
    cron_graph_mark_success(c, e);
}

static void on_mark(struct cron *c, const struct cron_request *r, struct entry *e)
{
    struct buf body;
    count_success(c, e);
    buf_init(&body, 0);
    (void)buf_printf(&body, "marked job %s as successful: true", e->job->id); /* short */
    cron_reply_typed(c, r, 200, "text/plain", &body, true);
}

static void on_kill_all(struct cron *c, const struct cron_request *r)
{
    for (struct map_entry *m = map_first(&c->entries), *next; m != NULL; m = next) {
        next = map_next(m);
        stop_runs(c, map_value(m), "all tasks were killed through the API");
    }
    reply_done(c, r);
}

static void on_progress(struct cron *c, const struct cron_request *r, struct entry *e)
{
    const char *id = r->chronos->task_id;
    const json_t *number = json_object_get(r->chronos->body, "numAdditionalElementsProcessed");
    struct task *t = map_get(&c->tasks, id);
    if (e->job->chronos == NULL || !e->job->chronos->is_data_processing) {
        chronos_reply_error(c, r, 400, "Job '%s' is not enabled to track data", e->job->id);
    } else if (t == NULL || t->run->entry != e) {
        chronos_reply_error(c, r, 400, "Job '%s' has no running task %s", e->job->id, id);
    } else if (number != NULL && (!json_is_integer(number) || json_integer_value(number) < 0)) {
        chronos_reply_error(c, r, 400, "numAdditionalElementsProcessed is not a number from 0 on");
    } else {
        if (__builtin_add_overflow(t->elements_processed, json_integer_value(number), &t->elements_processed))
            t->elements_processed = INT64_MAX;
        cron_run_changed(c, t->run);
        reply_done(c, r);
    }
}

/* The job in a task id "ct:<due>:<attempt>:<job>:<arguments>". */
static bool job_of_task_id(const char *id, char out[JOB_ID_MAX + 1])
{
    if (strncmp(id, "ct:", 3) != 0)
        return false;
    const char *at = strchr(id + 3, ':');
    at = at != NULL ? strchr(at + 1, ':') : NULL;
    size_t len = at != NULL ? strcspn(at + 1, ":") : 0;
    if (len == 0 || len > JOB_ID_MAX || at[1 + len] != ':')
        return false;
    memcpy(out, at + 1, len);
    out[len] = '\0';
    return true;
}

/* Tells how the work of an asynchronous job came out, whose command only began it. The id is
 * "ct:<due>:<attempt>:<job>:...". */
static void on_task_result(struct cron *c, const struct cron_request *r)
{
    const json_t *code = json_object_get(r->chronos->body, "statusCode");
    char name[JOB_ID_MAX + 1];
    struct entry *e = job_of_task_id(r->chronos->task_id, name) ? cron_entry_find(c, name) : NULL;
    if (e == NULL || e->job->chronos == NULL || !e->job->chronos->is_async) {
        chronos_reply_error(c, r, 400, "Task '%s' is not of an asynchronous job", r->chronos->task_id);
    } else if (!json_is_integer(code)) {
        chronos_reply_error(c, r, 400, "statusCode is not a number");
    } else if (json_integer_value(code) == 0) {
        count_success(c, e);
        reply_done(c, r);
    } else {
        e->failures++;
        e->failures_in_row++;
        e->last_failure_ms = c->wall_ms;
        cron_entry_changed(c, e);
        if (e->job->is_soft_error)
            cron_graph_mark_success(c, e);
        reply_done(c, r);
    }
}

/* -- all of it --------------------------------------------------------------------------------------------------- */

static void on_request_of_job(struct cron *c, const struct cron_request *r, struct entry *e)
{
    switch (r->chronos->type) {
    case CHRONOS_GET_JOB:
        on_get_job(c, r, e);
        break;
    case CHRONOS_RUN_JOB:
        on_run_job(c, r, e);
        break;
    case CHRONOS_DELETE_JOB:
        on_delete_job(c, r, e);
        break;
    case CHRONOS_JOB_STAT:
        chronos_on_job_stat(c, r, e);
        break;
    case CHRONOS_MARK:
        on_mark(c, r, e);
        break;
    case CHRONOS_PROGRESS:
        on_progress(c, r, e);
        break;
    case CHRONOS_KILL_JOB:
        stop_runs(c, e, "killed through the API");
        reply_done(c, r);
        break;
    default:
        CHECK(false);
    }
}

void cron_chronos_on_request(struct cron *c, const struct cron_request *r)
{
    struct entry *e;
    switch (r->chronos->type) {
    case CHRONOS_PUT_JOB:
        on_put_job(c, r);
        break;
    case CHRONOS_LIST_JOBS:
    case CHRONOS_SEARCH:
        on_list(c, r);
        break;
    case CHRONOS_SUMMARY:
        on_summary(c, r);
        break;
    case CHRONOS_STATS:
        chronos_on_stats(c, r);
        break;
    case CHRONOS_GRAPH_DOT:
    case CHRONOS_GRAPH_CSV:
        on_graph(c, r);
        break;
    case CHRONOS_KILL_ALL:
        on_kill_all(c, r);
        break;
    case CHRONOS_TASK_RESULT:
        on_task_result(c, r);
        break;
    default:
        e = find_job(c, r);
        if (e != NULL)
            on_request_of_job(c, r, e);
    }
}
