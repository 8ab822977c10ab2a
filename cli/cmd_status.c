/* SPDX-License-Identifier: Apache-2.0
 * cmd_status.c - `muster status`: the parts of the cluster, who leads, and what runs. */
#include <errno.h>
#include <string.h>

#include "cli/cli.h"

static int64_t sum_over_slaves(const json_t *summary, const char *key)
{
    int64_t sum = 0;
    size_t i;
    const json_t *slave;
    json_array_foreach(json_object_get(summary, "slaves"), i, slave) sum += json_integer_value(json_object_get(slave, key));
    return sum;
}

static int64_t active_slaves(const json_t *summary)
{
    int64_t n = 0;
    size_t i;
    const json_t *slave;
    json_array_foreach(json_object_get(summary, "slaves"), i, slave) n += json_is_true(json_object_get(slave, "active"));
    return n;
}

static json_t *role_json(const struct cluster_role *r, bool running)
{
    return json_pack("{s:s, s:s, s:I, s:b}", "name", r->name, "address", r->address, "pid",
                     (json_int_t)(running ? r->pid : 0), "running", running);
}

/* The one that answers requests, when the master was asked successfully. */
static const struct cluster_role *leading(const struct cluster *c, const json_t *summary)
{
    const struct cluster_role *r = cluster_find(c, "master");
    return summary != NULL && r != NULL && cluster_process_is(r->pid, r->start_time) ? r : NULL;
}

static void print_as_json(const struct cluster *c, const json_t *summary)
{
    const struct cluster_role *leader = leading(c, summary);
    json_t *root = json_object(), *roles = json_array();
    for (size_t i = 0; i < c->role_count; i++)
        (void)json_array_append_new(roles,
                                    role_json(&c->roles[i], cluster_process_is(c->roles[i].pid, c->roles[i].start_time)));
    /* These fail only without memory; then the output lacks a field. */
    (void)json_object_set_new(root, "dir", json_string(c->dir));
    (void)json_object_set_new(root, "leader",
                              leader ? json_pack("{s:s, s:I}", "address", leader->address, "pid", (json_int_t)leader->pid)
                                     : json_null());
    (void)json_object_set_new(root, "roles", roles);
    if (summary != NULL) {
        (void)json_object_set_new(root, "agents", json_integer(active_slaves(summary)));
        (void)json_object_set_new(root, "frameworks",
                                  json_integer((json_int_t)json_array_size(json_object_get(summary, "frameworks"))));
        (void)json_object_set_new(root, "tasks_running", json_integer(sum_over_slaves(summary, "TASK_RUNNING")));
    }
    print_json(root);
    json_decref(root);
}

static void print_as_table(const struct cluster *c, const json_t *summary)
{
    const struct cluster_role *leader = leading(c, summary);
    static const char *const titles[] = {"NAME", "STATE", "ADDRESS", "PID"};
    struct table *table = table_new(titles, 4);
    for (size_t i = 0; i < c->role_count; i++) {
        const struct cluster_role *r = &c->roles[i];
        bool running = cluster_process_is(r->pid, r->start_time);
        table_cell(table, "%s", r->name);
        table_cell(table, "%s", r == leader ? "leading" : running ? "running" : "not running");
        table_cell(table, "%s", r->address);
        table_cell(table, "%lld", (long long)(running ? r->pid : 0));
    }
    table_print(table, stdout);
    if (summary != NULL)
        printf("\n%lld agents, %zu frameworks, %lld tasks running\n", (long long)active_slaves(summary),
               json_array_size(json_object_get(summary, "frameworks")),
               (long long)sum_over_slaves(summary, "TASK_RUNNING"));
}

int cmd_status(int argc, char **argv)
{
    struct cli_target t;
    struct err err;
    char dir[3072], address[64];
    struct cluster c = {.roles = NULL};
    int rc =
        cli_parse(argc, argv, "usage: muster status [--json] [--dir DIR | --master HOST:PORT]", NULL, 0, &t, NULL, NULL);
    if (rc != 0)
        return rc < 0 ? CLI_DONE : rc;
    rc = cluster_dir(t.dir, dir, sizeof(dir), &err);
    if (rc == 0 && t.master == NULL)
        rc = cluster_load(dir, &c, &err);
    int status = CLI_DONE;
    if (rc == -ENOENT) {
        status = cli_fail("status: no cluster in %s: start one with `muster up`, or name one with --dir or --master", dir);
    } else if (rc < 0) {
        status = cli_fail("status: %s", err.text);
    } else {
        struct cli_answer answer = {0};
        rc = cli_address(&t, "master", address, &err);
        if (rc == 0)
            rc = cli_request(address, "GET", "/state-summary", NULL, &answer, &err);
        if (rc < 0)
            status = cli_fail("status: %s", err.text);
        if (t.json)
            print_as_json(&c, answer.json);
        else
            print_as_table(&c, answer.json);
        cli_answer_free(&answer);
    }
    cluster_free(&c);
    cli_target_free(&t);
    return status;
}
