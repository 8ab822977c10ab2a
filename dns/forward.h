/* SPDX-License-Identifier: Apache-2.0
 * forward.h - questions about other names: which name servers are asked, when again, what is remembered. A step function:
 * events in, effects out, no socket and no clock (rules: facts net-cron A.6, B.6, with their weaknesses mended).
 *
 * - The zone with the longest suffix decides about the servers. Two are asked at once, those that failed least; the first
 *   good answer (no error, or "no such name") wins; a server's failure answer counts only when nobody has a better one.
 * - An answer must come from the server asked, with the id and exactly the question sent.
 * - The same question asked by several clients is asked once, and its answer kept for a while.
 * - Ids come with the event, from the kernel: `random` must not be guessable. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dns/options.h"
#include "dns/serve.h"
#include "dns/wire.h"

#define FORWARD_PENDING_MAX 1024      /* different questions on the way */
#define FORWARD_WAITERS_MAX 64        /* clients of one question */
#define FORWARD_ATTEMPTS_MAX 8        /* servers asked for one question */
#define FORWARD_RACE 2                /* at once */
#define FORWARD_ROUND_MS 1000         /* until the next ones are asked */
#define FORWARD_UDP_BYTES 1232        /* answers we take by UDP */
#define FORWARD_CACHED_BYTES_MAX 4096 /* larger answers are not kept */

struct forward_config {
    const struct dns_forward_zone *zones; /* borrowed; the first is "." */
    size_t zone_count;
    int64_t timeout_ms;
    size_t cache_entries;
    int64_t cache_ttl_max_ms;
    uint16_t udp_bytes_max; /* of answers to clients */
    bool offers_recursion;
};

struct forward;

struct forward *forward_new(const struct forward_config *config);
struct forward *forward_free(struct forward *f);

enum forward_event_type { FORWARD_QUESTION, FORWARD_ANSWER, FORWARD_FAILED, FORWARD_TICK };

struct forward_event {
    enum forward_event_type type;
    int64_t now_ms;
    uint64_t random;
    const struct serve_question *question; /* FORWARD_QUESTION */
    uint64_t attempt;                      /* FORWARD_ANSWER, FORWARD_FAILED */
    const uint8_t *packet;                 /* FORWARD_ANSWER */
    size_t len;
};

enum forward_effect_type {
    FORWARD_SEND,  /* open a new socket (its port is random), send packet, tell what comes */
    FORWARD_CLOSE, /* the attempt is over */
    FORWARD_REPLY, /* to the client */
};

struct forward_effect {
    enum forward_effect_type type;
    uint64_t attempt;
    const struct dns_endpoint *server;
    bool is_tcp;
    struct serve_client client;
    const uint8_t *packet; /* valid until the next step */
    size_t len;
};

/* Effects are to be carried out in order. */
void forward_step(struct forward *f, const struct forward_event *in, const struct forward_effect **effects, size_t *count);
int64_t forward_next_deadline(const struct forward *f);

struct forward_counts {
    uint64_t questions, cache_hits, joined, sent, answers, timeouts, server_failures, bad_answers, refused, overloads;
    size_t pending, cached;
};
void forward_counts(const struct forward *f, struct forward_counts *out);
void forward_check_invariants(const struct forward *f);
