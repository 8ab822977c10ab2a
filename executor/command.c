/* SPDX-License-Identifier: Apache-2.0
 * command.c - from a CommandInfo to program, arguments, environment and directory (facts: mesos 2.5). */
#include <errno.h>
#include <string.h>

#include "common/base/check.h"
#include "executor/state.h"

struct environment {
    struct arena *arena;
    struct executor_variable *list;
    size_t count, capacity;
};

/* The later one of a name wins. */
static void put_variable(struct environment *env, const char *name, size_t name_len, const char *value)
{
    for (size_t i = 0; i < env->count; i++)
        if (strncmp(env->list[i].name, name, name_len) == 0 && env->list[i].name[name_len] == '\0') {
            env->list[i].value = value;
            return;
        }
    CHECK(env->count < env->capacity);
    env->list[env->count++] =
        (struct executor_variable){.name = arena_printf(env->arena, "%.*s", (int)name_len, name), .value = value};
}

static void put(struct environment *env, const char *name, const char *value)
{
    put_variable(env, name, strlen(name), value);
}

static const char *allocation_role(const Mesos__V1__TaskInfo *info)
{
    for (size_t i = 0; i < info->n_resources; i++)
        if (info->resources[i]->allocation_info && info->resources[i]->allocation_info->role)
            return info->resources[i]->allocation_info->role;
    return NULL;
}

static int put_wire_variable(struct environment *env, const Mesos__V1__Environment__Variable *variable, struct err *err)
{
    size_t name_len = strlen(variable->name);
    if (name_len == 0 || strchr(variable->name, '='))
        return err_set(err, -EINVAL, "invalid name of an environment variable: '%.100s'", variable->name);
    if (variable->value) {
        put(env, variable->name, variable->value);
        return 0;
    }
    if (!variable->secret) {
        put(env, variable->name, "");
        return 0;
    }
    if (!variable->secret->value)
        return err_set(err, -EINVAL, "environment variable %.100s: secret references are not supported", variable->name);
    const ProtobufCBinaryData *data = &variable->secret->value->data;
    if (memchr(data->data ? data->data : (const uint8_t *)"", 0, data->len))
        return err_set(err, -EINVAL, "environment variable %.100s: the secret contains a zero byte", variable->name);
    char *value = arena_must_alloc(env->arena, data->len + 1);
    if (data->len > 0)
        memcpy(value, data->data, data->len);
    put(env, variable->name, value);
    return 0;
}

static int build_environment(const struct executor *e, const Mesos__V1__TaskInfo *info,
                             const Mesos__V1__CommandInfo *command, struct executor_command *out, struct err *err)
{
    const size_t own = 3, variables_max = 1024; /* looked through by name: not without a bound */
    size_t inherited = 0, count = command->environment ? command->environment->n_variables : 0;
    size_t task_count = command != info->command && info->command && info->command->environment
                            ? info->command->environment->n_variables
                            : 0;
    while (e->environment[inherited])
        inherited++;
    if (count > variables_max || task_count > variables_max || inherited > variables_max)
        return err_set(err, -EINVAL, "more than %zu environment variables", variables_max);
    struct environment env = {.arena = e->out->arena, .capacity = own + inherited + count + task_count};
    env.list = arena_new_array(e->out->arena, struct executor_variable, env.capacity);
    for (size_t i = 0; i < inherited; i++) {
        const char *equals = strchr(e->environment[i], '=');
        if (equals && equals != e->environment[i])
            put_variable(&env, e->environment[i], (size_t)(equals - e->environment[i]), equals + 1);
    }
    put(&env, "MESOS_SANDBOX", out->directory);
    if (allocation_role(info))
        put(&env, "MESOS_ALLOCATION_ROLE", allocation_role(info));
    if (e->config.container_ip)
        put(&env, "MESOS_CONTAINER_IP", e->config.container_ip);
    /* A check's command sees what its task sees, and its own variables. */
    for (size_t i = 0; i < task_count; i++)
        if (put_wire_variable(&env, info->command->environment->variables[i], err) < 0)
            return -EINVAL;
    for (size_t i = 0; i < count; i++)
        if (put_wire_variable(&env, command->environment->variables[i], err) < 0)
            return -EINVAL;
    out->env = env.list;
    out->env_count = env.count;
    return 0;
}

int executor_command_build(const struct executor *e, const struct executor_task *task, const Mesos__V1__TaskInfo *info,
                           const Mesos__V1__CommandInfo *command, struct executor_command *out, struct err *err)
{
    struct arena *arena = e->out->arena;
    *out = (struct executor_command){.user = command->user ? command->user : (info->command ? info->command->user : NULL)};
    if (!command->value || !command->value[0])
        return err_set(err, -EINVAL, "the command has no value");
    if (command->shell) {
        out->shell = command->value;
    } else {
        /* As exec does it: arguments[0] is the name that the program sees. */
        const char **argv = arena_new_array(arena, const char *, command->n_arguments + 2);
        argv[0] = command->value;
        for (size_t i = 0; i < command->n_arguments; i++)
            argv[i] = command->arguments[i];
        out->program = command->value;
        out->argv = argv;
    }
    out->directory =
        task->is_nested ? arena_printf(arena, "%s/containers/%s", e->config.sandbox, task->nested_id) : e->config.sandbox;
    out->own_output = task->is_nested;
    return build_environment(e, info, command, out, err);
}
