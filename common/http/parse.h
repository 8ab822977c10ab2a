/* SPDX-License-Identifier: Apache-2.0
 * parse.h - one HTTP message after the other out of a stream of bytes, for server and client. Internal to common/http.
 *
 * The head is collected up to its empty line, checked for everything that two readers could understand differently
 * (folded lines, bare line feeds, spaces around names, repeated or contradicting lengths), and only then given to
 * http-parser, in one piece. Bodies pass through http-parser as they come. */
#pragma once

#include <http_parser.h>

#include "common/http/http.h"

enum http_parse_state {
    HTTP_PARSE_HEAD,     /* waiting for the end of the head */
    HTTP_PARSE_BODY,     /* the head is complete: message is filled but for the body */
    HTTP_PARSE_COMPLETE, /* message is complete */
    HTTP_PARSE_FAILED,   /* status and text say why; nothing more can be read from this peer */
};

struct http_parse {
    enum http_parse_state state;
    bool is_request;
    bool no_body;          /* responses: the request was HEAD; set before the head is fed */
    bool expects_continue; /* requests: Expect: 100-continue */
    bool is_chunked;
    bool is_http10;
    bool until_eof; /* responses: only the end of the connection ends the body */
    int status;     /* FAILED: what a server answers: 400, 413, 417, 431, 501, 505 */
    const char *text;
    size_t body_bytes_max;
    size_t body_bytes;       /* received so far */
    uint64_t content_length; /* UINT64_MAX: not announced */

    /* Optional: takes the body as it comes instead of collecting it; false ends parsing (FAILED with status 0). */
    bool (*on_body)(void *ctx, const uint8_t *data, size_t len);
    void *ctx;

    struct http_message message; /* points into memory and body */
    void *memory;                /* one block with all strings of the head */
    struct buf body;

    /* inside */
    struct http_parser parser;
    struct buf raw; /* a head that came in pieces */
    size_t scanned; /* of raw */
    char *write_at; /* next free byte of memory while the head is taken apart */
    bool has_name;
};

void http_parse_init(struct http_parse *p, bool is_request, size_t body_bytes_max);
void http_parse_set_body_max(struct http_parse *p, size_t body_bytes_max); /* before a head is fed */
void http_parse_deinit(struct http_parse *p);
/* Ready for the next message of the same connection; drops what was not taken. */
void http_parse_next(struct http_parse *p);

/* Reads on and returns how much was used. Stops when the head is complete, the message is complete, or reading failed:
 * look at state after every call. */
size_t http_parse_feed(struct http_parse *p, const void *data, size_t len);
/* The peer has closed: completes a body that only the end ends, otherwise FAILED. */
void http_parse_eof(struct http_parse *p);
/* Has any byte of a message been read that is not complete? */
bool http_parse_is_inside(const struct http_parse *p);

/* Hands the message over: it points into *memory and *body, which become the caller's (free, buf_deinit). */
void http_parse_take(struct http_parse *p, struct http_message *message, void **memory, struct buf *body);

/* In HTTP_PARSE_BODY: hands over the head alone, with *memory; the body follows through on_body, set here. */
void http_parse_take_head(struct http_parse *p, bool (*on_body)(void *ctx, const uint8_t *data, size_t len), void *ctx,
                          struct http_message *message, void **memory);

/* Appends `name: value` with its line end. Control characters in the value become spaces: a line break in it must not make
 * a header of its own. -ENOBUFS at the buffer's limit, then nothing is appended. */
int http_put_header(struct buf *out, const char *name, const char *value);

/* Does a comma list of a header allow this token (weights understood)? -1 not listed, 0 refused, 1 allowed. */
int http_list_allows(const struct http_message *m, const char *header, const char *token);
