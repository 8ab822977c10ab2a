/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/container/helper/strays.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>

#include "agent/container/shared/file.h"
#include "agent/container/shared/process.h"
#include "common/base/cleanup.h"

/* Over /proc: what was started during one is found by the next. The dead whom nobody has reaped yet are found again. */
#define PASSES_MAX 4

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

/* True if there was one that could be signalled. */
static bool kill_one(pid_t pid, pid_t session, const char *mark)
{
    cleanup_close int fd = session > 0 ? container_process_open_in_session(pid, session) : -ESRCH;
    if (fd < 0)
        fd = container_process_open_marked(pid, mark);
    return fd >= 0 && container_pidfd_signal(fd, SIGKILL) == 0;
}

void strays_kill_session(pid_t session, uint64_t leader_start, const char *mark)
{
    uint64_t start;
    if (container_process_start(session, &start) == 0 && start != leader_start)
        session = 0; /* a number is not used again before the last process of its session is gone */
    DIR *dir = opendir("/proc");
    if (dir == NULL)
        return;
    bool has_found = true;
    for (int pass = 0; has_found && pass < PASSES_MAX; pass++) {
        has_found = false;
        for (const struct dirent *e; (e = readdir(dir)) != NULL;) {
            long pid = strtol(e->d_name, NULL, 10);
            has_found |= pid > 0 && kill_one((pid_t)pid, session, mark);
        }
        rewinddir(dir);
    }
    (void)closedir(dir); /* only read */
}
