/* SPDX-License-Identifier: Apache-2.0
 * isolation.c - what containers of this agent get: the control groups that can be written, the system call filter, and
 * what a test container says about the rest. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/container/launcher_state.h"
#include "agent/container/seccomp.h"
#include "agent/container/shared/file.h"
#include "agent/container/spawn.h"
#include "common/base/arena.h"
#include "common/base/check.h"
#include "common/base/cleanup.h"

enum { PROBE_TIMEOUT_MS = 10000, MOUNTINFO_BYTES_MAX = 4 << 20 };

static int detect_cgroups(struct container_launcher *l, struct buf *missing, struct err *err)
{
    cleanup_free char *mountinfo = xmalloc(MOUNTINFO_BYTES_MAX);
    long n = container_file_read(AT_FDCWD, "/proc/self/mountinfo", mountinfo, MOUNTINFO_BYTES_MAX);
    if (n < 0)
        return err_sys(err, (int)n, "/proc/self/mountinfo");
    container_cgroups_detect(mountinfo, l->cgroup_root, &l->cgroups, missing);
    return 0;
}

static void report_cgroups(struct container_launcher *l, struct buf *missing)
{
    static const struct {
        enum container_controller controller;
        unsigned bit;
        const char *name;
    } wanted[] = {{CONTAINER_CGROUP_CPU, LAUNCHER_CGROUP_CPU, "cpu"},
                  {CONTAINER_CGROUP_MEMORY, LAUNCHER_CGROUP_MEMORY, "memory"},
                  {CONTAINER_CGROUP_PIDS, LAUNCHER_CGROUP_PIDS, "pids"}};
    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
        char line[64];
        (void)snprintf(line, sizeof(line), "cgroup %s: ", wanted[i].name);
        bool is_told = buf_len(missing) > 0 && memmem(buf_data(missing), buf_len(missing), line, strlen(line)) != NULL;
        if (container_cgroups_find(&l->cgroups, wanted[i].controller) != NULL)
            l->isolation |= wanted[i].bit;
        else if (!is_told)
            (void)buf_printf(missing, "%sno hierarchy has this controller\n", line); /* a cut list is still a list */
    }
}

/* Reads until the probe closes its end. 0 or -ETIMEDOUT. */
static int read_report(int fd, char *out, size_t size)
{
    size_t used = 0;
    for (;;) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        if (poll(&p, 1, PROBE_TIMEOUT_MS) == 0)
            return -ETIMEDOUT;
        ssize_t n = read(fd, out + used, size - 1 - used);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        used += (size_t)n;
    }
    out[used] = '\0';
    return 0;
}

static int run_probe(struct container_launcher *l, Muster__Container__Spec *spec, char *report, size_t size,
                     struct err *err)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return err_sys(err, -errno, "pipe of the test container");
    cleanup_close int from = ends[0];
    struct spawn_request r = {.mode = "probe",
                              .title = spec->container_id,
                              .socket_fd = l->image_fd,
                              .spec = spec,
                              .image_fd = l->image_fd,
                              .fetch_fd = l->image_fd,
                              .directory_fd = ends[1]};
    pid_t pid = container_spawn(&r, err);
    (void)close(ends[1]);
    if (pid < 0)
        return pid;
    int rc = read_report(from, report, size), status = 0;
    if (rc < 0)
        (void)kill(pid, SIGKILL);
    if (waitpid(pid, &status, 0) != pid || status != 0)
        rc = rc < 0 ? rc : -EIO;
    return rc < 0 ? err_sys(err, rc, "test container") : 0;
}

static int probe(struct container_launcher *l, struct buf *missing, struct err *err)
{
    struct arena *arena = arena_new(0);
    Muster__Container__Spec spec = MUSTER__CONTAINER__SPEC__INIT;
    l->isolation |= LAUNCHER_PID_NAMESPACE | LAUNCHER_MOUNT_NAMESPACE | LAUNCHER_IPC_NAMESPACE | LAUNCHER_UTS_NAMESPACE |
                    LAUNCHER_CAPABILITIES;
    if (l->cgroups.count > 0)
        l->isolation |= LAUNCHER_CGROUP_NAMESPACE;
    else
        (void)buf_append_str(missing, "cgroup namespace: there are no cgroups to show\n");
    if (geteuid() != 0)
        l->isolation |= LAUNCHER_USER_NAMESPACE;
    spec.container_id = arena_printf(arena, "probe-%d", (int)getpid());
    spec.sandbox = arena_printf(arena, "%s/%s", l->runtime_dir, spec.container_id);
    if (mkdir(spec.sandbox, 0755) < 0 && errno != EEXIST) {
        int rc = err_sys(err, -errno, "%s: create", spec.sandbox);
        arena_free(arena);
        return rc;
    }
    container_launcher_complete_spec(l, &spec, arena);
    char report[4096];
    int rc = run_probe(l, &spec, report, sizeof(report), err);
    (void)rmdir(spec.sandbox); /* made here */
    if (rc == 0) {
        char *rest = NULL;
        l->isolation = (unsigned)strtoul(report, &rest, 10);
        (void)buf_append_str(missing, *rest == '\n' ? rest + 1 : rest);
    }
    arena_free(arena);
    return rc;
}

int container_isolation_detect(struct container_launcher *l, bool without_cgroups, struct err *err)
{
    struct buf missing, filter;
    buf_init(&missing, 16 * 1024);
    buf_init(&filter, 256 * 1024);
    int rc = without_cgroups ? 0 : detect_cgroups(l, &missing, err);
    if (rc == 0)
        report_cgroups(l, &missing);
    struct err why;
    if (rc == 0 && container_seccomp_compile(&filter, &why) < 0)
        (void)buf_printf(&missing, "seccomp: %s\n", why.text);
    else if (rc == 0)
        l->isolation |= LAUNCHER_SECCOMP;
    l->seccomp_len = buf_len(&filter);
    l->seccomp = xmemdup(buf_data(&filter), l->seccomp_len);
    if (rc == 0)
        rc = probe(l, &missing, err);
    if (geteuid() == 0)
        l->isolation |= LAUNCHER_SWITCH_USER;
    else
        (void)buf_append_str(&missing, "switch user: the agent does not run as root\n");
    l->missing = buf_steal_str(&missing);
    buf_deinit(&missing);
    buf_deinit(&filter);
    return rc;
}
