/* SPDX-License-Identifier: Apache-2.0
 * app_read.c - canonical JSON, with types checked and legacy keys gone, into the struct; absent keys get their defaults
 * (facts: marathon 2.3 to 2.8). */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/base/check.h"
#include "frameworks/marathon/app.h"

static const char *get_string(struct app *a, const json_t *json, const char *key, const char *otherwise)
{
    const char *s = json_string_value(json_object_get(json, key));
    if (s != NULL)
        return app_strdup(a, s);
    return otherwise ? app_strdup(a, otherwise) : NULL;
}

static double get_number(const json_t *json, const char *key, double otherwise)
{
    const json_t *v = json_object_get(json, key);
    return v ? json_number_value(v) : otherwise;
}

static int64_t get_int(const json_t *json, const char *key, int64_t otherwise)
{
    return (int64_t)get_number(json, key, (double)otherwise);
}

static bool get_bool(const json_t *json, const char *key, bool otherwise)
{
    const json_t *v = json_object_get(json, key);
    return v ? json_is_true(v) : otherwise;
}

/* Index of a word that the schema has checked, 0 when absent. */
static size_t get_word(const json_t *json, const char *key, const char *const *words, size_t count)
{
    const char *s = json_string_value(json_object_get(json, key));
    for (size_t i = 0; s && i < count; i++) {
        if (strcasecmp(words[i], s) == 0)
            return i;
    }
    return 0;
}

static const char **get_strings(struct app *a, const json_t *json, const char *key, size_t *count)
{
    const json_t *list = json_object_get(json, key);
    *count = json_array_size(list);
    const char **out = app_alloc(a, sizeof(*out) * (*count + 1));
    for (size_t i = 0; i < *count; i++)
        out[i] = app_strdup(a, json_string_value(json_array_get(list, i)));
    return out;
}

static struct pairs get_pairs(struct app *a, const json_t *json, const char *key)
{
    return pairs_read(&a->chunks, json_object_get(json, key));
}

static void read_constraints(struct app *a, const json_t *json, struct problems *problems)
{
    const json_t *list = json_object_get(json, "constraints");
    a->constraint_count = json_array_size(list);
    a->constraints = app_alloc(a, sizeof(a->constraints[0]) * (a->constraint_count + 1));
    for (size_t i = 0; i < a->constraint_count; i++) {
        const json_t *triple = json_array_get(list, i);
        char path[PROBLEM_PATH_MAX];
        (void)snprintf(path, sizeof(path), "/constraints(%zu)", i);
        if (json_array_size(triple) < 2 || json_array_size(triple) > 3) {
            problems_add(problems, path, "Each constraint must have either 2 or 3 fields");
            continue;
        }
        struct app_constraint *c = &a->constraints[i];
        const char *op = json_string_value(json_array_get(triple, 1));
        c->field = app_strdup(a, json_string_value(json_array_get(triple, 0)));
        const char *value = json_string_value(json_array_get(triple, 2));
        c->value = value ? app_strdup(a, value) : NULL;
        int found = -1;
        for (int k = APP_UNIQUE; k <= APP_IS; k++) {
            if (strcasecmp(app_operator_name((enum app_operator)k), op) == 0)
                found = k;
        }
        if (found < 0)
            problems_add(problems, path,
                         "operator must be one of the following UNIQUE, CLUSTER, GROUP_BY, LIKE, MAX_PER, "
                         "UNLIKE or IS");
        else
            c->op = (enum app_operator)found;
    }
}

static void read_fetch(struct app *a, const json_t *json)
{
    const json_t *list = json_object_get(json, "fetch");
    a->fetch_count = json_array_size(list);
    a->fetch = app_alloc(a, sizeof(a->fetch[0]) * (a->fetch_count + 1));
    for (size_t i = 0; i < a->fetch_count; i++) {
        const json_t *f = json_array_get(list, i);
        a->fetch[i] = (struct app_fetch){.uri = get_string(a, f, "uri", ""),
                                         .dest_path = get_string(a, f, "destPath", NULL),
                                         .extract = get_bool(f, "extract", true),
                                         .executable = get_bool(f, "executable", false),
                                         .cache = get_bool(f, "cache", false)};
    }
}

static void read_health_checks(struct app *a, const json_t *json)
{
    static const char *const words[] = {"HTTP", "HTTPS", "TCP", "COMMAND", "MESOS_HTTP", "MESOS_HTTPS", "MESOS_TCP"};
    const json_t *list = json_object_get(json, "healthChecks");
    a->health_check_count = json_array_size(list);
    a->health_checks = app_alloc(a, sizeof(a->health_checks[0]) * (a->health_check_count + 1));
    for (size_t i = 0; i < a->health_check_count; i++) {
        const json_t *h = json_array_get(list, i);
        struct app_health_check *c = &a->health_checks[i];
        c->protocol = (enum app_check_protocol)get_word(h, "protocol", words, 7);
        c->path = get_string(a, h, "path", NULL);
        c->command = get_string(a, json_object_get(h, "command"), "value", NULL);
        c->port = (int)get_int(h, "port", -1);
        c->port_index = (int)get_int(h, "portIndex", -1);
        if (c->protocol == APP_COMMAND)
            c->port_index = -1; /* accepted and ignored beside a command (facts 2.5) */
        else if (c->port < 0 && c->port_index < 0 && a->port_count > 0)
            c->port_index = 0;
        c->grace_s = get_int(h, "gracePeriodSeconds", 300);
        c->interval_s = get_int(h, "intervalSeconds", 60);
        c->timeout_s = get_int(h, "timeoutSeconds", 20);
        c->failures_max = get_int(h, "maxConsecutiveFailures", 3);
        c->delay_s = get_int(h, "delaySeconds", 15);
    }
}

static void read_check(struct app *a, const json_t *json, struct problems *problems)
{
    const json_t *check = json_object_get(json, "check");
    const json_t *http = json_object_get(check, "http"), *tcp = json_object_get(check, "tcp");
    const json_t *exec = json_object_get(check, "exec");
    if (check == NULL)
        return;
    if ((http != NULL) + (tcp != NULL) + (exec != NULL) != 1) {
        problems_add(problems, "/check", "must have exactly one of http, tcp and exec");
        return;
    }
    static const char *const schemes[] = {"HTTP", "HTTPS"};
    if (get_word(http, "scheme", schemes, 2) == 1)
        problems_add(problems, "/check/http/scheme", "HTTPS is not supported yet");
    const json_t *target = http ? http : tcp, *command = json_object_get(exec, "command");
    struct app_check *c = app_alloc(a, sizeof(*c));
    c->protocol = http ? APP_MESOS_HTTP : tcp ? APP_MESOS_TCP : APP_COMMAND;
    c->path = get_string(a, http, "path", NULL);
    c->port = (int)get_int(target, "port", -1);
    c->port_index = (int)get_int(target, "portIndex", target && c->port < 0 ? 0 : -1);
    c->shell = get_string(a, command, "shell", NULL);
    c->argv = get_strings(a, command, "argv", &c->argv_count);
    c->interval_s = get_int(check, "intervalSeconds", 60);
    c->timeout_s = get_int(check, "timeoutSeconds", 20);
    c->delay_s = get_int(check, "delaySeconds", 15);
    a->check = c;
}

/* A number, or "unlimited". */
static double read_limit(const json_t *json, const char *key)
{
    const json_t *limit = json_object_get(json_object_get(json, "resourceLimits"), key);
    if (json_is_string(limit))
        return INFINITY;
    return limit ? json_number_value(limit) : 0;
}

static void read_readiness(struct app *a, const json_t *json, struct problems *problems)
{
    const json_t *list = json_object_get(json, "readinessChecks");
    if (json_array_size(list) > 1)
        problems_add(problems, "/readinessChecks", "may not contain more than 1 readiness check");
    const json_t *r = json_array_get(list, 0);
    if (r == NULL)
        return;
    static const char *const words[] = {"HTTP", "HTTPS"};
    if (get_word(r, "protocol", words, 2) == 1)
        problems_add(problems, "/readinessChecks(0)/protocol", "HTTPS is not supported yet");
    struct app_readiness_check *c = app_alloc(a, sizeof(*c));
    c->name = get_string(a, r, "name", "readinessCheck");
    c->path = get_string(a, r, "path", "/");
    c->port_name = get_string(a, r, "portName", "http-api");
    c->interval_s = get_int(r, "intervalSeconds", 30);
    c->timeout_s = get_int(r, "timeoutSeconds", 10);
    c->preserve_last_response = get_bool(r, "preserveLastResponse", false);
    const json_t *statuses = json_object_get(r, "httpStatusCodesForReady");
    c->ready_status_count = statuses ? json_array_size(statuses) : 1;
    c->ready_statuses = app_alloc(a, sizeof(int) * c->ready_status_count);
    c->ready_statuses[0] = 200;
    for (size_t i = 0; i < json_array_size(statuses); i++)
        c->ready_statuses[i] = (int)json_number_value(json_array_get(statuses, i));
    a->readiness = c;
}

static void read_ports(struct app *a, const json_t *json)
{
    const json_t *list = json_object_get(json, "portDefinitions");
    a->require_ports = get_bool(json, "requirePorts", false);
    if (list == NULL) { /* absent is not empty: one port (facts 2.8) */
        a->ports = app_alloc(a, sizeof(a->ports[0]));
        a->ports[0] = (struct app_port){.name = app_strdup(a, "default"), .protocol = app_strdup(a, "tcp")};
        a->port_count = 1;
        return;
    }
    a->port_count = json_array_size(list);
    a->ports = app_alloc(a, sizeof(a->ports[0]) * (a->port_count + 1));
    for (size_t i = 0; i < a->port_count; i++) {
        static const char *const words[] = {"tcp", "udp", "udp,tcp", "tcp,udp"};
        const json_t *p = json_array_get(list, i);
        size_t word = get_word(p, "protocol", words, 4);
        a->ports[i] = (struct app_port){.number = (int)get_int(p, "port", 0),
                                        .name = get_string(a, p, "name", NULL),
                                        .protocol = app_strdup(a, words[word == 3 ? 2 : word]),
                                        .labels = get_pairs(a, p, "labels")};
    }
}

static void read_container(struct app *a, const json_t *json)
{
    const json_t *container = json_object_get(json, "container");
    a->has_container = container != NULL;
    const json_t *list = json_object_get(container, "volumes");
    a->volume_count = json_array_size(list);
    a->volumes = app_alloc(a, sizeof(a->volumes[0]) * (a->volume_count + 1));
    for (size_t i = 0; i < a->volume_count; i++) {
        static const char *const words[] = {"RW", "RO"};
        const json_t *v = json_array_get(list, i);
        a->volumes[i] = (struct app_volume){.container_path = get_string(a, v, "containerPath", ""),
                                            .host_path = get_string(a, v, "hostPath", NULL),
                                            .is_read_only = get_word(v, "mode", words, 2) == 1};
    }
}

static void read_unreachable(struct app *a, const json_t *json)
{
    const json_t *u = json_object_get(json, "unreachableStrategy");
    if (json_is_string(u)) {
        a->inactive_after_s = a->expunge_after_s = APP_UNREACHABLE_DISABLED;
        return;
    }
    a->inactive_after_s = get_int(u, "inactiveAfterSeconds", 0);
    a->expunge_after_s = get_int(u, "expungeAfterSeconds", 0);
}

static void read_dependencies(struct app *a, const json_t *json, struct problems *problems)
{
    const json_t *list = json_object_get(json, "dependencies");
    a->dependencies = app_alloc(a, sizeof(a->dependencies[0]) * (json_array_size(list) + 1));
    for (size_t i = 0; i < json_array_size(list); i++) {
        char id[APP_ID_SIZE], path[PROBLEM_PATH_MAX];
        (void)snprintf(path, sizeof(path), "/dependencies(%zu)", i);
        if (!app_id_resolve(json_string_value(json_array_get(list, i)), "/", id))
            problems_add(problems, path, "must not be longer than %d characters", APP_ID_MAX);
        else
            a->dependencies[a->dependency_count++] = app_strdup(a, id);
    }
}

bool app_read(struct app *a, const json_t *json, const struct app_context *context, struct problems *problems)
{
    static const char *const kill_words[] = {"YOUNGEST_FIRST", "OLDEST_FIRST"};
    a->id = get_string(a, json, "id", "/");
    a->cmd = get_string(a, json, "cmd", NULL);
    a->user = get_string(a, json, "user", NULL);
    a->role = get_string(a, json, "role", context->role);
    a->args = get_strings(a, json, "args", &a->arg_count);
    a->cpus = get_number(json, "cpus", 1);
    a->mem = get_number(json, "mem", 128);
    a->disk = get_number(json, "disk", 0);
    a->cpus_limit = read_limit(json, "cpus");
    a->mem_limit = read_limit(json, "mem");
    a->instances = get_int(json, "instances", 1);
    read_constraints(a, json, problems);
    a->accepted_roles = get_strings(a, json, "acceptedResourceRoles", &a->accepted_role_count);
    if (json_object_get(json, "acceptedResourceRoles") && a->accepted_role_count == 0)
        problems_add(problems, "/acceptedResourceRoles", "must not be empty");
    a->env = get_pairs(a, json, "env");
    a->labels = get_pairs(a, json, "labels");
    a->executor = get_string(a, json, "executor", "");
    read_fetch(a, json);
    read_ports(a, json);
    read_health_checks(a, json);
    read_check(a, json, problems);
    read_readiness(a, json, problems);
    read_container(a, json);
    a->backoff_ms = get_int(json, "backoffSeconds", 1) * 1000;
    a->backoff_factor = get_number(json, "backoffFactor", 1.15);
    a->backoff_max_ms = get_int(json, "maxLaunchDelaySeconds", 300) * 1000;
    const json_t *upgrade = json_object_get(json, "upgradeStrategy");
    a->minimum_health = get_number(upgrade, "minimumHealthCapacity", 1);
    a->maximum_over = get_number(upgrade, "maximumOverCapacity", 1);
    a->kill_oldest_first = get_word(json, "killSelection", kill_words, 2) == 1;
    read_unreachable(a, json);
    a->kill_grace_s = get_int(json, "taskKillGracePeriodSeconds", -1);
    read_dependencies(a, json, problems);
    return !problems_any(problems);
}
