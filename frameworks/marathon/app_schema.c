/* SPDX-License-Identifier: Apache-2.0
 * app_schema.c - types of every key that an app definition may have (facts: marathon 2.3 to 2.11), and which of them are
 * not carried out yet: those are refused by name, never ignored. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "frameworks/kit/schema.h"
#include "frameworks/marathon/app.h"

#define STRING                                                                                                             \
    {                                                                                                                      \
        .kind = SCHEMA_STRING                                                                                              \
    }
#define STRING_MIN(n)                                                                                                      \
    {                                                                                                                      \
        .kind = SCHEMA_STRING, .length_min = (n)                                                                           \
    }
#define INT_FROM(lowest)                                                                                                   \
    {                                                                                                                      \
        .kind = SCHEMA_INT, .min = (lowest), .max = 2147483647.0                                                           \
    }
#define PORT_NUMBER                                                                                                        \
    {                                                                                                                      \
        .kind = SCHEMA_INT, .min = 0, .max = 65535                                                                         \
    }
#define NUMBER_FROM(lowest)                                                                                                \
    {                                                                                                                      \
        .kind = SCHEMA_NUMBER, .min = (lowest), .max = 1e12                                                                \
    }
#define FRACTION                                                                                                           \
    {                                                                                                                      \
        .kind = SCHEMA_NUMBER, .min = 0, .max = 1                                                                          \
    }
#define BOOL                                                                                                               \
    {                                                                                                                      \
        .kind = SCHEMA_BOOL                                                                                                \
    }
#define ANY                                                                                                                \
    {                                                                                                                      \
        .kind = SCHEMA_ANY                                                                                                 \
    }
#define WORD(list)                                                                                                         \
    {                                                                                                                      \
        .kind = SCHEMA_STRING, .words = (list)                                                                             \
    }
#define OBJECT(list)                                                                                                       \
    {                                                                                                                      \
        .kind = SCHEMA_OBJECT, .fields = (list)                                                                            \
    }
#define ARRAY_OF(type)                                                                                                     \
    {                                                                                                                      \
        .kind = SCHEMA_ARRAY, .item = &(type)                                                                              \
    }
#define ARRAY_UP_TO(type, n)                                                                                               \
    {                                                                                                                      \
        .kind = SCHEMA_ARRAY, .item = &(type), .length_max = (n)                                                           \
    }
#define MAP_OF(type)                                                                                                       \
    {                                                                                                                      \
        .kind = SCHEMA_MAP, .item = &(type)                                                                                \
    }

static const char *const protocol_words[] = {"tcp", "udp", "udp,tcp", "tcp,udp", NULL};
static const char *const network_words[] = {"container", "container/bridge", "host", NULL};
static const char *const docker_network_words[] = {"BRIDGE", "HOST", "NONE", "USER", NULL};
static const char *const container_words[] = {"DOCKER", "MESOS", NULL};
static const char *const volume_mode_words[] = {"RW", "RO", NULL};
static const char *const check_words[] = {"HTTP",       "HTTPS",       "TCP",       "COMMAND",
                                          "MESOS_HTTP", "MESOS_HTTPS", "MESOS_TCP", NULL};
static const char *const http_words[] = {"HTTP", "HTTPS", NULL};
static const char *const ip_words[] = {"IPv4", "IPv6", NULL};
static const char *const kill_words[] = {"YOUNGEST_FIRST", "OLDEST_FIRST", NULL};
static const char *const disabled_words[] = {"disabled", NULL};
static const char *const unlimited_words[] = {"unlimited", NULL};

static const struct schema string_type = STRING;
static const struct schema port_type = PORT_NUMBER;
static const struct schema status_type = {.kind = SCHEMA_INT, .min = 100, .max = 999};
static const struct schema env_type = {.kind = SCHEMA_ENV};

static const struct schema constraint_type = {.kind = SCHEMA_ARRAY, .item = &string_type};

static const struct schema_field secret_fields[] = {{"source", STRING, true}, {0}};
static const struct schema secret_type = OBJECT(secret_fields);

static const struct schema_field artifact_fields[] = {
    {"uri", {.kind = SCHEMA_STRING, .length_min = 1, .length_max = 1024}, true},
    {"extract", BOOL},
    {"executable", BOOL},
    {"cache", BOOL},
    {"destPath", STRING},
    {0}};
static const struct schema artifact_type = OBJECT(artifact_fields);

static const struct schema_field command_fields[] = {{"value", STRING_MIN(1), true}, {0}};

static const struct schema_field health_check_fields[] = {{"protocol", WORD(check_words)},
                                                          {"path", STRING},
                                                          {"portIndex", INT_FROM(0)},
                                                          {"port", PORT_NUMBER},
                                                          {"command", OBJECT(command_fields)},
                                                          {"gracePeriodSeconds", INT_FROM(0)},
                                                          {"intervalSeconds", INT_FROM(1)},
                                                          {"timeoutSeconds", INT_FROM(1)},
                                                          {"maxConsecutiveFailures", INT_FROM(0)},
                                                          {"delaySeconds", INT_FROM(0)},
                                                          {"ignoreHttp1xx", BOOL},
                                                          {"ipProtocol", WORD(ip_words)},
                                                          {0}};
static const struct schema health_check_type = OBJECT(health_check_fields);

static const struct schema_field http_target_fields[] = {
    {"portIndex", INT_FROM(0)}, {"port", PORT_NUMBER}, {"path", STRING}, {"scheme", WORD(http_words)}, {0}};
static const struct schema_field tcp_target_fields[] = {{"portIndex", INT_FROM(0)}, {"port", PORT_NUMBER}, {0}};
static const struct schema_field exec_command_fields[] = {
    {"shell", STRING_MIN(1)}, {"argv", {.kind = SCHEMA_ARRAY, .item = &string_type, .length_max = 1024}}, {0}};
static const struct schema_field exec_fields[] = {{"command", OBJECT(exec_command_fields), true}, {0}};
static const struct schema_field check_fields[] = {{"http", OBJECT(http_target_fields)},
                                                   {"tcp", OBJECT(tcp_target_fields)},
                                                   {"exec", OBJECT(exec_fields)},
                                                   {"intervalSeconds", INT_FROM(1)},
                                                   {"timeoutSeconds", INT_FROM(1)},
                                                   {"delaySeconds", INT_FROM(0)},
                                                   {0}};

static const struct schema_field readiness_fields[] = {
    {"name", STRING},
    {"protocol", WORD(http_words)},
    {"path", STRING},
    {"portName", STRING},
    {"intervalSeconds", INT_FROM(1)},
    {"timeoutSeconds", INT_FROM(1)},
    {"httpStatusCodesForReady", {.kind = SCHEMA_ARRAY, .item = &status_type, .length_min = 1, .length_max = 900}},
    {"preserveLastResponse", BOOL},
    {0}};
static const struct schema readiness_type = OBJECT(readiness_fields);

static const struct schema_field network_fields[] = {
    {"name", STRING}, {"mode", WORD(network_words)}, {"labels", MAP_OF(string_type)}, {0}};
static const struct schema network_type = OBJECT(network_fields);

static const struct schema_field port_definition_fields[] = {
    {"port", PORT_NUMBER}, {"protocol", WORD(protocol_words)}, {"name", STRING}, {"labels", MAP_OF(string_type)}, {0}};
static const struct schema port_definition_type = OBJECT(port_definition_fields);

static const struct schema_field port_mapping_fields[] = {{"containerPort", PORT_NUMBER},
                                                          {"hostPort", PORT_NUMBER},
                                                          {"servicePort", PORT_NUMBER},
                                                          {"protocol", WORD(protocol_words)},
                                                          {"name", STRING},
                                                          {"labels", MAP_OF(string_type)},
                                                          {"networkNames", ARRAY_OF(string_type)},
                                                          {0}};
static const struct schema port_mapping_type = OBJECT(port_mapping_fields);

static const struct schema_field volume_fields[] = {{"containerPath", STRING_MIN(1), true},
                                                    {"hostPath", STRING_MIN(1)},
                                                    {"mode", WORD(volume_mode_words)},
                                                    {"persistent", {.kind = SCHEMA_OBJECT}},
                                                    {"external", {.kind = SCHEMA_OBJECT}},
                                                    {"secret", STRING},
                                                    {0}};
static const struct schema volume_type = OBJECT(volume_fields);

static const struct schema_field parameter_fields[] = {{"key", STRING_MIN(1), true}, {"value", STRING, true}, {0}};
static const struct schema parameter_type = OBJECT(parameter_fields);

static const struct schema_field docker_fields[] = {{"image", STRING_MIN(1), true},
                                                    {"forcePullImage", BOOL},
                                                    {"privileged", BOOL},
                                                    {"parameters", ARRAY_OF(parameter_type)},
                                                    {"pullConfig", ANY},
                                                    {"credential", ANY},
                                                    {"network", WORD(docker_network_words)},
                                                    {"portMappings", ARRAY_OF(port_mapping_type)},
                                                    {0}};

static const struct schema_field container_fields[] = {{"type", WORD(container_words)},
                                                       {"docker", OBJECT(docker_fields)},
                                                       {"volumes", ARRAY_UP_TO(volume_type, 256)},
                                                       {"portMappings", ARRAY_OF(port_mapping_type)},
                                                       {"linuxInfo", {.kind = SCHEMA_OBJECT}},
                                                       {0}};

static const struct schema_field upgrade_fields[] = {
    {"minimumHealthCapacity", FRACTION, true}, {"maximumOverCapacity", FRACTION, true}, {0}};

static const struct schema_field unreachable_fields[] = {
    {"inactiveAfterSeconds", INT_FROM(0)}, {"expungeAfterSeconds", INT_FROM(0)}, {0}};

static const struct schema_field executor_resources_fields[] = {
    {"cpus", NUMBER_FROM(0.1)}, {"mem", NUMBER_FROM(32)}, {"disk", NUMBER_FROM(10)}, {0}};

#define LIMIT                                                                                                              \
    {                                                                                                                      \
        .kind = SCHEMA_NUMBER_OR_WORD, .min = 0, .max = 1e12, .words = unlimited_words                                     \
    }
static const struct schema_field limit_fields[] = {{"cpus", LIMIT}, {"mem", LIMIT}, {0}};

static const struct schema_field app_fields[] = {
    {"id", STRING_MIN(1), true},
    {"cmd", STRING_MIN(1)},
    {"args", ARRAY_OF(string_type)},
    {"container", OBJECT(container_fields)},
    {"cpus", NUMBER_FROM(0)},
    {"mem", NUMBER_FROM(0)},
    {"disk", NUMBER_FROM(0)},
    {"gpus", INT_FROM(0)},
    {"instances", {.kind = SCHEMA_INT, .min = 0, .max = 100000}},
    {"constraints", ARRAY_UP_TO(constraint_type, 64)},
    {"acceptedResourceRoles", ARRAY_UP_TO(string_type, 64)},
    {"role", STRING},
    {"env", MAP_OF(env_type)},
    {"labels", MAP_OF(string_type)},
    {"secrets", MAP_OF(secret_type)},
    {"executor", STRING},
    {"executorResources", OBJECT(executor_resources_fields)},
    {"fetch", ARRAY_UP_TO(artifact_type, 1024)},
    {"healthChecks", ARRAY_UP_TO(health_check_type, 64)},
    {"check", OBJECT(check_fields)},
    {"readinessChecks", ARRAY_UP_TO(readiness_type, 64)},
    {"networks", ARRAY_UP_TO(network_type, 64)},
    {"portDefinitions", ARRAY_UP_TO(port_definition_type, 1024)},
    {"requirePorts", BOOL},
    {"backoffSeconds", INT_FROM(0)},
    {"backoffFactor", NUMBER_FROM(1)},
    {"maxLaunchDelaySeconds", INT_FROM(0)},
    {"upgradeStrategy", OBJECT(upgrade_fields)},
    {"killSelection", WORD(kill_words)},
    {"unreachableStrategy", {.kind = SCHEMA_OBJECT_OR_WORD, .fields = unreachable_fields, .words = disabled_words}},
    {"taskKillGracePeriodSeconds", INT_FROM(0)},
    {"dependencies", ARRAY_UP_TO(string_type, 1024)},
    {"resourceLimits", OBJECT(limit_fields)},
    {"residency", {.kind = SCHEMA_OBJECT}},
    {"tty", BOOL},
    {"user", STRING_MIN(1)},
    {"version", STRING},
    {"versionInfo", ANY},
    {"ipAddress", {.kind = SCHEMA_OBJECT}},
    {"ports", ARRAY_UP_TO(port_type, 1024)},
    {"uris", ARRAY_UP_TO(string_type, 1024)},
    {0}};

static const struct schema app_type = OBJECT(app_fields);

void app_check_schema(const json_t *json, bool is_update, struct problems *problems)
{
    if (!is_update) {
        schema_check(&app_type, json, "", problems);
    } else if (!json_is_object(json)) {
        problems_add(problems, "/", "error.expected.jsobject");
    } else {
        struct schema update = app_type;
        struct schema_field fields[sizeof(app_fields) / sizeof(app_fields[0])];
        memcpy(fields, app_fields, sizeof(fields));
        fields[0].is_required = false; /* id */
        update.fields = fields;
        schema_check(&update, json, "", problems);
    }
    problems->is_schema = problems_any(problems);
}

static void refuse(struct problems *problems, const char *path)
{
    problems_add(problems, path, "is not supported yet");
}

static bool is_container_supported(const json_t *container)
{
    const json_t *type = json_object_get(container, "type");
    return type != NULL && strcasecmp(json_string_value(type), "MESOS") == 0;
}

static void check_container_supported(const json_t *container, struct problems *problems)
{
    if (json_object_get(container, "docker") != NULL)
        problems_add(problems, "/container/docker/image", "container images are not supported yet");
    else if (!is_container_supported(container))
        problems_add(problems, "/container/docker",
                     "not defined: a container of type DOCKER (the default) needs an image; "
                     "one without image must say type MESOS");
    if (json_object_get(container, "linuxInfo") != NULL)
        refuse(problems, "/container/linuxInfo");
    if (json_array_size(json_object_get(container, "portMappings")) > 0)
        problems_add(problems, "/container/portMappings", "portMappings are not allowed with host-networking");
    size_t i;
    json_t *volume;
    json_array_foreach(json_object_get(container, "volumes"), i, volume)
    {
        static const char *const kinds[] = {"persistent", "external", "secret"};
        for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
            char path[PROBLEM_PATH_MAX];
            (void)snprintf(path, sizeof(path), "/container/volumes(%zu)/%s", i, kinds[k]);
            if (json_object_get(volume, kinds[k]) != NULL)
                refuse(problems, path);
        }
    }
}

static void check_networks_supported(const json_t *networks, struct problems *problems)
{
    size_t i;
    json_t *network;
    json_array_foreach(networks, i, network)
    {
        const char *mode = json_string_value(json_object_get(network, "mode"));
        char path[PROBLEM_PATH_MAX];
        (void)snprintf(path, sizeof(path), "/networks(%zu)", i);
        if (mode == NULL || strcasecmp(mode, "host") != 0)
            problems_add(problems, path, "container networks are not supported yet, only mode host");
        else if (json_object_get(network, "name") || json_object_size(json_object_get(network, "labels")) > 0)
            problems_add(problems, path, "Host networks may not have names or labels");
    }
    if (json_array_size(networks) > 1)
        problems_add(problems, "/networks",
                     "May specify a single host network, single bridge network, or else 1-to-n container networks");
}

void app_check_supported(const json_t *json, struct problems *problems)
{
    static const char *const refused[] = {"executorResources", "residency", "ipAddress"};
    for (size_t k = 0; k < sizeof(refused) / sizeof(refused[0]); k++) {
        char path[PROBLEM_PATH_MAX];
        (void)snprintf(path, sizeof(path), "/%s", refused[k]);
        if (json_object_size(json_object_get(json, refused[k])) > 0)
            refuse(problems, path);
    }
    /* No keys of an app, but of a group that was sent where apps go: taking it for an empty app would hide its content. */
    static const char *const group_keys[] = {"groups", "apps", "pods"};
    for (size_t k = 0; k < sizeof(group_keys) / sizeof(group_keys[0]); k++) {
        char path[PROBLEM_PATH_MAX];
        (void)snprintf(path, sizeof(path), "/%s", group_keys[k]);
        if (json_is_array(json_object_get(json, group_keys[k])))
            problems_add(problems, path, "groups and pods are not supported yet; add the apps of a group one by one");
    }
    if (json_object_size(json_object_get(json, "secrets")) > 0)
        refuse(problems, "/secrets");
    if (json_number_value(json_object_get(json, "gpus")) > 0)
        refuse(problems, "/gpus");
    if (json_is_true(json_object_get(json, "tty")))
        refuse(problems, "/tty");
    const char *executor = json_string_value(json_object_get(json, "executor"));
    if (executor && executor[0] && strcmp(executor, "//cmd") != 0)
        problems_add(problems, "/executor", "custom executors are not supported yet");
    size_t i;
    json_t *health_check;
    json_array_foreach(json_object_get(json, "healthChecks"), i, health_check)
    {
        const char *ip = json_string_value(json_object_get(health_check, "ipProtocol"));
        char path[PROBLEM_PATH_MAX];
        (void)snprintf(path, sizeof(path), "/healthChecks(%zu)/ipProtocol", i);
        if (ip && strcasecmp(ip, "IPv4") != 0)
            problems_add(problems, path, "IPv6 is not supported without a Docker container");
    }
    const char *key;
    json_t *value;
    json_object_foreach(json_object_get(json, "env"), key, value)
    {
        char path[PROBLEM_PATH_MAX];
        (void)snprintf(path, sizeof(path), "/env/%s", key); /* a long name is cut in the message */
        if (json_is_object(value))
            problems_add(problems, path, "secrets are not supported yet");
    }
    const json_t *container = json_object_get(json, "container");
    if (container != NULL)
        check_container_supported(container, problems);
    check_networks_supported(json_object_get(json, "networks"), problems);
}
