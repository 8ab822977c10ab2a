/* SPDX-License-Identifier: Apache-2.0
 * nft_conntrack.h - ends UDP flows whose back end has gone. The kernel remembers where a flow goes as long as packets come,
 * so a client that goes on sending would never be led anywhere else. */
#pragma once

#include "lb/endpoint.h"
#include "lb/nft_wire.h"

/* vip: where the client sends to; backend: where it is led to, the VIP itself if nowhere. */
typedef bool (*nft_is_stale_fn)(void *ctx, const struct lb_endpoint *vip, const struct lb_endpoint *backend);

/* Looks at all UDP flows of the machine, asks for each, ends the stale ones. How many, or a negative errno. */
int nft_conntrack_sweep(struct nft_socket *s, nft_is_stale_fn is_stale, void *ctx, struct err *err);
