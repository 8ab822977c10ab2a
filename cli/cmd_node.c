/* SPDX-License-Identifier: Apache-2.0
 * cmd_node.c - `muster node`: the agents as the master sees them, and taking them out of service. */
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "common/base/text.h"

#define USAGE                                                                                                              \
    "usage: muster node list | show ID | drain ID [SECONDS] | deactivate ID | activate ID | gone ID\n"                     \
    "\n"                                                                                                                   \
    "ID is an agent's id, or the end of one.\n"                                                                            \
    "  drain       ends its tasks, each within SECONDS at most, and gives it no new ones\n"                                \
    "  deactivate  gives it no new tasks; those it has go on\n"                                                            \
    "  activate    takes both back\n"                                                                                      \
    "  gone        it will never come back: its tasks are given up, and it is refused from now on"

static double amount(const json_t *slave, const char *kind, const char *name)
{
    return json_number_value(json_object_get(json_object_get(slave, kind), name));
}

static const char *state_of(const json_t *slave)
{
    const char *drain = json_string_value(json_object_get(json_object_get(slave, "drain_info"), "state"));
    if (drain != NULL)
        return strcmp(drain, "DRAINED") == 0 ? "drained" : "draining";
    if (json_is_true(json_object_get(slave, "deactivated")))
        return "deactivated";
    return json_is_true(json_object_get(slave, "active")) ? "active" : "away";
}

static void print_nodes(const json_t *slaves)
{
    static const char *const titles[] = {"ID", "HOST", "STATE", "CPUS", "CPUS USED", "MEM", "MEM USED", "DISK", "PID"};
    struct table *table = table_new(titles, 9);
    size_t i;
    const json_t *slave;
    json_array_foreach(slaves, i, slave)
    {
        table_cell(table, "%s", json_string_value(json_object_get(slave, "id")));
        table_cell(table, "%s", json_string_value(json_object_get(slave, "hostname")));
        table_cell(table, "%s", state_of(slave));
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

/* The agent whose id ends with the text; NULL after the error was printed. */
static const json_t *find(const json_t *slaves, const char *command, const char *id)
{
    size_t i;
    const json_t *slave, *found = NULL;
    json_array_foreach(slaves, i, slave)
    {
        const char *each = json_string_value(json_object_get(slave, "id"));
        if (each == NULL || !ends_with(each, id))
            continue;
        if (found != NULL) {
            (void)cli_fail("node %s: several agents' ids end in '%s'", command, id);
            return NULL;
        }
        found = slave;
    }
    if (found == NULL)
        (void)cli_fail("node %s: no agent '%s'; `muster node list` shows them", command, id);
    return found;
}

/* -- changes ---------------------------------------------------------------------------------------------------- */

static const struct change {
    const char *word, *call, *field, *done;
} changes[] = {
    {"drain", "DRAIN_AGENT", "drain_agent", "is being drained; `muster node activate` puts it back into service"},
    {"deactivate", "DEACTIVATE_AGENT", "deactivate_agent", "gets no new tasks"},
    {"activate", "REACTIVATE_AGENT", "reactivate_agent", "is in service"},
    {"gone", "MARK_AGENT_GONE", "mark_agent_gone", "is gone for good"},
};

static const struct change *find_change(char **words, int count)
{
    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++)
        if (count >= 2 && strcmp(words[0], changes[i].word) == 0)
            return count == 2 || (count == 3 && i == 0) ? &changes[i] : NULL;
    return NULL;
}

/* An agent that the master holds for unreachable is not in its list; its whole id may be given. */
static const char *full_id(const json_t *slaves, const struct change *c, const char *id)
{
    bool is_whole = strlen(id) > 36 && strstr(id, "-S") != NULL;
    const json_t *slave = is_whole ? NULL : find(slaves, c->word, id);
    return is_whole ? id : json_string_value(json_object_get(slave, "id"));
}

static int make_change(const char *address, const struct change *c, const char *id, const char *seconds)
{
    struct cli_answer a = {0};
    struct err err;
    int64_t grace = 0;
    if (seconds != NULL && (text_to_int64(seconds, &grace) < 0 || grace < 0))
        return cli_usage("node drain: '%s' is not a number of seconds", seconds);
    json_t *body = json_pack("{s:{s:s}}", "agent_id", "value", id);
    if (seconds != NULL)
        (void)json_object_set_new(body, "max_grace_period", json_pack("{s:I}", "seconds", (json_int_t)grace));
    json_t *call = json_pack("{s:s,s:o}", "type", c->call, c->field, body);
    char *text = json_dumps(call, JSON_COMPACT);
    json_decref(call);
    int status = CLI_DONE;
    if (cli_request(address, "POST", "/api/v1", text, &a, &err) < 0)
        status = cli_fail("node %s: %s", c->word, err.text);
    else if (a.status != 200)
        status = cli_fail("node %s: the master answered %d: %.*s", c->word, a.status, (int)buf_len(&a.body),
                          (const char *)buf_data(&a.body));
    else
        printf("agent %s %s\n", id, c->done);
    cli_answer_free(&a);
    free(text);
    return status;
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
    const struct change *change = find_change(words, count);
    struct cli_answer a = {0};
    int status = CLI_DONE;
    if (!list && !one && change == NULL) {
        fputs(USAGE "\n", stderr);
        status = CLI_USAGE;
    } else if (cli_address(&t, "master", address, &err) < 0 || cli_request(address, "GET", "/slaves", NULL, &a, &err) < 0) {
        status = cli_fail("node: %s", err.text);
    } else if (a.status != 200) {
        status = cli_fail("node: the master answered %d", a.status);
    } else {
        const json_t *slaves = json_object_get(a.json, "slaves"), *slave = NULL;
        const char *id = NULL;
        if (change != NULL)
            id = full_id(slaves, change, words[1]);
        else if (one)
            slave = find(slaves, "show", words[1]);
        if (id != NULL)
            status = make_change(address, change, id, count == 3 ? words[2] : NULL);
        else if (slave != NULL)
            print_json(slave);
        else if (!list)
            status = CLI_FAILED; /* it was said why */
        else if (t.json)
            print_json(slaves);
        else
            print_nodes(slaves);
    }
    cli_answer_free(&a);
    cli_target_free(&t);
    return status;
}
