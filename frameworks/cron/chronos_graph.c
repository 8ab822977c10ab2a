/* SPDX-License-Identifier: Apache-2.0
 * chronos_graph.c - which jobs start which, as text for graphviz and for Chronos's own page. All jobs are in it, those of
 * Metronome's API too. */
#include "frameworks/cron/chronos_core.h"

/* Ids are of letters, digits, '_', '-' and '.': nothing that would have to be escaped in quotes. */
void chronos_graph_dot(const struct cron *c, struct buf *out)
{
    (void)buf_append_str(out, "digraph G {\n"); /* a full buffer says so itself, here and below */
    for (struct map_entry *m = map_first(&c->entries); m != NULL; m = map_next(m)) {
        const struct entry *e = map_value(m);
        if (!e->is_deleted)
            (void)buf_printf(out, "  \"%s\";\n", e->job->id);
    }
    for (struct map_entry *m = map_first(&c->entries); m != NULL; m = map_next(m)) {
        const struct entry *e = map_value(m);
        for (size_t i = 0; !e->is_deleted && i < e->job->parent_count; i++)
            (void)buf_printf(out, "  \"%s\" -> \"%s\";\n", e->job->parents[i], e->job->id);
    }
    (void)buf_append_str(out, "}\n");
}

void chronos_graph_csv(const struct cron *c, struct buf *out)
{
    char state[32];
    for (struct map_entry *m = map_first(&c->entries); m != NULL; m = map_next(m)) {
        const struct entry *e = map_value(m);
        if (e->is_deleted)
            continue;
        chronos_state(e, state, sizeof(state));
        (void)buf_printf(out, "node,%s,%s,%s\n", e->job->id, chronos_last_state(e), state);
    }
    for (struct map_entry *m = map_first(&c->entries); m != NULL; m = map_next(m)) {
        const struct entry *e = map_value(m);
        for (size_t i = 0; !e->is_deleted && i < e->job->parent_count; i++)
            (void)buf_printf(out, "link,%s,%s\n", e->job->parents[i], e->job->id);
    }
}
