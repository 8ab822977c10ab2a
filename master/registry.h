/* SPDX-License-Identifier: Apache-2.0
 * registry.h - what of the master's state is durable (proto/muster/registry.proto), and what waits until it is. A write
 * carries what is to be done once it is on disk. Internal to master/. */
#pragma once

#include "master/state.h"

/* A write to come; fill message, link, stream, request as its kind needs, then put it by one of the functions below. */
struct master_write *master_registry_begin(struct master *m, enum master_write_kind kind, const char *id);
void master_registry_set_message(struct master_write *w, const ProtobufCMessage *message);

/* With unreachable_ms not 0 the agent is stored as unreachable since then. */
void master_registry_put_agent(struct master *m, struct master_write *w, const struct master_agent *a,
                               int64_t unreachable_ms);
void master_registry_delete_agent(struct master *m, struct master_write *w);
/* The agent's record becomes one of an agent that departed now. */
void master_registry_depart_agent(struct master *m, struct master_write *w, bool gone);
void master_registry_delete_departed(struct master *m, struct master_write *w);
/* disconnected_ms 0: connected. */
void master_registry_put_framework(struct master *m, struct master_write *w, const Mesos__V1__FrameworkInfo *info,
                                   int64_t registered_ms, int64_t disconnected_ms);
void master_registry_delete_framework(struct master *m, struct master_write *w);

void master_registry_put_weight(struct master *m, struct master_write *w, const Mesos__V1__WeightInfo *info);
/* keep false: the role has the default quota again. */
void master_registry_put_quota(struct master *m, struct master_write *w, const Mesos__V1__Quota__QuotaConfig *config,
                               bool keep);

void master_registry_put_maintenance(struct master *m, struct master_write *w,
                                     const Mesos__V1__Maintenance__Schedule *schedule, Mesos__V1__MachineID **down,
                                     size_t n_down);
/* What the write stores, in the step's arena. */
int master_registry_read_maintenance(struct master *m, const struct master_write *w,
                                     const Mesos__V1__Maintenance__Schedule **schedule, Mesos__V1__MachineID ***down,
                                     size_t *n_down, struct err *err);

/* Reads one recovered item and hands it to agents or frameworks. Unknown keys are left alone; a damaged record is fatal. */
void master_registry_recover(struct master *m, const struct master_item *item);
void master_registry_on_done(struct master *m, uint64_t token, int result);
void master_registry_deinit(struct master *m);
