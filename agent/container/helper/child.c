/* SPDX-License-Identifier: Apache-2.0
 * child.c - the way from clone to exec. The supervisor has one thread and the child shares no memory with it; still only
 * system calls and formatting of error texts happen here, so that the order of steps is all there is to understand:
 *
 *   signals, parent's death -> control groups -> user map -> mounts -> descriptors -> rlimits -> ids, capabilities
 *   -> working directory -> system call filter -> exec
 */
#include "agent/container/helper/child.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/container/helper/helper.h"
#include "agent/container/shared/file.h"

/* Where descriptors are in the child from the `descriptors` step on. */
enum { CHILD_FD_REPORT = 3, CHILD_FD_IMAGE = 4, CHILD_FD_END = 5 };

static void send_report(int fd, int kind, int value, const char *text)
{
    struct child_report r = {.kind = kind, .value = value};
    (void)snprintf(r.text, sizeof(r.text), "%s", text);
    ssize_t n;
    do {
        n = write(fd, &r, sizeof(r)); /* one piece: shorter than PIPE_BUF */
    } while (n < 0 && errno == EINTR);
}

/* Dies with the supervisor, and does not begin without it. */
int child_bind_to_parent(int report_fd, struct err *err)
{
    if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
        return err_sys(err, -errno, "parent death signal");
    struct pollfd p = {.fd = report_fd};
    if (poll(&p, 1, 0) > 0 && (p.revents & POLLERR))
        _exit(1); /* the reading end is closed: it went before the signal was set */
    return 0;
}

/* The supervisor ignores some signals and blocks others; all else is as after an exec. */
static void reset_signals(void)
{
    for (size_t i = 0; i < HELPER_IGNORED_COUNT; i++)
        (void)signal(helper_ignored_signals[i], SIG_DFL); /* they can be changed: they were */
    sigset_t none;
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL); /* arguments are valid */
}

int child_join_groups(const struct child_plan *p, struct err *err)
{
    for (size_t i = 0; i < p->join_count; i++)
        if (write(p->join_fds[i], "0", 1) < 0)
            return err_sys(err, -errno, "cgroup of %s: join number %zu", p->group, i);
    return 0;
}

static int map_user(const struct child_plan *p, struct err *err)
{
    char uid_map[64], gid_map[64];
    (void)snprintf(uid_map, sizeof(uid_map), "%u %u 1\n", (unsigned)p->user->uid, (unsigned)p->user->uid);
    (void)snprintf(gid_map, sizeof(gid_map), "%u %u 1\n", (unsigned)p->user->gid, (unsigned)p->user->gid);
    int rc = container_file_write(AT_FDCWD, "/proc/self/setgroups", "deny");
    if (rc == 0)
        rc = container_file_write(AT_FDCWD, "/proc/self/uid_map", uid_map);
    if (rc == 0)
        rc = container_file_write(AT_FDCWD, "/proc/self/gid_map", gid_map);
    return rc < 0 ? err_sys(err, rc, "user namespace: map uid %u", (unsigned)p->user->uid) : 0;
}

/* Leaves exactly 0, 1, 2, the report pipe and the helper's image. */
static int arrange_descriptors(const struct child_plan *p, const int standard[3], struct err *err)
{
    /* First above everything, then down: a source may stand where another one has to go. */
    const int from[CHILD_FD_END] = {standard[0], standard[1], standard[2], p->report_fd, HELPER_FD_IMAGE};
    int high[CHILD_FD_END];
    for (int i = 0; i < CHILD_FD_END; i++) {
        high[i] = fcntl(from[i], F_DUPFD_CLOEXEC, 32);
        if (high[i] < 0)
            return err_sys(err, -errno, "descriptor %d: duplicate", i);
    }
    for (int i = 0; i < CHILD_FD_END; i++)
        if (dup3(high[i], i, i < CHILD_FD_REPORT ? 0 : O_CLOEXEC) < 0)
            return err_sys(err, -errno, "descriptor %d: place", i);
    if (close_range(CHILD_FD_END, ~0U, 0) < 0)
        return err_sys(err, -errno, "descriptors: close the rest");
    return 0;
}

static int set_rlimits(const struct child_plan *p, struct err *err)
{
    for (size_t i = 0; i < p->spec->n_rlimits; i++) {
        const Muster__Container__Rlimit *l = p->spec->rlimits[i];
        struct rlimit want = {.rlim_cur = l->soft == UINT64_MAX ? RLIM_INFINITY : l->soft,
                              .rlim_max = l->hard == UINT64_MAX ? RLIM_INFINITY : l->hard};
        struct rlimit now;
        if (getrlimit((__rlimit_resource_t)l->resource, &now) < 0)
            return err_sys(err, -errno, "rlimit %d", l->resource);
        if (setrlimit((__rlimit_resource_t)l->resource, &want) < 0) {
            if (errno == EPERM && want.rlim_max > now.rlim_max)
                return err_set(err, -EPERM, "rlimit %d: the agent may not raise the hard limit from %llu to %llu",
                               l->resource, (unsigned long long)now.rlim_max, (unsigned long long)want.rlim_max);
            return err_sys(err, -errno, "rlimit %d: set", l->resource);
        }
    }
    return 0;
}

/* Into the sandbox, by its path, which must lead to the very folder that the supervisor made. */
static int enter_sandbox(const struct child_plan *p, const struct stat *wanted, struct err *err)
{
    struct stat here;
    if (chdir(p->spec->sandbox) < 0)
        return err_sys(err, -errno, "sandbox %s: enter", p->spec->sandbox);
    if (stat(".", &here) < 0)
        return err_sys(err, -errno, "sandbox %s: look", p->spec->sandbox);
    if (here.st_dev != wanted->st_dev || here.st_ino != wanted->st_ino)
        return err_set(err, -ESTALE, "sandbox %s: leads elsewhere inside the container", p->spec->sandbox);
    char path[4096];
    if (getcwd(path, sizeof(path)) == NULL || path[0] != '/')
        return err_set(err, -ESTALE, "sandbox %s: outside of the container's root", p->spec->sandbox);
    return 0;
}

static int filter_calls(const struct child_plan *p, struct err *err)
{
    struct sock_fprog program = {.len = (unsigned short)(p->spec->seccomp.len / sizeof(struct sock_filter)),
                                 .filter = (struct sock_filter *)(void *)p->spec->seccomp.data};
    if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) < 0)
        return err_sys(err, -errno, "seccomp filter");
    return 0;
}

/* Namespaces that clone did not make, and what is seen in them. */
static int isolate(const struct child_plan *p, unsigned *bit, struct err *err)
{
    int rc = child_join_groups(p, err);
    if (rc == 0 && (p->isolation & LAUNCHER_USER_NAMESPACE)) {
        *bit = LAUNCHER_USER_NAMESPACE;
        rc = map_user(p, err);
    }
    if (rc < 0)
        return rc;
    *bit = LAUNCHER_CGROUP_NAMESPACE; /* not in the clone: its root is where the process is when it is made */
    if ((p->isolation & LAUNCHER_CGROUP_NAMESPACE) && unshare(CLONE_NEWCGROUP) < 0)
        return err_sys(err, -errno, "cgroup namespace");
    *bit = LAUNCHER_MOUNT_NAMESPACE;
    if ((p->isolation & LAUNCHER_MOUNT_NAMESPACE) && (rc = child_mounts(p, bit, err)) < 0)
        return rc;
    *bit = 0;
    return 0;
}

static int connect_standard(const struct child_plan *p, struct err *err)
{
    int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null_fd < 0)
        return err_sys(err, -errno, "/dev/null");
    int standard[3] = {p->stdin_fd < 0 ? null_fd : p->stdin_fd, p->stdout_fd, p->stderr_fd};
    if (p->terminal_fd >= 0) {
        int slave = child_terminal(p, err);
        if (slave < 0)
            return slave;
        /* The executor's own sentences are for the log; its task gets the terminal from it. */
        standard[0] = p->program == CHILD_EXECUTOR ? null_fd : slave;
        standard[1] = slave;
        standard[2] = p->program == CHILD_EXECUTOR ? p->stderr_fd : slave;
    }
    int rc = arrange_descriptors(p, standard, err);
    if (rc == 0 && p->terminal_fd >= 0 && p->program == CHILD_DIRECT && ioctl(0, TIOCSCTTY, 0) < 0)
        rc = err_sys(err, -errno, "terminal: make it the controlling one");
    return rc;
}

static int set_up(const struct child_plan *p, unsigned *bit, struct err *err)
{
    struct stat sandbox;
    *bit = 0;
    reset_signals();
    (void)umask(022);
    (void)setsid(); /* fails only if we lead one already */
    int rc = child_bind_to_parent(p->report_fd, err);
    if (rc == 0 && fstat(p->sandbox_fd, &sandbox) < 0)
        rc = err_sys(err, -errno, "sandbox %s", p->spec->sandbox);
    if (p->oom_score_adj != NULL)
        (void)container_file_write(AT_FDCWD, "/proc/self/oom_score_adj", p->oom_score_adj); /* raising is always allowed */
    if (rc == 0 && p->target_fd < 0)
        rc = isolate(p, bit, err);
    if (rc < 0 || (rc = connect_standard(p, err)) < 0 || (rc = set_rlimits(p, err)) < 0)
        return rc;
    *bit = LAUNCHER_CAPABILITIES;
    if ((rc = child_credentials(p, err)) < 0)
        return rc;
    *bit = 0;
    /* A change of ids clears the signal. */
    if ((rc = child_bind_to_parent(CHILD_FD_REPORT, err)) < 0 || (rc = enter_sandbox(p, &sandbox, err)) < 0)
        return rc;
    *bit = LAUNCHER_SECCOMP;
    return p->isolation & LAUNCHER_SECCOMP ? filter_calls(p, err) : 0;
}

/* Reaps whatever ends below us until the program does. As the first process of a pid namespace our end takes all others
 * with it; without one the supervisor inherits and ends them. */
static _Noreturn void wait_for(pid_t program)
{
    for (int fd = 0; fd < CHILD_FD_END; fd++)
        if (fd != CHILD_FD_REPORT)
            (void)close(fd); /* the logs end with the last program that writes them */
    for (;;) {
        int status;
        pid_t pid = waitpid(-1, &status, 0);
        if (pid == program) {
            send_report(CHILD_FD_REPORT, CHILD_REPORT_STATUS, status, "");
            _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
        }
        if (pid < 0 && errno != EINTR)
            _exit(1);
    }
}

static _Noreturn void run_init(const struct child_plan *p)
{
    if (!(p->isolation & LAUNCHER_PID_NAMESPACE))
        (void)prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); /* known since 3.4 */
    environ = p->envp;
    volatile int failed = 0;
    pid_t pid = vfork();
    if (pid == 0) {
        (void)setsid();
        if (p->terminal_fd >= 0)
            (void)ioctl(0, TIOCSCTTY, 0); /* a fresh session, a terminal that none has */
        (void)execvp(p->argv[0], p->argv);
        failed = errno;
        _exit(127);
    }
    if (pid < 0)
        failed = errno;
    if (failed != 0) {
        struct err err;
        (void)err_sys(&err, -failed, pid < 0 ? "fork for %s" : "exec %s", p->argv[0]);
        send_report(CHILD_FD_REPORT, CHILD_REPORT_FAILED, 0, err.text);
        _exit(1);
    }
    send_report(CHILD_FD_REPORT, CHILD_REPORT_STARTED, 0, "");
    (void)prctl(PR_SET_NAME, "muster-init");
    (void)prctl(PR_SET_DUMPABLE, 0); /* what runs below has nothing to look for in here */
    wait_for(pid);
}

_Noreturn void child_run(const struct child_plan *p)
{
    struct err err = {.text = ""};
    unsigned bit = 0;
    int report_fd = p->report_fd;
    if (set_up(p, &bit, &err) < 0) {
        /* Which of the two is the pipe depends on how far we came; the other is closed or no pipe that is read. */
        if (fcntl(report_fd, F_GETFD) < 0)
            report_fd = CHILD_FD_REPORT;
        send_report(report_fd, CHILD_REPORT_FAILED, (int)bit, err.text);
        _exit(1);
    }
    if (p->program == CHILD_NOTHING) {
        send_report(CHILD_FD_REPORT, CHILD_REPORT_STARTED, 0, "");
        _exit(0);
    }
    if (p->program == CHILD_INIT)
        run_init(p);
    if (p->program == CHILD_DIRECT) {
        (void)close(CHILD_FD_IMAGE); /* close-on-exec as well: it is nothing for a task in any case */
        environ = p->envp;
        (void)execvp(p->argv[0], p->argv);
        (void)err_sys(&err, -errno, "exec %s", p->argv[0]);
    } else {
        (void)syscall(SYS_execveat, CHILD_FD_IMAGE, "", p->argv, p->envp, AT_EMPTY_PATH);
        (void)err_sys(&err, -errno, "exec of the built-in executor");
    }
    send_report(CHILD_FD_REPORT, CHILD_REPORT_FAILED, 0, err.text);
    _exit(1);
}

static uint64_t clone_flags(unsigned isolation)
{
    static const struct {
        unsigned bit;
        uint64_t flag;
    } namespaces[] = {
        {LAUNCHER_PID_NAMESPACE, CLONE_NEWPID},   {LAUNCHER_MOUNT_NAMESPACE, CLONE_NEWNS},
        {LAUNCHER_IPC_NAMESPACE, CLONE_NEWIPC},   {LAUNCHER_UTS_NAMESPACE, CLONE_NEWUTS},
        {LAUNCHER_USER_NAMESPACE, CLONE_NEWUSER},
    };
    uint64_t flags = 0;
    for (size_t i = 0; i < sizeof(namespaces) / sizeof(namespaces[0]); i++)
        if (isolation & namespaces[i].bit)
            flags |= namespaces[i].flag;
    return flags;
}

/* v2: the child is born in its group. v1: it writes itself to `tasks`, which, for the calling thread only, does not need
 * the lock that cgroup.procs takes (and which costs a grace period of the whole machine per hierarchy). */
int child_open_groups(struct child_plan *p, int *into, struct err *err)
{
    p->join_count = 0;
    *into = -1;
    for (size_t i = 0; i < p->cgroups->count; i++) {
        const struct container_hierarchy *h = &p->cgroups->at[i];
        const char *group = h->v2 ? p->group_leaf : p->group;
        int fd = container_cgroup_open(h, group, h->v2 ? NULL : "tasks", h->v2 ? O_PATH | O_DIRECTORY : O_WRONLY);
        if (fd < 0) {
            child_close_groups(p, *into);
            return err_sys(err, fd, "cgroup %s/%s: open", h->path, group);
        }
        if (h->v2)
            *into = fd;
        else
            p->join_fds[p->join_count++] = fd;
    }
    return 0;
}

void child_close_groups(struct child_plan *p, int into)
{
    for (size_t i = 0; i < p->join_count; i++)
        (void)close(p->join_fds[i]); /* the write in the child has its own */
    if (into >= 0)
        (void)close(into);
}

pid_t child_start(struct child_plan *p, struct err *err)
{
    int into;
    pid_t pid = child_open_groups(p, &into, err);
    if (pid == 0) {
        struct clone_args args = {.flags = clone_flags(p->isolation), .exit_signal = SIGCHLD};
        if (into >= 0) {
            args.flags |= CLONE_INTO_CGROUP;
            args.cgroup = (uint64_t)into;
        }
        pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
        if (pid == 0)
            child_run(p);
        if (pid < 0)
            pid = err_sys(err, -errno, "clone of the container's first process");
    }
    child_close_groups(p, into);
    return pid;
}
