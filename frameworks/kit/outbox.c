/* SPDX-License-Identifier: Apache-2.0 */
#include "frameworks/kit/outbox.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"
#include "common/base/json.h"
#include "common/base/list.h"

#define BATCH_BYTES_MAX (1u << 30) /* a backstop: what a step says is bounded by the state it speaks about */
#define SPARE_MAX 8

struct kept {
    void *object;
    void (*unref)(void *object);
};

struct batch {
    struct list link;
    uint64_t token; /* of the write it waits for */
    struct arena *arena;
    struct kit_effect *items;
    size_t count, capacity;
    struct kept *kept; /* what effects borrow from */
    size_t kept_count, kept_capacity;
};

struct outbox {
    const char *key_prefix;
    struct batch *now, *later;
    struct list pending, released, spare;
    size_t spare_count;
    uint64_t last_token;
    struct kit_write *writes;
    size_t write_count, write_capacity;
    struct kit_effect *out_items;
    size_t out_count, out_capacity;
};

/* -- batches ---------------------------------------------------------------------------------------------------- */

static struct batch *batch_get(struct outbox *o)
{
    struct list *spare = list_pop_front(&o->spare);
    if (spare) {
        o->spare_count--;
        return container_of(spare, struct batch, link);
    }
    struct batch *b = xcalloc(1, sizeof(*b));
    list_init(&b->link);
    b->arena = arena_new(BATCH_BYTES_MAX);
    return b;
}

static void batch_release(struct batch *b)
{
    for (size_t i = 0; i < b->kept_count; i++)
        b->kept[i].unref(b->kept[i].object);
    b->kept_count = b->count = 0;
}

static void batch_free(struct batch *b)
{
    if (b == NULL)
        return;
    batch_release(b);
    (void)arena_free(b->arena);
    free(b->items);
    free(b->kept);
    free(b);
}

static void batch_put(struct outbox *o, struct batch *b)
{
    if (o->spare_count >= SPARE_MAX) {
        batch_free(b);
        return;
    }
    batch_release(b);
    arena_reset(b->arena);
    list_push_back(&o->spare, &b->link);
    o->spare_count++;
}

static void batch_add(struct batch *b, const struct kit_effect *e)
{
    if (b->count == b->capacity) {
        b->capacity = b->capacity ? 2 * b->capacity : 16;
        b->items = xrealloc(b->items, b->capacity * sizeof(b->items[0]));
    }
    b->items[b->count++] = *e;
}

static void drop_all(struct list *batches)
{
    for (struct list *node; (node = list_pop_front(batches)) != NULL;)
        batch_free(container_of(node, struct batch, link));
}

/* -- life ------------------------------------------------------------------------------------------------------- */

struct outbox *outbox_new(const char *key_prefix)
{
    struct outbox *o = xcalloc(1, sizeof(*o));
    o->key_prefix = key_prefix;
    list_init(&o->pending);
    list_init(&o->released);
    list_init(&o->spare);
    return o;
}

struct outbox *outbox_free(struct outbox *o)
{
    if (o == NULL)
        return NULL;
    drop_all(&o->pending);
    drop_all(&o->released);
    drop_all(&o->spare);
    batch_free(o->now);
    batch_free(o->later);
    free(o->writes);
    free(o->out_items);
    free(o);
    return NULL;
}

void outbox_begin(struct outbox *o)
{
    for (struct list *node; (node = list_pop_front(&o->released)) != NULL;)
        batch_put(o, container_of(node, struct batch, link));
    o->now = batch_get(o);
    o->later = batch_get(o);
    o->write_count = 0;
    o->out_count = 0;
}

void outbox_stored(struct outbox *o, uint64_t token)
{
    while (!list_is_empty(&o->pending)) {
        struct batch *b = container_of(o->pending.next, struct batch, link);
        if (b->token > token)
            return;
        list_remove(&b->link);
        list_push_back(&o->released, &b->link);
    }
}

static void put_out(struct outbox *o, const struct batch *b)
{
    if (o->out_count + b->count > o->out_capacity) {
        o->out_capacity = 2 * (o->out_count + b->count);
        o->out_items = xrealloc(o->out_items, o->out_capacity * sizeof(o->out_items[0]));
    }
    if (b->count > 0)
        memcpy(o->out_items + o->out_count, b->items, b->count * sizeof(b->items[0]));
    o->out_count += b->count;
}

void outbox_end(struct outbox *o, struct kit_effects *out)
{
    if (o->write_count > 0) {
        struct kit_effect e = {.type = KIT_EFFECT_STORE};
        e.store.token = ++o->last_token;
        e.store.writes = o->writes;
        e.store.count = o->write_count;
        batch_add(o->now, &e);
        o->later->token = o->last_token;
    } else if (!list_is_empty(&o->pending)) {
        o->later->token = container_of(o->pending.prev, struct batch, link)->token;
    } else {
        o->later->token = 0;
    }
    if (o->later->token != 0 && (o->later->count > 0 || o->write_count > 0))
        list_push_back(&o->pending, &o->later->link);
    else
        list_push_back(&o->released, &o->later->link);
    o->later = NULL;
    list_push_back(&o->released, &o->now->link);
    o->now = NULL;
    list_for_each(node, &o->released) put_out(o, container_of(node, struct batch, link));
    out->items = o->out_items;
    out->count = o->out_count;
}

/* -- effects ---------------------------------------------------------------------------------------------------- */

struct arena *outbox_later_arena(struct outbox *o)
{
    return o->later->arena;
}

struct arena *outbox_now_arena(struct outbox *o)
{
    return o->now->arena;
}

void outbox_later(struct outbox *o, const struct kit_effect *e)
{
    batch_add(o->later, e);
}

void outbox_now(struct outbox *o, const struct kit_effect *e)
{
    batch_add(o->now, e);
}

void outbox_keep(struct outbox *o, void *object, void (*unref)(void *object))
{
    struct batch *b = o->later;
    if (b->kept_count == b->kept_capacity) {
        b->kept_capacity = b->kept_capacity ? 2 * b->kept_capacity : 8;
        b->kept = xrealloc(b->kept, b->kept_capacity * sizeof(b->kept[0]));
    }
    b->kept[b->kept_count++] = (struct kept){object, unref};
}

static void write_key(struct outbox *o, const char *key, const void *value, size_t len)
{
    if (o->write_count == o->write_capacity) {
        o->write_capacity = o->write_capacity ? 2 * o->write_capacity : 16;
        o->writes = xrealloc(o->writes, o->write_capacity * sizeof(o->writes[0]));
    }
    struct kit_write *w = &o->writes[o->write_count++];
    *w = (struct kit_write){.key = key, .value_len = len};
    if (value) {
        w->value = arena_memdup(o->now->arena, value, len);
        CHECK(w->value != NULL);
    }
}

void outbox_write(struct outbox *o, const char *key, const void *value, size_t len)
{
    write_key(o, arena_printf(o->now->arena, "%s%s", o->key_prefix, key), value, len);
}

void outbox_write_at(struct outbox *o, const char *full_key, const void *value, size_t len)
{
    write_key(o, arena_strdup(o->now->arena, full_key), value, len);
}

void outbox_call(struct outbox *o, const Mesos__V1__Scheduler__Call *call)
{
    struct kit_effect e = {.type = KIT_EFFECT_CALL, .call = call};
    batch_add(o->later, &e);
}

void outbox_acknowledge(struct outbox *o, const Mesos__V1__TaskStatus *status)
{
    if (!status->has_uuid || status->uuid.len == 0 || status->agent_id == NULL)
        return;
    struct arena *a = o->later->arena;
    struct kit_effect e = {.type = KIT_EFFECT_ACKNOWLEDGE};
    e.acknowledge.agent_id = arena_strdup(a, status->agent_id->value);
    e.acknowledge.task_id = arena_strdup(a, status->task_id->value);
    e.acknowledge.uuid = arena_memdup(a, status->uuid.data, status->uuid.len);
    e.acknowledge.uuid_len = status->uuid.len;
    batch_add(o->later, &e);
}

void outbox_text(struct outbox *o, enum kit_effect_type type, const char *fmt, va_list ap)
{
    char text[512];
    (void)vsnprintf(text, sizeof(text), fmt, ap); /* longer ones are cut */
    struct kit_effect e = {.type = type, .text = arena_strdup(o->now->arena, text)};
    batch_add(o->now, &e);
}

/* Text of b into the arena; b is emptied. */
static const char *take(struct arena *a, struct buf *b, size_t *len)
{
    CHECK(!b->overflowed);
    size_t n = buf_len(b);
    char *text = arena_must_alloc(a, n + 1);
    if (n > 0)
        memcpy(text, buf_data(b), n);
    text[n] = '\0';
    if (len)
        *len = n;
    buf_deinit(b);
    return text;
}

void outbox_publish(struct outbox *o, const char *type, struct buf *json)
{
    if (json->overflowed) { /* larger than any reader would take */
        buf_deinit(json);
        return;
    }
    struct kit_effect e = {.type = KIT_EFFECT_PUBLISH};
    e.publish.event_type = arena_strdup(o->later->arena, type);
    e.publish.json = take(o->later->arena, json, NULL);
    batch_add(o->later, &e);
}

void outbox_reply(struct outbox *o, const struct outbox_reply *r)
{
    struct batch *b = r->is_change ? o->later : o->now;
    struct kit_effect e = {.type = KIT_EFFECT_REPLY};
    e.reply.id = r->id;
    e.reply.status = r->status;
    e.reply.content_type = r->content_type;
    if (r->body)
        e.reply.body = take(b->arena, r->body, &e.reply.body_len);
    struct kit_header *copies = arena_new_array(b->arena, struct kit_header, r->header_count + 1);
    for (size_t k = 0; k < r->header_count; k++)
        copies[k] =
            (struct kit_header){arena_strdup(b->arena, r->headers[k].name), arena_strdup(b->arena, r->headers[k].value)};
    e.reply.headers = copies;
    e.reply.header_count = r->header_count;
    batch_add(b, &e);
}

void outbox_reply_message(struct outbox *o, request_id id, int status, const char *fmt, va_list ap)
{
    char text[1024];
    (void)vsnprintf(text, sizeof(text), fmt, ap); /* cut when long */
    struct buf b;
    struct json_writer w;
    buf_init(&b, 0);
    json_writer_init(&w, &b);
    json_begin_object(&w);
    json_kv_string(&w, "message", text);
    json_end_object(&w);
    outbox_reply(o, &(struct outbox_reply){.id = id, .status = status, .body = &b});
}
