/* SPDX-License-Identifier: Apache-2.0
 * agent.h - the agent's core: its session with the master, frameworks, executors and tasks on this machine, their status
 * updates and what is checkpointed of them. A step function: no system call, no clock, no global (see event.h).
 *
 * It decides; containers are started and ended by the launcher port, bytes are kept by the store port, both driven by a
 * shell (main.c) or by the simulator. A state survives a crash if and only if its AGENT_IN_STORE_DONE has come.
 *
 * Every framework is checkpointed, also one that says checkpoint = false: its executors outlive the agent's process as
 * well. Only the environment tells such an executor the framework's wish (MESOS_CHECKPOINT=0), so an executor that wants
 * to end with its agent still can. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/event.h"
#include "common/base/err.h"

struct agent;

/* 0 in a duration means its default. Everything is copied. */
struct agent_config {
    const Mesos__V1__AgentInfo *info; /* without id: hostname, port, resources, attributes, domain */
    const char *ip;                   /* where executors reach the agent, and the address of tasks on the host's network */
    const char *work_dir;             /* absolute; sandboxes are below it */
    const char *version;
    uint64_t seed; /* for back-offs and ids; from the kernel's randomness in production */
    /* MESOS_EXECUTOR_AUTHENTICATION_TOKEN of a run, in the arena; NULL: executors get none. Pure. */
    char *(*executor_token)(void *ctx, const char *framework_id, const char *executor_id, const char *container_id,
                            struct arena *arena);
    void *executor_token_ctx;
    const char *domain_socket;               /* MESOS_DOMAIN_SOCKET of executors, NULL: none */
    const char *libprocess_ip;               /* LIBPROCESS_IP of executors, NULL: none */
    const struct launcher_env *executor_env; /* --executor_environment_variables: seeds every executor's environment */
    size_t executor_env_count;
    bool no_switch_user;                        /* run everything as the agent's own user */
    bool cpu_quota;                             /* --cgroups_enable_cfs: a hard cap from the request, too */
    int64_t container_pids_max;                 /* processes and threads of a container, 4096; negative: no limit */
    int64_t executor_registration_timeout_ms;   /* 1 min, from the start of the container's program */
    int64_t executor_reregistration_timeout_ms; /* 2 s */
    int64_t executor_shutdown_grace_ms;         /* 5 s */
    int64_t recovery_timeout_ms;                /* 15 min, told to executors */
    int64_t registration_backoff_ms;            /* 1 s, doubling to 1 min */
    int64_t gc_delay_ms;                        /* 1 week */
};

struct agent *agent_new(const struct agent_config *config);
struct agent *agent_free(struct agent *a); /* accepts NULL, returns NULL */

/* Takes one event and gives its effects (reset before they are filled). 0, or -EINVAL for an event that cannot be (a second
 * AGENT_IN_STARTED, anything after AGENT_OUT_EXIT). */
int agent_step(struct agent *a, const struct agent_event *in, struct agent_effects *out);

/* When AGENT_IN_TICK is wanted, in now_ms; INT64_MAX: never. */
int64_t agent_next_deadline(const struct agent *a);

/* CHECKs every rule the parts rely on. Linear in everything; for tests and the simulator. */
void agent_check_invariants(const struct agent *a);

/* -- queries, for the API and for tests ----------------------------------------------------------------------- */

enum agent_phase {
    AGENT_PHASE_STARTING,   /* before AGENT_IN_STARTED */
    AGENT_PHASE_CONTAINERS, /* the launcher looks for the containers of before */
    AGENT_PHASE_EXECUTORS,  /* executors of before may come back; only SUBSCRIBE is served */
    AGENT_PHASE_RUNNING,
    AGENT_PHASE_LEAVING, /* refused or unregistered: everything is being ended */
    AGENT_PHASE_ENDED,
};
enum agent_phase agent_phase(const struct agent *a);
const char *agent_id(const struct agent *a); /* NULL before the first registration */
bool agent_is_registered(const struct agent *a);

struct agent_counts {
    size_t frameworks, executors_registering, executors_running, executors_terminating, executors_terminated;
    size_t tasks_staging, tasks_starting, tasks_running, tasks_killing, tasks_terminal; /* live records */
    size_t updates_pending;                                 /* not yet acknowledged by the scheduler */
    uint64_t finished, failed, killed, lost, gone, dropped; /* since the start */
    uint64_t valid_updates, invalid_updates, valid_messages, invalid_messages, launch_errors;
    uint64_t sandboxes_removed, sandboxes_failed;
    size_t sandboxes_pending;
};
void agent_count(const struct agent *a, struct agent_counts *out);

/* Newest known state of a task that is not completed, or -1. */
int agent_task_state(const struct agent *a, const char *framework_id, const char *task_id);
/* Container of an executor that is not forgotten, or NULL. */
const char *agent_container_of(const struct agent *a, const char *framework_id, const char *executor_id);
