/* SPDX-License-Identifier: Apache-2.0
 * maintenance.h - when machines will not be there (facts: mesos 3.5), kept in the registry:
 *
 *     UP ── in the schedule ──▶ DRAINING ── START_MAINTENANCE ──▶ DOWN ── STOP_MAINTENANCE ──▶ UP, out of the schedule
 *      ◀── out of the schedule ─────┘
 *
 * An agent is on a machine that names both its host name and its address. Frameworks are asked to leave a DRAINING one by
 * inverse offers (inverse.h); the agents of a DOWN one are shut down and may not register. Internal to master/. */
#pragma once

#include "master/state.h"

void master_maintenance_on_schedule(struct master *m, const struct master_event *in);
void master_maintenance_on_start(struct master *m, const struct master_event *in);
void master_maintenance_on_stop(struct master *m, const struct master_event *in);
void master_maintenance_on_stored(struct master *m, const struct master_write *w);
bool master_maintenance_recover(struct master *m, const Mesos__V1__Maintenance__Schedule *schedule,
                                Mesos__V1__MachineID *const *down, size_t n_down); /* false: it cannot be */
void master_maintenance_deinit(struct master *m);

/* The machine of an agent with this name and address, NULL: it is UP. */
const struct master_machine *master_machine_find(const struct master *m, const char *hostname, const char *ip);
const struct master_machine *master_machine_of(const struct master *m, const struct master_agent *a);
/* In the arena. */
Mesos__V1__Unavailability *master_machine_unavailability(const struct master_machine *machine, struct arena *arena);

const Mesos__V1__Maintenance__Schedule *master_maintenance_schedule(const struct master *m, struct arena *arena);
Mesos__V1__Maintenance__ClusterStatus *master_maintenance_status(const struct master *m, struct arena *arena);
