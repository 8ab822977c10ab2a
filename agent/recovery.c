/* SPDX-License-Identifier: Apache-2.0
 * recovery.c - a restart of the agent touches no container:
 *
 *     STARTING --the store was read--> CONTAINERS --the launcher has looked--> EXECUTORS --all back, or time over-->
 * RUNNING
 *
 * Only then is the master called, so that it hears of what really runs. After a reboot of the host (another boot id) every
 * run of before is over. */
#include "agent/recovery.h"

#include <stdlib.h>
#include <string.h>

#include "agent/checkpoint.h"
#include "agent/drain.h"
#include "agent/executors.h"
#include "agent/frameworks.h"
#include "agent/offered.h"
#include "agent/operations.h"
#include "agent/sandboxes.h"
#include "agent/session.h"
#include "agent/tasks.h"
#include "agent/updates.h"
#include "common/base/check.h"
#include "common/wire/codec.h"

static void give_up(struct agent *a, const char *text)
{
    struct agent_effect *effect = agent_emit(a, AGENT_OUT_EXIT);
    effect->exit.status = 1;
    effect->exit.text = arena_strdup(a->out->arena, text);
    a->phase = AGENT_PHASE_ENDED;
}

static void take_identity(struct agent *a, const Mesos__V1__AgentInfo *before)
{
    a->id = xstrdup(before->id->value);
    a->info->id = agent_wire_agent_id(a->config_arena, a->id);
    size_t before_len, now_len;
    uint8_t *before_bytes = wire_pack(&before->base, &before_len), *now_bytes = wire_pack(&a->info->base, &now_len);
    if (before_len != now_len || memcmp(before_bytes, now_bytes, now_len) != 0)
        agent_checkpoint_agent(a);
    free(before_bytes);
    free(now_bytes);
}

/* Calls fn for every executor; fn may take away the one it is given. */
static void each_executor(struct agent *a, void (*fn)(struct agent *a, struct agent_executor *e))
{
    for (struct map_entry *i = map_first(&a->frameworks), *next_i; i != NULL; i = next_i) {
        next_i = map_next(i);
        struct agent_framework *f = map_value(i);
        for (struct map_entry *j = map_first(&f->executors), *next_j; j != NULL; j = next_j) {
            next_j = map_next(j);
            fn(a, map_value(j));
        }
    }
}

/* Nobody knows any more what had begun: a task that was not heard of may have run, so it is not DROPPED. */
static void lost_by_reboot(struct agent *a, struct agent_executor *e)
{
    if (e->state < AGENT_EXECUTOR_TERMINATED)
        agent_executor_lost(a, e, AGENT_STATE(LOST), AGENT_STATE(GONE), AGENT_REASON(AGENT_RESTARTED),
                            "the host of the agent was restarted");
}

static void lost_by_launcher(struct agent *a, struct agent_executor *e)
{
    if (e->state >= AGENT_EXECUTOR_TERMINATED || e->started)
        return;
    agent_executor_drop_staging(a, e); /* a container that had begun is known to the launcher until this was told */
    agent_executor_lost(a, e, AGENT_STATE(FAILED), AGENT_STATE(FAILED), AGENT_REASON(EXECUTOR_TERMINATED),
                        "the executor's container is gone");
}

/* A crash can leave things half way between two writes: go on where the next write would have. */
static void finish_half_done(struct agent *a)
{
    for (struct map_entry *i = map_first(&a->frameworks), *next_i; i != NULL; i = next_i) {
        next_i = map_next(i);
        struct agent_framework *f = map_value(i);
        for (struct map_entry *j = map_first(&f->tasks), *next_j; j != NULL; j = next_j) {
            next_j = map_next(j);
            struct agent_task *t = map_value(j);
            if (t->update_count == 0 && agent_state_is_terminal(t->state))
                agent_task_complete(a, t);
            else if (t->executor == NULL && t->update_count == 0)
                agent_updates_generate(a, t, AGENT_STATE(FAILED), AGENT_REASON(CONTAINER_LAUNCH_FAILED),
                                       "the task was refused", NULL);
        }
        for (struct map_entry *j = map_first(&f->executors), *next_j; j != NULL; j = next_j) {
            next_j = map_next(j);
            agent_executor_settle(a, map_value(j));
        }
        agent_framework_settle(a, f);
    }
}

static void ask_launcher(struct agent *a)
{
    size_t n = 0;
    const char **known = arena_new_array(a->out->arena, const char *, map_count(&a->containers) + 1);
    for (struct map_entry *it = map_first(&a->containers); it != NULL; it = map_next(it))
        known[n++] = arena_strdup(a->out->arena, map_key(it));
    struct agent_effect *effect = agent_emit(a, AGENT_OUT_RECOVER);
    effect->recover.containers = known;
    effect->recover.count = n;
    a->phase = AGENT_PHASE_CONTAINERS;
}

void agent_on_started(struct agent *a, const struct agent_item *items, size_t count, const char *boot_id)
{
    struct err err = {""};
    Mesos__V1__AgentInfo *before = NULL;
    char *boot_before = NULL;
    a->boot_id = xstrdup(boot_id);
    a->start_wall_ms = a->wall_ms;
    if (agent_checkpoint_identity(a, items, count, &before, &boot_before, &err) != 0) {
        give_up(a, err.text);
        return;
    }
    if (agent_operations_init(a, &err) != 0 || agent_checkpoint_recover_resources(a, items, count, &err) != 0) {
        give_up(a, err.text);
        return;
    }
    bool rebooted = boot_before != NULL && strcmp(boot_before, boot_id) != 0;
    bool compatible = before == NULL || agent_offered_compatible(before, a->info, &err) == 0;
    if (!compatible && !rebooted) {
        give_up(a,
                arena_printf(a->out->arena,
                             "this agent may not come back as it is configured now: %s. Undo the change, or end its tasks "
                             "and remove its work directory to make it a new agent",
                             err.text));
        return;
    }
    if (boot_before == NULL || rebooted)
        agent_checkpoint_boot(a);
    if (!compatible) {
        agent_trace(a, LOG_LEVEL_WARNING, "the host was restarted and changed (%s): registering as a new agent", err.text);
        agent_checkpoint_forget_runs(a, items, count);
        agent_checkpoint_forget_agent(a);
        agent_checkpoint_boot(a);
    } else {
        if (before != NULL)
            take_identity(a, before);
        if (agent_checkpoint_recover(a, items, count, &err) != 0) {
            give_up(a, err.text);
            return;
        }
        if (a->id == NULL && map_count(&a->frameworks) > 0) {
            give_up(a, "the checkpoints hold frameworks but not the agent they ran on");
            return;
        }
        if (rebooted)
            each_executor(a, lost_by_reboot);
        finish_half_done(a);
    }
    agent_operations_start(a);
    agent_sandboxes_start(a);
    ask_launcher(a);
}

void agent_on_containers_recovered(struct agent *a)
{
    if (a->phase != AGENT_PHASE_CONTAINERS)
        return;
    each_executor(a, lost_by_launcher);
    a->phase = AGENT_PHASE_EXECUTORS;
    /* executors draw their next attempt from up to this long: a window of the same length would lose the slow ones, and a
     * longer one costs nothing because it ends when all are back */
    agent_timer_set(a, &a->executors_timer, a->config.executor_reregistration_timeout_ms * 5 / 2);
}

static void did_not_come_back(struct agent *a, struct agent_executor *e)
{
    if (!e->recovered)
        return;
    agent_executor_no_longer_recovering(a, e);
    if (e->state == AGENT_EXECUTOR_REGISTERING)
        agent_executor_destroy(a, e, AGENT_STATE(LOST), AGENT_STATE(GONE), AGENT_REASON(EXECUTOR_REREGISTRATION_TIMEOUT),
                               "the executor did not subscribe again after the agent restarted");
}

void agent_on_executors_timer(struct agent *a)
{
    each_executor(a, did_not_come_back);
}

void agent_recovery_settle(struct agent *a)
{
    if (a->phase != AGENT_PHASE_EXECUTORS || a->recovering > 0)
        return;
    agent_timer_stop(a, &a->executors_timer);
    a->phase = AGENT_PHASE_RUNNING;
    if (a->unregister_wanted)
        agent_session_leave(a, 0, AGENT_UNREGISTERED_TEXT);
    else
        agent_session_start(a);
    agent_drain_kill_all(a); /* who ordered it may be away */
}
