/* SPDX-License-Identifier: Apache-2.0
 * test_link.c - the conversation with the agent: what is repeated after an interruption, when patience ends, and when the
 * executor is done. */
#include "unit/executor/harness.h"

#define EXIT(code) ((code) << 8)
#define COMMAND SUBSCRIBED("CUSTOM", "")

/* Reconnects and subscribes again; the log then starts with the connect. */
static void come_back(struct world *w)
{
    advance(w, 2000);
    subscribe(w, COMMAND);
}

static void test_link__resubscribes_with_what_was_not_acknowledged(void **state)
{
    struct world w;
    (void)state;
    world_init(&w, true, COMMAND);
    w.acknowledges = false;
    receive_json(&w, LAUNCH(TASK("t1", "")));
    started(&w, 1);
    expect(&w, "start(1) t1:STARTING t1:RUNNING");
    stream_closed(&w);
    expect(&w, "");
    come_back(&w);
    expect(&w, "connect(tasks=1,updates=2)"); /* and they are not sent again as calls */
    acknowledge_all(&w);
    stream_closed(&w);
    come_back(&w);
    expect(&w, "connect(tasks=0,updates=0)");
    w.acknowledges = true;
    exited(&w, 1, EXIT(0));
    expect(&w, "t1:FINISHED exit(0)");
    world_deinit(&w);
}

static void test_link__updates_wait_for_the_subscription(void **state)
{
    struct world w;
    (void)state;
    world_init(&w, true, COMMAND);
    receive_json(&w, LAUNCH(TASK("t1", "")));
    expect(&w, "start(1) t1:STARTING");
    stream_closed(&w);
    advance(&w, 2000);
    expect(&w, "connect(tasks=0,updates=0)");
    started(&w, 1); /* after the SUBSCRIBE call was built, before its answer */
    expect(&w, "");
    subscribe(&w, COMMAND);
    expect(&w, "t1:RUNNING");
    world_deinit(&w);
}

static void test_link__one_call_at_a_time_in_order(void **state)
{
    struct world w;
    (void)state;
    world_init(&w, true, COMMAND);
    w.answers = false;
    receive_json(&w, LAUNCH(TASK("t1", "")));
    started(&w, 1);
    exited(&w, 1, EXIT(0));
    expect(&w, "start(1) t1:STARTING");
    w.answers = true;
    step(&w,
         (struct executor_event){.type = EXECUTOR_EVENT_CALL_DONE, .connection = w.connection, .done = {.status = 202}});
    expect(&w, "t1:RUNNING t1:FINISHED exit(0)");
    world_deinit(&w);
}

static void test_link__failed_call_is_told_again_by_the_next_subscription(void **state)
{
    struct world w;
    (void)state;
    world_init(&w, true, COMMAND);
    w.answers = false;
    receive_json(&w, LAUNCH(TASK("t1", "")));
    expect(&w, "start(1) t1:STARTING");
    step(&w,
         (struct executor_event){.type = EXECUTOR_EVENT_CALL_DONE, .connection = w.connection, .done = {.status = 503}});
    expect(&w, "close");
    come_back(&w);
    expect(&w, "connect(tasks=1,updates=1)");
    world_deinit(&w);
}

static void test_link__refused_update_does_not_block_the_others(void **state)
{
    struct world w;
    (void)state;
    world_init(&w, true, COMMAND);
    w.answers = false;
    receive_json(&w, LAUNCH(TASK("t1", "")));
    started(&w, 1);
    expect(&w, "start(1) t1:STARTING");
    step(&w,
         (struct executor_event){.type = EXECUTOR_EVENT_CALL_DONE, .connection = w.connection, .done = {.status = 400}});
    expect(&w, "t1:RUNNING");
    world_deinit(&w);
}

static void test_link__without_checkpoint_tasks_go_with_the_connection(void **state)
{
    struct world w;
    (void)state;
    world_init(&w, false, COMMAND);
    receive_json(&w, LAUNCH(TASK("t1", "")));
    started(&w, 1);
    expect(&w, "start(1) t1:STARTING t1:RUNNING");
    stream_closed(&w);
    expect(&w, "signal(1,TERM,all)");
    advance(&w, 3000); /* 5 s of the agent less 2 s */
    expect(&w, "signal(1,KILL,all)");
    exited(&w, 1, SIGKILL);
    expect(&w, "exit(0)");
    world_deinit(&w);
}

static void test_link__gives_up_after_the_recovery_timeout(void **state)
{
    struct world w;
    int64_t lost_ms;
    (void)state;
    world_init(&w, true, COMMAND);
    receive_json(&w, LAUNCH(TASK("t1", "")));
    started(&w, 1);
    stream_closed(&w);
    lost_ms = w.now_ms;
    buf_clear(&w.log);
    while (w.now_ms < lost_ms + 890000) {
        advance(&w, 2000);
        assert_true(buf_len(&w.log) > 0); /* tries at least once in the time that the agent names */
        buf_clear(&w.log);
        step(&w, (struct executor_event){
                     .type = EXECUTOR_EVENT_STREAM_ANSWER, .connection = w.connection, .answer = {.status = 503}});
        expect(&w, "close");
    }
    advance(&w, lost_ms + 900000 - w.now_ms - 1);
    buf_clear(&w.log);
    advance(&w, 1);
    expect(&w, "signal(1,TERM,all)");
    exited(&w, 1, SIGTERM);
    expect(&w, "exit(0)");
    world_deinit(&w);
}

static void test_link__never_subscribed_ends_with_1(void **state)
{
    struct world w;
    (void)state;
    world_init(&w, true, NULL);
    stream_closed(&w);
    w.now_ms += EXECUTOR_REGISTRATION_MS - 1;
    tick(&w);
    expect(&w, "connect(tasks=0,updates=0)");
    w.now_ms += 1;
    tick(&w);
    expect(&w, "exit(1)");
    world_deinit(&w);
}

static void test_link__last_acknowledgement_is_waited_for_60_s(void **state)
{
    struct world w;
    (void)state;
    world_init(&w, true, COMMAND);
    w.acknowledges = false;
    receive_json(&w, LAUNCH(TASK("t1", "")));
    started(&w, 1);
    exited(&w, 1, EXIT(0));
    expect(&w, "start(1) t1:STARTING t1:RUNNING t1:FINISHED");
    advance(&w, 59999);
    expect(&w, "");
    advance(&w, 1);
    expect(&w, "exit(0)");
    world_deinit(&w);
}

static void test_link__result_survives_a_restart_of_the_agent(void **state)
{
    struct world w;
    (void)state;
    world_init(&w, true, COMMAND);
    receive_json(&w, LAUNCH(TASK("t1", "")));
    started(&w, 1);
    stream_closed(&w);
    exited(&w, 1, EXIT(0));
    w.now_ms += 300000; /* the agent is away for five minutes */
    tick(&w);
    expect(&w, "start(1) t1:STARTING t1:RUNNING connect(tasks=0,updates=1)");
    subscribe(&w, COMMAND);
    expect(&w, "");
    acknowledge_all(&w);
    expect(&w, "exit(0)");
    world_deinit(&w);
}

static void test_link__shutdown_kills_and_ends(void **state)
{
    struct world w;
    (void)state;
    world_init(&w, true, SUBSCRIBED("CUSTOM", KILLING_STATE));
    receive_json(&w, LAUNCH(TASK("t1", "")));
    started(&w, 1);
    buf_clear(&w.log);
    receive_json(&w, "{\"type\":\"SHUTDOWN\"}");
    expect(&w, "signal(1,TERM,all) t1:KILLING");
    receive_json(&w, LAUNCH(TASK("t2", ""))); /* too late */
    expect(&w, "");
    advance(&w, 3000);
    expect(&w, "signal(1,KILL,all)");
    exited(&w, 1, SIGKILL);
    expect(&w, "t1:KILLED exit(0)");
    world_deinit(&w);
}

static void test_link__shutdown_instead_of_subscribed(void **state)
{
    struct world w;
    (void)state;
    world_init(&w, true, NULL);
    receive_json(&w, "{\"type\":\"SHUTDOWN\"}");
    expect(&w, "exit(0)");
    world_deinit(&w);
}

static void test_link__terminate_is_a_shutdown(void **state)
{
    struct world w;
    (void)state;
    world_init(&w, true, COMMAND);
    receive_json(&w, LAUNCH(TASK("t1", "")));
    started(&w, 1);
    buf_clear(&w.log);
    step(&w, (struct executor_event){.type = EXECUTOR_EVENT_TERMINATE});
    expect(&w, "signal(1,TERM,all)");
    world_deinit(&w);
}

static void test_link__heartbeats_every_30_minutes(void **state)
{
    struct world w;
    (void)state;
    world_init(&w, true, COMMAND);
    advance(&w, EXECUTOR_HEARTBEAT_MS - 1);
    expect(&w, "");
    advance(&w, 1);
    expect(&w, "heartbeat");
    advance(&w, EXECUTOR_HEARTBEAT_MS);
    expect(&w, "heartbeat");
    world_deinit(&w);
}

static void test_link__events_of_an_old_connection_are_ignored(void **state)
{
    struct world w;
    uint64_t old;
    (void)state;
    world_init(&w, true, COMMAND);
    old = w.connection;
    stream_closed(&w);
    come_back(&w);
    expect(&w, "connect(tasks=0,updates=0)");
    w.connection = old;
    stream_closed(&w);
    receive_json(&w, LAUNCH(TASK("t1", "")));
    expect(&w, "");
    world_deinit(&w);
}

static void test_link__stream_must_start_with_subscribed(void **state)
{
    struct world w;
    (void)state;
    world_init(&w, true, NULL);
    receive_json(&w, LAUNCH(TASK("t1", "")));
    expect(&w, "close");
    world_deinit(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_link__resubscribes_with_what_was_not_acknowledged),
        cmocka_unit_test(test_link__updates_wait_for_the_subscription),
        cmocka_unit_test(test_link__one_call_at_a_time_in_order),
        cmocka_unit_test(test_link__failed_call_is_told_again_by_the_next_subscription),
        cmocka_unit_test(test_link__refused_update_does_not_block_the_others),
        cmocka_unit_test(test_link__without_checkpoint_tasks_go_with_the_connection),
        cmocka_unit_test(test_link__gives_up_after_the_recovery_timeout),
        cmocka_unit_test(test_link__never_subscribed_ends_with_1),
        cmocka_unit_test(test_link__last_acknowledgement_is_waited_for_60_s),
        cmocka_unit_test(test_link__result_survives_a_restart_of_the_agent),
        cmocka_unit_test(test_link__shutdown_kills_and_ends),
        cmocka_unit_test(test_link__shutdown_instead_of_subscribed),
        cmocka_unit_test(test_link__terminate_is_a_shutdown),
        cmocka_unit_test(test_link__heartbeats_every_30_minutes),
        cmocka_unit_test(test_link__events_of_an_old_connection_are_ignored),
        cmocka_unit_test(test_link__stream_must_start_with_subscribed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
