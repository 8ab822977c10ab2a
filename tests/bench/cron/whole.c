/* SPDX-License-Identifier: Apache-2.0
 * whole.c - `muster cron` with its disk and HTTP, below a real master with simulated agents. In this order:
 *
 *   store     what the same bytes cost LevelDB alone, written and synced in batches: the limit of the next part
 *   one-shots a job posted and its run posted, each answered before the next, on many connections at a time; accepted to
 *             arrived at an agent
 *   array     one run of many tasks
 *   jobs      scheduled jobs posted; the process started again; a list of 100; idle
 *
 * Prints `figure NAME VALUE UNIT`. On a shared machine rates by CPU time of the process tell more than those by the clock.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/base/check.h"
#include "common/base/options.h"
#include "common/real/loop_ev.h"
#include "common/real/store_leveldb.h"
#include "tests/bench/agents.h"

#define ANSWER_MAX (1u << 20)
#define STORE_RECORD 300 /* bytes of a record of cron, and how many a one-shot job writes: job, progress, run, history */
#define STORE_RECORDS 4
#define STORE_BATCH 64 /* jobs of one synced batch */

struct bench;
struct connection { /* sends a request, reads its answer, asks for the next */
    struct bench *b;
    struct loop_fd *watch;
    int fd;
    int64_t job; /* number of the present one */
    int step;    /* of the job */
    char *answer;
    size_t answer_len;
};

struct bench {
    /* options */
    char *program, *dir;
    int64_t agents, connections, one_shots, array, jobs, idle_s, timeout_ms;

    struct loop *loop;
    struct bench_process master, cron;
    char work[4096], master_address[32];
    struct connection *all;
    size_t open;
    int64_t next_job, job_end;
    /* Text of a request; NULL: this job has no further step. */
    const char *(*request)(struct bench *b, int64_t job, int step);
    char text[2048];
    int64_t tasks, tasks_wanted;
    int64_t store_done;
};

/* -- requests --------------------------------------------------------------------------------------------------------- */

static const char *post(struct bench *b, const char *path, const char *body)
{
    int n = snprintf(b->text, sizeof(b->text),
                     "POST %s HTTP/1.1\r\nHost: cron\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
                     path, strlen(body), body);
    CHECK(n > 0 && n < (int)sizeof(b->text));
    return b->text;
}

static void send_next(struct connection *k)
{
    const char *text = NULL;
    while (text == NULL) {
        if (k->job >= 0)
            text = k->b->request(k->b, k->job, k->step++);
        if (text == NULL && k->b->next_job == k->b->job_end) {
            k->watch = loop_fd_remove(k->watch);
            (void)close(k->fd);
            if (--k->b->open == 0)
                loop_stop(k->b->loop);
            return;
        }
        if (text == NULL) {
            k->job = k->b->next_job++;
            k->step = 0;
        }
    }
    if (write(k->fd, text, strlen(text)) != (ssize_t)strlen(text)) /* small, and the last one was answered */
        bench_fail("a request could not be sent");
    loop_fd_set(k->watch, LOOP_READ);
    k->answer_len = 0;
}

static bool is_whole(const struct connection *k)
{
    const char *end = strstr(k->answer, "\r\n\r\n"), *length = strcasestr(k->answer, "\r\ncontent-length:");
    if (end == NULL || length == NULL)
        return false;
    return k->answer_len >= (size_t)(end + 4 - k->answer) + strtoul(length + 17, NULL, 10);
}

static void on_socket(void *ctx, int fd, unsigned ready)
{
    struct connection *k = ctx;
    if ((ready & LOOP_WRITE) && k->job < 0) {
        send_next(k);
        return;
    }
    ssize_t n = read(fd, k->answer + k->answer_len, ANSWER_MAX - 1 - k->answer_len);
    if (n <= 0)
        bench_fail(n == 0 ? "cron closed a connection" : strerror(errno));
    k->answer_len += (size_t)n;
    k->answer[k->answer_len] = '\0';
    if (!is_whole(k))
        return;
    if (strncmp(k->answer, "HTTP/1.1 20", 11) != 0)
        bench_fail(k->answer);
    send_next(k);
}

/* Jobs of the numbers [from, from + count), spread over so many connections. Returns when all are answered. */
static void load(struct bench *b, const char *(*request)(struct bench *b, int64_t job, int step), int64_t from,
                 int64_t count, int64_t connections)
{
    b->request = request;
    b->next_job = from;
    b->job_end = from + count;
    b->open = (size_t)connections;
    for (int64_t i = 0; i < connections; i++) {
        struct connection *k = &b->all[i];
        *k = (struct connection){.b = b, .job = -1, .answer = k->answer ? k->answer : xmalloc(ANSWER_MAX)};
        k->fd = bench_connect(b->cron.port);
        k->watch = loop_fd_add(b->loop, k->fd, LOOP_WRITE, on_socket, k);
    }
    loop_run(b->loop);
}

/* -- parts ------------------------------------------------------------------------------------------------------------ */

static void on_task(void *ctx)
{
    struct bench *b = ctx;
    if (++b->tasks == b->tasks_wanted)
        loop_stop(b->loop);
}

static void await_tasks(struct bench *b, int64_t wanted)
{
    b->tasks_wanted = wanted;
    if (b->tasks < wanted)
        loop_run(b->loop);
    b->tasks_wanted = -1;
}

static void start_cron(struct bench *b)
{
    const char *const args[] = {
        "--master",        b->master_address, "--http_port", "0",       "--hostname",   "127.0.0.1", "--work_dir", b->work,
        "--logging_level", "warning",         "--max_runs",  "1000000", "--mesos_user", "root",      NULL};
    bench_start(&b->cron, b->program, "cron", b->dir, args);
}

static void on_batch(void *ctx, uint64_t token, int result)
{
    struct bench *b = ctx;
    (void)token;
    CHECK(result == 0);
    b->store_done++;
    loop_stop(b->loop);
}

/* One-shot jobs a second that LevelDB can make durable when nothing else is done. */
static double store_limit(struct bench *b)
{
    struct err err;
    struct store *store;
    char path[4200], value[STORE_RECORD];
    static char keys[STORE_BATCH * STORE_RECORDS][32];
    struct store_write writes[STORE_BATCH * STORE_RECORDS];
    memset(value, 'x', sizeof(value));
    (void)snprintf(path, sizeof(path), "%s/limit", b->dir); /* fits */
    if (store_leveldb_open(b->loop, path, &store, &err) != 0)
        bench_fail(err.text);
    int64_t begin = bench_now_us(), jobs = 0;
    for (; jobs < b->one_shots; jobs += STORE_BATCH) {
        for (int i = 0; i < STORE_BATCH * STORE_RECORDS; i++) {
            (void)snprintf(keys[i], sizeof(keys[i]), "job/%d/%" PRId64, i % STORE_RECORDS, jobs + i / STORE_RECORDS);
            writes[i] = (struct store_write){keys[i], strlen(keys[i]), value, sizeof(value)};
        }
        store_write(store, writes, STORE_BATCH * STORE_RECORDS, (uint64_t)jobs, on_batch, b);
        loop_run(b->loop);
    }
    double rate = (double)jobs * 1e6 / (double)(bench_now_us() - begin);
    store_close(store);
    printf("figure cron_store_limit %.0f 1/s\n", rate);
    return rate;
}

static const char *one_shot(struct bench *b, int64_t job, int step)
{
    char text[512];
    if (step == 0) {
        (void)snprintf(text, sizeof(text),
                       "{\"id\":\"one-%" PRId64 "\",\"run\":{\"cmd\":\"true\",\"cpus\":0.01,\"mem\":32,\"disk\":0}}", job);
        return post(b, "/v1/jobs", text);
    }
    (void)snprintf(text, sizeof(text), "/v1/jobs/one-%" PRId64 "/runs", job);
    return step == 1 ? post(b, text, "{}") : NULL;
}

static void one_shots(struct bench *b)
{
    double limit = store_limit(b);
    load(b, one_shot, 0, 1, 1); /* offers, pages and connections are there */
    await_tasks(b, 1);
    int64_t begin = bench_now_us(), cpu = bench_cpu_us(&b->cron), master_cpu = bench_cpu_us(&b->master);
    load(b, one_shot, 1, b->one_shots, b->connections);
    double accepted_s = (double)(bench_now_us() - begin) / 1e6;
    await_tasks(b, 1 + b->one_shots);
    double n = (double)b->one_shots, seconds = (double)(bench_now_us() - begin) / 1e6;
    double cpu_us = (double)(bench_cpu_us(&b->cron) - cpu) / n;
    printf("figure cron_one_shots_accepted %.0f 1/s\nfigure cron_one_shots_launched %.0f 1/s\n", n / accepted_s,
           n / seconds);
    printf("figure cron_cpu_per_one_shot %.1f us\nfigure cron_one_shots_per_core %.0f 1/s\n", cpu_us, 1e6 / cpu_us);
    printf("figure cron_master_cpu_per_one_shot %.1f us\n", (double)(bench_cpu_us(&b->master) - master_cpu) / n);
    printf("figure cron_one_shots_vs_store %.3f ratio\n", n / seconds / limit);
}

static const char *array_job(struct bench *b, int64_t job, int step)
{
    char text[512];
    (void)job;
    (void)snprintf(text, sizeof(text),
                   "{\"id\":\"array\",\"run\":{\"cmd\":\"true\",\"cpus\":0.01,\"mem\":32,\"disk\":0,"
                   "\"array\":{\"count\":%" PRId64 ",\"parallel\":5000}}}",
                   b->array);
    return step == 0 ? post(b, "/v1/jobs", text) : NULL;
}

static const char *array_run(struct bench *b, int64_t job, int step)
{
    (void)job;
    return step == 0 ? post(b, "/v1/jobs/array/runs", "{}") : NULL;
}

static void array(struct bench *b)
{
    int64_t before = b->tasks, before_kb = bench_memory_kb(&b->cron, "VmHWM");
    load(b, array_job, 0, 1, 1);
    int64_t begin = bench_now_us(), cpu = bench_cpu_us(&b->cron);
    load(b, array_run, 0, 1, 1);
    printf("figure cron_array_accepted %.2f ms\n", (double)(bench_now_us() - begin) / 1e3);
    await_tasks(b, before + b->array);
    double n = (double)b->array, cpu_us = (double)(bench_cpu_us(&b->cron) - cpu) / n;
    printf("figure cron_array_tasks %.0f 1/s\nfigure cron_array_cpu_per_task %.1f us\n",
           n * 1e6 / (double)(bench_now_us() - begin), cpu_us);
    printf("figure cron_array_memory_peak %.1f MB\nfigure cron_array_memory_growth %.1f MB\n",
           (double)bench_memory_kb(&b->cron, "VmHWM") / 1024,
           (double)(bench_memory_kb(&b->cron, "VmHWM") - before_kb) / 1024);
}

static const char *scheduled_job(struct bench *b, int64_t job, int step)
{
    char text[512];
    (void)snprintf(text, sizeof(text),
                   "{\"id\":\"team%d.job-%" PRId64 "\",\"run\":{\"cmd\":\"/usr/bin/run-it --number %" PRId64
                   "\",\"cpus\":0.1,\"mem\":64,\"disk\":0,\"env\":{\"NUMBER\":\"%" PRId64
                   "\"}},\"schedules\":[{\"id\":\"s\",\"cron\":"
                   "\"%d %d %d %d *\",\"timezone\":\"Europe/Rome\"}]}",
                   (int)(job % 100), job, job, job, (int)(job % 60), (int)(job / 60 % 24), (int)(job / 1440 % 28 + 1),
                   (int)(job / 40320 % 12 + 1));
    return step == 0 ? post(b, "/v0/scheduled-jobs", text) : NULL;
}

static const char *list_jobs(struct bench *b, int64_t job, int step)
{
    (void)b;
    (void)job;
    return step == 0 ? "GET /v1/jobs?limit=100&embed=schedules&embed=historySummary HTTP/1.1\r\nHost: cron\r\n\r\n" : NULL;
}

static void on_idle_end(void *ctx)
{
    loop_stop(((struct bench *)ctx)->loop);
}

static void jobs(struct bench *b)
{
    int64_t begin = bench_now_us();
    load(b, scheduled_job, 0, b->jobs, b->connections);
    printf("figure cron_jobs_posted %.0f 1/s\n", (double)b->jobs * 1e6 / (double)(bench_now_us() - begin));
    bench_stop(&b->cron);
    begin = bench_now_us();
    start_cron(b);
    printf("figure cron_start_up %.3f s\n", (double)(bench_now_us() - begin) / 1e6);
    printf("figure cron_start_up_cpu %.3f s\n", (double)bench_cpu_us(&b->cron) / 1e6);
    printf("figure cron_memory_with_jobs %.1f MB\n", (double)bench_memory_kb(&b->cron, "VmRSS") / 1024);
    begin = bench_now_us();
    load(b, list_jobs, 0, 20, 1);
    printf("figure cron_list_of_100 %.2f ms\n", (double)(bench_now_us() - begin) / 1e3 / 20);
    int64_t cpu = bench_cpu_us(&b->cron);
    struct loop_timer *timer = loop_timer_add(b->loop, on_idle_end, b);
    loop_timer_start(timer, b->idle_s * 1000);
    loop_run(b->loop);
    (void)loop_timer_remove(timer);
    printf("figure cron_idle_cpu %.3f %%\n", (double)(bench_cpu_us(&b->cron) - cpu) / 1e4 / (double)b->idle_s);
}

/* -- all together ----------------------------------------------------------------------------------------------------- */

static void on_registered(void *ctx)
{
    loop_stop(((struct bench *)ctx)->loop);
}

static void on_timeout(void *ctx)
{
    struct bench *b = ctx;
    fprintf(stderr, "bench: %" PRId64 " tasks arrived, %" PRId64 " wanted, %zu connections open\n", b->tasks,
            b->tasks_wanted, b->open);
    bench_fail("not done in time");
}

static const struct option_def options[] = {
    {"program", OPTION_STRING, offsetof(struct bench, program), NULL, "the muster program", OPTION_REQUIRED, 0, 0},
    {"dir", OPTION_STRING, offsetof(struct bench, dir), NULL, "an empty directory", OPTION_REQUIRED, 0, 0},
    {"agents", OPTION_INT, offsetof(struct bench, agents), "100", "simulated agents", 0, 1, 18000},
    {"connections", OPTION_INT, offsetof(struct bench, connections), "128", "requests at a time", 0, 1, 1000},
    {"one_shots", OPTION_INT, offsetof(struct bench, one_shots), "20000", "one-shot jobs, 0: leave out", 0, 0, 10000000},
    {"array", OPTION_INT, offsetof(struct bench, array), "1000000", "tasks of the array, 0: leave out", 0, 0, 10000000},
    {"jobs", OPTION_INT, offsetof(struct bench, jobs), "100000", "scheduled jobs, 0: leave out", 0, 0, 10000000},
    {"idle", OPTION_INT, offsetof(struct bench, idle_s), "10", "seconds to look at the idle process", 0, 1, 3600},
    {"timeout", OPTION_DURATION, offsetof(struct bench, timeout_ms), "15mins", "limit of the whole run", 0, 0, 0},
};
#define OPTION_COUNT (sizeof(options) / sizeof(options[0]))

static void start_cluster(struct bench *b)
{
    char work[4096];
    CHECK(snprintf(work, sizeof(work), "%s/master", b->dir) < (int)sizeof(work));
    CHECK(snprintf(b->work, sizeof(b->work), "%s/cron", b->dir) < (int)sizeof(b->work));
    bench_start(&b->master, b->program, "master", b->dir, (const char *[]){"--port", "0", "--work_dir", work, NULL});
    (void)snprintf(b->master_address, sizeof(b->master_address), "127.0.0.1:%u", b->master.port); /* fits */
    (void)sim_agents_new(&(struct sim_agents_config){.loop = b->loop,
                                                     .port = b->master.port,
                                                     .count = (size_t)b->agents,
                                                     .registered = on_registered,
                                                     .task = on_task,
                                                     .ctx = b}); /* to the end of the process */
    loop_run(b->loop);
    start_cron(b);
}

int main(int argc, char **argv)
{
    struct bench *b = xcalloc(1, sizeof(*b));
    struct err err;
    struct rlimit files;
    if (options_parse(options, OPTION_COUNT, b, argc, argv, NULL, NULL, &err) != 0) {
        fprintf(stderr, "bench: %s\n", err.text);
        return 2;
    }
    CHECK(getrlimit(RLIMIT_NOFILE, &files) == 0);
    files.rlim_cur = files.rlim_max;
    CHECK(setrlimit(RLIMIT_NOFILE, &files) == 0);
    b->loop = loop_ev_new();
    CHECK(b->loop != NULL);
    b->all = xcalloc((size_t)b->connections, sizeof(b->all[0]));
    struct loop_timer *limit = loop_timer_add(b->loop, on_timeout, b);
    loop_timer_start(limit, b->timeout_ms);
    start_cluster(b);
    if (b->one_shots > 0)
        one_shots(b);
    if (b->array > 0)
        array(b);
    if (b->jobs > 0)
        jobs(b);
    bench_stop(&b->cron);
    bench_stop(&b->master);
    return 0;
}
