/* SPDX-License-Identifier: Apache-2.0
 * plane_nft.c - the kernel's NAT as a data plane: a table of our own whose maps say where new connections go. Connections
 * that are open are the kernel's business: nothing here touches them, also not when we are killed; only when the table goes
 * for good and nobody else translates addresses, the kernel stops translating theirs. One apply is one transaction.
 *
 * Connections are counted by the kernel, by VIP and back end and from the first one on: not in the maps' elements, which
 * would cost memory for each of hundreds of thousands, and begin anew whenever a slot goes to another back end. */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/check.h"
#include "common/base/list.h"
#include "common/base/log.h"
#include "common/base/map.h"
#include "lb/nft_conntrack.h"
#include "lb/nft_count.h"
#include "lb/nft_key.h"
#include "lb/nft_reach.h"
#include "lb/nft_rules.h"
#include "lb/plane.h"

#define INSTANCE_MAX 32
#define LOADS_MAX 8                /* while others change things */
#define ELEMENTS_BYTES (50u << 10) /* of one message; an element has at most 100 */

/* has and wants are the same object where nothing is to be done. */
struct nft_vip {
    struct lb_endpoint at;
    struct nft_target *has;   /* in the kernel; NULL: nothing */
    struct nft_target *wants; /* in the plan; NULL: nothing */
    struct nft_tallies tallies;
    size_t unreachable; /* of the wanted back ends */
    bool is_dirty;      /* on the list of those to be looked at */
    bool is_changed;    /* by the transaction being made */
};

struct nft {
    struct lb_plane plane;
    char table[NFT_TABLE_SIZE];
    int64_t udp_timeout_ms;
    struct nft_socket socket, watch;
    struct nft_flows flows;
    int ready_fd;    /* readable when watch or flows are */
    struct map vips; /* struct nft_vip by endpoint */
    struct nft_vip **dirty;
    size_t dirty_count, dirty_capacity;
    bool is_loaded;      /* what has says is what was there at this generation */
    bool has_ipv6;       /* the machine */
    bool had_plan;       /* and carried it out */
    bool must_rebuild;   /* the fixed part is not there as it should be */
    bool is_doubtful;    /* a listing was wrong; there is no second one yet that agrees with what we have */
    bool was_touched;    /* somebody else has changed our table, or we may have missed that */
    uint32_t generation; /* of nf_tables, when we last knew all */
    char problem[512];   /* of the VIPs that are dirty after a transaction */
    char told[160];      /* a problem of one VIP's own */
    bool count_warned;   /* since counters could be read */
};

static struct nft *of(struct lb_plane *p)
{
    return container_of(p, struct nft, plane);
}

/* -- VIPs -------------------------------------------------------------------------------------------------------- */

static void mark(struct nft *n, struct nft_vip *vip)
{
    if (vip->is_dirty)
        return;
    if (n->dirty_count == n->dirty_capacity) {
        n->dirty_capacity = 2 * n->dirty_capacity + 64;
        n->dirty = xrealloc(n->dirty, n->dirty_capacity * sizeof(n->dirty[0]));
    }
    vip->is_dirty = true;
    n->dirty[n->dirty_count++] = vip;
}

static struct nft_vip *vip_of(struct nft *n, const struct lb_endpoint *at)
{
    struct nft_vip *vip = map_get_n(&n->vips, at, sizeof(*at));
    if (vip == NULL) {
        vip = xcalloc(1, sizeof(*vip));
        vip->at = *at;
        (void)map_put_n(&n->vips, at, sizeof(*at), vip); /* was not there */
    }
    return vip;
}

static void set_has(struct nft_vip *vip, struct nft_target *has)
{
    if (vip->has != vip->wants)
        free(vip->has);
    vip->has = has;
}

static void set_wants(struct nft_vip *vip, struct nft_target *wants)
{
    if (vip->wants != vip->has)
        free(vip->wants);
    vip->wants = wants;
}

static void drop(struct nft *n, struct nft_vip *vip)
{
    (void)map_remove_n(&n->vips, &vip->at, sizeof(vip->at));
    set_has(vip, NULL);
    set_wants(vip, NULL);
    nft_tallies_deinit(&vip->tallies);
    free(vip);
}

/* -- elements ---------------------------------------------------------------------------------------------------- */

struct elements {
    struct nft *n;
    struct nft_batch *batch;
    bool is_new;
    enum nft_map map;
    struct nlmsghdr *open;
    struct nlattr *list;
    int count;
};

static size_t make_key(uint8_t *key, const struct lb_endpoint *vip, bool has_slot, uint32_t slot)
{
    size_t len = nft_put_vip(key, vip);
    if (has_slot)
        memcpy(key + len, &slot, 4);
    return has_slot ? len + 4 : len;
}

static void end_message(struct elements *e)
{
    if (e->open == NULL)
        return;
    mnl_attr_nest_end(e->open, e->list);
    nft_batch_end_message(e->batch);
    e->open = NULL;
}

static void put_nested(struct nlmsghdr *m, uint16_t type, const uint8_t *data, size_t len)
{
    struct nlattr *nest = mnl_attr_nest_start(m, type);
    mnl_attr_put(m, NFTA_DATA_VALUE, len, data);
    mnl_attr_nest_end(m, nest);
}

static void put_element(struct elements *e, const uint8_t *key, size_t key_len, const uint8_t *data, size_t data_len)
{
    if (e->open != NULL && e->open->nlmsg_len > ELEMENTS_BYTES)
        end_message(e);
    if (e->open == NULL) {
        e->open = nft_batch_message(e->batch, e->is_new ? NFT_MSG_NEWSETELEM : NFT_MSG_DELSETELEM,
                                    e->is_new ? NLM_F_CREATE | NLM_F_EXCL : 0);
        mnl_attr_put_strz(e->open, NFTA_SET_ELEM_LIST_TABLE, e->n->table);
        mnl_attr_put_strz(e->open, NFTA_SET_ELEM_LIST_SET, nft_map_names[e->map]);
        e->list = mnl_attr_nest_start(e->open, NFTA_SET_ELEM_LIST_ELEMENTS);
    }
    struct nlattr *element = mnl_attr_nest_start(e->open, NFTA_LIST_ELEM);
    put_nested(e->open, NFTA_SET_ELEM_KEY, key, key_len);
    if (e->is_new)
        put_nested(e->open, NFTA_SET_ELEM_DATA, data, data_len);
    mnl_attr_nest_end(e->open, element);
    e->count++;
}

static bool is_same(const struct lb_endpoint *a, const struct lb_endpoint *b)
{
    return a == b || (a != NULL && b != NULL && lb_endpoint_compare(a, b) == 0);
}

static void put_slots(struct elements *e, struct nft_vip *vip)
{
    uint32_t has = vip->has != NULL ? vip->has->slots : 0, wants = vip->wants != NULL ? vip->wants->slots : 0;
    for (uint32_t i = 0; i < has || i < wants; i++) {
        uint8_t key[NFT_KEY_BYTES_MAX], data[NFT_DATA_BYTES_MAX];
        const struct lb_endpoint *old = nft_target_slot(vip->has, i), *new = nft_target_slot(vip->wants, i);
        const struct lb_endpoint *to = e->is_new ? new : old;
        if (to == NULL || is_same(old, new))
            continue;
        put_element(e, key, make_key(key, &vip->at, true, i), data, nft_put_backend(data, to));
        vip->is_changed = true;
    }
}

static void put_class(struct elements *e, struct nft_vip *vip)
{
    uint8_t key[NFT_KEY_BYTES_MAX];
    uint32_t has = vip->has != NULL ? vip->has->class_number : NFT_CLASS_NONE;
    uint32_t wants = vip->wants != NULL ? vip->wants->class_number : NFT_CLASS_NONE, class = e->is_new ? wants : has;
    if (has == wants || class == NFT_CLASS_NONE)
        return;
    uint8_t data[8] = {0}; /* nft_rules.c says why */
    memcpy(data + 4, &class, 4);
    put_element(e, key, make_key(key, &vip->at, false, 0), data, sizeof(data));
    vip->is_changed = true;
}

/* What goes before what comes: an element is changed by being both. */
static int put_elements(struct nft *n, struct nft_batch *batch)
{
    struct elements e = {.n = n, .batch = batch};
    for (int step = 0; step < 2 * NFT_MAPS; step++) {
        e.is_new = step >= NFT_MAPS;
        e.map = (enum nft_map)(step % NFT_MAPS);
        for (size_t i = 0; i < n->dirty_count; i++) {
            struct nft_vip *vip = n->dirty[i];
            if (vip->has == vip->wants || vip->at.is_ipv6 != (e.map == NFT_VIP6 || e.map == NFT_SLOT6))
                continue;
            if (e.map == NFT_VIP4 || e.map == NFT_VIP6)
                put_class(&e, vip);
            else
                put_slots(&e, vip);
        }
        end_message(&e);
    }
    return e.count;
}

/* -- what is there ----------------------------------------------------------------------------------------------- */

/* Grows by powers of two, because a listing comes in no order. */
static void note_slot(struct nft_vip *vip, uint32_t slot, const struct lb_endpoint *to)
{
    uint32_t had = vip->has->slots;
    if (slot >= had) {
        uint32_t room = 1;
        while (room <= slot)
            room *= 2;
        struct nft_target *t = xrealloc(vip->has, sizeof(*t) + room * sizeof(t->at[0]));
        memset(&t->at[had], 0, (room - had) * sizeof(t->at[0]));
        t->slots = t->count = slot + 1;
        vip->has = t;
    }
    vip->has->at[slot] = *to;
}

struct listing {
    struct nft *n;
    enum nft_map map;
    bool is_strange; /* something that we never put there */
};

static bool note_element(struct listing *l, const struct nlattr *element)
{
    const struct nlattr *a[NFTA_SET_ELEM_DATA + 1], *key[NFTA_DATA_VALUE + 1], *data[NFTA_DATA_VALUE + 1];
    bool is_ipv6 = l->map == NFT_VIP6 || l->map == NFT_SLOT6, has_slot = l->map == NFT_SLOT4 || l->map == NFT_SLOT6;
    size_t vip_bytes = nft_vip_bytes(is_ipv6);
    nft_nested(element, a, NFTA_SET_ELEM_DATA);
    nft_nested(a[NFTA_SET_ELEM_KEY], key, NFTA_DATA_VALUE);
    nft_nested(a[NFTA_SET_ELEM_DATA], data, NFTA_DATA_VALUE);
    if (!nft_attribute_is(key[NFTA_DATA_VALUE], vip_bytes + (has_slot ? 4 : 0)) ||
        !nft_attribute_is(data[NFTA_DATA_VALUE], has_slot ? nft_backend_bytes(is_ipv6) : 8))
        return false;
    const uint8_t *k = mnl_attr_get_payload(key[NFTA_DATA_VALUE]), *d = mnl_attr_get_payload(data[NFTA_DATA_VALUE]);
    struct lb_endpoint at, to;
    uint32_t number; /* slot or class */
    memcpy(&number, has_slot ? k + vip_bytes : d + 4, 4);
    if (number > NFT_SLOTS_MAX || (has_slot && number == NFT_SLOTS_MAX) || !nft_get_vip(k, is_ipv6, &at))
        return false;
    struct nft_vip *vip = vip_of(l->n, &at);
    if (vip->has == NULL) {
        vip->has = xcalloc(1, sizeof(*vip->has));
        vip->has->class_number = NFT_CLASS_NONE;
    }
    if (!has_slot) {
        vip->has->class_number = number;
        return true;
    }
    bool is_ours = nft_get_backend(d, is_ipv6, &to);
    to.protocol = at.protocol;
    note_slot(vip, number, &to);
    return is_ours && to.port != 0; /* a plan has no port 0, and an empty slot means that nothing is there */
}

static int note_elements(void *ctx, const struct nlmsghdr *m)
{
    struct listing *l = ctx;
    const struct nlattr *a[NFTA_SET_ELEM_LIST_ELEMENTS + 1], *e;
    nft_attributes(m, a, NFTA_SET_ELEM_LIST_ELEMENTS);
    if (a[NFTA_SET_ELEM_LIST_ELEMENTS] != NULL)
        mnl_attr_for_each_nested(e, a[NFTA_SET_ELEM_LIST_ELEMENTS]) l->is_strange |= !note_element(l, e);
    return 0;
}

static void forget(struct nft *n)
{
    for (struct map_entry *e = map_first(&n->vips); e != NULL; e = map_next(e)) {
        struct nft_vip *vip = map_value(e);
        set_has(vip, NULL);
        mark(n, vip);
    }
}

static int load_maps(struct nft *n, struct err *err)
{
    for (int map = 0; map < NFT_MAPS; map++) {
        char buffer[NFT_REQUEST_BYTES];
        struct listing l = {.n = n, .map = (enum nft_map)map};
        struct nlmsghdr *q =
            nft_request(&n->socket, NFNL_SUBSYS_NFTABLES, NFT_MSG_GETSETELEM, NFPROTO_INET, NLM_F_DUMP, buffer);
        mnl_attr_put_strz(q, NFTA_SET_ELEM_LIST_TABLE, n->table);
        mnl_attr_put_strz(q, NFTA_SET_ELEM_LIST_SET, nft_map_names[map]);
        int result = nft_ask(&n->socket, q, note_elements, &l);
        if (result < 0)
            return err_sys(err, result, "nf_tables: map %s cannot be listed", nft_map_names[map]);
        n->must_rebuild |= l.is_strange;
    }
    return 0;
}

static int load_once(struct nft *n, struct err *err)
{
    uint32_t before, after;
    int result = nft_generation(&n->socket, &before);
    if (result < 0)
        return err_sys(err, result, "nf_tables");
    forget(n);
    result = nft_rules_check(&n->socket, n->table, n->udp_timeout_ms, err);
    n->must_rebuild = result == 0;
    if (result > 0)
        result = load_maps(n, err);
    if (n->must_rebuild || result < 0)
        forget(n);
    else /* also those that only the kernel has */
        for (struct map_entry *e = map_first(&n->vips); e != NULL; e = map_next(e))
            mark(n, map_value(e));
    if (result < 0)
        return result;
    result = nft_generation(&n->socket, &after);
    n->generation = after;
    return result < 0 ? err_sys(err, result, "nf_tables") : before != after ? -EINTR : 0;
}

/* Finds out what the kernel has. Everything is to be compared then. */
static int load(struct nft *n, struct err *err)
{
    int result = -EINTR;
    for (int i = 0; i < LOADS_MAX && (result == -EINTR || result == -ENOENT); i++)
        result = load_once(n, err);
    n->is_loaded = result == 0;
    if (result == -EINTR)
        return err_set(err, result, "nf_tables: others change it faster than it can be listed");
    return result;
}

/* -- counters ---------------------------------------------------------------------------------------------------- */

struct pairs {
    struct nft_pair *items;
    size_t count, capacity;
};

static void add_pair(struct pairs *p, const struct lb_endpoint *vip, const struct lb_endpoint *backend)
{
    if (p->count == p->capacity) {
        p->capacity = 2 * p->capacity + 16;
        p->items = xrealloc(p->items, p->capacity * sizeof(p->items[0]));
    }
    p->items[p->count++] = (struct nft_pair){.vip = *vip, .backend = *backend};
}

static struct lb_endpoint nobody(const struct lb_endpoint *vip)
{
    return (struct lb_endpoint){.protocol = vip->protocol, .is_ipv6 = vip->is_ipv6};
}

static void add_pairs_of(struct pairs *p, const struct lb_endpoint *vip, const struct nft_target *t)
{
    struct lb_endpoint refused = nobody(vip);
    add_pair(p, vip, &refused);
    for (uint32_t i = 0; i < t->known; i++)
        add_pair(p, vip, &t->at[i]);
}

static int compare_endpoints(const void *a, const void *b)
{
    return lb_endpoint_compare(a, b);
}

/* What a VIP has and will not have. */
static void add_leaving(struct pairs *p, const struct nft_vip *vip)
{
    const struct nft_target *wants = vip->wants;
    if (vip->has == NULL || vip->has == wants)
        return;
    if (wants == NULL) {
        add_pairs_of(p, &vip->at, vip->has);
        return;
    }
    struct lb_endpoint *sorted = xcalloc(wants->known + 1, sizeof(*sorted));
    memcpy(sorted, wants->at, wants->known * sizeof(*sorted));
    qsort(sorted, wants->known, sizeof(*sorted), compare_endpoints);
    for (uint32_t i = 0; i < vip->has->known; i++)
        if (vip->has->at[i].port != 0 &&
            bsearch(&vip->has->at[i], sorted, wants->known, sizeof(*sorted), compare_endpoints) == NULL)
            add_pair(p, &vip->at, &vip->has->at[i]);
    free(sorted);
}

static void note_counts(struct nft *n, const struct pairs *p)
{
    struct nft_vip *vip = NULL;
    for (size_t i = 0; i < p->count; i++) {
        if (vip == NULL || lb_endpoint_compare(&vip->at, &p->items[i].vip) != 0)
            vip = map_get_n(&n->vips, &p->items[i].vip, sizeof(p->items[i].vip));
        if (vip != NULL)
            nft_tallies_note(&vip->tallies, &p->items[i].backend, p->items[i].connections);
    }
}

/* Asks the kernel and keeps what it says. An old number is told where that is impossible. */
static void read_counters(struct nft *n, struct pairs *p)
{
    int result = p->count > 0 ? nft_counts_read(&n->socket, n->table, p->items, p->count) : 0;
    if (result == 0)
        note_counts(n, p);
    else if (!n->count_warned)
        log_warning("nf_tables: counters cannot be read: %s", strerror(-result));
    n->count_warned = result != 0;
}

/* Before the table goes with all of them. */
static void read_all_counters(struct nft *n)
{
    struct pairs all = {0};
    if (nft_counts_are_there(&n->socket, n->table) <= 0)
        return;
    for (struct map_entry *e = map_first(&n->vips); e != NULL; e = map_next(e)) {
        struct nft_vip *vip = map_value(e);
        if (vip->wants != NULL)
            add_pairs_of(&all, &vip->at, vip->wants);
    }
    read_counters(n, &all);
    free(all.items);
}

static void restart_counters(struct nft *n)
{
    for (struct map_entry *e = map_first(&n->vips); e != NULL; e = map_next(e))
        nft_tallies_restart(&((struct nft_vip *)map_value(e))->tallies);
}

/* Counters of back ends that leave go in the same transaction as their slots; what they have said stays in the VIP's sum.
 */
static struct pairs put_leaving(struct nft *n, struct nft_batch *batch, size_t *removed)
{
    struct pairs leaving = {0};
    for (size_t i = 0; i < n->dirty_count; i++)
        add_leaving(&leaving, n->dirty[i]);
    read_counters(n, &leaving);
    *removed = nft_counts_put_removal(batch, n->table, leaving.items, leaving.count);
    return leaving;
}

static void forget_leaving(struct nft *n, const struct pairs *leaving)
{
    for (size_t i = 0; i < leaving->count; i++) {
        struct nft_vip *vip = map_get_n(&n->vips, &leaving->items[i].vip, sizeof(leaving->items[i].vip));
        if (vip != NULL)
            nft_tallies_remove(&vip->tallies, &leaving->items[i].backend);
    }
}

/* -- transactions ------------------------------------------------------------------------------------------------ */

static bool leads(void *ctx, const struct lb_endpoint *at, const struct lb_endpoint *backend)
{
    const struct nft *n = ctx;
    const struct nft_vip *vip = map_get_n(&n->vips, at, sizeof(*at));
    return vip != NULL && nft_target_has(vip->wants, backend);
}

/* Flows are ended later and in slices. What a former lb did not come to is done with the first plan. */
static void end_flows(struct nft *n)
{
    struct err err = {0};
    for (size_t i = 0; i < n->dirty_count; i++)
        if (n->dirty[i]->at.protocol == LB_UDP && (n->dirty[i]->is_changed || !n->had_plan))
            nft_flows_add(&n->flows, &n->dirty[i]->at);
    n->had_plan = true;
    if (nft_flows_begin(&n->flows, &err) < 0)
        log_warning("%s", err.text);
}

static void settle(struct nft *n)
{
    for (size_t i = 0; i < n->dirty_count; i++) {
        struct nft_vip *vip = n->dirty[i];
        set_has(vip, vip->wants);
        vip->is_dirty = vip->is_changed = false;
        if (vip->wants == NULL)
            drop(n, vip);
    }
    n->dirty_count = 0;
    n->must_rebuild = false;
    n->problem[0] = '\0';
}

/* Our own transaction makes the generation grow by one. If it grew by more, somebody came between, and the next repair
 * finds out what. */
static void note_own_change(struct nft *n)
{
    uint32_t generation;
    if (nft_generation(&n->socket, &generation) == 0 && generation == n->generation + 1)
        n->generation = generation;
}

/* Makes the kernel have what is wanted. The number of things changed, or a negative errno: then nothing is. */
static int commit(struct nft *n, struct err *err)
{
    struct nft_batch batch;
    struct pairs leaving = {0};
    size_t removed = 0;
    nft_batch_init(&batch);
    if (n->must_rebuild) {
        read_all_counters(n);
        nft_rules_put(&batch, n->table, n->udp_timeout_ms);
    } else {
        leaving = put_leaving(n, &batch, &removed);
    }
    int count = n->must_rebuild + put_elements(n, &batch);
    int result = count > 0 || removed > 0 ? nft_batch_send(&n->socket, &batch, false, err) : 0;
    nft_batch_deinit(&batch);
    if (result == 0) {
        if (count > 0 || removed > 0)
            note_own_change(n);
        if (n->must_rebuild)
            restart_counters(n);
        forget_leaving(n, &leaving);
        end_flows(n);
        settle(n);
    }
    free(leaving.items);
    return result < 0 ? result : count;
}

/* A listing is not exact while the kernel moves a map to a larger table: it may leave elements out, and says nothing. Then
 * what is put as new is there, or what is taken away is not, and the whole is looked at again. What is obsolete and was
 * left out makes no such trouble; so when there was trouble, repair looks once more, until it finds nothing to be done. */
static int load_and_commit(struct nft *n, struct err *err)
{
    int result = -EEXIST;
    for (int i = 0; i < LOADS_MAX && (result == -EEXIST || result == -ENOENT); i++) {
        n->is_doubtful |= i > 0;
        result = load(n, err);
        result = result < 0 ? result : commit(n, err);
    }
    return result;
}

static void remember_problem(struct nft *n, const struct err *err)
{
    for (size_t i = 0; i < n->dirty_count; i++)
        n->dirty[i]->is_changed = false;
    n->is_loaded = false; /* repair looks at everything again */
    (void)snprintf(n->problem, sizeof(n->problem), "%s", err->text);
}

static void nft_apply(struct lb_plane *p, const struct lb_change *changes, size_t count)
{
    struct nft *n = of(p);
    struct err err = {0};
    int result = n->is_loaded ? 0 : load(n, &err); /* first, so that back ends keep the slots that they have */
    for (size_t i = 0; i < count; i++) {
        const struct lb_change *c = &changes[i];
        struct nft_vip *vip = vip_of(n, &c->vip);
        set_wants(vip, c->is_removed ? NULL : nft_target_new(c->backends, c->backend_count, vip->has));
        vip->unreachable = vip->wants != NULL ? nft_count_unreachable(&vip->at, vip->wants->at, vip->wants->count) : 0;
        mark(n, vip);
    }
    n->has_ipv6 = nft_has_ipv6();
    result = result < 0 ? result : commit(n, &err);
    if (result < 0) { /* not as we thought it to be */
        n->is_doubtful = true;
        result = load_and_commit(n, &err);
    }
    if (result < 0)
        remember_problem(n, &err);
}

/* -- repair ------------------------------------------------------------------------------------------------------ */

/* Takes away what the kernel has told of changes by others. */
static void read_watch(struct nft *n)
{
    char buffer[8192];
    if (n->watch.link == NULL) {
        n->was_touched = true; /* we cannot know */
        return;
    }
    for (;;) {
        ssize_t len = recv(mnl_socket_get_fd(n->watch.link), buffer, sizeof(buffer), MSG_DONTWAIT | MSG_TRUNC);
        if (len < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return;
        if (len < 0 && errno == EINTR)
            continue;
        n->was_touched |= len < 0 || len > (ssize_t)sizeof(buffer); /* missed some */
        int left = len < 0 ? 0 : len > (ssize_t)sizeof(buffer) ? (int)sizeof(buffer) : (int)len;
        for (const struct nlmsghdr *m = (const void *)buffer; nft_message_ok(m, left); m = mnl_nlmsg_next(m, &left)) {
            const struct nlattr *a[NFTA_TABLE_NAME + 1]; /* the first attribute of everything but generations */
            nft_attributes(m, a, NFTA_TABLE_NAME);
            n->was_touched |= m->nlmsg_type != (NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWGEN) &&
                              nft_attribute_says(a[NFTA_TABLE_NAME], n->table);
        }
    }
}

static int nft_repair(struct lb_plane *p, struct err *err)
{
    struct nft *n = of(p);
    uint32_t generation;
    n->has_ipv6 = nft_has_ipv6();
    read_watch(n);
    int result = nft_generation(&n->socket, &generation);
    if (result < 0)
        return err_sys(err, result, "nf_tables");
    if (n->is_loaded && !n->is_doubtful && n->dirty_count == 0 && (generation == n->generation || !n->was_touched)) {
        n->generation = generation; /* nothing happened, or only to others' tables */
        n->was_touched = false;
        return 0;
    }
    struct err why = {0};
    n->was_touched = false;
    result = load_and_commit(n, &why);
    if (result < 0) {
        remember_problem(n, &why);
        return err_set(err, result, "%s", why.text);
    }
    n->is_doubtful = result > 0 && n->is_doubtful;
    return result;
}

static int nft_watch_fd(struct lb_plane *p)
{
    return of(p)->ready_fd;
}

static bool is_readable(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return poll(&p, 1, 0) > 0; /* does not wait */
}

static bool nft_advance(struct lb_plane *p)
{
    struct nft *n = of(p);
    struct err err = {0};
    if (nft_flows_step(&n->flows, &err) < 0)
        log_warning("%s", err.text);
    return n->watch.link != NULL && is_readable(mnl_socket_get_fd(n->watch.link));
}

static int watch_for(struct nft *n, int fd)
{
    struct epoll_event e = {.events = EPOLLIN};
    return epoll_ctl(n->ready_fd, EPOLL_CTL_ADD, fd, &e) < 0 ? -errno : 0;
}

/* Notices of our own transactions are left out: a large one would be more than the socket may hold. */
static int open_watch(struct nft *n, struct err *err)
{
    int result = nft_socket_open(&n->watch, err), group = NFNLGRP_NFTABLES;
    if (result < 0)
        return result;
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct nlmsghdr, nlmsg_pid)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htonl(n->socket.port), 0, 1), /* it loads big-endian */
        BPF_STMT(BPF_RET | BPF_K, 0),
        BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
    };
    struct sock_fprog program = {.len = sizeof(filter) / sizeof(filter[0]), .filter = filter};
    int fd = mnl_socket_get_fd(n->watch.link);
    if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) < 0 ||
        setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group)) < 0 || watch_for(n, fd) < 0) {
        result = -errno;
        nft_socket_close(&n->watch);
        return err_sys(err, result, "nf_tables: changes by others cannot be watched");
    }
    return 0;
}

/* -- the rest ---------------------------------------------------------------------------------------------------- */

static const char *nft_problem(struct lb_plane *p, const struct lb_endpoint *at)
{
    struct nft *n = of(p);
    const struct nft_vip *vip = map_get_n(&n->vips, at, sizeof(*at));
    if (vip == NULL || vip->wants == NULL)
        return NULL;
    if (vip->is_dirty && n->problem[0] != '\0')
        return n->problem;
    if (at->is_ipv6 && !n->has_ipv6)
        return "IPv6 is off on this machine: its loopback interface has no ::1";
    if (vip->unreachable == 0)
        return NULL;
    (void)snprintf(n->told, sizeof(n->told),
                   "%zu of %u back ends are on other machines, and a VIP in 127.0.0.0/8 leads nowhere but to this one "
                   "(--vip_range gives another)",
                   vip->unreachable, vip->wants->count);
    return n->told;
}

static void nft_counters(struct lb_plane *p, const struct lb_endpoint *at, lb_counters_fn fn, void *ctx)
{
    struct nft *n = of(p);
    struct pairs pairs = {0};
    const struct nft_vip *vip = map_get_n(&n->vips, at, sizeof(*at));
    if (vip == NULL || vip->wants == NULL)
        return;
    add_pairs_of(&pairs, at, vip->wants);
    read_counters(n, &pairs);
    free(pairs.items);
    const struct nft_tallies *t = &vip->tallies;
    fn(ctx, NULL, &(struct lb_counters){.connections = nft_tallies_sum(t), .failures = nft_tallies_refused(t)});
    for (uint32_t i = 0; i < vip->wants->known; i++)
        fn(ctx, &vip->wants->at[i], &(struct lb_counters){.connections = nft_tallies_of(t, &vip->wants->at[i])});
}

static int remove_table(struct nft_socket *s, const char *table, struct err *err)
{
    struct nft_batch batch;
    nft_batch_init(&batch);
    nft_rules_put_removal(&batch, table);
    int result = nft_batch_send(s, &batch, false, err);
    nft_batch_deinit(&batch);
    return result;
}

static void nft_free(struct nft *n)
{
    for (struct map_entry *e; (e = map_first(&n->vips)) != NULL;)
        drop(n, map_value(e));
    map_deinit(&n->vips);
    free(n->dirty);
    nft_flows_close(&n->flows);
    nft_socket_close(&n->watch);
    nft_socket_close(&n->socket);
    if (n->ready_fd >= 0)
        close(n->ready_fd);
    free(n);
}

static void nft_close(struct lb_plane *p, bool is_final)
{
    struct nft *n = of(p);
    struct err err = {0};
    while (nft_flows_step(&n->flows, &err) > 0 && is_readable(nft_flows_fd(&n->flows)))
        ; /* nobody would do the rest */
    if (is_final && remove_table(&n->socket, n->table, &err) < 0)
        log_warning("%s", err.text);
    nft_free(n);
}

static const struct lb_plane_ops ops = {
    .name = "nft",
    .apply = nft_apply,
    .repair = nft_repair,
    .problem = nft_problem,
    .counters = nft_counters,
    .watch_fd = nft_watch_fd,
    .advance = nft_advance,
    .close = nft_close,
};

/* -- start ------------------------------------------------------------------------------------------------------- */

static int name_table(const char *instance, char out[NFT_TABLE_SIZE], struct err *err)
{
    size_t len = instance != NULL ? strlen(instance) : 0;
    if (len == 0 || len > INSTANCE_MAX || strspn(instance, "abcdefghijklmnopqrstuvwxyz0123456789_") != len)
        return err_set(err, -EINVAL, "instance: 1 to %d of a-z, 0-9 and _", INSTANCE_MAX);
    (void)snprintf(out, NFT_TABLE_SIZE, "muster_%s", instance); /* fits */
    return 0;
}

static int open_nf_tables(struct nft_socket *s, struct err *err)
{
    uint32_t generation;
    int result = nft_socket_open(s, err);
    if (result < 0)
        return result;
    result = nft_generation(s, &generation);
    if (result == 0)
        return 0;
    nft_socket_close(s);
    if (result == -EPERM)
        return err_set(err, result, "nf_tables needs CAP_NET_ADMIN in this network namespace");
    if (result == -EINVAL || result == -ENOENT || result == -EOPNOTSUPP)
        return err_set(err, -EOPNOTSUPP, "this kernel has no nf_tables");
    return err_sys(err, result, "nf_tables");
}

/* The kernel checks the fixed part under another name and does not keep it: what it lacks is known before anything is
 * promised. */
static int try_rules(struct nft *n, struct err *err)
{
    struct nft_batch batch;
    char table[NFT_TABLE_SIZE + 8];
    (void)snprintf(table, sizeof(table), "%s_trial", n->table); /* fits */
    nft_batch_init(&batch);
    nft_rules_put(&batch, table, n->udp_timeout_ms);
    int result = nft_batch_send(&n->socket, &batch, true, err);
    nft_batch_deinit(&batch);
    return result == -ENOENT || result == -EAFNOSUPPORT || result == -EINVAL ? -EOPNOTSUPP : result;
}

static int open_flows(struct nft *n, struct err *err)
{
    n->ready_fd = epoll_create1(EPOLL_CLOEXEC);
    if (n->ready_fd < 0)
        return err_sys(err, -errno, "epoll");
    int result = nft_flows_open(&n->flows, &n->socket, leads, n, err);
    result = result < 0 ? result : watch_for(n, nft_flows_fd(&n->flows));
    return result < 0 ? err_wrap(err, result, "conntrack") : 0;
}

int lb_plane_nft_new(const struct lb_nft_config *config, struct lb_plane **out, struct err *err)
{
    struct err why = {0};
    struct nft *n = xcalloc(1, sizeof(*n));
    n->plane.ops = &ops;
    n->udp_timeout_ms = config->udp_timeout_ms;
    n->ready_fd = -1;
    map_init(&n->vips);
    int result = name_table(config->instance, n->table, err);
    result = result < 0 ? result : open_nf_tables(&n->socket, err);
    result = result < 0 ? result : open_flows(n, err);
    if (result == 0 && n->udp_timeout_ms > 0 && try_rules(n, &why) < 0) {
        n->udp_timeout_ms = 0; /* if that was it */
        result = try_rules(n, err);
        if (result == 0)
            log_warning("UDP flows end when the kernel's own time-out says: %s", why.text);
    } else if (result == 0 && n->udp_timeout_ms == 0) {
        result = try_rules(n, err);
    }
    if (result < 0) {
        nft_free(n);
        return result;
    }
    if (open_watch(n, &why) < 0)
        log_warning("%s", why.text);
    *out = &n->plane;
    return 0;
}

int lb_plane_nft_clean(const char *instance, struct err *err)
{
    struct nft_socket s;
    char table[NFT_TABLE_SIZE];
    int result = name_table(instance, table, err);
    result = result < 0 ? result : open_nf_tables(&s, err);
    if (result < 0)
        return result;
    result = remove_table(&s, table, err);
    nft_socket_close(&s);
    return result;
}
