/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/drain.h"

#include "agent/checkpoint.h"
#include "agent/frameworks.h"
#include "agent/tasks.h"

#define KILL_GRACE_DEFAULT_NS 3000000000LL /* of tasks without a kill policy; facts: mesos 2.11 */

static int64_t own_grace_ns(struct agent *a, const struct agent_task *t)
{
    const Mesos__V1__TaskInfo *info = agent_unpack(&mesos__v1__task_info__descriptor, t->info, t->info_len, a->out->arena);
    if (info->kill_policy == NULL || info->kill_policy->grace_period == NULL)
        return KILL_GRACE_DEFAULT_NS;
    return info->kill_policy->grace_period->nanoseconds;
}

static void kill(struct agent *a, struct agent_task *t)
{
    bool is_shorter_wanted = t->kill_wanted && t->has_kill_grace && t->kill_grace_ns <= a->drain.max_grace_ns;
    if (!a->drain.has_max_grace || own_grace_ns(a, t) <= a->drain.max_grace_ns)
        agent_task_kill(a, t, t->has_kill_grace, t->kill_grace_ns);
    else
        agent_task_kill(a, t, true, is_shorter_wanted ? t->kill_grace_ns : a->drain.max_grace_ns);
}

void agent_drain_kill_all(struct agent *a)
{
    if (!a->drain.is_on || a->phase != AGENT_PHASE_RUNNING)
        return;
    for (struct map_entry *i = map_first(&a->frameworks); i != NULL; i = map_next(i)) {
        struct agent_framework *f = map_value(i);
        for (struct map_entry *j = map_first(&f->tasks); !f->terminating && j != NULL; j = map_next(j))
            kill(a, map_value(j)); /* a task leaves the table with its last acknowledgement, not before */
    }
}

void agent_on_drain(struct agent *a, const Muster__Link__Drain *order)
{
    const Mesos__V1__DurationInfo *grace = order->config->max_grace_period;
    a->drain = (struct agent_drain){
        .is_on = true,
        .mark_gone = order->config->mark_gone,
        .has_max_grace = grace != NULL,
        .max_grace_ns = grace != NULL ? grace->nanoseconds : 0,
        .start_ms = order->start_ms,
    };
    agent_trace(a, LOG_LEVEL_INFO, "the master asks this agent to end everything on it");
    agent_checkpoint_drain(a);
    agent_drain_kill_all(a);
}

void agent_on_stop_draining(struct agent *a)
{
    if (!a->drain.is_on)
        return;
    a->drain = (struct agent_drain){0};
    agent_trace(a, LOG_LEVEL_INFO, "this agent is in service again");
    agent_checkpoint_drain(a);
}

void agent_drain_mark(const struct agent *a, const struct agent_task *t, Mesos__V1__TaskStatus *status)
{
    if (!a->drain.is_on || ((int)status->state != AGENT_STATE(KILLED) && (int)status->state != AGENT_STATE(KILLING)))
        return;
    status->has_reason = true;
    status->reason = MESOS__V1__TASK_STATUS__REASON__REASON_AGENT_DRAINING;
    if ((int)status->state == AGENT_STATE(KILLED) && a->drain.mark_gone && t->framework->partition_aware)
        status->state = MESOS__V1__TASK_STATE__TASK_GONE_BY_OPERATOR;
}

Mesos__V1__DrainConfig *agent_drain_config(const struct agent *a, struct arena *arena)
{
    if (!a->drain.is_on)
        return NULL;
    Mesos__V1__DrainConfig *config = arena_new_one(arena, Mesos__V1__DrainConfig);
    *config = (Mesos__V1__DrainConfig)MESOS__V1__DRAIN_CONFIG__INIT;
    config->has_mark_gone = true;
    config->mark_gone = a->drain.mark_gone;
    if (a->drain.has_max_grace) {
        config->max_grace_period = arena_new_one(arena, Mesos__V1__DurationInfo);
        *config->max_grace_period = (Mesos__V1__DurationInfo)MESOS__V1__DURATION_INFO__INIT;
        config->max_grace_period->nanoseconds = a->drain.max_grace_ns;
    }
    return config;
}
