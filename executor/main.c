/* SPDX-License-Identifier: Apache-2.0
 * main.c - the executor as a program: reads the MESOS_* environment (facts: mesos 2.5), runs the shell on a loop. */
#include "executor/main.h"

#include <arpa/inet.h>
#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "common/base/check.h"
#include "common/base/log.h"
#include "common/base/text.h"
#include "common/real/loop_ev.h"
#include "executor/shell.h"

extern char **environ;

struct settings {
    struct executor_shell_config config;
    char *agent_ip, *token;
    char **environment; /* for tasks; the strings are environ's */
};

static const char *variable(const char *name)
{
    const char *value = getenv(name);
    return value && value[0] ? value : NULL;
}

static int required(const char *name, const char **out, struct err *err)
{
    *out = variable(name);
    return *out ? 0 : err_set(err, -EINVAL, "%s is not set: the executor is started by an agent", name);
}

static int duration_ms(const char *name, int64_t otherwise, int64_t *out, struct err *err)
{
    const char *text = variable(name);
    int64_t ns;
    *out = otherwise;
    if (!text)
        return 0;
    if (text_to_duration_ns(text, &ns) < 0 || ns < 0)
        return err_set(err, -EINVAL, "%s=%.64s is not a duration", name, text);
    *out = ns / 1000000;
    return 0;
}

/* "ip:port" or "[ip]:port". */
static int read_endpoint(struct settings *s, const char *text, struct err *err)
{
    const char *colon = strrchr(text, ':');
    unsigned char binary[16];
    int64_t port;
    if (!colon || text_to_int64(colon + 1, &port) < 0 || port < 1 || port > UINT16_MAX)
        return err_set(err, -EINVAL, "MESOS_AGENT_ENDPOINT=%.64s is not ip:port", text);
    bool has_brackets = text[0] == '[' && colon > text && colon[-1] == ']';
    s->agent_ip = xstrndup(text + has_brackets, (unsigned long)(colon - text) - 2 * has_brackets);
    if (inet_pton(AF_INET, s->agent_ip, binary) != 1 && inet_pton(AF_INET6, s->agent_ip, binary) != 1)
        return err_set(err, -EINVAL, "MESOS_AGENT_ENDPOINT=%.64s does not have a numeric address", text);
    s->config.agent_ip = s->agent_ip;
    s->config.agent_port = (uint16_t)port;
    return 0;
}

/* Not for tasks: what is between us and the agent. */
static bool is_private(const char *entry)
{
    static const char *const names[] = {
        "MESOS_EXECUTOR_AUTHENTICATION_TOKEN=", "MESOS_DOMAIN_SOCKET=", "LIBPROCESS_PORT=", "LIBPROCESS_IP="};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strncmp(entry, names[i], strlen(names[i])) == 0)
            return true;
    return false;
}

static void keep_environment(struct settings *s)
{
    size_t count = 0, kept = 0;
    while (environ[count])
        count++;
    s->environment = xcalloc(count + 1, sizeof(*s->environment));
    for (size_t i = 0; i < count; i++)
        if (!is_private(environ[i]))
            s->environment[kept++] = environ[i];
    s->config.core.environment = (const char *const *)s->environment;
}

/* Takes the token out of our environment, where /proc would show it to every task of the same user. */
static void take_token(struct settings *s)
{
    char *value = getenv("MESOS_EXECUTOR_AUTHENTICATION_TOKEN");
    if (!value || !value[0])
        return;
    s->token = xstrdup(value);
    s->config.token = s->token;
    explicit_bzero(value, strlen(value));
}

static int read_settings(struct settings *s, struct err *err)
{
    struct executor_config *core = &s->config.core;
    const char *checkpoint = variable("MESOS_CHECKPOINT"), *endpoint;
    int result = required("MESOS_FRAMEWORK_ID", &core->framework_id, err);
    result = result ? result : required("MESOS_EXECUTOR_ID", &core->executor_id, err);
    core->sandbox = variable("MESOS_SANDBOX");
    if (!core->sandbox)
        result = result ? result : required("MESOS_DIRECTORY", &core->sandbox, err);
    result = result ? result : required("MESOS_AGENT_ENDPOINT", &endpoint, err);
    result = result ? result : read_endpoint(s, endpoint, err);
    core->checkpoint = checkpoint && strcmp(checkpoint, "1") == 0;
    result = result ? result : duration_ms("MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD", 5000, &core->shutdown_grace_ms, err);
    result = result ? result : duration_ms("MESOS_RECOVERY_TIMEOUT", 900000, &core->recovery_timeout_ms, err);
    result = result ? result : duration_ms("MESOS_SUBSCRIPTION_BACKOFF_MAX", EXECUTOR_RETRY_MS, &core->backoff_max_ms, err);
    if (result)
        return result;
    s->config.agent_socket = variable("MESOS_DOMAIN_SOCKET");
    core->container_ip = variable("MESOS_CONTAINER_IP");
    if (!core->container_ip)
        core->container_ip = s->agent_ip; /* containers share the network of their host */
    if (getrandom(&core->seed, sizeof(core->seed), 0) != (ssize_t)sizeof(core->seed))
        return err_sys(err, -errno, "getrandom");
    take_token(s);
    keep_environment(s);
    return 0;
}

struct end {
    struct loop *loop;
    int status;
};

static void on_finished(void *ctx, int status)
{
    struct end *end = ctx;
    end->status = status;
    loop_stop(end->loop);
}

int executor_main(int argc, char **argv)
{
    struct settings settings = {0};
    struct end end = {.status = 1};
    struct err err = {0};
    (void)argv;
    log_init("executor", LOG_LEVEL_INFO);
    /* One of us in every container: pages that a rare large message needed go back at once. */
    (void)mallopt(M_TRIM_THRESHOLD, 64 << 10);
    (void)mallopt(M_MMAP_THRESHOLD, 64 << 10);
    if (argc > 1) {
        log_error("the executor takes no arguments: it is configured by its environment");
        return 2;
    }
    if (read_settings(&settings, &err) < 0) {
        log_error("%s", err.text);
    } else if (!(end.loop = loop_ev_new())) {
        log_error("event loop: %s", strerror(errno));
    } else {
        struct executor_shell *shell = executor_shell_new(end.loop, &settings.config, on_finished, &end);
        loop_run(end.loop);
        executor_shell_free(shell);
        loop_ev_free(end.loop);
    }
    free(settings.environment);
    free(settings.agent_ip);
    free(settings.token);
    return end.status;
}
