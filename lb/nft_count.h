/* SPDX-License-Identifier: Apache-2.0
 * nft_count.h - how many connections each VIP and back end got: the kernel's counters, and the sums that go on when those
 * begin anew. */
#pragma once

#include "lb/endpoint.h"
#include "lb/nft_wire.h"

/* -- sums of one VIP --------------------------------------------------------------------------------------------- */

struct nft_tally {
    struct lb_endpoint backend; /* of the VIP's protocol */
    uint64_t before, now;       /* of counters that are gone; of the present one, when it was read last */
};

struct nft_tallies {
    struct nft_tally *items; /* by back end, of those that ever got a connection */
    size_t count, capacity;
    struct nft_tally refused; /* clients */
    uint64_t left;            /* connections of back ends that are not the VIP's any more */
};

void nft_tallies_deinit(struct nft_tallies *t);
/* A counter says so, 0 when there is none; back end port 0: that of clients that were refused. One that says less than
 * before has begun anew. */
void nft_tallies_note(struct nft_tallies *t, const struct lb_endpoint *backend, uint64_t value);
/* All counters begin anew. */
void nft_tallies_restart(struct nft_tallies *t);
/* The back end is not the VIP's any more; what it had stays in the sum. */
void nft_tallies_remove(struct nft_tallies *t, const struct lb_endpoint *backend);
uint64_t nft_tallies_of(const struct nft_tallies *t, const struct lb_endpoint *backend);
uint64_t nft_tallies_sum(const struct nft_tallies *t);
uint64_t nft_tallies_refused(const struct nft_tallies *t);

/* -- the kernel's counters --------------------------------------------------------------------------------------- */

struct nft_pair {
    struct lb_endpoint vip, backend; /* of one family and protocol; back end port 0: clients that were refused */
    bool is_counted;                 /* by the kernel: there was at least one */
    uint64_t connections;
};

/* Whether the table has what counts: 1, 0, or a negative errno. */
int nft_counts_are_there(struct nft_socket *s, const char *table);
/* Fills is_counted and connections; each pair is looked up, which is as much work with few pairs in the kernel as with many
 * (a listing would begin from the start for every 32 KiB). 0 or a negative errno. */
int nft_counts_read(struct nft_socket *s, const char *table, struct nft_pair *pairs, size_t count);
/* Of those that are counted. Sorts pairs; one that is there twice is removed once. How many. */
size_t nft_counts_put_removal(struct nft_batch *b, const char *table, struct nft_pair *pairs, size_t count);
