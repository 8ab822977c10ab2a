/* SPDX-License-Identifier: Apache-2.0
 * offers.h - offers that are out and not yet answered. An offer moves resources from free to offered, and exactly one of
 * accept, decline, rescind, expiry or the scheduler's failover moves them on. Who gets one is decided by allocator.c.
 * Internal to master/. */
#pragma once

#include "master/state.h"

/* Takes the resources (not allocated) that were already taken out of the agent's free ones. */
struct master_offer *master_offer_new(struct master *m, struct master_client *c, struct master_agent *a,
                                      struct resources *resources);
/* By its id's text, NULL: unknown or ended. */
struct master_offer *master_offer_find(const struct master *m, const char *id);
char *master_offer_id(struct arena *arena, const struct master *m, const struct master_offer *o);

/* Ends the offer: its resources are free again and no longer charged. With rescind the scheduler is told. at_once: they are
 * offered again in this turn, else after the allocation interval. */
void master_offer_return(struct master *m, struct master_offer *o, bool rescind, bool at_once);
/* Ends the offer and hands out its resources (allocated, still charged); the caller owns them. */
struct resources *master_offer_take(struct master *m, struct master_offer *o);

void master_offers_return_of_agent(struct master *m, struct master_agent *a, bool rescind);
/* Rescinds all, to be offered again in this turn. */
void master_offers_rescind_of_agent(struct master *m, struct master_agent *a);
void master_offers_return_of_framework(struct master *m, struct master_framework *f);
void master_offers_on_timers(struct master *m);

/* Where the agent serves, in the arena. */
Mesos__V1__URL *master_agent_url(const struct master_agent *a, struct arena *arena);
/* Wire form as this framework may see it, in the arena. */
Mesos__V1__Offer *master_offer_wire(const struct master *m, const struct master_offer *o, struct arena *arena);

/* -- filters ---------------------------------------------------------------------------------------------------- */

/* How long a refusal holds: facts 1.8. 0: no filter. */
int64_t master_filter_timeout_ms(const struct master *m, const Mesos__V1__Filters *filters);
/* Takes refused (not allocated): nothing of it is offered to c on a for timeout_ms. */
void master_filter_add(struct master *m, struct master_client *c, struct master_agent *a, struct resources *refused,
                       int64_t timeout_ms);
/* Does a filter of the pair cover all of what? */
bool master_filter_blocks(const struct master *m, const struct master_client *c, const struct master_agent *a,
                          const struct resources *what);
void master_filters_remove_of_client(struct master *m, struct master_client *c);
void master_filters_remove_of_agent(struct master *m, struct master_agent *a);
/* Lets up to max expired filters go; calls back for each pair that may be offered something again. */
void master_filters_on_timers(struct master *m, size_t max,
                              void (*expired)(struct master *, struct master_client *, struct master_agent *));
