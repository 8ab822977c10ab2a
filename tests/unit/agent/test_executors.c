/* SPDX-License-Identifier: Apache-2.0 */
#include "rig.h"

static void run_subscribed(struct rig *r)
{
    rig_run_custom(r, "c1", "e");
    rig_container_started(r, "e");
    rig_subscribe(r, "e", 1);
    rig_forget_trace(r);
}

static void test_end__of_the_container_decides_state_and_reason(void **state)
{
    (void)state;
    static const struct {
        enum launcher_end_reason reason;
        int status;
        const char *expected;
    } rows[] = {
        {LAUNCHER_END_EXITED, 256,
         "> exited e 256\n"
         "stream 1 close\n"
         "> status c1 FAILED_EXECUTOR_TERMINATED\n"},
        {LAUNCHER_END_EXITED, 0,
         "> exited e 0\n"
         "stream 1 close\n"
         "> status c1 FAILED_EXECUTOR_TERMINATED\n"},
        {LAUNCHER_END_MEMORY, 9,
         "> exited e 9\n"
         "stream 1 close\n"
         "> status c1 FAILED_CONTAINER_LIMITATION_MEMORY\n"},
        {LAUNCHER_END_PIDS, 9,
         "> exited e 9\n"
         "stream 1 close\n"
         "> status c1 FAILED_CONTAINER_LIMITATION\n"},
        {LAUNCHER_END_LOST, -1,
         "> exited e -1\n"
         "stream 1 close\n"
         "> status c1 FAILED_EXECUTOR_TERMINATED\n"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct rig *r = rig_ready();
        run_subscribed(r);
        rig_container_ended(r, "e", rows[i].reason, rows[i].status);
        rig_expect(r, rows[i].expected);
        rig_acknowledge(r, "c1");
        assert_int_equal(map_count(&r->disk), 3);
        rig_free(r);
    }
}

static void test_end__memory_names_the_limit(void **state)
{
    (void)state;
    struct rig *r = rig_ready();
    run_subscribed(r);
    r->hold_store = true;
    rig_container_ended(r, "e", LAUNCHER_END_MEMORY, 9);
    struct agent_event in = {.type = AGENT_IN_STORE_DONE, .store_done = {.token = r->held[0]}};
    in.now_ms = r->now_ms;
    in.wall_ms = r->wall_ms;
    assert_int_equal(agent_step(r->a, &in, &r->fx), 0);
    const Mesos__V1__TaskStatus *s = NULL;
    for (size_t i = 0; i < r->fx.count; i++) {
        if (r->fx.list[i].type == AGENT_OUT_LINK_SEND && r->fx.list[i].link.message->status_update)
            s = r->fx.list[i].link.message->status_update->status;
    }
    assert_non_null(s);
    assert_int_equal(s->limitation->n_resources, 1);
    assert_string_equal(s->limitation->resources[0]->name, "mem");
    assert_true(s->limitation->resources[0]->scalar->value == 64.0);
    assert_string_equal(s->container_status->container_id->value, rig_container(r, "e"));
    assert_int_equal(s->container_status->executor_pid, 4711);
    assert_string_equal(s->container_status->network_infos[0]->ip_addresses[0]->ip_address, "10.0.0.7");
    rig_free(r);
}

static void test_end__failed_launch(void **state)
{
    (void)state;
    struct rig *r = rig_ready();
    rig_run_command(r, "t1");
    rig_container_ended(r, "t1", LAUNCHER_END_LAUNCH_FAILED, -1);
    rig_expect(r, "launch t1 builtin\n> status t1 FAILED_CONTAINER_LAUNCH_FAILED\n");
    rig_free(r);
}

static void test_registration__in_time_or_destroyed(void **state)
{
    (void)state;
    struct rig *r = rig_ready();
    rig_run_custom(r, "c1", "e");
    rig_wait(r, 65000); /* fetching takes what it takes */
    rig_ping(r, 1, true);
    rig_expect(r, "launch e ./run\n> pong 1\n");
    rig_container_started(r, "e");
    rig_wait(r, 59999);
    rig_expect(r, "");
    rig_wait(r, 1);
    rig_expect(r, "destroy e\n");
    rig_container_ended(r, "e", LAUNCHER_END_DESTROYED, 9);
    rig_expect(r, "> exited e 9\n> status c1 FAILED_EXECUTOR_REGISTRATION_TIMEOUT\n");
    rig_free(r);
}

static void test_shutdown__grace_then_destroyed(void **state)
{
    (void)state;
    struct rig *r = rig_ready();
    run_subscribed(r);
    rig_update(r, "e", "c1", "RUNNING");
    rig_forget_trace(r);
    rig_shutdown_executor(r, "e");
    rig_shutdown_executor(r, "e"); /* safe to repeat */
    rig_expect(r, "stream 1 SHUTDOWN\n");
    rig_wait(r, 4999);
    rig_expect(r, "");
    rig_wait(r, 1);
    rig_expect(r, "destroy e\n");
    rig_container_ended(r, "e", LAUNCHER_END_DESTROYED, 9);
    rig_acknowledge(r, "c1");
    rig_expect(r, "> exited e 9\nstream 1 close\n> status c1 FAILED_EXECUTOR_TERMINATED\n");
    rig_free(r);
}

static void test_shutdown__task_for_a_terminating_executor_is_dropped(void **state)
{
    (void)state;
    struct rig *r = rig_ready();
    run_subscribed(r);
    rig_shutdown_executor(r, "e");
    rig_forget_trace(r);
    rig_run_custom(r, "c2", "e");
    rig_expect(r, "> status c2 DROPPED_EXECUTOR_TERMINATED\n");
    rig_free(r);
    r = rig_ready();
    r->partition_aware = false;
    run_subscribed(r);
    rig_shutdown_executor(r, "e");
    rig_forget_trace(r);
    rig_run_custom(r, "c2", "e");
    rig_expect(r, "> status c2 LOST_EXECUTOR_TERMINATED\n");
    rig_free(r);
}

static void test_stream__lost_one_is_not_the_executors_end(void **state)
{
    (void)state;
    struct rig *r = rig_ready();
    run_subscribed(r);
    rig_update(r, "e", "c1", "RUNNING");
    rig_acknowledge(r, "c1");
    rig_stream_closed(r, 1);
    rig_run_custom(r, "c2", "e");
    rig_forget_trace(r);
    for (int i = 0; i < 20; i++) {
        rig_ping(r, 1, true);
        rig_wait(r, 60000);
    }
    rig_forget_trace(r);
    rig_subscribe(r, "e", 2);
    rig_expect(r, "stream 2 open\nstream 2 SUBSCRIBED\nstream 2 LAUNCH c2\n");
    rig_free(r);
}

static void test_stream__second_subscription_replaces_the_first(void **state)
{
    (void)state;
    struct rig *r = rig_ready();
    run_subscribed(r);
    rig_update(r, "e", "c1", "RUNNING");
    rig_forget_trace(r);
    rig_subscribe(r, "e", 2);
    rig_expect(r, "stream 1 close\nstream 2 open\nstream 2 SUBSCRIBED\n");
    rig_stream_closed(r, 1); /* late news of the old one */
    rig_kill(r, "c1");
    rig_expect(r, "stream 2 KILL c1\n");
    rig_free(r);
}

static void test_stream__task_lost_with_it_is_sent_again(void **state)
{
    (void)state;
    struct rig *r = rig_ready();
    run_subscribed(r);
    rig_stream_closed(r, 1);
    rig_subscribe_with(r, "e", 2, "{\"name\":\"n\",\"task_id\":{\"value\":\"c1\"},\"agent_id\":{\"value\":\"a\"}}", "");
    rig_expect(r, "stream 2 open\nstream 2 SUBSCRIBED\n"); /* it has it */
    rig_stream_closed(r, 2);
    rig_subscribe(r, "e", 3);
    rig_expect(r, "stream 3 open\nstream 3 SUBSCRIBED\nstream 3 LAUNCH c1\n"); /* it has not */
    rig_free(r);
}

static void test_stream__unacknowledged_updates_come_with_the_subscription(void **state)
{
    (void)state;
    struct rig *r = rig_ready();
    run_subscribed(r);
    rig_stream_closed(r, 1);
    rig_subscribe_with(r, "e", 2, "", arena_printf(r->arena, "{\"status\":%s}", rig_status_json(r, "c1", "RUNNING", 5)));
    rig_expect(r, "stream 2 open\nstream 2 SUBSCRIBED\nstream 2 ACKNOWLEDGED c1\n> status c1 RUNNING\n");
    rig_free(r);
}

static void test_stream__heartbeat_every_half_hour(void **state)
{
    (void)state;
    struct rig *r = rig_ready();
    run_subscribed(r);
    for (int i = 0; i < 29; i++) {
        rig_ping(r, 1, true);
        rig_wait(r, 60000);
    }
    rig_ping(r, 1, true);
    rig_forget_trace(r);
    rig_wait(r, 60000);
    rig_expect(r, "stream 1 HEARTBEAT\n");
    rig_free(r);
}

static void test_messages__pass_both_ways_or_are_dropped(void **state)
{
    (void)state;
    struct rig *r = rig_ready();
    rig_run_custom(r, "c1", "e");
    Muster__Link__ExecutorMessage message = MUSTER__LINK__EXECUTOR_MESSAGE__INIT;
    message.framework_id = rig_framework_id(r);
    message.executor_id = RIG_JSON(r, mesos__v1__executor_id, "{\"value\":\"e\"}");
    message.data = (ProtobufCBinaryData){.data = (uint8_t *)(uintptr_t) "ping", .len = 4};
    Muster__Link__MasterToAgent m = MUSTER__LINK__MASTER_TO_AGENT__INIT;
    m.framework_message = &message;
    rig_forget_trace(r);
    rig_from_master(r, &m);
    rig_expect(r, ""); /* registering: dropped, never queued */
    rig_container_started(r, "e");
    rig_subscribe(r, "e", 1);
    rig_forget_trace(r);
    rig_from_master(r, &m);
    rig_expect(r, "stream 1 MESSAGE ping\n");
    const char *call =
        "{\"type\":\"MESSAGE\",\"executor_id\":{\"value\":\"e\"},\"framework_id\":{\"value\":\"" RIG_FRAMEWORK
        "\"},\"message\":{\"data\":\"cG9uZw==\"}}";
    rig_call(r, call, 0);
    rig_expect(r, "reply 2 202\n> message e pong\n");
    rig_link_down(r);
    rig_call(r, call, 0);
    rig_expect(r, "reply 3 202\n");
    rig_free(r);
}

static void call(struct rig *r, const char *type, const char *framework, const char *executor, const char *more,
                 int expected)
{
    rig_call(r,
             arena_printf(r->arena, "{%s\"executor_id\":{\"value\":\"%s\"},\"framework_id\":{\"value\":\"%s\"}%s}", type,
                          executor, framework, more),
             0);
    rig_expect(r, arena_printf(r->arena, "reply %llu %d\n", (unsigned long long)r->next_request, expected));
}

static void test_calls__answers(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    rig_boot(r);
    rig_forget_trace(r);
    call(r, "\"type\":\"MESSAGE\",", RIG_FRAMEWORK, "e", "", 503); /* recovering */
    rig_free(r);
    r = rig_ready();
    rig_run_custom(r, "c1", "e");
    rig_forget_trace(r);
    const char *data = ",\"message\":{\"data\":\"cG9uZw==\"}";
    call(r, "", RIG_FRAMEWORK, "e", data, 400);
    call(r, "\"type\":\"UNKNOWN\",", RIG_FRAMEWORK, "e", "", 501);
    call(r, "\"type\":\"HEARTBEAT\",", "x", "y", "", 202);
    call(r, "\"type\":\"MESSAGE\",", RIG_FRAMEWORK, "e", "", 400);
    call(r, "\"type\":\"MESSAGE\",", "x", "e", data, 400);
    call(r, "\"type\":\"MESSAGE\",", RIG_FRAMEWORK, "x", data, 400);
    call(r, "\"type\":\"MESSAGE\",", RIG_FRAMEWORK, "e", data, 403); /* not subscribed */
    call(r, "\"type\":\"SUBSCRIBE\",", RIG_FRAMEWORK, "x", ",\"subscribe\":{}", 400);
    rig_free(r);
}

static void test_calls__an_executor_speaks_for_its_own_tasks_only(void **state)
{
    (void)state;
    struct rig *r = rig_ready();
    rig_run_to_running(r, "t1", 9);
    run_subscribed(r);
    rig_update(r, "e", "t1", "FAILED");
    assert_int_equal(agent_task_state(r->a, RIG_FRAMEWORK, "t1"), MESOS__V1__TASK_STATE__TASK_RUNNING);
    rig_expect(r, "stream 1 ACKNOWLEDGED t1\nreply 5 202\n");
    rig_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_end__of_the_container_decides_state_and_reason),
        cmocka_unit_test(test_end__memory_names_the_limit),
        cmocka_unit_test(test_end__failed_launch),
        cmocka_unit_test(test_registration__in_time_or_destroyed),
        cmocka_unit_test(test_shutdown__grace_then_destroyed),
        cmocka_unit_test(test_shutdown__task_for_a_terminating_executor_is_dropped),
        cmocka_unit_test(test_stream__lost_one_is_not_the_executors_end),
        cmocka_unit_test(test_stream__second_subscription_replaces_the_first),
        cmocka_unit_test(test_stream__task_lost_with_it_is_sent_again),
        cmocka_unit_test(test_stream__unacknowledged_updates_come_with_the_subscription),
        cmocka_unit_test(test_stream__heartbeat_every_half_hour),
        cmocka_unit_test(test_messages__pass_both_ways_or_are_dropped),
        cmocka_unit_test(test_calls__answers),
        cmocka_unit_test(test_calls__an_executor_speaks_for_its_own_tasks_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
