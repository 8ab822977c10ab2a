/* SPDX-License-Identifier: Apache-2.0
 * services.c - apps of the root and what hangs on them: versions, groups, service ports, number of instances, back-off. */
#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"
#include "frameworks/marathon/core.h"

struct service *marathon_service_new(struct marathon *m, const char *id)
{
    struct service *s = xcalloc(1, sizeof(*s));
    CHECK(strlen(id) <= APP_ID_MAX);
    strcpy(s->id, id);
    list_init(&s->touched_link);
    list_init(&s->waiting_link);
    list_init(&s->spread_link);
    list_init(&s->instances);
    list_init(&s->scheduled);
    map_init(&s->last_offers);
    s->timer.kind = TIMER_SERVICE;
    s->is_deleted = true; /* until it has a definition in the root */
    CHECK(map_put(&m->services, id, s) == NULL);
    return s;
}

void marathon_service_forget_offers(struct service *s)
{
    for (struct map_entry *e = map_first(&s->last_offers); e; e = map_next(e)) {
        struct last_offer *o = map_value(e);
        o->text = marathon_offer_text_unref(o->text);
        free(o);
    }
    map_deinit(&s->last_offers);
    map_init(&s->last_offers);
}

void marathon_service_free(struct marathon *m, struct service *s)
{
    CHECK(list_is_empty(&s->instances));
    (void)map_remove(&m->services, s->id); /* gone already when everything is freed */
    list_remove(&s->touched_link);
    list_remove(&s->waiting_link);
    list_remove(&s->spread_link);
    heap_remove(&m->timers, &s->timer.node);
    for (size_t i = 0; i < s->version_count; i++)
        free(s->versions[i].text);
    free(s->versions);
    (void)app_unref(s->app);
    (void)spread_free(s->spread);
    marathon_service_forget_offers(s);
    map_deinit(&s->last_offers);
    free(s->failure);
    free(s);
}

struct service *marathon_service_get(const struct marathon *m, const char *id)
{
    return map_get(&m->services, id);
}

struct service *marathon_service_find(const struct marathon *m, const char *id)
{
    struct service *s = map_get(&m->services, id);
    return s && !s->is_deleted ? s : NULL;
}

/* Every group above an app knows how many apps are below it. */
static void count_groups(struct marathon *m, const char *id, bool add)
{
    char group[APP_ID_SIZE];
    strcpy(group, id);
    for (char *slash = strrchr(group, '/'); slash && slash != group; slash = strrchr(group, '/')) {
        *slash = '\0';
        uintptr_t count = (uintptr_t)map_get(&m->groups, group);
        count = add ? count + 1 : count - 1;
        if (count == 0)
            (void)map_remove(&m->groups, group); /* was counted */
        else
            (void)map_put(&m->groups, group, (void *)count); /* the old count is of no use */
    }
}

bool marathon_group_exists(const struct marathon *m, const char *id)
{
    return strcmp(id, "/") == 0 || map_get(&m->groups, id) != NULL;
}

static void use_ports(struct marathon *m, const struct app *app, bool use)
{
    for (size_t i = 0; i < app->port_count; i++) {
        uint16_t *uses = &m->port_uses[app->ports[i].number & 0xffff];
        if (use && *uses < UINT16_MAX)
            ++*uses;
        else if (!use && *uses > 0)
            --*uses;
    }
}

void marathon_service_set_app(struct marathon *m, struct service *s, struct app *app)
{
    if (!s->is_deleted) {
        count_groups(m, s->id, false);
        use_ports(m, s->app, false);
        m->instances_wanted -= s->app->instances;
    }
    bool is_new_config = app && s->app && app->last_config_change_ms != s->app->last_config_change_ms;
    s->is_deleted = app == NULL;
    if (app) {
        (void)app_unref(s->app);
        s->app = app;
        count_groups(m, s->id, true);
        use_ports(m, app, true);
        m->instances_wanted += app->instances;
    }
    if (is_new_config)
        launch_backoff_reset(&s->backoff);
    marathon_service_queue(m, s);
    marathon_service_recount(m, s);
    marathon_service_touch(m, s);
}

const struct version *marathon_service_version(const struct service *s, int64_t version_ms)
{
    for (size_t i = 0; i < s->version_count; i++) {
        if (s->versions[i].version_ms == version_ms)
            return &s->versions[i];
    }
    return NULL;
}

static bool is_version_in_use(const struct service *s, int64_t version_ms)
{
    list_for_each(node, &s->instances)
    {
        const struct instance *i = container_of(node, struct instance, link);
        if (i->spec && i->spec->version_ms == version_ms)
            return true;
    }
    return false;
}

/* Drops the oldest version that no instance runs. */
static void drop_version(struct marathon *m, struct service *s)
{
    size_t at = 0;
    while (at < s->version_count && is_version_in_use(s, s->versions[at].version_ms))
        at++;
    if (at == s->version_count)
        return;
    marathon_forget_version(m, s, s->versions[at].version_ms);
    free(s->versions[at].text);
    s->version_count--;
    memmove(&s->versions[at], &s->versions[at + 1], (s->version_count - at) * sizeof(s->versions[0]));
}

void marathon_service_put_version(struct service *s, int64_t version_ms, char *text)
{
    s->versions = xrealloc(s->versions, (s->version_count + 1) * sizeof(s->versions[0]));
    s->versions[s->version_count++] = (struct version){.version_ms = version_ms, .text = text};
}

void marathon_service_add_version(struct marathon *m, struct service *s, const struct app *app)
{
    if (s->version_count >= MARATHON_APP_VERSIONS_MAX)
        drop_version(m, s);
    struct buf b;
    struct json_writer w;
    buf_init(&b, 64u << 20);
    json_writer_init(&w, &b);
    app_write(app, true, &w);
    CHECK(!b.overflowed);
    marathon_service_put_version(s, app->version_ms, buf_steal_str(&b));
    buf_deinit(&b);
    marathon_store_version(m, s, &s->versions[s->version_count - 1]);
}

int64_t marathon_next_version(struct marathon *m)
{
    int64_t v = m->wall_ms > m->last_version_ms ? m->wall_ms : m->last_version_ms + 1;
    m->last_version_ms = v;
    return v;
}

void marathon_service_touch(struct marathon *m, struct service *s)
{
    if (s->is_touched)
        return;
    s->is_touched = true;
    list_push_back(&m->touched_services, &s->touched_link);
}

void marathon_service_schedule(struct marathon *m, struct service *s, int64_t count, bool is_awaited)
{
    for (int64_t n = 0; n < count; n++) {
        struct instance *i = marathon_instance_new(m, s, NULL);
        i->spec = app_ref(s->app);
        i->is_awaited = is_awaited;
        marathon_instance_enqueue(m, i);
        marathon_instance_changed(m, i, false);
    }
}

/* A removed app ends with its last instance. */
static void finish_removed(struct marathon *m, struct service *s)
{
    while (s->version_count > 0) {
        struct version *v = &s->versions[--s->version_count];
        marathon_forget_version(m, s, v->version_ms);
        free(v->text);
    }
    marathon_publish_app_event(m, "app_terminated_event", s->id);
    free(s->failure);
    s->failure = NULL;
    marathon_store_failure(m, s);
    marathon_service_free(m, s);
}

void marathon_service_ensure(struct marathon *m, struct service *s)
{
    if (s->is_deleted) {
        if (s->tally[TALLY_ALL] > s->tally[TALLY_DYING])
            marathon_kill_victims(m, s, VICTIMS_ALL, INT64_MAX, NULL, 0);
        if (list_is_empty(&s->instances) && s->deployment == NULL)
            finish_removed(m, s);
        return;
    }
    int64_t missing = s->app->instances - s->tally[TALLY_ACTIVE];
    if (missing > 0)
        marathon_service_schedule(m, s, missing, false);
    else if (missing < 0 && s->wants_trim)
        marathon_kill_victims(m, s, VICTIMS_ACTIVE, -missing, NULL, 0);
    s->wants_trim = false;
}

void marathon_service_recount(struct marathon *m, struct service *s)
{
    list_for_each(node, &s->instances) marathon_instance_changed(m, container_of(node, struct instance, link), false);
}

void marathon_service_queue(struct marathon *m, struct service *s)
{
    int64_t until = s->app ? marathon_service_backoff_until(m, s) : 0;
    bool has_scheduled = !list_is_empty(&s->scheduled);
    bool may_launch = has_scheduled && !s->is_deleted && until == 0;
    if (may_launch && list_is_empty(&s->waiting_link)) {
        list_push_back(&m->waiting, &s->waiting_link);
        m->demand_grew = true;
    } else if (!may_launch) {
        list_remove(&s->waiting_link);
    }
    if (has_scheduled && until > 0)
        heap_set(&m->timers, &s->timer.node, until);
    else
        heap_remove(&m->timers, &s->timer.node);
}

void marathon_service_reset_backoff(struct marathon *m, struct service *s)
{
    launch_backoff_reset(&s->backoff);
    marathon_service_queue(m, s);
}

int64_t marathon_service_backoff_until(struct marathon *m, struct service *s)
{
    return launch_backoff_until(&s->backoff, s->app->backoff_max_ms, m->now_ms);
}
