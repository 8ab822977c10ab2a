/* SPDX-License-Identifier: Apache-2.0
 * ports.c - reads what a task says about VIPs (facts: net-cron C.1): labels of its discovery ports, VIP_PORT labels of the
 * task itself, port mappings and addresses. Whatever cannot be used is left out alone; the rest of the task counts. */
#include <errno.h>
#include <stdlib.h>
#include <strings.h>

#include "common/base/check.h"
#include "lb/state.h"

static const char *label_value(const Mesos__V1__Label *label)
{
    return label->value ? label->value : "";
}

static struct lb_port *add_port(struct lb_task *task, uint8_t protocol, bool is_host, uint32_t number)
{
    for (size_t i = 0; i < task->port_count; i++) {
        struct lb_port *port = &task->ports[i];
        if (port->protocol == protocol && port->is_host == is_host && port->number == number)
            return port;
    }
    task->ports = xrealloc(task->ports, (task->port_count + 1) * sizeof(task->ports[0]));
    task->ports[task->port_count] = (struct lb_port){.protocol = protocol, .is_host = is_host, .number = (uint16_t)number};
    return &task->ports[task->port_count++];
}

static size_t count_vips(const struct lb_task *task)
{
    size_t count = 0;
    for (size_t i = 0; i < task->port_count; i++)
        count += task->ports[i].vip_count;
    return count;
}

static void reject(struct lb *lb, const struct lb_task *task, const char *value, const char *why)
{
    const char *id = strchr(task->key, '\n');
    lb->rejected_labels++;
    lb_trace(lb, "task %.255s: VIP %.255s is left out: %s", id ? id + 1 : task->key, value, why);
}

static void add_vip(struct lb *lb, struct lb_task *task, struct lb_port *port, const char *value)
{
    if (count_vips(task) >= LB_TASK_VIPS_MAX) {
        reject(lb, task, value, "the task has too many");
        return;
    }
    port->vips = xrealloc(port->vips, (port->vip_count + 1) * sizeof(port->vips[0]));
    port->vips[port->vip_count++] = xstrdup(value);
}

static int parse_protocol(const char *text, uint8_t *out)
{
    if (text != NULL && strcasecmp(text, "tcp") == 0)
        *out = LB_TCP;
    else if (text != NULL && strcasecmp(text, "udp") == 0)
        *out = LB_UDP;
    else
        return -EINVAL;
    return 0;
}

/* Upstream gives up on the whole task when the scope is odd; here only on the port. */
static int parse_scope(const Mesos__V1__Labels *labels, bool *is_host)
{
    *is_host = false;
    for (size_t i = 0; i < labels->n_labels; i++) {
        const Mesos__V1__Label *label = labels->labels[i];
        if (strcmp(label->key, "network-scope") != 0)
            continue;
        *is_host = strcmp(label_value(label), "host") == 0;
        if (!*is_host && strcmp(label_value(label), "container") != 0)
            return -EINVAL;
    }
    return 0;
}

static void read_discovery_port(struct lb *lb, struct lb_task *task, const Mesos__V1__Port *from)
{
    const Mesos__V1__Labels *labels = from->labels;
    for (size_t i = 0; labels != NULL && i < labels->n_labels; i++) {
        const char *value = label_value(labels->labels[i]);
        uint8_t protocol;
        bool is_host;
        if (!vip_is_port_label(labels->labels[i]->key))
            continue;
        if (from->number == 0 || from->number > UINT16_MAX)
            reject(lb, task, value, "its port has no usable number");
        else if (parse_protocol(from->protocol, &protocol) != 0)
            reject(lb, task, value, "the protocol of its port is neither tcp nor udp");
        else if (parse_scope(labels, &is_host) != 0)
            reject(lb, task, value, "network-scope is neither host nor container");
        else
            add_vip(lb, task, add_port(task, protocol, is_host, from->number), value);
    }
}

/* The index-th port among the task's port resources, 0 when there are fewer. */
static uint16_t offered_port(const Mesos__V1__Task *from, uint64_t index)
{
    for (size_t i = 0; i < from->n_resources; i++) {
        const Mesos__V1__Resource *resource = from->resources[i];
        if (strcmp(resource->name, "ports") != 0 || resource->ranges == NULL)
            continue;
        for (size_t k = 0; k < resource->ranges->n_range; k++) {
            const Mesos__V1__Value__Range *range = resource->ranges->range[k];
            if (range->end < range->begin || range->end > UINT16_MAX)
                continue;
            uint64_t width = range->end - range->begin + 1;
            if (index < width)
                return (uint16_t)(range->begin + index);
            index -= width;
        }
    }
    return 0;
}

static void read_task_label(struct lb *lb, struct lb_task *task, const Mesos__V1__Task *from, const Mesos__V1__Label *label)
{
    unsigned index;
    const char *value = label_value(label);
    if (!vip_is_task_label(label->key, &index))
        return;
    bool is_tcp = strncmp(value, "tcp://", 6) == 0;
    if (!is_tcp && strncmp(value, "udp://", 6) != 0) {
        reject(lb, task, value, "it starts with neither tcp:// nor udp://");
        return;
    }
    uint16_t number = offered_port(from, index);
    if (number == 0)
        reject(lb, task, value, "the task has no such port");
    else
        add_vip(lb, task, add_port(task, is_tcp ? LB_TCP : LB_UDP, true, number), value + 6);
}

static void add_mapping(struct lb_task *task, const char *protocol_text, uint32_t container_port, uint32_t host_port)
{
    uint8_t protocol = LB_TCP;
    if (protocol_text != NULL && parse_protocol(protocol_text, &protocol) != 0)
        return;
    if (container_port == 0 || container_port > UINT16_MAX || host_port == 0 || host_port > UINT16_MAX ||
        task->mapping_count >= 1024)
        return;
    for (size_t i = 0; i < task->mapping_count; i++)
        if (task->mappings[i].protocol == protocol && task->mappings[i].container_port == container_port)
            return;
    task->mappings = xrealloc(task->mappings, (task->mapping_count + 1) * sizeof(task->mappings[0]));
    task->mappings[task->mapping_count++] = (struct lb_mapping){protocol, (uint16_t)container_port, (uint16_t)host_port};
}

static void read_networks(struct lb_task *task, Mesos__V1__NetworkInfo *const *infos, size_t count)
{
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < infos[i]->n_port_mappings; k++) {
            const Mesos__V1__NetworkInfo__PortMapping *m = infos[i]->port_mappings[k];
            add_mapping(task, m->protocol, m->container_port, m->host_port);
        }
}

static void read_addresses(struct lb_task *task, Mesos__V1__NetworkInfo *const *infos, size_t count)
{
    struct lb_endpoint found[LB_TASK_ADDRESSES_MAX];
    size_t found_count = 0;
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < infos[i]->n_ip_addresses; k++) {
            const char *text = infos[i]->ip_addresses[k]->ip_address;
            struct lb_endpoint at = {0};
            if (text != NULL && found_count < LB_TASK_ADDRESSES_MAX && lb_endpoint_parse_ip(text, &at) == 0)
                found[found_count++] = at;
        }
    if (found_count == 0)
        return; /* a status without addresses says nothing about them */
    memcpy(task->addresses, found, found_count * sizeof(found[0]));
    task->address_count = found_count;
}

void lb_ports_read_status(struct lb_task *task, const Mesos__V1__TaskStatus *status)
{
    const Mesos__V1__ContainerStatus *container = status->container_status;
    if (container == NULL)
        return;
    read_addresses(task, container->network_infos, container->n_network_infos);
    read_networks(task, container->network_infos, container->n_network_infos);
}

void lb_ports_read(struct lb *lb, struct lb_task *task, const Mesos__V1__Task *from)
{
    lb_ports_free(task);
    if (from->discovery != NULL && from->discovery->ports != NULL)
        for (size_t i = 0; i < from->discovery->ports->n_ports; i++)
            read_discovery_port(lb, task, from->discovery->ports->ports[i]);
    for (size_t i = 0; from->labels != NULL && i < from->labels->n_labels; i++)
        read_task_label(lb, task, from, from->labels->labels[i]);
    const Mesos__V1__ContainerInfo *container = from->container;
    if (container != NULL) {
        for (size_t i = 0; container->docker != NULL && i < container->docker->n_port_mappings; i++) {
            const Mesos__V1__ContainerInfo__DockerInfo__PortMapping *m = container->docker->port_mappings[i];
            add_mapping(task, m->protocol, m->container_port, m->host_port);
        }
        read_networks(task, container->network_infos, container->n_network_infos);
    }
    for (size_t i = 0; i < from->n_statuses; i++) /* oldest first: the newest address stays */
        lb_ports_read_status(task, from->statuses[i]);
}

void lb_ports_free(struct lb_task *task)
{
    for (size_t i = 0; i < task->port_count; i++) {
        for (size_t k = 0; k < task->ports[i].vip_count; k++)
            free(task->ports[i].vips[k]);
        free(task->ports[i].vips);
    }
    free(task->ports);
    free(task->mappings);
    task->ports = NULL;
    task->mappings = NULL;
    task->port_count = task->mapping_count = task->address_count = 0;
}
