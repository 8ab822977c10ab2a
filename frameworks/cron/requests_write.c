/* SPDX-License-Identifier: Apache-2.0
 * requests_write.c - API calls that change jobs, schedules and runs (facts: net-cron D.1, D.2). */
#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"
#include "frameworks/cron/job_json.h"
#include "frameworks/cron/requests.h"

#define ARGS_MAX 1024
#define PARAMETER_BYTES_MAX (64u << 10) /* of arguments and environment of one run */

static void reply_problems(struct cron *c, const struct cron_request *r, struct problems *p)
{
    struct buf b;
    struct json_writer w;
    cron_body_begin(&b, &w);
    problems_write(p, &w);
    cron_reply(c, r, 422, &b, false);
}

static struct job_reading reading(const struct cron *c, const struct cron_request *r)
{
    return (struct job_reading){.zones = c->config.zones, .wall_ms = c->wall_ms, .with_schedules = r->with_schedules};
}

/* -- jobs ----------------------------------------------------------------------------------------------------------- */

/* Answers and returns false when the parents are no good. */
static bool check_parents(struct cron *c, const struct cron_request *r, const struct job *job)
{
    const char *unknown;
    struct buf names;
    int result = cron_entry_check_parents(c, job, &unknown);
    if (result == PARENTS_OK)
        return true;
    if (result == PARENTS_E_CYCLE) {
        cron_reply_message(c, r, 422, "Dependencies have a cycle.");
        return false;
    }
    buf_init(&names, 0);
    for (size_t i = 0; i < job->parent_count; i++) {
        if (cron_entry_find(c, job->parents[i]) == NULL)
            (void)buf_printf(&names, "%s%s", buf_len(&names) ? "," : "", job->parents[i]); /* bounded by the body */
    }
    char *text = buf_steal_str(&names);
    cron_reply_message(c, r, 422, "Dependencies contain unknown jobs. unknown=[%s]", text);
    free(text);
    buf_deinit(&names);
    return false;
}

/* The job as it would be, and when it would run. */
static void reply_dry(struct cron *c, const struct cron_request *r, const struct job *job)
{
    struct buf b;
    struct json_writer w;
    const struct schedule *s = job->schedule;
    bool is_finite = s && s->kind == SCHEDULE_INTERVAL && s->interval.count != ISO8601_FOREVER;
    int64_t after_ms = s && s->kind == SCHEDULE_INTERVAL ? s->interval.start_ms - 1 : c->wall_ms;
    cron_body_begin(&b, &w);
    json_begin_object(&w);
    job_write_members(job, &w);
    json_put_key(&w, "schedules");
    json_begin_array(&w);
    if (s) {
        json_begin_object(&w);
        schedule_write_members(s, &w);
        json_end_object(&w);
    }
    json_end_array(&w);
    cron_put_next(s, after_ms, is_finite ? s->interval.count : -1, r->limit, &w);
    json_end_object(&w);
    cron_reply(c, r, 200, &b, false);
}

static void put_job(struct cron *c, const struct cron_request *r, struct job *job, int status)
{
    struct buf b;
    struct json_writer w;
    if (!check_parents(c, r, job)) {
        (void)job_unref(job);
        return;
    }
    if (r->dry_run) {
        reply_dry(c, r, job);
        (void)job_unref(job);
        return;
    }
    const struct entry *e = cron_entry_put(c, job);
    cron_body_begin(&b, &w);
    cron_view_job(c, e, 0, false, &w);
    cron_reply(c, r, status, &b, true);
}

static void create_job(struct cron *c, const struct cron_request *r)
{
    struct problems problems;
    struct job_reading how = reading(c, r);
    how.with_schedules = true;
    problems_init(&problems);
    struct job *job = job_from_json(r->body, &how, &problems);
    if (job == NULL) {
        reply_problems(c, r, &problems);
    } else if (cron_entry_find(c, job->id)) {
        cron_reply_message(c, r, 409, "Job with this id already exists");
        (void)job_unref(job);
    } else {
        put_job(c, r, job, 201);
    }
    problems_deinit(&problems);
}

static void replace_job(struct cron *c, const struct cron_request *r)
{
    struct problems problems;
    struct entry *e = cron_need_job(c, r);
    if (e == NULL)
        return;
    struct job_reading how = reading(c, r);
    how.id = e->job->id;
    problems_init(&problems);
    struct job *job = job_from_json(r->body, &how, &problems);
    if (job && !r->with_schedules && e->job->schedule) {
        job->schedule = schedule_copy(e->job->schedule, &job->chunks);
        job_validate(job, &problems);
    }
    if (problems_any(&problems)) {
        job = job_unref(job);
        reply_problems(c, r, &problems);
    } else {
        put_job(c, r, job, 200);
    }
    problems_deinit(&problems);
}

static void delete_job(struct cron *c, const struct cron_request *r)
{
    struct buf b;
    struct json_writer w;
    struct entry *e = cron_need_job(c, r);
    if (e == NULL)
        return;
    if (e->run_count > 0 && !r->stop_runs) {
        cron_reply_message(c, r, 409, "There are active job runs. Override with stopCurrentJobRuns=true");
        return;
    }
    if (e->child_count > 0) {
        cron_reply_message(c, r, 409, "There are jobs that depend on this one, for example %s", e->children[0]->job->id);
        return;
    }
    cron_body_begin(&b, &w);
    cron_view_job(c, e, 0, false, &w);
    list_for_each(node, &e->runs)
    {
        cron_run_stop(c, container_of(node, struct run, link), "the job was removed");
    }
    cron_entry_remove(c, e);
    cron_reply(c, r, 200, &b, true);
}

/* -- schedules ------------------------------------------------------------------------------------------------------ */

/* A copy of the definition with this schedule (NULL: none) in place of its own becomes the present one. */
static struct entry *put_schedule(struct cron *c, const struct cron_request *r, struct entry *e, const struct schedule *s)
{
    const struct job_reading how = reading(c, r);
    struct job *job = job_copy(e->job, &how);
    job->schedule = s ? schedule_copy(s, &job->chunks) : NULL;
    return cron_entry_put(c, job);
}

static void reply_schedule(struct cron *c, const struct cron_request *r, const struct entry *e, int status)
{
    struct buf b;
    struct json_writer w;
    cron_body_begin(&b, &w);
    cron_view_schedule(e, &w);
    cron_reply(c, r, status, &b, true);
}

/* Reads the body. NULL: an error was answered. The schedule lives in the chunks. */
static struct schedule *read_schedule(struct cron *c, const struct cron_request *r, const struct entry *e,
                                      struct chunks *chunks)
{
    struct problems problems;
    struct job_reading how = reading(c, r);
    how.id = r->schedule_id; /* NULL: the body's */
    problems_init(&problems);
    /* An id that was accepted with the job may be one that this endpoint would not take. */
    struct schedule *s = schedule_from_json(r->body, &how, r->schedule_id != NULL, chunks, &problems);
    if (s && e->job->parent_count > 0)
        problems_add(&problems, "/", "Jobs may not have both schedules and dependencies");
    if (problems_any(&problems)) {
        reply_problems(c, r, &problems);
        s = NULL;
    }
    problems_deinit(&problems);
    return s;
}

static void create_schedule(struct cron *c, const struct cron_request *r)
{
    struct chunks chunks = {0};
    struct entry *e = cron_need_job(c, r);
    const struct schedule *s = e ? read_schedule(c, r, e, &chunks) : NULL;
    if (s == NULL) {
        chunks_free(&chunks);
        return;
    }
    const struct schedule *old = e->job->schedule;
    if (old && strcmp(old->id, s->id) == 0)
        cron_reply_message(c, r, 409, "A schedule with id %s already exists", s->id);
    else if (old)
        cron_reply_message(c, r, 409, "Only one schedule supported at the moment");
    else
        reply_schedule(c, r, put_schedule(c, r, e, s), 201);
    chunks_free(&chunks);
}

static void replace_schedule(struct cron *c, const struct cron_request *r)
{
    struct chunks chunks = {0};
    struct entry *e = cron_need_schedule(c, r);
    const struct schedule *s = e ? read_schedule(c, r, e, &chunks) : NULL;
    if (s)
        reply_schedule(c, r, put_schedule(c, r, e, s), 200);
    chunks_free(&chunks);
}

static void delete_schedule(struct cron *c, const struct cron_request *r)
{
    struct entry *e = cron_need_schedule(c, r);
    if (e == NULL)
        return;
    (void)put_schedule(c, r, e, NULL);
    cron_reply(c, r, 200, NULL, true);
}

/* -- runs ----------------------------------------------------------------------------------------------------------- */

static bool is_string_list(const json_t *list)
{
    size_t i, bytes = 0;
    json_t *value;
    json_array_foreach(list, i, value)
    {
        if (!json_is_string(value))
            return false;
        bytes += json_string_length(value);
    }
    return json_array_size(list) <= ARGS_MAX && bytes <= PARAMETER_BYTES_MAX;
}

static bool is_string_map(const json_t *map)
{
    size_t bytes = 0;
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)map, key, value)
    {
        if (!json_is_string(value) || key[0] == '\0' || strchr(key, '='))
            return false;
        bytes += strlen(key) + json_string_length(value);
    }
    return json_object_size(map) <= ARGS_MAX && bytes <= PARAMETER_BYTES_MAX;
}

static bool check_parameters(const json_t *body, struct problems *problems)
{
    const json_t *args = json_object_get(body, "args"), *env = json_object_get(body, "env");
    if (body && !json_is_object(body))
        problems_add(problems, "/", "error.expected.jsobject");
    if (args && (!json_is_array(args) || !is_string_list(args)))
        problems_add(problems, "/args", "must be a list of texts, at most %u bytes", PARAMETER_BYTES_MAX);
    if (env && (!json_is_object(env) || !is_string_map(env)))
        problems_add(problems, "/env", "must be names with texts, at most %u bytes", PARAMETER_BYTES_MAX);
    return !problems_any(problems);
}

static void create_run(struct cron *c, const struct cron_request *r)
{
    struct problems problems;
    struct buf b;
    struct json_writer w;
    struct entry *e = cron_need_job(c, r);
    if (e == NULL)
        return;
    problems_init(&problems);
    if (!check_parameters(r->body, &problems)) {
        reply_problems(c, r, &problems);
    } else if (c->run_count >= (size_t)c->config.runs_max) {
        cron_reply_message(c, r, 503, "There are %zu runs alive already", c->run_count);
    } else {
        struct run_options o = {
            .trigger = TRIGGER_MANUAL, .args = json_object_get(r->body, "args"), .env = json_object_get(r->body, "env")};
        const struct run *run = cron_run_start(c, e, &o);
        cron_body_begin(&b, &w);
        cron_view_run(c, run, &w);
        cron_reply(c, r, 201, &b, true);
    }
    problems_deinit(&problems);
}

static void stop_run(struct cron *c, const struct cron_request *r)
{
    struct buf b;
    struct json_writer w;
    struct run *run = cron_need_run(c, r);
    if (run == NULL)
        return;
    cron_body_begin(&b, &w);
    cron_view_run(c, run, &w); /* it may be gone afterwards */
    cron_run_stop(c, run, "stopped through the API");
    cron_reply_body(c, r, 200, &b, true);
}

void cron_request_write(struct cron *c, const struct cron_request *r)
{
    switch (r->type) {
    case CRON_CREATE_JOB:
        create_job(c, r);
        return;
    case CRON_PUT_JOB:
        replace_job(c, r);
        return;
    case CRON_DELETE_JOB:
        delete_job(c, r);
        return;
    case CRON_CREATE_SCHEDULE:
        create_schedule(c, r);
        return;
    case CRON_PUT_SCHEDULE:
        replace_schedule(c, r);
        return;
    case CRON_DELETE_SCHEDULE:
        delete_schedule(c, r);
        return;
    case CRON_CREATE_RUN:
        create_run(c, r);
        return;
    case CRON_STOP_RUN:
        stop_run(c, r);
        return;
    default:
        CHECK(!"type of a change");
    }
}
