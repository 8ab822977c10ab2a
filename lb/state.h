/* SPDX-License-Identifier: Apache-2.0
 * state.h - the parts of the core, for its own files only.
 *
 *   framework --+                        +-- name --- address
 *               +-- task -- share -- service -- the change that was last given
 *   agent ------+              |
 *                              +-- target (only with checks)                                                           */
#pragma once

#include "common/base/heap.h"
#include "common/base/list.h"
#include "common/base/map.h"
#include "common/base/rng.h"
#include "lb/lb.h"

/* What a task brings to one VIP. */
struct lb_share {
    struct lb_service *service;
    struct list in_service, in_target;
    struct lb_target *target; /* NULL without checks and for UDP */
    struct lb_backend backend;
};

/* One VIP: a name or an address, a protocol, a port. */
struct lb_service {
    char *key;
    struct lb_name *name; /* NULL: given by its address */
    struct lb_endpoint vip;
    struct list shares;
    struct list in_name, in_dirty;
    bool is_applied; /* the data plane knows it as follows */
    struct lb_endpoint applied_vip;
    struct lb_backend *applied;
    size_t applied_count;
};

struct lb_name {
    char *name;
    struct list services;
};

/* A back end that is checked; several shares may lead to it. */
struct lb_target {
    struct lb_endpoint at;
    struct list shares;
    struct heap_node due;
    unsigned failures;
    bool is_in_flight, is_down;
};

/* A port of a task that has VIPs. */
struct lb_port {
    uint8_t protocol;
    bool is_host; /* number is a port of the agent */
    uint16_t number;
    char **vips; /* label values */
    size_t vip_count;
};

struct lb_mapping {
    uint8_t protocol;
    uint16_t container_port, host_port;
};

struct lb_task {
    char *key;
    struct lb_framework *framework;
    struct lb_agent *agent;
    struct list in_framework, in_agent;
    int state; /* Mesos__V1__TaskState */
    bool has_check, is_healthy;
    uint64_t seen; /* picture in which it was last told of */
    struct lb_port *ports;
    size_t port_count;
    struct lb_mapping *mappings;
    size_t mapping_count;
    struct lb_endpoint addresses[LB_TASK_ADDRESSES_MAX];
    size_t address_count;
    struct lb_share **shares;
    size_t share_count;
};

struct lb_agent {
    char *id;
    bool has_address, is_held; /* held: known to the master, not back yet */
    struct lb_endpoint address;
    struct list tasks;
    struct heap_node held_until;
    uint64_t seen;
};

struct lb_framework {
    char *id;
    char *name; /* NULL: not known yet */
    struct list tasks;
    uint64_t seen;
};

struct lb {
    struct lb_config config;
    struct rng rng;
    struct map frameworks, agents, tasks, services, names, targets;
    struct vip_names *addresses;
    struct list dirty;
    struct heap held, checks;
    size_t checks_in_flight;
    uint64_t picture; /* number of the newest one */
    bool is_current;
    int64_t current_at_ms, now_ms;
    uint64_t rejected_labels;
    struct arena *arena; /* of the effects */
    struct lb_effects out;
    size_t effect_capacity;
};

struct lb_effect *lb_effect(struct lb *lb, enum lb_effect_type type); /* valid until the next one */
void lb_trace(struct lb *lb, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* tasks.c - from the stream to tasks, from tasks to shares */
struct lb_framework *lb_framework_get(struct lb *lb, const char *id);
void lb_framework_update(struct lb *lb, const Mesos__V1__FrameworkInfo *info);
void lb_framework_remove(struct lb *lb, struct lb_framework *framework);
struct lb_agent *lb_agent_get(struct lb *lb, const char *id);
void lb_agent_update(struct lb *lb, const Mesos__V1__Master__Response__GetAgents__Agent *agent);
void lb_agent_remove(struct lb *lb, struct lb_agent *agent);
void lb_task_update(struct lb *lb, const Mesos__V1__Task *from);
void lb_task_status(struct lb *lb, const Mesos__V1__Master__Event__TaskUpdated *update);
void lb_task_remove(struct lb *lb, struct lb_task *task);

/* ports.c - which VIPs a task declares, for which of its ports, and where it is */
void lb_ports_read(struct lb *lb, struct lb_task *task, const Mesos__V1__Task *from);
void lb_ports_read_status(struct lb_task *task, const Mesos__V1__TaskStatus *status);
void lb_ports_free(struct lb_task *task);

/* services.c - VIPs, their addresses and what the data plane knows of them. A service without shares goes at the next
 * flush. lb_service_get: NULL is traced and counted. */
struct lb_service *lb_service_get(struct lb *lb, const struct lb_task *task, const char *value, uint8_t protocol,
                                  bool is_ipv6);
void lb_service_changed(struct lb *lb, struct lb_service *service);
void lb_services_flush(struct lb *lb);
void lb_services_moved(void *ctx, const char *name, uint32_t address);
void lb_service_free(struct lb *lb, struct lb_service *service);

/* checks.c - active checks of back ends */
void lb_target_attach(struct lb *lb, struct lb_share *share); /* nothing happens when none are made */
void lb_target_detach(struct lb *lb, struct lb_share *share);
void lb_checks_start_due(struct lb *lb);
void lb_checks_on_checked(struct lb *lb, const struct lb_endpoint *at, bool is_up);
