/* SPDX-License-Identifier: Apache-2.0
 * cmd_task.c - `muster task`: the tasks the master knows, and their logs from the agents that ran them. */
#include <stdlib.h>
#include <string.h>

#include "cli/task.h"
#include "common/base/check.h"
#include "common/base/options.h"
#include "common/base/text.h"

#define USAGE                                                                                                              \
    "usage: muster task list [--all] | logs [-f] [--stderr] ID | exec [-i] [-t] ID -- COMMAND... | attach ID\n\n"          \
    "ID is a task's id, or the beginning of one. logs prints what the task wrote to its standard output. exec runs a\n"    \
    "command in the task's container, as its user; the exit status is the command's. attach joins this terminal to that\n" \
    "of a task that was started with one. ctrl-p ctrl-q leaves: a task goes on, a command of exec is ended."

struct task_target {
    struct cli_target target; /* first: it is what the common options fill */
    bool interactive, tty;
};

static const struct option_def task_options[] = {
    {"interactive", OPTION_BOOL, offsetof(struct task_target, interactive), "false",
     "exec: pass standard input on (also -i)", 0, 0, 0},
    {"tty", OPTION_BOOL, offsetof(struct task_target, tty), "false", "exec: with a terminal (also -t)", 0, 0, 0},
    {"all", OPTION_BOOL, offsetof(struct cli_target, all), "false", "list ended tasks too", 0, 0, 0},
    {"follow", OPTION_BOOL, offsetof(struct cli_target, follow), "false", "go on printing what is written (also -f)", 0, 0,
     0},
    {"stderr", OPTION_BOOL, offsetof(struct cli_target, errors), "false", "the standard error instead", 0, 0, 0},
};

const char *task_field(const json_t *object, const char *key)
{
    const char *s = json_string_value(json_object_get(json_object_get(object, key), "value"));
    return s ? s : "";
}

static int get_tasks(const struct cli_target *t, char master[64], struct cli_answer *a)
{
    struct err err;
    memset(a, 0, sizeof(*a));
    if (cli_address(t, "master", master, &err) < 0 ||
        cli_request(master, "POST", "/api/v1", "{\"type\":\"GET_TASKS\"}", a, &err) < 0)
        return cli_fail("task: %s", err.text);
    if (a->status != 200 || json_object_get(a->json, "get_tasks") == NULL)
        return cli_fail("task: the master answered %d", a->status);
    return CLI_DONE;
}

static void table_tasks(struct table *table, const json_t *tasks)
{
    size_t i;
    const json_t *task;
    json_array_foreach(tasks, i, task)
    {
        table_cell(table, "%s", task_field(task, "task_id"));
        table_cell(table, "%s", json_string_value(json_object_get(task, "name")));
        table_cell(table, "%s", json_string_value(json_object_get(task, "state")));
        table_cell(table, "%s", task_field(task, "agent_id"));
        table_cell(table, "%s", task_field(task, "framework_id"));
    }
}

/* The kinds of tasks in a GET_TASKS answer; the first are alive. */
static const char *const kinds[] = {"tasks", "unreachable_tasks", "completed_tasks"};

static int task_list(const struct cli_target *t)
{
    char master[64];
    struct cli_answer a;
    int status = get_tasks(t, master, &a);
    if (status == CLI_DONE) {
        const json_t *all = json_object_get(a.json, "get_tasks");
        static const char *const titles[] = {"ID", "NAME", "STATE", "AGENT", "FRAMEWORK"};
        size_t shown = t->all ? 3 : 2;
        if (t->json) {
            json_t *list = json_array();
            for (size_t i = 0; i < shown; i++)
                if (json_object_get(all, kinds[i]) != NULL)
                    (void)json_array_extend(list, json_object_get(all, kinds[i])); /* both are arrays */
            print_json(list);
            json_decref(list);
        } else {
            struct table *table = table_new(titles, 5);
            for (size_t i = 0; i < shown; i++)
                table_tasks(table, json_object_get(all, kinds[i]));
            table_print(table, stdout);
        }
    }
    cli_answer_free(&a);
    return status;
}

/* The one task whose id begins with the text; the exact id wins. */
static int find_task(const json_t *all, const char *id, const json_t **found)
{
    size_t i, matches = 0;
    const json_t *task;
    for (size_t k = 0; k < 3; k++)
        json_array_foreach(json_object_get(all, kinds[k]), i, task)
        {
            const char *each = task_field(task, "task_id");
            if (strcmp(each, id) == 0) {
                *found = task;
                return CLI_DONE;
            }
            if (strncmp(each, id, strlen(id)) == 0) {
                *found = task;
                matches++;
            }
        }
    if (matches == 0)
        return cli_fail("task: no task '%s'; `muster task list --all` shows them", id);
    return matches == 1 ? CLI_DONE : cli_fail("task: %zu tasks' ids begin with '%s'", matches, id);
}

static int agent_address(const char *command, const char *master, const char *agent_id, char out[64])
{
    struct cli_answer a;
    struct err err;
    if (cli_request(master, "GET", "/slaves", NULL, &a, &err) < 0)
        return cli_fail("task: %s", err.text);
    size_t i;
    const json_t *slave;
    bool found = false;
    json_array_foreach(json_object_get(a.json, "slaves"), i, slave)
    {
        const char *id = json_string_value(json_object_get(slave, "id"));
        const char *pid = json_string_value(json_object_get(slave, "pid"));
        const char *at = pid ? strchr(pid, '@') : NULL;
        if (id != NULL && at != NULL && strcmp(id, agent_id) == 0 && strlen(at + 1) < 64) {
            (void)snprintf(out, 64, "%s", at + 1);
            found = true;
        }
    }
    cli_answer_free(&a);
    return found ? CLI_DONE : cli_fail("task %s: agent %s is not registered, it cannot be reached", command, agent_id);
}

static bool has_task(const json_t *executor, const char *task_id)
{
    static const char *const lists[] = {"tasks", "queued_tasks", "completed_tasks"};
    size_t i;
    const json_t *task;
    for (size_t k = 0; k < 3; k++)
        json_array_foreach(json_object_get(executor, lists[k]), i, task)
        {
            const char *id = json_string_value(json_object_get(task, "id"));
            if (id != NULL && strcmp(id, task_id) == 0)
                return true;
        }
    return false;
}

/* The sandbox of the task in an agent's state: that of its executor, or its own below it in a group. */
static bool find_sandbox(const json_t *state, const char *task_id, char *out, size_t size)
{
    static const char *const frameworks[] = {"frameworks", "completed_frameworks"};
    static const char *const executors[] = {"executors", "completed_executors"};
    size_t i, j;
    const json_t *framework, *executor;
    for (size_t a = 0; a < 2; a++)
        json_array_foreach(json_object_get(state, frameworks[a]), i, framework) for (size_t b = 0; b < 2; b++)
            json_array_foreach(json_object_get(framework, executors[b]), j, executor)
        {
            const char *id = json_string_value(json_object_get(executor, "id"));
            const char *dir = json_string_value(json_object_get(executor, "directory"));
            const char *type = json_string_value(json_object_get(executor, "type"));
            if (id == NULL || dir == NULL || (strcmp(id, task_id) != 0 && !has_task(executor, task_id)))
                continue;
            bool group = type != NULL && strcmp(type, "DEFAULT") == 0;
            int n = snprintf(out, size, "%s%s%s", dir, group ? "/tasks/" : "", group ? task_id : "");
            return n > 0 && (size_t)n < size;
        }
    return false;
}

static void append_escaped(struct buf *out, const char *s)
{
    for (; *s; s++)
        if (strchr("/-_.~", *s) || (*s >= '0' && *s <= '9') || (*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z'))
            (void)buf_append_char(out, *s); /* within the default limit: paths are short */
        else
            (void)buf_printf(out, "%%%02X", (unsigned char)*s);
}

static int print_log(const struct cli_target *t, const char *agent, const char *sandbox)
{
    struct buf target;
    struct err err;
    int http_status = 0;
    buf_init(&target, 0);
    (void)buf_append_str(&target, t->follow ? "/files/follow?path=" : "/files/download?path=");
    append_escaped(&target, sandbox);
    (void)buf_append_str(&target, t->errors ? "/stderr" : "/stdout");
    char *text = buf_steal_str(&target);
    int rc = cli_stream(agent, text, &http_status, &err);
    free(text);
    buf_deinit(&target);
    if (rc < 0)
        return cli_fail("task logs: %s", err.text);
    if (http_status == 404)
        return cli_fail("task logs: the agent has no such file (any more)");
    return http_status == 200 ? CLI_DONE : cli_fail("task logs: the agent answered %d", http_status);
}

int task_find(const struct cli_target *t, const char *command, const char *id, struct cli_answer *tasks,
              const json_t **task, char agent[64])
{
    char master[64];
    *task = NULL;
    int status = get_tasks(t, master, tasks);
    if (status == CLI_DONE)
        status = find_task(json_object_get(tasks->json, "get_tasks"), id, task);
    return status == CLI_DONE ? agent_address(command, master, task_field(*task, "agent_id"), agent) : status;
}

int cli_print_logs(const struct cli_target *t, const char *id)
{
    char agent[64], sandbox[4096];
    struct cli_answer tasks, state = {0};
    struct err err;
    const json_t *task = NULL;
    int status = task_find(t, "logs", id, &tasks, &task, agent);
    if (status == CLI_DONE && cli_request(agent, "GET", "/state", NULL, &state, &err) < 0)
        status = cli_fail("task logs: %s", err.text);
    if (status == CLI_DONE && !find_sandbox(state.json, task_field(task, "task_id"), sandbox, sizeof(sandbox)))
        status = cli_fail("task logs: the agent at %s no longer knows task %s", agent, task_field(task, "task_id"));
    if (status == CLI_DONE)
        status = print_log(t, agent, sandbox);
    cli_answer_free(&state);
    cli_answer_free(&tasks);
    return status;
}

/* The command of exec follows "--", or else the task's id; its words are no options of ours. Returns how many words of argv
 * are ours. */
static int split_command(int argc, char **argv, struct task_exec *exec)
{
    int end = 1, words = 0;
    while (end < argc && strcmp(argv[end], "--") != 0)
        end++;
    bool has_mark = end < argc;
    for (end = has_mark ? end : 1; !has_mark && end < argc && words < 2; end++) {
        static const char *const valued[] = {"--dir", "--master", "--credential"};
        words += argv[end][0] != '-';
        for (size_t k = 0; k < sizeof(valued) / sizeof(valued[0]); k++)
            end += strcmp(argv[end], valued[k]) == 0 && end + 1 < argc; /* its value is no word */
    }
    exec->argv = argv + end + has_mark;
    exec->argc = argc - end - has_mark;
    return end;
}

/* Short forms, also several in one word. */
static void expand_short(int argc, char **argv)
{
    static const struct {
        const char *from, *to;
    } forms[] = {{"-f", "--follow"}, {"-i", "--interactive"}, {"-t", "--tty"}};
    for (int i = 1; i < argc; i++)
        for (size_t k = 0; k < sizeof(forms) / sizeof(forms[0]); k++)
            if (strcmp(argv[i], forms[k].from) == 0)
                argv[i] = (char *)forms[k].to;
}

static int run_exec(int argc, char **argv)
{
    /* "-it" becomes two words, so there may be one more for each. */
    char **ours = xcalloc((size_t)argc * 2 + 1, sizeof(*ours));
    struct task_exec exec = {0};
    struct task_target t;
    char **words;
    int count, n = 0, own = split_command(argc, argv, &exec);
    for (int i = 0; i < own; i++) {
        bool is_both = strcmp(argv[i], "-it") == 0 || strcmp(argv[i], "-ti") == 0;
        ours[n++] = is_both ? (char *)"-i" : argv[i];
        if (is_both)
            ours[n++] = (char *)"-t";
    }
    expand_short(n, ours);
    int status =
        cli_parse(n, ours, USAGE, task_options, sizeof(task_options) / sizeof(task_options[0]), &t.target, &words, &count);
    if (status == 0) {
        exec.interactive = t.interactive;
        exec.tty = t.tty;
        if (count == 2 && exec.argc > 0)
            status = task_exec(&t.target, words[1], &exec);
        else
            status = cli_usage("task exec: it needs a task and a command: exec ID -- COMMAND");
        cli_target_free(&t.target);
    }
    free(ours);
    return status < 0 ? CLI_DONE : status;
}

int cmd_task(int argc, char **argv)
{
    struct task_target t;
    char **words;
    int count;
    if (argc > 1 && strcmp(argv[1], "exec") == 0)
        return run_exec(argc, argv);
    expand_short(argc, argv);
    int rc = cli_parse(argc, argv, USAGE, task_options, sizeof(task_options) / sizeof(task_options[0]), &t.target, &words,
                       &count);
    if (rc != 0)
        return rc < 0 ? CLI_DONE : rc;
    int status;
    if (count == 1 && strcmp(words[0], "list") == 0)
        status = task_list(&t.target);
    else if (count == 2 && strcmp(words[0], "logs") == 0)
        status = cli_print_logs(&t.target, words[1]);
    else if (count == 2 && strcmp(words[0], "attach") == 0)
        status = task_attach(&t.target, words[1]);
    else {
        fputs(USAGE "\n", stderr);
        status = CLI_USAGE;
    }
    cli_target_free(&t.target);
    return status;
}
