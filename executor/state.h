/* SPDX-License-Identifier: Apache-2.0
 * state.h - what the files of the executor's core share. Not for others. */
#pragma once

#include "common/base/arena.h"
#include "common/base/err.h"
#include "common/base/list.h"
#include "common/base/rng.h"
#include "executor/executor.h"

/* -- checks.c: one health check or general check of a task ------------------------------------------------------- */

struct executor_checker {
    bool is_on;
    bool is_health;
    enum executor_check_kind kind;
    bool is_ipv6;
    uint16_t port;
    char *path;                                          /* HTTP; owned */
    int64_t delay_ms, interval_ms, timeout_ms, grace_ms; /* timeout 0: none */
    uint32_t failures_max;

    executor_check_id run; /* going on, 0: none */
    int64_t next_ms;       /* start of the next run, INT64_MAX: not now */
    int64_t deadline_ms;   /* end of the present run */
    int64_t grace_end_ms;
    uint32_t failures;  /* health: in a row */
    bool has_succeeded; /* health: ever */
    bool has_value;     /* general: of the newest result */
    int value;
};

enum { EXECUTOR_CHECKER_HEALTH, EXECUTOR_CHECKER_GENERAL, EXECUTOR_CHECKERS };

/* -- tasks.c ----------------------------------------------------------------------------------------------------- */

enum executor_task_state { EXECUTOR_TASK_STARTING, EXECUTOR_TASK_RUNNING, EXECUTOR_TASK_KILLING, EXECUTOR_TASK_ENDED };

struct executor_task {
    struct list in_tasks;
    uint64_t group; /* tasks of one LAUNCH_GROUP share it */
    char *id;
    uint8_t *info; /* packed TaskInfo */
    size_t info_len;
    enum executor_task_state state;
    bool is_nested;       /* has a directory of its own below the sandbox */
    bool is_acknowledged; /* some update of it: the agent knows that we have it */
    size_t update_count;  /* not acknowledged */
    char nested_id[UUID_TEXT_SIZE];

    executor_process_id process;
    int pid;               /* 0: not started yet */
    int64_t completion_ms; /* end of max_completion_time, INT64_MAX: none */

    int64_t kill_grace_ms; /* of its kill policy */
    int64_t kill_ms;       /* KILLING: when it began */
    int64_t sigkill_ms;    /* KILLING: next SIGKILL; INT64_MAX otherwise */
    bool is_overdue;       /* killed for max_completion_time */

    bool has_health, is_healthy;
    struct executor_checker checkers[EXECUTOR_CHECKERS];
};

/* -- updates.c --------------------------------------------------------------------------------------------------- */

struct executor_update {
    struct list in_updates;
    struct executor_task *task;
    uint8_t uuid[16];
    uint8_t *status; /* packed TaskStatus */
    size_t status_len;
    uint64_t told; /* connection that carried it, 0: none yet */
    bool is_check; /* result of a check: a newer one makes it superfluous */
};

enum executor_link_state { EXECUTOR_LINK_IDLE, EXECUTOR_LINK_CONNECTING, EXECUTOR_LINK_WAITING, EXECUTOR_LINK_SUBSCRIBED };

struct executor {
    struct executor_config config; /* strings owned */
    char **environment;
    struct rng rng;
    int64_t now_ms, wall_ms; /* of this step */
    struct executor_effects *out;

    enum executor_link_state link;
    uint64_t connection;
    bool was_subscribed;
    int64_t retry_ms;     /* WAITING: next attempt */
    int64_t give_up_ms;   /* not SUBSCRIBED: end of patience */
    int64_t heartbeat_ms; /* SUBSCRIBED: next HEARTBEAT call */
    bool is_call_out;
    struct executor_update *call_update; /* the update that is out, NULL: a heartbeat, or it was acknowledged meanwhile */
    bool is_default;                     /* executor of task groups */
    bool has_killing_state;              /* framework capability TASK_KILLING_STATE */
    char *container_id;                  /* ours, "" unknown */

    struct list tasks; /* struct executor_task, in launch order, until ended and acknowledged */
    size_t task_count;
    struct list updates; /* struct executor_update, oldest first */
    uint64_t next_process, next_check, next_group;
    bool has_launched;
    bool is_shutdown;
    bool is_exiting;    /* EXIT was given */
    int64_t ack_end_ms; /* everything ended: until then acknowledgements are waited for; INT64_MAX: not yet */
};

struct executor_effect *executor_add_effect(struct executor *e, enum executor_effect_type type);
void executor_log(struct executor *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* updates.c. has_reason is reason >= 0; message may be NULL. */
void executor_updates_add(struct executor *e, struct executor_task *task, Mesos__V1__TaskState state, int reason,
                          const char *message);
void executor_updates_acknowledge(struct executor *e, const char *task_id, const uint8_t *uuid, size_t uuid_len);
void executor_updates_drop(struct executor *e, struct executor_update *update);

/* link.c: the conversation with the agent. */
void executor_link_connect(struct executor *e);
void executor_link_lose(struct executor *e, bool is_open, const char *why);
void executor_link_answer(struct executor *e, int status, const char *text);
void executor_link_call_done(struct executor *e, int status, const char *text);
void executor_link_send(struct executor *e);
void executor_link_run_due(struct executor *e);
int64_t executor_link_next_deadline(const struct executor *e);

/* tasks.c */
void executor_tasks_launch(struct executor *e, Mesos__V1__TaskInfo *const *infos, size_t count, bool is_group);
void executor_tasks_kill(struct executor *e, struct executor_task *task, int64_t grace_ms);
void executor_tasks_kill_all(struct executor *e, int64_t grace_ms);
void executor_tasks_started(struct executor *e, executor_process_id id, int pid);
void executor_tasks_failed(struct executor *e, executor_process_id id, const char *text);
void executor_tasks_exited(struct executor *e, executor_process_id id, int status);
struct executor_task *executor_tasks_find(const struct executor *e, const char *id);
size_t executor_tasks_alive(const struct executor *e);
/* Frees it when it has ended and all its updates are acknowledged. */
void executor_tasks_forget_done(struct executor *e, struct executor_task *task);
void executor_tasks_free(struct executor *e, struct executor_task *task);
void executor_tasks_run_due(struct executor *e);
int64_t executor_tasks_next_deadline(const struct executor *e);
Mesos__V1__TaskInfo *executor_task_info(const struct executor *e, const struct executor_task *task);

/* command.c: what to start, from a CommandInfo. 0 or -EINVAL. */
int executor_command_build(const struct executor *e, const struct executor_task *task, const Mesos__V1__TaskInfo *info,
                           const Mesos__V1__CommandInfo *command, struct executor_command *out, struct err *err);

/* checks.c. Parse: 0, or -EINVAL when a check is invalid or of a kind that we cannot do. */
int executor_checks_parse(struct executor_task *task, const Mesos__V1__TaskInfo *info, struct err *err);
void executor_checks_start(struct executor *e, struct executor_task *task);
void executor_checks_stop(struct executor *e, struct executor_task *task);
void executor_checks_done(struct executor *e, executor_check_id id, enum executor_check_result result, int value,
                          const char *text);
void executor_checks_run_due(struct executor *e, struct executor_task *task);
int64_t executor_checks_next_deadline(const struct executor_task *task);
/* The status of a general check for updates; NULL when the task has none. In the step's arena. */
Mesos__V1__CheckStatusInfo *executor_checks_status(const struct executor *e, const struct executor_task *task);
