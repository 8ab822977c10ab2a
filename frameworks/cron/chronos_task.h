/* SPDX-License-Identifier: Apache-2.0
 * chronos_task.h - what tasks of jobs in Chronos's form have of their own: ids, names, command and environment (facts:
 * net-cron E.5). For the launcher; all texts are in the arena or belong to the job. */
#pragma once

#include "frameworks/cron/core.h"

#define CHRONOS_TASK_ID_SIZE 256

/* "ct:<due>:<attempt>:<job>:<arguments>" and, so that no two tasks ever have the same, a dot and the UUID. Attempts count
 * from 0. What an id may not hold is left out of the arguments, and so is what does not fit. */
void chronos_task_id(const struct run *r, unsigned attempt, const char *uuid, char out[CHRONOS_TASK_ID_SIZE]);
/* The job in such an id; false if it is none. */
bool chronos_task_id_job(const char *id, char out[JOB_ID_MAX + 1]);
const char *chronos_task_name(const struct run *r, struct arena *a);

struct chronos_command {
    const char *value;
    bool is_shell;
    const char *const *arguments; /* of a command without shell: argv, as Chronos passes it on */
    size_t argument_count;
    const char *fetch; /* to be fetched as an executable, NULL: nothing */
};
struct chronos_command chronos_task_command(const struct run *r, struct arena *a);

/* Variables that those of the user do not replace. */
size_t chronos_task_environment(const struct run *r, const char *task_id, unsigned attempt, const char *hostname,
                                struct arena *a, const struct pair **out);
