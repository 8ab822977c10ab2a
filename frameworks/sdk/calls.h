/* SPDX-License-Identifier: Apache-2.0
 * calls.h - builds v1 Call messages in an arena. Strings are copied, sub-messages are borrowed. No call has its
 * framework_id set: the session does that. */
#pragma once

#include "common/base/arena.h"
#include "frameworks/sdk/session.h"
#include "mesos/v1/scheduler.pb-c.h"

/* refuse_seconds < 0 leaves the filter out: the master's default of 5 s holds. */
Mesos__V1__Scheduler__Call *sdk_call_accept(struct arena *a, const char *const *offer_ids, size_t offer_count,
                                            Mesos__V1__Offer__Operation *const *operations, size_t operation_count,
                                            double refuse_seconds);
Mesos__V1__Scheduler__Call *sdk_call_decline(struct arena *a, const char *const *offer_ids, size_t offer_count,
                                             double refuse_seconds);
Mesos__V1__Scheduler__Call *sdk_call_kill(struct arena *a, const char *task_id, const char *agent_id, int64_t grace_ms);
/* NULL when the status has no uuid or no agent: it wants no acknowledgement. */
Mesos__V1__Scheduler__Call *sdk_call_acknowledge(struct arena *a, const Mesos__V1__TaskStatus *status);
Mesos__V1__Scheduler__Call *sdk_call_reconcile(struct arena *a, const struct sdk_task *tasks, size_t count);
Mesos__V1__Scheduler__Call *sdk_call_message(struct arena *a, const char *agent_id, const char *executor_id,
                                             const void *data, size_t len);
Mesos__V1__Scheduler__Call *sdk_call_shutdown(struct arena *a, const char *executor_id, const char *agent_id);
Mesos__V1__Scheduler__Call *sdk_call_revive(struct arena *a, const char *const *roles, size_t count);
Mesos__V1__Scheduler__Call *sdk_call_suppress(struct arena *a, const char *const *roles, size_t count);
Mesos__V1__Scheduler__Call *sdk_call_teardown(struct arena *a);

/* Operations for ACCEPT. */
Mesos__V1__Offer__Operation *sdk_operation_launch(struct arena *a, Mesos__V1__TaskInfo *const *tasks, size_t count);
Mesos__V1__Offer__Operation *sdk_operation_launch_group(struct arena *a, Mesos__V1__ExecutorInfo *executor,
                                                        Mesos__V1__TaskInfo *const *tasks, size_t count);
