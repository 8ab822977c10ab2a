/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/permits.h"

static bool allows(struct agent_shell *s, struct http_exchange *x, enum auth_action action, const char *object)
{
    const struct auth_subject *subject = auth_subject_of(x);
    return auth_allows(s->access.acls, subject->principal, action, object);
}

#define PERMITS(name, action)                                                                                              \
    AGENT_PERMITS(name)                                                                                                    \
    {                                                                                                                      \
        return allows(s, x, action, on->user);                                                                             \
    }
PERMITS(kill_nested_container, AUTH_KILL_NESTED_CONTAINER)
PERMITS(wait_nested_container, AUTH_WAIT_NESTED_CONTAINER)
PERMITS(remove_nested_container, AUTH_REMOVE_NESTED_CONTAINER)
PERMITS(attach_container_input, AUTH_ATTACH_CONTAINER_INPUT)
PERMITS(attach_container_output, AUTH_ATTACH_CONTAINER_OUTPUT)
PERMITS(view_container, AUTH_VIEW_CONTAINER)
PERMITS(launch_standalone_container, AUTH_LAUNCH_STANDALONE_CONTAINER)
PERMITS(kill_standalone_container, AUTH_KILL_STANDALONE_CONTAINER)
PERMITS(wait_standalone_container, AUTH_WAIT_STANDALONE_CONTAINER)
PERMITS(remove_standalone_container, AUTH_REMOVE_STANDALONE_CONTAINER)
PERMITS(view_standalone_container, AUTH_VIEW_STANDALONE_CONTAINER)
PERMITS(prune_images, AUTH_PRUNE_IMAGES)

AGENT_PERMITS(launch_nested_container)
{
    return allows(s, x, AUTH_LAUNCH_NESTED_CONTAINER, on->user) &&
           allows(s, x, AUTH_LAUNCH_NESTED_CONTAINER_UNDER, on->parent_user);
}

AGENT_PERMITS(launch_nested_container_session)
{
    return allows(s, x, AUTH_LAUNCH_NESTED_CONTAINER_SESSION, on->user) &&
           allows(s, x, AUTH_LAUNCH_NESTED_CONTAINER_SESSION_UNDER, on->parent_user);
}
