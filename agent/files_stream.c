/* SPDX-License-Identifier: Apache-2.0
 * files_stream.c - a file as a chunked answer, piece by piece as the client takes it. A follower waits for the kernel's
 * word (inotify) that the file has grown or was renamed away by rotation; then it goes on with the new file. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "agent/files.h"
#include "common/base/check.h"

#define SENDERS_MAX 128 /* downloads and followers at a time */
#define WATCHED (IN_MODIFY | IN_MOVE_SELF | IN_DELETE_SELF)

struct sender {
    struct agent_shell *shell;
    struct http_exchange *x;
    char *path;
    int fd;
    off_t offset;
    bool follow;
    bool waiting; /* all that is there was sent */
    int notify_fd, watch;
    struct loop_fd *notify;
    bool rotated; /* another file has the name now */
};

static void sender_free(struct sender *f)
{
    f->shell->download_count--;
    (void)loop_fd_remove(f->notify);
    if (f->notify_fd >= 0)
        (void)close(f->notify_fd);
    (void)close(f->fd);
    free(f->path);
    free(f);
}

static void on_closed(void *ctx, struct http_exchange *x)
{
    (void)x;
    sender_free(ctx);
}

static void send_more(void *ctx, struct http_exchange *x);

static int watch_descriptor(const struct sender *f, int fd, uint32_t mask)
{
    char name[40];
    snprintf(name, sizeof(name), "/proc/self/fd/%d", fd); /* what is open, whatever its name is now */
    return inotify_add_watch(f->notify_fd, name, mask);
}

/* The directory tells when a new file takes the name. */
static int watch_directory(struct sender *f)
{
    struct arena *arena = arena_new(0);
    char *parent = arena_strdup(arena, f->path);
    char *slash = strrchr(parent, '/');
    int outcome, watch = -1;
    if (slash != NULL && slash > parent)
        *slash = '\0';
    int fd = files_open(f->shell, parent, arena, true, &outcome);
    if (fd >= 0) {
        watch = watch_descriptor(f, fd, IN_CREATE | IN_MOVED_TO);
        (void)close(fd);
    }
    (void)arena_free(arena);
    return watch;
}

/* The name leads to another file now: go on with that one. False when there is none yet. */
static bool reopen(struct sender *f)
{
    struct arena *arena = arena_new(0);
    int outcome;
    int fd = files_open(f->shell, f->path, arena, false, &outcome);
    (void)arena_free(arena);
    if (fd < 0)
        return false;
    (void)inotify_rm_watch(f->notify_fd, f->watch);
    (void)close(f->fd);
    f->fd = fd;
    f->offset = 0;
    f->rotated = false;
    f->watch = watch_descriptor(f, fd, WATCHED);
    return true;
}

static void on_notify(void *ctx, int fd, unsigned ready)
{
    (void)ready;
    struct sender *f = ctx;
    _Alignas(struct inotify_event) char events[4096];
    for (ssize_t n; (n = read(fd, events, sizeof(events))) > 0;) {
        for (char *at = events; at < events + n;) {
            const struct inotify_event *e = (const void *)at;
            if (e->wd == f->watch && (e->mask & (IN_MOVE_SELF | IN_DELETE_SELF)))
                f->rotated = true;
            at += sizeof(*e) + e->len;
        }
    }
    if (f->waiting) {
        f->waiting = false;
        send_more(f, f->x);
    }
}

static void send_more(void *ctx, struct http_exchange *x)
{
    struct sender *f = ctx;
    uint8_t *piece = xmalloc(FILES_READ_MAX);
    ssize_t n = pread(f->fd, piece, FILES_READ_MAX, f->offset);
    if (n > 0) {
        f->offset += n;
        int rc = http_stream_write(x, piece, (size_t)n);
        if (rc == 0)
            http_stream_on_drained(x, send_more, f);
        /* else: it is being cut off, on_closed follows */
    } else if (!f->follow || n < 0) {
        sender_free(f);
        http_stream_end(x);
    } else {
        if (f->rotated && reopen(f))
            http_stream_on_drained(x, send_more, f);
        else
            f->waiting = true;
    }
    free(piece);
}

void files_send(struct agent_shell *s, struct http_exchange *x, const char *path, int fd, bool follow)
{
    if (s->download_count >= SENDERS_MAX) {
        (void)close(fd);
        http_reply_text(x, 503, "Too many files are being sent, try again later");
        return;
    }
    struct sender *f = xcalloc(1, sizeof(*f));
    *f = (struct sender){
        .shell = s, .x = x, .path = xstrdup(path), .fd = fd, .follow = follow, .notify_fd = -1, .watch = -1};
    s->download_count++;
    if (follow) {
        f->notify_fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
        if (f->notify_fd >= 0)
            f->watch = watch_descriptor(f, fd, WATCHED);
        if (f->watch < 0 || watch_directory(f) < 0) {
            int rc = errno;
            sender_free(f);
            http_reply_text(x, 503, "The file cannot be followed: %s", strerror(rc));
            return;
        }
        f->notify = loop_fd_add(s->loop, f->notify_fd, LOOP_READ, on_notify, f);
    }
    http_exchange_on_closed(x, on_closed, f);
    http_stream_begin(x, 200, follow ? "text/plain; charset=utf-8" : "application/octet-stream", 0);
    send_more(f, x);
}
