/* SPDX-License-Identifier: Apache-2.0
 * sim_cron.h - a node with the core of cron on the sdk's session, and the operator in front of it, who says again what he
 * wants until he has a good answer: jobs with schedules of each policy, an array, a graph. */
#pragma once

#include "frameworks/cron/cron.h"
#include "sim/sim_store.h"
#include "sim/world.h"

struct sim_cron;

struct sim_cron *sim_cron_new(struct world *w, const char *name, struct sim_node *master);
struct sim_node *sim_cron_node(struct sim_cron *s);
struct sim_store *sim_cron_store(struct sim_cron *s);
/* The operator disables all schedules; what was started comes to its end. */
void sim_cron_end_schedules(struct sim_cron *s);
/* That was accepted, and nothing is left to do; else text says what is. */
bool sim_cron_is_settled(const struct sim_cron *s, char text[256]);
/* Looks into the store: every moment of every schedule was decided once, as a run or as a record that says why not. */
void sim_cron_look_at_moments(struct sim_cron *s);
const char *sim_cron_framework_id(const struct sim_cron *s); /* NULL: never subscribed, or down */
bool sim_cron_knows(const struct sim_cron *s, const char *task_id);
bool sim_cron_is_task_id(const char *task_id);
