/* SPDX-License-Identifier: Apache-2.0
 * cluster.h - a whole cluster in a world: one master, agents on their machines, frameworks; chaos for a while; and what it
 * means that all has settled (design 10.9). */
#pragma once

#include "sim/sim_agent.h"
#include "sim/sim_cron.h"
#include "sim/sim_framework.h"
#include "sim/sim_marathon.h"
#include "sim/sim_master.h"
#include "sim/world.h"

#define CLUSTER_AGENTS_MAX 5
#define CLUSTER_FRAMEWORKS_MAX 4

enum chaos_kind {
    CHAOS_CRASH_MASTER,
    CHAOS_CRASH_AGENT,
    CHAOS_CRASH_FRAMEWORK,
    CHAOS_REBOOT,
    CHAOS_BREAK,
    CHAOS_CUT_AGENT,
    CHAOS_CUT_FRAMEWORK,
    CHAOS_KILL_TASK,
    CHAOS_MEMORY,
    CHAOS_END_EXECUTOR,
    CHAOS_STORE_FAILS,
    CHAOS_STORE_STALLS,
    CHAOS_SCALE,
    CHAOS_CRASH_MARATHON,
    CHAOS_CUT_MARATHON,
    CHAOS_SCALE_APP,
    CHAOS_UNREGISTER,
    CHAOS_CRASH_CRON,
    CHAOS_CUT_CRON,
    CHAOS_KINDS,
};

struct cluster {
    struct world *world;
    struct sim_master *master;
    struct sim_agent *agents[CLUSTER_AGENTS_MAX];
    int agent_count;
    struct sim_framework *frameworks[CLUSTER_FRAMEWORKS_MAX];
    int framework_count;
    struct sim_marathon *marathon; /* NULL: none */
    struct sim_cron *cron;         /* NULL: none */
    bool has_operator;             /* somebody drains agents, sets quota and plans maintenance during chaos */
    struct rng operator;           /* of its own: seeds without one stay what they are */
    int64_t put_back_ms;           /* when it last took everything back, to let the cluster settle */
    char why[256];                 /* what has not settled */
};

/* A small perfect world; stories spoil it by hand. All nodes start. */
struct cluster *cluster_new(uint64_t seed, int agents, int frameworks, size_t wanted);
/* Likewise with these faults. */
struct cluster *cluster_new_with(uint64_t seed, const struct sim_faults *faults, int agents, int frameworks, size_t wanted);
struct cluster *cluster_free(struct cluster *c);

/* Marathon with two apps. */
void cluster_add_marathon(struct cluster *c, int instances);

/* Cron with these jobs, NULL: with some of every kind. */
void cluster_add_cron(struct cluster *c, const struct sim_jobs *jobs);

/* Sizes, delays, faults and their frequency are drawn from the seed. */
struct cluster *cluster_new_random(uint64_t seed);
/* Likewise, but all about cron: its jobs are drawn too, and faults are chosen to hurt it. cluster_run_cron runs it. */
struct cluster *cluster_new_cron(uint64_t seed);
void cluster_run_cron(struct cluster *c);
void cluster_fault(struct cluster *c, enum chaos_kind kind); /* one, somewhere */
void cluster_chaos_until(struct cluster *c, int64_t until_ms);

bool cluster_is_settled(struct cluster *c);
/* Ends all faults and lets it settle within limit_ms, or violates invariant 9; then all checks look at it. */
void cluster_settle(struct cluster *c, int64_t limit_ms);
/* The whole of a random run: chaos, settling, everything given back and offered again. */
void cluster_run(struct cluster *c);
