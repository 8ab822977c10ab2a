/* SPDX-License-Identifier: Apache-2.0
 * check_updates.c - invariant 3: a task that its framework saw in a terminal state never leaves it, and updates come in
 * order. Once all has settled: every container that ran and ended was told to its framework, and none runs whose task the
 * framework saw end. */
#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"
#include "common/base/map.h"
#include "common/wire/codec.h"
#include "sim/check.h"

struct known {
    int rank;     /* of the newest state, -1 none */
    int terminal; /* state, -1 none */
    bool is_lost; /* it was told that the agent is out of reach or unknown: that may be all there ever is */
    int containers_started, containers_ended;
};

struct books {
    struct world *world;
    struct map tasks; /* framework/task */
};

bool sim_state_is_terminal(Mesos__V1__TaskState state)
{
    switch (state) {
    case MESOS__V1__TASK_STATE__TASK_FINISHED:
    case MESOS__V1__TASK_STATE__TASK_FAILED:
    case MESOS__V1__TASK_STATE__TASK_KILLED:
    case MESOS__V1__TASK_STATE__TASK_ERROR:
    case MESOS__V1__TASK_STATE__TASK_LOST:
    case MESOS__V1__TASK_STATE__TASK_DROPPED:
    case MESOS__V1__TASK_STATE__TASK_GONE:
    case MESOS__V1__TASK_STATE__TASK_GONE_BY_OPERATOR:
        return true;
    default:
        return false;
    }
}

static int rank_of(Mesos__V1__TaskState state)
{
    switch (state) {
    case MESOS__V1__TASK_STATE__TASK_STAGING:
        return 0;
    case MESOS__V1__TASK_STATE__TASK_STARTING:
        return 1;
    case MESOS__V1__TASK_STATE__TASK_RUNNING:
        return 2;
    case MESOS__V1__TASK_STATE__TASK_KILLING:
        return 3;
    case MESOS__V1__TASK_STATE__TASK_UNREACHABLE:
    case MESOS__V1__TASK_STATE__TASK_UNKNOWN:
        return -1; /* says where the agent is, not how the task is */
    default:
        return 4;
    }
}

static void *new (struct world *w)
{
    struct books *b = xcalloc(1, sizeof(*b));
    b->world = w;
    map_init(&b->tasks);
    return b;
}

static void free_state(void *state)
{
    struct books *b = state;
    for (struct map_entry *e = map_first(&b->tasks); e != NULL; e = map_next(e))
        free(map_value(e));
    map_deinit(&b->tasks);
    free(b);
}

static struct known *find(struct books *b, const char *framework_id, const char *task_id)
{
    char key[512];
    snprintf(key, sizeof(key), "%s/%s", framework_id, task_id);
    struct known *k = map_get(&b->tasks, key);
    if (k == NULL) {
        k = xcalloc(1, sizeof(*k));
        k->rank = k->terminal = -1;
        (void)map_put(&b->tasks, key, k); /* new */
    }
    return k;
}

static const char *name(int state)
{
    return wire_enum_name(&mesos__v1__task_state__descriptor, state);
}

static void on_update(struct books *b, const struct sim_seen *s)
{
    struct known *k = find(b, s->framework_id, s->task_id);
    int state = (int)s->status->state, rank = rank_of(s->status->state);
    /* "Not there" by the master is no news of a task that has ended: a call on its way may still have asked for it. */
    if (k->terminal >= 0 && (rank == 4 || rank < 0) && !s->status->has_uuid)
        return;
    /* LOST is what a master says when it takes an agent for removed. The agent may not have heard of it, and come back
     * (facts: mesos 1.11): then all begins anew. */
    if (k->terminal == (int)MESOS__V1__TASK_STATE__TASK_LOST && state != k->terminal)
        k->terminal = k->rank = -1;
    if (k->terminal >= 0 && state != k->terminal)
        world_violate(b->world, "3", "task %s was %s and is %s now", s->task_id, name(k->terminal), name(state));
    else if (rank >= 0 && rank < k->rank)
        world_violate(b->world, "3", "task %s: %s comes after a later state", s->task_id, name(state));
    if (rank > k->rank)
        k->rank = rank;
    k->is_lost = k->is_lost || rank < 0; /* a framework may have given it up since, and ask no more */
    if (sim_state_is_terminal(s->status->state))
        k->terminal = state;
}

static void seen(void *state, const struct sim_seen *s)
{
    struct books *b = state;
    switch (s->type) {
    case SIM_SEEN_FRAMEWORK_UPDATE:
        on_update(b, s);
        break;
    case SIM_SEEN_CONTAINER_STARTED:
        if (find(b, s->framework_id, s->task_id)->containers_started++ > 0)
            world_violate(b->world, "4", "a second container for task %s", s->task_id);
        break;
    case SIM_SEEN_CONTAINER_ENDED:
        find(b, s->framework_id, s->task_id)->containers_ended++;
        break;
    default:
        break;
    }
}

static void settled(void *state)
{
    struct books *b = state;
    for (struct map_entry *e = map_first(&b->tasks); e != NULL; e = map_next(e)) {
        const struct known *k = map_value(e);
        bool runs = k->containers_started > k->containers_ended;
        if (k->containers_ended > 0 && k->terminal < 0 && !k->is_lost)
            world_violate(b->world, "3", "the container of %s ended, its framework was never told", map_key(e));
        if (runs && k->terminal >= 0)
            world_violate(b->world, "6", "%s runs, but its framework saw %s", map_key(e), name(k->terminal));
    }
}

const struct sim_check check_updates = {
    .name = "updates", .new = new, .free = free_state, .seen = seen, .settled = settled};
