/* SPDX-License-Identifier: Apache-2.0
 * main.c - `muster dns`: flags or a configuration file of Mesos-DNS, the real loop, signals. */
#include "dns/main.h"

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
#include "dns/dns.h"
#include "dns/mesos_dns_config.h"

#define USAGE "muster dns --master=HOST:PORT[,...] [FLAGS]"
#define CONFIG_BYTES_MAX (1u << 20)

/* -- flags ------------------------------------------------------------------------------------------------------ */

/* The file that argv[i] names by -config or --config, at argv[i] itself or the next; *used: words. NULL: another word. */
static const char *config_path(int argc, char **argv, int i, int *used)
{
    const char *word = argv[i];
    size_t dashes = strspn(word, "-");
    if (dashes < 1 || dashes > 2 || strncmp(word + dashes, "config", 6) != 0)
        return NULL;
    *used = 1;
    if (word[dashes + 6] == '=')
        return word + dashes + 7;
    if (word[dashes + 6] != '\0' || i + 1 >= argc)
        return NULL;
    *used = 2;
    return argv[i + 1];
}

/* The file's text when it is JSON, else NULL: then it is for options_parse. */
static char *read_json_file(const char *path)
{
    FILE *f = fopen(path, "re");
    if (!f)
        return NULL;
    char *text = xmalloc(CONFIG_BYTES_MAX + 1);
    size_t len = fread(text, 1, CONFIG_BYTES_MAX, f);
    (void)fclose(f); /* read only */
    text[len] = '\0';
    if (text[strspn(text, " \t\r\n")] == '{')
        return text;
    free(text);
    return NULL;
}

/* Takes a configuration file of Mesos-DNS out of argv. */
static int take_config(int *argc, char **argv, struct mesos_dns_config *config, struct err *err)
{
    for (int i = 1; i < *argc; i++) {
        int used;
        const char *path = config_path(*argc, argv, i, &used);
        char *text = path ? read_json_file(path) : NULL;
        if (!text)
            continue;
        int result = mesos_dns_config_read(text, strlen(text), config, err);
        free(text);
        if (result < 0)
            return err_wrap(err, result, "%s", path);
        memmove(argv + i, argv + i + used, (size_t)(*argc - i - used + 1) * sizeof(*argv));
        *argc -= used;
        return 0;
    }
    return 0;
}

static int read_flags(int argc, char **argv, const struct option_def *defs, struct dns_options *options,
                      struct dns_lists *lists)
{
    struct err err = {0};
    int result = options_parse(defs, dns_option_count, options, argc, argv, NULL, NULL, &err);
    if (result == OPTIONS_E_HELP) {
        struct buf help;
        buf_init(&help, 0);
        options_help(dns_option_defs, dns_option_count, USAGE, &help);
        (void)fwrite(buf_data(&help), 1, buf_len(&help), stdout); /* nothing to be done when nobody reads it */
        buf_deinit(&help);
        return result;
    }
    if (result == 0)
        result = dns_options_check(options, lists, &err);
    if (result < 0)
        fprintf(stderr, "muster dns: %s\n", err.text);
    return result;
}

/* -- running ---------------------------------------------------------------------------------------------------- */

static void on_signal(void *ctx, int signo)
{
    log_info("ends on signal %d", signo);
    loop_stop(ctx);
}

/* TCP connections and forwarded questions have a descriptor each. */
static void raise_descriptors(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return; /* then what is there must do */
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
        log_warning("the limit of open files cannot be raised: %s", strerror(errno));
}

static int run(const struct dns_options *options, const struct dns_lists *lists)
{
    struct err err = {0};
    struct loop *loop = loop_ev_new();
    struct dns *d = xcalloc(1, sizeof(*d));
    if (!loop) {
        log_error("event loop: %s", strerror(errno));
        free(d);
        return 1;
    }
    raise_descriptors();
    struct loop_signal *term = loop_signal_add(loop, SIGTERM, on_signal, loop);
    struct loop_signal *interrupt = loop_signal_add(loop, SIGINT, on_signal, loop);
    int result = dns_start(d, loop, options, lists, &err);
    if (result == 0)
        result = dns_api_start(d, &err);
    if (result == 0) {
        uint16_t http_port = d->api ? http_server_port(d->api) : 0;
        log_info("muster dns %s answers at %s port %u, HTTP port %u", MUSTER_VERSION, options->ip, d->port, http_port);
        if (options->zk && options->zk[0] != '\0')
            log_warning("--zk is not used by this version: the masters are those of --master");
        ready_notify(options->ip, d->port);
        loop_run(loop);
    } else {
        log_error("%s", err.text);
    }
    dns_api_stop(d);
    dns_stop(d);
    loop_signal_remove(term);
    loop_signal_remove(interrupt);
    loop_ev_free(loop);
    free(d);
    return result < 0 ? 1 : 0;
}

int dns_main(int argc, char **argv)
{
    struct err err = {0};
    struct dns_options options = {0};
    struct mesos_dns_config config = {0};
    struct dns_lists *lists = xcalloc(1, sizeof(*lists));
    struct option_def *defs = xmemdup(dns_option_defs, dns_option_count * sizeof(*defs));
    enum log_level level = LOG_LEVEL_INFO;
    int status = 2;
    if (take_config(&argc, argv, &config, &err) < 0) {
        fprintf(stderr, "muster dns: %s\n", err.text);
    } else {
        for (size_t i = 0; config.values && i < dns_option_count; i++)
            defs[i].value = config.values[i] ? config.values[i] : defs[i].value;
        int result = read_flags(argc, argv, defs, &options, lists);
        if (result == OPTIONS_E_HELP)
            status = 0;
        if (result == 0) {
            (void)log_parse_level(options.logging_level, &level); /* it was checked */
            log_init("dns", level);
            status = run(&options, lists);
        }
        options_free(defs, dns_option_count, &options);
    }
    mesos_dns_config_free(&config);
    free(defs);
    free(lists);
    return status;
}
