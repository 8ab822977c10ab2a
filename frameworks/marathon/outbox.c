/* SPDX-License-Identifier: Apache-2.0
 * outbox.c - effects of a step. Two batches are filled: `now` goes out with the step; `later` (calls, acknowledgements,
 * events, answers to changes) waits until everything that was written before it is durable. Later batches keep their order.
 */
#include "frameworks/marathon/core.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"

#define BATCH_BYTES_MAX (1u << 30) /* a backstop: what a step says is bounded by the state it speaks about */
#define SPARE_MAX 8

struct batch {
    struct list link;
    uint64_t token; /* of the write it waits for */
    struct arena *arena;
    struct marathon_effect *items;
    size_t count, capacity;
    struct app **apps; /* definitions that effects borrow from */
    size_t app_count, app_capacity;
};

static struct batch *batch_get(struct marathon *m)
{
    struct list *spare = list_pop_front(&m->spare);
    if (spare) {
        m->spare_count--;
        return container_of(spare, struct batch, link);
    }
    struct batch *b = xcalloc(1, sizeof(*b));
    list_init(&b->link);
    b->arena = arena_new(BATCH_BYTES_MAX);
    return b;
}

static void batch_free(struct batch *b)
{
    if (b == NULL)
        return;
    for (size_t i = 0; i < b->app_count; i++)
        (void)app_unref(b->apps[i]);
    (void)arena_free(b->arena);
    free(b->items);
    free(b->apps);
    free(b);
}

static void batch_put(struct marathon *m, struct batch *b)
{
    if (m->spare_count >= SPARE_MAX) {
        batch_free(b);
        return;
    }
    for (size_t i = 0; i < b->app_count; i++)
        (void)app_unref(b->apps[i]);
    b->app_count = b->count = 0;
    arena_reset(b->arena);
    list_push_back(&m->spare, &b->link);
    m->spare_count++;
}

static void batch_add(struct batch *b, const struct marathon_effect *e)
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

void marathon_outbox_init(struct marathon *m)
{
    list_init(&m->pending);
    list_init(&m->released);
    list_init(&m->spare);
}

void marathon_outbox_deinit(struct marathon *m)
{
    drop_all(&m->pending);
    drop_all(&m->released);
    drop_all(&m->spare);
    batch_free(m->now);
    batch_free(m->later);
    free(m->writes);
    free(m->out_items);
}

void marathon_outbox_begin(struct marathon *m)
{
    for (struct list *node; (node = list_pop_front(&m->released)) != NULL;)
        batch_put(m, container_of(node, struct batch, link));
    m->now = batch_get(m);
    m->later = batch_get(m);
    m->write_count = 0;
    m->out_count = 0;
}

void marathon_outbox_stored(struct marathon *m, uint64_t token)
{
    while (!list_is_empty(&m->pending)) {
        struct batch *b = container_of(m->pending.next, struct batch, link);
        if (b->token > token)
            return;
        list_remove(&b->link);
        list_push_back(&m->released, &b->link);
    }
}

static void put_out(struct marathon *m, const struct batch *b)
{
    if (m->out_count + b->count > m->out_capacity) {
        m->out_capacity = 2 * (m->out_count + b->count);
        m->out_items = xrealloc(m->out_items, m->out_capacity * sizeof(m->out_items[0]));
    }
    if (b->count > 0)
        memcpy(m->out_items + m->out_count, b->items, b->count * sizeof(b->items[0]));
    m->out_count += b->count;
}

void marathon_outbox_end(struct marathon *m, struct marathon_effects *out)
{
    if (m->write_count > 0) {
        struct marathon_effect e = {.type = MARATHON_EFFECT_STORE};
        e.store.token = ++m->last_token;
        e.store.writes = m->writes;
        e.store.count = m->write_count;
        batch_add(m->now, &e);
        m->later->token = m->last_token;
    } else if (!list_is_empty(&m->pending)) {
        m->later->token = container_of(m->pending.prev, struct batch, link)->token;
    } else {
        m->later->token = 0;
    }
    if (m->later->token != 0 && (m->later->count > 0 || m->write_count > 0))
        list_push_back(&m->pending, &m->later->link);
    else
        list_push_back(&m->released, &m->later->link);
    m->later = NULL;
    list_push_back(&m->released, &m->now->link);
    m->now = NULL;
    list_for_each(node, &m->released) put_out(m, container_of(node, struct batch, link));
    out->items = m->out_items;
    out->count = m->out_count;
}

struct arena *marathon_later_arena(struct marathon *m)
{
    return m->later->arena;
}

struct arena *marathon_now_arena(struct marathon *m)
{
    return m->now->arena;
}

void marathon_emit_later(struct marathon *m, const struct marathon_effect *e)
{
    batch_add(m->later, e);
}

void marathon_emit_now(struct marathon *m, const struct marathon_effect *e)
{
    batch_add(m->now, e);
}

void marathon_keep_app(struct marathon *m, struct app *app)
{
    struct batch *b = m->later;
    if (b->app_count > 0 && b->apps[b->app_count - 1] == app)
        return;
    if (b->app_count == b->app_capacity) {
        b->app_capacity = b->app_capacity ? 2 * b->app_capacity : 8;
        b->apps = xrealloc(b->apps, b->app_capacity * sizeof(b->apps[0]));
    }
    b->apps[b->app_count++] = app_ref(app);
}

void marathon_write(struct marathon *m, const char *key, const void *value, size_t len)
{
    if (m->write_count == m->write_capacity) {
        m->write_capacity = m->write_capacity ? 2 * m->write_capacity : 16;
        m->writes = xrealloc(m->writes, m->write_capacity * sizeof(m->writes[0]));
    }
    struct arena *a = m->now->arena;
    struct marathon_write *w = &m->writes[m->write_count++];
    w->key = arena_printf(a, MARATHON_STORE_PREFIX "%s", key);
    w->value = NULL;
    w->value_len = len;
    if (value) {
        w->value = arena_memdup(a, value, len);
        CHECK(w->value != NULL);
    }
}

void marathon_trace(struct marathon *m, const char *fmt, ...)
{
    char text[512];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap); /* longer ones are cut */
    va_end(ap);
    struct marathon_effect e = {.type = MARATHON_EFFECT_TRACE, .text = arena_strdup(m->now->arena, text)};
    batch_add(m->now, &e);
}

void marathon_fatal(struct marathon *m, const char *fmt, ...)
{
    char text[512];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap); /* longer ones are cut */
    va_end(ap);
    m->is_failed = true;
    struct marathon_effect e = {.type = MARATHON_EFFECT_FATAL, .text = arena_strdup(m->now->arena, text)};
    batch_add(m->now, &e);
}

void marathon_call(struct marathon *m, const Mesos__V1__Scheduler__Call *call)
{
    struct marathon_effect e = {.type = MARATHON_EFFECT_CALL, .call = call};
    batch_add(m->later, &e);
}

const char *marathon_take_later(struct marathon *m, struct buf *b, size_t *len)
{
    CHECK(!b->overflowed);
    size_t n = buf_len(b);
    char *text = arena_must_alloc(m->later->arena, n + 1);
    memcpy(text, buf_data(b), n);
    text[n] = '\0';
    if (len)
        *len = n;
    buf_deinit(b);
    return text;
}
