/* SPDX-License-Identifier: Apache-2.0
 * cgroup.h - the control groups of containers, one per hierarchy that matters: cgroup v2, v1, or v1 with a bare v2 beside
 * it (hybrid). A container's group is <hierarchy>/<root>/<container id>. The agent detects once; supervisors get the
 * result in their spec. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/err.h"

enum container_controller {
    CONTAINER_CGROUP_CPU = 1,
    CONTAINER_CGROUP_CPUACCT = 2, /* counters of CPU time; v2 has them without any controller */
    CONTAINER_CGROUP_MEMORY = 4,
    CONTAINER_CGROUP_PIDS = 8,
};

enum { CONTAINER_HIERARCHIES_MAX = 8 };

struct container_hierarchy {
    char path[256];      /* the folder of our containers, e.g. /sys/fs/cgroup/memory/muster */
    size_t mount_length; /* how much of the path is the hierarchy's mount point */
    unsigned controllers;
    bool v2;
};

struct container_cgroups {
    struct container_hierarchy at[CONTAINER_HIERARCHIES_MAX];
    size_t count;
};

/* Removes the folders that container_cgroups_detect made, as far as they are empty: containers that run on, and other
 * agents, keep theirs. */
void container_cgroups_remove_root(const struct container_cgroups *g);

/* Finds the hierarchies in the text of /proc/self/mountinfo and makes the folder `root` (may have several components) in
 * each. What cannot be used is left out, with a line `cgroup NAME: why` added to missing. */
void container_cgroups_detect(const char *mountinfo, const char *root, struct container_cgroups *out, struct buf *missing);

/* The hierarchy with this controller, NULL if there is none; container_cgroups_v2 the v2 one, with or without any. */
const struct container_hierarchy *container_cgroups_find(const struct container_cgroups *g,
                                                         enum container_controller controller);
const struct container_hierarchy *container_cgroups_v2(const struct container_cgroups *g);

/* Makes the groups of a container; on failure none is left. */
int container_cgroup_create(const struct container_cgroups *g, const char *id, struct err *err);

/* For a container inside the container `parent`: out gets the v2 hierarchy alone, in which it has a group of its own below
 * the parent's, so that it can be ended alone; leaf its name there. On others it is in the parent's groups. */
enum { CONTAINER_LEAF_SIZE = 512 };
void container_cgroups_inner(const struct container_cgroups *g, const char *parent, const char *id,
                             struct container_cgroups *out, char leaf[CONTAINER_LEAF_SIZE]);

/* SIGKILL to everything in the container's groups. Call again until container_cgroup_remove succeeds: on v1 a process that
 * forks at the same time can be missed once. */
void container_cgroup_kill(const struct container_cgroups *g, const char *id);

/* Kills and removes; waits until the last process is gone, at most timeout_ms. -EBUSY when that was not enough. */
int container_cgroup_remove(const struct container_cgroups *g, const char *id, int timeout_ms, struct err *err);

/* Files of one group. Numbers: "max" and values near 2^63 of v1 are UINT64_MAX. */
int container_cgroup_open(const struct container_hierarchy *h, const char *id, const char *file, int flags);
int container_cgroup_write(const struct container_hierarchy *h, const char *id, const char *file, const char *value,
                           struct err *err);
long container_cgroup_read(const struct container_hierarchy *h, const char *id, const char *file, char *out, size_t size);
int container_cgroup_read_number(const struct container_hierarchy *h, const char *id, const char *file, uint64_t *out);
