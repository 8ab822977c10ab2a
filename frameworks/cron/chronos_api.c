/* SPDX-License-Identifier: Apache-2.0
 * chronos_api.c - routes of Chronos's API to requests of the core: those of version 3 below /v1/scheduler, those of version
 * 2 below /scheduler. No CORS headers: with them any page in a browser could run commands here. */
#include "frameworks/cron/chronos_api.h"

#include <string.h>

#include "common/base/json.h"
#include "common/base/text.h"
#include "frameworks/cron/chronos.h"
#include "frameworks/cron/event.h"

enum { ONLY_2 = 1, ONLY_3 = 2, HAS_BODY = 4, IS_DEPENDENT = 8 };

/* `*` stands for one part of the path: the name of the job, but for TASK_RESULT; the second one for the task. */
static const struct route {
    const char *method, *pattern;
    enum chronos_request_type type;
    int flags;
} routes[] = {
    {"POST", "/iso8601", CHRONOS_PUT_JOB, HAS_BODY},
    {"PUT", "/iso8601", CHRONOS_PUT_JOB, HAS_BODY | ONLY_2},
    {"POST", "/dependency", CHRONOS_PUT_JOB, HAS_BODY | IS_DEPENDENT},
    {"PUT", "/dependency", CHRONOS_PUT_JOB, HAS_BODY | IS_DEPENDENT | ONLY_2},
    {"GET", "/jobs", CHRONOS_LIST_JOBS, 0},
    {"GET", "/jobs/summary", CHRONOS_SUMMARY, 0},
    {"GET", "/jobs/search", CHRONOS_SEARCH, 0},
    {"GET", "/job/stat/*", CHRONOS_JOB_STAT, 0},
    {"PUT", "/job/success/*", CHRONOS_MARK, ONLY_3},
    {"GET", "/job/*", CHRONOS_GET_JOB, 0},
    {"PUT", "/job/*", CHRONOS_RUN_JOB, 0},
    {"DELETE", "/job/*", CHRONOS_DELETE_JOB, 0},
    {"POST", "/job/*/task/*/progress", CHRONOS_PROGRESS, HAS_BODY},
    {"GET", "/stats/*", CHRONOS_STATS, 0},
    {"GET", "/graph/dot", CHRONOS_GRAPH_DOT, 0},
    {"GET", "/graph/csv", CHRONOS_GRAPH_CSV, 0},
    {"DELETE", "/task/kill/*", CHRONOS_KILL_JOB, 0},
    {"DELETE", "/task/all", CHRONOS_KILL_ALL, ONLY_2},
    {"PUT", "/task/*", CHRONOS_TASK_RESULT, HAS_BODY | ONLY_2},
};

static void send_error(struct http_exchange *x, int status, const char *message)
{
    struct json_writer w;
    struct buf b;
    buf_init(&b, 0);
    json_writer_init(&w, &b);
    json_begin_object(&w);
    json_kv_string(&w, "status", http_reason(status));
    json_kv_string(&w, "message", message);
    json_end_object(&w);
    kit_send(x, status, (const char *)buf_data(&b), buf_len(&b));
    buf_deinit(&b);
}

/* Puts the parts under the stars into parts, in the arena. */
static bool matches(const char *pattern, const char *path, struct arena *a, const char *parts[2])
{
    size_t stars = 0;
    while (*pattern != '\0') {
        if (*pattern == '*') {
            size_t len = strcspn(path, "/");
            if (len == 0)
                return false;
            parts[stars++] = arena_printf(a, "%.*s", (int)len, path);
            path += len;
            pattern++;
        } else if (*pattern++ != *path++) {
            return false;
        }
    }
    return *path == '\0';
}

static bool query_number(const struct http_message *m, struct arena *a, const char *name, int64_t absent, int64_t *out)
{
    const char *text = http_query(m, a, name, 0);
    *out = absent;
    return text == NULL || (text_to_int64(text, out) == 0 && *out >= 0);
}

static bool read_query(struct http_exchange *x, const struct http_message *m, struct chronos_request *q)
{
    struct arena *a = http_exchange_arena(x);
    if (q->type == CHRONOS_RUN_JOB)
        q->arguments = http_query(m, a, "arguments", 0);
    if (q->type != CHRONOS_SEARCH)
        return true;
    q->search_name = http_query(m, a, "name", 0);
    q->search_command = http_query(m, a, "command", 0);
    q->search_any = http_query(m, a, "any", 0);
    if (query_number(m, a, "limit", CHRONOS_SEARCH_LIMIT, &q->limit) && query_number(m, a, "offset", 0, &q->offset))
        return true;
    send_error(x, 400, "limit and offset are whole numbers from 0 on");
    return false;
}

/* NULL when it was answered already. */
static json_t *read_body(struct http_exchange *x, const struct http_message *m)
{
    struct err err = {""};
    const char *type = http_header(m, "Content-Type");
    if (type != NULL && !kit_is_json_type(type)) {
        send_error(x, 415, "the body is not application/json");
        return NULL;
    }
    json_t *body = json_read(m->body, m->body_len, &err);
    if (body == NULL)
        send_error(x, 400, err.text);
    return body;
}

static void submit(struct kit_shell *s, struct http_exchange *x, const struct http_message *m, const struct route *route,
                   const char *const parts[2], bool is_version_2)
{
    json_t *body = NULL;
    struct chronos_request q = {.type = route->type, .is_version_2 = is_version_2};
    q.is_dependent = (route->flags & IS_DEPENDENT) != 0;
    q.name = q.quantile = parts[0];
    q.task_id = route->type == CHRONOS_TASK_RESULT ? parts[0] : parts[1];
    if (!read_query(x, m, &q))
        return;
    if (route->flags & HAS_BODY) {
        body = read_body(x, m);
        if (body == NULL)
            return;
    }
    q.body = body;
    struct cron_request r = {.id = kit_wait(s, x, m), .type = CRON_CHRONOS, .chronos = &q};
    struct kit_event in = {.type = KIT_EVENT_REQUEST, .request = &r};
    kit_step(s, &in);
    json_decref(body);
}

static void send_leader(struct kit_shell *s, struct http_exchange *x)
{
    struct json_writer w;
    struct buf b;
    buf_init(&b, 0);
    json_writer_init(&w, &b);
    json_begin_object(&w);
    json_kv_string(&w, "leader", s->address);
    json_end_object(&w);
    kit_send(x, 200, (const char *)buf_data(&b), buf_len(&b));
    buf_deinit(&b);
}

static const char *below(const char *path, const char *prefix)
{
    size_t len = strlen(prefix);
    return strncmp(path, prefix, len) == 0 && path[len] == '/' ? path + len : NULL;
}

bool chronos_api_route(struct kit_shell *s, struct http_exchange *x, const struct http_message *m, const char *path)
{
    const char *rest = below(path, "/v1/scheduler"), *method = strcmp(m->method, "HEAD") == 0 ? "GET" : m->method;
    bool is_version_2 = rest == NULL, is_known = false;
    if (rest == NULL)
        rest = below(path, "/scheduler");
    if (rest == NULL)
        return false;
    if (strcmp(rest, "/leader") == 0 && strcmp(method, "GET") == 0) {
        send_leader(s, x);
        return true;
    }
    for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
        const char *parts[2] = {NULL, NULL};
        if ((routes[i].flags & (is_version_2 ? ONLY_3 : ONLY_2)) ||
            !matches(routes[i].pattern, rest, http_exchange_arena(x), parts))
            continue;
        is_known = true;
        if (strcmp(routes[i].method, method) == 0) {
            submit(s, x, m, &routes[i], parts, is_version_2);
            return true;
        }
    }
    send_error(x, is_known ? 405 : 404, is_known ? "not a method of this path" : "no such path");
    return true;
}
