/* SPDX-License-Identifier: Apache-2.0
 * shell.c - feeds the core and carries out what it says. */
#include "frameworks/kit/shell.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"
#include "common/base/heap_room.h"
#include "common/base/log.h"
#include "frameworks/kit/event_streams.h"

static void on_store_done(void *ctx, uint64_t token, int result)
{
    struct kit_event in = {.type = KIT_EVENT_STORE_DONE};
    in.store_done.token = token;
    in.store_done.result = result;
    kit_step(ctx, &in);
}

static void write_store(struct kit_shell *s, const struct kit_effect *e)
{
    struct store_write *writes = xcalloc(e->store.count + 1, sizeof(writes[0]));
    for (size_t k = 0; k < e->store.count; k++) {
        const struct kit_write *w = &e->store.writes[k];
        writes[k] = (struct store_write){w->key, strlen(w->key), w->value, w->value_len};
    }
    store_write(s->store, writes, e->store.count, e->store.token, on_store_done, s);
    free(writes);
}

/* -- items of the store ------------------------------------------------------------------------------------------- */

#define BLOCK_BYTES (64u << 10)

struct block { /* keys and values behind one another: one allocation for many */
    struct block *next;
    size_t used, size;
    char data[];
};

struct gathering { /* what a scan gives, until it is complete */
    struct kit_shell *shell;
    struct block *blocks; /* newest first */
    struct kit_item *items;
    size_t count, capacity, bytes;
};

/* What a core makes of a stored byte, roughly. */
#define MEMORY_OF_STORED 6u

static char *gathering_room(struct gathering *g, size_t len)
{
    struct block *b = g->blocks;
    if (b == NULL || b->size - b->used < len) {
        size_t size = len > BLOCK_BYTES ? len : BLOCK_BYTES;
        b = xmalloc(sizeof(*b) + size);
        *b = (struct block){.next = g->blocks, .size = size};
        g->blocks = b;
    }
    b->used += len;
    return b->data + b->used - len;
}

static void on_item(void *ctx, const void *key, size_t key_len, const void *value, size_t value_len)
{
    struct gathering *g = ctx;
    if (g->count == g->capacity) {
        g->capacity = g->capacity ? 2 * g->capacity : 64;
        g->items = xrealloc(g->items, g->capacity * sizeof(g->items[0]));
    }
    char *copy = gathering_room(g, key_len + value_len);
    g->bytes += key_len + value_len;
    memcpy(copy, key, key_len);
    if (value_len > 0)
        memcpy(copy + key_len, value, value_len);
    g->items[g->count++] = (struct kit_item){copy, key_len, copy + key_len, value_len};
}

static void free_gathering(struct gathering *g)
{
    for (struct block *b = g->blocks, *next; b; b = next) {
        next = b->next;
        free(b);
    }
    free(g->items);
    free(g);
}

static void on_read_done(void *ctx, uint64_t token, int result)
{
    struct gathering *g = ctx;
    struct kit_event in = {.type = KIT_EVENT_READ_DONE};
    in.read_done.token = token;
    in.read_done.result = result;
    in.read_done.items = g->items;
    in.read_done.item_count = g->count;
    kit_step(g->shell, &in);
    free_gathering(g);
}

static void read_store(struct kit_shell *s, const struct kit_effect *e)
{
    struct gathering *g = xcalloc(1, sizeof(*g));
    g->shell = s;
    struct store_range range = {.prefix = e->read.prefix,
                                .prefix_len = strlen(e->read.prefix),
                                .after = e->read.after,
                                .after_len = e->read.after ? strlen(e->read.after) : 0,
                                .limit = e->read.limit};
    store_scan_range(s->store, &range, on_item, e->read.token, on_read_done, g);
}

static void on_loaded(void *ctx, uint64_t token, int result)
{
    struct gathering *g = ctx;
    struct kit_shell *s = g->shell;
    (void)token;
    if (result != 0) {
        char text[256];
        (void)snprintf(text, sizeof(text), "%s: reading the stored state: %s", s->options->work_dir, strerror(-result));
        kit_fail(s, text);
    } else {
        struct kit_event in = {.type = KIT_EVENT_STARTED};
        in.started.items = g->items;
        in.started.item_count = g->count;
        s->is_loaded = true;
        log_debug("stored state: %zu items, %zu bytes", g->count, g->bytes);
        heap_room_prepare(MEMORY_OF_STORED * g->bytes);
        kit_step(s, &in);
    }
    free_gathering(g);
}

void kit_load(struct kit_shell *s)
{
    struct gathering *g = xcalloc(1, sizeof(*g));
    g->shell = s;
    store_scan(s->store, s->role->store_prefix, strlen(s->role->store_prefix), on_item, 0, on_loaded, g);
}

/* -- effects ------------------------------------------------------------------------------------------------------ */

/* A call that cannot be sent is not lost for good: launches are found missing by reconciliation, kills are repeated. */
static void log_unsent(const char *what, int result)
{
    if (result == SDK_E_DISCONNECTED)
        log_info("%s was not sent: there is no connection to the master", what);
    else if (result != 0)
        log_warning("%s was not sent (%s)", what, result == SDK_E_FULL ? "too many calls wait" : "it is not valid");
}

static void acknowledge(struct kit_shell *s, const struct kit_effect *e)
{
    Mesos__V1__TaskStatus status = MESOS__V1__TASK_STATUS__INIT;
    Mesos__V1__TaskID task_id = MESOS__V1__TASK_ID__INIT;
    Mesos__V1__AgentID agent_id = MESOS__V1__AGENT_ID__INIT;
    task_id.value = (char *)e->acknowledge.task_id;
    agent_id.value = (char *)e->acknowledge.agent_id;
    status.task_id = &task_id;
    status.agent_id = &agent_id;
    status.has_uuid = 1;
    status.uuid = (ProtobufCBinaryData){e->acknowledge.uuid_len, (uint8_t *)e->acknowledge.uuid};
    if (s->scheduler)
        log_unsent("an acknowledgement", sdk_scheduler_acknowledge(s->scheduler, &status));
}

static void want_offers(struct kit_shell *s, bool want)
{
    if (s->scheduler && want)
        sdk_scheduler_revive(s->scheduler);
    else if (s->scheduler)
        sdk_scheduler_suppress(s->scheduler);
}

void kit_fail(struct kit_shell *s, const char *text)
{
    log_error("%s", text);
    s->has_failed = true;
    loop_stop(s->loop);
}

static void start_scheduler(struct kit_shell *s, const char *framework_id)
{
    struct err err = {0};
    if (kit_start_scheduler(s, framework_id, &err) != 0)
        kit_fail(s, err.text);
}

static void carry_out(struct kit_shell *s, const struct kit_effect *e)
{
    switch (e->type) {
    case KIT_EFFECT_START_SCHEDULER:
        start_scheduler(s, e->framework_id);
        return;
    case KIT_EFFECT_CALL:
        if (s->scheduler)
            log_unsent("a call", sdk_scheduler_call(s->scheduler, e->call));
        return;
    case KIT_EFFECT_ACKNOWLEDGE:
        acknowledge(s, e);
        return;
    case KIT_EFFECT_WANT_OFFERS:
        want_offers(s, e->want_offers);
        return;
    case KIT_EFFECT_STORE:
        write_store(s, e);
        return;
    case KIT_EFFECT_READ:
        read_store(s, e);
        return;
    case KIT_EFFECT_REPLY:
        kit_reply(s, e);
        return;
    case KIT_EFFECT_PUBLISH:
        event_streams_publish(s->streams, e->publish.event_type, e->publish.json);
        return;
    case KIT_EFFECT_OWN:
        CHECK(s->role->own != NULL);
        s->role->own(s, e->own);
        return;
    case KIT_EFFECT_TRACE:
        log_info("%s", e->text);
        return;
    case KIT_EFFECT_FATAL:
        kit_fail(s, e->text);
        return;
    }
    CHECK(!"type of an effect");
}

void kit_step(struct kit_shell *s, struct kit_event *in)
{
    struct kit_effects out;
    CHECK(!s->is_stepping); /* effects live until the next step: carrying them out must not cause one */
    s->is_stepping = true;
    in->now_ms = loop_now_ms(s->loop);
    in->wall_ms = loop_wall_ms(s->loop);
    (void)s->role->step(s->core, in, &out); /* a failure is a FATAL effect as well */
    for (size_t k = 0; k < out.count; k++)
        carry_out(s, &out.items[k]);
    s->is_stepping = false;
    int64_t next = s->role->next_deadline(s->core);
    int64_t wait = next - loop_now_ms(s->loop);
    if (next == INT64_MAX)
        loop_timer_stop(s->timer);
    else
        loop_timer_start(s->timer, wait > 0 ? wait : 0);
}
