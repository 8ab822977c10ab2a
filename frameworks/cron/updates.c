/* SPDX-License-Identifier: Apache-2.0
 * updates.c - status updates from the master. An update is acknowledged once what it changed is durable. */
#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"
#include "frameworks/cron/core.h"
#include "frameworks/sdk/calls.h"

static bool is_reconciled(const Mesos__V1__TaskStatus *status)
{
    return status->has_reason && status->reason == MESOS__V1__TASK_STATUS__REASON__REASON_RECONCILIATION;
}

/* A launch that nothing was ever heard of, on an agent that is registered and does not know it, never got there: the agent
 * keeps what it knows of a task until that was acknowledged. Only the text tells that from a task that the agent knows and
 * whose latest state is GONE. UNKNOWN is no such answer: the agent itself is not known any more, and the task may have run
 * on it (facts: mesos 1.12). */
static bool never_arrived(const struct task *t, const Mesos__V1__TaskStatus *status)
{
    return t->state == TASK_CREATED && !t->is_heard && is_reconciled(status) &&
           status->state == MESOS__V1__TASK_STATE__TASK_GONE && status->message &&
           strstr(status->message, "unknown to the agent");
}

/* TASK_DROPPED says that the task did not run. Only these reasons also say that nothing is wrong with it: others (a user
 * that does not exist) would come again for ever (facts: mesos 1.11). */
static bool is_bad_luck(const Mesos__V1__TaskStatus *status)
{
    switch (status->has_reason ? status->reason : 0) {
    case MESOS__V1__TASK_STATUS__REASON__REASON_INVALID_OFFERS:
    case MESOS__V1__TASK_STATUS__REASON__REASON_AGENT_REMOVED:
    case MESOS__V1__TASK_STATUS__REASON__REASON_AGENT_DISCONNECTED:
    case MESOS__V1__TASK_STATUS__REASON__REASON_AGENT_RESTARTED:
        return true;
    default:
        return false;
    }
}

/* false: it has not ended. */
static bool end_of(const struct task *t, const Mesos__V1__TaskStatus *status, enum task_end *out)
{
    switch (status->state) {
    case MESOS__V1__TASK_STATE__TASK_FINISHED:
        *out = TASK_FINISHED;
        return true;
    case MESOS__V1__TASK_STATE__TASK_FAILED:
    case MESOS__V1__TASK_STATE__TASK_ERROR:
        *out = TASK_FAILED;
        return true;
    case MESOS__V1__TASK_STATE__TASK_KILLED:
        *out = TASK_KILLED;
        return true;
    case MESOS__V1__TASK_STATE__TASK_DROPPED:
        *out = is_bad_luck(status) ? TASK_NEVER : TASK_FAILED;
        return true;
    case MESOS__V1__TASK_STATE__TASK_LOST:
    case MESOS__V1__TASK_STATE__TASK_GONE:
    case MESOS__V1__TASK_STATE__TASK_GONE_BY_OPERATOR:
    case MESOS__V1__TASK_STATE__TASK_UNKNOWN:
        *out = never_arrived(t, status) ? TASK_NEVER : TASK_LOST;
        return true;
    default:
        return false;
    }
}

static bool is_terminal(Mesos__V1__TaskState s)
{
    return s != MESOS__V1__TASK_STATE__TASK_STAGING && s != MESOS__V1__TASK_STATE__TASK_STARTING &&
           s != MESOS__V1__TASK_STATE__TASK_RUNNING && s != MESOS__V1__TASK_STATE__TASK_KILLING &&
           s != MESOS__V1__TASK_STATE__TASK_UNREACHABLE;
}

/* Tasks of runs that are over here. */
static void on_unknown_task(struct cron *c, const Mesos__V1__TaskStatus *status)
{
    bool is_lost = status->state == MESOS__V1__TASK_STATE__TASK_UNREACHABLE;
    if (is_terminal(status->state) || is_lost || status->state == MESOS__V1__TASK_STATE__TASK_KILLING || !c->is_connected)
        return;
    cron_trace(c, "task %s is not known and is killed", status->task_id->value);
    const char *agent_id = status->agent_id ? status->agent_id->value : NULL;
    cron_call(c, sdk_call_kill(outbox_later_arena(c->outbox), status->task_id->value, agent_id, -1));
}

static void note_container(struct cron *c, struct task *t, const Mesos__V1__TaskStatus *status)
{
    const Mesos__V1__ContainerStatus *s = status->container_status;
    if (t->container_id || s == NULL || s->container_id == NULL)
        return;
    t->container_id = xstrdup(s->container_id->value);
    if (!t->run->array)
        cron_run_changed(c, t->run);
}

static void on_unreachable(struct cron *c, struct task *t, const Mesos__V1__TaskStatus *status)
{
    if (t->is_killed) { /* nobody waits for its return */
        cron_run_task_ended(c, t, TASK_KILLED, NULL);
        return;
    }
    if (t->state == TASK_UNREACHABLE)
        return;
    t->unreachable_ms = status->unreachable_time ? status->unreachable_time->nanoseconds / 1000000 : c->wall_ms;
    cron_task_set_state(c, t, TASK_UNREACHABLE);
}

static void on_running(struct cron *c, struct task *t)
{
    if (t->started_ms == 0)
        t->started_ms = c->wall_ms;
    cron_task_set_state(c, t, TASK_RUNNING);
    cron_run_task_running(c, t);
}

static void apply(struct cron *c, struct task *t, const Mesos__V1__TaskStatus *status)
{
    bool was_heard = t->is_heard;
    t->is_heard = true;
    note_container(c, t, status);
    switch (status->state) {
    case MESOS__V1__TASK_STATE__TASK_STAGING:
        /* Reconciliation says it of tasks that are on their way; a later state is not taken back. */
        if (t->state == TASK_CREATED)
            cron_task_set_state(c, t, TASK_STAGING);
        return;
    case MESOS__V1__TASK_STATE__TASK_STARTING:
        if (t->state == TASK_CREATED || t->state == TASK_STAGING)
            cron_task_set_state(c, t, TASK_STARTING);
        return;
    case MESOS__V1__TASK_STATE__TASK_RUNNING:
        if (t->state != TASK_RUNNING || !was_heard)
            on_running(c, t);
        else if (t->is_killed && c->is_connected && c->now_ms >= t->kill_next_ms)
            cron_task_send_kill(c, t);
        return;
    case MESOS__V1__TASK_STATE__TASK_UNREACHABLE:
        on_unreachable(c, t, status);
        return;
    default: /* TASK_KILLING changes nothing */
        return;
    }
}

void cron_on_update(struct cron *c, const Mesos__V1__TaskStatus *status)
{
    struct task *t = map_get(&c->tasks, status->task_id->value);
    enum task_end how;
    if (t == NULL) {
        on_unknown_task(c, status);
    } else if (end_of(t, status, &how)) {
        note_container(c, t, status);
        if (t->started_ms == 0 && how == TASK_FINISHED) /* it was too short to be seen running */
            t->started_ms = t->run->started_ms = c->wall_ms;
        cron_run_task_ended(c, t, how, status->message);
    } else {
        apply(c, t, status);
    }
    outbox_acknowledge(c->outbox, status);
}
