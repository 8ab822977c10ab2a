/* SPDX-License-Identifier: Apache-2.0
 * launcher_state.h - what launcher.c and recover.c share: the launcher and its containers. */
#pragma once

#include "agent/container/container.h"
#include "agent/container/shared/cgroup.h"
#include "agent/container/shared/process.h"
#include "common/base/arena.h"
#include "common/base/list.h"
#include "common/base/map.h"
#include "muster/container.pb-c.h"

enum { CONTAINER_ENDED_KEPT_MAX = 1024 };

struct container_entry {
    struct container_launcher *launcher;
    struct list zygote_node; /* in launcher->zygote.waiting: a supervisor is asked for */
    struct list news_node;   /* in launcher->news: something to tell in the next turn */
    char *id;
    int pidfd; /* of the supervisor, or of the sweeper in its place; -1: none */
    struct loop_fd *watch;
    struct loop_timer *patience; /* after a destroy */
    int init_pid;                /* 0: not started */
    bool is_told_started, is_ended, is_destroyed, is_unknown, is_sweeping;
    bool is_awaited;        /* recovering is not done before its end was told */
    struct list inner;      /* containers inside this one */
    struct list outer_node; /* in inner of that which it is inside of */
    /* With is_ended: */
    struct launcher_end end;
    char *end_message;
};

/* See zygote.h. */
struct container_zygote {
    pid_t pid; /* 0: none */
    int socket_fd;
    struct loop_fd *watch;
    struct list waiting; /* entries in the order of their requests */
    size_t waiting_count;
};

struct container_launcher {
    struct launcher base;
    struct loop *loop;
    struct launcher_events events;
    void *events_ctx;
    char **hidden; /* beside work_dir and runtime_dir */
    size_t hidden_count;
    char *work_dir, *real_work_dir, *runtime_dir, *visible_dir, *cgroup_root;
    int64_t fetch_bytes_max, fetch_timeout_ms;
    struct container_cgroups cgroups;
    unsigned isolation;
    char *missing;
    uint8_t *seccomp;
    size_t seccomp_len;
    int image_fd, fetch_fd, runtime_fd, containers_fd, lock_fd, socket_fd;
    struct loop_fd *socket_watch;
    struct container_zygote zygote;
    struct map containers; /* id to container_entry */
    struct list news;
    struct loop_timer *news_timer;
    char boot_id[CONTAINER_BOOT_ID_SIZE];
    /* End records that were told of and are kept for an agent that forgets: a ring of ids, oldest first. */
    char *kept[CONTAINER_ENDED_KEPT_MAX];
    size_t kept_next;
    bool is_recovering;
    size_t recover_pending;
    void (*recovered)(void *ctx);
    void *recovered_ctx;
};

/* launcher.c, for recover.c */
struct container_entry *container_entry_new(struct container_launcher *l, const char *id);
/* Watches the supervisor (or sweeper) behind the pidfd, which is taken over. */
void container_entry_watch(struct container_entry *c, int pidfd);
/* Whatever there is of it is found out from its folder. */
void container_entry_recover(struct container_entry *c);
/* The end becomes known; it is told in a following turn, and the entry is freed then. */
void container_entry_end(struct container_entry *c, enum launcher_end_reason reason, int status, const char *message,
                         int64_t memory_limit);
void container_entry_end_from(struct container_entry *c, const Muster__Container__End *record);
/* It is inside this one: with its end it ends. */
void container_entry_put_inside(struct container_entry *c, struct container_entry *outer);
void container_entry_started(struct container_entry *c, int init_pid);
/* Ends what a vanished supervisor left behind. */
void container_entry_sweep(struct container_entry *c);
void container_entry_destroy(struct container_entry *c);
/* Fills in what the host gives. */
void container_launcher_complete_spec(struct container_launcher *l, Muster__Container__Spec *spec, struct arena *arena);
int container_open_directory(struct container_launcher *l, const char *id);
void container_remove_directory(struct container_launcher *l, const char *id);
void container_launcher_plan_news(struct container_launcher *l);

/* recover.c */
void container_launcher_recover(struct launcher *base, const char *const *known, size_t count, void (*recovered)(void *ctx),
                                void *ctx);
/* One of the containers that recovering waits for is done with. */
void container_launcher_recover_one(struct container_launcher *l);

/* isolation.c: fills cgroups, isolation, missing, seccomp. */
int container_isolation_detect(struct container_launcher *l, bool without_cgroups, struct err *err);
