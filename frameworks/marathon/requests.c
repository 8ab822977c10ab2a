/* SPDX-License-Identifier: Apache-2.0
 * requests.c - which part answers an API call, and how answers leave. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/base/check.h"
#include "frameworks/marathon/core.h"

void marathon_reply(struct marathon *m, const struct marathon_request *r, int status, struct buf *body, bool is_change,
                    const struct kit_header *headers, size_t header_count)
{
    struct outbox_reply reply = {.id = r->id,
                                 .status = status,
                                 .body = body,
                                 .is_change = is_change,
                                 .headers = headers,
                                 .header_count = header_count};
    outbox_reply(m->outbox, &reply);
}

void marathon_reply_message(struct marathon *m, const struct marathon_request *r, int status, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    outbox_reply_message(m->outbox, r->id, status, fmt, ap);
    va_end(ap);
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
    struct kit_header headers[] = {{"Marathon-Deployment-Id", o->deployment_id}, {"Location", location}};
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
