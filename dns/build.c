/* SPDX-License-Identifier: Apache-2.0
 * build.c - which records each entity has: Mesos-DNS (facts: net-cron A.3, A.4) and the zones of DC/OS (B.2, B.3, C.3).
 * Only puts records; who owns them and when they are made is cluster.c's matter. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "dns/cluster_private.h"

#define NAME_SIZE 1024 /* of a name under construction; what is too long for DNS is refused by the book */

#define DCOS_ZONE "dcos.thisdcos.directory"

static void put_ips(struct dns_cluster *c, const struct dns_cluster_ips *ips, const char *name)
{
    for (uint32_t i = 0; ips && i < ips->count; i++)
        dns_book_put_ip(c->book, name, &ips->v[i]);
}

const struct dns_cluster_ips *dns_build_task_ips(struct dns_cluster *c, const struct dns_cluster_task *t)
{
    for (size_t i = 0; i < c->naming->source_count; i++) {
        enum dns_cluster_source source = c->naming->sources[i];
        const struct dns_cluster_ips *ips = source == CLUSTER_HOST ? dns_cluster_host_ips(t->agent->host) : &t->ips[source];
        if (ips && ips->count > 0)
            return ips;
    }
    return NULL;
}

/* -- Mesos-DNS -------------------------------------------------------------------------------------------------- */

/* A task under one of its names. */
struct naming {
    struct dns_cluster *c;
    const struct dns_cluster_task *task;
    const char *name; /* first label, or several when it is a raw discovery name */
    char canonical[NAME_SIZE];
    const char *framework; /* with the domain: "marathon.mesos" */
    const char *slave;     /* "marathon.slave.mesos" */
};

static void put_srv(const struct naming *n, const char *prefix, const char *protocol, const char *zone,
                    const char *target_zone, uint16_t port)
{
    char name[NAME_SIZE], target[NAME_SIZE];
    if (snprintf(name, sizeof(name), "%s_%s._%s.%s", prefix, n->name, protocol, zone) >= (int)sizeof(name) ||
        snprintf(target, sizeof(target), "%s.%s", n->canonical, target_zone) >= (int)sizeof(target))
        dns_book_leave_out(n->c->book); /* too long for DNS in any case, here and below */
    else
        dns_book_put_srv(n->c->book, name, target, port);
}

static void put_both(const struct naming *n, const char *prefix, const char *zone, const char *target_zone, uint16_t port)
{
    put_srv(n, prefix, "tcp", zone, target_zone, port);
    put_srv(n, prefix, "udp", zone, target_zone, port);
}

static void put_resource_ports(const struct naming *n)
{
    unsigned count = 0;
    for (uint32_t r = 0; r < n->task->range_count; r++)
        for (unsigned port = n->task->ranges[r].first; port <= n->task->ranges[r].last; port++) {
            if (count++ == CLUSTER_PORTS_MAX)
                return;
            put_both(n, "", n->slave, n->slave, (uint16_t)port);
            if (!n->task->discovery_name)
                put_both(n, "", n->framework, n->slave, (uint16_t)port);
        }
}

static void put_discovery_port(const struct naming *n, const struct dns_cluster_port *port, const char *prefix)
{
    char protocol[DNS_LABEL_MAX + 1] = "";
    if (port->protocol)
        (void)dns_label(n->c->naming->style, port->protocol, protocol);
    if (protocol[0] == '\0')
        put_both(n, prefix, n->framework, n->framework, port->number);
    else
        put_srv(n, prefix, protocol, n->framework, n->framework, port->number);
}

static void put_discovery_ports(const struct naming *n)
{
    for (uint32_t i = 0; n->task->discovery_name && i < n->task->port_count; i++) {
        const struct dns_cluster_port *port = &n->task->ports[i];
        put_discovery_port(n, port, "");
        if (port->name) {
            char prefix[DNS_TEXT_SIZE];
            if (snprintf(prefix, sizeof(prefix), "_%s.", port->name) < (int)sizeof(prefix))
                put_discovery_port(n, port, prefix);
            else
                dns_book_leave_out(n->c->book);
        }
    }
}

static void put_name_ips(const struct naming *n, const char *name)
{
    char full[NAME_SIZE];
    if (snprintf(full, sizeof(full), "%s.%s", name, n->slave) >= (int)sizeof(full)) { /* the longer one */
        dns_book_leave_out(n->c->book);
        return;
    }
    put_ips(n->c, dns_cluster_host_ips(n->task->agent->host), full);
    (void)snprintf(full, sizeof(full), "%s.%s", name, n->framework);
    put_ips(n->c, dns_build_task_ips(n->c, n->task), full);
}

/* <name>-<hash>-<agent>, one label as far as the name is one. A long name is cut to make room: the hash tells the tasks
 * apart, and without the canonical name there would be no service records (Mesos-DNS makes a label that cannot be sent). */
static bool make_canonical(struct naming *n)
{
    char hash[DNS_TASK_HASH_SIZE], tail[DNS_LABEL_MAX + 1], end[DNS_TASK_HASH_SIZE + DNS_LABEL_MAX + 3];
    dns_task_hash(n->task->id, hash);
    dns_agent_tail(n->task->agent->id, tail);
    int end_len = snprintf(end, sizeof(end), "-%s-%s", hash, tail); /* it fits */
    size_t len = strlen(n->name);
    if (!strchr(n->name, '.') && end_len <= DNS_LABEL_MAX && len + (size_t)end_len > DNS_LABEL_MAX)
        len = DNS_LABEL_MAX - (size_t)end_len;
    return snprintf(n->canonical, sizeof(n->canonical), "%.*s%s", (int)len, n->name, end) < (int)sizeof(n->canonical);
}

static void put_task_under(struct naming *n, const char *name)
{
    n->name = name;
    if (!make_canonical(n)) {
        dns_book_leave_out(n->c->book);
        return;
    }
    put_name_ips(n, n->name);
    put_name_ips(n, n->canonical);
    put_resource_ports(n);
    put_discovery_ports(n);
}

/* An address that only this task has points back to it. */
static void put_reverse(const struct naming *n)
{
    char target[NAME_SIZE];
    const struct dns_cluster_ips *ips = dns_build_task_ips(n->c, n->task),
                                 *host = dns_cluster_host_ips(n->task->agent->host);
    if (snprintf(target, sizeof(target), "%s.%s", n->canonical, n->framework) >= (int)sizeof(target))
        return;
    for (uint32_t i = 0; ips && ips != host && i < ips->count; i++) {
        bool is_shared = ips->v[i].bytes[0] == 127 && ips->v[i].size == 4;
        for (uint32_t h = 0; host && h < host->count && !is_shared; h++)
            is_shared = host->v[h].size == ips->v[i].size && memcmp(host->v[h].bytes, ips->v[i].bytes, ips->v[i].size) == 0;
        if (!is_shared)
            dns_book_put_ptr(n->c->book, &ips->v[i], target);
    }
}

static void put_mesos_task(struct dns_cluster *c, const struct dns_cluster_task *t)
{
    char fragment[DNS_NAME_MAX + 1], framework[NAME_SIZE], slave[NAME_SIZE], label[DNS_LABEL_MAX + 1];
    if (dns_domain_fragment(c->naming->style, t->framework->name, fragment) == 0) {
        dns_book_leave_out(c->book); /* its tasks could be called leader.mesos */
        return;
    }
    (void)snprintf(framework, sizeof(framework), "%s.%s", fragment, c->naming->domain); /* both are short */
    (void)snprintf(slave, sizeof(slave), "%s.slave.%s", fragment, c->naming->domain);
    struct naming n = {.c = c, .task = t, .framework = framework, .slave = slave};
    (void)dns_label(c->naming->style, t->discovery_name ? t->discovery_name : t->name, label);
    if (t->discovery_name && strcmp(t->discovery_name, label) != 0)
        put_task_under(&n, t->discovery_name); /* raw: what older clients ask for */
    put_task_under(&n, label);
    put_reverse(&n);
}

/* -- DC/OS ------------------------------------------------------------------------------------------------------ */

static void put_dcos_task(struct dns_cluster *c, const struct dns_cluster_task *t)
{
    char task[VIP_LABEL_MAX + 1], framework[VIP_LABEL_MAX + 1], name[NAME_SIZE];
    const char *text = t->discovery_name ? t->discovery_name : t->name;
    (void)vip_label(text, strlen(text), task);
    (void)vip_label(t->framework->name, strlen(t->framework->name), framework);
    const struct dns_cluster_ips *host = dns_cluster_host_ips(t->agent->host), *own = &t->ips[CLUSTER_NETINFO];
    struct {
        const char *zone;
        const struct dns_cluster_ips *ips;
    } rows[] = {{"agentip", host}, {"containerip", own}, {"autoip", t->has_host_port || own->count == 0 ? host : own}};
    for (size_t i = 0; i < 3; i++) {
        (void)snprintf(name, sizeof(name), "%s.%s.%s." DCOS_ZONE, task, framework, rows[i].zone); /* labels are short */
        put_ips(c, rows[i].ips, name);
    }
}

void dns_build_vip(struct dns_cluster *c, const struct dns_cluster_vip *v)
{
    char name[NAME_SIZE];
    struct dns_ip ip;
    (void)snprintf(name, sizeof(name), "%s.l4lb.thisdcos.directory", v->name); /* at most VIP_NAME_MAX and that */
    if (v->count4 > 0 && v->has_address4) {
        ip.size = 4;
        for (unsigned i = 0; i < 4; i++)
            ip.bytes[i] = (uint8_t)(v->address4 >> (24 - 8 * i));
        dns_book_put_ip(c->book, name, &ip);
    }
    if (v->count6 > 0) {
        ip.size = 16;
        vip_name_address6(v->name, ip.bytes);
        dns_book_put_ip(c->book, name, &ip);
    }
}

/* -- entities --------------------------------------------------------------------------------------------------- */

void dns_build_task(struct dns_cluster *c, const struct dns_cluster_task *t)
{
    if (!t->is_running || !t->agent->is_listed || !t->framework->name || (t->is_unhealthy && !c->naming->serves_unhealthy))
        return;
    put_mesos_task(c, t);
    if (c->naming->has_dcos)
        put_dcos_task(c, t);
}

void dns_build_agent(struct dns_cluster *c, const struct dns_cluster_agent *a)
{
    char name[NAME_SIZE], service[NAME_SIZE];
    const struct dns_cluster_ips *ips = dns_cluster_host_ips(a->host);
    if (!a->is_listed || !ips || ips->count == 0)
        return;
    (void)snprintf(name, sizeof(name), "slave.%s", c->naming->domain); /* a checked domain */
    (void)snprintf(service, sizeof(service), "_slave._tcp.%s", c->naming->domain);
    put_ips(c, ips, name);
    if (a->port > 0)
        dns_book_put_srv(c->book, service, name, a->port);
    for (uint32_t i = 0; i < ips->count; i++)
        if (ips->v[i].size != 4 || ips->v[i].bytes[0] != 127)
            dns_book_put_ptr(c->book, &ips->v[i], name);
}

/* Names that clients trust to be the cluster's own parts. */
static bool is_reserved(const struct dns_cluster *c, const char *fragment, const char *name)
{
    return strcmp(fragment, "leader") == 0 || strcmp(fragment, "slave") == 0 ||
           strcasecmp(name, c->naming->soa_mname) == 0 ||
           (strncmp(fragment, "master", 6) == 0 && strspn(fragment + 6, "0123456789") == strlen(fragment + 6));
}

/* The event stream has no process ids of frameworks (they speak the HTTP API, which has none), hence no port and no service
 * record. */
void dns_build_framework(struct dns_cluster *c, const struct dns_cluster_framework *f)
{
    char fragment[DNS_NAME_MAX + 1], name[NAME_SIZE];
    if (!f->is_listed || !f->name || dns_domain_fragment(c->naming->style, f->name, fragment) == 0)
        return;
    (void)snprintf(name, sizeof(name), "%s.%s", fragment, c->naming->domain); /* both are short */
    if (is_reserved(c, fragment, name))
        dns_book_leave_out(c->book);
    else
        put_ips(c, dns_cluster_host_ips(f->host), name);
}

static void put_masters(struct dns_cluster *c)
{
    const char *domain = c->naming->domain;
    char name[NAME_SIZE], leader[NAME_SIZE];
    for (size_t i = 0; i < c->master_count; i++) {
        (void)snprintf(name, sizeof(name), "master.%s", domain); /* a checked domain, here and below */
        dns_book_put_ip(c->book, name, &c->masters[i].ip);
        (void)snprintf(name, sizeof(name), "master%zu.%s", i, domain);
        dns_book_put_ip(c->book, name, &c->masters[i].ip);
        if (c->naming->has_dcos)
            dns_book_put_ip(c->book, "master." DCOS_ZONE, &c->masters[i].ip);
    }
    for (size_t i = 0; c->naming->has_dcos && c->master_count > 0 && i < 5; i++) {
        (void)snprintf(name, sizeof(name), "zk-%zu.zk", i + 1);
        dns_book_put_ip(c->book, name, &c->masters[i % c->master_count].ip);
    }
    if (!c->has_leader)
        return;
    (void)snprintf(leader, sizeof(leader), "leader.%s", domain);
    dns_book_put_ip(c->book, leader, &c->leader.ip);
    (void)snprintf(name, sizeof(name), "_leader._tcp.%s", domain);
    dns_book_put_srv(c->book, name, leader, c->leader.port);
    (void)snprintf(name, sizeof(name), "_leader._udp.%s", domain);
    dns_book_put_srv(c->book, name, leader, c->leader.port);
    if (c->naming->has_dcos)
        dns_book_put_ip(c->book, "leader." DCOS_ZONE, &c->leader.ip);
}

void dns_build_static(struct dns_cluster *c)
{
    static const struct dns_ip loopback = {4, {127, 0, 0, 1}}, name_server = {4, {198, 51, 100, 1}};
    const struct dns_cluster_naming *naming = c->naming;
    put_masters(c);
    for (size_t i = 0; i < naming->own_ip_count; i++)
        dns_book_put_ip(c->book, naming->soa_mname, &naming->own_ips[i]);
    if (!naming->has_dcos)
        return;
    dns_book_put_ip(c->book, "ready.spartan", &loopback);
    dns_book_put_ip(c->book, "ns.spartan", &name_server);
    dns_book_put_ip(c->book, "localhost", &loopback);
    for (size_t i = 0; i < naming->node_ip_count; i++)
        dns_book_put_ip(c->book, "thisnode.thisdcos.directory", &naming->node_ips[i]);
    for (size_t i = 0; i < naming->public_ip_count; i++)
        dns_book_put_ip(c->book, "public.thisnode.thisdcos.directory", &naming->public_ips[i]);
}
