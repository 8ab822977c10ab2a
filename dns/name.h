/* SPDX-License-Identifier: Apache-2.0
 * name.h - names: the label rules of Mesos-DNS, task hashes, and the wire form (facts: net-cron A.1, A.2). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DNS_NAME_MAX 255 /* wire form with the root's zero byte */
#define DNS_LABEL_MAX 63
#define DNS_TEXT_SIZE 1024   /* the longest text form, every byte escaped, with terminator */
#define DNS_TASK_HASH_SIZE 6 /* with terminator */

enum dns_label_style { DNS_LABEL_RFC1123, DNS_LABEL_RFC952 };

/* One label of Mesos-DNS. May be empty and may end in '-' (facts: net-cron H.1). Terminated; returns the length. */
size_t dns_label(enum dns_label_style style, const char *text, char out[DNS_LABEL_MAX + 1]);
/* The parts between dots by dns_label, empty ones left out, joined with dots. Terminated; returns the length; what does not
 * fit is left out. */
size_t dns_domain_fragment(enum dns_label_style style, const char *text, char out[DNS_NAME_MAX + 1]);
void dns_task_hash(const char *task_id, char out[DNS_TASK_HASH_SIZE]);
/* Lower-cased text after the last '-' of an agent's id, all of it without one; cut at DNS_LABEL_MAX. */
void dns_agent_tail(const char *agent_id, char out[DNS_LABEL_MAX + 1]);

/* Text with or without the last dot to the lower-cased wire form. No escapes. Returns its length (with the zero byte), or 0
 * when it is no name: an empty or too long label, too long in all. "" and "." are the root. */
size_t dns_name_from_text(const char *text, uint8_t out[DNS_NAME_MAX]);
/* The wire form as text with the last dot; bytes that would be misread are escaped (\. and \ddd). */
void dns_name_to_text(const uint8_t *name, char out[DNS_TEXT_SIZE]);
/* Is name equal to zone or below it? Both lower-cased wire forms with their lengths. */
bool dns_name_is_under(const uint8_t *name, size_t name_len, const uint8_t *zone, size_t zone_len);
/* The name of an address in in-addr.arpa or ip6.arpa; size is 4 or 16. Returns its length. */
size_t dns_name_reverse(const uint8_t *address, size_t size, uint8_t out[DNS_NAME_MAX]);

/* Keyed: names come from outside, and who knows the key can make them meet in one bucket. */
static inline uint64_t dns_name_hash(const uint8_t *name, size_t len, uint64_t key);

/* -- inline part -------------------------------------------------------------------------------------------------- */

#include <string.h>

static inline uint64_t dns_hash_mix(uint64_t a, uint64_t b)
{
    __uint128_t product = (__uint128_t)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static inline uint64_t dns_name_hash(const uint8_t *name, size_t len, uint64_t key)
{
    uint64_t hash = key ^ len * UINT64_C(0x9e3779b97f4a7c15), word;
    for (; len >= 8; len -= 8, name += 8) {
        memcpy(&word, name, 8);
        hash = dns_hash_mix(hash ^ word, UINT64_C(0xd6e8feb86659fd93) ^ key);
    }
    if (len > 0) {
        word = 0;
        memcpy(&word, name, len);
        hash = dns_hash_mix(hash ^ word, UINT64_C(0xa0761d6478bd642f) ^ key);
    }
    return dns_hash_mix(hash, UINT64_C(0xe7037ed1a0b428db));
}
