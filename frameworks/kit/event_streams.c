/* SPDX-License-Identifier: Apache-2.0 */
#include "frameworks/kit/event_streams.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"
#include "common/base/json.h"
#include "common/base/list.h"
#include "common/base/text.h"
#include "frameworks/kit/shell.h"

#define HEARTBEAT_MS 10000
#define MESSAGE_BYTES 4096 /* a reader may be behind by so many bytes per message of its bound */
#define FILTERS_MAX 32
#define READERS_MAX 256

struct reader {
    struct list link;
    struct event_streams *streams;
    struct http_exchange *x;
    const char *types[FILTERS_MAX]; /* in the exchange's arena */
    size_t type_count;              /* 0: everything */
};

struct event_streams {
    struct loop *loop;
    struct list readers;
    struct loop_timer *heartbeat;
    size_t pending_bytes_max;
    size_t reader_count;
};

static void on_heartbeat(void *ctx)
{
    struct event_streams *e = ctx;
    list_for_each(node, &e->readers)(void)
        http_stream_write(container_of(node, struct reader, link)->x, "\r\n", 2); /* closed follows if it is cut */
    if (!list_is_empty(&e->readers))
        loop_timer_start(e->heartbeat, HEARTBEAT_MS);
}

struct event_streams *event_streams_new(struct loop *loop, size_t messages_max)
{
    struct event_streams *e = xcalloc(1, sizeof(*e));
    e->loop = loop;
    list_init(&e->readers);
    e->heartbeat = loop_timer_add(loop, on_heartbeat, e);
    e->pending_bytes_max = messages_max * MESSAGE_BYTES;
    return e;
}

struct event_streams *event_streams_free(struct event_streams *e)
{
    if (e == NULL)
        return NULL;
    list_for_each(node, &e->readers)
    {
        list_remove(node);
        free(container_of(node, struct reader, link));
    }
    (void)loop_timer_remove(e->heartbeat);
    free(e);
    return NULL;
}

static bool wants(const struct reader *r, const char *type)
{
    for (size_t k = 0; k < r->type_count; k++) {
        if (strcmp(r->types[k], type) == 0)
            return true;
    }
    return r->type_count == 0;
}

void event_streams_publish(struct event_streams *e, const char *type, const char *json)
{
    struct buf b;
    buf_init(&b, 64u << 20);
    list_for_each(node, &e->readers)
    {
        struct reader *r = container_of(node, struct reader, link);
        if (!wants(r, type))
            continue;
        if (buf_len(&b) == 0 && buf_printf(&b, "event: %s\r\ndata: %s\r\n\r\n", type, json) != 0)
            break;                                                /* larger than any reader would take */
        (void)http_stream_write(r->x, buf_data(&b), buf_len(&b)); /* closed follows if it is cut */
    }
    buf_deinit(&b);
}

static void publish_presence(struct event_streams *e, const char *type, const char *peer, int64_t wall_ms)
{
    char time[TEXT_TIME_SIZE];
    struct buf b;
    struct json_writer w;
    text_format_time_ms(wall_ms, time);
    buf_init(&b, 0);
    json_writer_init(&w, &b);
    json_begin_object(&w);
    json_kv_string(&w, "remoteAddress", peer);
    json_kv_string(&w, "eventType", type);
    json_kv_string(&w, "timestamp", time);
    json_end_object(&w);
    char *text = buf_steal_str(&b);
    event_streams_publish(e, type, text);
    free(text);
    buf_deinit(&b);
}

static void on_closed(void *ctx, struct http_exchange *x)
{
    struct reader *r = ctx;
    struct event_streams *e = r->streams;
    char peer[80];
    (void)snprintf(peer, sizeof(peer), "%s", http_exchange_peer(x)); /* addresses fit */
    list_remove(&r->link);
    free(r);
    e->reader_count--;
    publish_presence(e, "event_stream_detached", peer, loop_wall_ms(e->loop));
}

void event_streams_attach(struct event_streams *e, struct http_exchange *x, const struct http_message *m, int64_t wall_ms)
{
    if (e->reader_count >= READERS_MAX) {
        kit_send_message(x, 503, "There are %d event streams already", READERS_MAX);
        return;
    }
    struct reader *r = xcalloc(1, sizeof(*r));
    const char *type;
    r->streams = e;
    r->x = x;
    while (r->type_count < FILTERS_MAX &&
           (type = http_query(m, http_exchange_arena(x), "event_type", r->type_count)) != NULL)
        r->types[r->type_count++] = type;
    http_exchange_on_closed(x, on_closed, r);
    http_stream_begin(x, 200, "text/event-stream", e->pending_bytes_max);
    if (list_is_empty(&e->readers))
        loop_timer_start(e->heartbeat, HEARTBEAT_MS);
    list_push_back(&e->readers, &r->link);
    e->reader_count++;
    publish_presence(e, "event_stream_attached", http_exchange_peer(x), wall_ms);
}
