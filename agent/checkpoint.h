/* SPDX-License-Identifier: Apache-2.0
 * checkpoint.h - what the agent keeps in the store, and reading it back (proto/muster/checkpoint.proto). All writes of one
 * step are one atomic batch; agent_checkpoint_then names what goes on once that batch is on disk. */
#pragma once

#include "agent/state.h"

void agent_checkpoint_agent(struct agent *a);
void agent_checkpoint_boot(struct agent *a);
void agent_checkpoint_drain(struct agent *a); /* or that there is none */
void agent_checkpoint_framework(struct agent *a, const struct agent_framework *f);
void agent_checkpoint_executor(struct agent *a, const struct agent_executor *e);
void agent_checkpoint_task(struct agent *a, const struct agent_task *t);
void agent_checkpoint_update(struct agent *a, const struct agent_task *t, const struct agent_update *u);
void agent_checkpoint_sandbox(struct agent *a, const struct agent_sandbox *s);
void agent_checkpoint_operation(struct agent *a, const struct agent_operation *o);
void agent_checkpoint_resources(struct agent *a); /* the reservations and volumes in a->total */

void agent_checkpoint_forget_operation(struct agent *a, const struct agent_operation *o);
void agent_checkpoint_forget_framework(struct agent *a, const struct agent_framework *f);
void agent_checkpoint_forget_executor(struct agent *a, const struct agent_executor *e);
void agent_checkpoint_forget_task(struct agent *a, const struct agent_task *t); /* with its updates */
void agent_checkpoint_forget_update(struct agent *a, const struct agent_task *t, const struct agent_update *u);
void agent_checkpoint_forget_sandbox(struct agent *a, const char *container_id);
/* Everything the agent knows of itself: id, boot, operations. What it has stays: volumes outlive the agent's id. */
void agent_checkpoint_forget_agent(struct agent *a);

/* Continues with this kind (agent_on_durable) when this step's writes are on disk. Strings may be NULL. */
void agent_checkpoint_then(struct agent *a, enum agent_pending_kind kind, const char *framework_id, const char *executor_id,
                           const char *task_id, uint32_t sequence);
/* Ends the step: one STORE effect for all its writes, if there are any. */
void agent_checkpoint_flush(struct agent *a);

/* Who this agent was and in which boot of the host; both stay NULL in an empty store. Into the effects' arena. 0, or
 * -EINVAL: the text names the key that cannot be read. */
int agent_checkpoint_identity(struct agent *a, const struct agent_item *items, size_t count, Mesos__V1__AgentInfo **info,
                              char **boot_id, struct err *err);
/* The reservations and volumes of before, into a->total. Errors as above, and when they do not fit in. */
int agent_checkpoint_recover_resources(struct agent *a, const struct agent_item *items, size_t count, struct err *err);
/* Fills the agent with what ran. Errors as above; nothing may be used then. */
int agent_checkpoint_recover(struct agent *a, const struct agent_item *items, size_t count, struct err *err);
/* Deletes what the store holds of frameworks and runs; for an agent that becomes a new one. */
void agent_checkpoint_forget_runs(struct agent *a, const struct agent_item *items, size_t count);
