/* SPDX-License-Identifier: Apache-2.0
 * nft_key.c - see nft_key.h. */
#include "lb/nft_key.h"

#include <netinet/in.h>

static size_t put_address(uint8_t *to, const struct lb_endpoint *at)
{
    size_t len = at->is_ipv6 ? 16 : 4;
    memcpy(to, at->ip, len);
    return len;
}

static size_t put_port(uint8_t *to, uint16_t port)
{
    to[0] = (uint8_t)(port >> 8);
    to[1] = (uint8_t)port;
    to[2] = to[3] = 0;
    return 4;
}

size_t nft_vip_bytes(bool is_ipv6)
{
    return is_ipv6 ? 24 : 12;
}

size_t nft_backend_bytes(bool is_ipv6)
{
    return is_ipv6 ? 20 : 8;
}

size_t nft_put_vip(uint8_t *to, const struct lb_endpoint *vip)
{
    size_t len = put_address(to, vip);
    memset(to + len, 0, 4);
    to[len] = vip->protocol == LB_UDP ? IPPROTO_UDP : IPPROTO_TCP;
    return len + 4 + put_port(to + len + 4, vip->port);
}

size_t nft_put_backend(uint8_t *to, const struct lb_endpoint *backend)
{
    size_t len = put_address(to, backend);
    return len + put_port(to + len, backend->port);
}

bool nft_get_vip(const uint8_t *from, bool is_ipv6, struct lb_endpoint *out)
{
    size_t address = is_ipv6 ? 16 : 4;
    uint8_t again[NFT_KEY_BYTES_MAX];
    *out = (struct lb_endpoint){.protocol = from[address] == IPPROTO_UDP ? LB_UDP : LB_TCP, .is_ipv6 = is_ipv6};
    memcpy(out->ip, from, address);
    out->port = (uint16_t)(from[address + 4] << 8 | from[address + 5]);
    return memcmp(from, again, nft_put_vip(again, out)) == 0;
}

bool nft_get_backend(const uint8_t *from, bool is_ipv6, struct lb_endpoint *out)
{
    size_t address = is_ipv6 ? 16 : 4;
    *out = (struct lb_endpoint){.is_ipv6 = is_ipv6};
    memcpy(out->ip, from, address);
    out->port = (uint16_t)(from[address] << 8 | from[address + 1]);
    return from[address + 2] == 0 && from[address + 3] == 0;
}
