/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/view.h"

#include <stdio.h>
#include <string.h>

#include "agent/executors.h"
#include "agent/frameworks.h"
#include "agent/tasks.h"
#include "common/base/check.h"
#include "common/base/text.h"

typedef Mesos__V1__Agent__Response__GetTasks GetTasks;
typedef Mesos__V1__Agent__Response__GetExecutors GetExecutors;
typedef Mesos__V1__Agent__Response__GetExecutors__Executor ExecutorEntry;
typedef Mesos__V1__Agent__Response__GetFrameworks GetFrameworks;
typedef Mesos__V1__Agent__Response__GetFrameworks__Framework FrameworkEntry;

const Mesos__V1__AgentInfo *agent_view_info(const struct agent *a)
{
    return a->info;
}

const Mesos__V1__ExecutorInfo *agent_view_executor_info(const struct agent_executor *e, struct arena *arena)
{
    return agent_unpack(&mesos__v1__executor_info__descriptor, e->info, e->info_len, arena);
}

const Mesos__V1__FrameworkInfo *agent_view_framework_info(const struct agent_framework *f, struct arena *arena)
{
    return agent_unpack(&mesos__v1__framework_info__descriptor, f->info, f->info_len, arena);
}

/* A list that grows in an arena. */
struct task_list {
    Mesos__V1__Task **at;
    size_t n, capacity;
};

/* When all updates were acknowledged the last one is the newest that the master was sent. */
static void set_last_update(Mesos__V1__Task *t)
{
    const Mesos__V1__TaskStatus *last = t->n_statuses > 0 ? t->statuses[t->n_statuses - 1] : NULL;
    if (last == NULL || t->has_status_update_state)
        return;
    t->has_status_update_state = true;
    t->status_update_state = last->state;
    t->has_status_update_uuid = last->has_uuid;
    t->status_update_uuid = last->uuid;
}

static void add_task(struct task_list *l, struct arena *arena, Mesos__V1__Task *t)
{
    set_last_update(t);
    if (l->n == l->capacity) {
        size_t capacity = l->capacity ? l->capacity * 2 : 16;
        Mesos__V1__Task **grown = arena_new_array(arena, Mesos__V1__Task *, capacity);
        for (size_t i = 0; i < l->n; i++)
            grown[i] = l->at[i];
        l->at = grown;
        l->capacity = capacity;
    }
    l->at[l->n++] = t;
}

static void add_completed(struct task_list *l, struct arena *arena, const struct agent_executor *e)
{
    for (const struct list *it = e->completed_tasks.next; it != &e->completed_tasks; it = it->next) {
        const struct agent_completed_task *c = container_of(it, struct agent_completed_task, link);
        add_task(l, arena, agent_unpack(&mesos__v1__task__descriptor, c->task, c->len, arena));
    }
}

GetTasks *agent_view_tasks(const struct agent *a, struct arena *arena)
{
    struct task_list queued = {0}, launched = {0}, terminated = {0}, completed = {0};
    for (struct map_entry *i = map_first(&a->frameworks); i != NULL; i = map_next(i)) {
        const struct agent_framework *f = map_value(i);
        for (struct map_entry *j = map_first(&f->tasks); j != NULL; j = map_next(j)) {
            const struct agent_task *t = map_value(j);
            struct task_list *l = agent_state_is_terminal(t->state) ? &terminated : t->sent ? &launched : &queued;
            add_task(l, arena, agent_task_to_wire(a, t, arena));
        }
        for (struct map_entry *j = map_first(&f->executors); j != NULL; j = map_next(j))
            add_completed(&completed, arena, map_value(j));
        for (const struct list *it = f->completed_executors.next; it != &f->completed_executors; it = it->next)
            add_completed(&completed, arena, container_of(it, struct agent_executor, completed_link));
    }
    GetTasks *out = arena_new_one(arena, GetTasks);
    *out = (GetTasks)MESOS__V1__AGENT__RESPONSE__GET_TASKS__INIT;
    out->n_queued_tasks = queued.n;
    out->queued_tasks = queued.at;
    out->n_launched_tasks = launched.n;
    out->launched_tasks = launched.at;
    out->n_terminated_tasks = terminated.n;
    out->terminated_tasks = terminated.at;
    out->n_completed_tasks = completed.n;
    out->completed_tasks = completed.at;
    return out;
}

static ExecutorEntry *executor_entry(const struct agent_executor *e, struct arena *arena)
{
    ExecutorEntry *entry = arena_new_one(arena, ExecutorEntry);
    *entry = (ExecutorEntry)MESOS__V1__AGENT__RESPONSE__GET_EXECUTORS__EXECUTOR__INIT;
    entry->executor_info = agent_unpack(&mesos__v1__executor_info__descriptor, e->info, e->info_len, arena);
    return entry;
}

GetExecutors *agent_view_executors(const struct agent *a, struct arena *arena)
{
    GetExecutors *out = arena_new_one(arena, GetExecutors);
    *out = (GetExecutors)MESOS__V1__AGENT__RESPONSE__GET_EXECUTORS__INIT;
    out->executors = arena_new_array(arena, ExecutorEntry *, a->executor_count + 1);
    out->completed_executors = arena_new_array(arena, ExecutorEntry *, a->completed_executor_count + 1);
    for (struct map_entry *i = map_first(&a->frameworks); i != NULL; i = map_next(i)) {
        const struct agent_framework *f = map_value(i);
        for (struct map_entry *j = map_first(&f->executors); j != NULL; j = map_next(j))
            out->executors[out->n_executors++] = executor_entry(map_value(j), arena);
        for (const struct list *it = f->completed_executors.next; it != &f->completed_executors; it = it->next)
            out->completed_executors[out->n_completed_executors++] =
                executor_entry(container_of(it, struct agent_executor, completed_link), arena);
    }
    return out;
}

GetFrameworks *agent_view_frameworks(const struct agent *a, struct arena *arena)
{
    GetFrameworks *out = arena_new_one(arena, GetFrameworks);
    *out = (GetFrameworks)MESOS__V1__AGENT__RESPONSE__GET_FRAMEWORKS__INIT;
    size_t n = map_count(&a->frameworks) + 1;
    out->frameworks = arena_new_array(arena, FrameworkEntry *, n);
    out->completed_frameworks = arena_new_array(arena, FrameworkEntry *, n);
    for (struct map_entry *i = map_first(&a->frameworks); i != NULL; i = map_next(i)) {
        const struct agent_framework *f = map_value(i);
        FrameworkEntry *entry = arena_new_one(arena, FrameworkEntry);
        *entry = (FrameworkEntry)MESOS__V1__AGENT__RESPONSE__GET_FRAMEWORKS__FRAMEWORK__INIT;
        entry->framework_info = agent_unpack(&mesos__v1__framework_info__descriptor, f->info, f->info_len, arena);
        if (f->completed)
            out->completed_frameworks[out->n_completed_frameworks++] = entry;
        else
            out->frameworks[out->n_frameworks++] = entry;
    }
    return out;
}

struct resources *agent_view_executor_resources(const struct agent_executor *e, struct arena *arena)
{
    struct resources *sum = resources_new();
    const Mesos__V1__ExecutorInfo *info = agent_view_executor_info(e, arena);
    (void)resources_add_wire(sum, info->resources, info->n_resources, NULL); /* the master has checked them */
    for (struct map_entry *it = map_first(&e->tasks); it != NULL; it = map_next(it)) {
        const struct agent_task *t = map_value(it);
        if (agent_state_is_terminal(t->state))
            continue;
        const Mesos__V1__TaskInfo *task = agent_unpack(&mesos__v1__task_info__descriptor, t->info, t->info_len, arena);
        (void)resources_add_wire(sum, task->resources, task->n_resources, NULL);
    }
    return sum;
}

struct resources *agent_view_allocated(const struct agent *a, struct arena *arena)
{
    struct resources *sum = resources_new();
    for (struct map_entry *i = map_first(&a->containers); i != NULL; i = map_next(i)) {
        struct resources *one = agent_view_executor_resources(map_value(i), arena);
        resources_add(sum, one);
        (void)resources_free(one);
    }
    return sum;
}

/* -- sandboxes ------------------------------------------------------------------------------------------------ */

/* Takes "<name>/<id>" off the front of *path: the id, or NULL. */
static const char *take(const char **path, const char *name, struct arena *arena)
{
    const char *at = *path;
    at += strspn(at, "/");
    size_t n = strlen(name);
    if (strncmp(at, name, n) != 0 || at[n] != '/')
        return NULL;
    at += n + 1;
    size_t len = strcspn(at, "/");
    char *id = arena_memdup(arena, at, len + 1);
    id[len] = '\0';
    *path = at + len;
    return text_is_valid_id(id) ? id : NULL;
}

/* The newest run of an executor that is here no more. */
static const char *latest_gone(const struct agent *a, const char *prefix)
{
    for (const struct list *it = a->sandboxes.prev; it != &a->sandboxes; it = it->prev) {
        const struct agent_sandbox *s = container_of(it, struct agent_sandbox, link);
        if (strncmp(s->directory, prefix, strlen(prefix)) == 0 && strchr(s->directory + strlen(prefix), '/') == NULL)
            return s->directory;
    }
    return NULL;
}

static const char *gone(const struct agent *a, const char *container_id)
{
    for (const struct list *it = a->sandboxes.prev; it != &a->sandboxes; it = it->prev) {
        const struct agent_sandbox *s = container_of(it, struct agent_sandbox, link);
        if (strcmp(s->container_id, container_id) == 0)
            return s->directory;
    }
    return NULL;
}

bool agent_view_sandbox(const struct agent *a, const char *path, struct arena *arena, const char **directory,
                        const char **rest)
{
    size_t work_dir = strlen(a->config.work_dir);
    const char *agent_id = a->id;
    if (strncmp(path, a->config.work_dir, work_dir) == 0 && path[work_dir] == '/') {
        path += work_dir;
        agent_id = take(&path, "slaves", arena);
    }
    const char *framework = take(&path, "frameworks", arena);
    const char *executor = framework ? take(&path, "executors", arena) : NULL;
    const char *run = executor ? take(&path, "runs", arena) : NULL;
    if (run == NULL || agent_id == NULL)
        return false;
    const char *found = NULL;
    if (strcmp(run, "latest") == 0) {
        const struct agent_executor *e = agent_executor_find(a, framework, executor);
        found = e ? e->directory
                  : latest_gone(a, arena_printf(arena, "slaves/%s/frameworks/%s/executors/%s/runs/", agent_id, framework,
                                                executor));
    } else {
        const struct agent_executor *e = map_get(&a->containers, run);
        if (e == NULL) /* its container has ended; its record waits for acknowledgements, or is gone */
            found = gone(a, run);
        else
            found = e->directory;
        const char *asked =
            arena_printf(arena, "slaves/%s/frameworks/%s/executors/%s/runs/%s", agent_id, framework, executor, run);
        if (found != NULL && strcmp(found, asked) != 0)
            return false;
    }
    if (found == NULL)
        return false;
    *directory = found;
    *rest = path + strspn(path, "/");
    return true;
}
