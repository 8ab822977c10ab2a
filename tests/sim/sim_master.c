/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/sim_master.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"
#include "common/wire/codec.h"
#include "master/master.h"
#include "master/snapshot.h"
#include "sim/check.h"
#include "sim/sim_net.h"

#define ENDS_MAX 512

enum end_kind { END_LINK, END_STREAM, END_REQUEST };

struct end {
    struct sim_master *master;
    enum end_kind kind;
    uint64_t id; /* link_id, stream_id or request_id */
    struct sim_conn *conn;
    enum wire_format format;
};

struct sim_master {
    struct sim_node node;
    struct master *core;
    struct master_effects out;
    struct sim_store *store;
    struct end *ends[ENDS_MAX];
    size_t end_count;
    uint64_t next_id;
    bool is_ending;
};

static void step(struct sim_master *m, struct master_event *in);

static struct end *find_end(struct sim_master *m, enum end_kind kind, uint64_t id)
{
    for (size_t i = 0; i < m->end_count; i++)
        if (m->ends[i]->kind == kind && m->ends[i]->id == id)
            return m->ends[i];
    return NULL;
}

static void drop_end(struct end *e)
{
    struct sim_master *m = e->master;
    for (size_t i = 0; i < m->end_count; i++)
        if (m->ends[i] == e) {
            m->ends[i] = m->ends[--m->end_count];
            free(e);
            return;
        }
    CHECK(false);
}

static struct end *new_end(struct sim_master *m, enum end_kind kind, struct sim_conn *c)
{
    CHECK(m->end_count < ENDS_MAX);
    struct end *e = xcalloc(1, sizeof(*e));
    *e = (struct end){m, kind, ++m->next_id, c, WIRE_PROTOBUF};
    m->ends[m->end_count++] = e;
    return e;
}

/* -- what comes in -------------------------------------------------------------------------------------------- */

static void on_message(void *ctx, struct sim_conn *c, const struct sim_message *m)
{
    struct end *e = ctx;
    (void)c;
    CHECK(e->kind == END_LINK && m->kind == SIM_DATA);
    struct sim_node *n = &e->master->node;
    struct arena *a = arena_new(0);
    struct err err = {""};
    ProtobufCMessage *frame = wire_unpack(&muster__link__agent_to_master__descriptor, m->body, m->len, a, &err);
    if (frame == NULL) {
        world_violate(n->world, "wire", "an agent sent a frame that cannot be decoded: %s", err.text);
    } else {
        struct master_event in = {.type = MASTER_EVENT_LINK_MESSAGE};
        in.link_message.link = e->id;
        in.link_message.message = (const Muster__Link__AgentToMaster *)frame;
        step(e->master, &in);
    }
    arena_free(a);
}

static void on_closed(void *ctx, struct sim_conn *c, const char *why)
{
    struct end *e = ctx;
    struct sim_master *m = e->master;
    (void)c;
    (void)why;
    struct master_event in = {.type = MASTER_EVENT_LINK_DOWN};
    if (e->kind == END_LINK) {
        in.link_down.link = e->id;
    } else {
        in.type = MASTER_EVENT_STREAM_CLOSED;
        in.stream_closed.stream = e->id;
    }
    bool is_told = e->kind != END_REQUEST; /* the answer to a request has nowhere to go then */
    drop_end(e);
    if (is_told)
        step(m, &in);
}

static const struct sim_end_ops end_ops = {on_message, on_closed};

static void answer(struct sim_master *m, struct sim_conn *c, int status, const char *header, const char *text)
{
    struct sim_message a = {.kind = SIM_ANSWER, .status = status, .header = header, .text = text};
    sim_send(c, &m->node, &a);
}

static void accept_link(struct sim_master *m, struct sim_conn *c, const char *address)
{
    struct end *e = new_end(m, END_LINK, c);
    sim_accept(c, &end_ops, e);
    answer(m, c, 101, NULL, NULL);
    struct master_event in = {.type = MASTER_EVENT_LINK_UP};
    in.link_up.link = e->id;
    in.link_up.peer_ip = address;
    step(m, &in);
}

static stream_id stream_of_header(struct sim_master *m, const char *header)
{
    unsigned incarnation;
    unsigned long long id;
    if (header == NULL || sscanf(header, "stream-%u-%llu", &incarnation, &id) != 2 || incarnation != m->node.incarnation)
        return 0;
    return find_end(m, END_STREAM, id) ? id : 0;
}

static void accept_call(struct sim_master *m, struct sim_conn *c, const struct sim_message *first)
{
    struct arena *a = arena_new(0);
    struct err err = {""};
    enum wire_format format = first->status == WIRE_JSON ? WIRE_JSON : WIRE_PROTOBUF;
    const Mesos__V1__Scheduler__Call *call = (const Mesos__V1__Scheduler__Call *)wire_decode(
        format, &mesos__v1__scheduler__call__descriptor, first->body, first->len, a, &err);
    int status = call ? master_call_check(call, NULL, &err) : 400;
    struct master_event in = {.type = MASTER_EVENT_CALL};
    if (status != 0) {
        world_log(m->node.world, m->node.name, "refuses a call: %d %s", status, err.text);
        struct end *e = new_end(m, END_REQUEST, c);
        sim_accept(c, &end_ops, e);
        answer(m, c, status, NULL, err.text);
    } else if (first->kind == SIM_SUBSCRIBE) {
        struct end *e = new_end(m, END_STREAM, c);
        e->format = format;
        sim_accept(c, &end_ops, e);
        char header[64];
        snprintf(header, sizeof(header), "stream-%u-%llu", m->node.incarnation, (unsigned long long)e->id);
        answer(m, c, 200, header, NULL);
        in.type = MASTER_EVENT_SUBSCRIBE;
        in.subscribe.stream = e->id;
        in.subscribe.call = call;
        step(m, &in);
    } else {
        struct end *e = new_end(m, END_REQUEST, c);
        sim_accept(c, &end_ops, e);
        in.call.request = e->id;
        in.call.stream = stream_of_header(m, first->header);
        in.call.has_stream_header = first->header != NULL;
        in.call.call = call;
        step(m, &in);
    }
    arena_free(a);
}

static void on_accept(struct sim_node *n, struct sim_conn *c, const struct sim_message *first)
{
    struct sim_master *m = (struct sim_master *)n;
    if (m->is_ending)
        return; /* refused */
    if (first->kind == SIM_LINK)
        accept_link(m, c, first->header);
    else
        accept_call(m, c, first);
}

static void on_stored(struct sim_node *n, uint64_t token, int result)
{
    struct master_event in = {.type = MASTER_EVENT_STORE_DONE, .store_done = {token, result}};
    step((struct sim_master *)n, &in);
}

static void on_tick(struct sim_node *n)
{
    struct master_event in = {.type = MASTER_EVENT_TICK};
    step((struct sim_master *)n, &in);
}

/* -- what comes out ------------------------------------------------------------------------------------------- */

static void send_data(struct sim_master *m, struct end *e, const ProtobufCMessage *message)
{
    struct buf b;
    buf_init(&b, 0);
    CHECK(wire_encode(e->format, message, &b) == 0);
    struct sim_message data = {.kind = SIM_DATA, .body = buf_data(&b), .len = buf_len(&b)};
    sim_send(e->conn, &m->node, &data);
    buf_deinit(&b);
}

static void close_end(struct sim_master *m, enum end_kind kind, uint64_t id)
{
    struct end *e = find_end(m, kind, id);
    if (e == NULL)
        return; /* the other side was quicker */
    sim_close(e->conn, &m->node);
    drop_end(e);
}

static void carry_out(struct sim_master *m, const struct master_effect *x)
{
    struct world *w = m->node.world;
    struct end *e;
    switch (x->type) {
    case MASTER_EFFECT_LINK_SEND:
        e = find_end(m, END_LINK, x->link_send.link);
        if (e != NULL)
            send_data(m, e, &x->link_send.message->base);
        break;
    case MASTER_EFFECT_LINK_CLOSE:
        close_end(m, END_LINK, x->link_close.link);
        break;
    case MASTER_EFFECT_STREAM_SEND:
        e = find_end(m, END_STREAM, x->stream_send.stream);
        if (e != NULL)
            send_data(m, e, &x->stream_send.event->base);
        break;
    case MASTER_EFFECT_STREAM_CLOSE:
        close_end(m, END_STREAM, x->stream_close.stream);
        break;
    case MASTER_EFFECT_REPLY:
        e = find_end(m, END_REQUEST, x->reply.request);
        if (x->reply.status >= 400)
            world_log(w, m->node.name, "answers %d %s", x->reply.status, x->reply.text ? x->reply.text : "");
        if (e != NULL)
            answer(m, e->conn, x->reply.status, NULL, x->reply.text);
        break;
    case MASTER_EFFECT_STORE:
        sim_store_put(m->store, x->store.writes, x->store.count, x->store.token);
        break;
    case MASTER_EFFECT_OPERATOR_EVENT:
        break; /* nobody watches */
    case MASTER_EFFECT_TRACE:
        world_log(w, m->node.name, "%s%s", x->trace.warning ? "! " : "", x->trace.text);
        break;
    case MASTER_EFFECT_FATAL:
        world_log(w, m->node.name, "fatal: %s", x->fatal.text);
        m->is_ending = true;
        break;
    }
}

static void end_now(void *ctx)
{
    struct sim_master *m = ctx;
    world_restart_node(&m->node, world_draw(m->node.world, 100, 3000));
}

static void step(struct sim_master *m, struct master_event *in)
{
    if (m->is_ending)
        return;
    struct world *w = m->node.world;
    in->now_ms = w->now_ms;
    in->wall_ms = WORLD_WALL_MS + w->now_ms;
    CHECK(master_step(m->core, in, &m->out) == 0);
    master_check_invariants(m->core);
    struct sim_seen seen = {.type = SIM_SEEN_MASTER_IN, .node = &m->node, .in = in, .out = &m->out};
    world_seen(w, &seen);
    for (size_t i = 0; i < m->out.count; i++)
        carry_out(m, &m->out.items[i]);
    if (m->is_ending)
        world_after(w, 0, &m->node, end_now, NULL, m);
    else
        world_rearm(&m->node);
}

/* -- life ----------------------------------------------------------------------------------------------------- */

static int64_t next_deadline(const struct sim_node *n)
{
    const struct sim_master *m = (const struct sim_master *)n;
    return m->is_ending ? INT64_MAX : master_next_deadline(m->core);
}

static void on_start(struct sim_node *n)
{
    struct sim_master *m = (struct sim_master *)n;
    struct master_config config;
    master_config_default(&config);
    config.seed = rng_next(&n->world->rng);
    config.hostname = n->name;
    config.ip = n->ip;
    config.port = 5050;
    config.version = "1.12.0";
    struct err err = {""};
    m->core = master_new(&config, &err);
    CHECK(m->core != NULL);
    m->is_ending = false;
    master_effects_init(&m->out);
    struct sim_seen seen = {.type = SIM_SEEN_MASTER_STARTS, .node = n};
    world_seen(n->world, &seen);
    const struct sim_item *items;
    size_t count = sim_store_items(m->store, &items);
    struct master_item *copy = xcalloc(count + 1, sizeof(*copy));
    for (size_t i = 0; i < count; i++)
        copy[i] = (struct master_item){items[i].key, items[i].key_len, items[i].value, items[i].value_len};
    struct master_event in = {.type = MASTER_EVENT_STARTED, .started = {copy, count}};
    step(m, &in);
    free(copy);
}

static void on_crash(struct sim_node *n)
{
    struct sim_master *m = (struct sim_master *)n;
    m->core = master_free(m->core);
    master_effects_deinit(&m->out);
    sim_store_crash(m->store);
    while (m->end_count > 0)
        free(m->ends[--m->end_count]);
}

static void on_free(struct sim_node *n)
{
    struct sim_master *m = (struct sim_master *)n;
    m->store = sim_store_free(m->store);
    free(m);
}

static const struct sim_node_ops master_ops = {on_tick, next_deadline, on_accept, on_crash, on_start, on_free};

struct sim_master *sim_master_new(struct world *w, const char *name)
{
    struct sim_master *m = xcalloc(1, sizeof(*m));
    world_add_node(w, &m->node, &master_ops, name);
    m->store = sim_store_new(&m->node, on_stored);
    return m;
}

struct sim_node *sim_master_node(struct sim_master *m)
{
    return &m->node;
}

struct sim_store *sim_master_store(struct sim_master *m)
{
    return m->store;
}

void sim_master_operator(struct sim_master *m, const char *call)
{
    struct arena *a = arena_new(0);
    struct err err = {""};
    if (!m->node.is_up || m->is_ending) {
        arena_free(a);
        return;
    }
    struct master_event in = {.type = MASTER_EVENT_OPERATOR_CALL};
    in.operator_call.request = ++m->next_id;
    in.operator_call.call = (const Mesos__V1__Master__Call *)wire_decode(WIRE_JSON, &mesos__v1__master__call__descriptor,
                                                                         call, strlen(call), a, &err);
    CHECK(in.operator_call.call != NULL);
    world_log(m->node.world, "operator", "%s", call);
    step(m, &in);
    arena_free(a);
}

int sim_master_drain_state(struct sim_master *m, const char *agent_id)
{
    struct arena *a = arena_new(0);
    int state = -1;
    const Mesos__V1__Master__Response__GetAgents *all = m->node.is_up ? master_snapshot_agents(m->core, a) : NULL;
    for (size_t i = 0; all != NULL && i < all->n_agents; i++)
        if (strcmp(all->agents[i]->agent_info->id->value, agent_id) == 0)
            state = all->agents[i]->drain_info != NULL ? (int)all->agents[i]->drain_info->state : 0;
    arena_free(a);
    return state;
}
