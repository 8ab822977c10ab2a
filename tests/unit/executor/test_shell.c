/* SPDX-License-Identifier: Apache-2.0
 * test_shell.c - the executor with real processes and sockets. */
#include "unit/executor/shell_harness.h"

static void test_shell__runs_a_command(void **state)
{
    struct agent a;
    char text[256], want[256];
    (void)state;
    agent_init(&a, SUBSCRIBED("CUSTOM"));
    a.script[0] = LAUNCH(TASK("t1", SHELL("echo $MESOS_SANDBOX $OUTER $MESOS_CONTAINER_IP $(pwd) > out; exit 3"), ""));
    run(&a);
    assert_string_equal(a.log, "t1:STARTING t1:RUNNING t1:FAILED");
    assert_string_equal(a.message, "Command exited with status 3");
    assert_int_equal(a.exit_status, 0);
    read_file(&a, "out", text, sizeof(text));
    (void)snprintf(want, sizeof(want), "%s yes 127.0.0.1 %s\n", a.sandbox, a.sandbox);
    assert_string_equal(text, want);
    agent_deinit(&a);
}

static void test_shell__runs_a_program_found_in_path_with_its_own_argv0(void **state)
{
    struct agent a;
    char text[256];
    (void)state;
    agent_init(&a, SUBSCRIBED("CUSTOM"));
    a.script[0] = LAUNCH(TASK("t1",
                              "{\"shell\":false,\"value\":\"sh\",\"arguments\":[\"myname\",\"-c\",\"echo $0 $1 > out\","
                              "\"zero\",\"a b\"]}",
                              ""));
    run(&a);
    assert_string_equal(a.log, "t1:STARTING t1:RUNNING t1:FINISHED");
    read_file(&a, "out", text, sizeof(text));
    assert_string_equal(text, "zero a b\n");
    agent_deinit(&a);
}

static void test_shell__missing_program_is_failed_with_the_reason(void **state)
{
    struct agent a;
    (void)state;
    agent_init(&a, SUBSCRIBED("CUSTOM"));
    a.script[0] = LAUNCH(TASK("t1", "{\"shell\":false,\"value\":\"no-such-program\"}", ""));
    run(&a);
    assert_string_equal(a.log, "t1:STARTING t1:FAILED");
    assert_string_equal(a.message, "Failed to start the command: execute no-such-program: No such file or directory");
    agent_deinit(&a);
}

static void test_shell__unknown_user_is_failed(void **state)
{
    struct agent a;
    (void)state;
    if (geteuid() != 0)
        skip(); /* others cannot tell (see process.c) */
    agent_init(&a, SUBSCRIBED("CUSTOM"));
    a.script[0] = LAUNCH(TASK("t1", "{\"value\":\"true\",\"user\":\"nobody-of-this-name\"}", ""));
    run(&a);
    assert_string_equal(a.message, "Failed to start the command: user nobody-of-this-name does not exist");
    agent_deinit(&a);
}

static void test_shell__another_user_when_root(void **state)
{
    struct agent a;
    char text[256], path[128];
    (void)state;
    if (geteuid() != 0)
        skip();
    agent_init(&a, SUBSCRIBED("DEFAULT"));
    assert_int_equal(chmod(a.sandbox, 0755), 0);
    a.script[0] = LAUNCH_GROUP(TASK("t1", "{\"value\":\"id -u; id -G; echo done > own\",\"user\":\"nobody\"}", ""));
    run(&a);
    assert_string_equal(a.log, "t1:STARTING t1:RUNNING t1:FINISHED");
    read_file(&a, "tasks/t1/stdout", text, sizeof(text));
    assert_string_equal(text, "65534\n65534\n");
    (void)snprintf(path, sizeof(path), "tasks/t1/own");
    read_file(&a, path, text, sizeof(text));
    assert_string_equal(text, "done\n");
    agent_deinit(&a);
}

static void test_shell__kill_reaches_every_session_of_the_tree(void **state)
{
    struct agent a;
    (void)state;
    agent_init(&a, SUBSCRIBED("CUSTOM"));
    /* All ignore SIGTERM, one is in a session of its own, one also lost its parent. */
    a.script[0] =
        LAUNCH(TASK("t1",
                    SHELL("trap '' TERM; sleep 600 & echo $! > child; setsid sh -c 'echo $$ > session; exec sleep "
                          "600' & (setsid sh -c 'echo $$ > orphan; exec sleep 600' &); "
                          "while ! [ -s session -a -s orphan ]; do sleep 0.01; done; touch ready; wait; wait"),
                    ",\"health_check\":{\"type\":\"COMMAND\",\"command\":{\"value\":\"test -e ready\"},"
                    "\"delay_seconds\":0,\"interval_seconds\":0.05}"));
    a.wait_for = "t1:RUNNING/healthy";
    a.event = KILL("t1", "100");
    run(&a);
    assert_string_equal(a.log, "t1:STARTING t1:RUNNING t1:RUNNING/healthy t1:KILLING/healthy t1:KILLED/healthy");
    assert_string_equal(a.message, "Command terminated with signal Killed");
    assert_true(is_gone(&a, "child"));
    assert_true(is_gone(&a, "session"));
    assert_true(is_gone(&a, "orphan"));
    agent_deinit(&a);
}

static void test_shell__what_a_task_leaves_behind_goes_with_it(void **state)
{
    struct agent a;
    (void)state;
    agent_init(&a, SUBSCRIBED("DEFAULT"));
    /* One in the task's process group, one only in its session. */
    a.script[0] = LAUNCH_GROUP(TASK("t1",
                                    SHELL("sleep 600 & echo $! > ../../left; perl -e 'setpgrp(0, 0); exec qw(sleep 600)' & "
                                          "echo $! > ../../group; until grep -q sleep /proc/$!/comm; do sleep 0.01; "
                                          "done"),
                                    "") "," TASK("t2", SHELL("sleep 0.3"), ""));
    run(&a);
    assert_non_null(strstr(a.log, "t1:FINISHED"));
    assert_true(is_gone(&a, "left"));
    assert_true(is_gone(&a, "group"));
    agent_deinit(&a);
}

static void test_shell__daemons_do_not_outlive_the_executor(void **state)
{
    struct agent a;
    (void)state;
    agent_init(&a, SUBSCRIBED("CUSTOM"));
    a.script[0] =
        LAUNCH(TASK("t1",
                    SHELL("(setsid sh -c 'echo $$ > daemon; exec sleep 600' &); until [ -s daemon ]; do sleep 0.01; "
                          "done"),
                    ""));
    run(&a);
    assert_string_equal(a.log, "t1:STARTING t1:RUNNING t1:FINISHED");
    a.shell = executor_shell_free(a.shell);
    assert_true(is_gone(&a, "daemon"));
    agent_deinit(&a);
}

static void test_shell__group_has_directories_and_output_of_its_own(void **state)
{
    struct agent a;
    char text[256];
    (void)state;
    agent_init(&a, SUBSCRIBED("DEFAULT"));
    a.script[0] =
        LAUNCH_GROUP(TASK("one", SHELL("echo from one; echo error >&2; test $(pwd) = $MESOS_SANDBOX"), "") "," TASK(
            "two", SHELL("echo from two; until [ -s ../../tasks/one/stderr ]; do sleep 0.01; done"), ""));
    run(&a);
    assert_non_null(strstr(a.log, "one:FINISHED"));
    assert_non_null(strstr(a.log, "two:FINISHED"));
    read_file(&a, "tasks/one/stdout", text, sizeof(text));
    assert_string_equal(text, "from one\n");
    read_file(&a, "tasks/one/stderr", text, sizeof(text));
    assert_string_equal(text, "error\n");
    read_file(&a, "tasks/two/stdout", text, sizeof(text));
    assert_string_equal(text, "from two\n");
    agent_deinit(&a);
}

static void test_shell__output_of_a_group_is_complete_and_bounded(void **state)
{
    struct agent a;
    struct stat st;
    char path[128], text[64];
    (void)state;
    agent_init(&a, SUBSCRIBED("DEFAULT"));
    /* 12 MiB and a last word; the file for after the rotation cannot be prepared by the task. */
    a.script[0] = LAUNCH_GROUP(TASK("t1", SHELL("ln -s /etc/passwd stdout.1; head -c 12582912 /dev/zero; echo last"), ""));
    run(&a);
    assert_string_equal(a.log, "t1:STARTING t1:RUNNING t1:FINISHED");
    (void)snprintf(path, sizeof(path), "%s/tasks/t1/stdout.1", a.sandbox);
    assert_int_equal(lstat(path, &st), 0);
    assert_true(S_ISREG(st.st_mode));
    off_t before = st.st_size;
    assert_in_range(before, (10 << 20) - (16 << 10), 10 << 20);
    (void)snprintf(path, sizeof(path), "%s/tasks/t1/stdout", a.sandbox);
    assert_int_equal(lstat(path, &st), 0);
    assert_int_equal(before + st.st_size, 12582912 + 5);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    assert_int_equal(fseek(file, -5, SEEK_END), 0);
    assert_non_null(fgets(text, sizeof(text), file));
    assert_string_equal(text, "last\n");
    (void)fclose(file);
    agent_deinit(&a);
}

static void test_shell__planted_link_is_not_followed(void **state)
{
    struct agent a;
    char path[128];
    (void)state;
    agent_init(&a, SUBSCRIBED("DEFAULT"));
    (void)snprintf(path, sizeof(path), "%s/containers", a.sandbox);
    assert_int_equal(symlink("/tmp", path), 0);
    a.script[0] = LAUNCH_GROUP(TASK("t1", SHELL("true"), ""));
    run(&a);
    assert_string_equal(a.log, "t1:STARTING t1:FAILED");
    assert_string_equal(a.message, "Failed to start the command: open directory containers: Not a directory");
    agent_deinit(&a);
}

static void test_shell__http_health_check_follows_redirects(void **state)
{
    struct agent a;
    char launch[1024];
    (void)state;
    agent_init(&a, SUBSCRIBED("CUSTOM"));
    (void)snprintf(launch, sizeof(launch),
                   LAUNCH(TASK("t1", SHELL("exec sleep 600"),
                               ",\"health_check\":{\"type\":\"HTTP\",\"http\":{\"port\":%u,\"path\":\"/moved\"},"
                               "\"delay_seconds\":0,\"interval_seconds\":0.05}")),
                   http_server_port(a.server));
    a.script[0] = launch;
    a.wait_for = "t1:RUNNING/healthy";
    a.event = KILL("t1", "5000");
    run(&a);
    assert_string_equal(a.log, "t1:STARTING t1:RUNNING t1:RUNNING/healthy t1:KILLING/healthy t1:KILLED/healthy");
    assert_true(a.health_requests > 0);
    agent_deinit(&a);
}

static void test_shell__tcp_health_check_kills_after_failures(void **state)
{
    struct agent a;
    (void)state;
    agent_init(&a, SUBSCRIBED("CUSTOM"));
    /* Port 1 of loopback: nobody listens there. */
    a.script[0] = LAUNCH(TASK("t1", SHELL("exec sleep 600"),
                              ",\"health_check\":{\"type\":\"TCP\",\"tcp\":{\"port\":1},\"delay_seconds\":0,"
                              "\"interval_seconds\":0.02,\"grace_period_seconds\":0,\"consecutive_failures\":2}"));
    run(&a);
    assert_string_equal(a.log, "t1:STARTING t1:RUNNING t1:RUNNING/unhealthy t1:RUNNING/unhealthy t1:KILLING/unhealthy "
                               "t1:KILLED/unhealthy");
    agent_deinit(&a);
}

static void test_shell__command_check_that_hangs_is_killed(void **state)
{
    struct agent a;
    (void)state;
    agent_init(&a, SUBSCRIBED("CUSTOM"));
    a.script[0] = LAUNCH(TASK("t1", SHELL("exec sleep 600"),
                              ",\"health_check\":{\"command\":{\"value\":\"echo $$ > checker; exec sleep 600\"},"
                              "\"delay_seconds\":0,\"interval_seconds\":0.02,\"timeout_seconds\":0.3,"
                              "\"grace_period_seconds\":0,\"consecutive_failures\":1}"));
    run(&a);
    assert_string_equal(a.log, "t1:STARTING t1:RUNNING t1:RUNNING/unhealthy t1:KILLING/unhealthy t1:KILLED/unhealthy");
    assert_true(is_gone(&a, "checker"));
    agent_deinit(&a);
}

static void test_shell__comes_back_after_the_stream_was_cut(void **state)
{
    struct agent a;
    (void)state;
    agent_init(&a, SUBSCRIBED("CUSTOM"));
    a.script[0] = LAUNCH(TASK("t1", SHELL("until [ -e go ]; do sleep 0.01; done"),
                              ",\"health_check\":{\"command\":{\"value\":\"touch go\"},\"delay_seconds\":0.5,"
                              "\"interval_seconds\":60}"));
    a.withholds_acks = true; /* until the cut */
    a.cut_for = "t1:RUNNING";
    run(&a);
    assert_int_equal(a.subscriptions, 2);
    assert_int_equal(a.told_tasks, 1);
    assert_int_equal(a.told_updates, 2);
    assert_memory_equal(a.log, "t1:STARTING t1:RUNNING t1:", 26); /* each once */
    assert_string_equal(a.message, "Command exited with status 0");
    agent_deinit(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shell__runs_a_command),
        cmocka_unit_test(test_shell__runs_a_program_found_in_path_with_its_own_argv0),
        cmocka_unit_test(test_shell__missing_program_is_failed_with_the_reason),
        cmocka_unit_test(test_shell__unknown_user_is_failed),
        cmocka_unit_test(test_shell__another_user_when_root),
        cmocka_unit_test(test_shell__kill_reaches_every_session_of_the_tree),
        cmocka_unit_test(test_shell__what_a_task_leaves_behind_goes_with_it),
        cmocka_unit_test(test_shell__daemons_do_not_outlive_the_executor),
        cmocka_unit_test(test_shell__group_has_directories_and_output_of_its_own),
        cmocka_unit_test(test_shell__output_of_a_group_is_complete_and_bounded),
        cmocka_unit_test(test_shell__planted_link_is_not_followed),
        cmocka_unit_test(test_shell__http_health_check_follows_redirects),
        cmocka_unit_test(test_shell__tcp_health_check_kills_after_failures),
        cmocka_unit_test(test_shell__command_check_that_hangs_is_killed),
        cmocka_unit_test(test_shell__comes_back_after_the_stream_was_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
