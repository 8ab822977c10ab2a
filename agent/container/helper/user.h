/* SPDX-License-Identifier: Apache-2.0
 * user.h - whom a container runs as. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "common/base/err.h"

enum { CONTAINER_GROUPS_MAX = 1024 };

struct container_user {
    uid_t uid;
    gid_t gid;
    gid_t groups[CONTAINER_GROUPS_MAX]; /* supplementary */
    size_t group_count;
    bool switches; /* ids have to be changed */
};

/* name NULL: whoever runs the agent, with nothing to change. Otherwise a name of /etc/passwd, whole and exactly; numbers
 * are not names. Other sources of users (LDAP...) are not asked: a static program cannot load their modules. */
int container_user_find(const char *name, struct container_user *out, struct err *err);
