/* SPDX-License-Identifier: Apache-2.0
 * frameworks.c - frameworks that have something on this machine. A framework is here while an executor or a task is; then
 * it is completed: out of the store, remembered in memory for people who look for its sandboxes. */
#include "agent/frameworks.h"

#include <stdlib.h>
#include <string.h>

#include "agent/checkpoint.h"
#include "agent/executors.h"
#include "agent/session.h"
#include "agent/tasks.h"
#include "agent/updates.h"
#include "common/base/check.h"

struct agent_framework *agent_framework_find(const struct agent *a, const char *id)
{
    struct agent_framework *f = map_get(&a->frameworks, id);
    return f != NULL && !f->completed ? f : NULL;
}

static void take_info(struct agent_framework *f, const Mesos__V1__FrameworkInfo *info, const void *packed, size_t len)
{
    free(f->info);
    free(f->user);
    free(f->name);
    f->info = xmemdup(packed, len);
    f->info_len = len;
    f->user = xstrdup(info->user);
    f->name = xstrdup(info->name);
    f->checkpoint = info->has_checkpoint && info->checkpoint;
    f->partition_aware = false;
    for (size_t i = 0; i < info->n_capabilities; i++) {
        if (info->capabilities[i]->type == MESOS__V1__FRAMEWORK_INFO__CAPABILITY__TYPE__PARTITION_AWARE)
            f->partition_aware = true;
    }
}

static struct agent_framework *framework_get(struct agent *a, const char *id)
{
    struct agent_framework *f = map_get(&a->frameworks, id);
    if (f != NULL) {
        if (f->completed) {
            f->completed = false;
            list_remove(&f->completed_link);
            a->completed_framework_count--;
        }
        return f;
    }
    f = xcalloc(1, sizeof(*f));
    f->id = xstrdup(id);
    list_init(&f->completed_executors);
    list_init(&f->completed_link);
    map_init(&f->executors);
    map_init(&f->tasks);
    (void)map_put(&a->frameworks, id, f);
    return f;
}

struct agent_framework *agent_framework_restore(struct agent *a, const Mesos__V1__FrameworkInfo *info, const void *packed,
                                                size_t len)
{
    struct agent_framework *f = framework_get(a, info->id->value);
    take_info(f, info, packed, len);
    return f;
}

struct agent_framework *agent_framework_open(struct agent *a, const Mesos__V1__FrameworkInfo *info, const void *packed,
                                             size_t len)
{
    struct agent_framework *f = agent_framework_find(a, info->id->value);
    if (f != NULL && f->info_len == len && memcmp(f->info, packed, len) == 0)
        return f;
    f = agent_framework_restore(a, info, packed, len);
    agent_checkpoint_framework(a, f);
    return f;
}

void agent_framework_update(struct agent *a, const Mesos__V1__FrameworkInfo *info, const void *packed, size_t len)
{
    if (agent_framework_find(a, info->id->value) == NULL)
        return;
    struct agent_framework *f = agent_framework_open(a, info, packed, len);
    /* The master tells of a framework when its scheduler came back: what the one before never acknowledged would
     * otherwise wait for its next repetition. */
    agent_updates_resend(a, f);
}

/* Nobody acknowledges the updates of a framework that is removed. */
static void drop_tasks(struct agent *a, struct map *tasks, bool (*which)(const struct agent_task *t))
{
    for (struct map_entry *it = map_first(tasks), *next; it != NULL; it = next) {
        next = map_next(it);
        if (which(map_value(it)))
            agent_task_drop(a, map_value(it));
    }
}

static bool has_no_container(const struct agent_task *t)
{
    return t->executor == NULL || t->executor->state == AGENT_EXECUTOR_TERMINATED;
}

void agent_framework_shutdown(struct agent *a, struct agent_framework *f)
{
    agent_trace(a, LOG_LEVEL_INFO, "shutting down framework %s", f->id);
    f->terminating = true;
    drop_tasks(a, &f->tasks, has_no_container);
    for (struct map_entry *it = map_first(&f->executors), *next; it != NULL; it = next) {
        next = map_next(it);
        struct agent_executor *e = map_value(it);
        agent_executor_shutdown(a, e);
        if (e->state == AGENT_EXECUTOR_TERMINATED)
            agent_executor_settle(a, e);
    }
    agent_framework_settle(a, f);
}

static void forget_oldest(struct agent *a)
{
    struct agent_framework *f =
        container_of(list_pop_front(&a->completed_frameworks), struct agent_framework, completed_link);
    a->completed_framework_count--;
    list_for_each(it, &f->completed_executors)
    {
        struct agent_executor *e = container_of(it, struct agent_executor, completed_link);
        a->completed_executor_count--;
        (void)agent_executor_free(a, e);
    }
    list_init(&f->completed_executors);
    (void)map_remove(&a->frameworks, f->id);
    (void)agent_framework_free(f);
}

void agent_framework_settle(struct agent *a, struct agent_framework *f)
{
    if (f->completed || map_count(&f->executors) != 0 || map_count(&f->tasks) != 0)
        return;
    f->completed = true;
    f->terminating = false;
    agent_checkpoint_forget_framework(a, f);
    list_push_back(&a->completed_frameworks, &f->completed_link);
    a->completed_framework_count++;
    agent_session_settle(a);
}

void agent_frameworks_trim(struct agent *a)
{
    while (a->completed_framework_count > AGENT_COMPLETED_FRAMEWORKS_MAX)
        forget_oldest(a);
}

struct agent_framework *agent_framework_free(struct agent_framework *f)
{
    if (f == NULL)
        return NULL;
    for (struct map_entry *it = map_first(&f->tasks); it != NULL; it = map_next(it))
        (void)agent_task_free(map_value(it));
    for (struct map_entry *it = map_first(&f->executors); it != NULL; it = map_next(it))
        (void)agent_executor_free(NULL, map_value(it));
    list_for_each(it, &f->completed_executors)(void)
        agent_executor_free(NULL, container_of(it, struct agent_executor, completed_link));
    map_deinit(&f->tasks);
    map_deinit(&f->executors);
    free(f->info);
    free(f->user);
    free(f->name);
    free(f->id);
    free(f);
    return NULL;
}
