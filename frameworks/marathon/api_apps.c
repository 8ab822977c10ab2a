/* SPDX-License-Identifier: Apache-2.0
 * api_apps.c - routes of apps, tasks, deployments, queue and groups to requests of the core (facts: marathon 1.4 to 1.10).
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/base/check.h"
#include "common/base/json.h"
#include "common/base/text.h"
#include "frameworks/kit/problems.h"
#include "frameworks/marathon/shell.h"

struct call { /* one request on its way through the routes */
    struct shell *shell;
    struct http_exchange *x;
    const struct http_message *m;
    struct arena *arena;
};

static bool is_method(const struct call *c, const char *method)
{
    return strcmp(c->m->method, method) == 0;
}

static bool is_get(const struct call *c)
{
    return is_method(c, "GET") || is_method(c, "HEAD");
}

static const char *query(const struct call *c, const char *name)
{
    return http_query(c->m, c->arena, name, 0);
}

/* Anything but "true" is false, as Java has it; absent is the default. */
static bool query_bool(const struct call *c, const char *name, bool otherwise)
{
    const char *value = query(c, name);
    return value ? strcasecmp(value, "true") == 0 : otherwise;
}

static unsigned embed_of(const char *name)
{
    static const struct {
        const char *name;
        unsigned bits;
    } app_words[] = {
        {"tasks", MARATHON_EMBED_TASKS | MARATHON_EMBED_DEPLOYMENTS},
        {"counts", MARATHON_EMBED_COUNTS},
        {"count", MARATHON_EMBED_COUNTS}, /* the interface description says so */
        {"deployments", MARATHON_EMBED_DEPLOYMENTS},
        {"readiness", MARATHON_EMBED_READINESS},
        {"lastTaskFailure", MARATHON_EMBED_LAST_TASK_FAILURE},
        {"failures", MARATHON_EMBED_TASKS | MARATHON_EMBED_LAST_TASK_FAILURE | MARATHON_EMBED_DEPLOYMENTS},
        {"taskStats", MARATHON_EMBED_TASK_STATS},
        {"lastUnusedOffers", MARATHON_EMBED_LAST_UNUSED_OFFERS},
    };
    static const char *const prefixes[] = {"group.apps.", "apps.", "app."};
    if (strcmp(name, "group.groups") == 0)
        return MARATHON_EMBED_GROUP_GROUPS;
    if (strcmp(name, "group.apps") == 0)
        return MARATHON_EMBED_GROUP_APPS;
    for (size_t k = 0; k < sizeof(prefixes) / sizeof(prefixes[0]); k++) {
        size_t n = strlen(prefixes[k]);
        if (strncmp(name, prefixes[k], n) == 0) {
            name += n;
            break;
        }
    }
    for (size_t k = 0; k < sizeof(app_words) / sizeof(app_words[0]); k++) {
        if (strcmp(name, app_words[k].name) == 0)
            return app_words[k].bits;
    }
    return 0; /* unknown ones are ignored */
}

#define REPEATED_MAX 64 /* of one query parameter */

static unsigned query_embed(const struct call *c)
{
    unsigned bits = 0;
    const char *value;
    for (size_t k = 0; k < REPEATED_MAX && (value = http_query(c->m, c->arena, "embed", k)) != NULL; k++)
        bits |= embed_of(value);
    return bits;
}

static unsigned query_status(const struct call *c)
{
    static const char *const names[] = {"status", "status[]"};
    unsigned mask = 0;
    for (size_t n = 0; n < 2; n++) {
        const char *value;
        for (size_t k = 0; k < REPEATED_MAX && (value = http_query(c->m, c->arena, names[n], k)) != NULL; k++) {
            mask |= strcasecmp(value, "running") == 0 ? MARATHON_STATUS_RUNNING : 0;
            mask |= strcasecmp(value, "staging") == 0 ? MARATHON_STATUS_STAGING : 0;
        }
    }
    return mask;
}

static void submit(const struct call *c, struct marathon_request r)
{
    r.embed = query_embed(c);
    api_submit(c->shell, c->x, c->m, &r);
}

static void not_allowed(const struct call *c)
{
    kit_send_message(c->x, 405, "Method Not Allowed");
}

static void not_supported(const struct call *c, const char *what)
{
    struct problems p;
    struct buf b;
    struct json_writer w;
    problems_init(&p);
    problems_add(&p, "/", "%s are not supported yet", what);
    buf_init(&b, 0);
    json_writer_init(&w, &b);
    problems_write(&p, &w);
    kit_send(c->x, 422, (const char *)buf_data(&b), buf_len(&b));
    buf_deinit(&b);
    problems_deinit(&p);
}

static void route_collection(const struct call *c)
{
    struct marathon_request r = {.force = query_bool(c, "force", false), .partial = query_bool(c, "partialUpdate", true)};
    if (is_get(c)) {
        r.type = MARATHON_LIST_APPS;
        r.filter_cmd = query(c, "cmd");
        r.filter_id = query(c, "id");
        r.filter_label = query(c, "label");
    } else if (is_method(c, "POST")) {
        r.type = MARATHON_CREATE_APP;
    } else if (is_method(c, "PUT")) {
        r.type = MARATHON_PUT_APPS;
    } else if (is_method(c, "PATCH")) {
        r.type = MARATHON_PATCH_APPS;
    } else {
        not_allowed(c);
        return;
    }
    submit(c, r);
}

static void route_app(const struct call *c, const char *id)
{
    struct marathon_request r = {.app_id = id, .force = query_bool(c, "force", false)};
    r.partial = query_bool(c, "partialUpdate", true);
    if (is_get(c)) {
        r.type = MARATHON_GET_APP;
    } else if (is_method(c, "PUT")) {
        r.type = MARATHON_PUT_APP;
    } else if (is_method(c, "PATCH")) {
        r.type = MARATHON_PATCH_APP;
    } else if (is_method(c, "DELETE")) {
        r.type = MARATHON_DELETE_APP;
        r.force = query_bool(c, "force", true);
    } else {
        not_allowed(c);
        return;
    }
    submit(c, r);
}

static void route_app_tasks(const struct call *c, const char *id, const char *task_id)
{
    struct marathon_request r = {.app_id = id, .task_id = task_id, .host = query(c, "host")};
    r.force = query_bool(c, "force", false);
    r.scale = query_bool(c, "scale", false);
    r.wipe = query_bool(c, "wipe", false);
    if (is_method(c, "DELETE")) {
        r.type = task_id ? MARATHON_KILL_APP_TASK : MARATHON_KILL_APP_TASKS;
    } else if (is_get(c) && !task_id) {
        r.type = MARATHON_LIST_APP_TASKS;
    } else {
        not_allowed(c);
        return;
    }
    submit(c, r);
}

static void route_versions(const struct call *c, const char *id, const char *version)
{
    struct marathon_request r = {.app_id = id, .version = version};
    r.type = version ? MARATHON_GET_VERSION : MARATHON_LIST_VERSIONS;
    if (is_get(c))
        submit(c, r);
    else
        not_allowed(c);
}

/* Cuts the last segment off; *last is it. NULL when there is only one. */
static char *cut_last(char *path, char **last)
{
    char *slash = strrchr(path, '/');
    if (slash == NULL)
        return NULL;
    *last = slash + 1;
    while (slash > path && slash[-1] == '/')
        slash--;
    *slash = '\0';
    return path[0] ? path : NULL;
}

/* rest: the id, maybe with one of the reserved words behind it: /restart, /tasks[/id], /versions[/time]. */
static void route_below_apps(const struct call *c, char *rest)
{
    char *last, *before, *copy = arena_strdup(c->arena, rest);
    char *id = cut_last(copy, &last);
    if (id && strcmp(last, "restart") == 0) {
        if (is_method(c, "POST"))
            submit(c, (struct marathon_request){
                          .type = MARATHON_RESTART_APP, .app_id = id, .force = query_bool(c, "force", false)});
        else
            not_allowed(c);
        return;
    }
    if (id && strcmp(last, "tasks") == 0) {
        route_app_tasks(c, id, NULL);
        return;
    }
    if (id && strcmp(last, "versions") == 0) {
        route_versions(c, id, NULL);
        return;
    }
    id = id ? cut_last(copy, &before) : NULL;
    if (id && strcmp(before, "tasks") == 0)
        route_app_tasks(c, id, last);
    else if (id && strcmp(before, "versions") == 0)
        route_versions(c, id, last);
    else
        route_app(c, rest);
}

static void route_tasks(const struct call *c, bool is_delete)
{
    struct marathon_request r = {.status_mask = query_status(c), .force = query_bool(c, "force", false)};
    r.scale = query_bool(c, "scale", false);
    r.wipe = query_bool(c, "wipe", false);
    r.type = is_delete ? MARATHON_KILL_TASKS : MARATHON_LIST_TASKS;
    if (is_delete ? is_method(c, "POST") : is_get(c))
        submit(c, r);
    else
        not_allowed(c);
}

static void route_deployments(const struct call *c, const char *id)
{
    struct marathon_request r = {.deployment_id = id, .force = query_bool(c, "force", false)};
    r.type = id ? MARATHON_DELETE_DEPLOYMENT : MARATHON_LIST_DEPLOYMENTS;
    if (id ? is_method(c, "DELETE") : is_get(c))
        submit(c, r);
    else
        not_allowed(c);
}

static void route_queue(const struct call *c, char *rest)
{
    char *last = NULL;
    if (rest == NULL) {
        if (is_get(c))
            submit(c, (struct marathon_request){.type = MARATHON_GET_QUEUE});
        else
            not_allowed(c);
        return;
    }
    char *id = cut_last(rest, &last);
    if (id == NULL || strcmp(last, "delay") != 0)
        kit_send_message(c->x, 404, "URI not found");
    else if (is_method(c, "DELETE"))
        submit(c, (struct marathon_request){.type = MARATHON_RESET_DELAY, .app_id = id});
    else
        not_allowed(c);
}

static void route_groups(const struct call *c, const char *id)
{
    if (!is_get(c))
        not_supported(c, "groups");
    else if (strcmp(id, "versions") == 0 || strstr(id, "/versions"))
        not_supported(c, "versions of groups");
    else
        submit(c, (struct marathon_request){.type = MARATHON_GET_GROUP, .app_id = id});
}

/* What follows prefix as a whole word: "" for the prefix itself, NULL if the path is another one. */
static char *below(char *path, const char *prefix)
{
    size_t n = strlen(prefix);
    if (strncmp(path, prefix, n) != 0 || (path[n] != '\0' && path[n] != '/'))
        return NULL;
    return path + n + (path[n] == '/');
}

bool api_route(struct shell *s, struct http_exchange *x, const struct http_message *m, char *path)
{
    struct call c = {.shell = s, .x = x, .m = m, .arena = http_exchange_arena(x)};
    char *rest;
    if ((rest = below(path, "/v2/apps")) != NULL) {
        if (rest[strspn(rest, "/")] == '\0')
            route_collection(&c);
        else
            route_below_apps(&c, rest);
    } else if ((rest = below(path, "/v2/tasks")) != NULL && (rest[0] == '\0' || strcmp(rest, "delete") == 0)) {
        route_tasks(&c, rest[0] != '\0');
    } else if ((rest = below(path, "/v2/deployments")) != NULL && strchr(rest, '/') == NULL) {
        route_deployments(&c, rest[0] ? rest : NULL);
    } else if ((rest = below(path, "/v2/queue")) != NULL) {
        route_queue(&c, rest[0] ? rest : NULL);
    } else if ((rest = below(path, "/v2/groups")) != NULL) {
        route_groups(&c, rest);
    } else if (below(path, "/v2/pods") != NULL) {
        not_supported(&c, "pods");
    } else {
        return false;
    }
    return true;
}
