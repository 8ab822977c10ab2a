/* SPDX-License-Identifier: Apache-2.0
 * scale.c - a real master process under load: N simulated agents on real connections and one framework over the HTTP
 * scheduler API, all in this process. Agents answer every task with TASK_RUNNING and, unless --hold, with TASK_FINISHED
 * once the first is acknowledged.
 *
 * Three parts: registration of all agents; a burst of 1,000 tasks on the idle cluster (latency from the ACCEPT to its
 * TASK_RUNNING); and a run of --tasks as fast as offers come (throughput). Prints a table and `figure NAME VALUE UNIT`. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/base/arena.h"
#include "common/base/check.h"
#include "common/base/options.h"
#include "common/base/ready.h"
#include "common/http/client.h"
#include "common/http/recordio.h"
#include "common/real/loop_ev.h"
#include "common/wire/codec.h"
#include "common/wire/link.h"
#include "mesos/v1/scheduler.pb-c.h"
#include "muster/link.pb-c.h"

#define CONNECTS_AT_ONCE 256
#define BURST_TASKS 1000
#define TASK_CPUS 0.1
#define TASK_MEM 32.0

extern char **environ;

struct sim_agent {
    struct bench *b;
    size_t index;
    int fd;
    struct loop_fd *watch;
    struct link *link;
    char answer[1024];
    size_t answer_len;
    char *id;
    bool registered;
};

struct offer {
    char *id, *agent;
    int capacity; /* tasks that fit */
};

enum phase { PHASE_REGISTER, PHASE_BURST, PHASE_RUN, PHASE_DONE };

struct bench {
    /* options */
    char *program, *dir;
    int64_t agents, tasks, per_accept, timeout_ms;
    bool hold;

    struct loop *loop;
    pid_t master;
    uint16_t port;
    struct sim_agent *sim;
    size_t next_connect, registered;
    int64_t registered_us;

    struct http_client *client;
    struct recordio_reader records;
    char *framework_id, *stream_id;
    /* calls go out on one connection, pipelined; answers are only counted */
    int call_fd;
    struct loop_fd *call_watch;
    struct buf call_out;
    char call_tail[16];
    uint64_t calls, answers, refusals;

    enum phase phase;
    struct offer *offers;
    size_t offer_count, offer_capacity;
    int64_t launched, running, finished, target;
    int64_t *sent_us, *latency_us;
    int64_t phase_begin_us, phase_cpu_us, run_us, run_cpu_us;
    int64_t rss_before_kb, rss_after_kb;
    struct arena *arena;
};

static int64_t now_us(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t); /* cannot fail for this clock */
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static _Noreturn void fail(struct bench *b, const char *what)
{
    fprintf(stderr, "scale: %s\n", what);
    if (b->master > 0)
        (void)kill(b->master, SIGKILL);
    exit(1);
}

/* -- the master's process ---------------------------------------------------------------------------------------------- */

static int64_t master_rss_kb(const struct bench *b)
{
    char path[64], line[256];
    (void)snprintf(path, sizeof(path), "/proc/%d/status", (int)b->master);
    FILE *f = fopen(path, "r");
    int64_t kb = 0;
    while (f != NULL && fgets(line, sizeof(line), f) != NULL)
        if (strncmp(line, "VmRSS:", 6) == 0)
            kb = strtoll(line + 6, NULL, 10);
    if (f != NULL)
        (void)fclose(f);
    return kb;
}

static int64_t master_cpu_us(const struct bench *b)
{
    char path[64], text[1024];
    (void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)b->master);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
    if (fd >= 0)
        (void)close(fd);
    if (n <= 0)
        return 0;
    text[n] = '\0';
    long long user = 0, system = 0;
    const char *p = strrchr(text, ')');
    if (p == NULL || sscanf(p + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lld %lld", &user, &system) != 2)
        return 0;
    return (user + system) * 1000000 / sysconf(_SC_CLK_TCK);
}

static void start_master(struct bench *b)
{
    int fds[2];
    char variable[64], line[128] = "", log[4096], work[4096];
    CHECK(pipe2(fds, O_CLOEXEC) == 0);
    CHECK(snprintf(log, sizeof(log), "%s/master.log", b->dir) < (int)sizeof(log));
    CHECK(snprintf(work, sizeof(work), "%s/master", b->dir) < (int)sizeof(work));
    posix_spawn_file_actions_t actions;
    CHECK(posix_spawn_file_actions_init(&actions) == 0);
    CHECK(posix_spawn_file_actions_addopen(&actions, 1, log, O_WRONLY | O_CREAT | O_TRUNC, 0600) == 0);
    CHECK(posix_spawn_file_actions_adddup2(&actions, 1, 2) == 0);
    CHECK(posix_spawn_file_actions_adddup2(&actions, fds[1], 3) == 0);
    size_t n = 0;
    while (environ[n] != NULL)
        n++;
    char **env = xcalloc(n + 2, sizeof(*env));
    memcpy(env, environ, n * sizeof(*env));
    (void)snprintf(variable, sizeof(variable), READY_FD_VARIABLE "=3");
    env[n] = variable;
    char *argv[] = {b->program, (char *)"master", (char *)"--port", (char *)"0", (char *)"--work_dir", work, NULL};
    CHECK(posix_spawn(&b->master, b->program, &actions, NULL, argv, env) == 0);
    (void)posix_spawn_file_actions_destroy(&actions);
    free(env);
    (void)close(fds[1]);
    size_t used = 0;
    for (ssize_t r; used < sizeof(line) - 1 && (r = read(fds[0], line + used, sizeof(line) - 1 - used)) > 0;)
        used += (size_t)r;
    (void)close(fds[0]);
    const char *colon = strrchr(line, ':');
    if (strncmp(line, "READY ", 6) != 0 || colon == NULL)
        fail(b, "the master did not start; see master.log in the directory");
    b->port = (uint16_t)strtoul(colon + 1, NULL, 10);
}

/* -- simulated agents ----------------------------------------------------------------------------------------------------
 */

static void connect_more(struct bench *b);
static void agents_are_registered(struct bench *b);

static void set_scalar(Mesos__V1__Value__Scalar *scalar, Mesos__V1__Resource *r, const char *name, double value)
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
        fail(a->b, "a link was closed");
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
    set_scalar(&scalars[0], &resources[0], "cpus", 8);
    set_scalar(&scalars[1], &resources[1], "mem", 16384);
    set_scalar(&scalars[2], &resources[2], "disk", 100000);
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

static void send_update(struct sim_agent *a, Mesos__V1__FrameworkID *framework, char *task, Mesos__V1__TaskState state)
{
    Muster__Link__AgentToMaster m = MUSTER__LINK__AGENT_TO_MASTER__INIT;
    Muster__Link__StatusUpdate update = MUSTER__LINK__STATUS_UPDATE__INIT;
    Mesos__V1__TaskStatus status = MESOS__V1__TASK_STATUS__INIT;
    Mesos__V1__TaskID id = MESOS__V1__TASK_ID__INIT;
    Mesos__V1__AgentID agent = MESOS__V1__AGENT_ID__INIT;
    uint8_t uuid[16] = {0};
    uint64_t number = strtoull(task + 1, NULL, 10);
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
    status.timestamp = (double)now_us() / 1e6;
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

static void run_tasks(struct sim_agent *a, const Muster__Link__RunTasks *run)
{
    struct err err;
    struct bench *b = a->b;
    Mesos__V1__FrameworkID framework = MESOS__V1__FRAMEWORK_ID__INIT;
    framework.value = b->framework_id;
    for (size_t i = 0; i < run->n_tasks; i++) {
        arena_reset(b->arena);
        ProtobufCMessage *task =
            wire_unpack(&mesos__v1__task_info__descriptor, run->tasks[i].data, run->tasks[i].len, b->arena, &err);
        if (task == NULL)
            fail(b, err.text);
        send_update(a, &framework, ((Mesos__V1__TaskInfo *)task)->task_id->value, MESOS__V1__TASK_STATE__TASK_RUNNING);
    }
}

static void on_link_message(void *ctx, const ProtobufCMessage *message)
{
    struct sim_agent *a = ctx;
    const Muster__Link__MasterToAgent *m = (const Muster__Link__MasterToAgent *)message;
    if (m->registered != NULL && !a->registered) {
        a->id = xstrdup(m->registered->agent_id->value);
        a->registered = true;
        if (++a->b->registered == (size_t)a->b->agents)
            agents_are_registered(a->b);
        connect_more(a->b);
    }
    if (m->refused != NULL)
        fail(a->b, m->refused->message);
    if (m->ping != NULL) {
        Muster__Link__AgentToMaster out = MUSTER__LINK__AGENT_TO_MASTER__INIT;
        Muster__Link__Pong pong = MUSTER__LINK__PONG__INIT;
        pong.sequence = m->ping->sequence;
        out.pong = &pong;
        send_to_master(a, &out);
    }
    if (m->run_tasks != NULL)
        run_tasks(a, m->run_tasks);
    if (m->acknowledge_update != NULL && m->acknowledge_update->uuid.len == 16 && !a->b->hold &&
        m->acknowledge_update->uuid.data[8] == MESOS__V1__TASK_STATE__TASK_RUNNING)
        send_update(a, m->acknowledge_update->framework_id, m->acknowledge_update->task_id->value,
                    MESOS__V1__TASK_STATE__TASK_FINISHED);
}

static void on_link_closed(void *ctx, const char *why)
{
    struct sim_agent *a = ctx;
    a->link = NULL;
    fail(a->b, why);
}

static const struct link_callbacks link_callbacks = {.message = on_link_message, .closed = on_link_closed};

static void on_agent_socket(void *ctx, int fd, unsigned ready)
{
    struct sim_agent *a = ctx;
    if ((ready & LOOP_WRITE) && a->answer_len == 0) {
        static const char request[] =
            "GET /link HTTP/1.1\r\nHost: master\r\nConnection: Upgrade\r\nUpgrade: " LINK_PROTOCOL "\r\n\r\n";
        if (write(fd, request, sizeof(request) - 1) != (ssize_t)(sizeof(request) - 1))
            fail(a->b, strerror(errno));
        loop_fd_set(a->watch, LOOP_READ);
        return;
    }
    ssize_t n = read(fd, a->answer + a->answer_len, sizeof(a->answer) - 1 - a->answer_len);
    if (n <= 0)
        fail(a->b, n == 0 ? "the master closed a new connection" : strerror(errno));
    a->answer_len += (size_t)n;
    a->answer[a->answer_len] = '\0';
    const char *end = strstr(a->answer, "\r\n\r\n");
    if (end == NULL)
        return;
    if (strncmp(a->answer, "HTTP/1.1 101", 12) != 0)
        fail(a->b, a->answer);
    end += 4;
    a->watch = loop_fd_remove(a->watch);
    a->link = link_new(a->b->loop, fd, end, a->answer_len - (size_t)(end - a->answer),
                       &muster__link__master_to_agent__descriptor, 0, &link_callbacks, a);
    a->fd = -1;
    send_register(a);
}

static int connect_to_master(struct bench *b)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(b->port)};
    CHECK(inet_pton(AF_INET, "127.0.0.1", &to.sin_addr) == 1);
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        fail(b, strerror(errno));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)); /* only speed */
    if (connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0 && errno != EINPROGRESS)
        fail(b, strerror(errno));
    return fd;
}

static void connect_more(struct bench *b)
{
    while (b->next_connect < (size_t)b->agents && b->next_connect < b->registered + CONNECTS_AT_ONCE) {
        struct sim_agent *a = &b->sim[b->next_connect];
        *a = (struct sim_agent){.b = b, .index = b->next_connect++};
        a->fd = connect_to_master(b);
        a->watch = loop_fd_add(b->loop, a->fd, LOOP_WRITE, on_agent_socket, a);
    }
}

/* -- the framework -------------------------------------------------------------------------------------------------------
 */

static void flush_calls(struct bench *b)
{
    if (b->call_watch == NULL)
        return;
    while (buf_len(&b->call_out) > 0) {
        ssize_t n = write(b->call_fd, buf_data(&b->call_out), buf_len(&b->call_out));
        if (n < 0 && errno == EAGAIN)
            break;
        if (n < 0)
            fail(b, "the connection for calls broke");
        buf_consume(&b->call_out, (size_t)n);
    }
    loop_fd_set(b->call_watch, LOOP_READ | (buf_len(&b->call_out) > 0 ? LOOP_WRITE : 0u));
}

static void before_sleep(void *ctx)
{
    flush_calls(ctx);
}

/* Counts the status lines; a line may be cut anywhere between two reads. */
static void on_call_socket(void *ctx, int fd, unsigned ready)
{
    struct bench *b = ctx;
    (void)ready;
    char text[65536 + sizeof(b->call_tail)];
    size_t kept = strlen(b->call_tail);
    memcpy(text, b->call_tail, kept);
    ssize_t n = read(fd, text + kept, sizeof(text) - kept - 1);
    if (n == 0)
        fail(b, "the master closed the connection for calls");
    if (n < 0)
        return;
    size_t len = kept + (size_t)n;
    text[len] = '\0';
    const char *p = text;
    for (const char *hit; (hit = strstr(p, "HTTP/1.1 ")) != NULL && hit + 12 <= text + len; p = hit + 12) {
        b->answers++;
        if (strncmp(hit + 9, "202", 3) != 0 && b->refusals++ == 0)
            fprintf(stderr, "scale: a call was answered %.200s\n", hit);
    }
    size_t rest = len - (size_t)(p - text);
    size_t keep = rest < 11 ? rest : 11;
    memcpy(b->call_tail, text + len - keep, keep);
    b->call_tail[keep] = '\0';
}

static void call(struct bench *b, const Mesos__V1__Scheduler__Call *c)
{
    size_t size = protobuf_c_message_get_packed_size(&c->base);
    int rc = buf_printf(&b->call_out,
                        "POST /api/v1/scheduler HTTP/1.1\r\nHost: master\r\nContent-Type: application/x-protobuf\r\n"
                        "Mesos-Stream-Id: %s\r\nContent-Length: %zu\r\n\r\n",
                        b->stream_id, size);
    uint8_t *to = rc == 0 ? buf_reserve(&b->call_out, size) : NULL;
    if (to == NULL)
        fail(b, "calls pile up");
    (void)protobuf_c_message_pack(&c->base, to); /* as many bytes as measured */
    buf_commit(&b->call_out, size);
    b->calls++;
}

static void init_call(struct bench *b, Mesos__V1__Scheduler__Call *c, Mesos__V1__FrameworkID *id,
                      Mesos__V1__Scheduler__Call__Type type)
{
    mesos__v1__scheduler__call__init(c);
    mesos__v1__framework_id__init(id);
    id->value = b->framework_id;
    c->framework_id = id;
    c->has_type = 1;
    c->type = type;
}

static void acknowledge(struct bench *b, const Mesos__V1__TaskStatus *status)
{
    Mesos__V1__Scheduler__Call c;
    Mesos__V1__FrameworkID id;
    Mesos__V1__Scheduler__Call__Acknowledge ack = MESOS__V1__SCHEDULER__CALL__ACKNOWLEDGE__INIT;
    init_call(b, &c, &id, MESOS__V1__SCHEDULER__CALL__TYPE__ACKNOWLEDGE);
    ack.agent_id = status->agent_id;
    ack.task_id = status->task_id;
    ack.uuid = status->uuid;
    c.acknowledge = &ack;
    call(b, &c);
}

static void fill_task(struct bench *b, Mesos__V1__TaskInfo *t, int64_t number, Mesos__V1__AgentID *agent)
{
    mesos__v1__task_info__init(t);
    Mesos__V1__Value__Scalar *scalars = arena_new_array(b->arena, Mesos__V1__Value__Scalar, 2);
    Mesos__V1__Resource *resources = arena_new_array(b->arena, Mesos__V1__Resource, 2);
    Mesos__V1__Resource **list = arena_new_array(b->arena, Mesos__V1__Resource *, 2);
    set_scalar(&scalars[0], &resources[0], "cpus", TASK_CPUS);
    set_scalar(&scalars[1], &resources[1], "mem", TASK_MEM);
    list[0] = &resources[0];
    list[1] = &resources[1];
    t->task_id = arena_new_one(b->arena, Mesos__V1__TaskID);
    mesos__v1__task_id__init(t->task_id);
    t->task_id->value = arena_printf(b->arena, "t%" PRId64, number);
    t->name = (char *)"noop";
    t->agent_id = agent;
    t->n_resources = 2;
    t->resources = list;
    t->command = arena_new_one(b->arena, Mesos__V1__CommandInfo);
    mesos__v1__command_info__init(t->command);
    t->command->value = (char *)"true";
}

static void launch_on(struct bench *b, const struct offer *o, int count)
{
    Mesos__V1__Scheduler__Call c;
    Mesos__V1__FrameworkID id;
    Mesos__V1__Scheduler__Call__Accept accept = MESOS__V1__SCHEDULER__CALL__ACCEPT__INIT;
    Mesos__V1__Offer__Operation operation = MESOS__V1__OFFER__OPERATION__INIT, *operations[] = {&operation};
    Mesos__V1__Offer__Operation__Launch launch = MESOS__V1__OFFER__OPERATION__LAUNCH__INIT;
    Mesos__V1__OfferID offer_id = MESOS__V1__OFFER_ID__INIT, *offer_ids[] = {&offer_id};
    Mesos__V1__AgentID agent = MESOS__V1__AGENT_ID__INIT;
    Mesos__V1__Filters filters = MESOS__V1__FILTERS__INIT;
    arena_reset(b->arena);
    init_call(b, &c, &id, MESOS__V1__SCHEDULER__CALL__TYPE__ACCEPT);
    Mesos__V1__TaskInfo **list = arena_new_array(b->arena, Mesos__V1__TaskInfo *, (size_t)count);
    int64_t now = now_us();
    offer_id.value = o->id;
    agent.value = o->agent;
    for (int i = 0; i < count; i++) {
        int64_t number = b->launched++;
        list[i] = arena_new_one(b->arena, Mesos__V1__TaskInfo);
        fill_task(b, list[i], number, &agent);
        b->sent_us[number] = now;
    }
    launch.n_task_infos = (size_t)count;
    launch.task_infos = list;
    operation.has_type = 1;
    operation.type = MESOS__V1__OFFER__OPERATION__TYPE__LAUNCH;
    operation.launch = &launch;
    filters.has_refuse_seconds = 1;
    filters.refuse_seconds = 0;
    accept.n_offer_ids = 1;
    accept.offer_ids = offer_ids;
    accept.n_operations = 1;
    accept.operations = operations;
    accept.filters = &filters;
    c.accept = &accept;
    call(b, &c);
}

static void use_offers(struct bench *b)
{
    while (b->offer_count > 0 && b->launched < b->target) {
        struct offer o = b->offers[--b->offer_count];
        int64_t count = b->phase == PHASE_BURST ? 1 + BURST_TASKS / b->agents : b->per_accept;
        if (count > o.capacity)
            count = o.capacity;
        if (count > b->target - b->launched)
            count = b->target - b->launched;
        launch_on(b, &o, (int)count);
        free(o.id);
        free(o.agent);
    }
}

static void begin_phase(struct bench *b, enum phase phase, int64_t target)
{
    b->phase = phase;
    b->target = target;
    b->phase_begin_us = now_us();
    b->phase_cpu_us = master_cpu_us(b);
    use_offers(b);
}

static int compare_int64(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

static double percentile_ms(int64_t *values, int64_t from, int64_t to, int percent)
{
    qsort(values + from, (size_t)(to - from), sizeof(*values), compare_int64);
    return (double)values[from + (to - from - 1) * percent / 100] / 1000;
}

static void report(struct bench *b)
{
    int64_t tasks = b->target - BURST_TASKS;
    double seconds = (double)b->run_us / 1e6;
    double burst50 = percentile_ms(b->latency_us, 0, BURST_TASKS, 50),
           burst99 = percentile_ms(b->latency_us, 0, BURST_TASKS, 99);
    double run50 = percentile_ms(b->latency_us, BURST_TASKS, b->target, 50);
    double run99 = percentile_ms(b->latency_us, BURST_TASKS, b->target, 99);
    double per_task_bytes = (double)(b->rss_after_kb - b->rss_before_kb) * 1024 / (double)b->target;
    printf("%" PRId64 " agents, %" PRId64 " tasks of %" PRId64 " an ACCEPT, %s\n\n", b->agents, tasks, b->per_accept,
           b->hold ? "kept running" : "finishing at once");
    printf("  all agents registered after        %8.2f s\n", (double)b->registered_us / 1e6);
    printf("  burst of %d, ACCEPT to RUNNING   %8.1f ms median, %.1f ms p99\n", BURST_TASKS, burst50, burst99);
    printf("  tasks to TASK_RUNNING              %8.0f /s\n", (double)tasks / seconds);
    printf("  under that load, ACCEPT to RUNNING %8.1f ms median, %.1f ms p99\n", run50, run99);
    printf("  master CPU a task                  %8.1f us\n", (double)b->run_cpu_us / (double)tasks);
    printf("  master RSS                         %8.1f MB, before the tasks %.1f MB\n", (double)b->rss_after_kb / 1024,
           (double)b->rss_before_kb / 1024);
    printf("\nfigure register_all %.3f s\nfigure burst_p50 %.2f ms\nfigure burst_p99 %.2f ms\nfigure tasks_per_second %.0f "
           "1/s\n",
           (double)b->registered_us / 1e6, burst50, burst99, (double)tasks / seconds);
    printf("figure run_p50 %.2f ms\nfigure run_p99 %.2f ms\nfigure master_cpu_per_task %.2f us\n", run50, run99,
           (double)b->run_cpu_us / (double)tasks);
    printf("figure master_rss %.1f MB\nfigure master_bytes_per_task %.0f B\n", (double)b->rss_after_kb / 1024,
           per_task_bytes);
}

static void task_is_running(struct bench *b, const char *task)
{
    uint64_t number = strtoull(task + 1, NULL, 10);
    if ((int64_t)number >= b->launched || b->latency_us[number] != 0)
        return; /* a repeated update */
    b->latency_us[number] = now_us() - b->sent_us[number] + 1;
    if (++b->running != b->target)
        return;
    if (b->phase == PHASE_BURST) {
        begin_phase(b, PHASE_RUN, BURST_TASKS + b->tasks);
    } else if (b->phase == PHASE_RUN) {
        b->run_us = now_us() - b->phase_begin_us;
        b->run_cpu_us = master_cpu_us(b) - b->phase_cpu_us;
        b->rss_after_kb = master_rss_kb(b);
        b->phase = PHASE_DONE;
        loop_stop(b->loop);
    }
}

static void add_offer(struct bench *b, const Mesos__V1__Offer *offer)
{
    double cpus = 0, mem = 0;
    for (size_t i = 0; i < offer->n_resources; i++) {
        const Mesos__V1__Resource *r = offer->resources[i];
        if (strcmp(r->name, "cpus") == 0 && r->scalar != NULL)
            cpus = r->scalar->value;
        if (strcmp(r->name, "mem") == 0 && r->scalar != NULL)
            mem = r->scalar->value;
    }
    int by_cpu = (int)(cpus / TASK_CPUS + 1e-6), by_mem = (int)(mem / TASK_MEM + 1e-6);
    if (b->offer_count == b->offer_capacity) {
        b->offer_capacity = b->offer_capacity ? b->offer_capacity * 2 : 1024;
        b->offers = xrealloc(b->offers, b->offer_capacity * sizeof(*b->offers));
    }
    b->offers[b->offer_count++] = (struct offer){.id = xstrdup(offer->id->value),
                                                 .agent = xstrdup(offer->agent_id->value),
                                                 .capacity = by_cpu < by_mem ? by_cpu : by_mem};
}

static int on_record(void *ctx, const void *data, size_t len)
{
    struct bench *b = ctx;
    struct err err;
    struct arena *arena = arena_new(0);
    ProtobufCMessage *message = wire_unpack(&mesos__v1__scheduler__event__descriptor, data, len, arena, &err);
    if (message == NULL)
        fail(b, err.text);
    const Mesos__V1__Scheduler__Event *e = (const Mesos__V1__Scheduler__Event *)message;
    if (e->subscribed != NULL)
        b->framework_id = xstrdup(e->subscribed->framework_id->value);
    for (size_t i = 0; e->offers != NULL && i < e->offers->n_offers; i++)
        add_offer(b, e->offers->offers[i]);
    if (e->update != NULL) {
        const Mesos__V1__TaskStatus *s = e->update->status;
        if (s->has_uuid)
            acknowledge(b, s);
        if (s->state == MESOS__V1__TASK_STATE__TASK_RUNNING)
            task_is_running(b, s->task_id->value);
        else if (s->state == MESOS__V1__TASK_STATE__TASK_FINISHED)
            b->finished++;
        else
            fail(b, s->message ? s->message : "a task ended in another state");
    }
    if (e->error != NULL)
        fail(b, e->error->message);
    /* Everybody is there once every agent is offered. */
    if (b->phase == PHASE_REGISTER && b->offer_count == (size_t)b->agents) {
        b->rss_before_kb = master_rss_kb(b);
        begin_phase(b, PHASE_BURST, BURST_TASKS);
    } else if (b->phase != PHASE_REGISTER) {
        use_offers(b);
    }
    arena_free(arena);
    return 0;
}

static bool on_stream_headers(void *ctx, const struct http_message *response)
{
    struct bench *b = ctx;
    const char *id = http_header(response, "Mesos-Stream-Id");
    if (response->status != 200 || id == NULL)
        fail(b, "SUBSCRIBE was refused");
    b->stream_id = xstrdup(id);
    b->call_fd = connect_to_master(b);
    b->call_watch = loop_fd_add(b->loop, b->call_fd, LOOP_READ, on_call_socket, b);
    return true;
}

static bool on_stream_data(void *ctx, const void *data, size_t len)
{
    struct bench *b = ctx;
    if (recordio_feed(&b->records, data, len, on_record, b) < 0)
        fail(b, "bad RecordIO");
    return true;
}

static void on_stream_done(void *ctx, const struct http_message *response, int error, const char *text)
{
    (void)response;
    (void)error;
    fail(ctx, text ? text : "the event stream ended");
}

static void agents_are_registered(struct bench *b)
{
    static const struct http_callbacks callbacks = {
        .done = on_stream_done, .headers_done = on_stream_headers, .data = on_stream_data};
    b->registered_us = now_us() - b->phase_begin_us;
    Mesos__V1__Scheduler__Call c = MESOS__V1__SCHEDULER__CALL__INIT;
    Mesos__V1__Scheduler__Call__Subscribe subscribe = MESOS__V1__SCHEDULER__CALL__SUBSCRIBE__INIT;
    Mesos__V1__FrameworkInfo info = MESOS__V1__FRAMEWORK_INFO__INIT;
    info.user = (char *)"root";
    info.name = (char *)"scale";
    subscribe.framework_info = &info;
    c.has_type = 1;
    c.type = MESOS__V1__SCHEDULER__CALL__TYPE__SUBSCRIBE;
    c.subscribe = &subscribe;
    size_t len;
    uint8_t *body = wire_pack(&c.base, &len);
    const struct http_header accept = {"Accept", "application/x-protobuf"};
    struct http_request r = {.ip = "127.0.0.1",
                             .port = b->port,
                             .method = "POST",
                             .target = "/api/v1/scheduler",
                             .headers = &accept,
                             .header_count = 1,
                             .content_type = "application/x-protobuf",
                             .body = body,
                             .body_len = len};
    (void)http_call_start(b->client, &r, &callbacks, b); /* ends in on_stream_done */
    free(body);
}

static void on_timeout(void *ctx)
{
    struct bench *b = ctx;
    fprintf(stderr, "scale: phase %d, %zu registered, %zu offers, %" PRId64 " launched, %" PRId64 " running\n",
            (int)b->phase, b->registered, b->offer_count, b->launched, b->running);
    fail(b, "not done in time");
}

static const struct option_def options[] = {
    {"program", OPTION_STRING, offsetof(struct bench, program), NULL, "the muster program", OPTION_REQUIRED, 0, 0},
    {"dir", OPTION_STRING, offsetof(struct bench, dir), NULL, "an empty directory for the master", OPTION_REQUIRED, 0, 0},
    {"agents", OPTION_INT, offsetof(struct bench, agents), "1000", "simulated agents", 0, 1, 18000},
    {"tasks", OPTION_INT, offsetof(struct bench, tasks), "100000", "tasks after the burst", 0, 1, 5000000},
    {"per_accept", OPTION_INT, offsetof(struct bench, per_accept), "20", "tasks in one ACCEPT", 0, 1, 80},
    {"hold", OPTION_BOOL, offsetof(struct bench, hold), "false", "keep tasks running (memory per task)", 0, 0, 0},
    {"timeout", OPTION_DURATION, offsetof(struct bench, timeout_ms), "120secs", "limit of the whole run", 0, 0, 0},
};
#define OPTION_COUNT (sizeof(options) / sizeof(options[0]))

int main(int argc, char **argv)
{
    struct bench *b = xcalloc(1, sizeof(*b));
    struct err err;
    if (options_parse(options, OPTION_COUNT, b, argc, argv, NULL, NULL, &err) != 0) {
        fprintf(stderr, "scale: %s\n", err.text);
        return 2;
    }
    struct rlimit files;
    CHECK(getrlimit(RLIMIT_NOFILE, &files) == 0);
    files.rlim_cur = files.rlim_max;
    CHECK(setrlimit(RLIMIT_NOFILE, &files) == 0);
    b->loop = loop_ev_new();
    CHECK(b->loop != NULL);
    b->client = http_client_new(b->loop);
    b->arena = arena_new(0);
    buf_init(&b->call_out, 256u << 20);
    recordio_reader_init(&b->records, 64u << 20);
    b->sim = xcalloc((size_t)b->agents, sizeof(*b->sim));
    b->sent_us = xcalloc((size_t)(b->tasks + BURST_TASKS), sizeof(int64_t));
    b->latency_us = xcalloc((size_t)(b->tasks + BURST_TASKS), sizeof(int64_t));
    b->call_fd = -1;
    start_master(b);
    struct loop_timer *limit = loop_timer_add(b->loop, on_timeout, b);
    loop_timer_start(limit, b->timeout_ms);
    b->phase_begin_us = now_us();
    connect_more(b);
    struct loop_idle *idle = loop_before_sleep_add(b->loop, before_sleep, b);
    loop_run(b->loop);
    (void)loop_before_sleep_remove(idle);
    report(b);
    (void)kill(b->master, SIGTERM);
    (void)waitpid(b->master, NULL, 0); /* its end is all that matters */
    return b->refusals > 0;
}
