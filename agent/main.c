/* SPDX-License-Identifier: Apache-2.0
 * main.c - `muster agent`: flags, the real ports, signals. SIGTERM and SIGINT end the agent and leave its containers
 * running for the next one; SIGUSR1 ends the containers too and leaves the cluster. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/container/container.h"
#include "agent/host.h"
#include "agent/main.h"
#include "agent/media.h"
#include "agent/shell.h"
#include "common/base/check.h"
#include "common/base/log.h"
#include "common/base/ready.h"
#include "common/real/loop_ev.h"
#include "common/real/store_leveldb.h"
#include "common/wire/mesos_version.h"

#define USAGE "muster agent --master HOST:PORT --work_dir DIR [options]"

struct program {
    struct agent_options options;
    struct agent_shell shell;
    struct arena *arena; /* lives as long as the program */
    struct loop_signal *term, *interrupt, *user;
    char *runtime_dir, *socket_dir, *socket_path;
};

static void on_end(void *ctx, int signo)
{
    struct program *p = ctx;
    log_info("%s: ending, containers run on", strsignal(signo));
    loop_stop(p->shell.loop);
}

static void on_user(void *ctx, int signo)
{
    (void)signo;
    struct program *p = ctx;
    struct agent_event in = {.type = AGENT_IN_UNREGISTER};
    agent_shell_event(&p->shell, &in);
}

/* Makes a directory and what leads to it; gives its real, absolute path. */
static int make_directory(struct arena *arena, const char *path, mode_t mode, char **out, struct err *err)
{
    char *copy = arena_strdup(arena, path);
    for (char *slash = strchr(copy + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(copy, 0755) != 0 && errno != EEXIST)
            return err_sys(err, -errno, "directory %s", copy);
        *slash = '/';
    }
    if (mkdir(copy, mode) != 0 && errno != EEXIST)
        return err_sys(err, -errno, "directory %s", copy);
    char *real = realpath(copy, NULL);
    if (real == NULL)
        return err_sys(err, -errno, "directory %s", copy);
    *out = arena_strdup(arena, real);
    free(real);
    return 0;
}

static int choose_address(const struct agent_options *o, const char **ip, struct err *err)
{
    uint8_t any[16];
    const char *advertised = o->advertise_ip ? o->advertise_ip : o->ip;
    if (inet_pton(AF_INET, o->ip, any) != 1 && inet_pton(AF_INET6, o->ip, any) != 1)
        return err_set(err, -EINVAL, "--ip %.100s is not an IP address", o->ip);
    if (inet_pton(AF_INET, advertised, any) != 1 && inet_pton(AF_INET6, advertised, any) != 1)
        return err_set(err, -EINVAL, "--advertise_ip %.100s is not an IP address", advertised);
    if (strcmp(advertised, "0.0.0.0") == 0 || strcmp(advertised, "::") == 0)
        return err_set(err, -EINVAL, "--ip %s is no address that others can reach: name one by --advertise_ip", o->ip);
    *ip = advertised;
    return 0;
}

static int parse_environment(const char *text, struct arena *arena, struct launcher_env **out, size_t *n, struct err *err)
{
    *n = 0;
    if (text == NULL)
        return 0;
    json_t *json = json_read(text, strlen(text), err);
    const char *name;
    json_t *value;
    int rc = json == NULL ? -EINVAL : json_is_object(json) ? 0 : err_set(err, -EINVAL, "it is no JSON object");
    if (rc == 0)
        *out = arena_new_array(arena, struct launcher_env, json_object_size(json) + 1);
    json_object_foreach(json, name, value)
    {
        if (!json_is_string(value))
            rc = err_set(err, -EINVAL, "%.100s is no string", name);
        else if (rc == 0)
            (*out)[(*n)++] =
                (struct launcher_env){arena_strdup(arena, name), arena_strdup(arena, json_string_value(value))};
    }
    json_decref(json);
    return rc == 0 ? 0 : err_wrap(err, rc, "--executor_environment_variables");
}

static int start_server(struct program *p, struct err *err)
{
    struct agent_shell *s = &p->shell;
    struct http_server_config config = {
        .ip = p->options.ip, .port = p->options.port, .streams_body = agent_media_streams_body};
    int rc = http_server_start(s->loop, &config, agent_api_handle, s, &s->server, err);
    if (rc != 0)
        return rc;
    s->port = http_server_port(s->server);
    if (!p->options.http_executor_domain_sockets)
        return 0;
    p->socket_path = arena_printf(p->arena, "%s/agent.sock", p->socket_dir);
    struct http_server_config socket_config = {.unix_path = p->socket_path, .streams_body = agent_media_streams_body};
    return http_server_start(s->loop, &socket_config, agent_api_handle, s, &s->socket_server, err);
}

/* What containers must not see beside the agent's own folders. */
static const char **list_hidden(struct program *p, size_t *count)
{
    const struct agent_options *o = &p->options;
    const char *secrets[] = {o->credential, o->http_credentials, o->jwt_secret_key};
    size_t secret_count = sizeof(secrets) / sizeof(secrets[0]), n = 0;
    char *list = arena_strdup(p->arena, o->hidden_paths != NULL ? o->hidden_paths : ""), *save = NULL;
    const char **out = arena_new_array(p->arena, const char *, secret_count + strlen(list) / 2 + 1);
    for (size_t i = 0; i < secret_count; i++)
        if (secrets[i] != NULL)
            out[n++] = strncmp(secrets[i], "file://", 7) == 0 ? secrets[i] + 7 : secrets[i];
    for (char *one = strtok_r(list, ",", &save); one != NULL; one = strtok_r(NULL, ",", &save))
        out[n++] = one;
    *count = n;
    return out;
}

static int open_ports(struct program *p, struct err *err)
{
    struct agent_shell *s = &p->shell;
    struct agent_options *o = &p->options;
    char *work_dir, *meta;
    int rc = agent_connect_new(s, o->master, &s->connect, err);
    if (rc != 0)
        return rc;
    rc = make_directory(p->arena, o->work_dir, 0755, &work_dir, err);
    if (rc != 0)
        return err_wrap(err, rc, "--work_dir");
    s->work_dir = work_dir;
    const char *runtime_dir = o->runtime_dir ? o->runtime_dir : arena_printf(p->arena, "%s/run", work_dir);
    rc = make_directory(p->arena, runtime_dir, 0700, &p->runtime_dir, err);
    if (rc != 0)
        return err_wrap(err, rc, "--runtime_dir");
    /* The one part of it that containers see: executors find the agent's socket there. */
    if (o->http_executor_domain_sockets)
        rc = make_directory(p->arena, arena_printf(p->arena, "%s/shared", p->runtime_dir), 0755, &p->socket_dir, err);
    if (rc != 0)
        return err_wrap(err, rc, "--runtime_dir");
    rc = make_directory(p->arena, arena_printf(p->arena, "%s/meta", work_dir), 0700, &meta, err);
    if (rc == 0)
        rc = store_leveldb_open(s->loop, meta, &s->store, err);
    if (rc == 0)
        rc = agent_dirs_new(s, &s->dirs, err);
    if (rc == 0)
        rc = agent_volumes_new(s, &s->volumes, err);
    if (rc != 0)
        return rc;
    size_t hidden_count;
    const char **hidden = list_hidden(p, &hidden_count);
    struct container_config containers = {.events = {.started = agent_shell_started, .ended = agent_shell_ended},
                                          .events_ctx = s,
                                          .work_dir = work_dir,
                                          .runtime_dir = p->runtime_dir,
                                          .cgroup_root = o->cgroups_root,
                                          .hidden = hidden,
                                          .hidden_count = hidden_count,
                                          .visible_dir = p->socket_dir};
    rc = container_launcher_open(s->loop, &containers, &s->launcher, err);
    if (rc != 0)
        return err_wrap(err, rc, "containers");
    return start_server(p, err);
}

static void say_isolation(struct agent_shell *s)
{
    const char *missing = "";
    (void)s->launcher->ops->isolation(s->launcher, &missing);
    for (const char *line = missing; line != NULL && *line != '\0';) {
        size_t len = strcspn(line, "\n");
        log_warning("isolation that this host or user cannot give: %.*s", (int)len, line);
        line += len + (line[len] == '\n');
    }
}

static int start(struct program *p, struct err *err)
{
    struct agent_shell *s = &p->shell;
    const struct agent_options *o = &p->options;
    struct agent_config config = {.ip = s->ip,
                                  .work_dir = s->work_dir,
                                  .version = MESOS_API_VERSION,
                                  .domain_socket = p->socket_path,
                                  .executor_token = o->authenticate_http_executors ? agent_access_token : NULL,
                                  .executor_token_ctx = &s->access,
                                  .libprocess_ip = getenv("LIBPROCESS_IP"),
                                  .no_switch_user = !o->switch_user,
                                  .cpu_quota = o->cgroups_enable_cfs,
                                  .container_pids_max = o->container_pids_max,
                                  .executor_registration_timeout_ms = o->executor_registration_timeout_ms,
                                  .executor_reregistration_timeout_ms = o->executor_reregistration_timeout_ms,
                                  .executor_shutdown_grace_ms = o->executor_shutdown_grace_period_ms,
                                  .recovery_timeout_ms = o->recovery_timeout_ms,
                                  .registration_backoff_ms = o->registration_backoff_factor_ms,
                                  .gc_delay_ms = o->gc_delay_ms};
    Mesos__V1__AgentInfo *info;
    struct launcher_env *env = NULL;
    char *boot_id;
    if (getrandom(&config.seed, sizeof(config.seed), 0) != sizeof(config.seed))
        return err_sys(err, -errno, "random numbers");
    int rc = agent_host_describe(o, s->hostname, s->port, p->arena, &info, err);
    if (rc == 0)
        rc = agent_host_boot_id(p->arena, &boot_id, err);
    if (rc == 0)
        rc = parse_environment(o->executor_environment_variables, p->arena, &env, &config.executor_env_count, err);
    if (rc != 0)
        return rc;
    config.info = info;
    config.executor_env = env;
    s->metrics = metrics_new();
    agent_api_add_metrics(s);
    agent_shell_start(s, &config, boot_id);
    return 0;
}

static void close_all(struct program *p)
{
    struct agent_shell *s = &p->shell;
    s->stopped = true;
    s->server = s->server ? http_server_stop(s->server) : NULL;
    s->socket_server = s->socket_server ? http_server_stop(s->socket_server) : NULL;
    s->connect = agent_connect_free(s->connect);
    s->dirs = agent_dirs_free(s->dirs);
    s->volumes = agent_volumes_free(s->volumes);
    if (s->launcher != NULL)
        s->launcher->ops->close(s->launcher);
    store_close(s->store);
    if (s->core != NULL)
        agent_shell_stop(s);
    s->metrics = metrics_free(s->metrics);
    agent_access_deinit(&s->access);
    (void)loop_signal_remove(p->term);
    (void)loop_signal_remove(p->interrupt);
    (void)loop_signal_remove(p->user);
    s->loop = loop_ev_free(s->loop);
    (void)arena_free(p->arena);
}

static int run(struct program *p, struct err *err)
{
    struct agent_shell *s = &p->shell;
    char *hostname = NULL;
    int rc = choose_address(&p->options, &s->ip, err);
    if (rc == 0)
        rc = agent_host_name(&p->options, p->arena, &hostname, err);
    if (rc != 0)
        return rc;
    s->hostname = hostname;
    s->options = &p->options;
    rc = agent_access_init(&s->access, &p->options, err);
    if (rc != 0)
        return rc;
    s->loop = loop_ev_new();
    if (s->loop == NULL)
        return err_sys(err, -errno, "event loop");
    map_init(&s->exchanges);
    p->term = loop_signal_add(s->loop, SIGTERM, on_end, p);
    p->interrupt = loop_signal_add(s->loop, SIGINT, on_end, p);
    rc = open_ports(p, err);
    if (rc == 0)
        rc = start(p, err);
    if (rc != 0)
        return rc;
    p->user = loop_signal_add(s->loop, SIGUSR1, on_user, p);
    say_isolation(s);
    log_info("agent of %s serves on %s:%u", p->options.master, p->options.ip, s->port);
    ready_notify(s->ip, s->port);
    loop_run(s->loop);
    return 0;
}

int agent_main(int argc, char **argv)
{
    struct program p = {0};
    struct err err = {""};
    enum log_level level = LOG_LEVEL_INFO;
    int rc = options_parse(agent_option_defs, agent_option_count, &p.options, argc, argv, NULL, NULL, &err);
    if (rc == OPTIONS_E_HELP) {
        struct buf text;
        buf_init(&text, 0);
        options_help(agent_option_defs, agent_option_count, USAGE, &text);
        (void)fwrite(buf_data(&text), 1, buf_len(&text), stdout);
        buf_deinit(&text);
        options_free(agent_option_defs, agent_option_count, &p.options);
        return 0;
    }
    if (rc == 0 && log_parse_level(p.options.logging_level, &level) != 0)
        rc = err_set(&err, -EINVAL, "--logging_level %.40s: DEBUG, INFO, WARNING or ERROR", p.options.logging_level);
    if (rc == 0 && strcmp(p.options.http_authenticators, "basic") != 0)
        rc = err_set(&err, -EINVAL, "--http_authenticators: '%.100s' is not basic", p.options.http_authenticators);
    if (rc == 0 && strcmp(p.options.authorizer, "local") != 0)
        rc = err_set(&err, -EINVAL, "--authorizer: '%.100s' is not local", p.options.authorizer);
    if (rc != 0) {
        fprintf(stderr, "muster agent: %s\n", err.text);
        options_free(agent_option_defs, agent_option_count, &p.options);
        return 2;
    }
    log_init("agent", level);
    p.arena = arena_new(0);
    rc = run(&p, &err);
    int status = p.shell.exit_status;
    if (rc != 0) {
        log_error("%s", err.text);
        status = 1;
    }
    close_all(&p);
    options_free(agent_option_defs, agent_option_count, &p.options);
    return status;
}
