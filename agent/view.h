/* SPDX-License-Identifier: Apache-2.0
 * view.h - the agent as people see it: answers of the operator API in wire form. Reads the core's state, changes nothing;
 * everything is made in the caller's arena. */
#pragma once

#include "agent/state.h"
#include "mesos/v1/agent.pb-c.h"

Mesos__V1__Agent__Response__GetTasks *agent_view_tasks(const struct agent *a, struct arena *arena);
Mesos__V1__Agent__Response__GetExecutors *agent_view_executors(const struct agent *a, struct arena *arena);
Mesos__V1__Agent__Response__GetFrameworks *agent_view_frameworks(const struct agent *a, struct arena *arena);
const Mesos__V1__AgentInfo *agent_view_info(const struct agent *a);

/* What executors and live tasks hold. Caller frees. */
struct resources *agent_view_allocated(const struct agent *a, struct arena *arena);
struct resources *agent_view_executor_resources(const struct agent_executor *e, struct arena *arena);
const Mesos__V1__ExecutorInfo *agent_view_executor_info(const struct agent_executor *e, struct arena *arena);
const Mesos__V1__FrameworkInfo *agent_view_framework_info(const struct agent_framework *f, struct arena *arena);

/* The run whose sandbox holds `path`: either `<work_dir>/slaves/S/frameworks/F/executors/E/runs/C/...` or the virtual
 * `/frameworks/F/executors/E/runs/C/...`, where C may be "latest". Gives its directory relative to work_dir, and the rest
 * of the path behind it ("" for the sandbox itself), both in the arena. False when no such run is known (any more). */
bool agent_view_sandbox(const struct agent *a, const char *path, struct arena *arena, const char **directory,
                        const char **rest);
