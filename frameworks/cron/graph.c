/* SPDX-License-Identifier: Apache-2.0
 * graph.c - children of jobs. Each run of a job with children opens a graph of its own, and whatever starts because of it
 * belongs to that graph: which parents have ended is asked per graph, never counted, so that a fast and a slow run of the
 * same graph cannot trigger each other's children. A parent that is not below the root of the graph (a child may have
 * parents with schedules of their own) counts when its latest run was good and was not used for an earlier start. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"
#include "frameworks/cron/core.h"

struct graph *cron_graph_get(struct cron *c, const char *id)
{
    return map_get(&c->graphs, id);
}

struct graph *cron_graph_new(struct cron *c, const char *id)
{
    struct graph *g = xcalloc(1, sizeof(*g));
    g->id = xstrdup(id);
    map_init(&g->nodes);
    list_init(&g->dirty_link);
    CHECK(map_put(&c->graphs, g->id, g) == NULL);
    return g;
}

void cron_graph_free(struct cron *c, struct graph *g)
{
    (void)map_remove(&c->graphs, g->id); /* was in it */
    list_remove(&g->dirty_link);
    map_deinit(&g->nodes);
    free(g->id);
    free(g);
}

static void changed(struct cron *c, struct graph *g)
{
    if (list_is_empty(&g->dirty_link))
        list_push_back(&c->dirty_graphs, &g->dirty_link);
}

static enum node_state node_of(const struct graph *g, const char *job_id)
{
    return (enum node_state)(uintptr_t)map_get(&g->nodes, job_id);
}

static void set_node(struct cron *c, struct graph *g, const char *job_id, enum node_state s)
{
    (void)map_put(&g->nodes, job_id, (void *)(uintptr_t)s); /* what was there is a number */
    changed(c, g);
}

void cron_graph_join(struct cron *c, struct graph *g, struct run *r)
{
    r->graph = g;
    g->live_runs++;
    set_node(c, g, r->entry->job->id, NODE_STARTED);
}

static void release(struct cron *c, struct graph *g)
{
    CHECK(g->live_runs > 0);
    if (--g->live_runs > 0)
        return;
    cron_forget_graph(c, g);
    cron_graph_free(c, g);
}

void cron_graph_leave(struct cron *c, struct run *r)
{
    struct graph *g = r->graph;
    r->graph = NULL;
    if (g)
        release(c, g);
}

/* -- does a child start? -------------------------------------------------------------------------------------------- */

enum verdict { VERDICT_WAIT, VERDICT_OK, VERDICT_FAILED };

static bool is_below_root(const struct cron *c, const struct graph *g, const struct entry *parent)
{
    char root[JOB_ID_MAX + 1];
    (void)snprintf(root, sizeof(root), "%.*s", (int)strcspn(g->id, "/"), g->id); /* an id of a job fits */
    return strcmp(parent->job->id, root) == 0 || cron_entry_has_ancestor(c, parent->job, root);
}

static int64_t *consumed_of(struct entry *child, const char *parent_id)
{
    int64_t *at = map_get(&child->consumed, parent_id);
    if (at == NULL) {
        at = xcalloc(1, sizeof(*at));
        (void)map_put(&child->consumed, parent_id, at); /* was not there */
    }
    return at;
}

/* When the parent's latest run ended in a way that lets this child start, 0: it did not. */
static int64_t usable_end_ms(const struct entry *parent, const struct entry *child)
{
    bool is_good = parent->last_success_ms > 0 && parent->last_success_ms >= parent->last_failure_ms;
    if (is_good)
        return parent->last_success_ms;
    bool any = child->job->dependency_policy == DEPENDENCY_COMPLETION || parent->job->is_soft_error;
    return any ? parent->last_failure_ms : 0;
}

static enum verdict ask_parent(const struct cron *c, const struct graph *g, struct entry *child, const char *parent_id)
{
    const struct entry *parent = cron_entry_find(c, parent_id);
    if (parent == NULL)
        return VERDICT_OK; /* removed: nobody waits for it */
    enum node_state s = node_of(g, parent_id);
    if (s == NODE_SUCCEEDED)
        return VERDICT_OK;
    if (s == NODE_FAILED || s == NODE_SKIPPED) {
        bool any =
            child->job->dependency_policy == DEPENDENCY_COMPLETION || (s == NODE_FAILED && parent->job->is_soft_error);
        return any ? VERDICT_OK : VERDICT_FAILED;
    }
    if (s == NODE_STARTED || is_below_root(c, g, parent))
        return VERDICT_WAIT;
    return usable_end_ms(parent, child) > *consumed_of(child, parent_id) ? VERDICT_OK : VERDICT_WAIT;
}

static void consume(struct cron *c, struct entry *child)
{
    for (size_t i = 0; i < child->job->parent_count; i++) {
        const struct entry *parent = cron_entry_find(c, child->job->parents[i]);
        int64_t end_ms = parent ? usable_end_ms(parent, child) : 0;
        int64_t *at = consumed_of(child, child->job->parents[i]);
        if (end_ms > *at)
            *at = end_ms;
    }
    cron_entry_changed(c, child);
}

static void skip_child(struct cron *c, struct graph *g, struct entry *child, const char *reason)
{
    struct skip s = {.count = 1, .is_count_exact = true, .reason = reason, .graph = g};
    set_node(c, g, child->job->id, NODE_SKIPPED);
    cron_run_skip(c, child, &s);
}

static const char *obstacle_of(const struct cron *c, const struct entry *child)
{
    const struct job *j = child->job;
    if (j->is_disabled)
        return "the job is disabled";
    if (child->run_count > 0 && j->chronos && !j->chronos->is_concurrent)
        return "an earlier run is active, and the job is not concurrent";
    return c->run_count >= (size_t)c->config.runs_max ? "too many runs are alive" : NULL;
}

/* true: it was skipped, and so its own children are to be looked at. */
static bool consider(struct cron *c, struct graph *g, struct entry *child)
{
    const char *failed = NULL;
    if (child->is_deleted || node_of(g, child->job->id) != 0)
        return false;
    for (size_t i = 0; i < child->job->parent_count; i++) {
        enum verdict v = ask_parent(c, g, child, child->job->parents[i]);
        if (v == VERDICT_FAILED && failed == NULL)
            failed = child->job->parents[i];
        if (v == VERDICT_WAIT)
            return false;
    }
    char reason[JOB_ID_MAX + 64];
    if (failed) {
        (void)snprintf(reason, sizeof(reason), "parent %s did not succeed", failed); /* fits */
        skip_child(c, g, child, reason);
        return true;
    }
    const char *obstacle = obstacle_of(c, child);
    if (obstacle) {
        skip_child(c, g, child, obstacle);
        return true;
    }
    consume(c, child);
    struct run_options o = {.trigger = TRIGGER_PARENTS, .graph = g};
    (void)cron_run_start(c, child, &o);
    return false;
}

/* Looks at the children of what has just ended, and below those that are skipped. */
static void advance(struct cron *c, struct graph *g, struct entry *from)
{
    struct entry **work = NULL;
    size_t count = 0, capacity = 0;
    for (struct entry *e = from; e; e = count > 0 ? work[--count] : NULL) {
        for (size_t i = 0; i < e->child_count; i++) {
            if (!consider(c, g, e->children[i]))
                continue;
            if (count == capacity) {
                capacity = capacity ? 2 * capacity : 16;
                work = xrealloc(work, capacity * sizeof(work[0]));
            }
            work[count++] = e->children[i];
        }
    }
    free(work);
}

void cron_graph_advance(struct cron *c, struct run *r, bool is_success)
{
    struct entry *e = r->entry;
    if (r->graph == NULL && (e->child_count == 0 || e->is_deleted))
        return;
    if (r->spec->chronos && r->spec->chronos->is_async && is_success)
        return; /* the command only began the work: another call tells how it ended */
    if (r->graph == NULL) {
        char id[JOB_ID_MAX + RUN_ID_SIZE + 2];
        (void)snprintf(id, sizeof(id), "%s/%s", e->job->id, r->id); /* fits */
        cron_graph_join(c, cron_graph_new(c, id), r);
    }
    set_node(c, r->graph, e->job->id, is_success ? NODE_SUCCEEDED : NODE_FAILED);
    if (!e->is_deleted)
        advance(c, r->graph, e);
}

void cron_graph_mark_success(struct cron *c, struct entry *e)
{
    if (e->child_count == 0)
        return;
    char id[JOB_ID_MAX + 64], uuid[UUID_TEXT_SIZE];
    rng_uuid(&c->rng, NULL, uuid);
    (void)snprintf(id, sizeof(id), "%s/%s", e->job->id, uuid); /* fits */
    struct graph *g = cron_graph_new(c, id);
    g->live_runs++; /* this call */
    set_node(c, g, e->job->id, NODE_SUCCEEDED);
    advance(c, g, e);
    release(c, g);
}
