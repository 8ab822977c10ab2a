/* SPDX-License-Identifier: Apache-2.0
 * shell.h - what surrounds the core in the running process beyond frameworks/kit/shell.h: options, prober, API. For main.c
 * and the api files. Everything on the loop's thread. */
#pragma once

#include "common/http/client.h"
#include "frameworks/kit/shell.h"
#include "frameworks/marathon/marathon.h"

struct shell_options { /* as given on the command line */
    struct kit_options kit;
    char *env_vars_prefix, *access_control_allow_origin, *enable_features, *roles_default_behavior;
    char *metrics_name_prefix, *mesos_leader_ui_url, *executor;
    bool metrics_prometheus;
    int64_t local_port_min, local_port_max, task_launch_confirm_timeout, task_launch_timeout;
    int64_t kill_retry_timeout, scale_apps_interval, reconciliation_interval, decline_offer_duration;
    int64_t max_running_deployments, max_concurrent_health_checks;
};

struct prober;

struct shell { /* ctx of the kit's shell */
    struct kit_shell *kit;
    struct shell_options options;
    struct http_client *client;
    struct prober *prober;
};

/* -- api.c --------------------------------------------------------------------------------------------------------- */
void api_handle(void *ctx, struct http_exchange *x, const struct http_message *request);

/* -- api_apps.c: routes below /v2/apps, /v2/tasks, /v2/deployments, /v2/queue, /v2/groups. false: none fits. -------- */
bool api_route(struct shell *s, struct http_exchange *x, const struct http_message *m, char *path);
/* Hands the request to the core; the reply comes as an effect. */
void api_submit(struct shell *s, struct http_exchange *x, const struct http_message *m, struct marathon_request *r);

/* -- api_info.c: /ping, /metrics, /v2/info, /v2/leader, /v2/plugins. false: none fits. ------------------------------- */
bool api_route_info(struct shell *s, struct http_exchange *x, const struct http_message *m, const char *path);

/* -- prober.c ------------------------------------------------------------------------------------------------------------
 */
typedef void (*prober_done_fn)(void *ctx, const struct marathon_probe_result *result);
struct prober *prober_new(struct loop *loop, struct http_client *client, prober_done_fn done, void *ctx);
struct prober *prober_free(struct prober *p); /* probes under way end without a result; accepts NULL, returns NULL */
void prober_start(struct prober *p, const struct marathon_probe *probe);
