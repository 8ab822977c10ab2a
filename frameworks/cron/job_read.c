/* SPDX-License-Identifier: Apache-2.0
 * job_read.c - JSON into job definitions. In the order of Metronome's checks: types, then values, then rules across
 * fields (facts: net-cron D.2). */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"
#include "frameworks/cron/job_private.h"
#include "frameworks/kit/pattern.h"
#include "frameworks/kit/schema.h"

#define STARTING_DEADLINE_MIN_S 60

const char *const job_operator_words[3] = {"IS", "LIKE", "UNLIKE"};
const char *const concurrency_policy_words[3] = {"ALLOW", "FORBID", "REPLACE"};
const char *const missed_policy_words[3] = {"SKIP", "RUN_ONCE", "CATCH_UP"};

/* -- values ------------------------------------------------------------------------------------------------------- */

static const char *get_string(struct chunks *c, const json_t *json, const char *key)
{
    const char *s = json_string_value(json_object_get(json, key));
    return s ? chunks_strdup(c, s) : NULL;
}

static double get_number(const json_t *json, const char *key, double otherwise)
{
    const json_t *v = json_object_get(json, key);
    return v ? json_number_value(v) : otherwise;
}

static int64_t get_int(const json_t *json, const char *key, int64_t otherwise)
{
    const json_t *v = json_object_get(json, key);
    return json_is_integer(v) ? (int64_t)json_integer_value(v) : (int64_t)get_number(json, key, (double)otherwise);
}

static bool get_bool(const json_t *json, const char *key, bool otherwise)
{
    const json_t *v = json_object_get(json, key);
    return v ? json_is_true(v) : otherwise;
}

/* Index of the word, 0 when absent or none of them. */
static int get_word(const json_t *json, const char *key, const char *const *words, int count)
{
    const char *s = json_string_value(json_object_get(json, key));
    for (int i = 0; s && i < count; i++) {
        if (strcmp(words[i], s) == 0)
            return i;
    }
    return 0;
}

static const char **get_strings(struct chunks *c, const json_t *list, size_t *count)
{
    *count = json_array_size(list);
    if (*count == 0)
        return NULL;
    const char **out = chunks_alloc(c, sizeof(*out) * *count);
    for (size_t i = 0; i < *count; i++) {
        const char *s = json_string_value(json_array_get(list, i));
        out[i] = chunks_strdup(c, s ? s : "");
    }
    return out;
}

/* -- parts of a job ----------------------------------------------------------------------------------------------- */

static void read_constraints(struct job *j, const json_t *list, struct problems *problems)
{
    j->constraint_count = json_array_size(list);
    if (j->constraint_count == 0)
        return;
    j->constraints = chunks_alloc(&j->chunks, sizeof(j->constraints[0]) * j->constraint_count);
    for (size_t i = 0; i < j->constraint_count; i++) {
        const json_t *json = json_array_get(list, i);
        struct job_constraint *c = &j->constraints[i];
        c->attribute = get_string(&j->chunks, json, "attribute");
        c->op = (enum job_operator)get_word(json, "operator", job_operator_words, 3); /* EQ is IS */
        c->value = get_string(&j->chunks, json, "value");
        if (c->op == JOB_IS || c->value == NULL)
            continue;
        struct err err = {0};
        struct pattern *p = kit_pattern_new(c->value, &err);
        char path[64];
        (void)snprintf(path, sizeof(path), "/run/placement/constraints(%zu)/value", i); /* fits */
        if (p == NULL)
            problems_add(problems, path, "%s", err.text);
        (void)pattern_free(p);
    }
}

static void read_artifacts(struct job *j, const json_t *list)
{
    j->artifact_count = json_array_size(list);
    if (j->artifact_count == 0)
        return;
    j->artifacts = chunks_alloc(&j->chunks, sizeof(j->artifacts[0]) * j->artifact_count);
    for (size_t i = 0; i < j->artifact_count; i++) {
        const json_t *json = json_array_get(list, i);
        j->artifacts[i] = (struct job_artifact){.uri = get_string(&j->chunks, json, "uri"),
                                                .output_file = get_string(&j->chunks, json, "destPath"),
                                                .extract = get_bool(json, "extract", true),
                                                .executable = get_bool(json, "executable", false),
                                                .cache = get_bool(json, "cache", false)};
    }
}

static void read_volumes(struct job *j, const json_t *list, struct problems *problems)
{
    j->volume_count = json_array_size(list);
    if (j->volume_count == 0)
        return;
    j->volumes = chunks_alloc(&j->chunks, sizeof(j->volumes[0]) * j->volume_count);
    for (size_t i = 0; i < j->volume_count; i++) {
        const json_t *json = json_array_get(list, i);
        struct job_volume *v = &j->volumes[i];
        const char *mode = json_string_value(json_object_get(json, "mode"));
        char path[64];
        (void)snprintf(path, sizeof(path), "/run/volumes(%zu)", i); /* fits */
        v->container_path = get_string(&j->chunks, json, "containerPath");
        v->host_path = get_string(&j->chunks, json, "hostPath");
        v->is_read_only = mode && strcmp(mode, "RO") == 0;
        if (json_object_get(json, "secret"))
            continue; /* refused already */
        if (v->host_path == NULL || mode == NULL)
            problems_add(problems, path, "error.path.missing");
        else if (v->container_path[0] != '/')
            problems_add(problems, path, "error.pattern");
    }
}

static void read_networks(struct job *j, const json_t *list, struct problems *problems)
{
    if (json_array_size(list) > 1)
        problems_add(problems, "/run/networks", "Host networking can not be combined with other networks");
    const json_t *first = json_array_get(list, 0);
    if (first == NULL)
        return;
    j->network = "host"; /* others were refused */
    j->network_labels = pairs_read(&j->chunks, json_object_get(first, "labels"));
    const char *mode = json_string_value(json_object_get(first, "mode"));
    if (json_object_get(first, "name") && mode && strcmp(mode, "host") == 0)
        problems_add(problems, "/run/networks(0)/name", "must be empty for host networks");
}

static void read_restart(struct job *j, const json_t *restart)
{
    static const char *const words[] = {"NEVER", "ON_FAILURE"};
    j->restart = (enum restart_policy)get_word(restart, "policy", words, 2);
    j->active_deadline_s = get_int(restart, "activeDeadlineSeconds", -1);
    j->retries = get_int(restart, "retries", -1);
    double delay_s = get_number(restart, "delaySeconds", -1);
    j->is_fixed_delay = delay_s >= 0;
    if (j->is_fixed_delay)
        j->retry_delay_ms = (int64_t)(delay_s * 1000 + 0.5);
}

static void read_array(struct job *j, const json_t *array)
{
    static const char *const words[] = {"CONTINUE", "STOP"};
    j->array_count = get_int(array, "count", 0);
    j->array_parallel = get_int(array, "parallel", JOB_PARALLEL_DEFAULT);
    j->array_policy = (enum array_policy)get_word(array, "onFailure", words, 2);
}

static void read_run(struct job *j, const json_t *run, struct problems *problems)
{
    struct chunks *c = &j->chunks;
    j->cmd = get_string(c, run, "cmd");
    j->user = get_string(c, run, "user");
    j->args = get_strings(c, json_object_get(run, "args"), &j->arg_count);
    j->cpus = get_number(run, "cpus", 1.0);
    j->mem = get_number(run, "mem", 128);
    j->disk = get_number(run, "disk", 0);
    j->env = pairs_read(c, json_object_get(run, "env"));
    j->max_launch_delay_s = get_int(run, "maxLaunchDelay", JOB_MAX_LAUNCH_DELAY_S);
    j->kill_grace_s = get_number(run, "taskKillGracePeriodSeconds", -1);
    j->max_run_s = get_int(run, "maxRunSeconds", -1);
    read_constraints(j, json_object_get(json_object_get(run, "placement"), "constraints"), problems);
    read_artifacts(j, json_object_get(run, "artifacts"));
    read_volumes(j, json_object_get(run, "volumes"), problems);
    read_networks(j, json_object_get(run, "networks"), problems);
    read_restart(j, json_object_get(run, "restart"));
    read_array(j, json_object_get(run, "array"));
}

static void read_parents(struct job *j, const json_t *list, struct problems *problems)
{
    size_t count = json_array_size(list);
    if (count == 0)
        return;
    if (count > JOB_PARENTS_MAX) {
        problems_add(problems, "/dependencies", "must not be more than %d", JOB_PARENTS_MAX);
        return;
    }
    j->parents = chunks_alloc(&j->chunks, sizeof(j->parents[0]) * count);
    for (size_t i = 0; i < count; i++) {
        const char *id = json_string_value(json_object_get(json_array_get(list, i), "id"));
        bool is_there = id == NULL;
        for (size_t k = 0; k < j->parent_count; k++)
            is_there = is_there || strcmp(j->parents[k], id) == 0;
        if (!is_there)
            j->parents[j->parent_count++] = chunks_strdup(&j->chunks, id);
    }
}

void job_read(struct job *j, const json_t *json, bool is_stored, struct problems *problems)
{
    static const char *const words[] = {"SUCCESS", "COMPLETION"};
    (void)is_stored;
    j->description = get_string(&j->chunks, json, "description");
    j->labels = pairs_read(&j->chunks, json_object_get(json, "labels"));
    j->dependency_policy = (enum dependency_policy)get_word(json, "dependencyPolicy", words, 2);
    read_parents(j, json_object_get(json, "dependencies"), problems);
    read_run(j, json_object_get(json, "run"), problems);
}

/* -- schedules ---------------------------------------------------------------------------------------------------- */

/* The text in its normal form, which the stored one has already. */
static const char *normal_text(const char *text, bool is_stored, struct chunks *chunks, struct err *err)
{
    if (is_stored)
        return chunks_strdup(chunks, text);
    struct buf b;
    buf_init(&b, 0);
    char *normal = cron_expr_normalise(text, &b, err) == 0 ? buf_steal_str(&b) : NULL;
    const char *copy = normal ? chunks_strdup(chunks, normal) : NULL;
    free(normal);
    buf_deinit(&b);
    return copy;
}

static void read_cron(struct schedule *s, const char *text, struct zones *zones, bool is_stored, struct chunks *chunks,
                      const char *path, struct problems *problems)
{
    struct err err = {0};
    char below[PROBLEM_PATH_MAX];
    (void)snprintf(below, sizeof(below), "%s/cron", path); /* fits */
    s->kind = SCHEDULE_CRON;
    if (cron_expr_parse(text, &s->cron, &err) == 0)
        s->text = normal_text(text, is_stored, chunks, &err);
    if (s->text == NULL) {
        problems_add(problems, below, "%s", err.text);
        s->text = chunks_strdup(chunks, text);
    }
    (void)snprintf(below, sizeof(below), "%s/timezone", path); /* fits */
    if (zones_find(zones, s->timezone, &s->zone, &err) != 0)
        problems_add(problems, below, "%s", err.text);
}

static void read_interval(struct schedule *s, const char *text, const struct job_reading *how, struct chunks *chunks,
                          const char *path, struct problems *problems)
{
    struct err err = {0};
    char below[PROBLEM_PATH_MAX];
    s->kind = SCHEDULE_INTERVAL;
    s->text = chunks_strdup(chunks, text);
    if (iso8601_interval_parse(text, s->timezone, how->zones, zones_utc(how->zones), how->wall_ms, &s->interval, &err) !=
        0) {
        (void)snprintf(below, sizeof(below), "%s/interval", path); /* fits */
        problems_add(problems, below, "%s", err.text);
        return;
    }
    s->zone = s->interval.zone;
    const char *slash = strchr(text, '/');
    if (slash[1] != '/')
        return;
    /* Without a start it begins now, and now must not move when the definition is read again. */
    struct buf b;
    buf_init(&b, 0);
    CHECK(iso8601_interval_format(&s->interval, 0, s->interval.count, NULL, &b) == 0);
    char *full = buf_steal_str(&b);
    s->text = chunks_strdup(chunks, full);
    free(full);
    buf_deinit(&b);
}

struct schedule *schedule_read(const json_t *json, const struct job_reading *how, bool is_stored, struct chunks *chunks,
                               const char *path, struct problems *problems)
{
    struct schedule *s = chunks_alloc(chunks, sizeof(*s));
    const char *cron = json_string_value(json_object_get(json, "cron"));
    const char *interval = json_string_value(json_object_get(json, "interval"));
    s->id = get_string(chunks, json, "id");
    s->timezone = get_string(chunks, json, "timezone");
    if (s->timezone == NULL)
        s->timezone = interval ? "" : "UTC";
    int64_t deadline_s = get_int(json, "startingDeadlineSeconds", JOB_STARTING_DEADLINE_MS / 1000);
    s->starting_deadline_ms = deadline_s < 0 ? JOB_NEVER : deadline_s * 1000;
    s->concurrency = (enum concurrency)get_word(json, "concurrencyPolicy", concurrency_policy_words, 3);
    s->missed = (enum missed_policy)get_word(json, "missedPolicy", missed_policy_words, 3);
    s->catch_up_max = get_int(json, "catchUpLimit", JOB_CATCH_UP_DEFAULT);
    s->is_enabled = get_bool(json, "enabled", true);
    char below[PROBLEM_PATH_MAX];
    if ((cron == NULL) == (interval == NULL)) {
        (void)snprintf(below, sizeof(below), "%s/cron", path); /* fits */
        problems_add(problems, below, cron ? "either cron or interval" : "error.path.missing");
        return s;
    }
    if (cron)
        read_cron(s, cron, how->zones, is_stored, chunks, path, problems);
    else
        read_interval(s, interval, how, chunks, path, problems);
    if (!is_stored && deadline_s < STARTING_DEADLINE_MIN_S) {
        (void)snprintf(below, sizeof(below), "%s/startingDeadlineSeconds", path); /* fits */
        problems_add(problems, below, "must be at least %d", STARTING_DEADLINE_MIN_S);
    }
    return s;
}

static bool is_schedule_id(const char *id, bool in_job)
{
    if (in_job)
        return job_id_is_metronome(id);
    size_t n = strlen(id);
    return n >= 2 && strspn(id, "abcdefghijklmnopqrstuvwxyz0123456789-") == n && id[0] != '-' && id[n - 1] != '-';
}

struct schedule *schedule_from_json(const json_t *json, const struct job_reading *how, bool in_job, struct chunks *chunks,
                                    struct problems *problems)
{
    json_t *plain = schema_copy_without_nulls(json);
    struct schedule *s = NULL;
    schedule_check_schema(plain, problems);
    if (how->id && json_is_object(plain))
        CHECK(json_object_set_new(plain, "id", json_string(how->id)) == 0);
    const char *id = json_string_value(json_object_get(plain, "id"));
    if (!problems_any(problems) && (!id || strlen(id) > JOB_ID_MAX || !is_schedule_id(id, in_job)))
        problems_add(problems, "/id", "error.pattern");
    if (!problems_any(problems))
        s = schedule_read(plain, how, false, chunks, "", problems);
    json_decref(plain);
    return problems_any(problems) ? NULL : s;
}

/* -- whole jobs --------------------------------------------------------------------------------------------------- */

void job_validate(const struct job *j, struct problems *problems)
{
    if (j->cmd == NULL)
        problems_add(problems, "/run", "Cmd, Docker or UCR image must be specified");
    if (j->schedule && j->parent_count > 0)
        problems_add(problems, "/", "Jobs may not have both schedules and dependencies");
}

static void read_schedules(struct job *j, const json_t *list, const struct job_reading *how, struct problems *problems)
{
    if (json_array_size(list) > 1) {
        problems_add(problems, "/schedules", "Only one schedule supported at the moment");
        return;
    }
    const json_t *first = json_array_get(list, 0);
    if (first == NULL)
        return;
    const char *id = json_string_value(json_object_get(first, "id"));
    if (strlen(id) > JOB_ID_MAX || !is_schedule_id(id, true))
        problems_add(problems, "/schedules(0)/id", "error.pattern");
    j->schedule = schedule_read(first, how, false, &j->chunks, "/schedules(0)", problems);
}

static size_t stored_bytes(const struct job *j)
{
    struct buf b;
    struct json_writer w;
    buf_init(&b, JOB_TEXT_BYTES_MAX);
    json_writer_init(&w, &b);
    job_write_stored(j, &w);
    size_t n = b.overflowed ? SIZE_MAX : buf_len(&b);
    buf_deinit(&b);
    return n;
}

struct job *job_from_json(const json_t *json, const struct job_reading *how, struct problems *problems)
{
    json_t *plain = schema_copy_without_nulls(json);
    struct job *j = job_new();
    job_check_schema(plain, problems);
    const char *id = how->id ? how->id : json_string_value(json_object_get(plain, "id"));
    if (id == NULL && json_object_get(plain, "id") == NULL)
        problems_add(problems, "/id", "error.path.missing");
    else if (id == NULL)
        CHECK(problems_any(problems)); /* of another type than text */
    else if (how->id ? !job_id_is_valid(id) : !job_id_is_metronome(id))
        problems_add(problems, "/id", "error.pattern");
    if (!problems_any(problems)) {
        job_check_supported(plain, problems);
        j->id = chunks_strdup(&j->chunks, id);
        job_read(j, plain, false, problems);
        read_schedules(j, json_object_get(plain, "schedules"), how, problems);
    }
    if (!problems_any(problems))
        job_validate(j, problems);
    if (!how->with_schedules)
        j->schedule = NULL; /* checked all the same */
    if (!problems_any(problems) && stored_bytes(j) > JOB_TEXT_BYTES_MAX)
        problems_add(problems, "/", "must not be larger than %u bytes", JOB_TEXT_BYTES_MAX);
    json_decref(plain);
    return problems_any(problems) ? job_unref(j) : j;
}
