/* SPDX-License-Identifier: Apache-2.0
 * api_info.c - what the process says about itself: ping, metrics, info, leader, plugins (facts: marathon 1.3, 1.12
 * to 1.14). */
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "common/base/json.h"
#include "frameworks/marathon/shell.h"

#define VERSION "1.11.24" /* of the API spoken here; clients compare it */

static bool is_get(const struct http_message *m)
{
    return strcmp(m->method, "GET") == 0 || strcmp(m->method, "HEAD") == 0;
}

static void ping(struct http_exchange *x, const struct http_message *m)
{
    static const char *const types[] = {"text/plain", "text/html", "application/json"};
    switch (http_accept(m, types, 3)) {
    case 0:
        http_reply(x, 200, "text/plain;charset=utf-8", "pong", 4);
        return;
    case 1:
        http_reply(x, 200, "text/html;charset=utf-8", "pong", 4);
        return;
    case 2:
        http_reply(x, 200, "application/json", "\"pong\"", 6);
        return;
    default:
        http_reply(x, 204, NULL, "", 0);
        return;
    }
}

static const struct {
    const char *name;
    bool is_counter;
    size_t offset;
} metric_table[] = {
    {"apps.active.gauge", false, offsetof(struct marathon_counts, apps)},
    {"deployments.active.gauge", false, offsetof(struct marathon_counts, deployments)},
    {"instances.running.gauge", false, offsetof(struct marathon_counts, running)},
    {"instances.staged.gauge", false, offsetof(struct marathon_counts, staged)},
    {"instances.healthy.gauge", false, offsetof(struct marathon_counts, healthy)},
    {"instances.unhealthy.gauge", false, offsetof(struct marathon_counts, unhealthy)},
    {"instances.queued.gauge", false, offsetof(struct marathon_counts, queued)},
    {"instances.known.gauge", false, offsetof(struct marathon_counts, instances)},
    {"tasks.launched.counter", true, offsetof(struct marathon_counts, launches_total)},
    {"tasks.killed.counter", true, offsetof(struct marathon_counts, kills_total)},
    {"tasks.failed.counter", true, offsetof(struct marathon_counts, failures_total)},
    {"mesos.offers.incoming.counter", true, offsetof(struct marathon_counts, offers_total)},
    {"mesos.offers.declined.counter", true, offsetof(struct marathon_counts, declines_total)},
};
#define METRIC_COUNT (sizeof(metric_table) / sizeof(metric_table[0]))

static uint64_t metric_value(const struct marathon_counts *counts, size_t k)
{
    return *(const uint64_t *)(const void *)((const char *)counts + metric_table[k].offset);
}

static void put_metrics(const struct shell *s, const struct marathon_counts *counts, bool counters, struct json_writer *w)
{
    json_begin_object(w);
    for (size_t k = 0; k < METRIC_COUNT; k++) {
        char name[128];
        if (metric_table[k].is_counter != counters)
            continue;
        (void)snprintf(name, sizeof(name), "%s.%s", s->options.metrics_name_prefix,
                       metric_table[k].name); /* cut when long */
        json_put_key(w, name);
        json_begin_object(w);
        json_kv_uint(w, counters ? "count" : "value", metric_value(counts, k));
        json_end_object(w);
    }
    json_end_object(w);
}

static void metrics_json(const struct shell *s, struct http_exchange *x)
{
    static const char *const empty[] = {"histograms", "meters", "timers"};
    struct marathon_counts counts;
    struct buf b;
    struct json_writer w;
    marathon_get_counts(s->kit->core, &counts);
    buf_init(&b, 0);
    json_writer_init(&w, &b);
    json_begin_object(&w);
    json_kv_string(&w, "version", "4.0.0");
    json_put_key(&w, "gauges");
    put_metrics(s, &counts, false, &w);
    json_put_key(&w, "counters");
    put_metrics(s, &counts, true, &w);
    for (size_t k = 0; k < 3; k++) {
        json_put_key(&w, empty[k]);
        json_begin_object(&w);
        json_end_object(&w);
    }
    json_end_object(&w);
    kit_send(x, 200, (const char *)buf_data(&b), buf_len(&b));
    buf_deinit(&b);
}

static void metrics_prometheus(const struct shell *s, struct http_exchange *x)
{
    if (!s->options.metrics_prometheus) {
        kit_send_message(x, 404, "Prometheus reporter is disabled");
        return;
    }
    struct marathon_counts counts;
    struct buf b;
    marathon_get_counts(s->kit->core, &counts);
    buf_init(&b, 0);
    for (size_t k = 0; k < METRIC_COUNT; k++) {
        char name[128];
        (void)snprintf(name, sizeof(name), "%s.%s", s->options.metrics_name_prefix,
                       metric_table[k].name); /* cut when long */
        for (char *c = name; *c; c++)
            *c = *c == '.' || *c == '-' ? '_' : *c;
        (void)buf_printf(&b, "# TYPE %s %s\n%s %llu\n", name, metric_table[k].is_counter ? "counter" : "gauge", name,
                         (unsigned long long)metric_value(&counts, k)); /* far below the bound */
    }
    http_reply(x, 200, "text/plain; version=0.0.4", buf_data(&b), buf_len(&b));
    buf_deinit(&b);
}

static void put_config_times(const struct shell_options *o, struct json_writer *w)
{
    json_kv_int(w, "decline_offer_duration", o->decline_offer_duration);
    json_kv_int(w, "failover_timeout", o->kit.failover_timeout_s);
    json_kv_int(w, "local_port_max", o->local_port_max);
    json_kv_int(w, "local_port_min", o->local_port_min);
    json_kv_int(w, "min_revive_offers_interval", o->kit.min_revive_offers_interval);
    json_kv_int(w, "reconciliation_interval", o->reconciliation_interval);
    json_kv_int(w, "scale_apps_interval", o->scale_apps_interval);
    json_kv_int(w, "task_launch_confirm_timeout", o->task_launch_confirm_timeout);
    json_kv_int(w, "task_launch_timeout", o->task_launch_timeout);
}

static void put_features(const char *list, struct json_writer *w)
{
    json_put_key(w, "features");
    json_begin_array(w);
    while (list && *list) {
        size_t n = strcspn(list, ",");
        if (n > 0)
            json_put_string_n(w, list, n);
        list += n + (list[n] == ',');
    }
    json_end_array(w);
}

static void put_config(const struct shell *s, struct json_writer *w)
{
    const struct shell_options *o = &s->options;
    json_put_key(w, "marathon_config");
    json_begin_object(w);
    if (o->access_control_allow_origin) {
        json_put_key(w, "access_control_allow_origin");
        json_begin_array(w);
        json_put_string(w, o->access_control_allow_origin);
        json_end_array(w);
    }
    json_kv_bool(w, "checkpoint", o->kit.checkpoint);
    if (o->env_vars_prefix)
        json_kv_string(w, "env_vars_prefix", o->env_vars_prefix);
    json_kv_string(w, "executor", "//cmd");
    put_features(o->enable_features, w);
    json_kv_string(w, "framework_name", o->kit.framework_name);
    json_kv_bool(w, "ha", o->kit.ha);
    json_kv_string(w, "hostname", o->kit.hostname);
    json_kv_string(w, "master", o->kit.master);
    if (o->mesos_leader_ui_url)
        json_kv_string(w, "mesos_leader_ui_url", o->mesos_leader_ui_url);
    json_kv_string(w, "mesos_role", o->kit.mesos_role);
    if (o->kit.mesos_user)
        json_kv_string(w, "mesos_user", o->kit.mesos_user);
    json_kv_string(w, "new_group_enforce_role", "off");
    if (o->kit.webui_url)
        json_kv_string(w, "webui_url", o->kit.webui_url);
    put_config_times(o, w);
    json_end_object(w);
}

static void info(const struct shell *s, struct http_exchange *x)
{
    struct buf b;
    struct json_writer w;
    buf_init(&b, 0);
    json_writer_init(&w, &b);
    json_begin_object(&w);
    json_kv_string(&w, "name", "marathon");
    json_kv_string(&w, "version", VERSION);
    json_kv_string(&w, "buildref", "muster-" MUSTER_VERSION);
    json_kv_bool(&w, "elected", true);
    json_kv_string(&w, "leader", s->kit->address);
    if (marathon_framework_id(s->kit->core))
        json_kv_string(&w, "frameworkId", marathon_framework_id(s->kit->core));
    put_config(s, &w);
    json_put_key(&w, "zookeeper_config");
    json_begin_object(&w);
    json_end_object(&w);
    json_put_key(&w, "http_config");
    json_begin_object(&w);
    json_kv_uint(&w, "http_port", http_server_port(s->kit->server));
    json_end_object(&w);
    json_end_object(&w);
    kit_send(x, 200, (const char *)buf_data(&b), buf_len(&b));
    buf_deinit(&b);
}

static void leader(struct shell *s, struct http_exchange *x, const struct http_message *m)
{
    struct buf b;
    struct json_writer w;
    struct arena *a = http_exchange_arena(x);
    bool is_delete = strcmp(m->method, "DELETE") == 0;
    if (is_delete && (http_query(m, a, "backup", 0) || http_query(m, a, "restore", 0))) {
        kit_send_message(x, 422, "backup and restore are not supported yet");
        return;
    }
    buf_init(&b, 0);
    json_writer_init(&w, &b);
    json_begin_object(&w);
    if (is_delete) {
        json_kv_string(&w, "message", "Leadership abdicated");
        kit_leave(s->kit); /* the supervisor starts the next one */
    } else {
        json_kv_string(&w, "leader", s->kit->address);
    }
    json_end_object(&w);
    kit_send(x, 200, (const char *)buf_data(&b), buf_len(&b));
    buf_deinit(&b);
}

bool api_route_info(struct shell *s, struct http_exchange *x, const struct http_message *m, const char *path)
{
    static const char *const paths[] = {"/ping",    "/metrics",   "/metrics/prometheus",
                                        "/v2/info", "/v2/leader", "/v2/plugins"};
    size_t k = 0;
    while (k < sizeof(paths) / sizeof(paths[0]) && strcmp(paths[k], path) != 0)
        k++;
    if (k == sizeof(paths) / sizeof(paths[0]))
        return false;
    if (!is_get(m) && !(k == 4 && strcmp(m->method, "DELETE") == 0)) {
        kit_send_message(x, 405, "Method Not Allowed");
        return true;
    }
    static const char no_plugins[] = "{\"plugins\":[]}";
    switch (k) {
    case 0:
        ping(x, m);
        break;
    case 1:
        metrics_json(s, x);
        break;
    case 2:
        metrics_prometheus(s, x);
        break;
    case 3:
        info(s, x);
        break;
    case 4:
        leader(s, x, m);
        break;
    default:
        kit_send(x, 200, no_plugins, sizeof(no_plugins) - 1);
        break;
    }
    return true;
}
