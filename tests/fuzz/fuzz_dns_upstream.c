/* SPDX-License-Identifier: Apache-2.0
 * fuzz_dns_upstream.c - any packet as the answer of a name server. The id and question are put right first, so that the
 * rest is read; every answer that a client then gets is well formed and fits. */
#include <string.h>

#include "common/base/check.h"
#include "dns/forward.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define QUESTION_LEN 14 /* \3www\4test\0, type, class */

static void check_answer(const uint8_t *out, size_t len)
{
    size_t at = DNS_HEADER_BYTES + QUESTION_LEN;
    unsigned count = (unsigned)dns_get16(out + 6) + dns_get16(out + 8) + dns_get16(out + 10);
    CHECK(len >= at && len <= 1232);
    for (unsigned i = 0; i < count; i++) {
        struct dns_record r;
        CHECK(dns_record_read(out, len, at, &r) == 0);
        at = r.end;
    }
    CHECK(at == len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t query[] = "\0\1\1\0\0\1\0\0\0\0\0\1\3www\4test\0\0\1\0\1\0\0\x29\x4\xd0\0\0\0\0\0";
    static struct dns_forward_zone zone;
    zone = (struct dns_forward_zone){.resolvers = {{{4, {10, 0, 0, 1}}, 53}}, .resolver_count = 1};
    struct dns_forward_config config = {.zones = &zone,
                                        .zone_count = 1,
                                        .timeout_ms = 5000,
                                        .cache_entries = 4,
                                        .cache_ttl_max_ms = 60000,
                                        .udp_bytes_max = 1232};
    static uint8_t packet[DNS_MESSAGE_MAX];
    static struct dns_forward *f; /* one for all runs, each in a time of its own */
    static int64_t now_ms;
    struct dns_serve_question question = {.packet = query, .len = sizeof(query)};
    const struct dns_forward_effect *effects;
    size_t count;
    if (size < DNS_HEADER_BYTES + QUESTION_LEN || size > sizeof(packet))
        return 0;
    CHECK(dns_question_parse(query, sizeof(query), &question.q) == DNS_NOERROR);
    if (!f)
        f = dns_forward_new(&config);
    now_ms += 100000;
    dns_forward_step(f, &(struct dns_forward_event){.type = FORWARD_TICK, .now_ms = now_ms, .random = 3}, &effects, &count);
    dns_forward_step(
        f, &(struct dns_forward_event){.type = FORWARD_QUESTION, .now_ms = now_ms, .random = 5, .question = &question},
        &effects, &count);
    CHECK(count == 1 && effects[0].type == FORWARD_SEND);
    memcpy(packet, data, size);
    memcpy(packet, effects[0].packet, 2);
    packet[2] = (uint8_t)((packet[2] & 0x07) | 0x80);
    dns_put16(packet + 4, 1);
    memcpy(packet + DNS_HEADER_BYTES, query + DNS_HEADER_BYTES, question.q.question_len);
    uint64_t attempt = effects[0].attempt;
    for (unsigned round = 0; round < 2; round++) { /* the second is answered from memory, if it was kept */
        struct dns_forward_event answer = {
            .type = FORWARD_ANSWER, .now_ms = now_ms, .random = 9, .attempt = attempt, .packet = packet, .len = size};
        struct dns_forward_event again = {
            .type = FORWARD_QUESTION, .now_ms = now_ms + 1500, .random = 7, .question = &question};
        dns_forward_step(f, round == 0 ? &answer : &again, &effects, &count);
        for (size_t i = 0; i < count; i++)
            if (effects[i].type == FORWARD_REPLY)
                check_answer(effects[i].packet, effects[i].len);
    }
    return 0;
}
