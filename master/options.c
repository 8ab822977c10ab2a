/* SPDX-License-Identifier: Apache-2.0 */
#include "master/options.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "common/base/log.h"

#define AT(field) offsetof(struct master_options, field)
#define SECOND 1000LL
#define MINUTE (60 * SECOND)
#define DAY (24 * 60 * MINUTE)

const struct option_def master_option_defs[] = {
    {"ip", OPTION_STRING, AT(ip), "127.0.0.1", "Address to listen on."},
    {"port", OPTION_PORT, AT(port), "5050", "Port to listen on, 0 for any free one."},
    {"hostname", OPTION_STRING, AT(hostname), NULL, "Name that others see; the address when not given."},
    {"advertise_ip", OPTION_STRING, AT(advertise_ip), NULL, "Address that others see, when it is not the one listened on."},
    {"advertise_port", OPTION_PORT, AT(advertise_port), "0", "Port that others see, 0 for the one listened on."},
    {"work_dir", OPTION_STRING, AT(work_dir), NULL, "Directory of the registry; needed unless --registry=in_memory."},
    {"registry", OPTION_STRING, AT(registry), "leveldb", "Where the registry is kept: leveldb, or in_memory for tests."},
    {"cluster", OPTION_STRING, AT(cluster), NULL, "Name of the cluster, for people."},
    {"zk", OPTION_STRING, AT(zk), NULL, "ZooKeeper of several masters; not supported yet."},
    {"agent_ping_timeout", OPTION_DURATION, AT(agent_ping_timeout), "15secs", "Time between two pings of an agent.", 0, 100,
     15 * MINUTE},
    {"max_agent_ping_timeouts", OPTION_INT, AT(max_agent_ping_timeouts), "5",
     "Pings in a row without answer that make an agent unreachable.", 0, 1, 1000},
    {"agent_reregister_timeout", OPTION_DURATION, AT(agent_reregister_timeout), "10mins",
     "Time an agent has to come back, after its connection broke or the master was started again.", 0, SECOND, DAY},
    {"allocation_interval", OPTION_DURATION, AT(allocation_interval), "100ms",
     "Resources that come back are offered again within this time.", 0, 1, MINUTE},
    {"offer_timeout", OPTION_DURATION, AT(offer_timeout), "0secs", "Offers are taken back after this time; 0 for never.", 0,
     0, DAY},
    {"min_allocatable_resources", OPTION_STRING, AT(min_allocatable_resources), "cpus:0.01|mem:32",
     "Less than all of these alternatives is not offered."},
    {"weights", OPTION_STRING, AT(weights), NULL, "Shares of roles, `role=weight,role=weight`; 1 when not given."},
    {"roles", OPTION_STRING, AT(roles), NULL, "The only roles that may be used, beside '*'."},
    {"root_submissions", OPTION_BOOL, AT(root_submissions), "true", "Frameworks may run as root."},
    {"max_completed_frameworks", OPTION_INT, AT(max_completed_frameworks), "50", "Ended frameworks to remember.", 0, 1,
     100000},
    {"max_completed_tasks_per_framework", OPTION_INT, AT(max_completed_tasks_per_framework), "1000",
     "Ended tasks to remember of each framework.", 0, 0, 10000000},
    {"max_unreachable_tasks_per_framework", OPTION_INT, AT(max_unreachable_tasks_per_framework), "1000",
     "Tasks on unreachable agents to remember of each framework.", 0, 0, 10000000},
    {"max_operator_event_stream_subscribers", OPTION_INT, AT(max_operator_event_stream_subscribers), "1000",
     "Operator event streams; one more closes the oldest.", 0, 1, 100000},
    {"authenticate_http_readonly", OPTION_BOOL, AT(authenticate_http_readonly), "false",
     "Only who shows a credential may read over HTTP."},
    {"authenticate_http_readwrite", OPTION_BOOL, AT(authenticate_http_readwrite), "false",
     "Only who shows a credential may change anything over HTTP; the v1 operator API is part of it."},
    {"authenticate_http_frameworks", OPTION_BOOL, AT(authenticate_http_frameworks), "false",
     "Only frameworks that show a credential may subscribe."},
    {"authenticate_frameworks", OPTION_BOOL, AT(authenticate_frameworks), "false",
     "Is about frameworks of the old driver, which do not exist here: --authenticate_http_frameworks is meant."},
    {"authenticate_agents", OPTION_BOOL, AT(authenticate_agents), "false",
     "Only agents that show a credential may register."},
    {"http_authenticators", OPTION_STRING, AT(http_authenticators), "basic",
     "How people and tools prove who they are: basic."},
    {"http_framework_authenticators", OPTION_STRING, AT(http_framework_authenticators), "basic",
     "How frameworks prove who they are: basic."},
    {"credentials", OPTION_STRING, AT(credentials), NULL, "File with the principals and secrets that are let in."},
    {"authorizers", OPTION_STRING, AT(authorizers), "local", "Who decides what a principal may do: local, by --acls."},
    {"acls", OPTION_STRING, AT(acls), NULL, "File, or JSON text, that says which principal may do what."},
    {"logging_level", OPTION_STRING, AT(logging_level), "INFO",
     "Least important lines to log: DEBUG, INFO, WARNING, ERROR."},
};
const size_t master_option_count = sizeof(master_option_defs) / sizeof(master_option_defs[0]);

int master_options_check(const struct master_options *o, struct err *err)
{
    enum log_level level;
    if (o->zk != NULL)
        return err_set(err, -EINVAL, "--zk: several masters are not supported yet; start one master without it");
    if (strcmp(o->registry, "leveldb") != 0 && strcmp(o->registry, "in_memory") != 0)
        return err_set(err, -EINVAL, "--registry: '%s' is neither leveldb nor in_memory", o->registry);
    if (strcmp(o->registry, "leveldb") == 0 && o->work_dir == NULL)
        return err_set(err, -EINVAL, "--work_dir is needed: the registry is kept there");
    if (o->authenticate_frameworks)
        return err_set(err, -EINVAL,
                       "--authenticate_frameworks is about the old driver, which does not exist here; "
                       "--authenticate_http_frameworks closes the scheduler API");
    if (strcmp(o->http_authenticators, "basic") != 0)
        return err_set(err, -EINVAL, "--http_authenticators: '%.100s' is not basic", o->http_authenticators);
    if (strcmp(o->http_framework_authenticators, "basic") != 0)
        return err_set(err, -EINVAL, "--http_framework_authenticators: '%.100s' is not basic",
                       o->http_framework_authenticators);
    if (strcmp(o->authorizers, "local") != 0)
        return err_set(err, -EINVAL, "--authorizers: '%.100s' is not local", o->authorizers);
    if (o->credentials == NULL && (o->authenticate_http_readonly || o->authenticate_http_readwrite ||
                                   o->authenticate_http_frameworks || o->authenticate_agents))
        return err_set(err, -EINVAL, "--credentials is needed: without it nobody could get in");
    if (log_parse_level(o->logging_level, &level) < 0)
        return err_set(err, -EINVAL, "--logging_level: '%s' is not a level", o->logging_level);
    return 0;
}
