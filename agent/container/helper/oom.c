/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/container/helper/oom.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/base/cleanup.h"

void oom_watch_clear(struct oom_watch *w)
{
    char text[256];
    ssize_t n = w->events == POLLPRI ? pread(w->fd, text, sizeof(text), 0) : read(w->fd, text, sizeof(uint64_t));
    (void)n; /* what counts is that it was read: that arms the poll again */
}

static int open_v1(const struct container_hierarchy *h, const char *id)
{
    cleanup_close int control = container_cgroup_open(h, id, "memory.oom_control", O_RDONLY);
    cleanup_close int event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (control < 0 || event < 0)
        return -1;
    char text[32];
    (void)snprintf(text, sizeof(text), "%d %d", event, control);
    if (container_cgroup_write(h, id, "cgroup.event_control", text, NULL) < 0)
        return -1;
    return steal_fd(&event);
}

void oom_watch_open(struct oom_watch *w, const struct container_cgroups *g, const char *id)
{
    const struct container_hierarchy *h = container_cgroups_find(g, CONTAINER_CGROUP_MEMORY);
    w->fd = -1;
    w->events = 0;
    if (h == NULL)
        return;
    w->fd = h->v2 ? container_cgroup_open(h, id, "memory.events", O_RDONLY) : open_v1(h, id);
    w->events = h->v2 ? POLLPRI : POLLIN;
    if (w->fd < 0)
        w->fd = -1;
    else if (h->v2)
        oom_watch_clear(w); /* from here on only what is new */
}

void oom_watch_close(struct oom_watch *w)
{
    if (w->fd >= 0)
        (void)close(w->fd);
    w->fd = -1;
}
