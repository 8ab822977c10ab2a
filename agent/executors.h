/* SPDX-License-Identifier: Apache-2.0
 * executors.h - executors: started, subscribed, served, shut down, lost. The container is the launcher's; the conversation
 * is the stream's; this part keeps the two apart: a lost stream is not the end of an executor, a lost container is. */
#pragma once

#include "agent/state.h"

struct agent_executor *agent_executor_find(const struct agent *a, const char *framework_id, const char *executor_id);
/* A record of a new run; packed (ExecutorInfo) is copied. container_id NULL: a new one is drawn, with its directory. */
struct agent_executor *agent_executor_new(struct agent *a, struct agent_framework *f, const Mesos__V1__ExecutorInfo *info,
                                          const void *packed, size_t len, bool command, bool builtin,
                                          const char *container_id, const char *directory);
/* Does what its state asks once its tasks are on disk: starts the container, or delivers what is queued. */
void agent_executor_act(struct agent *a, struct agent_executor *e);
/* SHUTDOWN, a while for it to end, then destroy. Safe to repeat. */
void agent_executor_shutdown(struct agent *a, struct agent_executor *e);
/* Ends it now for this cause. */
void agent_executor_destroy(struct agent *a, struct agent_executor *e, int state, int aware_state, int reason,
                            const char *message);
/* Before agent_executor_lost: its container certainly never began, so what was not heard of is DROPPED. */
void agent_executor_drop_staging(struct agent *a, struct agent_executor *e);
/* Its container is known to be gone without the launcher's word (reboot, unknown to the launcher). */
void agent_executor_lost(struct agent *a, struct agent_executor *e, int state, int aware_state, int reason,
                         const char *message);
/* Limits follow the tasks that live in it. */
void agent_executor_resize(struct agent *a, struct agent_executor *e);
/* Completes it when it has ended and its last update was acknowledged. */
void agent_executor_settle(struct agent *a, struct agent_executor *e);
void agent_executor_send_kill(struct agent *a, struct agent_executor *e, const struct agent_task *t);
/* After a kill was sent: a command task that is not over a while after its grace period dies with its container. */
void agent_executor_expect_kill(struct agent *a, struct agent_executor *e, const struct agent_task *t);
void agent_executor_send_acknowledged(struct agent *a, struct agent_executor *e, const char *task_id, const uint8_t *uuid);
struct agent_executor *agent_executor_free(struct agent *a,
                                           struct agent_executor *e); /* a NULL: the agent is being freed */

/* The new stream replaces the one before; nothing is sent on it yet. */
void agent_executor_take_stream(struct agent *a, struct agent_executor *e, stream_id stream, request_id request);
/* LAUNCH and LAUNCH_GROUP for what is queued and on disk, in order. */
void agent_executor_deliver(struct agent *a, struct agent_executor *e);
void agent_executor_no_longer_recovering(struct agent *a, struct agent_executor *e);
/* Tells the master that it holds an executor that does not run; status as waitpid gives it, -1 unknown. */
void agent_executor_tell_exited(struct agent *a, const char *framework_id, const char *executor_id, int status);

/* calls.c */
void agent_on_executor_call(struct agent *a, const struct agent_event *in);
void agent_on_stream_closed(struct agent *a, stream_id stream);
void agent_on_container_started(struct agent *a, const char *id, int pid);
void agent_on_container_ended(struct agent *a, const char *id, const struct launcher_end *end);
void agent_on_executor_deadline(struct agent *a, struct agent_executor *e);
void agent_on_executor_heartbeat(struct agent *a, struct agent_executor *e);
void agent_on_shutdown_executor(struct agent *a, const Muster__Link__ShutdownExecutor *message);
void agent_on_framework_message(struct agent *a, const Muster__Link__ExecutorMessage *message);
