/* SPDX-License-Identifier: Apache-2.0
 * operator_operations.c - each call becomes the operation that a scheduler would send, on what is free on the agent. What
 * is offered is taken back as far as it is needed, and only if it suffices. */
#include "master/operator_operations.h"

#include "common/base/check.h"
#include "master/agents.h"
#include "master/allocator.h"
#include "master/offers.h"
#include "master/operations.h"
#include "master/send.h"
#include "master/validate.h"

static void take_offer(struct resources *to, const struct master_offer *o)
{
    struct resources *plain = resources_copy(o->resources);
    resources_unallocate(plain);
    resources_add(to, plain);
    resources_free(plain);
}

/* Does the offer hold something of what is missing? */
static bool helps(const struct resources *missing, const struct master_offer *o)
{
    struct resources *plain = resources_copy(o->resources), *rest = resources_copy(missing);
    resources_unallocate(plain);
    resources_subtract(rest, plain);
    bool any = !resources_equal(rest, missing);
    resources_free(plain);
    resources_free(rest);
    return any;
}

static bool is_free(const struct master_agent *a, const struct resources *wanted, bool with_offered)
{
    struct resources *pool = resources_copy(a->free);
    for (const struct list *it = a->offers.next; with_offered && it != &a->offers; it = it->next)
        take_offer(pool, container_of(it, struct master_offer, agent_node));
    bool enough = resources_contains(pool, wanted);
    resources_free(pool);
    return enough;
}

/* Rescinds offers until wanted is free. False, and none is rescinded, when even all of them would not suffice. */
static bool make_free(struct master *m, struct master_agent *a, const struct resources *wanted)
{
    if (!is_free(a, wanted, true))
        return false;
    list_for_each(it, &a->offers)
    {
        struct master_offer *o = container_of(it, struct master_offer, agent_node);
        struct resources *missing = resources_copy(wanted);
        resources_subtract(missing, a->free);
        if (helps(missing, o))
            master_offer_return(m, o, true, false);
        resources_free(missing);
    }
    return is_free(a, wanted, false);
}

static void refuse_amount(struct master *m, request_id request, const struct master_agent *a,
                          const struct resources *wanted)
{
    struct buf want, have;
    buf_init(&want, 256);
    buf_init(&have, 256);
    resources_format(wanted, &want);
    resources_format(a->free, &have);
    master_reply(
        m, request, 409, "Invalid operation: it needs %.*s, of agent %s is free: %.*s; what is offered would not do",
        (int)buf_len(&want), (const char *)buf_data(&want), a->id, (int)buf_len(&have), (const char *)buf_data(&have));
    buf_deinit(&want);
    buf_deinit(&have);
}

static void carry_out(struct master *m, const struct master_event *in, struct master_agent *a,
                      const Mesos__V1__Offer__Operation *op, struct master_conversion *conversion)
{
    request_id request = in->operator_call.request;
    struct arena *arena = m->out->arena;
    struct err err;
    const struct master_asker by = {.principal = in->operator_call.principal, .may_refine = true, .may_share = true};
    const char *why = master_validate_operation(&by, a, op, arena);
    if (why != NULL) {
        master_reply(m, request, 400, "Invalid operation: %s", why);
        return;
    }
    if (resources_conversion(op, a->total, conversion->consumed, conversion->converted, &err) < 0) {
        master_reply(m, request, 400, "Invalid operation: %s", err.text);
        return;
    }
    if (!master_operation_is_allowed(m, by.principal, conversion, op)) {
        master_reply(m, request, 403, NULL);
        return;
    }
    if ((why = master_operation_check(a, op, conversion, arena)) != NULL) {
        master_reply(m, request, 409, "Invalid operation: %s", why);
        return;
    }
    if (a->is_overcommitted || !make_free(m, a, conversion->consumed)) {
        refuse_amount(m, request, a, conversion->consumed);
        return;
    }
    CHECK(resources_convert(a->free, conversion->consumed, conversion->converted)); /* is_free said so */
    master_operation_start(m, NULL, a, conversion, op, request);
    master_allocator_give_back(m, a, resources_new(), true);
}

static void start(struct master *m, const struct master_event *in, const Mesos__V1__AgentID *agent_id,
                  const Mesos__V1__Offer__Operation *op)
{
    struct master_agent *a = agent_id != NULL ? master_agent_find(m, agent_id->value) : NULL;
    if (a == NULL) {
        master_reply(m, in->operator_call.request, 400, "No agent found with specified ID");
        return;
    }
    if (a->state != MASTER_AGENT_CONNECTED) {
        master_reply(m, in->operator_call.request, 409, "Agent %s is not connected", a->id);
        return;
    }
    struct master_conversion conversion;
    master_conversion_init(&conversion);
    carry_out(m, in, a, op, &conversion);
    master_conversion_deinit(&conversion);
}

/* -- calls ------------------------------------------------------------------------------------------------------ */

static Mesos__V1__Offer__Operation operation_of(Mesos__V1__Offer__Operation__Type type)
{
    Mesos__V1__Offer__Operation op = MESOS__V1__OFFER__OPERATION__INIT;
    op.has_type = true;
    op.type = type;
    return op;
}

void master_operator_on_reserve(struct master *m, const struct master_event *in)
{
    const Mesos__V1__Master__Call__ReserveResources *call = in->operator_call.call->reserve_resources;
    Mesos__V1__Offer__Operation op = operation_of(MESOS__V1__OFFER__OPERATION__TYPE__RESERVE);
    Mesos__V1__Offer__Operation__Reserve body = MESOS__V1__OFFER__OPERATION__RESERVE__INIT;
    body.resources = call->resources;
    body.n_resources = call->n_resources;
    body.source = call->source;
    body.n_source = call->n_source;
    op.reserve = &body;
    start(m, in, call->agent_id, &op);
}

void master_operator_on_unreserve(struct master *m, const struct master_event *in)
{
    const Mesos__V1__Master__Call__UnreserveResources *call = in->operator_call.call->unreserve_resources;
    Mesos__V1__Offer__Operation op = operation_of(MESOS__V1__OFFER__OPERATION__TYPE__UNRESERVE);
    Mesos__V1__Offer__Operation__Unreserve body = MESOS__V1__OFFER__OPERATION__UNRESERVE__INIT;
    body.resources = call->resources;
    body.n_resources = call->n_resources;
    op.unreserve = &body;
    start(m, in, call->agent_id, &op);
}

void master_operator_on_create_volumes(struct master *m, const struct master_event *in)
{
    const Mesos__V1__Master__Call__CreateVolumes *call = in->operator_call.call->create_volumes;
    Mesos__V1__Offer__Operation op = operation_of(MESOS__V1__OFFER__OPERATION__TYPE__CREATE);
    Mesos__V1__Offer__Operation__Create body = MESOS__V1__OFFER__OPERATION__CREATE__INIT;
    body.volumes = call->volumes;
    body.n_volumes = call->n_volumes;
    op.create = &body;
    start(m, in, call->agent_id, &op);
}

void master_operator_on_destroy_volumes(struct master *m, const struct master_event *in)
{
    const Mesos__V1__Master__Call__DestroyVolumes *call = in->operator_call.call->destroy_volumes;
    Mesos__V1__Offer__Operation op = operation_of(MESOS__V1__OFFER__OPERATION__TYPE__DESTROY);
    Mesos__V1__Offer__Operation__Destroy body = MESOS__V1__OFFER__OPERATION__DESTROY__INIT;
    body.volumes = call->volumes;
    body.n_volumes = call->n_volumes;
    op.destroy = &body;
    start(m, in, call->agent_id, &op);
}

void master_operator_on_grow_volume(struct master *m, const struct master_event *in)
{
    const Mesos__V1__Master__Call__GrowVolume *call = in->operator_call.call->grow_volume;
    Mesos__V1__Offer__Operation op = operation_of(MESOS__V1__OFFER__OPERATION__TYPE__GROW_VOLUME);
    Mesos__V1__Offer__Operation__GrowVolume body = MESOS__V1__OFFER__OPERATION__GROW_VOLUME__INIT;
    body.volume = call->volume;
    body.addition = call->addition;
    op.grow_volume = &body;
    start(m, in, call->agent_id, &op);
}

void master_operator_on_shrink_volume(struct master *m, const struct master_event *in)
{
    const Mesos__V1__Master__Call__ShrinkVolume *call = in->operator_call.call->shrink_volume;
    Mesos__V1__Offer__Operation op = operation_of(MESOS__V1__OFFER__OPERATION__TYPE__SHRINK_VOLUME);
    Mesos__V1__Offer__Operation__ShrinkVolume body = MESOS__V1__OFFER__OPERATION__SHRINK_VOLUME__INIT;
    body.volume = call->volume;
    body.subtract = call->subtract;
    op.shrink_volume = &body;
    start(m, in, call->agent_id, &op);
}
