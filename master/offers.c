/* SPDX-License-Identifier: Apache-2.0 */
#include "master/offers.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"
#include "common/base/text.h"
#include "master/allocator.h"
#include "master/inverse.h"
#include "master/maintenance.h"
#include "master/roles.h"
#include "master/send.h"

struct master_offer *master_offer_new(struct master *m, struct master_client *c, struct master_agent *a,
                                      struct resources *resources)
{
    struct master_offer *o = xcalloc(1, sizeof(*o));
    o->number = m->next_offer++;
    o->client = c;
    o->agent = a;
    o->resources = resources;
    CHECK(resources_quantities(resources, &o->amounts) == 0); /* admission saw to the number of names */
    resources_allocate(resources, c->role->name);
    list_push_back(&a->offers, &o->agent_node);
    list_push_back(&c->framework->offers, &o->framework_node);
    list_init(&o->pass_node);
    HASH_ADD(hh, m->offers, number, sizeof(o->number), o);
    c->held++;
    share_charge(&c->node, &o->amounts, &m->total);
    share_count(&c->node);
    if (m->config.offer_timeout_ms > 0)
        heap_set(&m->offer_timers, &o->timer, m->now_ms + m->config.offer_timeout_ms);
    return o;
}

struct master_offer *master_offer_find(const struct master *m, const char *id)
{
    size_t prefix = strlen(m->id);
    uint64_t number;
    if (strncmp(id, m->id, prefix) != 0 || id[prefix] != '-' || id[prefix + 1] != 'O' ||
        text_to_uint64(id + prefix + 2, &number) < 0)
        return NULL;
    struct master_offer *found = NULL;
    HASH_FIND(hh, m->offers, &number, sizeof(number), found);
    return found;
}

char *master_offer_id(struct arena *arena, const struct master *m, const struct master_offer *o)
{
    return arena_printf(arena, "%s-O%llu", m->id, (unsigned long long)o->number);
}

/* Out of every index; resources and charge stay as they are. */
static void unlink_offer(struct master *m, struct master_offer *o)
{
    HASH_DEL(m->offers, o);
    list_remove(&o->agent_node);
    list_remove(&o->framework_node);
    if (o->pass_node.next != &o->pass_node) {
        list_remove(&o->pass_node);
        o->client->framework->pass_offer_count--;
    }
    heap_remove(&m->offer_timers, &o->timer);
}

struct resources *master_offer_take(struct master *m, struct master_offer *o)
{
    struct resources *resources = o->resources;
    unlink_offer(m, o);
    master_client_unhold(m, o->client);
    free(o);
    return resources;
}

void master_offer_return(struct master *m, struct master_offer *o, bool rescind, bool at_once)
{
    struct master_client *c = o->client;
    struct master_agent *a = o->agent;
    if (rescind) {
        m->counters.offers_rescinded++;
        Mesos__V1__Scheduler__Event *event =
            master_send_framework(m, c->framework, MESOS__V1__SCHEDULER__EVENT__TYPE__RESCIND);
        if (event != NULL) {
            MASTER_WIRE(m, Mesos__V1__OfferID, id, mesos__v1__offer_id);
            id->value = master_offer_id(m->out->arena, m, o);
            MASTER_WIRE(m, Mesos__V1__Scheduler__Event__Rescind, body, mesos__v1__scheduler__event__rescind);
            body->offer_id = id;
            event->rescind = body;
        }
    }
    unlink_offer(m, o);
    share_release(&c->node, &o->amounts, &m->total);
    resources_unallocate(o->resources);
    master_allocator_give_back(m, a, o->resources, at_once);
    free(o);
    master_client_unhold(m, c);
}

void master_offers_return_of_agent(struct master *m, struct master_agent *a, bool rescind)
{
    master_inverse_withdraw(m, a);
    while (!list_is_empty(&a->offers))
        master_offer_return(m, container_of(a->offers.next, struct master_offer, agent_node), rescind, false);
}

void master_offers_rescind_of_agent(struct master *m, struct master_agent *a)
{
    while (!list_is_empty(&a->offers))
        master_offer_return(m, container_of(a->offers.next, struct master_offer, agent_node), true, true);
}

void master_offers_return_of_framework(struct master *m, struct master_framework *f)
{
    master_inverse_discard(m, f);
    while (!list_is_empty(&f->offers))
        master_offer_return(m, container_of(f->offers.next, struct master_offer, framework_node), false, true);
}

void master_offers_on_timers(struct master *m)
{
    struct heap_node *node;
    while ((node = heap_pop_due(&m->offer_timers, m->now_ms)) != NULL) {
        m->counters.offers_expired++;
        master_offer_return(m, container_of(node, struct master_offer, timer), true, false);
    }
}

Mesos__V1__URL *master_agent_url(const struct master_agent *a, struct arena *arena)
{
    Mesos__V1__Address *address = arena_new_one(arena, Mesos__V1__Address);
    mesos__v1__address__init(address);
    address->hostname = a->info->hostname;
    address->ip = a->ip;
    address->port = a->info->has_port ? a->info->port : 5051;
    Mesos__V1__URL *url = arena_new_one(arena, Mesos__V1__URL);
    mesos__v1__url__init(url);
    url->scheme = (char *)"http";
    url->address = address;
    url->path = (char *)"/slave(1)";
    return url;
}

/* This framework's executors on the agent (facts: mesos 1.7). */
static void add_executors(const struct master_offer *o, Mesos__V1__Offer *wire, struct arena *arena)
{
    size_t count = HASH_COUNT(o->agent->executors);
    if (count == 0)
        return;
    wire->executor_ids = arena_new_array(arena, Mesos__V1__ExecutorID *, count);
    for (const struct master_executor *e = o->agent->executors; e != NULL; e = e->hh.next) {
        if (e->framework != o->client->framework)
            continue;
        Mesos__V1__ExecutorID *id = arena_new_one(arena, Mesos__V1__ExecutorID);
        mesos__v1__executor_id__init(id);
        id->value = arena_strdup(arena, e->id);
        wire->executor_ids[wire->n_executor_ids++] = id;
    }
}

Mesos__V1__Offer *master_offer_wire(const struct master *m, const struct master_offer *o, struct arena *arena)
{
    const struct master_framework *f = o->client->framework;
    const struct master_agent *a = o->agent;
    Mesos__V1__Offer *wire = arena_new_one(arena, Mesos__V1__Offer);
    mesos__v1__offer__init(wire);
    wire->id = arena_new_one(arena, Mesos__V1__OfferID);
    mesos__v1__offer_id__init(wire->id);
    wire->id->value = master_offer_id(arena, m, o);
    wire->framework_id = f->info->id;
    wire->agent_id = a->info->id;
    wire->hostname = a->info->hostname;
    wire->url = master_agent_url(a, arena);
    wire->n_attributes = a->info->n_attributes;
    wire->attributes = a->info->attributes;
    wire->domain = a->info->domain;
    const struct master_machine *machine = master_machine_of(m, a);
    if (machine != NULL)
        wire->unavailability = master_machine_unavailability(machine, arena);
    bool is_refined = (f->capabilities & MASTER_CAN_REFINEMENT) != 0;
    wire->n_resources = resources_to_wire(o->resources, is_refined ? RESOURCE_POST_REFINEMENT : RESOURCE_PRE_REFINEMENT,
                                          arena, &wire->resources);
    if (f->capabilities & MASTER_CAN_MULTI_ROLE) {
        wire->allocation_info = arena_new_one(arena, Mesos__V1__Resource__AllocationInfo);
        mesos__v1__resource__allocation_info__init(wire->allocation_info);
        wire->allocation_info->role = o->client->role->name;
    } else {
        for (size_t i = 0; i < wire->n_resources; i++)
            wire->resources[i]->allocation_info = NULL;
    }
    add_executors(o, wire, arena);
    return wire;
}
