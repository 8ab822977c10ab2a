/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/sim_agent.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"
#include "common/base/map.h"
#include "common/resource/resource.h"
#include "common/wire/codec.h"
#include "sim/sim_net.h"

#define ENDS_MAX 1024
#define LINKS_MAX 8

enum end_kind { END_STREAM, END_REQUEST };

/* A connection of an executor to us. A SUBSCRIBE is a request until the core opens the stream. */
struct end {
    struct sim_agent *agent;
    request_id request;
    stream_id stream; /* 0: not open */
    struct sim_conn *conn;
};

struct link_end {
    struct sim_agent *agent;
    link_id id;
    struct sim_conn *conn; /* NULL: free place */
};

struct sim_agent {
    struct sim_node node;
    struct sim_node *master;
    struct sim_host *host;
    char *resources;
    struct agent *core;
    struct agent_effects out;
    struct sim_store *store;
    struct end *ends[ENDS_MAX];
    size_t end_count;
    struct link_end links[LINKS_MAX];
    uint64_t next_id;
    bool is_ending;
};

static void step(struct sim_agent *a, struct agent_event *in);

/* -- the link to the master ----------------------------------------------------------------------------------- */

static void on_link_message(void *ctx, struct sim_conn *c, const struct sim_message *m)
{
    struct link_end *l = ctx;
    (void)c;
    struct sim_agent *agent = l->agent;
    struct agent_event in = {.type = AGENT_IN_LINK_UP, .link = {.link = l->id}};
    if (m->kind == SIM_ANSWER) {
        step(agent, &in);
        return;
    }
    struct arena *a = arena_new(0);
    struct err err = {""};
    ProtobufCMessage *frame = wire_unpack(&muster__link__master_to_agent__descriptor, m->body, m->len, a, &err);
    if (frame == NULL) {
        world_violate(agent->node.world, "wire", "the master sent a frame that cannot be decoded: %s", err.text);
    } else {
        in.type = AGENT_IN_LINK_MESSAGE;
        in.link.message = (const Muster__Link__MasterToAgent *)frame;
        step(agent, &in);
    }
    arena_free(a);
}

static void on_link_closed(void *ctx, struct sim_conn *c, const char *why)
{
    struct link_end *l = ctx;
    (void)c;
    l->conn = NULL;
    struct agent_event in = {.type = AGENT_IN_LINK_DOWN, .link = {.link = l->id, .text = why}};
    step(l->agent, &in);
}

static const struct sim_end_ops link_ops = {on_link_message, on_link_closed};

static struct link_end *find_link(struct sim_agent *a, link_id id)
{
    for (size_t i = 0; i < LINKS_MAX; i++)
        if (a->links[i].conn != NULL && a->links[i].id == id)
            return &a->links[i];
    return NULL;
}

static void open_link(struct sim_agent *a, link_id id)
{
    for (size_t i = 0; i < LINKS_MAX; i++) {
        struct link_end *l = &a->links[i];
        if (l->conn != NULL)
            continue;
        struct sim_message m = {.kind = SIM_LINK, .header = a->node.ip};
        *l = (struct link_end){a, id, NULL};
        l->conn = sim_connect(&a->node, a->master, &m, &link_ops, l);
        return;
    }
    world_violate(a->node.world, "progress", "%s holds %d links to the master", a->node.name, LINKS_MAX);
}

static void send_frame(struct sim_agent *a, link_id id, const Muster__Link__AgentToMaster *message)
{
    struct world *w = a->node.world;
    struct link_end *l = find_link(a, id);
    if (l == NULL)
        return; /* it is down, the core will hear of it */
    size_t len;
    uint8_t *packed = wire_pack(&message->base, &len);
    struct sim_message m = {.kind = SIM_DATA, .body = packed, .len = len};
    sim_send(l->conn, &a->node, &m);
    if (message->status_update != NULL && world_chance(w, w->faults.repeat_ppm))
        sim_send(l->conn, &a->node, &m);
    free(packed);
}

/* -- executors ------------------------------------------------------------------------------------------------ */

static void drop_end(struct end *e)
{
    struct sim_agent *a = e->agent;
    for (size_t i = 0; i < a->end_count; i++)
        if (a->ends[i] == e) {
            a->ends[i] = a->ends[--a->end_count];
            free(e);
            return;
        }
    CHECK(false);
}

static void on_end_message(void *ctx, struct sim_conn *c, const struct sim_message *m)
{
    (void)ctx;
    (void)c;
    (void)m;
    CHECK(false); /* a request is one message */
}

static void on_end_closed(void *ctx, struct sim_conn *c, const char *why)
{
    struct end *e = ctx;
    struct sim_agent *a = e->agent;
    (void)c;
    (void)why;
    struct agent_event in = {.type = AGENT_IN_STREAM_CLOSED, .stream_closed = e->stream};
    drop_end(e);
    if (in.stream_closed != 0)
        step(a, &in);
}

static const struct sim_end_ops end_ops = {on_end_message, on_end_closed};

static void on_accept(struct sim_node *n, struct sim_conn *c, const struct sim_message *first)
{
    struct sim_agent *a = (struct sim_agent *)n;
    if (a->is_ending)
        return; /* refused */
    CHECK(a->end_count < ENDS_MAX);
    struct arena *arena = arena_new(0);
    struct err err = {""};
    const Mesos__V1__Executor__Call *call = (const Mesos__V1__Executor__Call *)wire_unpack(
        &mesos__v1__executor__call__descriptor, first->body, first->len, arena, &err);
    if (call == NULL) {
        world_violate(n->world, "wire", "an executor sent what cannot be decoded: %s", err.text);
    } else {
        struct end *e = xcalloc(1, sizeof(*e));
        *e = (struct end){a, ++a->next_id, 0, c};
        a->ends[a->end_count++] = e;
        sim_accept(c, &end_ops, e);
        struct agent_event in = {.type = AGENT_IN_EXECUTOR_CALL};
        in.executor.request = e->request;
        in.executor.stream = first->kind == SIM_SUBSCRIBE ? ++a->next_id : 0;
        in.executor.call = call;
        step(a, &in);
    }
    arena_free(arena);
}

static struct end *find_end(struct sim_agent *a, request_id request, stream_id stream)
{
    for (size_t i = 0; i < a->end_count; i++)
        if ((request != 0 && a->ends[i]->request == request) || (stream != 0 && a->ends[i]->stream == stream))
            return a->ends[i];
    return NULL;
}

static void answer(struct sim_agent *a, struct end *e, int status, const char *text)
{
    struct sim_message m = {.kind = SIM_ANSWER, .status = status, .text = text};
    sim_send(e->conn, &a->node, &m);
}

/* The request's connection is gone before the stream was opened. */
struct closed_stream {
    struct sim_agent *agent;
    stream_id stream;
};

static void tell_stream_closed(void *ctx)
{
    struct closed_stream *s = ctx;
    struct agent_event in = {.type = AGENT_IN_STREAM_CLOSED, .stream_closed = s->stream};
    struct sim_agent *a = s->agent;
    free(s);
    step(a, &in);
}

static void open_stream(struct sim_agent *a, request_id request, stream_id stream)
{
    struct end *e = find_end(a, request, 0);
    if (e != NULL) {
        e->stream = stream;
        answer(a, e, 200, NULL);
        return;
    }
    struct closed_stream *s = xcalloc(1, sizeof(*s));
    *s = (struct closed_stream){a, stream};
    world_after(a->node.world, 0, &a->node, tell_stream_closed, free, s);
}

static void send_event(struct sim_agent *a, struct end *e, const Mesos__V1__Executor__Event *event)
{
    size_t len;
    uint8_t *packed = wire_pack(&event->base, &len);
    struct sim_message m = {.kind = SIM_DATA, .body = packed, .len = len};
    sim_send(e->conn, &a->node, &m);
    free(packed);
}

/* -- stepping ------------------------------------------------------------------------------------------------- */

struct removed {
    struct sim_agent *agent;
    char *container_id;
};

static void drop_removed(void *ctx)
{
    struct removed *r = ctx;
    free(r->container_id);
    free(r);
}

static void tell_removed(void *ctx)
{
    struct removed *r = ctx;
    struct agent_event in = {.type = AGENT_IN_SANDBOX_REMOVED, .sandbox_removed = {r->container_id, 0}};
    step(r->agent, &in);
    drop_removed(r);
}

static void remove_sandbox(struct sim_agent *a, const char *container_id)
{
    struct removed *r = xcalloc(1, sizeof(*r));
    *r = (struct removed){a, xstrdup(container_id)};
    world_after(a->node.world, world_draw(a->node.world, 0, 1000), &a->node, tell_removed, drop_removed, r);
}

static void tell_volumes(void *ctx)
{
    struct removed *r = ctx;
    struct agent_event in = {.type = AGENT_IN_VOLUMES_DONE, .volumes_done = {.operation = r->container_id}};
    step(r->agent, &in);
    drop_removed(r);
}

static void carry_out_volumes(struct sim_agent *a, const struct agent_effect *x)
{
    struct removed *r = xcalloc(1, sizeof(*r));
    *r = (struct removed){a, xstrdup(x->volumes.operation)};
    world_after(a->node.world, world_draw(a->node.world, 0, 50), &a->node, tell_volumes, drop_removed, r);
}

static void carry_out(struct sim_agent *a, const struct agent_effect *x)
{
    struct end *e;
    struct link_end *l;
    switch (x->type) {
    case AGENT_OUT_LINK_OPEN:
        open_link(a, x->link.link);
        break;
    case AGENT_OUT_LINK_SEND:
        send_frame(a, x->link.link, x->link.message);
        break;
    case AGENT_OUT_LINK_CLOSE:
        l = find_link(a, x->link.link);
        if (l != NULL)
            sim_close(l->conn, &a->node), l->conn = NULL;
        break;
    case AGENT_OUT_REPLY:
        e = find_end(a, x->reply.request, 0);
        if (e != NULL)
            answer(a, e, x->reply.status, x->reply.text);
        break;
    case AGENT_OUT_STREAM_OPEN:
        open_stream(a, x->stream.request, x->stream.stream);
        break;
    case AGENT_OUT_STREAM_SEND:
        e = find_end(a, 0, x->stream.stream);
        if (e != NULL)
            send_event(a, e, x->stream.event);
        break;
    case AGENT_OUT_STREAM_CLOSE:
        e = find_end(a, 0, x->stream.stream);
        if (e != NULL)
            sim_close(e->conn, &a->node), drop_end(e);
        break;
    case AGENT_OUT_STORE:
        sim_store_put(a->store, x->store.writes, x->store.count, x->store.token);
        break;
    case AGENT_OUT_RECOVER:
        sim_launcher_recover(a->host, x->recover.containers, x->recover.count);
        break;
    case AGENT_OUT_LAUNCH:
        sim_launcher_launch(a->host, x->launch);
        break;
    case AGENT_OUT_UPDATE_LIMITS:
        break;
    case AGENT_OUT_DESTROY:
        sim_launcher_destroy(a->host, x->destroy);
        break;
    case AGENT_OUT_REMOVE_SANDBOX:
        remove_sandbox(a, x->remove_sandbox.container_id);
        break;
    case AGENT_OUT_VOLUMES:
        carry_out_volumes(a, x);
        break;
    case AGENT_OUT_TRACE:
        world_log(a->node.world, a->node.name, "%s%s", x->trace.level >= LOG_LEVEL_WARNING ? "! " : "", x->trace.text);
        break;
    case AGENT_OUT_EXIT:
        world_log(a->node.world, a->node.name, "exits with %d: %s", x->exit.status, x->exit.text ? x->exit.text : "");
        a->is_ending = true;
        break;
    }
}

static void end_now(void *ctx)
{
    struct sim_agent *a = ctx;
    world_restart_node(&a->node, world_draw(a->node.world, 100, 3000));
}

static void step(struct sim_agent *a, struct agent_event *in)
{
    if (a->is_ending)
        return;
    struct world *w = a->node.world;
    in->now_ms = w->now_ms;
    in->wall_ms = WORLD_WALL_MS + w->now_ms;
    CHECK(agent_step(a->core, in, &a->out) == 0);
    agent_check_invariants(a->core);
    for (size_t i = 0; i < a->out.count; i++)
        carry_out(a, &a->out.list[i]);
    if (a->is_ending)
        world_after(w, 0, &a->node, end_now, NULL, a);
    else
        world_rearm(&a->node);
}

/* -- what else comes in --------------------------------------------------------------------------------------- */

static void on_stored(struct sim_node *n, uint64_t token, int result)
{
    struct agent_event in = {.type = AGENT_IN_STORE_DONE, .store_done = {token, result}};
    step((struct sim_agent *)n, &in);
}

static void on_container_started(struct sim_node *n, const char *id, int pid)
{
    struct agent_event in = {.type = AGENT_IN_CONTAINER_STARTED, .container = {.id = id, .pid = pid}};
    step((struct sim_agent *)n, &in);
}

static void on_container_ended(struct sim_node *n, const char *id, const struct launcher_end *end)
{
    struct agent_event in = {.type = AGENT_IN_CONTAINER_ENDED, .container = {.id = id, .end = end}};
    step((struct sim_agent *)n, &in);
}

static void on_recovered(struct sim_node *n)
{
    struct agent_event in = {.type = AGENT_IN_CONTAINERS_RECOVERED};
    step((struct sim_agent *)n, &in);
}

static const struct sim_launcher_events launcher_events = {on_container_started, on_container_ended, on_recovered};

static void on_tick(struct sim_node *n)
{
    struct agent_event in = {.type = AGENT_IN_TICK};
    step((struct sim_agent *)n, &in);
}

/* -- life ----------------------------------------------------------------------------------------------------- */

static int64_t next_deadline(const struct sim_node *n)
{
    const struct sim_agent *a = (const struct sim_agent *)n;
    return a->is_ending ? INT64_MAX : agent_next_deadline(a->core);
}

static void on_start(struct sim_node *n)
{
    struct sim_agent *a = (struct sim_agent *)n;
    struct arena *arena = arena_new(0);
    struct resources *total = resources_new();
    struct err err = {""};
    CHECK(resources_parse_flag(a->resources, "*", total, &err) == 0);
    Mesos__V1__AgentInfo info;
    mesos__v1__agent_info__init(&info);
    info.hostname = n->name;
    info.has_port = 1;
    info.port = 5051;
    info.n_resources = resources_to_wire(total, RESOURCE_POST_REFINEMENT, arena, &info.resources);
    struct agent_config config = {
        .info = &info, .ip = n->ip, .work_dir = "/var/lib/muster", .version = "1.12.0", .seed = rng_next(&n->world->rng)};
    a->core = agent_new(&config);
    a->is_ending = false;
    agent_effects_init(&a->out);
    total = resources_free(total);
    arena_free(arena);
    const struct sim_item *items;
    size_t count = sim_store_items(a->store, &items);
    struct agent_item *copy = xcalloc(count + 1, sizeof(*copy));
    for (size_t i = 0; i < count; i++)
        copy[i] = (struct agent_item){items[i].key, items[i].key_len, items[i].value, items[i].value_len};
    struct agent_event in = {.type = AGENT_IN_STARTED,
                             .started = {.items = copy, .count = count, .boot_id = sim_host_boot_id(a->host)}};
    step(a, &in);
    free(copy);
}

static void on_crash(struct sim_node *n)
{
    struct sim_agent *a = (struct sim_agent *)n;
    a->core = agent_free(a->core);
    agent_effects_deinit(&a->out);
    sim_store_crash(a->store);
    while (a->end_count > 0)
        free(a->ends[--a->end_count]);
    memset(a->links, 0, sizeof(a->links));
}

static void on_free(struct sim_node *n)
{
    struct sim_agent *a = (struct sim_agent *)n;
    a->store = sim_store_free(a->store);
    free(a->resources);
    free(a);
}

static const struct sim_node_ops agent_ops = {on_tick, next_deadline, on_accept, on_crash, on_start, on_free};

struct sim_agent *sim_agent_new(struct world *w, const struct sim_agent_config *config, struct sim_node *master)
{
    struct sim_agent *a = xcalloc(1, sizeof(*a));
    char host[24];
    a->resources = xstrdup(config->resources);
    a->master = master;
    snprintf(host, sizeof(host), "%.15s-host", config->name);
    a->host = sim_host_new(w, host);
    world_add_node(w, &a->node, &agent_ops, config->name);
    a->store = sim_store_new(&a->node, on_stored);
    sim_host_set_agent(a->host, &a->node, &launcher_events);
    return a;
}

struct sim_node *sim_agent_node(struct sim_agent *a)
{
    return &a->node;
}

struct sim_host *sim_agent_host(struct sim_agent *a)
{
    return a->host;
}

struct sim_store *sim_agent_store(struct sim_agent *a)
{
    return a->store;
}

void sim_agent_unregister(struct sim_agent *a)
{
    struct agent_event in = {.type = AGENT_IN_UNREGISTER};
    if (a->node.is_up && !a->is_ending)
        step(a, &in);
}

const struct agent *sim_agent_core(const struct sim_agent *a)
{
    return a->core;
}
