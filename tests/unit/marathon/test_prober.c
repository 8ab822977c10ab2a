/* SPDX-License-Identifier: Apache-2.0
 * Probes over real sockets on loopback: what counts as success, what as failure, and that every probe gets one answer. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/real/loop_ev.h"
#include "frameworks/marathon/shell.h"

static struct {
    struct loop *loop;
    struct http_server *server;
    struct http_client *client;
    struct prober *prober;
    struct loop_timer *limit;
    bool is_success, has_body;
    int status, answers, wanted;
    char cause[128], body[64];
} f;

static void on_request(void *ctx, struct http_exchange *x, const struct http_message *m)
{
    (void)ctx;
    if (strcmp(m->path, "/silent") == 0)
        return; /* never answered */
    int status = atoi(m->path + 1);
    http_reply(x, status, "text/plain", "words", 5);
}

static void on_done(void *ctx, const struct marathon_probe_result *r)
{
    (void)ctx;
    f.is_success = r->is_success;
    f.status = r->http_status;
    f.has_body = r->body != NULL;
    strcpy(f.cause, r->cause ? r->cause : "");
    strcpy(f.body, r->body ? r->body : "");
    assert_int_equal(r->probe_id, 9);
    if (++f.answers == f.wanted)
        loop_stop(f.loop);
}

static void on_limit(void *ctx)
{
    (void)ctx;
    fail_msg("no answer");
}

static void stop(void *ctx)
{
    (void)ctx;
    loop_stop(f.loop);
}

static void probe(enum marathon_probe_kind kind, const char *host, uint16_t port, const char *path, int64_t timeout_ms,
                  bool body)
{
    struct marathon_probe e = {0};
    e.probe_id = 9;
    e.kind = kind;
    e.host = host;
    e.port = port;
    e.path = path;
    e.timeout_ms = timeout_ms;
    e.want_body = body;
    f.answers = 0;
    f.wanted = 1;
    prober_start(f.prober, &e);
    assert_int_equal(f.answers, 0); /* never inside the call */
    loop_run(f.loop);
    assert_int_equal(f.answers, 1);
}

static uint16_t port(void)
{
    return http_server_port(f.server);
}

static void test_prober__http_status_decides(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        int status;
        bool is_success;
    } cases[] = {{"/200", 200, true}, {"/204", 204, true}, {"/302", 302, true}, {"/404", 404, false}, {"/503", 503, false}};
    for (size_t k = 0; k < sizeof(cases) / sizeof(cases[0]); k++) {
        probe(MARATHON_PROBE_HTTP, "127.0.0.1", port(), cases[k].path, 5000, false);
        assert_int_equal(f.status, cases[k].status);
        assert_int_equal(f.is_success, cases[k].is_success);
        assert_false(f.has_body);
    }
    assert_string_equal(f.cause, "HTTP status 503");
    probe(MARATHON_PROBE_HTTP, "127.0.0.1", port(), "/503", 5000, true);
    assert_string_equal(f.body, "words");
}

static void test_prober__silence_is_a_failure(void **state)
{
    (void)state;
    probe(MARATHON_PROBE_HTTP, "127.0.0.1", port(), "/silent", 100, false);
    assert_false(f.is_success);
    assert_int_equal(f.status, 0);
    assert_string_not_equal(f.cause, "");
}

static uint16_t closed_port(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET};
    socklen_t len = sizeof(a);
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
    close(fd);
    return ntohs(a.sin_port);
}

static void test_prober__tcp_connects_or_not(void **state)
{
    (void)state;
    probe(MARATHON_PROBE_TCP, "127.0.0.1", port(), NULL, 5000, false);
    assert_true(f.is_success);
    probe(MARATHON_PROBE_TCP, "127.0.0.1", closed_port(), NULL, 5000, false);
    assert_false(f.is_success);
    assert_non_null(strstr(f.cause, "refused"));
    probe(MARATHON_PROBE_HTTP, "127.0.0.1", closed_port(), "/200", 5000, false);
    assert_false(f.is_success);
}

static void test_prober__names_are_looked_up(void **state)
{
    (void)state;
    for (int k = 0; k < 2; k++) { /* the second time it is remembered */
        probe(MARATHON_PROBE_HTTP, "localhost", port(), "/200", 5000, false);
        /* ::1 may come first, where nobody listens: then it is an ordinary failure */
        assert_true(f.is_success || strstr(f.cause, "refused") != NULL || strstr(f.cause, "address") != NULL);
    }
    probe(MARATHON_PROBE_TCP, "no such name", 1, NULL, 5000, false);
    assert_false(f.is_success);
    assert_string_not_equal(f.cause, "");
}

static void test_prober__may_be_freed_with_probes_under_way(void **state)
{
    (void)state;
    struct marathon_probe e = {0};
    e.kind = MARATHON_PROBE_HTTP;
    e.host = "127.0.0.1";
    e.port = port();
    e.path = "/silent";
    e.timeout_ms = 5000;
    prober_start(f.prober, &e);
    e.host = "another name";
    prober_start(f.prober, &e);
    f.prober = prober_free(f.prober);
    loop_post(f.loop, stop, NULL);
    loop_run(f.loop); /* what the thread had handed in already */
    f.prober = prober_new(f.loop, f.client, on_done, NULL);
}

static int set_up(void **state)
{
    (void)state;
    struct http_server_config config = {.ip = "127.0.0.1"};
    struct err err;
    f.loop = loop_ev_new();
    f.client = http_client_new(f.loop);
    f.prober = prober_new(f.loop, f.client, on_done, NULL);
    f.limit = loop_timer_add(f.loop, on_limit, NULL);
    loop_timer_start(f.limit, 60000);
    return http_server_start(f.loop, &config, on_request, NULL, &f.server, &err);
}

static int tear_down(void **state)
{
    (void)state;
    (void)prober_free(f.prober);
    (void)http_client_free(f.client);
    (void)http_server_stop(f.server);
    (void)loop_timer_remove(f.limit);
    (void)loop_ev_free(f.loop);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_prober__http_status_decides),
        cmocka_unit_test(test_prober__silence_is_a_failure),
        cmocka_unit_test(test_prober__tcp_connects_or_not),
        cmocka_unit_test(test_prober__names_are_looked_up),
        cmocka_unit_test(test_prober__may_be_freed_with_probes_under_way),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
