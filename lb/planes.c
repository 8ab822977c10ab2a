/* SPDX-License-Identifier: Apache-2.0
 * planes.c - see planes.h. HAVE_LB_NFT and HAVE_LB_EBPF come from the build: it has their sources and libraries. */
#include "lb/planes.h"

#include <errno.h>
#include <string.h>

#include "common/base/log.h"
#include "lb/route.h"

#ifdef HAVE_LB_EBPF
static int start_ebpf(const struct lb_options *o, uint64_t seed, struct lb_plane **out, struct err *err)
{
    struct lb_ebpf_config config = {.instance = o->instance, .cgroup = o->cgroup};
    (void)seed;
    return lb_plane_ebpf_new(&config, out, err);
}

static int clean_ebpf(const struct lb_options *o, struct err *err)
{
    return lb_plane_ebpf_clean(o->instance, o->cgroup, err);
}
#else
#define start_ebpf NULL
#define clean_ebpf NULL
#endif

#ifdef HAVE_LB_NFT
static int start_nft(const struct lb_options *o, uint64_t seed, struct lb_plane **out, struct err *err)
{
    struct lb_nft_config config = {.instance = o->instance, .udp_timeout_ms = o->udp_timeout_ms};
    (void)seed;
    return lb_plane_nft_new(&config, out, err);
}

static int clean_nft(const struct lb_options *o, struct err *err)
{
    return lb_plane_nft_clean(o->instance, err);
}
#else
#define start_nft NULL
#define clean_nft NULL
#endif

static int start_proxy(const struct lb_options *o, uint64_t seed, struct lb_plane **out, struct err *err)
{
    struct lb_proxy_config config = {.threads = (unsigned)o->proxy_threads,
                                     .connect_timeout_ms = o->proxy_connect_timeout_ms,
                                     .eject_ms = o->proxy_eject_ms,
                                     .eject_failures = (unsigned)o->proxy_eject_failures,
                                     .udp_timeout_ms = o->udp_timeout_ms,
                                     .seed = seed};
    return lb_plane_proxy_new(&config, out, err);
}

static int clean_routes(const struct lb_options *o, struct err *err)
{
    return lb_routes_clean(o->instance, err);
}

/* The best first: no cost per packet, a cost per packet in the kernel, everything through us. */
static const struct {
    const char *name;
    int (*start)(const struct lb_options *o, uint64_t seed, struct lb_plane **out, struct err *err);
    int (*clean)(const struct lb_options *o, struct err *err);
} planes[LB_PLANES_MAX] = {
    {"ebpf", start_ebpf, clean_ebpf},
    {"nft", start_nft, clean_nft},
    {"proxy", start_proxy, clean_routes},
};

static int start_one(size_t i, const struct lb_options *o, uint64_t seed, struct lb_choice *out, struct err *err)
{
    if (planes[i].start == NULL)
        return err_set(err, -EOPNOTSUPP, "this program was built without it");
    return planes[i].start(o, seed, &out->plane, err);
}

int lb_planes_start(const struct lb_options *o, uint64_t seed, struct lb_choice *out, struct err *err)
{
    bool is_auto = strcmp(o->plane, "auto") == 0;
    *out = (struct lb_choice){0};
    for (size_t i = 0; i < LB_PLANES_MAX; i++) {
        struct err why = {0};
        if (!is_auto && strcmp(o->plane, planes[i].name) != 0)
            continue;
        int result = start_one(i, o, seed, out, &why);
        if (result == 0)
            return 0;
        if (!is_auto)
            return err_set(err, result, "--plane=%s: %s", o->plane, why.text);
        out->left_out[out->left_out_count].name = planes[i].name;
        out->left_out[out->left_out_count++].why = why;
    }
    return err_set(err, -EOPNOTSUPP, "no data plane can be started; the last one says: %s",
                   out->left_out[LB_PLANES_MAX - 1].why.text);
}

int lb_planes_clean(const struct lb_options *o, struct buf *notes, struct err *err)
{
    int first = 0;
    for (size_t i = 0; i < LB_PLANES_MAX; i++) {
        struct err why = {0};
        int result = planes[i].clean != NULL ? planes[i].clean(o, &why) : 0;
        if (result == -EPERM || result == -EACCES || result == -EOPNOTSUPP)
            (void)buf_printf(notes, "%s: %s\n", planes[i].name, why.text); /* cut at most */
        else if (result < 0 && first == 0)
            first = err_set(err, result, "%s: %s", planes[i].name, why.text);
    }
    return first;
}
