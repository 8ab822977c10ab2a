/* SPDX-License-Identifier: Apache-2.0
 * plane_ebpf.c - connect-time rewriting as a data plane: which slots each VIP has. A VIP's slots are one block; a change
 * writes a new block and then swaps the VIP's entry, so that a program sees the old or the new one. The old block is not
 * used again for a while: a program may be about to read it.
 *
 * Connections that are open go straight to their instance and are none of ours; a connected UDP socket keeps its instance
 * until it connects again. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/base/check.h"
#include "common/base/list.h"
#include "common/base/log.h"
#include "common/base/map.h"
#include "lb/ebpf_kernel.h"
#include "lb/plane.h"

#define QUARANTINE_MS 1000
#define CLASSES 18 /* blocks of 1, 2, 4 ... 131,072 slots */
#define NO_BLOCK UINT32_MAX

struct backend {
    struct lb_endpoint at;
    uint32_t counter;
    bool is_open;
};

struct vip {
    struct lb_endpoint at;
    struct ebpf_vip value;
    unsigned class;
    struct backend *backends; /* sorted as the plan's */
    size_t backend_count;
    char problem[160];
    bool is_there; /* the kernel has value */
};

struct free_block {
    struct list in_list;
    uint32_t first;
    unsigned class;
    int64_t free_at_ms;
};

struct ebpf {
    struct lb_plane plane;
    struct ebpf_kernel kernel;
    bool is_attached;
    struct map vips; /* struct vip by endpoint */
    struct list free[CLASSES], quarantine;
    uint32_t slots_used;
    uint32_t *counters; /* free ones */
    size_t counter_count, counter_capacity;
    uint32_t counters_used;
    uint32_t revision;
};

static struct ebpf *of(struct lb_plane *p)
{
    return container_of(p, struct ebpf, plane);
}

static int64_t now_ms(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t); /* cannot fail */
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static struct ebpf_address address_of(const struct lb_endpoint *e)
{
    struct ebpf_address a = {
        .port = htons(e->port), .protocol = e->protocol == LB_TCP ? IPPROTO_TCP : IPPROTO_UDP, .is_ipv6 = e->is_ipv6};
    memcpy(a.ip, e->ip, sizeof(a.ip));
    return a;
}

/* -- slots ---------------------------------------------------------------------------------------------------------- */

static void end_quarantine(struct ebpf *e)
{
    int64_t now = now_ms();
    while (!list_is_empty(&e->quarantine)) {
        struct free_block *b = container_of(e->quarantine.next, struct free_block, in_list);
        if (b->free_at_ms > now)
            break;
        list_remove(&b->in_list);
        list_push_back(&e->free[b->class], &b->in_list);
    }
}

/* NO_BLOCK: there is no room. */
static uint32_t take_block(struct ebpf *e, unsigned class)
{
    end_quarantine(e);
    if (!list_is_empty(&e->free[class])) {
        struct free_block *b = container_of(e->free[class].next, struct free_block, in_list);
        uint32_t first = b->first;
        list_remove(&b->in_list);
        free(b);
        return first;
    }
    uint32_t size = UINT32_C(1) << class;
    if (size > e->kernel.slot_count - e->slots_used)
        return NO_BLOCK;
    uint32_t first = e->slots_used;
    e->slots_used += size;
    return first;
}

static void give_block(struct ebpf *e, uint32_t first, unsigned class)
{
    struct free_block *b = xcalloc(1, sizeof(*b));
    *b = (struct free_block){.first = first, .class = class, .free_at_ms = now_ms() + QUARANTINE_MS};
    list_init(&b->in_list);
    list_push_back(&e->quarantine, &b->in_list);
}

static unsigned class_of(size_t count)
{
    unsigned class = 0;
    while ((size_t)1 << class < count)
        class ++;
    return class;
}

/* -- counters ------------------------------------------------------------------------------------------------------- */

/* The last one is shared by all that come when there are no more. */
static uint32_t take_counter(struct ebpf *e)
{
    if (e->counter_count > 0) {
        uint32_t counter = e->counters[--e->counter_count];
        ebpf_kernel_reset_count(&e->kernel, counter);
        return counter;
    }
    return e->counters_used < e->kernel.slot_count - 1 ? e->counters_used++ : e->counters_used;
}

static void give_counter(struct ebpf *e, uint32_t counter)
{
    if (counter == e->kernel.slot_count - 1)
        return;
    if (e->counter_count == e->counter_capacity) {
        e->counter_capacity = e->counter_capacity > 0 ? 2 * e->counter_capacity : 64;
        e->counters = xrealloc(e->counters, e->counter_capacity * sizeof(*e->counters));
    }
    e->counters[e->counter_count++] = counter;
}

/* -- VIPs ----------------------------------------------------------------------------------------------------------- */

/* Both lists are sorted: those that stay keep their numbers. */
static void set_backends(struct ebpf *e, struct vip *v, const struct lb_backend *backends, size_t count)
{
    struct backend *fresh = xcalloc(count + 1, sizeof(*fresh));
    size_t old = 0;
    for (size_t i = 0; i < count; i++) {
        int order = 1;
        while (old < v->backend_count && (order = lb_endpoint_compare(&v->backends[old].at, &backends[i].at)) < 0)
            give_counter(e, v->backends[old++].counter);
        bool is_known = old < v->backend_count && order == 0;
        fresh[i] = (struct backend){.at = backends[i].at,
                                    .is_open = !backends[i].is_draining,
                                    .counter = is_known ? v->backends[old++].counter : take_counter(e)};
    }
    while (old < v->backend_count)
        give_counter(e, v->backends[old++].counter);
    free(v->backends);
    v->backends = fresh;
    v->backend_count = count;
}

/* Shows the kernel the VIP as it is. */
static int publish(struct ebpf *e, struct vip *v)
{
    struct ebpf_address at = address_of(&v->at);
    size_t open = 0;
    for (size_t i = 0; i < v->backend_count; i++)
        open += v->backends[i].is_open;
    unsigned class = class_of(open);
    uint32_t first = class < CLASSES ? take_block(e, class) : NO_BLOCK;
    if (first == NO_BLOCK) {
        (void)snprintf(v->problem, sizeof(v->problem), "no room for %zu more back ends: the table has %zu", open,
                       e->kernel.slot_count);
        return -ENOSPC;
    }
    uint32_t next = first;
    for (size_t i = 0; i < v->backend_count; i++)
        if (v->backends[i].is_open)
            e->kernel.slot[next++] =
                (struct ebpf_slot){.at = address_of(&v->backends[i].at), .counter = v->backends[i].counter};
    struct ebpf_vip value = {
        .first = first, .count = (uint32_t)open, .revision = ++e->revision, .counter = v->value.counter};
    __atomic_thread_fence(__ATOMIC_RELEASE); /* the slots before the entry that leads to them */
    int result = ebpf_kernel_put_vip(&e->kernel, &at, &value);
    if (result < 0) {
        give_block(e, first, class);
        (void)snprintf(v->problem, sizeof(v->problem), "%s",
                       result == -E2BIG ? "the table of VIPs is full" : strerror(-result));
        return result;
    }
    if (v->is_there)
        give_block(e, v->value.first, v->class);
    v->value = value;
    v->class = class;
    v->is_there = true;
    v->problem[0] = '\0';
    return 0;
}

static void drop(struct ebpf *e, struct vip *v)
{
    struct ebpf_address at = address_of(&v->at);
    int result = ebpf_kernel_remove_vip(&e->kernel, &at);
    if (result < 0)
        log_error("a VIP stays in the kernel: %s", strerror(-result)); /* repair tries again */
    if (v->is_there)
        give_block(e, v->value.first, v->class);
    for (size_t i = 0; i < v->backend_count; i++)
        give_counter(e, v->backends[i].counter);
    give_counter(e, v->value.counter);
    (void)map_remove_n(&e->vips, &v->at, sizeof(v->at));
    free(v->backends);
    free(v);
}

static void attach(struct ebpf *e)
{
    struct err err = {0};
    e->is_attached = ebpf_kernel_attach(&e->kernel, &err) >= 0;
    if (!e->is_attached)
        log_error("%s", err.text); /* repair tries again, and each VIP says so */
}

static void ebpf_apply(struct lb_plane *p, const struct lb_change *changes, size_t count)
{
    struct ebpf *e = of(p);
    for (size_t i = 0; i < count; i++) {
        const struct lb_change *c = &changes[i];
        struct vip *v = map_get_n(&e->vips, &c->vip, sizeof(c->vip));
        if (c->is_removed) {
            if (v != NULL)
                drop(e, v);
            continue;
        }
        if (v == NULL) {
            v = xcalloc(1, sizeof(*v));
            v->at = c->vip;
            v->value.counter = take_counter(e);
            (void)map_put_n(&e->vips, &v->at, sizeof(v->at), v); /* was not there */
        }
        set_backends(e, v, c->backends, c->backend_count);
        (void)publish(e, v); /* its problem says why not */
    }
    if (!e->is_attached)
        attach(e); /* the first plan is complete: a former lb's programs go now */
}

/* -- repair --------------------------------------------------------------------------------------------------------- */

struct strangers {
    struct ebpf *e;
    int mended;
};

static void remove_stranger(void *ctx, const struct ebpf_address *at)
{
    struct strangers *s = ctx;
    struct lb_endpoint e = {
        .protocol = at->protocol == IPPROTO_TCP ? LB_TCP : LB_UDP, .is_ipv6 = at->is_ipv6, .port = ntohs(at->port)};
    memcpy(e.ip, at->ip, sizeof(e.ip));
    if (map_get_n(&s->e->vips, &e, sizeof(e)) == NULL && ebpf_kernel_remove_vip(&s->e->kernel, at) == 0)
        s->mended++;
}

static int ebpf_repair(struct lb_plane *p, struct err *err)
{
    struct ebpf *e = of(p);
    struct strangers s = {.e = e};
    int result = ebpf_kernel_attach(&e->kernel, err);
    if (result < 0)
        return result;
    e->is_attached = true;
    s.mended = result;
    ebpf_kernel_each_vip(&e->kernel, remove_stranger, &s);
    for (struct map_entry *m = map_first(&e->vips); m != NULL; m = map_next(m)) {
        struct vip *v = map_value(m);
        struct ebpf_address at = address_of(&v->at);
        struct ebpf_vip there;
        if (v->is_there && ebpf_kernel_get_vip(&e->kernel, &at, &there) == 0 &&
            memcmp(&there, &v->value, sizeof(there)) == 0)
            continue;
        s.mended += publish(e, v) == 0;
    }
    return s.mended;
}

/* -- the rest ------------------------------------------------------------------------------------------------------- */

static const char *ebpf_problem(struct lb_plane *p, const struct lb_endpoint *vip)
{
    struct ebpf *e = of(p);
    const struct vip *v = map_get_n(&e->vips, vip, sizeof(*vip));
    if (v == NULL)
        return "it was never told to this data plane";
    if (!e->is_attached)
        return "the programs are not attached to the control group";
    return v->problem[0] != '\0' ? v->problem : NULL;
}

static void ebpf_counters(struct lb_plane *p, const struct lb_endpoint *vip, lb_counters_fn fn, void *ctx)
{
    struct ebpf *e = of(p);
    const struct vip *v = map_get_n(&e->vips, vip, sizeof(*vip));
    if (v == NULL)
        return;
    struct ebpf_counter c = ebpf_kernel_count(&e->kernel, v->value.counter);
    fn(ctx, NULL, &(struct lb_counters){.connections = c.connections, .failures = c.failures});
    for (size_t i = 0; i < v->backend_count; i++) {
        c = ebpf_kernel_count(&e->kernel, v->backends[i].counter);
        fn(ctx, &v->backends[i].at, &(struct lb_counters){.connections = c.connections});
    }
}

static void free_blocks(struct list *blocks)
{
    while (!list_is_empty(blocks)) {
        struct free_block *b = container_of(blocks->next, struct free_block, in_list);
        list_remove(&b->in_list);
        free(b);
    }
}

static void ebpf_close(struct lb_plane *p, bool is_final)
{
    struct ebpf *e = of(p);
    struct err err = {0};
    if (is_final && ebpf_kernel_detach(&e->kernel, &err) < 0)
        log_error("%s", err.text); /* --clean tries again */
    ebpf_kernel_close(&e->kernel);
    for (struct map_entry *m; (m = map_first(&e->vips)) != NULL;) {
        struct vip *v = map_value(m);
        (void)map_remove_n(&e->vips, &v->at, sizeof(v->at));
        free(v->backends);
        free(v);
    }
    map_deinit(&e->vips);
    for (unsigned i = 0; i < CLASSES; i++)
        free_blocks(&e->free[i]);
    free_blocks(&e->quarantine);
    free(e->counters);
    free(e);
}

static const struct lb_plane_ops ops = {.name = "ebpf",
                                        .apply = ebpf_apply,
                                        .repair = ebpf_repair,
                                        .problem = ebpf_problem,
                                        .counters = ebpf_counters,
                                        .close = ebpf_close};

int lb_plane_ebpf_new(const struct lb_ebpf_config *config, struct lb_plane **out, struct err *err)
{
    struct ebpf *e = xcalloc(1, sizeof(*e));
    int result = ebpf_kernel_open(&e->kernel, config->instance, config->cgroup, err);
    if (result < 0) {
        free(e);
        return result;
    }
    e->plane.ops = &ops;
    map_init(&e->vips);
    for (unsigned i = 0; i < CLASSES; i++)
        list_init(&e->free[i]);
    list_init(&e->quarantine);
    *out = &e->plane;
    return 0;
}

int lb_plane_ebpf_clean(const char *instance, const char *cgroup, struct err *err)
{
    return ebpf_kernel_clean(instance, cgroup, err);
}
