/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/sim_session.h"

#include <errno.h>
#include <stdlib.h>

#include "common/base/check.h"
#include "common/wire/codec.h"
#include "sim/sim_net.h"

struct sim_slot { /* a call in flight */
    struct sim_session *session;
    struct sim_conn *call;
    uint64_t connection;
};

/* The stream of one CONNECT, and the calls in flight. Ids of the core's connections are not reused, ends may overlap. */
struct sim_session {
    struct sim_node *node, *master;
    struct sdk_session *core;
    enum wire_format format;
    sim_session_effect_fn effect;
    struct sim_conn *stream;
    uint64_t stream_connection;
    struct sim_slot slots[SDK_CALL_SLOTS];
    struct sdk_effects out[4]; /* one per depth of steps inside effects */
    int depth;
};

static void call_done(struct sim_slot *slot, int status, int error, const char *text)
{
    struct sim_session *s = slot->session;
    slot->call = NULL;
    struct sdk_event in = {
        .type = SDK_EVENT_CALL_DONE,
        .connection = slot->connection,
        .call_done = {.slot = (unsigned)(slot - s->slots), .status = status, .error = error, .text = text}};
    (void)sim_session_step(s, &in); /* 0 for this event */
}

static void on_call_message(void *ctx, struct sim_conn *c, const struct sim_message *m)
{
    struct sim_slot *slot = ctx;
    sim_close(c, slot->session->node);
    call_done(slot, m->status, 0, m->text);
}

static void on_call_closed(void *ctx, struct sim_conn *c, const char *why)
{
    (void)c;
    call_done(ctx, 0, -ECONNRESET, why);
}

static void on_stream_message(void *ctx, struct sim_conn *c, const struct sim_message *m)
{
    struct sim_session *s = ctx;
    (void)c;
    struct sdk_event in = {.type = SDK_EVENT_ANSWER, .connection = s->stream_connection};
    if (m->kind == SIM_ANSWER) {
        in.answer.status = m->status;
        in.answer.stream_id = m->header;
        in.answer.text = m->text;
        (void)sim_session_step(s, &in); /* 0 for this event */
        return;
    }
    struct arena *a = arena_new(0);
    struct err err = {""};
    ProtobufCMessage *event = wire_decode(s->format, &mesos__v1__scheduler__event__descriptor, m->body, m->len, a, &err);
    if (event == NULL) {
        world_violate(s->node->world, "wire", "the master sent a scheduler what cannot be decoded: %s", err.text);
    } else {
        in.type = SDK_EVENT_RECEIVED;
        in.received = (const Mesos__V1__Scheduler__Event *)event;
        (void)sim_session_step(s, &in); /* 0 for this event */
    }
    arena_free(a);
}

static void on_stream_closed(void *ctx, struct sim_conn *c, const char *why)
{
    struct sim_session *s = ctx;
    (void)c;
    s->stream = NULL;
    struct sdk_event in = {
        .type = SDK_EVENT_CLOSED, .connection = s->stream_connection, .closed = {.error = -ECONNRESET, .text = why}};
    (void)sim_session_step(s, &in); /* 0 for this event */
}

static const struct sim_end_ops stream_ops = {on_stream_message, on_stream_closed};
static const struct sim_end_ops call_ops = {on_call_message, on_call_closed};

static void close_connections(struct sim_session *s)
{
    if (s->stream != NULL)
        sim_close(s->stream, s->node);
    s->stream = NULL;
    for (size_t i = 0; i < SDK_CALL_SLOTS; i++) {
        if (s->slots[i].call != NULL)
            sim_close(s->slots[i].call, s->node);
        s->slots[i].call = NULL;
    }
}

static void send_call(struct sim_session *s, const struct sdk_effect *e)
{
    struct sim_message m = {.status = (int)s->format, .kind = SIM_CALL, .header = e->send.stream_id};
    struct sim_slot *slot = &s->slots[e->send.slot];
    m.body = e->send.body;
    m.len = e->send.body_len;
    CHECK(slot->call == NULL || slot->connection != e->connection); /* one is out at a time */
    if (slot->call != NULL)
        sim_close(slot->call, s->node); /* one of an earlier connection: its answer interests nobody */
    *slot = (struct sim_slot){.session = s, .connection = e->connection};
    slot->call = sim_connect(s->node, s->master, &m, &call_ops, slot);
}

static void carry_out(struct sim_session *s, const struct sdk_effect *e)
{
    struct sim_message m = {.status = (int)s->format};
    switch (e->type) {
    case SDK_EFFECT_CONNECT:
        CHECK(s->stream == NULL);
        m.kind = SIM_SUBSCRIBE;
        m.body = e->connect.body;
        m.len = e->connect.body_len;
        s->stream_connection = e->connection;
        s->stream = sim_connect(s->node, s->master, &m, &stream_ops, s);
        break;
    case SDK_EFFECT_CLOSE:
        close_connections(s);
        break;
    case SDK_EFFECT_SEND:
        send_call(s, e);
        break;
    default:
        s->effect(s->node, e);
        break;
    }
}

int sim_session_step(struct sim_session *s, struct sdk_event *in)
{
    CHECK(s->depth < 4);
    struct sdk_effects *out = &s->out[s->depth++];
    in->now_ms = s->node->world->now_ms;
    int rc = sdk_session_step(s->core, in, out);
    sdk_session_check_invariants(s->core);
    for (size_t i = 0; i < out->count; i++)
        carry_out(s, &out->items[i]);
    s->depth--;
    world_rearm(s->node);
    return rc;
}

int sim_session_call(struct sim_session *s, const Mesos__V1__Scheduler__Call *call)
{
    struct sdk_event in = {.type = SDK_EVENT_CALL, .call = call};
    return sim_session_step(s, &in);
}

int64_t sim_session_next_deadline(const struct sim_session *s)
{
    return sdk_session_next_deadline(s->core);
}

const struct sdk_session *sim_session_core(const struct sim_session *s)
{
    return s->core;
}

struct sim_session *sim_session_new(struct sim_node *n, struct sim_node *master, const struct sdk_session_config *config,
                                    sim_session_effect_fn effect)
{
    struct sim_session *s = xcalloc(1, sizeof(*s));
    struct err err = {""};
    s->node = n;
    s->master = master;
    s->format = config->format;
    s->effect = effect;
    s->core = sdk_session_new(config, &err);
    if (s->core == NULL)
        fprintf(stderr, "%s: %s\n", n->name, err.text);
    CHECK(s->core != NULL);
    for (int i = 0; i < 4; i++)
        sdk_effects_init(&s->out[i]);
    return s;
}

struct sim_session *sim_session_free(struct sim_session *s)
{
    if (s == NULL)
        return NULL;
    close_connections(s);
    s->core = sdk_session_free(s->core);
    for (int i = 0; i < 4; i++)
        sdk_effects_deinit(&s->out[i]);
    free(s);
    return NULL;
}
