/* SPDX-License-Identifier: Apache-2.0
 * server.h - HTTP server on the loop: keep-alive, pipelining (answers in order), chunked both ways, streams with a bound,
 * upgrades, unix sockets. Slow or idle clients are cut off; nothing they do grows memory without bound.
 *
 * A handler is called once per complete request (or, if the configuration's streams_body says so, as soon as its head is
 * there; see http_exchange_on_body) and answers now or later: the exchange is alive until http_reply,
 * http_stream_end or http_exchange_abort was called, or closed was reported. Everything on the loop's thread. */
#pragma once

#include "common/base/err.h"
#include "common/http/http.h"
#include "common/port/loop.h"

struct http_server;
struct http_exchange;

struct http_server_config {
    const char *ip;            /* "127.0.0.1", "0.0.0.0", "::1"; NULL with unix_path */
    uint16_t port;             /* 0: the kernel picks, see http_server_port */
    const char *unix_path;     /* replaced if it exists; mode 0600 */
    size_t connections_max;    /* 0: 4096; at the cap a new one takes the place of the longest idle one, or is closed */
    int64_t header_timeout_ms; /* from the first byte of a request to its end; 0: 10 s */
    int64_t idle_timeout_ms;   /* between requests; 0: 75 s */
    size_t body_bytes_max;     /* 0: HTTP_BODY_BYTES_MAX */
    size_t buffered_bytes_max; /* request bodies of all connections together; beyond it 503; 0: 512 MiB */
    int64_t write_timeout_ms;  /* pending output without any progress, streams included; 0: 60 s */
    /* Optional, asked when the head of a request with a body is complete: true when the body is to be handed over as it
     * comes. Such a body may take as long as it wants and, when chunked, be of any length. */
    bool (*streams_body)(void *ctx, const struct http_message *head);
};

/* The message lives until the exchange ends. */
typedef void (*http_handler_fn)(void *ctx, struct http_exchange *x, const struct http_message *request);

int http_server_start(struct loop *loop, const struct http_server_config *config, http_handler_fn handler, void *ctx,
                      struct http_server **out, struct err *err);
uint16_t http_server_port(const struct http_server *s);
size_t http_server_connections(const struct http_server *s);
/* Closes the listener and every connection at once; exchanges that are not answered get their closed call from here. Not
 * inside a handler or a closed call of this server. */
struct http_server *http_server_stop(struct http_server *s);

/* The arena of this exchange: for the handler's own short-lived data. */
struct arena *http_exchange_arena(struct http_exchange *x);
/* "ip:port" of the client, "unix" for a unix socket. */
const char *http_exchange_peer(const struct http_exchange *x);
/* Where this connection was accepted, "ip:port". */
const char *http_exchange_local(const struct http_exchange *x);
/* What the handler knows about who asks, for those it calls; the server does not look at it. NULL at first, gone with the
 * exchange. */
void http_exchange_set_user(struct http_exchange *x, const void *user);
const void *http_exchange_user(const struct http_exchange *x);
/* Told once when the client goes away before the answer was complete (also for streams), never inside another call of this
 * header but http_server_stop; the exchange is invalid after the call. Without it such exchanges end silently. A client
 * that closes its sending side only counts as gone. */
void http_exchange_on_closed(struct http_exchange *x, void (*closed)(void *ctx, struct http_exchange *x), void *ctx);

/* For a request whose body is streamed (its message then has none); to be called inside the handler. `body` gets the pieces
 * in order, then once NULL and 0 when the body was complete. It may answer or abort, after which it is not called again and
 * the rest of the body is thrown away, with the connection. The answer may begin before, so that both directions are open
 * at a time; a client that breaks off inside the body is told by closed. False: the request has no streamed body. */
typedef void (*http_body_fn)(void *ctx, struct http_exchange *x, const void *data, size_t len);
bool http_exchange_on_body(struct http_exchange *x, http_body_fn body, void *ctx);
/* Back pressure: while paused nothing more is read; what was read already (at most 128 KiB) may still be handed over before
 * the call that paused returns to the loop. Resuming goes on in a later turn. */
void http_exchange_pause_body(struct http_exchange *x, bool is_paused);

/* A header for the answer to come; copied. */
void http_add_header(struct http_exchange *x, const char *name, const char *value);
/* The whole answer with Content-Length and Date. content_type NULL: none is sent. Bodies of 1 KiB to 1 MiB are gzipped when
 * the request allows it, larger ones never: it would hold up the loop. Ends the exchange. HEAD requests get no body. */
void http_reply(struct http_exchange *x, int status, const char *content_type, const void *body, size_t len);
/* Plain-text answer, `text/plain; charset=utf-8`, as Mesos's errors are. */
void http_reply_text(struct http_exchange *x, int status, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* A chunked answer that stays open. Headers go out at once. pending_bytes_max bounds what the client has not read yet: at
 * the bound the connection is closed and closed is called (0: 8 MiB). */
void http_stream_begin(struct http_exchange *x, int status, const char *content_type, size_t pending_bytes_max);
/* One chunk, sent as one chunk. 0; -EPIPE when the stream is being cut off (closed follows in a later turn). */
int http_stream_write(struct http_exchange *x, const void *data, size_t len);
size_t http_stream_pending(const struct http_exchange *x);
/* Told once, in a following turn, when the client has taken nearly all that was written so far: the time to write more of
 * something long. Asking again replaces the question before. Not told after the stream has ended or was cut off. */
void http_stream_on_drained(struct http_exchange *x, void (*drained)(void *ctx, struct http_exchange *x), void *ctx);
/* Ends the stream in order (last chunk). */
void http_stream_end(struct http_exchange *x);
/* Closes the connection without an answer; closed is not called. */
void http_exchange_abort(struct http_exchange *x);

/* For a request with `upgrade`: answers 101 with `Upgrade: protocol` and hands over the descriptor and the bytes already
 * read beyond the request (rest is the caller's to free). The exchange ends. On an error it goes on and wants another
 * answer: -EINVAL if it was no upgrade request, -EBUSY while answers to earlier requests of the connection are unsent,
 * -EPIPE if the client is gone. */
int http_upgrade(struct http_exchange *x, const char *protocol, int *fd, void **rest, size_t *rest_len);
