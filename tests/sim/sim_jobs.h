/* SPDX-License-Identifier: Apache-2.0
 * sim_jobs.h - the jobs that the simulator's operator gives to cron, as data: what it writes into requests, and what the
 * checks judge cron by. Every schedule begins at the same moment, so that which moments are due can be said without cron.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/rng.h"
#include "sim/world.h"

#define SIM_JOBS_MAX 16
#define SIM_JOB_PARENTS_MAX 3
#define SIM_JOBS_FIRST_MS (WORLD_WALL_MS + 10000) /* the first moment of every schedule; on the calendar */

enum sim_missed { SIM_MISSED_SKIP, SIM_MISSED_RUN_ONCE, SIM_MISSED_CATCH_UP };
enum sim_concurrency { SIM_ALLOW, SIM_FORBID, SIM_REPLACE };

struct sim_job {
    char id[16];
    int period_s; /* of its schedule, 0: none */
    int repeats;  /* 0: without end */
    enum sim_missed missed;
    int catch_up_limit;
    enum sim_concurrency concurrency;
    int deadline_s;                         /* for starting */
    int work_min_ms, work_max_ms, fail_ppm; /* max 0: runs until it is killed, unless the world ends processes */
    int max_run_s;
    int retries, retry_delay_s;      /* 0: never restarted */
    int array_count, array_parallel; /* 0: no array */
    bool array_stops;                /* when an index has failed */
    int parents[SIM_JOB_PARENTS_MAX], parent_count;
    bool on_completion; /* starts also when parents failed */
    int runs_by_hand;
    bool comes_and_goes; /* is removed with its history and made again: a moment may be run by both */
};

struct sim_jobs {
    struct sim_job items[SIM_JOBS_MAX];
    int count;
};

/* One or two of each kind. */
void sim_jobs_usual(struct sim_jobs *jobs);
/* Any mixture: schedules of every policy, arrays, graphs of several levels whose jobs have several parents. */
void sim_jobs_draw(struct sim_jobs *jobs, struct rng *rng);
/* -1: none. */
int sim_jobs_find(const struct sim_jobs *jobs, const char *id, size_t len);

/* Bodies of requests, in out. */
void sim_job_write(const struct sim_jobs *jobs, int job, char *out, size_t size);
void sim_job_write_schedule(const struct sim_job *j, bool is_enabled, char *out, size_t size);
