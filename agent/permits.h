/* SPDX-License-Identifier: Apache-2.0
 * permits.h - may this client do that to this container? One function per action of the agent's operator API (facts: mesos
 * 10.4). Without ACLs everything is allowed. */
#pragma once

#include "agent/shell.h"

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
AGENT_PERMITS(prune_images);
