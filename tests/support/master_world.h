/* SPDX-License-Identifier: Apache-2.0
 * master_world.h - drives a master's core without a shell: events in by short calls, effects kept as copies to look at.
 * After every step the invariants are checked. Messages are written as JSON and decoded by the codec. Header only: each
 * test program is one file. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/check.h"
#include "common/wire/codec.h"
#include "master/master.h"

#define WORLD_UNUSED __attribute__((unused))
#define WORLD_WALL_MS 1700000000000LL
#define WORLD_SENT_MAX 60000

/* One effect that went out, in order. */
struct world_sent {
    enum master_effect_type type;
    uint64_t to; /* link, stream, request or store token */
    Muster__Link__MasterToAgent *link;
    Mesos__V1__Scheduler__Event *event;
    Mesos__V1__Master__Event *operator_event;
    const char *framework_user, *task_user; /* of operator_event */
    int status;
    const char *text;
};

struct world {
    struct master *m;
    struct master_config config;
    struct master_effects out;
    struct arena *arena;
    int64_t now_ms;
    struct world_sent sent[WORLD_SENT_MAX];
    size_t sent_count;
    uint64_t tokens[4096]; /* writes on their way */
    size_t token_count;
    bool hold_stores; /* tests complete them by hand */
    bool fatal;
    bool mute_agents; /* pings are not answered */
    struct {
        link_id link;
        uint64_t sequence;
    } pings[1024];
    size_t ping_count;
    uint64_t next_request;
    /* what a store would hold after a crash */
    struct world_record {
        char key[128];
        uint8_t *value;
        size_t len;
    } store[256];
    size_t store_count;
};

static WORLD_UNUSED void world_put(struct world *w, const struct store_write *write)
{
    size_t i = 0;
    while (i < w->store_count &&
           (strlen(w->store[i].key) != write->key_len || memcmp(w->store[i].key, write->key, write->key_len) != 0))
        i++;
    if (i < w->store_count) {
        free(w->store[i].value);
        w->store[i] = w->store[--w->store_count];
    }
    if (write->value == NULL)
        return;
    if (w->store_count == sizeof(w->store) / sizeof(w->store[0]))
        return; /* tests of size do not look at it */
    struct world_record *r = &w->store[w->store_count++];
    memcpy(r->key, write->key, write->key_len);
    r->key[write->key_len] = '\0';
    r->value = xmemdup(write->value, write->value_len);
    r->len = write->value_len;
}

static WORLD_UNUSED void world_collect(struct world *w)
{
    for (size_t i = 0; i < w->out.count; i++) {
        const struct master_effect *e = &w->out.items[i];
        assert_true(w->sent_count < WORLD_SENT_MAX);
        struct world_sent *s = &w->sent[w->sent_count++];
        *s = (struct world_sent){.type = e->type};
        switch (e->type) {
        case MASTER_EFFECT_LINK_SEND:
            s->to = e->link_send.link;
            s->link = (void *)wire_copy(&e->link_send.message->base, w->arena);
            if (s->link->ping != NULL && !w->mute_agents && w->ping_count < sizeof(w->pings) / sizeof(w->pings[0])) {
                w->pings[w->ping_count].link = s->to;
                w->pings[w->ping_count++].sequence = s->link->ping->sequence;
            }
            break;
        case MASTER_EFFECT_LINK_CLOSE:
            s->to = e->link_close.link;
            break;
        case MASTER_EFFECT_STREAM_SEND:
            s->to = e->stream_send.stream;
            s->event = (void *)wire_copy(&e->stream_send.event->base, w->arena);
            break;
        case MASTER_EFFECT_STREAM_CLOSE:
            s->to = e->stream_close.stream;
            break;
        case MASTER_EFFECT_REPLY:
            s->to = e->reply.request;
            s->status = e->reply.status;
            s->text = arena_strdup(w->arena, e->reply.text ? e->reply.text : "");
            break;
        case MASTER_EFFECT_STORE:
            s->to = e->store.token;
            w->tokens[w->token_count++] = e->store.token;
            for (size_t j = 0; j < e->store.count; j++)
                world_put(w, &e->store.writes[j]);
            break;
        case MASTER_EFFECT_OPERATOR_EVENT:
            s->operator_event = (void *)wire_copy(&e->operator_event->base, w->arena);
            s->framework_user = e->framework_user != NULL ? arena_strdup(w->arena, e->framework_user) : NULL;
            s->task_user = e->task_user != NULL ? arena_strdup(w->arena, e->task_user) : NULL;
            break;
        case MASTER_EFFECT_TRACE:
            s->text = arena_strdup(w->arena, e->trace.text);
            break;
        case MASTER_EFFECT_FATAL:
            s->text = arena_strdup(w->arena, e->fatal.text);
            w->fatal = true;
            break;
        }
    }
}

static WORLD_UNUSED int world_step(struct world *w, struct master_event in)
{
    in.now_ms = w->now_ms;
    in.wall_ms = WORLD_WALL_MS + w->now_ms;
    int r = master_step(w->m, &in, &w->out);
    world_collect(w);
    master_check_invariants(w->m);
    return r;
}

static WORLD_UNUSED void world_store_done(struct world *w, int result)
{
    uint64_t token = w->tokens[0];
    assert_true(w->token_count > 0);
    memmove(w->tokens, w->tokens + 1, --w->token_count * sizeof(*w->tokens));
    world_step(w, (struct master_event){.type = MASTER_EVENT_STORE_DONE, .store_done = {.token = token, .result = result}});
}

static WORLD_UNUSED void world_pong(struct world *w)
{
    Muster__Link__Pong pong = MUSTER__LINK__PONG__INIT;
    Muster__Link__AgentToMaster message = MUSTER__LINK__AGENT_TO_MASTER__INIT;
    link_id link = w->pings[--w->ping_count].link;
    pong.sequence = w->pings[w->ping_count].sequence;
    message.pong = &pong;
    world_step(
        w, (struct master_event){.type = MASTER_EVENT_LINK_MESSAGE, .link_message = {.link = link, .message = &message}});
}

/* Completes writes and does all work that is due, until nothing is. */
static WORLD_UNUSED void world_settle(struct world *w)
{
    for (;;) {
        if (w->token_count > 0 && !w->hold_stores)
            world_store_done(w, 0);
        else if (w->ping_count > 0)
            world_pong(w);
        else if (master_next_deadline(w->m) <= w->now_ms)
            world_step(w, (struct master_event){.type = MASTER_EVENT_TICK});
        else
            return;
    }
}

/* Lets time pass, from deadline to deadline. */
static WORLD_UNUSED void world_advance(struct world *w, int64_t ms)
{
    int64_t end = w->now_ms + ms;
    world_settle(w);
    for (int64_t next = master_next_deadline(w->m); next <= end; next = master_next_deadline(w->m)) {
        w->now_ms = next > w->now_ms ? next : w->now_ms;
        world_settle(w);
    }
    w->now_ms = end;
}

static WORLD_UNUSED void world_forget(struct world *w)
{
    w->sent_count = 0;
}

/* A new master on what the store of the old one held, NULL: on nothing. */
static WORLD_UNUSED void world_start(struct world *w, const struct world *before)
{
    struct err err = {0};
    struct master_item items[256];
    size_t count = 0;
    w->m = master_new(&w->config, &err);
    if (w->m == NULL)
        fail_msg("%s", err.text);
    for (; before != NULL && count < before->store_count; count++)
        items[count] = (struct master_item){.key = before->store[count].key,
                                            .key_len = strlen(before->store[count].key),
                                            .value = before->store[count].value,
                                            .value_len = before->store[count].len};
    world_step(w, (struct master_event){.type = MASTER_EVENT_STARTED, .started = {.items = items, .count = count}});
}

static WORLD_UNUSED struct world *world_new_with(const struct master_config *config)
{
    struct world *w = xcalloc(1, sizeof(*w));
    w->config = *config;
    master_effects_init(&w->out);
    w->arena = arena_new((size_t)1 << 31);
    w->now_ms = 1000;
    return w;
}

static WORLD_UNUSED struct world *world_new(void)
{
    struct master_config config;
    master_config_default(&config);
    config.seed = 7;
    config.hostname = "localhost";
    config.ip = "127.0.0.1";
    config.port = 5050;
    struct world *w = world_new_with(&config);
    world_start(w, NULL);
    return w;
}

/* The master dies; the next one starts on its store. */
static WORLD_UNUSED void world_restart(struct world *w)
{
    w->m = master_free(w->m);
    w->token_count = 0;
    w->config.seed++;
    world_forget(w);
    world_start(w, w);
}

static WORLD_UNUSED void world_free(struct world *w)
{
    master_free(w->m);
    master_effects_deinit(&w->out);
    arena_free(w->arena);
    for (size_t i = 0; i < w->store_count; i++)
        free(w->store[i].value);
    free(w);
}

/* -- messages from JSON ------------------------------------------------------------------------------------------ */

static WORLD_UNUSED ProtobufCMessage *world_json(struct world *w, const ProtobufCMessageDescriptor *type, const char *fmt,
                                                 va_list ap)
{
    char *text;
    struct err err;
    assert_true(vasprintf(&text, fmt, ap) >= 0);
    ProtobufCMessage *message = wire_decode(WIRE_JSON, type, text, strlen(text), w->arena, &err);
    if (message == NULL)
        fail_msg("%s: %s", err.text, text);
    free(text);
    return message;
}

static WORLD_UNUSED void world_link(struct world *w, link_id link, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    Muster__Link__AgentToMaster *message = (void *)world_json(w, &muster__link__agent_to_master__descriptor, fmt, ap);
    va_end(ap);
    world_step(
        w, (struct master_event){.type = MASTER_EVENT_LINK_MESSAGE, .link_message = {.link = link, .message = message}});
}

/* Returns the request id of the call. */
static WORLD_UNUSED request_id world_call(struct world *w, stream_id stream, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    Mesos__V1__Scheduler__Call *call = (void *)world_json(w, &mesos__v1__scheduler__call__descriptor, fmt, ap);
    va_end(ap);
    request_id request = ++w->next_request;
    world_step(
        w, (struct master_event){.type = MASTER_EVENT_CALL,
                                 .call = {.request = request, .stream = stream, .has_stream_header = true, .call = call}});
    return request;
}

/* An operator's call, settled. Returns its request id. */
static WORLD_UNUSED request_id world_operator(struct world *w, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    Mesos__V1__Master__Call *call = (void *)world_json(w, &mesos__v1__master__call__descriptor, fmt, ap);
    va_end(ap);
    request_id request = ++w->next_request;
    world_step(
        w, (struct master_event){.type = MASTER_EVENT_OPERATOR_CALL, .operator_call = {.request = request, .call = call}});
    world_settle(w);
    return request;
}

static WORLD_UNUSED void world_subscribe(struct world *w, stream_id stream, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    Mesos__V1__Scheduler__Call *call = (void *)world_json(w, &mesos__v1__scheduler__call__descriptor, fmt, ap);
    va_end(ap);
    world_step(w, (struct master_event){.type = MASTER_EVENT_SUBSCRIBE, .subscribe = {.stream = stream, .call = call}});
}

/* -- what was sent ----------------------------------------------------------------------------------------------- */

static WORLD_UNUSED int world_status(const struct world *w, request_id request)
{
    for (size_t i = 0; i < w->sent_count; i++)
        if (w->sent[i].type == MASTER_EFFECT_REPLY && w->sent[i].to == request)
            return w->sent[i].status;
    return 0;
}

/* The text of an answer, "" when there is none. */
static WORLD_UNUSED const char *world_text(const struct world *w, request_id request)
{
    for (size_t i = 0; i < w->sent_count; i++)
        if (w->sent[i].type == MASTER_EFFECT_REPLY && w->sent[i].to == request)
            return w->sent[i].text;
    return "";
}

static WORLD_UNUSED bool world_was_closed(const struct world *w, enum master_effect_type type, uint64_t to)
{
    for (size_t i = 0; i < w->sent_count; i++)
        if (w->sent[i].type == type && w->sent[i].to == to)
            return true;
    return false;
}

/* The nth (from 0) event of a type on a stream since world_forget, NULL: there are not as many. */
static WORLD_UNUSED Mesos__V1__Scheduler__Event *world_event(const struct world *w, stream_id stream,
                                                             Mesos__V1__Scheduler__Event__Type type, size_t nth)
{
    for (size_t i = 0; i < w->sent_count; i++)
        if (w->sent[i].type == MASTER_EFFECT_STREAM_SEND && w->sent[i].to == stream && w->sent[i].event->type == type &&
            nth-- == 0)
            return w->sent[i].event;
    return NULL;
}
#define WORLD_EVENT(w, stream, type, nth) world_event((w), (stream), MESOS__V1__SCHEDULER__EVENT__TYPE__##type, (nth))

/* The nth offer on a stream since world_forget. */
static WORLD_UNUSED Mesos__V1__Offer *world_offer(const struct world *w, stream_id stream, size_t nth)
{
    Mesos__V1__Scheduler__Event *e;
    for (size_t i = 0; (e = WORLD_EVENT(w, stream, OFFERS, i)) != NULL; i++) {
        if (nth < e->offers->n_offers)
            return e->offers->offers[nth];
        nth -= e->offers->n_offers;
    }
    return NULL;
}

static WORLD_UNUSED size_t world_offer_count(const struct world *w, stream_id stream)
{
    size_t n = 0;
    while (world_offer(w, stream, n) != NULL)
        n++;
    return n;
}

static WORLD_UNUSED Mesos__V1__TaskStatus *world_update(const struct world *w, stream_id stream, size_t nth)
{
    Mesos__V1__Scheduler__Event *e = WORLD_EVENT(w, stream, UPDATE, nth);
    return e != NULL ? e->update->status : NULL;
}

/* The nth message of one kind (offset of its field in MasterToAgent) on a link. */
static WORLD_UNUSED void *world_link_message(const struct world *w, link_id link, size_t field, size_t nth)
{
    for (size_t i = 0; i < w->sent_count; i++) {
        if (w->sent[i].type != MASTER_EFFECT_LINK_SEND || w->sent[i].to != link)
            continue;
        void *body = *(void **)((char *)w->sent[i].link + field);
        if (body != NULL && nth-- == 0)
            return body;
    }
    return NULL;
}
#define WORLD_LINK(w, link, Type, field, nth)                                                                              \
    ((Type *)world_link_message((w), (link), offsetof(Muster__Link__MasterToAgent, field), (nth)))

static WORLD_UNUSED Mesos__V1__Master__Event *world_operator_event(const struct world *w,
                                                                   Mesos__V1__Master__Event__Type type, size_t nth)
{
    for (size_t i = 0; i < w->sent_count; i++)
        if (w->sent[i].type == MASTER_EFFECT_OPERATOR_EVENT && w->sent[i].operator_event->type == type && nth-- == 0)
            return w->sent[i].operator_event;
    return NULL;
}

static WORLD_UNUSED double world_scalar(Mesos__V1__Resource *const *list, size_t n, const char *name)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        if (strcmp(list[i]->name, name) == 0 && list[i]->scalar != NULL)
            sum += list[i]->scalar->value;
    return sum;
}

/* -- the usual moves --------------------------------------------------------------------------------------------- */

#define WORLD_SCALAR(name, amount) "{\"name\":\"" name "\",\"type\":\"SCALAR\",\"scalar\":{\"value\":" #amount "}}"
#define WORLD_SMALL WORLD_SCALAR("cpus", 1) "," WORLD_SCALAR("mem", 64)
#define WORLD_AGENT WORLD_SCALAR("cpus", 4) "," WORLD_SCALAR("mem", 1024)

static WORLD_UNUSED void world_link_up(struct world *w, link_id link)
{
    world_step(w, (struct master_event){.type = MASTER_EVENT_LINK_UP, .link_up = {.link = link, .peer_ip = "127.0.0.1"}});
    world_link(w, link, "{\"hello\":{\"version\":\"t\",\"link_version\":1}}");
}

static WORLD_UNUSED void world_link_down(struct world *w, link_id link)
{
    world_step(w, (struct master_event){.type = MASTER_EVENT_LINK_DOWN, .link_down = {.link = link}});
    world_settle(w);
}

/* Registers an agent with these resources (JSON list) and gives its id. The port is 10000 + link. */
static WORLD_UNUSED const char *world_agent(struct world *w, link_id link, const char *resources)
{
    world_link_up(w, link);
    world_link(w, link,
               "{\"register\":{\"version\":\"t\",\"agent_info\":{\"hostname\":\"h%d\",\"port\":%d,\"resources\":[%s]}}}",
               (int)link, 10000 + (int)link, resources);
    world_settle(w);
    Muster__Link__Registered *r = WORLD_LINK(w, link, Muster__Link__Registered, registered, 0);
    return r != NULL ? r->agent_id->value : NULL;
}

/* Subscribes a framework with these further fields of FrameworkInfo ("" or ",\"x\":1...") and gives its id. */
static WORLD_UNUSED const char *world_framework(struct world *w, stream_id stream, const char *more)
{
    world_subscribe(w, stream,
                    "{\"type\":\"SUBSCRIBE\",\"subscribe\":{\"framework_info\":{\"user\":\"u\",\"name\":\"f%d\"%s}}}",
                    (int)stream, more);
    world_settle(w);
    Mesos__V1__Scheduler__Event *e = WORLD_EVENT(w, stream, SUBSCRIBED, 0);
    return e != NULL ? e->subscribed->framework_id->value : NULL;
}

static WORLD_UNUSED request_id world_launch(struct world *w, stream_id stream, const char *framework, const char *offer,
                                            const char *agent, const char *task, const char *resources)
{
    return world_call(
        w, stream,
        "{\"type\":\"ACCEPT\",\"framework_id\":{\"value\":\"%s\"},\"accept\":{\"offer_ids\":[{\"value\":\"%s\"}],"
        "\"operations\":[{\"type\":\"LAUNCH\",\"launch\":{\"task_infos\":[{\"name\":\"n\",\"task_id\":{\"value\":"
        "\"%s\"},\"agent_id\":{\"value\":\"%s\"},\"resources\":[%s],\"command\":{\"value\":\"true\"}}]}}]}}",
        framework, offer, task, agent, resources);
}

static WORLD_UNUSED void world_report(struct world *w, link_id link, const char *framework, const char *task,
                                      const char *state, const char *uuid16)
{
    char base64[32];
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t n = 0;
    for (size_t i = 0; i < 15; i += 3) {
        unsigned v = (unsigned)uuid16[i] << 16 | (unsigned)uuid16[i + 1] << 8 | (unsigned)uuid16[i + 2];
        base64[n++] = digits[v >> 18 & 63];
        base64[n++] = digits[v >> 12 & 63];
        base64[n++] = digits[v >> 6 & 63];
        base64[n++] = digits[v & 63];
    }
    base64[n++] = digits[(unsigned)uuid16[15] >> 2 & 63];
    base64[n++] = digits[(unsigned)uuid16[15] << 4 & 63];
    base64[n++] = '=';
    base64[n++] = '=';
    base64[n] = '\0';
    world_link(w, link,
               "{\"status_update\":{\"framework_id\":{\"value\":\"%s\"},\"status\":{\"task_id\":{\"value\":\"%s\"},"
               "\"state\":\"%s\",\"source\":\"SOURCE_EXECUTOR\",\"timestamp\":1.5,\"uuid\":\"%s\"}}}",
               framework, task, state, base64);
}

static WORLD_UNUSED void world_decline(struct world *w, stream_id stream, const char *framework, const char *offer,
                                       const char *refuse_seconds)
{
    world_call(w, stream,
               "{\"type\":\"DECLINE\",\"framework_id\":{\"value\":\"%s\"},\"decline\":{\"offer_ids\":[{\"value\":\"%s\"}],"
               "\"filters\":{\"refuse_seconds\":%s}}}",
               framework, offer, refuse_seconds);
}
