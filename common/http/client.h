/* SPDX-License-Identifier: Apache-2.0
 * client.h - HTTP client on the loop: pooled keep-alive connections per address, time-outs, streamed answers, redirects
 * left to the caller. Addresses are numeric; names are resolved by the caller at start-up only (getaddrinfo would block).
 */
#pragma once

#include "common/base/err.h"
#include "common/http/http.h"
#include "common/port/loop.h"

struct http_client;
struct http_call;

struct http_client *http_client_new(struct loop *loop);
/* Calls in flight end without callback. Not inside one of its callbacks. */
struct http_client *http_client_free(struct http_client *c);

struct http_request {
    const char *ip; /* numeric IPv4 or IPv6 */
    uint16_t port;
    const char *unix_path; /* instead of ip and port */
    const char *method;
    const char *target;                /* path and query */
    const struct http_header *headers; /* beside Host, Content-Length, Content-Type */
    size_t header_count;
    const char *content_type; /* NULL: none */
    const void *body;
    size_t body_len;
    int64_t connect_timeout_ms; /* 0: 5 s */
    int64_t timeout_ms;         /* to the complete answer (streams: to the headers); 0: 30 s */
    size_t body_bytes_max;      /* 0: HTTP_BODY_BYTES_MAX */
    bool body_streams;          /* chunked, given by http_call_send; body is not used. Always on a fresh connection */
    bool fresh_connection;      /* do not take one from the pool, do not give it back (streams do this anyway) */
};

struct http_callbacks {
    /* The complete answer, or a failure: then response is NULL, error is a negative errno (-ETIMEDOUT, -ECONNREFUSED,
     * -ECONNRESET, -EPROTO, -EMSGSIZE) and text says what happened. Called exactly once unless cancelled, never inside
     * http_call_start. For a stream: once the stream has ended. */
    void (*done)(void *ctx, const struct http_message *response, int error, const char *text);
    /* Optional: makes it a stream. headers_done is called once with status and headers; return false to end the call
     * (done follows with -ECANCELED). data gets the body as it comes (chunking removed). */
    bool (*headers_done)(void *ctx, const struct http_message *response);
    bool (*data)(void *ctx, const void *data, size_t len);
    /* Optional, for a request with `Connection: Upgrade` and an Upgrade header: called instead of done when the answer is
     * 101. The descriptor and the bytes read beyond the answer (rest, to be freed) are the receiver's. */
    void (*upgraded)(void *ctx, const struct http_message *response, int fd, void *rest, size_t rest_len);
    /* Optional, for a streamed body: what waited to be sent was sent. */
    void (*sent)(void *ctx);
};

/* At most 64 calls to one address are on the way at a time, further ones wait for their turn (their time-out runs); streams
 * and calls with fresh_connection are not counted. Copies the request. Never fails at once: errors come by done. An
 * idempotent request (GET, HEAD, PUT, DELETE) that hits a pooled connection which the server had just closed is sent again
 * once on a fresh one; a POST only if no byte of it was sent. */
struct http_call *http_call_start(struct http_client *c, const struct http_request *request,
                                  const struct http_callbacks *callbacks, void *ctx);
/* More of a streamed body, as one chunk; copied. What the socket does not take waits in memory without a bound here: the
 * giver looks at http_call_unsent and goes on when `sent` is called. */
void http_call_send(struct http_call *call, const void *data, size_t len);
void http_call_end_body(struct http_call *call);
size_t http_call_unsent(const struct http_call *call);
/* Ends the call; no callback any more. Not after done. */
void http_call_cancel(struct http_call *call);
