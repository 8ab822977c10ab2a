/* SPDX-License-Identifier: Apache-2.0
 * cron_history.c - reading the records, and each job by itself. Graphs are in cron_graphs.c. */
#include "sim/cron_history.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"
#include "common/base/json.h"
#include "common/base/text.h"
#include "sim/check_cron.h"
#include "sim/cron_records.h"

#define LAUNCH_SLACK_MS 15000 /* what a disk may hold a launch back that was decided in time */

/* -- reading ------------------------------------------------------------------------------------------------------ */

static int64_t time_of(const json_t *record, const char *key)
{
    int64_t ms = 0;
    const char *text = json_string_value(json_object_get(record, key));
    char iso[64];
    if (text == NULL)
        return 0;
    (void)snprintf(iso, sizeof(iso), "%.*sZ", (int)strcspn(text, "+"), text); /* +0000 */
    CHECK(text_to_time_ms(iso, &ms) == 0);
    return ms;
}

static const char *text_of(const json_t *record, const char *key)
{
    const char *text = json_string_value(json_object_get(record, key));
    return text != NULL ? text : "";
}

static void read_record(struct cron_record *r, json_t *json)
{
    r->json = json;
    r->id = text_of(json, "id");
    r->reason = text_of(json, "reason");
    r->graph = text_of(json, "graph");
    r->trigger = text_of(json, "trigger");
    r->is_skip = strcmp(text_of(json, "status"), "SKIPPED") == 0;
    r->is_good = strcmp(text_of(json, "status"), "SUCCESS") == 0;
    r->created_ms = time_of(json, "createdAt");
    r->completed_ms = time_of(json, "completedAt");
    r->due_ms = time_of(json, "dueAt");
    r->from_ms = time_of(json, "intervalStart");
    r->first_ms = time_of(json, "firstDueAt");
    r->last_ms = time_of(json, "lastDueAt");
    r->count = json_integer_value(json_object_get(json, "count"));
    r->ordinal = json_integer_value(json_object_get(json, "ordinal"));
    const json_t *array = json_object_get(json, "array");
    r->succeeded = json_integer_value(json_object_get(array, "succeeded"));
    r->failed = json_integer_value(json_object_get(array, "failed"));
}

static int compare(const void *left, const void *right)
{
    const struct cron_record *a = left, *b = right;
    if (a->job != b->job)
        return (a->job > b->job) - (a->job < b->job);
    return (a->ordinal > b->ordinal) - (a->ordinal < b->ordinal);
}

/* Keys are CRON_HISTORY_PREFIX "BB/<job>/<number>". */
static int job_of_key(const struct sim_jobs *jobs, const struct sim_item *item)
{
    size_t n = strlen(CRON_HISTORY_PREFIX) + 3;
    if (item->key_len <= n || memcmp(item->key, CRON_HISTORY_PREFIX, n - 3) != 0)
        return -1;
    const char *job = (const char *)item->key + n, *end = memchr(job, '/', item->key_len - n);
    return end != NULL ? sim_jobs_find(jobs, job, (size_t)(end - job)) : -1;
}

static void read_records(struct sim_cron *s, struct cron_records *out)
{
    const struct sim_item *items;
    size_t count = sim_store_items(sim_cron_store(s), &items);
    out->items = xcalloc(count + 1, sizeof(out->items[0]));
    for (size_t i = 0; i < count; i++) {
        int job = job_of_key(out->jobs, &items[i]);
        if (job < 0)
            continue;
        json_t *json = json_read(items[i].value, items[i].value_len, NULL);
        CHECK(json != NULL);
        struct cron_record *r = &out->items[out->count++];
        r->job = job;
        read_record(r, json);
    }
    qsort(out->items, out->count, sizeof(out->items[0]), compare);
    for (size_t i = out->count; i > 0; i--)
        out->first[out->items[i - 1].job] = &out->items[i - 1];
    for (size_t i = 0; i < out->count; i++)
        out->number[out->items[i].job]++;
}

static void free_records(struct cron_records *out)
{
    for (size_t i = 0; i < out->count; i++)
        json_decref(out->items[i].json);
    free(out->items);
}

/* -- moments ------------------------------------------------------------------------------------------------------ */

struct job_view { /* one job, its records in the order in which they were made */
    struct sim_cron *cron;
    struct world *world;
    int number;
    const struct sim_job *job;
    const struct cron_record *records;
    size_t count;
    bool is_used_up; /* of a schedule with an end: all repeats */
};

/* The newest moment that is due at this time. */
static int64_t newest_at(const struct job_view *v, int64_t wall_ms)
{
    int64_t period_ms = v->job->period_s * 1000;
    return SIM_JOBS_FIRST_MS + (wall_ms - SIM_JOBS_FIRST_MS) / period_ms * period_ms;
}

/* The moments that a record decides, both included. */
static bool span_of(const struct job_view *v, const struct cron_record *r, int64_t *first, int64_t *last)
{
    if (r->is_skip) {
        *first = r->first_ms;
        *last = r->last_ms;
        return r->first_ms != 0;
    }
    /* RUN_ONCE: for all behind the moment before. */
    bool stands_for_all = v->job->missed == SIM_MISSED_RUN_ONCE && r->from_ms != r->due_ms;
    *first = stands_for_all ? r->from_ms + 1 : r->due_ms;
    *last = r->due_ms;
    return r->due_ms != 0;
}

static void check_moments(const struct job_view *v)
{
    struct sim_cron_asked asked = sim_cron_asked(v->cron, v->number);
    int64_t period_ms = v->job->period_s * 1000;
    /* Everything before it was first asked to end was decided before; nothing behind the end that was accepted. */
    int64_t must = v->is_used_up ? 0 : (asked.end_first_ms - SIM_JOBS_FIRST_MS) / period_ms + 1;
    int64_t may = (asked.end_last_ms - SIM_JOBS_FIRST_MS) / period_ms + 1;
    if (asked.end_first_ms <= SIM_JOBS_FIRST_MS)
        return;
    unsigned *times = xcalloc((size_t)may + 1, sizeof(times[0]));
    for (size_t i = 0; i < v->count; i++) {
        int64_t first, last;
        if (!span_of(v, &v->records[i], &first, &last))
            continue;
        int64_t k = first <= SIM_JOBS_FIRST_MS ? 0 : (first - SIM_JOBS_FIRST_MS + period_ms - 1) / period_ms;
        for (; SIM_JOBS_FIRST_MS + k * period_ms <= last; k++)
            times[k < may ? k : may]++;
    }
    for (int64_t k = 0; k <= may; k++) {
        char text[TEXT_TIME_SIZE];
        text_format_time_ms(SIM_JOBS_FIRST_MS + k * period_ms, text);
        if (times[k] > 1 || (k == may && times[k] > 0) || (k < must && times[k] == 0))
            world_violate(v->world, "cron", "the moment %s of %s was decided %u times", text, v->job->id, times[k]);
    }
    free(times);
}

/* -- policies ----------------------------------------------------------------------------------------------------- */

/* Records that were made of the same decision. */
static size_t decision_at(const struct job_view *v, size_t i, size_t *runs, int64_t *moments)
{
    size_t k = i;
    *runs = 0;
    *moments = 0;
    for (; k < v->count && v->records[k].created_ms == v->records[i].created_ms; k++) {
        const struct cron_record *r = &v->records[k];
        *runs += !r->is_skip && r->due_ms != 0;
        *moments += r->is_skip && r->first_ms != 0 ? r->count : !r->is_skip && r->due_ms != 0;
    }
    return k - i;
}

static void wrong(const struct job_view *v, const struct cron_record *r, const char *what)
{
    char due[TEXT_TIME_SIZE], at[TEXT_TIME_SIZE];
    text_format_time_ms(r->is_skip ? r->last_ms : r->due_ms, due);
    text_format_time_ms(r->created_ms, at);
    world_violate(v->world, "cron", "%s, record %lld: %s (due %s, decided %s, %s %s)", v->job->id, (long long)r->ordinal,
                  what, due, at, r->is_skip ? "skipped" : r->id, r->reason);
}

static void check_missed(const struct job_view *v, const struct cron_record *r)
{
    int64_t newest = newest_at(v, r->created_ms), first, last;
    if (!span_of(v, r, &first, &last))
        return;
    bool is_late = r->created_ms - newest > v->job->deadline_s * 1000;
    bool is_missed = is_late || last < newest;
    bool for_that = strncmp(r->reason, "missed", 6) == 0;
    if (last > r->created_ms)
        wrong(v, r, "is decided before it is due");
    if (first < r->created_ms && !sim_cron_may_be_late(v->cron, v->number, r->created_ms) &&
        !(v->job->missed == SIM_MISSED_RUN_ONCE && last == r->created_ms))
        wrong(v, r, "is decided late without a restart");
    if (r->is_skip && for_that && v->job->missed == SIM_MISSED_RUN_ONCE)
        wrong(v, r, "is skipped as missed though missed ones are to run once");
    if (r->is_skip && for_that && v->job->missed == SIM_MISSED_SKIP && !is_late && last >= newest)
        wrong(v, r, "is skipped as missed in time");
    if (!r->is_skip && v->job->missed == SIM_MISSED_SKIP && is_missed)
        wrong(v, r, "runs though it was missed");
    if (!r->is_skip && v->job->missed == SIM_MISSED_RUN_ONCE && r->due_ms != newest)
        wrong(v, r, "is not the newest of those that run once");
}

static void check_catch_up(const struct job_view *v)
{
    size_t runs = 0, n;
    int64_t moments = 0, left = v->job->repeats > 0 ? v->job->repeats : INT64_MAX;
    for (size_t i = 0; i < v->count; i += n) {
        n = decision_at(v, i, &runs, &moments);
        int64_t most = left < v->job->catch_up_limit ? left : v->job->catch_up_limit;
        if (moments > 0 && (int64_t)runs != (moments > most ? most : moments))
            wrong(v, &v->records[i], "begins a decision that catches up with too few or too many");
        left -= (int64_t)runs;
    }
}

/* A decision uses one repeat, one that catches up as many as it runs. */
static void check_repeats(struct job_view *v)
{
    int64_t used = 0, moments = 0;
    size_t runs = 0, n;
    for (size_t i = 0; i < v->count; i += n) {
        n = decision_at(v, i, &runs, &moments);
        bool catches_up = v->job->missed == SIM_MISSED_CATCH_UP && (moments > 1 || runs == 1);
        used += moments == 0 ? 0 : catches_up ? (int64_t)runs : 1;
    }
    v->is_used_up = v->job->repeats > 0 && used >= v->job->repeats;
    if (v->job->repeats > 0 && used > v->job->repeats)
        world_violate(v->world, "cron", "%s was to be repeated %d times and was %lld times", v->job->id, v->job->repeats,
                      (long long)used);
}

static bool was_alive(const struct cron_record *r, int64_t at_ms)
{
    return !r->is_skip && r->created_ms <= at_ms && r->completed_ms >= at_ms;
}

static void check_concurrency(const struct job_view *v, const struct cron_record *r)
{
    bool any = false;
    bool is_forbidden = r->is_skip && strstr(r->reason, "FORBID") != NULL;
    for (size_t i = 0; i < v->count; i++) {
        const struct cron_record *other = &v->records[i];
        if (other == r || !was_alive(other, r->created_ms))
            continue;
        any = true;
        bool was_first = other->ordinal < r->ordinal && other->created_ms < r->created_ms &&
                         other->completed_ms > r->created_ms && !r->is_skip && r->due_ms != 0;
        if (was_first && v->job->concurrency == SIM_FORBID && v->job->missed != SIM_MISSED_CATCH_UP)
            wrong(v, r, "is decided to run while another run is under way");
        bool is_stopped = strstr(other->reason, "replaced") != NULL || strstr(other->reason, "stop") != NULL ||
                          strstr(other->reason, "starting deadline") != NULL ||
                          (v->job->array_stops && strncmp(other->reason, "index ", 6) == 0); /* it was ending already */
        if (was_first && v->job->concurrency == SIM_REPLACE && strcmp(r->trigger, "SCHEDULE") == 0 && !other->is_good &&
            !is_stopped)
            wrong(v, other, "was to be replaced and ends otherwise");
    }
    if (is_forbidden && !any)
        wrong(v, r, "is skipped because of a run that is not there");
    if (is_forbidden && v->job->concurrency != SIM_FORBID)
        wrong(v, r, "is skipped though nothing forbids it");
}

/* -- what really ran ---------------------------------------------------------------------------------------------- */

static void check_truth(const struct job_view *v, const struct cron_record *r)
{
    if (r->is_skip) {
        if (r->reason[0] == '\0')
            wrong(v, r, "has no reason");
        return;
    }
    const struct cron_seen_run *seen = check_cron_run(v->world, r->id);
    int64_t count = v->job->array_count > 0 ? v->job->array_count : 1, well = 0;
    for (int64_t i = 0; seen != NULL && i < count; i++)
        well += seen->has_ended_well[i];
    if (r->is_good && well != count)
        wrong(v, r, "is told as good, and something of it did not end well");
    if (!r->is_good && r->reason[0] == '\0')
        wrong(v, r, "has failed without a reason");
    if (v->job->array_count > 0 && r->succeeded > well)
        wrong(v, r, "counts more good indices than there were");
    if (v->job->array_count > 0 && !v->job->array_stops && strstr(r->reason, "of") != NULL &&
        strstr(r->reason, "indices failed") != NULL && r->succeeded + r->failed != count)
        wrong(v, r, "has ended before all its indices");
    if (seen != NULL && strcmp(r->trigger, "SCHEDULE") == 0 &&
        seen->launched_ms > r->created_ms + v->job->deadline_s * 1000 + LAUNCH_SLACK_MS + sim_cron_calendar_ms(v->cron))
        wrong(v, r, "is launched behind its starting deadline");
}

static void check_job(struct job_view *v)
{
    check_repeats(v);
    for (size_t i = 0; i < v->count && !v->world->is_broken; i++) {
        const struct cron_record *r = &v->records[i];
        if (r->ordinal != (int64_t)i + 1)
            wrong(v, r, "does not follow the record before it");
        if (v->job->period_s > 0) {
            check_missed(v, r);
            check_concurrency(v, r);
        }
        check_truth(v, r);
    }
    if (v->job->period_s > 0)
        check_moments(v);
    if (v->job->period_s > 0 && v->job->missed == SIM_MISSED_CATCH_UP)
        check_catch_up(v);
}

static void check_launched(struct world *w, const struct cron_records *all)
{
    const struct cron_seen_run *seen;
    for (size_t i = 0; (seen = check_cron_run_at(w, i)) != NULL; i++) {
        const struct cron_record *r = all->first[seen->job];
        size_t k = 0;
        while (k < all->number[seen->job] && strcmp(r[k].id, seen->id) != 0)
            k++;
        if (k == all->number[seen->job] && !all->jobs->items[seen->job].comes_and_goes)
            world_violate(w, "cron", "run %s of %s was launched and has no record", seen->id,
                          all->jobs->items[seen->job].id);
    }
}

/* For those who look at a trace: is there enough of everything to be judged? */
static void log_summary(struct world *w, const struct cron_records *all)
{
    size_t good = 0, skipped = 0, caught_up = 0, children = 0, arrays = 0, stopped = 0;
    for (size_t i = 0; i < all->count; i++) {
        const struct cron_record *r = &all->items[i];
        good += r->is_good;
        skipped += r->is_skip;
        caught_up += strcmp(r->trigger, "CATCH_UP") == 0;
        children += strcmp(r->trigger, "DEPENDENCIES") == 0;
        arrays += all->jobs->items[r->job].array_count > 0;
        stopped += strstr(r->reason, "replaced") != NULL;
    }
    world_log(w, "world", "%zu records: %zu good, %zu skipped, %zu caught up, %zu of children, %zu of arrays, %zu replaced",
              all->count, good, skipped, caught_up, children, arrays, stopped);
}

void cron_history_check(struct sim_cron *s)
{
    struct world *w = sim_cron_node(s)->world;
    struct cron_records all = {.jobs = sim_cron_jobs(s)};
    read_records(s, &all);
    log_summary(w, &all);
    for (int i = 0; i < all.jobs->count && !w->is_broken; i++) {
        struct job_view v = {.cron = s,
                             .world = w,
                             .number = i,
                             .job = &all.jobs->items[i],
                             .records = all.first[i],
                             .count = all.number[i]};
        if (!v.job->comes_and_goes)
            check_job(&v);
    }
    if (!w->is_broken)
        check_launched(w, &all);
    if (!w->is_broken)
        cron_graphs_check(s, &all);
    free_records(&all);
}
