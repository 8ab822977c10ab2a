/* SPDX-License-Identifier: Apache-2.0
 * main.c - the Marathon-compatible scheduler as a role of the program. */
#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/check.h"
#include "common/base/log.h"
#include "common/base/options.h"
#include "common/base/ready.h"
#include "common/real/loop_ev.h"
#include "common/real/store_leveldb.h"
#include "frameworks/marathon/options.h"
#include "frameworks/marathon/shell.h"

int marathon_main(int argc, char **argv);

static const char *non_empty(const char *text)
{
    return text && text[0] ? text : NULL;
}

static int check_features(const char *list, struct err *err)
{
    while (list && *list) {
        size_t n = strcspn(list, ",");
        if (n > 0 && !(n == strlen("task_killing") && strncmp(list, "task_killing", n) == 0))
            return err_set(err, -EINVAL, "--enable_features: %.*s is not supported yet", (int)n, list);
        list += n + (list[n] == ',');
    }
    return 0;
}

static int check_options(struct shell_options *o, struct err *err)
{
    static const char *const behaviors[] = {"any", "unreserved", "reserved"};
    enum log_level level;
    bool known = false;
    if (non_empty(o->zk))
        return err_set(err, -EINVAL, "--zk: state in ZooKeeper is not supported yet; use --work_dir");
    if (strncmp(o->master, "zk://", 5) == 0)
        return err_set(err, -EINVAL,
                       "--master: finding masters through ZooKeeper is not supported yet; name them host:port");
    if (o->ha)
        return err_set(err, -EINVAL, "--ha: several processes with one state are not supported yet");
    if (strcmp(o->executor, "//cmd") != 0)
        return err_set(err, -EINVAL, "--executor: only //cmd is supported yet");
    if (o->local_port_min > o->local_port_max)
        return err_set(err, -EINVAL, "--local_port_min is above --local_port_max");
    for (size_t k = 0; k < 3; k++)
        known = known || strcmp(behaviors[k], o->roles_default_behavior) == 0;
    if (!known)
        return err_set(err, -EINVAL, "--accepted_resource_roles_default_behavior is one of any, unreserved, reserved");
    if (log_parse_level(o->log_level, &level) != 0)
        return err_set(err, -EINVAL, "--logging_level is one of debug, info, warning, error");
    log_set_level(level);
    return check_features(o->enable_features, err);
}

/* Like mkdir -p. */
static int make_directories(const char *path, struct err *err)
{
    char *copy = xstrdup(path);
    int result = 0;
    for (char *p = copy + 1; result == 0; p++) {
        if (*p != '/' && *p != '\0')
            continue;
        char end = *p;
        *p = '\0';
        if (mkdir(copy, 0700) != 0 && errno != EEXIST)
            result = err_sys(err, -errno, "--work_dir: %s", copy);
        *p = end;
        if (end == '\0')
            break;
    }
    free(copy);
    return result;
}

static void on_timer(void *ctx)
{
    struct shell *s = ctx;
    struct marathon_event in = {.type = MARATHON_EVENT_TICK};
    if (s->is_loaded)
        shell_step(s, &in);
}

static void on_probe_done(void *ctx, const struct marathon_probe_result *result)
{
    struct marathon_event in = {.type = MARATHON_EVENT_PROBE_DONE, .probe_done = *result};
    shell_step(ctx, &in);
}

static void on_signal(void *ctx, int signo)
{
    struct shell *s = ctx;
    log_info("stopping after signal %d; tasks go on", signo);
    loop_stop(s->loop);
}

static void on_leave(void *ctx)
{
    struct shell *s = ctx;
    log_info("leadership was abdicated, stopping; tasks go on");
    loop_stop(s->loop);
}

static struct marathon *new_core(const struct shell_options *o)
{
    uint64_t seed = 0;
    CHECK(getrandom(&seed, sizeof(seed), 0) == (ssize_t)sizeof(seed)); /* ids of instances come from it */
    struct marathon_config config = {
        .role = o->mesos_role,
        .user = non_empty(o->mesos_user),
        .hostname = o->hostname,
        .env_vars_prefix = non_empty(o->env_vars_prefix),
        .local_port_min = (uint16_t)o->local_port_min,
        .local_port_max = (uint16_t)o->local_port_max,
        .task_launch_confirm_timeout_ms = o->task_launch_confirm_timeout,
        .task_launch_timeout_ms = o->task_launch_timeout,
        .kill_retry_timeout_ms = o->kill_retry_timeout,
        .scale_apps_interval_ms = o->scale_apps_interval,
        .reconciliation_interval_ms = o->reconciliation_interval,
        .decline_offer_duration_ms = o->decline_offer_duration,
        .running_deployments_max = o->max_running_deployments,
        .probes_max = o->max_concurrent_health_checks,
        .unreserved_only = strcmp(o->roles_default_behavior, "unreserved") == 0,
        .reserved_only = strcmp(o->roles_default_behavior, "reserved") == 0,
        .seed = seed,
    };
    return marathon_new(&config);
}

static int open_store(struct shell *s, struct err *err)
{
    char path[4096];
    int result = make_directories(s->options.work_dir, err);
    if (result != 0)
        return result;
    if (snprintf(path, sizeof(path), "%s/store", s->options.work_dir) >= (int)sizeof(path))
        return err_set(err, -ENAMETOOLONG, "--work_dir: the path is too long");
    result = store_leveldb_open(s->loop, path, &s->store, err);
    return result ? err_wrap(err, result, "--work_dir") : 0;
}

static int start(struct shell *s, struct err *err)
{
    struct shell_options *o = &s->options;
    if (o->hostname == NULL) {
        char name[256] = "localhost";
        (void)gethostname(name, sizeof(name) - 1); /* the default stays */
        o->hostname = xstrdup(name);
    }
    int result = open_store(s, err);
    if (result != 0)
        return result;
    s->timer = loop_timer_add(s->loop, on_timer, s);
    s->leave_timer = loop_timer_add(s->loop, on_leave, s);
    s->core = new_core(o);
    s->client = http_client_new(s->loop);
    s->prober = prober_new(s->loop, s->client, on_probe_done, s);
    s->streams = event_streams_new(s->loop, (size_t)o->event_stream_max_outstanding_messages);
    struct http_server_config server = {.ip = o->http_address, .port = o->http_port};
    result = http_server_start(s->loop, &server, api_handle, s, &s->server, err);
    if (result != 0)
        return result;
    (void)snprintf(s->address, sizeof(s->address), "%s:%u", o->hostname, http_server_port(s->server)); /* names fit */
    shell_load(s);
    return 0;
}

static bool is_loopback(const char *ip)
{
    return strncmp(ip, "127.", 4) == 0 || strcmp(ip, "::1") == 0;
}

static void on_first_turn(void *ctx)
{
    struct shell *s = ctx;
    if (!s->is_loaded)
        return;
    s->ready_watch = loop_before_sleep_remove(s->ready_watch);
    log_info("marathon serves at http://%s:%u with state in %s", s->options.http_address, http_server_port(s->server),
             s->options.work_dir);
    if (!is_loopback(s->options.http_address))
        log_warning("whoever reaches %s can run commands on this cluster: the API asks for no password",
                    s->options.http_address);
    ready_notify(s->options.http_address, http_server_port(s->server));
}

static void stop(struct shell *s)
{
    (void)loop_before_sleep_remove(s->ready_watch);
    (void)sdk_scheduler_free(s->scheduler);
    s->server = s->server ? http_server_stop(s->server) : NULL;
    s->streams = event_streams_free(s->streams);
    s->prober = prober_free(s->prober);
    s->client = s->client ? http_client_free(s->client) : NULL;
    store_close(s->store);
    s->core = marathon_free(s->core);
    (void)loop_timer_remove(s->timer);
    (void)loop_timer_remove(s->leave_timer);
    shell_free_items(s);
    map_deinit(&s->requests);
}

static int run(struct shell *s)
{
    struct err err = {0};
    s->loop = loop_ev_new();
    CHECK(s->loop != NULL);
    map_init(&s->requests);
    struct loop_signal *terminate = loop_signal_add(s->loop, SIGTERM, on_signal, s);
    struct loop_signal *interrupt = loop_signal_add(s->loop, SIGINT, on_signal, s);
    int result = start(s, &err);
    if (result == 0) {
        s->ready_watch = loop_before_sleep_add(s->loop, on_first_turn, s);
        loop_run(s->loop);
    } else {
        fprintf(stderr, "muster marathon: %s\n", err.text);
    }
    stop(s);
    (void)loop_signal_remove(terminate);
    (void)loop_signal_remove(interrupt);
    (void)loop_ev_free(s->loop);
    return result != 0 || s->has_failed ? 1 : 0;
}

static int print_help(void)
{
    struct buf b;
    buf_init(&b, 0);
    options_help(marathon_option_defs, marathon_option_count, "muster marathon --master HOST:PORT [options]", &b);
    fwrite(buf_data(&b), 1, buf_len(&b), stdout);
    buf_deinit(&b);
    return 0;
}

int marathon_main(int argc, char **argv)
{
    struct shell *s = xcalloc(1, sizeof(*s));
    struct err err = {0};
    log_init("marathon", LOG_LEVEL_INFO);
    int result = options_parse(marathon_option_defs, marathon_option_count, &s->options, argc, argv, NULL, NULL, &err);
    int status = 2;
    if (result == OPTIONS_E_HELP)
        status = print_help();
    else if (result != 0 || check_options(&s->options, &err) != 0)
        fprintf(stderr, "muster marathon: %s\n", err.text);
    else
        status = run(s);
    options_free(marathon_option_defs, marathon_option_count, &s->options);
    free(s);
    return status;
}
