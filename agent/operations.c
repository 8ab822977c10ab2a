/* SPDX-License-Identifier: Apache-2.0
 * operations.c
 *
 *     received --converted, on disk--> (volumes made or removed) --> end, on disk --> sent, again and again -->
 * acknowledged
 *
 * The conversion and the operation's record are one write, so a crash leaves both or none; volumes follow, which is safe to
 * do twice. Tasks that come behind the operation find its result: their containers start only after a later write. */
#include "agent/operations.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/checkpoint.h"
#include "agent/session.h"
#include "common/base/check.h"
#include "common/base/text.h"
#include "common/wire/codec.h"

#define OPERATIONS_MAX 4096 /* far above what a master allows */

static struct agent_operation *find(const struct agent *a, const char *uuid)
{
    return map_get(&a->operations, uuid);
}

static void to_hex(const uint8_t *bytes, char text[AGENT_OPERATION_NAME_SIZE])
{
    for (size_t i = 0; i < AGENT_UPDATE_UUID_SIZE; i++)
        (void)snprintf(text + 2 * i, 3, "%02x", bytes[i]); /* always two digits */
}

static bool from_hex(const char *text, uint8_t bytes[AGENT_UPDATE_UUID_SIZE])
{
    if (strlen(text) != 2 * AGENT_UPDATE_UUID_SIZE || strspn(text, "0123456789abcdef") != 2 * AGENT_UPDATE_UUID_SIZE)
        return false;
    for (size_t i = 0; i < AGENT_UPDATE_UUID_SIZE; i++) {
        unsigned value;
        (void)sscanf(text + 2 * i, "%2x", &value); /* two hex digits */
        bytes[i] = (uint8_t)value;
    }
    return true;
}

static struct agent_operation *operation_new(struct agent *a, const uint8_t *uuid, uint64_t sequence,
                                             const char *framework_id, ProtobufCBinaryData info)
{
    struct agent_operation *o = xcalloc(1, sizeof(*o));
    memcpy(o->uuid, uuid, sizeof(o->uuid));
    to_hex(uuid, o->name);
    o->sequence = sequence;
    o->framework_id = framework_id != NULL ? xstrdup(framework_id) : NULL;
    o->info = xmemdup(info.data, info.len);
    o->info_len = info.len;
    o->retry.kind = AGENT_TIMER_OPERATION;
    (void)map_put(&a->operations, o->name, o);
    return o;
}

static void operation_free(struct agent *a, struct agent_operation *o)
{
    agent_timer_stop(a, &o->retry);
    (void)map_remove(&a->operations, o->name);
    free(o->framework_id);
    free(o->info);
    free(o->status);
    free(o);
}

static const Mesos__V1__Offer__Operation *info_of(const struct agent_operation *o, struct arena *arena)
{
    return agent_unpack(&mesos__v1__offer__operation__descriptor, o->info, o->info_len, arena);
}

/* -- the end ---------------------------------------------------------------------------------------------------- */

static void send_status(struct agent *a, struct agent_operation *o)
{
    if (!agent_session_is_up(a) || o->status == NULL || !o->is_durable)
        return;
    struct arena *arena = a->out->arena;
    Muster__Link__OperationStatusUpdate *update = arena_new_one(arena, Muster__Link__OperationStatusUpdate);
    *update = (Muster__Link__OperationStatusUpdate)MUSTER__LINK__OPERATION_STATUS_UPDATE__INIT;
    update->operation_uuid = agent_wire_bytes(arena, o->uuid, sizeof(o->uuid));
    update->status = agent_unpack(&mesos__v1__operation_status__descriptor, o->status, o->status_len, arena);
    if (update->status->state != MESOS__V1__OPERATION_STATE__OPERATION_FINISHED)
        update->n_total = resources_to_wire(a->total, RESOURCE_POST_REFINEMENT, arena, &update->total);
    Muster__Link__AgentToMaster message = MUSTER__LINK__AGENT_TO_MASTER__INIT;
    message.operation_status_update = update;
    agent_link_send(a, &message);
    o->retry_ms = o->retry_ms == 0                              ? AGENT_UPDATE_RETRY_MIN_MS
                  : o->retry_ms * 2 < AGENT_UPDATE_RETRY_MAX_MS ? o->retry_ms * 2
                                                                : AGENT_UPDATE_RETRY_MAX_MS;
    agent_timer_set(a, &o->retry, o->retry_ms);
}

/* Its end is known; it is told once it is on disk. */
static void end(struct agent *a, struct agent_operation *o, Mesos__V1__OperationState state, const char *why,
                const struct resources *converted)
{
    struct arena *arena = a->out->arena;
    const Mesos__V1__Offer__Operation *info = info_of(o, arena);
    Mesos__V1__OperationStatus status = MESOS__V1__OPERATION_STATUS__INIT;
    Mesos__V1__UUID uuid = MESOS__V1__UUID__INIT;
    uint8_t bytes[AGENT_UPDATE_UUID_SIZE];
    rng_uuid(&a->rng, bytes, NULL);
    uuid.value = (ProtobufCBinaryData){.data = bytes, .len = sizeof(bytes)};
    status.operation_id = info->id;
    status.state = state;
    status.message = (char *)(uintptr_t)why;
    status.uuid = &uuid;
    if (converted != NULL)
        status.n_converted_resources =
            resources_to_wire(converted, RESOURCE_POST_REFINEMENT, arena, &status.converted_resources);
    free(o->status);
    o->status = wire_pack(&status.base, &o->status_len);
    o->is_durable = false;
    agent_checkpoint_operation(a, o);
    agent_checkpoint_then(a, AGENT_PENDING_OPERATION, NULL, NULL, o->name, 0);
    if (state != MESOS__V1__OPERATION_STATE__OPERATION_FINISHED)
        agent_trace(a, LOG_LEVEL_WARNING, "operation %s was not applied: %s", o->name, why);
}

/* -- volumes ---------------------------------------------------------------------------------------------------- */

static bool has_volumes(const Mesos__V1__Offer__Operation *op)
{
    return op->type == MESOS__V1__OFFER__OPERATION__TYPE__CREATE || op->type == MESOS__V1__OFFER__OPERATION__TYPE__DESTROY;
}

static void emit_volumes(struct agent *a, const struct agent_operation *o, bool again)
{
    struct arena *arena = a->out->arena;
    const Mesos__V1__Offer__Operation *op = info_of(o, arena);
    bool is_create = op->type == MESOS__V1__OFFER__OPERATION__TYPE__CREATE;
    struct agent_effect *effect = agent_emit(a, AGENT_OUT_VOLUMES);
    effect->volumes.operation = arena_strdup(arena, o->name);
    effect->volumes.is_create = is_create;
    effect->volumes.is_repeated = again;
    effect->volumes.list = is_create ? op->create->volumes : op->destroy->volumes;
    effect->volumes.count = is_create ? op->create->n_volumes : op->destroy->n_volumes;
}

/* Undoes the conversion of an operation whose volumes could not be made or removed. */
static void undo(struct agent *a, const Mesos__V1__Offer__Operation *op)
{
    struct resources *consumed = resources_new(), *converted = resources_new();
    struct err err;
    if (resources_conversion(op, a->total, consumed, converted, &err) < 0 ||
        !resources_convert(a->total, converted, consumed))
        agent_trace(a, LOG_LEVEL_ERROR, "what a failed operation made is in use already");
    agent_checkpoint_resources(a);
    resources_free(consumed);
    resources_free(converted);
}

void agent_on_volumes_done(struct agent *a, const char *operation, int result, const char *text)
{
    struct agent_operation *o = find(a, operation);
    if (o == NULL || o->status != NULL)
        return;
    const Mesos__V1__Offer__Operation *op = info_of(o, a->out->arena);
    if (result == 0) {
        end(a, o, MESOS__V1__OPERATION_STATE__OPERATION_FINISHED, NULL, NULL);
        return;
    }
    undo(a, op);
    end(a, o, MESOS__V1__OPERATION_STATE__OPERATION_FAILED, text, NULL);
}

/* -- messages --------------------------------------------------------------------------------------------------- */

/* NULL, or why it cannot be applied. */
static const char *apply(struct agent *a, struct agent_operation *o, const Mesos__V1__Offer__Operation *op)
{
    struct arena *arena = a->out->arena;
    struct resources *consumed = resources_new(), *converted = resources_new();
    struct err err;
    const char *why = NULL;
    if (resources_conversion(op, a->total, consumed, converted, &err) < 0)
        why = arena_strdup(arena, err.text);
    else if (!resources_convert(a->total, consumed, converted))
        why = "the agent has not got these resources";
    if (why == NULL) {
        agent_checkpoint_resources(a);
        if (!has_volumes(op)) {
            end(a, o, MESOS__V1__OPERATION_STATE__OPERATION_FINISHED, NULL, converted);
        } else {
            agent_checkpoint_operation(a, o);
            agent_checkpoint_then(a, AGENT_PENDING_OPERATION, NULL, NULL, o->name, 0);
        }
    }
    resources_free(consumed);
    resources_free(converted);
    return why;
}

void agent_on_apply_operation(struct agent *a, const Muster__Link__ApplyOperation *message)
{
    struct err err = {""};
    const Mesos__V1__Offer__Operation *op = (const void *)wire_unpack(
        &mesos__v1__offer__operation__descriptor, message->info.data, message->info.len, a->out->arena, &err);
    if (message->operation_uuid.len != AGENT_UPDATE_UUID_SIZE || op == NULL ||
        map_count(&a->operations) >= OPERATIONS_MAX) {
        agent_trace(a, LOG_LEVEL_ERROR, "the master sent an operation that cannot be taken: %s", err.text);
        return;
    }
    char name[AGENT_OPERATION_NAME_SIZE];
    to_hex(message->operation_uuid.data, name);
    if (find(a, name) != NULL)
        return;
    const char *framework_id = message->framework_id != NULL ? message->framework_id->value : NULL;
    struct agent_operation *o =
        operation_new(a, message->operation_uuid.data, ++a->last_operation, framework_id, message->info);
    const char *why = apply(a, o, op);
    if (why != NULL)
        end(a, o, MESOS__V1__OPERATION_STATE__OPERATION_DROPPED, why, NULL);
}

void agent_operation_on_durable(struct agent *a, const char *operation)
{
    struct agent_operation *o = find(a, operation);
    if (o == NULL)
        return;
    if (o->status == NULL) {
        emit_volumes(a, o, false);
        return;
    }
    o->is_durable = true;
    send_status(a, o);
}

void agent_operation_on_retry(struct agent *a, struct agent_operation *o)
{
    send_status(a, o);
}

void agent_operations_resend_all(struct agent *a)
{
    for (struct map_entry *it = map_first(&a->operations); it != NULL; it = map_next(it)) {
        struct agent_operation *o = map_value(it);
        o->retry_ms = 0;
        send_status(a, o);
    }
}

void agent_on_acknowledge_operation(struct agent *a, const Muster__Link__AcknowledgeOperation *message)
{
    char name[AGENT_OPERATION_NAME_SIZE];
    if (message->operation_uuid.len != AGENT_UPDATE_UUID_SIZE)
        return;
    to_hex(message->operation_uuid.data, name);
    struct agent_operation *o = find(a, name);
    if (o == NULL || o->status == NULL || !o->is_durable)
        return;
    const Mesos__V1__OperationStatus *status =
        agent_unpack(&mesos__v1__operation_status__descriptor, o->status, o->status_len, a->out->arena);
    if (status->uuid->value.len != message->status_uuid.len ||
        memcmp(status->uuid->value.data, message->status_uuid.data, message->status_uuid.len) != 0)
        return;
    agent_checkpoint_forget_operation(a, o);
    operation_free(a, o);
}

/* -- use -------------------------------------------------------------------------------------------------------- */

const char *agent_operations_unknown(const struct agent *a, Mesos__V1__Resource *const *list, size_t n, struct arena *arena)
{
    bool any = false;
    for (size_t i = 0; i < n && !any; i++)
        any = list[i]->n_reservations > 0 || list[i]->disk != NULL || (list[i]->role && strcmp(list[i]->role, "*") != 0);
    if (!any)
        return NULL;
    struct resources *set = resources_new();
    struct err err;
    const char *why = NULL;
    if (resources_add_wire(set, list, n, &err) < 0) {
        why = arena_strdup(arena, err.text);
    } else {
        resources_unallocate(set);
        struct resources *dynamic = resources_dynamic(set);
        if (!resources_contains(a->total, dynamic))
            why = "the agent has not got these reservations or volumes";
        resources_free(dynamic);
    }
    resources_free(set);
    return why;
}

size_t agent_operations_total(const struct agent *a, struct arena *arena, Mesos__V1__Resource ***out)
{
    struct resources *dynamic = resources_dynamic(a->total);
    bool any = !resources_is_empty(dynamic);
    resources_free(dynamic);
    return any ? resources_to_wire(a->total, RESOURCE_POST_REFINEMENT, arena, out) : 0;
}

size_t agent_operations_report(const struct agent *a, struct arena *arena, ProtobufCBinaryData **out)
{
    size_t n = 0;
    *out = arena_new_array(arena, ProtobufCBinaryData, map_count(&a->operations) + 1);
    for (struct map_entry *it = map_first(&a->operations); it != NULL; it = map_next(it)) {
        const struct agent_operation *o = map_value(it);
        Mesos__V1__OperationStatus pending = MESOS__V1__OPERATION_STATUS__INIT;
        pending.state = MESOS__V1__OPERATION_STATE__OPERATION_PENDING;
        Mesos__V1__UUID uuid = MESOS__V1__UUID__INIT;
        uuid.value = (ProtobufCBinaryData){.data = (uint8_t *)(uintptr_t)o->uuid, .len = sizeof(o->uuid)};
        Mesos__V1__Operation wire = MESOS__V1__OPERATION__INIT;
        wire.framework_id = o->framework_id != NULL ? agent_wire_framework_id(arena, o->framework_id) : NULL;
        wire.info = (Mesos__V1__Offer__Operation *)(uintptr_t)info_of(o, arena);
        pending.operation_id = wire.info->id;
        wire.latest_status = &pending;
        if (o->status != NULL && o->is_durable)
            wire.latest_status = agent_unpack(&mesos__v1__operation_status__descriptor, o->status, o->status_len, arena);
        wire.uuid = &uuid;
        size_t len = protobuf_c_message_get_packed_size(&wire.base);
        (*out)[n] = (ProtobufCBinaryData){.data = arena_must_alloc(arena, len), .len = len};
        (void)protobuf_c_message_pack(&wire.base, (*out)[n++].data); /* the size is known */
    }
    return n;
}

/* -- start ------------------------------------------------------------------------------------------------------ */

int agent_operations_init(struct agent *a, struct err *err)
{
    a->total = resources_free(a->total);
    a->total = resources_new();
    int rc = resources_add_wire(a->total, a->info->resources, a->info->n_resources, err);
    return rc == 0 ? 0 : err_wrap(err, rc, "resources of this agent");
}

int agent_operations_restore_total(struct agent *a, Mesos__V1__Resource *const *dynamic, size_t n, struct err *err)
{
    struct resources *set = resources_new();
    int rc = resources_add_wire(set, dynamic, n, err);
    if (rc == 0)
        rc = resources_restore_dynamic(a->total, set, err);
    resources_free(set);
    return rc;
}

int agent_operation_restore(struct agent *a, uint64_t sequence, const char *uuid,
                            const Muster__Checkpoint__Operation *record, struct err *err)
{
    uint8_t bytes[AGENT_UPDATE_UUID_SIZE];
    struct arena *arena = a->out->arena;
    if (!from_hex(uuid, bytes) || find(a, uuid) != NULL)
        return err_set(err, -EINVAL, "its name is not that of an operation");
    if (wire_unpack(&mesos__v1__offer__operation__descriptor, record->info.data, record->info.len, arena, err) == NULL)
        return -EINVAL;
    if (record->has_status) {
        const Mesos__V1__OperationStatus *status = (const void *)wire_unpack(
            &mesos__v1__operation_status__descriptor, record->status.data, record->status.len, arena, err);
        if (status == NULL)
            return -EINVAL;
        if (status->uuid == NULL)
            return err_set(err, -EINVAL, "its status has no uuid");
    }
    struct agent_operation *o = operation_new(a, bytes, sequence, record->framework_id, record->info);
    if (record->has_status) {
        o->status = xmemdup(record->status.data, record->status.len);
        o->status_len = record->status.len;
        o->is_durable = true;
    }
    if (sequence > a->last_operation)
        a->last_operation = sequence;
    return 0;
}

static int compare_sequence(const void *x, const void *y)
{
    const struct agent_operation *const *a = x, *const *b = y;
    return ((*a)->sequence > (*b)->sequence) - ((*a)->sequence < (*b)->sequence);
}

void agent_operations_start(struct agent *a)
{
    size_t n = 0;
    struct agent_operation **list = arena_new_array(a->out->arena, struct agent_operation *, map_count(&a->operations) + 1);
    for (struct map_entry *it = map_first(&a->operations); it != NULL; it = map_next(it))
        list[n++] = map_value(it);
    qsort(list, n, sizeof(*list), compare_sequence);
    for (size_t i = 0; i < n; i++) {
        if (list[i]->status != NULL)
            continue;
        if (has_volumes(info_of(list[i], a->out->arena)))
            emit_volumes(a, list[i], true);
    }
}

void agent_operations_deinit(struct agent *a)
{
    struct map_entry *it;
    while ((it = map_first(&a->operations)) != NULL)
        operation_free(a, map_value(it));
    map_deinit(&a->operations);
    a->total = resources_free(a->total);
}
