/* SPDX-License-Identifier: Apache-2.0
 * lb.h - the balancer's core: follows the master's operator event stream (facts: mesos 3.3) and keeps the plan, which VIP
 * leads to which back ends (facts: net-cron C.1 to C.3). Data planes, sockets and clocks are the shell's.
 *
 * The plan holds through a lost stream: nothing changes until the next picture is complete, which is taken as one
 * difference (no FLUSH before its END). Tasks of agents that a new master knows but has not heard of yet ("recovered") stay
 * until their agent is back or the master's time for that is over. */
#pragma once

#include "common/base/vip_name.h"
#include "lb/event.h"

#define LB_TASK_VIPS_MAX 64      /* VIPs of one task; further ones are left out and traced */
#define LB_TASK_ADDRESSES_MAX 16 /* addresses of one task */
#define LB_CHECKS_IN_FLIGHT_MAX 256

struct lb;

struct lb_config {
    struct vip_range range;      /* of the addresses of named VIPs */
    bool has_ipv6;               /* named VIPs get an IPv6 address too */
    int64_t held_timeout_ms;     /* how long tasks of a recovered agent stay; 0: 10 minutes */
    int64_t check_interval_ms;   /* between TCP checks of a back end; 0: none are made */
    unsigned check_failures_max; /* in a row until a back end counts as down; 0: 2 */
    uint64_t seed;
};

struct lb *lb_new(const struct lb_config *config);
struct lb *lb_free(struct lb *lb);

/* Always 0: bad input is traced and left out. */
int lb_step(struct lb *lb, const struct lb_event *in, struct lb_effects *out);
int64_t lb_next_deadline(const struct lb *lb); /* INT64_MAX: none */
bool lb_has_changes(const struct lb *lb);      /* a FLUSH would give some */
void lb_check_invariants(const struct lb *lb);

/* -- for the API; between steps ---------------------------------------------------------------------------------- */

struct lb_statistics {
    uint64_t vips, backends, draining_backends, down_backends, agents, tasks, held_agents;
    uint64_t rejected_labels; /* VIP labels that could not be used, since the start */
    bool is_current;          /* a stream is up and its picture complete */
    int64_t current_at_ms;    /* when something was last heard of the master, 0: never */
};
struct lb_statistics lb_get_statistics(const struct lb *lb);

/* Calls fn for each VIP as it was last given to the data plane, in the order of their coming. */
void lb_each_vip(const struct lb *lb, void (*fn)(void *ctx, const struct lb_change *vip), void *ctx);
