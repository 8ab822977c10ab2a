/* SPDX-License-Identifier: Apache-2.0
 * main.h - entry of the built-in executor: configured by the MESOS_* environment (facts: mesos 2.5), usually pid 1 of a
 * container. Takes no arguments. Returns the exit status. */
#pragma once

int executor_main(int argc, char **argv);
