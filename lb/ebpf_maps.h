/* SPDX-License-Identifier: Apache-2.0
 * ebpf_maps.h - what the programs in the kernel and plane_ebpf.c have in common: the values in the maps. Compiled by both,
 * so only types of the kernel's headers. Addresses and ports in network byte order. */
#pragma once

#include <linux/types.h>

#define EBPF_LAYOUT 1       /* of all that follows; programs of another layout are replaced, not taken over */
#define EBPF_PEERS 4        /* VIPs that one socket is remembered to talk to */
#define EBPF_STICKY_SCAN 64 /* slots searched for a flow's back end after its VIP changed */
#define EBPF_INSTANCE_SIZE 33

struct ebpf_config {
    __u64 netns_cookie; /* sockets of other network namespaces are left alone */
    __u32 layout;
    char instance[EBPF_INSTANCE_SIZE + 3];
};

struct ebpf_address {
    __u8 ip[16]; /* IPv4 uses four bytes, the rest is zero */
    __u16 port;
    __u8 protocol; /* IPPROTO_TCP, IPPROTO_UDP */
    __u8 is_ipv6;
};

struct ebpf_vip {
    __u32 first, count; /* of its slots; count 0: refused */
    __u32 revision;     /* another one after each change */
    __u32 counter;
};

/* An open back end. protocol is that of the VIP. */
struct ebpf_slot {
    struct ebpf_address at;
    __u32 counter;
};

struct ebpf_counter {
    __u64 connections, failures;
};

/* Of one socket: whom it talks to under which address. */
struct ebpf_peer {
    struct ebpf_address vip, backend;
    __u32 revision, counter;
};
struct ebpf_peers {
    struct ebpf_peer v[EBPF_PEERS];
    __u32 next;
};
