/* SPDX-License-Identifier: Apache-2.0
 * up_roles.c - starts the processes of the cluster, waits for each to say that it serves, and starts one again that ended
 * by itself, with a growing pause. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/up.h"
#include "common/base/check.h"
#include "common/base/cleanup.h"
#include "common/base/ready.h"

extern char **environ;

#define BACKOFF_FIRST_MS 100
#define BACKOFF_MAX_MS 10000
#define HEALTHY_AFTER_MS 30000 /* a role that served this long starts over with the first pause */
#define LOG_TAIL_BYTES 2000
#define READY_FD 3
#define PORT_FIRST 31000
#define PORT_LAST 32000

static void start_role(struct up_role *r);

static struct cluster_role *record(struct up_role *r)
{
    return &r->up->cluster.roles[r->index];
}

const char *up_address(const struct up *u, const char *name)
{
    const struct cluster_role *r = cluster_find(&u->cluster, name);
    return r ? r->address : "";
}

static void save(struct up *u)
{
    struct err err;
    if (cluster_save(&u->cluster, &err) < 0)
        (void)cli_fail("%s", err.text); /* the cluster runs on; the other commands will not find it */
}

static void print_log_tail(const struct up_role *r)
{
    cleanup_close int fd = open(r->log_path, O_RDONLY | O_CLOEXEC);
    off_t size = fd < 0 ? 0 : lseek(fd, 0, SEEK_END);
    char text[LOG_TAIL_BYTES + 1];
    off_t from = size > LOG_TAIL_BYTES ? size - LOG_TAIL_BYTES : 0;
    ssize_t n = fd < 0 ? -1 : pread(fd, text, LOG_TAIL_BYTES, from);
    if (n <= 0)
        return;
    text[n] = '\0';
    char *start = from > 0 && strchr(text, '\n') ? strchr(text, '\n') + 1 : text;
    fprintf(stderr, "--- last lines of %s\n%s", r->log_path, start);
}

static void start_followers(struct up *u)
{
    for (size_t i = 0; i < u->cluster.role_count; i++)
        if (u->cluster.roles[i].pid == 0 && !u->roles[i].was_ready && u->roles[i].started_ms == 0)
            start_role(&u->roles[i]);
}

static void on_role_ready(struct up_role *r)
{
    struct up *u = r->up;
    bool first = !r->was_ready;
    r->ready = r->was_ready = true;
    save(u);
    if (!first) {
        fprintf(stderr, "%s serves again at %s\n", record(r)->name, record(r)->address);
        return;
    }
    if (r->index == 0)
        start_followers(u);
    for (size_t i = 0; i < u->cluster.role_count; i++)
        if (!u->roles[i].was_ready)
            return;
    if (u->empty)
        up_stands(u);
    else
        up_example_start(u);
}

static void close_ready_pipe(struct up_role *r)
{
    r->ready_watch = loop_fd_remove(r->ready_watch);
    if (r->ready_fd >= 0)
        (void)close(r->ready_fd);
    r->ready_fd = -1;
    buf_clear(&r->ready_text);
}

static void on_ready_pipe(void *ctx, int fd, unsigned ready)
{
    struct up_role *r = ctx;
    (void)ready;
    char text[128];
    ssize_t n = read(fd, text, sizeof(text));
    if (n <= 0 || buf_append(&r->ready_text, text, (size_t)n) < 0) {
        close_ready_pipe(r); /* its end is told by the child watcher */
        return;
    }
    const char *line = (const char *)buf_data(&r->ready_text);
    const char *end = memchr(line, '\n', buf_len(&r->ready_text));
    if (end == NULL)
        return;
    if (end - line > 6 && memcmp(line, "READY ", 6) == 0)
        (void)snprintf(record(r)->address, sizeof(record(r)->address), "%.*s", (int)(end - line - 6), line + 6);
    close_ready_pipe(r);
    on_role_ready(r);
}

static void on_role_end(void *ctx, pid_t pid, int status)
{
    struct up_role *r = ctx;
    struct up *u = r->up;
    (void)pid;
    r->child = NULL;
    record(r)->pid = 0;
    record(r)->start_time = 0;
    close_ready_pipe(r);
    if (u->stopping)
        return;
    char how[64];
    if (WIFSIGNALED(status))
        (void)snprintf(how, sizeof(how), "killed by signal %d", WTERMSIG(status));
    else
        (void)snprintf(how, sizeof(how), "exit status %d", WEXITSTATUS(status));
    if (!r->was_ready) {
        print_log_tail(r);
        up_finish(u, CLI_FAILED, "%s ended before it served (%s)", record(r)->name, how);
        return;
    }
    if (r->ready && loop_now_ms(u->loop) - r->started_ms > HEALTHY_AFTER_MS)
        r->backoff_ms = BACKOFF_FIRST_MS;
    r->ready = false;
    fprintf(stderr, "%s ended (%s), starting it again in %.1f s; its log is %s\n", record(r)->name, how,
            (double)r->backoff_ms / 1000, r->log_path);
    loop_timer_start(r->restart, r->backoff_ms);
    r->backoff_ms = r->backoff_ms * 2 < BACKOFF_MAX_MS ? r->backoff_ms * 2 : BACKOFF_MAX_MS;
    save(u);
}

static char **environment_with_ready_fd(char variable[64])
{
    size_t n = 0;
    while (environ[n] != NULL)
        n++;
    char **env = xcalloc(n + 2, sizeof(*env));
    memcpy(env, environ, n * sizeof(*env));
    (void)snprintf(variable, 64, READY_FD_VARIABLE "=%d", READY_FD);
    env[n] = variable;
    return env;
}

static int spawn(struct up_role *r, int ready_w, pid_t *pid)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none, all;
    char variable[64];
    (void)sigemptyset(&none);
    (void)sigfillset(&all);
    CHECK(posix_spawn_file_actions_init(&actions) == 0 && posix_spawnattr_init(&attributes) == 0);
    CHECK(posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0) == 0);
    CHECK(posix_spawn_file_actions_addopen(&actions, 1, r->log_path, O_WRONLY | O_CREAT | O_APPEND, 0600) == 0);
    CHECK(posix_spawn_file_actions_adddup2(&actions, 1, 2) == 0);
    CHECK(posix_spawn_file_actions_adddup2(&actions, ready_w, READY_FD) == 0);
    /* A session of its own: Ctrl-C is for us, we end the roles in order. */
    CHECK(posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF) == 0);
    CHECK(posix_spawnattr_setsigmask(&attributes, &none) == 0 && posix_spawnattr_setsigdefault(&attributes, &all) == 0);
    cleanup_free char **env = environment_with_ready_fd(variable);
    size_t n = 0;
    while (r->argv[n] != NULL)
        n++;
    cleanup_free char **argv = xcalloc(n + 2, sizeof(*argv));
    argv[0] = r->up->self;
    memcpy(argv + 1, r->argv, n * sizeof(*argv));
    int rc = posix_spawn(pid, r->up->self, &actions, &attributes, argv, env);
    (void)posix_spawn_file_actions_destroy(&actions);
    (void)posix_spawnattr_destroy(&attributes);
    return -rc;
}

static void start_role(struct up_role *r)
{
    struct up *u = r->up;
    int fds[2];
    pid_t pid;
    r->started_ms = loop_now_ms(u->loop);
    if (pipe2(fds, O_CLOEXEC) < 0) {
        up_finish(u, CLI_FAILED, "pipe: %s", strerror(errno));
        return;
    }
    int rc = spawn(r, fds[1], &pid);
    (void)close(fds[1]);
    if (rc < 0) {
        (void)close(fds[0]);
        up_finish(u, CLI_FAILED, "starting %s: %s", record(r)->name, strerror(-rc));
        return;
    }
    r->ready_fd = fds[0];
    r->ready_watch = loop_fd_add(u->loop, fds[0], LOOP_READ, on_ready_pipe, r);
    record(r)->pid = pid;
    record(r)->start_time = cluster_process_start(pid);
    r->child = loop_child_add(u->loop, pid, on_role_end, r);
    save(u);
}

static void on_restart(void *ctx)
{
    start_role(ctx);
}

static char *text(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static char *text(const char *fmt, ...)
{
    char *s;
    va_list ap;
    va_start(ap, fmt);
    CHECK(vasprintf(&s, fmt, ap) >= 0);
    va_end(ap);
    return s;
}

/* One part of this machine for each of n agents, so that together they offer it once. */
static char *agent_share(const struct up *u, int64_t i)
{
    if (u->agent_resources != NULL)
        return xstrdup(u->agent_resources);
    struct sysinfo info;
    CHECK(sysinfo(&info) == 0);
    int64_t memory_mb = (int64_t)(info.totalram / (1 << 20) * info.mem_unit);
    memory_mb = memory_mb >= 2048 ? memory_mb - 1024 : memory_mb / 2; /* what one agent alone leaves to the host */
    int64_t width = (PORT_LAST - PORT_FIRST + 1) / u->agents;
    int64_t first = PORT_FIRST + i * width;
    return text("cpus:%.3f;mem:%lld;ports:[%lld-%lld]", (double)sysconf(_SC_NPROCESSORS_ONLN) / (double)u->agents,
                (long long)(memory_mb / u->agents), (long long)first,
                (long long)(i + 1 == u->agents ? PORT_LAST : first + width - 1));
}

static char **argv_of(size_t n, ...)
{
    char **argv = xcalloc(n + 1, sizeof(*argv));
    va_list ap;
    va_start(ap, n);
    for (size_t i = 0; i < n; i++)
        argv[i] = va_arg(ap, char *);
    va_end(ap);
    return argv;
}

static void add_flag(char ***argv, char *flag)
{
    size_t n = 0;
    while ((*argv)[n] != NULL)
        n++;
    *argv = xrealloc(*argv, (n + 2) * sizeof(**argv));
    (*argv)[n] = flag;
    (*argv)[n + 1] = NULL;
}

/* Who is let in by each part, and what it shows to the master. */
static char **secured(const struct up *u, char **argv)
{
    const char *role = argv[0], *dir = u->secrets;
    if (!u->secure)
        return argv;
    if (strcmp(role, "master") == 0) {
        add_flag(&argv, text("--credentials=%s/credentials", dir));
        add_flag(&argv, xstrdup("--authenticate_http_frameworks"));
        add_flag(&argv, text("--acls=%s/acls", dir));
        add_flag(&argv, xstrdup("--authenticate_agents"));
    } else if (strcmp(role, "agent") == 0) {
        add_flag(&argv, text("--credential=%s/agent", dir));
        add_flag(&argv, text("--http_credentials=%s/http_credentials", dir));
        add_flag(&argv, text("--jwt_secret_key=%s/executors.key", dir));
        add_flag(&argv, xstrdup("--authenticate_http_executors"));
    } else if (strcmp(role, "marathon") == 0 || strcmp(role, "cron") == 0) {
        add_flag(&argv, text("--mesos_authentication_principal=%s", role));
        add_flag(&argv, text("--mesos_authentication_secret_file=%s/%s.secret", dir, role));
        add_flag(&argv, text("--http_credentials=%s/http_credentials", dir));
        return argv;
    } else {
        add_flag(&argv, text("--principal=%s", role));
        add_flag(&argv, text("--secret=file://%s/%s.secret", dir, role));
        return argv;
    }
    add_flag(&argv, xstrdup("--authenticate_http_readonly"));
    add_flag(&argv, xstrdup("--authenticate_http_readwrite"));
    return argv;
}

static void add_role(struct up *u, size_t index, const char *name, char **argv)
{
    struct up_role *r = &u->roles[index];
    argv = secured(u, argv);
    *r = (struct up_role){.up = u, .index = index, .argv = argv, .ready_fd = -1, .backoff_ms = BACKOFF_FIRST_MS};
    buf_init(&r->ready_text, 256);
    (void)snprintf(u->cluster.roles[index].name, sizeof(u->cluster.roles[index].name), "%s", name);
    CHECK(snprintf(r->log_path, sizeof(r->log_path), "%s/log/%s.log", u->cluster.dir, name) < (int)sizeof(r->log_path));
    r->restart = loop_timer_add(u->loop, on_restart, r);
}

/* What the parts keep in the cluster's directory. Not the directory itself: it may be one where a person has programs,
 * which the tasks are to run. The caller owns the text. */
static char *hidden_from_containers(const struct up *u)
{
    const char *dir = u->cluster.dir;
    char *list = text("%s/log,%s/master,%s/marathon,%s/cron", dir, dir, dir, dir);
    for (int64_t i = 1; i <= u->agents + (u->secure ? 1 : 0); i++) {
        char *longer = i <= u->agents ? text("%s,%s/agent-%lld", list, dir, (long long)i) : text("%s,%s", list, u->secrets);
        free(list);
        list = longer;
    }
    return list;
}

void up_roles_start(struct up *u)
{
    const char *dir = u->cluster.dir;
    size_t count = 2 + (size_t)u->agents + u->cron + u->dns + u->lb, next = 1 + (size_t)u->agents;
    char instance[CLUSTER_INSTANCE_SIZE];
    struct err err;
    if (cluster_instance(dir, instance, &err) < 0) {
        up_finish(u, CLI_FAILED, "%s", err.text);
        return;
    }
    u->cluster.roles = xcalloc(count, sizeof(*u->cluster.roles));
    u->cluster.role_count = count;
    u->roles = xcalloc(count, sizeof(*u->roles));
    add_role(u, 0, "master",
             argv_of(7, xstrdup("master"), xstrdup("--ip"), xstrdup(u->ip), xstrdup("--port"), text("%u", u->master_port),
                     xstrdup("--work_dir"), text("%s/master", dir)));
    char *hidden = hidden_from_containers(u);
    for (int64_t i = 0; i < u->agents; i++) {
        char name[32];
        (void)snprintf(name, sizeof(name), "agent-%lld", (long long)i + 1);
        /* Names that differ, so that constraints on hostname mean something; all reach this machine. */
        char *host = strcmp(u->ip, "127.0.0.1") == 0 && i < 250 ? text("127.0.0.%lld", (long long)i + 1) : xstrdup(u->ip);
        add_role(u, 1 + (size_t)i, name,
                 argv_of(19, xstrdup("agent"), xstrdup("--hidden_paths"), xstrdup(hidden), xstrdup("--master"),
                         text("%s:%u", u->ip, u->master_port), xstrdup("--ip"), xstrdup(u->ip), xstrdup("--port"),
                         text("%lld", (long long)(u->agent_port + i)), xstrdup("--hostname"), host, xstrdup("--work_dir"),
                         text("%s/%s", dir, name), xstrdup("--runtime_dir"), text("%s/%s/run", dir, name),
                         xstrdup("--cgroups_root"), text("%s/%s", u->cgroups_root, name), xstrdup("--resources"),
                         agent_share(u, i)));
    }
    free(hidden);
    add_role(u, next++, "marathon",
             argv_of(13, xstrdup("marathon"), xstrdup("--master"), text("%s:%u", u->ip, u->master_port),
                     xstrdup("--http_address"), xstrdup(u->ip), xstrdup("--http_port"), text("%u", u->marathon_port),
                     xstrdup("--hostname"), xstrdup(u->ip), xstrdup("--work_dir"), text("%s/marathon", dir),
                     xstrdup("--enable_features"), xstrdup("task_killing")));
    if (u->cron)
        add_role(u, next++, "cron",
                 argv_of(11, xstrdup("cron"), xstrdup("--master"), text("%s:%u", u->ip, u->master_port),
                         xstrdup("--http_address"), xstrdup(u->ip), xstrdup("--http_port"), text("%u", u->cron_port),
                         xstrdup("--hostname"), xstrdup(u->ip), xstrdup("--work_dir"), text("%s/cron", dir)));
    if (u->dns)
        add_role(u, next++, "dns",
                 argv_of(11, xstrdup("dns"), xstrdup("--master"), text("%s:%u", u->ip, u->master_port), xstrdup("--ip"),
                         xstrdup(u->ip), xstrdup("--port"), text("%u", u->dns_port), xstrdup("--http_port"),
                         text("%u", u->dns_http_port), xstrdup("--vip_range"), xstrdup(u->vips)));
    if (u->lb)
        add_role(u, next, "lb",
                 argv_of(13, xstrdup("lb"), xstrdup("--master"), text("%s:%u", u->ip, u->master_port), xstrdup("--ip"),
                         xstrdup(u->ip), xstrdup("--port"), text("%u", u->lb_port), xstrdup("--vip_range"),
                         xstrdup(u->vips), xstrdup("--instance"), xstrdup(instance), xstrdup("--plane"),
                         xstrdup(u->plane)));
    start_role(&u->roles[0]);
}

void up_roles_release(struct up *u)
{
    for (size_t i = 0; u->roles != NULL && i < u->cluster.role_count; i++) {
        struct up_role *r = &u->roles[i];
        close_ready_pipe(r);
        buf_deinit(&r->ready_text);
        loop_child_remove(r->child);
        loop_timer_remove(r->restart);
        for (char **p = r->argv; *p != NULL; p++)
            free(*p);
        free(r->argv);
    }
    free(u->roles);
    u->roles = NULL;
}
