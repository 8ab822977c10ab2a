/* SPDX-License-Identifier: Apache-2.0
 * chronos_core.h - what the files of Chronos's API inside the core share. */
#pragma once

#include "frameworks/cron/chronos.h"
#include "frameworks/cron/core.h"

/* -- chronos_read.c ---------------------------------------------------------------------------------------------- */

/* A definition from Chronos's JSON (facts: net-cron E.2, E.3); old is the job it replaces, NULL: none. NULL with the reason
 * in err. What cannot be carried out (images, custom executors) is refused. Parents are not looked up. A schedule that is
 * what the API shows of the old job, or what the old job was posted with, stays the old one, so that its progress is kept.
 */
struct job *chronos_read_job(const struct cron *c, const json_t *body, const struct entry *old, bool is_version_2,
                             struct err *err);
/* The counts that a job brings along from another cluster. */
void chronos_read_counts(const json_t *body, struct entry *e);

/* -- chronos_write.c --------------------------------------------------------------------------------------------- */

/* Chronos has no cron schedules, no arrays and no jobs that only start by hand. */
bool chronos_can_show(const struct entry *e);
/* with_uris: `uris` and `fetch` are each filled from the other. */
void chronos_write_job(const struct cron *c, const struct entry *e, bool is_version_2, bool with_uris,
                       struct json_writer *w);
/* What is left of the schedule: "R2/<next moment>/P1D". Of jobs with an interval. */
void chronos_schedule_text(const struct entry *e, struct buf *out);
/* The command as Chronos has it; text of the job, or of out. */
const char *chronos_command(const struct job *j);
bool chronos_is_disabled(const struct entry *e);
const char *chronos_last_state(const struct entry *e);                          /* success, failure, fresh */
void chronos_state(const struct entry *e, char *out, size_t size);              /* idle, queued, "2 running" */
void chronos_put_time(struct json_writer *w, const char *key, int64_t wall_ms); /* "" if 0 */

/* -- chronos_graph.c --------------------------------------------------------------------------------------------- */

void chronos_graph_dot(const struct cron *c, struct buf *out);
void chronos_graph_csv(const struct cron *c, struct buf *out);

/* -- chronos_stats.c --------------------------------------------------------------------------------------------- */

#define CHRONOS_STAT_RUNS 5 /* ended runs in the answer */

/* Asks for the last runs of the job; the answer comes by chronos_on_stat_records. */
void chronos_on_job_stat(struct cron *c, const struct cron_request *r, const struct entry *e);
/* The request has no `chronos`, its job is in job_id. */
void chronos_on_stat_records(struct cron *c, const struct cron_request *r, const struct kit_item *items, size_t count);
void chronos_on_stats(struct cron *c, const struct cron_request *r);

/* -- chronos_requests.c ------------------------------------------------------------------------------------------ */

/* {"status":"Bad Request","message":"..."} */
void chronos_reply_error(struct cron *c, const struct cron_request *r, int status, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
