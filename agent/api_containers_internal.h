/* SPDX-License-Identifier: Apache-2.0
 * api_containers_internal.h - what the files of the calls about containers share: api_containers.c (names, waiting,
 * signals, attaching), api_launch.c (launches), container_store.c (what outlives the agent). */
#pragma once

#include "agent/api_containers.h"
#include "agent/permits.h"

/* What a ContainerID names. */
struct api_target {
    const char *path;
    const char *launcher_id;               /* NULL: there is no such container */
    struct agent_container *made;          /* by this API, or: */
    const struct agent_executor *executor; /* of the outermost container; NULL when that is standalone */
    const struct agent_task *group_task;   /* a task of a group, inside the executor's container; NULL: none */
    const char *group_id;                  /* its own id there */
    struct agent_permit_object permit;
};

struct api_call {
    struct agent_shell *shell;
    struct http_exchange *x;
    const struct http_message *request;
    struct arena *arena;
    const char *field; /* of the call, for error texts */
};

/* api_containers.c */
void api_find_target(struct api_call *c, const Mesos__V1__ContainerID *id, const char *path, struct api_target *t);
/* False when the request was answered. needs_parent: of the old calls and of what is always inside another. */
bool api_take_id(struct api_call *c, const Mesos__V1__ContainerID *id, bool needs_parent, struct api_target *t);
void api_reply_forbidden(struct api_call *c);

/* api_launch.c: the calls, and what becomes of a launch that is not answered yet. */
void api_launch_session(struct api_call *c, const Mesos__V1__Agent__Call__LaunchNestedContainerSession *m);
void api_launch_nested(struct api_call *c, const Mesos__V1__ContainerID *id, const Mesos__V1__CommandInfo *command,
                       const Mesos__V1__ContainerInfo *container);
void api_launch_standalone(struct api_call *c, const Mesos__V1__Agent__Call__LaunchContainer *m);
void api_launch_started(struct agent_shell *s, const char *launcher_id);
void api_launch_ended(struct agent_shell *s, const char *launcher_id, const struct launcher_end *end);
void api_launches_free(struct agent_shell *s);

/* container_store.c */
void container_store_init(struct agent_shell *s);
/* Writes the record of one that is no session. done may be NULL. */
void container_store_put(struct agent_shell *s, const struct agent_container *one, store_done_fn done, void *ctx);
