/* SPDX-License-Identifier: Apache-2.0
 * effects.c - how the parts of the core say what they want done: effects, timers, and the small messages they are made of.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/state.h"
#include "common/base/check.h"
#include "common/wire/codec.h"

/* A step makes at most what a lost connection makes: every task once more. That is bounded by what the core holds already,
 * and a lower bound would turn a large but honest state into an abort. */
#define EFFECTS_BYTES_MAX (SIZE_MAX / 2)

void agent_effects_init(struct agent_effects *e)
{
    *e = (struct agent_effects){.arena = arena_new(EFFECTS_BYTES_MAX)};
}

void agent_effects_reset(struct agent_effects *e)
{
    arena_reset(e->arena);
    e->count = 0;
}

void agent_effects_deinit(struct agent_effects *e)
{
    e->arena = arena_free(e->arena);
    free(e->list);
    *e = (struct agent_effects){0};
}

struct agent_effect *agent_emit(struct agent *a, enum agent_effect_type type)
{
    struct agent_effects *out = a->out;
    CHECK(out != NULL);
    if (out->count == out->capacity) {
        out->capacity = out->capacity ? out->capacity * 2 : 16;
        out->list = xrealloc(out->list, out->capacity * sizeof(*out->list));
    }
    struct agent_effect *effect = &out->list[out->count++];
    *effect = (struct agent_effect){.type = type};
    return effect;
}

void agent_trace(struct agent *a, enum log_level level, const char *fmt, ...)
{
    char text[1024];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    struct agent_effect *effect = agent_emit(a, AGENT_OUT_TRACE);
    effect->trace.level = level;
    effect->trace.text = arena_strdup(a->out->arena, text);
}

void agent_reply(struct agent *a, request_id request, int status, const char *text)
{
    struct agent_effect *effect = agent_emit(a, AGENT_OUT_REPLY);
    effect->reply.request = request;
    effect->reply.status = status;
    effect->reply.text = text ? arena_strdup(a->out->arena, text) : NULL;
}

void agent_link_send(struct agent *a, const Muster__Link__AgentToMaster *message)
{
    Muster__Link__AgentToMaster *copy = arena_new_one(a->out->arena, Muster__Link__AgentToMaster);
    *copy = *message;
    struct agent_effect *effect = agent_emit(a, AGENT_OUT_LINK_SEND);
    effect->link.link = a->session.link;
    effect->link.message = copy;
}

void agent_send_event(struct agent *a, const struct agent_executor *e, const Mesos__V1__Executor__Event *event)
{
    CHECK(e->stream != 0);
    Mesos__V1__Executor__Event *copy = arena_new_one(a->out->arena, Mesos__V1__Executor__Event);
    *copy = *event;
    struct agent_effect *effect = agent_emit(a, AGENT_OUT_STREAM_SEND);
    effect->stream.stream = e->stream;
    effect->stream.event = copy;
}

#define WIRE_ID(function, type, init)                                                                                      \
    type *function(struct arena *arena, const char *id)                                                                    \
    {                                                                                                                      \
        type *message = arena_new_one(arena, type);                                                                        \
        *message = (type)init;                                                                                             \
        message->value = arena_strdup(arena, id);                                                                          \
        return message;                                                                                                    \
    }
WIRE_ID(agent_wire_framework_id, Mesos__V1__FrameworkID, MESOS__V1__FRAMEWORK_ID__INIT)
WIRE_ID(agent_wire_executor_id, Mesos__V1__ExecutorID, MESOS__V1__EXECUTOR_ID__INIT)
WIRE_ID(agent_wire_task_id, Mesos__V1__TaskID, MESOS__V1__TASK_ID__INIT)
WIRE_ID(agent_wire_agent_id, Mesos__V1__AgentID, MESOS__V1__AGENT_ID__INIT)
WIRE_ID(agent_wire_container_id, Mesos__V1__ContainerID, MESOS__V1__CONTAINER_ID__INIT)

ProtobufCBinaryData agent_wire_bytes(struct arena *arena, const void *data, size_t len)
{
    return (ProtobufCBinaryData){.data = len ? arena_memdup(arena, data, len) : NULL, .len = len};
}

void *agent_unpack(const ProtobufCMessageDescriptor *type, const void *data, size_t len, struct arena *arena)
{
    ProtobufCMessage *message = wire_unpack(type, data, len, arena, NULL);
    CHECK(message != NULL);
    return message;
}

void agent_timer_set(struct agent *a, struct agent_timer *t, int64_t delay_ms)
{
    heap_set(&a->timers, &t->node, a->now_ms + delay_ms);
}

void agent_timer_stop(struct agent *a, struct agent_timer *t)
{
    heap_remove(&a->timers, &t->node);
}
