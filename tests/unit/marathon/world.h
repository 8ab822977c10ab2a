/* SPDX-License-Identifier: Apache-2.0
 * world.h - the core with a store, a master and a clock made of plain data around it, for stories. Everything a step says
 * is carried out at once, except what a story wants to see first (writes can be held, agents answer when told to). Included
 * by one test program each. */
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
#include "frameworks/marathon/marathon.h"
#include "tests/support/offer.h"

#define WORLD_FN static __attribute__((unused))

struct world_task {
    char *id, *agent;
    bool is_kill_asked, is_over;
    Mesos__V1__TaskState state;
    uint32_t port; /* first one */
    struct arena *arena;
    Mesos__V1__TaskInfo *info;
};

struct world {
    struct marathon *m;
    struct marathon_config config;
    int64_t now_ms;
    struct map store; /* key -> struct buf */
    bool hold_writes;
    uint64_t held_token; /* newest write that was not confirmed, 0: none */
    bool is_up;          /* subscribed and settled */
    bool wants_offers;
    int wants_count; /* how often it asked */
    struct world_task *tasks;
    size_t task_count;
    size_t acknowledged;
    int status; /* of the newest reply */
    char *body;
    char *headers; /* "Name: value\n" of the newest reply */
    request_id last_request;
    struct buf published; /* "type json\n" */
    uint64_t probe_id;    /* newest probe, 0: none waits */
    uint16_t probe_port;
    size_t probes_out;
    bool answers_probes;  /* with success, at once */
    uint64_t probes[512]; /* to be answered */
    size_t probe_count;
    size_t declined;
    char *fatal;
    unsigned offer_number;
    unsigned update_number;
    char *deployment; /* Marathon-Deployment-Id of the newest reply */
};

#define WORLD_EPOCH_MS 1700000000000

WORLD_FN void world_step(struct world *w, struct kit_event *in);

WORLD_FN void world_start_core(struct world *w)
{
    struct kit_item *items = xcalloc(map_count(&w->store) + 1, sizeof(items[0]));
    size_t count = 0;
    for (struct map_entry *e = map_first(&w->store); e; e = map_next(e)) {
        const struct buf *b = map_value(e);
        items[count++] = (struct kit_item){map_key(e), strlen(map_key(e)), buf_data(b), buf_len(b)};
    }
    w->m = marathon_new(&w->config);
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
    w->is_up = true;
}

WORLD_FN void world_init(struct world *w)
{
    *w = (struct world){.now_ms = 1000};
    w->config.seed = 7;
    map_init(&w->store);
    buf_init(&w->published, 64 << 20);
    world_start_core(w);
    world_up(w);
}

WORLD_FN void world_deinit(struct world *w)
{
    (void)marathon_free(w->m);
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
    free(w->headers);
    free(w->fatal);
    free(w->deployment);
    buf_deinit(&w->published);
}

/* Ends the process and starts it anew from the store; the tasks of the master go on. */
WORLD_FN void world_restart(struct world *w, bool up)
{
    (void)marathon_free(w->m);
    w->held_token = 0;
    w->probe_id = 0;
    w->held_token = 0;
    w->probe_count = 0;
    w->is_up = false;
    w->config.seed++; /* every process draws other ids */
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
        size_t len = mesos__v1__task_info__get_packed_size(info);
        uint8_t *bytes = xmalloc(len);
        mesos__v1__task_info__pack(info, bytes); /* what does not pack would not get to a master */
        t->info = mesos__v1__task_info__unpack(arena_pb(t->arena), len, bytes);
        free(bytes);
        assert_non_null(t->info);
        if (info->discovery->ports->n_ports > 0)
            t->port = info->discovery->ports->ports[0]->number;
    }
}

WORLD_FN void world_on_call(struct world *w, const Mesos__V1__Scheduler__Call *call)
{
    if (call->accept)
        world_on_accept(w, call->accept);
    if (call->decline)
        w->declined += call->decline->n_offer_ids;
    if (call->kill) {
        for (size_t k = 0; k < w->task_count; k++) {
            if (strcmp(w->tasks[k].id, call->kill->task_id->value) == 0)
                w->tasks[k].is_kill_asked = true;
        }
    }
}

WORLD_FN void world_on_reply(struct world *w, const struct kit_effect *e)
{
    struct buf headers;
    buf_init(&headers, 0);
    free(w->body);
    free(w->headers);
    w->status = e->reply.status;
    w->last_request = e->reply.id;
    w->body = e->reply.body ? xstrdup(e->reply.body) : NULL;
    for (size_t k = 0; k < e->reply.header_count; k++) {
        (void)buf_printf(&headers, "%s: %s\n", e->reply.headers[k].name, e->reply.headers[k].value);
        if (strcmp(e->reply.headers[k].name, "Marathon-Deployment-Id") == 0) {
            free(w->deployment);
            w->deployment = xstrdup(e->reply.headers[k].value);
        }
    }
    w->headers = buf_steal_str(&headers);
    buf_deinit(&headers);
    if (w->body) { /* whatever is answered is JSON */
        json_t *json = json_loads(w->body, JSON_DECODE_ANY, NULL);
        if (json == NULL)
            fail_msg("not JSON: %s", w->body);
        json_decref(json);
    }
}

WORLD_FN void world_on_probe(struct world *w, const struct marathon_probe *probe)
{
    w->probe_id = probe->probe_id;
    w->probe_port = probe->port;
    w->probes_out++;
    CHECK(w->probe_count < sizeof(w->probes) / sizeof(w->probes[0]));
    w->probes[w->probe_count++] = probe->probe_id;
}

WORLD_FN void world_on_effect(struct world *w, const struct kit_effect *e)
{
    switch (e->type) {
    case KIT_EFFECT_STORE:
        world_on_store(w, e);
        return;
    case KIT_EFFECT_CALL:
        world_on_call(w, e->call);
        return;
    case KIT_EFFECT_ACKNOWLEDGE:
        w->acknowledged++;
        return;
    case KIT_EFFECT_WANT_OFFERS:
        w->wants_offers = e->want_offers;
        w->wants_count++;
        return;
    case KIT_EFFECT_REPLY:
        world_on_reply(w, e);
        return;
    case KIT_EFFECT_OWN:
        world_on_probe(w, e->own);
        return;
    case KIT_EFFECT_PUBLISH:
        (void)buf_printf(&w->published, "%s %s\n", e->publish.event_type, e->publish.json);
        return;
    case KIT_EFFECT_FATAL:
        free(w->fatal);
        w->fatal = xstrdup(e->text);
        return;
    case KIT_EFFECT_START_SCHEDULER:
    case KIT_EFFECT_READ:
    case KIT_EFFECT_TRACE:
        return;
    }
}

WORLD_FN void world_one_step(struct world *w, struct kit_event *in)
{
    struct kit_effects out;
    in->now_ms = w->now_ms;
    in->wall_ms = WORLD_EPOCH_MS + w->now_ms;
    (void)marathon_step(w->m, in, &out); /* a failure shows as a FATAL effect */
    for (size_t k = 0; k < out.count; k++)
        world_on_effect(w, &out.items[k]);
    marathon_check_invariants(w->m);
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
    if (w->answers_probes && w->probe_count > 0) {
        struct marathon_probe_result result = {.probe_id = w->probes[--w->probe_count], .is_success = true};
        struct kit_event done = {.type = KIT_EVENT_OWN, .own = &result};
        world_step(w, &done);
    }
}

/* Moves the clock in the steps the core asks for. */
WORLD_FN void world_pass(struct world *w, int64_t ms)
{
    int64_t end = w->now_ms + ms;
    while (w->now_ms < end) {
        int64_t next = marathon_next_deadline(w->m);
        w->now_ms = next < end ? (next > w->now_ms ? next : w->now_ms + 1) : end;
        struct kit_event in = {.type = KIT_EVENT_TICK};
        world_step(w, &in);
    }
}

/* One request; the answer is in status, body, headers, which are reset before. */
WORLD_FN void world_request(struct world *w, struct marathon_request *r, const char *body)
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

WORLD_FN void world_post(struct world *w, const char *body)
{
    struct marathon_request r = {.type = MARATHON_CREATE_APP};
    world_request(w, &r, body);
}

WORLD_FN void world_put(struct world *w, const char *id, const char *body, bool force)
{
    struct marathon_request r = {.type = MARATHON_PUT_APP, .app_id = id, .force = force, .partial = true};
    world_request(w, &r, body);
}

WORLD_FN void world_get(struct world *w, enum marathon_request_type type, const char *id)
{
    struct marathon_request r = {.type = type, .app_id = id};
    world_request(w, &r, NULL);
}

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

WORLD_FN void world_offer(struct world *w, const char *host, double cpus, double mem)
{
    world_offer_rack(w, host, NULL, cpus, mem);
}

WORLD_FN bool world_is_over(Mesos__V1__TaskState s)
{
    return s == MESOS__V1__TASK_STATE__TASK_FINISHED || s == MESOS__V1__TASK_STATE__TASK_FAILED ||
           s == MESOS__V1__TASK_STATE__TASK_KILLED || s == MESOS__V1__TASK_STATE__TASK_ERROR ||
           s == MESOS__V1__TASK_STATE__TASK_LOST || s == MESOS__V1__TASK_STATE__TASK_DROPPED ||
           s == MESOS__V1__TASK_STATE__TASK_GONE;
}

WORLD_FN void world_tell(struct world *w, const char *task_id, const char *agent, Mesos__V1__TaskState state, int healthy)
{
    Mesos__V1__TaskStatus status = MESOS__V1__TASK_STATUS__INIT;
    Mesos__V1__TaskID id = MESOS__V1__TASK_ID__INIT;
    Mesos__V1__AgentID agent_id = MESOS__V1__AGENT_ID__INIT;
    id.value = (char *)task_id;
    agent_id.value = (char *)agent;
    unsigned uuid = ++w->update_number;
    status.task_id = &id;
    status.agent_id = &agent_id;
    status.state = state;
    status.has_uuid = 1;
    status.uuid = (ProtobufCBinaryData){sizeof(uuid), (uint8_t *)&uuid};
    status.has_healthy = healthy >= 0;
    status.healthy = healthy > 0;
    struct kit_event in = {.type = KIT_EVENT_UPDATE, .update = &status};
    world_step(w, &in);
}

WORLD_FN void world_update(struct world *w, struct world_task *t, Mesos__V1__TaskState state)
{
    t->state = state;
    t->is_over = world_is_over(state);
    world_tell(w, t->id, t->agent, state, -1);
}

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

WORLD_FN size_t world_running(const struct world *w)
{
    size_t count = 0;
    for (size_t k = 0; k < w->task_count; k++)
        count += w->tasks[k].state == MESOS__V1__TASK_STATE__TASK_RUNNING;
    return count;
}

/* Every task that is new or was asked to end gets there. */
WORLD_FN void world_run_all(struct world *w)
{
    for (size_t k = 0; k < w->task_count; k++) { /* indices: steps may add tasks */
        if (w->tasks[k].is_over)
            continue;
        if (w->tasks[k].is_kill_asked)
            world_update(w, &w->tasks[k], MESOS__V1__TASK_STATE__TASK_KILLED);
        else if (w->tasks[k].state == MESOS__V1__TASK_STATE__TASK_STAGING)
            world_update(w, &w->tasks[k], MESOS__V1__TASK_STATE__TASK_RUNNING);
    }
}

/* Offers and runs until nothing changes. */
WORLD_FN void world_flow(struct world *w)
{
    for (int round = 0; round < 1000; round++) {
        size_t tasks = w->task_count, running = world_running(w), alive = world_alive(w);
        if (w->wants_offers)
            world_offer(w, "h1", 100, 100000);
        world_run_all(w);
        if (tasks == w->task_count && running == world_running(w) && alive == world_alive(w))
            return;
    }
    fail_msg("never comes to rest");
}

WORLD_FN size_t world_published(const struct world *w, const char *type)
{
    size_t count = 0, n = strlen(type);
    const char *text = (const char *)buf_data(&w->published), *end = text ? text + buf_len(&w->published) : NULL;
    for (const char *line = text; line && line < end; line = (const char *)memchr(line, '\n', (size_t)(end - line)) + 1)
        count += (size_t)(end - line) > n && strncmp(line, type, n) == 0 && line[n] == ' ';
    return count;
}

WORLD_FN int64_t world_count(struct world *w, const char *id, const char *key)
{
    world_get(w, MARATHON_GET_APP, id);
    assert_int_equal(w->status, 200);
    json_t *json = json_loads(w->body, 0, NULL);
    const json_t *value = json_object_get(json_object_get(json, "app"), key);
    int64_t n = json_is_array(value) ? (int64_t)json_array_size(value) : (int64_t)json_integer_value(value);
    json_decref(json);
    return n;
}
