/* SPDX-License-Identifier: Apache-2.0
 * cron_records.h - cron's history as cron_history.c has read it, for the files that judge it. */
#pragma once

#include "common/base/json.h"
#include "sim/sim_cron.h"

struct cron_record {
    int job;
    json_t *json;
    const char *id, *reason, *graph, *trigger; /* "": none */
    bool is_skip, is_good;
    int64_t created_ms, completed_ms; /* on the calendar, as all times */
    int64_t due_ms, from_ms;          /* of a run by a schedule, else 0 */
    int64_t first_ms, last_ms, count; /* of moments that were skipped */
    int64_t ordinal;
    int64_t succeeded, failed; /* of an array */
};

struct cron_records { /* by job, then by ordinal */
    const struct sim_jobs *jobs;
    struct cron_record *items;
    size_t count;
    const struct cron_record *first[SIM_JOBS_MAX];
    size_t number[SIM_JOBS_MAX];
};

void cron_graphs_check(struct sim_cron *s, const struct cron_records *all);
