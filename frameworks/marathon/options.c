/* SPDX-License-Identifier: Apache-2.0
 * options.c - the flags of `muster marathon`. What they may hold beyond their types is checked in main.c. */
#include "frameworks/marathon/options.h"

#include <stddef.h>

#include "frameworks/marathon/shell.h"

#define FIELD(name) offsetof(struct shell_options, name)
#define STRING(name, value, help)                                                                                          \
    {                                                                                                                      \
#name, OPTION_STRING, FIELD(name), value, help, 0, 0, 0                                                            \
    }
#define INTEGER(name, value, help, min, max)                                                                               \
    {                                                                                                                      \
#name, OPTION_INT, FIELD(name), value, help, 0, min, max                                                           \
    }

const struct option_def marathon_option_defs[] = {
    {"master", OPTION_STRING, FIELD(kit.master), NULL,
     "host:port of the master; several, comma-separated, are tried in turn", OPTION_REQUIRED, 0, 0},
    {"zk", OPTION_STRING, FIELD(kit.zk), NULL, "not supported yet: state is kept in --work_dir", 0, 0, 0},
    {"work_dir", OPTION_STRING, FIELD(kit.work_dir), "/var/lib/muster/marathon", "directory of the state", 0, 0, 0},
    {"http_address", OPTION_STRING, FIELD(kit.http_address), "127.0.0.1", "address to listen on", 0, 0, 0},
    {"http_port", OPTION_PORT, FIELD(kit.http_port), "8080", "port to listen on, 0 for any", 0, 0, 0},
    {"hostname", OPTION_STRING, FIELD(kit.hostname), NULL,
     "name under which others reach this process; default: this host's name", 0, 0, 0},
    {"webui_url", OPTION_STRING, FIELD(kit.webui_url), NULL, "URL told to the master; default: http://hostname:http_port",
     0, 0, 0},
    {"framework_name", OPTION_STRING, FIELD(kit.framework_name), "marathon", "name of the framework", 0, 0, 0},
    {"mesos_role", OPTION_STRING, FIELD(kit.mesos_role), "*", "role of the framework and of every app", 0, 0, 0},
    {"mesos_user", OPTION_STRING, FIELD(kit.mesos_user), NULL,
     "user of tasks whose app names none; default: the user of this process", 0, 0, 0},
    {"mesos_authentication_principal", OPTION_STRING, FIELD(kit.principal), NULL, "principal of the framework", 0, 0, 0},
    {"mesos_authentication_secret", OPTION_STRING, FIELD(kit.secret), NULL, "its secret, or file://PATH of it",
     OPTION_SECRET | OPTION_FROM_FILE, 0, 0},
    {"mesos_authentication_secret_file", OPTION_STRING, FIELD(kit.secret_file), NULL, "path of a file with its secret", 0,
     0, 0},
    {"http_credentials", OPTION_STRING, FIELD(kit.http_credentials), NULL,
     "file with the users and passwords that the API asks for, or user:password", OPTION_SECRET, 0, 0},
    {"http_realm", OPTION_STRING, FIELD(kit.http_realm), "Mesosphere", "realm of the API's users", 0, 0, 0},
    {"checkpoint", OPTION_BOOL, FIELD(kit.checkpoint), "true", "tasks outlive a restart of their agent", 0, 0, 0},
    {"ha", OPTION_BOOL, FIELD(kit.ha), "false", "not supported yet: one process keeps the state", 0, 0, 0},
    {"failover_timeout", OPTION_INT, FIELD(kit.failover_timeout_s), "604800",
     "seconds for which tasks live on without this process", 0, 0, 1000000000},
    INTEGER(local_port_min, "10000", "lowest service port", 1, 65535),
    INTEGER(local_port_max, "20000", "highest service port", 1, 65535),
    STRING(executor, "//cmd", "only //cmd, the built-in executor, is supported yet"),
    STRING(env_vars_prefix, NULL, "put before the names of port variables and HOST"),
    STRING(enable_features, NULL, "comma list; known: task_killing"),
    {"accepted_resource_roles_default_behavior", OPTION_STRING, FIELD(roles_default_behavior), "any",
     "any, unreserved or reserved resources for apps without acceptedResourceRoles", 0, 0, 0},
    STRING(access_control_allow_origin, NULL, "origin allowed by CORS headers, or *"),
    STRING(mesos_leader_ui_url, NULL, "URL of the master's UI, told by /v2/info"),
    STRING(metrics_name_prefix, "marathon", "first part of the names of metrics"),
    {"metrics_prometheus", OPTION_BOOL, FIELD(metrics_prometheus), "true", "serve /metrics/prometheus", 0, 0, 0},
    INTEGER(task_launch_confirm_timeout, "300000", "ms until a launch that nothing is heard of is repeated", 1, INT32_MAX),
    INTEGER(task_launch_timeout, "300000", "ms until a task that does not come to run is replaced", 1, INT32_MAX),
    INTEGER(kill_retry_timeout, "30000", "ms between repetitions of a kill", 1, INT32_MAX),
    INTEGER(scale_apps_interval, "300000", "ms between checks for surplus instances", 1, INT32_MAX),
    INTEGER(reconciliation_interval, "600000", "ms between reconciliations with the master", 1, INT32_MAX),
    INTEGER(decline_offer_duration, "120000", "ms for which declined resources are not offered again", 1, INT32_MAX),
    {"min_revive_offers_interval", OPTION_INT, FIELD(kit.min_revive_offers_interval), "100",
     "ms between two calls for new offers at the least", 0, 1, INT32_MAX},
    INTEGER(max_running_deployments, "100", "further ones are refused", 1, 1000000),
    {"max_concurrent_marathon_health_checks", OPTION_INT, FIELD(max_concurrent_health_checks), "256",
     "health checks under way at a time", 0, 1, 65536},
    {"event_stream_max_outstanding_messages", OPTION_INT, FIELD(kit.event_stream_max_outstanding_messages), "1024",
     "a reader of /v2/events that is further behind is cut off", 0, 1, 65536},
    {"logging_level", OPTION_STRING, FIELD(kit.log_level), "info", "debug, info, warning or error", 0, 0, 0},
};
const size_t marathon_option_count = sizeof(marathon_option_defs) / sizeof(marathon_option_defs[0]);
