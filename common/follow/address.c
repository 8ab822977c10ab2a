/* SPDX-License-Identifier: Apache-2.0
 * address.c - see address.h. */
#include "common/follow/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/base/text.h"

int host_ip_parse(const char *text, struct host_ip *out)
{
    struct host_ip ip = {.size = 4};
    if (inet_pton(AF_INET, text, ip.bytes) != 1) {
        ip.size = 16;
        if (inet_pton(AF_INET6, text, ip.bytes) != 1)
            return -EINVAL;
    }
    *out = ip;
    return 0;
}

bool host_port_split(const char *address, char host[FOLLOW_ADDRESS_SIZE], uint16_t *port)
{
    const char *colon = strrchr(address, ':');
    int64_t number;
    if (!colon || colon == address || text_to_int64(colon + 1, &number) < 0 || number < 1 || number > UINT16_MAX)
        return false;
    bool has_brackets = address[0] == '[' && colon > address + 1 && colon[-1] == ']';
    int len = (int)(colon - address) - 2 * has_brackets;
    (void)snprintf(host, FOLLOW_ADDRESS_SIZE, "%.*s", len, address + has_brackets); /* callers bound the address */
    *port = (uint16_t)number;
    return true;
}

static bool is_same_master(const char *a, const char *b)
{
    char host_a[FOLLOW_ADDRESS_SIZE], host_b[FOLLOW_ADDRESS_SIZE];
    uint16_t port_a, port_b;
    struct host_ip ip_a, ip_b;
    if (!host_port_split(a, host_a, &port_a) || !host_port_split(b, host_b, &port_b) || port_a != port_b)
        return false;
    if (host_ip_parse(host_a, &ip_a) == 0 && host_ip_parse(host_b, &ip_b) == 0)
        return memcmp(&ip_a, &ip_b, sizeof(ip_a)) == 0;
    return strcasecmp(host_a, host_b) == 0;
}

static int add_master(struct master_list *out, const char *text, size_t len, struct err *err)
{
    char address[FOLLOW_ADDRESS_SIZE], host[FOLLOW_ADDRESS_SIZE];
    struct host_ip ip;
    uint16_t port;
    bool fits = len < sizeof(address);
    (void)snprintf(address, sizeof(address), "%.*s", fits ? (int)len : 0, text); /* fits */
    /* Without brackets nobody can tell the port of an IPv6 address from its last part. */
    if (!host_port_split(address, host, &port) || (strchr(host, ':') && address[0] != '[') ||
        (address[0] == '[' && host_ip_parse(host, &ip) < 0))
        return err_set(err, -EINVAL, "--master: '%.*s' is not host:port", (int)(len < 300 ? len : 300), text);
    for (size_t i = 0; i < out->count; i++)
        if (is_same_master(out->items[i], address))
            return err_set(err, -EINVAL, "--master: '%s' is there twice", address);
    if (out->count == FOLLOW_MASTERS_MAX)
        return err_set(err, -EINVAL, "--master: more than %d", FOLLOW_MASTERS_MAX);
    memcpy(out->items[out->count++], address, sizeof(address));
    return 0;
}

int master_list_parse(const char *text, struct master_list *out, struct err *err)
{
    static const char blanks[] = " \t";
    out->count = 0;
    for (;;) {
        size_t whole = strcspn(text, ","), skip = strspn(text, blanks), len = whole;
        while (len > skip && strchr(blanks, text[len - 1]))
            len--;
        int result = add_master(out, text + skip, len - skip, err);
        if (result < 0 || text[whole] == '\0')
            return result;
        text += whole + 1;
    }
}
