/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/permits.h"

#include <string.h>

#include "agent/executors.h"
#include "agent/frameworks.h"
#include "agent/view.h"

static bool allows(struct agent_shell *s, struct http_exchange *x, enum auth_action action,
                   const struct agent_permit_object *on, const char *object)
{
    const struct auth_subject *subject = auth_subject_of(x);
    if (subject->framework_id != NULL) /* an executor: its own containers, whoever they run as */
        return on->framework_id != NULL && strcmp(on->framework_id, subject->framework_id) == 0 &&
               on->executor_id != NULL && strcmp(on->executor_id, subject->executor_id) == 0;
    return auth_allows(s->access.acls, subject->principal, action, object);
}

#define PERMITS(name, action)                                                                                              \
    AGENT_PERMITS(name)                                                                                                    \
    {                                                                                                                      \
        return allows(s, x, action, on, on->user);                                                                         \
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

AGENT_PERMITS(launch_nested_container)
{
    return allows(s, x, AUTH_LAUNCH_NESTED_CONTAINER, on, on->user) &&
           allows(s, x, AUTH_LAUNCH_NESTED_CONTAINER_UNDER, on, on->parent_user);
}

AGENT_PERMITS(launch_nested_container_session)
{
    return allows(s, x, AUTH_LAUNCH_NESTED_CONTAINER_SESSION, on, on->user) &&
           allows(s, x, AUTH_LAUNCH_NESTED_CONTAINER_SESSION_UNDER, on, on->parent_user);
}

/* -- sandboxes -------------------------------------------------------------------------------------------------- */

/* The part behind `name/` in a sandbox's directory, in the arena; NULL: there is none. */
static const char *part_of(const char *directory, const char *name, struct arena *arena)
{
    const char *at = strstr(directory, name);
    if (at == NULL)
        return NULL;
    at += strlen(name);
    char *part = arena_strdup(arena, at);
    part[strcspn(part, "/")] = '\0';
    return part;
}

bool agent_permits_access_sandbox(struct agent_shell *s, struct http_exchange *x, const char *path, struct arena *arena)
{
    const struct auth_subject *subject = auth_subject_of(x);
    const char *directory, *rest, *user = NULL;
    if (subject->framework_id != NULL)
        return false;
    struct auth_approver may = auth_approver(s->access.acls, subject->principal, AUTH_ACCESS_SANDBOX);
    if (may.allows_all || !agent_view_sandbox(s->core, path, arena, &directory, &rest))
        return true; /* what is not there is refused elsewhere */
    const char *fid = part_of(directory, "/frameworks/", arena), *eid = part_of(directory, "/executors/", arena);
    const struct agent_framework *f = fid != NULL ? agent_framework_find(s->core, fid) : NULL;
    const struct agent_executor *e = f != NULL && eid != NULL ? agent_executor_find(s->core, fid, eid) : NULL;
    if (e != NULL) {
        const Mesos__V1__ExecutorInfo *info = agent_view_executor_info(e, arena);
        user = info->command != NULL && info->command->user != NULL ? info->command->user : f->user;
    }
    return auth_approves(&may, user); /* whose user is forgotten, only he may see who may see all */
}

/* -- queries ---------------------------------------------------------------------------------------------------- */

static bool allows_all(struct agent_shell *s, const struct auth_subject *subject, enum auth_action action)
{
    return auth_approver(s->access.acls, subject->principal, action).allows_all;
}

bool agent_permits_state(struct agent_shell *s, struct http_exchange *x)
{
    const struct auth_subject *subject = auth_subject_of(x);
    return subject->framework_id == NULL && allows_all(s, subject, AUTH_VIEW_FRAMEWORK) &&
           allows_all(s, subject, AUTH_VIEW_TASK) && allows_all(s, subject, AUTH_VIEW_EXECUTOR);
}

bool agent_permits_query(struct agent_shell *s, struct http_exchange *x, Mesos__V1__Agent__Call__Type type)
{
    const struct auth_subject *subject = auth_subject_of(x);
    if (subject->framework_id != NULL)
        return false;
    switch (type) {
    case MESOS__V1__AGENT__CALL__TYPE__GET_FLAGS:
        return auth_allows(s->access.acls, subject->principal, AUTH_VIEW_FLAGS, NULL);
    case MESOS__V1__AGENT__CALL__TYPE__PRUNE_IMAGES:
        return auth_allows(s->access.acls, subject->principal, AUTH_PRUNE_IMAGES, NULL);
    case MESOS__V1__AGENT__CALL__TYPE__SET_LOGGING_LEVEL:
        return auth_allows(s->access.acls, subject->principal, AUTH_SET_LOG_LEVEL, NULL);
    case MESOS__V1__AGENT__CALL__TYPE__GET_STATE:
    case MESOS__V1__AGENT__CALL__TYPE__GET_TASKS:
    case MESOS__V1__AGENT__CALL__TYPE__GET_EXECUTORS:
    case MESOS__V1__AGENT__CALL__TYPE__GET_FRAMEWORKS:
        return agent_permits_state(s, x);
    case MESOS__V1__AGENT__CALL__TYPE__GET_CONTAINERS:
        return allows_all(s, subject, AUTH_VIEW_CONTAINER);
    default:
        return true;
    }
}
