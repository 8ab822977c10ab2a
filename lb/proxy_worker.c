/* SPDX-License-Identifier: Apache-2.0
 * proxy_worker.c - one thread of the proxy: waits, hands out events, keeps time. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "common/base/check.h"
#include "lb/proxy.h"

#define EVENTS_MAX 256

bool proxy_take_descriptors(struct proxy *proxy, size_t count, size_t spare)
{
    size_t before = atomic_fetch_add_explicit(&proxy->descriptors, count, memory_order_relaxed);
    if (before + count + spare <= proxy->config.descriptors_max)
        return true;
    atomic_fetch_sub_explicit(&proxy->descriptors, count, memory_order_relaxed);
    return false;
}

void proxy_give_descriptors(struct proxy *proxy, size_t count)
{
    atomic_fetch_sub_explicit(&proxy->descriptors, count, memory_order_relaxed);
}

static int64_t read_clock_ms(void)
{
    struct timespec now;
    CHECK(clock_gettime(CLOCK_MONOTONIC_COARSE, &now) == 0);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void carry_out(struct proxy_worker *w, struct proxy_command *command)
{
    switch (command->type) {
    case PROXY_RETIRE:
        if (command->vip->kind == PROXY_UDP)
            proxy_udp_retire(w, command->vip);
        proxy_vip_unref(command->vip); /* what it held for being in our epoll set */
        break;
    case PROXY_PRUNE:
        proxy_udp_prune(w, command->vip);
        break;
    case PROXY_SERVE:
        proxy_tcp_serve(w, command->vip, command->client);
        break;
    case PROXY_STOP:
        w->is_stopping = true;
        break;
    }
    if (command->vip != NULL)
        proxy_vip_unref(command->vip);
    free(command);
}

static void run_commands(struct proxy_worker *w)
{
    uint64_t count;
    (void)!read(w->wake_fd, &count, sizeof(count)); /* it only wakes; the queue says what is to be done */
    for (;;) {
        pthread_mutex_lock(&w->lock);
        struct list *node = list_pop_front(&w->commands);
        pthread_mutex_unlock(&w->lock);
        if (node == NULL)
            return;
        carry_out(w, container_of(node, struct proxy_command, in_queue));
    }
}

void proxy_worker_send(struct proxy_worker *w, enum proxy_command_type type, struct proxy_vip *vip, int client)
{
    static const uint64_t one = 1;
    struct proxy_command *command = xcalloc(1, sizeof(*command));
    command->type = type;
    command->vip = vip;
    command->client = client;
    if (vip != NULL)
        proxy_vip_ref(vip);
    pthread_mutex_lock(&w->lock);
    list_push_back(&w->commands, &command->in_queue);
    pthread_mutex_unlock(&w->lock);
    CHECK(write(w->wake_fd, &one, sizeof(one)) == (ssize_t)sizeof(one)); /* a counter that only our few writes raise */
}

/* Gives whether commands wait: they are carried out after the batch. */
static bool hand_out(struct proxy_worker *w, const struct epoll_event *events, int count)
{
    bool has_commands = false;
    for (int i = 0; i < count; i++) {
        enum proxy_kind *kind = events[i].data.ptr;
        switch (*kind) {
        case PROXY_WAKE:
            has_commands = true;
            break;
        case PROXY_LISTENER:
            proxy_tcp_on_listener(w, (struct proxy_vip *)kind);
            break;
        case PROXY_CLIENT:
        case PROXY_SERVER:
            proxy_tcp_on_event(w, kind, events[i].events);
            break;
        case PROXY_UDP:
            proxy_udp_on_vip(w, (struct proxy_vip *)kind);
            break;
        case PROXY_FLOW:
            proxy_udp_on_flow(w, kind);
            break;
        }
    }
    return has_commands;
}

static int wait_ms(const struct proxy_worker *w)
{
    int64_t tcp = proxy_tcp_deadline(w), udp = proxy_udp_deadline(w);
    int64_t next = tcp < udp ? tcp : udp;
    if (!list_is_empty(&w->ready))
        return 0;
    if (next == INT64_MAX)
        return -1;
    int64_t wait = next - w->now_ms;
    return wait < 1 ? 1 : wait > 60000 ? 60000 : (int)wait; /* the coarse clock may be behind: never spin on it */
}

static void *run(void *ctx)
{
    struct proxy_worker *w = ctx;
    struct epoll_event events[EVENTS_MAX];
    while (!w->is_stopping) {
        int count = epoll_wait(w->epoll_fd, events, EVENTS_MAX, wait_ms(w));
        CHECK(count >= 0 || errno == EINTR);
        w->now_ms = read_clock_ms();
        bool has_commands = hand_out(w, events, count > 0 ? count : 0);
        proxy_tcp_run_ready(w);
        proxy_tcp_send_batch(w);
        proxy_tcp_expire(w);
        proxy_udp_expire(w);
        proxy_tcp_free_dead(w);
        proxy_udp_free_dead(w);
        if (has_commands)
            run_commands(w);
    }
    proxy_tcp_end(w);
    proxy_udp_end(w);
    return NULL;
}

static int open_descriptors(struct proxy_worker *w, struct err *err)
{
    w->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    w->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    w->reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (w->epoll_fd < 0 || w->wake_fd < 0 || w->reserve_fd < 0)
        return err_sys(err, -errno, "proxy: descriptors of a thread");
    struct epoll_event wake = {.events = EPOLLIN, .data.ptr = &w->kind};
    if (epoll_ctl(w->epoll_fd, EPOLL_CTL_ADD, w->wake_fd, &wake) < 0)
        return err_sys(err, -errno, "proxy: epoll");
    return 0;
}

static void release(struct proxy_worker *w)
{
    struct proxy_pipe *next;
    for (struct proxy_pipe *pipe = w->pipes; pipe != NULL; pipe = next) {
        next = pipe->next;
        (void)close(pipe->read_fd); /* nothing to be done about it */
        (void)close(pipe->write_fd);
        free(pipe);
    }
    if (w->epoll_fd >= 0)
        (void)close(w->epoll_fd);
    if (w->wake_fd >= 0)
        (void)close(w->wake_fd);
    if (w->reserve_fd >= 0)
        (void)close(w->reserve_fd);
    free(w->buffer);
    free(w->datagrams);
    pthread_mutex_destroy(&w->lock);
}

int proxy_worker_start(struct proxy_worker *w, struct proxy *proxy, uint64_t seed, struct err *err)
{
    memset(w, 0, sizeof(*w));
    w->kind = PROXY_WAKE;
    w->proxy = proxy;
    w->now_ms = read_clock_ms();
    rng_seed(&w->rng, seed);
    CHECK(pthread_mutex_init(&w->lock, NULL) == 0);
    list_init(&w->commands);
    list_init(&w->connecting);
    list_init(&w->ready);
    list_init(&w->open);
    list_init(&w->batch);
    list_init(&w->dead);
    list_init(&w->flows);
    list_init(&w->dead_flows);
    w->buffer = xmalloc(PROXY_BATCH_SIZE + PROXY_BUFFER_SIZE);
    int result = open_descriptors(w, err);
    if (result == 0) {
        sigset_t all, before;
        sigfillset(&all); /* signals are the shell's; SIGPIPE of a splice stays pending and harms nobody */
        pthread_sigmask(SIG_SETMASK, &all, &before);
        result = -pthread_create(&w->thread, NULL, run, w);
        pthread_sigmask(SIG_SETMASK, &before, NULL);
        if (result != 0)
            (void)err_sys(err, result, "proxy: a thread");
    }
    if (result != 0)
        release(w);
    return result;
}

/* One by one: a worker that still runs may pass a client on to one that does not any more. */
void proxy_workers_stop(struct proxy *proxy)
{
    for (unsigned i = 0; i < proxy->worker_count; i++)
        proxy_worker_send(&proxy->workers[i], PROXY_STOP, NULL, -1);
    for (unsigned i = 0; i < proxy->worker_count; i++)
        pthread_join(proxy->workers[i].thread, NULL);
    for (unsigned i = 0; i < proxy->worker_count; i++) {
        run_commands(&proxy->workers[i]);
        release(&proxy->workers[i]);
    }
}
