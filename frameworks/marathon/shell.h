/* SPDX-License-Identifier: Apache-2.0
 * shell.h - what surrounds the core in the running process: store, scheduler connection, HTTP server, prober. For main.c
 * and the api files. Everything on the loop's thread. */
#pragma once

#include "common/base/err.h"
#include "common/base/list.h"
#include "common/base/map.h"
#include "common/http/client.h"
#include "common/http/server.h"
#include "common/port/loop.h"
#include "common/port/store.h"
#include "frameworks/marathon/marathon.h"
#include "frameworks/sdk/sdk.h"

struct shell_options { /* as given on the command line */
    char *master, *http_address, *hostname, *framework_name, *mesos_role, *mesos_user, *work_dir, *zk, *webui_url;
    char *env_vars_prefix, *access_control_allow_origin, *enable_features, *log_level, *roles_default_behavior;
    char *metrics_name_prefix, *mesos_leader_ui_url, *principal, *secret, *executor;
    uint16_t http_port;
    bool checkpoint, ha, metrics_prometheus;
    int64_t failover_timeout_s, local_port_min, local_port_max, task_launch_confirm_timeout, task_launch_timeout;
    int64_t kill_retry_timeout, scale_apps_interval, reconciliation_interval, decline_offer_duration;
    int64_t max_running_deployments, max_concurrent_health_checks, min_revive_offers_interval;
    int64_t event_stream_max_outstanding_messages;
};

struct prober;
struct event_streams;

struct shell {
    struct shell_options options;
    struct loop *loop;
    struct loop_timer *timer;       /* the core's next deadline */
    struct loop_timer *leave_timer; /* abdication */
    struct loop_idle *ready_watch;  /* until it is told that requests are answered */
    struct marathon *core;
    struct store *store;
    struct sdk_scheduler *scheduler;
    struct http_server *server;
    struct http_client *client;
    struct prober *prober;
    struct event_streams *streams;
    struct map requests; /* request id -> struct http_exchange that waits for its reply */
    request_id last_request;
    bool is_stepping, is_loaded, has_failed;
    char address[300]; /* host:port that is advertised */
    /* stored items while they are read */
    struct marathon_item *items;
    size_t item_count;
};

void shell_step(struct shell *s, struct marathon_event *in);
/* Reads the store and starts the core with it; the rest follows from its effects. */
void shell_load(struct shell *s);
void shell_free_items(struct shell *s);

/* -- scheduler.c ------------------------------------------------------------------------------------------------- */
int shell_start_scheduler(struct shell *s, const char *framework_id, struct err *err);

/* -- api.c --------------------------------------------------------------------------------------------------------- */
void api_handle(void *ctx, struct http_exchange *x, const struct http_message *request);
void api_reply(struct shell *s, const struct marathon_effect *effect);
void api_send(struct http_exchange *x, int status, const char *json, size_t len);
void api_send_message(struct http_exchange *x, int status, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* -- api_apps.c: routes below /v2/apps, /v2/tasks, /v2/deployments, /v2/queue, /v2/groups. false: none fits. -------- */
bool api_route(struct shell *s, struct http_exchange *x, const struct http_message *m, char *path);
/* Hands the request to the core; the reply comes as an effect. */
void api_submit(struct shell *s, struct http_exchange *x, const struct http_message *m, struct marathon_request *r);

/* -- api_info.c: /ping, /metrics, /v2/info, /v2/leader, /v2/plugins. false: none fits. ------------------------------- */
bool api_route_info(struct shell *s, struct http_exchange *x, const struct http_message *m, const char *path);

/* -- api_events.c ------------------------------------------------------------------------------------------------------ */
struct event_streams *event_streams_new(struct loop *loop, size_t messages_max);
struct event_streams *event_streams_free(struct event_streams *e); /* accepts NULL, returns NULL */
void event_streams_attach(struct event_streams *e, struct http_exchange *x, const struct http_message *m, int64_t wall_ms);
void event_streams_publish(struct event_streams *e, const char *type, const char *json);

/* -- prober.c ------------------------------------------------------------------------------------------------------------
 */
typedef void (*prober_done_fn)(void *ctx, const struct marathon_probe_result *result);
struct prober *prober_new(struct loop *loop, struct http_client *client, prober_done_fn done, void *ctx);
struct prober *prober_free(struct prober *p); /* probes under way end without a result; accepts NULL, returns NULL */
void prober_start(struct prober *p, const struct marathon_effect *effect);
