/* SPDX-License-Identifier: Apache-2.0
 * answer.h - the large answers of the operator API (GET_TASKS, GET_STATE, SUBSCRIBED), as pictures: a cluster of a million
 * tasks is never a tree of messages in memory. Internal to master/. */
#pragma once

#include "common/wire/codec.h"
#include "master/authorize.h"
#include "master/picture.h"
#include "master/state.h"

/* Initialises and fills a picture of a whole Response; the caller deinits it, whatever comes. -ENOBUFS: it is too large.
 * `arena` is scratch and reset on the way. Only what the reader may see. */
int master_answer_tasks(const struct master_view *v, enum wire_format format, struct arena *arena,
                        struct master_picture *p);
int master_answer_state(const struct master_view *v, enum wire_format format, struct arena *arena,
                        struct master_picture *p);
/* Appends a whole Event. -ENOBUFS when out is too small for it. */
int master_answer_subscribed(const struct master_view *v, enum wire_format format, struct arena *arena, struct buf *out);

/* Calls fn for each task of a framework that is live, unreachable or completed, as `which` says. */
enum master_task_set { MASTER_TASKS_LIVE, MASTER_TASKS_UNREACHABLE, MASTER_TASKS_COMPLETED };
void master_each_task(const struct master_framework *f, enum master_task_set which,
                      void (*fn)(void *ctx, const struct master_task *t), void *ctx);

/* So few tasks and agents that any answer about them is made at once. */
bool master_is_small(const struct master *m);
