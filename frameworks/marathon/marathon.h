/* SPDX-License-Identifier: Apache-2.0
 * marathon.h - the core of the Marathon-compatible scheduler: apps, deployments, instances, health. A step function without
 * sockets, clock or disk; api.c and main.c are its shell. Speaks Mesos only through scheduler calls and events
 * (facts: marathon 4). Not here: HTTP, the scheduler connection (sdk), the store.
 *
 * Order of a run: STARTED with everything stored, then START_SCHEDULER comes out; requests are served at once, nothing is
 * launched before SETTLED. What a step decides is written first; calls, acknowledgements, published events and replies
 * to changes come out when STORE_DONE brings the token of that write back. */
#pragma once

#include "common/base/arena.h"
#include "frameworks/marathon/event.h"
#include "frameworks/sdk/session.h"

struct marathon;

#define MARATHON_APP_VERSIONS_MAX 50
#define MARATHON_STORE_PREFIX "marathon/" /* of every key */

struct marathon_config {
    const char *role;                        /* NULL: "*" */
    const char *user;                        /* of tasks without one, NULL: none */
    const char *hostname;                    /* told in events */
    const char *env_vars_prefix;             /* NULL: none */
    uint16_t local_port_min, local_port_max; /* service ports; 0 both: 10000 to 20000 */
    int64_t task_launch_confirm_timeout_ms;  /* all below: 0 takes the default of facts marathon 6 */
    int64_t task_launch_timeout_ms;
    int64_t kill_retry_timeout_ms;
    int64_t scale_apps_interval_ms;
    int64_t reconciliation_interval_ms;
    int64_t decline_offer_duration_ms;
    int64_t running_deployments_max;
    int64_t probes_max;                  /* concurrent Marathon-level health checks, 256 */
    bool unreserved_only, reserved_only; /* accepted_resource_roles_default_behavior; neither: any */
    uint64_t seed;
};

/* Copies the configuration. */
struct marathon *marathon_new(const struct marathon_config *config);
struct marathon *marathon_free(struct marathon *m); /* accepts NULL, returns NULL */

/* 0, or a negative errno that means the core cannot go on (stored state unreadable): *out then holds a FATAL effect. */
int marathon_step(struct marathon *m, const struct kit_event *in, struct kit_effects *out);
int64_t marathon_next_deadline(const struct marathon *m); /* monotonic ms, INT64_MAX: none */
void marathon_check_invariants(const struct marathon *m);

/* Queries for shell, metrics and tests. */
const char *marathon_framework_id(const struct marathon *m); /* NULL: not subscribed yet */
/* Every task believed alive, for the reconciliation after a subscription. Borrowed until the next step. */
size_t marathon_known_tasks(const struct marathon *m, struct arena *a, const struct sdk_task **out);
struct marathon_counts {
    uint64_t apps, deployments, instances, running, staged, healthy, unhealthy, queued;
    uint64_t launches_total, kills_total, failures_total, offers_total, declines_total;
};
void marathon_get_counts(const struct marathon *m, struct marathon_counts *out);
