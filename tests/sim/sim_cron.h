/* SPDX-License-Identifier: Apache-2.0
 * sim_cron.h - a node with the core of cron on the sdk's session, and the operator in front of it, who says again what he
 * wants until he has a good answer. */
#pragma once

#include "frameworks/cron/cron.h"
#include "sim/sim_jobs.h"
#include "sim/sim_store.h"
#include "sim/world.h"

struct sim_cron;

/* Copies jobs. check_cron must be among the world's checks. */
struct sim_cron *sim_cron_new(struct world *w, const char *name, struct sim_node *master, const struct sim_jobs *jobs);
struct sim_node *sim_cron_node(struct sim_cron *s);
struct sim_store *sim_cron_store(struct sim_cron *s);
/* The operator disables all schedules; what was started comes to its end. */
void sim_cron_end_schedules(struct sim_cron *s);
/* The operator stops a run that is under way, once. False: he knows of none. */
bool sim_cron_stop_one(struct sim_cron *s);
/* The operator puts a definition again that cron has: runs under way keep theirs, nothing is decided anew. */
bool sim_cron_put_again(struct sim_cron *s);
/* The operator removes a job that comes and goes, with its runs, and makes it again. False: there is none. */
bool sim_cron_remove_one(struct sim_cron *s);
/* The calendar of its machine jumps ahead. */
void sim_cron_set_calendar(struct sim_cron *s, int64_t ahead_ms);
/* That was accepted, and nothing is left to do; else text says what is. */
bool sim_cron_is_settled(const struct sim_cron *s, char text[256]);
const char *sim_cron_framework_id(const struct sim_cron *s); /* NULL: never subscribed, or down */
bool sim_cron_knows(const struct sim_cron *s, const char *task_id);

/* For the checks. Times are the calendar's. */
const struct sim_jobs *sim_cron_jobs(const struct sim_cron *s);
struct sim_cron_asked {                /* of one job; 0: never */
    int64_t created_ms;                /* the first answer that it is there came to the request made then */
    int64_t end_first_ms, end_last_ms; /* it was first asked to end the schedule, and when that was accepted */
};
struct sim_cron_asked sim_cron_asked(const struct sim_cron *s, int job);
/* Did cron start at this time, did somebody put the job, or was the calendar set? Only then may it decide what was due
 * before. */
bool sim_cron_may_be_late(const struct sim_cron *s, int job, int64_t wall_ms);
int64_t sim_cron_calendar_ms(const struct sim_cron *s); /* what it is ahead by */
