/* SPDX-License-Identifier: Apache-2.0
 * task_info.h - what a launched Mesos task contains: command, environment, discovery, checks (facts: marathon 3.1, 3.4).
 * Pure. */
#pragma once

#include "common/base/arena.h"
#include "frameworks/marathon/app.h"
#include "mesos/v1/mesos.pb-c.h"

struct task_request {
    const struct app *app;
    const char *task_id, *agent_id, *hostname;
    const uint32_t *ports; /* host ports, one per app->ports */
    Mesos__V1__Resource **resources;
    size_t resource_count;
    const char *user;       /* for apps without one; NULL: none */
    const char *env_prefix; /* NULL: none */
};

/* In the arena; borrows the strings of the app, which must outlive the message. */
Mesos__V1__TaskInfo *marathon_task_info(const struct task_request *r, struct arena *a);
/* The environment alone: names and values in order, later ones win. */
Mesos__V1__Environment *marathon_task_environment(const struct task_request *r, struct arena *a);
