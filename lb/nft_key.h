/* SPDX-License-Identifier: Apache-2.0
 * nft_key.h - endpoints as the keys and values of our maps and sets have them: fields of four bytes, numbers in network
 * byte order, the rest zero. Pure. */
#pragma once

#include "lb/endpoint.h"

#define NFT_KEY_BYTES_MAX 44u  /* VIP and back end of IPv6 */
#define NFT_DATA_BYTES_MAX 20u /* an IPv6 back end */

/* Each gives the bytes written. */
size_t nft_put_vip(uint8_t *to, const struct lb_endpoint *vip);         /* address, protocol, port */
size_t nft_put_backend(uint8_t *to, const struct lb_endpoint *backend); /* address, port */
size_t nft_vip_bytes(bool is_ipv6);
size_t nft_backend_bytes(bool is_ipv6);

/* From so many bytes. False: nothing that we would have written. A back end's protocol is not told. */
bool nft_get_vip(const uint8_t *from, bool is_ipv6, struct lb_endpoint *out);
bool nft_get_backend(const uint8_t *from, bool is_ipv6, struct lb_endpoint *out);
