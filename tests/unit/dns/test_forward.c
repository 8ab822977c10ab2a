/* SPDX-License-Identifier: Apache-2.0
 * test_forward.c - forwarding as events and effects: who is asked, what counts as an answer, what clients get. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dns/forward.h"
#include "support/dns_answer.h"

static struct dns_forward_zone zones[3];
static struct dns_forward *forward;
static const struct dns_forward_effect *effects;
static size_t effect_count;
static int64_t now;
static uint64_t randomness;

static int setup_with(size_t servers, size_t cache)
{
    memset(zones, 0, sizeof(zones));
    for (size_t i = 0; i < servers; i++)
        zones[0].resolvers[i] = (struct dns_endpoint){{4, {10, 0, 0, (uint8_t)(i + 1)}}, 53};
    zones[0].resolver_count = servers;
    strcpy(zones[1].name, "corp.test");
    zones[1].resolvers[0] = (struct dns_endpoint){{4, {10, 1, 0, 1}}, 5353};
    zones[1].resolver_count = 1;
    forward = dns_forward_new(&(struct dns_forward_config){.zones = zones,
                                                           .zone_count = 2,
                                                           .timeout_ms = 5000,
                                                           .cache_entries = cache,
                                                           .cache_ttl_max_ms = 60000,
                                                           .udp_bytes_max = 4096,
                                                           .offers_recursion = true});
    now = 1000;
    randomness = UINT64_C(0x123456789abcdef1);
    return 0;
}

static int setup(void **state)
{
    (void)state;
    return setup_with(4, 100);
}

static int setup_one(void **state)
{
    (void)state;
    return setup_with(1, 2);
}

static int teardown(void **state)
{
    (void)state;
    dns_forward_check_invariants(forward);
    forward = dns_forward_free(forward);
    return 0;
}

static void step(struct dns_forward_event event)
{
    event.now_ms = now;
    event.random = randomness;
    randomness = randomness * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    dns_forward_step(forward, &event, &effects, &effect_count);
    dns_forward_check_invariants(forward);
}

static void ask_as(uint64_t client, const char *name, unsigned type, unsigned edns, bool is_tcp)
{
    uint8_t packet[512];
    struct dns_serve_question q = {.client = {.is_tcp = is_tcp, .connection = client}, .packet = packet};
    q.len = dns_test_query(packet, (uint16_t)client, name, type, edns);
    assert_int_equal(dns_question_parse(packet, q.len, &q.q), 0);
    step((struct dns_forward_event){.type = FORWARD_QUESTION, .question = &q});
}

static void ask(uint64_t client, const char *name)
{
    ask_as(client, name, DNS_TYPE_A, 0, false);
}

static size_t count_of(enum dns_forward_effect_type type)
{
    size_t count = 0;
    for (size_t i = 0; i < effect_count; i++)
        count += effects[i].type == type;
    return count;
}

static const struct dns_forward_effect *effect_of(enum dns_forward_effect_type type, size_t index)
{
    for (size_t i = 0; i < effect_count; i++)
        if (effects[i].type == type && index-- == 0)
            return &effects[i];
    fail();
    return NULL;
}

/* What a server was sent, kept beyond the step. */
struct sent {
    uint64_t attempt;
    uint8_t packet[512];
    size_t len;
    struct dns_endpoint server;
    bool is_tcp;
};

static struct sent sent_of(size_t index)
{
    const struct dns_forward_effect *e = effect_of(FORWARD_SEND, index);
    struct sent s = {.attempt = e->attempt, .len = e->len, .server = *e->server, .is_tcp = e->is_tcp};
    memcpy(s.packet, e->packet, e->len);
    return s;
}

/* An answer with so many addresses (with the given TTL), or a failure. */
static size_t make_answer(const struct sent *s, unsigned flags, unsigned count, uint32_t ttl, uint8_t *out)
{
    struct dns_question q;
    assert_int_equal(dns_question_parse(s->packet, s->len, &q), 0);
    size_t at = dns_answer_begin(s->packet, &q, flags, out);
    for (unsigned i = 0; i < count; i++, at += 16) {
        static const uint8_t record[16] = {0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, 192, 0, 2, 1};
        memcpy(out + at, record, 16);
        dns_put32(out + at + 6, ttl);
        out[at + 15] = (uint8_t)i;
    }
    dns_put16(out + 6, count);
    return q.has_edns ? dns_opt_append(out, at, 1232, 0, false) : at;
}

static void answer(const struct sent *s, unsigned flags, unsigned count, uint32_t ttl)
{
    static uint8_t out[65536];
    size_t len = make_answer(s, flags, count, ttl, out);
    step((struct dns_forward_event){.type = FORWARD_ANSWER, .attempt = s->attempt, .packet = out, .len = len});
}

static void test_forward__two_race_and_the_first_good_answer_wins(void **state)
{
    (void)state;
    ask(7, "wWw.example.com");
    assert_int_equal(count_of(FORWARD_SEND), 2);
    struct sent a = sent_of(0), b = sent_of(1);
    assert_true(a.server.ip.bytes[3] != b.server.ip.bytes[3]);
    assert_true(dns_get16(a.packet) != dns_get16(b.packet) && dns_get16(a.packet) != 7);
    answer(&a, DNS_SERVFAIL, 0, 0); /* a bad server is quick */
    assert_int_equal(count_of(FORWARD_REPLY), 0);
    answer(&b, 0, 2, 300);
    const struct dns_forward_effect *reply = effect_of(FORWARD_REPLY, 0);
    assert_int_equal(reply->client.connection, 7);
    assert_int_equal(dns_get16(reply->packet), 7);
    assert_memory_equal(reply->packet + 12, "\3wWw\7example\3com", 17); /* the client's spelling */
    assert_string_equal(dns_test_text(reply->packet, reply->len),
                        "0\nan www.example.com. 300 A 192.0.2.0\nan www.example.com. 300 A 192.0.2.1\n");
    assert_int_equal(dns_forward_next_deadline(forward), INT64_MAX);
    answer(&b, 0, 1, 300); /* too late */
    assert_int_equal(effect_count, 0);
}

static void test_forward__denials_win_and_failures_are_told_at_the_end(void **state)
{
    (void)state;
    ask(1, "no.example");
    struct sent a = sent_of(0);
    answer(&a, DNS_NXDOMAIN, 0, 0);
    assert_int_equal(dns_get16(effect_of(FORWARD_REPLY, 0)->packet + 2) & 15, DNS_NXDOMAIN);
    ask(2, "bad.example");
    for (unsigned round = 0; round < 2; round++) { /* four servers, two at a time, all refuse */
        struct sent x = sent_of(0), y = sent_of(1);
        answer(&x, DNS_REFUSED, 0, 0);
        assert_int_equal(count_of(FORWARD_SEND), 0);
        answer(&y, DNS_REFUSED, 0, 0);
    }
    assert_int_equal(dns_get16(effect_of(FORWARD_REPLY, 0)->packet + 2) & 15, DNS_REFUSED);
}

static void test_forward__answers_must_fit(void **state)
{
    uint8_t out[1024];
    (void)state;
    ask(1, "www.example.com");
    struct sent a = sent_of(0);
    size_t len = make_answer(&a, 0, 1, 60, out);
    static const size_t flips[] = {0, 1, 2, 5, 13, 20, 28, 30}; /* id, QR, count, name, type, class */
    for (size_t i = 0; i < sizeof(flips) / sizeof(flips[0]); i++) {
        uint8_t bad[1024];
        memcpy(bad, out, len);
        bad[flips[i]] ^= flips[i] == 2 ? 0x80 : 0x20;
        step((struct dns_forward_event){.type = FORWARD_ANSWER, .attempt = a.attempt, .packet = bad, .len = len});
        assert_int_equal(count_of(FORWARD_REPLY), 0);
    }
    for (size_t cut = 0; cut < 12 + 21; cut++) {
        step((struct dns_forward_event){.type = FORWARD_ANSWER, .attempt = a.attempt, .packet = out, .len = cut});
        assert_int_equal(count_of(FORWARD_REPLY), 0);
    }
    step((struct dns_forward_event){.type = FORWARD_ANSWER, .attempt = a.attempt, .packet = out, .len = len});
    assert_int_equal(count_of(FORWARD_REPLY), 1);
}

static void test_forward__same_question_is_asked_once(void **state)
{
    (void)state;
    ask(1, "www.example.com");
    struct sent a = sent_of(0);
    ask(2, "WWW.example.com");
    ask_as(3, "www.example.com", DNS_TYPE_A, 1232, false);
    assert_int_equal(effect_count, 0);
    answer(&a, 0, 1, 60);
    assert_int_equal(count_of(FORWARD_REPLY), 3);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(dns_get16(effect_of(FORWARD_REPLY, i)->packet), i + 1);
    assert_memory_equal(effect_of(FORWARD_REPLY, 1)->packet + 12, "\3WWW", 4);
    assert_non_null(
        strstr(dns_test_text(effect_of(FORWARD_REPLY, 2)->packet, effect_of(FORWARD_REPLY, 2)->len), "OPT 4096"));
    for (unsigned i = 0; i < FORWARD_WAITERS_MAX; i++)
        ask(100 + i, "slow.example.com");
    ask(999, "slow.example.com");
    assert_int_equal(dns_get16(effect_of(FORWARD_REPLY, 0)->packet + 2) & 15, DNS_SERVFAIL);
}

static void test_forward__cache_ages_and_ends(void **state)
{
    (void)state;
    ask(1, "www.example.com");
    struct sent a = sent_of(0);
    answer(&a, 0, 1, 40);
    now += 30000;
    ask(2, "www.example.com");
    assert_int_equal(count_of(FORWARD_SEND), 0);
    assert_non_null(strstr(dns_test_text(effect_of(FORWARD_REPLY, 0)->packet, effect_of(FORWARD_REPLY, 0)->len), " 10 A "));
    ask_as(3, "www.example.com", DNS_TYPE_A, 0, true); /* by TCP too */
    assert_int_equal(count_of(FORWARD_REPLY), 1);
    ask_as(4, "www.example.com", DNS_TYPE_AAAA, 0, false);
    assert_int_equal(count_of(FORWARD_SEND), 2);
    now += 10000;
    ask(5, "www.example.com");
    assert_int_equal(count_of(FORWARD_SEND), 2);
    ask(6, "never.example.com"); /* no SOA: a denial is not kept */
    a = sent_of(0);
    answer(&a, DNS_NXDOMAIN, 0, 0);
    ask(7, "never.example.com");
    assert_int_equal(count_of(FORWARD_SEND), 2);
}

/* A denial with the SOA of its zone. */
static void deny(const struct sent *s, unsigned rcode, uint32_t ttl, uint32_t minimum)
{
    static const uint8_t soa[12 + 22] = {0xc0, 12, 0, DNS_TYPE_SOA, 0, 1, 0, 0, 0, 0, 0, 22};
    uint8_t out[512];
    size_t len = make_answer(s, rcode, 0, 0, out) - DNS_OPT_BYTES;
    memcpy(out + len, soa, sizeof(soa));
    dns_put32(out + len + 6, ttl);
    dns_put32(out + len + sizeof(soa) - 4, minimum);
    dns_put16(out + 8, 1);
    dns_put16(out + 10, 0);
    step(
        (struct dns_forward_event){.type = FORWARD_ANSWER, .attempt = s->attempt, .packet = out, .len = len + sizeof(soa)});
}

/* Denials are kept for the lesser of the SOA's TTL and minimum, everything at most for a minute, failures never. */
static void test_forward__how_long_the_cache_keeps(void **state)
{
    static const struct {
        unsigned rcode, count;
        uint32_t ttl, minimum; /* minimum of denials */
        int64_t kept_s;
    } rows[] = {
        {DNS_NXDOMAIN, 0, 50, 20, 20},    {DNS_NXDOMAIN, 0, 20, 50, 20}, {DNS_NOERROR, 0, 30, 40, 30},
        {DNS_NOERROR, 1, 86400, 0, 60},   {DNS_NOERROR, 1, 0, 0, 0},     {DNS_NXDOMAIN, 0, 86400, 86400, 60},
        {DNS_NOERROR, 1, 1u << 31, 0, 0}, /* no TTL but an attack or a mistake */
        {DNS_SERVFAIL, 0, 60, 60, 0},     {DNS_REFUSED, 0, 60, 60, 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char name[32];
        (void)snprintf(name, sizeof(name), "n%zu.example", i);
        ask(1, name);
        struct sent a = sent_of(0);
        if (rows[i].count > 0)
            answer(&a, rows[i].rcode, rows[i].count, rows[i].ttl);
        else
            deny(&a, rows[i].rcode, rows[i].ttl, rows[i].minimum);
        if (rows[i].kept_s == 0) {
            ask(2, name);
            assert_int_equal(count_of(FORWARD_REPLY), 0);
            continue;
        }
        now += rows[i].kept_s * 1000 - 1;
        ask(2, name);
        assert_int_equal(count_of(FORWARD_SEND), 0);
        assert_int_equal(dns_get16(effect_of(FORWARD_REPLY, 0)->packet + 2) & 15, rows[i].rcode);
        now += 1;
        ask(3, name);
        assert_int_equal(count_of(FORWARD_REPLY), 0);
    }
}

/* Zones in zones: the longest whole-label suffix decides. */
static void test_forward__longest_zone_decides(void **state)
{
    static const struct {
        const char *name;
        uint8_t last; /* of the server's address 10.x.0.1 */
    } rows[] = {{"a.corp.test", 1},
                {"corp.test", 1},
                {"x.dev.corp.test", 2},
                {"DEV.corp.test", 2},
                {"xdev.corp.test", 1},
                {"xcorp.test", 0},
                {"test", 0},
                {"dev", 0}};
    (void)state;
    strcpy(zones[2].name, "dev.corp.test");
    zones[2].resolvers[0] = (struct dns_endpoint){{4, {10, 2, 0, 1}}, 53};
    zones[2].resolver_count = 1;
    dns_forward_free(forward);
    forward = dns_forward_new(
        &(struct dns_forward_config){.zones = zones, .zone_count = 3, .timeout_ms = 5000, .udp_bytes_max = 4096});
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        ask(i, rows[i].name);
        assert_int_equal(effect_of(FORWARD_SEND, 0)->server->ip.bytes[1], rows[i].last);
    }
}

/* Ids come from the event's randomness, another one for each server; the question goes out in the client's spelling. */
static void test_forward__ids_are_drawn(void **state)
{
    bool seen[65536] = {false};
    unsigned distinct = 0;
    (void)state;
    for (unsigned i = 0; i < 200; i++) {
        char name[32];
        (void)snprintf(name, sizeof(name), "wWw%u.eXample", i);
        ask(1, name);
        for (size_t s = 0; s < 2; s++) {
            struct sent a = sent_of(s);
            distinct += !seen[dns_get16(a.packet)];
            seen[dns_get16(a.packet)] = true;
            assert_memory_equal(a.packet + 13, "wWw", 3);
        }
    }
    assert_true(distinct > 380);
}

static void test_forward__cache_is_bounded(void **state)
{
    struct dns_forward_counts counts;
    (void)state;
    static const char *const names[] = {"a.example", "b.example", "c.example"};
    for (unsigned i = 0; i < 3; i++) {
        ask(i, names[i]);
        struct sent s = sent_of(0);
        answer(&s, 0, 1, 60);
    }
    dns_forward_counts(forward, &counts);
    assert_int_equal(counts.cached, 2);
    ask(9, "a.example");
    assert_int_equal(count_of(FORWARD_SEND), 1);
}

static void test_forward__silence_moves_on_and_ends(void **state)
{
    bool asked[5] = {false};
    unsigned sends = 0;
    (void)state;
    ask(1, "lost.example");
    for (unsigned round = 0; round < 10 && effect_count > 0; round++) {
        for (size_t i = 0; i < count_of(FORWARD_SEND); i++, sends++)
            asked[effect_of(FORWARD_SEND, i)->server->ip.bytes[3]] = true;
        if (count_of(FORWARD_REPLY) > 0)
            break;
        assert_true(dns_forward_next_deadline(forward) > now);
        now = dns_forward_next_deadline(forward);
        step((struct dns_forward_event){.type = FORWARD_TICK});
        while (effect_count == 0) {
            now = dns_forward_next_deadline(forward);
            step((struct dns_forward_event){.type = FORWARD_TICK});
        }
    }
    assert_true(asked[1] && asked[2] && asked[3] && asked[4]);
    assert_true(sends <= FORWARD_ATTEMPTS_MAX);
    assert_int_equal(now, 6000);
    assert_int_equal(dns_get16(effect_of(FORWARD_REPLY, 0)->packet + 2) & (15 | DNS_QR), DNS_SERVFAIL | DNS_QR);
    assert_int_equal(count_of(FORWARD_CLOSE), sends);
}

static void test_forward__old_servers_are_asked_without_edns(void **state)
{
    (void)state;
    ask(1, "www.example.com");
    struct sent a = sent_of(0);
    assert_int_equal(dns_get16(a.packet + 10), 1);
    answer(&a, DNS_FORMERR, 0, 0);
    a = sent_of(0);
    assert_int_equal(dns_get16(a.packet + 10), 0);
    answer(&a, 0, 1, 60);
    assert_int_equal(count_of(FORWARD_REPLY), 1);
}

static void test_forward__zones_sizes_and_transport(void **state)
{
    (void)state;
    ask(1, "host.corp.test");
    struct sent a = sent_of(0);
    assert_int_equal(a.server.port, 5353);
    answer(&a, 0, 100, 60); /* more than 512 bytes: the client is sent to TCP */
    assert_true(effect_of(FORWARD_REPLY, 0)->len <= 512);
    assert_true(dns_get16(effect_of(FORWARD_REPLY, 0)->packet + 2) & DNS_TC);
    ask_as(2, "other.corp.test", DNS_TYPE_A, 0, true);
    a = sent_of(0);
    assert_true(a.is_tcp);
    answer(&a, 0, 100, 60);
    assert_int_equal(dns_get16(effect_of(FORWARD_REPLY, 0)->packet + 6), 100);
    ask(3, "cut.corp.test");
    a = sent_of(0);
    answer(&a, DNS_TC, 3, 60);
    assert_true(dns_get16(effect_of(FORWARD_REPLY, 0)->packet + 2) & DNS_TC);
    assert_int_equal(dns_get16(effect_of(FORWARD_REPLY, 0)->packet + 6), 0);
    ask(4, "cut.corp.test"); /* and nothing of it was kept */
    assert_int_equal(count_of(FORWARD_SEND), 1);
}

static void test_forward__nobody_to_ask_is_refused(void **state)
{
    (void)state;
    dns_forward_free(forward);
    setup_with(0, 0);
    ask(1, "www.example.com");
    assert_int_equal(dns_get16(effect_of(FORWARD_REPLY, 0)->packet + 2) & 15, DNS_REFUSED);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_forward__two_race_and_the_first_good_answer_wins),
        TEST(test_forward__denials_win_and_failures_are_told_at_the_end),
        TEST(test_forward__answers_must_fit),
        TEST(test_forward__same_question_is_asked_once),
        TEST(test_forward__cache_ages_and_ends),
        TEST(test_forward__how_long_the_cache_keeps),
        TEST(test_forward__longest_zone_decides),
        TEST(test_forward__ids_are_drawn),
        cmocka_unit_test_setup_teardown(test_forward__cache_is_bounded, setup_one, teardown),
        TEST(test_forward__silence_moves_on_and_ends),
        cmocka_unit_test_setup_teardown(test_forward__old_servers_are_asked_without_edns, setup_one, teardown),
        TEST(test_forward__zones_sizes_and_transport),
        TEST(test_forward__nobody_to_ask_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
