/* SPDX-License-Identifier: Apache-2.0
 * shell.h - what stands between the core and the world: carries out effects, turns HTTP, link, store and launcher into
 * events, keeps the one timer. main.c makes the real ports and hands them in. Private to agent/. */
#pragma once

#include <stdbool.h>

#include "agent/access.h"
#include "agent/containers.h"
#include "agent/options.h"
#include "agent/state.h"
#include "common/base/metrics.h"
#include "common/http/client.h"
#include "common/http/logging_toggle.h"
#include "common/http/server.h"
#include "common/port/launcher.h"
#include "common/port/loop.h"
#include "common/port/store.h"
#include "common/wire/codec.h"

struct agent_connect; /* connect.c */
struct agent_dirs;    /* directories.c */
struct agent_volumes; /* volumes.c */

/* attach.h: the sockets to containers' stdin and output, and who holds them over HTTP. */
struct agent_attachments {
    struct map by_launcher_id; /* to struct agent_attachment */
    struct list inputs;
};

struct agent_shell {
    struct loop *loop;
    const struct agent_options *options;
    struct agent_access access; /* initialised and released by the owner */
    const char *ip;             /* advertised */
    const char *hostname;
    const char *work_dir; /* absolute */
    uint16_t port;
    struct agent *core; /* NULL until the server listens */
    struct agent_effects effects;
    struct store *store;
    struct launcher *launcher;
    struct http_server *server, *socket_server;
    struct agent_connect *connect;
    struct agent_dirs *dirs;
    struct agent_volumes *volumes;
    struct loop_timer *timer;
    struct metrics *metrics;
    struct logging_toggle *logging;
    struct agent_counts counts;  /* as of the last agent_shell_refresh */
    struct resources *allocated; /* likewise */
    int64_t begun_ms, begun_wall_ms;
    struct agent_containers containers; /* made by the operator API */
    struct agent_attachments attachments;
    struct map launches, waits; /* launcher id to those whose answer waits for news; api_containers.c */
    struct map exchanges;       /* request_id to struct agent_exchange: executors' calls and streams */
    uint64_t next_exchange;
    size_t download_count;
    int exit_status;
    bool stopped;
};

/* Starts the core with what the store holds. The ports of s are set. */
void agent_shell_start(struct agent_shell *s, const struct agent_config *config, const char *boot_id);
/* Frees the core. The servers are stopped before, the other ports stay the caller's. */
void agent_shell_stop(struct agent_shell *s);
/* Steps the core: sets the times, carries out the effects, moves the timer. */
void agent_shell_event(struct agent_shell *s, struct agent_event *in);
/* The launcher's news, for its configuration; ctx is the shell. */
void agent_shell_started(void *ctx, const char *container_id, int pid);
void agent_shell_ended(void *ctx, const char *container_id, const struct launcher_end *end);
/* Counts for the metrics: linear in what runs here, so only when somebody asks. */
void agent_shell_refresh(struct agent_shell *s, struct arena *arena);

/* api.c: every request. */
void agent_api_handle(void *ctx, struct http_exchange *x, const struct http_message *request);
void agent_api_add_metrics(struct agent_shell *s); /* metrics.c */
/* One format for request and answer each; false when the exchange was answered with an error. */
bool agent_api_content_type(struct http_exchange *x, const struct http_message *request, enum wire_format *format);
bool agent_api_accept(struct http_exchange *x, const struct http_message *request, enum wire_format *format);

/* api_executor.c */
struct agent_exchange; /* an executor's request that waits for its answer, or its event stream */
void agent_api_executor(struct agent_shell *s, struct http_exchange *x, const struct http_message *request);
void agent_api_executor_reply(struct agent_shell *s, request_id request, int status, const char *text);
void agent_api_executor_open(struct agent_shell *s, request_id request);
void agent_api_executor_send(struct agent_shell *s, stream_id stream, const Mesos__V1__Executor__Event *event);
void agent_api_executor_close(struct agent_shell *s, stream_id stream);

/* api_operator.c, api_legacy.c, state_json.c */
void agent_api_operator(struct agent_shell *s, struct http_exchange *x, const struct http_message *request);
/* False when there is no such endpoint. */
bool agent_api_legacy(struct agent_shell *s, struct http_exchange *x, const struct http_message *request, const char *path);
void agent_state_put_version(struct json_writer *w);
void agent_state_json(struct agent_shell *s, struct arena *arena, struct json_writer *w);

/* statistics.c: usage of an executor's container; NULL when the launcher does not know it (any more). */
Mesos__V1__ResourceStatistics *agent_statistics(struct agent_shell *s, const struct agent_executor *e, struct arena *arena);

/* connect.c: the way to the master, and the link over it. The address is host:port; a name is resolved here, once. */
int agent_connect_new(struct agent_shell *s, const char *master, struct agent_connect **out, struct err *err);
struct agent_connect *agent_connect_free(struct agent_connect *c);
void agent_connect_open(struct agent_connect *c, link_id link);
void agent_connect_send(struct agent_connect *c, link_id link, const Muster__Link__AgentToMaster *message);
void agent_connect_close(struct agent_connect *c, link_id link);

/* directories.c: sandboxes on the disk, below work_dir. */
int agent_dirs_new(struct agent_shell *s, struct agent_dirs **out, struct err *err);
struct agent_dirs *agent_dirs_free(struct agent_dirs *d);
/* Makes what leads to a run's sandbox, and moves the link `latest` to it. 0 or -errno. */
int agent_dirs_prepare(struct agent_dirs *d, const char *directory, struct err *err);
/* Removes a sandbox, a bounded number of entries per turn; AGENT_IN_SANDBOX_REMOVED follows. */
void agent_dirs_remove(struct agent_dirs *d, const char *container_id, const char *directory);
/* The sandbox itself, for api_files.c: a descriptor or -errno. */
int agent_dirs_open(const struct agent_dirs *d, const char *directory);
/* Removes what is in the open directory, at most about `budget` names: how many it was, 0 once it is empty, or -errno.
 * Links are not followed. next_name makes names that are not there yet. */
int agent_directory_empty(int fd, int budget, uint64_t *next_name);

/* volumes.c: persistent volumes on the disk. */
int agent_volumes_new(struct agent_shell *s, struct agent_volumes **out, struct err *err);
struct agent_volumes *agent_volumes_free(struct agent_volumes *v);
/* AGENT_OUT_VOLUMES; AGENT_IN_VOLUMES_DONE follows in a later turn. */
void agent_volumes_carry_out(struct agent_volumes *v, const struct agent_effect *e);
