/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/container/helper/notify.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/container/helper/helper.h"

void notify_init(struct notify *n)
{
    *n = (struct notify){.fd = -1};
}

static void drop(struct notify *n)
{
    if (n->fd >= 0)
        (void)close(n->fd);
    n->fd = -1;
}

void notify_send(struct notify *n)
{
    /* By way of the descriptor: the path itself may be longer than a socket address. */
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    (void)snprintf(to.sun_path, sizeof(to.sun_path), "/proc/self/fd/%d/../../" CONTAINER_SOCKET_NAME, HELPER_FD_DIRECTORY);
    drop(n); /* after a wait the agent may be another one */
    n->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (n->fd < 0)
        return;
    if (connect(n->fd, (struct sockaddr *)&to, sizeof(to)) < 0 ||
        send(n->fd, &n->notice, sizeof(n->notice), MSG_NOSIGNAL) >= 0 || errno != EAGAIN)
        drop(n); /* sent, or nobody there */
}
