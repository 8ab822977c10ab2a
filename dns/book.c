/* SPDX-License-Identifier: Apache-2.0
 * book.c - see book.h.
 *
 *   owner -> book_set [ record, record, ... ]     one allocation per set, so records do not move
 *                          |  ^
 *                     name v  | slot
 *   book_name [ &record, &record, ... ]           by place: a record leaves by swapping with the last one
 *        | parent
 *   book_name ...                                 up to the zone's apex, so that empty non-terminals are known
 *
 * A name lives while a record has it as owner or as target, or a name below it lives. */
#include "dns/book.h"

#include <stdlib.h>

#include "common/base/check.h"
#include "common/base/list.h"
#include "common/base/map.h"
#include "dns/wire.h"

struct dns_book_name;

struct record {
    struct dns_book_name *name;
    struct dns_book_name *target; /* SRV, PTR */
    uint32_t slot;                /* in name->records */
    uint16_t port;
    uint8_t kind;
    struct dns_ip ip;
};

struct dns_book_set {
    size_t count, left_out;
    struct record records[];
};

struct dns_book_name {
    struct dns_book_name *parent; /* within the zone; NULL for an apex and in reverse zones */
    uint32_t references;          /* records, targets, names below */
    uint32_t count, capacity;     /* of records */
    struct record **records;
    struct list dirty; /* in book->dirty when linked */
    const struct dns_zone_entry *published;
    uint64_t hash;
    uint8_t zone;
    uint8_t len;
    uint8_t name[];
};

struct dns_book {
    const struct dns_zone_layout *layout;
    struct map names; /* by wire form; struct dns_book_name, owned */
    struct list dirty;
    size_t record_count;
    size_t zone_records[ZONES_MAX];
    size_t left_out;
    struct record *collected;
    size_t collected_count, collected_capacity, collected_left_out;
    struct dns_book_name *apexes[ZONES_MAX];
};

/* -- names ------------------------------------------------------------------------------------------------------ */

static void mark(struct dns_book *b, struct dns_book_name *n)
{
    if (list_is_empty(&n->dirty))
        list_push_back(&b->dirty, &n->dirty);
}

static struct dns_book_name *name_new(struct dns_book *b, const uint8_t *wire, size_t len, int zone)
{
    struct dns_book_name *n = xcalloc(1, sizeof(*n) + len);
    memcpy(n->name, wire, len);
    n->len = (uint8_t)len;
    n->zone = (uint8_t)zone;
    n->hash = dns_name_hash(wire, len, b->layout->hash_key);
    list_init(&n->dirty);
    (void)map_put_n(&b->names, wire, len, n);
    return n;
}

/* NULL when the name is in no zone of ours. As deep as the name has labels. */
static struct dns_book_name *name_ref(struct dns_book *b, const uint8_t *wire, size_t len)
{
    struct dns_book_name *n = map_get_n(&b->names, wire, len);
    if (!n) {
        int zone = dns_zone_of_name(b->layout, wire, len);
        if (zone < 0)
            return NULL;
        n = name_new(b, wire, len, zone);
    }
    if (n->references++ == 0) { /* new, or dead and not yet taken away */
        const struct dns_zone_apex *apex = &b->layout->zones[n->zone];
        size_t label = (size_t)wire[0] + 1;
        mark(b, n);
        if (apex->is_whole && len > apex->name_len)
            n->parent = name_ref(b, wire + label, len - label);
    }
    return n;
}

static void name_unref(struct dns_book *b, struct dns_book_name *n)
{
    while (n) {
        struct dns_book_name *parent = n->parent;
        CHECK(n->references > 0);
        if (--n->references > 0)
            return;
        CHECK(n->count == 0);
        /* What is published goes with the next publication; then the name is freed. */
        mark(b, n);
        n->parent = NULL;
        n = parent;
    }
}

static bool is_dead(const struct dns_book_name *n)
{
    return n->references == 0;
}

/* -- sets ------------------------------------------------------------------------------------------------------- */

struct dns_book *dns_book_new(const struct dns_zone_layout *layout)
{
    struct dns_book *b = xcalloc(1, sizeof(*b));
    b->layout = layout;
    map_init(&b->names);
    list_init(&b->dirty);
    for (size_t i = 0; i < layout->zone_count; i++)
        if (layout->zones[i].is_whole)
            b->apexes[i] = name_ref(b, layout->zones[i].name, layout->zones[i].name_len);
    return b;
}

struct dns_book *dns_book_free(struct dns_book *b)
{
    if (!b)
        return NULL;
    CHECK(b->record_count == 0);
    for (struct map_entry *e = map_first(&b->names); e; e = map_next(e)) {
        struct dns_book_name *n = map_value(e);
        free(n->records);
        free(n);
    }
    map_deinit(&b->names);
    free(b->collected);
    free(b);
    return NULL;
}

void dns_book_begin(struct dns_book *b)
{
    CHECK(b->collected_count == 0 && b->collected_left_out == 0);
}

static void collect(struct dns_book *b, const struct record *r)
{
    if (b->collected_count == b->collected_capacity) {
        b->collected_capacity = b->collected_capacity ? 2 * b->collected_capacity : 64;
        b->collected = xrealloc(b->collected, b->collected_capacity * sizeof(*b->collected));
    }
    b->collected[b->collected_count++] = *r;
}

void dns_book_leave_out(struct dns_book *b)
{
    b->collected_left_out++;
}

void dns_book_put_ip(struct dns_book *b, const char *name, const struct dns_ip *ip)
{
    uint8_t wire[DNS_NAME_MAX];
    size_t len = dns_name_from_text(name, wire);
    struct record r = {.kind = ip->size == 4 ? BOOK_A : BOOK_AAAA, .ip = *ip};
    if (len > 0 && (r.name = name_ref(b, wire, len)) != NULL)
        collect(b, &r);
    else
        b->collected_left_out++;
}

static void put_target(struct dns_book *b, struct record *r, const uint8_t *wire, size_t len, const char *target)
{
    uint8_t target_wire[DNS_NAME_MAX];
    size_t target_len = dns_name_from_text(target, target_wire);
    if (len == 0 || target_len == 0 || !(r->target = name_ref(b, target_wire, target_len))) {
        b->collected_left_out++;
        return;
    }
    if ((r->name = name_ref(b, wire, len)) != NULL) {
        collect(b, r);
        return;
    }
    name_unref(b, r->target);
    b->collected_left_out++;
}

void dns_book_put_srv(struct dns_book *b, const char *name, const char *target, uint16_t port)
{
    uint8_t wire[DNS_NAME_MAX];
    size_t len = dns_name_from_text(name, wire);
    struct record r = {.kind = BOOK_SRV, .port = port};
    put_target(b, &r, wire, len, target);
}

void dns_book_put_ptr(struct dns_book *b, const struct dns_ip *ip, const char *target)
{
    uint8_t wire[DNS_NAME_MAX];
    size_t len = dns_name_reverse(ip->bytes, ip->size, wire);
    struct record r = {.kind = BOOK_PTR};
    put_target(b, &r, wire, len, target);
}

static int compare_values(const struct record *a, const struct record *b)
{
    if (a->kind != b->kind)
        return a->kind < b->kind ? -1 : 1;
    if (a->kind == BOOK_A || a->kind == BOOK_AAAA)
        return memcmp(a->ip.bytes, b->ip.bytes, a->ip.size);
    if (a->target != b->target) {
        size_t len = a->target->len < b->target->len ? a->target->len : b->target->len;
        int order = memcmp(a->target->name, b->target->name, len);
        return order != 0 ? order : a->target->len < b->target->len ? -1 : 1;
    }
    return a->port < b->port ? -1 : a->port > b->port;
}

static bool is_same(const struct dns_book *b, const struct dns_book_set *set)
{
    if (!set || set->count != b->collected_count)
        return false;
    for (size_t i = 0; i < set->count; i++)
        if (set->records[i].name != b->collected[i].name || compare_values(&set->records[i], &b->collected[i]) != 0)
            return false;
    return true;
}

static void release(struct dns_book *b, const struct record *r)
{
    name_unref(b, r->name);
    if (r->target)
        name_unref(b, r->target);
}

static void link_record(struct dns_book *b, struct record *r)
{
    struct dns_book_name *n = r->name;
    if (n->count == n->capacity) {
        n->capacity = n->capacity ? 2 * n->capacity : 1;
        n->records = xrealloc(n->records, n->capacity * sizeof(struct record *));
    }
    r->slot = n->count;
    n->records[n->count++] = r;
    b->record_count++;
    b->zone_records[n->zone]++;
    mark(b, n);
}

static void unlink_record(struct dns_book *b, struct record *r)
{
    struct dns_book_name *n = r->name;
    struct record *last = n->records[--n->count];
    n->records[r->slot] = last;
    last->slot = r->slot;
    b->record_count--;
    b->zone_records[n->zone]--;
    mark(b, n);
}

struct dns_book_set *dns_book_commit(struct dns_book *b, struct dns_book_set *old)
{
    struct dns_book_set *set = NULL;
    if (is_same(b, old)) {
        for (size_t i = 0; i < b->collected_count; i++)
            release(b, &b->collected[i]);
        b->left_out += b->collected_left_out - old->left_out;
        old->left_out = b->collected_left_out;
        b->collected_count = b->collected_left_out = 0;
        return old;
    }
    if (b->collected_count > 0 || b->collected_left_out > 0) {
        set = xmalloc(sizeof(*set) + b->collected_count * sizeof(set->records[0]));
        set->count = b->collected_count;
        set->left_out = b->collected_left_out;
        b->left_out += set->left_out;
        if (set->count > 0)
            memcpy(set->records, b->collected, set->count * sizeof(set->records[0]));
        for (size_t i = 0; i < set->count; i++)
            link_record(b, &set->records[i]);
        b->collected_count = b->collected_left_out = 0;
    }
    dns_book_drop(b, old);
    return set;
}

void dns_book_drop(struct dns_book *b, struct dns_book_set *set)
{
    if (!set)
        return;
    for (size_t i = 0; i < set->count; i++) {
        unlink_record(b, &set->records[i]);
        release(b, &set->records[i]);
    }
    b->left_out -= set->left_out;
    free(set);
}

size_t dns_book_record_count(const struct dns_book *b)
{
    return b->record_count;
}

size_t dns_book_zone_record_count(const struct dns_book *b, size_t zone)
{
    return b->zone_records[zone];
}

size_t dns_book_left_out(const struct dns_book *b)
{
    return b->left_out;
}

/* -- rendering -------------------------------------------------------------------------------------------------- */

static int by_value(const void *a, const void *b)
{
    return compare_values(*(struct record *const *)a, *(struct record *const *)b);
}

/* The distinct records of a name, sorted; malloc'd. The order of the vector depends on history, so whatever is beyond the
 * limit is chosen by value from a bounded number of records. */
static struct record **distinct(const struct dns_book_name *n, size_t *count)
{
    size_t taken = n->count < 4 * ZONE_ANSWERS_MAX ? n->count : 4 * ZONE_ANSWERS_MAX, kept = 0;
    struct record **sorted = xmalloc((taken + 1) * sizeof(struct record *));
    if (taken > 0)
        memcpy(sorted, n->records, taken * sizeof(struct record *));
    qsort(sorted, taken, sizeof(struct record *), by_value);
    for (size_t i = 0; i < taken; i++)
        if (kept == 0 || compare_values(sorted[kept - 1], sorted[i]) != 0)
            sorted[kept++] = sorted[i];
    *count = kept;
    return sorted;
}

struct plan {
    struct record **records;
    size_t start[4], count[4]; /* by kind */
    size_t target_count;
    size_t srv_bytes, ptr_bytes;
};

static void plan_records(struct plan *p, struct record **records, size_t count)
{
    *p = (struct plan){.records = records};
    for (size_t i = 0; i < count; i++) {
        const struct record *r = records[i];
        if (p->count[r->kind] == 0)
            p->start[r->kind] = i;
        if (p->count[r->kind] == ZONE_ANSWERS_MAX)
            continue;
        if (r->kind == BOOK_SRV) {
            p->target_count += p->count[BOOK_SRV] == 0 || records[i - 1]->target != r->target;
            p->srv_bytes += ZONE_SRV_TARGET_AT + r->target->len;
        } else if (r->kind == BOOK_PTR) {
            p->ptr_bytes += 12 + (size_t)r->target->len;
        }
        p->count[r->kind]++;
    }
}

static uint8_t *put_record(uint8_t *p, unsigned type, uint32_t ttl, size_t data_len)
{
    dns_put16(p, 0xc000 | DNS_HEADER_BYTES);
    dns_put16(p + 2, type);
    dns_put16(p + 4, DNS_CLASS_IN);
    dns_put32(p + 6, ttl);
    dns_put16(p + 10, (unsigned)data_len);
    return p + 12;
}

static uint8_t *put_addresses(uint8_t *p, const struct plan *plan, enum dns_book_kind kind, uint32_t ttl)
{
    size_t size = kind == BOOK_A ? 4 : 16;
    for (size_t i = 0; i < plan->count[kind]; i++) {
        p = put_record(p, kind == BOOK_A ? DNS_TYPE_A : DNS_TYPE_AAAA, ttl, size);
        memcpy(p, plan->records[plan->start[kind] + i]->ip.bytes, size);
        p += size;
    }
    return p;
}

static uint8_t *put_srvs(uint8_t *p, const struct plan *plan, const struct dns_zone_apex *zone, struct dns_zone_srv *srvs,
                         struct dns_zone_target *targets)
{
    const struct dns_book_name *last = NULL;
    const uint8_t *base = p;
    size_t target = 0;
    for (size_t i = 0; i < plan->count[BOOK_SRV]; i++) {
        const struct record *r = plan->records[plan->start[BOOK_SRV] + i];
        uint8_t *data = put_record(p, DNS_TYPE_SRV, zone->ttl, 6 + (size_t)r->target->len);
        dns_put16(data, zone->srv_priority);
        dns_put16(data + 2, zone->srv_weight);
        dns_put16(data + 4, r->port);
        memcpy(data + 6, r->target->name, r->target->len);
        if (r->target != last)
            targets[target++] = (struct dns_zone_target){r->target->hash, data + 6, r->target->len};
        last = r->target;
        srvs[i] = (struct dns_zone_srv){(uint32_t)(p - base), (uint16_t)(ZONE_SRV_TARGET_AT + r->target->len),
                                        (uint16_t)(target - 1)};
        p = data + 6 + r->target->len;
    }
    return p;
}

static uint8_t *put_ptrs(uint8_t *p, const struct plan *plan, uint32_t ttl, struct dns_zone_srv *ptrs)
{
    const uint8_t *base = p;
    for (size_t i = 0; i < plan->count[BOOK_PTR]; i++) {
        const struct record *r = plan->records[plan->start[BOOK_PTR] + i];
        uint8_t *data = put_record(p, DNS_TYPE_PTR, ttl, r->target->len);
        memcpy(data, r->target->name, r->target->len);
        ptrs[i] = (struct dns_zone_srv){(uint32_t)(p - base), (uint16_t)(12 + r->target->len), 0};
        p = data + r->target->len;
    }
    return p;
}

/* One allocation: the entry, its name, the addresses (what most questions ask for, next to the name), the tables, the rest.
 */
static struct dns_zone_entry *render(const struct dns_book *b, const struct dns_book_name *n)
{
    const struct dns_zone_apex *zone = &b->layout->zones[n->zone];
    struct plan plan;
    size_t count;
    struct record **records = distinct(n, &count);
    plan_records(&plan, records, count);
    size_t addresses = plan.count[BOOK_A] * ZONE_A_BYTES + plan.count[BOOK_AAAA] * ZONE_AAAA_BYTES;
    size_t tables_at = (sizeof(struct dns_zone_entry) + n->len + addresses + 7) & ~(size_t)7;
    size_t bytes = tables_at + plan.target_count * sizeof(struct dns_zone_target) +
                   (plan.count[BOOK_SRV] + plan.count[BOOK_PTR]) * sizeof(struct dns_zone_srv) + plan.srv_bytes +
                   plan.ptr_bytes;
    uint8_t *memory = xcalloc(1, bytes);
    struct dns_zone_entry *e = (struct dns_zone_entry *)(void *)memory;
    struct dns_zone_target *targets = (struct dns_zone_target *)(void *)(memory + tables_at);
    struct dns_zone_srv *srvs = (struct dns_zone_srv *)(void *)(targets + plan.target_count),
                        *ptrs = srvs + plan.count[BOOK_SRV];
    uint8_t *data = (uint8_t *)(ptrs + plan.count[BOOK_PTR]);
    e->a_count = (uint16_t)plan.count[BOOK_A];
    e->aaaa_count = (uint16_t)plan.count[BOOK_AAAA];
    e->srv_count = (uint16_t)plan.count[BOOK_SRV];
    e->ptr_count = (uint16_t)plan.count[BOOK_PTR];
    e->target_count = (uint16_t)plan.target_count;
    e->zone = n->zone;
    e->name_len = n->len;
    e->bytes = (uint32_t)bytes;
    memcpy(e->name, n->name, n->len);
    e->a = e->name + n->len;
    e->aaaa = put_addresses(e->name + n->len, &plan, BOOK_A, zone->ttl);
    (void)put_addresses(e->name + n->len + plan.count[BOOK_A] * ZONE_A_BYTES, &plan, BOOK_AAAA, zone->ttl);
    e->srv = data;
    e->srvs = srvs;
    e->targets = targets;
    e->ptr = put_srvs(data, &plan, zone, srvs, targets);
    e->ptrs = ptrs;
    uint8_t *end = put_ptrs(data + plan.srv_bytes, &plan, zone->ttl, ptrs);
    CHECK(end == memory + bytes);
    free(records);
    return e;
}

/* Same records? The tables hold pointers, so only the parts without are compared; they determine the tables. */
static bool is_same_entry(const struct dns_zone_entry *a, const struct dns_zone_entry *b)
{
    if (a->bytes != b->bytes || a->a_count != b->a_count || a->aaaa_count != b->aaaa_count ||
        a->srv_count != b->srv_count || a->ptr_count != b->ptr_count || a->target_count != b->target_count)
        return false;
    size_t addresses = a->a_count * (size_t)ZONE_A_BYTES + a->aaaa_count * (size_t)ZONE_AAAA_BYTES;
    size_t rest = a->bytes - (size_t)(a->srv - (const uint8_t *)a);
    return memcmp(a->a, b->a, addresses) == 0 && memcmp(a->srv, b->srv, rest) == 0;
}

static void name_free(struct dns_book *b, struct dns_book_name *n)
{
    list_remove(&n->dirty);
    (void)map_remove_n(&b->names, n->name, n->len);
    free(n->records);
    free(n);
}

bool dns_book_publish(struct dns_book *b, struct dns_zone_publisher *p, uint32_t serial)
{
    size_t count = 0, capacity = 64;
    struct dns_zone_change *changes = xmalloc(capacity * sizeof(*changes));
    struct list dead;
    list_init(&dead);
    list_for_each(it, &b->dirty)
    {
        struct dns_book_name *n = container_of(it, struct dns_book_name, dirty);
        list_remove(it);
        /* In a zone that is not ours as a whole, a name without records is nobody's business. */
        bool is_gone = is_dead(n) || (n->count == 0 && !b->layout->zones[n->zone].is_whole);
        struct dns_zone_entry *e = is_gone ? NULL : render(b, n);
        if (is_dead(n))
            list_push_back(&dead, it);
        if (e ? (n->published && is_same_entry(e, n->published)) : !n->published) {
            free(e);
            continue;
        }
        if (count == capacity) {
            capacity *= 2;
            changes = xrealloc(changes, capacity * sizeof(*changes));
        }
        n->published = e;
        changes[count++] = (struct dns_zone_change){n->hash, n->name, n->len, e};
    }
    if (count > 0)
        dns_zone_publish(p, changes, count, serial);
    free(changes);
    list_for_each(it, &dead) name_free(b, container_of(it, struct dns_book_name, dirty));
    return count > 0;
}

/* -- listings --------------------------------------------------------------------------------------------------- */

static void tell(const struct record *r, void (*fn)(void *ctx, const struct dns_book_view *view), void *ctx)
{
    struct dns_book_view view = {.kind = (enum dns_book_kind)r->kind,
                                 .name = r->name->name,
                                 .ip = r->ip,
                                 .target = r->target ? r->target->name : NULL,
                                 .port = r->port};
    fn(ctx, &view);
}

void dns_book_each(const struct dns_book *b, void (*fn)(void *ctx, const struct dns_book_view *view), void *ctx)
{
    for (struct map_entry *e = map_first(&b->names); e; e = map_next(e)) {
        size_t count;
        struct record **records = distinct(map_value(e), &count);
        for (size_t i = 0; i < count; i++)
            tell(records[i], fn, ctx);
        free(records);
    }
}

void dns_book_set_each(const struct dns_book_set *set, void (*fn)(void *ctx, const struct dns_book_view *view), void *ctx)
{
    for (size_t i = 0; set && i < set->count; i++)
        tell(&set->records[i], fn, ctx);
}
