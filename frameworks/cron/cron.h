/* SPDX-License-Identifier: Apache-2.0
 * cron.h - the core of the scheduler of jobs: definitions, schedules, runs, arrays, graphs. A step function without
 * sockets, clock or disk; api*.c and main.c are its shell. Speaks Mesos only through scheduler calls and events.
 *
 * Order of a run of the process: STARTED with everything stored, then START_SCHEDULER comes out; requests are served at
 * once, due moments are decided at once, nothing is launched before SETTLED. What a step decides is written first; calls,
 * acknowledgements, published events and replies to changes come out when STORE_DONE brings the token of that write back.
 *
 * The calendar (wall_ms of the events) decides which moments are due. It may step: a moment that was decided is not decided
 * again, and those that were jumped over are missed moments. */
#pragma once

#include "common/base/arena.h"
#include "frameworks/cron/event.h"
#include "frameworks/cron/time/zone.h"
#include "frameworks/sdk/session.h"

struct cron;

#define CRON_STORE_PREFIX "cron/"           /* of every key that is read at the start */
#define CRON_HISTORY_PREFIX "cron-history/" /* of ended runs, read on demand */

struct cron_config {
    const char *role;                       /* NULL: "*" */
    const char *user;                       /* of tasks without one, NULL: none */
    struct zones *zones;                    /* borrowed; reads zone files when a name is first seen */
    int64_t history_count;                  /* ended runs kept per job; all below: 0 takes the default */
    int64_t task_launch_confirm_timeout_ms; /* 300000: until the master is asked what became of a launch */
    int64_t task_launch_timeout_ms;         /* 300000: until a task that does not come to run is given up */
    int64_t kill_retry_timeout_ms;          /* 10000 */
    int64_t task_lost_expunge_ms;           /* 300000: an unreachable task has failed after so long */
    int64_t reconciliation_interval_ms;     /* 900000 */
    int64_t decline_offer_duration_ms;      /* 120000 */
    int64_t runs_max;                       /* 200000 live ones; further manual ones are refused, due ones skipped */
    uint64_t seed;
    /* Chronos (facts: net-cron E.8) */
    double chronos_cpus, chronos_mem, chronos_disk; /* 0: 0.1, 128, 256 */
    int64_t chronos_failure_retry_ms;               /* 60000 */
    int64_t chronos_disable_after_failures;         /* 0: never */
    bool chronos_compat; /* month ends drift, failed jobs get no retries until they succeed, as Chronos does it */
    const char *address; /* "host:port" that /leader tells */
};

/* Copies the configuration. */
struct cron *cron_new(const struct cron_config *config);
struct cron *cron_free(struct cron *c); /* accepts NULL, returns NULL */

/* 0, or a negative errno that means the core cannot go on (stored state unreadable): *out then holds a FATAL effect. */
int cron_step(struct cron *c, const struct kit_event *in, struct kit_effects *out);
/* Monotonic ms, INT64_MAX: none. Never far away while something is scheduled, because the calendar may step. */
int64_t cron_next_deadline(const struct cron *c);
void cron_check_invariants(const struct cron *c);

/* Queries for shell, metrics and tests. */
const char *cron_framework_id(const struct cron *c); /* NULL: not subscribed yet */
/* Every task believed alive, for the reconciliation after a subscription. Borrowed until the next step. */
size_t cron_known_tasks(const struct cron *c, struct arena *a, const struct sdk_task **out);
struct cron_counts {
    uint64_t jobs, scheduled, runs, queued, tasks, graphs;
    uint64_t runs_started_total, runs_succeeded_total, runs_failed_total, moments_skipped_total;
    uint64_t launches_total, kills_total, offers_total, declines_total;
};
void cron_get_counts(const struct cron *c, struct cron_counts *out);
