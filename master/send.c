/* SPDX-License-Identifier: Apache-2.0 */
#include "master/send.h"

#include <stdio.h>

#include "common/base/check.h"
#include "master/authorize.h"

Mesos__V1__FrameworkID *master_wire_framework_id(struct master *m, const char *value)
{
    MASTER_WIRE(m, Mesos__V1__FrameworkID, id, mesos__v1__framework_id);
    id->value = (char *)value;
    return id;
}

Mesos__V1__AgentID *master_wire_agent_id(struct master *m, const char *value)
{
    MASTER_WIRE(m, Mesos__V1__AgentID, id, mesos__v1__agent_id);
    id->value = (char *)value;
    return id;
}

Mesos__V1__TaskID *master_wire_task_id(struct master *m, const char *value)
{
    MASTER_WIRE(m, Mesos__V1__TaskID, id, mesos__v1__task_id);
    id->value = (char *)value;
    return id;
}

Mesos__V1__ExecutorID *master_wire_executor_id(struct master *m, const char *value)
{
    MASTER_WIRE(m, Mesos__V1__ExecutorID, id, mesos__v1__executor_id);
    id->value = (char *)value;
    return id;
}

Mesos__V1__TimeInfo *master_wire_time(struct arena *a, int64_t ms)
{
    Mesos__V1__TimeInfo *time = arena_new_one(a, Mesos__V1__TimeInfo);
    mesos__v1__time_info__init(time);
    time->nanoseconds = ms * 1000000;
    return time;
}

/* -- agents ----------------------------------------------------------------------------------------------------- */

Muster__Link__MasterToAgent *master_send_link(struct master *m, link_id link)
{
    MASTER_WIRE(m, Muster__Link__MasterToAgent, message, muster__link__master_to_agent);
    struct master_effect *e = master_effects_push(m->out, MASTER_EFFECT_LINK_SEND);
    e->link_send.link = link;
    e->link_send.message = message;
    return message;
}

Muster__Link__MasterToAgent *master_send_agent(struct master *m, struct master_agent *a)
{
    if (a->link == NULL || a->state != MASTER_AGENT_CONNECTED)
        return NULL;
    return master_send_link(m, a->link->id);
}

void master_close_link(struct master *m, link_id link)
{
    master_effects_push(m->out, MASTER_EFFECT_LINK_CLOSE)->link_close.link = link;
}

static char *format(struct master *m, const char *fmt, va_list ap)
{
    char text[1024];
    (void)vsnprintf(text, sizeof(text), fmt, ap); /* longer texts are cut */
    return arena_strdup(m->out->arena, text);
}

void master_refuse_link(struct master *m, link_id link, bool shutdown, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    char *text = format(m, fmt, ap);
    va_end(ap);
    MASTER_WIRE(m, Muster__Link__Refused, refused, muster__link__refused);
    refused->message = text;
    refused->has_shutdown = true;
    refused->shutdown = shutdown;
    master_send_link(m, link)->refused = refused;
    master_close_link(m, link);
    master_trace_warning(m, "agent refused: %s", text);
}

/* -- schedulers ------------------------------------------------------------------------------------------------- */

Mesos__V1__Scheduler__Event *master_send_stream(struct master *m, stream_id stream, Mesos__V1__Scheduler__Event__Type type)
{
    MASTER_WIRE(m, Mesos__V1__Scheduler__Event, event, mesos__v1__scheduler__event);
    event->has_type = true;
    event->type = type;
    struct master_effect *e = master_effects_push(m->out, MASTER_EFFECT_STREAM_SEND);
    e->stream_send.stream = stream;
    e->stream_send.event = event;
    return event;
}

Mesos__V1__Scheduler__Event *master_send_framework(struct master *m, struct master_framework *f,
                                                   Mesos__V1__Scheduler__Event__Type type)
{
    return f->stream != 0 ? master_send_stream(m, f->stream, type) : NULL;
}

void master_refuse_stream(struct master *m, stream_id stream, const char *text)
{
    MASTER_WIRE(m, Mesos__V1__Scheduler__Event__Error, error, mesos__v1__scheduler__event__error);
    error->message = arena_strdup(m->out->arena, text);
    master_send_stream(m, stream, MESOS__V1__SCHEDULER__EVENT__TYPE__ERROR)->error = error;
    master_effects_push(m->out, MASTER_EFFECT_STREAM_CLOSE)->stream_close.stream = stream;
}

void master_send_update(struct master *m, struct master_framework *f, const Mesos__V1__TaskStatus *status)
{
    Mesos__V1__Scheduler__Event *event = master_send_framework(m, f, MESOS__V1__SCHEDULER__EVENT__TYPE__UPDATE);
    if (event == NULL)
        return;
    MASTER_WIRE(m, Mesos__V1__Scheduler__Event__Update, update, mesos__v1__scheduler__event__update);
    update->status = (Mesos__V1__TaskStatus *)status; /* effects are read only */
    event->update = update;
}

void master_send_agent_failure(struct master *m, const char *agent_id)
{
    MASTER_WIRE(m, Mesos__V1__Scheduler__Event__Failure, failure, mesos__v1__scheduler__event__failure);
    failure->agent_id = master_wire_agent_id(m, arena_strdup(m->out->arena, agent_id));
    for (struct master_framework *f = m->frameworks; f != NULL; f = f->hh.next) {
        Mesos__V1__Scheduler__Event *event = master_send_framework(m, f, MESOS__V1__SCHEDULER__EVENT__TYPE__FAILURE);
        if (event != NULL)
            event->failure = failure;
    }
}

/* -- others ----------------------------------------------------------------------------------------------------- */

void master_reply(struct master *m, request_id request, int status, const char *fmt, ...)
{
    char *text = NULL;
    if (fmt != NULL) {
        va_list ap;
        va_start(ap, fmt);
        text = format(m, fmt, ap);
        va_end(ap);
    }
    struct master_effect *e = master_effects_push(m->out, MASTER_EFFECT_REPLY);
    e->reply.request = request;
    e->reply.status = status;
    e->reply.text = text;
}

static void trace(struct master *m, bool warning, const char *fmt, va_list ap)
{
    char *text = format(m, fmt, ap);
    struct master_effect *e = master_effects_push(m->out, MASTER_EFFECT_TRACE);
    e->trace.warning = warning;
    e->trace.text = text;
}

void master_trace(struct master *m, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    trace(m, false, fmt, ap);
    va_end(ap);
}

void master_trace_warning(struct master *m, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    trace(m, true, fmt, ap);
    va_end(ap);
}

void master_fatal(struct master *m, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    char *text = format(m, fmt, ap);
    va_end(ap);
    master_effects_push(m->out, MASTER_EFFECT_FATAL)->fatal.text = text;
    m->is_halted = true;
}

Mesos__V1__Master__Event *master_send_observers(struct master *m, Mesos__V1__Master__Event__Type type)
{
    if (m->observer_count == 0)
        return NULL;
    MASTER_WIRE(m, Mesos__V1__Master__Event, event, mesos__v1__master__event);
    event->has_type = true;
    event->type = type;
    master_effects_push(m->out, MASTER_EFFECT_OPERATOR_EVENT)->operator_event = event;
    return event;
}

void master_send_observers_about(struct master *m, const struct master_framework *f, const struct master_task *t)
{
    if (m->config.acls == NULL)
        return; /* everybody sees everything */
    struct master_effect *e = &m->out->items[m->out->count - 1];
    CHECK(e->type == MASTER_EFFECT_OPERATOR_EVENT);
    e->framework_user = arena_strdup(m->out->arena, f->info->user); /* it may be freed now */
    e->task_user = t != NULL ? arena_strdup(m->out->arena, master_task_user(t, m->out->arena)) : NULL;
}
