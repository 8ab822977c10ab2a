/* SPDX-License-Identifier: Apache-2.0
 * oom.h - news that a container ran out of its memory. */
#pragma once

#include "agent/container/shared/cgroup.h"

struct oom_watch {
    int fd;       /* -1: not to be had */
    short events; /* what to poll for */
};

/* v2: the group's memory.events. v1: an eventfd registered with memory.oom_control. */
void oom_watch_open(struct oom_watch *w, const struct container_cgroups *g, const char *id);
void oom_watch_close(struct oom_watch *w);
/* Takes the news; what it was is read from the counters. */
void oom_watch_clear(struct oom_watch *w);
