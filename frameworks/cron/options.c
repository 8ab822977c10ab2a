/* SPDX-License-Identifier: Apache-2.0
 * options.c - the flags of `muster cron`. What they may hold beyond their types is checked in main.c. */
#include "frameworks/cron/options.h"

#include <stddef.h>

#include "frameworks/cron/shell.h"

#define FIELD(name) offsetof(struct cron_shell_options, name)
/* clang-format off */
#define STRING(name, field, value, help) {name, OPTION_STRING, FIELD(field), value, help, 0, 0, 0}
#define INTEGER(name, field, value, help, min, max) {name, OPTION_INT, FIELD(field), value, help, 0, min, max}
#define BOOLEAN(name, field, value, help) {name, OPTION_BOOL, FIELD(field), value, help, 0, 0, 0}
/* clang-format on */

const struct option_def cron_option_defs[] = {
    {"master", OPTION_STRING, FIELD(kit.master), NULL,
     "host:port of the master; several, comma-separated, are tried in turn", OPTION_REQUIRED, 0, 0},
    STRING("zk", kit.zk, NULL, "not supported yet: state is kept in --work_dir"),
    STRING("work_dir", kit.work_dir, "/var/lib/muster/cron", "directory of the state"),
    STRING("http_address", kit.http_address, "127.0.0.1", "address to listen on"),
    {"http_port", OPTION_PORT, FIELD(kit.http_port), "9000", "port to listen on, 0 for any", 0, 0, 0},
    STRING("hostname", kit.hostname, NULL, "name under which others reach this process; default: this host's name"),
    STRING("webui_url", kit.webui_url, NULL, "URL told to the master; default: http://hostname:http_port"),
    STRING("framework_name", kit.framework_name, "metronome", "name of the framework"),
    STRING("mesos_role", kit.mesos_role, "*", "role of the framework and of every job"),
    STRING("mesos_user", kit.mesos_user, NULL, "user of tasks whose job names none; default: the user of this process"),
    STRING("mesos_authentication_principal", kit.principal, NULL, "principal of the framework"),
    {"mesos_authentication_secret", OPTION_STRING, FIELD(kit.secret), NULL, "its secret, or file://PATH of it",
     OPTION_SECRET | OPTION_FROM_FILE, 0, 0},
    {"mesos_authentication_secret_file", OPTION_STRING, FIELD(kit.secret_file), NULL, "path of a file with its secret", 0,
     0, 0},
    {"http_credentials", OPTION_STRING, FIELD(kit.http_credentials), NULL,
     "file with the users and passwords that the API asks for, or user:password", OPTION_SECRET, 0, 0},
    {"http_realm", OPTION_STRING, FIELD(kit.http_realm), "Mesosphere", "realm of the API's users", 0, 0, 0},
    BOOLEAN("checkpoint", kit.checkpoint, "true", "tasks outlive a restart of their agent"),
    BOOLEAN("ha", kit.ha, "false", "not supported yet: one process keeps the state"),
    INTEGER("failover_timeout", kit.failover_timeout_s, "604800", "seconds for which tasks live on without this process", 0,
            1000000000),
    STRING("zoneinfo", zoneinfo, "/usr/share/zoneinfo", "directory of the time zones"),
    INTEGER("history_count", history_count, "1000", "ended runs that are kept per job", 1, 1000000),
    INTEGER("max_runs", runs_max, "200000", "runs alive at a time; further ones are refused or skipped", 1, 10000000),
    INTEGER("task_launch_confirm_timeout", task_launch_confirm_timeout, "300000",
            "ms until the master is asked about a launch that nothing is heard of", 1, INT32_MAX),
    INTEGER("task_launch_timeout", task_launch_timeout, "300000", "ms until a task that does not come to run has failed", 1,
            INT32_MAX),
    INTEGER("task_lost_expunge", task_lost_expunge, "300000", "ms until a task on an unreachable agent has failed", 1,
            INT32_MAX),
    INTEGER("kill_retry_timeout", kill_retry_timeout, "10000", "ms between repetitions of a kill", 1, INT32_MAX),
    INTEGER("reconciliation_interval", reconciliation_interval, "900000", "ms between reconciliations with the master", 1,
            INT32_MAX),
    INTEGER("decline_offer_duration", decline_offer_duration, "120000",
            "ms for which declined resources are not offered again", 1, INT32_MAX),
    INTEGER("min_revive_offers_interval", kit.min_revive_offers_interval, "100",
            "ms between two calls for new offers at the least", 1, INT32_MAX),
    INTEGER("event_stream_max_outstanding_messages", kit.event_stream_max_outstanding_messages, "1024",
            "a reader of /v1/events that is further behind is cut off", 1, 65536),
    {"mesos_task_cpu", OPTION_DOUBLE, FIELD(chronos_cpus), "0.1", "CPUs of Chronos's jobs that name none", 0, 0, 0},
    {"mesos_task_mem", OPTION_DOUBLE, FIELD(chronos_mem), "128", "MB of memory of Chronos's jobs that name none", 0, 0, 0},
    {"mesos_task_disk", OPTION_DOUBLE, FIELD(chronos_disk), "256", "MB of disk of Chronos's jobs that name none", 0, 0, 0},
    INTEGER("failure_retry", failure_retry, "60000", "ms before Chronos's jobs are tried again", 1, INT32_MAX),
    INTEGER("disable_after_failures", disable_after_failures, "0",
            "failed runs in a row that disable one of Chronos's jobs, 0: never", 0, INT32_MAX),
    BOOLEAN("chronos_compat", chronos_compat, "false",
            "month ends drift, and jobs that failed get no retries until they succeed, as in Chronos"),
    STRING("logging_level", kit.log_level, "info", "debug, info, warning or error"),
};
const size_t cron_option_count = sizeof(cron_option_defs) / sizeof(cron_option_defs[0]);
