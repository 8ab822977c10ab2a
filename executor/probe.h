/* SPDX-License-Identifier: Apache-2.0
 * probe.h - one HTTP or TCP check against an address of this container. */
#pragma once

#include "common/http/client.h"
#include "common/port/loop.h"
#include "executor/event.h"

#define EXECUTOR_PROBE_REDIRECTS_MAX 5

struct executor_probe;

typedef void (*executor_probe_fn)(void *ctx, executor_check_id id, enum executor_check_result result, int value,
                                  const char *text);

/* done is called once, never inside this call, and the probe is gone then. Redirects are followed over plain HTTP to
 * numeric addresses and localhost; another one is the result itself (its status is in 300..399). There is no time-out here.
 */
struct executor_probe *executor_probe_start(struct loop *loop, struct http_client *http,
                                            const struct executor_effect *effect, executor_probe_fn done, void *ctx);
/* No callback any more. */
void executor_probe_cancel(struct executor_probe *p);
