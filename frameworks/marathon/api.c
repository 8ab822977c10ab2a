/* SPDX-License-Identifier: Apache-2.0
 * api.c - the front of the REST API: what holds for every route (facts: marathon 1.1, 5), and the way of a request to the
 * core and back. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/base/check.h"
#include "common/base/json.h"
#include "frameworks/kit/event_streams.h"
#include "frameworks/marathon/shell.h"

#define JSON_TYPE "application/json"

/* -- requests of the core ---------------------------------------------------------------------------------------- */

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
    kit_send(x, 400, (const char *)buf_data(&b), buf_len(&b));
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
    r->id = kit_wait(s->kit, x, m);
    char ip[80];
    (void)snprintf(ip, sizeof(ip), "%s", http_exchange_peer(x)); /* addresses fit */
    char *colon = strrchr(ip, ':');
    if (colon)
        *colon = '\0';
    r->body = body;
    r->client_ip = ip;
    r->uri = m->target;
    struct kit_event in = {.type = KIT_EVENT_REQUEST, .request = r};
    kit_step(s->kit, &in);
    json_decref(body);
}

/* -- the front ----------------------------------------------------------------------------------------------------------
 */

static void add_common_headers(const struct shell *s, struct http_exchange *x, const struct http_message *m)
{
    http_add_header(x, "Cache-Control", "no-cache, no-store, must-revalidate");
    http_add_header(x, "Pragma", "no-cache");
    http_add_header(x, "Expires", "0");
    http_add_header(x, "X-Marathon-Leader", arena_printf(http_exchange_arena(x), "http://%s", s->kit->address));
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

/* Answers and returns false when media types or the method rule the request out. */
static bool check_front(struct http_exchange *x, const struct http_message *m)
{
    static const char *const types[] = {JSON_TYPE};
    const char *type = http_header(m, "Content-Type");
    bool has_body = m->body_len > 0;
    if (has_body && type && !kit_is_json_type(type)) {
        kit_send_message(x, 415, "Unsupported Media Type");
        return false;
    }
    if (http_accept(m, types, 1) < 0) {
        kit_send_message(x, 406, "Not Acceptable");
        return false;
    }
    return true;
}

void api_handle(void *ctx, struct http_exchange *x, const struct http_message *m)
{
    struct kit_shell *kit = ctx;
    struct shell *s = kit->ctx;
    char *path = kit_trimmed_path(x, m);
    add_common_headers(s, x, m);
    if (strcmp(m->method, "OPTIONS") == 0) {
        http_add_header(x, "Allow", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
        kit_send(x, 200, NULL, 0);
    } else if (strcmp(path, "/v2/events") == 0) {
        if (kit_accepts_event_stream(m))
            event_streams_attach(kit->streams, x, m, loop_wall_ms(kit->loop));
        else
            kit_send_message(x, 405, "Method Not Allowed");
    } else if (api_route_info(s, x, m, path)) {
        return;
    } else if (strncmp(path, "/v2/", 4) != 0) {
        kit_send_message(x, 404, "URI not found");
    } else if (check_front(x, m) && !api_route(s, x, m, path)) {
        kit_send_message(x, 404, "URI not found");
    }
}
