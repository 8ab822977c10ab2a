/* SPDX-License-Identifier: Apache-2.0
 * test_probe.c - TCP checks on a real loop. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/real/loop_ev.h"
#include "lb/probe.h"

struct world {
    struct loop *loop;
    struct lb_prober *prober;
    struct loop_timer *bound;
    unsigned ups, downs, until;
};

static void on_done(void *ctx, const struct lb_endpoint *target, bool is_up)
{
    struct world *w = ctx;
    assert_int_equal(target->protocol, LB_TCP);
    w->ups += is_up;
    w->downs += !is_up;
    if (w->ups + w->downs == w->until)
        loop_stop(w->loop);
}

static void on_late(void *ctx)
{
    (void)ctx;
    fail_msg("no answer in time");
}

static void run_until(struct world *w, unsigned answers)
{
    w->until = answers;
    loop_timer_start(w->bound, 10000);
    loop_run(w->loop);
    loop_timer_stop(w->bound);
}

static int listen_at(struct lb_endpoint *out, int backlog)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(a);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
    if (backlog >= 0)
        assert_int_equal(listen(fd, backlog), 0);
    *out = lb_endpoint_of_ipv4(LB_TCP, INADDR_LOOPBACK, ntohs(a.sin_port));
    return fd;
}

static int setup(void **state)
{
    static struct world w;
    memset(&w, 0, sizeof(w));
    w.loop = loop_ev_new();
    w.prober = lb_prober_new(w.loop, 300, on_done, &w);
    w.bound = loop_timer_add(w.loop, on_late, &w);
    *state = &w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    w->prober = lb_prober_free(w->prober);
    loop_timer_remove(w->bound);
    loop_ev_free(w->loop);
    return 0;
}

static void test_probe__up_and_refused(void **state)
{
    struct world *w = *state;
    struct lb_endpoint up, down;
    int listener = listen_at(&up, 8), bound = listen_at(&down, -1); /* bound only: nobody can have the port */
    lb_prober_start(w->prober, &up);
    lb_prober_start(w->prober, &down);
    run_until(w, 2);
    assert_int_equal(w->ups, 1);
    assert_int_equal(w->downs, 1);
    close(listener);
    close(bound);
}

/* A queue that is full lets connects wait for ever. */
static void test_probe__silence_is_down(void **state)
{
    struct world *w = *state;
    struct lb_endpoint at;
    struct sockaddr_storage to;
    int listener = listen_at(&at, 0), fillers[8];
    socklen_t len = lb_endpoint_to_sockaddr(&at, &to);
    for (int i = 0; i < 8; i++) {
        fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        (void)connect(fillers[i], (struct sockaddr *)&to, len);
    }
    int64_t start = loop_now_ms(w->loop);
    lb_prober_start(w->prober, &at);
    run_until(w, 1);
    assert_int_equal(w->downs, 1);
    assert_true(loop_now_ms(w->loop) - start >= 300);
    for (int i = 0; i < 8; i++)
        close(fillers[i]);
    close(listener);
}

static void test_probe__without_descriptors_proves_nothing(void **state)
{
    struct world *w = *state;
    struct rlimit before, none;
    struct lb_endpoint at;
    int bound = listen_at(&at, -1);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = before;
    none.rlim_cur = 0;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    lb_prober_start(w->prober, &at);
    assert_int_equal(w->ups + w->downs, 0); /* told in a later turn */
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    run_until(w, 1);
    assert_int_equal(w->ups, 1);
    close(bound);
}

static void test_probe__ends_under_way(void **state)
{
    struct world *w = *state;
    struct lb_endpoint at;
    int listener = listen_at(&at, 8);
    for (int i = 0; i < 10; i++)
        lb_prober_start(w->prober, &at);
    w->prober = lb_prober_free(w->prober);
    assert_int_equal(w->ups + w->downs, 0);
    close(listener);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_probe__up_and_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_probe__silence_is_down, setup, teardown),
        cmocka_unit_test_setup_teardown(test_probe__without_descriptors_proves_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_probe__ends_under_way, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
