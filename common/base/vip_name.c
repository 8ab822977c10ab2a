/* SPDX-License-Identifier: Apache-2.0
 * vip_name.c - see vip_name.h. The table is open addressing over the whole range with linear probing, kept in a map because
 * the range is large and nearly empty. Probing in a fixed order of names ("ordered hashing") makes its contents a function
 * of the set: an insert displaces names that sort later, a removal puts the rest of the run in again. */
#include "common/base/vip_name.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/base/check.h"
#include "common/base/map.h"
#include "common/base/sha1.h"
#include "common/base/text.h"

/* -- names ------------------------------------------------------------------------------------------------------ */

static bool is_alphanumeric(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

size_t vip_label(const char *text, size_t len, char out[VIP_LABEL_MAX + 1])
{
    size_t n = 0;
    bool refill = false; /* the limit was met: only letters and digits may take the place of dashes at the cut */
    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        if (c >= 'A' && c <= 'Z')
            c = (char)(c - 'A' + 'a');
        else if (c == '_' || c == '.')
            c = '-';
        if (!is_alphanumeric(c) && (c != '-' || n == 0 || refill))
            continue;
        if (n == VIP_LABEL_MAX) {
            refill = true;
            while (n > 0 && out[n - 1] == '-')
                n--;
            if (n == VIP_LABEL_MAX)
                break;
            if (c == '-')
                continue;
        }
        out[n++] = c;
    }
    while (n > 0 && out[n - 1] == '-')
        n--;
    out[n] = '\0';
    return n;
}

size_t vip_domain_fragment(const char *text, size_t len, char out[VIP_NAME_MAX + 1])
{
    size_t n = 0, start = 0;
    for (size_t i = 0; i <= len; i++) {
        if (i < len && text[i] != '.')
            continue;
        char label[VIP_LABEL_MAX + 1];
        size_t part = vip_label(text + start, i - start, label);
        start = i + 1;
        if (part == 0 || n + (n > 0) + part > VIP_NAME_MAX)
            continue;
        if (n > 0)
            out[n++] = '.';
        memcpy(out + n, label, part);
        n += part;
    }
    out[n] = '\0';
    return n;
}

int vip_name_clean(const char *label, const char *framework, char out[VIP_NAME_MAX + 1])
{
    char front[VIP_NAME_MAX + 1], back[VIP_NAME_MAX + 1];
    size_t front_len = vip_domain_fragment(label, strlen(label), front);
    size_t back_len = vip_domain_fragment(framework, strlen(framework), back);
    if (front_len == 0 || front_len + 1 + back_len > VIP_NAME_MAX)
        return -EINVAL;
    memcpy(out, front, front_len + 1);
    if (back_len > 0) {
        out[front_len] = '.';
        memcpy(out + front_len + 1, back, back_len + 1);
    }
    return 0;
}

int vip_value_parse(const char *text, struct vip_value *out)
{
    const char *colon = strrchr(text, ':');
    int64_t port;
    char host[VIP_NAME_MAX + 1];
    if (!colon || colon == text || text_to_int64(colon + 1, &port) < 0 || port < 1 || port > UINT16_MAX)
        return -EINVAL;
    size_t len = (size_t)(colon - text);
    if (len > VIP_NAME_MAX)
        return -EINVAL;
    memcpy(host, text, len);
    host[len] = '\0';
    struct vip_value value = {.name = text, .name_len = len, .port = (uint16_t)port};
    if (inet_pton(AF_INET, host, value.ip) == 1) {
        value.is_ip = true;
    } else if (inet_pton(AF_INET6, host, value.ip) == 1) {
        value.is_ip = true;
        value.is_ipv6 = true;
    }
    *out = value;
    return 0;
}

bool vip_is_port_label(const char *key)
{
    return strncmp(key, "VIP", 3) == 0 || strncmp(key, "vip", 3) == 0;
}

bool vip_is_task_label(const char *key, unsigned *index)
{
    int64_t number;
    if (strncasecmp(key, "vip_port", 8) != 0 || text_to_int64(key + 8, &number) < 0 || number < 0 || number > UINT16_MAX)
        return false;
    *index = (unsigned)number;
    return true;
}

/* -- addresses -------------------------------------------------------------------------------------------------- */

static void mix(uint32_t *a, uint32_t *b, uint32_t *c)
{
    *a = (*a - *b - *c) ^ (*c >> 13);
    *b = (*b - *c - *a) ^ (*a << 8);
    *c = (*c - *a - *b) ^ (*b >> 13);
    *a = (*a - *b - *c) ^ (*c >> 12);
    *b = (*b - *c - *a) ^ (*a << 16);
    *c = (*c - *a - *b) ^ (*b >> 5);
    *a = (*a - *b - *c) ^ (*c >> 3);
    *b = (*b - *c - *a) ^ (*a << 10);
    *c = (*c - *a - *b) ^ (*b >> 15);
}

static uint32_t little_endian(const uint8_t *p, size_t len)
{
    uint32_t word = 0;
    for (size_t i = 0; i < len; i++)
        word |= (uint32_t)p[i] << (8 * i);
    return word;
}

uint32_t vip_phash2(const void *data, size_t len)
{
    const uint8_t *p = data;
    uint32_t a = 0x9e3779b9, b = 0x9e3779b9, c = 0x08d12e65; /* the last is 13 times the golden ratio */
    size_t left = len;
    for (; left >= 12; left -= 12, p += 12) {
        a += little_endian(p, 4);
        b += little_endian(p + 4, 4);
        c += little_endian(p + 8, 4);
        mix(&a, &b, &c);
    }
    c += (uint32_t)len;
    a += little_endian(p, left < 4 ? left : 4);
    if (left > 4)
        b += little_endian(p + 4, left < 8 ? left - 4 : 4);
    if (left > 8)
        c += little_endian(p + 8, left - 8) << 8;
    mix(&a, &b, &c);
    return c;
}

int vip_range_parse(const char *text, struct vip_range *out)
{
    char first[64];
    struct in_addr from, to;
    struct vip_range range;
    size_t len = strcspn(text, "/-");
    if (len >= sizeof(first) || text[len] == '\0')
        return -EINVAL;
    memcpy(first, text, len);
    first[len] = '\0';
    if (inet_pton(AF_INET, first, &from) != 1)
        return -EINVAL;
    range.first = ntohl(from.s_addr);
    if (text[len] == '-') {
        if (inet_pton(AF_INET, text + len + 1, &to) != 1)
            return -EINVAL;
        range.last = ntohl(to.s_addr);
    } else {
        int64_t bits;
        if (text_to_int64(text + len + 1, &bits) < 0 || bits < 1 || bits > 28)
            return -EINVAL;
        uint32_t host = UINT32_MAX >> bits;
        range.first &= ~host;
        range.last = range.first | host;
    }
    if (range.last < range.first || range.last - range.first < 15)
        return -EINVAL;
    *out = range;
    return 0;
}

uint32_t vip_name_address4(const char *name, struct vip_range range)
{
    return range.first + vip_phash2(name, strlen(name)) % (range.last - range.first);
}

void vip_name_address6(const char *name, uint8_t out[16])
{
    static const uint8_t prefix[8] = {0xfd, 0x01, 0x00, 0x0c};
    uint8_t digest[SHA1_BYTES];
    sha1(name, strlen(name), digest);
    /* The digest modulo 2^64 - 1, which is the size of the range: 2^64 is 1 there, so its three words add up. */
    uint64_t sum = 0;
    for (unsigned word = 0; word < 3; word++) {
        uint64_t value = 0;
        for (unsigned i = 0; i < 8; i++) {
            int at = (int)(word * 8 + i) - 4; /* the first word has four bytes only */
            value = value << 8 | (at >= 0 ? digest[at] : 0);
        }
        sum += value;
        sum += sum < value; /* the carry is worth 1 */
    }
    if (sum == UINT64_MAX)
        sum = 0;
    memcpy(out, prefix, 8);
    for (unsigned i = 0; i < 8; i++)
        out[8 + i] = (uint8_t)(sum >> (56 - 8 * i));
}

/* -- the set ---------------------------------------------------------------------------------------------------- */

struct vip_entry {
    uint32_t offset;
    uint32_t home; /* the offset it would like */
    uint32_t count;
    char name[];
};

struct vip_names {
    struct vip_range range;
    uint32_t size;        /* offsets 0..size-1 */
    struct map by_name;   /* struct vip_entry, owned */
    struct map by_offset; /* uint32_t keys */
    void (*moved)(void *ctx, const char *name, uint32_t address);
    void *ctx;
};

struct vip_names *vip_names_new(struct vip_range range, void (*moved)(void *ctx, const char *name, uint32_t address),
                                void *ctx)
{
    struct vip_names *n = xcalloc(1, sizeof(*n));
    CHECK(range.last > range.first);
    n->range = range;
    n->size = range.last - range.first;
    n->moved = moved;
    n->ctx = ctx;
    map_init(&n->by_name);
    map_init(&n->by_offset);
    return n;
}

struct vip_names *vip_names_free(struct vip_names *n)
{
    if (!n)
        return NULL;
    for (struct map_entry *e = map_first(&n->by_name); e; e = map_next(e))
        free(map_value(e));
    map_deinit(&n->by_name);
    map_deinit(&n->by_offset);
    free(n);
    return NULL;
}

static struct vip_entry *at_offset(const struct vip_names *n, uint32_t offset)
{
    return map_get_n(&n->by_offset, &offset, sizeof(offset));
}

/* Puts entry where the order of names wants it, and those that it displaces after it. */
static void place(struct vip_names *n, struct vip_entry *entry, const struct vip_entry *is_new)
{
    uint32_t offset = entry->home;
    for (uint32_t tries = 0; tries < n->size; tries++, offset = (offset + 1) % n->size) {
        struct vip_entry *present = at_offset(n, offset);
        if (present && strcmp(present->name, entry->name) < 0)
            continue;
        bool is_moved = entry != is_new && entry->offset != offset;
        entry->offset = offset;
        (void)map_put_n(&n->by_offset, &offset, sizeof(offset), entry);
        if (is_moved && n->moved)
            n->moved(n->ctx, entry->name, n->range.first + offset);
        if (!present)
            return;
        entry = present;
    }
    CHECK(!"the range is never full");
}

int vip_names_add(struct vip_names *n, const char *name, uint32_t *address)
{
    struct vip_entry *entry = map_get(&n->by_name, name);
    size_t len = strlen(name);
    if (!entry) {
        if (len > VIP_NAME_MAX)
            return -EINVAL;
        if (map_count(&n->by_name) >= n->size / 2)
            return -ENOSPC;
        entry = xcalloc(1, sizeof(*entry) + len + 1);
        memcpy(entry->name, name, len + 1);
        entry->home = vip_phash2(name, len) % n->size;
        (void)map_put(&n->by_name, name, entry);
        place(n, entry, entry);
    }
    entry->count++;
    *address = n->range.first + entry->offset;
    return 0;
}

void vip_names_remove(struct vip_names *n, const char *name)
{
    struct vip_entry *entry = map_get(&n->by_name, name), *run;
    CHECK(entry && entry->count > 0);
    if (--entry->count > 0)
        return;
    uint32_t offset = entry->offset;
    (void)map_remove_n(&n->by_offset, &offset, sizeof(offset));
    (void)map_remove(&n->by_name, name);
    free(entry);
    /* What follows without a gap may have been pushed there: take each out and put it in again. */
    for (offset = (offset + 1) % n->size; (run = at_offset(n, offset)) != NULL; offset = (offset + 1) % n->size) {
        (void)map_remove_n(&n->by_offset, &offset, sizeof(offset));
        place(n, run, NULL);
    }
}

int vip_names_find(const struct vip_names *n, const char *name, uint32_t *address)
{
    const struct vip_entry *entry = map_get(&n->by_name, name);
    if (!entry)
        return -ENOENT;
    *address = n->range.first + entry->offset;
    return 0;
}

size_t vip_names_count(const struct vip_names *n)
{
    return map_count(&n->by_name);
}
