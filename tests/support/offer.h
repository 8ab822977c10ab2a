/* SPDX-License-Identifier: Apache-2.0
 * offer.h - an offer made of plain data, for tests of frameworks. */
#pragma once

#include "common/base/arena.h"
#include "mesos/v1/mesos.pb-c.h"

static inline Mesos__V1__Resource *support_resource(struct arena *a, const char *name, double amount, uint64_t begin,
                                                    uint64_t end)
{
    Mesos__V1__Resource *r = arena_new_one(a, Mesos__V1__Resource);
    mesos__v1__resource__init(r);
    r->name = (char *)name;
    r->allocation_info = arena_new_one(a, Mesos__V1__Resource__AllocationInfo);
    mesos__v1__resource__allocation_info__init(r->allocation_info);
    r->allocation_info->role = (char *)"*";
    if (end == 0) {
        r->type = MESOS__V1__VALUE__TYPE__SCALAR;
        r->scalar = arena_new_one(a, Mesos__V1__Value__Scalar);
        mesos__v1__value__scalar__init(r->scalar);
        r->scalar->value = amount;
        return r;
    }
    r->type = MESOS__V1__VALUE__TYPE__RANGES;
    r->ranges = arena_new_one(a, Mesos__V1__Value__Ranges);
    mesos__v1__value__ranges__init(r->ranges);
    r->ranges->range = arena_new_array(a, Mesos__V1__Value__Range *, 1);
    r->ranges->range[0] = arena_new_one(a, Mesos__V1__Value__Range);
    mesos__v1__value__range__init(r->ranges->range[0]);
    r->ranges->range[0]->begin = begin;
    r->ranges->range[0]->end = end;
    r->ranges->n_range = 1;
    return r;
}

/* Of "agent-<host>", role *, with ports 31000 to 32000; rack NULL: no attribute. */
static inline Mesos__V1__Offer *support_offer(struct arena *a, unsigned number, const char *host, const char *rack,
                                              double cpus, double mem)
{
    Mesos__V1__Offer *o = arena_new_one(a, Mesos__V1__Offer);
    mesos__v1__offer__init(o);
    o->id = arena_new_one(a, Mesos__V1__OfferID);
    mesos__v1__offer_id__init(o->id);
    o->id->value = arena_printf(a, "O%u", number);
    o->framework_id = arena_new_one(a, Mesos__V1__FrameworkID);
    mesos__v1__framework_id__init(o->framework_id);
    o->framework_id->value = (char *)"F1";
    o->agent_id = arena_new_one(a, Mesos__V1__AgentID);
    mesos__v1__agent_id__init(o->agent_id);
    o->agent_id->value = arena_printf(a, "agent-%s", host);
    o->hostname = (char *)host;
    o->allocation_info = arena_new_one(a, Mesos__V1__Resource__AllocationInfo);
    mesos__v1__resource__allocation_info__init(o->allocation_info);
    o->allocation_info->role = (char *)"*";
    o->resources = arena_new_array(a, Mesos__V1__Resource *, 4);
    o->resources[o->n_resources++] = support_resource(a, "cpus", cpus, 0, 0);
    o->resources[o->n_resources++] = support_resource(a, "mem", mem, 0, 0);
    o->resources[o->n_resources++] = support_resource(a, "ports", 0, 31000, 32000);
    if (rack) {
        Mesos__V1__Attribute *attribute = arena_new_one(a, Mesos__V1__Attribute);
        mesos__v1__attribute__init(attribute);
        attribute->name = (char *)"rack";
        attribute->type = MESOS__V1__VALUE__TYPE__TEXT;
        attribute->text = arena_new_one(a, Mesos__V1__Value__Text);
        mesos__v1__value__text__init(attribute->text);
        attribute->text->value = (char *)rack;
        o->attributes = arena_new_array(a, Mesos__V1__Attribute *, 1);
        o->attributes[o->n_attributes++] = attribute;
    }
    return o;
}
