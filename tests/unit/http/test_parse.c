/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/http/parse.h"
#include "common/http/recordio.h"

/* What one message gives, as text: "METHOD path?query [name=value]* body", or "!status". */
static char *describe(const char *input, size_t len, size_t piece, bool is_request)
{
    struct http_parse p;
    http_parse_init(&p, is_request, 64);
    struct buf out;
    buf_init(&out, 0);
    for (size_t at = 0; at < len && p.state != HTTP_PARSE_FAILED;) {
        size_t n = len - at < piece ? len - at : piece;
        at += http_parse_feed(&p, input + at, n);
        if (p.state != HTTP_PARSE_COMPLETE)
            continue;
        const struct http_message *m = &p.message;
        if (is_request)
            buf_printf(&out, "%s %s?%s", m->method, m->path, m->query);
        else
            buf_printf(&out, "%d", m->status);
        for (size_t i = 0; i < m->header_count; i++)
            buf_printf(&out, " [%s=%s]", m->headers[i].name, m->headers[i].value);
        buf_printf(&out, " %.*s%s|", (int)m->body_len, (const char *)m->body, m->keep_alive ? "" : " close");
        http_parse_next(&p);
    }
    if (p.state == HTTP_PARSE_FAILED)
        buf_printf(&out, "!%d", p.status);
    else if (http_parse_is_inside(&p))
        buf_append_str(&out, "...");
    http_parse_deinit(&p);
    char *text = buf_steal_str(&out);
    buf_deinit(&out);
    return text;
}

struct row {
    const char *input, *expected;
};

static void check_rows(const struct row *rows, size_t n, bool is_request)
{
    for (size_t i = 0; i < n; i++) {
        for (size_t piece = 1; piece < 80; piece += piece < 5 ? 1 : 37) {
            char *got = describe(rows[i].input, strlen(rows[i].input), piece, is_request);
            if (strcmp(got, rows[i].expected) != 0)
                fail_msg("row %zu in pieces of %zu:\n  wanted %s\n  got    %s", i, piece, rows[i].expected, got);
            free(got);
        }
    }
}

#define HOST "Host: t\r\n\r\n"

static void test_requests__table(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"GET / HTTP/1.1\r\n" HOST, "GET /? [Host=t] |"},
        {"GET / HTTP/1.0\r\n\r\n", "GET /?  close|"},
        {"\r\n\r\nGET / HTTP/1.1\r\n" HOST, "GET /? [Host=t] |"},
        {"GET //a//b/?x=%20&y HTTP/1.1\r\n" HOST, "GET //a//b/?x=%20&y [Host=t] |"},
        {"GET /slave(1)/state#f HTTP/1.1\r\n" HOST, "GET /slave(1)/state? [Host=t] |"},
        {"GET http://h:5050/a?b HTTP/1.1\r\n" HOST, "GET /a?b [Host=t] |"},
        {"GET http://h:5050?b HTTP/1.1\r\n" HOST, "GET /?b [Host=t] |"},
        {"GET http://h HTTP/1.1\r\n" HOST, "GET /? [Host=t] |"},
        {"OPTIONS * HTTP/1.1\r\n" HOST, "OPTIONS *? [Host=t] |"},
        {"GET / HTTP/1.1\r\nA: \t b c \t\r\nEmpty:\r\n" HOST, "GET /? [A=b c] [Empty=] [Host=t] |"},
        {"PUT /x HTTP/1.1\r\nContent-Length: 0\r\n" HOST, "PUT /x? [Content-Length=0] [Host=t] |"},
        {"PUT /x HTTP/1.1\r\nContent-Length: 2\r\n" HOST "abGET / HTTP/1.1\r\n" HOST,
         "PUT /x? [Content-Length=2] [Host=t] ab|GET /? [Host=t] |"},
        {"PUT /x HTTP/1.1\r\nTransfer-Encoding: Chunked\r\n" HOST "1;e=\"v\"\r\na\r\n02\r\nbc\r\n0\r\nT: x\r\n\r\n",
         "PUT /x? [Transfer-Encoding=Chunked] [Host=t] abc|"},
        {"GET / HTTP/1.1\r\nConnection: close\r\n" HOST, "GET /? [Connection=close] [Host=t]  close|"},
        {"GET / HT", "..."},
        {"PUT /x HTTP/1.1\r\nContent-Length: 2\r\n" HOST "a", "..."},
        {"PUT /x HTTP/1.1\r\nContent-Length: 65\r\n" HOST, "!413"},
        {"PUT /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" HOST
         "21\r\n012345678901234567890123456789012\r\n21\r\n012345678901234567890123456789012\r\n",
         "!413"},
        {"PUT /x HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n" HOST, "!400"},
        {"PUT /x HTTP/1.1\r\nContent-Length: +1\r\n" HOST, "!400"},
        {"PUT /x HTTP/1.1\r\nContent-Length:\r\n" HOST, "!400"},
        {"PUT /x HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n" HOST, "!400"},
        {"PUT /x HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n" HOST, "!400"},
        {"PUT /x HTTP/1.1\r\nTransfer-Encoding: identity\r\n" HOST, "!501"},
        {"PUT /x HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", "!400"},
        {"PUT /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" HOST "-1\r\n", "!400"},
        {"PUT /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" HOST "ffffffffffffffffff\r\n", "!400"},
        {"PUT /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" HOST "1\r\nabc\r\n", "!400"},
        {"GET / HTTP/1.1\r\nHost: t\n\n", "!400"},
        {"GET / HTTP/1.1\n" HOST, "!400"},
        {"GET / HTTP/1.1\r\nA: b\r\n  c\r\n" HOST, "!400"},
        {"GET / HTTP/1.1\r\n A: b\r\n" HOST, "!400"},
        {"GET / HTTP/1.1\r\nA\r\n" HOST, "!400"},
        {"GET / HTTP/1.1\r\nA : b\r\n" HOST, "!400"},
        {"GET / HTTP/1.1\r\n: b\r\n" HOST, "!400"},
        {"GET / HTTP/1.1\r\nA: b\x01\r\n" HOST, "!400"},
        {"GET / HTTP/1.1\r\nA: b\rc\r\n" HOST, "!400"},
        {"GET /\x01 HTTP/1.1\r\n" HOST, "!400"},
        {"GET /a b HTTP/1.1\r\n" HOST, "!400"},
        {"GET /%2 HTTP/1.1\r\n" HOST, "!400"},
        {"GET /%00 HTTP/1.1\r\n" HOST, "!400"},
        {"GET HTTP/1.1\r\n" HOST, "!400"},
        {"CONNECT h:1 HTTP/1.1\r\n" HOST, "!400"},
        {"NOSUCH / HTTP/1.1\r\n" HOST, "!400"},
        {"GET / HTTP/1.1\r\n\r\n", "!400"},
        {"GET / HTTP/3.0\r\n" HOST, "!505"},
        {"GET / FTP/1.1\r\n" HOST, "!400"},
        {" GET / HTTP/1.1\r\n" HOST, "!400"},
        {"get / HTTP/1.1\r\n" HOST, "!400"},
        {"GET / HTTP/1.1\r\nExpect: wonders\r\n" HOST, "!417"},
    };
    check_rows(rows, sizeof(rows) / sizeof(rows[0]), true);
}

static void test_responses__table(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab", "200 [Content-Length=2] ab|"},
        {"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", "200 [Content-Length=0] |"},
        {"HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n",
         "204 |304 [Content-Length=9] |"},
        {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n",
         "100 |202 [Content-Length=0] |"},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n", "200 [Transfer-Encoding=chunked] a|"},
        {"HTTP/1.1 200 OK\r\n\r\nab", "..."},
        {"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n", "!413"},
        {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", "!400"},
        {"HTTP/1.1 999999 OK\r\n\r\n", "!400"},
        {"ICY 200 OK\r\n\r\n", "!400"},
    };
    check_rows(rows, sizeof(rows) / sizeof(rows[0]), false);
}

static void test_limits__header_bytes_and_count(void **state)
{
    (void)state;
    struct buf big;
    buf_init(&big, 0);
    buf_append_str(&big, "GET / HTTP/1.1\r\nHost: t\r\n");
    for (int i = 0; i < HTTP_HEADERS_MAX - 1; i++)
        buf_append_str(&big, "A: b\r\n");
    buf_append_str(&big, "\r\n");
    char *got = describe((const char *)buf_data(&big), buf_len(&big), 100, true);
    assert_int_equal(strncmp(got, "GET /?", 6), 0);
    free(got);
    buf_clear(&big);
    buf_append_str(&big, "GET / HTTP/1.1\r\nHost: t\r\nA: ");
    while (buf_len(&big) < HTTP_HEADER_BYTES_MAX - 4)
        buf_append_char(&big, 'a');
    buf_append_str(&big, "\r\n\r\n");
    got = describe((const char *)buf_data(&big), buf_len(&big), 1000, true);
    assert_int_equal(strncmp(got, "GET /?", 6), 0); /* exactly at the limit */
    free(got);
    buf_clear(&big);
    buf_append_str(&big, "GET / HTTP/1.1\r\nHost: t\r\nA: ");
    while (buf_len(&big) < HTTP_HEADER_BYTES_MAX - 3)
        buf_append_char(&big, 'a');
    buf_append_str(&big, "\r\n\r\n");
    for (size_t piece = 1000; piece < 100000; piece *= 50) {
        got = describe((const char *)buf_data(&big), buf_len(&big), piece, true);
        assert_string_equal(got, "!431");
        free(got);
    }
    buf_deinit(&big);
}

static void test_accept__table(void **state)
{
    (void)state;
    static const char *const types[] = {"application/json", "application/x-protobuf"};
    static const struct {
        const char *accept;
        int expected;
    } rows[] = {
        {NULL, 0},
        {"", -1},
        {"*/*", 0},
        {"application/*", 0},
        {"APPLICATION/JSON", 0},
        {"application/x-protobuf", 1},
        {"text/html, application/x-protobuf;q=0.5", 1},
        {"application/json;q=0, */*", 1},
        {"application/json; q=0.000 , application/*", 1},
        {"application/json;q=0.001", 0},
        {"application/json;v=1;q=0", -1},
        {"*/*;q=0", -1},
        {"application/*;q=0, */*", -1},
        {"text/html", -1},
        {",,application/json", 0},
        {"application/jsonx", -1},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct http_header header = {"accept", rows[i].accept};
        struct http_message m = {.headers = &header, .header_count = rows[i].accept ? 1 : 0};
        int got = http_accept(&m, types, 2);
        if (got != rows[i].expected)
            fail_msg("row %zu: wanted %d, got %d", i, rows[i].expected, got);
    }
}

static void test_query__repeated_empty_and_encoded(void **state)
{
    (void)state;
    char query[] = "a=1&b&a=%32+x&%63=d%3D&=e&bad=%z";
    struct http_message m = {.query = query};
    struct arena *a = arena_new(0);
    assert_string_equal(http_query(&m, a, "a", 0), "1");
    assert_string_equal(http_query(&m, a, "a", 1), "2 x");
    assert_null(http_query(&m, a, "a", 2));
    assert_string_equal(http_query(&m, a, "b", 0), "");
    assert_string_equal(http_query(&m, a, "c", 0), "d=");
    assert_null(http_query(&m, a, "bad", 0));
    assert_null(http_query(&m, a, "d", 0));
    arena_free(a);
}

static int collect(void *ctx, const void *data, size_t len)
{
    struct buf *out = ctx;
    buf_printf(out, "<%.*s>", (int)len, (const char *)data);
    return len == 4 ? 42 : 0;
}

static void test_recordio__table(void **state)
{
    (void)state;
    static const struct {
        const char *input, *records;
        int result;
    } rows[] = {
        {"3\nabc0\n2\nde", "<abc><><de>", 0},
        {"3\nab", "", 0},
        {"3", "", 0},
        {"03\nabc", "<abc>", 0},
        {"3\nabc\n", "<abc>", -EPROTO},
        {"\n", "", -EPROTO},
        {"-1\n", "", -EPROTO},
        {"3 \nabc", "", -EPROTO},
        {"3\r\nabc", "", -EPROTO},
        {"101\n", "", -EMSGSIZE},
        {"99999999999999999999999\n", "", -EMSGSIZE},
        {"000000000000000000000000\n", "", -EPROTO},
        {"1\na4\nstop1\nb", "<a><stop>", 42},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        for (size_t piece = 1; piece < 30; piece++) {
            struct recordio_reader r;
            recordio_reader_init(&r, 100);
            struct buf out;
            buf_init(&out, 0);
            int rc = 0;
            size_t len = strlen(rows[i].input);
            for (size_t at = 0; at < len && rc == 0; at += piece)
                rc = recordio_feed(&r, rows[i].input + at, len - at < piece ? len - at : piece, collect, &out);
            char *got = buf_steal_str(&out);
            if (rc != rows[i].result || strcmp(got, rows[i].records) != 0)
                fail_msg("row %zu in pieces of %zu: got %s and %d", i, piece, got, rc);
            free(got);
            buf_deinit(&out);
            recordio_reader_deinit(&r);
        }
    }
}

static void test_recordio__append_is_all_or_nothing(void **state)
{
    (void)state;
    struct buf out;
    buf_init(&out, 6);
    assert_int_equal(recordio_append(&out, "abc", 3), 0);
    assert_int_equal(recordio_append(&out, "", 0), -ENOBUFS);
    assert_int_equal(buf_len(&out), 5);
    assert_memory_equal(buf_data(&out), "3\nabc", 5);
    buf_deinit(&out);
}

static void test_put_header__cannot_make_another_header(void **state)
{
    (void)state;
    struct buf out;
    buf_init(&out, 0);
    assert_int_equal(http_put_header(&out, "Location", "//h:1/a\r\nSet-Cookie: x"), 0);
    char *got = buf_steal_str(&out);
    assert_string_equal(got, "Location: //h:1/a  Set-Cookie: x\r\n");
    free(got);
    buf_deinit(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests__table),
        cmocka_unit_test(test_responses__table),
        cmocka_unit_test(test_limits__header_bytes_and_count),
        cmocka_unit_test(test_accept__table),
        cmocka_unit_test(test_query__repeated_empty_and_encoded),
        cmocka_unit_test(test_recordio__table),
        cmocka_unit_test(test_recordio__append_is_all_or_nothing),
        cmocka_unit_test(test_put_header__cannot_make_another_header),
    };
    return cmocka_run_group_tests_name("parse", tests, NULL, NULL);
}
