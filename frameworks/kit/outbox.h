/* SPDX-License-Identifier: Apache-2.0
 * outbox.h - effects of the steps of a core. Two batches are filled: `now` goes out with the step; `later` (calls,
 * acknowledgements, events, answers to changes) waits until everything that was written before it is durable. Later batches
 * keep their order. */
#pragma once

#include <stdarg.h>

#include "common/base/arena.h"
#include "common/base/buf.h"
#include "frameworks/kit/event.h"

struct outbox;

struct outbox *outbox_new(const char *key_prefix); /* of every key that is written */
struct outbox *outbox_free(struct outbox *o);      /* accepts NULL, returns NULL */

void outbox_begin(struct outbox *o);
/* Effects live until the next outbox_begin. */
void outbox_end(struct outbox *o, struct kit_effects *out);
/* The write of this token is durable. */
void outbox_stored(struct outbox *o, uint64_t token);

/* Memory of effects that wait for the store, and of those that do not. */
struct arena *outbox_later_arena(struct outbox *o);
struct arena *outbox_now_arena(struct outbox *o);
void outbox_later(struct outbox *o, const struct kit_effect *e);
void outbox_now(struct outbox *o, const struct kit_effect *e);
/* Calls unref(object) when the later effects of this step are done: for what they borrow from. */
void outbox_keep(struct outbox *o, void *object, void (*unref)(void *object));
void outbox_write(struct outbox *o, const char *key, const void *value, size_t len); /* copied; NULL value deletes */
void outbox_write_at(struct outbox *o, const char *full_key, const void *value, size_t len); /* without the prefix */
void outbox_call(struct outbox *o, const Mesos__V1__Scheduler__Call *call);                  /* in the later arena */
/* After the newest write is durable. Nothing when the status wants none. */
void outbox_acknowledge(struct outbox *o, const Mesos__V1__TaskStatus *status);
void outbox_publish(struct outbox *o, const char *type, struct buf *json);                  /* empties and releases json */
void outbox_text(struct outbox *o, enum kit_effect_type type, const char *fmt, va_list ap); /* TRACE, FATAL: now */

/* The answer to an API request. body is emptied and released; NULL: none. */
struct outbox_reply {
    request_id id;
    int status;
    struct buf *body;
    const char *content_type; /* static, NULL: JSON */
    bool is_change;           /* waits for the store */
    const struct kit_header *headers;
    size_t header_count;
};
void outbox_reply(struct outbox *o, const struct outbox_reply *r);
void outbox_reply_message(struct outbox *o, request_id id, int status, const char *fmt, va_list ap); /* {"message"}, now */
