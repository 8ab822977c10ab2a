/* SPDX-License-Identifier: Apache-2.0 */
#include "master/snapshot.h"

#include <string.h>

#include "common/base/check.h"
#include "common/wire/codec.h"
#include "master/drain.h"
#include "master/inverse.h"
#include "master/offers.h"
#include "master/operations.h"
#include "master/send.h"

/* -- tasks ------------------------------------------------------------------------------------------------------ */

static void add_statuses(const struct master_task *t, Mesos__V1__Task *task, struct arena *arena)
{
    size_t count = 0;
    uint32_t len;
    for (uint32_t at = 0; at < t->statuses_len; at += (uint32_t)sizeof(len) + len, count++)
        memcpy(&len, t->statuses + at, sizeof(len));
    if (count == 0)
        return;
    task->statuses = arena_new_array(arena, Mesos__V1__TaskStatus *, count);
    struct err err;
    for (uint32_t at = 0; at < t->statuses_len; at += (uint32_t)sizeof(len) + len) {
        memcpy(&len, t->statuses + at, sizeof(len));
        Mesos__V1__TaskStatus *status =
            (void *)wire_unpack(&mesos__v1__task_status__descriptor, t->statuses + at + sizeof(len), len, arena, &err);
        if (status != NULL)
            task->statuses[task->n_statuses++] = status;
    }
    task->has_status_update_state = true;
    task->status_update_state = t->update_state;
    task->has_status_update_uuid = t->has_uuid;
    task->status_update_uuid.len = sizeof(t->uuid);
    task->status_update_uuid.data = (uint8_t *)t->uuid;
}

Mesos__V1__Task *master_snapshot_task(const struct master_task *t, struct arena *arena)
{
    struct err err;
    Mesos__V1__Task *task = (void *)wire_unpack(&mesos__v1__task__descriptor, t->packed, t->packed_len, arena, &err);
    CHECK(task != NULL); /* our own bytes, and the arena is sized for whole snapshots */
    task->state = t->state;
    add_statuses(t, task, arena);
    return task;
}

Mesos__V1__Master__Response__GetTasks *master_snapshot_tasks(const struct master_view *v, struct arena *arena)
{
    const struct master *m = v->m;
    size_t live = 0, unreachable = 0, completed = 0;
    const struct master_framework *tables[] = {m->frameworks, m->completed_frameworks};
    for (size_t i = 0; i < 2; i++) {
        for (const struct master_framework *f = tables[i]; f != NULL; f = f->hh.next) {
            live += HASH_COUNT(f->tasks);
            unreachable += HASH_COUNT(f->unreachable);
            completed += f->completed_count;
        }
    }
    Mesos__V1__Master__Response__GetTasks *out = arena_new_one(arena, Mesos__V1__Master__Response__GetTasks);
    mesos__v1__master__response__get_tasks__init(out);
    out->tasks = arena_new_array(arena, Mesos__V1__Task *, live);
    out->unreachable_tasks = arena_new_array(arena, Mesos__V1__Task *, unreachable);
    out->completed_tasks = arena_new_array(arena, Mesos__V1__Task *, completed);
    for (size_t i = 0; i < 2; i++) {
        for (const struct master_framework *f = tables[i]; f != NULL; f = f->hh.next) {
            if (!master_sees_framework(v, f->info))
                continue;
            for (const struct master_task *t = f->tasks; t != NULL; t = t->hh.next)
                if (master_sees_task(v, t, arena))
                    out->tasks[out->n_tasks++] = master_snapshot_task(t, arena);
            for (const struct master_task *t = f->unreachable; t != NULL; t = t->hh.next)
                if (master_sees_task(v, t, arena))
                    out->unreachable_tasks[out->n_unreachable_tasks++] = master_snapshot_task(t, arena);
            for (const struct list *it = f->completed.next; it != &f->completed; it = it->next) {
                const struct master_task *t = container_of(it, struct master_task, node);
                if (master_sees_task(v, t, arena))
                    out->completed_tasks[out->n_completed_tasks++] = master_snapshot_task(t, arena);
            }
        }
    }
    return out;
}

/* -- sums ------------------------------------------------------------------------------------------------------- */

struct resources *master_agent_used(const struct master_agent *a)
{
    struct resources *sum = resources_new();
    for (const struct list *it = a->tasks.next; it != &a->tasks; it = it->next) {
        const struct master_task *t = container_of(it, struct master_task, node);
        if (t->resources != NULL)
            resources_add(sum, t->resources);
    }
    for (const struct master_executor *e = a->executors; e != NULL; e = e->hh.next)
        if (e->resources != NULL)
            resources_add(sum, e->resources);
    return sum;
}

struct resources *master_agent_offered(const struct master_agent *a)
{
    struct resources *sum = resources_new();
    for (const struct list *it = a->offers.next; it != &a->offers; it = it->next)
        resources_add(sum, container_of(it, struct master_offer, agent_node)->resources);
    return sum;
}

struct resources *master_framework_used(const struct master_framework *f)
{
    struct resources *sum = resources_new();
    for (const struct master_task *t = f->tasks; t != NULL; t = t->hh.next)
        if (t->resources != NULL)
            resources_add(sum, t->resources);
    for (const struct list *it = f->executors.next; it != &f->executors; it = it->next) {
        const struct master_executor *e = container_of(it, struct master_executor, framework_node);
        if (e->resources != NULL)
            resources_add(sum, e->resources);
    }
    return sum;
}

struct resources *master_framework_offered(const struct master_framework *f)
{
    struct resources *sum = resources_new();
    for (const struct list *it = f->offers.next; it != &f->offers; it = it->next)
        resources_add(sum, container_of(it, struct master_offer, framework_node)->resources);
    return sum;
}

static size_t to_wire(struct resources *sum, enum resource_form form, struct arena *arena, Mesos__V1__Resource ***out)
{
    size_t n = resources_to_wire(sum, form, arena, out);
    resources_free(sum);
    return n;
}

/* -- agents ----------------------------------------------------------------------------------------------------- */

static void add_capabilities(Mesos__V1__Master__Response__GetAgents__Agent *out, struct arena *arena)
{
    static const Mesos__V1__AgentInfo__Capability__Type types[] = {
        MESOS__V1__AGENT_INFO__CAPABILITY__TYPE__MULTI_ROLE,
        MESOS__V1__AGENT_INFO__CAPABILITY__TYPE__HIERARCHICAL_ROLE,
        MESOS__V1__AGENT_INFO__CAPABILITY__TYPE__RESERVATION_REFINEMENT,
        MESOS__V1__AGENT_INFO__CAPABILITY__TYPE__RESOURCE_PROVIDER,
        MESOS__V1__AGENT_INFO__CAPABILITY__TYPE__RESIZE_VOLUME,
        MESOS__V1__AGENT_INFO__CAPABILITY__TYPE__AGENT_OPERATION_FEEDBACK,
        MESOS__V1__AGENT_INFO__CAPABILITY__TYPE__AGENT_DRAINING,
    };
    size_t n = sizeof(types) / sizeof(types[0]);
    out->capabilities = arena_new_array(arena, Mesos__V1__AgentInfo__Capability *, n);
    for (size_t i = 0; i < n; i++) {
        Mesos__V1__AgentInfo__Capability *c = arena_new_one(arena, Mesos__V1__AgentInfo__Capability);
        mesos__v1__agent_info__capability__init(c);
        c->has_type = true;
        c->type = types[i];
        out->capabilities[out->n_capabilities++] = c;
    }
}

Mesos__V1__Master__Response__GetAgents__Agent *master_snapshot_agent(const struct master_agent *a, struct arena *arena)
{
    Mesos__V1__Master__Response__GetAgents__Agent *out =
        arena_new_one(arena, Mesos__V1__Master__Response__GetAgents__Agent);
    mesos__v1__master__response__get_agents__agent__init(out);
    Mesos__V1__AgentInfo *info = arena_memdup(arena, a->info, sizeof(*info));
    info->n_resources = resources_to_wire(a->total, RESOURCE_POST_REFINEMENT, arena, &info->resources);
    out->agent_info = info;
    out->active = a->state == MASTER_AGENT_CONNECTED && !a->is_deactivated;
    out->has_deactivated = true;
    out->deactivated = a->is_deactivated;
    out->drain_info = master_drain_wire(a, arena);
    if (out->drain_info != NULL)
        out->estimated_drain_start_time = master_wire_time(arena, a->drain.start_ms);
    out->version = a->version;
    out->pid = arena_printf(arena, "slave(1)@%s:%d", a->ip, a->info->has_port ? a->info->port : 5051);
    out->registered_time = master_wire_time(arena, a->registered_ms);
    if (a->reregistered_ms != 0)
        out->reregistered_time = master_wire_time(arena, a->reregistered_ms);
    out->n_total_resources = resources_to_wire(a->total, RESOURCE_ENDPOINT, arena, &out->total_resources);
    out->n_allocated_resources = to_wire(master_agent_used(a), RESOURCE_ENDPOINT, arena, &out->allocated_resources);
    out->n_offered_resources = to_wire(master_agent_offered(a), RESOURCE_ENDPOINT, arena, &out->offered_resources);
    add_capabilities(out, arena);
    return out;
}

static bool is_registered(const struct master_agent *a)
{
    return a->state == MASTER_AGENT_CONNECTED || a->state == MASTER_AGENT_DISCONNECTED;
}

Mesos__V1__Master__Response__GetAgents *master_snapshot_agents(const struct master *m, struct arena *arena)
{
    Mesos__V1__Master__Response__GetAgents *out = arena_new_one(arena, Mesos__V1__Master__Response__GetAgents);
    mesos__v1__master__response__get_agents__init(out);
    size_t count = HASH_COUNT(m->agents);
    out->agents = arena_new_array(arena, Mesos__V1__Master__Response__GetAgents__Agent *, count);
    out->recovered_agents = arena_new_array(arena, Mesos__V1__AgentInfo *, count);
    for (const struct master_agent *a = m->agents; a != NULL; a = a->hh.next) {
        if (is_registered(a))
            out->agents[out->n_agents++] = master_snapshot_agent(a, arena);
        else if (a->state == MASTER_AGENT_RECOVERED)
            out->recovered_agents[out->n_recovered_agents++] = a->info;
    }
    return out;
}

Mesos__V1__Master__Response__GetOperations *master_snapshot_operations(const struct master *m, struct arena *arena)
{
    Mesos__V1__Master__Response__GetOperations *out = arena_new_one(arena, Mesos__V1__Master__Response__GetOperations);
    mesos__v1__master__response__get_operations__init(out);
    out->operations = arena_new_array(arena, Mesos__V1__Operation *, HASH_COUNT(m->operations));
    for (const struct master_operation *o = m->operations; o != NULL; o = o->hh.next)
        out->operations[out->n_operations++] = master_operation_wire(o, arena);
    return out;
}

Mesos__V1__Master__Response__GetAgents *master_view_agents(const struct master_view *v, struct arena *arena)
{
    Mesos__V1__Master__Response__GetAgents *all = master_snapshot_agents(v->m, arena);
    if (v->roles.allows_all)
        return all;
    for (size_t i = 0; i < all->n_agents; i++) {
        Mesos__V1__Master__Response__GetAgents__Agent *a = all->agents[i];
        a->agent_info->n_resources = master_view_resources(v, a->agent_info->resources, a->agent_info->n_resources);
        a->n_total_resources = master_view_resources(v, a->total_resources, a->n_total_resources);
        a->n_allocated_resources = master_view_resources(v, a->allocated_resources, a->n_allocated_resources);
        a->n_offered_resources = master_view_resources(v, a->offered_resources, a->n_offered_resources);
    }
    for (size_t i = 0; i < all->n_recovered_agents; i++) {
        const Mesos__V1__AgentInfo *info = all->recovered_agents[i]; /* the core's own */
        Mesos__V1__AgentInfo *seen = arena_memdup(arena, info, sizeof(*info));
        if (info->n_resources > 0)
            seen->resources = arena_memdup(arena, info->resources, info->n_resources * sizeof(info->resources[0]));
        seen->n_resources = master_view_resources(v, seen->resources, info->n_resources);
        all->recovered_agents[i] = seen;
    }
    return all;
}

/* An operation is about its resources: whoever may not see one of them does not see it. */
static bool sees_operation(const struct master_view *v, const Mesos__V1__Offer__Operation *op, struct arena *arena)
{
    struct err err;
    Mesos__V1__Resource **list;
    struct resources *pool = resources_new(), *consumed = resources_new(), *converted = resources_new();
    bool sees = false; /* nor one of which we cannot tell */
    if (op != NULL && resources_conversion(op, pool, consumed, converted, &err) == 0) {
        size_t n = resources_to_wire(consumed, RESOURCE_POST_REFINEMENT, arena, &list);
        sees = master_view_resources(v, list, n) == n;
        n = resources_to_wire(converted, RESOURCE_POST_REFINEMENT, arena, &list);
        sees = sees && master_view_resources(v, list, n) == n;
    }
    resources_free(pool);
    resources_free(consumed);
    resources_free(converted);
    return sees;
}

Mesos__V1__Master__Response__GetOperations *master_view_operations(const struct master_view *v, struct arena *arena)
{
    Mesos__V1__Master__Response__GetOperations *all = master_snapshot_operations(v->m, arena);
    if (v->roles.allows_all)
        return all;
    size_t n = 0;
    for (size_t i = 0; i < all->n_operations; i++)
        if (sees_operation(v, all->operations[i]->info, arena))
            all->operations[n++] = all->operations[i];
    all->n_operations = n;
    return all;
}

Mesos__V1__Master__Response__GetExecutors *master_snapshot_executors(const struct master_view *v, struct arena *arena)
{
    const struct master *m = v->m;
    Mesos__V1__Master__Response__GetExecutors *out = arena_new_one(arena, Mesos__V1__Master__Response__GetExecutors);
    mesos__v1__master__response__get_executors__init(out);
    size_t count = 0;
    for (const struct master_agent *a = m->agents; a != NULL; a = a->hh.next)
        count += HASH_COUNT(a->executors);
    out->executors = arena_new_array(arena, Mesos__V1__Master__Response__GetExecutors__Executor *, count);
    for (const struct master_agent *a = m->agents; a != NULL; a = a->hh.next) {
        for (const struct master_executor *e = a->executors; e != NULL; e = e->hh.next) {
            if (!master_sees_framework(v, e->framework->info) || !master_sees_executor(v, e, arena))
                continue;
            Mesos__V1__Master__Response__GetExecutors__Executor *item =
                arena_new_one(arena, Mesos__V1__Master__Response__GetExecutors__Executor);
            mesos__v1__master__response__get_executors__executor__init(item);
            struct err err;
            item->executor_info =
                (void *)wire_unpack(&mesos__v1__executor_info__descriptor, e->packed, e->packed_len, arena, &err);
            CHECK(item->executor_info != NULL); /* our own bytes */
            item->agent_id = a->info->id;
            out->executors[out->n_executors++] = item;
        }
    }
    return out;
}

/* -- frameworks and roles --------------------------------------------------------------------------------------- */

Mesos__V1__Master__Response__GetFrameworks__Framework *
master_snapshot_framework(const struct master *m, const struct master_framework *f, struct arena *arena)
{
    Mesos__V1__Master__Response__GetFrameworks__Framework *out =
        arena_new_one(arena, Mesos__V1__Master__Response__GetFrameworks__Framework);
    mesos__v1__master__response__get_frameworks__framework__init(out);
    out->framework_info = f->info;
    out->active = out->connected = f->state == MASTER_FRAMEWORK_CONNECTED;
    out->recovered = f->state == MASTER_FRAMEWORK_RECOVERED;
    if (f->registered_ms != 0)
        out->registered_time = master_wire_time(arena, f->registered_ms);
    if (f->reregistered_ms != 0 || f->registered_ms != 0) /* of the last subscription, be it the first */
        out->reregistered_time = master_wire_time(arena, f->reregistered_ms != 0 ? f->reregistered_ms : f->registered_ms);
    if (f->unregistered_ms != 0)
        out->unregistered_time = master_wire_time(arena, f->unregistered_ms);
    size_t count = 0;
    for (const struct list *it = f->offers.next; it != &f->offers; it = it->next)
        count++;
    out->offers = arena_new_array(arena, Mesos__V1__Offer *, count);
    for (const struct list *it = f->offers.next; it != &f->offers; it = it->next)
        out->offers[out->n_offers++] = master_offer_wire(m, container_of(it, struct master_offer, framework_node), arena);
    struct err err;
    if (f->packed_constraints != NULL)
        out->offer_constraints = (void *)wire_unpack(&mesos__v1__scheduler__offer_constraints__descriptor,
                                                     f->packed_constraints, f->packed_constraints_len, arena, &err);
    out->n_inverse_offers = master_inverse_offers(m, f, arena, &out->inverse_offers);
    out->n_allocated_resources = to_wire(master_framework_used(f), RESOURCE_ENDPOINT, arena, &out->allocated_resources);
    out->n_offered_resources = to_wire(master_framework_offered(f), RESOURCE_ENDPOINT, arena, &out->offered_resources);
    if (out->offer_constraints == NULL) {
        out->offer_constraints = arena_new_one(arena, Mesos__V1__Scheduler__OfferConstraints);
        mesos__v1__scheduler__offer_constraints__init(out->offer_constraints);
    }
    return out;
}

Mesos__V1__Master__Response__GetFrameworks *master_snapshot_frameworks(const struct master_view *v, struct arena *arena)
{
    const struct master *m = v->m;
    Mesos__V1__Master__Response__GetFrameworks *out = arena_new_one(arena, Mesos__V1__Master__Response__GetFrameworks);
    mesos__v1__master__response__get_frameworks__init(out);
    out->frameworks =
        arena_new_array(arena, Mesos__V1__Master__Response__GetFrameworks__Framework *, HASH_COUNT(m->frameworks));
    out->completed_frameworks = arena_new_array(arena, Mesos__V1__Master__Response__GetFrameworks__Framework *,
                                                HASH_COUNT(m->completed_frameworks));
    for (const struct master_framework *f = m->frameworks; f != NULL; f = f->hh.next)
        if (master_sees_framework(v, f->info))
            out->frameworks[out->n_frameworks++] = master_snapshot_framework(m, f, arena);
    for (const struct master_framework *f = m->completed_frameworks; f != NULL; f = f->hh.next)
        if (master_sees_framework(v, f->info))
            out->completed_frameworks[out->n_completed_frameworks++] = master_snapshot_framework(m, f, arena);
    return out;
}

static size_t amounts_to_wire(const struct quantities *q, struct arena *arena, Mesos__V1__Resource ***out)
{
    struct resources *sum = resources_new();
    for (size_t i = 0; i < q->count; i++)
        if (q->item[i].millis > 0)
            resources_add_scalar(sum, q->item[i].name, q->item[i].millis);
    return to_wire(sum, RESOURCE_POST_REFINEMENT, arena, out);
}

Mesos__V1__Master__Response__GetRoles *master_snapshot_roles(const struct master_view *v, struct arena *arena)
{
    const struct master *m = v->m;
    Mesos__V1__Master__Response__GetRoles *out = arena_new_one(arena, Mesos__V1__Master__Response__GetRoles);
    mesos__v1__master__response__get_roles__init(out);
    out->roles = arena_new_array(arena, Mesos__V1__Role *, HASH_COUNT(m->roles));
    for (const struct master_role *r = m->roles; r != NULL; r = r->hh.next) {
        if (!master_sees_role(v, r->name))
            continue;
        Mesos__V1__Role *role = arena_new_one(arena, Mesos__V1__Role);
        mesos__v1__role__init(role);
        role->name = r->name;
        role->weight = r->node.weight;
        size_t count = 0;
        for (const struct list *it = r->clients.next; it != &r->clients; it = it->next)
            count++;
        role->frameworks = arena_new_array(arena, Mesos__V1__FrameworkID *, count);
        for (const struct list *it = r->clients.next; it != &r->clients; it = it->next)
            role->frameworks[role->n_frameworks++] = container_of(it, struct master_client, role_node)->framework->info->id;
        role->n_resources = amounts_to_wire(&r->node.allocated, arena, &role->resources);
        out->roles[out->n_roles++] = role;
    }
    return out;
}

Mesos__V1__Master__Response__GetState *master_snapshot_state(const struct master_view *v, struct arena *arena)
{
    Mesos__V1__Master__Response__GetState *out = arena_new_one(arena, Mesos__V1__Master__Response__GetState);
    mesos__v1__master__response__get_state__init(out);
    out->get_tasks = master_snapshot_tasks(v, arena);
    out->get_executors = master_snapshot_executors(v, arena);
    out->get_frameworks = master_snapshot_frameworks(v, arena);
    out->get_agents = master_view_agents(v, arena);
    return out;
}

/* -- events ----------------------------------------------------------------------------------------------------- */

void master_snapshot_send_task_added(struct master *m, const struct master_task *t)
{
    Mesos__V1__Master__Event *event = master_send_observers(m, MESOS__V1__MASTER__EVENT__TYPE__TASK_ADDED);
    if (event == NULL)
        return;
    MASTER_WIRE(m, Mesos__V1__Master__Event__TaskAdded, body, mesos__v1__master__event__task_added);
    body->task = master_snapshot_task(t, m->out->arena);
    event->task_added = body;
    master_send_observers_about(m, t->framework, t);
}

void master_snapshot_send_task_updated(struct master *m, const struct master_task *t, const Mesos__V1__TaskStatus *status)
{
    Mesos__V1__Master__Event *event = master_send_observers(m, MESOS__V1__MASTER__EVENT__TYPE__TASK_UPDATED);
    if (event == NULL)
        return;
    MASTER_WIRE(m, Mesos__V1__Master__Event__TaskUpdated, body, mesos__v1__master__event__task_updated);
    body->framework_id = master_wire_framework_id(m, arena_strdup(m->out->arena, t->framework->id));
    body->status = (Mesos__V1__TaskStatus *)status; /* effects are read only */
    body->state = t->state;
    event->task_updated = body;
    master_send_observers_about(m, t->framework, t);
}

void master_snapshot_send_agent_added(struct master *m, const struct master_agent *a)
{
    Mesos__V1__Master__Event *event = master_send_observers(m, MESOS__V1__MASTER__EVENT__TYPE__AGENT_ADDED);
    if (event == NULL)
        return;
    MASTER_WIRE(m, Mesos__V1__Master__Event__AgentAdded, body, mesos__v1__master__event__agent_added);
    body->agent = master_snapshot_agent(a, m->out->arena);
    event->agent_added = body;
}

void master_snapshot_send_framework(struct master *m, const struct master_framework *f, Mesos__V1__Master__Event__Type type)
{
    Mesos__V1__Master__Event *event = master_send_observers(m, type);
    if (event == NULL)
        return;
    master_send_observers_about(m, f, NULL);
    Mesos__V1__Master__Response__GetFrameworks__Framework *wire = master_snapshot_framework(m, f, m->out->arena);
    if (type == MESOS__V1__MASTER__EVENT__TYPE__FRAMEWORK_ADDED) {
        MASTER_WIRE(m, Mesos__V1__Master__Event__FrameworkAdded, body, mesos__v1__master__event__framework_added);
        body->framework = wire;
        event->framework_added = body;
    } else {
        MASTER_WIRE(m, Mesos__V1__Master__Event__FrameworkUpdated, body, mesos__v1__master__event__framework_updated);
        body->framework = wire;
        event->framework_updated = body;
    }
}

void master_snapshot_send_framework_removed(struct master *m, const struct master_framework *f)
{
    Mesos__V1__Master__Event *event = master_send_observers(m, MESOS__V1__MASTER__EVENT__TYPE__FRAMEWORK_REMOVED);
    if (event == NULL)
        return;
    MASTER_WIRE(m, Mesos__V1__Master__Event__FrameworkRemoved, body, mesos__v1__master__event__framework_removed);
    body->framework_info = (Mesos__V1__FrameworkInfo *)wire_copy(&f->info->base, m->out->arena); /* it may be freed now */
    event->framework_removed = body;
    master_send_observers_about(m, f, NULL);
}
