/* SPDX-License-Identifier: Apache-2.0
 * ebpf_kernel.h - the programs and maps in the kernel: loading, attaching to the control group, finding those of a former
 * lb. For plane_ebpf.c only. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/err.h"
#include "lb/ebpf_maps.h"

#define EBPF_PROGRAMS 8

struct bpf_object;

struct ebpf_kernel {
    struct bpf_object *object; /* NULL: nothing is loaded */
    int cgroup_fd;
    int programs[EBPF_PROGRAMS]; /* descriptors, of object */
    int vips, slots, counts;     /* maps, of object */
    struct ebpf_slot *slot;      /* the map slots, mapped */
    size_t slot_count, vips_max;
    uint64_t netns_cookie;
    char instance[EBPF_INSTANCE_SIZE];
};

/* Loads everything; sockets that a former lb of the instance has balanced stay known. Nothing is attached yet. */
int ebpf_kernel_open(struct ebpf_kernel *k, const char *instance, const char *cgroup, struct err *err);
/* Attaches what is not, then detaches programs of the instance that are not ours. The number of things done, or a negative
 * errno. */
int ebpf_kernel_attach(struct ebpf_kernel *k, struct err *err);
/* Detaches all programs of the instance, ours too. */
int ebpf_kernel_detach(struct ebpf_kernel *k, struct err *err);
/* Detaches all programs of the instance in this network namespace. */
int ebpf_kernel_clean(const char *instance, const char *cgroup, struct err *err);
void ebpf_kernel_close(struct ebpf_kernel *k); /* what is attached stays */

int ebpf_kernel_put_vip(struct ebpf_kernel *k, const struct ebpf_address *at, const struct ebpf_vip *vip);
int ebpf_kernel_get_vip(struct ebpf_kernel *k, const struct ebpf_address *at, struct ebpf_vip *out);
int ebpf_kernel_remove_vip(struct ebpf_kernel *k, const struct ebpf_address *at); /* 0 too when it is not there */
/* Calls fn with the address of each VIP that is there; it may remove it. */
void ebpf_kernel_each_vip(struct ebpf_kernel *k, void (*fn)(void *ctx, const struct ebpf_address *at), void *ctx);
struct ebpf_counter ebpf_kernel_count(struct ebpf_kernel *k, uint32_t counter); /* of all processors */
void ebpf_kernel_reset_count(struct ebpf_kernel *k, uint32_t counter);
