/* SPDX-License-Identifier: Apache-2.0
 * access.h - which realm guards a path, and the gates in front of them (facts: mesos 10.1). */
#pragma once

#include "common/auth/acl.h"
#include "common/auth/gate.h"
#include "master/options.h"

struct master_access {
    const struct master_options *options;
    struct auth_credentials *credentials;
    struct auth_acls *acls; /* NULL: everything is allowed */
    struct auth_gate gate;
};

/* Reads the files that the flags name, and warns of what is open. */
int master_access_init(struct master_access *a, const struct master_options *options, struct err *err);
void master_access_deinit(struct master_access *a);

/* May this request go on to the handler of path (without prefix)? Else it was answered. */
bool master_access_pass(const struct master_access *a, const char *path, struct http_exchange *x,
                        const struct http_message *request);
