/* SPDX-License-Identifier: Apache-2.0
 * state.h - what the core remembers, and who owns what. Internal to master/; read by snapshot.c and the API files, changed
 * only by the files of the core, each its own part.
 *
 *   master ─┬─ links        one per connected agent
 *           ├─ agents ───────┬─ offers     (list)   an offer is in its agent's and its framework's list
 *           │                ├─ tasks      (list)   all tasks the master holds there, terminal unacknowledged ones too
 *           │                ├─ executors  (hash)   custom and default executors
 *           │                ├─ operations (list)   owner of the operation; with a framework it is in its list, too
 *           │                └─ filters    (list)
 *           └─ frameworks ───┬─ tasks      (hash)   owner of the task
 *                            ├─ unreachable (hash)  tasks of unreachable agents
 *                            ├─ completed  (list)   last ones, bounded
 *                            ├─ clients    (array)  the framework in one role: a leaf of the share tree
 *                            └─ offers     (list)
 *
 * Amounts of an agent, without shared volumes: total = free + offered + used. A shared volume is free or in one offer,
 * however many tasks use it. free is kept; offered is the sum of its offers, used that of its tasks whose resources are not
 * released and of its executors. */
#pragma once

#include <uthash.h>

#include "common/base/heap.h"
#include "common/base/list.h"
#include "common/base/map.h"
#include "common/base/rng.h"
#include "common/resource/resource.h"
#include "master/event.h"
#include "master/master.h"
#include "master/share_drf.h"

#define MASTER_TASK_STATE_COUNT 14 /* values of mesos.v1.TaskState are 0..13 */
#define MASTER_MINIMUMS_MAX 8      /* amounts in min_allocatable_resources */
#define MASTER_MINIMUM_NAME_SIZE 48
/* Of an executor's message or the data of a status: more would not fit into the stream of a scheduler. */
#define MASTER_DATA_BYTES_MAX (2u << 20)
#define MASTER_REMOVED_AGENTS_MAX 10000
#define MASTER_GONE_AGENTS_MAX 102400
#define MASTER_UNREACHABLE_AGENTS_MAX 102400
#define MASTER_ROLES_MAX 256 /* roles of one framework */
#define MASTER_QUOTAS_MAX 1000
#define MASTER_QUOTA_AMOUNTS_MAX 16      /* names in one guarantee or limit */
#define MASTER_AGENT_OPERATIONS_MAX 1000 /* of one agent, not yet acknowledged */

/* -- agents ----------------------------------------------------------------------------------------------------- */

/*            Register                    Reregister
 *     (none) ────────▶ ADMITTING   RECOVERED ─────────▶ CONNECTED ◀──┐
 *                          │ stored     │ time-out          │ link   │ Reregister
 *                          ▼            │                   ▼ lost   │
 *                      CONNECTED        │             DISCONNECTED ──┘
 *                          │ no pongs   │                   │ time-out
 *                          ▼            ▼                   ▼
 *                        LEAVING (to be UNREACHABLE once stored) ──▶ UNREACHABLE ── Reregister, stored ──▶ CONNECTED
 *     Unregister, replaced: LEAVING (to be forgotten once stored)
 *     MARK_AGENT_GONE in any state but ADMITTING: LEAVING (to be forgotten once stored) */
enum master_agent_state {
    MASTER_AGENT_ADMITTING,
    MASTER_AGENT_RECOVERED,
    MASTER_AGENT_CONNECTED,
    MASTER_AGENT_DISCONNECTED,
    MASTER_AGENT_LEAVING,
    MASTER_AGENT_UNREACHABLE,
    MASTER_AGENT_READMITTING,
};

struct master_link {
    UT_hash_handle hh; /* by id */
    link_id id;
    uint64_t serial; /* in order of coming up */
    char *peer_ip;
    bool hello_seen;
    struct master_agent *agent; /* NULL before it is known */
};

/* A machine of the maintenance schedule: maintenance.c. */
struct master_machine {
    Mesos__V1__MachineID *id;
    bool is_down; /* else DRAINING */
    bool has_duration;
    int64_t start_ns, duration_ns;
};

/* DRAIN_AGENT: drain.c. */
struct master_drain {
    int state; /* of mesos.v1.DrainState, 0: none */
    bool has_max_grace;
    int64_t max_grace_ns;
    bool mark_gone;       /* once drained */
    int64_t start_ms;     /* wall */
    uint64_t write_token; /* of the write that makes it durable, 0: it is */
};

struct master_agent {
    UT_hash_handle hh; /* by id */
    char *id;
    uint64_t serial;
    enum master_agent_state state;
    struct master_link *link; /* while one is up */
    uint64_t link_serial;     /* of the newest one it was bound to */
    Mesos__V1__AgentInfo *info;
    char *ip, *version;
    int64_t registered_ms, reregistered_ms, unreachable_ms; /* wall; 0: never */

    struct resources *total, *free;
    struct quantities total_amounts; /* counted in the cluster's total while is_counted */
    bool is_counted;
    bool has_reservations, has_gpus;
    bool is_deactivated; /* by an operator: no offers */
    struct master_drain drain;
    bool is_overcommitted; /* it came back with less than its tasks use: no offers until that ends */

    struct list offers, tasks, filters;
    struct list unreachable_tasks; /* those it took along; they are in their frameworks' tables */
    struct list operations;
    size_t operation_count;
    struct master_executor *executors;
    size_t filter_count;

    /* What of `free` is reserved, by top role, while there are quotas: budget.c. */
    struct master_reserved {
        char *role;
        struct quantities amounts;
    } * reserved;
    size_t reserved_count;

    struct list inverses;     /* inverse.c: one per framework that was asked to leave */
    struct list inverse_node; /* in master.inverse_agents while it is to be looked at */

    struct heap_node timer; /* ping, or time-out of coming back */
    uint64_t ping_sequence;
    int pings_missed;
    bool pong_awaited;

    struct list free_node;  /* in master.free_agents while something is free and offers may be made */
    struct list dirty_node; /* in master.dirty_agents or returned_agents */
    struct list unreachable_node;
    uint64_t fresh_pass;
    uint64_t mark; /* scratch of walks that visit an agent once */
};

/* -- frameworks ------------------------------------------------------------------------------------------------- */

enum master_framework_state {
    MASTER_FRAMEWORK_RECOVERED, /* known from the registry or from an agent; no scheduler since this master began */
    MASTER_FRAMEWORK_CONNECTED,
    MASTER_FRAMEWORK_DISCONNECTED,
    MASTER_FRAMEWORK_LEAVING, /* to be forgotten once stored */
    MASTER_FRAMEWORK_COMPLETED,
};

enum {
    MASTER_CAN_PARTITION = 1 << 0,
    MASTER_CAN_MULTI_ROLE = 1 << 1,
    MASTER_CAN_REFINEMENT = 1 << 2,
    MASTER_CAN_KILLING = 1 << 3,
    MASTER_CAN_GPU = 1 << 4,
    MASTER_CAN_SHARED = 1 << 5,
    MASTER_CAN_REVOCABLE = 1 << 6,
    MASTER_CAN_REGION = 1 << 7,
};

/* Alternatives of which one must be there to make an offer worth while. count 0: anything. */
struct master_minimums {
    size_t count;
    struct {
        char name[MASTER_MINIMUM_NAME_SIZE];
        int64_t millis;
        bool with_previous; /* needed together with the item before (";"), else an alternative to it ("|") */
    } item[MASTER_MINIMUMS_MAX];
};

struct master_role {
    UT_hash_handle hh; /* by name */
    char *name;
    struct master_role *parent;
    struct share_node node; /* groups leaf and the nodes of child roles */
    struct share_node own;  /* groups the clients of this very role */
    struct list clients;
    size_t uses;                /* clients, child roles, and whoever holds it */
    struct master_role *top;    /* the ancestor without a parent, maybe itself */
    struct master_quota *quota; /* of a top role, NULL: the default */
    struct list blocked_node;   /* of a top role: in master.blocked_roles when its quota, or that of others, cut an offer */
};

/* Amounts by name; quota names things no agent may have, so they are not quantities. */
struct master_amounts {
    size_t count;
    struct {
        char name[MASTER_MINIMUM_NAME_SIZE];
        int64_t millis;
    } item[MASTER_QUOTA_AMOUNTS_MAX];
};

/* Of a top role: quota.c. */
struct master_quota {
    struct master_role *role;                 /* held */
    struct master_amounts guarantees, limits; /* a name without a limit has none */
    struct quantities reserved_free;          /* reserved to the role or one below it, and free: budget.c */
};

/* One framework in one role. Lives while the framework subscribes to the role or holds something in it. */
struct master_client {
    struct share_node node;
    struct master_framework *framework;
    struct master_role *role;
    struct list role_node;
    uint64_t serial;
    bool is_subscribed, is_suppressed;
    struct master_constraints *constraints; /* on agents; NULL: none */
    struct master_minimums *minimums;       /* of its offer filters; NULL: the master's */
    size_t held;                            /* offers, tasks and executors whose resources are charged to it */
    struct list filters;
    struct list fresh_node; /* in master.fresh_clients: everything free is to be tried for it */
};

struct master_framework {
    UT_hash_handle hh; /* by id, in master.frameworks or master.completed_frameworks */
    char *id;
    uint64_t serial;
    enum master_framework_state state;
    stream_id stream; /* 0: none */
    bool under_pressure;
    Mesos__V1__FrameworkInfo *info;
    uint8_t *packed_info; /* the same, as agents get it */
    size_t packed_info_len;
    uint8_t *packed_constraints; /* mesos.v1.scheduler.OfferConstraints, NULL: none */
    size_t packed_constraints_len;
    unsigned capabilities;                                                    /* MASTER_CAN_* */
    int64_t registered_ms, reregistered_ms, unregistered_ms, disconnected_ms; /* wall; 0: never */

    struct master_client **clients;
    size_t client_count;
    struct master_task *tasks, *unreachable;
    struct list completed;
    size_t completed_count;
    struct list offers, executors, operations;
    struct map operation_ids; /* the framework's id of an operation to the operation, of those that have one */
    uint64_t state_counts[MASTER_TASK_STATE_COUNT]; /* of live, unreachable and remembered completed tasks */

    /* What RECONCILE still has to answer: see reconcile.c. */
    struct list reconcile_node;         /* in master.reconciling */
    struct master_task *reconcile_next; /* implicit: the next of `tasks` */
    struct master_question {
        char *task_id, *agent_id; /* agent_id NULL: not told */
    } * questions;
    size_t question_count, question_at;

    struct list inverses; /* inverse.c */
    uint64_t inverse_mark;

    struct heap_node failover_timer, heartbeat_timer;
    struct list pass_node; /* in master.offered_frameworks during a pass */
    struct list pass_offers;
    size_t pass_offer_count;
    struct list completed_node;
};

/* An open scheduler stream. */
struct master_stream {
    UT_hash_handle hh; /* by id */
    stream_id id;
    struct master_framework *framework; /* NULL while its subscription is being stored */
};

/* -- offers, filters, tasks ------------------------------------------------------------------------------------- */

struct master_offer {
    UT_hash_handle hh; /* by number */
    uint64_t number;
    struct master_client *client;
    struct master_agent *agent;
    struct resources *resources; /* allocated to the role */
    struct quantities amounts;
    struct list agent_node, framework_node, pass_node;
    struct heap_node timer;
    bool is_named; /* scratch: named by the ACCEPT being worked on */
};

struct master_filter {
    UT_hash_handle hh; /* by the two serials; further filters of the same pair hang on next */
    struct {
        uint64_t client, agent;
    } key;
    struct master_filter *next;
    struct master_client *client;
    struct master_agent *agent;
    struct resources *refused; /* not allocated */
    struct heap_node timer;
    struct list agent_node, client_node;
};

struct master_executor {
    UT_hash_handle hh; /* in the agent, by `key` */
    struct master_framework *framework;
    struct master_agent *agent;
    struct master_client *client; /* charged; NULL when it has no resources */
    struct list framework_node;
    struct resources *resources; /* allocated */
    uint8_t *packed;             /* mesos.v1.ExecutorInfo */
    uint32_t packed_len;
    uint32_t key_len;
    uint64_t mark;
    const char *id; /* points into key */
    uint8_t key[];  /* framework serial, executor id, NUL */
};

struct master_task {
    UT_hash_handle hh; /* in its framework, by id */
    struct master_framework *framework;
    struct master_agent *agent;       /* NULL once completed */
    struct master_client *client;     /* charged while resources are */
    struct master_executor *executor; /* custom or default one; NULL for commands and once completed */
    struct list node;                 /* in the agent's tasks or unreachable_tasks, or in framework.completed */
    struct resources *resources;      /* allocated; NULL once released */
    uint8_t *packed;                  /* mesos.v1.Task without state and statuses */
    uint8_t *statuses;                /* records: uint32 length, packed mesos.v1.TaskStatus without data; oldest first */
    uint32_t packed_len, statuses_len, last_status; /* last_status: offset of the newest record */
    uint8_t state;                                  /* newest known to the agent */
    uint8_t update_state;                           /* of the newest forwarded update */
    bool has_uuid;
    bool is_kill_wanted; /* KILL while the agent was away */
    uint8_t uuid[16];    /* of the newest update, when has_uuid */
    uint64_t mark;
    char id[];
};

/* -- operations --------------------------------------------------------------------------------------------------- */

/*   (refused: OPERATION_ERROR, no object)
 *
 *   ACCEPT, operator ──▶ PENDING ──agent──▶ FINISHED, FAILED, DROPPED ──acknowledged──▶ (gone)
 *                           └── its agent is lost ──────────────────────────────────────▶ (gone; the scheduler is told)
 *
 * The conversion is in the agent's amounts here from the start. One without an id, or without a framework, is acknowledged
 * by the master itself. */
struct master_operation {
    UT_hash_handle hh; /* in master.operations, by uuid */
    uint8_t uuid[16];
    struct master_framework *framework; /* NULL: asked for by an operator, or the framework is gone */
    struct master_agent *agent;
    struct list agent_node, framework_node;
    char *id;           /* as its framework calls it; NULL: it wants no feedback */
    request_id request; /* of an operator who waits, 0: nobody */
    uint8_t *info;      /* packed mesos.v1.Offer.Operation */
    uint8_t *status;    /* packed mesos.v1.OperationStatus, the newest */
    uint32_t info_len, status_len;
    uint64_t mark;
    bool is_terminal, has_status_uuid;
    uint8_t status_uuid[16]; /* of the newest status */
};

/* -- store ------------------------------------------------------------------------------------------------------ */

enum master_write_kind {
    MASTER_WRITE_ADMIT,   /* new agent */
    MASTER_WRITE_READMIT, /* unreachable agent is back; message: packed Reregister */
    MASTER_WRITE_UNREACHABLE,
    MASTER_WRITE_FORGET_AGENT,
    MASTER_WRITE_GONE,
    MASTER_WRITE_AGENT,     /* drain.c: drained, deactivated or reactivated */
    MASTER_WRITE_SUBSCRIBE, /* message: packed scheduler call */
    MASTER_WRITE_UPDATE,    /* UPDATE_FRAMEWORK; message: packed scheduler call */
    MASTER_WRITE_REMOVE_FRAMEWORK,
    MASTER_WRITE_WEIGHTS,     /* message: packed UpdateWeights */
    MASTER_WRITE_QUOTA,       /* message: packed UpdateQuota */
    MASTER_WRITE_MAINTENANCE, /* message: packed registry record */
    MASTER_WRITE_RECORD,      /* nothing waits for it */
};

/* A write that is on its way and what to do once it is durable. */
struct master_write {
    struct list node;
    uint64_t token;
    enum master_write_kind kind;
    char *id; /* of the agent or framework */
    uint8_t *message;
    size_t message_len;
    link_id link;
    stream_id stream;
    request_id request; /* 0: nobody waits for an answer */
    int status;         /* of that answer */
};

/* -- the whole -------------------------------------------------------------------------------------------------- */

struct master_counters {
    uint64_t agent_registrations, agent_reregistrations, agent_removals, agent_removals_unhealthy,
        agent_removals_unregistered, agent_removals_registered;
    uint64_t tasks_ended[MASTER_TASK_STATE_COUNT];
    uint64_t calls[18]; /* by mesos.v1.scheduler.Call.Type */
    uint64_t messages_status_update, messages_register, messages_reregister, messages_unregister,
        messages_executor_to_framework, messages_exited_executor;
    uint64_t valid_status_updates, invalid_status_updates, valid_acknowledgements, invalid_acknowledgements;
    uint64_t dropped_messages;
    uint64_t offers_sent, offers_accepted, offers_declined, offers_rescinded, offers_expired;
    uint64_t allocation_passes, allocation_tries;
};

struct master {
    struct master_config config; /* strings are owned */
    char id[UUID_TEXT_SIZE];
    struct rng rng;
    bool is_started, is_halted;
    int64_t started_wall_ms;
    Mesos__V1__MasterInfo *info;

    /* of the step being made */
    int64_t now_ms, wall_ms;
    struct master_effects *out;

    uint64_t next_serial, next_token, next_mark;
    uint64_t next_framework, next_agent, next_offer;

    struct master_link *links;
    struct master_agent *agents;
    struct list unreachable_agents; /* oldest first */
    size_t unreachable_count, connected_count, recovered_count;
    struct map machines; /* "host|ip" to struct master_machine *, those of the maintenance schedule */
    uint8_t *schedule;   /* packed mesos.v1.maintenance.Schedule */
    size_t schedule_len;
    struct list inverse_agents;
    struct heap inverse_timers;
    struct map disconnected;  /* "ip:port" to agent: one that registers anew from there replaces it */
    struct map removed, gone; /* ids of agents that may not come back: departed.c */

    struct master_framework *frameworks, *completed_frameworks;
    struct master_stream *streams;
    struct list completed_order; /* oldest first */
    size_t observer_count;

    struct master_offer *offers;
    struct master_filter *filters;
    struct master_operation *operations;

    /* allocator */
    struct master_role *roles;
    struct map weights;              /* role to double *, of --weights and of operators */
    struct map quotas;               /* role to struct master_quota * */
    struct quantities reserved_free; /* of all counted agents, while there are quotas */
    struct list blocked_roles;
    int64_t blocked_due_ms; /* when blocked_roles are tried again, INT64_MAX: nothing came back yet */
    /* A new master with quotas waits for most of its agents before it makes offers (facts: mesos 7.7); 0: not, or no more
     */
    int64_t hold_until_ms;
    size_t hold_agents;
    struct map role_white_list; /* empty: any role may be used */
    struct share_node share_root;
    struct quantities total; /* of all counted agents */
    bool total_changed;
    struct master_minimums minimums;
    struct list free_agents, dirty_agents, returned_agents, fresh_clients, offered_frameworks;
    struct list reconciling;
    int64_t returned_due_ms; /* when returned_agents are served */
    uint64_t fresh_pass;

    struct heap agent_timers, failover_timers, heartbeat_timers, offer_timers, filter_timers;
    struct list writes;

    struct master_counters counters;
};
