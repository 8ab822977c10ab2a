/* SPDX-License-Identifier: Apache-2.0
 * main.h - entry of `muster agent`. Returns the exit status. */
#pragma once

int agent_main(int argc, char **argv);
