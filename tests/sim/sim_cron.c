/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/sim_cron.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"
#include "common/base/json.h"
#include "common/base/text.h"
#include "sim/check.h"
#include "sim/sim_kit.h"

#define OPERATOR_MS 5000
#define FIRST_MOMENT "2023-11-14T22:13:30Z" /* ten seconds after the calendar's beginning */

#define RUN(more) "\"run\":{\"cmd\":\"work\",\"cpus\":0.1,\"mem\":32,\"disk\":0,\"maxRunSeconds\":40" more "}"

struct job {
    const char *id, *body;
    int period_s;     /* of its schedule, 0: none */
    const char *more; /* of its schedule */
    bool runs_by_hand;
};
static const struct job jobs[] = {
    {"tick", RUN(""), 20, ",\"missedPolicy\":\"CATCH_UP\",\"catchUpLimit\":1000", false},
    {"lazy", RUN(""), 30, ",\"missedPolicy\":\"SKIP\",\"startingDeadlineSeconds\":60", false},
    {"solo", RUN(""), 45, ",\"missedPolicy\":\"RUN_ONCE\",\"concurrencyPolicy\":\"FORBID\"", false},
    {"swap", RUN(""), 50, ",\"concurrencyPolicy\":\"REPLACE\"", false},
    {"root", RUN(""), 90, "", false},
    {"leaf", RUN("") ",\"dependencies\":[{\"id\":\"root\"}]", 0, NULL, false},
    {"tail", RUN("") ",\"dependencies\":[{\"id\":\"root\"},{\"id\":\"leaf\"}],\"dependencyPolicy\":\"COMPLETION\"", 0, NULL,
     false},
    {"many", RUN(",\"array\":{\"count\":9,\"parallel\":3}"), 0, NULL, true},
};
#define JOBS ((int)(sizeof(jobs) / sizeof(jobs[0])))

enum wish { WISH_JOB, WISH_RUN, WISH_END, WISH_NONE }; /* what is to be accepted next */

struct sim_cron {
    struct sim_kit kit;
    struct zones *zones;
    enum wish wishes[JOBS];
    request_id request_of[JOBS]; /* the newest */
    request_id next_request;
    bool is_ending;
};

bool sim_cron_is_task_id(const char *task_id)
{
    for (int i = 0; i < JOBS; i++) {
        size_t n = strlen(jobs[i].id);
        if (strncmp(task_id, jobs[i].id, n) == 0 && task_id[n] == '_')
            return true;
    }
    return false;
}

/* -- the operator --------------------------------------------------------------------------------------------- */

static void next_wish(struct sim_cron *s, int job)
{
    enum wish had = s->wishes[job];
    if (had == WISH_JOB && jobs[job].runs_by_hand)
        s->wishes[job] = WISH_RUN;
    else if (had != WISH_END && jobs[job].period_s > 0 && s->is_ending)
        s->wishes[job] = WISH_END;
    else
        s->wishes[job] = WISH_NONE;
}

static void on_reply(struct sim_kit *k, const struct kit_effect *e)
{
    struct sim_cron *s = (struct sim_cron *)k;
    if (e->reply.status >= 300)
        world_log(k->node.world, k->node.name, "answers %d %.*s", e->reply.status, (int)e->reply.body_len,
                  e->reply.body ? e->reply.body : "");
    for (int i = 0; i < JOBS; i++) {
        bool is_good = e->reply.status < 300 || e->reply.status == 409; /* it was accepted, the answer was lost */
        if (s->request_of[i] == e->reply.id && is_good)
            next_wish(s, i);
    }
}

static void put_schedule(const struct job *j, bool is_enabled, char *out, size_t size)
{
    (void)snprintf(out, size, "{\"id\":\"every\",\"interval\":\"R/" FIRST_MOMENT "/PT%dS\",\"enabled\":%s%s}", j->period_s,
                   is_enabled ? "true" : "false", j->more);
}

static void ask(struct sim_cron *s, int job)
{
    const struct job *j = &jobs[job];
    char schedule[512] = "", text[1536] = "";
    struct cron_request r = {.id = ++s->next_request, .job_id = j->id};
    if (j->period_s > 0)
        put_schedule(j, s->wishes[job] != WISH_END, schedule, sizeof(schedule));
    if (s->wishes[job] == WISH_JOB) {
        r.type = CRON_CREATE_JOB;
        r.with_schedules = true;
        (void)snprintf(text, sizeof(text), "{\"id\":\"%s\",%s,\"schedules\":[%s]}", j->id, j->body, schedule);
    } else if (s->wishes[job] == WISH_RUN) {
        r.type = CRON_CREATE_RUN;
    } else {
        r.type = CRON_PUT_SCHEDULE;
        r.schedule_id = "every";
        (void)snprintf(text, sizeof(text), "%s", schedule);
    }
    json_t *body = text[0] ? json_read(text, strlen(text), NULL) : NULL;
    CHECK(text[0] == '\0' || body != NULL);
    r.body = body;
    s->request_of[job] = r.id;
    struct kit_event in = {.type = KIT_EVENT_REQUEST, .request = &r};
    sim_kit_step(&s->kit, &in);
    json_decref(body);
}

static void on_operator(void *ctx)
{
    struct sim_cron *s = ctx;
    for (int i = 0; i < JOBS && s->kit.node.is_up; i++)
        if (s->wishes[i] != WISH_NONE)
            ask(s, i);
    world_after(s->kit.node.world, OPERATOR_MS, NULL, on_operator, NULL, s);
}

void sim_cron_end_schedules(struct sim_cron *s)
{
    s->is_ending = true;
    for (int i = 0; i < JOBS; i++)
        if (s->wishes[i] == WISH_NONE && jobs[i].period_s > 0)
            s->wishes[i] = WISH_END;
}

static void on_crashed(struct sim_kit *k)
{
    struct sim_cron *s = (struct sim_cron *)k;
    memset(s->request_of, 0, sizeof(s->request_of)); /* never answered */
}

/* -- moments -------------------------------------------------------------------------------------------------- */

struct tally { /* of one job */
    struct sim_cron *sim;
    const struct job *job;
    int64_t first_ms, period_ms;
    int64_t count;   /* moments that were decided */
    unsigned *times; /* how often each */
};

static int64_t time_of(const json_t *record, const char *key)
{
    int64_t ms = 0;
    const char *text = json_string_value(json_object_get(record, key));
    char iso[64];
    if (text == NULL)
        return 0;
    (void)snprintf(iso, sizeof(iso), "%.*sZ", (int)strcspn(text, "+"), text); /* +0000 */
    CHECK(text_to_time_ms(iso, &ms) == 0);
    return ms;
}

/* The moments in [first_ms, last_ms] once more. */
static void add(struct tally *t, int64_t first_ms, int64_t last_ms)
{
    for (int64_t k = 0; k < t->count; k++) {
        int64_t at = t->first_ms + k * t->period_ms;
        t->times[k] += at >= first_ms && at <= last_ms;
    }
}

static void add_record(struct tally *t, const json_t *record)
{
    int64_t due = time_of(record, "dueAt"), from = time_of(record, "intervalStart");
    bool stands_for_all = strcmp(t->job->id, "solo") == 0; /* RUN_ONCE: for all behind the run before */
    if (due == 0)
        add(t, time_of(record, "firstDueAt"), time_of(record, "lastDueAt"));
    else
        add(t, stands_for_all && from != due ? from + 1 : due, due);
}

static bool has_prefix(const struct sim_item *item, const char *prefix, const char *job_id)
{
    size_t n = strlen(prefix), m = strlen(job_id);
    const char *key = item->key;
    return item->key_len > n + 4 + m && memcmp(key, prefix, n) == 0 && memcmp(key + n + 3, job_id, m) == 0 &&
           key[n + 3 + m] == '/';
}

static void count_records(struct tally *t, const struct sim_item *items, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!has_prefix(&items[i], CRON_HISTORY_PREFIX, t->job->id))
            continue;
        json_t *record = json_read(items[i].value, items[i].value_len, NULL);
        CHECK(record != NULL);
        add_record(t, record);
        json_decref(record);
    }
}

static int64_t decided_ms(const struct job *j, const struct sim_item *items, size_t count)
{
    size_t n = strlen(CRON_STORE_PREFIX "progress/"), m = strlen(j->id);
    for (size_t i = 0; i < count; i++) {
        const char *key = items[i].key;
        if (items[i].key_len != n + 3 + m || memcmp(key, CRON_STORE_PREFIX "progress/", n) != 0 ||
            memcmp(key + n + 3, j->id, m) != 0)
            continue;
        json_t *json = json_read(items[i].value, items[i].value_len, NULL);
        int64_t ms = (int64_t)json_integer_value(json_object_get(json, "decided"));
        json_decref(json);
        return ms;
    }
    return 0;
}

void sim_cron_look_at_moments(struct sim_cron *s)
{
    const struct sim_item *items;
    size_t count = sim_store_items(s->kit.store, &items);
    for (int i = 0; i < JOBS; i++) {
        struct tally t = {.sim = s, .job = &jobs[i], .period_ms = jobs[i].period_s * 1000};
        int64_t decided = decided_ms(&jobs[i], items, count);
        CHECK(text_to_time_ms(FIRST_MOMENT, &t.first_ms) == 0);
        if (jobs[i].period_s == 0 || decided < t.first_ms)
            continue;
        t.count = (decided - t.first_ms) / t.period_ms + 1;
        t.times = xcalloc((size_t)t.count, sizeof(t.times[0]));
        count_records(&t, items, count);
        for (int64_t k = 0; k < t.count; k++) {
            char text[TEXT_TIME_SIZE];
            text_format_time_ms(t.first_ms + k * t.period_ms, text);
            if (t.times[k] != 1)
                world_violate(s->kit.node.world, "cron", "the moment %s of %s was decided %u times", text, jobs[i].id,
                              t.times[k]);
        }
        free(t.times);
    }
}

/* -- life ----------------------------------------------------------------------------------------------------- */

static void *new_core(struct sim_kit *k)
{
    struct sim_cron *s = (struct sim_cron *)k;
    struct cron_config config = {.zones = s->zones, .history_count = 1000000, .seed = rng_next(&k->node.world->rng)};
    return cron_new(&config);
}

static void *free_core(void *core)
{
    return cron_free(core);
}

static int step(void *core, const struct kit_event *in, struct kit_effects *out)
{
    return cron_step(core, in, out);
}

static int64_t next_deadline(const void *core)
{
    return cron_next_deadline(core);
}

static size_t known_tasks(const void *core, struct arena *a, const struct sdk_task **out)
{
    return cron_known_tasks(core, a, out);
}

static const char *framework_id(const void *core)
{
    return cron_framework_id(core);
}

static void check(const void *core)
{
    cron_check_invariants(core);
}

static void free_cron(struct sim_kit *k)
{
    struct sim_cron *s = (struct sim_cron *)k;
    s->zones = zones_free(s->zones);
}

static const struct sim_kit_ops ops = {.store_prefix = CRON_STORE_PREFIX,
                                       .new_core = new_core,
                                       .free_core = free_core,
                                       .step = step,
                                       .next_deadline = next_deadline,
                                       .known_tasks = known_tasks,
                                       .framework_id = framework_id,
                                       .check = check,
                                       .reply = on_reply,
                                       .crashed = on_crashed,
                                       .freed = free_cron};

struct sim_cron *sim_cron_new(struct world *w, const char *name, struct sim_node *master)
{
    struct sim_cron *s = xcalloc(1, sizeof(*s));
    s->zones = zones_new(zone_read_system, NULL); /* asked for UTC only, which needs no file */
    sim_kit_init(&s->kit, w, name, master, &ops);
    world_after(w, 100, NULL, on_operator, NULL, s);
    return s;
}

struct sim_node *sim_cron_node(struct sim_cron *s)
{
    return &s->kit.node;
}

struct sim_store *sim_cron_store(struct sim_cron *s)
{
    return s->kit.store;
}

bool sim_cron_is_settled(const struct sim_cron *s, char text[256])
{
    const char *why = NULL;
    struct cron_counts n = {0};
    if (!s->kit.node.is_up || s->kit.core == NULL)
        why = "is down";
    else if (!sim_kit_is_settled(&s->kit))
        why = "is not subscribed and reconciled";
    for (int i = 0; i < JOBS && why == NULL; i++)
        if (s->wishes[i] != WISH_NONE || !s->is_ending)
            why = "has not accepted what the operator wants";
    if (why == NULL) {
        cron_get_counts(s->kit.core, &n);
        if (n.runs > 0 || n.graphs > 0)
            why = "has runs";
    }
    if (why != NULL)
        (void)snprintf(text, 256, "%s %s (%llu runs, %llu queued, %llu tasks)", s->kit.node.name, why,
                       (unsigned long long)n.runs, (unsigned long long)n.queued, (unsigned long long)n.tasks);
    return why == NULL;
}

const char *sim_cron_framework_id(const struct sim_cron *s)
{
    return s->kit.core ? cron_framework_id(s->kit.core) : NULL;
}

bool sim_cron_knows(const struct sim_cron *s, const char *task_id)
{
    return sim_kit_knows(&s->kit, task_id);
}
