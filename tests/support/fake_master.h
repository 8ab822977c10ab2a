/* SPDX-License-Identifier: Apache-2.0
 * fake_master.h - for tests and benches: a master that only has an operator event stream, on a thread and loop of its own.
 * Events are given as JSON and sent in the format that the subscriber accepts. */
#pragma once

#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"
#include "common/http/recordio.h"
#include "common/http/server.h"
#include "common/real/loop_ev.h"
#include "common/wire/codec.h"
#include "mesos/v1/master.pb-c.h"

#define FAKE_MASTER_STREAMS_MAX 16

struct fake_master {
    struct loop *loop;
    struct http_server *server;
    pthread_t thread;
    uint16_t port;
    char *snapshot;         /* JSON */
    uint16_t redirect_port; /* 0: leads */
    struct http_exchange *streams[FAKE_MASTER_STREAMS_MAX];
    enum wire_format formats[FAKE_MASTER_STREAMS_MAX];
    _Atomic unsigned subscriptions;
};

static inline void fake_master_write(struct fake_master *m, unsigned i, const char *json)
{
    struct arena *arena = arena_new(1u << 30);
    struct err err = {0};
    struct buf bytes, record;
    buf_init(&bytes, 1u << 30);
    buf_init(&record, 1u << 30);
    if (m->formats[i] == WIRE_JSON) {
        CHECK(buf_append_str(&bytes, json) == 0);
    } else {
        ProtobufCMessage *event =
            wire_decode(WIRE_JSON, &mesos__v1__master__event__descriptor, json, strlen(json), arena, &err);
        if (!event)
            fprintf(stderr, "%s\n", err.text);
        CHECK(event != NULL);
        CHECK(wire_encode(WIRE_PROTOBUF, event, &bytes) == 0);
    }
    CHECK(recordio_append(&record, buf_data(&bytes), buf_len(&bytes)) == 0);
    (void)http_stream_write(m->streams[i], buf_data(&record), buf_len(&record));
    buf_deinit(&bytes);
    buf_deinit(&record);
    arena_free(arena);
}

static inline void fake_master_closed(void *ctx, struct http_exchange *x)
{
    struct fake_master *m = ctx;
    for (unsigned i = 0; i < FAKE_MASTER_STREAMS_MAX; i++)
        if (m->streams[i] == x)
            m->streams[i] = NULL;
}

static inline void fake_master_request(void *ctx, struct http_exchange *x, const struct http_message *request)
{
    struct fake_master *m = ctx;
    static const char *const types[] = {"application/x-protobuf", "application/json"};
    unsigned i = 0;
    if (m->redirect_port != 0) {
        char location[64];
        (void)snprintf(location, sizeof(location), "//127.0.0.1:%u/api/v1", m->redirect_port);
        http_add_header(x, "Location", location);
        http_reply_text(x, 307, "Temporary Redirect");
        return;
    }
    while (i < FAKE_MASTER_STREAMS_MAX && m->streams[i])
        i++;
    CHECK(i < FAKE_MASTER_STREAMS_MAX);
    m->streams[i] = x;
    m->formats[i] = http_accept(request, types, 2) == 0 ? WIRE_PROTOBUF : WIRE_JSON;
    m->subscriptions++;
    http_exchange_on_closed(x, fake_master_closed, m);
    http_stream_begin(x, 200, wire_media_type(m->formats[i]), 1u << 30);
    fake_master_write(m, i, m->snapshot);
    fake_master_write(m, i, "{\"type\":\"HEARTBEAT\"}");
}

static inline void *fake_master_run(void *ctx)
{
    loop_run(((struct fake_master *)ctx)->loop);
    return NULL;
}

/* Work for the master's thread, waited for. */
struct fake_master_order {
    struct fake_master *m;
    const char *json; /* to send; NULL: end the streams */
    sem_t done;
};

static inline void fake_master_obey(void *ctx)
{
    struct fake_master_order *order = ctx;
    for (unsigned i = 0; i < FAKE_MASTER_STREAMS_MAX; i++) {
        struct http_exchange *x = order->m->streams[i];
        if (!x)
            continue;
        if (order->json) {
            fake_master_write(order->m, i, order->json);
        } else {
            order->m->streams[i] = NULL;
            http_exchange_abort(x);
        }
    }
    sem_post(&order->done);
}

static inline void fake_master_order(struct fake_master *m, const char *json)
{
    struct fake_master_order order = {.m = m, .json = json};
    sem_init(&order.done, 0, 0);
    loop_post(m->loop, fake_master_obey, &order);
    sem_wait(&order.done);
    sem_destroy(&order.done);
}

static inline void fake_master_send(struct fake_master *m, const char *json)
{
    fake_master_order(m, json);
}

static inline void fake_master_drop_streams(struct fake_master *m)
{
    fake_master_order(m, NULL);
}

static inline void fake_master_start(struct fake_master *m, uint16_t port, const char *snapshot)
{
    struct err err = {0};
    struct http_server_config config = {.ip = "127.0.0.1", .port = port};
    memset(m, 0, sizeof(*m));
    m->snapshot = xstrdup(snapshot);
    m->loop = loop_ev_new();
    CHECK(m->loop != NULL);
    int result = http_server_start(m->loop, &config, fake_master_request, m, &m->server, &err);
    if (result < 0)
        fprintf(stderr, "%s\n", err.text);
    CHECK(result == 0);
    m->port = http_server_port(m->server);
    CHECK(pthread_create(&m->thread, NULL, fake_master_run, m) == 0);
}

static inline void fake_master_end(void *ctx)
{
    loop_stop(((struct fake_master *)ctx)->loop);
}

static inline void fake_master_stop(struct fake_master *m)
{
    loop_post(m->loop, fake_master_end, m);
    pthread_join(m->thread, NULL);
    http_server_stop(m->server);
    loop_ev_free(m->loop);
    free(m->snapshot);
}
