/* SPDX-License-Identifier: Apache-2.0
 * chronos_write.c - a job as Chronos shows it (facts: net-cron E.2). */
#include <stdio.h>
#include <string.h>

#include "frameworks/cron/chronos_core.h"

#define EPSILON_DEFAULT "PT60S"

bool chronos_can_show(const struct entry *e)
{
    const struct job *j = e->job;
    if (j->array_count > 0 || (j->cmd == NULL && j->arg_count == 0))
        return false;
    return j->schedule != NULL ? j->schedule->kind == SCHEDULE_INTERVAL : j->parent_count > 0;
}

bool chronos_is_disabled(const struct entry *e)
{
    const struct schedule *s = e->job->schedule;
    return e->job->is_disabled || (s != NULL && !s->is_enabled) || (s != NULL && e->remaining == 0 && e->run_count == 0);
}

const char *chronos_last_state(const struct entry *e)
{
    if (e->last_success_ms == 0 && e->last_failure_ms == 0)
        return "fresh";
    return e->last_success_ms > e->last_failure_ms ? "success" : "failure";
}

void chronos_state(const struct entry *e, char *out, size_t size)
{
    size_t running = 0;
    list_for_each(l, &e->runs) running += container_of(l, struct run, link)->task_count > 0;
    if (running > 0)
        (void)snprintf(out, size, "%zu running", running); /* fits any sensible size, here and below */
    else
        (void)snprintf(out, size, "%s", e->run_count > 0 ? "queued" : "idle");
}

void chronos_put_time(struct json_writer *w, const char *key, int64_t wall_ms)
{
    char text[TEXT_TIME_SIZE] = "";
    if (wall_ms != 0)
        text_format_time_ms(wall_ms, text);
    json_kv_string(w, key, text);
}

/* A count that has come to its end shows where it ended. */
void chronos_schedule_text(const struct entry *e, struct buf *out)
{
    const struct schedule *s = e->job->schedule;
    int64_t next = e->remaining != 0 ? cron_entry_next_due(e) : JOB_NEVER;
    if (next == JOB_NEVER)
        next = e->last_due_ms != 0 ? e->last_due_ms : s->interval.start_ms;
    if (e->remaining < 0)
        (void)buf_append_str(out, "R/"); /* all of this is short */
    else
        (void)buf_printf(out, "R%lld/", (long long)e->remaining);
    (void)iso8601_instant_format(next, s->zone, out);
    (void)buf_append_str(out, strrchr(s->text, '/'));
}

const char *chronos_command(const struct job *j)
{
    return j->cmd != NULL ? j->cmd : j->args[0];
}

static const struct job_chronos *own_of(const struct job *j)
{
    static const struct job_chronos none = {.is_shell = true}, no_shell = {.is_shell = false};
    return j->chronos != NULL ? j->chronos : j->cmd != NULL ? &none : &no_shell;
}

static void put_text(struct json_writer *w, const char *key, const char *text)
{
    json_kv_string(w, key, text != NULL ? text : "");
}

static void write_artifacts(const struct job *j, bool with_both, struct json_writer *w)
{
    bool uris = own_of(j)->gives_uris;
    json_put_key(w, "fetch");
    json_begin_array(w);
    for (size_t i = 0; (with_both || !uris) && i < j->artifact_count; i++) {
        const struct job_artifact *a = &j->artifacts[i];
        json_begin_object(w);
        json_kv_string(w, "uri", a->uri);
        json_kv_bool(w, "executable", a->executable);
        json_kv_bool(w, "cache", a->cache);
        json_kv_bool(w, "extract", a->extract);
        if (a->output_file != NULL)
            json_kv_string(w, "output_file", a->output_file);
        json_end_object(w);
    }
    json_end_array(w);
    json_put_key(w, "uris");
    json_begin_array(w);
    for (size_t i = 0; (with_both || uris) && i < j->artifact_count; i++)
        json_put_string(w, j->artifacts[i].uri);
    json_end_array(w);
}

static void write_environment(const struct job *j, struct json_writer *w)
{
    json_put_key(w, "environmentVariables");
    json_begin_array(w);
    for (size_t i = 0; i < j->env.count; i++) {
        json_begin_object(w);
        json_kv_string(w, "name", j->env.items[i].key);
        json_kv_string(w, "value", j->env.items[i].value);
        json_end_object(w);
    }
    json_end_array(w);
    json_put_key(w, "arguments");
    json_begin_array(w);
    for (size_t i = 0; i < j->arg_count; i++)
        json_put_string(w, j->args[i]);
    json_end_array(w);
}

static void write_container(const struct job *j, struct json_writer *w)
{
    if (j->volume_count == 0)
        return;
    json_put_key(w, "container");
    json_begin_object(w);
    json_kv_string(w, "type", "MESOS");
    json_kv_string(w, "image", "");
    json_kv_string(w, "network", "HOST");
    json_put_key(w, "networkInfos");
    json_begin_array(w);
    json_end_array(w);
    json_put_key(w, "volumes");
    json_begin_array(w);
    for (size_t i = 0; i < j->volume_count; i++) {
        json_begin_object(w);
        json_kv_string(w, "hostPath", j->volumes[i].host_path);
        json_kv_string(w, "containerPath", j->volumes[i].container_path);
        json_kv_string(w, "mode", j->volumes[i].is_read_only ? "RO" : "RW");
        json_end_object(w);
    }
    json_end_array(w);
    json_kv_bool(w, "forcePullImage", false);
    json_put_key(w, "parameters");
    json_begin_array(w);
    json_end_array(w);
    json_end_object(w);
}

static void write_constraints(const struct job *j, struct json_writer *w)
{
    static const char *const names[] = {[JOB_IS] = "EQUALS", [JOB_LIKE] = "LIKE", [JOB_UNLIKE] = "UNLIKE"};
    json_put_key(w, "constraints");
    json_begin_array(w);
    for (size_t i = 0; i < j->constraint_count; i++) {
        if (j->constraints[i].value == NULL)
            continue;
        json_begin_array(w);
        json_put_string(w, j->constraints[i].attribute);
        json_put_string(w, names[j->constraints[i].op]);
        json_put_string(w, j->constraints[i].value);
        json_end_array(w);
    }
    json_end_array(w);
}

static void write_version_2(const struct job *j, struct json_writer *w)
{
    const struct schedule *s = j->schedule;
    struct buf b;
    buf_init(&b, 0);
    json_put_key(w, "epsilon");
    if (s != NULL && s->starting_deadline_ms != JOB_NEVER) {
        struct iso8601_period p = {0, 0, s->starting_deadline_ms};
        (void)iso8601_period_format(&p, &b); /* short */
        json_put_string_n(w, (const char *)buf_data(&b), buf_len(&b));
    } else {
        json_put_string(w, EPSILON_DEFAULT);
    }
    buf_deinit(&b);
    json_kv_bool(w, "async", own_of(j)->is_async);
}

/* What starts it comes last. */
static void write_start(const struct entry *e, struct json_writer *w)
{
    const struct job *j = e->job;
    if (j->schedule == NULL) {
        json_put_key(w, "parents");
        json_begin_array(w);
        for (size_t i = 0; i < j->parent_count; i++)
            json_put_string(w, j->parents[i]);
        json_end_array(w);
        return;
    }
    struct buf b;
    buf_init(&b, 0);
    chronos_schedule_text(e, &b);
    json_put_key(w, "schedule");
    json_put_string_n(w, (const char *)buf_data(&b), buf_len(&b));
    buf_deinit(&b);
    json_kv_string(w, "scheduleTimeZone", j->schedule->timezone);
}

void chronos_write_job(const struct cron *c, const struct entry *e, bool is_version_2, bool with_uris,
                       struct json_writer *w)
{
    const struct job *j = e->job;
    const struct job_chronos *own = own_of(j);
    bool is_concurrent = j->schedule != NULL ? j->schedule->concurrency == CONCURRENCY_ALLOW : own->is_concurrent;
    json_begin_object(w);
    json_kv_string(w, "name", j->id);
    json_kv_string(w, "command", chronos_command(j));
    json_kv_bool(w, "shell", own->is_shell);
    if (is_version_2)
        write_version_2(j, w);
    put_text(w, "executor", own->executor);
    put_text(w, "executorFlags", own->executor_flags);
    put_text(w, "taskInfoData", own->task_info_data);
    json_kv_int(w, "retries", j->restart == RESTART_ON_FAILURE ? j->retries : 0);
    put_text(w, "owner", own->owner);
    put_text(w, "ownerName", own->owner_name);
    put_text(w, "description", j->description);
    json_kv_double(w, "cpus", j->cpus);
    json_kv_double(w, "disk", j->disk);
    json_kv_double(w, "mem", j->mem);
    json_kv_bool(w, "disabled", chronos_is_disabled(e));
    json_kv_bool(w, "softError", j->is_soft_error);
    json_kv_bool(w, "dataProcessingJobType", own->is_data_processing);
    json_kv_int(w, "errorsSinceLastSuccess", e->failures_in_row);
    write_artifacts(j, with_uris, w);
    write_environment(j, w);
    json_kv_bool(w, "highPriority", own->is_high_priority);
    json_kv_string(w, "runAsUser", j->user != NULL ? j->user : c->config.user != NULL ? c->config.user : "");
    json_kv_bool(w, "concurrent", is_concurrent);
    if (j->max_run_s >= 0)
        json_kv_int(w, "maxCompletionTime", j->max_run_s);
    write_container(j, w);
    write_constraints(j, w);
    json_kv_int(w, "successCount", e->successes);
    json_kv_int(w, "errorCount", e->failures);
    chronos_put_time(w, "lastSuccess", e->last_success_ms);
    chronos_put_time(w, "lastError", e->last_failure_ms);
    write_start(e, w);
    json_end_object(w);
}
