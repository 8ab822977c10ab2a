/* SPDX-License-Identifier: Apache-2.0 */
#include "master/inverse.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"
#include "common/base/text.h"
#include "master/maintenance.h"
#include "master/offers.h"
#include "master/send.h"

#define AGENTS_PER_PASS_MAX 1000

struct master_inverse {
    uint64_t number; /* of the offer, 0: answered */
    struct master_agent *agent;
    struct master_framework *framework;
    struct list agent_node, framework_node;
    struct heap_node timer; /* unanswered: its time-out; answered: the end of the refusal */
    int status;             /* of mesos.v1.allocator.InverseOfferStatus.Status, 0: no answer yet */
    int64_t answered_ms;    /* wall */
};

static bool is_in_list(const struct list *node)
{
    return node->next != node;
}

/* The machine, when there is something to ask for. */
static const struct master_machine *machine_ahead(const struct master *m, const struct master_agent *a)
{
    if (a->state != MASTER_AGENT_CONNECTED || a->is_deactivated)
        return NULL;
    const struct master_machine *machine = master_machine_of(m, a);
    return machine != NULL && !machine->is_down ? machine : NULL;
}

void master_inverse_mark(struct master *m, struct master_agent *a)
{
    if (map_count(&m->machines) > 0 && !is_in_list(&a->inverse_node) && machine_ahead(m, a) != NULL)
        list_push_back(&m->inverse_agents, &a->inverse_node);
}

void master_inverse_mark_for_framework(struct master *m, struct master_framework *f)
{
    (void)f;
    for (struct master_agent *a = m->agents; map_count(&m->machines) > 0 && a != NULL; a = a->hh.next)
        master_inverse_mark(m, a);
}

/* -- one -------------------------------------------------------------------------------------------------------- */

static struct master_inverse *find_of(const struct master_agent *a, const struct master_framework *f)
{
    for (struct list *it = a->inverses.next; it != &a->inverses; it = it->next) {
        struct master_inverse *i = container_of(it, struct master_inverse, agent_node);
        if (i->framework == f)
            return i;
    }
    return NULL;
}

static char *id_of(struct arena *arena, const struct master *m, const struct master_inverse *i)
{
    return arena_printf(arena, "%s-O%llu", m->id, (unsigned long long)i->number);
}

static void free_inverse(struct master *m, struct master_inverse *i)
{
    list_remove(&i->agent_node);
    list_remove(&i->framework_node);
    heap_remove(&m->inverse_timers, &i->timer);
    free(i);
}

static void send_rescind(struct master *m, const struct master_inverse *i)
{
    Mesos__V1__Scheduler__Event *event =
        master_send_framework(m, i->framework, MESOS__V1__SCHEDULER__EVENT__TYPE__RESCIND_INVERSE_OFFER);
    if (event == NULL)
        return;
    MASTER_WIRE(m, Mesos__V1__OfferID, id, mesos__v1__offer_id);
    id->value = id_of(m->out->arena, m, i);
    MASTER_WIRE(m, Mesos__V1__Scheduler__Event__RescindInverseOffer, body,
                mesos__v1__scheduler__event__rescind_inverse_offer);
    body->inverse_offer_id = id;
    event->rescind_inverse_offer = body;
}

static Mesos__V1__InverseOffer *to_wire(const struct master *m, const struct master_inverse *i,
                                        const struct master_machine *machine, struct arena *arena)
{
    Mesos__V1__InverseOffer *wire = arena_new_one(arena, Mesos__V1__InverseOffer);
    mesos__v1__inverse_offer__init(wire);
    wire->id = arena_new_one(arena, Mesos__V1__OfferID);
    mesos__v1__offer_id__init(wire->id);
    wire->id->value = id_of(arena, m, i);
    wire->url = master_agent_url(i->agent, arena);
    wire->framework_id = i->framework->info->id;
    wire->agent_id = i->agent->info->id;
    wire->unavailability = master_machine_unavailability(machine, arena);
    return wire;
}

static void ask(struct master *m, struct master_agent *a, struct master_framework *f, const struct master_machine *machine)
{
    struct master_inverse *i = find_of(a, f);
    if (i != NULL && (i->number != 0 || heap_is_in(&i->timer)))
        return; /* not answered yet, or refused for a while */
    if (i == NULL) {
        i = xcalloc(1, sizeof(*i));
        i->agent = a;
        i->framework = f;
        list_push_back(&a->inverses, &i->agent_node);
        list_push_back(&f->inverses, &i->framework_node);
    }
    i->number = m->next_offer++;
    if (m->config.offer_timeout_ms > 0)
        heap_set(&m->inverse_timers, &i->timer, m->now_ms + m->config.offer_timeout_ms);
    MASTER_WIRE(m, Mesos__V1__Scheduler__Event__InverseOffers, body, mesos__v1__scheduler__event__inverse_offers);
    body->n_inverse_offers = 1;
    body->inverse_offers = arena_new_one(m->out->arena, Mesos__V1__InverseOffer *);
    body->inverse_offers[0] = to_wire(m, i, machine, m->out->arena);
    Mesos__V1__Scheduler__Event *event = master_send_framework(m, f, MESOS__V1__SCHEDULER__EVENT__TYPE__INVERSE_OFFERS);
    CHECK(event != NULL); /* it is connected */
    event->inverse_offers = body;
}

/* -- the pass --------------------------------------------------------------------------------------------------- */

static void ask_once(struct master *m, struct master_agent *a, struct master_framework *f,
                     const struct master_machine *machine)
{
    if (f->inverse_mark == m->next_mark || f->state != MASTER_FRAMEWORK_CONNECTED)
        return;
    f->inverse_mark = m->next_mark;
    ask(m, a, f, machine);
}

static void visit(struct master *m, struct master_agent *a)
{
    const struct master_machine *machine = machine_ahead(m, a);
    if (machine == NULL)
        return;
    m->next_mark++;
    list_for_each(it, &a->offers)
        ask_once(m, a, container_of(it, struct master_offer, agent_node)->client->framework, machine);
    list_for_each(it, &a->tasks)
    {
        struct master_task *t = container_of(it, struct master_task, node);
        if (t->resources != NULL)
            ask_once(m, a, t->framework, machine);
    }
    for (struct master_executor *e = a->executors; e != NULL; e = e->hh.next)
        if (e->resources != NULL)
            ask_once(m, a, e->framework, machine);
}

void master_inverse_pass(struct master *m)
{
    struct list *node;
    for (size_t n = 0; n < AGENTS_PER_PASS_MAX && (node = list_pop_front(&m->inverse_agents)) != NULL; n++)
        visit(m, container_of(node, struct master_agent, inverse_node));
}

bool master_inverse_is_due(const struct master *m)
{
    return !list_is_empty(&m->inverse_agents);
}

void master_inverse_on_timers(struct master *m)
{
    struct heap_node *node;
    while ((node = heap_pop_due(&m->inverse_timers, m->now_ms)) != NULL) {
        struct master_inverse *i = container_of(node, struct master_inverse, timer);
        if (i->number != 0)
            send_rescind(m, i);
        i->number = 0;
        master_inverse_mark(m, i->agent); /* asked again */
    }
}

/* -- answers and ends ------------------------------------------------------------------------------------------- */

static struct master_inverse *find_by_id(const struct master *m, const struct master_framework *f, const char *id)
{
    size_t prefix = strlen(m->id);
    uint64_t number;
    if (strncmp(id, m->id, prefix) != 0 || id[prefix] != '-' || id[prefix + 1] != 'O' ||
        text_to_uint64(id + prefix + 2, &number) < 0)
        return NULL;
    for (struct list *it = f->inverses.next; it != &f->inverses; it = it->next) {
        struct master_inverse *i = container_of(it, struct master_inverse, framework_node);
        if (i->number == number && number != 0)
            return i;
    }
    return NULL;
}

void master_inverse_on_answer(struct master *m, struct master_framework *f, Mesos__V1__OfferID *const *ids, size_t n,
                              bool is_accepted, const Mesos__V1__Filters *filters)
{
    int64_t timeout_ms = master_filter_timeout_ms(m, filters);
    if (timeout_ms < m->config.allocation_interval_ms)
        timeout_ms = m->config.allocation_interval_ms; /* no filter: asked again by the next allocation */
    for (size_t k = 0; k < n; k++) {
        struct master_inverse *i = find_by_id(m, f, ids[k]->value);
        if (i == NULL) {
            master_trace(m, "framework %s answers inverse offer %.200s, which is not out", f->id, ids[k]->value);
            continue;
        }
        i->number = 0;
        i->status = (int)(is_accepted ? MESOS__V1__ALLOCATOR__INVERSE_OFFER_STATUS__STATUS__ACCEPT
                                      : MESOS__V1__ALLOCATOR__INVERSE_OFFER_STATUS__STATUS__DECLINE);
        i->answered_ms = m->wall_ms;
        heap_set(&m->inverse_timers, &i->timer, m->now_ms + timeout_ms);
    }
}

void master_inverse_revive(struct master *m, struct master_framework *f)
{
    list_for_each(it, &f->inverses)
    {
        struct master_inverse *i = container_of(it, struct master_inverse, framework_node);
        if (i->number != 0)
            continue;
        heap_remove(&m->inverse_timers, &i->timer);
        master_inverse_mark(m, i->agent);
    }
}

void master_inverse_withdraw(struct master *m, struct master_agent *a)
{
    list_remove(&a->inverse_node);
    list_for_each(it, &a->inverses)
    {
        struct master_inverse *i = container_of(it, struct master_inverse, agent_node);
        if (i->number != 0)
            send_rescind(m, i);
        free_inverse(m, i);
    }
}

void master_inverse_discard(struct master *m, struct master_framework *f)
{
    list_for_each(it, &f->inverses)
    {
        struct master_inverse *i = container_of(it, struct master_inverse, framework_node);
        if (i->number != 0)
            heap_remove(&m->inverse_timers, &i->timer);
        i->number = 0;
    }
}

void master_inverse_forget_framework(struct master *m, struct master_framework *f)
{
    list_for_each(it, &f->inverses) free_inverse(m, container_of(it, struct master_inverse, framework_node));
}

void master_inverse_deinit(struct master *m)
{
    for (struct master_framework *f = m->frameworks; f != NULL; f = f->hh.next)
        master_inverse_forget_framework(m, f);
    heap_deinit(&m->inverse_timers);
}

/* -- wire ------------------------------------------------------------------------------------------------------- */

size_t master_inverse_statuses(const struct master *m, const struct master_machine *machine, struct arena *arena,
                               Mesos__V1__Allocator__InverseOfferStatus ***out)
{
    typedef Mesos__V1__Allocator__InverseOfferStatus Status;
    size_t count = 0, n = 0;
    for (const struct master_agent *a = m->agents; a != NULL; a = a->hh.next)
        if (!list_is_empty(&a->inverses) && master_machine_of(m, a) == machine)
            for (const struct list *it = a->inverses.next; it != &a->inverses; it = it->next)
                count++;
    Status **list = arena_new_array(arena, Status *, count);
    for (const struct master_agent *a = m->agents; count > 0 && a != NULL; a = a->hh.next) {
        if (list_is_empty(&a->inverses) || master_machine_of(m, a) != machine)
            continue;
        for (const struct list *it = a->inverses.next; it != &a->inverses; it = it->next) {
            const struct master_inverse *i = container_of(it, struct master_inverse, agent_node);
            if (i->status == 0)
                continue;
            Status *s = arena_new_one(arena, Status);
            mesos__v1__allocator__inverse_offer_status__init(s);
            s->status = (Mesos__V1__Allocator__InverseOfferStatus__Status)i->status;
            s->framework_id = i->framework->info->id;
            s->timestamp = master_wire_time(arena, i->answered_ms);
            list[n++] = s;
        }
    }
    *out = list;
    return n;
}

size_t master_inverse_offers(const struct master *m, const struct master_framework *f, struct arena *arena,
                             Mesos__V1__InverseOffer ***out)
{
    size_t count = 0, n = 0;
    for (const struct list *it = f->inverses.next; it != &f->inverses; it = it->next)
        count++;
    *out = arena_new_array(arena, Mesos__V1__InverseOffer *, count);
    for (const struct list *it = f->inverses.next; it != &f->inverses; it = it->next) {
        const struct master_inverse *i = container_of(it, struct master_inverse, framework_node);
        const struct master_machine *machine = master_machine_of(m, i->agent);
        if (i->number != 0 && machine != NULL)
            (*out)[n++] = to_wire(m, i, machine, arena);
    }
    return n;
}
