/* SPDX-License-Identifier: Apache-2.0
 * cluster.h - the picture of the cluster that names are made from: agents, frameworks and tasks as the master's event
 * stream tells them (facts: mesos 3.3, net-cron A.4, B.4). Applies events, keeps what naming needs and nothing else, and
 * owns each entity's record set in the book. No clock, no I/O.
 *
 * A new subscription replaces the picture: what the new snapshot does not have goes, except tasks on agents that the new
 * leader has only recovered and not yet heard of. Those stay until their agent has registered again (and had
 * CLUSTER_SETTLE_MS to tell its tasks), or for CLUSTER_RECOVERY_MS, so that a failover of the master blanks no name. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/err.h"
#include "common/base/heap.h"
#include "common/base/list.h"
#include "common/base/map.h"
#include "common/base/vip_name.h"
#include "common/follow/picture.h"
#include "dns/book.h"

#define CLUSTER_RECOVERY_MS 600000
#define CLUSTER_SETTLE_MS 10000
#define CLUSTER_LOOKUP_MS 60000 /* until a host name is looked up again; at first sooner when it had no address */
#define CLUSTER_IPS_MAX 16      /* of one task and source, of one host */
#define CLUSTER_PORTS_MAX 256   /* of one task and kind */
#define CLUSTER_VIPS_MAX 64     /* of one task */
#define CLUSTER_MASTERS_MAX 16

struct dns_cluster_ips {
    uint32_t count;
    struct dns_ip *v;
};

enum dns_cluster_source { CLUSTER_NETINFO, CLUSTER_MESOS, CLUSTER_DOCKER, CLUSTER_HOST, CLUSTER_SOURCES };

struct dns_cluster_port {
    uint16_t number;
    char *name, *protocol; /* NULL: none */
};

struct dns_cluster_port_range {
    uint16_t first, last;
};

struct dns_cluster_agent;
struct dns_cluster_framework;

/* A named VIP that a port of the task declares. */
struct dns_cluster_task_vip {
    char *label;
    bool is_host_port; /* its back end is the agent's address, else the task's own */
};

struct dns_cluster_task {
    char *id, *name;
    char *discovery_name; /* NULL: the task has no discovery information (facts: net-cron A.3) */
    struct dns_cluster_agent *agent;
    struct dns_cluster_framework *framework;
    struct list in_agent, in_framework, dirty;
    uint32_t epoch; /* subscription that last told of it */
    bool is_running, is_killing, is_unhealthy;
    bool has_host_port;                       /* some port of it is mapped on the agent */
    double running_time;                      /* of the newest running status, seconds; addresses are from that */
    struct dns_cluster_ips ips[CLUSTER_HOST]; /* by source; CLUSTER_HOST is the agent's */
    struct dns_cluster_port *ports;           /* of the discovery information */
    uint32_t port_count;
    struct dns_cluster_port_range *ranges; /* of resources.ports */
    uint32_t range_count;
    struct dns_cluster_task_vip *vips;
    uint32_t vip_count;
    struct dns_book_set *records;
    struct dns_vip_use *uses; /* the VIPs this task is counted in */
    uint32_t use_count;
};

/* An address or a host name that somebody refers to. */
struct dns_cluster_host {
    char *name;
    uint32_t references;
    struct dns_cluster_ips ips; /* none while a name is not resolved */
    struct list wanted;         /* linked: to be given to the resolver */
    struct heap_node again;     /* when it is looked up again */
    unsigned failures;          /* in a row */
    struct list agents, frameworks;
};

struct dns_cluster_agent {
    char *id, *hostname;           /* hostname NULL: not told yet */
    struct dns_cluster_host *host; /* of the pid */
    uint16_t port;
    bool is_listed;    /* the master knows it as registered; otherwise only tasks refer to it */
    bool is_recovered; /* of a new leader: not registered again yet */
    uint32_t epoch;
    int64_t hold_until_ms; /* tasks of an older epoch stay until then; 0: nothing is held */
    struct list tasks, dirty, held, in_host;
    struct dns_book_set *records;
};

struct dns_cluster_framework {
    char *id;
    char *name;                    /* NULL: only tasks refer to it so far */
    struct dns_cluster_host *host; /* NULL: none */
    bool is_listed;
    uint32_t epoch;
    struct list tasks, dirty, in_host;
    struct dns_book_set *records;
};

/* How names are made (facts: net-cron A.9, B.2). Texts are borrowed for the cluster's life. */
struct dns_cluster_naming {
    const char *domain; /* "mesos" */
    enum dns_label_style style;
    enum dns_cluster_source sources[CLUSTER_SOURCES];
    size_t source_count;
    bool serves_unhealthy; /* names of running tasks that fail their health check */
    bool has_dcos;         /* the zones of DC/OS */
    struct vip_range vip_range;
    const char *soa_mname;
    const struct dns_ip *own_ips; /* addresses we serve at, for soa_mname */
    size_t own_ip_count;
    const struct dns_ip *node_ips; /* of this machine, for thisnode.thisdcos.directory */
    size_t node_ip_count;
    const struct dns_ip *public_ips; /* of this machine as others see it */
    size_t public_ip_count;
};

struct dns_cluster;

struct dns_cluster *dns_cluster_new(const struct dns_cluster_naming *naming, struct dns_book *book);
struct dns_cluster *dns_cluster_free(struct dns_cluster *c);

/* Applies one event of the stream. 0, or -EPROTO for what cannot be read (nothing of it may have been applied: subscribe
 * again). The arena is the caller's and is reset between the parts of a large snapshot. */
int dns_cluster_apply(struct dns_cluster *c, enum wire_format format, const void *event, size_t len, int64_t now_ms,
                      struct arena *arena, struct picture_told *told, struct err *err);

/* Who leads, and all masters, numeric. The leader is added to the list when it is not in it. */
struct dns_cluster_master {
    struct dns_ip ip;
    uint16_t port;
};
void dns_cluster_set_masters(struct dns_cluster *c, const struct dns_cluster_master *leader,
                             const struct dns_cluster_master *masters, size_t count);

/* Host names that wait to be looked up: gives one at a time, NULL when there is none. The answer (count 0: no address was
 * found, and what is known stays) goes to dns_cluster_resolved, and after a while the name is given again. */
const char *dns_cluster_next_host(struct dns_cluster *c);
void dns_cluster_resolved(struct dns_cluster *c, const char *host, const struct dns_ip *ips, size_t count, int64_t now_ms);

/* Ends holds and repeats look-ups that are due. */
void dns_cluster_tick(struct dns_cluster *c, int64_t now_ms);
int64_t dns_cluster_next_deadline(const struct dns_cluster *c); /* INT64_MAX: none */

/* Makes the records of everything that changed since the last call; then dns_book_publish shows them. */
void dns_cluster_flush(struct dns_cluster *c);

size_t dns_cluster_task_count(const struct dns_cluster *c);
size_t dns_cluster_agent_count(const struct dns_cluster *c);
size_t dns_cluster_framework_count(const struct dns_cluster *c);
/* For listings: in the order in which they came up. */
const struct dns_cluster_agent *dns_cluster_agent_at(struct dns_cluster *c, struct map_entry **iterator);
const struct dns_cluster_master *dns_cluster_masters(const struct dns_cluster *c, size_t *count);
struct dns_cluster_framework *dns_cluster_framework_at(struct dns_cluster *c, struct map_entry **iterator);
void dns_cluster_check_invariants(const struct dns_cluster *c);
