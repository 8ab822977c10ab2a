/* SPDX-License-Identifier: Apache-2.0
 * child.h - a container's first process: from clone to the exec of its program. The supervisor prepares everything in a
 * plan; the child only makes system calls, and tells through a pipe what failed, or how the program ended. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "agent/container/helper/user.h"
#include "agent/container/shared/cgroup.h"
#include "common/base/err.h"
#include "common/port/launcher.h"
#include "muster/container.pb-c.h"

enum { CHILD_MOUNTS_MAX = 64, CHILD_HIDDEN_MAX = 8 };

enum child_program {
    CHILD_INIT,     /* stay as init, run argv below it, hand on its status */
    CHILD_EXECUTOR, /* become the built-in executor */
    CHILD_NOTHING,  /* report success and exit: a probe */
};

struct child_plan {
    const Muster__Container__Spec *spec;
    const struct container_cgroups *cgroups; /* created already; count 0: none */
    const struct container_user *user;
    unsigned isolation; /* LAUNCHER_* bits to use */
    enum child_program program;
    char **argv, **envp; /* terminated by NULL */
    int sandbox_fd;      /* what the path of the sandbox must lead to */
    int stdout_fd, stderr_fd;
    int report_fd;
    const char *oom_score_adj; /* to set back; NULL: leave it */
    /* Filled by child_start. */
    int join_fds[CONTAINER_HIERARCHIES_MAX]; /* `tasks` of v1 groups */
    size_t join_count;
};

enum child_report_kind {
    CHILD_REPORT_STARTED = 1, /* the program was executed. The executor sends none: the pipe ends when it is executed */
    CHILD_REPORT_FAILED,      /* value is the LAUNCHER_* bit that could not be had or 0, text says why */
    CHILD_REPORT_STATUS,      /* value is the program's status as of waitpid */
};
struct child_report {
    int32_t kind, value;
    char text[512];
};

/* Clones the child. Returns its pid or a negative errno. */
pid_t child_start(struct child_plan *p, struct err *err);

/* Mounts of the container; see mounts.c. In the child, in its own mount namespace. On failure *bit is the isolation that
 * is missing. */
int child_mounts(const struct child_plan *p, unsigned *bit, struct err *err);

/* No capability but the harmless usual ones (none if not root), none inheritable or ambient; ids and groups of the user;
 * no new privileges. */
int child_credentials(const struct child_plan *p, struct err *err);
