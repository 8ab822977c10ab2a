/* SPDX-License-Identifier: Apache-2.0
 * calls.h - scheduler and operator calls: who may call, and which part does it. Internal to master/. */
#pragma once

#include "master/state.h"

void master_on_call(struct master *m, const struct master_event *in);

/* operator.c */
void master_on_operator_call(struct master *m, const struct master_event *in);

/* reconcile.c: RECONCILE (facts: mesos 1.12). A long answer is spread over turns, so that it never outruns its reader. */
void master_on_reconcile(struct master *m, struct master_framework *f,
                         const Mesos__V1__Scheduler__Call__Reconcile *reconcile);
bool master_reconcile_is_due(const struct master *m);
void master_reconcile_go_on(struct master *m);
void master_reconcile_cancel(struct master_framework *f);
/* The task is about to leave its framework's `tasks`. */
void master_reconcile_skip(struct master_task *t);
/* One task as if RECONCILE had named it. agent_id may be NULL. */
void master_reconcile_task(struct master *m, struct master_framework *f, const char *task_id, const char *agent_id);
