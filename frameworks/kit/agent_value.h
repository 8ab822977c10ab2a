/* SPDX-License-Identifier: Apache-2.0
 * agent_value.h - what placement constraints see of an agent: its hostname, region, zone and attributes as texts. */
#pragma once

#include "common/base/arena.h"
#include "mesos/v1/mesos.pb-c.h"

/* "hostname", "@hostname", "@region", "@zone" or the name of an attribute. NULL: the agent has no such field. In the
 * arena, or in the offer. */
const char *agent_value(const Mesos__V1__Offer *offer, const char *field, struct arena *arena);
/* A wanted value as agent_value writes it, so that they can be compared: "1.0" is "1". Caller frees. */
char *agent_value_canonical(const char *value);
