/* SPDX-License-Identifier: Apache-2.0
 * frameworks.h - schedulers and what the master knows of them: subscription, failover, disconnection and its deadline,
 * removal, and the memory of the last completed ones. Internal to master/. */
#pragma once

#include "master/state.h"

/* Live ones; completed ones by master_framework_find_completed. */
struct master_framework *master_framework_find(const struct master *m, const char *id);
struct master_framework *master_framework_find_completed(const struct master *m, const char *id);

void master_frameworks_on_subscribe(struct master *m, stream_id stream, const char *principal,
                                    const Mesos__V1__Scheduler__Call *call);
void master_frameworks_on_stream_closed(struct master *m, stream_id stream);
void master_frameworks_on_pressure(struct master *m, stream_id stream, bool on);
/* UPDATE_FRAMEWORK (facts: mesos 1.14), checked and stored before it is answered. */
void master_frameworks_on_update(struct master *m, struct master_framework *f, request_id request,
                                 const Mesos__V1__Scheduler__Call *call);
void master_frameworks_on_timers(struct master *m); /* failover deadlines and heartbeats */

/* Starts the removal; the request is answered with status once it is durable. request 0: nobody waits. */
void master_framework_remove(struct master *m, struct master_framework *f, request_id request, int status);

/* A framework that only an agent knew. NULL when the info is not usable. */
struct master_framework *master_framework_from_agent(struct master *m, const Mesos__V1__FrameworkInfo *info);
void master_frameworks_recover(struct master *m, const Mesos__V1__FrameworkInfo *info, int64_t registered_ms,
                               int64_t disconnected_ms);

void master_frameworks_on_subscription_stored(struct master *m, struct master_write *w);
void master_frameworks_on_update_stored(struct master *m, struct master_write *w);
void master_frameworks_on_removal_stored(struct master *m, struct master_write *w);
void master_frameworks_deinit(struct master *m);

/* Checks of a FrameworkInfo that do not depend on others (facts: mesos 1.5). NULL, or why not in the arena. */
const char *master_framework_info_check(struct master *m, const Mesos__V1__FrameworkInfo *info);
