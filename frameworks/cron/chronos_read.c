/* SPDX-License-Identifier: Apache-2.0
 * chronos_read.c - Chronos's JSON to a job. As lenient about types as Jackson: numbers and booleans may be texts. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"
#include "frameworks/cron/chronos_core.h"
#include "frameworks/cron/job_json.h"
#include "frameworks/cron/time/calendar.h"
#include "frameworks/kit/pattern.h"

#define FIRST_START_MS 1000 /* 1970-01-01T00:00:01Z; earlier starts are refused */
#define EPSILON_DEFAULT_MS 60000
#define ITEMS_MAX 1000 /* of any list */

struct reader {
    const struct cron *c;
    const json_t *body;
    struct job *job;
    const struct entry *old;
    bool is_version_2;
    struct err *err;
};

/* -- values ------------------------------------------------------------------------------------------------------ */

static const json_t *value_of(const struct reader *r, const char *key)
{
    const json_t *v = json_object_get(r->body, key);
    return json_is_null(v) ? NULL : v;
}

static int refuse(const struct reader *r, const char *key, const char *what)
{
    return err_set(r->err, -EINVAL, "field '%s': %s", key, what);
}

static int get_text(const struct reader *r, const char *key, const char *absent, const char **out)
{
    const json_t *v = value_of(r, key);
    if (v == NULL) {
        *out = absent;
        return 0;
    }
    if (!json_is_string(v))
        return refuse(r, key, "not a text");
    *out = chunks_strdup(&r->job->chunks, json_string_value(v));
    return 0;
}

static int get_bool(const struct reader *r, const char *key, bool absent, bool *out)
{
    const json_t *v = value_of(r, key);
    *out = absent;
    if (v == NULL)
        return 0;
    if (json_is_boolean(v))
        *out = json_is_true(v);
    else if (!json_is_string(v) || text_to_bool(json_string_value(v), out) != 0)
        return refuse(r, key, "neither true nor false");
    return 0;
}

static int get_number(const struct reader *r, const char *key, double absent, double max, double *out)
{
    const json_t *v = value_of(r, key);
    double number = absent;
    if (json_is_string(v) && text_to_double(json_string_value(v), &number) != 0)
        return refuse(r, key, "not a number");
    if (json_is_number(v))
        number = json_number_value(v);
    else if (v != NULL && !json_is_string(v))
        return refuse(r, key, "not a number");
    if (!(number >= 0 && number <= max))
        return refuse(r, key, "out of range");
    *out = number;
    return 0;
}

static int get_whole(const struct reader *r, const char *key, int64_t absent, int64_t *out)
{
    double number;
    int rc = get_number(r, key, (double)(absent < 0 ? 0 : absent), INT32_MAX, &number);
    if (rc != 0)
        return rc;
    if (number != floor(number))
        return refuse(r, key, "not a whole number");
    *out = value_of(r, key) == NULL ? absent : (int64_t)number;
    return 0;
}

static int get_list(const struct reader *r, const char *key, const json_t **out)
{
    *out = value_of(r, key);
    if (*out != NULL && !json_is_array(*out))
        return refuse(r, key, "not a list");
    return json_array_size(*out) > ITEMS_MAX ? refuse(r, key, "too long") : 0;
}

/* A list of texts, NULL and 0 if it is absent. */
static int get_texts(const struct reader *r, const char *key, const char ***out, size_t *count)
{
    const json_t *list, *item;
    size_t i;
    int rc = get_list(r, key, &list);
    if (rc != 0)
        return rc;
    *count = json_array_size(list);
    *out = chunks_alloc(&r->job->chunks, sizeof(**out) * (*count + 1));
    json_array_foreach(list, i, item)
    {
        if (!json_is_string(item))
            return refuse(r, key, "holds something that is not a text");
        (*out)[i] = chunks_strdup(&r->job->chunks, json_string_value(item));
    }
    return 0;
}

/* -- groups of fields -------------------------------------------------------------------------------------------- */

static int read_names(struct reader *r)
{
    struct job *j = r->job;
    struct job_chronos *own = j->chronos;
    int rc = get_text(r, "name", NULL, &j->id);
    if (rc == 0 && j->id == NULL)
        rc = refuse(r, "name", "missing");
    if (rc == 0 && !job_id_is_valid(j->id))
        rc = err_set(r->err, -EINVAL, "the job's name is invalid. Allowed names: '([\\w\\.-]+)'");
    if (rc == 0)
        rc = get_text(r, "description", NULL, &j->description);
    if (rc == 0)
        rc = get_text(r, "owner", "", &own->owner);
    if (rc == 0)
        rc = get_text(r, "ownerName", "", &own->owner_name);
    if (rc == 0)
        rc = get_text(r, "executor", "", &own->executor);
    if (rc == 0)
        rc = get_text(r, "executorFlags", "", &own->executor_flags);
    if (rc == 0)
        rc = get_text(r, "taskInfoData", "", &own->task_info_data);
    if (rc == 0 && own->executor[0] != '\0')
        rc = refuse(r, "executor", "custom executors are not supported; the command runs in the built-in one");
    return rc;
}

/* A command that is the address of a program is fetched and executed. */
static void fetch_command(struct job *j)
{
    static const char *const schemes[] = {"http://", "https://", "ftp://", "ftps://"};
    bool is_address = false;
    for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++)
        is_address |= strncmp(j->cmd, schemes[i], strlen(schemes[i])) == 0;
    j->chronos->is_fetched_command =
        is_address && strpbrk(j->cmd, " \t\n'\"`$\\;&|<>()") == NULL && strrchr(j->cmd, '/')[1];
}

static int read_command(struct reader *r)
{
    struct job *j = r->job;
    int rc = get_text(r, "command", NULL, &j->cmd);
    if (rc == 0 && (j->cmd == NULL || j->cmd[0] == '\0'))
        rc = refuse(r, "command", "missing");
    if (rc == 0)
        rc = get_texts(r, "arguments", &j->args, &j->arg_count);
    if (rc == 0)
        rc = get_bool(r, "shell", true, &j->chronos->is_shell);
    if (rc == 0)
        rc = get_text(r, "runAsUser", NULL, &j->user);
    if (rc == 0 && j->user != NULL && j->user[0] == '\0')
        j->user = NULL;
    if (rc == 0)
        fetch_command(j);
    return rc;
}

static int read_resources(struct reader *r)
{
    struct job *j = r->job;
    const struct cron_config *config = &r->c->config;
    int rc = get_number(r, "cpus", 0, 1e6, &j->cpus);
    if (rc == 0)
        rc = get_number(r, "mem", 0, 1e9, &j->mem);
    if (rc == 0)
        rc = get_number(r, "disk", 0, 1e12, &j->disk);
    if (j->cpus == 0)
        j->cpus = config->chronos_cpus;
    if (j->mem == 0)
        j->mem = config->chronos_mem;
    if (j->disk == 0)
        j->disk = config->chronos_disk;
    return rc;
}

static int read_policies(struct reader *r)
{
    struct job *j = r->job;
    struct job_chronos *own = j->chronos;
    int64_t completion;
    int rc = get_whole(r, "retries", 2, &j->retries);
    if (rc == 0)
        rc = get_bool(r, "disabled", false, &j->is_disabled);
    if (rc == 0)
        rc = get_bool(r, "softError", false, &j->is_soft_error);
    if (rc == 0)
        rc = get_bool(r, "dataProcessingJobType", false, &own->is_data_processing);
    if (rc == 0)
        rc = get_bool(r, "highPriority", false, &own->is_high_priority);
    if (rc == 0)
        rc = get_bool(r, "concurrent", false, &own->is_concurrent);
    if (rc == 0)
        rc = get_whole(r, "maxCompletionTime", -1, &completion);
    if (rc == 0 && r->is_version_2)
        rc = get_bool(r, "async", false, &own->is_async);
    if (rc != 0)
        return rc;
    j->max_run_s = completion > 0 ? completion : -1;
    j->restart = j->retries > 0 ? RESTART_ON_FAILURE : RESTART_NEVER;
    j->retry_delay_ms = r->c->config.chronos_failure_retry_ms;
    j->is_fixed_delay = true;
    return 0;
}

static int read_fetch(struct reader *r)
{
    struct job *j = r->job;
    const json_t *fetch, *uris, *item;
    size_t i;
    int rc = get_list(r, "fetch", &fetch);
    if (rc == 0)
        rc = get_list(r, "uris", &uris);
    if (rc != 0)
        return rc;
    if (json_array_size(fetch) > 0 && json_array_size(uris) > 0) {
        /* GET /jobs fills both: what came from there may go back. */
        bool same = json_array_size(fetch) == json_array_size(uris);
        json_array_foreach(uris, i, item) same = same && json_equal(item, json_object_get(json_array_get(fetch, i), "uri"));
        if (!same)
            return err_set(r->err, -EINVAL, "Tried to add both uri (deprecated) and fetch parameters on %s", j->id);
    }
    const json_t *from = json_array_size(fetch) > 0 ? fetch : uris;
    j->chronos->gives_uris = from == uris && json_array_size(uris) > 0;
    j->artifact_count = json_array_size(from);
    j->artifacts = chunks_alloc(&j->chunks, sizeof(*j->artifacts) * (j->artifact_count + 1));
    json_array_foreach(from, i, item)
    {
        struct reader inner = *r;
        struct job_artifact *a = &j->artifacts[i];
        a->extract = true;
        if (from == uris) {
            if (!json_is_string(item))
                return refuse(r, "uris", "holds something that is not a text");
            a->uri = chunks_strdup(&j->chunks, json_string_value(item));
            continue;
        }
        if (!json_is_object(item))
            return refuse(r, "fetch", "holds something that is not an object");
        inner.body = item;
        rc = get_text(&inner, "uri", NULL, &a->uri);
        if (rc == 0 && (a->uri == NULL || a->uri[0] == '\0'))
            rc = refuse(r, "fetch", "an item without uri");
        if (rc == 0)
            rc = get_bool(&inner, "executable", false, &a->executable);
        if (rc == 0)
            rc = get_bool(&inner, "cache", false, &a->cache);
        if (rc == 0)
            rc = get_bool(&inner, "extract", true, &a->extract);
        if (rc == 0)
            rc = get_text(&inner, "output_file", NULL, &a->output_file);
        if (rc != 0)
            return rc;
    }
    return 0;
}

static int read_environment(struct reader *r)
{
    const json_t *list, *item;
    size_t i;
    int rc = get_list(r, "environmentVariables", &list);
    if (rc != 0)
        return rc;
    json_t *object = json_object();
    json_array_foreach(list, i, item)
    {
        const char *name = json_string_value(json_object_get(item, "name"));
        const json_t *value = json_object_get(item, "value");
        if (name == NULL || name[0] == '\0' || strchr(name, '=') != NULL || !json_is_string(value)) {
            json_decref(object);
            return refuse(r, "environmentVariables", "an item without name and value");
        }
        (void)json_object_set(object, name, (json_t *)value); /* the last one wins */
    }
    r->job->env = pairs_read(&r->job->chunks, object);
    json_decref(object);
    return 0;
}

static bool is_pattern(enum job_operator op, const char *value, struct err *err)
{
    if (op == JOB_IS)
        return true;
    struct pattern *p = kit_pattern_new(value, err);
    bool is_good = p != NULL;
    (void)pattern_free(p);
    return is_good;
}

static int read_constraints(struct reader *r)
{
    static const char *const operators[] = {"EQUALS", "LIKE", "UNLIKE"};
    static const enum job_operator meanings[] = {JOB_IS, JOB_LIKE, JOB_UNLIKE};
    struct job *j = r->job;
    const json_t *list, *item;
    size_t i;
    int rc = get_list(r, "constraints", &list);
    if (rc != 0)
        return rc;
    j->constraint_count = json_array_size(list);
    j->constraints = chunks_alloc(&j->chunks, sizeof(*j->constraints) * (j->constraint_count + 1));
    json_array_foreach(list, i, item)
    {
        const char *parts[3];
        int op = -1;
        for (size_t k = 0; k < 3; k++)
            parts[k] = json_array_size(item) == 3 ? json_string_value(json_array_get(item, k)) : NULL;
        for (int k = 0; k < 3; k++)
            op = parts[1] != NULL && strcmp(parts[1], operators[k]) == 0 ? k : op;
        if (parts[0] == NULL || parts[2] == NULL || op < 0)
            return refuse(r, "constraints", "a constraint is [attribute, EQUALS or LIKE or UNLIKE, value]");
        if (!is_pattern(meanings[op], parts[2], r->err))
            return err_wrap(r->err, -EINVAL, "field 'constraints'");
        j->constraints[i] =
            (struct job_constraint){chunks_strdup(&j->chunks, parts[0]), meanings[op], chunks_strdup(&j->chunks, parts[2])};
    }
    return 0;
}

static int read_volumes(struct reader *r, const json_t *container)
{
    struct job *j = r->job;
    struct reader inner = *r;
    const json_t *list, *item;
    size_t i;
    inner.body = container;
    int rc = get_list(&inner, "volumes", &list);
    if (rc != 0)
        return rc;
    j->volume_count = json_array_size(list);
    j->volumes = chunks_alloc(&j->chunks, sizeof(*j->volumes) * (j->volume_count + 1));
    json_array_foreach(list, i, item)
    {
        const char *mode;
        inner.body = item;
        if (!json_is_object(item) || value_of(&inner, "external") != NULL)
            return refuse(r, "container", "only volumes with a hostPath are supported");
        rc = get_text(&inner, "hostPath", NULL, &j->volumes[i].host_path);
        if (rc == 0)
            rc = get_text(&inner, "containerPath", NULL, &j->volumes[i].container_path);
        if (rc == 0)
            rc = get_text(&inner, "mode", "RW", &mode);
        if (rc != 0)
            return rc;
        const char *host = j->volumes[i].host_path, *inside = j->volumes[i].container_path;
        if (host == NULL || inside == NULL || host[0] != '/' || inside[0] != '/')
            return refuse(r, "container", "a volume needs hostPath and containerPath, both absolute");
        if (strcmp(mode, "RO") != 0 && strcmp(mode, "RW") != 0)
            return refuse(r, "container", "the mode of a volume is RO or RW");
        j->volumes[i].is_read_only = strcmp(mode, "RO") == 0;
    }
    return 0;
}

static int read_container(struct reader *r)
{
    const json_t *container = value_of(r, "container");
    struct reader inner = *r;
    const char *type, *image, *network;
    if (container == NULL)
        return 0;
    if (!json_is_object(container))
        return refuse(r, "container", "not an object");
    inner.body = container;
    int rc = get_text(&inner, "type", "DOCKER", &type);
    if (rc == 0)
        rc = get_text(&inner, "image", "", &image);
    if (rc == 0)
        rc = get_text(&inner, "network", "HOST", &network);
    if (rc != 0)
        return rc;
    if (image[0] != '\0' || strcmp(type, "MESOS") != 0)
        return refuse(r, "container", "images are not supported; a container of type MESOS without image is");
    if (strcmp(network, "HOST") != 0 || json_array_size(value_of(&inner, "networkInfos")) > 0)
        return refuse(r, "container", "only the network HOST is supported");
    return read_volumes(r, container);
}

/* -- schedules --------------------------------------------------------------------------------------------------- */

static int read_parents(struct reader *r)
{
    struct job *j = r->job;
    int rc = get_texts(r, "parents", &j->parents, &j->parent_count);
    if (rc == 0 && j->parent_count > JOB_PARENTS_MAX)
        rc = refuse(r, "parents", "too many");
    for (size_t i = 0; rc == 0 && i < j->parent_count; i++) {
        for (size_t k = 0; k < i; k++) {
            if (strcmp(j->parents[i], j->parents[k]) == 0)
                j->parents[i--] = j->parents[--j->parent_count]; /* a set */
        }
    }
    return rc;
}

static bool buf_is(const struct buf *b, const char *text)
{
    return buf_len(b) == strlen(text) && memcmp(buf_data(b), text, buf_len(b)) == 0;
}

/* Does it say what the old job's schedule is now, or what that was posted as? An empty start means now, every time. */
static bool is_old_schedule(const struct reader *r, const char *text, const char *zone)
{
    const struct job *old = r->old != NULL ? r->old->job : NULL;
    if (old == NULL || old->schedule == NULL || old->schedule->kind != SCHEDULE_INTERVAL || strstr(text, "//") != NULL ||
        strcmp(zone, old->schedule->timezone) != 0)
        return false;
    if (old->chronos != NULL && old->chronos->schedule_text != NULL && strcmp(text, old->chronos->schedule_text) == 0)
        return true;
    struct buf shown;
    buf_init(&shown, 0);
    chronos_schedule_text(r->old, &shown);
    bool is_same = buf_is(&shown, text);
    buf_deinit(&shown);
    return is_same;
}

/* Late by more than epsilon is missed, in Chronos 2; Chronos 3 runs however late it is. */
static int read_lateness(struct reader *r, struct schedule *s)
{
    struct iso8601_period epsilon;
    const char *text;
    s->starting_deadline_ms = JOB_NEVER;
    s->missed = MISSED_RUN_ONCE;
    if (!r->is_version_2)
        return 0;
    int rc = get_text(r, "epsilon", NULL, &text);
    if (rc != 0)
        return rc;
    s->starting_deadline_ms = EPSILON_DEFAULT_MS;
    s->missed = MISSED_SKIP;
    if (text == NULL)
        return 0;
    rc = iso8601_period_parse(text, &epsilon, r->err);
    if (rc != 0)
        return rc;
    if (epsilon.months != 0)
        return refuse(r, "epsilon", "months and years have no fixed length");
    s->starting_deadline_ms = epsilon.days * CALENDAR_DAY_MS + epsilon.ms;
    return 0;
}

static int read_interval(struct reader *r, struct schedule *s, const char *text, const char *zone)
{
    const struct cron *c = r->c;
    int rc =
        iso8601_interval_parse(text, zone, c->config.zones, zones_utc(c->config.zones), c->wall_ms, &s->interval, r->err);
    if (rc != 0)
        return rc;
    if (r->old == NULL && s->interval.start_ms < FIRST_START_MS)
        return err_set(r->err, -EINVAL, "Scheduled start date is before 1970-01-01T00:00:01Z");
    s->text = text;
    if (strstr(text, "//") != NULL) { /* from now on it has a start */
        struct buf b;
        buf_init(&b, 0);
        (void)iso8601_interval_format(&s->interval, 0, s->interval.count, strrchr(text, '/') + 1, &b); /* short */
        char *full = buf_steal_str(&b);
        s->text = chunks_strdup(&r->job->chunks, full);
        free(full);
    }
    s->zone = s->interval.zone;
    return 0;
}

static int read_schedule(struct reader *r)
{
    struct job *j = r->job;
    struct schedule *s = chunks_alloc(&j->chunks, sizeof(*s));
    const char *text, *zone;
    int rc = get_text(r, "schedule", "R1//PT24H", &text);
    if (rc == 0)
        rc = get_text(r, "scheduleTimeZone", "", &zone);
    if (rc == 0)
        rc = read_lateness(r, s);
    if (rc != 0)
        return rc;
    j->chronos->schedule_text = text;
    if (is_old_schedule(r, text, zone))
        text = chunks_strdup(&j->chunks, r->old->job->schedule->text);
    s->kind = SCHEDULE_INTERVAL;
    s->id = "default";
    s->timezone = zone;
    s->concurrency = j->chronos->is_concurrent ? CONCURRENCY_ALLOW : CONCURRENCY_FORBID;
    s->catch_up_max = JOB_CATCH_UP_DEFAULT;
    s->is_enabled = !j->is_disabled;
    j->schedule = s;
    return read_interval(r, s, text, zone);
}

/* -- the whole --------------------------------------------------------------------------------------------------- */

/* What the stored form does not take back must not get in: the next start of the process would fail on it. */
static int check_stored_form(struct reader *r)
{
    const struct job_reading how = {.zones = r->c->config.zones, .wall_ms = r->c->wall_ms, .with_schedules = true};
    struct json_writer w;
    struct buf b;
    buf_init(&b, JOB_TEXT_BYTES_MAX);
    json_writer_init(&w, &b);
    job_write_stored(r->job, &w);
    int rc = 0;
    if (b.overflowed) {
        rc = err_set(r->err, -EINVAL, "the definition is larger than %u bytes", JOB_TEXT_BYTES_MAX);
    } else {
        struct job *again = job_from_stored(buf_data(&b), buf_len(&b), &how);
        if (again == NULL)
            rc = err_set(r->err, -EINVAL, "the definition holds a value that this scheduler does not take");
        (void)job_unref(again);
    }
    buf_deinit(&b);
    return rc;
}

struct job *chronos_read_job(const struct cron *c, const json_t *body, const struct entry *old, bool is_version_2,
                             struct err *err)
{
    static int (*const groups[])(struct reader *) = {read_names,       read_command,   read_resources,
                                                     read_policies,    read_fetch,     read_environment,
                                                     read_constraints, read_container, read_parents};
    if (!json_is_object(body)) {
        (void)err_set(err, -EINVAL, "the body is not an object");
        return NULL;
    }
    struct reader r = {c, body, job_new(), old, is_version_2, err};
    r.job->chronos = chunks_alloc(&r.job->chunks, sizeof(*r.job->chronos));
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < sizeof(groups) / sizeof(groups[0]); i++)
        rc = groups[i](&r);
    if (rc == 0 && r.job->parent_count == 0)
        rc = read_schedule(&r);
    if (rc == 0)
        rc = check_stored_form(&r);
    return rc == 0 ? r.job : job_unref(r.job);
}

static int64_t count_of(const json_t *body, const char *key)
{
    int64_t n = json_integer_value(json_object_get(body, key));
    return n > 0 ? n : 0;
}

static int64_t time_of(const json_t *body, const char *key)
{
    const char *text = json_string_value(json_object_get(body, key));
    struct iso8601_time t;
    return text != NULL && iso8601_time_parse(text, &t, NULL) == 0 ? t.local_ms - t.offset_s * INT64_C(1000) : 0;
}

void chronos_read_counts(const json_t *body, struct entry *e)
{
    e->successes = count_of(body, "successCount");
    e->failures = count_of(body, "errorCount");
    e->failures_in_row = count_of(body, "errorsSinceLastSuccess");
    e->last_success_ms = time_of(body, "lastSuccess");
    e->last_failure_ms = time_of(body, "lastError");
}
