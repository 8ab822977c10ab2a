/* SPDX-License-Identifier: Apache-2.0
 * dns_answer.h - for tests: makes queries, reads answers strictly, and prints them as one line per record in sorted order.
 */
#pragma once

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dns/wire.h"

/* Keeps the case of the text. edns 0: no OPT. Returns the length. */
static inline size_t dns_test_query(uint8_t *out, uint16_t id, const char *name, unsigned type, unsigned edns)
{
    uint8_t lower[DNS_NAME_MAX];
    size_t len = dns_name_from_text(name, lower), at = 1;
    memset(out, 0, 12);
    dns_put16(out, id);
    dns_put16(out + 2, DNS_RD);
    dns_put16(out + 4, 1);
    memcpy(out + 12, lower, len);
    for (size_t i = 0; name[i] != '\0' && at < len; i++, at++)
        if (name[i] != '.')
            out[12 + at] = (uint8_t)name[i];
    dns_put16(out + 12 + len, type);
    dns_put16(out + 14 + len, DNS_CLASS_IN);
    len += 16;
    if (edns == 0)
        return len;
    dns_put16(out + 10, 0);
    return dns_opt_append(out, len, (uint16_t)edns, 0, false);
}

static inline int dns_test_compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* "rcode flags\n" and then, section by section, "section owner ttl type data\n", sorted within each. Owners are lower case.
 * Malformed answers give "malformed". The text is static. */
static inline const char *dns_test_text(const uint8_t *p, size_t len)
{
    static char text[1 << 20];
    static const char *const sections[] = {"an", "au", "ad"};
    size_t at = 12, n = 0;
    uint8_t name[DNS_NAME_MAX];
    if (len < 12)
        return "malformed";
    unsigned flags = dns_get16(p + 2), questions = dns_get16(p + 4);
    n += (size_t)sprintf(text, "%u%s%s%s\n", flags & 15, flags & DNS_AA ? " aa" : "", flags & DNS_TC ? " tc" : "",
                         flags & DNS_QR ? "" : " query");
    for (unsigned i = 0; i < questions; i++) {
        at = dns_name_skip(p, len, at);
        if (at == 0 || (at += 4) > len)
            return "malformed";
    }
    for (unsigned s = 0; s < 3; s++) {
        unsigned count = dns_get16(p + 6 + 2 * s);
        char **lines = calloc(count + 1, sizeof(char *));
        for (unsigned i = 0; i < count; i++) {
            struct dns_record r;
            char owner[DNS_TEXT_SIZE], data[2 * DNS_TEXT_SIZE] = "", ip[64];
            if (dns_record_read(p, len, at, &r) < 0 || dns_name_read(p, len, at, name) == 0)
                return "malformed";
            dns_name_to_text(name, owner);
            at = r.end;
            const char *type = "?";
            switch (r.type) {
            case DNS_TYPE_A:
                type = "A";
                (void)sprintf(data, "%s", r.data_len == 4 ? inet_ntop(AF_INET, p + r.data, ip, sizeof(ip)) : "bad");
                break;
            case DNS_TYPE_AAAA:
                type = "AAAA";
                (void)sprintf(data, "%s", r.data_len == 16 ? inet_ntop(AF_INET6, p + r.data, ip, sizeof(ip)) : "bad");
                break;
            case DNS_TYPE_SRV:
            case DNS_TYPE_PTR:
            case DNS_TYPE_NS:
            case DNS_TYPE_SOA: {
                size_t skip = r.type == DNS_TYPE_SRV ? 6 : 0;
                char target[DNS_TEXT_SIZE];
                if (r.data_len < skip || dns_name_read(p, len, r.data + skip, name) == 0)
                    return "malformed";
                dns_name_to_text(name, target);
                type = r.type == DNS_TYPE_SRV   ? "SRV"
                       : r.type == DNS_TYPE_PTR ? "PTR"
                       : r.type == DNS_TYPE_NS  ? "NS"
                                                : "SOA";
                if (skip)
                    (void)sprintf(data, "%u %u %u %s", dns_get16(p + r.data), dns_get16(p + r.data + 2),
                                  dns_get16(p + r.data + 4), target);
                else
                    (void)sprintf(data, "%s", target);
                break;
            }
            case DNS_TYPE_OPT:
                type = "OPT";
                (void)sprintf(data, "%u", r.class);
                break;
            default:
                break;
            }
            lines[i] = malloc(strlen(owner) + strlen(data) + 64);
            if (r.type == DNS_TYPE_OPT)
                (void)sprintf(lines[i], "%s OPT %s\n", sections[s], data);
            else
                (void)sprintf(lines[i], "%s %s %u %s %s\n", sections[s], owner, r.ttl, type, data);
        }
        qsort(lines, count, sizeof(char *), dns_test_compare);
        for (unsigned i = 0; i < count; i++) {
            n += (size_t)snprintf(text + n, sizeof(text) - n, "%s", lines[i]);
            free(lines[i]);
        }
        free(lines);
    }
    return at == len ? text : "malformed";
}
