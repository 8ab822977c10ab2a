/* SPDX-License-Identifier: Apache-2.0
 * requests_read.c - GET calls (facts: marathon 1.4 to 1.10). */
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "frameworks/marathon/core.h"
#include "frameworks/marathon/selector.h"

#define ANSWER_BYTES_MAX (512u << 20)
#define DEFAULT_EMBED (MARATHON_EMBED_COUNTS | MARATHON_EMBED_DEPLOYMENTS)
#define APP_EMBED (DEFAULT_EMBED | MARATHON_EMBED_TASKS | MARATHON_EMBED_LAST_TASK_FAILURE)

static void begin(struct buf *b, struct json_writer *w)
{
    buf_init(b, ANSWER_BYTES_MAX);
    json_writer_init(w, b);
}

static void finish(struct marathon *m, const struct marathon_request *r, struct buf *b)
{
    if (b->overflowed) {
        buf_deinit(b);
        marathon_reply_message(m, r, 500, "The answer is larger than %u bytes", ANSWER_BYTES_MAX);
        return;
    }
    marathon_reply(m, r, 200, b, false, NULL, 0);
}

static bool contains_ignoring_case(const char *text, const char *part)
{
    return text && strcasestr(text, part) != NULL;
}

static bool is_chosen(const struct marathon_request *r, const struct app *app)
{
    if (r->filter_cmd && !contains_ignoring_case(app->cmd, r->filter_cmd))
        return false;
    if (r->filter_id && !contains_ignoring_case(app->id, r->filter_id))
        return false;
    return r->filter_label == NULL || selector_matches(r->filter_label, &app->labels);
}

static void list_apps(struct marathon *m, const struct marathon_request *r)
{
    if (r->filter_label && !selector_is_valid(r->filter_label)) {
        marathon_reply_message(m, r, 422, "Can not parse label selector %s", r->filter_label);
        return;
    }
    struct buf b;
    struct json_writer w;
    begin(&b, &w);
    json_begin_object(&w);
    json_put_key(&w, "apps");
    json_begin_array(&w);
    for (struct map_entry *e = map_first(&m->services); e; e = map_next(e)) {
        struct service *s = map_value(e);
        if (!s->is_deleted && is_chosen(r, s->app))
            marathon_view_app(m, s, r->embed | DEFAULT_EMBED, &w);
    }
    json_end_array(&w);
    json_end_object(&w);
    finish(m, r, &b);
}

/* Takes a last segment that is a star off; false when there is none. */
static bool strip_star(char *id)
{
    size_t n = strlen(id);
    if (n >= 2 && strcmp(id + n - 2, "/*") == 0) {
        id[n == 2 ? 1 : n - 2] = '\0';
        return true;
    }
    return false;
}

static bool is_group_known(struct marathon *m, const struct marathon_request *r, const char *group)
{
    if (marathon_group_exists(m, group))
        return true;
    marathon_reply_message(m, r, 404, "Group '%s' does not exist", group);
    return false;
}

static void get_group_apps(struct marathon *m, const struct marathon_request *r, const char *group)
{
    if (!is_group_known(m, r, group))
        return;
    struct buf b;
    struct json_writer w;
    begin(&b, &w);
    json_begin_object(&w);
    json_put_key(&w, "*");
    json_begin_array(&w);
    for (struct map_entry *e = map_first(&m->services); e; e = map_next(e)) {
        struct service *s = map_value(e);
        if (!s->is_deleted && app_id_is_below(s->id, group))
            marathon_view_app(m, s, r->embed | DEFAULT_EMBED, &w);
    }
    json_end_array(&w);
    json_end_object(&w);
    finish(m, r, &b);
}

/* The app of the request, or an answer that there is none. id gets the canonical form. */
static struct service *find_app(struct marathon *m, const struct marathon_request *r, char id[APP_ID_SIZE])
{
    struct service *s = app_id_resolve(r->app_id, "/", id) ? marathon_service_find(m, id) : NULL;
    if (s == NULL)
        marathon_reply_message(m, r, 404, "App '%s' does not exist", strlen(r->app_id) <= APP_ID_MAX ? id : r->app_id);
    return s;
}

static void get_app(struct marathon *m, const struct marathon_request *r)
{
    char id[APP_ID_SIZE];
    if (app_id_resolve(r->app_id, "/", id) && strip_star(id)) {
        get_group_apps(m, r, id);
        return;
    }
    struct service *s = find_app(m, r, id);
    if (s == NULL)
        return;
    struct buf b;
    struct json_writer w;
    begin(&b, &w);
    json_begin_object(&w);
    json_put_key(&w, "app");
    marathon_view_app(m, s, r->embed | APP_EMBED, &w);
    json_end_object(&w);
    finish(m, r, &b);
}

static void list_versions(struct marathon *m, const struct marathon_request *r)
{
    char id[APP_ID_SIZE];
    struct service *s = find_app(m, r, id);
    if (s == NULL)
        return;
    struct buf b;
    struct json_writer w;
    begin(&b, &w);
    json_begin_object(&w);
    json_put_key(&w, "versions");
    json_begin_array(&w);
    for (size_t k = s->version_count; k-- > 0;) {
        char text[TEXT_TIME_SIZE];
        text_format_time_ms(s->versions[k].version_ms, text);
        json_put_string(&w, text);
    }
    json_end_array(&w);
    json_end_object(&w);
    finish(m, r, &b);
}

static void get_version(struct marathon *m, const struct marathon_request *r)
{
    char id[APP_ID_SIZE];
    int64_t version_ms;
    if (text_to_time_ms(r->version, &version_ms) != 0) {
        marathon_reply_message(m, r, 422, "Invalid timestamp provided '%s'. Expecting ISO-8601 datetime string.",
                               r->version);
        return;
    }
    struct service *s = find_app(m, r, id);
    if (s == NULL)
        return;
    const struct version *v = marathon_service_version(s, version_ms);
    if (v == NULL) {
        marathon_reply_message(m, r, 404, "App '%s' does not exist in version %s", id, r->version);
        return;
    }
    struct buf b;
    buf_init(&b, ANSWER_BYTES_MAX);
    (void)buf_append_str(&b, v->text); /* finish looks */
    finish(m, r, &b);
}

static void put_tasks(struct marathon *m, const struct service *s, const struct marathon_request *r, bool service_ports,
                      struct json_writer *w)
{
    list_for_each(node, &s->instances)
    {
        const struct instance *i = container_of(node, struct instance, link);
        if (!marathon_view_has_task(i))
            continue;
        bool is_staging = i->condition == CONDITION_PROVISIONED || i->condition == CONDITION_STAGING;
        unsigned bit = i->condition == CONDITION_RUNNING ? MARATHON_STATUS_RUNNING
                       : is_staging                      ? MARATHON_STATUS_STAGING
                                                         : 0;
        if (r->status_mask == 0 || (r->status_mask & bit))
            marathon_view_task(m, i, service_ports, w);
    }
}

static void list_app_tasks(struct marathon *m, const struct marathon_request *r)
{
    char id[APP_ID_SIZE];
    bool is_group = app_id_resolve(r->app_id, "/", id) && strip_star(id);
    struct service *s = NULL;
    if (is_group ? !is_group_known(m, r, id) : (s = find_app(m, r, id)) == NULL)
        return;
    struct buf b;
    struct json_writer w;
    begin(&b, &w);
    json_begin_object(&w);
    json_put_key(&w, "tasks");
    json_begin_array(&w);
    if (s)
        put_tasks(m, s, r, false, &w);
    for (struct map_entry *e = is_group ? map_first(&m->services) : NULL; e; e = map_next(e)) {
        s = map_value(e);
        if (!s->is_deleted && app_id_is_below(s->id, id))
            put_tasks(m, s, r, false, &w);
    }
    json_end_array(&w);
    json_end_object(&w);
    finish(m, r, &b);
}

static void list_tasks(struct marathon *m, const struct marathon_request *r)
{
    struct buf b;
    struct json_writer w;
    begin(&b, &w);
    json_begin_object(&w);
    json_put_key(&w, "tasks");
    json_begin_array(&w);
    for (struct map_entry *e = map_first(&m->services); e; e = map_next(e))
        put_tasks(m, map_value(e), r, true, &w);
    json_end_array(&w);
    json_end_object(&w);
    finish(m, r, &b);
}

static void list_deployments(struct marathon *m, const struct marathon_request *r)
{
    struct buf b;
    struct json_writer w;
    begin(&b, &w);
    json_begin_array(&w);
    for (struct map_entry *e = map_first(&m->deployments); e; e = map_next(e))
        marathon_view_deployment(m, map_value(e), &w);
    json_end_array(&w);
    finish(m, r, &b);
}

static void get_queue(struct marathon *m, const struct marathon_request *r)
{
    struct buf b;
    struct json_writer w;
    begin(&b, &w);
    marathon_view_queue(m, r->embed, &w);
    finish(m, r, &b);
}

static void get_group(struct marathon *m, const struct marathon_request *r)
{
    char id[APP_ID_SIZE];
    if (!app_id_resolve(r->app_id, "/", id)) {
        marathon_reply_message(m, r, 404, "Group '%s' does not exist", r->app_id);
        return;
    }
    if (!is_group_known(m, r, id))
        return;
    struct buf b;
    struct json_writer w;
    begin(&b, &w);
    unsigned embed = r->embed ? r->embed : MARATHON_EMBED_GROUP_GROUPS | MARATHON_EMBED_GROUP_APPS;
    marathon_view_group(m, id, embed, &w);
    finish(m, r, &b);
}

void marathon_request_read(struct marathon *m, const struct marathon_request *r)
{
    switch (r->type) {
    case MARATHON_LIST_APPS:
        list_apps(m, r);
        return;
    case MARATHON_GET_APP:
        get_app(m, r);
        return;
    case MARATHON_LIST_VERSIONS:
        list_versions(m, r);
        return;
    case MARATHON_GET_VERSION:
        get_version(m, r);
        return;
    case MARATHON_LIST_APP_TASKS:
        list_app_tasks(m, r);
        return;
    case MARATHON_LIST_TASKS:
        list_tasks(m, r);
        return;
    case MARATHON_LIST_DEPLOYMENTS:
        list_deployments(m, r);
        return;
    case MARATHON_GET_QUEUE:
        get_queue(m, r);
        return;
    default:
        get_group(m, r);
        return;
    }
}
