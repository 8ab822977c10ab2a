/* SPDX-License-Identifier: Apache-2.0
 * agents.h - agents and their links: admission, loss, return, removal; pings. What an agent brings back with it is
 * reregister.c. Internal to master/. */
#pragma once

#include "common/base/err.h"
#include "master/state.h"

struct master_agent *master_agent_find(const struct master *m, const char *id); /* in any state */

/* -EPROTO when the link is known already. */
int master_agents_on_link_up(struct master *m, link_id link, const char *peer_ip);
void master_agents_on_link_down(struct master *m, link_id link);
void master_agents_on_link_message(struct master *m, link_id link, const Muster__Link__AgentToMaster *message);
void master_agents_on_timers(struct master *m);

/* NULL when it is there already, or cannot be (then the master halts). */
struct master_agent *master_agents_recover(struct master *m, const Mesos__V1__AgentInfo *info, const char *ip,
                                           const char *version, int64_t registered_ms, int64_t unreachable_ms);
/* It is told to end its tasks and to go, and is removed. Does nothing with one that is not registered. */
void master_agent_shut_down(struct master *m, struct master_agent *a, const char *why);
/* It never comes back. request is answered when that is durable; 0: nobody asked. Not for one that is ADMITTING, LEAVING.
 */
void master_agent_start_gone(struct master *m, struct master_agent *a, request_id request);
void master_agents_on_admitted(struct master *m, struct master_write *w);
void master_agents_on_readmitted(struct master *m, struct master_write *w);
void master_agents_on_unreachable_stored(struct master *m, struct master_write *w);
void master_agents_on_forgotten(struct master *m, struct master_write *w);
void master_agents_on_gone_stored(struct master *m, struct master_write *w);
void master_agents_deinit(struct master *m);

/* Ends a connected agent's link, so that it comes back with a new report. */
void master_agent_hang_up(struct master *m, struct master_agent *a, const char *why);

/* Is not, or no longer, to be heard: leave the present state for another. Keeps counts and timers right. */
void master_agent_set_state(struct master *m, struct master_agent *a, enum master_agent_state state);

/* -- reregister.c ----------------------------------------------------------------------------------------------- */

/* Takes info (without id) as the agent's; total and amounts follow. 0 or -EINVAL, -ENOSPC with a text; then nothing has
 * changed. */
int master_agent_set_info(struct master *m, struct master_agent *a, const Mesos__V1__AgentInfo *info, const char *version,
                          Mesos__V1__Resource *const *total, size_t n_total, struct err *err);
/* The agent's word about what it has, reservations and volumes included (n 0: what its info says); its offers end. 0 or
 * -errno as above. */
int master_agent_set_total(struct master *m, struct master_agent *a, Mesos__V1__Resource *const *total, size_t n_total,
                           struct err *err);
/* Its total has been converted. */
void master_agent_on_converted(struct master_agent *a);
/* The agent is back on its link: takes its report for the truth about what runs there and connects it. */
void master_agent_come_back(struct master *m, struct master_agent *a, const Muster__Link__Reregister *report);
/* free = total - what tasks and executors use; there are no offers. */
void master_agent_recount(struct master_agent *a);
