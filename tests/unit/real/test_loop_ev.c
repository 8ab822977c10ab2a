/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/real/loop_ev.h"

struct fixture {
    struct loop *loop;
    struct loop_timer *guard;
    char log[64];
    size_t log_len;
    struct loop_timer *timers[3];
    struct loop_idle *idles[3];
    struct loop_fd *fd;
    struct loop_child *child;
    int64_t started_ms, fired_ms;
    int count, status;
};

static void on_guard(void *ctx)
{
    (void)ctx;
    fail_msg("the loop was not stopped in time");
}

static void note(struct fixture *f, char c)
{
    f->log[f->log_len++] = c;
}

static int setup(void **state)
{
    struct fixture *f = test_calloc(1, sizeof(*f));
    f->loop = loop_ev_new();
    assert_non_null(f->loop);
    f->guard = loop_timer_add(f->loop, on_guard, f);
    loop_timer_start(f->guard, 5000);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    loop_timer_remove(f->guard);
    loop_ev_free(f->loop);
    test_free(f);
    return 0;
}

static void on_timer_a(void *ctx)
{
    note(ctx, 'a');
}
static void on_timer_b(void *ctx)
{
    note(ctx, 'b');
}
static void on_timer_stop(void *ctx)
{
    struct fixture *f = ctx;
    note(f, 's');
    f->fired_ms = loop_now_ms(f->loop);
    loop_stop(f->loop);
}

static void test_timers__fire_in_order_and_not_early(void **state)
{
    struct fixture *f = *state;
    f->timers[0] = loop_timer_add(f->loop, on_timer_a, f);
    f->timers[1] = loop_timer_add(f->loop, on_timer_b, f);
    f->timers[2] = loop_timer_add(f->loop, on_timer_stop, f);
    f->started_ms = loop_now_ms(f->loop);
    loop_timer_start(f->timers[2], 30);
    loop_timer_start(f->timers[0], 10);
    loop_timer_start(f->timers[1], 10);
    assert_true(loop_timer_is_active(f->timers[0]));
    loop_run(f->loop);
    assert_string_equal(f->log, "abs");
    assert_true(f->fired_ms - f->started_ms >= 30);
    assert_false(loop_timer_is_active(f->timers[0]));
    for (int i = 0; i < 3; i++)
        f->timers[i] = loop_timer_remove(f->timers[i]);
}

static void on_timer_again(void *ctx)
{
    struct fixture *f = ctx;
    if (++f->count < 3)
        loop_timer_start(f->timers[0], 0);
    else
        f->timers[0] = loop_timer_remove(f->timers[0]); /* inside its own callback */
}
static void on_idle_count(void *ctx)
{
    struct fixture *f = ctx;
    note(f, (char)('0' + f->count));
    if (f->timers[0] == NULL)
        loop_stop(f->loop);
}

static void test_timer__restarted_with_zero_waits_for_the_next_turn(void **state)
{
    struct fixture *f = *state;
    f->timers[0] = loop_timer_add(f->loop, on_timer_again, f);
    loop_timer_start(f->timers[0], 0);
    f->idles[0] = loop_before_sleep_add(f->loop, on_idle_count, f);
    loop_run(f->loop);
    assert_string_equal(f->log, "0123");
    loop_before_sleep_remove(f->idles[0]);
}

static void on_idle_remove_next(void *ctx)
{
    struct fixture *f = ctx;
    note(f, 'x');
    f->idles[1] = loop_before_sleep_remove(f->idles[1]);
}
static void on_idle_mark(void *ctx)
{
    note(ctx, '!');
}
static void on_idle_stop(void *ctx)
{
    struct fixture *f = ctx;
    note(f, 'z');
    f->idles[2] = loop_before_sleep_remove(f->idles[2]);
    loop_stop(f->loop);
}

static void test_before_sleep__callbacks_may_remove_each_other(void **state)
{
    struct fixture *f = *state;
    f->idles[0] = loop_before_sleep_add(f->loop, on_idle_remove_next, f);
    f->idles[1] = loop_before_sleep_add(f->loop, on_idle_mark, f);
    f->idles[2] = loop_before_sleep_add(f->loop, on_idle_stop, f);
    loop_run(f->loop);
    assert_string_equal(f->log, "xz");
    loop_before_sleep_remove(f->idles[0]);
}

static void on_idle_add(void *ctx)
{
    struct fixture *f = ctx;
    note(f, '1');
    f->idles[0] = loop_before_sleep_remove(f->idles[0]);
    f->idles[2] = loop_before_sleep_add(f->loop, on_idle_stop, f);
}

static void test_before_sleep__one_added_inside_runs_before_this_sleep(void **state)
{
    struct fixture *f = *state;
    f->idles[0] = loop_before_sleep_add(f->loop, on_idle_add, f);
    loop_run(f->loop);
    assert_string_equal(f->log, "1z");
    assert_true(loop_now_ms(f->loop) > 0);
}

static void on_readable(void *ctx, int fd, unsigned ready)
{
    struct fixture *f = ctx;
    char c;
    assert_int_equal(ready, LOOP_READ);
    assert_int_equal(read(fd, &c, 1), 1);
    note(f, c);
    f->fd = loop_fd_remove(f->fd);
    loop_stop(f->loop);
}

static void test_fd__reports_and_is_removed_inside_its_callback(void **state)
{
    struct fixture *f = *state;
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    f->fd = loop_fd_add(f->loop, pair[0], 0, on_readable, f);
    loop_fd_set(f->fd, LOOP_READ);
    loop_fd_set(f->fd, LOOP_READ);
    assert_int_equal(write(pair[1], "q", 1), 1);
    loop_run(f->loop);
    assert_string_equal(f->log, "q");
    close(pair[0]);
    close(pair[1]);
}

enum { POST_COUNT = 1000 };
struct posted {
    struct fixture *f;
    int number;
};

static void on_posted(void *ctx)
{
    struct posted *p = ctx;
    assert_int_equal(p->number, p->f->count);
    if (++p->f->count == POST_COUNT)
        loop_stop(p->f->loop);
}

static void *post_all(void *arg)
{
    struct posted *p = arg;
    for (int i = 0; i < POST_COUNT; i++)
        loop_post(p[i].f->loop, on_posted, &p[i]);
    return NULL;
}

static void test_post__from_a_thread_arrives_in_order(void **state)
{
    struct fixture *f = *state;
    static struct posted posted[POST_COUNT];
    for (int i = 0; i < POST_COUNT; i++)
        posted[i] = (struct posted){f, i};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, post_all, posted), 0);
    loop_run(f->loop);
    assert_int_equal(f->count, POST_COUNT);
    pthread_join(thread, NULL);
}

static void on_usr1(void *ctx, int signo)
{
    struct fixture *f = ctx;
    f->count = signo;
    loop_stop(f->loop);
}

static void test_signal__arrives_although_it_was_blocked(void **state)
{
    struct fixture *f = *state;
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    struct loop_signal *s = loop_signal_add(f->loop, SIGUSR1, on_usr1, f);
    raise(SIGUSR1);
    loop_run(f->loop);
    assert_int_equal(f->count, SIGUSR1);
    loop_signal_remove(s);
}

static void on_child(void *ctx, pid_t pid, int status)
{
    struct fixture *f = ctx;
    (void)pid;
    f->status = status;
    f->child = loop_child_remove(f->child);
    loop_stop(f->loop);
}

static void test_child__its_end_is_told_and_others_are_left_alone(void **state)
{
    struct fixture *f = *state;
    pid_t other = fork();
    if (other == 0)
        _exit(3);
    pid_t pid = fork();
    if (pid == 0)
        _exit(7);
    f->child = loop_child_add(f->loop, pid, on_child, f);
    loop_run(f->loop);
    assert_true(WIFEXITED(f->status));
    assert_int_equal(WEXITSTATUS(f->status), 7);
    int status;
    assert_int_equal(waitpid(other, &status, 0), other);
    assert_int_equal(WEXITSTATUS(status), 3);
}

static void test_child__already_reaped_is_told_as_unknown(void **state)
{
    struct fixture *f = *state;
    pid_t pid = fork();
    if (pid == 0)
        _exit(0);
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    f->child = loop_child_add(f->loop, pid, on_child, f);
    loop_run(f->loop);
    assert_int_equal(f->status, -1);
}

static void test_child__is_found_without_a_pidfd(void **state)
{
    struct fixture *f = *state;
    pid_t pid = fork();
    if (pid == 0) {
        (void)pause();
        _exit(9);
    }
    int next = dup(0);
    close(next);
    struct rlimit before, now;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    now = before;
    now.rlim_cur = (rlim_t)next;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &now), 0);
    f->child = loop_child_add(f->loop, pid, on_child, f);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(kill(pid, SIGKILL), 0);
    loop_run(f->loop);
    assert_true(WIFSIGNALED(f->status));
}

static void test_stop__the_last_turn_is_finished(void **state)
{
    struct fixture *f = *state;
    f->timers[2] = loop_timer_add(f->loop, on_timer_stop, f);
    loop_timer_start(f->timers[2], 5);
    f->idles[0] = loop_before_sleep_add(f->loop, on_idle_mark, f);
    loop_run(f->loop);
    assert_string_equal(f->log, "!s!");
    f->timers[2] = loop_timer_remove(f->timers[2]);
    f->idles[0] = loop_before_sleep_remove(f->idles[0]);
}

static void test_stop__before_run_ends_it_at_once(void **state)
{
    struct fixture *f = *state;
    loop_stop(f->loop);
    loop_run(f->loop);
    assert_int_equal(f->log_len, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_timers__fire_in_order_and_not_early, setup, teardown),
        cmocka_unit_test_setup_teardown(test_timer__restarted_with_zero_waits_for_the_next_turn, setup, teardown),
        cmocka_unit_test_setup_teardown(test_before_sleep__callbacks_may_remove_each_other, setup, teardown),
        cmocka_unit_test_setup_teardown(test_before_sleep__one_added_inside_runs_before_this_sleep, setup, teardown),
        cmocka_unit_test_setup_teardown(test_fd__reports_and_is_removed_inside_its_callback, setup, teardown),
        cmocka_unit_test_setup_teardown(test_post__from_a_thread_arrives_in_order, setup, teardown),
        cmocka_unit_test_setup_teardown(test_signal__arrives_although_it_was_blocked, setup, teardown),
        cmocka_unit_test_setup_teardown(test_child__its_end_is_told_and_others_are_left_alone, setup, teardown),
        cmocka_unit_test_setup_teardown(test_child__already_reaped_is_told_as_unknown, setup, teardown),
        cmocka_unit_test_setup_teardown(test_child__is_found_without_a_pidfd, setup, teardown),
        cmocka_unit_test_setup_teardown(test_stop__the_last_turn_is_finished, setup, teardown),
        cmocka_unit_test_setup_teardown(test_stop__before_run_ends_it_at_once, setup, teardown),
    };
    return cmocka_run_group_tests_name("loop_ev", tests, NULL, NULL);
}
