/* SPDX-License-Identifier: Apache-2.0
 * tables.h - what is in the maps: shared by the programs in the kernel and by plane_ebpf.c. No padding: keys are compared
 * as bytes. A change of any of this, or of what it means, needs another EBPF_VERSION: an lb takes over the maps of its own
 * version only, and puts new ones in the place of others. */
#pragma once

#include <linux/types.h>

#define EBPF_VERSION 1u
#define EBPF_OWNER_MAGIC 0x6d757374u
#define EBPF_INSTANCE_SIZE 36

/* Address, port and protocol in network byte order; IPv4 uses the first word, the rest is zero. */
struct ebpf_place {
    __u32 ip[4];
    __u16 port;
    __u8 protocol; /* IPPROTO_TCP or IPPROTO_UDP */
    __u8 is_ipv6;
};

/* Back ends are in blocks that never change: another set is another block, numbers never come again. The open ones come
 * first; the others only keep what they have. */
struct ebpf_vip {
    __u64 block;
    __u64 counter;  /* key of its numbers */
    __u64 revision; /* the block with which a back end last left: flows of an earlier one are led anew */
    __u32 open, total;
};

struct ebpf_backend_key {
    __u64 block;
    __u32 index;
    __u32 zero;
};

struct ebpf_backend {
    struct ebpf_place at;
    __u32 zero;
    __u64 counter;
};

struct ebpf_count {
    __u64 connects;
    __u64 refusals;
};

/* Kept with the socket: where it is connected, and what it asked for. */
struct ebpf_peer {
    struct ebpf_place vip, at;
    __u32 has_flows; /* unconnected UDP, or was: the tables of flows are to be looked at */
};

struct ebpf_flow_key {
    __u64 cookie; /* of the socket */
    struct ebpf_place place;
    __u32 zero;
};

struct ebpf_flow {
    struct ebpf_place at;
    __u32 zero;
    __u64 revision;
};

/* What the programs are loaded with. */
struct ebpf_settings {
    __u64 netns_cookie;   /* sockets of other network namespaces are none of ours */
    __u32 can_set_retval; /* Linux 5.18; without it a refusal is EPERM */
    __u32 zero;
};

/* The one element of the owner's map: whose programs these are. This is the same in every version. */
struct ebpf_owner {
    __u32 magic, version;
    __u64 netns_cookie;
    __u64 vips_max, backends_max;
    char instance[EBPF_INSTANCE_SIZE]; /* terminated, the rest zero */
    __u32 zero;
};
