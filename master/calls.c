/* SPDX-License-Identifier: Apache-2.0 */
#include "master/calls.h"

#include <string.h>

#include "common/wire/codec.h"
#include "master/agents.h"
#include "master/allocator.h"
#include "master/frameworks.h"
#include "master/inverse.h"
#include "master/launch.h"
#include "master/offers.h"
#include "master/operations.h"
#include "master/roles.h"
#include "master/send.h"
#include "master/tasks.h"

/* -- shape of a call -------------------------------------------------------------------------------------------- */

static bool has_body(const Mesos__V1__Scheduler__Call *c)
{
    switch (c->type) {
    case MESOS__V1__SCHEDULER__CALL__TYPE__ACCEPT:
        return c->accept != NULL;
    case MESOS__V1__SCHEDULER__CALL__TYPE__DECLINE:
        return c->decline != NULL;
    case MESOS__V1__SCHEDULER__CALL__TYPE__ACCEPT_INVERSE_OFFERS:
        return c->accept_inverse_offers != NULL;
    case MESOS__V1__SCHEDULER__CALL__TYPE__DECLINE_INVERSE_OFFERS:
        return c->decline_inverse_offers != NULL;
    case MESOS__V1__SCHEDULER__CALL__TYPE__KILL:
        return c->kill != NULL;
    case MESOS__V1__SCHEDULER__CALL__TYPE__SHUTDOWN:
        return c->shutdown != NULL;
    case MESOS__V1__SCHEDULER__CALL__TYPE__ACKNOWLEDGE:
        return c->acknowledge != NULL;
    case MESOS__V1__SCHEDULER__CALL__TYPE__ACKNOWLEDGE_OPERATION_STATUS:
        return c->acknowledge_operation_status != NULL;
    case MESOS__V1__SCHEDULER__CALL__TYPE__RECONCILE:
        return c->reconcile != NULL;
    case MESOS__V1__SCHEDULER__CALL__TYPE__RECONCILE_OPERATIONS:
        return c->reconcile_operations != NULL;
    case MESOS__V1__SCHEDULER__CALL__TYPE__MESSAGE:
        return c->message != NULL;
    case MESOS__V1__SCHEDULER__CALL__TYPE__REQUEST:
        return c->request != NULL;
    case MESOS__V1__SCHEDULER__CALL__TYPE__UPDATE_FRAMEWORK:
        return c->update_framework != NULL;
    default:
        return true;
    }
}

static const char *id_text(const Mesos__V1__FrameworkID *id)
{
    return id != NULL ? id->value : NULL;
}

static bool is_same_id(const Mesos__V1__FrameworkID *a, const Mesos__V1__FrameworkID *b)
{
    const char *x = id_text(a), *y = id_text(b);
    return x == y || (x != NULL && y != NULL && strcmp(x, y) == 0);
}

static int check_subscribe(const Mesos__V1__Scheduler__Call *call, const char *principal, struct err *err)
{
    if (call->subscribe == NULL)
        return err_set(err, 400, "Expecting 'subscribe' to be present");
    const Mesos__V1__FrameworkInfo *info = call->subscribe->framework_info;
    if (!is_same_id(call->framework_id, info->id))
        return err_set(err, 400, "'framework_id' differs from 'subscribe.framework_info.id'");
    if (principal != NULL && info->principal != NULL && strcmp(principal, info->principal) != 0)
        return err_set(err, 400, "Authenticated principal '%s' does not match principal '%s' set in 'FrameworkInfo'",
                       principal, info->principal);
    return 0;
}

int master_call_check(const Mesos__V1__Scheduler__Call *call, const char *principal, struct err *err)
{
    if (!call->has_type)
        return err_set(err, 400, "Expecting 'type' to be present");
    if (call->type == MESOS__V1__SCHEDULER__CALL__TYPE__SUBSCRIBE)
        return check_subscribe(call, principal, err);
    if (call->framework_id == NULL)
        return err_set(err, 400, "Expecting 'framework_id' to be present");
    const char *name = wire_enum_name(&mesos__v1__scheduler__call__type__descriptor, (int)call->type);
    if (!has_body(call))
        return err_set(err, 400, "Expecting the body of %s to be present", name);
    if (call->type == MESOS__V1__SCHEDULER__CALL__TYPE__ACKNOWLEDGE && call->acknowledge->uuid.len != 16)
        return err_set(err, 400, "Not a valid UUID");
    if (call->type == MESOS__V1__SCHEDULER__CALL__TYPE__ACKNOWLEDGE_OPERATION_STATUS) {
        if (call->acknowledge_operation_status->uuid.len != 16)
            return err_set(err, 400, "Not a valid UUID");
        if (call->acknowledge_operation_status->agent_id == NULL)
            return err_set(err, 400, "Expecting 'agent_id' to be present");
    }
    if (call->type == MESOS__V1__SCHEDULER__CALL__TYPE__UPDATE_FRAMEWORK &&
        !is_same_id(call->framework_id, call->update_framework->framework_info->id))
        return err_set(err, 400, "'framework_id' differs from 'update_framework.framework_info.id'");
    return 0;
}

/* -- small calls ------------------------------------------------------------------------------------------------ */

/* The clients meant by REVIVE or SUPPRESS; a role that is not the framework's drops the whole call (facts: mesos 1.8). */
static bool are_all_subscribed(const struct master_framework *f, char *const *roles, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const struct master_client *c = master_client_find(f, roles[i]);
        if (c == NULL || !c->is_subscribed)
            return false;
    }
    return true;
}

static void on_revive(struct master *m, struct master_framework *f, const Mesos__V1__Scheduler__Call__Revive *revive)
{
    size_t n = revive != NULL ? revive->n_roles : 0;
    if (n > 0 && !are_all_subscribed(f, revive->roles, n)) {
        master_trace_warning(m, "framework %s: REVIVE names a role that is not its own", f->id);
        return;
    }
    for (size_t i = 0; i < (n > 0 ? n : f->client_count); i++) {
        struct master_client *c = n > 0 ? master_client_find(f, revive->roles[i]) : f->clients[i];
        c->is_suppressed = false;
        master_filters_remove_of_client(m, c);
        master_allocator_refresh_client(m, c, true);
    }
    master_inverse_revive(m, f);
}

static void on_suppress(struct master *m, struct master_framework *f, const Mesos__V1__Scheduler__Call__Suppress *suppress)
{
    size_t n = suppress != NULL ? suppress->n_roles : 0;
    if (n > 0 && !are_all_subscribed(f, suppress->roles, n)) {
        master_trace_warning(m, "framework %s: SUPPRESS names a role that is not its own", f->id);
        return;
    }
    for (size_t i = 0; i < (n > 0 ? n : f->client_count); i++) {
        struct master_client *c = n > 0 ? master_client_find(f, suppress->roles[i]) : f->clients[i];
        c->is_suppressed = true;
        master_allocator_refresh_client(m, c, false);
    }
}

static void on_kill(struct master *m, struct master_framework *f, const Mesos__V1__Scheduler__Call__Kill *kill)
{
    struct master_task *t = master_task_find(f, kill->task_id->value);
    if (t == NULL) {
        master_reconcile_task(m, f, kill->task_id->value, kill->agent_id != NULL ? kill->agent_id->value : NULL);
        return;
    }
    if (kill->agent_id != NULL && strcmp(kill->agent_id->value, t->agent->id) != 0) {
        master_trace_warning(m, "KILL of task %s names agent %.300s, it is on agent %s", t->id, kill->agent_id->value,
                             t->agent->id);
        return;
    }
    Muster__Link__MasterToAgent *message = master_send_agent(m, t->agent);
    if (message == NULL) {
        t->is_kill_wanted = true; /* sent when the agent is back */
        return;
    }
    MASTER_WIRE(m, Muster__Link__KillTask, body, muster__link__kill_task);
    body->framework_id = f->info->id;
    body->task_id = kill->task_id;
    body->kill_policy = kill->kill_policy;
    message->kill_task = body;
}

static void on_shutdown(struct master *m, struct master_framework *f, const Mesos__V1__Scheduler__Call__Shutdown *shutdown)
{
    struct master_agent *a = master_agent_find(m, shutdown->agent_id->value);
    Muster__Link__MasterToAgent *message = a != NULL ? master_send_agent(m, a) : NULL;
    if (message == NULL)
        return;
    MASTER_WIRE(m, Muster__Link__ShutdownExecutor, body, muster__link__shutdown_executor);
    body->framework_id = f->info->id;
    body->executor_id = shutdown->executor_id;
    message->shutdown_executor = body;
}

static void on_message(struct master *m, struct master_framework *f, const Mesos__V1__Scheduler__Call__Message *call)
{
    struct master_agent *a = master_agent_find(m, call->agent_id->value);
    Muster__Link__MasterToAgent *message = a != NULL ? master_send_agent(m, a) : NULL;
    if (message == NULL) {
        m->counters.dropped_messages++; /* best effort: facts 1.13 */
        return;
    }
    MASTER_WIRE(m, Muster__Link__ExecutorMessage, body, muster__link__executor_message);
    body->framework_id = f->info->id;
    body->executor_id = call->executor_id;
    body->data = call->data;
    message->framework_message = body;
}

static void on_inverse_answer(struct master *m, struct master_framework *f, const Mesos__V1__Scheduler__Call *c)
{
    if (c->type == MESOS__V1__SCHEDULER__CALL__TYPE__ACCEPT_INVERSE_OFFERS)
        master_inverse_on_answer(m, f, c->accept_inverse_offers->inverse_offer_ids,
                                 c->accept_inverse_offers->n_inverse_offer_ids, true, c->accept_inverse_offers->filters);
    else
        master_inverse_on_answer(m, f, c->decline_inverse_offers->inverse_offer_ids,
                                 c->decline_inverse_offers->n_inverse_offer_ids, false, c->decline_inverse_offers->filters);
}

/* -- dispatch --------------------------------------------------------------------------------------------------- */

/* The framework that may make this call, or NULL after the refusal was sent (facts: mesos 1.2, in this order). */
static struct master_framework *find_caller(struct master *m, const struct master_event *in)
{
    struct master_framework *f = master_framework_find(m, in->call.call->framework_id->value);
    if (f == NULL) {
        master_reply(m, in->call.request, 400, "Framework cannot be found");
        return NULL;
    }
    if (in->call.principal != NULL && f->info->principal != NULL && strcmp(in->call.principal, f->info->principal) != 0) {
        master_reply(m, in->call.request, 400,
                     "Authenticated principal '%s' does not match principal '%s' of the framework", in->call.principal,
                     f->info->principal);
        return NULL;
    }
    if (f->state != MASTER_FRAMEWORK_CONNECTED) {
        master_reply(m, in->call.request, 403, "Framework is not subscribed");
        return NULL;
    }
    if (!in->call.has_stream_header) {
        master_reply(m, in->call.request, 400, "All non-subscribe calls should include the 'Mesos-Stream-Id' header");
        return NULL;
    }
    if (in->call.stream != f->stream) {
        master_reply(m, in->call.request, 400,
                     "The stream ID included in this request didn't match the stream ID currently "
                     "associated with framework ID '%s'",
                     f->id);
        return NULL;
    }
    return f;
}

/* Calls that are answered before they take effect; what comes of them are events. */
static void carry_out(struct master *m, struct master_framework *f, const Mesos__V1__Scheduler__Call *c)
{
    switch (c->type) {
    case MESOS__V1__SCHEDULER__CALL__TYPE__ACCEPT:
        master_on_accept(m, f, c->accept);
        break;
    case MESOS__V1__SCHEDULER__CALL__TYPE__DECLINE:
        master_on_decline(m, f, c->decline);
        break;
    case MESOS__V1__SCHEDULER__CALL__TYPE__REVIVE:
        on_revive(m, f, c->revive);
        break;
    case MESOS__V1__SCHEDULER__CALL__TYPE__SUPPRESS:
        on_suppress(m, f, c->suppress);
        break;
    case MESOS__V1__SCHEDULER__CALL__TYPE__KILL:
        on_kill(m, f, c->kill);
        break;
    case MESOS__V1__SCHEDULER__CALL__TYPE__SHUTDOWN:
        on_shutdown(m, f, c->shutdown);
        break;
    case MESOS__V1__SCHEDULER__CALL__TYPE__ACKNOWLEDGE:
        master_tasks_on_acknowledge(m, f, c->acknowledge);
        break;
    case MESOS__V1__SCHEDULER__CALL__TYPE__RECONCILE:
        master_on_reconcile(m, f, c->reconcile);
        break;
    case MESOS__V1__SCHEDULER__CALL__TYPE__RECONCILE_OPERATIONS:
        master_on_reconcile_operations(m, f, c->reconcile_operations);
        break;
    case MESOS__V1__SCHEDULER__CALL__TYPE__MESSAGE:
        on_message(m, f, c->message);
        break;
    case MESOS__V1__SCHEDULER__CALL__TYPE__ACKNOWLEDGE_OPERATION_STATUS:
        master_operations_on_acknowledge(m, f, c->acknowledge_operation_status);
        break;
    default: /* REQUEST is a hint nobody uses */
        break;
    }
}

void master_on_call(struct master *m, const struct master_event *in)
{
    const Mesos__V1__Scheduler__Call *c = in->call.call;
    struct master_framework *f = find_caller(m, in);
    if (f == NULL)
        return;
    if ((size_t)c->type < sizeof(m->counters.calls) / sizeof(m->counters.calls[0]))
        m->counters.calls[c->type]++;
    switch (c->type) {
    case MESOS__V1__SCHEDULER__CALL__TYPE__TEARDOWN:
        master_framework_remove(m, f, in->call.request, 202);
        break;
    case MESOS__V1__SCHEDULER__CALL__TYPE__UPDATE_FRAMEWORK:
        master_frameworks_on_update(m, f, in->call.request, c);
        break;
    case MESOS__V1__SCHEDULER__CALL__TYPE__ACCEPT_INVERSE_OFFERS:
    case MESOS__V1__SCHEDULER__CALL__TYPE__DECLINE_INVERSE_OFFERS:
        master_reply(m, in->call.request, 202, NULL);
        on_inverse_answer(m, f, c);
        break;
    case MESOS__V1__SCHEDULER__CALL__TYPE__ACCEPT:
    case MESOS__V1__SCHEDULER__CALL__TYPE__DECLINE:
    case MESOS__V1__SCHEDULER__CALL__TYPE__REVIVE:
    case MESOS__V1__SCHEDULER__CALL__TYPE__SUPPRESS:
    case MESOS__V1__SCHEDULER__CALL__TYPE__KILL:
    case MESOS__V1__SCHEDULER__CALL__TYPE__SHUTDOWN:
    case MESOS__V1__SCHEDULER__CALL__TYPE__ACKNOWLEDGE:
    case MESOS__V1__SCHEDULER__CALL__TYPE__ACKNOWLEDGE_OPERATION_STATUS:
    case MESOS__V1__SCHEDULER__CALL__TYPE__RECONCILE:
    case MESOS__V1__SCHEDULER__CALL__TYPE__RECONCILE_OPERATIONS:
    case MESOS__V1__SCHEDULER__CALL__TYPE__MESSAGE:
    case MESOS__V1__SCHEDULER__CALL__TYPE__REQUEST:
        master_reply(m, in->call.request, 202, NULL);
        carry_out(m, f, c);
        break;
    default:
        master_reply(m, in->call.request, 501, "Received 'UNKNOWN' call");
        break;
    }
}
