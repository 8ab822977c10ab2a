/* SPDX-License-Identifier: Apache-2.0
 * main.h - the master as a program. */
#pragma once

/* argv[0] is the name of the role. Returns the exit status: 0 after SIGTERM or SIGINT, 1 when it failed, 2 for wrong flags.
 */
int master_main(int argc, char **argv);
