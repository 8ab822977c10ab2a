/* SPDX-License-Identifier: Apache-2.0
 * link.c - a connected descriptor as a link: frames out are packed into one buffer and sent once before the loop sleeps,
 * frames in are decoded where they lie. An idle link holds no buffers. */
#include "common/wire/link.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/buf.h"
#include "common/base/check.h"
#include "common/wire/codec.h"
#include "common/wire/link_frames.h"

#define PENDING_BYTES_MAX (64u << 20)
#define READ_SIZE (64u << 10)
#define FLUSH_ABOVE (1u << 20) /* a burst is not held back until the end of the turn beyond this */
#define LENGTH_SIZE 4u

struct link {
    struct loop *loop;
    int fd;
    struct loop_fd *watch;
    const ProtobufCMessageDescriptor *type;
    struct link_callbacks callbacks;
    void *ctx;
    struct link_frames in;
    struct buf out;
    struct loop_idle *flush;  /* while something waits to be sent at the end of this turn */
    struct loop_timer *later; /* for callbacks of a later turn: the rest of the upgrade, the end */
    void *rest;
    size_t rest_len;
    bool is_blocked; /* the socket takes no more */
    bool is_closing; /* the end is on its way, why says what happened */
    bool in_callback, is_freed;
    struct arena *arena; /* while frames are read */
    char why[256];
};

static void destroy(struct link *l)
{
    l->watch = loop_fd_remove(l->watch);
    l->later = loop_timer_remove(l->later);
    l->flush = loop_before_sleep_remove(l->flush);
    if (l->fd >= 0)
        (void)close(l->fd); /* whoever frees a link does not care for what is unsent */
    l->fd = -1;
    if (l->in_callback) {
        l->is_freed = true;
        return;
    }
    link_frames_deinit(&l->in);
    buf_deinit(&l->out);
    arena_free(l->arena);
    free(l->rest);
    free(l);
}

/* The end: tells the owner and frees. Only at the bottom of a callback of the loop. */
static void finish(struct link *l)
{
    l->in_callback = true;
    if (!l->is_freed)
        l->callbacks.closed(l->ctx, l->why);
    l->in_callback = false;
    l->is_freed = false;
    destroy(l);
}

static void close_later(struct link *l)
{
    l->is_closing = true;
    l->watch = loop_fd_remove(l->watch);
    loop_timer_start(l->later, 0);
}

/* --- output --- */

static void set_interest(struct link *l)
{
    /* What came with the upgrade is read before anything that follows it. */
    loop_fd_set(l->watch, (l->rest == NULL ? LOOP_READ : 0u) | (l->is_blocked ? LOOP_WRITE : 0u));
}

static void flush(struct link *l)
{
    while (buf_len(&l->out) > 0) {
        ssize_t n = send(l->fd, buf_data(&l->out), buf_len(&l->out), MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && (errno == EAGAIN || errno == ENOBUFS))
            break;
        if (n < 0) {
            (void)snprintf(l->why, sizeof(l->why), "send: %s", strerrordesc_np(errno));
            close_later(l);
            return;
        }
        buf_consume(&l->out, (size_t)n);
    }
    l->is_blocked = buf_len(&l->out) > 0;
    set_interest(l);
}

struct link *link_free(struct link *l)
{
    if (l == NULL || l->is_freed)
        return NULL;
    /* The last words of this turn, a refusal say, should arrive. */
    if (!l->is_closing && !l->is_blocked && l->fd >= 0)
        flush(l);
    destroy(l);
    return NULL;
}

static void on_before_sleep(void *ctx)
{
    struct link *l = ctx;
    l->flush = loop_before_sleep_remove(l->flush);
    if (!l->is_closing && !l->is_blocked)
        flush(l);
}

int link_send(struct link *l, const ProtobufCMessage *message)
{
    if (l->is_closing || l->is_freed)
        return -EPIPE;
    size_t len = protobuf_c_message_get_packed_size(message);
    CHECK(len > 0 && len <= LINK_FRAME_BYTES_MAX);
    uint8_t *to = buf_reserve(&l->out, LENGTH_SIZE + len);
    if (to == NULL) {
        (void)snprintf(l->why, sizeof(l->why), "the peer does not read: %zu bytes are unsent", buf_len(&l->out));
        close_later(l);
        return -EPIPE;
    }
    to[0] = (uint8_t)(len >> 24);
    to[1] = (uint8_t)(len >> 16);
    to[2] = (uint8_t)(len >> 8);
    to[3] = (uint8_t)len;
    CHECK(protobuf_c_message_pack(message, to + LENGTH_SIZE) == len);
    buf_commit(&l->out, LENGTH_SIZE + len);
    if (l->is_blocked)
        return 0;
    if (buf_len(&l->out) >= FLUSH_ABOVE)
        flush(l);
    else if (l->flush == NULL)
        l->flush = loop_before_sleep_add(l->loop, on_before_sleep, l);
    return l->is_closing ? -EPIPE : 0;
}

size_t link_pending(const struct link *l)
{
    return buf_len(&l->out);
}

/* --- input --- */

static int on_frame(void *ctx, const uint8_t *data, size_t len)
{
    struct link *l = ctx;
    struct err err = {{0}};
    const ProtobufCMessage *message = wire_unpack(l->type, data, len, l->arena, &err);
    if (message == NULL) {
        (void)snprintf(l->why, sizeof(l->why), "bad frame: %.200s", err.text);
        return -EPROTO;
    }
    l->in_callback = true;
    l->callbacks.message(l->ctx, message);
    l->in_callback = false;
    arena_reset(l->arena);
    return l->is_freed || l->is_closing ? 1 : 0; /* not an error: nothing further is to be read */
}

/* False: the link has ended, or will. l may be gone. */
static bool read_frames(struct link *l, const void *data, size_t len)
{
    l->arena = arena_new(0);
    int rc = link_frames_feed(&l->in, data, len, on_frame, l);
    l->arena = arena_free(l->arena);
    if (l->is_freed) {
        l->is_freed = false;
        destroy(l);
        return false;
    }
    if (rc == 0)
        return true;
    if (rc > 0)
        return false; /* a send in the callback closed it: the timer finishes it */
    if (rc == -EMSGSIZE)
        (void)snprintf(l->why, sizeof(l->why), "bad frame: its length is not within 1 and %u", LINK_FRAME_BYTES_MAX);
    finish(l);
    return false;
}

static void on_readable(struct link *l)
{
    uint8_t bytes[READ_SIZE];
    ssize_t n = recv(l->fd, bytes, sizeof(bytes), 0);
    if (n > 0) {
        (void)read_frames(l, bytes, (size_t)n);
        return;
    }
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n == 0)
        (void)snprintf(l->why, sizeof(l->why), "the peer closed the connection");
    else
        (void)snprintf(l->why, sizeof(l->why), "receive: %s", strerrordesc_np(errno));
    finish(l);
}

static void on_ready(void *ctx, int fd, unsigned ready)
{
    (void)fd;
    struct link *l = ctx;
    if (ready & LOOP_WRITE)
        flush(l);
    if ((ready & LOOP_READ) && !l->is_closing)
        on_readable(l);
}

static void on_later(void *ctx)
{
    struct link *l = ctx;
    if (l->is_closing) {
        finish(l);
        return;
    }
    void *rest = l->rest;
    l->rest = NULL;
    bool goes_on = read_frames(l, rest, l->rest_len);
    free(rest);
    if (goes_on)
        set_interest(l);
}

/* --- life --- */

static void set_options(int fd)
{
    int flags = fcntl(fd, F_GETFL);
    CHECK(flags >= 0 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0);
    const int options[][3] = {{SOL_SOCKET, SO_KEEPALIVE, 1},
                              {IPPROTO_TCP, TCP_NODELAY, 1},
                              {IPPROTO_TCP, TCP_KEEPIDLE, 30},
                              {IPPROTO_TCP, TCP_KEEPINTVL, 10},
                              {IPPROTO_TCP, TCP_KEEPCNT, 3}};
    for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
        /* Not a TCP socket, then: it works without. */
        (void)setsockopt(fd, options[i][0], options[i][1], &options[i][2], sizeof(options[i][2]));
    }
}

struct link *link_new(struct loop *loop, int fd, const void *rest, size_t rest_len, const ProtobufCMessageDescriptor *type,
                      size_t pending_bytes_max, const struct link_callbacks *callbacks, void *ctx)
{
    struct link *l = xcalloc(1, sizeof(*l));
    l->loop = loop;
    l->fd = fd;
    l->type = type;
    l->callbacks = *callbacks;
    l->ctx = ctx;
    set_options(fd);
    link_frames_init(&l->in);
    buf_init(&l->out, pending_bytes_max ? pending_bytes_max : PENDING_BYTES_MAX);
    l->later = loop_timer_add(loop, on_later, l);
    if (rest_len > 0) {
        l->rest = xmemdup(rest, rest_len);
        l->rest_len = rest_len;
        loop_timer_start(l->later, 0);
    }
    l->watch = loop_fd_add(loop, fd, 0, on_ready, l);
    set_interest(l);
    return l;
}
