/* SPDX-License-Identifier: Apache-2.0
 * offered.h - what this machine offers, and whether that may follow on what it offered before. */
#pragma once

#include "agent/state.h"

/* May an agent that registered as `before` come back as `now`? Resources and attributes may be added, a domain may be set;
 * everything else must be as it was. 0, or -EINVAL with the difference in err. */
int agent_offered_compatible(const Mesos__V1__AgentInfo *before, const Mesos__V1__AgentInfo *now, struct err *err);
