/* SPDX-License-Identifier: Apache-2.0
 * tasks.c - tasks under way: states, time-outs, kills that are repeated until the task has ended. */
#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"
#include "frameworks/cron/core.h"
#include "frameworks/sdk/calls.h"

#define KILLS_PER_STEP_MAX 500 /* the scheduler connection has a bound, and other calls want to go out as well */
#define KILLS_PAUSE_MS 100

const char *cron_task_state_name(const struct task *t)
{
    static const char *const names[TASK_STATE_COUNT] = {"TASK_CREATED", "TASK_STAGING", "TASK_STARTING", "TASK_RUNNING",
                                                        "TASK_RUNNING"};
    return t->state == TASK_UNREACHABLE && t->started_ms == 0 ? "TASK_STAGING" : names[t->state];
}

/* Of the task states of the API. */
const char *cron_task_end_name(enum task_end e)
{
    static const char *const names[] = {"TASK_FINISHED", "TASK_FAILED", "TASK_KILLED", "TASK_FAILED", "TASK_FAILED"};
    return names[e];
}

struct task *cron_task_new(struct cron *c, struct run *r, int64_t index, const char *id)
{
    struct task *t = xcalloc(1, sizeof(*t));
    t->run = r;
    t->index = index;
    t->id = xstrdup(id);
    t->timer.kind = TIMER_TASK;
    list_push_back(&r->tasks, &t->link);
    r->task_count++;
    CHECK(map_put(&c->tasks, t->id, t) == NULL);
    return t;
}

void cron_task_free(struct cron *c, struct task *t)
{
    list_remove(&t->link);
    t->run->task_count--;
    heap_remove(&c->timers, &t->timer.node);
    (void)map_remove(&c->tasks, t->id); /* was in it */
    free(t->id);
    free(t->agent_id);
    free(t->hostname);
    free(t->container_id);
    free(t->agent_address);
    free(t);
}

static char *copy_or_null(const char *s)
{
    return s ? xstrdup(s) : NULL;
}

void cron_ended_task_deinit(struct ended_task *t)
{
    free(t->id);
    free(t->agent_id);
    free(t->hostname);
    free(t->container_id);
    free(t->agent_address);
    free(t->message);
}

void cron_run_note_ended(struct cron *c, const struct task *t, enum task_end how, const char *message)
{
    struct run *r = t->run;
    if (r->ended_count == ENDED_TASKS_MAX) {
        cron_ended_task_deinit(&r->ended[0]);
        memmove(&r->ended[0], &r->ended[1], sizeof(r->ended[0]) * --r->ended_count);
    }
    r->ended[r->ended_count++] = (struct ended_task){.id = xstrdup(t->id),
                                                     .agent_id = copy_or_null(t->agent_id),
                                                     .hostname = copy_or_null(t->hostname),
                                                     .container_id = copy_or_null(t->container_id),
                                                     .agent_address = copy_or_null(t->agent_address),
                                                     .message = copy_or_null(message),
                                                     .index = t->index,
                                                     .elements_processed = t->elements_processed,
                                                     .started_ms = t->started_ms,
                                                     .ended_ms = c->wall_ms,
                                                     .how = how};
}

/* -- time ---------------------------------------------------------------------------------------------------------- */

static int64_t wall_deadline(const struct cron *c, int64_t at_wall_ms)
{
    int64_t wait = at_wall_ms - c->wall_ms;
    return c->now_ms + (wait > 0 ? wait : 0);
}

void cron_task_set_timer(struct cron *c, struct task *t)
{
    int64_t at = INT64_MAX;
    if (t->is_killed)
        at = t->kill_next_ms;
    else if (t->state == TASK_CREATED)
        at = t->since_ms + c->config.task_launch_confirm_timeout_ms;
    else if (t->state == TASK_STAGING || t->state == TASK_STARTING)
        at = t->since_ms + c->config.task_launch_timeout_ms;
    else if (t->state == TASK_UNREACHABLE)
        at = wall_deadline(c, t->unreachable_ms + c->config.task_lost_expunge_ms);
    else if (t->run->spec->max_run_s >= 0)
        at = wall_deadline(c, t->started_ms + t->run->spec->max_run_s * 1000);
    if (at == INT64_MAX)
        heap_remove(&c->timers, &t->timer.node);
    else
        heap_set(&c->timers, &t->timer.node, at);
}

void cron_task_set_state(struct cron *c, struct task *t, enum task_state s)
{
    if (t->state != s) {
        t->state = s;
        t->since_ms = c->now_ms;
    }
    cron_task_set_timer(c, t);
    if (t->run->array)
        cron_store_task(c, t);
    else
        cron_run_changed(c, t->run);
}

/* Nothing was heard of a launch: the master knows whether it got there. */
static void ask(struct cron *c, struct task *t)
{
    t->since_ms = c->now_ms;
    if (c->is_settled) {
        struct sdk_task one = {t->id, t->agent_id};
        cron_call(c, sdk_call_reconcile(outbox_later_arena(c->outbox), &one, 1));
    }
    cron_task_set_timer(c, t);
}

void cron_task_on_timer(struct cron *c, struct task *t)
{
    if (t->state == TASK_UNREACHABLE) {
        cron_run_task_ended(c, t, TASK_LOST, "its agent was unreachable for too long");
    } else if (t->is_killed) {
        cron_task_send_kill(c, t);
    } else if (t->state == TASK_CREATED) {
        ask(c, t);
    } else {
        bool is_running = t->state == TASK_RUNNING;
        t->is_timed_out = true;
        cron_task_kill(c, t, is_running ? "ran longer than it may" : "did not come to run in time");
    }
}

/* -- kills --------------------------------------------------------------------------------------------------------- */

void cron_task_send_kill(struct cron *c, struct task *t)
{
    /* Without a connection the call would be lost; everything that is to be killed is told again once it is back. */
    bool can_send = c->is_connected && c->kills_in_step < KILLS_PER_STEP_MAX;
    if (can_send) {
        c->kills_in_step++;
        c->totals.kills_total++;
        cron_call(c, sdk_call_kill(outbox_later_arena(c->outbox), t->id, t->agent_id, -1));
    }
    t->kill_next_ms = c->now_ms + (can_send || !c->is_connected ? c->config.kill_retry_timeout_ms : KILLS_PAUSE_MS);
    cron_task_set_timer(c, t);
}

void cron_task_kill(struct cron *c, struct task *t, const char *reason)
{
    if (t->is_killed)
        return;
    t->is_killed = true;
    t->kill_reason = reason;
    if (t->run->array)
        cron_store_task(c, t);
    else
        cron_run_changed(c, t->run);
    cron_task_send_kill(c, t);
}

void cron_tasks_resend_kills(struct cron *c)
{
    for (struct map_entry *m = map_first(&c->tasks); m; m = map_next(m)) {
        struct task *t = map_value(m);
        if (t->is_killed)
            cron_task_send_kill(c, t);
    }
}
