/* SPDX-License-Identifier: Apache-2.0
 * sim_marathon.h - a node with the core of Marathon on the sdk's session, and the operator in front of it, who says again
 * what he wants until he has a good answer. */
#pragma once

#include "frameworks/marathon/marathon.h"
#include "sim/sim_store.h"
#include "sim/world.h"

struct sim_marathon;

#define SIM_MARATHON_APPS 2 /* /app0 without, /app1 with a health check */

struct sim_marathon *sim_marathon_new(struct world *w, const char *name, struct sim_node *master);
struct sim_node *sim_marathon_node(struct sim_marathon *m);
struct sim_store *sim_marathon_store(struct sim_marathon *m);
/* Instances of an app. */
void sim_marathon_set_wanted(struct sim_marathon *m, int app, int instances);
/* Instances wanted of all apps. */
size_t sim_marathon_wanted(const struct sim_marathon *m);
/* Everything the operator wanted was accepted and is so; else text says what is not. */
bool sim_marathon_is_settled(const struct sim_marathon *m, char text[256]);
const char *sim_marathon_framework_id(const struct sim_marathon *m); /* NULL: never subscribed, or down */
bool sim_marathon_knows(const struct sim_marathon *m, const char *task_id);
