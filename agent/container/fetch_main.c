/* SPDX-License-Identifier: Apache-2.0
 * fetch_main.c - downloads and unpacking, in a process of its own that runs as the task's user. */
#include <stdio.h>

#include "agent/container/container.h"

int container_fetch_main(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    fputs("fetching is not supported by this build\n", stderr);
    return 1;
}
