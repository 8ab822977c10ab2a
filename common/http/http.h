/* SPDX-License-Identifier: Apache-2.0
 * http.h - what server and client share: messages, headers, limits. HTTP/1.1 by http-parser (and HTTP/1.0 requests). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/arena.h"
#include "common/base/buf.h"

#define HTTP_HEADER_BYTES_MAX (32u << 10) /* start line and all headers; more is 431 */
#define HTTP_HEADERS_MAX 100
#define HTTP_BODY_BYTES_MAX (8u << 20) /* more is 413 */

struct http_header {
    const char *name, *value; /* name as received; look-ups ignore case */
};

struct http_message {
    /* request */
    const char *method; /* "GET" */
    const char *target; /* as received, with query */
    char *path;         /* percent-decoded, without query; doubled slashes kept */
    char *query;        /* raw, without '?', "" when absent */
    /* response */
    int status;
    /* both */
    struct http_header *headers;
    size_t header_count;
    const uint8_t *body; /* whole body; for streamed responses empty */
    size_t body_len;
    bool keep_alive;
    bool upgrade; /* the rest of the connection is another protocol */
};

/* The first value of a header, or NULL. */
const char *http_header(const struct http_message *m, const char *name);
/* Value of a query parameter percent-decoded into the arena, or NULL; `index` picks among repeated ones from 0. */
const char *http_query(const struct http_message *m, struct arena *a, const char *name, size_t index);
const char *http_reason(int status); /* "Not Found" */

/* Accept matching (facts: mesos 0.2): which of the n types fits first? Absent header: 0. Exact type, then type/asterisk,
 * then any; q=0 refuses. Types are asked in the given order. -1: none fits (an empty header fits nothing). */
int http_accept(const struct http_message *m, const char *const *types, size_t n);
/* The same with another header of that form. */
int http_accept_of(const struct http_message *m, const char *header, const char *const *types, size_t n);
