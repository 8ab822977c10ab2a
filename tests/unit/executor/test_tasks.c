/* SPDX-License-Identifier: Apache-2.0
 * test_tasks.c - tasks from launch to end: states, messages, kills, groups, environment. */
#include "unit/executor/harness.h"

#define EXIT(code) ((code) << 8)

static void test_tasks__command_runs_to_its_end(void **state)
{
    struct world w;
    (void)state;
    world_init(&w, false, SUBSCRIBED("CUSTOM", ""));
    receive_json(&w, LAUNCH(TASK("t1", "")));
    expect(&w, "start(1) t1:STARTING");
    assert_string_equal(w.directory, "/sandbox");
    started(&w, 1);
    expect(&w, "t1:RUNNING");
    exited(&w, 1, EXIT(0));
    expect(&w, "t1:FINISHED exit(0)");
    assert_string_equal(w.message, "Command exited with status 0");
    world_deinit(&w);
}

static void test_tasks__end_states_and_messages(void **state)
{
    static const struct {
        int status;
        const char *state, *message;
    } cases[] = {
        {EXIT(1), "t1:FAILED exit(0)", "Command exited with status 1"},
        {EXIT(127), "t1:FAILED exit(0)", "Command exited with status 127"},
        {SIGKILL, "t1:FAILED exit(0)", "Command terminated with signal Killed"},
        {SIGTERM, "t1:FAILED exit(0)", "Command terminated with signal Terminated"},
        {SIGSEGV | 0x80, "t1:FAILED exit(0)", "Command terminated with signal Segmentation fault"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct world w;
        world_init(&w, false, SUBSCRIBED("CUSTOM", ""));
        receive_json(&w, LAUNCH(TASK("t1", "")));
        started(&w, 1);
        expect(&w, "start(1) t1:STARTING t1:RUNNING");
        exited(&w, 1, cases[i].status);
        expect(&w, cases[i].state);
        assert_string_equal(w.message, cases[i].message);
        world_deinit(&w);
    }
}

static void test_tasks__not_startable_is_failed(void **state)
{
    struct world w;
    (void)state;
    world_init(&w, false, SUBSCRIBED("CUSTOM", ""));
    receive_json(&w, LAUNCH(TASK("t1", "")));
    expect(&w, "start(1) t1:STARTING");
    step(&w, (struct executor_event){.type = EXECUTOR_EVENT_PROCESS_FAILED, .process = {.id = 1, .text = "no such file"}});
    expect(&w, "t1:FAILED exit(0)");
    assert_string_equal(w.message, "Failed to start the command: no such file");
    world_deinit(&w);
}

static void test_tasks__kill_escalates_after_grace(void **state)
{
    struct world w;
    (void)state;
    world_init(&w, false, SUBSCRIBED("CUSTOM", KILLING_STATE));
    receive_json(&w, LAUNCH(TASK("t1", "")));
    started(&w, 1);
    expect(&w, "start(1) t1:STARTING t1:RUNNING");
    receive_json(&w, KILL("t1", ""));
    expect(&w, "signal(1,TERM,all) t1:KILLING");
    advance(&w, 2999);
    expect(&w, "");
    advance(&w, 1);
    expect(&w, "signal(1,KILL,all)");
    advance(&w, 1000); /* until it is gone */
    expect(&w, "signal(1,KILL,all)");
    exited(&w, 1, SIGKILL);
    expect(&w, "t1:KILLED exit(0)");
    assert_string_equal(w.message, "Command terminated with signal Killed");
    world_deinit(&w);
}

static void test_tasks__killed_counts_even_with_exit_0_and_without_killing_state(void **state)
{
    struct world w;
    (void)state;
    world_init(&w, false, SUBSCRIBED("CUSTOM", ""));
    receive_json(&w, LAUNCH(TASK("t1", "")));
    started(&w, 1);
    receive_json(&w, KILL("t1", ""));
    expect(&w, "start(1) t1:STARTING t1:RUNNING signal(1,TERM,all)");
    exited(&w, 1, EXIT(0));
    expect(&w, "t1:KILLED exit(0)");
    world_deinit(&w);
}

static void test_tasks__grace_of_task_then_of_kill_then_shorter_second_kill(void **state)
{
    struct world w;
    (void)state;
    world_init(&w, false, SUBSCRIBED("CUSTOM", ""));
    receive_json(&w, LAUNCH(TASK("t1", ",\"kill_policy\":{\"grace_period\":{\"nanoseconds\":60000000000}}")));
    started(&w, 1);
    receive_json(&w, KILL("t1", ""));
    expect(&w, "start(1) t1:STARTING t1:RUNNING signal(1,TERM,all)");
    advance(&w, 10000);
    expect(&w, "");
    receive_json(&w,
                 KILL("t1", ",\"kill_policy\":{\"grace_period\":{\"nanoseconds\":90000000000}}")); /* longer: no effect */
    advance(&w, 2000);
    receive_json(&w, KILL("t1", ",\"kill_policy\":{\"grace_period\":{\"nanoseconds\":15000000000}}"));
    advance(&w, 2999); /* 14.999 s after the first kill */
    expect(&w, "");
    advance(&w, 1);
    expect(&w, "signal(1,KILL,all)");
    exited(&w, 1, SIGKILL);
    world_deinit(&w);
}

static void test_tasks__kill_with_grace_0_is_sigkill_at_once(void **state)
{
    struct world w;
    (void)state;
    world_init(&w, false, SUBSCRIBED("CUSTOM", ""));
    receive_json(&w, LAUNCH(TASK("t1", "")));
    started(&w, 1);
    receive_json(&w, KILL("t1", ",\"kill_policy\":{\"grace_period\":{\"nanoseconds\":0}}"));
    expect(&w, "start(1) t1:STARTING t1:RUNNING signal(1,KILL,all)");
    world_deinit(&w);
}

static void test_tasks__kill_before_the_process_is_there(void **state)
{
    struct world w;
    (void)state;
    world_init(&w, false, SUBSCRIBED("CUSTOM", ""));
    receive_json(&w, LAUNCH(TASK("t1", "")));
    receive_json(&w, KILL("t1", ""));
    expect(&w, "start(1) t1:STARTING");
    started(&w, 1);
    expect(&w, "signal(1,TERM,all)"); /* and no RUNNING */
    exited(&w, 1, SIGTERM);
    expect(&w, "t1:KILLED exit(0)");
    world_deinit(&w);
}

static void test_tasks__kill_of_unknown_or_ended_task_does_nothing(void **state)
{
    struct world w;
    (void)state;
    world_init(&w, false, SUBSCRIBED("CUSTOM", ""));
    receive_json(&w, KILL("other", ""));
    expect(&w, "");
    w.acknowledges = false;
    receive_json(&w, LAUNCH(TASK("t1", "")));
    started(&w, 1);
    exited(&w, 1, EXIT(0));
    expect(&w, "start(1) t1:STARTING t1:RUNNING t1:FINISHED");
    receive_json(&w, KILL("t1", ""));
    expect(&w, "");
    world_deinit(&w);
}

static void test_tasks__max_completion_time(void **state)
{
    struct world w;
    (void)state;
    world_init(&w, false, SUBSCRIBED("CUSTOM", ""));
    receive_json(&w, LAUNCH(TASK("t1", ",\"max_completion_time\":{\"nanoseconds\":5000000000}")));
    started(&w, 1);
    expect(&w, "start(1) t1:STARTING t1:RUNNING");
    advance(&w, 4999);
    expect(&w, "");
    advance(&w, 1);
    expect(&w, "signal(1,KILL,all)");
    exited(&w, 1, SIGKILL);
    expect(&w, "t1:FAILED/reason=MAX_COMPLETION_TIME_REACHED exit(0)");
    world_deinit(&w);
}

static void test_tasks__command_executor_takes_one_task(void **state)
{
    struct world w;
    (void)state;
    world_init(&w, false, SUBSCRIBED("CUSTOM", ""));
    receive_json(&w, LAUNCH(TASK("t1", "")));
    receive_json(&w, LAUNCH(TASK("t1", ""))); /* a repetition */
    expect(&w, "start(1) t1:STARTING");
    receive_json(&w, LAUNCH(TASK("t2", "")));
    expect(&w, "t2:FAILED");
    world_deinit(&w);
}

/* -- groups ----------------------------------------------------------------------------------------------------- */

static void test_groups__finished_task_leaves_the_rest_alone(void **state)
{
    struct world w;
    (void)state;
    world_init(&w, false, SUBSCRIBED("DEFAULT", ""));
    receive_json(&w, LAUNCH_GROUP(TASK("a", "") "," TASK("b", "")));
    expect(&w, "start(1) start(2) a:STARTING b:STARTING");
    assert_memory_equal(w.directory, "/sandbox/containers/", 20);
    started(&w, 1);
    started(&w, 2);
    expect(&w, "a:RUNNING b:RUNNING");
    exited(&w, 1, EXIT(0));
    expect(&w, "a:FINISHED");
    receive_json(&w, KILL("b", ""));
    expect(&w, "signal(2,TERM,all)"); /* now it is the only one */
    exited(&w, 2, SIGTERM);
    expect(&w, "b:KILLED exit(0)");
    world_deinit(&w);
}

static void test_groups__failed_task_kills_its_group_only(void **state)
{
    struct world w;
    (void)state;
    world_init(&w, false, SUBSCRIBED("DEFAULT", KILLING_STATE));
    receive_json(&w, LAUNCH_GROUP(TASK("a", "") "," TASK("b", "")));
    receive_json(&w, LAUNCH_GROUP(TASK("c", "")));
    started(&w, 1);
    started(&w, 2);
    started(&w, 3);
    expect(&w, "start(1) start(2) a:STARTING b:STARTING start(3) c:STARTING a:RUNNING b:RUNNING c:RUNNING");
    exited(&w, 1, EXIT(3));
    expect(&w, "signal(2,TERM) a:FAILED b:KILLING");
    advance(&w, 3000);
    expect(&w, "signal(2,KILL)");
    exited(&w, 2, SIGKILL);
    expect(&w, "b:KILLED");
    exited(&w, 3, EXIT(0));
    expect(&w, "c:FINISHED exit(0)");
    world_deinit(&w);
}

static void test_groups__killed_task_kills_its_group(void **state)
{
    struct world w;
    (void)state;
    world_init(&w, false, SUBSCRIBED("DEFAULT", ""));
    receive_json(&w, LAUNCH_GROUP(TASK("a", "") "," TASK("b", "")));
    started(&w, 1);
    started(&w, 2);
    receive_json(&w, KILL("a", ""));
    expect(&w, "start(1) start(2) a:STARTING b:STARTING a:RUNNING b:RUNNING signal(1,TERM)");
    exited(&w, 1, SIGTERM);
    expect(&w, "signal(2,TERM,all) a:KILLED");
    world_deinit(&w);
}

static void test_groups__one_bad_task_starts_none(void **state)
{
    struct world w;
    (void)state;
    world_init(&w, false, SUBSCRIBED("DEFAULT", KILLING_STATE));
    receive_json(&w, LAUNCH_GROUP(TASK("a", "") "," TASK("b", ",\"health_check\":{\"type\":\"HTTP\",\"http\":{\"port\":80,"
                                                              "\"scheme\":\"https\"}}")));
    expect(&w, "a:FAILED b:FAILED exit(0)");
    assert_string_equal(w.message, "health_check: scheme 'https' is not supported, only http");
    world_deinit(&w);
}

static void test_groups__too_many_tasks_are_refused(void **state)
{
    struct world w;
    char text[128];
    (void)state;
    world_init(&w, false, SUBSCRIBED("DEFAULT", ""));
    for (int i = 0; i < EXECUTOR_TASKS_MAX; i++)
        receive_json(&w,
                     "{\"type\":\"LAUNCH_GROUP\",\"launch_group\":{\"task_group\":{\"tasks\":[{\"name\":\"n\",\"task_id\":"
                     "{\"value\":\"t%d\"},\"agent_id\":{\"value\":\"a\"},\"command\":{\"value\":\"x\"}}]}}}",
                     i);
    buf_clear(&w.log);
    receive_json(&w, LAUNCH_GROUP(TASK("one-more", "")));
    (void)snprintf(text, sizeof(text), "one-more:FAILED");
    expect(&w, text);
    world_deinit(&w);
}

/* -- environment and arguments ----------------------------------------------------------------------------------- */

static void assert_has_line(const char *text, const char *line)
{
    char *found = strstr(text, line);
    if (!found || (found != text && found[-1] != '\n') || found[strlen(line)] != '\n')
        fail_msg("no line '%s' in:\n%s", line, text);
}

static void test_environment__of_the_task_wins(void **state)
{
    struct world w;
    (void)state;
    world_init(&w, false, SUBSCRIBED("CUSTOM", ""));
    receive_json(
        &w, "%s",
        LAUNCH("{\"name\":\"n\",\"task_id\":{\"value\":\"t1\"},\"agent_id\":{\"value\":\"a\"},\"resources\":[{\"name\":"
               "\"cpus\",\"type\":\"SCALAR\",\"scalar\":{\"value\":1},\"allocation_info\":{\"role\":\"web\"}}],"
               "\"command\":{\"value\":\"run\",\"environment\":{\"variables\":[{\"name\":\"FOO\",\"value\":\"in=ner\"},"
               "{\"name\":\"S\",\"type\":\"SECRET\",\"secret\":{\"type\":\"VALUE\",\"value\":{\"data\":\"c2VjcmV0\"}}"
               "}]}}}"));
    expect(&w, "start(1) t1:STARTING");
    assert_has_line(w.env, "PATH=/bin");
    assert_has_line(w.env, "FOO=in=ner");
    assert_has_line(w.env, "S=secret");
    assert_has_line(w.env, "MESOS_SANDBOX=/sandbox");
    assert_has_line(w.env, "MESOS_ALLOCATION_ROLE=web");
    assert_has_line(w.env, "MESOS_CONTAINER_IP=10.0.0.9");
    assert_null(strstr(w.env, "FOO=outer"));
    world_deinit(&w);
}

static void test_environment__secret_reference_is_refused(void **state)
{
    struct world w;
    (void)state;
    world_init(&w, false, SUBSCRIBED("CUSTOM", ""));
    receive_json(
        &w, "%s",
        LAUNCH("{\"name\":\"n\",\"task_id\":{\"value\":\"t1\"},\"agent_id\":{\"value\":\"a\"},\"command\":{\"value\":"
               "\"run\",\"environment\":{\"variables\":[{\"name\":\"S\",\"type\":\"SECRET\",\"secret\":{\"type\":"
               "\"REFERENCE\",\"reference\":{\"name\":\"x\"}}}]}}}"));
    expect(&w, "t1:FAILED exit(0)");
    assert_string_equal(w.message, "environment variable S: secret references are not supported");
    world_deinit(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tasks__command_runs_to_its_end),
        cmocka_unit_test(test_tasks__end_states_and_messages),
        cmocka_unit_test(test_tasks__not_startable_is_failed),
        cmocka_unit_test(test_tasks__kill_escalates_after_grace),
        cmocka_unit_test(test_tasks__killed_counts_even_with_exit_0_and_without_killing_state),
        cmocka_unit_test(test_tasks__grace_of_task_then_of_kill_then_shorter_second_kill),
        cmocka_unit_test(test_tasks__kill_with_grace_0_is_sigkill_at_once),
        cmocka_unit_test(test_tasks__kill_before_the_process_is_there),
        cmocka_unit_test(test_tasks__kill_of_unknown_or_ended_task_does_nothing),
        cmocka_unit_test(test_tasks__max_completion_time),
        cmocka_unit_test(test_tasks__command_executor_takes_one_task),
        cmocka_unit_test(test_groups__finished_task_leaves_the_rest_alone),
        cmocka_unit_test(test_groups__failed_task_kills_its_group_only),
        cmocka_unit_test(test_groups__killed_task_kills_its_group),
        cmocka_unit_test(test_groups__one_bad_task_starts_none),
        cmocka_unit_test(test_groups__too_many_tasks_are_refused),
        cmocka_unit_test(test_environment__of_the_task_wins),
        cmocka_unit_test(test_environment__secret_reference_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
