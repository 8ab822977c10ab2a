/* SPDX-License-Identifier: Apache-2.0
 * probe.c - finds out which isolation works here, by starting containers with nothing in them: first with all that is
 * asked for; each time that something cannot be had, once more without it. The report, on HELPER_FD_DIRECTORY: a line with
 * the bits that hold, then for each missing one a line `name: why`. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/container/helper/helper.h"
#include "agent/container/helper/spec.h"
#include "agent/container/shared/limits.h"
#include "common/base/cleanup.h"

enum { REMOVE_TIMEOUT_MS = 5000 };

static const unsigned namespaces = LAUNCHER_PID_NAMESPACE | LAUNCHER_MOUNT_NAMESPACE | LAUNCHER_IPC_NAMESPACE |
                                   LAUNCHER_UTS_NAMESPACE | LAUNCHER_CGROUP_NAMESPACE | LAUNCHER_USER_NAMESPACE;

static const struct {
    unsigned bit;
    const char *name;
} names[] = {
    {LAUNCHER_PID_NAMESPACE, "pid namespace"},
    {LAUNCHER_MOUNT_NAMESPACE, "mount namespace"},
    {LAUNCHER_IPC_NAMESPACE, "ipc namespace"},
    {LAUNCHER_UTS_NAMESPACE, "uts namespace"},
    {LAUNCHER_CGROUP_NAMESPACE, "cgroup namespace"},
    {LAUNCHER_USER_NAMESPACE, "user namespace"},
    {LAUNCHER_SECCOMP, "seccomp"},
    {LAUNCHER_CAPABILITIES, "capabilities"},
};

/* What falls with a bit. */
static unsigned dependents(unsigned bit)
{
    switch (bit) {
    case LAUNCHER_USER_NAMESPACE: /* without it an ordinary user gets none of the others */
        return namespaces;
    case LAUNCHER_MOUNT_NAMESPACE: /* a pid namespace needs its own /proc */
        return LAUNCHER_MOUNT_NAMESPACE | LAUNCHER_PID_NAMESPACE;
    default:
        return bit;
    }
}

/* Starts one. 0, or a negative errno with *bit saying what could not be had (0: unknown). */
static int attempt(const Muster__Container__Spec *spec, struct child_plan *plan, unsigned *bit, struct err *err)
{
    int ends[2];
    *bit = 0;
    if (pipe2(ends, O_CLOEXEC) < 0)
        return err_sys(err, -errno, "pipe");
    plan->report_fd = ends[1];
    plan->group = plan->group_leaf = spec->container_id;
    int rc = container_cgroup_create(plan->cgroups, spec->container_id, err);
    pid_t pid = rc < 0 ? rc : child_start(plan, err);
    (void)close(ends[1]);
    cleanup_close int from = ends[0];
    if (pid < 0 && rc == 0)
        *bit = plan->isolation & LAUNCHER_USER_NAMESPACE ? LAUNCHER_USER_NAMESPACE : namespaces;
    struct child_report r = {.kind = 0};
    if (pid > 0) {
        if (read(from, &r, sizeof(r)) != (ssize_t)sizeof(r) || r.kind != CHILD_REPORT_STARTED) {
            rc = err_set(err, -EPERM, "%s", r.kind == CHILD_REPORT_FAILED ? r.text : "the test container died");
            *bit = (unsigned)r.value;
        }
        (void)waitpid(pid, NULL, 0); /* it ends by itself */
    } else {
        rc = pid;
    }
    struct err ignored;
    (void)container_cgroup_remove(plan->cgroups, spec->container_id, REMOVE_TIMEOUT_MS, &ignored);
    return rc;
}

int container_probe_main(void)
{
    struct err err = {.text = ""};
    Muster__Container__Spec *spec = helper_spec_read(&err);
    struct container_user user;
    if (spec == NULL || container_user_find(NULL, &user, &err) < 0)
        return 1;
    struct container_cgroups cgroups;
    helper_spec_cgroups(spec, &cgroups);
    cleanup_close int sandbox = open(spec->sandbox, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    cleanup_close int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    struct child_plan plan = {.spec = spec,
                              .cgroups = &cgroups,
                              .user = &user,
                              .isolation = spec->isolation,
                              .program = CHILD_NOTHING,
                              .sandbox_fd = sandbox,
                              .stdin_fd = -1,
                              .terminal_fd = -1,
                              .target_fd = -1,
                              .stdout_fd = null_fd,
                              .stderr_fd = null_fd};
    char text[4096] = "";
    size_t used = 0;
    for (;;) {
        unsigned bit;
        int rc = attempt(spec, &plan, &bit, &err);
        unsigned lost = rc < 0 ? plan.isolation & (bit == 0 ? ~0U : dependents(bit)) : 0;
        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]) && used < sizeof(text); i++)
            if (lost & names[i].bit)
                used += (size_t)snprintf(text + used, sizeof(text) - used, "%s: %s\n", names[i].name, err.text);
        plan.isolation &= ~lost;
        if (rc == 0 || lost == 0)
            break;
    }
    dprintf(HELPER_FD_DIRECTORY, "%u\n%s", plan.isolation, text);
    return 0;
}
