/* SPDX-License-Identifier: Apache-2.0
 * log_pump.h - moves what a container writes from a pipe into a file of its sandbox, and starts a new file when it is full:
 * `stdout` becomes `stdout.1`. The sandbox belongs to the user: names are only created and renamed, never followed. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/container/helper/user.h"
#include "common/base/err.h"

struct log_pump {
    const char *name;
    int sandbox_fd; /* borrowed */
    const struct container_user *user;
    int file_fd, pipe_fd; /* own; -1: closed */
    int64_t written, bytes_max;
};

/* Makes the file and the pipe; *write_fd is the end for the container (the caller's to close). */
int log_pump_open(struct log_pump *l, int sandbox_fd, const char *name, const struct container_user *user,
                  int64_t bytes_max, int *write_fd, struct err *err);
void log_pump_close(struct log_pump *l);

/* Moves what is there, at most one buffer full. False when the pipe has ended (and is closed) or nothing is there. A disk
 * that takes nothing more loses the output rather than stopping the program that writes it. */
bool log_pump_run(struct log_pump *l);

/* Appends what was read elsewhere. */
void log_pump_put(struct log_pump *l, const char *data, size_t len);

/* Appends a line of ours. */
void log_pump_say(struct log_pump *l, const char *text);
