/* SPDX-License-Identifier: Apache-2.0
 * session.h - the conversation of one scheduler with the master, as a step function: subscribe, fail over, redirects,
 * heartbeats, ordered calls, reconciliation, suppress and revive. Owned by a shell (scheduler.c), a framework's core or the
 * simulator. It knows no sockets and decides nothing about tasks: offers and updates pass through.
 *
 *   IDLE --START--> CONNECTING --stream + SUBSCRIBED--> SUBSCRIBED
 *                    ^   | refused, closed, too late        | closed, heartbeats missed, call not deliverable
 *                    |   v                                  v
 *                    WAITING (back-off) <-------------------+          ERROR event, STOP, TEARDOWN done --> STOPPED (final)
 *
 * Facts: mesos 1.1-1.6, 1.12. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/arena.h"
#include "common/base/err.h"
#include "common/wire/codec.h"
#include "mesos/v1/scheduler.pb-c.h"

#define SDK_BACKOFF_MS_MIN 100
#define SDK_BACKOFF_MS_MAX 10000
#define SDK_SUBSCRIBE_TIMEOUT_MS 15000 /* from CONNECT to the SUBSCRIBED event */
#define SDK_HEARTBEATS_MISSED_MAX 5
#define SDK_REDIRECTS_MAX 5        /* in a row, then back-off */
#define SDK_RECONCILE_MS_MIN 1000  /* first repetition for tasks without an answer, doubling ... */
#define SDK_RECONCILE_MS_MAX 30000 /* ... up to this */
#define SDK_RECONCILE_BATCH 1000   /* tasks per RECONCILE call */
#define SDK_MASTERS_MAX 16
#define SDK_CALL_SLOTS 16 /* calls out at a time. Slot 0 keeps the order of all but acknowledgements, which need none */

struct sdk_session;

struct sdk_session_config {
    const char *const *masters; /* "host:port", 1..SDK_MASTERS_MAX, tried in turn */
    size_t master_count;
    const Mesos__V1__FrameworkInfo *framework; /* copied; its id field is ignored */
    const char *framework_id;                  /* of an earlier run (fail-over), NULL or "" for a new framework */
    enum wire_format format;                   /* of calls; the stream's decoding is the shell's */
    bool offers_wanted;                        /* false: subscribe with every role suppressed */
    int64_t revive_interval_ms;                /* two REVIVE calls are at least this apart; 0: 1000 */
    size_t calls_max;                          /* waiting calls; 0: 4096 */
    size_t call_bytes_max;                     /* their bytes together; 0: 64 MiB */
    uint64_t seed;
};

struct sdk_task {
    const char *task_id;
    const char *agent_id; /* NULL: unknown */
};

enum sdk_event_type {
    SDK_EVENT_START,
    SDK_EVENT_TICK,      /* time passed; due work is done in every step anyway */
    SDK_EVENT_ANSWER,    /* status line and headers of the SUBSCRIBE request */
    SDK_EVENT_RECEIVED,  /* one event of the stream */
    SDK_EVENT_CLOSED,    /* the stream ended, or the request never got an answer */
    SDK_EVENT_CALL_DONE, /* the answer to a SEND */
    SDK_EVENT_CALL,      /* the framework wants this sent; see the results of sdk_session_step */
    SDK_EVENT_TASKS,     /* every task the framework believes alive: starts reconciliation; due after each SUBSCRIBED */
    SDK_EVENT_WANT,      /* new demand: offers are wanted, filters should go (REVIVE, rate-limited) */
    SDK_EVENT_UNWANT,    /* nothing to launch: SUPPRESS */
    SDK_EVENT_STOP,      /* close without TEARDOWN: tasks stay, a later session may take over */
};

/* Pointers are borrowed for the step. */
struct sdk_event {
    enum sdk_event_type type;
    int64_t now_ms;
    uint64_t connection; /* ANSWER, RECEIVED, CLOSED, CALL_DONE: from the effect; events of old connections are ignored */
    union {
        struct {
            int status;
            const char *stream_id; /* Mesos-Stream-Id, NULL if absent */
            const char *location;  /* Location, NULL if absent */
            const char *text;      /* body of an error answer, may be NULL */
        } answer;
        const Mesos__V1__Scheduler__Event *received;
        struct {
            int error;        /* negative errno or 0 for an orderly end */
            const char *text; /* may be NULL */
        } closed;
        struct {
            unsigned slot;    /* from the effect */
            int status;       /* 0: no answer, see error */
            int error;        /* negative errno */
            const char *text; /* body of an error answer or what went wrong, may be NULL */
        } call_done;
        const Mesos__V1__Scheduler__Call *call; /* framework_id is filled in by the session; SUBSCRIBE is not allowed */
        struct {
            const struct sdk_task *list;
            size_t count;
        } tasks;
    };
};

enum sdk_effect_type {
    /* for the transport */
    SDK_EFFECT_CONNECT, /* open the stream: POST the body to `address`, Accept the same format */
    SDK_EFFECT_CLOSE,   /* drop the stream of `connection` and its calls in flight; nothing of it is heard any more */
    SDK_EFFECT_SEND,    /* POST one call with header Mesos-Stream-Id; one is out in a slot at a time */
    /* for the framework */
    SDK_EFFECT_SUBSCRIBED,   /* step SDK_EVENT_TASKS soon; store the id before launching anything */
    SDK_EFFECT_DISCONNECTED, /* calls not answered yet may or may not have been done; offers are void */
    SDK_EFFECT_EVENT,        /* offers, inverse offers, rescinds, updates, operation updates, messages, failures */
    SDK_EFFECT_SETTLED,      /* every task of SDK_EVENT_TASKS was answered: what is missing may be launched now */
    SDK_EFFECT_CALL_REFUSED, /* the master answered a call with 4xx/5xx */
    SDK_EFFECT_ERROR,        /* the master ended this framework; final */
    SDK_EFFECT_STOPPED,      /* after STOP or a delivered TEARDOWN; final */
};

struct sdk_effect {
    enum sdk_effect_type type;
    uint64_t connection;
    union {
        struct {
            const char *address; /* host:port */
            const uint8_t *body;
            size_t body_len;
        } connect;
        struct {
            const char *address, *stream_id;
            Mesos__V1__Scheduler__Call__Type call;
            unsigned slot; /* below SDK_CALL_SLOTS */
            const uint8_t *body;
            size_t body_len;
        } send;
        struct {
            const char *framework_id;
            const Mesos__V1__MasterInfo *master; /* may be NULL */
        } subscribed;
        struct {
            const char *text;
        } disconnected, error;
        const Mesos__V1__Scheduler__Event *event;
        struct {
            Mesos__V1__Scheduler__Call__Type call;
            int status;
            const char *text;
        } refused;
    };
};

/* Effects of the newest step, in the order they are to be done. Valid until the next step with the same struct. */
struct sdk_effects {
    struct arena *arena;
    struct sdk_effect *items;
    size_t count, capacity;
};
void sdk_effects_init(struct sdk_effects *out);
void sdk_effects_deinit(struct sdk_effects *out);

/* Copies the configuration. NULL with a text when it is unusable: no master, FrameworkInfo without user or name, ... */
struct sdk_session *sdk_session_new(const struct sdk_session_config *config, struct err *err);
struct sdk_session *sdk_session_free(struct sdk_session *s); /* accepts NULL, returns NULL */

/* Results of a step with SDK_EVENT_CALL (or TASKS); 0 for every other event. */
enum {
    SDK_E_DISCONNECTED = 1, /* not subscribed: the call is dropped, nothing will be told about it */
    SDK_E_FULL = 2,         /* too many calls wait: try again after some are done */
    SDK_E_INVALID = 3,      /* SUBSCRIBE, or a call that lacks a required part */
};
int sdk_session_step(struct sdk_session *s, const struct sdk_event *in, struct sdk_effects *out);
/* When the next step is due at the latest, INT64_MAX: never. */
int64_t sdk_session_next_deadline(const struct sdk_session *s);

bool sdk_session_is_subscribed(const struct sdk_session *s);
/* Has a round of reconciliation been completed in the present subscription? Later rounds do not unsettle. */
bool sdk_session_is_settled(const struct sdk_session *s);
bool sdk_session_is_stopped(const struct sdk_session *s);
const char *sdk_session_framework_id(const struct sdk_session *s); /* "" before the first SUBSCRIBED */
size_t sdk_session_calls_waiting(const struct sdk_session *s);
void sdk_session_check_invariants(const struct sdk_session *s);
