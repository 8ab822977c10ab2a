/* SPDX-License-Identifier: Apache-2.0
 * sim_kit.h - a node with the core of one of our own frameworks on the sdk's session: what frameworks/kit's shell is in a
 * real process. Embedded as the first member of sim_marathon and sim_cron. */
#pragma once

#include "common/base/arena.h"
#include "common/base/list.h"
#include "frameworks/kit/event.h"
#include "frameworks/sdk/session.h"
#include "sim/sim_store.h"
#include "sim/world.h"

struct sim_kit;
struct sim_kit_ops {
    const char *store_prefix;
    void *(*new_core)(struct sim_kit *k);
    void *(*free_core)(void *core);
    int (*step)(void *core, const struct kit_event *in, struct kit_effects *out);
    int64_t (*next_deadline)(const void *core);
    size_t (*known_tasks)(const void *core, struct arena *a, const struct sdk_task **out);
    const char *(*framework_id)(const void *core);
    void (*check)(const void *core);
    void (*reply)(struct sim_kit *k, const struct kit_effect *e);
    void (*own)(struct sim_kit *k, const void *effect);
    void (*crashed)(struct sim_kit *k); /* its requests are never answered */
    void (*freed)(struct sim_kit *k);   /* may be NULL */
};

struct sim_kit {
    struct sim_node node;
    const struct sim_kit_ops *ops;
    struct sim_node *master;
    void *core; /* NULL while the node is down */
    struct sim_session *session;
    struct sim_store *store;
    struct list orders;
    bool is_ordering, is_ending;
    int64_t calendar_ms; /* what its calendar is ahead of the world's */
};

/* On its calendar. */
static inline int64_t sim_kit_wall_ms(const struct sim_kit *k)
{
    return WORLD_WALL_MS + k->node.world->now_ms + k->calendar_ms;
}

void sim_kit_init(struct sim_kit *k, struct world *w, const char *name, struct sim_node *master,
                  const struct sim_kit_ops *ops);
void sim_kit_step(struct sim_kit *k, struct kit_event *in);
bool sim_kit_is_settled(const struct sim_kit *k); /* subscribed and reconciled */
bool sim_kit_knows(const struct sim_kit *k, const char *task_id);
