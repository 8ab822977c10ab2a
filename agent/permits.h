/* SPDX-License-Identifier: Apache-2.0
 * permits.h - may this client do that to this container? One function per action of the agent's operator API (facts: mesos
 * 10.4). Without ACLs everything is allowed. */
#pragma once

#include "agent/shell.h"
#include "mesos/v1/agent.pb-c.h"

/* Whose container it is about. */
struct agent_permit_object {
    const char *framework_id, *executor_id; /* NULL for standalone containers */
    const char *user;                       /* that it runs as; NULL: the agent's */
    const char *parent_user;                /* of the container that it is launched in */
};

#define AGENT_PERMITS(name)                                                                                                \
    bool agent_permits_##name(struct agent_shell *s, struct http_exchange *x, const struct agent_permit_object *on)
AGENT_PERMITS(launch_nested_container);
AGENT_PERMITS(launch_nested_container_session);
AGENT_PERMITS(kill_nested_container);
AGENT_PERMITS(wait_nested_container);
AGENT_PERMITS(remove_nested_container);
AGENT_PERMITS(attach_container_input);
AGENT_PERMITS(attach_container_output);
AGENT_PERMITS(view_container);
AGENT_PERMITS(launch_standalone_container);
AGENT_PERMITS(kill_standalone_container);
AGENT_PERMITS(wait_standalone_container);
AGENT_PERMITS(remove_standalone_container);
AGENT_PERMITS(view_standalone_container);

/* The sandbox that holds a path, by the user its executor runs as. An executor's token opens no sandbox. */
bool agent_permits_access_sandbox(struct agent_shell *s, struct http_exchange *x, const char *path, struct arena *arena);
/* Other calls of the operator API, the queries: flags, levels, and all that shows frameworks, tasks, executors or
 * containers. These are shown whole or not at all: a client that may see only some of them is refused. */
bool agent_permits_query(struct agent_shell *s, struct http_exchange *x, Mesos__V1__Agent__Call__Type type);
bool agent_permits_state(struct agent_shell *s, struct http_exchange *x);
