/* SPDX-License-Identifier: Apache-2.0
 * cmd_up.c - `muster up`: one cluster on this machine, in the foreground or detached. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "cli/up.h"
#include "common/base/check.h"
#include "common/base/cleanup.h"
#include "common/base/options.h"
#include "common/real/loop_ev.h"

#define STOP_WAIT_MS 20000
#define VIP_PARTS 64
#define USAGE                                                                                                              \
    "usage: muster up [--detach] [--dir DIR] [--agents N] [--empty] ...\n\n"                                               \
    "Starts a whole cluster on this machine. Without --dir it is a throwaway cluster: Ctrl-C or `muster down` removes "    \
    "all\n"                                                                                                                \
    "of it. With --dir DIR its state stays in DIR and the services come back at the next `muster up --dir DIR`."

static const struct option_def options[] = {
    {"dir", OPTION_STRING, offsetof(struct up, dir), NULL, "directory that keeps the cluster's state", 0, 0, 0},
    {"detach", OPTION_BOOL, offsetof(struct up, detach), "false", "return once the cluster stands", 0, 0, 0},
    {"empty", OPTION_BOOL, offsetof(struct up, empty), "false", "deploy no example service", 0, 0, 0},
    {"agents", OPTION_INT, offsetof(struct up, agents), "1", "number of agents that share the machine", 0, 1, 250},
    {"secure", OPTION_BOOL, offsetof(struct up, secure), "false",
     "every part asks who is there; the secrets are made below the cluster's directory", 0, 0, 0},
    {"masters", OPTION_INT, offsetof(struct up, masters), "1", "number of masters; more than one needs --zk", 0, 1, 9},
    {"zk", OPTION_STRING, offsetof(struct up, zk), NULL, "ZooKeeper for several masters", 0, 0, 0},
    {"ip", OPTION_STRING, offsetof(struct up, ip), "127.0.0.1", "address that every part listens on", 0, 0, 0},
    {"master_port", OPTION_PORT, offsetof(struct up, master_port), "5050", "port of the master", 0, 0, 0},
    {"agent_port", OPTION_PORT, offsetof(struct up, agent_port), "5051", "port of the first agent; the next follow", 0, 0,
     0},
    {"marathon_port", OPTION_PORT, offsetof(struct up, marathon_port), "8080", "port of the service scheduler", 0, 0, 0},
    {"cron", OPTION_BOOL, offsetof(struct up, cron), "true", "start a job scheduler", 0, 0, 0},
    {"cron_port", OPTION_PORT, offsetof(struct up, cron_port), "9000", "port of the job scheduler", 0, 0, 0},
    {"dns", OPTION_BOOL, offsetof(struct up, dns), "true", "start a name server", 0, 0, 0},
    {"lb", OPTION_BOOL, offsetof(struct up, lb), "true", "start a balancer", 0, 0, 0},
    {"dns_port", OPTION_PORT, offsetof(struct up, dns_port), "8053", "port of the name server, UDP and TCP", 0, 0, 0},
    {"dns_http_port", OPTION_PORT, offsetof(struct up, dns_http_port), "8123", "port of the name server's HTTP API", 0, 0,
     0},
    {"lb_port", OPTION_PORT, offsetof(struct up, lb_port), "62080", "port of the balancer's HTTP API", 0, 0, 0},
    {"vip_range", OPTION_STRING, offsetof(struct up, vip_range), NULL,
     "addresses of named VIPs; default: a /16 of 127.64.0.0/10 that no other cluster on this machine has", 0, 0, 0},
    {"plane", OPTION_STRING, offsetof(struct up, plane), "auto", "data plane of the balancer: auto, ebpf, nft, proxy", 0, 0,
     0},
    {"agent_resources", OPTION_STRING, offsetof(struct up, agent_resources), NULL,
     "resources of each agent, as its --resources; default: an equal part of this machine", 0, 0, 0},
};
#define OPTION_COUNT (sizeof(options) / sizeof(options[0]))

void up_finish(struct up *u, int exit_status, const char *fmt, ...)
{
    if (u->stopping)
        return;
    if (fmt != NULL) {
        va_list ap;
        va_start(ap, fmt);
        fputs("muster up: ", stderr);
        vfprintf(stderr, fmt, ap);
        fputc('\n', stderr);
        va_end(ap);
    }
    u->stopping = true;
    u->exit_status = exit_status;
    loop_stop(u->loop);
}

static void print_commands(struct up *u)
{
    char option[3200] = "";
    if (u->dir != NULL)
        (void)snprintf(option, sizeof(option), " --dir %s", u->cluster.dir);
    fprintf(u->out, "\nTry:\n    %s status%s\n    %s app list%s\n    %s app scale%s /hello 5\n    %s task list%s\n",
            u->self, option, u->self, option, u->self, option, u->self, option);
    if (u->detach)
        fprintf(u->out, "\nStop everything, containers included:\n    %s down%s\n", u->self, option);
    else
        fputs("\nCtrl-C stops everything, containers included.\n", u->out);
}

/* The agent knows what its host cannot give; nothing runs weaker than asked without being said. */
static void print_missing_isolation(struct up *u, const json_t *state)
{
    const json_t *missing = json_object_get(json_object_get(state, "isolation"), "missing");
    size_t i;
    const json_t *line;
    if (json_array_size(missing) > 0)
        fputs("\nIsolation this host or user cannot give to containers:\n", u->out);
    json_array_foreach(missing, i, line)
        fprintf(u->out, "    %s\n", json_string_value(line) ? json_string_value(line) : "?");
}

/* Lines that work as printed. */
static void print_example(struct up *u)
{
    fprintf(u->out, "\nThe example service %s runs in containers. One of its instances, and all of them:\n    curl %s\n",
            u->example_name, u->example_url);
    if (u->vip_url[0] != '\0')
        fprintf(u->out, "    curl %s\n", u->vip_url);
    else
        fprintf(u->out, "    (no address for all of them here: %s)\n", u->vip_problem);
    const char *dns = up_address(u, "dns");
    const char *colon = strrchr(dns, ':');
    if (colon == NULL)
        return; /* there is none */
    fprintf(u->out, "Their names, and the name of the balanced address:\n");
    static const char *const names[] = {UP_EXAMPLE_NAME, UP_EXAMPLE_VIP_NAME};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        fprintf(u->out, "    dig @%.*s -p %s +short %s\n", (int)(colon - dns), dns, colon + 1, names[i]);
}

static void print_standing(struct up *u)
{
    fprintf(u->out, "Muster is up after %.1f s. Its state and logs are in %s%s\n\n",
            (double)(loop_now_ms(u->loop) - u->begun_ms) / 1000, u->cluster.dir,
            u->cluster.temporary ? " until it stops." : ".");
    for (size_t i = 0; i < u->cluster.role_count; i++) {
        const struct cluster_role *r = &u->cluster.roles[i];
        if (strcmp(r->name, "dns") == 0)
            fprintf(u->out, "    %-10s %s, HTTP port %u\n", r->name, r->address, u->dns_http_port);
        else
            fprintf(u->out, "    %-10s http://%s\n", r->name, r->address);
    }
    if (u->example_url[0] != '\0')
        print_example(u);
    else if (u->example_name[0] != '\0')
        fprintf(u->out, "\nThe services of the last run in this directory come back, %s among them.\n", u->example_name);
}

static void print_admission(struct up *u)
{
    if (u->secure)
        fprintf(u->out,
                "\nEvery part asks who is there. `muster` commands of this user show %s/" CLUSTER_OPERATOR
                ". Others:\n    curl --config %s/" CLUSTER_OPERATOR ".curl http://%s/state-summary\n",
                u->secrets, u->secrets, up_address(u, "master"));
    else if (strncmp(u->ip, "127.", 4) != 0 && strcmp(u->ip, "::1") != 0)
        fprintf(u->out,
                "\nWARNING: everyone who reaches %s can run any command on this machine. Start with --secure, or on a\n"
                "loopback address.\n",
                u->ip);
}

static void on_agent_state(void *ctx, const struct http_message *response, int error, const char *why)
{
    struct up *u = ctx;
    (void)error;
    json_t *state = response ? json_read(response->body, response->body_len, NULL) : NULL;
    print_standing(u);
    print_admission(u);
    if (state != NULL)
        print_missing_isolation(u, state);
    else
        fprintf(u->out, "\nThe agent did not tell its isolation: %s\n", why ? why : "no JSON");
    json_decref(state);
    print_commands(u);
    fflush(u->out);
    if (u->detached_fd >= 0) {
        ssize_t n = write(u->detached_fd, "0", 1); /* the parent exits at the end of file in any case */
        (void)n;
        (void)close(u->detached_fd);
        u->detached_fd = -1;
        (void)fclose(u->out);
        u->out = stderr;
    }
}

void up_stands(struct up *u)
{
    u->stands = true;
    char ip[64];
    const char *address = up_address(u, "agent-1");
    const char *colon = strrchr(address, ':');
    CHECK(colon != NULL && (size_t)(colon - address) < sizeof(ip));
    (void)snprintf(ip, sizeof(ip), "%.*s", (int)(colon - address), address);
    static const struct http_callbacks callbacks = {.done = on_agent_state};
    struct http_request r = {.ip = ip,
                             .port = (uint16_t)strtoul(colon + 1, NULL, 10),
                             .method = "GET",
                             .target = "/state",
                             .headers = &(struct http_header){"Authorization", cli_authorization()},
                             .header_count = cli_authorization() != NULL};
    (void)http_call_start(u->client, &r, &callbacks, u); /* ends in on_agent_state */
}

static void on_signal(void *ctx, int signo)
{
    (void)signo;
    struct up *u = ctx;
    fputs("\nstopping\n", stderr);
    up_finish(u, CLI_DONE, NULL);
}

/* VIPs of two clusters on one machine must not be the same addresses: each takes one of 64 parts of 127.64.0.0/10, in every
 * run the same if it is free. A name in the abstract socket namespace holds it: it goes with us, and other network
 * namespaces, where the addresses are others, have names of their own. */
static int take_vips(struct up *u, uint64_t wish, struct err *err)
{
    for (unsigned i = 0; i < VIP_PARTS; i++) {
        unsigned part = (unsigned)((wish * UINT64_C(0x9e3779b97f4a7c15) >> 32) + i) % VIP_PARTS;
        struct sockaddr_un name = {.sun_family = AF_UNIX};
        int len = snprintf(name.sun_path + 1, sizeof(name.sun_path) - 1, "muster-vips-127.%u.0.0", 64 + part);
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0)
            return err_sys(err, -errno, "socket");
        if (bind(fd, (struct sockaddr *)&name, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)len)) ==
            0) {
            (void)snprintf(u->vips, sizeof(u->vips), "127.%u.0.0/16", 64 + part);
            u->vips_fd = fd;
            return 0;
        }
        int error = errno;
        (void)close(fd);
        if (error != EADDRINUSE)
            return err_sys(err, -error, "holding addresses for VIPs");
    }
    return err_set(err, -EADDRINUSE, "%d clusters are up on this machine: name other addresses for VIPs by --vip_range",
                   VIP_PARTS);
}

/* The directory, its lock, and no cluster in it that runs without its watcher. */
static int prepare_dir(struct up *u, struct err *err)
{
    struct stat st;
    char path[4096];
    u->cluster.temporary = u->dir == NULL && (getenv("MUSTER_DIR") == NULL || getenv("MUSTER_DIR")[0] == '\0');
    int rc = cluster_dir(u->dir, u->cluster.dir, sizeof(u->cluster.dir), err);
    if (rc < 0)
        return rc;
    if (mkdir(u->cluster.dir, 0711) < 0 && errno != EEXIST)
        return err_sys(err, -errno, "%s", u->cluster.dir);
    if (lstat(u->cluster.dir, &st) < 0 || !S_ISDIR(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & 022) != 0)
        return err_set(err, -EPERM, "%s: must be a directory of yours that nobody else can write to", u->cluster.dir);
    (void)snprintf(u->cgroups_root, sizeof(u->cgroups_root), "muster/up-%llx-%llx", (unsigned long long)st.st_dev,
                   (unsigned long long)st.st_ino);
    if (u->vip_range != NULL)
        (void)snprintf(u->vips, sizeof(u->vips), "%s", u->vip_range); /* lb tells what is wrong with it */
    else if ((rc = take_vips(u, (uint64_t)st.st_dev * 31 + st.st_ino, err)) < 0)
        return rc;
    CHECK(snprintf(path, sizeof(path), "%s/lock", u->cluster.dir) < (int)sizeof(path));
    u->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (u->lock_fd < 0)
        return err_sys(err, -errno, "%s", path);
    if (flock(u->lock_fd, LOCK_EX | LOCK_NB) < 0)
        return err_set(err, -EBUSY, "a cluster is up in %s already; stop it with `muster down`, or choose another --dir",
                       u->cluster.dir);
    struct cluster old;
    rc = cluster_load(u->cluster.dir, &old, NULL);
    for (size_t i = 0; rc == 0 && i < old.role_count; i++)
        if (cluster_process_is(old.roles[i].pid, old.roles[i].start_time))
            rc = err_set(err, -EBUSY, "%s (pid %lld) of an earlier cluster still runs in %s; stop it with `muster down`",
                         old.roles[i].name, (long long)old.roles[i].pid, u->cluster.dir);
    cluster_free(&old);
    if (rc == -EBUSY)
        return rc;
    static const char *const below[] = {"log", "master", "marathon", "cron"};
    for (size_t i = 0; i < sizeof(below) / sizeof(below[0]); i++) {
        CHECK(snprintf(path, sizeof(path), "%s/%s", u->cluster.dir, below[i]) < (int)sizeof(path));
        if (mkdir(path, 0700) < 0 && errno != EEXIST)
            return err_sys(err, -errno, "%s", path);
    }
    for (int64_t i = 1; i <= u->agents; i++) {
        CHECK(snprintf(path, sizeof(path), "%s/agent-%lld", u->cluster.dir, (long long)i) < (int)sizeof(path));
        if (mkdir(path, 0711) < 0 && errno != EEXIST)
            return err_sys(err, -errno, "%s", path);
    }
    return 0;
}

/* Splits into the watcher and the command that waits for it. Returns only in the watcher; the parent exits here. */
static void detach(struct up *u)
{
    int text[2], done[2];
    CHECK(pipe2(text, O_CLOEXEC) == 0 && pipe2(done, O_CLOEXEC) == 0);
    fflush(NULL);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        (void)close(text[0]);
        (void)close(done[0]);
        (void)setsid(); /* a fresh child is no group leader */
        char path[4096];
        CHECK(snprintf(path, sizeof(path), "%s/log/up.log", u->cluster.dir) < (int)sizeof(path));
        cleanup_close int log = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        cleanup_close int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
        CHECK(log >= 0 && null >= 0 && dup2(null, 0) == 0 && dup2(log, 1) == 1);
        /* Errors before the cluster stands are for the person who waits. */
        CHECK(dup2(text[1], 2) == 2);
        u->out = fdopen(text[1], "w");
        CHECK(u->out != NULL);
        u->detached_fd = done[1];
        return;
    }
    (void)close(text[1]);
    (void)close(done[1]);
    char chunk[4096], status = '1';
    ssize_t n = read(done[0], &status, 1); /* comes, or the child is gone */
    if (n == 1) {
        ssize_t m = read(text[0], chunk, sizeof(chunk)); /* written before the status, in one piece */
        if (m > 0)
            fwrite(chunk, 1, (size_t)m, stdout);
        fflush(stdout);
        _exit(CLI_DONE);
    }
    for (ssize_t m; (m = read(text[0], chunk, sizeof(chunk))) > 0;)
        fwrite(chunk, 1, (size_t)m, stderr);
    _exit(CLI_FAILED);
}

static void run(struct up *u)
{
    u->loop = loop_ev_new();
    CHECK(u->loop != NULL);
    u->client = http_client_new(u->loop);
    u->begun_ms = loop_now_ms(u->loop);
    u->cluster.up_pid = getpid();
    u->cluster.up_start_time = cluster_process_start(getpid());
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
    struct loop_signal *watches[3];
    for (size_t i = 0; i < 3; i++)
        watches[i] = loop_signal_add(u->loop, signals[i], on_signal, u);
    up_roles_start(u);
    if (!u->stopping)
        loop_run(u->loop);
    u->stopping = true;
    struct err err;
    if (cluster_stop_roles(&u->cluster, STOP_WAIT_MS, &err) < 0 || cluster_clean_kernel(u->cluster.dir, &err) < 0)
        u->exit_status = cli_fail("%s", err.text);
    for (size_t i = 0; i < 3; i++)
        loop_signal_remove(watches[i]);
    http_client_free(u->client);
    up_example_release(u);
    up_roles_release(u);
    loop_ev_free(u->loop);
}

static void clean_up(struct up *u)
{
    struct err err;
    char path[4096];
    CHECK(snprintf(path, sizeof(path), "%s/cluster.json", u->cluster.dir) < (int)sizeof(path));
    (void)unlink(path); /* may never have been written */
    if (u->cluster.temporary && u->exit_status == CLI_DONE && cluster_remove_tree(u->cluster.dir, &err) < 0)
        u->exit_status = cli_fail("%s", err.text);
    else if (u->cluster.temporary && u->exit_status != CLI_DONE)
        fprintf(stderr, "muster: the logs are kept in %s/log\n", u->cluster.dir);
}

int cmd_up(int argc, char **argv)
{
    struct up u = {.lock_fd = -1, .vips_fd = -1, .detached_fd = -1, .out = stdout};
    struct err err;
    int rc = options_parse(options, OPTION_COUNT, &u, argc, argv, NULL, NULL, &err);
    if (rc == OPTIONS_E_HELP) {
        struct buf help;
        buf_init(&help, 0);
        options_help(options, OPTION_COUNT, USAGE, &help);
        fwrite(buf_data(&help), 1, buf_len(&help), stdout);
        buf_deinit(&help);
        return CLI_DONE;
    }
    if (rc < 0) {
        u.exit_status = cli_usage("up: %s", err.text);
    } else if (u.masters > 1 || u.zk != NULL) {
        u.exit_status = cli_fail("up: this version runs one master; several masters with --zk are not built yet");
    } else {
        ssize_t n = readlink("/proc/self/exe", u.self, sizeof(u.self) - 1);
        CHECK(n > 0);
        rc = prepare_dir(&u, &err);
        if (rc == 0)
            rc = up_secrets_prepare(&u, &err);
        if (rc < 0) {
            u.exit_status = cli_fail("up: %s", err.text);
        } else {
            if (u.detach)
                detach(&u);
            run(&u);
            clean_up(&u);
        }
    }
    if (u.lock_fd >= 0)
        (void)close(u.lock_fd);
    if (u.vips_fd >= 0)
        (void)close(u.vips_fd);
    cluster_free(&u.cluster);
    options_free(options, OPTION_COUNT, &u);
    return u.exit_status;
}
