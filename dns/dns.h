/* SPDX-License-Identifier: Apache-2.0
 * dns.h - the shell: owns the parts, turns sockets and timers into their events and carries out their effects. */
#pragma once

#include "common/base/metrics.h"
#include "common/follow/stream.h"
#include "common/http/server.h"
#include "dns/book.h"
#include "dns/cluster.h"
#include "dns/forward.h"
#include "dns/options.h"
#include "dns/serve.h"
#include "dns/upstream.h"

#define DNS_OWN_IPS_MAX 32

struct dns {
    struct loop *loop;
    const struct dns_options *options;
    struct dns_lists lists;
    struct dns_zone_layout layout;
    struct dns_cluster_naming naming;
    struct dns_zone_publisher *publisher;
    struct dns_book *book;
    struct dns_cluster *cluster;
    struct dns_ip own_ips[DNS_OWN_IPS_MAX]; /* of this machine */
    size_t own_ip_count;
    struct dns_ip served_ips[DNS_OWN_IPS_MAX]; /* where we answer */
    size_t served_ip_count;

    struct master_stream *stream;
    struct loop_timer *cluster_timer, *forward_timer;
    struct loop_idle *before_sleep;
    struct arena *arena;   /* of the event that is read */
    struct lookup *lookup; /* of hosts of agents and frameworks */
    bool has_changes;
    uint64_t publications;
    double publish_ms_max;

    struct dns_forward *forward;
    struct dns_upstream *upstream;
    struct dns_serve_udp *udp;
    struct dns_serve_tcp *tcp;
    uint16_t port;
    uint64_t random[64]; /* from the kernel, used once each */
    size_t random_left;

    struct http_server *api, *dcos_api;
    struct metrics *metrics;
};

/* Everything but the HTTP servers. 0 or a negative errno with the reason. */
int dns_start(struct dns *d, struct loop *loop, const struct dns_options *options, const struct dns_lists *lists,
              struct err *err);
void dns_stop(struct dns *d); /* after the loop; copes with a half-done start */

/* api.c */
int dns_api_start(struct dns *d, struct err *err);
void dns_api_stop(struct dns *d);
