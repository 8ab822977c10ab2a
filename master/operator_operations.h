/* SPDX-License-Identifier: Apache-2.0
 * operator_operations.h - reservations and volumes that operators ask for (facts: mesos 3.1). Handlers as in operator.c:
 * they answer 202 once the agent has the result on its disk. Internal to master/. */
#pragma once

#include "master/state.h"

void master_operator_on_reserve(struct master *m, const struct master_event *in);
void master_operator_on_unreserve(struct master *m, const struct master_event *in);
void master_operator_on_create_volumes(struct master *m, const struct master_event *in);
void master_operator_on_destroy_volumes(struct master *m, const struct master_event *in);
void master_operator_on_grow_volume(struct master *m, const struct master_event *in);
void master_operator_on_shrink_volume(struct master *m, const struct master_event *in);
