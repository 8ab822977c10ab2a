/* SPDX-License-Identifier: Apache-2.0
 * sim_agent.h - a node with the agent's core on a machine with its launcher. */
#pragma once

#include "agent/agent.h"
#include "sim/sim_launcher.h"
#include "sim/sim_store.h"
#include "sim/world.h"

struct sim_agent;

struct sim_agent_config {
    const char *name;
    const char *resources; /* as for --resources */
};

/* With its machine. */
struct sim_agent *sim_agent_new(struct world *w, const struct sim_agent_config *config, struct sim_node *master);
struct sim_node *sim_agent_node(struct sim_agent *a);
struct sim_host *sim_agent_host(struct sim_agent *a);
struct sim_store *sim_agent_store(struct sim_agent *a);
/* As by SIGUSR1: it ends everything and leaves; then it is started again, as a new agent. */
void sim_agent_unregister(struct sim_agent *a);
/* NULL while it is down. */
const struct agent *sim_agent_core(const struct sim_agent *a);
