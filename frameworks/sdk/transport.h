/* SPDX-License-Identifier: Apache-2.0
 * transport.h - the HTTP side of sdk_scheduler: the event stream, a call in each slot, addresses of masters. Internal. */
#pragma once

#include "common/base/err.h"
#include "common/port/loop.h"
#include "frameworks/sdk/session.h"

struct sdk_transport;

/* Gives ANSWER, RECEIVED, CLOSED and CALL_DONE events without their times; never inside a call of this header. */
typedef void (*sdk_transport_fn)(void *ctx, struct sdk_event *event);

/* Resolves the names of the masters (blocks). principal NULL: no authentication. NULL with a text on error. */
struct sdk_transport *sdk_transport_new(struct loop *loop, const char *const *masters, size_t master_count,
                                        enum wire_format format, const char *principal, const char *secret,
                                        sdk_transport_fn fn, void *ctx, struct err *err);
struct sdk_transport *sdk_transport_free(struct sdk_transport *t);
void sdk_transport_connect(struct sdk_transport *t, const struct sdk_effect *effect);
void sdk_transport_send(struct sdk_transport *t, const struct sdk_effect *effect);
/* No event of the present connection follows. Allowed inside the callback. */
void sdk_transport_close(struct sdk_transport *t);
