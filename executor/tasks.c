/* SPDX-License-Identifier: Apache-2.0
 * tasks.c - tasks from launch to end: states, kills, the rules of groups (facts: mesos 2.7, 2.11). */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "common/base/check.h"
#include "common/base/text.h"
#include "common/wire/codec.h"
#include "executor/state.h"

#define SIGKILL_REPEAT_MS 1000     /* a tree that forks while it is killed may need more than one */
#define INFO_BYTES_MAX (16u << 20) /* TaskInfos of all tasks together */

struct executor_task *executor_tasks_find(const struct executor *e, const char *id)
{
    list_for_each(it, &e->tasks)
    {
        struct executor_task *task = container_of(it, struct executor_task, in_tasks);
        if (strcmp(task->id, id) == 0)
            return task;
    }
    return NULL;
}

static struct executor_task *find_process(const struct executor *e, executor_process_id id)
{
    list_for_each(it, &e->tasks)
    {
        struct executor_task *task = container_of(it, struct executor_task, in_tasks);
        if (task->process == id && task->state != EXECUTOR_TASK_ENDED)
            return task;
    }
    return NULL;
}

size_t executor_tasks_alive(const struct executor *e)
{
    size_t count = 0;
    list_for_each(it, &e->tasks) count += container_of(it, struct executor_task, in_tasks)->state != EXECUTOR_TASK_ENDED;
    return count;
}

Mesos__V1__TaskInfo *executor_task_info(const struct executor *e, const struct executor_task *task)
{
    struct err err;
    Mesos__V1__TaskInfo *info = (Mesos__V1__TaskInfo *)wire_unpack(&mesos__v1__task_info__descriptor, task->info,
                                                                   task->info_len, e->out->arena, &err);
    CHECK(info); /* we packed it, and all of them together are bounded */
    return info;
}

void executor_tasks_free(struct executor *e, struct executor_task *task)
{
    list_remove(&task->in_tasks);
    e->task_count--;
    for (int i = 0; i < EXECUTOR_CHECKERS; i++)
        free(task->checkers[i].path);
    free(task->id);
    free(task->info);
    free(task);
}

void executor_tasks_forget_done(struct executor *e, struct executor_task *task)
{
    if (task->state == EXECUTOR_TASK_ENDED && task->update_count == 0)
        executor_tasks_free(e, task);
}

/* -- the end of a task ------------------------------------------------------------------------------------------ */

static void end_one(struct executor *e, struct executor_task *task, Mesos__V1__TaskState state, int reason,
                    const char *message)
{
    executor_checks_stop(e, task);
    task->state = EXECUTOR_TASK_ENDED;
    task->pid = 0;
    task->sigkill_ms = task->completion_ms = INT64_MAX;
    executor_updates_add(e, task, state, reason, message);
}

static void end_task(struct executor *e, struct executor_task *task, Mesos__V1__TaskState state, int reason,
                     const char *message)
{
    end_one(e, task, state, reason, message);
    if (state == MESOS__V1__TASK_STATE__TASK_FINISHED)
        return;
    /* One that fails or is killed takes the rest of its group with it. */
    list_for_each(it, &e->tasks)
    {
        struct executor_task *other = container_of(it, struct executor_task, in_tasks);
        if (other->group == task->group && other->state != EXECUTOR_TASK_ENDED && other->state != EXECUTOR_TASK_KILLING)
            executor_tasks_kill(e, other, other->kill_grace_ms);
    }
}

static const char *describe_end(struct executor *e, int status)
{
    if (WIFEXITED(status))
        return arena_printf(e->out->arena, "Command exited with status %d", WEXITSTATUS(status));
    if (WIFSIGNALED(status)) {
        const char *name = sigdescr_np(WTERMSIG(status));
        return name ? arena_printf(e->out->arena, "Command terminated with signal %s", name)
                    : arena_printf(e->out->arena, "Command terminated with signal %d", WTERMSIG(status));
    }
    return "Command ended";
}

void executor_tasks_exited(struct executor *e, executor_process_id id, int status)
{
    struct executor_task *task = find_process(e, id);
    if (!task)
        return;
    const char *message = describe_end(e, status);
    if (task->is_overdue)
        end_task(e, task, MESOS__V1__TASK_STATE__TASK_FAILED,
                 MESOS__V1__TASK_STATUS__REASON__REASON_MAX_COMPLETION_TIME_REACHED, message);
    else if (task->state == EXECUTOR_TASK_KILLING)
        end_task(e, task, MESOS__V1__TASK_STATE__TASK_KILLED, -1, message);
    else if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        end_task(e, task, MESOS__V1__TASK_STATE__TASK_FINISHED, -1, message);
    else
        end_task(e, task, MESOS__V1__TASK_STATE__TASK_FAILED, -1, message);
}

void executor_tasks_failed(struct executor *e, executor_process_id id, const char *text)
{
    struct executor_task *task = find_process(e, id);
    if (!task)
        return;
    const char *message =
        arena_printf(e->out->arena, "Failed to start the command: %.300s", text ? text : "unknown reason");
    end_task(e, task,
             task->state == EXECUTOR_TASK_KILLING && !task->is_overdue ? MESOS__V1__TASK_STATE__TASK_KILLED
                                                                       : MESOS__V1__TASK_STATE__TASK_FAILED,
             -1, message);
}

/* -- killing ---------------------------------------------------------------------------------------------------- */

static void send_signal(struct executor *e, const struct executor_task *task, int signo)
{
    struct executor_effect *effect = executor_add_effect(e, EXECUTOR_EFFECT_SIGNAL);
    effect->signal.id = task->process;
    effect->signal.signo = signo;
    effect->signal.everything = executor_tasks_alive(e) == 1;
}

static void begin_signals(struct executor *e, struct executor_task *task)
{
    bool is_at_once = task->sigkill_ms <= e->now_ms;
    send_signal(e, task, is_at_once ? SIGKILL : SIGTERM);
    if (is_at_once)
        task->sigkill_ms = e->now_ms + SIGKILL_REPEAT_MS;
}

static int64_t add_ms(int64_t now_ms, int64_t delay_ms)
{
    return delay_ms < INT64_MAX - 1 - now_ms ? now_ms + delay_ms : INT64_MAX - 1;
}

void executor_tasks_kill(struct executor *e, struct executor_task *task, int64_t grace_ms)
{
    if (task->state == EXECUTOR_TASK_ENDED)
        return;
    if (task->state == EXECUTOR_TASK_KILLING) {
        /* Only ever sooner; the time since the first kill counts. */
        int64_t sigkill_ms = add_ms(task->kill_ms, grace_ms);
        if (sigkill_ms < task->sigkill_ms)
            task->sigkill_ms = sigkill_ms;
        return;
    }
    executor_checks_stop(e, task);
    task->state = EXECUTOR_TASK_KILLING;
    task->kill_ms = e->now_ms;
    task->sigkill_ms = add_ms(e->now_ms, grace_ms);
    if (e->has_killing_state)
        executor_updates_add(e, task, MESOS__V1__TASK_STATE__TASK_KILLING, -1, NULL);
    if (task->pid > 0)
        begin_signals(e, task); /* else when it has started */
}

void executor_tasks_kill_all(struct executor *e, int64_t grace_ms)
{
    list_for_each(it, &e->tasks) executor_tasks_kill(e, container_of(it, struct executor_task, in_tasks), grace_ms);
}

/* -- starting --------------------------------------------------------------------------------------------------- */

void executor_tasks_started(struct executor *e, executor_process_id id, int pid)
{
    struct executor_task *task = find_process(e, id);
    if (!task)
        return;
    task->pid = pid;
    if (task->state == EXECUTOR_TASK_KILLING) {
        begin_signals(e, task);
        return;
    }
    task->state = EXECUTOR_TASK_RUNNING;
    executor_updates_add(e, task, MESOS__V1__TASK_STATE__TASK_RUNNING, -1, NULL);
    executor_checks_start(e, task);
}

static size_t info_bytes(const struct executor *e)
{
    size_t sum = 0;
    list_for_each(it, &e->tasks) sum += container_of(it, struct executor_task, in_tasks)->info_len;
    return sum;
}

static struct executor_task *add_task(struct executor *e, const Mesos__V1__TaskInfo *info, uint64_t group, bool is_nested)
{
    struct executor_task *task = xcalloc(1, sizeof(*task));
    task->id = xstrdup(info->task_id->value);
    task->info = wire_pack(&info->base, &task->info_len);
    task->group = group;
    task->is_nested = is_nested;
    task->process = ++e->next_process;
    task->state = EXECUTOR_TASK_STARTING;
    task->sigkill_ms = INT64_MAX;
    rng_uuid(&e->rng, NULL, task->nested_id);
    task->kill_grace_ms = EXECUTOR_KILL_GRACE_MS;
    if (info->kill_policy && info->kill_policy->grace_period) {
        int64_t nanoseconds = info->kill_policy->grace_period->nanoseconds;
        task->kill_grace_ms = nanoseconds > 0 ? nanoseconds / 1000000 : 0;
    }
    task->completion_ms = INT64_MAX;
    if (info->max_completion_time)
        task->completion_ms = add_ms(
            e->now_ms, info->max_completion_time->nanoseconds > 0 ? info->max_completion_time->nanoseconds / 1000000 : 0);
    list_push_back(&e->tasks, &task->in_tasks);
    e->task_count++;
    return task;
}

/* What is wrong with a task, before anything of it is started. */
static int check_task(struct executor *e, struct executor_task *task, const Mesos__V1__TaskInfo *info, bool is_second,
                      struct executor_command *command, struct err *err)
{
    if (is_second)
        return err_set(err, -EINVAL, "this executor runs one task, and was given one already");
    if (e->task_count > EXECUTOR_TASKS_MAX || info_bytes(e) > INFO_BYTES_MAX)
        return err_set(err, -EINVAL, "too many tasks in one executor");
    if (!text_is_valid_id(task->id))
        return err_set(err, -EINVAL, "invalid task id");
    if (!info->command)
        return err_set(err, -EINVAL, "the task has no command; images with an entry point of their own are not supported");
    int result = executor_command_build(e, task, info, info->command, command, err);
    return result < 0 ? result : executor_checks_parse(task, info, err);
}

static void start_task(struct executor *e, struct executor_task *task, const struct executor_command *command)
{
    struct executor_effect *effect = executor_add_effect(e, EXECUTOR_EFFECT_START);
    effect->start.id = task->process;
    effect->start.command = *command;
    if (task->is_nested) {
        effect->start.link = arena_printf(e->out->arena, "%s/tasks/%s", e->config.sandbox, task->id);
        effect->start.link_target = arena_printf(e->out->arena, "../containers/%s", task->nested_id);
    }
}

void executor_tasks_launch(struct executor *e, Mesos__V1__TaskInfo *const *infos, size_t count, bool is_group)
{
    bool is_nested = is_group || e->is_default;
    bool is_second = !is_nested && e->has_launched;
    uint64_t group = ++e->next_group;
    struct executor_command *commands = arena_new_array(e->out->arena, struct executor_command, count + 1);
    struct executor_task **tasks = arena_new_array(e->out->arena, struct executor_task *, count + 1);
    struct executor_task *bad = NULL;
    struct err err = {0};
    for (size_t i = 0; i < count; i++) {
        if (executor_tasks_find(e, infos[i]->task_id->value))
            continue; /* a repetition */
        tasks[i] = add_task(e, infos[i], group, is_nested);
        if (!bad && check_task(e, tasks[i], infos[i], is_second, &commands[i], &err) < 0)
            bad = tasks[i];
        e->has_launched = true;
    }
    for (size_t i = 0; i < count; i++) {
        if (!tasks[i])
            continue;
        if (bad) /* all or nothing */
            end_one(e, tasks[i], MESOS__V1__TASK_STATE__TASK_FAILED, -1,
                    tasks[i] == bad ? arena_printf(e->out->arena, "%s", err.text)
                                    : arena_printf(e->out->arena, "Task %s of the same group: %s", bad->id, err.text));
        else
            executor_updates_add(e, tasks[i], MESOS__V1__TASK_STATE__TASK_STARTING, -1, NULL);
    }
    for (size_t i = 0; i < count && !bad; i++)
        if (tasks[i])
            start_task(e, tasks[i], &commands[i]);
}

/* -- time ------------------------------------------------------------------------------------------------------- */

void executor_tasks_run_due(struct executor *e)
{
    list_for_each(it, &e->tasks)
    {
        struct executor_task *task = container_of(it, struct executor_task, in_tasks);
        if (e->now_ms >= task->completion_ms) {
            task->completion_ms = INT64_MAX;
            task->is_overdue = true;
            executor_tasks_kill(e, task, 0);
        }
        if (task->state == EXECUTOR_TASK_KILLING && task->pid > 0 && e->now_ms >= task->sigkill_ms) {
            send_signal(e, task, SIGKILL);
            task->sigkill_ms = e->now_ms + SIGKILL_REPEAT_MS;
        }
        executor_checks_run_due(e, task);
    }
}

int64_t executor_tasks_next_deadline(const struct executor *e)
{
    int64_t first = INT64_MAX;
    list_for_each(it, &e->tasks)
    {
        const struct executor_task *task = container_of(it, struct executor_task, in_tasks);
        int64_t checks = executor_checks_next_deadline(task);
        if (task->completion_ms < first)
            first = task->completion_ms;
        if (task->state == EXECUTOR_TASK_KILLING && task->pid > 0 && task->sigkill_ms < first)
            first = task->sigkill_ms;
        if (checks < first)
            first = checks;
    }
    return first;
}
