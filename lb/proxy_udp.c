/* SPDX-License-Identifier: Apache-2.0
 * proxy_udp.c - UDP flows: each client of a VIP gets a back end and a socket connected to it, until it has been silent for
 * the time-out, the back end is gone from the VIP, or says that nobody listens. A draining back end keeps its flows. When
 * descriptors run out, the flow that was silent longest makes room. */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/check.h"
#include "lb/proxy.h"

#define DATAGRAM_MAX 65536
#define BATCHES_MAX 4 /* of one event */

/* Room for one batch; a thread without UDP has none. */
struct proxy_datagrams {
    struct mmsghdr messages[PROXY_DATAGRAMS];
    struct iovec parts[PROXY_DATAGRAMS];
    struct sockaddr_storage peers[PROXY_DATAGRAMS];
    uint8_t bytes[PROXY_DATAGRAMS][DATAGRAM_MAX];
};

struct proxy_flow {
    enum proxy_kind kind;
    int fd;
    bool is_dead;
    struct list in_list;
    struct lb_endpoint client_key;
    struct sockaddr_storage client;
    socklen_t client_len;
    struct proxy_vip *vip; /* without a reference: the VIP ends its flows first */
    struct proxy_backend *backend;
    int64_t used_ms;
};

static struct proxy_datagrams *get_datagrams(struct proxy_worker *w)
{
    if (w->datagrams == NULL)
        w->datagrams = xcalloc(1, sizeof(*w->datagrams));
    return w->datagrams;
}

static int receive(struct proxy_datagrams *d, int fd, bool with_peers)
{
    for (int i = 0; i < PROXY_DATAGRAMS; i++) {
        d->parts[i] = (struct iovec){d->bytes[i], DATAGRAM_MAX};
        d->messages[i].msg_hdr = (struct msghdr){.msg_iov = &d->parts[i], .msg_iovlen = 1};
        if (with_peers) {
            d->messages[i].msg_hdr.msg_name = &d->peers[i];
            d->messages[i].msg_hdr.msg_namelen = sizeof(d->peers[i]);
        }
    }
    return recvmmsg(fd, d->messages, PROXY_DATAGRAMS, MSG_DONTWAIT, NULL);
}

/* -- flows ------------------------------------------------------------------------------------------------------- */

static void end_flow(struct proxy_worker *w, struct proxy_flow *flow)
{
    (void)map_remove_n(&flow->vip->flows, &flow->client_key, sizeof(flow->client_key));
    (void)close(flow->fd); /* nothing to be done about it */
    proxy_give_descriptors(w->proxy, 1);
    atomic_fetch_sub_explicit(&flow->vip->count.active, 1, memory_order_relaxed);
    atomic_fetch_sub_explicit(&flow->backend->count.active, 1, memory_order_relaxed);
    proxy_backend_unref(flow->backend);
    flow->is_dead = true; /* events of this batch may still point to it */
    list_remove(&flow->in_list);
    list_push_back(&w->dead_flows, &flow->in_list);
}

static int open_flow(struct proxy_worker *w, struct proxy_flow *flow)
{
    const struct proxy_backend *backend = flow->backend;
    if (!proxy_take_descriptors(w->proxy, 1, 0)) {
        if (list_is_empty(&w->flows))
            return -EMFILE;
        end_flow(w, container_of(w->flows.next, struct proxy_flow, in_list));
        if (!proxy_take_descriptors(w->proxy, 1, 0))
            return -EMFILE;
    }
    struct sockaddr_storage address;
    socklen_t address_len = lb_endpoint_to_sockaddr(&backend->at, &address);
    flow->fd = socket(address.ss_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_UDP);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = &flow->kind};
    if (flow->fd >= 0 && connect(flow->fd, (const struct sockaddr *)&address, address_len) == 0 &&
        epoll_ctl(w->epoll_fd, EPOLL_CTL_ADD, flow->fd, &event) == 0)
        return 0;
    int result = -errno;
    if (flow->fd >= 0)
        (void)close(flow->fd); /* the error is told already */
    proxy_give_descriptors(w->proxy, 1);
    return result;
}

static struct proxy_flow *new_flow(struct proxy_worker *w, struct proxy_vip *vip, const struct lb_endpoint *key,
                                   const struct sockaddr_storage *client, socklen_t client_len)
{
    struct proxy_backend *tried[PROXY_TRIES_MAX];
    size_t tried_count = 0;
    struct proxy_flow *flow = xcalloc(1, sizeof(*flow));
    *flow = (struct proxy_flow){
        .kind = PROXY_FLOW, .client_key = *key, .client = *client, .client_len = client_len, .vip = vip};
    while (tried_count < PROXY_TRIES_MAX) {
        flow->backend = proxy_vip_pick(vip, w, tried, tried_count);
        if (flow->backend == NULL || open_flow(w, flow) == 0)
            break;
        atomic_fetch_sub_explicit(&flow->backend->count.active, 1, memory_order_relaxed);
        tried[tried_count++] = flow->backend;
        flow->backend = NULL;
    }
    for (size_t i = 0; i < tried_count; i++) {
        proxy_backend_failed(w, tried[i]);
        proxy_backend_unref(tried[i]);
    }
    if (flow->backend == NULL) {
        atomic_fetch_add_explicit(&vip->count.failures, 1, memory_order_relaxed);
        free(flow);
        return NULL;
    }
    atomic_fetch_add_explicit(&vip->count.connections, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&vip->count.active, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&flow->backend->count.connections, 1, memory_order_relaxed);
    (void)map_put_n(&vip->flows, key, sizeof(*key), flow); /* was not there */
    list_push_back(&w->flows, &flow->in_list);
    return flow;
}

static void touch(struct proxy_worker *w, struct proxy_flow *flow)
{
    if (flow->used_ms == w->now_ms)
        return;
    flow->used_ms = w->now_ms;
    list_remove(&flow->in_list);
    list_push_back(&w->flows, &flow->in_list);
}

/* -- packets ----------------------------------------------------------------------------------------------------- */

static void pass_in(struct proxy_worker *w, struct proxy_vip *vip, const struct sockaddr_storage *client,
                    socklen_t client_len, const void *bytes, size_t len)
{
    struct lb_endpoint key = {.protocol = LB_UDP};
    lb_endpoint_from_sockaddr(client, &key);
    struct proxy_flow *flow = map_get_n(&vip->flows, &key, sizeof(key));
    if (flow == NULL)
        flow = new_flow(w, vip, &key, client, client_len);
    if (flow == NULL)
        return;
    touch(w, flow);
    if (send(flow->fd, bytes, len, MSG_NOSIGNAL) < 0) {
        if (errno == ECONNREFUSED) { /* of an earlier packet: nobody listens there; the next packet goes elsewhere */
            proxy_backend_failed(w, flow->backend);
            end_flow(w, flow);
        }
        return; /* a full socket drops, as networks do */
    }
    atomic_fetch_add_explicit(&vip->count.bytes_in, len, memory_order_relaxed);
    atomic_fetch_add_explicit(&flow->backend->count.bytes_in, len, memory_order_relaxed);
}

void proxy_udp_on_vip(struct proxy_worker *w, struct proxy_vip *vip)
{
    struct proxy_datagrams *d = get_datagrams(w);
    for (int batch = 0; batch < BATCHES_MAX; batch++) {
        int count = receive(d, vip->fd, true);
        for (int i = 0; i < count; i++)
            pass_in(w, vip, &d->peers[i], d->messages[i].msg_hdr.msg_namelen, d->bytes[i], d->messages[i].msg_len);
        if (count < PROXY_DATAGRAMS)
            return; /* an error is one of an earlier packet of ours: the client does not listen any more */
    }
}

static void pass_out(struct proxy_flow *flow, struct proxy_datagrams *d, int count)
{
    uint64_t bytes = 0;
    for (int i = 0; i < count; i++) {
        d->parts[i].iov_len = d->messages[i].msg_len;
        d->messages[i].msg_hdr.msg_name = &flow->client;
        d->messages[i].msg_hdr.msg_namelen = flow->client_len;
        bytes += d->messages[i].msg_len;
    }
    (void)sendmmsg(flow->vip->fd, d->messages, (unsigned)count, MSG_DONTWAIT); /* a full socket drops */
    atomic_fetch_add_explicit(&flow->vip->count.bytes_out, bytes, memory_order_relaxed);
    atomic_fetch_add_explicit(&flow->backend->count.bytes_out, bytes, memory_order_relaxed);
}

void proxy_udp_on_flow(struct proxy_worker *w, enum proxy_kind *kind)
{
    struct proxy_flow *flow = container_of(kind, struct proxy_flow, kind);
    struct proxy_datagrams *d = get_datagrams(w);
    if (flow->is_dead)
        return;
    for (int batch = 0; batch < BATCHES_MAX; batch++) {
        int count = receive(d, flow->fd, false);
        if (count < 0 && errno == ECONNREFUSED) {
            proxy_backend_failed(w, flow->backend);
            end_flow(w, flow);
        }
        if (count <= 0)
            return;
        proxy_backend_worked(flow->backend);
        touch(w, flow);
        pass_out(flow, d, count);
        if (count < PROXY_DATAGRAMS)
            return;
    }
}

/* -- ends -------------------------------------------------------------------------------------------------------- */

void proxy_udp_prune(struct proxy_worker *w, struct proxy_vip *vip)
{
    struct map_entry *next;
    for (struct map_entry *e = map_first(&vip->flows); e != NULL; e = next) {
        struct proxy_flow *flow = map_value(e);
        next = map_next(e);
        if (!proxy_vip_has(vip, flow->backend))
            end_flow(w, flow);
    }
}

void proxy_udp_retire(struct proxy_worker *w, struct proxy_vip *vip)
{
    for (struct map_entry *e; (e = map_first(&vip->flows)) != NULL;)
        end_flow(w, map_value(e));
}

int64_t proxy_udp_deadline(const struct proxy_worker *w)
{
    if (list_is_empty(&w->flows))
        return INT64_MAX;
    return container_of(w->flows.next, struct proxy_flow, in_list)->used_ms + w->proxy->config.udp_timeout_ms;
}

void proxy_udp_expire(struct proxy_worker *w)
{
    while (proxy_udp_deadline(w) <= w->now_ms)
        end_flow(w, container_of(w->flows.next, struct proxy_flow, in_list));
}

void proxy_udp_free_dead(struct proxy_worker *w)
{
    for (struct list *it = list_pop_front(&w->dead_flows); it != NULL; it = list_pop_front(&w->dead_flows))
        free(container_of(it, struct proxy_flow, in_list));
}

void proxy_udp_end(struct proxy_worker *w)
{
    while (!list_is_empty(&w->flows))
        end_flow(w, container_of(w->flows.next, struct proxy_flow, in_list));
    proxy_udp_free_dead(w);
}
