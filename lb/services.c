/* SPDX-License-Identifier: Apache-2.0
 * services.c - VIPs, the addresses of named ones, and the changes that the data plane is told. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/check.h"
#include "lb/state.h"

static struct lb_service *reject(struct lb *lb, const struct lb_task *task, const char *value, const char *why)
{
    const char *id = strchr(task->key, '\n');
    lb->rejected_labels++;
    lb_trace(lb, "task %.255s: VIP %.255s is left out: %s", id ? id + 1 : task->key, value, why);
    return NULL;
}

/* An address given in a label must not take over traffic that is somebody else's: this machine's own services, the
 * addresses of names, or everybody's. */
static const char *is_forbidden(const struct lb *lb, const struct lb_endpoint *vip)
{
    static const uint8_t zero[16], loopback6[16] = {[15] = 1};
    if (vip->is_ipv6) {
        if (memcmp(vip->ip, zero, 16) == 0 || memcmp(vip->ip, loopback6, 16) == 0 || vip->ip[0] == 0xff ||
            (vip->ip[0] == 0xfe && (vip->ip[1] & 0xc0) == 0x80))
            return "it is no address for a service";
        return NULL;
    }
    uint32_t address = lb_endpoint_ipv4(vip);
    if (address >= lb->config.range.first && address <= lb->config.range.last)
        return "the address is in the range of named VIPs";
    if (address >> 24 == 0 || address >> 24 == 127 || address >> 28 >= 0xe || address >> 16 == 0xa9fe)
        return "it is no address for a service";
    return NULL;
}

static bool is_agent_address(const struct lb *lb, const struct lb_endpoint *vip)
{
    for (struct map_entry *e = map_first(&lb->agents); e != NULL; e = map_next(e)) {
        const struct lb_agent *agent = map_value(e);
        if (agent->has_address && agent->address.is_ipv6 == vip->is_ipv6 && memcmp(agent->address.ip, vip->ip, 16) == 0)
            return true;
    }
    return false;
}

static struct lb_service *new_service(struct lb *lb, const char *key, struct lb_endpoint vip)
{
    struct lb_service *service = xcalloc(1, sizeof(*service));
    service->key = xstrdup(key);
    service->vip = vip;
    list_init(&service->shares);
    list_init(&service->in_name);
    list_init(&service->in_dirty);
    (void)map_put(&lb->services, key, service); /* was not there */
    return service;
}

static struct lb_service *get_by_address(struct lb *lb, const struct lb_task *task, const char *text,
                                         const struct vip_value *value, struct lb_endpoint vip)
{
    char key[LB_ENDPOINT_TEXT_SIZE + 16], printed[LB_ENDPOINT_TEXT_SIZE];
    if (vip.is_ipv6 != value->is_ipv6)
        return NULL; /* a back end of the other family: nothing to balance it with */
    memcpy(vip.ip, value->ip, value->is_ipv6 ? 16 : 4);
    lb_endpoint_format(&vip, printed);
    (void)snprintf(key, sizeof(key), "%s %s", lb_protocol_name(vip.protocol), printed); /* fits */
    struct lb_service *service = map_get(&lb->services, key);
    if (service != NULL)
        return service;
    const char *why = is_forbidden(lb, &vip);
    if (why == NULL && is_agent_address(lb, &vip))
        why = "the address is an agent's";
    return why != NULL ? reject(lb, task, text, why) : new_service(lb, key, vip);
}

static struct lb_name *get_name(struct lb *lb, const char *text)
{
    struct lb_name *name = map_get(&lb->names, text);
    if (name != NULL)
        return name;
    name = xcalloc(1, sizeof(*name));
    name->name = xstrdup(text);
    list_init(&name->services);
    (void)map_put(&lb->names, text, name); /* was not there */
    return name;
}

static struct lb_service *get_by_name(struct lb *lb, const struct lb_task *task, const char *text,
                                      const struct vip_value *value, struct lb_endpoint vip)
{
    char label[VIP_NAME_MAX + 1], clean[VIP_NAME_MAX + 1], key[VIP_NAME_MAX + 32];
    if (vip.is_ipv6 && !lb->config.has_ipv6)
        return NULL;
    if (value->name_len > VIP_NAME_MAX)
        return reject(lb, task, text, "the name is too long");
    (void)snprintf(label, sizeof(label), "%.*s", (int)value->name_len, value->name); /* fits */
    if (vip_name_clean(label, task->framework->name, clean) != 0)
        return reject(lb, task, text, "nothing is left of the name, or it is too long");
    (void)snprintf(key, sizeof(key), "%s%c %s:%u", lb_protocol_name(vip.protocol), vip.is_ipv6 ? '6' : '4', clean,
                   vip.port); /* fits */
    struct lb_service *service = map_get(&lb->services, key);
    if (service != NULL)
        return service;
    if (vip.is_ipv6) {
        vip_name_address6(clean, vip.ip);
    } else {
        uint32_t address;
        if (vip_names_add(lb->addresses, clean, &address) != 0)
            return reject(lb, task, text, "no address is left for its name");
        vip = lb_endpoint_of_ipv4(vip.protocol, address, vip.port);
    }
    service = new_service(lb, key, vip);
    service->name = get_name(lb, clean);
    list_push_back(&service->name->services, &service->in_name);
    lb_service_changed(lb, service);
    return service;
}

struct lb_service *lb_service_get(struct lb *lb, const struct lb_task *task, const char *text, uint8_t protocol,
                                  bool is_ipv6)
{
    struct vip_value value;
    if (vip_value_parse(text, &value) != 0)
        return reject(lb, task, text, "it is not <name or address>:<port>");
    struct lb_endpoint vip = {.protocol = protocol, .is_ipv6 = is_ipv6, .port = value.port};
    return value.is_ip ? get_by_address(lb, task, text, &value, vip) : get_by_name(lb, task, text, &value, vip);
}

void lb_services_moved(void *ctx, const char *text, uint32_t address)
{
    struct lb *lb = ctx;
    struct lb_name *name = map_get(&lb->names, text);
    if (name == NULL)
        return;
    list_for_each(it, &name->services)
    {
        struct lb_service *service = container_of(it, struct lb_service, in_name);
        if (service->vip.is_ipv6)
            continue;
        service->vip = lb_endpoint_of_ipv4(service->vip.protocol, address, service->vip.port);
        lb_service_changed(lb, service);
    }
}

void lb_service_changed(struct lb *lb, struct lb_service *service)
{
    if (list_is_empty(&service->in_dirty))
        list_push_back(&lb->dirty, &service->in_dirty);
}

void lb_service_free(struct lb *lb, struct lb_service *service)
{
    struct lb_name *name = service->name;
    CHECK(list_is_empty(&service->shares));
    list_remove(&service->in_dirty);
    list_remove(&service->in_name);
    (void)map_remove(&lb->services, service->key);
    if (name != NULL && !service->vip.is_ipv6)
        vip_names_remove(lb->addresses, name->name);
    if (name != NULL && list_is_empty(&name->services)) {
        (void)map_remove(&lb->names, name->name);
        free(name->name);
        free(name);
    }
    free(service->applied);
    free(service->key);
    free(service);
}

/* -- flush ------------------------------------------------------------------------------------------------------- */

static int compare_backends(const void *a, const void *b)
{
    const struct lb_backend *x = a, *y = b;
    int result = lb_endpoint_compare(&x->at, &y->at);
    return result ? result : (int)x->is_draining - (int)y->is_draining; /* of twins the one in use comes first */
}

/* Checks say who is down; when they say it of all, they are not believed. */
static bool is_anyone_up(const struct lb_service *service)
{
    list_for_each(it, &service->shares)
    {
        const struct lb_share *share = container_of(it, struct lb_share, in_service);
        if (!share->backend.is_draining && (share->target == NULL || !share->target->is_down))
            return true;
    }
    return false;
}

static struct lb_backend *gather(const struct lb_service *service, size_t *out_count)
{
    size_t count = 0, kept = 0;
    bool checks_count = is_anyone_up(service);
    list_for_each(it, &service->shares) count++;
    struct lb_backend *backends = xcalloc(count + 1, sizeof(backends[0]));
    count = 0;
    list_for_each(it, &service->shares)
    {
        const struct lb_share *share = container_of(it, struct lb_share, in_service);
        backends[count] = share->backend;
        if (checks_count && share->target != NULL && share->target->is_down)
            backends[count].is_draining = true;
        count++;
    }
    qsort(backends, count, sizeof(backends[0]), compare_backends);
    for (size_t i = 0; i < count; i++)
        if (i == 0 || lb_endpoint_compare(&backends[i].at, &backends[kept - 1].at) != 0)
            backends[kept++] = backends[i];
    *out_count = kept;
    return backends;
}

static bool is_same(const struct lb_service *service, const struct lb_backend *backends, size_t count)
{
    if (!service->is_applied || service->applied_count != count ||
        lb_endpoint_compare(&service->vip, &service->applied_vip) != 0)
        return false;
    for (size_t i = 0; i < count; i++)
        if (compare_backends(&service->applied[i], &backends[i]) != 0)
            return false;
    return true;
}

static struct lb_change *add_change(struct lb_change *changes, size_t *count, const struct lb_service *service)
{
    struct lb_change *change = &changes[(*count)++];
    *change = (struct lb_change){.vip = service->vip, .name = service->name ? service->name->name : ""};
    return change;
}

/* What goes: VIPs without back ends, and the former addresses of names that moved. They come first, because another name
 * may get such an address in the same turn. */
static void flush_removals(struct lb *lb, struct lb_change *changes, size_t *count)
{
    list_for_each(it, &lb->dirty)
    {
        struct lb_service *service = container_of(it, struct lb_service, in_dirty);
        bool is_empty = list_is_empty(&service->shares);
        bool has_moved = lb_endpoint_compare(&service->vip, &service->applied_vip) != 0;
        if (!service->is_applied || (!is_empty && !has_moved))
            continue;
        struct lb_change *change = add_change(changes, count, service);
        change->vip = service->applied_vip;
        change->name = arena_strdup(lb->arena, change->name);
        change->is_removed = true;
        service->is_applied = false;
    }
}

static void free_empty(struct lb *lb)
{
    struct list empty;
    list_init(&empty);
    list_for_each(it, &lb->dirty)
    {
        struct lb_service *service = container_of(it, struct lb_service, in_dirty);
        if (!list_is_empty(&service->shares))
            continue;
        list_remove(it);
        list_push_back(&empty, it);
    }
    while (!list_is_empty(&empty)) /* freeing may make others dirty: names move back */
        lb_service_free(lb, container_of(empty.next, struct lb_service, in_dirty));
}

void lb_services_flush(struct lb *lb)
{
    size_t count = 0, dirty_count = 0;
    /* Names leave first: what they move becomes dirty and belongs to this flush. Removals are gathered on both sides of
     * it, so the room is for two changes a service. */
    list_for_each(it, &lb->dirty) dirty_count++;
    if (dirty_count == 0)
        return;
    struct lb_change *gone = xcalloc(dirty_count, sizeof(gone[0]));
    size_t gone_count = 0;
    flush_removals(lb, gone, &gone_count);
    free_empty(lb);
    dirty_count = 0;
    list_for_each(it, &lb->dirty) dirty_count++;
    struct lb_change *changes = arena_new_array(lb->arena, struct lb_change, gone_count + 2 * dirty_count + 1);
    if (gone_count > 0)
        memcpy(changes, gone, gone_count * sizeof(gone[0]));
    free(gone);
    count = gone_count;
    flush_removals(lb, changes, &count);
    for (struct list *it = list_pop_front(&lb->dirty); it != NULL; it = list_pop_front(&lb->dirty)) {
        struct lb_service *service = container_of(it, struct lb_service, in_dirty);
        size_t backend_count;
        struct lb_backend *backends = gather(service, &backend_count);
        if (is_same(service, backends, backend_count)) {
            free(backends);
            continue;
        }
        free(service->applied);
        service->applied = backends;
        service->applied_count = backend_count;
        service->applied_vip = service->vip;
        service->is_applied = true;
        struct lb_change *change = add_change(changes, &count, service);
        change->backends = backends; /* the service keeps them until its next flush */
        change->backend_count = backend_count;
    }
    if (count == 0)
        return;
    struct lb_effect *effect = lb_effect(lb, LB_EFFECT_CHANGES);
    effect->changes.items = changes;
    effect->changes.count = count;
}
