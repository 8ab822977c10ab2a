/* SPDX-License-Identifier: Apache-2.0
 * cluster_read.c - what naming needs of a task's messages, copied and bounded (facts: net-cron A.4, B.3, C.1). */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/base/check.h"
#include "dns/cluster_private.h"

#define STATE(name) MESOS__V1__TASK_STATE__TASK_##name

bool dns_cluster_state_is_terminal(Mesos__V1__TaskState state)
{
    switch (state) {
    case STATE(FINISHED):
    case STATE(FAILED):
    case STATE(KILLED):
    case STATE(LOST):
    case STATE(ERROR):
    case STATE(DROPPED):
    case STATE(GONE):
    case STATE(GONE_BY_OPERATOR):
        return true;
    default:
        return false;
    }
}

static void add_ip(struct dns_cluster_ips *ips, const char *text)
{
    struct dns_ip ip = {.size = 4};
    if (!text || ips->count == CLUSTER_IPS_MAX)
        return;
    if (inet_pton(AF_INET, text, ip.bytes) != 1) {
        ip.size = 16;
        if (inet_pton(AF_INET6, text, ip.bytes) != 1)
            return;
    }
    ips->v = xrealloc(ips->v, (ips->count + 1) * sizeof(*ips->v));
    ips->v[ips->count++] = ip;
}

static void add_labelled_ips(struct dns_cluster_ips *ips, const Mesos__V1__Labels *labels, const char *key)
{
    for (size_t i = 0; labels && i < labels->n_labels; i++)
        if (strcmp(labels->labels[i]->key, key) == 0)
            add_ip(ips, labels->labels[i]->value);
}

static bool has_port_mappings(const Mesos__V1__ContainerInfo *container, const Mesos__V1__ContainerStatus *status)
{
    if (container && container->docker && container->docker->n_port_mappings > 0)
        return true;
    for (size_t i = 0; container && i < container->n_network_infos; i++)
        if (container->network_infos[i]->n_port_mappings > 0)
            return true;
    for (size_t i = 0; status && i < status->n_network_infos; i++)
        if (status->network_infos[i]->n_port_mappings > 0)
            return true;
    return false;
}

static void clear_ips(struct dns_cluster_task *t)
{
    for (unsigned s = 0; s < CLUSTER_HOST; s++) {
        free(t->ips[s].v);
        t->ips[s] = (struct dns_cluster_ips){0};
    }
}

/* The newest running status decides about the addresses. */
static void read_running_status(struct dns_cluster_task *t, const Mesos__V1__TaskStatus *status)
{
    double time = status->has_timestamp ? status->timestamp : 0;
    if (status->state != STATE(RUNNING) || time < t->running_time)
        return;
    const Mesos__V1__ContainerStatus *container = status->container_status;
    t->running_time = time;
    clear_ips(t);
    for (size_t i = 0; container && i < container->n_network_infos; i++)
        for (size_t a = 0; a < container->network_infos[i]->n_ip_addresses; a++)
            add_ip(&t->ips[CLUSTER_NETINFO], container->network_infos[i]->ip_addresses[a]->ip_address);
    add_labelled_ips(&t->ips[CLUSTER_MESOS], status->labels, "MesosContainerizer.NetworkSettings.IPAddress");
    add_labelled_ips(&t->ips[CLUSTER_DOCKER], status->labels, "Docker.NetworkSettings.IPAddress");
    t->has_host_port = t->has_host_port || has_port_mappings(NULL, container);
    t->is_unhealthy = status->has_healthy && !status->healthy;
}

void dns_cluster_read_state(struct dns_cluster_task *t, Mesos__V1__TaskState state, const Mesos__V1__TaskStatus *status)
{
    t->is_running = state == STATE(RUNNING);
    t->is_killing = state == STATE(KILLING);
    if (status)
        read_running_status(t, status);
}

static bool is_on_host(const Mesos__V1__Port *port)
{
    for (size_t i = 0; port->labels && i < port->labels->n_labels; i++) {
        const Mesos__V1__Label *label = port->labels->labels[i];
        if (strcmp(label->key, "network-scope") == 0)
            return label->value && strcmp(label->value, "host") == 0;
    }
    return false;
}

static void add_vip(struct dns_cluster_task *t, const char *value, bool is_host_port)
{
    struct vip_value vip;
    if (!value || t->vip_count == CLUSTER_VIPS_MAX || vip_value_parse(value, &vip) < 0 || vip.is_ip)
        return;
    t->vips = xrealloc(t->vips, (t->vip_count + 1) * sizeof(*t->vips));
    t->vips[t->vip_count++] = (struct dns_cluster_task_vip){xstrndup(vip.name, vip.name_len), is_host_port};
}

/* Is the container's port mapped on the agent? */
static bool is_mapped(const Mesos__V1__ContainerInfo *container, uint32_t port)
{
    if (container && container->docker)
        for (size_t i = 0; i < container->docker->n_port_mappings; i++)
            if (container->docker->port_mappings[i]->container_port == port ||
                container->docker->port_mappings[i]->host_port == port)
                return true;
    for (size_t i = 0; container && i < container->n_network_infos; i++)
        for (size_t m = 0; m < container->network_infos[i]->n_port_mappings; m++)
            if (container->network_infos[i]->port_mappings[m]->container_port == port ||
                container->network_infos[i]->port_mappings[m]->host_port == port)
                return true;
    return false;
}

static char *copy_or_null(const char *text)
{
    return text && text[0] != '\0' ? xstrdup(text) : NULL;
}

static void read_discovery(struct dns_cluster_task *t, const Mesos__V1__Task *from)
{
    const Mesos__V1__DiscoveryInfo *discovery = from->discovery;
    if (!discovery)
        return;
    t->discovery_name = copy_or_null(discovery->name);
    size_t count = discovery->ports ? discovery->ports->n_ports : 0;
    if (count > CLUSTER_PORTS_MAX)
        count = CLUSTER_PORTS_MAX;
    t->ports = count > 0 ? xcalloc(count, sizeof(*t->ports)) : NULL;
    for (size_t i = 0; i < count; i++) {
        const Mesos__V1__Port *port = discovery->ports->ports[i];
        if (port->number > UINT16_MAX)
            continue;
        t->ports[t->port_count++] =
            (struct dns_cluster_port){(uint16_t)port->number, copy_or_null(port->name), copy_or_null(port->protocol)};
        bool on_host = is_on_host(port);
        t->has_host_port = t->has_host_port || on_host;
        for (size_t l = 0; port->labels && l < port->labels->n_labels && port->number > 0; l++)
            if (vip_is_port_label(port->labels->labels[l]->key))
                add_vip(t, port->labels->labels[l]->value, on_host || is_mapped(from->container, port->number));
    }
}

static void read_task_vips(struct dns_cluster_task *t, const Mesos__V1__Labels *labels)
{
    unsigned index;
    for (size_t i = 0; labels && i < labels->n_labels; i++) {
        const char *value = labels->labels[i]->value;
        if (!value || !vip_is_task_label(labels->labels[i]->key, &index))
            continue;
        if (strncasecmp(value, "tcp://", 6) == 0 || strncasecmp(value, "udp://", 6) == 0)
            add_vip(t, value + 6, true); /* it is the index of an offered host port */
    }
}

static void read_port_resources(struct dns_cluster_task *t, const Mesos__V1__Task *from)
{
    for (size_t i = 0; i < from->n_resources; i++) {
        const Mesos__V1__Resource *resource = from->resources[i];
        if (strcmp(resource->name, "ports") != 0 || !resource->ranges)
            continue;
        for (size_t r = 0; r < resource->ranges->n_range; r++) {
            const Mesos__V1__Value__Range *range = resource->ranges->range[r];
            if (range->begin > range->end || range->end > UINT16_MAX || t->range_count == CLUSTER_PORTS_MAX)
                continue;
            t->ranges = xrealloc(t->ranges, (t->range_count + 1) * sizeof(*t->ranges));
            t->ranges[t->range_count++] = (struct dns_cluster_port_range){(uint16_t)range->begin, (uint16_t)range->end};
        }
    }
}

void dns_cluster_task_clear(struct dns_cluster_task *t)
{
    clear_ips(t);
    free(t->id);
    free(t->name);
    free(t->discovery_name);
    for (uint32_t i = 0; i < t->port_count; i++) {
        free(t->ports[i].name);
        free(t->ports[i].protocol);
    }
    free(t->ports);
    free(t->ranges);
    for (uint32_t i = 0; i < t->vip_count; i++)
        free(t->vips[i].label);
    free(t->vips);
    t->id = t->name = t->discovery_name = NULL;
    t->ports = NULL;
    t->ranges = NULL;
    t->vips = NULL;
    t->port_count = t->range_count = t->vip_count = 0;
}

void dns_cluster_read_task(struct dns_cluster_task *t, const Mesos__V1__Task *from)
{
    dns_cluster_task_clear(t);
    t->id = xstrdup(from->task_id->value);
    t->name = xstrdup(from->name);
    t->running_time = -1;
    t->is_unhealthy = false;
    t->has_host_port = has_port_mappings(from->container, NULL);
    read_discovery(t, from);
    read_task_vips(t, from->labels);
    read_port_resources(t, from);
    for (size_t i = 0; i < from->n_statuses; i++)
        read_running_status(t, from->statuses[i]);
    dns_cluster_read_state(t, from->state, NULL);
}
