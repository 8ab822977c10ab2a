/* SPDX-License-Identifier: Apache-2.0
 * plan.c - the ordered steps from one set of definitions to the next (facts: marathon 2.4, 4.1). Pure. */
#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"
#include "frameworks/marathon/core.h"

const char *marathon_action_name(enum action action)
{
    static const char *const names[] = {"StartApplication", "StopApplication", "ScaleApplication", "RestartApplication"};
    return names[action];
}

static struct plan_step *add_step(struct plan *plan)
{
    plan->steps = xrealloc(plan->steps, (plan->step_count + 1) * sizeof(plan->steps[0]));
    struct plan_step *step = &plan->steps[plan->step_count++];
    *step = (struct plan_step){0};
    return step;
}

static void add_action(struct plan_step *step, enum action action, const char *app_id)
{
    step->actions = xrealloc(step->actions, (step->count + 1) * sizeof(step->actions[0]));
    step->actions[step->count++] = (struct plan_action){.action = action, .app_id = xstrdup(app_id)};
}

/* What the layer's step does about a changed app. false: nothing. */
static bool main_action(const struct plan_change *c, enum action *action)
{
    if (c->target == NULL)
        return false;
    *action = ACTION_SCALE;
    if (c->original == NULL || c->kill_count > 0)
        return true;
    bool is_restart = c->is_restart || app_needs_restart(c->original, c->target);
    if (is_restart && c->target->instances > 0)
        *action = ACTION_RESTART;
    return is_restart || c->original->instances != c->target->instances;
}

static void build_first_steps(struct plan *plan)
{
    struct plan_step *stop = NULL, *start = NULL;
    for (size_t i = 0; i < plan->change_count; i++) {
        const struct plan_change *c = &plan->changes[i];
        if (c->target == NULL && c->original != NULL) {
            stop = stop ? stop : add_step(plan);
            add_action(stop, ACTION_STOP, c->app_id);
        }
    }
    for (size_t i = 0; i < plan->change_count; i++) {
        const struct plan_change *c = &plan->changes[i];
        if (c->target != NULL && c->original == NULL) {
            start = start ? start : add_step(plan);
            add_action(start, ACTION_START, c->app_id);
        }
    }
}

void marathon_plan_build(struct plan *plan, plan_layer_fn layer, void *ctx)
{
    build_first_steps(plan);
    size_t *layers = xcalloc(plan->change_count + 1, sizeof(layers[0]));
    size_t highest = 0;
    enum action action;
    for (size_t i = 0; i < plan->change_count; i++) {
        if (!main_action(&plan->changes[i], &action))
            continue;
        layers[i] = layer(ctx, plan->changes[i].app_id);
        highest = layers[i] > highest ? layers[i] : highest;
    }
    for (size_t l = 1; l <= highest; l++) {
        struct plan_step *step = NULL;
        for (size_t i = 0; i < plan->change_count; i++) {
            if (layers[i] != l || !main_action(&plan->changes[i], &action))
                continue;
            step = step ? step : add_step(plan);
            add_action(step, action, plan->changes[i].app_id);
        }
    }
    free(layers);
}

void marathon_changes_free(struct plan_change *changes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        (void)app_unref(changes[i].original);
        (void)app_unref(changes[i].target);
        for (size_t k = 0; k < changes[i].kill_count; k++)
            free((char *)changes[i].kill[k]);
        free(changes[i].kill);
        free(changes[i].app_id);
    }
    free(changes);
}

void marathon_plan_deinit(struct plan *plan)
{
    marathon_changes_free(plan->changes, plan->change_count);
    for (size_t i = 0; i < plan->step_count; i++) {
        for (size_t k = 0; k < plan->steps[i].count; k++)
            free(plan->steps[i].actions[k].app_id);
        free(plan->steps[i].actions);
    }
    free(plan->steps);
    *plan = (struct plan){0};
}
