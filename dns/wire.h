/* SPDX-License-Identifier: Apache-2.0
 * wire.h - DNS messages as bytes: reading queries, walking records, patching headers. Reads untrusted bytes; everything is
 * bounds-checked and there is no recursion. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dns/name.h"

#define DNS_HEADER_BYTES 12
#define DNS_PLAIN_MAX 512 /* over UDP, for who does not say otherwise */
#define DNS_MESSAGE_MAX 65535
#define DNS_OPT_BYTES 11 /* an OPT record without options */

enum dns_type {
    DNS_TYPE_A = 1,
    DNS_TYPE_NS = 2,
    DNS_TYPE_CNAME = 5,
    DNS_TYPE_SOA = 6,
    DNS_TYPE_PTR = 12,
    DNS_TYPE_AAAA = 28,
    DNS_TYPE_SRV = 33,
    DNS_TYPE_OPT = 41,
    DNS_TYPE_IXFR = 251,
    DNS_TYPE_AXFR = 252,
    DNS_TYPE_ANY = 255,
};

enum { DNS_CLASS_IN = 1, DNS_CLASS_ANY = 255 };

enum dns_rcode {
    DNS_NOERROR = 0,
    DNS_FORMERR = 1,
    DNS_SERVFAIL = 2,
    DNS_NXDOMAIN = 3,
    DNS_NOTIMP = 4,
    DNS_REFUSED = 5,
    DNS_BADVERS = 16, /* needs an OPT record */
};

/* Flag bits of the second header word. */
enum {
    DNS_QR = 0x8000,
    DNS_OPCODE = 0x7800,
    DNS_AA = 0x0400,
    DNS_TC = 0x0200,
    DNS_RD = 0x0100,
    DNS_RA = 0x0080,
    DNS_AD = 0x0020,
    DNS_CD = 0x0010,
    DNS_RCODE = 0x000f,
};

static inline uint16_t dns_get16(const uint8_t *p)
{
    return (uint16_t)(p[0] << 8 | p[1]);
}
static inline uint32_t dns_get32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}
static inline void dns_put16(uint8_t *p, unsigned v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}
static inline void dns_put32(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)(v >> 24);
    p[1] = (uint8_t)(v >> 16);
    p[2] = (uint8_t)(v >> 8);
    p[3] = (uint8_t)v;
}

/* A query that was understood. The question's bytes stay in the packet, at DNS_HEADER_BYTES, question_len of them. */
struct dns_question {
    uint8_t name[DNS_NAME_MAX + 1]; /* lower case */
    uint16_t name_len;              /* with the zero byte */
    uint16_t question_len;
    uint16_t type, class;
    uint16_t id, flags;
    bool has_edns, wants_dnssec;
    uint8_t edns_version;
    uint16_t edns_size;
};

enum { DNS_E_DROP = -1 }; /* no query at all: it must not be answered */

/* DNS_NOERROR, DNS_E_DROP, or the rcode to answer with. name_len is 0 until the question was read. */
int dns_question_parse(const uint8_t *packet, size_t len, struct dns_question *q);

/* The offset behind the name at `at`, 0 when it is malformed. Pointers are stepped over, not followed. */
size_t dns_name_skip(const uint8_t *packet, size_t len, size_t at);
/* Follows pointers (only backwards). Lower-cased into out; returns its length, 0 when malformed. */
size_t dns_name_read(const uint8_t *packet, size_t len, size_t at, uint8_t out[DNS_NAME_MAX]);

struct dns_record {
    size_t start; /* of the owner name */
    size_t fixed; /* of type, class, TTL, length */
    size_t data;  /* of the data */
    size_t end;
    uint16_t type, class;
    uint32_t ttl;
    uint16_t data_len;
};
/* 0, or -EBADMSG. */
int dns_record_read(const uint8_t *packet, size_t len, size_t at, struct dns_record *out);

/* Header and question of the answer, counts 1 0 0 0. flags are or-ed to what is kept of the query (opcode, RD, CD). Returns
 * the length. out has room for DNS_HEADER_BYTES + question_len. Without a question that was read it is the header alone. */
size_t dns_answer_begin(const uint8_t *packet, const struct dns_question *q, unsigned flags, uint8_t *out);
/* A whole answer without records but the OPT of a query that had one; returns the length. out: DNS_PLAIN_MAX bytes. */
size_t dns_answer_error(const uint8_t *packet, const struct dns_question *q, unsigned flags, unsigned rcode, uint8_t *out);
/* Appends our OPT record and counts it; room for DNS_OPT_BYTES. Returns the new length. */
size_t dns_opt_append(uint8_t *message, size_t len, uint16_t udp_size, unsigned rcode, bool dnssec_ok);
