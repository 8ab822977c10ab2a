/* SPDX-License-Identifier: Apache-2.0
 * test_query.c - packets in, packets out: book, snapshot and engine together (rules: facts net-cron A.5). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "dns/book.h"
#include "dns/query.h"
#include "support/dns_answer.h"

static struct dns_zone_layout layout;
static struct dns_book *book;
static struct dns_zone_publisher *publisher;
static struct dns_query_engine engine;
static struct dns_book_set *sets[16];
static uint8_t answer[DNS_MESSAGE_MAX];

static struct dns_ip ip(const char *text)
{
    struct dns_ip out = {.size = strchr(text, ':') ? 16 : 4};
    assert_int_equal(inet_pton(out.size == 4 ? AF_INET : AF_INET6, text, out.bytes), 1);
    return out;
}

static void put(const char *name, const char *address)
{
    struct dns_ip parsed = ip(address);
    dns_book_put_ip(book, name, &parsed);
}

static int setup(void **state)
{
    static const struct dns_zone_soa soa = {"ns1.mesos", "root.ns1.mesos", 60, 600, 86400, 60},
                                     dcos = {"ns.spartan", "support.mesosphere.com", 60, 180, 86400, 1};
    (void)state;
    memset(&layout, 0, sizeof(layout));
    memset(sets, 0, sizeof(sets));
    layout.hash_key = 42;
    assert_int_equal(dns_zone_layout_add(&layout, "mesos", 60, 0, 1, true, &soa), 0);
    assert_int_equal(dns_zone_layout_add(&layout, "thisdcos.directory", 5, 1, 1, true, &dcos), 0);
    assert_int_equal(dns_zone_layout_add(&layout, "deep.thisdcos.directory", 5, 1, 1, true, &dcos), 0);
    assert_int_equal(dns_zone_layout_add(&layout, "in-addr.arpa", 60, 0, 0, false, &soa), 0);
    assert_int_equal(dns_zone_layout_alias(&layout, "mesos.thisdcos.directory", "mesos", "thisdcos.directory"), 0);
    assert_int_equal(dns_zone_layout_alias(&layout, "thisdcos.global", "thisdcos.directory", NULL), 0);
    book = dns_book_new(&layout);
    publisher = dns_zone_publisher_new(&layout);
    engine = (struct dns_query_engine){.config = {.offers_recursion = true, .udp_bytes_max = 4096}};
    rng_seed(&engine.rng, 1);

    dns_book_begin(book);
    put("web.marathon.mesos", "10.0.0.1");
    put("web.marathon.mesos", "10.0.0.2");
    put("web.marathon.mesos.", "10.0.0.1"); /* a set: once */
    put("six.marathon.mesos", "fd01:b::1:8000:2");
    put("web-aaaaa-s0.marathon.mesos", "10.0.0.1");
    put("web-bbbbb-s1.marathon.mesos", "10.0.0.2");
    put("web-bbbbb-s1.marathon.mesos", "fd00::2");
    dns_book_put_srv(book, "_web._tcp.marathon.mesos", "web-aaaaa-s0.marathon.mesos", 80);
    dns_book_put_srv(book, "_web._tcp.marathon.mesos", "web-aaaaa-s0.marathon.mesos", 443);
    dns_book_put_srv(book, "_web._tcp.marathon.mesos", "web-bbbbb-s1.marathon.mesos", 80);
    struct dns_ip reverse = ip("10.0.0.1");
    dns_book_put_ptr(book, &reverse, "web-aaaaa-s0.marathon.mesos");
    put("a.b.agentip.dcos.thisdcos.directory", "10.0.0.9");
    put("x.deep.thisdcos.directory", "10.0.0.9");
    sets[0] = dns_book_commit(book, NULL);
    dns_book_begin(book);
    for (unsigned i = 0; i < 300; i++) {
        char text[64], host[64];
        (void)snprintf(text, sizeof(text), "10.1.%u.%u", i >> 8, i & 255);
        put("many.mesos", text);
        (void)snprintf(host, sizeof(host), "host-%u.mesos", i);
        put(host, text);
        dns_book_put_srv(book, "_many._tcp.mesos", host, (uint16_t)(1000 + i));
    }
    sets[1] = dns_book_commit(book, NULL);
    assert_true(dns_book_publish(book, publisher, 7));
    assert_false(dns_book_publish(book, publisher, 8));
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    for (size_t i = 0; i < 16; i++)
        dns_book_drop(book, sets[i]);
    dns_book_free(book);
    dns_zone_publisher_free(publisher);
    return 0;
}

static size_t ask_raw(const uint8_t *packet, size_t len, bool is_tcp, enum dns_query_verdict *verdict)
{
    struct dns_question q;
    size_t out_len = 0;
    const struct dns_zone_snapshot *s = dns_zone_enter(publisher, 0);
    uint8_t *copy = malloc(len); /* so that reading past the end shows */
    memcpy(copy, packet, len);
    *verdict = dns_query_answer(&engine, s, copy, len, is_tcp, answer, &out_len, &q);
    dns_zone_leave(publisher, 0);
    free(copy);
    return out_len;
}

static size_t ask(const char *name, unsigned type, unsigned edns, bool is_tcp)
{
    uint8_t packet[512];
    enum dns_query_verdict verdict;
    size_t len = ask_raw(packet, dns_test_query(packet, 99, name, type, edns), is_tcp, &verdict);
    assert_int_equal(verdict, QUERY_ANSWER);
    assert_int_equal(dns_get16(answer), 99);
    return len;
}

static const char *text_of(const char *name, unsigned type)
{
    return dns_test_text(answer, ask(name, type, 0, false));
}

static void test_query__answers(void **state)
{
    static const struct {
        const char *name;
        unsigned type;
        const char *text;
    } rows[] = {
        {"web.marathon.mesos", DNS_TYPE_A,
         "0 aa\nan web.marathon.mesos. 60 A 10.0.0.1\nan web.marathon.mesos. 60 A 10.0.0.2\n"},
        {"wEb.MARATHON.mesoS.", DNS_TYPE_A,
         "0 aa\nan web.marathon.mesos. 60 A 10.0.0.1\nan web.marathon.mesos. 60 A 10.0.0.2\n"},
        {"six.marathon.mesos", DNS_TYPE_AAAA, "0 aa\nan six.marathon.mesos. 60 AAAA fd01:b::1:8000:2\n"},
        {"six.marathon.mesos", DNS_TYPE_A, "0 aa\nau mesos. 60 SOA ns1.mesos.\n"},
        {"web.marathon.mesos", DNS_TYPE_AAAA, "0 aa\nau mesos. 60 SOA ns1.mesos.\n"},
        {"web.marathon.mesos", 15, "0 aa\nau mesos. 60 SOA ns1.mesos.\n"},
        {"missing.mesos", DNS_TYPE_A, "3 aa\nau mesos. 60 SOA ns1.mesos.\n"},
        {"missing.mesos", DNS_TYPE_AAAA, "3 aa\nau mesos. 60 SOA ns1.mesos.\n"},
        {"missing.mesos", 15, "3 aa\nau mesos. 60 SOA ns1.mesos.\n"},
        {"missing.mesos", DNS_TYPE_SRV, "0 aa\nau mesos. 60 SOA ns1.mesos.\n"},
        {"missing.mesos", DNS_TYPE_SOA, "0 aa\nau mesos. 60 SOA ns1.mesos.\n"},
        {"missing.mesos", DNS_TYPE_NS, "0 aa\nau mesos. 60 NS ns1.mesos.\n"},
        {"mesos", DNS_TYPE_SOA, "0 aa\nan mesos. 60 SOA ns1.mesos.\n"},
        {"mesos", DNS_TYPE_NS, "0 aa\nan mesos. 60 NS ns1.mesos.\n"},
        {"marathon.mesos", DNS_TYPE_A, "0 aa\nau mesos. 60 SOA ns1.mesos.\n"}, /* only names below it */
        {"bob.*.mesos", DNS_TYPE_A, "3 aa\nau mesos. 60 SOA ns1.mesos.\n"},
        {"six.*.marathon.mesos", 15, "0 aa\nau mesos. 60 SOA ns1.mesos.\n"},
        {"a.*.b.agentip.dcos.*.thisdcos.directory", 15, "0 aa\nau thisdcos.directory. 5 SOA ns.spartan.\n"},
        {"x.deep.*.thisdcos.directory", 15, "0 aa\nau thisdcos.directory. 5 SOA ns.spartan.\n"},
        {"six.*.marathon.mesos", DNS_TYPE_AAAA, "0 aa\nan six.*.marathon.mesos. 60 AAAA fd01:b::1:8000:2\n"},
        {"_web._tcp.marathon.mesos", DNS_TYPE_A, "0 aa\nau mesos. 60 SOA ns1.mesos.\n"},
        {"_web._tcp.marathon.mesos", DNS_TYPE_SRV,
         "0 aa\n"
         "an _web._tcp.marathon.mesos. 60 SRV 0 1 443 web-aaaaa-s0.marathon.mesos.\n"
         "an _web._tcp.marathon.mesos. 60 SRV 0 1 80 web-aaaaa-s0.marathon.mesos.\n"
         "an _web._tcp.marathon.mesos. 60 SRV 0 1 80 web-bbbbb-s1.marathon.mesos.\n"
         "ad web-aaaaa-s0.marathon.mesos. 60 A 10.0.0.1\n"
         "ad web-bbbbb-s1.marathon.mesos. 60 A 10.0.0.2\n"
         "ad web-bbbbb-s1.marathon.mesos. 60 AAAA fd00::2\n"},
        {"web-bbbbb-s1.marathon.mesos", DNS_TYPE_ANY,
         "0 aa\nan web-bbbbb-s1.marathon.mesos. 60 A 10.0.0.2\nan web-bbbbb-s1.marathon.mesos. 60 AAAA fd00::2\n"},
        {"mesos", DNS_TYPE_ANY, "0 aa\nan mesos. 60 NS ns1.mesos.\nan mesos. 60 SOA ns1.mesos.\n"},
        {"1.0.0.10.in-addr.arpa", DNS_TYPE_PTR, "0 aa\nan 1.0.0.10.in-addr.arpa. 60 PTR web-aaaaa-s0.marathon.mesos.\n"},
        {"1.0.0.10.in-addr.arpa", DNS_TYPE_A, "0 aa\nau in-addr.arpa. 60 SOA ns1.mesos.\n"},
        /* the copy in DC/OS's zone has the values of that zone */
        {"web.marathon.mesos.thisdcos.directory", DNS_TYPE_A,
         "0 aa\nan web.marathon.mesos.thisdcos.directory. 5 A 10.0.0.1\n"
         "an web.marathon.mesos.thisdcos.directory. 5 A 10.0.0.2\n"},
        {"_web._tcp.marathon.mesos.thisdcos.directory", DNS_TYPE_SRV,
         "0 aa\n"
         "an _web._tcp.marathon.mesos.thisdcos.directory. 5 SRV 1 1 443 web-aaaaa-s0.marathon.mesos.thisdcos.directory.\n"
         "an _web._tcp.marathon.mesos.thisdcos.directory. 5 SRV 1 1 80 web-aaaaa-s0.marathon.mesos.thisdcos.directory.\n"
         "an _web._tcp.marathon.mesos.thisdcos.directory. 5 SRV 1 1 80 web-bbbbb-s1.marathon.mesos.thisdcos.directory.\n"
         "ad web-aaaaa-s0.marathon.mesos.thisdcos.directory. 5 A 10.0.0.1\n"
         "ad web-bbbbb-s1.marathon.mesos.thisdcos.directory. 5 A 10.0.0.2\n"
         "ad web-bbbbb-s1.marathon.mesos.thisdcos.directory. 5 AAAA fd00::2\n"},
        {"x.mesos.thisdcos.directory", DNS_TYPE_A, "3 aa\nau thisdcos.directory. 5 SOA ns.spartan.\n"},
        {"a.b.agentip.dcos.thisdcos.global", DNS_TYPE_A, "0 aa\nan a.b.agentip.dcos.thisdcos.global. 5 A 10.0.0.9\n"},
        {"x.thisdcos.global", DNS_TYPE_A, "3 aa\nau thisdcos.global. 5 SOA ns.spartan.\n"},
        {"thisdcos.global", DNS_TYPE_SOA, "0 aa\nan thisdcos.global. 5 SOA ns.spartan.\n"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_string_equal(text_of(rows[i].name, rows[i].type), rows[i].text);
}

static void test_query__not_ours_is_forwarded(void **state)
{
    static const char *const names[] = {"google.com",
                                        ".",
                                        "2.0.0.10.in-addr.arpa",
                                        "mesos.com",
                                        "xmesos",
                                        "six.marathon.mesos.*",
                                        "six.marathon.*.mesos.*.*"};
    uint8_t packet[512];
    enum dns_query_verdict verdict;
    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        (void)ask_raw(packet, dns_test_query(packet, 1, names[i], DNS_TYPE_A, 0), false, &verdict);
        assert_int_equal(verdict, QUERY_FORWARD);
    }
}

static void test_query__question_keeps_its_case_and_recursion_bits(void **state)
{
    uint8_t packet[512];
    enum dns_query_verdict verdict;
    size_t query_len = dns_test_query(packet, 1, "wEb.MARATHON.mesoS", DNS_TYPE_A, 0);
    (void)state;
    (void)ask_raw(packet, query_len, false, &verdict);
    assert_memory_equal(answer + 12, packet + 12, query_len - 12);
    assert_int_equal(dns_get16(answer + 2), DNS_QR | DNS_AA | DNS_RD | DNS_RA);
    assert_int_equal(dns_get16(answer + query_len), 0xc00c); /* the owner is the question's name */
}

static void test_query__answers_are_shuffled(void **state)
{
    unsigned first[2] = {0};
    (void)state;
    for (unsigned i = 0; i < 400; i++) {
        size_t len = ask("web.marathon.mesos", DNS_TYPE_A, 0, false);
        first[answer[len - 1] - 1]++;
    }
    assert_in_range(first[0], 120, 280);
    assert_in_range(first[1], 120, 280);
}

static void test_query__size_limits(void **state)
{
    (void)state;
    /* 300 addresses need 4.8 KB */
    size_t plain = ask("many.mesos", DNS_TYPE_A, 0, false);
    assert_true(plain <= 512 && plain > 512 - 16);
    assert_true(dns_get16(answer + 2) & DNS_TC);
    assert_int_equal(dns_get16(answer + 6), (512 - 12 - 16) / 16);
    size_t edns = ask("many.mesos", DNS_TYPE_A, 1232, false);
    assert_true(edns <= 1232 && edns > 1232 - 16);
    assert_true(dns_get16(answer + 2) & DNS_TC);
    assert_int_equal(dns_get16(answer + 10), 1); /* our OPT */
    assert_true(ask("many.mesos", DNS_TYPE_A, 65535, false) <= 4096);
    assert_true(ask("many.mesos", DNS_TYPE_A, 100, false) <= 512); /* less than 512 means 512 */
    size_t tcp = ask("many.mesos", DNS_TYPE_A, 0, true);
    assert_int_equal(dns_get16(answer + 6), 300);
    assert_false(dns_get16(answer + 2) & DNS_TC);
    assert_string_not_equal(dns_test_text(answer, tcp), "malformed");
    size_t srv = ask("_many._tcp.mesos", DNS_TYPE_SRV, 1232, false);
    assert_true(srv <= 1232 && (dns_get16(answer + 2) & DNS_TC));
    assert_string_not_equal(dns_test_text(answer, srv), "malformed");
    srv = ask("_many._tcp.mesos", DNS_TYPE_SRV, 0, true);
    assert_int_equal(dns_get16(answer + 6), 300);
    assert_string_not_equal(dns_test_text(answer, srv), "malformed");
    assert_true(dns_get16(answer + 10) > 200); /* as many as pointers of 14 bits reach */
}

/* Every size of EDNS gives a well-formed answer within it, and a subset of the truth. */
static void test_query__every_size_is_kept(void **state)
{
    (void)state;
    for (unsigned size = 512; size <= 4100; size += 7) {
        unsigned limit = size < 4096 ? size : 4096;
        assert_true(ask("many.mesos", DNS_TYPE_A, size, false) <= limit);
        size_t len = ask("_many._tcp.mesos", DNS_TYPE_SRV, size, false);
        assert_true(len <= limit);
        assert_string_not_equal(dns_test_text(answer, len), "malformed");
        assert_true(ask("_many._tcp.mesos.thisdcos.directory", DNS_TYPE_SRV, size, false) <= limit);
    }
}

static void test_query__edns(void **state)
{
    uint8_t packet[512];
    enum dns_query_verdict verdict;
    (void)state;
    size_t len = ask("missing.mesos", DNS_TYPE_A, 1232, false);
    assert_string_equal(dns_test_text(answer, len), "3 aa\nau mesos. 60 SOA ns1.mesos.\nad OPT 4096\n");
    size_t query_len = dns_test_query(packet, 1, "web.marathon.mesos", DNS_TYPE_A, 1232);
    packet[query_len - 5] = 1; /* version */
    len = ask_raw(packet, query_len, false, &verdict);
    assert_int_equal(verdict, QUERY_ANSWER);
    assert_int_equal(answer[len - 6], 1); /* BADVERS: 16 */
    assert_int_equal(dns_get16(answer + 2) & 15, 0);
    assert_int_equal(dns_get16(answer + 6), 0);
}

/* Options that we do not know are not answered and change nothing; the DO bit comes back; there is one OPT or none. */
static void test_query__edns_options(void **state)
{
    uint8_t packet[600];
    enum dns_query_verdict verdict;
    (void)state;
    size_t query_len = dns_test_query(packet, 1, "six.marathon.mesos", DNS_TYPE_AAAA, 1232);
    packet[query_len - 4] = 0x80;             /* DO */
    dns_put16(packet + query_len - 2, 8 + 5); /* a cookie, and one that nobody knows */
    memcpy(packet + query_len, "\0\12\0\4abcd\xff\xf0\0\1x", 13);
    size_t len = ask_raw(packet, query_len + 13, false, &verdict);
    assert_string_equal(dns_test_text(answer, len), "0 aa\nan six.marathon.mesos. 60 AAAA fd01:b::1:8000:2\nad OPT 4096\n");
    assert_int_equal(answer[len - 4], 0x80);
    assert_int_equal(dns_get16(answer + len - 2), 0);       /* no options */
    (void)ask_raw(packet, query_len + 12, false, &verdict); /* the record is cut */
    assert_int_equal(dns_get16(answer + 2) & 15, DNS_FORMERR);
    /* two of them, or one with an owner */
    query_len = dns_test_query(packet, 1, "six.marathon.mesos", DNS_TYPE_AAAA, 1232);
    memcpy(packet + query_len, packet + query_len - DNS_OPT_BYTES, DNS_OPT_BYTES);
    dns_put16(packet + 10, 2);
    (void)ask_raw(packet, query_len + DNS_OPT_BYTES, false, &verdict);
    assert_int_equal(dns_get16(answer + 2) & 15, DNS_FORMERR);
    /* without EDNS there is none in the answer, an error's either */
    len = ask("missing.mesos", DNS_TYPE_A, 0, false);
    assert_null(strstr(dns_test_text(answer, len), "OPT"));
    query_len = dns_test_query(packet, 1, "mesos", DNS_TYPE_AXFR, 1232);
    len = ask_raw(packet, query_len, true, &verdict);
    assert_string_equal(dns_test_text(answer, len), "5\nad OPT 512\n");
}

/* ANY gives everything there is, cut like other answers; the class ANY is ours as well. */
static void test_query__any(void **state)
{
    uint8_t packet[600];
    enum dns_query_verdict verdict;
    (void)state;
    size_t len = ask("_web._tcp.marathon.mesos", DNS_TYPE_ANY, 0, false);
    const char *text = dns_test_text(answer, len);
    assert_non_null(strstr(text, "an _web._tcp.marathon.mesos. 60 SRV 0 1 443 web-aaaaa-s0.marathon.mesos.\n"));
    assert_non_null(strstr(text, "ad web-bbbbb-s1.marathon.mesos. 60 AAAA fd00::2\n"));
    assert_true(ask("many.mesos", DNS_TYPE_ANY, 0, false) <= 512);
    assert_true(dns_get16(answer + 2) & DNS_TC);
    (void)ask("many.mesos", DNS_TYPE_ANY, 0, true);
    assert_int_equal(dns_get16(answer + 6), 300);
    assert_string_equal(text_of("missing.mesos", DNS_TYPE_ANY), "3 aa\nau mesos. 60 SOA ns1.mesos.\n");
    assert_string_equal(text_of("marathon.mesos", DNS_TYPE_ANY), "0 aa\nau mesos. 60 SOA ns1.mesos.\n");
    size_t query_len = dns_test_query(packet, 1, "six.marathon.mesos", DNS_TYPE_AAAA, 0);
    dns_put16(packet + query_len - 2, DNS_CLASS_ANY);
    len = ask_raw(packet, query_len, false, &verdict);
    assert_string_equal(dns_test_text(answer, len), "0 aa\nan six.marathon.mesos. 60 AAAA fd01:b::1:8000:2\n");
}

/* The rewritten name may be longer than a name can be: then it does not exist. */
static void test_query__long_names_under_aliases(void **state)
{
    char name[256];
    (void)state;
    for (size_t last = 1; last <= 40; last++) {
        size_t n = 0;
        for (unsigned i = 0; i < 3; i++)
            n += (size_t)snprintf(name + n, sizeof(name) - n, "%063u.", i);
        (void)snprintf(name + n, sizeof(name) - n, "%0*u.thisdcos.global", (int)last, 1u);
        assert_true(strlen(name) <= 253);
        assert_string_equal(text_of(name, DNS_TYPE_A), "3 aa\nau thisdcos.global. 5 SOA ns.spartan.\n");
    }
}

static void test_query__refused_and_malformed(void **state)
{
    uint8_t packet[600];
    enum dns_query_verdict verdict;
    size_t len = dns_test_query(packet, 5, "web.marathon.mesos", DNS_TYPE_A, 0);
    (void)state;
    struct {
        size_t at;
        unsigned value;
        int rcode; /* -1: dropped */
    } rows[] = {
        {2, DNS_QR, -1},
        {2, 1 << 11, DNS_NOTIMP},
        {2, 4 << 11, DNS_NOTIMP},
        {4, 0, DNS_FORMERR},
        {4, 2, DNS_FORMERR},
        {6, 1, DNS_FORMERR},
        {10, 1, DNS_FORMERR},
        {10, 65535, DNS_FORMERR},
        {12, 0xc00c, DNS_FORMERR},
        {12, 0x4041, DNS_FORMERR},
        {len - 2, 3, DNS_REFUSED}, /* class CH */
        {len - 4, DNS_TYPE_AXFR, DNS_REFUSED},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint8_t bad[600];
        memcpy(bad, packet, len);
        dns_put16(bad + rows[i].at, rows[i].value);
        size_t out_len = ask_raw(bad, len, false, &verdict);
        assert_int_equal(verdict, rows[i].rcode < 0 ? QUERY_DROP : QUERY_ANSWER);
        if (rows[i].rcode < 0)
            continue;
        assert_int_equal(dns_get16(answer + 2) & 15, rows[i].rcode);
        assert_true(dns_get16(answer + 2) & DNS_QR);
        assert_string_not_equal(dns_test_text(answer, out_len), "malformed");
    }
    for (size_t cut = 0; cut < len; cut++) {
        size_t out_len = ask_raw(packet, cut, false, &verdict);
        assert_int_equal(verdict, cut < 12 ? QUERY_DROP : QUERY_ANSWER);
        if (verdict == QUERY_ANSWER) {
            assert_int_equal(dns_get16(answer + 2) & 15, DNS_FORMERR);
            assert_string_not_equal(dns_test_text(answer, out_len), "malformed");
        }
    }
    packet[len] = 0; /* a byte too many */
    (void)ask_raw(packet, len + 1, false, &verdict);
    assert_int_equal(dns_get16(answer + 2) & 15, DNS_FORMERR);
}

static void test_book__changes_are_seen_and_names_go(void **state)
{
    (void)state;
    dns_book_begin(book);
    put("new.marathon.mesos", "10.0.0.7");
    put("web.marathon.mesos", "10.0.0.3");
    put("bad..name.mesos", "10.0.0.7");
    put("other.zone", "10.0.0.7");
    sets[2] = dns_book_commit(book, sets[2]);
    assert_int_equal(dns_book_left_out(book), 2);
    assert_string_equal(text_of("new.marathon.mesos", DNS_TYPE_A), "3 aa\nau mesos. 60 SOA ns1.mesos.\n");
    assert_true(dns_book_publish(book, publisher, 9));
    assert_string_equal(text_of("new.marathon.mesos", DNS_TYPE_A), "0 aa\nan new.marathon.mesos. 60 A 10.0.0.7\n");
    assert_int_equal(dns_get16(answer + 6), 1);
    (void)ask("web.marathon.mesos", DNS_TYPE_A, 0, false);
    assert_int_equal(dns_get16(answer + 6), 3);
    struct dns_book_set *kept = sets[2];
    dns_book_begin(book); /* the same again is no change */
    put("new.marathon.mesos", "10.0.0.7");
    put("web.marathon.mesos", "10.0.0.3");
    sets[2] = dns_book_commit(book, sets[2]);
    assert_ptr_equal(sets[2], kept);
    assert_int_equal(dns_book_left_out(book), 0);
    assert_false(dns_book_publish(book, publisher, 10));
    /* gone and back within one publication */
    dns_book_drop(book, sets[2]);
    dns_book_begin(book);
    put("new.marathon.mesos", "10.0.0.7");
    sets[2] = dns_book_commit(book, NULL);
    assert_true(dns_book_publish(book, publisher, 11));
    assert_string_equal(text_of("new.marathon.mesos", DNS_TYPE_A), "0 aa\nan new.marathon.mesos. 60 A 10.0.0.7\n");
    for (size_t i = 0; i < 3; i++) {
        dns_book_drop(book, sets[i]);
        sets[i] = NULL;
    }
    assert_true(dns_book_publish(book, publisher, 12));
    assert_int_equal(dns_book_record_count(book), 0);
    assert_string_equal(text_of("web.marathon.mesos", DNS_TYPE_A), "3 aa\nau mesos. 60 SOA ns1.mesos.\n");
    assert_string_equal(text_of("marathon.mesos", DNS_TYPE_A), "3 aa\nau mesos. 60 SOA ns1.mesos.\n");
    assert_int_equal(dns_zone_current(publisher)->entry_count, 3); /* the apexes */
}

static void test_zone__what_a_reader_holds_is_not_freed(void **state)
{
    (void)state;
    const struct dns_zone_snapshot *held = dns_zone_enter(publisher, 3);
    uint8_t name[DNS_NAME_MAX];
    size_t len = dns_name_from_text("web.marathon.mesos", name);
    uint64_t hash = dns_name_hash(name, len, layout.hash_key);
    for (unsigned i = 0; i < 10; i++) {
        char text[32];
        (void)snprintf(text, sizeof(text), "10.9.0.%u", i);
        dns_book_begin(book);
        put("web.marathon.mesos", text);
        sets[3] = dns_book_commit(book, sets[3]);
        assert_true(dns_book_publish(book, publisher, 20 + i));
        const struct dns_zone_entry *e = dns_zone_find(held, name, len, hash);
        assert_non_null(e); /* under ASan this reads freed memory if anything went too early */
        assert_int_equal(e->a_count, 2);
    }
    assert_int_equal(dns_zone_retired(publisher), 10);
    dns_zone_leave(publisher, 3);
    dns_book_drop(book, sets[3]);
    sets[3] = NULL;
    assert_true(dns_book_publish(book, publisher, 40));
    assert_int_equal(dns_zone_retired(publisher), 0);
}

/* Many names: shards grow, and every name is found before and after. */
static void test_zone__grows(void **state)
{
    char name[64];
    (void)state;
    for (unsigned round = 0; round < 10; round++) {
        dns_book_begin(book);
        for (unsigned i = 0; i < 400; i++) {
            (void)snprintf(name, sizeof(name), "n%u-%u.grow.mesos", round, i);
            put(name, "10.2.0.1");
        }
        sets[4 + round] = dns_book_commit(book, NULL);
        assert_true(dns_book_publish(book, publisher, 50 + round));
    }
    for (unsigned round = 0; round < 10; round++)
        for (unsigned i = 0; i < 400; i++) {
            (void)snprintf(name, sizeof(name), "n%u-%u.grow.mesos", round, i);
            (void)ask(name, DNS_TYPE_A, 0, false);
            assert_int_equal(dns_get16(answer + 6), 1);
        }
    for (unsigned round = 0; round < 10; round++) {
        dns_book_drop(book, sets[4 + round]);
        sets[4 + round] = NULL;
    }
    assert_true(dns_book_publish(book, publisher, 99));
    assert_string_equal(text_of("n3-3.grow.mesos", DNS_TYPE_A), "3 aa\nau mesos. 60 SOA ns1.mesos.\n");
    (void)ask("web.marathon.mesos", DNS_TYPE_A, 0, false);
    assert_int_equal(dns_get16(answer + 6), 2);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_query__answers),
        TEST(test_query__not_ours_is_forwarded),
        TEST(test_query__question_keeps_its_case_and_recursion_bits),
        TEST(test_query__answers_are_shuffled),
        TEST(test_query__size_limits),
        TEST(test_query__every_size_is_kept),
        TEST(test_query__edns),
        TEST(test_query__edns_options),
        TEST(test_query__any),
        TEST(test_query__long_names_under_aliases),
        TEST(test_query__refused_and_malformed),
        TEST(test_book__changes_are_seen_and_names_go),
        TEST(test_zone__what_a_reader_holds_is_not_freed),
        TEST(test_zone__grows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
