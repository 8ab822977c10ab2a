/* SPDX-License-Identifier: Apache-2.0
 * state_json.c - /state as the old endpoint has it (facts: mesos 5.6), with one object more: `isolation` says what this
 * host gives to containers and what it cannot. */
#include <stdlib.h>
#include <string.h>

#include "agent/drain.h"
#include "agent/shell.h"
#include "agent/tasks.h"
#include "agent/view.h"
#include "common/wire/codec.h"
#include "common/wire/mesos_version.h"

static const char *const capabilities[] = {"MULTI_ROLE", "HIERARCHICAL_ROLE", "RESERVATION_REFINEMENT", "AGENT_DRAINING",
                                           "TASK_RESOURCE_LIMITS"};

static const char *role_of(Mesos__V1__Resource *const *resources, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (resources[i]->allocation_info != NULL && resources[i]->allocation_info->role != NULL)
            return resources[i]->allocation_info->role;
    }
    return NULL;
}

static void write_labels(const Mesos__V1__Labels *labels, struct json_writer *w)
{
    if (labels == NULL || labels->n_labels == 0)
        return;
    json_put_key(w, "labels");
    json_begin_array(w);
    for (size_t i = 0; i < labels->n_labels; i++)
        wire_to_json(&labels->labels[i]->base, w);
    json_end_array(w);
}

static void write_message(const char *key, const ProtobufCMessage *message, struct json_writer *w)
{
    if (message == NULL)
        return;
    json_put_key(w, key);
    wire_to_json(message, w);
}

static void write_resources(const char *key, Mesos__V1__Resource *const *list, size_t n, struct json_writer *w)
{
    struct resources *r = resources_new();
    (void)resources_add_wire(r, list, n, NULL); /* checked when they came in */
    json_put_key(w, key);
    resources_write_legacy(r, w);
    (void)resources_free(r);
}

static void write_status(const Mesos__V1__TaskStatus *s, struct json_writer *w)
{
    json_begin_object(w);
    json_kv_string(w, "state", wire_enum_name(&mesos__v1__task_state__descriptor, (int)s->state));
    json_kv_double(w, "timestamp", s->timestamp);
    write_labels(s->labels, w);
    if (s->container_status != NULL) {
        Mesos__V1__ContainerStatus container = *s->container_status;
        container.has_executor_pid = false; /* the old form has no place for it */
        write_message("container_status", &container.base, w);
    }
    if (s->has_healthy)
        json_kv_bool(w, "healthy", s->healthy);
    if (s->check_status != NULL)
        write_message("check_status", &s->check_status->base, w);
    json_end_object(w);
}

static void write_task(const Mesos__V1__Task *t, struct json_writer *w)
{
    json_begin_object(w);
    json_kv_string(w, "id", t->task_id->value);
    json_kv_string(w, "name", t->name);
    json_kv_string(w, "framework_id", t->framework_id->value);
    json_kv_string(w, "executor_id", t->executor_id ? t->executor_id->value : "");
    json_kv_string(w, "slave_id", t->agent_id->value);
    json_kv_string(w, "state", wire_enum_name(&mesos__v1__task_state__descriptor, (int)t->state));
    write_resources("resources", t->resources, t->n_resources, w);
    const char *role = role_of(t->resources, t->n_resources);
    if (role != NULL)
        json_kv_string(w, "role", role);
    json_put_key(w, "statuses");
    json_begin_array(w);
    for (size_t i = 0; i < t->n_statuses; i++)
        write_status(t->statuses[i], w);
    json_end_array(w);
    if (t->user != NULL)
        json_kv_string(w, "user", t->user);
    write_labels(t->labels, w);
    if (t->discovery != NULL)
        write_message("discovery", &t->discovery->base, w);
    if (t->container != NULL)
        write_message("container", &t->container->base, w);
    if (t->health_check != NULL)
        write_message("health_check", &t->health_check->base, w);
    json_end_object(w);
}

static void write_task_info(const Mesos__V1__TaskInfo *t, struct json_writer *w)
{
    json_begin_object(w);
    json_kv_string(w, "id", t->task_id->value);
    json_kv_string(w, "name", t->name);
    json_kv_string(w, "slave_id", t->agent_id->value);
    write_resources("resources", t->resources, t->n_resources, w);
    const char *role = role_of(t->resources, t->n_resources);
    if (role != NULL)
        json_kv_string(w, "role", role);
    write_labels(t->labels, w);
    if (t->discovery != NULL)
        write_message("discovery", &t->discovery->base, w);
    json_end_object(w);
}

static void write_live_tasks(const struct agent *a, const struct agent_executor *e, bool sent, struct arena *arena,
                             struct json_writer *w)
{
    json_put_key(w, sent ? "tasks" : "queued_tasks");
    json_begin_array(w);
    for (struct map_entry *it = map_first(&e->tasks); it != NULL; it = map_next(it)) {
        const struct agent_task *t = map_value(it);
        bool as_sent = t->sent || agent_state_is_terminal(t->state);
        if (as_sent && sent)
            write_task(agent_task_to_wire(a, t, arena), w);
        else if (!as_sent && !sent)
            write_task_info(agent_unpack(&mesos__v1__task_info__descriptor, t->info, t->info_len, arena), w);
    }
    json_end_array(w);
}

static void write_executor(const struct agent *a, const struct agent_executor *e, struct arena *arena,
                           struct json_writer *w)
{
    const Mesos__V1__ExecutorInfo *info = agent_view_executor_info(e, arena);
    json_begin_object(w);
    json_kv_string(w, "id", e->id);
    json_kv_string(w, "name", info->name ? info->name : "");
    json_kv_string(w, "source", info->source ? info->source : "");
    json_kv_string(w, "container", e->container_id);
    json_kv_string(w, "directory", arena_printf(arena, "%s/%s", a->config.work_dir, e->directory));
    struct resources *r = agent_view_executor_resources(e, arena);
    json_put_key(w, "resources");
    resources_write_legacy(r, w);
    (void)resources_free(r);
    const char *role = role_of(info->resources, info->n_resources);
    if (role != NULL)
        json_kv_string(w, "role", role);
    write_labels(info->labels, w);
    if (info->has_type)
        json_kv_string(w, "type", wire_enum_name(&mesos__v1__executor_info__type__descriptor, (int)info->type));
    write_live_tasks(a, e, true, arena, w);
    write_live_tasks(a, e, false, arena, w);
    json_put_key(w, "completed_tasks");
    json_begin_array(w);
    for (const struct list *it = e->completed_tasks.next; it != &e->completed_tasks; it = it->next) {
        const struct agent_completed_task *c = container_of(it, struct agent_completed_task, link);
        write_task(agent_unpack(&mesos__v1__task__descriptor, c->task, c->len, arena), w);
    }
    json_end_array(w);
    json_end_object(w);
}

static void write_framework(const struct agent *a, const struct agent_framework *f, struct arena *arena,
                            struct json_writer *w)
{
    const Mesos__V1__FrameworkInfo *info = agent_view_framework_info(f, arena);
    json_begin_object(w);
    json_kv_string(w, "id", f->id);
    json_kv_string(w, "name", info->name);
    json_kv_string(w, "user", info->user);
    json_kv_double(w, "failover_timeout", info->failover_timeout);
    json_kv_bool(w, "checkpoint", f->checkpoint);
    json_kv_string(w, "hostname", info->hostname ? info->hostname : "");
    if (info->principal != NULL)
        json_kv_string(w, "principal", info->principal);
    if (info->n_roles > 0) {
        json_put_key(w, "roles");
        json_begin_array(w);
        for (size_t i = 0; i < info->n_roles; i++)
            json_put_string(w, info->roles[i]);
        json_end_array(w);
    } else {
        json_kv_string(w, "role", info->role);
    }
    json_put_key(w, "executors");
    json_begin_array(w);
    for (struct map_entry *it = map_first(&f->executors); it != NULL; it = map_next(it))
        write_executor(a, map_value(it), arena, w);
    json_end_array(w);
    json_put_key(w, "completed_executors");
    json_begin_array(w);
    for (const struct list *it = f->completed_executors.next; it != &f->completed_executors; it = it->next)
        write_executor(a, container_of(it, struct agent_executor, completed_link), arena, w);
    json_end_array(w);
    json_end_object(w);
}

static void write_frameworks(const struct agent *a, bool completed, struct arena *arena, struct json_writer *w)
{
    json_put_key(w, completed ? "completed_frameworks" : "frameworks");
    json_begin_array(w);
    for (struct map_entry *it = map_first(&a->frameworks); it != NULL; it = map_next(it)) {
        const struct agent_framework *f = map_value(it);
        if (f->completed == completed)
            write_framework(a, f, arena, w);
    }
    json_end_array(w);
}

static void write_full(const char *key, const struct resources *r, struct arena *arena, struct json_writer *w)
{
    Mesos__V1__Resource **list;
    size_t n = resources_to_wire(r, RESOURCE_ENDPOINT, arena, &list);
    json_put_key(w, key);
    json_begin_array(w);
    for (size_t i = 0; i < n; i++)
        wire_to_json(&list[i]->base, w);
    json_end_array(w);
}

/* {role: resources} of what is reserved, in the shape that take says. */
static void write_by_role(const char *key, const struct resources *r, bool full, struct arena *arena, struct json_writer *w)
{
    Mesos__V1__Resource **list;
    size_t n = resources_to_wire(r, RESOURCE_POST_REFINEMENT, arena, &list);
    struct map roles;
    map_init(&roles);
    json_put_key(w, key);
    json_begin_object(w);
    for (size_t i = 0; i < n; i++) {
        if (list[i]->n_reservations == 0)
            continue;
        const char *role = list[i]->reservations[list[i]->n_reservations - 1]->role;
        if (role == NULL || map_put(&roles, role, arena) != NULL)
            continue;
        struct resources *part = resources_reserved_to(r, role);
        if (full) {
            write_full(role, part, arena, w);
        } else {
            json_put_key(w, role);
            resources_write_legacy(part, w);
        }
        (void)resources_free(part);
    }
    json_end_object(w);
    map_deinit(&roles);
}

static void write_part(const char *key, struct resources *r, struct json_writer *w)
{
    json_put_key(w, key);
    resources_write_legacy(r, w);
    (void)resources_free(r);
}

static void write_amounts(struct agent_shell *s, struct arena *arena, struct json_writer *w)
{
    struct resources *total = resources_copy(s->core->total);
    json_put_key(w, "resources");
    resources_write_legacy(total, w);
    write_by_role("reserved_resources", total, false, arena, w);
    write_part("unreserved_resources", resources_unreserved(total), w);
    write_by_role("reserved_resources_full", total, true, arena, w);
    struct resources *unreserved = resources_unreserved(total);
    write_full("unreserved_resources_full", unreserved, arena, w);
    (void)resources_free(unreserved);
    struct resources *allocated = agent_view_allocated(s->core, arena);
    resources_unallocate(allocated);
    write_by_role("reserved_resources_allocated", allocated, false, arena, w);
    write_part("unreserved_resources_allocated", resources_unreserved(allocated), w);
    (void)resources_free(allocated);
    (void)resources_free(total);
}

static void write_flag(void *ctx, const char *name, const char *value)
{
    json_kv_string((struct json_writer *)ctx, name, value);
}

static const struct {
    unsigned bit;
    const char *name;
} isolations[] = {
    {LAUNCHER_CGROUP_CPU, "cgroup_cpu"},           {LAUNCHER_CGROUP_MEMORY, "cgroup_memory"},
    {LAUNCHER_CGROUP_PIDS, "cgroup_pids"},         {LAUNCHER_PID_NAMESPACE, "pid_namespace"},
    {LAUNCHER_MOUNT_NAMESPACE, "mount_namespace"}, {LAUNCHER_IPC_NAMESPACE, "ipc_namespace"},
    {LAUNCHER_UTS_NAMESPACE, "uts_namespace"},     {LAUNCHER_CGROUP_NAMESPACE, "cgroup_namespace"},
    {LAUNCHER_USER_NAMESPACE, "user_namespace"},   {LAUNCHER_SECCOMP, "seccomp"},
    {LAUNCHER_CAPABILITIES, "capabilities"},       {LAUNCHER_SWITCH_USER, "switch_user"},
};

static void write_isolation(struct agent_shell *s, struct json_writer *w)
{
    const char *missing = "";
    unsigned bits = s->launcher->ops->isolation(s->launcher, &missing);
    json_put_key(w, "isolation");
    json_begin_object(w);
    json_put_key(w, "present");
    json_begin_array(w);
    for (size_t i = 0; i < sizeof(isolations) / sizeof(isolations[0]); i++) {
        if (bits & isolations[i].bit)
            json_put_string(w, isolations[i].name);
    }
    json_end_array(w);
    json_put_key(w, "missing");
    json_begin_array(w);
    for (const char *line = missing; line != NULL && *line != '\0';) {
        size_t len = strcspn(line, "\n");
        if (len > 0)
            json_put_string_n(w, line, len);
        line += len + (line[len] == '\n');
    }
    json_end_array(w);
    json_end_object(w);
}

void agent_state_put_version(struct json_writer *w)
{
    json_kv_string(w, "version", MESOS_API_VERSION);
    json_kv_string(w, "muster_version", MUSTER_VERSION);
    json_kv_string(w, "build_date", MESOS_BUILD_DATE);
    json_kv_double(w, "build_time", MESOS_BUILD_TIME);
    json_kv_string(w, "build_user", MESOS_BUILD_USER);
}

void agent_state_json(struct agent_shell *s, struct arena *arena, struct json_writer *w)
{
    const struct agent *a = s->core;
    const Mesos__V1__AgentInfo *info = agent_view_info(a);
    json_begin_object(w);
    agent_state_put_version(w);
    json_kv_double(w, "start_time", (double)s->begun_wall_ms / 1000.0);
    json_kv_string(w, "id", agent_id(a) ? agent_id(a) : "");
    json_kv_string(w, "pid",
                   arena_printf(arena, strchr(s->ip, ':') ? "slave(1)@[%s]:%u" : "slave(1)@%s:%u", s->ip, s->port));
    json_kv_string(w, "hostname", info->hostname);
    json_put_key(w, "capabilities");
    json_begin_array(w);
    for (size_t i = 0; i < sizeof(capabilities) / sizeof(capabilities[0]); i++)
        json_put_string(w, capabilities[i]);
    json_end_array(w);
    write_amounts(s, arena, w);
    json_put_key(w, "resource_providers");
    json_begin_array(w);
    json_end_array(w);
    json_put_key(w, "attributes");
    attributes_write_legacy(info->attributes, info->n_attributes, w);
    const Mesos__V1__DrainConfig *drain = agent_drain_config(a, arena);
    if (drain != NULL) {
        json_put_key(w, "drain_config");
        wire_to_json(&drain->base, w);
        json_kv_double(w, "estimated_drain_start_time_seconds", (double)a->drain.start_ms / 1000);
    }
    if (a->session.master_hostname != NULL)
        json_kv_string(w, "master_hostname", a->session.master_hostname);
    json_put_key(w, "flags");
    json_begin_object(w);
    options_each(agent_option_defs, agent_option_count, s->options, write_flag, w);
    json_end_object(w);
    write_isolation(s, w);
    write_frameworks(a, false, arena, w);
    write_frameworks(a, true, arena, w);
    json_end_object(w);
}
