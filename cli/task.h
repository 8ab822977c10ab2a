/* SPDX-License-Identifier: Apache-2.0
 * task.h - what the parts of `muster task` share. */
#pragma once

#include "cli/cli.h"

/* Options of exec and attach. */
struct task_exec {
    bool interactive, tty;
    char **argv; /* exec: the command, count words */
    int argc;
};
/* Runs a command in the container of the task whose id begins with the text; its exit status. */
int task_exec(const struct cli_target *t, const char *id, const struct task_exec *exec);
/* Standard input and output become the terminal of the task. */
int task_attach(const struct cli_target *t, const char *id);

/* cmd_task.c: the task whose id begins with the text, in the answer *tasks (to be freed in any case), and the address of
 * its agent. CLI_DONE, or what was printed. */
int task_find(const struct cli_target *t, const char *command, const char *id, struct cli_answer *tasks,
              const json_t **task, char agent[64]);
const char *task_field(const json_t *object, const char *key); /* object.key.value, "" without */
