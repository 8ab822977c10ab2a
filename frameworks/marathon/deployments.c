/* SPDX-License-Identifier: Apache-2.0
 * deployments.c - carrying out plans. Each time something about their apps has changed, the present step is looked at anew:
 * what is still to be done is done, and when nothing is, the next step begins (facts: marathon 4.1 to 4.4). */
#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"
#include "frameworks/marathon/core.h"

void marathon_deployment_touch(struct marathon *m, struct deployment *d)
{
    if (d->is_touched)
        return;
    d->is_touched = true;
    list_push_back(&m->touched_deployments, &d->touched_link);
}

void marathon_deployment_free(struct deployment *d)
{
    list_remove(&d->touched_link);
    marathon_plan_deinit(&d->plan);
    free(d);
}

static const struct plan_change *change_of(const struct deployment *d, const char *app_id)
{
    for (size_t k = 0; k < d->plan.change_count; k++) {
        if (strcmp(d->plan.changes[k].app_id, app_id) == 0)
            return &d->plan.changes[k];
    }
    return NULL;
}

/* Lets go of the apps and of the deployment itself. */
static void finish(struct marathon *m, struct deployment *d)
{
    for (size_t k = 0; k < d->plan.change_count; k++) {
        struct service *s = marathon_service_get(m, d->plan.changes[k].app_id);
        if (s == NULL || s->deployment != d)
            continue;
        s->deployment = NULL;
        list_for_each(node, &s->instances)
        {
            struct instance *i = container_of(node, struct instance, link);
            if (i->is_awaited) {
                i->is_awaited = false;
                marathon_instance_changed(m, i, true);
            }
        }
        marathon_service_touch(m, s);
    }
    if (d->plan.step_count > 0)
        marathon_forget_deployment(m, d);
    (void)map_remove(&m->deployments, d->id); /* empty plans were never in it */
    marathon_deployment_free(d);
}

void marathon_deployment_cancel(struct marathon *m, struct deployment *d)
{
    marathon_publish_deployment(m, "deployment_failed", d, "The upgrade has been cancelled");
    finish(m, d);
}

void marathon_deployment_start(struct marathon *m, struct deployment *d)
{
    if (d->plan.step_count > 0)
        CHECK(map_put(&m->deployments, d->id, d) == NULL);
    for (size_t k = 0; d->plan.step_count > 0 && k < d->plan.change_count; k++) {
        struct service *s = marathon_service_get(m, d->plan.changes[k].app_id);
        if (s)
            s->deployment = d;
    }
    marathon_deployment_touch(m, d);
}

/* -- actions: true when there is nothing left to do ----------------------------------------------------------- */

static bool do_stop(struct marathon *m, const struct plan_action *a)
{
    struct service *s = marathon_service_get(m, a->app_id);
    if (s == NULL)
        return true;
    marathon_kill_victims(m, s, VICTIMS_ALL, INT64_MAX, NULL, 0);
    return list_is_empty(&s->instances);
}

static bool do_scale(struct marathon *m, struct deployment *d, struct service *s)
{
    int64_t missing = s->app->instances - s->tally[TALLY_ACTIVE];
    if (missing > 0) {
        marathon_service_schedule(m, s, missing, true);
    } else if (missing < 0) {
        const struct plan_change *c = change_of(d, s->id);
        CHECK(c != NULL);
        marathon_kill_victims(m, s, VICTIMS_ACTIVE, -missing, c->kill, c->kill_count);
    }
    return s->tally[TALLY_ACTIVE] == s->app->instances && s->tally[TALLY_AWAITED] == 0 && s->tally[TALLY_DYING] == 0;
}

static void begin_restart(struct marathon *m, struct plan_action *a, struct service *s)
{
    const struct app *app = s->app;
    int64_t healthy = s->tally[TALLY_OLD_HEALTHY] + s->tally[TALLY_FRESH_READY];
    a->limits = rolling_limits(app->instances, app->minimum_health, app->maximum_over, healthy);
    a->has_limits = true;
    launch_backoff_reset(&s->backoff);
    marathon_service_queue(m, s);
}

static bool do_restart(struct marathon *m, struct plan_action *a, struct service *s)
{
    if (!a->has_limits)
        begin_restart(m, a, s);
    rolling_note_healthy(&a->limits, s->tally[TALLY_OLD_HEALTHY] + s->tally[TALLY_FRESH_READY]);
    struct rolling_state state = {.instances = s->app->instances,
                                  .old_healthy = s->tally[TALLY_OLD_HEALTHY],
                                  .old_unhealthy = s->tally[TALLY_OLD_UNHEALTHY],
                                  .old_stuck = s->tally[TALLY_OLD_STUCK],
                                  .dying = s->tally[TALLY_DYING],
                                  .fresh = s->tally[TALLY_FRESH],
                                  .fresh_healthy = s->tally[TALLY_FRESH_READY]};
    struct rolling_decision decision = rolling_decide(&a->limits, &state);
    if (decision.is_done)
        return true;
    marathon_kill_victims(m, s, VICTIMS_OLD, decision.kill_old, NULL, 0);
    marathon_kill_victims(m, s, VICTIMS_FRESH, decision.kill_fresh, NULL, 0);
    marathon_service_schedule(m, s, decision.launch, true);
    return false;
}

static bool do_action(struct marathon *m, struct deployment *d, struct plan_action *a)
{
    if (a->action == ACTION_START)
        return true;
    if (a->action == ACTION_STOP)
        return do_stop(m, a);
    struct service *s = marathon_service_find(m, a->app_id);
    if (s == NULL)
        return true;
    return a->action == ACTION_SCALE ? do_scale(m, d, s) : do_restart(m, a, s);
}

static bool do_step(struct marathon *m, struct deployment *d)
{
    bool is_done = true;
    for (size_t k = 0; k < d->plan.steps[d->step].count; k++)
        is_done = do_action(m, d, &d->plan.steps[d->step].actions[k]) && is_done;
    return is_done;
}

void marathon_deployment_advance(struct marathon *m, struct deployment *d)
{
    while (d->step < d->plan.step_count) {
        if (!d->is_started) {
            d->is_started = true;
            marathon_publish_deployment(m, "deployment_info", d, NULL);
        }
        if (!do_step(m, d))
            return;
        marathon_publish_deployment(m, "deployment_step_success", d, NULL);
        d->step++;
        d->is_started = false;
    }
    marathon_publish_deployment(m, "deployment_success", d, NULL);
    finish(m, d);
}

/* -- undo ------------------------------------------------------------------------------------------------------------ */

struct plan_change *marathon_deployment_undo(struct marathon *m, const struct deployment *d, size_t *count)
{
    struct plan_change *undo = xcalloc(d->plan.change_count + 1, sizeof(undo[0]));
    *count = 0;
    for (size_t k = 0; k < d->plan.change_count; k++) {
        const struct plan_change *c = &d->plan.changes[k];
        struct service *s = marathon_service_find(m, c->app_id);
        if (s == NULL && c->original == NULL)
            continue; /* gone by now */
        struct plan_change *u = &undo[(*count)++];
        u->app_id = xstrdup(c->app_id);
        u->original = s ? app_ref(s->app) : NULL;
        u->target = c->original ? app_copy(c->original, &m->context) : NULL;
    }
    return undo;
}
