/* SPDX-License-Identifier: Apache-2.0
 * sim_launcher.h - a machine: its containers with the built-in executor and fake processes inside, and the agent's process
 * beside them. Containers outlive the agent, not the machine. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/port/launcher.h"
#include "sim/world.h"

struct sim_host;

/* How the news gets to the agent's core; called while that incarnation of it lives. */
struct sim_launcher_events {
    void (*started)(struct sim_node *agent, const char *container_id, int pid);
    void (*ended)(struct sim_node *agent, const char *container_id, const struct launcher_end *end);
    void (*recovered)(struct sim_node *agent);
};

struct sim_host *sim_host_new(struct world *w, const char *name);
/* The agent's node on this machine; after sim_host_new, once. */
void sim_host_set_agent(struct sim_host *h, struct sim_node *agent, const struct sim_launcher_events *events);
struct sim_node *sim_host_node(struct sim_host *h);
const char *sim_host_boot_id(const struct sim_host *h);

void sim_launcher_recover(struct sim_host *h, const char *const *known, size_t count);
void sim_launcher_launch(struct sim_host *h, const struct launcher_spec *spec);
void sim_launcher_destroy(struct sim_host *h, const char *container_id);

/* Power off and on: containers and the agent's process are gone, disks stay. The agent comes up again after the machine. */
void sim_host_reboot(struct sim_host *h, int64_t delay_ms);
/* Ends a random running container as the kernel would at its memory limit, or kills its executor. False: none runs. */
bool sim_host_end_one(struct sim_host *h, bool by_memory);

/* Running containers. The callback must not change them. */
void sim_host_each(const struct sim_host *h,
                   void (*fn)(void *ctx, const char *container_id, const char *framework_id, const char *executor_id),
                   void *ctx);
size_t sim_host_running(const struct sim_host *h);
