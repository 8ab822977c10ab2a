/* SPDX-License-Identifier: Apache-2.0
 * shell.h - the executor's shell: agent connection, processes, probes and timers around the core, on a loop. */
#pragma once

#include "common/base/err.h"
#include "common/port/loop.h"
#include "executor/executor.h"

struct executor_shell;

struct executor_shell_config {
    struct executor_config core;
    const char *agent_ip; /* numeric, with agent_port; or: */
    uint16_t agent_port;
    const char *agent_socket; /* path of a unix socket */
    const char *token;        /* for `Authorization: Bearer`, NULL: none */
};

/* Copies the configuration. Takes SIGTERM and SIGCHLD over and makes this process the reaper of its descendants. The work
 * starts in a following turn; finished is called once with the exit status. */
struct executor_shell *executor_shell_new(struct loop *loop, const struct executor_shell_config *config,
                                          void (*finished)(void *ctx, int exit_status), void *ctx);
/* Kills what still runs. Not inside finished. */
struct executor_shell *executor_shell_free(struct executor_shell *s);
