/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/container/helper/strays.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>

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
