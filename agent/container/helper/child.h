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
    CHILD_DIRECT,   /* become argv: in a container that has its init */
    CHILD_NOTHING,  /* report success and exit: a probe */
};

struct child_plan {
    const Muster__Container__Spec *spec;
    const struct container_cgroups *cgroups; /* created already; count 0: none */
    const struct container_user *user;
    unsigned isolation; /* LAUNCHER_* bits to use */
    enum child_program program;
    char **argv, **envp;    /* terminated by NULL */
    const char *group;      /* whose control groups it joins, by name below ours */
    const char *group_leaf; /* the one on v2, where it may have one below that */
    int sandbox_fd;         /* what the path of the sandbox must lead to */
    int stdin_fd;           /* -1: /dev/null */
    int stdout_fd, stderr_fd;
    int terminal_fd; /* a socket: a terminal is made in the container and its controlling end sent here; -1: none. */
    int target_fd;   /* pidfd of the container that is entered; -1: one is made */
    int report_fd;
    const char *oom_score_adj; /* to set back; NULL: leave it */
    /* Filled by child_start. */
    int join_fds[CONTAINER_HIERARCHIES_MAX]; /* `tasks` of v1 groups */
    size_t join_count;
};

enum child_report_kind {
    /* The program was executed. CHILD_EXECUTOR and CHILD_DIRECT send none: the pipe ends when it is executed. */
    CHILD_REPORT_STARTED = 1,
    CHILD_REPORT_FAILED, /* value is the LAUNCHER_* bit that could not be had or 0, text says why */
    CHILD_REPORT_STATUS, /* value is the program's status as of waitpid */
};
struct child_report {
    int32_t kind, value;
    char text[512];
};

/* Clones the child. Returns its pid or a negative errno. */
pid_t child_start(struct child_plan *p, struct err *err);

/* Likewise for a container that enters another one; see enter.c. The child is a child of the caller. */
pid_t child_enter(struct child_plan *p, struct err *err);

/* For child.c, enter.c: the groups of the plan are opened (*into: the v2 one, -1: none), written to, closed. */
int child_open_groups(struct child_plan *p, int *into, struct err *err);
int child_join_groups(const struct child_plan *p, struct err *err);
void child_close_groups(struct child_plan *p, int into);
int child_bind_to_parent(int report_fd, struct err *err);
/* From the new process to its program. */
_Noreturn void child_run(const struct child_plan *p);

/* terminal.c: a pair of terminal ends from the container's devpts. The slave becomes the user's; the master goes through
 * the socket of the plan. Returns the slave or a negative errno. */
int child_terminal(const struct child_plan *p, struct err *err);

/* Mounts of the container; see mounts.c. In the child, in its own mount namespace. On failure *bit is the isolation that
 * is missing. */
int child_mounts(const struct child_plan *p, unsigned *bit, struct err *err);

/* No capability but the harmless usual ones (none if not root), none inheritable or ambient; ids and groups of the user;
 * no new privileges. */
int child_credentials(const struct child_plan *p, struct err *err);
