/* SPDX-License-Identifier: Apache-2.0
 * cmd_node.c - `muster node`: the agents as the master sees them. */
#include <string.h>

#include "cli/cli.h"

#define USAGE "usage: muster node list | show ID\n\nID is an agent's id, or the end of one."

static double amount(const json_t *slave, const char *kind, const char *name)
{
    return json_number_value(json_object_get(json_object_get(slave, kind), name));
}

static void print_nodes(const json_t *slaves)
{
    static const char *const titles[] = {"ID", "HOST", "ACTIVE", "CPUS", "CPUS USED", "MEM", "MEM USED", "DISK", "PID"};
    struct table *table = table_new(titles, 9);
    size_t i;
    const json_t *slave;
    json_array_foreach(slaves, i, slave)
    {
        table_cell(table, "%s", json_string_value(json_object_get(slave, "id")));
        table_cell(table, "%s", json_string_value(json_object_get(slave, "hostname")));
        table_cell(table, "%s", json_is_true(json_object_get(slave, "active")) ? "yes" : "no");
        table_cell(table, "%g", amount(slave, "resources", "cpus"));
        table_cell(table, "%g", amount(slave, "used_resources", "cpus"));
        table_cell(table, "%g", amount(slave, "resources", "mem"));
        table_cell(table, "%g", amount(slave, "used_resources", "mem"));
        table_cell(table, "%g", amount(slave, "resources", "disk"));
        table_cell(table, "%s", json_string_value(json_object_get(slave, "pid")));
    }
    table_print(table, stdout);
}

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    return m > 0 && m <= n && strcmp(text + n - m, end) == 0;
}

static int show(const json_t *slaves, const char *id)
{
    size_t i;
    const json_t *slave, *found = NULL;
    json_array_foreach(slaves, i, slave)
    {
        const char *each = json_string_value(json_object_get(slave, "id"));
        if (each == NULL || !ends_with(each, id))
            continue;
        if (found != NULL)
            return cli_fail("node show: several agents' ids end in '%s'", id);
        found = slave;
    }
    if (found == NULL)
        return cli_fail("node show: no agent '%s'; `muster node list` shows them", id);
    print_json(found);
    return CLI_DONE;
}

int cmd_node(int argc, char **argv)
{
    struct cli_target t;
    char **words, address[64];
    int count;
    struct err err;
    int rc = cli_parse(argc, argv, USAGE, NULL, 0, &t, &words, &count);
    if (rc != 0)
        return rc < 0 ? CLI_DONE : rc;
    bool list = count == 1 && strcmp(words[0], "list") == 0, one = count == 2 && strcmp(words[0], "show") == 0;
    struct cli_answer a = {0};
    int status = CLI_DONE;
    if (!list && !one) {
        fputs(USAGE "\n", stderr);
        status = CLI_USAGE;
    } else if (cli_address(&t, "master", address, &err) < 0 || cli_request(address, "GET", "/slaves", NULL, &a, &err) < 0) {
        status = cli_fail("node: %s", err.text);
    } else if (a.status != 200) {
        status = cli_fail("node: the master answered %d", a.status);
    } else {
        const json_t *slaves = json_object_get(a.json, "slaves");
        if (one)
            status = show(slaves, words[1]);
        else if (t.json)
            print_json(slaves);
        else
            print_nodes(slaves);
    }
    cli_answer_free(&a);
    cli_target_free(&t);
    return status;
}
