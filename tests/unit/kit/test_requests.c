/* SPDX-License-Identifier: Apache-2.0
 * test_requests.c - the way of a request to a core and back, and the event streams, over a socket. */
#include "unit/http/raw_client.h"

#include <stdio.h>

#include "common/base/json.h"
#include "common/http/server.h"
#include "frameworks/kit/event_streams.h"
#include "frameworks/kit/shell.h"

struct fixture {
    struct loop *loop;
    struct loop_timer *guard, *later;
    struct http_server *server;
    struct kit_shell shell;
    request_id waits; /* answered by `later` */
    bool is_gone;     /* the client of `waits` is to be gone by then */
    size_t left;      /* requests that still waited then */
};

static void on_guard(void *ctx)
{
    (void)ctx;
    fail_msg("the loop was not stopped in time");
}

static void on_later(void *ctx)
{
    struct fixture *f = ctx;
    static const struct kit_header headers[] = {{"Location", "/v1/x"}, {"X-Other", "/y"}};
    struct kit_effect e = {.type = KIT_EFFECT_REPLY};
    e.reply.id = f->waits;
    e.reply.status = 201;
    e.reply.body = "{\"a\":1}";
    e.reply.body_len = 7;
    e.reply.headers = headers;
    e.reply.header_count = 2;
    f->left = map_count(&f->shell.requests);
    kit_reply(&f->shell, &e);
    kit_reply(&f->shell, &e); /* nobody waits for a second one */
    if (f->is_gone)
        loop_stop(f->loop);
}

static void handle(void *ctx, struct http_exchange *x, const struct http_message *m)
{
    struct fixture *f = ctx;
    const char *path = kit_trimmed_path(x, m);
    if (strcmp(path, "/wait") == 0) {
        f->waits = kit_wait(&f->shell, x, m);
        loop_timer_start(f->later, f->is_gone ? 200 : 1);
    } else if (strcmp(path, "/events") == 0) {
        event_streams_attach(f->shell.streams, x, m, 1700000000000);
        event_streams_publish(f->shell.streams, "a", "{\"n\":1}");
        event_streams_publish(f->shell.streams, "b", "{\"n\":2}");
    } else if (strcmp(path, "/wants") == 0) {
        kit_send_message(x, 200, "%s", kit_accepts_event_stream(m) ? "a stream" : "no stream");
    } else if (strcmp(path, "/") == 0) {
        kit_send_message(x, 200, "the root");
    } else {
        kit_send_message(x, 404, "%s is not here", path);
    }
}

static int setup(void **state)
{
    struct fixture *f = test_calloc(1, sizeof(*f));
    struct http_server_config config = {.ip = "127.0.0.1"};
    struct err err;
    f->loop = loop_ev_new();
    f->guard = loop_timer_add(f->loop, on_guard, f);
    f->later = loop_timer_add(f->loop, on_later, f);
    loop_timer_start(f->guard, 15000);
    map_init(&f->shell.requests);
    f->shell.streams = event_streams_new(f->loop, 50);
    assert_int_equal(http_server_start(f->loop, &config, handle, f, &f->server, &err), 0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    http_server_stop(f->server);
    assert_int_equal(map_count(&f->shell.requests), 0);
    map_deinit(&f->shell.requests);
    (void)event_streams_free(f->shell.streams);
    loop_timer_remove(f->guard);
    loop_timer_remove(f->later);
    loop_ev_free(f->loop);
    test_free(f);
    return 0;
}

static char *ask_until(struct fixture *f, const char *request, const char *until)
{
    struct raw_client r = {.loop = f->loop, .port = http_server_port(f->server), .send = request, .until = until};
    char *text = raw_client_run(&r);
    assert_false(r.timed_out);
    return text;
}

static char *ask(struct fixture *f, const char *request)
{
    return ask_until(f, request, NULL);
}

static void must_have(char *answer, const char *wanted)
{
    if (strstr(answer, wanted) == NULL)
        fail_msg("%s is not in: %s", wanted, answer);
}

static void test_reply__comes_to_who_waits_for_it(void **state)
{
    char *answer = ask(*state, "GET /wait// HTTP/1.1\r\nHost: cron.example:9000\r\nConnection: close\r\n\r\n");
    must_have(answer, "HTTP/1.1 201 ");
    must_have(answer, "Location: http://cron.example:9000/v1/x\r\n"); /* whole, as clients want it */
    must_have(answer, "X-Other: /y\r\n");
    must_have(answer, "application/json");
    must_have(answer, "\r\n\r\n{\"a\":1}");
    free(answer);
    answer = ask(*state, "GET /wait HTTP/1.0\r\n\r\n");
    must_have(answer, "Location: /v1/x\r\n"); /* nobody said how we are called */
    free(answer);
}

static void test_reply__to_a_client_that_has_gone_is_dropped(void **state)
{
    struct fixture *f = *state;
    struct raw_client r = {.loop = f->loop,
                           .port = http_server_port(f->server),
                           .send = "GET /wait HTTP/1.1\r\nHost: x\r\n\r\n",
                           .no_read = true};
    f->is_gone = true;
    free(raw_client_run(&r));
    assert_int_equal(f->left, 0);
    assert_int_equal(f->waits, 1);
}

static void test_message__is_json_whatever_a_stranger_writes(void **state)
{
    char request[3000], path[2000];
    for (size_t i = 0; i + 2 < sizeof(path); i += 2)
        memcpy(path + i, "\xc3\xa4", 3); /* cut in the middle of a character */
    static const char *const paths[] = {"/a\"b\\c", "/%ff%fe%0a", "/%22%00x"};
    for (size_t i = 0; i <= sizeof(paths) / sizeof(paths[0]); i++) {
        const char *one = i < sizeof(paths) / sizeof(paths[0]) ? paths[i] : path;
        (void)snprintf(request, sizeof(request), "GET /x%s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", one);
        char *answer = ask(*state, request);
        const char *body = strstr(answer, "\r\n\r\n");
        if (strncmp(answer, "HTTP/1.1 404", 12) == 0) { /* some paths are refused before */
            json_t *json = json_read(body + 4, strlen(body + 4), NULL);
            if (json == NULL)
                fail_msg("no JSON: %s", body + 4);
            json_decref(json);
        } else {
            assert_memory_equal(answer, "HTTP/1.1 400", 12);
        }
        free(answer);
    }
}

static void test_path__has_no_slash_at_its_end(void **state)
{
    char *answer = ask(*state, "GET /// HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    must_have(answer, "the root");
    free(answer);
    answer = ask(*state, "GET /a/b// HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    must_have(answer, "{\"message\":\"/a/b is not here\"}");
    free(answer);
}

static void test_stream__is_given_to_who_asks_for_it(void **state)
{
    static const char *const cases[][2] = {
        {"GET /wants HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAccept: text/event-stream\r\n\r\n", "\"a stream"},
        {"GET /wants HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAccept: a/b, text/event-stream;q=0.5\r\n\r\n",
         "\"a stream"},
        {"GET /wants HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAccept: text/event-stream;q=0\r\n\r\n", "no stream"},
        {"GET /wants HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAccept: */*\r\n\r\n", "no stream"},
        {"GET /wants HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "no stream"},
        {"HEAD /wants HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAccept: text/event-stream\r\n\r\n", "HTTP/1.1 200"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char *answer = ask(*state, cases[i][0]);
        must_have(answer, cases[i][1]);
        free(answer);
    }
}

static void test_events__come_to_those_who_want_them(void **state)
{
    char *answer = ask_until(*state, "GET /events HTTP/1.1\r\nHost: x\r\n\r\n", "\"n\":2");
    must_have(answer, "text/event-stream");
    must_have(answer, "event: event_stream_attached\r\ndata: {\"remoteAddress\":\"127.0.0.1:");
    must_have(answer, "\"eventType\":\"event_stream_attached\",\"timestamp\":\"2023-11-14T22:13:20.000Z\"}\r\n\r\n");
    must_have(answer, "event: a\r\ndata: {\"n\":1}\r\n\r\n");
    free(answer);
    answer = ask_until(*state, "GET /events?event_type=x&event_type=b HTTP/1.1\r\nHost: x\r\n\r\n", "\"n\":2");
    must_have(answer, "event: b\r\n");
    assert_null(strstr(answer, "event: a\r\n"));
    assert_null(strstr(answer, "attached"));
    free(answer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_reply__comes_to_who_waits_for_it, setup, teardown),
        cmocka_unit_test_setup_teardown(test_reply__to_a_client_that_has_gone_is_dropped, setup, teardown),
        cmocka_unit_test_setup_teardown(test_message__is_json_whatever_a_stranger_writes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_path__has_no_slash_at_its_end, setup, teardown),
        cmocka_unit_test_setup_teardown(test_stream__is_given_to_who_asks_for_it, setup, teardown),
        cmocka_unit_test_setup_teardown(test_events__come_to_those_who_want_them, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
