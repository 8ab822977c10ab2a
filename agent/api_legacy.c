/* SPDX-License-Identifier: Apache-2.0
 * api_legacy.c - the old GET endpoints (facts: mesos 5.1, 5.5): state, flags, usage, files, metrics. They answer every
 * method, as the tools of that world expect. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/files.h"
#include "agent/permits.h"
#include "agent/view.h"
#include "common/base/text.h"

struct reply {
    struct agent_shell *shell;
    struct http_exchange *x;
    const struct http_message *request;
    struct arena *arena;
    struct buf out;
    struct json_writer w;
};

/* Sends what was written; ?jsonp=NAME wraps it (facts: mesos 0.2). */
static void send_json(struct reply *r)
{
    const char *name = http_query(r->request, r->arena, "jsonp", 0);
    if (r->out.overflowed) {
        http_reply_text(r->x, 500, "The answer is too large");
        return;
    }
    if (name == NULL) {
        http_reply(r->x, 200, "application/json", buf_data(&r->out), buf_len(&r->out));
        return;
    }
    if (*name == '\0' ||
        strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_$.") != strlen(name)) {
        http_reply_text(r->x, 400, "The name in 'jsonp' is not one of a function");
        return;
    }
    struct buf wrapped;
    buf_init(&wrapped, r->out.bytes_max + 1024);
    (void)buf_printf(&wrapped, "%s(", name);
    (void)buf_append(&wrapped, buf_data(&r->out), buf_len(&r->out));
    (void)buf_append_str(&wrapped, ");");
    http_reply(r->x, 200, "text/javascript", buf_data(&wrapped), buf_len(&wrapped));
    buf_deinit(&wrapped);
}

static void health(struct reply *r)
{
    http_reply(r->x, 200, NULL, NULL, 0);
}

static void version(struct reply *r)
{
    json_begin_object(&r->w);
    agent_state_put_version(&r->w);
    json_end_object(&r->w);
    send_json(r);
}

static void write_flag(void *ctx, const char *name, const char *value)
{
    json_kv_string((struct json_writer *)ctx, name, value);
}

static void flags(struct reply *r)
{
    json_begin_object(&r->w);
    json_put_key(&r->w, "flags");
    json_begin_object(&r->w);
    options_each(agent_option_defs, agent_option_count, r->shell->options, write_flag, &r->w);
    json_end_object(&r->w);
    json_end_object(&r->w);
    send_json(r);
}

static bool recovered(struct reply *r)
{
    if (agent_phase(r->shell->core) >= AGENT_PHASE_RUNNING)
        return true;
    http_reply_text(r->x, 503, "Agent has not finished recovery");
    return false;
}

static void state(struct reply *r)
{
    if (!agent_permits_state(r->shell, r->x)) {
        http_reply_text(r->x, 403, "403 Forbidden");
        return;
    }
    if (!recovered(r))
        return;
    agent_state_json(r->shell, r->arena, &r->w);
    send_json(r);
}

static void write_container(struct reply *r, const struct agent_executor *e, bool with_container)
{
    const Mesos__V1__ExecutorInfo *info = agent_view_executor_info(e, r->arena);
    const Mesos__V1__ResourceStatistics *s = agent_statistics(r->shell, e, r->arena);
    struct json_writer *w = &r->w;
    json_begin_object(w);
    if (with_container)
        json_kv_string(w, "container_id", e->container_id);
    json_kv_string(w, "executor_id", e->id);
    json_kv_string(w, "executor_name", info->name ? info->name : "");
    json_kv_string(w, "framework_id", e->framework->id);
    json_kv_string(w, "source", info->source ? info->source : "");
    if (s != NULL) {
        json_put_key(w, "statistics");
        wire_to_json(&s->base, w);
    }
    if (with_container) {
        json_put_key(w, "status");
        json_begin_object(w);
        json_put_key(w, "container_id");
        json_begin_object(w);
        json_kv_string(w, "value", e->container_id);
        json_end_object(w);
        if (e->pid > 0)
            json_kv_int(w, "executor_pid", e->pid);
        json_end_object(w);
    }
    json_end_object(w);
}

static bool wanted(const struct reply *r, const char *parameter, const char *value)
{
    const char *asked = http_query(r->request, r->arena, parameter, 0);
    return asked == NULL || strcmp(asked, value) == 0;
}

static void write_containers(struct reply *r, bool with_container)
{
    if (!recovered(r))
        return;
    json_begin_array(&r->w);
    for (struct map_entry *it = map_first(&r->shell->core->containers); it != NULL; it = map_next(it)) {
        const struct agent_executor *e = map_value(it);
        if (!with_container || (wanted(r, "framework_id", e->framework->id) && wanted(r, "executor_id", e->id) &&
                                wanted(r, "container_id", e->container_id)))
            write_container(r, e, with_container);
    }
    json_end_array(&r->w);
    send_json(r);
}

static void containers(struct reply *r)
{
    write_containers(r, true);
}

static void monitor_statistics(struct reply *r)
{
    write_containers(r, false);
}

static void metrics_snapshot(struct reply *r)
{
    agent_shell_refresh(r->shell, r->arena);
    metrics_write_json(r->shell->metrics, &r->w);
    send_json(r);
}

static void metrics_prometheus(struct reply *r)
{
    agent_shell_refresh(r->shell, r->arena);
    metrics_write_prometheus(r->shell->metrics, &r->out);
    http_reply(r->x, 200, "text/plain; version=0.0.4; charset=utf-8", buf_data(&r->out), buf_len(&r->out));
}

struct wanted_metric {
    const char *name;
    double value;
};

static void match_metric(void *ctx, const char *name, double value)
{
    struct wanted_metric *m = ctx;
    if (strcmp(name, m->name) == 0)
        m->value = value;
}

static double metric_named(struct agent_shell *s, const char *name)
{
    struct wanted_metric m = {.name = name};
    metrics_each(s->metrics, match_metric, &m);
    return m.value;
}

static void system_stats(struct reply *r)
{
    static const struct {
        const char *key, *metric;
    } values[] = {
        {"avg_load_1min", "system/load_1min"},         {"avg_load_5min", "system/load_5min"},
        {"avg_load_15min", "system/load_15min"},       {"cpus_total", "system/cpus_total"},
        {"mem_total_bytes", "system/mem_total_bytes"}, {"mem_free_bytes", "system/mem_free_bytes"},
    };
    agent_shell_refresh(r->shell, r->arena);
    json_begin_object(&r->w);
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
        json_kv_number(&r->w, values[i].key, metric_named(r->shell, values[i].metric));
    json_end_object(&r->w);
    send_json(r);
}

/* -- files ---------------------------------------------------------------------------------------------------- */

/* The path asked for; NULL when the exchange was answered. */
static const char *path_of(struct reply *r)
{
    const char *path = http_query(r->request, r->arena, "path", 0);
    if (path == NULL || *path == '\0') {
        http_reply_text(r->x, 400, "Expecting 'path=value' in query.");
        return NULL;
    }
    if (!agent_permits_access_sandbox(r->shell, r->x, path, r->arena)) {
        http_reply_text(r->x, 403, "403 Forbidden");
        return NULL;
    }
    return path;
}

static void files_browse(struct reply *r)
{
    static const char types[] = {'p', 'c', 'd', 'b', '-', 'l', 's'};
    const char *path = path_of(r);
    if (path == NULL)
        return;
    Mesos__V1__FileInfo **list;
    size_t n;
    int rc = files_list(r->shell, path, r->arena, &list, &n);
    if (rc == FILES_E_TOO_MANY) {
        http_reply_text(r->x, 400, "More than %d entries; they cannot be listed.", FILES_ENTRIES_MAX);
        return;
    }
    if (rc != 0) {
        http_reply(r->x, 404, NULL, NULL, 0);
        return;
    }
    json_begin_array(&r->w);
    for (size_t i = 0; i < n; i++) {
        const Mesos__V1__FileInfo *f = list[i];
        char mode[11];
        unsigned type = f->mode >> 12 & 15;
        mode[0] = type >= 1 && type <= 12 && (type == 1 || type % 2 == 0) ? types[type == 1 ? 0 : type / 2] : '?';
        for (unsigned bit = 0; bit < 9; bit++)
            mode[1 + bit] = f->mode & (256u >> bit) ? "rwx"[bit % 3] : '-';
        mode[10] = '\0';
        json_begin_object(&r->w);
        json_kv_string(&r->w, "path", f->path);
        json_kv_int(&r->w, "nlink", f->nlink);
        json_kv_uint(&r->w, "size", f->size);
        json_kv_double(&r->w, "mtime", (double)(f->mtime->nanoseconds / 1000000000));
        json_kv_string(&r->w, "mode", mode);
        json_kv_string(&r->w, "uid", f->uid);
        json_kv_string(&r->w, "gid", f->gid);
        json_end_object(&r->w);
    }
    json_end_array(&r->w);
    send_json(r);
}

/* A number in the query; false when the exchange was answered. */
static bool number_of(struct reply *r, const char *name, int64_t *out)
{
    const char *text = http_query(r->request, r->arena, name, 0);
    if (text == NULL || text_to_int64(text, out) == 0)
        return true;
    http_reply_text(r->x, 400, "Failed to parse %s: '%.40s' is not a number.", name, text);
    return false;
}

static int open_file(struct reply *r, const char *path)
{
    int outcome;
    int fd = files_open(r->shell, path, r->arena, false, &outcome);
    if (fd >= 0)
        return fd;
    if (outcome == FILES_E_NOT_FILE)
        http_reply_text(r->x, 400, "Not a regular file.");
    else
        http_reply(r->x, 404, NULL, NULL, 0);
    return fd;
}

static void files_read(struct reply *r)
{
    const char *path = path_of(r);
    int64_t offset = -1, length = -1;
    if (path == NULL || !number_of(r, "offset", &offset) || !number_of(r, "length", &length))
        return;
    if (offset < -1 || length < -1) {
        http_reply_text(r->x, 400, "Negative offset or length.");
        return;
    }
    int fd = open_file(r, path);
    if (fd < 0)
        return;
    size_t want = length >= 0 && length < FILES_READ_MAX ? (size_t)length : FILES_READ_MAX;
    char *bytes = arena_must_alloc(r->arena, FILES_READ_MAX);
    off_t size = lseek(fd, 0, SEEK_END);
    ssize_t n = offset < 0 ? 0 : pread(fd, bytes, want, (off_t)offset);
    (void)close(fd);
    if (size < 0 || n < 0) {
        http_reply_text(r->x, 500, "The file cannot be read.");
        return;
    }
    json_begin_object(&r->w);
    json_put_key(&r->w, "data");
    json_put_string_n(&r->w, bytes, (size_t)n);
    json_kv_int(&r->w, "offset", offset < 0 ? size : offset);
    json_end_object(&r->w);
    send_json(r);
}

static void files_download(struct reply *r)
{
    const char *path = path_of(r);
    int fd = path ? open_file(r, path) : -1;
    if (fd < 0)
        return;
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    char safe[256];
    size_t n = 0;
    for (; name[n] != '\0' && n + 1 < sizeof(safe); n++)
        safe[n] = name[n] < ' ' || name[n] == '"' || name[n] == '\\' || name[n] == 127 ? '_' : name[n];
    safe[n] = '\0';
    http_add_header(r->x, "Content-Disposition", arena_printf(r->arena, "attachment; filename=\"%s\"", safe));
    files_send(r->shell, r->x, path, fd, false);
}

static void files_follow(struct reply *r)
{
    const char *path = path_of(r);
    int fd = path ? open_file(r, path) : -1;
    if (fd >= 0)
        files_send(r->shell, r->x, path, fd, true);
}

/* {virtual path: real path} of what can be browsed. */
static void files_debug(struct reply *r)
{
    const struct agent *a = r->shell->core;
    json_begin_object(&r->w);
    for (struct map_entry *it = map_first(&a->containers); it != NULL; it = map_next(it)) {
        const struct agent_executor *e = map_value(it);
        const char *real = arena_printf(r->arena, "%s/%s", a->config.work_dir, e->directory);
        json_kv_string(&r->w, real, real);
        json_kv_string(&r->w, arena_printf(r->arena, "/frameworks/%s/executors/%s/runs/latest", e->framework->id, e->id),
                       real);
    }
    json_end_object(&r->w);
    send_json(r);
}

static void logging(struct reply *r)
{
    logging_toggle_answer(r->shell->logging, r->x, r->request);
}

static const struct {
    const char *path;
    void (*fn)(struct reply *r);
} endpoints[] = {
    {"/health", health},
    {"/version", version},
    {"/flags", flags},
    {"/state", state},
    {"/state.json", state},
    {"/containers", containers},
    {"/monitor/statistics", monitor_statistics},
    {"/metrics/snapshot", metrics_snapshot},
    {"/metrics", metrics_prometheus},
    {"/system/stats.json", system_stats},
    {"/files/browse", files_browse},
    {"/files/browse.json", files_browse},
    {"/files/read", files_read},
    {"/files/read.json", files_read},
    {"/files/download", files_download},
    {"/files/download.json", files_download},
    {"/files/follow", files_follow},
    {"/files/debug", files_debug},
    {"/logging/toggle", logging},
};

bool agent_api_legacy(struct agent_shell *s, struct http_exchange *x, const struct http_message *request, const char *path)
{
    for (size_t i = 0; i < sizeof(endpoints) / sizeof(endpoints[0]); i++) {
        if (strcmp(path, endpoints[i].path) != 0)
            continue;
        if (!agent_access_pass(&s->access, path, x, request))
            return true;
        struct reply r = {.shell = s, .x = x, .request = request, .arena = arena_new(SIZE_MAX / 2)};
        buf_init(&r.out, (size_t)256 << 20);
        json_writer_init(&r.w, &r.out);
        endpoints[i].fn(&r);
        buf_deinit(&r.out);
        (void)arena_free(r.arena);
        return true;
    }
    return false;
}
