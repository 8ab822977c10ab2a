/* SPDX-License-Identifier: Apache-2.0
 * ebpf_set.h - the back ends of one VIP, as they are planned or as the kernel has them. */
#pragma once

#include "lb/bpf/tables.h"
#include "lb/event.h"

struct ebpf_member {
    struct lb_endpoint at;
    bool is_draining;
    uint64_t counter; /* key of its numbers */
};

/* In the kernel as a block: first the open ones, then the draining ones, each in order of address. */
struct ebpf_set {
    uint64_t block, revision; /* 0: not written yet */
    uint32_t open, count;
    struct ebpf_member members[]; /* by address */
};

struct ebpf_place ebpf_place_of(const struct lb_endpoint *at);
/* false: this is nothing that we ever write. */
bool ebpf_place_read(const struct ebpf_place *place, struct lb_endpoint *out);

/* Members that former (may be NULL) has too keep its counters, the others get the next ones. */
struct ebpf_set *ebpf_set_new(const struct lb_backend *backends, size_t count, const struct ebpf_set *former,
                              uint64_t *next_counter);
/* From a block of the kernel. NULL: it cannot be ours. */
struct ebpf_set *ebpf_set_read(const struct ebpf_vip *vip, const struct ebpf_backend_key *keys,
                               const struct ebpf_backend *values, size_t count);
/* The same members in the same state, with the same counters. */
bool ebpf_set_is_same(const struct ebpf_set *a, const struct ebpf_set *b);
const struct ebpf_member *ebpf_set_find(const struct ebpf_set *s, const struct lb_endpoint *at); /* s may be NULL */
/* Gives the set its block; flows stay where they are unless a member of former left. keys and values: count of each. */
void ebpf_set_write(struct ebpf_set *s, uint64_t block, const struct ebpf_set *former, struct ebpf_backend_key *keys,
                    struct ebpf_backend *values);
