/* SPDX-License-Identifier: Apache-2.0
 * wire.c - see wire.h (RFC 1035, 6891). */
#include "dns/wire.h"

#include <errno.h>
#include <string.h>

#define QUERY_RECORDS_MAX 8 /* beside the question: OPT, perhaps a signature; more is nonsense */

/* Copies the question's name in lower case. Returns the offset behind it, 0 when it is malformed or compressed. */
static size_t read_plain_name(const uint8_t *packet, size_t len, struct dns_question *q)
{
    size_t at = DNS_HEADER_BYTES, n = 0;
    for (;;) {
        if (at >= len)
            return 0;
        size_t label = packet[at];
        if (label > DNS_LABEL_MAX || n + label + 1 > DNS_NAME_MAX || at + 1 + label > len)
            return 0;
        q->name[n++] = (uint8_t)label;
        at++;
        if (label == 0)
            break;
        for (size_t i = 0; i < label; i++) {
            uint8_t c = packet[at + i];
            q->name[n + i] = (uint8_t)(c + ((uint8_t)(c - 'A') < 26 ? 'a' - 'A' : 0));
        }
        n += label;
        at += label;
    }
    q->name_len = (uint16_t)n;
    return at;
}

static int read_records(const uint8_t *packet, size_t len, size_t at, struct dns_question *q)
{
    unsigned first_additional = (unsigned)dns_get16(packet + 6) + dns_get16(packet + 8);
    unsigned count = first_additional + dns_get16(packet + 10);
    if (count > QUERY_RECORDS_MAX)
        return DNS_FORMERR;
    for (unsigned i = 0; i < count; i++) {
        struct dns_record r;
        if (dns_record_read(packet, len, at, &r) < 0)
            return DNS_FORMERR;
        at = r.end;
        if (r.type != DNS_TYPE_OPT)
            continue;
        if (i < first_additional || q->has_edns || packet[r.start] != 0)
            return DNS_FORMERR;
        q->has_edns = true;
        q->edns_size = r.class < DNS_PLAIN_MAX ? DNS_PLAIN_MAX : r.class;
        q->edns_version = (uint8_t)(r.ttl >> 16);
        q->wants_dnssec = (r.ttl & 0x8000) != 0;
    }
    return at == len ? DNS_NOERROR : DNS_FORMERR;
}

int dns_question_parse(const uint8_t *packet, size_t len, struct dns_question *q)
{
    q->name_len = q->question_len = 0;
    q->has_edns = q->wants_dnssec = false;
    q->edns_version = 0;
    q->edns_size = DNS_PLAIN_MAX;
    q->id = q->flags = 0;
    if (len < DNS_HEADER_BYTES)
        return DNS_E_DROP;
    q->id = dns_get16(packet);
    q->flags = dns_get16(packet + 2);
    if (q->flags & DNS_QR)
        return DNS_E_DROP;
    if (q->flags & DNS_OPCODE)
        return DNS_NOTIMP;
    if (dns_get16(packet + 4) != 1) /* several questions have no defined answer (RFC 9619) */
        return DNS_FORMERR;
    size_t at = read_plain_name(packet, len, q);
    if (at == 0 || at + 4 > len) {
        q->name_len = 0;
        return DNS_FORMERR;
    }
    q->type = dns_get16(packet + at);
    q->class = dns_get16(packet + at + 2);
    q->question_len = (uint16_t)(at + 4 - DNS_HEADER_BYTES);
    if (at + 4 == len && dns_get32(packet + 6) == 0 && dns_get16(packet + 10) == 0)
        return DNS_NOERROR;
    return read_records(packet, len, at + 4, q);
}

size_t dns_name_skip(const uint8_t *packet, size_t len, size_t at)
{
    size_t start = at;
    while (at < len) {
        uint8_t label = packet[at];
        if ((label & 0xc0) == 0xc0)
            return at + 2 <= len ? at + 2 : 0;
        if (label > DNS_LABEL_MAX || at - start + label + 1 > DNS_NAME_MAX)
            return 0;
        at += (size_t)label + 1;
        if (label == 0)
            return at;
    }
    return 0;
}

size_t dns_name_read(const uint8_t *packet, size_t len, size_t at, uint8_t out[DNS_NAME_MAX])
{
    size_t n = 0, lowest = at;
    while (at < len) {
        size_t label = packet[at];
        if ((label & 0xc0) == 0xc0) {
            if (at + 2 > len)
                return 0;
            size_t target = dns_get16(packet + at) & 0x3fff;
            if (target >= lowest) /* always further back, so it ends */
                return 0;
            at = lowest = target;
            continue;
        }
        if (label > DNS_LABEL_MAX || n + label + 1 > DNS_NAME_MAX || at + 1 + label > len)
            return 0;
        out[n++] = (uint8_t)label;
        if (label == 0)
            return n;
        for (size_t i = 1; i <= label; i++) {
            uint8_t c = packet[at + i];
            out[n++] = (uint8_t)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
        }
        at += label + 1;
    }
    return 0;
}

int dns_record_read(const uint8_t *packet, size_t len, size_t at, struct dns_record *out)
{
    size_t fixed = dns_name_skip(packet, len, at);
    if (fixed == 0 || fixed + 10 > len)
        return -EBADMSG;
    struct dns_record r = {.start = at,
                           .fixed = fixed,
                           .data = fixed + 10,
                           .type = dns_get16(packet + fixed),
                           .class = dns_get16(packet + fixed + 2),
                           .ttl = dns_get32(packet + fixed + 4),
                           .data_len = dns_get16(packet + fixed + 8)};
    r.end = r.data + r.data_len;
    if (r.end > len)
        return -EBADMSG;
    *out = r;
    return 0;
}

size_t dns_answer_begin(const uint8_t *packet, const struct dns_question *q, unsigned flags, uint8_t *out)
{
    dns_put16(out, q->id);
    dns_put16(out + 2, (q->flags & (DNS_OPCODE | DNS_RD | DNS_CD)) | DNS_QR | flags);
    dns_put16(out + 4, q->question_len > 0);
    memset(out + 6, 0, 6);
    memcpy(out + DNS_HEADER_BYTES, packet + DNS_HEADER_BYTES, q->question_len);
    return DNS_HEADER_BYTES + (size_t)q->question_len;
}

size_t dns_answer_error(const uint8_t *packet, const struct dns_question *q, unsigned flags, unsigned rcode, uint8_t *out)
{
    size_t len = dns_answer_begin(packet, q, flags | (rcode & DNS_RCODE), out);
    return q->has_edns ? dns_opt_append(out, len, DNS_PLAIN_MAX, rcode, q->wants_dnssec) : len;
}

size_t dns_opt_append(uint8_t *message, size_t len, uint16_t udp_size, unsigned rcode, bool dnssec_ok)
{
    uint8_t *p = message + len;
    p[0] = 0;
    dns_put16(p + 1, DNS_TYPE_OPT);
    dns_put16(p + 3, udp_size);
    dns_put32(p + 5, (uint32_t)(rcode >> 4) << 24 | (dnssec_ok ? 0x8000 : 0));
    dns_put16(p + 9, 0);
    dns_put16(message + 10, dns_get16(message + 10) + 1u);
    return len + DNS_OPT_BYTES;
}
