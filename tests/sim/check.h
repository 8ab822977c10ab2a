/* SPDX-License-Identifier: Apache-2.0
 * check.h - what the invariants are told. The nodes report what their cores were given and what they did, as it happens; a
 * check keeps its own books of it and never looks into a core. */
#pragma once

#include "agent/event.h"
#include "master/event.h"
#include "sim/world.h"

enum sim_seen_type {
    SIM_SEEN_MASTER_STARTS, /* a new incarnation: its offers and streams are new */
    SIM_SEEN_MASTER_IN,     /* after the step: in, out and node are set */
    SIM_SEEN_FRAMEWORK_UPDATE,
    SIM_SEEN_FRAMEWORK_WANTS, /* task_id is asked to be launched */
    SIM_SEEN_FRAMEWORK_CALLS, /* call: by one of our own frameworks */
    SIM_SEEN_CONTAINER_STARTED,
    SIM_SEEN_PROCESS_STARTED, /* in it: the command of the task */
    SIM_SEEN_PROCESS_ENDED,   /* exit_status; not told when its container ends before it */
    SIM_SEEN_CONTAINER_ENDED,
};

struct sim_seen {
    enum sim_seen_type type;
    struct sim_node *node;
    const struct master_event *in;
    const struct master_effects *out;
    const char *framework_id;
    const char *task_id; /* of a container too: the simulator runs command tasks, whose executor has their id */
    const Mesos__V1__TaskStatus *status;
    const Mesos__V1__Scheduler__Call *call;
    int exit_status;
    const char *container_id;
};

struct sim_check {
    const char *name;
    void *(*new)(struct world *w);
    void (*free)(void *state);
    void (*seen)(void *state, const struct sim_seen *seen);
    void (*settled)(void *state);
};

extern const struct sim_check check_resources; /* 1 */
extern const struct sim_check check_offers;    /* 2 */
extern const struct sim_check check_updates;   /* 3 */
extern const struct sim_check check_cron;      /* check_cron.h */

/* To be asked when somebody wanted offers of everything: the newest offers must have left nothing of any agent. */
void check_resources_all_offered(struct world *w, bool (*is_here)(void *ctx, const char *agent_id), void *ctx);

/* TASK_FINISHED and the like: never left again (facts: mesos 1.11, for PARTITION_AWARE frameworks). */
bool sim_state_is_terminal(Mesos__V1__TaskState state);
