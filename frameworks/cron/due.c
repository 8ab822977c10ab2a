/* SPDX-License-Identifier: Apache-2.0
 * due.c - what becomes of a moment: a run, or a record why not. Every moment is decided once: the decision moves
 * entry->decided_ms behind it, and both are written together before anything is launched. */
#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"
#include "frameworks/cron/core.h"
#include "frameworks/cron/job_json.h"

#define WALK_MAX 1000 /* moments that are counted one by one; beyond that it is "at least so many" */

int64_t cron_entry_next_due(const struct entry *e)
{
    const struct schedule *s = e->job->schedule;
    return s == NULL || e->remaining == 0 ? JOB_NEVER : schedule_next(s, e->decided_ms);
}

void cron_entry_set_due(struct cron *c, struct entry *e)
{
    const struct schedule *s = e->job->schedule;
    int64_t next = s && s->is_enabled && !e->is_deleted ? cron_entry_next_due(e) : JOB_NEVER;
    if (next == JOB_NEVER)
        heap_remove(&c->due, &e->due.node);
    else
        heap_set(&c->due, &e->due.node, next);
}

/* The moments to be decided now. */
struct moments {
    int64_t first_ms, newest_ms;
    uint64_t count;
    bool is_exact;
    bool is_late; /* even the newest is behind its starting deadline */
};

static void skip(struct cron *c, struct entry *e, int64_t first_ms, int64_t last_ms, uint64_t count, bool is_exact,
                 const char *reason)
{
    struct skip s = {
        .first_due_ms = first_ms, .last_due_ms = last_ms, .count = count, .is_count_exact = is_exact, .reason = reason};
    cron_run_skip(c, e, &s);
}

static void skip_all(struct cron *c, struct entry *e, const struct moments *m, const char *reason)
{
    skip(c, e, m->first_ms, m->newest_ms, m->count, m->is_exact, reason);
}

static struct moments one_moment(int64_t due_ms)
{
    return (struct moments){.first_ms = due_ms, .newest_ms = due_ms, .count = 1, .is_exact = true};
}

/* Stops every live run; those without tasks end at once. */
static void stop_all(struct cron *c, struct entry *e, const char *reason)
{
    list_for_each(node, &e->runs)
    {
        cron_run_stop(c, container_of(node, struct run, link), reason);
    }
}

/* A run for its newest moment; if it cannot be, all of them are skipped. */
static void start(struct cron *c, struct entry *e, int64_t interval_start_ms, const struct moments *m, bool is_missed)
{
    int64_t due_ms = m->newest_ms;
    const struct schedule *s = e->job->schedule;
    struct run_options o = {.trigger = is_missed ? TRIGGER_CATCH_UP : TRIGGER_SCHEDULE,
                            .due_ms = due_ms,
                            .interval_start_ms = interval_start_ms,
                            .interval_end_ms = due_ms};
    if (c->run_count >= (size_t)c->config.runs_max) {
        skip_all(c, e, m, "too many runs are alive");
        return;
    }
    if (e->run_count > 0 && s->concurrency != CONCURRENCY_ALLOW) {
        if (s->concurrency == CONCURRENCY_FORBID && s->missed != MISSED_CATCH_UP) {
            skip_all(c, e, m, "an earlier run is active and concurrencyPolicy is FORBID");
            return;
        }
        /* What is caught up waits for its turn; what replaces waits for what it replaces. */
        o.waits_for_older = true;
        if (s->concurrency == CONCURRENCY_REPLACE && !is_missed)
            stop_all(c, e, "replaced by a later run");
        o.waits_for_older = e->run_count > 0;
    }
    (void)cron_run_start(c, e, &o);
}

/* The moment before, or what the schedule begins behind. */
static int64_t interval_start(const struct entry *e)
{
    return e->last_due_ms ? e->last_due_ms : e->decided_ms;
}

/* The newest catch_up_max one after the other; says what is left out. */
static uint64_t catch_up(struct cron *c, struct entry *e, const struct moments *m)
{
    const struct schedule *s = e->job->schedule;
    uint64_t most = (uint64_t)s->catch_up_max;
    if (e->remaining >= 0 && most > (uint64_t)e->remaining)
        most = (uint64_t)e->remaining;
    int64_t from = m->first_ms - 1;
    uint64_t count = m->count;
    bool is_exact = m->is_exact;
    for (int64_t back = 60000; count > WALK_MAX && m->newest_ms - back > from; back *= 2) {
        int64_t newest;
        uint64_t n = schedule_between(s, m->newest_ms - back, m->newest_ms, WALK_MAX, &newest, &is_exact);
        if (n >= most) {
            from = m->newest_ms - back;
            count = n;
            break;
        }
    }
    int64_t previous = interval_start(e), skipped_until = 0;
    uint64_t started = 0;
    for (int64_t due = schedule_next(s, from); due <= m->newest_ms; due = schedule_next(s, due)) {
        if (count > most) {
            count--;
            skipped_until = due;
        } else {
            struct moments one = one_moment(due);
            start(c, e, previous, &one, due != m->newest_ms || m->is_late);
            started++;
        }
        previous = due;
    }
    if (skipped_until)
        skip(c, e, m->first_ms, skipped_until, m->count - started, m->is_exact, "missed, and more than catchUpLimit");
    return started;
}

static uint64_t decide(struct cron *c, struct entry *e, const struct moments *m)
{
    const struct schedule *s = e->job->schedule;
    int64_t previous = interval_start(e);
    bool has_missed = m->count > 1 || m->is_late;
    if (!has_missed || s->missed == MISSED_RUN_ONCE) {
        start(c, e, previous, m, has_missed);
        return 1;
    }
    if (s->missed == MISSED_CATCH_UP)
        return catch_up(c, e, m);
    if (m->is_late) {
        skip_all(c, e, m, "missed: nobody could decide it in time");
        return 1;
    }
    /* Everything before the newest: its end is told as the newest's predecessor is not known without walking. */
    skip(c, e, m->first_ms, m->newest_ms - 1, m->count - 1, m->is_exact, "missed: a later moment is due as well");
    struct moments newest = one_moment(m->newest_ms);
    start(c, e, previous, &newest, false);
    return 1;
}

/* As Chronos does it, if asked to: only the next start is kept, and what it was counted from (a month's end) is lost. */
static void forget_start(struct cron *c, struct entry *e)
{
    const struct job_reading how = {.zones = c->config.zones, .wall_ms = c->wall_ms};
    const struct iso8601_interval *i = &e->job->schedule->interval;
    int64_t next = iso8601_interval_index_after(i, e->decided_ms);
    int64_t remaining = e->remaining >= 0 ? e->remaining : ISO8601_FOREVER;
    struct buf text;
    buf_init(&text, 0);
    if (e->remaining != 0 && next != ISO8601_NONE && iso8601_interval_format(i, next, remaining, NULL, &text) == 0) {
        struct job *job = job_copy(e->job, &how);
        char *own = buf_steal_str(&text);
        job->schedule->text = chunks_strdup(&job->chunks, own);
        iso8601_interval_rebase(&job->schedule->interval, next);
        job->schedule->interval.count = remaining;
        free(own);
        (void)cron_entry_put(c, job);
    }
    buf_deinit(&text);
}

void cron_on_due(struct cron *c, struct entry *e)
{
    const struct schedule *s = e->job->schedule;
    struct moments m = {.first_ms = cron_entry_next_due(e)};
    if (m.first_ms > c->wall_ms) { /* the calendar was put back */
        cron_entry_set_due(c, e);
        return;
    }
    m.count = schedule_between(s, e->decided_ms, c->wall_ms, WALK_MAX, &m.newest_ms, &m.is_exact);
    CHECK(m.count > 0);
    m.is_late = s->starting_deadline_ms != JOB_NEVER && c->wall_ms - m.newest_ms > s->starting_deadline_ms;
    uint64_t used = decide(c, e, &m);
    e->decided_ms = e->last_due_ms = m.newest_ms;
    if (e->remaining >= 0)
        e->remaining -= (int64_t)used < e->remaining ? (int64_t)used : e->remaining;
    cron_entry_changed(c, e);
    cron_entry_set_due(c, e);
    if (c->config.chronos_compat && e->job->chronos && s->kind == SCHEDULE_INTERVAL)
        forget_start(c, e);
}
