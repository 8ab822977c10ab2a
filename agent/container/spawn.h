/* SPDX-License-Identifier: Apache-2.0
 * spawn.h - starts the helper program in one of its modes. */
#pragma once

#include <sys/types.h>

#include "common/base/err.h"
#include "muster/container.pb-c.h"

struct spawn_request {
    const char *mode;                    /* supervise, sweep, probe; supervisor: the zygote */
    const char *title;                   /* last argument, for lists of processes */
    const Muster__Container__Spec *spec; /* NULL for the zygote */
    int image_fd, fetch_fd;
    int directory_fd; /* the container's folder; for probe the pipe of the report; for the zygote anything */
    int socket_fd;    /* of the zygote; for others anything */
};

/* A memory file with the packed spec. */
int container_spawn_write_spec(const Muster__Container__Spec *spec, struct err *err);

/* Returns the pid of the new process, a child of ours in a session of its own with no descriptor but those of helper.h, or
 * a negative errno. Safe in a process with threads: nothing of ours runs in the child. */
pid_t container_spawn(const struct spawn_request *r, struct err *err);
