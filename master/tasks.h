/* SPDX-License-Identifier: Apache-2.0
 * tasks.h - tasks and executors the master knows: status updates, acknowledgements, what happens to them when their agent
 * or framework goes. Starting tasks is launch.c. Internal to master/.
 *
 * A live task is in its framework's `tasks` and in its agent's list until its terminal update is acknowledged; its
 * resources are released at that update. Then it is remembered in `completed`. The tasks of an unreachable agent are in
 * `unreachable` until the agent comes back or too many others are. */
#pragma once

#include "master/state.h"

bool master_task_state_is_terminal(int state);

struct master_task *master_task_find(const struct master_framework *f, const char *id);
struct master_task *master_task_find_unreachable(const struct master_framework *f, const char *id);

/* A new live task; takes resources (allocated to c's role; NULL or empty: none, then c may be NULL), which the caller has
 * taken out of the agent's free ones and, when `is_charged`, has charged to c before. `wire` describes it (any statuses in
 * it are recorded); state is the newest one. */
struct master_task *master_task_new(struct master *m, struct master_framework *f, struct master_agent *a,
                                    struct master_client *c, struct master_executor *e, struct resources *resources,
                                    bool is_charged, const Mesos__V1__Task *wire);

/* A status made by the master itself: no uuid, source MASTER, time of this step. reason -1: none. */
Mesos__V1__TaskStatus *master_status_new(struct master *m, const char *task_id, Mesos__V1__TaskState state, int reason,
                                         const char *message);
/* The newest status as it was recorded, in the arena; NULL: none yet. */
Mesos__V1__TaskStatus *master_task_last_status(const struct master_task *t, struct arena *arena);

void master_tasks_on_status_update(struct master *m, struct master_agent *a, const Muster__Link__StatusUpdate *update);
void master_tasks_on_acknowledge(struct master *m, struct master_framework *f,
                                 const Mesos__V1__Scheduler__Call__Acknowledge *acknowledge);

/* The agent reports a task that was live or unreachable here; brings it up to date. Returns false when its id is that of a
 * task on another agent. */
bool master_task_is_on(const struct master_task *t, const struct master_agent *a);
void master_task_update_from_agent(struct master *m, struct master_task *t, const Mesos__V1__Task *reported);
/* The agent came back without this task: it never got there, or its end was acknowledged long ago. */
void master_task_is_missing(struct master *m, struct master_task *t);
/* The agent was unreachable and is back: what is left of its tasks of before is not there any more. */
void master_tasks_missing_after_return(struct master *m, struct master_agent *a);
/* An unreachable task was reported by its agent again: it is forgotten here, the caller makes it anew. */
void master_task_forget_unreachable(struct master *m, struct master_task *t);

/* How an agent ends, for its tasks. */
enum master_agent_end {
    MASTER_AGENT_END_UNREACHABLE, /* they may come back */
    MASTER_AGENT_END_REMOVED,
    MASTER_AGENT_END_GONE, /* an operator said so */
};
/* Ends executors, too. */
void master_tasks_end_of_agent(struct master *m, struct master_agent *a, enum master_agent_end how);
/* The agent was unreachable and is gone now: its tasks do not come back. */
void master_tasks_gone_with_agent(struct master *m, struct master_agent *a);
void master_tasks_end_of_framework(struct master *m, struct master_framework *f);
void master_tasks_forget_all(struct master *m, struct master_framework *f); /* for the end of the framework's object */

/* -- executors -------------------------------------------------------------------------------------------------- */

struct master_executor *master_executor_find(const struct master_agent *a, const struct master_framework *f,
                                             const char *id);
/* Takes resources, as master_task_new. */
struct master_executor *master_executor_new(struct master *m, struct master_framework *f, struct master_agent *a,
                                            struct master_client *c, struct resources *resources, bool is_charged,
                                            const Mesos__V1__ExecutorInfo *info);
/* Gone at the agent: its resources are free again. Its tasks end by updates of their own. */
void master_executor_remove(struct master *m, struct master_executor *e);
