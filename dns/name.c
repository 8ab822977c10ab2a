/* SPDX-License-Identifier: Apache-2.0
 * name.c - see name.h. */
#include "dns/name.h"

#include <stdio.h>

#include "common/base/sha1.h"

#define MAPPED_MAX 4096 /* of a label's text; only a run of thousands of dashes could tell the difference */

/* -- labels ----------------------------------------------------------------------------------------------------- */

/* What a character of a name becomes: itself, lower case, '-', or 0 for nothing. */
static char map_character(char c)
{
    if (c >= 'A' && c <= 'Z')
        return (char)(c - 'A' + 'a');
    if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'))
        return c;
    return c == '-' || c == '.' || c == '_' ? '-' : '\0';
}

static bool is_trimmed_left(enum dns_label_style style, char c)
{
    return c == '-' || (style == DNS_LABEL_RFC952 && c >= '0' && c <= '9');
}

static size_t label_of(enum dns_label_style style, const char *text, size_t text_len, char out[DNS_LABEL_MAX + 1])
{
    char mapped[MAPPED_MAX];
    size_t max = style == DNS_LABEL_RFC952 ? 24 : DNS_LABEL_MAX, len = 0;
    for (size_t i = 0; i < text_len && len < MAPPED_MAX; i++) {
        char c = map_character(text[i]);
        if (c != '\0' && (len > 0 || !is_trimmed_left(style, c)))
            mapped[len++] = c;
    }
    size_t cut = len < max ? len : max, head = cut;
    while (head > 0 && mapped[head - 1] == '-')
        head--;
    memcpy(out, mapped, head);
    if (head < cut) {
        /* Dashes at the cut are bridged by what follows them, and the result may end in one again. */
        size_t rest = cut, room = cut - head;
        while (rest < len && mapped[rest] == '-')
            rest++;
        size_t take = len - rest < room ? len - rest : room;
        memcpy(out + head, mapped + rest, take);
        head += take;
    }
    out[head] = '\0';
    return head;
}

size_t dns_label(enum dns_label_style style, const char *text, char out[DNS_LABEL_MAX + 1])
{
    return label_of(style, text, strlen(text), out);
}

size_t dns_domain_fragment(enum dns_label_style style, const char *text, char out[DNS_NAME_MAX + 1])
{
    size_t len = 0;
    for (;;) {
        char label[DNS_LABEL_MAX + 1];
        size_t text_len = strcspn(text, "."), part = label_of(style, text, text_len, label);
        if (part > 0 && len + (len > 0) + part <= DNS_NAME_MAX) {
            if (len > 0)
                out[len++] = '.';
            memcpy(out + len, label, part);
            len += part;
        }
        if (text[text_len] == '\0')
            break;
        text += text_len + 1;
    }
    out[len] = '\0';
    return len;
}

void dns_task_hash(const char *task_id, char out[DNS_TASK_HASH_SIZE])
{
    static const char alphabet[] = "ybndrfg8ejkmcpqxot1uwisza345h769"; /* z-base-32 */
    uint8_t digest[SHA1_BYTES];
    sha1(task_id, strlen(task_id), digest);
    uint64_t bits = (uint64_t)digest[0] << 24 | (uint64_t)digest[1] << 16 | (uint64_t)digest[2] << 8 | digest[3];
    for (unsigned i = 0; i < 5; i++)
        out[i] = alphabet[bits >> (27 - 5 * i) & 31];
    out[5] = '\0';
}

void dns_agent_tail(const char *agent_id, char out[DNS_LABEL_MAX + 1])
{
    const char *dash = strrchr(agent_id, '-'), *from = dash ? dash + 1 : agent_id;
    size_t len = 0;
    for (; from[len] != '\0' && len < DNS_LABEL_MAX; len++)
        out[len] = (char)(from[len] >= 'A' && from[len] <= 'Z' ? from[len] - 'A' + 'a' : from[len]);
    out[len] = '\0';
}

/* -- wire form -------------------------------------------------------------------------------------------------- */

size_t dns_name_from_text(const char *text, uint8_t out[DNS_NAME_MAX])
{
    size_t len = 0;
    if (text[0] == '.' && text[1] == '\0')
        text++;
    while (text[0] != '\0') {
        size_t label = strcspn(text, ".");
        if (label == 0 || label > DNS_LABEL_MAX || len + 1 + label + 1 > DNS_NAME_MAX)
            return 0;
        out[len++] = (uint8_t)label;
        for (size_t i = 0; i < label; i++)
            out[len++] = (uint8_t)(text[i] >= 'A' && text[i] <= 'Z' ? text[i] - 'A' + 'a' : text[i]);
        text += label;
        if (text[0] == '.')
            text++;
    }
    out[len++] = 0;
    return len;
}

void dns_name_to_text(const uint8_t *name, char out[DNS_TEXT_SIZE])
{
    size_t at = 0, len = 0;
    if (name[0] == 0)
        out[len++] = '.';
    while (name[at] != 0) {
        size_t label = name[at++];
        for (size_t i = 0; i < label; i++) {
            uint8_t c = name[at + i];
            if (c == '.' || c == '\\' || c == '"') {
                out[len++] = '\\';
                out[len++] = (char)c;
            } else if (c > ' ' && c < 127) {
                out[len++] = (char)c;
            } else {
                len += (size_t)snprintf(out + len, 5, "\\%03u", c);
            }
        }
        at += label;
        out[len++] = '.';
    }
    out[len] = '\0';
}

bool dns_name_is_under(const uint8_t *name, size_t name_len, const uint8_t *zone, size_t zone_len)
{
    if (zone_len > name_len)
        return false;
    size_t start = name_len - zone_len, at = 0;
    if (memcmp(name + start, zone, zone_len) != 0)
        return false;
    while (at < start) /* the bytes agree; do labels begin there as well? */
        at += (size_t)name[at] + 1;
    return at == start;
}

size_t dns_name_reverse(const uint8_t *address, size_t size, uint8_t out[DNS_NAME_MAX])
{
    static const char digits[] = "0123456789abcdef";
    size_t len = 0;
    for (size_t i = size; i-- > 0;) {
        if (size == 4) {
            char text[4];
            size_t text_len = (size_t)snprintf(text, sizeof(text), "%u", address[i]);
            out[len++] = (uint8_t)text_len;
            memcpy(out + len, text, text_len);
            len += text_len;
        } else {
            out[len++] = 1;
            out[len++] = (uint8_t)digits[address[i] & 15];
            out[len++] = 1;
            out[len++] = (uint8_t)digits[address[i] >> 4];
        }
    }
    if (size == 4)
        memcpy(out + len, "\7in-addr\4arpa", 14);
    else
        memcpy(out + len, "\3ip6\4arpa", 10);
    return len + (size == 4 ? 14 : 10);
}
