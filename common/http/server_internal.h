/* SPDX-License-Identifier: Apache-2.0
 * server_internal.h - what the files of the server share: server.c (listener, time-outs), connection.c (bytes in and out),
 * exchange.c (answers).
 *
 * A connection holds its exchanges in the order of their requests. Only the first one writes into the connection's output;
 * later ones collect their answer until it is their turn. Connections and exchanges never vanish under a caller: a broken
 * connection is doomed, and taken down from the work timer in a callback of its own. */
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "common/base/heap.h"
#include "common/base/list.h"
#include "common/http/gzip.h"
#include "common/http/output.h"
#include "common/http/parse.h"
#include "common/http/server.h"

#define READ_SIZE (64u << 10)
#define UNREAD_BYTES_MAX (64u << 10) /* received ahead of what may be parsed */
#define PIPELINE_MAX 16u             /* unanswered requests of one connection */
#define FLUSH_ABOVE (64u << 10)      /* output is not held back until the end of the turn beyond this */
#define LINGER_MS 2000               /* after the last answer, for the client to close first */
#define SPARE_EXCHANGES_MAX 64u

struct http_server {
    struct loop *loop;
    struct http_server_config config;
    http_handler_fn handler;
    void *ctx;
    int listen_fd;
    int spare_fd; /* given up to accept and close one connection when descriptors run out */
    struct loop_fd *listen_watch;
    struct loop_timer *accept_again;
    char *unix_path;
    uint16_t port;

    struct list connections;
    struct list idle; /* connections between requests, the longest idle in front */
    size_t connection_count;
    struct list dirty; /* output to send before the loop sleeps */
    struct list work;  /* doomed, or with input that may be parsed now */
    struct loop_idle *before_sleep;
    struct loop_timer *work_timer;
    struct heap deadlines; /* of connections; keys may lie before the true deadline, never behind */
    struct loop_timer *deadline_timer;
    int64_t deadline_armed_ms; /* INT64_MAX: not armed */

    uint8_t *read_buffer;
    struct http_exchange *spare[SPARE_EXCHANGES_MAX];
    size_t spare_count;
    struct gzip *gzip; /* made when first needed */
    size_t buffered_bytes;
    int64_t date_second;
    char date[40];
    int depth; /* handlers and closed calls on the stack */
};

struct connection {
    struct list in_server, in_idle, in_dirty, in_work;
    struct heap_node deadline;
    struct http_server *server;
    int fd;
    struct loop_fd *watch;
    struct http_parse parse;
    size_t counted_bytes; /* of server->buffered_bytes: of the body being read */
    struct buf unread;
    struct list exchanges;
    struct http_exchange *receiver; /* whose body is handed over as it comes, until it is complete or answered */
    bool is_body_paused;
    unsigned exchange_count, stream_count;
    struct output out;
    bool is_blocked; /* the socket takes no more */
    bool is_doomed;
    bool is_closing; /* no answer will follow those in out */
    bool is_lingering;
    bool is_at_eof;        /* the client sends no more; complete answers still go out */
    bool no_more_requests; /* what comes now is thrown away */
    size_t discarded_bytes;
    int64_t request_start_ms, progress_ms, idle_start_ms, linger_start_ms;
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } peer;
};

enum exchange_state { EXCHANGE_WAITING, EXCHANGE_STREAMING, EXCHANGE_DONE };

struct http_exchange {
    struct list in_connection;
    struct connection *connection;
    enum exchange_state state;
    struct http_message message;
    void *memory;
    struct buf body;
    size_t counted_bytes;
    struct arena *arena; /* made when first asked for */
    struct output out;   /* while this is not the first exchange */
    struct buf headers;  /* of http_add_header, as they are sent */
    size_t pending_bytes_max;
    bool keep_alive, is_head, is_http10, is_stream;
    void (*closed)(void *ctx, struct http_exchange *x);
    void *closed_ctx;
    void (*drained)(void *ctx, struct http_exchange *x);
    void *drained_ctx;
    http_body_fn body_fn;
    void *body_ctx;
    const void *user;
};

/* server.c */
const char *server_date(struct http_server *s);
void server_schedule_work(struct http_server *s);
void server_watch_deadline(struct http_server *s, struct connection *c, int64_t deadline_ms);

/* connection.c */
struct connection *connection_new(struct http_server *s, int fd, const struct sockaddr *peer, socklen_t peer_len);
void connection_doom(struct connection *c);
void connection_take_down(struct connection *c); /* with the closed calls; frees it */
void connection_mark_dirty(struct connection *c);
void connection_flush(struct connection *c);
void connection_resume(struct connection *c);
/* Puts the connection on the server's work when its first exchange waits for the client to have read. */
void connection_check_drained(struct connection *c);
void connection_tell_drained(struct connection *c);
void connection_on_deadline(struct connection *c, int64_t now_ms);
/* The first exchange is done: its successors' turn. */
void connection_advance(struct connection *c);
void connection_update(struct connection *c); /* interest, deadline and idleness after any change */
/* Puts the connection on the server's work when there is input that may be parsed now. */
void connection_plan_resume(struct connection *c);
/* Nobody takes what is left of the receiver's body: it and the connection's input end here. */
void connection_drop_body(struct connection *c);

/* exchange.c */
struct http_exchange *exchange_new(struct connection *c);
void exchange_recycle(struct http_exchange *x);
void exchange_send_continue(struct connection *c);
static inline struct http_exchange *connection_first(struct connection *c)
{
    return list_is_empty(&c->exchanges) ? NULL : container_of(c->exchanges.next, struct http_exchange, in_connection);
}
static inline struct http_exchange *connection_newest(struct connection *c)
{
    return list_is_empty(&c->exchanges) ? NULL : container_of(c->exchanges.prev, struct http_exchange, in_connection);
}
