/* SPDX-License-Identifier: Apache-2.0
 * validate.h - may this task run? The checks that need no amounts (facts: mesos 1.15), in their order. Each function gives
 * NULL, or a sentence for the TASK_ERROR in the arena. Internal to master/. */
#pragma once

#include "common/base/arena.h"
#include "master/state.h"

/* A task's own fields, the shape of its resources (of `role`) included. */
const char *master_validate_task(const struct master_framework *f, const struct master_agent *a,
                                 const Mesos__V1__TaskInfo *task, const char *role, struct arena *arena);
/* LAUNCH: command or executor, and the executor. */
const char *master_validate_launch(const struct master_framework *f, const Mesos__V1__TaskInfo *task, struct arena *arena);
/* LAUNCH_GROUP: the executor, and what a task in a group may not have. */
const char *master_validate_group_executor(const struct master_framework *f, const Mesos__V1__ExecutorInfo *e,
                                           struct arena *arena);
const char *master_validate_group_task(const Mesos__V1__TaskInfo *task, const Mesos__V1__ExecutorInfo *executor,
                                       struct arena *arena);
