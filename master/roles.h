/* SPDX-License-Identifier: Apache-2.0
 * roles.h - the tree of roles and the clients in it (a client is one framework in one role). A role exists while somebody
 * subscribes to it, holds something in it or in a role below it. Internal to master/. */
#pragma once

#include "master/state.h"

#define MASTER_ROLE_BYTES_MAX 255
#define MASTER_ROLE_DEPTH_MAX (SHARE_DEPTH_MAX - 4) /* the tree adds root, `own` and the client */

/* Syntax, our limits, and the white list. NULL when it may be used, else why not. */
const char *master_role_check(const struct master *m, const char *name);

struct master_client *master_client_find(const struct master_framework *f, const char *role);
/* Finds or makes it; a new one is not subscribed. */
struct master_client *master_client_get(struct master *m, struct master_framework *f, const char *role);
/* Undoes one held++. Frees the client when it holds nothing more and is not subscribed. */
void master_client_unhold(struct master *m, struct master_client *c);
/* A role that is there without clients; hold makes it. */
struct master_role *master_role_find(const struct master *m, const char *name);
struct master_role *master_role_hold(struct master *m, const char *name);
void master_role_unhold(struct master *m, struct master_role *r);
/* All clients in the role and those below it. */
void master_role_each_client(struct master *m, const struct master_role *top,
                             void (*fn)(struct master *m, struct master_client *c));

/* Makes the clients fit what the framework subscribes to now: roles of its info, suppressed ones, offer filters. */
void master_clients_subscribe(struct master *m, struct master_framework *f, char *const *suppressed, size_t n_suppressed,
                              const Mesos__V1__Scheduler__OfferConstraints *constraints);
/* Nothing is subscribed any more; clients that hold something stay until they do not. */
void master_clients_unsubscribe(struct master *m, struct master_framework *f);
/* Connected, disconnected, slow: tells the allocator about all clients of the framework. */
void master_clients_refresh(struct master *m, struct master_framework *f);

/* Roles of a FrameworkInfo: its `roles` with MULTI_ROLE, else the one `role` ("*" when unset). */
size_t master_framework_info_roles(const Mesos__V1__FrameworkInfo *info, char *const **roles, char **single);
bool master_framework_info_can(const Mesos__V1__FrameworkInfo *info, Mesos__V1__FrameworkInfo__Capability__Type capability);

/* "role=weight,..." and "a,b" of the configuration. 0 or -EINVAL. */
int master_roles_configure(struct master *m, const char *weights, const char *roles, struct err *err);
void master_roles_deinit(struct master *m);
