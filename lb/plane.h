/* SPDX-License-Identifier: Apache-2.0
 * plane.h - port to the data plane: what carries connections from VIPs to back ends. Planes: plane_proxy.c (user space),
 * plane_nft.c (kernel NAT), plane_ebpf.c (connect-time rewriting). Everything on one thread, the shell's; a plane may have
 * threads of its own inside. */
#pragma once

#include "common/base/err.h"
#include "lb/event.h"

struct lb_counters {
    uint64_t connections;         /* or UDP flows, since the VIP or back end came */
    uint64_t active;              /* now; 0 where the plane does not see them */
    uint64_t failures;            /* back ends: failed connects; VIPs: clients that no back end could be found for */
    uint64_t bytes_in, bytes_out; /* from and to the client */
    bool is_ejected;              /* back ends: left out after failures in a row */
};

/* backend NULL: the VIP's own numbers. */
typedef void (*lb_counters_fn)(void *ctx, const struct lb_endpoint *backend, const struct lb_counters *counters);

struct lb_plane;
struct lb_plane_ops {
    const char *name;
    /* Carries out changes, in order. The first call has the whole plan, and may be empty: what a former lb left and it does
     * not have goes. What cannot be is remembered as that VIP's problem and tried again by repair. */
    void (*apply)(struct lb_plane *p, const struct lb_change *changes, size_t count);
    /* Compares with what is really there and mends it. The number of things mended, or a negative errno. */
    int (*repair)(struct lb_plane *p, struct err *err);
    /* NULL: the VIP works; otherwise why not. Valid until the next call. */
    const char *(*problem)(struct lb_plane *p, const struct lb_endpoint *vip);
    void (*counters)(struct lb_plane *p, const struct lb_endpoint *vip, lb_counters_fn fn, void *ctx);
    /* Optional. A descriptor that becomes readable when advance has something to do; -1: none. */
    int (*watch_fd)(struct lb_plane *p);
    /* With watch_fd. Goes on with what is done in slices, for at most a few milliseconds. True: somebody else has changed
     * what is ours, or we cannot know any more. The shell calls repair soon, which takes away what is to be read. */
    bool (*advance)(struct lb_plane *p);
    /* is_final: nothing is left in the kernel; otherwise what works without us goes on. */
    void (*close)(struct lb_plane *p, bool is_final);
};

struct lb_plane {
    const struct lb_plane_ops *ops;
};

struct lb_proxy_config {
    unsigned threads;           /* 0: one for each processor, at most 8 */
    int64_t connect_timeout_ms; /* of one attempt; 0: 1 s */
    int64_t eject_ms;           /* how long a back end is left out; 0: 10 s */
    unsigned eject_failures;    /* failed connects in a row until it is; 0: 3 */
    int64_t udp_timeout_ms;     /* of a flow without packets; 0: 60 s */
    size_t descriptors_max;     /* 0: what the process may have, less 256 */
    uint64_t seed;
};
int lb_plane_proxy_new(const struct lb_proxy_config *config, struct lb_plane **out, struct err *err);

/* Kernel NAT. Needs CAP_NET_ADMIN in the network namespace's user namespace; -EPERM or -EOPNOTSUPP with the reason in err
 * where the host does not give it. What a killed lb of the same instance left is taken over: until the first apply nothing
 * of it is changed. */
struct lb_nft_config {
    const char *instance; /* at most 32 of [a-z0-9_]: several lbs may be on one host; names the table "muster_<instance>" */
    int64_t udp_timeout_ms; /* 0: the kernel's */
};
int lb_plane_nft_new(const struct lb_nft_config *config, struct lb_plane **out, struct err *err);
int lb_plane_nft_clean(const char *instance,
                       struct err *err); /* removes what a killed one left; nothing there is no error */

/* Connect-time rewriting by programs on a cgroup v2. Needs CAP_BPF and CAP_NET_ADMIN; errors and take-over as above.
 * -EOPNOTSUPP where this muster was built without it. */
struct lb_ebpf_config {
    const char *instance;
    const char *cgroup;  /* folder of the cgroup whose processes see the VIPs; NULL: the root of the mounted cgroup v2 */
    size_t vips_max;     /* 0: 65,536 */
    size_t backends_max; /* in all VIPs; 0: 1,048,576 */
};
int lb_plane_ebpf_new(const struct lb_ebpf_config *config, struct lb_plane **out, struct err *err);
int lb_plane_ebpf_clean(const char *instance, const char *cgroup, struct err *err);
