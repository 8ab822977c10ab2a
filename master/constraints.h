/* SPDX-License-Identifier: Apache-2.0
 * constraints.h - offer constraints (facts: mesos 1.18): on which agents a framework wants offers in a role. Groups of
 * conditions on attributes, host name, region or zone; one group must hold whole. Compiled once when the framework
 * subscribes, asked before an offer is made. Internal to master/. */
#pragma once

#include "common/base/err.h"
#include "master/state.h"

#define MASTER_CONSTRAINTS_MAX 1000 /* conditions of one framework */

/* 0 or -EINVAL with a text for the scheduler. */
int master_constraints_check(const Mesos__V1__Scheduler__OfferConstraints *all, char *const *roles, size_t role_count,
                             struct err *err);
/* Of one role; NULL when there are none for it. They were checked. */
struct master_constraints *master_constraints_new(const Mesos__V1__Scheduler__OfferConstraints *all, const char *role);
struct master_constraints *master_constraints_free(struct master_constraints *c); /* accepts NULL, returns NULL */
/* NULL: every agent will do. */
bool master_constraints_allow(const struct master_constraints *c, const Mesos__V1__AgentInfo *agent);
