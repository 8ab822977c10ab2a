/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/container/helper/strays.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/container/shared/file.h"

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

/* Field 6 of /proc/<pid>/stat; the name before it may hold anything. */
static long session_of(long pid)
{
    char path[48], stat[1024];
    (void)snprintf(path, sizeof(path), "/proc/%ld/stat", pid);
    if (container_file_read(AT_FDCWD, path, stat, sizeof(stat)) <= 0)
        return 0;
    const char *at = strrchr(stat, ')');
    for (int field = 2; at != NULL && field < 6; field++)
        at = strchr(at + 1, ' ');
    return at == NULL ? 0 : strtol(at + 1, NULL, 10);
}

void strays_kill_session(int session)
{
    DIR *dir = opendir("/proc");
    if (dir == NULL)
        return;
    for (const struct dirent *e; (e = readdir(dir)) != NULL;) {
        long pid = strtol(e->d_name, NULL, 10);
        if (pid > 0 && session_of(pid) == session)
            (void)kill((pid_t)pid, SIGKILL); /* it may be gone already */
    }
    (void)closedir(dir); /* only read */
}
