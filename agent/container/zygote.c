/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/container/zygote.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/container/helper/helper.h"
#include "agent/container/spawn.h"
#include "common/base/cleanup.h"

/* Requests that are not answered yet. Far below what fits into the socket, so neither side ever blocks on the other. */
enum { WAITING_MAX = 32 };

static struct container_entry *pop_waiting(struct container_zygote *z)
{
    struct list *n = list_pop_front(&z->waiting);
    if (n == NULL)
        return NULL;
    z->waiting_count--;
    return container_of(n, struct container_entry, zygote_node);
}

static void on_answer(struct container_entry *c, int32_t pid, int pidfd)
{
    if (pid > 0 && pidfd >= 0) {
        container_entry_watch(c, pidfd);
        return;
    }
    struct err err;
    (void)err_sys(&err, pid < 0 ? pid : -EIO, "start the supervisor");
    container_remove_directory(c->launcher, c->id);
    container_entry_end(c, LAUNCHER_END_LAUNCH_FAILED, -1, err.text, 0);
}

static void release(struct container_zygote *z)
{
    z->watch = loop_fd_remove(z->watch);
    if (z->socket_fd >= 0)
        (void)close(z->socket_fd); /* it ends when it sees this */
    z->socket_fd = -1;
    if (z->pid > 0)
        (void)waitpid(z->pid, NULL, 0);
    z->pid = 0;
}

/* It was killed. Whether a request was still carried out is seen in the container's folder. */
static void on_end(struct container_launcher *l)
{
    release(&l->zygote);
    for (struct container_entry *c; (c = pop_waiting(&l->zygote)) != NULL;)
        container_entry_recover(c);
}

static void on_socket(void *ctx, int fd, unsigned ready)
{
    (void)ready;
    struct container_launcher *l = ctx;
    struct helper_answer a;
    char control[CMSG_SPACE(sizeof(int))] __attribute__((aligned(8)));
    struct iovec part = {.iov_base = &a, .iov_len = sizeof(a)};
    for (;;) {
        struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};
        ssize_t n = recvmsg(fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (n != (ssize_t)sizeof(a)) {
            on_end(l);
            return;
        }
        int pidfd = -1;
        const struct cmsghdr *cmsg = CMSG_FIRSTHDR(&m);
        if (cmsg != NULL && cmsg->cmsg_type == SCM_RIGHTS && cmsg->cmsg_len == CMSG_LEN(sizeof(int)))
            memcpy(&pidfd, CMSG_DATA(cmsg), sizeof(int));
        struct container_entry *c = pop_waiting(&l->zygote);
        if (c != NULL)
            on_answer(c, a.pid, pidfd);
        else if (pidfd >= 0)
            (void)close(pidfd); /* an answer that nobody asked for */
    }
}

int container_zygote_start(struct container_launcher *l, struct err *err)
{
    struct container_zygote *z = &l->zygote;
    char title[sizeof(((struct helper_request *)NULL)->title)];
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
        return err_sys(err, -errno, "socket of the zygote");
    memset(title, ' ', sizeof(title));
    title[sizeof(title) - 1] = '\0';
    struct spawn_request r = {.mode = "supervisor",
                              .title = title,
                              .image_fd = l->image_fd,
                              .fetch_fd = l->fetch_fd,
                              .directory_fd = l->image_fd,
                              .socket_fd = ends[1]};
    pid_t pid = container_spawn(&r, err);
    (void)close(ends[1]);
    if (pid < 0) {
        (void)close(ends[0]);
        return pid;
    }
    z->pid = pid;
    z->socket_fd = ends[0];
    z->watch = loop_fd_add(l->loop, z->socket_fd, LOOP_READ, on_socket, l);
    return 0;
}

void container_zygote_stop(struct container_launcher *l)
{
    release(&l->zygote);
    while (pop_waiting(&l->zygote) != NULL)
        ; /* its folder tells the next run of it */
}

int container_zygote_ask(struct container_entry *c, const Muster__Container__Spec *spec, int directory, struct err *err)
{
    struct container_zygote *z = &c->launcher->zygote;
    if (z->socket_fd < 0 || z->waiting_count >= WAITING_MAX)
        return -EAGAIN;
    cleanup_close int spec_fd = container_spawn_write_spec(spec, err);
    if (spec_fd < 0)
        return spec_fd;
    struct helper_request request;
    memset(&request, 0, sizeof(request));
    (void)snprintf(request.title, sizeof(request.title), "%s", c->id);
    const int fds[2] = {spec_fd, directory};
    char control[CMSG_SPACE(sizeof(fds))] __attribute__((aligned(8))) = {0};
    struct iovec part = {.iov_base = &request, .iov_len = sizeof(request)};
    struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};
    struct cmsghdr *cmsg = CMSG_FIRSTHDR(&m);
    cmsg->cmsg_level = SOL_SOCKET;
    cmsg->cmsg_type = SCM_RIGHTS;
    cmsg->cmsg_len = CMSG_LEN(sizeof(fds));
    memcpy(CMSG_DATA(cmsg), fds, sizeof(fds));
    if (sendmsg(z->socket_fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
        return -EAGAIN; /* full or dead; the second is heard of by its socket */
    list_push_back(&z->waiting, &c->zygote_node);
    z->waiting_count++;
    return 0;
}
