/* SPDX-License-Identifier: Apache-2.0
 * sim_master.h - a node with the master's core, as main.c and the api files would drive it. */
#pragma once

#include "sim/sim_store.h"
#include "sim/world.h"

struct sim_master;

struct sim_master *sim_master_new(struct world *w, const char *name);
struct sim_node *sim_master_node(struct sim_master *m);
struct sim_store *sim_master_store(struct sim_master *m);
