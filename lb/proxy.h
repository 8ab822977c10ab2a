/* SPDX-License-Identifier: Apache-2.0
 * proxy.h - the parts of the user-space plane, for its own files only.
 *
 *   plane_proxy.c   the shell's thread: VIPs, listeners, threads
 *   proxy_vip.c     back ends of a VIP, picking, ejection; shared by all threads under the VIP's lock
 *   proxy_worker.c  a thread: epoll, commands, deadlines
 *   proxy_tcp.c     connections        proxy_udp.c  flows
 *
 * A TCP listener is in the epoll set of every worker (EPOLLEXCLUSIVE), so ten thousand VIPs are ten thousand descriptors,
 * whatever the number of threads. The kernel wakes the same thread again and again when clients come one by one, so a
 * worker that has clearly more connections than another passes new ones on. A UDP VIP belongs to one worker, which alone
 * knows its flows.
 *
 * A VIP that goes is taken out of the epoll sets first; each worker then gets a command, which it carries out between two
 * batches of events, when it can hold no event of it any more, and gives up its reference. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "common/base/list.h"
#include "common/base/map.h"
#include "common/base/rng.h"
#include "lb/plane.h"

#define PROXY_THREADS_MAX 64
#define PROXY_TRIES_MAX 4
#define PROXY_BUFFER_SIZE (64u << 10)
#define PROXY_BATCH_SIZE (64u << 10)
#define PROXY_DATAGRAMS 16 /* in one call */

/* First field of everything an epoll event points to. */
enum proxy_kind { PROXY_WAKE, PROXY_LISTENER, PROXY_CLIENT, PROXY_SERVER, PROXY_UDP, PROXY_FLOW };

struct proxy_count {
    atomic_uint_fast64_t connections, failures, bytes_in, bytes_out;
    atomic_uint_fast32_t active;
};

struct proxy_backend {
    atomic_uint refs;
    struct lb_endpoint at;
    struct proxy_count count;
    atomic_uint failures_in_a_row;
    atomic_int_fast64_t ejected_until_ms;
};

struct proxy_vip {
    enum proxy_kind kind; /* PROXY_LISTENER or PROXY_UDP */
    atomic_uint refs;
    int fd; /* -1: see problem */
    struct lb_endpoint at;
    struct proxy *proxy;
    struct proxy_count count;
    char problem[160]; /* of the shell's thread */

    pthread_mutex_t lock; /* of what follows */
    struct proxy_backend **backends;
    size_t backend_count, open_count; /* the open ones, which get new connections, come first */

    struct map flows; /* of the owning worker: struct proxy_flow by client */
};

struct proxy {
    struct lb_plane plane;
    struct lb_proxy_config config;
    struct map vips; /* of the shell's thread: struct proxy_vip by endpoint */
    struct proxy_worker *workers;
    unsigned worker_count;
    atomic_size_t descriptors;
};

enum proxy_command_type { PROXY_RETIRE, PROXY_PRUNE, PROXY_SERVE, PROXY_STOP };
struct proxy_command {
    struct list in_queue;
    enum proxy_command_type type;
    struct proxy_vip *vip; /* with a reference */
    int client;            /* of SERVE: accepted by another thread */
};

struct proxy_pipe {
    int read_fd, write_fd;
    struct proxy_pipe *next;
};

struct proxy_worker {
    enum proxy_kind kind; /* PROXY_WAKE: its eventfd points here */
    struct proxy *proxy;
    pthread_t thread;
    int epoll_fd, wake_fd, reserve_fd;
    pthread_mutex_t lock; /* of commands */
    struct list commands;
    bool is_stopping;
    atomic_uint connections; /* which others read to share them out */

    struct rng rng;
    int64_t now_ms;
    struct list connecting; /* by deadline */
    struct list ready;      /* more to do without an event */
    struct list open;       /* everybody else, for the end */
    struct list dead;       /* closed in this batch; events of the batch may still point to them */
    struct list flows;      /* the longest silent first */
    struct list dead_flows;
    struct proxy_pipe *pipes; /* empty ones */
    size_t pipe_count;
    struct list batch; /* with something read and not sent yet */
    uint8_t *buffer;   /* PROXY_BATCH_SIZE and PROXY_BUFFER_SIZE */
    size_t batched;    /* bytes of it that wait to be sent */
    struct proxy_datagrams *datagrams;
};

/* -- proxy_vip.c ------------------------------------------------------------------------------------------------- */

/* Replaces the back ends; those that stay keep their numbers. */
void proxy_vip_set(struct proxy_vip *vip, const struct lb_backend *backends, size_t count);
struct proxy_vip *proxy_vip_new(struct proxy *proxy, const struct lb_endpoint *at);
void proxy_vip_ref(struct proxy_vip *vip);
void proxy_vip_unref(struct proxy_vip *vip);
/* A back end with a reference that is none of the tried ones, or NULL. It counts as active from here on;
 * the caller takes that back. */
struct proxy_backend *proxy_vip_pick(struct proxy_vip *vip, struct proxy_worker *w, struct proxy_backend *const *tried,
                                     size_t tried_count);
bool proxy_vip_has(struct proxy_vip *vip, const struct proxy_backend *backend);
void proxy_backend_unref(struct proxy_backend *backend);
void proxy_backend_failed(struct proxy_worker *w, struct proxy_backend *backend);
void proxy_backend_worked(struct proxy_backend *backend);

/* -- proxy_worker.c ---------------------------------------------------------------------------------------------- */

int proxy_worker_start(struct proxy_worker *w, struct proxy *proxy, uint64_t seed, struct err *err);
void proxy_workers_stop(struct proxy *proxy); /* waits for their end */
/* client: -1, or the descriptor that SERVE hands over. */
void proxy_worker_send(struct proxy_worker *w, enum proxy_command_type type, struct proxy_vip *vip, int client);
/* Takes count descriptors of the process's share. False: there are no more. */
bool proxy_take_descriptors(struct proxy *proxy, size_t count, size_t spare);
void proxy_give_descriptors(struct proxy *proxy, size_t count);

/* -- proxy_tcp.c ------------------------------------------------------------------------------------------------- */

struct proxy_conn;
void proxy_tcp_on_listener(struct proxy_worker *w, struct proxy_vip *vip);
void proxy_tcp_serve(struct proxy_worker *w, struct proxy_vip *vip, int client);
void proxy_tcp_on_event(struct proxy_worker *w, enum proxy_kind *side, uint32_t events);
void proxy_tcp_run_ready(struct proxy_worker *w);
void proxy_tcp_send_batch(struct proxy_worker *w);
void proxy_tcp_expire(struct proxy_worker *w);
int64_t proxy_tcp_deadline(const struct proxy_worker *w); /* INT64_MAX: none */
void proxy_tcp_free_dead(struct proxy_worker *w);
void proxy_tcp_end(struct proxy_worker *w); /* closes everything */

/* -- proxy_udp.c ------------------------------------------------------------------------------------------------- */

void proxy_udp_on_vip(struct proxy_worker *w, struct proxy_vip *vip);
void proxy_udp_on_flow(struct proxy_worker *w, enum proxy_kind *flow);
void proxy_udp_prune(struct proxy_worker *w, struct proxy_vip *vip);  /* ends flows to back ends that are gone */
void proxy_udp_retire(struct proxy_worker *w, struct proxy_vip *vip); /* ends all its flows */
void proxy_udp_expire(struct proxy_worker *w);
int64_t proxy_udp_deadline(const struct proxy_worker *w);
void proxy_udp_free_dead(struct proxy_worker *w);
void proxy_udp_end(struct proxy_worker *w);
