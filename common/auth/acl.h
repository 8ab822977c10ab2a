/* SPDX-License-Identifier: Apache-2.0
 * acl.h - who may do what: Mesos's ACL file and how it is evaluated (facts: mesos 10.4). Pure: no clock, no I/O, so cores
 * may ask it. Asking costs nothing without ACLs, and a few comparisons with them.
 *
 * How to use it: one question where the thing is done, with the object it is done to.
 *
 *     if (!auth_allows(acls, principal, AUTH_TEARDOWN_FRAMEWORK, framework_principal))
 *         ... 403
 *
 * and for lists, one approver outside of the loop:
 *
 *     struct auth_approver may_view = auth_approver(acls, principal, AUTH_VIEW_TASK);
 *     for (...)
 *         if (auth_approves(&may_view, user)) ... */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/base/err.h"

/* Names and order are Mesos's; the comment is what the object is. Of the actions that say "any", Mesos's file can only say
 * ANY or NONE for the object: ask with NULL. */
enum auth_action {
    AUTH_REGISTER_FRAMEWORK,  /* a role, once for each */
    AUTH_RUN_TASK,            /* the user the task runs as */
    AUTH_TEARDOWN_FRAMEWORK,  /* the framework's principal */
    AUTH_RESERVE_RESOURCES,   /* the role reserved for */
    AUTH_UNRESERVE_RESOURCES, /* the principal that reserved */
    AUTH_CREATE_VOLUME,       /* the role of the resources */
    AUTH_DESTROY_VOLUME,      /* the principal that created */
    AUTH_RESIZE_VOLUME,       /* the role */
    AUTH_CREATE_BLOCK_DISK,   /* the role, as the next four */
    AUTH_DESTROY_BLOCK_DISK,
    AUTH_CREATE_MOUNT_DISK,
    AUTH_DESTROY_MOUNT_DISK,
    AUTH_DESTROY_RAW_DISK,
    AUTH_GET_ENDPOINT,                  /* the path, without the prefix /master or /slave(1) */
    AUTH_VIEW_ROLE,                     /* the role */
    AUTH_UPDATE_WEIGHT,                 /* the role */
    AUTH_GET_QUOTA,                     /* the role */
    AUTH_UPDATE_QUOTA,                  /* the role */
    AUTH_VIEW_FRAMEWORK,                /* FrameworkInfo.user */
    AUTH_VIEW_TASK,                     /* the user the task runs as */
    AUTH_VIEW_EXECUTOR,                 /* the user the executor runs as */
    AUTH_ACCESS_SANDBOX,                /* the user the executor runs as */
    AUTH_ACCESS_LOG,                    /* any */
    AUTH_VIEW_FLAGS,                    /* any */
    AUTH_LAUNCH_NESTED_CONTAINER,       /* the user it runs as; ask AUTH_LAUNCH_NESTED_CONTAINER_UNDER as well */
    AUTH_LAUNCH_NESTED_CONTAINER_UNDER, /* the user of the executor */
    AUTH_KILL_NESTED_CONTAINER,         /* the user of the executor, as the next two */
    AUTH_WAIT_NESTED_CONTAINER,
    AUTH_REMOVE_NESTED_CONTAINER,
    AUTH_LAUNCH_NESTED_CONTAINER_SESSION,       /* the user it runs as; ask ..._UNDER as well */
    AUTH_LAUNCH_NESTED_CONTAINER_SESSION_UNDER, /* the user of the executor */
    AUTH_ATTACH_CONTAINER_INPUT,                /* the user of the executor, as the next two */
    AUTH_ATTACH_CONTAINER_OUTPUT,
    AUTH_VIEW_CONTAINER,
    AUTH_SET_LOG_LEVEL, /* any, as all below that say nothing else */
    AUTH_REGISTER_AGENT,
    AUTH_UPDATE_MAINTENANCE_SCHEDULE,
    AUTH_GET_MAINTENANCE_SCHEDULE,
    AUTH_START_MAINTENANCE,
    AUTH_STOP_MAINTENANCE,
    AUTH_GET_MAINTENANCE_STATUS,
    AUTH_MARK_AGENT_GONE,
    AUTH_DRAIN_AGENT,
    AUTH_DEACTIVATE_AGENT,
    AUTH_REACTIVATE_AGENT,
    AUTH_LAUNCH_STANDALONE_CONTAINER, /* the user it runs as, as the next four */
    AUTH_KILL_STANDALONE_CONTAINER,
    AUTH_WAIT_STANDALONE_CONTAINER,
    AUTH_REMOVE_STANDALONE_CONTAINER,
    AUTH_VIEW_STANDALONE_CONTAINER,
    AUTH_MODIFY_RESOURCE_PROVIDER_CONFIG,
    AUTH_MARK_RESOURCE_PROVIDER_GONE,
    AUTH_VIEW_RESOURCE_PROVIDER,
    AUTH_PRUNE_IMAGES,
    AUTH_ACTION_COUNT
};

struct auth_acls;

/* Reads the JSON form. What is not known is an error, not left out: a misspelt list would protect nothing. */
int auth_acls_parse(const char *text, size_t len, struct auth_acls **out, struct err *err);
/* The value of --acls: a file as in file.h, or the JSON itself. */
int auth_acls_load(const char *flag_value, struct auth_acls **out, struct err *err);
struct auth_acls *auth_acls_free(struct auth_acls *a);

/* acls NULL: everything is allowed. principal NULL: nobody in particular, whom only ANY allows. object NULL: all objects at
 * once, which only ANY allows. The first entry of the action's list that fits both decides; none: `permissive` does. */
bool auth_allows(const struct auth_acls *acls, const char *principal, enum auth_action action, const char *object);

/* Is this the path of an endpoint that get_endpoints of an ACL file can name? */
bool auth_acl_guards(const char *path);

/* The same for one principal and action and many objects. Borrows what it is made of. */
struct auth_approver {
    const struct auth_acls *acls;
    const char *principal;
    enum auth_action action;
    bool allows_all; /* whatever the object is */
};
struct auth_approver auth_approver(const struct auth_acls *acls, const char *principal, enum auth_action action);
bool auth_approves(const struct auth_approver *a, const char *object);
