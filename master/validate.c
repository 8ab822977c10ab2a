/* SPDX-License-Identifier: Apache-2.0 */
#include "master/validate.h"

#include <math.h>
#include <string.h>

#include "common/base/text.h"
#include "master/tasks.h"

#define GROUP_EXECUTOR_CPU_MILLIS 10
#define GROUP_EXECUTOR_MEM_MILLIS 32000

static bool is_negative(const Mesos__V1__DurationInfo *d)
{
    return d != NULL && d->nanoseconds < 0;
}

static bool is_bad_seconds(bool has, double seconds)
{
    return has && (!isfinite(seconds) || seconds < 0);
}

/* -- commands and checks ---------------------------------------------------------------------------------------- */

static const char *check_variable(const Mesos__V1__Environment__Variable *v, struct arena *arena)
{
    if (!v->has_type || v->type == MESOS__V1__ENVIRONMENT__VARIABLE__TYPE__VALUE) {
        if (v->value == NULL || v->secret != NULL)
            return arena_printf(arena, "environment variable '%.300s' of type VALUE needs a value and no secret", v->name);
        return NULL;
    }
    if (v->type != MESOS__V1__ENVIRONMENT__VARIABLE__TYPE__SECRET)
        return arena_printf(arena, "environment variable '%.300s' has an unknown type", v->name);
    if (v->secret == NULL || v->value != NULL)
        return arena_printf(arena, "environment variable '%.300s' of type SECRET needs a secret and no value", v->name);
    if (v->secret->value != NULL && v->secret->value->data.len > 0 &&
        memchr(v->secret->value->data.data, 0, v->secret->value->data.len) != NULL)
        return arena_printf(arena, "environment variable '%.300s' has a secret with a NUL byte", v->name);
    return NULL;
}

static const char *check_command(const Mesos__V1__CommandInfo *command, struct arena *arena)
{
    const char *why = NULL;
    if (command != NULL && command->environment != NULL)
        for (size_t i = 0; why == NULL && i < command->environment->n_variables; i++)
            why = check_variable(command->environment->variables[i], arena);
    return why;
}

static const char *check_health(const Mesos__V1__HealthCheck *h, struct arena *arena)
{
    if (!h->has_type)
        return "HealthCheck.type is missing";
    if (is_bad_seconds(h->has_delay_seconds, h->delay_seconds) ||
        is_bad_seconds(h->has_interval_seconds, h->interval_seconds) ||
        is_bad_seconds(h->has_timeout_seconds, h->timeout_seconds) ||
        is_bad_seconds(h->has_grace_period_seconds, h->grace_period_seconds))
        return "HealthCheck has a negative duration";
    switch (h->type) {
    case MESOS__V1__HEALTH_CHECK__TYPE__COMMAND:
        if (h->command == NULL || h->command->value == NULL)
            return "HealthCheck of type COMMAND needs command.value";
        return check_command(h->command, arena);
    case MESOS__V1__HEALTH_CHECK__TYPE__HTTP:
        if (h->http == NULL)
            return "HealthCheck of type HTTP needs http";
        if (h->http->scheme != NULL && strcmp(h->http->scheme, "http") != 0 && strcmp(h->http->scheme, "https") != 0)
            return arena_printf(arena, "HealthCheck.http.scheme '%.100s' is neither http nor https", h->http->scheme);
        if (h->http->path != NULL && h->http->path[0] != '/')
            return "HealthCheck.http.path must start with '/'";
        return NULL;
    case MESOS__V1__HEALTH_CHECK__TYPE__TCP:
        return h->tcp == NULL ? "HealthCheck of type TCP needs tcp" : NULL;
    default:
        return "HealthCheck.type is unknown";
    }
}

static const char *check_check(const Mesos__V1__CheckInfo *c, struct arena *arena)
{
    if (!c->has_type)
        return "CheckInfo.type is missing";
    if (is_bad_seconds(c->has_delay_seconds, c->delay_seconds) ||
        is_bad_seconds(c->has_interval_seconds, c->interval_seconds) ||
        is_bad_seconds(c->has_timeout_seconds, c->timeout_seconds))
        return "CheckInfo has a negative duration";
    switch (c->type) {
    case MESOS__V1__CHECK_INFO__TYPE__COMMAND:
        if (c->command == NULL || (c->command->command->value == NULL))
            return "CheckInfo of type COMMAND needs command.value";
        return check_command(c->command->command, arena);
    case MESOS__V1__CHECK_INFO__TYPE__HTTP:
        if (c->http == NULL)
            return "CheckInfo of type HTTP needs http";
        return c->http->path != NULL && c->http->path[0] != '/' ? "CheckInfo.http.path must start with '/'" : NULL;
    case MESOS__V1__CHECK_INFO__TYPE__TCP:
        return c->tcp == NULL ? "CheckInfo of type TCP needs tcp" : NULL;
    default:
        return "CheckInfo.type is unknown";
    }
}

/* -- containers ------------------------------------------------------------------------------------------------- */

static const char *check_volume_source(const Mesos__V1__Volume__Source *s)
{
    if (!s->has_type)
        return "Volume.source.type is missing";
    switch (s->type) {
    case MESOS__V1__VOLUME__SOURCE__TYPE__DOCKER_VOLUME:
        return s->docker_volume == NULL ? "Volume.source of type DOCKER_VOLUME needs docker_volume" : NULL;
    case MESOS__V1__VOLUME__SOURCE__TYPE__HOST_PATH:
        return s->host_path == NULL ? "Volume.source of type HOST_PATH needs host_path" : NULL;
    case MESOS__V1__VOLUME__SOURCE__TYPE__SANDBOX_PATH:
        return s->sandbox_path == NULL ? "Volume.source of type SANDBOX_PATH needs sandbox_path" : NULL;
    case MESOS__V1__VOLUME__SOURCE__TYPE__SECRET:
        return s->secret == NULL ? "Volume.source of type SECRET needs secret" : NULL;
    case MESOS__V1__VOLUME__SOURCE__TYPE__CSI_VOLUME:
        if (s->csi_volume == NULL)
            return "Volume.source of type CSI_VOLUME needs csi_volume";
        return s->csi_volume->static_provisioning == NULL ? "csi_volume needs static_provisioning" : NULL;
    default:
        return "Volume.source.type is unknown";
    }
}

static const char *check_container(const Mesos__V1__ContainerInfo *c)
{
    if (c == NULL)
        return NULL;
    for (size_t i = 0; i < c->n_volumes; i++) {
        const Mesos__V1__Volume *v = c->volumes[i];
        if ((v->host_path != NULL) + (v->image != NULL) + (v->source != NULL) != 1)
            return "a volume needs exactly one of host_path, image and source";
        const char *why = v->source != NULL ? check_volume_source(v->source) : NULL;
        if (why != NULL)
            return why;
    }
    if (c->type != MESOS__V1__CONTAINER_INFO__TYPE__DOCKER)
        return NULL;
    if (c->docker == NULL)
        return "ContainerInfo of type DOCKER needs docker";
    for (size_t i = 0; i < c->docker->n_parameters; i++)
        if (strcmp(c->docker->parameters[i]->key, "name") == 0)
            return "the docker parameter 'name' is not allowed";
    return NULL;
}

/* -- resources -------------------------------------------------------------------------------------------------- */

static const char *check_pair(const Mesos__V1__Resource *a, const Mesos__V1__Resource *b, struct arena *arena)
{
    if (strcmp(a->name, b->name) == 0 && (a->revocable == NULL) != (b->revocable == NULL))
        return arena_printf(arena, "resource '%.100s' is both revocable and not", a->name);
    const Mesos__V1__Resource__DiskInfo__Persistence *p = a->disk != NULL ? a->disk->persistence : NULL,
                                                     *q = b->disk != NULL ? b->disk->persistence : NULL;
    if (p != NULL && q != NULL && strcmp(p->id, q->id) == 0 && (a->shared == NULL || b->shared == NULL))
        return arena_printf(arena, "the persistence id '%.300s' is used twice", p->id);
    return NULL;
}

#define RESOURCES_PER_TASK_MAX 256

static const char *check_resources(Mesos__V1__Resource *const *list, size_t n, const char *role, struct arena *arena)
{
    struct err err;
    if (n > RESOURCES_PER_TASK_MAX)
        return arena_printf(arena, "more than %d resources", RESOURCES_PER_TASK_MAX);
    if (resources_validate_wire(list, n, &err) < 0)
        return arena_printf(arena, "resources: %s", err.text);
    for (size_t i = 0; i < n; i++) {
        const Mesos__V1__Resource *r = list[i];
        if (r->allocation_info != NULL && r->allocation_info->role != NULL && strcmp(r->allocation_info->role, role) != 0)
            return arena_printf(arena, "resource '%.100s' is allocated to role '%.300s', the offer to '%s'", r->name,
                                r->allocation_info->role, role);
        if (strcmp(r->name, "gpus") == 0 && r->scalar != NULL && r->scalar->value != floor(r->scalar->value))
            return "gpus must be a whole number";
        for (size_t j = 0; j < i; j++) {
            const char *why = check_pair(r, list[j], arena);
            if (why != NULL)
                return why;
        }
    }
    return NULL;
}

static double scalar_sum(const Mesos__V1__TaskInfo *task, const char *name, bool *is_there)
{
    double sum = 0;
    for (size_t i = 0; i < task->n_resources; i++) {
        if (strcmp(task->resources[i]->name, name) != 0 || task->resources[i]->scalar == NULL)
            continue;
        sum += task->resources[i]->scalar->value;
        *is_there = true;
    }
    return sum;
}

static const char *check_limits(const Mesos__V1__TaskInfo *task, struct arena *arena)
{
    for (size_t i = 0; i < task->n_limits; i++) {
        const char *name = task->limits[i]->key;
        if (name == NULL || task->limits[i]->value == NULL || (strcmp(name, "cpus") != 0 && strcmp(name, "mem") != 0))
            return "limits may be set for cpus and mem only";
        bool is_there = false;
        double request = scalar_sum(task, name, &is_there), limit = task->limits[i]->value->value;
        if (!is_there)
            return arena_printf(arena, "a limit of %s needs a request of it", name);
        if (isnan(limit) || limit < request)
            return arena_printf(arena, "the limit of %s is below the request", name);
    }
    return NULL;
}

/* -- tasks and executors ---------------------------------------------------------------------------------------- */

const char *master_validate_task(const struct master_framework *f, const struct master_agent *a,
                                 const Mesos__V1__TaskInfo *task, const char *role, struct arena *arena)
{
    const char *why, *id = task->task_id->value;
    if (!text_is_valid_id(id))
        return "the task id is not valid";
    if (master_task_find(f, id) != NULL || master_task_find_unreachable(f, id) != NULL)
        return arena_printf(arena, "there is a task '%s' already", id);
    if (strcmp(task->agent_id->value, a->id) != 0)
        return arena_printf(arena, "the task is for agent '%.300s', the offer is of agent %s", task->agent_id->value,
                            a->id);
    if (task->kill_policy != NULL && is_negative(task->kill_policy->grace_period))
        return "kill_policy.grace_period is negative";
    if (is_negative(task->max_completion_time))
        return "max_completion_time is negative";
    if (task->check != NULL && (why = check_check(task->check, arena)) != NULL)
        return why;
    if (task->health_check != NULL && (why = check_health(task->health_check, arena)) != NULL)
        return why;
    if (task->n_resources == 0)
        return "the task uses no resources";
    if ((why = check_resources(task->resources, task->n_resources, role, arena)) != NULL ||
        (why = check_command(task->command, arena)) != NULL || (why = check_container(task->container)) != NULL)
        return why;
    return check_limits(task, arena);
}

static bool shares_cgroups(const Mesos__V1__ContainerInfo *c, bool by_default)
{
    return c != NULL && c->linux_info != NULL && c->linux_info->has_share_cgroups ? c->linux_info->share_cgroups
                                                                                  : by_default;
}

static const char *check_executor(const struct master_framework *f, const Mesos__V1__ExecutorInfo *e, struct arena *arena)
{
    if (!text_is_valid_id(e->executor_id->value))
        return "the executor id is not valid";
    if (is_negative(e->shutdown_grace_period))
        return "ExecutorInfo.shutdown_grace_period is negative";
    if (e->framework_id == NULL || strcmp(e->framework_id->value, f->id) != 0)
        return "ExecutorInfo.framework_id is not that of the framework";
    for (size_t i = 0; i < e->n_resources; i++)
        if (e->resources[i]->shared != NULL)
            return "an executor may not use shared resources";
    const char *why = check_command(e->command, arena);
    return why != NULL ? why : check_container(e->container);
}

const char *master_validate_launch(const struct master_framework *f, const Mesos__V1__TaskInfo *task, struct arena *arena)
{
    const Mesos__V1__ExecutorInfo *e = task->executor;
    if (!shares_cgroups(task->container, true))
        return "share_cgroups=false is for tasks of a group only";
    if ((task->command != NULL) == (e != NULL))
        return "a task has either a command or an executor";
    if (e == NULL)
        return NULL;
    if (e->has_type && e->type != MESOS__V1__EXECUTOR_INFO__TYPE__CUSTOM)
        return "ExecutorInfo.type must be CUSTOM for LAUNCH";
    if (e->command == NULL)
        return "a custom executor needs a command";
    if (e->container != NULL && e->container->linux_info != NULL && e->container->linux_info->has_share_cgroups &&
        e->container->linux_info->share_cgroups)
        return "an executor may not share its cgroups";
    return check_executor(f, e, arena);
}

const char *master_validate_group_executor(const struct master_framework *f, const Mesos__V1__ExecutorInfo *e,
                                           struct arena *arena)
{
    if (!e->has_type || e->type == MESOS__V1__EXECUTOR_INFO__TYPE__UNKNOWN)
        return "ExecutorInfo.type is missing";
    if (e->type == MESOS__V1__EXECUTOR_INFO__TYPE__DEFAULT) {
        if (e->command != NULL)
            return "a default executor has no command";
        if (e->container != NULL && (e->container->type != MESOS__V1__CONTAINER_INFO__TYPE__MESOS ||
                                     (e->container->mesos != NULL && e->container->mesos->image != NULL)))
            return "the container of a default executor is of type MESOS and without image";
    } else if (e->command == NULL) {
        return "a custom executor needs a command";
    }
    if (e->container != NULL && e->container->type == MESOS__V1__CONTAINER_INFO__TYPE__DOCKER)
        return "the executor of a group cannot be a DOCKER container";
    struct resources *set = resources_new();
    struct err err;
    const char *why = NULL;
    if (resources_add_wire(set, e->resources, e->n_resources, &err) < 0)
        why = arena_printf(arena, "executor resources: %s", err.text);
    else if (resources_scalar_millis(set, "cpus") < GROUP_EXECUTOR_CPU_MILLIS ||
             resources_scalar_millis(set, "mem") < GROUP_EXECUTOR_MEM_MILLIS || resources_scalar_millis(set, "disk") <= 0)
        why = "the executor of a group needs at least 0.01 cpus, 32 MB mem and some disk";
    resources_free(set);
    return why != NULL ? why : check_executor(f, e, arena);
}

const char *master_validate_group_task(const Mesos__V1__TaskInfo *task, const Mesos__V1__ExecutorInfo *executor,
                                       struct arena *arena)
{
    const Mesos__V1__ContainerInfo *c = task->container;
    if (c != NULL && c->type == MESOS__V1__CONTAINER_INFO__TYPE__DOCKER)
        return "a task of a group cannot be a DOCKER container";
    if (task->executor != NULL &&
        (protobuf_c_message_get_packed_size(&task->executor->base) != protobuf_c_message_get_packed_size(&executor->base) ||
         strcmp(task->executor->executor_id->value, executor->executor_id->value) != 0))
        return "TaskInfo.executor is not the executor of the group";
    if (c != NULL && c->n_network_infos > 0 && task->health_check != NULL && task->health_check->has_type &&
        task->health_check->type != MESOS__V1__HEALTH_CHECK__TYPE__COMMAND)
        return "a task with a network of its own cannot have HTTP or TCP health checks";
    if (task->n_limits > 0 && shares_cgroups(c, true))
        return "limits need share_cgroups=false";
    (void)arena;
    return NULL;
}
