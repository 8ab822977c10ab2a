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

/* -- validate_operations.c: operations other than launches (facts: mesos 1.9) ------------------------------------- */

/* Who asks for an operation. */
struct master_asker {
    const char *role;      /* the offer's; NULL: an operator, who has none */
    const char *principal; /* that reservations and volumes must carry; NULL: any */
    bool may_refine, may_share;
};
/* All that can be said without the amounts at hand. */
const char *master_validate_operation(const struct master_asker *by, const struct master_agent *a,
                                      const Mesos__V1__Offer__Operation *op, struct arena *arena);
/* The resources it names (of GROW and SHRINK the volume). Not NULL: it is not a conversion, or has no body. */
const char *master_operation_resources(const Mesos__V1__Offer__Operation *op, Mesos__V1__Resource ***list, size_t *n);
/* A copy of a validated one with all resources allocated to role. */
Mesos__V1__Offer__Operation *master_operation_allocated(const Mesos__V1__Offer__Operation *op, const char *role,
                                                        struct arena *arena);
