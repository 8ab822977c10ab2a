/* SPDX-License-Identifier: Apache-2.0
 * query.c - see query.h. The common question, an address of a known name, is: read the question, hash, one look-up, three
 * copies. Everything else may cost a little more. */
#include "dns/query.h"

#include <string.h>

#define POINTER_MAX 0x4000

/* An answer that is being put together. */
struct answer {
    struct dns_query_engine *engine;
    const struct dns_question *q;
    const struct dns_zone_snapshot *snapshot;
    const struct dns_zone_alias *alias; /* the question's name was rewritten by it */
    uint8_t *out;
    size_t len;
    size_t limit; /* without the room for our OPT */
    unsigned answers, authorities, additionals;
    bool is_truncated;
};

size_t dns_query_limit(const struct dns_query_config *config, const struct dns_question *q, bool is_tcp)
{
    if (is_tcp)
        return DNS_MESSAGE_MAX;
    return q->edns_size < config->udp_bytes_max ? q->edns_size : config->udp_bytes_max;
}

static void swap_records(uint8_t *a, uint8_t *b, size_t size)
{
    uint8_t held[ZONE_AAAA_BYTES];
    memcpy(held, a, size);
    memcpy(a, b, size);
    memcpy(b, held, size);
}

/* Fills in the values of the alias's own zone. */
static void adopt(const struct answer *a, uint8_t *record, bool is_srv)
{
    if (!a->alias || !a->alias->has_own_values)
        return;
    const struct dns_zone_apex *zone = &a->snapshot->layout->zones[a->alias->soa_zone];
    dns_put32(record + 6, zone->ttl);
    if (is_srv) {
        dns_put16(record + ZONE_SRV_PRIORITY_AT, zone->srv_priority);
        dns_put16(record + ZONE_SRV_PRIORITY_AT + 2, zone->srv_weight);
    }
}

/* Addresses in random order; when they do not all fit, some that do. */
static void put_addresses(struct answer *a, const uint8_t *records, size_t count, size_t size)
{
    size_t room = (a->limit - a->len) / size, take = count < room ? count : room;
    uint8_t *out = a->out + a->len;
    a->is_truncated = a->is_truncated || take < count;
    if (take == 0)
        return;
    size_t start = count == take ? 0 : (size_t)rng_below(&a->engine->rng, count);
    size_t first = count - start < take ? count - start : take;
    memcpy(out, records + start * size, first * size);
    memcpy(out + first * size, records, (take - first) * size);
    for (size_t i = take - 1; i > 0; i--) {
        size_t other = (size_t)rng_below(&a->engine->rng, i + 1);
        if (other != i)
            swap_records(out + i * size, out + other * size, size);
    }
    if (a->alias)
        for (size_t i = 0; i < take; i++)
            adopt(a, out + i * size, false);
    a->answers += (unsigned)take;
    a->len += take * size;
}

/* The name in the record's data, as whoever asked under an alias knows it. Returns its length. */
static size_t put_target(const struct answer *a, const uint8_t *target, size_t len, uint8_t *out)
{
    const struct dns_zone_alias *alias = a->alias;
    if (alias && dns_name_is_under(target, len, alias->to, alias->to_len)) {
        size_t front = len - alias->to_len;
        if (front + alias->from_len <= DNS_NAME_MAX) {
            memcpy(out, target, front);
            memcpy(out + front, alias->from, alias->from_len);
            return front + alias->from_len;
        }
    }
    memcpy(out, target, len);
    return len;
}

/* One address of each family for each host that an SRV record of the answer names, as far as there is room: nobody has to
 * come back by TCP for these. */
static void put_additionals(struct answer *a, const struct dns_zone_entry *e, const uint16_t *target_at)
{
    for (unsigned t = 0; t < e->target_count; t++) {
        if (target_at[t] == 0)
            continue;
        const struct dns_zone_target *target = &e->targets[t];
        const struct dns_zone_entry *host = dns_zone_find(a->snapshot, target->name, target->name_len, target->hash);
        for (unsigned family = 0; host && family < 2; family++) {
            size_t size = family == 0 ? ZONE_A_BYTES : ZONE_AAAA_BYTES;
            size_t count = family == 0 ? host->a_count : host->aaaa_count;
            if (count == 0 || a->len + size > a->limit)
                continue;
            uint8_t *out = a->out + a->len;
            memcpy(out, (family == 0 ? host->a : host->aaaa) + (size_t)rng_below(&a->engine->rng, count) * size, size);
            dns_put16(out, 0xc000u | target_at[t]);
            adopt(a, out, false);
            a->len += size;
            a->additionals++;
        }
    }
}

static void put_srvs(struct answer *a, const struct dns_zone_entry *e)
{
    uint16_t order[ZONE_ANSWERS_MAX], target_at[ZONE_ANSWERS_MAX];
    memset(target_at, 0, e->target_count * sizeof(target_at[0]));
    for (unsigned i = 0; i < e->srv_count; i++)
        order[i] = (uint16_t)i;
    for (unsigned i = 0; i < e->srv_count; i++) {
        unsigned other = i + (unsigned)rng_below(&a->engine->rng, e->srv_count - i);
        const struct dns_zone_srv srv = e->srvs[order[other]];
        order[other] = order[i];
        const uint8_t *record = e->srv + srv.at;
        size_t grown = a->alias && a->alias->from_len > a->alias->to_len ? a->alias->from_len - a->alias->to_len : 0;
        if (a->len + srv.len + grown > a->limit) {
            a->is_truncated = true;
            break;
        }
        uint8_t *out = a->out + a->len;
        memcpy(out, record, ZONE_SRV_TARGET_AT);
        size_t target_len =
            put_target(a, record + ZONE_SRV_TARGET_AT, srv.len - ZONE_SRV_TARGET_AT, out + ZONE_SRV_TARGET_AT);
        dns_put16(out + 10, (unsigned)(6 + target_len));
        adopt(a, out, true);
        if (target_at[srv.target] == 0 && a->len + ZONE_SRV_TARGET_AT < POINTER_MAX)
            target_at[srv.target] = (uint16_t)(a->len + ZONE_SRV_TARGET_AT);
        a->len += ZONE_SRV_TARGET_AT + target_len;
        a->answers++;
    }
    if (!a->is_truncated)
        put_additionals(a, e, target_at);
}

static void put_ptrs(struct answer *a, const struct dns_zone_entry *e)
{
    for (unsigned i = 0; i < e->ptr_count; i++) {
        if (a->len + e->ptrs[i].len > a->limit) {
            a->is_truncated = true;
            return;
        }
        memcpy(a->out + a->len, e->ptr + e->ptrs[i].at, e->ptrs[i].len);
        a->len += e->ptrs[i].len;
        a->answers++;
    }
}

/* A record of the zone itself; the owner is the end of the question's name. owner_len 2..: how much of it. */
static bool put_zone_record(struct answer *a, const uint8_t *record, size_t record_len, size_t owner_len)
{
    if (a->len + 2 + record_len > a->limit)
        return false;
    uint8_t *out = a->out + a->len;
    dns_put16(out, 0xc000u | (unsigned)(DNS_HEADER_BYTES + a->q->name_len - owner_len));
    memcpy(out + 2, record, record_len);
    if (dns_get16(record) == DNS_TYPE_SOA)
        dns_put32(out + 2 + record_len - 20, a->snapshot->serial);
    a->len += 2 + record_len;
    return true;
}

static size_t owner_len(const struct answer *a, const struct dns_zone_apex *zone)
{
    return a->alias && a->alias->from_len < zone->name_len                                          ? a->alias->from_len
           : a->alias && !dns_name_is_under(a->q->name, a->q->name_len, zone->name, zone->name_len) ? a->alias->from_len
                                                                                                    : zone->name_len;
}

static void put_authority(struct answer *a, const struct dns_zone_apex *zone, bool is_ns)
{
    if (is_ns ? put_zone_record(a, zone->ns, zone->ns_len, owner_len(a, zone))
              : put_zone_record(a, zone->soa, zone->soa_len, owner_len(a, zone)))
        a->authorities++;
}

/* SOA and NS stand in the answer for the zone's own name, in the authority section for every other (facts: net-cron A.5).
 */
static void put_apex(struct answer *a, const struct dns_zone_apex *zone)
{
    bool is_apex = a->q->name_len == owner_len(a, zone);
    unsigned type = a->q->type;
    if (type == DNS_TYPE_SOA || type == DNS_TYPE_NS || (type == DNS_TYPE_ANY && is_apex)) {
        unsigned before = a->authorities;
        if (type != DNS_TYPE_NS)
            put_authority(a, zone, false);
        if (type != DNS_TYPE_SOA)
            put_authority(a, zone, true);
        if (is_apex) {
            a->answers += a->authorities - before;
            a->authorities = before;
        }
    }
}

static void put_entry(struct answer *a, const struct dns_zone_entry *e)
{
    switch (a->q->type) {
    case DNS_TYPE_A:
        put_addresses(a, e->a, e->a_count, ZONE_A_BYTES);
        break;
    case DNS_TYPE_AAAA:
        put_addresses(a, e->aaaa, e->aaaa_count, ZONE_AAAA_BYTES);
        break;
    case DNS_TYPE_PTR:
        put_ptrs(a, e);
        break;
    case DNS_TYPE_SRV:
        if (e->srv_count > 0)
            put_srvs(a, e);
        break;
    case DNS_TYPE_ANY:
        put_addresses(a, e->a, e->a_count, ZONE_A_BYTES);
        put_addresses(a, e->aaaa, e->aaaa_count, ZONE_AAAA_BYTES);
        put_ptrs(a, e);
        if (e->srv_count > 0)
            put_srvs(a, e);
        break;
    default:
        break;
    }
}

static size_t finish(struct answer *a, unsigned rcode)
{
    dns_put16(a->out + 2, dns_get16(a->out + 2) | rcode | (a->is_truncated ? DNS_TC : 0u));
    dns_put16(a->out + 6, a->answers);
    dns_put16(a->out + 8, a->authorities);
    dns_put16(a->out + 10, a->additionals);
    if (a->q->has_edns)
        a->len = dns_opt_append(a->out, a->len, a->engine->config.udp_bytes_max, rcode, a->q->wants_dnssec);
    return a->len;
}

/* -- finding the name ------------------------------------------------------------------------------------------- */

static const struct dns_zone_alias *find_alias(const struct dns_zone_layout *layout, const struct dns_question *q)
{
    for (size_t i = 0; i < layout->alias_count; i++)
        if (dns_name_is_under(q->name, q->name_len, layout->aliases[i].from, layout->aliases[i].from_len))
            return &layout->aliases[i];
    return NULL;
}

/* Labels "*" behind the first one are read as not there: `bob.*.mesos` asks for bob.mesos (facts: net-cron A.5). Returns
 * the new length. */
static size_t without_stars(const uint8_t *name, size_t len, uint8_t out[DNS_NAME_MAX])
{
    size_t n = 0;
    for (size_t at = 0; at < len; at += (size_t)name[at] + 1) {
        if (at > 0 && name[at] == 1 && name[at + 1] == '*')
            continue;
        memcpy(out + n, name + at, (size_t)name[at] + 1);
        n += (size_t)name[at] + 1;
    }
    return n;
}

struct found {
    const struct dns_zone_entry *entry;
    const struct dns_zone_alias *alias;
    int zone; /* -1: not ours */
};

static struct found find_elsewhere(const struct dns_zone_snapshot *s, const struct dns_question *q)
{
    const struct dns_zone_layout *layout = s->layout;
    struct found f = {.alias = find_alias(layout, q)};
    uint8_t name[DNS_NAME_MAX], plain[DNS_NAME_MAX];
    size_t len = q->name_len;
    memcpy(name, q->name, len);
    if (f.alias) {
        size_t front = len - f.alias->from_len;
        if (front + f.alias->to_len > DNS_NAME_MAX) { /* nothing that long can be known */
            f.zone = f.alias->soa_zone;
            return f;
        }
        memcpy(name + front, f.alias->to, f.alias->to_len);
        len = front + f.alias->to_len;
    }
    f.zone = dns_zone_of_name(layout, name, len); /* of the name as it was asked: it is what is denied */
    if (f.zone >= 0) {
        size_t plain_len = without_stars(name, len, plain);
        f.entry = dns_zone_find(s, plain, plain_len, dns_name_hash(plain, plain_len, layout->hash_key));
    }
    if (f.alias)
        f.zone = f.alias->soa_zone;
    return f;
}

void dns_query_read(const struct dns_zone_snapshot *s, const uint8_t *packet, size_t len, struct dns_query *out)
{
    out->rcode = dns_question_parse(packet, len, &out->q);
    out->hash = dns_name_hash(out->q.name, out->q.name_len, s->layout->hash_key);
}

enum dns_query_verdict dns_query_answer(struct dns_query_engine *e, const struct dns_zone_snapshot *s,
                                        const uint8_t *packet, size_t len, bool is_tcp, uint8_t *out, size_t *out_len,
                                        struct dns_question *q)
{
    struct dns_query query;
    dns_query_read(s, packet, len, &query);
    *q = query.q;
    return dns_query_finish(e, s, &query, packet, is_tcp, out, out_len);
}

enum dns_query_verdict dns_query_finish(struct dns_query_engine *e, const struct dns_zone_snapshot *s,
                                        const struct dns_query *query, const uint8_t *packet, bool is_tcp, uint8_t *out,
                                        size_t *out_len)
{
    const struct dns_question *q = &query->q;
    unsigned recursion = e->config.offers_recursion ? DNS_RA : 0;
    int rcode = query->rcode;
    if (rcode == DNS_E_DROP)
        return QUERY_DROP;
    if (rcode == DNS_NOERROR && q->has_edns && q->edns_version > 0)
        rcode = DNS_BADVERS;
    else if (rcode == DNS_NOERROR && ((q->class != DNS_CLASS_IN && q->class != DNS_CLASS_ANY) || q->type == DNS_TYPE_AXFR ||
                                      q->type == DNS_TYPE_IXFR))
        rcode = DNS_REFUSED;
    if (rcode != DNS_NOERROR) {
        e->errors++;
        *out_len = dns_answer_error(packet, q, recursion, (unsigned)rcode, out);
        return QUERY_ANSWER;
    }
    struct found f = {.entry = dns_zone_find(s, q->name, q->name_len, query->hash)};
    if (f.entry)
        f.zone = f.entry->zone;
    else
        f = find_elsewhere(s, q);
    if (f.zone < 0 || (!f.entry && !f.alias && !s->layout->zones[f.zone].is_whole))
        return QUERY_FORWARD;
    const struct dns_zone_apex *zone = &s->layout->zones[f.zone];
    struct answer a = {.engine = e, .q = q, .snapshot = s, .alias = f.alias, .out = out};
    a.limit = dns_query_limit(&e->config, q, is_tcp) - (q->has_edns ? DNS_OPT_BYTES : 0);
    a.len = dns_answer_begin(packet, q, DNS_AA | recursion, out);
    if (f.entry)
        put_entry(&a, f.entry);
    if (a.answers > 0 && q->type != DNS_TYPE_ANY) {
        e->answers++;
        *out_len = finish(&a, DNS_NOERROR);
        return QUERY_ANSWER;
    }
    put_apex(&a, zone);
    if (a.answers == 0 && a.authorities == 0 && !a.is_truncated)
        put_authority(&a, zone, false);
    /* Clients take a denial of a service's name for a failure of the server, so those are always "no such data". */
    bool is_unknown = !f.entry && q->type != DNS_TYPE_SRV && q->type != DNS_TYPE_SOA && q->type != DNS_TYPE_NS;
    if (a.answers == 0)
        e->denials++;
    else
        e->answers++;
    *out_len = finish(&a, is_unknown ? DNS_NXDOMAIN : DNS_NOERROR);
    return QUERY_ANSWER;
}
