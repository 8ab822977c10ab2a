/* SPDX-License-Identifier: Apache-2.0
 * proxy_vip.c - the back ends of a VIP: the set, picking one, leaving out those that fail. */
#include <stdlib.h>
#include <unistd.h>

#include "common/base/check.h"
#include "lb/pick.h"
#include "lb/proxy.h"

static struct proxy_backend *new_backend(const struct lb_endpoint *at)
{
    struct proxy_backend *backend = xcalloc(1, sizeof(*backend));
    atomic_init(&backend->refs, 1);
    backend->at = *at;
    return backend;
}

void proxy_backend_unref(struct proxy_backend *backend)
{
    if (backend != NULL && atomic_fetch_sub_explicit(&backend->refs, 1, memory_order_acq_rel) == 1)
        free(backend);
}

static int compare_to_backend(const void *key, const void *item)
{
    struct proxy_backend *const *backend = item;
    return lb_endpoint_compare(key, &(*backend)->at);
}

static int compare_backends(const void *a, const void *b)
{
    struct proxy_backend *const *x = a, *const *y = b;
    return lb_endpoint_compare(&(*x)->at, &(*y)->at);
}

void proxy_vip_set(struct proxy_vip *vip, const struct lb_backend *backends, size_t count)
{
    struct proxy_backend **old = NULL, **next = xcalloc(count + 1, sizeof(struct proxy_backend *));
    size_t old_count = vip->backend_count, open_count = 0, filled = 0;
    /* Only this thread changes the set, so it may be read without the lock. */
    if (old_count > 0) {
        old = xmemdup(vip->backends, old_count * sizeof(old[0]));
        qsort(old, old_count, sizeof(old[0]), compare_backends);
    }
    for (int is_draining = 0; is_draining < 2; is_draining++) {
        for (size_t i = 0; i < count; i++) {
            if (backends[i].is_draining != (bool)is_draining)
                continue;
            struct proxy_backend **kept =
                old_count > 0 ? bsearch(&backends[i].at, old, old_count, sizeof(old[0]), compare_to_backend) : NULL;
            if (kept != NULL)
                atomic_fetch_add_explicit(&(*kept)->refs, 1, memory_order_relaxed);
            next[filled++] = kept != NULL ? *kept : new_backend(&backends[i].at);
        }
        if (!is_draining)
            open_count = filled;
    }
    pthread_mutex_lock(&vip->lock);
    struct proxy_backend **replaced = vip->backends;
    vip->backends = next;
    vip->backend_count = count;
    vip->open_count = open_count;
    pthread_mutex_unlock(&vip->lock);
    for (size_t i = 0; i < old_count; i++)
        proxy_backend_unref(old[i]);
    free(replaced);
    free(old);
}

struct proxy_vip *proxy_vip_new(struct proxy *proxy, const struct lb_endpoint *at)
{
    struct proxy_vip *vip = xcalloc(1, sizeof(*vip));
    vip->kind = at->protocol == LB_UDP ? PROXY_UDP : PROXY_LISTENER;
    atomic_init(&vip->refs, 1);
    vip->fd = -1;
    vip->at = *at;
    vip->proxy = proxy;
    CHECK(pthread_mutex_init(&vip->lock, NULL) == 0);
    map_init(&vip->flows);
    return vip;
}

void proxy_vip_ref(struct proxy_vip *vip)
{
    atomic_fetch_add_explicit(&vip->refs, 1, memory_order_relaxed);
}

void proxy_vip_unref(struct proxy_vip *vip)
{
    if (atomic_fetch_sub_explicit(&vip->refs, 1, memory_order_acq_rel) != 1)
        return;
    if (vip->fd >= 0) {
        (void)close(vip->fd); /* nothing to be done about it */
        proxy_give_descriptors(vip->proxy, 1);
    }
    for (size_t i = 0; i < vip->backend_count; i++)
        proxy_backend_unref(vip->backends[i]);
    CHECK(map_count(&vip->flows) == 0);
    map_deinit(&vip->flows);
    pthread_mutex_destroy(&vip->lock);
    free(vip->backends);
    free(vip);
}

struct candidates {
    struct proxy_backend *const *backends, *const *tried;
    size_t tried_count;
    int64_t now_ms;
};

static uint32_t cost(void *ctx, size_t i)
{
    const struct candidates *c = ctx;
    struct proxy_backend *backend = c->backends[i];
    for (size_t k = 0; k < c->tried_count; k++)
        if (c->tried[k] == backend)
            return LB_PICK_NEVER;
    uint32_t active = (uint32_t)atomic_load_explicit(&backend->count.active, memory_order_relaxed);
    bool is_ejected = atomic_load_explicit(&backend->ejected_until_ms, memory_order_relaxed) > c->now_ms;
    return is_ejected ? LB_PICK_LAST + active : active;
}

struct proxy_backend *proxy_vip_pick(struct proxy_vip *vip, struct proxy_worker *w, struct proxy_backend *const *tried,
                                     size_t tried_count)
{
    struct proxy_backend *backend = NULL;
    pthread_mutex_lock(&vip->lock);
    struct candidates c = {vip->backends, tried, tried_count, w->now_ms};
    size_t i = lb_pick(vip->open_count, &w->rng, cost, &c);
    if (i != LB_PICK_NONE) {
        backend = vip->backends[i];
        atomic_fetch_add_explicit(&backend->refs, 1, memory_order_relaxed);
        atomic_fetch_add_explicit(&backend->count.active, 1, memory_order_relaxed);
    }
    pthread_mutex_unlock(&vip->lock);
    return backend;
}

bool proxy_vip_has(struct proxy_vip *vip, const struct proxy_backend *backend)
{
    bool is_there = false;
    pthread_mutex_lock(&vip->lock);
    for (size_t i = 0; i < vip->backend_count && !is_there; i++)
        is_there = vip->backends[i] == backend;
    pthread_mutex_unlock(&vip->lock);
    return is_there;
}

/* After the time is over one more failure is enough to be left out again. */
void proxy_backend_failed(struct proxy_worker *w, struct proxy_backend *backend)
{
    const struct lb_proxy_config *config = &w->proxy->config;
    atomic_fetch_add_explicit(&backend->count.failures, 1, memory_order_relaxed);
    unsigned failures = atomic_fetch_add_explicit(&backend->failures_in_a_row, 1, memory_order_relaxed) + 1;
    if (failures >= config->eject_failures)
        atomic_store_explicit(&backend->ejected_until_ms, w->now_ms + config->eject_ms, memory_order_relaxed);
}

void proxy_backend_worked(struct proxy_backend *backend)
{
    if (atomic_load_explicit(&backend->failures_in_a_row, memory_order_relaxed) == 0)
        return;
    atomic_store_explicit(&backend->failures_in_a_row, 0, memory_order_relaxed);
    atomic_store_explicit(&backend->ejected_until_ms, 0, memory_order_relaxed);
}
