/* SPDX-License-Identifier: Apache-2.0
 * kills.c - ending tasks: who goes first (facts: marathon 4.3), and kills that are repeated until the task has ended (4.8).
 */
#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"
#include "frameworks/marathon/core.h"
#include "frameworks/sdk/calls.h"

#define KILLS_PER_STEP_MAX 500 /* the scheduler connection has a bound, and other calls want to go out as well */
#define KILLS_PAUSE_MS 100

void marathon_send_kill(struct marathon *m, struct instance *i)
{
    /* Without a connection the call would be lost; everything that is to be killed is told again once it is back. */
    bool can_send = m->is_connected && m->kills_in_step < KILLS_PER_STEP_MAX;
    if (can_send) {
        m->kills_in_step++;
        m->totals.kills_total++;
        outbox_call(m->outbox, sdk_call_kill(outbox_later_arena(m->outbox), i->task_id, i->agent_id, -1));
    }
    i->kill_next_ms = m->now_ms + (can_send || !m->is_connected ? m->config.kill_retry_timeout_ms : KILLS_PAUSE_MS);
    marathon_instance_set_timer(m, i);
}

void marathon_kill(struct marathon *m, struct instance *i, bool decommission)
{
    bool is_lost = i->condition == CONDITION_UNREACHABLE || i->condition == CONDITION_UNREACHABLE_INACTIVE;
    i->is_decommissioned = i->is_decommissioned || decommission || is_lost;
    if (i->condition == CONDITION_SCHEDULED || is_lost) {
        if (is_lost)
            marathon_instance_ended(m, i, CONDITION_KILLED, NULL);
        else if (i->is_decommissioned)
            marathon_instance_remove(m, i);
        return;
    }
    if (!i->is_killed) {
        i->is_killed = true;
        marathon_send_kill(m, i);
    }
    marathon_instance_changed(m, i, true);
}

void marathon_kills_resend(struct marathon *m)
{
    for (struct map_entry *e = map_first(&m->instances); e; e = map_next(e)) {
        struct instance *i = map_value(e);
        if (i->is_killed)
            marathon_send_kill(m, i);
    }
}

struct candidate {
    struct instance *instance;
    bool is_named;
    size_t crowd;
    int rank;
    bool oldest_first;
};

static int rank_of(const struct instance *i)
{
    switch (i->condition) {
    case CONDITION_SCHEDULED:
        return 0; /* costs nothing */
    case CONDITION_UNREACHABLE:
    case CONDITION_UNREACHABLE_INACTIVE:
        return 1;
    case CONDITION_PROVISIONED:
    case CONDITION_STAGING:
        return 2;
    case CONDITION_STARTING:
        return 3;
    default:
        return marathon_instance_is_ready(i) ? 5 : 4;
    }
}

static int compare(const void *left, const void *right)
{
    const struct candidate *a = left, *b = right;
    if (a->is_named != b->is_named)
        return a->is_named ? -1 : 1;
    if (a->crowd != b->crowd)
        return a->crowd > b->crowd ? -1 : 1;
    if (a->rank != b->rank)
        return a->rank - b->rank;
    int64_t start_a = a->instance->started_ms ? a->instance->started_ms : a->instance->staged_ms;
    int64_t start_b = b->instance->started_ms ? b->instance->started_ms : b->instance->staged_ms;
    if (start_a != start_b)
        return (start_a < start_b) == a->oldest_first ? -1 : 1;
    return strcmp(a->instance->id, b->instance->id); /* the same choice in every run */
}

static bool is_wanted(const struct instance *i, enum victims which)
{
    if (i->is_decommissioned)
        return false;
    if (which == VICTIMS_ALL)
        return true;
    if (i->condition == CONDITION_UNREACHABLE_INACTIVE)
        return false;
    if (which == VICTIMS_ACTIVE)
        return true;
    return marathon_instance_is_fresh(i) == (which == VICTIMS_FRESH);
}

static void set_named(struct marathon *m, const char *const *named, size_t count, bool on)
{
    for (size_t k = 0; k < count; k++) {
        struct instance *i = map_get(&m->instances, named[k]);
        if (i)
            i->is_named = on;
    }
}

static bool has_group_by(const struct app *app)
{
    for (size_t k = 0; k < app->constraint_count; k++) {
        if (app->constraints[k].op == APP_GROUP_BY)
            return true;
    }
    return false;
}

static bool has_comparable_values(const struct service *s, const struct instance *i)
{
    return i->values && marathon_instance_is_fresh(i) && i->spec->constraint_count == s->app->constraint_count;
}

/* Takes the members of the largest groups first: the order of ends that keeps the rest balanced. */
static void kill_balanced(struct marathon *m, struct service *s, struct candidate *list, size_t count, size_t kills)
{
    struct spread *spread = spread_new(s->app);
    for (size_t k = 0; k < count; k++) {
        if (has_comparable_values(s, list[k].instance))
            spread_add(spread, (const char *const *)list[k].instance->values);
    }
    for (size_t done = 0; done < kills; done++) {
        size_t best = done;
        for (size_t k = done; k < count; k++) {
            const struct instance *i = list[k].instance;
            bool counts = has_comparable_values(s, i);
            list[k].crowd = counts ? spread_crowd(spread, (const char *const *)i->values) : 0;
            if (compare(&list[k], &list[best]) < 0)
                best = k;
        }
        struct candidate victim = list[best];
        list[best] = list[done];
        list[done] = victim;
        if (has_comparable_values(s, victim.instance))
            spread_remove(spread, (const char *const *)victim.instance->values);
    }
    (void)spread_free(spread);
    for (size_t k = 0; k < kills; k++)
        marathon_kill(m, list[k].instance, true);
}

#define SELECT_MAX 16

/* The first `kills` of the list in order of preference; a rolling update mostly wants one out of many. */
static void bring_to_front(struct candidate *list, size_t count, size_t kills)
{
    if (kills > SELECT_MAX) {
        qsort(list, count, sizeof(list[0]), compare);
        return;
    }
    for (size_t done = 0; done < kills; done++) {
        size_t best = done;
        for (size_t k = done + 1; k < count; k++)
            best = compare(&list[k], &list[best]) < 0 ? k : best;
        struct candidate chosen = list[best];
        list[best] = list[done];
        list[done] = chosen;
    }
}

void marathon_kill_victims(struct marathon *m, struct service *s, enum victims which, int64_t count,
                           const char *const *named, size_t named_count)
{
    size_t found = 0;
    if (count <= 0)
        return;
    set_named(m, named, named_count, true);
    struct candidate *list = xcalloc((size_t)s->tally[TALLY_ALL] + 1, sizeof(list[0]));
    list_for_each(node, &s->instances)
    {
        struct instance *i = container_of(node, struct instance, link);
        if (!is_wanted(i, which))
            continue;
        CHECK(found < (size_t)s->tally[TALLY_ALL]);
        list[found++] = (struct candidate){
            .instance = i, .is_named = i->is_named, .rank = rank_of(i), .oldest_first = s->app->kill_oldest_first};
    }
    set_named(m, named, named_count, false);
    size_t kills = (uint64_t)count < found ? (size_t)count : found;
    if (has_group_by(s->app) && kills < found) {
        kill_balanced(m, s, list, found, kills);
    } else {
        bring_to_front(list, found, kills);
        for (size_t k = 0; k < kills; k++)
            marathon_kill(m, list[k].instance, true);
    }
    free(list);
}
