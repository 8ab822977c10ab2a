/* SPDX-License-Identifier: Apache-2.0
 * job_write.c - job definitions as JSON: for answers, with every default said, and for the store, without them. */
#include <string.h>

#include "common/base/check.h"
#include "frameworks/cron/job_private.h"

/* In the stored form a member that has its default is left out. */
struct writing {
    struct json_writer *w;
    bool is_stored;
};

static void put_text(const struct writing *p, const char *key, const char *text)
{
    if (text)
        json_kv_string(p->w, key, text);
}

static void put_number(const struct writing *p, const char *key, double value, double otherwise)
{
    if (!p->is_stored || value != otherwise)
        json_kv_number(p->w, key, value);
}

static void put_int(const struct writing *p, const char *key, int64_t value, int64_t otherwise)
{
    if (!p->is_stored || value != otherwise)
        json_kv_int(p->w, key, value);
}

static void put_bool(const struct writing *p, const char *key, bool value, bool otherwise)
{
    if (!p->is_stored || value != otherwise)
        json_kv_bool(p->w, key, value);
}

static void put_pairs(const struct writing *p, const char *key, const struct pairs *pairs)
{
    if (p->is_stored && pairs->count == 0)
        return;
    json_put_key(p->w, key);
    pairs_write(pairs, p->w);
}

/* Begins a list; false: nothing is to be said. */
static bool begin_list(const struct writing *p, const char *key, size_t count)
{
    if (p->is_stored && count == 0)
        return false;
    json_put_key(p->w, key);
    json_begin_array(p->w);
    return true;
}

static void put_strings(const struct writing *p, const char *key, const char *const *list, size_t count)
{
    if (count == 0)
        return;
    json_put_key(p->w, key);
    json_begin_array(p->w);
    for (size_t i = 0; i < count; i++)
        json_put_string(p->w, list[i]);
    json_end_array(p->w);
}

static void put_artifacts(const struct writing *p, const struct job *j)
{
    if (!begin_list(p, "artifacts", j->artifact_count))
        return;
    for (size_t i = 0; i < j->artifact_count; i++) {
        const struct job_artifact *a = &j->artifacts[i];
        json_begin_object(p->w);
        json_kv_string(p->w, "uri", a->uri);
        put_bool(p, "extract", a->extract, true);
        put_bool(p, "executable", a->executable, false);
        put_bool(p, "cache", a->cache, false);
        put_text(p, "destPath", a->output_file);
        json_end_object(p->w);
    }
    json_end_array(p->w);
}

static void put_placement(const struct writing *p, const struct job *j)
{
    if (p->is_stored && j->constraint_count == 0)
        return;
    json_put_key(p->w, "placement");
    json_begin_object(p->w);
    json_put_key(p->w, "constraints");
    json_begin_array(p->w);
    for (size_t i = 0; i < j->constraint_count; i++) {
        json_begin_object(p->w);
        json_kv_string(p->w, "attribute", j->constraints[i].attribute);
        json_kv_string(p->w, "operator", job_operator_words[j->constraints[i].op]);
        put_text(p, "value", j->constraints[i].value);
        json_end_object(p->w);
    }
    json_end_array(p->w);
    json_end_object(p->w);
}

static void put_volumes(const struct writing *p, const struct job *j)
{
    if (!begin_list(p, "volumes", j->volume_count))
        return;
    for (size_t i = 0; i < j->volume_count; i++) {
        json_begin_object(p->w);
        json_kv_string(p->w, "containerPath", j->volumes[i].container_path);
        json_kv_string(p->w, "hostPath", j->volumes[i].host_path);
        json_kv_string(p->w, "mode", j->volumes[i].is_read_only ? "RO" : "RW");
        json_end_object(p->w);
    }
    json_end_array(p->w);
}

static void put_networks(const struct writing *p, const struct job *j)
{
    if (!begin_list(p, "networks", j->network != NULL))
        return;
    if (j->network) {
        json_begin_object(p->w);
        json_kv_string(p->w, "mode", j->network);
        if (j->network_labels.count > 0) {
            json_put_key(p->w, "labels");
            pairs_write(&j->network_labels, p->w);
        }
        json_end_object(p->w);
    }
    json_end_array(p->w);
}

static void put_restart(const struct writing *p, const struct job *j)
{
    if (p->is_stored && j->restart == RESTART_NEVER && j->retries < 0 && !j->is_fixed_delay && j->active_deadline_s < 0)
        return;
    json_put_key(p->w, "restart");
    json_begin_object(p->w);
    json_kv_string(p->w, "policy", j->restart == RESTART_ON_FAILURE ? "ON_FAILURE" : "NEVER");
    if (j->active_deadline_s >= 0)
        json_kv_int(p->w, "activeDeadlineSeconds", j->active_deadline_s);
    if (j->retries >= 0)
        json_kv_int(p->w, "retries", j->retries);
    if (j->is_fixed_delay)
        json_kv_number(p->w, "delaySeconds", (double)j->retry_delay_ms / 1000);
    json_end_object(p->w);
}

static void put_array(const struct writing *p, const struct job *j)
{
    if (j->array_count == 0)
        return;
    json_put_key(p->w, "array");
    json_begin_object(p->w);
    json_kv_int(p->w, "count", j->array_count);
    put_int(p, "parallel", j->array_parallel, JOB_PARALLEL_DEFAULT);
    json_kv_string(p->w, "onFailure", j->array_policy == ARRAY_STOP ? "STOP" : "CONTINUE");
    json_end_object(p->w);
}

static void put_run(const struct writing *p, const struct job *j)
{
    const struct pairs none = {0};
    json_put_key(p->w, "run");
    json_begin_object(p->w);
    put_strings(p, "args", j->args, j->arg_count);
    put_artifacts(p, j);
    put_text(p, "cmd", j->cmd);
    put_number(p, "cpus", j->cpus, 1.0);
    put_number(p, "mem", j->mem, 128);
    put_number(p, "disk", j->disk, 0);
    put_int(p, "gpus", j->gpus, 0);
    put_pairs(p, "env", &j->env);
    put_int(p, "maxLaunchDelay", j->max_launch_delay_s, JOB_MAX_LAUNCH_DELAY_S);
    put_networks(p, j);
    put_placement(p, j);
    put_restart(p, j);
    put_pairs(p, "secrets", &none);
    if (j->kill_grace_s >= 0)
        json_kv_number(p->w, "taskKillGracePeriodSeconds", j->kill_grace_s);
    put_text(p, "user", j->user);
    put_volumes(p, j);
    put_array(p, j);
    if (j->max_run_s >= 0)
        json_kv_int(p->w, "maxRunSeconds", j->max_run_s);
    json_end_object(p->w);
}

static void put_parents(const struct writing *p, const struct job *j)
{
    if (!begin_list(p, "dependencies", j->parent_count))
        return;
    for (size_t i = 0; i < j->parent_count; i++) {
        json_begin_object(p->w);
        json_kv_string(p->w, "id", j->parents[i]);
        json_end_object(p->w);
    }
    json_end_array(p->w);
}

static void put_members(const struct writing *p, const struct job *j)
{
    json_kv_string(p->w, "id", j->id);
    put_text(p, "description", j->description);
    put_parents(p, j);
    if (j->dependency_policy != DEPENDENCY_SUCCESS)
        json_kv_string(p->w, "dependencyPolicy", "COMPLETION");
    put_pairs(p, "labels", &j->labels);
    put_run(p, j);
}

static void put_schedule(const struct writing *p, const struct schedule *s)
{
    json_kv_string(p->w, "id", s->id);
    json_kv_string(p->w, s->kind == SCHEDULE_CRON ? "cron" : "interval", s->text);
    json_kv_string(p->w, "timezone", s->timezone);
    if (s->starting_deadline_ms != JOB_NEVER)
        put_int(p, "startingDeadlineSeconds", s->starting_deadline_ms / 1000, JOB_STARTING_DEADLINE_MS / 1000);
    else if (p->is_stored)
        json_kv_int(p->w, "startingDeadlineSeconds", -1);
    if (!p->is_stored || s->concurrency != CONCURRENCY_ALLOW)
        json_kv_string(p->w, "concurrencyPolicy", concurrency_policy_words[s->concurrency]);
    if (s->missed != MISSED_SKIP)
        json_kv_string(p->w, "missedPolicy", missed_policy_words[s->missed]);
    if (s->catch_up_max != JOB_CATCH_UP_DEFAULT)
        json_kv_int(p->w, "catchUpLimit", s->catch_up_max);
    put_bool(p, "enabled", s->is_enabled, true);
}

void job_write_members(const struct job *j, struct json_writer *w)
{
    put_members(&(struct writing){.w = w}, j);
}

void schedule_write_members(const struct schedule *s, struct json_writer *w)
{
    put_schedule(&(struct writing){.w = w}, s);
}

/* -- the stored form ---------------------------------------------------------------------------------------------- */

static void put_chronos(const struct writing *p, const struct job_chronos *c)
{
    json_put_key(p->w, "chronos");
    json_begin_object(p->w);
    put_text(p, "owner", c->owner);
    put_text(p, "ownerName", c->owner_name);
    put_text(p, "executor", c->executor);
    put_text(p, "executorFlags", c->executor_flags);
    put_text(p, "taskInfoData", c->task_info_data);
    put_text(p, "schedule", c->schedule_text);
    put_bool(p, "shell", c->is_shell, false);
    put_bool(p, "highPriority", c->is_high_priority, false);
    put_bool(p, "async", c->is_async, false);
    put_bool(p, "dataProcessing", c->is_data_processing, false);
    put_bool(p, "uris", c->gives_uris, false);
    put_bool(p, "concurrent", c->is_concurrent, false);
    put_bool(p, "fetched", c->is_fetched_command, false);
    json_end_object(p->w);
}

void job_write_stored(const struct job *j, struct json_writer *w)
{
    struct writing p = {.w = w, .is_stored = true};
    json_begin_object(w);
    put_members(&p, j);
    json_kv_int(w, "version", j->version_ms);
    put_bool(&p, "softError", j->is_soft_error, false);
    put_bool(&p, "disabled", j->is_disabled, false);
    if (j->schedule) {
        json_put_key(w, "schedule");
        json_begin_object(w);
        put_schedule(&p, j->schedule);
        json_end_object(w);
    }
    if (j->chronos)
        put_chronos(&p, j->chronos);
    json_end_object(w);
}

static const char *text_of(struct job *j, const json_t *json, const char *key)
{
    const char *s = json_string_value(json_object_get(json, key));
    return s ? chunks_strdup(&j->chunks, s) : NULL;
}

static bool is_set(const json_t *json, const char *key)
{
    return json_is_true(json_object_get(json, key));
}

static void read_chronos(struct job *j, const json_t *json)
{
    struct job_chronos *c = j->chronos = chunks_alloc(&j->chunks, sizeof(*c));
    *c = (struct job_chronos){.owner = text_of(j, json, "owner"),
                              .owner_name = text_of(j, json, "ownerName"),
                              .executor = text_of(j, json, "executor"),
                              .executor_flags = text_of(j, json, "executorFlags"),
                              .task_info_data = text_of(j, json, "taskInfoData"),
                              .schedule_text = text_of(j, json, "schedule"),
                              .is_shell = is_set(json, "shell"),
                              .is_high_priority = is_set(json, "highPriority"),
                              .is_async = is_set(json, "async"),
                              .is_data_processing = is_set(json, "dataProcessing"),
                              .gives_uris = is_set(json, "uris"),
                              .is_concurrent = is_set(json, "concurrent"),
                              .is_fetched_command = is_set(json, "fetched")};
}

struct job *job_from_stored(const void *text, size_t len, const struct job_reading *how)
{
    json_t *json = json_read(text, len, NULL);
    const char *id = json_string_value(json_object_get(json, "id"));
    if (id == NULL || !job_id_is_valid(id)) {
        json_decref(json);
        return NULL;
    }
    struct problems problems;
    problems_init(&problems);
    struct job *j = job_new();
    j->id = chunks_strdup(&j->chunks, id);
    job_read(j, json, true, &problems);
    j->version_ms = (int64_t)json_integer_value(json_object_get(json, "version"));
    j->is_soft_error = is_set(json, "softError");
    j->is_disabled = is_set(json, "disabled");
    const json_t *schedule = json_object_get(json, "schedule");
    if (schedule)
        j->schedule = schedule_read(schedule, how, true, &j->chunks, "", &problems);
    if (json_object_get(json, "chronos"))
        read_chronos(j, json_object_get(json, "chronos"));
    json_decref(json);
    if (problems_any(&problems))
        j = job_unref(j);
    problems_deinit(&problems);
    return j;
}

struct job *job_copy(const struct job *j, const struct job_reading *how)
{
    struct buf b;
    struct json_writer w;
    buf_init(&b, 2 * JOB_TEXT_BYTES_MAX);
    json_writer_init(&w, &b);
    job_write_stored(j, &w);
    CHECK(!b.overflowed);
    struct job *copy = job_from_stored(buf_data(&b), buf_len(&b), how);
    buf_deinit(&b);
    CHECK(copy != NULL); /* what we wrote ourselves */
    return copy;
}
