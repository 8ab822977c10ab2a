/* SPDX-License-Identifier: Apache-2.0
 * zookeeper.h - port to one ZooKeeper client: nodes, watches and the session that ephemeral nodes live in. When a session
 * has expired, the client opens the next one by itself; whoever needs the same session looks at its id.
 *
 * Everything is asynchronous. Completions, watches and session events are called on the loop's thread, never inside the
 * call that asks for them. Operations are carried out and completed in the order they were given; a watch is told before
 * the completion of a read that already sees the change. Arguments are copied; what a callback gets ends with the callback.
 * Callbacks may give operations, but must not free the client.
 *
 * Implementations: common/real/zookeeper_c.c, and the simulator's (tests/sim/zookeeper_sim.c). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "common/base/list.h"

/* A server drops the connection of a client that sends a packet over jute.maxbuffer (1 MiB - 1 where nobody has changed
 * it). Paths, contents and some 64 bytes an operation count; a whole multi is one packet. */
#define ZOOKEEPER_PACKET_BYTES_MAX 1048575
#define ZOOKEEPER_NODE_BYTES_MAX (ZOOKEEPER_PACKET_BYTES_MAX - 8192) /* contents that fit whatever the path */
#define ZOOKEEPER_PATH_BYTES_MAX 1024                                /* with the terminator; ours, not the protocol's */
#define ZOOKEEPER_MULTI_MAX 1024                                     /* operations in a multi */
#define ZOOKEEPER_PENDING_MAX 8192                                   /* operations not yet completed: then -ENOBUFS */
#define ZOOKEEPER_PENDING_BYTES_MAX (32u << 20)                      /* and their bytes */
#define ZOOKEEPER_ANY_VERSION (-1)

/* Outcomes. Negative errnos beside them: -EINVAL (a path or an argument that no server accepts), -ENOBUFS, -EPROTO (the
 * server answered something else; it is in the log). */
enum zookeeper_outcome {
    ZOOKEEPER_OK = 0,
    ZOOKEEPER_E_NO_NODE = 1,
    ZOOKEEPER_E_NODE_EXISTS,
    ZOOKEEPER_E_NOT_EMPTY,
    ZOOKEEPER_E_BAD_VERSION,
    ZOOKEEPER_E_NO_AUTH,
    ZOOKEEPER_E_NO_CHILDREN,     /* the parent is ephemeral */
    ZOOKEEPER_E_TOO_BIG,         /* over the limits above: nothing was sent */
    ZOOKEEPER_E_NOT_CONNECTED,   /* given while there was no connection: nothing was sent */
    ZOOKEEPER_E_CONNECTION_LOSS, /* sent, the connection broke: it may have been done or not */
    ZOOKEEPER_E_SESSION_EXPIRED, /* likewise, and the session is over */
    ZOOKEEPER_E_BUSY,            /* the server throttles: nothing was done, ask later */
    ZOOKEEPER_E_ROLLED_BACK,     /* of an operation in a multi: another one failed */
};
static inline const char *zookeeper_outcome_text(int result)
{
    switch (result) {
    case ZOOKEEPER_OK:
        return "done";
    case ZOOKEEPER_E_NO_NODE:
        return "no such node";
    case ZOOKEEPER_E_NODE_EXISTS:
        return "the node exists";
    case ZOOKEEPER_E_NOT_EMPTY:
        return "the node has children";
    case ZOOKEEPER_E_BAD_VERSION:
        return "the node has another version";
    case ZOOKEEPER_E_NO_AUTH:
        return "not permitted";
    case ZOOKEEPER_E_NO_CHILDREN:
        return "the parent is ephemeral and can have no children";
    case ZOOKEEPER_E_TOO_BIG:
        return "too big for ZooKeeper";
    case ZOOKEEPER_E_NOT_CONNECTED:
        return "not connected";
    case ZOOKEEPER_E_CONNECTION_LOSS:
        return "connection lost";
    case ZOOKEEPER_E_SESSION_EXPIRED:
        return "session expired";
    case ZOOKEEPER_E_BUSY:
        return "the server is overloaded";
    case ZOOKEEPER_E_ROLLED_BACK:
        return "another operation of the transaction failed";
    default:
        return result < 0 ? strerror(-result) : "unknown outcome";
    }
}

/* CONNECTING ──▶ CONNECTED ◀──▶ SUSPENDED        AUTH_FAILED is final.
 *      ▲              └────▶ EXPIRED ◀────┘
 *      └──── at once ────────────┘             */
enum zookeeper_state {
    ZOOKEEPER_CONNECTING, /* no session yet */
    ZOOKEEPER_CONNECTED,  /* a new session, or the one before the suspension: the id tells */
    ZOOKEEPER_SUSPENDED,  /* connection lost; the session lives on until its time-out, unless somebody connects again */
    ZOOKEEPER_EXPIRED, /* the session is over, its ephemeral nodes are gone or going; all its watches are dropped untold */
    ZOOKEEPER_AUTH_FAILED, /* the servers refuse the credentials' scheme; a wrong password shows as NO_AUTH of operations */
};

struct zookeeper_session {
    enum zookeeper_state state;
    int64_t id;         /* as in a node's ephemeral_owner; 0: none yet. Of EXPIRED: the one that ended */
    int64_t timeout_ms; /* as granted by the server; before the first connection: as wanted */
    /* Until then (clock: zookeeper_now_ms) no server can have ended the session. It moves on with each answered request;
     * the client sends one often enough. It counts from the sending of the last answered request and leaves out a quarter
     * of the time-out: a server that dies may have answered without telling its leader (every half tick), and servers
     * grant no time-out below two ticks. 0: never was a session. */
    int64_t safe_until_ms;
};

struct zookeeper_stat {
    int64_t created_zxid, modified_zxid, children_zxid; /* ids of the transactions */
    int64_t created_ms, modified_ms;                    /* calendar of the server */
    int32_t version, children_version;                  /* set counts the first, children coming and going the second */
    int64_t ephemeral_owner;                            /* session id, 0: persistent */
    int32_t data_len, child_count;
};

struct zookeeper_reply {
    int result;
    const char *path;                  /* create: as made, with its number if sequential */
    const struct zookeeper_stat *stat; /* get, set, exists, get_children: on ZOOKEEPER_OK; else NULL */
    const void *data;                  /* get: on ZOOKEEPER_OK; may be NULL if data_len is 0 */
    size_t data_len;
    const char *const *children; /* get_children: names without the path, in no order */
    size_t child_count;
    const int *results;       /* multi: result of each operation, count as given; NULL if nothing was tried */
    const char *const *paths; /* multi: of the creates on ZOOKEEPER_OK, NULL for the others */
    size_t result_count;
};
typedef void (*zookeeper_done_fn)(void *ctx, const struct zookeeper_reply *reply);

enum zookeeper_change {
    ZOOKEEPER_NODE_CREATED,
    ZOOKEEPER_NODE_DELETED,
    ZOOKEEPER_NODE_CHANGED, /* its contents */
    ZOOKEEPER_CHILDREN_CHANGED,
};
/* One-shot: told once, then set again by the next read. Outlives suspensions: what happened meanwhile is told after the
 * reconnection. Dropped untold when the session expires or the read fails (exists: NO_NODE is no failure). Asking again for
 * one that is already set sets nothing anew. */
typedef void (*zookeeper_watch_fn)(void *ctx, enum zookeeper_change change, const char *path);

enum zookeeper_create_flags { ZOOKEEPER_PERSISTENT = 0, ZOOKEEPER_EPHEMERAL = 1, ZOOKEEPER_SEQUENCE = 2 };
enum zookeeper_acl {
    ZOOKEEPER_ACL_OPEN,    /* everybody everything */
    ZOOKEEPER_ACL_CREATOR, /* the creator's credentials everything, everybody reads; needs credentials */
};

enum zookeeper_op_kind { ZOOKEEPER_CREATE, ZOOKEEPER_SET, ZOOKEEPER_DELETE, ZOOKEEPER_CHECK };
struct zookeeper_op {
    enum zookeeper_op_kind kind;
    const char *path; /* absolute */
    const void *data; /* create, set */
    size_t data_len;
    int32_t version; /* set, delete, check: ZOOKEEPER_ANY_VERSION or the one that it must have */
    unsigned flags;  /* create */
    enum zookeeper_acl acl;
};

/* Tells every change of the session's state, in order. Intrusive: lives until it is removed. */
struct zookeeper_listener {
    struct list link;
    void (*fn)(void *ctx, const struct zookeeper_session *session);
    void *ctx;
};

/* A one-shot timer on the client's clock, so that users of a session need no loop of their own. Zeroed but for fn and ctx
 * before its first start; stopped before its memory goes. */
struct zookeeper_timer {
    void (*fn)(void *ctx);
    void *ctx;
    void *impl; /* the implementation's; NULL while stopped */
};

struct zookeeper;
struct zookeeper_ops {
    void (*write)(struct zookeeper *z, const struct zookeeper_op *op, zookeeper_done_fn done, void *ctx);
    void (*multi)(struct zookeeper *z, const struct zookeeper_op *ops, size_t count, zookeeper_done_fn done, void *ctx);
    void (*get)(struct zookeeper *z, const char *path, zookeeper_watch_fn watch, zookeeper_done_fn done, void *ctx);
    void (*exists)(struct zookeeper *z, const char *path, zookeeper_watch_fn watch, zookeeper_done_fn done, void *ctx);
    void (*children)(struct zookeeper *z, const char *path, zookeeper_watch_fn watch, zookeeper_done_fn done, void *ctx);
    void (*sync)(struct zookeeper *z, const char *path, zookeeper_done_fn done, void *ctx);
    void (*forget)(struct zookeeper *z, const void *ctx);
    int64_t (*now_ms)(const struct zookeeper *z);
    void (*timer_start)(struct zookeeper *z, struct zookeeper_timer *t, int64_t delay_ms);
    void (*timer_stop)(struct zookeeper *z, struct zookeeper_timer *t);
    void (*free)(struct zookeeper *z);
};
struct zookeeper {
    const struct zookeeper_ops *ops;
    struct zookeeper_session session; /* kept by the implementation */
    struct list listeners;
    struct list *next_told; /* while they are told, else NULL */
};

/* For implementations. */
static inline void zookeeper_init_base(struct zookeeper *z, const struct zookeeper_ops *ops, int64_t timeout_ms)
{
    *z = (struct zookeeper){.ops = ops, .session = {.state = ZOOKEEPER_CONNECTING, .timeout_ms = timeout_ms}};
    list_init(&z->listeners);
}
static inline void zookeeper_tell(struct zookeeper *z)
{
    for (struct list *it = z->listeners.next; it != &z->listeners; it = z->next_told) {
        struct zookeeper_listener *l = container_of(it, struct zookeeper_listener, link);
        z->next_told = it->next;
        l->fn(l->ctx, &z->session);
    }
    z->next_told = NULL;
}

static inline const struct zookeeper_session *zookeeper_session(const struct zookeeper *z)
{
    return &z->session;
}
static inline void zookeeper_listen(struct zookeeper *z, struct zookeeper_listener *l)
{
    list_push_back(&z->listeners, &l->link);
}
/* Also while listeners are told. */
static inline void zookeeper_unlisten(struct zookeeper *z, struct zookeeper_listener *l)
{
    if (z->next_told == &l->link)
        z->next_told = l->link.next;
    list_remove(&l->link);
}

/* op: a create, set or delete. */
static inline void zookeeper_write(struct zookeeper *z, const struct zookeeper_op *op, zookeeper_done_fn done, void *ctx)
{
    z->ops->write(z, op, done, ctx);
}
static inline void zookeeper_create(struct zookeeper *z, const char *path, const void *data, size_t data_len,
                                    unsigned flags, enum zookeeper_acl acl, zookeeper_done_fn done, void *ctx)
{
    struct zookeeper_op op = {
        .kind = ZOOKEEPER_CREATE, .path = path, .data = data, .data_len = data_len, .flags = flags, .acl = acl};
    z->ops->write(z, &op, done, ctx);
}
static inline void zookeeper_set(struct zookeeper *z, const char *path, const void *data, size_t data_len, int32_t version,
                                 zookeeper_done_fn done, void *ctx)
{
    struct zookeeper_op op = {.kind = ZOOKEEPER_SET, .path = path, .data = data, .data_len = data_len, .version = version};
    z->ops->write(z, &op, done, ctx);
}
static inline void zookeeper_delete(struct zookeeper *z, const char *path, int32_t version, zookeeper_done_fn done,
                                    void *ctx)
{
    struct zookeeper_op op = {.kind = ZOOKEEPER_DELETE, .path = path, .version = version};
    z->ops->write(z, &op, done, ctx);
}
/* All or none. The reply's result is that of the first operation that failed; count is 1 to ZOOKEEPER_MULTI_MAX. */
static inline void zookeeper_multi(struct zookeeper *z, const struct zookeeper_op *ops, size_t count,
                                   zookeeper_done_fn done, void *ctx)
{
    z->ops->multi(z, ops, count, done, ctx);
}
/* Reads are answered by the server one is connected to, which may lag behind the others: sync first where that matters.
 * watch may be NULL; get's is told when the node changes or goes, exists' also when it comes, get_children's when
 * children come or go or the node goes. */
static inline void zookeeper_get(struct zookeeper *z, const char *path, zookeeper_watch_fn watch, zookeeper_done_fn done,
                                 void *ctx)
{
    z->ops->get(z, path, watch, done, ctx);
}
static inline void zookeeper_exists(struct zookeeper *z, const char *path, zookeeper_watch_fn watch, zookeeper_done_fn done,
                                    void *ctx)
{
    z->ops->exists(z, path, watch, done, ctx);
}
static inline void zookeeper_get_children(struct zookeeper *z, const char *path, zookeeper_watch_fn watch,
                                          zookeeper_done_fn done, void *ctx)
{
    z->ops->children(z, path, watch, done, ctx);
}
/* The server catches up with all that was committed before; reads given after this see it. */
static inline void zookeeper_sync(struct zookeeper *z, const char *path, zookeeper_done_fn done, void *ctx)
{
    z->ops->sync(z, path, done, ctx);
}
/* No completion and no watch of this ctx is called any more. The operations themselves may still be done. */
static inline void zookeeper_forget(struct zookeeper *z, const void *ctx)
{
    z->ops->forget(z, ctx);
}

/* Milliseconds of a clock that never steps. */
static inline int64_t zookeeper_now_ms(const struct zookeeper *z)
{
    return z->ops->now_ms(z);
}
/* Starting again moves it. */
static inline void zookeeper_timer_start(struct zookeeper *z, struct zookeeper_timer *t, int64_t delay_ms)
{
    z->ops->timer_start(z, t, delay_ms);
}
static inline void zookeeper_timer_stop(struct zookeeper *z, struct zookeeper_timer *t)
{
    z->ops->timer_stop(z, t);
}

/* Ends the session if there is a connection (its ephemeral nodes go at once), forgets everything; nothing is called any
 * more. Timers and listeners must have been stopped before. Accepts NULL, returns NULL. */
static inline struct zookeeper *zookeeper_free(struct zookeeper *z)
{
    if (z)
        z->ops->free(z);
    return NULL;
}
