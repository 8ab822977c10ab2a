/* SPDX-License-Identifier: Apache-2.0
 * query.h - the query engine: a packet and a snapshot in, a packet out. Knows no sockets, no clock, no lock; what it cannot
 * answer from the snapshot it hands back for forwarding. Rules: facts net-cron A.5 with its weaknesses mended: NODATA
 * always has its SOA, EDNS sizes count, names keep the case of the question, empty non-terminals exist. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/rng.h"
#include "dns/wire.h"
#include "dns/zone.h"

enum dns_query_verdict {
    QUERY_ANSWER,  /* out holds it */
    QUERY_DROP,    /* not a query, or one that must not be answered */
    QUERY_FORWARD, /* a good question about names that are not ours */
};

struct dns_query_config {
    bool offers_recursion;  /* the RA bit */
    uint16_t udp_bytes_max; /* of an answer, whatever the client allows; at least DNS_PLAIN_MAX */
};

/* One per thread. */
struct dns_query_engine {
    struct dns_query_config config;
    struct rng rng;                    /* order of answers: no secret */
    uint64_t answers, denials, errors; /* counters of this thread */
};

/* How large the answer to q may be. */
size_t dns_query_limit(const struct dns_query_config *config, const struct dns_question *q, bool is_tcp);

/* Answering has two halves, so that a batch can be read first and what it needs be fetched meanwhile. The first one reads
 * the packet; hash is that of the name. */
struct dns_query {
    struct dns_question q;
    uint64_t hash;
    int rcode; /* as dns_question_parse gives it */
};
void dns_query_read(const struct dns_zone_snapshot *s, const uint8_t *packet, size_t len, struct dns_query *out);

/* The second one. out has room for dns_query_limit's largest: udp_bytes_max, or DNS_MESSAGE_MAX for TCP. */
enum dns_query_verdict dns_query_finish(struct dns_query_engine *e, const struct dns_zone_snapshot *s,
                                        const struct dns_query *query, const uint8_t *packet, bool is_tcp, uint8_t *out,
                                        size_t *out_len);

/* Both. *q is filled for every verdict but QUERY_DROP. */
enum dns_query_verdict dns_query_answer(struct dns_query_engine *e, const struct dns_zone_snapshot *s,
                                        const uint8_t *packet, size_t len, bool is_tcp, uint8_t *out, size_t *out_len,
                                        struct dns_question *q);
