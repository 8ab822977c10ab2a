/* SPDX-License-Identifier: Apache-2.0
 * Requests as a server reads them: however the bytes are split, the same messages and the same error must come out. The
 * first byte seeds the splits. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"
#include "common/http/parse.h"

#define BODY_MAX 4096u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void note(struct buf *out, const char *s)
{
    (void)buf_append(out, s, strlen(s) + 1); /* both readings are cut at the same place */
}

static void note_message(struct buf *out, const struct http_message *m)
{
    CHECK(strlen(m->target) > 0 && strlen(m->path) > 0 && m->body != NULL && m->body_len <= BODY_MAX);
    CHECK(m->header_count <= HTTP_HEADERS_MAX);
    note(out, m->method);
    note(out, m->path);
    note(out, m->query);
    for (size_t i = 0; i < m->header_count; i++) {
        CHECK(strpbrk(m->headers[i].name, " \r\n:") == NULL && strpbrk(m->headers[i].value, "\r\n") == NULL);
        note(out, m->headers[i].name);
        note(out, m->headers[i].value);
    }
    note(out, m->keep_alive ? "keep" : "close");
    (void)buf_append(out, m->body, m->body_len); /* see note */
}

static void ask_about(const struct http_message *m)
{
    static const char *const types[] = {"application/json", "application/x-protobuf"};
    struct arena *a = arena_new(1u << 20);
    CHECK(http_accept(m, types, 2) < 2);
    (void)http_query(m, a, "a", 0); /* only that it copes */
    (void)http_query(m, a, "", 1);
    (void)http_list_allows(m, "Accept-Encoding", "gzip");
    arena_free(a);
}

/* piece_max 0: everything at once. */
static void read_all(const uint8_t *data, size_t size, uint32_t piece_max, struct buf *out)
{
    struct http_parse p;
    http_parse_init(&p, true, BODY_MAX);
    uint32_t seed = piece_max;
    size_t at = 0;
    while (at < size && p.state != HTTP_PARSE_FAILED) {
        seed = seed * 1664525u + 1013904223u;
        size_t piece = piece_max ? 1 + (seed >> 16) % piece_max : size;
        size_t end = size - at < piece ? size : at + piece;
        while (at < end && p.state != HTTP_PARSE_FAILED) {
            size_t n = http_parse_feed(&p, data + at, end - at);
            CHECK(n <= end - at);
            at += n;
            if (p.state != HTTP_PARSE_COMPLETE)
                continue;
            struct http_message m;
            void *memory;
            struct buf body;
            http_parse_take(&p, &m, &memory, &body);
            note_message(out, &m);
            ask_about(&m);
            free(memory);
            buf_deinit(&body);
        }
    }
    if (p.state == HTTP_PARSE_FAILED) {
        CHECK(p.status >= 400 && p.text != NULL);
        (void)buf_printf(out, "%d", p.status); /* see note */
    }
    http_parse_deinit(&p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    struct buf whole, split;
    buf_init(&whole, 4u << 20);
    buf_init(&split, 4u << 20);
    read_all(data + 1, size - 1, 0, &whole);
    read_all(data + 1, size - 1, 1 + data[0] % 64u, &split);
    CHECK(buf_len(&whole) == buf_len(&split));
    CHECK(buf_len(&whole) == 0 || memcmp(buf_data(&whole), buf_data(&split), buf_len(&whole)) == 0);
    buf_deinit(&whole);
    buf_deinit(&split);
    return 0;
}
