/* SPDX-License-Identifier: Apache-2.0
 * churn.c - the balancer's plan and one data plane under a large cluster and its changes, in one process and without a
 * master: what the master would send is made here.
 *
 *   bench_churn plane PLANE CGROUP VIPS BACKENDS CHANGES   BACKENDS of each VIP; CGROUP "" leaves it to the plane
 *   bench_churn sockets COUNT                              the limit of the proxy: that many listening sockets
 *   bench_churn bpf COUNT                                  the limit of ebpf: that many entries put into one map
 *
 * It needs a network namespace where 10.98.0.0/16 and 11.0.0.0/8 are local. Prints one line a figure. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "common/base/buf.h"
#include "common/base/check.h"
#include "lb/lb.h"
#include "lb/planes.h"

#define AGENTS 1000
#define HELD 100 /* connections from before everything */
#define PORT_FIRST 20000
#define WAIT_MS 5000
#define LIVE_IP "10.98.0.1" /* of the back ends that exist */
#define AGENT(id, ip)                                                                                                      \
    "{\"agent_info\":{\"hostname\":\"h\",\"id\":{\"value\":\"" id "\"}},\"active\":true,\"version\":\"1\","                \
    "\"pid\":\"slave(1)@" ip ":5051\"}"
#define TASK                                                                                                               \
    "{\"name\":\"t\",\"task_id\":{\"value\":\"%s.%u\"},\"framework_id\":{\"value\":\"F\"},\"agent_id\":{\"value\":\"%s\"}" \
    ",\"state\":\"TASK_RUNNING\",\"discovery\":{\"visibility\":\"CLUSTER\",\"name\":\"t\",\"ports\":{\"ports\":[{"         \
    "\"number\":%u,\"protocol\":\"tcp\",\"labels\":{\"labels\":[{\"key\":\"VIP_0\",\"value\":\"/%s:80\"},"                 \
    "{\"key\":\"network-scope\",\"value\":\"host\"}]}}]}}}"

struct world {
    struct lb *core;
    struct lb_plane *plane;
    struct arena *arena;
    const struct lb_change *changes; /* of the last flush */
    size_t change_count;
    int listeners[2];
    unsigned ports[2];
    unsigned live; /* number of the running task of the VIP whose back ends exist; it is at listeners[live % 2] */
    struct lb_endpoint live_vip;
    struct {
        int client, server;
    } * pairs; /* open connections */
    size_t pair_count;
    unsigned misdirected;
};

static const char *plane_name;

static void figure(const char *name, double value, const char *unit)
{
    printf("figure churn_%s_%s %.4g %s\n", plane_name, name, value, unit);
}

static double clock_ms(clockid_t id)
{
    struct timespec t;
    CHECK(clock_gettime(id, &t) == 0);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static double now_ms(void)
{
    return clock_ms(CLOCK_MONOTONIC);
}

static double resident_mib(void)
{
    long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    CHECK(f != NULL && fscanf(f, "%*d %ld", &pages) == 1);
    fclose(f);
    return (double)(pages * sysconf(_SC_PAGESIZE)) / (1 << 20);
}

/* -- what the master says ---------------------------------------------------------------------------------------- */

static void put_varint(struct buf *out, uint64_t value)
{
    for (; value >= 128; value >>= 7)
        CHECK(buf_append_char(out, (char)(value | 128)) == 0);
    CHECK(buf_append_char(out, (char)value) == 0);
}

static void put_bytes(struct buf *out, unsigned field, const struct buf *body)
{
    put_varint(out, field << 3 | 2);
    put_varint(out, buf_len(body));
    CHECK(buf_append(out, buf_data(body), buf_len(body)) == 0);
}

static void put_json(struct buf *out, unsigned field, const ProtobufCMessageDescriptor *type, struct arena *arena,
                     const char *json)
{
    struct err err = {0};
    struct buf body;
    buf_init(&body, 0);
    arena_reset(arena);
    const ProtobufCMessage *message = wire_decode(WIRE_JSON, type, json, strlen(json), arena, &err);
    if (message == NULL)
        fprintf(stderr, "%s in %s\n", err.text, json);
    CHECK(message != NULL && wire_encode(WIRE_PROTOBUF, message, &body) == 0);
    put_bytes(out, field, &body);
    buf_deinit(&body);
}

static void put_tasks(struct buf *out, struct world *w, unsigned vips, unsigned backends)
{
    char text[1024], agent[32], name[32];
    (void)snprintf(text, sizeof(text), TASK, "live", w->live, "L", w->ports[w->live % 2], "live");
    put_json(out, 2, &mesos__v1__task__descriptor, w->arena, text);
    for (unsigned i = 0; i < vips * backends; i++) {
        (void)snprintf(agent, sizeof(agent), "A%u", i % AGENTS);
        (void)snprintf(name, sizeof(name), "v%u", i / backends);
        (void)snprintf(text, sizeof(text), TASK, name, i, agent, PORT_FIRST + i / AGENTS, name);
        put_json(out, 2, &mesos__v1__task__descriptor, w->arena, text);
    }
}

static void put_agents(struct buf *out, struct world *w)
{
    char text[512];
    put_json(out, 1, &mesos__v1__master__response__get_agents__agent__descriptor, w->arena, AGENT("L", LIVE_IP));
    for (unsigned i = 0; i < AGENTS; i++) {
        (void)snprintf(text, sizeof(text), AGENT("A%u", "10.98.%u.%u"), i, 1 + i / 250, 1 + i % 250);
        put_json(out, 1, &mesos__v1__master__response__get_agents__agent__descriptor, w->arena, text);
    }
}

/* A SUBSCRIBED record with everything, in protobuf, as the master would send it. */
static void make_picture(struct buf *out, struct world *w, unsigned vips, unsigned backends)
{
    struct buf tasks, frameworks, agents, state, subscribed;
    struct buf *const all[] = {&tasks, &frameworks, &agents, &state, &subscribed, out};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        buf_init(all[i], 1u << 30);
    put_tasks(&tasks, w, vips, backends);
    put_agents(&agents, w);
    put_json(&frameworks, 1, &mesos__v1__master__response__get_frameworks__framework__descriptor, w->arena,
             "{\"framework_info\":{\"id\":{\"value\":\"F\"},\"name\":\"bench\",\"user\":\"u\"},\"active\":true,"
             "\"connected\":true,\"recovered\":false}");
    put_bytes(&state, 1, &tasks);
    put_bytes(&state, 3, &frameworks);
    put_bytes(&state, 4, &agents);
    put_bytes(&subscribed, 1, &state);
    put_varint(out, 1 << 3);
    put_varint(out, MESOS__V1__MASTER__EVENT__TYPE__SUBSCRIBED);
    put_bytes(out, 2, &subscribed);
    for (size_t i = 0; i + 1 < sizeof(all) / sizeof(all[0]); i++)
        buf_deinit(all[i]);
}

/* -- plan and plane ---------------------------------------------------------------------------------------------- */

static void step(struct world *w, struct lb_event in)
{
    struct lb_effects out;
    in.now_ms = (int64_t)now_ms();
    CHECK(lb_step(w->core, &in, &out) == 0);
    for (size_t i = 0; i < out.count; i++) {
        if (out.items[i].type == LB_EFFECT_TRACE)
            fprintf(stderr, "%s\n", out.items[i].text);
        if (out.items[i].type == LB_EFFECT_CHANGES) {
            w->changes = out.items[i].changes.items;
            w->change_count = out.items[i].changes.count;
        }
    }
}

static void give(void *ctx, const struct picture_part *part)
{
    step(ctx, (struct lb_event){.type = LB_EVENT_RECEIVED, .received = part});
}

static void receive_json(struct world *w, const char *json)
{
    struct err err = {0};
    struct picture_told told;
    arena_reset(w->arena);
    CHECK(picture_read(WIRE_JSON, json, strlen(json), w->arena, give, w, &told, &err) == 0);
}

static void flush(struct world *w)
{
    w->change_count = 0;
    step(w, (struct lb_event){.type = LB_EVENT_FLUSH});
}

static void apply(struct world *w)
{
    w->plane->ops->apply(w->plane, w->changes, w->change_count);
}

struct span {
    double wall, cpu;
};

static struct span span_begin(void)
{
    return (struct span){now_ms(), clock_ms(CLOCK_PROCESS_CPUTIME_ID)};
}

static struct span span_end(struct span s)
{
    return (struct span){now_ms() - s.wall, clock_ms(CLOCK_PROCESS_CPUTIME_ID) - s.cpu};
}

/* -- connections ------------------------------------------------------------------------------------------------- */

static int listen_somewhere(unsigned *port)
{
    struct sockaddr_in at = {.sin_family = AF_INET};
    socklen_t len = sizeof(at);
    CHECK(inet_pton(AF_INET, LIVE_IP, &at.sin_addr) == 1);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(fd >= 0 && bind(fd, (struct sockaddr *)&at, len) == 0 && listen(fd, 512) == 0);
    CHECK(getsockname(fd, (struct sockaddr *)&at, &len) == 0);
    *port = ntohs(at.sin_port);
    return fd;
}

static void set_timeouts(int fd)
{
    struct timeval wait = {.tv_sec = WAIT_MS / 1000};
    CHECK(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)) == 0);
    CHECK(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait)) == 0);
}

/* Through the VIP to a back end; the pair stays open. */
static void open_pair(struct world *w)
{
    struct sockaddr_storage address;
    socklen_t len = lb_endpoint_to_sockaddr(&w->live_vip, &address);
    struct pollfd waiting[2] = {{.fd = w->listeners[0], .events = POLLIN}, {.fd = w->listeners[1], .events = POLLIN}};
    int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(client >= 0);
    set_timeouts(client);
    CHECK(connect(client, (struct sockaddr *)&address, len) == 0);
    CHECK(poll(waiting, 2, WAIT_MS) == 1);
    int which = (waiting[1].revents & POLLIN) != 0;
    int server = accept4(w->listeners[which], NULL, NULL, SOCK_CLOEXEC);
    CHECK(server >= 0);
    set_timeouts(server);
    w->misdirected += (unsigned)which != w->live % 2;
    w->pairs[w->pair_count].client = client;
    w->pairs[w->pair_count++].server = server;
}

static bool carries(int from, int to)
{
    char sent = 'x', got = 0;
    return send(from, &sent, 1, MSG_NOSIGNAL) == 1 && recv(to, &got, 1, 0) == 1 && got == sent;
}

static unsigned count_broken(const struct world *w)
{
    unsigned broken = 0;
    for (size_t i = 0; i < w->pair_count; i++)
        broken += !carries(w->pairs[i].client, w->pairs[i].server) || !carries(w->pairs[i].server, w->pairs[i].client);
    return broken;
}

/* -- what is measured -------------------------------------------------------------------------------------------- */

static void find_live(void *ctx, const struct lb_change *vip)
{
    struct world *w = ctx;
    if (strcmp(vip->name, "live.bench") == 0)
        w->live_vip = vip->vip;
}

static void count_problems(void *ctx, const struct lb_change *vip)
{
    struct {
        struct world *w;
        unsigned count;
    } *c = ctx;
    const char *problem = c->w->plane->ops->problem(c->w->plane, &vip->vip);
    if (problem != NULL && c->count++ == 0)
        fprintf(stderr, "%s: %s\n", vip->name, problem);
}

static void measure_picture(struct world *w, unsigned vips, unsigned backends, bool is_told)
{
    struct buf record;
    struct err err = {0};
    struct picture_told told;
    make_picture(&record, w, vips, backends);
    double before_mib = resident_mib();
    struct span plan = span_begin();
    CHECK(picture_read(WIRE_PROTOBUF, buf_data(&record), buf_len(&record), w->arena, give, w, &told, &err) == 0);
    flush(w);
    plan = span_end(plan);
    double planned_mib = resident_mib();
    struct span applying = span_begin();
    apply(w);
    applying = span_end(applying);
    if (is_told) {
        figure("changes", (double)w->change_count, "VIPs");
        figure("plan", plan.wall, "ms");
        figure("plan_cpu", plan.cpu, "ms");
        figure("plan_memory", planned_mib - before_mib, "MiB");
        figure("apply", applying.wall, "ms");
        figure("apply_cpu", applying.cpu, "ms");
        figure("apply_memory", resident_mib() - planned_mib, "MiB");
        figure("memory", resident_mib(), "MiB");
    }
    buf_deinit(&record);
}

static int compare_numbers(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void figure_median(const char *name, double *values, size_t count)
{
    char text[64];
    qsort(values, count, sizeof(values[0]), compare_numbers);
    (void)snprintf(text, sizeof(text), "%s_max", name);
    figure(name, values[count / 2] * 1e3, "us");
    figure(text, values[count - 1] * 1e3, "us");
}

/* The task ends and another one comes: both events, plan, plane, and the first connection, which must go to the new one. */
static void change_once(struct world *w, double out[4])
{
    char added[1024], ended[512];
    unsigned old = w->live++;
    (void)snprintf(added, sizeof(added), "{\"type\":\"TASK_ADDED\",\"task_added\":{\"task\":" TASK "}}", "live", w->live,
                   "L", w->ports[w->live % 2], "live");
    (void)snprintf(
        ended, sizeof(ended),
        "{\"type\":\"TASK_UPDATED\",\"task_updated\":{\"framework_id\":{\"value\":\"F\"},\"state\":\"TASK_KILLED\""
        ",\"status\":{\"task_id\":{\"value\":\"live.%u\"},\"state\":\"TASK_KILLED\"}}}",
        old);
    double start = now_ms();
    receive_json(w, added);
    receive_json(w, ended);
    flush(w);
    CHECK(w->change_count == 1 && w->changes[0].backend_count == 1);
    double planned = now_ms();
    apply(w);
    double applied = now_ms();
    open_pair(w);
    double connected = now_ms();
    out[0] = planned - start;
    out[1] = applied - planned;
    out[2] = connected - applied;
    out[3] = connected - start;
}

static void measure_changes(struct world *w, unsigned changes)
{
    static const char *const names[4] = {"change_plan", "change_apply", "change_connect", "change"};
    double *values = xcalloc((size_t)changes * 4, sizeof(double)), one[4];
    for (unsigned i = 0; i < changes; i++) {
        change_once(w, one);
        for (int k = 0; k < 4; k++)
            values[(size_t)k * changes + i] = one[k];
    }
    for (int k = 0; k < 4; k++)
        figure_median(names[k], values + (size_t)k * changes, changes);
    free(values);
}

/* A hundredth of all back ends in one turn, each of another VIP. */
static void measure_lost_agents(struct world *w)
{
    char text[256];
    struct span s = span_begin();
    for (unsigned i = 0; i < AGENTS / 100; i++) {
        (void)snprintf(text, sizeof(text),
                       "{\"type\":\"AGENT_REMOVED\",\"agent_removed\":{\"agent_id\":{\"value\":\"A%u\"}}}", i * 100);
        receive_json(w, text);
    }
    flush(w);
    apply(w);
    s = span_end(s);
    figure("agents_lost_changes", (double)w->change_count, "VIPs");
    figure("agents_lost", s.wall, "ms");
    figure("agents_lost_cpu", s.cpu, "ms");
}

static int measure_plane(const char *plane, const char *cgroup, unsigned vips, unsigned backends, unsigned changes)
{
    static char instance[] = "bench_churn";
    struct lb_choice choice;
    struct err err = {0};
    struct lb_options options = {.plane = (char *)plane, .cgroup = cgroup[0] ? (char *)cgroup : NULL, .instance = instance};
    if (lb_planes_start(&options, 1, &choice, &err) != 0) {
        printf("%s\n", err.text);
        return 1;
    }
    struct lb_config config = {.range = VIP_RANGE_CLUSTER, .seed = 1};
    struct world w = {.core = lb_new(&config), .plane = choice.plane, .arena = arena_new(0)};
    w.pairs = xcalloc(HELD + changes, sizeof(w.pairs[0]));
    for (int i = 0; i < 2; i++)
        w.listeners[i] = listen_somewhere(&w.ports[i]);
    measure_picture(&w, 0, 0, false);
    lb_each_vip(w.core, find_live, &w);
    for (int i = 0; i < HELD; i++)
        open_pair(&w);
    measure_picture(&w, vips, backends, true);
    struct {
        struct world *w;
        unsigned count;
    } problems = {&w, 0};
    lb_each_vip(w.core, count_problems, &problems);
    figure("problems", problems.count, "VIPs");
    measure_changes(&w, changes);
    measure_lost_agents(&w);
    struct span s = span_begin();
    int mended = w.plane->ops->repair(w.plane, &err);
    figure("repair", span_end(s).wall, "ms");
    figure("repair_mended", mended, "count"); /* nothing was wrong */
    figure("broken_connections", count_broken(&w), "count");
    figure("misdirected_connections", w.misdirected, "count");
    s = span_begin();
    w.plane->ops->close(w.plane, true);
    figure("close", span_end(s).wall, "ms");
    lb_free(w.core);
    arena_free(w.arena);
    free(w.pairs);
    return 0;
}

/* -- limits ------------------------------------------------------------------------------------------------------ */

static int measure_sockets(unsigned count)
{
    static const int on = 1;
    int poller = epoll_create1(EPOLL_CLOEXEC);
    struct span s = span_begin();
    for (unsigned i = 0; i < count; i++) {
        struct sockaddr_in at = {
            .sin_family = AF_INET, .sin_port = htons(80), .sin_addr.s_addr = htonl((11u << 24) + i * 1000)};
        struct epoll_event event = {.events = EPOLLIN | EPOLLEXCLUSIVE};
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        CHECK(fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0);
        CHECK(bind(fd, (struct sockaddr *)&at, sizeof(at)) == 0 && listen(fd, 4096) == 0);
        CHECK(epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event) == 0);
    }
    figure("sockets", span_end(s).wall, "ms");
    figure("sockets_cpu", span_end(s).cpu, "ms");
    return 0;
}

struct bpf_entry {
    struct lb_endpoint at;
    uint32_t index;
};

static int new_bpf_map(unsigned count)
{
    union bpf_attr create = {.map_type = BPF_MAP_TYPE_HASH,
                             .key_size = sizeof(struct bpf_entry),
                             .value_size = sizeof(struct lb_endpoint),
                             .max_entries = count,
                             .map_flags = BPF_F_NO_PREALLOC};
    return (int)syscall(SYS_bpf, BPF_MAP_CREATE, &create, sizeof(create));
}

/* One by one, and all in one call. */
static int measure_bpf(unsigned count)
{
    int fd = new_bpf_map(count), batch_fd = new_bpf_map(count);
    if (fd < 0 || batch_fd < 0) {
        printf("no bpf map: %s\n", strerror(errno));
        return 1;
    }
    struct bpf_entry *keys = xcalloc(count, sizeof(keys[0]));
    struct lb_endpoint *values = xcalloc(count, sizeof(values[0]));
    for (unsigned i = 0; i < count; i++)
        keys[i] = (struct bpf_entry){values[i] = lb_endpoint_of_ipv4(LB_TCP, i, 80), i};
    struct span s = span_begin();
    for (unsigned i = 0; i < count; i++) {
        union bpf_attr update = {.map_fd = (uint32_t)fd, .key = (uintptr_t)&keys[i], .value = (uintptr_t)&values[i]};
        CHECK(syscall(SYS_bpf, BPF_MAP_UPDATE_ELEM, &update, sizeof(update)) == 0);
    }
    figure("bpf", span_end(s).wall, "ms");
    s = span_begin();
    union bpf_attr batch = {
        .batch = {.map_fd = (uint32_t)batch_fd, .keys = (uintptr_t)keys, .values = (uintptr_t)values, .count = count}};
    CHECK(syscall(SYS_bpf, BPF_MAP_UPDATE_BATCH, &batch, sizeof(batch)) == 0 && batch.batch.count == count);
    figure("bpf_batch", span_end(s).wall, "ms");
    free(keys);
    free(values);
    return 0;
}

int main(int argc, char **argv)
{
    struct rlimit files;
    CHECK(getrlimit(RLIMIT_NOFILE, &files) == 0);
    files.rlim_cur = files.rlim_max;
    CHECK(setrlimit(RLIMIT_NOFILE, &files) == 0);
    setvbuf(stdout, NULL, _IOLBF, 0);
    plane_name = argc > 2 ? argv[2] : "";
    if (argc == 7 && strcmp(argv[1], "plane") == 0)
        return measure_plane(argv[2], argv[3], (unsigned)atoi(argv[4]), (unsigned)atoi(argv[5]), (unsigned)atoi(argv[6]));
    plane_name = "limit";
    if (argc == 3 && strcmp(argv[1], "sockets") == 0)
        return measure_sockets((unsigned)atoi(argv[2]));
    if (argc == 3 && strcmp(argv[1], "bpf") == 0)
        return measure_bpf((unsigned)atoi(argv[2]));
    fputs("usage: bench_churn plane PLANE CGROUP VIPS BACKENDS CHANGES | sockets COUNT | bpf COUNT\n", stderr);
    return 2;
}
