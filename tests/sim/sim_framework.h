/* SPDX-License-Identifier: Apache-2.0
 * sim_framework.h - a small scheduler on the sdk's session: keeps a number of command tasks alive. Writes a task down
 * before it launches it and an update's state before it acknowledges it, as any careful framework does. */
#pragma once

#include <stddef.h>

#include "frameworks/sdk/session.h"
#include "sim/sim_store.h"
#include "sim/world.h"

struct sim_framework;

struct sim_framework_config {
    const char *name;
    const char *role;
    size_t wanted;
    enum wire_format format;
    double failover_timeout; /* seconds */
};

struct sim_framework *sim_framework_new(struct world *w, const struct sim_framework_config *config,
                                        struct sim_node *master);
struct sim_node *sim_framework_node(struct sim_framework *f);
struct sim_store *sim_framework_store(struct sim_framework *f);
/* Whether it reserves resources and makes volumes, and gives them back, now and then. */
void sim_framework_set_operating(struct sim_framework *f, bool on);
void sim_framework_set_wanted(struct sim_framework *f, size_t wanted);
/* Kills a random live task; false: there is none, or it is not connected. */
bool sim_framework_kill_one(struct sim_framework *f);
struct sim_framework_counts {
    size_t believed; /* not known to have ended */
    size_t running;
    size_t wanted;
    bool is_settled; /* subscribed and reconciled, nothing to write */
};
void sim_framework_count(const struct sim_framework *f, struct sim_framework_counts *out);
const char *sim_framework_id(const struct sim_framework *f); /* NULL: never subscribed */
/* State of a task it believes alive, or -1. */
int sim_framework_task_state(const struct sim_framework *f, const char *task_id);
/* The oldest task it believes alive, or NULL. */
const char *sim_framework_first_task(const struct sim_framework *f);
