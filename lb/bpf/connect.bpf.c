/* SPDX-License-Identifier: Apache-2.0
 * connect.bpf.c - runs in the kernel when a socket of the control group connects, sends without being connected, receives,
 * or asks for its peer: a VIP becomes one of its back ends and the other way round. Whatever is no VIP, of another protocol
 * or of another network namespace is let through as it is. */
#include <linux/bpf.h>
#include <linux/errno.h>
#include <linux/in.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "tables.h"

#define TRIES 8 /* while the VIP changes under us */
#define FLOWS_MAX 65536
#define COUNTERS_MAX 262144
#define PASS 1
#define REFUSE 0

char program_license[] SEC("license") = "Apache-2.0";

const volatile struct ebpf_settings settings = {0};

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct ebpf_owner);
} muster_owner SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __uint(max_entries, 65536);
    __type(key, struct ebpf_place);
    __type(value, struct ebpf_vip);
} muster_vips SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __uint(max_entries, 1048576);
    __type(key, struct ebpf_backend_key);
    __type(value, struct ebpf_backend);
} muster_backends SEC(".maps");

/* Made when there is something to count. When it is full, the rest is not counted. */
struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_HASH);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __uint(max_entries, COUNTERS_MAX);
    __type(key, __u64);
    __type(value, struct ebpf_count);
} muster_counts SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_SK_STORAGE);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, int);
    __type(value, struct ebpf_peer);
} muster_peers SEC(".maps");

/* Socket and VIP to back end, and socket and back end to VIP. */
struct {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __uint(max_entries, FLOWS_MAX);
    __type(key, struct ebpf_flow_key);
    __type(value, struct ebpf_flow);
} muster_flows SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __uint(max_entries, FLOWS_MAX);
    __type(key, struct ebpf_flow_key);
    __type(value, struct ebpf_place);
} muster_sources SEC(".maps");

/* -- addresses --------------------------------------------------------------------------------------------------- */

static __always_inline int is_ours(struct bpf_sock_addr *ctx)
{
    return (ctx->protocol == IPPROTO_TCP || ctx->protocol == IPPROTO_UDP) &&
           bpf_get_netns_cookie(ctx) == settings.netns_cookie;
}

static __always_inline void read4(struct bpf_sock_addr *ctx, struct ebpf_place *out)
{
    out->ip[0] = ctx->user_ip4;
    out->ip[1] = out->ip[2] = out->ip[3] = 0;
    out->port = (__u16)ctx->user_port;
    out->protocol = (__u8)ctx->protocol;
    out->is_ipv6 = 0;
}

/* IPv4 in IPv6's clothes is IPv4. */
static __always_inline void read6(struct bpf_sock_addr *ctx, struct ebpf_place *out)
{
    __u32 a = ctx->user_ip6[0], b = ctx->user_ip6[1], c = ctx->user_ip6[2], d = ctx->user_ip6[3];
    int is_mapped = a == 0 && b == 0 && c == bpf_htonl(0xffff);
    out->ip[0] = is_mapped ? d : a;
    out->ip[1] = is_mapped ? 0 : b;
    out->ip[2] = is_mapped ? 0 : c;
    out->ip[3] = is_mapped ? 0 : d;
    out->port = (__u16)ctx->user_port;
    out->protocol = (__u8)ctx->protocol;
    out->is_ipv6 = !is_mapped;
}

static __always_inline void write4(struct bpf_sock_addr *ctx, const struct ebpf_place *to)
{
    ctx->user_ip4 = to->ip[0];
    ctx->user_port = to->port;
}

static __always_inline void write6(struct bpf_sock_addr *ctx, const struct ebpf_place *to)
{
    if (to->is_ipv6) {
        ctx->user_ip6[0] = to->ip[0];
        ctx->user_ip6[1] = to->ip[1];
        ctx->user_ip6[2] = to->ip[2];
        ctx->user_ip6[3] = to->ip[3];
    } else {
        ctx->user_ip6[0] = ctx->user_ip6[1] = 0;
        ctx->user_ip6[2] = bpf_htonl(0xffff);
        ctx->user_ip6[3] = to->ip[0];
    }
    ctx->user_port = to->port;
}

static __always_inline int is_same(const struct ebpf_place *a, const struct ebpf_place *b)
{
    return a->ip[0] == b->ip[0] && a->ip[1] == b->ip[1] && a->ip[2] == b->ip[2] && a->ip[3] == b->ip[3] &&
           a->port == b->port && a->protocol == b->protocol && a->is_ipv6 == b->is_ipv6;
}

/* -- choosing ---------------------------------------------------------------------------------------------------- */

static __always_inline void count(__u64 id, __u64 connects, __u64 refusals)
{
    struct ebpf_count *c = bpf_map_lookup_elem(&muster_counts, &id);
    if (!c) {
        struct ebpf_count none = {0};
        bpf_map_update_elem(&muster_counts, &id, &none, BPF_NOEXIST);
        c = bpf_map_lookup_elem(&muster_counts, &id);
    }
    if (!c)
        return;
    __sync_fetch_and_add(&c->connects, connects);
    __sync_fetch_and_add(&c->refusals, refusals);
}

static __always_inline int refuse(const struct ebpf_vip *vip)
{
    count(vip->counter, 0, 1);
    if (settings.can_set_retval)
        bpf_set_retval(-ECONNREFUSED);
    return REFUSE;
}

/* An open back end of the VIP, which was found as *vip; 0 when there is none. The kernel gives the memory of elements that
 * went to others at once, so what was copied counts only when the VIP has the same block afterwards: then the block was
 * there all the time. */
static __always_inline int choose(const struct ebpf_place *place, struct ebpf_vip *vip, struct ebpf_backend *out)
{
    for (int i = 0; i < TRIES; i++) {
        struct ebpf_backend_key key = {.block = vip->block};
        int is_found = 0;
        if (vip->open > 0) {
            key.index = bpf_get_prandom_u32() % vip->open;
            const struct ebpf_backend *b = bpf_map_lookup_elem(&muster_backends, &key);
            if (b) {
                *out = *b;
                is_found = 1;
            }
        }
        const struct ebpf_vip *now = bpf_map_lookup_elem(&muster_vips, place);
        if (!now)
            return 0; /* it went */
        if (now->block == key.block && (is_found || (vip->open == 0 && now->open == 0)))
            return is_found;
        *vip = *now;
    }
    return 0;
}

/* -- connect and getpeername ------------------------------------------------------------------------------------- */

/* 1 and the back end, 0: *result is the answer. */
static __always_inline int lead_connect(struct bpf_sock_addr *ctx, const struct ebpf_place *place, struct ebpf_backend *to,
                                        int *result)
{
    const struct ebpf_vip *found = bpf_map_lookup_elem(&muster_vips, place);
    struct ebpf_peer *peer;
    *result = PASS;
    if (!found) {
        peer = bpf_sk_storage_get(&muster_peers, ctx->sk, 0, 0);
        if (peer) /* it was connected by us before */
            peer->at.port = 0;
        return 0;
    }
    struct ebpf_vip vip = *found;
    if (!choose(place, &vip, to)) {
        *result = refuse(&vip);
        return 0;
    }
    peer = bpf_sk_storage_get(&muster_peers, ctx->sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
    if (peer) { /* otherwise it works all the same, and the peer has its own name */
        peer->vip = *place;
        peer->at = to->at;
    }
    count(vip.counter, 1, 0);
    count(to->counter, 1, 0);
    return 1;
}

SEC("cgroup/connect4")
int muster_connect4(struct bpf_sock_addr *ctx)
{
    struct ebpf_place place;
    struct ebpf_backend to;
    int result;
    if (!is_ours(ctx))
        return PASS;
    read4(ctx, &place);
    if (lead_connect(ctx, &place, &to, &result))
        write4(ctx, &to.at);
    return result;
}

SEC("cgroup/connect6")
int muster_connect6(struct bpf_sock_addr *ctx)
{
    struct ebpf_place place;
    struct ebpf_backend to;
    int result;
    if (!is_ours(ctx))
        return PASS;
    read6(ctx, &place);
    if (lead_connect(ctx, &place, &to, &result))
        write6(ctx, &to.at);
    return result;
}

static __always_inline int asked_for(const struct ebpf_peer *peer, const struct ebpf_place *place, struct ebpf_place *out)
{
    if (!peer || !is_same(&peer->at, place))
        return 0;
    *out = peer->vip;
    return 1;
}

SEC("cgroup/getpeername4")
int muster_peer4(struct bpf_sock_addr *ctx)
{
    struct ebpf_place place, vip;
    if (!is_ours(ctx))
        return PASS;
    read4(ctx, &place);
    if (asked_for(bpf_sk_storage_get(&muster_peers, ctx->sk, 0, 0), &place, &vip))
        write4(ctx, &vip);
    return PASS;
}

SEC("cgroup/getpeername6")
int muster_peer6(struct bpf_sock_addr *ctx)
{
    struct ebpf_place place, vip;
    if (!is_ours(ctx))
        return PASS;
    read6(ctx, &place);
    if (asked_for(bpf_sk_storage_get(&muster_peers, ctx->sk, 0, 0), &place, &vip))
        write6(ctx, &vip);
    return PASS;
}

/* -- UDP without connect ----------------------------------------------------------------------------------------- */

static __always_inline int remember(struct bpf_sock_addr *ctx, const struct ebpf_flow_key *flow,
                                    const struct ebpf_place *at)
{
    struct ebpf_flow_key source = {.cookie = flow->cookie, .place = *at};
    if (bpf_map_lookup_elem(&muster_sources, &source))
        return 1;
    struct ebpf_peer *peer = bpf_sk_storage_get(&muster_peers, ctx->sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
    if (peer)
        peer->has_flows = 1;
    return bpf_map_update_elem(&muster_sources, &source, &flow->place, BPF_ANY) == 0;
}

static __always_inline int lead_packet(struct bpf_sock_addr *ctx, const struct ebpf_place *place, struct ebpf_place *to,
                                       int *result)
{
    const struct ebpf_vip *found = bpf_map_lookup_elem(&muster_vips, place);
    *result = PASS;
    if (!found)
        return 0;
    struct ebpf_vip vip = *found;
    struct ebpf_flow_key key = {.cookie = bpf_get_socket_cookie(ctx), .place = *place};
    const struct ebpf_flow *flow = bpf_map_lookup_elem(&muster_flows, &key);
    if (flow && flow->revision == vip.revision) {
        *to = flow->at;
        if (bpf_map_lookup_elem(&muster_flows, &key)) { /* it did not go to another flow while it was copied */
            remember(ctx, &key, to);
            return 1;
        }
    }
    struct ebpf_backend chosen;
    if (!choose(place, &vip, &chosen)) {
        *result = refuse(&vip);
        return 0;
    }
    *to = chosen.at;
    struct ebpf_flow fresh = {.at = chosen.at, .revision = vip.revision};
    remember(ctx, &key, to);
    bpf_map_update_elem(&muster_flows, &key, &fresh, BPF_ANY);
    count(vip.counter, 1, 0);
    count(chosen.counter, 1, 0);
    return 1;
}

SEC("cgroup/sendmsg4")
int muster_send4(struct bpf_sock_addr *ctx)
{
    struct ebpf_place place, to;
    int result;
    if (!is_ours(ctx))
        return PASS;
    read4(ctx, &place);
    if (lead_packet(ctx, &place, &to, &result))
        write4(ctx, &to);
    return result;
}

SEC("cgroup/sendmsg6")
int muster_send6(struct bpf_sock_addr *ctx)
{
    struct ebpf_place place, to;
    int result;
    if (!is_ours(ctx))
        return PASS;
    read6(ctx, &place);
    if (lead_packet(ctx, &place, &to, &result))
        write6(ctx, &to);
    return result;
}

/* Most sockets have nothing to do with VIPs and no storage of ours: for them this is one look. */
static __always_inline int name_source(struct bpf_sock_addr *ctx, const struct ebpf_place *place, struct ebpf_place *out)
{
    const struct ebpf_peer *peer = bpf_sk_storage_get(&muster_peers, ctx->sk, 0, 0);
    if (!peer)
        return 0;
    if (asked_for(peer, place, out))
        return 1;
    if (!peer->has_flows)
        return 0;
    struct ebpf_flow_key key = {.cookie = bpf_get_socket_cookie(ctx), .place = *place};
    const struct ebpf_place *vip = bpf_map_lookup_elem(&muster_sources, &key);
    if (!vip)
        return 0;
    *out = *vip;
    return bpf_map_lookup_elem(&muster_sources, &key) != 0; /* as with flows */
}

SEC("cgroup/recvmsg4")
int muster_recv4(struct bpf_sock_addr *ctx)
{
    struct ebpf_place place, vip;
    if (!is_ours(ctx))
        return PASS;
    read4(ctx, &place);
    if (name_source(ctx, &place, &vip))
        write4(ctx, &vip);
    return PASS;
}

SEC("cgroup/recvmsg6")
int muster_recv6(struct bpf_sock_addr *ctx)
{
    struct ebpf_place place, vip;
    if (!is_ours(ctx))
        return PASS;
    read6(ctx, &place);
    if (name_source(ctx, &place, &vip))
        write6(ctx, &vip);
    return PASS;
}
