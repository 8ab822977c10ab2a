/* SPDX-License-Identifier: Apache-2.0
 * departed.h - agents that may not come back with their id: removed ones (unregistered, replaced) and gone ones (an
 * operator said so). Bounded, the oldest are forgotten first. Internal to master/. */
#pragma once

#include "master/state.h"

/* The agent departed and that is durable. */
void master_departed_add(struct master *m, const char *id, bool gone);
bool master_departed_is_removed(const struct master *m, const char *id);
bool master_departed_is_gone(const struct master *m, const char *id);

void master_departed_recover(struct master *m, const char *id, int64_t departed_ms, bool gone);
/* All is recovered. */
void master_departed_sort(struct master *m);
void master_departed_deinit(struct master *m);
