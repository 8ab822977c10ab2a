/* SPDX-License-Identifier: Apache-2.0
 * test_session.c - the session by events. Effects become words in a log:
 *
 *   connect(a:1)  connect(a:1,suppressed)  connect(a:1,id=f)  close  RECONCILE(2)  subscribed(f)  disconnected  update(t1)
 *   settled  refused(400)  error  stopped */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/wire/codec.h"
#include "frameworks/sdk/calls.h"
#include "frameworks/sdk/session.h"

struct world {
    struct sdk_session *session;
    struct sdk_effects effects;
    struct arena *arena;
    int64_t now_ms;
    uint64_t connection;
    bool answers; /* calls get 202 at once */
    char log[4096];
    char text[512];  /* of the newest disconnected or error */
    int64_t wait_ms; /* between the newest disconnection and the connect after it */
    int64_t lost_ms;
};

static void say(struct world *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void say(struct world *w, const char *fmt, ...)
{
    size_t len = strlen(w->log);
    va_list ap;
    if (len > 0)
        w->log[len++] = ' ';
    va_start(ap, fmt);
    (void)vsnprintf(w->log + len, sizeof(w->log) - len, fmt, ap);
    va_end(ap);
}

static const Mesos__V1__Scheduler__Call *read_call(struct world *w, const void *body, size_t len)
{
    struct err err;
    const Mesos__V1__Scheduler__Call *call =
        (const Mesos__V1__Scheduler__Call *)wire_unpack(&mesos__v1__scheduler__call__descriptor, body, len, w->arena, &err);
    assert_non_null(call);
    return call;
}

static void note_connect(struct world *w, const struct sdk_effect *effect)
{
    const Mesos__V1__Scheduler__Call *call = read_call(w, effect->connect.body, effect->connect.body_len);
    const Mesos__V1__FrameworkID *in_call = call->framework_id, *in_info = call->subscribe->framework_info->id;
    assert_int_equal(call->type, MESOS__V1__SCHEDULER__CALL__TYPE__SUBSCRIBE);
    assert_true(!in_call == !in_info); /* facts: mesos 1.2: a difference is a 400 */
    say(w, "connect(%s%s%s%s)", effect->connect.address, in_call ? ",id=" : "", in_call ? in_call->value : "",
        call->subscribe->n_suppressed_roles ? ",suppressed" : "");
    w->connection = effect->connection;
    w->wait_ms = w->now_ms - w->lost_ms;
}

static bool note_effect(struct world *w, const struct sdk_effect *effect)
{
    const Mesos__V1__Scheduler__Call *call;
    const char *type;
    switch (effect->type) {
    case SDK_EFFECT_CONNECT:
        note_connect(w, effect);
        break;
    case SDK_EFFECT_CLOSE:
        say(w, "close");
        break;
    case SDK_EFFECT_SEND:
        call = read_call(w, effect->send.body, effect->send.body_len);
        type = wire_enum_name(&mesos__v1__scheduler__call__type__descriptor, (int)call->type);
        assert_string_equal(effect->send.stream_id, "stream");
        assert_string_equal(call->framework_id->value, "f");
        assert_int_equal(effect->send.call, call->type);
        if (call->type == MESOS__V1__SCHEDULER__CALL__TYPE__RECONCILE)
            say(w, "%s(%zu)", type, call->reconcile->n_tasks);
        else
            say(w, "%s", type);
        return true;
    case SDK_EFFECT_SUBSCRIBED:
        say(w, "subscribed(%s)", effect->subscribed.framework_id);
        break;
    case SDK_EFFECT_DISCONNECTED:
        say(w, "disconnected");
        w->lost_ms = w->now_ms;
        (void)snprintf(w->text, sizeof(w->text), "%s", effect->disconnected.text);
        break;
    case SDK_EFFECT_EVENT:
        if (effect->event->type == MESOS__V1__SCHEDULER__EVENT__TYPE__UPDATE)
            say(w, "update(%s)", effect->event->update->status->task_id->value);
        else
            say(w, "%s", wire_enum_name(&mesos__v1__scheduler__event__type__descriptor, (int)effect->event->type));
        break;
    case SDK_EFFECT_SETTLED:
        say(w, "settled");
        break;
    case SDK_EFFECT_CALL_REFUSED:
        say(w, "refused(%d)", effect->refused.status);
        break;
    case SDK_EFFECT_ERROR:
        say(w, "error");
        (void)snprintf(w->text, sizeof(w->text), "%s", effect->error.text);
        break;
    case SDK_EFFECT_STOPPED:
        say(w, "stopped");
        break;
    }
    return false;
}

static int step(struct world *w, struct sdk_event event)
{
    unsigned slots[SDK_CALL_SLOTS], count = 0;
    event.now_ms = w->now_ms;
    int result = sdk_session_step(w->session, &event, &w->effects);
    sdk_session_check_invariants(w->session);
    for (size_t i = 0; i < w->effects.count; i++) {
        if (note_effect(w, &w->effects.items[i]))
            slots[count++] = w->effects.items[i].send.slot;
    }
    for (unsigned i = 0; w->answers && i < count; i++)
        (void)step(w, (struct sdk_event){.type = SDK_EVENT_CALL_DONE,
                                         .connection = w->connection,
                                         .call_done = {.slot = slots[i], .status = 202}});
    return result;
}

static void expect(struct world *w, const char *want)
{
    assert_string_equal(w->log, want);
    w->log[0] = '\0';
    arena_reset(w->arena);
}

static void receive(struct world *w, const char *json)
{
    struct err err = {0};
    struct arena *arena = arena_new(0);
    const Mesos__V1__Scheduler__Event *event = (const Mesos__V1__Scheduler__Event *)wire_decode(
        WIRE_JSON, &mesos__v1__scheduler__event__descriptor, json, strlen(json), arena, &err);
    if (!event)
        fail_msg("%s in %s", err.text, json);
    (void)step(w, (struct sdk_event){.type = SDK_EVENT_RECEIVED, .connection = w->connection, .received = event});
    arena_free(arena);
}

static void answer(struct world *w, int status, const char *location)
{
    (void)step(w, (struct sdk_event){.type = SDK_EVENT_ANSWER,
                                     .connection = w->connection,
                                     .answer = {.status = status,
                                                .stream_id = status == 200 ? "stream" : NULL,
                                                .location = location,
                                                .text = "why"}});
}

static void call_done(struct world *w, int status, int error)
{
    (void)step(w, (struct sdk_event){.type = SDK_EVENT_CALL_DONE,
                                     .connection = w->connection,
                                     .call_done = {.status = status, .error = error}});
}

static void closed(struct world *w)
{
    (void)step(w, (struct sdk_event){.type = SDK_EVENT_CLOSED, .connection = w->connection});
}

#define SUBSCRIBED                                                                                                         \
    "{\"type\":\"SUBSCRIBED\",\"subscribed\":{\"framework_id\":{\"value\":\"f\"},\"heartbeat_interval_seconds\":15}}"
#define HEARTBEAT "{\"type\":\"HEARTBEAT\"}"

static void subscribe(struct world *w)
{
    answer(w, 200, NULL);
    receive(w, SUBSCRIBED);
}

static void advance(struct world *w, int64_t ms)
{
    int64_t end = w->now_ms + ms;
    for (int64_t due; (due = sdk_session_next_deadline(w->session)) <= end;) {
        w->now_ms = due > w->now_ms ? due : w->now_ms;
        (void)step(w, (struct sdk_event){.type = SDK_EVENT_TICK});
        assert_true(sdk_session_next_deadline(w->session) > w->now_ms);
    }
    w->now_ms = end;
}

static void tasks(struct world *w, const char *const *ids, size_t count)
{
    struct sdk_task list[8];
    for (size_t i = 0; i < count; i++)
        list[i] = (struct sdk_task){.task_id = ids[i], .agent_id = "agent"};
    (void)step(w, (struct sdk_event){.type = SDK_EVENT_TASKS, .tasks = {.list = list, .count = count}});
}

static void update(struct world *w, const char *id)
{
    char json[256];
    (void)snprintf(
        json, sizeof(json),
        "{\"type\":\"UPDATE\",\"update\":{\"status\":{\"task_id\":{\"value\":\"%s\"},\"state\":\"TASK_RUNNING\"}}}", id);
    receive(w, json);
}

static int kill_task(struct world *w, const char *id)
{
    struct arena *arena = arena_new(0);
    int result = step(w, (struct sdk_event){.type = SDK_EVENT_CALL, .call = sdk_call_kill(arena, id, NULL, -1)});
    arena_free(arena);
    return result;
}

static void init_with(struct world *w, struct sdk_session_config config)
{
    static const char *const masters[] = {"a:1", "b:2"};
    static char user[] = "u", name[] = "n";
    Mesos__V1__FrameworkInfo framework = MESOS__V1__FRAMEWORK_INFO__INIT;
    struct err err = {0};
    framework.user = user;
    framework.name = name;
    memset(w, 0, sizeof(*w));
    config.masters = masters;
    config.master_count = 2;
    config.framework = &framework;
    config.format = WIRE_PROTOBUF;
    config.seed = 11;
    w->session = sdk_session_new(&config, &err);
    assert_non_null(w->session);
    sdk_effects_init(&w->effects);
    w->arena = arena_new(0);
    w->now_ms = 100000;
    w->answers = true;
    (void)step(w, (struct sdk_event){.type = SDK_EVENT_START});
}

static void init(struct world *w)
{
    init_with(w, (struct sdk_session_config){.offers_wanted = true});
    expect(w, "connect(a:1)");
}

/* Subscribed, reconciled, nothing known. */
static void init_settled(struct world *w)
{
    init(w);
    subscribe(w);
    tasks(w, NULL, 0);
    expect(w, "subscribed(f) settled RECONCILE(0)");
}

static void deinit(struct world *w)
{
    w->session = sdk_session_free(w->session);
    sdk_effects_deinit(&w->effects);
    w->arena = arena_free(w->arena);
}

/* -- connecting -------------------------------------------------------------------------------------------------- */

static void test_session__subscribes_and_keeps_its_id(void **state)
{
    struct world w;
    (void)state;
    init(&w);
    subscribe(&w);
    expect(&w, "subscribed(f)");
    assert_string_equal(sdk_session_framework_id(w.session), "f");
    closed(&w);
    expect(&w, "disconnected");
    advance(&w, 100);
    expect(&w, "connect(b:2,id=f)");
    deinit(&w);
}

static void test_session__fails_over_with_a_stored_id(void **state)
{
    struct world w;
    (void)state;
    init_with(&w, (struct sdk_session_config){.framework_id = "f"});
    expect(&w, "connect(a:1,id=f,suppressed)");
    deinit(&w);
}

static void test_session__backs_off_from_100_ms_to_10_s(void **state)
{
    struct world w;
    int64_t bound = 100;
    (void)state;
    init(&w);
    for (int i = 0; i < 12; i++) {
        closed(&w);
        w.log[0] = '\0';
        advance(&w, bound);
        assert_int_equal(strncmp(w.log, "connect(", 8), 0);
        assert_in_range(w.wait_ms, bound / 2, bound);
        bound = bound * 2 < 10000 ? bound * 2 : 10000;
    }
    deinit(&w);
}

static void test_session__stable_connection_resets_the_back_off(void **state)
{
    struct world w;
    (void)state;
    init(&w);
    for (int i = 0; i < 5; i++) {
        closed(&w);
        advance(&w, 3200);
    }
    subscribe(&w);
    advance(&w, 20000);
    w.log[0] = '\0';
    closed(&w);
    advance(&w, 100);
    assert_int_equal(strncmp(w.log, "disconnected connect(", 21), 0);
    /* One that is closed right after subscribing is not stable. */
    subscribe(&w);
    closed(&w);
    w.log[0] = '\0';
    advance(&w, 99);
    expect(&w, "");
    deinit(&w);
}

static void test_session__follows_redirects_at_once(void **state)
{
    struct world w;
    (void)state;
    init(&w);
    answer(&w, 307, "//10.0.0.5:5050/api/v1/scheduler");
    expect(&w, "close connect(10.0.0.5:5050)");
    answer(&w, 307, "http://[::1]:5050/api/v1/scheduler");
    expect(&w, "close connect([::1]:5050)");
    subscribe(&w);
    expect(&w, "subscribed(f)");
    closed(&w);
    advance(&w, 100);
    expect(&w, "disconnected connect(b:2,id=f)"); /* the list again: that leader is gone */
    deinit(&w);
}

static void test_session__redirect_loops_end_in_back_off(void **state)
{
    struct world w;
    (void)state;
    init(&w);
    for (int i = 0; i < SDK_REDIRECTS_MAX; i++)
        answer(&w, 307, "//x:1/");
    w.log[0] = '\0';
    answer(&w, 307, "//x:1/");
    expect(&w, "close disconnected");
    assert_non_null(strstr(w.text, "too many redirects"));
    deinit(&w);
}

static void test_session__bad_redirects_are_not_followed(void **state)
{
    static const char *const locations[] = {NULL,      "",       "/api",     "//",           "///x",
                                            "//host/", "//:80/", "//host:/", "https://h:1/", "ftp://h:1"};
    (void)state;
    for (size_t i = 0; i < sizeof(locations) / sizeof(locations[0]); i++) {
        struct world w;
        init(&w);
        answer(&w, 307, locations[i]);
        expect(&w, "close disconnected");
        deinit(&w);
    }
}

static void test_session__answers_by_status(void **state)
{
    static const struct {
        int status;
        const char *follows;
    } cases[] = {{503, "close disconnected"}, {404, "close disconnected"}, {500, "close disconnected"},
                 {400, "close error"},        {401, "close error"},        {403, "close error"}};
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct world w;
        init(&w);
        answer(&w, cases[i].status, NULL);
        expect(&w, cases[i].follows);
        assert_non_null(strstr(w.text, "why"));
        deinit(&w);
    }
}

static void test_session__answer_without_stream_id_is_no_master(void **state)
{
    struct world w;
    (void)state;
    init(&w);
    (void)step(&w, (struct sdk_event){.type = SDK_EVENT_ANSWER, .connection = w.connection, .answer = {.status = 200}});
    expect(&w, "close disconnected");
    deinit(&w);
}

static void test_session__no_subscribed_in_time(void **state)
{
    struct world w;
    (void)state;
    init(&w);
    answer(&w, 200, NULL);
    receive(&w, HEARTBEAT);
    advance(&w, SDK_SUBSCRIBE_TIMEOUT_MS - 1);
    expect(&w, "");
    w.now_ms++;
    (void)step(&w, (struct sdk_event){.type = SDK_EVENT_TICK});
    expect(&w, "close disconnected");
    deinit(&w);
}

static void test_session__missed_heartbeats_reconnect(void **state)
{
    struct world w;
    (void)state;
    init_settled(&w);
    advance(&w, 74999);
    receive(&w, HEARTBEAT);
    advance(&w, 74999);
    expect(&w, "");
    advance(&w, 1);
    expect(&w, "close disconnected");
    advance(&w, 100);
    expect(&w, "connect(b:2,id=f)");
    deinit(&w);
}

static void test_session__error_event_is_final(void **state)
{
    struct world w;
    (void)state;
    init_settled(&w);
    receive(&w, "{\"type\":\"ERROR\",\"error\":{\"message\":\"Framework failed over\"}}");
    expect(&w, "close error");
    assert_string_equal(w.text, "Framework failed over");
    advance(&w, 1000000);
    expect(&w, "");
    assert_true(sdk_session_is_stopped(w.session));
    assert_int_equal(kill_task(&w, "t"), SDK_E_DISCONNECTED);
    deinit(&w);
}

static void test_session__old_connections_are_not_heard(void **state)
{
    struct world w;
    (void)state;
    init_settled(&w);
    uint64_t old = w.connection;
    closed(&w);
    advance(&w, 100);
    subscribe(&w);
    w.log[0] = '\0';
    w.connection = old;
    update(&w, "t");
    closed(&w);
    call_done(&w, 202, 0);
    expect(&w, "");
    deinit(&w);
}

static void test_session__stop_keeps_the_framework(void **state)
{
    struct world w;
    (void)state;
    init_settled(&w);
    (void)step(&w, (struct sdk_event){.type = SDK_EVENT_STOP});
    expect(&w, "close stopped");
    deinit(&w);
}

/* -- calls -------------------------------------------------------------------------------------------------------- */

static void test_session__calls_keep_their_order_one_at_a_time(void **state)
{
    struct world w;
    struct arena *arena = arena_new(0);
    (void)state;
    init_settled(&w);
    w.answers = false;
    assert_int_equal(kill_task(&w, "t"), 0);
    assert_int_equal(
        step(&w, (struct sdk_event){.type = SDK_EVENT_CALL, .call = sdk_call_message(arena, "agent", "executor", "x", 1)}),
        0);
    assert_int_equal(kill_task(&w, "t"), 0);
    expect(&w, "KILL");
    assert_int_equal(sdk_session_calls_waiting(w.session), 3);
    call_done(&w, 202, 0);
    expect(&w, "MESSAGE");
    call_done(&w, 202, 0);
    expect(&w, "KILL");
    call_done(&w, 202, 0);
    expect(&w, "");
    arena_free(arena);
    deinit(&w);
}

static int acknowledge(struct world *w, struct arena *arena)
{
    static char id[] = "x";
    uint8_t uuid[16] = {1};
    Mesos__V1__TaskStatus status = MESOS__V1__TASK_STATUS__INIT;
    Mesos__V1__TaskID task = MESOS__V1__TASK_ID__INIT;
    Mesos__V1__AgentID agent = MESOS__V1__AGENT_ID__INIT;
    task.value = agent.value = id;
    status.task_id = &task;
    status.agent_id = &agent;
    status.has_uuid = true;
    status.uuid = (ProtobufCBinaryData){sizeof(uuid), uuid};
    return step(w, (struct sdk_event){.type = SDK_EVENT_CALL, .call = sdk_call_acknowledge(arena, &status)});
}

static void answer_slot(struct world *w, unsigned slot, int status)
{
    (void)step(w, (struct sdk_event){.type = SDK_EVENT_CALL_DONE,
                                     .connection = w->connection,
                                     .call_done = {.slot = slot, .status = status}});
}

static void test_session__acknowledgements_wait_for_nothing_but_a_slot(void **state)
{
    struct world w;
    struct arena *arena = arena_new(0);
    (void)state;
    init_settled(&w);
    w.answers = false;
    assert_int_equal(kill_task(&w, "t"), 0);
    expect(&w, "KILL");
    for (unsigned i = 1; i < SDK_CALL_SLOTS; i++) {
        assert_int_equal(acknowledge(&w, arena), 0);
        expect(&w, "ACKNOWLEDGE");
        assert_int_equal(w.effects.items[0].send.slot, i);
    }
    assert_int_equal(acknowledge(&w, arena), 0);
    assert_int_equal(kill_task(&w, "t"), 0);
    expect(&w, ""); /* every slot is taken */
    assert_int_equal(sdk_session_calls_waiting(w.session), SDK_CALL_SLOTS + 2);
    answer_slot(&w, 7, 202);
    expect(&w, "ACKNOWLEDGE");
    assert_int_equal(w.effects.items[0].send.slot, 7);
    answer_slot(&w, 9, 202);
    expect(&w, ""); /* no acknowledgement waits, and KILL has its own slot */
    answer_slot(&w, 9, 202);
    expect(&w, ""); /* nothing is out in it */
    answer_slot(&w, 0, 202);
    expect(&w, "KILL");
    answer_slot(&w, 3, 400);
    expect(&w, "refused(400)");
    answer_slot(&w, 4, 503);
    expect(&w, "close disconnected");
    assert_int_equal(sdk_session_calls_waiting(w.session), 0);
    arena_free(arena);
    deinit(&w);
}

static void test_session__calls_are_bounded_and_refused_while_disconnected(void **state)
{
    struct world w;
    (void)state;
    init_with(&w, (struct sdk_session_config){.offers_wanted = true, .calls_max = 2});
    assert_int_equal(kill_task(&w, "t"), SDK_E_DISCONNECTED);
    subscribe(&w);
    w.answers = false;
    assert_int_equal(kill_task(&w, "t"), 0);
    assert_int_equal(kill_task(&w, "t"), 0);
    assert_int_equal(kill_task(&w, "t"), SDK_E_FULL);
    closed(&w);
    assert_int_equal(sdk_session_calls_waiting(w.session), 0);
    deinit(&w);
}

static void test_session__invalid_calls_are_not_sent(void **state)
{
    struct world w;
    Mesos__V1__Scheduler__Call call = MESOS__V1__SCHEDULER__CALL__INIT;
    (void)state;
    init_settled(&w);
    assert_int_equal(step(&w, (struct sdk_event){.type = SDK_EVENT_CALL, .call = &call}), SDK_E_INVALID);
    call.has_type = true;
    for (int type = 0; type < 20; type++) {
        bool needs_no_body = type == MESOS__V1__SCHEDULER__CALL__TYPE__TEARDOWN ||
                             type == MESOS__V1__SCHEDULER__CALL__TYPE__REVIVE ||
                             type == MESOS__V1__SCHEDULER__CALL__TYPE__SUPPRESS;
        call.type = (Mesos__V1__Scheduler__Call__Type)type;
        if (!needs_no_body)
            assert_int_equal(step(&w, (struct sdk_event){.type = SDK_EVENT_CALL, .call = &call}), SDK_E_INVALID);
    }
    expect(&w, "");
    deinit(&w);
}

static void test_session__answers_to_calls(void **state)
{
    static const struct {
        int status, error;
        const char *follows;
    } cases[] = {
        {200, 0, "KILL"},
        {400, 0, "KILL refused(400)"},
        {403, 0, "KILL refused(403) close disconnected"},
        {503, 0, "KILL close disconnected"},
        {307, 0, "KILL close disconnected"},
        {0, -110, "KILL close disconnected"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct world w;
        init_settled(&w);
        w.answers = false;
        assert_int_equal(kill_task(&w, "t"), 0);
        call_done(&w, cases[i].status, cases[i].error);
        expect(&w, cases[i].follows);
        deinit(&w);
    }
}

static void test_session__teardown_stops_when_delivered(void **state)
{
    struct world w;
    struct arena *arena = arena_new(0);
    (void)state;
    init_settled(&w);
    w.answers = false;
    (void)step(&w, (struct sdk_event){.type = SDK_EVENT_CALL, .call = sdk_call_teardown(arena)});
    expect(&w, "TEARDOWN");
    call_done(&w, 202, 0);
    expect(&w, "close stopped");
    arena_free(arena);
    deinit(&w);
}

static void test_session__updates_without_uuid_want_no_acknowledgement(void **state)
{
    struct arena *arena = arena_new(0);
    Mesos__V1__TaskStatus status = MESOS__V1__TASK_STATUS__INIT;
    Mesos__V1__TaskID task = MESOS__V1__TASK_ID__INIT;
    Mesos__V1__AgentID agent = MESOS__V1__AGENT_ID__INIT;
    static char id[] = "x";
    uint8_t uuid[16] = {1};
    (void)state;
    task.value = agent.value = id;
    status.task_id = &task;
    status.agent_id = &agent;
    assert_null(sdk_call_acknowledge(arena, &status));
    status.has_uuid = true;
    status.uuid.data = uuid;
    status.uuid.len = 16;
    assert_non_null(sdk_call_acknowledge(arena, &status));
    arena_free(arena);
}

/* -- reconciliation ------------------------------------------------------------------------------------------------ */

static void test_reconcile__settled_when_every_task_is_answered(void **state)
{
    static const char *const ids[] = {"t1", "t2"};
    struct world w;
    (void)state;
    init(&w);
    subscribe(&w);
    tasks(&w, ids, 2);
    expect(&w, "subscribed(f) RECONCILE(2) RECONCILE(0)");
    update(&w, "t1");
    update(&w, "other");
    update(&w, "t1");
    expect(&w, "update(t1) update(other) update(t1)");
    assert_false(sdk_session_is_settled(w.session));
    update(&w, "t2");
    expect(&w, "update(t2) settled");
    assert_true(sdk_session_is_settled(w.session));
    update(&w, "t2");
    expect(&w, "update(t2)");
    deinit(&w);
}

static void test_reconcile__repeats_for_the_rest_with_back_off(void **state)
{
    static const char *const ids[] = {"t1", "t2"};
    struct world w;
    (void)state;
    init(&w);
    subscribe(&w);
    tasks(&w, ids, 2);
    update(&w, "t2");
    w.log[0] = '\0';
    advance(&w, 999);
    expect(&w, "");
    advance(&w, 1);
    expect(&w, "RECONCILE(1)");
    advance(&w, 2000);
    expect(&w, "RECONCILE(1)");
    advance(&w, 4000);
    expect(&w, "RECONCILE(1)");
    for (int i = 0; i < 10; i++) {
        receive(&w, HEARTBEAT);
        w.log[0] = '\0';
        advance(&w, 30000);
        assert_string_not_equal(w.log, "");
    }
    w.log[0] = '\0';
    update(&w, "t1");
    expect(&w, "update(t1) settled");
    advance(&w, 60000);
    expect(&w, "");
    deinit(&w);
}

static void test_reconcile__starts_again_after_every_subscription(void **state)
{
    static const char *const ids[] = {"t1"};
    struct world w;
    (void)state;
    init(&w);
    subscribe(&w);
    tasks(&w, ids, 1);
    update(&w, "t1");
    closed(&w);
    assert_false(sdk_session_is_settled(w.session));
    advance(&w, 100);
    w.log[0] = '\0';
    subscribe(&w);
    expect(&w, "subscribed(f)");
    update(&w, "t1"); /* before the framework has named its tasks: counts for nothing */
    expect(&w, "update(t1)");
    tasks(&w, ids, 1);
    expect(&w, "RECONCILE(1) RECONCILE(0)");
    update(&w, "t1");
    expect(&w, "update(t1) settled");
    deinit(&w);
}

static void test_reconcile__later_round_does_not_unsettle(void **state)
{
    static const char *const ids[] = {"t1"};
    struct world w;
    (void)state;
    init_settled(&w);
    tasks(&w, ids, 1);
    expect(&w, "RECONCILE(1) RECONCILE(0)");
    assert_true(sdk_session_is_settled(w.session));
    update(&w, "t1");
    expect(&w, "update(t1) settled");
    closed(&w);
    assert_false(sdk_session_is_settled(w.session));
    deinit(&w);
}

static void test_reconcile__many_tasks_go_in_batches(void **state)
{
    struct world w;
    struct sdk_task *list = calloc(2500, sizeof(*list));
    char(*names)[16] = calloc(2500, sizeof(*names));
    (void)state;
    init(&w);
    subscribe(&w);
    w.log[0] = '\0';
    for (int i = 0; i < 2500; i++) {
        (void)snprintf(names[i], sizeof(names[i]), "task-%d", i);
        list[i].task_id = names[i];
    }
    (void)step(&w, (struct sdk_event){.type = SDK_EVENT_TASKS, .tasks = {.list = list, .count = 2500}});
    expect(&w, "RECONCILE(1000) RECONCILE(1000) RECONCILE(500) RECONCILE(0)");
    free(list);
    free(names);
    deinit(&w);
}

/* -- demand -------------------------------------------------------------------------------------------------------- */

static void want(struct world *w)
{
    (void)step(w, (struct sdk_event){.type = SDK_EVENT_WANT});
}

static void unwant(struct world *w)
{
    (void)step(w, (struct sdk_event){.type = SDK_EVENT_UNWANT});
}

static void test_demand__suppress_and_revive(void **state)
{
    struct world w;
    (void)state;
    init_settled(&w);
    unwant(&w);
    expect(&w, "SUPPRESS");
    unwant(&w);
    expect(&w, "");
    want(&w);
    expect(&w, "REVIVE");
    want(&w); /* new demand so soon: rate-limited */
    want(&w);
    expect(&w, "");
    advance(&w, 999);
    expect(&w, "");
    advance(&w, 1);
    expect(&w, "REVIVE");
    advance(&w, 10000);
    expect(&w, "");
    deinit(&w);
}

static void test_demand__unwant_cancels_a_revive_that_waits(void **state)
{
    struct world w;
    (void)state;
    init_settled(&w);
    want(&w);
    want(&w);
    unwant(&w);
    expect(&w, "REVIVE SUPPRESS");
    advance(&w, 10000);
    expect(&w, "");
    deinit(&w);
}

static void test_demand__survives_disconnection(void **state)
{
    struct world w;
    (void)state;
    init_settled(&w);
    unwant(&w);
    closed(&w);
    advance(&w, 100);
    expect(&w, "SUPPRESS disconnected connect(b:2,id=f,suppressed)");
    want(&w); /* while the subscription is on its way */
    subscribe(&w);
    expect(&w, "subscribed(f) REVIVE");
    closed(&w);
    advance(&w, 200);
    expect(&w, "disconnected connect(a:1,id=f)");
    unwant(&w);
    subscribe(&w);
    expect(&w, "subscribed(f) SUPPRESS");
    deinit(&w);
}

/* -- configuration -------------------------------------------------------------------------------------------------- */

static void test_config__is_checked(void **state)
{
    static const char *const good[] = {"a:1"}, *const no_port[] = {"a"}, *const empty_host[] = {":1"};
    static char user[] = "u", name[] = "n", none[] = "";
    Mesos__V1__FrameworkInfo framework = MESOS__V1__FRAMEWORK_INFO__INIT;
    struct sdk_session_config config = {.masters = good, .master_count = 1, .framework = &framework};
    struct err err;
    (void)state;
    framework.user = user;
    framework.name = none;
    assert_null(sdk_session_new(&config, &err));
    assert_string_equal(err.text, "FrameworkInfo needs a user and a name");
    framework.name = name;
    config.masters = no_port;
    assert_null(sdk_session_new(&config, &err));
    config.masters = empty_host;
    assert_null(sdk_session_new(&config, &err));
    config.master_count = 0;
    assert_null(sdk_session_new(&config, &err));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_session__subscribes_and_keeps_its_id),
        cmocka_unit_test(test_session__fails_over_with_a_stored_id),
        cmocka_unit_test(test_session__backs_off_from_100_ms_to_10_s),
        cmocka_unit_test(test_session__stable_connection_resets_the_back_off),
        cmocka_unit_test(test_session__follows_redirects_at_once),
        cmocka_unit_test(test_session__redirect_loops_end_in_back_off),
        cmocka_unit_test(test_session__bad_redirects_are_not_followed),
        cmocka_unit_test(test_session__answers_by_status),
        cmocka_unit_test(test_session__answer_without_stream_id_is_no_master),
        cmocka_unit_test(test_session__no_subscribed_in_time),
        cmocka_unit_test(test_session__missed_heartbeats_reconnect),
        cmocka_unit_test(test_session__error_event_is_final),
        cmocka_unit_test(test_session__old_connections_are_not_heard),
        cmocka_unit_test(test_session__stop_keeps_the_framework),
        cmocka_unit_test(test_session__calls_keep_their_order_one_at_a_time),
        cmocka_unit_test(test_session__acknowledgements_wait_for_nothing_but_a_slot),
        cmocka_unit_test(test_session__calls_are_bounded_and_refused_while_disconnected),
        cmocka_unit_test(test_session__invalid_calls_are_not_sent),
        cmocka_unit_test(test_session__answers_to_calls),
        cmocka_unit_test(test_session__teardown_stops_when_delivered),
        cmocka_unit_test(test_session__updates_without_uuid_want_no_acknowledgement),
        cmocka_unit_test(test_reconcile__settled_when_every_task_is_answered),
        cmocka_unit_test(test_reconcile__repeats_for_the_rest_with_back_off),
        cmocka_unit_test(test_reconcile__starts_again_after_every_subscription),
        cmocka_unit_test(test_reconcile__later_round_does_not_unsettle),
        cmocka_unit_test(test_reconcile__many_tasks_go_in_batches),
        cmocka_unit_test(test_demand__suppress_and_revive),
        cmocka_unit_test(test_demand__unwant_cancels_a_revive_that_waits),
        cmocka_unit_test(test_demand__survives_disconnection),
        cmocka_unit_test(test_config__is_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
