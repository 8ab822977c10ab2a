/* SPDX-License-Identifier: Apache-2.0
 * raw_client.h - a blocking client on a thread of its own, so that the loop runs in the test's thread: sends text, collects
 * what comes back until the server closes or `until` has been seen, then stops the loop. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/base/buf.h"
#include "common/base/check.h"
#include "common/real/loop_ev.h"

struct raw_client {
    struct loop *loop;
    uint16_t port;
    const char *unix_path;
    const char *send; /* what to send; send_len 0: strlen */
    size_t send_len;
    size_t piece;          /* bytes per send, 0: all at once */
    const char *until;     /* stop reading once this was received; NULL: read to the end */
    const char *then_send; /* sent after until was seen, then read to the end */
    bool half_close;
    bool no_read; /* close at once after sending */
    struct buf received;
    bool timed_out;
    pthread_t thread;
};

static inline void raw_client_stop_loop(void *ctx)
{
    loop_stop(ctx);
}

static inline int raw_client_connect(const struct raw_client *r)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(r->port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_un local = {.sun_family = AF_UNIX};
    int fd;
    if (r->unix_path) {
        strcpy(local.sun_path, r->unix_path);
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        CHECK(fd >= 0 && connect(fd, (struct sockaddr *)&local, sizeof(local)) == 0);
    } else {
        fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        CHECK(fd >= 0 && connect(fd, (struct sockaddr *)&v4, sizeof(v4)) == 0);
        int one = 1;
        CHECK(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) == 0);
    }
    struct timeval limit = {.tv_sec = 10};
    CHECK(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) == 0);
    CHECK(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) == 0);
    return fd;
}

static inline void raw_client_send(const struct raw_client *r, int fd, const char *data, size_t len)
{
    size_t piece = r->piece ? r->piece : len;
    for (size_t at = 0; at < len; at += piece) {
        size_t n = len - at < piece ? len - at : piece;
        if (send(fd, data + at, n, MSG_NOSIGNAL) < 0)
            return; /* the server closed: what it said comes below */
    }
}

static inline void raw_client_receive(struct raw_client *r, int fd, const char *until)
{
    char bytes[65536];
    for (;;) {
        if (until != NULL && buf_len(&r->received) > 0 &&
            memmem(buf_data(&r->received), buf_len(&r->received), until, strlen(until)) != NULL)
            return;
        ssize_t n = recv(fd, bytes, sizeof(bytes), 0);
        if (n <= 0) {
            r->timed_out = n < 0 && errno != ECONNRESET;
            return;
        }
        CHECK(buf_append(&r->received, bytes, (size_t)n) == 0);
    }
}

static inline void *raw_client_main(void *arg)
{
    struct raw_client *r = arg;
    int fd = raw_client_connect(r);
    raw_client_send(r, fd, r->send, r->send_len ? r->send_len : strlen(r->send));
    if (r->half_close)
        shutdown(fd, SHUT_WR);
    if (!r->no_read) {
        raw_client_receive(r, fd, r->until);
        if (r->then_send != NULL) {
            raw_client_send(r, fd, r->then_send, strlen(r->then_send));
            raw_client_receive(r, fd, NULL);
        }
    }
    close(fd);
    if (!r->no_read)
        loop_post(r->loop, raw_client_stop_loop, r->loop);
    return NULL;
}

static inline void raw_client_start(struct raw_client *r)
{
    buf_init(&r->received, 64u << 20);
    CHECK(pthread_create(&r->thread, NULL, raw_client_main, r) == 0);
}

/* What came back, terminated; the caller frees. */
static inline char *raw_client_finish(struct raw_client *r)
{
    CHECK(pthread_join(r->thread, NULL) == 0);
    char *text = buf_steal_str(&r->received);
    buf_deinit(&r->received);
    return text;
}

/* Runs the loop until the client is through. */
static inline char *raw_client_run(struct raw_client *r)
{
    raw_client_start(r);
    loop_run(r->loop);
    return raw_client_finish(r);
}
