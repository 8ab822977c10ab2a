/* SPDX-License-Identifier: Apache-2.0
 * shell.h - what surrounds the core in the running process beyond frameworks/kit/shell.h: options and API. For main.c and
 * the api files. Everything on the loop's thread. */
#pragma once

#include "frameworks/cron/cron.h"
#include "frameworks/kit/shell.h"

struct cron_shell_options { /* as given on the command line */
    struct kit_options kit;
    char *zoneinfo;
    bool chronos_compat;
    double chronos_cpus, chronos_mem, chronos_disk;
    int64_t history_count, task_launch_confirm_timeout, task_launch_timeout, kill_retry_timeout, task_lost_expunge;
    int64_t reconciliation_interval, decline_offer_duration, runs_max;
    int64_t failure_retry, disable_after_failures;
};

struct cron_shell { /* ctx of the kit's shell */
    struct kit_shell *kit;
    struct cron_shell_options options;
    struct zones *zones;
    int64_t started_ms;
};

/* -- api.c: Metronome's API and ours ------------------------------------------------------------------------------- */
void cron_api_handle(void *ctx, struct http_exchange *x, const struct http_message *request);

/* -- api_info.c: /ping, /info, /leader, /metrics, /v1/metrics. false: none fits. ------------------------------------- */
bool cron_api_route_info(struct cron_shell *s, struct http_exchange *x, const struct http_message *m, const char *path);
