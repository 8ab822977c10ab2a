/* SPDX-License-Identifier: Apache-2.0
 * options.h - the flags of `muster dns`, their checks, and the lists in them taken apart. A configuration file of Mesos-DNS
 * gives other defaults to the same flags (mesos_dns_config.h). */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/err.h"
#include "common/base/options.h"
#include "common/follow/address.h"
#include "dns/cluster.h"

#define DNS_RESOLVERS_MAX 16 /* of one zone */
#define DNS_FORWARD_ZONES_MAX 64
#define DNS_ALLOW_MAX 64

struct dns_options {
    char *master, *zk, *domain, *ip, *http_ip, *resolvers, *zone_resolvers, *soa_mname, *soa_rname, *ip_sources, *principal,
        *secret, *vip_range, *allow, *node_ip, *public_ips, *forward_zones, *cluster_key, *logging_level;
    uint16_t port, http_port;
    int64_t dcos_http_port;
    int64_t ttl, srv_weight, soa_refresh, soa_retry, soa_expire, soa_minimum, refresh_seconds, state_timeout_seconds,
        zk_detection_timeout, timeout_ms, threads, udp_size, rate_limit, tcp_connections, tcp_idle_ms, cache_entries,
        cache_ttl_max_ms;
    bool dns_on, http_on, external_on, recurse_on, set_truncate_bit, enumeration_on, enforce_rfc952, dcos, serve_unhealthy;
};

extern const struct option_def dns_option_defs[];
extern const size_t dns_option_count;

struct dns_endpoint {
    struct dns_ip ip;
    uint16_t port;
};

struct dns_network {
    struct dns_ip ip;
    unsigned bits;
};

/* Zone "." (empty text) is for every name that no other zone has. */
struct dns_forward_zone {
    char name[DNS_NAME_MAX + 1];
    struct dns_endpoint resolvers[DNS_RESOLVERS_MAX];
    size_t resolver_count;
};

/* What the lists say. */
struct dns_lists {
    struct master_list masters;
    struct dns_forward_zone zones[DNS_FORWARD_ZONES_MAX]; /* the first is "." */
    size_t zone_count;
    struct dns_network allow[DNS_ALLOW_MAX];
    size_t allow_count;
    enum dns_cluster_source sources[CLUSTER_SOURCES];
    size_t source_count;
    struct vip_range vip_range;
    struct dns_ip ip, node_ip, public_ips[CLUSTER_IPS_MAX];
    size_t public_ip_count;
};

/* 0 or -EINVAL with the flag's name in err. Without --resolvers the zone "." has none yet. */
int dns_options_check(const struct dns_options *o, struct dns_lists *out, struct err *err);

/* The name servers of a resolv.conf text, at most max. */
size_t dns_options_resolv_conf(const char *text, struct dns_endpoint *out, size_t max);
/* "ip", "ip:port", "[ip]:port". 0 or -EINVAL. */
int dns_endpoint_parse(const char *text, size_t len, uint16_t port_default, struct dns_endpoint *out);
bool dns_network_has(const struct dns_network *networks, size_t count, const struct dns_ip *ip);
