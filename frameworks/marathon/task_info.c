/* SPDX-License-Identifier: Apache-2.0 */
#include "frameworks/marathon/task_info.h"

#include <string.h>

#include "common/base/check.h"
#include "frameworks/kit/task_parts.h"

static void add_port(Mesos__V1__Ports *ports, const struct app_port *definition, uint32_t number, const char *protocol,
                     struct arena *a)
{
    Mesos__V1__Port *p = arena_new_one(a, Mesos__V1__Port);
    mesos__v1__port__init(p);
    p->number = number;
    p->name = (char *)definition->name;
    p->protocol = (char *)protocol;
    p->labels = task_labels(&definition->labels, a);
    ports->ports[ports->n_ports++] = p;
}

static Mesos__V1__DiscoveryInfo *discovery_of(const struct task_request *r, const char *name, struct arena *a)
{
    const struct app *app = r->app;
    Mesos__V1__DiscoveryInfo *d = arena_new_one(a, Mesos__V1__DiscoveryInfo);
    mesos__v1__discovery_info__init(d);
    d->visibility = MESOS__V1__DISCOVERY_INFO__VISIBILITY__FRAMEWORK;
    d->name = (char *)name;
    d->ports = arena_new_one(a, Mesos__V1__Ports);
    mesos__v1__ports__init(d->ports);
    d->ports->ports = arena_new_array(a, Mesos__V1__Port *, app->port_count * 2 + 1);
    for (size_t i = 0; i < app->port_count; i++) {
        const struct app_port *p = &app->ports[i];
        if (strcmp(p->protocol, "udp,tcp") == 0) {
            add_port(d->ports, p, r->ports[i], "udp", a);
            add_port(d->ports, p, r->ports[i], "tcp", a);
        } else {
            add_port(d->ports, p, r->ports[i], p->protocol, a);
        }
    }
    return d;
}

static Mesos__V1__CommandInfo *command_of(const struct task_request *r, struct arena *a)
{
    const struct app *app = r->app;
    Mesos__V1__CommandInfo *c = arena_new_one(a, Mesos__V1__CommandInfo);
    mesos__v1__command_info__init(c);
    c->has_shell = 1;
    c->shell = app->cmd != NULL;
    if (app->cmd) {
        c->value = (char *)app->cmd;
    } else {
        c->value = (char *)app->args[0];
        c->arguments = (char **)app->args;
        c->n_arguments = app->arg_count;
    }
    c->user = (char *)(app->user ? app->user : r->user);
    c->environment = marathon_task_environment(r, a);
    c->uris = arena_new_array(a, Mesos__V1__CommandInfo__URI *, app->fetch_count + 1);
    for (size_t i = 0; i < app->fetch_count; i++) {
        const struct app_fetch *f = &app->fetch[i];
        c->uris[c->n_uris++] = task_uri(f->uri, f->dest_path, f->extract, f->executable, f->cache, a);
    }
    return c;
}

static uint32_t check_port(const struct app_health_check *c, const struct task_request *r)
{
    if (c->port >= 0)
        return (uint32_t)c->port;
    CHECK(c->port_index >= 0 && (size_t)c->port_index < r->app->port_count);
    return r->ports[c->port_index];
}

static void fill_check_kind(Mesos__V1__HealthCheck *h, const struct app_health_check *c, const struct task_request *r,
                            struct arena *a)
{
    h->has_type = 1;
    if (c->protocol == APP_COMMAND) {
        h->type = MESOS__V1__HEALTH_CHECK__TYPE__COMMAND;
        h->command = arena_new_one(a, Mesos__V1__CommandInfo);
        mesos__v1__command_info__init(h->command);
        h->command->has_shell = 1;
        h->command->shell = 1;
        h->command->value = (char *)c->command;
    } else if (c->protocol == APP_MESOS_TCP) {
        h->type = MESOS__V1__HEALTH_CHECK__TYPE__TCP;
        h->tcp = arena_new_one(a, Mesos__V1__HealthCheck__TCPCheckInfo);
        mesos__v1__health_check__tcpcheck_info__init(h->tcp);
        h->tcp->port = check_port(c, r);
    } else {
        h->type = MESOS__V1__HEALTH_CHECK__TYPE__HTTP;
        h->http = arena_new_one(a, Mesos__V1__HealthCheck__HTTPCheckInfo);
        mesos__v1__health_check__httpcheck_info__init(h->http);
        h->http->scheme = (char *)(c->protocol == APP_MESOS_HTTPS ? "https" : "http");
        h->http->port = check_port(c, r);
        h->http->path = (char *)(c->path ? c->path : "/");
    }
}

static Mesos__V1__HealthCheck *health_check_of(const struct task_request *r, struct arena *a)
{
    for (size_t i = 0; i < r->app->health_check_count; i++) {
        const struct app_health_check *c = &r->app->health_checks[i];
        if (!app_check_is_mesos(c->protocol))
            continue;
        Mesos__V1__HealthCheck *h = arena_new_one(a, Mesos__V1__HealthCheck);
        mesos__v1__health_check__init(h);
        h->has_delay_seconds = h->has_interval_seconds = h->has_timeout_seconds = 1;
        h->has_consecutive_failures = h->has_grace_period_seconds = 1;
        h->delay_seconds = (double)c->delay_s;
        h->interval_seconds = (double)c->interval_s;
        h->timeout_seconds = (double)c->timeout_s;
        h->consecutive_failures = (uint32_t)c->failures_max;
        h->grace_period_seconds = (double)c->grace_s;
        fill_check_kind(h, c, r, a);
        return h; /* validation allows one */
    }
    return NULL;
}

static void fill_general_kind(Mesos__V1__CheckInfo *out, const struct app_check *c, uint32_t port, struct arena *a)
{
    out->has_type = 1;
    if (c->protocol == APP_COMMAND) {
        out->type = MESOS__V1__CHECK_INFO__TYPE__COMMAND;
        out->command = arena_new_one(a, Mesos__V1__CheckInfo__Command);
        mesos__v1__check_info__command__init(out->command);
        Mesos__V1__CommandInfo *command = out->command->command = arena_new_one(a, Mesos__V1__CommandInfo);
        mesos__v1__command_info__init(command);
        command->has_shell = 1;
        command->shell = c->shell != NULL;
        command->value = (char *)(c->shell ? c->shell : c->argv[0]);
        command->arguments = (char **)c->argv;
        command->n_arguments = c->argv_count;
    } else if (c->protocol == APP_MESOS_TCP) {
        out->type = MESOS__V1__CHECK_INFO__TYPE__TCP;
        out->tcp = arena_new_one(a, Mesos__V1__CheckInfo__Tcp);
        mesos__v1__check_info__tcp__init(out->tcp);
        out->tcp->port = port;
    } else {
        out->type = MESOS__V1__CHECK_INFO__TYPE__HTTP;
        out->http = arena_new_one(a, Mesos__V1__CheckInfo__Http);
        mesos__v1__check_info__http__init(out->http);
        out->http->port = port;
        out->http->path = (char *)(c->path ? c->path : "/");
    }
}

static Mesos__V1__CheckInfo *general_check_of(const struct task_request *r, struct arena *a)
{
    const struct app_check *c = r->app->check;
    if (c == NULL)
        return NULL;
    uint32_t port = c->port >= 0 ? (uint32_t)c->port : c->port_index >= 0 ? r->ports[c->port_index] : 0;
    Mesos__V1__CheckInfo *out = arena_new_one(a, Mesos__V1__CheckInfo);
    mesos__v1__check_info__init(out);
    out->has_delay_seconds = out->has_interval_seconds = out->has_timeout_seconds = 1;
    out->delay_seconds = (double)c->delay_s;
    out->interval_seconds = (double)c->interval_s;
    out->timeout_seconds = (double)c->timeout_s;
    fill_general_kind(out, c, port, a);
    return out;
}

static void add_limit(Mesos__V1__TaskInfo *t, const char *name, double limit, struct arena *a)
{
    if (limit == 0)
        return;
    Mesos__V1__TaskInfo__LimitsEntry *entry = arena_new_one(a, Mesos__V1__TaskInfo__LimitsEntry);
    mesos__v1__task_info__limits_entry__init(entry);
    entry->key = (char *)name;
    entry->value = arena_new_one(a, Mesos__V1__Value__Scalar);
    mesos__v1__value__scalar__init(entry->value);
    entry->value->value = limit; /* infinity is what Mesos calls unlimited */
    t->limits[t->n_limits++] = entry;
}

static Mesos__V1__ContainerInfo *container_of_app(const struct app *app, struct arena *a)
{
    if (!app->has_container || app->volume_count == 0)
        return NULL;
    Mesos__V1__Volume **volumes = arena_new_array(a, Mesos__V1__Volume *, app->volume_count);
    for (size_t i = 0; i < app->volume_count; i++) {
        const struct app_volume *v = &app->volumes[i];
        volumes[i] = task_host_volume(v->container_path, v->host_path, v->is_read_only, a);
    }
    return task_container(volumes, app->volume_count, a);
}

Mesos__V1__TaskInfo *marathon_task_info(const struct task_request *r, struct arena *a)
{
    char name[APP_ID_SIZE];
    app_id_to_name(r->app->id, name);
    Mesos__V1__TaskInfo *t = arena_new_one(a, Mesos__V1__TaskInfo);
    mesos__v1__task_info__init(t);
    t->name = arena_strdup(a, name);
    t->task_id = task_id_of(r->task_id, a);
    t->agent_id = task_agent_id_of(r->agent_id, a);
    t->resources = r->resources;
    t->n_resources = r->resource_count;
    t->command = command_of(r, a);
    t->container = container_of_app(r->app, a);
    t->health_check = health_check_of(r, a);
    t->check = general_check_of(r, a);
    t->limits = arena_new_array(a, Mesos__V1__TaskInfo__LimitsEntry *, 2);
    add_limit(t, "cpus", r->app->cpus_limit, a);
    add_limit(t, "mem", r->app->mem_limit, a);
    t->kill_policy = task_kill_policy((double)r->app->kill_grace_s, a);
    t->labels = task_labels(&r->app->labels, a);
    t->discovery = discovery_of(r, t->name, a);
    return t;
}
