/* SPDX-License-Identifier: Apache-2.0
 * executor.h - the built-in executor as a step function: subscribes to the agent, runs one command task (LAUNCH) or groups
 * of tasks (LAUNCH_GROUP), checks their health, kills them in order, and reports until the agent has stored the reports.
 * Sockets and processes are the shell's (shell.c). Facts: mesos 2.
 *
 * Task:  STARTING --process started--> RUNNING --kill--> KILLING --exit--> ended (FINISHED, FAILED, KILLED)
 *            \--not startable--> FAILED    \--exit----------------------^ */
#pragma once

#include "common/base/err.h"
#include "executor/event.h"

#define EXECUTOR_KILL_GRACE_MS 3000
#define EXECUTOR_ACK_WAIT_MS 60000       /* for the last acknowledgements, while the agent is there */
#define EXECUTOR_SHUTDOWN_MARGIN_MS 2000 /* the agent's grace period minus this is the tasks' */
#define EXECUTOR_HEARTBEAT_MS (30 * 60 * 1000)
#define EXECUTOR_REGISTRATION_MS 60000 /* to the first SUBSCRIBED */
#define EXECUTOR_RETRY_MS 1000         /* bound of the random wait between attempts unless the agent names one */
#define EXECUTOR_TASKS_MAX 128         /* alive at once; each takes up to 6 descriptors */
#define EXECUTOR_TASK_UPDATES_MAX 64   /* unacknowledged updates of a task, beyond it check results are not reported */

struct executor;

struct executor_config {
    const char *framework_id, *executor_id;
    const char *sandbox;            /* absolute, as seen by us */
    const char *container_ip;       /* NULL: not told to tasks */
    const char *const *environment; /* "NAME=value" for every task, NULL-terminated; NULL: none */
    bool checkpoint;                /* survive a restart of the agent */
    int64_t recovery_timeout_ms;    /* of a disconnection, when checkpoint */
    int64_t backoff_max_ms;         /* 0: EXECUTOR_RETRY_MS */
    int64_t shutdown_grace_ms;
    uint64_t seed;
};

/* Copies the configuration. */
struct executor *executor_new(const struct executor_config *config);
struct executor *executor_free(struct executor *e);

/* 0 always: what the agent sends wrongly is answered with updates or ignored. */
int executor_step(struct executor *e, const struct executor_event *in, struct executor_effects *out);
int64_t executor_next_deadline(const struct executor *e); /* INT64_MAX: none */
void executor_check_invariants(const struct executor *e);
