/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/media.h"

#include <string.h>

static const char recordio[] = "application/recordio";
static const char *const types[] = {"application/json", "application/x-protobuf", recordio};
enum { JSON, PROTOBUF, RECORDIO };

/* Parameters are not allowed: `charset` is another type (facts: mesos 0.2). */
static int type_of(const char *value, int count)
{
    for (int i = 0; i < count; i++)
        if (strcmp(value, types[i]) == 0)
            return i;
    return -1;
}

bool agent_media_streams_body(void *ctx, const struct http_message *head)
{
    (void)ctx;
    const char *type = http_header(head, "Content-Type");
    return type != NULL && type_of(type, 3) == RECORDIO && strcmp(head->method, "POST") == 0;
}

bool agent_media_of_call(struct http_exchange *x, const struct http_message *request, struct agent_media *out)
{
    const char *type = http_header(request, "Content-Type");
    const char *message = http_header(request, "Message-Content-Type");
    if (type == NULL) {
        http_reply_text(x, 400, "Expecting 'Content-Type' to be present");
        return false;
    }
    int i = type_of(type, 3);
    if (i < 0) {
        http_reply_text(x, 415, "Expecting 'Content-Type' of %s or %s or %s", types[JSON], types[PROTOBUF], recordio);
        return false;
    }
    if (i != RECORDIO) {
        *out = (struct agent_media){.in = i == JSON ? WIRE_JSON : WIRE_PROTOBUF};
        if (message == NULL)
            return true;
        http_reply_text(x, 415, "Expecting 'Message-Content-Type' to be not set for non-streaming requests");
        return false;
    }
    if (message == NULL) {
        http_reply_text(x, 400, "Expecting 'Message-Content-Type' to be set for streaming requests");
        return false;
    }
    int record = type_of(message, 2);
    if (record < 0) {
        http_reply_text(x, 415, "Expecting 'Message-Content-Type' of %s or %s", types[JSON], types[PROTOBUF]);
        return false;
    }
    *out = (struct agent_media){.in = record == JSON ? WIRE_JSON : WIRE_PROTOBUF, .in_is_stream = true};
    return true;
}

static bool refuse(struct http_exchange *x, const char *header, int count)
{
    http_reply_text(x, 406, "Expecting '%s' to allow %s or %s%s%s", header, types[JSON], types[PROTOBUF],
                    count > 2 ? " or " : "", count > 2 ? recordio : "");
    return false;
}

static bool has_message_accept(struct http_exchange *x, const struct http_message *request)
{
    if (http_header(request, "Message-Accept") == NULL)
        return false;
    http_reply_text(x, 406, "Expecting 'Message-Accept' to be not set for non-streaming responses");
    return true;
}

bool agent_media_of_answer(struct http_exchange *x, const struct http_message *request, enum wire_format *out)
{
    int i = http_accept(request, types, 2);
    if (i < 0)
        return refuse(x, "Accept", 2);
    *out = i == JSON ? WIRE_JSON : WIRE_PROTOBUF;
    return !has_message_accept(x, request);
}

bool agent_media_of_stream(struct http_exchange *x, const struct http_message *request, struct agent_stream_format *out)
{
    int i = http_accept(request, types, 3);
    if (i < 0)
        return refuse(x, "Accept", 3);
    *out = (struct agent_stream_format){.record = i == PROTOBUF ? WIRE_PROTOBUF : WIRE_JSON, .is_recordio = i == RECORDIO};
    if (i != RECORDIO)
        return !has_message_accept(x, request);
    int record = http_accept_of(request, "Message-Accept", types, 2);
    if (record < 0)
        return refuse(x, "Message-Accept", 2);
    out->record = record == JSON ? WIRE_JSON : WIRE_PROTOBUF;
    return true;
}
