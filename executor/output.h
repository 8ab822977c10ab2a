/* SPDX-License-Identifier: Apache-2.0
 * output.h - carries the output of a task of a group from a pipe into a file of its directory, and keeps that file bounded:
 * at EXECUTOR_OUTPUT_BYTES_MAX it becomes <name>.1 and a new one begins. What cannot be written is dropped: a full disk
 * does not stop the task. */
#pragma once

#include "common/port/loop.h"

#define EXECUTOR_OUTPUT_BYTES_MAX (10 << 20)

struct executor_output;

/* Takes over the descriptors: the reading end of the pipe (non-blocking), the directory, the file (for appending). name is
 * kept by pointer. */
struct executor_output *executor_output_new(struct loop *loop, int pipe_fd, int directory_fd, int file_fd,
                                            const char *name);
/* Carries over what is in the pipe now, and ends. Accepts NULL, returns NULL. */
struct executor_output *executor_output_free(struct executor_output *o);
