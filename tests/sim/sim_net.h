/* SPDX-License-Identifier: Apache-2.0
 * sim_net.h - connections between nodes. As with TCP, what one side sends arrives in order or the connection ends; both
 * sides learn of an end, not at the same time, and what was under way is lost. Across connections nothing is ordered.
 *
 * Between nodes that are cut off from each other messages wait for the end of the cut, attempts time out. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/base/list.h"
#include "sim/world.h"

enum sim_message_kind {
    SIM_LINK,      /* first: GET /link, Upgrade; header is the agent's address */
    SIM_SUBSCRIBE, /* first: a scheduler's or executor's stream; body is the call */
    SIM_CALL,      /* first: any other call; header is the stream's id */
    SIM_ANSWER,    /* status line; header is the stream's id */
    SIM_DATA,      /* a frame or record */
};

struct sim_message {
    enum sim_message_kind kind;
    int status;
    const char *header; /* may be NULL */
    const char *text;   /* may be NULL */
    const uint8_t *body;
    size_t len;
};

struct sim_end_ops {
    void (*message)(void *ctx, struct sim_conn *c, const struct sim_message *m);
    /* Not after sim_close by this side. The connection must not be used afterwards. */
    void (*closed)(void *ctx, struct sim_conn *c, const char *why);
};

/* Connects and sends `first`, which the other node gets by its ops->accept. The answer is a message or closed. */
struct sim_conn *sim_connect(struct sim_node *from, struct sim_node *to, const struct sim_message *first,
                             const struct sim_end_ops *ops, void *ctx);
/* In accept: who hears of this connection from now on. */
void sim_accept(struct sim_conn *c, const struct sim_end_ops *ops, void *ctx);
void sim_send(struct sim_conn *c, const struct sim_node *from, const struct sim_message *m);
/* Ends it after what was sent. Nothing more is heard on this side. Accepts NULL. */
void sim_close(struct sim_conn *c, const struct sim_node *from);

/* The fault: messages under way are lost, each side hears of it within delay_ms_max. False when there is none to break. */
bool sim_net_break_one(struct world *w, int64_t delay_ms_max);
void sim_net_node_gone(struct sim_node *n);
void sim_net_free_all(struct world *w);
