/* SPDX-License-Identifier: Apache-2.0
 * task_env.c - environment variables of a task: its context, its ports, then the app's own, which win. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"
#include "common/base/json.h"
#include "common/base/map.h"
#include "common/base/text.h"
#include "frameworks/marathon/task_info.h"

#define LABEL_KEY_MAX (512 - 19) /* longer ones are left out, as are longer values */
#define LABEL_VALUE_MAX 512

struct env {
    struct arena *arena;
    struct map by_name; /* name -> variable; keeps the place of its first appearance */
    const char *prefix;
};

static void put(struct env *e, const char *name, const char *value)
{
    Mesos__V1__Environment__Variable *v = map_get(&e->by_name, name);
    if (v == NULL) {
        v = arena_new_one(e->arena, Mesos__V1__Environment__Variable);
        mesos__v1__environment__variable__init(v);
        v->name = arena_strdup(e->arena, name);
        (void)map_put(&e->by_name, name, v); /* was not there */
    }
    v->value = (char *)value; /* protobuf-c has no const; nobody writes to it */
}

static void put_prefixed(struct env *e, const char *name, const char *value)
{
    put(e, e->prefix ? arena_printf(e->arena, "%s%s", e->prefix, name) : name, value);
}

/* As Java writes a double: 0.1, 128.0. */
static const char *decimal(struct arena *a, double d)
{
    struct buf b;
    struct json_writer w;
    buf_init(&b, 64);
    json_writer_init(&w, &b);
    json_put_double(&w, d);
    char *text = buf_steal_str(&b);
    const char *copy = arena_strdup(a, text);
    free(text);
    buf_deinit(&b);
    return copy;
}

/* Upper case; each run of other characters than letters, digits and '_' becomes one '_'. */
static char *sanitise(struct arena *a, const char *s)
{
    char *out = arena_strdup(a, s), *at = out;
    bool in_run = false;
    for (; *s; s++) {
        bool ok = isalnum((unsigned char)*s) || *s == '_';
        if (ok)
            *at++ = (char)toupper((unsigned char)*s);
        else if (!in_run)
            *at++ = '_';
        in_run = !ok;
    }
    *at = '\0';
    return out;
}

static void put_labels(struct env *e, const struct app *app)
{
    struct buf names;
    buf_init(&names, 0);
    for (size_t i = 0; i < app->labels.count; i++) {
        const struct pair *l = &app->labels.items[i];
        if (strlen(l->key) >= LABEL_KEY_MAX || strlen(l->value) >= LABEL_VALUE_MAX)
            continue;
        char *name = sanitise(e->arena, l->key);
        (void)buf_printf(&names, "%s%s", buf_len(&names) ? " " : "", name); /* bounded by the definition */
        put(e, arena_printf(e->arena, "MARATHON_APP_LABEL_%s", name), l->value);
    }
    char *list = buf_steal_str(&names);
    put(e, "MARATHON_APP_LABELS", arena_strdup(e->arena, list));
    free(list);
    buf_deinit(&names);
}

static void put_context(struct env *e, const struct task_request *r)
{
    const struct app *app = r->app;
    char version[TEXT_TIME_SIZE];
    text_format_time_ms(app->version_ms, version);
    put(e, "MESOS_TASK_ID", r->task_id);
    put(e, "MARATHON_APP_ID", app->id);
    put(e, "MARATHON_APP_VERSION", arena_strdup(e->arena, version));
    put(e, "MARATHON_APP_RESOURCE_CPUS", decimal(e->arena, app->cpus));
    put(e, "MARATHON_APP_RESOURCE_MEM", decimal(e->arena, app->mem));
    put(e, "MARATHON_APP_RESOURCE_DISK", decimal(e->arena, app->disk));
    put(e, "MARATHON_APP_RESOURCE_GPUS", "0");
    put(e, "MARATHON_APP_ENFORCE_GROUP_ROLE", "FALSE");
    put_labels(e, app);
    put_prefixed(e, "HOST", r->hostname);
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
    struct env e = {.arena = a, .prefix = r->env_prefix};
    map_init(&e.by_name);
    put_context(&e, r);
    put_ports(&e, r);
    for (size_t i = 0; i < r->app->env.count; i++)
        put(&e, r->app->env.items[i].key, r->app->env.items[i].value);
    Mesos__V1__Environment *env = arena_new_one(a, Mesos__V1__Environment);
    mesos__v1__environment__init(env);
    env->variables = arena_new_array(a, Mesos__V1__Environment__Variable *, map_count(&e.by_name));
    for (struct map_entry *entry = map_first(&e.by_name); entry; entry = map_next(entry))
        env->variables[env->n_variables++] = map_value(entry);
    map_deinit(&e.by_name);
    return env;
}
