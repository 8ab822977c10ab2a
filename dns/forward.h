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

struct dns_forward_config {
    const struct dns_forward_zone *zones; /* borrowed; the first is "." */
    size_t zone_count;
    int64_t timeout_ms;
    size_t cache_entries;
    int64_t cache_ttl_max_ms;
    uint16_t udp_bytes_max; /* of answers to clients */
    bool offers_recursion;
};

struct dns_forward;

struct dns_forward *dns_forward_new(const struct dns_forward_config *config);
struct dns_forward *dns_forward_free(struct dns_forward *f);

enum dns_forward_event_type { FORWARD_QUESTION, FORWARD_ANSWER, FORWARD_FAILED, FORWARD_TICK };

struct dns_forward_event {
    enum dns_forward_event_type type;
    int64_t now_ms;
    uint64_t random;
    const struct dns_serve_question *question; /* FORWARD_QUESTION */
    uint64_t attempt;                          /* FORWARD_ANSWER, FORWARD_FAILED */
    const uint8_t *packet;                     /* FORWARD_ANSWER */
    size_t len;
};

enum dns_forward_effect_type {
    FORWARD_SEND,  /* open a new socket (its port is random), send packet, tell what comes */
    FORWARD_CLOSE, /* the attempt is over */
    FORWARD_REPLY, /* to the client */
};

struct dns_forward_effect {
    enum dns_forward_effect_type type;
    uint64_t attempt;
    const struct dns_endpoint *server;
    bool is_tcp;
    struct dns_serve_client client;
    const uint8_t *packet; /* valid until the next step */
    size_t len;
};

/* Effects are to be carried out in order. */
void dns_forward_step(struct dns_forward *f, const struct dns_forward_event *in, const struct dns_forward_effect **effects,
                      size_t *count);
int64_t dns_forward_next_deadline(const struct dns_forward *f);

struct dns_forward_counts {
    uint64_t questions, cache_hits, joined, sent, answers, timeouts, server_failures, bad_answers, refused, overloads;
    size_t pending, cached;
};
void dns_forward_counts(const struct dns_forward *f, struct dns_forward_counts *out);

enum dns_forward_reason { FORWARD_NO_ANSWER, FORWARD_NO_CONNECTION, FORWARD_BAD_ANSWER, FORWARD_REASONS };
struct dns_forward_server {
    const char *zone; /* "" for "." */
    const struct dns_endpoint *endpoint;
    const uint64_t (*failures)[FORWARD_REASONS]; /* by UDP, by TCP */
};
/* Zone after zone; `zone_failures` are questions that nobody had an answer to. */
void dns_forward_each_server(const struct dns_forward *f, void (*fn)(void *ctx, const struct dns_forward_server *server),
                             void *ctx);
uint64_t dns_forward_zone_failures(const struct dns_forward *f, size_t zone);
void dns_forward_check_invariants(const struct dns_forward *f);
