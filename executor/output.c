/* SPDX-License-Identifier: Apache-2.0
 * output.c - see output.h. */
#include "executor/output.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/check.h"

#define READ_SIZE (16 << 10)
#define LAST_READS_MAX 64 /* a pipe holds 64 KiB; somebody who still writes is not waited for */

struct executor_output {
    struct loop_fd *watcher;
    int pipe_fd, directory_fd;
    int file_fd; /* -1: could not be made again, output is dropped */
    const char *name;
};

/* The directory belongs to the task, who may have put anything under our name: never follow, never reuse. */
static void rotate(struct executor_output *o, const struct stat *old)
{
    char previous[NAME_MAX];
    (void)snprintf(previous, sizeof(previous), "%s.1", o->name); /* fits: the names are ours */
    (void)close(o->file_fd);                                     /* errors of writing were seen when it was written */
    o->file_fd = -1;
    if (renameat(o->directory_fd, o->name, o->directory_fd, previous) < 0 && errno != ENOENT)
        return;
    o->file_fd = openat(o->directory_fd, o->name, O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0644);
    if (o->file_fd >= 0 && old->st_uid != geteuid())
        (void)fchown(o->file_fd, old->st_uid, old->st_gid); /* then it stays ours, which the task can still read */
}

static void write_all(struct executor_output *o, const char *data, size_t len)
{
    struct stat st;
    if (o->file_fd >= 0 && fstat(o->file_fd, &st) == 0 && st.st_size > 0 &&
        st.st_size + (off_t)len > EXECUTOR_OUTPUT_BYTES_MAX)
        rotate(o, &st);
    while (o->file_fd >= 0 && len > 0) {
        ssize_t written = write(o->file_fd, data, len);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return; /* disk full: dropped */
        data += written;
        len -= (size_t)written;
    }
}

/* False: nothing there now, or no writer left. */
static bool carry(struct executor_output *o, bool *is_ended)
{
    char data[READ_SIZE];
    ssize_t len = read(o->pipe_fd, data, sizeof(data));
    *is_ended = len == 0 || (len < 0 && errno != EAGAIN && errno != EINTR);
    if (len <= 0)
        return false;
    write_all(o, data, (size_t)len);
    return true;
}

static void on_readable(void *ctx, int fd, unsigned ready)
{
    struct executor_output *o = ctx;
    bool is_ended;
    (void)fd;
    (void)ready;
    (void)carry(o, &is_ended); /* the rest in the next turn */
    if (is_ended)
        o->watcher = loop_fd_remove(o->watcher);
}

struct executor_output *executor_output_new(struct loop *loop, int pipe_fd, int directory_fd, int file_fd, const char *name)
{
    struct executor_output *o = xcalloc(1, sizeof(*o));
    o->pipe_fd = pipe_fd;
    o->directory_fd = directory_fd;
    o->file_fd = file_fd;
    o->name = name;
    o->watcher = loop_fd_add(loop, pipe_fd, LOOP_READ, on_readable, o);
    return o;
}

struct executor_output *executor_output_free(struct executor_output *o)
{
    bool is_ended;
    if (!o)
        return NULL;
    loop_fd_remove(o->watcher);
    for (int i = 0; i < LAST_READS_MAX && carry(o, &is_ended); i++)
        ;
    (void)close(o->pipe_fd);      /* was only read */
    (void)close(o->directory_fd); /* carried no data */
    if (o->file_fd >= 0)
        (void)close(o->file_fd); /* errors of writing were seen when it was written */
    free(o);
    return NULL;
}
