/* SPDX-License-Identifier: Apache-2.0
 * checks.c - health checks and general checks: when they run and what their results mean (facts: mesos 2.9, 2.10). How they
 * run is the shell's. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/base/check.h"
#include "executor/state.h"

/* -- configuration ---------------------------------------------------------------------------------------------- */

static int to_ms(double seconds, const char *what, int64_t *out, struct err *err)
{
    if (!(seconds >= 0) || !isfinite(seconds))
        return err_set(err, -EINVAL, "%s must be a number of seconds, at least 0", what);
    *out = seconds < 1e9 ? (int64_t)(seconds * 1000 + 0.5) : INT64_C(1000000000000);
    return 0;
}

static int set_target(struct executor_checker *checker, uint32_t port, const char *path, struct err *err)
{
    if (port == 0 || port > UINT16_MAX)
        return err_set(err, -EINVAL, "port %u is out of range", port);
    checker->port = (uint16_t)port;
    if (checker->kind != EXECUTOR_CHECK_KIND_HTTP)
        return 0;
    if (!path || !path[0])
        path = "/";
    if (path[0] != '/' || strlen(path) > 4096)
        return err_set(err, -EINVAL, "path must start with '/' and have at most 4096 bytes");
    for (const unsigned char *c = (const unsigned char *)path; *c; c++)
        if (*c <= ' ' || *c == 127)
            return err_set(err, -EINVAL, "path has a space or control character");
    checker->path = xstrdup(path);
    return 0;
}

static int set_times(struct executor_checker *checker, double delay, double interval, double timeout, struct err *err)
{
    int result = to_ms(delay, "delay_seconds", &checker->delay_ms, err);
    if (result == 0)
        result = to_ms(interval, "interval_seconds", &checker->interval_ms, err);
    if (result == 0)
        result = to_ms(timeout, "timeout_seconds", &checker->timeout_ms, err);
    if (result == 0 && checker->interval_ms < 10)
        checker->interval_ms = 10; /* 0 would be a busy loop */
    return result;
}

static int parse_command(const Mesos__V1__CommandInfo *command, struct err *err)
{
    return command && command->value && command->value[0] ? 0 : err_set(err, -EINVAL, "a command is needed");
}

static int parse_health(struct executor_checker *checker, const Mesos__V1__HealthCheck *health, struct err *err)
{
    Mesos__V1__HealthCheck__Type type = health->has_type ? health->type : MESOS__V1__HEALTH_CHECK__TYPE__UNKNOWN;
    if (!health->has_type) /* as the master does for frameworks that leave it out (facts: mesos 1.9) */
        type = health->command ? MESOS__V1__HEALTH_CHECK__TYPE__COMMAND
                               : (health->http ? MESOS__V1__HEALTH_CHECK__TYPE__HTTP : type);
    checker->is_on = checker->is_health = true;
    checker->failures_max = health->consecutive_failures;
    int result = set_times(checker, health->delay_seconds, health->interval_seconds, health->timeout_seconds, err);
    if (result == 0)
        result = to_ms(health->grace_period_seconds, "grace_period_seconds", &checker->grace_ms, err);
    if (result < 0)
        return result;
    switch (type) {
    case MESOS__V1__HEALTH_CHECK__TYPE__COMMAND:
        checker->kind = EXECUTOR_CHECK_KIND_COMMAND;
        return parse_command(health->command, err);
    case MESOS__V1__HEALTH_CHECK__TYPE__HTTP:
        checker->kind = EXECUTOR_CHECK_KIND_HTTP;
        if (!health->http)
            return err_set(err, -EINVAL, "http is missing");
        if (health->http->scheme && strcasecmp(health->http->scheme, "http") != 0)
            return err_set(err, -EINVAL, "scheme '%.20s' is not supported, only http", health->http->scheme);
        checker->is_ipv6 = health->http->protocol == MESOS__V1__NETWORK_INFO__PROTOCOL__IPv6;
        return set_target(checker, health->http->port, health->http->path, err);
    case MESOS__V1__HEALTH_CHECK__TYPE__TCP:
        checker->kind = EXECUTOR_CHECK_KIND_TCP;
        if (!health->tcp)
            return err_set(err, -EINVAL, "tcp is missing");
        checker->is_ipv6 = health->tcp->protocol == MESOS__V1__NETWORK_INFO__PROTOCOL__IPv6;
        return set_target(checker, health->tcp->port, NULL, err);
    default:
        return err_set(err, -EINVAL, "type must be COMMAND, HTTP or TCP");
    }
}

static int parse_general(struct executor_checker *checker, const Mesos__V1__CheckInfo *check, struct err *err)
{
    checker->is_on = true;
    int result = set_times(checker, check->delay_seconds, check->interval_seconds, check->timeout_seconds, err);
    if (result < 0)
        return result;
    switch (check->has_type ? check->type : MESOS__V1__CHECK_INFO__TYPE__UNKNOWN) {
    case MESOS__V1__CHECK_INFO__TYPE__COMMAND:
        checker->kind = EXECUTOR_CHECK_KIND_COMMAND;
        return parse_command(check->command ? check->command->command : NULL, err);
    case MESOS__V1__CHECK_INFO__TYPE__HTTP:
        checker->kind = EXECUTOR_CHECK_KIND_HTTP;
        return check->http ? set_target(checker, check->http->port, check->http->path, err)
                           : err_set(err, -EINVAL, "http is missing");
    case MESOS__V1__CHECK_INFO__TYPE__TCP:
        checker->kind = EXECUTOR_CHECK_KIND_TCP;
        return check->tcp ? set_target(checker, check->tcp->port, NULL, err) : err_set(err, -EINVAL, "tcp is missing");
    default:
        return err_set(err, -EINVAL, "type must be COMMAND, HTTP or TCP");
    }
}

int executor_checks_parse(struct executor_task *task, const Mesos__V1__TaskInfo *info, struct err *err)
{
    for (int i = 0; i < EXECUTOR_CHECKERS; i++)
        task->checkers[i].next_ms = task->checkers[i].deadline_ms = INT64_MAX;
    if (info->health_check && parse_health(&task->checkers[EXECUTOR_CHECKER_HEALTH], info->health_check, err) < 0)
        return err_wrap(err, -EINVAL, "health_check");
    if (info->check && parse_general(&task->checkers[EXECUTOR_CHECKER_GENERAL], info->check, err) < 0)
        return err_wrap(err, -EINVAL, "check");
    return 0;
}

/* -- running ---------------------------------------------------------------------------------------------------- */

void executor_checks_start(struct executor *e, struct executor_task *task)
{
    for (int i = 0; i < EXECUTOR_CHECKERS; i++) {
        struct executor_checker *checker = &task->checkers[i];
        if (!checker->is_on)
            continue;
        checker->next_ms = e->now_ms + checker->delay_ms;
        checker->grace_end_ms = e->now_ms + checker->grace_ms;
    }
}

static void cancel_run(struct executor *e, struct executor_checker *checker)
{
    if (checker->run == 0)
        return;
    executor_add_effect(e, EXECUTOR_EFFECT_CHECK_CANCEL)->check.id = checker->run;
    checker->run = 0;
}

void executor_checks_stop(struct executor *e, struct executor_task *task)
{
    for (int i = 0; i < EXECUTOR_CHECKERS; i++) {
        struct executor_checker *checker = &task->checkers[i];
        cancel_run(e, checker);
        checker->next_ms = checker->deadline_ms = INT64_MAX;
    }
}

static void run_check(struct executor *e, struct executor_task *task, struct executor_checker *checker)
{
    struct executor_command command = {0};
    if (checker->kind == EXECUTOR_CHECK_KIND_COMMAND) {
        const Mesos__V1__TaskInfo *info = executor_task_info(e, task);
        const Mesos__V1__CommandInfo *wanted =
            checker->is_health ? info->health_check->command : info->check->command->command;
        struct err err;
        if (executor_command_build(e, task, info, wanted, &command, &err) < 0) {
            executor_log(e, "check of task %.100s: %.200s", task->id, err.text);
            checker->next_ms = INT64_MAX;
            return;
        }
    }
    struct executor_effect *effect = executor_add_effect(e, EXECUTOR_EFFECT_CHECK);
    effect->check.id = checker->run = ++e->next_check;
    effect->check.kind = checker->kind;
    effect->check.command = command;
    effect->check.ip = checker->is_ipv6 ? "::1" : "127.0.0.1";
    effect->check.port = checker->port;
    effect->check.path = checker->path;
    checker->next_ms = INT64_MAX;
    checker->deadline_ms = checker->timeout_ms > 0 ? e->now_ms + checker->timeout_ms : INT64_MAX;
}

/* -- results ---------------------------------------------------------------------------------------------------- */

static void take_health(struct executor *e, struct executor_task *task, struct executor_checker *checker, bool is_success,
                        const char *text)
{
    const int reason = MESOS__V1__TASK_STATUS__REASON__REASON_TASK_HEALTH_CHECK_STATUS_UPDATED;
    if (is_success) {
        bool is_news = !task->has_health || !task->is_healthy;
        checker->failures = 0;
        checker->has_succeeded = task->has_health = task->is_healthy = true;
        if (is_news)
            executor_updates_add(e, task, MESOS__V1__TASK_STATE__TASK_RUNNING, reason, NULL);
        return;
    }
    if (!checker->has_succeeded && e->now_ms < checker->grace_end_ms)
        return;
    checker->failures++;
    task->has_health = true;
    task->is_healthy = false;
    executor_updates_add(e, task, MESOS__V1__TASK_STATE__TASK_RUNNING, reason,
                         arena_printf(e->out->arena, "Health check failed: %.200s", text));
    if (checker->failures >= checker->failures_max)
        executor_tasks_kill(e, task, task->kill_grace_ms);
}

static void take_general(struct executor *e, struct executor_task *task, struct executor_checker *checker, bool has_value,
                         int value)
{
    if (checker->has_value == has_value && (!has_value || checker->value == value))
        return;
    checker->has_value = has_value;
    checker->value = value;
    executor_updates_add(e, task, MESOS__V1__TASK_STATE__TASK_RUNNING,
                         MESOS__V1__TASK_STATUS__REASON__REASON_TASK_CHECK_STATUS_UPDATED, NULL);
}

static void end_run(struct executor *e, struct executor_task *task, struct executor_checker *checker,
                    enum executor_check_result result, int value, const char *text)
{
    bool is_success = (result == EXECUTOR_CHECK_EXITED && value == 0) ||
                      (result == EXECUTOR_CHECK_HTTP && value >= 200 && value < 400) || result == EXECUTOR_CHECK_CONNECTED;
    checker->run = 0;
    checker->deadline_ms = INT64_MAX;
    checker->next_ms = e->now_ms + checker->interval_ms;
    if (checker->is_health)
        take_health(e, task, checker, is_success, text ? text : "failed");
    else
        take_general(e, task, checker, result != EXECUTOR_CHECK_FAILED,
                     result == EXECUTOR_CHECK_CONNECTED ? 1 : (result == EXECUTOR_CHECK_REFUSED ? 0 : value));
}

void executor_checks_done(struct executor *e, executor_check_id id, enum executor_check_result result, int value,
                          const char *text)
{
    if (id == 0)
        return;
    list_for_each(it, &e->tasks)
    {
        struct executor_task *task = container_of(it, struct executor_task, in_tasks);
        for (int i = 0; i < EXECUTOR_CHECKERS; i++)
            if (task->checkers[i].run == id) {
                end_run(e, task, &task->checkers[i], result, value, text);
                return;
            }
    }
}

void executor_checks_run_due(struct executor *e, struct executor_task *task)
{
    for (int i = 0; i < EXECUTOR_CHECKERS && task->state == EXECUTOR_TASK_RUNNING; i++) {
        struct executor_checker *checker = &task->checkers[i];
        if (!checker->is_on)
            continue;
        if (checker->run != 0 && e->now_ms >= checker->deadline_ms) {
            cancel_run(e, checker);
            end_run(e, task, checker, EXECUTOR_CHECK_FAILED, 0, "timed out");
        }
        if (task->state == EXECUTOR_TASK_RUNNING && checker->run == 0 && e->now_ms >= checker->next_ms)
            run_check(e, task, checker);
    }
}

int64_t executor_checks_next_deadline(const struct executor_task *task)
{
    int64_t first = INT64_MAX;
    for (int i = 0; i < EXECUTOR_CHECKERS; i++) {
        const struct executor_checker *checker = &task->checkers[i];
        if (!checker->is_on || task->state != EXECUTOR_TASK_RUNNING)
            continue;
        int64_t mine = checker->run ? checker->deadline_ms : checker->next_ms;
        if (mine < first)
            first = mine;
    }
    return first;
}

Mesos__V1__CheckStatusInfo *executor_checks_status(const struct executor *e, const struct executor_task *task)
{
    const struct executor_checker *checker = &task->checkers[EXECUTOR_CHECKER_GENERAL];
    struct arena *arena = e->out->arena;
    if (!checker->is_on)
        return NULL;
    Mesos__V1__CheckStatusInfo *status = arena_new_one(arena, Mesos__V1__CheckStatusInfo);
    *status = (Mesos__V1__CheckStatusInfo)MESOS__V1__CHECK_STATUS_INFO__INIT;
    status->has_type = true;
    switch (checker->kind) {
    case EXECUTOR_CHECK_KIND_COMMAND:
        status->type = MESOS__V1__CHECK_INFO__TYPE__COMMAND;
        status->command = arena_new_one(arena, Mesos__V1__CheckStatusInfo__Command);
        *status->command = (Mesos__V1__CheckStatusInfo__Command)MESOS__V1__CHECK_STATUS_INFO__COMMAND__INIT;
        status->command->has_exit_code = checker->has_value;
        status->command->exit_code = checker->value;
        break;
    case EXECUTOR_CHECK_KIND_HTTP:
        status->type = MESOS__V1__CHECK_INFO__TYPE__HTTP;
        status->http = arena_new_one(arena, Mesos__V1__CheckStatusInfo__Http);
        *status->http = (Mesos__V1__CheckStatusInfo__Http)MESOS__V1__CHECK_STATUS_INFO__HTTP__INIT;
        status->http->has_status_code = checker->has_value;
        status->http->status_code = (uint32_t)checker->value;
        break;
    case EXECUTOR_CHECK_KIND_TCP:
        status->type = MESOS__V1__CHECK_INFO__TYPE__TCP;
        status->tcp = arena_new_one(arena, Mesos__V1__CheckStatusInfo__Tcp);
        *status->tcp = (Mesos__V1__CheckStatusInfo__Tcp)MESOS__V1__CHECK_STATUS_INFO__TCP__INIT;
        status->tcp->has_succeeded = checker->has_value;
        status->tcp->succeeded = checker->value != 0;
        break;
    }
    return status;
}
