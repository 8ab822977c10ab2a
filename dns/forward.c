/* SPDX-License-Identifier: Apache-2.0
 * forward.c - see forward.h. A question on the way is a slot of a fixed table; an attempt's number tells slot, generation
 * and place, so that what belongs to an attempt long over is recognised. */
#include "dns/forward.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"
#include "common/base/heap.h"
#include "common/base/map.h"
#include "dns/forward_cache.h"

#define KEY_MAX (DNS_NAME_MAX + 8)
#define FAILURES_MAX 16

struct server {
    const struct dns_endpoint *endpoint;
    unsigned failures; /* in a row */
    uint64_t counts[2][FORWARD_REASONS];
};

struct dns_zone {
    uint8_t name[DNS_NAME_MAX];
    size_t name_len;
    struct server servers[DNS_RESOLVERS_MAX];
    size_t count;
    uint64_t failures; /* questions that nobody had an answer to */
};

struct attempt {
    bool is_open;
    unsigned server;
    uint16_t id;
};

struct waiter {
    struct dns_serve_client client;
    struct dns_question q;
    uint8_t question[DNS_NAME_MAX + 4]; /* in the client's spelling */
};

struct pending {
    bool is_used;
    uint64_t generation;
    uint32_t next_free;
    uint8_t key[KEY_MAX];
    size_t key_len;
    struct dns_zone *zone;
    struct dns_question q;
    uint8_t question[DNS_NAME_MAX + 4]; /* as sent */
    bool is_tcp, without_edns;
    bool ask_again; /* a server would not take the question in this form */
    int64_t started_ms;
    struct heap_node due;
    struct attempt attempts[FORWARD_ATTEMPTS_MAX];
    unsigned attempt_count, told_late; /* the first told_late attempts are counted as not answered in time */
    uint8_t failure_rcode;             /* of a server that could not answer; 0: none said so */
    struct waiter *waiters;
    unsigned waiter_count;
};

struct dns_forward {
    struct dns_forward_config config;
    struct dns_zone *zones;
    struct pending *slots; /* FORWARD_PENDING_MAX */
    uint32_t first_free;   /* FORWARD_PENDING_MAX: none */
    size_t pending_count;
    struct map by_key;
    struct heap due;
    struct dns_forward_cache *cache;
    struct arena *arena; /* of the present effects */
    struct dns_forward_effect *effects;
    size_t effect_count, effect_capacity;
    struct dns_forward_counts counts;
};

/* -- effects ---------------------------------------------------------------------------------------------------- */

static struct dns_forward_effect *add_effect(struct dns_forward *f, enum dns_forward_effect_type type)
{
    if (f->effect_count == f->effect_capacity) {
        f->effect_capacity = f->effect_capacity ? 2 * f->effect_capacity : 16;
        f->effects = xrealloc(f->effects, f->effect_capacity * sizeof(*f->effects));
    }
    struct dns_forward_effect *e = &f->effects[f->effect_count++];
    memset(e, 0, sizeof(*e));
    e->type = type;
    return e;
}

static void reply_bytes(struct dns_forward *f, const struct dns_serve_client *client, const uint8_t *packet, size_t len)
{
    struct dns_forward_effect *e = add_effect(f, FORWARD_REPLY);
    e->client = *client;
    e->packet = packet;
    e->len = len;
}

/* An answer without records. */
static void reply_error(struct dns_forward *f, const struct waiter *w, unsigned rcode)
{
    uint8_t packet[DNS_HEADER_BYTES + DNS_NAME_MAX + 4], out[DNS_PLAIN_MAX];
    memcpy(packet + DNS_HEADER_BYTES, w->question, w->q.question_len);
    size_t len = dns_answer_error(packet, &w->q, f->config.offers_recursion ? DNS_RA : 0, rcode, out);
    reply_bytes(f, &w->client, arena_memdup(f->arena, out, len), len);
}

/* A good answer (without OPT) for one client: its id, its spelling, its size. */
static void reply_answer(struct dns_forward *f, const struct waiter *w, const uint8_t *answer, size_t len)
{
    struct dns_query_config limits = {.udp_bytes_max = f->config.udp_bytes_max};
    size_t limit = dns_query_limit(&limits, &w->q, w->client.is_tcp) - (w->q.has_edns ? DNS_OPT_BYTES : 0);
    uint8_t *out = arena_must_alloc(f->arena, len + DNS_OPT_BYTES);
    memcpy(out, answer, len);
    dns_put16(out, w->q.id);
    unsigned flags = dns_get16(out + 2) & ~(unsigned)(DNS_RD | DNS_CD | DNS_RA | DNS_AA);
    flags |= (w->q.flags & (DNS_RD | DNS_CD)) | (f->config.offers_recursion ? DNS_RA : 0);
    memcpy(out + DNS_HEADER_BYTES, w->question, w->q.question_len);
    if (len > limit) { /* all or nothing: the client comes again by TCP */
        flags |= DNS_TC;
        memset(out + 6, 0, 6);
        len = DNS_HEADER_BYTES + (size_t)w->q.question_len;
    }
    dns_put16(out + 2, flags);
    if (w->q.has_edns)
        len = dns_opt_append(out, len, f->config.udp_bytes_max, dns_get16(out + 2) & DNS_RCODE, w->q.wants_dnssec);
    reply_bytes(f, &w->client, out, len);
}

/* -- pending questions ------------------------------------------------------------------------------------------ */

static uint64_t attempt_number(const struct dns_forward *f, const struct pending *p, unsigned attempt)
{
    return p->generation << 16 | (uint64_t)(p - f->slots) << 4 | attempt;
}

static struct pending *find_attempt(struct dns_forward *f, uint64_t number, unsigned *attempt)
{
    struct pending *p = &f->slots[number >> 4 & (FORWARD_PENDING_MAX - 1)];
    *attempt = (unsigned)(number & 15);
    bool is_known =
        p->is_used && p->generation == number >> 16 && *attempt < p->attempt_count && p->attempts[*attempt].is_open;
    return is_known ? p : NULL;
}

static void close_attempt(struct dns_forward *f, struct pending *p, unsigned attempt)
{
    if (!p->attempts[attempt].is_open)
        return;
    p->attempts[attempt].is_open = false;
    add_effect(f, FORWARD_CLOSE)->attempt = attempt_number(f, p, attempt);
}

static void finish(struct dns_forward *f, struct pending *p)
{
    for (unsigned i = 0; i < p->attempt_count; i++)
        close_attempt(f, p, i);
    (void)map_remove_n(&f->by_key, p->key, p->key_len);
    heap_remove(&f->due, &p->due);
    free(p->waiters);
    p->waiters = NULL;
    p->is_used = false;
    p->next_free = f->first_free;
    f->first_free = (uint32_t)(p - f->slots);
    f->pending_count--;
}

static void fail(struct dns_forward *f, struct pending *p)
{
    p->zone->failures++;
    for (unsigned i = 0; i < p->waiter_count; i++)
        reply_error(f, &p->waiters[i], p->failure_rcode ? p->failure_rcode : DNS_SERVFAIL);
    finish(f, p);
}

static void send_to(struct dns_forward *f, struct pending *p, unsigned server, uint16_t id)
{
    uint8_t packet[DNS_HEADER_BYTES + DNS_NAME_MAX + 4 + DNS_OPT_BYTES] = {0};
    unsigned attempt = p->attempt_count++;
    size_t len = DNS_HEADER_BYTES + (size_t)p->q.question_len;
    p->attempts[attempt] = (struct attempt){.is_open = true, .server = server, .id = id};
    dns_put16(packet, id);
    dns_put16(packet + 2, p->q.flags & (DNS_RD | DNS_CD | DNS_AD));
    dns_put16(packet + 4, 1);
    memcpy(packet + DNS_HEADER_BYTES, p->question, p->q.question_len);
    if (!p->without_edns)
        len = dns_opt_append(packet, len, FORWARD_UDP_BYTES, 0, p->q.wants_dnssec);
    struct dns_forward_effect *e = add_effect(f, FORWARD_SEND);
    e->attempt = attempt_number(f, p, attempt);
    e->server = p->zone->servers[server].endpoint;
    e->is_tcp = p->is_tcp;
    e->packet = arena_memdup(f->arena, packet, len);
    e->len = len;
    f->counts.sent++;
}

static bool was_asked(const struct pending *p, unsigned server)
{
    for (unsigned i = 0; i < p->attempt_count; i++)
        if (p->attempts[i].server == server)
            return true;
    return false;
}

/* Who is asked next: not asked yet before asked, then fewest failures; among equals by chance. -1: nobody else. Every 32nd
 * time chance alone decides, so that a server that failed once gets to show that it is well again. */
static int choose_server(const struct pending *p, uint64_t random, unsigned chosen)
{
    const struct dns_zone *z = p->zone;
    int best = -1;
    unsigned best_rank = 0;
    size_t start = (size_t)(random % z->count);
    for (size_t i = 0; i < z->count; i++) {
        unsigned s = (unsigned)((start + i) % z->count);
        unsigned rank = (random >> 32 & 31) == 0 ? 0 : z->servers[s].failures;
        rank += was_asked(p, s) ? 1000 : 0;
        if (s == chosen || (best >= 0 && rank >= best_rank))
            continue;
        best = (int)s;
        best_rank = rank;
    }
    return best;
}

static void ask(struct dns_forward *f, struct pending *p, int64_t now_ms, uint64_t random)
{
    unsigned chosen = UINT32_MAX;
    for (unsigned i = 0; i < FORWARD_RACE && p->attempt_count < FORWARD_ATTEMPTS_MAX; i++) {
        int server = choose_server(p, random >> (i * 5), chosen);
        if (server < 0)
            break;
        send_to(f, p, (unsigned)server, (uint16_t)(random >> (16 * (i + 1))));
        chosen = (unsigned)server;
    }
    int64_t end_ms = p->started_ms + f->config.timeout_ms, next_ms = now_ms + FORWARD_ROUND_MS;
    heap_set(&f->due, &p->due, next_ms < end_ms ? next_ms : end_ms);
}

static size_t make_key(const struct dns_serve_question *question, uint8_t key[KEY_MAX])
{
    const struct dns_question *q = &question->q;
    memcpy(key, q->name, q->name_len);
    dns_put16(key + q->name_len, q->type);
    dns_put16(key + q->name_len + 2, q->class);
    key[q->name_len + 4] = (uint8_t)((q->wants_dnssec ? 1 : 0) | (q->flags & DNS_CD ? 2 : 0) | (q->flags & DNS_RD ? 4 : 0));
    key[q->name_len + 5] = question->client.is_tcp;
    return q->name_len + 6u;
}

static struct dns_zone *find_zone(struct dns_forward *f, const struct dns_question *q)
{
    struct dns_zone *best = NULL;
    for (size_t i = 0; i < f->config.zone_count; i++) {
        struct dns_zone *z = &f->zones[i];
        if (dns_name_is_under(q->name, q->name_len, z->name, z->name_len) && (!best || z->name_len > best->name_len))
            best = z;
    }
    return best && best->count > 0 ? best : NULL;
}

static void read_waiter(const struct dns_serve_question *question, struct waiter *w)
{
    w->client = question->client;
    w->q = question->q;
    memcpy(w->question, question->packet + DNS_HEADER_BYTES, question->q.question_len);
}

static void on_question(struct dns_forward *f, const struct dns_forward_event *in)
{
    const struct dns_serve_question *question = in->question;
    struct waiter waiter;
    uint8_t key[KEY_MAX], cached[FORWARD_CACHED_BYTES_MAX];
    size_t key_len = make_key(question, key);
    read_waiter(question, &waiter);
    f->counts.questions++;
    struct dns_zone *zone = find_zone(f, &question->q);
    if (!zone) {
        f->counts.refused++;
        reply_error(f, &waiter, DNS_REFUSED);
        return;
    }
    size_t len = dns_forward_cache_get(f->cache, key, key_len - 1, in->now_ms, cached);
    if (len > 0) {
        f->counts.cache_hits++;
        reply_answer(f, &waiter, arena_memdup(f->arena, cached, len), len);
        return;
    }
    struct pending *p = map_get_n(&f->by_key, key, key_len);
    if (p ? p->waiter_count == FORWARD_WAITERS_MAX : f->first_free == FORWARD_PENDING_MAX) {
        f->counts.overloads++;
        reply_error(f, &waiter, DNS_SERVFAIL);
        return;
    }
    if (p) {
        f->counts.joined++;
        p->waiters = xrealloc(p->waiters, (p->waiter_count + 1) * sizeof(*p->waiters));
        p->waiters[p->waiter_count++] = waiter;
        return;
    }
    p = &f->slots[f->first_free];
    f->first_free = p->next_free;
    uint64_t generation = p->generation + 1;
    memset(p, 0, sizeof(*p));
    p->is_used = true;
    p->generation = generation;
    p->zone = zone;
    p->q = question->q;
    memcpy(p->question, waiter.question, p->q.question_len);
    p->is_tcp = question->client.is_tcp;
    p->started_ms = in->now_ms;
    memcpy(p->key, key, key_len);
    p->key_len = key_len;
    p->waiters = xmemdup(&waiter, sizeof(waiter));
    p->waiter_count = 1;
    (void)map_put_n(&f->by_key, key, key_len, p);
    f->pending_count++;
    ask(f, p, in->now_ms, in->random);
}

/* -- answers ---------------------------------------------------------------------------------------------------- */

/* Is it an answer to what this attempt sent? Byte by byte: another spelling of the name may be somebody's guess. */
static bool is_answer(const struct pending *p, const struct attempt *a, const uint8_t *packet, size_t len)
{
    return len >= DNS_HEADER_BYTES + (size_t)p->q.question_len && dns_get16(packet) == a->id &&
           (dns_get16(packet + 2) & (DNS_QR | DNS_OPCODE)) == DNS_QR && dns_get16(packet + 4) == 1 &&
           memcmp(packet + DNS_HEADER_BYTES, p->question, p->q.question_len) == 0;
}

/* The length without the OPT record and what follows it, counts put right; 0 when the message is malformed. */
static size_t strip_opt(uint8_t *packet, size_t len, size_t at)
{
    unsigned others = (unsigned)dns_get16(packet + 6) + dns_get16(packet + 8), additional = dns_get16(packet + 10);
    for (unsigned i = 0; i < others + additional; i++) {
        struct dns_record r;
        if (dns_record_read(packet, len, at, &r) < 0)
            return 0;
        if (r.type == DNS_TYPE_OPT) {
            if (i < others)
                return 0;
            dns_put16(packet + 10, i - others);
            return at;
        }
        at = r.end;
    }
    return at;
}

/* The attempt gave nothing. When none is open any more, others are asked at once. */
static void attempt_failed(struct dns_forward *f, struct pending *p, unsigned attempt, const struct dns_forward_event *in)
{
    struct server *s = &p->zone->servers[p->attempts[attempt].server];
    s->counts[p->is_tcp][in->type == FORWARD_FAILED ? FORWARD_NO_CONNECTION : FORWARD_BAD_ANSWER]++;
    s->failures += s->failures < FAILURES_MAX;
    close_attempt(f, p, attempt);
    for (unsigned i = 0; i < p->attempt_count; i++)
        if (p->attempts[i].is_open)
            return;
    bool is_another = p->ask_again;
    p->ask_again = false;
    for (unsigned s_at = 0; s_at < p->zone->count; s_at++)
        is_another = is_another || !was_asked(p, s_at);
    if (is_another && p->attempt_count < FORWARD_ATTEMPTS_MAX)
        ask(f, p, in->now_ms, in->random);
    else if (p->failure_rcode != 0 || p->attempt_count == FORWARD_ATTEMPTS_MAX)
        fail(f, p);
    /* else the next round, at p->due: a lost packet is no answer */
}

static void on_answer(struct dns_forward *f, const struct dns_forward_event *in)
{
    unsigned attempt;
    struct pending *p = find_attempt(f, in->attempt, &attempt);
    if (!p)
        return;
    if (!is_answer(p, &p->attempts[attempt], in->packet, in->len)) {
        f->counts.bad_answers++;
        if (p->is_tcp)
            attempt_failed(f, p, attempt, in); /* nobody else can have sent it */
        return;                                /* by UDP the right one may still come */
    }
    unsigned rcode = dns_get16(in->packet + 2) & DNS_RCODE;
    if (rcode != DNS_NOERROR && rcode != DNS_NXDOMAIN) {
        f->counts.server_failures++;
        if (rcode == DNS_FORMERR && !p->without_edns)
            p->without_edns = p->ask_again = true; /* an old server */
        else
            p->failure_rcode = (uint8_t)rcode;
        attempt_failed(f, p, attempt, in);
        return;
    }
    uint8_t *answer = arena_memdup(f->arena, in->packet, in->len);
    size_t len = answer ? strip_opt(answer, in->len, DNS_HEADER_BYTES + (size_t)p->q.question_len) : 0;
    bool is_cut = (dns_get16(in->packet + 2) & DNS_TC) != 0;
    if (len == 0 && !is_cut) {
        f->counts.bad_answers++;
        attempt_failed(f, p, attempt, in);
        return;
    }
    if (is_cut) { /* what is there may end anywhere: hand on that it was cut */
        memset(answer + 6, 0, 6);
        len = DNS_HEADER_BYTES + (size_t)p->q.question_len;
    }
    f->counts.answers++;
    p->zone->servers[p->attempts[attempt].server].failures = 0;
    dns_forward_cache_put(f->cache, p->key, p->key_len - 1, answer, len, in->now_ms);
    for (unsigned i = 0; i < p->waiter_count; i++)
        reply_answer(f, &p->waiters[i], answer, len);
    finish(f, p);
}

static void on_failed(struct dns_forward *f, const struct dns_forward_event *in)
{
    unsigned attempt;
    struct pending *p = find_attempt(f, in->attempt, &attempt);
    if (p)
        attempt_failed(f, p, attempt, in);
}

static void on_tick(struct dns_forward *f, const struct dns_forward_event *in)
{
    struct heap_node *node;
    unsigned turn = 0;
    while ((node = heap_pop_due(&f->due, in->now_ms)) != NULL) {
        struct pending *p = container_of(node, struct pending, due);
        for (unsigned i = 0; i < p->attempt_count; i++) {
            struct server *s = &p->zone->servers[p->attempts[i].server];
            s->failures += p->attempts[i].is_open && s->failures < FAILURES_MAX;
            s->counts[p->is_tcp][FORWARD_NO_ANSWER] += p->attempts[i].is_open && i >= p->told_late;
        }
        if (in->now_ms >= p->started_ms + f->config.timeout_ms) {
            f->counts.timeouts++;
            fail(f, p);
        } else if (p->attempt_count == FORWARD_ATTEMPTS_MAX) {
            heap_set(&f->due, &p->due, p->started_ms + f->config.timeout_ms);
        } else { /* the earlier ones may still answer */
            p->told_late = p->attempt_count;
            ask(f, p, in->now_ms, dns_hash_mix(in->random ^ turn++, UINT64_C(0x9e3779b97f4a7c15)));
        }
    }
}

void dns_forward_step(struct dns_forward *f, const struct dns_forward_event *in, const struct dns_forward_effect **effects,
                      size_t *count)
{
    arena_reset(f->arena);
    f->effect_count = 0;
    switch (in->type) {
    case FORWARD_QUESTION:
        on_question(f, in);
        break;
    case FORWARD_ANSWER:
        on_answer(f, in);
        break;
    case FORWARD_FAILED:
        on_failed(f, in);
        break;
    case FORWARD_TICK:
        on_tick(f, in);
        break;
    }
    *effects = f->effects;
    *count = f->effect_count;
}

/* -- life cycle ------------------------------------------------------------------------------------------------- */

struct dns_forward *dns_forward_new(const struct dns_forward_config *config)
{
    struct dns_forward *f = xcalloc(1, sizeof(*f));
    f->config = *config;
    f->zones = xcalloc(config->zone_count + 1, sizeof(*f->zones));
    for (size_t i = 0; i < config->zone_count; i++) {
        struct dns_zone *z = &f->zones[i];
        z->name_len = dns_name_from_text(config->zones[i].name, z->name);
        CHECK(z->name_len > 0);
        for (size_t s = 0; s < config->zones[i].resolver_count; s++)
            z->servers[z->count++] = (struct server){.endpoint = &config->zones[i].resolvers[s]};
    }
    f->slots = xcalloc(FORWARD_PENDING_MAX, sizeof(*f->slots));
    for (uint32_t i = 0; i < FORWARD_PENDING_MAX; i++)
        f->slots[i].next_free = i + 1;
    map_init(&f->by_key);
    heap_init(&f->due);
    f->cache = dns_forward_cache_new(config->cache_entries, config->cache_ttl_max_ms);
    f->arena = arena_new(0);
    return f;
}

struct dns_forward *dns_forward_free(struct dns_forward *f)
{
    if (!f)
        return NULL;
    for (size_t i = 0; i < FORWARD_PENDING_MAX; i++)
        free(f->slots[i].waiters);
    map_deinit(&f->by_key);
    heap_deinit(&f->due);
    dns_forward_cache_free(f->cache);
    arena_free(f->arena);
    free(f->effects);
    free(f->slots);
    free(f->zones);
    free(f);
    return NULL;
}

int64_t dns_forward_next_deadline(const struct dns_forward *f)
{
    const struct heap_node *node = heap_peek(&f->due);
    return node ? node->key_ms : INT64_MAX;
}

void dns_forward_counts(const struct dns_forward *f, struct dns_forward_counts *out)
{
    *out = f->counts;
    out->pending = f->pending_count;
    out->cached = dns_forward_cache_count(f->cache);
}

uint64_t dns_forward_zone_failures(const struct dns_forward *f, size_t zone)
{
    return f->zones[zone].failures;
}

void dns_forward_each_server(const struct dns_forward *f, void (*fn)(void *ctx, const struct dns_forward_server *server),
                             void *ctx)
{
    for (size_t z = 0; z < f->config.zone_count; z++)
        for (size_t i = 0; i < f->zones[z].count; i++) {
            const struct server *s = &f->zones[z].servers[i];
            const struct dns_forward_server out = {f->config.zones[z].name, s->endpoint, s->counts};
            fn(ctx, &out);
        }
}

void dns_forward_check_invariants(const struct dns_forward *f)
{
    size_t used = 0;
    for (size_t i = 0; i < FORWARD_PENDING_MAX; i++) {
        const struct pending *p = &f->slots[i];
        used += p->is_used;
        CHECK(!p->is_used || (p->waiter_count > 0 && heap_is_in(&p->due) && p->attempt_count > 0));
        CHECK(!p->is_used || map_get_n(&f->by_key, p->key, p->key_len) == p);
    }
    CHECK(used == f->pending_count && used == map_count(&f->by_key));
}
