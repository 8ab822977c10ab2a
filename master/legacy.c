/* SPDX-License-Identifier: Apache-2.0 */
#include "master/legacy.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"
#include "common/wire/codec.h"
#include "master/answer.h"
#include "master/drain.h"
#include "master/offers.h"
#include "master/snapshot.h"

#define kv_seconds(w, k, ms) json_kv_double((w), (k), (double)(ms) / 1000)

static void put_resources(struct json_writer *w, const char *key, struct resources *owned)
{
    json_put_key(w, key);
    resources_write_legacy(owned, w);
    resources_free(owned);
}

static void put_wire_resources(struct json_writer *w, const char *key, Mesos__V1__Resource *const *list, size_t n)
{
    struct resources *set = resources_new();
    struct err err;
    (void)resources_add_wire(set, list, n, &err); /* what the core took is valid; else it shows as nothing */
    put_resources(w, key, set);
}

static void put_labels(struct json_writer *w, const Mesos__V1__Labels *labels)
{
    if (labels == NULL)
        return;
    json_put_key(w, "labels");
    json_begin_array(w);
    for (size_t i = 0; i < labels->n_labels; i++)
        wire_to_json(&labels->labels[i]->base, w);
    json_end_array(w);
}

static void put_message(struct json_writer *w, const char *key, const ProtobufCMessage *message)
{
    if (message == NULL)
        return;
    json_put_key(w, key);
    wire_to_json(message, w);
}

/* -- summary ---------------------------------------------------------------------------------------------------- */

/* States that the old endpoints count, in their order. */
static const Mesos__V1__TaskState counted[] = {
    MESOS__V1__TASK_STATE__TASK_STAGING,     MESOS__V1__TASK_STATE__TASK_STARTING, MESOS__V1__TASK_STATE__TASK_RUNNING,
    MESOS__V1__TASK_STATE__TASK_KILLING,     MESOS__V1__TASK_STATE__TASK_FINISHED, MESOS__V1__TASK_STATE__TASK_KILLED,
    MESOS__V1__TASK_STATE__TASK_FAILED,      MESOS__V1__TASK_STATE__TASK_LOST,     MESOS__V1__TASK_STATE__TASK_ERROR,
    MESOS__V1__TASK_STATE__TASK_UNREACHABLE,
};

struct summary_agent {
    uint64_t counts[MASTER_TASK_STATE_COUNT];
    struct map frameworks; /* ids that have tasks here */
};

struct summary_framework {
    struct map agents;
};

struct legacy_summary {
    struct map agents, frameworks; /* by id */
    struct arena *arena;
};

static struct summary_agent *agent_of(struct legacy_summary *s, const char *id)
{
    struct summary_agent *a = map_get(&s->agents, id);
    if (a == NULL) {
        a = xcalloc(1, sizeof(*a));
        map_init(&a->frameworks);
        (void)map_put(&s->agents, id, a); /* there was none */
    }
    return a;
}

static struct summary_framework *framework_of(struct legacy_summary *s, const char *id)
{
    struct summary_framework *f = map_get(&s->frameworks, id);
    if (f == NULL) {
        f = xcalloc(1, sizeof(*f));
        map_init(&f->agents);
        (void)map_put(&s->frameworks, id, f); /* there was none */
    }
    return f;
}

static void count_task(void *ctx, const struct master_task *t)
{
    struct legacy_summary *s = ctx;
    const char *agent_id;
    if (t->agent != NULL) {
        agent_id = t->agent->id;
    } else {
        struct err err;
        arena_reset(s->arena);
        const Mesos__V1__Task *task =
            (const void *)wire_unpack(&mesos__v1__task__descriptor, t->packed, t->packed_len, s->arena, &err);
        CHECK(task != NULL); /* our own bytes */
        agent_id = task->agent_id->value;
    }
    struct summary_agent *a = agent_of(s, agent_id);
    a->counts[t->state]++;
    (void)map_put(&a->frameworks, t->framework->id, s);                     /* only whether it is there counts */
    (void)map_put(&framework_of(s, t->framework->id)->agents, agent_id, s); /* as above */
}

struct legacy_summary *legacy_summary_new(const struct master *m)
{
    struct legacy_summary *s = xcalloc(1, sizeof(*s));
    map_init(&s->agents);
    map_init(&s->frameworks);
    s->arena = arena_new(0);
    for (const struct master_framework *f = m->frameworks; f != NULL; f = f->hh.next) {
        master_each_task(f, MASTER_TASKS_LIVE, count_task, s);
        master_each_task(f, MASTER_TASKS_UNREACHABLE, count_task, s);
        master_each_task(f, MASTER_TASKS_COMPLETED, count_task, s);
    }
    return s;
}

struct legacy_summary *legacy_summary_free(struct legacy_summary *s)
{
    for (struct map_entry *e = map_first(&s->agents); e != NULL; e = map_next(e)) {
        map_deinit(&((struct summary_agent *)map_value(e))->frameworks);
        free(map_value(e));
    }
    for (struct map_entry *e = map_first(&s->frameworks); e != NULL; e = map_next(e)) {
        map_deinit(&((struct summary_framework *)map_value(e))->agents);
        free(map_value(e));
    }
    map_deinit(&s->agents);
    map_deinit(&s->frameworks);
    arena_free(s->arena);
    free(s);
    return NULL;
}

static void put_counts(struct json_writer *w, const uint64_t *counts)
{
    for (size_t i = 0; i < sizeof(counted) / sizeof(counted[0]); i++)
        json_kv_uint(w, wire_enum_name(&mesos__v1__task_state__descriptor, (int)counted[i]),
                     counts != NULL ? counts[counted[i]] : 0);
}

static void put_ids(struct json_writer *w, const char *key, const struct map *ids)
{
    json_put_key(w, key);
    json_begin_array(w);
    for (struct map_entry *e = ids != NULL ? map_first(ids) : NULL; e != NULL; e = map_next(e))
        json_put_string(w, map_key(e));
    json_end_array(w);
}

/* -- agents ----------------------------------------------------------------------------------------------------- */

/* The roles that something is reserved to and that are seen, each once. */
static size_t reserved_roles(const struct master_view *v, const struct resources *total, struct arena *arena,
                             const char **roles, size_t max)
{
    Mesos__V1__Resource **list;
    size_t count = 0, n = resources_to_wire(total, RESOURCE_POST_REFINEMENT, arena, &list);
    for (size_t i = 0; i < n; i++) {
        if (list[i]->n_reservations == 0)
            continue;
        const char *role = list[i]->reservations[list[i]->n_reservations - 1]->role;
        size_t j = 0;
        while (j < count && strcmp(roles[j], role) != 0)
            j++;
        if (j == count && count < max && master_sees_role(v, role))
            roles[count++] = role;
    }
    return count;
}

static void put_full(const struct master_view *v, struct json_writer *w, const char *key, struct resources *owned,
                     struct arena *arena)
{
    Mesos__V1__Resource **list;
    size_t n = resources_to_wire(owned, RESOURCE_ENDPOINT, arena, &list);
    n = master_view_resources(v, list, n);
    if (key != NULL)
        json_put_key(w, key);
    json_begin_array(w);
    for (size_t i = 0; i < n; i++)
        wire_to_json(&list[i]->base, w);
    json_end_array(w);
    resources_free(owned);
}

#define RESERVED_ROLES_MAX 256

static void put_reservations(const struct master_view *v, struct json_writer *w, const struct master_agent *a,
                             bool with_full, struct arena *arena)
{
    const char *roles[RESERVED_ROLES_MAX];
    size_t n = reserved_roles(v, a->total, arena, roles, RESERVED_ROLES_MAX);
    json_put_key(w, "reserved_resources");
    json_begin_object(w);
    for (size_t i = 0; i < n; i++)
        put_resources(w, roles[i], resources_reserved_to(a->total, roles[i]));
    json_end_object(w);
    put_resources(w, "unreserved_resources", resources_unreserved(a->total));
    if (!with_full)
        return;
    json_put_key(w, "reserved_resources_full");
    json_begin_object(w);
    for (size_t i = 0; i < n; i++) {
        json_put_key(w, roles[i]);
        put_full(v, w, NULL, resources_reserved_to(a->total, roles[i]), arena);
    }
    json_end_object(w);
    put_full(v, w, "unreserved_resources_full", resources_unreserved(a->total), arena);
    put_full(v, w, "used_resources_full", master_agent_used(a), arena);
    put_full(v, w, "offered_resources_full", master_agent_offered(a), arena);
}

static void put_agent_head(const struct master_agent *a, struct json_writer *w)
{
    json_kv_string(w, "id", a->id);
    json_kv_string(w, "hostname", a->info->hostname);
    json_kv_int(w, "port", a->info->has_port ? a->info->port : 5051);
    json_put_key(w, "attributes");
    attributes_write_legacy(a->info->attributes, a->info->n_attributes, w);
    put_message(w, "domain", a->info->domain != NULL ? &a->info->domain->base : NULL);
}

void legacy_write_recovered_agent(const struct master_agent *a, struct json_writer *w)
{
    json_begin_object(w);
    put_agent_head(a, w);
    json_end_object(w);
}

void legacy_write_agent(const struct master_view *v, const struct master_agent *a, bool with_full,
                        const struct legacy_summary *summary, struct json_writer *w)
{
    static const char *const capabilities[] = {"MULTI_ROLE", "HIERARCHICAL_ROLE", "RESERVATION_REFINEMENT",
                                               "AGENT_DRAINING"};
    struct arena *arena = arena_new(0);
    json_begin_object(w);
    put_agent_head(a, w);
    json_put_key(w, "pid");
    json_put_string(w, arena_printf(arena, "slave(1)@%s:%d", a->ip, a->info->has_port ? a->info->port : 5051));
    kv_seconds(w, "registered_time", a->registered_ms);
    if (a->reregistered_ms != 0)
        kv_seconds(w, "reregistered_time", a->reregistered_ms);
    put_resources(w, "resources", resources_copy(a->total));
    put_resources(w, "used_resources", master_agent_used(a));
    put_resources(w, "offered_resources", master_agent_offered(a));
    put_reservations(v, w, a, with_full, arena);
    json_kv_bool(w, "active", a->state == MASTER_AGENT_CONNECTED && !a->is_deactivated);
    json_kv_bool(w, "deactivated", a->is_deactivated);
    if (a->drain.state != 0) {
        put_message(w, "drain_info", &master_drain_wire(a, arena)->base);
        kv_seconds(w, "estimated_drain_start_time_seconds", a->drain.start_ms);
    }
    json_kv_string(w, "version", a->version);
    json_put_key(w, "capabilities");
    json_begin_array(w);
    for (size_t i = 0; i < sizeof(capabilities) / sizeof(capabilities[0]); i++)
        json_put_string(w, capabilities[i]);
    json_end_array(w);
    if (summary != NULL) {
        const struct summary_agent *s = map_get(&summary->agents, a->id);
        put_counts(w, s != NULL ? s->counts : NULL);
        put_ids(w, "framework_ids", s != NULL ? &s->frameworks : NULL);
    }
    json_end_object(w);
    arena_free(arena);
}

/* -- tasks and executors ---------------------------------------------------------------------------------------- */

static void put_statuses(struct json_writer *w, const Mesos__V1__Task *task)
{
    json_put_key(w, "statuses");
    json_begin_array(w);
    for (size_t i = 0; i < task->n_statuses; i++) {
        const Mesos__V1__TaskStatus *s = task->statuses[i];
        json_begin_object(w);
        json_kv_string(w, "state", wire_enum_name(&mesos__v1__task_state__descriptor, (int)s->state));
        json_kv_double(w, "timestamp", s->timestamp);
        put_labels(w, s->labels);
        if (s->container_status != NULL) {
            Mesos__V1__ContainerStatus container = *s->container_status;
            container.has_executor_pid = false; /* the old form has no place for it */
            put_message(w, "container_status", &container.base);
        }
        if (s->has_healthy)
            json_kv_bool(w, "healthy", s->healthy);
        json_end_object(w);
    }
    json_end_array(w);
}

static const char *role_of(Mesos__V1__Resource *const *list, size_t n)
{
    return n > 0 && list[0]->allocation_info != NULL && list[0]->allocation_info->role != NULL
               ? list[0]->allocation_info->role
               : NULL;
}

void legacy_write_task(const Mesos__V1__Task *task, struct json_writer *w)
{
    json_begin_object(w);
    json_kv_string(w, "id", task->task_id->value);
    json_kv_string(w, "name", task->name);
    json_kv_string(w, "framework_id", task->framework_id->value);
    json_kv_string(w, "executor_id", task->executor_id != NULL ? task->executor_id->value : "");
    json_kv_string(w, "slave_id", task->agent_id->value);
    json_kv_string(w, "state", wire_enum_name(&mesos__v1__task_state__descriptor, (int)task->state));
    put_wire_resources(w, "resources", task->resources, task->n_resources);
    if (task->n_limits > 0) {
        json_put_key(w, "limits");
        json_begin_object(w);
        for (size_t i = 0; i < task->n_limits; i++)
            if (task->limits[i]->key != NULL && task->limits[i]->value != NULL)
                json_kv_double(w, task->limits[i]->key, task->limits[i]->value->value);
        json_end_object(w);
    }
    const char *role = role_of(task->resources, task->n_resources);
    json_kv_string(w, "role", role != NULL ? role : "*");
    put_statuses(w, task);
    if (task->user != NULL)
        json_kv_string(w, "user", task->user);
    put_labels(w, task->labels);
    put_message(w, "discovery", task->discovery != NULL ? &task->discovery->base : NULL);
    put_message(w, "container", task->container != NULL ? &task->container->base : NULL);
    put_message(w, "health_check", task->health_check != NULL ? &task->health_check->base : NULL);
    json_end_object(w);
}

static void put_command(struct json_writer *w, const Mesos__V1__CommandInfo *c)
{
    json_put_key(w, "command");
    json_begin_object(w);
    if (c != NULL && c->has_shell)
        json_kv_bool(w, "shell", c->shell);
    if (c != NULL && c->value != NULL)
        json_kv_string(w, "value", c->value);
    json_put_key(w, "argv");
    json_begin_array(w);
    for (size_t i = 0; c != NULL && i < c->n_arguments; i++)
        json_put_string(w, c->arguments[i]);
    json_end_array(w);
    if (c != NULL)
        put_message(w, "environment", c->environment != NULL ? &c->environment->base : NULL);
    json_put_key(w, "uris");
    json_begin_array(w);
    for (size_t i = 0; c != NULL && i < c->n_uris; i++) {
        json_begin_object(w);
        json_kv_string(w, "value", c->uris[i]->value);
        json_kv_bool(w, "executable", c->uris[i]->has_executable && c->uris[i]->executable);
        json_end_object(w);
    }
    json_end_array(w);
    json_end_object(w);
}

static void put_executor(const struct master_executor *e, struct arena *arena, struct json_writer *w)
{
    struct err err;
    const Mesos__V1__ExecutorInfo *info =
        (const void *)wire_unpack(&mesos__v1__executor_info__descriptor, e->packed, e->packed_len, arena, &err);
    CHECK(info != NULL); /* our own bytes */
    json_begin_object(w);
    json_kv_string(w, "executor_id", e->id);
    json_kv_string(w, "name", info->name != NULL ? info->name : "");
    json_kv_string(w, "framework_id", e->framework->id);
    put_command(w, info->command);
    put_wire_resources(w, "resources", info->resources, info->n_resources);
    const char *role = role_of(info->resources, info->n_resources);
    if (role != NULL)
        json_kv_string(w, "role", role);
    put_labels(w, info->labels);
    if (info->has_type)
        json_kv_string(w, "type", wire_enum_name(&mesos__v1__executor_info__type__descriptor, (int)info->type));
    json_kv_string(w, "slave_id", e->agent->id);
    json_end_object(w);
}

/* -- frameworks ------------------------------------------------------------------------------------------------- */

static void put_offer(const struct master *m, const struct master_offer *o, struct arena *arena, struct json_writer *w)
{
    json_begin_object(w);
    json_kv_string(w, "id", master_offer_id(arena, m, o));
    json_kv_string(w, "framework_id", o->client->framework->id);
    json_put_key(w, "allocation_info");
    json_begin_object(w);
    json_kv_string(w, "role", o->client->role->name);
    json_end_object(w);
    json_kv_string(w, "slave_id", o->agent->id);
    put_resources(w, "resources", resources_copy(o->resources));
    json_end_object(w);
}

struct task_walk {
    const struct master_view *view;
    struct json_writer *w;
    struct arena *arena;
    struct master_picture *picture;
};

static void put_task(void *ctx, const struct master_task *t)
{
    struct task_walk *walk = ctx;
    arena_reset(walk->arena);
    if (!master_sees_task(walk->view, t, walk->arena))
        return;
    if (walk->picture != NULL)
        master_picture_add_task(walk->picture, t);
    else
        legacy_write_task(master_snapshot_task(t, walk->arena), walk->w);
}

static void put_tasks(const struct master_view *v, const struct master_framework *f, enum master_task_set which,
                      const char *key, struct arena *arena, struct json_writer *w, struct master_picture *picture)
{
    struct task_walk walk = {.view = v, .w = w, .arena = arena, .picture = picture};
    json_put_key(w, key);
    json_begin_array(w);
    master_each_task(f, which, put_task, &walk);
    json_end_array(w);
}

static void put_framework_head(const struct master_framework *f, const struct resources *used,
                               const struct resources *offered, struct json_writer *w)
{
    const Mesos__V1__FrameworkInfo *info = f->info;
    json_kv_string(w, "id", f->id);
    json_kv_string(w, "name", info->name);
    put_resources(w, "used_resources", resources_copy(used));
    put_resources(w, "offered_resources", resources_copy(offered));
    json_put_key(w, "capabilities");
    json_begin_array(w);
    for (size_t i = 0; i < info->n_capabilities; i++)
        json_put_string(
            w, wire_enum_name(&mesos__v1__framework_info__capability__type__descriptor, (int)info->capabilities[i]->type));
    json_end_array(w);
    json_kv_string(w, "hostname", info->hostname != NULL ? info->hostname : "");
    json_kv_string(w, "webui_url", info->webui_url != NULL ? info->webui_url : "");
    json_kv_bool(w, "active", f->state == MASTER_FRAMEWORK_CONNECTED);
    json_kv_bool(w, "connected", f->state == MASTER_FRAMEWORK_CONNECTED);
    json_kv_bool(w, "recovered", f->state == MASTER_FRAMEWORK_RECOVERED);
}

static void put_framework_roles(const struct master_framework *f, struct json_writer *w)
{
    if (!(f->capabilities & MASTER_CAN_MULTI_ROLE)) {
        json_kv_string(w, "role", f->info->role != NULL ? f->info->role : "*");
        return;
    }
    json_put_key(w, "roles");
    json_begin_array(w);
    for (size_t i = 0; i < f->info->n_roles; i++)
        json_put_string(w, f->info->roles[i]);
    json_end_array(w);
}

static void put_framework_rest(const struct master_view *v, const struct master_framework *f, const struct resources *all,
                               struct arena *arena, struct json_writer *w, struct master_picture *picture)
{
    const Mesos__V1__FrameworkInfo *info = f->info;
    json_kv_string(w, "user", info->user);
    json_kv_double(w, "failover_timeout", info->failover_timeout);
    json_kv_bool(w, "checkpoint", info->checkpoint);
    kv_seconds(w, "registered_time", f->registered_ms);
    kv_seconds(w, "unregistered_time", f->unregistered_ms);
    if (info->principal != NULL)
        json_kv_string(w, "principal", info->principal);
    put_resources(w, "resources", resources_copy(all));
    if (f->reregistered_ms != 0)
        kv_seconds(w, "reregistered_time", f->reregistered_ms);
    put_framework_roles(f, w);
    put_tasks(v, f, MASTER_TASKS_LIVE, "tasks", arena, w, picture);
    put_tasks(v, f, MASTER_TASKS_UNREACHABLE, "unreachable_tasks", arena, w, picture);
    put_tasks(v, f, MASTER_TASKS_COMPLETED, "completed_tasks", arena, w, picture);
    json_put_key(w, "offers");
    json_begin_array(w);
    for (const struct list *it = f->offers.next; it != &f->offers; it = it->next)
        put_offer(v->m, container_of(it, struct master_offer, framework_node), arena, w);
    json_end_array(w);
    json_put_key(w, "executors");
    json_begin_array(w);
    for (const struct list *it = f->executors.next; it != &f->executors; it = it->next) {
        const struct master_executor *e = container_of(it, struct master_executor, framework_node);
        if (master_sees_executor(v, e, arena))
            put_executor(e, arena, w);
    }
    json_end_array(w);
    put_labels(w, info->labels);
    struct err err;
    const ProtobufCMessage *constraints = wire_unpack(&mesos__v1__scheduler__offer_constraints__descriptor,
                                                      f->packed_constraints, f->packed_constraints_len, arena, &err);
    put_message(w, "offer_constraints", constraints);
}

void legacy_write_framework(const struct master_view *v, const struct master_framework *f,
                            const struct legacy_summary *summary, struct arena *arena, struct json_writer *w,
                            struct master_picture *picture)
{
    struct resources *used = master_framework_used(f), *offered = master_framework_offered(f); /* long sums: once */
    json_begin_object(w);
    put_framework_head(f, used, offered, w);
    resources_add(used, offered);
    if (summary == NULL) {
        put_framework_rest(v, f, used, arena, w, picture);
    } else {
        const struct summary_framework *s = map_get(&summary->frameworks, f->id);
        put_counts(w, f->state_counts);
        put_ids(w, "slave_ids", s != NULL ? &s->agents : NULL);
    }
    json_end_object(w);
    resources_free(used);
    resources_free(offered);
}

/* -- roles ------------------------------------------------------------------------------------------------------ */

static void put_amounts(struct json_writer *w, const char *key, const struct quantities *q)
{
    json_put_key(w, key);
    json_begin_object(w);
    for (size_t i = 0; i < q->count; i++)
        if (q->item[i].millis > 0)
            json_kv_double(w, q->item[i].name, (double)q->item[i].millis / 1000);
    json_end_object(w);
}

/* What is offered to the clients of this role (not of the roles below it). */
static struct quantities offered_to(const struct master_role *r)
{
    struct quantities sum = {0};
    for (const struct list *it = r->clients.next; it != &r->clients; it = it->next) {
        const struct master_client *c = container_of(it, struct master_client, role_node);
        for (const struct list *o = c->framework->offers.next; o != &c->framework->offers; o = o->next) {
            const struct master_offer *offer = container_of(o, struct master_offer, framework_node);
            if (offer->client == c)
                quantities_add(&sum, &offer->amounts);
        }
    }
    return sum;
}

static void put_quota_amounts(struct json_writer *w, const char *key, const struct master_amounts *amounts)
{
    json_put_key(w, key);
    json_begin_object(w);
    for (size_t i = 0; amounts != NULL && i < amounts->count; i++)
        json_kv_double(w, amounts->item[i].name, (double)amounts->item[i].millis / 1000);
    json_end_object(w);
}

static void put_quota(struct json_writer *w, const struct master_role *r, const struct quantities *allocated)
{
    struct quantities consumed = *allocated;
    if (r->quota != NULL)
        quantities_add(&consumed, &r->quota->reserved_free);
    put_quota_amounts(w, "guarantee", r->quota != NULL ? &r->quota->guarantees : NULL);
    put_quota_amounts(w, "limit", r->quota != NULL ? &r->quota->limits : NULL);
    put_amounts(w, "consumed", &consumed);
}

void legacy_write_role(const struct master_role *r, struct json_writer *w)
{
    struct quantities offered = offered_to(r), allocated = r->node.allocated, none = {0};
    quantities_subtract(&allocated, &offered);
    json_begin_object(w);
    json_kv_string(w, "name", r->name);
    json_kv_double(w, "weight", r->node.weight);
    json_put_key(w, "quota");
    json_begin_object(w);
    json_kv_string(w, "role", r->name);
    put_quota(w, r, &allocated);
    json_end_object(w);
    put_amounts(w, "resources", &r->node.allocated);
    put_amounts(w, "allocated", &allocated);
    put_amounts(w, "offered", &offered);
    put_amounts(w, "reserved", &none);
    json_put_key(w, "frameworks");
    json_begin_array(w);
    for (const struct list *it = r->clients.next; it != &r->clients; it = it->next)
        json_put_string(w, container_of(it, struct master_client, role_node)->framework->id);
    json_end_array(w);
    json_end_object(w);
}
