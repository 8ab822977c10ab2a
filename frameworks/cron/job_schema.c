/* SPDX-License-Identifier: Apache-2.0
 * job_schema.c - types of every key of a job definition (facts: net-cron D.3, D.4), and which of them are not carried out
 * yet: those are refused by name. */
#include <stdio.h>
#include <string.h>

#include "frameworks/cron/job_private.h"
#include "frameworks/kit/schema.h"

static const char *const operator_words[] = {"IS", "EQ", "LIKE", "UNLIKE", NULL};
static const char *const restart_words[] = {"NEVER", "ON_FAILURE", NULL};
static const char *const array_words[] = {"CONTINUE", "STOP", NULL};
static const char *const network_words[] = {"host", "container", "container/bridge", NULL};
static const char *const volume_words[] = {"RO", "RW", NULL};
static const char *const concurrency_words[] = {"ALLOW", "FORBID", "REPLACE", NULL};
static const char *const missed_words[] = {"SKIP", "RUN_ONCE", "CATCH_UP", NULL};
static const char *const dependency_words[] = {"SUCCESS", "COMPLETION", NULL};
static const char *const image_words[] = {"docker", "appc", NULL};

/* clang-format off */
#define STRING {.kind = SCHEMA_STRING}
#define TEXT {.kind = SCHEMA_STRING, .length_min = 1}
#define BOOL {.kind = SCHEMA_BOOL}
#define WORD(list) {.kind = SCHEMA_STRING, .words = (list), .is_exact = true}
#define INT(lowest, highest) {.kind = SCHEMA_INT, .min = (lowest), .max = (highest)}
#define NUMBER(lowest) {.kind = SCHEMA_NUMBER, .min = (lowest), .max = 1e12}
#define OPEN(list) {.kind = SCHEMA_OBJECT, .fields = (list)}
#define CLOSED(list) {.kind = SCHEMA_OBJECT, .fields = (list), .is_closed = true}
#define ARRAY_OF(type) {.kind = SCHEMA_ARRAY, .item = &(type), .length_max = 1024}
#define MAP_OF(type) {.kind = SCHEMA_MAP, .item = &(type)}
/* clang-format on */
#define SECONDS_MAX 1e9

static const struct schema string_type = STRING;
static const struct schema env_type = {.kind = SCHEMA_ENV};

static const struct schema_field dependency_fields[] = {{"id", TEXT, true}, {0}};
static const struct schema dependency_type = CLOSED(dependency_fields);

static const struct schema_field constraint_fields[] = {
    {"attribute", STRING, true}, {"operator", WORD(operator_words), true}, {"value", STRING}, {0}};
static const struct schema constraint_type = CLOSED(constraint_fields);
static const struct schema_field placement_fields[] = {{"constraints", ARRAY_OF(constraint_type)}, {0}};

static const struct schema_field artifact_fields[] = {{"uri", TEXT, true}, {"extract", BOOL},  {"executable", BOOL},
                                                      {"cache", BOOL},     {"destPath", TEXT}, {0}};
static const struct schema artifact_type = CLOSED(artifact_fields);

static const struct schema_field volume_fields[] = {
    {"containerPath", TEXT, true}, {"hostPath", TEXT}, {"mode", WORD(volume_words)}, {"secret", TEXT}, {0}};
static const struct schema volume_type = CLOSED(volume_fields);

static const struct schema_field parameter_fields[] = {{"key", TEXT, true}, {"value", STRING, true}, {0}};
static const struct schema parameter_type = CLOSED(parameter_fields);
static const struct schema_field docker_fields[] = {
    {"image", TEXT, true}, {"forcePullImage", BOOL}, {"privileged", BOOL}, {"parameters", ARRAY_OF(parameter_type)}, {0}};
static const struct schema_field image_fields[] = {
    {"id", TEXT, true}, {"kind", WORD(image_words)}, {"forcePull", BOOL}, {0}};
static const struct schema_field ucr_fields[] = {{"image", CLOSED(image_fields), true}, {"privileged", BOOL}, {0}};

static const struct schema_field secret_fields[] = {{"source", TEXT, true}, {0}};
static const struct schema secret_type = CLOSED(secret_fields);

static const struct schema_field network_fields[] = {
    {"mode", WORD(network_words), true}, {"name", TEXT}, {"labels", MAP_OF(string_type)}, {0}};
static const struct schema network_type = CLOSED(network_fields);

static const struct schema_field restart_fields[] = {{"policy", WORD(restart_words), true},
                                                     {"activeDeadlineSeconds", INT(1, SECONDS_MAX)},
                                                     {"retries", INT(1, 1e6)},
                                                     {"delaySeconds", NUMBER(0)},
                                                     {0}};
static const struct schema_field array_fields[] = {
    {"count", INT(1, JOB_ARRAY_MAX), true}, {"parallel", INT(1, JOB_PARALLEL_MAX)}, {"onFailure", WORD(array_words)}, {0}};

static const struct schema_field run_fields[] = {{"cpus", NUMBER(0.01), true},
                                                 {"mem", NUMBER(32), true},
                                                 {"disk", NUMBER(0), true},
                                                 {"gpus", INT(0, 1000)},
                                                 {"cmd", TEXT},
                                                 {"args", ARRAY_OF(string_type)},
                                                 {"user", TEXT},
                                                 {"env", MAP_OF(env_type)},
                                                 {"secrets", MAP_OF(secret_type)},
                                                 {"placement", CLOSED(placement_fields)},
                                                 {"artifacts", ARRAY_OF(artifact_type)},
                                                 {"maxLaunchDelay", INT(1, SECONDS_MAX)},
                                                 {"docker", CLOSED(docker_fields)},
                                                 {"ucr", CLOSED(ucr_fields)},
                                                 {"volumes", ARRAY_OF(volume_type)},
                                                 {"restart", CLOSED(restart_fields)},
                                                 {"taskKillGracePeriodSeconds", NUMBER(0)},
                                                 {"networks", ARRAY_OF(network_type)},
                                                 {"array", CLOSED(array_fields)},
                                                 {"maxRunSeconds", INT(1, SECONDS_MAX)},
                                                 {0}};

/* nextRunAt comes back with definitions that were read before. */
static const struct schema_field schedule_fields[] = {{"id", TEXT, true},
                                                      {"cron", TEXT},
                                                      {"interval", TEXT},
                                                      {"timezone", STRING},
                                                      {"startingDeadlineSeconds", INT(1, SECONDS_MAX)},
                                                      {"concurrencyPolicy", WORD(concurrency_words)},
                                                      {"missedPolicy", WORD(missed_words)},
                                                      {"catchUpLimit", INT(1, JOB_CATCH_UP_MAX)},
                                                      {"enabled", BOOL},
                                                      {"nextRunAt", STRING},
                                                      {0}};
static const struct schema schedule_type = OPEN(schedule_fields);

static const struct schema_field job_fields[] = {{"id", TEXT},
                                                 {"description", STRING},
                                                 {"dependencies", ARRAY_OF(dependency_type)},
                                                 {"dependencyPolicy", WORD(dependency_words)},
                                                 {"labels", MAP_OF(string_type)},
                                                 {"run", CLOSED(run_fields), true},
                                                 {"schedules", ARRAY_OF(schedule_type)},
                                                 {0}};
static const struct schema job_type = CLOSED(job_fields);

void job_check_schema(const json_t *json, struct problems *problems)
{
    schema_check(&job_type, json, "", problems);
}

void schedule_check_schema(const json_t *json, struct problems *problems)
{
    schema_check(&schedule_type, json, "", problems);
}

/* -- not carried out yet ------------------------------------------------------------------------------------------ */

static void refuse(struct problems *problems, const char *path, const char *what)
{
    problems_add(problems, path, "%s are not supported yet", what);
}

static void check_environment(const json_t *run, struct problems *problems)
{
    const char *name;
    json_t *value;
    json_object_foreach(json_object_get(run, "env"), name, value)
    {
        char path[PROBLEM_PATH_MAX];
        (void)snprintf(path, sizeof(path), "/run/env/%s", name); /* a long name is cut in the message */
        if (json_is_object(value))
            refuse(problems, path, "Secrets");
    }
}

void job_check_supported(const json_t *json, struct problems *problems)
{
    const json_t *run = json_object_get(json, "run");
    if (json_object_get(run, "docker") && json_object_get(run, "ucr"))
        problems_add(problems, "/run", "Either Docker or UCR should be provided, but not both");
    if (json_object_get(run, "docker"))
        refuse(problems, "/run/docker", "Docker images");
    if (json_object_get(run, "ucr"))
        refuse(problems, "/run/ucr", "UCR images");
    if (json_object_size(json_object_get(run, "secrets")) > 0)
        refuse(problems, "/run/secrets", "Secrets");
    if (json_integer_value(json_object_get(run, "gpus")) > 0)
        refuse(problems, "/run/gpus", "GPUs");
    check_environment(run, problems);
    size_t i;
    json_t *item;
    json_array_foreach(json_object_get(run, "volumes"), i, item)
    {
        char path[64];
        (void)snprintf(path, sizeof(path), "/run/volumes(%zu)", i); /* fits */
        if (json_object_get(item, "secret"))
            refuse(problems, path, "Secret volumes");
    }
    json_array_foreach(json_object_get(run, "networks"), i, item)
    {
        char path[64];
        (void)snprintf(path, sizeof(path), "/run/networks(%zu)", i); /* fits */
        if (strcmp(json_string_value(json_object_get(item, "mode")), "host") != 0)
            refuse(problems, path, "Container networks");
    }
}
