/* SPDX-License-Identifier: Apache-2.0
 * sim_executor.h - the built-in executor's core inside a simulated container: its connections to the agent and its fake
 * processes. Owned by the container. */
#pragma once

#include "common/port/launcher.h"
#include "sim/world.h"

struct sim_executor;

struct sim_executor_ops {
    void (*started)(void *ctx);            /* the command of the task runs */
    void (*ended)(void *ctx, int status);  /* ... ran, and has exited */
    void (*exited)(void *ctx, int status); /* the executor ended by itself; it may be freed inside */
};

/* What its processes do: "work MIN MAX FAIL" ends by itself after MIN to MAX ms, in FAIL ppm of cases with status 1; any
 * other command runs on, unless the world's faults end it. */

/* Takes what it needs to know from the environment in spec. */
struct sim_executor *sim_executor_new(struct sim_node *host, struct sim_node *agent, const char *name,
                                      const struct launcher_spec *spec, const struct sim_executor_ops *ops, void *ctx);
/* Everything in the container is killed. */
struct sim_executor *sim_executor_free(struct sim_executor *x);
