/* SPDX-License-Identifier: Apache-2.0
 * answer.h - the large answers of the operator API (GET_TASKS, GET_STATE, SUBSCRIBED), written task by task: a cluster of a
 * million tasks is never a tree of messages in memory. Internal to master/. */
#pragma once

#include "common/wire/codec.h"
#include "master/authorize.h"
#include "master/state.h"

/* Each appends a whole Response or Event. -ENOBUFS when out is too small for it. `arena` is scratch and reset on the
 * way. Only what the reader may see.
 */
int master_answer_tasks(const struct master_view *v, enum wire_format format, struct arena *arena, struct buf *out);
int master_answer_state(const struct master_view *v, enum wire_format format, struct arena *arena, struct buf *out);
int master_answer_subscribed(const struct master_view *v, enum wire_format format, struct arena *arena, struct buf *out);

/* Calls fn for each task of a framework that is live, unreachable or completed, as `which` says. */
enum master_task_set { MASTER_TASKS_LIVE, MASTER_TASKS_UNREACHABLE, MASTER_TASKS_COMPLETED };
void master_each_task(const struct master_framework *f, enum master_task_set which,
                      void (*fn)(void *ctx, const struct master_task *t), void *ctx);
