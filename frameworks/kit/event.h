/* SPDX-License-Identifier: Apache-2.0
 * event.h - what goes into and comes out of the core of any of our frameworks: events from scheduler, store, API and clock;
 * effects for their shell. Plain data. Pointers inside an event are borrowed for the step; effects live until the next
 * step. What only one framework has travels behind `request` and `own`, whose types its own event.h names. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/ids.h"
#include "mesos/v1/mesos.pb-c.h"
#include "mesos/v1/scheduler.pb-c.h"

/* -- events --------------------------------------------------------------------------------------------------- */

struct kit_item { /* one stored key and its value */
    const void *key;
    size_t key_len;
    const void *value;
    size_t value_len;
};

enum kit_event_type {
    KIT_EVENT_STARTED, /* first event of a run: everything that is stored */
    KIT_EVENT_STORE_DONE,
    KIT_EVENT_READ_DONE,
    KIT_EVENT_SUBSCRIBED,
    KIT_EVENT_OFFERS,
    KIT_EVENT_RESCIND,
    KIT_EVENT_UPDATE,
    KIT_EVENT_FAILURE, /* an agent was removed or an executor ended */
    KIT_EVENT_DISCONNECTED,
    KIT_EVENT_SETTLED, /* reconciliation after the (re)subscription is complete: launching is safe */
    KIT_EVENT_REQUEST,
    KIT_EVENT_TICK, /* the core's next deadline has passed */
    KIT_EVENT_OWN,
};

struct kit_event {
    enum kit_event_type type;
    int64_t now_ms;  /* monotonic */
    int64_t wall_ms; /* since 1970 */
    union {
        struct {
            const struct kit_item *items;
            size_t item_count;
        } started;
        struct {
            uint64_t token;
            int result; /* 0 or negative errno */
        } store_done;
        struct {
            uint64_t token;
            int result;
            const struct kit_item *items;
            size_t item_count;
        } read_done;
        struct {
            const char *framework_id;
            const char *master;        /* "host:port" for the event stream, may be NULL */
            const char *master_region; /* fault domain of the master, may be NULL */
        } subscribed;
        struct {
            Mesos__V1__Offer *const *offers;
            size_t count;
        } offers;
        const char *rescind; /* offer id */
        const Mesos__V1__TaskStatus *update;
        struct {
            const char *agent_id, *executor_id; /* either may be NULL */
        } failure;
        const void *request;
        const void *own;
    };
};

/* -- effects -------------------------------------------------------------------------------------------------- */

struct kit_write {
    const char *key;
    const void *value; /* NULL: delete */
    size_t value_len;
};

struct kit_header {
    const char *name, *value;
};

enum kit_effect_type {
    KIT_EFFECT_START_SCHEDULER, /* subscribe, with this framework id or as a new framework */
    KIT_EFFECT_CALL,
    KIT_EFFECT_ACKNOWLEDGE, /* the update's state is durable */
    KIT_EFFECT_WANT_OFFERS, /* true also means: offers declined before are wanted again */
    KIT_EFFECT_STORE,
    KIT_EFFECT_READ,
    KIT_EFFECT_REPLY,
    KIT_EFFECT_PUBLISH, /* one event for the event stream */
    KIT_EFFECT_TRACE,
    KIT_EFFECT_FATAL, /* the process must end; a restart continues */
    KIT_EFFECT_OWN,
};

struct kit_effect {
    enum kit_effect_type type;
    union {
        const char *framework_id; /* START_SCHEDULER; NULL: new */
        const Mesos__V1__Scheduler__Call *call;
        struct {
            const char *agent_id, *task_id;
            const uint8_t *uuid;
            size_t uuid_len;
        } acknowledge;
        bool want_offers;
        struct { /* all or nothing, in the order of the effects; STORE_DONE brings the token back */
            uint64_t token;
            const struct kit_write *writes;
            size_t count;
        } store;
        struct { /* keys with this prefix behind `after`, in key order; sees every write given before. READ_DONE answers. */
            uint64_t token;
            const char *prefix;
            const char *after; /* NULL: from the first */
            size_t limit;      /* items, 0: all */
        } read;
        struct {
            request_id id;
            int status;
            const char *body; /* NULL: none */
            size_t body_len;
            const char *content_type; /* NULL: JSON */
            const struct kit_header *headers;
            size_t header_count;
        } reply;
        struct {
            const char *event_type;
            const char *json; /* one line */
        } publish;
        const char *text; /* TRACE, FATAL */
        const void *own;
    };
};

/* Borrowed from the core until its next step. */
struct kit_effects {
    const struct kit_effect *items;
    size_t count;
};
