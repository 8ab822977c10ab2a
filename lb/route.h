/* SPDX-License-Identifier: Apache-2.0
 * route.h - makes addresses of VIPs local: `local PREFIX dev lo` in the kernel's local table. Ours are known by their
 * protocol number and, among those, by a metric that is made of the instance's name. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/err.h"
#include "common/base/vip_name.h"

#define LB_ROUTE_PROTOCOL 109
#define LB_RANGE_PREFIXES_MAX 80 /* no range has more */

struct lb_prefix {
    uint8_t is_ipv6, bits;
    uint8_t ip[16]; /* as in struct lb_endpoint; host bits are zero */
};

/* The prefixes that make up the range, without 127.0.0.0/8, which is local anyway. Their number. */
size_t lb_range_prefixes(struct vip_range range, struct lb_prefix out[LB_RANGE_PREFIXES_MAX]);

struct lb_routes;
/* Nothing is changed until the first add or repair. 0 or a negative errno. */
int lb_routes_new(const char *instance, struct lb_routes **out, struct err *err);
/* Counted: a prefix goes with its last remove. What the kernel refuses is tried again by repair. 0 or a negative errno. */
int lb_routes_add(struct lb_routes *r, const struct lb_prefix *prefix, struct err *err);
void lb_routes_remove(struct lb_routes *r, const struct lb_prefix *prefix);
/* Adds what is missing, removes what a former lb of this instance left and nobody wants now. Their number, or a negative
 * errno. */
int lb_routes_repair(struct lb_routes *r, struct err *err);
size_t lb_routes_count(const struct lb_routes *r); /* those that are there */
/* is_final: removes them all. Accepts NULL, returns NULL. */
struct lb_routes *lb_routes_free(struct lb_routes *r, bool is_final);

/* Removes all of the instance. 0 or a negative errno. */
int lb_routes_clean(const char *instance, struct err *err);
