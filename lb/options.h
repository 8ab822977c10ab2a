/* SPDX-License-Identifier: Apache-2.0
 * options.h - the flags of `muster lb` and their checks. */
#pragma once

#include "common/base/options.h"
#include "common/base/vip_name.h"
#include "common/follow/address.h"

enum lb_local_route { LB_ROUTE_AUTO, LB_ROUTE_ON, LB_ROUTE_OFF };

struct lb_options {
    char *master, *ip, *vip_range, *plane, *instance, *cgroup, *principal, *secret, *local_route, *logging_level;
    uint16_t port;
    int64_t check_interval_ms, check_timeout_ms, check_failures, proxy_threads, proxy_connect_timeout_ms, proxy_eject_ms,
        proxy_eject_failures, udp_timeout_ms;
    bool ipv6, keep_on_exit, clean;

    /* what the texts say */
    struct master_list masters;
    struct vip_range range;
    enum lb_local_route route;
};

extern const struct option_def lb_option_defs[];
extern const size_t lb_option_count;

/* Reads the texts. 0 or -EINVAL with the flag's name in err. --clean needs no master. */
int lb_options_check(struct lb_options *o, struct err *err);
