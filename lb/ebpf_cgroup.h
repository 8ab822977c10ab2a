/* SPDX-License-Identifier: Apache-2.0
 * ebpf_cgroup.h - the programs on a control group: which of them are ours, and putting them there and taking them away.
 * They stay when the process ends. Whose a program is says the owner's map among its maps. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/err.h"
#include "lb/bpf/tables.h"

/* In the order in which they are attached: nothing is rewritten before its way back is known. */
enum ebpf_hook {
    EBPF_PEER4,
    EBPF_PEER6,
    EBPF_RECV4,
    EBPF_RECV6,
    EBPF_CONNECT4,
    EBPF_CONNECT6,
    EBPF_SEND4,
    EBPF_SEND6,
    EBPF_HOOKS
};
extern const char *const ebpf_program_names[EBPF_HOOKS];

/* Fills identity; -EINVAL for a bad instance, -EOPNOTSUPP where the kernel does not tell network namespaces apart. */
int ebpf_owner_init(struct ebpf_owner *out, const char *instance, struct err *err);

/* path NULL: the root of the mounted cgroup v2; -ENOENT when there is none. A descriptor or a negative errno. */
int ebpf_cgroup_open(const char *path, struct err *err);

/* The descriptor of an attached program of this owner, -ENOENT when there is none, or another negative errno. */
int ebpf_cgroup_find(int cgroup, const struct ebpf_owner *owner, struct err *err);

/* Makes these the only ones of this owner. A former one is replaced at one stroke. The number of changes or a negative
 * errno. */
int ebpf_cgroup_attach(int cgroup, const struct ebpf_owner *owner, const int programs[EBPF_HOOKS], struct err *err);
/* Takes all of this owner away. The number of them or a negative errno. */
int ebpf_cgroup_detach(int cgroup, const struct ebpf_owner *owner, struct err *err);

/* The descriptor of the program's map of that name, or a negative errno. */
int ebpf_map_of(int program, const char *name);
