/* SPDX-License-Identifier: Apache-2.0
 * check_cron.h - what cron's tasks really did, as machines and calls show it, and what must hold of it at every moment:
 *
 *   - a moment of a schedule is run by one run
 *   - the command of a run, and of an index of an array, starts once, and once more for each retry at the most
 *   - no more indices of an array at a time than it may
 *   - a run of a schedule that forbids or replaces starts when no other one of its job goes on
 *   - a child starts when no parent goes on in the same instance of the graph
 *
 * A task that cron was told is over, or that it need not wait for any longer (its agent is unreachable), counts as over,
 * even if its machine, cut off, still runs it. cron_history.h looks at the records afterwards. */
#pragma once

#include "sim/check.h"
#include "sim/sim_jobs.h"

#define CHECK_CRON_EXPUNGE_MS 290000 /* unreachable tasks are given up after 5 minutes; time stamps are rounded */

struct cron_seen_run {
    char *id;
    int job;
    int64_t due_ms; /* on the calendar, 0: none */
    char *graph;    /* NULL: none */
    int64_t launched_ms;
    int *starts; /* by index, one of them for a plain run */
    bool *has_ended_well;
};

/* Which jobs there are; before anything happens. */
void check_cron_set_jobs(struct world *w, const struct sim_jobs *jobs);
/* NULL: nothing of it was ever launched. */
const struct cron_seen_run *check_cron_run(struct world *w, const char *run_id);
/* Those that were launched, by number; NULL behind the last. */
const struct cron_seen_run *check_cron_run_at(struct world *w, size_t number);
/* One that is under way. False: none is. */
bool check_cron_any_run(struct world *w, int *job, char *run_id, size_t size);
