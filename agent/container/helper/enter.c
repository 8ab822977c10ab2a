/* SPDX-License-Identifier: Apache-2.0
 * enter.c - a process into a container that runs already. Two steps, because a pid namespace is entered only by children:
 *
 *   supervisor -> first: groups, namespaces (by the pidfd of the container's init) -> second: as in child.c, to the exec
 *
 * The second is a child of the supervisor. Both are not dumpable until the exec, so nobody inside can look at the
 * descriptors or the program of a process that still has the host's rights; and that program is a sealed memory file. */
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/container/helper/child.h"

struct outcome { /* of the first step */
    pid_t pid;
    struct err err; /* when pid is a negative errno */
};

static int namespaces_of(unsigned isolation)
{
    static const struct {
        unsigned bit;
        int flag;
    } all[] = {
        {LAUNCHER_PID_NAMESPACE, CLONE_NEWPID},       {LAUNCHER_MOUNT_NAMESPACE, CLONE_NEWNS},
        {LAUNCHER_IPC_NAMESPACE, CLONE_NEWIPC},       {LAUNCHER_UTS_NAMESPACE, CLONE_NEWUTS},
        {LAUNCHER_CGROUP_NAMESPACE, CLONE_NEWCGROUP}, {LAUNCHER_USER_NAMESPACE, CLONE_NEWUSER},
    };
    int flags = 0;
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        if (isolation & all[i].bit)
            flags |= all[i].flag;
    return flags;
}

static pid_t take_first_step(const struct child_plan *p, struct err *err)
{
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
        return err_sys(err, -errno, "hide from the container");
    int rc = child_bind_to_parent(p->report_fd, err);
    if (rc == 0)
        rc = child_join_groups(p, err);
    if (rc < 0)
        return rc;
    int flags = namespaces_of(p->isolation);
    if (flags != 0 && syscall(SYS_setns, p->target_fd, flags) < 0)
        return err_sys(err, -errno, "enter the namespaces of container %s", p->spec->parent);
    struct clone_args args = {.flags = CLONE_PARENT};
    pid_t pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
    if (pid == 0)
        child_run(p);
    return pid < 0 ? err_sys(err, -errno, "start a process in container %s", p->spec->parent) : pid;
}

static pid_t start_first(const struct child_plan *p, int into, int outcome_fd, struct err *err)
{
    struct clone_args args = {.exit_signal = SIGCHLD};
    if (into >= 0) {
        args.flags = CLONE_INTO_CGROUP;
        args.cgroup = (uint64_t)into;
    }
    pid_t pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
    if (pid < 0)
        return err_sys(err, -errno, "clone");
    if (pid > 0)
        return pid;
    struct outcome o = {.err = {.text = ""}};
    o.pid = take_first_step(p, &o.err);
    _exit(write(outcome_fd, &o, sizeof(o)) == (ssize_t)sizeof(o) ? 0 : 1); /* one piece: shorter than PIPE_BUF */
}

pid_t child_enter(struct child_plan *p, struct err *err)
{
    int into, ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return err_sys(err, -errno, "pipe");
    struct outcome o = {.pid = -EIO};
    pid_t first = child_open_groups(p, &into, err);
    if (first == 0) {
        first = start_first(p, into, ends[1], err);
        child_close_groups(p, into);
    }
    (void)close(ends[1]);
    if (first > 0) {
        (void)err_set(&o.err, -EIO, "the process that enters container %s died", p->spec->parent);
        struct outcome got;
        if (read(ends[0], &got, sizeof(got)) == (ssize_t)sizeof(got))
            o = got;
        while (waitpid(first, NULL, 0) < 0 && errno == EINTR)
            ;
        if (o.pid < 0)
            *err = o.err;
    } else {
        o.pid = first;
    }
    (void)close(ends[0]);
    return o.pid;
}
