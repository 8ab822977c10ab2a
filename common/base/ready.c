/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/ready.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/base/text.h"

static void notify_systemd(void)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    if (path == NULL || (path[0] != '/' && path[0] != '@') || strlen(path) >= sizeof(to.sun_path))
        return;
    size_t len = strlen(path);
    memcpy(to.sun_path, path, len);
    if (to.sun_path[0] == '@')
        to.sun_path[0] = '\0';
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    static const char text[] = "READY=1";
    ssize_t sent = sendto(fd, text, sizeof(text) - 1, MSG_NOSIGNAL, (struct sockaddr *)&to,
                          (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len));
    (void)sent; /* the service manager's own time-out tells when this is lost */
    (void)close(fd);
}

void ready_notify(const char *ip, uint16_t port)
{
    notify_systemd();
    (void)unsetenv("NOTIFY_SOCKET"); /* fails only for malformed names */
    const char *text = getenv(READY_FD_VARIABLE);
    int64_t fd;
    if (text == NULL || text_to_int64(text, &fd) < 0 || fd <= STDERR_FILENO)
        return;
    (void)unsetenv(READY_FD_VARIABLE);
    (void)dprintf((int)fd, "READY %s:%u\n", ip, (unsigned)port); /* a starter that is gone needs no answer */
    (void)close((int)fd);
}
