/* SPDX-License-Identifier: Apache-2.0
 * zygote.h - the agent's side of helper/zygote.c: a process that forks supervisors, so that a start costs no exec and the
 * loop does not wait for one. Without it (it died, too many requests at once) supervisors are executed directly. */
#pragma once

#include "agent/container/launcher_state.h"

int container_zygote_start(struct container_launcher *l, struct err *err);
void container_zygote_stop(struct container_launcher *l);

/* Asks for a supervisor for c. It is watched when the answer comes; an answer that it cannot be started ends c. 0, or
 * -EAGAIN when it has to be done another way, or another negative errno. */
int container_zygote_ask(struct container_entry *c, const Muster__Container__Spec *spec, int directory, struct err *err);
