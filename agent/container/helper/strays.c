/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/container/helper/strays.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>

#include "agent/container/shared/file.h"
#include "agent/container/shared/process.h"
#include "common/base/cleanup.h"

void strays_kill(void)
{
    static char text[16 * 1024];
    if (container_file_read(AT_FDCWD, "/proc/thread-self/children", text, sizeof(text)) <= 0)
        return;
    char *end = text;
    for (;;) {
        long pid = strtol(end, &end, 10);
        if (pid <= 0 || *end != ' ') /* the list ends, or a number is cut */
            return;
        (void)kill((pid_t)pid, SIGKILL); /* a child that is not reaped keeps its pid */
    }
}

void strays_kill_session(pid_t session, uint64_t leader_start)
{
    uint64_t start;
    if (container_process_start(session, &start) == 0 && start != leader_start)
        return; /* a number is not used again before the last process of its session is gone */
    DIR *dir = opendir("/proc");
    if (dir == NULL)
        return;
    for (const struct dirent *e; (e = readdir(dir)) != NULL;) {
        long pid = strtol(e->d_name, NULL, 10);
        cleanup_close int fd = pid > 0 ? container_process_open_in_session((pid_t)pid, session) : -1;
        if (fd >= 0)
            (void)container_pidfd_signal(fd, SIGKILL); /* it may be gone already */
    }
    (void)closedir(dir); /* only read */
}
