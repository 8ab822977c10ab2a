/* SPDX-License-Identifier: Apache-2.0
 * nft_conntrack.h - ends UDP flows whose back end has gone. The kernel remembers where a flow goes as long as packets come,
 * so a client that goes on sending would never be led anywhere else. A machine may have hundreds of thousands of flows, so
 * they are looked at in slices: of what the kernel gives at once, which is 32 KiB, some hundred flows. */
#pragma once

#include "common/base/map.h"
#include "lb/endpoint.h"
#include "lb/nft_wire.h"

/* Whether a VIP leads to a back end now. */
typedef bool (*nft_leads_fn)(void *ctx, const struct lb_endpoint *vip, const struct lb_endpoint *backend);

struct nft_flows {
    struct nft_socket listing;   /* readable while a look is under way */
    struct nft_socket *deletion; /* the plane's */
    nft_leads_fn leads;
    void *ctx;
    struct map now, next; /* VIPs that this look and the next one are for, by endpoint */
    struct nft_answer answer;
    _Alignas(4) uint8_t request[NFT_REQUEST_BYTES];
    uint8_t family; /* being listed; 0: nothing is under way */
    bool has_filter;
    unsigned tries;
    uint8_t *deletions; /* of this slice: messages one behind the other */
    size_t len, capacity, count;
};

/* Without memory of former flows; deletion outlives it. */
int nft_flows_open(struct nft_flows *f, struct nft_socket *deletion, nft_leads_fn leads, void *ctx, struct err *err);
void nft_flows_close(struct nft_flows *f);
int nft_flows_fd(const struct nft_flows *f);

/* The VIP leads elsewhere than before: its flows are to be looked at. */
void nft_flows_add(struct nft_flows *f, const struct lb_endpoint *vip);
/* Begins to look at the flows of all VIPs that were added, unless a look is under way: then the next one is for them.
 * 0 or a negative errno. */
int nft_flows_begin(struct nft_flows *f, struct err *err);
/* The next slice, if there is one: ends flows to where their VIP does not lead. 1: there is more, 0: that was all, or a
 * negative errno: the look is given up. */
int nft_flows_step(struct nft_flows *f, struct err *err);
