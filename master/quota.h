/* SPDX-License-Identifier: Apache-2.0
 * quota.h - guarantees and limits of top roles (facts: mesos 3.4): what an operator may set, kept in the registry. What
 * follows for offers is budget.h. Internal to master/. */
#pragma once

#include "master/state.h"

/* UPDATE_QUOTA, and the older SET_QUOTA and REMOVE_QUOTA, which are turned into it. */
void master_quota_on_update(struct master *m, const struct master_event *in);
void master_quota_on_set(struct master *m, const struct master_event *in);
void master_quota_on_remove(struct master *m, const struct master_event *in);
void master_quota_on_stored(struct master *m, const struct master_write *w);
bool master_quota_recover(struct master *m, const Mesos__V1__Quota__QuotaConfig *config); /* false: it cannot be */
/* All is recovered: with quotas, offers wait for the agents. */
void master_quota_recovered(struct master *m);
void master_quota_deinit(struct master *m);

Mesos__V1__Quota__QuotaStatus *master_quota_wire(const struct master *m, struct arena *arena);
