/* SPDX-License-Identifier: Apache-2.0
 * sim_session.h - carries out what a scheduler session (sdk) wants from its transport: streams and calls to the master.
 * Owned by a framework's node, which steps the session through this and gets the rest of the effects. */
#pragma once

#include "frameworks/sdk/session.h"
#include "sim/world.h"

struct sim_session;

/* Everything but CONNECT, CLOSE and SEND. May step again. */
typedef void (*sim_session_effect_fn)(struct sim_node *n, const struct sdk_effect *e);

struct sim_session *sim_session_new(struct sim_node *n, struct sim_node *master, const struct sdk_session_config *config,
                                    sim_session_effect_fn effect);
struct sim_session *sim_session_free(struct sim_session *s); /* accepts NULL */
/* Sets the time, steps, carries out. Result of the step. */
int sim_session_step(struct sim_session *s, struct sdk_event *in);
int sim_session_call(struct sim_session *s, const Mesos__V1__Scheduler__Call *call);
int64_t sim_session_next_deadline(const struct sim_session *s);
const struct sdk_session *sim_session_core(const struct sim_session *s);
