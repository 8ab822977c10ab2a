/* SPDX-License-Identifier: Apache-2.0
 * logging_toggle.h - more log lines for a while: what /logging/toggle and SET_LOGGING_LEVEL do (facts: mesos 3.1, 5.1).
 * Level 0 is what the flag says, 1 to 3 log debug lines as well; after the duration it is 0 again. Ours has no deeper
 * levels, but keeps the number that was asked for. */
#pragma once

#include <stdint.h>

#include "common/base/err.h"
#include "common/http/server.h"
#include "common/port/loop.h"

#define LOGGING_LEVEL_MAX 3

struct logging_toggle;

struct logging_toggle *logging_toggle_new(struct loop *loop);
/* NULL is ignored. The level goes back to what the flag says. */
void logging_toggle_free(struct logging_toggle *t);

uint32_t logging_toggle_level(const struct logging_toggle *t);
/* 0, or -EINVAL for a level there is not or a duration below 0. */
int logging_toggle_set(struct logging_toggle *t, int64_t level, int64_t duration_ns, struct err *err);

/* Answers a request to /logging/toggle: `level` and `duration` in the query, or neither to be told the level. */
void logging_toggle_answer(struct logging_toggle *t, struct http_exchange *x, const struct http_message *request);
