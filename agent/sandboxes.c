/* SPDX-License-Identifier: Apache-2.0
 * sandboxes.c - a queue in the order of ends, which is the order of due times because the delay is the same for all. One
 * removal is under way at a time: deleting is work for the disk that containers use as well. */
#include "agent/sandboxes.h"

#include <stdlib.h>
#include <string.h>

#include "agent/checkpoint.h"
#include "common/base/check.h"

void agent_sandbox_free(struct agent_sandbox *s)
{
    free(s->container_id);
    free(s->directory);
    free(s);
}

static struct agent_sandbox *oldest(const struct agent *a)
{
    return list_is_empty(&a->sandboxes) ? NULL : container_of(a->sandboxes.next, struct agent_sandbox, link);
}

static void arm(struct agent *a)
{
    const struct agent_sandbox *s = oldest(a);
    if (s == NULL || s->removing)
        agent_timer_stop(a, &a->sandbox_timer);
    else
        agent_timer_set(a, &a->sandbox_timer, s->due_ms > a->wall_ms ? s->due_ms - a->wall_ms : 0);
}

void agent_sandbox_restore(struct agent *a, const char *container_id, const char *directory, int64_t due_ms)
{
    struct agent_sandbox *s = xcalloc(1, sizeof(*s));
    s->container_id = xstrdup(container_id);
    s->directory = xstrdup(directory);
    s->due_ms = due_ms;
    struct list *at = &a->sandboxes; /* from the back: nearly always the newest */
    while (at->prev != &a->sandboxes) {
        const struct agent_sandbox *before = container_of(at->prev, struct agent_sandbox, link);
        if (before->due_ms <= due_ms || before->removing)
            break;
        at = at->prev;
    }
    list_insert_before(at, &s->link);
    a->sandbox_count++;
}

void agent_sandbox_retire(struct agent *a, const char *container_id, const char *directory)
{
    agent_sandbox_restore(a, container_id, directory, a->wall_ms + a->config.gc_delay_ms);
    struct agent_sandbox key = {.container_id = (char *)(uintptr_t)container_id,
                                .directory = (char *)(uintptr_t)directory,
                                .due_ms = a->wall_ms + a->config.gc_delay_ms};
    agent_checkpoint_sandbox(a, &key);
    arm(a);
}

void agent_sandboxes_start(struct agent *a)
{
    arm(a);
}

void agent_on_sandbox_timer(struct agent *a)
{
    struct agent_sandbox *s = oldest(a);
    if (s == NULL || s->removing)
        return;
    if (s->due_ms > a->wall_ms) { /* the calendar was set back */
        arm(a);
        return;
    }
    s->removing = true;
    struct agent_effect *effect = agent_emit(a, AGENT_OUT_REMOVE_SANDBOX);
    effect->remove_sandbox.container_id = arena_strdup(a->out->arena, s->container_id);
    effect->remove_sandbox.path = arena_strdup(a->out->arena, s->directory);
}

void agent_on_sandbox_removed(struct agent *a, const char *container_id, int result)
{
    struct agent_sandbox *s = oldest(a);
    if (s == NULL || !s->removing || strcmp(s->container_id, container_id) != 0)
        return;
    if (result == 0)
        a->counts.sandboxes_removed++;
    else
        a->counts.sandboxes_failed++;
    if (result != 0)
        agent_trace(a, LOG_LEVEL_WARNING, "sandbox %s could not be removed: %s", s->directory, strerror(-result));
    agent_checkpoint_forget_sandbox(a, container_id);
    list_remove(&s->link);
    a->sandbox_count--;
    agent_sandbox_free(s);
    arm(a);
}
