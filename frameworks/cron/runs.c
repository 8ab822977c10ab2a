/* SPDX-License-Identifier: Apache-2.0
 * runs.c - the life of a run, from the decision to its record in the history.
 *
 *   INITIAL --> STARTING --> ACTIVE --> SUCCESS | FAILED
 *      ^                       |
 *      +---- before a restart -+ */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"
#include "frameworks/cron/core.h"
#include "frameworks/cron/job_json.h"
#include "frameworks/cron/time/calendar.h"

#define RETRY_SHIFT_MAX 20

const char *cron_run_state_name(enum run_state s)
{
    static const char *const names[] = {"INITIAL", "STARTING", "ACTIVE", "SUCCESS", "FAILED", "SKIPPED"};
    return names[s];
}

const char *cron_run_trigger_name(enum run_trigger t)
{
    static const char *const names[] = {"MANUAL", "SCHEDULE", "CATCH_UP", "DEPENDENCIES"};
    return names[t];
}

/* -- making one ---------------------------------------------------------------------------------------------------- */

static void make_id(struct cron *c, char out[RUN_ID_SIZE])
{
    static const char letters[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    int64_t days = calendar_floor_div(c->wall_ms, CALENDAR_DAY_MS);
    int64_t second = calendar_floor_mod(c->wall_ms, CALENDAR_DAY_MS) / 1000;
    struct calendar_date d = calendar_date(days);
    do {
        char tail[6];
        for (int i = 0; i < 5; i++)
            tail[i] = letters[rng_below(&c->rng, sizeof(letters) - 1)];
        tail[5] = '\0';
        (void)snprintf(out, RUN_ID_SIZE, "%04u%02u%02u%02u%02u%02u%s", (unsigned)d.year % 10000, (unsigned)d.month % 100,
                       (unsigned)d.day % 100, (unsigned)(second / 3600), (unsigned)(second / 60 % 60),
                       (unsigned)(second % 60), tail);
    } while (map_get(&c->runs, out) != NULL);
}

struct run *cron_run_find(const struct cron *c, const struct entry *e, const char *id)
{
    struct run *r = map_get(&c->runs, id);
    return r && r->entry == e ? r : NULL;
}

static void set_parameters(struct run *r, const json_t *args, const json_t *env)
{
    r->arg_count = json_array_size(args);
    if (r->arg_count > 0) {
        r->args = chunks_alloc(&r->chunks, sizeof(r->args[0]) * r->arg_count);
        for (size_t i = 0; i < r->arg_count; i++)
            r->args[i] = chunks_strdup(&r->chunks, json_string_value(json_array_get(args, i)));
    }
    r->env = pairs_read(&r->chunks, env);
}

struct run *cron_run_new(struct cron *c, struct entry *e, struct job *spec, const char *id)
{
    struct run *r = xcalloc(1, sizeof(*r));
    list_init(&r->queue_link);
    list_init(&r->dirty_link);
    list_init(&r->tasks);
    r->timer.kind = TIMER_RUN;
    r->entry = e;
    r->spec = job_ref(spec);
    (void)snprintf(r->id, sizeof(r->id), "%s", id); /* checked by callers */
    list_push_back(&e->runs, &r->link);
    CHECK(map_put(&c->runs, r->id, r) == NULL);
    e->run_count++;
    c->run_count++;
    return r;
}

struct run *cron_run_start(struct cron *c, struct entry *e, const struct run_options *o)
{
    char id[RUN_ID_SIZE];
    make_id(c, id);
    struct run *r = cron_run_new(c, e, e->job, id);
    r->trigger = o->trigger;
    r->ordinal = e->next_ordinal++;
    r->due_ms = o->due_ms;
    r->interval_start_ms = o->interval_start_ms;
    r->interval_end_ms = o->interval_end_ms;
    r->created_ms = e->last_started_ms = c->wall_ms;
    r->waits_for_older = o->waits_for_older;
    set_parameters(r, o->args, o->env);
    if (r->spec->array_count > 0)
        r->array = array_new(r->spec->array_count, r->spec->array_parallel);
    if (o->graph)
        cron_graph_join(c, o->graph, r);
    c->totals.runs_started_total++;
    cron_entry_changed(c, e);
    cron_run_settle(c, r);
    cron_run_changed(c, r);
    cron_publish_run(c, "job_run_started", r, r->state, NULL);
    return r;
}

void cron_run_free(struct cron *c, struct run *r)
{
    struct entry *e = r->entry;
    while (!list_is_empty(&r->tasks))
        cron_task_free(c, container_of(r->tasks.next, struct task, link));
    list_remove(&r->link);
    CHECK(map_remove(&c->runs, r->id) == r);
    list_remove(&r->dirty_link);
    if (!list_is_empty(&r->queue_link)) {
        list_remove(&r->queue_link);
        c->queued_count--;
    }
    heap_remove(&c->timers, &r->timer.node);
    e->run_count--;
    c->run_count--;
    for (size_t i = 0; i < r->ended_count; i++)
        cron_ended_task_deinit(&r->ended[i]);
    r->array = array_free(r->array);
    chunks_free(&r->chunks);
    (void)job_unref(r->spec);
    free(r->stop_reason);
    free(r);
}

void cron_run_changed(struct cron *c, struct run *r)
{
    if (list_is_empty(&r->dirty_link))
        list_push_back(&c->dirty_runs, &r->dirty_link);
}

/* -- what it waits for --------------------------------------------------------------------------------------------- */

bool cron_run_wants_task(const struct run *r)
{
    if (r->is_stopping || r->waits_for_older)
        return false;
    if (r->array)
        return array_has_next(r->array, r->task_count);
    return r->task_count == 0 && r->not_before_ms == 0;
}

void cron_run_queue(struct cron *c, struct run *r)
{
    bool wants = cron_run_wants_task(r), is_in = !list_is_empty(&r->queue_link);
    if (wants == is_in)
        return;
    if (wants) {
        bool is_high = r->spec->chronos && r->spec->chronos->is_high_priority;
        list_push_back(is_high ? &c->queue_high : &c->queue, &r->queue_link);
        c->queued_count++;
        c->demand_grew = true;
    } else {
        list_remove(&r->queue_link);
        c->queued_count--;
    }
}

static int64_t starting_deadline_ms(const struct run *r)
{
    const struct schedule *s = r->spec->schedule;
    bool counts = r->trigger == TRIGGER_SCHEDULE && r->started_ms == 0 && !r->is_stopping && s;
    return counts && s->starting_deadline_ms != JOB_NEVER ? r->created_ms + s->starting_deadline_ms : JOB_NEVER;
}

static enum run_state live_state(const struct run *r)
{
    list_for_each(node, &r->tasks)
    {
        if (container_of(node, struct task, link)->started_ms != 0)
            return RUN_ACTIVE;
        if (r->array)
            break; /* the oldest speaks for all */
    }
    if (r->array && r->started_ms != 0)
        return RUN_ACTIVE;
    return r->waits_for_older || r->not_before_ms != 0 ? RUN_INITIAL : RUN_STARTING;
}

/* After anything changed: its state, its place in the queue, its timer. */
void cron_run_settle(struct cron *c, struct run *r)
{
    r->state = live_state(r);
    cron_run_queue(c, r);
    int64_t at = r->not_before_ms ? r->not_before_ms : INT64_MAX;
    int64_t deadline_ms = starting_deadline_ms(r);
    if (deadline_ms != JOB_NEVER) {
        int64_t wait = deadline_ms - c->wall_ms;
        int64_t deadline = c->now_ms + (wait > 0 ? wait : 0);
        at = deadline < at ? deadline : at;
    }
    int64_t retry = r->array && !r->is_stopping ? array_retry_ms(r->array) : INT64_MAX;
    at = retry < at ? retry : at;
    if (at == INT64_MAX)
        heap_remove(&c->timers, &r->timer.node);
    else
        heap_set(&c->timers, &r->timer.node, at);
}

void cron_run_on_timer(struct cron *c, struct run *r)
{
    int64_t deadline_ms = starting_deadline_ms(r);
    if (deadline_ms != JOB_NEVER && deadline_ms <= c->wall_ms) {
        cron_run_stop(c, r, "did not start within its starting deadline");
        return;
    }
    if (r->not_before_ms && r->not_before_ms <= c->now_ms)
        r->not_before_ms = 0;
    if (r->array)
        array_wake(r->array, c->now_ms);
    cron_run_settle(c, r);
}

/* The next run of this job need not wait any longer if all before it have ended. */
static void release_next(struct cron *c, struct entry *e)
{
    if (list_is_empty(&e->runs))
        return;
    struct run *r = container_of(e->runs.next, struct run, link);
    if (!r->waits_for_older)
        return;
    r->waits_for_older = false;
    cron_run_changed(c, r);
    cron_run_settle(c, r);
}

/* -- the end ------------------------------------------------------------------------------------------------------- */

static void write_history(struct cron *c, struct run *r, enum run_state state, const char *reason)
{
    struct buf b;
    struct json_writer w;
    buf_init(&b, 0);
    json_writer_init(&w, &b);
    cron_view_ended_run(c, r, state, reason, &w);
    cron_store_history(c, r->entry, &b);
}

/* Chronos's --disable_after_failures: nothing starts any more until somebody puts the job again. */
static void disable(struct cron *c, struct entry *e)
{
    const struct job_reading how = {.zones = c->config.zones, .wall_ms = c->wall_ms};
    struct job *job = job_copy(e->job, &how);
    job->is_disabled = true;
    if (job->schedule)
        job->schedule->is_enabled = false;
    (void)cron_entry_put(c, job);
}

static void count(struct cron *c, struct run *r, bool is_success)
{
    struct entry *e = r->entry;
    if (is_success) {
        if (r->started_ms)
            durations_add(&e->durations, c->wall_ms - r->started_ms);
        e->successes++;
        e->failures_in_row = 0;
        e->last_success_ms = c->wall_ms;
        c->totals.runs_succeeded_total++;
    } else {
        e->failures++;
        e->failures_in_row++;
        e->last_failure_ms = c->wall_ms;
        c->totals.runs_failed_total++;
    }
    cron_entry_changed(c, e);
}

/* Of jobs in Chronos's form (facts: net-cron E.6): the command of an asynchronous one only begins the work, how that came
 * out is told later; and who kills a run does not make it a failure. */
static bool is_no_result(const struct run *r, bool is_success)
{
    const struct job_chronos *own = r->spec->chronos;
    return own && ((is_success && own->is_async) || (!is_success && r->is_stopping));
}

void cron_run_finish(struct cron *c, struct run *r, bool is_success, const char *reason)
{
    struct entry *e = r->entry;
    bool is_result = !is_no_result(r, is_success);
    struct job *spec = job_ref(r->spec);
    enum run_state state = is_success ? RUN_SUCCESS : RUN_FAILED;
    CHECK(r->task_count == 0);
    if (!e->is_deleted) {
        if (is_result)
            count(c, r, is_success);
        write_history(c, r, state, reason);
    }
    cron_publish_run(c, is_success ? "job_run_finished" : "job_run_failed", r, state, reason);
    if (is_result)
        cron_graph_advance(c, r, is_success);
    cron_graph_leave(c, r);
    cron_forget_run(c, r);
    cron_run_free(c, r);
    cron_entry_release_spec(c, e, spec);
    (void)job_unref(spec);
    release_next(c, e);
    int64_t most = c->config.chronos_disable_after_failures;
    if (is_result && !is_success && !e->is_deleted && e->job->chronos && most > 0 && e->failures_in_row >= most &&
        !e->job->is_disabled)
        disable(c, e);
    if (e->is_deleted && e->run_count == 0)
        cron_entry_free(c, e);
}

void cron_run_stop(struct cron *c, struct run *r, const char *reason)
{
    if (r->is_stopping)
        return;
    r->is_stopping = true;
    r->stop_reason = xstrdup(reason);
    list_for_each(node, &r->tasks)
    {
        cron_task_kill(c, container_of(node, struct task, link), r->stop_reason);
    }
    if (r->task_count == 0) {
        char *text = xstrdup(reason); /* the run's own copy goes with it */
        cron_run_finish(c, r, false, text);
        free(text);
        return;
    }
    cron_run_changed(c, r);
    cron_run_settle(c, r);
    cron_publish_run(c, "job_run_updated", r, r->state, reason);
}

void cron_run_skip(struct cron *c, struct entry *e, const struct skip *s)
{
    struct buf b;
    struct json_writer w;
    c->totals.moments_skipped_total += s->count;
    buf_init(&b, 0);
    json_writer_init(&w, &b);
    cron_view_skip(c, e, s, e->next_ordinal++, &w);
    cron_publish_skip(c, e, s);
    cron_store_history(c, e, &b);
}

/* -- tasks --------------------------------------------------------------------------------------------------------- */

void cron_run_task_running(struct cron *c, struct task *t)
{
    struct run *r = t->run;
    bool is_news = r->started_ms == 0;
    if (is_news)
        r->started_ms = c->wall_ms;
    cron_run_changed(c, r);
    enum run_state before = r->state;
    cron_run_settle(c, r);
    if (is_news || r->state != before)
        cron_publish_run(c, "job_run_updated", r, r->state, NULL);
}

static bool may_restart(const struct cron *c, const struct run *r, unsigned attempts)
{
    const struct job *j = r->spec;
    if (j->restart != RESTART_ON_FAILURE)
        return false;
    if (c->config.chronos_compat && j->chronos && r->entry->failures_in_row > 0)
        return false; /* a job that failed gets no retries until it succeeds once (facts: net-cron E.6) */
    if (j->retries >= 0 && (int64_t)attempts > j->retries)
        return false;
    return j->active_deadline_s < 0 || c->wall_ms < r->created_ms + j->active_deadline_s * 1000;
}

static int64_t restart_delay_ms(const struct job *j, unsigned attempts)
{
    if (j->is_fixed_delay)
        return j->retry_delay_ms;
    unsigned shift = attempts > 0 ? attempts - 1 : 0;
    int64_t delay = j->retry_delay_ms << (shift < RETRY_SHIFT_MAX ? shift : RETRY_SHIFT_MAX);
    return delay < j->max_launch_delay_s * 1000 ? delay : j->max_launch_delay_s * 1000;
}

/* The first at once, later ones more and more slowly. */
static int64_t relaunch_delay_ms(unsigned before)
{
    int64_t delay = before == 0 ? 0 : INT64_C(500) << (before < 7 ? before : 7);
    return delay;
}

static void plain_task_ended(struct cron *c, struct run *r, enum task_end how, const char *reason)
{
    if (how == TASK_FINISHED) {
        cron_run_finish(c, r, true, NULL);
        return;
    }
    if (how == TASK_NEVER) {
        int64_t wait_ms = relaunch_delay_ms(r->relaunches++);
        r->not_before_ms = wait_ms > 0 ? c->now_ms + wait_ms : 0;
        cron_run_settle(c, r);
        return;
    }
    if (how == TASK_KILLED || !may_restart(c, r, r->attempts)) {
        cron_run_finish(c, r, false, reason);
        return;
    }
    int64_t delay_ms = restart_delay_ms(r->spec, r->attempts);
    r->not_before_ms = delay_ms > 0 ? c->now_ms + delay_ms : 0;
    cron_run_settle(c, r);
    cron_publish_run(c, "job_run_updated", r, r->state, reason);
}

static void array_task_ended(struct cron *c, struct run *r, int64_t index, unsigned attempt, enum task_end how,
                             const char *reason)
{
    struct array *a = r->array;
    if (how == TASK_FINISHED) {
        a->succeeded++;
    } else if (how == TASK_NEVER) {
        array_retry(a, index, attempt - 1, c->now_ms + relaunch_delay_ms(r->relaunches++ > 0 ? 1 : 0));
        cron_store_array_retry(c, r, index, attempt - 1);
    } else if (how != TASK_KILLED && may_restart(c, r, attempt)) {
        array_retry(a, index, attempt, c->now_ms + restart_delay_ms(r->spec, attempt));
        cron_store_array_retry(c, r, index, attempt);
    } else {
        array_fail(a, index);
        cron_store_array_chunk(c, r, index);
        if (r->spec->array_policy == ARRAY_STOP) {
            char text[128];
            (void)snprintf(text, sizeof(text), "index %lld failed: %.80s", (long long)index, reason ? reason : "");
            cron_run_stop(c, r, text);
            return;
        }
    }
    if (!array_is_done(a, r->task_count)) {
        cron_run_settle(c, r);
        return;
    }
    char text[64];
    (void)snprintf(text, sizeof(text), "%lld of %lld indices failed", (long long)a->failed, (long long)a->count);
    cron_run_finish(c, r, a->failed == 0, a->failed == 0 ? NULL : text);
}

void cron_run_task_ended(struct cron *c, struct task *t, enum task_end how, const char *message)
{
    struct run *r = t->run;
    int64_t index = t->index;
    unsigned attempt = t->attempt;
    char reason[256];
    const char *why = t->kill_reason ? t->kill_reason : message && message[0] ? message : cron_task_end_name(how);
    (void)snprintf(reason, sizeof(reason), "%s", why); /* cut when long */
    if (t->kill_reason && how != TASK_FINISHED && t->is_timed_out)
        how = TASK_FAILED; /* killed by us because of what it did: as good as a failure of its own */
    if (how != TASK_NEVER && !r->array)
        r->attempts++;
    if (!r->array || (how != TASK_FINISHED && how != TASK_NEVER))
        cron_run_note_ended(c, t, how, reason);
    if (r->array)
        cron_forget_task(c, t);
    cron_task_free(c, t);
    cron_run_changed(c, r);
    if (r->is_stopping && how != TASK_FINISHED) {
        if (r->array)
            r->array->failed++;
        if (r->task_count == 0) {
            char text[256];
            (void)snprintf(text, sizeof(text), "%s", r->stop_reason);
            cron_run_finish(c, r, false, text);
        }
        return;
    }
    if (r->is_stopping && r->array) { /* it came to its end before the kill did */
        r->array->succeeded++;
        if (r->task_count == 0)
            cron_run_finish(c, r, false, r->stop_reason);
        return;
    }
    if (r->array)
        array_task_ended(c, r, index, attempt, how, reason);
    else
        plain_task_ended(c, r, how, reason);
}
