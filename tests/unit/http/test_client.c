/* SPDX-License-Identifier: Apache-2.0 */
#include "unit/http/raw_client.h"

#include <stdio.h>

#include "common/http/client.h"
#include "common/http/server.h"

/* A server on a thread that follows a script: each row is one connection, or one more answer on it. */
struct script {
    const char *answer; /* sent after the next request head; NULL: none */
    bool then_close;
    bool close_first; /* accept and close without reading */
};

struct fixture {
    struct loop *loop;
    struct loop_timer *guard;
    struct http_client *client;
    struct http_server *server;
    int listen_fd;
    uint16_t port;
    const struct script *script;
    size_t script_len;
    struct buf requests; /* what the script saw */
    pthread_t thread;
    bool has_thread;

    int done, expected;
    int status, error;
    char body[64];
    char data[256];
    size_t heads;
    struct http_call *call;
    bool cancel_in_data, refuse_head;
    size_t accepted, in_handler, in_handler_max;
    struct http_exchange *held[200];
    struct loop_timer *release;
};

static void on_guard(void *ctx)
{
    (void)ctx;
    fail_msg("the loop was not stopped in time");
}

static void read_request(struct fixture *f, int fd)
{
    size_t seen = buf_len(&f->requests);
    char c[4096];
    ssize_t n;
    while ((buf_len(&f->requests) == seen ||
            memmem(buf_data(&f->requests) + seen, buf_len(&f->requests) - seen, "\r\n\r\n", 4) == NULL) &&
           (n = recv(fd, c, sizeof(c), 0)) > 0)
        CHECK(buf_append(&f->requests, c, (size_t)n) == 0);
}

static void *serve(void *arg)
{
    struct fixture *f = arg;
    int fd = -1;
    for (size_t i = 0; i < f->script_len; i++) {
        const struct script *row = &f->script[i];
        if (fd < 0) {
            fd = accept(f->listen_fd, NULL, NULL);
            CHECK(fd >= 0);
            struct timeval limit = {.tv_sec = 5};
            CHECK(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) == 0);
            f->accepted++;
        }
        if (!row->close_first)
            read_request(f, fd);
        if (row->answer != NULL)
            CHECK(send(fd, row->answer, strlen(row->answer), MSG_NOSIGNAL) >= 0);
        if (row->then_close || row->close_first) {
            close(fd);
            fd = -1;
        }
    }
    if (fd >= 0) {
        char c;
        (void)!recv(fd, &c, 1, 0); /* until the client closes */
        close(fd);
    }
    return NULL;
}

static void run_script(struct fixture *f, const struct script *script, size_t n)
{
    f->script = script;
    f->script_len = n;
    f->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(address);
    CHECK(bind(f->listen_fd, (struct sockaddr *)&address, len) == 0 && listen(f->listen_fd, 8) == 0);
    CHECK(getsockname(f->listen_fd, (struct sockaddr *)&address, &len) == 0);
    f->port = ntohs(address.sin_port);
    CHECK(pthread_create(&f->thread, NULL, serve, f) == 0);
    f->has_thread = true;
}

static int setup(void **state)
{
    struct fixture *f = test_calloc(1, sizeof(*f));
    f->loop = loop_ev_new();
    f->guard = loop_timer_add(f->loop, on_guard, f);
    loop_timer_start(f->guard, 15000);
    f->client = http_client_new(f->loop);
    f->expected = 1;
    buf_init(&f->requests, 0);
    *state = f;
    return 0;
}

/* Closes the client's connections and waits for the end of the script: then what it saw may be looked at. */
static void finish_script(struct fixture *f)
{
    f->client = http_client_free(f->client);
    if (!f->has_thread)
        return;
    CHECK(pthread_join(f->thread, NULL) == 0);
    close(f->listen_fd);
    f->has_thread = false;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    finish_script(f);
    http_server_stop(f->server);
    buf_deinit(&f->requests);
    loop_timer_remove(f->release);
    loop_timer_remove(f->guard);
    loop_ev_free(f->loop);
    test_free(f);
    return 0;
}

static void on_done(void *ctx, const struct http_message *response, int error, const char *text)
{
    struct fixture *f = ctx;
    f->done++;
    f->error = error;
    f->status = response ? response->status : 0;
    f->call = NULL;
    assert_true(error == 0 ? response != NULL : text != NULL);
    if (response != NULL)
        snprintf(f->body, sizeof(f->body), "%.*s", (int)response->body_len, (const char *)response->body);
    if (f->done == f->expected)
        loop_stop(f->loop);
}

static bool on_head(void *ctx, const struct http_message *response)
{
    struct fixture *f = ctx;
    f->heads++;
    f->status = response->status;
    return !f->refuse_head;
}

static bool on_data(void *ctx, const void *data, size_t len)
{
    struct fixture *f = ctx;
    strncat(f->data, data, len);
    if (f->cancel_in_data) {
        http_call_cancel(f->call);
        loop_stop(f->loop);
    }
    return true;
}

static const struct http_callbacks whole = {.done = on_done};
static const struct http_callbacks stream = {.done = on_done, .headers_done = on_head, .data = on_data};

static void call(struct fixture *f, struct http_request request, const struct http_callbacks *callbacks)
{
    if (request.unix_path == NULL && request.ip == NULL)
        request.ip = "127.0.0.1";
    if (request.port == 0)
        request.port = f->port;
    request.target = request.target ? request.target : "/";
    int before = f->done;
    f->call = http_call_start(f->client, &request, callbacks, f);
    assert_int_equal(f->done, before); /* never inside the start */
}

static size_t count(const struct buf *b, const char *what)
{
    size_t n = 0;
    const uint8_t *at = buf_data(b), *end = at + buf_len(b);
    while ((at = memmem(at, (size_t)(end - at), what, strlen(what))) != NULL) {
        n++;
        at++;
    }
    return n;
}

static void test_call__sends_and_gets_the_answer(void **state)
{
    struct fixture *f = *state;
    static const struct script script[] = {
        {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 202 Accepted\r\nContent-Length: 2\r\n\r\nok"}};
    run_script(f, script, 1);
    const struct http_header headers[] = {{"Mesos-Stream-Id", "a\r\nb"}};
    call(f,
         (struct http_request){.method = "POST",
                               .target = "/api",
                               .content_type = "application/json",
                               .body = "{}",
                               .body_len = 2,
                               .headers = headers,
                               .header_count = 1},
         &whole);
    loop_run(f->loop);
    assert_int_equal(f->status, 202);
    assert_string_equal(f->body, "ok");
    finish_script(f);
    char expected[300];
    snprintf(expected, sizeof(expected),
             "POST /api HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nContent-Length: 2\r\nContent-Type: application/json\r\n"
             "Mesos-Stream-Id: a  b\r\n\r\n{}",
             f->port);
    assert_int_equal(buf_len(&f->requests), strlen(expected));
    assert_memory_equal(buf_data(&f->requests), expected, strlen(expected));
}

static void test_pool__second_call_takes_the_same_connection(void **state)
{
    struct fixture *f = *state;
    static const struct script script[] = {{"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1"},
                                           {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n2\r\n0\r\n\r\n"}};
    run_script(f, script, 2);
    for (int i = 1; i <= 2; i++) {
        f->expected = i;
        call(f, (struct http_request){.method = "GET"}, &whole);
        loop_run(f->loop);
        assert_int_equal(f->error, 0);
        assert_int_equal(f->body[0], '0' + i);
    }
    finish_script(f);
    assert_int_equal(f->accepted, 1);
}

static void test_retry__get_on_a_connection_that_the_server_just_closed(void **state)
{
    struct fixture *f = *state;
    /* The second request is read and then the connection closed without an answer. */
    static const struct script script[] = {{"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1"},
                                           {NULL, .then_close = true},
                                           {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n2"}};
    run_script(f, script, 3);
    for (int i = 1; i <= 2; i++) {
        f->expected = i;
        call(f, (struct http_request){.method = "GET"}, &whole);
        loop_run(f->loop);
    }
    assert_int_equal(f->error, 0);
    assert_string_equal(f->body, "2");
    finish_script(f);
    assert_int_equal(f->accepted, 2);
    assert_int_equal(count(&f->requests, "GET /"), 3);
}

static void test_retry__post_that_was_sent_is_not_repeated(void **state)
{
    struct fixture *f = *state;
    static const struct script script[] = {{"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1"}, {NULL, .then_close = true}};
    run_script(f, script, 2);
    for (int i = 1; i <= 2; i++) {
        f->expected = i;
        call(f, (struct http_request){.method = "POST"}, &whole);
        loop_run(f->loop);
    }
    assert_int_equal(f->error, -ECONNRESET);
    finish_script(f);
    assert_int_equal(count(&f->requests, "POST /"), 2);
}

static void test_retry__fresh_connection_closed_at_once_is_an_error(void **state)
{
    struct fixture *f = *state;
    static const struct script script[] = {{.close_first = true}};
    run_script(f, script, 1);
    call(f, (struct http_request){.method = "GET"}, &whole);
    loop_run(f->loop);
    assert_int_equal(f->error, -ECONNRESET);
}

static void test_timeout__no_answer(void **state)
{
    struct fixture *f = *state;
    static const struct script script[] = {{"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"}};
    run_script(f, script, 1);
    call(f, (struct http_request){.method = "GET", .timeout_ms = 60}, &whole);
    loop_run(f->loop);
    assert_int_equal(f->error, -ETIMEDOUT);
}

static void test_refused__is_told_later(void **state)
{
    struct fixture *f = *state;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0); /* bound but not listening: nobody else gets this port */
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(address);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, len), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    call(f, (struct http_request){.method = "GET", .port = ntohs(address.sin_port)}, &whole);
    loop_run(f->loop);
    assert_int_equal(f->error, -ECONNREFUSED);
    f->expected = 4;
    call(f, (struct http_request){.method = "GET", .unix_path = "/nonexistent/socket"}, &whole);
    call(f, (struct http_request){.method = "GET", .unix_path = "/nonexistent/socket"}, &whole);
    call(f, (struct http_request){.method = "GET", .ip = "localhost", .port = 1}, &whole);
    loop_run(f->loop);
    assert_int_equal(f->done, 4);
    f->expected = 5;
    call(f, (struct http_request){.method = "GET", .target = "/a b", .port = 1}, &whole);
    loop_run(f->loop);
    assert_int_equal(f->error, -EINVAL);
    close(fd);
}

static void test_bad_answers__are_errors(void **state)
{
    struct fixture *f = *state;
    static const struct script script[] = {
        {"SSH-2.0-x\r\n\r\n", .then_close = true},
        {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", .then_close = true},
        {"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n", .then_close = true},
        {"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n", .then_close = true},
        {"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", .then_close = true},
        {"HTTP/1.1 200 OK\r\n\r\n0123456789x", .then_close = true},
    };
    const int errors[] = {-EPROTO, -EPROTO, -EMSGSIZE, -EPROTO, -ECONNRESET, -EMSGSIZE};
    run_script(f, script, 6);
    for (int i = 0; i < 6; i++) {
        f->expected = i + 1;
        call(f, (struct http_request){.method = "GET", .body_bytes_max = 10}, &whole);
        loop_run(f->loop);
        assert_int_equal(f->error, errors[i]);
    }
}

static void test_head__has_no_body_to_wait_for(void **state)
{
    struct fixture *f = *state;
    static const struct script script[] = {{"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n"}};
    run_script(f, script, 1);
    call(f, (struct http_request){.method = "HEAD", .body_bytes_max = 10}, &whole);
    loop_run(f->loop);
    assert_int_equal(f->status, 200);
}

static void test_until_close__body_ends_with_the_connection(void **state)
{
    struct fixture *f = *state;
    static const struct script script[] = {{"HTTP/1.0 200 OK\r\n\r\nall of it", .then_close = true}};
    run_script(f, script, 1);
    call(f, (struct http_request){.method = "GET"}, &whole);
    loop_run(f->loop);
    assert_int_equal(f->error, 0);
    assert_string_equal(f->body, "all of it");
}

static void test_stream__data_as_it_comes_then_done(void **state)
{
    struct fixture *f = *state;
    static const struct script script[] = {
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"}};
    run_script(f, script, 1);
    call(f, (struct http_request){.method = "POST"}, &stream);
    loop_run(f->loop);
    assert_int_equal(f->heads, 1);
    assert_string_equal(f->data, "abcde");
    assert_int_equal(f->error, 0);
}

static void test_stream__cut_off_is_an_error(void **state)
{
    struct fixture *f = *state;
    static const struct script script[] = {
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nd", .then_close = true}};
    run_script(f, script, 1);
    call(f, (struct http_request){.method = "POST"}, &stream);
    loop_run(f->loop);
    assert_string_equal(f->data, "abcd");
    assert_int_equal(f->error, -ECONNRESET);
}

static void test_stream__may_be_cancelled_in_its_callbacks(void **state)
{
    struct fixture *f = *state;
    static const struct script script[] = {
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n"},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n"}};
    run_script(f, script, 1);
    f->cancel_in_data = true;
    call(f, (struct http_request){.method = "POST"}, &stream);
    loop_run(f->loop);
    assert_string_equal(f->data, "abc");
    assert_int_equal(f->done, 0);
}

static void test_stream__refused_by_its_head(void **state)
{
    struct fixture *f = *state;
    static const struct script script[] = {{"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 3\r\n\r\nabc"}};
    run_script(f, script, 1);
    f->refuse_head = true;
    call(f, (struct http_request){.method = "POST"}, &stream);
    loop_run(f->loop);
    assert_int_equal(f->heads, 1);
    assert_int_equal(f->error, -ECANCELED);
}

/* --- against the real server --- */

static void on_release(void *ctx)
{
    struct fixture *f = ctx;
    while (f->in_handler > 0)
        http_reply(f->held[--f->in_handler], 200, NULL, NULL, 0);
}

static void hold(void *ctx, struct http_exchange *x, const struct http_message *m)
{
    struct fixture *f = ctx;
    if (m->upgrade) {
        int fd;
        void *rest;
        size_t rest_len;
        assert_int_equal(http_upgrade(x, "muster-link/1", &fd, &rest, &rest_len), 0);
        assert_int_equal(send(fd, "early", 5, 0), 5);
        free(rest);
        close(fd);
        return;
    }
    f->held[f->in_handler++] = x;
    if (f->in_handler > f->in_handler_max)
        f->in_handler_max = f->in_handler;
    loop_timer_start(f->release, 20);
}

static void start_server(struct fixture *f)
{
    struct http_server_config config = {.ip = "127.0.0.1"};
    assert_int_equal(http_server_start(f->loop, &config, hold, f, &f->server, NULL), 0);
    f->port = http_server_port(f->server);
    f->release = loop_timer_add(f->loop, on_release, f);
}

static void test_cap__further_calls_wait_for_their_turn(void **state)
{
    struct fixture *f = *state;
    start_server(f);
    f->expected = 150;
    for (int i = 0; i < 150; i++)
        call(f, (struct http_request){.method = "GET"}, &whole);
    loop_run(f->loop);
    assert_int_equal(f->error, 0);
    assert_int_equal(f->in_handler_max, 64);
}

static void test_cancel_and_free__leave_nothing_behind(void **state)
{
    struct fixture *f = *state;
    start_server(f);
    f->expected = 2;
    for (int i = 0; i < 100; i++) {
        call(f, (struct http_request){.method = "GET"}, &whole);
        if (i >= 2 && i < 90)
            http_call_cancel(f->call);
    }
    loop_run(f->loop);
    int done = f->done;
    assert_true(done >= 2 && done <= 12);
    for (int i = 0; i < 100; i++)
        call(f, (struct http_request){.method = "GET"}, &whole);
    f->client = http_client_free(f->client); /* with calls in flight and waiting */
    assert_int_equal(f->done, done);
}

static void on_upgraded(void *ctx, const struct http_message *response, int fd, void *rest, size_t rest_len)
{
    struct fixture *f = ctx;
    f->status = response->status;
    snprintf(f->body, sizeof(f->body), "%.*s", (int)rest_len, rest ? (char *)rest : "");
    char more[8] = "";
    if (rest_len == 0 && recv(fd, more, 5, 0) > 0)
        snprintf(f->body, sizeof(f->body), "%s", more);
    free(rest);
    close(fd);
    loop_stop(f->loop);
}

/* -- streamed bodies -------------------------------------------------------------------------------------------- */

static bool streams_all(void *ctx, const struct http_message *head)
{
    (void)ctx;
    (void)head;
    return true;
}

/* Takes the body slowly, and answers with its length. */
static void take_body(void *ctx, struct http_exchange *x, const void *data, size_t len)
{
    struct fixture *f = ctx;
    f->in_handler += len;
    if (data == NULL)
        http_reply_text(x, 200, "%zu", f->in_handler);
    else if (f->in_handler == 0 || strncmp(data, "refuse", 6) == 0)
        http_reply_text(x, 409, "no more");
}

static void open_body(void *ctx, struct http_exchange *x, const struct http_message *m)
{
    assert_string_equal(http_header(m, "Transfer-Encoding"), "chunked");
    assert_true(http_exchange_on_body(x, take_body, ctx));
}

static void send_pieces(void *ctx)
{
    struct fixture *f = ctx;
    static const char piece[100000];
    while (f->heads < 50 && http_call_unsent(f->call) < (1u << 20)) {
        http_call_send(f->call, piece, sizeof(piece));
        f->heads++;
    }
    if (f->heads == 50) {
        f->heads++;
        http_call_end_body(f->call);
    }
}

static void start_body_server(struct fixture *f)
{
    struct http_server_config config = {.ip = "127.0.0.1", .streams_body = streams_all};
    assert_int_equal(http_server_start(f->loop, &config, open_body, f, &f->server, NULL), 0);
    f->port = http_server_port(f->server);
}

static void test_streamed_body__goes_out_as_it_is_given(void **state)
{
    static const struct http_callbacks callbacks = {.done = on_done, .sent = send_pieces};
    struct fixture *f = *state;
    start_body_server(f);
    struct http_request request = {
        .ip = "127.0.0.1", .port = f->port, .method = "POST", .target = "/", .body_streams = true};
    f->call = http_call_start(f->client, &request, &callbacks, f);
    http_call_send(f->call, "", 0); /* not the end */
    send_pieces(f);                 /* before there is a connection */
    loop_run(f->loop);
    assert_int_equal(f->error, 0);
    assert_int_equal(f->status, 200);
    assert_string_equal(f->body, "5000000");
}

static void test_streamed_body__may_be_answered_in_the_middle(void **state)
{
    static const struct http_callbacks callbacks = {.done = on_done};
    struct fixture *f = *state;
    start_body_server(f);
    struct http_request request = {
        .ip = "127.0.0.1", .port = f->port, .method = "POST", .target = "/", .body_streams = true};
    f->call = http_call_start(f->client, &request, &callbacks, f);
    http_call_send(f->call, "refuse", 6);
    loop_run(f->loop);
    assert_int_equal(f->status, 409);
}

static void test_upgrade__hands_over_the_descriptor(void **state)
{
    struct fixture *f = *state;
    start_server(f);
    const struct http_header headers[] = {{"Connection", "Upgrade"}, {"Upgrade", "muster-link/1"}};
    const struct http_callbacks callbacks = {.done = on_done, .upgraded = on_upgraded};
    call(f, (struct http_request){.method = "GET", .headers = headers, .header_count = 2}, &callbacks);
    loop_run(f->loop);
    assert_int_equal(f->status, 101);
    assert_string_equal(f->body, "early");
    assert_int_equal(f->done, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_call__sends_and_gets_the_answer),
        TEST(test_pool__second_call_takes_the_same_connection),
        TEST(test_retry__get_on_a_connection_that_the_server_just_closed),
        TEST(test_retry__post_that_was_sent_is_not_repeated),
        TEST(test_retry__fresh_connection_closed_at_once_is_an_error),
        TEST(test_timeout__no_answer),
        TEST(test_refused__is_told_later),
        TEST(test_bad_answers__are_errors),
        TEST(test_head__has_no_body_to_wait_for),
        TEST(test_until_close__body_ends_with_the_connection),
        TEST(test_stream__data_as_it_comes_then_done),
        TEST(test_stream__cut_off_is_an_error),
        TEST(test_stream__may_be_cancelled_in_its_callbacks),
        TEST(test_stream__refused_by_its_head),
        TEST(test_cap__further_calls_wait_for_their_turn),
        TEST(test_cancel_and_free__leave_nothing_behind),
        TEST(test_streamed_body__goes_out_as_it_is_given),
        TEST(test_streamed_body__may_be_answered_in_the_middle),
        TEST(test_upgrade__hands_over_the_descriptor),
    };
    return cmocka_run_group_tests_name("client", tests, NULL, NULL);
}
