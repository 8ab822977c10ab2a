/* SPDX-License-Identifier: Apache-2.0
 * updates.c - status updates from the master (facts: marathon 4.5). An update is acknowledged once what it changed is
 * durable. */
#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"
#include "frameworks/marathon/core.h"
#include "frameworks/sdk/calls.h"

static enum condition lost_condition(const Mesos__V1__TaskStatus *status)
{
    if (!status->has_reason)
        return CONDITION_GONE;
    switch (status->reason) {
    case MESOS__V1__TASK_STATUS__REASON__REASON_RECONCILIATION:
    case MESOS__V1__TASK_STATUS__REASON__REASON_AGENT_DISCONNECTED:
    case MESOS__V1__TASK_STATUS__REASON__REASON_AGENT_REMOVED:
        return CONDITION_UNREACHABLE;
    default:
        return CONDITION_GONE;
    }
}

static enum condition condition_of(const Mesos__V1__TaskStatus *status)
{
    switch (status->state) {
    case MESOS__V1__TASK_STATE__TASK_STAGING:
        return CONDITION_STAGING;
    case MESOS__V1__TASK_STATE__TASK_STARTING:
        return CONDITION_STARTING;
    case MESOS__V1__TASK_STATE__TASK_RUNNING:
        return CONDITION_RUNNING;
    case MESOS__V1__TASK_STATE__TASK_KILLING:
        return CONDITION_KILLING;
    case MESOS__V1__TASK_STATE__TASK_FINISHED:
        return CONDITION_FINISHED;
    case MESOS__V1__TASK_STATE__TASK_FAILED:
        return CONDITION_FAILED;
    case MESOS__V1__TASK_STATE__TASK_KILLED:
        return CONDITION_KILLED;
    case MESOS__V1__TASK_STATE__TASK_ERROR:
        return CONDITION_ERROR;
    case MESOS__V1__TASK_STATE__TASK_LOST:
        return lost_condition(status);
    case MESOS__V1__TASK_STATE__TASK_DROPPED:
        return CONDITION_DROPPED;
    case MESOS__V1__TASK_STATE__TASK_UNREACHABLE:
        return CONDITION_UNREACHABLE;
    case MESOS__V1__TASK_STATE__TASK_GONE:
    case MESOS__V1__TASK_STATE__TASK_GONE_BY_OPERATOR:
        return CONDITION_GONE;
    default:
        return CONDITION_UNKNOWN;
    }
}

static const char *state_name(const Mesos__V1__TaskStatus *status)
{
    const ProtobufCEnumValue *v =
        protobuf_c_enum_descriptor_get_value(&mesos__v1__task_state__descriptor, (int)status->state);
    return v ? v->name : "TASK_UNKNOWN";
}

/* Running tasks that nobody wants are ended; of ended ones it is enough to say so. */
static void on_unknown_task(struct marathon *m, const Mesos__V1__TaskStatus *status, enum condition c)
{
    if (condition_is_terminal(c)) {
        marathon_publish_unknown(m, status->task_id->value, c);
        return;
    }
    if (c == CONDITION_UNREACHABLE || c == CONDITION_KILLING || !m->is_connected)
        return;
    marathon_trace(m, "task %s is not known and is killed", status->task_id->value);
    const char *agent_id = status->agent_id ? status->agent_id->value : NULL;
    outbox_call(m->outbox, sdk_call_kill(outbox_later_arena(m->outbox), status->task_id->value, agent_id, -1));
}

static void note_address(struct instance *i, const Mesos__V1__TaskStatus *status)
{
    const Mesos__V1__ContainerStatus *c = status->container_status;
    if (c == NULL || c->n_network_infos == 0 || c->network_infos[0]->n_ip_addresses == 0)
        return;
    const char *ip = c->network_infos[0]->ip_addresses[0]->ip_address;
    if (ip == NULL || (i->address && strcmp(i->address, ip) == 0))
        return;
    free(i->address);
    i->address = xstrdup(ip);
}

/* What the general check said; false: nothing. */
static bool check_result_of(const Mesos__V1__TaskStatus *status, int64_t *out)
{
    const Mesos__V1__CheckStatusInfo *c = status->check_status;
    if (c && c->http && c->http->has_status_code)
        *out = c->http->status_code;
    else if (c && c->tcp && c->tcp->has_succeeded)
        *out = c->tcp->succeeded;
    else if (c && c->command && c->command->has_exit_code)
        *out = c->command->exit_code;
    else
        return false;
    return true;
}

static void on_running(struct marathon *m, struct instance *i, const Mesos__V1__TaskStatus *status)
{
    bool was_inactive = i->condition == CONDITION_UNREACHABLE_INACTIVE;
    note_address(i, status);
    if (status->has_healthy)
        i->mesos_health = status->healthy ? HEALTH_GOOD : HEALTH_BAD;
    if (check_result_of(status, &i->check_result))
        i->has_check_result = true;
    if (i->started_ms == 0)
        i->started_ms = m->wall_ms;
    i->unreachable_ms = 0;
    if (was_inactive)
        i->service->wants_trim = true; /* its replacement may be one too many now */
    launch_backoff_advance(&i->service->backoff, m->now_ms);
    bool is_new = i->condition != CONDITION_RUNNING;
    marathon_instance_set_condition(m, i, CONDITION_RUNNING);
    if (is_new)
        marathon_health_start(m, i);
    marathon_health_publish(m, i);
    marathon_instance_changed(m, i, true);
}

static void on_unreachable(struct marathon *m, struct instance *i, const Mesos__V1__TaskStatus *status)
{
    if (i->condition == CONDITION_UNREACHABLE || i->condition == CONDITION_UNREACHABLE_INACTIVE)
        return;
    if (i->is_decommissioned || i->is_killed) { /* nobody waits for its return */
        i->is_decommissioned = true;
        marathon_instance_ended(m, i, CONDITION_KILLED, NULL);
        return;
    }
    i->unreachable_ms = status->unreachable_time ? status->unreachable_time->nanoseconds / 1000000 : m->wall_ms;
    marathon_instance_set_condition(m, i, CONDITION_UNREACHABLE);
    if (i->spec->inactive_after_s != APP_UNREACHABLE_DISABLED && i->spec->inactive_after_s == 0)
        marathon_instance_on_timer(m, i);
}

static void apply(struct marathon *m, struct instance *i, enum condition c, const Mesos__V1__TaskStatus *status)
{
    i->has_status = true;
    if (condition_is_terminal(c)) {
        marathon_instance_ended(m, i, c, status->message);
        return;
    }
    switch (c) {
    case CONDITION_RUNNING:
        on_running(m, i, status);
        return;
    case CONDITION_UNREACHABLE:
        on_unreachable(m, i, status);
        return;
    case CONDITION_STAGING:
        /* Reconciliation says it of tasks that are on their way; a later state is not taken back. */
        if (i->condition == CONDITION_PROVISIONED)
            marathon_instance_set_condition(m, i, c);
        return;
    case CONDITION_STARTING:
        launch_backoff_advance(&i->service->backoff, m->now_ms);
        if (i->condition == CONDITION_PROVISIONED || i->condition == CONDITION_STAGING)
            marathon_instance_set_condition(m, i, c);
        return;
    default:
        marathon_instance_set_condition(m, i, c);
        return;
    }
}

static bool is_news(const struct instance *i, enum condition c, const Mesos__V1__TaskStatus *status)
{
    if (i->condition != c || !i->has_status)
        return true;
    int64_t result;
    if (c == CONDITION_RUNNING && check_result_of(status, &result) && (!i->has_check_result || result != i->check_result))
        return true;
    return c == CONDITION_RUNNING && status->has_healthy && i->mesos_health != (status->healthy ? HEALTH_GOOD : HEALTH_BAD);
}

void marathon_on_update(struct marathon *m, const Mesos__V1__TaskStatus *status)
{
    enum condition c = condition_of(status);
    struct instance *i = marathon_instance_by_task(m, status->task_id->value);
    if (i == NULL) {
        on_unknown_task(m, status, c);
    } else if (is_news(i, c, status)) {
        marathon_publish_update(m, i, state_name(status), status->message);
        apply(m, i, c, status);
    } else if (i->is_killed && m->is_connected && m->now_ms >= i->kill_next_ms) {
        marathon_send_kill(m, i);
    }
    outbox_acknowledge(m->outbox, status);
}
