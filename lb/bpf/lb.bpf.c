/* SPDX-License-Identifier: Apache-2.0
 * lb.bpf.c - runs inside connect(), sendmsg(), recvmsg() and getpeername() of every process of the control group: puts an
 * instance's address in the place of a VIP's, and back. */
#include <linux/bpf.h>

#include <linux/in.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "lb/ebpf_maps.h"

#define ECONNREFUSED 111
#define ALLOW 1
#define DENY 0

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct ebpf_config);
} muster_config SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 65536);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, struct ebpf_address);
    __type(value, struct ebpf_vip);
} muster_vips SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 262144);
    __uint(map_flags, BPF_F_MMAPABLE);
    __type(key, __u32);
    __type(value, struct ebpf_slot);
} muster_slots SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 262144);
    __type(key, __u32);
    __type(value, struct ebpf_counter);
} muster_counts SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_SK_STORAGE);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, int);
    __type(value, struct ebpf_peers);
} muster_peers SEC(".maps");

static __always_inline int is_ours(struct bpf_sock_addr *ctx)
{
    __u32 zero = 0;
    struct ebpf_config *config = bpf_map_lookup_elem(&muster_config, &zero);
    return config && bpf_get_netns_cookie(ctx) == config->netns_cookie;
}

static __always_inline void read_ipv4(struct bpf_sock_addr *ctx, struct ebpf_address *a)
{
    __builtin_memset(a, 0, sizeof(*a));
    *(__u32 *)a->ip = ctx->user_ip4;
    a->port = (__u16)ctx->user_port;
    a->protocol = (__u8)ctx->protocol;
}

/* An IPv4 address in an IPv6 socket is looked up as what it is. */
static __always_inline int read_ipv6(struct bpf_sock_addr *ctx, struct ebpf_address *a)
{
    __u32 w[4] = {ctx->user_ip6[0], ctx->user_ip6[1], ctx->user_ip6[2], ctx->user_ip6[3]};
    int is_mapped = w[0] == 0 && w[1] == 0 && w[2] == bpf_htonl(0xffff);
    __builtin_memset(a, 0, sizeof(*a));
    __u32 *ip = (__u32 *)a->ip;
    if (is_mapped) {
        ip[0] = w[3];
    } else {
        ip[0] = w[0];
        ip[1] = w[1];
        ip[2] = w[2];
        ip[3] = w[3];
        a->is_ipv6 = 1;
    }
    a->port = (__u16)ctx->user_port;
    a->protocol = (__u8)ctx->protocol;
    return is_mapped;
}

static __always_inline void write_ipv4(struct bpf_sock_addr *ctx, const struct ebpf_address *a)
{
    ctx->user_ip4 = *(const __u32 *)a->ip;
    ctx->user_port = a->port;
}

static __always_inline void write_ipv6(struct bpf_sock_addr *ctx, const struct ebpf_address *a, int is_mapped)
{
    const __u32 *ip = (const __u32 *)a->ip;
    if (is_mapped) {
        ctx->user_ip6[0] = 0;
        ctx->user_ip6[1] = 0;
        ctx->user_ip6[2] = bpf_htonl(0xffff);
        ctx->user_ip6[3] = ip[0];
    } else {
        ctx->user_ip6[0] = ip[0];
        ctx->user_ip6[1] = ip[1];
        ctx->user_ip6[2] = ip[2];
        ctx->user_ip6[3] = ip[3];
    }
    ctx->user_port = a->port;
}

static __always_inline int is_same(const struct ebpf_address *a, const struct ebpf_address *b)
{
    const __u32 *x = (const __u32 *)a, *y = (const __u32 *)b;
    return x[0] == y[0] && x[1] == y[1] && x[2] == y[2] && x[3] == y[3] && x[4] == y[4];
}

static __always_inline void count(__u32 counter, int failed)
{
    struct ebpf_counter *c = bpf_map_lookup_elem(&muster_counts, &counter);
    if (!c)
        return;
    if (failed)
        c->failures++;
    else
        c->connections++;
}

/* The back end that the socket had of this VIP, while it is one still. */
static __always_inline struct ebpf_peer *known_peer(struct ebpf_peers *peers, const struct ebpf_address *a,
                                                    const struct ebpf_vip *vip)
{
    for (int i = 0; i < EBPF_PEERS; i++) {
        struct ebpf_peer *p = &peers->v[i];
        if (!is_same(&p->vip, a))
            continue;
        if (p->revision == vip->revision)
            return p;
        for (__u32 k = 0; k < EBPF_STICKY_SCAN && k < vip->count; k++) {
            __u32 index = vip->first + k;
            struct ebpf_slot *slot = bpf_map_lookup_elem(&muster_slots, &index);
            if (slot && is_same(&slot->at, &p->backend)) {
                p->revision = vip->revision;
                return p;
            }
        }
        return 0;
    }
    return 0;
}

static __always_inline void remember(struct ebpf_peers *peers, const struct ebpf_address *a, const struct ebpf_vip *vip,
                                     const struct ebpf_slot *slot)
{
    int at = -1;
    for (int i = 0; i < EBPF_PEERS; i++)
        if (is_same(&peers->v[i].vip, a))
            at = i;
    if (at < 0)
        at = (int)(peers->next++ % EBPF_PEERS);
    if (at < 0 || at >= EBPF_PEERS)
        return;
    struct ebpf_peer *p = &peers->v[at];
    p->vip = *a;
    p->backend = slot->at;
    p->revision = vip->revision;
    p->counter = slot->counter;
}

/* 1: *a is no VIP; 0: it is refused; 2: *a is a back end's address now. is_flow: datagrams of one socket stay together. */
static __always_inline int pick(struct bpf_sock_addr *ctx, struct ebpf_address *a, int is_flow)
{
    struct ebpf_vip *vip = bpf_map_lookup_elem(&muster_vips, a);
    if (!vip)
        return 1;
    struct ebpf_peers *peers = 0;
    if (ctx->sk)
        peers = bpf_sk_storage_get(&muster_peers, ctx->sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
    if (is_flow && peers) {
        struct ebpf_peer *p = known_peer(peers, a, vip);
        if (p) {
            *a = p->backend;
            return 2;
        }
    }
    __u32 slots = vip->count;
    if (slots == 0) {
        count(vip->counter, 1);
        bpf_set_retval(-ECONNREFUSED);
        return 0;
    }
    __u32 index = vip->first + bpf_get_prandom_u32() % slots;
    struct ebpf_slot *slot = bpf_map_lookup_elem(&muster_slots, &index);
    if (!slot)
        return 1;
    if (peers)
        remember(peers, a, vip, slot);
    count(vip->counter, 0);
    count(slot->counter, 0);
    *a = slot->at;
    return 2;
}

/* The VIP behind the back end's address, for the socket that asks. */
static __always_inline int restore(struct bpf_sock_addr *ctx, struct ebpf_address *a)
{
    if (!ctx->sk)
        return 0;
    struct ebpf_peers *peers = bpf_sk_storage_get(&muster_peers, ctx->sk, 0, 0);
    if (!peers)
        return 0;
    for (int i = 0; i < EBPF_PEERS; i++)
        if (is_same(&peers->v[i].backend, a)) {
            *a = peers->v[i].vip;
            return 1;
        }
    return 0;
}

static __always_inline int forward4(struct bpf_sock_addr *ctx, int is_flow)
{
    struct ebpf_address a;
    if (!is_ours(ctx))
        return ALLOW;
    read_ipv4(ctx, &a);
    int picked = pick(ctx, &a, is_flow);
    if (picked == 2)
        write_ipv4(ctx, &a);
    return picked == 0 ? DENY : ALLOW;
}

static __always_inline int forward6(struct bpf_sock_addr *ctx, int is_flow)
{
    struct ebpf_address a;
    if (!is_ours(ctx))
        return ALLOW;
    int is_mapped = read_ipv6(ctx, &a);
    int picked = pick(ctx, &a, is_flow);
    if (picked == 2)
        write_ipv6(ctx, &a, is_mapped);
    return picked == 0 ? DENY : ALLOW;
}

static __always_inline int back4(struct bpf_sock_addr *ctx)
{
    struct ebpf_address a;
    if (!is_ours(ctx))
        return ALLOW;
    read_ipv4(ctx, &a);
    if (restore(ctx, &a))
        write_ipv4(ctx, &a);
    return ALLOW;
}

static __always_inline int back6(struct bpf_sock_addr *ctx)
{
    struct ebpf_address a;
    if (!is_ours(ctx))
        return ALLOW;
    int is_mapped = read_ipv6(ctx, &a);
    if (restore(ctx, &a))
        write_ipv6(ctx, &a, is_mapped);
    return ALLOW;
}

SEC("cgroup/connect4")
int muster_connect4(struct bpf_sock_addr *ctx)
{
    return forward4(ctx, 0);
}

SEC("cgroup/connect6")
int muster_connect6(struct bpf_sock_addr *ctx)
{
    return forward6(ctx, 0);
}

SEC("cgroup/sendmsg4")
int muster_sendmsg4(struct bpf_sock_addr *ctx)
{
    return forward4(ctx, 1);
}

SEC("cgroup/sendmsg6")
int muster_sendmsg6(struct bpf_sock_addr *ctx)
{
    return forward6(ctx, 1);
}

SEC("cgroup/recvmsg4")
int muster_recvmsg4(struct bpf_sock_addr *ctx)
{
    return back4(ctx);
}

SEC("cgroup/recvmsg6")
int muster_recvmsg6(struct bpf_sock_addr *ctx)
{
    return back6(ctx);
}

SEC("cgroup/getpeername4")
int muster_peer4(struct bpf_sock_addr *ctx)
{
    return back4(ctx);
}

SEC("cgroup/getpeername6")
int muster_peer6(struct bpf_sock_addr *ctx)
{
    return back6(ctx);
}

char muster_license[] SEC("license") = "Apache-2.0";
