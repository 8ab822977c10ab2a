/* SPDX-License-Identifier: Apache-2.0
 * ebpf_object.h - the programs and their maps in the kernel, and moving many elements at once. */
#pragma once

#include <stddef.h>

#include "lb/ebpf_cgroup.h"

struct bpf_object;

struct ebpf_object {
    struct bpf_object *object;
    int programs[EBPF_HOOKS];
    int vips, backends, counts; /* maps */
};

/* Loads the programs; with the maps of former, an attached program, if they are such as owner wants them (former -1: there
 * is none). Nothing is attached. 0 or a negative errno; -EPERM and -EOPNOTSUPP say what is missing. */
int ebpf_object_load(const struct ebpf_owner *owner, int former, struct ebpf_object *out, struct err *err);
void ebpf_object_free(struct ebpf_object *o);

/* Puts or deletes many elements; what is not there needs no deletion. The number of elements that were done: less than
 * count with errno set. */
size_t ebpf_map_put(int map, const void *keys, const void *values, size_t count);
size_t ebpf_map_delete(int map, const void *keys, size_t key_size, size_t count);
/* Everything that is in a hash map, in arrays for free(). The number of elements or a negative errno. */
long ebpf_map_dump(int map, size_t key_size, size_t value_size, void **keys, void **values);
