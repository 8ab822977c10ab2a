/* SPDX-License-Identifier: Apache-2.0
 * requests.c - which part answers an API call, and how answers leave. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/base/check.h"
#include "frameworks/marathon/core.h"

void marathon_reply(struct marathon *m, const struct marathon_request *r, int status, struct buf *body, bool is_change,
                    const struct marathon_header *headers, size_t header_count)
{
    struct arena *a = is_change ? marathon_later_arena(m) : marathon_now_arena(m);
    struct marathon_effect e = {.type = MARATHON_EFFECT_REPLY};
    e.reply.id = r->id;
    e.reply.status = status;
    if (body) {
        CHECK(!body->overflowed);
        e.reply.body_len = buf_len(body);
        char *text = arena_must_alloc(a, e.reply.body_len + 1);
        if (e.reply.body_len > 0)
            memcpy(text, buf_data(body), e.reply.body_len);
        e.reply.body = text;
        buf_deinit(body);
    }
    struct marathon_header *copies = arena_new_array(a, struct marathon_header, header_count + 1);
    for (size_t k = 0; k < header_count; k++)
        copies[k] = (struct marathon_header){arena_strdup(a, headers[k].name), arena_strdup(a, headers[k].value)};
    e.reply.headers = copies;
    e.reply.header_count = header_count;
    if (is_change)
        marathon_emit_later(m, &e);
    else
        marathon_emit_now(m, &e);
}

void marathon_reply_message(struct marathon *m, const struct marathon_request *r, int status, const char *fmt, ...)
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
    marathon_reply(m, r, status, &b, false, NULL, 0);
}

/* {"version", "deploymentId"} and the header of the same name. */
void marathon_reply_outcome(struct marathon *m, const struct marathon_request *r, struct outcome *o, int status,
                            const char *location)
{
    if (o->status != 0) {
        marathon_reply(m, r, o->status, &o->error, false, NULL, 0);
        return;
    }
    buf_deinit(&o->error);
    struct buf b;
    struct json_writer w;
    buf_init(&b, 0);
    json_writer_init(&w, &b);
    json_begin_object(&w);
    marathon_put_time(&w, "version", o->version_ms);
    json_kv_string(&w, "deploymentId", o->deployment_id);
    json_end_object(&w);
    struct marathon_header headers[] = {{"Marathon-Deployment-Id", o->deployment_id}, {"Location", location}};
    marathon_reply(m, r, status, &b, true, headers, location ? 2 : 1);
}

void marathon_on_request(struct marathon *m, const struct marathon_request *r)
{
    if (!m->is_loaded) {
        marathon_reply_message(m, r, 503, "The stored state is still being read");
        return;
    }
    switch (r->type) {
    case MARATHON_LIST_APPS:
    case MARATHON_GET_APP:
    case MARATHON_LIST_VERSIONS:
    case MARATHON_GET_VERSION:
    case MARATHON_LIST_APP_TASKS:
    case MARATHON_LIST_TASKS:
    case MARATHON_LIST_DEPLOYMENTS:
    case MARATHON_GET_QUEUE:
    case MARATHON_GET_GROUP:
        marathon_request_read(m, r);
        return;
    case MARATHON_CREATE_APP:
    case MARATHON_PUT_APPS:
    case MARATHON_PATCH_APPS:
    case MARATHON_PUT_APP:
    case MARATHON_PATCH_APP:
    case MARATHON_DELETE_APP:
    case MARATHON_RESTART_APP:
    case MARATHON_DELETE_DEPLOYMENT:
    case MARATHON_RESET_DELAY:
        marathon_request_write(m, r);
        return;
    case MARATHON_KILL_APP_TASKS:
    case MARATHON_KILL_APP_TASK:
    case MARATHON_KILL_TASKS:
        marathon_request_kill(m, r);
        return;
    }
    CHECK(!"type of a request");
}
