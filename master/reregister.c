/* SPDX-License-Identifier: Apache-2.0
 * reregister.c - an agent is back: what it reports is the truth about what runs there. Three cases per task: both know it
 * (take the newer state), only the agent (a master that was started anew, or the agent was unreachable: take it in), only
 * the master (it never got there, or its end was acknowledged: tell the scheduler). */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"
#include "common/base/text.h"
#include "master/agents.h"
#include "master/allocator.h"
#include "master/frameworks.h"
#include "master/offers.h"
#include "master/operations.h"
#include "master/roles.h"
#include "master/send.h"
#include "master/snapshot.h"
#include "master/tasks.h"

/* -- info and amounts ------------------------------------------------------------------------------------------- */

static bool has_reserved(const struct resources *total)
{
    struct resources *reserved = resources_reserved_to(total, NULL);
    bool any = !resources_is_empty(reserved);
    resources_free(reserved);
    return any;
}

static Mesos__V1__AgentInfo *copy_info(const Mesos__V1__AgentInfo *info, const char *id)
{
    Mesos__V1__AgentID agent_id = MESOS__V1__AGENT_ID__INIT;
    agent_id.value = (char *)id;
    Mesos__V1__AgentInfo with_id = *info;
    with_id.id = &agent_id;
    size_t len;
    uint8_t *packed = wire_pack(&with_id.base, &len);
    Mesos__V1__AgentInfo *copy = mesos__v1__agent_info__unpack(NULL, len, packed);
    CHECK(copy != NULL); /* just packed */
    free(packed);
    return copy;
}

static struct resources *read_total(Mesos__V1__Resource *const *list, size_t n, struct quantities *amounts, struct err *err)
{
    struct resources *total = resources_new();
    int r = resources_add_wire(total, list, n, err);
    if (r == 0) {
        resources_unallocate(total);
        r = resources_quantities(total, amounts);
        if (r < 0)
            err_set(err, r, "too many kinds of resources in this cluster");
    }
    return r == 0 ? total : resources_free(total);
}

/* Takes over total. */
static void put_total(struct master *m, struct master_agent *a, struct resources *total, const struct quantities *amounts)
{
    if (a->is_counted) {
        quantities_subtract(&m->total, &a->total_amounts);
        a->is_counted = false;
        m->total_changed = true;
    }
    resources_free(a->total);
    a->total = total;
    a->total_amounts = *amounts;
    a->has_gpus = quantities_get(amounts, "gpus") > 0;
    master_agent_on_converted(a);
    master_agent_recount(a);
}

void master_agent_on_converted(struct master_agent *a)
{
    a->has_reservations = has_reserved(a->total);
}

int master_agent_set_total(struct master *m, struct master_agent *a, Mesos__V1__Resource *const *total, size_t n_total,
                           struct err *err)
{
    struct quantities amounts;
    struct resources *set =
        read_total(n_total > 0 ? total : a->info->resources, n_total > 0 ? n_total : a->info->n_resources, &amounts, err);
    if (set == NULL)
        return -EINVAL;
    master_offers_return_of_agent(m, a, true);
    put_total(m, a, set, &amounts);
    master_allocator_give_back(m, a, resources_new(), true);
    return 0;
}

int master_agent_set_info(struct master *m, struct master_agent *a, const Mesos__V1__AgentInfo *info, const char *version,
                          Mesos__V1__Resource *const *total, size_t n_total, struct err *err)
{
    struct quantities amounts;
    if (info->hostname[0] == '\0')
        return err_set(err, -EINVAL, "AgentInfo.hostname is empty");
    struct resources *set =
        read_total(n_total > 0 ? total : info->resources, n_total > 0 ? n_total : info->n_resources, &amounts, err);
    if (set == NULL)
        return -EINVAL;
    Mesos__V1__AgentInfo *copy = copy_info(info, a->id);
    if (a->info != NULL)
        mesos__v1__agent_info__free_unpacked(a->info, NULL);
    a->info = copy;
    free(a->version);
    a->version = xstrdup(version);
    put_total(m, a, set, &amounts);
    return 0;
}

static void use(struct master_agent *a, const struct resources *allocated)
{
    if (allocated == NULL)
        return;
    struct resources *plain = resources_copy(allocated);
    resources_unallocate(plain);
    if (!resources_contains(a->total, plain))
        a->is_overcommitted = true; /* a shared volume that is gone, above all */
    resources_drop_shared(plain);
    if (!resources_contains(a->free, plain))
        a->is_overcommitted = true;
    resources_subtract(a->free, plain);
    resources_free(plain);
}

void master_agent_recount(struct master_agent *a)
{
    CHECK(list_is_empty(&a->offers));
    resources_free(a->free);
    a->free = resources_copy(a->total);
    a->is_overcommitted = false;
    list_for_each(it, &a->tasks) use(a, container_of(it, struct master_task, node)->resources);
    for (const struct master_executor *e = a->executors; e != NULL; e = e->hh.next)
        use(a, e->resources);
}

/* -- the report ------------------------------------------------------------------------------------------------- */

struct report {
    struct master *m;
    struct master_agent *agent;
    uint64_t mark;
    /* Frameworks that must end at the agent, each told once. */
    struct map strangers;
};

static void *unpack(struct master *m, const ProtobufCMessageDescriptor *type, ProtobufCBinaryData bytes)
{
    struct err err;
    return wire_unpack(type, bytes.data, bytes.len, m->out->arena, &err);
}

static struct master_framework *framework_of(struct report *r, const char *id)
{
    struct master_framework *f = master_framework_find(r->m, id);
    if (f == NULL)
        (void)map_put(&r->strangers, id, r->m); /* only whether it is there counts */
    return f;
}

/* Resources of a task or executor in allocated form, and whose they are. NULL with nothing to charge. */
static struct resources *allocated_of(struct report *r, struct master_framework *f, Mesos__V1__Resource **list, size_t n,
                                      struct master_client **client)
{
    if (n == 0)
        return NULL;
    struct resources *set = resources_new();
    struct err err;
    const char *role = list[0]->allocation_info != NULL ? list[0]->allocation_info->role : NULL;
    if (role == NULL)
        role = "*";
    struct quantities amounts;
    if (resources_add_wire(set, list, n, &err) < 0 || master_role_check(r->m, role) != NULL ||
        resources_quantities(set, &amounts) < 0) {
        master_trace_warning(r->m, "agent %s reports resources that cannot be", r->agent->id);
        return resources_free(set);
    }
    resources_unallocate(set);
    resources_adopt_volumes(set, r->agent->total);
    resources_allocate(set, role);
    *client = master_client_get(r->m, f, role);
    return set;
}

static void take_frameworks(struct report *r, const Muster__Link__Reregister *report)
{
    for (size_t i = 0; i < report->n_frameworks; i++) {
        const Mesos__V1__FrameworkInfo *info = unpack(r->m, &mesos__v1__framework_info__descriptor, report->frameworks[i]);
        if (info == NULL || info->id == NULL)
            continue;
        if (master_framework_find(r->m, info->id->value) == NULL &&
            master_framework_find_completed(r->m, info->id->value) == NULL)
            (void)master_framework_from_agent(r->m, info); /* if not, its tasks make it a stranger */
    }
}

static void take_executors(struct report *r, const Muster__Link__Reregister *report)
{
    for (size_t i = 0; i < report->n_executors; i++) {
        const Mesos__V1__ExecutorInfo *info =
            unpack(r->m, &mesos__v1__executor_info__descriptor, report->executors[i]->executor_info);
        if (info == NULL || !text_is_valid_id(info->executor_id->value))
            continue;
        struct master_framework *f = framework_of(r, report->executors[i]->framework_id->value);
        if (f == NULL)
            continue;
        struct master_executor *e = master_executor_find(r->agent, f, info->executor_id->value);
        if (e == NULL) {
            struct master_client *c = NULL;
            struct resources *set = allocated_of(r, f, info->resources, info->n_resources, &c);
            e = master_executor_new(r->m, f, r->agent, c, set, false, info);
        }
        e->mark = r->mark;
    }
    struct master_executor *e, *next;
    HASH_ITER(hh, r->agent->executors, e, next)
    if (e->mark != r->mark)
        master_executor_remove(r->m, e);
}

static struct master_task *add_task(struct report *r, struct master_framework *f, const Mesos__V1__Task *task)
{
    struct master_client *c = NULL;
    struct resources *set = NULL;
    if (!master_task_state_is_terminal((int)task->state))
        set = allocated_of(r, f, task->resources, task->n_resources, &c);
    struct master_executor *e =
        task->executor_id != NULL ? master_executor_find(r->agent, f, task->executor_id->value) : NULL;
    struct master_task *t = master_task_new(r->m, f, r->agent, c, e, set, false, task);
    if (task->has_status_update_uuid && task->status_update_uuid.len == sizeof(t->uuid)) {
        t->has_uuid = true;
        memcpy(t->uuid, task->status_update_uuid.data, sizeof(t->uuid));
    }
    t->mark = r->mark;
    master_snapshot_send_task_added(r->m, t);
    return t;
}

/* Tells the scheduler that a task it may have given up is there again (facts: mesos 8.2), as far as the stream of its
 * updates has come: an end that the agent still has to report comes behind the states before it. */
static void send_returned(struct report *r, struct master_framework *f, const struct master_task *t)
{
    Mesos__V1__TaskStatus *status =
        master_status_new(r->m, t->id, (Mesos__V1__TaskState)t->update_state,
                          MESOS__V1__TASK_STATUS__REASON__REASON_AGENT_REREGISTERED, "the unreachable agent is back");
    status->agent_id = r->agent->info->id;
    master_send_update(r->m, f, status);
}

static void take_task(struct report *r, const Mesos__V1__Task *task)
{
    if (!text_is_valid_id(task->task_id->value) || (int)task->state < 0 || (int)task->state >= MASTER_TASK_STATE_COUNT)
        return;
    struct master_framework *f = framework_of(r, task->framework_id->value);
    if (f == NULL)
        return;
    struct master_task *t = master_task_find(f, task->task_id->value);
    if (t != NULL && !master_task_is_on(t, r->agent)) {
        master_trace_warning(r->m, "task %s is reported by agent %s and runs on agent %s", t->id, r->agent->id,
                             t->agent->id);
        return;
    }
    if (t != NULL) {
        master_task_update_from_agent(r->m, t, task);
        t->mark = r->mark;
        return;
    }
    struct master_task *unreachable = master_task_find_unreachable(f, task->task_id->value);
    if (unreachable != NULL)
        master_task_forget_unreachable(r->m, unreachable);
    struct master_task *added = add_task(r, f, task);
    /* A master that was started since then does not know the task, but may have said by reconciliation where it is. */
    if (unreachable != NULL || r->agent->unreachable_ms != 0)
        send_returned(r, f, added);
}

static void drop_missing_tasks(struct report *r)
{
    list_for_each(it, &r->agent->tasks)
    {
        struct master_task *t = container_of(it, struct master_task, node);
        if (t->mark != r->mark)
            master_task_is_missing(r->m, t);
    }
}

/* What the agent did not hear while it was away. */
static void send_what_was_missed(struct report *r, const Muster__Link__Reregister *report)
{
    struct master *m = r->m;
    for (struct map_entry *e = map_first(&r->strangers); e != NULL; e = map_next(e)) {
        MASTER_WIRE(m, Muster__Link__ShutdownFramework, body, muster__link__shutdown_framework);
        body->framework_id = master_wire_framework_id(m, arena_strdup(m->out->arena, map_key(e)));
        master_send_link(m, r->agent->link->id)->shutdown_framework = body;
    }
    for (size_t i = 0; i < report->n_frameworks; i++) {
        const Mesos__V1__FrameworkInfo *info = unpack(m, &mesos__v1__framework_info__descriptor, report->frameworks[i]);
        struct master_framework *f = info != NULL && info->id != NULL ? master_framework_find(m, info->id->value) : NULL;
        if (f == NULL || (f->packed_info_len == report->frameworks[i].len &&
                          memcmp(f->packed_info, report->frameworks[i].data, f->packed_info_len) == 0))
            continue;
        MASTER_WIRE(m, Muster__Link__UpdateFramework, body, muster__link__update_framework);
        body->framework_info.len = f->packed_info_len;
        body->framework_info.data = f->packed_info;
        master_send_link(m, r->agent->link->id)->update_framework = body;
    }
    list_for_each(it, &r->agent->tasks)
    {
        struct master_task *t = container_of(it, struct master_task, node);
        if (!t->is_kill_wanted)
            continue;
        t->is_kill_wanted = false;
        MASTER_WIRE(m, Muster__Link__KillTask, body, muster__link__kill_task);
        body->framework_id = t->framework->info->id;
        body->task_id = master_wire_task_id(m, t->id);
        master_send_link(m, r->agent->link->id)->kill_task = body;
    }
}

void master_agent_come_back(struct master *m, struct master_agent *a, const Muster__Link__Reregister *report)
{
    struct report r = {.m = m, .agent = a, .mark = ++m->next_mark};
    map_init(&r.strangers);
    take_frameworks(&r, report);
    take_executors(&r, report);
    for (size_t i = 0; i < report->n_tasks; i++) {
        const Mesos__V1__Task *task = unpack(m, &mesos__v1__task__descriptor, report->tasks[i]);
        if (task != NULL)
            take_task(&r, task);
    }
    drop_missing_tasks(&r);
    master_operations_come_back(m, a, report);
    master_tasks_missing_after_return(m, a);
    master_agent_recount(a);
    if (a->is_overcommitted)
        master_trace_warning(m, "agent %s has less than its tasks use: no offers until they end", a->id);
    master_agent_set_state(m, a, MASTER_AGENT_CONNECTED);
    master_allocator_give_back(m, a, resources_new(), true);
    send_what_was_missed(&r, report);
    map_deinit(&r.strangers);
}
