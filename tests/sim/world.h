/* SPDX-License-Identifier: Apache-2.0
 * world.h - one virtual clock, one heap of things that will happen, and the nodes they happen to. Everything random is
 * drawn from one generator, so that a seed is a whole run.
 *
 * A node is a process: it can crash and be started again, and what was on its way to the crashed one never arrives. A run
 * stops at the first violation; world_report then tells seed, time, invariant and the last lines of the event log. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "common/base/heap.h"
#include "common/base/list.h"
#include "common/base/rng.h"

struct world;
struct sim_check;
struct sim_seen;

#define WORLD_NODES_MAX 24
#define WORLD_CHECKS_MAX 8
#define WORLD_LOG_LINES 200         /* kept for the report */
#define WORLD_TURNS_MAX 20000       /* at one millisecond; more is a busy loop */
#define WORLD_WALL_MS 1700000000000 /* the calendar at time 0 */

struct sim_message;
struct sim_conn;

struct sim_node;
struct sim_node_ops {
    /* The core's wake-up has come. */
    void (*tick)(struct sim_node *n);
    int64_t (*next_deadline)(const struct sim_node *n);
    /* Somebody connected; `first` says what for. The node keeps the connection or closes it. */
    void (*accept)(struct sim_node *n, struct sim_conn *c, const struct sim_message *first);
    /* Frees the core. What was flushed stays. */
    void (*crash)(struct sim_node *n);
    void (*start)(struct sim_node *n);
    void (*free)(struct sim_node *n);
};

struct sim_node {
    const struct sim_node_ops *ops;
    struct world *world;
    int index;
    char name[24];
    char ip[24];
    bool is_up;
    uint32_t incarnation; /* counts starts */
    int64_t wake_ms;      /* when its tick is scheduled, INT64_MAX: not */
};

/* Shares and bounds of what goes wrong. All zero is a perfect world. */
struct sim_faults {
    int64_t latency_ms_max;   /* of a message */
    int64_t store_ms_max;     /* of a write */
    uint32_t store_fail_ppm;  /* per write: fails, and all later ones */
    uint32_t repeat_ppm;      /* per status update frame: arrives twice */
    uint32_t launch_fail_ppm; /* per container */
    uint32_t start_ms_max;    /* of a container or process */
    uint32_t exit_ppm;        /* per process: ends by itself after up to exit_ms_max */
    uint32_t exit_ms_max;
    uint32_t stubborn_ppm; /* per process: SIGTERM is ignored */
    int64_t mean_gap_ms;   /* between two moments of chaos, 0: none */
    uint32_t kinds;        /* bits of enum chaos_kind that may happen */
};

struct world {
    uint64_t seed;
    int64_t now_ms;
    struct rng rng;
    struct heap events;
    struct sim_faults faults;
    bool is_traced;
    bool is_broken; /* a violation happened */
    char violation[1024];
    struct sim_node *nodes[WORLD_NODES_MAX];
    int node_count;
    int64_t cut_until_ms[WORLD_NODES_MAX][WORLD_NODES_MAX]; /* partition between two nodes */
    struct list conns;
    const struct sim_check *checks[WORLD_CHECKS_MAX];
    void *check_states[WORLD_CHECKS_MAX];
    int check_count;
    char (*log)[320];
    uint64_t log_count;
    uint64_t steps;
    int turns; /* at now_ms */
};

struct world *world_new(uint64_t seed);
struct world *world_free(struct world *w);

void world_add_node(struct world *w, struct sim_node *n, const struct sim_node_ops *ops, const char *name);
void world_add_check(struct world *w, const struct sim_check *check);

/* run(ctx) after delay_ms if the node (NULL: none needed) still runs in the same incarnation, else drop(ctx); one of both
 * is called exactly once, also at the end of the world. drop may be NULL. */
void world_after(struct world *w, int64_t delay_ms, struct sim_node *node, void (*run)(void *ctx), void (*drop)(void *ctx),
                 void *ctx);
/* Schedules the node's tick by its next_deadline. To be called after each of its steps. */
void world_rearm(struct sim_node *n);

/* Lets things happen until then, or until a violation. */
void world_run_until(struct world *w, int64_t until_ms);
/* Until is_done says so; false when limit_ms came first or a violation. Asked once per virtual second. */
bool world_run_until_done(struct world *w, bool (*is_done)(void *ctx), void *ctx, int64_t limit_ms);

void world_start_node(struct sim_node *n);
void world_crash_node(struct sim_node *n);
/* Crashes it now and starts it after delay_ms. */
void world_restart_node(struct sim_node *n, int64_t delay_ms);

/* No connection between the two until then: messages wait, attempts time out. */
void world_cut(struct world *w, const struct sim_node *a, const struct sim_node *b, int64_t until_ms);

int64_t world_draw(struct world *w, int64_t min, int64_t max); /* both included */
bool world_chance(struct world *w, uint32_t ppm);

void world_log(struct world *w, const char *who, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* The first one counts. */
void world_violate(struct world *w, const char *invariant, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void world_report(const struct world *w, FILE *out);

/* Tells every check. */
void world_seen(struct world *w, const struct sim_seen *seen);
/* Faults are off and all has settled: the checks look at the end state. */
void world_settled(struct world *w);
