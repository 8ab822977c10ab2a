/* SPDX-License-Identifier: Apache-2.0
 * frameworks.h - frameworks that have something on this machine, and the memory of those that had. */
#pragma once

#include "agent/state.h"

/* The framework if something of it is here. */
struct agent_framework *agent_framework_find(const struct agent *a, const char *id);
/* Finds or makes it, and takes the newest info. Stores it when it is new or changed. packed is copied. */
struct agent_framework *agent_framework_open(struct agent *a, const Mesos__V1__FrameworkInfo *info, const void *packed,
                                             size_t len);
/* The same from the store, without storing it. */
struct agent_framework *agent_framework_restore(struct agent *a, const Mesos__V1__FrameworkInfo *info, const void *packed,
                                                size_t len);
void agent_framework_update(struct agent *a, const Mesos__V1__FrameworkInfo *info, const void *packed, size_t len);
/* Ends all its executors without updates; it completes when they are gone. */
void agent_framework_shutdown(struct agent *a, struct agent_framework *f);
/* Completes it if nothing of it is left; it stays valid for this step. */
void agent_framework_settle(struct agent *a, struct agent_framework *f);
/* At the end of every step: forgets the oldest completed ones beyond the bound. */
void agent_frameworks_trim(struct agent *a);
struct agent_framework *agent_framework_free(struct agent_framework *f);
