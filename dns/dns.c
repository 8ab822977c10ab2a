/* SPDX-License-Identifier: Apache-2.0
 * dns.c - see dns.h. */
#include "dns/dns.h"

#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "common/base/check.h"
#include "common/base/log.h"

#define RESOLV_CONF "/etc/resolv.conf"

static uint64_t draw(struct dns *d)
{
    if (d->random_left == 0) {
        CHECK(getrandom(d->random, sizeof(d->random), 0) == (ssize_t)sizeof(d->random));
        d->random_left = sizeof(d->random) / sizeof(d->random[0]);
    }
    return d->random[--d->random_left];
}

static void start_timer(struct dns *d, struct loop_timer *timer, int64_t deadline_ms)
{
    if (deadline_ms == INT64_MAX) {
        loop_timer_stop(timer);
        return;
    }
    int64_t now_ms = loop_now_ms(d->loop);
    loop_timer_start(timer, deadline_ms > now_ms ? deadline_ms - now_ms : 0);
}

/* -- publishing ------------------------------------------------------------------------------------------------- */

static double precise_ms(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t); /* cannot fail */
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* Once per turn: whatever came in this turn is answered from the next question on. */
static void on_before_sleep(void *ctx)
{
    struct dns *d = ctx;
    const char *host;
    if (!d->has_changes)
        return;
    d->has_changes = false;
    double started = precise_ms();
    dns_cluster_flush(d->cluster);
    if (dns_book_publish(d->book, d->publisher, (uint32_t)(loop_wall_ms(d->loop) / 1000)))
        d->publications++;
    double took = precise_ms() - started;
    d->publish_ms_max = took > d->publish_ms_max ? took : d->publish_ms_max;
    while ((host = dns_cluster_next_host(d->cluster)) != NULL)
        lookup_start(d->lookup, host);
    start_timer(d, d->cluster_timer, dns_cluster_next_deadline(d->cluster));
}

static void on_cluster_timer(void *ctx)
{
    struct dns *d = ctx;
    dns_cluster_tick(d->cluster, loop_now_ms(d->loop));
    d->has_changes = true;
}

/* -- the event stream ------------------------------------------------------------------------------------------- */

/* False when the host is a name that is not looked up yet. */
static bool read_master(const struct dns *d, const char *address, struct dns_cluster_master *out)
{
    struct host_ip ip;
    if (!master_stream_find(d->stream, address, &ip, &out->port))
        return false;
    out->ip.size = ip.size;
    memcpy(out->ip.bytes, ip.bytes, sizeof(out->ip.bytes));
    return true;
}

/* Whose stream we have leads. */
static void tell_masters(struct dns *d)
{
    struct dns_cluster_master masters[FOLLOW_MASTERS_MAX], leader;
    size_t count = 0;
    for (size_t i = 0; i < d->lists.masters.count; i++)
        count += read_master(d, d->lists.masters.items[i], &masters[count]);
    bool has_leader = master_stream_is_current(d->stream) && read_master(d, master_stream_address(d->stream), &leader);
    dns_cluster_set_masters(d->cluster, has_leader ? &leader : NULL, masters, count);
    d->has_changes = true;
}

static void on_looked_up(void *ctx, const char *host, const struct host_ip *from, size_t count)
{
    struct dns *d = ctx;
    struct dns_ip ips[LOOKUP_IPS_MAX];
    memset(ips, 0, sizeof(ips)); /* they are compared as bytes */
    if (count == 0)
        log_warning("host %s has no address now: what is named after it stays as it was", host);
    for (size_t i = 0; i < count; i++) {
        ips[i].size = from[i].size;
        memcpy(ips[i].bytes, from[i].bytes, sizeof(ips[i].bytes));
    }
    dns_cluster_resolved(d->cluster, host, ips, count, loop_now_ms(d->loop));
    d->has_changes = true;
}

static int on_record(void *ctx, enum wire_format format, const void *data, size_t len, struct picture_told *told,
                     struct err *err)
{
    struct dns *d = ctx;
    d->has_changes = true;
    return dns_cluster_apply(d->cluster, format, data, len, loop_now_ms(d->loop), d->arena, told, err);
}

static void on_stream_changed(void *ctx, enum master_stream_change change)
{
    struct dns *d = ctx;
    tell_masters(d);
    if (change == MASTER_STREAM_CURRENT)
        log_info("follows the master at %s: %zu agents, %zu frameworks, %zu tasks", master_stream_address(d->stream),
                 dns_cluster_agent_count(d->cluster), dns_cluster_framework_count(d->cluster),
                 dns_cluster_task_count(d->cluster));
}

/* -- forwarding ------------------------------------------------------------------------------------------------- */

static void forward_event(struct dns *d, struct dns_forward_event event)
{
    const struct dns_forward_effect *effects;
    size_t count;
    event.now_ms = loop_now_ms(d->loop);
    event.random = draw(d);
    dns_forward_step(d->forward, &event, &effects, &count);
    for (size_t i = 0; i < count; i++) {
        const struct dns_forward_effect *e = &effects[i];
        switch (e->type) {
        case FORWARD_SEND:
            dns_upstream_send(d->upstream, e);
            break;
        case FORWARD_CLOSE:
            dns_upstream_close(d->upstream, e->attempt);
            break;
        case FORWARD_REPLY:
            if (e->client.is_tcp)
                dns_serve_tcp_send(d->tcp, &e->client, e->packet, e->len);
            else
                dns_serve_udp_send(d->udp, &e->client, e->packet, e->len);
            break;
        }
    }
    start_timer(d, d->forward_timer, dns_forward_next_deadline(d->forward));
}

static void on_forward_timer(void *ctx)
{
    forward_event(ctx, (struct dns_forward_event){.type = FORWARD_TICK});
}

static void on_question(void *ctx, const struct dns_serve_question *question)
{
    forward_event(ctx, (struct dns_forward_event){.type = FORWARD_QUESTION, .question = question});
}

static void on_upstream_answer(void *ctx, uint64_t attempt, const uint8_t *packet, size_t len)
{
    forward_event(ctx,
                  (struct dns_forward_event){.type = FORWARD_ANSWER, .attempt = attempt, .packet = packet, .len = len});
}

static void on_upstream_failed(void *ctx, uint64_t attempt)
{
    forward_event(ctx, (struct dns_forward_event){.type = FORWARD_FAILED, .attempt = attempt});
}

/* -- starting --------------------------------------------------------------------------------------------------- */

static void find_own_ips(struct dns *d)
{
    struct ifaddrs *list = NULL;
    if (getifaddrs(&list) < 0)
        return; /* then nothing is known to be ours */
    for (const struct ifaddrs *i = list; i && d->own_ip_count < DNS_OWN_IPS_MAX; i = i->ifa_next) {
        union dns_serve_address address;
        if (!i->ifa_addr || (i->ifa_addr->sa_family != AF_INET && i->ifa_addr->sa_family != AF_INET6))
            continue;
        memcpy(&address, i->ifa_addr, i->ifa_addr->sa_family == AF_INET ? sizeof(address.v4) : sizeof(address.v6));
        struct dns_ip ip = dns_serve_ip(&address);
        bool is_loopback = (i->ifa_flags & IFF_LOOPBACK) != 0;
        d->own_ips[d->own_ip_count++] = ip;
        bool is_link_local = ip.size == 16 && ip.bytes[0] == 0xfe && (ip.bytes[1] & 0xc0) == 0x80;
        if (!is_loopback && !is_link_local) /* the latter mean nothing to others */
            d->served_ips[d->served_ip_count++] = ip;
    }
    freeifaddrs(list);
    static const uint8_t zero[16];
    if (memcmp(d->lists.ip.bytes, zero, d->lists.ip.size) != 0) { /* not all addresses but this one */
        d->served_ips[0] = d->lists.ip;
        d->served_ip_count = 1;
    }
}

static bool is_own(const struct dns *d, const struct dns_ip *ip)
{
    if (ip->size == 4 && ip->bytes[0] == 127)
        return true;
    for (size_t i = 0; i < d->own_ip_count; i++)
        if (d->own_ips[i].size == ip->size && memcmp(d->own_ips[i].bytes, ip->bytes, ip->size) == 0)
            return true;
    return false;
}

/* A server that is this one would answer our own question with our own question. */
static int refuse_loops(struct dns *d, struct err *err)
{
    for (size_t z = 0; z < d->lists.zone_count; z++)
        for (size_t i = 0; i < d->lists.zones[z].resolver_count; i++) {
            const struct dns_endpoint *e = &d->lists.zones[z].resolvers[i];
            if (e->port == d->port && is_own(d, &e->ip))
                return err_set(err, -EINVAL, "name server %zu of zone '%s' is this one: questions would go in circles",
                               i + 1, d->lists.zones[z].name);
        }
    return 0;
}

/* Without --resolvers: the system's, but never one on this machine at the port we serve. */
static void use_system_resolvers(struct dns *d)
{
    char text[16384];
    struct dns_forward_zone *zone = &d->lists.zones[0];
    struct dns_endpoint found[DNS_RESOLVERS_MAX];
    FILE *f = fopen(RESOLV_CONF, "re");
    if (!f)
        return;
    size_t len = fread(text, 1, sizeof(text) - 1, f);
    (void)fclose(f); /* read only */
    text[len] = '\0';
    size_t count = dns_options_resolv_conf(text, found, DNS_RESOLVERS_MAX);
    for (size_t i = 0; i < count; i++)
        if (found[i].port != d->port || !is_own(d, &found[i].ip))
            zone->resolvers[zone->resolver_count++] = found[i];
}

/* Other names of DC/OS's zones (facts: net-cron B.5), longer ones first. */
static int add_aliases(struct dns_zone_layout *l, const struct dns_options *o)
{
    static const char directory[] = "thisdcos.directory", l4lb[] = "l4lb.thisdcos.directory";
    char key[DNS_LABEL_MAX + 32] = "", mesos_key[DNS_LABEL_MAX + 64] = "";
    if (o->cluster_key) { /* it is a label */
        (void)snprintf(key, sizeof(key), "%s.dcos.directory", o->cluster_key);
        (void)snprintf(mesos_key, sizeof(mesos_key), "mesos.%s", key);
    }
    const struct {
        const char *from, *to, *zone;
    } rows[] = {
        {"mesos.thisdcos.directory", o->domain, directory},
        {"mesos.thisdcos.global", o->domain, directory},
        {mesos_key, o->domain, directory},
        {"dclb.thisdcos.directory", l4lb, NULL},
        {"dclb.thisdcos.global", l4lb, NULL},
        {"thisdcos.global", directory, NULL},
        {key, directory, NULL},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (rows[i].from[0] != '\0' && dns_zone_layout_alias(l, rows[i].from, rows[i].to, rows[i].zone) < 0)
            return -EINVAL;
    return 0;
}

static int add_zones(struct dns *d, struct err *err)
{
    const struct dns_options *o = d->options;
    const struct dns_zone_soa soa = {
        o->soa_mname,    o->soa_rname, (uint32_t)o->soa_refresh, (uint32_t)o->soa_retry, (uint32_t)o->soa_expire,
        (uint32_t)o->ttl};
    static const struct dns_zone_soa dcos = {"ns.spartan", "support.mesosphere.com", 60, 180, 86400, 1,
                                             3600}; /* facts: net-cron B.2 */
    static const char *const zones[] = {"thisdcos.directory", "l4lb.thisdcos.directory", "spartan", "localhost", "zk"};
    struct dns_zone_layout *l = &d->layout;
    int result = dns_zone_layout_add(l, o->domain, (uint32_t)o->ttl, 0, (uint16_t)o->srv_weight, true, &soa);
    result = result < 0 ? result : dns_zone_layout_add(l, "in-addr.arpa", (uint32_t)o->ttl, 0, 0, false, &soa);
    result = result < 0 ? result : dns_zone_layout_add(l, "ip6.arpa", (uint32_t)o->ttl, 0, 0, false, &soa);
    for (size_t i = 0; o->dcos && i < sizeof(zones) / sizeof(zones[0]) && result == 0; i++)
        result = dns_zone_layout_add(l, zones[i], 5, 1, 1, true, &dcos);
    result = o->dcos && result == 0 ? add_aliases(l, o) : result;
    l->hash_key = draw(d);
    return result < 0 ? err_set(err, result, "--domain=%s cannot be served", o->domain) : 0;
}

static void make_naming(struct dns *d)
{
    d->naming = (struct dns_cluster_naming){.domain = d->options->domain,
                                            .style = d->options->enforce_rfc952 ? DNS_LABEL_RFC952 : DNS_LABEL_RFC1123,
                                            .source_count = d->lists.source_count,
                                            .serves_unhealthy = d->options->serve_unhealthy,
                                            .has_dcos = d->options->dcos,
                                            .vip_range = d->lists.vip_range,
                                            .soa_mname = d->options->soa_mname,
                                            .own_ips = d->served_ips,
                                            .own_ip_count = d->served_ip_count,
                                            .node_ips = &d->lists.node_ip,
                                            .node_ip_count = 1,
                                            .public_ips = d->lists.public_ips,
                                            .public_ip_count = d->lists.public_ip_count};
    memcpy(d->naming.sources, d->lists.sources, sizeof(d->naming.sources));
}

static int start_serving(struct dns *d, struct err *err)
{
    const struct dns_options *o = d->options;
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    unsigned threads = o->threads > 0 ? (unsigned)o->threads : processors > 0 ? (unsigned)processors : 1;
    threads = threads < ZONE_READERS_MAX - 1 ? threads : ZONE_READERS_MAX - 2;
    struct dns_serve_config config = {.loop = d->loop,
                                      .publisher = d->publisher,
                                      .query = {.offers_recursion = o->recurse_on, .udp_bytes_max = (uint16_t)o->udp_size},
                                      .ip = d->lists.ip,
                                      .port = o->port,
                                      .allow = d->lists.allow,
                                      .allow_count = d->lists.allow_count,
                                      .seed = draw(d),
                                      .forward = on_question,
                                      .ctx = d,
                                      .threads = threads,
                                      .rate_limit = o->rate_limit,
                                      .connections_max = (size_t)o->tcp_connections,
                                      .idle_timeout_ms = o->tcp_idle_ms,
                                      .reader = ZONE_READERS_MAX - 1};
    int result = 0;
    /* With any free port the one that UDP gets may be taken for TCP: then another one. */
    for (unsigned tries = 0; tries < 16; tries++) {
        config.port = o->port;
        result = dns_serve_udp_start(&config, &d->udp, err);
        if (result < 0)
            return result;
        d->port = config.port = dns_serve_udp_port(d->udp);
        result = dns_serve_tcp_start(&config, &d->tcp, err);
        if (result == 0 || o->port != 0)
            break;
        d->udp = dns_serve_udp_stop(d->udp);
    }
    return result;
}

static void start_forwarding(struct dns *d)
{
    const struct dns_options *o = d->options;
    if (!o->external_on)
        for (size_t z = 0; z < d->lists.zone_count; z++)
            d->lists.zones[z].resolver_count = 0; /* then everything is refused */
    else if (d->lists.zones[0].resolver_count == 0)
        use_system_resolvers(d);
    struct dns_forward_config config = {.zones = d->lists.zones,
                                        .zone_count = d->lists.zone_count,
                                        .timeout_ms = o->timeout_ms,
                                        .cache_entries = (size_t)o->cache_entries,
                                        .cache_ttl_max_ms = o->cache_ttl_max_ms,
                                        .udp_bytes_max = (uint16_t)o->udp_size,
                                        .offers_recursion = o->recurse_on};
    struct dns_upstream_handler handler = {on_upstream_answer, on_upstream_failed, d};
    d->forward = dns_forward_new(&config);
    d->upstream = dns_upstream_new(d->loop, &handler);
}

int dns_start(struct dns *d, struct loop *loop, const struct dns_options *options, const struct dns_lists *lists,
              struct err *err)
{
    *d = (struct dns){.loop = loop, .options = options, .lists = *lists};
    int result = add_zones(d, err);
    if (result < 0)
        return result;
    find_own_ips(d);
    make_naming(d);
    d->publisher = dns_zone_publisher_new(&d->layout);
    d->book = dns_book_new(&d->layout);
    d->cluster = dns_cluster_new(&d->naming, d->book);
    d->arena = arena_new(0);
    d->lookup = lookup_new(loop, on_looked_up, d);
    d->stream = master_stream_new(&(struct master_stream_config){.loop = loop,
                                                                 .masters = &lists->masters,
                                                                 .principal = options->principal,
                                                                 .secret = options->secret,
                                                                 .seed = draw(d),
                                                                 .record = on_record,
                                                                 .changed = on_stream_changed,
                                                                 .ctx = d});
    d->cluster_timer = loop_timer_add(loop, on_cluster_timer, d);
    d->forward_timer = loop_timer_add(loop, on_forward_timer, d);
    d->before_sleep = loop_before_sleep_add(loop, on_before_sleep, d);
    tell_masters(d);
    on_before_sleep(d); /* what does not depend on the cluster is there from the first question on */
    result = options->dns_on ? start_serving(d, err) : 0;
    result = result < 0 ? result : refuse_loops(d, err);
    if (result < 0)
        return result;
    start_forwarding(d);
    return 0;
}

void dns_stop(struct dns *d)
{
    d->udp = dns_serve_udp_stop(d->udp);
    d->tcp = dns_serve_tcp_stop(d->tcp);
    d->upstream = dns_upstream_free(d->upstream);
    d->forward = dns_forward_free(d->forward);
    d->stream = master_stream_free(d->stream);
    if (d->before_sleep)
        loop_before_sleep_remove(d->before_sleep);
    loop_timer_remove(d->cluster_timer);
    loop_timer_remove(d->forward_timer);
    d->lookup = lookup_free(d->lookup);
    dns_cluster_free(d->cluster);
    dns_book_free(d->book);
    dns_zone_publisher_free(d->publisher);
    if (d->arena)
        arena_free(d->arena);
}
