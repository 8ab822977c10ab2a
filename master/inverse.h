/* SPDX-License-Identifier: Apache-2.0
 * inverse.h - inverse offers (facts: mesos 1.16): a framework that has something on an agent whose machine will be away is
 * asked to give it back. Its answer is only recorded; it is asked again when its refusal ends. Nothing is searched: agents
 * whose offers or tasks changed are marked and looked at once a turn, and only those with maintenance ahead. Internal to
 * master/. */
#pragma once

#include "master/state.h"

/* Something changed on the agent, or in what is planned for it. */
void master_inverse_mark(struct master *m, struct master_agent *a);
/* The framework has a scheduler (again). */
void master_inverse_mark_for_framework(struct master *m, struct master_framework *f);
/* Ends all that was asked about the agent; who has not answered is told. */
void master_inverse_withdraw(struct master *m, struct master_agent *a);
/* The scheduler is gone: its unanswered inverse offers end, in silence. */
void master_inverse_discard(struct master *m, struct master_framework *f);
void master_inverse_forget_framework(struct master *m, struct master_framework *f);
void master_inverse_on_answer(struct master *m, struct master_framework *f, Mesos__V1__OfferID *const *ids, size_t n,
                              bool is_accepted, const Mesos__V1__Filters *filters);
void master_inverse_revive(struct master *m, struct master_framework *f);
void master_inverse_on_timers(struct master *m);
void master_inverse_pass(struct master *m);
bool master_inverse_is_due(const struct master *m);
void master_inverse_deinit(struct master *m);

/* Answers of those on the machine, in the arena. */
size_t master_inverse_statuses(const struct master *m, const struct master_machine *machine, struct arena *arena,
                               Mesos__V1__Allocator__InverseOfferStatus ***out);
/* Unanswered ones of a framework, in the arena. */
size_t master_inverse_offers(const struct master *m, const struct master_framework *f, struct arena *arena,
                             Mesos__V1__InverseOffer ***out);
