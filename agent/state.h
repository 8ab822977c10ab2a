/* SPDX-License-Identifier: Apache-2.0
 * state.h - what the agent's core knows. Private to agent/: the parts (one file per concern) work on it, the API files read
 * it, nobody else includes it.
 *
 * Owners: the agent owns frameworks, a framework its executors and tasks, a task its updates. An executor points at the
 * tasks it runs without owning them. Whatever waits for the store keeps ids, not pointers (struct agent_pending).
 *
 * Executor:  REGISTERING --subscribe--> RUNNING --shutdown--> TERMINATING --container ended--> TERMINATED --last
 *            acknowledgement--> COMPLETED.  From REGISTERING and RUNNING a container's end leads straight to TERMINATED.
 * Task:      STAGING (queued, then sent) --updates--> ... --terminal update--> terminal --acknowledged--> completed. */
#pragma once

#include "agent/agent.h"
#include "common/base/heap.h"
#include "common/base/list.h"
#include "common/base/map.h"
#include "common/base/rng.h"
#include "common/resource/resource.h"
#include "muster/checkpoint.pb-c.h"

#define AGENT_STATE(x) MESOS__V1__TASK_STATE__TASK_##x
#define AGENT_REASON(x) MESOS__V1__TASK_STATUS__REASON__REASON_##x

#define AGENT_UNREGISTERED_TEXT "unregistered as asked"
#define AGENT_UPDATE_UUID_SIZE 16
#define AGENT_OPERATION_NAME_SIZE (2 * AGENT_UPDATE_UUID_SIZE + 1)
#define AGENT_TASK_HISTORY_MAX 16         /* statuses kept per task */
#define AGENT_TASK_UPDATES_MAX 256        /* unacknowledged ones per task; more are refused with 503 */
#define AGENT_TASK_BYTES_MAX (6u << 20)   /* of one packed TaskInfo: its record must fit into the store, too */
#define AGENT_STATUS_BYTES_MAX (1u << 20) /* of one packed status, more is refused with 400 */
#define AGENT_COMPLETED_TASKS_MAX 200     /* per executor */
#define AGENT_COMPLETED_EXECUTORS_MAX 150 /* per framework */
#define AGENT_COMPLETED_TOTAL_MAX 1000    /* completed executors of all frameworks */
#define AGENT_COMPLETED_FRAMEWORKS_MAX 50
#define AGENT_UPDATE_RETRY_MIN_MS 10000
#define AGENT_UPDATE_RETRY_MAX_MS 600000
#define AGENT_EXECUTOR_HEARTBEAT_MS (30 * 60 * 1000)

enum agent_timer_kind {
    AGENT_TIMER_CONNECT,   /* open the next link */
    AGENT_TIMER_LINK,      /* the master owes an answer or a ping */
    AGENT_TIMER_EXECUTORS, /* executors of before had their time to come back */
    AGENT_TIMER_DEADLINE,  /* of an executor: to register, to end by itself, or to end its killed task */
    AGENT_TIMER_HEARTBEAT, /* of an executor's stream */
    AGENT_TIMER_RETRY,     /* of a task's oldest update */
    AGENT_TIMER_SANDBOXES, /* the oldest sandbox is due */
    AGENT_TIMER_OPERATION, /* of an operation's end */
};
struct agent_timer {
    struct heap_node node;
    enum agent_timer_kind kind;
};

struct agent_update { /* in a task's updates or history */
    struct list link;
    uint8_t uuid[AGENT_UPDATE_UUID_SIZE];
    uint32_t sequence; /* orders the keys in the store */
    int state;
    bool durable;
    bool acknowledged;
    bool from_executor; /* owes the executor an ACKNOWLEDGED */
    size_t len;
    uint8_t status[]; /* packed TaskStatus */
};

/* What a task or an executor counts for in its container's limits. */
struct agent_demand {
    int64_t cpu_millis, memory_bytes;
    int64_t cpu_limit_millis, memory_limit_bytes; /* -1: no limit asked for; INT64_MAX: unlimited */
};

struct agent_task {
    char *id;
    struct agent_framework *framework;
    struct agent_executor *executor; /* NULL: refused before it had one */
    uint8_t *info;                   /* packed TaskInfo */
    size_t info_len;
    struct agent_demand demand;
    struct list queue_link; /* in its executor's queue until it is sent */
    uint64_t group;         /* tasks of equal group are delivered in one LAUNCH_GROUP; 0: alone */
    bool stored;            /* its record is on disk */
    bool sent;              /* the executor was given it */
    bool recovered;         /* from before the agent's start */
    bool kill_wanted;       /* sent again when the executor comes back */
    bool has_kill_grace;
    int64_t kill_grace_ns;
    int state;          /* newest durable */
    int accepted_state; /* newest known, perhaps still on its way to the disk */
    uint32_t next_sequence;
    struct list updates; /* oldest first; the first may be in flight */
    size_t update_count;
    struct list history; /* acknowledged, one per run of equal states */
    size_t history_count;
    bool in_flight;
    int64_t retry_ms;
    struct agent_timer retry;
};

struct agent_completed_task {
    struct list link;
    size_t len;
    uint8_t task[]; /* packed mesos.v1.Task */
};

enum agent_executor_state {
    AGENT_EXECUTOR_REGISTERING,
    AGENT_EXECUTOR_RUNNING,
    AGENT_EXECUTOR_TERMINATING,
    AGENT_EXECUTOR_TERMINATED,
    AGENT_EXECUTOR_COMPLETED,
};
const char *agent_executor_state_name(enum agent_executor_state state);

/* Why an executor's tasks end when its container does; the first cause wins. */
struct agent_cause {
    int state; /* for every task: FAILED, or LOST which becomes GONE or DROPPED for a partition-aware framework */
    int aware_state;
    int reason;
    char *message;
};

struct agent_executor {
    char *id;
    struct agent_framework *framework;
    char container_id[UUID_TEXT_SIZE];
    char *directory; /* of the sandbox, relative to work_dir */
    uint8_t *info;   /* packed ExecutorInfo */
    size_t info_len;
    bool command; /* made for one command task */
    bool builtin;
    enum agent_executor_state state;
    bool launched;  /* the launcher owes started and ended */
    bool started;   /* its program runs */
    bool recovered; /* from before the agent's start and not subscribed since */
    bool served;    /* a task of it was sent or has ended */
    bool served_saved;
    int pid;           /* of the container's init, 0 unknown */
    stream_id stream;  /* 0: not connected */
    struct map tasks;  /* id to struct agent_task, not completed ones */
    struct list queue; /* tasks not sent yet */
    struct agent_demand demand;
    int64_t shutdown_grace_ms;
    int64_t memory_hard_bytes;     /* the highest so far, -1: none; never lowered */
    struct launcher_limits limits; /* as last given to the launcher */
    struct agent_timer deadline, heartbeat;
    bool has_cause;
    struct agent_cause cause;
    struct list completed_tasks; /* newest last */
    size_t completed_task_count;
    struct list completed_link, total_link; /* when COMPLETED: of the framework, of the agent */
};

struct agent_framework {
    char *id;
    uint8_t *info; /* packed FrameworkInfo */
    size_t info_len;
    char *user, *name;
    bool checkpoint; /* its wish, for MESOS_CHECKPOINT only */
    bool partition_aware;
    bool terminating; /* being removed: no updates any more */
    bool completed;   /* nothing of it is here; remembered for people */
    struct map executors, tasks;
    struct list completed_executors; /* oldest first */
    size_t completed_executor_count;
    struct list completed_link;
};

struct agent_sandbox { /* of a finished run, oldest first */
    struct list link;
    char *container_id, *directory;
    int64_t due_ms; /* wall clock */
    bool removing;
};

struct agent_operation { /* until its end is acknowledged */
    uint8_t uuid[AGENT_UPDATE_UUID_SIZE];
    char name[AGENT_OPERATION_NAME_SIZE]; /* the same in hex */
    uint64_t sequence;                    /* order of coming */
    char *framework_id;                   /* NULL: asked for by an operator */
    uint8_t *info;                        /* packed mesos.v1.Offer.Operation */
    size_t info_len;
    uint8_t *status; /* packed mesos.v1.OperationStatus of its end, NULL: its volumes are not ready */
    size_t status_len;
    bool is_durable; /* the status is */
    int64_t retry_ms;
    struct agent_timer retry;
};

enum agent_pending_kind {
    AGENT_PENDING_TASK,
    AGENT_PENDING_UPDATE,
    AGENT_PENDING_ACKNOWLEDGED,
    AGENT_PENDING_OPERATION, /* its name is in task_id */
    AGENT_PENDING_WIPED
};
struct agent_pending { /* what goes on when a write is on disk */
    struct list link;
    enum agent_pending_kind kind;
    uint64_t token;
    uint32_t sequence;
    char *framework_id, *executor_id, *task_id; /* as the kind needs; one allocation with the struct */
};

enum agent_session_state {
    AGENT_SESSION_IDLE,
    AGENT_SESSION_CONNECTING,
    AGENT_SESSION_REGISTERING,
    AGENT_SESSION_REGISTERED
};
struct agent_session {
    enum agent_session_state state;
    link_id link, next_link;
    int64_t backoff_ms;      /* bound of the next random wait */
    int64_t ping_timeout_ms; /* told by the master */
    char *master_hostname;
    struct agent_timer connect, watchdog;
};

struct agent_drain { /* drain.c */
    bool is_on;
    bool mark_gone;
    bool has_max_grace;
    int64_t max_grace_ns;
    int64_t start_ms; /* wall */
};

struct agent {
    struct agent_config config; /* strings in config_arena */
    struct arena *config_arena;
    Mesos__V1__AgentInfo *info; /* ours, in config_arena, with id once we have one */
    char *id;
    char *boot_id;
    struct rng rng;
    enum agent_phase phase;
    bool unregister_wanted; /* asked for before recovery was over */
    bool wiping;            /* leaving, and the last write is on its way */
    int exit_status;
    char *exit_text; /* when LEAVING */
    int64_t start_wall_ms;
    struct agent_session session;
    struct agent_drain drain;
    struct map frameworks; /* id to struct agent_framework, completed ones too */
    struct map streams;    /* stream_id to struct agent_executor */
    struct map containers; /* container id to struct agent_executor, until TERMINATED */
    struct list completed_frameworks, completed_executors;
    size_t completed_framework_count, completed_executor_count;
    size_t executor_count; /* not completed */
    size_t recovering;     /* executors of before that run and have not come back */
    struct list sandboxes;
    size_t sandbox_count;
    struct resources *total; /* what is offered, with reservations and volumes; not allocated */
    struct map operations;   /* name to struct agent_operation, in order of coming but for those of before */
    uint64_t last_operation;
    struct agent_timer executors_timer, sandbox_timer;
    struct heap timers;
    uint64_t next_group;
    struct agent_counts counts; /* the totals since the start */
    struct list pending;
    uint64_t token; /* of this step's writes */
    /* only within a step */
    struct agent_effects *out;
    int64_t now_ms, wall_ms;
    struct store_write *writes;
    size_t write_count, write_capacity;
};

static inline bool agent_state_is_terminal(int state)
{
    switch (state) {
    case AGENT_STATE(FINISHED):
    case AGENT_STATE(FAILED):
    case AGENT_STATE(KILLED):
    case AGENT_STATE(LOST):
    case AGENT_STATE(ERROR):
    case AGENT_STATE(DROPPED):
    case AGENT_STATE(GONE):
    case AGENT_STATE(GONE_BY_OPERATOR):
        return true;
    default:
        return false;
    }
}

/* -- effects (effects.c) --------------------------------------------------------------------------------------- */

struct agent_effect *agent_emit(struct agent *a, enum agent_effect_type type);
void agent_trace(struct agent *a, enum log_level level, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void agent_reply(struct agent *a, request_id request, int status, const char *text);
/* The message is filled by the caller; its parts must live in the effects' arena. */
void agent_link_send(struct agent *a, const Muster__Link__AgentToMaster *message);
void agent_send_event(struct agent *a, const struct agent_executor *e, const Mesos__V1__Executor__Event *event);

/* Small messages in an arena. */
Mesos__V1__FrameworkID *agent_wire_framework_id(struct arena *arena, const char *id);
Mesos__V1__ExecutorID *agent_wire_executor_id(struct arena *arena, const char *id);
Mesos__V1__TaskID *agent_wire_task_id(struct arena *arena, const char *id);
Mesos__V1__AgentID *agent_wire_agent_id(struct arena *arena, const char *id);
Mesos__V1__ContainerID *agent_wire_container_id(struct arena *arena, const char *id);
ProtobufCBinaryData agent_wire_bytes(struct arena *arena, const void *data, size_t len);
/* Unpacks what the agent packed itself: cannot fail. */
void *agent_unpack(const ProtobufCMessageDescriptor *type, const void *data, size_t len, struct arena *arena);

void agent_timer_set(struct agent *a, struct agent_timer *t, int64_t delay_ms);
void agent_timer_stop(struct agent *a, struct agent_timer *t);
