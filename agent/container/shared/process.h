/* SPDX-License-Identifier: Apache-2.0
 * process.h - identity of a process beyond its pid: the time it started, and the boot it belongs to. */
#pragma once

#include <stdint.h>
#include <sys/types.h>

#define CONTAINER_BOOT_ID_SIZE 64

/* The random id of this boot. 0 or a negative errno. */
int container_boot_id(char out[CONTAINER_BOOT_ID_SIZE]);

/* When the process started, in clock ticks after boot. 0 or a negative errno. */
int container_process_start(pid_t pid, uint64_t *start);

/* A pidfd of the process if it is the one that started then; -ESRCH otherwise. The identity is checked after the
 * descriptor is there, so that a pid that was used again cannot slip in between. */
int container_process_open(pid_t pid, uint64_t start);

/* The same for a process of this session. */
int container_process_open_in_session(pid_t pid, pid_t session);

/* The same for a process that was executed with `mark`, a whole "NAME=value", in the first 64 KiB of its environment. */
int container_process_open_marked(pid_t pid, const char *mark);

int container_pidfd_signal(int pidfd, int signo);
