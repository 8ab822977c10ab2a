/* SPDX-License-Identifier: Apache-2.0
 * task_env.c - environment variables of a task: its context, its ports, then the app's own, which win. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "frameworks/kit/task_parts.h"
#include "frameworks/marathon/task_info.h"

struct env {
    struct task_env kit;
    struct arena *arena;
    const char *prefix;
};

static void put_prefixed(struct env *e, const char *name, const char *value)
{
    task_env_put(&e->kit, e->prefix ? arena_printf(e->arena, "%s%s", e->prefix, name) : name, value);
}

static void put_port_name(struct env *e, const char *name, const char *value)
{
    char *upper = arena_printf(e->arena, "PORT_%s", name);
    for (char *c = upper; *c; c++)
        *c = (char)toupper((unsigned char)*c);
    put_prefixed(e, upper, value);
    /* A shell cannot read names with dashes: the same once more with underscores. */
    if (strchr(upper, '-')) {
        char *plain = arena_strdup(e->arena, upper);
        for (char *c = plain; *c; c++)
            *c = *c == '-' ? '_' : *c;
        put_prefixed(e, plain, value);
    }
}

static void put_ports(struct env *e, const struct task_request *r)
{
    const struct app *app = r->app;
    if (app->port_count == 0)
        return;
    char *list = arena_new_array(e->arena, char, app->port_count * 6 + 1), *at = list;
    for (size_t i = 0; i < app->port_count; i++) {
        const struct app_port *p = &app->ports[i];
        const char *value = arena_printf(e->arena, "%u", r->ports[i]);
        at += sprintf(at, "%s%s", i ? "," : "", value); /* 5 digits and a comma each */
        put_prefixed(e, arena_printf(e->arena, "PORT%zu", i), value);
        put_prefixed(e, arena_printf(e->arena, "PORT_%d", p->number ? p->number : (int)r->ports[i]), value);
        if (p->name)
            put_port_name(e, p->name, value);
        if (i == 0)
            put_prefixed(e, "PORT", value);
    }
    put_prefixed(e, "PORTS", list);
}

Mesos__V1__Environment *marathon_task_environment(const struct task_request *r, struct arena *a)
{
    const struct app *app = r->app;
    struct env e = {.arena = a, .prefix = r->env_prefix};
    const struct task_context context = {.task_id = r->task_id,
                                         .app_id = app->id,
                                         .host = r->hostname,
                                         .version_ms = app->version_ms,
                                         .cpus = app->cpus,
                                         .mem = app->mem,
                                         .disk = app->disk,
                                         .labels = &app->labels,
                                         .host_prefix = r->env_prefix};
    task_env_begin(&e.kit, a);
    task_env_put_context(&e.kit, &context);
    put_ports(&e, r);
    task_env_put_pairs(&e.kit, &app->env);
    return task_env_end(&e.kit);
}
