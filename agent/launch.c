/* SPDX-License-Identifier: Apache-2.0
 * launch.c - what a container is made of, from the messages that ask for it. Everything a message can ask for is either
 * turned into a part of the launcher's spec or refused by name: nothing runs with less than was asked. */
#include "agent/launch.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "common/base/check.h"
#include "common/base/text.h"

#define MIB ((int64_t)1 << 20)
#define OVERHEAD_CPU 0.1 /* of the executor made for a command task; not accounted at the master (facts: mesos 2.6) */
#define OVERHEAD_MEMORY_MB 32.0
#define MEMORY_MIN (32 * MIB)
#define REAP_MARGIN_NS ((int64_t)2000000000) /* between the task's grace and its executor's */
#define COMMAND_SHOWN 15                     /* longer commands are cut to 12 characters and "..." */

/* -- the executor of a command task --------------------------------------------------------------------------- */

static const char *command_text(const Mesos__V1__CommandInfo *command, struct arena *arena)
{
    char text[1024];
    size_t at = 0;
    const char *value = command->value ? command->value : "";
    bool shell = !command->has_shell || command->shell;
    if (!shell && command->n_arguments > 0) {
        for (size_t i = 0; i < command->n_arguments && at + 1 < sizeof(text); i++)
            at += (size_t)snprintf(text + at, sizeof(text) - at, "%s%s", i ? " " : "", command->arguments[i]);
        value = text;
    }
    size_t len = strlen(value);
    const char *shown = len > COMMAND_SHOWN ? arena_printf(arena, "%.12s...", value) : value;
    return shell ? arena_printf(arena, "sh -c '%s'", shown) : arena_strdup(arena, shown);
}

static Mesos__V1__Resource *scalar(struct arena *arena, const char *name, double value, const char *role)
{
    Mesos__V1__Resource *r = arena_new_one(arena, Mesos__V1__Resource);
    *r = (Mesos__V1__Resource)MESOS__V1__RESOURCE__INIT;
    r->name = arena_strdup(arena, name);
    r->type = MESOS__V1__VALUE__TYPE__SCALAR;
    r->scalar = arena_new_one(arena, Mesos__V1__Value__Scalar);
    *r->scalar = (Mesos__V1__Value__Scalar)MESOS__V1__VALUE__SCALAR__INIT;
    r->scalar->value = value;
    if (role != NULL) {
        r->allocation_info = arena_new_one(arena, Mesos__V1__Resource__AllocationInfo);
        *r->allocation_info = (Mesos__V1__Resource__AllocationInfo)MESOS__V1__RESOURCE__ALLOCATION_INFO__INIT;
        r->allocation_info->role = (char *)(uintptr_t)role;
    }
    return r;
}

static Mesos__V1__CommandInfo *executor_command(const Mesos__V1__CommandInfo *task, struct arena *arena)
{
    Mesos__V1__CommandInfo *command = arena_new_one(arena, Mesos__V1__CommandInfo);
    *command = (Mesos__V1__CommandInfo)MESOS__V1__COMMAND_INFO__INIT;
    command->has_shell = true;
    command->shell = false;
    command->value = arena_strdup(arena, "muster");
    command->n_arguments = 2;
    command->arguments = arena_new_array(arena, char *, 2);
    command->arguments[0] = arena_strdup(arena, "muster");
    command->arguments[1] = arena_strdup(arena, "executor");
    if (task != NULL) {
        command->environment = task->environment;
        command->n_uris = task->n_uris;
        command->uris = task->uris;
        command->user = task->user;
    }
    return command;
}

Mesos__V1__ExecutorInfo *agent_launch_command_executor(const struct agent *a, const Mesos__V1__TaskInfo *task,
                                                       const char *framework_id, struct arena *arena)
{
    (void)a;
    const char *role = NULL;
    for (size_t i = 0; i < task->n_resources && role == NULL; i++) {
        const Mesos__V1__Resource__AllocationInfo *allocation = task->resources[i]->allocation_info;
        role = allocation ? allocation->role : NULL;
    }
    Mesos__V1__ExecutorInfo *e = arena_new_one(arena, Mesos__V1__ExecutorInfo);
    *e = (Mesos__V1__ExecutorInfo)MESOS__V1__EXECUTOR_INFO__INIT;
    e->executor_id = agent_wire_executor_id(arena, task->task_id->value);
    e->framework_id = agent_wire_framework_id(arena, framework_id);
    e->command = executor_command(task->command, arena);
    e->container = task->container;
    e->n_resources = 2;
    e->resources = arena_new_array(arena, Mesos__V1__Resource *, 2);
    e->resources[0] = scalar(arena, "cpus", OVERHEAD_CPU, role);
    e->resources[1] = scalar(arena, "mem", OVERHEAD_MEMORY_MB, role);
    e->name = arena_printf(arena, "Command Executor (Task: %s) (Command: %s)", task->task_id->value,
                           task->command ? command_text(task->command, arena) : "NO EXECUTABLE");
    e->source = task->task_id->value;
    e->discovery = task->discovery;
    e->labels = task->labels;
    if (task->kill_policy != NULL && task->kill_policy->grace_period != NULL) {
        int64_t grace = task->kill_policy->grace_period->nanoseconds;
        e->shutdown_grace_period = arena_new_one(arena, Mesos__V1__DurationInfo);
        *e->shutdown_grace_period = (Mesos__V1__DurationInfo)MESOS__V1__DURATION_INFO__INIT;
        e->shutdown_grace_period->nanoseconds = grace < INT64_MAX - REAP_MARGIN_NS ? grace + REAP_MARGIN_NS : INT64_MAX;
    }
    return e;
}

/* -- refusal -------------------------------------------------------------------------------------------------- */

struct refusal {
    struct arena *arena;
    const char *where; /* "container" or "executor.container" */
};

static const char *no(const struct refusal *r, const char *field, const char *why)
{
    return arena_printf(r->arena, "%s.%s is not supported by this agent%s%s", r->where, field, why ? ": " : "",
                        why ? why : "");
}

static bool has_dot_dot(const char *path)
{
    for (const char *at = path; at != NULL; at = strchr(at, '/')) {
        at += *at == '/';
        if (strncmp(at, "..", 2) == 0 && (at[2] == '/' || at[2] == '\0'))
            return true;
    }
    return false;
}

static const char *volume_host_path(const Mesos__V1__Volume *v)
{
    if (v->host_path != NULL)
        return v->host_path;
    return v->source != NULL && v->source->host_path != NULL ? v->source->host_path->path : NULL;
}

static const char *refuse_volume(const struct refusal *r, const Mesos__V1__Volume *v)
{
    const Mesos__V1__Volume__Source *source = v->source;
    if (v->image != NULL)
        return no(r, "volumes.image", NULL);
    if (source != NULL && source->has_type && source->type != MESOS__V1__VOLUME__SOURCE__TYPE__HOST_PATH)
        return no(r, "volumes.source.type", "only HOST_PATH is");
    const char *host_path = volume_host_path(v);
    if (host_path == NULL)
        return no(r, "volumes", "a volume without host_path");
    if (host_path[0] != '/' || has_dot_dot(host_path))
        return no(r, "volumes.host_path", "it must be absolute and without \"..\"");
    if (v->container_path[0] == '\0' || has_dot_dot(v->container_path))
        return no(r, "volumes.container_path", "it must be a path without \"..\"");
    if (source != NULL && source->host_path != NULL && source->host_path->mount_propagation != NULL &&
        source->host_path->mount_propagation->has_mode &&
        source->host_path->mount_propagation->mode == MESOS__V1__MOUNT_PROPAGATION__MODE__BIDIRECTIONAL)
        return no(r, "volumes.source.host_path.mount_propagation", "BIDIRECTIONAL");
    return NULL;
}

static const char *refuse_network(const struct refusal *r, const Mesos__V1__NetworkInfo *n)
{
    if (n->name != NULL)
        return no(r, "network_infos.name", "containers use the host's network");
    if (n->n_port_mappings > 0)
        return no(r, "network_infos.port_mappings", "containers use the host's network");
    if (n->n_groups > 0)
        return no(r, "network_infos.groups", NULL);
    if (n->n_ip_addresses > 0)
        return no(r, "network_infos.ip_addresses", "containers use the host's network");
    return NULL;
}

static const char *refuse_linux(const struct refusal *r, const Mesos__V1__LinuxInfo *l)
{
    if (l->capability_info != NULL)
        return no(r, "linux_info.capability_info", NULL);
    if (l->bounding_capabilities != NULL)
        return no(r, "linux_info.bounding_capabilities", NULL);
    if (l->effective_capabilities != NULL)
        return no(r, "linux_info.effective_capabilities", NULL);
    if (l->seccomp != NULL)
        return no(r, "linux_info.seccomp", "the built-in profile is always on");
    if (l->has_ipc_mode && l->ipc_mode == MESOS__V1__LINUX_INFO__IPC_MODE__SHARE_PARENT)
        return no(r, "linux_info.ipc_mode", "SHARE_PARENT");
    if (l->has_shm_size)
        return no(r, "linux_info.shm_size", NULL);
    if (l->has_share_cgroups && !l->share_cgroups)
        return no(r, "linux_info.share_cgroups", "false");
    return NULL;
}

static int rlimit_resource(Mesos__V1__RLimitInfo__RLimit__Type type)
{
    static const int map[] = {
        [MESOS__V1__RLIMIT_INFO__RLIMIT__TYPE__RLMT_AS] = RLIMIT_AS + 1,
        [MESOS__V1__RLIMIT_INFO__RLIMIT__TYPE__RLMT_CORE] = RLIMIT_CORE + 1,
        [MESOS__V1__RLIMIT_INFO__RLIMIT__TYPE__RLMT_CPU] = RLIMIT_CPU + 1,
        [MESOS__V1__RLIMIT_INFO__RLIMIT__TYPE__RLMT_DATA] = RLIMIT_DATA + 1,
        [MESOS__V1__RLIMIT_INFO__RLIMIT__TYPE__RLMT_FSIZE] = RLIMIT_FSIZE + 1,
        [MESOS__V1__RLIMIT_INFO__RLIMIT__TYPE__RLMT_LOCKS] = RLIMIT_LOCKS + 1,
        [MESOS__V1__RLIMIT_INFO__RLIMIT__TYPE__RLMT_MEMLOCK] = RLIMIT_MEMLOCK + 1,
        [MESOS__V1__RLIMIT_INFO__RLIMIT__TYPE__RLMT_MSGQUEUE] = RLIMIT_MSGQUEUE + 1,
        [MESOS__V1__RLIMIT_INFO__RLIMIT__TYPE__RLMT_NICE] = RLIMIT_NICE + 1,
        [MESOS__V1__RLIMIT_INFO__RLIMIT__TYPE__RLMT_NOFILE] = RLIMIT_NOFILE + 1,
        [MESOS__V1__RLIMIT_INFO__RLIMIT__TYPE__RLMT_NPROC] = RLIMIT_NPROC + 1,
        [MESOS__V1__RLIMIT_INFO__RLIMIT__TYPE__RLMT_RSS] = RLIMIT_RSS + 1,
        [MESOS__V1__RLIMIT_INFO__RLIMIT__TYPE__RLMT_RTPRIO] = RLIMIT_RTPRIO + 1,
        [MESOS__V1__RLIMIT_INFO__RLIMIT__TYPE__RLMT_RTTIME] = RLIMIT_RTTIME + 1,
        [MESOS__V1__RLIMIT_INFO__RLIMIT__TYPE__RLMT_SIGPENDING] = RLIMIT_SIGPENDING + 1,
        [MESOS__V1__RLIMIT_INFO__RLIMIT__TYPE__RLMT_STACK] = RLIMIT_STACK + 1,
    };
    return (size_t)type < sizeof(map) / sizeof(map[0]) ? map[type] - 1 : -1;
}

static const char *refuse_rlimits(const struct refusal *r, const Mesos__V1__RLimitInfo *info)
{
    for (size_t i = 0; i < info->n_rlimits; i++) {
        const Mesos__V1__RLimitInfo__RLimit *l = info->rlimits[i];
        if (!l->has_type || rlimit_resource(l->type) < 0)
            return no(r, "rlimit_info.rlimits.type", NULL);
        if (l->has_hard != l->has_soft)
            return no(r, "rlimit_info.rlimits", "soft and hard must both be set, or neither");
        if (l->has_hard && l->soft > l->hard)
            return no(r, "rlimit_info.rlimits", "soft is above hard");
    }
    return NULL;
}

static const char *refuse_container(const struct refusal *r, const Mesos__V1__ContainerInfo *c)
{
    if (c == NULL)
        return NULL;
    if (c->type == MESOS__V1__CONTAINER_INFO__TYPE__DOCKER || c->docker != NULL)
        return no(r, "type", "DOCKER; use MESOS");
    if (c->mesos != NULL && c->mesos->image != NULL)
        return no(r, "mesos.image", NULL);
    if (c->hostname != NULL)
        return no(r, "hostname", NULL);
    const char *why = NULL;
    for (size_t i = 0; i < c->n_volumes && why == NULL; i++)
        why = refuse_volume(r, c->volumes[i]);
    for (size_t i = 0; i < c->n_network_infos && why == NULL; i++)
        why = refuse_network(r, c->network_infos[i]);
    if (why == NULL && c->linux_info != NULL)
        why = refuse_linux(r, c->linux_info);
    if (why == NULL && c->rlimit_info != NULL)
        why = refuse_rlimits(r, c->rlimit_info);
    return why;
}

/* A task of a group runs inside its executor's container: what only a container of its own could give is refused. */
static const char *refuse_in_group(const struct refusal *r, const Mesos__V1__ContainerInfo *c)
{
    const char *why = "a task of a group runs in its executor's container";
    if (c == NULL)
        return NULL;
    if (c->n_volumes > 0)
        return no(r, "volumes", why);
    if (c->rlimit_info != NULL)
        return no(r, "rlimit_info", why);
    if (c->tty_info != NULL)
        return no(r, "tty_info", why);
    if (c->linux_info != NULL && c->linux_info->has_share_pid_namespace)
        return no(r, "linux_info.share_pid_namespace", why);
    return NULL;
}

static const char *refuse_command(const struct refusal *r, const Mesos__V1__CommandInfo *c)
{
    if (c == NULL || c->environment == NULL)
        return NULL;
    for (size_t i = 0; i < c->environment->n_variables; i++) {
        const Mesos__V1__Environment__Variable *v = c->environment->variables[i];
        if (v->secret != NULL || (v->has_type && v->type == MESOS__V1__ENVIRONMENT__VARIABLE__TYPE__SECRET))
            return no(r, "environment.variables.secret", v->name);
        if (v->name[0] == '\0' || strchr(v->name, '=') != NULL)
            return no(r, "environment.variables.name", "it is empty or has a '='");
    }
    return NULL;
}

/* volumes: why persistent volumes cannot be used here, NULL: they can. */
static const char *refuse_resources(const struct refusal *r, Mesos__V1__Resource *const *list, size_t n,
                                    const char *volumes)
{
    for (size_t i = 0; i < n; i++) {
        const Mesos__V1__Resource *one = list[i];
        if (strcmp(one->name, "gpus") == 0 && one->scalar != NULL && one->scalar->value > 0)
            return no(r, "resources", "gpus");
        if (one->disk == NULL || (one->disk->persistence == NULL && one->disk->volume == NULL))
            continue;
        if (one->disk->persistence == NULL)
            return no(r, "resources.disk.volume", "only persistent volumes are");
        if (volumes != NULL)
            return no(r, "resources.disk.persistence", volumes);
        if (one->disk->volume == NULL || one->disk->volume->container_path[0] == '\0' ||
            has_dot_dot(one->disk->volume->container_path))
            return no(r, "resources.disk.volume.container_path", "it must be a path without \"..\"");
        if (one->n_reservations == 0 || !text_is_valid_id(one->disk->persistence->id))
            return no(r, "resources.disk.persistence", "it is not reserved, or has no valid id");
    }
    return NULL;
}

static const char *refuse_task_in_group(const Mesos__V1__TaskInfo *task, const char *framework_user, struct arena *arena)
{
    struct refusal r = {arena, "command"};
    const Mesos__V1__CommandInfo *command = task->command;
    if (command != NULL && command->user != NULL && strcmp(command->user, framework_user) != 0)
        return no(&r, "user", "a task of a group runs as its executor's user");
    if (command != NULL && command->n_uris > 0)
        return no(&r, "uris", "a task of a group has what its executor fetched");
    r.where = "container";
    return refuse_in_group(&r, task->container);
}

const char *agent_launch_refusal(const Mesos__V1__TaskInfo *task, const Mesos__V1__ExecutorInfo *executor, bool command,
                                 bool group, const char *framework_user, struct arena *arena)
{
    struct refusal r = {arena, "task"};
    const char *why = refuse_resources(&r, task->resources, task->n_resources,
                                       command ? NULL : "the executor's container has those of the executor");
    bool builtin = command || (executor->has_type && executor->type == MESOS__V1__EXECUTOR_INFO__TYPE__DEFAULT);
    if (why == NULL && builtin) { /* a framework's own executor sees to its tasks itself */
        r.where = "container";
        why = refuse_container(&r, task->container);
        r.where = "command";
        if (why == NULL)
            why = refuse_command(&r, task->command);
        if (why == NULL && group)
            why = refuse_task_in_group(task, framework_user, arena);
        if (why == NULL && command && task->command == NULL)
            why = "the task has neither command nor executor";
    }
    if (why == NULL && !command) {
        r.where = "executor";
        why = refuse_resources(&r, executor->resources, executor->n_resources, NULL);
        r.where = "executor.container";
        if (why == NULL)
            why = refuse_container(&r, executor->container);
        r.where = "executor.command";
        if (why == NULL)
            why = refuse_command(&r, executor->command);
        if (why == NULL && !builtin &&
            (executor->command == NULL || (executor->command->value == NULL && executor->command->n_arguments == 0)))
            why = "executor.command is missing";
    }
    return why;
}

/* -- limits --------------------------------------------------------------------------------------------------- */

static int64_t to_millis(double value)
{
    if (!(value > 0))
        return 0;
    return value < 9e15 ? llround(value * 1000.0) : INT64_MAX / 4;
}

static int64_t megabytes_to_bytes(double value)
{
    if (!(value > 0))
        return 0;
    return value < 8e12 ? llround(value * (double)MIB) : INT64_MAX / 4;
}

struct agent_demand agent_demand_of(Mesos__V1__Resource *const *resources, size_t n, const Mesos__V1__TaskInfo *task)
{
    struct agent_demand d = {.cpu_limit_millis = -1, .memory_limit_bytes = -1};
    for (size_t i = 0; i < n; i++) {
        const Mesos__V1__Resource *r = resources[i];
        if (r->scalar == NULL)
            continue;
        if (strcmp(r->name, "cpus") == 0)
            d.cpu_millis += to_millis(r->scalar->value);
        else if (strcmp(r->name, "mem") == 0)
            d.memory_bytes += megabytes_to_bytes(r->scalar->value);
    }
    for (size_t i = 0; task != NULL && i < task->n_limits; i++) {
        const Mesos__V1__TaskInfo__LimitsEntry *limit = task->limits[i];
        if (limit->key == NULL || limit->value == NULL)
            continue;
        double value = limit->value->value;
        if (strcmp(limit->key, "cpus") == 0)
            d.cpu_limit_millis = isinf(value) ? INT64_MAX : to_millis(value);
        else if (strcmp(limit->key, "mem") == 0)
            d.memory_limit_bytes = isinf(value) ? INT64_MAX : megabytes_to_bytes(value);
    }
    return d;
}

/* A sum of limits: one without a limit counts with its request; one unlimited makes the sum unlimited. */
static int64_t add_limit(int64_t sum, int64_t limit, int64_t request)
{
    if (sum == INT64_MAX || limit == INT64_MAX)
        return INT64_MAX;
    return sum + (limit < 0 ? request : limit);
}

struct launcher_limits agent_launch_limits(const struct agent *a, const struct agent_executor *e)
{
    int64_t cpu = e->demand.cpu_millis, memory = e->demand.memory_bytes;
    int64_t cpu_limit = cpu, memory_limit = memory;
    bool has_cpu_limit = false, has_memory_limit = false;
    for (struct map_entry *it = map_first(&e->tasks); it != NULL; it = map_next(it)) {
        const struct agent_task *t = map_value(it);
        if (agent_state_is_terminal(t->state))
            continue;
        cpu += t->demand.cpu_millis;
        memory += t->demand.memory_bytes;
        has_cpu_limit |= t->demand.cpu_limit_millis >= 0;
        has_memory_limit |= t->demand.memory_limit_bytes >= 0;
        cpu_limit = add_limit(cpu_limit, t->demand.cpu_limit_millis, t->demand.cpu_millis);
        memory_limit = add_limit(memory_limit, t->demand.memory_limit_bytes, t->demand.memory_bytes);
    }
    struct launcher_limits l = {.cpu_millis = cpu, .cpu_quota_millis = -1, .pids_max = a->config.container_pids_max};
    if (has_cpu_limit)
        l.cpu_quota_millis = cpu_limit == INT64_MAX ? -1 : (cpu_limit > 10 ? cpu_limit : 10);
    else if (a->config.cpu_quota)
        l.cpu_quota_millis = cpu > 10 ? cpu : 10;
    l.memory_soft_bytes = memory > MEMORY_MIN ? memory : MEMORY_MIN;
    l.memory_hard_bytes = l.memory_soft_bytes;
    if (has_memory_limit)
        l.memory_hard_bytes = memory_limit == INT64_MAX ? -1 : (memory_limit > MEMORY_MIN ? memory_limit : MEMORY_MIN);
    /* lowering it could kill what runs well */
    if (e->memory_hard_bytes < 0 || (l.memory_hard_bytes >= 0 && l.memory_hard_bytes < e->memory_hard_bytes))
        l.memory_hard_bytes = e->memory_hard_bytes;
    return l;
}

char *agent_volume_role_name(const char *role)
{
    char *name = xstrdup(role);
    for (char *slash; (slash = strchr(name, '/')) != NULL;)
        *slash = ' ';
    return name;
}

/* -- the spec ------------------------------------------------------------------------------------------------- */

struct env_list {
    struct arena *arena;
    struct launcher_env *list;
    size_t count;
};

/* A later value of a name replaces the earlier one. */
static void env_set(struct env_list *env, const char *name, const char *value)
{
    for (size_t i = 0; i < env->count; i++) {
        if (strcmp(env->list[i].name, name) == 0) {
            env->list[i].value = value;
            return;
        }
    }
    env->list[env->count++] = (struct launcher_env){name, value};
}

static const char *duration_text(struct arena *arena, int64_t ms)
{
    char text[TEXT_DURATION_SIZE];
    text_format_duration_ns(ms < INT64_MAX / 1000000 ? ms * 1000000 : INT64_MAX, text);
    return arena_strdup(arena, text);
}

/* Facts: mesos 2.5. An executor of a framework without checkpoint is not told to wait for the agent's return. */
static void set_environment(const struct agent *a, const struct agent_executor *e, const char *sandbox,
                            const Mesos__V1__CommandInfo *command, struct launcher_spec *spec, struct arena *arena)
{
    size_t extra = command && command->environment ? command->environment->n_variables : 0;
    struct env_list env = {.arena = arena,
                           .list = arena_new_array(arena, struct launcher_env, a->config.executor_env_count + 20 + extra)};
    for (size_t i = 0; i < a->config.executor_env_count; i++)
        env_set(&env, a->config.executor_env[i].name, a->config.executor_env[i].value);
    bool v6 = strchr(a->config.ip, ':') != NULL;
    const char *endpoint = arena_printf(arena, v6 ? "[%s]:%d" : "%s:%d", a->config.ip, a->info->port);
    env_set(&env, "MESOS_FRAMEWORK_ID", e->framework->id);
    env_set(&env, "MESOS_EXECUTOR_ID", e->id);
    env_set(&env, "MESOS_DIRECTORY", sandbox);
    env_set(&env, "MESOS_SANDBOX", sandbox);
    env_set(&env, "MESOS_SLAVE_ID", a->id);
    env_set(&env, "MESOS_SLAVE_PID", arena_printf(arena, "slave(1)@%s", endpoint));
    env_set(&env, "MESOS_AGENT_ENDPOINT", endpoint);
    env_set(&env, "MESOS_CHECKPOINT", e->framework->checkpoint ? "1" : "0");
    env_set(&env, "MESOS_HTTP_COMMAND_EXECUTOR", "0");
    env_set(&env, "MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD", duration_text(arena, e->shutdown_grace_ms));
    if (e->framework->checkpoint) {
        env_set(&env, "MESOS_RECOVERY_TIMEOUT", duration_text(arena, a->config.recovery_timeout_ms));
        env_set(&env, "MESOS_SUBSCRIPTION_BACKOFF_MAX", duration_text(arena, a->config.executor_reregistration_timeout_ms));
    }
    if (a->config.executor_token != NULL)
        env_set(&env, "MESOS_EXECUTOR_AUTHENTICATION_TOKEN",
                a->config.executor_token(a->config.executor_token_ctx, e->framework->id, e->id, e->container_id, arena));
    if (a->config.domain_socket != NULL)
        env_set(&env, "MESOS_DOMAIN_SOCKET", a->config.domain_socket);
    if (a->config.libprocess_ip != NULL)
        env_set(&env, "LIBPROCESS_IP", a->config.libprocess_ip);
    env_set(&env, "LIBPROCESS_PORT", "0");
    for (size_t i = 0; i < extra; i++) {
        const Mesos__V1__Environment__Variable *v = command->environment->variables[i];
        env_set(&env, v->name, v->value ? v->value : "");
    }
    spec->env = env.list;
    spec->env_count = env.count;
}

static void set_command(const Mesos__V1__CommandInfo *command, struct launcher_spec *spec, struct arena *arena)
{
    if (command == NULL)
        return;
    struct launcher_uri *uris = arena_new_array(arena, struct launcher_uri, command->n_uris + 1);
    for (size_t i = 0; i < command->n_uris; i++) {
        const Mesos__V1__CommandInfo__URI *u = command->uris[i];
        uris[i] = (struct launcher_uri){.value = u->value,
                                        .output_file = u->output_file,
                                        .executable = u->has_executable && u->executable,
                                        .extract = !u->has_extract || u->extract,
                                        .cache = u->has_cache && u->cache};
    }
    spec->uris = uris;
    spec->uri_count = command->n_uris;
    if (spec->builtin_executor)
        return;
    if (!command->has_shell || command->shell) {
        spec->shell = command->value ? command->value : "";
        return;
    }
    /* without a shell, value is the program and the arguments begin with argv[0]; the launcher has one place for both, so
     * the program's path goes first and what the caller would have been called is left out */
    const char **argv = arena_new_array(arena, const char *, command->n_arguments + 2);
    size_t n = 0;
    if (command->value != NULL)
        argv[n++] = command->value;
    for (size_t i = command->value != NULL && command->n_arguments > 0 ? 1 : 0; i < command->n_arguments; i++)
        argv[n++] = command->arguments[i];
    argv[n] = NULL;
    spec->argv = argv;
}

static void set_terminal(const Mesos__V1__TTYInfo *tty, struct launcher_spec *spec)
{
    const Mesos__V1__TTYInfo__WindowSize *size = tty != NULL ? tty->window_size : NULL;
    spec->tty = tty != NULL;
    spec->rows = spec->columns = 0;
    if (size == NULL)
        return;
    spec->rows = size->rows > UINT16_MAX ? UINT16_MAX : (uint16_t)size->rows;
    spec->columns = size->columns > UINT16_MAX ? UINT16_MAX : (uint16_t)size->columns;
}

/* Facts: mesos 6.5. */
static struct launcher_mount volume_mount(const struct agent *a, const Mesos__V1__Resource *r, struct arena *arena)
{
    const Mesos__V1__Resource__DiskInfo__Source *s = r->disk->source;
    const char *root = NULL;
    bool is_mount_disk = s != NULL && s->type == MESOS__V1__RESOURCE__DISK_INFO__SOURCE__TYPE__MOUNT;
    if (s != NULL && s->path != NULL)
        root = s->path->root;
    else if (s != NULL && s->mount != NULL)
        root = s->mount->root;
    char *role = agent_volume_role_name(r->reservations[r->n_reservations - 1]->role);
    struct launcher_mount m = {
        .source = a->config.work_dir,
        .beneath = is_mount_disk ? "." : arena_printf(arena, "volumes/roles/%s/%s", role, r->disk->persistence->id),
        .give = r->shared != NULL ? LAUNCHER_GIVE_FIRST : LAUNCHER_GIVE,
        .target = r->disk->volume->container_path,
        .read_only = r->disk->volume->mode == MESOS__V1__VOLUME__MODE__RO};
    if (root != NULL)
        m.source = root[0] == '/' ? root : arena_printf(arena, "%s/%s", a->config.work_dir, root);
    free(role);
    return m;
}

static bool is_volume(const Mesos__V1__Resource *r)
{
    return r->disk != NULL && r->disk->persistence != NULL;
}

/* The persistent volumes of a command task, or of an executor. */
static void add_volumes(const struct agent *a, Mesos__V1__Resource *const *list, size_t n, struct launcher_spec *spec,
                        struct arena *arena)
{
    size_t count = spec->mount_count;
    for (size_t i = 0; i < n; i++)
        count += is_volume(list[i]);
    if (count == spec->mount_count)
        return;
    struct launcher_mount *mounts = arena_new_array(arena, struct launcher_mount, count);
    if (spec->mount_count > 0)
        memcpy(mounts, spec->mounts, spec->mount_count * sizeof(*mounts));
    for (size_t i = 0; i < n; i++)
        if (is_volume(list[i]))
            mounts[spec->mount_count++] = volume_mount(a, list[i], arena);
    spec->mounts = mounts;
}

static void set_volumes(const struct agent *a, const struct agent_executor *e, const Mesos__V1__ExecutorInfo *info,
                        struct launcher_spec *spec, struct arena *arena)
{
    add_volumes(a, info->resources, info->n_resources, spec, arena);
    for (struct map_entry *it = e->command ? map_first(&e->tasks) : NULL; it != NULL; it = map_next(it)) {
        const struct agent_task *t = map_value(it);
        const Mesos__V1__TaskInfo *task = agent_unpack(&mesos__v1__task_info__descriptor, t->info, t->info_len, arena);
        add_volumes(a, task->resources, task->n_resources, spec, arena);
    }
}

static void set_container(const Mesos__V1__ContainerInfo *c, struct launcher_spec *spec, struct arena *arena)
{
    if (c == NULL)
        return;
    struct launcher_mount *mounts = arena_new_array(arena, struct launcher_mount, c->n_volumes + 1);
    for (size_t i = 0; i < c->n_volumes; i++) {
        mounts[i] = (struct launcher_mount){.source = volume_host_path(c->volumes[i]),
                                            .target = c->volumes[i]->container_path,
                                            .read_only = c->volumes[i]->mode == MESOS__V1__VOLUME__MODE__RO};
    }
    spec->mounts = mounts;
    spec->mount_count = c->n_volumes;
    if (c->rlimit_info != NULL) {
        size_t n = c->rlimit_info->n_rlimits;
        struct launcher_rlimit *rlimits = arena_new_array(arena, struct launcher_rlimit, n + 1);
        for (size_t i = 0; i < n; i++) {
            const Mesos__V1__RLimitInfo__RLimit *l = c->rlimit_info->rlimits[i];
            rlimits[i] = (struct launcher_rlimit){.resource = rlimit_resource(l->type),
                                                  .soft = l->has_soft ? l->soft : UINT64_MAX,
                                                  .hard = l->has_hard ? l->hard : UINT64_MAX};
        }
        spec->rlimits = rlimits;
        spec->rlimit_count = n;
    }
    set_terminal(c->tty_info, spec);
    spec->share_pid_namespace =
        c->linux_info != NULL && c->linux_info->has_share_pid_namespace && c->linux_info->share_pid_namespace;
}

struct launcher_spec *agent_launch_spec(const struct agent *a, const struct agent_executor *e, struct arena *arena)
{
    const Mesos__V1__ExecutorInfo *info = agent_unpack(&mesos__v1__executor_info__descriptor, e->info, e->info_len, arena);
    struct launcher_spec *spec = arena_new_one(arena, struct launcher_spec);
    spec->container_id = arena_strdup(arena, e->container_id);
    spec->sandbox = arena_printf(arena, "%s/%s", a->config.work_dir, e->directory);
    if (!a->config.no_switch_user)
        spec->user = info->command && info->command->user ? info->command->user : arena_strdup(arena, e->framework->user);
    spec->builtin_executor = e->builtin;
    set_command(info->command, spec, arena);
    set_container(info->container, spec, arena);
    set_volumes(a, e, info, spec, arena);
    set_environment(a, e, spec->sandbox, info->command, spec, arena);
    spec->limits = agent_launch_limits(a, e);
    return spec;
}

/* -- inside a container --------------------------------------------------------------------------------------- */

const char *agent_launch_inside_refusal(const Mesos__V1__CommandInfo *command, const Mesos__V1__ContainerInfo *c,
                                        struct arena *arena)
{
    struct refusal r = {arena, "command"};
    if (command == NULL || (command->value == NULL && command->n_arguments == 0))
        return "command is missing";
    if (command->n_uris > 0)
        return no(&r, "uris", NULL);
    const char *why = refuse_command(&r, command);
    r.where = "container";
    if (why == NULL)
        why = refuse_container(&r, c);
    if (why == NULL && c != NULL && c->n_volumes > 0)
        why = no(&r, "volumes", "it has those of the container that it is in");
    if (why == NULL && c != NULL && c->rlimit_info != NULL)
        why = no(&r, "rlimit_info", "it has those of the container that it is in");
    return why;
}

/* Between the executor and the agent: nothing for tasks, nor for who looks into them. */
static bool is_executors_own(const char *name)
{
    static const char *const names[] = {"MESOS_EXECUTOR_AUTHENTICATION_TOKEN", "MESOS_DOMAIN_SOCKET", "LIBPROCESS_PORT",
                                        "LIBPROCESS_IP"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return false;
}

static void env_add(struct env_list *env, const Mesos__V1__CommandInfo *command)
{
    for (size_t i = 0; command != NULL && command->environment != NULL && i < command->environment->n_variables; i++) {
        const Mesos__V1__Environment__Variable *v = command->environment->variables[i];
        env_set(env, v->name, v->value ? v->value : "");
    }
}

static size_t env_size(const Mesos__V1__CommandInfo *command)
{
    return command != NULL && command->environment != NULL ? command->environment->n_variables : 0;
}

static const char *allocation_role(const Mesos__V1__TaskInfo *task)
{
    for (size_t i = 0; i < task->n_resources; i++)
        if (task->resources[i]->allocation_info != NULL && task->resources[i]->allocation_info->role != NULL)
            return task->resources[i]->allocation_info->role;
    return NULL;
}

/* As the executor makes it for its tasks. */
static void set_inside_environment(const struct agent *a, const struct agent_executor *e, const struct agent_task *task,
                                   const Mesos__V1__CommandInfo *command, struct launcher_spec *spec, struct arena *arena)
{
    const struct map_entry *first = map_first(&e->tasks);
    const struct agent_task *any = task != NULL ? task : first != NULL ? map_value(first) : NULL;
    const Mesos__V1__TaskInfo *info =
        any == NULL ? NULL : agent_unpack(&mesos__v1__task_info__descriptor, any->info, any->info_len, arena);
    const Mesos__V1__CommandInfo *own = task != NULL ? info->command : NULL; /* a lone command's is in its executor's */
    struct env_list env = {
        .arena = arena,
        .list = arena_new_array(arena, struct launcher_env, spec->env_count + 3 + env_size(own) + env_size(command))};
    for (size_t i = 0; i < spec->env_count; i++)
        if (!is_executors_own(spec->env[i].name))
            env_set(&env, spec->env[i].name, spec->env[i].value);
    env_set(&env, "MESOS_SANDBOX", spec->sandbox);
    env_set(&env, "MESOS_CONTAINER_IP", a->config.ip);
    if (info != NULL && allocation_role(info) != NULL)
        env_set(&env, "MESOS_ALLOCATION_ROLE", allocation_role(info));
    env_add(&env, own);
    env_add(&env, command);
    spec->env = env.list;
    spec->env_count = env.count;
}

struct launcher_spec *agent_launch_inside_spec(const struct agent *a, const struct agent_executor *e,
                                               const struct agent_task *group_task, const char *sandbox,
                                               const Mesos__V1__CommandInfo *command,
                                               const Mesos__V1__ContainerInfo *container, struct arena *arena)
{
    struct launcher_spec *spec = agent_launch_spec(a, e, arena);
    spec->container_id = NULL;
    spec->parent = e->container_id;
    spec->builtin_executor = false;
    set_terminal(container != NULL ? container->tty_info : NULL, spec);
    spec->mounts = NULL;
    spec->mount_count = 0;
    spec->shell = NULL;
    spec->argv = NULL;
    if (sandbox != NULL)
        spec->sandbox = sandbox;
    set_command(command, spec, arena);
    set_inside_environment(a, e, group_task, command, spec, arena);
    return spec;
}

/* -- standalone ----------------------------------------------------------------------------------------------- */

const char *agent_launch_standalone_refusal(const Mesos__V1__Agent__Call__LaunchContainer *call, struct arena *arena)
{
    struct refusal r = {arena, "command"};
    if (call->command == NULL || (call->command->value == NULL && call->command->n_arguments == 0))
        return "command is missing";
    const char *why = refuse_command(&r, call->command);
    r.where = "container";
    if (why == NULL)
        why = refuse_container(&r, call->container);
    for (size_t i = 0; i < call->n_resources && why == NULL; i++) {
        const Mesos__V1__Resource *one = call->resources[i];
        bool is_reserved =
            one->n_reservations > 0 || one->reservation != NULL || (one->role != NULL && strcmp(one->role, "*") != 0);
        if (is_reserved || one->revocable != NULL || (one->disk != NULL && one->disk->persistence != NULL))
            why = "resources must be unreserved, not revocable and without persistent volumes";
    }
    r.where = "launch";
    return why != NULL ? why : refuse_resources(&r, call->resources, call->n_resources, "a standalone container has none");
}

static void set_bare_environment(const struct agent *a, char *const *env, size_t env_count,
                                 const Mesos__V1__CommandInfo *command, struct launcher_spec *spec, struct arena *arena)
{
    struct env_list list = {.arena = arena,
                            .list = arena_new_array(arena, struct launcher_env, env_count + 2 + env_size(command))};
    for (size_t i = 0; i < env_count; i++) {
        const char *equals = strchr(env[i], '=');
        if (equals != NULL)
            env_set(&list, arena_printf(arena, "%.*s", (int)(equals - env[i]), env[i]), equals + 1);
    }
    env_set(&list, "MESOS_SANDBOX", spec->sandbox);
    env_set(&list, "MESOS_CONTAINER_IP", a->config.ip);
    env_add(&list, command);
    spec->env = list.list;
    spec->env_count = list.count;
}

struct launcher_spec *agent_launch_standalone_spec(const struct agent *a,
                                                   const Mesos__V1__Agent__Call__LaunchContainer *call, const char *sandbox,
                                                   struct arena *arena)
{
    struct launcher_spec *spec = arena_new_one(arena, struct launcher_spec);
    *spec = (struct launcher_spec){.sandbox = sandbox};
    if (!a->config.no_switch_user)
        spec->user = call->command->user;
    set_command(call->command, spec, arena);
    set_container(call->container, spec, arena);
    set_bare_environment(a, NULL, 0, call->command, spec, arena);
    struct agent_demand d = agent_demand_of(call->resources, call->n_resources, NULL);
    spec->limits = (struct launcher_limits){.cpu_millis = d.cpu_millis > 0 ? d.cpu_millis : -1,
                                            .cpu_quota_millis = a->config.cpu_quota && d.cpu_millis > 0 ? d.cpu_millis : -1,
                                            .memory_soft_bytes = d.memory_bytes > 0 ? d.memory_bytes : -1,
                                            .memory_hard_bytes = d.memory_bytes > 0 ? d.memory_bytes : -1,
                                            .pids_max = a->config.container_pids_max};
    for (size_t i = 0; i < call->n_limits; i++) {
        const Mesos__V1__Agent__Call__LaunchContainer__LimitsEntry *limit = call->limits[i];
        if (limit->key == NULL || limit->value == NULL)
            continue;
        double value = limit->value->value;
        if (strcmp(limit->key, "cpus") == 0)
            spec->limits.cpu_quota_millis = isinf(value) ? -1 : to_millis(value);
        else if (strcmp(limit->key, "mem") == 0)
            spec->limits.memory_hard_bytes = isinf(value) ? -1 : megabytes_to_bytes(value);
    }
    return spec;
}

struct launcher_spec *agent_launch_inside_standalone_spec(const struct agent *a, const char *root, const char *user,
                                                          char *const *env, size_t env_count, const char *sandbox,
                                                          const Mesos__V1__CommandInfo *command,
                                                          const Mesos__V1__ContainerInfo *container, struct arena *arena)
{
    struct launcher_spec *spec = arena_new_one(arena, struct launcher_spec);
    *spec = (struct launcher_spec){.parent = root, .user = user, .sandbox = sandbox};
    set_terminal(container != NULL ? container->tty_info : NULL, spec);
    set_command(command, spec, arena);
    set_bare_environment(a, env, env_count, command, spec, arena);
    return spec;
}
