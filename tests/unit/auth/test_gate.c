/* SPDX-License-Identifier: Apache-2.0
 * A server behind a gate, over real sockets. */
#include "unit/http/raw_client.h"

#include <stdio.h>

#include "common/auth/gate.h"

struct fixture {
    struct loop *loop;
    struct http_server *server;
    struct auth_gate gate;
    struct auth_credentials *credentials;
};

static void on_request(void *ctx, struct http_exchange *x, const struct http_message *request)
{
    struct fixture *f = ctx;
    if (!auth_gate_pass(&f->gate, "the-realm", x, request))
        return;
    const char *principal = auth_subject_of(x)->principal;
    http_reply_text(x, 200, "you are %s", principal != NULL ? principal : "nobody");
}

static int set_up(void **state)
{
    static struct fixture f;
    static const char file[] = "{\"credentials\":[{\"principal\":\"ann\",\"secret\":\"one\"},"
                               "{\"principal\":\"\\u00fcn\\u00ef\",\"secret\":\"\\u2713 s\"}]}";
    struct http_server_config config = {.ip = "127.0.0.1"};
    f = (struct fixture){.loop = loop_ev_new()};
    assert_int_equal(auth_credentials_parse(file, sizeof(file) - 1, &f.credentials, NULL), 0);
    f.gate.credentials = f.credentials;
    assert_int_equal(http_server_start(f.loop, &config, on_request, &f, &f.server, NULL), 0);
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    http_server_stop(f->server);
    auth_credentials_free(f->credentials);
    loop_ev_free(f->loop);
    return 0;
}

/* The whole answer to a GET with these header lines; the caller frees. */
static char *ask(struct fixture *f, const char *headers)
{
    static char text[64 << 10];
    snprintf(text, sizeof(text), "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n%s\r\n", headers);
    struct raw_client r = {.loop = f->loop, .port = http_server_port(f->server), .send = text};
    return raw_client_run(&r);
}

static void expect(struct fixture *f, const char *headers, int status, const char *has)
{
    char *answer = ask(f, headers), want[16];
    snprintf(want, sizeof(want), "HTTP/1.1 %d", status);
    if (strncmp(answer, want, strlen(want)) != 0 || strstr(answer, has) == NULL)
        fail_msg("'%.80s' was answered with:\n%s", headers, answer);
    free(answer);
}

static void test_gate__right_pairs_pass(void **state)
{
    expect(*state, "Authorization: Basic YW5uOm9uZQ==\r\n", 200, "you are ann");
    expect(*state, "aUTHORIZATION: Basic YW5uOm9uZQ==\r\n", 200, "you are ann");
    expect(*state, "Authorization: Basic w7xuw686w6LCnJMgcw==\r\n", 401,
           "Content-Length: 0"); /* other bytes, not UTF-8 twice */
    expect(*state, "Authorization: Basic w7xuw6864pyTIHM=\r\n", 200, "you are \xc3\xbcn\xc3\xaf");
}

static void test_gate__everything_else_is_challenged(void **state)
{
    static const char *const rows[] = {
        "",                                               /* none */
        "Authorization:\r\n",                             /* empty */
        "Authorization: Basic\r\n",                       /* no pair */
        "Authorization: Basic \r\n",                      /* empty pair */
        "Authorization: basic YW5uOm9uZQ==\r\n",          /* the scheme is compared to the letter */
        "Authorization: BasicYW5uOm9uZQ==\r\n",           /* no blank */
        "Authorization: Basic  YW5uOm9uZQ==\r\n",         /* two blanks */
        "Authorization: Basic YW5uOm9uZQ\r\n",            /* no padding */
        "Authorization: Basic YW5uOm9uZR==\r\n",          /* other bits behind the last byte: a second text for one pair */
        "Authorization: Basic YW5uOm9uZQ== x\r\n",        /* more behind it */
        "Authorization: Basic YW5u\tOm9uZQ==\r\n",        /* a tab inside */
        "Authorization: Basic YW5uOm9uZQ-_\r\n",          /* another alphabet */
        "Authorization: Basic YW5uOnR3bw==\r\n",          /* ann:two */
        "Authorization: Basic YW5uOm9uZTo=\r\n",          /* ann:one: has two colons */
        "Authorization: Basic YW5u\r\n",                  /* ann without colon */
        "Authorization: Basic OmE=\r\n",                  /* no principal */
        "Authorization: Basic YW5uOm9uZQA=\r\n",          /* ann:one and a NUL */
        "Authorization: Basic YW5uAG9uZQ==\r\n",          /* ann NUL one */
        "Authorization: Basic QW5uOm9uZQ==\r\n",          /* Ann:one */
        "Authorization: Bearer YW5uOm9uZQ==\r\n",         /* another scheme */
        "Authorization: Basic YW5uOm9uZQ==, Basic x\r\n", /* a list */
        "Proxy-Authorization: Basic YW5uOm9uZQ==\r\n",    /* for somebody else */
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        expect(*state, rows[i], 401, "WWW-Authenticate: Basic realm=\"the-realm\"\r\n");
    expect(*state, "", 401, "\r\n\r\n"); /* and no body */
}

static void test_gate__two_headers_are_no_choice(void **state)
{
    expect(*state, "Authorization: Basic YW5uOm9uZQ==\r\nAuthorization: Basic YW5uOnR3bw==\r\n", 400, "More than one");
    expect(*state, "Authorization: Basic YW5uOm9uZQ==\r\nauthorization: Basic YW5uOm9uZQ==\r\n", 400, "More than one");
}

static void test_gate__long_pairs(void **state)
{
    static char headers[40 << 10];
    int at = snprintf(headers, sizeof(headers), "Authorization: Basic ");
    memset(headers + at, 'A', 24 << 10);
    snprintf(headers + at + (24 << 10), 3, "\r\n");
    expect(*state, headers, 401, "WWW-Authenticate");
    memset(headers + at, 'A', 36 << 10);
    snprintf(headers + at + (36 << 10), 3, "\r\n");
    expect(*state, headers, 431, "");
}

/* A proven principal belongs to its request, not to the connection. */
static void test_gate__every_request_proves_itself(void **state)
{
    struct fixture *f = *state;
    struct raw_client r = {.loop = f->loop,
                           .port = http_server_port(f->server),
                           .send = "GET / HTTP/1.1\r\nHost: h\r\nAuthorization: Basic YW5uOm9uZQ==\r\n\r\n"
                                   "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"};
    char *answer = raw_client_run(&r);
    assert_non_null(strstr(answer, "you are ann"));
    assert_non_null(strstr(answer, "HTTP/1.1 401"));
    free(answer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_gate__right_pairs_pass, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_gate__everything_else_is_challenged, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_gate__two_headers_are_no_choice, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_gate__long_pairs, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_gate__every_request_proves_itself, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
