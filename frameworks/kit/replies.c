/* SPDX-License-Identifier: Apache-2.0
 * replies.c - the way of an API request to the core and back. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/base/json.h"
#include "frameworks/kit/shell.h"

#define JSON_TYPE "application/json"

void kit_send(struct http_exchange *x, int status, const char *json, size_t len)
{
    http_reply(x, status, json ? JSON_TYPE : NULL, json ? json : "", len);
}

void kit_send_message(struct http_exchange *x, int status, const char *fmt, ...)
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
    kit_send(x, status, (const char *)buf_data(&b), buf_len(&b));
    buf_deinit(&b);
}

struct waiting {
    struct kit_shell *shell;
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

request_id kit_wait(struct kit_shell *s, struct http_exchange *x, const struct http_message *m)
{
    struct waiting *w = arena_new_one(http_exchange_arena(x), struct waiting);
    *w = (struct waiting){.shell = s, .exchange = x, .host = http_header(m, "Host"), .id = ++s->last_request};
    (void)map_put_n(&s->requests, &w->id, sizeof(w->id), w); /* ids are new */
    http_exchange_on_closed(x, on_closed, w);
    return w->id;
}

void kit_reply(struct kit_shell *s, const struct kit_effect *e)
{
    struct waiting *w = map_remove_n(&s->requests, &e->reply.id, sizeof(e->reply.id));
    if (w == NULL)
        return; /* the client has gone */
    struct http_exchange *x = w->exchange;
    for (size_t k = 0; k < e->reply.header_count; k++) {
        const struct kit_header *h = &e->reply.headers[k];
        bool is_path = strcmp(h->name, "Location") == 0 && h->value[0] == '/' && w->host;
        http_add_header(x, h->name,
                        is_path ? arena_printf(http_exchange_arena(x), "http://%s%s", w->host, h->value) : h->value);
    }
    const char *type = e->reply.content_type ? e->reply.content_type : JSON_TYPE;
    http_reply(x, e->reply.status, e->reply.body ? type : NULL, e->reply.body ? e->reply.body : "", e->reply.body_len);
}

char *kit_trimmed_path(struct http_exchange *x, const struct http_message *m)
{
    char *path = arena_strdup(http_exchange_arena(x), m->path);
    size_t n = strlen(path);
    while (n > 1 && path[n - 1] == '/')
        path[--n] = '\0';
    return path;
}

bool kit_is_json_type(const char *type)
{
    size_t n = strcspn(type, ";");
    while (n > 0 && (type[n - 1] == ' ' || type[n - 1] == '\t'))
        n--;
    static const char *const types[] = {JSON_TYPE, "text/json"};
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        if (n == strlen(types[i]) && strncasecmp(type, types[i], n) == 0)
            return true;
    }
    return false;
}

bool kit_accepts_event_stream(const struct http_message *m)
{
    static const char *const types[] = {"text/event-stream"};
    const char *accept = http_header(m, "Accept");
    return strcmp(m->method, "GET") == 0 && accept && strstr(accept, types[0]) && http_accept(m, types, 1) == 0;
}
