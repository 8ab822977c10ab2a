/* SPDX-License-Identifier: Apache-2.0
 * process.h - starts and signals the processes of tasks and checks. Used by the shell only. Between vfork and exec nothing
 * but system calls happens. */
#pragma once

#include <signal.h>
#include <sys/types.h>

#include "common/base/err.h"
#include "executor/event.h"

/* For a command with own_output: what executor_output_new wants, for stdout [0] and stderr [1]. The receiver closes them.
 */
struct executor_pipes {
    int pipe[2], directory[2], file[2]; /* all -1 when the command inherits our output */
};

/* Starts the command in a session of its own. Directories below sandbox are made, and given to the command's user; stdin is
 * /dev/null; or, of a task (pipes not NULL) without own_output, all three are the terminal that is our standard output, if
 * it is one. link: see executor_effect.start, NULL: none. pipes NULL: own output goes into the files directly, without a
 * bound. 0 with *pid and *pipes set, or a negative errno with a text. */
int executor_process_start(const char *sandbox, const struct executor_command *command, const char *link,
                           const char *link_target, pid_t *pid, struct executor_pipes *pipes, struct err *err);

/* Signals the process `root` (0: none), its session and everything that descends from either. Processes that left the
 * session and whose parents are gone are only found with everything: then all our descendants but those in keep[] are
 * meant, and as init of a pid namespace every process in it. SIGKILL is repeated until nothing new appears. */
void executor_process_signal(pid_t root, int signo, bool everything, const pid_t *keep, size_t keep_count);
