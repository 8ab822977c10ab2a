/* SPDX-License-Identifier: Apache-2.0
 * test_launch.c - how containers start and end. */
#include "world.h"

#include <sys/resource.h>

static bool is_gone(int pid)
{
    return kill(pid, 0) < 0 && errno == ESRCH;
}

static void test_launch__exit_status_is_kept(void **state)
{
    struct world *w = *state;
    struct launcher_spec spec = world_spec(w, "status", "echo out; echo err >&2; exit 7");
    const struct world_container *c = world_do(w, &spec);
    assert_string_equal(c->message, "Exited with status 7");
    assert_int_equal(c->reason, LAUNCHER_END_EXITED);
    assert_int_equal(c->started, 1);
    assert_true(WIFEXITED(c->status) && WEXITSTATUS(c->status) == 7);
    assert_string_equal(world_read(w, "status", "stdout"), "out\n");
    assert_string_equal(world_read(w, "status", "stderr"), "err\n");
    world_run(w, world_never, "", 50);
    assert_int_equal(c->ended, 1);
}

static void test_launch__signal_is_kept(void **state)
{
    struct world *w = *state;
    struct launcher_spec spec = world_spec(w, "signal", "kill -SEGV $$");
    const struct world_container *c = world_do(w, &spec);
    assert_int_equal(c->reason, LAUNCHER_END_EXITED);
    assert_true(WIFSIGNALED(c->status));
    assert_int_equal(WTERMSIG(c->status), SIGSEGV);
}

static void test_launch__argv_is_found_by_path_and_environment_is_exact(void **state)
{
    struct world *w = *state;
    const char *argv[] = {"env", NULL};
    const struct launcher_env env[] = {{"FOO", "a b"}, {"EMPTY", ""}};
    assert_int_equal(setenv("LEAK", "1", 1), 0);
    struct launcher_spec spec = world_spec(w, "argv", NULL);
    spec.argv = argv;
    spec.env = env;
    spec.env_count = 2;
    const struct world_container *c = world_do(w, &spec);
    assert_int_equal(c->status, 0);
    assert_string_equal(world_read(w, "argv", "stdout"),
                        "FOO=a b\nEMPTY=\nPATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n");
}

static void test_launch__script_without_interpreter_runs(void **state)
{
    struct world *w = *state;
    char path[128];
    (void)snprintf(path, sizeof(path), "%s/script", w->root);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
    assert_int_equal(write(fd, "exit 9\n", 7), 7);
    (void)close(fd);
    const char *argv[] = {path, NULL};
    struct launcher_spec spec = world_spec(w, "script", NULL);
    spec.argv = argv;
    assert_int_equal(WEXITSTATUS(world_do(w, &spec)->status), 9);
}

static void assert_launch_failed(struct world *w, const struct launcher_spec *spec, const char *text)
{
    const struct world_container *c = world_do(w, spec);
    assert_int_equal(c->reason, LAUNCHER_END_LAUNCH_FAILED);
    assert_int_equal(c->started, 0);
    assert_int_equal(c->status, -1);
    if (strstr(c->message, text) == NULL)
        fail_msg("\"%s\" is not in \"%s\"", text, c->message);
}

static void test_launch__missing_program_fails(void **state)
{
    struct world *w = *state;
    const char *argv[] = {"no-such-program", NULL};
    struct launcher_spec spec = world_spec(w, "program", NULL);
    spec.argv = argv;
    assert_launch_failed(w, &spec, "exec no-such-program: No such file or directory");
}

static void test_launch__missing_user_fails(void **state)
{
    struct world *w = *state;
    struct launcher_spec spec = world_spec(w, "user", "true");
    spec.user = "no-such-user";
    assert_launch_failed(w, &spec, "no-such-user");
    spec = world_spec(w, "number", "true");
    spec.user = "0";
    assert_launch_failed(w, &spec, "user 0: not in /etc/passwd");
}

static void test_launch__bad_specs_fail(void **state)
{
    struct world *w = *state;
    struct launcher_spec spec = world_spec(w, "nothing", NULL);
    assert_launch_failed(w, &spec, "no command");
    spec = world_spec(w, "a.b", "true");
    assert_launch_failed(w, &spec, "container id");
    spec = world_spec(w, "dots", "true");
    free((char *)spec.sandbox);
    spec.sandbox = strdup("/tmp/../etc");
    assert_launch_failed(w, &spec, "sandbox");
    const struct launcher_rlimit high = {RLIMIT_NOFILE, 5, UINT64_MAX};
    spec = world_spec(w, "rlimit", "true");
    spec.rlimits = &high;
    spec.rlimit_count = 1;
    assert_launch_failed(w, &spec, "rlimit");
}

static void test_launch__rlimit_is_set(void **state)
{
    struct world *w = *state;
    const struct launcher_rlimit files = {RLIMIT_NOFILE, 100, 200};
    struct launcher_spec spec = world_spec(w, "rlimit", "ulimit -Sn; ulimit -Hn");
    spec.rlimits = &files;
    spec.rlimit_count = 1;
    (void)world_do(w, &spec);
    assert_string_equal(world_read(w, "rlimit", "stdout"), "100\n200\n");
}

static void test_launch__user_is_switched(void **state)
{
    struct world *w = *state;
    WORLD_NEEDS(w, LAUNCHER_SWITCH_USER);
    struct launcher_spec spec = world_spec(w, "nobody", "id -u; id -g; touch mine; stat -c '%U %a' . stdout mine");
    spec.user = "nobody";
    (void)world_do(w, &spec);
    assert_string_equal(world_read(w, "nobody", "stdout"), "65534\n65534\nnobody 750\nnobody 644\nnobody 644\n");
}

static void test_destroy__ends_what_ignores_signals(void **state)
{
    struct world *w = *state;
    struct launcher_spec spec = world_spec(w, "deaf", "trap '' TERM INT HUP; while :; do sleep 1000; done");
    world_launch(w, &spec);
    const struct world_container *c = world_await_start(w, "deaf");
    int pid = c->init_pid;
    assert_int_equal(kill(pid, 0), 0);
    w->launcher->ops->destroy(w->launcher, "deaf");
    w->launcher->ops->destroy(w->launcher, "deaf");
    w->launcher->ops->destroy(w->launcher, "unheard-of");
    (void)world_await_end(w, "deaf");
    assert_int_equal(c->reason, LAUNCHER_END_DESTROYED);
    assert_true(is_gone(pid));
}

static void test_destroy__right_after_launch(void **state)
{
    struct world *w = *state;
    struct launcher_spec spec = world_spec(w, "early", "sleep 1000");
    world_launch(w, &spec);
    w->launcher->ops->destroy(w->launcher, "early");
    assert_int_equal(world_await_end(w, "early")->reason, LAUNCHER_END_DESTROYED);
}

static void test_launch__left_processes_end_with_the_program(void **state)
{
    struct world *w = *state;
    struct launcher_spec spec = world_spec(w, "left", "setsid sleep 1000 & sleep 0.1; exit 3");
    assert_int_equal(WEXITSTATUS(world_do(w, &spec)->status), 3);
    spec = world_spec(w, "shared", "setsid sleep 1001 & echo $!; sleep 0.1; exit 4");
    spec.share_pid_namespace = true;
    assert_int_equal(WEXITSTATUS(world_do(w, &spec)->status), 4);
    assert_true(is_gone(atoi(world_read(w, "shared", "stdout"))));
}

static void test_launch__many_at_once(void **state)
{
    struct world *w = *state;
    char ids[40][16]; /* more than the zygote takes at once */
    for (int i = 0; i < 40; i++) {
        (void)snprintf(ids[i], sizeof(ids[i]), "many-%d", i);
        struct launcher_spec spec = world_spec(w, ids[i], "exit 1");
        world_launch(w, &spec);
    }
    for (int i = 0; i < 40; i++)
        assert_int_equal(WEXITSTATUS(world_await_end(w, ids[i])->status), 1);
}

static void test_limits__memory_ends_the_container(void **state)
{
    struct world *w = *state;
    WORLD_NEEDS(w, LAUNCHER_CGROUP_MEMORY);
    struct launcher_spec spec = world_spec(w, "memory", "sleep 1000 & head -c 300m /dev/zero | tail; sleep 1000");
    spec.limits.memory_hard_bytes = 16 << 20; /* below the least one: 32 MiB */
    const struct world_container *c = world_do(w, &spec);
    assert_int_equal(c->reason, LAUNCHER_END_MEMORY);
    assert_int_equal(c->memory_limit, 32 << 20);
    assert_string_equal(c->message, "Memory limit exceeded: limit 32 MB, maximum used 32 MB");
}

static void test_limits__fork_bomb_is_contained(void **state)
{
    struct world *w = *state;
    WORLD_NEEDS(w, LAUNCHER_CGROUP_PIDS);
    struct launcher_spec spec = world_spec(w, "bomb", "f() { f | f; }; f & exec sleep 1000");
    spec.limits.pids_max = 30;
    world_launch(w, &spec);
    (void)world_await_start(w, "bomb");
    world_run(w, world_never, "", 200);
    struct launcher_usage usage;
    assert_int_equal(w->launcher->ops->usage(w->launcher, "bomb", &usage), 0);
    assert_in_range(usage.threads, 1, 30);
    w->launcher->ops->destroy(w->launcher, "bomb");
    assert_int_equal(world_await_end(w, "bomb")->reason, LAUNCHER_END_DESTROYED);
}

static void test_update__raises_but_does_not_lower_memory(void **state)
{
    struct world *w = *state;
    WORLD_NEEDS(w, LAUNCHER_CGROUP_MEMORY);
    struct launcher_spec spec = world_spec(w, "update", "sleep 1000");
    world_launch(w, &spec);
    (void)world_await_start(w, "update");
    struct launcher_usage usage;
    struct err err;
    struct launcher_limits limits = spec.limits;
    assert_int_equal(w->launcher->ops->usage(w->launcher, "update", &usage), 0);
    assert_true(usage.has_memory && usage.has_cpu);
    assert_int_equal(usage.memory_limit_bytes, 64 << 20);
    limits.memory_hard_bytes = limits.memory_soft_bytes = 128 << 20;
    assert_int_equal(w->launcher->ops->update(w->launcher, "update", &limits, &err), 0);
    limits.memory_hard_bytes = limits.memory_soft_bytes = 48 << 20;
    assert_int_equal(w->launcher->ops->update(w->launcher, "update", &limits, &err), 0);
    assert_int_equal(w->launcher->ops->usage(w->launcher, "update", &usage), 0);
    assert_int_equal(usage.memory_limit_bytes, 128 << 20);
    assert_int_equal(usage.memory_soft_limit_bytes, 48 << 20);
    assert_true(usage.processes >= 2);
    assert_int_equal(w->launcher->ops->update(w->launcher, "unheard-of", &limits, &err), -ENOENT);
    assert_int_equal(w->launcher->ops->usage(w->launcher, "unheard-of", &usage), -ENOENT);
}

static void test_logs__rotate_at_the_bound(void **state)
{
    struct world *w = *state;
    struct launcher_spec spec = world_spec(w, "logs", "head -c 2500 /dev/zero | tr '\\0' x; printf end >&2");
    spec.log_bytes_max = 1000;
    assert_int_equal(world_do(w, &spec)->status, 0);
    assert_int_equal(strlen(world_read(w, "logs", "stdout.1")), 1000);
    assert_int_equal(strlen(world_read(w, "logs", "stdout")), 500);
    assert_string_equal(world_read(w, "logs", "stderr"), "end");
}

/* A program that plants links and folders where the logs go must neither reach other files nor escape the bound. */
static void test_logs__cannot_be_led_elsewhere(void **state)
{
    struct world *w = *state;
    char victim[128];
    (void)snprintf(victim, sizeof(victim), "%s/victim", w->root);
    assert_int_equal(world_system("echo intact > %s", victim), 0);
    char shell[512];
    (void)snprintf(shell, sizeof(shell),
                   "rm stdout; ln -s %s stdout; rm -f stderr.1; mkdir -p stderr.1/full; "
                   "head -c 5000 /dev/zero | tr '\\0' x; head -c 5000 /dev/zero | tr '\\0' y >&2",
                   victim);
    struct launcher_spec spec = world_spec(w, "links", shell);
    spec.log_bytes_max = 1000;
    (void)world_do(w, &spec);
    assert_int_equal(world_system("test \"$(cat %s)\" = intact", victim), 0);
    assert_true(strlen(world_read(w, "links", "stdout")) <= 1000);
    assert_true(strlen(world_read(w, "links", "stderr")) <= 1000);
}

static void test_executor__is_executed_from_the_helper(void **state)
{
    struct world *w = *state;
    struct launcher_spec spec = world_spec(w, "executor", NULL);
    spec.builtin_executor = true;
    const struct world_container *c = world_do(w, &spec); /* without an environment it can only complain */
    assert_int_equal(c->started, 1);
    assert_int_equal(c->reason, LAUNCHER_END_EXITED);
    assert_true(WIFEXITED(c->status) && WEXITSTATUS(c->status) != 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_launch__exit_status_is_kept),
        TEST(test_launch__signal_is_kept),
        TEST(test_launch__argv_is_found_by_path_and_environment_is_exact),
        TEST(test_launch__script_without_interpreter_runs),
        TEST(test_launch__missing_program_fails),
        TEST(test_launch__missing_user_fails),
        TEST(test_launch__bad_specs_fail),
        TEST(test_launch__rlimit_is_set),
        TEST(test_launch__user_is_switched),
        TEST(test_destroy__ends_what_ignores_signals),
        TEST(test_destroy__right_after_launch),
        TEST(test_launch__left_processes_end_with_the_program),
        TEST(test_launch__many_at_once),
        TEST(test_limits__memory_ends_the_container),
        TEST(test_limits__fork_bomb_is_contained),
        TEST(test_update__raises_but_does_not_lower_memory),
        TEST(test_logs__rotate_at_the_bound),
        TEST(test_logs__cannot_be_led_elsewhere),
        TEST(test_executor__is_executed_from_the_helper),
    };
    return cmocka_run_group_tests_name("launch", tests, NULL, NULL);
}
