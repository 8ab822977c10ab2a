/* SPDX-License-Identifier: Apache-2.0
 * fuzz_dns_query.c - any packet to the query engine, by UDP and TCP: no finding, and every answer is well formed, within
 * its limit, and an answer to that question. */
#include <string.h>

#include "common/base/check.h"
#include "dns/book.h"
#include "dns/query.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct dns_zone_layout layout;
static struct dns_zone_publisher *publisher;
static struct dns_query_engine engine;
static struct dns_book *book; /* these two live as long as the program */
static struct dns_book_set *records;

static void prepare(void)
{
    static const struct dns_zone_soa soa = {"ns1.mesos", "root.ns1.mesos", 60, 600, 86400, 60};
    layout.hash_key = 1;
    CHECK(dns_zone_layout_add(&layout, "mesos", 60, 0, 1, true, &soa) == 0);
    CHECK(dns_zone_layout_add(&layout, "thisdcos.directory", 5, 1, 1, true, &soa) == 0);
    CHECK(dns_zone_layout_add(&layout, "in-addr.arpa", 60, 0, 0, false, &soa) == 0);
    CHECK(dns_zone_layout_alias(&layout, "mesos.thisdcos.directory", "mesos", "thisdcos.directory") == 0);
    CHECK(dns_zone_layout_alias(&layout, "thisdcos.global", "thisdcos.directory", NULL) == 0);
    book = dns_book_new(&layout);
    publisher = dns_zone_publisher_new(&layout);
    dns_book_begin(book);
    for (uint8_t i = 0; i < 100; i++) {
        struct dns_ip ip = {4, {10, 0, 0, i}}, ip6 = {16, {0xfd, [15] = i}};
        dns_book_put_ip(book, "a.mesos", &ip);
        dns_book_put_ip(book, i % 2 ? "b.mesos" : "c.mesos", &ip6);
        dns_book_put_srv(book, "_a._tcp.mesos", i % 2 ? "b.mesos" : "a.mesos", i);
        dns_book_put_ptr(book, &ip, "a.mesos");
    }
    records = dns_book_commit(book, NULL);
    CHECK(dns_book_publish(book, publisher, 1));
    engine.config = (struct dns_query_config){.offers_recursion = true, .udp_bytes_max = 1232};
    rng_seed(&engine.rng, 1);
}

static void check_answer(const uint8_t *out, size_t len, size_t limit, const struct dns_question *q)
{
    size_t at = DNS_HEADER_BYTES + (size_t)q->question_len;
    unsigned count = (unsigned)dns_get16(out + 6) + dns_get16(out + 8) + dns_get16(out + 10);
    CHECK(len >= DNS_HEADER_BYTES && len <= limit);
    CHECK(dns_get16(out) == q->id && (dns_get16(out + 2) & DNS_QR));
    for (unsigned i = 0; i < count; i++) {
        uint8_t name[DNS_NAME_MAX];
        struct dns_record r;
        CHECK(dns_record_read(out, len, at, &r) == 0 && dns_name_read(out, len, at, name) > 0);
        at = r.end;
    }
    CHECK(at == len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t out[DNS_MESSAGE_MAX];
    if (!publisher)
        prepare();
    for (int is_tcp = 0; is_tcp < 2; is_tcp++) {
        struct dns_question q;
        size_t len = 0;
        const struct dns_zone_snapshot *s = dns_zone_enter(publisher, 0);
        if (dns_query_answer(&engine, s, data, size, is_tcp, out, &len, &q) == QUERY_ANSWER)
            check_answer(out, len, dns_query_limit(&engine.config, &q, is_tcp), &q);
        dns_zone_leave(publisher, 0);
    }
    return 0;
}
