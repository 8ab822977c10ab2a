/* SPDX-License-Identifier: Apache-2.0
 * cluster_private.h - between cluster.c, cluster_read.c and build.c only. */
#pragma once

#include "dns/cluster.h"

#include "mesos/v1/master.pb-c.h"

/* A named VIP with back ends of at least one family. */
struct dns_cluster_vip {
    char *name; /* without zone */
    uint32_t count4, count6;
    bool has_address4;
    uint32_t address4;
    struct list dirty;
    struct dns_book_set *records;
};

struct dns_vip_use {
    struct dns_cluster_vip *vip;
    bool is_v4, is_v6;
};

struct dns_cluster {
    const struct dns_cluster_naming *naming;
    struct dns_book *book;
    struct map agents, frameworks; /* by id */
    struct map tasks;              /* by framework id, NUL, task id */
    struct map vips;               /* by name */
    struct map hosts;              /* by name; struct dns_cluster_host */
    struct list wanted_hosts;
    struct heap looked_up; /* hosts, by when they are looked up again */
    struct vip_names *vip_names;
    struct list dirty_tasks, dirty_agents, dirty_frameworks, dirty_vips;
    struct list held; /* agents, by hold_until_ms */
    uint32_t epoch;
    struct dns_cluster_master leader, masters[CLUSTER_MASTERS_MAX];
    size_t master_count;
    bool has_leader;
    struct dns_book_set *static_records;
    bool masters_changed;
};

/* cluster_read.c: from messages to compact copies. */
void dns_cluster_read_task(struct dns_cluster_task *t, const Mesos__V1__Task *from);
void dns_cluster_read_state(struct dns_cluster_task *t, Mesos__V1__TaskState state, const Mesos__V1__TaskStatus *status);
void dns_cluster_task_clear(struct dns_cluster_task *t); /* frees what the two above made */
bool dns_cluster_state_is_terminal(Mesos__V1__TaskState state);

/* The addresses of a host, NULL when there are none (yet). */
static inline const struct dns_cluster_ips *dns_cluster_host_ips(const struct dns_cluster_host *host)
{
    return host && host->ips.count > 0 ? &host->ips : NULL;
}

/* build.c: put the records of one entity between dns_book_begin and dns_book_commit. */
void dns_build_task(struct dns_cluster *c, const struct dns_cluster_task *t);
void dns_build_agent(struct dns_cluster *c, const struct dns_cluster_agent *a);
void dns_build_framework(struct dns_cluster *c, const struct dns_cluster_framework *f);
void dns_build_vip(struct dns_cluster *c, const struct dns_cluster_vip *v);
void dns_build_static(struct dns_cluster *c);
/* The addresses a task's names get, by the order of sources; NULL: none. */
const struct dns_cluster_ips *dns_build_task_ips(struct dns_cluster *c, const struct dns_cluster_task *t);
