/* SPDX-License-Identifier: Apache-2.0
 * task_env.c - environment variables of a task. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/base/json.h"
#include "common/base/text.h"
#include "frameworks/kit/task_parts.h"

#define LABEL_KEY_MAX (512 - 19) /* longer ones are left out, as are longer values */
#define LABEL_VALUE_MAX 512

void task_env_begin(struct task_env *e, struct arena *a)
{
    e->arena = a;
    map_init(&e->by_name);
}

void task_env_put(struct task_env *e, const char *name, const char *value)
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

void task_env_put_pairs(struct task_env *e, const struct pairs *pairs)
{
    for (size_t i = 0; i < pairs->count; i++)
        task_env_put(e, pairs->items[i].key, pairs->items[i].value);
}

Mesos__V1__Environment *task_env_end(struct task_env *e)
{
    Mesos__V1__Environment *env = arena_new_one(e->arena, Mesos__V1__Environment);
    mesos__v1__environment__init(env);
    env->variables = arena_new_array(e->arena, Mesos__V1__Environment__Variable *, map_count(&e->by_name));
    for (struct map_entry *entry = map_first(&e->by_name); entry; entry = map_next(entry))
        env->variables[env->n_variables++] = map_value(entry);
    map_deinit(&e->by_name);
    return env;
}

/* As Java writes a double: 0.1, 128.0. */
const char *task_decimal(struct arena *a, double d)
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

static void put_labels(struct task_env *e, const struct pairs *labels)
{
    struct buf names;
    buf_init(&names, 0);
    for (size_t i = 0; i < labels->count; i++) {
        const struct pair *l = &labels->items[i];
        if (strlen(l->key) >= LABEL_KEY_MAX || strlen(l->value) >= LABEL_VALUE_MAX)
            continue;
        char *name = sanitise(e->arena, l->key);
        (void)buf_printf(&names, "%s%s", buf_len(&names) ? " " : "", name); /* bounded by the definition */
        task_env_put(e, arena_printf(e->arena, "MARATHON_APP_LABEL_%s", name), l->value);
    }
    char *list = buf_steal_str(&names);
    task_env_put(e, "MARATHON_APP_LABELS", arena_strdup(e->arena, list));
    free(list);
    buf_deinit(&names);
}

void task_env_put_context(struct task_env *e, const struct task_context *c)
{
    char version[TEXT_TIME_SIZE];
    text_format_time_ms(c->version_ms, version);
    task_env_put(e, "MESOS_TASK_ID", c->task_id);
    task_env_put(e, "MARATHON_APP_ID", c->app_id);
    task_env_put(e, "MARATHON_APP_VERSION", arena_strdup(e->arena, version));
    task_env_put(e, "MARATHON_APP_RESOURCE_CPUS", task_decimal(e->arena, c->cpus));
    task_env_put(e, "MARATHON_APP_RESOURCE_MEM", task_decimal(e->arena, c->mem));
    task_env_put(e, "MARATHON_APP_RESOURCE_DISK", task_decimal(e->arena, c->disk));
    task_env_put(e, "MARATHON_APP_RESOURCE_GPUS", "0");
    task_env_put(e, "MARATHON_APP_ENFORCE_GROUP_ROLE", "FALSE");
    put_labels(e, c->labels);
    task_env_put(e, arena_printf(e->arena, "%sHOST", c->host_prefix ? c->host_prefix : ""), c->host);
}
