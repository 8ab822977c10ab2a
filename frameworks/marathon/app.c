/* SPDX-License-Identifier: Apache-2.0
 * app.c - life cycle of app definitions and the way from JSON to one: schema, unsupported keys, legacy keys, laying an
 * update over what is stored, reading, validation (facts: marathon 2.1). */
#include "frameworks/marathon/app.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"
#include "common/base/text.h"
#include "frameworks/kit/schema.h"

void *app_alloc(struct app *a, size_t size)
{
    return chunks_alloc(&a->chunks, size);
}

char *app_strdup(struct app *a, const char *s)
{
    return chunks_strdup(&a->chunks, s);
}

static struct app *app_new(void)
{
    struct app *a = xcalloc(1, sizeof(*a));
    a->refs = 1;
    return a;
}

struct app *app_ref(struct app *a)
{
    a->refs++;
    return a;
}

struct app *app_unref(struct app *a)
{
    if (a == NULL || --a->refs > 0)
        return NULL;
    chunks_free(&a->chunks);
    free(a);
    return NULL;
}

static char *text_of(const struct app *a, bool with_version_info)
{
    struct buf b;
    buf_init(&b, 256u << 20); /* far beyond what the bounds of a request body allow, escapes included */
    struct json_writer w;
    json_writer_init(&w, &b);
    app_write(a, with_version_info, &w);
    CHECK(!b.overflowed); /* the definition came in under the same bound */
    char *text = buf_steal_str(&b);
    buf_deinit(&b);
    return text;
}

size_t app_text_bytes(const struct app *a)
{
    char *text = text_of(a, true);
    size_t n = strlen(text);
    free(text);
    return n;
}

static json_t *json_of(const struct app *a)
{
    char *text = text_of(a, false);
    json_t *json = json_read(text, strlen(text), NULL);
    free(text);
    CHECK(json != NULL);
    return json;
}

/* Given top-level keys replace the stored ones as a whole (facts 1.5). */
static json_t *lay_over(const struct app *base, const json_t *update)
{
    json_t *merged = json_of(base);
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)update, key, value)
    {
        CHECK(json_object_set(merged, key, value) == 0);
    }
    /* cmd and args exclude each other: the one that is given wins over the stored one */
    if (json_object_get(update, "cmd") && !json_object_get(update, "args"))
        (void)json_object_del(merged, "args"); /* absent is as good */
    if (json_array_size(json_object_get(update, "args")) > 0 && !json_object_get(update, "cmd"))
        (void)json_object_del(merged, "cmd");
    return merged;
}

static void set_id(json_t *json, const char *id, struct problems *problems)
{
    const char *raw = id ? id : json_string_value(json_object_get(json, "id"));
    char absolute[APP_ID_SIZE];
    if (raw == NULL)
        return; /* the schema has said so */
    if (!app_id_resolve(raw, "/", absolute)) {
        problems_add(problems, "/id", "must not be longer than %d characters", APP_ID_MAX);
        return;
    }
    const char *why = app_id_problem(absolute);
    if (why)
        problems_add(problems, "/id", "%s", why);
    else
        CHECK(json_object_set_new(json, "id", json_string(absolute)) == 0);
}

bool app_from_json(const json_t *json, const struct app *base, const char *id, const struct app_context *context,
                   struct app **out, struct problems *problems)
{
    app_check_schema(json, base != NULL || id != NULL, problems);
    if (problems_any(problems))
        return false;
    json_t *own = schema_copy_without_nulls(json);
    app_check_supported(own, problems);
    app_normalise(own, problems);
    if (base)
        set_id(own, base->id, problems);
    else
        set_id(own, id, problems);
    if (problems_any(problems)) {
        json_decref(own);
        return false;
    }
    if (base) {
        json_t *merged = lay_over(base, own);
        json_decref(own);
        own = merged;
    }
    struct app *a = app_new();
    if (app_read(a, own, context, problems))
        app_validate(a, context, problems);
    if (!problems_any(problems) && app_text_bytes(a) > APP_TEXT_BYTES_MAX)
        problems_add(problems, "/", "is larger than %u bytes", APP_TEXT_BYTES_MAX);
    json_decref(own);
    if (problems_any(problems)) {
        (void)app_unref(a);
        return false;
    }
    *out = a;
    return true;
}

static int64_t time_of(const json_t *info, const char *key, int64_t otherwise)
{
    int64_t ms;
    const char *text = json_string_value(json_object_get(info, key));
    return text && text_to_time_ms(text, &ms) == 0 ? ms : otherwise;
}

struct app *app_from_stored(const void *text, size_t len, const struct app_context *context)
{
    json_t *json = json_read(text, len, NULL);
    struct problems problems;
    problems_init(&problems);
    struct app *a = NULL;
    struct app_context stored = *context;
    stored.is_stored = true;
    if (json && app_from_json(json, NULL, NULL, &stored, &a, &problems)) {
        const json_t *info = json_object_get(json, "versionInfo");
        a->version_ms = time_of(json, "version", 0);
        a->last_scaling_ms = time_of(info, "lastScalingAt", a->version_ms);
        a->last_config_change_ms = time_of(info, "lastConfigChangeAt", a->version_ms);
    }
    problems_deinit(&problems);
    json_decref(json);
    return a;
}

struct app *app_copy(const struct app *a, const struct app_context *context)
{
    json_t *json = json_of(a);
    struct app *copy = app_new();
    struct problems problems;
    problems_init(&problems);
    CHECK(app_read(copy, json, context, &problems));
    problems_deinit(&problems);
    json_decref(json);
    copy->version_ms = a->version_ms;
    copy->last_scaling_ms = a->last_scaling_ms;
    copy->last_config_change_ms = a->last_config_change_ms;
    return copy;
}

/* Everything that is written, apart from the number of instances and the versions, is compared (facts 2.4). */
bool app_needs_restart(const struct app *from, const struct app *to)
{
    struct app a = *from, b = *to;
    a.instances = b.instances = 0;
    a.version_ms = b.version_ms = 0;
    char *left = text_of(&a, false), *right = text_of(&b, false);
    bool differs = strcmp(left, right) != 0;
    free(left);
    free(right);
    return differs;
}

static bool is_named(const struct app *a, int number)
{
    for (size_t i = 0; i < a->port_count; i++) {
        if (a->ports[i].number == number)
            return true;
    }
    return false;
}

bool app_assign_ports(struct app *a, const struct app *old, int min, int max, bool (*is_used)(void *ctx, int port),
                      void *ctx)
{
    size_t next_old = 0;
    int next = min;
    for (size_t i = 0; i < a->port_count; i++) {
        if (a->ports[i].number != 0)
            continue;
        int number = 0;
        for (; number == 0 && old && next_old < old->port_count; next_old++) {
            int candidate = old->ports[next_old].number;
            if (candidate >= min && candidate <= max && !is_named(a, candidate))
                number = candidate;
        }
        for (; number == 0 && next <= max; next++) {
            if (!is_used(ctx, next) && !is_named(a, next))
                number = next;
        }
        if (number == 0)
            return false;
        a->ports[i].number = number;
    }
    return true;
}

const char *app_operator_name(enum app_operator op)
{
    static const char *const names[] = {"UNIQUE", "CLUSTER", "GROUP_BY", "LIKE", "UNLIKE", "MAX_PER", "IS"};
    return names[op];
}

const char *app_check_protocol_name(enum app_check_protocol p)
{
    static const char *const names[] = {"HTTP", "HTTPS", "TCP", "COMMAND", "MESOS_HTTP", "MESOS_HTTPS", "MESOS_TCP"};
    return names[p];
}
