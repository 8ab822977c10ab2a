/* SPDX-License-Identifier: Apache-2.0
 * cmd_app.c - `muster app`: services, through the public REST API of the service scheduler. */
#include <stdlib.h>
#include <string.h>

#include "cli/app_names.h"
#include "common/base/check.h"
#include "common/base/cleanup.h"
#include "common/base/text.h"

#define USAGE                                                                                                              \
    "usage: muster app add FILE | list | show ID | scale ID N | update FILE | restart ID | remove ID\n\n"                  \
    "FILE is a Marathon app definition in JSON, - for standard input."

static int ask(const struct cli_target *t, const char *what, const char *method, const char *target, const char *body,
               struct cli_answer *a)
{
    return cli_ask(t, "marathon", "app", what, method, target, body, a);
}

/* The path of an app: ids are absolute, a leading slash may be left out. */
static int app_path(const char *id, const char *suffix, char out[1200])
{
    while (*id == '/')
        id++;
    int n = snprintf(out, 1200, "/v2/apps/%s%s", id, suffix);
    for (const char *p = out; *p; p++)
        if ((unsigned char)*p <= ' ' || *p == '?' || *p == '#' || *p == '%')
            return cli_usage("app: '%s' is no app id", id);
    return *id == '\0' || n >= 1200 ? cli_usage("app: '%s' is no app id", id) : CLI_DONE;
}

static void print_apps(const json_t *apps)
{
    static const char *const titles[] = {"ID",   "INSTANCES", "RUNNING", "STAGED",   "HEALTHY",
                                         "CPUS", "MEM",       "VERSION", "DEPLOYING"};
    struct table *table = table_new(titles, 9);
    size_t i;
    const json_t *app;
    json_array_foreach(apps, i, app)
    {
        bool checked = json_array_size(json_object_get(app, "healthChecks")) > 0;
        table_cell(table, "%s", json_string_value(json_object_get(app, "id")));
        table_cell(table, "%lld", (long long)json_integer_value(json_object_get(app, "instances")));
        table_cell(table, "%lld", (long long)json_integer_value(json_object_get(app, "tasksRunning")));
        table_cell(table, "%lld", (long long)json_integer_value(json_object_get(app, "tasksStaged")));
        table_cell(table, checked ? "%lld" : "-", (long long)json_integer_value(json_object_get(app, "tasksHealthy")));
        table_cell(table, "%g", json_number_value(json_object_get(app, "cpus")));
        table_cell(table, "%g", json_number_value(json_object_get(app, "mem")));
        table_cell(table, "%s", json_string_value(json_object_get(app, "version")));
        table_cell(table, "%s", json_array_size(json_object_get(app, "deployments")) > 0 ? "yes" : "no");
    }
    table_print(table, stdout);
}

static int app_list(const struct cli_target *t)
{
    struct cli_answer a;
    int status = ask(t, "list", "GET", "/v2/apps", NULL, &a);
    if (status == CLI_DONE) {
        if (t->json)
            print_json(json_object_get(a.json, "apps"));
        else
            print_apps(json_object_get(a.json, "apps"));
    }
    cli_answer_free(&a);
    return status;
}

static void print_app(const json_t *app)
{
    json_t *copy = json_copy((json_t *)app);
    const json_t *tasks = json_object_get(app, "tasks"), *task, *port;
    (void)json_object_del(copy, "tasks"); /* shown as a table below */
    print_json(copy);
    json_decref(copy);
    static const char *const titles[] = {"TASK", "STATE", "HOST", "PORTS", "SINCE"};
    struct table *table = table_new(titles, 5);
    size_t i, k;
    json_array_foreach(tasks, i, task)
    {
        struct buf ports;
        buf_init(&ports, 4096);
        json_array_foreach(json_object_get(task, "ports"), k, port)(void)
            buf_printf(&ports, k ? ",%lld" : "%lld", (long long)json_integer_value(port)); /* cut when very many */
        const char *since = json_string_value(json_object_get(task, "startedAt"));
        cleanup_free char *port_text = buf_steal_str(&ports);
        table_cell(table, "%s", json_string_value(json_object_get(task, "id")));
        table_cell(table, "%s", json_string_value(json_object_get(task, "state")));
        table_cell(table, "%s", json_string_value(json_object_get(task, "host")));
        table_cell(table, "%s", port_text);
        table_cell(table, "%s", since ? since : "-");
        buf_deinit(&ports);
    }
    putchar('\n');
    table_print(table, stdout);
}

static int app_show(const struct cli_target *t, const char *id)
{
    char path[1200];
    struct cli_answer a;
    int status = app_path(id, "", path);
    if (status != CLI_DONE)
        return status;
    status = ask(t, "show", "GET", path, NULL, &a);
    if (status == CLI_DONE) {
        json_t *app = json_object_get(a.json, "app"), *names = app_names(t, app);
        if (t->json) {
            (void)json_object_set(app, "discovery", names); /* fails only without memory */
            print_json(app);
        } else {
            print_app(app);
            app_names_print(names);
        }
        json_decref(names);
    }
    cli_answer_free(&a);
    return status;
}

/* A change: prints the deployment that carries it out. */
static int change(const struct cli_target *t, const char *what, const char *method, const char *target, const char *body)
{
    struct cli_answer a;
    int status = ask(t, what, method, target, body, &a);
    if (status == CLI_DONE) {
        const json_t *id = json_object_get(a.json, "deploymentId");
        if (id == NULL)
            id = json_object_get(json_array_get(json_object_get(a.json, "deployments"), 0), "id");
        if (t->json)
            print_json(a.json);
        else
            printf("deployment %s\n", json_string_value(id) ? json_string_value(id) : "(none)");
    }
    cli_answer_free(&a);
    return status;
}

static int app_add(const struct cli_target *t, const char *file)
{
    cleanup_free char *text = NULL;
    int status = cli_read_file("app", file, &text);
    return status == CLI_DONE ? change(t, "add", "POST", "/v2/apps", text) : status;
}

static int app_update(const struct cli_target *t, const char *file)
{
    cleanup_free char *text = NULL;
    char path[1200];
    int status = cli_read_file("app", file, &text);
    if (status != CLI_DONE)
        return status;
    struct err err;
    json_t *root = json_read(text, strlen(text), &err);
    const char *id = json_string_value(json_object_get(root, "id"));
    if (root == NULL)
        status = cli_fail("app update: %s: %s", file, err.text);
    else if (id == NULL)
        status = cli_fail("app update: %s: no \"id\" that says which app to update", file);
    else
        status = app_path(id, "", path);
    json_decref(root);
    return status == CLI_DONE ? change(t, "update", "PUT", path, text) : status;
}

static int app_scale(const struct cli_target *t, const char *id, const char *count)
{
    char path[1200], body[64];
    int64_t n;
    if (text_to_int64(count, &n) < 0 || n < 0 || n > INT32_MAX)
        return cli_usage("app scale: '%s' is no number of instances", count);
    (void)snprintf(body, sizeof(body), "{\"instances\":%lld}", (long long)n);
    int status = app_path(id, "", path);
    return status == CLI_DONE ? change(t, "scale", "PUT", path, body) : status;
}

static int app_by_id(const struct cli_target *t, const char *what, const char *method, const char *id, const char *suffix)
{
    char path[1200];
    int status = app_path(id, suffix, path);
    return status == CLI_DONE ? change(t, what, method, path, NULL) : status;
}

static int run(const struct cli_target *t, char **w, int n)
{
    if (n == 1 && strcmp(w[0], "list") == 0)
        return app_list(t);
    if (n == 2 && strcmp(w[0], "add") == 0)
        return app_add(t, w[1]);
    if (n == 2 && strcmp(w[0], "update") == 0)
        return app_update(t, w[1]);
    if (n == 2 && strcmp(w[0], "show") == 0)
        return app_show(t, w[1]);
    if (n == 3 && strcmp(w[0], "scale") == 0)
        return app_scale(t, w[1], w[2]);
    if (n == 2 && strcmp(w[0], "restart") == 0)
        return app_by_id(t, "restart", "POST", w[1], "/restart");
    if (n == 2 && strcmp(w[0], "remove") == 0)
        return app_by_id(t, "remove", "DELETE", w[1], "");
    fputs(USAGE "\n", stderr);
    return CLI_USAGE;
}

int cmd_app(int argc, char **argv)
{
    struct cli_target t;
    char **words;
    int count;
    int rc = cli_parse(argc, argv, USAGE, NULL, 0, &t, &words, &count);
    if (rc != 0)
        return rc < 0 ? CLI_DONE : rc;
    int status = run(&t, words, count);
    cli_target_free(&t);
    return status;
}
