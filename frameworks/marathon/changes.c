/* SPDX-License-Identifier: Apache-2.0
 * changes.c - changing the root: checks over all apps together, versions and ports, the plan, its lock, and the commit
 * (facts: marathon 4.1, 4.2, 5). */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"
#include "frameworks/marathon/core.h"

/* -- the root as it will be ----------------------------------------------------------------------------------- */

struct future { /* the present root with the changes laid over it */
    struct marathon *m;
    struct map targets; /* id -> struct plan_change */
    struct map layers;  /* id -> layer + 1 as a number; 1 while being visited */
    bool has_cycle;
    int depth;
};

static const struct app *future_app(const struct future *f, const char *id)
{
    const struct plan_change *c = map_get(&f->targets, id);
    if (c)
        return c->target;
    const struct service *s = marathon_service_find(f->m, id);
    return s ? s->app : NULL;
}

#define DEPENDENCY_DEPTH_MAX 256
#define VISITING 1u

static size_t layer_of(struct future *f, const char *id);

/* The longest chain below one dependency, which may be an app or a group of them. */
static size_t layer_of_target(struct future *f, const char *id)
{
    if (future_app(f, id))
        return layer_of(f, id);
    size_t most = 0;
    for (struct map_entry *e = map_first(&f->m->services); e; e = map_next(e)) {
        if (app_id_is_below(map_key(e), id) && future_app(f, map_key(e))) {
            size_t one = layer_of(f, map_key(e));
            most = one > most ? one : most;
        }
    }
    for (struct map_entry *e = map_first(&f->targets); e; e = map_next(e)) {
        if (app_id_is_below(map_key(e), id) && future_app(f, map_key(e))) {
            size_t one = layer_of(f, map_key(e));
            most = one > most ? one : most;
        }
    }
    return most;
}

static size_t layer_of(struct future *f, const char *id)
{
    const struct app *app = future_app(f, id);
    if (app == NULL || app->dependency_count == 0)
        return 1;
    uintptr_t known = (uintptr_t)map_get(&f->layers, id);
    if (known == VISITING || f->depth >= DEPENDENCY_DEPTH_MAX) {
        f->has_cycle = true;
        return 1;
    }
    if (known != 0)
        return known - 1;
    (void)map_put(&f->layers, id, (void *)(uintptr_t)VISITING); /* was not there */
    f->depth++;
    size_t most = 0;
    for (size_t k = 0; k < app->dependency_count; k++) {
        size_t one = layer_of_target(f, app->dependencies[k]);
        most = one > most ? one : most;
    }
    f->depth--;
    (void)map_put(&f->layers, id, (void *)(uintptr_t)(most + 2)); /* replaces the mark */
    return most + 1;
}

static size_t plan_layer(void *ctx, const char *app_id)
{
    return layer_of(ctx, app_id);
}

static void future_init(struct future *f, struct marathon *m, struct plan_change *changes, size_t count)
{
    *f = (struct future){.m = m};
    map_init(&f->targets);
    map_init(&f->layers);
    for (size_t k = 0; k < count; k++)
        (void)map_put(&f->targets, changes[k].app_id, &changes[k]); /* ids of one plan are distinct */
}

static void future_deinit(struct future *f)
{
    map_deinit(&f->targets);
    map_deinit(&f->layers);
}

/* -- refusals ---------------------------------------------------------------------------------------------------- */

static void refuse(struct outcome *out, int status, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static void refuse(struct outcome *out, int status, const char *fmt, ...)
{
    char text[512];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap); /* cut when long */
    va_end(ap);
    struct json_writer w;
    json_writer_init(&w, &out->error);
    json_begin_object(&w);
    json_kv_string(&w, "message", text);
    json_end_object(&w);
    out->status = status;
}

static void refuse_invalid(struct outcome *out, const char *path, const char *text)
{
    struct problems p;
    problems_init(&p);
    problems_add(&p, path, "%s", text);
    struct json_writer w;
    json_writer_init(&w, &out->error);
    problems_write(&p, &w);
    problems_deinit(&p);
    out->status = 422;
}

/* An app must not have the id of a group, and no app above it. */
static bool clashes(struct marathon *m, const struct plan_change *c)
{
    if (c->target == NULL || c->original != NULL)
        return false;
    if (marathon_group_exists(m, c->app_id))
        return true;
    char above[APP_ID_SIZE];
    strcpy(above, c->app_id);
    for (char *slash = strrchr(above, '/'); slash && slash != above; slash = strrchr(above, '/')) {
        *slash = '\0';
        if (marathon_service_find(m, above))
            return true;
    }
    return false;
}

static bool clashes_among(const struct future *f, const struct plan_change *c)
{
    char above[APP_ID_SIZE];
    strcpy(above, c->app_id);
    for (char *slash = strrchr(above, '/'); c->target && slash && slash != above; slash = strrchr(above, '/')) {
        *slash = '\0';
        const struct plan_change *other = map_get(&f->targets, above);
        if (other && other->target)
            return true;
    }
    return false;
}

static bool check_tree(struct future *f, struct plan_change *changes, size_t count, struct outcome *out)
{
    for (size_t k = 0; k < count; k++) {
        if (clashes(f->m, &changes[k]) || clashes_among(f, &changes[k])) {
            refuse_invalid(out, "/", "Groups and Applications may not have the same identifier.");
            return false;
        }
        if (changes[k].target)
            (void)layer_of(f, changes[k].app_id); /* for has_cycle */
    }
    if (f->has_cycle)
        refuse_invalid(out, "/dependencies", "Dependency graph has cyclic dependencies.");
    return !f->has_cycle;
}

/* -- versions and ports ----------------------------------------------------------------------------------------------- */

struct port_view {
    const struct marathon *m;
    uint8_t taken[65536 / 8]; /* by targets of this plan */
};

static bool is_port_used(void *ctx, int port)
{
    const struct port_view *v = ctx;
    return v->m->port_uses[port] > 0 || (v->taken[port / 8] >> (port % 8) & 1);
}

static bool assign_ports(struct marathon *m, struct plan_change *changes, size_t count, struct outcome *out)
{
    struct port_view *v = xcalloc(1, sizeof(*v));
    v->m = m;
    bool ok = true;
    for (size_t k = 0; ok && k < count; k++) {
        struct app *target = changes[k].target;
        if (target == NULL)
            continue;
        ok = app_assign_ports(target, changes[k].original, m->config.local_port_min, m->config.local_port_max, is_port_used,
                              v);
        for (size_t n = 0; n < target->port_count; n++)
            v->taken[target->ports[n].number / 8] |= (uint8_t)(1u << (target->ports[n].number % 8));
    }
    free(v);
    if (!ok)
        refuse(out, 422, "No service port is free in the range %d to %d.", m->config.local_port_min,
               m->config.local_port_max);
    return ok;
}

/* Facts 2.14. Needs the ports: those that were just assigned are no change. */
static void set_versions(struct plan_change *c, int64_t version_ms)
{
    struct app *t = c->target;
    const struct app *o = c->original;
    if (t == NULL)
        return;
    bool is_config = o == NULL || app_needs_restart(o, t);
    bool is_scaling = o == NULL || o->instances != t->instances;
    if (o && !is_config && !is_scaling && !c->is_restart) {
        t->version_ms = o->version_ms;
        t->last_scaling_ms = o->last_scaling_ms;
        t->last_config_change_ms = o->last_config_change_ms;
        return;
    }
    t->version_ms = version_ms;
    t->last_scaling_ms = is_config || is_scaling ? version_ms : o->last_scaling_ms;
    t->last_config_change_ms = is_config || c->is_restart ? version_ms : o->last_config_change_ms;
}

/* -- locks ------------------------------------------------------------------------------------------------------------- */

static size_t find_blockers(struct marathon *m, const struct plan_change *changes, size_t count,
                            struct deployment **blockers)
{
    size_t found = 0;
    for (size_t k = 0; k < count; k++) {
        struct service *s = marathon_service_get(m, changes[k].app_id);
        struct deployment *d = s ? s->deployment : NULL;
        bool is_known = d == NULL;
        for (size_t n = 0; n < found && !is_known; n++)
            is_known = blockers[n] == d;
        if (!is_known)
            blockers[found++] = d;
    }
    return found;
}

static void refuse_locked(struct deployment *const *blockers, size_t count, struct outcome *out)
{
    struct json_writer w;
    json_writer_init(&w, &out->error);
    json_begin_object(&w);
    json_kv_string(&w, "message",
                   "App is locked by one or more deployments. Override with the option '?force=true'. View details at "
                   "'/v2/deployments/<DEPLOYMENT_ID>'.");
    json_put_key(&w, "deployments");
    json_begin_array(&w);
    for (size_t k = 0; k < count; k++) {
        json_begin_object(&w);
        json_kv_string(&w, "id", blockers[k]->id);
        json_end_object(&w);
    }
    json_end_array(&w);
    json_end_object(&w);
    out->status = 409;
}

#define PLAN_TEXT_BYTES_MAX (6u << 20) /* it becomes one stored value */

static bool fits_store(const struct plan_change *changes, size_t count, struct outcome *out)
{
    size_t bytes = 0;
    if (count <= PLAN_TEXT_BYTES_MAX / (2 * APP_TEXT_BYTES_MAX)) /* cannot be too much */
        return true;
    for (size_t k = 0; k < count && bytes <= PLAN_TEXT_BYTES_MAX; k++) {
        bytes += changes[k].original ? app_text_bytes(changes[k].original) : 0;
        bytes += changes[k].target ? app_text_bytes(changes[k].target) : 0;
    }
    if (bytes > PLAN_TEXT_BYTES_MAX)
        refuse(out, 422, "Too much changes at once: the definitions are larger than %u bytes together.",
               PLAN_TEXT_BYTES_MAX);
    return out->status == 0;
}

#define INSTANCES_WANTED_MAX 1000000 /* each costs memory from the moment it is wanted */

static bool fits_memory(const struct marathon *m, const struct plan_change *changes, size_t count, struct outcome *out)
{
    int64_t wanted = m->instances_wanted;
    for (size_t k = 0; k < count; k++) {
        wanted -= changes[k].original ? changes[k].original->instances : 0;
        wanted += changes[k].target ? changes[k].target->instances : 0;
    }
    if (wanted > INSTANCES_WANTED_MAX && wanted > m->instances_wanted)
        refuse(out, 422, "All apps together must not have more than %d instances.", INSTANCES_WANTED_MAX);
    return out->status == 0;
}

/* true: nothing stands in the way any more. */
static bool clear_way(struct marathon *m, const struct plan *plan, bool force, struct outcome *out)
{
    if (plan->step_count == 0)
        return true; /* an empty plan conflicts with nothing */
    struct deployment **blockers = xcalloc(plan->change_count + 1, sizeof(blockers[0]));
    size_t count = find_blockers(m, plan->changes, plan->change_count, blockers);
    if (count > 0 && !force)
        refuse_locked(blockers, count, out);
    for (size_t k = 0; force && k < count; k++)
        marathon_deployment_cancel(m, blockers[k]);
    free(blockers);
    return out->status == 0;
}

/* -- commit --------------------------------------------------------------------------------------------------------------
 */

static void commit_change(struct marathon *m, const struct plan_change *c)
{
    struct service *s = marathon_service_get(m, c->app_id);
    if (c->target == NULL) {
        if (s && !s->is_deleted) {
            marathon_forget_app(m, s);
            if (s->app->health_check_count > 0)
                marathon_publish_app_event(m, "remove_health_check_event", s->id);
            marathon_service_set_app(m, s, NULL);
        }
        return;
    }
    if (c->original && c->original->version_ms == c->target->version_ms)
        return; /* unchanged */
    s = s ? s : marathon_service_new(m, c->app_id);
    marathon_publish_checks(m, c->original, c->target);
    marathon_service_set_app(m, s, app_ref(c->target));
    marathon_service_add_version(m, s, c->target);
    marathon_store_app(m, s);
}

static void commit(struct marathon *m, struct plan *plan, int64_t version_ms, struct outcome *out)
{
    struct deployment *d = xcalloc(1, sizeof(*d));
    list_init(&d->touched_link);
    rng_uuid(&m->rng, NULL, d->id);
    d->version_ms = version_ms;
    d->plan = *plan;
    *plan = (struct plan){0};
    if (m->posting) /* the first that a reader of the event stream hears of it (facts 4.15) */
        marathon_publish_post(m, m->posting, d->plan.changes[0].target);
    for (size_t k = 0; k < d->plan.change_count; k++)
        commit_change(m, &d->plan.changes[k]);
    strcpy(out->deployment_id, d->id);
    out->version_ms = version_ms;
    marathon_publish_group_change(m, version_ms);
    if (d->plan.step_count > 0)
        marathon_store_deployment(m, d);
    marathon_deployment_start(m, d);
}

void marathon_change_root(struct marathon *m, struct plan_change *changes, size_t count, bool force, struct outcome *out)
{
    *out = (struct outcome){0};
    buf_init(&out->error, 0);
    struct plan plan = {.changes = changes, .change_count = count};
    struct future f;
    future_init(&f, m, changes, count);
    int64_t max = m->config.running_deployments_max;
    if ((int64_t)map_count(&m->deployments) >= max) {
        refuse(
            out, 403,
            "Max number (%lld) of running deployments is achieved. Wait for existing deployments to complete or cancel one "
            "using force=true parameter. You can increase max deployment number by using --max_running_deployments "
            "parameter but be advised that this can have negative effects on the performance.",
            (long long)max);
    } else if (fits_memory(m, changes, count, out) && fits_store(changes, count, out) &&
               assign_ports(m, changes, count, out)) {
        int64_t version_ms = marathon_next_version(m);
        for (size_t k = 0; k < count; k++)
            set_versions(&changes[k], version_ms);
        if (check_tree(&f, changes, count, out)) {
            marathon_plan_build(&plan, plan_layer, &f);
            if (clear_way(m, &plan, force, out))
                commit(m, &plan, version_ms, out);
        }
    }
    marathon_plan_deinit(&plan);
    future_deinit(&f);
}
