/* SPDX-License-Identifier: Apache-2.0
 * api.c - the front of Metronome's API: routes to requests of the core (facts: net-cron D.1, D.2), with ours beside them.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/base/check.h"
#include "common/base/json.h"
#include "common/base/text.h"
#include "frameworks/cron/chronos_api.h"
#include "frameworks/cron/shell.h"
#include "frameworks/kit/event_streams.h"

#define REPEATED_MAX 64 /* of one query parameter */
#define PARTS_MAX 8

struct call { /* one request on its way through the routes */
    struct cron_shell *shell;
    struct http_exchange *x;
    const struct http_message *m;
    struct arena *arena;
    const char *path;
};

static const char *query(const struct call *c, const char *name)
{
    return http_query(c->m, c->arena, name, 0);
}

static bool query_bool(const struct call *c, const char *name)
{
    const char *value = query(c, name);
    return value && strcasecmp(value, "true") == 0;
}

/* -- errors that the core does not see ------------------------------------------------------------------------------- */

static void send_error(const struct call *c, int status, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

static void send_error(const struct call *c, int status, const char *fmt, ...)
{
    char text[1024];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap); /* cut when long */
    va_end(ap);
    struct buf b;
    struct json_writer w;
    buf_init(&b, 0);
    json_writer_init(&w, &b);
    json_begin_object(&w);
    json_kv_string(&w, "message", text);
    json_kv_string(&w, "requestPath", c->path);
    json_end_object(&w);
    kit_send(c->x, status, (const char *)buf_data(&b), buf_len(&b));
    buf_deinit(&b);
}

/* -- query parameters ------------------------------------------------------------------------------------------------ */

static const struct {
    const char *name;
    unsigned bit;
} embeds[] = {
    {"activeRuns", CRON_EMBED_ACTIVE_RUNS},
    {"schedules", CRON_EMBED_SCHEDULES},
    {"history", CRON_EMBED_HISTORY},
    {"historySummary", CRON_EMBED_HISTORY_SUMMARY},
};
#define EMBED_COUNT (sizeof(embeds) / sizeof(embeds[0]))

static bool add_embed(unsigned *bits, const char *name)
{
    for (size_t k = 0; k < EMBED_COUNT; k++) {
        if (strcmp(embeds[k].name, name) == 0) {
            *bits |= embeds[k].bit;
            return true;
        }
    }
    return false;
}

/* Repeated or comma-separated. Answers and returns false when a word is unknown. */
static bool read_embed(const struct call *c, unsigned *bits)
{
    const char *value;
    for (size_t k = 0; k < REPEATED_MAX && (value = http_query(c->m, c->arena, "embed", k)) != NULL; k++) {
        char *list = arena_strdup(c->arena, value), *save = NULL;
        for (char *one = strtok_r(list, ",", &save); one; one = strtok_r(NULL, ",", &save)) {
            if (add_embed(bits, one))
                continue;
            send_error(c, 400, "Unknown embed options. Valid options are: activeRuns, schedules, history, historySummary");
            return false;
        }
    }
    return true;
}

static bool read_limit(const struct call *c, int64_t *out)
{
    const char *value = query(c, "limit");
    if (value == NULL || (text_to_int64(value, out) == 0 && *out > 0))
        return true;
    send_error(c, 400, "limit must be a number above 0");
    return false;
}

/* -- routes ----------------------------------------------------------------------------------------------------------- */

enum body { BODY_NONE, BODY_NEEDED, BODY_OPTIONAL };

/* Parts: ":job", ":schedule" and ":run" stand for ids, the last part of a route may not be missing. */
static const struct route {
    const char *method, *path;
    enum cron_request_type type;
    enum body body;
    bool with_schedules;
} routes[] = {
    {"GET", "/v1/jobs", CRON_LIST_JOBS, BODY_NONE, false},
    {"POST", "/v1/jobs", CRON_CREATE_JOB, BODY_NEEDED, true},
    {"GET", "/v1/jobs/:job", CRON_GET_JOB, BODY_NONE, false},
    {"PUT", "/v1/jobs/:job", CRON_PUT_JOB, BODY_NEEDED, false},
    {"DELETE", "/v1/jobs/:job", CRON_DELETE_JOB, BODY_NONE, false},
    {"GET", "/v1/jobs/:job/schedules", CRON_LIST_SCHEDULES, BODY_NONE, false},
    {"POST", "/v1/jobs/:job/schedules", CRON_CREATE_SCHEDULE, BODY_NEEDED, false},
    {"GET", "/v1/jobs/:job/schedules/:schedule", CRON_GET_SCHEDULE, BODY_NONE, false},
    {"PUT", "/v1/jobs/:job/schedules/:schedule", CRON_PUT_SCHEDULE, BODY_NEEDED, false},
    {"DELETE", "/v1/jobs/:job/schedules/:schedule", CRON_DELETE_SCHEDULE, BODY_NONE, false},
    {"GET", "/v1/jobs/:job/runs", CRON_LIST_RUNS, BODY_NONE, false},
    {"POST", "/v1/jobs/:job/runs", CRON_CREATE_RUN, BODY_OPTIONAL, false},
    {"GET", "/v1/jobs/:job/runs/:run", CRON_GET_RUN, BODY_NONE, false},
    {"POST", "/v1/jobs/:job/runs/:run/actions/stop", CRON_STOP_RUN, BODY_NONE, false},
    {"GET", "/v1/queue", CRON_GET_QUEUE, BODY_NONE, false},
    {"POST", "/v0/scheduled-jobs", CRON_CREATE_JOB, BODY_NEEDED, true},
    {"PUT", "/v0/scheduled-jobs/:job", CRON_PUT_JOB, BODY_NEEDED, true},
    /* ours */
    {"GET", "/v1/jobs/:job/history", CRON_GET_HISTORY, BODY_NONE, false},
    {"GET", "/v1/jobs/:job/history/:run", CRON_GET_HISTORY, BODY_NONE, false},
    {"GET", "/v1/jobs/:job/next", CRON_GET_NEXT, BODY_NONE, false},
    {"GET", "/v1/jobs/:job/graph", CRON_GET_GRAPH, BODY_NONE, false},
    {"GET", "/v1/runs", CRON_LIST_ALL_RUNS, BODY_NONE, false},
    {"GET", "/v1/runs/:run", CRON_FIND_RUN, BODY_NONE, false},
};
#define ROUTE_COUNT (sizeof(routes) / sizeof(routes[0]))

/* Splits at single slashes; the path is cut up. 0: too many, or an empty one. */
static size_t split(char *path, char *parts[PARTS_MAX])
{
    size_t n = 0;
    for (char *at = path; *at == '/';) {
        *at++ = '\0';
        if (n == PARTS_MAX || *at == '/' || *at == '\0')
            return 0;
        parts[n++] = at;
        at += strcspn(at, "/");
    }
    return n;
}

static bool fits(const struct route *route, char *const *parts, size_t count, struct cron_request *r)
{
    char copy[64], *names[PARTS_MAX];
    (void)snprintf(copy, sizeof(copy), "%s", route->path); /* routes are short */
    if (split(copy, names) != count)
        return false;
    for (size_t k = 0; k < count; k++) {
        if (names[k][0] != ':' && strcmp(names[k], parts[k]) != 0)
            return false;
    }
    for (size_t k = 0; k < count; k++) {
        if (strcmp(names[k], ":job") == 0)
            r->job_id = parts[k];
        else if (strcmp(names[k], ":schedule") == 0)
            r->schedule_id = parts[k];
        else if (strcmp(names[k], ":run") == 0)
            r->run_id = parts[k];
    }
    return true;
}

static const struct route *find_route(const struct call *c, struct cron_request *r)
{
    char *parts[PARTS_MAX];
    size_t count = split(arena_strdup(c->arena, c->path), parts);
    const char *method = strcmp(c->m->method, "HEAD") == 0 ? "GET" : c->m->method;
    for (size_t k = 0; count > 0 && k < ROUTE_COUNT; k++) {
        if (strcmp(routes[k].method, method) == 0 && fits(&routes[k], parts, count, r))
            return &routes[k];
    }
    return NULL;
}

/* -- submitting ------------------------------------------------------------------------------------------------------- */

static void submit(const struct call *c, const struct route *route, struct cron_request *r)
{
    json_t *body = NULL;
    struct err err = {0};
    const char *type = http_header(c->m, "Content-Type");
    bool has_body = route->body != BODY_NONE && (route->body == BODY_NEEDED || c->m->body_len > 0);
    if (has_body && type && !kit_is_json_type(type)) {
        send_error(c, 415, "Expecting text/json or application/json body");
        return;
    }
    if (has_body) {
        body = json_read(c->m->body, c->m->body_len, &err);
        if (body == NULL) {
            send_error(c, 400, "Invalid Json: %s", c->m->body_len == 0 ? "the body is empty" : err.text);
            return;
        }
    }
    r->type = route->type;
    r->with_schedules = route->with_schedules;
    r->body = body;
    r->id = kit_wait(c->shell->kit, c->x, c->m);
    struct kit_event in = {.type = KIT_EVENT_REQUEST, .request = r};
    kit_step(c->shell->kit, &in);
    json_decref(body);
}

static void route_core(const struct call *c)
{
    struct cron_request r = {
        .after = query(c, "after"), .stop_runs = query_bool(c, "stopCurrentJobRuns"), .dry_run = query_bool(c, "dryRun")};
    const struct route *route = find_route(c, &r);
    if (route == NULL)
        send_error(c, 404, "Unknown route.");
    else if (read_embed(c, &r.embed) && read_limit(c, &r.limit))
        submit(c, route, &r);
}

void cron_api_handle(void *ctx, struct http_exchange *x, const struct http_message *m)
{
    struct kit_shell *kit = ctx;
    struct cron_shell *s = kit->ctx;
    struct call c = {.shell = s, .x = x, .m = m, .arena = http_exchange_arena(x), .path = kit_trimmed_path(x, m)};
    if (strcmp(c.path, "/v1/events") == 0 && kit_accepts_event_stream(m))
        event_streams_attach(kit->streams, x, m, loop_wall_ms(kit->loop));
    else if (!cron_api_route_info(s, x, m, c.path) && !chronos_api_route(kit, x, m, c.path))
        route_core(&c);
}
