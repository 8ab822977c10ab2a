/* SPDX-License-Identifier: Apache-2.0
 * zygote.c - a helper that was executed once and splits off a supervisor for each request of the agent: a fork of a small
 * process costs a fraction of an exec, and the agent's loop does not wait for it. The supervisors are children of the
 * agent (CLONE_PARENT), as if it had started them itself. Ends with the agent. */
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "agent/container/helper/helper.h"

/* Receives a request with its two descriptors. False when the agent is gone. */
static bool receive(struct helper_request *request, int fds[2])
{
    char control[CMSG_SPACE(2 * sizeof(int))] __attribute__((aligned(8)));
    struct iovec part = {.iov_base = request, .iov_len = sizeof(*request)};
    for (;;) {
        struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};
        ssize_t n = recvmsg(HELPER_FD_SOCKET, &m, MSG_CMSG_CLOEXEC);
        if (n < 0 && errno == EINTR)
            continue;
        const struct cmsghdr *c = n == (ssize_t)sizeof(*request) ? CMSG_FIRSTHDR(&m) : NULL;
        if (c == NULL || c->cmsg_type != SCM_RIGHTS || c->cmsg_len != CMSG_LEN(2 * sizeof(int)))
            return false;
        memcpy(fds, CMSG_DATA(c), 2 * sizeof(int));
        return true;
    }
}

static bool answer(pid_t pid, int pidfd)
{
    struct helper_answer a = {.pid = pid};
    char control[CMSG_SPACE(sizeof(int))] __attribute__((aligned(8))) = {0};
    struct iovec part = {.iov_base = &a, .iov_len = sizeof(a)};
    struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1};
    if (pid > 0) {
        m.msg_control = control;
        m.msg_controllen = sizeof(control);
        struct cmsghdr *c = CMSG_FIRSTHDR(&m);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(c), &pidfd, sizeof(int));
    }
    return sendmsg(HELPER_FD_SOCKET, &m, MSG_NOSIGNAL) == (ssize_t)sizeof(a);
}

/* In the new process: descriptors as if it had been executed for this one container. */
static int become_supervisor(const struct helper_request *request, const int fds[2], char *title, size_t title_size)
{
    (void)setsid(); /* a fresh process leads nothing, so this works */
    if (dup2(fds[0], HELPER_FD_SPEC) < 0 || dup2(fds[1], HELPER_FD_DIRECTORY) < 0)
        return 1;
    (void)close(fds[0]);
    (void)close(fds[1]);
    (void)close(HELPER_FD_SOCKET);
    memset(title, 0, title_size);
    (void)snprintf(title, title_size, "%.*s", (int)sizeof(request->title), request->title);
    return container_supervise_main();
}

int container_zygote_main(char *title)
{
    size_t title_size = strlen(title) + 1;
    (void)prctl(PR_SET_NAME, "muster-zygote");
    for (int fd = HELPER_FD_IMAGE; fd <= HELPER_FD_SOCKET; fd++)
        (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
    struct helper_request request;
    int fds[2];
    while (receive(&request, fds)) {
        int pidfd = -1;
        struct clone_args args = {.flags = CLONE_PARENT | CLONE_PIDFD, .pidfd = (uint64_t)(uintptr_t)&pidfd};
        pid_t pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
        if (pid == 0)
            return become_supervisor(&request, fds, title, title_size);
        if (pid < 0)
            pid = -errno;
        (void)close(fds[0]);
        (void)close(fds[1]);
        bool is_told = answer(pid, pidfd);
        if (pidfd >= 0)
            (void)close(pidfd);
        if (!is_told)
            break;
    }
    return 0;
}
