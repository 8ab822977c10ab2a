/* SPDX-License-Identifier: Apache-2.0
 * zone.h - what the query threads read: an immutable snapshot of every name with ready-made answers, swapped whole.
 *
 * A snapshot is an array of shards, a shard a few slots, a slot an entry: one name and its records in wire form. A change
 * makes new entries, new shards for them and a new array; everything else is shared with the snapshot before. One thread
 * publishes. Readers announce the snapshot they use in a slot of their own (a hazard pointer); what a publication replaced
 * is freed once no reader holds that snapshot or an older one. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dns/name.h"

#define ZONES_MAX 12
#define ZONE_ALIASES_MAX 8
#define ZONE_ANSWERS_MAX 2048 /* records of one type and name; further ones are not served */
#define ZONE_A_BYTES 16       /* pointer to the question, type, class, TTL, length, address */
#define ZONE_AAAA_BYTES 28
#define ZONE_SRV_PRIORITY_AT 12 /* in an SRV record */
#define ZONE_SRV_TARGET_AT 18

/* Where we have authority. Zones and aliases do not change while the program runs. */
struct dns_zone_apex {
    uint8_t name[DNS_NAME_MAX];
    uint16_t name_len;
    uint32_t ttl; /* seconds, of every record of it */
    uint16_t srv_priority, srv_weight;
    bool is_whole; /* names of it that we do not know do not exist; otherwise they are forwarded (reverse zones) */
    /* Records without their owner: type, class, TTL, length, data. The serial is put in when answering. */
    uint8_t soa[10 + 2 * DNS_NAME_MAX + 20], ns[10 + DNS_NAME_MAX];
    uint16_t soa_len, ns_len;
};

/* `from` and everything below it is looked up under `to`, and answered under `from`. */
struct dns_zone_alias {
    uint8_t from[DNS_NAME_MAX], to[DNS_NAME_MAX];
    uint16_t from_len, to_len;
    uint8_t soa_zone;    /* whose SOA denies */
    bool has_own_values; /* answers carry the TTL, priority and weight of soa_zone */
};

struct dns_zone_layout {
    struct dns_zone_apex zones[ZONES_MAX];
    size_t zone_count;
    struct dns_zone_alias aliases[ZONE_ALIASES_MAX]; /* longer `from` before its suffixes */
    size_t alias_count;
    uint64_t hash_key;
};

struct dns_zone_srv {
    uint32_t at; /* of the record in entry->srv */
    uint16_t len;
    uint16_t target;
};

struct dns_zone_target {
    uint64_t hash;
    const uint8_t *name;
    uint16_t name_len;
};

/* One name. Every record starts with the owner as a pointer to the question, 0xc00c. */
struct dns_zone_entry {
    uint16_t a_count, aaaa_count, srv_count, ptr_count, target_count;
    uint8_t zone;
    uint8_t name_len;
    uint32_t bytes;      /* of the whole allocation */
    const uint8_t *a;    /* ZONE_A_BYTES each */
    const uint8_t *aaaa; /* ZONE_AAAA_BYTES each */
    const uint8_t *srv;  /* by srvs */
    const uint8_t *ptr;  /* by ptrs */
    const struct dns_zone_srv *srvs, *ptrs;
    const struct dns_zone_target *targets; /* distinct hosts of the SRV records */
    uint8_t name[];
};

struct dns_zone_slot {
    uint64_t hash;
    const struct dns_zone_entry *entry;
};

struct dns_zone_shard {
    uint32_t count;
    struct dns_zone_slot slots[];
};

struct dns_zone_snapshot {
    const struct dns_zone_layout *layout;
    uint32_t serial;
    uint64_t generation;
    size_t entry_count;
    size_t mask;                     /* shard count - 1 */
    struct dns_zone_shard *shards[]; /* NULL: empty */
};

static inline const struct dns_zone_entry *dns_zone_find(const struct dns_zone_snapshot *s, const uint8_t *name, size_t len,
                                                         uint64_t hash)
{
    const struct dns_zone_shard *shard = s->shards[hash & s->mask];
    if (shard)
        for (uint32_t i = 0; i < shard->count; i++)
            if (shard->slots[i].hash == hash) {
                const struct dns_zone_entry *e = shard->slots[i].entry;
                if (e->name_len == len && memcmp(e->name, name, len) == 0)
                    return e;
            }
    return NULL;
}

/* A look-up is three dependent loads that mostly miss the caches. Whoever has a batch asks for them ahead, step after step
 * for all of it: the shard's pointer, the shard, the entry. */
static inline void dns_zone_prefetch(const struct dns_zone_snapshot *s, uint64_t hash, unsigned step)
{
    const struct dns_zone_shard *const *at = (const struct dns_zone_shard *const *)&s->shards[hash & s->mask];
    if (step == 0) {
        __builtin_prefetch(at);
        return;
    }
    const struct dns_zone_shard *shard = *at;
    if (!shard)
        return;
    if (step == 1) {
        __builtin_prefetch(shard);
        __builtin_prefetch((const char *)shard + 64);
        return;
    }
    for (uint32_t i = 0; i < shard->count; i++)
        if (shard->slots[i].hash == hash) {
            __builtin_prefetch(shard->slots[i].entry);
            __builtin_prefetch((const char *)shard->slots[i].entry + 64);
            __builtin_prefetch((const char *)shard->slots[i].entry + 128);
        }
}

/* The zone that name belongs to, the longest suffix; -1: none. */
int dns_zone_of_name(const struct dns_zone_layout *layout, const uint8_t *name, size_t len);
/* Appends a zone; the first error in text (bad name, too many) is -EINVAL. Names as text. */
struct dns_zone_soa {
    const char *mname, *rname;
    uint32_t refresh, retry, expire, minimum;
    uint32_t ns_ttl; /* 0: that of the zone */
};
int dns_zone_layout_add(struct dns_zone_layout *layout, const char *name, uint32_t ttl, uint16_t srv_priority,
                        uint16_t srv_weight, bool is_whole, const struct dns_zone_soa *soa);
/* zone: whose SOA, TTL, priority and weight answers under `from` have; NULL: those of what is there under `to`. */
int dns_zone_layout_alias(struct dns_zone_layout *layout, const char *from, const char *to, const char *zone);

/* -- publishing --------------------------------------------------------------------------------------------------- */

#define ZONE_READERS_MAX 64

struct dns_zone_publisher;

struct dns_zone_publisher *
dns_zone_publisher_new(const struct dns_zone_layout *layout); /* borrowed for its life; an empty snapshot */
struct dns_zone_publisher *dns_zone_publisher_free(struct dns_zone_publisher *p); /* no reader may be inside */

struct dns_zone_change {
    uint64_t hash;
    const uint8_t *name;
    size_t name_len;
    struct dns_zone_entry *entry; /* malloc'd, taken over; NULL: the name goes */
};
/* Sorts changes; each name at most once. */
void dns_zone_publish(struct dns_zone_publisher *p, struct dns_zone_change *changes, size_t count, uint32_t serial);
/* For the publishing thread, until the next dns_zone_publish. */
const struct dns_zone_snapshot *dns_zone_current(const struct dns_zone_publisher *p);
/* Publications whose leftovers wait for a reader. */
size_t dns_zone_retired(const struct dns_zone_publisher *p);

/* A reader is a thread with a number below ZONE_READERS_MAX. Between enter and leave the snapshot stays. */
const struct dns_zone_snapshot *dns_zone_enter(struct dns_zone_publisher *p, unsigned reader);
void dns_zone_leave(struct dns_zone_publisher *p, unsigned reader);
