/* SPDX-License-Identifier: Apache-2.0
 * nft_rules.h - the fixed part of our table: chains, rules and empty maps. VIPs and back ends are elements of the maps
 * only, so there are as many rules with ten VIPs as with ten thousand.
 *
 *   prerouting, output   a new connection: map vip4 or vip6 gives the class of the VIP, map class its chain; not from
 * another machine to this one's loopback range slots_<n>            draws a slot below n, map slot4 or slot6 gives the back
 * end, dnat spare                slot 0, should the drawn one have gone in between refuse               a TCP reset or an
 * ICMP error: class 0, a VIP without open back ends input, postrouting   a new connection that we have led somewhere: set
 * count4 or count6 counts it by VIP and back end; what leaves by another interface is masqueraded (led), so that the
 * answers come back here
 *
 * The chains come before those of others at the same hook (one less than the usual priorities), because the first NAT rule
 * that matches wins: port mappings of a container engine do not get VIPs. They see the first packet of a connection only.
 */
#pragma once

#include "lb/nft_target.h"
#include "lb/nft_wire.h"

#define NFT_TABLE_SIZE 48

enum nft_map { NFT_VIP4, NFT_VIP6, NFT_SLOT4, NFT_SLOT6, NFT_MAPS };
extern const char *const nft_map_names[NFT_MAPS];
/* VIP maps: address, protocol, port -> 0, class. Slot maps: the same and the slot -> address, port. */

/* Sets: a VIP's address, protocol, port, and a back end's address, port; all zero: refused. With a counter of packets,
 * which are connections. The kernel puts what comes for the first time. IPv4, IPv6. */
extern const char *const nft_count_names[2];
#define NFT_COUNTS_MAX 131072u /* of IPv4, half as many of IPv6 */

/* Puts the transaction's first part: an old table of this name goes, a new one comes. udp_timeout_ms 0: the kernel's. */
void nft_rules_put(struct nft_batch *b, const char *table, int64_t udp_timeout_ms);
/* Removes the table; it need not be there. */
void nft_rules_put_removal(struct nft_batch *b, const char *table);

/* 1: what is in the kernel is exactly the fixed part; 0: it is not, or there is none; or a negative errno. */
int nft_rules_check(struct nft_socket *s, const char *table, int64_t udp_timeout_ms, struct err *err);
