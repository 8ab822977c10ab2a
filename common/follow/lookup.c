/* SPDX-License-Identifier: Apache-2.0
 * lookup.c - see lookup.h. */
#include "common/follow/lookup.h"

#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/base/check.h"
#include "common/base/list.h"

struct job {
    struct list queued; /* waiting, or done and on its way back */
    struct lookup *owner;
    char *host;
    struct host_ip ips[LOOKUP_IPS_MAX];
    size_t count;
};

struct lookup {
    struct loop *loop;
    void (*done)(void *ctx, const char *host, const struct host_ip *ips, size_t count);
    void *ctx;
    pthread_t thread;
    bool is_running;
    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t changed;
    struct list waiting, finished;
    size_t count;
    bool is_ending;
};

static void look_up(struct job *job)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM}, *list = NULL;
    if (getaddrinfo(job->host, NULL, &hints, &list) != 0)
        return;
    for (const struct addrinfo *a = list; a && job->count < LOOKUP_IPS_MAX; a = a->ai_next) {
        const void *from = a->ai_addr;
        struct host_ip *ip = &job->ips[job->count];
        if (a->ai_family == AF_INET) {
            ip->size = 4;
            memcpy(ip->bytes, &((const struct sockaddr_in *)from)->sin_addr, 4);
        } else if (a->ai_family == AF_INET6) {
            ip->size = 16;
            memcpy(ip->bytes, &((const struct sockaddr_in6 *)from)->sin6_addr, 16);
        }
        job->count += ip->size > 0;
    }
    freeaddrinfo(list);
}

static void job_free(struct job *job)
{
    free(job->host);
    free(job);
}

/* On the loop. */
static void give_back(void *ctx)
{
    struct job *job = ctx;
    struct lookup *r = job->owner;
    (void)pthread_mutex_lock(&r->lock);
    list_remove(&job->queued);
    r->count--;
    (void)pthread_mutex_unlock(&r->lock);
    r->done(r->ctx, job->host, job->ips, job->count);
    job_free(job);
}

static void *run(void *ctx)
{
    struct lookup *r = ctx;
    (void)pthread_mutex_lock(&r->lock);
    for (;;) {
        while (list_is_empty(&r->waiting) && !r->is_ending)
            (void)pthread_cond_wait(&r->changed, &r->lock);
        if (r->is_ending)
            break;
        struct job *job = container_of(list_pop_front(&r->waiting), struct job, queued);
        (void)pthread_mutex_unlock(&r->lock);
        look_up(job);
        (void)pthread_mutex_lock(&r->lock);
        list_push_back(&r->finished, &job->queued);
        loop_post(r->loop, give_back, job);
    }
    (void)pthread_mutex_unlock(&r->lock);
    return NULL;
}

struct lookup *lookup_new(struct loop *loop,
                          void (*done)(void *ctx, const char *host, const struct host_ip *ips, size_t count), void *ctx)
{
    struct lookup *r = xcalloc(1, sizeof(*r));
    r->loop = loop;
    r->done = done;
    r->ctx = ctx;
    (void)pthread_mutex_init(&r->lock, NULL); /* these two cannot fail with default attributes */
    (void)pthread_cond_init(&r->changed, NULL);
    list_init(&r->waiting);
    list_init(&r->finished);
    return r;
}

/* The thread starts with the first name: most clusters have numbers only. */
static bool start_thread(struct lookup *r)
{
    sigset_t all, before;
    if (r->is_running)
        return true;
    sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are the loop's */
    r->is_running = pthread_create(&r->thread, NULL, run, r) == 0;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (r->is_running)
        (void)pthread_setname_np(r->thread, "lookup"); /* only for people */
    return r->is_running;
}

void lookup_start(struct lookup *r, const char *host)
{
    struct job *job = xcalloc(1, sizeof(*job));
    job->owner = r;
    job->host = xstrdup(host);
    list_init(&job->queued);
    bool is_possible = start_thread(r);
    (void)pthread_mutex_lock(&r->lock);
    if (is_possible && r->count < LOOKUP_QUEUE_MAX) {
        list_push_back(&r->waiting, &job->queued);
        (void)pthread_cond_signal(&r->changed);
    } else {
        list_push_back(&r->finished, &job->queued);
        loop_post(r->loop, give_back, job);
    }
    r->count++;
    (void)pthread_mutex_unlock(&r->lock);
}

struct lookup *lookup_free(struct lookup *r)
{
    struct list *node;
    if (!r)
        return NULL;
    (void)pthread_mutex_lock(&r->lock);
    r->is_ending = true;
    (void)pthread_cond_signal(&r->changed);
    (void)pthread_mutex_unlock(&r->lock);
    if (r->is_running)
        (void)pthread_join(r->thread, NULL); /* it was created by us and not joined yet */
    while ((node = list_pop_front(&r->waiting)) || (node = list_pop_front(&r->finished)))
        job_free(container_of(node, struct job, queued)); /* what was posted is not run any more: the loop has ended */
    (void)pthread_mutex_destroy(&r->lock);
    (void)pthread_cond_destroy(&r->changed);
    free(r);
    return NULL;
}
