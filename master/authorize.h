/* SPDX-License-Identifier: Apache-2.0
 * authorize.h - may this principal do that to this, by the ACLs of the configuration (facts: mesos 10.4)? Every question of
 * the master is asked here, so that what an action's object is stands in one place. Reads only. */
#pragma once

#include "common/auth/acl.h"
#include "master/state.h"

/* -- changes ---------------------------------------------------------------------------------------------------- */

/* Calls of the operator API, changes and questions alike, with every object that the call names. A call that the master
 * does not know is allowed: it is refused elsewhere. What an answer shows is master_view's. */
bool master_may_operate(const struct master *m, const char *principal, const Mesos__V1__Master__Call *call);

/* The first role of the framework that the principal may not use, NULL: it may use all. */
const char *master_forbidden_role(const struct master *m, const Mesos__V1__FrameworkInfo *info, const char *principal);

/* The user that the task, or the executor it names or belongs to (NULL: none), would run as though the framework's
 * principal may not run tasks as that user; NULL: it may. */
const char *master_forbidden_user(const struct master *m, const Mesos__V1__FrameworkInfo *framework,
                                  const Mesos__V1__TaskInfo *task, const Mesos__V1__ExecutorInfo *executor);

/* -- what a reader sees ------------------------------------------------------------------------------------------ */

/* Borrows the principal. */
struct master_view {
    const struct master *m;
    struct auth_approver frameworks, tasks, executors, roles, quotas;
};

struct master_view master_view(const struct master *m, const char *principal);

bool master_sees_framework(const struct master_view *v, const Mesos__V1__FrameworkInfo *info);
/* Of a framework that is seen; the arena is scratch. */
bool master_sees_task(const struct master_view *v, const struct master_task *t, struct arena *arena);
/* The user that the task runs as. */
const char *master_task_user(const struct master_task *t, struct arena *arena);
bool master_sees_executor(const struct master_view *v, const struct master_executor *e, struct arena *arena);
bool master_sees_role(const struct master_view *v, const char *role);
/* What is unreserved, and what is reserved to a role that is seen. */
bool master_sees_resource(const struct master_view *v, const Mesos__V1__Resource *r);
/* Keeps of the list what is seen and returns their number. */
size_t master_view_resources(const struct master_view *v, Mesos__V1__Resource **list, size_t n);
/* Weights and quotas of the roles that the reader may see, and may see the quota of. */
Mesos__V1__Master__Response__GetWeights *master_view_weights(const struct master_view *v, struct arena *arena);
Mesos__V1__Quota__QuotaStatus *master_view_quota(const struct master_view *v, struct arena *arena);
/* Of an OPERATOR_EVENT. */
bool master_sees_event(const struct master_view *v, const struct master_effect *event);
