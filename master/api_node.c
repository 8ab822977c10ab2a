/* SPDX-License-Identifier: Apache-2.0
 * api_node.c - endpoints about the process of the master, not the cluster (facts: mesos 5.1): its log level and its files.
 * Its log goes to where its standard error goes, so there is no file to be read. */
#include "master/shell.h"

void master_shell_on_logging(struct master_shell *s, struct http_exchange *x, const struct http_message *request)
{
    logging_toggle_answer(s->logging, x, request);
}

void master_shell_on_files(struct master_shell *s, struct http_exchange *x, const struct http_message *request)
{
    (void)s;
    const char *path = http_query(request, http_exchange_arena(x), "path", 0);
    if (path == NULL || *path == '\0')
        http_reply_text(x, 400, "Expecting 'path=value' in query.");
    else
        http_reply(x, 404, NULL, NULL, 0);
}

void master_shell_on_files_debug(struct master_shell *s, struct http_exchange *x, const struct http_message *request)
{
    (void)s;
    (void)request;
    http_reply(x, 200, "application/json", "{}", 2);
}
