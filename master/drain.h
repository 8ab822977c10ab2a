/* SPDX-License-Identifier: Apache-2.0
 * drain.h - an operator takes an agent out of service: deactivated (no offers), draining (no offers, and its tasks are
 * ended), gone (it never comes back). Internal to master/. */
#pragma once

#include "master/state.h"

/*              DRAIN_AGENT          no task is left
 *     (none) ──────────────▶ DRAINING ────────────▶ DRAINED, or gone when asked for
 *        ▲                                             │
 *        └───────────────── REACTIVATE_AGENT ──────────┘
 * The state stays with the agent while it is disconnected, unreachable or recovered. */
void master_drain_on_drain(struct master *m, const struct master_event *in);
void master_drain_on_deactivate(struct master *m, const struct master_event *in);
void master_drain_on_reactivate(struct master *m, const struct master_event *in);
void master_drain_on_gone(struct master *m, const struct master_event *in);
void master_drain_on_stored(struct master *m, const struct master_write *w);

/* A task (or whatever else keeps an agent from being drained) left the agent, or the agent is back. */
void master_drain_settle(struct master *m, struct master_agent *a);

/* What the agent must be told when it registers again, in the arena; NULL: it is not draining. */
Muster__Link__Drain *master_drain_for_agent(const struct master_agent *a, struct arena *arena);
/* For people, in the arena; NULL: no drain. */
Mesos__V1__DrainInfo *master_drain_wire(const struct master_agent *a, struct arena *arena);
void master_drain_recover(struct master_agent *a, bool is_deactivated, const Mesos__V1__DrainInfo *drain, int64_t start_ms);
