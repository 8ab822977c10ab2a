/* SPDX-License-Identifier: Apache-2.0
 * snapshot.h - the core's state as messages of the operator API, built into an arena. Reads only. What is built may point
 * into the core's state: it is valid until the next step. */
#pragma once

#include "common/base/arena.h"
#include "master/authorize.h"
#include "master/state.h"

/* -- pieces ----------------------------------------------------------------------------------------------------- */

Mesos__V1__Task *master_snapshot_task(const struct master_task *t, struct arena *arena);
Mesos__V1__Master__Response__GetAgents__Agent *master_snapshot_agent(const struct master_agent *a, struct arena *arena);
Mesos__V1__Master__Response__GetFrameworks__Framework *
master_snapshot_framework(const struct master *m, const struct master_framework *f, struct arena *arena);

/* Sums, in allocated form; the caller frees. */
struct resources *master_agent_used(const struct master_agent *a);
struct resources *master_agent_offered(const struct master_agent *a);
struct resources *master_framework_used(const struct master_framework *f);
struct resources *master_framework_offered(const struct master_framework *f);

/* -- answers ---------------------------------------------------------------------------------------------------- */

Mesos__V1__Master__Response__GetAgents *master_snapshot_agents(const struct master *m, struct arena *arena);
Mesos__V1__Master__Response__GetOperations *master_snapshot_operations(const struct master *m, struct arena *arena);
/* The same without what is reserved to roles that the reader may not see, and without operations that take such. */
Mesos__V1__Master__Response__GetAgents *master_view_agents(const struct master_view *v, struct arena *arena);
Mesos__V1__Master__Response__GetOperations *master_view_operations(const struct master_view *v, struct arena *arena);
Mesos__V1__Master__Response__GetFrameworks *master_snapshot_frameworks(const struct master_view *v, struct arena *arena);
Mesos__V1__Master__Response__GetTasks *master_snapshot_tasks(const struct master_view *v, struct arena *arena);
Mesos__V1__Master__Response__GetExecutors *master_snapshot_executors(const struct master_view *v, struct arena *arena);
Mesos__V1__Master__Response__GetRoles *master_snapshot_roles(const struct master_view *v, struct arena *arena);
Mesos__V1__Master__Response__GetState *master_snapshot_state(const struct master_view *v, struct arena *arena);

/* -- events for observers; nothing is built when there are none -------------------------------------------------- */

void master_snapshot_send_task_added(struct master *m, const struct master_task *t);
void master_snapshot_send_task_updated(struct master *m, const struct master_task *t, const Mesos__V1__TaskStatus *status);
void master_snapshot_send_agent_added(struct master *m, const struct master_agent *a);
/* FRAMEWORK_ADDED or FRAMEWORK_UPDATED. */
void master_snapshot_send_framework(struct master *m, const struct master_framework *f,
                                    Mesos__V1__Master__Event__Type type);
void master_snapshot_send_framework_removed(struct master *m, const struct master_framework *f);
