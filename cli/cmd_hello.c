/* SPDX-License-Identifier: Apache-2.0
 * cmd_hello.c - the example service: answers every request on $PORT0 with a line that says which task answered. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "common/base/text.h"
#include "common/http/server.h"
#include "common/real/loop_ev.h"

static void on_request(void *ctx, struct http_exchange *x, const struct http_message *request)
{
    (void)ctx;
    (void)request;
    const char *task = getenv("MESOS_TASK_ID");
    http_reply_text(x, 200, "Hello from Muster. I am task %s.\n", task ? task : "(none)");
}

int cmd_hello(int argc, char **argv)
{
    const char *text = argc > 1 ? argv[1] : getenv("PORT0");
    int64_t port;
    struct err err;
    if (text == NULL || text_to_int64(text, &port) < 0 || port < 1 || port > 65535)
        return cli_usage("hello: give a port, or set PORT0");
    struct loop *loop = loop_ev_new();
    if (loop == NULL)
        return cli_fail("hello: %s", strerror(errno));
    /* Listen where the scheduler tells others to come; a host name that is no address means all of them. */
    const char *host = getenv("HOST");
    struct in_addr numeric;
    bool is_address = host != NULL && inet_pton(AF_INET, host, &numeric) == 1;
    struct http_server_config config = {.ip = is_address ? host : "0.0.0.0", .port = (uint16_t)port};
    struct http_server *server;
    if (http_server_start(loop, &config, on_request, NULL, &server, &err) < 0)
        return cli_fail("hello: %s", err.text);
    printf("listening on port %lld\n", (long long)port);
    fflush(stdout);
    loop_run(loop);
    return CLI_DONE;
}
