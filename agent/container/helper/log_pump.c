/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/container/helper/log_pump.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/cleanup.h"

static char chunk[64 * 1024]; /* pages of it that are never needed cost nothing */

static int make_file(const struct log_pump *l)
{
    const int flags = O_WRONLY | O_APPEND | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
    cleanup_close int fd = openat(l->sandbox_fd, l->name, flags, 0644);
    if (fd < 0 && errno == EEXIST && unlinkat(l->sandbox_fd, l->name, 0) == 0)
        fd = openat(l->sandbox_fd, l->name, flags, 0644);
    if (fd < 0)
        return -errno;
    if (l->user->switches && fchown(fd, l->user->uid, l->user->gid) < 0)
        return -errno;
    return steal_fd(&fd);
}

int log_pump_open(struct log_pump *l, int sandbox_fd, const char *name, const struct container_user *user,
                  int64_t bytes_max, int *write_fd, struct err *err)
{
    *l = (struct log_pump){
        .name = name, .sandbox_fd = sandbox_fd, .user = user, .file_fd = -1, .pipe_fd = -1, .bytes_max = bytes_max};
    l->file_fd = make_file(l);
    if (l->file_fd < 0)
        return err_sys(err, l->file_fd, "sandbox: create %s", name);
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return err_sys(err, -errno, "pipe of %s", name);
    l->pipe_fd = ends[0];
    *write_fd = ends[1];
    /* The user may open /dev/stdout again, which asks for the rights of the pipe's owner. */
    if ((user->switches && fchown(ends[1], user->uid, user->gid) < 0) || fcntl(ends[0], F_SETFL, O_NONBLOCK) < 0)
        return err_sys(err, -errno, "pipe of %s", name);
    return 0;
}

void log_pump_close(struct log_pump *l)
{
    if (l->file_fd >= 0)
        (void)close(l->file_fd); /* nothing to be done about it */
    if (l->pipe_fd >= 0)
        (void)close(l->pipe_fd);
    l->file_fd = l->pipe_fd = -1;
}

/* If the user has made a new file impossible, the old one is emptied instead: its size stays bounded either way. */
static void rotate(struct log_pump *l)
{
    char old[64];
    (void)snprintf(old, sizeof(old), "%s.1", l->name);
    int fd = renameat(l->sandbox_fd, l->name, l->sandbox_fd, old) < 0 && errno != ENOENT ? -errno : make_file(l);
    if (fd < 0) {
        (void)ftruncate(l->file_fd, 0); /* a file of ours, always allowed */
    } else {
        (void)close(l->file_fd);
        l->file_fd = fd;
    }
    l->written = 0;
}

void log_pump_put(struct log_pump *l, const char *data, size_t len)
{
    if (l->file_fd < 0)
        return;
    while (len > 0) {
        if (l->written >= l->bytes_max)
            rotate(l);
        int64_t room = l->bytes_max - l->written;
        ssize_t n = write(l->file_fd, data, (int64_t)len < room ? len : (size_t)room);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return;
        l->written += n;
        data += n;
        len -= (size_t)n;
    }
}

bool log_pump_run(struct log_pump *l)
{
    if (l->pipe_fd < 0)
        return false;
    ssize_t n = read(l->pipe_fd, chunk, sizeof(chunk));
    if (n > 0) {
        log_pump_put(l, chunk, (size_t)n);
        return true;
    }
    if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
        (void)close(l->pipe_fd);
        l->pipe_fd = -1;
    }
    return false;
}

void log_pump_say(struct log_pump *l, const char *text)
{
    if (l->file_fd >= 0) {
        log_pump_put(l, text, strlen(text));
        log_pump_put(l, "\n", 1);
    }
}
