/* SPDX-License-Identifier: Apache-2.0
 * cron_bench.c - the core of cron against a store and agents made of plain data: what a step costs in CPU time, without
 * sockets and disk. bench_cron [JOBS [scheduled]] tells one-shot jobs per second, the acceptance and pace of an array of a
 * million, and start-up, listing and memory with JOBS scheduled jobs; with "scheduled" the last part only. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/base/check.h"
#include "common/base/json.h"
#include "common/base/map.h"
#include "frameworks/cron/cron.h"
#include "tests/support/offer.h"

struct value {
    void *data;
    size_t len;
};

struct bench {
    struct cron *c;
    struct zones *zones;
    int64_t now_ms;
    struct map store;
    bool keeps; /* what is written; else it is forgotten */
    uint64_t token;
    bool wants_offers;
    int status;
    size_t body_len;
    char (*tasks)[256]; /* launched, not ended */
    size_t task_count, task_capacity;
    unsigned offers;
};

static double seconds(void)
{
    struct timespec t;
    CHECK(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t) == 0);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void put(struct bench *b, const struct kit_write *w)
{
    struct value *old = map_remove(&b->store, w->key);
    if (old)
        free(old->data);
    free(old);
    if (w->value == NULL)
        return;
    struct value *v = xcalloc(1, sizeof(*v));
    *v = (struct value){xmemdup(w->value, w->value_len), w->value_len};
    (void)map_put(&b->store, w->key, v); /* was removed */
}

static void on_call(struct bench *b, const Mesos__V1__Scheduler__Call *call)
{
    if (call->accept == NULL)
        return;
    const Mesos__V1__Offer__Operation__Launch *launch = call->accept->operations[0]->launch;
    for (size_t i = 0; i < launch->n_task_infos; i++) {
        if (b->task_count == b->task_capacity) {
            b->task_capacity = b->task_capacity ? 2 * b->task_capacity : 1024;
            b->tasks = xrealloc(b->tasks, b->task_capacity * sizeof(b->tasks[0]));
        }
        (void)snprintf(b->tasks[b->task_count++], sizeof(b->tasks[0]), "%s", launch->task_infos[i]->task_id->value);
    }
}

static void one_step(struct bench *b, struct kit_event *in)
{
    struct kit_effects out;
    in->now_ms = b->now_ms;
    in->wall_ms = 1700000000000 + b->now_ms;
    CHECK(cron_step(b->c, in, &out) == 0);
    b->token = 0;
    for (size_t i = 0; i < out.count; i++) {
        const struct kit_effect *e = &out.items[i];
        if (e->type == KIT_EFFECT_STORE) {
            b->token = e->store.token;
            for (size_t k = 0; b->keeps && k < e->store.count; k++)
                put(b, &e->store.writes[k]);
        } else if (e->type == KIT_EFFECT_CALL) {
            on_call(b, e->call);
        } else if (e->type == KIT_EFFECT_WANT_OFFERS) {
            b->wants_offers = e->want_offers;
        } else if (e->type == KIT_EFFECT_REPLY) {
            b->status = e->reply.status;
            b->body_len = e->reply.body_len;
        }
    }
}

static void step(struct bench *b, struct kit_event *in)
{
    one_step(b, in);
    while (b->token) {
        struct kit_event done = {.type = KIT_EVENT_STORE_DONE, .store_done = {.token = b->token}};
        one_step(b, &done);
    }
}

static void start(struct bench *b)
{
    struct cron_config config = {.zones = b->zones, .seed = 1, .runs_max = 10000000};
    struct kit_item *items = xcalloc(map_count(&b->store) + 1, sizeof(items[0]));
    size_t count = 0;
    for (struct map_entry *e = map_first(&b->store); e; e = map_next(e)) {
        const struct value *v = map_value(e);
        items[count++] = (struct kit_item){map_key(e), strlen(map_key(e)), v->data, v->len};
    }
    b->c = cron_new(&config);
    struct kit_event in = {.type = KIT_EVENT_STARTED, .started = {items, count}};
    step(b, &in);
    free(items);
    in = (struct kit_event){.type = KIT_EVENT_SUBSCRIBED, .subscribed = {.framework_id = "F"}};
    step(b, &in);
    in = (struct kit_event){.type = KIT_EVENT_SETTLED};
    step(b, &in);
}

/* The body as text, as it comes from the network. */
static void request(struct bench *b, struct cron_request *r, const char *text)
{
    json_t *body = text ? json_read(text, strlen(text), NULL) : NULL;
    CHECK(text == NULL || body != NULL);
    r->id = 1;
    r->body = body;
    struct kit_event in = {.type = KIT_EVENT_REQUEST, .request = r};
    step(b, &in);
    json_decref(body);
}

static void offer(struct bench *b, double cpus)
{
    struct arena *a = arena_new(0);
    Mesos__V1__Offer *o = support_offer(a, ++b->offers, "h1", NULL, cpus, cpus * 1000);
    struct kit_event in = {.type = KIT_EVENT_OFFERS, .offers = {&o, 1}};
    step(b, &in);
    (void)arena_free(a);
}

static void end_tasks(struct bench *b)
{
    Mesos__V1__AgentID agent = MESOS__V1__AGENT_ID__INIT;
    agent.value = (char *)"agent-h1";
    uint8_t uuid[16] = {1};
    for (size_t i = 0; i < b->task_count; i++) {
        static const Mesos__V1__TaskState states[] = {MESOS__V1__TASK_STATE__TASK_STARTING,
                                                      MESOS__V1__TASK_STATE__TASK_RUNNING,
                                                      MESOS__V1__TASK_STATE__TASK_FINISHED};
        for (int k = 0; k < 3; k++) {
            Mesos__V1__TaskStatus status = MESOS__V1__TASK_STATUS__INIT;
            Mesos__V1__TaskID id = MESOS__V1__TASK_ID__INIT;
            id.value = b->tasks[i];
            status.task_id = &id;
            status.agent_id = &agent;
            status.state = states[k];
            status.has_uuid = 1;
            status.uuid = (ProtobufCBinaryData){sizeof(uuid), uuid};
            struct kit_event in = {.type = KIT_EVENT_UPDATE, .update = &status};
            step(b, &in);
        }
    }
    b->task_count = 0;
}

static void one_shots(struct bench *b, int count)
{
    double begin = seconds();
    for (int i = 0; i < count; i++) {
        char body[512], id[32];
        (void)snprintf(id, sizeof(id), "job-%d", i);
        (void)snprintf(body, sizeof(body), "{\"id\":\"%s\",\"run\":{\"cmd\":\"true\",\"cpus\":0.01,\"mem\":32,\"disk\":0}}",
                       id);
        struct cron_request r = {.type = CRON_CREATE_JOB};
        request(b, &r, body);
        CHECK(b->status == 201);
        r = (struct cron_request){.type = CRON_CREATE_RUN, .job_id = id};
        request(b, &r, NULL);
        CHECK(b->status == 201);
        if (i % 100 == 99) { /* agents answer every now and then */
            offer(b, 100);
            end_tasks(b);
        }
        b->now_ms++;
    }
    double took = seconds() - begin;
    printf("one-shot jobs, posted, run, launched and ended: %.0f/s\n", count / took);
}

static void array(struct bench *b, int64_t count)
{
    char body[512];
    (void)snprintf(body, sizeof(body),
                   "{\"id\":\"array\",\"run\":{\"cmd\":\"true\",\"cpus\":0.01,\"mem\":32,\"disk\":0,"
                   "\"array\":{\"count\":%lld,\"parallel\":1000}}}",
                   (long long)count);
    double begin = seconds();
    struct cron_request r = {.type = CRON_CREATE_JOB};
    request(b, &r, body);
    r = (struct cron_request){.type = CRON_CREATE_RUN, .job_id = "array"};
    request(b, &r, NULL);
    CHECK(b->status == 201);
    printf("array of %lld accepted in %.3f ms\n", (long long)count, (seconds() - begin) * 1000);
    begin = seconds();
    size_t done = 0;
    while (b->wants_offers) {
        offer(b, 1000);
        done += b->task_count;
        end_tasks(b);
    }
    printf("array: %zu tasks launched and ended, %.0f/s\n", done, (double)done / (seconds() - begin));
}

static long resident_kb(void)
{
    long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (f == NULL || fscanf(f, "%*u %ld", &pages) != 1)
        pages = 0;
    if (f)
        (void)fclose(f); /* read only */
    return pages * 4;
}

static void scheduled(struct bench *b, int count)
{
    long before_kb = resident_kb();
    b->keeps = true;
    for (int i = 0; i < count; i++) {
        char body[512];
        (void)snprintf(body, sizeof(body),
                       "{\"id\":\"team%d.job-%d\",\"run\":{\"cmd\":\"/usr/bin/run-it --number %d\",\"cpus\":0.1,\"mem\":64,"
                       "\"disk\":0,\"env\":{\"NUMBER\":\"%d\"}},\"schedules\":[{\"id\":\"s\",\"cron\":\"%d %d * * *\","
                       "\"timezone\":\"Europe/Rome\"}]}",
                       i % 100, i, i, i, i % 60, i / 60 % 24);
        struct cron_request r = {.type = CRON_CREATE_JOB, .with_schedules = true};
        request(b, &r, body);
        CHECK(b->status == 201);
    }
    b->c = cron_free(b->c);
    double begin = seconds();
    start(b);
    double took = seconds() - begin;
    struct cron_counts n;
    cron_get_counts(b->c, &n);
    CHECK(n.jobs >= (uint64_t)count);
    printf("%d scheduled jobs: started in %.0f ms, %ld MB with the store's copy\n", count, took * 1000,
           (resident_kb() - before_kb) / 1024);
    begin = seconds();
    struct cron_request r = {
        .type = CRON_LIST_JOBS, .limit = 100, .embed = CRON_EMBED_ACTIVE_RUNS | CRON_EMBED_HISTORY_SUMMARY};
    request(b, &r, NULL);
    printf("list of 100: %.2f ms, %zu bytes\n", (seconds() - begin) * 1000, b->body_len);
    size_t ticks = 0;
    begin = seconds();
    for (int64_t end = b->now_ms + 60000; b->now_ms < end; ticks++) {
        int64_t next = cron_next_deadline(b->c);
        b->now_ms = next < end ? next : end;
        struct kit_event in = {.type = KIT_EVENT_TICK};
        step(b, &in);
    }
    cron_get_counts(b->c, &n);
    printf("one minute of them: %zu ticks, %llu runs decided, %.1f ms of work\n", ticks, (unsigned long long)n.runs,
           (seconds() - begin) * 1000);
}

int main(int argc, char **argv)
{
    struct bench b = {.zones = zones_new(zone_read_system, NULL)};
    int jobs = argc > 1 ? atoi(argv[1]) : 100000;
    bool is_whole = argc < 3;
    map_init(&b.store);
    start(&b);
    if (is_whole) {
        one_shots(&b, 20000);
        array(&b, 1000000);
    }
    scheduled(&b, jobs > 0 ? jobs : 1);
    b.c = cron_free(b.c);
    b.zones = zones_free(b.zones);
    for (struct map_entry *e = map_first(&b.store); e; e = map_next(e)) {
        free(((struct value *)map_value(e))->data);
        free(map_value(e));
    }
    map_deinit(&b.store);
    free(b.tasks);
    return 0;
}
