/* SPDX-License-Identifier: Apache-2.0
 * drain.h - an operator drains this agent: everything on it is ended, and said to have been ended for that reason. The
 * order is kept on disk until the master takes it back. */
#pragma once

#include "agent/state.h"

void agent_on_drain(struct agent *a, const Muster__Link__Drain *order);
void agent_on_stop_draining(struct agent *a);
/* Ends what is still running, when the agent is draining. Safe to repeat. */
void agent_drain_kill_all(struct agent *a);
/* An update of a task is about to be taken: a kill is the drain's. */
void agent_drain_mark(const struct agent *a, const struct agent_task *t, Mesos__V1__TaskStatus *status);
/* The order as people see it, in the arena; NULL: there is none. */
Mesos__V1__DrainConfig *agent_drain_config(const struct agent *a, struct arena *arena);
