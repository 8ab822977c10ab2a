/* SPDX-License-Identifier: Apache-2.0
 * shell.h - what surrounds the core of a framework in the running process: store, scheduler connection, HTTP server, event
 * stream. The framework's main.c describes itself as a struct kit_role and calls kit_run. Everything on the loop's
 * thread. */
#pragma once

#include "common/auth/gate.h"
#include "common/base/err.h"
#include "common/base/map.h"
#include "common/base/options.h"
#include "common/http/server.h"
#include "common/port/loop.h"
#include "common/port/store.h"
#include "frameworks/kit/event.h"
#include "frameworks/sdk/sdk.h"

struct event_streams;
struct kit_shell;

struct kit_options { /* flags that every framework has, see kit_check_options */
    char *master, *zk, *work_dir, *http_address, *hostname, *webui_url, *framework_name, *mesos_role, *mesos_user;
    char *principal, *secret, *secret_file, *http_credentials, *http_realm, *log_level;
    uint16_t http_port;
    bool checkpoint, ha;
    int64_t failover_timeout_s, min_revive_offers_interval, event_stream_max_outstanding_messages;
};

typedef int kit_open_store_fn(struct loop *loop, const char *path, struct store **out, struct err *err);

struct kit_role {
    const char *name; /* of the program's messages, and what follows "muster" on the command line */
    const char *store_prefix;
    kit_open_store_fn *open_store;
    http_handler_fn handle; /* ctx is the shell */
    /* The core. */
    int (*step)(void *core, const struct kit_event *in, struct kit_effects *out);
    int64_t (*next_deadline)(const void *core);
    size_t (*known_tasks)(const void *core, struct arena *a, const struct sdk_task **out);
    void (*own)(struct kit_shell *s, const void *effect); /* KIT_EFFECT_OWN; may be NULL */
    /* Makes the core (s->core) and whatever else the framework has, before anything is served. stop undoes it. */
    int (*start)(struct kit_shell *s, struct err *err);
    void (*stop)(struct kit_shell *s);
    bool has_task_killing; /* capability TASK_KILLING_STATE */
};

struct kit_shell {
    const struct kit_role *role;
    struct kit_options *options;
    void *core, *ctx; /* ctx is the framework's own */
    struct loop *loop;
    struct loop_timer *timer;       /* the core's next deadline */
    struct loop_timer *leave_timer; /* abdication */
    struct loop_idle *ready_watch;  /* until it is told that requests are answered */
    struct store *store;
    struct sdk_scheduler *scheduler;
    struct http_server *server;
    struct auth_credentials *credentials; /* NULL: everybody is let in */
    struct event_streams *streams;
    struct map requests; /* request id -> exchange that waits for its reply */
    request_id last_request;
    bool is_stepping, is_loaded, has_failed;
    char address[300]; /* host:port that is advertised */
};

/* -- process.c ---------------------------------------------------------------------------------------------------- */

/* What the flags may hold beyond their types. Sets the log level. */
int kit_check_options(const struct kit_options *o, struct err *err);
/* Serves until a signal, kit_leave or a failure; returns the exit status. options->hostname is set if it was NULL. */
int kit_run(const struct kit_role *role, struct kit_options *options, struct loop *loop, void *ctx);
/* Ends the process orderly a little later, so that the present answer gets out. Tasks go on. */
void kit_leave(struct kit_shell *s);
const char *kit_non_empty(const char *text); /* NULL if it is empty */

/* -- shell.c ------------------------------------------------------------------------------------------------------ */

void kit_step(struct kit_shell *s, struct kit_event *in); /* times are filled in */
void kit_fail(struct kit_shell *s, const char *text);
/* Reads the store and starts the core with it; the rest follows from its effects. */
void kit_load(struct kit_shell *s);

/* -- replies.c ---------------------------------------------------------------------------------------------------- */

/* The exchange waits for the reply of this id. When the client goes away before it comes, nothing more is done. */
request_id kit_wait(struct kit_shell *s, struct http_exchange *x, const struct http_message *m);
void kit_send(struct http_exchange *x, int status, const char *json, size_t len); /* NULL: no body */
void kit_send_message(struct http_exchange *x, int status, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void kit_reply(struct kit_shell *s, const struct kit_effect *effect);
/* Path without the slashes at its end, in the exchange's arena. */
char *kit_trimmed_path(struct http_exchange *x, const struct http_message *m);
bool kit_is_json_type(const char *content_type);             /* application/json or text/json, with any parameters */
bool kit_accepts_event_stream(const struct http_message *m); /* GET that asks for text/event-stream */

/* -- scheduler.c -------------------------------------------------------------------------------------------------- */

int kit_start_scheduler(struct kit_shell *s, const char *framework_id, struct err *err);
