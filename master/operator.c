/* SPDX-License-Identifier: Apache-2.0
 * operator.c - changes that operators ask for (facts: mesos 3.1): which part makes each. A call that came by the v1 API
 * and one that an old endpoint was turned into are the same event. */
#include <string.h>

#include "common/wire/codec.h"
#include "master/calls.h"
#include "master/drain.h"
#include "master/frameworks.h"
#include "master/maintenance.h"
#include "master/operator_operations.h"
#include "master/quota.h"
#include "master/send.h"
#include "master/weights.h"

static void on_teardown(struct master *m, const struct master_event *in)
{
    const char *id = in->operator_call.call->teardown->framework_id->value;
    struct master_framework *f = master_framework_find(m, id);
    if (f == NULL)
        master_reply(m, in->operator_call.request, 400, "No framework found with ID %.300s", id);
    else
        master_framework_remove(m, f, in->operator_call.request, 200);
}

/* A handler answers in->operator_call.request once: now, or when what it stored is durable. The body of the call is there.
 */
static const struct {
    Mesos__V1__Master__Call__Type type;
    void (*fn)(struct master *m, const struct master_event *in);
} handlers[] = {
    {MESOS__V1__MASTER__CALL__TYPE__TEARDOWN, on_teardown},
    {MESOS__V1__MASTER__CALL__TYPE__UPDATE_WEIGHTS, master_weights_on_update},
    {MESOS__V1__MASTER__CALL__TYPE__UPDATE_QUOTA, master_quota_on_update},
    {MESOS__V1__MASTER__CALL__TYPE__SET_QUOTA, master_quota_on_set},
    {MESOS__V1__MASTER__CALL__TYPE__REMOVE_QUOTA, master_quota_on_remove},
    {MESOS__V1__MASTER__CALL__TYPE__RESERVE_RESOURCES, master_operator_on_reserve},
    {MESOS__V1__MASTER__CALL__TYPE__UNRESERVE_RESOURCES, master_operator_on_unreserve},
    {MESOS__V1__MASTER__CALL__TYPE__CREATE_VOLUMES, master_operator_on_create_volumes},
    {MESOS__V1__MASTER__CALL__TYPE__DESTROY_VOLUMES, master_operator_on_destroy_volumes},
    {MESOS__V1__MASTER__CALL__TYPE__GROW_VOLUME, master_operator_on_grow_volume},
    {MESOS__V1__MASTER__CALL__TYPE__SHRINK_VOLUME, master_operator_on_shrink_volume},
    {MESOS__V1__MASTER__CALL__TYPE__UPDATE_MAINTENANCE_SCHEDULE, master_maintenance_on_schedule},
    {MESOS__V1__MASTER__CALL__TYPE__START_MAINTENANCE, master_maintenance_on_start},
    {MESOS__V1__MASTER__CALL__TYPE__STOP_MAINTENANCE, master_maintenance_on_stop},
    {MESOS__V1__MASTER__CALL__TYPE__MARK_AGENT_GONE, master_drain_on_gone},
    {MESOS__V1__MASTER__CALL__TYPE__DRAIN_AGENT, master_drain_on_drain},
    {MESOS__V1__MASTER__CALL__TYPE__DEACTIVATE_AGENT, master_drain_on_deactivate},
    {MESOS__V1__MASTER__CALL__TYPE__REACTIVATE_AGENT, master_drain_on_reactivate},
};

int master_operator_call_check(const Mesos__V1__Master__Call *call, struct err *err)
{
    if (!call->has_type)
        return err_set(err, 400, "Expecting 'type' to be present");
    const char *type = wire_enum_name(&mesos__v1__master__call__type__descriptor, (int)call->type);
    char name[64] = "";
    for (size_t i = 0; type != NULL && type[i] != '\0' && i + 1 < sizeof(name); i++)
        name[i] = (char)(type[i] >= 'A' && type[i] <= 'Z' ? type[i] - 'A' + 'a' : type[i]);
    /* The body of a call is the field that is named like its type. */
    const ProtobufCFieldDescriptor *field =
        protobuf_c_message_descriptor_get_field_by_name(&mesos__v1__master__call__descriptor, name);
    if (field == NULL || field->type != PROTOBUF_C_TYPE_MESSAGE)
        return 0;
    const void *body;
    memcpy(&body, (const char *)call + field->offset, sizeof(body));
    return body != NULL ? 0 : err_set(err, 400, "Expecting '%s' to be present", name);
}

void master_on_operator_call(struct master *m, const struct master_event *in)
{
    const Mesos__V1__Master__Call *call = in->operator_call.call;
    struct err err;
    int status = master_operator_call_check(call, &err);
    if (status != 0) {
        master_reply(m, in->operator_call.request, status, "Failed to validate master::Call: %s", err.text);
        return;
    }
    for (size_t i = 0; i < sizeof(handlers) / sizeof(handlers[0]); i++) {
        if (handlers[i].type == call->type) {
            handlers[i].fn(m, in);
            return;
        }
    }
    master_reply(m, in->operator_call.request, 501, "This master does not support %s yet",
                 wire_enum_name(&mesos__v1__master__call__type__descriptor, (int)call->type));
}
