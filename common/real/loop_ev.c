/* SPDX-License-Identifier: Apache-2.0
 * loop_ev.c - the loop port on libev. Descriptors and signals are libev's; timers are a heap in whole milliseconds of the
 * loop's own clock with one libev timer armed for the earliest, so that a timer never fires before loop_now_ms has
 * reached its time and starting one costs no more than a heap operation.
 *
 * One turn: poll; callbacks of descriptors, signals and posts; due timers; before-sleep callbacks; sleep. */
#include "common/real/loop_ev.h"

#include <ev.h>

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/base/check.h"
#include "common/base/heap.h"
#include "common/base/list.h"

struct loop_fd {
    struct ev_io io;
    struct loop *loop;
    unsigned events;
    loop_fd_fn fn;
    void *ctx;
};

struct loop_timer {
    struct heap_node node;
    struct loop *loop;
    loop_timer_fn fn;
    void *ctx;
};

struct loop_idle {
    struct list in_loop;
    struct loop *loop;
    void (*fn)(void *ctx);
    void *ctx;
};

struct loop_signal {
    struct ev_signal signal;
    struct loop *loop;
    void (*fn)(void *ctx, int signo);
    void *ctx;
};

struct loop_child {
    struct ev_io io;          /* on the pidfd */
    struct list in_loop;      /* in loop->children while there is no pidfd */
    struct loop_timer *first; /* without pidfd: looks once, the child may have ended before SIGCHLD was watched */
    struct loop *loop;
    int pidfd; /* -1: found by SIGCHLD */
    pid_t pid;
    void (*fn)(void *ctx, pid_t pid, int status);
    void *ctx;
};

struct post {
    struct post *next;
    void (*fn)(void *ctx);
    void *ctx;
};

struct loop {
    struct ev_loop *ev;
    struct ev_prepare prepare;
    struct ev_check check;
    struct ev_timer wake; /* armed for the first timer of the heap */
    int64_t wake_ms;      /* what it is armed for, INT64_MAX when it is not */
    struct heap timers;
    int64_t now_ms, wall_ms;
    bool has_time; /* now_ms and wall_ms are those of this turn */
    bool is_stopped;
    bool is_turn_over; /* the before-sleep callbacks of this turn have run */

    struct list idles;
    struct list *next_idle; /* the one after the running one: idles may remove each other */

    struct list children; /* without pidfd */
    struct loop_signal *child_signal;

    struct ev_async async;
    pthread_mutex_t posts_lock;
    struct post *posts, **posts_end; /* under posts_lock */
};

/* --- clock --- */

static int64_t clock_ms(clockid_t id)
{
    struct timespec ts;
    CHECK(clock_gettime(id, &ts) == 0);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void read_time(struct loop *l)
{
    if (l->has_time)
        return;
    l->now_ms = clock_ms(CLOCK_MONOTONIC);
    l->wall_ms = clock_ms(CLOCK_REALTIME);
    l->has_time = true;
}

int64_t loop_now_ms(struct loop *l)
{
    read_time(l);
    return l->now_ms;
}

int64_t loop_wall_ms(struct loop *l)
{
    read_time(l);
    return l->wall_ms;
}

/* --- turn --- */

static void on_wake(struct ev_loop *ev, struct ev_timer *w, int revents)
{
    (void)ev;
    (void)revents;
    struct loop *l = w->data;
    l->wake_ms = INT64_MAX; /* the timers themselves run in on_check, which follows in the same turn */
}

/* Runs last after polling (lowest priority), so that timers see what the descriptors brought. */
static void on_check(struct ev_loop *ev, struct ev_check *w, int revents)
{
    (void)ev;
    (void)revents;
    struct loop *l = w->data;
    l->is_turn_over = false;
    if (heap_peek(&l->timers) == NULL)
        return;
    read_time(l);
    /* Timers started from here on, also with delay 0, belong to the next turn. */
    uint64_t end = l->timers.next_sequence;
    struct heap_node *n;
    while ((n = heap_peek(&l->timers)) != NULL && n->key_ms <= l->now_ms && n->sequence < end) {
        heap_remove(&l->timers, n);
        struct loop_timer *t = container_of(n, struct loop_timer, node);
        t->fn(t->ctx);
    }
}

static void arm_wake(struct loop *l)
{
    struct heap_node *n = heap_peek(&l->timers);
    int64_t want = n ? n->key_ms : INT64_MAX;
    if (want == l->wake_ms)
        return;
    ev_timer_stop(l->ev, &l->wake);
    l->wake_ms = want;
    if (want == INT64_MAX)
        return;
    struct timespec ts;
    CHECK(clock_gettime(CLOCK_MONOTONIC, &ts) == 0);
    double delay = (double)(want - (int64_t)ts.tv_sec * 1000) / 1e3 - (double)ts.tv_nsec / 1e9;
    ev_now_update(l->ev);
    ev_timer_set(&l->wake, delay > 0 ? delay : 0., 0.);
    ev_timer_start(l->ev, &l->wake);
}

static void run_before_sleep(struct loop *l)
{
    for (struct list *it = l->idles.next; it != &l->idles; it = l->next_idle) {
        l->next_idle = it->next;
        struct loop_idle *i = container_of(it, struct loop_idle, in_loop);
        i->fn(i->ctx);
    }
    l->next_idle = NULL;
    l->is_turn_over = true;
}

static void on_prepare(struct ev_loop *ev, struct ev_prepare *w, int revents)
{
    (void)ev;
    (void)revents;
    struct loop *l = w->data;
    run_before_sleep(l);
    arm_wake(l);
    l->has_time = false;
}

/* --- posts --- */

static void on_async(struct ev_loop *ev, struct ev_async *w, int revents)
{
    (void)ev;
    (void)revents;
    struct loop *l = w->data;
    pthread_mutex_lock(&l->posts_lock);
    struct post *p = l->posts;
    l->posts = NULL;
    l->posts_end = &l->posts;
    pthread_mutex_unlock(&l->posts_lock);
    while (p != NULL) {
        struct post *next = p->next;
        void (*fn)(void *) = p->fn;
        void *ctx = p->ctx;
        free(p);
        fn(ctx);
        p = next;
    }
}

void loop_post(struct loop *l, void (*fn)(void *ctx), void *ctx)
{
    struct post *p = xmalloc(sizeof(*p));
    *p = (struct post){.fn = fn, .ctx = ctx};
    pthread_mutex_lock(&l->posts_lock);
    *l->posts_end = p;
    l->posts_end = &p->next;
    pthread_mutex_unlock(&l->posts_lock);
    ev_async_send(l->ev, &l->async);
}

/* --- life --- */

struct loop *loop_ev_new(void)
{
    if (signal(SIGPIPE, SIG_IGN) == SIG_ERR)
        return NULL;
    /* Not libev's default loop: that one takes over SIGCHLD and reaps every child, ours must stay with their owners.
     * NOSIGMASK: whether a signal is blocked is decided in loop_signal_add, not by libev. NOENV: LIBEV_FLAGS of a
     * user's shell must not change the backend. */
    struct ev_loop *ev = ev_loop_new(EVFLAG_AUTO | EVFLAG_NOENV | EVFLAG_NOSIGMASK | EVFLAG_NOINOTIFY | EVFLAG_NOTIMERFD);
    if (ev == NULL)
        return NULL;
    struct loop *l = xcalloc(1, sizeof(*l));
    l->ev = ev;
    l->wake_ms = INT64_MAX;
    heap_init(&l->timers);
    list_init(&l->idles);
    list_init(&l->children);
    CHECK(pthread_mutex_init(&l->posts_lock, NULL) == 0);
    l->posts_end = &l->posts;

    ev_prepare_init(&l->prepare, on_prepare);
    ev_check_init(&l->check, on_check);
    ev_set_priority(&l->check, EV_MINPRI);
    ev_timer_init(&l->wake, on_wake, 0., 0.);
    ev_async_init(&l->async, on_async);
    l->prepare.data = l->check.data = l->wake.data = l->async.data = l;
    ev_prepare_start(ev, &l->prepare);
    ev_check_start(ev, &l->check);
    ev_async_start(ev, &l->async);
    return l;
}

struct loop *loop_ev_free(struct loop *l)
{
    if (l == NULL)
        return NULL;
    loop_signal_remove(l->child_signal);
    ev_loop_destroy(l->ev);
    for (struct post *p = l->posts, *next; p != NULL; p = next) {
        next = p->next;
        free(p);
    }
    CHECK(pthread_mutex_destroy(&l->posts_lock) == 0);
    heap_deinit(&l->timers);
    free(l);
    return NULL;
}

void loop_run(struct loop *l)
{
    l->has_time = false; /* what ran before the loop was another turn */
    while (!l->is_stopped)
        ev_run(l->ev, 0);
    if (!l->is_turn_over)
        run_before_sleep(l); /* what the last turn has queued still goes out */
    l->is_stopped = false;
    l->has_time = false;
}

void loop_stop(struct loop *l)
{
    l->is_stopped = true;
    ev_break(l->ev, EVBREAK_ALL);
}

/* --- descriptors --- */

static void on_io(struct ev_loop *ev, struct ev_io *io, int revents)
{
    (void)ev;
    struct loop_fd *w = io->data;
    unsigned ready = (revents & EV_READ ? LOOP_READ : 0u) | (revents & EV_WRITE ? LOOP_WRITE : 0u);
    /* libev reports an error of epoll_ctl (a descriptor that cannot be watched) as EV_ERROR: let the owner run into it. */
    if (revents & EV_ERROR)
        ready |= w->events;
    w->fn(w->ctx, io->fd, ready);
}

struct loop_fd *loop_fd_add(struct loop *l, int fd, unsigned events, loop_fd_fn fn, void *ctx)
{
    CHECK(fd >= 0);
    struct loop_fd *w = xcalloc(1, sizeof(*w));
    w->loop = l;
    w->fn = fn;
    w->ctx = ctx;
    ev_io_init(&w->io, on_io, fd, 0);
    w->io.data = w;
    loop_fd_set(w, events);
    return w;
}

void loop_fd_set(struct loop_fd *w, unsigned events)
{
    if (events == w->events)
        return;
    w->events = events;
    ev_io_stop(w->loop->ev, &w->io);
    ev_io_set(&w->io, w->io.fd, (events & LOOP_READ ? EV_READ : 0) | (events & LOOP_WRITE ? EV_WRITE : 0));
    if (events != 0)
        ev_io_start(w->loop->ev, &w->io);
}

struct loop_fd *loop_fd_remove(struct loop_fd *w)
{
    if (w == NULL)
        return NULL;
    ev_io_stop(w->loop->ev, &w->io);
    free(w);
    return NULL;
}

/* --- timers --- */

struct loop_timer *loop_timer_add(struct loop *l, loop_timer_fn fn, void *ctx)
{
    struct loop_timer *t = xcalloc(1, sizeof(*t));
    t->loop = l;
    t->fn = fn;
    t->ctx = ctx;
    return t;
}

void loop_timer_start(struct loop_timer *t, int64_t delay_ms)
{
    int64_t now = loop_now_ms(t->loop);
    if (delay_ms < 0)
        delay_ms = 0;
    heap_set(&t->loop->timers, &t->node, delay_ms > INT64_MAX - 1 - now ? INT64_MAX - 1 : now + delay_ms);
}

void loop_timer_stop(struct loop_timer *t)
{
    heap_remove(&t->loop->timers, &t->node);
}

bool loop_timer_is_active(const struct loop_timer *t)
{
    return heap_is_in(&t->node);
}

struct loop_timer *loop_timer_remove(struct loop_timer *t)
{
    if (t == NULL)
        return NULL;
    loop_timer_stop(t);
    free(t);
    return NULL;
}

/* --- before sleep --- */

struct loop_idle *loop_before_sleep_add(struct loop *l, void (*fn)(void *ctx), void *ctx)
{
    struct loop_idle *i = xcalloc(1, sizeof(*i));
    i->loop = l;
    i->fn = fn;
    i->ctx = ctx;
    list_push_back(&l->idles, &i->in_loop);
    if (l->next_idle == &l->idles) /* added by the last callback of the pass: its work must not wait for the next wake-up */
        l->next_idle = &i->in_loop;
    return i;
}

struct loop_idle *loop_before_sleep_remove(struct loop_idle *i)
{
    if (i == NULL)
        return NULL;
    if (i->loop->next_idle == &i->in_loop)
        i->loop->next_idle = i->in_loop.next;
    list_remove(&i->in_loop);
    free(i);
    return NULL;
}

/* --- signals --- */

static void on_signal(struct ev_loop *ev, struct ev_signal *signal, int revents)
{
    (void)ev;
    (void)revents;
    struct loop_signal *s = signal->data;
    s->fn(s->ctx, signal->signum);
}

struct loop_signal *loop_signal_add(struct loop *l, int signo, void (*fn)(void *ctx, int signo), void *ctx)
{
    struct loop_signal *s = xcalloc(1, sizeof(*s));
    s->loop = l;
    s->fn = fn;
    s->ctx = ctx;
    ev_signal_init(&s->signal, on_signal, signo);
    s->signal.data = s;
    ev_signal_start(l->ev, &s->signal);
    /* A parent may have left it blocked; then it would never come. */
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, signo);
    CHECK(pthread_sigmask(SIG_UNBLOCK, &set, NULL) == 0);
    return s;
}

struct loop_signal *loop_signal_remove(struct loop_signal *s)
{
    if (s == NULL)
        return NULL;
    ev_signal_stop(s->loop->ev, &s->signal);
    free(s);
    return NULL;
}

/* --- children --- */

static void stop_watching(struct loop_child *c)
{
    if (c->pidfd >= 0) {
        ev_io_stop(c->loop->ev, &c->io);
        (void)close(c->pidfd); /* a pidfd has nothing to lose */
        c->pidfd = -1;
    }
    list_remove(&c->in_loop);
    c->first = loop_timer_remove(c->first);
}

/* Reaps the child if it has ended. c may be gone after it. */
static void look_at_child(struct loop_child *c)
{
    int status = -1;
    pid_t got = waitpid(c->pid, &status, WNOHANG);
    if (got == 0)
        return;
    if (got < 0)
        status = -1; /* somebody else reaped it: how it ended is unknown */
    stop_watching(c);
    c->fn(c->ctx, c->pid, status);
}

static void on_pidfd(struct ev_loop *ev, struct ev_io *io, int revents)
{
    (void)ev;
    (void)revents;
    look_at_child(io->data);
}

static void on_first_look(void *ctx)
{
    look_at_child(ctx);
}

static void on_sigchld(void *ctx, int signo)
{
    (void)signo;
    struct loop *l = ctx;
    /* Their callbacks may remove any of them: each is taken off a private list before it is looked at. */
    struct list seen;
    list_init(&seen);
    while (!list_is_empty(&l->children)) {
        struct list *it = list_pop_front(&l->children);
        list_push_back(&seen, it);
        look_at_child(container_of(it, struct loop_child, in_loop));
    }
    while (!list_is_empty(&seen))
        list_push_back(&l->children, list_pop_front(&seen));
}

struct loop_child *loop_child_add(struct loop *l, pid_t pid, void (*fn)(void *ctx, pid_t pid, int status), void *ctx)
{
    CHECK(pid > 0);
    struct loop_child *c = xcalloc(1, sizeof(*c));
    c->loop = l;
    c->pid = pid;
    c->fn = fn;
    c->ctx = ctx;
    list_init(&c->in_loop);
    c->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (c->pidfd >= 0) {
        ev_io_init(&c->io, on_pidfd, c->pidfd, EV_READ);
        c->io.data = c;
        ev_io_start(l->ev, &c->io);
        return c;
    }
    /* An old kernel, a seccomp filter, no descriptors left, or no such child: SIGCHLD tells when to look. */
    if (l->child_signal == NULL)
        l->child_signal = loop_signal_add(l, SIGCHLD, on_sigchld, l);
    list_push_back(&l->children, &c->in_loop);
    c->first = loop_timer_add(l, on_first_look, c);
    loop_timer_start(c->first, 0);
    return c;
}

struct loop_child *loop_child_remove(struct loop_child *c)
{
    if (c == NULL)
        return NULL;
    stop_watching(c);
    free(c);
    return NULL;
}
