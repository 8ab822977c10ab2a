/* SPDX-License-Identifier: Apache-2.0
 * Responses as a client reads them, whole and as a stream: the same body must come out of both however the bytes are split.
 * The first byte chooses the splits and whether the request was HEAD. */
#include <stdint.h>
#include <string.h>

#include "common/base/check.h"
#include "common/http/parse.h"

#define BODY_MAX 4096u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool on_body(void *ctx, const uint8_t *data, size_t len)
{
    return buf_append(ctx, data, len) == 0;
}

struct result {
    enum http_parse_state state;
    int status;
    struct buf body;
};

static void read_one(const uint8_t *data, size_t size, size_t piece, bool is_head, bool is_stream, struct result *out)
{
    struct http_parse p;
    http_parse_init(&p, false, BODY_MAX);
    p.no_body = is_head;
    buf_init(&out->body, BODY_MAX);
    if (is_stream) {
        p.on_body = on_body;
        p.ctx = &out->body;
    }
    for (size_t at = 0; at < size && p.state != HTTP_PARSE_COMPLETE && p.state != HTTP_PARSE_FAILED;) {
        size_t n = size - at < piece ? size - at : piece;
        size_t used = http_parse_feed(&p, data + at, n);
        CHECK(used <= n);
        at += used;
    }
    if (p.state != HTTP_PARSE_COMPLETE)
        http_parse_eof(&p);
    CHECK(p.state == HTTP_PARSE_COMPLETE || p.state == HTTP_PARSE_FAILED);
    out->state = p.state;
    out->status = p.state == HTTP_PARSE_COMPLETE ? p.message.status : 0;
    if (p.state == HTTP_PARSE_COMPLETE && !is_stream)
        CHECK(buf_append(&out->body, p.message.body, p.message.body_len) == 0);
    http_parse_deinit(&p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    bool is_head = data[0] & 1;
    struct result whole, split, stream;
    read_one(data + 1, size - 1, size, is_head, false, &whole);
    read_one(data + 1, size - 1, 1 + (data[0] >> 1) % 64u, is_head, false, &split);
    read_one(data + 1, size - 1, 1 + (data[0] >> 1) % 64u, is_head, true, &stream);
    CHECK(whole.state == split.state && whole.state == stream.state);
    if (whole.state == HTTP_PARSE_COMPLETE) {
        CHECK(whole.status == split.status && whole.status == stream.status);
        size_t len = buf_len(&whole.body);
        CHECK(len == buf_len(&split.body) && len == buf_len(&stream.body));
        CHECK(len == 0 || memcmp(buf_data(&whole.body), buf_data(&split.body), len) == 0);
        CHECK(len == 0 || memcmp(buf_data(&whole.body), buf_data(&stream.body), len) == 0);
    }
    buf_deinit(&whole.body);
    buf_deinit(&split.body);
    buf_deinit(&stream.body);
    return 0;
}
