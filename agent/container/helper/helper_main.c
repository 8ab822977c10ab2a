/* SPDX-License-Identifier: Apache-2.0
 * helper_main.c - the one program that is started for containers: outside as supervisor, inside as built-in executor. It
 * is embedded into the agent and not meant for people. */
#include <stdio.h>
#include <string.h>

#include "agent/container/helper/helper.h"
#include "executor/main.h"

#ifdef MUSTER_SANITIZED
/* The leak checker stops threads by ptrace, which it cannot do inside a container. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "detect_leaks=0";
}
#endif

int main(int argc, char **argv)
{
    const char *mode = argc > 1 ? argv[1] : "";
    if (strcmp(mode, "supervise") == 0)
        return container_supervise_main();
    if (strcmp(mode, "supervisor") == 0 && argc > 2)
        return container_zygote_main(argv[2]);
    if (strcmp(mode, "sweep") == 0)
        return container_sweep_main();
    if (strcmp(mode, "probe") == 0)
        return container_probe_main();
    if (strcmp(mode, "executor") == 0)
        return executor_main(argc - 1, argv + 1);
    fputs("muster-helper is started by the agent\n", stderr);
    return 2;
}
