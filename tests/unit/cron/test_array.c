/* SPDX-License-Identifier: Apache-2.0
 * test_array.c - a large array from the request to its record, on offers and updates made of plain data, across a restart:
 * every index runs once (and once more for each retry), never more of them at a time than may be, and neither memory nor
 * what is stored grows with the count. 100,000 indices; `unit_cron_test_array 1000000` runs another number and tells the
 * figures. */
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "common/base/arena.h"
#include "common/base/buf.h"
#include "common/base/check.h"
#include "common/base/map.h"
#include "common/base/text.h"
#include "frameworks/cron/cron.h"
#include "tests/support/offer.h"

#define PARALLEL 1000
#define CHUNK 4096 /* indices whose failures are one stored key */
#define HEAP_BYTES_MAX (6 << 20)
#define ACCEPT_MS_MAX 50

static int64_t count = 100000;

/* Which indices fail: some once, so that the retry is good, some always. */
static bool fails(int64_t index, int start)
{
    return index % 5000 == 17 || (index % 500 == 3 && start == 1);
}

struct live { /* a launched task */
    char id[160];
    int64_t index;
};

struct drive {
    struct cron *c;
    struct cron_config config;
    int64_t now_ms;
    struct map store; /* key -> struct buf */
    size_t store_bytes, keys_max, bytes_max;
    uint64_t token;
    bool wants_offers;
    int status;
    char *history;
    struct live *live;
    size_t live_count, live_max;
    uint8_t *starts, *ends; /* by index */
    unsigned offers, updates;
    size_t heap_before, heap_max;
};

/* -- memory and time ------------------------------------------------------------------------------------------------ */

static size_t heap_bytes(void)
{
    struct mallinfo2 m = mallinfo2(); /* zero with sanitizers, whose allocator is another */
    return m.uordblks + m.hblkhd;
}

static void look_at_heap(struct drive *d)
{
    size_t now = heap_bytes(), used = now > d->heap_before ? now - d->heap_before : 0;
    d->heap_max = used > d->heap_max ? used : d->heap_max;
}

static double cpu_ms(void)
{
    struct timespec t;
    CHECK(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t) == 0);
    return (double)t.tv_sec * 1000 + (double)t.tv_nsec / 1e6;
}

/* -- the world around the core -------------------------------------------------------------------------------------- */

static void forget(struct drive *d, const char *key)
{
    struct buf *old = map_remove(&d->store, key);
    if (old == NULL)
        return;
    d->store_bytes -= buf_len(old);
    buf_deinit(old);
    free(old);
}

static void put(struct drive *d, const struct kit_write *w)
{
    forget(d, w->key);
    if (w->value == NULL)
        return;
    struct buf *b = xcalloc(1, sizeof(*b));
    buf_init(b, 0);
    CHECK(buf_append(b, w->value, w->value_len) == 0);
    d->store_bytes += w->value_len;
    (void)map_put(&d->store, w->key, b); /* was forgotten */
    if (strncmp(w->key, CRON_HISTORY_PREFIX, strlen(CRON_HISTORY_PREFIX)) == 0) {
        free(d->history);
        d->history = xstrndup(w->value, w->value_len);
    }
}

static int64_t index_of(const Mesos__V1__TaskInfo *t)
{
    const Mesos__V1__Environment *e = t->command->environment;
    int64_t index = -1;
    for (size_t i = 0; i < e->n_variables; i++)
        if (strcmp(e->variables[i]->name, "MUSTER_JOB_ARRAY_INDEX") == 0)
            CHECK(text_to_int64(e->variables[i]->value, &index) == 0);
    return index;
}

static void on_launch(struct drive *d, const Mesos__V1__TaskInfo *t)
{
    int64_t index = index_of(t);
    assert_in_range(index, 0, count - 1);
    if (d->live_count >= PARALLEL)
        fail_msg("index %lld is launched beside %zu others", (long long)index, d->live_count);
    d->starts[index]++;
    struct live *l = &d->live[d->live_count++];
    (void)snprintf(l->id, sizeof(l->id), "%s", t->task_id->value); /* ids of this job fit */
    l->index = index;
    d->live_max = d->live_count > d->live_max ? d->live_count : d->live_max;
}

static void carry_out(struct drive *d, const struct kit_effect *e)
{
    if (e->type == KIT_EFFECT_STORE) {
        d->token = e->store.token;
        for (size_t i = 0; i < e->store.count; i++)
            put(d, &e->store.writes[i]);
        d->keys_max = map_count(&d->store) > d->keys_max ? map_count(&d->store) : d->keys_max;
        d->bytes_max = d->store_bytes > d->bytes_max ? d->store_bytes : d->bytes_max;
    } else if (e->type == KIT_EFFECT_WANT_OFFERS) {
        d->wants_offers = e->want_offers;
    } else if (e->type == KIT_EFFECT_REPLY) {
        d->status = e->reply.status;
    } else if (e->type == KIT_EFFECT_CALL && e->call->accept != NULL) {
        const Mesos__V1__Offer__Operation__Launch *launch = e->call->accept->operations[0]->launch;
        for (size_t i = 0; i < launch->n_task_infos; i++)
            on_launch(d, launch->task_infos[i]);
    }
    CHECK(e->type != KIT_EFFECT_FATAL);
}

static void step(struct drive *d, struct kit_event *in)
{
    struct kit_effects out;
    for (struct kit_event done; in != NULL; in = d->token != 0 ? &done : NULL) {
        in->now_ms = d->now_ms;
        in->wall_ms = 1700000000000 + d->now_ms;
        CHECK(cron_step(d->c, in, &out) == 0);
        d->token = 0;
        for (size_t i = 0; i < out.count; i++)
            carry_out(d, &out.items[i]);
        done = (struct kit_event){.type = KIT_EVENT_STORE_DONE, .store_done = {.token = d->token}};
    }
}

static void start(struct drive *d)
{
    struct kit_item *items = xcalloc(map_count(&d->store) + 1, sizeof(items[0]));
    size_t n = 0;
    for (struct map_entry *e = map_first(&d->store); e; e = map_next(e)) {
        const struct buf *b = map_value(e);
        items[n++] = (struct kit_item){map_key(e), strlen(map_key(e)), buf_data(b), buf_len(b)};
    }
    d->c = cron_new(&d->config);
    struct kit_event in = {.type = KIT_EVENT_STARTED, .started = {items, n}};
    step(d, &in);
    free(items);
    in = (struct kit_event){.type = KIT_EVENT_SUBSCRIBED, .subscribed = {.framework_id = "F"}};
    step(d, &in);
    in = (struct kit_event){.type = KIT_EVENT_SETTLED};
    step(d, &in);
}

static void request(struct drive *d, struct cron_request *r, const char *text)
{
    json_t *body = text ? json_read(text, strlen(text), NULL) : NULL;
    CHECK(text == NULL || body != NULL);
    r->id = 1;
    r->body = body;
    struct kit_event in = {.type = KIT_EVENT_REQUEST, .request = r};
    step(d, &in);
    json_decref(body);
}

static void offer(struct drive *d)
{
    struct arena *a = arena_new(0);
    Mesos__V1__Offer *o = support_offer(a, ++d->offers, "h1", NULL, PARALLEL, PARALLEL * 100);
    struct kit_event in = {.type = KIT_EVENT_OFFERS, .offers = {&o, 1}};
    step(d, &in);
    (void)arena_free(a);
}

static void update(struct drive *d, const char *task_id, Mesos__V1__TaskState state)
{
    Mesos__V1__AgentID agent = MESOS__V1__AGENT_ID__INIT;
    Mesos__V1__TaskStatus status = MESOS__V1__TASK_STATUS__INIT;
    Mesos__V1__TaskID id = MESOS__V1__TASK_ID__INIT;
    uint8_t uuid[16] = {0};
    memcpy(uuid, &d->updates, sizeof(d->updates));
    d->updates++;
    agent.value = (char *)"agent-h1";
    id.value = (char *)task_id;
    status.task_id = &id;
    status.agent_id = &agent;
    status.state = state;
    status.has_uuid = 1;
    status.uuid = (ProtobufCBinaryData){sizeof(uuid), uuid};
    struct kit_event in = {.type = KIT_EVENT_UPDATE, .update = &status};
    step(d, &in);
}

/* From the newest on, so that indices end in another order than they began. */
static void end_tasks(struct drive *d, size_t but)
{
    while (d->live_count > but) {
        struct live l = d->live[d->live_count - 1];
        bool is_bad = fails(l.index, d->starts[l.index]);
        update(d, l.id, MESOS__V1__TASK_STATE__TASK_RUNNING);
        d->live_count--; /* what is launched because of its end may take its place */
        d->ends[l.index]++;
        update(d, l.id, is_bad ? MESOS__V1__TASK_STATE__TASK_FAILED : MESOS__V1__TASK_STATE__TASK_FINISHED);
    }
}

/* -- the story ------------------------------------------------------------------------------------------------------ */

static void begin(struct drive *d)
{
    memset(d, 0, sizeof(*d));
    d->config.zones = zones_new(zone_read_system, NULL);
    d->config.seed = 1;
    map_init(&d->store);
    d->live = xcalloc(PARALLEL, sizeof(d->live[0]));
    d->starts = xcalloc((size_t)count, 1);
    d->ends = xcalloc((size_t)count, 1);
    start(d);
    d->heap_before = heap_bytes();
}

static void finish(struct drive *d)
{
    (void)cron_free(d->c);
    (void)zones_free(d->config.zones);
    while (map_count(&d->store) > 0)
        forget(d, map_key(map_first(&d->store)));
    map_deinit(&d->store);
    free(d->history);
    free(d->live);
    free(d->starts);
    free(d->ends);
}

static void accept(struct drive *d)
{
    char body[512];
    (void)snprintf(body, sizeof(body),
                   "{\"id\":\"array\",\"run\":{\"cmd\":\"true\",\"cpus\":0.01,\"mem\":32,\"disk\":0,"
                   "\"array\":{\"count\":%lld,\"parallel\":%d},"
                   "\"restart\":{\"policy\":\"ON_FAILURE\",\"retries\":1,\"delaySeconds\":0}}}",
                   (long long)count, PARALLEL);
    double before = cpu_ms();
    struct cron_request r = {.type = CRON_CREATE_JOB};
    request(d, &r, body);
    assert_int_equal(d->status, 201);
    r = (struct cron_request){.type = CRON_CREATE_RUN, .job_id = "array"};
    request(d, &r, NULL);
    assert_int_equal(d->status, 201);
    double took = cpu_ms() - before;
    print_message("array of %lld: accepted in %.3f ms\n", (long long)count, took);
    assert_true(took < ACCEPT_MS_MAX);
}

static void expect_record(const struct drive *d, int64_t failed)
{
    char text[96];
    assert_non_null(d->history);
    (void)snprintf(text, sizeof(text), "\"running\":0,\"succeeded\":%lld,\"failed\":%lld", (long long)(count - failed),
                   (long long)failed);
    if (strstr(d->history, text) == NULL)
        fail_msg("%s is not in %s", text, d->history);
}

static void story__a_large_array_runs_every_index_once_in_bounded_memory(void **state)
{
    (void)state;
    struct drive d;
    begin(&d);
    accept(&d);
    double before = cpu_ms();
    bool has_restarted = false;
    for (int64_t rounds = 0; d.history == NULL; rounds++) {
        CHECK(rounds < count / PARALLEL * 4 + 100);
        d.now_ms += 10;
        struct kit_event in = {.type = KIT_EVENT_TICK};
        step(&d, &in);
        if (d.wants_offers)
            offer(&d);
        look_at_heap(&d);
        end_tasks(&d, d.offers % 7 == 0 ? PARALLEL / 3 : 0); /* sometimes not all of them */
        if (!has_restarted && d.offers > count / PARALLEL / 2) {
            has_restarted = true;
            d.c = cron_free(d.c);
            d.config.seed++;
            start(&d);
        }
    }
    double took_ms = cpu_ms() - before;
    assert_true(has_restarted);
    int64_t failed = 0;
    for (int64_t i = 0; i < count; i++) {
        int wanted = fails(i, 1) ? 2 : 1;
        if (d.starts[i] != wanted || d.ends[i] != wanted)
            fail_msg("index %lld was started %d times and ended %d times, not %d", (long long)i, d.starts[i], d.ends[i],
                     wanted);
        failed += fails(i, 2);
    }
    expect_record(&d, failed);
    assert_int_equal(d.live_count, 0);
    assert_true(d.live_max > PARALLEL / 2); /* it is a test of so many at a time */
    size_t keys = map_count(&d.store), run_keys = 0;
    for (struct map_entry *e = map_first(&d.store); e; e = map_next(e))
        run_keys += strstr(map_key(e), "/task/") != NULL || strstr(map_key(e), "/run/") != NULL ||
                    strstr(map_key(e), "/failed/") != NULL;
    print_message(
        "%.0f tasks/s; at most %zu KiB of heap with the store's copy, %zu keys of %zu KiB stored; %zu keys left\n",
        (double)count * 1000 / took_ms, d.heap_max / 1024, d.keys_max, d.bytes_max / 1024, keys);
    assert_int_equal(run_keys, 0);
    assert_true(d.keys_max <= PARALLEL + (size_t)(count / CHUNK) + 16);
    assert_true(d.heap_max < HEAP_BYTES_MAX);
    finish(&d);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(story__a_large_array_runs_every_index_once_in_bounded_memory),
    };
    if (argc > 1 && (text_to_int64(argv[1], &count) != 0 || count < 5000 || count > 10000000)) {
        fprintf(stderr, "usage: unit_cron_test_array [COUNT]\n");
        return 2;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
