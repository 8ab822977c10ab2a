/* SPDX-License-Identifier: Apache-2.0
 * shell.h - the master as a server: makes events of HTTP requests, links, the store and time, and carries out the effects
 * of the core. One loop, one thread. It decides nothing about the cluster.
 *
 * Within one turn of the loop every request and message is stepped as it comes; before the loop sleeps one TICK does the
 * batched work (offers), and what all of them wrote leaves in one write per connection. */
#pragma once

#include <uthash.h>

#include "common/base/list.h"
#include "common/base/metrics.h"
#include "common/http/logging_toggle.h"
#include "common/http/server.h"
#include "common/port/loop.h"
#include "common/port/store.h"
#include "common/wire/codec.h"
#include "common/wire/link.h"
#include "master/access.h"
#include "master/authorize.h"
#include "master/event.h"
#include "master/master.h"
#include "master/options.h"
#include "master/reads.h"

#define MASTER_STREAM_BYTES_MAX (8u << 20)      /* of a reader that does not read */
#define MASTER_STREAM_PRESSURE_BYTES (3u << 20) /* no new offers above */
#define MASTER_STREAM_RELIEF_BYTES (1u << 20)   /* new offers again below */
#define MASTER_PRESSURE_CHECK_MS 20             /* only while a stream is under pressure */

struct master_shell;

/* An open scheduler stream. */
struct master_shell_stream {
    UT_hash_handle hh;      /* by id */
    UT_hash_handle hh_text; /* by text */
    stream_id id;
    char text[37]; /* Mesos-Stream-Id */
    struct master_shell *shell;
    struct http_exchange *exchange;
    enum wire_format format;
    bool under_pressure;
    bool is_broken; /* an event was lost: it ends in the next turn */
};

struct master_shell_link {
    UT_hash_handle hh; /* by id */
    link_id id;
    struct master_shell *shell;
    struct link *link;
};

/* A request that is answered in a later step. */
struct master_shell_request {
    UT_hash_handle hh;
    request_id id;
    struct master_shell *shell;
    struct http_exchange *exchange; /* NULL when the client has gone */
};

struct master_shell_observer {
    struct list node;
    struct master_shell *shell;
    struct http_exchange *exchange;
    enum wire_format format;
    struct master_view view;
    char *principal; /* of view; NULL: nobody in particular */
    bool is_broken;  /* as of streams */
};

struct master_shell {
    struct loop *loop;
    struct store *store; /* NULL: in memory, every write is done at once */
    const struct master_options *options;
    struct master_access access; /* initialised and released by the owner */
    struct master *core;
    struct master_effects effects;
    struct http_server *server;
    struct metrics *metrics;
    struct logging_toggle *logging;
    struct metric *allocation_ms;
    char ip[64], hostname[256];
    uint16_t port;
    bool is_serving; /* the registry was read */
    bool is_ending;
    int exit_status;
    int64_t started_wall_ms;

    struct loop_idle *before_sleep;
    struct loop_timer *deadline, *heartbeat, *pressure;

    uint64_t next_id; /* of links, streams and requests */
    struct master_shell_stream *streams, *streams_by_text;
    struct master_shell_link *links;
    struct master_shell_request *requests;
    struct list observers; /* oldest first */
    size_t observer_count;
    /* The request being stepped: answered without a place in `requests` when its reply comes in the same step. */
    request_id current_request;
    struct http_exchange *current_exchange;

    struct master_reads *reads;

    struct buf message, record; /* scratch of encoding */
    struct arena *arena;        /* scratch of decoding a request */
    struct list stored;         /* in memory: tokens to confirm in the next turn */
    struct loop_timer *stored_timer;
};

/* -- shell.c ---------------------------------------------------------------------------------------------------- */

/* Steps the core with this event (times are filled in) and carries out the effects. */
void master_shell_step(struct master_shell *s, struct master_event *in);
/* The same for an event with a request: its exchange is answered by the REPLY effect, now or later. */
void master_shell_step_request(struct master_shell *s, struct master_event *in, request_id request,
                               struct http_exchange *x);
/* Before everything else; loop and options are set. */
void master_shell_init(struct master_shell *s);
/* Listens, starts timers and the reading of the registry; `serving` is called once requests are answered. */
int master_shell_start(struct master_shell *s, void (*serving)(struct master_shell *s), struct err *err);
/* Closes and frees everything but loop and store; also after a start that failed, or none. */
void master_shell_stop(struct master_shell *s);
/* Random bytes of the kernel, and a version 4 UUID of them: stream ids must not be guessed. */
void master_shell_draw(void *out, size_t len);
void master_shell_draw_uuid(char text[37]);
/* Encodes as one RecordIO record and writes it as one chunk. False: it is too large, the stream must not go on. */
bool master_shell_write_record(struct master_shell *s, struct http_exchange *x, enum wire_format format,
                               const ProtobufCMessage *message);

/* -- links.c ---------------------------------------------------------------------------------------------------- */

void master_shell_on_link_request(struct master_shell *s, struct http_exchange *x, const struct http_message *request);
void master_shell_link_send(struct master_shell *s, link_id id, const Muster__Link__MasterToAgent *message);
void master_shell_link_close(struct master_shell *s, link_id id);
void master_shell_links_free(struct master_shell *s);

/* -- api.c ------------------------------------------------------------------------------------------------------ */

void master_shell_on_request(void *ctx, struct http_exchange *x, const struct http_message *request);
/* The checks that /api/v1 and /api/v1/scheduler share (facts: mesos 0.3): method, media type, parsing into the scratch
 * arena. NULL after the refusal was sent. */
ProtobufCMessage *master_shell_read_call(struct master_shell *s, struct http_exchange *x,
                                         const struct http_message *request, const ProtobufCMessageDescriptor *type);
/* Which format does the client accept? False after 406 was sent. */
bool master_shell_accept(struct http_exchange *x, const struct http_message *request, enum wire_format *format);

/* -- api_scheduler.c -------------------------------------------------------------------------------------------- */

void master_shell_on_scheduler(struct master_shell *s, struct http_exchange *x, const struct http_message *request);
void master_shell_stream_send(struct master_shell *s, stream_id id, const Mesos__V1__Scheduler__Event *event);
void master_shell_stream_close(struct master_shell *s, stream_id id);
void master_shell_streams_end_broken(struct master_shell *s);
void master_shell_streams_free(struct master_shell *s);

/* -- api_operator.c --------------------------------------------------------------------------------------------- */

void master_shell_on_operator(struct master_shell *s, struct http_exchange *x, const struct http_message *request);
void master_shell_observers_send(struct master_shell *s, const struct master_effect *e);
void master_shell_observers_end_broken(struct master_shell *s);
void master_shell_observers_free(struct master_shell *s);

/* -- api_legacy.c ----------------------------------------------------------------------------------------------- */

typedef void (*master_shell_handler)(struct master_shell *s, struct http_exchange *x, const struct http_message *request);
/* The handler of an old endpoint by its path without prefix ("/state"), NULL: there is none. */
/* api_node.c */
void master_shell_on_logging(struct master_shell *s, struct http_exchange *x, const struct http_message *request);
void master_shell_on_files(struct master_shell *s, struct http_exchange *x, const struct http_message *request);
void master_shell_on_files_debug(struct master_shell *s, struct http_exchange *x, const struct http_message *request);

master_shell_handler master_shell_legacy_handler(const char *path);
/* api_changes.c */
void master_shell_on_weights(struct master_shell *s, struct http_exchange *x, const struct http_message *request);
void master_shell_on_maintenance_schedule(struct master_shell *s, struct http_exchange *x,
                                          const struct http_message *request);
void master_shell_on_maintenance_status(struct master_shell *s, struct http_exchange *x,
                                        const struct http_message *request);
void master_shell_on_machine_down(struct master_shell *s, struct http_exchange *x, const struct http_message *request);
void master_shell_on_machine_up(struct master_shell *s, struct http_exchange *x, const struct http_message *request);
void master_shell_on_quota(struct master_shell *s, struct http_exchange *x, const struct http_message *request);

/* api_volumes.c */
void master_shell_on_reserve(struct master_shell *s, struct http_exchange *x, const struct http_message *request);
void master_shell_on_unreserve(struct master_shell *s, struct http_exchange *x, const struct http_message *request);
void master_shell_on_create_volumes(struct master_shell *s, struct http_exchange *x, const struct http_message *request);
void master_shell_on_destroy_volumes(struct master_shell *s, struct http_exchange *x, const struct http_message *request);

/* -- shell_metrics.c -------------------------------------------------------------------------------------------- */

void master_shell_metrics_add(struct master_shell *s);
