/* SPDX-License-Identifier: Apache-2.0
 * access.h - which realm guards a path of the agent, the gates in front of them (facts: mesos 10.1), and what the agent
 * shows to its master. */
#pragma once

#include "agent/options.h"
#include "common/auth/acl.h"
#include "common/auth/gate.h"

struct agent_access {
    const struct agent_options *options;
    struct auth_credentials *credentials;
    struct auth_acls *acls;     /* NULL: everything is allowed */
    struct auth_tokens *tokens; /* of executors; NULL without --jwt_secret_key */
    char *master_authorization; /* header value, NULL without --credential */
};

/* Reads the files that the flags name, and warns of what is open. */
int agent_access_init(struct agent_access *a, const struct agent_options *options, struct err *err);
void agent_access_deinit(struct agent_access *a);

/* The token of a run, for agent_config.executor_token; ctx is the access. */
char *agent_access_token(void *ctx, const char *framework_id, const char *executor_id, const char *container_id,
                         struct arena *arena);

/* May this request go on to the handler of path (without prefix)? Else it was answered. */
bool agent_access_pass(const struct agent_access *a, const char *path, struct http_exchange *x,
                       const struct http_message *request);
