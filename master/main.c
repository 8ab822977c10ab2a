/* SPDX-License-Identifier: Apache-2.0
 * main.c - `muster master`: flags, the real loop and store, signals. */
#include "master/main.h"

#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "common/base/check.h"
#include "common/base/cleanup.h"
#include "common/base/log.h"
#include "common/base/ready.h"
#include "common/real/loop_ev.h"
#include "common/real/store_leveldb.h"
#include "master/options.h"
#include "master/shell.h"

#define USAGE "muster master [FLAGS]"

static void on_signal(void *ctx, int signo)
{
    struct master_shell *s = ctx;
    log_info("ends on signal %d", signo);
    s->is_ending = true;
    loop_stop(s->loop);
}

static void on_serving(struct master_shell *s)
{
    log_info("muster master %s serves at %s:%u as %s", MUSTER_VERSION, s->options->ip, http_server_port(s->server),
             master_id(s->core));
    ready_notify(s->options->ip, http_server_port(s->server));
}

/* One descriptor per agent and stream: take as many as we may. */
static void raise_descriptors(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return; /* then what is there must do */
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
        log_warning("the limit of open files cannot be raised: %s", strerror(errno));
}

/* mkdir -p */
static int make_directories(const char *path, struct err *err)
{
    cleanup_free char *copy = xstrdup(path);
    for (char *at = copy + 1;; at++) {
        if (*at != '/' && *at != '\0')
            continue;
        char was = *at;
        *at = '\0';
        if (mkdir(copy, 0755) < 0 && errno != EEXIST)
            return err_sys(err, -errno, "create directory %s", copy);
        if (was == '\0')
            return 0;
        *at = was;
    }
}

static int open_store(struct master_shell *s, struct err *err)
{
    if (strcmp(s->options->registry, "in_memory") == 0)
        return 0;
    int r = make_directories(s->options->work_dir, err);
    if (r < 0)
        return r;
    char dir[4096];
    if (snprintf(dir, sizeof(dir), "%s/registry", s->options->work_dir) >= (int)sizeof(dir))
        return err_set(err, -ENAMETOOLONG, "--work_dir is too long");
    return store_leveldb_open(s->loop, dir, &s->store, err);
}

static int run(const struct master_options *options)
{
    struct err err = {0};
    struct master_shell shell = {.options = options, .loop = loop_ev_new()};
    if (shell.loop == NULL) {
        log_error("event loop: %s", strerror(errno));
        return 1;
    }
    raise_descriptors();
    struct loop_signal *term = loop_signal_add(shell.loop, SIGTERM, on_signal, &shell);
    struct loop_signal *interrupt = loop_signal_add(shell.loop, SIGINT, on_signal, &shell);
    master_shell_init(&shell);
    int r = master_access_init(&shell.access, options, &err);
    if (r == 0)
        r = open_store(&shell, &err);
    if (r == 0)
        r = master_shell_start(&shell, on_serving, &err);
    if (r == 0)
        loop_run(shell.loop);
    else
        log_error("%s", err.text);
    master_shell_stop(&shell);
    master_access_deinit(&shell.access);
    store_close(shell.store);
    loop_signal_remove(term);
    loop_signal_remove(interrupt);
    loop_ev_free(shell.loop);
    return r < 0 ? 1 : shell.exit_status;
}

#define FREE_BYTES_KEPT (64 << 20)
#define MAPPED_FROM_BYTES (4 << 20)

/* Pictures of the state come and go many times a second while somebody polls. Giving their pages back each time and taking
 * them anew costs more than filling them, so some free memory is kept. */
static void keep_free_memory(void)
{
    (void)mallopt(M_TRIM_THRESHOLD, FREE_BYTES_KEPT); /* an allocator that knows it not does well without */
    (void)mallopt(M_MMAP_THRESHOLD, MAPPED_FROM_BYTES);
}

int master_main(int argc, char **argv)
{
    struct err err = {0};
    struct master_options options = {0};
    keep_free_memory();
    int status = 2, r = options_parse(master_option_defs, master_option_count, &options, argc, argv, NULL, NULL, &err);
    enum log_level level = LOG_LEVEL_INFO;
    if (r == OPTIONS_E_HELP) {
        struct buf help;
        buf_init(&help, 0);
        options_help(master_option_defs, master_option_count, USAGE, &help);
        (void)fwrite(buf_data(&help), 1, buf_len(&help), stdout); /* nothing to be done when nobody reads it */
        buf_deinit(&help);
        status = 0;
    } else if (r < 0 || master_options_check(&options, &err) < 0) {
        fprintf(stderr, "muster master: %s\n", err.text);
    } else {
        (void)log_parse_level(options.logging_level, &level); /* checked above */
        log_init("master", level);
        status = run(&options);
    }
    options_free(master_option_defs, master_option_count, &options);
    return status;
}
