/* SPDX-License-Identifier: Apache-2.0
 * task_exec.c - `muster task exec` and `muster task attach`: which container it is, and what becomes of the exit status. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/attach.h"
#include "cli/task.h"
#include "common/base/arena.h"
#include "common/base/check.h"
#include "common/base/rng.h"
#include "common/wire/codec.h"

/* The container that a task's statuses name: one of a group has its own. NULL: they name none. */
static const json_t *told_container(const json_t *task)
{
    const json_t *statuses = json_object_get(task, "statuses");
    for (size_t i = json_array_size(statuses); i-- > 0;) {
        const json_t *status = json_array_get(statuses, i);
        const json_t *id = json_object_get(json_object_get(status, "container_status"), "container_id");
        if (json_object_get(id, "parent") != NULL)
            return id;
    }
    return NULL;
}

/* The container of the task's executor; a command task's has the id of the task. */
static const json_t *executors_container(const json_t *containers, const json_t *task)
{
    const char *executor = task_field(task, "executor_id");
    if (executor[0] == '\0')
        executor = task_field(task, "task_id");
    size_t i;
    const json_t *each;
    json_array_foreach(containers, i, each)
    {
        if (strcmp(task_field(each, "framework_id"), task_field(task, "framework_id")) == 0 &&
            strcmp(task_field(each, "executor_id"), executor) == 0)
            return json_object_get(each, "container_id");
    }
    return NULL;
}

static int find_container(const char *command, const char *agent, const json_t *task, struct arena *arena,
                          Mesos__V1__ContainerID **out)
{
    struct cli_answer a = {0};
    struct err err = {""};
    const json_t *id = told_container(task);
    int status = CLI_DONE;
    if (id == NULL) {
        if (cli_request(agent, "POST", "/api/v1", "{\"type\":\"GET_CONTAINERS\"}", &a, &err) < 0)
            status = cli_fail("task %s: %s", command, err.text);
        else
            id = executors_container(json_object_get(json_object_get(a.json, "get_containers"), "containers"), task);
    }
    if (status == CLI_DONE && id == NULL)
        status = cli_fail("task %s: task %s does not run (any more)", command, task_field(task, "task_id"));
    if (status == CLI_DONE)
        *out = (Mesos__V1__ContainerID *)wire_from_json(&mesos__v1__container_id__descriptor, id, arena, &err);
    if (status == CLI_DONE && *out == NULL)
        status = cli_fail("task %s: %s", command, err.text);
    cli_answer_free(&a);
    return status;
}

static Mesos__V1__CommandInfo *make_command(const struct task_exec *exec, struct arena *arena)
{
    Mesos__V1__CommandInfo *command = arena_new_one(arena, Mesos__V1__CommandInfo);
    mesos__v1__command_info__init(command);
    command->has_shell = true;
    command->shell = false;
    command->value = exec->argv[0];
    command->arguments = exec->argv;
    command->n_arguments = (size_t)exec->argc;
    if (!exec->tty || getenv("TERM") == NULL)
        return command;
    Mesos__V1__Environment__Variable *term = arena_new_one(arena, Mesos__V1__Environment__Variable);
    mesos__v1__environment__variable__init(term);
    term->name = arena_strdup(arena, "TERM");
    term->value = arena_strdup(arena, getenv("TERM"));
    command->environment = arena_new_one(arena, Mesos__V1__Environment);
    mesos__v1__environment__init(command->environment);
    command->environment->n_variables = 1;
    command->environment->variables = arena_memdup(arena, &term, sizeof(Mesos__V1__Environment__Variable *));
    return command;
}

/* A container of its own inside that of the task. */
static Mesos__V1__ContainerID *make_id(Mesos__V1__ContainerID *parent, struct arena *arena)
{
    uint64_t seed;
    struct rng rng;
    uint8_t bytes[16];
    char text[UUID_TEXT_SIZE];
    CHECK(getrandom(&seed, sizeof(seed), 0) == (ssize_t)sizeof(seed));
    rng_seed(&rng, seed);
    rng_uuid(&rng, bytes, text);
    Mesos__V1__ContainerID *id = arena_new_one(arena, Mesos__V1__ContainerID);
    mesos__v1__container_id__init(id);
    id->value = arena_strdup(arena, text);
    id->parent = parent;
    return id;
}

static int run(const char *command, const struct attach_request *request)
{
    enum attach_outcome outcome;
    int status;
    struct err err = {""};
    if (attach_run(request, &outcome, &status, &err) < 0)
        return cli_fail("task %s: %s", command, err.text);
    if (outcome == ATTACH_SIGNALLED)
        return 128 + status;
    if (outcome == ATTACH_DETACHED) {
        fprintf(stderr, "\ndetached\n");
        return CLI_DONE;
    }
    if (status < 0)
        return cli_fail("task %s: how it ended is not known", command);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int exec_inside(const char *agent, Mesos__V1__ContainerID *parent, const struct task_exec *exec, struct arena *arena)
{
    Mesos__V1__Agent__Call__LaunchNestedContainerSession session =
        MESOS__V1__AGENT__CALL__LAUNCH_NESTED_CONTAINER_SESSION__INIT;
    Mesos__V1__Agent__Call call = MESOS__V1__AGENT__CALL__INIT;
    Mesos__V1__ContainerInfo container = MESOS__V1__CONTAINER_INFO__INIT;
    Mesos__V1__TTYInfo tty = MESOS__V1__TTYINFO__INIT;
    container.type = MESOS__V1__CONTAINER_INFO__TYPE__MESOS;
    container.tty_info = &tty;
    session.container_id = make_id(parent, arena);
    session.command = make_command(exec, arena);
    session.container = exec->tty ? &container : NULL;
    call.has_type = true;
    call.type = MESOS__V1__AGENT__CALL__TYPE__LAUNCH_NESTED_CONTAINER_SESSION;
    call.launch_nested_container_session = &session;
    const struct attach_request request = {.agent = agent,
                                           .output = &call,
                                           .container = session.container_id,
                                           .interactive = exec->interactive,
                                           .has_tty = exec->tty,
                                           .takes_terminal = exec->tty && isatty(STDIN_FILENO),
                                           .ends_input = true};
    return run("exec", &request);
}

int task_exec(const struct cli_target *t, const char *id, const struct task_exec *exec)
{
    struct cli_answer tasks;
    const json_t *task;
    char agent[64];
    Mesos__V1__ContainerID *parent = NULL;
    if (exec->tty && exec->interactive && !isatty(STDIN_FILENO))
        return cli_fail("task exec: -t with -i needs a terminal as standard input");
    struct arena *arena = arena_new(0);
    int status = task_find(t, "exec", id, &tasks, &task, agent);
    if (status == CLI_DONE)
        status = find_container("exec", agent, task, arena, &parent);
    if (status == CLI_DONE)
        status = exec_inside(agent, parent, exec, arena);
    (void)arena_free(arena);
    cli_answer_free(&tasks);
    return status;
}

int task_attach(const struct cli_target *t, const char *id)
{
    struct cli_answer tasks;
    const json_t *task;
    char agent[64];
    Mesos__V1__Agent__Call__AttachContainerOutput output = MESOS__V1__AGENT__CALL__ATTACH_CONTAINER_OUTPUT__INIT;
    Mesos__V1__Agent__Call call = MESOS__V1__AGENT__CALL__INIT;
    struct arena *arena = arena_new(0);
    int status = task_find(t, "attach", id, &tasks, &task, agent);
    if (status == CLI_DONE)
        status = find_container("attach", agent, task, arena, &output.container_id);
    if (status == CLI_DONE) {
        call.has_type = true;
        call.type = MESOS__V1__AGENT__CALL__TYPE__ATTACH_CONTAINER_OUTPUT;
        call.attach_container_output = &output;
        const struct attach_request request = {.agent = agent,
                                               .output = &call,
                                               .container = output.container_id,
                                               .interactive = true,
                                               .has_tty = true,
                                               .takes_terminal = isatty(STDIN_FILENO)};
        status = run("attach", &request);
    }
    (void)arena_free(arena);
    cli_answer_free(&tasks);
    return status;
}
