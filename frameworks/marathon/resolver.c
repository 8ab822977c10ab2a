/* SPDX-License-Identifier: Apache-2.0 */
#include "frameworks/marathon/resolver.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/base/check.h"
#include "common/base/list.h"
#include "common/base/map.h"

struct asker { /* somebody who waits for a name */
    struct list link;
    resolver_done_fn done;
    void *ctx;
};

struct name {
    struct list link; /* in the thread's queue, or in the list of finished ones */
    char *text;
    struct list askers;
    bool is_asked;                       /* the thread has it */
    char address[RESOLVER_ADDRESS_SIZE]; /* "" when it has none */
    int error;
    int64_t until_ms;
};

/* Shared with the thread; freed by the last of the posted call and the resolver. */
struct resolver {
    struct loop *loop;
    struct map names;
    pthread_t thread;
    pthread_mutex_t lock; /* guards what is below */
    pthread_cond_t work;
    struct list queue, finished;
    bool is_stopping, is_posted, is_closed;
};

static void look_up(struct name *n)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM}, *list = NULL;
    n->error = getaddrinfo(n->text, NULL, &hints, &list);
    if (n->error == 0)
        n->error = getnameinfo(list->ai_addr, list->ai_addrlen, n->address, sizeof(n->address), NULL, 0, NI_NUMERICHOST);
    if (list)
        freeaddrinfo(list);
    if (n->error != 0)
        n->address[0] = '\0';
}

static void release(struct resolver *r)
{
    for (struct map_entry *e = map_first(&r->names); e; e = map_next(e)) {
        struct name *n = map_value(e);
        for (struct list *node; (node = list_pop_front(&n->askers)) != NULL;)
            free(container_of(node, struct asker, link));
        free(n->text);
        free(n);
    }
    map_deinit(&r->names);
    (void)pthread_mutex_destroy(&r->lock); /* nobody holds it */
    (void)pthread_cond_destroy(&r->work);
    free(r);
}

static void tell(struct name *n)
{
    struct list askers;
    list_init(&askers);
    for (struct list *node; (node = list_pop_front(&n->askers)) != NULL;)
        list_push_back(&askers, node); /* a callback may ask again */
    for (struct list *node; (node = list_pop_front(&askers)) != NULL;) {
        struct asker *a = container_of(node, struct asker, link);
        a->done(a->ctx, n->error == 0 ? n->address : NULL, n->error == 0 ? NULL : gai_strerror(n->error));
        free(a);
    }
}

static void on_finished(void *ctx)
{
    struct resolver *r = ctx;
    struct list done;
    list_init(&done);
    (void)pthread_mutex_lock(&r->lock); /* cannot fail: an ordinary mutex, held by no other function of this thread */
    r->is_posted = false;
    for (struct list *node; (node = list_pop_front(&r->finished)) != NULL;)
        list_push_back(&done, node);
    bool is_closed = r->is_closed;
    (void)pthread_mutex_unlock(&r->lock); /* held */
    if (is_closed) {
        release(r);
        return;
    }
    for (struct list *node; (node = list_pop_front(&done)) != NULL;) {
        struct name *n = container_of(node, struct name, link);
        n->is_asked = false;
        n->until_ms = loop_now_ms(r->loop) + RESOLVER_KEEP_MS;
        tell(n);
    }
}

static void *run(void *ctx)
{
    struct resolver *r = ctx;
    (void)pthread_mutex_lock(&r->lock); /* see above */
    while (!r->is_stopping) {
        struct list *node = list_pop_front(&r->queue);
        if (node == NULL) {
            (void)pthread_cond_wait(&r->work, &r->lock); /* cannot fail with the lock held */
            continue;
        }
        (void)pthread_mutex_unlock(&r->lock); /* held */
        look_up(container_of(node, struct name, link));
        (void)pthread_mutex_lock(&r->lock); /* see above */
        list_push_back(&r->finished, node);
        if (!r->is_posted) {
            r->is_posted = true;
            loop_post(r->loop, on_finished, r);
        }
    }
    (void)pthread_mutex_unlock(&r->lock); /* held */
    return NULL;
}

struct resolver *resolver_new(struct loop *loop)
{
    struct resolver *r = xcalloc(1, sizeof(*r));
    r->loop = loop;
    map_init(&r->names);
    list_init(&r->queue);
    list_init(&r->finished);
    CHECK(pthread_mutex_init(&r->lock, NULL) == 0 && pthread_cond_init(&r->work, NULL) == 0);
    CHECK(pthread_create(&r->thread, NULL, run, r) == 0);
    (void)pthread_setname_np(r->thread, "resolver"); /* for people only */
    return r;
}

struct resolver *resolver_free(struct resolver *r)
{
    if (r == NULL)
        return NULL;
    (void)pthread_mutex_lock(&r->lock); /* see above */
    r->is_stopping = r->is_closed = true;
    (void)pthread_cond_signal(&r->work);  /* cannot fail */
    (void)pthread_mutex_unlock(&r->lock); /* held */
    CHECK(pthread_join(r->thread, NULL) == 0);
    if (!r->is_posted) /* else the posted call frees it, if the loop still runs */
        release(r);
    return NULL;
}

static bool is_numeric(const char *name)
{
    unsigned char binary[sizeof(struct in6_addr)];
    return inet_pton(AF_INET, name, binary) == 1 || inet_pton(AF_INET6, name, binary) == 1;
}

static struct name *get_name(struct resolver *r, const char *text)
{
    struct name *n = map_get(&r->names, text);
    if (n != NULL || map_count(&r->names) >= RESOLVER_NAMES_MAX)
        return n;
    n = xcalloc(1, sizeof(*n));
    list_init(&n->link);
    list_init(&n->askers);
    n->text = xstrdup(text);
    (void)map_put(&r->names, text, n); /* was not there */
    return n;
}

void resolver_find(struct resolver *r, const char *name, resolver_done_fn done, void *ctx)
{
    if (is_numeric(name)) {
        done(ctx, name, NULL);
        return;
    }
    struct name *n = get_name(r, name);
    if (n == NULL) {
        done(ctx, NULL, "too many names are known already");
        return;
    }
    if (!n->is_asked && loop_now_ms(r->loop) < n->until_ms) {
        done(ctx, n->error == 0 ? n->address : NULL, n->error == 0 ? NULL : gai_strerror(n->error));
        return;
    }
    struct asker *a = xcalloc(1, sizeof(*a));
    *a = (struct asker){.done = done, .ctx = ctx};
    list_push_back(&n->askers, &a->link);
    if (n->is_asked)
        return;
    n->is_asked = true;
    (void)pthread_mutex_lock(&r->lock); /* see above */
    list_push_back(&r->queue, &n->link);
    (void)pthread_cond_signal(&r->work);  /* cannot fail */
    (void)pthread_mutex_unlock(&r->lock); /* held */
}
