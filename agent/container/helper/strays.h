/* SPDX-License-Identifier: Apache-2.0
 * strays.h - processes that were left to us when their parents died. */
#pragma once

#include <stdint.h>
#include <sys/types.h>

/* SIGKILL to all children of this process. They are reaped by the caller; what they leave behind becomes our child in turn,
 * so this is repeated until there is none. */
void strays_kill(void);

/* SIGKILL to every process of a session (setsid) and to every one whose environment has the mark, as far as /proc shows
 * them. leader_start: when the session's leader started, as in process.h; it may be gone. A process that leaves the session
 * and drops the mark is not found: only a cgroup holds such a one. */
void strays_kill_session(pid_t session, uint64_t leader_start, const char *mark);
