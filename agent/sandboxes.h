/* SPDX-License-Identifier: Apache-2.0
 * sandboxes.h - directories of finished runs, removed gc_delay after the end (facts: mesos 9.7). The deletion itself is the
 * shell's; one directory at a time. */
#pragma once

#include "agent/state.h"

void agent_sandbox_retire(struct agent *a, const char *container_id, const char *directory);
void agent_sandbox_restore(struct agent *a, const char *container_id, const char *directory, int64_t due_ms);
void agent_sandboxes_start(struct agent *a); /* after recovery: the timer */
void agent_on_sandbox_timer(struct agent *a);
void agent_on_sandbox_removed(struct agent *a, const char *container_id, int result);
void agent_sandbox_free(struct agent_sandbox *s);
