/* SPDX-License-Identifier: Apache-2.0
 * recovery.h - from what the store holds to a running agent (facts: mesos 8.7). */
#pragma once

#include "agent/state.h"

void agent_on_started(struct agent *a, const struct agent_item *items, size_t count, const char *boot_id);
void agent_on_containers_recovered(struct agent *a);
void agent_on_executors_timer(struct agent *a);
/* At the end of every step: goes on as soon as nobody is waited for. */
void agent_recovery_settle(struct agent *a);
