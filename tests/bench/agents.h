/* SPDX-License-Identifier: Apache-2.0
 * agents.h - what the benches of a whole cluster share: processes of the real program, and simulated agents on real
 * connections to a real master. Agents answer every task with TASK_RUNNING and, unless told to hold, with TASK_FINISHED
 * once the first is acknowledged. What goes wrong ends the bench. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/port/loop.h"
#include "mesos/v1/mesos.pb-c.h"

int64_t bench_now_us(void);
/* Says what on stderr, kills the processes that were started, exits. */
_Noreturn void bench_fail(const char *what);

struct bench_process {
    pid_t pid;
    uint16_t port;
};
/* Starts `program role args...` with its output in dir/role.log and waits until it is ready. args ends with NULL. */
void bench_start(struct bench_process *p, const char *program, const char *role, const char *dir, const char *const *args);
void bench_stop(struct bench_process *p);                                 /* SIGTERM, and waits */
int64_t bench_memory_kb(const struct bench_process *p, const char *line); /* of /proc/PID/status, "VmRSS" or "VmHWM" */
int64_t bench_cpu_us(const struct bench_process *p);
int bench_connect(uint16_t port); /* begins; the socket does not block */

struct sim_agents;
struct sim_agents_config {
    struct loop *loop;
    uint16_t port; /* of the master */
    size_t count;
    double cpus; /* of each agent; 0: 8 */
    bool hold;
    void (*registered)(void *ctx); /* all of them */
    void (*task)(void *ctx);       /* one arrived; may be NULL */
    void *ctx;
};
struct sim_agents *sim_agents_new(const struct sim_agents_config *config);
size_t sim_agents_registered(const struct sim_agents *s);
/* Of tasks whose TASK_RUNNING is acknowledged from now on. */
void sim_agents_hold(struct sim_agents *s, bool hold);

/* r becomes name:value; scalar is a part of it. */
void bench_set_scalar(Mesos__V1__Value__Scalar *scalar, Mesos__V1__Resource *r, const char *name, double value);
