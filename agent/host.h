/* SPDX-License-Identifier: Apache-2.0
 * host.h - what this machine has, for main.c at the start: amounts that were not named (facts: mesos 6.8), its name, the
 * boot it is in. Reads /proc and asks the kernel; blocks shortly. */
#pragma once

#include "agent/options.h"
#include "mesos/v1/mesos.pb-c.h"

struct arena;

/* AgentInfo without id, in the arena: hostname, port, resources (as flagged, the rest detected), attributes. */
int agent_host_describe(const struct agent_options *o, const char *hostname, uint16_t port, struct arena *arena,
                        Mesos__V1__AgentInfo **out, struct err *err);
/* Into the arena. */
int agent_host_boot_id(struct arena *arena, char **out, struct err *err);
int agent_host_name(const struct agent_options *o, struct arena *arena, char **out, struct err *err);
