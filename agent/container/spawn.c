/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/container/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "agent/container/helper/helper.h"
#include "common/base/check.h"
#include "common/base/cleanup.h"

enum { FD_COUNT = HELPER_FD_END - HELPER_FD_SPEC };

int container_spawn_write_spec(const Muster__Container__Spec *spec, struct err *err)
{
    cleanup_close int fd = memfd_create("muster-spec", MFD_CLOEXEC);
    if (fd < 0)
        return err_sys(err, -errno, "memory file of the spec");
    size_t len = muster__container__spec__get_packed_size(spec);
    cleanup_free uint8_t *packed = xmalloc(len);
    (void)muster__container__spec__pack(spec, packed);
    for (size_t at = 0; at < len;) {
        ssize_t n = write(fd, packed + at, len - at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_sys(err, -errno, "memory file of the spec: write");
        at += (size_t)n;
    }
    return steal_fd(&fd);
}

static int prepare_actions(posix_spawn_file_actions_t *actions, const int high[FD_COUNT])
{
    int rc = posix_spawn_file_actions_addopen(actions, 0, "/dev/null", O_RDWR, 0);
    for (int fd = 1; rc == 0 && fd < HELPER_FD_SPEC; fd++)
        rc = posix_spawn_file_actions_adddup2(actions, 0, fd);
    for (int i = 0; rc == 0 && i < FD_COUNT; i++)
        rc = posix_spawn_file_actions_adddup2(actions, high[i], HELPER_FD_SPEC + i);
    if (rc == 0)
        rc = posix_spawn_file_actions_addclosefrom_np(actions, HELPER_FD_END);
    return rc == 0 ? posix_spawn_file_actions_addchdir_np(actions, "/") : rc;
}

static int prepare_attributes(posix_spawnattr_t *attributes)
{
    sigset_t all, blocked;
    (void)sigfillset(&all);
    (void)sigemptyset(&blocked);
    (void)sigaddset(&blocked, SIGUSR1); /* a wish to end that comes before the helper can listen waits for it */
    int rc = posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    if (rc == 0)
        rc = posix_spawnattr_setsigdefault(attributes, &all);
    return rc == 0 ? posix_spawnattr_setsigmask(attributes, &blocked) : rc;
}

static int spawn_with(const struct spawn_request *r, const int high[FD_COUNT], pid_t *pid)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    char image[32];
    char *argv[] = {(char *)"muster", (char *)r->mode, (char *)r->title, NULL};
    char *envp[] = {NULL};
    (void)snprintf(image, sizeof(image), "/proc/self/fd/%d", HELPER_FD_IMAGE);
    int rc = posix_spawn_file_actions_init(&actions);
    if (rc != 0)
        return -rc;
    rc = posix_spawnattr_init(&attributes);
    if (rc == 0) {
        rc = prepare_actions(&actions, high);
        if (rc == 0)
            rc = prepare_attributes(&attributes);
        if (rc == 0)
            rc = posix_spawn(pid, image, &actions, &attributes, argv, envp);
        (void)posix_spawnattr_destroy(&attributes);
    }
    (void)posix_spawn_file_actions_destroy(&actions);
    return -rc;
}

pid_t container_spawn(const struct spawn_request *r, struct err *err)
{
    cleanup_close int spec_fd =
        r->spec == NULL ? fcntl(r->image_fd, F_DUPFD_CLOEXEC, 0) : container_spawn_write_spec(r->spec, err);
    if (spec_fd < 0)
        return r->spec == NULL ? err_sys(err, -errno, "start the helper (%s)", r->mode) : spec_fd;
    /* Above the places they go to, so that none is overwritten before it was moved. */
    const int from[FD_COUNT] = {spec_fd, r->directory_fd, r->image_fd, r->fetch_fd, r->socket_fd};
    int high[FD_COUNT], count = 0, rc = 0;
    for (; rc == 0 && count < FD_COUNT; count++) {
        high[count] = fcntl(from[count], F_DUPFD_CLOEXEC, 16);
        if (high[count] < 0)
            rc = -errno;
    }
    pid_t pid = 0;
    if (rc == 0)
        rc = spawn_with(r, high, &pid);
    for (int i = 0; i < count; i++)
        if (high[i] >= 0)
            (void)close(high[i]); /* a copy */
    return rc < 0 ? err_sys(err, rc, "start the helper (%s)", r->mode) : pid;
}
