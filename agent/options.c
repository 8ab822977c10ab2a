/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/options.h"

#define AT(field) offsetof(struct agent_options, field)
#define HOUR_MS ((int64_t)3600 * 1000)

const struct option_def agent_option_defs[] = {
    {"master", OPTION_STRING, AT(master), NULL, "Where the master is: host:port.", OPTION_REQUIRED, 0, 0},
    {"ip", OPTION_STRING, AT(ip), "127.0.0.1", "Address to listen on.", 0, 0, 0},
    {"advertise_ip", OPTION_STRING, AT(advertise_ip), NULL,
     "Address that others and executors reach the agent at; needed when ip is 0.0.0.0 or ::.", 0, 0, 0},
    {"port", OPTION_PORT, AT(port), "5051", "Port to listen on.", 0, 0, 0},
    {"hostname", OPTION_STRING, AT(hostname), NULL,
     "Name of this machine as frameworks see it; default: localhost on a loopback address, else the host's name.", 0, 0, 0},
    {"work_dir", OPTION_STRING, AT(work_dir), NULL, "Directory of the agent's state and of all sandboxes.", OPTION_REQUIRED,
     0, 0},
    {"runtime_dir", OPTION_STRING, AT(runtime_dir), NULL,
     "Directory of what does not outlive a reboot; default: run inside work_dir.", 0, 0, 0},
    {"resources", OPTION_STRING, AT(resources), NULL,
     "What the agent offers: name:value;name:[a-b] or a JSON array; what is not named is detected.", OPTION_FROM_FILE, 0,
     0},
    {"default_role", OPTION_STRING, AT(default_role), "*", "Role of resources that name none.", 0, 0, 0},
    {"attributes", OPTION_STRING, AT(attributes), NULL, "Labels of this machine: name:value;name:value.", OPTION_FROM_FILE,
     0, 0},
    {"cgroups_root", OPTION_STRING, AT(cgroups_root), "muster", "Name of the control group that holds all containers.", 0,
     0, 0},
    {"cgroups_enable_cfs", OPTION_BOOL, AT(cgroups_enable_cfs), "false",
     "Cap every container's CPU time at what it asked for, also when others leave theirs unused.", 0, 0, 0},
    {"switch_user", OPTION_BOOL, AT(switch_user), "true",
     "Run tasks as their framework's or command's user instead of the agent's.", 0, 0, 0},
    {"executor_registration_timeout", OPTION_DURATION, AT(executor_registration_timeout_ms), "1mins",
     "Time an executor has to subscribe after its program was started.", 0, 1, 24 * HOUR_MS},
    {"executor_reregistration_timeout", OPTION_DURATION, AT(executor_reregistration_timeout_ms), "2secs",
     "Bound of the wait between two attempts of an executor to come back after a restart of the agent.", 0, 1, 15000},
    {"executor_shutdown_grace_period", OPTION_DURATION, AT(executor_shutdown_grace_period_ms), "5secs",
     "Time an executor has to end by itself.", 0, 1, 24 * HOUR_MS},
    {"recovery_timeout", OPTION_DURATION, AT(recovery_timeout_ms), "15mins",
     "Time after which an executor without an agent ends itself.", 0, 1, 7 * 24 * HOUR_MS},
    {"registration_backoff_factor", OPTION_DURATION, AT(registration_backoff_factor_ms), "1secs",
     "Bound of the first random wait before the master is called again; doubles up to 1mins.", 0, 1, 60000},
    {"gc_delay", OPTION_DURATION, AT(gc_delay_ms), "1weeks", "Age at which the sandbox of a finished run is removed.", 0, 1,
     10 * 365 * 24 * HOUR_MS},
    {"executor_environment_variables", OPTION_STRING, AT(executor_environment_variables), NULL,
     "JSON object of strings: what every executor's environment begins with.", OPTION_FROM_FILE, 0, 0},
    {"http_executor_domain_sockets", OPTION_BOOL, AT(http_executor_domain_sockets), "false",
     "Serve executors on a unix socket in runtime_dir as well, and tell them.", 0, 0, 0},
    {"logging_level", OPTION_STRING, AT(logging_level), "INFO", "DEBUG, INFO, WARNING or ERROR.", 0, 0, 0},
};
const size_t agent_option_count = sizeof(agent_option_defs) / sizeof(agent_option_defs[0]);
