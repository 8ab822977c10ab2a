/* SPDX-License-Identifier: Apache-2.0
 * shell_metrics.c - the master's metrics under Mesos's names (facts: mesos 5.7), read from the core when somebody asks. */

#include "master/shell.h"
#include "master/state.h"

static double read_counter(void *ctx)
{
    return (double)*(const uint64_t *)ctx;
}

static void add_counter(struct master_shell *s, const char *name, const char *help, uint64_t *value)
{
    metrics_add_function(s->metrics, name, METRIC_COUNTER, help, read_counter, value);
}

/* -- agents and frameworks -------------------------------------------------------------------------------------- */

static size_t agents_in(const struct master *m, enum master_agent_state state)
{
    size_t n = 0;
    for (const struct master_agent *a = m->agents; a != NULL; a = a->hh.next)
        n += a->state == state;
    return n;
}

static double slaves_active(void *ctx)
{
    const struct master *m = ((struct master_shell *)ctx)->core;
    size_t n = 0;
    for (const struct master_agent *a = m->agents; a != NULL; a = a->hh.next)
        n += a->state == MASTER_AGENT_CONNECTED && !a->is_deactivated;
    return (double)n;
}

static double slaves_inactive(void *ctx)
{
    const struct master *m = ((struct master_shell *)ctx)->core;
    return (double)(m->connected_count + agents_in(m, MASTER_AGENT_DISCONNECTED)) - slaves_active(ctx);
}

static double slaves_connected(void *ctx)
{
    return (double)((struct master_shell *)ctx)->core->connected_count;
}

static double slaves_disconnected(void *ctx)
{
    return (double)agents_in(((struct master_shell *)ctx)->core, MASTER_AGENT_DISCONNECTED);
}

static double slaves_unreachable(void *ctx)
{
    return (double)((struct master_shell *)ctx)->core->unreachable_count;
}

static size_t frameworks_connected_count(const struct master *m)
{
    size_t n = 0;
    for (const struct master_framework *f = m->frameworks; f != NULL; f = f->hh.next)
        n += f->state == MASTER_FRAMEWORK_CONNECTED;
    return n;
}

static double frameworks_connected(void *ctx)
{
    return (double)frameworks_connected_count(((struct master_shell *)ctx)->core);
}

static double frameworks_disconnected(void *ctx)
{
    const struct master *m = ((struct master_shell *)ctx)->core;
    return (double)(HASH_COUNT(m->frameworks) - frameworks_connected_count(m));
}

static double outstanding_offers(void *ctx)
{
    return (double)HASH_COUNT(((struct master_shell *)ctx)->core->offers);
}

static double uptime(void *ctx)
{
    struct master_shell *s = ctx;
    return (double)(loop_wall_ms(s->loop) - s->started_wall_ms) / 1000;
}

static double elected(void *ctx)
{
    return ((struct master_shell *)ctx)->is_serving;
}

static double observers(void *ctx)
{
    return (double)((struct master_shell *)ctx)->observer_count;
}

/* -- tasks ------------------------------------------------------------------------------------------------------ */

static double tasks_in(const struct master_shell *s, int state)
{
    double n = 0;
    for (const struct master_framework *f = s->core->frameworks; f != NULL; f = f->hh.next)
        n += (double)f->state_counts[state];
    return n;
}

#define TASKS_IN(name, STATE)                                                                                              \
    static double name(void *ctx)                                                                                          \
    {                                                                                                                      \
        return tasks_in(ctx, MESOS__V1__TASK_STATE__TASK_##STATE);                                                         \
    }
TASKS_IN(tasks_staging, STAGING)
TASKS_IN(tasks_starting, STARTING)
TASKS_IN(tasks_running, RUNNING)
TASKS_IN(tasks_killing, KILLING)
TASKS_IN(tasks_unreachable, UNREACHABLE)

/* -- resources -------------------------------------------------------------------------------------------------- */

static double amount(const struct quantities *q, const char *name)
{
    return (double)quantities_get(q, name) / 1000;
}

/* Used by tasks and executors: charged, but not in an offer. */
static double used(const struct master *m, const char *name)
{
    double sum = amount(&m->share_root.allocated, name);
    for (const struct master_offer *o = m->offers; o != NULL; o = o->hh.next)
        sum -= amount(&o->amounts, name);
    return sum < 0 ? 0 : sum;
}

#define RESOURCE(name)                                                                                                     \
    static double name##_total(void *ctx)                                                                                  \
    {                                                                                                                      \
        return amount(&((struct master_shell *)ctx)->core->total, #name);                                                  \
    }                                                                                                                      \
    static double name##_used(void *ctx)                                                                                   \
    {                                                                                                                      \
        return used(((struct master_shell *)ctx)->core, #name);                                                            \
    }                                                                                                                      \
    static double name##_percent(void *ctx)                                                                                \
    {                                                                                                                      \
        double total = name##_total(ctx);                                                                                  \
        return total > 0 ? name##_used(ctx) / total : 0;                                                                   \
    }                                                                                                                      \
    static double name##_allocated(void *ctx)                                                                              \
    {                                                                                                                      \
        return amount(&((struct master_shell *)ctx)->core->share_root.allocated, #name);                                   \
    }
RESOURCE(cpus)
RESOURCE(gpus)
RESOURCE(mem)
RESOURCE(disk)

/* -- tables ----------------------------------------------------------------------------------------------------- */

struct gauge {
    const char *name;
    double (*read)(void *ctx);
    const char *help;
};

static const struct gauge gauges[] = {
    {"master/elected", elected, "1 while this master leads."},
    {"master/uptime_secs", uptime, "Seconds since the start."},
    {"master/slaves_active", slaves_active, "Agents that get offers."},
    {"master/slaves_connected", slaves_connected, "Agents with a connection."},
    {"master/slaves_inactive", slaves_inactive, "Agents that get no offers."},
    {"master/slaves_disconnected", slaves_disconnected, "Registered agents without a connection."},
    {"master/slaves_unreachable", slaves_unreachable, "Agents that did not come back in time."},
    {"master/frameworks_active", frameworks_connected, "Frameworks that get offers."},
    {"master/frameworks_connected", frameworks_connected, "Frameworks with a stream."},
    {"master/frameworks_inactive", frameworks_disconnected, "Frameworks that get no offers."},
    {"master/frameworks_disconnected", frameworks_disconnected, "Frameworks without a stream."},
    {"master/outstanding_offers", outstanding_offers, "Offers not yet answered."},
    {"master/operator_event_stream_subscribers", observers, "Open operator event streams."},
    {"master/tasks_staging", tasks_staging, "Tasks sent to their agent."},
    {"master/tasks_starting", tasks_starting, "Tasks being started."},
    {"master/tasks_running", tasks_running, "Tasks running."},
    {"master/tasks_killing", tasks_killing, "Tasks being killed."},
    {"master/tasks_unreachable", tasks_unreachable, "Tasks on unreachable agents."},
    {"master/cpus_total", cpus_total, "CPUs of all agents."},
    {"master/cpus_used", cpus_used, "CPUs in use."},
    {"master/cpus_percent", cpus_percent, "Share of CPUs in use."},
    {"master/gpus_total", gpus_total, "GPUs of all agents."},
    {"master/gpus_used", gpus_used, "GPUs in use."},
    {"master/gpus_percent", gpus_percent, "Share of GPUs in use."},
    {"master/mem_total", mem_total, "Memory of all agents in MB."},
    {"master/mem_used", mem_used, "Memory in use in MB."},
    {"master/mem_percent", mem_percent, "Share of memory in use."},
    {"master/disk_total", disk_total, "Disk of all agents in MB."},
    {"master/disk_used", disk_used, "Disk in use in MB."},
    {"master/disk_percent", disk_percent, "Share of disk in use."},
    {"allocator/mesos/resources/cpus/total", cpus_total, "CPUs that are shared out."},
    {"allocator/mesos/resources/cpus/offered_or_allocated", cpus_allocated, "CPUs offered or in use."},
    {"allocator/mesos/resources/mem/total", mem_total, "Memory that is shared out in MB."},
    {"allocator/mesos/resources/mem/offered_or_allocated", mem_allocated, "Memory offered or in use in MB."},
    {"allocator/mesos/resources/disk/total", disk_total, "Disk that is shared out in MB."},
    {"allocator/mesos/resources/disk/offered_or_allocated", disk_allocated, "Disk offered or in use in MB."},
    {"allocator/mesos/resources/gpus/offered_or_allocated", gpus_allocated, "GPUs offered or in use."},
};

static const struct {
    const char *name;
    Mesos__V1__Scheduler__Call__Type type;
} calls[] = {
    {"master/messages_launch_tasks", MESOS__V1__SCHEDULER__CALL__TYPE__ACCEPT},
    {"master/messages_decline_offers", MESOS__V1__SCHEDULER__CALL__TYPE__DECLINE},
    {"master/messages_revive_offers", MESOS__V1__SCHEDULER__CALL__TYPE__REVIVE},
    {"master/messages_suppress_offers", MESOS__V1__SCHEDULER__CALL__TYPE__SUPPRESS},
    {"master/messages_kill_task", MESOS__V1__SCHEDULER__CALL__TYPE__KILL},
    {"master/messages_reconcile_tasks", MESOS__V1__SCHEDULER__CALL__TYPE__RECONCILE},
    {"master/messages_reconcile_operations", MESOS__V1__SCHEDULER__CALL__TYPE__RECONCILE_OPERATIONS},
    {"master/messages_framework_to_executor", MESOS__V1__SCHEDULER__CALL__TYPE__MESSAGE},
    {"master/messages_resource_request", MESOS__V1__SCHEDULER__CALL__TYPE__REQUEST},
    {"master/messages_status_update_acknowledgement", MESOS__V1__SCHEDULER__CALL__TYPE__ACKNOWLEDGE},
    {"master/messages_unregister_framework", MESOS__V1__SCHEDULER__CALL__TYPE__TEARDOWN},
};

static const struct {
    const char *name;
    Mesos__V1__TaskState state;
} ends[] = {
    {"master/tasks_finished", MESOS__V1__TASK_STATE__TASK_FINISHED},
    {"master/tasks_failed", MESOS__V1__TASK_STATE__TASK_FAILED},
    {"master/tasks_killed", MESOS__V1__TASK_STATE__TASK_KILLED},
    {"master/tasks_lost", MESOS__V1__TASK_STATE__TASK_LOST},
    {"master/tasks_error", MESOS__V1__TASK_STATE__TASK_ERROR},
    {"master/tasks_dropped", MESOS__V1__TASK_STATE__TASK_DROPPED},
    {"master/tasks_gone", MESOS__V1__TASK_STATE__TASK_GONE},
    {"master/tasks_gone_by_operator", MESOS__V1__TASK_STATE__TASK_GONE_BY_OPERATOR},
};

void master_shell_metrics_add(struct master_shell *s)
{
    struct master_counters *c = &s->core->counters;
    for (size_t i = 0; i < sizeof(gauges) / sizeof(gauges[0]); i++)
        metrics_add_function(s->metrics, gauges[i].name, METRIC_GAUGE, gauges[i].help, gauges[i].read, s);
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
        add_counter(s, ends[i].name, "Tasks that ended in this state.", &c->tasks_ended[ends[i].state]);
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
        add_counter(s, calls[i].name, "Calls of schedulers.", &c->calls[calls[i].type]);
    add_counter(s, "master/slave_registrations", "New agents.", &c->agent_registrations);
    add_counter(s, "master/slave_reregistrations", "Agents that came back.", &c->agent_reregistrations);
    add_counter(s, "master/slave_removals", "Agents that went.", &c->agent_removals);
    add_counter(s, "master/slave_removals/reason_unhealthy", "Agents that became unreachable.",
                &c->agent_removals_unhealthy);
    add_counter(s, "master/slave_removals/reason_unregistered", "Agents that left.", &c->agent_removals_unregistered);
    add_counter(s, "master/slave_removals/reason_registered", "Agents replaced at their address.",
                &c->agent_removals_registered);
    add_counter(s, "master/messages_register_slave", "Messages of agents.", &c->messages_register);
    add_counter(s, "master/messages_reregister_slave", "Messages of agents.", &c->messages_reregister);
    add_counter(s, "master/messages_unregister_slave", "Messages of agents.", &c->messages_unregister);
    add_counter(s, "master/messages_status_update", "Messages of agents.", &c->messages_status_update);
    add_counter(s, "master/messages_executor_to_framework", "Messages of executors.", &c->messages_executor_to_framework);
    add_counter(s, "master/messages_exited_executor", "Messages of agents.", &c->messages_exited_executor);
    add_counter(s, "master/dropped_messages", "Messages with nobody to take them.", &c->dropped_messages);
    add_counter(s, "master/valid_status_updates", "Status updates taken.", &c->valid_status_updates);
    add_counter(s, "master/invalid_status_updates", "Status updates refused.", &c->invalid_status_updates);
    add_counter(s, "master/valid_status_update_acknowledgements", "Acknowledgements taken.", &c->valid_acknowledgements);
    add_counter(s, "master/invalid_status_update_acknowledgements", "Acknowledgements for agents that are not there.",
                &c->invalid_acknowledgements);
    add_counter(s, "master/offers_sent", "Offers made.", &c->offers_sent);
    add_counter(s, "master/offers_accepted", "Offers accepted.", &c->offers_accepted);
    add_counter(s, "master/offers_declined", "Offers declined.", &c->offers_declined);
    add_counter(s, "master/offers_rescinded", "Offers taken back.", &c->offers_rescinded);
    add_counter(s, "allocator/mesos/allocation_runs", "Passes that look for offers to make.", &c->allocation_passes);
    add_counter(s, "allocator/mesos/event_queue_dispatches", "Pairs of agent and framework looked at.",
                &c->allocation_tries);
    s->allocation_ms = metrics_add_timer(s->metrics, "allocator/mesos/allocation_run_ms", "Time of a pass.");
    metrics_add_system(s->metrics);
}
