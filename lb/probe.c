/* SPDX-License-Identifier: Apache-2.0
 * probe.c - see probe.h. */
#include "lb/probe.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/check.h"
#include "common/base/list.h"

struct probe {
    struct list in_prober;
    struct lb_prober *owner;
    struct lb_endpoint target;
    int fd; /* -1: it has ended already */
    bool is_up;
    struct loop_fd *watch;
    struct loop_timer *timer;
};

struct lb_prober {
    struct loop *loop;
    int64_t timeout_ms;
    void (*done)(void *ctx, const struct lb_endpoint *target, bool is_up);
    void *ctx;
    struct list probes;
};

static void probe_free(struct probe *p)
{
    list_remove(&p->in_prober);
    loop_fd_remove(p->watch);
    loop_timer_remove(p->timer);
    if (p->fd >= 0)
        (void)close(p->fd); /* nothing was written */
    free(p);
}

static void end(struct probe *p, bool is_up)
{
    struct lb_prober *owner = p->owner;
    struct lb_endpoint target = p->target;
    probe_free(p);
    owner->done(owner->ctx, &target, is_up);
}

static bool is_our_fault(int error)
{
    switch (error) {
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
    case EADDRNOTAVAIL:
    case EAGAIN:
    case EACCES:
    case EPERM:
        return true;
    default:
        return false;
    }
}

static void on_writable(void *ctx, int fd, unsigned ready)
{
    struct probe *p = ctx;
    int error = 0;
    socklen_t len = sizeof(error);
    (void)ready;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
        error = errno;
    end(p, error == 0 || is_our_fault(error));
}

static void on_timer(void *ctx)
{
    struct probe *p = ctx;
    end(p, p->fd < 0 && p->is_up);
}

/* 0: under way, otherwise an errno. */
static int begin(struct probe *p)
{
    struct sockaddr_storage to;
    socklen_t len = lb_endpoint_to_sockaddr(&p->target, &to);
    p->fd = socket(to.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (p->fd < 0)
        return errno;
    if (connect(p->fd, (struct sockaddr *)&to, len) == 0 || errno == EINPROGRESS)
        return 0;
    int error = errno;
    (void)close(p->fd);
    p->fd = -1;
    return error;
}

void lb_prober_start(struct lb_prober *prober, const struct lb_endpoint *target)
{
    struct probe *p = xcalloc(1, sizeof(*p));
    p->owner = prober;
    p->target = *target;
    list_init(&p->in_prober);
    list_push_back(&prober->probes, &p->in_prober);
    p->timer = loop_timer_add(prober->loop, on_timer, p);
    int error = begin(p);
    if (error == 0)
        p->watch = loop_fd_add(prober->loop, p->fd, LOOP_WRITE, on_writable, p);
    p->is_up = is_our_fault(error);
    loop_timer_start(p->timer, error == 0 ? prober->timeout_ms : 0);
}

struct lb_prober *lb_prober_new(struct loop *loop, int64_t timeout_ms,
                                void (*done)(void *ctx, const struct lb_endpoint *target, bool is_up), void *ctx)
{
    struct lb_prober *prober = xcalloc(1, sizeof(*prober));
    *prober = (struct lb_prober){.loop = loop, .timeout_ms = timeout_ms, .done = done, .ctx = ctx};
    list_init(&prober->probes);
    return prober;
}

struct lb_prober *lb_prober_free(struct lb_prober *prober)
{
    if (prober == NULL)
        return NULL;
    while (!list_is_empty(&prober->probes))
        probe_free(container_of(prober->probes.next, struct probe, in_prober));
    free(prober);
    return NULL;
}
