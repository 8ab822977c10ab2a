/* SPDX-License-Identifier: Apache-2.0
 * job_json.h - job definitions from and to Metronome's JSON (facts: net-cron D.3, D.4). Beyond Metronome there are
 *
 *   dependencyPolicy          SUCCESS (default) or COMPLETION of the parents
 *   run.array                 {count, parallel, onFailure: CONTINUE (default) or STOP}: one task per index
 *   run.maxRunSeconds         a task that runs longer is killed
 *   run.restart.retries       restarts at the most
 *   run.restart.delaySeconds  before each of them
 *   schedules[].interval      "R5/2026-03-01T13:00:00Z/P1D" instead of cron; months do not drift
 *   schedules[].missedPolicy  SKIP (default), RUN_ONCE or CATCH_UP, with catchUpLimit
 *   schedules[].concurrencyPolicy also REPLACE
 *
 * What is not carried out yet (images, secrets, GPUs, container networks) is refused by name, never ignored. */
#pragma once

#include "common/base/json.h"
#include "frameworks/cron/job.h"
#include "frameworks/kit/problems.h"

struct job_reading {
    struct zones *zones;
    int64_t wall_ms;     /* for intervals without a start */
    const char *id;      /* of the URL; wins over the body's. NULL: the body's */
    bool with_schedules; /* false: the body's schedules are checked and left out */
};
/* NULL: problems tell why. The job has one reference and no version. */
struct job *job_from_json(const json_t *json, const struct job_reading *how, struct problems *problems);
/* One schedule alone, for a job of these chunks. in_job: the rule for ids that holds inside of jobs. */
struct schedule *schedule_from_json(const json_t *json, const struct job_reading *how, bool in_job, struct chunks *chunks,
                                    struct problems *problems);

/* A private copy, to be changed before it is shared. */
struct job *job_copy(const struct job *j, const struct job_reading *how);
/* The rules across fields, for definitions that were not made by job_from_json. */
void job_validate(const struct job *j, struct problems *problems);

/* Members of the JSON object without its braces, as the API shows them; schedules are the caller's. */
void job_write_members(const struct job *j, struct json_writer *w);
void schedule_write_members(const struct schedule *s, struct json_writer *w);

/* The stored form: short, complete, with version. NULL: not such a text. */
void job_write_stored(const struct job *j, struct json_writer *w);
struct job *job_from_stored(const void *text, size_t len, const struct job_reading *how);
