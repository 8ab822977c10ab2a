/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/check.h"
#include "common/real/loop_ev.h"
#include "common/wire/link.h"
#include "muster/link.pb-c.h"

struct fixture {
    struct loop *loop;
    struct loop_timer *guard, *burst;
    struct link *link;
    int peer;
    uint64_t pings[4096];
    size_t ping_count, stop_after;
    char why[256];
    bool free_in_message, send_in_message;
    int send_result;
};

static void on_guard(void *ctx)
{
    (void)ctx;
    fail_msg("the loop was not stopped in time");
}

static int send_pong(struct link *l, uint64_t sequence)
{
    Muster__Link__Pong pong = MUSTER__LINK__PONG__INIT;
    pong.sequence = sequence;
    Muster__Link__AgentToMaster message = MUSTER__LINK__AGENT_TO_MASTER__INIT;
    message.pong = &pong;
    return link_send(l, &message.base);
}

static void on_message(void *ctx, const ProtobufCMessage *base)
{
    struct fixture *f = ctx;
    const Muster__Link__MasterToAgent *message = (const void *)base;
    assert_non_null(message->ping);
    f->pings[f->ping_count++] = message->ping->sequence;
    if (f->send_in_message)
        f->send_result = send_pong(f->link, message->ping->sequence);
    if (f->free_in_message)
        f->link = link_free(f->link);
    if (f->ping_count == f->stop_after)
        loop_stop(f->loop);
}

static void on_closed(void *ctx, const char *why)
{
    struct fixture *f = ctx;
    strcpy(f->why, why);
    f->link = NULL;
    loop_stop(f->loop);
}

static void open_link(struct fixture *f, const void *rest, size_t rest_len, size_t pending_bytes_max)
{
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    const struct link_callbacks callbacks = {on_message, on_closed};
    f->link = link_new(f->loop, pair[0], rest, rest_len, &muster__link__master_to_agent__descriptor, pending_bytes_max,
                       &callbacks, f);
    f->peer = pair[1];
}

static int setup(void **state)
{
    struct fixture *f = test_calloc(1, sizeof(*f));
    f->loop = loop_ev_new();
    f->guard = loop_timer_add(f->loop, on_guard, f);
    loop_timer_start(f->guard, 10000);
    f->peer = -1;
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    link_free(f->link);
    if (f->peer >= 0)
        close(f->peer);
    loop_timer_remove(f->burst);
    loop_timer_remove(f->guard);
    loop_ev_free(f->loop);
    test_free(f);
    return 0;
}

/* One ping as a frame; returns its length. */
static size_t ping_frame(uint64_t sequence, uint8_t out[64])
{
    Muster__Link__Ping ping = MUSTER__LINK__PING__INIT;
    ping.sequence = sequence;
    Muster__Link__MasterToAgent message = MUSTER__LINK__MASTER_TO_AGENT__INIT;
    message.ping = &ping;
    size_t len = muster__link__master_to_agent__pack(&message, out + 4);
    out[0] = out[1] = out[2] = 0;
    out[3] = (uint8_t)len;
    return len + 4;
}

struct pieces {
    struct fixture *f;
    const uint8_t *data;
    size_t len, at, piece;
};

static void on_piece(void *ctx)
{
    struct pieces *p = ctx;
    size_t n = p->len - p->at < p->piece ? p->len - p->at : p->piece;
    if (n == 0)
        return;
    assert_int_equal(send(p->f->peer, p->data + p->at, n, 0), n);
    p->at += n;
    loop_timer_start(p->f->burst, 0);
}

static void test_frames__arrive_whole_however_they_are_split(void **state)
{
    struct fixture *f = *state;
    uint8_t data[10 * 64];
    size_t len = 0;
    for (uint64_t i = 0; i < 10; i++)
        len += ping_frame(i * 1000, data + len);
    open_link(f, data, 7, 0); /* the first piece came with the upgrade */
    for (size_t piece = 1; piece < 20; piece++) {
        f->ping_count = 0;
        f->stop_after = 10;
        struct pieces p = {f, data, len, piece == 1 ? 7 : 0, piece};
        f->burst = loop_timer_add(f->loop, on_piece, &p);
        loop_timer_start(f->burst, 0);
        loop_run(f->loop);
        assert_int_equal(f->ping_count, 10);
        for (uint64_t i = 0; i < 10; i++)
            assert_int_equal(f->pings[i], i * 1000);
        f->burst = loop_timer_remove(f->burst);
    }
}

static void test_rest__comes_before_what_is_in_the_socket(void **state)
{
    struct fixture *f = *state;
    uint8_t data[128];
    size_t len = ping_frame(1, data);
    len += ping_frame(2, data + len);
    open_link(f, data, len - 5, 0);
    assert_int_equal(send(f->peer, data + len - 5, 5, 0), 5); /* readable before the link's first turn */
    assert_int_equal(send_pong(f->link, 1), 0);               /* and the flush must not change that */
    f->stop_after = 2;
    loop_run(f->loop);
    assert_int_equal(f->pings[0], 1);
    assert_int_equal(f->pings[1], 2);
}

static void check_bad(struct fixture *f, const void *bytes, size_t len, const char *why)
{
    open_link(f, NULL, 0, 0);
    assert_int_equal(send(f->peer, bytes, len, 0), len);
    loop_run(f->loop);
    if (strstr(f->why, why) == NULL)
        fail_msg("wanted '%s', got '%s'", why, f->why);
    close(f->peer);
    f->peer = -1;
}

static void test_bad_frames__end_the_link(void **state)
{
    struct fixture *f = *state;
    check_bad(f, "\0\0\0\0", 4, "length");
    check_bad(f, "\0\x80\0\1", 4, "length");
    check_bad(f, "\xff\xff\xff\xff", 4, "length");
    check_bad(f, "\0\0\0\2\x2a\xff", 6, "bad frame");
    check_bad(f, "\0\0\0\2\x2a\0", 6, "bad frame"); /* a ping without its required field */
}

static void test_peer_closes__is_told(void **state)
{
    struct fixture *f = *state;
    open_link(f, NULL, 0, 0);
    close(f->peer);
    f->peer = -1;
    loop_run(f->loop);
    assert_string_equal(f->why, "the peer closed the connection");
}

static void on_burst(void *ctx)
{
    struct fixture *f = ctx;
    for (uint64_t i = 0; i < 100; i++)
        assert_int_equal(send_pong(f->link, i), 0);
    assert_true(link_pending(f->link) > 0); /* held back until the end of the turn */
    loop_stop(f->loop);
}

static void test_send__frames_of_a_turn_go_out_together(void **state)
{
    struct fixture *f = *state;
    open_link(f, NULL, 0, 0);
    f->burst = loop_timer_add(f->loop, on_burst, f);
    loop_timer_start(f->burst, 0);
    loop_run(f->loop);
    uint8_t bytes[65536];
    ssize_t n = recv(f->peer, bytes, sizeof(bytes), MSG_DONTWAIT);
    assert_true(n > 100 * 6);
    assert_int_equal(bytes[3], 4);
    assert_int_equal(bytes[4], 0x3a); /* field 7: pong */
}

static void on_flood(void *ctx)
{
    struct fixture *f = ctx;
    int rc = 0;
    for (uint64_t i = 0; i < 100000 && rc == 0; i++)
        rc = send_pong(f->link, i);
    f->send_result = rc;
    if (rc == 0)
        loop_timer_start(f->burst, 0);
    else
        assert_string_equal(f->why, ""); /* closed comes in a later turn */
}

static void test_bound__a_peer_that_does_not_read_is_cut_off(void **state)
{
    struct fixture *f = *state;
    open_link(f, NULL, 0, 3u << 20);
    f->burst = loop_timer_add(f->loop, on_flood, f);
    loop_timer_start(f->burst, 0);
    loop_run(f->loop);
    assert_int_equal(f->send_result, -EPIPE);
    assert_non_null(strstr(f->why, "does not read"));
}

static void test_free__inside_the_message_callback(void **state)
{
    struct fixture *f = *state;
    open_link(f, NULL, 0, 0);
    f->free_in_message = f->send_in_message = true;
    f->stop_after = 1;
    uint8_t data[128];
    size_t len = ping_frame(5, data);
    len += ping_frame(6, data + len);
    assert_int_equal(send(f->peer, data, len, 0), len);
    loop_run(f->loop);
    assert_int_equal(f->ping_count, 1);
    assert_string_equal(f->why, "");
    /* What it had to say came out before the end. */
    uint8_t said[64];
    assert_int_equal(recv(f->peer, said, sizeof(said), MSG_DONTWAIT), 8);
    assert_int_equal(said[4], 0x3a);
    assert_int_equal(recv(f->peer, said, sizeof(said), MSG_DONTWAIT), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_frames__arrive_whole_however_they_are_split),
        TEST(test_rest__comes_before_what_is_in_the_socket),
        TEST(test_bad_frames__end_the_link),
        TEST(test_peer_closes__is_told),
        TEST(test_send__frames_of_a_turn_go_out_together),
        TEST(test_bound__a_peer_that_does_not_read_is_cut_off),
        TEST(test_free__inside_the_message_callback),
    };
    return cmocka_run_group_tests_name("link", tests, NULL, NULL);
}
