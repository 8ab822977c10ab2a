/* SPDX-License-Identifier: Apache-2.0
 * process.c - the life of a framework's process: options, store, server, signals. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/auth/browser.h"
#include "common/auth/file.h"
#include "common/base/check.h"
#include "common/base/log.h"
#include "common/base/ready.h"
#include "frameworks/kit/event_streams.h"
#include "frameworks/kit/shell.h"

#define LEAVE_MS 500

const char *kit_non_empty(const char *text)
{
    return text && text[0] ? text : NULL;
}

int kit_check_options(const struct kit_options *o, struct err *err)
{
    enum log_level level;
    if (kit_non_empty(o->zk))
        return err_set(err, -EINVAL, "--zk: state in ZooKeeper is not supported yet; use --work_dir");
    if (strncmp(o->master, "zk://", 5) == 0)
        return err_set(err, -EINVAL,
                       "--master: finding masters through ZooKeeper is not supported yet; name them host:port");
    if (o->ha)
        return err_set(err, -EINVAL, "--ha: several processes with one state are not supported yet");
    if (log_parse_level(o->log_level, &level) != 0)
        return err_set(err, -EINVAL, "--logging_level is one of debug, info, warning, error");
    log_set_level(level);
    return 0;
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

static int open_store(struct kit_shell *s, struct err *err)
{
    char path[4096];
    int result = make_directories(s->options->work_dir, err);
    if (result != 0)
        return result;
    if (snprintf(path, sizeof(path), "%s/store", s->options->work_dir) >= (int)sizeof(path))
        return err_set(err, -ENAMETOOLONG, "--work_dir: the path is too long");
    result = s->role->open_store(s->loop, path, &s->store, err);
    return result ? err_wrap(err, result, "--work_dir") : 0;
}

static void on_timer(void *ctx)
{
    struct kit_shell *s = ctx;
    struct kit_event in = {.type = KIT_EVENT_TICK};
    if (s->is_loaded)
        kit_step(s, &in);
}

static void on_signal(void *ctx, int signo)
{
    struct kit_shell *s = ctx;
    log_info("stopping after signal %d; tasks go on", signo);
    loop_stop(s->loop);
}

static void on_leave(void *ctx)
{
    struct kit_shell *s = ctx;
    log_info("leadership was abdicated, stopping; tasks go on");
    loop_stop(s->loop);
}

void kit_leave(struct kit_shell *s)
{
    loop_timer_start(s->leave_timer, LEAVE_MS);
}

static bool is_loopback(const char *ip)
{
    return strncmp(ip, "127.", 4) == 0 || strcmp(ip, "::1") == 0;
}

static void on_first_turn(void *ctx)
{
    struct kit_shell *s = ctx;
    if (!s->is_loaded)
        return;
    s->ready_watch = loop_before_sleep_remove(s->ready_watch);
    log_info("%s serves at http://%s:%u with state in %s", s->role->name, s->options->http_address,
             http_server_port(s->server), s->options->work_dir);
    if (!is_loopback(s->options->http_address) && s->credentials == NULL)
        log_warning("whoever reaches %s can run commands on this cluster: the API asks for no password",
                    s->options->http_address);
    ready_notify(s->options->http_address, http_server_port(s->server));
}

/* -- who is let in, and who we are ------------------------------------------------------------------------------ */

static void warn_of_readers(const char *flag, bool is_exposed)
{
    if (is_exposed)
        log_warning("--%s: everybody on this machine can read the file; its mode should be 0600", flag);
}

/* A file of credentials, or user:password as Marathon takes it. */
static int load_credentials(struct kit_shell *s, struct err *err)
{
    const char *value = kit_non_empty(s->options->http_credentials);
    bool is_exposed = false;
    int r = 0;
    if (value != NULL && value[0] != '/' && strncmp(value, "file://", 7) != 0) {
        r = auth_credentials_of_pair(value, &s->credentials, err);
        log_warning("--http_credentials: everybody who can list processes sees the password; name a file instead");
    } else if (value != NULL) {
        r = auth_credentials_load(value, &s->credentials, &is_exposed, err);
    }
    warn_of_readers("http_credentials", is_exposed);
    return r < 0 ? err_wrap(err, r, "--http_credentials") : 0;
}

/* The whole file is the secret, but for the end of its line. */
static int load_secret(struct kit_options *o, struct err *err)
{
    struct auth_file f;
    if (kit_non_empty(o->secret_file) == NULL)
        return 0;
    if (kit_non_empty(o->secret) != NULL)
        return err_set(err, -EINVAL,
                       "--mesos_authentication_secret and --mesos_authentication_secret_file exclude each other");
    int r = auth_file_read(o->secret_file, &f, err);
    if (r < 0)
        return err_wrap(err, r, "--mesos_authentication_secret_file");
    warn_of_readers("mesos_authentication_secret_file", f.is_exposed);
    f.text[strcspn(f.text, "\r\n")] = '\0';
    free(o->secret);
    o->secret = xstrdup(f.text);
    auth_file_deinit(&f);
    return 0;
}

static void on_request(void *ctx, struct http_exchange *x, const struct http_message *request)
{
    struct kit_shell *s = ctx;
    const struct auth_gate gate = {.credentials = s->credentials};
    if (!auth_browser_pass(s->options->http_address, s->options->hostname, x, request))
        return;
    if (s->credentials == NULL || auth_gate_pass(&gate, s->options->http_realm, x, request))
        s->role->handle(s, x, request);
}

/* -- life ------------------------------------------------------------------------------------------------------- */

static int start(struct kit_shell *s, struct err *err)
{
    struct kit_options *o = s->options;
    int result = load_credentials(s, err);
    if (result == 0)
        result = load_secret(o, err);
    if (result != 0)
        return result;
    if (o->hostname == NULL) {
        char name[256] = "localhost";
        (void)gethostname(name, sizeof(name) - 1); /* the default stays */
        o->hostname = xstrdup(name);
    }
    result = open_store(s, err);
    if (result != 0)
        return result;
    s->timer = loop_timer_add(s->loop, on_timer, s);
    s->leave_timer = loop_timer_add(s->loop, on_leave, s);
    s->streams = event_streams_new(s->loop, (size_t)o->event_stream_max_outstanding_messages);
    struct http_server_config server = {.ip = o->http_address, .port = o->http_port};
    result = http_server_start(s->loop, &server, on_request, s, &s->server, err);
    if (result != 0)
        return result;
    (void)snprintf(s->address, sizeof(s->address), "%s:%u", o->hostname, http_server_port(s->server)); /* names fit */
    result = s->role->start(s, err);
    if (result == 0)
        kit_load(s);
    return result;
}

static void stop(struct kit_shell *s)
{
    (void)loop_before_sleep_remove(s->ready_watch);
    (void)sdk_scheduler_free(s->scheduler);
    s->server = s->server ? http_server_stop(s->server) : NULL;
    s->streams = event_streams_free(s->streams);
    store_close(s->store);
    s->role->stop(s);
    (void)loop_timer_remove(s->timer);
    (void)loop_timer_remove(s->leave_timer);
    s->credentials = auth_credentials_free(s->credentials);
    map_deinit(&s->requests);
}

int kit_run(const struct kit_role *role, struct kit_options *options, struct loop *loop, void *ctx)
{
    struct err err = {0};
    struct kit_shell *s = xcalloc(1, sizeof(*s));
    *s = (struct kit_shell){.role = role, .options = options, .loop = loop, .ctx = ctx};
    map_init(&s->requests);
    struct loop_signal *terminate = loop_signal_add(loop, SIGTERM, on_signal, s);
    struct loop_signal *interrupt = loop_signal_add(loop, SIGINT, on_signal, s);
    int result = start(s, &err);
    if (result == 0) {
        s->ready_watch = loop_before_sleep_add(loop, on_first_turn, s);
        loop_run(loop);
    } else {
        fprintf(stderr, "muster %s: %s\n", role->name, err.text);
    }
    stop(s);
    (void)loop_signal_remove(terminate);
    (void)loop_signal_remove(interrupt);
    int status = result != 0 || s->has_failed ? 1 : 0;
    free(s);
    return status;
}
