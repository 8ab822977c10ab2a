/* SPDX-License-Identifier: Apache-2.0
 * updates.h - status updates: one stream per task, in order, on disk before anybody hears of them, one in flight, repeated
 * until the scheduler has acknowledged it (facts: mesos 1.11, 2.12). */
#pragma once

#include "agent/state.h"

enum {
    AGENT_UPDATES_E_DUPLICATE = 1, /* known and on disk, or late for a task that has ended: acknowledge it again */
    AGENT_UPDATES_E_PENDING,       /* known, on its way to the disk */
    AGENT_UPDATES_E_FULL,          /* too many of this task wait for the scheduler */
    AGENT_UPDATES_E_SIZE,          /* larger than AGENT_STATUS_BYTES_MAX */
};

/* Completes an executor's status (validated, with uuid) and queues it for the disk. 0 or AGENT_UPDATES_E_*. */
int agent_updates_accept(struct agent *a, struct agent_task *t, const Mesos__V1__TaskStatus *status);
/* Makes an update of the agent itself. Nothing happens when the task has ended already. limitation may be NULL. */
void agent_updates_generate(struct agent *a, struct agent_task *t, int state, int reason, const char *message,
                            Mesos__V1__TaskResourceLimitation *limitation);
/* The same by kind: LOST, or aware_state for a partition-aware framework. */
void agent_updates_lose(struct agent *a, struct agent_task *t, int aware_state, int reason, const char *message);
/* About a task this agent has no record of: sent once, not stored. */
void agent_updates_disown(struct agent *a, const char *framework_id, const char *task_id, bool partition_aware, int reason,
                          const char *message);

void agent_updates_on_durable(struct agent *a, struct agent_task *t, uint32_t sequence);
void agent_updates_on_acknowledged(struct agent *a, struct agent_task *t); /* the acknowledgement is on disk */
void agent_on_acknowledge(struct agent *a, const Muster__Link__AcknowledgeUpdate *message);
void agent_updates_on_retry(struct agent *a, struct agent_task *t);
/* Somebody new listens, the framework's scheduler or (all) a master: what waits is sent again at once. */
void agent_updates_resend(struct agent *a, const struct agent_framework *f);
void agent_updates_resend_all(struct agent *a);

/* A stored update at recovery, in order of sequence. packed is copied. */
void agent_updates_restore(struct agent *a, struct agent_task *t, uint32_t sequence, const Mesos__V1__TaskStatus *status,
                           const void *packed, size_t len, bool acknowledged);
void agent_updates_clear(struct agent *a, struct agent_task *t); /* frees all; a may be NULL when the agent is freed */
