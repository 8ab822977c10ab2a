/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/bench/agents.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/base/arena.h"
#include "common/base/check.h"
#include "common/base/ready.h"
#include "common/wire/codec.h"
#include "common/wire/link.h"
#include "muster/link.pb-c.h"

#define CONNECTS_AT_ONCE 256
#define PROCESSES_MAX 8
#define WORDS_MAX 32

extern char **environ;

static pid_t started[PROCESSES_MAX]; /* 0: free */

int64_t bench_now_us(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t); /* cannot fail for this clock */
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

void bench_fail(const char *what)
{
    fprintf(stderr, "bench: %s\n", what);
    for (size_t i = 0; i < PROCESSES_MAX; i++) {
        if (started[i] > 0)
            (void)kill(started[i], SIGKILL);
    }
    exit(1);
}

/* -- processes -------------------------------------------------------------------------------------------------------- */

int64_t bench_memory_kb(const struct bench_process *p, const char *line)
{
    char path[64], text[256];
    size_t n = strlen(line);
    (void)snprintf(path, sizeof(path), "/proc/%d/status", (int)p->pid);
    FILE *f = fopen(path, "r");
    int64_t kb = 0;
    while (f != NULL && fgets(text, sizeof(text), f) != NULL)
        if (strncmp(text, line, n) == 0 && text[n] == ':')
            kb = strtoll(text + n + 1, NULL, 10);
    if (f != NULL)
        (void)fclose(f);
    return kb;
}

int64_t bench_cpu_us(const struct bench_process *p)
{
    char path[64], text[1024];
    (void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)p->pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
    if (fd >= 0)
        (void)close(fd);
    if (n <= 0)
        return 0;
    text[n] = '\0';
    long long user = 0, system = 0;
    const char *behind = strrchr(text, ')');
    if (behind == NULL || sscanf(behind + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lld %lld", &user, &system) != 2)
        return 0;
    return (user + system) * 1000000 / sysconf(_SC_CLK_TCK);
}

static char **environment_with(char *variable)
{
    size_t n = 0;
    while (environ[n] != NULL)
        n++;
    char **env = xcalloc(n + 2, sizeof(*env));
    memcpy(env, environ, n * sizeof(*env));
    env[n] = variable;
    return env;
}

static void spawn(struct bench_process *p, const char *program, char *const argv[], const char *log, int ready_fd)
{
    char variable[] = READY_FD_VARIABLE "=3";
    char **env = environment_with(variable);
    posix_spawn_file_actions_t actions;
    CHECK(posix_spawn_file_actions_init(&actions) == 0);
    CHECK(posix_spawn_file_actions_addopen(&actions, 1, log, O_WRONLY | O_CREAT | O_APPEND, 0600) == 0);
    CHECK(posix_spawn_file_actions_adddup2(&actions, 1, 2) == 0);
    CHECK(posix_spawn_file_actions_adddup2(&actions, ready_fd, 3) == 0);
    size_t slot = 0;
    while (slot < PROCESSES_MAX && started[slot] != 0)
        slot++;
    CHECK(slot < PROCESSES_MAX);
    CHECK(posix_spawn(&p->pid, program, &actions, NULL, argv, env) == 0);
    started[slot] = p->pid;
    (void)posix_spawn_file_actions_destroy(&actions);
    free(env);
}

void bench_start(struct bench_process *p, const char *program, const char *role, const char *dir, const char *const *args)
{
    int fds[2];
    char line[128] = "", log[4096];
    const char *words[WORDS_MAX] = {program, role};
    size_t n = 2, used = 0;
    for (; *args; args++) {
        CHECK(n + 1 < WORDS_MAX);
        words[n++] = *args;
    }
    CHECK(snprintf(log, sizeof(log), "%s/%s.log", dir, role) < (int)sizeof(log));
    CHECK(pipe2(fds, O_CLOEXEC) == 0);
    spawn(p, program, (char *const *)words, log, fds[1]);
    (void)close(fds[1]);
    for (ssize_t r; used < sizeof(line) - 1 && (r = read(fds[0], line + used, sizeof(line) - 1 - used)) > 0;)
        used += (size_t)r;
    (void)close(fds[0]);
    const char *colon = strrchr(line, ':');
    if (strncmp(line, "READY ", 6) != 0 || colon == NULL)
        bench_fail("a process did not start; see its log in the directory");
    p->port = (uint16_t)strtoul(colon + 1, NULL, 10);
}

void bench_stop(struct bench_process *p)
{
    (void)kill(p->pid, SIGTERM);
    (void)waitpid(p->pid, NULL, 0); /* its end is all that matters */
    for (size_t i = 0; i < PROCESSES_MAX; i++) {
        if (started[i] == p->pid)
            started[i] = 0;
    }
}

int bench_connect(uint16_t port)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
    CHECK(inet_pton(AF_INET, "127.0.0.1", &to.sin_addr) == 1);
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        bench_fail(strerror(errno));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)); /* only speed */
    if (connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0 && errno != EINPROGRESS)
        bench_fail(strerror(errno));
    return fd;
}

/* -- simulated agents ------------------------------------------------------------------------------------------------- */

struct sim_agent {
    struct sim_agents *all;
    size_t index;
    struct loop_fd *watch;
    struct link *link;
    char answer[1024];
    size_t answer_len;
    char *id;
    bool is_registered;
};

struct sim_agents {
    struct sim_agents_config config;
    struct sim_agent *items;
    size_t next_connect, registered;
    struct arena *arena;
    char *framework_id;
};

static void connect_more(struct sim_agents *s);

size_t sim_agents_registered(const struct sim_agents *s)
{
    return s->registered;
}

void sim_agents_hold(struct sim_agents *s, bool hold)
{
    s->config.hold = hold;
}

void bench_set_scalar(Mesos__V1__Value__Scalar *scalar, Mesos__V1__Resource *r, const char *name, double value)
{
    mesos__v1__value__scalar__init(scalar);
    mesos__v1__resource__init(r);
    scalar->value = value;
    r->name = (char *)name;
    r->type = MESOS__V1__VALUE__TYPE__SCALAR;
    r->scalar = scalar;
}

static void send_to_master(struct sim_agent *a, const Muster__Link__AgentToMaster *m)
{
    if (link_send(a->link, &m->base) < 0)
        bench_fail("a link was closed");
}

static void send_register(struct sim_agent *a)
{
    Muster__Link__AgentToMaster m = MUSTER__LINK__AGENT_TO_MASTER__INIT;
    Muster__Link__Hello hello = MUSTER__LINK__HELLO__INIT;
    hello.version = (char *)"bench";
    hello.link_version = 1;
    m.hello = &hello;
    send_to_master(a, &m);
    muster__link__agent_to_master__init(&m);
    Muster__Link__Register reg = MUSTER__LINK__REGISTER__INIT;
    Mesos__V1__AgentInfo info = MESOS__V1__AGENT_INFO__INIT;
    Mesos__V1__Value__Scalar scalars[3];
    Mesos__V1__Resource resources[3], *list[3] = {&resources[0], &resources[1], &resources[2]};
    bench_set_scalar(&scalars[0], &resources[0], "cpus", a->all->config.cpus > 0 ? a->all->config.cpus : 8);
    bench_set_scalar(&scalars[1], &resources[1], "mem", 16384);
    bench_set_scalar(&scalars[2], &resources[2], "disk", 100000);
    char host[32];
    (void)snprintf(host, sizeof(host), "sim-%zu", a->index);
    info.hostname = host;
    info.has_port = 1;
    info.port = (int32_t)(10000 + a->index);
    info.n_resources = 3;
    info.resources = list;
    reg.agent_info = &info;
    reg.version = (char *)"bench";
    m.register_ = &reg;
    send_to_master(a, &m);
}

/* Of a task's id, so that updates of two tasks differ (FNV-1a). */
static uint64_t hash_of(const char *text)
{
    uint64_t h = UINT64_C(14695981039346656037);
    for (; *text; text++)
        h = (h ^ (unsigned char)*text) * UINT64_C(1099511628211);
    return h;
}

static void send_update(struct sim_agent *a, Mesos__V1__FrameworkID *framework, char *task, Mesos__V1__TaskState state)
{
    Muster__Link__AgentToMaster m = MUSTER__LINK__AGENT_TO_MASTER__INIT;
    Muster__Link__StatusUpdate update = MUSTER__LINK__STATUS_UPDATE__INIT;
    Mesos__V1__TaskStatus status = MESOS__V1__TASK_STATUS__INIT;
    Mesos__V1__TaskID id = MESOS__V1__TASK_ID__INIT;
    Mesos__V1__AgentID agent = MESOS__V1__AGENT_ID__INIT;
    uint8_t uuid[16] = {0};
    uint64_t number = hash_of(task);
    memcpy(uuid, &number, sizeof(number));
    uuid[8] = (uint8_t)state; /* the acknowledgement brings it back: no state of our own */
    id.value = task;
    agent.value = a->id;
    status.task_id = &id;
    status.agent_id = &agent;
    status.state = state;
    status.has_source = 1;
    status.source = MESOS__V1__TASK_STATUS__SOURCE__SOURCE_EXECUTOR;
    status.has_timestamp = 1;
    status.timestamp = (double)bench_now_us() / 1e6;
    status.has_uuid = 1;
    status.uuid.data = uuid;
    status.uuid.len = sizeof(uuid);
    update.framework_id = framework;
    update.status = &status;
    update.has_latest_state = 1;
    update.latest_state = state;
    m.status_update = &update;
    send_to_master(a, &m);
}

static void learn_framework(struct sim_agents *s, const Muster__Link__RunTasks *run)
{
    struct err err;
    arena_reset(s->arena);
    ProtobufCMessage *info = wire_unpack(&mesos__v1__framework_info__descriptor, run->framework_info.data,
                                         run->framework_info.len, s->arena, &err);
    if (info == NULL)
        bench_fail(err.text);
    s->framework_id = xstrdup(((Mesos__V1__FrameworkInfo *)info)->id->value);
}

static void run_tasks(struct sim_agent *a, const Muster__Link__RunTasks *run)
{
    struct err err;
    struct sim_agents *s = a->all;
    Mesos__V1__FrameworkID framework = MESOS__V1__FRAMEWORK_ID__INIT;
    if (s->framework_id == NULL) /* there is one */
        learn_framework(s, run);
    framework.value = s->framework_id;
    for (size_t i = 0; i < run->n_tasks; i++) {
        arena_reset(s->arena);
        ProtobufCMessage *task =
            wire_unpack(&mesos__v1__task_info__descriptor, run->tasks[i].data, run->tasks[i].len, s->arena, &err);
        if (task == NULL)
            bench_fail(err.text);
        send_update(a, &framework, ((Mesos__V1__TaskInfo *)task)->task_id->value, MESOS__V1__TASK_STATE__TASK_RUNNING);
        if (s->config.task)
            s->config.task(s->config.ctx);
    }
}

static void on_link_message(void *ctx, const ProtobufCMessage *message)
{
    struct sim_agent *a = ctx;
    const Muster__Link__MasterToAgent *m = (const Muster__Link__MasterToAgent *)message;
    if (m->registered != NULL && !a->is_registered) {
        a->id = xstrdup(m->registered->agent_id->value);
        a->is_registered = true;
        if (++a->all->registered == a->all->config.count)
            a->all->config.registered(a->all->config.ctx);
        connect_more(a->all);
    }
    if (m->refused != NULL)
        bench_fail(m->refused->message);
    if (m->ping != NULL) {
        Muster__Link__AgentToMaster out = MUSTER__LINK__AGENT_TO_MASTER__INIT;
        Muster__Link__Pong pong = MUSTER__LINK__PONG__INIT;
        pong.sequence = m->ping->sequence;
        out.pong = &pong;
        send_to_master(a, &out);
    }
    if (m->run_tasks != NULL)
        run_tasks(a, m->run_tasks);
    if (m->acknowledge_update != NULL && m->acknowledge_update->uuid.len == 16 && !a->all->config.hold &&
        m->acknowledge_update->uuid.data[8] == MESOS__V1__TASK_STATE__TASK_RUNNING)
        send_update(a, m->acknowledge_update->framework_id, m->acknowledge_update->task_id->value,
                    MESOS__V1__TASK_STATE__TASK_FINISHED);
}

static void on_link_closed(void *ctx, const char *why)
{
    struct sim_agent *a = ctx;
    a->link = NULL;
    bench_fail(why);
}

static const struct link_callbacks link_callbacks = {.message = on_link_message, .closed = on_link_closed};

static void on_agent_socket(void *ctx, int fd, unsigned ready)
{
    struct sim_agent *a = ctx;
    if ((ready & LOOP_WRITE) && a->answer_len == 0) {
        static const char request[] =
            "GET /link HTTP/1.1\r\nHost: master\r\nConnection: Upgrade\r\nUpgrade: " LINK_PROTOCOL "\r\n\r\n";
        if (write(fd, request, sizeof(request) - 1) != (ssize_t)(sizeof(request) - 1))
            bench_fail(strerror(errno));
        loop_fd_set(a->watch, LOOP_READ);
        return;
    }
    ssize_t n = read(fd, a->answer + a->answer_len, sizeof(a->answer) - 1 - a->answer_len);
    if (n <= 0)
        bench_fail(n == 0 ? "the master closed a new connection" : strerror(errno));
    a->answer_len += (size_t)n;
    a->answer[a->answer_len] = '\0';
    const char *end = strstr(a->answer, "\r\n\r\n");
    if (end == NULL)
        return;
    if (strncmp(a->answer, "HTTP/1.1 101", 12) != 0)
        bench_fail(a->answer);
    end += 4;
    a->watch = loop_fd_remove(a->watch);
    a->link = link_new(a->all->config.loop, fd, end, a->answer_len - (size_t)(end - a->answer),
                       &muster__link__master_to_agent__descriptor, 0, &link_callbacks, a);
    send_register(a);
}

static void connect_more(struct sim_agents *s)
{
    while (s->next_connect < s->config.count && s->next_connect < s->registered + CONNECTS_AT_ONCE) {
        struct sim_agent *a = &s->items[s->next_connect];
        *a = (struct sim_agent){.all = s, .index = s->next_connect++};
        a->watch = loop_fd_add(s->config.loop, bench_connect(s->config.port), LOOP_WRITE, on_agent_socket, a);
    }
}

struct sim_agents *sim_agents_new(const struct sim_agents_config *config)
{
    struct sim_agents *s = xcalloc(1, sizeof(*s));
    s->config = *config;
    s->items = xcalloc(config->count, sizeof(s->items[0]));
    s->arena = arena_new(0);
    connect_more(s);
    return s;
}
