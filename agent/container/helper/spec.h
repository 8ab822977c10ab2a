/* SPDX-License-Identifier: Apache-2.0
 * spec.h - what the helper was started with: reads the spec from its descriptor and turns it into what the parts need. */
#pragma once

#include "agent/container/helper/child.h"

/* Close-on-exec for all descriptors of helper.h, then the spec. NULL with err set. Free with protobuf's function. */
Muster__Container__Spec *helper_spec_read(struct err *err);
void helper_spec_cgroups(const Muster__Container__Spec *spec, struct container_cgroups *out);
struct launcher_limits helper_spec_limits(const Muster__Container__Spec *spec);

/* The variable that processes of a nested container are known by where there are no groups. Never freed. */
char *helper_spec_mark(const Muster__Container__Spec *spec);

/* Terminated arrays; strings are the spec's. A PATH is added to the environment if it has none, and the mark if the
 * container is nested. Never freed: they live as long as the process. */
char **helper_spec_argv(const Muster__Container__Spec *spec);
char **helper_spec_envp(const Muster__Container__Spec *spec);
