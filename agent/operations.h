/* SPDX-License-Identifier: Apache-2.0
 * operations.h - what the agent has, and the operations that convert it (facts: mesos 1.9, 6.5): dynamic reservations and
 * persistent volumes, kept in the store. What the agent has is the truth; the master follows it. */
#pragma once

#include "agent/state.h"
#include "common/base/err.h"

void agent_on_apply_operation(struct agent *a, const Muster__Link__ApplyOperation *message);
void agent_on_acknowledge_operation(struct agent *a, const Muster__Link__AcknowledgeOperation *message);
/* The answer to AGENT_OUT_VOLUMES. text: why not, when result is not 0. */
void agent_on_volumes_done(struct agent *a, const char *operation, int result, const char *text);
void agent_operation_on_durable(struct agent *a, const char *operation);
void agent_operation_on_retry(struct agent *a, struct agent_operation *o);
/* A new session: all ends that are not acknowledged. */
void agent_operations_resend_all(struct agent *a);

/* Why these resources cannot be used here: reservations or volumes the agent does not have. NULL: they can. */
const char *agent_operations_unknown(const struct agent *a, Mesos__V1__Resource *const *list, size_t n,
                                     struct arena *arena);

/* For (re)registration: what the agent has (nothing, when it is what its info says) and its operations. */
size_t agent_operations_total(const struct agent *a, struct arena *arena, Mesos__V1__Resource ***out);
size_t agent_operations_report(const struct agent *a, struct arena *arena, ProtobufCBinaryData **out);

/* -- start ------------------------------------------------------------------------------------------------------ */

/* a->total from what is offered. -EINVAL: it cannot be read. */
int agent_operations_init(struct agent *a, struct err *err);
/* With what was reserved and made before. -EINVAL: it does not fit into what is offered now. */
int agent_operations_restore_total(struct agent *a, Mesos__V1__Resource *const *dynamic, size_t n, struct err *err);
int agent_operation_restore(struct agent *a, uint64_t sequence, const char *uuid,
                            const Muster__Checkpoint__Operation *record, struct err *err);
/* After recovery: what was under way goes on. */
void agent_operations_start(struct agent *a);
void agent_operations_deinit(struct agent *a);
