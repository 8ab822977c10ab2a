/* SPDX-License-Identifier: Apache-2.0
 * master.h - the master's core: agents, frameworks, offers, tasks and the registry, as one step function. It makes no
 * system call and reads no clock. Reading its state for the APIs is master/snapshot.h. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/auth/acl.h"
#include "common/base/err.h"
#include "master/event.h"

struct master;

#define MASTER_HEARTBEAT_MS 15000 /* scheduler streams; facts: mesos 1.4 */

struct auth_acls;
struct master_config {
    uint64_t seed;        /* of all random draws; also of the master's own id */
    const char *hostname; /* advertised */
    const char *ip;       /* advertised, numeric */
    uint16_t port;
    const char *version;                   /* of the API, dotted numbers */
    int64_t agent_ping_timeout_ms;         /* 15 s between pings */
    int max_agent_ping_timeouts;           /* 5 missed in a row: unreachable */
    int64_t agent_reregister_timeout_ms;   /* 10 min for an agent that lost its link, or is not back after a restart */
    int64_t allocation_interval_ms;        /* returned resources wait this long to be offered again */
    int64_t offer_timeout_ms;              /* 0: offers do not expire */
    const char *min_allocatable_resources; /* "cpus:0.01|mem:32" */
    const char *weights;                   /* "role=weight,..." or NULL */
    const char *roles;                     /* white list "a,b" or NULL */
    bool root_submissions;
    const struct auth_acls *acls;               /* borrowed as long as the master lives; NULL: everything is allowed */
    size_t max_completed_frameworks;            /* 50 */
    size_t max_completed_tasks_per_framework;   /* 1000 */
    size_t max_unreachable_tasks_per_framework; /* 1000 */
};

/* The defaults of every field that has one; hostname, ip, port stay empty. */
void master_config_default(struct master_config *config);

/* Copies what it needs. NULL when config is wrong (weights, min_allocatable_resources): err names the field. */
struct master *master_new(const struct master_config *config, struct err *err);
struct master *master_free(struct master *m); /* accepts NULL, returns NULL */

/* Resets out, takes one event, fills out. Returns 0, or -EPROTO when the event breaks the contract of event.h (STARTED
 * twice or missing, a link id used twice): a mistake of the caller, nothing has changed. Input from the network never
 * fails a step. After a FATAL effect all further events are ignored. */
int master_step(struct master *m, const struct master_event *in, struct master_effects *out);

/* When the next TICK is due, on the clock of now_ms; INT64_MAX: none. A time in the past means that work waits for the end
 * of this turn (allocation is batched): send TICK once everything else of the turn was stepped. */
int64_t master_next_deadline(const struct master *m);

/* CHECKs amounts (free + offered + used = total per agent), ownership and the indexes against each other. Linear in
 * everything the master knows: for tests and the simulator. */
void master_check_invariants(const struct master *m);

/* UUID of this run of the master: prefix of the ids it gives out. */
const char *master_id(const struct master *m);

/* Checks what a scheduler call must carry before it may become an event (facts: mesos 1.2, up to the framework's own
 * state): 0, or the HTTP status to answer, with the text in err. */
int master_call_check(const Mesos__V1__Scheduler__Call *call, const char *principal, struct err *err);
/* The same for an operator's call: it has a type, and the body of that type. */
int master_operator_call_check(const Mesos__V1__Master__Call *call, struct err *err);
