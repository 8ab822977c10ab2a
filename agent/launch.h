/* SPDX-License-Identifier: Apache-2.0
 * launch.h - from wire messages to what the launcher gets: the executor made for a command task, the environment, mounts,
 * limits; and the refusal of everything this agent cannot give. Pure but for the arena. */
#pragma once

#include "agent/state.h"
#include "mesos/v1/agent.pb-c.h"

/* The name of a role's directory of volumes: "/" becomes a space, which no role has. Caller frees. */
char *agent_volume_role_name(const char *role);

/* The executor of a command task (facts: mesos 2.6). */
Mesos__V1__ExecutorInfo *agent_launch_command_executor(const struct agent *a, const Mesos__V1__TaskInfo *task,
                                                       const char *framework_id, struct arena *arena);
/* NULL when the task can run as asked; else a sentence that names the field which this agent does not support. executor is
 * the generated one for a command task; group: the task is part of a task group. */
const char *agent_launch_refusal(const Mesos__V1__TaskInfo *task, const Mesos__V1__ExecutorInfo *executor, bool command,
                                 bool group, const char *framework_user, struct arena *arena);
/* All of it in the arena. */
struct launcher_spec *agent_launch_spec(const struct agent *a, const struct agent_executor *e, struct arena *arena);

/* A command in the container of an executor, or in that of a task of a group in it (NULL: none), as the operator API asks
 * for it: with that container's user, environment and limits. Refusal: as above. sandbox: absolute, NULL for the
 * executor's. The spec has no container_id yet. */
const char *agent_launch_inside_refusal(const Mesos__V1__CommandInfo *command, const Mesos__V1__ContainerInfo *container,
                                        struct arena *arena);
struct launcher_spec *agent_launch_inside_spec(const struct agent *a, const struct agent_executor *e,
                                               const struct agent_task *group_task, const char *sandbox,
                                               const Mesos__V1__CommandInfo *command,
                                               const Mesos__V1__ContainerInfo *container, struct arena *arena);

/* The same in a standalone container (launcher id, user and environment as it was started), and such a one itself. */
struct launcher_spec *agent_launch_inside_standalone_spec(const struct agent *a, const char *root, const char *user,
                                                          char *const *env, size_t env_count, const char *sandbox,
                                                          const Mesos__V1__CommandInfo *command,
                                                          const Mesos__V1__ContainerInfo *container, struct arena *arena);
const char *agent_launch_standalone_refusal(const Mesos__V1__Agent__Call__LaunchContainer *call, struct arena *arena);
struct launcher_spec *agent_launch_standalone_spec(const struct agent *a,
                                                   const Mesos__V1__Agent__Call__LaunchContainer *call, const char *sandbox,
                                                   struct arena *arena);

/* What resources (and limits of a task, else NULL) ask of the kernel. */
struct agent_demand agent_demand_of(Mesos__V1__Resource *const *resources, size_t n, const Mesos__V1__TaskInfo *task);
/* Limits of a container with these demands in it (facts: mesos 9.3). The hard memory limit never shrinks below before. */
struct launcher_limits agent_launch_limits(const struct agent *a, const struct agent_executor *e);
