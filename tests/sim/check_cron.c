/* SPDX-License-Identifier: Apache-2.0
 * check_cron.c - the jobs of the simulation are never restarted, so whatever fails and comes back in the meantime: the
 * command of no run, and of no index of an array run, starts a second time. Runs are told apart by the ids of their tasks,
 * "<job>_<run>[.<index>].<uuid>". */
#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"
#include "common/base/map.h"
#include "sim/check.h"
#include "sim/sim_cron.h"

struct books {
    struct world *world;
    struct map started; /* task id without its uuid -> the whole */
};

static void *new (struct world *w)
{
    struct books *b = xcalloc(1, sizeof(*b));
    b->world = w;
    map_init(&b->started);
    return b;
}

static void free_state(void *state)
{
    struct books *b = state;
    for (struct map_entry *e = map_first(&b->started); e != NULL; e = map_next(e))
        free(map_value(e));
    map_deinit(&b->started);
    free(b);
}

static void seen(void *state, const struct sim_seen *s)
{
    struct books *b = state;
    const char *dot = s->type == SIM_SEEN_PROCESS_STARTED ? strrchr(s->task_id, '.') : NULL;
    if (dot == NULL || !sim_cron_is_task_id(s->task_id))
        return;
    size_t n = (size_t)(dot - s->task_id);
    const char *before = map_get_n(&b->started, s->task_id, n);
    if (before != NULL)
        world_violate(b->world, "cron", "%s starts, and %s was started before", s->task_id, before);
    else
        (void)map_put_n(&b->started, s->task_id, n, xstrdup(s->task_id)); /* new */
}

const struct sim_check check_cron = {.name = "cron", .new = new, .free = free_state, .seen = seen};
