/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/container/helper/stdio.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <termios.h>
#include <unistd.h>

#include "common/base/cleanup.h"

enum { LOG_BYTES_MAX_DEFAULT = 10 * 1024 * 1024 };
enum { POLL_OUT_0, POLL_OUT_1, POLL_LISTEN, POLL_PEER, POLL_IN };

/* Packets with their first byte. Pages that are never needed cost nothing. */
static uint8_t out_packet[2][1 + LAUNCHER_PACKET_MAX], in_packet[1 + LAUNCHER_PACKET_MAX];

void stdio_init(struct stdio *s)
{
    *s = (struct stdio){.listen_fd = -1,
                        .peer_fd = -1,
                        .terminal_fd = -1,
                        .in_fd = -1,
                        .out_fd = {-1, -1},
                        .logs = {{.file_fd = -1, .pipe_fd = -1}, {.file_fd = -1, .pipe_fd = -1}}};
}

static void close_fd(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd); /* nothing to be done about it */
    *fd = -1;
}

void stdio_close_ends(struct stdio_ends *ends)
{
    close_fd(&ends->in);
    close_fd(&ends->out);
    close_fd(&ends->error);
    close_fd(&ends->terminal);
}

/* -- opening -------------------------------------------------------------------------------------------------- */

static int open_listener(struct stdio *s, int directory_fd, struct err *err)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    (void)snprintf(at.sun_path, sizeof(at.sun_path), "/proc/self/fd/%d/io", directory_fd);
    s->listen_fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (s->listen_fd < 0 || bind(s->listen_fd, (struct sockaddr *)&at, sizeof(at)) < 0 || listen(s->listen_fd, 4) < 0)
        return err_sys(err, -errno, "socket for attachments");
    return 0;
}

/* The far end is the user's: programs open /dev/stdin and the like again. */
static int open_pipe(const struct container_user *user, bool is_input, int *near, int *far, struct err *err)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return err_sys(err, -errno, "pipe");
    *near = ends[is_input ? 1 : 0];
    *far = ends[is_input ? 0 : 1];
    if (fcntl(*near, F_SETFL, O_NONBLOCK) < 0 || (user->switches && fchown(*far, user->uid, user->gid) < 0))
        return err_sys(err, -errno, "pipe");
    return 0;
}

static int open_logs(struct stdio *s, const Muster__Container__Spec *spec, int sandbox_fd,
                     const struct container_user *user, struct stdio_ends *ends, struct err *err)
{
    int64_t max = spec->log_bytes_max > 0 ? spec->log_bytes_max : LOG_BYTES_MAX_DEFAULT;
    int rc = log_pump_open(&s->logs[0], sandbox_fd, "stdout", user, max, &ends->out, err);
    return rc < 0 ? rc : log_pump_open(&s->logs[1], sandbox_fd, "stderr", user, max, &ends->error, err);
}

static int open_terminal(struct stdio *s, struct stdio_ends *ends, struct err *err)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
        return err_sys(err, -errno, "socket for the terminal");
    s->terminal_fd = pair[0];
    ends->terminal = pair[1];
    return 0;
}

int stdio_open(struct stdio *s, const Muster__Container__Spec *spec, int directory_fd, int sandbox_fd,
               const struct container_user *user, struct stdio_ends *ends, struct err *err)
{
    s->is_session = spec->session;
    s->has_tty = spec->tty;
    int rc = spec->session ? 0 : open_logs(s, spec, sandbox_fd, user, ends, err);
    if (rc == 0 && (s->is_session || s->has_tty))
        rc = open_listener(s, directory_fd, err);
    if (rc == 0 && s->has_tty)
        rc = open_terminal(s, ends, err);
    else if (rc == 0 && s->is_session && (rc = open_pipe(user, true, &s->in_fd, &ends->in, err)) == 0 &&
             (rc = open_pipe(user, false, &s->out_fd[0], &ends->out, err)) == 0)
        rc = open_pipe(user, false, &s->out_fd[1], &ends->error, err);
    return rc;
}

void stdio_started(struct stdio *s)
{
    if (s->terminal_fd < 0)
        return;
    char byte, control[CMSG_SPACE(sizeof(int))] __attribute__((aligned(8)));
    struct iovec part = {.iov_base = &byte, .iov_len = 1};
    struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};
    ssize_t n = recvmsg(s->terminal_fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    const struct cmsghdr *c = n == 1 ? CMSG_FIRSTHDR(&m) : NULL;
    if (c != NULL && c->cmsg_type == SCM_RIGHTS && c->cmsg_len == CMSG_LEN(sizeof(int))) {
        memcpy(&s->out_fd[0], CMSG_DATA(c), sizeof(int));
        s->in_fd = fcntl(s->out_fd[0], F_DUPFD_CLOEXEC, 0);
    }
    close_fd(&s->terminal_fd);
}

/* -- who is attached ------------------------------------------------------------------------------------------ */

static void lose_peer(struct stdio *s)
{
    close_fd(&s->peer_fd);
    s->is_broken |= s->is_session;
}

static void accept_peer(struct stdio *s)
{
    int fd = accept4(s->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0)
        return;
    close_fd(&s->peer_fd); /* of an agent that is gone, or gives it up in favour of this one */
    s->peer_fd = fd;
}

/* What cannot be sent waits if the program is to wait for it, and is lost if it is in the log. */
static void deliver(struct stdio *s, int i)
{
    if (s->out_len[i] == 0 || (s->peer_fd < 0 && s->is_session))
        return;
    out_packet[i][0] = i == 0 ? LAUNCHER_PACKET_STDOUT : LAUNCHER_PACKET_STDERR;
    ssize_t n = s->peer_fd < 0 ? 0 : send(s->peer_fd, out_packet[i], 1 + s->out_len[i], MSG_DONTWAIT | MSG_NOSIGNAL);
    bool is_full = n < 0 && (errno == EAGAIN || errno == ENOBUFS || errno == EINTR);
    if (is_full && s->is_session)
        return;
    s->out_len[i] = 0;
    if (n < 0 && !is_full)
        lose_peer(s);
}

/* -- output --------------------------------------------------------------------------------------------------- */

static void read_output(struct stdio *s, int i)
{
    if (s->out_fd[i] < 0 || s->out_len[i] > 0)
        return;
    ssize_t n = read(s->out_fd[i], out_packet[i] + 1, LAUNCHER_PACKET_MAX);
    if (n < 0 && (errno == EINTR || (errno == EAGAIN && !s->is_finished)))
        return;
    if (n <= 0) { /* a terminal that nobody has open any more says EIO */
        close_fd(&s->out_fd[i]);
        return;
    }
    log_pump_put(&s->logs[i], (const char *)out_packet[i] + 1, (size_t)n);
    s->out_len[i] = (size_t)n;
    deliver(s, i);
}

/* -- input ---------------------------------------------------------------------------------------------------- */

static void write_input(struct stdio *s)
{
    while (s->in_len > 0 && s->in_fd >= 0) {
        ssize_t n = write(s->in_fd, in_packet + s->in_at, s->in_len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return;
        if (n < 0) {
            close_fd(&s->in_fd); /* the program does not want to hear any more */
            break;
        }
        s->in_at += (size_t)n;
        s->in_len -= (size_t)n;
    }
    if (s->in_fd < 0)
        s->in_len = 0;
    if (s->in_len == 0 && s->has_in_ended)
        close_fd(&s->in_fd);
}

static void set_window(struct stdio *s, const uint8_t *data, size_t len)
{
    struct launcher_window w;
    if (len != sizeof(w) || !s->has_tty || s->in_fd < 0)
        return;
    memcpy(&w, data, sizeof(w));
    struct winsize size = {.ws_row = w.rows, .ws_col = w.columns};
    (void)ioctl(s->in_fd, TIOCSWINSZ, &size); /* of a terminal that hangs up just now */
}

static void receive(struct stdio *s)
{
    ssize_t n = recv(s->peer_fd, in_packet, sizeof(in_packet), MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        lose_peer(s);
        return;
    }
    if (in_packet[0] == LAUNCHER_PACKET_WINDOW) {
        set_window(s, in_packet + 1, (size_t)n - 1);
    } else if (in_packet[0] == LAUNCHER_PACKET_STDIN && n == 1) {
        s->has_in_ended = !s->has_tty;
        write_input(s);
    } else if (in_packet[0] == LAUNCHER_PACKET_STDIN) {
        s->in_at = 1;
        s->in_len = (size_t)n - 1;
        write_input(s);
    }
}

/* -- turns ---------------------------------------------------------------------------------------------------- */

void stdio_poll(struct stdio *s, struct pollfd p[STDIO_POLLS])
{
    bool is_attachable = s->listen_fd >= 0;
    bool has_pending = s->out_len[0] > 0 || s->out_len[1] > 0;
    for (int i = 0; i < 2; i++) {
        bool waits = s->out_len[i] > 0 || (s->is_session && s->peer_fd < 0);
        p[POLL_OUT_0 + i].fd = s->logs[i].pipe_fd >= 0 ? s->logs[i].pipe_fd : (waits ? -1 : s->out_fd[i]);
        p[POLL_OUT_0 + i].events = POLLIN;
    }
    p[POLL_LISTEN] = (struct pollfd){.fd = is_attachable ? s->listen_fd : -1, .events = POLLIN};
    /* While input waits for the program there is nothing to receive; that a session breaks must be heard even then. */
    p[POLL_PEER] = (struct pollfd){.fd = s->in_len == 0 || has_pending || s->is_session ? s->peer_fd : -1,
                                   .events = (short)((s->in_len == 0 ? POLLIN : 0) | (has_pending ? POLLOUT : 0))};
    p[POLL_IN] = (struct pollfd){.fd = s->in_len > 0 ? s->in_fd : -1, .events = POLLOUT};
}

void stdio_run(struct stdio *s, const struct pollfd p[STDIO_POLLS])
{
    if (p[POLL_IN].revents)
        write_input(s);
    if (p[POLL_PEER].fd >= 0 && p[POLL_PEER].fd == s->peer_fd) {
        if (p[POLL_PEER].revents & POLLOUT) {
            deliver(s, 0);
            deliver(s, 1);
        }
        if ((p[POLL_PEER].revents & (POLLIN | POLLHUP | POLLERR)) && s->peer_fd >= 0) {
            if (s->in_len == 0)
                receive(s);
            else if (p[POLL_PEER].revents & (POLLHUP | POLLERR))
                lose_peer(s);
        }
    }
    if (p[POLL_LISTEN].revents)
        accept_peer(s);
    for (int i = 0; i < 2; i++) {
        if (!p[POLL_OUT_0 + i].revents)
            continue;
        if (s->logs[i].pipe_fd >= 0)
            (void)log_pump_run(&s->logs[i]);
        else
            read_output(s, i);
    }
}

bool stdio_finish(struct stdio *s)
{
    s->is_finished = true;
    for (int i = 0; i < 2; i++) {
        /* Nobody writes any more; the bound is for writers that could not be reached. */
        for (int k = 0; k < 64 && log_pump_run(&s->logs[i]); k++)
            ;
        for (int k = 0; k < 64 && s->out_fd[i] >= 0 && s->out_len[i] == 0; k++)
            read_output(s, i);
        if (s->out_len[i] == 0)
            close_fd(&s->out_fd[i]);
    }
    return !s->is_broken && (s->out_len[0] > 0 || s->out_len[1] > 0);
}
