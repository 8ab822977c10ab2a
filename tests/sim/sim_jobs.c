/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/sim_jobs.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/base/check.h"
#include "common/base/text.h"

#define MAX_RUN_S 40

static struct sim_job *add(struct sim_jobs *jobs, const char *id)
{
    CHECK(jobs->count < SIM_JOBS_MAX);
    struct sim_job *j = &jobs->items[jobs->count++];
    *j = (struct sim_job){.deadline_s = 900, .catch_up_limit = 10, .max_run_s = MAX_RUN_S, .array_parallel = 1};
    (void)snprintf(j->id, sizeof(j->id), "%s", id); /* fits */
    return j;
}

static struct sim_job *add_scheduled(struct sim_jobs *jobs, const char *id, int period_s)
{
    struct sim_job *j = add(jobs, id);
    j->period_s = period_s;
    return j;
}

static void add_parent(struct sim_job *j, int parent)
{
    for (int i = 0; i < j->parent_count; i++)
        if (j->parents[i] == parent)
            return;
    j->parents[j->parent_count++] = parent;
}

void sim_jobs_usual(struct sim_jobs *jobs)
{
    jobs->count = 0;
    struct sim_job *tick = add_scheduled(jobs, "tick", 20);
    tick->missed = SIM_MISSED_CATCH_UP;
    tick->catch_up_limit = 1000;
    add_scheduled(jobs, "lazy", 30)->deadline_s = 60;
    struct sim_job *solo = add_scheduled(jobs, "solo", 45);
    solo->missed = SIM_MISSED_RUN_ONCE;
    solo->concurrency = SIM_FORBID;
    add_scheduled(jobs, "swap", 50)->concurrency = SIM_REPLACE;
    add_scheduled(jobs, "root", 90);
    add_parent(add(jobs, "leaf"), 4);
    struct sim_job *tail = add(jobs, "tail");
    add_parent(tail, 4);
    add_parent(tail, 5);
    tail->on_completion = true;
    struct sim_job *many = add(jobs, "many");
    many->array_count = 9;
    many->array_parallel = 3;
    many->runs_by_hand = 1;
}

/* -- drawing ---------------------------------------------------------------------------------------------------- */

static int one_of(struct rng *r, const int *list, size_t count)
{
    return list[rng_below(r, count)];
}
#define ONE_OF(r, ...) one_of(r, (const int[]){__VA_ARGS__}, sizeof((const int[]){__VA_ARGS__}) / sizeof(int))

static int between(struct rng *r, int min, int max)
{
    return min + (int)rng_below(r, (uint64_t)(max - min + 1));
}

static void draw_work(struct sim_job *j, struct rng *r)
{
    j->work_min_ms = ONE_OF(r, 0, 100, 2000);
    j->work_max_ms = j->work_min_ms + ONE_OF(r, 10, 1000, 8000, 30000);
    j->fail_ppm = ONE_OF(r, 0, 0, 100000, 500000);
    j->max_run_s = ONE_OF(r, 10, 40, 120);
    if (rng_below(r, 6) == 0) { /* so long that it outlives what the master waits for an agent */
        j->work_min_ms = 100000;
        j->work_max_ms = 150000;
        j->max_run_s = 600;
    }
    if (rng_below(r, 2) == 0) {
        j->retries = between(r, 1, 3);
        j->retry_delay_s = between(r, 0, 4);
    }
}

static void draw_array(struct sim_job *j, struct rng *r)
{
    j->array_count = ONE_OF(r, 1, 2, 5, 12, 25);
    j->array_parallel = between(r, 1, 5);
    j->array_stops = rng_below(r, 2) == 0;
    j->work_min_ms = ONE_OF(r, 0, 100, 2000);
    j->work_max_ms = j->work_min_ms + ONE_OF(r, 10, 1000, 4000);
}

static void draw_schedule(struct sim_job *j, struct rng *r)
{
    j->missed = (enum sim_missed)rng_below(r, 3);
    j->catch_up_limit = ONE_OF(r, 1, 2, 5, 20);
    j->concurrency = (enum sim_concurrency)rng_below(r, 3);
    j->deadline_s = ONE_OF(r, 60, 60, 120, 900);
    j->repeats = rng_below(r, 4) == 0 ? between(r, 1, 20) : 0;
}

static bool has_children(const struct sim_jobs *jobs, int job)
{
    for (int i = 0; i < jobs->count; i++)
        for (int k = 0; k < jobs->items[i].parent_count; k++)
            if (jobs->items[i].parents[k] == job)
                return true;
    return false;
}

void sim_jobs_draw(struct sim_jobs *jobs, struct rng *r)
{
    char id[16];
    jobs->count = 0;
    int scheduled = between(r, 2, 4), children = between(r, 1, 5), by_hand = between(r, 0, 2);
    for (int i = 0; i < scheduled; i++) {
        (void)snprintf(id, sizeof(id), "s%d", i); /* fits */
        struct sim_job *j = add_scheduled(jobs, id, ONE_OF(r, 5, 7, 10, 15, 20, 30, 45, 60, 90, 150));
        draw_work(j, r);
        draw_schedule(j, r);
        if (rng_below(r, 4) == 0)
            draw_array(j, r);
    }
    for (int i = 0; i < children; i++) {
        (void)snprintf(id, sizeof(id), "c%d", i); /* fits */
        struct sim_job *j = add(jobs, id);
        draw_work(j, r);
        for (int n = between(r, 1, SIM_JOB_PARENTS_MAX); n > 0; n--)
            add_parent(j, (int)rng_below(r, (uint64_t)(scheduled + i)));
        j->on_completion = rng_below(r, 3) == 0;
        if (rng_below(r, 4) == 0)
            draw_array(j, r);
    }
    for (int i = 0; i < jobs->count; i++)
        jobs->items[i].comes_and_goes = !has_children(jobs, i) && rng_below(r, 8) == 0;
    for (int i = 0; i < by_hand; i++) {
        (void)snprintf(id, sizeof(id), "h%d", i); /* fits */
        struct sim_job *j = add(jobs, id);
        draw_work(j, r);
        j->runs_by_hand = between(r, 1, 3);
        if (rng_below(r, 3) != 0)
            draw_array(j, r);
    }
}

int sim_jobs_find(const struct sim_jobs *jobs, const char *id, size_t len)
{
    for (int i = 0; i < jobs->count; i++)
        if (strlen(jobs->items[i].id) == len && memcmp(jobs->items[i].id, id, len) == 0)
            return i;
    return -1;
}

/* -- writing ---------------------------------------------------------------------------------------------------- */

static void put(char *out, size_t size, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static void put(char *out, size_t size, const char *fmt, ...)
{
    size_t used = strlen(out);
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(out + used, size - used, fmt, ap);
    va_end(ap);
    CHECK(n >= 0 && (size_t)n < size - used);
}

void sim_job_write_schedule(const struct sim_job *j, bool is_enabled, char *out, size_t size)
{
    static const char *const missed[] = {"SKIP", "RUN_ONCE", "CATCH_UP"}, *const concurrency[] = {"ALLOW", "FORBID",
                                                                                                  "REPLACE"};
    char first[TEXT_TIME_SIZE], repeats[16] = "";
    if (j->repeats > 0)
        (void)snprintf(repeats, sizeof(repeats), "%d", j->repeats); /* fits */
    text_format_time_ms(SIM_JOBS_FIRST_MS, first);
    out[0] = '\0';
    put(out, size,
        "{\"id\":\"every\",\"interval\":\"R%s/%s/PT%dS\",\"enabled\":%s,\"missedPolicy\":\"%s\",\"catchUpLimit\":%d,"
        "\"concurrencyPolicy\":\"%s\",\"startingDeadlineSeconds\":%d}",
        repeats, first, j->period_s, is_enabled ? "true" : "false", missed[j->missed], j->catch_up_limit,
        concurrency[j->concurrency], j->deadline_s);
}

static void put_parents(const struct sim_jobs *jobs, const struct sim_job *j, char *out, size_t size)
{
    if (j->parent_count == 0)
        return;
    put(out, size, ",\"dependencies\":[");
    for (int i = 0; i < j->parent_count; i++)
        put(out, size, "%s{\"id\":\"%s\"}", i > 0 ? "," : "", jobs->items[j->parents[i]].id);
    put(out, size, "],\"dependencyPolicy\":\"%s\"", j->on_completion ? "COMPLETION" : "SUCCESS");
}

void sim_job_write(const struct sim_jobs *jobs, int job, char *out, size_t size)
{
    const struct sim_job *j = &jobs->items[job];
    char schedule[512];
    out[0] = '\0';
    put(out, size, "{\"id\":\"%s\",\"run\":{\"cmd\":\"work", j->id);
    if (j->work_max_ms > 0)
        put(out, size, " %d %d %d", j->work_min_ms, j->work_max_ms, j->fail_ppm);
    put(out, size, "\",\"cpus\":0.1,\"mem\":32,\"disk\":0,\"maxRunSeconds\":%d", j->max_run_s);
    if (j->retries > 0)
        put(out, size, ",\"restart\":{\"policy\":\"ON_FAILURE\",\"retries\":%d,\"delaySeconds\":%d}", j->retries,
            j->retry_delay_s);
    if (j->array_count > 0)
        put(out, size, ",\"array\":{\"count\":%d,\"parallel\":%d,\"onFailure\":\"%s\"}", j->array_count, j->array_parallel,
            j->array_stops ? "STOP" : "CONTINUE");
    put(out, size, "},\"schedules\":[");
    if (j->period_s > 0) {
        sim_job_write_schedule(j, true, schedule, sizeof(schedule));
        put(out, size, "%s", schedule);
    }
    put(out, size, "]");
    put_parents(jobs, j, out, size);
    put(out, size, "}");
}
