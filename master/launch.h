/* SPDX-License-Identifier: Apache-2.0
 * launch.h - ACCEPT and DECLINE: what becomes of offered resources (facts: mesos 1.8, 1.9). Internal to master/. */
#pragma once

#include "master/state.h"

void master_on_accept(struct master *m, struct master_framework *f, const Mesos__V1__Scheduler__Call__Accept *accept);
void master_on_decline(struct master *m, struct master_framework *f, const Mesos__V1__Scheduler__Call__Decline *decline);
