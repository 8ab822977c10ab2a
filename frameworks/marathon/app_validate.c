/* SPDX-License-Identifier: Apache-2.0
 * app_validate.c - rules that an app in canonical form must keep (facts: marathon 2.3 to 2.9). One problem per violation.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"
#include "common/base/text.h"
#include "frameworks/kit/pattern.h"
#include "frameworks/marathon/app.h"

#define CHECK_PATH_MAX 4096 /* what the executor takes */

static void validate_command(const struct app *a, struct problems *p)
{
    if (a->cmd && a->arg_count > 0)
        problems_add(p, "/", "AppDefinition must either contain one of 'cmd' or 'args', and/or a 'container'.");
    else if (!a->cmd && a->arg_count == 0)
        problems_add(p, "/",
                     "AppDefinition must either contain one of 'cmd' or 'args', and/or a 'container'. "
                     "(A container without an image does not say what to run.)");
    if (a->arg_count > 0 && a->args[0][0] == '\0')
        problems_add(p, "/args(0)", "must not be an empty string: it names the program");
}

static void validate_amounts(const struct app *a, struct problems *p)
{
    if (a->cpus < 0.001)
        problems_add(p, "/cpus", "error.min: must be at least 0.001");
    if (a->cpus_limit > 0 && a->cpus_limit < a->cpus)
        problems_add(p, "/resourceLimits/cpus", "must be at least the cpus that are asked for");
    if (a->mem_limit > 0 && a->mem_limit < a->mem)
        problems_add(p, "/resourceLimits/mem", "must be at least the mem that is asked for");
    for (size_t i = 0; i < a->labels.count; i++) {
        if (strcmp(a->labels.items[i].key, "MARATHON_SINGLE_INSTANCE_APP") != 0 ||
            strcmp(a->labels.items[i].value, "true") != 0)
            continue;
        if (a->instances > 1)
            problems_add(p, "/instances", "Single instance app may only have one instance");
        if (a->minimum_health != 0 || a->maximum_over != 0)
            problems_add(p, "/upgradeStrategy",
                         "Single instance app upgrade strategy must have minimumHealthCapacity and "
                         "maximumOverCapacity 0");
    }
    if (a->inactive_after_s != APP_UNREACHABLE_DISABLED && a->inactive_after_s > a->expunge_after_s)
        problems_add(p, "/unreachableStrategy/inactiveAfterSeconds", "must be less than or equal to expungeAfterSeconds");
}

static void validate_roles(const struct app *a, const struct app_context *context, struct problems *p)
{
    if (context->is_stored)
        return; /* another default role today must not make yesterday's apps unreadable */
    if (strcmp(a->role, context->role) != 0)
        problems_add(p, "/role", "must be %s: other roles than that of --mesos_role are not supported yet", context->role);
    for (size_t i = 0; i < a->accepted_role_count; i++) {
        if (strcmp(a->accepted_roles[i], "*") != 0 && strcmp(a->accepted_roles[i], a->role) != 0) {
            problems_add(p, "/acceptedResourceRoles", "acceptedResourceRoles can only contain * and %s", a->role);
            break;
        }
    }
}

static void validate_pattern(const char *path, const char *value, struct problems *p)
{
    struct err err;
    struct pattern *pattern = kit_pattern_new(value, &err);
    if (pattern == NULL)
        problems_add(p, path, "'%s' is not a valid regular expression: %s", value, err.text);
    (void)pattern_free(pattern);
}

static bool is_plain_text(const char *s)
{
    for (; *s; s++) {
        if (!((*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') || (*s >= '0' && *s <= '9') || strchr("_/.-", *s)))
            return false;
    }
    return true;
}

static bool is_count(const char *s)
{
    int64_t n;
    return text_to_int64(s, &n) == 0 && n >= 0 && n <= INT32_MAX;
}

static void validate_constraint(const struct app_constraint *c, const char *path, struct problems *p)
{
    const char *v = c->value;
    switch (c->op) {
    case APP_UNIQUE:
        if (v && v[0])
            problems_add(p, path, "UNIQUE does not accept a value");
        return;
    case APP_CLUSTER:
        return;
    case APP_GROUP_BY:
        if (v && v[0] && !is_count(v))
            problems_add(p, path, "GROUP BY must define an integer value or else no value at all");
        return;
    case APP_MAX_PER:
        if (!v || !is_count(v))
            problems_add(p, path, "MAX_PER requires an integer value");
        return;
    case APP_LIKE:
    case APP_UNLIKE:
        if (!v || !v[0])
            problems_add(p, path, "LIKE and UNLIKE require a non-empty, regular expression value");
        else
            validate_pattern(path, v, p);
        return;
    case APP_IS:
        if (!v || !is_plain_text(v))
            problems_add(p, path, "IS only supports text values of the characters a-z A-Z 0-9 _ / . -");
        return;
    }
}

/* Lower-case letters, digits and inner dashes. */
static bool is_port_name(const char *s)
{
    size_t n = strlen(s);
    if (n == 0 || n > 255 || s[0] == '-' || s[n - 1] == '-')
        return false;
    return strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == n;
}

static int compare_ints(const void *left, const void *right)
{
    int a = *(const int *)left, b = *(const int *)right;
    return (a > b) - (a < b);
}

static int compare_names(const void *left, const void *right)
{
    return strcmp(*(const char *const *)left, *(const char *const *)right);
}

static void validate_ports(const struct app *a, struct problems *p)
{
    int *numbers = xcalloc(a->port_count + 1, sizeof(int));
    const char **names = xcalloc(a->port_count + 1, sizeof(char *));
    size_t number_count = 0, name_count = 0;
    for (size_t i = 0; i < a->port_count; i++) {
        const struct app_port *port = &a->ports[i];
        char path[PROBLEM_PATH_MAX];
        (void)snprintf(path, sizeof(path), "/portDefinitions(%zu)/name", i);
        if (port->number != 0)
            numbers[number_count++] = port->number;
        if (port->name) {
            names[name_count++] = port->name;
            if (!is_port_name(port->name))
                problems_add(p, path, "must fully match regular expression '^[a-z0-9]([a-z0-9-]*[a-z0-9])?$'");
        }
    }
    if (number_count > 0)
        qsort(numbers, number_count, sizeof(int), compare_ints);
    if (name_count > 0)
        qsort(names, name_count, sizeof(char *), compare_names);
    bool same_number = false, same_name = false;
    for (size_t i = 1; i < number_count; i++)
        same_number = same_number || numbers[i] == numbers[i - 1];
    for (size_t i = 1; i < name_count; i++)
        same_name = same_name || strcmp(names[i], names[i - 1]) == 0;
    if (same_number)
        problems_add(p, "/portDefinitions", "Ports must be unique.");
    if (same_name)
        problems_add(p, "/portDefinitions", "Port names must be unique.");
    free(numbers);
    free(names);
}

static void validate_path(const char *where, const char *path, struct problems *p)
{
    if (path == NULL)
        return;
    if (path[0] != '/')
        problems_add(p, where, "must begin with a slash");
    else if (strlen(path) > CHECK_PATH_MAX)
        problems_add(p, where, "must not be longer than %d bytes", CHECK_PATH_MAX);
    for (const unsigned char *c = (const unsigned char *)path; *c; c++) {
        if (*c <= ' ' || *c == 127) {
            problems_add(p, where, "must not contain spaces or control characters");
            return;
        }
    }
}

static void validate_target(const struct app *a, int port, int port_index, const char *where, struct problems *p)
{
    if (port == 0)
        problems_add(p, where, "must not be 0");
    else if (port < 0 && (port_index < 0 || (size_t)port_index >= a->port_count))
        problems_add(p, where,
                     "Health check port indices must address an element of the ports array or container port mappings.");
}

static void validate_general_check(const struct app *a, struct problems *p)
{
    const struct app_check *c = a->check;
    if (c == NULL)
        return;
    if (c->protocol != APP_COMMAND) {
        validate_path("/check/http/path", c->path, p);
        validate_target(a, c->port, c->port_index, c->protocol == APP_MESOS_HTTP ? "/check/http" : "/check/tcp", p);
    } else if ((c->shell != NULL) == (c->argv_count > 0)) {
        problems_add(p, "/check/exec/command", "must have either shell or argv");
    } else if (c->argv_count > 0 && c->argv[0][0] == '\0') {
        problems_add(p, "/check/exec/command/argv(0)", "must not be an empty string: it names the program");
    }
}

static void validate_health_check(const struct app *a, size_t i, bool *has_mesos_check, struct problems *p)
{
    const struct app_health_check *c = &a->health_checks[i];
    char path[PROBLEM_PATH_MAX], below[PROBLEM_PATH_MAX + 16];
    (void)snprintf(path, sizeof(path), "/healthChecks(%zu)", i);
    if (c->protocol == APP_COMMAND) {
        (void)snprintf(below, sizeof(below), "%s/command", path);
        if (!c->command)
            problems_add(p, below, "must be given for protocol COMMAND");
        if (c->path || c->port >= 0)
            problems_add(p, path, "Invalid combination of HealthCheck parameters: a COMMAND check has no path and no port");
        return;
    }
    if (c->command)
        problems_add(p, path, "Invalid combination of HealthCheck parameters: only a COMMAND check has a command");
    bool is_tcp = c->protocol == APP_TCP || c->protocol == APP_MESOS_TCP;
    (void)snprintf(below, sizeof(below), "%s/path", path);
    if (is_tcp && c->path)
        problems_add(p, path, "Invalid combination of HealthCheck parameters: a TCP check has no path");
    else
        validate_path(below, c->path, p);
    (void)snprintf(below, sizeof(below), "%s/portIndex", path);
    validate_target(a, c->port, c->port_index, below, p);
    if (c->protocol == APP_HTTPS || c->protocol == APP_MESOS_HTTPS) {
        (void)snprintf(below, sizeof(below), "%s/protocol", path);
        problems_add(p, below, "%s is not supported yet", app_check_protocol_name(c->protocol));
    }
    if (app_check_is_mesos(c->protocol)) {
        if (*has_mesos_check)
            problems_add(p, "/healthChecks", "AppDefinition can contain at most one Mesos health check");
        *has_mesos_check = true;
    }
}

static void validate_checks(const struct app *a, struct problems *p)
{
    bool has_mesos_check = false;
    size_t commands = 0;
    for (size_t i = 0; i < a->health_check_count; i++) {
        validate_health_check(a, i, &has_mesos_check, p);
        commands += a->health_checks[i].protocol == APP_COMMAND;
    }
    /* A TaskInfo has room for one check: more would be dropped silently. */
    if (commands > 1 || (commands == 1 && has_mesos_check))
        problems_add(p, "/healthChecks", "AppDefinition can contain at most one Mesos health check (COMMAND included)");
    const struct app_readiness_check *r = a->readiness;
    if (r == NULL)
        return;
    bool found = false;
    for (size_t i = 0; i < a->port_count; i++)
        found = found || (a->ports[i].name && strcmp(a->ports[i].name, r->port_name) == 0);
    if (!found)
        problems_add(p, "/readinessChecks(0)/portName", "No port definition reference for portName %s", r->port_name);
    if (r->timeout_s >= r->interval_s)
        problems_add(p, "/readinessChecks(0)/timeoutSeconds", "must be less than intervalSeconds");
    validate_path("/readinessChecks(0)/path", r->path, p);
}

static void validate_volumes(const struct app *a, struct problems *p)
{
    for (size_t i = 0; i < a->volume_count; i++) {
        char path[PROBLEM_PATH_MAX];
        (void)snprintf(path, sizeof(path), "/container/volumes(%zu)/hostPath", i);
        if (!a->volumes[i].host_path)
            problems_add(p, path, "must be given: only host volumes are supported yet");
        else if (a->volumes[i].host_path[0] != '/')
            problems_add(p, path, "must be an absolute path");
    }
}

static void validate_texts(const struct app *a, struct problems *p)
{
    if (a->env.count > 4096)
        problems_add(p, "/env", "must not have more than 4096 entries");
    for (size_t i = 0; i < a->env.count; i++) {
        const char *name = a->env.items[i].key;
        if (name[0] == '\0' || strchr(name, '='))
            problems_add(p, "/env", "names must not be empty and must not contain '='");
    }
    for (size_t i = 0; i < a->fetch_count; i++) {
        char path[PROBLEM_PATH_MAX];
        (void)snprintf(path, sizeof(path), "/fetch(%zu)/uri", i);
        if (strpbrk(a->fetch[i].uri, " \r\n\t"))
            problems_add(p, path, "URI has invalid syntax.");
    }
    for (size_t i = 0; i < a->dependency_count; i++) {
        if (strcmp(a->dependencies[i], a->id) == 0)
            problems_add(p, "/dependencies", "Dependency graph has cyclic dependencies.");
    }
}

void app_validate(const struct app *a, const struct app_context *context, struct problems *p)
{
    validate_command(a, p);
    validate_amounts(a, p);
    validate_roles(a, context, p);
    for (size_t i = 0; i < a->constraint_count; i++) {
        char path[PROBLEM_PATH_MAX];
        (void)snprintf(path, sizeof(path), "/constraints(%zu)", i);
        if (a->constraints[i].field[0] == '\0')
            problems_add(p, path, "field must not be empty");
        validate_constraint(&a->constraints[i], path, p);
    }
    if (a->port_count > APP_PORTS_MAX)
        problems_add(p, "/portDefinitions", "must not have more than %d entries", APP_PORTS_MAX);
    validate_ports(a, p);
    validate_checks(a, p);
    validate_general_check(a, p);
    validate_volumes(a, p);
    validate_texts(a, p);
}
