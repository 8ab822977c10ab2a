/* SPDX-License-Identifier: Apache-2.0
 * event.h - what goes into the master's core and what comes out of it. Both are plain data: the shell makes events of
 * sockets, timers and the store and carries the effects out; the simulator does the same without any of these.
 *
 * Borrowing: everything an event points to must live until its step has returned and the effects of that step were
 * carried out, because effects may point into the event (a forwarded status is not copied). Effects die with the next
 * step that is given the same struct master_effects.
 *
 * Order: effects are carried out in the order of the array. STORE never blocks: it is answered by STORE_DONE in a later
 * step. Whatever depends on it is not in this array, the core sends it after that event. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/arena.h"
#include "common/base/ids.h"
#include "common/port/store.h"
#include "mesos/v1/master.pb-c.h"
#include "mesos/v1/scheduler.pb-c.h"
#include "muster/link.pb-c.h"

/* -- events ----------------------------------------------------------------------------------------------------- */

enum master_event_type {
    MASTER_EVENT_STARTED,    /* once, first: everything the store holds */
    MASTER_EVENT_STORE_DONE, /* the write with this token is on disk, or failed */
    MASTER_EVENT_LINK_UP,    /* an agent's connection was upgraded */
    MASTER_EVENT_LINK_MESSAGE,
    MASTER_EVENT_LINK_DOWN,       /* gone; not sent after a LINK_CLOSE effect */
    MASTER_EVENT_SUBSCRIBE,       /* scheduler SUBSCRIBE; the stream is open already (status 200, stream id sent) */
    MASTER_EVENT_CALL,            /* any other scheduler call, checked by master_call_check */
    MASTER_EVENT_STREAM_CLOSED,   /* a scheduler's stream is gone; not sent after a STREAM_CLOSE effect */
    MASTER_EVENT_STREAM_PRESSURE, /* a scheduler reads slowly (on) or has caught up (off): no new offers meanwhile */
    MASTER_EVENT_OPERATOR_CALL,   /* a change asked for by an operator */
    MASTER_EVENT_OBSERVERS,       /* number of operator event streams changed */
    MASTER_EVENT_TICK,            /* master_next_deadline() was reached */
};

struct master_item {
    const void *key;
    size_t key_len;
    const void *value;
    size_t value_len;
};

struct master_event {
    enum master_event_type type;
    int64_t now_ms;  /* of a clock that never steps; never goes back from event to event */
    int64_t wall_ms; /* milliseconds since 1970, for records */
    union {
        struct {
            const struct master_item *items;
            size_t count;
        } started;
        struct {
            uint64_t token;
            int result; /* 0 or negative errno */
        } store_done;
        struct {
            link_id link;
            const char *peer_ip; /* numeric address of the agent */
        } link_up;
        struct {
            link_id link;
            const Muster__Link__AgentToMaster *message;
        } link_message;
        struct {
            link_id link;
        } link_down;
        struct {
            stream_id stream;      /* new */
            const char *principal; /* authenticated, NULL without authentication */
            const Mesos__V1__Scheduler__Call *call;
        } subscribe;
        struct {
            request_id request;
            /* The stream that the Mesos-Stream-Id header names: 0 if it names none; has_stream_header tells a missing
             * header from a wrong one. */
            stream_id stream;
            bool has_stream_header;
            const char *principal;
            const Mesos__V1__Scheduler__Call *call;
        } call;
        struct {
            stream_id stream;
        } stream_closed;
        struct {
            stream_id stream;
            bool on;
        } stream_pressure;
        struct {
            request_id request;
            const char *principal;
            const Mesos__V1__Master__Call *call;
        } operator_call;
        struct {
            size_t count;
        } observers;
    };
};

/* -- effects ---------------------------------------------------------------------------------------------------- */

enum master_effect_type {
    MASTER_EFFECT_LINK_SEND,
    MASTER_EFFECT_LINK_CLOSE, /* after what was sent before */
    MASTER_EFFECT_STREAM_SEND,
    MASTER_EFFECT_STREAM_CLOSE,   /* ends the stream in order, after what was sent before */
    MASTER_EFFECT_REPLY,          /* exactly one per CALL and OPERATOR_CALL event, maybe in a later step */
    MASTER_EFFECT_STORE,          /* one atomic batch */
    MASTER_EFFECT_OPERATOR_EVENT, /* to every operator event stream; only made while there are observers */
    MASTER_EFFECT_TRACE,          /* one line for the log */
    MASTER_EFFECT_FATAL,          /* the master must end (and be started again): it cannot keep its promises */
};

struct master_effect {
    enum master_effect_type type;
    union {
        struct {
            link_id link;
            const Muster__Link__MasterToAgent *message;
        } link_send;
        struct {
            link_id link;
        } link_close;
        struct {
            stream_id stream;
            const Mesos__V1__Scheduler__Event *event;
        } stream_send;
        struct {
            stream_id stream;
        } stream_close;
        struct {
            request_id request;
            int status;       /* HTTP status */
            const char *text; /* for people, NULL: no body */
        } reply;
        struct {
            uint64_t token;
            const struct store_write *writes;
            size_t count;
        } store;
        struct {
            const Mesos__V1__Master__Event *operator_event;
            const char *framework_user, *task_user; /* whom it is about: not all may see them; NULL: nobody */
        };
        struct {
            bool warning;
            const char *text;
        } trace;
        struct {
            const char *text;
        } fatal;
    };
};

struct master_effects {
    struct arena *arena;
    struct master_effect *items;
    size_t count, capacity;
};

void master_effects_init(struct master_effects *out);
void master_effects_deinit(struct master_effects *out);
void master_effects_reset(struct master_effects *out);
/* Appends one effect, zeroed but for its type. The pointer is valid until the next push. */
struct master_effect *master_effects_push(struct master_effects *out, enum master_effect_type type);
