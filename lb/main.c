/* SPDX-License-Identifier: Apache-2.0
 * main.c - `muster lb`: flags, the real loop, signals. */
#include "lb/main.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "common/base/check.h"
#include "common/base/log.h"
#include "common/base/ready.h"
#include "common/real/loop_ev.h"
#include "lb/shell.h"

#define USAGE "muster lb --master=HOST:PORT[,...] [FLAGS]\n       muster lb --clean [FLAGS]"

static void on_signal(void *ctx, int signo)
{
    log_info("ends on signal %d", signo);
    loop_stop(ctx);
}

/* The proxy has two descriptors and more for each connection. */
static void raise_descriptors(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return; /* then what is there must do */
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
        log_warning("the limit of open files cannot be raised: %s", strerror(errno));
}

static int run(const struct lb_options *options)
{
    struct err err = {0};
    struct loop *loop = loop_ev_new();
    struct lb_shell *s = xcalloc(1, sizeof(*s));
    if (!loop) {
        log_error("event loop: %s", strerror(errno));
        free(s);
        return 1;
    }
    raise_descriptors();
    struct loop_signal *term = loop_signal_add(loop, SIGTERM, on_signal, loop);
    struct loop_signal *interrupt = loop_signal_add(loop, SIGINT, on_signal, loop);
    int result = lb_shell_start(s, loop, options, &err);
    if (result == 0)
        result = lb_api_start(s, &err);
    if (result == 0) {
        uint16_t port = http_server_port(s->api);
        log_info("muster lb %s balances %s, HTTP at %s port %u", MUSTER_VERSION, options->vip_range, options->ip, port);
        ready_notify(options->ip, port);
        loop_run(loop);
    } else {
        log_error("%s", err.text);
    }
    lb_api_stop(s);
    lb_shell_stop(s);
    loop_signal_remove(term);
    loop_signal_remove(interrupt);
    loop_ev_free(loop);
    free(s);
    return result < 0 ? 1 : 0;
}

static int clean(const struct lb_options *options)
{
    struct err err = {0};
    struct buf notes;
    buf_init(&notes, 0);
    int result = lb_planes_clean(options, &notes, &err);
    (void)fwrite(buf_data(&notes), 1, buf_len(&notes), stderr); /* nothing to be done when nobody reads it */
    buf_deinit(&notes);
    if (result < 0)
        fprintf(stderr, "muster lb: %s\n", err.text);
    return result < 0 ? 1 : 0;
}

static int read_flags(int argc, char **argv, struct lb_options *options)
{
    struct err err = {0};
    int result = options_parse(lb_option_defs, lb_option_count, options, argc, argv, NULL, NULL, &err);
    if (result == OPTIONS_E_HELP) {
        struct buf help;
        buf_init(&help, 0);
        options_help(lb_option_defs, lb_option_count, USAGE, &help);
        (void)fwrite(buf_data(&help), 1, buf_len(&help), stdout); /* nothing to be done when nobody reads it */
        buf_deinit(&help);
        return result;
    }
    if (result == 0)
        result = lb_options_check(options, &err);
    if (result < 0)
        fprintf(stderr, "muster lb: %s\n", err.text);
    return result;
}

int lb_main(int argc, char **argv)
{
    struct lb_options *options = xcalloc(1, sizeof(*options));
    enum log_level level = LOG_LEVEL_INFO;
    int status = 2;
    int result = read_flags(argc, argv, options);
    if (result == OPTIONS_E_HELP)
        status = 0;
    if (result == 0) {
        (void)log_parse_level(options->logging_level, &level); /* it was checked */
        log_init("lb", level);
        status = options->clean ? clean(options) : run(options);
    }
    options_free(lb_option_defs, lb_option_count, options);
    free(options);
    return status;
}
