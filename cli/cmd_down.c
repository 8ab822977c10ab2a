/* SPDX-License-Identifier: Apache-2.0
 * cmd_down.c - `muster down`: ends a cluster by its watcher, or by itself where the watcher is gone. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cli/cli.h"
#include "common/base/check.h"

#define WATCHER_WAIT_MS 90000 /* for kinds of roles that need 20 s each, and the kill after it */
#define ROLE_WAIT_MS 20000

static int stop_watcher(const struct cluster *c)
{
    int fd = (int)syscall(SYS_pidfd_open, (pid_t)c->up_pid, 0);
    if (fd < 0)
        return cli_fail("down: pid %lld: %s", (long long)c->up_pid, strerror(errno));
    struct pollfd p = {.fd = fd, .events = POLLIN};
    int status = CLI_DONE;
    if (syscall(SYS_pidfd_send_signal, fd, SIGTERM, NULL, 0) < 0 && errno != ESRCH)
        status = cli_fail("down: pid %lld: %s", (long long)c->up_pid, strerror(errno));
    else if (poll(&p, 1, WATCHER_WAIT_MS) != 1)
        status =
            cli_fail("down: `muster up` (pid %lld) has not ended in %d s", (long long)c->up_pid, WATCHER_WAIT_MS / 1000);
    (void)close(fd);
    return status;
}

static int stop_roles(struct cluster *c)
{
    struct err err;
    char path[4096];
    int rc = cluster_stop_roles(c, ROLE_WAIT_MS, &err);
    if (rc == 0)
        rc = cluster_clean_kernel(c->dir, &err);
    if (rc < 0)
        return cli_fail("down: %s", err.text);
    CHECK(snprintf(path, sizeof(path), "%s/cluster.json", c->dir) < (int)sizeof(path));
    if (unlink(path) < 0)
        return cli_fail("down: %s: %s", path, strerror(errno));
    if (c->temporary && cluster_remove_tree(c->dir, &err) < 0)
        return cli_fail("down: %s", err.text);
    return CLI_DONE;
}

int cmd_down(int argc, char **argv)
{
    struct cli_target t;
    struct cluster c;
    struct err err;
    char dir[3072];
    int rc = cli_parse(argc, argv, "usage: muster down [--dir DIR]", NULL, 0, &t, NULL, NULL);
    if (rc != 0)
        return rc < 0 ? CLI_DONE : rc;
    int status;
    rc = cluster_dir(t.dir, dir, sizeof(dir), &err);
    if (rc == 0)
        rc = cluster_load(dir, &c, &err);
    if (rc == -ENOENT)
        status = cli_fail("down: no cluster in %s", dir);
    else if (rc < 0)
        status = cli_fail("down: %s", err.text);
    else {
        status = cluster_process_is(c.up_pid, c.up_start_time) ? stop_watcher(&c) : stop_roles(&c);
        cluster_free(&c);
    }
    cli_target_free(&t);
    return status;
}
