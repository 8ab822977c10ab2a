/* SPDX-License-Identifier: Apache-2.0
 * event_streams.h - server-sent events to any number of readers, each with its own filter (query parameter event_type) and
 * a bound (facts: marathon 1.11). */
#pragma once

#include "common/http/server.h"
#include "common/port/loop.h"

struct event_streams;
struct event_streams *event_streams_new(struct loop *loop, size_t messages_max);
struct event_streams *event_streams_free(struct event_streams *e); /* accepts NULL, returns NULL */
void event_streams_attach(struct event_streams *e, struct http_exchange *x, const struct http_message *m, int64_t wall_ms);
void event_streams_publish(struct event_streams *e, const char *type, const char *json);
