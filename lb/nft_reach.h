/* SPDX-License-Identifier: Apache-2.0
 * nft_reach.h - what keeps a VIP from working although it is in the kernel as it should be: the machine itself. Asks the
 * kernel by sockets that send nothing. */
#pragma once

#include <stdbool.h>

#include "lb/endpoint.h"

/* Whether this machine has IPv6, that is, its loopback interface has ::1. */
bool nft_has_ipv6(void);

/* A client of a VIP in 127.0.0.0/8 has an address there too, and the kernel does not let such packets leave the machine; it
 * looks before addresses can be masqueraded. How many of the back ends such a client cannot reach. 0 for other VIPs. */
size_t nft_count_unreachable(const struct lb_endpoint *vip, const struct lb_endpoint *backends, size_t count);
