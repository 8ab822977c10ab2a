/* SPDX-License-Identifier: Apache-2.0
 * event.h - what the balancer's core is told and what it answers. Effects live until the next step. */
#pragma once

#include "common/base/arena.h"
#include "common/follow/picture.h"
#include "lb/endpoint.h"

enum lb_event_type {
    LB_EVENT_RECEIVED, /* one part of what the master's stream says */
    LB_EVENT_LOST,     /* the stream broke: the plan stays */
    LB_EVENT_CHECKED,  /* the end of a CHECK */
    LB_EVENT_FLUSH,    /* a turn is over: give the changes gathered since the last one */
    LB_EVENT_TICK,     /* lb_next_deadline has come */
};

struct lb_event {
    enum lb_event_type type;
    int64_t now_ms; /* of a clock that never steps */
    union {
        const struct picture_part *received;
        struct {
            struct lb_endpoint target;
            bool is_up;
        } checked;
    };
};

/* One place that a VIP leads to. A draining one keeps its connections and gets no new ones. */
struct lb_backend {
    struct lb_endpoint at;
    bool is_draining;
};

/* The present state of one VIP; it replaces what was said of this address before. */
struct lb_change {
    struct lb_endpoint vip;
    const char *name;                  /* "web.marathon" of a named VIP, "" of one given by its address */
    bool is_removed;                   /* then without back ends */
    const struct lb_backend *backends; /* sorted, no address twice, all of the VIP's address family and protocol */
    size_t backend_count;
};

enum lb_effect_type {
    LB_EFFECT_CHANGES, /* for the data plane; removals come first */
    LB_EFFECT_CHECK,   /* connect to the target and close; CHECKED tells */
    LB_EFFECT_TRACE,   /* a line for the log */
};

struct lb_effect {
    enum lb_effect_type type;
    union {
        struct {
            const struct lb_change *items;
            size_t count;
        } changes;
        struct lb_endpoint check;
        const char *text;
    };
};

struct lb_effects {
    struct lb_effect *items;
    size_t count;
};
