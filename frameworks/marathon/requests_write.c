/* SPDX-License-Identifier: Apache-2.0
 * requests_write.c - calls that change apps and deployments (facts: marathon 1.4, 1.5, 1.8, 1.10, 5). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"
#include "frameworks/marathon/core.h"

static void reply_problems(struct marathon *m, const struct marathon_request *r, struct problems *p)
{
    struct buf b;
    struct json_writer w;
    buf_init(&b, 0);
    json_writer_init(&w, &b);
    problems_write(p, &w);
    marathon_reply(m, r, 422, &b, false, NULL, 0);
    problems_deinit(p);
}

/* The definition in the body, laid over base if there is one; or an answer what is wrong with it. */
static struct app *read_app(struct marathon *m, const struct marathon_request *r, const json_t *json,
                            const struct app *base, const char *id)
{
    struct problems p;
    struct app *app;
    problems_init(&p);
    if (app_from_json(json, base, id, &m->context, &app, &p)) {
        problems_deinit(&p);
        return app;
    }
    reply_problems(m, r, &p);
    return NULL;
}

static struct plan_change *one_change(const char *id, const struct service *s, struct app *target)
{
    struct plan_change *c = xcalloc(1, sizeof(*c));
    c->app_id = xstrdup(id);
    c->original = s ? app_ref(s->app) : NULL;
    c->target = target;
    return c;
}

static const char *location_of(struct marathon *m, const char *id)
{
    return arena_printf(outbox_later_arena(m->outbox), "/v2/apps%s", id);
}

static void create_app(struct marathon *m, const struct marathon_request *r)
{
    struct app *app = read_app(m, r, r->body, NULL, NULL);
    if (app == NULL)
        return;
    char id[APP_ID_SIZE];
    strcpy(id, app->id);
    if (marathon_service_find(m, id)) {
        (void)app_unref(app);
        marathon_reply_message(m, r, 409, "An app with id [%s] already exists.", id);
        return;
    }
    struct outcome o;
    (void)app_ref(app);
    m->posting = r;
    marathon_change_root(m, one_change(id, NULL, app), 1, r->force, &o);
    m->posting = NULL;
    if (o.status != 0) {
        marathon_reply_outcome(m, r, &o, 0, NULL);
        (void)app_unref(app);
        return;
    }
    buf_deinit(&o.error);
    struct buf b;
    struct json_writer w;
    buf_init(&b, APP_TEXT_BYTES_MAX * 2);
    json_writer_init(&w, &b);
    json_begin_object(&w);
    app_write_members(app, false, &w);
    static const char *const counts[] = {"tasksStaged", "tasksRunning", "tasksHealthy", "tasksUnhealthy"};
    for (int k = 0; k < 4; k++)
        json_kv_int(&w, counts[k], 0);
    json_put_key(&w, "deployments");
    json_begin_array(&w);
    json_begin_object(&w);
    json_kv_string(&w, "id", o.deployment_id);
    json_end_object(&w);
    json_end_array(&w);
    json_end_object(&w);
    struct kit_header headers[] = {{"Location", location_of(m, id)}, {"Marathon-Deployment-Id", o.deployment_id}};
    marathon_reply(m, r, 201, &b, true, headers, 2);
    (void)app_unref(app);
}

/* A stored version for `{"version": ts}` in an update: roll back. NULL after an answer. */
static struct app *read_version(struct marathon *m, const struct marathon_request *r, const struct service *s,
                                const json_t *json)
{
    const char *key, *text = json_string_value(json_object_get(json, "version"));
    json_t *value;
    int64_t version_ms;
    json_object_foreach((json_t *)json, key, value)
    {
        if (strcmp(key, "version") != 0 && strcmp(key, "id") != 0 && !json_is_null(value)) {
            marathon_reply_message(m, r, 422, "The 'version' field may only be combined with the 'id' field.");
            return NULL;
        }
    }
    if (text == NULL || text_to_time_ms(text, &version_ms) != 0) {
        marathon_reply_message(m, r, 422, "Invalid timestamp provided '%s'. Expecting ISO-8601 datetime string.",
                               text ? text : "");
        return NULL;
    }
    const struct version *v = marathon_service_version(s, version_ms);
    struct app *app = v ? app_from_stored(v->text, strlen(v->text), &m->context) : NULL;
    if (app == NULL)
        marathon_reply_message(m, r, 404, "App '%s' does not exist in version %s", s->id, text);
    return app;
}

static bool is_rollback(const json_t *json)
{
    const json_t *version = json_object_get(json, "version");
    return version != NULL && !json_is_null(version);
}

/* The target of one update, NULL after an answer. */
static struct app *read_update(struct marathon *m, const struct marathon_request *r, const struct service *s,
                               const json_t *json, const char *id)
{
    if (s == NULL)
        return read_app(m, r, json, NULL, id);
    if (is_rollback(json))
        return read_version(m, r, s, json);
    return r->partial || r->type == MARATHON_PATCH_APP || r->type == MARATHON_PATCH_APPS ? read_app(m, r, json, s->app, id)
                                                                                         : read_app(m, r, json, NULL, id);
}

static void put_app(struct marathon *m, const struct marathon_request *r)
{
    char id[APP_ID_SIZE];
    if (!app_id_resolve(r->app_id, "/", id)) {
        marathon_reply_message(m, r, 422, "The id of an app must not be longer than %d characters", APP_ID_MAX);
        return;
    }
    const struct service *s = marathon_service_find(m, id);
    if (s == NULL && r->type == MARATHON_PATCH_APP) {
        marathon_reply_message(m, r, 404, "App '%s' does not exist", id);
        return;
    }
    struct app *app = read_update(m, r, s, r->body, id);
    if (app == NULL)
        return;
    struct outcome o;
    m->posting = r;
    marathon_change_root(m, one_change(id, s, app), 1, r->force, &o);
    m->posting = NULL;
    marathon_reply_outcome(m, r, &o, s ? 200 : 201, s ? NULL : location_of(m, id));
}

/* One element of PUT or PATCH /v2/apps into *c. false after an answer. */
static bool read_element(struct marathon *m, const struct marathon_request *r, const json_t *json, struct map *seen,
                         struct plan_change *c)
{
    const char *raw = json_string_value(json_object_get(json, "id"));
    char id[APP_ID_SIZE];
    if (raw == NULL) {
        marathon_reply_message(m, r, 422, "No identifier given for the update of an app");
        return false;
    }
    if (!app_id_resolve(raw, "/", id) || map_get(seen, id)) {
        marathon_reply_message(m, r, 422, "The id '%s' is too long or given twice", raw);
        return false;
    }
    struct service *s = marathon_service_find(m, id);
    if (s == NULL && r->type == MARATHON_PATCH_APPS) {
        marathon_reply_message(m, r, 404, "App '%s' does not exist", id);
        return false;
    }
    struct app *target = read_update(m, r, s, json, id);
    if (target == NULL)
        return false;
    (void)map_put(seen, id, c); /* was not there */
    c->app_id = xstrdup(id);
    c->original = s ? app_ref(s->app) : NULL;
    c->target = target;
    return true;
}

static void put_apps(struct marathon *m, const struct marathon_request *r)
{
    if (!json_is_array(r->body)) {
        struct problems p;
        problems_init(&p);
        p.is_schema = true;
        problems_add(&p, "/", "error.expected.jsarray");
        reply_problems(m, r, &p);
        return;
    }
    size_t count = json_array_size(r->body), done = 0;
    struct plan_change *changes = xcalloc(count + 1, sizeof(changes[0]));
    struct map seen;
    map_init(&seen);
    while (done < count && read_element(m, r, json_array_get(r->body, done), &seen, &changes[done]))
        done++;
    map_deinit(&seen);
    if (done < count) { /* answered */
        marathon_changes_free(changes, done);
        return;
    }
    struct outcome o;
    marathon_change_root(m, changes, count, r->force, &o);
    marathon_reply_outcome(m, r, &o, 200, NULL);
}

static struct service *find_app(struct marathon *m, const struct marathon_request *r)
{
    char id[APP_ID_SIZE];
    bool fits = app_id_resolve(r->app_id, "/", id);
    struct service *s = fits ? marathon_service_find(m, id) : NULL;
    if (s == NULL)
        marathon_reply_message(m, r, 404, "App '%s' does not exist", fits ? id : r->app_id);
    return s;
}

static void delete_app(struct marathon *m, const struct marathon_request *r)
{
    struct service *s = find_app(m, r);
    if (s == NULL)
        return;
    struct outcome o;
    marathon_change_root(m, one_change(s->id, s, NULL), 1, r->force, &o);
    marathon_reply_outcome(m, r, &o, 200, NULL);
}

static void restart_app(struct marathon *m, const struct marathon_request *r)
{
    struct service *s = find_app(m, r);
    if (s == NULL)
        return;
    struct plan_change *c = one_change(s->id, s, app_copy(s->app, &m->context));
    c->is_restart = true;
    struct outcome o;
    marathon_change_root(m, c, 1, r->force, &o);
    marathon_reply_outcome(m, r, &o, 200, NULL);
}

static void delete_deployment(struct marathon *m, const struct marathon_request *r)
{
    struct deployment *d = map_get(&m->deployments, r->deployment_id);
    if (d == NULL) {
        marathon_reply_message(m, r, 404, "DeploymentPlan %s does not exist", r->deployment_id);
        return;
    }
    if (r->force) { /* stop only, things stay as they are */
        marathon_deployment_cancel(m, d);
        marathon_reply(m, r, 202, NULL, true, NULL, 0);
        return;
    }
    size_t count;
    struct plan_change *undo = marathon_deployment_undo(m, d, &count);
    char id[UUID_TEXT_SIZE];
    strcpy(id, d->id);
    struct outcome o;
    marathon_change_root(m, undo, count, true, &o);
    d = map_get(&m->deployments, id);
    if (o.status == 0 && d) /* the way back needs nothing, so nothing has cancelled it */
        marathon_deployment_cancel(m, d);
    marathon_reply_outcome(m, r, &o, 200, NULL);
}

static void reset_delay(struct marathon *m, const struct marathon_request *r)
{
    char id[APP_ID_SIZE];
    struct service *s = app_id_resolve(r->app_id, "/", id) ? marathon_service_find(m, id) : NULL;
    if (s == NULL || s->tally[TALLY_SCHEDULED] == 0) {
        marathon_reply_message(m, r, 404, "Application %s not found in tasks queue.", s ? s->id : r->app_id);
        return;
    }
    marathon_service_reset_backoff(m, s);
    marathon_reply(m, r, 204, NULL, false, NULL, 0);
}

void marathon_request_write(struct marathon *m, const struct marathon_request *r)
{
    switch (r->type) {
    case MARATHON_CREATE_APP:
        create_app(m, r);
        return;
    case MARATHON_PUT_APP:
    case MARATHON_PATCH_APP:
        put_app(m, r);
        return;
    case MARATHON_PUT_APPS:
    case MARATHON_PATCH_APPS:
        put_apps(m, r);
        return;
    case MARATHON_DELETE_APP:
        delete_app(m, r);
        return;
    case MARATHON_RESTART_APP:
        restart_app(m, r);
        return;
    case MARATHON_DELETE_DEPLOYMENT:
        delete_deployment(m, r);
        return;
    default:
        reset_delay(m, r);
        return;
    }
}
