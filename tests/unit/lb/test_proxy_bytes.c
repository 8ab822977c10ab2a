/* SPDX-License-Identifier: Apache-2.0
 * test_proxy_bytes.c - the user-space plane carries bytes: many, few, to those who do not read, until the last one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>

#include "tests/support/proxy_world.h"

/* -- much data --------------------------------------------------------------------------------------------------- */

struct transfer {
    int fd;
    size_t bytes;
    uint64_t hash;
    uint32_t seed;
};

static uint64_t add_to_hash(uint64_t hash, const uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ bytes[i]) * UINT64_C(1099511628211);
    return hash;
}

static void *send_much(void *ctx)
{
    struct transfer *t = ctx;
    uint8_t bytes[40000];
    for (size_t done = 0; done < t->bytes;) {
        size_t len = 1 + (t->seed = t->seed * 1103515245 + 12345) % sizeof(bytes);
        if (len > t->bytes - done)
            len = t->bytes - done;
        for (size_t i = 0; i < len; i++)
            bytes[i] = (uint8_t)((t->seed = t->seed * 1103515245 + 12345) >> 16);
        for (size_t sent = 0; sent < len;) {
            ssize_t n = send(t->fd, bytes + sent, len - sent, MSG_NOSIGNAL);
            if (n <= 0)
                return NULL;
            sent += (size_t)n;
        }
        t->hash = add_to_hash(t->hash, bytes, len);
        done += len;
    }
    (void)shutdown(t->fd, SHUT_WR);
    return t;
}

static void *receive_much(void *ctx)
{
    struct transfer *t = ctx;
    uint8_t bytes[40000];
    for (;;) {
        ssize_t n = recv(t->fd, bytes, sizeof(bytes), 0);
        if (n <= 0)
            return n == 0 ? t : NULL;
        t->hash = add_to_hash(t->hash, bytes, (size_t)n);
        t->bytes += (size_t)n;
    }
}

static void test_proxy__much_data_both_ways_at_once_arrives_whole(void **state)
{
    enum { BYTES = 12 << 20 };
    struct world *w = *state;
    int client, server;
    apply(w, &w->vip, w->backends, 1);
    open_pair(w, &client, &server, NULL);
    struct transfer out[2] = {{.fd = client, .bytes = BYTES, .seed = 1}, {.fd = server, .bytes = BYTES, .seed = 2}};
    struct transfer in[2] = {{.fd = server}, {.fd = client}};
    pthread_t threads[4];
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, send_much, &out[i]), 0);
        assert_int_equal(pthread_create(&threads[2 + i], NULL, receive_much, &in[i]), 0);
    }
    for (int i = 0; i < 4; i++) {
        void *result;
        assert_int_equal(pthread_join(threads[i], &result), 0);
        assert_non_null(result);
    }
    for (int i = 0; i < 2; i++) {
        assert_int_equal(in[i].bytes, BYTES);
        assert_true(in[i].hash == out[i].hash);
    }
    assert_true(numbers(w, &w->vip).vip.bytes_in == BYTES + 4);
    (void)close(client);
    (void)close(server);
    wait_until_idle(w, &w->vip);
}

/* Who does not read holds up the sender, after what the sockets and one buffer hold; nothing is lost. */
static void test_proxy__slow_reader_holds_up_the_sender(void **state)
{
    static uint8_t bytes[1 << 16];
    struct world *w = *state;
    int client, server;
    size_t sent = 0, got = 0;
    apply(w, &w->vip, w->backends, 1);
    open_pair(w, &client, &server, NULL);
    assert_int_equal(fcntl(server, F_SETFL, O_NONBLOCK), 0);
    for (struct pollfd p = {.fd = server, .events = POLLOUT}; poll(&p, 1, 300) > 0;) {
        ssize_t n = send(server, bytes, sizeof(bytes), MSG_NOSIGNAL);
        sent += n > 0 ? (size_t)n : 0;
        assert_true(sent < 64u << 20);
    }
    assert_int_equal(shutdown(server, SHUT_WR), 0);
    for (;;) {
        ssize_t n = recv(client, bytes, sizeof(bytes), 0);
        assert_true(n >= 0);
        if (n == 0)
            break;
        got += (size_t)n;
    }
    assert_int_equal(got, sent);
    (void)close(client);
    (void)close(server);
}

/* Small messages are read by the batch and passed on at its end; one that the socket takes only a part of, or nothing,
 * waits. */
static void test_proxy__small_messages_to_a_slow_reader_arrive_whole(void **state)
{
    static uint8_t bytes[1 << 16];
    struct world *w = *state;
    int client, server;
    uint64_t sent = 4, got = 0; /* "ping" */
    uint8_t message[1000];
    apply(w, &w->vip, w->backends, 1);
    open_pair(w, &client, &server, NULL);
    int on = 1;
    assert_int_equal(setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)), 0);
    /* one by one, each read before the next is sent, until the proxy reads no more */
    for (bool is_read = true; is_read;) {
        for (size_t i = 0; i < sizeof(message); i++)
            message[i] = (uint8_t)((sent - 4 + i) % 251);
        assert_int_equal(send(client, message, sizeof(message), MSG_NOSIGNAL), sizeof(message));
        sent += sizeof(message);
        assert_true(sent < 64u << 20);
        is_read = numbers(w, &w->vip).vip.bytes_in == sent;
        for (int i = 0; i < 300 && !is_read; i++) {
            (void)poll(NULL, 0, 1);
            is_read = numbers(w, &w->vip).vip.bytes_in == sent;
        }
    }
    assert_int_equal(shutdown(client, SHUT_WR), 0);
    for (ssize_t n = recv(server, bytes, sizeof(bytes), 0); n != 0; n = recv(server, bytes, sizeof(bytes), 0)) {
        assert_true(n > 0);
        for (ssize_t i = 0; i < n; i++, got++)
            if (bytes[i] != got % 251)
                fail_msg("byte %llu is another one", (unsigned long long)got);
    }
    assert_int_equal(got + 4, sent);
    (void)close(client);
    (void)close(server);
    wait_until_idle(w, &w->vip);
}

/* Words and a reset that the proxy sees at the same time: the words come first, on either way. */
static void test_proxy__last_words_before_a_reset_are_passed_on(void **state)
{
    struct world *w = *state;
    apply(w, &w->vip, w->backends, 1);
    for (int i = 0; i < 300; i++) {
        int ends[2];
        open_pair(w, &ends[0], &ends[1], NULL);
        send_text(ends[i % 2], "last words");
        close_reset(ends[i % 2]);
        expect_text(ends[1 - i % 2], "last words");
        expect_reset(ends[1 - i % 2]);
        (void)close(ends[1 - i % 2]);
    }
    wait_until_idle(w, &w->vip);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_proxy__much_data_both_ways_at_once_arrives_whole, setup, teardown),
        cmocka_unit_test_setup_teardown(test_proxy__slow_reader_holds_up_the_sender, setup, teardown),
        cmocka_unit_test_setup_teardown(test_proxy__small_messages_to_a_slow_reader_arrive_whole, setup, teardown),
        cmocka_unit_test_setup_teardown(test_proxy__last_words_before_a_reset_are_passed_on, setup, teardown),
    };
    (void)signal(SIGPIPE, SIG_IGN);
    cmocka_set_test_filter(getenv("TEST_FILTER"));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
