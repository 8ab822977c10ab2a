/* SPDX-License-Identifier: Apache-2.0
 * plane_proxy.c - the user-space plane as the shell sees it: VIPs and their listeners, the threads, numbers. Needs no
 * privilege where the VIP's address is local and its port may be bound. What a killed lb left is nothing: its sockets ended
 * with it. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/check.h"
#include "lb/proxy.h"

#ifndef IPV6_FREEBIND
#define IPV6_FREEBIND 78
#endif

#define THREADS_DEFAULT_MAX 8
#define BACKLOG 4096
#define DESCRIPTORS_KEPT 256 /* for the shell: API, master, logs */

static struct proxy *of(struct lb_plane *p)
{
    return container_of(p, struct proxy, plane);
}

static struct proxy_vip *find(struct proxy *proxy, const struct lb_endpoint *at)
{
    return map_get_n(&proxy->vips, at, sizeof(*at));
}

/* -- listeners --------------------------------------------------------------------------------------------------- */

static struct proxy_worker *owner(struct proxy *proxy, const struct proxy_vip *vip)
{
    uint32_t hash = 2166136261u;
    const uint8_t *bytes = (const uint8_t *)&vip->at;
    for (size_t i = 0; i < sizeof(vip->at); i++)
        hash = (hash ^ bytes[i]) * 16777619u;
    return &proxy->workers[hash % proxy->worker_count];
}

static int open_socket(struct proxy_vip *vip)
{
    static const int on = 1;
    struct sockaddr_storage address;
    socklen_t len = lb_endpoint_to_sockaddr(&vip->at, &address);
    bool is_tcp = vip->kind == PROXY_LISTENER;
    int fd = socket(address.ss_family, (is_tcp ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    int result = 0;
    if (vip->at.is_ipv6)
        result = setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
    /* IPv6 knows only the addresses of interfaces as local when it binds; those of a local route are so all the same. */
    if (vip->at.is_ipv6 && result == 0)
        result = setsockopt(fd, IPPROTO_IPV6, IPV6_FREEBIND, &on, sizeof(on));
    if (is_tcp && result == 0)
        result = setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)); /* past connections do not matter */
    if (is_tcp && result == 0) /* inherited by what is accepted; so is the next */
        result = setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (is_tcp && result == 0)
        result = setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    if (result == 0)
        result = bind(fd, (struct sockaddr *)&address, len);
    if (result == 0 && is_tcp)
        result = listen(fd, BACKLOG);
    if (result == 0)
        return fd;
    result = -errno;
    (void)close(fd); /* the error is told already */
    return result;
}

static int add_to_workers(struct proxy *proxy, struct proxy_vip *vip)
{
    if (vip->kind == PROXY_UDP) {
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = &vip->kind};
        proxy_vip_ref(vip);
        return epoll_ctl(owner(proxy, vip)->epoll_fd, EPOLL_CTL_ADD, vip->fd, &event) < 0 ? -errno : 0;
    }
    for (unsigned i = 0; i < proxy->worker_count; i++) {
        struct epoll_event event = {.events = EPOLLIN | EPOLLEXCLUSIVE, .data.ptr = &vip->kind};
        proxy_vip_ref(vip); /* of each worker, given up by its RETIRE */
        if (epoll_ctl(proxy->workers[i].epoll_fd, EPOLL_CTL_ADD, vip->fd, &event) < 0)
            return -errno;
    }
    return 0;
}

static void start_listening(struct proxy *proxy, struct proxy_vip *vip)
{
    int result = -EMFILE;
    if (proxy_take_descriptors(proxy, 1, 2)) {
        result = open_socket(vip);
        if (result < 0)
            proxy_give_descriptors(proxy, 1);
    }
    if (result >= 0) {
        vip->fd = result;
        vip->problem[0] = '\0';
        result = add_to_workers(proxy, vip);
        CHECK(result == 0 || result == -ENOMEM || result == -ENOSPC); /* the kernel's limit of watches */
    }
    if (result >= 0)
        return;
    const char *hint = result == -EACCES          ? " (ports below net.ipv4.ip_unprivileged_port_start need root)"
                       : result == -EADDRNOTAVAIL ? " (the address is not local to this machine)"
                                                  : "";
    (void)snprintf(vip->problem, sizeof(vip->problem), "cannot listen: %s%s", strerror(-result), hint); /* cut if long */
}

static void retire(struct proxy *proxy, struct proxy_vip *vip)
{
    if (vip->fd >= 0 && vip->kind == PROXY_UDP) {
        (void)epoll_ctl(owner(proxy, vip)->epoll_fd, EPOLL_CTL_DEL, vip->fd, NULL); /* it is in there */
        proxy_worker_send(owner(proxy, vip), PROXY_RETIRE, vip, -1);
    } else if (vip->fd >= 0) {
        for (unsigned i = 0; i < proxy->worker_count; i++)
            (void)epoll_ctl(proxy->workers[i].epoll_fd, EPOLL_CTL_DEL, vip->fd, NULL); /* as above */
        (void)shutdown(vip->fd, SHUT_RDWR); /* nobody may come in while the workers finish their batches */
        for (unsigned i = 0; i < proxy->worker_count; i++)
            proxy_worker_send(&proxy->workers[i], PROXY_RETIRE, vip, -1);
    }
    proxy_vip_unref(vip);
}

/* -- operations -------------------------------------------------------------------------------------------------- */

static void apply_one(struct proxy *proxy, const struct lb_change *change)
{
    struct proxy_vip *vip = find(proxy, &change->vip);
    if (change->is_removed) {
        if (vip != NULL) {
            (void)map_remove_n(&proxy->vips, &change->vip, sizeof(change->vip));
            retire(proxy, vip);
        }
        return;
    }
    bool is_new = vip == NULL;
    if (is_new) {
        vip = proxy_vip_new(proxy, &change->vip);
        (void)map_put_n(&proxy->vips, &change->vip, sizeof(change->vip), vip); /* was not there */
    }
    proxy_vip_set(vip, change->backends, change->backend_count); /* before the first client can come */
    if (is_new)
        start_listening(proxy, vip);
    else if (vip->kind == PROXY_UDP && vip->fd >= 0)
        proxy_worker_send(owner(proxy, vip), PROXY_PRUNE, vip, -1);
}

static void proxy_apply(struct lb_plane *p, const struct lb_change *changes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        apply_one(of(p), &changes[i]);
}

static int proxy_repair(struct lb_plane *p, struct err *err)
{
    struct proxy *proxy = of(p);
    int mended = 0;
    (void)err;
    for (struct map_entry *e = map_first(&proxy->vips); e != NULL; e = map_next(e)) {
        struct proxy_vip *vip = map_value(e);
        if (vip->fd >= 0)
            continue;
        start_listening(proxy, vip);
        mended += vip->fd >= 0;
    }
    return mended;
}

static const char *proxy_problem(struct lb_plane *p, const struct lb_endpoint *at)
{
    struct proxy_vip *vip = find(of(p), at);
    return vip != NULL && vip->problem[0] != '\0' ? vip->problem : NULL;
}

static struct lb_counters read_count(const struct proxy_count *count)
{
    return (struct lb_counters){
        .connections = atomic_load_explicit(&count->connections, memory_order_relaxed),
        .active = atomic_load_explicit(&count->active, memory_order_relaxed),
        .failures = atomic_load_explicit(&count->failures, memory_order_relaxed),
        .bytes_in = atomic_load_explicit(&count->bytes_in, memory_order_relaxed),
        .bytes_out = atomic_load_explicit(&count->bytes_out, memory_order_relaxed),
    };
}

static void proxy_counters(struct lb_plane *p, const struct lb_endpoint *at, lb_counters_fn fn, void *ctx)
{
    struct proxy_vip *vip = find(of(p), at);
    if (vip == NULL)
        return;
    struct lb_counters counters = read_count(&vip->count);
    fn(ctx, NULL, &counters);
    for (size_t i = 0; i < vip->backend_count; i++) { /* only this thread changes the set */
        const struct proxy_backend *backend = vip->backends[i];
        counters = read_count(&backend->count);
        counters.is_ejected =
            atomic_load_explicit(&backend->ejected_until_ms, memory_order_relaxed) != 0 &&
            atomic_load_explicit(&backend->failures_in_a_row, memory_order_relaxed) >= vip->proxy->config.eject_failures;
        fn(ctx, &backend->at, &counters);
    }
}

static void proxy_close(struct lb_plane *p, bool is_final)
{
    struct proxy *proxy = of(p);
    (void)is_final; /* sockets end with the process either way */
    for (struct map_entry *e; (e = map_first(&proxy->vips)) != NULL;) {
        struct proxy_vip *vip = map_value(e);
        (void)map_remove_n(&proxy->vips, &vip->at, sizeof(vip->at));
        retire(proxy, vip);
    }
    proxy_workers_stop(proxy);
    map_deinit(&proxy->vips);
    free(proxy->workers);
    free(proxy);
}

static const struct lb_plane_ops ops = {
    .name = "proxy",
    .apply = proxy_apply,
    .repair = proxy_repair,
    .problem = proxy_problem,
    .counters = proxy_counters,
    .close = proxy_close,
};

/* -- start ------------------------------------------------------------------------------------------------------- */

static void fill_defaults(struct lb_proxy_config *config)
{
    struct rlimit limit;
    if (config->threads == 0) {
        long processors = sysconf(_SC_NPROCESSORS_ONLN);
        config->threads = processors < 1                     ? 1
                          : processors > THREADS_DEFAULT_MAX ? THREADS_DEFAULT_MAX
                                                             : (unsigned)processors;
    }
    if (config->threads > PROXY_THREADS_MAX)
        config->threads = PROXY_THREADS_MAX;
    if (config->connect_timeout_ms == 0)
        config->connect_timeout_ms = 1000;
    if (config->eject_ms == 0)
        config->eject_ms = 10000;
    if (config->eject_failures == 0)
        config->eject_failures = 3;
    if (config->udp_timeout_ms == 0)
        config->udp_timeout_ms = 60000;
    if (config->descriptors_max == 0) {
        CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
        rlim_t max = limit.rlim_cur > 16u << 20 ? 16u << 20 : limit.rlim_cur;
        config->descriptors_max = max > 2 * DESCRIPTORS_KEPT ? (size_t)max - DESCRIPTORS_KEPT : (size_t)max / 2;
    }
}

int lb_plane_proxy_new(const struct lb_proxy_config *config, struct lb_plane **out, struct err *err)
{
    struct proxy *proxy = xcalloc(1, sizeof(*proxy));
    proxy->plane.ops = &ops;
    proxy->config = *config;
    fill_defaults(&proxy->config);
    map_init(&proxy->vips);
    proxy->workers = xcalloc(proxy->config.threads, sizeof(proxy->workers[0]));
    for (unsigned i = 0; i < proxy->config.threads; i++) {
        int result = proxy_worker_start(&proxy->workers[i], proxy, config->seed + i, err);
        if (result != 0) {
            proxy_close(&proxy->plane, true);
            return result;
        }
        proxy->worker_count++;
    }
    *out = &proxy->plane;
    return 0;
}
