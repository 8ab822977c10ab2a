/* SPDX-License-Identifier: Apache-2.0
 * updates.c - status updates until the agent has stored them (facts: mesos 1.11, 2.1). */
#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"
#include "common/wire/codec.h"
#include "executor/state.h"

void executor_updates_drop(struct executor *e, struct executor_update *update)
{
    if (e->call_update == update)
        e->call_update = NULL;
    list_remove(&update->in_updates);
    CHECK(update->task->update_count > 0);
    update->task->update_count--;
    free(update->status);
    free(update);
}

/* A check's result that nobody has heard yet is replaced by the newer one: an agent that is away for long does not make
 * flapping checks pile up. */
static void drop_untold_check(struct executor *e, const struct executor_task *task)
{
    list_for_each(it, &e->updates)
    {
        struct executor_update *update = container_of(it, struct executor_update, in_updates);
        if (update->task == task && update->is_check && update->told == 0)
            executor_updates_drop(e, update);
    }
}

static Mesos__V1__ContainerStatus *container_status(const struct executor *e, const struct executor_task *task)
{
    struct arena *arena = e->out->arena;
    Mesos__V1__ContainerStatus *status = arena_new_one(arena, Mesos__V1__ContainerStatus);
    *status = (Mesos__V1__ContainerStatus)MESOS__V1__CONTAINER_STATUS__INIT;
    Mesos__V1__ContainerID *id = arena_new_one(arena, Mesos__V1__ContainerID);
    *id = (Mesos__V1__ContainerID)MESOS__V1__CONTAINER_ID__INIT;
    id->value = (char *)task->nested_id;
    if (e->container_id[0]) {
        id->parent = arena_new_one(arena, Mesos__V1__ContainerID);
        *id->parent = (Mesos__V1__ContainerID)MESOS__V1__CONTAINER_ID__INIT;
        id->parent->value = e->container_id;
    }
    status->container_id = id;
    return status;
}

void executor_updates_add(struct executor *e, struct executor_task *task, Mesos__V1__TaskState state, int reason,
                          const char *message)
{
    bool is_check = reason == MESOS__V1__TASK_STATUS__REASON__REASON_TASK_HEALTH_CHECK_STATUS_UPDATED ||
                    reason == MESOS__V1__TASK_STATUS__REASON__REASON_TASK_CHECK_STATUS_UPDATED;
    if (is_check) {
        drop_untold_check(e, task);
        if (task->update_count >= EXECUTOR_TASK_UPDATES_MAX)
            return; /* the next update carries the newest health anyway */
    }
    struct executor_update *update = xcalloc(1, sizeof(*update));
    rng_uuid(&e->rng, update->uuid, NULL);

    Mesos__V1__TaskID task_id = MESOS__V1__TASK_ID__INIT;
    Mesos__V1__ExecutorID executor_id = MESOS__V1__EXECUTOR_ID__INIT;
    Mesos__V1__TaskStatus status = MESOS__V1__TASK_STATUS__INIT;
    task_id.value = task->id;
    executor_id.value = (char *)e->config.executor_id;
    status.task_id = &task_id;
    status.executor_id = &executor_id;
    status.state = state;
    status.message = (char *)message;
    status.has_source = true;
    status.source = MESOS__V1__TASK_STATUS__SOURCE__SOURCE_EXECUTOR;
    status.has_reason = reason >= 0;
    if (reason >= 0)
        status.reason = (Mesos__V1__TaskStatus__Reason)reason;
    status.has_timestamp = true;
    status.timestamp = (double)e->wall_ms / 1000.0;
    status.has_uuid = true;
    status.uuid.data = update->uuid;
    status.uuid.len = sizeof(update->uuid);
    status.has_healthy = task->has_health;
    status.healthy = task->is_healthy;
    status.check_status = executor_checks_status(e, task);
    if (task->is_nested)
        status.container_status = container_status(e, task);

    update->status = wire_pack(&status.base, &update->status_len);
    update->task = task;
    update->is_check = is_check;
    list_push_back(&e->updates, &update->in_updates);
    task->update_count++;
}

void executor_updates_acknowledge(struct executor *e, const char *task_id, const uint8_t *uuid, size_t uuid_len)
{
    list_for_each(it, &e->updates)
    {
        struct executor_update *update = container_of(it, struct executor_update, in_updates);
        if (uuid_len != sizeof(update->uuid) || memcmp(update->uuid, uuid, uuid_len) != 0 ||
            strcmp(update->task->id, task_id) != 0)
            continue;
        struct executor_task *task = update->task;
        task->is_acknowledged = true;
        executor_updates_drop(e, update);
        executor_tasks_forget_done(e, task);
        return;
    }
}
