/* SPDX-License-Identifier: Apache-2.0
 * api_legacy.c - the old endpoints (facts: mesos 5.1), metrics and health. */
#include <stdlib.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "common/base/check.h"
#include "common/base/text.h"
#include "common/wire/mesos_version.h"
#include "master/answer.h"
#include "master/legacy.h"
#include "master/shell.h"
#include "master/snapshot.h"
#include "master/state.h"

#define ANSWER_BYTES_MAX ((size_t)1 << 31)
#define JSONP_BYTES_MAX 128

/* -- frame ------------------------------------------------------------------------------------------------------ */

struct reply {
    struct http_exchange *x;
    struct buf body;
    struct json_writer w;
    const char *jsonp; /* NULL: plain JSON */
    bool has_bad_name; /* in jsonp */
};

/* Anything else would be a script of whoever made the address. */
static bool is_function_name(const char *text)
{
    return text[0] != '\0' && strlen(text) <= JSONP_BYTES_MAX &&
           strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_$.") == strlen(text);
}

static void refuse_function_name(struct http_exchange *x)
{
    http_reply_text(x, 400, "The name in 'jsonp' is not one of a function");
}

static void reply_begin(struct reply *r, struct http_exchange *x, const struct http_message *request)
{
    r->x = x;
    r->jsonp = http_query(request, http_exchange_arena(x), "jsonp", 0);
    r->has_bad_name = r->jsonp != NULL && !is_function_name(r->jsonp);
    buf_init(&r->body, ANSWER_BYTES_MAX);
    if (r->jsonp != NULL)
        (void)buf_printf(&r->body, "%s(", r->jsonp); /* a full buffer is seen at the end */
    json_writer_init(&r->w, &r->body);
}

static void reply_end(struct reply *r)
{
    if (r->jsonp != NULL)
        (void)buf_append_str(&r->body, ");"); /* as above */
    if (r->has_bad_name)
        refuse_function_name(r->x);
    else if (r->body.overflowed)
        http_reply_text(r->x, 500, "The answer is too large");
    else
        http_reply(r->x, 200, r->jsonp != NULL ? "text/javascript" : "application/json", buf_data(&r->body),
                   buf_len(&r->body));
    buf_deinit(&r->body);
}

static struct master_view view_of(const struct master_shell *s, const struct http_exchange *x)
{
    return master_view(s->core, auth_subject_of(x)->principal);
}

static bool is_serving(struct master_shell *s, struct http_exchange *x)
{
    if (!s->is_serving)
        http_reply_text(x, 503, "Master has not finished recovery");
    return s->is_serving;
}

static bool is_registered(const struct master_agent *a)
{
    return a->state == MASTER_AGENT_CONNECTED || a->state == MASTER_AGENT_DISCONNECTED;
}

/* -- agents and frameworks -------------------------------------------------------------------------------------- */

/* "slaves" and "recovered_slaves"; only: NULL, or the id of the one asked for. */
static void put_agents(const struct master_view *v, bool with_full, const struct legacy_summary *summary, const char *only,
                       struct json_writer *w)
{
    const struct master *m = v->m;
    json_put_key(w, "slaves");
    json_begin_array(w);
    for (const struct master_agent *a = m->agents; a != NULL; a = a->hh.next)
        if (is_registered(a) && a->total != NULL && (only == NULL || strcmp(only, a->id) == 0))
            legacy_write_agent(v, a, with_full, summary, w);
    json_end_array(w);
    if (summary != NULL)
        return;
    json_put_key(w, "recovered_slaves");
    json_begin_array(w);
    for (const struct master_agent *a = m->agents; a != NULL; a = a->hh.next)
        if (a->state == MASTER_AGENT_RECOVERED && (only == NULL || strcmp(only, a->id) == 0))
            legacy_write_recovered_agent(a, w);
    json_end_array(w);
}

static void put_framework_table(const struct master_view *v, const struct master_framework *table, const char *key,
                                const char *only, const struct legacy_summary *summary, struct json_writer *w,
                                struct master_picture *picture)
{
    struct arena *arena = arena_new((size_t)1 << 30);
    json_put_key(w, key);
    json_begin_array(w);
    for (const struct master_framework *f = table; f != NULL; f = f->hh.next) {
        arena_reset(arena);
        if ((only == NULL || strcmp(only, f->id) == 0) && master_sees_framework(v, f->info))
            legacy_write_framework(v, f, summary, arena, w, picture);
    }
    json_end_array(w);
    arena_free(arena);
}

static void put_empty_array(struct json_writer *w, const char *key)
{
    json_put_key(w, key);
    json_begin_array(w);
    json_end_array(w);
}

static void on_slaves(struct master_shell *s, struct http_exchange *x, const struct http_message *request)
{
    struct reply r;
    if (!is_serving(s, x))
        return;
    const struct master_view view = view_of(s, x);
    reply_begin(&r, x, request);
    json_begin_object(&r.w);
    put_agents(&view, true, NULL, http_query(request, http_exchange_arena(x), "slave_id", 0), &r.w);
    json_end_object(&r.w);
    reply_end(&r);
}

static void on_frameworks(struct master_shell *s, struct http_exchange *x, const struct http_message *request)
{
    struct reply r;
    if (!is_serving(s, x))
        return;
    const char *only = http_query(request, http_exchange_arena(x), "framework_id", 0);
    const struct master_view view = view_of(s, x);
    reply_begin(&r, x, request);
    json_begin_object(&r.w);
    put_framework_table(&view, s->core->frameworks, "frameworks", only, NULL, &r.w, NULL);
    put_framework_table(&view, s->core->completed_frameworks, "completed_frameworks", only, NULL, &r.w, NULL);
    put_empty_array(&r.w, "unregistered_frameworks");
    json_end_object(&r.w);
    reply_end(&r);
}

static void on_state_summary(struct master_shell *s, struct http_exchange *x, const struct http_message *request)
{
    struct reply r;
    if (!is_serving(s, x))
        return;
    const struct master_view view = view_of(s, x);
    struct legacy_summary *summary = legacy_summary_new(s->core);
    reply_begin(&r, x, request);
    json_begin_object(&r.w);
    json_kv_string(&r.w, "hostname", s->hostname);
    if (s->options->cluster != NULL)
        json_kv_string(&r.w, "cluster", s->options->cluster);
    put_agents(&view, false, summary, NULL, &r.w);
    put_framework_table(&view, s->core->frameworks, "frameworks", NULL, summary, &r.w, NULL);
    json_end_object(&r.w);
    reply_end(&r);
    legacy_summary_free(summary);
}

/* -- state ------------------------------------------------------------------------------------------------------ */

static void put_flag(void *ctx, const char *name, const char *value)
{
    json_kv_string((struct json_writer *)ctx, name, value);
}

static void put_flags(struct master_shell *s, struct json_writer *w)
{
    json_put_key(w, "flags");
    json_begin_object(w);
    options_each(master_option_defs, master_option_count, s->options, put_flag, w);
    json_end_object(w);
}

static void put_version(struct master_shell *s, struct json_writer *w)
{
    json_kv_string(w, "version", s->core->config.version);
    json_kv_string(w, "muster_version", MUSTER_VERSION);
    json_kv_string(w, "build_date", MESOS_BUILD_DATE);
    json_kv_double(w, "build_time", MESOS_BUILD_TIME);
    json_kv_string(w, "build_user", MESOS_BUILD_USER);
}

static void put_state_head(struct master_shell *s, struct json_writer *w)
{
    const struct master *m = s->core;
    size_t active = 0, inactive = 0;
    for (const struct master_agent *a = m->agents; a != NULL; a = a->hh.next) {
        bool is_active = a->state == MASTER_AGENT_CONNECTED && !a->is_deactivated;
        active += is_active;
        inactive += !is_active && (a->state == MASTER_AGENT_CONNECTED || a->state == MASTER_AGENT_DISCONNECTED);
    }
    put_version(s, w);
    json_kv_double(w, "start_time", (double)s->started_wall_ms / 1000);
    json_kv_double(w, "elected_time", (double)s->started_wall_ms / 1000);
    json_kv_string(w, "id", m->id);
    json_kv_string(w, "pid", m->info->pid);
    json_kv_string(w, "hostname", s->hostname);
    json_put_key(w, "capabilities");
    json_begin_array(w);
    json_put_string(w, "AGENT_UPDATE");
    json_put_string(w, "AGENT_DRAINING");
    json_put_string(w, "QUOTA_V2");
    json_end_array(w);
    json_kv_double(w, "activated_slaves", (double)active);
    json_kv_double(w, "deactivated_slaves", (double)inactive);
    json_kv_double(w, "unreachable_slaves", (double)m->unreachable_count);
    json_kv_string(w, "leader", m->info->pid);
    json_put_key(w, "leader_info");
    json_begin_object(w);
    json_kv_string(w, "id", m->id);
    json_kv_string(w, "pid", m->info->pid);
    json_kv_int(w, "port", s->port);
    json_kv_string(w, "hostname", s->hostname);
    json_end_object(w);
    if (s->options->cluster != NULL)
        json_kv_string(w, "cluster", s->options->cluster);
}

struct state_read {
    struct master_shell *s;
    char *principal, *jsonp; /* NULL: nobody in particular; plain JSON */
};

static int fill_state(void *ctx, struct master_picture *p)
{
    const struct state_read *q = ctx;
    const struct master *m = q->s->core;
    const struct master_view view = master_view(m, q->principal);
    master_picture_init(p, legacy_write_task);
    if (q->jsonp != NULL)
        (void)buf_printf(&p->frame, "%s(", q->jsonp); /* a full buffer is seen at the end */
    json_begin_object(&p->w);
    put_state_head(q->s, &p->w);
    if (auth_allows(q->s->access.acls, q->principal, AUTH_VIEW_FLAGS, NULL))
        put_flags(q->s, &p->w);
    put_agents(&view, false, NULL, NULL, &p->w);
    put_framework_table(&view, m->frameworks, "frameworks", NULL, NULL, &p->w, p);
    put_framework_table(&view, m->completed_frameworks, "completed_frameworks", NULL, NULL, &p->w, p);
    put_empty_array(&p->w, "orphan_tasks");
    put_empty_array(&p->w, "unregistered_frameworks");
    json_end_object(&p->w);
    if (q->jsonp != NULL)
        (void)buf_append_str(&p->frame, ");"); /* as above */
    return master_picture_finish(p);
}

static void free_state(void *ctx)
{
    struct state_read *q = ctx;
    free(q->principal);
    free(q->jsonp);
    free(q);
}

static void on_state(struct master_shell *s, struct http_exchange *x, const struct http_message *request)
{
    const char *jsonp = http_query(request, http_exchange_arena(x), "jsonp", 0), *principal = auth_subject_of(x)->principal;
    if (!is_serving(s, x))
        return;
    if (jsonp != NULL && !is_function_name(jsonp)) {
        refuse_function_name(x);
        return;
    }
    struct state_read *q = xcalloc(1, sizeof(*q));
    q->s = s;
    q->principal = principal != NULL ? xstrdup(principal) : NULL;
    q->jsonp = jsonp != NULL ? xstrdup(jsonp) : NULL;
    const struct master_read read = {.name =
                                         jsonp != NULL ? arena_printf(http_exchange_arena(x), "state %s", jsonp) : "state",
                                     .media_type = jsonp != NULL ? "text/javascript" : "application/json",
                                     .principal = principal,
                                     .is_small = master_is_small(s->core),
                                     .fill = fill_state,
                                     .release = free_state,
                                     .ctx = q};
    master_reads_answer(s->reads, x, &read);
}

/* -- tasks ------------------------------------------------------------------------------------------------------ */

struct task_pick {
    const struct master_task **items;
    size_t count, capacity;
    const char *only;
    const struct master_view *view;
    struct arena *scratch;
};

static void pick_task(void *ctx, const struct master_task *t)
{
    struct task_pick *p = ctx;
    if (p->only != NULL && strcmp(p->only, t->id) != 0)
        return;
    arena_reset(p->scratch);
    if (!master_sees_task(p->view, t, p->scratch))
        return;
    if (p->count == p->capacity) {
        p->capacity = p->capacity ? p->capacity * 2 : 256;
        p->items = xrealloc(p->items, p->capacity * sizeof(*p->items));
    }
    p->items[p->count++] = t;
}

static size_t number_query(const struct http_message *request, struct arena *arena, const char *name, size_t otherwise)
{
    const char *text = http_query(request, arena, name, 0);
    uint64_t v;
    if (text != NULL && strcmp(text, "-1") == 0)
        return SIZE_MAX; /* limit=-1: all */
    return text != NULL && text_to_uint64(text, &v) == 0 ? (size_t)v : otherwise;
}

/* In the order in which the master came to know them; asc is oldest first. */
static void on_tasks(struct master_shell *s, struct http_exchange *x, const struct http_message *request)
{
    struct reply r;
    if (!is_serving(s, x))
        return;
    struct arena *arena = http_exchange_arena(x), *scratch = arena_new(0);
    const char *framework = http_query(request, arena, "framework_id", 0), *order = http_query(request, arena, "order", 0);
    const struct master_view view = view_of(s, x);
    struct task_pick p = {.only = http_query(request, arena, "task_id", 0), .view = &view, .scratch = scratch};
    const struct master_framework *tables[] = {s->core->frameworks, s->core->completed_frameworks};
    for (size_t i = 0; i < 2; i++)
        for (const struct master_framework *f = tables[i]; f != NULL; f = f->hh.next)
            for (int set = MASTER_TASKS_LIVE; set <= MASTER_TASKS_COMPLETED; set++)
                if ((framework == NULL || strcmp(framework, f->id) == 0) && master_sees_framework(&view, f->info))
                    master_each_task(f, (enum master_task_set)set, pick_task, &p);
    size_t offset = number_query(request, arena, "offset", 0), limit = number_query(request, arena, "limit", 100);
    bool is_ascending = order != NULL && strcmp(order, "asc") == 0;
    reply_begin(&r, x, request);
    json_begin_object(&r.w);
    json_put_key(&r.w, "tasks");
    json_begin_array(&r.w);
    for (size_t i = offset; i < p.count && i - offset < limit; i++) {
        arena_reset(scratch);
        legacy_write_task(master_snapshot_task(p.items[is_ascending ? i : p.count - 1 - i], scratch), &r.w);
    }
    json_end_array(&r.w);
    json_end_object(&r.w);
    reply_end(&r);
    arena_free(scratch);
    free(p.items);
}

/* -- others ----------------------------------------------------------------------------------------------------- */

static void on_roles(struct master_shell *s, struct http_exchange *x, const struct http_message *request)
{
    struct reply r;
    if (!is_serving(s, x))
        return;
    reply_begin(&r, x, request);
    json_begin_object(&r.w);
    json_put_key(&r.w, "roles");
    json_begin_array(&r.w);
    const struct master_view view = view_of(s, x);
    for (const struct master_role *role = s->core->roles; role != NULL; role = role->hh.next)
        if (master_sees_role(&view, role->name))
            legacy_write_role(role, &r.w);
    json_end_array(&r.w);
    json_end_object(&r.w);
    reply_end(&r);
}

static void on_flags(struct master_shell *s, struct http_exchange *x, const struct http_message *request)
{
    struct reply r;
    reply_begin(&r, x, request);
    json_begin_object(&r.w);
    put_flags(s, &r.w);
    json_end_object(&r.w);
    reply_end(&r);
}

static void on_version(struct master_shell *s, struct http_exchange *x, const struct http_message *request)
{
    struct reply r;
    reply_begin(&r, x, request);
    json_begin_object(&r.w);
    put_version(s, &r.w);
    json_end_object(&r.w);
    reply_end(&r);
}

/* Of the machine. */
static void on_system_stats(struct master_shell *s, struct http_exchange *x, const struct http_message *request)
{
    static const char *const loads[] = {"avg_load_1min", "avg_load_5min", "avg_load_15min"};
    (void)s;
    struct reply r;
    double load[3] = {0};
    struct sysinfo info = {.mem_unit = 1};
    int n = getloadavg(load, 3);
    reply_begin(&r, x, request);
    json_begin_object(&r.w);
    for (int i = 0; i < n; i++)
        json_kv_double(&r.w, loads[i], load[i]);
    json_kv_int(&r.w, "cpus_total", sysconf(_SC_NPROCESSORS_ONLN));
    if (sysinfo(&info) == 0) {
        json_kv_int(&r.w, "mem_total_bytes", (int64_t)info.totalram * info.mem_unit);
        json_kv_int(&r.w, "mem_free_bytes", (int64_t)info.freeram * info.mem_unit);
    }
    json_end_object(&r.w);
    reply_end(&r);
}

static void on_health(struct master_shell *s, struct http_exchange *x, const struct http_message *request)
{
    (void)request;
    (void)s;
    http_reply(x, 200, NULL, NULL, 0);
}

static void on_redirect(struct master_shell *s, struct http_exchange *x, const struct http_message *request)
{
    size_t len = strlen(request->path);
    while (len > 0 && request->path[len - 1] == '/')
        len--;
    if (len < 9 || strncmp(request->path + len - 9, "/redirect", 9) != 0) {
        http_reply_text(x, 404, "Not Found"); /* nothing is below it */
        return;
    }
    char location[384];
    (void)snprintf(location, sizeof(location), "//%s:%u", s->hostname, s->port); /* host names are shorter */
    http_add_header(x, "Location", location);
    http_reply(x, 307, NULL, NULL, 0);
}

static void on_metrics_snapshot(struct master_shell *s, struct http_exchange *x, const struct http_message *request)
{
    struct reply r;
    reply_begin(&r, x, request);
    metrics_write_json(s->metrics, &r.w);
    reply_end(&r);
}

static void on_metrics(struct master_shell *s, struct http_exchange *x, const struct http_message *request)
{
    (void)request;
    struct buf body;
    buf_init(&body, ANSWER_BYTES_MAX);
    metrics_write_prometheus(s->metrics, &body);
    http_reply(x, 200, "text/plain; version=0.0.4; charset=utf-8", buf_data(&body), buf_len(&body));
    buf_deinit(&body);
}

/* POST /teardown with `frameworkId=ID` in the body. */
static void on_teardown(struct master_shell *s, struct http_exchange *x, const struct http_message *request)
{
    static const char prefix[] = "frameworkId=";
    if (!is_serving(s, x))
        return;
    if (strcmp(request->method, "POST") != 0) {
        http_add_header(x, "Allow", "POST");
        http_reply_text(x, 405, "Expecting one of { 'POST' }, but received '%s'", request->method);
        return;
    }
    if (request->body_len < sizeof(prefix) || memcmp(request->body, prefix, sizeof(prefix) - 1) != 0) {
        http_reply_text(x, 400, "Missing 'frameworkId' query parameter");
        return;
    }
    char *id = arena_printf(http_exchange_arena(x), "%.*s", (int)(request->body_len - sizeof(prefix) + 1),
                            (const char *)request->body + sizeof(prefix) - 1);
    id[strcspn(id, "&\r\n")] = '\0';
    if (text_percent_decode(id, true) < 0) {
        http_reply_text(x, 400, "'frameworkId' is not percent-encoded text");
        return;
    }
    Mesos__V1__FrameworkID framework_id = MESOS__V1__FRAMEWORK_ID__INIT;
    Mesos__V1__Master__Call__Teardown body = MESOS__V1__MASTER__CALL__TEARDOWN__INIT;
    Mesos__V1__Master__Call call = MESOS__V1__MASTER__CALL__INIT;
    framework_id.value = id;
    body.framework_id = &framework_id;
    call.has_type = true;
    call.type = MESOS__V1__MASTER__CALL__TYPE__TEARDOWN;
    call.teardown = &body;
    struct master_event in = {
        .type = MASTER_EVENT_OPERATOR_CALL,
        .operator_call = {.request = ++s->next_id, .principal = auth_subject_of(x)->principal, .call = &call}};
    master_shell_step_request(s, &in, in.operator_call.request, x);
}

master_shell_handler master_shell_legacy_handler(const char *path)
{
    static const struct {
        const char *path;
        master_shell_handler handler;
    } table[] = {
        {"/health", on_health},
        {"/version", on_version},
        {"/state", on_state},
        {"/state.json", on_state},
        {"/state-summary", on_state_summary},
        {"/tasks", on_tasks},
        {"/slaves", on_slaves},
        {"/frameworks", on_frameworks},
        {"/roles", on_roles},
        {"/flags", on_flags},
        {"/redirect", on_redirect},
        {"/teardown", on_teardown},
        {"/weights", master_shell_on_weights},
        {"/quota", master_shell_on_quota},
        {"/reserve", master_shell_on_reserve},
        {"/unreserve", master_shell_on_unreserve},
        {"/create-volumes", master_shell_on_create_volumes},
        {"/destroy-volumes", master_shell_on_destroy_volumes},
        {"/maintenance/schedule", master_shell_on_maintenance_schedule},
        {"/maintenance/status", master_shell_on_maintenance_status},
        {"/machine/down", master_shell_on_machine_down},
        {"/machine/up", master_shell_on_machine_up},
        {"/metrics/snapshot", on_metrics_snapshot},
        {"/metrics", on_metrics},
        {"/logging/toggle", master_shell_on_logging},
        {"/system/stats.json", on_system_stats},
        {"/files/browse", master_shell_on_files},
        {"/files/read", master_shell_on_files},
        {"/files/download", master_shell_on_files},
        {"/files/debug", master_shell_on_files_debug},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
        if (strcmp(table[i].path, path) == 0)
            return table[i].handler;
    return NULL;
}
