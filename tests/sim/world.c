/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/world.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"
#include "sim/check.h"
#include "sim/sim_net.h"

struct sim_later {
    struct heap_node node;
    struct sim_node *target;
    uint32_t incarnation;
    void (*run)(void *ctx);
    void (*drop)(void *ctx);
    void *ctx;
};

struct world *world_new(uint64_t seed)
{
    struct world *w = xcalloc(1, sizeof(*w));
    w->seed = seed;
    w->now_ms = 1000;
    rng_seed(&w->rng, seed);
    heap_init(&w->events);
    list_init(&w->conns);
    w->log = xcalloc(WORLD_LOG_LINES, sizeof(*w->log));
    return w;
}

static void forget(struct sim_later *l)
{
    if (l->drop != NULL)
        l->drop(l->ctx);
    free(l);
}

struct world *world_free(struct world *w)
{
    if (w == NULL)
        return NULL;
    for (int i = 0; i < w->node_count; i++)
        if (w->nodes[i]->is_up)
            world_crash_node(w->nodes[i]);
    struct heap_node *n;
    while ((n = heap_peek(&w->events)) != NULL) {
        heap_remove(&w->events, n);
        forget(container_of(n, struct sim_later, node));
    }
    for (int i = 0; i < w->node_count; i++)
        w->nodes[i]->ops->free(w->nodes[i]);
    for (int i = 0; i < w->check_count; i++)
        w->checks[i]->free(w->check_states[i]);
    sim_net_free_all(w);
    heap_deinit(&w->events);
    free(w->log);
    free(w);
    return NULL;
}

void world_add_node(struct world *w, struct sim_node *n, const struct sim_node_ops *ops, const char *name)
{
    CHECK(w->node_count < WORLD_NODES_MAX);
    n->ops = ops;
    n->world = w;
    n->index = w->node_count;
    n->wake_ms = INT64_MAX;
    snprintf(n->name, sizeof(n->name), "%s", name);
    snprintf(n->ip, sizeof(n->ip), "10.0.0.%d", n->index + 1);
    w->nodes[w->node_count++] = n;
}

void world_add_check(struct world *w, const struct sim_check *check)
{
    CHECK(w->check_count < WORLD_CHECKS_MAX);
    w->checks[w->check_count] = check;
    w->check_states[w->check_count++] = check->new (w);
}

void world_after(struct world *w, int64_t delay_ms, struct sim_node *node, void (*run)(void *ctx), void (*drop)(void *ctx),
                 void *ctx)
{
    struct sim_later *l = xcalloc(1, sizeof(*l));
    l->target = node;
    l->incarnation = node ? node->incarnation : 0;
    l->run = run;
    l->drop = drop;
    l->ctx = ctx;
    heap_set(&w->events, &l->node, w->now_ms + (delay_ms > 0 ? delay_ms : 0));
}

static void on_wake(void *ctx)
{
    struct sim_node *n = ctx;
    struct world *w = n->world;
    if (n->wake_ms > w->now_ms)
        return; /* moved meanwhile; another one is scheduled */
    n->wake_ms = INT64_MAX;
    if (n->ops->next_deadline(n) <= w->now_ms)
        n->ops->tick(n);
    if (n->is_up)
        world_rearm(n);
}

void world_rearm(struct sim_node *n)
{
    struct world *w = n->world;
    if (!n->is_up)
        return;
    int64_t due = n->ops->next_deadline(n);
    if (due == INT64_MAX)
        return;
    if (due < w->now_ms)
        due = w->now_ms;
    if (due >= n->wake_ms)
        return;
    n->wake_ms = due;
    world_after(w, due - w->now_ms, n, on_wake, NULL, n);
}

static void run_one(struct world *w, struct sim_later *l)
{
    if (l->target != NULL && (!l->target->is_up || l->target->incarnation != l->incarnation)) {
        forget(l);
        return;
    }
    w->steps++;
    l->run(l->ctx);
    free(l);
}

void world_run_until(struct world *w, int64_t until_ms)
{
    while (!w->is_broken) {
        struct heap_node *next = heap_peek(&w->events);
        if (next == NULL || next->key_ms > until_ms)
            break;
        heap_remove(&w->events, next);
        if (next->key_ms > w->now_ms) {
            w->now_ms = next->key_ms;
            w->turns = 0;
        } else if (++w->turns > WORLD_TURNS_MAX) {
            world_violate(w, "progress", "%d turns without time going on", w->turns);
        }
        run_one(w, container_of(next, struct sim_later, node));
    }
    if (!w->is_broken && w->now_ms < until_ms)
        w->now_ms = until_ms;
}

bool world_run_until_done(struct world *w, bool (*is_done)(void *ctx), void *ctx, int64_t limit_ms)
{
    while (!w->is_broken && w->now_ms < limit_ms) {
        if (is_done(ctx))
            return true;
        world_run_until(w, w->now_ms + 1000);
    }
    return !w->is_broken && is_done(ctx);
}

void world_start_node(struct sim_node *n)
{
    if (n->is_up)
        return;
    n->is_up = true;
    n->incarnation++;
    n->wake_ms = INT64_MAX;
    world_log(n->world, n->name, "starts (%u)", n->incarnation);
    n->ops->start(n);
    world_rearm(n);
}

void world_crash_node(struct sim_node *n)
{
    if (!n->is_up)
        return;
    n->is_up = false;
    world_log(n->world, n->name, "ends");
    n->ops->crash(n);
    sim_net_node_gone(n);
}

static void on_restart(void *ctx)
{
    world_start_node(ctx);
}

void world_restart_node(struct sim_node *n, int64_t delay_ms)
{
    if (!n->is_up)
        return; /* on its way already */
    world_crash_node(n);
    world_after(n->world, delay_ms, NULL, on_restart, NULL, n);
}

void world_cut(struct world *w, const struct sim_node *a, const struct sim_node *b, int64_t until_ms)
{
    world_log(w, a->name, "cut off from %s for %lld ms", b->name, (long long)(until_ms - w->now_ms));
    w->cut_until_ms[a->index][b->index] = w->cut_until_ms[b->index][a->index] = until_ms;
}

int64_t world_draw(struct world *w, int64_t min, int64_t max)
{
    return max <= min ? min : min + (int64_t)rng_below(&w->rng, (uint64_t)(max - min) + 1);
}

bool world_chance(struct world *w, uint32_t ppm)
{
    return ppm > 0 && rng_below(&w->rng, 1000000) < ppm;
}

void world_log(struct world *w, const char *who, const char *fmt, ...)
{
    char *line = w->log[w->log_count++ % WORLD_LOG_LINES];
    int n = snprintf(line, sizeof(w->log[0]), "%9.3f %-10s ", (double)w->now_ms / 1000, who);
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(line + n, sizeof(w->log[0]) - (size_t)n, fmt, ap); /* a long line is cut */
    va_end(ap);
    if (w->is_traced)
        printf("%s\n", line);
}

void world_violate(struct world *w, const char *invariant, const char *fmt, ...)
{
    if (w->is_broken)
        return;
    w->is_broken = true;
    char text[900];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap); /* a long text is cut */
    va_end(ap);
    snprintf(w->violation, sizeof(w->violation), "invariant %s: %s", invariant, text);
    world_log(w, "VIOLATION", "%s", w->violation);
}

void world_report(const struct world *w, FILE *out)
{
    uint64_t first = w->log_count > WORLD_LOG_LINES ? w->log_count - WORLD_LOG_LINES : 0;
    for (uint64_t i = first; i < w->log_count && !w->is_traced; i++)
        fprintf(out, "%s\n", w->log[i % WORLD_LOG_LINES]);
    fprintf(out, "seed %llu at %.3f s after %llu steps: %s\n", (unsigned long long)w->seed, (double)w->now_ms / 1000,
            (unsigned long long)w->steps, w->is_broken ? w->violation : "all invariants hold");
}

void world_seen(struct world *w, const struct sim_seen *seen)
{
    for (int i = 0; i < w->check_count; i++)
        if (w->checks[i]->seen != NULL)
            w->checks[i]->seen(w->check_states[i], seen);
}

void world_settled(struct world *w)
{
    for (int i = 0; i < w->check_count && !w->is_broken; i++)
        if (w->checks[i]->settled != NULL)
            w->checks[i]->settled(w->check_states[i]);
}
