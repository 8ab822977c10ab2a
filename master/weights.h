/* SPDX-License-Identifier: Apache-2.0
 * weights.h - how the shares of roles are weighed against those of their siblings (facts: mesos 7.2, 7.6). Those that an
 * operator sets are durable and go before those of the flag. Internal to master/. */
#pragma once

#include "master/state.h"

/* UPDATE_WEIGHTS: all of them or, when one is wrong, none. */
void master_weights_on_update(struct master *m, const struct master_event *in);
void master_weights_on_stored(struct master *m, const struct master_write *w);
bool master_weights_recover(struct master *m, const Mesos__V1__WeightInfo *info); /* false: it cannot be */

/* weight is above 0. */
void master_weight_set(struct master *m, const char *role, double weight);
void master_weights_deinit(struct master *m);

Mesos__V1__Master__Response__GetWeights *master_weights_wire(const struct master *m, struct arena *arena);
