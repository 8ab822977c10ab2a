/* SPDX-License-Identifier: Apache-2.0
 * client_internal.h - what the files of the client share: client.c (calls, time-outs, pools) and client_connection.c
 * (sockets). A connection serves one call at a time; nothing of it is freed under a caller: dead connections and calls
 * that failed at once are dealt with from the work timer. */
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "common/base/heap.h"
#include "common/base/list.h"
#include "common/base/map.h"
#include "common/http/client.h"
#include "common/http/parse.h"

struct http_client {
    struct loop *loop;
    struct map pools; /* by address */
    struct list calls;
    struct list failed; /* calls that end in the next turn */
    struct list dead;   /* connections to be freed */
    struct heap call_deadlines, idle_deadlines;
    struct loop_timer *work_timer, *deadline_timer;
    int64_t deadline_armed_ms;
    uint8_t *read_buffer;
    int depth; /* callbacks on the stack */
};

/* One address. Lives while it has connections or calls. */
struct client_pool {
    struct http_client *client;
    char *key;
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
        struct sockaddr_un local;
    } address;
    socklen_t address_len;
    struct list idle; /* connections, the one used last in front */
    size_t idle_count;
    size_t counted; /* connections that serve ordinary calls */
    size_t connections, calls;
    struct list waiting; /* calls without a connection */
};

struct client_connection {
    struct list in_pool; /* while idle */
    struct list in_dead;
    struct heap_node idle_deadline;
    struct client_pool *pool;
    int fd;
    struct loop_fd *watch;
    struct http_parse parse;
    struct http_call *call; /* NULL: idle or dead */
    bool is_connecting, is_dead, is_counted;
    bool was_used;         /* has served a call before: the server may just be closing it */
    bool has_answer_bytes; /* of the present call */
};

struct http_call {
    struct list in_client, in_waiting, in_failed;
    struct heap_node deadline;
    struct http_client *client;
    struct client_pool *pool;
    struct client_connection *connection;
    struct http_callbacks callbacks;
    void *ctx;
    uint8_t *bytes; /* the whole request, kept for a second try */
    size_t len, sent;
    size_t body_bytes_max;
    int64_t connect_deadline_ms, deadline_ms;
    int error; /* while in client->failed */
    const char *text;
    bool has_open_body; /* more may come by http_call_send */
    bool is_stream, is_fresh, is_idempotent, is_head, is_retry;
    bool has_head; /* headers_done was called */
};

/* client.c */
void client_schedule_work(struct http_client *c);
void client_arm(struct http_client *c);
void client_watch_call(struct http_call *call);
/* Gives the call a connection, or lets it wait, or puts it on the failed list. */
void client_dispatch(struct http_call *call);
void client_dispatch_waiting(struct client_pool *pool);
void client_pool_drop_if_unused(struct client_pool *pool);
/* The end of a call, with its callback. The call is freed first. */
void client_finish(struct http_call *call, const struct http_message *response, int error, const char *text);

/* client_connection.c */
/* 0 or a negative errno; text is what failed. */
int client_connection_open(struct http_call *call, const char **text);
/* Has the server neither closed this idle connection nor sent anything? A POST could not be repeated. */
bool client_connection_is_quiet(const struct client_connection *k);
void client_connection_assign(struct client_connection *k, struct http_call *call);
/* Sends what the socket takes of what the call has. */
void client_connection_send(struct client_connection *k);
void client_connection_kill(struct client_connection *k);
void client_connection_free(struct client_connection *k);
