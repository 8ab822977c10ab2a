/* SPDX-License-Identifier: Apache-2.0
 * sim_master.h - a node with the master's core, as main.c and the api files would drive it. */
#pragma once

#include "sim/sim_store.h"
#include "sim/world.h"

struct sim_master;

struct sim_master *sim_master_new(struct world *w, const char *name);
struct sim_node *sim_master_node(struct sim_master *m);
struct sim_store *sim_master_store(struct sim_master *m);
/* An operator's call, as JSON; it is lost when the master is down. The answer only shows in the log. */
void sim_master_operator(struct sim_master *m, const char *call);
/* The state of the agent's drain (mesos.v1.DrainState, 0: none), -1: the master does not hold it for registered. */
int sim_master_drain_state(struct sim_master *m, const char *agent_id);
