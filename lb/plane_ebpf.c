/* SPDX-License-Identifier: Apache-2.0
 * plane_ebpf.c - connect-time rewriting as a data plane: programs on a control group look a VIP up in maps when a process
 * connects or sends, and put one of its back ends there instead. What is connected is the kernel's business, no packet
 * costs anything, and nothing depends on this process. Only sockets of the network namespace that we were started in are
 * touched. A VIP changes at one stroke: its new back ends are written as a block of their own, then the VIP names that
 * block, then the old one is deleted. Connected sockets do not follow when a back end goes; they fail with it. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/check.h"
#include "common/base/list.h"
#include "common/base/log.h"
#include "common/base/map.h"
#include "lb/ebpf_object.h"
#include "lb/ebpf_set.h"
#include "lb/plane.h"

#define VIPS_MAX 65536u
#define BACKENDS_MAX 1048576u
#define TABLE_MAX (1u << 26)

/* has and wants are the same object where nothing is to be done. */
struct ebpf_vip_state {
    struct lb_endpoint at;
    uint64_t counter;
    struct ebpf_set *has;   /* in the kernel; NULL: nothing */
    struct ebpf_set *wants; /* in the plan; NULL: nothing */
    const char *problem;    /* NULL: none */
    bool is_dirty;          /* on the list of those to be looked at */
    bool was_seen;          /* by the load that goes on */
};

struct ebpf {
    struct lb_plane plane;
    struct ebpf_owner owner;
    int cgroup;
    struct ebpf_object object;
    struct map vips; /* struct ebpf_vip_state by endpoint */
    struct ebpf_vip_state **dirty;
    size_t dirty_count, dirty_capacity;
    size_t vips_used, backends_used; /* elements in the kernel */
    uint64_t next_block, next_counter;
    bool is_loaded;                                            /* what has says is what is there */
    char problem[512];                                         /* of all, "": none */
    char kernel_says[256], vips_full[128], backends_full[128]; /* problems of VIPs */
};

static struct ebpf *of(struct lb_plane *p)
{
    return container_of(p, struct ebpf, plane);
}

/* -- VIPs -------------------------------------------------------------------------------------------------------- */

static void mark(struct ebpf *e, struct ebpf_vip_state *vip)
{
    if (vip->is_dirty)
        return;
    if (e->dirty_count == e->dirty_capacity) {
        e->dirty_capacity = 2 * e->dirty_capacity + 64;
        e->dirty = xrealloc(e->dirty, e->dirty_capacity * sizeof(e->dirty[0]));
    }
    vip->is_dirty = true;
    e->dirty[e->dirty_count++] = vip;
}

static struct ebpf_vip_state *vip_of(struct ebpf *e, const struct lb_endpoint *at)
{
    struct ebpf_vip_state *vip = map_get_n(&e->vips, at, sizeof(*at));
    if (vip == NULL) {
        vip = xcalloc(1, sizeof(*vip));
        vip->at = *at;
        (void)map_put_n(&e->vips, at, sizeof(*at), vip); /* was not there */
    }
    return vip;
}

static void set_has(struct ebpf *e, struct ebpf_vip_state *vip, struct ebpf_set *has)
{
    if (vip->has != NULL) {
        e->vips_used--;
        e->backends_used -= vip->has->count;
    }
    if (vip->has != vip->wants)
        free(vip->has);
    vip->has = has;
    if (has != NULL) {
        e->vips_used++;
        e->backends_used += has->count;
    }
}

static void set_wants(struct ebpf_vip_state *vip, struct ebpf_set *wants)
{
    if (vip->wants != vip->has)
        free(vip->wants);
    vip->wants = wants;
}

static void drop(struct ebpf *e, struct ebpf_vip_state *vip)
{
    (void)map_remove_n(&e->vips, &vip->at, sizeof(vip->at));
    set_has(e, vip, NULL);
    set_wants(vip, NULL);
    free(vip);
}

/* -- taking away ------------------------------------------------------------------------------------------------- */

/* Keys that are gathered for one call. */
struct keys {
    char *data;
    size_t size, count, capacity;
};

static void keys_add(struct keys *k, const void *key)
{
    if (k->count == k->capacity) {
        k->capacity = 2 * k->capacity + 64;
        k->data = xrealloc(k->data, k->capacity * k->size);
    }
    memcpy(k->data + k->count++ * k->size, key, k->size);
}

/* What cannot be deleted is found by the next repair. */
static void keys_delete(struct ebpf *e, struct keys *k, int map)
{
    if (ebpf_map_delete(map, k->data, k->size, k->count) < k->count) {
        log_warning("a map of the data plane: deleting: %s", strerror(errno));
        e->is_loaded = false;
    }
    free(k->data);
    *k = (struct keys){.size = k->size};
}

struct garbage {
    struct keys backends, counters;
};

static struct garbage garbage_none(void)
{
    return (struct garbage){.backends.size = sizeof(struct ebpf_backend_key), .counters.size = sizeof(uint64_t)};
}

static void garbage_add(struct garbage *g, const struct ebpf_set *old, const struct ebpf_set *now)
{
    for (uint32_t i = 0; old != NULL && i < old->count; i++) {
        struct ebpf_backend_key key = {.block = old->block, .index = i};
        keys_add(&g->backends, &key);
        const struct ebpf_member *kept = ebpf_set_find(now, &old->members[i].at);
        if (kept == NULL || kept->counter != old->members[i].counter)
            keys_add(&g->counters, &old->members[i].counter);
    }
}

static void garbage_delete(struct ebpf *e, struct garbage *g)
{
    keys_delete(e, &g->backends, e->object.backends);
    keys_delete(e, &g->counters, e->object.counts);
}

/* -- what is there ----------------------------------------------------------------------------------------------- */

struct dumped {
    long vip_count, backend_count;
    struct ebpf_place *vip_keys;
    struct ebpf_vip *vips;
    struct ebpf_backend_key *keys;
    struct ebpf_backend *values;
    struct dumped_ref {
        struct ebpf_backend_key key;
        uint32_t at; /* in values */
        bool is_used;
    } * refs; /* by key */
};

static int compare_refs(const void *a, const void *b)
{
    const struct ebpf_backend_key *x = &((const struct dumped_ref *)a)->key, *y = &((const struct dumped_ref *)b)->key;
    if (x->block != y->block)
        return x->block < y->block ? -1 : 1;
    return x->index < y->index ? -1 : x->index > y->index;
}

static int dump(struct ebpf *e, struct dumped *d, struct err *err)
{
    *d = (struct dumped){0};
    d->vip_count =
        ebpf_map_dump(e->object.vips, sizeof(*d->vip_keys), sizeof(*d->vips), (void **)&d->vip_keys, (void **)&d->vips);
    if (d->vip_count < 0)
        return err_sys(err, (int)d->vip_count, "map of VIPs");
    d->backend_count =
        ebpf_map_dump(e->object.backends, sizeof(*d->keys), sizeof(*d->values), (void **)&d->keys, (void **)&d->values);
    if (d->backend_count < 0)
        return err_sys(err, (int)d->backend_count, "map of back ends");
    d->refs = xcalloc((size_t)d->backend_count + 1, sizeof(d->refs[0]));
    for (long i = 0; i < d->backend_count; i++)
        d->refs[i] = (struct dumped_ref){.key = d->keys[i], .at = (uint32_t)i};
    qsort(d->refs, (size_t)d->backend_count, sizeof(d->refs[0]), compare_refs);
    return 0;
}

static void dumped_free(struct dumped *d)
{
    free(d->vip_keys);
    free(d->vips);
    free(d->keys);
    free(d->values);
    free(d->refs);
}

static size_t first_of(const struct dumped *d, uint64_t block)
{
    size_t low = 0, high = (size_t)d->backend_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (d->refs[middle].key.block < block)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The VIP's set as it is there; NULL: not one of ours. */
static struct ebpf_set *read_set(struct dumped *d, const struct ebpf_vip *vip)
{
    size_t first = first_of(d, vip->block), count = 0;
    while (first + count < (size_t)d->backend_count && d->refs[first + count].key.block == vip->block)
        count++;
    struct ebpf_backend_key *keys = xcalloc(count + 1, sizeof(*keys));
    struct ebpf_backend *values = xcalloc(count + 1, sizeof(*values));
    for (size_t i = 0; i < count; i++) {
        keys[i] = d->refs[first + i].key;
        values[i] = d->values[d->refs[first + i].at];
    }
    struct ebpf_set *s = ebpf_set_read(vip, keys, values, count);
    for (size_t i = 0; s != NULL && i < count; i++)
        d->refs[first + i].is_used = true;
    free(keys);
    free(values);
    return s;
}

static void load_vip(struct ebpf *e, struct dumped *d, long i)
{
    struct lb_endpoint at;
    const struct ebpf_vip *there = &d->vips[i];
    struct ebpf_set *set = read_set(d, there);
    if (!ebpf_place_read(&d->vip_keys[i], &at) || set == NULL) {
        (void)bpf_map_delete_elem(e->object.vips, &d->vip_keys[i]); /* nobody can be led by it; what is wanted comes */
        free(set);
        return;
    }
    struct ebpf_vip_state *vip = vip_of(e, &at);
    bool is_known = vip->has != NULL && vip->counter == there->counter && vip->has->block == set->block &&
                    vip->has->revision == set->revision && ebpf_set_is_same(vip->has, set);
    vip->was_seen = true;
    if (vip->counter == 0)
        vip->counter = there->counter;
    for (uint32_t m = 0; m < set->count; m++)
        if (set->members[m].counter >= e->next_counter)
            e->next_counter = set->members[m].counter + 1;
    if (there->counter >= e->next_counter)
        e->next_counter = there->counter + 1;
    if (is_known) {
        free(set);
        return;
    }
    set_has(e, vip, set); /* another object than what is wanted: it is written anew */
    mark(e, vip);
}

/* Learns what is in the kernel; VIPs where that is not what we thought are dirty. Back ends of no VIP are taken away: their
 * number is in strays. */
static int load(struct ebpf *e, size_t *strays, struct err *err)
{
    struct dumped d;
    struct garbage garbage = garbage_none();
    int result = dump(e, &d, err);
    for (long i = 0; result == 0 && i < d.backend_count; i++)
        if (d.keys[i].block >= e->next_block)
            e->next_block = d.keys[i].block + 1;
    for (long i = 0; result == 0 && i < d.vip_count; i++) {
        if (d.vips[i].block >= e->next_block) /* one without back ends */
            e->next_block = d.vips[i].block + 1;
        load_vip(e, &d, i);
    }
    for (struct map_entry *m = map_first(&e->vips); result == 0 && m != NULL; m = map_next(m)) {
        struct ebpf_vip_state *vip = map_value(m);
        if (!vip->was_seen && vip->has != NULL) {
            set_has(e, vip, NULL);
            mark(e, vip);
        }
        vip->was_seen = false;
    }
    e->is_loaded = result == 0;
    for (long i = 0; result == 0 && i < d.backend_count; i++)
        if (!d.refs[i].is_used)
            keys_add(&garbage.backends, &d.refs[i].key);
    *strays = garbage.backends.count;
    garbage_delete(e, &garbage);
    dumped_free(&d);
    return result;
}

/* -- making it so ------------------------------------------------------------------------------------------------ */

/* Removals. VIPs first: what they lead to must be there as long as they are. */
static size_t remove_unwanted(struct ebpf *e)
{
    struct keys keys = {.size = sizeof(struct ebpf_place)};
    struct garbage garbage = garbage_none();
    size_t kept = 0, removed = 0;
    for (size_t i = 0; i < e->dirty_count; i++) {
        struct ebpf_vip_state *vip = e->dirty[i];
        if (vip->wants != NULL) {
            e->dirty[kept++] = vip;
            continue;
        }
        if (vip->has != NULL) {
            struct ebpf_place place = ebpf_place_of(&vip->at);
            keys_add(&keys, &place);
            keys_add(&garbage.counters, &vip->counter);
            garbage_add(&garbage, vip->has, NULL);
            removed++;
        }
        drop(e, vip);
    }
    e->dirty_count = kept;
    keys_delete(e, &keys, e->object.vips);
    garbage_delete(e, &garbage);
    return removed;
}

/* A round writes as many VIPs as find room while their old blocks are still there. */
struct round {
    struct ebpf_vip_state **vips;
    struct ebpf_place *places;
    struct ebpf_vip *values;
    struct ebpf_backend_key *backend_keys;
    struct ebpf_backend *backends;
    size_t count, backend_count, new_count;
};

/* Takes VIPs from the place *at of the list on. Those that have no room at all get a problem and are left out. */
static void gather(struct ebpf *e, size_t *at, struct round *r)
{
    size_t room = e->owner.backends_max > e->backends_used ? e->owner.backends_max - e->backends_used : 0;
    size_t most = e->dirty_count - *at, all = 0;
    for (size_t i = *at; i < e->dirty_count && all < room; i++)
        all += e->dirty[i]->wants->count;
    size_t fits = all < room ? all : room;
    r->vips = xmalloc((most + 1) * sizeof(*r->vips));
    r->places = xmalloc((most + 1) * sizeof(*r->places));
    r->values = xmalloc((most + 1) * sizeof(*r->values));
    r->backend_keys = xmalloc((fits + 1) * sizeof(*r->backend_keys));
    r->backends = xmalloc((fits + 1) * sizeof(*r->backends));
    for (; *at < e->dirty_count; (*at)++) {
        struct ebpf_vip_state *vip = e->dirty[*at];
        struct ebpf_set *wants = vip->wants;
        vip->problem = NULL;
        if (vip->has == wants)
            continue;
        if (vip->has == NULL && e->vips_used + r->new_count >= e->owner.vips_max) {
            vip->problem = e->vips_full;
            continue;
        }
        if (r->backend_count + wants->count > fits) {
            if (r->count > 0)
                return; /* when the old blocks of this round are gone */
            vip->problem = e->backends_full;
            continue;
        }
        if (vip->counter == 0)
            vip->counter = e->next_counter++;
        ebpf_set_write(wants, e->next_block++, vip->has, r->backend_keys + r->backend_count,
                       r->backends + r->backend_count);
        r->places[r->count] = ebpf_place_of(&vip->at);
        r->values[r->count] = (struct ebpf_vip){.block = wants->block,
                                                .counter = vip->counter,
                                                .revision = wants->revision,
                                                .open = wants->open,
                                                .total = wants->count};
        r->backend_count += wants->count;
        r->new_count += vip->has == NULL;
        r->vips[r->count++] = vip;
    }
}

static size_t write_round(struct ebpf *e, struct round *r)
{
    struct garbage garbage = garbage_none();
    size_t done = ebpf_map_put(e->object.backends, r->backend_keys, r->backends, r->backend_count);
    size_t written = done < r->backend_count ? 0 : ebpf_map_put(e->object.vips, r->places, r->values, r->count);
    if (written < r->count) {
        (void)snprintf(e->kernel_says, sizeof(e->kernel_says), "the kernel does not take it: %s", strerror(errno));
        e->is_loaded = false; /* repair takes away what is half there */
    }
    for (size_t i = 0; i < r->count; i++) {
        struct ebpf_vip_state *vip = r->vips[i];
        if (i >= written) {
            vip->problem = e->kernel_says;
            continue;
        }
        garbage_add(&garbage, vip->has, vip->wants);
        set_has(e, vip, vip->wants);
    }
    garbage_delete(e, &garbage);
    return written;
}

static void round_free(struct round *r)
{
    free(r->vips);
    free(r->places);
    free(r->values);
    free(r->backend_keys);
    free(r->backends);
}

/* The number of VIPs changed. */
static size_t commit(struct ebpf *e)
{
    size_t changed = remove_unwanted(e), at = 0, kept = 0;
    while (at < e->dirty_count) {
        struct round r = {0};
        gather(e, &at, &r);
        changed += write_round(e, &r);
        round_free(&r);
    }
    for (size_t i = 0; i < e->dirty_count; i++) {
        struct ebpf_vip_state *vip = e->dirty[i];
        vip->is_dirty = vip->has != vip->wants;
        if (vip->is_dirty)
            e->dirty[kept++] = vip;
    }
    e->dirty_count = kept;
    return changed;
}

static int attach(struct ebpf *e, struct err *err)
{
    int result = ebpf_cgroup_attach(e->cgroup, &e->owner, e->object.programs, err);
    if (result >= 0)
        e->problem[0] = '\0';
    return result;
}

static void remember_problem(struct ebpf *e, const struct err *err)
{
    (void)snprintf(e->problem, sizeof(e->problem), "%s", err->text);
}

static void want(struct ebpf *e, const struct lb_change *c)
{
    struct ebpf_vip_state *vip = vip_of(e, &c->vip);
    if (c->is_removed) {
        set_wants(vip, NULL);
        return mark(e, vip);
    }
    const struct ebpf_set *former = vip->wants != NULL ? vip->wants : vip->has;
    struct ebpf_set *wants = ebpf_set_new(c->backends, c->backend_count, former, &e->next_counter);
    if (ebpf_set_is_same(wants, vip->has)) {
        free(wants);
        wants = vip->has;
    }
    set_wants(vip, wants);
    mark(e, vip);
}

static void ebpf_apply(struct lb_plane *p, const struct lb_change *changes, size_t count)
{
    struct ebpf *e = of(p);
    struct err err = {0};
    size_t strays;
    bool is_first = map_count(&e->vips) == 0 && !e->is_loaded;
    int result = e->is_loaded ? 0 : load(e, &strays, &err);
    for (size_t i = 0; i < count; i++)
        want(e, &changes[i]);
    if (result == 0) {
        (void)commit(e);
        result = is_first || e->problem[0] != '\0' ? attach(e, &err) : 0;
    }
    if (result < 0)
        remember_problem(e, &err);
}

/* -- the rest of the operations ---------------------------------------------------------------------------------- */

static int ebpf_repair(struct lb_plane *p, struct err *err)
{
    struct ebpf *e = of(p);
    struct err why = {0};
    size_t strays = 0;
    int result = load(e, &strays, &why), attached = 0;
    size_t mended = result == 0 ? commit(e) + strays : 0;
    if (result == 0)
        result = attached = attach(e, &why);
    if (result < 0) {
        remember_problem(e, &why);
        return err_set(err, result, "%s", why.text);
    }
    return (int)mended + attached;
}

static const char *ebpf_problem(struct lb_plane *p, const struct lb_endpoint *at)
{
    struct ebpf *e = of(p);
    const struct ebpf_vip_state *vip = map_get_n(&e->vips, at, sizeof(*at));
    if (vip == NULL)
        return NULL;
    return vip->problem != NULL ? vip->problem : e->problem[0] != '\0' ? e->problem : NULL;
}

static struct ebpf_count read_count(const struct ebpf *e, uint64_t counter, struct ebpf_count *cpus, int cpu_count)
{
    struct ebpf_count sum = {0};
    if (bpf_map_lookup_elem(e->object.counts, &counter, cpus) < 0)
        return sum; /* there was nothing to count yet */
    for (int i = 0; i < cpu_count; i++) {
        sum.connects += cpus[i].connects;
        sum.refusals += cpus[i].refusals;
    }
    return sum;
}

static void ebpf_counters(struct lb_plane *p, const struct lb_endpoint *at, lb_counters_fn fn, void *ctx)
{
    struct ebpf *e = of(p);
    const struct ebpf_vip_state *vip = map_get_n(&e->vips, at, sizeof(*at));
    if (vip == NULL || vip->wants == NULL)
        return;
    int cpu_count = libbpf_num_possible_cpus();
    CHECK(cpu_count > 0); /* it has made maps of them before */
    struct ebpf_count *cpus = xcalloc((size_t)cpu_count, sizeof(*cpus));
    struct ebpf_count own = read_count(e, vip->counter, cpus, cpu_count);
    fn(ctx, NULL, &(struct lb_counters){.connections = own.connects, .failures = own.refusals});
    for (uint32_t i = 0; i < vip->wants->count; i++) {
        const struct ebpf_member *m = &vip->wants->members[i];
        struct ebpf_count count = read_count(e, m->counter, cpus, cpu_count);
        fn(ctx, &m->at, &(struct lb_counters){.connections = count.connects});
    }
    free(cpus);
}

static void ebpf_free(struct ebpf *e)
{
    for (struct map_entry *m; (m = map_first(&e->vips)) != NULL;)
        drop(e, map_value(m));
    map_deinit(&e->vips);
    free(e->dirty);
    ebpf_object_free(&e->object);
    if (e->cgroup >= 0)
        (void)close(e->cgroup); /* a folder */
    free(e);
}

static void ebpf_close(struct lb_plane *p, bool is_final)
{
    struct ebpf *e = of(p);
    struct err err = {0};
    if (is_final && ebpf_cgroup_detach(e->cgroup, &e->owner, &err) < 0)
        log_warning("%s", err.text);
    ebpf_free(e); /* attached programs hold the maps */
}

static const struct lb_plane_ops ops = {
    .name = "ebpf",
    .apply = ebpf_apply,
    .repair = ebpf_repair,
    .problem = ebpf_problem,
    .counters = ebpf_counters,
    .close = ebpf_close,
};

/* -- start ------------------------------------------------------------------------------------------------------- */

static size_t table_size(size_t wanted, size_t usual)
{
    wanted = wanted == 0 ? usual : wanted;
    return wanted < TABLE_MAX ? wanted : TABLE_MAX;
}

static int start(struct ebpf *e, const struct lb_ebpf_config *config, struct err *err)
{
    int result = ebpf_owner_init(&e->owner, config->instance, err);
    if (result < 0)
        return result;
    e->owner.vips_max = table_size(config->vips_max, VIPS_MAX);
    e->owner.backends_max = table_size(config->backends_max, BACKENDS_MAX);
    (void)snprintf(e->vips_full, sizeof(e->vips_full), "the table of VIPs is full (%llu)",
                   (unsigned long long)e->owner.vips_max);
    (void)snprintf(e->backends_full, sizeof(e->backends_full), "the table of back ends is full (%llu)",
                   (unsigned long long)e->owner.backends_max);
    e->cgroup = ebpf_cgroup_open(config->cgroup, err);
    if (e->cgroup < 0)
        return e->cgroup == -ENOENT && config->cgroup == NULL ? -EOPNOTSUPP : e->cgroup;
    int former = ebpf_cgroup_find(e->cgroup, &e->owner, err);
    if (former < 0 && former != -ENOENT)
        return former;
    result = ebpf_object_load(&e->owner, former, &e->object, err);
    if (former >= 0)
        (void)close(former); /* it stays attached */
    return result;
}

int lb_plane_ebpf_new(const struct lb_ebpf_config *config, struct lb_plane **out, struct err *err)
{
    struct ebpf *e = xcalloc(1, sizeof(*e));
    e->plane.ops = &ops;
    e->cgroup = -1;
    e->next_block = e->next_counter = 1;
    map_init(&e->vips);
    int result = start(e, config, err);
    if (result < 0) {
        ebpf_free(e);
        return result;
    }
    *out = &e->plane;
    return 0;
}

int lb_plane_ebpf_clean(const char *instance, const char *cgroup, struct err *err)
{
    struct ebpf_owner owner;
    int result = ebpf_owner_init(&owner, instance, err);
    if (result < 0)
        return result;
    int fd = ebpf_cgroup_open(cgroup, err);
    if (fd == -ENOENT)
        return 0; /* where there is no group there is nothing on it */
    if (fd < 0)
        return fd;
    result = ebpf_cgroup_detach(fd, &owner, err);
    (void)close(fd); /* a folder */
    return result < 0 ? result : 0;
}
