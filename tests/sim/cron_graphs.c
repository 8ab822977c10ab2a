/* SPDX-License-Identifier: Apache-2.0
 * cron_graphs.c - the records of children against those of their parents, graph by graph. */
#include <stdio.h>
#include <string.h>

#include "common/base/check.h"
#include "sim/cron_records.h"

/* The record of a job in an instance of a graph: of its root, or of a job below. NULL: none. */
static const struct cron_record *record_in(const struct cron_records *all, int job, const char *graph, size_t *times)
{
    const struct cron_record *found = NULL;
    const char *id = all->jobs->items[job].id;
    size_t n = strlen(id);
    *times = 0;
    for (size_t i = 0; i < all->number[job]; i++) {
        const struct cron_record *r = &all->first[job][i];
        bool is_root =
            r->id[0] != '\0' && strncmp(graph, id, n) == 0 && graph[n] == '/' && strcmp(graph + n + 1, r->id) == 0;
        if (is_root || strcmp(r->graph, graph) == 0) {
            found = r;
            ++*times;
        }
    }
    return found;
}

/* Is one of the two below the other, or the same? */
static bool is_below(const struct sim_jobs *jobs, int job, int root)
{
    if (job == root)
        return true;
    const struct sim_job *j = &jobs->items[job];
    for (int i = 0; i < j->parent_count; i++) /* parents have smaller numbers */
        if (is_below(jobs, j->parents[i], root))
            return true;
    return false;
}

static int root_of(const struct sim_jobs *jobs, const char *graph)
{
    return sim_jobs_find(jobs, graph, strcspn(graph, "/"));
}

/* A parent of another graph: some run of it must have ended before as the child asks for. */
static bool ended_before(const struct cron_records *all, int parent, const struct sim_job *child, int64_t at_ms)
{
    for (size_t i = 0; i < all->number[parent]; i++) {
        const struct cron_record *r = &all->first[parent][i];
        if (!r->is_skip && r->completed_ms <= at_ms && (r->is_good || child->on_completion))
            return true;
    }
    return false;
}

static void wrong(struct world *w, const struct cron_records *all, const struct cron_record *r, const char *what,
                  int parent)
{
    world_violate(w, "cron", "%s record %lld (%s) in graph %s: %s %s", all->jobs->items[r->job].id, (long long)r->ordinal,
                  r->is_skip ? r->reason : r->id, r->graph, what, parent >= 0 ? all->jobs->items[parent].id : "");
}

static void check_child(struct world *w, const struct cron_records *all, const struct cron_record *r)
{
    const struct sim_job *j = &all->jobs->items[r->job];
    size_t times;
    int failed = 0;
    (void)record_in(all, r->job, r->graph, &times);
    if (times != 1)
        wrong(w, all, r, "is not the only one", -1);
    for (int i = 0; i < j->parent_count; i++) {
        int parent = j->parents[i];
        const struct cron_record *p = record_in(all, parent, r->graph, &times);
        if (p == NULL && is_below(all->jobs, parent, root_of(all->jobs, r->graph)))
            wrong(w, all, r, "there is none of parent", parent);
        else if (p == NULL && !r->is_skip && !ended_before(all, parent, j, r->created_ms))
            wrong(w, all, r, "never ended as asked: parent", parent);
        if (p == NULL)
            continue;
        if (p->completed_ms > r->created_ms)
            wrong(w, all, r, "before the end of parent", parent);
        failed += !p->is_good;
        if (!r->is_skip && !p->is_good && !j->on_completion)
            wrong(w, all, r, "runs in spite of parent", parent);
    }
    if (r->is_skip && strstr(r->reason, "did not succeed") != NULL && (failed == 0 || j->on_completion))
        wrong(w, all, r, "skipped though the parents ended as asked", -1);
}

/* A child whose parents have all ended in this graph, the last of them when it was there already, has a record. */
static void check_presence(struct sim_cron *s, const struct cron_records *all, int child, const char *graph)
{
    const struct sim_job *j = &all->jobs->items[child];
    size_t times;
    int64_t last_ms = 0;
    for (int i = 0; i < j->parent_count; i++) {
        const struct cron_record *p = record_in(all, j->parents[i], graph, &times);
        if (p == NULL)
            return;
        last_ms = p->completed_ms > last_ms ? p->completed_ms : last_ms;
    }
    if (j->comes_and_goes)
        return; /* its history has gone with it */
    struct sim_cron_asked asked = sim_cron_asked(s, child);
    if (last_ms > asked.created_ms && record_in(all, child, graph, &times) == NULL)
        world_violate(sim_cron_node(s)->world, "cron", "%s has no record in graph %s, whose parents have ended", j->id,
                      graph);
}

void cron_graphs_check(struct sim_cron *s, const struct cron_records *all)
{
    struct world *w = sim_cron_node(s)->world;
    for (size_t i = 0; i < all->count && !w->is_broken; i++) {
        const struct cron_record *r = &all->items[i];
        if (all->jobs->items[r->job].parent_count > 0)
            check_child(w, all, r);
        char root[96];
        (void)snprintf(root, sizeof(root), "%s/%s", all->jobs->items[r->job].id, r->id); /* fits */
        const char *graph = r->graph[0] != '\0' ? r->graph : root;
        for (int k = 0; k < all->jobs->count && !(r->is_skip && r->graph[0] == '\0'); k++)
            if (all->jobs->items[k].parent_count > 0)
                check_presence(s, all, k, graph);
    }
}
