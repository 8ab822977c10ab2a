/* SPDX-License-Identifier: Apache-2.0
 * drain.c - what is asked for takes effect on offers at once and on tasks when it is durable; the answer comes then. */
#include "master/drain.h"

#include "master/agents.h"
#include "master/allocator.h"
#include "master/departed.h"
#include "master/maintenance.h"
#include "master/offers.h"
#include "master/registry.h"
#include "master/send.h"

#define DRAINING ((int)MESOS__V1__DRAIN_STATE__DRAINING)
#define DRAINED ((int)MESOS__V1__DRAIN_STATE__DRAINED)

/* -- wire ------------------------------------------------------------------------------------------------------- */

static Mesos__V1__DrainConfig *config_of(const struct master_drain *d, struct arena *arena)
{
    Mesos__V1__DrainConfig *config = arena_new_one(arena, Mesos__V1__DrainConfig);
    mesos__v1__drain_config__init(config);
    config->has_mark_gone = true;
    config->mark_gone = d->mark_gone;
    if (d->has_max_grace) {
        config->max_grace_period = arena_new_one(arena, Mesos__V1__DurationInfo);
        mesos__v1__duration_info__init(config->max_grace_period);
        config->max_grace_period->nanoseconds = d->max_grace_ns;
    }
    return config;
}

Mesos__V1__DrainInfo *master_drain_wire(const struct master_agent *a, struct arena *arena)
{
    if (a->drain.state == 0)
        return NULL;
    Mesos__V1__DrainInfo *info = arena_new_one(arena, Mesos__V1__DrainInfo);
    mesos__v1__drain_info__init(info);
    info->state = (Mesos__V1__DrainState)a->drain.state;
    info->config = config_of(&a->drain, arena);
    return info;
}

Muster__Link__Drain *master_drain_for_agent(const struct master_agent *a, struct arena *arena)
{
    if (a->drain.state == 0 || a->drain.write_token != 0)
        return NULL;
    Muster__Link__Drain *drain = arena_new_one(arena, Muster__Link__Drain);
    muster__link__drain__init(drain);
    drain->config = config_of(&a->drain, arena);
    drain->start_ms = a->drain.start_ms;
    return drain;
}

void master_drain_recover(struct master_agent *a, bool is_deactivated, const Mesos__V1__DrainInfo *drain, int64_t start_ms)
{
    a->is_deactivated = is_deactivated;
    if (drain == NULL)
        return;
    const Mesos__V1__DurationInfo *grace = drain->config->max_grace_period;
    a->drain = (struct master_drain){
        .state = (int)drain->state,
        .has_max_grace = grace != NULL,
        .max_grace_ns = grace != NULL ? grace->nanoseconds : 0,
        .mark_gone = drain->config->mark_gone,
        .start_ms = start_ms,
    };
}

/* -- changes ---------------------------------------------------------------------------------------------------- */

/* The agent that an operator names; NULL when it cannot be changed now and the request was answered. */
static struct master_agent *find_agent(struct master *m, request_id request, const char *id)
{
    struct master_agent *a = master_agent_find(m, id);
    if (a == NULL || a->state == MASTER_AGENT_ADMITTING) {
        master_reply(m, request, 400, "No agent found with ID '%.300s'", id);
        return NULL;
    }
    if (a->state == MASTER_AGENT_LEAVING) {
        master_reply(m, request, 409, "Agent '%s' is being marked gone, unreachable or removed", a->id);
        return NULL;
    }
    return a;
}

static struct master_write *store(struct master *m, struct master_agent *a, request_id request)
{
    struct master_write *w = master_registry_begin(m, MASTER_WRITE_AGENT, a->id);
    w->request = request;
    master_registry_put_agent(m, w, a, a->state == MASTER_AGENT_UNREACHABLE ? a->unreachable_ms : 0);
    return w;
}

static void deactivate(struct master *m, struct master_agent *a)
{
    a->is_deactivated = true;
    master_allocator_refresh_agent(m, a);
    master_offers_return_of_agent(m, a, true);
}

void master_drain_on_deactivate(struct master *m, const struct master_event *in)
{
    request_id request = in->operator_call.request;
    struct master_agent *a = find_agent(m, request, in->operator_call.call->deactivate_agent->agent_id->value);
    if (a == NULL)
        return;
    deactivate(m, a);
    (void)store(m, a, request);
    master_trace(m, "agent %s is deactivated by an operator", a->id);
}

/* The longest grace period of an operator's call. 0, or 400. */
static int read_grace(const Google__Protobuf__Duration *d, struct master_drain *out, struct err *err)
{
    if (d == NULL)
        return 0;
    int64_t seconds = d->has_seconds ? d->seconds : 0;
    int32_t nanos = d->has_nanos ? d->nanos : 0;
    if (seconds < 0 || nanos < 0 || nanos > 999999999)
        return err_set(err, 400, "'max_grace_period' must not be negative");
    if (seconds >= INT64_MAX / 1000000000)
        return err_set(err, 400, "'max_grace_period' is longer than can be");
    out->has_max_grace = true;
    out->max_grace_ns = seconds * 1000000000 + nanos;
    return 0;
}

void master_drain_on_drain(struct master *m, const struct master_event *in)
{
    const Mesos__V1__Master__Call__DrainAgent *call = in->operator_call.call->drain_agent;
    request_id request = in->operator_call.request;
    struct master_drain drain = {.state = DRAINING, .mark_gone = call->mark_gone, .start_ms = m->wall_ms};
    struct err err;
    if (read_grace(call->max_grace_period, &drain, &err) != 0) {
        master_reply(m, request, 400, "Invalid DRAIN_AGENT call: %s", err.text);
        return;
    }
    struct master_agent *a = find_agent(m, request, call->agent_id->value);
    if (a == NULL)
        return;
    if (master_machine_of(m, a) != NULL) {
        master_reply(m, request, 400, "Agent '%s' is part of a maintenance schedule", a->id);
        return;
    }
    a->drain = drain;
    deactivate(m, a);
    a->drain.write_token = store(m, a, request)->token;
    master_trace(m, "agent %s is to be drained", a->id);
}

void master_drain_on_reactivate(struct master *m, const struct master_event *in)
{
    request_id request = in->operator_call.request;
    struct master_agent *a = find_agent(m, request, in->operator_call.call->reactivate_agent->agent_id->value);
    if (a == NULL)
        return;
    if (!a->is_deactivated) {
        master_reply(m, request, 400, "Agent '%s' is not deactivated", a->id);
    } else if (a->drain.state == DRAINING) {
        master_reply(m, request, 400, "Agent '%s' is still in the DRAINING state", a->id);
    } else if (a->state != MASTER_AGENT_CONNECTED && a->state != MASTER_AGENT_DISCONNECTED) {
        master_reply(m, request, 409, "Agent '%s' is not registered", a->id);
    } else {
        a->is_deactivated = false;
        a->drain = (struct master_drain){0};
        master_allocator_refresh_agent(m, a);
        (void)store(m, a, request);
        master_trace(m, "agent %s is reactivated by an operator", a->id);
    }
}

void master_drain_on_gone(struct master *m, const struct master_event *in)
{
    request_id request = in->operator_call.request;
    const char *id = in->operator_call.call->mark_agent_gone->agent_id->value;
    struct master_agent *a = master_agent_find(m, id);
    if (master_departed_is_gone(m, id))
        master_reply(m, request, 200, NULL);
    else if (a == NULL || a->state == MASTER_AGENT_ADMITTING)
        master_reply(m, request, 404, "No agent found with ID '%.300s'", id);
    else if (a->state == MASTER_AGENT_LEAVING)
        master_reply(m, request, 503, "Agent '%s' is already in transition: try again", a->id);
    else
        master_agent_start_gone(m, a, request);
}

/* -- consequences ----------------------------------------------------------------------------------------------- */

static void tell(struct master *m, struct master_agent *a)
{
    Muster__Link__MasterToAgent *message = master_send_agent(m, a);
    if (message == NULL)
        return; /* it hears of it when it registers again */
    message->drain = master_drain_for_agent(a, m->out->arena);
    if (message->drain == NULL) {
        MASTER_WIRE(m, Muster__Link__StopDraining, stop, muster__link__stop_draining);
        message->stop_draining = stop;
    }
}

void master_drain_on_stored(struct master *m, const struct master_write *w)
{
    struct master_agent *a = master_agent_find(m, w->id);
    if (w->request != 0)
        master_reply(m, w->request, 200, NULL);
    if (a == NULL || a->state == MASTER_AGENT_LEAVING)
        return;
    if (a->drain.write_token == w->token) {
        a->drain.write_token = 0;
        tell(m, a);
    } else if (!a->is_deactivated && a->state == MASTER_AGENT_CONNECTED) {
        tell(m, a);
        master_allocator_give_back(m, a, resources_new(), true);
    }
    master_drain_settle(m, a);
}

void master_drain_settle(struct master *m, struct master_agent *a)
{
    bool is_registered = a->state == MASTER_AGENT_CONNECTED || a->state == MASTER_AGENT_DISCONNECTED;
    if (a->drain.state != DRAINING || a->drain.write_token != 0 || !is_registered || !list_is_empty(&a->tasks) ||
        a->operation_count > 0)
        return;
    master_trace(m, "agent %s is drained", a->id);
    if (a->drain.mark_gone) {
        master_agent_start_gone(m, a, 0);
    } else {
        a->drain.state = DRAINED;
        (void)store(m, a, 0);
    }
}
