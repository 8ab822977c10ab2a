/* SPDX-License-Identifier: Apache-2.0
 * allocator.h - who is offered what. Works on changes only: an agent with something free, a client (a framework in one
 * role) that may be offered things again, one pair whose filter ended. What changed is marked, and one pass per turn
 * serves the marks.
 *
 * What holds after a pass: nothing free could be offered to any active client. So
 *   - more free on an agent: all clients are tried for this agent, in the order of share_drf.h, until nothing is left;
 *   - a client that is new, revived or no longer suppressed: it alone is tried, for every agent with something free;
 *   - the end of a filter: this pair alone is tried.
 * A client that wants nothing, a role without frameworks and an agent with nothing free cost nothing. Internal to master/.
 */
#pragma once

#include "master/state.h"

/* An agent came to or left the set of those that get offers, or its amounts changed. */
void master_allocator_refresh_agent(struct master *m, struct master_agent *a);
/* Takes resources (not allocated) into the agent's free ones. at_once: they are offered in this turn, else together with
 * whatever else comes back within the allocation interval. */
void master_allocator_give_back(struct master *m, struct master_agent *a, struct resources *resources, bool at_once);

/* Anything that decides whether a client gets offers has changed. retry: it is tried for everything free even when it was
 * active before. */
void master_allocator_refresh_client(struct master *m, struct master_client *c, bool retry);

/* The work of this turn, bounded; what is left is due at once again. */
void master_allocator_pass(struct master *m);
int64_t master_allocator_next_deadline(const struct master *m);

/* "cpus:0.01|mem:32" (facts: mesos 6.7). 0 or -EINVAL. */
int master_minimums_parse(const char *text, struct master_minimums *out, struct err *err);
