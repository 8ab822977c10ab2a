/* SPDX-License-Identifier: Apache-2.0
 * event.h - everything that goes into the agent's core and everything that comes out, as data.
 *
 * Pointers inside an event are borrowed for the step. Effects live in the arena of struct agent_effects until the next
 * step (or agent_effects_reset) and are to be carried out in their order. What must be durable before the world may know
 * waits inside the core for AGENT_IN_STORE_DONE, so a shell that carries effects out in order needs no rules of its own. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/arena.h"
#include "common/base/ids.h"
#include "common/base/log.h"
#include "common/port/launcher.h"
#include "common/port/store.h"
#include "mesos/v1/executor.pb-c.h"
#include "muster/link.pb-c.h"

/* -- inputs --------------------------------------------------------------------------------------------------- */

struct agent_item { /* one pair of the store, as it was given to AGENT_OUT_STORE */
    const void *key;
    size_t key_len;
    const void *value;
    size_t value_len;
};

enum agent_event_type {
    AGENT_IN_STARTED = 1, /* once, first: what the store holds */
    AGENT_IN_STORE_DONE,  /* the write with this token is on disk; in the order of the writes */
    AGENT_IN_LINK_UP,     /* the link asked for by AGENT_OUT_LINK_OPEN speaks muster-link/1 */
    AGENT_IN_LINK_MESSAGE,
    AGENT_IN_LINK_DOWN,     /* it could not be opened, or is gone */
    AGENT_IN_EXECUTOR_CALL, /* POST /api/v1/executor, parsed; for SUBSCRIBE `stream` is the stream it may become */
    AGENT_IN_STREAM_CLOSED, /* an executor's stream is gone, not by AGENT_OUT_STREAM_CLOSE */
    AGENT_IN_CONTAINER_STARTED,
    AGENT_IN_CONTAINER_ENDED,
    AGENT_IN_CONTAINERS_RECOVERED, /* the answer to AGENT_OUT_RECOVER is complete */
    AGENT_IN_SANDBOX_REMOVED,      /* the answer to AGENT_OUT_REMOVE_SANDBOX */
    AGENT_IN_VOLUMES_DONE,         /* the answer to AGENT_OUT_VOLUMES */
    AGENT_IN_UNREGISTER,           /* end every container, leave the cluster for good */
    AGENT_IN_TICK,                 /* agent_next_deadline has come */
};

struct agent_event {
    enum agent_event_type type;
    int64_t now_ms;  /* monotonic */
    int64_t wall_ms; /* since 1970 */
    union {
        struct {
            const struct agent_item *items;
            size_t count;
            const char *boot_id; /* differs after a reboot of the host: containers of before are gone */
        } started;
        struct {
            uint64_t token;
            int result; /* 0 or -errno: then the agent must not go on (AGENT_OUT_EXIT follows) */
        } store_done;
        struct {
            link_id link;
            const Muster__Link__MasterToAgent *message; /* AGENT_IN_LINK_MESSAGE */
            const char *text;                           /* AGENT_IN_LINK_DOWN: why */
        } link;
        struct {
            request_id request; /* answered by exactly one of AGENT_OUT_REPLY and AGENT_OUT_STREAM_OPEN */
            stream_id stream;   /* 0 unless the call is a SUBSCRIBE */
            const Mesos__V1__Executor__Call *call;
        } executor;
        stream_id stream_closed;
        struct {
            const char *id;
            int pid;
            const struct launcher_end *end;
        } container;
        struct {
            const char *container_id;
            int result; /* 0 or -errno; the agent does not ask again */
        } sandbox_removed;
        struct {
            const char *operation;
            int result;       /* 0 or -errno */
            const char *text; /* why not */
        } volumes_done;
    };
};

/* -- effects -------------------------------------------------------------------------------------------------- */

enum agent_effect_type {
    AGENT_OUT_LINK_OPEN =
        1, /* connect to the leading master, follow its redirect; then LINK_UP or LINK_DOWN with this id */
    AGENT_OUT_LINK_SEND,
    AGENT_OUT_LINK_CLOSE, /* no LINK_DOWN follows */
    AGENT_OUT_REPLY,
    AGENT_OUT_STREAM_OPEN, /* answer the request with 200 and begin this event stream */
    AGENT_OUT_STREAM_SEND,
    AGENT_OUT_STREAM_CLOSE, /* in order, after what was sent; no STREAM_CLOSED follows */
    AGENT_OUT_STORE,        /* at most one per step */
    AGENT_OUT_RECOVER,      /* launcher.recover with these containers */
    AGENT_OUT_LAUNCH,
    AGENT_OUT_UPDATE_LIMITS,
    AGENT_OUT_DESTROY,
    AGENT_OUT_REMOVE_SANDBOX, /* the directory and all below, at leisure; then SANDBOX_REMOVED */
    AGENT_OUT_VOLUMES,        /* make or remove persistent volumes; then VOLUMES_DONE */
    AGENT_OUT_TRACE,          /* one line for the log */
    AGENT_OUT_EXIT,           /* the agent has come to its end; the core takes no events after it */
};

struct agent_effect {
    enum agent_effect_type type;
    union {
        struct {
            link_id link;
            const Muster__Link__AgentToMaster *message;
        } link;
        struct {
            request_id request;
            int status;
            const char *text; /* NULL: no body */
        } reply;
        struct {
            stream_id stream;
            request_id request; /* AGENT_OUT_STREAM_OPEN */
            const Mesos__V1__Executor__Event *event;
        } stream;
        struct {
            const struct store_write *writes;
            size_t count;
            uint64_t token;
        } store;
        struct {
            const char *const *containers;
            size_t count;
        } recover;
        const struct launcher_spec *launch;
        struct {
            const char *container_id;
            struct launcher_limits limits;
        } update_limits;
        const char *destroy; /* container id */
        struct {
            const char *container_id;
            const char *path; /* relative to work_dir */
        } remove_sandbox;
        struct {
            const char *operation;
            Mesos__V1__Resource *const *list; /* validated persistent volumes */
            size_t count;
            bool is_create;
            bool is_repeated; /* it may have been done in part, or whole, before a crash */
        } volumes;
        struct {
            enum log_level level;
            const char *text;
        } trace;
        struct {
            int status; /* of the process */
            const char *text;
        } exit;
    };
};

struct agent_effects {
    struct agent_effect *list;
    size_t count, capacity;
    struct arena *arena;
};

void agent_effects_init(struct agent_effects *e);
void agent_effects_reset(struct agent_effects *e);
void agent_effects_deinit(struct agent_effects *e);
