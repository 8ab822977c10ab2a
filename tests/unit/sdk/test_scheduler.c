/* SPDX-License-Identifier: Apache-2.0
 * test_scheduler.c - sdk_scheduler over real sockets, against a master made of our own HTTP server in the same loop. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/http/recordio.h"
#include "common/http/server.h"
#include "common/real/loop_ev.h"
#include "common/wire/codec.h"
#include "frameworks/sdk/calls.h"
#include "frameworks/sdk/sdk.h"

#define DEADLINE_MS 10000

struct world {
    struct loop *loop;
    struct loop_timer *deadline;
    struct http_server *leader, *follower;
    struct http_exchange *stream;
    enum wire_format format;
    struct sdk_scheduler *scheduler;
    char calls[1024], told[1024]; /* what the master heard, what the framework was told */
    char text[256];
    int subscriptions, refuse_status;
    bool is_late, cuts_after_launch, stops_at_offers;
};

static void add(char log[1024], const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void add(char log[1024], const char *fmt, ...)
{
    size_t len = strlen(log);
    va_list ap;
    if (len > 0)
        log[len++] = ' ';
    va_start(ap, fmt);
    (void)vsnprintf(log + len, 1024 - len, fmt, ap);
    va_end(ap);
}

/* -- the master ---------------------------------------------------------------------------------------------------- */

static void send_event(struct world *w, const char *json)
{
    struct err err = {0};
    struct buf packed, record;
    struct arena *arena = arena_new(0);
    ProtobufCMessage *event =
        wire_decode(WIRE_JSON, &mesos__v1__scheduler__event__descriptor, json, strlen(json), arena, &err);
    if (!event)
        fail_msg("%s in %s", err.text, json);
    buf_init(&packed, 0);
    buf_init(&record, 0);
    assert_int_equal(wire_encode(w->format, event, &packed), 0);
    assert_int_equal(recordio_append(&record, buf_data(&packed), buf_len(&packed)), 0);
    if (w->stream)
        (void)http_stream_write(w->stream, buf_data(&record), buf_len(&record)); /* closed tells */
    buf_deinit(&packed);
    buf_deinit(&record);
    arena_free(arena);
}

static void on_stream_closed(void *ctx, struct http_exchange *x)
{
    struct world *w = ctx;
    if (w->stream == x)
        w->stream = NULL;
}

static void on_subscribe(struct world *w, struct http_exchange *x, const struct http_message *request,
                         const Mesos__V1__Scheduler__Call *call)
{
    assert_null(http_header(request, "Mesos-Stream-Id"));
    add(w->calls, "SUBSCRIBE(%s)", call->framework_id ? call->framework_id->value : "");
    w->subscriptions++;
    http_add_header(x, "Mesos-Stream-Id", "stream-id");
    http_stream_begin(x, 200, wire_media_type(w->format), 0);
    http_exchange_on_closed(x, on_stream_closed, w);
    w->stream = x;
    send_event(w, "{\"type\":\"SUBSCRIBED\",\"subscribed\":{\"framework_id\":{\"value\":\"f-1\"},"
                  "\"heartbeat_interval_seconds\":15}}");
    send_event(w, "{\"type\":\"HEARTBEAT\"}");
    if (w->subscriptions == 1)
        send_event(w, "{\"type\":\"OFFERS\",\"offers\":{\"offers\":[{\"id\":{\"value\":\"o1\"},\"framework_id\":{\"value\":"
                      "\"f-1\"},\"agent_id\":{\"value\":\"a1\"},\"hostname\":\"h\"}]}}");
}

static void on_call(struct world *w, const Mesos__V1__Scheduler__Call *call)
{
    const char *type = wire_enum_name(&mesos__v1__scheduler__call__type__descriptor, (int)call->type);
    assert_string_equal(call->framework_id->value, "f-1");
    if (call->type == MESOS__V1__SCHEDULER__CALL__TYPE__RECONCILE) {
        add(w->calls, "%s(%zu)", type, call->reconcile->n_tasks);
        for (size_t i = 0; i < call->reconcile->n_tasks; i++)
            send_event(w, "{\"type\":\"UPDATE\",\"update\":{\"status\":{\"task_id\":{\"value\":\"t1\"},\"state\":"
                          "\"TASK_RUNNING\",\"reason\":\"REASON_RECONCILIATION\"}}}");
        return;
    }
    add(w->calls, "%s", type);
    if (call->type == MESOS__V1__SCHEDULER__CALL__TYPE__ACCEPT) {
        assert_string_equal(call->accept->offer_ids[0]->value, "o1");
        assert_string_equal(call->accept->operations[0]->launch->task_infos[0]->task_id->value, "t1");
        send_event(w, "{\"type\":\"UPDATE\",\"update\":{\"status\":{\"task_id\":{\"value\":\"t1\"},\"state\":"
                      "\"TASK_RUNNING\",\"agent_id\":{\"value\":\"a1\"},\"uuid\":\"AAECAwQFBgcICQoLDA0ODw==\"}}}");
    }
    if (call->type == MESOS__V1__SCHEDULER__CALL__TYPE__ACKNOWLEDGE) {
        assert_int_equal(call->acknowledge->uuid.len, 16);
        assert_int_equal(call->acknowledge->uuid.data[15], 15);
        if (w->cuts_after_launch && w->stream) {
            http_exchange_abort(w->stream);
            w->stream = NULL;
        }
    }
}

static void on_leader(void *ctx, struct http_exchange *x, const struct http_message *request)
{
    struct world *w = ctx;
    struct err err = {0};
    assert_string_equal(request->path, "/api/v1/scheduler");
    assert_string_equal(http_header(request, "Content-Type"), wire_media_type(w->format));
    assert_string_equal(http_header(request, "Accept"), wire_media_type(w->format));
    assert_string_equal(http_header(request, "Authorization"), "Basic bWU6c2VjcmV0"); /* me:secret */
    if (w->refuse_status) {
        http_reply_text(x, w->refuse_status, "not like this");
        return;
    }
    const Mesos__V1__Scheduler__Call *call = (const Mesos__V1__Scheduler__Call *)wire_decode(
        w->format, &mesos__v1__scheduler__call__descriptor, request->body, request->body_len, http_exchange_arena(x), &err);
    if (!call)
        fail_msg("%s", err.text);
    if (call->type == MESOS__V1__SCHEDULER__CALL__TYPE__SUBSCRIBE) {
        on_subscribe(w, x, request, call);
        return;
    }
    assert_string_equal(http_header(request, "Mesos-Stream-Id"), "stream-id");
    on_call(w, call);
    http_reply(x, 202, NULL, NULL, 0);
}

static void on_follower(void *ctx, struct http_exchange *x, const struct http_message *request)
{
    struct world *w = ctx;
    char location[128];
    add(w->calls, "redirect");
    (void)snprintf(location, sizeof(location), "//127.0.0.1:%u%s", http_server_port(w->leader), request->target);
    http_add_header(x, "Location", location);
    http_reply(x, 307, NULL, NULL, 0);
}

/* -- the framework ------------------------------------------------------------------------------------------------- */

static void on_subscribed(void *ctx, const char *framework_id, const Mesos__V1__MasterInfo *master)
{
    struct world *w = ctx;
    (void)master;
    add(w->told, "subscribed(%s)", framework_id);
}

static size_t on_known_tasks(void *ctx, struct arena *arena, const struct sdk_task **tasks)
{
    struct world *w = ctx;
    if (w->subscriptions < 2)
        return 0;
    struct sdk_task *list = arena_new_one(arena, struct sdk_task);
    list->task_id = "t1";
    *tasks = list;
    return 1;
}

static void on_settled(void *ctx)
{
    struct world *w = ctx;
    add(w->told, "settled");
    assert_true(sdk_scheduler_is_settled(w->scheduler));
    if (w->subscriptions == 2)
        (void)sdk_scheduler_teardown(w->scheduler);
}

static void on_offers(void *ctx, Mesos__V1__Offer *const *offers, size_t count)
{
    struct world *w = ctx;
    struct arena *arena = arena_new(0);
    static char name[] = "n", task_name[] = "t1";
    const char *id = offers[0]->id->value;
    Mesos__V1__TaskID task_id = MESOS__V1__TASK_ID__INIT;
    Mesos__V1__TaskInfo task = MESOS__V1__TASK_INFO__INIT, *tasks = &task;
    add(w->told, "offers(%zu)", count);
    task.name = name;
    task_id.value = task_name;
    task.task_id = &task_id;
    task.agent_id = offers[0]->agent_id;
    Mesos__V1__Offer__Operation *launch = sdk_operation_launch(arena, &tasks, 1);
    assert_int_equal(sdk_scheduler_accept(w->scheduler, &id, 1, &launch, 1, 0), 0);
    sdk_scheduler_suppress(w->scheduler);
    if (w->stops_at_offers)
        sdk_scheduler_stop(w->scheduler);
    arena_free(arena);
}

static void on_update(void *ctx, const Mesos__V1__TaskStatus *status)
{
    struct world *w = ctx;
    add(w->told, "%s", wire_enum_name(&mesos__v1__task_state__descriptor, (int)status->state));
    assert_int_equal(sdk_scheduler_acknowledge(w->scheduler, status), 0);
    if (!w->cuts_after_launch)
        assert_int_equal(sdk_scheduler_teardown(w->scheduler), 0);
}

static void on_disconnected(void *ctx, const char *text)
{
    struct world *w = ctx;
    (void)text;
    add(w->told, "disconnected");
}

static void on_end(struct world *w, const char *word)
{
    add(w->told, "%s", word);
    loop_stop(w->loop);
}

static void on_error(void *ctx, const char *text)
{
    struct world *w = ctx;
    (void)snprintf(w->text, sizeof(w->text), "%s", text);
    on_end(w, "error");
}

static void on_stopped(void *ctx)
{
    on_end(ctx, "stopped");
}

static void on_deadline(void *ctx)
{
    struct world *w = ctx;
    w->is_late = true;
    loop_stop(w->loop);
}

/* -- tests ----------------------------------------------------------------------------------------------------------- */

static void init(struct world *w, enum wire_format format)
{
    struct http_server_config config = {.ip = "127.0.0.1"};
    struct err err = {0};
    memset(w, 0, sizeof(*w));
    w->format = format;
    w->loop = loop_ev_new();
    assert_int_equal(http_server_start(w->loop, &config, on_leader, w, &w->leader, &err), 0);
    assert_int_equal(http_server_start(w->loop, &config, on_follower, w, &w->follower, &err), 0);
    w->deadline = loop_timer_add(w->loop, on_deadline, w);
}

static void run(struct world *w, uint16_t port)
{
    static const struct sdk_callbacks callbacks = {.subscribed = on_subscribed,
                                                   .known_tasks = on_known_tasks,
                                                   .settled = on_settled,
                                                   .offers = on_offers,
                                                   .update = on_update,
                                                   .disconnected = on_disconnected,
                                                   .error = on_error,
                                                   .stopped = on_stopped};
    static char user[] = "u", name[] = "n";
    char address[32];
    const char *masters[] = {address};
    struct err err = {0};
    Mesos__V1__FrameworkInfo framework = MESOS__V1__FRAMEWORK_INFO__INIT;
    framework.user = user;
    framework.name = name;
    (void)snprintf(address, sizeof(address), "localhost:%u", port);
    struct sdk_config config = {.session = {.masters = masters,
                                            .master_count = 1,
                                            .framework = &framework,
                                            .format = w->format,
                                            .offers_wanted = true,
                                            .seed = 5},
                                .principal = "me",
                                .secret = "secret"};
    w->scheduler = sdk_scheduler_new(w->loop, &config, &callbacks, w, &err);
    if (!w->scheduler)
        fail_msg("%s", err.text);
    loop_timer_start(w->deadline, DEADLINE_MS);
    loop_run(w->loop);
    if (w->is_late)
        fail_msg("not done in time; calls: %s; told: %s", w->calls, w->told);
}

static void deinit(struct world *w)
{
    w->scheduler = sdk_scheduler_free(w->scheduler);
    w->leader = http_server_stop(w->leader);
    w->follower = http_server_stop(w->follower);
    w->deadline = loop_timer_remove(w->deadline);
    w->loop = loop_ev_free(w->loop);
}

static void test_scheduler__launches_and_acknowledges_in_order(void **state)
{
    static const enum wire_format formats[] = {WIRE_PROTOBUF, WIRE_JSON};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct world w;
        init(&w, formats[i]);
        run(&w, http_server_port(w.leader));
        assert_string_equal(w.calls, "SUBSCRIBE() RECONCILE(0) ACCEPT SUPPRESS ACKNOWLEDGE TEARDOWN");
        assert_string_equal(w.told, "subscribed(f-1) settled offers(1) TASK_RUNNING stopped");
        assert_string_equal(sdk_scheduler_framework_id(w.scheduler), "f-1");
        deinit(&w);
    }
}

static void test_scheduler__is_redirected_to_the_leader(void **state)
{
    struct world w;
    (void)state;
    init(&w, WIRE_PROTOBUF);
    run(&w, http_server_port(w.follower));
    assert_string_equal(w.calls, "redirect SUBSCRIBE() RECONCILE(0) ACCEPT SUPPRESS ACKNOWLEDGE TEARDOWN");
    deinit(&w);
}

static void test_scheduler__comes_back_and_reconciles(void **state)
{
    struct world w;
    (void)state;
    init(&w, WIRE_PROTOBUF);
    w.cuts_after_launch = true;
    run(&w, http_server_port(w.leader));
    assert_string_equal(w.calls, "SUBSCRIBE() RECONCILE(0) ACCEPT SUPPRESS ACKNOWLEDGE SUBSCRIBE(f-1) RECONCILE(1) "
                                 "RECONCILE(0) TEARDOWN");
    assert_string_equal(w.told, "subscribed(f-1) settled offers(1) TASK_RUNNING disconnected subscribed(f-1) TASK_RUNNING "
                                "settled stopped");
    deinit(&w);
}

static void test_scheduler__refusal_has_the_master_s_words(void **state)
{
    struct world w;
    (void)state;
    init(&w, WIRE_PROTOBUF);
    w.refuse_status = 401;
    run(&w, http_server_port(w.leader));
    assert_string_equal(w.told, "error");
    assert_string_equal(w.text, "status 401: not like this");
    deinit(&w);
}

/* Bodies of calls that wait must not be touched any more (seen under ASan). */
static void test_scheduler__stop_inside_a_callback(void **state)
{
    struct world w;
    (void)state;
    init(&w, WIRE_PROTOBUF);
    w.stops_at_offers = true;
    run(&w, http_server_port(w.leader));
    assert_string_equal(w.told, "subscribed(f-1) settled offers(1) stopped");
    assert_int_equal(sdk_scheduler_kill(w.scheduler, "t1", NULL, -1), SDK_E_DISCONNECTED);
    deinit(&w);
}

static void test_scheduler__unusable_names_are_told_at_once(void **state)
{
    static char user[] = "u";
    /* Labels have at most 63 bytes: no name server is asked. */
    const char *masters[] = {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa:5050"};
    Mesos__V1__FrameworkInfo framework = MESOS__V1__FRAMEWORK_INFO__INIT;
    struct sdk_config config = {.session = {.masters = masters, .master_count = 1, .framework = &framework}};
    struct sdk_callbacks callbacks = {0};
    struct err err = {0};
    (void)state;
    framework.user = framework.name = user;
    struct loop *loop = loop_ev_new();
    assert_null(sdk_scheduler_new(loop, &config, &callbacks, NULL, &err));
    assert_non_null(strstr(err.text, "master aaaa"));
    loop_ev_free(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scheduler__launches_and_acknowledges_in_order),
        cmocka_unit_test(test_scheduler__is_redirected_to_the_leader),
        cmocka_unit_test(test_scheduler__comes_back_and_reconciles),
        cmocka_unit_test(test_scheduler__refusal_has_the_master_s_words),
        cmocka_unit_test(test_scheduler__stop_inside_a_callback),
        cmocka_unit_test(test_scheduler__unusable_names_are_told_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
