/* SPDX-License-Identifier: Apache-2.0
 * cmd_job.c - `muster job`: work that ends, through the public REST APIs of the batch scheduler. */
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "common/base/check.h"
#include "common/base/cleanup.h"
#include "common/base/options.h"

#define LETTERS_OF_RUNS "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
#define EXTRAS_MAX 256 /* --arg and --env */
#define USAGE                                                                                                              \
    "usage: muster job add [--dry-run] FILE | list | show ID | run ID [--arg TEXT]... [--env NAME=VALUE]... | runs [ID]\n" \
    "       muster job history ID | logs [-f] [--stderr] RUN | stop RUN | remove [--stop] ID | graph\n\n"                  \
    "FILE is a job in JSON, as Metronome or Chronos take it, - for standard input. RUN is the id of a run, as `run`, "     \
    "`runs`\n"                                                                                                             \
    "and `history` show it."

static const struct option_def job_options[] = {
    {"follow", OPTION_BOOL, offsetof(struct cli_target, follow), "false", "go on printing what is written (also -f)", 0, 0,
     0},
    {"stderr", OPTION_BOOL, offsetof(struct cli_target, errors), "false", "the standard error instead", 0, 0, 0},
    {"dry_run", OPTION_BOOL, offsetof(struct cli_target, dry_run), "false", "check the job and show when it would run", 0,
     0, 0},
    {"stop", OPTION_BOOL, offsetof(struct cli_target, stop), "false", "stop the job's runs as well", 0, 0, 0},
};

/* What options_parse knows no type for: options that may be given several times. */
struct extras {
    const char *args[EXTRAS_MAX], *env[EXTRAS_MAX];
    size_t arg_count, env_count;
};

static int ask(const struct cli_target *t, const char *what, const char *method, const char *target, const char *body,
               struct cli_answer *a)
{
    return cli_ask(t, "cron", "job", what, method, target, body, a);
}

static const char *text_of(const json_t *object, const char *key)
{
    const char *s = json_string_value(json_object_get(object, key));
    return s != NULL ? s : "-";
}

/* /v1/jobs/<id><suffix>. Ids are letters, digits, dots, dashes, underscores. */
static int job_path(const char *id, const char *suffix, char out[512])
{
    bool is_id = id[0] != '\0' && strlen(id) < 256;
    for (const char *p = id; *p; p++)
        is_id = is_id &&
                (strchr("._-", *p) || (*p >= '0' && *p <= '9') || (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z'));
    if (!is_id)
        return cli_usage("job: '%s' is no job id", id);
    (void)snprintf(out, 512, "/v1/jobs/%s%s", id, suffix); /* fits */
    return CLI_DONE;
}

/* -- add ------------------------------------------------------------------------------------------------------------ */

static void print_next(const json_t *times)
{
    const json_t *time;
    size_t i;
    if (json_array_size(times) == 0)
        printf("next runs: none by a schedule\n");
    json_array_foreach(times, i, time) printf("%s %s\n", i == 0 ? "next runs:" : "          ", json_string_value(time));
}

/* Which of the two APIs a definition is for, and where it goes. */
static const char *add_target(const json_t *job, bool dry_run)
{
    if (json_object_get(job, "id") == NULL && json_object_get(job, "name") != NULL) {
        bool has_parents = json_array_size(json_object_get(job, "parents")) > 0;
        return has_parents ? "/v1/scheduler/dependency" : "/v1/scheduler/iso8601";
    }
    return dry_run ? "/v0/scheduled-jobs?dryRun=true" : "/v0/scheduled-jobs";
}

static int print_added(const struct cli_target *t, const char *id, const json_t *job)
{
    char path[512];
    struct cli_answer a;
    if (t->json && job != NULL) {
        print_json(job);
        return CLI_DONE;
    }
    printf("job %s %s\n", id, t->dry_run ? "would be added" : "added");
    if (t->dry_run) {
        print_next(json_object_get(job, "next"));
        return CLI_DONE;
    }
    int status = job_path(id, "/next?limit=5", path);
    if (status == CLI_DONE)
        status = ask(t, "add", "GET", path, NULL, &a);
    else
        return status;
    if (status == CLI_DONE)
        print_next(json_object_get(a.json, "next"));
    cli_answer_free(&a);
    return status;
}

static int add_parsed(const struct cli_target *t, const char *file, const char *text, const json_t *job)
{
    const char *id = json_string_value(json_object_get(job, "id")), *target = add_target(job, t->dry_run);
    struct cli_answer a;
    if (id == NULL)
        id = json_string_value(json_object_get(job, "name"));
    if (id == NULL)
        return cli_fail("job add: %s: neither \"id\" nor \"name\" says what the job is called", file);
    if (t->dry_run && strstr(target, "scheduler") != NULL)
        return cli_fail("job add: %s: --dry-run is for jobs with \"id\"; this one is in Chronos's form", file);
    int status = ask(t, "add", "POST", target, text, &a);
    if (status == CLI_DONE)
        status = print_added(t, id, a.json);
    cli_answer_free(&a);
    return status;
}

static int job_add(const struct cli_target *t, const char *file)
{
    cleanup_free char *text = NULL;
    struct err err;
    int status = cli_read_file("job", file, &text);
    if (status != CLI_DONE)
        return status;
    json_t *job = json_read(text, strlen(text), &err);
    status = job != NULL ? add_parsed(t, file, text, job) : cli_fail("job add: %s: %s", file, err.text);
    json_decref(job);
    return status;
}

/* -- list, show ----------------------------------------------------------------------------------------------------- */

static const char *schedule_of(const json_t *job)
{
    const json_t *schedule = json_array_get(json_object_get(job, "schedules"), 0);
    const char *text = json_string_value(json_object_get(schedule, "cron"));
    if (text == NULL)
        text = json_string_value(json_object_get(schedule, "interval"));
    if (text == NULL)
        return json_array_size(json_object_get(job, "dependencies")) > 0 ? "after others" : "-";
    return text;
}

static void print_jobs(const json_t *jobs)
{
    static const char *const titles[] = {"ID", "STATE", "SCHEDULE", "NEXT RUN", "LAST SUCCESS", "LAST FAILURE"};
    struct table *table = table_new(titles, 6);
    const json_t *job;
    size_t i;
    json_array_foreach(jobs, i, job)
    {
        const json_t *schedule = json_array_get(json_object_get(job, "schedules"), 0);
        const json_t *summary = json_object_get(job, "historySummary");
        size_t running = json_array_size(json_object_get(job, "activeRuns"));
        bool disabled = json_is_false(json_object_get(schedule, "enabled"));
        table_cell(table, "%s", text_of(job, "id"));
        table_cell(table, "%s", running > 0 ? "running" : disabled ? "disabled" : schedule != NULL ? "scheduled" : "idle");
        table_cell(table, "%s", schedule_of(job));
        table_cell(table, "%s", disabled ? "-" : text_of(schedule, "nextRunAt"));
        table_cell(table, "%s", text_of(summary, "lastSuccessAt"));
        table_cell(table, "%s", text_of(summary, "lastFailureAt"));
    }
    table_print(table, stdout);
}

static int job_list(const struct cli_target *t)
{
    struct cli_answer a;
    int status = ask(t, "list", "GET", "/v1/jobs?embed=activeRuns&embed=schedules&embed=historySummary", NULL, &a);
    if (status == CLI_DONE) {
        if (t->json)
            print_json(a.json);
        else
            print_jobs(a.json);
    }
    cli_answer_free(&a);
    return status;
}

static int job_show(const struct cli_target *t, const char *id)
{
    char path[512];
    struct cli_answer a, next = {0};
    int status = job_path(id, "?embed=activeRuns&embed=schedules&embed=historySummary", path);
    if (status != CLI_DONE)
        return status;
    status = ask(t, "show", "GET", path, NULL, &a);
    if (status == CLI_DONE && job_path(id, "/next?limit=5", path) == CLI_DONE)
        status = ask(t, "show", "GET", path, NULL, &next);
    if (status == CLI_DONE && t->json) {
        (void)json_object_set(a.json, "nextRuns", json_object_get(next.json, "next")); /* an object and an array */
        print_json(a.json);
    } else if (status == CLI_DONE) {
        print_json(a.json);
        putchar('\n');
        print_next(json_object_get(next.json, "next"));
    }
    cli_answer_free(&next);
    cli_answer_free(&a);
    return status;
}

/* -- runs ----------------------------------------------------------------------------------------------------------- */

struct run_ref {
    char job[256], run[64], task[300]; /* task: of the newest attempt, "" before the first */
    bool is_active, is_array;
};

static void copy(char *to, size_t size, const char *from)
{
    (void)snprintf(to, size, "%s", from); /* ids are shorter, and a cut one is found nowhere */
}

static void take_run(const json_t *run, struct run_ref *out)
{
    const json_t *tasks = json_object_get(run, "tasks"), *last = json_array_get(tasks, json_array_size(tasks) - 1);
    copy(out->job, sizeof(out->job), text_of(run, "jobId"));
    copy(out->run, sizeof(out->run), text_of(run, "id"));
    copy(out->task, sizeof(out->task), last ? text_of(last, "id") : "");
}

/* Active or in the history. */
static int find_run(const struct cli_target *t, const char *what, const char *id, struct run_ref *out)
{
    char target[128];
    struct cli_answer a;
    if (id[0] == '\0' || strlen(id) > 64 || strspn(id, LETTERS_OF_RUNS) != strlen(id))
        return cli_usage("job %s: '%s' is no run id; `muster job runs` and `muster job history JOB` show them", what, id);
    (void)snprintf(target, sizeof(target), "/v1/runs/%s", id); /* fits */
    int status = ask(t, what, "GET", target, NULL, &a);
    if (status == CLI_DONE) {
        take_run(a.json, out);
        out->is_active = json_is_null(json_object_get(a.json, "completedAt"));
        out->is_array = json_object_get(a.json, "array") != NULL;
    } else if (a.status == 404) {
        fputs("    `muster job runs` and `muster job history JOB` show those there are\n", stderr);
    }
    cli_answer_free(&a);
    return status;
}

static void print_runs(const json_t *runs)
{
    static const char *const titles[] = {"RUN", "JOB", "STATUS", "CREATED", "COMPLETED", "TASK"};
    struct table *table = table_new(titles, 6);
    const json_t *run;
    size_t i;
    json_array_foreach(runs, i, run)
    {
        const json_t *tasks = json_object_get(run, "tasks");
        table_cell(table, "%s", text_of(run, "id"));
        table_cell(table, "%s", text_of(run, "jobId"));
        table_cell(table, "%s", text_of(run, "status"));
        table_cell(table, "%s", text_of(run, "createdAt"));
        table_cell(table, "%s", text_of(run, "completedAt"));
        table_cell(table, "%s", text_of(json_array_get(tasks, json_array_size(tasks) - 1), "id"));
    }
    table_print(table, stdout);
}

static int show_runs(const struct cli_target *t, const char *what, const char *target, const char *member)
{
    struct cli_answer a;
    int status = ask(t, what, "GET", target, NULL, &a);
    if (status == CLI_DONE) {
        const json_t *runs = json_is_array(a.json) ? a.json : json_object_get(a.json, member);
        if (t->json)
            print_json(runs);
        else
            print_runs(runs);
    }
    cli_answer_free(&a);
    return status;
}

static int job_runs(const struct cli_target *t, const char *id)
{
    char path[512];
    if (id == NULL)
        return show_runs(t, "runs", "/v1/runs", "runs");
    int status = job_path(id, "/runs", path);
    return status == CLI_DONE ? show_runs(t, "runs", path, "runs") : status;
}

/* The body of a run: {"args":[...],"env":{...}}, NULL when there is nothing to say. */
static int run_body(const struct extras *e, char **out)
{
    json_t *body = json_object(), *args = json_array(), *env = json_object();
    int status = CLI_DONE;
    for (size_t i = 0; i < e->arg_count; i++)
        (void)json_array_append_new(args, json_string(e->args[i])); /* of text that is no UTF-8: left out, see below */
    for (size_t i = 0; i < e->env_count && status == CLI_DONE; i++) {
        const char *equals = strchr(e->env[i], '=');
        if (equals == NULL || equals == e->env[i])
            status = cli_usage("job run: --env '%s' is not of the form NAME=VALUE", e->env[i]);
        else
            (void)json_object_setn_new(env, e->env[i], (size_t)(equals - e->env[i]), json_string(equals + 1));
    }
    if (status == CLI_DONE && (json_array_size(args) != e->arg_count || json_object_size(env) > e->env_count))
        status = cli_usage("job run: arguments and environment are texts in UTF-8");
    if (json_array_size(args) > 0)
        (void)json_object_set(body, "args", args);
    if (json_object_size(env) > 0)
        (void)json_object_set(body, "env", env);
    *out = status == CLI_DONE && json_object_size(body) > 0 ? json_dumps(body, JSON_COMPACT) : NULL;
    json_decref(body);
    json_decref(args);
    json_decref(env);
    return status;
}

static int job_run(const struct cli_target *t, const char *id, const struct extras *e)
{
    char path[512];
    cleanup_free char *body = NULL;
    struct cli_answer a;
    int status = job_path(id, "/runs", path);
    if (status == CLI_DONE)
        status = run_body(e, &body);
    if (status != CLI_DONE)
        return status;
    status = ask(t, "run", "POST", path, body, &a);
    if (status == CLI_DONE && t->json)
        print_json(a.json);
    else if (status == CLI_DONE)
        printf("run %s of job %s started\n", text_of(a.json, "id"), id);
    cli_answer_free(&a);
    return status;
}

static int job_stop(const struct cli_target *t, const char *id)
{
    char path[512], suffix[128];
    struct cli_answer a;
    struct run_ref run;
    int status = find_run(t, "stop", id, &run);
    if (status != CLI_DONE)
        return status;
    if (!run.is_active)
        return cli_fail("job stop: run '%s' of job %s has ended already", id, run.job);
    (void)snprintf(suffix, sizeof(suffix), "/runs/%s/actions/stop", run.run); /* fits */
    status = job_path(run.job, suffix, path);
    if (status != CLI_DONE)
        return status;
    status = ask(t, "stop", "POST", path, NULL, &a);
    if (status == CLI_DONE && t->json)
        print_json(a.json);
    else if (status == CLI_DONE)
        printf("run %s of job %s is being stopped\n", run.run, run.job);
    cli_answer_free(&a);
    return status;
}

static int job_logs(const struct cli_target *t, const char *id)
{
    struct run_ref run;
    int status = find_run(t, "logs", id, &run);
    if (status != CLI_DONE)
        return status;
    if (run.is_array)
        return cli_fail(
            "job logs: run '%s' of job %s is an array; `muster task list` shows its tasks, `muster task logs TASK` "
            "what one wrote",
            id, run.job);
    if (run.task[0] == '\0')
        return cli_fail("job logs: run '%s' of job %s has no task yet", id, run.job);
    return cli_print_logs(t, run.task);
}

static int job_remove(const struct cli_target *t, const char *id)
{
    char path[512];
    struct cli_answer a;
    int status = job_path(id, t->stop ? "?stopCurrentJobRuns=true" : "", path);
    if (status != CLI_DONE)
        return status;
    status = ask(t, "remove", "DELETE", path, NULL, &a);
    if (status == CLI_FAILED && a.status == 409 && strstr(text_of(a.json, "message"), "active job runs") != NULL)
        fputs("    `muster job remove --stop` stops its runs as well\n", stderr);
    if (status == CLI_DONE && t->json)
        print_json(a.json);
    else if (status == CLI_DONE)
        printf("job %s removed\n", id);
    cli_answer_free(&a);
    return status;
}

/* Which jobs start which, one line an edge, jobs on their own alone. */
static int job_graph(const struct cli_target *t)
{
    struct cli_answer a;
    const json_t *job, *parent;
    size_t i, k;
    int status = ask(t, "graph", "GET", "/v1/jobs", NULL, &a);
    if (status == CLI_DONE && t->json) {
        json_t *edges = json_array();
        json_array_foreach(a.json, i, job) json_array_foreach(json_object_get(job, "dependencies"), k, parent)(void)
            json_array_append_new(edges, json_pack("{s:s,s:s}", "from", text_of(parent, "id"), "to", text_of(job, "id")));
        print_json(edges);
        json_decref(edges);
    } else if (status == CLI_DONE) {
        json_array_foreach(a.json, i, job)
        {
            const json_t *parents = json_object_get(job, "dependencies");
            if (json_array_size(parents) == 0)
                printf("%s\n", text_of(job, "id"));
            json_array_foreach(parents, k, parent) printf("%s -> %s\n", text_of(parent, "id"), text_of(job, "id"));
        }
    }
    cli_answer_free(&a);
    return status;
}

/* -- the command ------------------------------------------------------------------------------------------------------ */

/* Takes --arg and --env with their values out of argv. */
static int take_extras(int *argc, char **argv, struct extras *e)
{
    int kept = 0;
    for (int i = 0; i < *argc; i++) {
        bool is_arg = strncmp(argv[i], "--arg", 5) == 0, is_env = strncmp(argv[i], "--env", 5) == 0;
        const char *value = argv[i] + 5;
        if ((!is_arg && !is_env) || (*value != '\0' && *value != '=')) {
            argv[kept++] = argv[i];
            continue;
        }
        if (*value == '=')
            value++;
        else if (++i < *argc)
            value = argv[i];
        else
            return cli_usage("job: %s needs a value", is_arg ? "--arg" : "--env");
        if ((is_arg ? e->arg_count : e->env_count) == EXTRAS_MAX)
            return cli_usage("job: more than %d times %s", EXTRAS_MAX, is_arg ? "--arg" : "--env");
        if (is_arg)
            e->args[e->arg_count++] = value;
        else
            e->env[e->env_count++] = value;
    }
    argv[kept] = NULL;
    *argc = kept;
    return CLI_DONE;
}

static int dispatch(const struct cli_target *t, const struct extras *e, char **w, int n)
{
    char path[512];
    const char *verb = n > 0 ? w[0] : "";
    if ((e->arg_count > 0 || e->env_count > 0) && strcmp(verb, "run") != 0)
        return cli_usage("job %s: --arg and --env are for run", verb);
    if (n == 2 && strcmp(verb, "add") == 0)
        return job_add(t, w[1]);
    if (n == 1 && strcmp(verb, "list") == 0)
        return job_list(t);
    if (n == 2 && strcmp(verb, "show") == 0)
        return job_show(t, w[1]);
    if (n == 2 && strcmp(verb, "run") == 0)
        return job_run(t, w[1], e);
    if ((n == 1 || n == 2) && strcmp(verb, "runs") == 0)
        return job_runs(t, n == 2 ? w[1] : NULL);
    if (n == 2 && strcmp(verb, "history") == 0)
        return job_path(w[1], "/history", path) == CLI_DONE ? show_runs(t, "history", path, "runs") : CLI_USAGE;
    if (n == 2 && strcmp(verb, "logs") == 0)
        return job_logs(t, w[1]);
    if (n == 2 && strcmp(verb, "stop") == 0)
        return job_stop(t, w[1]);
    if (n == 2 && strcmp(verb, "remove") == 0)
        return job_remove(t, w[1]);
    if (n == 1 && strcmp(verb, "graph") == 0)
        return job_graph(t);
    fputs(USAGE "\n", stderr);
    return CLI_USAGE;
}

int cmd_job(int argc, char **argv)
{
    struct cli_target t;
    struct extras extras = {.arg_count = 0};
    char **words;
    int count, rc = take_extras(&argc, argv, &extras);
    if (rc != CLI_DONE)
        return rc;
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "-f") == 0)
            argv[i] = (char *)"--follow";
    rc = cli_parse(argc, argv, USAGE, job_options, sizeof(job_options) / sizeof(job_options[0]), &t, &words, &count);
    if (rc != 0)
        return rc < 0 ? CLI_DONE : rc;
    int status = dispatch(&t, &extras, words, count);
    cli_target_free(&t);
    return status;
}
