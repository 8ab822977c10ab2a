/* SPDX-License-Identifier: Apache-2.0
 * shell.c - feeds the core and carries out what it says. */
#include "frameworks/marathon/shell.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"
#include "common/base/log.h"

static void on_store_done(void *ctx, uint64_t token, int result)
{
    struct marathon_event in = {.type = MARATHON_EVENT_STORE_DONE};
    in.store_done.token = token;
    in.store_done.result = result;
    shell_step(ctx, &in);
}

static void write_store(struct shell *s, const struct marathon_effect *e)
{
    struct store_write *writes = xcalloc(e->store.count + 1, sizeof(writes[0]));
    for (size_t k = 0; k < e->store.count; k++) {
        const struct marathon_write *w = &e->store.writes[k];
        writes[k] = (struct store_write){w->key, strlen(w->key), w->value, w->value_len};
    }
    store_write(s->store, writes, e->store.count, e->store.token, on_store_done, s);
    free(writes);
}

/* A call that cannot be sent is not lost for good: launches are found missing by reconciliation, kills are repeated. */
static void log_unsent(const char *what, int result)
{
    if (result == SDK_E_DISCONNECTED)
        log_info("%s was not sent: there is no connection to the master", what);
    else if (result != 0)
        log_warning("%s was not sent (%s)", what, result == SDK_E_FULL ? "too many calls wait" : "it is not valid");
}

static void acknowledge(struct shell *s, const struct marathon_effect *e)
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

static void want_offers(struct shell *s, bool want)
{
    if (s->scheduler && want)
        sdk_scheduler_revive(s->scheduler);
    else if (s->scheduler)
        sdk_scheduler_suppress(s->scheduler);
}

static void fail(struct shell *s, const char *text)
{
    log_error("%s", text);
    s->has_failed = true;
    loop_stop(s->loop);
}

static void start_scheduler(struct shell *s, const char *framework_id)
{
    struct err err = {0};
    if (shell_start_scheduler(s, framework_id, &err) != 0)
        fail(s, err.text);
}

static void carry_out(struct shell *s, const struct marathon_effect *e)
{
    switch (e->type) {
    case MARATHON_EFFECT_START_SCHEDULER:
        start_scheduler(s, e->framework_id);
        return;
    case MARATHON_EFFECT_CALL:
        if (s->scheduler)
            log_unsent("a call", sdk_scheduler_call(s->scheduler, e->call));
        return;
    case MARATHON_EFFECT_ACKNOWLEDGE:
        acknowledge(s, e);
        return;
    case MARATHON_EFFECT_WANT_OFFERS:
        want_offers(s, e->want_offers);
        return;
    case MARATHON_EFFECT_STORE:
        write_store(s, e);
        return;
    case MARATHON_EFFECT_REPLY:
        api_reply(s, e);
        return;
    case MARATHON_EFFECT_PROBE:
        prober_start(s->prober, e);
        return;
    case MARATHON_EFFECT_PUBLISH:
        event_streams_publish(s->streams, e->publish.event_type, e->publish.json);
        return;
    case MARATHON_EFFECT_TRACE:
        log_info("%s", e->text);
        return;
    case MARATHON_EFFECT_FATAL:
        fail(s, e->text);
        return;
    }
    CHECK(!"type of an effect");
}

void shell_step(struct shell *s, struct marathon_event *in)
{
    struct marathon_effects out;
    CHECK(!s->is_stepping); /* effects live until the next step: carrying them out must not cause one */
    s->is_stepping = true;
    in->now_ms = loop_now_ms(s->loop);
    in->wall_ms = loop_wall_ms(s->loop);
    (void)marathon_step(s->core, in, &out); /* a failure is a FATAL effect as well */
    for (size_t k = 0; k < out.count; k++)
        carry_out(s, &out.items[k]);
    s->is_stepping = false;
    int64_t next = marathon_next_deadline(s->core);
    int64_t wait = next - loop_now_ms(s->loop);
    if (next == INT64_MAX)
        loop_timer_stop(s->timer);
    else
        loop_timer_start(s->timer, wait > 0 ? wait : 0);
}

/* -- start ------------------------------------------------------------------------------------------------------- */

static void *copy_bytes(const void *data, size_t len)
{
    void *copy = xmalloc(len + 1);
    if (len > 0)
        memcpy(copy, data, len);
    return copy;
}

static void on_item(void *ctx, const void *key, size_t key_len, const void *value, size_t value_len)
{
    struct shell *s = ctx;
    if ((s->item_count & (s->item_count - 1)) == 0) { /* a power of two: full */
        size_t capacity = s->item_count ? 2 * s->item_count : 1;
        s->items = xrealloc(s->items, capacity * sizeof(s->items[0]));
    }
    s->items[s->item_count++] =
        (struct marathon_item){copy_bytes(key, key_len), key_len, copy_bytes(value, value_len), value_len};
}

void shell_free_items(struct shell *s)
{
    for (size_t k = 0; k < s->item_count; k++) {
        free((void *)s->items[k].key);
        free((void *)s->items[k].value);
    }
    free(s->items);
    s->items = NULL;
    s->item_count = 0;
}

static void on_scanned(void *ctx, uint64_t token, int result)
{
    struct shell *s = ctx;
    (void)token;
    if (result != 0) {
        char text[256];
        (void)snprintf(text, sizeof(text), "%s: reading the stored state: %s", s->options.work_dir, strerror(-result));
        fail(s, text);
        return;
    }
    struct marathon_event in = {.type = MARATHON_EVENT_STARTED};
    in.started.items = s->items;
    in.started.item_count = s->item_count;
    s->is_loaded = true;
    shell_step(s, &in);
    shell_free_items(s);
}

void shell_load(struct shell *s)
{
    store_scan(s->store, MARATHON_STORE_PREFIX, strlen(MARATHON_STORE_PREFIX), on_item, 0, on_scanned, s);
}
