/* SPDX-License-Identifier: Apache-2.0
 * no_executor.c - stands in for the built-in executor in a build that has none. */
#include <stdio.h>

#include "executor/main.h"

int executor_main(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    fputs("this build has no built-in executor\n", stderr);
    return 1;
}
