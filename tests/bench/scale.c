/* SPDX-License-Identifier: Apache-2.0
 * scale.c - a real master process under load: N simulated agents on real connections and one framework over the HTTP
 * scheduler API, all in this process. Agents answer every task with TASK_RUNNING and, unless --hold, with TASK_FINISHED
 * once the first is acknowledged.
 *
 * Three parts: registration of all agents; a burst of 1,000 tasks on the idle cluster (latency from the ACCEPT to its
 * TASK_RUNNING); and a run of --tasks as fast as offers come (throughput). Prints a table and `figure NAME VALUE UNIT`.
 *
 * With --read the tasks of the run stay, and three more parts follow: each large question asked of the idle master
 * (median of --rounds); then, --rounds times, a burst and a run of --churn tasks that end at once, alone and while
 * --pollers clients ask for GET_TASKS, or for /state, in a loop. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/base/arena.h"
#include "common/base/check.h"
#include "common/base/options.h"
#include "common/http/client.h"
#include "common/http/recordio.h"
#include "common/real/loop_ev.h"
#include "common/wire/codec.h"
#include "mesos/v1/scheduler.pb-c.h"
#include "tests/bench/agents.h"
#include "tests/bench/read/reader.h"

#define BURST_TASKS 1000
#define TASK_CPUS 0.1
#define TASK_MEM 32.0
#define ROUNDS_MAX 15
#define POLLED_MAX 2
#define QUIET_MS 300

struct offer {
    char *id, *agent;
    int capacity; /* tasks that fit */
};

enum phase { PHASE_REGISTER, PHASE_BURST, PHASE_RUN, PHASE_DONE };

struct bench {
    /* options */
    char *program, *dir;
    int64_t agents, tasks, per_accept, timeout_ms, pollers, rounds, churn;
    double agent_cpus;
    bool hold, read;

    struct loop *loop;
    struct bench_process master;
    struct sim_agents *sim;
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

    /* --read */
    int64_t base;         /* first task of the present burst */
    size_t round, polled; /* polled: 0 alone, else who is asked in the loop */
    struct reader_pollers *readers;
    struct loop_timer *quiet;
    double rates[POLLED_MAX + 1][ROUNDS_MAX], bursts[POLLED_MAX + 1][ROUNDS_MAX], answer_ms[POLLED_MAX + 1][ROUNDS_MAX],
        answer_rates[POLLED_MAX + 1][ROUNDS_MAX];
};

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
            bench_fail("the connection for calls broke");
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
        bench_fail("the master closed the connection for calls");
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
        bench_fail("calls pile up");
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
    bench_set_scalar(&scalars[0], &resources[0], "cpus", TASK_CPUS);
    bench_set_scalar(&scalars[1], &resources[1], "mem", TASK_MEM);
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
    int64_t now = bench_now_us();
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
    b->phase_begin_us = bench_now_us();
    b->phase_cpu_us = bench_cpu_us(&b->master);
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

/* -- reading ------------------------------------------------------------------------------------------------------------
 */

static const size_t polled_questions[POLLED_MAX] = {0, 5};

static int compare_double(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double median(double *values, size_t n)
{
    qsort(values, n, sizeof(*values), compare_double);
    return values[n / 2];
}

static void ask_all(struct bench *b)
{
    printf("\nreading, %" PRId64 " tasks, the master idle, medians of %" PRId64 "\n\n", b->launched, b->rounds);
    for (size_t i = 0; i < READER_QUESTIONS; i++) {
        double ms[ROUNDS_MAX];
        uint64_t bytes = 0;
        int64_t cpu = bench_cpu_us(&b->master);
        for (int64_t k = 0; k < b->rounds; k++)
            ms[k] = (double)reader_ask_us(b->master.port, &reader_questions[i], &bytes) / 1000;
        double cpu_ms = (double)(bench_cpu_us(&b->master) - cpu) / 1000 / (double)b->rounds,
               mid = median(ms, (size_t)b->rounds);
        printf("  %-20s %8.1f ms, master CPU %6.0f ms, %6.1f MB\n", reader_questions[i].name, mid, cpu_ms,
               (double)bytes / 1e6);
        printf("figure read_%s %.2f ms\n", reader_questions[i].name, mid);
    }
    (void)fflush(stdout);
}

static void begin_round(struct bench *b)
{
    b->base = b->launched;
    if (b->polled > 0)
        b->readers =
            reader_pollers_start(b->master.port, &reader_questions[polled_questions[b->polled - 1]], (size_t)b->pollers);
    begin_phase(b, PHASE_BURST, b->launched + BURST_TASKS);
}

static void end_round(struct bench *b)
{
    double seconds = (double)(bench_now_us() - b->phase_begin_us) / 1e6;
    b->rates[b->polled][b->round] = (double)b->churn / seconds;
    b->bursts[b->polled][b->round] = percentile_ms(b->latency_us, b->base, b->base + BURST_TASKS, 99);
    if (b->readers != NULL) {
        uint64_t answers;
        b->readers = reader_pollers_stop(b->readers, &answers, &b->answer_ms[b->polled][b->round]);
        b->answer_rates[b->polled][b->round] = (double)answers;
    }
    if (++b->polled > POLLED_MAX) {
        b->polled = 0;
        b->round++;
    }
}

static void report_reading(struct bench *b)
{
    size_t n = (size_t)b->rounds;
    double alone = median(b->rates[0], n);
    printf("\nlaunching %" PRId64 " tasks beside them, medians of %zu\n\n", b->churn, n);
    printf("  alone                %8.0f /s, burst p99 %7.1f ms\n", alone, median(b->bursts[0], n));
    printf("figure read_launch_alone %.0f 1/s\n", alone);
    for (size_t i = 1; i <= POLLED_MAX; i++) {
        const char *name = reader_questions[polled_questions[i - 1]].name;
        double rate = median(b->rates[i], n);
        printf("  %" PRId64 " polling %-10s %8.0f /s, burst p99 %7.1f ms, ratio %.3f; %.0f answers, mean %.0f ms\n",
               b->pollers, name, rate, median(b->bursts[i], n), rate / alone, median(b->answer_rates[i], n),
               median(b->answer_ms[i], n));
        printf("figure read_launch_beside_%s %.0f 1/s\nfigure read_ratio_beside_%s %.3f -\n", name, rate, name,
               rate / alone);
    }
    printf("  master RSS           %8.1f MB, highest %.1f MB\n", (double)bench_memory_kb(&b->master, "VmRSS") / 1024,
           (double)bench_memory_kb(&b->master, "VmHWM") / 1024);
}

/* Asking blocks this process: nothing of the framework may be half sent. */
static void on_quiet(void *ctx)
{
    struct bench *b = ctx;
    if (b->answers < b->calls) {
        loop_timer_start(b->quiet, QUIET_MS);
        return;
    }
    ask_all(b);
    sim_agents_hold(b->sim, false);
    begin_round(b);
}

/* The run is over: what comes next? */
static void go_on(struct bench *b)
{
    if (!b->read) {
        b->phase = PHASE_DONE;
        loop_stop(b->loop);
        return;
    }
    if (b->base == 0) {
        report(b);
        loop_timer_start(b->quiet, QUIET_MS);
        return;
    }
    end_round(b);
    if (b->round < (size_t)b->rounds) {
        begin_round(b);
    } else {
        b->phase = PHASE_DONE;
        loop_stop(b->loop);
    }
}

static void task_is_running(struct bench *b, const char *task)
{
    uint64_t number = strtoull(task + 1, NULL, 10);
    if ((int64_t)number >= b->launched || b->latency_us[number] != 0)
        return; /* a repeated update */
    b->latency_us[number] = bench_now_us() - b->sent_us[number] + 1;
    if (++b->running != b->target)
        return;
    if (b->phase == PHASE_BURST) {
        begin_phase(b, PHASE_RUN, b->target + (b->base == 0 ? b->tasks : b->churn));
    } else if (b->phase == PHASE_RUN) {
        b->run_us = bench_now_us() - b->phase_begin_us;
        b->run_cpu_us = bench_cpu_us(&b->master) - b->phase_cpu_us;
        b->rss_after_kb = bench_memory_kb(&b->master, "VmRSS");
        go_on(b);
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
        bench_fail(err.text);
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
            bench_fail(s->message ? s->message : "a task ended in another state");
    }
    if (e->error != NULL)
        bench_fail(e->error->message);
    /* Everybody is there once every agent is offered. */
    if (b->phase == PHASE_REGISTER && b->offer_count == (size_t)b->agents) {
        b->rss_before_kb = bench_memory_kb(&b->master, "VmRSS");
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
        bench_fail("SUBSCRIBE was refused");
    b->stream_id = xstrdup(id);
    b->call_fd = bench_connect(b->master.port);
    b->call_watch = loop_fd_add(b->loop, b->call_fd, LOOP_READ, on_call_socket, b);
    return true;
}

static bool on_stream_data(void *ctx, const void *data, size_t len)
{
    struct bench *b = ctx;
    if (recordio_feed(&b->records, data, len, on_record, b) < 0)
        bench_fail("bad RecordIO");
    return true;
}

static void on_stream_done(void *ctx, const struct http_message *response, int error, const char *text)
{
    (void)ctx;
    (void)response;
    (void)error;
    bench_fail(text ? text : "the event stream ended");
}

static void agents_are_registered(void *ctx)
{
    struct bench *b = ctx;
    static const struct http_callbacks callbacks = {
        .done = on_stream_done, .headers_done = on_stream_headers, .data = on_stream_data};
    b->registered_us = bench_now_us() - b->phase_begin_us;
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
                             .port = b->master.port,
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
            (int)b->phase, sim_agents_registered(b->sim), b->offer_count, b->launched, b->running);
    bench_fail("not done in time");
}

static const struct option_def options[] = {
    {"program", OPTION_STRING, offsetof(struct bench, program), NULL, "the muster program", OPTION_REQUIRED, 0, 0},
    {"dir", OPTION_STRING, offsetof(struct bench, dir), NULL, "an empty directory for the master", OPTION_REQUIRED, 0, 0},
    {"agents", OPTION_INT, offsetof(struct bench, agents), "1000", "simulated agents", 0, 1, 18000},
    {"tasks", OPTION_INT, offsetof(struct bench, tasks), "100000", "tasks after the burst", 0, 1, 5000000},
    {"per_accept", OPTION_INT, offsetof(struct bench, per_accept), "20", "tasks in one ACCEPT", 0, 1, 80},
    {"agent_cpus", OPTION_DOUBLE, offsetof(struct bench, agent_cpus), "8", "CPUs of an agent; a task takes 0.1", 0, 0, 0},
    {"read", OPTION_BOOL, offsetof(struct bench, read), "false", "then read the state, alone and beside launches", 0, 0, 0},
    {"pollers", OPTION_INT, offsetof(struct bench, pollers), "5", "clients that read in a loop", 0, 1, 16},
    {"rounds", OPTION_INT, offsetof(struct bench, rounds), "3", "of which the medians are", 0, 1, ROUNDS_MAX},
    {"churn", OPTION_INT, offsetof(struct bench, churn), "60000", "tasks of a run beside readers", 0, 1, 1000000},
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
    int64_t all = b->tasks + BURST_TASKS + (b->read ? b->rounds * (POLLED_MAX + 1) * (b->churn + BURST_TASKS) : 0);
    b->sent_us = xcalloc((size_t)all, sizeof(int64_t));
    b->latency_us = xcalloc((size_t)all, sizeof(int64_t));
    b->call_fd = -1;
    char work[4096];
    CHECK(snprintf(work, sizeof(work), "%s/master", b->dir) < (int)sizeof(work));
    bench_start(&b->master, b->program, "master", b->dir, (const char *[]){"--port", "0", "--work_dir", work, NULL});
    b->quiet = loop_timer_add(b->loop, on_quiet, b);
    struct loop_timer *limit = loop_timer_add(b->loop, on_timeout, b);
    loop_timer_start(limit, b->timeout_ms);
    b->phase_begin_us = bench_now_us();
    b->sim = sim_agents_new(&(struct sim_agents_config){.loop = b->loop,
                                                        .port = b->master.port,
                                                        .count = (size_t)b->agents,
                                                        .cpus = b->agent_cpus,
                                                        .hold = b->hold || b->read,
                                                        .registered = agents_are_registered,
                                                        .ctx = b});
    struct loop_idle *idle = loop_before_sleep_add(b->loop, before_sleep, b);
    loop_run(b->loop);
    (void)loop_before_sleep_remove(idle);
    if (b->read)
        report_reading(b);
    else
        report(b);
    bench_stop(&b->master);
    return b->refusals > 0;
}
