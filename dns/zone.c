/* SPDX-License-Identifier: Apache-2.0
 * zone.c - see zone.h. */
#include "dns/zone.h"

#include <errno.h>
#include <stdlib.h>

#include "common/base/check.h"
#include "dns/wire.h"

#define SHARDS_MIN 64
#define SHARD_LOAD_MAX 6 /* names a shard, on average, before their number grows */

/* -- layout ----------------------------------------------------------------------------------------------------- */

int dns_zone_of_name(const struct dns_zone_layout *layout, const uint8_t *name, size_t len)
{
    int best = -1;
    for (size_t i = 0; i < layout->zone_count; i++)
        if (dns_name_is_under(name, len, layout->zones[i].name, layout->zones[i].name_len) &&
            (best < 0 || layout->zones[i].name_len > layout->zones[best].name_len))
            best = (int)i;
    return best;
}

static void put_fixed(uint8_t *p, unsigned type, uint32_t ttl, size_t data_len)
{
    dns_put16(p, type);
    dns_put16(p + 2, DNS_CLASS_IN);
    dns_put32(p + 4, ttl);
    dns_put16(p + 8, (unsigned)data_len);
}

int dns_zone_layout_add(struct dns_zone_layout *layout, const char *name, uint32_t ttl, uint16_t srv_priority,
                        uint16_t srv_weight, bool is_whole, const struct dns_zone_soa *soa)
{
    if (layout->zone_count == ZONES_MAX)
        return -EINVAL;
    struct dns_zone_apex *z = &layout->zones[layout->zone_count];
    uint8_t mname[DNS_NAME_MAX], rname[DNS_NAME_MAX];
    size_t name_len = dns_name_from_text(name, z->name), mname_len = dns_name_from_text(soa->mname, mname),
           rname_len = dns_name_from_text(soa->rname, rname);
    if (name_len == 0 || mname_len == 0 || rname_len == 0)
        return -EINVAL;
    z->name_len = (uint16_t)name_len;
    z->ttl = ttl;
    z->srv_priority = srv_priority;
    z->srv_weight = srv_weight;
    z->is_whole = is_whole;
    put_fixed(z->soa, DNS_TYPE_SOA, ttl, mname_len + rname_len + 20);
    memcpy(z->soa + 10, mname, mname_len);
    memcpy(z->soa + 10 + mname_len, rname, rname_len);
    uint8_t *numbers = z->soa + 10 + mname_len + rname_len;
    dns_put32(numbers, 0);
    dns_put32(numbers + 4, soa->refresh);
    dns_put32(numbers + 8, soa->retry);
    dns_put32(numbers + 12, soa->expire);
    dns_put32(numbers + 16, soa->minimum);
    z->soa_len = (uint16_t)(10 + mname_len + rname_len + 20);
    put_fixed(z->ns, DNS_TYPE_NS, soa->ns_ttl ? soa->ns_ttl : ttl, mname_len);
    memcpy(z->ns + 10, mname, mname_len);
    z->ns_len = (uint16_t)(10 + mname_len);
    layout->zone_count++;
    return 0;
}

int dns_zone_layout_alias(struct dns_zone_layout *layout, const char *from, const char *to, const char *zone)
{
    if (layout->alias_count == ZONE_ALIASES_MAX)
        return -EINVAL;
    struct dns_zone_alias *a = &layout->aliases[layout->alias_count];
    a->from_len = (uint16_t)dns_name_from_text(from, a->from);
    a->to_len = (uint16_t)dns_name_from_text(to, a->to);
    uint8_t wire[DNS_NAME_MAX];
    size_t len = dns_name_from_text(zone ? zone : to, wire);
    int values = len > 0 ? dns_zone_of_name(layout, wire, len) : -1;
    if (a->from_len == 0 || a->to_len == 0 || values < 0)
        return -EINVAL;
    a->soa_zone = (uint8_t)values;
    a->has_own_values = zone != NULL;
    layout->alias_count++;
    return 0;
}

/* -- publishing ------------------------------------------------------------------------------------------------- */

struct reader {
    _Alignas(64) _Atomic(const struct dns_zone_snapshot *) held;
};

/* A snapshot that was replaced, with what its successor does not use any more. */
struct retired {
    struct retired *next;
    struct dns_zone_snapshot *snapshot;
    size_t count, capacity;
    void *garbage[];
};

struct dns_zone_publisher {
    _Atomic(struct dns_zone_snapshot *) current;
    struct retired *oldest, *newest;
    size_t retired_count;
    struct reader readers[ZONE_READERS_MAX];
};

static struct dns_zone_snapshot *snapshot_new(const struct dns_zone_layout *layout, size_t shard_count)
{
    struct dns_zone_snapshot *s = xcalloc(1, sizeof(*s) + shard_count * sizeof(s->shards[0]));
    s->layout = layout;
    s->mask = shard_count - 1;
    return s;
}

struct dns_zone_publisher *dns_zone_publisher_new(const struct dns_zone_layout *layout)
{
    struct dns_zone_publisher *p = aligned_alloc(64, sizeof(*p));
    CHECK(p != NULL);
    memset(p, 0, sizeof(*p));
    atomic_store(&p->current, snapshot_new(layout, SHARDS_MIN));
    return p;
}

static void retired_free(struct retired *r)
{
    for (size_t i = 0; i < r->count; i++)
        free(r->garbage[i]);
    free(r->snapshot);
    free(r);
}

struct dns_zone_publisher *dns_zone_publisher_free(struct dns_zone_publisher *p)
{
    if (!p)
        return NULL;
    for (struct retired *r = p->oldest, *next; r; r = next) {
        next = r->next;
        retired_free(r);
    }
    struct dns_zone_snapshot *s = atomic_load(&p->current);
    for (size_t i = 0; i <= s->mask; i++) {
        if (!s->shards[i])
            continue;
        for (uint32_t n = 0; n < s->shards[i]->count; n++)
            free((void *)(uintptr_t)s->shards[i]->slots[n].entry); /* const for the readers only */
        free(s->shards[i]);
    }
    free(s);
    free(p);
    return NULL;
}

const struct dns_zone_snapshot *dns_zone_enter(struct dns_zone_publisher *p, unsigned reader)
{
    CHECK(reader < ZONE_READERS_MAX);
    for (;;) {
        const struct dns_zone_snapshot *s = atomic_load_explicit(&p->current, memory_order_acquire);
        atomic_store(&p->readers[reader].held, s);
        /* Unchanged after the announcement: the publisher will see it before it frees. */
        if (atomic_load(&p->current) == s)
            return s;
    }
}

void dns_zone_leave(struct dns_zone_publisher *p, unsigned reader)
{
    atomic_store_explicit(&p->readers[reader].held, NULL, memory_order_release);
}

const struct dns_zone_snapshot *dns_zone_current(const struct dns_zone_publisher *p)
{
    return atomic_load_explicit(&p->current, memory_order_relaxed);
}

size_t dns_zone_retired(const struct dns_zone_publisher *p)
{
    return p->retired_count;
}

static bool is_held(struct dns_zone_publisher *p, const struct dns_zone_snapshot *s)
{
    for (unsigned i = 0; i < ZONE_READERS_MAX; i++)
        if (atomic_load(&p->readers[i].held) == s)
            return true;
    return false;
}

/* Oldest first: the leftovers of a publication may be in use through any snapshot before it. */
static void collect(struct dns_zone_publisher *p)
{
    while (p->oldest && !is_held(p, p->oldest->snapshot)) {
        struct retired *r = p->oldest;
        p->oldest = r->next;
        if (!p->oldest)
            p->newest = NULL;
        p->retired_count--;
        retired_free(r);
    }
}

static void discard(struct retired **r, const void *garbage)
{
    if (!garbage)
        return;
    if ((*r)->count == (*r)->capacity) {
        (*r)->capacity *= 2;
        *r = xrealloc(*r, sizeof(**r) + (*r)->capacity * sizeof((*r)->garbage[0]));
    }
    (*r)->garbage[(*r)->count++] = (void *)(uintptr_t)garbage; /* const for the readers only */
}

static struct dns_zone_shard *shard_new(size_t count)
{
    struct dns_zone_shard *shard = xmalloc(sizeof(*shard) + count * sizeof(shard->slots[0]));
    shard->count = 0;
    return shard;
}

/* A new shard with changes made to it; they all belong to it. The old one stays the caller's. */
static struct dns_zone_shard *shard_change(const struct dns_zone_shard *old, const struct dns_zone_change *changes,
                                           size_t count, struct retired **retired, struct dns_zone_snapshot *s)
{
    struct dns_zone_shard *shard = shard_new((old ? old->count : 0) + count);
    for (uint32_t i = 0; old && i < old->count; i++) {
        const struct dns_zone_entry *e = old->slots[i].entry;
        bool is_replaced = false;
        for (size_t c = 0; c < count && !is_replaced; c++)
            is_replaced = changes[c].hash == old->slots[i].hash && changes[c].name_len == e->name_len &&
                          memcmp(changes[c].name, e->name, e->name_len) == 0;
        if (is_replaced) {
            discard(retired, e);
            s->entry_count--;
        } else {
            shard->slots[shard->count++] = old->slots[i];
        }
    }
    for (size_t c = 0; c < count; c++)
        if (changes[c].entry) {
            shard->slots[shard->count++] = (struct dns_zone_slot){changes[c].hash, changes[c].entry};
            s->entry_count++;
        }
    if (shard->count > 0)
        return shard;
    free(shard);
    return NULL;
}

/* All entries in more shards. */
static struct dns_zone_snapshot *spread(const struct dns_zone_snapshot *old, size_t shard_count, struct retired **retired)
{
    struct dns_zone_snapshot *s = snapshot_new(old->layout, shard_count);
    uint32_t *counts = xcalloc(shard_count, sizeof(*counts));
    for (size_t i = 0; i <= old->mask; i++)
        for (uint32_t n = 0; old->shards[i] && n < old->shards[i]->count; n++)
            counts[old->shards[i]->slots[n].hash & s->mask]++;
    for (size_t i = 0; i <= old->mask; i++) {
        for (uint32_t n = 0; old->shards[i] && n < old->shards[i]->count; n++) {
            struct dns_zone_slot slot = old->shards[i]->slots[n];
            struct dns_zone_shard **shard = &s->shards[slot.hash & s->mask];
            if (!*shard)
                *shard = shard_new(counts[slot.hash & s->mask]);
            (*shard)->slots[(*shard)->count++] = slot;
        }
        discard(retired, old->shards[i]);
    }
    free(counts);
    s->entry_count = old->entry_count;
    return s;
}

static int by_shard(const void *a, const void *b, void *ctx)
{
    size_t mask = *(const size_t *)ctx;
    size_t x = ((const struct dns_zone_change *)a)->hash & mask, y = ((const struct dns_zone_change *)b)->hash & mask;
    return x < y ? -1 : x > y;
}

void dns_zone_publish(struct dns_zone_publisher *p, struct dns_zone_change *changes, size_t count, uint32_t serial)
{
    struct dns_zone_snapshot *old = atomic_load(&p->current), *s;
    struct retired *retired = xcalloc(1, sizeof(*retired) + 16 * sizeof(retired->garbage[0]));
    size_t shard_count = old->mask + 1;
    retired->capacity = 16;
    while (old->entry_count + count > shard_count * SHARD_LOAD_MAX)
        shard_count *= 4;
    if (shard_count > old->mask + 1) {
        s = spread(old, shard_count, &retired);
    } else {
        s = xmalloc(sizeof(*s) + shard_count * sizeof(s->shards[0]));
        memcpy(s, old, sizeof(*s) + shard_count * sizeof(s->shards[0]));
    }
    bool is_spread = shard_count > old->mask + 1;
    s->serial = serial;
    s->generation = old->generation + 1;
    qsort_r(changes, count, sizeof(*changes), by_shard, &s->mask);
    for (size_t i = 0, next; i < count; i = next) {
        size_t at = changes[i].hash & s->mask;
        for (next = i + 1; next < count && (changes[next].hash & s->mask) == at; next++)
            ;
        struct dns_zone_shard *before = s->shards[at];
        s->shards[at] = shard_change(before, changes + i, next - i, &retired, s);
        if (is_spread)
            free(before); /* nobody has seen it */
        else
            discard(&retired, before);
    }
    retired->snapshot = old;
    atomic_store(&p->current, s);
    if (p->newest)
        p->newest->next = retired;
    else
        p->oldest = retired;
    p->newest = retired;
    p->retired_count++;
    collect(p);
}
