/* SPDX-License-Identifier: Apache-2.0
 * entries.c - jobs and what is known of them: put, replaced, removed; who is whose child. */
#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"
#include "frameworks/cron/core.h"

struct entry *cron_entry_get(const struct cron *c, const char *id)
{
    return map_get(&c->entries, id);
}

struct entry *cron_entry_find(const struct cron *c, const char *id)
{
    struct entry *e = map_get(&c->entries, id);
    return e && !e->is_deleted ? e : NULL;
}

int64_t cron_next_version(struct cron *c)
{
    c->last_version_ms = c->wall_ms > c->last_version_ms ? c->wall_ms : c->last_version_ms + 1;
    return c->last_version_ms;
}

void cron_entry_changed(struct cron *c, struct entry *e)
{
    if (e->is_dirty)
        return;
    e->is_dirty = true;
    list_push_back(&c->dirty_entries, &e->dirty_link);
}

/* -- children ------------------------------------------------------------------------------------------------------ */

static void add_child(struct entry *parent, struct entry *child)
{
    if (parent->child_count == parent->child_capacity) {
        parent->child_capacity = parent->child_capacity ? 2 * parent->child_capacity : 4;
        parent->children = xrealloc(parent->children, parent->child_capacity * sizeof(parent->children[0]));
    }
    parent->children[parent->child_count++] = child;
}

static void remove_child(struct entry *parent, const struct entry *child)
{
    for (size_t i = 0; i < parent->child_count; i++) {
        if (parent->children[i] == child) {
            memmove(&parent->children[i], &parent->children[i + 1],
                    (--parent->child_count - i) * sizeof(parent->children[0]));
            return;
        }
    }
}

static void link_parents(struct cron *c, struct entry *e)
{
    for (size_t i = 0; i < e->job->parent_count; i++) {
        struct entry *parent = cron_entry_get(c, e->job->parents[i]);
        if (parent)
            add_child(parent, e);
    }
}

static void unlink_parents(struct cron *c, struct entry *e)
{
    for (size_t i = 0; i < e->job->parent_count; i++) {
        struct entry *parent = cron_entry_get(c, e->job->parents[i]);
        if (parent)
            remove_child(parent, e);
    }
}

/* Each ancestor is looked at once: `seen` is also the list of those to come. */
static bool has_ancestor(const struct cron *c, const struct job *job, const char *wanted, struct map *seen)
{
    for (size_t i = 0; i < job->parent_count; i++)
        (void)map_put(seen, job->parents[i], seen); /* again does no harm */
    for (struct map_entry *m = map_first(seen); m; m = map_next(m)) {
        if (strcmp(map_key(m), wanted) == 0)
            return true;
        const struct entry *e = cron_entry_find(c, map_key(m));
        for (size_t i = 0; e && i < e->job->parent_count; i++) {
            if (map_get(seen, e->job->parents[i]) == NULL)
                (void)map_put(seen, e->job->parents[i], seen); /* was not there; comes at the end */
        }
    }
    return false;
}

bool cron_entry_has_ancestor(const struct cron *c, const struct job *job, const char *wanted)
{
    if (job->parent_count == 0)
        return false;
    struct map seen;
    map_init(&seen);
    bool found = has_ancestor(c, job, wanted, &seen);
    map_deinit(&seen);
    return found;
}

int cron_entry_check_parents(const struct cron *c, const struct job *job, const char **unknown)
{
    for (size_t i = 0; i < job->parent_count; i++) {
        if (strcmp(job->parents[i], job->id) == 0)
            return PARENTS_E_CYCLE;
        if (cron_entry_find(c, job->parents[i]) == NULL) {
            *unknown = job->parents[i];
            return PARENTS_E_UNKNOWN;
        }
    }
    return cron_entry_has_ancestor(c, job, job->id) ? PARENTS_E_CYCLE : PARENTS_OK;
}

/* -- definitions --------------------------------------------------------------------------------------------------- */

static struct entry *entry_new(struct cron *c, struct job *job)
{
    struct entry *e = xcalloc(1, sizeof(*e));
    list_init(&e->dirty_link);
    list_init(&e->runs);
    list_init(&e->old_specs);
    map_init(&e->consumed);
    e->due.kind = TIMER_DUE;
    e->job = job;
    e->next_ordinal = 1;
    e->remaining = -1;
    CHECK(map_put(&c->entries, job->id, e) == NULL);
    return e;
}

struct entry *cron_entry_restore(struct cron *c, struct job *job)
{
    struct entry *e = entry_new(c, job);
    if (job->version_ms > c->last_version_ms)
        c->last_version_ms = job->version_ms;
    return e;
}

void cron_entry_link(struct cron *c, struct entry *e)
{
    link_parents(c, e);
    c->scheduled_count += e->job->schedule != NULL;
}

/* Runs that go on keep the definition they were made from: it is stored under its version from now on. */
static void keep_old_spec(struct cron *c, struct entry *e, struct job *old)
{
    size_t runs = 0;
    list_for_each(node, &e->runs)
    {
        runs += container_of(node, struct run, link)->spec == old;
    }
    if (runs == 0)
        return;
    struct spec_version *v = xcalloc(1, sizeof(*v));
    v->job = job_ref(old);
    v->runs = runs;
    list_push_back(&e->old_specs, &v->link);
    cron_store_old_spec(c, old);
}

void cron_entry_release_spec(struct cron *c, struct entry *e, const struct job *spec)
{
    list_for_each(node, &e->old_specs)
    {
        struct spec_version *v = container_of(node, struct spec_version, link);
        if (v->job != spec || --v->runs > 0)
            continue;
        cron_forget_old_spec(c, v->job);
        list_remove(&v->link);
        (void)job_unref(v->job);
        free(v);
        return;
    }
}

static void start_schedule(struct cron *c, struct entry *e, const struct schedule *before)
{
    const struct schedule *s = e->job->schedule;
    if (s == NULL) {
        e->remaining = -1;
        e->last_due_ms = 0;
        return;
    }
    if (before && schedule_has_same_moments(before, s) && (before->is_enabled || !s->is_enabled))
        return;
    bool is_same = before && schedule_has_same_moments(before, s);
    if (s->kind == SCHEDULE_CRON || is_same) {
        e->decided_ms = c->wall_ms;
    } else {
        e->decided_ms = s->interval.start_ms - 1;
        e->remaining = s->interval.count == ISO8601_FOREVER ? -1 : s->interval.count;
    }
    if (s->kind == SCHEDULE_CRON)
        e->remaining = -1;
    if (!is_same)
        e->last_due_ms = 0;
}

struct entry *cron_entry_put(struct cron *c, struct job *job)
{
    struct entry *e = cron_entry_get(c, job->id);
    job->version_ms = cron_next_version(c);
    const struct job *old = e && !e->is_deleted ? e->job : NULL;
    bool is_new = old == NULL;
    if (e == NULL) {
        e = entry_new(c, job);
        e->created = ++c->last_created;
    } else {
        struct job *before = e->job;
        if (!e->is_deleted) {
            unlink_parents(c, e);
            c->scheduled_count -= before->schedule != NULL;
        }
        if (!e->is_deleted) /* else that was done when it was removed */
            keep_old_spec(c, e, before);
        e->job = job;
        start_schedule(c, e, e->is_deleted ? NULL : before->schedule);
        e->is_deleted = false;
        (void)job_unref(before);
    }
    if (is_new)
        start_schedule(c, e, NULL);
    cron_entry_link(c, e);
    cron_store_job(c, e);
    cron_entry_changed(c, e);
    cron_entry_set_due(c, e);
    cron_publish_job(c, is_new ? "job_created" : "job_updated", e);
    return e;
}

void cron_entry_remove(struct cron *c, struct entry *e)
{
    unlink_parents(c, e);
    c->scheduled_count -= e->job->schedule != NULL;
    heap_remove(&c->due, &e->due.node);
    keep_old_spec(c, e, e->job);
    cron_forget_job(c, e);
    cron_publish_job(c, "job_deleted", e);
    for (struct map_entry *m = map_first(&e->consumed); m; m = map_next(m))
        free(map_value(m));
    map_deinit(&e->consumed);
    map_init(&e->consumed);
    e->successes = e->failures = e->failures_in_row = 0;
    e->last_success_ms = e->last_failure_ms = e->last_started_ms = 0;
    e->durations = durations_free(e->durations);
    e->is_deleted = true;
    if (e->run_count == 0)
        cron_entry_free(c, e);
}

void cron_entry_free(struct cron *c, struct entry *e)
{
    CHECK(list_is_empty(&e->runs));
    list_remove(&e->dirty_link);
    heap_remove(&c->due, &e->due.node);
    (void)map_remove(&c->entries, e->job->id); /* was in it */
    for (struct map_entry *m = map_first(&e->consumed); m; m = map_next(m))
        free(map_value(m));
    map_deinit(&e->consumed);
    for (struct list *node; (node = list_pop_front(&e->old_specs)) != NULL;) {
        struct spec_version *v = container_of(node, struct spec_version, link);
        (void)job_unref(v->job);
        free(v);
    }
    free(e->children);
    (void)durations_free(e->durations);
    (void)job_unref(e->job);
    free(e);
}
