/* SPDX-License-Identifier: Apache-2.0
 * tasks.h - tasks from the master's order to their last acknowledgement. */
#pragma once

#include "agent/state.h"

void agent_on_run_tasks(struct agent *a, const Muster__Link__RunTasks *message);
/* Ends it as its state asks; without has_grace by the grace period that it has. */
void agent_task_kill(struct agent *a, struct agent_task *t, bool has_grace, int64_t grace_ns);
void agent_on_kill_task(struct agent *a, const Muster__Link__KillTask *message);

struct agent_task *agent_task_find(const struct agent *a, const char *framework_id, const char *task_id);
/* A record of the task in its framework, not in an executor yet. packed is copied. */
struct agent_task *agent_task_new(struct agent_framework *f, const Mesos__V1__TaskInfo *info, const void *packed,
                                  size_t len);
void agent_task_attach(struct agent_task *t, struct agent_executor *e);
/* The executor's limits follow from what is alive in it: call after a task has come to its end. */
void agent_task_ended(struct agent *a, struct agent_task *t);
/* Forgets a task whose terminal update was acknowledged; its executor keeps it among the completed ones. */
void agent_task_complete(struct agent *a, struct agent_task *t);
/* Forgets it without a trace (removal of its framework). */
void agent_task_drop(struct agent *a, struct agent_task *t);
struct agent_task *agent_task_free(struct agent_task *t);

/* The wire form, in the arena. */
Mesos__V1__Task *agent_task_to_wire(const struct agent *a, const struct agent_task *t, struct arena *arena);
