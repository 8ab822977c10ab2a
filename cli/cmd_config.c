/* SPDX-License-Identifier: Apache-2.0
 * cmd_config.c - `muster config ROLE` prints the commented sample configuration of a role; config/ROLE.conf are its
 * outputs. */
#include <string.h>

#include "cli/cli.h"
#include "common/base/options.h"
#ifdef HAVE_MASTER
#include "master/options.h"
#endif
#ifdef HAVE_AGENT
#include "agent/options.h"
#endif
#ifdef HAVE_MARATHON
#include "frameworks/marathon/options.h"
#endif
#ifdef HAVE_CRON
#include "frameworks/cron/options.h"
#endif
#ifdef HAVE_LB
#include "lb/options.h"
#endif

static const struct role {
    const char *name;
    const struct option_def *defs;
    const size_t *count;
} roles[] = {
#ifdef HAVE_MASTER
    {"master", master_option_defs, &master_option_count},
#endif
#ifdef HAVE_AGENT
    {"agent", agent_option_defs, &agent_option_count},
#endif
#ifdef HAVE_MARATHON
    {"marathon", marathon_option_defs, &marathon_option_count},
#endif
#ifdef HAVE_CRON
    {"cron", cron_option_defs, &cron_option_count},
#endif
#ifdef HAVE_LB
    {"lb", lb_option_defs, &lb_option_count},
#endif
    {NULL, NULL, NULL},
};

static int print_sample(const struct role *role)
{
    struct buf out;
    char title[256];
    (void)snprintf(title, sizeof(title),
                   "SPDX-License-Identifier: Apache-2.0\n"
                   "# Options of `muster %s --config FILE`. The lines show the defaults; take the # away to change one.",
                   role->name);
    buf_init(&out, 0);
    options_sample(role->defs, *role->count, title, &out);
    bool is_complete = fwrite(buf_data(&out), 1, buf_len(&out), stdout) == buf_len(&out) && fflush(stdout) == 0;
    buf_deinit(&out);
    return is_complete ? CLI_DONE : cli_fail("config: standard output cannot be written");
}

int cmd_config(int argc, char **argv)
{
    for (const struct role *role = roles; argc == 2 && role->name != NULL; role++)
        if (strcmp(argv[1], role->name) == 0)
            return print_sample(role);
    (void)cli_usage("usage: muster config ROLE");
    for (const struct role *role = roles; role->name != NULL; role++)
        fprintf(stderr, "  %s\n", role->name);
    return CLI_USAGE;
}
