/* SPDX-License-Identifier: Apache-2.0
 * requests_kill.c - calls that end tasks: kill (a next incarnation follows), wipe (a new instance follows), scale (none
 * follows) (facts: marathon 1.6). */
#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"
#include "frameworks/marathon/core.h"

struct selection { /* instances a call names, each once */
    struct instance **items;
    size_t count, capacity;
};

static void select_instance(struct selection *sel, struct instance *i)
{
    if (sel->count == sel->capacity) {
        sel->capacity = sel->capacity ? 2 * sel->capacity : 16;
        sel->items = xrealloc(sel->items, sel->capacity * sizeof(sel->items[0]));
    }
    sel->items[sel->count++] = i;
}

static void begin(struct buf *b, struct json_writer *w)
{
    buf_init(b, 512u << 20);
    json_writer_init(w, b);
    json_begin_object(w);
}

/* {"tasks": [...]} or {"task": ...} of the state before, then the kills. */
static void kill_selected(struct marathon *m, const struct marathon_request *r, const struct selection *sel, bool is_single)
{
    struct buf b;
    struct json_writer w;
    begin(&b, &w);
    json_put_key(&w, is_single ? "task" : "tasks");
    if (!is_single)
        json_begin_array(&w);
    for (size_t k = 0; k < sel->count; k++)
        marathon_view_task(m, sel->items[k], false, &w);
    if (!is_single)
        json_end_array(&w);
    json_end_object(&w);
    for (size_t k = 0; k < sel->count; k++)
        marathon_kill(m, sel->items[k], r->wipe);
    marathon_reply(m, r, 200, &b, true, NULL, 0);
}

static struct plan_change *change_for(struct marathon *m, struct map *by_app, struct plan_change *changes, size_t *count,
                                      struct service *s)
{
    struct plan_change *c = map_get(by_app, s->id);
    if (c)
        return c;
    c = &changes[(*count)++];
    c->app_id = xstrdup(s->id);
    c->original = app_ref(s->app);
    c->target = app_copy(s->app, &m->context);
    (void)map_put(by_app, s->id, c); /* was not there */
    return c;
}

/* One deployment that lowers the counts and ends exactly these. */
static void scale_selected(struct marathon *m, const struct marathon_request *r, const struct selection *sel)
{
    struct plan_change *changes = xcalloc(sel->count + 1, sizeof(changes[0]));
    size_t count = 0;
    struct map by_app;
    map_init(&by_app);
    for (size_t k = 0; k < sel->count; k++) {
        struct instance *i = sel->items[k];
        if (i->is_decommissioned || i->service->is_deleted)
            continue;
        struct plan_change *c = change_for(m, &by_app, changes, &count, i->service);
        c->kill = xrealloc(c->kill, (c->kill_count + 1) * sizeof(c->kill[0]));
        c->kill[c->kill_count++] = xstrdup(i->id);
        if (c->target->instances > 0)
            c->target->instances--;
    }
    map_deinit(&by_app);
    struct outcome o;
    marathon_change_root(m, changes, count, r->force, &o);
    marathon_reply_outcome(m, r, &o, 200, NULL);
}

static void carry_out(struct marathon *m, const struct marathon_request *r, struct selection *sel, bool is_single)
{
    if (r->scale)
        scale_selected(m, r, sel);
    else
        kill_selected(m, r, sel, is_single);
    free(sel->items);
}

static void kill_of_app(struct marathon *m, const struct marathon_request *r, struct service *s)
{
    struct selection sel = {0};
    bool any_host = r->host == NULL || strcmp(r->host, "*") == 0;
    list_for_each(node, &s->instances)
    {
        struct instance *i = container_of(node, struct instance, link);
        if (marathon_view_has_task(i) && (any_host || strcmp(i->hostname, r->host) == 0))
            select_instance(&sel, i);
    }
    carry_out(m, r, &sel, false);
}

static void kill_one(struct marathon *m, const struct marathon_request *r, struct service *s)
{
    struct instance *i = marathon_instance_by_task(m, r->task_id);
    if (i == NULL || i->service != s) {
        marathon_reply_message(m, r, 404, "Task '%s' does not exist", r->task_id);
        return;
    }
    struct selection sel = {0};
    select_instance(&sel, i);
    carry_out(m, r, &sel, true);
}

/* `<safe id>.<more>`: what could name a task at all. */
static bool is_task_id(const char *id)
{
    const char *dot = strchr(id, '.');
    return dot != NULL && dot != id && dot[1] != '\0' && text_is_valid_id(id);
}

static void kill_listed(struct marathon *m, const struct marathon_request *r)
{
    const json_t *ids = json_object_get(r->body, "ids");
    struct selection sel = {0};
    struct map seen;
    if (!json_is_array(ids)) {
        marathon_reply_message(m, r, 422, "The body must be an object with a list of task ids: {\"ids\": [...]}");
        return;
    }
    map_init(&seen);
    for (size_t k = 0; k < json_array_size(ids); k++) {
        const char *id = json_string_value(json_array_get(ids, k));
        if (id == NULL || !is_task_id(id)) {
            marathon_reply_message(m, r, 400, "Invalid task id '%s'. [it must look like app.instance-uuid._app.1]",
                                   id ? id : "");
            map_deinit(&seen);
            free(sel.items);
            return;
        }
        struct instance *i = marathon_instance_by_task(m, id);
        if (i && !i->service->is_deleted && map_put(&seen, id, i) == NULL)
            select_instance(&sel, i);
    }
    map_deinit(&seen);
    carry_out(m, r, &sel, false);
}

void marathon_request_kill(struct marathon *m, const struct marathon_request *r)
{
    if (r->scale && r->wipe) {
        marathon_reply_message(m, r, 400, "You cannot use scale and wipe at the same time.");
        return;
    }
    if (r->type == MARATHON_KILL_TASKS) {
        kill_listed(m, r);
        return;
    }
    char id[APP_ID_SIZE];
    bool fits = app_id_resolve(r->app_id, "/", id);
    struct service *s = fits ? marathon_service_find(m, id) : NULL;
    if (s == NULL)
        marathon_reply_message(m, r, 404, "App '%s' does not exist", fits ? id : r->app_id);
    else if (r->type == MARATHON_KILL_APP_TASKS)
        kill_of_app(m, r, s);
    else
        kill_one(m, r, s);
}
