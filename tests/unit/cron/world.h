/* SPDX-License-Identifier: Apache-2.0
 * world.h - the core of cron with a store, a master and both clocks made of plain data around it. Everything a step says is
 * carried out at once, except what a story wants to see first (writes can be held, agents answer when told to). Included by
 * one test program each. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/arena.h"
#include "common/base/buf.h"
#include "common/base/check.h"
#include "common/base/map.h"
#include "common/base/text.h"
#include "frameworks/cron/cron.h"
#include "tests/support/offer.h"

#define WORLD_FN static __attribute__((unused))

struct world_task {
    char *id, *agent;
    bool is_kill_asked, is_over;
    Mesos__V1__TaskState state;
    struct arena *arena;
    Mesos__V1__TaskInfo *info;
};

struct world {
    struct cron *c;
    struct cron_config config;
    struct zones *zones;
    int64_t now_ms, wall_ms;
    struct map store;                       /* key -> struct buf */
    void (*while_reading)(struct world *w); /* between the reading of the store and its answer */
    bool hold_writes;
    uint64_t held_token; /* newest write that was not confirmed, 0: none */
    bool wants_offers;
    struct world_task *tasks;
    size_t task_count;
    size_t acknowledged, declined, reconciled;
    int status; /* of the newest reply */
    char *body;
    struct buf published; /* "type json\n" */
    char *fatal;
    unsigned offer_number, update_number;
    const char *message; /* of updates */
};

#define WORLD_WALL_MS 1700000000000 /* 2023-11-14T22:13:20Z */

WORLD_FN void world_step(struct world *w, struct kit_event *in);

WORLD_FN int world_compare(const void *left, const void *right)
{
    const struct kit_item *a = left, *b = right;
    return strcmp(a->key, b->key);
}

WORLD_FN void world_start_core(struct world *w)
{
    struct kit_item *items = xcalloc(map_count(&w->store) + 1, sizeof(items[0]));
    size_t count = 0;
    for (struct map_entry *e = map_first(&w->store); e; e = map_next(e)) {
        const struct buf *b = map_value(e);
        if (strncmp(map_key(e), CRON_STORE_PREFIX, strlen(CRON_STORE_PREFIX)) == 0)
            items[count++] = (struct kit_item){map_key(e), strlen(map_key(e)), buf_data(b), buf_len(b)};
    }
    qsort(items, count, sizeof(items[0]), world_compare); /* as a store gives them */
    w->c = cron_new(&w->config);
    struct kit_event in = {.type = KIT_EVENT_STARTED};
    in.started.items = items;
    in.started.item_count = count;
    world_step(w, &in);
    free(items);
}

WORLD_FN void world_up(struct world *w)
{
    struct kit_event in = {.type = KIT_EVENT_SUBSCRIBED};
    in.subscribed.framework_id = "F1";
    in.subscribed.master = "127.0.0.1:5050";
    world_step(w, &in);
    in = (struct kit_event){.type = KIT_EVENT_SETTLED};
    world_step(w, &in);
}

WORLD_FN void world_init(struct world *w)
{
    *w = (struct world){.now_ms = 1000, .wall_ms = WORLD_WALL_MS};
    w->zones = zones_new(zone_read_system, NULL);
    w->config.seed = 7;
    w->config.zones = w->zones;
    map_init(&w->store);
    buf_init(&w->published, 64 << 20);
    world_start_core(w);
    world_up(w);
}

WORLD_FN void world_deinit(struct world *w)
{
    (void)cron_free(w->c);
    for (struct map_entry *e = map_first(&w->store); e; e = map_next(e)) {
        buf_deinit(map_value(e));
        free(map_value(e));
    }
    map_deinit(&w->store);
    for (size_t k = 0; k < w->task_count; k++) {
        (void)arena_free(w->tasks[k].arena);
        free(w->tasks[k].id);
        free(w->tasks[k].agent);
    }
    free(w->tasks);
    free(w->body);
    free(w->fatal);
    buf_deinit(&w->published);
    (void)zones_free(w->zones);
}

/* Ends the process and starts it anew from the store after some time; the tasks of the master go on. */
WORLD_FN void world_restart(struct world *w, int64_t down_ms, bool up)
{
    (void)cron_free(w->c);
    w->held_token = 0;
    w->config.seed++; /* every process draws other ids */
    w->now_ms += down_ms;
    w->wall_ms += down_ms;
    w->wants_offers = false;
    world_start_core(w);
    if (up)
        world_up(w);
}

WORLD_FN void world_on_store(struct world *w, const struct kit_effect *e)
{
    for (size_t k = 0; k < e->store.count; k++) {
        const struct kit_write *write = &e->store.writes[k];
        struct buf *old = map_remove(&w->store, write->key);
        if (old) {
            buf_deinit(old);
            free(old);
        }
        if (write->value == NULL)
            continue;
        struct buf *b = xcalloc(1, sizeof(*b));
        buf_init(b, 0);
        CHECK(buf_append(b, write->value, write->value_len) == 0);
        (void)map_put(&w->store, write->key, b);
    }
    w->held_token = e->store.token;
}

WORLD_FN void world_answer_read(struct world *w, uint64_t token, const char *prefix, const char *after, size_t limit)
{
    struct kit_item *items = xcalloc(map_count(&w->store) + 1, sizeof(items[0]));
    size_t count = 0;
    for (struct map_entry *e = map_first(&w->store); e; e = map_next(e)) {
        const struct buf *b = map_value(e);
        if (strncmp(map_key(e), prefix, strlen(prefix)) == 0 && (after == NULL || strcmp(map_key(e), after) > 0))
            items[count++] = (struct kit_item){map_key(e), strlen(map_key(e)), buf_data(b), buf_len(b)};
    }
    qsort(items, count, sizeof(items[0]), world_compare);
    struct kit_event in = {.type = KIT_EVENT_READ_DONE};
    in.read_done.token = token;
    in.read_done.items = items;
    in.read_done.item_count = limit > 0 && count > limit ? limit : count;
    if (w->while_reading)
        w->while_reading(w);
    world_step(w, &in);
    free(items);
}

WORLD_FN void world_on_accept(struct world *w, const Mesos__V1__Scheduler__Call__Accept *accept)
{
    for (size_t k = 0; k < accept->operations[0]->launch->n_task_infos; k++) {
        const Mesos__V1__TaskInfo *info = accept->operations[0]->launch->task_infos[k];
        for (size_t n = 0; n < w->task_count; n++)
            assert_string_not_equal(w->tasks[n].id, info->task_id->value); /* no task is launched twice */
        w->tasks = xrealloc(w->tasks, (w->task_count + 1) * sizeof(w->tasks[0]));
        struct world_task *t = &w->tasks[w->task_count++];
        *t = (struct world_task){.id = xstrdup(info->task_id->value),
                                 .agent = xstrdup(info->agent_id->value),
                                 .state = MESOS__V1__TASK_STATE__TASK_STAGING,
                                 .arena = arena_new(0)};
        assert_true(text_is_valid_id(t->id));
        size_t len = mesos__v1__task_info__get_packed_size(info);
        uint8_t *bytes = xmalloc(len);
        mesos__v1__task_info__pack(info, bytes); /* what does not pack would not get to a master */
        t->info = mesos__v1__task_info__unpack(arena_pb(t->arena), len, bytes);
        free(bytes);
        assert_non_null(t->info);
    }
}

WORLD_FN void world_on_call(struct world *w, const Mesos__V1__Scheduler__Call *call)
{
    if (call->accept)
        world_on_accept(w, call->accept);
    if (call->decline)
        w->declined += call->decline->n_offer_ids;
    if (call->reconcile)
        w->reconciled++;
    if (call->kill) {
        for (size_t k = 0; k < w->task_count; k++) {
            if (strcmp(w->tasks[k].id, call->kill->task_id->value) == 0)
                w->tasks[k].is_kill_asked = true;
        }
    }
}

WORLD_FN void world_on_reply(struct world *w, const struct kit_effect *e)
{
    free(w->body);
    w->status = e->reply.status;
    w->body = e->reply.body ? xstrdup(e->reply.body) : NULL;
    if (w->body && e->reply.content_type == NULL) {
        json_t *json = json_loads(w->body, JSON_DECODE_ANY, NULL);
        if (json == NULL)
            fail_msg("not JSON: %s", w->body);
        json_decref(json);
    }
}

struct world_read {
    uint64_t token;
    char prefix[300], after[400];
    bool has_after;
    size_t limit;
};

WORLD_FN void world_one_step(struct world *w, struct kit_event *in)
{
    struct kit_effects out;
    struct world_read read = {0};
    in->now_ms = w->now_ms;
    in->wall_ms = w->wall_ms;
    (void)cron_step(w->c, in, &out); /* a failure shows as a FATAL effect */
    for (size_t k = 0; k < out.count; k++) {
        const struct kit_effect *e = &out.items[k];
        if (e->type == KIT_EFFECT_STORE) {
            world_on_store(w, e);
        } else if (e->type == KIT_EFFECT_CALL) {
            world_on_call(w, e->call);
        } else if (e->type == KIT_EFFECT_ACKNOWLEDGE) {
            w->acknowledged++;
        } else if (e->type == KIT_EFFECT_WANT_OFFERS) {
            w->wants_offers = e->want_offers;
        } else if (e->type == KIT_EFFECT_REPLY) {
            world_on_reply(w, e);
        } else if (e->type == KIT_EFFECT_PUBLISH) {
            (void)buf_printf(&w->published, "%s %s\n", e->publish.event_type, e->publish.json);
        } else if (e->type == KIT_EFFECT_FATAL) {
            free(w->fatal);
            w->fatal = xstrdup(e->text);
        } else if (e->type == KIT_EFFECT_READ) { /* answered when the effects are done with */
            read.token = e->read.token;
            read.limit = e->read.limit;
            read.has_after = e->read.after != NULL;
            (void)snprintf(read.prefix, sizeof(read.prefix), "%s", e->read.prefix);
            (void)snprintf(read.after, sizeof(read.after), "%s", e->read.after ? e->read.after : "");
        }
    }
    cron_check_invariants(w->c);
    if (read.token)
        world_answer_read(w, read.token, read.prefix, read.has_after ? read.after : NULL, read.limit);
}

WORLD_FN void world_confirm_writes(struct world *w)
{
    while (w->held_token) {
        struct kit_event done = {.type = KIT_EVENT_STORE_DONE};
        done.store_done.token = w->held_token;
        w->held_token = 0;
        world_one_step(w, &done);
    }
}

WORLD_FN void world_step(struct world *w, struct kit_event *in)
{
    world_one_step(w, in);
    if (!w->hold_writes)
        world_confirm_writes(w);
}

/* Moves both clocks in the steps the core asks for. */
WORLD_FN void world_pass(struct world *w, int64_t ms)
{
    int64_t end = w->now_ms + ms;
    while (w->now_ms < end) {
        int64_t next = cron_next_deadline(w->c);
        int64_t to = next < end ? (next > w->now_ms ? next : w->now_ms + 1) : end;
        w->wall_ms += to - w->now_ms;
        w->now_ms = to;
        struct kit_event in = {.type = KIT_EVENT_TICK};
        world_step(w, &in);
    }
}

/* One request; the answer is in status and body, which are reset before. */
WORLD_FN void world_request(struct world *w, struct cron_request *r, const char *body)
{
    json_t *json = body ? json_loads(body, JSON_DECODE_ANY, NULL) : NULL;
    if (body && !json)
        fail_msg("bad test: %s", body);
    w->status = 0;
    r->id = 77;
    r->body = json;
    struct kit_event in = {.type = KIT_EVENT_REQUEST, .request = r};
    world_step(w, &in);
    json_decref(json);
}

WORLD_FN void world_call(struct world *w, enum cron_request_type type, const char *job_id, const char *other_id,
                         const char *body)
{
    struct cron_request r = {.type = type, .job_id = job_id};
    bool is_schedule = type == CRON_GET_SCHEDULE || type == CRON_PUT_SCHEDULE || type == CRON_DELETE_SCHEDULE;
    r.schedule_id = is_schedule ? other_id : NULL;
    r.run_id = is_schedule ? NULL : other_id;
    r.with_schedules = type == CRON_CREATE_JOB;
    world_request(w, &r, body);
}

/* A job of 0.1 CPUs; more is put into its JSON, run_more into the run. */
WORLD_FN void world_job(struct world *w, const char *id, const char *run_more, const char *more)
{
    char body[2048];
    (void)snprintf(body, sizeof(body), "{\"id\":\"%s\",\"run\":{\"cmd\":\"true\",\"cpus\":0.1,\"mem\":32,\"disk\":0%s}%s}",
                   id, run_more, more);
    world_call(w, CRON_CREATE_JOB, NULL, NULL, body);
    if (w->status != 201)
        fail_msg("%d %s", w->status, w->body);
}

WORLD_FN void world_run(struct world *w, const char *id)
{
    world_call(w, CRON_CREATE_RUN, id, NULL, NULL);
    assert_int_equal(w->status, 201);
}

/* -- answers -------------------------------------------------------------------------------------------------------- */

/* The text at a path like "runs.0.status" in the newest answer; numbers as they are written, "" if there is none. */
WORLD_FN const char *world_at(const struct world *w, const char *path)
{
    static char text[512];
    json_t *root = w->body ? json_loads(w->body, JSON_DECODE_ANY, NULL) : NULL, *at = root;
    char copy[256], *save = NULL;
    (void)snprintf(copy, sizeof(copy), "%s", path);
    for (char *part = strtok_r(copy, ".", &save); part; part = strtok_r(NULL, ".", &save))
        at = json_is_array(at) ? json_array_get(at, strtoul(part, NULL, 10)) : json_object_get(at, part);
    text[0] = '\0';
    if (json_is_string(at)) {
        (void)snprintf(text, sizeof(text), "%s", json_string_value(at));
    } else if (at) {
        char *dump = json_dumps(at, JSON_ENCODE_ANY | JSON_COMPACT);
        (void)snprintf(text, sizeof(text), "%s", dump ? dump : "");
        free(dump);
    }
    json_decref(root);
    return text;
}

WORLD_FN size_t world_size_at(const struct world *w, const char *path)
{
    json_t *root = w->body ? json_loads(w->body, JSON_DECODE_ANY, NULL) : NULL;
    json_t *at = path[0] ? json_object_get(root, path) : root;
    size_t n = json_array_size(at);
    json_decref(root);
    return n;
}

WORLD_FN void world_history(struct world *w, const char *id)
{
    struct cron_request r = {.type = CRON_GET_HISTORY, .job_id = id, .limit = 1000};
    world_request(w, &r, NULL);
    assert_int_equal(w->status, 200);
}

/* Records of this status in the history of a job. */
WORLD_FN size_t world_ended(struct world *w, const char *id, const char *status)
{
    world_history(w, id);
    json_t *root = json_loads(w->body, 0, NULL);
    size_t count = 0, i;
    json_t *record;
    json_array_foreach(json_object_get(root, "runs"), i, record)
    {
        const char *s = json_string_value(json_object_get(record, "status"));
        count += s && strcmp(s, status) == 0;
    }
    json_decref(root);
    return count;
}

/* -- master and agents ---------------------------------------------------------------------------------------------- */

WORLD_FN void world_offer_rack(struct world *w, const char *host, const char *rack, double cpus, double mem)
{
    struct arena *a = arena_new(0);
    Mesos__V1__Offer *o = support_offer(a, ++w->offer_number, host, rack, cpus, mem);
    struct kit_event in = {.type = KIT_EVENT_OFFERS};
    in.offers.offers = &o;
    in.offers.count = 1;
    world_step(w, &in);
    (void)arena_free(a);
}

WORLD_FN void world_offer(struct world *w)
{
    world_offer_rack(w, "h1", NULL, 100, 100000);
}

WORLD_FN void world_tell(struct world *w, struct world_task *t, Mesos__V1__TaskState state, int reason)
{
    Mesos__V1__TaskStatus status = MESOS__V1__TASK_STATUS__INIT;
    Mesos__V1__TaskID id = MESOS__V1__TASK_ID__INIT;
    Mesos__V1__AgentID agent_id = MESOS__V1__AGENT_ID__INIT;
    id.value = t->id;
    agent_id.value = t->agent;
    unsigned uuid = ++w->update_number;
    status.task_id = &id;
    status.agent_id = &agent_id;
    status.state = state;
    status.has_reason = reason >= 0;
    status.reason = (Mesos__V1__TaskStatus__Reason)reason;
    status.message = (char *)w->message;
    status.has_uuid = 1;
    status.uuid = (ProtobufCBinaryData){sizeof(uuid), (uint8_t *)&uuid};
    t->state = state;
    t->is_over = state != MESOS__V1__TASK_STATE__TASK_STAGING && state != MESOS__V1__TASK_STATE__TASK_STARTING &&
                 state != MESOS__V1__TASK_STATE__TASK_RUNNING && state != MESOS__V1__TASK_STATE__TASK_UNREACHABLE;
    struct kit_event in = {.type = KIT_EVENT_UPDATE, .update = &status};
    world_step(w, &in);
}

/* The index-th task that is not over. */
WORLD_FN struct world_task *world_task(struct world *w, size_t index)
{
    for (size_t k = 0; k < w->task_count; k++) {
        if (!w->tasks[k].is_over && index-- == 0)
            return &w->tasks[k];
    }
    fail_msg("no such task");
    return NULL;
}

WORLD_FN size_t world_alive(const struct world *w)
{
    size_t count = 0;
    for (size_t k = 0; k < w->task_count; k++)
        count += !w->tasks[k].is_over;
    return count;
}

WORLD_FN void world_update(struct world *w, size_t index, Mesos__V1__TaskState state)
{
    world_tell(w, world_task(w, index), state, -1);
}

/* Every live task runs and ends like this. */
WORLD_FN void world_end_all(struct world *w, Mesos__V1__TaskState state)
{
    size_t count = w->task_count;
    for (size_t k = 0; k < count; k++) {
        if (w->tasks[k].is_over)
            continue;
        world_tell(w, &w->tasks[k], MESOS__V1__TASK_STATE__TASK_RUNNING, -1);
        world_tell(w, &w->tasks[k], w->tasks[k].is_kill_asked ? MESOS__V1__TASK_STATE__TASK_KILLED : state, -1);
    }
}

/* Offers and ends until nothing changes. */
WORLD_FN void world_flow(struct world *w)
{
    for (int round = 0; round < 1000 && (w->wants_offers || world_alive(w) > 0); round++) {
        if (w->wants_offers)
            world_offer(w);
        world_end_all(w, MESOS__V1__TASK_STATE__TASK_FINISHED);
    }
}

WORLD_FN const char *world_env(const struct world_task *t, const char *name)
{
    const Mesos__V1__Environment *e = t->info->command->environment;
    for (size_t k = 0; k < e->n_variables; k++) {
        if (strcmp(e->variables[k]->name, name) == 0)
            return e->variables[k]->value;
    }
    return "";
}

WORLD_FN size_t world_published(const struct world *w, const char *type)
{
    size_t count = 0, n = strlen(type);
    const char *text = (const char *)buf_data(&w->published), *end = text ? text + buf_len(&w->published) : NULL;
    for (const char *line = text; line && line < end; line = (const char *)memchr(line, '\n', (size_t)(end - line)) + 1)
        count += (size_t)(end - line) > n && strncmp(line, type, n) == 0 && line[n] == ' ';
    return count;
}
