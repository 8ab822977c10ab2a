/* SPDX-License-Identifier: Apache-2.0
 * api.c - the front of the REST API: what holds for every route (facts: marathon 1.1, 5), and the way of a request to the
 * core and back. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/base/check.h"
#include "common/base/json.h"
#include "frameworks/marathon/shell.h"

#define JSON_TYPE "application/json"

void api_send(struct http_exchange *x, int status, const char *json, size_t len)
{
    http_reply(x, status, json ? JSON_TYPE : NULL, json ? json : "", len);
}

void api_send_message(struct http_exchange *x, int status, const char *fmt, ...)
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
    json_end_object(&w);
    api_send(x, status, (const char *)buf_data(&b), buf_len(&b));
    buf_deinit(&b);
}

/* -- requests that wait for the core ------------------------------------------------------------------------------ */

struct waiting {
    struct shell *shell;
    struct http_exchange *exchange;
    const char *host; /* Host header, for Location */
    request_id id;
};

static void on_closed(void *ctx, struct http_exchange *x)
{
    struct waiting *w = ctx;
    (void)x;
    (void)map_remove_n(&w->shell->requests, &w->id, sizeof(w->id)); /* was in it; lives in the exchange's arena */
}

static void send_bad_json(struct http_exchange *x, const char *message, const char *details)
{
    struct buf b;
    struct json_writer w;
    buf_init(&b, 0);
    json_writer_init(&w, &b);
    json_begin_object(&w);
    json_kv_string(&w, "message", message);
    json_kv_string(&w, "details", details);
    json_end_object(&w);
    api_send(x, 400, (const char *)buf_data(&b), buf_len(&b));
    buf_deinit(&b);
}

static bool needs_body(enum marathon_request_type type)
{
    switch (type) {
    case MARATHON_CREATE_APP:
    case MARATHON_PUT_APP:
    case MARATHON_PUT_APPS:
    case MARATHON_PATCH_APP:
    case MARATHON_PATCH_APPS:
    case MARATHON_KILL_TASKS:
        return true;
    default:
        return false;
    }
}

void api_submit(struct shell *s, struct http_exchange *x, const struct http_message *m, struct marathon_request *r)
{
    json_t *body = NULL;
    if (needs_body(r->type)) {
        struct err err = {0};
        if (m->body_len == 0) {
            send_bad_json(x, "Please specify data in JSON format", "the body is empty");
            return;
        }
        body = json_read(m->body, m->body_len, &err);
        if (body == NULL) {
            send_bad_json(x, "Invalid JSON", err.text);
            return;
        }
        if (!json_is_object(body) && !json_is_array(body)) {
            json_decref(body);
            send_bad_json(x, "Please specify data in JSON format", "the body is neither an object nor an array");
            return;
        }
    }
    struct waiting *w = arena_new_one(http_exchange_arena(x), struct waiting);
    *w = (struct waiting){.shell = s, .exchange = x, .host = http_header(m, "Host"), .id = ++s->last_request};
    (void)map_put_n(&s->requests, &w->id, sizeof(w->id), w); /* ids are new */
    http_exchange_on_closed(x, on_closed, w);
    char ip[80];
    (void)snprintf(ip, sizeof(ip), "%s", http_exchange_peer(x)); /* addresses fit */
    char *colon = strrchr(ip, ':');
    if (colon)
        *colon = '\0';
    r->id = w->id;
    r->body = body;
    r->client_ip = ip;
    r->uri = m->target;
    struct marathon_event in = {.type = MARATHON_EVENT_REQUEST, .request = r};
    shell_step(s, &in);
    json_decref(body);
}

void api_reply(struct shell *s, const struct marathon_effect *e)
{
    struct waiting *w = map_remove_n(&s->requests, &e->reply.id, sizeof(e->reply.id));
    if (w == NULL)
        return; /* the client has gone */
    struct http_exchange *x = w->exchange;
    for (size_t k = 0; k < e->reply.header_count; k++) {
        const struct marathon_header *h = &e->reply.headers[k];
        bool is_path = strcmp(h->name, "Location") == 0 && h->value[0] == '/' && w->host;
        http_add_header(x, h->name,
                        is_path ? arena_printf(http_exchange_arena(x), "http://%s%s", w->host, h->value) : h->value);
    }
    api_send(x, e->reply.status, e->reply.body, e->reply.body_len);
}

/* -- the front ----------------------------------------------------------------------------------------------------------
 */

static void add_common_headers(const struct shell *s, struct http_exchange *x, const struct http_message *m)
{
    http_add_header(x, "Cache-Control", "no-cache, no-store, must-revalidate");
    http_add_header(x, "Pragma", "no-cache");
    http_add_header(x, "Expires", "0");
    http_add_header(x, "X-Marathon-Leader", arena_printf(http_exchange_arena(x), "http://%s", s->address));
    http_add_header(x, "X-Frame-Options", "DENY");
    http_add_header(x, "X-XSS-Protection", "1; mode=block");
    if (s->options.access_control_allow_origin) {
        const char *asked = http_header(m, "Access-Control-Request-Headers");
        http_add_header(x, "Access-Control-Allow-Origin", s->options.access_control_allow_origin);
        if (asked)
            http_add_header(x, "Access-Control-Allow-Headers", asked);
        http_add_header(x, "Access-Control-Allow-Methods", "GET, HEAD, OPTIONS");
        http_add_header(x, "Access-Control-Max-Age", "86400");
    }
}

static bool is_json_type(const char *type)
{
    size_t n = strcspn(type, ";");
    while (n > 0 && (type[n - 1] == ' ' || type[n - 1] == '\t'))
        n--;
    return n == strlen(JSON_TYPE) && strncasecmp(type, JSON_TYPE, n) == 0;
}

/* Answers and returns false when media types or the method rule the request out. */
static bool check_front(struct http_exchange *x, const struct http_message *m)
{
    static const char *const types[] = {JSON_TYPE};
    const char *type = http_header(m, "Content-Type");
    bool has_body = m->body_len > 0;
    if (has_body && type && !is_json_type(type)) {
        api_send_message(x, 415, "Unsupported Media Type");
        return false;
    }
    if (http_accept(m, types, 1) < 0) {
        api_send_message(x, 406, "Not Acceptable");
        return false;
    }
    return true;
}

/* Takes slashes off the end: they mean nothing. */
static char *trimmed_path(struct http_exchange *x, const struct http_message *m)
{
    char *path = arena_strdup(http_exchange_arena(x), m->path);
    size_t n = strlen(path);
    while (n > 1 && path[n - 1] == '/')
        path[--n] = '\0';
    return path;
}

static bool is_event_stream(const struct http_message *m)
{
    static const char *const types[] = {"text/event-stream"};
    const char *accept = http_header(m, "Accept");
    return strcmp(m->method, "GET") == 0 && accept && strstr(accept, types[0]) && http_accept(m, types, 1) == 0;
}

void api_handle(void *ctx, struct http_exchange *x, const struct http_message *m)
{
    struct shell *s = ctx;
    char *path = trimmed_path(x, m);
    add_common_headers(s, x, m);
    if (strcmp(m->method, "OPTIONS") == 0) {
        http_add_header(x, "Allow", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
        api_send(x, 200, NULL, 0);
    } else if (strcmp(path, "/v2/events") == 0) {
        if (is_event_stream(m))
            event_streams_attach(s->streams, x, m, loop_wall_ms(s->loop));
        else
            api_send_message(x, 405, "Method Not Allowed");
    } else if (api_route_info(s, x, m, path)) {
        return;
    } else if (strncmp(path, "/v2/", 4) != 0) {
        api_send_message(x, 404, "URI not found");
    } else if (check_front(x, m) && !api_route(s, x, m, path)) {
        api_send_message(x, 404, "URI not found");
    }
}
