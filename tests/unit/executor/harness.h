/* SPDX-License-Identifier: Apache-2.0
 * harness.h - drives the executor's core without a shell. Effects become words in a log that tests compare:
 *
 *   connect(tasks=1,updates=2)  close  t1:RUNNING  heartbeat  start(t1)  signal(1,TERM,all)  check(1,http)  cancel(1)
 * exit(0)
 *
 * An update may carry /healthy /unhealthy /reason=NAME /exit=N /http=N /tcp=N (empty check: /check). */
#pragma once

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/buf.h"
#include "common/base/text.h"
#include "common/wire/codec.h"
#include "executor/executor.h"

struct world {
    struct executor *core;
    struct executor_effects effects;
    struct arena *arena;
    int64_t now_ms;
    uint64_t connection;
    bool answers, acknowledges; /* calls get 202; updates get ACKNOWLEDGED */
    struct buf log;
    char message[256]; /* of the newest update */
    uint8_t uuids[64][16];
    char uuid_tasks[64][32];
    size_t uuid_count; /* updates told to the agent and not acknowledged by it */
    executor_check_id check;
    char env[4096]; /* of the newest start, NAME=value lines */
    char directory[256];
};

static inline void say(struct world *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static inline void say(struct world *w, const char *fmt, ...)
{
    va_list ap;
    if (buf_len(&w->log) > 0)
        assert_int_equal(buf_append_char(&w->log, ' '), 0);
    va_start(ap, fmt);
    assert_int_equal(buf_vprintf(&w->log, fmt, ap), 0);
    va_end(ap);
}

static inline void say_update(struct world *w, const Mesos__V1__TaskStatus *status)
{
    const char *state = wire_enum_name(&mesos__v1__task_state__descriptor, status->state) + strlen("TASK_");
    char more[256] = "";
    size_t at = 0;
    assert_int_equal(status->source, MESOS__V1__TASK_STATUS__SOURCE__SOURCE_EXECUTOR);
    assert_int_equal(status->uuid.len, 16);
    assert_true(status->has_timestamp);
    if (status->has_healthy)
        at += (size_t)snprintf(more + at, sizeof(more) - at, status->healthy ? "/healthy" : "/unhealthy");
    if (status->has_reason)
        at += (size_t)snprintf(more + at, sizeof(more) - at, "/reason=%s",
                               wire_enum_name(&mesos__v1__task_status__reason__descriptor, (int)status->reason) +
                                   strlen("REASON_"));
    if (status->check_status) {
        const Mesos__V1__CheckStatusInfo *check = status->check_status;
        if (check->command && check->command->has_exit_code)
            (void)snprintf(more + at, sizeof(more) - at, "/exit=%d", check->command->exit_code);
        else if (check->http && check->http->has_status_code)
            (void)snprintf(more + at, sizeof(more) - at, "/http=%u", check->http->status_code);
        else if (check->tcp && check->tcp->has_succeeded)
            (void)snprintf(more + at, sizeof(more) - at, "/tcp=%d", check->tcp->succeeded);
        else
            (void)snprintf(more + at, sizeof(more) - at, "/check");
    }
    (void)snprintf(w->message, sizeof(w->message), "%s", status->message ? status->message : "");
    say(w, "%s:%s%s", status->task_id->value, state, more);
    assert_true(w->uuid_count < 64);
    memcpy(w->uuids[w->uuid_count], status->uuid.data, 16);
    (void)snprintf(w->uuid_tasks[w->uuid_count++], 32, "%s", status->task_id->value);
}

static inline const Mesos__V1__Executor__Call *read_call(struct world *w, const struct executor_effect *effect)
{
    struct err err;
    const Mesos__V1__Executor__Call *call = (const Mesos__V1__Executor__Call *)wire_unpack(
        &mesos__v1__executor__call__descriptor, effect->send.body, effect->send.body_len, w->arena, &err);
    assert_non_null(call);
    assert_string_equal(call->executor_id->value, "executor");
    assert_string_equal(call->framework_id->value, "framework");
    return call;
}

static inline void say_start(struct world *w, const struct executor_command *command)
{
    size_t at = 0;
    w->env[0] = '\0';
    for (size_t i = 0; i < command->env_count && at < sizeof(w->env); i++)
        at += (size_t)snprintf(w->env + at, sizeof(w->env) - at, "%s=%s\n", command->env[i].name, command->env[i].value);
    (void)snprintf(w->directory, sizeof(w->directory), "%s", command->directory);
}

/* Returns true when a call is out that wants an answer. */
static inline bool note_effect(struct world *w, const struct executor_effect *effect)
{
    const Mesos__V1__Executor__Call *call;
    switch (effect->type) {
    case EXECUTOR_EFFECT_CONNECT:
        call = read_call(w, effect);
        assert_int_equal(call->type, MESOS__V1__EXECUTOR__CALL__TYPE__SUBSCRIBE);
        say(w, "connect(tasks=%zu,updates=%zu)", call->subscribe->n_unacknowledged_tasks,
            call->subscribe->n_unacknowledged_updates);
        w->connection = effect->connection;
        w->uuid_count = 0;
        for (size_t i = 0; i < call->subscribe->n_unacknowledged_updates; i++) {
            const Mesos__V1__TaskStatus *status = call->subscribe->unacknowledged_updates[i]->status;
            memcpy(w->uuids[w->uuid_count], status->uuid.data, 16);
            (void)snprintf(w->uuid_tasks[w->uuid_count++], 32, "%s", status->task_id->value);
        }
        return false;
    case EXECUTOR_EFFECT_CLOSE:
        say(w, "close");
        return false;
    case EXECUTOR_EFFECT_SEND:
        call = read_call(w, effect);
        if (call->type == MESOS__V1__EXECUTOR__CALL__TYPE__UPDATE)
            say_update(w, call->update->status);
        else
            say(w, call->type == MESOS__V1__EXECUTOR__CALL__TYPE__HEARTBEAT ? "heartbeat" : "unexpected-call");
        return true;
    case EXECUTOR_EFFECT_START:
        say(w, "start(%llu)", (unsigned long long)effect->start.id);
        say_start(w, &effect->start.command);
        return false;
    case EXECUTOR_EFFECT_SIGNAL:
        say(w, "signal(%llu,%s%s)", (unsigned long long)effect->signal.id, sigabbrev_np(effect->signal.signo),
            effect->signal.everything ? ",all" : "");
        return false;
    case EXECUTOR_EFFECT_CHECK: {
        static const char *const kinds[] = {"command", "http", "tcp"};
        w->check = effect->check.id;
        say(w, "check(%llu,%s)", (unsigned long long)effect->check.id, kinds[effect->check.kind]);
        return false;
    }
    case EXECUTOR_EFFECT_CHECK_CANCEL:
        say(w, "cancel(%llu)", (unsigned long long)effect->check.id);
        return false;
    case EXECUTOR_EFFECT_LOG:
        return false;
    case EXECUTOR_EFFECT_EXIT:
        say(w, "exit(%d)", effect->exit_status);
        return false;
    }
    return false;
}

static inline void acknowledge_all(struct world *w);

static inline void step(struct world *w, struct executor_event event)
{
    bool wants_answer = false;
    event.now_ms = w->now_ms;
    event.wall_ms = 1700000000000 + w->now_ms;
    assert_int_equal(executor_step(w->core, &event, &w->effects), 0);
    executor_check_invariants(w->core);
    for (size_t i = 0; i < w->effects.count; i++)
        wants_answer = note_effect(w, &w->effects.items[i]) || wants_answer;
    if (wants_answer && w->answers) {
        step(w, (struct executor_event){
                    .type = EXECUTOR_EVENT_CALL_DONE, .connection = w->connection, .done = {.status = 202}});
        if (w->acknowledges)
            acknowledge_all(w);
    }
}

static inline void receive(struct world *w, const Mesos__V1__Executor__Event *event)
{
    step(w,
         (struct executor_event){.type = EXECUTOR_EVENT_STREAM_RECEIVED, .connection = w->connection, .received = event});
}

/* An event of the agent from its JSON form. */
static inline void receive_json(struct world *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static inline void receive_json(struct world *w, const char *fmt, ...)
{
    char text[4096];
    struct err err = {0};
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    struct arena *arena = arena_new(0);
    const Mesos__V1__Executor__Event *event = (const Mesos__V1__Executor__Event *)wire_decode(
        WIRE_JSON, &mesos__v1__executor__event__descriptor, text, strlen(text), arena, &err);
    if (!event)
        fail_msg("%s in %s", err.text, text);
    receive(w, event);
    arena_free(arena);
}

static inline void acknowledge_all(struct world *w)
{
    while (w->uuid_count > 0) {
        struct buf uuid;
        char task[32];
        buf_init(&uuid, 0);
        text_base64_encode(w->uuids[0], 16, &uuid);
        memcpy(task, w->uuid_tasks[0], sizeof(task));
        w->uuid_count--;
        memmove(w->uuids[0], w->uuids[1], w->uuid_count * 16);
        memmove(w->uuid_tasks[0], w->uuid_tasks[1], w->uuid_count * 32);
        char *text = buf_steal_str(&uuid);
        receive_json(w, "{\"type\":\"ACKNOWLEDGED\",\"acknowledged\":{\"task_id\":{\"value\":\"%s\"},\"uuid\":\"%s\"}}",
                     task, text);
        free(text);
        buf_deinit(&uuid);
    }
}

/* Compares the log since the last call, and empties it. */
static inline void expect(struct world *w, const char *want)
{
    assert_int_equal(buf_append_char(&w->log, '\0'), 0);
    assert_string_equal((const char *)buf_data(&w->log), want);
    buf_clear(&w->log);
    arena_reset(w->arena);
}

static inline void tick(struct world *w)
{
    step(w, (struct executor_event){.type = EXECUTOR_EVENT_TICK});
}

/* Lets time pass, waking the core when it wants it. */
static inline void advance(struct world *w, int64_t ms)
{
    int64_t end = w->now_ms + ms;
    for (int64_t due; (due = executor_next_deadline(w->core)) <= end;) {
        w->now_ms = due > w->now_ms ? due : w->now_ms;
        tick(w);
        assert_true(executor_next_deadline(w->core) > w->now_ms); /* a deadline that does nothing would spin the loop */
    }
    w->now_ms = end;
}

static inline void started(struct world *w, executor_process_id id)
{
    step(w, (struct executor_event){.type = EXECUTOR_EVENT_PROCESS_STARTED, .process = {.id = id, .pid = 100 + (int)id}});
}

static inline void exited(struct world *w, executor_process_id id, int status)
{
    step(w, (struct executor_event){.type = EXECUTOR_EVENT_PROCESS_EXITED, .process = {.id = id, .status = status}});
}

static inline void checked(struct world *w, enum executor_check_result result, int value)
{
    step(w, (struct executor_event){.type = EXECUTOR_EVENT_CHECK_DONE,
                                    .check = {.id = w->check, .result = result, .value = value}});
}

static inline void stream_closed(struct world *w)
{
    step(w, (struct executor_event){.type = EXECUTOR_EVENT_STREAM_CLOSED, .connection = w->connection});
}

#define SUBSCRIBED(type, capabilities)                                                                                     \
    "{\"type\":\"SUBSCRIBED\",\"subscribed\":{\"executor_info\":{\"type\":\"" type                                         \
    "\",\"executor_id\":{\"value\":\"executor\"}},\"framework_info\":{\"user\":\"root\",\"name\":\"f\",\"capabilities\":"  \
    "[" capabilities "]},\"agent_info\":{\"hostname\":\"h\"},\"container_id\":{\"value\":\"container\"}}}"
#define KILLING_STATE "{\"type\":\"TASK_KILLING_STATE\"}"

static inline void subscribe(struct world *w, const char *subscribed)
{
    step(w, (struct executor_event){
                .type = EXECUTOR_EVENT_STREAM_ANSWER, .connection = w->connection, .answer = {.status = 200}});
    receive_json(w, "%s", subscribed);
}

/* A connected executor whose calls are answered and acknowledged. */
static inline void world_init(struct world *w, bool checkpoint, const char *subscribed)
{
    static const char *const environment[] = {"PATH=/bin", "FOO=outer", NULL};
    struct executor_config config = {.framework_id = "framework",
                                     .executor_id = "executor",
                                     .sandbox = "/sandbox",
                                     .container_ip = "10.0.0.9",
                                     .environment = environment,
                                     .checkpoint = checkpoint,
                                     .recovery_timeout_ms = 900000,
                                     .backoff_max_ms = 2000,
                                     .shutdown_grace_ms = 5000,
                                     .seed = 7};
    memset(w, 0, sizeof(*w));
    w->core = executor_new(&config);
    executor_effects_init(&w->effects);
    buf_init(&w->log, 0);
    w->arena = arena_new(0);
    w->now_ms = 1000;
    w->answers = w->acknowledges = true;
    step(w, (struct executor_event){.type = EXECUTOR_EVENT_START});
    expect(w, "connect(tasks=0,updates=0)");
    if (subscribed) {
        subscribe(w, subscribed);
        expect(w, "");
    }
}

static inline void world_deinit(struct world *w)
{
    w->core = executor_free(w->core);
    executor_effects_deinit(&w->effects);
    buf_deinit(&w->log);
    w->arena = arena_free(w->arena);
}

/* `more` is put into the TaskInfo, with a comma in front. */
#define TASK(id, more)                                                                                                     \
    "{\"name\":\"n\",\"task_id\":{\"value\":\"" id                                                                         \
    "\"},\"agent_id\":{\"value\":\"a\"},\"command\":{\"value\":\"run\"}" more "}"
#define LAUNCH(task) "{\"type\":\"LAUNCH\",\"launch\":{\"task\":" task "}}"
#define LAUNCH_GROUP(tasks) "{\"type\":\"LAUNCH_GROUP\",\"launch_group\":{\"task_group\":{\"tasks\":[" tasks "]}}}"
#define KILL(id, more) "{\"type\":\"KILL\",\"kill\":{\"task_id\":{\"value\":\"" id "\"}" more "}}"
