/* SPDX-License-Identifier: Apache-2.0
 * agent_stream.h - the event stream from the agent and the calls to it, over HTTP with protobuf bodies (facts: mesos 2.1).
 */
#pragma once

#include "common/http/client.h"
#include "common/port/loop.h"
#include "executor/event.h"
#include "executor/shell.h"

struct agent_stream;

/* Gives STREAM_* and CALL_DONE events; type, connection and body of the union are set, times are not. */
typedef void (*agent_stream_fn)(void *ctx, struct executor_event *event);

struct agent_stream *agent_stream_new(struct http_client *http, const struct executor_shell_config *config,
                                      agent_stream_fn fn, void *ctx);
struct agent_stream *agent_stream_free(struct agent_stream *s);
void agent_stream_connect(struct agent_stream *s, uint64_t connection, const void *body, size_t len);
void agent_stream_send(struct agent_stream *s, uint64_t connection, const void *body, size_t len);
/* No event of the connection follows. Allowed inside its callback. */
void agent_stream_close(struct agent_stream *s);
