/* SPDX-License-Identifier: Apache-2.0 */
#include "master/operations.h"

#include <stdlib.h>
#include <string.h>

#include "common/auth/acl.h"
#include "common/base/check.h"
#include "common/base/text.h"
#include "master/agents.h"
#include "master/departed.h"
#include "master/drain.h"
#include "master/frameworks.h"
#include "master/roles.h"
#include "master/send.h"
#include "master/validate.h"

static bool state_is_terminal(Mesos__V1__OperationState state)
{
    switch (state) {
    case MESOS__V1__OPERATION_STATE__OPERATION_FINISHED:
    case MESOS__V1__OPERATION_STATE__OPERATION_FAILED:
    case MESOS__V1__OPERATION_STATE__OPERATION_ERROR:
    case MESOS__V1__OPERATION_STATE__OPERATION_DROPPED:
    case MESOS__V1__OPERATION_STATE__OPERATION_GONE_BY_OPERATOR:
        return true;
    default:
        return false;
    }
}

/* -- the object ------------------------------------------------------------------------------------------------- */

static struct master_operation *find(const struct master *m, ProtobufCBinaryData uuid)
{
    struct master_operation *o = NULL;
    if (uuid.len == sizeof(o->uuid))
        HASH_FIND(hh, m->operations, uuid.data, sizeof(o->uuid), o);
    return o;
}

static void put_status(struct master_operation *o, const Mesos__V1__OperationStatus *status)
{
    size_t len;
    free(o->status);
    o->status = wire_pack(&status->base, &len);
    o->status_len = (uint32_t)len;
    o->is_terminal = state_is_terminal(status->state);
    o->has_status_uuid = status->uuid != NULL && status->uuid->value.len == sizeof(o->status_uuid);
    if (o->has_status_uuid)
        memcpy(o->status_uuid, status->uuid->value.data, sizeof(o->status_uuid));
}

/* Takes over packed info. */
static struct master_operation *new_operation(struct master *m, struct master_framework *f, struct master_agent *a,
                                              const uint8_t uuid[16], const char *id, uint8_t *info, size_t info_len)
{
    struct master_operation *o = xcalloc(1, sizeof(*o));
    memcpy(o->uuid, uuid, sizeof(o->uuid));
    o->framework = f;
    o->agent = a;
    o->info = info;
    o->info_len = (uint32_t)info_len;
    HASH_ADD(hh, m->operations, uuid, sizeof(o->uuid), o);
    list_push_back(&a->operations, &o->agent_node);
    a->operation_count++;
    list_init(&o->framework_node);
    if (f != NULL)
        list_push_back(&f->operations, &o->framework_node);
    if (f != NULL && id != NULL) {
        o->id = xstrdup(id);
        (void)map_put(&f->operation_ids, id, o); /* a second one under this id is told from it by its uuid */
    }
    return o;
}

/* Nobody is to hear of it any more. */
static void detach(struct master_operation *o)
{
    if (o->framework != NULL && o->id != NULL && map_get(&o->framework->operation_ids, o->id) == o)
        (void)map_remove(&o->framework->operation_ids, o->id); /* was just found */
    list_remove(&o->framework_node);
    o->framework = NULL;
    free(o->id);
    o->id = NULL;
}

static void free_operation(struct master *m, struct master_operation *o)
{
    detach(o);
    list_remove(&o->agent_node);
    o->agent->operation_count--;
    HASH_DEL(m->operations, o);
    free(o->info);
    free(o->status);
    free(o);
}

Mesos__V1__Operation *master_operation_wire(const struct master_operation *o, struct arena *arena)
{
    struct err err;
    Mesos__V1__Operation *out = arena_new_one(arena, Mesos__V1__Operation);
    mesos__v1__operation__init(out);
    if (o->framework != NULL)
        out->framework_id = o->framework->info->id;
    out->agent_id = o->agent->info->id;
    out->info = (void *)wire_unpack(&mesos__v1__offer__operation__descriptor, o->info, o->info_len, arena, &err);
    out->latest_status =
        (void *)wire_unpack(&mesos__v1__operation_status__descriptor, o->status, o->status_len, arena, &err);
    CHECK(out->info != NULL && out->latest_status != NULL); /* our own bytes */
    out->statuses = arena_new_array(arena, Mesos__V1__OperationStatus *, 1);
    out->statuses[0] = out->latest_status;
    out->n_statuses = 1;
    out->uuid = arena_new_one(arena, Mesos__V1__UUID);
    mesos__v1__uuid__init(out->uuid);
    out->uuid->value = (ProtobufCBinaryData){.data = arena_memdup(arena, o->uuid, sizeof(o->uuid)), .len = sizeof(o->uuid)};
    return out;
}

/* -- what schedulers and agents are told ------------------------------------------------------------------------ */

static void send_status(struct master *m, struct master_framework *f, const Mesos__V1__OperationStatus *status)
{
    Mesos__V1__Scheduler__Event *event =
        master_send_framework(m, f, MESOS__V1__SCHEDULER__EVENT__TYPE__UPDATE_OPERATION_STATUS);
    if (event == NULL)
        return;
    MASTER_WIRE(m, Mesos__V1__Scheduler__Event__UpdateOperationStatus, body,
                mesos__v1__scheduler__event__update_operation_status);
    body->status = (Mesos__V1__OperationStatus *)status; /* effects are read only */
    event->update_operation_status = body;
}

/* A status made here: no uuid, it is not to be acknowledged. */
static Mesos__V1__OperationStatus *new_status(struct master *m, const char *id, Mesos__V1__OperationState state,
                                              const char *why)
{
    MASTER_WIRE(m, Mesos__V1__OperationStatus, status, mesos__v1__operation_status);
    if (id != NULL) {
        MASTER_WIRE(m, Mesos__V1__OperationID, operation_id, mesos__v1__operation_id);
        operation_id->value = arena_strdup(m->out->arena, id);
        status->operation_id = operation_id;
    }
    status->state = state;
    status->message = (char *)why;
    return status;
}

void master_operation_refuse(struct master *m, struct master_framework *f, const Mesos__V1__Offer__Operation *op,
                             const char *why)
{
    if (op->id == NULL)
        master_trace_warning(m, "framework %s: an operation was refused: %s", f->id, why);
    else
        send_status(m, f, new_status(m, op->id->value, MESOS__V1__OPERATION_STATE__OPERATION_ERROR, why));
}

static void acknowledge(struct master *m, struct master_agent *a, ProtobufCBinaryData operation, ProtobufCBinaryData status)
{
    Muster__Link__MasterToAgent *message = master_send_agent(m, a);
    if (message == NULL)
        return; /* it will be sent again */
    MASTER_WIRE(m, Muster__Link__AcknowledgeOperation, body, muster__link__acknowledge_operation);
    body->operation_uuid = operation;
    body->status_uuid = status;
    message->acknowledge_operation = body;
}

static ProtobufCBinaryData bytes_of(struct master *m, const uint8_t uuid[16])
{
    return (ProtobufCBinaryData){.data = arena_memdup(m->out->arena, uuid, 16), .len = 16};
}

/* The end of an operation nobody will acknowledge but the master. */
static void finish(struct master *m, struct master_operation *o)
{
    struct master_agent *a = o->agent;
    if (o->has_status_uuid)
        acknowledge(m, a, bytes_of(m, o->uuid), bytes_of(m, o->status_uuid));
    free_operation(m, o);
    master_drain_settle(m, a);
}

static void answer_operator(struct master *m, struct master_operation *o, Mesos__V1__OperationState state, const char *why)
{
    request_id request = o->request;
    o->request = 0;
    if (request == 0)
        return;
    if (state == MESOS__V1__OPERATION_STATE__OPERATION_FINISHED)
        master_reply(m, request, 202, NULL);
    else
        master_reply(m, request, 409, "The operation was not applied: %s", why != NULL ? why : "the agent gave no reason");
}

/* -- beginning -------------------------------------------------------------------------------------------------- */

void master_conversion_init(struct master_conversion *c)
{
    c->consumed = resources_new();
    c->converted = resources_new();
}

void master_conversion_deinit(struct master_conversion *c)
{
    c->consumed = resources_free(c->consumed);
    c->converted = resources_free(c->converted);
}

Mesos__V1__Offer__Operation *master_conversion_wire(const struct master_conversion *c,
                                                    const Mesos__V1__Offer__Operation *op, struct arena *arena)
{
    Mesos__V1__Resource **in, **out;
    size_t n_in = resources_to_wire(c->consumed, RESOURCE_POST_REFINEMENT, arena, &in);
    size_t n_out = resources_to_wire(c->converted, RESOURCE_POST_REFINEMENT, arena, &out);
    Mesos__V1__Offer__Operation *w = arena_new_one(arena, Mesos__V1__Offer__Operation);
    mesos__v1__offer__operation__init(w);
    w->has_type = true;
    w->type = op->type;
    w->id = op->id;
    switch (op->type) {
    case MESOS__V1__OFFER__OPERATION__TYPE__RESERVE:
        w->reserve = arena_new_one(arena, Mesos__V1__Offer__Operation__Reserve);
        mesos__v1__offer__operation__reserve__init(w->reserve);
        w->reserve->resources = out;
        w->reserve->n_resources = n_out;
        break;
    case MESOS__V1__OFFER__OPERATION__TYPE__UNRESERVE:
        w->unreserve = arena_new_one(arena, Mesos__V1__Offer__Operation__Unreserve);
        mesos__v1__offer__operation__unreserve__init(w->unreserve);
        w->unreserve->resources = in;
        w->unreserve->n_resources = n_in;
        break;
    case MESOS__V1__OFFER__OPERATION__TYPE__CREATE:
        w->create = arena_new_one(arena, Mesos__V1__Offer__Operation__Create);
        mesos__v1__offer__operation__create__init(w->create);
        w->create->volumes = out;
        w->create->n_volumes = n_out;
        break;
    case MESOS__V1__OFFER__OPERATION__TYPE__DESTROY:
        w->destroy = arena_new_one(arena, Mesos__V1__Offer__Operation__Destroy);
        mesos__v1__offer__operation__destroy__init(w->destroy);
        w->destroy->volumes = in;
        w->destroy->n_volumes = n_in;
        break;
    case MESOS__V1__OFFER__OPERATION__TYPE__GROW_VOLUME: /* the volume and the addition are consumed, in this order */
        CHECK(n_in == 2);
        w->grow_volume = arena_new_one(arena, Mesos__V1__Offer__Operation__GrowVolume);
        mesos__v1__offer__operation__grow_volume__init(w->grow_volume);
        w->grow_volume->volume = in[0];
        w->grow_volume->addition = in[1];
        break;
    case MESOS__V1__OFFER__OPERATION__TYPE__SHRINK_VOLUME:
        CHECK(n_in == 1);
        w->shrink_volume = arena_new_one(arena, Mesos__V1__Offer__Operation__ShrinkVolume);
        mesos__v1__offer__operation__shrink_volume__init(w->shrink_volume);
        w->shrink_volume->volume = in[0];
        w->shrink_volume->subtract = op->shrink_volume->subtract;
        break;
    default:
        CHECK(false); /* nothing else has a conversion */
    }
    return w;
}

static void send_to_agent(struct master *m, const struct master_operation *o, const struct master_conversion *conversion,
                          const Mesos__V1__Offer__Operation *op)
{
    struct master_conversion plain = {resources_copy(conversion->consumed), resources_copy(conversion->converted)};
    resources_unallocate(plain.consumed);
    resources_unallocate(plain.converted);
    Mesos__V1__Offer__Operation *wire = master_conversion_wire(&plain, op, m->out->arena);
    master_conversion_deinit(&plain);
    Muster__Link__MasterToAgent *message = master_send_agent(m, o->agent);
    CHECK(message != NULL); /* only connected agents have something free or offered */
    MASTER_WIRE(m, Muster__Link__ApplyOperation, body, muster__link__apply_operation);
    body->operation_uuid = bytes_of(m, o->uuid);
    body->framework_id = o->framework != NULL ? o->framework->info->id : NULL;
    body->info.len = protobuf_c_message_get_packed_size(&wire->base);
    body->info.data = arena_must_alloc(m->out->arena, body->info.len + 1);
    (void)protobuf_c_message_pack(&wire->base, body->info.data); /* the size is known */
    message->apply_operation = body;
}

void master_operation_start(struct master *m, struct master_framework *f, struct master_agent *a,
                            const struct master_conversion *conversion, const Mesos__V1__Offer__Operation *op,
                            request_id request)
{
    uint8_t uuid[16];
    char uuid_text[UUID_TEXT_SIZE];
    size_t len;
    struct master_conversion plain = {resources_copy(conversion->consumed), resources_copy(conversion->converted)};
    resources_unallocate(plain.consumed);
    resources_unallocate(plain.converted);
    CHECK(resources_convert(a->total, plain.consumed, plain.converted)); /* what is free or offered is of the total */
    master_conversion_deinit(&plain);
    master_agent_on_converted(a);
    rng_uuid(&m->rng, uuid, uuid_text);
    uint8_t *info = wire_pack(&master_conversion_wire(conversion, op, m->out->arena)->base, &len);
    struct master_operation *o = new_operation(m, f, a, uuid, op->id != NULL ? op->id->value : NULL, info, len);
    o->request = request;
    Mesos__V1__OperationStatus *status = new_status(m, o->id, MESOS__V1__OPERATION_STATE__OPERATION_PENDING, NULL);
    status->agent_id = a->info->id;
    put_status(o, status);
    send_to_agent(m, o, conversion, op);
}

/* Is one of these shared volumes in use? All others are not, or they would not be free or offered. */
static bool is_any_in_use(const struct master_agent *a, const struct resources *volumes)
{
    if (!resources_has_shared(volumes))
        return false;
    bool found = false;
    for (const struct list *it = a->tasks.next; it != &a->tasks && !found; it = it->next) {
        const struct master_task *t = container_of(it, struct master_task, node);
        if (t->resources == NULL || !resources_has_shared(t->resources))
            continue;
        struct resources *used = resources_shared(t->resources), *rest = resources_copy(volumes);
        resources_unallocate(used);
        resources_unallocate(rest);
        resources_subtract(rest, used);
        struct resources *plain = resources_copy(volumes);
        resources_unallocate(plain);
        found = !resources_equal(rest, plain);
        resources_free(plain);
        resources_free(used);
        resources_free(rest);
    }
    return found;
}

const char *master_operation_check(struct master_agent *a, const Mesos__V1__Offer__Operation *op,
                                   const struct master_conversion *conversion, struct arena *arena)
{
    if (a->operation_count >= MASTER_AGENT_OPERATIONS_MAX)
        return arena_printf(arena, "agent %s has %d operations that are not finished and acknowledged", a->id,
                            MASTER_AGENT_OPERATIONS_MAX);
    if (op->type == MESOS__V1__OFFER__OPERATION__TYPE__DESTROY && is_any_in_use(a, conversion->consumed))
        return "a shared volume is in use";
    return NULL;
}

/* What the ACLs ask of one resource of the operation: facts 10.4. */
static bool is_allowed(const struct master *m, const char *principal, Mesos__V1__Offer__Operation__Type type,
                       const Mesos__V1__Resource *r)
{
    const Mesos__V1__Resource__ReservationInfo *last =
        r->n_reservations > 0 ? r->reservations[r->n_reservations - 1] : NULL;
    const char *role = last != NULL ? last->role : NULL;
    switch (type) {
    case MESOS__V1__OFFER__OPERATION__TYPE__RESERVE:
        return auth_allows(m->config.acls, principal, AUTH_RESERVE_RESOURCES, role);
    case MESOS__V1__OFFER__OPERATION__TYPE__UNRESERVE:
        return auth_allows(m->config.acls, principal, AUTH_UNRESERVE_RESOURCES, last != NULL ? last->principal : NULL);
    case MESOS__V1__OFFER__OPERATION__TYPE__CREATE:
        return auth_allows(m->config.acls, principal, AUTH_CREATE_VOLUME, role);
    case MESOS__V1__OFFER__OPERATION__TYPE__DESTROY:
        return auth_allows(m->config.acls, principal, AUTH_DESTROY_VOLUME, r->disk->persistence->principal);
    default:
        return auth_allows(m->config.acls, principal, AUTH_RESIZE_VOLUME, role);
    }
}

bool master_operation_is_allowed(const struct master *m, const char *principal, const struct master_conversion *conversion,
                                 const Mesos__V1__Offer__Operation *op)
{
    Mesos__V1__Resource **list = NULL;
    size_t n;
    if (m->config.acls == NULL)
        return true;
    /* As it was recorded, not as the caller has it: a volume has the principal that made it. */
    const Mesos__V1__Offer__Operation *wire = master_conversion_wire(conversion, op, m->out->arena);
    if (master_operation_resources(wire, &list, &n) != NULL)
        return false;
    for (size_t i = 0; i < n; i++)
        if (!is_allowed(m, principal, op->type, list[i]))
            return false;
    return true;
}

static const char *convert(struct master *m, struct master_client *c, struct master_agent *a, struct resources *remaining,
                           const Mesos__V1__Offer__Operation *op, struct master_conversion *conversion)
{
    struct arena *arena = m->out->arena;
    struct err err;
    const struct master_framework *f = c->framework;
    const struct master_asker by = {.role = c->role->name,
                                    .principal = f->info->principal,
                                    .may_refine = (f->capabilities & MASTER_CAN_REFINEMENT) != 0,
                                    .may_share = (f->capabilities & MASTER_CAN_SHARED) != 0};
    const char *why = master_validate_operation(&by, a, op, arena);
    if (why != NULL)
        return why;
    if (op->id != NULL && map_get(&f->operation_ids, op->id->value) != NULL)
        return arena_printf(arena, "there is an operation '%.300s' already", op->id->value);
    op = master_operation_allocated(op, c->role->name, arena);
    if (resources_conversion(op, remaining, conversion->consumed, conversion->converted, &err) < 0)
        return arena_strdup(arena, err.text);
    if (!master_operation_is_allowed(m, f->info->principal, conversion, op))
        return "the principal of the framework is not authorized for this operation";
    if ((why = master_operation_check(a, op, conversion, arena)) != NULL)
        return why;
    if (resources_convert(remaining, conversion->consumed, conversion->converted)) {
        master_operation_start(m, c->framework, a, conversion, op, 0);
        return NULL;
    }
    struct buf want, have;
    buf_init(&want, 256);
    buf_init(&have, 256);
    resources_format(conversion->consumed, &want);
    resources_format(remaining, &have);
    why = arena_printf(arena, "the operation needs %.*s, of the offers there is %.*s", (int)buf_len(&want),
                       (const char *)buf_data(&want), (int)buf_len(&have), (const char *)buf_data(&have));
    buf_deinit(&want);
    buf_deinit(&have);
    return why;
}

const char *master_operation_accept(struct master *m, struct master_client *c, struct master_agent *a,
                                    struct resources *remaining, const Mesos__V1__Offer__Operation *op)
{
    struct master_conversion conversion;
    master_conversion_init(&conversion);
    const char *why = convert(m, c, a, remaining, op, &conversion);
    master_conversion_deinit(&conversion);
    return why;
}

/* -- going on --------------------------------------------------------------------------------------------------- */

/* The newest status as the framework is told it. */
static Mesos__V1__OperationStatus *complete_status(struct master *m, const struct master_operation *o,
                                                   const Mesos__V1__OperationStatus *status)
{
    Mesos__V1__OperationStatus *out = arena_memdup(m->out->arena, status, sizeof(*status));
    out->agent_id = o->agent->info->id;
    out->operation_id = NULL;
    if (o->id != NULL) {
        MASTER_WIRE(m, Mesos__V1__OperationID, id, mesos__v1__operation_id);
        id->value = arena_strdup(m->out->arena, o->id);
        out->operation_id = id;
    }
    return out;
}

/* An operation did not happen that was thought to have: the agent says what it has. */
static void take_total(struct master *m, struct master_agent *a, const struct master_operation *failed,
                       const Muster__Link__OperationStatusUpdate *update)
{
    struct err err;
    for (const struct list *it = a->operations.next; it != &a->operations; it = it->next) {
        const struct master_operation *o = container_of(it, struct master_operation, agent_node);
        if (o == failed || o->is_terminal)
            continue;
        /* Whether this one is in the agent's amounts cannot be told: let the agent report all of it anew. */
        master_agent_hang_up(m, a, "an operation failed while others are on their way");
        return;
    }
    if (master_agent_set_total(m, a, update->total, update->n_total, &err) < 0)
        master_trace_warning(m, "agent %s reports resources that cannot be: %s", a->id, err.text);
}

void master_operations_on_status(struct master *m, struct master_agent *a,
                                 const Muster__Link__OperationStatusUpdate *update)
{
    const Mesos__V1__OperationStatus *status = update->status;
    if (update->operation_uuid.len != 16 || status->uuid == NULL || status->uuid->value.len != 16) {
        master_trace_warning(m, "agent %s sent an invalid operation status", a->id);
        return;
    }
    struct master_operation *o = find(m, update->operation_uuid);
    if (update->n_total > 0)
        take_total(m, a, o, update);
    if (o == NULL || o->agent != a) { /* acknowledged before, or of a framework that is gone */
        acknowledge(m, a, update->operation_uuid, status->uuid->value);
        return;
    }
    Mesos__V1__OperationStatus *told = complete_status(m, o, status);
    put_status(o, told);
    if (!o->is_terminal)
        return;
    if (status->state != MESOS__V1__OPERATION_STATE__OPERATION_FINISHED)
        master_trace_warning(m, "agent %s did not apply an operation: %s", a->id,
                             status->message != NULL ? status->message : "no reason given");
    answer_operator(m, o, status->state, status->message);
    if (o->framework != NULL && o->id != NULL)
        send_status(m, o->framework, told); /* without a scheduler the agent is left to repeat it */
    else
        finish(m, o);
}

void master_operations_on_acknowledge(struct master *m, struct master_framework *f,
                                      const Mesos__V1__Scheduler__Call__AcknowledgeOperationStatus *call)
{
    struct master_operation *o = map_get(&f->operation_ids, call->operation_id->value);
    if (o == NULL || !o->has_status_uuid || memcmp(o->status_uuid, call->uuid.data, sizeof(o->status_uuid)) != 0)
        return; /* told twice, or of a status that is not the newest any more */
    if (o->agent->state != MASTER_AGENT_CONNECTED)
        return; /* the agent will send the status again */
    acknowledge(m, o->agent, bytes_of(m, o->uuid), bytes_of(m, o->status_uuid));
    if (!o->is_terminal)
        return;
    struct master_agent *a = o->agent;
    free_operation(m, o);
    master_drain_settle(m, a);
}

/* -- reconciliation (facts: mesos 1.12) ------------------------------------------------------------------------- */

static void send_known(struct master *m, const struct master_operation *o)
{
    struct err err;
    Mesos__V1__OperationStatus *status =
        (void *)wire_unpack(&mesos__v1__operation_status__descriptor, o->status, o->status_len, m->out->arena, &err);
    CHECK(status != NULL); /* our own bytes */
    status->uuid = NULL;
    send_status(m, o->framework, status);
}

/* Of an operation that is not known, by where it should be. */
static Mesos__V1__OperationState state_of_unknown(const struct master *m, const Mesos__V1__AgentID *agent_id)
{
    const struct master_agent *a = agent_id != NULL ? master_agent_find(m, agent_id->value) : NULL;
    if (agent_id != NULL && master_departed_is_gone(m, agent_id->value))
        return MESOS__V1__OPERATION_STATE__OPERATION_GONE_BY_OPERATOR;
    if (a != NULL && (a->state == MASTER_AGENT_RECOVERED || a->state == MASTER_AGENT_READMITTING))
        return MESOS__V1__OPERATION_STATE__OPERATION_RECOVERING;
    if (a != NULL && (a->state == MASTER_AGENT_UNREACHABLE || a->state == MASTER_AGENT_LEAVING))
        return MESOS__V1__OPERATION_STATE__OPERATION_UNREACHABLE;
    return MESOS__V1__OPERATION_STATE__OPERATION_UNKNOWN;
}

void master_on_reconcile_operations(struct master *m, struct master_framework *f,
                                    const Mesos__V1__Scheduler__Call__ReconcileOperations *reconcile)
{
    if (reconcile->n_operations == 0)
        for (struct map_entry *e = map_first(&f->operation_ids); e != NULL; e = map_next(e))
            send_known(m, map_value(e));
    for (size_t i = 0; i < reconcile->n_operations; i++) {
        const Mesos__V1__Scheduler__Call__ReconcileOperations__Operation *asked = reconcile->operations[i];
        const struct master_operation *o = map_get(&f->operation_ids, asked->operation_id->value);
        if (o != NULL) {
            send_known(m, o);
            continue;
        }
        Mesos__V1__OperationStatus *status =
            new_status(m, asked->operation_id->value, state_of_unknown(m, asked->agent_id), NULL);
        status->agent_id = asked->agent_id;
        status->resource_provider_id = asked->resource_provider_id;
        send_status(m, f, status);
    }
}

/* -- agents that come and go ------------------------------------------------------------------------------------ */

static void take_in(struct master *m, struct master_agent *a, const Mesos__V1__Operation *reported, uint64_t mark)
{
    struct master_operation *o = find(m, reported->uuid->value);
    if (o == NULL && reported->uuid->value.len == sizeof(o->uuid)) {
        size_t len;
        struct master_framework *f =
            reported->framework_id != NULL ? master_framework_find(m, reported->framework_id->value) : NULL;
        uint8_t *info = wire_pack(&reported->info->base, &len);
        o = new_operation(m, f, a, reported->uuid->value.data,
                          reported->info->id != NULL ? reported->info->id->value : NULL, info, len);
    }
    if (o == NULL || o->agent != a)
        return;
    o->mark = mark;
    put_status(o, complete_status(m, o, reported->latest_status)); /* at its end the agent sends it again by itself */
}

/* It never got there: the conversion has not happened. */
static void drop(struct master *m, struct master_operation *o, Mesos__V1__OperationState state, const char *why)
{
    answer_operator(m, o, state, why);
    if (o->framework != NULL && o->id != NULL) {
        Mesos__V1__OperationStatus *status = new_status(m, o->id, state, why);
        status->agent_id = master_wire_agent_id(m, arena_strdup(m->out->arena, o->agent->id));
        send_status(m, o->framework, status);
    }
    free_operation(m, o);
}

void master_operations_come_back(struct master *m, struct master_agent *a, const Muster__Link__Reregister *report)
{
    uint64_t mark = ++m->next_mark;
    struct err err;
    for (size_t i = 0; i < report->n_operations; i++) {
        const Mesos__V1__Operation *reported = (void *)wire_unpack(
            &mesos__v1__operation__descriptor, report->operations[i].data, report->operations[i].len, m->out->arena, &err);
        if (reported != NULL)
            take_in(m, a, reported, mark);
    }
    list_for_each(it, &a->operations)
    {
        struct master_operation *o = container_of(it, struct master_operation, agent_node);
        if (o->mark == mark)
            continue;
        /* An end that the agent does not know any more was acknowledged. */
        if (o->is_terminal)
            free_operation(m, o);
        else
            drop(m, o, MESOS__V1__OPERATION_STATE__OPERATION_DROPPED, "the agent came back without this operation");
    }
}

void master_operations_on_disconnected(struct master *m, struct master_agent *a)
{
    list_for_each(it, &a->operations)
    {
        struct master_operation *o = container_of(it, struct master_operation, agent_node);
        if (o->request != 0)
            master_reply(m, o->request, 503, "The agent is disconnected; it is not known whether it applied the operation");
        o->request = 0;
    }
}

void master_operations_end_of_agent(struct master *m, struct master_agent *a, Mesos__V1__OperationState state,
                                    const char *why)
{
    list_for_each(it, &a->operations) drop(m, container_of(it, struct master_operation, agent_node), state, why);
}

void master_operations_end_of_framework(struct master *m, struct master_framework *f)
{
    list_for_each(it, &f->operations)
    {
        struct master_operation *o = container_of(it, struct master_operation, framework_node);
        detach(o);
        if (o->is_terminal)
            finish(m, o);
    }
}

void master_operations_forget(struct master *m, struct master_agent *a)
{
    list_for_each(it, &a->operations) free_operation(m, container_of(it, struct master_operation, agent_node));
}
