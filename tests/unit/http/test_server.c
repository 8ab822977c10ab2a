/* SPDX-License-Identifier: Apache-2.0 */
#include "unit/http/raw_client.h"

#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "common/http/server.h"

#define ANSWERED_LATER_MAX 64

struct fixture {
    struct loop *loop;
    struct loop_timer *guard, *later, *stopper;
    struct http_server *server;
    struct http_exchange *waiting[ANSWERED_LATER_MAX];
    size_t waiting_count, waiting_max;
    size_t handled, closed;
    struct http_exchange *stream;
    size_t stream_rounds;
    size_t body_bytes, body_pieces, body_largest; /* of streamed request bodies */
    bool body_complete;
    struct http_exchange *paused;
    int held_client; /* a socket of the test's own */
    bool is_more_sent;
    char held[32];
    int write_result;
    int upgraded_fd;
    char *rest;
    size_t rest_len;
};

static void on_guard(void *ctx)
{
    (void)ctx;
    fail_msg("the loop was not stopped in time");
}

static void on_stop(void *ctx)
{
    struct fixture *f = ctx;
    loop_stop(f->loop);
}

static void on_closed(void *ctx, struct http_exchange *x)
{
    struct fixture *f = ctx;
    f->closed++;
    if (f->stream == x)
        f->stream = NULL;
    loop_stop(f->loop);
}

/* Answers what was put off, newest first. */
static void on_later(void *ctx)
{
    struct fixture *f = ctx;
    while (f->waiting_count > 0) {
        struct http_exchange *x = f->waiting[--f->waiting_count];
        char text[32];
        snprintf(text, sizeof(text), "late %zu", f->waiting_count);
        http_reply(x, 200, "text/plain", text, strlen(text));
    }
}

static void stream_round(void *ctx)
{
    struct fixture *f = ctx;
    if (f->stream == NULL)
        return;
    static const char data[100000];
    f->stream_rounds++;
    assert_true(http_stream_pending(f->stream) <= 1u << 20);
    f->write_result = http_stream_write(f->stream, data, sizeof(data));
    if (f->write_result == 0)
        loop_timer_start(f->later, 0);
}

/* 8 MiB, the next piece when the client has read: far beyond the stream's own bound of 1 MiB. */
static void pour_more(void *ctx, struct http_exchange *x)
{
    struct fixture *f = ctx;
    static const char data[64u << 10];
    assert_true(http_stream_pending(x) <= 128u << 10);
    if (f->stream_rounds++ == 128) {
        http_stream_end(x);
        return;
    }
    f->write_result = http_stream_write(x, data, sizeof(data));
    if (f->write_result == 0)
        http_stream_on_drained(x, pour_more, f);
}

static void handle_upgrade(struct fixture *f, struct http_exchange *x)
{
    void *rest;
    int rc = http_upgrade(x, "muster-link/1", &f->upgraded_fd, &rest, &f->rest_len);
    if (rc != 0) {
        http_reply_text(x, 400, "no upgrade: %d", rc);
        return;
    }
    f->rest = rest;
    assert_int_equal(send(f->upgraded_fd, "raw", 3, 0), 3);
    close(f->upgraded_fd);
}

/* Answers with what comes, while it comes. */
static void duplex_body(void *ctx, struct http_exchange *x, const void *data, size_t len)
{
    struct fixture *f = ctx;
    f->body_pieces++;
    f->body_bytes += len;
    f->body_complete = data == NULL;
    if (data == NULL)
        http_stream_end(x);
    else
        assert_int_equal(http_stream_write(x, data, len), 0);
}

static void refuse_body(void *ctx, struct http_exchange *x, const void *data, size_t len)
{
    struct fixture *f = ctx;
    (void)data;
    f->body_bytes += len;
    f->body_pieces++;
    if (f->body_bytes >= 5)
        http_reply_text(x, 409, "enough");
}

static void resume_body(void *ctx)
{
    struct fixture *f = ctx;
    struct http_exchange *x = f->paused;
    f->paused = NULL;
    f->body_largest = f->body_pieces > f->body_largest ? f->body_pieces : f->body_largest;
    f->body_pieces = 0;
    http_exchange_pause_body(x, false);
}

/* Takes a little and waits. body_largest becomes the most bytes that came between two waits. */
static void slow_body(void *ctx, struct http_exchange *x, const void *data, size_t len)
{
    struct fixture *f = ctx;
    f->body_bytes += len;
    f->body_pieces += len;
    if (data == NULL) {
        loop_timer_stop(f->later);
        f->paused = NULL;
        http_reply_text(x, 200, "%zu", f->body_bytes);
        return;
    }
    http_exchange_pause_body(x, true);
    f->paused = x;
    loop_timer_start(f->later, 1);
}

static void send_held(struct fixture *f, const char *text)
{
    assert_int_equal(send(f->held_client, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* While the body is paused more comes and is put aside; then it goes on, and the next turn of the loop finds both that
 * and what has just arrived. */
static void release_held(void *ctx)
{
    struct fixture *f = ctx;
    if (!f->is_more_sent) {
        f->is_more_sent = true;
        send_held(f, "3\r\ndef\r\n");
        loop_timer_start(f->later, 0);
        return;
    }
    send_held(f, "3\r\nghi\r\n0\r\n\r\n");
    http_exchange_pause_body(f->paused, false);
}

static void held_body(void *ctx, struct http_exchange *x, const void *data, size_t len)
{
    struct fixture *f = ctx;
    if (data == NULL) {
        http_reply(x, 200, "text/plain", f->held, f->body_bytes);
        return;
    }
    assert_true(f->body_bytes + len < sizeof(f->held));
    memcpy(f->held + f->body_bytes, data, len);
    f->body_bytes += len;
    if (f->body_pieces++ > 0)
        return;
    f->paused = x;
    http_exchange_pause_body(x, true);
    loop_timer_start(f->later, 0);
}

static bool streams_body(void *ctx, const struct http_message *head)
{
    (void)ctx;
    return strncmp(head->path, "/body/", 6) == 0;
}

static void handle_body(struct fixture *f, struct http_exchange *x, const struct http_message *m)
{
    http_exchange_on_closed(x, on_closed, f);
    assert_int_equal(m->body_len, 0);
    if (strcmp(m->path, "/body/duplex") == 0) {
        assert_true(http_exchange_on_body(x, duplex_body, f));
        http_stream_begin(x, 200, "application/recordio", 0);
    } else if (strcmp(m->path, "/body/refused") == 0) {
        assert_true(http_exchange_on_body(x, refuse_body, f));
    } else if (strcmp(m->path, "/body/slow") == 0) {
        f->later = loop_timer_remove(f->later);
        f->later = loop_timer_add(f->loop, resume_body, f);
        assert_true(http_exchange_on_body(x, slow_body, f));
    } else if (strcmp(m->path, "/body/held") == 0) {
        f->later = loop_timer_remove(f->later);
        f->later = loop_timer_add(f->loop, release_held, f);
        assert_true(http_exchange_on_body(x, held_body, f));
    } else {
        http_reply_text(x, 404, "no such body");
    }
}

static void handle(void *ctx, struct http_exchange *x, const struct http_message *m)
{
    struct fixture *f = ctx;
    f->handled++;
    if (strcmp(m->path, "/echo") == 0) {
        http_reply(x, 200, "application/json", m->body, m->body_len);
    } else if (strncmp(m->path, "/body/", 6) == 0) {
        handle_body(f, x, m);
    } else if (strcmp(m->path, "/later") == 0) {
        http_exchange_on_closed(x, on_closed, f);
        f->waiting[f->waiting_count++] = x;
        if (f->waiting_count > f->waiting_max)
            f->waiting_max = f->waiting_count;
        loop_timer_start(f->later, 5);
    } else if (strcmp(m->path, "/never") == 0) {
        http_exchange_on_closed(x, on_closed, f);
    } else if (strcmp(m->path, "/stream") == 0) {
        http_add_header(x, "Mesos-Stream-Id", "id\r\nInjected: yes");
        http_stream_begin(x, 200, "application/json", 0);
        assert_int_equal(http_stream_write(x, "3\nabc", 5), 0);
        assert_int_equal(http_stream_write(x, "", 0), 0);
        assert_int_equal(http_stream_write(x, "12\n{\"a\":\"bcde\"}", 15), 0);
        http_stream_end(x);
    } else if (strcmp(m->path, "/flood") == 0) {
        http_exchange_on_closed(x, on_closed, f);
        http_stream_begin(x, 200, "application/json", 1u << 20);
        f->stream = x;
        f->later = loop_timer_remove(f->later);
        f->later = loop_timer_add(f->loop, stream_round, f);
        loop_timer_start(f->later, 0);
    } else if (strcmp(m->path, "/pour") == 0) {
        http_exchange_on_closed(x, on_closed, f);
        http_stream_begin(x, 200, "application/octet-stream", 1u << 20);
        pour_more(f, x);
    } else if (strcmp(m->path, "/trickle") == 0) {
        static const char large[7u << 20];
        http_exchange_on_closed(x, on_closed, f);
        http_stream_begin(x, 200, "application/json", 0);
        f->write_result = http_stream_write(x, large, sizeof(large));
    } else if (strcmp(m->path, "/subscribe") == 0) {
        http_exchange_on_closed(x, on_closed, f);
        http_stream_begin(x, 200, "application/json", 0);
        http_stream_write(x, "hello", 5);
    } else if (strcmp(m->path, "/abort") == 0) {
        http_exchange_abort(x);
    } else if (strcmp(m->path, "/link") == 0) {
        handle_upgrade(f, x);
    } else {
        http_reply_text(x, 200, "%s %s?%s", m->method, m->path, m->query);
    }
}

static void start(struct fixture *f, struct http_server_config config)
{
    struct err err;
    if (config.unix_path == NULL)
        config.ip = "127.0.0.1";
    assert_int_equal(http_server_start(f->loop, &config, handle, f, &f->server, &err), 0);
}

static int setup(void **state)
{
    struct fixture *f = test_calloc(1, sizeof(*f));
    f->loop = loop_ev_new();
    f->guard = loop_timer_add(f->loop, on_guard, f);
    f->later = loop_timer_add(f->loop, on_later, f);
    f->stopper = loop_timer_add(f->loop, on_stop, f);
    loop_timer_start(f->guard, 15000);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    http_server_stop(f->server);
    loop_timer_remove(f->guard);
    loop_timer_remove(f->later);
    loop_timer_remove(f->stopper);
    loop_ev_free(f->loop);
    test_free(f);
    return 0;
}

static char *ask(struct fixture *f, const char *request)
{
    struct raw_client r = {.loop = f->loop, .port = http_server_port(f->server), .send = request, .half_close = false};
    return raw_client_run(&r);
}

static size_t count(const char *text, const char *what)
{
    size_t n = 0;
    for (const char *at = text; (at = strstr(at, what)) != NULL; at++)
        n++;
    return n;
}

#define CLOSE "Host: t\r\nConnection: close\r\n\r\n"

static void test_get__is_answered_with_length_and_date(void **state)
{
    struct fixture *f = *state;
    start(f, (struct http_server_config){0});
    char *got = ask(f, "GET /a%20b?x=1&y HTTP/1.1\r\n" CLOSE);
    assert_int_equal(strncmp(got, "HTTP/1.1 200 OK\r\nDate: ", 23), 0);
    assert_non_null(strstr(got, " GMT\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 14\r\nConnection: close"
                                "\r\n\r\nGET /a b?x=1&y"));
    free(got);
}

static void test_pipeline__late_answers_keep_the_order(void **state)
{
    struct fixture *f = *state;
    start(f, (struct http_server_config){0});
    char *got = ask(f, "GET /later HTTP/1.1\r\nHost: t\r\n\r\nGET /now HTTP/1.1\r\nHost: t\r\n\r\n"
                       "GET /later HTTP/1.1\r\nHost: t\r\n\r\nGET /stream HTTP/1.1\r\n" CLOSE);
    const char *first = strstr(got, "late 0"), *second = strstr(got, "GET /now"), *third = strstr(got, "late 1"),
               *fourth = strstr(got, "\r\n\r\n5\r\n3\nabc\r\n");
    assert_true(first && second && third && fourth);
    assert_true(first < second && second < third && third < fourth);
    assert_int_equal(count(got, "HTTP/1.1 200 OK"), 4);
    free(got);
}

static void test_pipeline__more_than_the_bound_is_read_later(void **state)
{
    struct fixture *f = *state;
    start(f, (struct http_server_config){0});
    struct buf all;
    buf_init(&all, 0);
    for (int i = 0; i < 50; i++)
        buf_append_str(&all, "GET /later HTTP/1.1\r\nHost: t\r\n\r\n");
    buf_append_str(&all, "GET /end HTTP/1.1\r\n" CLOSE);
    char *request = buf_steal_str(&all);
    buf_deinit(&all);
    char *got = ask(f, request);
    assert_int_equal(count(got, "HTTP/1.1 200 OK"), 51);
    assert_int_equal(f->handled, 51);
    assert_int_equal(f->waiting_max, 16); /* never more at the same time */
    free(got);
    free(request);
}

static void test_chunked_request__is_one_body(void **state)
{
    struct fixture *f = *state;
    start(f, (struct http_server_config){0});
    struct raw_client r = {.loop = f->loop,
                           .port = http_server_port(f->server),
                           .piece = 7,
                           .send = "POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" CLOSE
                                   "3;x=y\r\nabc\r\nA\r\n0123456789\r\n0\r\nTrailer: dropped\r\n\r\n"};
    char *got = raw_client_run(&r);
    assert_non_null(strstr(got, "\r\n\r\nabc0123456789"));
    free(got);
}

static void test_stream__each_write_is_one_chunk(void **state)
{
    struct fixture *f = *state;
    start(f, (struct http_server_config){0});
    char *got = ask(f, "POST /stream HTTP/1.1\r\n" CLOSE);
    assert_non_null(strstr(got, "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n"));
    assert_null(strstr(got, "Content-Length"));
    assert_non_null(strstr(got, "\r\n\r\n5\r\n3\nabc\r\nf\r\n12\n{\"a\":\"bcde\"}\r\n0\r\n\r\n"));
    assert_null(strstr(got, "\r\nInjected"));
    free(got);
}

static void test_http10__has_no_chunks_and_closes(void **state)
{
    struct fixture *f = *state;
    start(f, (struct http_server_config){0});
    char *got = ask(f, "GET /stream HTTP/1.0\r\n\r\n");
    assert_null(strstr(got, "chunked"));
    assert_non_null(strstr(got, "Connection: close\r\n"));
    assert_non_null(strstr(got, "\r\n\r\n3\nabc12\n{\"a\":\"bcde\"}"));
    free(got);
    got = ask(f, "GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /b HTTP/1.0\r\n\r\n");
    assert_int_equal(count(got, "HTTP/1.1 200 OK"), 2);
    assert_int_equal(count(got, "Connection: keep-alive"), 1);
    free(got);
}

static void test_head__has_length_but_no_body(void **state)
{
    struct fixture *f = *state;
    start(f, (struct http_server_config){0});
    char *got = ask(f, "HEAD /abc HTTP/1.1\r\n" CLOSE);
    assert_non_null(strstr(got, "Content-Length: 10\r\n"));
    assert_string_equal(strstr(got, "\r\n\r\n"), "\r\n\r\n");
    free(got);
}

static void test_expect__is_told_to_go_on(void **state)
{
    struct fixture *f = *state;
    start(f, (struct http_server_config){0});
    struct raw_client r = {.loop = f->loop,
                           .port = http_server_port(f->server),
                           .send = "POST /echo HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 4\r\n" CLOSE,
                           .until = "100 Continue\r\n\r\n",
                           .then_send = "body"};
    char *got = raw_client_run(&r);
    assert_int_equal(strncmp(got, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n", 42), 0);
    assert_non_null(strstr(got, "\r\n\r\nbody"));
    free(got);
    /* behind an answer that is still to come */
    r = (struct raw_client){.loop = f->loop,
                            .port = http_server_port(f->server),
                            .send = "GET /later HTTP/1.1\r\nHost: t\r\n\r\nPOST /echo HTTP/1.1\r\nExpect: 100-continue\r\n"
                                    "Content-Length: 4\r\n" CLOSE,
                            .until = "100 Continue\r\n\r\n",
                            .then_send = "body"};
    got = raw_client_run(&r);
    assert_non_null(strstr(got, "late 0HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n"));
    free(got);
}

#define CHUNKED_POST(path) "POST " path " HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n"

static void test_streamed_body__both_directions_are_open(void **state)
{
    struct fixture *f = *state;
    start(f, (struct http_server_config){.streams_body = streams_body});
    struct raw_client r = {.loop = f->loop,
                           .port = http_server_port(f->server),
                           .send = CHUNKED_POST("/body/duplex") "3\r\nabc\r\n",
                           .until = "3\r\nabc\r\n",
                           .then_send = "4\r\ndefg\r\n0\r\n\r\n"};
    char *got = raw_client_run(&r);
    assert_non_null(strstr(got, "3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n"));
    assert_non_null(strstr(got, "\r\nConnection: close\r\n"));
    assert_true(f->body_complete);
    assert_int_equal(f->closed, 0);
    free(got);
    /* Expect: 100-continue is answered before the handler's answer. */
    got = ask(f, "POST /body/duplex HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n" CLOSE "xy");
    assert_int_equal(strncmp(got, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n", 42), 0);
    free(got);
}

static void test_streamed_body__the_next_request_follows_a_body_that_was_read(void **state)
{
    struct fixture *f = *state;
    start(f, (struct http_server_config){.streams_body = streams_body});
    char *got = ask(f, CHUNKED_POST("/body/slow") "5\r\nabcde\r\n0\r\n\r\nPOST /body/slow HTTP/1.1\r\n"
                                                  "Content-Length: 3\r\nHost: t\r\n\r\nabcGET /a HTTP/1.1\r\n" CLOSE);
    assert_int_equal(count(got, "HTTP/1.1 200 OK"), 3);
    assert_non_null(strstr(got, "\r\n\r\n5HTTP"));
    assert_non_null(strstr(got, "\r\n\r\n8HTTP"));
    free(got);
}

static void test_streamed_body__an_early_answer_ends_the_connection(void **state)
{
    struct fixture *f = *state;
    start(f, (struct http_server_config){.streams_body = streams_body});
    char *got = ask(f, CHUNKED_POST("/body/refused") "3\r\nabc\r\n3\r\ndef\r\n3\r\nghi\r\n0\r\n\r\n"
                                                     "GET /not-read HTTP/1.1\r\nHost: t\r\n\r\n");
    assert_int_equal(count(got, "HTTP/1.1 "), 1);
    assert_non_null(strstr(got, "HTTP/1.1 409 Conflict\r\n"));
    assert_non_null(strstr(got, "Connection: close\r\n"));
    assert_int_equal(f->body_bytes, 6);
    free(got);
    got = ask(f, CHUNKED_POST("/body/nowhere") "3\r\nabc\r\n");
    assert_non_null(strstr(got, "HTTP/1.1 404 Not Found\r\n"));
    free(got);
}

static void test_streamed_body__a_client_that_breaks_off_is_told_of(void **state)
{
    struct fixture *f = *state;
    start(f, (struct http_server_config){.streams_body = streams_body});
    struct raw_client r = {.loop = f->loop,
                           .port = http_server_port(f->server),
                           .send = CHUNKED_POST("/body/duplex") "3\r\nabc\r\n4\r\nde",
                           .no_read = true};
    free(raw_client_run(&r));
    assert_int_equal(f->closed, 1);
    assert_false(f->body_complete);
    /* and so is one whose chunks make no sense */
    char *got = ask(f, CHUNKED_POST("/body/duplex") "3\r\nabc\r\nnonsense\r\n");
    free(got);
    assert_int_equal(f->closed, 2);
}

static void on_held_answer(void *ctx, int fd, unsigned ready)
{
    (void)fd;
    (void)ready;
    loop_stop(ctx);
}

/* What was put aside comes before what has just arrived. */
static void test_streamed_body__keeps_its_order_over_a_pause(void **state)
{
    struct fixture *f = *state;
    start(f, (struct http_server_config){.streams_body = streams_body});
    struct raw_client r = {.port = http_server_port(f->server)};
    f->held_client = raw_client_connect(&r);
    struct loop_fd *watch = loop_fd_add(f->loop, f->held_client, LOOP_READ, on_held_answer, f->loop);
    send_held(f, CHUNKED_POST("/body/held") "3\r\nabc\r\n");
    loop_run(f->loop);
    char got[512] = "";
    assert_true(recv(f->held_client, got, sizeof(got) - 1, 0) > 0);
    assert_non_null(strstr(got, "\r\n\r\nabcdefghi"));
    loop_fd_remove(watch);
    close(f->held_client);
}

static void test_streamed_body__a_slow_receiver_stops_the_sender(void **state)
{
    enum { BODY_BYTES = 8 << 20 };
    struct fixture *f = *state;
    start(f, (struct http_server_config){.streams_body = streams_body});
    char head[200];
    int head_len = snprintf(head, sizeof(head), "POST /body/slow HTTP/1.1\r\nContent-Length: %d\r\n" CLOSE, BODY_BYTES);
    char *request = calloc(1, BODY_BYTES + (size_t)head_len);
    memcpy(request, head, (size_t)head_len);
    struct raw_client r = {
        .loop = f->loop, .port = http_server_port(f->server), .send = request, .send_len = BODY_BYTES + (size_t)head_len};
    char *got = raw_client_run(&r);
    assert_non_null(strstr(got, "\r\n\r\n8388608"));
    assert_in_range(f->body_largest, 1, 128 << 10);
    free(got);
    free(request);
}

static void test_gzip__large_answers_only_when_allowed(void **state)
{
    struct fixture *f = *state;
    start(f, (struct http_server_config){0});
    char body[2001];
    memset(body, 'x', 2000);
    body[2000] = '\0';
    char request[2400];
    const char *form = "POST /echo HTTP/1.1\r\nAccept-Encoding: %s\r\nContent-Length: %d\r\n" CLOSE "%.*s";
    const struct {
        const char *accept;
        int len;
        bool packed;
    } rows[] = {{"gzip, deflate", 2000, true},  {"gzip", 1023, false},    {"gzip", 1024, true},
                {"gzip;q=0", 2000, false},      {"deflate", 2000, false}, {"*", 2000, true},
                {"*, gzip; q=0.0", 2000, false}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        snprintf(request, sizeof(request), form, rows[i].accept, rows[i].len, rows[i].len, body);
        char *got = ask(f, request);
        assert_int_equal(strstr(got, "Content-Encoding: gzip\r\n") != NULL, rows[i].packed);
        assert_int_equal(strstr(got, "xxxxxxxxx") == NULL, rows[i].packed);
        free(got);
    }
}

/* Compressing is done on the loop: of what would take long the identity is sent. */
static void test_gzip__not_beyond_its_bound(void **state)
{
    struct fixture *f = *state;
    start(f, (struct http_server_config){0});
    static const struct {
        size_t len;
        bool packed;
    } rows[] = {{1 << 20, true}, {(1 << 20) + 1, false}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char *request = malloc(rows[i].len + 256);
        int head =
            sprintf(request, "POST /echo HTTP/1.1\r\nAccept-Encoding: gzip\r\nContent-Length: %zu\r\n" CLOSE, rows[i].len);
        memset(request + head, 'x', rows[i].len);
        request[(size_t)head + rows[i].len] = '\0';
        char *got = ask(f, request);
        assert_int_equal(strstr(got, "Content-Encoding: gzip\r\n") != NULL, rows[i].packed);
        assert_int_equal(strlen(got) > rows[i].len, !rows[i].packed);
        free(got);
        free(request);
    }
}

static void test_errors__get_their_status_and_close(void **state)
{
    struct fixture *f = *state;
    start(f, (struct http_server_config){.body_bytes_max = 1000});
    char many[6000] = "GET / HTTP/1.1\r\nHost: t\r\n", large[40000] = "GET /";
    for (int i = 0; i < 100; i++)
        strcat(many, "A: b\r\n");
    memset(large + 5, 'a', sizeof(large) - 100);
    const struct {
        const char *request, *status;
    } rows[] = {
        {"GET / HTTP/1.1\r\nHost : t\r\n\r\n", "400"},
        {"GET / HTTP/1.1\nHost: t\n\n", "400"},
        {"GET / HTTP/1.1\r\nHost: t\r\nA: b\r\n c\r\n\r\n", "400"},
        {"GET / HTTP/1.1\r\nHost: t\r\nA:\r\n\tc\r\n\r\n", "400"},
        {"GET / HTTP/1.1\r\n\r\n", "400"},
        {"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "400"},
        {"GET /%00 HTTP/1.1\r\nHost: t\r\n\r\n", "400"},
        {"GET /%zz HTTP/1.1\r\nHost: t\r\n\r\n", "400"},
        {"GET relative HTTP/1.1\r\nHost: t\r\n\r\n", "400"},
        {"\x16\x03\x01\x02", "400"},
        {"GET / HTTP/2.0\r\nHost: t\r\n\r\n", "505"},
        {"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc", "400"},
        {"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "400"},
        {"POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", "501"},
        {"POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", "501"},
        {"POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "400"},
        {"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: -1\r\n\r\n", "400"},
        {"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 1, 1\r\n\r\n", "400"},
        {"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 1001\r\n\r\n", "413"},
        {"POST / HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\nContent-Length: 1001\r\n\r\n", "413"},
        {"POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n3e9\r\n", "413"},
        {"POST / HTTP/1.1\r\nHost: t\r\nExpect: more\r\nContent-Length: 1\r\n\r\n", "417"},
        {many, "431"},
        {large, "431"},
    };
    strcat(many, "\r\n");
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char request[45000];
        snprintf(request, sizeof(request), "%s", rows[i].request);
        if (strstr(request, "3e9\r\n") != NULL)
            memset(request + strlen(request), 'x', 1001);
        struct raw_client r = {.loop = f->loop, .port = http_server_port(f->server), .send = request};
        r.send_len = strstr(request, "3e9\r\n") ? strlen(rows[i].request) + 1001 : 0;
        char *got = raw_client_run(&r);
        if (strncmp(got, "HTTP/1.1 ", 9) != 0 || strncmp(got + 9, rows[i].status, 3) != 0)
            fail_msg("row %zu: wanted %s, got %.200s", i, rows[i].status, got);
        assert_non_null(strstr(got, "Connection: close\r\n"));
        free(got);
    }
    assert_int_equal(f->handled, 0);
}

static void test_half_request__is_cut_off_with_408(void **state)
{
    struct fixture *f = *state;
    start(f, (struct http_server_config){.header_timeout_ms = 50});
    char *got = ask(f, "GET / HTTP/1.1\r\nHost:");
    assert_int_equal(strncmp(got, "HTTP/1.1 408", 12), 0);
    free(got);
    got = ask(f, "POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 10\r\n\r\nabc");
    assert_int_equal(strncmp(got, "HTTP/1.1 408", 12), 0);
    free(got);
}

static void test_idle__connection_is_closed_silently(void **state)
{
    struct fixture *f = *state;
    start(f, (struct http_server_config){.idle_timeout_ms = 50});
    char *got = ask(f, "GET /x HTTP/1.1\r\nHost: t\r\n\r\n");
    assert_int_equal(count(got, "HTTP/1.1 "), 1);
    free(got);
    struct raw_client r = {.loop = f->loop, .port = http_server_port(f->server), .send = "\r\n"};
    got = raw_client_run(&r);
    assert_string_equal(got, "");
    free(got);
}

static void test_client_vanishes__the_waiting_exchange_is_told(void **state)
{
    struct fixture *f = *state;
    start(f, (struct http_server_config){0});
    struct raw_client r = {.loop = f->loop,
                           .port = http_server_port(f->server),
                           .send = "GET /never HTTP/1.1\r\nHost: t\r\n\r\n",
                           .no_read = true};
    free(raw_client_run(&r)); /* the loop is stopped by the closed call */
    assert_int_equal(f->closed, 1);
    r.send = "POST /subscribe HTTP/1.1\r\n" CLOSE;
    free(raw_client_run(&r));
    assert_int_equal(f->closed, 2);
}

static void test_abort__closes_without_an_answer(void **state)
{
    struct fixture *f = *state;
    start(f, (struct http_server_config){0});
    char *got = ask(f, "GET /abort HTTP/1.1\r\nHost: t\r\n\r\n");
    assert_string_equal(got, "");
    free(got);
}

static void test_stream__long_one_goes_out_as_the_client_reads(void **state)
{
    struct fixture *f = *state;
    start(f, (struct http_server_config){0});
    char *got = ask(f, "GET /pour HTTP/1.0\r\n\r\n");
    assert_int_equal(f->stream_rounds, 129);
    assert_int_equal(f->write_result, 0);
    assert_int_equal(f->closed, 0);
    free(got);
}

static void test_slow_reader__of_a_stream_is_cut_off_at_the_bound(void **state)
{
    struct fixture *f = *state;
    start(f, (struct http_server_config){0});
    struct raw_client r = {.loop = f->loop, .port = http_server_port(f->server)};
    int fd = raw_client_connect(&r);
    int small = 4096;
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
    const char *request = "POST /flood HTTP/1.1\r\nHost: t\r\n\r\n";
    assert_int_equal(send(fd, request, strlen(request), 0), strlen(request));
    loop_run(f->loop);
    assert_int_equal(f->closed, 1);
    assert_int_equal(f->write_result, -EPIPE);
    assert_true(f->stream_rounds < 200); /* what the kernel's buffers and 1 MiB take */
    assert_int_equal(http_server_connections(f->server), 0);
    close(fd);
}

static void test_slow_reader__without_progress_is_cut_off_in_time(void **state)
{
    struct fixture *f = *state;
    start(f, (struct http_server_config){.write_timeout_ms = 50});
    struct raw_client r = {.loop = f->loop, .port = http_server_port(f->server)};
    int fd = raw_client_connect(&r);
    /* The flood stays below its bound for ever: only the time tells. */
    const char *request = "POST /trickle HTTP/1.1\r\nHost: t\r\n\r\n";
    assert_int_equal(send(fd, request, strlen(request), 0), strlen(request));
    loop_run(f->loop);
    assert_int_equal(f->closed, 1);
    assert_int_equal(f->write_result, 0);
    close(fd);
}

static void test_upgrade__hands_over_the_descriptor_and_the_rest(void **state)
{
    struct fixture *f = *state;
    start(f, (struct http_server_config){0});
    char *got = ask(f, "GET /link HTTP/1.1\r\nHost: t\r\nConnection: Upgrade\r\nUpgrade: muster-link/1\r\n\r\nframes");
    assert_string_equal(got,
                        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: muster-link/1\r\n\r\nraw");
    assert_int_equal(f->rest_len, 6);
    assert_memory_equal(f->rest, "frames", 6);
    free(f->rest);
    free(got);
    got = ask(f, "GET /link HTTP/1.1\r\n" CLOSE);
    assert_non_null(strstr(got, "no upgrade"));
    free(got);
    /* an upgrade that nobody wants is an ordinary request */
    got = ask(f, "GET /x HTTP/1.1\r\nHost: t\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\nGET /y HTTP/1.1\r\n" CLOSE);
    assert_int_equal(count(got, "HTTP/1.1 200 OK"), 2);
    free(got);
}

static void test_unix_socket__serves_its_owner_only(void **state)
{
    struct fixture *f = *state;
    char dir[] = "/tmp/muster-test-XXXXXX", path[64];
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/s", dir);
    start(f, (struct http_server_config){.unix_path = path});
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    struct raw_client r = {.loop = f->loop, .unix_path = path, .send = "GET /u HTTP/1.1\r\n" CLOSE};
    char *got = raw_client_run(&r);
    assert_non_null(strstr(got, "GET /u?"));
    free(got);
    f->server = http_server_stop(f->server);
    assert_int_equal(rmdir(dir), 0);
}

static void test_cap__an_idle_connection_makes_room_a_busy_one_does_not(void **state)
{
    struct fixture *f = *state;
    start(f, (struct http_server_config){.connections_max = 1});
    struct raw_client r = {.loop = f->loop, .port = http_server_port(f->server)};
    int held = raw_client_connect(&r); /* first in the backlog */
    char *got = ask(f, "GET /x HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n");
    assert_int_equal(count(got, "HTTP/1.1 200 OK"), 1);
    char c;
    assert_int_equal(recv(held, &c, 1, MSG_DONTWAIT), 0);
    close(held);
    free(got);
    held = raw_client_connect(&r);
    const char *request = "GET /never HTTP/1.1\r\nHost: t\r\n\r\n";
    assert_int_equal(send(held, request, strlen(request), 0), strlen(request));
    loop_timer_start(f->stopper, 20); /* until it is being handled */
    loop_run(f->loop);
    assert_int_equal(f->handled, 2);
    got = ask(f, "GET /x HTTP/1.1\r\n" CLOSE);
    assert_string_equal(got, "");
    free(got);
    close(held);
}

static void test_buffered_bodies__have_a_common_bound(void **state)
{
    struct fixture *f = *state;
    start(f, (struct http_server_config){.buffered_bytes_max = 1000});
    char request[2000] = "POST /echo HTTP/1.1\r\nContent-Length: 1200\r\n" CLOSE;
    memset(request + strlen(request), 'x', 1100);
    char *got = ask(f, request);
    assert_int_equal(strncmp(got, "HTTP/1.1 503", 12), 0);
    free(got);
    got = ask(f, "POST /echo HTTP/1.1\r\nContent-Length: 3\r\n" CLOSE "abc"); /* what was given up is free again */
    assert_int_equal(strncmp(got, "HTTP/1.1 200", 12), 0);
    free(got);
}

static void test_no_descriptors_left__clients_are_closed_and_the_listener_goes_on(void **state)
{
    struct fixture *f = *state;
    start(f, (struct http_server_config){0});
    struct raw_client r = {.loop = f->loop, .port = http_server_port(f->server)};
    int first = raw_client_connect(&r), second = raw_client_connect(&r);
    int next = dup(0);
    close(next);
    struct rlimit before, now;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    now = before;
    now.rlim_cur = (rlim_t)next;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &now), 0);
    loop_timer_start(f->stopper, 50);
    loop_run(f->loop);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    char c;
    assert_int_equal(recv(first, &c, 1, MSG_DONTWAIT), 0);
    assert_int_equal(recv(second, &c, 1, MSG_DONTWAIT), 0);
    close(first);
    close(second);
    char *got = ask(f, "GET /x HTTP/1.1\r\n" CLOSE);
    assert_int_equal(count(got, "HTTP/1.1 200 OK"), 1);
    free(got);
}

static void test_start__names_the_address_it_cannot_have(void **state)
{
    struct fixture *f = *state;
    start(f, (struct http_server_config){0});
    struct http_server *other = NULL;
    struct err err = {{0}};
    struct http_server_config config = {.ip = "127.0.0.1", .port = http_server_port(f->server)};
    assert_int_equal(http_server_start(f->loop, &config, handle, f, &other, &err), -EADDRINUSE);
    assert_non_null(strstr(err.text, "127.0.0.1:"));
    config.ip = "localhost";
    assert_int_equal(http_server_start(f->loop, &config, handle, f, &other, &err), -EINVAL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_get__is_answered_with_length_and_date),
        TEST(test_pipeline__late_answers_keep_the_order),
        TEST(test_pipeline__more_than_the_bound_is_read_later),
        TEST(test_chunked_request__is_one_body),
        TEST(test_stream__each_write_is_one_chunk),
        TEST(test_http10__has_no_chunks_and_closes),
        TEST(test_head__has_length_but_no_body),
        TEST(test_expect__is_told_to_go_on),
        TEST(test_streamed_body__both_directions_are_open),
        TEST(test_streamed_body__the_next_request_follows_a_body_that_was_read),
        TEST(test_streamed_body__an_early_answer_ends_the_connection),
        TEST(test_streamed_body__a_client_that_breaks_off_is_told_of),
        TEST(test_streamed_body__keeps_its_order_over_a_pause),
        TEST(test_streamed_body__a_slow_receiver_stops_the_sender),
        TEST(test_gzip__large_answers_only_when_allowed),
        TEST(test_gzip__not_beyond_its_bound),
        TEST(test_errors__get_their_status_and_close),
        TEST(test_half_request__is_cut_off_with_408),
        TEST(test_idle__connection_is_closed_silently),
        TEST(test_client_vanishes__the_waiting_exchange_is_told),
        TEST(test_abort__closes_without_an_answer),
        TEST(test_stream__long_one_goes_out_as_the_client_reads),
        TEST(test_slow_reader__of_a_stream_is_cut_off_at_the_bound),
        TEST(test_slow_reader__without_progress_is_cut_off_in_time),
        TEST(test_upgrade__hands_over_the_descriptor_and_the_rest),
        TEST(test_unix_socket__serves_its_owner_only),
        TEST(test_cap__an_idle_connection_makes_room_a_busy_one_does_not),
        TEST(test_buffered_bodies__have_a_common_bound),
        TEST(test_no_descriptors_left__clients_are_closed_and_the_listener_goes_on),
        TEST(test_start__names_the_address_it_cannot_have),
    };
    return cmocka_run_group_tests_name("server", tests, NULL, NULL);
}
