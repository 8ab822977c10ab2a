/* SPDX-License-Identifier: Apache-2.0
 * main.c - the table of sub-commands. */
#include <locale.h>
#include <stdarg.h>
#include <string.h>

#include "cli/cli.h"

int master_main(int argc, char **argv);
int agent_main(int argc, char **argv);
int container_fetch_main(int argc, char **argv);
int marathon_main(int argc, char **argv);
int cron_main(int argc, char **argv);
int dns_main(int argc, char **argv);
int lb_main(int argc, char **argv);

static int cmd_version(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    printf("muster %s\n", MUSTER_VERSION);
    return CLI_DONE;
}

static const struct command {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *help; /* NULL: not listed */
} commands[] = {
    {"up", cmd_up, "start a whole cluster on this machine"},
    {"down", cmd_down, "stop it and its tasks"},
    {"status", cmd_status, "show the parts of the cluster"},
    {"app", cmd_app, "add, list, show, scale, update, restart, remove services"},
    {"job", cmd_job, "add, list, show, run, stop, remove jobs; their runs, history, logs"},
    {"task", cmd_task, "list tasks, read their logs, run commands in their containers"},
    {"node", cmd_node, "list, show, drain and deactivate agents"},
    {"version", cmd_version, "print the version"},
#ifdef HAVE_MASTER
    {"master", master_main, "run the master role"},
#endif
#ifdef HAVE_AGENT
    {"agent", agent_main, "run the agent role"},
    {"fetch", container_fetch_main, NULL}, /* started by supervisors of containers */
#endif
#ifdef HAVE_MARATHON
    {"marathon", marathon_main, "run the service scheduler role"},
#endif
#ifdef HAVE_CRON
    {"cron", cron_main, "run the job scheduler role"},
#endif
#ifdef HAVE_DNS
    {"dns", dns_main, "run the name server role"},
#endif
#ifdef HAVE_LB
    {"lb", lb_main, "run the load balancer role"},
#endif
    {"hello", cmd_hello, NULL},
    {"config", cmd_config, NULL},
};

int cli_fail(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    fputs("muster: ", stderr);
    vfprintf(stderr, fmt, ap);
    fputc('\n', stderr);
    va_end(ap);
    return CLI_FAILED;
}

int cli_usage(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    fputs("muster: ", stderr);
    vfprintf(stderr, fmt, ap);
    fputc('\n', stderr);
    va_end(ap);
    return CLI_USAGE;
}

static void print_help(FILE *to)
{
    fputs("usage: muster COMMAND [--help] ...\n\n", to);
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
        if (commands[i].help != NULL)
            fprintf(to, "  %-10s %s\n", commands[i].name, commands[i].help);
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        print_help(stderr);
        return CLI_USAGE;
    }
    if (strcmp(argv[1], "help") == 0 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        print_help(stdout);
        return CLI_DONE;
    }
    if (strcmp(argv[1], "--version") == 0)
        return cmd_version(0, NULL);
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
        if (strcmp(argv[1], commands[i].name) == 0)
            return commands[i].run(argc - 1, argv + 1);
    (void)cli_usage("no command '%s'", argv[1]);
    print_help(stderr);
    return CLI_USAGE;
}
