/* SPDX-License-Identifier: Apache-2.0
 * metrics.c - the agent's metrics (facts: mesos 5.8), read from the counts of the last agent_shell_refresh. */
#include "agent/shell.h"
#include "agent/view.h"

#define GAUGE(field)                                                                                                       \
    static double read_##field(void *ctx)                                                                                  \
    {                                                                                                                      \
        return (double)((const struct agent_shell *)ctx)->counts.field;                                                    \
    }
GAUGE(frameworks)
GAUGE(executors_registering)
GAUGE(executors_running)
GAUGE(executors_terminating)
GAUGE(executors_terminated)
GAUGE(tasks_staging)
GAUGE(tasks_starting)
GAUGE(tasks_running)
GAUGE(tasks_killing)
GAUGE(updates_pending)
GAUGE(finished)
GAUGE(failed)
GAUGE(killed)
GAUGE(lost)
GAUGE(gone)
GAUGE(dropped)
GAUGE(valid_updates)
GAUGE(invalid_updates)
GAUGE(valid_messages)
GAUGE(invalid_messages)
GAUGE(launch_errors)
GAUGE(sandboxes_removed)
GAUGE(sandboxes_failed)
GAUGE(sandboxes_pending)

static double read_registered(void *ctx)
{
    return agent_is_registered(((const struct agent_shell *)ctx)->core);
}

static double read_uptime(void *ctx)
{
    const struct agent_shell *s = ctx;
    return (double)(loop_now_ms(s->loop) - s->begun_ms) / 1000.0;
}

static double total(const struct agent_shell *s, const char *name)
{
    const Mesos__V1__AgentInfo *info = agent_view_info(s->core);
    struct resources *r = resources_new();
    (void)resources_add_wire(r, info->resources, info->n_resources, NULL); /* our own, checked at the start */
    double value = (double)resources_scalar_millis(r, name) / 1000.0;
    (void)resources_free(r);
    return value;
}

static double used(const struct agent_shell *s, const char *name)
{
    return s->allocated ? (double)resources_scalar_millis(s->allocated, name) / 1000.0 : 0;
}

#define RESOURCE(name)                                                                                                     \
    static double read_##name##_total(void *ctx)                                                                           \
    {                                                                                                                      \
        return total(ctx, #name);                                                                                          \
    }                                                                                                                      \
    static double read_##name##_used(void *ctx)                                                                            \
    {                                                                                                                      \
        return used(ctx, #name);                                                                                           \
    }                                                                                                                      \
    static double read_##name##_percent(void *ctx)                                                                         \
    {                                                                                                                      \
        double all = total(ctx, #name);                                                                                    \
        return all > 0 ? used(ctx, #name) / all : 0;                                                                       \
    }
RESOURCE(cpus)
RESOURCE(gpus)
RESOURCE(mem)
RESOURCE(disk)

#define RESOURCE_ROWS(name)                                                                                                \
    {"slave/" #name "_total", METRIC_GAUGE, "offered amount", read_##name##_total},                                        \
        {"slave/" #name "_used", METRIC_GAUGE, "amount held by executors and tasks", read_##name##_used},                  \
    {                                                                                                                      \
        "slave/" #name "_percent", METRIC_GAUGE, "used part of the total", read_##name##_percent                           \
    }

static const struct {
    const char *name;
    enum metric_kind kind;
    const char *help;
    double (*read)(void *ctx);
} rows[] = {
    {"slave/registered", METRIC_GAUGE, "1 while registered with a master", read_registered},
    {"slave/uptime_secs", METRIC_GAUGE, "seconds since the start", read_uptime},
    {"slave/frameworks_active", METRIC_GAUGE, "frameworks with something here", read_frameworks},
    {"slave/executors_registering", METRIC_GAUGE, "executors being started", read_executors_registering},
    {"slave/executors_running", METRIC_GAUGE, "executors that have subscribed", read_executors_running},
    {"slave/executors_terminating", METRIC_GAUGE, "executors being shut down", read_executors_terminating},
    {"slave/executors_terminated", METRIC_GAUGE, "ended executors with updates pending", read_executors_terminated},
    {"slave/tasks_staging", METRIC_GAUGE, "tasks not started yet", read_tasks_staging},
    {"slave/tasks_starting", METRIC_GAUGE, "tasks being started", read_tasks_starting},
    {"slave/tasks_running", METRIC_GAUGE, "running tasks", read_tasks_running},
    {"slave/tasks_killing", METRIC_GAUGE, "tasks being killed", read_tasks_killing},
    {"slave/tasks_finished", METRIC_COUNTER, "tasks that ended well", read_finished},
    {"slave/tasks_failed", METRIC_COUNTER, "tasks that failed", read_failed},
    {"slave/tasks_killed", METRIC_COUNTER, "tasks that were killed", read_killed},
    {"slave/tasks_lost", METRIC_COUNTER, "tasks that were lost", read_lost},
    {"slave/tasks_gone", METRIC_COUNTER, "tasks that are gone", read_gone},
    {"slave/tasks_dropped", METRIC_COUNTER, "tasks that were never started", read_dropped},
    {"slave/valid_status_updates", METRIC_COUNTER, "updates taken from executors", read_valid_updates},
    {"slave/invalid_status_updates", METRIC_COUNTER, "updates refused", read_invalid_updates},
    {"slave/pending_status_updates", METRIC_GAUGE, "updates the scheduler has not acknowledged", read_updates_pending},
    {"slave/valid_framework_messages", METRIC_COUNTER, "messages passed on", read_valid_messages},
    {"slave/invalid_framework_messages", METRIC_COUNTER, "messages dropped", read_invalid_messages},
    {"slave/container_launch_errors", METRIC_COUNTER, "containers that could not be started", read_launch_errors},
    {"gc/path_removals_succeeded", METRIC_COUNTER, "sandboxes removed", read_sandboxes_removed},
    {"gc/path_removals_failed", METRIC_COUNTER, "sandboxes that could not be removed", read_sandboxes_failed},
    {"gc/path_removals_pending", METRIC_GAUGE, "sandboxes of finished runs", read_sandboxes_pending},
    RESOURCE_ROWS(cpus),
    RESOURCE_ROWS(gpus),
    RESOURCE_ROWS(mem),
    RESOURCE_ROWS(disk),
};

void agent_api_add_metrics(struct agent_shell *s)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        metrics_add_function(s->metrics, rows[i].name, rows[i].kind, rows[i].help, rows[i].read, s);
    metrics_add_system(s->metrics);
}
