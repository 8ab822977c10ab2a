/* SPDX-License-Identifier: Apache-2.0
 * budget.h - what quota leaves of a possible offer (facts: mesos 7.4, 7.6). A role may have, of what is not reserved,
 *   - what it lacks of its guarantee,
 *   - and beyond it what no guarantee of any role needs (the headroom),
 *   - both as far as its limit goes.
 * Reservations are offered regardless; they count as consumed, offered or not. Costs nothing while there are no quotas.
 * Internal to master/. */
#pragma once

#include "master/state.h"

int64_t master_amounts_get(const struct master_amounts *a, const char *name, int64_t missing);

/* What the role and those below it have, or have reserved. */
int64_t master_budget_consumed(const struct master_quota *q, const char *name);
/* Does the role lack anything of its guarantee? */
bool master_budget_is_short(const struct master_role *top);
bool master_budget_any_short(const struct master *m);

/* Takes out of part (unallocated, a part of the agent's free resources) what may not be offered to the client now, and
 * remembers that its role would take more. */
void master_budget_cut(struct master *m, struct master_client *c, struct resources *part);

/* The agent's free resources, or whether it counts, have changed. */
void master_budget_agent_changed(struct master *m, struct master_agent *a);
void master_budget_forget_agent(struct master *m, struct master_agent *a);
/* The first quota is set, or the last one removed. */
void master_budget_start(struct master *m);
void master_budget_stop(struct master *m);
/* What of the agents' free resources is reserved to a top role and those below it, whether there are quotas or not. */
struct quantities master_budget_reserved_free(const struct master *m, const char *role);

/* Something came back or was freed: roles that were cut are tried again after the allocation interval. */
void master_budget_came_back(struct master *m);
void master_budget_on_timer(struct master *m);
