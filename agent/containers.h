/* SPDX-License-Identifier: Apache-2.0
 * containers.h - the containers that people make by the operator API: sessions and others inside an executor's container,
 * and standalone ones (facts: mesos 4.3, 4.4). Executors' own containers are the core's.
 *
 *     STARTING --program executed--> RUNNING --ended--> ENDED --removed, or its outermost container ended--> gone
 *
 * A container is known to people by its ContainerID, a chain of ids that they choose, and to the launcher by a UUID: what a
 * client writes never becomes the name of a file outside the sandbox. Nothing here knows HTTP. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/base/arena.h"
#include "common/base/err.h"
#include "common/base/list.h"
#include "common/base/map.h"
#include "common/base/rng.h"
#include "common/port/launcher.h"
#include "mesos/v1/agent.pb-c.h"

enum {
    AGENT_CONTAINERS_MAX = 4096,       /* at a time, all kinds; more are refused */
    AGENT_CONTAINERS_ENDED_MAX = 1024, /* remembered for those who ask how they ended, then the oldest is forgotten */
    AGENT_CONTAINER_DEPTH_MAX = 8,     /* ids in a chain */
};

enum agent_container_kind { AGENT_CONTAINER_SESSION, AGENT_CONTAINER_NESTED, AGENT_CONTAINER_STANDALONE };
enum agent_container_state { AGENT_CONTAINER_STARTING, AGENT_CONTAINER_RUNNING, AGENT_CONTAINER_ENDED };

struct agent_container {
    char *path; /* the ids of its chain, outermost first, with '.' between: no id has one */
    char launcher_id[UUID_TEXT_SIZE];
    char root[UUID_TEXT_SIZE]; /* launcher id of the outermost container; its own when standalone */
    enum agent_container_kind kind;
    enum agent_container_state state;
    bool has_tty;
    char *sandbox; /* absolute */
    char *user;    /* of a standalone one, NULL: the agent's; others have their executor's */
    char **env;    /* of a standalone one, NAME=value, for what is started inside */
    size_t env_count;
    int pid;
    struct launcher_end end; /* with ENDED; the message is owned */
    struct list in_root;     /* of those with the same root */
    struct list in_ended;
};

struct agent_containers {
    struct map by_path, by_launcher_id; /* to struct agent_container */
    struct map roots;                   /* launcher id of an outermost container to struct list of those inside */
    struct list ended;                  /* oldest first */
    size_t ended_count;
    struct rng rng;
    /* Optional: one is being forgotten; what is kept of it elsewhere goes, too. Not called by deinit. */
    void (*forgotten)(void *ctx, const struct agent_container *one);
    void *ctx;
};

void agent_containers_init(struct agent_containers *c, uint64_t seed);
void agent_containers_deinit(struct agent_containers *c);

/* The path of a ContainerID, in the arena; NULL with a text in Mesos's words when an id of the chain is not allowed. */
const char *agent_container_path(const Mesos__V1__ContainerID *id, struct arena *arena, struct err *err);
/* And back. */
Mesos__V1__ContainerID *agent_container_id(const char *path, struct arena *arena);

struct agent_container *agent_container_find(const struct agent_containers *c, const char *path);
struct agent_container *agent_container_of_launcher(const struct agent_containers *c, const char *launcher_id);
/* root: launcher id of the outermost one, NULL for a standalone container. -EEXIST, -ENOSPC; else 0 and *out. */
int agent_container_add(struct agent_containers *c, const char *path, enum agent_container_kind kind, const char *root,
                        const char *sandbox, bool has_tty, struct agent_container **out);
/* One of an earlier run of the agent, with the id it had. -EEXIST when that or the path is taken. */
int agent_container_restore(struct agent_containers *c, const char *path, const char *launcher_id,
                            enum agent_container_kind kind, const char *root, const char *sandbox, bool has_tty,
                            struct agent_container **out);
void agent_container_set_environment(struct agent_container *one, const char *user, const struct launcher_env *env,
                                     size_t count);
/* The launcher's news. False when it is none of these. */
bool agent_container_started(struct agent_containers *c, const char *launcher_id, int pid);
bool agent_container_ended(struct agent_containers *c, const char *launcher_id, const struct launcher_end *end);
/* An executor's container ended: what was inside is forgotten once it has ended, too. */
void agent_containers_root_ended(struct agent_containers *c, const char *launcher_id);
/* A standalone container ended: the same, but itself is remembered. */
void agent_containers_inside_ended(struct agent_containers *c, const struct agent_container *standalone);
/* Forgets one that has ended. */
void agent_container_remove(struct agent_containers *c, struct agent_container *one);
void agent_containers_check_invariants(const struct agent_containers *c);
