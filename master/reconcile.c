/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"
#include "master/agents.h"
#include "master/calls.h"
#include "master/departed.h"
#include "master/send.h"
#include "master/tasks.h"

#define ANSWERS_PER_TURN 1000
#define QUESTIONS_MAX 1000000 /* that wait of one framework */

#define REASON_RECONCILIATION ((int)MESOS__V1__TASK_STATUS__REASON__REASON_RECONCILIATION)

/* The latest forwarded state of a task the master holds. */
static void send_known(struct master *m, struct master_framework *f, const struct master_task *t)
{
    Mesos__V1__TaskStatus *status = master_status_new(m, t->id, (Mesos__V1__TaskState)t->update_state,
                                                      REASON_RECONCILIATION, "Reconciliation: Latest task state");
    if (t->agent != NULL)
        status->agent_id = t->agent->info->id;
    const Mesos__V1__TaskStatus *last = master_task_last_status(t, m->out->arena);
    if (last != NULL) {
        status->executor_id = last->executor_id;
        status->has_healthy = last->has_healthy;
        status->healthy = last->healthy;
        status->check_status = last->check_status;
        status->container_status = last->container_status;
        status->unreachable_time = last->unreachable_time;
        if (status->agent_id == NULL)
            status->agent_id = last->agent_id;
    }
    master_send_update(m, f, status);
}

static void send_unknown(struct master *m, struct master_framework *f, const char *task_id, const char *agent_id)
{
    bool aware = (f->capabilities & MASTER_CAN_PARTITION) != 0;
    const struct master_agent *a = agent_id != NULL ? master_agent_find(m, agent_id) : NULL;
    Mesos__V1__TaskState state = MESOS__V1__TASK_STATE__TASK_UNKNOWN;
    const char *why = "Reconciliation: Task is unknown";
    int64_t unreachable_ms = 0;
    if (agent_id != NULL && master_departed_is_gone(m, agent_id)) {
        state = MESOS__V1__TASK_STATE__TASK_GONE_BY_OPERATOR;
        why = "Reconciliation: Task is gone by an operator";
    }
    if (agent_id == NULL ? m->recovered_count > 0
                         : a != NULL && (a->state == MASTER_AGENT_RECOVERED || a->state == MASTER_AGENT_READMITTING))
        return; /* that agent may bring it */
    if (a != NULL && (a->state == MASTER_AGENT_CONNECTED || a->state == MASTER_AGENT_DISCONNECTED)) {
        state = MESOS__V1__TASK_STATE__TASK_GONE;
        why = "Reconciliation: Task is unknown to the agent";
    } else if (a != NULL && (a->state == MASTER_AGENT_UNREACHABLE || a->state == MASTER_AGENT_LEAVING)) {
        state = MESOS__V1__TASK_STATE__TASK_UNREACHABLE;
        why = "Reconciliation: Task is unreachable";
        unreachable_ms = a->unreachable_ms;
    }
    Mesos__V1__TaskStatus *status =
        master_status_new(m, task_id, aware ? state : MESOS__V1__TASK_STATE__TASK_LOST, REASON_RECONCILIATION, why);
    if (agent_id != NULL)
        status->agent_id = master_wire_agent_id(m, agent_id);
    if (unreachable_ms != 0)
        status->unreachable_time = master_wire_time(m->out->arena, unreachable_ms);
    master_send_update(m, f, status);
}

void master_reconcile_task(struct master *m, struct master_framework *f, const char *task_id, const char *agent_id)
{
    const struct master_task *t = master_task_find(f, task_id);
    if (t == NULL)
        t = master_task_find_unreachable(f, task_id);
    if (t != NULL)
        send_known(m, f, t);
    else
        send_unknown(m, f, task_id, agent_id);
}

/* -- long answers ----------------------------------------------------------------------------------------------- */

static bool is_waiting(const struct master_framework *f)
{
    return f->reconcile_next != NULL || f->question_at < f->question_count;
}

static void forget_questions(struct master_framework *f)
{
    for (; f->question_at < f->question_count; f->question_at++) {
        free(f->questions[f->question_at].task_id);
        free(f->questions[f->question_at].agent_id);
    }
    free(f->questions);
    f->questions = NULL;
    f->question_count = f->question_at = 0;
}

static void keep_question(struct master_framework *f, const Mesos__V1__Scheduler__Call__Reconcile__Task *task)
{
    struct master_question *q = &f->questions[f->question_count++];
    q->task_id = xstrdup(task->task_id->value);
    q->agent_id = task->agent_id != NULL ? xstrdup(task->agent_id->value) : NULL;
}

static void answer_some(struct master *m, struct master_framework *f)
{
    for (size_t n = 0; n < ANSWERS_PER_TURN && f->reconcile_next != NULL; n++) {
        const struct master_task *t = f->reconcile_next;
        f->reconcile_next = t->hh.next;
        send_known(m, f, t);
    }
    for (size_t n = 0; n < ANSWERS_PER_TURN && f->question_at < f->question_count; n++) {
        struct master_question *q = &f->questions[f->question_at++];
        master_reconcile_task(m, f, arena_strdup(m->out->arena, q->task_id),
                              q->agent_id != NULL ? arena_strdup(m->out->arena, q->agent_id) : NULL);
        free(q->task_id);
        free(q->agent_id);
    }
    if (f->question_at == f->question_count)
        forget_questions(f);
    if (!is_waiting(f))
        list_remove(&f->reconcile_node);
}

bool master_reconcile_is_due(const struct master *m)
{
    for (const struct list *it = m->reconciling.next; it != &m->reconciling; it = it->next)
        if (!container_of(it, struct master_framework, reconcile_node)->under_pressure)
            return true;
    return false;
}

void master_reconcile_go_on(struct master *m)
{
    list_for_each(it, &m->reconciling)
    {
        struct master_framework *f = container_of(it, struct master_framework, reconcile_node);
        if (!f->under_pressure)
            answer_some(m, f);
    }
}

void master_reconcile_cancel(struct master_framework *f)
{
    f->reconcile_next = NULL;
    forget_questions(f);
    list_remove(&f->reconcile_node);
}

void master_reconcile_skip(struct master_task *t)
{
    struct master_framework *f = t->framework;
    if (f->reconcile_next != t)
        return;
    f->reconcile_next = t->hh.next;
    if (!is_waiting(f))
        list_remove(&f->reconcile_node);
}

/* Puts the questions behind those that wait already. False: there are too many. */
static bool keep_questions(struct master_framework *f, const Mesos__V1__Scheduler__Call__Reconcile *reconcile)
{
    size_t waiting = f->question_count - f->question_at;
    if (reconcile->n_tasks > QUESTIONS_MAX - waiting)
        return false;
    struct master_question *kept = xcalloc(waiting + reconcile->n_tasks, sizeof(*kept));
    if (waiting > 0)
        memcpy(kept, f->questions + f->question_at, waiting * sizeof(*kept));
    free(f->questions);
    f->questions = kept;
    f->question_count = waiting;
    f->question_at = 0;
    for (size_t i = 0; i < reconcile->n_tasks; i++)
        keep_question(f, reconcile->tasks[i]);
    return true;
}

void master_on_reconcile(struct master *m, struct master_framework *f,
                         const Mesos__V1__Scheduler__Call__Reconcile *reconcile)
{
    if (reconcile->n_tasks == 0) {
        f->reconcile_next = f->tasks;
    } else if (reconcile->n_tasks <= ANSWERS_PER_TURN && !is_waiting(f)) {
        for (size_t i = 0; i < reconcile->n_tasks; i++)
            master_reconcile_task(m, f, reconcile->tasks[i]->task_id->value,
                                  reconcile->tasks[i]->agent_id != NULL ? reconcile->tasks[i]->agent_id->value : NULL);
        return;
    } else if (!keep_questions(f, reconcile)) {
        master_trace_warning(m, "framework %s: a RECONCILE was dropped, too many questions wait", f->id);
        return;
    }
    if (!is_waiting(f))
        return;
    if (f->reconcile_node.next == &f->reconcile_node)
        list_push_back(&m->reconciling, &f->reconcile_node);
    if (!f->under_pressure)
        answer_some(m, f);
}
