/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/sim_cron.h"

#include <stdio.h>
#include <string.h>

#include "common/base/check.h"
#include "common/base/json.h"
#include "sim/check_cron.h"
#include "sim/sim_kit.h"

#define OPERATOR_MS 5000
#define TIMES_MAX 512

enum wish { WISH_JOB, WISH_RUN, WISH_END, WISH_NONE }; /* what is to be accepted next */

struct times {
    int64_t list[TIMES_MAX];
    int count;
};

struct wanted { /* of one job */
    enum wish wish;
    int runs_left;
    request_id request; /* the newest */
    int64_t request_ms; /* on the calendar */
    struct times puts;
    struct sim_cron_asked asked;
};

struct sim_cron {
    struct sim_kit kit;
    struct zones *zones;
    struct sim_jobs jobs;
    struct wanted wanted[SIM_JOBS_MAX];
    request_id next_request;
    struct times starts, sets; /* sets: of the calendar, to this */
    bool is_ending;
};

static void note(struct times *t, int64_t at_ms)
{
    CHECK(t->count < TIMES_MAX);
    t->list[t->count++] = at_ms;
}

static bool has(const struct times *t, int64_t at_ms)
{
    for (int i = 0; i < t->count; i++)
        if (t->list[i] == at_ms)
            return true;
    return false;
}

/* -- the operator --------------------------------------------------------------------------------------------- */

static void accepted(struct sim_cron *s, int job)
{
    struct wanted *w = &s->wanted[job];
    const struct sim_job *j = &s->jobs.items[job];
    enum wish had = w->wish;
    if (had == WISH_JOB) {
        w->asked.created_ms = w->request_ms;
        w->runs_left = j->runs_by_hand;
    } else if (had == WISH_RUN) {
        w->runs_left--;
    } else if (had == WISH_END) {
        w->asked.end_last_ms = w->request_ms;
    }
    if (w->runs_left > 0)
        w->wish = WISH_RUN;
    else if (had != WISH_END && j->period_s > 0 && s->is_ending)
        w->wish = WISH_END;
    else
        w->wish = WISH_NONE;
}

static void on_reply(struct sim_kit *k, const struct kit_effect *e)
{
    struct sim_cron *s = (struct sim_cron *)k;
    if (e->reply.status >= 300)
        world_log(k->node.world, k->node.name, "answers %d %.*s", e->reply.status, (int)e->reply.body_len,
                  e->reply.body ? e->reply.body : "");
    if (e->reply.status == 422)
        world_violate(k->node.world, "cron", "the operator's request is not valid: %s", e->reply.body);
    for (int i = 0; i < s->jobs.count; i++) {
        bool is_good = e->reply.status < 300 || e->reply.status == 409; /* it was accepted, the answer was lost */
        if (s->wanted[i].request == e->reply.id && is_good)
            accepted(s, i);
    }
}

static void request(struct sim_cron *s, struct cron_request *r, const char *text)
{
    json_t *body = text[0] ? json_read(text, strlen(text), NULL) : NULL;
    CHECK(text[0] == '\0' || body != NULL);
    r->body = body;
    struct kit_event in = {.type = KIT_EVENT_REQUEST, .request = r};
    sim_kit_step(&s->kit, &in);
    json_decref(body);
}

static void ask(struct sim_cron *s, int job)
{
    const struct sim_job *j = &s->jobs.items[job];
    struct wanted *w = &s->wanted[job];
    char text[2048] = "";
    struct cron_request r = {.id = ++s->next_request, .job_id = j->id};
    w->request = r.id;
    w->request_ms = sim_kit_wall_ms(&s->kit);
    if (w->wish == WISH_JOB) {
        r.type = CRON_CREATE_JOB;
        r.with_schedules = true;
        note(&w->puts, w->request_ms);
        sim_job_write(&s->jobs, job, text, sizeof(text));
    } else if (w->wish == WISH_RUN) {
        r.type = CRON_CREATE_RUN;
    } else {
        r.type = CRON_PUT_SCHEDULE;
        r.schedule_id = "every";
        if (w->asked.end_first_ms == 0)
            w->asked.end_first_ms = w->request_ms;
        sim_job_write_schedule(j, false, text, sizeof(text));
    }
    request(s, &r, text);
}

static void on_operator(void *ctx)
{
    struct sim_cron *s = ctx;
    for (int i = 0; i < s->jobs.count && s->kit.node.is_up; i++)
        if (s->wanted[i].wish != WISH_NONE)
            ask(s, i);
    world_after(s->kit.node.world, OPERATOR_MS, NULL, on_operator, NULL, s);
}

void sim_cron_end_schedules(struct sim_cron *s)
{
    s->is_ending = true;
    for (int i = 0; i < s->jobs.count; i++)
        if (s->wanted[i].wish == WISH_NONE && s->jobs.items[i].period_s > 0 && s->wanted[i].asked.end_last_ms == 0)
            s->wanted[i].wish = WISH_END;
}

bool sim_cron_stop_one(struct sim_cron *s)
{
    char run_id[64];
    int job;
    if (!s->kit.node.is_up || !check_cron_any_run(s->kit.node.world, &job, run_id, sizeof(run_id)))
        return false;
    struct cron_request r = {
        .id = ++s->next_request, .type = CRON_STOP_RUN, .job_id = s->jobs.items[job].id, .run_id = run_id};
    request(s, &r, "");
    return true;
}

void sim_cron_set_calendar(struct sim_cron *s, int64_t ahead_ms)
{
    s->kit.calendar_ms += ahead_ms;
    world_log(s->kit.node.world, s->kit.node.name, "its calendar jumps ahead by %lld ms", (long long)ahead_ms);
    note(&s->sets, sim_kit_wall_ms(&s->kit));
}

bool sim_cron_put_again(struct sim_cron *s)
{
    int job = (int)rng_below(&s->kit.node.world->rng, (uint64_t)s->jobs.count);
    if (!s->kit.node.is_up || s->is_ending || s->wanted[job].wish == WISH_JOB)
        return false;
    char text[2048];
    struct cron_request r = {
        .id = ++s->next_request, .type = CRON_PUT_JOB, .job_id = s->jobs.items[job].id, .with_schedules = true};
    world_log(s->kit.node.world, s->kit.node.name, "%s is put again", r.job_id);
    sim_job_write(&s->jobs, job, text, sizeof(text));
    request(s, &r, text);
    return true;
}

bool sim_cron_remove_one(struct sim_cron *s)
{
    int job = 0;
    while (job < s->jobs.count && !s->jobs.items[job].comes_and_goes)
        job++;
    if (job == s->jobs.count || !s->kit.node.is_up || s->is_ending || s->wanted[job].wish != WISH_NONE)
        return false;
    struct cron_request r = {
        .id = ++s->next_request, .type = CRON_DELETE_JOB, .job_id = s->jobs.items[job].id, .stop_runs = true};
    world_log(s->kit.node.world, s->kit.node.name, "%s is to be removed", r.job_id);
    s->wanted[job].wish = WISH_JOB; /* whether it goes or not: it is there in the end */
    request(s, &r, "");
    return true;
}

static void on_crashed(struct sim_kit *k)
{
    struct sim_cron *s = (struct sim_cron *)k;
    for (int i = 0; i < s->jobs.count; i++)
        s->wanted[i].request = 0; /* never answered */
}

/* -- life ----------------------------------------------------------------------------------------------------- */

static void *new_core(struct sim_kit *k)
{
    struct sim_cron *s = (struct sim_cron *)k;
    struct cron_config config = {.zones = s->zones, .history_count = 1000000, .seed = rng_next(&k->node.world->rng)};
    note(&s->starts, sim_kit_wall_ms(&s->kit)); /* it is given what is stored at once */
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

struct sim_cron *sim_cron_new(struct world *w, const char *name, struct sim_node *master, const struct sim_jobs *jobs)
{
    struct sim_cron *s = xcalloc(1, sizeof(*s));
    s->jobs = *jobs;
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
    for (int i = 0; i < s->jobs.count && why == NULL; i++)
        if (s->wanted[i].wish != WISH_NONE || !s->is_ending)
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

const struct sim_jobs *sim_cron_jobs(const struct sim_cron *s)
{
    return &s->jobs;
}

struct sim_cron_asked sim_cron_asked(const struct sim_cron *s, int job)
{
    return s->wanted[job].asked;
}

/* The core sees at the latest a minute later that its calendar was set. */
#define CALENDAR_CHECK_MS 60000

bool sim_cron_may_be_late(const struct sim_cron *s, int job, int64_t at_ms)
{
    for (int i = 0; i < s->sets.count; i++)
        if (at_ms >= s->sets.list[i] && at_ms <= s->sets.list[i] + CALENDAR_CHECK_MS)
            return true;
    return has(&s->starts, at_ms) || has(&s->wanted[job].puts, at_ms);
}

int64_t sim_cron_calendar_ms(const struct sim_cron *s)
{
    return s->kit.calendar_ms;
}
