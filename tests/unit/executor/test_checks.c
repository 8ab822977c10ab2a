/* SPDX-License-Identifier: Apache-2.0
 * test_checks.c - health checks and general checks as sequences of results. */
#include "unit/executor/harness.h"

#define HEALTH_TCP                                                                                                         \
    ",\"health_check\":{\"type\":\"TCP\",\"tcp\":{\"port\":80},\"delay_seconds\":1,\"interval_seconds\":2,\"timeout_"      \
    "seconds\":"                                                                                                           \
    "5,\"consecutive_failures\":2,\"grace_period_seconds\":4}"
#define UNHEALTHY "t1:RUNNING/unhealthy/reason=TASK_HEALTH_CHECK_STATUS_UPDATED"
#define HEALTHY "t1:RUNNING/healthy/reason=TASK_HEALTH_CHECK_STATUS_UPDATED"

static void run(struct world *w, const char *launch)
{
    world_init(w, true, SUBSCRIBED("CUSTOM", KILLING_STATE));
    receive_json(w, "%s", launch);
    started(w, 1);
    buf_clear(&w->log);
}

/* One row: wait, what starts, its result, what follows. */
struct row {
    int64_t wait_ms;
    const char *starts;
    enum executor_check_result result;
    const char *follows;
};

static void run_rows(struct world *w, const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        advance(w, rows[i].wait_ms - 1);
        expect(w, "");
        advance(w, 1);
        expect(w, rows[i].starts);
        checked(w, rows[i].result, 0);
        expect(w, rows[i].follows);
    }
}

static void test_health__failures_in_the_grace_period_do_not_count(void **state)
{
    static const struct row rows[] = {
        {1000, "check(1,tcp)", EXECUTOR_CHECK_REFUSED, ""}, /* at 1 s and 3 s: below 4 s of grace */
        {2000, "check(2,tcp)", EXECUTOR_CHECK_REFUSED, ""},
        {2000, "check(3,tcp)", EXECUTOR_CHECK_REFUSED, UNHEALTHY},
        {2000, "check(4,tcp)", EXECUTOR_CHECK_REFUSED, "signal(1,TERM,all) " UNHEALTHY " t1:KILLING/unhealthy"},
    };
    struct world w;
    (void)state;
    run(&w, LAUNCH(TASK("t1", HEALTH_TCP)));
    run_rows(&w, rows, sizeof(rows) / sizeof(rows[0]));
    exited(&w, 1, SIGTERM);
    expect(&w, "t1:KILLED/unhealthy exit(0)");
    world_deinit(&w);
}

static void test_health__first_success_ends_the_grace_period(void **state)
{
    static const struct row rows[] = {
        {1000, "check(1,tcp)", EXECUTOR_CHECK_CONNECTED, HEALTHY},
        {2000, "check(2,tcp)", EXECUTOR_CHECK_CONNECTED, ""}, /* no news */
    };
    static const struct row later[] = {
        {2000, "check(3,tcp)", EXECUTOR_CHECK_REFUSED, UNHEALTHY},
        {2000, "check(4,tcp)", EXECUTOR_CHECK_CONNECTED, HEALTHY}, /* the count starts again */
        {2000, "check(5,tcp)", EXECUTOR_CHECK_FAILED, UNHEALTHY},
        {2000, "check(6,tcp)", EXECUTOR_CHECK_FAILED, "signal(1,TERM,all) " UNHEALTHY " t1:KILLING/unhealthy"},
    };
    struct world w;
    (void)state;
    run(&w, LAUNCH(TASK("t1", HEALTH_TCP)));
    run_rows(&w, rows, 2);
    run_rows(&w, later, 4);
    world_deinit(&w);
}

static void test_health__http_200_to_399_is_healthy(void **state)
{
    static const struct {
        int status;
        const char *follows;
    } cases[] = {{199, UNHEALTHY}, {200, HEALTHY}, {399, HEALTHY}, {400, UNHEALTHY}, {503, UNHEALTHY}};
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct world w;
        run(&w, LAUNCH(TASK("t1", ",\"health_check\":{\"type\":\"HTTP\",\"http\":{\"port\":80,\"path\":\"/x\"},"
                                  "\"delay_seconds\":0,\"grace_period_seconds\":0}")));
        tick(&w);
        buf_clear(&w.log);
        checked(&w, EXECUTOR_CHECK_HTTP, cases[i].status);
        expect(&w, cases[i].follows);
        world_deinit(&w);
    }
}

static void test_health__command_by_exit_code_with_defaults(void **state)
{
    struct world w;
    (void)state;
    run(&w,
        LAUNCH(TASK("t1", ",\"health_check\":{\"command\":{\"value\":\"true\"}}"))); /* the type is seen from the field */
    advance(&w, 14999);
    expect(&w, "");
    advance(&w, 1);
    expect(&w, "check(1,command)");
    checked(&w, EXECUTOR_CHECK_EXITED, 0);
    expect(&w, HEALTHY);
    for (int i = 2; i <= 4; i++) {
        char want[160];
        advance(&w, 10000);
        (void)snprintf(want, sizeof(want), "check(%d,command)", i);
        expect(&w, want);
        checked(&w, EXECUTOR_CHECK_EXITED, 1);
        expect(&w, i < 4 ? UNHEALTHY : "signal(1,TERM,all) " UNHEALTHY " t1:KILLING/unhealthy");
    }
    world_deinit(&w);
}

static void test_health__timeout_is_a_failure(void **state)
{
    struct world w;
    (void)state;
    run(&w, LAUNCH(TASK("t1", HEALTH_TCP)));
    advance(&w, 1000);
    expect(&w, "check(1,tcp)");
    advance(&w, 4999);
    expect(&w, "");
    advance(&w, 1);
    expect(&w, "cancel(1) " UNHEALTHY);
    checked(&w, EXECUTOR_CHECK_CONNECTED, 0); /* too late */
    expect(&w, "");
    advance(&w, 2000); /* interval after the end of the previous one */
    expect(&w, "check(2,tcp)");
    world_deinit(&w);
}

static void test_health__no_timeout_waits(void **state)
{
    struct world w;
    (void)state;
    run(&w, LAUNCH(TASK("t1", ",\"health_check\":{\"type\":\"TCP\",\"tcp\":{\"port\":80},\"delay_seconds\":0,"
                              "\"timeout_seconds\":0}"))); /* the first one starts at once */
    advance(&w, 1000000);
    expect(&w, "");
    world_deinit(&w);
}

static void test_health__kill_stops_the_checks(void **state)
{
    struct world w;
    (void)state;
    run(&w, LAUNCH(TASK("t1", HEALTH_TCP)));
    advance(&w, 1000);
    expect(&w, "check(1,tcp)");
    receive_json(&w, KILL("t1", ""));
    expect(&w, "cancel(1) signal(1,TERM,all) t1:KILLING");
    advance(&w, 2999);
    expect(&w, "");
    exited(&w, 1, SIGTERM);
    expect(&w, "t1:KILLED exit(0)");
    world_deinit(&w);
}

static void test_health__flapping_while_the_agent_is_away_is_bounded(void **state)
{
    struct world w;
    (void)state;
    run(&w, LAUNCH(TASK("t1", ",\"health_check\":{\"type\":\"TCP\",\"tcp\":{\"port\":80},\"delay_seconds\":0,"
                              "\"interval_seconds\":1,\"consecutive_failures\":1000,\"grace_period_seconds\":0}")));
    stream_closed(&w);
    w.now_ms += 1;
    for (int i = 0; i < 200; i++) {
        w.now_ms += 1000;
        tick(&w);
        checked(&w, i % 2 ? EXECUTOR_CHECK_REFUSED : EXECUTOR_CHECK_CONNECTED, 0);
    }
    stream_closed(&w);
    buf_clear(&w.log);
    w.now_ms += 2000;
    tick(&w);
    assert_non_null(strstr((const char *)buf_data(&w.log), "connect("));
    assert_true(w.uuid_count <= 2); /* carried by the attempt before, and the newest */
    world_deinit(&w);
}

static void test_health__invalid_ones_fail_the_task(void **state)
{
    static const struct {
        const char *check, *message;
    } cases[] = {
        {"\"health_check\":{\"type\":\"HTTP\"}", "health_check: http is missing"},
        {"\"health_check\":{\"type\":\"TCP\",\"tcp\":{\"port\":0}}", "health_check: port 0 is out of range"},
        {"\"health_check\":{\"type\":\"TCP\",\"tcp\":{\"port\":70000}}", "health_check: port 70000 is out of range"},
        {"\"health_check\":{\"type\":\"HTTP\",\"http\":{\"port\":80,\"path\":\"/a b\"}}",
         "health_check: path has a space or control character"},
        {"\"health_check\":{\"type\":\"HTTP\",\"http\":{\"port\":80,\"path\":\"x\"}}",
         "health_check: path must start with '/' and have at most 4096 bytes"},
        {"\"health_check\":{\"type\":\"TCP\",\"tcp\":{\"port\":80},\"interval_seconds\":-1}",
         "health_check: interval_seconds must be a number of seconds, at least 0"},
        {"\"health_check\":{}", "health_check: type must be COMMAND, HTTP or TCP"},
        {"\"check\":{\"type\":\"COMMAND\"}", "check: a command is needed"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct world w;
        world_init(&w, true, SUBSCRIBED("CUSTOM", ""));
        receive_json(
            &w,
            "{\"type\":\"LAUNCH\",\"launch\":{\"task\":{\"name\":\"n\",\"task_id\":{\"value\":\"t1\"},\"agent_id\":"
            "{\"value\":\"a\"},\"command\":{\"value\":\"x\"},%s}}}",
            cases[i].check);
        assert_string_equal(w.message, cases[i].message);
        world_deinit(&w);
    }
}

/* -- general checks ---------------------------------------------------------------------------------------------- */

#define CHECKED(what) "t1:RUNNING/reason=TASK_CHECK_STATUS_UPDATED/" what

static void test_check__reports_changes_only_and_never_kills(void **state)
{
    struct world w;
    (void)state;
    world_init(&w, true, SUBSCRIBED("CUSTOM", ""));
    receive_json(&w, "%s",
                 LAUNCH(TASK("t1", ",\"check\":{\"type\":\"COMMAND\",\"command\":{\"command\":{\"value\":\"x\"}},"
                                   "\"delay_seconds\":0,\"interval_seconds\":1,\"timeout_seconds\":3}")));
    started(&w, 1);
    expect(&w, "start(1) t1:STARTING/check check(1,command) t1:RUNNING/check");
    checked(&w, EXECUTOR_CHECK_EXITED, 1);
    expect(&w, CHECKED("exit=1"));
    advance(&w, 1000);
    checked(&w, EXECUTOR_CHECK_EXITED, 1);
    expect(&w, "check(2,command)");
    advance(&w, 1000);
    checked(&w, EXECUTOR_CHECK_EXITED, 0);
    expect(&w, "check(3,command) " CHECKED("exit=0"));
    advance(&w, 1000);
    advance(&w, 3000);
    expect(&w, "check(4,command) cancel(4) " CHECKED("check")); /* timed out: empty */
    exited(&w, 1, 0);
    expect(&w, "t1:FINISHED/check exit(0)");
    world_deinit(&w);
}

static void test_check__http_and_tcp_values(void **state)
{
    struct world w;
    (void)state;
    run(&w, LAUNCH(TASK("t1", ",\"check\":{\"type\":\"HTTP\",\"http\":{\"port\":8080},\"delay_seconds\":0}")));
    checked(&w, EXECUTOR_CHECK_HTTP, 503);
    expect(&w, CHECKED("http=503"));
    world_deinit(&w);
    run(&w, LAUNCH(TASK("t1", ",\"check\":{\"type\":\"TCP\",\"tcp\":{\"port\":8080},\"delay_seconds\":0}")));
    checked(&w, EXECUTOR_CHECK_REFUSED, 0);
    expect(&w, CHECKED("tcp=0"));
    advance(&w, 10000);
    checked(&w, EXECUTOR_CHECK_CONNECTED, 0);
    expect(&w, "check(2,tcp) " CHECKED("tcp=1"));
    world_deinit(&w);
}

static void test_check__beside_a_health_check(void **state)
{
    struct world w;
    (void)state;
    run(&w, LAUNCH(TASK("t1", ",\"health_check\":{\"type\":\"TCP\",\"tcp\":{\"port\":80},\"delay_seconds\":0},"
                              "\"check\":{\"type\":\"TCP\",\"tcp\":{\"port\":81},\"delay_seconds\":1}")));
    checked(&w, EXECUTOR_CHECK_CONNECTED, 0);
    expect(&w, HEALTHY "/check");
    advance(&w, 1000);
    checked(&w, EXECUTOR_CHECK_CONNECTED, 0);
    expect(&w, "check(2,tcp) t1:RUNNING/healthy/reason=TASK_CHECK_STATUS_UPDATED/tcp=1");
    world_deinit(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_health__failures_in_the_grace_period_do_not_count),
        cmocka_unit_test(test_health__first_success_ends_the_grace_period),
        cmocka_unit_test(test_health__http_200_to_399_is_healthy),
        cmocka_unit_test(test_health__command_by_exit_code_with_defaults),
        cmocka_unit_test(test_health__timeout_is_a_failure),
        cmocka_unit_test(test_health__no_timeout_waits),
        cmocka_unit_test(test_health__kill_stops_the_checks),
        cmocka_unit_test(test_health__flapping_while_the_agent_is_away_is_bounded),
        cmocka_unit_test(test_health__invalid_ones_fail_the_task),
        cmocka_unit_test(test_check__reports_changes_only_and_never_kills),
        cmocka_unit_test(test_check__http_and_tcp_values),
        cmocka_unit_test(test_check__beside_a_health_check),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
