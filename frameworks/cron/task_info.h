/* SPDX-License-Identifier: Apache-2.0
 * task_info.h - what a launched Mesos task contains. Pure. */
#pragma once

#include "frameworks/cron/core.h"

struct task_request {
    const struct run *run;
    const char *task_id, *agent_id, *hostname;
    int64_t index;
    unsigned attempt;
    Mesos__V1__Resource **resources;
    size_t resource_count;
    const char *user; /* for jobs without one; NULL: none */
};

/* In the arena; borrows the strings of the definition and of the run's parameters, which outlive the step. */
Mesos__V1__TaskInfo *cron_task_info(const struct task_request *r, struct arena *a);
