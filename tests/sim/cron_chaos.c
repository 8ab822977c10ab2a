/* SPDX-License-Identifier: Apache-2.0
 * cron_chaos.c - worlds that are all about cron: drawn jobs, processes that mostly end by themselves, and faults that hit
 * cron, what it writes and what it waits for. Outages are longer than periods, so that moments are missed. */
#include "common/base/check.h"
#include "sim/check_cron.h"
#include "sim/cluster.h"
#include "sim/sim_net.h"

#define SETTLE_MS (24 * 60 * 60 * 1000) /* what was caught up runs one after the other */

/* Of the operator's own kind: drawn before the world begins, so that the jobs are the seed's whatever happens. */
struct cluster *cluster_new_cron(uint64_t seed)
{
    static const int64_t latencies[] = {1, 10, 100, 1000}, stores[] = {0, 5, 50, 500}, gaps[] = {1500, 6000, 20000};
    struct rng r;
    struct sim_jobs jobs;
    rng_seed(&r, seed ^ 0x63726f6e);
    struct sim_faults f = {.latency_ms_max = latencies[rng_below(&r, 4)],
                           .store_ms_max = stores[rng_below(&r, 4)],
                           .start_ms_max = 1 + (uint32_t)rng_below(&r, 3000),
                           .repeat_ppm = rng_below(&r, 2) ? 100000 : 0,
                           .launch_fail_ppm = rng_below(&r, 3) ? 0 : 100000,
                           .stubborn_ppm = rng_below(&r, 3) ? 0 : 300000,
                           .mean_gap_ms = gaps[rng_below(&r, 3)],
                           .kinds = (uint32_t)rng_next(&r)};
    int agents = 1 + (int)rng_below(&r, 4);
    sim_jobs_draw(&jobs, &r);
    struct cluster *c = cluster_new_with(seed, &f, agents, 1, (size_t)rng_below(&r, 3));
    cluster_add_cron(c, &jobs);
    return c;
}

static int64_t draw_pause(struct world *w)
{
    return world_draw(w, 50, rng_below(&w->rng, 3) == 0 ? 150000 : 5000);
}

/* Half of the time at cron itself, else anywhere. */
static void hurt(struct cluster *c)
{
    static const enum chaos_kind elsewhere[] = {CHAOS_CRASH_MASTER, CHAOS_CRASH_AGENT, CHAOS_REBOOT,       CHAOS_BREAK,
                                                CHAOS_CUT_AGENT,    CHAOS_MEMORY,      CHAOS_END_EXECUTOR, CHAOS_UNREGISTER,
                                                CHAOS_STORE_STALLS, CHAOS_CUT_CRON,    CHAOS_STORE_FAILS};
    struct world *w = c->world;
    uint64_t what = rng_below(&w->rng, 15);
    if ((w->faults.kinds & (1u << what)) == 0)
        return;
    if (what < 3)
        world_restart_node(sim_cron_node(c->cron), draw_pause(w));
    else if (what < 4)
        sim_store_fail_next(sim_cron_store(c->cron));
    else if (what < 5)
        sim_store_stall(sim_cron_store(c->cron), w->now_ms + world_draw(w, 100, 10000));
    else if (what < 6)
        (void)sim_cron_stop_one(c->cron); /* there may be none */
    else if (what < 7)
        (void)sim_cron_put_again(c->cron); /* cron may be down */
    else if (what < 8)
        sim_cron_set_calendar(c->cron, world_draw(w, 1, rng_below(&w->rng, 2) ? 400000 : 20000));
    else if (what < 9)
        (void)sim_cron_remove_one(c->cron); /* there may be none */
    else
        cluster_fault(c, elsewhere[rng_below(&w->rng, sizeof(elsewhere) / sizeof(elsewhere[0]))]);
}

void cluster_run_cron(struct cluster *c)
{
    struct world *w = c->world;
    int64_t end_ms = w->now_ms + world_draw(w, 60000, 8 * 60000);
    while (!w->is_broken && w->now_ms < end_ms) {
        world_run_until(w, w->now_ms + world_draw(w, 1, 2 * w->faults.mean_gap_ms));
        if (!w->is_broken)
            hurt(c);
    }
    cluster_settle(c, SETTLE_MS);
}
