/* SPDX-License-Identifier: Apache-2.0
 * test_proxy.c - the user-space plane: connections, listeners and limits, UDP. How bytes are carried is test_proxy_bytes.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>

#include "tests/support/proxy_world.h"

/* -- connections ------------------------------------------------------------------------------------------------- */

static void test_proxy__carries_bytes_and_both_ends(void **state)
{
    struct world *w = *state;
    int client, server;
    apply(w, &w->vip, w->backends, BACKENDS);
    open_pair(w, &client, &server, NULL);
    struct numbers n = numbers(w, &w->vip);
    assert_int_equal(n.vip.connections, 1);
    assert_int_equal(n.vip.active, 1);
    assert_int_equal(n.vip.bytes_in, 4);
    assert_int_equal(n.vip.bytes_out, 4);
    (void)close(client);
    expect_end(server);
    (void)close(server);
    wait_until_idle(w, &w->vip);
}

static void test_proxy__server_may_speak_first(void **state)
{
    struct world *w = *state;
    apply(w, &w->vip, w->backends, 1);
    int client = connect_to(&w->vip), server = accept_any(w, NULL);
    send_text(server, "welcome");
    expect_text(client, "welcome");
    (void)close(server);
    expect_end(client);
    (void)close(client);
}

static void test_proxy__half_close_goes_through(void **state)
{
    struct world *w = *state;
    int client, server;
    apply(w, &w->vip, w->backends, BACKENDS);
    open_pair(w, &client, &server, NULL);
    send_text(client, "last words");
    assert_int_equal(shutdown(client, SHUT_WR), 0);
    expect_text(server, "last words");
    expect_end(server);
    send_text(server, "answer after the end");
    expect_text(client, "answer after the end");
    (void)close(server);
    expect_end(client);
    (void)close(client);
    wait_until_idle(w, &w->vip);
}

static void test_proxy__resets_go_through_both_ways(void **state)
{
    struct world *w = *state;
    int client, server;
    apply(w, &w->vip, w->backends, BACKENDS);
    open_pair(w, &client, &server, NULL);
    close_reset(server);
    expect_reset(client);
    (void)close(client);
    open_pair(w, &client, &server, NULL);
    close_reset(client);
    expect_reset(server);
    (void)close(server);
    /* after a half-close nothing is read from the client any more: its reset must be noticed all the same */
    open_pair(w, &client, &server, NULL);
    assert_int_equal(shutdown(client, SHUT_WR), 0);
    expect_end(server);
    close_reset(client);
    struct pollfd broken = {.fd = server};
    assert_int_equal(poll(&broken, 1, WAIT_S * 1000), 1);
    assert_true(broken.revents & POLLERR);
    (void)close(server);
    wait_until_idle(w, &w->vip);
}

static void test_proxy__dead_back_end_is_passed_over_and_left_out(void **state)
{
    struct world *w = *state;
    (void)close(w->servers[0]);
    w->servers[0] = -1;
    apply(w, &w->vip, w->backends, 2);
    for (int i = 0; i < 40; i++) {
        int client, server, which;
        open_pair(w, &client, &server, &which);
        assert_int_equal(which, 1);
        (void)close(client);
        (void)close(server);
    }
    struct numbers n = numbers(w, &w->vip);
    assert_int_equal(n.vip.failures, 0);
    assert_in_range(n.backends[0].failures, 3, 4); /* then it was left out; two threads may count at once */
    assert_true(n.backends[0].is_ejected);
    assert_int_equal(n.backends[0].connections, 0);
    assert_int_equal(n.backends[0].active, 0);
}

/* A back end whose queue is full drops connection requests, as a host that is down does. */
static void test_proxy__silent_back_end_times_out_and_the_next_is_tried(void **state)
{
    struct world *w = *state;
    int fillers[8], filled = 0;
    assert_int_equal(listen(w->servers[0], 0), 0);
    for (int i = 0; i < 8; i++) {
        struct sockaddr_storage address;
        socklen_t len = lb_endpoint_to_sockaddr(&w->backends[0].at, &address);
        fillers[filled] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        (void)connect(fillers[filled++], (struct sockaddr *)&address, len); /* some get in, some hang */
    }
    apply(w, &w->vip, w->backends, 2);
    int which = 0, waiting = w->servers[0];
    w->servers[0] = -1; /* nobody is taken from its queue */
    for (int i = 0; i < 6; i++) {
        int client, server;
        open_pair(w, &client, &server, &which);
        assert_int_equal(which, 1);
        (void)close(client);
        (void)close(server);
    }
    assert_true(numbers(w, &w->vip).backends[0].failures > 0);
    for (int i = 0; i < filled; i++)
        (void)close(fillers[i]);
    w->servers[0] = waiting;
}

static void test_proxy__without_a_back_end_clients_are_reset(void **state)
{
    struct world *w = *state;
    apply(w, &w->vip, NULL, 0);
    int client = try_connect(&w->vip);
    if (client >= 0) {
        expect_reset(client);
        (void)close(client);
    } else {
        assert_int_equal(client, -ECONNRESET);
    }
    for (int i = 0; i < BACKENDS; i++) {
        (void)close(w->servers[i]);
        w->servers[i] = -1;
    }
    apply(w, &w->vip, w->backends, BACKENDS);
    client = try_connect(&w->vip);
    if (client >= 0) {
        expect_reset(client);
        (void)close(client);
    }
    wait_until_idle(w, &w->vip);
    assert_int_equal(numbers(w, &w->vip).vip.failures, 2);
}

static void test_proxy__draining_back_end_keeps_its_connections_only(void **state)
{
    struct world *w = *state;
    int client, server;
    apply(w, &w->vip, w->backends, 1);
    open_pair(w, &client, &server, NULL);
    w->backends[0].is_draining = true;
    apply(w, &w->vip, w->backends, 2);
    for (int i = 0; i < 20; i++) {
        int other_client, other_server, which;
        open_pair(w, &other_client, &other_server, &which);
        assert_int_equal(which, 1);
        (void)close(other_client);
        (void)close(other_server);
    }
    send_text(client, "still here");
    expect_text(server, "still here");
    assert_int_equal(numbers(w, &w->vip).backends[0].active, 1);
    (void)close(client);
    (void)close(server);
}

static void test_proxy__established_connections_outlive_every_change(void **state)
{
    struct world *w = *state;
    int clients[20], servers[20];
    apply(w, &w->vip, w->backends, 2);
    for (int i = 0; i < 20; i++)
        open_pair(w, &clients[i], &servers[i], NULL);
    for (int round = 0; round < 50; round++) {
        apply(w, &w->vip, w->backends + round % 3, 1 + (size_t)round % 2);
        if (round % 10 == 9)
            apply_removal(w, &w->vip);
    }
    assert_int_equal(try_connect(&w->vip), -ECONNREFUSED);
    for (int i = 0; i < 20; i++) {
        send_text(clients[i], "on");
        expect_text(servers[i], "on");
        send_text(servers[i], "and on");
        expect_text(clients[i], "and on");
        (void)close(clients[i]);
        expect_end(servers[i]);
        (void)close(servers[i]);
    }
}

static void test_proxy__a_thousand_connections_are_spread(void **state)
{
    enum { COUNT = 1000 };
    static int clients[COUNT], servers[COUNT];
    struct world *w = *state;
    apply(w, &w->vip, w->backends, BACKENDS);
    for (int i = 0; i < COUNT; i++)
        open_pair(w, &clients[i], &servers[i], NULL);
    struct numbers n = numbers(w, &w->vip);
    assert_int_equal(n.vip.active, COUNT);
    for (int i = 0; i < BACKENDS; i++)
        assert_in_range(n.backends[i].active, COUNT / BACKENDS - 10, COUNT / BACKENDS + 10);
    for (int i = 0; i < COUNT; i++) {
        (void)close(clients[i]);
        (void)close(servers[i]);
    }
    wait_until_idle(w, &w->vip);
}

/* Who is quick to wake takes most of a burst. */
static void test_proxy__threads_share_the_connections(void **state)
{
    enum { COUNT = 40 };
    struct world *w = *state;
    int clients[COUNT], servers[COUNT], watched[3] = {0}, pollers = 0;
    apply(w, &w->vip, w->backends, BACKENDS);
    for (int i = 0; i < COUNT; i++)
        clients[i] = connect_to(&w->vip);
    for (int i = 0; i < COUNT; i++)
        send_text(servers[i] = accept_any(w, NULL), "welcome");
    for (int i = 0; i < COUNT; i++)
        expect_text(clients[i], "welcome");
    for (int fd = 0; fd < 1024 && pollers < 2; fd++) {
        char path[64], line[256];
        (void)snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
        FILE *f = fopen(path, "r");
        while (f != NULL && fgets(line, sizeof(line), f) != NULL)
            watched[pollers] += strncmp(line, "tfd:", 4) == 0;
        if (f != NULL)
            (void)fclose(f);
        pollers += watched[pollers] > 0;
    }
    assert_int_equal(pollers, 2);
    assert_int_equal(watched[0] + watched[1], 2 * (COUNT + 2)); /* besides the listener and what wakes the thread */
    assert_true(watched[0] >= COUNT / 2 && watched[1] >= COUNT / 2);
    for (int i = 0; i < COUNT; i++) {
        (void)close(clients[i]);
        (void)close(servers[i]);
    }
}

/* A read ends before an urgent byte, whatever comes after it; the byte itself is not for those who do not ask for it. */
static void test_proxy__urgent_data_holds_nothing_up(void **state)
{
    enum { LEN = 200 << 10 };
    static uint8_t sent[LEN], got[LEN];
    struct world *w = *state;
    int client, server;
    apply(w, &w->vip, w->backends, 1);
    for (int i = 0; i < 10; i++) {
        client = connect_to(&w->vip);
        send_text(client, "before");
        assert_int_equal(send(client, "!", 1, MSG_OOB), 1);
        send_text(client, "after");
        server = accept_any(w, NULL);
        expect_text(server, "beforeafter");
        (void)close(client);
        (void)close(server);
    }
    open_pair(w, &client, &server, NULL);
    for (int i = 0; i < 20; i++) {
        memset(sent, 'a' + i, LEN);
        assert_int_equal(send(client, sent, LEN, MSG_NOSIGNAL), LEN);
        if (i % 3 == 2)
            assert_int_equal(send(client, "!", 1, MSG_OOB), 1);
        assert_int_equal(recv(server, got, LEN, MSG_WAITALL), LEN);
        assert_memory_equal(sent, got, LEN);
    }
    assert_int_equal(send(client, "!", 1, MSG_OOB), 1);
    (void)close(client);
    expect_end(server);
    (void)close(server);
    wait_until_idle(w, &w->vip);
}

/* -- listeners and limits ---------------------------------------------------------------------------------------- */

static void test_proxy__taken_port_is_a_problem_until_it_is_free(void **state)
{
    struct world *w = *state;
    struct err err = {0};
    char ip[LB_ENDPOINT_TEXT_SIZE];
    struct lb_endpoint taken;
    lb_endpoint_format_ip(&w->vip, ip);
    int holder = bound(ip, SOCK_STREAM, &taken);
    assert_int_equal(listen(holder, 1), 0);
    apply(w, &taken, w->backends, 1);
    assert_non_null(strstr(w->plane->ops->problem(w->plane, &taken), "in use"));
    assert_int_equal(w->plane->ops->repair(w->plane, &err), 0);
    (void)close(holder);
    assert_int_equal(w->plane->ops->repair(w->plane, &err), 1);
    assert_null(w->plane->ops->problem(w->plane, &taken));
    w->vip = taken;
    int client, server;
    open_pair(w, &client, &server, NULL);
    (void)close(client);
    (void)close(server);
}

static void test_proxy__address_of_nobody_is_a_problem(void **state)
{
    struct world *w = *state;
    struct lb_endpoint vip = {.port = 80};
    assert_int_equal(lb_endpoint_parse_ip("192.0.2.1", &vip), 0);
    apply(w, &vip, w->backends, 1);
    assert_non_null(strstr(w->plane->ops->problem(w->plane, &vip), "not local"));
    apply_removal(w, &vip);
    assert_null(w->plane->ops->problem(w->plane, &vip));
}

/* Eight connections fit (setup_narrow); who comes further is turned away at once and fits again later. */
static void test_proxy__full_proxy_turns_away_and_recovers(void **state)
{
    struct world *w = *state;
    int clients[8], servers[8];
    apply(w, &w->vip, w->backends, BACKENDS);
    for (int i = 0; i < 8; i++)
        open_pair(w, &clients[i], &servers[i], NULL);
    for (int i = 0; i < 5; i++) {
        int further = try_connect(&w->vip);
        if (further >= 0) {
            expect_reset(further);
            (void)close(further);
        }
    }
    (void)close(clients[0]);
    expect_end(servers[0]);
    (void)close(servers[0]);
    for (int i = 0; i < 5000 && numbers(w, &w->vip).vip.active > 7; i++)
        (void)poll(NULL, 0, 1);
    open_pair(w, &clients[0], &servers[0], NULL);
    for (int i = 0; i < 8; i++) {
        (void)close(clients[i]);
        (void)close(servers[i]);
    }
}

static void test_proxy__ten_thousand_changes_of_many_vips(void **state)
{
    struct world *w = *state;
    struct lb_change changes[500];
    for (size_t i = 0; i < 500; i++)
        changes[i] = (struct lb_change){.vip = lb_endpoint_of_ipv4(LB_TCP, 0x7f7f0000u + (uint32_t)i, w->vip.port),
                                        .name = "",
                                        .backends = w->backends,
                                        .backend_count = BACKENDS};
    for (int round = 0; round < 20; round++) {
        for (size_t i = 0; i < 500; i++)
            changes[i].is_removed = round % 5 == 4;
        w->plane->ops->apply(w->plane, changes, 500);
    }
    assert_int_equal(try_connect(&changes[7].vip), -ECONNREFUSED);
}

/* -- UDP --------------------------------------------------------------------------------------------------------- */

static int udp_server(struct lb_backend *backend)
{
    backend->is_draining = false;
    return bound("127.0.0.1", SOCK_DGRAM, &backend->at);
}

static void answer(int server, const char *question, const char *text)
{
    char got[256] = "";
    struct sockaddr_storage from;
    socklen_t len = sizeof(from);
    ssize_t n = recvfrom(server, got, sizeof(got) - 1, 0, (struct sockaddr *)&from, &len);
    assert_int_equal(n, strlen(question));
    assert_string_equal(got, question);
    assert_int_equal(sendto(server, text, strlen(text), 0, (struct sockaddr *)&from, len), strlen(text));
}

static void test_proxy__udp_flows_answer_from_the_vip_and_leave_a_gone_back_end(void **state)
{
    struct world *w = *state;
    struct lb_backend backends[2];
    int servers[2] = {udp_server(&backends[0]), udp_server(&backends[1])};
    apply(w, &w->udp_vip, &backends[0], 1);
    int client = connect_to(&w->udp_vip); /* connected: an answer from elsewhere would not be seen */
    send_text(client, "one");
    answer(servers[0], "one", "first");
    expect_text(client, "first");
    apply(w, &w->udp_vip, backends, 2);
    send_text(client, "two"); /* the flow stays */
    answer(servers[0], "two", "first");
    expect_text(client, "first");
    backends[0].is_draining = true;
    apply(w, &w->udp_vip, backends, 2);
    send_text(client, "three");
    answer(servers[0], "three", "first");
    expect_text(client, "first");
    apply(w, &w->udp_vip, &backends[1], 1);
    for (int i = 0; i < 5000 && numbers(w, &w->udp_vip).vip.active > 0; i++)
        (void)poll(NULL, 0, 1);
    send_text(client, "four");
    answer(servers[1], "four", "second");
    expect_text(client, "second");
    apply_removal(w, &w->udp_vip);
    (void)close(client);
    (void)close(servers[0]);
    (void)close(servers[1]);
}

static void test_proxy__udp_flow_goes_elsewhere_when_nobody_listens(void **state)
{
    struct world *w = *state;
    struct lb_backend backends[2];
    int servers[2] = {udp_server(&backends[0]), udp_server(&backends[1])};
    struct timeval brief = {.tv_usec = 20000};
    (void)close(servers[0]);
    apply(w, &w->udp_vip, backends, 2);
    int client = connect_to(&w->udp_vip);
    assert_int_equal(setsockopt(servers[1], SOL_SOCKET, SO_RCVTIMEO, &brief, sizeof(brief)), 0);
    char got[16];
    ssize_t n = -1;
    for (int i = 0; i < 200 && n < 0; i++) { /* each refused packet makes a new choice, three refusals leave it out */
        send_text(client, "x");
        n = recv(servers[1], got, sizeof(got), 0);
    }
    assert_int_equal(n, 1);
    (void)close(client);
    (void)close(servers[1]);
}

static void test_proxy__silent_udp_flow_ends(void **state)
{
    struct world *w = *state;
    struct lb_backend backend;
    int server = udp_server(&backend);
    apply(w, &w->udp_vip, &backend, 1);
    int client = connect_to(&w->udp_vip);
    send_text(client, "one");
    answer(server, "one", "first");
    expect_text(client, "first");
    wait_until_idle(w, &w->udp_vip);
    assert_int_equal(numbers(w, &w->udp_vip).vip.connections, 1);
    (void)close(client);
    (void)close(server);
}

/* -- everything at once ------------------------------------------------------------------------------------------ */

struct storm {
    struct world *w;
    atomic_bool is_over, is_served;
    atomic_uint good, bad;
};

static void *serve_storm(void *ctx)
{
    struct storm *s = ctx;
    while (!atomic_load(&s->is_served)) {
        struct pollfd fds[BACKENDS];
        for (int i = 0; i < BACKENDS; i++)
            fds[i] = (struct pollfd){.fd = s->w->servers[i], .events = POLLIN};
        if (poll(fds, BACKENDS, 50) <= 0)
            continue;
        for (int i = 0; i < BACKENDS; i++) {
            char got[8];
            if (!(fds[i].revents & POLLIN))
                continue;
            int fd = accept4(s->w->servers[i], NULL, NULL, SOCK_CLOEXEC);
            ssize_t n = fd >= 0 ? recv(fd, got, sizeof(got), 0) : -1;
            if (n > 0)
                (void)!send(fd, got, (size_t)n, MSG_NOSIGNAL);
            if (fd >= 0)
                (void)close(fd);
        }
    }
    return NULL;
}

static void *call_storm(void *ctx)
{
    struct storm *s = ctx;
    while (!atomic_load(&s->is_over)) {
        char got[8];
        int fd = try_connect(&s->w->vip);
        bool is_good = fd >= 0 && send(fd, "hello", 5, MSG_NOSIGNAL) == 5 && recv(fd, got, 5, MSG_WAITALL) == 5;
        atomic_fetch_add(is_good ? &s->good : &s->bad, 1);
        if (fd >= 0)
            (void)close(fd);
    }
    return NULL;
}

/* Back ends come and go under load; as long as one is open, nobody fails. */
static void test_proxy__changes_under_load_fail_nobody(void **state)
{
    struct world *w = *state;
    struct storm storm = {.w = w};
    pthread_t threads[4];
    apply(w, &w->vip, w->backends, BACKENDS);
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, i == 0 ? serve_storm : call_storm, &storm), 0);
    for (int round = 0; round < 300; round++) {
        for (int i = 0; i < BACKENDS; i++)
            w->backends[i].is_draining = i != round % BACKENDS && (round + i) % 3 == 0;
        apply(w, &w->vip, w->backends + round % 2, BACKENDS - 1 - (size_t)round % 2);
        (void)numbers(w, &w->vip);
        (void)poll(NULL, 0, 2);
    }
    for (int i = 0; i < BACKENDS; i++)
        w->backends[i].is_draining = false;
    apply(w, &w->vip, w->backends, BACKENDS);
    atomic_store(&storm.is_over, true);
    for (int i = 1; i < 4; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    atomic_store(&storm.is_served, true); /* not before the last caller has its answer */
    assert_int_equal(pthread_join(threads[0], NULL), 0);
    assert_true(atomic_load(&storm.good) > 20);
    assert_int_equal(atomic_load(&storm.bad), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_proxy__carries_bytes_and_both_ends, setup, teardown),
        cmocka_unit_test_setup_teardown(test_proxy__server_may_speak_first, setup, teardown),
        cmocka_unit_test_setup_teardown(test_proxy__half_close_goes_through, setup, teardown),
        cmocka_unit_test_setup_teardown(test_proxy__resets_go_through_both_ways, setup, teardown),
        cmocka_unit_test_setup_teardown(test_proxy__dead_back_end_is_passed_over_and_left_out, setup, teardown),
        cmocka_unit_test_setup_teardown(test_proxy__silent_back_end_times_out_and_the_next_is_tried, setup, teardown),
        cmocka_unit_test_setup_teardown(test_proxy__without_a_back_end_clients_are_reset, setup, teardown),
        cmocka_unit_test_setup_teardown(test_proxy__draining_back_end_keeps_its_connections_only, setup, teardown),
        cmocka_unit_test_setup_teardown(test_proxy__established_connections_outlive_every_change, setup, teardown),
        cmocka_unit_test_setup_teardown(test_proxy__a_thousand_connections_are_spread, setup, teardown),
        cmocka_unit_test_setup_teardown(test_proxy__threads_share_the_connections, setup, teardown),
        cmocka_unit_test_setup_teardown(test_proxy__urgent_data_holds_nothing_up, setup, teardown),
        cmocka_unit_test_setup_teardown(test_proxy__taken_port_is_a_problem_until_it_is_free, setup, teardown),
        cmocka_unit_test_setup_teardown(test_proxy__address_of_nobody_is_a_problem, setup, teardown),
        cmocka_unit_test_setup_teardown(test_proxy__full_proxy_turns_away_and_recovers, setup_narrow, teardown),
        cmocka_unit_test_setup_teardown(test_proxy__ten_thousand_changes_of_many_vips, setup, teardown),
        cmocka_unit_test_setup_teardown(test_proxy__udp_flows_answer_from_the_vip_and_leave_a_gone_back_end, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_proxy__udp_flow_goes_elsewhere_when_nobody_listens, setup, teardown),
        cmocka_unit_test_setup_teardown(test_proxy__silent_udp_flow_ends, setup_impatient, teardown),
        cmocka_unit_test_setup_teardown(test_proxy__changes_under_load_fail_nobody, setup, teardown),
    };
    (void)signal(SIGPIPE, SIG_IGN);
    cmocka_set_test_filter(getenv("TEST_FILTER"));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
