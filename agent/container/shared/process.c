/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/container/shared/process.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/container/shared/file.h"
#include "common/base/cleanup.h"

int container_boot_id(char out[CONTAINER_BOOT_ID_SIZE])
{
    long n = container_file_read(AT_FDCWD, "/proc/sys/kernel/random/boot_id", out, CONTAINER_BOOT_ID_SIZE);
    if (n < 0)
        return (int)n;
    out[strcspn(out, "\n")] = '\0';
    return 0;
}

/* A number of /proc/<pid>/stat by its place there, as proc(5) counts, above 2. 0 or a negative errno. */
static int read_stat(pid_t pid, int wanted, uint64_t *out)
{
    char path[32], text[1024];
    (void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid); /* fits: an int has 11 characters */
    long n = container_file_read(AT_FDCWD, path, text, sizeof(text));
    if (n < 0)
        return (int)n;
    /* The name in parentheses may hold anything; the fields go on after the last ')', with number 3. */
    const char *at = strrchr(text, ')');
    for (int field = 2; at != NULL && field < wanted; field++)
        at = strchr(at + 1, ' ');
    if (at == NULL)
        return -EINVAL;
    *out = strtoull(at + 1, NULL, 10);
    return 0;
}

int container_process_start(pid_t pid, uint64_t *start)
{
    return read_stat(pid, 22, start);
}

static int open_if(pid_t pid, int field, uint64_t wanted)
{
    cleanup_close int fd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (fd < 0)
        return -errno;
    uint64_t now = 0;
    if (read_stat(pid, field, &now) < 0 || now != wanted)
        return -ESRCH;
    return steal_fd(&fd);
}

int container_process_open(pid_t pid, uint64_t start)
{
    return open_if(pid, 22, start);
}

int container_process_open_in_session(pid_t pid, pid_t session)
{
    return open_if(pid, 6, (uint64_t)session);
}

static bool has_mark(pid_t pid, const char *mark)
{
    static char text[64u << 10];
    char path[32];
    (void)snprintf(path, sizeof(path), "/proc/%d/environ", (int)pid); /* fits: an int has 11 characters */
    long n = container_file_read(AT_FDCWD, path, text, sizeof(text));
    for (const char *at = text; n > 0 && at < text + n; at += strlen(at) + 1) {
        if (strcmp(at, mark) == 0)
            return true;
    }
    return false;
}

int container_process_open_marked(pid_t pid, const char *mark)
{
    cleanup_close int fd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (fd < 0)
        return -errno;
    return has_mark(pid, mark) ? steal_fd(&fd) : -ESRCH;
}

int container_pidfd_signal(int pidfd, int signo)
{
    return syscall(SYS_pidfd_send_signal, pidfd, signo, NULL, 0) < 0 ? -errno : 0;
}
