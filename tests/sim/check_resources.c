/* SPDX-License-Identifier: Apache-2.0
 * check_resources.c - invariant 1: what is out in offers and used by tasks never exceeds what an agent has, to the
 * thousandth and to the port, by books of what the master was told and said. */
#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"
#include "common/wire/codec.h"
#include "sim/offer_book.h"

struct used {
    char *agent_id;
    struct resources *resources;
};

struct books {
    struct world *world;
    struct offer_book offers;
    struct map totals;    /* agent id to struct resources */
    struct map links;     /* link number as text to agent id, known after it registered */
    struct map new_ones;  /* link number as text to the resources of an agent without an id yet */
    struct map used;      /* framework/task to struct used */
    struct map under_way; /* uuid of an operation that has not ended to agent id */
    struct map partial;   /* ids of agents whose newest offer left something of them free */
    bool has_changed;
};

static void free_used(struct used *u)
{
    free(u->agent_id);
    u->resources = resources_free(u->resources);
    free(u);
}

static void clear(struct books *b)
{
    for (struct map_entry *e = map_first(&b->totals); e != NULL; e = map_next(e))
        resources_free(map_value(e));
    for (struct map_entry *e = map_first(&b->new_ones); e != NULL; e = map_next(e))
        resources_free(map_value(e));
    for (struct map_entry *e = map_first(&b->links); e != NULL; e = map_next(e))
        free(map_value(e));
    for (struct map_entry *e = map_first(&b->used); e != NULL; e = map_next(e))
        free_used(map_value(e));
    map_deinit(&b->totals);
    map_deinit(&b->new_ones);
    map_deinit(&b->links);
    map_deinit(&b->used);
    for (struct map_entry *e = map_first(&b->under_way); e != NULL; e = map_next(e))
        free(map_value(e));
    map_deinit(&b->under_way);
    map_deinit(&b->partial);
}

static void *new (struct world *w)
{
    struct books *b = xcalloc(1, sizeof(*b));
    b->world = w;
    offer_book_init(&b->offers, w, false);
    return b;
}

static void free_state(void *state)
{
    struct books *b = state;
    clear(b);
    offer_book_deinit(&b->offers);
    free(b);
}

static struct resources *from_wire(Mesos__V1__Resource **list, size_t n)
{
    struct resources *r = resources_new();
    CHECK(resources_add_wire(r, list, n, NULL) == 0);
    resources_unallocate(r);
    return r;
}

static char *link_key(link_id link, char key[24])
{
    snprintf(key, 24, "%llu", (unsigned long long)link);
    return key;
}

static void use(struct books *b, const char *framework_id, const char *task_id, const char *agent_id,
                Mesos__V1__Resource **list, size_t n)
{
    char key[512];
    snprintf(key, sizeof(key), "%s/%s", framework_id, task_id);
    struct used *u = xcalloc(1, sizeof(*u));
    u->agent_id = xstrdup(agent_id);
    u->resources = from_wire(list, n);
    struct used *before = map_put(&b->used, key, u);
    if (before != NULL)
        free_used(before);
    b->has_changed = true;
}

static void release(struct books *b, const char *framework_id, const char *task_id)
{
    char key[512];
    snprintf(key, sizeof(key), "%s/%s", framework_id, task_id);
    struct used *u = map_remove(&b->used, key);
    if (u != NULL)
        free_used(u);
}

static void release_agent(struct books *b, const char *agent_id)
{
    for (struct map_entry *e = map_first(&b->used), *next; e != NULL; e = next) {
        struct used *u = map_value(e);
        next = map_next(e);
        if (strcmp(u->agent_id, agent_id) != 0)
            continue;
        (void)map_remove(&b->used, map_key(e));
        free_used(u);
    }
}

static void set_total(struct books *b, const char *agent_id, struct resources *total)
{
    resources_free(map_put(&b->totals, agent_id, total));
}

static void set_link(struct books *b, link_id link, const char *agent_id)
{
    char key[24];
    free(map_put(&b->links, link_key(link, key), xstrdup(agent_id)));
}

/* -- conversions ---------------------------------------------------------------------------------------------- */

/* An operation is on its way to the agent: the books follow the master, which counts on it. */
static void convert(struct books *b, const char *agent_id, const Muster__Link__ApplyOperation *m, struct arena *a)
{
    struct resources *total = map_get(&b->totals, agent_id), *consumed = resources_new(), *converted = resources_new();
    const Mesos__V1__Offer__Operation *op = (const Mesos__V1__Offer__Operation *)wire_unpack(
        &mesos__v1__offer__operation__descriptor, m->info.data, m->info.len, a, NULL);
    struct err err;
    CHECK(op != NULL && total != NULL);
    if (resources_conversion(op, total, consumed, converted, &err) != 0 || !resources_convert(total, consumed, converted))
        world_violate(b->world, "1", "agent %s is sent an operation on what it has not got", agent_id);
    for (struct map_entry *u = map_first(&b->used); u != NULL; u = map_next(u)) {
        const struct used *used = map_value(u);
        if (strcmp(used->agent_id, agent_id) != 0)
            continue;
        struct resources *dynamic = resources_dynamic(used->resources);
        if (!resources_contains(total, dynamic))
            world_violate(b->world, "1", "agent %s: an operation takes what task %s uses", agent_id, map_key(u));
        resources_free(dynamic);
    }
    char uuid[40];
    snprintf(uuid, sizeof(uuid), "%016llx%016llx", *(unsigned long long *)(void *)m->operation_uuid.data,
             *(unsigned long long *)(void *)(m->operation_uuid.data + 8));
    free(map_put(&b->under_way, uuid, xstrdup(agent_id)));
    b->has_changed = true;
    resources_free(consumed);
    resources_free(converted);
}

static bool is_any_under_way(const struct books *b, const char *agent_id)
{
    for (struct map_entry *e = map_first(&b->under_way); e != NULL; e = map_next(e))
        if (strcmp(map_value(e), agent_id) == 0)
            return true;
    return false;
}

static void on_operation_end(struct books *b, const char *agent_id, const Muster__Link__OperationStatusUpdate *u)
{
    char uuid[40];
    snprintf(uuid, sizeof(uuid), "%016llx%016llx", *(unsigned long long *)(void *)u->operation_uuid.data,
             *(unsigned long long *)(void *)(u->operation_uuid.data + 8));
    free(map_remove(&b->under_way, uuid));
    if (u->n_total > 0 && agent_id != NULL && !is_any_under_way(b, agent_id))
        set_total(b, agent_id, from_wire(u->total, u->n_total));
}

/* An agent that has finished all its operations comes back with the reservations and volumes it had. */
static void compare_dynamic(struct books *b, const char *agent_id, const struct resources *now)
{
    const struct resources *before = map_get(&b->totals, agent_id);
    if (before == NULL)
        return;
    struct resources *was = resources_dynamic(before), *is = resources_dynamic(now);
    if (!is_any_under_way(b, agent_id) && !resources_equal(was, is))
        world_violate(b->world, "1", "agent %s came back with other reservations than it had", agent_id);
    for (struct map_entry *e = map_first(&b->under_way), *next; e != NULL; e = next) {
        next = map_next(e);
        if (strcmp(map_value(e), agent_id) == 0)
            free(map_remove(&b->under_way, map_key(e)));
    }
    resources_free(was);
    resources_free(is);
}

/* Says what runs there: the master's own idea of it is replaced. */
static void on_reregister(struct books *b, link_id link, const Muster__Link__Reregister *m, struct arena *a)
{
    const char *agent_id = m->agent_info->id->value;
    set_link(b, link, agent_id);
    struct resources *total =
        m->n_total > 0 ? from_wire(m->total, m->n_total) : from_wire(m->agent_info->resources, m->agent_info->n_resources);
    compare_dynamic(b, agent_id, total);
    set_total(b, agent_id, total);
    release_agent(b, agent_id);
    for (size_t i = 0; i < m->n_tasks; i++) {
        const Mesos__V1__Task *t =
            (const Mesos__V1__Task *)wire_unpack(&mesos__v1__task__descriptor, m->tasks[i].data, m->tasks[i].len, a, NULL);
        CHECK(t != NULL);
        if (!sim_state_is_terminal(t->state))
            use(b, t->framework_id->value, t->task_id->value, agent_id, t->resources, t->n_resources);
    }
}

/* The master wanted nothing of it: a report on a connection that the agent has given up, or from nobody. */
static bool is_link_closed(const struct master_effects *out, link_id link)
{
    for (size_t i = 0; i < out->count; i++)
        if (out->items[i].type == MASTER_EFFECT_LINK_CLOSE && out->items[i].link_close.link == link)
            return true;
    return false;
}

static void on_input(struct books *b, const struct master_event *in, const struct master_effects *out, struct arena *a)
{
    char key[24];
    if (in->type != MASTER_EVENT_LINK_MESSAGE)
        return;
    const Muster__Link__AgentToMaster *m = in->link_message.message;
    if (m->register_ != NULL) {
        const Muster__Link__Register *r = m->register_;
        struct resources *total = r->n_total > 0 ? from_wire(r->total, r->n_total)
                                                 : from_wire(r->agent_info->resources, r->agent_info->n_resources);
        resources_free(map_put(&b->new_ones, link_key(in->link_message.link, key), total));
    } else if (m->reregister != NULL && is_link_closed(out, in->link_message.link)) {
        return;
    } else if (m->reregister != NULL) {
        on_reregister(b, in->link_message.link, m->reregister, a);
    } else if (m->operation_status_update != NULL) {
        on_operation_end(b, map_get(&b->links, link_key(in->link_message.link, key)), m->operation_status_update);
    } else if (m->status_update != NULL) {
        const Muster__Link__StatusUpdate *u = m->status_update;
        if (sim_state_is_terminal(u->status->state) || (u->has_latest_state && sim_state_is_terminal(u->latest_state)))
            release(b, u->framework_id->value, u->status->task_id->value);
    }
}

static void on_frame(struct books *b, link_id link, const Muster__Link__MasterToAgent *m, struct arena *a)
{
    char key[24];
    if (m->registered != NULL) {
        struct resources *total = map_remove(&b->new_ones, link_key(link, key));
        if (total != NULL)
            set_total(b, m->registered->agent_id->value, total);
        set_link(b, link, m->registered->agent_id->value);
    } else if (m->apply_operation != NULL) {
        const char *agent_id = map_get(&b->links, link_key(link, key));
        CHECK(agent_id != NULL);
        convert(b, agent_id, m->apply_operation, a);
    } else if (m->run_tasks != NULL) {
        const Muster__Link__RunTasks *run = m->run_tasks;
        const char *agent_id = map_get(&b->links, link_key(link, key));
        const Mesos__V1__FrameworkInfo *info = (const Mesos__V1__FrameworkInfo *)wire_unpack(
            &mesos__v1__framework_info__descriptor, run->framework_info.data, run->framework_info.len, a, NULL);
        CHECK(agent_id != NULL && info != NULL);
        for (size_t i = 0; i < run->n_tasks; i++) {
            const Mesos__V1__TaskInfo *t = (const Mesos__V1__TaskInfo *)wire_unpack(
                &mesos__v1__task_info__descriptor, run->tasks[i].data, run->tasks[i].len, a, NULL);
            CHECK(t != NULL);
            use(b, info->id->value, t->task_id->value, agent_id, t->resources, t->n_resources);
        }
    }
}

/* The master itself ended a task, or lost the agent it is on. */
static void on_event(struct books *b, stream_id stream, const Mesos__V1__Scheduler__Event *event)
{
    char key[24];
    snprintf(key, sizeof(key), "%llu", (unsigned long long)stream);
    const char *framework_id = map_get(&b->offers.streams, key);
    if (event->update == NULL || framework_id == NULL)
        return;
    const Mesos__V1__TaskStatus *s = event->update->status;
    if (sim_state_is_terminal(s->state) || s->state == MESOS__V1__TASK_STATE__TASK_UNREACHABLE)
        release(b, framework_id, s->task_id->value);
}

static void judge(struct books *b)
{
    for (struct map_entry *e = map_first(&b->totals); e != NULL; e = map_next(e)) {
        const char *agent_id = map_key(e);
        struct resources *left = resources_copy(map_value(e));
        const char *bad = NULL;
        bool is_offered_now = false;
        for (struct map_entry *o = map_first(&b->offers.offers); o != NULL && bad == NULL; o = map_next(o)) {
            const struct offer *offer = map_value(o);
            if (strcmp(offer->agent_id, agent_id) != 0)
                continue;
            is_offered_now |= offer->step == b->offers.step;
            bad = resources_contains(left, offer->resources) ? NULL : offer->id;
            resources_subtract(left, offer->resources);
        }
        for (struct map_entry *u = map_first(&b->used); u != NULL && bad == NULL; u = map_next(u)) {
            const struct used *used = map_value(u);
            if (strcmp(used->agent_id, agent_id) != 0)
                continue;
            bad = resources_contains(left, used->resources) ? NULL : map_key(u);
            resources_subtract(left, used->resources);
        }
        struct resources *unreserved = resources_unreserved(left); /* what is reserved waits for its role */
        bool is_all_out = resources_is_empty(unreserved);
        resources_free(unreserved);
        if (is_offered_now && is_all_out)
            (void)map_remove(&b->partial, agent_id);
        else if (is_offered_now)
            (void)map_put(&b->partial, agent_id, b);
        if (bad != NULL)
            world_violate(b->world, "1", "agent %s: %s holds more than is left of it", agent_id, bad);
        left = resources_free(left);
    }
}

static void seen(void *state, const struct sim_seen *s)
{
    struct books *b = state;
    offer_book_seen(&b->offers, s);
    if (s->type == SIM_SEEN_MASTER_STARTS)
        clear(b);
    if (s->type != SIM_SEEN_MASTER_IN)
        return;
    struct arena *a = arena_new(0);
    b->has_changed = false;
    on_input(b, s->in, s->out, a);
    for (size_t i = 0; i < s->out->count; i++) {
        const struct master_effect *x = &s->out->items[i];
        if (x->type == MASTER_EFFECT_LINK_SEND)
            on_frame(b, x->link_send.link, x->link_send.message, a);
        else if (x->type == MASTER_EFFECT_STREAM_SEND)
            on_event(b, x->stream_send.stream, x->stream_send.event);
    }
    if (b->has_changed || b->offers.has_changed)
        judge(b);
    arena_free(a);
}

void check_resources_all_offered(struct world *w, bool (*is_here)(void *ctx, const char *agent_id), void *ctx)
{
    for (int i = 0; i < w->check_count; i++) {
        struct books *b = w->check_states[i];
        if (w->checks[i] != &check_resources)
            continue;
        struct map_entry *e = map_first(&b->partial);
        while (e != NULL && is_here != NULL &&
               !is_here(ctx, map_key(e))) /* it left when a quota or a task had cut what was offered of it */
            e = map_next(e);
        if (e != NULL)
            world_violate(w, "1", "a part of agent %s is neither used nor offered", map_key(e));
    }
}

const struct sim_check check_resources = {.name = "resources", .new = new, .free = free_state, .seen = seen};
