/* SPDX-License-Identifier: Apache-2.0
 * probe.h - TCP checks: connects to a back end and closes. How many are under way is the core's matter. */
#pragma once

#include "common/port/loop.h"
#include "lb/endpoint.h"

struct lb_prober;

/* done is called in a later turn. A check that could not be made for want of something of ours (descriptors, ports) says
 * is_up: it proves nothing. */
struct lb_prober *lb_prober_new(struct loop *loop, int64_t timeout_ms,
                                void (*done)(void *ctx, const struct lb_endpoint *target, bool is_up), void *ctx);
/* Those under way end without done. Accepts NULL, returns NULL. */
struct lb_prober *lb_prober_free(struct lb_prober *p);
void lb_prober_start(struct lb_prober *p, const struct lb_endpoint *target);
