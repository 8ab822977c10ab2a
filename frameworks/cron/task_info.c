/* SPDX-License-Identifier: Apache-2.0
 * task_info.c - command, environment and policies of a task. Metronome embeds Marathon, and its tasks see the variables of
 * an app whose id is the path of the run; what only runs of jobs have is in MUSTER_JOB_*; jobs made through Chronos's API
 * see Chronos's variables as well (facts: net-cron E.5). */
#include "frameworks/cron/task_info.h"

#include <string.h>

#include "common/base/text.h"
#include "frameworks/kit/task_parts.h"

static const char *path_of(const struct run *r, struct arena *a)
{
    char *path = arena_printf(a, "/%s/%s", r->spec->id, r->id);
    for (size_t i = 0; i < strlen(r->spec->id); i++)
        path[i + 1] = path[i + 1] == '.' ? '/' : path[i + 1];
    return path;
}

static const char *time_text(int64_t wall_ms, struct arena *a)
{
    char text[TEXT_TIME_SIZE];
    text_format_time_ms(wall_ms, text);
    return arena_strdup(a, text);
}

static void put_run(struct task_env *e, const struct task_request *q)
{
    const struct run *r = q->run;
    struct arena *a = e->arena;
    task_env_put(e, "MUSTER_JOB_ID", r->spec->id);
    task_env_put(e, "MUSTER_JOB_RUN_ID", arena_strdup(a, r->id));
    task_env_put(e, "MUSTER_JOB_ATTEMPT", arena_printf(a, "%u", q->attempt));
    if (r->due_ms) {
        task_env_put(e, "MUSTER_JOB_DUE", time_text(r->due_ms, a));
        task_env_put(e, "MUSTER_JOB_INTERVAL_START", time_text(r->interval_start_ms, a));
        task_env_put(e, "MUSTER_JOB_INTERVAL_END", time_text(r->interval_end_ms, a));
    }
    if (r->graph)
        task_env_put(e, "MUSTER_JOB_GRAPH_ID", arena_strdup(a, r->graph->id));
    if (r->array) {
        task_env_put(e, "MUSTER_JOB_ARRAY_INDEX", arena_printf(a, "%lld", (long long)q->index));
        task_env_put(e, "MUSTER_JOB_ARRAY_COUNT", arena_printf(a, "%lld", (long long)r->array->count));
    }
}

/* Chronos's own names cannot be replaced by the job's variables, so they come last. */
static void put_chronos(struct task_env *e, const struct task_request *q)
{
    const struct run *r = q->run;
    const struct job *j = r->spec;
    struct arena *a = e->arena;
    task_env_put(e, "MESOS_TASK_ID", q->task_id);
    task_env_put(e, "mesos_task_id", q->task_id);
    task_env_put(e, "CHRONOS_JOB_OWNER", j->chronos->owner ? j->chronos->owner : "");
    task_env_put(e, "CHRONOS_JOB_NAME", j->id);
    task_env_put(e, "HOST", q->hostname);
    task_env_put(e, "CHRONOS_RESOURCE_MEM", task_decimal(a, j->mem));
    task_env_put(e, "CHRONOS_RESOURCE_CPU", task_decimal(a, j->cpus));
    task_env_put(e, "CHRONOS_RESOURCE_DISK", task_decimal(a, j->disk));
    task_env_put(e, "CHRONOS_JOB_RUN_TIME", arena_printf(a, "%lld", (long long)(r->due_ms ? r->due_ms : r->created_ms)));
    task_env_put(e, "CHRONOS_JOB_RUN_ATTEMPT", arena_printf(a, "%u", q->attempt - 1));
}

static Mesos__V1__Environment *environment_of(const struct task_request *q, struct arena *a)
{
    const struct job *j = q->run->spec;
    const struct task_context context = {.task_id = q->task_id,
                                         .app_id = path_of(q->run, a),
                                         .host = q->hostname,
                                         .version_ms = j->version_ms,
                                         .cpus = j->cpus,
                                         .mem = j->mem,
                                         .disk = j->disk,
                                         .labels = &j->labels};
    struct task_env e;
    task_env_begin(&e, a);
    task_env_put_context(&e, &context);
    put_run(&e, q);
    task_env_put_pairs(&e, &j->env);
    for (size_t i = 0; i < q->run->env.count; i++) /* the run may be gone before the call is made */
        task_env_put(&e, q->run->env.items[i].key, arena_strdup(a, q->run->env.items[i].value));
    if (j->chronos)
        put_chronos(&e, q);
    return task_env_end(&e);
}

/* A program that is fetched is called by its place in the sandbox. */
static const char *command_text(const struct job *j, struct arena *a)
{
    bool is_fetched = j->chronos && j->chronos->is_fetched_command;
    return is_fetched ? arena_printf(a, "./%s", strrchr(j->cmd, '/') + 1) : j->cmd;
}

/* Words for the shell are put behind the command line as they are: whoever gives them quotes them. */
static char *shell_line(const struct run *r, struct arena *a)
{
    const struct job *j = r->spec;
    const char *cmd = command_text(j, a);
    if (r->arg_count == 0)
        return (char *)cmd;
    char *line = arena_strdup(a, cmd);
    for (size_t i = 0; i < r->arg_count; i++)
        line = arena_printf(a, "%s %s", line, r->args[i]);
    return line;
}

static Mesos__V1__CommandInfo *command_of(const struct task_request *q, struct arena *a)
{
    const struct run *r = q->run;
    const struct job *j = r->spec;
    bool is_shell = j->chronos ? j->chronos->is_shell : j->arg_count == 0;
    Mesos__V1__CommandInfo *c = arena_new_one(a, Mesos__V1__CommandInfo);
    mesos__v1__command_info__init(c);
    c->has_shell = 1;
    c->shell = is_shell;
    if (is_shell) {
        c->value = shell_line(r, a);
    } else {
        /* Chronos passes the arguments on as argv, its first place included (facts: net-cron E.2). */
        bool is_argv = j->chronos && j->arg_count > 0;
        c->value = (char *)command_text(j, a);
        c->arguments = arena_new_array(a, char *, 1 + j->arg_count + r->arg_count);
        if (!is_argv)
            c->arguments[c->n_arguments++] = c->value;
        for (size_t i = 0; i < j->arg_count; i++)
            c->arguments[c->n_arguments++] = (char *)j->args[i];
        for (size_t i = 0; i < r->arg_count; i++)
            c->arguments[c->n_arguments++] = arena_strdup(a, r->args[i]);
    }
    c->user = (char *)(j->user ? j->user : q->user);
    c->environment = environment_of(q, a);
    c->uris = arena_new_array(a, Mesos__V1__CommandInfo__URI *, j->artifact_count + 1);
    if (j->chronos && j->chronos->is_fetched_command)
        c->uris[c->n_uris++] = task_uri(j->cmd, NULL, false, true, false, a);
    for (size_t i = 0; i < j->artifact_count; i++) {
        const struct job_artifact *f = &j->artifacts[i];
        c->uris[c->n_uris++] = task_uri(f->uri, f->output_file, f->extract, f->executable, f->cache, a);
    }
    return c;
}

static Mesos__V1__ContainerInfo *container_of_job(const struct job *j, struct arena *a)
{
    if (j->volume_count == 0)
        return NULL;
    Mesos__V1__Volume **volumes = arena_new_array(a, Mesos__V1__Volume *, j->volume_count);
    for (size_t i = 0; i < j->volume_count; i++) {
        const struct job_volume *v = &j->volumes[i];
        volumes[i] = task_host_volume(v->container_path, v->host_path, v->is_read_only, a);
    }
    return task_container(volumes, j->volume_count, a);
}

Mesos__V1__TaskInfo *cron_task_info(const struct task_request *q, struct arena *a)
{
    const struct job *j = q->run->spec;
    Mesos__V1__TaskInfo *t = arena_new_one(a, Mesos__V1__TaskInfo);
    mesos__v1__task_info__init(t);
    t->name = j->chronos ? arena_printf(a, "ChronosTask:%s", j->id) : arena_printf(a, "%s.%s", q->run->id, j->id);
    t->task_id = task_id_of(q->task_id, a);
    t->agent_id = task_agent_id_of(q->agent_id, a);
    t->resources = q->resources;
    t->n_resources = q->resource_count;
    t->command = command_of(q, a);
    t->container = container_of_job(j, a);
    t->kill_policy = task_kill_policy(j->kill_grace_s, a);
    t->labels = task_labels(&j->labels, a);
    return t;
}
