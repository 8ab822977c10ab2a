/* SPDX-License-Identifier: Apache-2.0 */
#include "common/http/parse.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/base/check.h"
#include "common/base/text.h"

static void fail(struct http_parse *p, int status, const char *text)
{
    p->state = HTTP_PARSE_FAILED;
    p->status = status;
    p->text = text;
}

/* --- the head as text --- */

/* Finds the end of a head that starts at data[0], going on at *scanned. Returns its length with the empty line, 0 when
 * there is more to come, or fails. */
static size_t scan_head(struct http_parse *p, const uint8_t *data, size_t len, size_t *scanned)
{
    size_t at = *scanned;
    for (;;) {
        const uint8_t *lf = memchr(data + at, '\n', len - at);
        if (lf == NULL) {
            *scanned = len;
            return 0;
        }
        size_t i = (size_t)(lf - data);
        if (i == 0 || data[i - 1] != '\r') {
            fail(p, 400, "A line of the head does not end with CR LF");
            return 0;
        }
        if (i >= 3 && data[i - 2] == '\n')
            return i + 1;
        if (i + 1 == len) { /* what follows decides; look at this line feed again */
            *scanned = i;
            return 0;
        }
        if (data[i + 1] == ' ' || data[i + 1] == '\t') {
            fail(p, 400, "Header lines must not be folded");
            return 0;
        }
        at = i + 1;
    }
}

static size_t count_lines(const uint8_t *data, size_t len)
{
    size_t n = 0;
    for (const uint8_t *at = data, *end = data + len; (at = memchr(at, '\n', (size_t)(end - at))) != NULL; at++)
        n++;
    return n;
}

/* Characters of a token, RFC 9110 5.6.2. */
static bool is_token_char(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

/* --- callbacks of http-parser; the head comes in one piece, so each value comes whole --- */

static char *put_string(struct http_parse *p, const char *at, size_t len)
{
    char *s = p->write_at;
    memcpy(s, at, len);
    s[len] = '\0';
    p->write_at += len + 1;
    return s;
}

static int on_url(http_parser *parser, const char *at, size_t len)
{
    struct http_parse *p = parser->data;
    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)at[i] <= ' ' || at[i] == 0x7f) {
            fail(p, 400, "The request target has a character that must be escaped");
            return 1;
        }
    }
    p->message.target = put_string(p, at, len);
    return 0;
}

static int on_header_field(http_parser *parser, const char *at, size_t len)
{
    struct http_parse *p = parser->data;
    if (p->state != HTTP_PARSE_HEAD)
        return 0; /* trailers are read and forgotten */
    if (p->message.header_count == HTTP_HEADERS_MAX) {
        fail(p, 431, "Too many headers");
        return 1;
    }
    for (size_t i = 0; i < len; i++) {
        if (!is_token_char((unsigned char)at[i])) {
            fail(p, 400, "A header name has a character that is not allowed");
            return 1;
        }
    }
    p->message.headers[p->message.header_count].name = put_string(p, at, len);
    p->message.headers[p->message.header_count++].value = "";
    return 0;
}

static int on_header_value(http_parser *parser, const char *at, size_t len)
{
    struct http_parse *p = parser->data;
    if (p->state != HTTP_PARSE_HEAD)
        return 0;
    while (len > 0 && (at[len - 1] == ' ' || at[len - 1] == '\t'))
        len--;
    for (size_t i = 0; i < len; i++) {
        if (((unsigned char)at[i] < ' ' && at[i] != '\t') || at[i] == 0x7f) {
            fail(p, 400, "A header value has a control character");
            return 1;
        }
    }
    CHECK(p->message.header_count > 0);
    p->message.headers[p->message.header_count - 1].value = put_string(p, at, len);
    return 0;
}

static size_t count_header(const struct http_message *m, const char *name, const char **first)
{
    size_t n = 0;
    for (size_t i = 0; i < m->header_count; i++) {
        if (strcasecmp(m->headers[i].name, name) == 0 && n++ == 0)
            *first = m->headers[i].value;
    }
    return n;
}

/* Everything that could let two readers disagree about where a message ends is refused. */
static bool check_framing(struct http_parse *p)
{
    const char *length = NULL, *coding = NULL;
    size_t lengths = count_header(&p->message, "Content-Length", &length);
    size_t codings = count_header(&p->message, "Transfer-Encoding", &coding);
    if (lengths > 1 || (lengths == 1 && (length[0] == '\0' || strspn(length, "0123456789") != strlen(length)))) {
        fail(p, 400, "Content-Length must be one number");
        return false;
    }
    if (lengths > 0 && codings > 0) {
        fail(p, 400, "Content-Length and Transfer-Encoding exclude each other");
        return false;
    }
    if (codings > 1 || (codings == 1 && strcasecmp(coding, "chunked") != 0)) {
        fail(p, p->is_request ? 501 : 400, "The only Transfer-Encoding understood is chunked");
        return false;
    }
    if (codings == 1 && p->is_http10) {
        fail(p, 400, "HTTP/1.0 has no Transfer-Encoding");
        return false;
    }
    p->is_chunked = codings == 1;
    p->content_length = UINT64_MAX;
    if (lengths == 1 && text_to_uint64(length, &p->content_length) != 0) {
        fail(p, 400, "Content-Length is out of range");
        return false;
    }
    return true;
}

/* path and query from the target; an absolute target loses its authority (RFC 9112 3.2.2). */
static bool split_target(struct http_parse *p)
{
    struct http_message *m = &p->message;
    const char *target = m->target;
    if (target == NULL) {
        fail(p, 400, "The request has no target");
        return false;
    }
    if (strncasecmp(target, "http://", 7) == 0) {
        target += 7;
        target += strcspn(target, "/?");
    } else if (target[0] != '/' && !(strcmp(target, "*") == 0 && strcmp(m->method, "OPTIONS") == 0)) {
        fail(p, 400, "The request target must be a path");
        return false;
    }
    target = target[0] == '\0' ? "/" : target;
    size_t path_len = strcspn(target, "?#");
    const char *query = target[path_len] == '?' ? target + path_len + 1 : "";
    m->path = path_len == 0 ? put_string(p, "/", 1) : put_string(p, target, path_len);
    m->query = put_string(p, query, strcspn(query, "#"));
    if (text_percent_decode(m->path, false) != 0) {
        fail(p, 400, "The path has a bad percent escape");
        return false;
    }
    return true;
}

static bool check_request(struct http_parse *p)
{
    const struct http_parser *parser = &p->parser;
    p->message.method = http_method_str((enum http_method)parser->method);
    if (!split_target(p))
        return false;
    const char *value = NULL;
    size_t hosts = count_header(&p->message, "Host", &value);
    if (hosts > 1 || (hosts == 0 && !p->is_http10)) {
        fail(p, 400, "A request needs exactly one Host header");
        return false;
    }
    if (count_header(&p->message, "Expect", &value) > 0 && !p->is_http10) {
        if (strcasecmp(value, "100-continue") != 0) {
            fail(p, 417, "The only expectation understood is 100-continue");
            return false;
        }
        p->expects_continue = p->is_chunked || (p->content_length != UINT64_MAX && p->content_length > 0);
    }
    return true;
}

static int on_headers_complete(http_parser *parser)
{
    struct http_parse *p = parser->data;
    if (parser->http_major != 1) {
        fail(p, 505, "Only HTTP/1.0 and HTTP/1.1 are spoken here");
        return -1;
    }
    p->is_http10 = parser->http_minor == 0;
    if (!check_framing(p) || (p->is_request && !check_request(p)))
        return -1;
    if (p->content_length != UINT64_MAX && p->content_length > p->body_bytes_max && !p->no_body) {
        fail(p, 413, "The body is too large");
        return -1;
    }
    p->message.status = p->is_request ? 0 : (int)parser->status_code;
    p->state = HTTP_PARSE_BODY;
    /* These have no body whatever their headers say (RFC 9112 6.3). */
    bool is_empty = p->no_body || p->message.status / 100 == 1 || p->message.status == 204 || p->message.status == 304;
    return is_empty ? 1 : 0;
}

static int on_body(http_parser *parser, const char *at, size_t len)
{
    struct http_parse *p = parser->data;
    p->body_bytes += len;
    if (p->on_body != NULL) {
        if (p->on_body(p->ctx, (const uint8_t *)at, len))
            return 0;
        fail(p, 0, "ended by the receiver");
        return 1;
    }
    if (p->body.base == NULL && p->content_length != UINT64_MAX && p->content_length < (64u << 10))
        (void)buf_reserve(&p->body, (size_t)p->content_length); /* within the limit: checked with the head */
    if (buf_append(&p->body, at, len) == 0)
        return 0;
    fail(p, 413, "The body is too large");
    return 1;
}

static int on_message_complete(http_parser *parser)
{
    struct http_parse *p = parser->data;
    p->state = HTTP_PARSE_COMPLETE;
    p->message.keep_alive = http_should_keep_alive(parser) != 0;
    p->message.body = p->body.base ? buf_data(&p->body) : (const uint8_t *)"";
    p->message.body_len = buf_len(&p->body);
    http_parser_pause(parser, 1); /* the next message has to wait until this one was taken */
    return 0;
}

static const http_parser_settings settings = {
    .on_url = on_url,
    .on_header_field = on_header_field,
    .on_header_value = on_header_value,
    .on_headers_complete = on_headers_complete,
    .on_body = on_body,
    .on_message_complete = on_message_complete,
};

/* --- feeding --- */

void http_parse_init(struct http_parse *p, bool is_request, size_t body_bytes_max)
{
    memset(p, 0, sizeof(*p));
    p->is_request = is_request;
    p->body_bytes_max = body_bytes_max ? body_bytes_max : HTTP_BODY_BYTES_MAX;
    buf_init(&p->raw, HTTP_HEADER_BYTES_MAX);
    buf_init(&p->body, p->body_bytes_max);
    http_parse_next(p);
}

void http_parse_set_body_max(struct http_parse *p, size_t body_bytes_max)
{
    p->body_bytes_max = p->body.bytes_max = body_bytes_max;
}

void http_parse_deinit(struct http_parse *p)
{
    free(p->memory);
    p->memory = NULL;
    buf_deinit(&p->raw);
    buf_deinit(&p->body);
}

void http_parse_next(struct http_parse *p)
{
    free(p->memory);
    p->memory = NULL;
    p->message = (struct http_message){0};
    p->expects_continue = p->is_chunked = p->is_http10 = p->until_eof = p->no_body = false;
    p->state = HTTP_PARSE_HEAD;
    p->scanned = p->body_bytes = 0;
    p->content_length = UINT64_MAX;
    buf_deinit(&p->raw);
    buf_clear(&p->body);
    http_parser_init(&p->parser, p->is_request ? HTTP_REQUEST : HTTP_RESPONSE);
    p->parser.data = p;
}

/* Takes apart a complete head. */
static void parse_head(struct http_parse *p, const uint8_t *data, size_t len)
{
    /* Strings: each is shorter with its terminator than the line it came from; the target is there twice. */
    size_t lines = count_lines(data, len);
    size_t headers_size = (lines < HTTP_HEADERS_MAX ? lines : HTTP_HEADERS_MAX) * sizeof(struct http_header);
    p->memory = xmalloc(headers_size + 2 * len + 8);
    p->message.headers = p->memory;
    p->write_at = (char *)p->memory + headers_size;
    size_t n = http_parser_execute(&p->parser, &settings, (const char *)data, len);
    enum http_errno error = HTTP_PARSER_ERRNO(&p->parser);
    if (p->state == HTTP_PARSE_FAILED)
        return;
    bool complete = p->state == HTTP_PARSE_COMPLETE && error == HPE_PAUSED;
    if (!complete && error != HPE_OK) {
        fail(p, error == HPE_INVALID_VERSION ? 505 : 400, http_errno_description(error));
        return;
    }
    if (p->state == HTTP_PARSE_HEAD || (n != len && !p->parser.upgrade)) {
        fail(p, 400, "The head is malformed");
        return;
    }
    p->message.upgrade = p->parser.upgrade != 0 && !p->is_http10;
    p->until_eof = p->state == HTTP_PARSE_BODY && !p->is_request && !p->is_chunked && p->content_length == UINT64_MAX;
}

/* A request starts with a capital letter, a response with "HTTP": other protocols and noise are seen at their first byte.
 */
static bool is_first_byte(const struct http_parse *p, uint8_t c)
{
    return p->is_request ? c >= 'A' && c <= 'Z' : c == 'H';
}

static size_t feed_head(struct http_parse *p, const uint8_t *data, size_t len)
{
    size_t skipped = 0;
    if (buf_len(&p->raw) == 0) {
        /* Empty lines before a message are left over from sloppy senders (RFC 9112 2.2). */
        while (skipped < len && (data[skipped] == '\r' || data[skipped] == '\n'))
            skipped++;
        data += skipped;
        len -= skipped;
        if (len == 0)
            return skipped;
        if (!is_first_byte(p, data[0])) {
            fail(p, 400, "This is not HTTP");
            return skipped;
        }
        size_t scanned = 0;
        size_t head = scan_head(p, data, len < HTTP_HEADER_BYTES_MAX ? len : HTTP_HEADER_BYTES_MAX, &scanned);
        if (head > 0) {
            parse_head(p, data, head);
            return skipped + head;
        }
        p->scanned = scanned;
    }
    if (p->state == HTTP_PARSE_FAILED)
        return skipped;
    size_t before = buf_len(&p->raw);
    size_t room = HTTP_HEADER_BYTES_MAX - before;
    size_t take = len < room ? len : room;
    CHECK(buf_append(&p->raw, data, take) == 0);
    size_t head = scan_head(p, buf_data(&p->raw), buf_len(&p->raw), &p->scanned);
    if (head > 0) {
        parse_head(p, buf_data(&p->raw), head);
        buf_deinit(&p->raw);
        return skipped + head - before;
    }
    if (p->state != HTTP_PARSE_FAILED && take == room)
        fail(p, 431, "The head of the message is too large");
    return skipped + take;
}

size_t http_parse_feed(struct http_parse *p, const void *data, size_t len)
{
    if (len == 0 || p->state == HTTP_PARSE_COMPLETE || p->state == HTTP_PARSE_FAILED)
        return 0;
    if (p->state == HTTP_PARSE_HEAD)
        return feed_head(p, data, len);
    size_t n = http_parser_execute(&p->parser, &settings, data, len);
    enum http_errno error = HTTP_PARSER_ERRNO(&p->parser);
    if (p->state == HTTP_PARSE_BODY && error != HPE_OK)
        fail(p, 400, http_errno_description(error));
    return n;
}

void http_parse_eof(struct http_parse *p)
{
    if (p->state == HTTP_PARSE_BODY && p->until_eof)
        (void)http_parser_execute(&p->parser, &settings, "", 0); /* completes the message or not: state tells */
    if (p->state == HTTP_PARSE_COMPLETE || p->state == HTTP_PARSE_FAILED)
        return;
    fail(p, 400, "The connection was closed inside a message");
}

bool http_parse_is_inside(const struct http_parse *p)
{
    return p->state == HTTP_PARSE_BODY || (p->state == HTTP_PARSE_HEAD && buf_len(&p->raw) > 0);
}

void http_parse_take_head(struct http_parse *p, bool (*receive)(void *ctx, const uint8_t *data, size_t len), void *ctx,
                          struct http_message *message, void **memory)
{
    CHECK(p->state == HTTP_PARSE_BODY);
    *message = p->message;
    message->body = (const uint8_t *)"";
    message->body_len = 0;
    message->keep_alive = http_should_keep_alive(&p->parser) != 0;
    *memory = p->memory;
    p->memory = NULL;
    p->message = (struct http_message){0}; /* its strings went with the memory */
    p->on_body = receive;
    p->ctx = ctx;
}

void http_parse_take(struct http_parse *p, struct http_message *message, void **memory, struct buf *body)
{
    *message = p->message;
    *memory = p->memory;
    *body = p->body;
    p->memory = NULL;
    buf_init(&p->body, p->body_bytes_max);
    http_parse_next(p);
}
