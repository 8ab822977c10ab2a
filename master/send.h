/* SPDX-License-Identifier: Apache-2.0
 * send.h - makes effects of the present step: messages to agents, events to schedulers, replies, traces. Everything is
 * built in the arena of the step's effects. Internal to master/. */
#pragma once

#include "common/wire/codec.h"
#include "master/state.h"

/* Declares var, a new message in the step's arena. `kind` is protobuf-c's prefix, e.g. mesos__v1__task_id. */
#define MASTER_WIRE(m, Type, var, kind)                                                                                    \
    Type *var = arena_must_alloc((m)->out->arena, sizeof(Type));                                                           \
    kind##__init(var)

Mesos__V1__FrameworkID *master_wire_framework_id(struct master *m, const char *value);
Mesos__V1__AgentID *master_wire_agent_id(struct master *m, const char *value);
Mesos__V1__TaskID *master_wire_task_id(struct master *m, const char *value);
Mesos__V1__ExecutorID *master_wire_executor_id(struct master *m, const char *value);
Mesos__V1__TimeInfo *master_wire_time(struct arena *a, int64_t ms);

/* A new message to the link; the caller fills it before the step ends. */
Muster__Link__MasterToAgent *master_send_link(struct master *m, link_id link);
/* The same to an agent, NULL when it has no link or is not registered there. */
Muster__Link__MasterToAgent *master_send_agent(struct master *m, struct master_agent *a);
void master_close_link(struct master *m, link_id link);
/* Tells the agent's side why it is not taken, and closes the link. */
void master_refuse_link(struct master *m, link_id link, bool shutdown, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* A new event on a scheduler's stream. */
Mesos__V1__Scheduler__Event *master_send_stream(struct master *m, stream_id stream, Mesos__V1__Scheduler__Event__Type type);
/* The same to a framework, NULL when it has no stream. */
Mesos__V1__Scheduler__Event *master_send_framework(struct master *m, struct master_framework *f,
                                                   Mesos__V1__Scheduler__Event__Type type);
/* ERROR event, then the end of the stream. */
void master_refuse_stream(struct master *m, stream_id stream, const char *text);

void master_send_update(struct master *m, struct master_framework *f, const Mesos__V1__TaskStatus *status);
/* FAILURE of a whole agent, to every connected framework. */
void master_send_agent_failure(struct master *m, const char *agent_id);

void master_reply(struct master *m, request_id request, int status, const char *fmt, ...)
    __attribute__((format(printf, 4, 5))); /* fmt NULL: no body */
void master_trace(struct master *m, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void master_trace_warning(struct master *m, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The master cannot go on: nothing is done any more after this step. */
void master_fatal(struct master *m, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* NULL when nobody watches; else an event for all operator streams. */
Mesos__V1__Master__Event *master_send_observers(struct master *m, Mesos__V1__Master__Event__Type type);
/* The event that was made last is about this framework, and this task of it (or NULL): not all may see them. */
void master_send_observers_about(struct master *m, const struct master_framework *f, const struct master_task *t);
