/* SPDX-License-Identifier: Apache-2.0
 * app_write.c - the canonical JSON of a definition: what is always written and what is left out when empty
 * (facts: marathon 2.3, 2.5, 2.13). */
#include <math.h>

#include "common/base/text.h"
#include "frameworks/marathon/app.h"

static void write_strings(const char *key, const char *const *list, size_t count, struct json_writer *w)
{
    if (count == 0)
        return;
    json_put_key(w, key);
    json_begin_array(w);
    for (size_t i = 0; i < count; i++)
        json_put_string(w, list[i]);
    json_end_array(w);
}

static void write_pairs(const char *key, const struct pairs *pairs, bool always, struct json_writer *w)
{
    if (pairs->count == 0 && !always)
        return;
    json_put_key(w, key);
    pairs_write(pairs, w);
}

static void write_constraints(const struct app *a, struct json_writer *w)
{
    if (a->constraint_count == 0)
        return;
    json_put_key(w, "constraints");
    json_begin_array(w);
    for (size_t i = 0; i < a->constraint_count; i++) {
        const struct app_constraint *c = &a->constraints[i];
        json_begin_array(w);
        json_put_string(w, c->field);
        json_put_string(w, app_operator_name(c->op));
        if (c->value)
            json_put_string(w, c->value);
        json_end_array(w);
    }
    json_end_array(w);
}

static void write_container(const struct app *a, struct json_writer *w)
{
    if (!a->has_container)
        return;
    json_put_key(w, "container");
    json_begin_object(w);
    json_kv_string(w, "type", "MESOS");
    json_put_key(w, "volumes");
    json_begin_array(w);
    for (size_t i = 0; i < a->volume_count; i++) {
        json_begin_object(w);
        json_kv_string(w, "containerPath", a->volumes[i].container_path);
        json_kv_string(w, "hostPath", a->volumes[i].host_path);
        json_kv_string(w, "mode", a->volumes[i].is_read_only ? "RO" : "RW");
        json_end_object(w);
    }
    json_end_array(w);
    json_end_object(w);
}

static void write_fetch(const struct app *a, struct json_writer *w)
{
    if (a->fetch_count == 0)
        return;
    json_put_key(w, "fetch");
    json_begin_array(w);
    for (size_t i = 0; i < a->fetch_count; i++) {
        const struct app_fetch *f = &a->fetch[i];
        json_begin_object(w);
        json_kv_string(w, "uri", f->uri);
        json_kv_bool(w, "extract", f->extract);
        json_kv_bool(w, "executable", f->executable);
        json_kv_bool(w, "cache", f->cache);
        if (f->dest_path)
            json_kv_string(w, "destPath", f->dest_path);
        json_end_object(w);
    }
    json_end_array(w);
}

void app_write_health_check(const struct app_health_check *c, struct json_writer *w)
{
    bool is_tcp = c->protocol == APP_TCP || c->protocol == APP_MESOS_TCP;
    json_begin_object(w);
    json_kv_string(w, "protocol", app_check_protocol_name(c->protocol));
    json_kv_int(w, "gracePeriodSeconds", c->grace_s);
    json_kv_int(w, "intervalSeconds", c->interval_s);
    json_kv_int(w, "timeoutSeconds", c->timeout_s);
    json_kv_int(w, "maxConsecutiveFailures", c->failures_max);
    json_kv_int(w, "delaySeconds", c->delay_s);
    if (c->command) {
        json_put_key(w, "command");
        json_begin_object(w);
        json_kv_string(w, "value", c->command);
        json_end_object(w);
    }
    if (c->path)
        json_kv_string(w, "path", c->path);
    if (c->port_index >= 0)
        json_kv_int(w, "portIndex", c->port_index);
    if (c->port >= 0)
        json_kv_int(w, "port", c->port);
    if (c->protocol != APP_COMMAND)
        json_kv_string(w, "ipProtocol", "IPv4");
    if (c->protocol != APP_COMMAND && !is_tcp)
        json_kv_bool(w, "ignoreHttp1xx", false);
    json_end_object(w);
}

static void write_target(const struct app_check *c, struct json_writer *w)
{
    json_put_key(w, c->protocol == APP_MESOS_HTTP ? "http" : "tcp");
    json_begin_object(w);
    if (c->port_index >= 0)
        json_kv_int(w, "portIndex", c->port_index);
    if (c->port >= 0)
        json_kv_int(w, "port", c->port);
    if (c->path)
        json_kv_string(w, "path", c->path);
    if (c->protocol == APP_MESOS_HTTP)
        json_kv_string(w, "scheme", "HTTP");
    json_end_object(w);
}

static void write_check(const struct app_check *c, struct json_writer *w)
{
    if (c == NULL)
        return;
    json_put_key(w, "check");
    json_begin_object(w);
    if (c->protocol == APP_COMMAND) {
        json_put_key(w, "exec");
        json_begin_object(w);
        json_put_key(w, "command");
        json_begin_object(w);
        if (c->shell)
            json_kv_string(w, "shell", c->shell);
        write_strings("argv", c->argv, c->argv_count, w);
        json_end_object(w);
        json_end_object(w);
    } else {
        write_target(c, w);
    }
    json_kv_int(w, "intervalSeconds", c->interval_s);
    json_kv_int(w, "timeoutSeconds", c->timeout_s);
    json_kv_int(w, "delaySeconds", c->delay_s);
    json_end_object(w);
}

static void write_limit(const char *key, double limit, struct json_writer *w)
{
    if (isinf(limit))
        json_kv_string(w, key, "unlimited");
    else if (limit > 0)
        json_kv_number(w, key, limit);
}

static void write_limits(const struct app *a, struct json_writer *w)
{
    if (a->cpus_limit == 0 && a->mem_limit == 0)
        return;
    json_put_key(w, "resourceLimits");
    json_begin_object(w);
    write_limit("cpus", a->cpus_limit, w);
    write_limit("mem", a->mem_limit, w);
    json_end_object(w);
}

static void write_checks(const struct app *a, struct json_writer *w)
{
    if (a->health_check_count > 0) {
        json_put_key(w, "healthChecks");
        json_begin_array(w);
        for (size_t i = 0; i < a->health_check_count; i++)
            app_write_health_check(&a->health_checks[i], w);
        json_end_array(w);
    }
    const struct app_readiness_check *r = a->readiness;
    if (r == NULL)
        return;
    json_put_key(w, "readinessChecks");
    json_begin_array(w);
    json_begin_object(w);
    json_kv_string(w, "name", r->name);
    json_kv_string(w, "protocol", "HTTP");
    json_kv_string(w, "path", r->path);
    json_kv_string(w, "portName", r->port_name);
    json_kv_int(w, "intervalSeconds", r->interval_s);
    json_kv_int(w, "timeoutSeconds", r->timeout_s);
    json_put_key(w, "httpStatusCodesForReady");
    json_begin_array(w);
    for (size_t i = 0; i < r->ready_status_count; i++)
        json_put_int(w, r->ready_statuses[i]);
    json_end_array(w);
    json_kv_bool(w, "preserveLastResponse", r->preserve_last_response);
    json_end_object(w);
    json_end_array(w);
}

static void write_ports(const struct app *a, struct json_writer *w)
{
    json_put_key(w, "networks");
    json_begin_array(w);
    json_begin_object(w);
    json_kv_string(w, "mode", "host");
    json_end_object(w);
    json_end_array(w);
    json_put_key(w, "portDefinitions");
    json_begin_array(w);
    for (size_t i = 0; i < a->port_count; i++) {
        const struct app_port *p = &a->ports[i];
        json_begin_object(w);
        json_kv_int(w, "port", p->number);
        if (p->name)
            json_kv_string(w, "name", p->name);
        json_kv_string(w, "protocol", p->protocol);
        write_pairs("labels", &p->labels, false, w);
        json_end_object(w);
    }
    json_end_array(w);
    json_kv_bool(w, "requirePorts", a->require_ports);
}

static void write_strategies(const struct app *a, struct json_writer *w)
{
    json_kv_number(w, "backoffSeconds", (double)(a->backoff_ms / 1000));
    json_kv_number(w, "backoffFactor", a->backoff_factor);
    json_kv_int(w, "maxLaunchDelaySeconds", a->backoff_max_ms / 1000);
    json_put_key(w, "upgradeStrategy");
    json_begin_object(w);
    json_kv_number(w, "minimumHealthCapacity", a->minimum_health);
    json_kv_number(w, "maximumOverCapacity", a->maximum_over);
    json_end_object(w);
    json_kv_string(w, "killSelection", a->kill_oldest_first ? "OLDEST_FIRST" : "YOUNGEST_FIRST");
    if (a->inactive_after_s == APP_UNREACHABLE_DISABLED) {
        json_kv_string(w, "unreachableStrategy", "disabled");
    } else {
        json_put_key(w, "unreachableStrategy");
        json_begin_object(w);
        json_kv_int(w, "inactiveAfterSeconds", a->inactive_after_s);
        json_kv_int(w, "expungeAfterSeconds", a->expunge_after_s);
        json_end_object(w);
    }
    if (a->kill_grace_s >= 0)
        json_kv_int(w, "taskKillGracePeriodSeconds", a->kill_grace_s);
}

static void write_time(const char *key, int64_t ms, struct json_writer *w)
{
    char text[TEXT_TIME_SIZE];
    text_format_time_ms(ms, text);
    json_kv_string(w, key, text);
}

void app_write_members(const struct app *a, bool with_version_info, struct json_writer *w)
{
    json_kv_string(w, "id", a->id);
    if (a->cmd)
        json_kv_string(w, "cmd", a->cmd);
    write_strings("args", a->args, a->arg_count, w);
    if (a->user)
        json_kv_string(w, "user", a->user);
    write_pairs("env", &a->env, false, w);
    json_kv_number(w, "cpus", a->cpus);
    json_kv_number(w, "mem", a->mem);
    json_kv_number(w, "disk", a->disk);
    json_kv_int(w, "gpus", 0);
    write_limits(a, w);
    json_kv_int(w, "instances", a->instances);
    json_kv_string(w, "executor", a->executor);
    json_kv_string(w, "role", a->role);
    write_constraints(a, w);
    write_strings("acceptedResourceRoles", a->accepted_roles, a->accepted_role_count, w);
    write_container(a, w);
    write_fetch(a, w);
    write_checks(a, w);
    write_check(a->check, w);
    write_ports(a, w);
    write_pairs("labels", &a->labels, true, w);
    write_strings("dependencies", a->dependencies, a->dependency_count, w);
    write_strategies(a, w);
    if (a->version_ms)
        write_time("version", a->version_ms, w);
    if (with_version_info) {
        json_put_key(w, "versionInfo");
        json_begin_object(w);
        write_time("lastScalingAt", a->last_scaling_ms, w);
        write_time("lastConfigChangeAt", a->last_config_change_ms, w);
        json_end_object(w);
    }
}

void app_write(const struct app *a, bool with_version_info, struct json_writer *w)
{
    json_begin_object(w);
    app_write_members(a, with_version_info, w);
    json_end_object(w);
}
