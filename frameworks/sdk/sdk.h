/* SPDX-License-Identifier: Apache-2.0
 * sdk.h - the public interface for schedulers written in C: one struct sdk_scheduler per framework, on a loop. See
 * docs/sdk.md and frameworks/sdk/example. calls.h and match.h help to build operations and to fit tasks into offers.
 *
 * Everything happens on the loop's thread. Callback arguments are borrowed for the call. A callback may make any call here
 * except sdk_scheduler_free.
 *
 * What it does by itself: finds the leading master (redirects, address list), resubscribes with the framework's id after
 * any interruption, watches heartbeats, keeps calls in order, reconciles after every subscription.
 * What it leaves: storing the framework id, storing task states before acknowledging them, every decision. */
#pragma once

#include "common/base/err.h"
#include "common/port/loop.h"
#include "frameworks/sdk/session.h"

struct sdk_scheduler;

struct sdk_config {
    struct sdk_session_config session; /* seed 0: taken from the kernel */
    const char *principal, *secret;    /* HTTP Basic; NULL: none */
};

/* Every one may be NULL. */
struct sdk_callbacks {
    /* The id must be durable before the first task is launched: it is what finds the tasks again. */
    void (*subscribed)(void *ctx, const char *framework_id, const Mesos__V1__MasterInfo *master);
    /* Asked after each subscription: the tasks believed alive, into the arena. Returns their number. NULL: none. */
    size_t (*known_tasks)(void *ctx, struct arena *arena, const struct sdk_task **tasks);
    /* The states of all known tasks have been told through update: missing ones may be launched. */
    void (*settled)(void *ctx);
    void (*offers)(void *ctx, Mesos__V1__Offer *const *offers, size_t count);
    void (*rescind)(void *ctx, const char *offer_id);
    /* Make the new state durable, then sdk_scheduler_acknowledge. Updates may come more than once. */
    void (*update)(void *ctx, const Mesos__V1__TaskStatus *status);
    void (*message)(void *ctx, const char *agent_id, const char *executor_id, const void *data, size_t len);
    /* An agent (executor_id NULL) or an executor ended; status as waitpid gives it, -1 unknown. A hint, not reliable. */
    void (*failure)(void *ctx, const char *agent_id, const char *executor_id, int status);
    /* Offers are void, unanswered calls may be lost; the session reconnects by itself. */
    void (*disconnected)(void *ctx, const char *text);
    /* The master answered a call with an error; nothing was done. */
    void (*call_refused)(void *ctx, Mesos__V1__Scheduler__Call__Type call, int status, const char *text);
    /* Final: the framework was removed, taken over by another instance, or refused. */
    void (*error)(void *ctx, const char *text);
    /* Final: after sdk_scheduler_stop or a delivered teardown. */
    void (*stopped)(void *ctx);
    /* Events without a callback of their own (inverse offers, operation updates). */
    void (*other)(void *ctx, const Mesos__V1__Scheduler__Event *event);
};

/* Copies config and callbacks and starts to connect in a following turn. Resolves the names of the master list, which may
 * block: call it at start-up. NULL with a text on a bad configuration. */
struct sdk_scheduler *sdk_scheduler_new(struct loop *loop, const struct sdk_config *config,
                                        const struct sdk_callbacks *callbacks, void *ctx, struct err *err);
/* Closes without TEARDOWN and without callbacks. Not inside a callback. */
struct sdk_scheduler *sdk_scheduler_free(struct sdk_scheduler *s);

/* Calls. 0, or SDK_E_DISCONNECTED, SDK_E_FULL, SDK_E_INVALID as in session.h. They are sent in order; everything is copied.
 * refuse_seconds < 0: the master's default (5 s). */
int sdk_scheduler_accept(struct sdk_scheduler *s, const char *const *offer_ids, size_t offer_count,
                         Mesos__V1__Offer__Operation *const *operations, size_t operation_count, double refuse_seconds);
int sdk_scheduler_decline(struct sdk_scheduler *s, const char *const *offer_ids, size_t offer_count, double refuse_seconds);
/* agent_id may be NULL; grace_ms < 0: the task's own kill policy. */
int sdk_scheduler_kill(struct sdk_scheduler *s, const char *task_id, const char *agent_id, int64_t grace_ms);
/* Nothing is sent (and 0 returned) for updates that want no acknowledgement. */
int sdk_scheduler_acknowledge(struct sdk_scheduler *s, const Mesos__V1__TaskStatus *status);
/* A new round of reconciliation with these tasks; settled is called again when it is complete. */
int sdk_scheduler_reconcile(struct sdk_scheduler *s, const struct sdk_task *tasks, size_t count);
int sdk_scheduler_message(struct sdk_scheduler *s, const char *agent_id, const char *executor_id, const void *data,
                          size_t len);
int sdk_scheduler_shutdown(struct sdk_scheduler *s, const char *executor_id, const char *agent_id);
/* Ends the framework: all its tasks are killed. stopped follows. */
int sdk_scheduler_teardown(struct sdk_scheduler *s);
/* Any other call; framework_id is filled in. */
int sdk_scheduler_call(struct sdk_scheduler *s, const Mesos__V1__Scheduler__Call *call);

/* Remembered over disconnections. Revive also clears the filters of declined offers; at most one per revive_interval_ms. */
void sdk_scheduler_revive(struct sdk_scheduler *s);
void sdk_scheduler_suppress(struct sdk_scheduler *s);
/* Ends the connection, keeps the framework: another process may take over with its id. stopped follows. */
void sdk_scheduler_stop(struct sdk_scheduler *s);

bool sdk_scheduler_is_settled(const struct sdk_scheduler *s);
const char *sdk_scheduler_framework_id(const struct sdk_scheduler *s);
