/* SPDX-License-Identifier: Apache-2.0
 * cluster_private.h - between cluster.c, cluster_read.c and build.c only. */
#pragma once

#include "dns/cluster.h"

#include "mesos/v1/master.pb-c.h"

/* A named VIP with back ends of at least one family. */
struct cluster_vip {
    char *name; /* without zone */
    uint32_t count4, count6;
    bool has_address4;
    uint32_t address4;
    struct list dirty;
    struct book_set *records;
};

struct vip_use {
    struct cluster_vip *vip;
    bool is_v4, is_v6;
};

struct cluster {
    const struct cluster_naming *naming;
    struct book *book;
    struct map agents, frameworks; /* by id */
    struct map tasks;              /* by framework id, NUL, task id */
    struct map vips;               /* by name */
    struct map hosts;              /* by name; struct cluster_host */
    struct list wanted_hosts;
    struct vip_names *vip_names;
    struct list dirty_tasks, dirty_agents, dirty_frameworks, dirty_vips;
    struct list held; /* agents, by hold_until_ms */
    uint32_t epoch;
    struct cluster_master leader, masters[CLUSTER_MASTERS_MAX];
    size_t master_count;
    bool has_leader;
    struct book_set *static_records;
    bool masters_changed;
};

/* cluster_read.c: from messages to compact copies. */
void cluster_read_task(struct cluster_task *t, const Mesos__V1__Task *from);
void cluster_read_state(struct cluster_task *t, Mesos__V1__TaskState state, const Mesos__V1__TaskStatus *status);
void cluster_task_clear(struct cluster_task *t); /* frees what the two above made */
bool cluster_state_is_terminal(Mesos__V1__TaskState state);

/* The addresses of a host, NULL when there are none (yet). */
static inline const struct cluster_ips *cluster_host_ips(const struct cluster_host *host)
{
    return host && host->ips.count > 0 ? &host->ips : NULL;
}

/* build.c: put the records of one entity between book_begin and book_commit. */
void build_task(struct cluster *c, const struct cluster_task *t);
void build_agent(struct cluster *c, const struct cluster_agent *a);
void build_framework(struct cluster *c, const struct cluster_framework *f);
void build_vip(struct cluster *c, const struct cluster_vip *v);
void build_static(struct cluster *c);
/* The addresses a task's names get, by the order of sources; NULL: none. */
const struct cluster_ips *build_task_ips(struct cluster *c, const struct cluster_task *t);
