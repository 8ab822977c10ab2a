/* SPDX-License-Identifier: Apache-2.0
 * updates.c - status updates on their way from an executor (or the agent itself) to the scheduler:
 *
 *     accepted --on disk--> durable --first in its task and registered--> in flight --acknowledged, on disk--> history
 *
 * A task's state moves when an update is on disk, never before: what the master hears on a reregistration survives a crash.
 * After a terminal update nothing more is taken for the task. Lost messages are covered by repetition, repetitions are told
 * apart by their uuid. */
#include "agent/updates.h"

#include <stdlib.h>
#include <string.h>

#include "agent/checkpoint.h"
#include "agent/drain.h"
#include "agent/executors.h"
#include "agent/session.h"
#include "agent/tasks.h"
#include "common/base/check.h"
#include "common/wire/codec.h"

static struct agent_update *first_update(const struct agent_task *t)
{
    return list_is_empty(&t->updates) ? NULL : container_of(t->updates.next, struct agent_update, link);
}

static struct agent_update *update_new(struct agent_task *t, const Mesos__V1__TaskStatus *status)
{
    size_t len = protobuf_c_message_get_packed_size(&status->base);
    struct agent_update *u = xcalloc(1, sizeof(*u) + len);
    u->len = len;
    (void)protobuf_c_message_pack(&status->base, u->status);
    memcpy(u->uuid, status->uuid.data, AGENT_UPDATE_UUID_SIZE);
    u->sequence = t->next_sequence++;
    u->state = (int)status->state;
    return u;
}

static void append(struct agent *a, struct agent_task *t, const Mesos__V1__TaskStatus *status, bool from_executor)
{
    struct agent_update *u = update_new(t, status);
    u->from_executor = from_executor;
    list_push_back(&t->updates, &u->link);
    t->update_count++;
    t->accepted_state = u->state;
    agent_checkpoint_update(a, t, u);
    agent_checkpoint_then(a, AGENT_PENDING_UPDATE, t->framework->id, NULL, t->id, u->sequence);
}

/* What the agent knows about the container: its id, its first process, and the address of tasks on the host's network. */
static Mesos__V1__ContainerStatus *container_status(struct agent *a, const struct agent_executor *e,
                                                    const Mesos__V1__ContainerStatus *given)
{
    struct arena *arena = a->out->arena;
    Mesos__V1__ContainerStatus *status = arena_new_one(arena, Mesos__V1__ContainerStatus);
    if (given != NULL)
        *status = *given;
    else
        *status = (Mesos__V1__ContainerStatus)MESOS__V1__CONTAINER_STATUS__INIT;
    if (status->container_id == NULL)
        status->container_id = agent_wire_container_id(arena, e->container_id);
    if (!status->has_executor_pid && e->pid > 0) {
        status->has_executor_pid = true;
        status->executor_pid = (uint32_t)e->pid;
    }
    if (status->n_network_infos == 0) {
        Mesos__V1__NetworkInfo__IPAddress *ip = arena_new_one(arena, Mesos__V1__NetworkInfo__IPAddress);
        *ip = (Mesos__V1__NetworkInfo__IPAddress)MESOS__V1__NETWORK_INFO__IPADDRESS__INIT;
        ip->has_protocol = true;
        ip->protocol =
            strchr(a->config.ip, ':') ? MESOS__V1__NETWORK_INFO__PROTOCOL__IPv6 : MESOS__V1__NETWORK_INFO__PROTOCOL__IPv4;
        ip->ip_address = (char *)(uintptr_t)a->config.ip;
        Mesos__V1__NetworkInfo *network = arena_new_one(arena, Mesos__V1__NetworkInfo);
        *network = (Mesos__V1__NetworkInfo)MESOS__V1__NETWORK_INFO__INIT;
        network->n_ip_addresses = 1;
        network->ip_addresses = arena_new_one(arena, Mesos__V1__NetworkInfo__IPAddress *);
        network->ip_addresses[0] = ip;
        status->n_network_infos = 1;
        status->network_infos = arena_new_one(arena, Mesos__V1__NetworkInfo *);
        status->network_infos[0] = network;
    }
    return status;
}

static bool same_uuid(const struct agent_update *u, const ProtobufCBinaryData *uuid)
{
    return memcmp(u->uuid, uuid->data, AGENT_UPDATE_UUID_SIZE) == 0;
}

int agent_updates_accept(struct agent *a, struct agent_task *t, const Mesos__V1__TaskStatus *status)
{
    list_for_each(it, &t->updates)
    {
        const struct agent_update *u = container_of(it, struct agent_update, link);
        if (same_uuid(u, &status->uuid))
            return u->durable ? AGENT_UPDATES_E_DUPLICATE : AGENT_UPDATES_E_PENDING;
    }
    list_for_each(it, &t->history)
    {
        if (same_uuid(container_of(it, struct agent_update, link), &status->uuid))
            return AGENT_UPDATES_E_DUPLICATE;
    }
    if (agent_state_is_terminal(t->accepted_state))
        return AGENT_UPDATES_E_DUPLICATE;
    if (t->update_count >= AGENT_TASK_UPDATES_MAX)
        return AGENT_UPDATES_E_FULL;
    if (protobuf_c_message_get_packed_size(&status->base) > AGENT_STATUS_BYTES_MAX)
        return AGENT_UPDATES_E_SIZE;

    Mesos__V1__TaskStatus full = *status; /* borrows the parts for packing */
    struct arena *arena = a->out->arena;
    full.agent_id = agent_wire_agent_id(arena, a->id);
    if (full.executor_id == NULL)
        full.executor_id = agent_wire_executor_id(arena, t->executor->id);
    if (!full.has_timestamp) {
        full.has_timestamp = true;
        full.timestamp = (double)a->wall_ms / 1000.0;
    }
    full.has_source = true;
    full.source = MESOS__V1__TASK_STATUS__SOURCE__SOURCE_EXECUTOR;
    full.container_status = container_status(a, t->executor, status->container_status);
    agent_drain_mark(a, t, &full);
    append(a, t, &full, true);
    return 0;
}

static Mesos__V1__TaskStatus *agent_status(struct agent *a, const char *task_id, int state, int reason, const char *message)
{
    struct arena *arena = a->out->arena;
    Mesos__V1__TaskStatus *status = arena_new_one(arena, Mesos__V1__TaskStatus);
    *status = (Mesos__V1__TaskStatus)MESOS__V1__TASK_STATUS__INIT;
    uint8_t uuid[AGENT_UPDATE_UUID_SIZE];
    rng_uuid(&a->rng, uuid, NULL);
    status->task_id = agent_wire_task_id(arena, task_id);
    status->agent_id = agent_wire_agent_id(arena, a->id);
    status->state = (Mesos__V1__TaskState)state;
    status->has_source = true;
    status->source = MESOS__V1__TASK_STATUS__SOURCE__SOURCE_AGENT;
    status->has_reason = true;
    status->reason = (Mesos__V1__TaskStatus__Reason)reason;
    status->message = arena_strdup(arena, message);
    status->has_timestamp = true;
    status->timestamp = (double)a->wall_ms / 1000.0;
    status->has_uuid = true;
    status->uuid = agent_wire_bytes(arena, uuid, sizeof(uuid));
    return status;
}

void agent_updates_generate(struct agent *a, struct agent_task *t, int state, int reason, const char *message,
                            Mesos__V1__TaskResourceLimitation *limitation)
{
    if (agent_state_is_terminal(t->accepted_state))
        return;
    Mesos__V1__TaskStatus *status = agent_status(a, t->id, state, reason, message);
    if (t->executor != NULL) {
        status->executor_id = agent_wire_executor_id(a->out->arena, t->executor->id);
        status->container_status = container_status(a, t->executor, NULL);
    }
    status->limitation = limitation;
    agent_drain_mark(a, t, status);
    append(a, t, status, false);
}

void agent_updates_lose(struct agent *a, struct agent_task *t, int aware_state, int reason, const char *message)
{
    agent_updates_generate(a, t, t->framework->partition_aware ? aware_state : AGENT_STATE(LOST), reason, message, NULL);
}

static void send_status(struct agent *a, const char *framework_id, Mesos__V1__TaskStatus *status, int latest_state)
{
    Muster__Link__StatusUpdate *update = arena_new_one(a->out->arena, Muster__Link__StatusUpdate);
    *update = (Muster__Link__StatusUpdate)MUSTER__LINK__STATUS_UPDATE__INIT;
    update->framework_id = agent_wire_framework_id(a->out->arena, framework_id);
    update->status = status;
    update->has_latest_state = true;
    update->latest_state = (Mesos__V1__TaskState)latest_state;
    Muster__Link__AgentToMaster message = MUSTER__LINK__AGENT_TO_MASTER__INIT;
    message.status_update = update;
    agent_link_send(a, &message);
}

void agent_updates_disown(struct agent *a, const char *framework_id, const char *task_id, bool partition_aware, int reason,
                          const char *message)
{
    if (!agent_session_is_up(a))
        return;
    int state = partition_aware ? AGENT_STATE(DROPPED) : AGENT_STATE(LOST);
    send_status(a, framework_id, agent_status(a, task_id, state, reason, message), state);
}

static void count_end(struct agent *a, int state)
{
    struct agent_counts *c = &a->counts;
    switch (state) {
    case AGENT_STATE(FINISHED):
        c->finished++;
        break;
    case AGENT_STATE(KILLED):
        c->killed++;
        break;
    case AGENT_STATE(LOST):
        c->lost++;
        break;
    case AGENT_STATE(GONE):
    case AGENT_STATE(GONE_BY_OPERATOR):
        c->gone++;
        break;
    case AGENT_STATE(DROPPED):
        c->dropped++;
        break;
    default:
        c->failed++;
        break;
    }
}

/* Sends the oldest update of the task if it may go out. */
static void forward(struct agent *a, struct agent_task *t)
{
    struct agent_update *u = first_update(t);
    if (u == NULL || !u->durable || u->acknowledged || t->in_flight || !agent_session_is_up(a))
        return;
    t->in_flight = true;
    t->retry_ms = AGENT_UPDATE_RETRY_MIN_MS;
    agent_timer_set(a, &t->retry, t->retry_ms);
    Mesos__V1__TaskStatus *status = agent_unpack(&mesos__v1__task_status__descriptor, u->status, u->len, a->out->arena);
    send_status(a, t->framework->id, status, t->state);
}

void agent_updates_on_durable(struct agent *a, struct agent_task *t, uint32_t sequence)
{
    struct agent_update *u = NULL;
    list_for_each(it, &t->updates)
    {
        struct agent_update *candidate = container_of(it, struct agent_update, link);
        if (candidate->sequence == sequence)
            u = candidate;
    }
    if (u == NULL) /* the task was dropped and another of the same id is here */
        return;
    u->durable = true;
    t->state = u->state;
    if (u->from_executor && t->executor != NULL)
        agent_executor_send_acknowledged(a, t->executor, t->id, u->uuid);
    if (agent_state_is_terminal(u->state)) {
        count_end(a, u->state);
        agent_task_ended(a, t);
    }
    forward(a, t);
}

void agent_updates_on_retry(struct agent *a, struct agent_task *t)
{
    if (!t->in_flight)
        return;
    int64_t next = t->retry_ms * 2;
    t->in_flight = false;
    forward(a, t);
    if (!t->in_flight)
        return; /* no master: the next session sends it */
    t->retry_ms = next < AGENT_UPDATE_RETRY_MAX_MS ? next : AGENT_UPDATE_RETRY_MAX_MS;
    agent_timer_set(a, &t->retry, t->retry_ms);
}

void agent_updates_resend(struct agent *a, const struct agent_framework *f)
{
    for (struct map_entry *it = map_first(&f->tasks); it != NULL; it = map_next(it)) {
        struct agent_task *t = map_value(it);
        t->in_flight = false;
        forward(a, t);
    }
}

void agent_updates_resend_all(struct agent *a)
{
    for (struct map_entry *it = map_first(&a->frameworks); it != NULL; it = map_next(it))
        agent_updates_resend(a, map_value(it));
}

void agent_on_acknowledge(struct agent *a, const Muster__Link__AcknowledgeUpdate *message)
{
    struct agent_task *t = agent_task_find(a, message->framework_id->value, message->task_id->value);
    struct agent_update *u = t ? first_update(t) : NULL;
    if (u == NULL || !u->durable || u->acknowledged || message->uuid.len != AGENT_UPDATE_UUID_SIZE ||
        !same_uuid(u, &message->uuid)) {
        agent_trace(a, LOG_LEVEL_DEBUG, "ignoring an acknowledgement of task %s that is not waited for",
                    message->task_id->value);
        return;
    }
    u->acknowledged = true;
    agent_timer_stop(a, &t->retry);
    agent_checkpoint_update(a, t, u);
    agent_checkpoint_then(a, AGENT_PENDING_ACKNOWLEDGED, t->framework->id, NULL, t->id, 0);
}

/* Moves an acknowledged update into the history; of a run of equal states the newest stays. */
static void remember(struct agent *a, struct agent_task *t, struct agent_update *u)
{
    struct agent_update *newest =
        list_is_empty(&t->history) ? NULL : container_of(t->history.prev, struct agent_update, link);
    struct agent_update *drop = NULL;
    if (newest != NULL && newest->state == u->state)
        drop = newest;
    else if (t->history_count >= AGENT_TASK_HISTORY_MAX)
        drop = container_of(t->history.next, struct agent_update, link);
    if (drop != NULL) {
        agent_checkpoint_forget_update(a, t, drop);
        list_remove(&drop->link);
        free(drop);
        t->history_count--;
    }
    list_push_back(&t->history, &u->link);
    t->history_count++;
}

void agent_updates_on_acknowledged(struct agent *a, struct agent_task *t)
{
    struct agent_update *u = first_update(t);
    if (u == NULL || !u->acknowledged)
        return;
    list_remove(&u->link);
    t->update_count--;
    t->in_flight = false;
    remember(a, t, u);
    if (agent_state_is_terminal(u->state))
        agent_task_complete(a, t);
    else
        forward(a, t);
}

void agent_updates_restore(struct agent *a, struct agent_task *t, uint32_t sequence, const Mesos__V1__TaskStatus *status,
                           const void *packed, size_t len, bool acknowledged)
{
    struct agent_update *u = xcalloc(1, sizeof(*u) + len);
    u->len = len;
    memcpy(u->status, packed, len);
    memcpy(u->uuid, status->uuid.data, AGENT_UPDATE_UUID_SIZE);
    u->sequence = sequence;
    u->state = (int)status->state;
    u->durable = true;
    u->acknowledged = acknowledged;
    t->state = t->accepted_state = u->state;
    if (sequence >= t->next_sequence)
        t->next_sequence = sequence + 1;
    if (acknowledged) {
        remember(a, t, u);
    } else {
        list_push_back(&t->updates, &u->link);
        t->update_count++;
    }
}

void agent_updates_clear(struct agent *a, struct agent_task *t)
{
    struct list *lists[] = {&t->updates, &t->history};
    for (size_t i = 0; i < 2; i++) {
        for (struct list *it; (it = list_pop_front(lists[i])) != NULL;)
            free(container_of(it, struct agent_update, link));
    }
    t->update_count = t->history_count = 0;
    if (a != NULL)
        agent_timer_stop(a, &t->retry);
}
