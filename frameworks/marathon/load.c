/* SPDX-License-Identifier: Apache-2.0
 * load.c - the state of an earlier run out of the store. Instances keep their tasks; deployments begin again from the top,
 * and what is done already is passed over. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"
#include "frameworks/marathon/core.h"

#define PREFIX_LEN (sizeof(MARATHON_STORE_PREFIX) - 1)

/* The part of the key after prefix and kind, as a terminated string into out; false when it is another kind. */
static bool key_rest(const struct kit_item *item, const char *kind, char *out, size_t size)
{
    size_t skip = PREFIX_LEN + strlen(kind);
    if (item->key_len < skip || memcmp((const char *)item->key + PREFIX_LEN, kind, strlen(kind)) != 0)
        return false;
    size_t n = item->key_len - skip;
    if (n >= size)
        return false;
    memcpy(out, (const char *)item->key + skip, n);
    out[n] = '\0';
    return true;
}

static int unreadable(struct marathon *m, const struct kit_item *item)
{
    marathon_fatal(m, "stored state is not readable: key %.*s", (int)(item->key_len < 300 ? item->key_len : 300),
                   (const char *)item->key);
    return -EINVAL;
}

static struct service *get_or_make(struct marathon *m, const char *id)
{
    struct service *s = marathon_service_get(m, id);
    return s ? s : marathon_service_new(m, id);
}

static int load_app(struct marathon *m, const struct kit_item *item, const char *id)
{
    struct app *app = app_from_stored(item->value, item->value_len, &m->context);
    if (app == NULL || strcmp(app->id, id) != 0) {
        (void)app_unref(app);
        return unreadable(m, item);
    }
    if (app->version_ms > m->last_version_ms)
        m->last_version_ms = app->version_ms;
    marathon_service_set_app(m, get_or_make(m, id), app);
    return 0;
}

static int load_version(struct marathon *m, const struct kit_item *item, char *rest)
{
    char *at = strrchr(rest, '@');
    int64_t version_ms;
    if (at == NULL)
        return unreadable(m, item);
    *at = '\0';
    const char *digits = at + 1 + strspn(at + 1, "0");
    if (text_to_int64(*digits ? digits : "0", &version_ms) != 0 || strlen(rest) > APP_ID_MAX)
        return unreadable(m, item);
    struct service *s = get_or_make(m, rest);
    marathon_service_put_version(s, version_ms, xstrndup(item->value, item->value_len));
    return 0;
}

static int load_failure(struct marathon *m, const struct kit_item *item, const char *id)
{
    if (strlen(id) > APP_ID_MAX)
        return unreadable(m, item);
    struct service *s = get_or_make(m, id);
    s->failure = xstrndup(item->value, item->value_len);
    return 0;
}

static int load_framework(struct marathon *m, const struct kit_item *item)
{
    json_t *json = json_read(item->value, item->value_len, NULL);
    const char *id = json_string_value(json_object_get(json, "id"));
    m->framework_id = id ? xstrdup(id) : NULL;
    json_decref(json);
    return id ? 0 : unreadable(m, item);
}

static char *text_of(const json_t *json, const char *key)
{
    const char *s = json_string_value(json_object_get(json, key));
    return s ? xstrdup(s) : NULL;
}

static int64_t int_of(const json_t *json, const char *key)
{
    return (int64_t)json_integer_value(json_object_get(json, key));
}

static void load_task(struct marathon *m, struct instance *i, const json_t *json)
{
    i->task_id = text_of(json, "task");
    i->agent_id = text_of(json, "agent");
    i->hostname = text_of(json, "host");
    i->region = text_of(json, "region");
    i->zone = text_of(json, "zone");
    i->address = text_of(json, "address");
    i->kill_reason = text_of(json, "killReason");
    i->ports = xcalloc(i->spec->port_count + 1, sizeof(i->ports[0]));
    for (size_t k = 0; k < i->spec->port_count; k++)
        i->ports[k] = (uint32_t)json_integer_value(json_array_get(json_object_get(json, "ports"), k));
    const json_t *values = json_object_get(json, "values");
    if (values && i->spec->constraint_count > 0) {
        i->values = xcalloc(i->spec->constraint_count, sizeof(i->values[0]));
        for (size_t k = 0; k < i->spec->constraint_count; k++) {
            const char *v = json_string_value(json_array_get(values, k));
            i->values[k] = v ? xstrdup(v) : NULL;
        }
    }
    i->staged_ms = int_of(json, "stagedAt");
    i->started_ms = int_of(json, "startedAt");
    i->unreachable_ms = int_of(json, "unreachableAt");
    i->mesos_health = (enum health)int_of(json, "mesosHealth");
    i->has_check_result = json_object_get(json, "checkResult") != NULL;
    i->check_result = int_of(json, "checkResult");
    i->has_status = json_is_true(json_object_get(json, "hasStatus"));
    i->is_killed = json_is_true(json_object_get(json, "isKilled"));
    i->kill_next_ms = m->now_ms + m->config.kill_retry_timeout_ms; /* all are told again when the connection is there */
}

static bool parse_condition(const char *name, enum condition *out)
{
    for (int c = CONDITION_SCHEDULED; name && c < CONDITION_FINISHED; c++) {
        if (strcmp(marathon_condition_name((enum condition)c), name) == 0) {
            *out = (enum condition)c;
            return true;
        }
    }
    return false;
}

/* The definition an instance runs: shared with the service's present one if it is the same. */
static struct app *spec_of(struct marathon *m, struct service *s, int64_t version_ms)
{
    if (s->app && s->app->version_ms == version_ms)
        return app_ref(s->app);
    /* Neighbours mostly run the same version: share with the one loaded before. */
    if (!list_is_empty(&s->instances)) {
        struct instance *before = container_of(s->instances.prev, struct instance, link);
        if (before->spec && before->spec->version_ms == version_ms)
            return app_ref(before->spec);
    }
    const struct version *v = marathon_service_version(s, version_ms);
    return v ? app_from_stored(v->text, strlen(v->text), &m->context) : NULL;
}

static int load_instance(struct marathon *m, const struct kit_item *item, const char *id)
{
    json_t *json = json_read(item->value, item->value_len, NULL);
    const char *app_id = json_string_value(json_object_get(json, "app"));
    struct service *s = app_id ? marathon_service_get(m, app_id) : NULL;
    struct app *spec = s ? spec_of(m, s, int_of(json, "version")) : NULL;
    enum condition condition;
    bool is_launched = json_object_get(json, "task") != NULL;
    bool has_agent = json_is_string(json_object_get(json, "agent")) && json_is_string(json_object_get(json, "host"));
    if (spec == NULL || (is_launched && !has_agent) ||
        !parse_condition(json_string_value(json_object_get(json, "condition")), &condition) ||
        is_launched == (condition == CONDITION_SCHEDULED)) {
        (void)app_unref(spec);
        json_decref(json);
        return unreadable(m, item);
    }
    if (s->app == NULL) /* removed, but not all of its instances have ended */
        s->app = app_ref(spec);
    struct instance *i = marathon_instance_new(m, s, id);
    i->spec = spec;
    i->incarnation = (unsigned)int_of(json, "incarnation");
    i->condition = condition;
    i->is_stored = true;
    i->is_decommissioned = json_is_true(json_object_get(json, "isDecommissioned"));
    i->is_awaited = json_is_true(json_object_get(json, "isAwaited"));
    if (is_launched)
        load_task(m, i, json);
    json_decref(json);
    if (!is_launched)
        marathon_instance_enqueue(m, i);
    else if (condition == CONDITION_RUNNING)
        marathon_health_start(m, i);
    marathon_instance_set_timer(m, i);
    marathon_instance_changed(m, i, false);
    return 0;
}

static struct app *definition_of(struct marathon *m, const json_t *change, const char *key, bool *ok)
{
    const json_t *json = json_object_get(change, key);
    if (json == NULL)
        return NULL;
    char *text = json_dumps(json, JSON_COMPACT);
    struct app *app = text ? app_from_stored(text, strlen(text), &m->context) : NULL;
    free(text);
    *ok = *ok && app != NULL;
    return app;
}

static bool load_changes(struct marathon *m, const json_t *list, struct plan *plan)
{
    bool ok = json_is_array(list);
    plan->changes = xcalloc(json_array_size(list) + 1, sizeof(plan->changes[0]));
    for (size_t k = 0; k < json_array_size(list); k++) {
        const json_t *json = json_array_get(list, k);
        struct plan_change *c = &plan->changes[plan->change_count++];
        c->app_id = text_of(json, "app");
        c->original = definition_of(m, json, "original", &ok);
        c->target = definition_of(m, json, "target", &ok);
        c->is_restart = json_is_true(json_object_get(json, "isRestart"));
        const json_t *kill = json_object_get(json, "kill");
        c->kill = xcalloc(json_array_size(kill) + 1, sizeof(c->kill[0]));
        for (size_t n = 0; n < json_array_size(kill); n++) {
            const char *id = json_string_value(json_array_get(kill, n));
            c->kill[c->kill_count++] = xstrdup(id ? id : "");
        }
        ok = ok && c->app_id != NULL;
    }
    return ok;
}

static bool load_steps(const json_t *list, struct plan *plan)
{
    bool ok = json_is_array(list);
    plan->steps = xcalloc(json_array_size(list) + 1, sizeof(plan->steps[0]));
    for (size_t k = 0; k < json_array_size(list); k++) {
        const json_t *actions = json_array_get(list, k);
        struct plan_step *step = &plan->steps[plan->step_count++];
        step->actions = xcalloc(json_array_size(actions) + 1, sizeof(step->actions[0]));
        for (size_t n = 0; n < json_array_size(actions); n++) {
            const json_t *json = json_array_get(actions, n);
            int64_t action = int_of(json, "action");
            struct plan_action *a = &step->actions[step->count++];
            a->action = (enum action)action;
            a->app_id = text_of(json, "app");
            ok = ok && a->app_id && action >= ACTION_START && action <= ACTION_RESTART;
        }
    }
    return ok;
}

static int load_deployment(struct marathon *m, const struct kit_item *item, const char *id)
{
    json_t *json = json_read(item->value, item->value_len, NULL);
    struct deployment *d = xcalloc(1, sizeof(*d));
    list_init(&d->touched_link);
    bool ok = strlen(id) < sizeof(d->id) && load_changes(m, json_object_get(json, "changes"), &d->plan) &&
              load_steps(json_object_get(json, "steps"), &d->plan);
    if (!ok) {
        json_decref(json);
        marathon_deployment_free(d);
        return unreadable(m, item);
    }
    strcpy(d->id, id);
    d->version_ms = int_of(json, "version");
    if (d->version_ms > m->last_version_ms)
        m->last_version_ms = d->version_ms;
    json_decref(json);
    marathon_deployment_start(m, d);
    return 0;
}

enum pass { PASS_APPS, PASS_VERSIONS, PASS_INSTANCES, PASS_DEPLOYMENTS, PASS_COUNT };

static int load_item(struct marathon *m, enum pass pass, const struct kit_item *item)
{
    char rest[512];
    if (pass == PASS_APPS && key_rest(item, "app/", rest + 1, sizeof(rest) - 1)) {
        rest[0] = '/';
        return load_app(m, item, rest);
    }
    if (pass == PASS_APPS && key_rest(item, "framework", rest, sizeof(rest)))
        return load_framework(m, item);
    if (pass == PASS_VERSIONS && key_rest(item, "version", rest, sizeof(rest)))
        return load_version(m, item, rest);
    if (pass == PASS_VERSIONS && key_rest(item, "failure", rest, sizeof(rest)))
        return load_failure(m, item, rest);
    if (pass == PASS_INSTANCES && key_rest(item, "instance/", rest, sizeof(rest)))
        return load_instance(m, item, rest);
    if (pass == PASS_DEPLOYMENTS && key_rest(item, "deployment/", rest, sizeof(rest)))
        return load_deployment(m, item, rest);
    return 0;
}

int marathon_load(struct marathon *m, const struct kit_item *items, size_t count)
{
    for (int pass = 0; pass < PASS_COUNT; pass++) {
        for (size_t k = 0; k < count; k++) {
            int result = load_item(m, (enum pass)pass, &items[k]);
            if (result != 0)
                return result;
        }
    }
    /* Nothing is left of apps that were removed and have no instances; services without a definition hold only leftovers.
     */
    for (struct map_entry *e = map_first(&m->services), *next; e; e = next) {
        next = map_next(e);
        struct service *s = map_value(e);
        if (s->app == NULL && list_is_empty(&s->instances)) {
            for (size_t k = 0; k < s->version_count; k++)
                marathon_forget_version(m, s, s->versions[k].version_ms);
            free(s->failure);
            s->failure = NULL;
            marathon_store_failure(m, s);
            marathon_service_free(m, s);
        } else {
            marathon_service_touch(m, s);
        }
    }
    return 0;
}
