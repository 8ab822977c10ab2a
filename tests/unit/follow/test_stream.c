/* SPDX-License-Identifier: Apache-2.0
 * test_stream.c - the subscription on a real loop, to masters made of their event stream. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>
#include <math.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/follow/stream.h"
#include "support/fake_master.h"

#define EMPTY "{\"type\":\"SUBSCRIBED\",\"subscribed\":{\"heartbeat_interval_seconds\":15,\"get_state\":{}}}"
#define BOUND_MS 10000

struct world {
    struct loop *loop;
    struct master_stream *stream;
    struct arena *arena;
    struct loop_timer *bound;
    unsigned current, lost, addresses, snapshots, events;
    bool refuses; /* records cannot be read */
    unsigned *until, until_value;
    bool is_late;
};

static void on_late(void *ctx)
{
    struct world *w = ctx;
    w->is_late = true;
    loop_stop(w->loop);
}

static void look(struct world *w)
{
    if (w->until != NULL && *w->until >= w->until_value)
        loop_stop(w->loop);
}

/* Runs until the counter has the value. */
static void run_until(struct world *w, unsigned *counter, unsigned value)
{
    if (*counter >= value)
        return;
    w->until = counter;
    w->until_value = value;
    loop_timer_start(w->bound, BOUND_MS);
    while (*counter < value && !w->is_late)
        loop_run(w->loop);
    loop_timer_stop(w->bound);
    assert_false(w->is_late);
    w->until = NULL;
}

static void on_part(void *ctx, const struct picture_part *part)
{
    struct world *w = ctx;
    w->events += part->type == PICTURE_EVENT;
    w->snapshots += part->type == PICTURE_END;
}

static int on_record(void *ctx, enum wire_format format, const void *data, size_t len, struct picture_told *told,
                     struct err *err)
{
    struct world *w = ctx;
    int result = w->refuses ? err_set(err, -EPROTO, "refused by the test")
                            : picture_read(format, data, len, w->arena, on_part, w, told, err);
    look(w);
    return result;
}

static void on_changed(void *ctx, enum master_stream_change change)
{
    struct world *w = ctx;
    w->current += change == MASTER_STREAM_CURRENT;
    w->lost += change == MASTER_STREAM_LOST;
    w->addresses += change == MASTER_STREAM_ADDRESSES;
    look(w);
}

static void start(struct world *w, const char *masters, const char *principal)
{
    struct master_list list;
    memset(w, 0, sizeof(*w));
    assert_int_equal(master_list_parse(masters, &list, NULL), 0);
    w->loop = loop_ev_new();
    w->arena = arena_new(0);
    w->bound = loop_timer_add(w->loop, on_late, w);
    w->stream = master_stream_new(&(struct master_stream_config){.loop = w->loop,
                                                                 .masters = &list,
                                                                 .principal = principal,
                                                                 .secret = "s",
                                                                 .seed = 1,
                                                                 .record = on_record,
                                                                 .changed = on_changed,
                                                                 .ctx = w});
}

static void stop(struct world *w)
{
    master_stream_free(w->stream);
    loop_timer_remove(w->bound);
    arena_free(w->arena);
    loop_ev_free(w->loop);
}

static const char *address_of(const struct fake_master *m, const char *host)
{
    static char text[64];
    (void)snprintf(text, sizeof(text), "%s:%u", host, m->port);
    return text;
}

/* A port that nobody listens at. */
static uint16_t dead_port(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(a);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
    close(fd);
    return ntohs(a.sin_port);
}

static void test_stream__follows_and_comes_back(void **state)
{
    struct fake_master master;
    struct world w;
    (void)state;
    fake_master_start(&master, 0, EMPTY);
    start(&w, address_of(&master, "127.0.0.1"), NULL);
    assert_true(isnan(master_stream_age_seconds(w.stream)));
    run_until(&w, &w.current, 1);
    assert_true(master_stream_is_current(w.stream));
    assert_string_equal(master_stream_address(w.stream), address_of(&master, "127.0.0.1"));
    fake_master_send(&master, "{\"type\":\"HEARTBEAT\"}");
    run_until(&w, &w.events, 2);
    assert_true(master_stream_age_seconds(w.stream) < 5);
    fake_master_drop_streams(&master);
    run_until(&w, &w.lost, 1);
    assert_false(master_stream_is_current(w.stream));
    run_until(&w, &w.current, 2);
    assert_int_equal(w.snapshots, 2);
    assert_int_equal(w.lost, 1);
    stop(&w);
    fake_master_stop(&master);
}

static void test_stream__finds_the_leader(void **state)
{
    struct fake_master follower, leader;
    struct world w;
    char masters[128];
    (void)state;
    fake_master_start(&leader, 0, EMPTY);
    fake_master_start(&follower, 0, EMPTY);
    follower.redirect_port = leader.port;
    (void)snprintf(masters, sizeof(masters), "127.0.0.1:%u,127.0.0.1:%u", dead_port(), follower.port);
    start(&w, masters, NULL);
    run_until(&w, &w.current, 1);
    assert_string_equal(master_stream_address(w.stream), address_of(&leader, "127.0.0.1"));
    assert_int_equal(master_stream_get_counts(w.stream).attempts, 3);
    stop(&w);
    fake_master_stop(&follower);
    fake_master_stop(&leader);
}

static void test_stream__looks_names_up(void **state)
{
    struct fake_master master;
    struct world w;
    struct host_ip ip;
    uint16_t port;
    (void)state;
    fake_master_start(&master, 0, EMPTY);
    start(&w, address_of(&master, "localhost"), NULL);
    assert_false(master_stream_find(w.stream, "LOCALHOST:1", &ip, &port));
    run_until(&w, &w.addresses, 1);
    assert_true(master_stream_find(w.stream, "LOCALHOST:1", &ip, &port));
    assert_int_equal(port, 1);
    if (ip.size == 4) { /* the master here has IPv4 only */
        run_until(&w, &w.current, 1);
        assert_string_equal(master_stream_address(w.stream), address_of(&master, "localhost"));
    }
    stop(&w);
    fake_master_stop(&master);
}

static void test_stream__subscribes_again_after_what_cannot_be_read(void **state)
{
    struct fake_master master;
    struct world w;
    (void)state;
    fake_master_start(&master, 0, EMPTY);
    start(&w, address_of(&master, "127.0.0.1"), "p");
    run_until(&w, &w.current, 1);
    w.refuses = true;
    fake_master_send(&master, "{\"type\":\"HEARTBEAT\"}");
    run_until(&w, &w.lost, 1);
    w.refuses = false;
    run_until(&w, &w.current, 2);
    assert_true(master.subscriptions >= 2);
    stop(&w);
    fake_master_stop(&master);
}

/* With a connection, a look-up and a timer under way. */
static void test_stream__ends_at_any_time(void **state)
{
    struct fake_master master;
    struct world w;
    char masters[128];
    (void)state;
    fake_master_start(&master, 0, EMPTY);
    (void)snprintf(masters, sizeof(masters), "%s,localhost:%u", address_of(&master, "127.0.0.1"), dead_port());
    start(&w, masters, NULL);
    stop(&w);
    start(&w, masters, NULL);
    run_until(&w, &w.snapshots, 1);
    stop(&w);
    fake_master_stop(&master);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stream__follows_and_comes_back),
        cmocka_unit_test(test_stream__finds_the_leader),
        cmocka_unit_test(test_stream__looks_names_up),
        cmocka_unit_test(test_stream__subscribes_again_after_what_cannot_be_read),
        cmocka_unit_test(test_stream__ends_at_any_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
