/* SPDX-License-Identifier: Apache-2.0
 * options.h - flags of `muster master`. Names and meanings are Mesos's where both have them (facts: mesos 11.1). */
#pragma once

#include "common/base/err.h"
#include "common/base/options.h"

struct master_options {
    char *ip, *hostname, *advertise_ip;
    uint16_t port, advertise_port;
    char *work_dir, *registry, *cluster, *zk;
    int64_t agent_ping_timeout, max_agent_ping_timeouts, agent_reregister_timeout;
    int64_t allocation_interval, offer_timeout;
    char *min_allocatable_resources, *weights, *roles;
    bool root_submissions;
    int64_t max_completed_frameworks, max_completed_tasks_per_framework, max_unreachable_tasks_per_framework;
    int64_t max_operator_event_stream_subscribers;
    bool authenticate_http_readonly, authenticate_http_readwrite, authenticate_http_frameworks;
    bool authenticate_frameworks, authenticate_agents;
    char *http_authenticators, *http_framework_authenticators, *authorizers;
    char *credentials, *acls; /* files */
    char *logging_level;
};

extern const struct option_def master_option_defs[];
extern const size_t master_option_count;

/* What the table cannot say: flags that exclude or need each other, and those of Mesos that Muster does not have yet. 0 or
 * -EINVAL. */
int master_options_check(const struct master_options *o, struct err *err);
