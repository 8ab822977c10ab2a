/* SPDX-License-Identifier: Apache-2.0
 * media.h - in which form a call of the operator API comes and its answer goes (facts: mesos 4.1). */
#pragma once

#include "agent/attach.h"

struct agent_media {
    enum wire_format in; /* of the call, or of the records of a streamed one */
    bool in_is_stream;   /* application/recordio: the body is a stream of calls */
};

/* False when the request was answered: 400, 415. */
bool agent_media_of_call(struct http_exchange *x, const struct http_message *request, struct agent_media *out);
/* For an answer that is one message, and for one that is a stream of them. False: answered with 406. */
bool agent_media_of_answer(struct http_exchange *x, const struct http_message *request, enum wire_format *out);
bool agent_media_of_stream(struct http_exchange *x, const struct http_message *request, struct agent_stream_format *out);
/* For the server's configuration: bodies of application/recordio are taken as they come. */
bool agent_media_streams_body(void *ctx, const struct http_message *head);
