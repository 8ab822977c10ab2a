/* SPDX-License-Identifier: Apache-2.0
 * options.h - flags of `muster agent` (facts: mesos 11.2). */
#pragma once

#include "common/base/options.h"

struct agent_options {
    char *master;
    char *ip, *advertise_ip, *hostname;
    uint16_t port;
    char *work_dir, *runtime_dir;
    char *resources, *default_role, *attributes;
    char *cgroups_root;
    bool cgroups_enable_cfs, switch_user, http_executor_domain_sockets;
    int64_t container_pids_max;
    int64_t executor_registration_timeout_ms, executor_reregistration_timeout_ms, executor_shutdown_grace_period_ms;
    int64_t recovery_timeout_ms, registration_backoff_factor_ms, gc_delay_ms;
    char *executor_environment_variables;
    bool authenticate_http_readonly, authenticate_http_readwrite, authenticate_http_executors;
    char *http_authenticators, *authorizer;
    char *http_credentials, *credential, *acls, *jwt_secret_key; /* files */
    char *hidden_paths;
    char *logging_level;
};

extern const struct option_def agent_option_defs[];
extern const size_t agent_option_count;
