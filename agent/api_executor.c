/* SPDX-License-Identifier: Apache-2.0
 * api_executor.c - POST /api/v1/executor: calls to events, answers and event streams back (facts: mesos 2.1). One number
 * serves as the id of the request and of the stream it may become. */
#include <stdlib.h>
#include <string.h>

#include "agent/executors.h"
#include "agent/shell.h"
#include "common/base/check.h"
#include "common/base/log.h"
#include "common/http/recordio.h"

#define STREAM_PENDING_MAX (16u << 20)               /* an executor that reads nothing is cut off; it subscribes again */
#define EVENT_BYTES_MAX (WIRE_MESSAGE_BYTES_MAX * 3) /* bytes in JSON take more room than in a packed message */

struct agent_exchange {
    struct agent_shell *shell;
    struct http_exchange *x;
    uint64_t id;
    enum wire_format format; /* of the stream */
    bool is_stream;
};

static struct agent_exchange *find(struct agent_shell *s, uint64_t id)
{
    return map_get_n(&s->exchanges, &id, sizeof(id));
}

static void forget(struct agent_exchange *e)
{
    (void)map_remove_n(&e->shell->exchanges, &e->id, sizeof(e->id));
    free(e);
}

static void on_closed(void *ctx, struct http_exchange *x)
{
    (void)x;
    struct agent_exchange *e = ctx;
    struct agent_shell *s = e->shell;
    struct agent_event in = {.type = AGENT_IN_STREAM_CLOSED, .stream_closed = e->id};
    bool was_stream = e->is_stream;
    forget(e);
    if (was_stream)
        agent_shell_event(s, &in);
}

/* What the token claims must be the executor of the call, in its present run. Ids that are missing or unknown are the
 * core's to refuse. */
static bool is_own(struct agent_shell *s, const struct http_exchange *x, const Mesos__V1__Executor__Call *call)
{
    const struct auth_subject *subject = auth_subject_of(x);
    if (subject->framework_id == NULL || call->framework_id == NULL || call->executor_id == NULL)
        return true;
    const char *fid = call->framework_id->value, *eid = call->executor_id->value;
    if (strcmp(fid, subject->framework_id) != 0 || strcmp(eid, subject->executor_id) != 0)
        return false;
    const struct agent_executor *e = agent_executor_find(s->core, fid, eid);
    return e == NULL || strcmp(e->container_id, subject->container_id) == 0;
}

void agent_api_executor(struct agent_shell *s, struct http_exchange *x, const struct http_message *request)
{
    enum wire_format in_format, out_format = WIRE_JSON;
    if (strcmp(request->method, "POST") != 0) {
        http_add_header(x, "Allow", "POST");
        http_reply_text(x, 405, "Expecting one of { 'POST' }, but received '%.20s'", request->method);
        return;
    }
    if (!agent_api_content_type(x, request, &in_format))
        return;
    struct err err = {""};
    const Mesos__V1__Executor__Call *call = (const void *)wire_decode(
        in_format, &mesos__v1__executor__call__descriptor, request->body, request->body_len, http_exchange_arena(x), &err);
    if (call == NULL) {
        http_reply_text(x, 400, "Failed to parse the body: %s", err.text);
        return;
    }
    if (!is_own(s, x, call)) {
        http_reply_text(x, 403, "The token is of another executor");
        return;
    }
    bool subscribe = call->has_type && call->type == MESOS__V1__EXECUTOR__CALL__TYPE__SUBSCRIBE;
    if (subscribe && !agent_api_accept(x, request, &out_format))
        return;
    struct agent_exchange *e = xcalloc(1, sizeof(*e));
    *e = (struct agent_exchange){.shell = s, .x = x, .id = ++s->next_exchange, .format = out_format};
    (void)map_put_n(&s->exchanges, &e->id, sizeof(e->id), e);
    http_exchange_on_closed(x, on_closed, e);
    struct agent_event in = {.type = AGENT_IN_EXECUTOR_CALL,
                             .executor = {.request = e->id, .stream = subscribe ? e->id : 0, .call = call}};
    agent_shell_event(s, &in);
}

void agent_api_executor_reply(struct agent_shell *s, request_id request, int status, const char *text)
{
    struct agent_exchange *e = find(s, request);
    if (e == NULL)
        return; /* the client has gone */
    if (text != NULL)
        http_reply_text(e->x, status, "%s", text);
    else
        http_reply(e->x, status, NULL, NULL, 0);
    forget(e);
}

void agent_api_executor_open(struct agent_shell *s, request_id request)
{
    struct agent_exchange *e = find(s, request);
    if (e == NULL)
        return;
    e->is_stream = true;
    http_stream_begin(e->x, 200, wire_media_type(e->format), STREAM_PENDING_MAX);
}

void agent_api_executor_send(struct agent_shell *s, stream_id stream, const Mesos__V1__Executor__Event *event)
{
    struct agent_exchange *e = find(s, stream);
    if (e == NULL)
        return;
    struct buf body, record;
    buf_init(&body, EVENT_BYTES_MAX);
    buf_init(&record, EVENT_BYTES_MAX + 32);
    int rc = wire_encode(e->format, &event->base, &body);
    if (rc == 0)
        rc = recordio_append(&record, buf_data(&body), buf_len(&body));
    if (rc == 0)
        (void)http_stream_write(e->x, buf_data(&record), buf_len(&record)); /* a broken stream reports itself */
    else
        log_error("an event of %s is too large for an executor and is left out",
                  wire_enum_name(&mesos__v1__executor__event__type__descriptor, (int)event->type));
    buf_deinit(&body);
    buf_deinit(&record);
}

void agent_api_executor_close(struct agent_shell *s, stream_id stream)
{
    struct agent_exchange *e = find(s, stream);
    if (e == NULL)
        return;
    http_stream_end(e->x);
    forget(e);
}
