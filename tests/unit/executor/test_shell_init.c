/* SPDX-License-Identifier: Apache-2.0
 * test_shell_init.c - the executor as init of a pid namespace. A program of its own: the test goes on in a forked child. */
#include <sched.h>
#include <sys/wait.h>

#include "unit/executor/shell_harness.h"

/* What the init of a new pid namespace does; its exit status is the test's result. */
static int run_as_init(void)
{
    struct agent a;
    (void)alarm(DEADLINE_MS / 1000 + 5); /* nothing outside can tell us to end */
    agent_init(&a, SUBSCRIBED("CUSTOM"));
    a.script[0] = LAUNCH(TASK("t1",
                              SHELL("trap '' TERM; (setsid sh -c 'echo $$ > orphan; exec sleep 600' &); until "
                                    "[ -s orphan ]; do sleep 0.01; done; touch ready; while :; do sleep 600; done"),
                              ",\"health_check\":{\"type\":\"COMMAND\",\"command\":{\"value\":\"test -e ready\"},"
                              "\"delay_seconds\":0,\"interval_seconds\":0.05}"));
    a.wait_for = "t1:RUNNING/healthy";
    a.event = KILL("t1", "100");
    run(&a);
    bool is_right = getpid() == 1 &&
                    strcmp(a.log, "t1:STARTING t1:RUNNING t1:RUNNING/healthy t1:KILLING/healthy t1:KILLED/healthy") == 0 &&
                    strcmp(a.message, "Command terminated with signal Killed") == 0 && is_gone(&a, "orphan");
    agent_deinit(&a);
    return is_right ? 0 : 1;
}

static void test_shell__as_init_of_a_pid_namespace(void **state)
{
    (void)state;
    pid_t outer = fork(); /* the namespace is for children only, and must not be that of later tests */
    assert_true(outer >= 0);
    if (outer == 0) {
        if (unshare(CLONE_NEWPID) < 0)
            _exit(errno == EPERM ? 77 : 1);
        pid_t init = fork();
        if (init == 0)
            _exit(run_as_init());
        int status = 0;
        if (init < 0 || waitpid(init, &status, 0) != init)
            _exit(1);
        _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
    }
    int status;
    assert_int_equal(waitpid(outer, &status, 0), outer);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 77)
        skip(); /* needs root */
    assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shell__as_init_of_a_pid_namespace),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
