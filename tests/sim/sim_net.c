/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/sim_net.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"

#define CONNECT_TIMEOUT_MS 10000

struct sim_side {
    struct sim_node *node;
    const struct sim_end_ops *ops; /* NULL: not accepted yet, or this side is closed */
    void *ctx;
    int64_t last_ms; /* arrival of the newest message to this side */
};

struct sim_conn {
    struct list link; /* of the world's connections */
    struct world *world;
    struct sim_side side[2]; /* 0 has connected, 1 accepted */
    bool is_broken;
    int refs; /* open sides, and everything under way */
};

struct parcel {
    struct sim_conn *conn;
    int to;
    bool is_close, is_first, survives_break;
    struct sim_message message;
    char why[64];
};

static void conn_unref(struct sim_conn *c)
{
    if (--c->refs > 0)
        return;
    list_remove(&c->link);
    free(c);
}

/* Nothing is heard on this side any more. Returns whom to tell, NULL if it was closed before. */
static const struct sim_end_ops *shut(struct sim_conn *c, int side)
{
    const struct sim_end_ops *ops = c->side[side].ops;
    c->side[side].ops = NULL;
    if (ops != NULL)
        conn_unref(c); /* the caller holds another one */
    return ops;
}

static void drop_parcel(void *ctx)
{
    struct parcel *p = ctx;
    free((char *)p->message.header);
    free((char *)p->message.text);
    free((uint8_t *)p->message.body);
    conn_unref(p->conn);
    free(p);
}

static void close_to(struct sim_conn *c, int to, const char *why);

static void deliver(void *ctx)
{
    struct parcel *p = ctx;
    struct sim_conn *c = p->conn;
    struct sim_side *s = &c->side[p->to];
    bool is_lost = c->is_broken && !p->survives_break;
    if (p->is_first && !is_lost) {
        if (!s->node->is_up) {
            const struct sim_end_ops *ops = shut(c, 1 - p->to);
            if (ops != NULL)
                ops->closed(c->side[1 - p->to].ctx, c, "connection refused");
        } else if (c->side[1 - p->to].ops != NULL) {
            s->node->ops->accept(s->node, c, &p->message);
            if (s->ops == NULL)
                close_to(c, 1 - p->to, "closed by the other side");
        }
    } else if (s->ops != NULL && s->node->is_up && !is_lost) {
        if (p->is_close) {
            const struct sim_end_ops *ops = shut(c, p->to);
            ops->closed(s->ctx, c, p->why);
        } else {
            s->ops->message(s->ctx, c, &p->message);
        }
    }
    drop_parcel(p);
}

/* When a message sent now arrives: after the ones before it, and not before a cut is over. */
static int64_t arrival(struct sim_conn *c, int to)
{
    struct world *w = c->world;
    const struct sim_node *a = c->side[0].node, *b = c->side[1].node;
    int64_t at = w->now_ms + world_draw(w, 0, w->faults.latency_ms_max);
    int64_t cut = w->cut_until_ms[a->index][b->index];
    if (cut > w->now_ms && a != b) { /* sent again after pauses that double: the last one is as long as the cut was */
        int64_t pause_ms = cut - w->now_ms;
        pause_ms = pause_ms < 1000 ? 1000 : pause_ms > 30000 ? 30000 : pause_ms;
        at = cut + world_draw(w, 0, pause_ms);
    }
    if (at < c->side[to].last_ms)
        at = c->side[to].last_ms;
    c->side[to].last_ms = at;
    return at;
}

static char *copy_text(const char *s)
{
    return s ? xstrdup(s) : NULL;
}

static struct parcel *parcel_new(struct sim_conn *c, int to)
{
    struct parcel *p = xcalloc(1, sizeof(*p));
    p->conn = c;
    p->to = to;
    c->refs++;
    return p;
}

static struct parcel *parcel_of(struct sim_conn *c, int to, const struct sim_message *m)
{
    struct parcel *p = parcel_new(c, to);
    p->message = *m;
    p->message.header = copy_text(m->header);
    p->message.text = copy_text(m->text);
    p->message.body = m->len ? xmemdup(m->body, m->len) : NULL;
    return p;
}

static void post(struct sim_conn *c, struct parcel *p, int64_t at)
{
    world_after(c->world, at - c->world->now_ms, NULL, deliver, drop_parcel, p);
}

struct sim_conn *sim_connect(struct sim_node *from, struct sim_node *to, const struct sim_message *first,
                             const struct sim_end_ops *ops, void *ctx)
{
    struct world *w = from->world;
    struct sim_conn *c = xcalloc(1, sizeof(*c));
    c->world = w;
    c->refs = 1;
    c->side[0] = (struct sim_side){.node = from, .ops = ops, .ctx = ctx};
    c->side[1] = (struct sim_side){.node = to};
    list_push_back(&w->conns, &c->link);
    int64_t at = arrival(c, 1);
    if (from != to && at > w->now_ms + CONNECT_TIMEOUT_MS) {
        struct parcel *p = parcel_new(c, 0);
        p->is_close = true;
        snprintf(p->why, sizeof(p->why), "connection timed out");
        post(c, p, w->now_ms + CONNECT_TIMEOUT_MS);
    } else {
        struct parcel *p = parcel_of(c, 1, first);
        p->is_first = true;
        post(c, p, at);
    }
    return c;
}

void sim_accept(struct sim_conn *c, const struct sim_end_ops *ops, void *ctx)
{
    CHECK(c->side[1].ops == NULL);
    c->side[1].ops = ops;
    c->side[1].ctx = ctx;
    c->refs++;
}

static int side_of(const struct sim_conn *c, const struct sim_node *node)
{
    CHECK(c->side[0].node == node || c->side[1].node == node);
    return c->side[0].node == node ? 0 : 1;
}

void sim_send(struct sim_conn *c, const struct sim_node *from, const struct sim_message *m)
{
    int to = 1 - side_of(c, from);
    post(c, parcel_of(c, to, m), arrival(c, to));
}

static void close_to(struct sim_conn *c, int to, const char *why)
{
    struct parcel *p = parcel_new(c, to);
    p->is_close = true;
    snprintf(p->why, sizeof(p->why), "%s", why);
    post(c, p, arrival(c, to));
}

void sim_close(struct sim_conn *c, const struct sim_node *from)
{
    if (c == NULL)
        return;
    int me = side_of(c, from);
    close_to(c, 1 - me, "closed by the other side");
    (void)shut(c, me); /* we asked for it, nobody is told */
}

static void conn_break(struct sim_conn *c, int64_t delay_ms_max)
{
    struct world *w = c->world;
    c->is_broken = true;
    for (int i = 0; i < 2; i++) {
        struct parcel *p = parcel_new(c, i);
        p->is_close = p->survives_break = true;
        snprintf(p->why, sizeof(p->why), "connection reset");
        post(c, p, w->now_ms + world_draw(w, 0, delay_ms_max));
    }
}

static bool is_breakable(const struct sim_conn *c)
{
    return !c->is_broken && c->side[0].ops != NULL && c->side[1].ops != NULL && c->side[0].node != c->side[1].node;
}

bool sim_net_break_one(struct world *w, int64_t delay_ms_max)
{
    int64_t count = 0;
    list_for_each(it, &w->conns) count += is_breakable(container_of(it, struct sim_conn, link));
    if (count == 0)
        return false;
    int64_t chosen = world_draw(w, 0, count - 1);
    list_for_each(it, &w->conns)
    {
        struct sim_conn *c = container_of(it, struct sim_conn, link);
        if (!is_breakable(c) || chosen-- > 0)
            continue;
        world_log(w, c->side[0].node->name, "connection to %s breaks", c->side[1].node->name);
        conn_break(c, delay_ms_max);
        return true;
    }
    return false;
}

void sim_net_node_gone(struct sim_node *n)
{
    list_for_each(it, &n->world->conns)
    {
        struct sim_conn *c = container_of(it, struct sim_conn, link);
        for (int i = 0; i < 2; i++)
            if (c->side[i].node == n && c->side[i].ops != NULL) {
                close_to(c, 1 - i, "peer died");
                (void)shut(c, i); /* the node is gone */
                break;
            }
    }
}

void sim_net_free_all(struct world *w)
{
    CHECK(list_is_empty(&w->conns)); /* all sides are shut, nothing is under way */
}
